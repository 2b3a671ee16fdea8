"""Models in other people's formats: what writes, what reads and what runs each, by name."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

import sensenet
from sensenet.errors import SettingsError
from sensenet.formats.base import Arrays, Consumer, Format, PathLike
from sensenet.formats.consumers import tensorflow_consumers
from sensenet.formats.czmodel.segmentation import write_segmentation
from sensenet.formats.frozen_graph import FROZEN_GRAPH
from sensenet.formats.onnx import ONNX
from sensenet.formats.savedmodel import SAVEDMODEL, run_savedmodel
from sensenet.formats.smbundle.container import read_bundle
from sensenet.formats.tfjs.writing import TFJS
from sensenet.formats.tflite.writing import TFLITE

__all__ = ["FORMATS", "Consumer", "Format"]

KERAS_3_SUFFIX = ".weights.h5"


def _write_bundle(model: Any, path: PathLike) -> str:
    return str(model.save_bundle(path))


def _read_bundle(path: PathLike, like: Any) -> Any:
    return sensenet.create_model(path)


def _run_bundle(run: Callable[..., Any], path: str, calls: Sequence[Arrays]) -> list[dict[str, np.ndarray]]:
    with tempfile.TemporaryDirectory(prefix="sensenet.") as folder:
        return run_savedmodel(run, read_bundle(path, folder), calls)


def _write_h5(model: Any, path: PathLike) -> str:
    name = os.fspath(path)
    if name.endswith(KERAS_3_SUFFIX):
        right = f"{name.removesuffix(KERAS_3_SUFFIX)}.h5"
        raise SettingsError(
            f"output_path: in files named *{KERAS_3_SUFFIX} Keras 3 expects a layout of its own, and so could not read "
            f"these weights; write {right} instead"
        )
    model.save_weights(path)
    return name


def _read_h5(path: PathLike, like: Any) -> Any:
    like.load_weights(path)
    return like


FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        "czmodel": Format(write_segmentation),
        "frozen_graph": FROZEN_GRAPH,
        "h5": Format(_write_h5, _read_h5),
        "onnx": ONNX,
        "savedmodel": SAVEDMODEL,
        "smbundle": Format(
            _write_bundle, _read_bundle, consumers=tensorflow_consumers(_run_bundle), keeps_boxes=True
        ),
        "tfjs": TFJS,
        "tflite": TFLITE,
    }
)
"""Format name -> how it is written, read and run."""
