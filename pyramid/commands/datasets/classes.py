"""`pyramid_dataset classes`: the classes of a data set, with their names."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

from pyramid.commands.console import CommandError
from pyramid.commands.datasets.subcommand import Subcommand, named
from pyramid.datasets.class_lists import numbered
from pyramid.datasets.classes import branch, described, read_descriptions, read_trainable, write_classes
from pyramid.storage.files import naming_file
from sensenet.label_map import write_label_map

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


def kept_labels(
    trainable: Path, names: Mapping[str, str], hierarchy: Path | None, under: str | None
) -> list[str]:
    """The labels of a list of trainable ones that are in a branch of a hierarchy, in the order of the list.

    Args:
        names: of labels.
        under: the branch; None: all labels are kept.

    Raises:
        CommandError: none is left, or only one of hierarchy and branch is given.
    """
    labels = read_trainable(trainable)
    if under is None and hierarchy is None:
        return labels
    if under is None or hierarchy is None:
        raise CommandError("--under and --hierarchy need each other")
    kept = branch(hierarchy, under, names)
    labels = [label for label in labels if label in kept]
    if not labels:
        raise CommandError(f'no class of {trainable} is "{under:.60}" or below it')
    return labels


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    add_class_arguments(parser, descriptions_required=True)
    parser.add_argument(
        "--output", type=Path, default=DEFAULT_OUTPUT, metavar="F", help=f"default: {DEFAULT_OUTPUT}"
    )
    parser.add_argument("--label-map", type=Path, metavar="F.pbtxt", help="write a label map of them, too")


def _run(parsed: argparse.Namespace) -> str:
    names = read_descriptions(parsed.descriptions)
    labels = kept_labels(parsed.trainable, names, parsed.hierarchy, parsed.under)
    classes = described(labels, names)
    write_classes(parsed.output, classes)
    if parsed.label_map is not None:
        with naming_file(parsed.label_map):
            write_label_map(parsed.label_map, numbered(classes))
    unnamed = [label for label in labels if label not in names]
    remark = f"; {len(unnamed)} without description go by their labels: {named(unnamed)}" if unnamed else ""
    return f"{len(labels)} classes: {parsed.output}{remark}"


CLASSES = Subcommand(
    "classes",
    "Write the classes with their names; a class's number is its position, from 1.",
    _add_arguments,
    _run,
)
