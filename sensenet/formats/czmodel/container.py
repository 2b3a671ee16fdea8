"""The file itself: a ZIP of a description in XML, and of the model, which is another ZIP."""

from __future__ import annotations

import hashlib
import io
import os
import uuid
import zipfile
from collections.abc import Mapping
from itertools import cycle
from xml.etree import ElementTree

from sensenet.drawing import PALETTE
from sensenet.files import read_whole, write_whole
from sensenet.formats.czmodel.model_metadata import ModelMetadata

SUFFIX = ".czmodel"
FORMAT_VERSION = "3.0.0"
# archives begin in 1980: with the time of writing, the same model would never be the same file
_NO_TIME = (1980, 1, 1, 0, 0, 0)


def write_czmodel(
    path: str | os.PathLike[str], saved_model: Mapping[str, bytes], metadata: ModelMetadata, content: bytes
) -> str:
    """Write a CZModel; ".czmodel" is added to `path` where it is missing.

    Args:
        path: of the file.
        saved_model: the files of a SavedModel, by their paths in it.
        metadata: of the model.
        content: what the model computes, in bytes: its id is made of it and of the metadata, so that nothing in the
            file is left to chance.

    Returns:
        The path of the file.

    Raises:
        OSError: the licence cannot be read, or the file cannot be written.
    """
    name = os.fspath(path)
    final = name if name.lower().endswith(SUFFIX) else name + SUFFIX
    digest = hashlib.sha256(description(metadata, "") + content).hexdigest()
    model_id = str(uuid.uuid5(uuid.NAMESPACE_OID, digest))
    entries = {f"{model_id}.xml": description(metadata, model_id), f"{model_id}.model": _archive(saved_model)}
    if metadata.license_file is not None:
        entries[metadata.license_file.name] = read_whole(metadata.license_file)
    write_whole(final, _archive({**entries, f"modelid={model_id}": b""}))
    return final


def description(metadata: ModelMetadata, model_id: str) -> bytes:
    """The XML document that describes a model."""
    root = ElementTree.Element("Model", Version=FORMAT_VERSION)
    texts = {
        "Id": model_id,
        "ModelName": metadata.name,
        "Status": "Trained",
        "FeatureExtractor": "DeepNeuralNetwork",
        "Postprocessing": "",
        "ColorHandling": metadata.color_handling,
    }
    for tag, text in texts.items():
        ElementTree.SubElement(root, tag).text = text
    channels = ElementTree.SubElement(root, "Channels")
    ElementTree.SubElement(channels, "Item", PixelType=metadata.pixel_type)
    classes = ElementTree.SubElement(root, "TrainingClasses")
    for label, (name, color) in enumerate(zip(metadata.classes, cycle(PALETTE), strict=False), start=1):
        red, green, blue = map(str, color)
        ElementTree.SubElement(
            classes, "Item", colB=blue, colG=green, colR=red, LabelValue=str(label), Name=name
        )
    ElementTree.SubElement(root, "BorderSize").text = str(metadata.border_size)
    return ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)


def _archive(entries: Mapping[str, bytes]) -> bytes:
    """An uncompressed ZIP."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, content in entries.items():
            archive.writestr(zipfile.ZipInfo(name, _NO_TIME), content)
    return buffer.getvalue()
