"""From what a data set states of its images to what is there: sizes, boxes in pixels, and what is wrong with them."""

from __future__ import annotations

import io
import math
import os
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path

from pyramid.datasets.formats.base import Box, BoxedImage, Remark, Remarks, Source, StatedImage
from pyramid.errors import DataError
from pyramid.images.rows import MOST_SHOWN, listed
from pyramid.progress import Report
from sensenet.errors import InputError
from sensenet.preprocess.image_files import Confinement, open_named_file, read_named_file
from sensenet.preprocess.pillow_decoding import image_size

LEAST_SIDE = 0.01
"""Boxes have sides of more pixels, and less beyond an image's border is an error of rounding."""

THREADS = 8
WAITING_PER_THREAD = 4
IMAGES_PER_REPORT = 256

IMAGE_REMARKS = frozenset({Remark.UNREADABLE, Remark.REPEATED})
FINE = frozenset({Remark.CROWD})

Look = Callable[[StatedImage], tuple[int, int, bytes]]
"""The width, the height and, where it is wanted, the content of an image. Raises InputError."""


class Tally:
    """Counts of what could not be taken as it stood, and the first of it in words.

    Attributes:
        counts: of each remark.
    """

    def __init__(self) -> None:
        """Nothing yet."""
        self.counts: Counter[Remark] = Counter()
        self._refused: list[str] = []

    def add(self, remarks: Iterable[tuple[Remark, str]]) -> None:
        """Count some more."""
        for remark, about in remarks:
            self.counts[remark] += 1
            if remark not in FINE and len(self._refused) < MOST_SHOWN:
                self._refused.append(f"{about} ({remark.value})")

    def join(self, other: Tally) -> None:
        """Count what another has counted, too."""
        self.counts.update(other.counts)
        self._refused = (self._refused + other._refused)[:MOST_SHOWN]

    def refuse(self) -> None:
        """Refuse a data set in which anything was wrong.

        Raises:
            DataError: something was; names the first of it.
        """
        count = sum(number for remark, number in self.counts.items() if remark not in FINE)
        if count:
            more = f"\n... and {count - len(self._refused)} more" if count > len(self._refused) else ""
            raise DataError(
                f"{count} boxes or images cannot be taken as they stand:\n{listed(self._refused)}{more}"
            )

    def reasons(self) -> str:
        """The first of what was wrong, a line each."""
        return listed(self._refused)

    def summary(self) -> str:
        """All counts in one line; empty where nothing was wrong."""
        parts = []
        for what, of_images in (("boxes", False), ("images", True)):
            told = [
                f"{self.counts[remark]} {remark.value}"
                for remark in Remark
                if self.counts[remark] and (remark in IMAGE_REMARKS) == of_images
            ]
            parts += [f"{what}: {', '.join(told)}"] if told else []
        return "; ".join(parts)


def look_at_header(root: Path) -> Look:
    """Looks at the headers of files, which lie below a folder wherever their names lead."""
    confinement = _confined(root)

    def look(image: StatedImage) -> tuple[int, int, bytes]:
        with open_named_file(str(root), image.file, confinement) as file:
            return *image_size(file), b""

    return look


def look_at_file(root: Path) -> Look:
    """Reads whole files below a folder, see `look_at_header`."""
    confinement = _confined(root)

    def look(image: StatedImage) -> tuple[int, int, bytes]:
        content = read_named_file(str(root), image.file, confinement)
        try:
            return *image_size(io.BytesIO(content)), content
        except InputError as error:
            raise InputError(f"{image.file}: {error}") from None

    return look


def look_inside(image: StatedImage) -> tuple[int, int, bytes]:
    """Looks at an image whose bytes the data set holds.

    Raises:
        InputError: they are no image.
    """
    content = image.content or b""
    try:
        return *image_size(io.BytesIO(content)), content
    except InputError as error:
        raise InputError(f"{image.file}: {error}") from None


