"""What every command does alike: its answer on standard output, its errors as one line each, its exit codes."""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from pyramid import __version__
from pyramid.errors import PyramidError, SettingsError
from pyramid.tensorflow_setup import hidden_notices, prepare_tensorflow
from sensenet.errors import SensenetError

EXIT_FINE, EXIT_FAILED, EXIT_INTERRUPTED = 0, 1, 130


class CommandError(PyramidError):
    """What a command cannot do for the person who asked; the message says why."""


def make_parser(program: str, description: str) -> argparse.ArgumentParser:
    """A parser with the options of every command; wrong arguments end the process with 2."""
    parser = argparse.ArgumentParser(prog=program, description=description, allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"{program} {__version__}")
    parser.add_argument(
        "--debug", action="store_true", help="show the traceback of an error, and what libraries log, too"
    )
    return parser


def run_command(program: str, debug: bool, command: Callable[[], None]) -> int:
    """Run a command: the one place where whatever goes wrong becomes a line on standard error.

    Args:
        program: its name.
        debug: whether the traceback is shown, too.

    Returns:
        The exit code.
    """
    prepare_tensorflow(debug)
    try:
        with hidden_notices(debug):
            command()
        sys.stdout.flush()
    except KeyboardInterrupt:
        _say(program, "interrupted")
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # nobody reads any more; what is left in the buffer must not be tried again at the end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED
    except Exception as error:
        if _was_interrupted(error):
            _say(program, "interrupted")
            return EXIT_INTERRUPTED
        if debug:
            traceback.print_exc()
        for line in error_lines(error):
            _say(program, line)
        return EXIT_FAILED
    return EXIT_FINE


def _was_interrupted(error: BaseException | None) -> bool:
    """Whether an interrupt is behind an error: of a library that was being imported it makes an ImportError."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


def error_lines(error: BaseException) -> list[str]:
    """An error for people: one line, and one for each rule that settings break."""
    if isinstance(error, SettingsError):
        return [f"{violation.path or '/'}: {violation.message}" for violation in error.violations]
    if isinstance(error, (PyramidError, SensenetError)):
        return [str(error)]
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return [f"{error.filename}: {error.strerror}"]
    words = " ".join(str(error).split())
    return [f"unexpected {type(error).__name__}: {words}; --debug shows where"]


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


def _say(program: str, line: str) -> None:
    print(f"{program}: error: {line}", file=sys.stderr, flush=True)
