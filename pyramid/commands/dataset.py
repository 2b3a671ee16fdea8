"""The command `pyramid_dataset STEP ...`: from the files of a published data set to pictures and boxes to train on."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from types import MappingProxyType

from pyramid.commands.console import answer, make_parser, run_command
from pyramid.commands.datasets.subcommand import Subcommand

PROGRAM = "pyramid_dataset"

SUBCOMMANDS: Mapping[str, str] = MappingProxyType(
    {
        "classes": "classes",
        "points": "points",
        "download": "download",
        "verify": "verify",
        "label-map": "formats",
        "records": "formats",
        "import": "formats",
        "export": "formats",
        "show": "formats",
        "openimages": "openimages",
    }
)
"""All steps, and the modules of `pyramid.commands.datasets` that hold them; only what is asked for is imported."""


def subcommand(name: str) -> Subcommand:
    """A step by its name: the constant `LABEL_MAP` in its module is `label-map`."""
    module = import_module(f"pyramid.commands.datasets.{SUBCOMMANDS[name]}")
    found: Subcommand = getattr(module, name.upper().replace("-", "_"))
    return found


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
    run = subcommand(parsed.step).run
    return run_command(PROGRAM, parsed.debug, lambda: answer(run(parsed)))


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = make_parser(
        PROGRAM,
        "Makes pictures and boxes to train on of the files of published data sets, a step at a time. Each step can be "
        "run again: what is done is not done twice.",
    )
    steps = parser.add_subparsers(dest="step", metavar="STEP", required=True)
    asked = [argument for argument in arguments if argument in SUBCOMMANDS][:1]
    for name in asked or SUBCOMMANDS:
        found = subcommand(name)
        step = steps.add_parser(name, help=found.help, description=found.help, allow_abbrev=False)
        step.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
        found.add_arguments(step)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
