"""Random changes of training images that leave their truth as it is, and what a job file says of them."""

from __future__ import annotations

from pyramid.images.augment.pipeline import augment, augment_with_boxes
from pyramid.images.augment.registry import AUGMENTATIONS, Augmentation, Augmentations, parse_augmentations

__all__ = [
    "AUGMENTATIONS",
    "Augmentation",
    "Augmentations",
    "augment",
    "augment_with_boxes",
    "parse_augmentations",
]
