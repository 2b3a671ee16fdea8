"""Layers as BigML wrote them from 2017 to 2020: no `type`, transposed weights, normalisation inside.

A legacy layer without `stdev` is activation(weights @ x + offset). With it, the offset comes after the
normalisation: activation(scale * (weights @ x - mean) / stdev + offset), which modern layers say with
variance = stdev² - EPSILON. A layer followed by one with `residuals` forms a residual block with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sensenet.document.layer_facts import MAX_NODES
from sensenet.document.parsing import expected, integer, required
from sensenet.errors import ModelFormatError
from sensenet.layers.activations import Activation, parse_activation
from sensenet.layers.base import NETWORK_INPUT, Layers, LayerSpec, initialize_layers
from sensenet.layers.blocks import DenseResidualBlock, is_selection
from sensenet.layers.dense import Dense, parse_offset
from sensenet.layers.dropout import Dropout
from sensenet.layers.initializers import Parameter, parameter, parse_seed
from sensenet.layers.normalization import BatchNormalization

EPSILON = 1e-3
UNTRAINED = {
    "weights": "glorot_uniform",
    "offset": "zeros",
    "scale": "ones",
    "mean": "zeros",
    "stdev": "ones",
}


def parse_legacy(raw_layers: Sequence[Mapping[str, Any]], path: str) -> Layers:
    """The modern specs of a list of legacy layers.

    Raises:
        ModelFormatError: names the place, the expectation and the value.
    """
    layers: list[LayerSpec] = []
    position = 0
    while position < len(raw_layers):
        places = [f"{path}[{position}]", f"{path}[{position + 1}]"]
        if position + 1 < len(raw_layers) and raw_layers[position + 1].get("residuals"):
            first = _parse_layer(raw_layers[position], places[0])
            *second, activation = _parse_layer(raw_layers[position + 1], places[1])
            block = DenseResidualBlock(
                dense_path=chain([*first, *second]),
                activation_function=activation.activation_function,
                fit_identity=True,
            )
            layers.append(block)
            position += 2
        else:
            layers.extend(_parse_layer(raw_layers[position], places[0]))
            position += 1
    return chain(_merged(layers))


def _parse_layer(raw: Mapping[str, Any], path: str) -> tuple[Any, ...]:
    """One legacy layer as dense (, normalisation), activation."""
    dense = _parse_dense(raw, path)
    activation = Activation(
        activation_function=parse_activation(raw.get("activation_function"), f"{path}.activation_function")
    )
    if raw.get("stdev") is None:
        return dense, activation
    normalization = BatchNormalization(
        gamma=parameter(required(raw, "scale", path), f"{path}.scale", 1),
        beta=dense.offset,
        mean=parameter(required(raw, "mean", path), f"{path}.mean", 1),
        variance=_variance(raw["stdev"], f"{path}.stdev"),
        epsilon=EPSILON,
    )
    return replace(dense, offset=_zeros_like(dense)), normalization, activation


def _parse_dense(raw: Mapping[str, Any], path: str) -> Dense:
    if "type" in raw and "weights" not in raw:
        wanted = "a dense layer, for the list is of the legacy form (not all of it has types)"
        expected(path, wanted, raw["type"])
    weights = parameter(required(raw, "weights", path), f"{path}.weights", 2)
    if isinstance(weights, str):
        nodes = integer(required(raw, "number_of_nodes", path), f"{path}.number_of_nodes", 1, MAX_NODES)
    else:
        weights, nodes = np.ascontiguousarray(weights.T), len(weights)
    return Dense(
        weights=weights, offset=parse_offset(raw, path), number_of_nodes=nodes, seed=parse_seed(raw, path)
    )


def _variance(value: Any, path: str) -> Parameter:
    stdev = parameter(value, path, 1)
    # an untrained network has no statistics yet: its moving variance starts where the name says
    return (
        stdev if isinstance(stdev, str) else (np.square(stdev, dtype=np.float64) - EPSILON).astype(np.float32)
    )


def _zeros_like(dense: Dense) -> Parameter:
    return "zeros" if isinstance(dense.weights, str) else np.zeros(dense.number_of_nodes, np.float32)


def _merged(layers: Sequence[LayerSpec]) -> list[LayerSpec]:
    """`layers` with an activation directly behind a dense layer taken into it, and linear ones left out."""
    merged: list[LayerSpec] = []
    for layer in layers:
        if isinstance(layer, Activation):
            if layer.activation_function is None:
                continue
            if merged and isinstance(merged[-1], Dense):
                merged[-1] = replace(merged[-1], activation_function=layer.activation_function)
                continue
        merged.append(layer)
    return merged


def chain(layers: Sequence[LayerSpec]) -> Layers:
    """`layers` with each taking the one before it."""
    return tuple(
        replace(layer, inputs=(position - 1 if position else NETWORK_INPUT,))
        for position, layer in enumerate(_merged(layers))
    )


def shorten_legacy(raw: Mapping[str, Any]) -> dict[str, Any]:
    """A legacy layer with initializers' names in place of its arrays."""
    short = {
        key: UNTRAINED[key] if key in UNTRAINED and value is not None else value for key, value in raw.items()
    }
    return short if isinstance(raw["weights"], str) else short | {"number_of_nodes": len(raw["weights"])}


