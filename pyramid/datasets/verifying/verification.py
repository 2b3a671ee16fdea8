"""Points in their order, with what is found of their pictures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from pyramid.datasets.done_before import file_state
from pyramid.datasets.picture_files import found_picture
from pyramid.datasets.points import Point
from pyramid.datasets.verifying.journal import Journal
from pyramid.datasets.verifying.pictures import MISSING, Picture, Resizing, check_picture, turned
from pyramid.datasets.workers import Wait, Workers, chunks
from sensenet.files import is_file

CHUNK = 32
REPEATED = "an earlier point has its id"

Found = list[tuple[Point, Picture]]
Chunk = Sequence[tuple[Point, bool]]
"""Points, and whether each is the first one of its id."""


def verify(
    points: Iterable[Point], folder: Path, resizing: Resizing | None, journal: Journal, workers: Workers
) -> Iterator[tuple[Point, Picture]]:
    """Each point with its picture; what the journal knows is not decoded again.

    Where there is a picture, the point tells its file and sides; boxes are turned with a thumbnail. Of several points
    of one id, which would be turned into one file, only the first has a picture.

    Raises:
        OSError: a thumbnail cannot be written (`filename` is its path).
    """

    def begun() -> Iterator[Wait]:
        for chunk in chunks(_with_first(points), CHUNK):
            yield _begin(chunk, folder, resizing, journal, workers)

    for found in workers.in_order(begun()):
        for point, picture in found:
            yield _completed(point, picture, resizing), picture


def _with_first(points: Iterable[Point]) -> Iterator[tuple[Point, bool]]:
    seen: set[str] = set()
    for point in points:
        yield point, point.id not in seen
        seen.add(point.id)


def _begin(chunk: Chunk, folder: Path, resizing: Resizing | None, journal: Journal, workers: Workers) -> Wait:
    states = {point.id: _state(point, folder, resizing) for point, is_first in chunk if is_first}
    there = {id_: state for id_, state in states.items() if state is not None}
    known = {id_: picture for id_, picture in journal.found(there).items() if _is_written(picture, resizing)}
    new = [point for point, is_first in chunk if is_first and point.id in there and point.id not in known]
    wait = workers.submit(
        _check_pictures, str(folder), [(point.id, point.rotation) for point in new], resizing
    )
    return partial(_end, chunk, there, known, wait, journal)


def _end(
    chunk: Chunk, states: dict[str, str], known: dict[str, Picture], wait: Wait, journal: Journal
) -> Found:
    new: dict[str, Picture] = wait()
    journal.add(states, new)
    found = known | new
    missing, repeated = Picture(reason=MISSING), Picture(reason=REPEATED)
    return [(point, found.get(point.id, missing) if is_first else repeated) for point, is_first in chunk]


def _check_pictures(
    folder: str, images: Sequence[tuple[str, int]], resizing: Resizing | None
) -> dict[str, Picture]:
    return {id_: check_picture(folder, id_, rotation, resizing) for id_, rotation in images}


def _state(point: Point, folder: Path, resizing: Resizing | None) -> str | None:
    """What changes with a picture and with what is to be made of it; None: there is no picture."""
    path = found_picture(folder, point.id)
    if path is None:
        return None
    made = None if resizing is None else (resizing.folder, resizing.size, point.rotation)
    return f"{path.name} {file_state(path)} {made}"


def _is_written(picture: Picture, resizing: Resizing | None) -> bool:
    """Whether the thumbnail of a picture is there, as long as it was: a disk may have lost it with its power."""
    if resizing is None or picture.reason is not None:
        return True
    path = Path(resizing.folder, picture.file)
    return is_file(path) and path.stat().st_size == picture.size


def _completed(point: Point, picture: Picture, resizing: Resizing | None) -> Point:
    if picture.reason is not None:
        return point
    verified = replace(point, file=picture.file, width=picture.width, height=picture.height)
    if resizing is None:
        return verified
    return replace(verified, annotations=turned(point.annotations, point.rotation), rotation=0)
