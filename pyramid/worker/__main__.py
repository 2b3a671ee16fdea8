"""The command `pyramid TIMEOUT`."""

from __future__ import annotations

import argparse
import faulthandler
import os
import re
import sys
from collections.abc import Sequence

from pyramid import __version__
from pyramid.worker.child import DEBUG_OPTION, EXECUTOR
from pyramid.worker.child_limits import ChildLimits
from pyramid.worker.supervisor import Supervisor

EXIT_USAGE = 2


def main(arguments: Sequence[str] | None = None, command: Sequence[str] = EXECUTOR) -> None:
    """Be a worker, and exit as it does.

    Args:
        arguments: those of the command line (default: `sys.argv`).
        command: starts a process that runs jobs.

    Raises:
        SystemExit: always; 0 after idling, `terminate` or the end of the input, 2 on bad arguments, 130 and 143 after
            SIGINT and SIGTERM, 141 when nobody reads the answers any more.
    """
    parser = _parser()
    parsed = parser.parse_args(arguments)
    try:
        limits = ChildLimits.from_environment(os.environ)
    except ValueError as error:
        parser.exit(EXIT_USAGE, f"pyramid: error: {error}\n")
    _fill_standard_descriptors()
    if parsed.debug:
        faulthandler.enable()
        command = (*command, DEBUG_OPTION)
    sys.exit(Supervisor(parsed.timeout, limits, command, parsed.debug).run())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pyramid",
        description="Runs the jobs whose files are named on standard input, one path a line; answers on standard "
        "output. The lines 'terminate' and 'cancel JOB_ID' are commands.",
    )
    parser.add_argument("--version", action="version", version=f"Pyramid {__version__}")
    parser.add_argument(
        DEBUG_OPTION,
        action="store_true",
        help="write more to standard error: tracebacks of failed jobs, the logs of TensorFlow and Python from the "
        "level DEBUG on, and where a process was when it crashed",
    )
    parser.add_argument(
        "timeout", metavar="TIMEOUT", type=_seconds, help="seconds without a job after which the worker ends"
    )
    return parser


def _seconds(text: str) -> float:
    if not re.fullmatch(r"\d+(\.\d*)?|\.\d+", text) or not float(text) > 0:
        raise argparse.ArgumentTypeError(f"expected a number of seconds greater than 0, got '{text}'")
    return float(text)


def _fill_standard_descriptors() -> None:
    """Open those of 0, 1 and 2 that are closed, lest a socket of ours gets one of these numbers."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


if __name__ == "__main__":
    main()
