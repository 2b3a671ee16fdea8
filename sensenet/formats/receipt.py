"""Whether an export says what its model says: an independent program runs it, on points made from the facts."""

from __future__ import annotations

import copy
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from sensenet.detection import Boxes, Suppression, non_max_suppression
from sensenet.errors import SensenetError, SettingsError, WeightsError, first_line
from sensenet.formats import FORMATS
from sensenet.formats.base import MAX_SECONDS, Arrays, Consumer, Format, PathLike
from sensenet.formats.samples import Call, sample_calls

TOLERANCE = 1e-5
"""Of float32 numbers; of numbers above 1 as a share of them, of coordinates as a share of the image's larger side."""

READ_BACK = "sensenet"


@dataclass(frozen=True)
class Receipt:
    """What came of trying an export.

    Attributes:
        format: of the file.
        path: of the file.
        consumer: the program that ran it; "sensenet" where we read it ourselves; None where nothing could.
        points: how many rows or images were tried.
        largest_difference: of an output (of detectors a score) from what the model says, of numbers above 1 as a
            share of them; None where nothing ran. Infinite, in JSON null, for NaN or another number of outputs.
        moved_boxes: of detectors, how many boxes are missing, lie elsewhere, or are of another class. Coordinates are
            whole pixels; one that is half-way between two pixels, but for `TOLERANCE`, may be either.
        seconds: that it took.
    """

    format: str
    path: str
    consumer: str | None
    points: int
    largest_difference: float | None
    moved_boxes: int | None
    seconds: float

    @property
    def agrees(self) -> bool | None:
        """Whether it gave the same within `TOLERANCE`; None where nothing ran it."""
        if self.consumer is None:
            return None
        difference = self.largest_difference
        return difference is not None and difference <= TOLERANCE and not self.moved_boxes

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "agrees": self.agrees}


def check_export(
    model: Any,
    path: PathLike,
    to_format: str,
    max_start_seconds: float | None = None,
    max_seconds: float = MAX_SECONDS,
    seed: int = 0,
) -> Receipt:
    """Try an exported file on sample points.

    The first consumer of the format runs it that is installed (and starts in time); where there is none we read it
    back, if we can.

    Args:
        model: what was exported.
        path: the file or directory, which has to be one of ours: a consumer runs whatever it holds.
        to_format: a name in `FORMATS`.
        max_start_seconds: consumers that take longer to start are passed over; None: none is.
        max_seconds: after which a consumer that is a process of its own is ended.
        seed: of the points.

    Raises:
        SettingsError: an unknown format.
        WeightsError: the consumer fails, or takes longer; says why.
    """
    if to_format not in FORMATS:
        raise SettingsError(f"to_format: expected one of {', '.join(FORMATS)}, got {to_format!r}")
    start = time.monotonic()
    chosen, calls = FORMATS[to_format], sample_calls(model.facts(), seed)
    consumer = _consumer(chosen, max_start_seconds)
    difference, moved, name = None, None, None
    if consumer is not None or chosen.read is not None:
        wanted = [_answer(model, call, chosen.keeps_boxes) for call in calls]
        given = (
            _read_back(chosen, model, path, calls)
            if consumer is None
            else _run(consumer, path, calls, max_seconds)
        )
        if chosen.keeps_boxes and _is_detector(model):
            given = [_aligned(*pair) for pair in zip(wanted, given, strict=True)]
        compared = zip(calls, wanted, given, strict=True)
        pairs = [_difference(model, call, chosen.keeps_boxes, *pair) for call, *pair in compared]
        difference = max(pair[0] for pair in pairs)
        moved = sum(pair[1] for pair in pairs) if _is_detector(model) else None
        name = READ_BACK if consumer is None else consumer.name
    seconds = round(time.monotonic() - start, 3)
    n_points = sum(len(call.points) for call in calls)
    return Receipt(to_format, os.fspath(path), name, n_points, difference, moved, seconds)


def _consumer(chosen: Format, max_start_seconds: float | None) -> Consumer | None:
    for consumer in chosen.consumers:
        in_time = max_start_seconds is None or consumer.start_seconds <= max_start_seconds
        if in_time and consumer.is_installed():
            return consumer
    return None


