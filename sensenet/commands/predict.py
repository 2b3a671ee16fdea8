"""The command `sensenet_predict MODEL INPUT...`: what a model says of every row of a table, or of images."""

from __future__ import annotations

import argparse
import mimetypes
import subprocess
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from sensenet.commands.console import installed_version, make_parser, run_command
from sensenet.commands.predict_table import predict_table
from sensenet.commands.reading_options import add_reading_options
from sensenet.errors import InputError
from sensenet.files import open_regular

PROGRAM = "sensenet_predict"
ISOLATE = "--isolate"
SIGNATURE_BYTES = 16
FOR_TABLES = ("probabilities", "delimiter", "encoding", "no_header", "image_root")
FOR_IMAGES = ("min_score", "draw", "labels")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: those of the command line (default: `sys.argv`).

    Returns:
        The exit code: 0, 1 for anything that went wrong, 130 after an interrupt.

    Raises:
        SystemExit: 2 on wrong arguments, 0 after `--help` and `--version`.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    parsed = _parser().parse_args(given)
    if not parsed.isolate:
        return run_command(PROGRAM, parsed.debug, lambda: _run(parsed))
    codes: list[int] = []
    rest = [argument for argument in given if argument != ISOLATE]
    return run_command(PROGRAM, parsed.debug, lambda: codes.append(_isolated(rest))) or codes[0]


def _parser() -> argparse.ArgumentParser:
    parser = make_parser(
        PROGRAM,
        "Predicts every row of a table, or images, with a model. The columns of a table are found by their names; "
        "others are ignored. What a column lacks or the model does not know counts as missing, and is told on standard "
        "error. An image gives a line of JSON.",
        installed_version(),
    )
    parser.add_argument(
        "model",
        type=Path,
        help="a model document (.json, .json.gz) or a bundle (.smbundle); for images also a SavedModel, a TFLite or "
        "ONNX file of ours, or a detector's frozen graph",
    )
    parser.add_argument(
        "inputs",
        nargs="+",
        metavar="input",
        help="one table: CSV with any delimiter, JSON lines, a JSON list of objects, each perhaps gzipped, or Parquet; "
        "or images, files or addresses (http, https)",
    )
    parser.add_argument(
        "--output", type=Path, metavar="FILE", help="where the answers go (default: standard output)"
    )
    parser.add_argument(
        ISOLATE,
        action="store_true",
        help="predict in a process of its own, so that all memory, of an accelerator too, is free afterwards",
    )
    tables = parser.add_argument_group("tables")
    tables.add_argument(
        "--probabilities",
        action="store_true",
        help="of a classifier: a column for the probability of each class",
    )
    add_reading_options(tables)
    tables.add_argument(
        "--image-root", metavar="DIR", help="the folder of image files (default: that of the table)"
    )
    images = parser.add_argument_group("images")
    images.add_argument(
        "--min-score",
        type=float,
        metavar="SCORE",
        help="a box's score has to be above it (default: 0.5, or what the model was exported with)",
    )
    images.add_argument(
        "--draw",
        type=Path,
        metavar="DIR",
        help="of a detector: the folder for pictures with the boxes on them",
    )
    images.add_argument(
        "--labels", type=Path, metavar="FILE", help="a label map (.pbtxt) with other names for the classes"
    )
    return parser


def _run(parsed: argparse.Namespace) -> None:
    if _is_table(parsed.inputs):
        _refuse(parsed, FOR_IMAGES, "images")
        predict_table(parsed, Path(parsed.inputs[0]))
        return
    _refuse(parsed, FOR_TABLES, "tables")
    predict_images = import_module("sensenet.commands.predict_images").predict_images
    predict_images(parsed)


def _is_table(inputs: Sequence[str]) -> bool:
    """Whether the inputs are a table: one file that neither is an image nor is called like one.

    Raises:
        OSError, InputError: it cannot be read.
    """
    if len(inputs) > 1 or import_module("sensenet.preprocess.remote_images").is_address(inputs[0]):
        return False
    try:
        with open_regular(inputs[0]) as file:
            head = file.read(SIGNATURE_BYTES)
    except ValueError as error:  # a null character
        raise InputError(f"{inputs[0]!r}: cannot be read: {error}") from error
    kind, _ = mimetypes.guess_type(inputs[0])
    is_called_image = kind is not None and kind.startswith("image/")
    image_format = import_module("sensenet.preprocess.pillow_decoding").image_format
    return image_format(head) is None and not is_called_image


def _refuse(parsed: argparse.Namespace, names: Sequence[str], what: str) -> None:
    """Refuse options that would change nothing.

    Raises:
        InputError: names the first of them.
    """
    for name in names:
        if getattr(parsed, name) not in (None, False):
            raise InputError(f"--{name.replace('_', '-')}: it is for {what}")


def _isolated(arguments: Sequence[str]) -> int:
    """Run the command in a process of its own; its exit code.

    Raises:
        InputError: the process was killed.
    """
    # -P: modules that lie where it is called are not those of Python
    command = [sys.executable, "-P", "-m", "sensenet.commands.predict", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=_descriptor(sys.stderr)) as process:
        assert process.stdout is not None, "it was asked for"
        for line in process.stdout:
            sys.stdout.buffer.write(line)
            sys.stdout.buffer.flush()
    if process.returncode < 0:
        raise InputError(f"{ISOLATE}: the process that predicted was ended by signal {-process.returncode}")
    return process.returncode


def _descriptor(stream: Any) -> int | None:
    """Where a stream leads: descriptor 2 itself is hidden while a command runs. None: it has no descriptor."""
    try:
        return int(stream.fileno())
    except (AttributeError, OSError, ValueError):
        return None


if __name__ == "__main__":
    sys.exit(main())
