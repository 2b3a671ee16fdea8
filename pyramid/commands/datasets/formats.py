"""`pyramid_dataset import`, `export`, `records`, `label-map` and `show`: images with boxes, from format to format."""

from __future__ import annotations

import argparse
from pathlib import Path

from pyramid.commands.console import CommandError
from pyramid.commands.contact_sheet import MOST_IMAGES
from pyramid.commands.datasets.sample_sheet import draw_sample
from pyramid.commands.datasets.subcommand import Subcommand, add_ray, progress_bar, whole_number
from pyramid.datasets.class_lists import JSON_SUFFIX, check_known, listed_classes, read_numbered_classes
from pyramid.datasets.classes import write_classes
from pyramid.datasets.conversion import export_images, import_images
from pyramid.datasets.formats import FORMATS
from pyramid.datasets.formats.base import DEFAULT_SPLIT, ReadOptions, WriteOptions
from pyramid.datasets.formats.files import is_safe_name, make_folder
from pyramid.datasets.records import make_records
from pyramid.datasets.rows_file import ROWS_FILE, RowsFile, open_rows
from pyramid.datasets.workers import workers
from pyramid.storage.files import naming_file
from sensenet.label_map import LABEL_MAP_FILE, LabelMapItem, numbered_names, write_label_map

MOST_SHARDS = 1000
MOST_PROCESSES = 512
USUAL_PICTURES = 16


