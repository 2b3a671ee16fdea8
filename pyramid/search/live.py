"""What people see of a search while it runs."""

from __future__ import annotations

import contextlib
import math
import os
import time
from typing import Protocol, TextIO

from pyramid.report_page.units import shown_number
from pyramid.search.clock import Clock
from pyramid.search.driver import Progress

PLAIN_SECONDS = 10.0
HEADINGS = ("best loss", "candidate", "done", "running", "failed", "left")
WIDTHS = (9, 34, 6, 7, 6, 7)
USUAL_WIDTH = 80


class Watcher(Protocol):
    """Is told how a fit goes."""

    def say(self, message: str) -> None:
        """A warning, or what has been found out."""

    def phase(self, name: str) -> None:
        """What is being done from now on."""

    def show(self, progress: Progress, clock: Clock) -> None:
        """How far the search is; called several times a second."""

    def close(self) -> None:
        """No more is to come."""


class Unwatched:
    """A watcher for nobody."""

    def say(self, message: str) -> None:
        """Nothing."""

    def phase(self, name: str) -> None:
        """Nothing."""

    def show(self, progress: Progress, clock: Clock) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


class PlainLines:
    """Lines for a file or a pipe: each message, each phase, and from time to time how far the search is."""

    def __init__(self, stream: TextIO):
        """Write to `stream`."""
        self._stream = stream
        self._shown_at = time.monotonic()
        self._done = 0

    def say(self, message: str) -> None:
        """Write it."""
        _write(self._stream, f"{message}\n")

    def phase(self, name: str) -> None:
        """Write it."""
        self.say(f"{name} ...")

    def show(self, progress: Progress, clock: Clock) -> None:
        """Write a line when there is something new and the last one is some seconds old."""
        now, done = time.monotonic(), len(progress.outcomes)
        if done == self._done or now - self._shown_at < PLAIN_SECONDS:
            return
        self._shown_at, self._done = now, done
        told = zip(HEADINGS, cells(progress, clock), strict=True)
        self.say(", ".join(f"{name} {value}" for name, value in told if value))

    def close(self) -> None:
        """Nothing is left open."""


class LiveTable:
    """Two lines of a terminal that are written again and again; messages go above them."""

    def __init__(self, stream: TextIO):
        """Write to `stream`, a terminal."""
        self._stream = stream
        self._lines: list[str] = []

    def say(self, message: str) -> None:
        """Write it above the table."""
        lines = self._lines
        self._draw([])
        _write(self._stream, f"{message}\n")
        self._draw(lines)

    def phase(self, name: str) -> None:
        """Show it in place of the table."""
        self._draw([f"{name} ..."])

    def show(self, progress: Progress, clock: Clock) -> None:
        """Draw the table anew."""
        rows = (HEADINGS, cells(progress, clock))
        self._draw([_aligned(row) for row in rows])

    def close(self) -> None:
        """Take it away."""
        self._draw([])

    def _draw(self, lines: list[str]) -> None:
        width = _width(self._stream) - 1
        lines = [line[:width] for line in lines]
        if lines == self._lines:
            return
        # to the first line of what stands there, and clear all from there on
        back = f"\x1b[{len(self._lines)}A" if self._lines else ""
        _write(self._stream, f"{back}\r\x1b[J" + "".join(f"{line}\n" for line in lines))
        self._lines = lines


def terminal_or_lines(stream: TextIO | None) -> Watcher:
    """What suits a stream; None is one that was closed before we began."""
    if stream is None:
        return Unwatched()
    return LiveTable(stream) if stream.isatty() else PlainLines(stream)


def cells(progress: Progress, clock: Clock) -> tuple[str, ...]:
    """The values under the headings."""
    best = progress.best
    left = max(0.0, clock.left)
    return (
        "-" if best is None else shown_number(best.loss),
        "-" if best is None else f"{best.candidate.job_id} {best.candidate.title}",
        str(progress.n_done),
        str(progress.running),
        str(progress.n_failed),
        "" if math.isinf(left) else f"{left:.0f} s",
    )


def _write(stream: TextIO, text: str) -> None:
    """Write it; where nobody reads any more, a disk is full or a signal comes in the middle, the fit goes on untold."""
    with contextlib.suppress(OSError, ValueError, RuntimeError):
        stream.write(text)
        stream.flush()


def _width(stream: TextIO) -> int:
    columns = 0
    with contextlib.suppress(OSError, ValueError):
        columns = os.get_terminal_size(stream.fileno()).columns
    return columns or USUAL_WIDTH


def _aligned(row: tuple[str, ...]) -> str:
    return "  ".join(
        f"{cell:<{width}.{width}}" if place == 1 else f"{cell:>{width}}"
        for place, (cell, width) in enumerate(zip(row, WIDTHS, strict=True))
    )
