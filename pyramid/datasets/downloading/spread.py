"""Downloads by several workers, each with threads of its own; alone, the threads take all images as they come."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pyramid.datasets.downloading.crew import DownloadOptions, Outcome, download
from pyramid.datasets.workers import Workers, chunks

IMAGES_A_TASK = 1000


def download_by(
    workers: Workers, items: Iterable[Any], folder: Path, options: DownloadOptions
) -> Iterator[Outcome]:
    """As `download`, by workers that see the same folder; a lost one costs the images that were not there yet."""
    for outcomes in workers.in_order(
        workers.submit(_download_all, chunk, folder, options, number * IMAGES_A_TASK)
        for number, chunk in enumerate(chunks(items, IMAGES_A_TASK))
    ):
        yield from outcomes


def _download_all(items: list[Any], folder: Path, options: DownloadOptions, first: int) -> list[Outcome]:
    return list(download(items, folder, options, first))