def placed_images(source: Source, with_content: bool, tally: Tally, report: Report) -> Iterator[BoxedImage]:
    """The images of a data set that are there, in its order, several looked at at a time.

    Args:
        source: the data set.
        with_content: whether the bytes of image files are wanted.
        tally: is told of what is left out or changed.
        report: is told of the share that is done.
    """
    if source.root is None:
        look: Look = look_inside
    else:
        look = look_at_file(source.root) if with_content else look_at_header(source.root)
    tally.add(source.remarks)
    seen: set[str] = set()
    placed = _in_order(lambda stated: place(stated, look), source.images)
    for number, (image, remarks) in enumerate(placed):
        if number % IMAGES_PER_REPORT == 0:
            report(number / source.count if source.count else 0.0, message=f"{number} images")
        if image is None:
            tally.add(remarks)
        elif image.file in seen:
            tally.add(((Remark.REPEATED, image.file),))
        else:
            tally.add(remarks)
            seen.add(image.file)
            yield image


def place(stated: StatedImage, look: Look) -> tuple[BoxedImage | None, Remarks]:
    """One image as it is there; None where it cannot be read.

    Raises:
        DataError: a label that is no text.
    """
    try:
        stated.file.encode()
        width, height, content = look(stated)
    except UnicodeEncodeError:
        return None, ((Remark.UNREADABLE, f"{stated.file!r:.200}: expected a name in UTF-8"),)
    except InputError as error:
        return None, ((Remark.UNREADABLE, str(error)),)
    boxes, remarks = [], list(stated.remarks)
    scale = (width, height) if stated.in_shares else (1, 1)
    for place, box in enumerate(stated.boxes):
        _check_label(box.label, f"{stated.file}: box {place}")
        kept, remark = _fitted(box, scale, width, height)
        if kept is not None:
            boxes.append(kept)
        if remark is not None:
            corners = ", ".join(f"{side:g}" for side in box.corners)
            remarks.append((remark, f"{stated.file}: box {place}, [{corners}] in {width} x {height} pixels"))
    image = BoxedImage(stated.file, width, height, tuple(boxes), content, stated.source_id or stated.file)
    return image, tuple(remarks)


def _check_label(label: str, where: str) -> None:
    try:
        label.encode()
    except UnicodeEncodeError:
        raise DataError(f"{where}: the label {label!r:.60} is no text that UTF-8 could hold") from None


def _fitted(box: Box, scale: tuple[int, int], width: int, height: int) -> tuple[Box | None, Remark | None]:
    """A box in pixels, cut off at the border of its image; None where nothing is left of it."""
    x1, y1, x2, y2 = box.x1 * scale[0], box.y1 * scale[1], box.x2 * scale[0], box.y2 * scale[1]
    if not all(map(math.isfinite, (x1, y1, x2, y2))):
        return None, Remark.NOT_FINITE
    if x2 < x1 or y2 < y1:
        return None, Remark.INVERTED
    if min(x2 - x1, y2 - y1) < LEAST_SIDE:
        return None, Remark.EMPTY
    inside = Box(max(x1, 0), max(y1, 0), min(x2, width), min(y2, height), box.label)
    if min(inside.x2 - inside.x1, inside.y2 - inside.y1) < LEAST_SIDE:
        return None, Remark.OUTSIDE
    beyond = max(-x1, -y1, x2 - width, y2 - height)
    return inside, Remark.CLIPPED if beyond > LEAST_SIDE else None


def _confined(root: Path) -> Confinement:
    try:
        return Confinement.to(root, f"{root}, the folder of the images")
    except ValueError as error:  # a null character
        raise DataError(f"{root}: {error}") from error


def _in_order(
    function: Callable[[StatedImage], tuple[BoxedImage | None, Remarks]], images: Iterator[StatedImage]
) -> Iterator[tuple[BoxedImage | None, Remarks]]:
    """What threads make of images, in their order; of more than some at a time nothing is held."""
    threads = min(THREADS, os.cpu_count() or 1)
    waiting: deque[Future[tuple[BoxedImage | None, Remarks]]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        waiting.extend(pool.submit(function, image) for image in islice(images, threads * WAITING_PER_THREAD))
        while waiting:
            yield waiting.popleft().result()
            waiting.extend(pool.submit(function, image) for image in islice(images, 1))
