"""What the commands of pyramid do alike, beside what all commands do."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from pyramid import __version__
from pyramid.errors import PyramidError, SettingsError
from sensenet.commands import console


class CommandError(PyramidError):
    """What a command cannot do for the person who asked; the message says why."""


def make_parser(program: str, description: str) -> argparse.ArgumentParser:
    """A parser with the options of every command; wrong arguments end the process with 2."""
    return console.make_parser(program, description, __version__)


def run_command(program: str, debug: bool, command: Callable[[], None]) -> int:
    """Run a command, see `sensenet.commands.console.run_command`; settings have a line for each rule they break."""
    return console.run_command(program, debug, command, error_lines)


def error_lines(error: BaseException) -> list[str]:
    """An error for people: one line, and one for each rule that settings break."""
    if isinstance(error, SettingsError):
        return [f"{violation.path or '/'}: {violation.message}" for violation in error.violations]
    return [str(error)] if isinstance(error, PyramidError) else console.error_lines(error)


def answer(text: str) -> None:
    """Print what a long command has to say; where nobody reads it, or a disk is full, the work goes on without it."""
    try:
        print(text, flush=True)
    except OSError as error:
        # what is left in the buffer must not be tried again
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        print(f"warning: standard output takes no more: {error.strerror}", file=sys.stderr, flush=True)


def read_json_file(path: Path) -> Any:
    """The JSON value in a file that a person names.

    Raises:
        CommandError: it cannot be read, or is not JSON; says where it breaks.
    """
    try:
        return orjson.loads(path.read_bytes())
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror or error}") from error
    except orjson.JSONDecodeError as error:
        raise CommandError(f"{path} is not valid JSON: {error}") from error
