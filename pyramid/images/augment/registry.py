"""The sixteen augmentations: their names, defaults and ranges, and what a job file asks of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

from pyramid.errors import SettingsError, Violation
from pyramid.settings.wording import found, nearest, pointer

Kind = Literal["geometric", "colour", "texture", "occlusion"]


@dataclass(frozen=True)
class Augmentation:
    """What can be said of one augmentation.

    Attributes:
        kind: geometric ones move pixels, and boxes with them; colour ones change a pixel by its own value only.
        meaning: one sentence, in which n is the value of `augmentation_ranges`.
        default: n where the job gives none; None for the ones that are only on or off.
        highest: the largest n, the smallest is 0; degrees for rotation and shear.
        generation_only: it has no effect in training.
    """

    kind: Kind
    meaning: str
    default: float | None = None
    highest: float = 1.0
    generation_only: bool = False


# The order numbers the random draws: a new one goes to the end, so that the others keep drawing what they drew.
AUGMENTATIONS: Mapping[str, Augmentation] = MappingProxyType(
    {
        "blur": Augmentation("texture", "made smaller by a factor from 1 - n to 1, and large again", 0.5),
        "brightness": Augmentation("colour", "a number from -255 n to 255 n is added to all values", 0.1),
        "color_invert": Augmentation("colour", "half of the images are inverted: 255 - v"),
        "contrast": Augmentation(
            "colour", "distances from the mean colour are scaled by 1 - n to 1 + n", 0.25
        ),
        "cutout": Augmentation(
            "occlusion", "half get a rectangle of n of each side, in the mean colour", 0.25
        ),
        "deform": Augmentation(
            "geometric", "in half of them one corner moves inwards, by up to n of each side", 0.1, 1.0, True
        ),
        "gaussian_noise": Augmentation("texture", "half get noise whose standard deviation is n v", 0.1),
        "glare": Augmentation(
            "occlusion", "half get an ellipse of light that covers up to n of the image", 0.1
        ),
        "height_shift": Augmentation("geometric", "moved vertically by up to n of the height", 0.1),
        "horizontal_flip": Augmentation("geometric", "half are mirrored left to right"),
        "rotation": Augmentation("geometric", "turned by up to n degrees", 10.0, 180.0),
        "shear": Augmentation("geometric", "sheared horizontally by an angle of up to n degrees", 10.0, 90.0),
        "tint": Augmentation("colour", "in half, some channels are scaled by 1 - n to 1 + n each", 0.1),
        "vertical_flip": Augmentation("geometric", "half are mirrored top to bottom"),
        "width_shift": Augmentation("geometric", "moved horizontally by up to n of the width", 0.1),
        "zoom": Augmentation("geometric", "scaled by 1 - n to 1 + n", 0.1),
    }
)

OTHER_SPELLINGS: Mapping[str, str] = MappingProxyType(
    {"flip_horizontal": "horizontal_flip", "flip_vertical": "vertical_flip"}
)

KEYS = ("image_augmentations", "augmentation_ranges")
FLIPS = frozenset({"horizontal_flip", "vertical_flip"})


@dataclass(frozen=True)
class Augmentations:
    """The augmentations of a job; hashable, so that a compiled program can be kept for each.

    Attributes:
        chosen: (name, n) in the order of the registry; n is 1 for those that are only on or off.
        frame: the side in pixels of the square in the middle of an image whose corners `deform` moves; None: the
            whole image.
    """

    chosen: tuple[tuple[str, float], ...] = ()
    frame: int | None = None

    def __contains__(self, name: object) -> bool:
        """Whether `name` is chosen."""
        return any(name == one for one, _ in self.chosen)

    def __iter__(self) -> Iterator[str]:
        """The chosen names, in the order of the registry."""
        return (name for name, _ in self.chosen)

    def __getitem__(self, name: str) -> float:
        """The n of a chosen name."""
        return dict(self.chosen)[name]

    def words(self) -> list[str]:
        """The chosen names, each with its n where it has one."""
        return [name if AUGMENTATIONS[name].default is None else f"{name} {n:g}" for name, n in self.chosen]

    def of_kind(self, kind: Kind) -> frozenset[str]:
        """The chosen names of one kind."""
        return frozenset(name for name in self if AUGMENTATIONS[name].kind == kind)


def parse_augmentations(
    names: Sequence[str] | None,
    ranges: Mapping[str, float | bool | None] | None,
    *,
    generation: bool = False,
    keys: tuple[str, str] = KEYS,
) -> Augmentations:
    """What a job's two keys ask for.

    Args:
        names: augmentations at their defaults; passed over where `ranges` is given.
        ranges: name to n; null is the default, and for the ones that are only on or off, true is on.
        generation: also take the augmentations that training leaves out.
        keys: the names of the two keys, for errors.

    Raises:
        SettingsError: a name is unknown, given twice in two spellings, or n is out of its range.

    >>> parse_augmentations(["zoom", "flip_horizontal"], None).chosen
    (('horizontal_flip', 1.0), ('zoom', 0.1))
    """
    if violations := augmentation_violations(names, ranges, keys):
        raise SettingsError(violations)
    values = {
        name: _strength(AUGMENTATIONS[name], value) for _, name, _, value in _asked(names, ranges, keys)
    }
    return Augmentations(
        tuple(
            (name, n)
            for name, spec in AUGMENTATIONS.items()
            if (n := values.get(name)) is not None and (generation or not spec.generation_only)
        )
    )


def augmentation_violations(
    names: Sequence[str] | None,
    ranges: Mapping[str, float | bool | None] | None,
    keys: tuple[str, str] = KEYS,
) -> list[Violation]:
    """All that is wrong with what `parse_augmentations` takes."""
    violations = []
    seen: set[str] = set()
    for path, name, spelling, value in _asked(names, ranges, keys):
        problem = _problem(name, spelling, value)
        if problem is None and ranges is not None and name in seen:
            problem = f"the same as {name}, which is there too"
        if problem is not None:
            violations.append(Violation(path, problem))
        seen.add(name)
    return violations


def _asked(
    names: Sequence[str] | None, ranges: Mapping[str, float | bool | None] | None, keys: tuple[str, str]
) -> list[tuple[str, str, str, float | bool | None]]:
    """(JSON pointer, name, the spelling of it, n) of each augmentation that a job asks for."""
    if ranges is not None:
        asked = [(pointer([keys[1], name]), name, value) for name, value in ranges.items()]
    else:
        asked = [(pointer([keys[0], place]), name, None) for place, name in enumerate(names or ())]
    return [(path, OTHER_SPELLINGS.get(name, name), name, value) for path, name, value in asked]


def _problem(name: str, spelling: str, value: Any) -> str | None:
    """What is wrong with one augmentation of a job, if anything."""
    if name not in AUGMENTATIONS:
        known = ", ".join(AUGMENTATIONS)
        return f"found {found(spelling)}, allowed is one of {known}{nearest(spelling, AUGMENTATIONS)}"
    spec = AUGMENTATIONS[name]
    if value is None or spec.default is None:
        return None
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not 0 <= value <= spec.highest:
        return f"found {found(value)}, allowed is null or a number from 0 to {spec.highest:g}"
    return None


def _strength(spec: Augmentation, value: Any) -> float | None:
    """The n of a sound value; None where it switches the augmentation off."""
    if spec.default is None:
        return 1.0 if value is None or value else None
    return spec.default if value is None else float(value) or None
