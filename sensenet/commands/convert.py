"""The command `sensenet_convert MODEL OUTPUT --format F`: a model in another format."""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from sensenet.commands.console import installed_version, make_parser, run_command
from sensenet.errors import SettingsError, WeightsError

PROGRAM = "sensenet_convert"
OPTIONS = ("quantize", "page", "runtime")


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
        "Writes a model in another format. Standard output gets one line of JSON: path, format, size_bytes, seconds, "
        "and with --verify what came of it.",
        installed_version(),
    )
    parser.add_argument("model", type=Path, help="a model document (.json, .json.gz) or a bundle (.smbundle)")
    parser.add_argument("output", type=Path, help="the file, or directory, to write")
    parser.add_argument(
        "--format",
        required=True,
        metavar="NAME",
        help="tfjs, tflite, onnx, savedmodel, frozen_graph, smbundle, h5, or another one that docs/exports.md tells of",
    )
    parser.add_argument(
        "--quantize", metavar="TYPE", help="of tflite: weights as float16 or int8 (default: float32)"
    )
    parser.add_argument(
        "--page",
        action="store_true",
        default=None,
        help="of tfjs: add a page that tries the model in a browser",
    )
    parser.add_argument(
        "--runtime",
        metavar="FILE",
        help="of such a page: the tf.es2017.min.js of the npm package @tensorflow/tfjs (default: that of a "
        "node_modules here or above)",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a setting of the model, such as rescale_type=pad; may be given several times",
    )
    parser.add_argument(
        "--verify",
        action="store_true",
        help="run what was written by an independent program, and compare its answers with the model's",
    )
    parsed = parser.parse_args(arguments)
    return run_command(PROGRAM, parsed.debug, lambda: _run(parsed))


def _run(parsed: argparse.Namespace) -> None:
    orjson, wrappers = import_module("orjson"), import_module("sensenet.models.wrappers")
    options = wrappers.check_options(parsed.format, {name: getattr(parsed, name) for name in OPTIONS})
    wrappers.check_output(parsed.model, parsed.output)
    model = wrappers.convertible(parsed.model, dict(map(_setting, parsed.set)))
    start = time.monotonic()
    path = Path(wrappers.convert(model, None, parsed.output, parsed.format, **options))
    result: dict[str, Any] = {
        "path": str(path),
        "format": parsed.format,
        "size_bytes": _size_bytes(path),
        "seconds": round(time.monotonic() - start, 3),
    }
    receipt = None
    if parsed.verify:
        receipt = import_module("sensenet.formats.receipt").check_export(model, path, parsed.format)
        result["verified"] = receipt.as_dict()
    print(orjson.dumps(result).decode(), flush=True)
    if receipt is not None and not _is_as_expected(receipt, parsed.quantize is not None):
        raise WeightsError(_disagreement(receipt))


def _is_as_expected(receipt: Any, is_quantized: bool) -> bool:
    """Whether an export ran and agrees; smaller weights differ, and are meant to, but give numbers."""
    if not is_quantized:
        return bool(receipt.agrees)
    return receipt.largest_difference is not None and math.isfinite(receipt.largest_difference)


def _disagreement(receipt: Any) -> str:
    if receipt.consumer is None:
        return f"--verify: nothing here can run {receipt.path}; docs/exports.md says what can run {receipt.format}"
    return f"{receipt.path}: {receipt.consumer} says something else than the model"


def _setting(text: str) -> tuple[str, Any]:
    """The name and the value of NAME=VALUE; a value is JSON, or else text.

    Raises:
        SettingsError: there is no "=".
    """
    name, equals, value = text.partition("=")
    if not equals:
        raise SettingsError(f"--set: expected NAME=VALUE, got {text!r}")
    orjson = import_module("orjson")
    try:
        return name, orjson.loads(value)
    except orjson.JSONDecodeError:
        return name, value


def _size_bytes(path: Path) -> int:
    """Of a file, or of all files below a directory."""
    if path.is_file():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


if __name__ == "__main__":
    sys.exit(main())
