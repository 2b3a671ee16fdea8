"""What every command does alike: its answer on standard output, its errors as one line each, its exit codes."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import traceback
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version

from sensenet.errors import SensenetError
from sensenet.tensorflow_setup import hidden_notices, prepare_tensorflow

DISTRIBUTION = "pyramid"
EXIT_FINE, EXIT_FAILED, EXIT_INTERRUPTED = 0, 1, 130


def error_lines(error: BaseException) -> list[str]:
    """An error for people, in one line."""
    if isinstance(error, SensenetError):
        return [str(error)]
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return [f"{error.filename}: {error.strerror}"]
    words = " ".join(str(error).split())
    return [f"unexpected {type(error).__name__}: {words}; --debug shows where"]


def make_parser(program: str, description: str, version: str) -> argparse.ArgumentParser:
    """A parser with the options of every command; wrong arguments end the process with 2."""
    parser = argparse.ArgumentParser(prog=program, description=description, allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"{program} {version}")
    parser.add_argument(
        "--debug", action="store_true", help="show the traceback of an error, and what libraries log, too"
    )
    return parser


def installed_version() -> str:
    """The version of what is installed, for `make_parser`."""
    try:
        return version(DISTRIBUTION)
    except PackageNotFoundError:
        return "(not installed)"


def run_command(
    program: str,
    debug: bool,
    command: Callable[[], None],
    said_of: Callable[[BaseException], list[str]] = error_lines,
) -> int:
    """Run a command: the one place where whatever goes wrong becomes a line on standard error.

    Args:
        program: its name.
        debug: whether the traceback is shown, too.
        said_of: the lines that tell people of an error.

    Returns:
        The exit code.
    """
    prepare_tensorflow(debug)
    try:
        with hidden_notices(debug):
            command()
        if sys.stdout is not None:
            sys.stdout.flush()
    except KeyboardInterrupt:
        _say(program, "interrupted")
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # nobody reads any more; what is left in the buffer must not be tried again at the end
        if sys.stdout is not None:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED
    except Exception as error:
        if _was_interrupted(error):
            _say(program, "interrupted")
            return EXIT_INTERRUPTED
        if debug:
            traceback.print_exc()
        for line in said_of(error):
            _say(program, line)
        return EXIT_FAILED
    return EXIT_FINE


def _was_interrupted(error: BaseException | None) -> bool:
    """Whether an interrupt is behind an error: of a library that was being imported it makes an ImportError."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


def _say(program: str, line: str) -> None:
    if sys.stderr is not None:
        with contextlib.suppress(OSError):
            print(f"{program}: error: {line}", file=sys.stderr, flush=True)
