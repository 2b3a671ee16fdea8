"""Which pixels of an image a resized one is made of: sizes, cuts and source indices, in float32.

The same formulas serve NumPy, where sizes are known beforehand, and tensors, where a graph takes images of any size.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from sensenet.document.wording import hint
from sensenet.errors import SettingsError


class Arithmetic(NamedTuple):
    """The operations of the geometry below on float32 scalars, which are NumPy's or tensors."""

    divide: Callable[[Any, Any], Any]
    minimum: Callable[[Any, Any], Any]
    maximum: Callable[[Any, Any], Any]
    round: Callable[[Any], Any]


NUMPY = Arithmetic(np.divide, np.minimum, np.maximum, np.round)
# TensorFlow's optimiser, too, leaves this division as it is
TENSORS = Arithmetic(tf.math.divide_no_nan, tf.math.minimum, tf.math.maximum, tf.math.round)


class Side(NamedTuple):
    """How one side of an image is resized, in whole pixels that are held as float32.

    Attributes:
        size: what it is scaled to.
        offset: how many of these pixels are cut off before the first one of the result.
        kept: how many are in the result.
    """

    size: Any
    offset: Any
    kept: Any


def _warp(
    source: tuple[Any, Any], target: tuple[np.float32, np.float32], ops: Arithmetic
) -> tuple[Side, ...]:
    # 0 is added that only a run can know: compilers turn a division by a constant into a multiplication by its
    # reciprocal, which rounds differently
    nothing = [ops.minimum(size, np.float32(0)) for size in source]
    return tuple(Side(side + zero, np.float32(0), side) for side, zero in zip(target, nothing, strict=True))


def _pad(source: tuple[Any, Any], target: tuple[np.float32, np.float32], ops: Arithmetic) -> tuple[Side, ...]:
    ratio = ops.minimum(*(ops.divide(side, size) for side, size in zip(target, source, strict=True)))
    sizes = [ops.maximum(ops.round(size * ratio), np.float32(1)) for size in source]
    return tuple(Side(size, np.float32(0), size) for size in sizes)


def _crop(
    source: tuple[Any, Any], target: tuple[np.float32, np.float32], ops: Arithmetic
) -> tuple[Side, ...]:
    ratio = ops.maximum(*(ops.divide(side, size) for side, size in zip(target, source, strict=True)))
    sides = []
    for size, kept in zip(source, target, strict=True):
        scaled = size * ratio
        resized = ops.maximum(ops.round(scaled), kept)
        offset = ops.maximum(ops.round((scaled - kept) * np.float32(0.5)), np.float32(0))
        sides.append(Side(resized, ops.minimum(offset, resized - kept), kept))
    return tuple(sides)


_GEOMETRIES: Mapping[str, Callable[..., tuple[Side, ...]]] = MappingProxyType(
    {"warp": _warp, "pad": _pad, "crop": _crop}
)
RESCALE_TYPES = tuple(_GEOMETRIES)


def geometry(rescale_type: str) -> Callable[..., tuple[Side, ...]]:
    """What tells of (height, width) of an image and of the target, float32, how each side is resized.

    Raises:
        SettingsError: an unknown rescale type.
    """
    if rescale_type not in _GEOMETRIES:
        raise SettingsError(f"rescale_type: there is no {rescale_type!r}{hint(rescale_type, RESCALE_TYPES)}")
    return _GEOMETRIES[rescale_type]


def nearest(n_in: Any, size: Any, side: Side, target: int, ops: Arithmetic) -> tf.Tensor:
    """The source indices of one side's kept pixels, (kept,) int32; `size` is `n_in` as float32."""
    centres = np.arange(target, dtype=np.float32) + np.float32(0.5)
    if isinstance(side.kept, tf.Tensor):
        centres = tf.constant(centres)[: tf.cast(side.kept, tf.int32)]
    else:
        centres = centres[: int(side.kept)]
    positions = (side.offset + centres) * ops.divide(size, side.size)
    # positions are not negative, so that the conversion is the floor
    return tf.minimum(tf.cast(positions, tf.int32), n_in - 1)
