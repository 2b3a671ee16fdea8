"""The labels of a config as `metadata.json`, from which BigML makes a source of labelled images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pyramid.commands.labels import label_kind, sound_rows
from pyramid.errors import SettingsError, Violation
from pyramid.fields.boxes import BoxesObjective

METADATA_FILE = "metadata.json"
CORNERS = ("xmin", "ymin", "xmax", "ymax")


def metadata(config: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One object an image: its file, and its label or its boxes.

    Raises:
        SettingsError: rows that cannot be used.
    """
    if config.get("training_data") is None:
        raise SettingsError([Violation("/training_data", "missing; allowed is a list of labelled images")])
    kind = label_kind(config["training_data"])
    rows, problems = sound_rows(config["training_data"], kind)
    if rows is None:
        raise SettingsError(problems)
    if kind is BoxesObjective:
        return [{"file": row["file"], "boxes": [_box(box) for box in row["boxes"]]} for row in rows]
    return [{"file": row["file"], "label": row["label"]} for row in rows]


def _box(box: Sequence[Any]) -> dict[str, Any]:
    return dict(zip((*CORNERS, "label"), box, strict=True))
