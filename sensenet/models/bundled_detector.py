"""Detectors that come from bundles."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from sensenet.detection import Decoded
from sensenet.document.fields import BoxOutput, parse_fields
from sensenet.document.image_network import parse_metadata
from sensenet.document.parsing import text_list
from sensenet.formats.smbundle.functions import SavedFunctions, check_outputs
from sensenet.models.deepnet import merged_settings, refuse_settings
from sensenet.models.detector import Detector, only_image_field
from sensenet.models.predict.boxes import BoxFinder, RawBoxFinder, box_outputs
from sensenet.models.predict.images import raw_images
from sensenet.models.settings import Settings

FINISHED_SETTINGS = (
    "bounding_box_threshold",
    "class_agnostic_nms",
    "color_space",
    "iou_threshold",
    "max_objects",
    "output_unfiltered_boxes",
    "pad_bounding_box_output",
    "rescale_type",
)
"""What a finished function, as in bundles of the published package, has settled."""


def detector_of_bundle(functions: SavedFunctions, saved: dict[str, Any], settings: Settings) -> Detector:
    """The detector of an unpacked bundle that we or the published package wrote.

    Args:
        functions: of its SavedModel.
        saved: its settings file.
        settings: what to make the detector with.

    Raises:
        ModelFormatError: content that breaks the format.
        SettingsError: a setting that the bundle's finished function cannot follow.
    """
    field = only_image_field(parse_fields(saved.get("_preprocessors"), "_preprocessors"), "_preprocessors")
    output = BoxOutput(text_list(saved.get("_classes"), "_classes"))
    merged = merged_settings(saved, settings)
    if functions.features is None:
        refuse_settings(settings, FINISHED_SETTINGS)
        pixels = raw_images(functions.raw, 1, merged)
        named = functions._replace(raw_outputs=box_outputs(functions.raw))
        return Detector(field, output, merged, RawBoxFinder(named, pixels))
    metadata = parse_metadata(saved.get("_image_metadata"), "_image_metadata")
    shape = (None, metadata.height, metadata.width, 3)
    types = {"corners": (3, tf.float32), "scores": (2, tf.float32), "classes": (2, tf.int32)}
    check_outputs(functions.features, shape, {name: types[name] for name in Decoded._fields})
    return Detector(field, output, merged, BoxFinder(metadata, merged, lambda: functions.features))
