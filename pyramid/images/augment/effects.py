"""All that changes the values of pixels where they are: blur, colours, occlusions, noise; each for one image.

All but blur take an image as (h, w * 3) uint8: long lines are what compiled loops are quick on.
"""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import tensorflow as tf

from pyramid.images.augment.draws import Draws, draws_of
from pyramid.images.augment.pixels import ONE, weighted_sum
from pyramid.images.augment.registry import Augmentations
from pyramid.randomness import mix32

NOISE_BITS = 24  # the standard normal is a sum of so many coins, and a uniform part
NOISE_LEVELS = 256
MEAN_SLABS = 32
CHANNELS = 3
COLOUR_BITS = 16
COLOUR_ONE = 1 << COLOUR_BITS


def blurred_side(draws: Draws, side: int) -> tf.Tensor:
    """How long a side of the small image of `blur_axis` is: a float32 of whole value."""
    return tf.maximum(tf.round(side * draws.uniform(1.0 - draws.n, 1.0)), 1.0)


def blur_axis(packed: tf.Tensor, small: tf.Tensor, axis: int) -> tf.Tensor:
    """Make an image smaller along one axis and large again, bilinearly both times, in one pass.

    A pixel of the result lies between two pixels of the small image, and each of these between two of the large
    one: so four pixels and their weights, whatever the size of the small image.

    Args:
        packed: (h, w) int32, from `pixels.pack`.
        small: the length of that axis in the small image, from 1.
    """
    side = int(packed.shape[axis])
    places, shares = _between(tf.range(side, dtype=tf.float32), small / side, small)
    taps, bounds = [], [tf.zeros(side)]
    for place, share in zip(places, shares, strict=True):
        sources, parts = _between(place, side / small, tf.constant(float(side)))
        taps += [tf.gather(packed, tf.cast(source, tf.int32), axis=axis) for source in sources]
        bounds += [bounds[-1] + share * parts[0], bounds[-1] + share]
    # rounded sums, not parts: so no weight is below zero, and together they are one
    marks = [tf.cast(tf.round(ONE * bound), tf.int32) for bound in bounds]
    shape = (side, 1) if axis == 0 else (1, side)
    weights = [tf.reshape(high - low, shape) for low, high in pairwise(marks)]
    return weighted_sum(taps, weights)


def _between(
    place: tf.Tensor, scale: tf.Tensor, limit: tf.Tensor
) -> tuple[tuple[tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]]:
    """The two pixels around each centre of a scaled axis that has `limit` pixels, and their shares."""
    position = tf.clip_by_value((place + 0.5) * scale - 0.5, 0.0, limit - 1.0)
    first = tf.floor(position)
    share = position - first
    return (first, tf.minimum(first + 1.0, limit - 1.0)), (1.0 - share, share)


