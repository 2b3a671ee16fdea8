"""What a subcommand of `pyramid_dataset` is, and what several of them need."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tqdm import tqdm

from pyramid.progress import Report

MOST_NAMED = 10
BAR = "{desc} {percentage:3.0f}%|{bar}| {elapsed}"


@dataclass(frozen=True)
class Subcommand:
    """One step of the work on a data set.

    Attributes:
        name: what people type.
        help: what it does, in one line.
        add_arguments: declares its arguments.
        run: does it, with a progress bar on standard error; gives the line that sums it up.
    """

    name: str
    help: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], str]


@contextmanager
def progress_bar(title: str) -> Iterator[Report]:
    """A bar on standard error, and what moves it; its message stands behind the title."""
    with tqdm(total=1.0, desc=title, bar_format=BAR, leave=False, file=sys.stderr) as bar:

        def report(progress: float, **facts: Any) -> None:
            if message := facts.get("message"):
                bar.set_description_str(f"{title}: {message}", refresh=False)
            bar.update(min(1.0, progress) - bar.n)

        yield report


def named(names: Sequence[str], count: int | None = None) -> str:
    """The first of some names for people.

    Args:
        names: some or all of them.
        count: how many there are in all; None: those.
    """
    more = (len(names) if count is None else count) - min(len(names), MOST_NAMED)
    shown = ", ".join(f"{name:.60}" for name in names[:MOST_NAMED])
    return f"{shown} and {more} more" if more else shown


def whole_number(least: int, most: int = 2**31) -> Callable[[str], int]:
    """The type of an argument that is a whole number in a range."""

    def parse(text: str) -> int:
        if not (text.isascii() and text.isdecimal() and least <= int(text) <= most):
            raise argparse.ArgumentTypeError(f"expected a whole number from {least} to {most}, got '{text}'")
        return int(text)

    return parse


def number(least: float, most: float) -> Callable[[str], float]:
    """The type of an argument that is a number in a range."""

    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"expected a number from {least:g} to {most:g}, got '{text}'")
        return value

    return parse


def add_ray(parser: argparse.ArgumentParser) -> None:
    """Declare on whose machines the work is done."""
    parser.add_argument(
        "--ray",
        metavar="ADDRESS",
        help="work on a Ray cluster whose nodes see the same files: auto, ray://HOST:PORT ... (needs pyramid[ray])",
    )
