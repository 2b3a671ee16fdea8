"""From points to TFRecords: a file at a time, by whoever does the work; the bytes are the same."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

from pyramid.datasets.conversion import Count
from pyramid.datasets.done_before import earlier_report, file_state, write_report
from pyramid.datasets.formats.base import BoxedImage
from pyramid.datasets.formats.open_images import stated_points
from pyramid.datasets.formats.placing import placed_images
from pyramid.datasets.formats.tfrecord import shard_paths, write_records
from pyramid.datasets.points import read_points
from pyramid.datasets.workers import Workers
from pyramid.errors import DataError
from pyramid.progress import Report, ignore
from sensenet.label_map import LabelMapItem


def make_records(
    points: Path,
    images: Path,
    classes: Sequence[LabelMapItem],
    output: Path,
    shards: int,
    report: Report,
    who: Workers | None = None,
) -> str:
    """Write points and their images as records, unless that is done.

    Args:
        points: a file of points.
        images: the folder of the images.
        classes: all classes; boxes of others are left out.
        output: the file of records, or where its shards are named after; the points go into them in turn.
        shards: how many files there are.
        report: told of the share that is done.
        who: writes the files; None: this process.

    Returns:
        The counts in one line.

    Raises:
        DataError, InputError: points, classes or images that cannot be read.
        WorkspaceError: a file cannot be written.
    """
    paths = shard_paths(output, shards)
    made_from = _made_from(points, images, classes)
    if (told := earlier_report(paths, made_from)) is not None:
        return str(told["summary"])
    count, n_points = Count(), sum(1 for _ in read_points(points))
    if who is None:
        parts: Iterable[Count] = (
            write_shard(points, images, classes, path, place, shards, n_points, report)
            for place, path in enumerate(paths)
        )
    else:
        parts = who.in_order(
            who.submit(write_shard, points, images, classes, path, place, shards, n_points)
            for place, path in enumerate(paths)
        )
    for place, part in enumerate(parts, start=1):
        count.add(part)
        report(place / shards, message=f"{count.images:,} images")
    try:
        count.check(is_strict=False)
    except DataError:
        for path in paths:
            path.unlink(missing_ok=True)
        raise
    write_report(paths, made_from, {"summary": count.summary()})
    return count.summary()


def write_shard(
    points: Path,
    images: Path,
    classes: Sequence[LabelMapItem],
    path: Path,
    place: int,
    shards: int,
    n_points: int,
    report: Report = ignore,
) -> Count:
    """Write one file of records: of every `shards` points the one at `place`.

    Raises:
        DataError, InputError, WorkspaceError: as `make_records`.
    """
    count = Count()
    every = stated_points(points, images, classes)
    source = replace(every, images=islice(every.images, place, None, shards), count=-(-n_points // shards))

    def reports(progress: float, **facts: object) -> None:
        report((place + progress) / shards, **facts)

    def counted_images() -> Iterator[BoxedImage]:
        yield from count.of(placed_images(source, True, count.tally, reports))

    write_records(path, 1, counted_images(), classes)
    return count


def _made_from(points: Path, images: Path, classes: Sequence[LabelMapItem]) -> list[object]:
    """What records hang on; of images, when one of them was put into the folder or replaced there."""
    try:
        states = [file_state(points), file_state(images)]
    except OSError as error:
        raise DataError(f"{error.filename} cannot be read: {error.strerror}") from error
    return [*states, str(images.absolute()), [[item.id, item.name, item.display_name] for item in classes]]
