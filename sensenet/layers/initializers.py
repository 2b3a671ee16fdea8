"""First values of untrained parameters, by the names that documents use.

Fans follow Keras: for a matrix [in, out] they are its sides, for a kernel [..., in, out] both times the
receptive field. Glorot: Glorot & Bengio 2010; He: arXiv 1502.01852; LeCun: LeCun et al. 1998.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np

from sensenet.document.layer_facts import INITIALIZER_NAMES
from sensenet.document.parsing import array, expected, integer
from sensenet.document.wording import hint
from sensenet.errors import ModelFormatError
from sensenet.layers.base import LayerSpec, Shape

MAX_PARAMETERS = 250_000_000
MAX_SEED = 2**63 - 1

Parameter = np.ndarray | str
"""A trained array, or the name of an untrained one's initializer."""

# the standard deviation of a standard normal cut off at two deviations: draws are divided by it
TRUNCATED_DEVIATION = 0.87962566103423978


def _fans(shape: Sequence[int]) -> tuple[float, float]:
    if len(shape) < 2:
        return (float(shape[0]), float(shape[0])) if shape else (1.0, 1.0)
    field = math.prod(shape[:-2])
    return float(shape[-2] * field), float(shape[-1] * field)


def _truncated_normal(rng: np.random.Generator, shape: Sequence[int], deviation: float) -> np.ndarray:
    draws = rng.standard_normal(shape)
    while (outside := np.abs(draws) > 2).any():
        draws[outside] = rng.standard_normal(int(outside.sum()))
    return draws * (deviation / TRUNCATED_DEVIATION)


def _fan_of(mode: str, shape: Sequence[int]) -> float:
    fan_in, fan_out = _fans(shape)
    return fan_in if mode == "in" else (fan_in + fan_out) / 2


def _uniform(scale: float, mode: str) -> Callable[[np.random.Generator, Sequence[int]], np.ndarray]:
    def draw(rng: np.random.Generator, shape: Sequence[int]) -> np.ndarray:
        limit = math.sqrt(3 * scale / _fan_of(mode, shape))
        return rng.uniform(-limit, limit, shape)

    return draw


def _normal(scale: float, mode: str) -> Callable[[np.random.Generator, Sequence[int]], np.ndarray]:
    def draw(rng: np.random.Generator, shape: Sequence[int]) -> np.ndarray:
        return _truncated_normal(rng, shape, math.sqrt(scale / _fan_of(mode, shape)))

    return draw


INITIALIZERS = MappingProxyType(
    {
        "zeros": lambda rng, shape: np.zeros(shape),
        "ones": lambda rng, shape: np.ones(shape),
        "glorot_uniform": _uniform(1, "average"),
        "glorot_normal": _normal(1, "average"),
        "he_uniform": _uniform(2, "in"),
        "he_normal": _normal(2, "in"),
        "lecun_uniform": _uniform(1, "in"),
        "lecun_normal": _normal(1, "in"),
        "random_uniform": lambda rng, shape: rng.uniform(-0.05, 0.05, shape),
        "random_normal": lambda rng, shape: rng.normal(0, 0.05, shape),
    }
)


def initial_values(name: str, shape: Sequence[int], seed: Sequence[int]) -> np.ndarray:
    """A float32 array of `shape` drawn by the initializer `name`, the same for the same `seed`."""
    return INITIALIZERS[name](np.random.default_rng(seed), shape).astype(np.float32)


def parameter(value: Any, path: str, dimensions: int) -> Parameter:
    """An array of `dimensions` dimensions, or the name of an initializer.

    Raises:
        ModelFormatError: neither of the two.
    """
    if not isinstance(value, str):
        return array(value, path, dimensions)
    if value not in INITIALIZER_NAMES:
        expected(path, f"numbers or an initializer{hint(value, INITIALIZER_NAMES)}", value)
    return value


def parse_seed(raw: Mapping[str, Any], path: str) -> int | None:
    """The seed of an untrained layer, or None."""
    seed = raw.get("seed")
    return None if seed is None else integer(seed, f"{path}.seed", 0, MAX_SEED)


def initialized_array(given: Parameter, shape: Shape, seed: Sequence[int], path: str) -> np.ndarray:
    """`given` if it has `shape`, or what the initializer of that name draws.

    Raises:
        ModelFormatError: another shape, or more than `MAX_PARAMETERS` numbers to draw.
    """
    if isinstance(given, str):
        if math.prod(shape) > MAX_PARAMETERS:
            raise ModelFormatError(f"{path}: {' x '.join(map(str, shape))} numbers are too many to draw")
        return initial_values(given, shape, seed)
    if given.shape != shape:
        raise ModelFormatError(f"{path}: expected numbers of shape {list(shape)}, got {list(given.shape)}")
    return given


def in_float32(spec: LayerSpec, **arrays: np.ndarray) -> LayerSpec | None:
    """`spec` with `arrays` rounded to float32, or None where one overflows."""
    with np.errstate(over="ignore"):
        rounded: dict[str, Any] = {name: values.astype(np.float32) for name, values in arrays.items()}
    finite = all(np.isfinite(values).all() for values in rounded.values())
    return replace(spec, **rounded) if finite else None
