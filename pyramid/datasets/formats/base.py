"""What a format is, and the images that go from one to another."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import NamedTuple, Self

from sensenet.label_map import LabelMapItem

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp"})
IMAGES_FOLDER = "images"
DEFAULT_SPLIT = "train"


class Box(NamedTuple):
    """A box of a class, in pixels or in shares of an image's width and height."""

    x1: float
    y1: float
    x2: float
    y2: float
    label: str

    @classmethod
    def of(cls, corners: Iterable[float], label: str) -> Self:
        """A box of x1, y1, x2, y2 and a label."""
        x1, y1, x2, y2 = corners
        return cls(x1, y1, x2, y2, label)

    @property
    def corners(self) -> tuple[float, float, float, float]:
        """All but the label."""
        return self[:4]


class Remark(Enum):
    """What is said of a box, or of an image, that cannot be taken as it stands."""

    CLIPPED = "clipped"
    OUTSIDE = "outside of their images"
    INVERTED = "inverted"
    EMPTY = "without area"
    NOT_FINITE = "not finite"
    UNKNOWN_CLASS = "of unknown classes"
    CROWD = "of crowds"
    NO_IMAGE = "of no image"
    UNREADABLE = "cannot be read"
    REPEATED = "are named twice"


Remarks = tuple[tuple[Remark, str], ...]
"""Remarks with what each is about, and why."""


@dataclass(frozen=True, slots=True)
class StatedImage:
    """An image and its boxes as a data set states them.

    Attributes:
        file: its name below the data set's folder of images.
        boxes: in pixels of the file, or in shares of its width and height; of any numbers.
        in_shares: which of both.
        content: the bytes of the image file, where the data set holds them itself.
        source_id: what the data set calls the image; empty: as the file.
        remarks: on what the data set states and `boxes` cannot say.
    """

    file: str
    boxes: Sequence[Box]
    in_shares: bool = False
    content: bytes | None = None
    source_id: str = ""
    remarks: Remarks = ()


@dataclass(frozen=True, slots=True)
class BoxedImage:
    """An image that is there, and boxes in it.

    Attributes:
        file: its name below a folder of images.
        width, height: in pixels.
        boxes: in pixels, with area, none reaching beyond the image.
        content: the bytes of the file; empty where nobody asked for them.
        source_id: what its data set calls it.
    """

    file: str
    width: int
    height: int
    boxes: tuple[Box, ...]
    content: bytes
    source_id: str


@dataclass(frozen=True)
class Source:
    """A data set to read.

    Attributes:
        images: in its order.
        root: the folder of the image files; None: the data set holds their bytes.
        count: how many images there are; None: not known before they are read.
        remarks: on what is of none of the images.
    """

    images: Iterator[StatedImage]
    root: Path | None
    count: int | None = None
    remarks: Iterable[tuple[Remark, str]] = ()


@dataclass(frozen=True)
class ReadOptions:
    """How a data set is read.

    Attributes:
        image_root: the folder of the image files; None: where the format has it.
        split: the part to read; None: what the format begins with.
        classes: names of numbers, for formats that may have numbers alone.
    """

    image_root: Path | None = None
    split: str | None = None
    classes: tuple[LabelMapItem, ...] = ()


@dataclass(frozen=True)
class WriteOptions:
    """How a data set is written.

    Attributes:
        folder: where to.
        split: what this part of the data set is called.
        classes: all classes, in the order of their numbers.
        shards: over how many files records are spread.
    """

    folder: Path
    split: str
    classes: tuple[LabelMapItem, ...]
    shards: int = 1


@dataclass(frozen=True)
class Format:
    """A way to store images with boxes.

    Attributes:
        name: what people call it.
        read: opens a data set, a file or a folder. Raises DataError or InputError, also while images are taken.
        write: writes images, all of whose labels are of the options' classes; gives the path to tell of.
    """

    name: str
    read: Callable[[Path, ReadOptions], Source]
    write: Callable[[Iterable[BoxedImage], WriteOptions], Path]


def images_below(folder: Path, options: ReadOptions) -> Path:
    """The folder of image files: as stated, else `images` in a folder where there is one, else the folder."""
    if options.image_root is not None:
        return options.image_root
    return folder / IMAGES_FOLDER if (folder / IMAGES_FOLDER).is_dir() else folder
