"""`pyramid_dataset verify`: which pictures can be trusted, and thumbnails of them."""

from __future__ import annotations

import argparse
import filecmp
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pyramid.commands.console import CommandError
from pyramid.commands.datasets.subcommand import Subcommand, add_ray, progress_bar, whole_number
from pyramid.datasets.json_items import item_writer
from pyramid.datasets.points import Point, dump_point, read_points
from pyramid.datasets.verifying.journal import opened_journal
from pyramid.datasets.verifying.pictures import Picture, Resizing
from pyramid.datasets.verifying.verification import verify
from pyramid.datasets.workers import Workers, workers
from pyramid.memory import memory_bytes
from pyramid.progress import Report
from pyramid.storage.files import naming_file
from pyramid.workspace import Workspace
from sensenet.partial_files import remove, temporary_path

USUAL_SIZE = 256
BYTES_PER_PROCESS = 1.5e9
"""The largest picture that is decoded, twice."""


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("directory", type=Path, metavar="DIR", help="the pictures, named by their ids")
    parser.add_argument("--points", type=Path, required=True, metavar="F", help="what the step points wrote")
    parser.add_argument(
        "--output", type=Path, required=True, metavar="F", help="where the points of good pictures go"
    )
    parser.add_argument(
        "--resized", type=Path, metavar="DIR", help="write JPEG thumbnails there, turned upright"
    )
    add_verify_options(parser)
    add_ray(parser)


def add_verify_options(parser: argparse.ArgumentParser) -> None:
    """Declare how pictures are verified."""
    parser.add_argument(
        "--size",
        type=whole_number(1, 65_500),
        default=USUAL_SIZE,
        metavar="n",
        help=f"the most pixels a side of thumbnails (default: {USUAL_SIZE})",
    )
    parser.add_argument(
        "--processes",
        type=whole_number(1, 512),
        default=usual_processes(),
        metavar="n",
        help="how many decode pictures (default: one a processor, as memory allows)",
    )


def usual_processes() -> int:
    """As many as there are processors, and memory for."""
    return max(1, min(os.cpu_count() or 1, int(memory_bytes() / BYTES_PER_PROCESS)))


def _run(parsed: argparse.Namespace) -> str:
    resizing = None if parsed.resized is None else Resizing(str(parsed.resized.absolute()), parsed.size)
    with workers(parsed.processes, parsed.ray) as who:
        return verify_points(parsed.directory.absolute(), parsed.points, parsed.output, resizing, who)


def verify_points(
    directory: Path, points: Path, output: Path, resizing: Resizing | None, who: Workers
) -> str:
    """Write the points whose pictures are good, and the others, with the reasons, beside them.

    Returns:
        The line that sums it up.

    Raises:
        CommandError: thumbnails would overwrite pictures, or not a single picture is good.
    """
    if not directory.is_dir():
        raise CommandError(f"{directory}: there is no such directory of pictures")
    if resizing is not None:
        Workspace.create(resizing.folder)
        if directory.samefile(resizing.folder):
            raise CommandError("--resized has to be another directory than that of the pictures")
    n_points = sum(1 for _ in read_points(points))
    left_out = output.with_suffix(".left_out.json")
    with opened_journal(output.with_suffix(".journal")) as journal, progress_bar("verifying") as report:
        found = verify(read_points(points), directory, resizing, journal, who)
        with _unless_same(output) as new:
            n_good, n_bad, reason = _follow(found, n_points, new, left_out, report)
    if n_bad and not n_good:
        raise CommandError(f"none of {n_points} images has a good picture ({reason}): see {left_out}")
    told = f"; {n_bad} left out, see {left_out}" if n_bad else ""
    where = f", thumbnails in {resizing.folder}" if resizing else ""
    return f"{n_good} of {n_points} pictures are good: {output}{where}{told}"


@contextmanager
def _unless_same(path: Path) -> Iterator[Path]:
    """Where the body writes a file that replaces another, unless its content is the same: whatever was made of that
    need not be made again.
    """
    new = temporary_path(path.with_name(f"{path.name}.new"))
    try:
        yield new
        with naming_file(path):
            if not (path.is_file() and filecmp.cmp(path, new, shallow=False)):
                new.replace(path)
    finally:
        remove(new)


def _follow(
    found: Iterable[tuple[Point, Picture]], n_points: int, output: Path, left_out: Path, report: Report
) -> tuple[int, int, str]:
    """Write what is found; gives how many are good and bad, and a reason."""
    reason = ""
    with item_writer(left_out) as bad, item_writer(output) as good:
        for point, picture in found:
            if picture.reason is None:
                good.add(dump_point(point))
            else:
                reason = picture.reason
                bad.add({"id": point.id, "reason": reason})
            done = good.count + bad.count
            report(
                done / max(n_points, 1), message=f"{done:,} of {n_points:,} pictures, {bad.count:,} left out"
            )
    return good.count, bad.count, reason


VERIFY = Subcommand(
    "verify",
    "Decode every picture wholly, leave out what is broken or missing, and write thumbnails.",
    _add_arguments,
    _run,
)
