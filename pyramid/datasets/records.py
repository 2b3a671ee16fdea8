"""From points to TFRecords: a file at a time, by whoever does the work; the bytes are the same."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from pyramid.datasets.conversion import Count
from pyramid.datasets.done_before import earlier_report, file_state, write_report
from pyramid.datasets.formats.base import Source
from pyramid.datasets.formats.files import make_folder
from pyramid.datasets.formats.open_images import stated_points
from pyramid.datasets.formats.placing import placed_images
from pyramid.datasets.formats.tfrecord import shard_paths, write_records
from pyramid.datasets.shard_parts import divide, read_part
from pyramid.datasets.workers import Workers
from pyramid.errors import DataError
from pyramid.progress import Report, ignore
from pyramid.storage.files import folder_beside, naming_file
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
    make_folder(output.parent)
    count = Count()
    with folder_beside(output, "parts") as folder:
        files = [folder / f"{place:05}" for place in range(shards)]
        with naming_file(folder):
            sizes = divide(stated_points(points, images, classes).images, files, report)
        calls = [
            (file, images, classes, path, size) for file, path, size in zip(files, paths, sizes, strict=True)
        ]
        if who is None:
            parts: Iterable[Count] = (
                write_shard(*call, _part(report, place, shards)) for place, call in enumerate(calls)
            )
        else:
            parts = who.in_order(who.submit(write_shard, *call) for call in calls)
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


def _part(report: Report, place: int, shards: int) -> Report:
    return lambda progress, **facts: report((place + progress) / shards, **facts)


def write_shard(
    part: Path,
    images: Path,
    classes: Sequence[LabelMapItem],
    path: Path,
    n_images: int,
    report: Report = ignore,
) -> Count:
    """Write one file of records.

    Args:
        part: what `divide` has written for it.
        images: the folder of the images.
        classes: all classes.
        path: the file.
        n_images: how many images are in the part.
        report: told of the share that is done.

    Raises:
        DataError, InputError, WorkspaceError: as `make_records`.
    """
    count = Count()
    source = Source(read_part(part), images, n_images)
    write_records(path, 1, count.of(placed_images(source, True, count.tally, report)), classes)
    return count


def _made_from(points: Path, images: Path, classes: Sequence[LabelMapItem]) -> list[object]:
    """What records hang on; of images, when one of them was put into the folder or replaced there."""
    try:
        states = [file_state(points), file_state(images)]
    except OSError as error:
        raise DataError(f"{error.filename} cannot be read: {error.strerror}") from error
    return [*states, str(images.absolute()), [[item.id, item.name, item.display_name] for item in classes]]
