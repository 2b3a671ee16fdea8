"""The rows of a caching job, opened: whatever can be wrong with them is found here, the cheapest first."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pyramid.errors import DataError
from pyramid.fields import Objective
from pyramid.images.features import image_features
from pyramid.images.origin import FoundNetwork, find_network
from pyramid.memory import memory_bytes
from pyramid.progress import Report
from pyramid.settings.options import TableOptions
from pyramid.tables.encode import Encoding
from pyramid.tables.ser import SerRows, read_ser
from pyramid.workspace import Workspace


@dataclass(frozen=True)
class JobRows:
    """The rows of one job: checked, and with the labels that samples are stratified by."""

    rows: SerRows
    numbers: np.ndarray  # (rows, fields) float64; an image is the position of its features
    encoding: Encoding
    labels: np.ndarray  # (rows,)
    network: FoundNetwork | None  # of the image fields

    @property
    def objective(self) -> Objective:
        """What is predicted."""
        return self.encoding.fields.objective

    def strata(self, rows: np.ndarray | slice = slice(None)) -> np.ndarray:
        """(rows,) int: the class of some rows, or the quantile bin of their number."""
        return self.objective.strata(self.labels[rows])


def open_rows(options: TableOptions, workspace: Workspace, report: Report, images_share: float) -> JobRows:
    """Read the rows, and compute the features of their images.

    Args:
        images_share: of the job's progress, where there are images.

    Raises:
        DataError: rows or images that cannot be used; names the file, and the row.
        SettingsError, WorkspaceError, sensenet.errors.WeightsError: see `pyramid.images.origin.find_network`.
    """
    fields, file = options.fields, options.rows.cache_file
    assert file is not None, "the schema asks for it"
    rows = read_ser(file, fields.all, options.rows.cache_rows)
    images = bool(fields.images)
    _check_memory(rows, images, file)
    encoding = Encoding.of(fields, features=np.zeros((0, 1), np.float32) if images else None)
    names: list[str] = []
    try:
        if images:
            numbers, names = rows.with_image_positions()
        else:
            numbers = rows.numbers
        labels = encoding.labels(numbers)
        if fields.weight is not None:
            encoding.weights(numbers)
    except DataError as error:
        raise DataError(f"{file}: {error}") from error
    if not images:
        return JobRows(rows, numbers, encoding, labels, None)
    network = find_network(options.network, workspace)
    features = image_features(
        names, network.spec, options.images, workspace.root, within(report, 0.0, images_share)
    )
    return JobRows(rows, numbers, Encoding.of(fields, features=features), labels, network)


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
