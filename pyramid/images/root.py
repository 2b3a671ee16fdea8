"""The directory that the images of a job, or of a command's rows, have to lie in, and predictions of files in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pyramid.errors import DataError
from sensenet.errors import InputError
from sensenet.preprocess.image_files import Confinement
from sensenet.preprocess.reading import ImageReading, file_bytes

REMARK = 'image_root; the setting "allow_outside_root": true would allow it'


def image_confinement(settings: Any) -> Confinement | None:
    """Where image files have to lie; None: anywhere, as where there is no `image_root`.

    Args:
        settings: with `image_root` and `allow_outside_root`.

    Raises:
        DataError: an `image_root` with a null character.
    """
    if not settings.image_root or settings.allow_outside_root:
        return None
    try:
        return Confinement.to(settings.image_root, REMARK)
    except ValueError as error:
        raise DataError(f"image_root cannot be used: {error}") from error


def image_source(settings: Any) -> ImageReading:
    """How the image files of `settings` (see `image_confinement`) are read for a model, which is given their bytes.

    Raises:
        DataError: an `image_root` with a null character.
    """
    return ImageReading(path_prefix=settings.image_root or "", confinement=image_confinement(settings))


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
