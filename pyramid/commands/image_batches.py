"""Predictions of many image files, some at a time, with a bar."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from pyramid.errors import DataError
from pyramid.images.rows import listed

if TYPE_CHECKING:
    from pyramid.images.root import Root

IMAGES_PER_CALL = 64


def predict_batches(predict: Callable[[list[bytes]], Any], names: Sequence[str], root: Root) -> Iterator[Any]:
    """What `predict` says of the content of some files at a time; the bar is on standard error.

    Raises:
        DataError: images that cannot be read; names up to twenty of a batch.
    """
    files = import_module("pyramid.images.root")
    source = files.image_source(root)
    with tqdm(total=len(names), desc="predicting", unit="image", leave=False, file=sys.stderr) as bar:
        for start in range(0, len(names), IMAGES_PER_CALL):
            batch = list(names[start : start + IMAGES_PER_CALL])
            predicted, problems = files.predict_files(predict, batch, source)
            if problems:
                raise DataError(f"images cannot be read:\n{listed(problems)}")
            yield predicted
            bar.update(len(batch))
