"""Threads that download an index: what is there stays, what fails is tried again, and what is left is told."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyramid.datasets.downloading.fetching import (
    IndexedImage,
    NotFetchedError,
    fetch,
    new_session,
    parse_image,
)
from pyramid.datasets.downloading.schedule import Schedule
from pyramid.datasets.picture_files import found_picture
from sensenet import partial_files

FIRST_DELAY_SECONDS = 0.5
LAST_SECONDS = 1.0
WINDOW = 512
"""So many images wait at most: among them, there is one whose host is ready."""


@dataclass(frozen=True)
class DownloadOptions:
    """How pictures are downloaded.

    Attributes:
        jobs: how many at once.
        per_host: how many at once from one host.
        retries: how often another try is made, where it may help.
        timeout_seconds: see `fetching.fetch`.
    """

    jobs: int = 16
    per_host: int = 16
    retries: int = 4
    timeout_seconds: float = 20.0


@dataclass(frozen=True)
class Outcome:
    """What became of one image.

    Attributes:
        position: in the index.
        id, url: as in the index, whatever they are.
        n_bytes: that were received; 0: it was there already.
        reason: why it could not be had; None: it is there.
    """

    position: int
    id: Any
    url: Any
    n_bytes: int = 0
    reason: str | None = None


class InOrder:
    """Brings outcomes into the order of the index."""

    def __init__(self) -> None:
        """Begin with the first image."""
        self._position = 0
        self._early: dict[int, Outcome] = {}

    def add(self, outcome: Outcome) -> Iterator[Outcome]:
        """Take one; gives those whose turn has come."""
        self._early[outcome.position] = outcome
        while (ready := self._early.pop(self._position, None)) is not None:
            self._position += 1
            yield ready


def download(
    items: Iterable[Any], folder: Path, options: DownloadOptions, first: int = 0
) -> Iterator[Outcome]:
    """Download the images of an index into a folder; the outcomes come as they are known.

    Args:
        items: as in `index.json`. A picture that is there, of the size that it should have, is not asked for.
        first: the position of the first of them in the index.

    Raises:
        OSError: a file cannot be written (`filename` is its path); nothing more is downloaded then.
    """
    crew = _Crew(folder, options)
    try:
        for position, item in enumerate(items, first):
            image = parse_image(item)
            if isinstance(image, str):
                fields = item if isinstance(item, dict) else {}
                yield Outcome(position, fields.get("id"), fields.get("url"), reason=image)
            elif image.id not in crew.waiting and _is_there(folder, image):
                yield Outcome(position, image.id, image.url)
            else:
                crew.add(position, image)
            while crew.count >= WINDOW:
                yield from _settled(crew, folder)
        while crew.waiting:
            yield from _settled(crew, folder)
    finally:
        crew.end()


def _settled(crew: _Crew, folder: Path) -> Iterator[Outcome]:
    """The next outcome; after it, what the index says of the same id once more has its turn."""
    outcome = crew.next_outcome()
    again = crew.waiting.pop(outcome.id)
    yield outcome
    for position, image in again:
        crew.count -= 1
        if image.id not in crew.waiting and _is_there(folder, image):
            yield Outcome(position, image.id, image.url)
        else:
            crew.add(position, image)


def _is_there(folder: Path, image: IndexedImage) -> bool:
    path = found_picture(folder, image.id)
    return path is not None and image.size in (None, path.stat().st_size)


class _Crew:
    """The threads.

    Attributes:
        waiting: the ids of images that are on their way, each with those of the same id behind it.
        count: how many images that are.
    """

    def __init__(self, folder: Path, options: DownloadOptions):
        self.waiting: dict[str, list[tuple[int, IndexedImage]]] = {}
        self.count = 0
        self._folder, self._options = folder, options
        self._schedule: Schedule[tuple[int, IndexedImage, int]] = Schedule(options.per_host)
        self._outcomes: queue.SimpleQueue[Outcome | BaseException] = queue.SimpleQueue()
        self._session = new_session(options.jobs)
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(options.jobs)]
        for thread in self._threads:
            thread.start()

    def add(self, position: int, image: IndexedImage) -> None:
        """Have the image at a position of the index downloaded, once another of its id has its outcome."""
        self.count += 1
        if image.id in self.waiting:
            self.waiting[image.id].append((position, image))
            return
        self.waiting[image.id] = []
        self._schedule.put(image.host, (position, image, 0))

    def next_outcome(self) -> Outcome:
        """Wait for one.

        Raises:
            OSError: a file cannot be written.
        """
        outcome = self._outcomes.get()
        if isinstance(outcome, BaseException):
            raise outcome
        self.count -= 1
        return outcome

    def end(self) -> None:
        """Begin nothing more; what is half done is left off after a moment, and removed."""
        self._schedule.stop()
        self._session.close()
        deadline = time.monotonic() + LAST_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        if self.waiting:
            partial_files.remove_partial_files(self._folder, partial_files.writer_name())

    def _work(self) -> None:
        while (taken := self._schedule.take()) is not None:
            host, (position, image, tries) = taken
            try:
                self._outcomes.put(Outcome(position, image.id, image.url, self._fetch(image)))
                self._schedule.done(host)
            except NotFetchedError as error:
                self._schedule.done(host, error.pause_seconds)
                if error.is_passing and tries < self._options.retries:
                    self._schedule.put(host, (position, image, tries + 1), FIRST_DELAY_SECONDS * 2**tries)
                else:
                    tried = f" (tried {tries + 1} times)" if tries else ""
                    self._outcomes.put(Outcome(position, image.id, image.url, reason=f"{error}{tried}"))
            except BaseException as error:  # of a disk, say: whoever waits for the outcomes gets it
                self._outcomes.put(error)
                return

    def _fetch(self, image: IndexedImage) -> int:
        return fetch(self._session, image, self._folder, self._options.timeout_seconds)
