"""First values of untrained parameters, by the names that documents use.

Fans follow Keras: for a matrix [in, out] they are its sides, for a kernel [..., in, out] both times the
receptive field. Glorot: Glorot & Bengio 2010; He: arXiv 1502.01852; LeCun: LeCun et al. 1998.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from sensenet.parsing import array, expected, hint

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
    if value not in INITIALIZERS:
        expected(path, f"numbers or an initializer{hint(value, INITIALIZERS)}", value)
    return value
