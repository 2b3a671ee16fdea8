"""The rows of a config that names files of them: `.json` files, or TFRecords, whose images are written out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pyramid.commands.labels import HOLDOUT_DATA, TRAINING_DATA
from pyramid.datasets.class_lists import read_numbered_classes
from pyramid.datasets.conversion import Count, rows_of
from pyramid.datasets.formats import FORMATS
from pyramid.datasets.formats.base import ReadOptions
from pyramid.datasets.json_items import read_json
from pyramid.datasets.rows_file import ROWS_SUFFIX
from pyramid.errors import DataError, SettingsError, Violation
from pyramid.fields.box_rules import MOST_BOXES
from pyramid.progress import Report
from pyramid.settings.wording import found
from sensenet.errors import InputError
from sensenet.label_map import LabelMapItem

KEYS = (TRAINING_DATA, HOLDOUT_DATA)
RECORDS = FORMATS["tfrecord"]
IMAGES_OF_RECORDS = "images_of_records"
"""The folder in `output_directory` into which the images in records are written, a folder for each key."""

Row = dict[str, Any]


def names_files(config: Any) -> bool:
    """Whether a config has paths in place of rows."""
    return isinstance(config, dict) and any(isinstance(config.get(key), str) for key in KEYS)


def with_rows(config: Mapping[str, Any], report: Report) -> dict[str, Any]:
    """A config with the rows in place of the paths that it has of them.

    Args:
        config: not yet checked.
        report: told how far the reading is, and of records that cannot be taken as they stand.

    Raises:
        SettingsError: files that cannot be read, or keys that do not go with them.
    """
    paths = {key: Path(config[key]) for key in KEYS if isinstance(config.get(key), str)}
    records = _records(config)
    rows: dict[str, Any] = {}
    for key, path in paths.items():
        if key not in records:
            with _about(key):
                rows[key] = read_json(path)
    if not records:
        return {**config, **rows}
    directory, classes = _directory(config, records), _classes(config)
    for key in records:
        with _about(key):
            rows[key] = _rows_of_records(key, paths[key], classes, directory, report)
    return {**config, **rows, "image_root": str(directory)}


def with_rows_to_learn(config: Mapping[str, Any], report: Report) -> dict[str, Any]:
    """As `with_rows`, without what no training takes: nobody can edit records.

    Images with more than `MOST_BOXES` boxes are left out, and boxes to hold out of classes that `training_data` does
    not have; both is told as a warning.
    """
    whole, records = with_rows(config, report), _records(config)
    for key in records:
        fewer = [row for row in whole[key] if len(row["boxes"]) <= MOST_BOXES]
        _warn(report, key, len(whole[key]) - len(fewer), f"images have more than {MOST_BOXES} boxes")
        whole[key] = fewer
    if len(records) == len(KEYS):
        known = {box[-1] for row in whole[TRAINING_DATA] for box in row["boxes"]}
        rows = [
            row | {"boxes": [box for box in row["boxes"] if box[-1] in known]} for row in whole[HOLDOUT_DATA]
        ]
        n_unknown = sum(len(row["boxes"]) for row in whole[HOLDOUT_DATA])
        n_unknown -= sum(len(row["boxes"]) for row in rows)
        _warn(report, HOLDOUT_DATA, n_unknown, f"boxes are of classes that {TRAINING_DATA} does not have")
        whole[HOLDOUT_DATA] = rows
    return whole


def _records(config: Mapping[str, Any]) -> list[str]:
    """The keys of a config that name records."""
    return [
        key for key in KEYS if isinstance(config.get(key), str) and Path(config[key]).suffix != ROWS_SUFFIX
    ]


def _warn(report: Report, key: str, count: int, what: str) -> None:
    if count:
        report(0.0, message=f"warning: {key}: {count} {what}: left out")


def _directory(config: Mapping[str, Any], records: Sequence[str]) -> Path:
    """Where the images in records go.

    Raises:
        SettingsError: there is no place for them, or other images have another.
    """
    given = config.get("output_directory")
    if not isinstance(given, str) or not given:
        raise SettingsError([Violation("/output_directory", f"found {found(given)}, allowed is a string")])
    others = [key for key in KEYS if config.get(key) is not None and key not in records]
    if others:
        message = f"found rows beside TFRecords in {records[0]}; allowed are both or none"
        raise SettingsError([Violation(f"/{others[0]}", message)])
    if config.get("image_root"):
        message = f"found {found(config['image_root'])}, but images of TFRecords are in them: leave it out"
        raise SettingsError([Violation("/image_root", message)])
    return Path(given) / IMAGES_OF_RECORDS


def _classes(config: Mapping[str, Any]) -> tuple[LabelMapItem, ...]:
    path = config.get("label_map")
    if path is None:
        return ()
    if not isinstance(path, str) or not path:
        raise SettingsError([Violation("/label_map", f"found {found(path)}, allowed is a string")])
    with _about("label_map"):
        return read_numbered_classes(Path(path))


def _rows_of_records(
    key: str, path: Path, classes: tuple[LabelMapItem, ...], directory: Path, report: Report
) -> list[Row]:
    count = Count()
    source = RECORDS.read(path, ReadOptions(classes=classes))
    rows = list(rows_of(source, directory / key, count, report))
    count.check(is_strict=False)
    if summary := count.tally.summary():
        report(0.0, message=f"warning: {key}: {summary}")
    return [{**row, "file": f"{key}/{row['file']}"} for row in rows]


@contextmanager
def _about(key: str) -> Iterator[None]:
    """What is wrong in the body is what is wrong with a key."""
    try:
        yield
    except (DataError, InputError) as error:
        raise SettingsError([Violation(f"/{key}", str(error))]) from error
