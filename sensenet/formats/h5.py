"""Weights in Keras' legacy HDF5 layout: Keras 3 reads it but no longer writes it.

The root has the attribute `layer_names`, each layer a group with the attribute `weight_names` and one data
set per weight; layers are matched by their order, for names are running counters. HDF5 caps an attribute at
64 kB: longer lists are split into `layer_names0`, `layer_names1`, ...
"""

from __future__ import annotations

import io
import math
import mmap
import os
import re
from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

import h5py
import keras
import numpy as np

from sensenet.errors import ModelFormatError, WeightsError
from sensenet.files import check_regular, write_whole

MAX_ATTRIBUTE_BYTES = 64_000
MAX_NAMES = 50_000
HARMLESS_TEXT_BYTES = 64 << 20
_HEAP = b"GCOL\x01\0\0\0"
# Keras 3 calls every kernel "kernel"; Keras 2 has names of its own for these
KERAS_2_NAMES = MappingProxyType({("DepthwiseConv2D", "kernel"): "depthwise_kernel"})


def write_weights(model: keras.Model, path: str | os.PathLike[str]) -> None:
    """Write the weights of a functional model.

    Raises:
        OSError: the file cannot be written.
    """
    write_whole(path, encode_weights(model))


def encode_weights(model: keras.Model) -> bytes:
    """The content of the weight file of a functional model.

    It is made in memory: on a full disk the library may end the process when it closes a file.
    """
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        layer_names = _stable_names(model.layers)
        _write_names(file, "layer_names", layer_names)
        file.attrs["backend"] = b"tensorflow"
        file.attrs["keras_version"] = b"2.16.0"
        for layer_name, layer in zip(layer_names, model.layers, strict=True):
            group = file.create_group(layer_name)
            names = [_weight_name(layer_name, layer, variable) for variable in _variables(layer)]
            for name, variable in zip(names, _variables(layer), strict=True):
                group.create_dataset(name, data=variable.numpy())
            _write_names(group, "weight_names", names)
        _write_names(file.create_group("top_level_model_weights"), "weight_names", [])
    return content.getvalue()


def read_weights(model: keras.Model, path: str | os.PathLike[str], finite: bool = True) -> None:
    """Fill a functional model from a file that we or tf-keras wrote; all weights or none are changed.

    Args:
        finite: whether to refuse NaN and infinity.

    Raises:
        ModelFormatError: not such a file.
        WeightsError: its weights are not those of the model; names the first layer that differs.
    """
    stored = stored_weights(path, finite)
    layers = [layer for layer in model.layers if _variables(layer)]
    if len(stored) != len(layers):
        raise WeightsError(
            f"{os.fspath(path)}: expected weights of {len(layers)} layers, got those of {len(stored)}"
        )
    for (name, arrays), layer in zip(stored, layers, strict=True):
        expected = [tuple(variable.shape) for variable in _variables(layer)]
        given = [array.shape for array in arrays]
        if expected != given:
            raise WeightsError(
                f"{os.fspath(path)}: layer {name}: expected shapes {expected} as in {layer.name}, got {given}"
            )
    for (_, arrays), layer in zip(stored, layers, strict=True):
        for array, variable in zip(arrays, _variables(layer), strict=True):
            variable.assign(array)


