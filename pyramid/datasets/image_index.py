"""The index of Open Images: a CSV of millions of images becomes Parquet files of those that have boxes."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import polars as pl

from pyramid.datasets.columns import frames_of, number_of, open_list
from pyramid.datasets.points import ROTATIONS
from pyramid.progress import Report

IMAGE, URL, SIZE, MD5, ROTATION = "ImageID", "OriginalURL", "OriginalSize", "OriginalMD5", "Rotation"
IMAGES = "images"
"""What the names of their files begin with."""
COLUMNS = (IMAGE, URL, MD5, SIZE, ROTATION)


class IndexCounts(NamedTuple):
    """What was in an index.

    Attributes:
        rows: how many rows.
        without_boxes: how many of them are of images without boxes that are kept.
        without_url: how many of the others have no URL.
    """

    rows: int
    without_boxes: int
    without_url: int


def keep_images(path: Path, ids: pl.Series, folder: Path, report: Report) -> IndexCounts:
    """Write what the index says of some images as Parquet files: id, url, md5, size, rotation; the last three may miss.

    Args:
        path: the CSV of images.
        ids: of the images that are wanted, each once.
        folder: where the files go, numbered in the order of the rows.
        report: told of the share that is done.

    Raises:
        InputError: the file cannot be read, a column is missing or a record is damaged; says where.
    """
    table = open_list(path, (IMAGE, URL))
    wanted = ids.alias("id").to_frame()
    rows, with_boxes, with_url = 0, 0, 0
    for number, frame in enumerate(frames_of(table, COLUMNS, report)):
        found = _typed(frame).join(wanted, on="id", how="semi", maintain_order="left")
        kept = found.filter(pl.col("url").is_not_null())
        rows, with_boxes, with_url = rows + len(frame), with_boxes + len(found), with_url + len(kept)
        kept.write_parquet(folder / f"{IMAGES}-{number:06}.parquet")
    return IndexCounts(rows, rows - with_boxes, with_boxes - with_url)


def _typed(frame: pl.DataFrame) -> pl.DataFrame:
    size, rotation = number_of(SIZE), number_of(ROTATION)
    return frame.select(
        pl.col(IMAGE).alias("id"),
        pl.col(URL).str.strip_chars().alias("url"),
        pl.col(MD5).str.strip_chars().alias("md5"),
        pl.when(size >= 1).then(size).cast(pl.Int64, strict=False).alias("size"),
        pl.when(rotation.is_in(list(map(float, ROTATIONS)))).then(rotation).cast(pl.Int64).alias("rotation"),
    )
