"""A model as a TFLite file, with its facts in it."""

from __future__ import annotations

import io
import os
import zipfile
from importlib import import_module
from typing import Any

import orjson
import tensorflow as tf

from sensenet.errors import ModelFormatError, SettingsError, first_line
from sensenet.files import read_whole, write_whole
from sensenet.formats.base import FACTS_FILE, Consumer, Format, PathLike
from sensenet.formats.consumers import is_importable, run_litert, run_tensorflow_lite
from sensenet.formats.exported import Exported, exported

LABELS_FILE = "labels.txt"
QUANTIZATIONS = ("float16", "int8")
# of the same model the same bytes, whenever it is written
WRITTEN_AT = (1980, 1, 1, 0, 0, 0)


def write_tflite(model: Any, path: PathLike, quantize: str | None = None) -> str:
    """Write a model as a TFLite file of the tensors of `formats.exported.Exported`, in built-in operations alone.

    As is the custom for TFLite, files that belong to it are appended as a ZIP: `facts.json`, and with classes
    `labels.txt`, a name a line: blanks stand for the line breaks in a name.

    Args:
        model: what `exported` takes.
        path: of the file.
        quantize: `float16` or `int8` for the weights of convolutions and dense layers (`tflite.narrowing`); all else
            stays float32: thresholds of trees, statistics of fields, the geometry of images and boxes.

    Raises:
        SettingsError: the converter lacks an operation that the model needs.
        ModelFormatError, OSError: see `exported`, `write_whole`.
    """
    made = exported(model)
    content = _converted(made)
    if quantize is not None:
        # a module of a hundred structures, which nothing else needs
        content = import_module("sensenet.formats.tflite.narrowing").narrowed(content, quantize)
    write_whole(path, content + _appended(made, len(content)))
    return os.fspath(path)


def _converted(made: Exported) -> bytes:
    module = tf.Module()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([made.function], module)
    try:
        return bytes(converter.convert())
    except Exception as error:  # the converter raises errors of its own types, that move between versions
        raise SettingsError(f"to_format: TFLite cannot say this model: {first_line(error)}") from error


def _appended(made: Exported, position: int) -> bytes:
    """A ZIP that stands behind `position` bytes of something else, as its offsets say."""
    content = io.BytesIO()
    content.write(bytes(position))
    files = {FACTS_FILE: orjson.dumps(made.facts)}
    if made.facts["classes"] is not None:
        files[LABELS_FILE] = "".join(f"{_one_line(name)}\n" for name in made.facts["classes"]).encode()
    with zipfile.ZipFile(content, "a") as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name, WRITTEN_AT), data)
    return content.getvalue()[position:]


def _one_line(name: str) -> str:
    # readers count lines, and know no escapes: a further line would name the classes behind it wrongly
    return " ".join(name.splitlines())


def read_facts(path: PathLike) -> dict[str, Any]:
    """The facts in a TFLite file of ours.

    Raises:
        ModelFormatError: there are none.
        OSError: it cannot be read.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(read_whole(path))) as archive:
            if archive.getinfo(FACTS_FILE).compress_type != zipfile.ZIP_STORED:
                raise ValueError(
                    f"{FACTS_FILE} is compressed"
                )  # as much as it likes: a few bytes become many
            facts = orjson.loads(archive.read(FACTS_FILE))
    # RuntimeError: encrypted, or of another version of ZIP
    except (zipfile.BadZipFile, KeyError, ValueError, EOFError, RuntimeError) as error:
        raise ModelFormatError(
            f"{os.fspath(path)}: not a TFLite file that was written here: {error}"
        ) from error
    if not isinstance(facts, dict):
        raise ModelFormatError(f"{os.fspath(path)}: {FACTS_FILE}: expected an object")
    return facts


TFLITE = Format(
    write_tflite,
    options={"quantize": QUANTIZATIONS},
    consumers=(
        Consumer("ai-edge-litert", 1.0, lambda: is_importable("ai_edge_litert"), run_litert),
        Consumer("tensorflow-lite", 1.0, lambda: True, run_tensorflow_lite),
    ),
)
