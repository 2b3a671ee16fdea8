"""The rows of a caching job, opened: whatever can be wrong with them is found here, the cheapest first."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pyramid.errors import DataError
from pyramid.images.features import image_features
from pyramid.images.origin import FoundNetwork, find_network, has_images
from pyramid.memory import memory_bytes
from pyramid.progress import Report
from pyramid.settings.base_settings import BaseSettings
from pyramid.tables.encode import Encoding
from pyramid.tables.ser import SerRows, read_ser
from pyramid.tables.splits import numeric_strata
from pyramid.workspace import Workspace


@dataclass(frozen=True)
class Source:
    """The rows of one job: checked, and with the labels that samples are stratified by."""

    rows: SerRows
    numbers: np.ndarray  # (rows, fields) float64; an image is the position of its features
    encoding: Encoding
    labels: np.ndarray  # (rows,)
    network: FoundNetwork | None  # of the image fields

    @property
    def is_classification(self) -> bool:
        """Whether the objective is a class."""
        return self.encoding.n_classes is not None

    def strata(self, rows: np.ndarray | slice = slice(None)) -> np.ndarray:
        """(rows,) int: the class of some rows, or the quantile bin of their number."""
        labels = self.labels[rows]
        return labels if self.is_classification else numeric_strata(labels)


def open_source(settings: BaseSettings, workspace: Workspace, report: Report, images_share: float) -> Source:
    """Read the rows, and compute the features of their images.

    Args:
        images_share: of the job's progress, where there are images.

    Raises:
        DataError: rows or images that cannot be used; names the file, and the row.
        SettingsError, WorkspaceError, sensenet.errors.WeightsError: see `pyramid.images.origin.find_network`.
    """
    rows = read_ser(settings.cache_file, settings.info_list, settings.cache_rows)
    images = has_images(settings.info_list)
    _check_memory(rows, images, settings.cache_file)
    no_features = np.zeros((0, 1), np.float32) if images else None
    encoding = Encoding.from_info_list(
        settings.info_list, bool(settings.instance_weights), features=no_features
    )
    names: list[str] = []
    try:
        if images:
            numbers, names = rows.with_image_positions()
        else:
            numbers = rows.numbers
        labels = encoding.labels(numbers)
        if encoding.weight is not None:
            encoding.weights(numbers)
    except DataError as error:
        raise DataError(f"{settings.cache_file}: {error}") from error
    if not images:
        return Source(rows, numbers, encoding, labels, None)
    network = find_network(settings, workspace)
    features = image_features(
        names, network.spec, settings, workspace.root, within(report, 0.0, images_share)
    )
    encoding = Encoding.from_info_list(settings.info_list, bool(settings.instance_weights), features=features)
    return Source(rows, numbers, encoding, labels, network)


def _check_memory(rows: SerRows, images: bool, file: str) -> None:
    """Refuse rows whose labels (where there are images, numbers) alone fill the memory: nobody else would say so."""
    columns = len(rows.records.dtype.names or ()) if images else 1
    needed = len(rows) * columns * np.dtype(np.float64).itemsize
    if needed > memory_bytes():
        raise DataError(
            f"{file}: {len(rows)} rows need at least {needed} bytes of memory, of {memory_bytes():.0f}"
        )


def within(report: Report, start: float, end: float) -> Report:
    """The report of a part of the job."""
    return lambda progress, **facts: report(start + (end - start) * progress, **facts)
