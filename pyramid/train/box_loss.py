"""What a detector is told of its boxes: which of them answer for which truth, and how far off they are.

See docs/training.md, "Object detection". Numbers are those of `sensenet.detection`: (n, boxes, 5 + classes) float32
x, y, w, h, objectness and classes before their functions, in the order of a `Grid`. Truths are (n, most, 5) float32
x1, y1, x2, y2 in pixels of the network's input and class, filled up with rows of the class -1; `most` is at least 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from sensenet.detection import Grid, box_corners

ANCHOR_IOU = 0.3
"""An anchor answers for a truth that it overlaps by more, both having the same centre."""

REACH = 0.85
"""A cell answers for truths whose centre is, down and across, at most this share as far as its boxes' can be.

That is `xyscale` / 2 cells from its own centre, where the sigmoid never arrives. It always answers for its own place.
"""

IGNORED_IOU = 0.3
"""A box that answers for no truth and yet overlaps one by so much is not told that it is none."""

FOCUS = 2.0
CLASS_SMOOTHING = 0.01
TINY = 1e-7
MOST_LOG_SIZE = 8.0
"""Sizes beyond e^8 of the anchor are taken for this, so that no number overflows."""


class BoxLosses(NamedTuple):
    """Of each image the sums over all its boxes, (n,) float32 each."""

    ciou: tf.Tensor
    confidence: tf.Tensor
    probability: tf.Tensor

    @property
    def total(self) -> tf.Tensor:
        """Their sum."""
        return self.ciou + self.confidence + self.probability


class Assignment(NamedTuple):
    """Which truth each box of a detector answers for.

    Attributes:
        positive: (n, boxes) bool, whether it answers for any.
        truth: (n, boxes) int64, for which; of no meaning where it answers for none.
        ignored: (n, boxes) bool: it answers for none, but nearly shows one.
    """

    positive: tf.Tensor
    truth: tf.Tensor
    ignored: tf.Tensor


@dataclass(frozen=True, eq=False)
class BoxLoss:
    """The losses of one detector (CIoU: arXiv 1911.08287; confidence: arXiv 2006.04388; YOLOv4: arXiv 2004.10934).

    Attributes:
        grid: of its boxes.
        area: of its input in pixels.
        n_classes: that boxes can be of.
        class_weights: (classes,) float32 of mean 1, how much the boxes of each class count.
        smoothing: share of a class's truth that is spread over all classes.
    """

    grid: Grid
    area: float
    n_classes: int
    class_weights: np.ndarray
    smoothing: float = CLASS_SMOOTHING

    def __call__(self, numbers: tf.Tensor, truths: tf.Tensor) -> BoxLosses:
        """The losses of a batch, see the module."""
        return self._compiled(numbers, truths)

    @cached_property
    def _compiled(self) -> Callable[[tf.Tensor, tf.Tensor], BoxLosses]:
        # compiled, each box meets each truth in passing; else all pairs are written down some ten times
        compiled: Callable[[tf.Tensor, tf.Tensor], BoxLosses] = tf.function(
            self._losses, jit_compile=True, autograph=False
        )
        return compiled

    def _losses(self, numbers: tf.Tensor, truths: tf.Tensor) -> BoxLosses:
        corners = box_corners(_bounded(numbers), self.grid)
        assigned = self.assign(tf.stop_gradient(corners), truths)
        positive = tf.cast(assigned.positive, tf.float32)
        truth = tf.gather(truths, assigned.truth, batch_dims=1)  # (n, boxes, 5)
        classes = tf.cast(truth[..., 4], tf.int32)
        counts = positive * tf.gather(self.class_weights, tf.maximum(classes, 0))
        # where there is no truth, a box is compared with itself: no gradient of nothing
        target = tf.where(assigned.positive[..., None], truth[..., :4], tf.stop_gradient(corners))
        overlap = box_iou(corners, target)
        ciou = complete_iou(corners, target, overlap)
        quality = tf.stop_gradient(positive * overlap)
        small = 2.0 - _area(target) / self.area
        probability = tf.reduce_sum(self._class_entropy(numbers[..., 5:], classes), axis=-1)
        return BoxLosses(
            ciou=tf.reduce_sum(counts * small * (1.0 - ciou), axis=1),
            confidence=tf.reduce_sum(_focal(numbers[..., 4], quality, assigned.ignored), axis=1),
            probability=tf.reduce_sum(counts * probability, axis=1),
        )

    def assign(self, corners: tf.Tensor, truths: tf.Tensor) -> Assignment:
        """Which truth each of the (n, boxes, 4) predicted boxes answers for.

        A truth is that of the anchors that overlap it by more than `ANCHOR_IOU`, or of the best of all anchors where
        none does, in the cells around its centre. Of several truths a box takes the one that it, as its anchor and as
        it is now, shows best.
        """
        there = truths[..., 4] >= 0  # (n, most)
        anchor_iou, fits = self._anchor_fit(truths)
        candidate = fits & self._near(truths) & there[..., None]
        overlap = box_iou(corners[:, None], truths[:, :, None, :4]) * tf.cast(there[..., None], tf.float32)
        fit = tf.where(candidate, anchor_iou + overlap, -1.0)
        positive = tf.reduce_any(candidate, axis=1)
        nearly = tf.reduce_max(overlap, axis=1) >= IGNORED_IOU
        return Assignment(positive, tf.argmax(fit, axis=1), nearly & ~positive)

    def _anchor_fit(self, truths: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """(n, most, boxes) twice: how much a box's anchor overlaps a truth of the same centre; whether it is its."""
        anchors, places = np.unique(self.grid.anchors, axis=0, return_inverse=True)
        sizes = (truths[..., 2:4] - truths[..., :2])[:, :, None]  # (n, most, 1, 2)
        common = tf.reduce_prod(tf.minimum(sizes, anchors), axis=-1)
        areas = tf.reduce_prod(sizes, axis=-1) + anchors.prod(axis=1) - common
        iou = common / (areas + TINY)  # (n, most, distinct anchors)
        best = tf.one_hot(tf.argmax(iou, axis=2), len(anchors), on_value=True, off_value=False)
        each = places.reshape(-1)
        return tf.gather(iou, each, axis=2), tf.gather((iou > ANCHOR_IOU) | best, each, axis=2)

    def _near(self, truths: tf.Tensor) -> tf.Tensor:
        """(n, most, boxes) bool: whether the cell of each box answers for each truth's place."""
        centres = (truths[..., :2] + truths[..., 2:4])[:, :, None] / 2
        reach = np.maximum(REACH * self.grid.scales / 2, 0.5)
        return tf.reduce_all(tf.abs(centres / self.grid.strides - (self.grid.cells + 0.5)) <= reach, axis=-1)

    def _class_entropy(self, logits: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
        truth = tf.one_hot(classes, self.n_classes) * (1.0 - self.smoothing) + self.smoothing / self.n_classes
        return tf.nn.sigmoid_cross_entropy_with_logits(truth, logits)


def box_iou(one: tf.Tensor, other: tf.Tensor) -> tf.Tensor:
    """(...): the common area of boxes (..., 4) as a share of that of both together; in [0, 1]."""
    sides = tf.minimum(one[..., 2:4], other[..., 2:4]) - tf.maximum(one[..., :2], other[..., :2])
    common = tf.reduce_prod(tf.maximum(sides, 0.0), axis=-1)
    return common / (_area(one) + _area(other) - common + TINY)


def complete_iou(predicted: tf.Tensor, truth: tf.Tensor, iou: tf.Tensor) -> tf.Tensor:
    """(...): CIoU of boxes (..., 4), in [-1.5, 1]: the overlap, less the distance of the centres and of the shapes.

    Distance of the centres is in parts of the diagonal of the box around both (arXiv 1911.08287, section 3.3).
    """
    around = tf.maximum(predicted[..., 2:4], truth[..., 2:4]) - tf.minimum(predicted[..., :2], truth[..., :2])
    apart = predicted[..., :2] + predicted[..., 2:4] - truth[..., :2] - truth[..., 2:4]
    distance = tf.reduce_sum(apart**2, axis=-1) / (4.0 * tf.reduce_sum(around**2, axis=-1) + TINY)
    shape = 4.0 / math.pi**2 * (_slope(truth) - _slope(predicted)) ** 2
    weight = tf.stop_gradient(shape / (1.0 - iou + shape + TINY))
    return iou - distance - weight * shape


def _slope(boxes: tf.Tensor) -> tf.Tensor:
    """The angle of the diagonal."""
    width, height = tf.unstack(boxes[..., 2:4] - boxes[..., :2], axis=-1)
    return tf.atan2(width, height + TINY)


def _area(boxes: tf.Tensor) -> tf.Tensor:
    return tf.reduce_prod(boxes[..., 2:4] - boxes[..., :2], axis=-1)


def _bounded(numbers: tf.Tensor) -> tf.Tensor:
    return tf.concat([numbers[..., :2], tf.minimum(numbers[..., 2:4], MOST_LOG_SIZE)], axis=-1)


def _focal(logits: tf.Tensor, truth: tf.Tensor, ignored: tf.Tensor) -> tf.Tensor:
    """(confidence - truth)² times cross-entropy, 0 where ignored; the truth is how well a box shows its object."""
    entropy = tf.nn.sigmoid_cross_entropy_with_logits(truth, logits)
    return tf.where(ignored, 0.0, tf.abs(truth - tf.sigmoid(logits)) ** FOCUS * entropy)
