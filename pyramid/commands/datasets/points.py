"""`pyramid_dataset points`: the boxes of each image, and where the images are."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from pyramid.commands.datasets.classes import add_class_arguments, kept_labels
from pyramid.commands.datasets.subcommand import (
    MOST_NAMED,
    Subcommand,
    named,
    number,
    progress_bar,
    whole_number,
)
from pyramid.datasets.boxes import FLAGS, BoxOptions
from pyramid.datasets.classes import read_descriptions
from pyramid.datasets.done_before import earlier_report, file_state, write_report
from pyramid.datasets.making_points import PointCounts, PointOptions, make_points


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--annotations", type=Path, required=True, metavar="F", help="the CSV of boxes")
    parser.add_argument(
        "--images", type=Path, required=True, metavar="F", help="the CSV of images and their URLs"
    )
    add_class_arguments(parser, descriptions_required=False)
    parser.add_argument(
        "--points", type=Path, default=Path("points.json"), metavar="F", help="default: points.json"
    )
    parser.add_argument(
        "--index", type=Path, default=Path("images.json"), metavar="F", help="default: images.json"
    )
    add_box_options(parser)


def add_box_options(parser: argparse.ArgumentParser) -> None:
    """Declare which boxes and images are kept."""
    parser.add_argument(
        "--min-confidence",
        type=number(0, 1),
        default=0.0,
        metavar="c",
        help="leave out boxes that are less sure, 0 to 1",
    )
    parser.add_argument(
        "--without",
        type=_flags,
        default=(),
        metavar="WHAT,...",
        help=f"leave out boxes that are known to be: {', '.join(FLAGS)}",
    )
    parser.add_argument("--max-images", type=whole_number(1), metavar="N", help="draw at most so many images")
    parser.add_argument(
        "--per-class", type=whole_number(1), metavar="N", help="draw images until each class is on so many"
    )
    parser.add_argument(
        "--seed", type=whole_number(0), default=0, metavar="S", help="of what is drawn (default: 0)"
    )


def box_options(parsed: argparse.Namespace, labels: list[str]) -> BoxOptions:
    """Which boxes the arguments of `add_box_options` keep of some classes."""
    return BoxOptions(labels, parsed.min_confidence, parsed.without)


def _flags(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(","))
    if unknown := [name for name in names if name not in FLAGS]:
        raise argparse.ArgumentTypeError(f"expected some of {', '.join(FLAGS)}, got '{unknown[0]:.40}'")
    return names


def _run(parsed: argparse.Namespace) -> str:
    names = {} if parsed.descriptions is None else read_descriptions(parsed.descriptions)
    labels = kept_labels(parsed.trainable, names, parsed.hierarchy, parsed.under)
    unnamed = [label for label in labels if label not in names] if names else []
    options = PointOptions(
        parsed.annotations,
        parsed.images,
        box_options(parsed, labels),
        parsed.max_images,
        parsed.per_class,
        parsed.seed,
    )
    return write_points(options, parsed.points, parsed.index, unnamed)


def write_points(options: PointOptions, points: Path, index: Path, unnamed: list[str]) -> str:
    """Write points and index, unless they have been made from the same before; a report says what was left out.

    Args:
        unnamed: labels without description, for the report.

    Returns:
        The line that sums it up.
    """
    made_from = _made_from(options)
    if earlier := earlier_report((points, index), made_from):
        return f"{earlier['summary']} (done before)"
    with progress_bar("points") as report:
        counts = make_points(options, points, index, report)
    summary = _summary(counts, points, index, unnamed)
    facts = {
        "summary": summary,
        "images": counts.images,
        "boxes": counts.boxes,
        "boxes_left_out": counts.left_out,
        "boxes_clipped": counts.clipped,
        "images_not_in_index": counts.not_in_index.to_list(),
        "index_rows": counts.index.rows,
        "index_rows_without_boxes": counts.index.without_boxes,
        "index_rows_without_url": counts.index.without_url,
        "index_rows_repeated": counts.repeated,
        "labels_without_description": unnamed,
    }
    write_report((points, index), made_from, facts)
    return summary


def _made_from(options: PointOptions) -> dict[str, Any]:
    boxes = options.boxes
    return {
        "files": [[str(path), *file_state(path)] for path in (options.annotations, options.images)],
        "labels": list(boxes.labels),
        "min_confidence": boxes.min_confidence,
        "without": list(boxes.without),
        "max_images": options.max_images,
        "per_class": options.per_class,
        "seed": options.seed,
    }


def _summary(counts: PointCounts, points: Path, index: Path, unnamed: list[str]) -> str:
    parts = [f"{counts.images:,} images with {counts.boxes:,} boxes: {points}, {index}"]
    if counts.left_out:
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in sorted(counts.left_out.items()))
        parts.append(f"boxes left out: {reasons}")
    if counts.clipped:
        parts.append(f"{counts.clipped:,} boxes clipped to their pictures")
    if missing := len(counts.not_in_index):
        shown = named(counts.not_in_index.head(MOST_NAMED).to_list(), missing)
        parts.append(f"{missing:,} images with boxes are not in the index, or without a URL there: {shown}")
    if counts.repeated:
        parts.append(f"{counts.repeated:,} rows of the index repeat an id, the first counts")
    if unnamed:
        parts.append(f"{len(unnamed)} labels without description: {named(unnamed)}")
    return "; ".join(parts)


POINTS = Subcommand(
    "points",
    "Write the boxes of each image, and the ids and URLs of the images, as JSON.",
    _add_arguments,
    _run,
)
