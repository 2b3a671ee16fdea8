"""All layer types by name, and lists of layers as documents write them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from sensenet.document.layer_facts import MAX_LAYERS
from sensenet.document.parsing import expected, integer, mapping, required, sequence
from sensenet.document.wording import hint
from sensenet.errors import ModelFormatError
from sensenet.layers import legacy
from sensenet.layers.activations import Activation
from sensenet.layers.base import NETWORK_INPUT, Layers, LayerSpec
from sensenet.layers.blocks import (
    DarknetResidualBlock,
    DenseResidualBlock,
    MobilenetResidualBlock,
    Resnet18Block,
    ResnetBlock,
    XceptionBlock,
)
from sensenet.layers.convolution import Convolution2D
from sensenet.layers.dense import Dense
from sensenet.layers.depthwise import DepthwiseConvolution2D, SeparableConvolution2D
from sensenet.layers.dropout import Dropout
from sensenet.layers.normalization import BatchNormalization
from sensenet.layers.pooling import AveragePool2D, GlobalAveragePool2D, GlobalMaxPool2D, MaxPool2D
from sensenet.layers.shape import Add, Concatenate, Flatten, Padding2D, SplitChannels, Upsampling2D

LAYERS: Mapping[str, type[LayerSpec]] = MappingProxyType(
    {
        "activation": Activation,
        "add": Add,
        "average_pool_2d": AveragePool2D,
        "batch_normalization": BatchNormalization,
        "concatenate": Concatenate,
        "convolution_2d": Convolution2D,
        "darknet_residual_block": DarknetResidualBlock,
        "dense": Dense,
        "dense_residual_block": DenseResidualBlock,
        "depthwise_convolution_2d": DepthwiseConvolution2D,
        "dropout": Dropout,
        "flatten": Flatten,
        "global_average_pool_2d": GlobalAveragePool2D,
        "global_max_pool_2d": GlobalMaxPool2D,
        "max_pool_2d": MaxPool2D,
        "mobilenet_residual_block": MobilenetResidualBlock,
        "padding_2d": Padding2D,
        "resnet18_block": Resnet18Block,
        "resnet_block": ResnetBlock,
        "separable_convolution_2d": SeparableConvolution2D,
        "split_channels": SplitChannels,
        "upsampling_2d": Upsampling2D,
        "xception_block": XceptionBlock,
    }
)

MAX_NESTING = 8
MAX_INPUTS = 1000


def parse_layers(raw_list: Any, path: str = "layers") -> Layers:
    """The layers of a document; if one of them has no `type`, all are of the legacy form.

    Args:
        raw_list: the JSON list; arrays may be nested lists or NumPy arrays.
        path: its place in the document, for errors.

    Raises:
        ModelFormatError: names the place, the expectation and the value.
    """
    raw_layers = [mapping(raw, f"{path}[{i}]") for i, raw in enumerate(_bounded(raw_list, path))]
    if any("type" not in raw for raw in raw_layers):
        return legacy.parse_legacy(raw_layers, path)
    return _parse_modern(raw_layers, path, MAX_NESTING)


def _bounded(raw_list: Any, path: str) -> Sequence[Any]:
    layers = sequence(raw_list, path)
    if len(layers) > MAX_LAYERS:
        raise ModelFormatError(f"{path}: expected at most {MAX_LAYERS} layers, got {len(layers)}")
    return layers


def _parse_modern(raw_list: Any, path: str, nesting: int) -> Layers:
    if nesting == 0:
        raise ModelFormatError(f"{path}: blocks are nested deeper than {MAX_NESTING}")

    def nested(value: Any, place: str) -> Layers:
        return _parse_modern(value, place, nesting - 1)

    layers = []
    for position, raw in enumerate(_bounded(raw_list, path)):
        place = f"{path}[{position}]"
        raw = mapping(raw, place)
        kind = required(raw, "type", place)
        if not isinstance(kind, str) or kind not in LAYERS:
            expected(f"{place}.type", f"a layer type{hint(kind, LAYERS)}", kind)
        spec = LAYERS[kind].parse(raw, place, nested)
        inputs = _parse_inputs(raw.get("inputs"), position, place, spec.takes_many)
        layers.append(replace(spec, inputs=inputs))
    return tuple(layers)


def _parse_inputs(value: Any, position: int, place: str, takes_many: bool) -> tuple[int, ...]:
    if position == 0:
        return (NETWORK_INPUT,)
    if value is None:
        return (position - 1,)
    indices = sequence(value, f"{place}.inputs")
    if takes_many and not 1 <= len(indices) <= MAX_INPUTS:
        raise ModelFormatError(
            f"{place}.inputs: expected 1 to {MAX_INPUTS} earlier layers, got {len(indices)}"
        )
    if not takes_many and len(indices) != 1:
        raise ModelFormatError(f"{place}.inputs: expected one earlier layer, got {len(indices)}")
    return tuple(integer(index, f"{place}.inputs[{k}]", 0, position - 1) for k, index in enumerate(indices))


def dump_layers(layers: Sequence[LayerSpec], short: bool = False) -> list[dict[str, Any]]:
    """The JSON list of `layers` in the modern form.

    Arrays stay NumPy float32: write the list with `sensenet.document.model.dumps`, or any orjson with
    `OPT_SERIALIZE_NUMPY`, which gives each number its shortest text.

    Args:
        layers: as `parse_layers` gives them.
        short: names of initializers, and sizes, in place of arrays.
    """
    dumped = []
    for position, layer in enumerate(layers):
        raw = {"type": layer.type_name, **layer.dump(short)}
        for key, value in raw.items():
            if isinstance(value, tuple):
                raw[key] = dump_layers(value, short)
        if position and layer.inputs != (position - 1,):
            raw["inputs"] = list(layer.inputs)
        dumped.append(raw)
    return dumped


def without_dropout(layers: Layers) -> Layers:
    """The same network for prediction: without dropout, the `inputs` of the layers behind it renumbered."""
    kept: list[LayerSpec] = []
    moved = {NETWORK_INPUT: NETWORK_INPUT}
    for position, layer in enumerate(layers):
        inputs = tuple(moved[index] for index in layer.inputs)
        if isinstance(layer, Dropout) and not _stands_for_its_input(layers, position, inputs, len(kept)):
            layer = Activation(activation_function=None)
        if isinstance(layer, Dropout):
            moved[position] = inputs[0]
            continue
        moved[position] = len(kept)
        kept.append(replace(layer.with_paths(without_dropout), inputs=inputs))
    return tuple(kept)


def _stands_for_its_input(layers: Layers, position: int, inputs: tuple[int, ...], n_kept: int) -> bool:
    """Whether a list without this dropout layer can say the same: only its first layer can take the list's
    input, and only its last layer can be its output."""
    if inputs[0] == NETWORK_INPUT:
        users = [i for i, layer in enumerate(layers) if position in layer.inputs]
        return users == [position + 1] or len(layers) == 1
    return position < len(layers) - 1 or inputs[0] == n_kept - 1
