"""All that changes the values of pixels where they are: blur, colours, occlusions, noise; each for one image."""

from __future__ import annotations

import math

import tensorflow as tf

from pyramid.data.augment.draws import Draws, draws_of
from pyramid.data.augment.pixels import ONE, weighted_sum
from pyramid.data.augment.registry import Augmentations
from pyramid.randomness import mix32

NOISE_BITS = 24  # the standard normal is a sum of so many coins, and a uniform part
NOISE_LEVELS = 256


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
    taps, weights = [], []
    for place, share in zip(places, shares, strict=True):
        sources, parts = _between(place, side / small, tf.constant(float(side)))
        taps += [tf.gather(packed, tf.cast(source, tf.int32), axis=axis) for source in sources]
        weights += [tf.cast(tf.round(ONE * share * part), tf.int32) for part in parts]
    weights[0] = ONE - weights[1] - weights[2] - weights[3]
    shape = (side, 1) if axis == 0 else (1, side)
    return weighted_sum(taps, [tf.reshape(weight, shape) for weight in weights])


def _between(
    place: tf.Tensor, scale: tf.Tensor, limit: tf.Tensor
) -> tuple[tuple[tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]]:
    """The two pixels around each centre of a scaled axis that has `limit` pixels, and their shares."""
    position = tf.clip_by_value((place + 0.5) * scale - 0.5, 0.0, limit - 1.0)
    first = tf.floor(position)
    share = position - first
    return (first, tf.minimum(first + 1.0, limit - 1.0)), (1.0 - share, share)


def mean_colour(image: tf.Tensor) -> tf.Tensor:
    """(3,) float32: the mean of each channel of (h, w, 3) uint8; exact, as the sums are of integers."""
    height, width, channels = (int(side) for side in image.shape)
    lines = tf.reshape(image, (height, width * channels))
    columns = tf.reduce_sum(tf.cast(lines, tf.int32), axis=0)  # below 2**31 for any height up to 8 million
    sums = tf.reduce_sum(tf.reshape(tf.cast(columns, tf.int64), (width, channels)), axis=0)
    return tf.cast(tf.cast(sums, tf.float64) / (height * width), tf.float32)


def colour(image: tf.Tensor, key: tf.Tensor, augmentations: Augmentations) -> tf.Tensor:
    """Cutout, contrast, brightness, tint and inversion of (h, w, 3) uint8, in this order, in one pass.

    After the cutout all of them are linear, so they are put together: v * scale + offset, and clipped at the end.
    """
    scale, offset = tf.ones(3), tf.zeros(3)
    mean = mean_colour(image)  # left out of the program where nothing uses it
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
    values = _values(image)
    if draws := drawn.get("cutout"):
        values = tf.where(_cutout(draws, image.shape), _lines(mean, image.shape), values)
    return _bytes(values * _lines(scale, image.shape) + _lines(offset, image.shape), image.shape)


def _tint(draws: Draws) -> tf.Tensor:
    """(3,) float32: factors of the channels; half of the images have a subset of them, not empty, scaled."""
    subset = 1 + tf.cast(draws.uniform(0.0, 7.0, slot=3), tf.int32)
    scaled = tf.bitwise.right_shift(subset, tf.range(3)) & 1
    return tf.where((scaled > 0) & draws.coin(), draws.around(1.0, count=3), 1.0)


def _cutout(draws: Draws, shape: tf.TensorShape) -> tf.Tensor:
    """(h, w * 3) bool: the values inside of the rectangle, which lies wholly in the image."""
    inside = []
    for side, slot in zip(shape[:2], (0, 1), strict=True):
        length = round(side * draws.n)
        start = tf.floor(draws.uniform(0.0, side - length + 1.0, slot))
        place = tf.range(side, dtype=tf.float32)
        inside.append((place >= start) & (place < start + length))
    rows = inside[0] & draws.coin()
    return rows[:, None] & tf.repeat(inside[1], int(shape[2]))[None, :]