def _add_format(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--format", required=True, choices=FORMATS, help="what is read, or written")
    parser.add_argument("--image-root", type=Path, metavar="DIR", help="the folder of the image files")
    parser.add_argument(
        "--strict", action="store_true", help="refuse boxes and images that would be dropped or changed"
    )


def _add_classes(parser: argparse.ArgumentParser, is_required: bool, use: str) -> None:
    parser.add_argument(
        "--classes",
        type=Path,
        required=is_required,
        metavar="F",
        help=f"{use}: a list in JSON, or a label map",
    )


def add_shards(parser: argparse.ArgumentParser) -> None:
    """Declare over how many files records are spread."""
    parser.add_argument(
        "--shards",
        type=whole_number(1, MOST_SHARDS),
        default=1,
        metavar="N",
        help="over how many files records are spread (default: 1)",
    )


def _add_import(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", type=Path, help="the file or folder of the data set")
    _add_format(parser)
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="where the rows go")
    parser.add_argument(
        "--split", metavar="NAME", help="of voc and yolo: the part of the data set (yolo: train)"
    )
    _add_classes(parser, False, "of tfrecord and openimages: the names of labels")


def _import(parsed: argparse.Namespace) -> str:
    classes = () if parsed.classes is None else read_numbered_classes(parsed.classes)
    options = ReadOptions(parsed.image_root, parsed.split, classes)
    with progress_bar("import") as report:
        source = FORMATS[parsed.format].read(parsed.source, options)
        count = import_images(source, parsed.output, parsed.strict, report)
    return f"{count.summary()}: {parsed.output / ROWS_FILE}"


def _add_export(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("rows", type=Path, help="rows, or a config of pyramid_train")
    _add_format(parser)
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="where the data set goes")
    parser.add_argument(
        "--split",
        default=DEFAULT_SPLIT,
        metavar="NAME",
        help=f"what this part of the data set is called (default: {DEFAULT_SPLIT})",
    )
    _add_classes(parser, False, f"the numbers of labels (default: {LABEL_MAP_FILE} in DIR, or their order)")
    add_shards(parser)


def _export(parsed: argparse.Namespace) -> str:
    if not is_safe_name(parsed.split) or "/" in parsed.split:
        raise CommandError(f"--split: expected a word, got '{parsed.split:.60}'")
    rows = open_rows(parsed.rows, parsed.image_root)
    classes = _numbers(rows, parsed.classes, parsed.output)
    options = WriteOptions(parsed.output, parsed.split, classes, parsed.shards)
    with progress_bar("export") as report:
        path, count = export_images(rows, FORMATS[parsed.format], options, parsed.strict, report)
    _write_label_map(parsed.output / LABEL_MAP_FILE, classes)
    return f"{count.summary()}: {path}"


def _numbers(rows: RowsFile, given: Path | None, folder: Path) -> tuple[LabelMapItem, ...]:
    """The classes of an export: parts that go into one folder have the same ones."""
    labels = rows.labels()
    beside = folder / LABEL_MAP_FILE
    path = beside if given is None and beside.is_file() else given
    if path is None:
        return numbered_names(labels)
    classes = read_numbered_classes(path)
    check_known(labels, classes, path)
    return classes


def _write_label_map(path: Path, classes: tuple[LabelMapItem, ...]) -> None:
    if not classes:
        return
    make_folder(path.parent)
    with naming_file(path):
        write_label_map(path, classes)


def _add_records(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("points", type=Path, help="the points, best those that verify has written")
    parser.add_argument("images", type=Path, metavar="DIR", help="the folder of their images")
    _add_classes(parser, True, "the numbers of labels")
    parser.add_argument("--output", type=Path, required=True, metavar="F.record", help="the file of records")
    add_shards(parser)
    parser.add_argument(
        "--processes",
        type=whole_number(1, MOST_PROCESSES),
        default=1,
        metavar="N",
        help="how many write shards (default: 1); the bytes are the same",
    )
    add_ray(parser)


def _records(parsed: argparse.Namespace) -> str:
    classes = read_numbered_classes(parsed.classes)
    with workers(parsed.processes, parsed.ray) as who, progress_bar("records") as report:
        is_here = parsed.processes == 1 and parsed.ray is None
        summary = make_records(
            parsed.points.absolute(),
            parsed.images.absolute(),
            classes,
            parsed.output.absolute(),
            parsed.shards,
            report,
            None if is_here else who,
        )
    return f"{summary}: {parsed.output}"


def _add_label_map(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", type=Path, help=f"classes in JSON (*{JSON_SUFFIX}), or a label map")
    parser.add_argument("target", type=Path, help="the other of both, which is written")


def _label_map(parsed: argparse.Namespace) -> str:
    classes = read_numbered_classes(parsed.source)
    if parsed.target.suffix == JSON_SUFFIX:
        write_classes(parsed.target, listed_classes(classes, parsed.source))
    else:
        _write_label_map(parsed.target, classes)
    return f"{len(classes)} classes: {parsed.target}"


def _add_show(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("rows", type=Path, help="rows, or a config of pyramid_train")
    parser.add_argument("--image-root", type=Path, metavar="DIR", help="the folder of the image files")
    parser.add_argument(
        "--n",
        type=whole_number(1, MOST_IMAGES),
        default=USUAL_PICTURES,
        metavar="N",
        help=f"how many pictures, from all over the rows (default: {USUAL_PICTURES})",
    )
    parser.add_argument("--output", type=Path, required=True, metavar="F.png", help="the picture of them")


def _show(parsed: argparse.Namespace) -> str:
    rows = open_rows(parsed.rows, parsed.image_root)
    with progress_bar("show") as report:
        shown = draw_sample(rows, parsed.n, parsed.output, report)
    return f"{shown} images: {parsed.output}"


IMPORT = Subcommand(
    "import",
    "Write the rows of a data set in another format, with a config for pyramid_train.",
    _add_import,
    _import,
)
EXPORT = Subcommand("export", "Write rows and their images in another format.", _add_export, _export)
RECORDS = Subcommand("records", "Write points and their images as TFRecords.", _add_records, _records)
LABEL_MAP = Subcommand(
    "label-map", "Make a label map of classes in JSON, or the other way.", _add_label_map, _label_map
)
SHOW = Subcommand("show", "Draw some pictures of rows with their boxes and labels.", _add_show, _show)
