"""The formats that people have images and boxes in: a reader and a writer side by side, a module each."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from pyramid.datasets.formats.base import Format
from pyramid.datasets.formats.coco import COCO
from pyramid.datasets.formats.csv_table import CSV
from pyramid.datasets.formats.open_images import OPEN_IMAGES
from pyramid.datasets.formats.tfrecord import TFRECORD
from pyramid.datasets.formats.voc import VOC
from pyramid.datasets.formats.yolo import YOLO

FORMATS: Mapping[str, Format] = MappingProxyType(
    {one.name: one for one in (VOC, COCO, YOLO, CSV, TFRECORD, OPEN_IMAGES)}
)
"""All formats by name."""
