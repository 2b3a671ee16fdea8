"""The command `savedmodel2czmodel MODEL_SPEC OUTPUT_PATH OUTPUT_NAME`: an exported model becomes a CZModel."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from sensenet.commands.console import installed_version, make_parser, run_command

PROGRAM = "savedmodel2czmodel"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: those of the command line (default: `sys.argv`).

    Returns:
        The exit code: 0, 1 for anything that went wrong, 130 after an interrupt.

    Raises:
        SystemExit: 2 on wrong arguments, 0 after `--help` and `--version`.
    """
    parser = make_parser(
        PROGRAM,
        "Converts a SavedModel that gives the class of every pixel to a CZModel for ZEN. TensorFlow runs what a "
        "SavedModel says: convert none of somebody you do not trust.",
        installed_version(),
    )
    parser.add_argument("model_spec", type=Path, help="the JSON file with the metadata and the model's path")
    parser.add_argument("output_path", type=Path, help="the folder of the CZModel")
    parser.add_argument("output_name", help="its name there, and the model's")
    parser.add_argument(
        "--spatial-dims",
        type=int,
        nargs=2,
        metavar=("HEIGHT", "WIDTH"),
        help="of the tiles that the CZModel takes (default: the model's own)",
    )
    parsed = parser.parse_args(arguments)
    return run_command(PROGRAM, parsed.debug, lambda: _run(parsed))


def _run(parsed: argparse.Namespace) -> None:
    convert_from_json_spec = import_module("sensenet.formats.czmodel").convert_from_json_spec
    print(
        convert_from_json_spec(
            parsed.model_spec, parsed.output_path, parsed.output_name, spatial_dims=parsed.spatial_dims
        )
    )


if __name__ == "__main__":
    sys.exit(main())
