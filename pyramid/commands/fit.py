"""The command `pyramid_fit TABLE --objective NAME`: from a table to the best model that can be found in some time."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Collection, Iterable, Sequence
from contextlib import redirect_stdout
from importlib import import_module
from pathlib import Path

from pyramid.commands.console import CommandError, answer, make_parser, run_command
from pyramid.search.choices import DEFAULT_SECONDS, LOOKAHEAD, TREE_KINDS
from sensenet.commands.reading_options import add_reading_options, reading_of, warn

PROGRAM = "pyramid_fit"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: those of the command line (default: `sys.argv`).

    Returns:
        The exit code: 0, also after an interrupt that left a model, 1 for anything that went wrong, 130 after an
        interrupt that left none.

    Raises:
        SystemExit: 2 on wrong arguments, 0 after `--help` and `--version`.
    """
    parsed = _parser().parse_args(arguments)
    return run_command(PROGRAM, parsed.debug, lambda: _run(parsed))


def _parser() -> argparse.ArgumentParser:
    parser = make_parser(
        PROGRAM,
        "Searches for a model that predicts a column of a table from the others, and writes it as final_model.json. "
        "Progress goes to standard error, the leaderboard and what the model is worth to standard output. Ctrl-C "
        "makes a model of what there is.",
    )
    parser.add_argument("table", type=Path, help="CSV and the like (.gz, too), Parquet, JSON lines")
    parser.add_argument("--objective", required=True, metavar="NAME", help="the column that is predicted")
    parser.add_argument(
        "--output", type=Path, metavar="DIR", help="where everything is written (default: TABLE_model)"
    )
    _add_search_options(parser)
    _add_table_options(parser)
    return parser


def _add_search_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("the search")
    group.add_argument(
        "--time",
        type=float,
        metavar="SECONDS",
        help=f"that all may take (default: {DEFAULT_SECONDS:g}, or no limit with --max-candidates or --quick)",
    )
    group.add_argument(
        "--workers", type=int, metavar="N", help="processes that train (default: one a processor)"
    )
    group.add_argument(
        "--ray", metavar="ADDRESS", help="train on the machines of a Ray cluster: auto, or ray://HOST:PORT"
    )
    group.add_argument(
        "--folds",
        type=int,
        metavar="K",
        help="parts for out-of-fold predictions (default: 5, below 500 rows 10)",
    )
    group.add_argument("--seed", type=int, default=0, metavar="N", help="of all that is drawn (default: 0)")
    group.add_argument(
        "--metric", metavar="NAME", help="what the leaderboard is ordered by (default: the loss)"
    )
    group.add_argument(
        "--max-candidates",
        type=int,
        metavar="N",
        help="end after so many candidates; the same seed then gives the same model, whatever the workers",
    )
    group.add_argument(
        "--lookahead",
        type=int,
        default=LOOKAHEAD,
        metavar="N",
        help="with --max-candidates: how many jobs may run at once; another number chooses other candidates "
        "(default: %(default)s)",
    )
    group.add_argument("--quick", action="store_true", help="train one network")
    group.add_argument(
        "--trees", choices=TREE_KINDS, default=TREE_KINDS[0], help="the tree features (default: %(default)s)"
    )
    group.add_argument("--keep", action="store_true", help="keep the submodels of the search")
    testing = group.add_mutually_exclusive_group()
    testing.add_argument(
        "--test", type=Path, metavar="FILE", help="a table that the final model is measured on"
    )
    testing.add_argument(
        "--test-share", type=float, default=0.0, metavar="SHARE", help="of the rows, held back for that"
    )


def _add_table_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("the table")
    group.add_argument(
        "--types",
        action="append",
        default=[],
        metavar="COLUMN=KIND,...",
        help="numeric, categorical, date (date:day_first, date:month_first) or image; may be repeated, for a name with "
        "a comma in it",
    )
    group.add_argument(
        "--ignore",
        action="append",
        default=[],
        metavar="COLUMN,...",
        help="columns that are no inputs; may be repeated, for a name with a comma in it",
    )
    group.add_argument("--weights", metavar="COLUMN", help="how much each row counts")
    group.add_argument(
        "--task", choices=("classification", "regression"), help="what the objective is, if it is unclear"
    )
    add_reading_options(group)


def _run(parsed: argparse.Namespace) -> None:
    options = vars(parsed) | {"header": not parsed.no_header, "verbose": True}
    table, objective, _ = (options.pop(name) for name in ("table", "objective", "no_header"))
    # what takes long to import is imported where an interrupt is answered
    source = import_module("sensenet.tables.source").open_table(table, reading_of(parsed), warn)
    options["ignore"] = named_columns(parsed.ignore, source.columns)
    options["types"] = types_of_columns(parsed.types, source.columns)
    fit = import_module("pyramid.search.api").fit
    with redirect_stdout(sys.stderr):  # what libraries print, Ray for one, is no answer
        result = fit(source, objective, **options)
    answer(import_module("pyramid.search.telling").summary(result, parsed.metric))


def named_columns(texts: Iterable[str], columns: Collection[str]) -> list[str]:
    """The columns that options name: each text is a name as a whole, or else several with commas between them."""
    return [name for text in texts for name in ([text] if text in columns else _parts(text))]


def types_of_columns(texts: Iterable[str], columns: Collection[str]) -> dict[str, str]:
    """Column -> kind, of options `COLUMN=KIND`, or several with commas between them.

    Raises:
        CommandError: one is neither.
    """
    types = {}
    for text in texts:
        is_one = text.rpartition("=")[0] in columns
        for part in [text] if is_one else _parts(text):
            column, _, kind = part.rpartition("=")
            if not column:
                raise CommandError(f"types: expected COLUMN=KIND,..., got {text!r}")
            types[column] = kind.strip()
    return types


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


if __name__ == "__main__":
    sys.exit(main())
