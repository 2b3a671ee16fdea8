"""What the classes of a model are called by a label map, whose numbers may be those of another list of classes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sensenet.errors import InputError
from sensenet.label_map import FIRST_CLASS, LabelMapItem, labels_by_id

MOST_NAMED = 5


@dataclass(frozen=True)
class Labels:
    """A label map that somebody wants to be used.

    Attributes:
        items: its classes; none: the names of the model's classes stay.
        warn: is told what may not have been meant.
        place: what to call the label map in errors and warnings.
    """

    items: tuple[LabelMapItem, ...]
    warn: Callable[[str], None]
    place: str = "--labels"


def class_names(known: Mapping[int, tuple[str, ...]], labels: Labels) -> dict[int, str]:
    """What classes are called, by their numbers.

    A data set numbers all of its classes, a model those that it has learnt. So a class goes by its name: where any of
    the model's is in the label map, with whatever number, all that are get the name that it has for people, and the
    others keep theirs. Only a map that knows none of them goes by numbers.

    >>> class_names({1: ("Car",)}, Labels((LabelMapItem(1, "Cat"), LabelMapItem(2, "Car", "Auto")), print))
    {1: 'Auto'}

    Args:
        known: the names of the model's classes by their numbers, the last one of each for people; empty: nothing is
            known of them.

    Raises:
        InputError: a label map that goes by numbers, and has more of them than the model has classes.
    """
    own = {number: names[-1] for number, names in known.items()}
    called = {item.label: item.label for item in labels.items} | {
        item.name: item.label for item in labels.items
    }
    found = {number: called[name] for number, names in known.items() for name in names if name in called}
    if found or not labels.items:
        return own | found
    by_number = labels_by_id(labels.items)
    if known:
        some = ", ".join(f'"{name:.40}"' for name in [*own.values()][:MOST_NAMED])
        more = f" and {len(own) - MOST_NAMED} more" if len(own) > MOST_NAMED else ""
        unknown = f"{labels.place}: the classes of the model are {some}{more}, and none of them is in it"
        last = max(by_number)
        if last > max(known):
            raise InputError(f"{unknown}; by number it would name them, but it has a class {last}")
        labels.warn(f"{unknown}: they are called by their numbers, from 1")
    return own | by_number


def renamed(classes: Sequence[str], labels: Labels) -> tuple[str, ...]:
    """The classes of a model as a label map calls them, see `class_names`.

    Raises:
        InputError: see `class_names`.
    """
    known = {number: (name,) for number, name in enumerate(classes, FIRST_CLASS)}
    names = class_names(known, labels)
    return tuple(names[number] for number in known)


def distinct(classes: tuple[str, ...]) -> tuple[str, ...]:
    """The same classes.

    Raises:
        InputError: two of one name, whose probabilities nobody could tell apart.
    """
    twice = [name for name in classes if classes.count(name) > 1]
    if twice:
        raise InputError(f'--labels: two classes are called "{twice[0]}"')
    return classes
