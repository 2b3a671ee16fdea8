"""Random changes of training images that leave their truth as it is, and what a job file says of them.

What they are called stands in `registry`, without TensorFlow: it is imported by the first use of a function.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from pyramid.images.augment.registry import AUGMENTATIONS, Augmentation, Augmentations, parse_augmentations

if TYPE_CHECKING:
    from pyramid.images.augment.pipeline import augment, augment_with_boxes

__all__ = [
    "AUGMENTATIONS",
    "Augmentation",
    "Augmentations",
    "augment",
    "augment_with_boxes",
    "parse_augmentations",
]


def __getattr__(name: str) -> Any:
    if name in ("augment", "augment_with_boxes"):
        return getattr(import_module("pyramid.images.augment.pipeline"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