def slab_sums(lines: tf.Tensor) -> tf.Tensor:
    """The first step to the mean of (h, w * 3) uint8: the sums over slabs of lines, (lines in a slab, w * 3) int32."""
    height = int(lines.shape[0])
    slab = -(-height // MEAN_SLABS)
    parts = [tf.cast(lines[start : start + slab], tf.int32) for start in range(0, height, slab)]
    parts[-1] = tf.pad(parts[-1], [[0, slab - parts[-1].shape[0]], [0, 0]])
    return tf.add_n(parts)


def mean_colours(sums: tf.Tensor, pixels: int) -> tf.Tensor:
    """(n, 3) float32, the mean of each channel, from the `slab_sums` of n images; exact but for the division."""
    columns = tf.cast(tf.reduce_sum(sums, axis=1), tf.int64)
    totals = tf.reduce_sum(tf.reshape(columns, (columns.shape[0], -1, CHANNELS)), axis=1)
    return tf.cast(tf.cast(totals, tf.float64) / pixels, tf.float32)


def colour_map(mean: tf.Tensor, key: tf.Tensor, augmentations: Augmentations) -> tf.Tensor:
    """(2, 3) int32: contrast, brightness, tint and inversion, in this order, as one scale and offset a channel.

    All of them are linear in the value, so they need one multiplication, and only the result is clipped. The
    numbers are in parts of `COLOUR_ONE`: of integers XLA makes the shortest loop.

    Args:
        mean: (3,) float32, the mean colour.
    """
    scale, offset = tf.ones(3), tf.zeros(3)
    drawn = {name: draws_of(name, key, augmentations[name]) for name in augmentations}
    if draws := drawn.get("contrast"):
        scale = tf.fill((3,), draws.around(1.0))
        offset = mean * (1.0 - scale)
    if draws := drawn.get("brightness"):
        offset += 255.0 * draws.around()
    if draws := drawn.get("tint"):
        factors = _tint(draws)
        scale, offset = scale * factors, offset * factors
    if draws := drawn.get("color_invert"):
        inverted = draws.coin()
        scale = tf.where(inverted, -scale, scale)
        offset = tf.where(inverted, 255.0 - offset, offset)
    return tf.cast(tf.round(tf.stack([scale, offset]) * COLOUR_ONE), tf.int32)


def recolour(lines: tf.Tensor, scale_and_offset: tf.Tensor) -> tf.Tensor:
    """(h, w * 3) uint8 through a `colour_map`."""
    scale, offset = (_line(colour, int(lines.shape[1])) for colour in tf.unstack(scale_and_offset))
    values = tf.cast(lines, tf.int32) * scale + (offset + COLOUR_ONE // 2)
    return tf.cast(
        tf.bitwise.right_shift(tf.clip_by_value(values, 0, 256 * COLOUR_ONE - 1), COLOUR_BITS), tf.uint8
    )


def _tint(draws: Draws) -> tf.Tensor:
    """(3,) float32: factors of the channels; half of the images have a subset of them, not empty, scaled."""
    subset = 1 + tf.cast(draws.uniform(0.0, 7.0, slot=3), tf.int32)
    scaled = tf.bitwise.right_shift(subset, tf.range(3)) & 1
    return tf.where((scaled > 0) & draws.coin(), draws.around(1.0, count=3), 1.0)


def cutout(lines: tf.Tensor, draws: Draws, colour: tf.Tensor) -> tf.Tensor:
    """(h, w * 3) uint8 with a rectangle of the (3,) uint8 `colour`, which lies wholly in the image."""
    height, width = int(lines.shape[0]), int(lines.shape[1]) // CHANNELS
    rows, columns = np.arange(height)[:, None], np.arange(width * CHANNELS)[None, :] // CHANNELS
    inside = tf.constant(True)
    for slot, (side, places) in enumerate(((height, rows), (width, columns))):
        length = round(side * draws.n)
        start = tf.cast(draws.uniform(0.0, side - length + 1.0, slot), tf.int32)
        inside &= (start <= places) & (places < start + length)
    return tf.where(inside, _line(colour, width * CHANNELS), lines)


def glare(lines: tf.Tensor, draws: Draws) -> tf.Tensor:
    """An elliptical gradient, white at its centre, over (h, w * 3) uint8.

    Its foci are drawn at random, and its half-axes a, b so that pi a b is a random part of the image, up to n: with
    c the half distance of the foci, a**2 - b**2 = c**2. On that ellipse half of the light is left, and none on the
    one of twice its area; in between the light falls with the square of the distance.
    """
    height, width = int(lines.shape[0]), int(lines.shape[1]) // CHANNELS
    foci = draws.uniform(count=4)
    x1, x2, y1, y2 = foci[0] * width, foci[1] * width, foci[2] * height, foci[3] * height
    area = tf.maximum(draws.uniform(0.0, draws.n, slot=4) * (height * width / math.pi), 1.0)  # a b
    along_x, along_y = (x2 - x1) / 2, (y2 - y1) / 2
    distance = tf.maximum(along_x * along_x + along_y * along_y, 1e-6)  # c**2
    long = (distance + tf.sqrt(distance * distance + 4.0 * area * area)) / 2  # a**2
    short = area * area / long  # b**2
    columns = np.arange(width * CHANNELS, dtype=np.float32)[None, :] // CHANNELS
    x = columns + 0.5 - (x1 + x2) / 2
    y = np.arange(height, dtype=np.float32)[:, None] + 0.5 - (y1 + y2) / 2
    root = tf.sqrt(distance)
    major = (x * along_x + y * along_y) / root
    minor = (x * along_y - y * along_x) / root
    light = tf.maximum(1.0 - (major * major / long + minor * minor / short) / 2, 0.0)
    values = tf.cast(lines, tf.float32)
    return _bytes(values + (255.0 - values) * light)


def noise(lines: tf.Tensor, draws: Draws) -> tf.Tensor:
    """Noise of standard deviation n v on each value v of (h, w * 3) uint8.

    The normal is the number of ones among 24 random bits, to which the other 8 bits of the word add a uniform part
    as wide as the step between two numbers: its excess kurtosis is -0.08, it reaches 5 standard deviations.
    """
    height, length = (int(side) for side in lines.shape)
    count = tf.range(height)[:, None] * length + tf.range(length)[None, :]
    bits = mix32(tf.bitcast(count, tf.uint32) + draws.key)
    ones = tf.raw_ops.PopulationCount(x=tf.bitwise.right_shift(bits, tf.constant(32 - NOISE_BITS, tf.uint32)))
    part = tf.cast(tf.bitcast(bits & tf.constant(NOISE_LEVELS - 1, tf.uint32), tf.int32), tf.float32)
    part = (part - (NOISE_LEVELS - 1) / 2) / NOISE_LEVELS
    deviation = math.sqrt(NOISE_BITS / 4 + (1 - NOISE_LEVELS**-2) / 12)
    normal = (tf.cast(ones, tf.float32) - NOISE_BITS / 2 + part) / deviation
    values = tf.cast(lines, tf.float32)
    return _bytes(values + values * (draws.n * normal))


def _line(colour: tf.Tensor, length: int) -> tf.Tensor:
    """(3,) repeated along a line: (1, w * 3); made of choices, which compile to vectors as lookups do not."""
    channel = tf.constant(np.arange(length)[None, :] % CHANNELS, tf.int32)
    return tf.where(channel == 0, colour[0], tf.where(channel == 1, colour[1], colour[2]))


def _bytes(values: tf.Tensor) -> tf.Tensor:
    """Float32, rounded and clipped to uint8."""
    return tf.cast(tf.cast(tf.clip_by_value(values, 0.0, 255.0) + 0.5, tf.int32), tf.uint8)
