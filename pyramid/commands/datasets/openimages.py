"""`pyramid_dataset openimages`: all steps for a folder of lists, subset by subset."""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyramid.commands.console import CommandError
from pyramid.commands.datasets.classes import kept_labels
from pyramid.commands.datasets.download import add_download_options, download_index, download_options
from pyramid.commands.datasets.formats import add_shards
from pyramid.commands.datasets.points import add_box_options, box_options, write_points
from pyramid.commands.datasets.subcommand import Subcommand, add_ray, progress_bar
from pyramid.commands.datasets.verify import add_verify_options, verify_points
from pyramid.datasets.class_lists import read_numbered_classes
from pyramid.datasets.classes import described, read_descriptions, write_classes
from pyramid.datasets.conversion import write_training_config
from pyramid.datasets.making_points import PointOptions
from pyramid.datasets.points import read_points
from pyramid.datasets.published_folder import SUBSETS, PublishedFolder, find_lists
from pyramid.datasets.records import make_records
from pyramid.datasets.verifying.pictures import Resizing
from pyramid.datasets.workers import workers
from pyramid.storage.files import naming_file
from pyramid.workspace import Workspace
from sensenet.label_map import LABEL_MAP_FILE, LabelMapItem, write_label_map

TRAIN, VALIDATION, _ = SUBSETS


@dataclass(frozen=True)
class _Subset:
    """The places of one subset."""

    output: Path
    name: str

    @property
    def folder(self) -> Path:
        return self.output / self.name

    @property
    def verified(self) -> Path:
        return self.folder / "verified.json"

    @property
    def records(self) -> Path:
        return self.output / f"{self.name}.record"


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "folder", type=Path, help="the unpacked lists: images, boxes and classes of each subset"
    )
    parser.add_argument("output", type=Path, help="where pictures, records and config.json go")
    for kind, what in (
        ("trainable", "the trainable classes"),
        ("descriptions", "the names of labels"),
        ("hierarchy", "which class is below which"),
    ):
        parser.add_argument(
            f"--{kind}", type=Path, metavar="F", help=f"{what} (default: the list in the folder)"
        )
    parser.add_argument(
        "--under", metavar="NAME", help="keep this class and what is below it in the hierarchy"
    )
    add_box_options(parser)
    add_download_options(parser)
    add_verify_options(parser)
    add_shards(parser)
    add_ray(parser)


def _run(parsed: argparse.Namespace) -> str:
    lists = find_lists(parsed.folder)
    Workspace.create(parsed.output)
    names, labels = _labels(parsed, lists)
    classes = described(labels, names)
    write_classes(parsed.output / "classes.json", classes)
    # read as a training does, which refuses classes of one name
    items = read_numbered_classes(parsed.output / "classes.json")
    with naming_file(parsed.output / LABEL_MAP_FILE):
        write_label_map(parsed.output / LABEL_MAP_FILE, items)
    unnamed = [label for label in labels if label not in names]
    first, *others = (_Subset(parsed.output, name) for name in lists.annotations)
    _prepare(parsed, lists, first, labels, unnamed, items)
    learnt = {box.label for point in read_points(first.verified) for box in point.annotations}
    for subset in others:
        # what nothing is learnt of can neither be held out nor evaluated
        _prepare(parsed, lists, subset, [label for label in labels if label in learnt], unnamed, items)
    config = _write_config(parsed.output, [*lists.annotations])
    return f"{len(labels)} classes, {', '.join(lists.annotations)}: {config}"


def _labels(parsed: argparse.Namespace, lists: PublishedFolder) -> tuple[dict[str, str], list[str]]:
    """The names of labels, and those that are kept."""
    trainable, descriptions = parsed.trainable or lists.trainable, parsed.descriptions or lists.descriptions
    if trainable is None:
        raise CommandError(
            f"{parsed.folder}: there is no list of trainable classes; give it as --trainable F"
        )
    if descriptions is None:
        raise CommandError(f"{parsed.folder}: there are no names of labels; give them as --descriptions F")
    names = read_descriptions(descriptions)
    hierarchy = parsed.hierarchy or lists.hierarchy if parsed.under is not None else None
    return names, kept_labels(trainable, names, hierarchy, parsed.under)


def _prepare(
    parsed: argparse.Namespace,
    lists: PublishedFolder,
    subset: _Subset,
    labels: list[str],
    unnamed: list[str],
    classes: tuple[LabelMapItem, ...],
) -> None:
    """From the lists of a subset to its records; what each step has to say goes to standard error."""
    folder = subset.folder
    Workspace.create(folder)
    points, index, good = folder / "points.json", folder / "images.json", subset.verified
    pictures, small = folder / "pictures", folder / "thumbnails"
    options = PointOptions(
        lists.annotations[subset.name],
        lists.images[subset.name],
        box_options(parsed, labels),
        parsed.max_images,
        parsed.per_class,
        parsed.seed,
    )
    _tell(subset, write_points(options, points, index, unnamed))
    _tell(subset, download_index(index, pictures, download_options(parsed), parsed.ray))
    with workers(parsed.processes, parsed.ray) as who:
        resizing = Resizing(str(small.absolute()), parsed.size)
        _tell(subset, verify_points(pictures.absolute(), points, good, resizing, who))
        with progress_bar("records") as report:
            told = make_records(
                good.absolute(),
                small.absolute(),
                classes,
                subset.records.absolute(),
                parsed.shards,
                report,
                who,
            )
    _tell(subset, f"{told}: {subset.records}")


def _tell(subset: _Subset, line: str) -> None:
    print(f"{subset.name}: {line}", file=sys.stderr, flush=True)


def _write_config(output: Path, subsets: list[str]) -> Path:
    more: dict[str, Any] = {"label_map": str((output / LABEL_MAP_FILE).absolute())}
    if {TRAIN, VALIDATION} <= {*subsets}:
        more["holdout_data"] = str(_Subset(output, VALIDATION).records.absolute())
    training = _Subset(output, TRAIN if TRAIN in subsets else subsets[0])
    return write_training_config(output, training.records, None, **more)


OPENIMAGES = Subcommand(
    "openimages",
    "All steps for the lists of Open Images in a folder: pictures, records and a config for pyramid_train.",
    _add_arguments,
    _run,
)