def _run(consumer: Consumer, path: PathLike, calls: Sequence[Call], max_seconds: float) -> list[Arrays]:
    limit = {"max_seconds": max_seconds} if consumer.can_be_ended else {}
    try:
        return [*consumer.run(os.fspath(path), [call.inputs for call in calls], **limit)]
    except SensenetError:
        raise
    except Exception as error:  # programs of others raise errors of any type
        raise WeightsError(
            f"{os.fspath(path)}: {consumer.name} cannot run it: {first_line(error)}"
        ) from error


def _read_back(chosen: Format, model: Any, path: PathLike, calls: Sequence[Call]) -> list[Arrays]:
    assert chosen.read is not None, "nobody else reads it"
    again = chosen.read(path, copy.copy(model))
    return [_answer(again, call, chosen.keeps_boxes) for call in calls]


def _is_detector(model: Any) -> bool:
    return hasattr(model, "all_boxes")


def _answer(model: Any, call: Call, keeps_boxes: bool) -> Arrays:
    """What a model of ours says, as its exports say it."""
    if not _is_detector(model):
        return {"output": model(call.points)}
    found = model.kept_boxes(call.points) if keeps_boxes else model.all_boxes(call.points)
    return {name: np.concatenate([getattr(one, name) for one in found])[None] for name in found[0]._fields}


def _aligned(wanted: Arrays, given: Arrays) -> Arrays:
    """`given` with boxes of equal scores in the order of `wanted`: who is the first of equals, rounding decides."""
    if given["scores"].shape != wanted["scores"].shape:
        return given
    left, order = list(range(given["scores"].shape[1])), []
    for position, score in enumerate(wanted["scores"][0]):
        apart = np.abs(given["boxes"][0, left] - wanted["boxes"][0, position]).sum(axis=1)
        is_other = (np.abs(given["scores"][0, left] - score) > TOLERANCE) | (
            given["classes"][0, left] != wanted["classes"][0, position]
        )
        order.append(left.pop(int(np.lexsort((apart, is_other))[0])))
    return {name: given[name][:, order] for name in wanted}


def _difference(
    model: Any, call: Call, keeps_boxes: bool, wanted: Arrays, given: Arrays
) -> tuple[float, int]:
    """The largest difference of a number, and how many boxes are elsewhere."""
    if "output" in wanted:
        return _largest(wanted["output"], given["output"]), 0
    if given["scores"].shape != wanted["scores"].shape:
        return np.inf, abs(given["scores"].size - wanted["scores"].size)
    is_other = given["classes"] != wanted["classes"]
    if not np.array_equal(given["boxes"], wanted["boxes"]):
        is_other |= _are_elsewhere(given["boxes"], _unrounded(model, call, keeps_boxes), call)
    return _largest(wanted["scores"], given["scores"]), int(is_other.sum())


def _largest(wanted: np.ndarray, given: np.ndarray) -> float:
    if wanted.shape != given.shape:
        return np.inf
    with np.errstate(invalid="ignore"):
        shares = np.abs(given - wanted) / np.maximum(1.0, np.abs(wanted))
    return float(np.nan_to_num(shares, nan=np.inf, posinf=np.inf).max(initial=0.0))


def _are_elsewhere(given: np.ndarray, unrounded: np.ndarray, call: Call) -> np.ndarray:
    """Which boxes (1, n, 4) in whole pixels cannot come of rounding the corners (n, 4): (1, n)."""
    side = max(max(image.shape[:2]) for image in call.points)
    allowed = 0.5 + TOLERANCE * np.maximum(side, np.abs(unrounded))
    return ~(np.abs(given - unrounded.astype(np.float64)) <= allowed).all(axis=-1)


def _unrounded(model: Any, call: Call, keeps_boxes: bool) -> np.ndarray:
    """The corners of the boxes of one image, as `_answer` has them, before they are rounded: (n, 4) float32."""
    (corners,), (every,) = model.unrounded_corners(call.points), model.all_boxes(call.points)
    if not keeps_boxes:
        return np.asarray(corners)
    rule = Suppression(**model.facts()["detection"])
    return np.asarray(corners[non_max_suppression(Boxes(*every), rule)])