@dataclass
class _Affine:
    """A legacy layer under construction: dense, then perhaps normalisation, then perhaps an activation."""

    weights: np.ndarray
    offset: np.ndarray
    normalization: BatchNormalization | None = None
    activation: str | None = None
    residuals: bool = False

    @property
    def width(self) -> int:
        return int(self.weights.shape[1])

    def dump(self) -> dict[str, Any]:
        raw: dict[str, Any] = {
            "weights": np.ascontiguousarray(self.weights.T),
            "offset": self.offset,
            "scale": None,
            "mean": None,
            "stdev": None,
            "activation_function": self.activation,
            "residuals": self.residuals,
        }
        if self.normalization is not None:
            statistics: Any = self.normalization
            variance = np.asarray(statistics.variance, np.float64) + statistics.epsilon
            raw |= {
                "offset": statistics.beta,
                "scale": statistics.gamma,
                "mean": statistics.mean - self.offset,
                "stdev": np.sqrt(variance).astype(np.float32),
            }
        return raw


def to_legacy(layers: Sequence[LayerSpec], input_size: int) -> list[dict[str, Any]]:
    """Trained layers in the legacy form, with the same predictions; dropout is left out.

    Args:
        layers: as `parse_layers` gives them.
        input_size: columns that the first of them takes.

    Returns:
        JSON objects whose arrays are NumPy float32 (see `dump_layers`).

    Raises:
        ModelFormatError: a layer that the legacy form cannot say, or that is not trained; names it.
    """
    initialized, _ = initialize_layers(tuple(layers), (input_size,), (0,), "layers")
    for position, layer in enumerate(layers):
        _check_trained(layer, f"layers[{position}]")
    converted = _convert(initialized, input_size, "layers")
    if converted and converted[-1].residuals:
        # the published package cannot end a network with a legacy block
        converted.append(_identity(converted[-1].width))
    return [layer.dump() for layer in converted]


def _check_trained(layer: LayerSpec, path: str) -> None:
    if isinstance(layer, DenseResidualBlock):
        for position, inner in enumerate(layer.dense_path):
            _check_trained(inner, f"{path}.dense_path[{position}]")
    elif isinstance(layer, Dense) and isinstance(layer.weights, str):
        raise ModelFormatError(f'{path}.weights: expected trained numbers, got "{layer.weights}"')


def _identity(width: int) -> _Affine:
    return _Affine(np.eye(width, dtype=np.float32), np.zeros(width, np.float32))


def _convert(layers: Layers, width: int, path: str) -> list[_Affine]:
    """A plain chain of initialized layers whose input has `width` columns, as legacy layers."""
    converted: list[_Affine] = []
    for position, layer in enumerate(layers):
        place = f"{path}[{position}]"
        if position and layer.inputs != (position - 1,):
            raise ModelFormatError(f"{place}.inputs: the legacy form can only say a plain chain of layers")
        if isinstance(layer, Dense):
            converted.append(_Affine(_array(layer.weights), _array(layer.offset)))
            converted[-1].activation = layer.activation_function
        elif isinstance(layer, BatchNormalization):
            if not converted or not _takes_more(converted[-1]) or converted[-1].normalization is not None:
                converted.append(_identity(converted[-1].width if converted else width))
            converted[-1].normalization = layer
        elif isinstance(layer, Activation):
            _convert_activation(layer, converted, width)
        elif isinstance(layer, DenseResidualBlock):
            converted.extend(_convert_block(layer, converted[-1].width if converted else width, place))
        elif not isinstance(layer, Dropout):
            raise ModelFormatError(f'{place}: the legacy form has no "{layer.type_name}"')
    return converted


def _takes_more(layer: _Affine) -> bool:
    return layer.activation is None and not layer.residuals


def _convert_activation(layer: Activation, converted: list[_Affine], width: int) -> None:
    if layer.activation_function is None:
        return
    if not converted or not _takes_more(converted[-1]):
        converted.append(_identity(converted[-1].width if converted else width))
    converted[-1].activation = layer.activation_function


def _convert_block(block: DenseResidualBlock, width: int, path: str) -> list[_Affine]:
    if block.identity_path and not is_selection(block.identity_path):
        raise ModelFormatError(f'{path}.identity_path: the legacy form has no non-empty "identity_path"')
    inside = _convert(block.dense_path, width, f"{path}.dense_path")
    if len(inside) < 2 and not (inside and inside[0].activation is None):
        inside.append(_identity(inside[0].width if inside else width))
    if len(inside) == 1:
        inside.insert(0, _identity(width))
    if len(inside) != 2 or inside[1].activation is not None or any(layer.residuals for layer in inside):
        raise ModelFormatError(
            f"{path}.dense_path: a legacy block is two dense layers, the second without an activation; this "
            f'"dense_residual_block" needs {len(inside)}'
        )
    inside[1].activation, inside[1].residuals = block.activation_function, True
    return inside


def _array(values: Parameter) -> np.ndarray:
    assert isinstance(values, np.ndarray), "the layers were initialized"
    return values