def stored_weights(path: str | os.PathLike[str], finite: bool = True) -> list[tuple[str, list[np.ndarray]]]:
    """The layers of a weight file that have weights, in its order: (name, float32 arrays).

    Raises:
        ModelFormatError: not an HDF5 file of this layout, or (where `finite`) one that holds NaN or infinity.
    """
    try:
        check_regular(path)
        with h5py.File(path, "r") as file:
            root = file
            if not _has_names(file, "layer_names") and "model_weights" in file:
                root = file["model_weights"]
            budget = _Budget(Path(path))
            names = _read_names(root, "layer_names", budget)
            layers = [(name, _read_layer(_member(root, name), budget)) for name in names]
    except (OSError, KeyError, ValueError, TypeError, AttributeError, RuntimeError, MemoryError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or error
        raise ModelFormatError(f"{os.fspath(path)}: not a Keras HDF5 weight file ({reason})") from error
    for name, arrays in layers:
        if finite and not all(np.isfinite(array).all() for array in arrays):
            raise ModelFormatError(
                f"{os.fspath(path)}: layer {name}: expected finite numbers, got NaN or infinity"
            )
    return [(name, arrays) for name, arrays in layers if arrays]


def _variables(layer: Any) -> list[Any]:
    """In the layout's order: trainable ones first, then the rest."""
    return [*layer.trainable_weights, *layer.non_trainable_weights]


def _weight_name(layer_name: str, layer: Any, variable: Any) -> str:
    name = KERAS_2_NAMES.get((type(layer).__name__, variable.name), variable.name)
    return f"{layer_name}/{name}:0"


def _stable_names(layers: Sequence[Any]) -> list[str]:
    """Names with counters of their own: those of Keras go on counting as long as the process lives."""
    seen: Counter[str] = Counter()
    names = []
    for layer in layers:
        kind = re.sub(r"_[1-9]\d*$", "", layer.name)
        names.append(f"{kind}_{seen[kind]}" if seen[kind] else kind)
        seen[kind] += 1
    return names


class _Budget:
    """What may still be read of a file: a few bytes can name the same data over and over."""

    def __init__(self, path: Path):
        self.size_bytes = path.stat().st_size
        self._path = path
        self._left_bytes = self.size_bytes
        self._left_names = MAX_NAMES

    def spend(self, size_bytes: int) -> None:
        """Count bytes that are about to be read."""
        self._left_bytes -= size_bytes
        if self._left_bytes < 0:
            raise ValueError(f"its names lead to more data than the {self.size_bytes} bytes of the file")

    def name(self, count: int) -> None:
        """Count names that are about to be read."""
        self._left_names -= count
        if self._left_names < 0:
            raise ValueError(f"expected at most {MAX_NAMES} names of layers and weights")

    def texts(self, count: int) -> None:
        """Count texts of any length that are about to be read: all of them may be the longest one."""
        if count * self._longest_text_bytes > max(HARMLESS_TEXT_BYTES, self.size_bytes):
            raise ValueError("its names are longer than those of layers and weights")

    @cached_property
    def _longest_text_bytes(self) -> int:
        """At least the size of the longest text: that of the largest heap that texts stand in.

        A heap begins with a signature, its version, three zeros and its size (HDF5 File Format, III.E).
        """
        longest = 0
        with self._path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            position = content.find(_HEAP)
            while position >= 0:
                size = content[position + len(_HEAP) : position + len(_HEAP) + 8]
                longest = max(longest, int.from_bytes(size, "little"))
                position = content.find(_HEAP, position + len(_HEAP))
        return longest


def _read_layer(group: Any, budget: _Budget) -> list[np.ndarray]:
    arrays = []
    for name in _read_names(group, "weight_names", budget):
        data = _member(group, name)
        if not isinstance(data, h5py.Dataset) or data.dtype.kind not in "iuf":
            raise ValueError(f"{group.name}/{name} holds something else than numbers")
        # a few bytes can promise any size, compressed, in another file or not at all
        chunk_bytes = math.prod(data.chunks or (0,)) * data.dtype.itemsize
        if data.is_virtual or data.external or max(data.nbytes, chunk_bytes) > budget.size_bytes:
            raise ValueError(f"{group.name}/{name} is not stored in this file as it is")
        budget.spend(max(data.nbytes, chunk_bytes))
        arrays.append(np.asarray(data).astype(np.float32))
    return arrays


def _member(group: Any, name: str) -> Any:
    """What `name` leads to in `group`, by links inside the file only."""
    place = group
    for part in name.strip("/").split("/"):
        if not isinstance(place.get(part, getlink=True), h5py.HardLink):
            raise ValueError(f"{place.name}/{part} lies outside of the file, or elsewhere in it")
        place = place[part]
    return place


def _write_names(group: Any, key: str, names: Sequence[str]) -> None:
    encoded = np.asarray([name.encode() for name in names], dtype="S") if names else np.zeros(0)
    parts = 1
    while any(chunk.nbytes > MAX_ATTRIBUTE_BYTES for chunk in np.array_split(encoded, parts)):
        parts += 1
    for number, chunk in enumerate(np.array_split(encoded, parts)):
        group.attrs[key if parts == 1 else f"{key}{number}"] = chunk


def _has_names(group: Any, key: str) -> bool:
    return key in group.attrs or f"{key}0" in group.attrs


def _read_names(group: Any, key: str, budget: _Budget) -> list[str]:
    if key in group.attrs:
        return _attribute(group, key, budget)
    if f"{key}0" not in group.attrs:
        raise KeyError(f"no attribute {key}")
    names = []
    part = 0
    while f"{key}{part}" in group.attrs:
        names += _attribute(group, f"{key}{part}", budget)
        part += 1
    return names


def _attribute(group: Any, key: str, budget: _Budget) -> list[str]:
    """The texts in an attribute.

    Raises:
        ValueError: it is large for the file.
    """
    stored = group.attrs.get_id(key)
    count = math.prod(stored.shape or ())
    budget.name(count)
    budget.spend(count * stored.dtype.itemsize)
    if stored.dtype.kind == "O":
        budget.texts(count)
    return [name.decode() if isinstance(name, bytes) else str(name) for name in group.attrs[key]]
