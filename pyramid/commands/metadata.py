"""The labels of a config as `metadata.json`, from which BigML makes a source of labelled images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pyramid.commands.labels import read_labels
from pyramid.errors import SettingsError, Violation
from pyramid.settings.wording import found

METADATA_FILE = "metadata.json"
CORNERS = ("xmin", "ymin", "xmax", "ymax")
BOX = "[x1, y1, x2, y2, class] with numbers x1 < x2 and y1 < y2 and a string"


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
    problems = []
    for place, row in enumerate(rows):
        if (
            not isinstance(row, dict)
            or not isinstance(row.get("file"), str)
            or not isinstance(row.get("boxes"), list)
        ):
            problems.append(
                Violation(f"/training_data/{place}", f'found {found(row)}, allowed is {{"file", "boxes"}}')
            )
            continue
        problems += [
            Violation(f"/training_data/{place}/boxes/{number}", f"found {found(box)}, allowed is {BOX}")
            for number, box in enumerate(row["boxes"])
            if not _is_box(box)
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


def _is_box(box: Any) -> bool:
    if not isinstance(box, list) or len(box) != len(CORNERS) + 1 or not isinstance(box[-1], str):
        return False
    if not all(isinstance(place, (int, float)) and not isinstance(place, bool) for place in box[:-1]):
        return False
    x1, y1, x2, y2, _ = box
    return bool(x1 < x2 and y1 < y2)
