"""From the lists of Open Images to `points.json` and `index.json`, out of core: as Parquet, then range by range."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from pyramid.datasets.boxes import BOXES, CLIPPED, BoxOptions, keep_boxes
from pyramid.datasets.image_index import IMAGES, IndexCounts, keep_images
from pyramid.datasets.json_items import ItemWriter
from pyramid.datasets.points import SIDES
from pyramid.datasets.ranges import divide, in_ranges, parts, range_starts, read_range, rows_of_ids
from pyramid.datasets.sampling import balanced, sample
from pyramid.errors import DataError
from pyramid.progress import Report
from pyramid.storage.files import folder_beside, naming_file, whole_files

BOXES_AT_ONCE = 300_000
_NULL = re.compile(rb',"(?:md5|size|rotation)":null')


@dataclass(frozen=True)
class PointOptions:
    """What points are made of.

    Attributes:
        annotations, images: the CSV files of boxes and of the index.
        boxes: which boxes are kept.
        max_images: at most so many images.
        per_class: so many images of each class, see `sampling.balanced`.
        seed: of both.
    """

    annotations: Path
    images: Path
    boxes: BoxOptions
    max_images: int | None = None
    per_class: int | None = None
    seed: int = 0


@dataclass(frozen=True)
class PointCounts:
    """What became of the lists.

    Attributes:
        images, boxes: how many are in the points.
        left_out: why boxes are not, and how many for each reason.
        clipped: how many boxes went over the edge of their picture.
        not_in_index: the ids of images with boxes that the index does not have, or has without a URL.
        index: what was in the index.
        repeated: how many rows of the index repeat an id; the first one counts.
    """

    images: int
    boxes: int
    left_out: dict[str, int]
    clipped: int
    not_in_index: pl.Series
    index: IndexCounts
    repeated: int


def make_points(options: PointOptions, points: Path, index: Path, report: Report) -> PointCounts:
    """Write `points` (see `pyramid.datasets.points`) and `index`, `[{"id", "url"}]` with md5, size and rotation where
    they are known; both sorted by id.

    Raises:
        DataError: no box is left.
        InputError: a file cannot be read, a column is missing or a record is damaged; says where.
        WorkspaceError: a file cannot be written.
    """
    with folder_beside(points, "tables") as folder:
        reasons = keep_boxes(options.annotations, options.boxes, folder, _part(report, 0, 0.4))
        clipped = reasons.pop(CLIPPED, 0)
        if not parts(folder, BOXES):
            raise DataError(f"{options.annotations}: no box is left: {_told(reasons)}")
        starts = range_starts(folder, BOXES, BOXES_AT_ONCE)
        divide(folder, BOXES, starts)
        wanted = rows_of_ids(folder, BOXES, len(starts))
        counts = keep_images(options.images, wanted.get_column("id"), folder, _part(report, 0.4, 0.7))
        divide(folder, IMAGES, starts)
        found = rows_of_ids(folder, IMAGES, len(starts))
        if not len(found):
            raise DataError(f"{options.images}: none of the {len(wanted)} images with boxes is in it")
        missing = wanted.join(found, on="id", how="anti", maintain_order="left").get_column("id")
        known = wanted.join(found.select("id"), on="id", how="semi", maintain_order="left")
        repeated = int(found.get_column("len").sum()) - len(found)
        del wanted, found
        chosen = known[_chosen(options, known, folder, starts)]
        with naming_file(points), whole_files() as files:
            writers = ItemWriter(files.new(points)), ItemWriter(files.new(index))
            for share in _write(in_ranges(chosen, starts), folder, *writers):
                report(0.7 + 0.3 * share, message=f"{writers[0].count:,} images written")
            for writer in writers:
                writer.end()
    n_boxes = int(chosen.get_column("len").sum())
    return PointCounts(len(chosen), n_boxes, dict(reasons), clipped, missing, counts, repeated)


def _part(report: Report, start: float, end: float) -> Report:
    return lambda progress, **facts: report(start + (end - start) * progress, **facts)


def _told(reasons: Counter[str]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in reasons.items()) or "there is none"


def _chosen(options: PointOptions, known: pl.DataFrame, folder: Path, starts: pl.Series) -> np.ndarray:
    """Which of the known images are taken: positions, ascending."""
    chosen = np.arange(len(known))
    if options.per_class is not None:
        numbered = known.select("id").with_row_index("image")
        pairs = pl.concat(
            read_range(folder, BOXES, position, ["id", "label"])
            .join(images, on="id")
            .select("image", pl.col("label").to_physical())
            .unique()
            for position, images in enumerate(in_ranges(numbered, starts))
            if len(images)
        )
        images, classes = (pairs.get_column(name).to_numpy() for name in ("image", "label"))
        chosen = balanced(images, classes, len(known), options.per_class, options.seed)
    if options.max_images is not None:
        chosen = chosen[sample(len(chosen), options.max_images, options.seed)]
    return chosen


def _write(
    ranges: Sequence[pl.DataFrame], folder: Path, points: ItemWriter, index: ItemWriter
) -> Iterator[float]:
    """Write the chosen images, given by their ids in each range; tells the share that is done."""
    for position, ids in enumerate(ranges):
        if len(ids):
            images = read_range(folder, IMAGES, position).join(
                ids, on="id", how="semi", maintain_order="left"
            )
            boxes = read_range(folder, BOXES, position).join(ids, on="id", how="semi", maintain_order="left")
            _write_range(images.unique("id", keep="first", maintain_order=True), boxes, points, index)
        yield (position + 1) / len(ranges)


def _write_range(images: pl.DataFrame, boxes: pl.DataFrame, points: ItemWriter, index: ItemWriter) -> None:
    rotation = pl.when(pl.col("rotation") != 0).then(pl.col("rotation"))
    grouped = boxes.group_by("id", maintain_order=True).agg(
        pl.struct("id", "label", "confidence", *SIDES).alias("annotations")
    )
    turned = grouped.join(images.select("id", rotation), on="id", how="left", maintain_order="left")
    points.add_lines(_json_lines(turned.select("id", "rotation", "annotations")), len(turned))
    index.add_lines(_json_lines(images), len(images))


def _json_lines(frame: pl.DataFrame) -> bytes:
    """An object a row, with a line end between; what is null is left out."""
    # a quote within a text has a backslash before it, so that no text looks like this
    return _NULL.sub(b"", frame.write_ndjson().encode().rstrip(b"\n"))
