"""Options of all commands that read tables."""

from __future__ import annotations

import argparse
import sys
from importlib import import_module
from typing import Any


def add_reading_options(parser: argparse._ActionsContainer) -> None:
    """The options that say how a table is read, for a parser or a group of one."""
    parser.add_argument(
        "--delimiter", metavar="CHARACTER", help='what stands between values, such as ";" or tab'
    )
    parser.add_argument(
        "--encoding", metavar="NAME", help="of a file of text, such as cp1252 (default: UTF-8)"
    )
    parser.add_argument(
        "--no-header",
        action="store_true",
        help="the first line is a row: columns are called column_1, column_2, ...",
    )


def reading_of(parsed: argparse.Namespace) -> Any:
    """What these options ask for, as a `sensenet.tables.source.Reading`."""
    source = import_module("sensenet.tables.source")
    return source.Reading(parsed.delimiter, parsed.encoding, not parsed.no_header)


def warn(message: str) -> None:
    """Tell people something on standard error."""
    print(f"warning: {message}", file=sys.stderr, flush=True)
