"""The command `pyramid_dataset STEP ...`: from the files of a published data set to pictures and boxes to train on."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from pyramid.commands.console import answer, make_parser, run_command
from pyramid.commands.datasets.classes import CLASSES
from pyramid.commands.datasets.download import DOWNLOAD
from pyramid.commands.datasets.formats import EXPORT, IMPORT, LABEL_MAP, RECORDS, SHOW
from pyramid.commands.datasets.openimages import OPENIMAGES
from pyramid.commands.datasets.points import POINTS
from pyramid.commands.datasets.subcommand import Subcommand
from pyramid.commands.datasets.verify import VERIFY

PROGRAM = "pyramid_dataset"

SUBCOMMANDS: Mapping[str, Subcommand] = MappingProxyType(
    {
        step.name: step
        for step in (CLASSES, POINTS, DOWNLOAD, VERIFY, LABEL_MAP, RECORDS, IMPORT, EXPORT, SHOW, OPENIMAGES)
    }
)
"""All steps, in the order in which they are usually taken."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: those of the command line (default: `sys.argv`).

    Returns:
        The exit code: 0, 1 for anything that went wrong, 130 after an interrupt.

    Raises:
        SystemExit: 2 on wrong arguments, 0 after `--help` and `--version`.
    """
    parsed = _parse(sys.argv[1:] if arguments is None else arguments)
    subcommand = SUBCOMMANDS[parsed.step]
    return run_command(PROGRAM, parsed.debug, lambda: answer(subcommand.run(parsed)))


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = make_parser(
        PROGRAM,
        "Makes pictures and boxes to train on of the files of published data sets, a step at a time. Each step can be "
        "run again: what is done is not done twice.",
    )
    steps = parser.add_subparsers(dest="step", metavar="STEP", required=True)
    for subcommand in SUBCOMMANDS.values():
        step = steps.add_parser(
            subcommand.name, help=subcommand.help, description=subcommand.help, allow_abbrev=False
        )
        step.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
        subcommand.add_arguments(step)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
