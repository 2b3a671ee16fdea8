"""What the generation of images needs to know of a config; hashable, and sent to other processes."""

from __future__ import annotations

from dataclasses import dataclass

from pyramid.images.augment.registry import Augmentations


@dataclass(frozen=True)
class GenerationOptions:
    """The keys of a config that images depend on.

    Attributes:
        seed: of every random draw.
        width, height: of the images, pixels.
        has_boxes: whether the truth of an image is its boxes, and not one label.
        foreground_root, background_root: directories; no background root where all backgrounds are drawn.
        foreground_augmentations, background_augmentations: how each is changed before pasting.
        background_label: the label of an image without foreground, where the truth is a label.
        box_margin: pixels that a box is larger on each side.
        constant_box_label: the label of all boxes; None: that of the foreground.
        empty_rate: probability of an image without foreground.
        random_background_rate: probability of a drawn background.
        occupancy: least and largest share of the image that a foreground takes, the larger one of its two axes.
        max_foregrounds: most foregrounds in one image.
        is_balanced: whether all labels come equally often; else all foreground files do.
        rescale_type: how backgrounds are brought to the size of the images.
        exif_rotation: whether the EXIF orientation of files is applied.
    """

    seed: int
    width: int
    height: int
    has_boxes: bool
    foreground_root: str
    background_root: str | None
    foreground_augmentations: Augmentations
    background_augmentations: Augmentations
    background_label: str | None
    box_margin: float
    constant_box_label: str | None
    empty_rate: float
    random_background_rate: float
    occupancy: tuple[float, float]
    max_foregrounds: int
    is_balanced: bool
    rescale_type: str
    exif_rotation: bool
