"""Classes with their numbers, in either form that they have in files: a list in JSON, or a label map."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from pyramid.datasets.classes import DatasetClass, read_classes
from pyramid.errors import DataError
from sensenet.label_map import LabelMapItem, read_label_map

JSON_SUFFIX = ".json"


def read_numbered_classes(path: Path) -> tuple[LabelMapItem, ...]:
    """The classes of a `.json` list or of a label map, in the order of their numbers, which are from 1.

    Raises:
        DataError, InputError: neither of both, a class 0, or two classes of one name; says where.
    """
    is_list = path.suffix == JSON_SUFFIX
    given = numbered(read_classes(path)) if is_list else read_label_map(path)
    items = sorted(given, key=lambda item: item.id)
    if items[0].id < 1:
        raise DataError(f"{path}: expected ids from 1, got {items[0].id} for {items[0].name!r:.60}")
    for key in ("name", "label"):
        value, count = Counter(getattr(item, key) for item in items).most_common(1)[0]
        if count > 1:
            raise DataError(
                f"{path}: expected classes with different {key}s, got {value!r:.60} {count} times"
            )
    return tuple(items)


def numbered(classes: Iterable[DatasetClass]) -> tuple[LabelMapItem, ...]:
    """Classes as items of a label map: numbers are positions, from 1."""
    return tuple(
        LabelMapItem(number, one.label, "" if one.name == one.label else one.name)
        for number, one in enumerate(classes, start=1)
    )


def listed_classes(items: Sequence[LabelMapItem], path: Path) -> list[DatasetClass]:
    """Items of a label map as a list of classes.

    Raises:
        DataError: their numbers are not their positions in any order.
    """
    if [item.id for item in items] != list(range(1, len(items) + 1)):
        raise DataError(
            f"{path}: expected the ids 1 to {len(items)}: a list has no place for gaps between them"
        )
    return [DatasetClass(item.name, item.label) for item in items]


def check_known(labels: Iterable[str], classes: Sequence[LabelMapItem], where: Path) -> None:
    """Refuse labels that are of no class.

    Raises:
        DataError: there are some; names the first.
    """
    known = {item.label for item in classes}
    unknown = [label for label in labels if label not in known]
    if unknown:
        raise DataError(f"{where}: {len(unknown)} labels are not in it: {', '.join(unknown[:10]):.300}")
