"""CZModel, what ZEN's segmentation opens: a model that gives the class of every pixel, with its description."""

from sensenet.formats.czmodel.convert import convert_from_json_spec, convert_from_model_spec
from sensenet.formats.czmodel.model_metadata import ModelMetadata, ModelSpec
from sensenet.formats.czmodel.preprocessing import RgbaToBgra, RgbToBgr

__all__ = [
    "ModelMetadata",
    "ModelSpec",
    "RgbToBgr",
    "RgbaToBgra",
    "convert_from_json_spec",
    "convert_from_model_spec",
]
