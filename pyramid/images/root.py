"""The directory that the images of a job, or of a command's rows, have to lie in, and predictions of files in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from pyramid.errors import DataError
from sensenet.errors import InputError
from sensenet.preprocess.image_files import Confinement
from sensenet.preprocess.reading import ImageReading, file_bytes

REMARK = 'image_root; the setting "allow_outside_root": true would allow it'


class Root(Protocol):
    """Where image files lie, and whether they may lie elsewhere, too."""

    @property
    def image_root(self) -> str:
        """The directory; empty: anywhere."""

    @property
    def allow_outside_root(self) -> bool:
        """Whether it is only a prefix of names."""


def image_confinement(root: Root) -> Confinement | None:
    """Where image files have to lie; None: anywhere, as where there is no `image_root`.

    Raises:
        DataError: an `image_root` with a null character.
    """
    if not root.image_root or root.allow_outside_root:
        return None
    try:
        return Confinement.to(root.image_root, REMARK)
    except ValueError as error:
        raise DataError(f"image_root cannot be used: {error}") from error


def image_source(root: Root) -> ImageReading:
    """How image files are read for a model, which is given their bytes.

    Raises:
        DataError: an `image_root` with a null character.
    """
    return ImageReading(path_prefix=root.image_root, confinement=image_confinement(root))


def predict_files(
    predict: Callable[[list[bytes]], Any], names: Sequence[str], source: ImageReading
) -> tuple[Any, list[str]]:
    """What `predict` says of the content of some files, or, of each that cannot be read, why.

    Returns:
        (predictions, no problems) or (None, problems).
    """
    try:
        return predict([file_bytes(name, source) for name in names]), []
    except InputError:
        return None, [problem for name in names if (problem := _problem(predict, name, source))]


def _problem(predict: Callable[[list[bytes]], Any], name: str, source: ImageReading) -> str | None:
    try:
        predict([file_bytes(name, source)])
    except InputError as error:
        return f"{name}: {error}"
    return None
