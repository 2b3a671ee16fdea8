"""`pyramid_dataset classes`: the classes of a data set, with their names."""

from __future__ import annotations

import argparse
from pathlib import Path

from pyramid.commands.console import CommandError
from pyramid.commands.datasets.subcommand import Subcommand, named
from pyramid.datasets.classes import branch, described, read_descriptions, read_trainable, write_classes

DEFAULT_OUTPUT = Path("classes.json")


def add_class_arguments(parser: argparse.ArgumentParser, descriptions_required: bool) -> None:
    """Declare the arguments that say which classes are kept."""
    parser.add_argument(
        "--trainable", type=Path, required=True, metavar="F", help="the trainable classes: a label a line"
    )
    parser.add_argument(
        "--descriptions",
        type=Path,
        required=descriptions_required,
        metavar="F",
        help="CSV without header: labels and their names",
    )
    parser.add_argument("--hierarchy", type=Path, metavar="F", help="JSON: which class is below which")
    parser.add_argument(
        "--under",
        metavar="NAME",
        help="keep this class and what is below it in --hierarchy: a name or a label",
    )


def kept_labels(parsed: argparse.Namespace, names: dict[str, str]) -> list[str]:
    """The labels that the arguments keep, in the order of the trainable classes.

    Raises:
        CommandError: none is left, or only one of --hierarchy and --under is given.
    """
    labels = read_trainable(parsed.trainable)
    if (parsed.under is None) != (parsed.hierarchy is None):
        raise CommandError("--under and --hierarchy need each other")
    if parsed.under is None:
        return labels
    kept = branch(parsed.hierarchy, parsed.under, names)
    labels = [label for label in labels if label in kept]
    if not labels:
        raise CommandError(f'no class of {parsed.trainable} is "{parsed.under:.60}" or below it')
    return labels


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    add_class_arguments(parser, descriptions_required=True)
    parser.add_argument(
        "--output", type=Path, default=DEFAULT_OUTPUT, metavar="F", help=f"default: {DEFAULT_OUTPUT}"
    )


def _run(parsed: argparse.Namespace) -> str:
    names = read_descriptions(parsed.descriptions)
    labels = kept_labels(parsed, names)
    write_classes(parsed.output, described(labels, names))
    unnamed = [label for label in labels if label not in names]
    remark = f"; {len(unnamed)} without description go by their labels: {named(unnamed)}" if unnamed else ""
    return f"{len(labels)} classes: {parsed.output}{remark}"


CLASSES = Subcommand(
    "classes",
    "Write the classes with their names; a class's number is its position, from 1.",
    _add_arguments,
    _run,
)
