"""`--visualize[=n] [--output FILE.png]` of the commands that show batches of images."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from pyramid.commands.console import CommandError
from pyramid.commands.contact_sheet import Picture, draw_sheet
from pyramid.workspace import write_bytes

VISUALIZE = "--visualize"
MOST_BATCHES = 100


def add_visualize(parser: argparse.ArgumentParser, meaning: str) -> None:
    """Give a command's parser both options.

    Args:
        meaning: the help of `--visualize`.
    """
    parser.add_argument(VISUALIZE, metavar="n", nargs="?", const=1, type=_batches, help=meaning)
    parser.add_argument(
        "--output", metavar="FILE.png", type=Path, help=f"with {VISUALIZE}: write the picture there"
    )


def parse_visualize(parser: argparse.ArgumentParser, arguments: Sequence[str]) -> argparse.Namespace:
    """Parse the arguments of a command that has them; wrong ones end the process with 2."""
    # the number comes behind "=" only: without one, the next word is the config
    parsed = parser.parse_args([f"{VISUALIZE}=1" if word == VISUALIZE else word for word in arguments])
    if parsed.output is not None and parsed.visualize is None:
        parser.error(f"argument --output: it says where {VISUALIZE} writes, which is not there")
    if parsed.output is not None and parsed.output.suffix.lower() != ".png":
        parser.error(f"argument --output: expected a name that ends in .png, got '{parsed.output}'")
    return parsed


def check_display(output: Path | None) -> None:
    """Look before anything is made whether it can be shown.

    Raises:
        CommandError: there is no file to write and no display.
    """
    if output is None and not _has_display():
        raise CommandError("there is no display to show images on; --output FILE.png writes them")


def show_batches(batches: Sequence[Sequence[Picture]], output: Path | None, title: str) -> None:
    """Draw batches on one sheet: into a window where there is a display, and into a file where one is named.

    Raises:
        WorkspaceError: the file cannot be written.
    """
    sheet = draw_sheet(batches)
    if output is not None:
        encoded = io.BytesIO()
        sheet.save(encoded, format="PNG")
        output.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(output, encoded.getvalue())
        print(output)
    if _has_display():
        sheet.show(title=title)


def _has_display() -> bool:
    return sys.platform in ("darwin", "win32") or any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY")
    )


def _batches(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MOST_BATCHES:
        raise argparse.ArgumentTypeError(
            f"expected a number of batches from 1 to {MOST_BATCHES}, got '{text}'"
        )
    return int(text)
