"""Bundles like those of the published package."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import tensorflow as tf

import sensenet
from sensenet.formats.smbundle.container import read_bundle, write_bundle

KEPT = ("_classes", "_preprocessors")


def raw_bundle(source: dict[str, Any], folder: Path, settings: Any = None) -> Path:
    """A bundle that holds the function of raw values and nothing else, as those of the published package."""
    path = sensenet.create_model(source, settings).save_bundle(folder / "whole")
    whole = Path(read_bundle(path, folder / "unpacked"))
    loaded = tf.saved_model.load(str(whole))
    saved = json.loads((whole / "assets" / "settings.json").read_text())
    target = folder / "raw"
    signatures = {"serving_default": loaded.signatures["serving_default"]}
    holder = tf.Module()
    holder.loaded = loaded
    tf.saved_model.save(holder, str(target), signatures=signatures)
    kept = {name: value for name, value in saved.items() if name in KEPT or not name.startswith("_")}
    (target / "assets").mkdir(exist_ok=True)
    (target / "assets" / "settings.json").write_text(json.dumps(kept))
    return Path(write_bundle(target))
