"""`pyramid_dataset download`: the pictures of an index."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

from pyramid.commands.console import CommandError
from pyramid.commands.datasets.subcommand import Subcommand, add_ray, number, progress_bar, whole_number
from pyramid.datasets.downloading.crew import DownloadOptions, InOrder, Outcome, download
from pyramid.datasets.downloading.spread import download_by
from pyramid.datasets.json_items import item_writer, read_items
from pyramid.datasets.workers import workers
from pyramid.progress import Report
from pyramid.workspace import Workspace

FAILED_FILE = "failed.json"
USUAL = DownloadOptions()


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("images", type=Path, help="the JSON list of ids and URLs that the step points wrote")
    parser.add_argument(
        "directory", type=Path, metavar="DIR", help="where the pictures go, named by their ids"
    )
    add_download_options(parser)
    add_ray(parser)


def add_download_options(parser: argparse.ArgumentParser) -> None:
    """Declare how pictures are downloaded."""
    parser.add_argument(
        "--jobs",
        type=whole_number(1, 512),
        default=USUAL.jobs,
        metavar="n",
        help="how many at once (default: 16)",
    )
    parser.add_argument(
        "--per-host",
        type=whole_number(1, 512),
        default=USUAL.per_host,
        metavar="n",
        help="how many at once from one host (default: 16); one that asks for a pause gets fewer",
    )
    parser.add_argument(
        "--retries",
        type=whole_number(0, 100),
        default=USUAL.retries,
        metavar="n",
        help="how often what may have been bad luck is tried again (default: 4)",
    )
    parser.add_argument(
        "--timeout",
        type=number(0.05, 3600),
        default=USUAL.timeout_seconds,
        metavar="seconds",
        help="how long a server may be silent (default: 20)",
    )


def download_options(parsed: argparse.Namespace) -> DownloadOptions:
    """The arguments that `add_download_options` declared."""
    return DownloadOptions(parsed.jobs, parsed.per_host, parsed.retries, parsed.timeout)


def _run(parsed: argparse.Namespace) -> str:
    return download_index(parsed.images, parsed.directory, download_options(parsed), parsed.ray)


def download_index(images: Path, directory: Path, options: DownloadOptions, ray_address: str | None) -> str:
    """Download an index into a directory; the failures go into `FAILED_FILE` there.

    Returns:
        The line that sums it up.

    Raises:
        CommandError: not a single picture could be had.
    """
    n_images = sum(1 for _ in read_items(images))
    Workspace.create(directory)
    failed = directory / FAILED_FILE
    with ExitStack() as stack:
        if ray_address is None:
            outcomes = download(read_items(images), directory, options)
        else:
            who = stack.enter_context(workers(ray_address=ray_address))
            outcomes = download_by(who, read_items(images), directory.resolve(), options)
        report = stack.enter_context(progress_bar("downloading"))
        n_there, n_bytes, reason = _follow(outcomes, n_images, failed, report)
    n_failed = n_images - n_there
    if n_failed and not n_there:
        raise CommandError(f"none of {n_images} images could be downloaded ({reason}): see {failed}")
    told = f"; {n_failed} failed, see {failed}" if n_failed else ""
    return f"{n_there} of {n_images} images in {directory}, {n_bytes / 1e6:.1f} MB of them new{told}"


def _follow(outcomes: Iterable[Outcome], n_images: int, failed: Path, report: Report) -> tuple[int, int, str]:
    """Write what fails; gives how many images are there, the bytes that came, and a reason for a failure."""
    n_there, n_failed, n_bytes, reason = 0, 0, 0, ""
    with item_writer(failed) as writer:
        ordered = InOrder()
        for outcome in outcomes:
            n_bytes += outcome.n_bytes
            n_there += outcome.reason is None
            n_failed += outcome.reason is not None
            for one in ordered.add(outcome):
                if one.reason is not None:
                    reason = one.reason
                    writer.add({"id": one.id, "url": one.url, "reason": one.reason})
            done = n_there + n_failed
            message = f"{done:,} of {n_images:,} images, {n_failed:,} failed, {n_bytes / 1e6:,.0f} MB"
            report(done / max(n_images, 1), message=message)
    return n_there, n_bytes, reason


DOWNLOAD = Subcommand(
    "download",
    "Download the pictures of an index, many at once; run it again for what failed.",
    _add_arguments,
    _run,
)
