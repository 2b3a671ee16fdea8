"""The settings that a model can be made with: every name, what it may be, and nothing else."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from sensenet.document.parsing import shown
from sensenet.errors import SettingsError

COLOR_SPACES = ("rgb", "rgba", "bgr", "bgra")
INPUT_IMAGE_FORMATS = ("file", "image_bytes", "pixel_values")
RESCALE_TYPES = ("warp", "pad", "crop")
MAX_OBJECTS = 100_000


class _Rule(NamedTuple):
    accepts: Callable[[Any], bool]
    expectation: str


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _one_of(names: tuple[str, ...]) -> _Rule:
    listed = ", ".join(f'"{name}"' for name in names)
    return _Rule(lambda value: isinstance(value, str) and value in names, f"one of {listed}")


_FLAG = _Rule(lambda value: isinstance(value, bool), "true or false")
_SHARE = _Rule(lambda value: _is_number(value) and 0 <= value <= 1, "a number in [0, 1]")

RULES: Mapping[str, _Rule] = MappingProxyType(
    {
        "bounding_box_threshold": _SHARE,
        "class_agnostic_nms": _FLAG,
        "color_space": _one_of((*COLOR_SPACES, *(name.upper() for name in COLOR_SPACES))),
        "extract_image_features": _FLAG,
        "image_path_prefix": _Rule(lambda value: isinstance(value, str), "a text"),
        "input_image_format": _one_of(INPUT_IMAGE_FORMATS),
        "iou_threshold": _SHARE,
        "load_pretrained_weights": _FLAG,
        "max_objects": _Rule(
            lambda value: _is_number(value) and isinstance(value, int) and 1 <= value <= MAX_OBJECTS,
            f"an integer in [1, {MAX_OBJECTS}]",
        ),
        "output_unfiltered_boxes": _FLAG,
        "pad_bounding_box_output": _FLAG,
        "regression_normalize": _FLAG,
        "rescale_type": _one_of(RESCALE_TYPES),
    }
)


class Settings(Mapping[str, Any]):
    """Validated settings: attributes, of which those not given are None; also a mapping of the given ones.

    >>> Settings({"rescale_type": "pad"}).rescale_type
    'pad'
    """

    def __init__(self, settings: Mapping[str, Any] | None = None):
        """Check `settings`; a null value counts as not given.

        Raises:
            SettingsError: names every unknown setting (with the nearest known name) and every wrong value.
        """
        if settings is not None and not isinstance(settings, Mapping):
            raise SettingsError(f"settings: expected an object or null, got {shown(settings)}")
        given = {name: value for name, value in (settings or {}).items() if value is not None}
        problems = [problem for name, value in given.items() if (problem := _problem(name, value))]
        if problems:
            raise SettingsError("; ".join(problems))
        self._given = MappingProxyType(given)

    def __getattr__(self, name: str) -> Any:
        """A setting; None where it is not given."""
        if name not in RULES:
            raise AttributeError(f"there is no setting {name!r}")
        return self._given.get(name)

    def __getitem__(self, name: str) -> Any:
        """A setting that is given."""
        return self._given[name]

    def __iter__(self) -> Iterator[str]:
        """The names of the settings given."""
        return iter(self._given)

    def __len__(self) -> int:
        """How many settings are given."""
        return len(self._given)

    def __reduce__(self) -> tuple[Any, ...]:
        """Copies and pickles are checked again."""
        return Settings, (dict(self._given),)

    def __repr__(self) -> str:
        """The settings given."""
        return f"Settings({dict(self._given)})"


def _problem(name: Any, value: Any) -> str | None:
    if name not in RULES:
        near = difflib.get_close_matches(str(name), RULES, n=1)
        known = f'did you mean "{near[0]}"?' if near else f"known are {', '.join(RULES)}"
        return f"{name}: there is no such setting; {known}"
    rule = RULES[name]
    return None if rule.accepts(value) else f"{name}: expected {rule.expectation}, got {shown(value)}"