def glare(image: tf.Tensor, draws: Draws) -> tf.Tensor:
    """An elliptical gradient, white at its centre, over (h, w, 3) uint8.

    Its foci are drawn at random, and its half-axes a, b so that pi a b is a random part of the image, up to n: with
    c the half distance of the foci, a**2 - b**2 = c**2. On that ellipse half of the light is left, and none on the
    one of twice its area; in between the light falls with the square of the distance.
    """
    height, width, channels = (int(side) for side in image.shape)
    foci = draws.uniform(count=4)
    x1, x2, y1, y2 = foci[0] * width, foci[1] * width, foci[2] * height, foci[3] * height
    area = tf.maximum(draws.uniform(0.0, draws.n, slot=4) * (height * width / math.pi), 1.0)  # a b
    along_x, along_y = (x2 - x1) / 2, (y2 - y1) / 2
    distance = tf.maximum(along_x * along_x + along_y * along_y, 1e-6)  # c**2
    long = (distance + tf.sqrt(distance * distance + 4.0 * area * area)) / 2  # a**2
    short = area * area / long  # b**2
    x = tf.repeat(tf.range(width, dtype=tf.float32) + 0.5, channels)[None, :] - (x1 + x2) / 2
    y = tf.range(height, dtype=tf.float32)[:, None] + 0.5 - (y1 + y2) / 2
    root = tf.sqrt(distance)
    major = (x * along_x + y * along_y) / root
    minor = (x * along_y - y * along_x) / root
    light = tf.maximum(1.0 - (major * major / long + minor * minor / short) / 2, 0.0)
    values = _values(image)
    return _bytes(values + (255.0 - values) * light, image.shape)


def noise(image: tf.Tensor, draws: Draws) -> tf.Tensor:
    """Noise of standard deviation n v on each value v of (h, w, 3) uint8.

    The normal is the number of ones among 24 random bits, to which the other 8 bits of the word add a uniform part
    as wide as the step between two numbers: its excess kurtosis is -0.08, it reaches 5 standard deviations.
    """
    height, width, channels = (int(side) for side in image.shape)
    count = tf.reshape(tf.range(height * width * channels), (height, width * channels))
    bits = mix32(tf.bitcast(count, tf.uint32) + draws.key)
    ones = tf.raw_ops.PopulationCount(x=tf.bitwise.right_shift(bits, tf.constant(32 - NOISE_BITS, tf.uint32)))
    part = tf.cast(tf.bitcast(bits & tf.constant(NOISE_LEVELS - 1, tf.uint32), tf.int32), tf.float32)
    part = (part - (NOISE_LEVELS - 1) / 2) / NOISE_LEVELS
    deviation = math.sqrt(NOISE_BITS / 4 + (1 - NOISE_LEVELS**-2) / 12)
    normal = (tf.cast(ones, tf.float32) - NOISE_BITS / 2 + part) / deviation
    values = _values(image)
    return _bytes(values + values * (draws.n * normal), image.shape)


def _values(image: tf.Tensor) -> tf.Tensor:
    """(h, w, 3) uint8 as (h, w * 3) float32: long lines, as the compiled loops want them."""
    height, width, channels = (int(side) for side in image.shape)
    return tf.cast(tf.reshape(image, (height, width * channels)), tf.float32)


def _lines(colour: tf.Tensor, shape: tf.TensorShape) -> tf.Tensor:
    """(3,) repeated along a line: (1, w * 3)."""
    return tf.tile(colour, [int(shape[1])])[None, :]


def _bytes(values: tf.Tensor, shape: tf.TensorShape) -> tf.Tensor:
    """(h, w * 3) float32, rounded and clipped to (h, w, 3) uint8."""
    rounded = tf.cast(tf.clip_by_value(values, 0.0, 255.0) + 0.5, tf.int32)
    return tf.reshape(tf.cast(rounded, tf.uint8), shape)


