"""Layer types: one file a family, each type one codec between JSON, arrays, Keras and plain formula."""

from __future__ import annotations

from sensenet.layers.base import LayerSpec
from sensenet.layers.legacy import to_legacy
from sensenet.layers.registry import LAYERS, dump_layers, parse_layers, without_dropout

__all__ = ["LAYERS", "LayerSpec", "dump_layers", "parse_layers", "to_legacy", "without_dropout"]
