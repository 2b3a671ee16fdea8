"""What goes into each file of records, read and looked up once, for whoever writes that file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pyramid.datasets.formats.base import Box, Remark, StatedImage
from pyramid.progress import Report

BUFFERED_CHARACTERS = 2**25
IMAGES_PER_REPORT = 4096


def divide(images: Iterable[StatedImage], parts: Sequence[Path], report: Report) -> list[int]:
    """Write images, whose boxes are in shares, into files in turn: the n-th into that of n modulo their number.

    Args:
        parts: the files, which are not there yet.
        report: told how many there are so far.

    Returns:
        How many are in each.

    Raises:
        DataError, InputError: as taking the images does.
        OSError: a file cannot be written.
    """
    counts, n_characters = [0] * len(parts), 0
    waiting: list[list[str]] = [[] for _ in parts]
    for place, image in enumerate(images):
        number, line = place % len(parts), json.dumps(_packed(image)) + "\n"
        counts[number] += 1
        waiting[number].append(line)
        n_characters += len(line)
        if n_characters > BUFFERED_CHARACTERS:
            _append(parts, waiting)
            waiting, n_characters = [[] for _ in parts], 0
        if place % IMAGES_PER_REPORT == 0:
            report(0.0, message=f"{place:,} points read")
    _append(parts, waiting)
    return counts


def read_part(part: Path) -> Iterator[StatedImage]:
    """The images in one file that `divide` has written."""
    with part.open(encoding="ascii") as file:
        for line in file:
            yield _unpacked(json.loads(line))


def _append(parts: Sequence[Path], waiting: Sequence[Sequence[str]]) -> None:
    for path, lines in zip(parts, waiting, strict=True):
        # one after the other: so many files may not be open at once
        with path.open("a", encoding="ascii") as file:
            file.writelines(lines)


def _packed(image: StatedImage) -> list[Any]:
    remarks = [(remark.name, about) for remark, about in image.remarks]
    return [image.file, image.source_id, image.boxes, remarks]


def _unpacked(packed: Sequence[Any]) -> StatedImage:
    file, source_id, boxes, remarks = packed
    told = tuple((Remark[name], about) for name, about in remarks)
    return StatedImage(file, [Box(*box) for box in boxes], in_shares=True, source_id=source_id, remarks=told)
