"""The labels of a config as `metadata.json`, from which BigML makes a source of labelled images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pyramid.commands.labels import read_labels
from pyramid.errors import SettingsError, Violation
from pyramid.images.row_rules import box_row_problems

METADATA_FILE = "metadata.json"
CORNERS = ("xmin", "ymin", "xmax", "ymax")


def metadata(config: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One object an image: its file, and its label or its boxes.

    Raises:
        SettingsError: rows that cannot be used.
    """
    if config.get("training_data") is None:
        raise SettingsError([Violation("/training_data", "missing; allowed is a list of labelled images")])
    data = config["training_data"]
    rows = data if isinstance(data, list) else []
    if any(isinstance(row, dict) and "boxes" in row for row in rows):
        return _boxes(rows)
    images, problems = read_labels(data)
    if images is None:
        raise SettingsError(problems)
    return [{"file": row["file"], "label": row["label"]} for row in images.rows]


def _boxes(rows: list[Any]) -> list[dict[str, Any]]:
    problems = [
        Violation(f"/training_data/{place}{where}", message)
        for place, row in enumerate(rows)
        for where, message in box_row_problems(row)
    ]
    if problems:
        raise SettingsError(problems)
    return [
        {
            "file": row["file"],
            "boxes": [dict(zip((*CORNERS, "label"), box, strict=True)) for box in row["boxes"]],
        }
        for row in rows
    ]
