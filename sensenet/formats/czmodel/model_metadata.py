"""What a CZModel says of its model beside the model itself, in Python and as the JSON file of an exported model."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, Self

import orjson

from sensenet.document.parsing import expected, mapping, required
from sensenet.document.wording import hint
from sensenet.errors import ModelFormatError
from sensenet.files import check_regular, read_whole

PathLike = str | os.PathLike[str]

COLOR_HANDLINGS = ("ConvertToMonochrome", "SplitRgb")
_MONOCHROME = COLOR_HANDLINGS[0]
_NOT_IN_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class PixelType(NamedTuple):
    """What pixels are made of.

    Attributes:
        channels: how many numbers a pixel has; 1 for a scalar, None where real and imaginary parts are told apart.
        largest: the value of white, or where floats are expected to end.
    """

    channels: int | None
    largest: float


PIXEL_TYPES: Mapping[str, PixelType] = MappingProxyType(
    {
        "Gray8": PixelType(1, 255.0),
        "Gray16": PixelType(1, 65_535.0),
        "Gray32Float": PixelType(1, 1.0),
        "Bgr24": PixelType(3, 255.0),
        "Bgr48": PixelType(3, 65_535.0),
        "Bgr96Float": PixelType(3, 1.0),
        "Bgra32": PixelType(4, 255.0),
        "Gray64ComplexFloat": PixelType(None, 1.0),
        "Bgr192ComplexFloat": PixelType(None, 1.0),
    }
)
"""The pixels that ZEN can hand to a model, by their names there."""


@dataclass(frozen=True)
class ModelMetadata:
    """What ZEN has to know of a model; made by `from_params`.

    Attributes:
        name: of the model, as ZEN shows it.
        color_handling: one of `COLOR_HANDLINGS`, how colour images become the model's channels.
        pixel_type: one of `PIXEL_TYPES`.
        classes: a name for each number that the model gives for a pixel.
        border_size: pixels around a tile whose classes are not to be relied on.
        license_file: goes into the CZModel under its own name; None: there is none.
        test_image_file: a picture for trying out the model; it has to be there, and stays where it is.
    """

    name: str
    color_handling: str
    pixel_type: str
    classes: tuple[str, ...]
    border_size: int
    license_file: Path | None = None
    test_image_file: Path | None = None

    @classmethod
    def from_params(
        cls,
        name: str,
        color_handling: str,
        pixel_type: str,
        classes: Sequence[str],
        border_size: int,
        license_file: PathLike | None = None,
        test_image_file: PathLike | None = None,
    ) -> Self:
        """Check everything, and that the files are there.

        >>> ModelMetadata.from_params("Cells", "SplitRgb", "Bgr24", ["background", "cell"], 32).classes
        ('background', 'cell')

        Raises:
            ModelFormatError: says which value is wrong, and what would be right.
        """
        given = {
            "name": name,
            "color_handling": color_handling,
            "pixel_type": pixel_type,
            "classes": classes,
            "border_size": border_size,
        }
        for parameter, value in given.items():
            _RULES[parameter].check(value, parameter)
        files = (
            _checked_file(license_file, "license_file"),
            _checked_file(test_image_file, "test_image_file"),
        )
        return cls(name, color_handling, pixel_type, tuple(classes), border_size, *files)

    @property
    def channels(self) -> tuple[int, ...]:
        """How many channels the model's input may have; empty where that cannot be said.

        Scalar pixels are one channel, unless colour is split into several of them.
        """
        number = PIXEL_TYPES[self.pixel_type].channels
        if number is None:
            return ()
        return (1, 3, 4) if number == 1 and self.color_handling != _MONOCHROME else (number,)


@dataclass(frozen=True, eq=False)
class ModelSpec:
    """A model and what ZEN has to know of it.

    Attributes:
        model: a Keras model, or the folder of a SavedModel.
        model_metadata: see there.
    """

    model: Any
    model_metadata: ModelMetadata

    @classmethod
    def from_json(cls, path: PathLike, name: str) -> Self:
        """Read the JSON file that stands beside an exported model; paths in it are relative to its folder.

        Args:
            path: of the file.
            name: of the model, which the file does not say.

        Raises:
            ModelFormatError: no JSON, attributes that are missing, unknown or wrong; names them.
            OSError: it cannot be read.
        """
        try:
            raw = mapping(orjson.loads(read_whole(path)), os.fspath(path))
        except orjson.JSONDecodeError as error:
            raise ModelFormatError(f"{os.fspath(path)}: expected JSON: {error}") from error
        for attribute in raw:
            if attribute not in ATTRIBUTES:
                known = hint(attribute, ATTRIBUTES)
                raise ModelFormatError(f"{os.fspath(path)}: there is no attribute {attribute!r:.80}{known}")
        values: dict[str, Any] = {}
        for attribute, parameter in ATTRIBUTES.items():
            if attribute not in OPTIONAL or attribute in raw:
                values[parameter] = required(raw, attribute, os.fspath(path))
                _RULES[parameter].check(values[parameter], f"{os.fspath(path)}: {attribute}")
        folder = Path(path).parent
        files = {key: folder / values.pop(key) for key in list(values) if key in _FILES}
        model = files.pop("model_path")
        return cls(model, ModelMetadata.from_params(name=name, **values, **files))


ATTRIBUTES: Mapping[str, str] = MappingProxyType(
    {
        "BorderSize": "border_size",
        "ColorHandling": "color_handling",
        "PixelType": "pixel_type",
        "Classes": "classes",
        "ModelPath": "model_path",
        "TestImageFile": "test_image_file",
        "LicenseFile": "license_file",
    }
)
"""The attributes of the JSON file, and the parameters that they are."""
OPTIONAL = ("TestImageFile", "LicenseFile")
_FILES = ("model_path", "test_image_file", "license_file")


class _Rule(NamedTuple):
    accepts: Callable[[Any], bool]
    expectation: str

    def check(self, value: Any, place: str) -> None:
        if not self.accepts(value):
            expected(place, self.expectation, value)


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip()) and not _NOT_IN_XML.search(value)


def _are_classes(value: Any) -> bool:
    is_list = isinstance(value, (list, tuple)) and len(value) > 0
    return is_list and all(map(_is_name, value)) and len(set(value)) == len(value)


def _is_size(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _one_of(names: Sequence[str]) -> _Rule:
    return _Rule(lambda value: isinstance(value, str) and value in names, f"one of {', '.join(names)}")


_PATH = _Rule(lambda value: isinstance(value, str) and bool(value), "a path")
_RULES: Mapping[str, _Rule] = MappingProxyType(
    {
        "name": _Rule(_is_name, "a name without control characters"),
        "color_handling": _one_of(COLOR_HANDLINGS),
        "pixel_type": _one_of(tuple(PIXEL_TYPES)),
        "classes": _Rule(_are_classes, "a list of different names without control characters"),
        "border_size": _Rule(_is_size, "a whole number of pixels, 0 or more"),
        **dict.fromkeys(_FILES, _PATH),
    }
)


def _checked_file(path: PathLike | None, place: str) -> Path | None:
    if path is None:
        return None
    try:
        check_regular(path)
    except (OSError, ValueError) as error:
        raise ModelFormatError(f"{place}: {path}: {getattr(error, 'strerror', None) or error}") from error
    return Path(path)
