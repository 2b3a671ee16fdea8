"""The boxes of Open Images: a CSV of millions of rows becomes Parquet files of those that are kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import polars as pl

from pyramid.datasets.columns import frames_of, is_safe, is_set, number_of, open_list
from pyramid.progress import Report

FLAGS: Mapping[str, str] = MappingProxyType(
    {
        "group-of": "IsGroupOf",
        "depiction": "IsDepiction",
        "inside": "IsInside",
        "occluded": "IsOccluded",
        "truncated": "IsTruncated",
    }
)
"""What can be said of boxes, and the columns that say it."""

SIDES: Mapping[str, str] = MappingProxyType({"x0": "XMin", "x1": "XMax", "y0": "YMin", "y1": "YMax"})
IMAGE, LABEL, CONFIDENCE = "ImageID", "LabelName", "Confidence"
BOXES = "boxes"
"""What the names of their files begin with."""
CLIPPED = "clipped"
_REASON = "reason"


@dataclass(frozen=True)
class BoxOptions:
    """Which boxes are kept.

    Attributes:
        labels: of these classes.
        min_confidence: at least so sure, 0 to 1; a box without confidence is sure.
        without: names in `FLAGS`: none of which this is said.
    """

    labels: Sequence[str]
    min_confidence: float = 0.0
    without: Sequence[str] = ()


def keep_boxes(path: Path, options: BoxOptions, folder: Path, report: Report) -> Counter[str]:
    """Write the boxes that are kept as Parquet files: id, label (an Enum of the labels), confidence, x0, x1, y0, y1.

    Args:
        path: the CSV of boxes.
        folder: where the files go, numbered in the order of the rows.
        report: told of the share that is done.

    Returns:
        Why boxes are left out, and how many for each reason; under `CLIPPED` those that are kept, but went over the
        edge of their picture.

    Raises:
        InputError: the file cannot be read, a column is missing or a record is damaged; says where.
    """
    flags = [FLAGS[name] for name in options.without]
    table = open_list(path, (IMAGE, LABEL, *SIDES.values(), *flags))
    counts: Counter[str] = Counter()
    columns = (IMAGE, LABEL, CONFIDENCE, *SIDES.values(), *flags)
    for number, frame in enumerate(frames_of(table, columns, report)):
        judged = _judged(frame, options)
        for reason, count in judged.get_column(_REASON).drop_nulls().value_counts().iter_rows():
            counts[reason] += count
        kept = judged.filter(pl.col(_REASON).is_null())
        counts[CLIPPED] += int(kept.get_column(CLIPPED).sum())
        if len(kept):
            kept.drop(_REASON, CLIPPED).write_parquet(folder / f"{BOXES}-{number:06}.parquet")
    return +counts


def _judged(frame: pl.DataFrame, options: BoxOptions) -> pl.DataFrame:
    """The boxes, clipped to their pictures, with the reason why each is left out, or null."""
    raw = {side: number_of(column) for side, column in SIDES.items()}
    flagged = [pl.when(is_set(FLAGS[name])).then(pl.lit(name)) for name in options.without]
    boxes = frame.select(
        pl.col(IMAGE).alias("id"),
        pl.col(LABEL).cast(pl.Enum(options.labels), strict=False).alias("label"),
        pl.when(pl.col(CONFIDENCE).is_null()).then(1.0).otherwise(number_of(CONFIDENCE)).alias("confidence"),
        *(value.clip(0, 1).alias(side) for side, value in raw.items()),
        is_safe(IMAGE).alias("is_safe"),
        pl.all_horizontal(value.is_not_null() for value in raw.values()).alias("has_sides"),
        pl.any_horizontal(~value.is_between(0, 1) for value in raw.values()).fill_null(False).alias(CLIPPED),
        pl.coalesce(*flagged, pl.lit(None, pl.String)).alias("flag"),
    )
    reason = (
        pl.when(pl.col("label").is_null())
        .then(pl.lit("of other classes"))
        .when(~pl.col("is_safe"))
        .then(pl.lit("an image id that is no name of a file"))
        .when(~pl.col("has_sides"))
        .then(pl.lit("a side that is no finite number"))
        .when((pl.col("x0") >= pl.col("x1")) | (pl.col("y0") >= pl.col("y1")))
        .then(pl.lit("empty, inverted or outside of the picture"))
        .when(~pl.col("confidence").is_between(0, 1).fill_null(False))
        .then(pl.lit("a confidence that is no number from 0 to 1"))
        .when(pl.col("confidence") < options.min_confidence)
        .then(pl.lit("below the least confidence"))
        .otherwise(pl.col("flag"))
        .alias(_REASON)
    )
    return boxes.with_columns(reason).drop("is_safe", "has_sides", "flag")
