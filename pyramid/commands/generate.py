"""The command `pyramid_generate config.json`: labelled images from cut-out foregrounds and backgrounds."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from pyramid.commands.console import CommandError, answer, make_parser, read_json_file, run_command
from pyramid.commands.contact_sheet import MOST_IMAGES, label_text, labelled_picture
from pyramid.commands.generation_config import Generation, parse_generation
from pyramid.commands.metadata import METADATA_FILE, metadata
from pyramid.commands.visualizing import (
    VISUALIZE,
    add_visualize,
    check_display,
    parse_visualize,
    show_batches,
)
from pyramid.commands.watching import progress_display
from pyramid.generation.plan import only_used, plan_images
from pyramid.generation.sources import Sources, find_sources
from pyramid.memory import memory_bytes
from pyramid.storage.files import dumps
from pyramid.workspace import Workspace, whole_files

PROGRAM = "pyramid_generate"
BATCH = 16
"""So many images a batch are shown where the config has no `batch_size`."""
MOST_PROCESSES = 64
IMAGES_PER_PROCESS = 500
"""A process must have so many to make that its start pays."""
BYTES_PER_PROCESS = 1e9
"""TensorFlow, its compiled programs and a chunk of images."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: those of the command line (default: `sys.argv`).

    Returns:
        The exit code: 0, 1 for anything that went wrong, 130 after an interrupt.

    Raises:
        SystemExit: 2 on wrong arguments, 0 after `--help` and `--version`.
    """
    parsed = _parse(sys.argv[1:] if arguments is None else arguments)
    return run_command(PROGRAM, parsed.debug, lambda: _run(parsed))


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = make_parser(
        PROGRAM,
        "Pastes the foregrounds of a config on its backgrounds, and writes the images into the directory train of its "
        "output_directory, with a config.json for pyramid_train beside it. Progress goes to standard error.",
    )
    parser.usage = (
        f"{PROGRAM} [-h] [--version] [--debug] [{VISUALIZE}[=n] [--output FILE.png]] [--bigmlize] "
        "[--processes n] config"
    )
    parser.add_argument("config", type=Path, help="the JSON file that says what to paste, on what, and how")
    add_visualize(
        parser, "write no data set: show so many batches (default: one) of its first images with their truth"
    )
    parser.add_argument(
        "--bigmlize",
        action="store_true",
        help=f"also write the labels as {METADATA_FILE} for a BigML source into output_directory",
    )
    parser.add_argument(
        "--processes",
        metavar="n",
        type=_processes,
        help="how many make images (default: one a processor and gigabyte of memory, fewer for small data sets); the "
        "images are the same",
    )
    parsed = parse_visualize(parser, arguments)
    if parsed.bigmlize and parsed.visualize is not None:
        parser.error(f"argument --bigmlize: not allowed with {VISUALIZE}")
    return parsed


def _processes(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MOST_PROCESSES:
        raise argparse.ArgumentTypeError(f"expected a number from 1 to {MOST_PROCESSES}, got '{text}'")
    return int(text)


def _run(parsed: argparse.Namespace) -> None:
    generation = parse_generation(read_json_file(parsed.config))
    if parsed.visualize is not None:
        _visualize(generation, parsed.visualize, parsed.output)
        return
    _check_targets(generation, parsed.config, parsed.bigmlize)
    sources = find_sources(generation.options)
    rows = _generate(
        generation, sources, parsed.processes or usual_processes(generation.count), parsed.bigmlize
    )
    _tell(generation, rows)


def usual_processes(count: int) -> int:
    """How many processes make `count` images where nobody says it: as many as pay, and have memory."""
    fitting = int(memory_bytes() / BYTES_PER_PROCESS)
    return max(1, min(os.cpu_count() or 1, fitting, count // IMAGES_PER_PROCESS, MOST_PROCESSES))


def _check_targets(generation: Generation, config: Path, bigmlize: bool) -> None:
    if generation.config.exists() and generation.config.samefile(config):
        raise CommandError(
            f"{config} would be overwritten by the config of the new data set; choose another output_directory"
        )
    targets = [generation.train, generation.config, *([generation.metadata] if bigmlize else [])]
    if there := [str(target) for target in targets if os.path.lexists(target)]:
        raise CommandError(
            f"already there: {', '.join(there)}; remove what is there, or choose another output_directory"
        )


def _generate(
    generation: Generation, sources: Sources, processes: int, bigmlize: bool
) -> list[dict[str, Any]]:
    plans = plan_images(generation.options, sources, generation.count)
    dataset = import_module("pyramid.generation.dataset")
    Workspace.create(generation.output_directory)
    with dataset.workshop(generation.train) as shop:
        with progress_display("reading images") as (report, _):
            dataset.prepare(shop.library, sources, plans, generation.options, report)
        with progress_display("generating") as (report, _):
            rows = dataset.write_dataset(shop, sources, plans, generation.options, processes, report)
        config = generation.training_config(rows)
        with whole_files() as files:
            files.new(generation.config).write(dumps(config))
            if bigmlize:
                files.new(generation.metadata).write(dumps(metadata(config)))
            files.settle()
            # the images first: a config never tells of a directory that another command has made
            dataset.publish(shop, generation.train)
    return rows


def _tell(generation: Generation, rows: Sequence[dict[str, Any]]) -> None:
    things = "boxes" if generation.options.has_boxes else "images"
    labels = Counter(box[-1] for row in rows for box in row.get("boxes", ()))
    labels.update(row["label"] for row in rows if "label" in row)
    for label, count in sorted(labels.items()):
        answer(f"{count:8} {things}  {label_text(label)}")
    answer(f"{len(rows)} images: {generation.train}")
    answer(f"config for pyramid_train: {generation.config}")
    if missing := generation.missing_for_training():
        print(f"{PROGRAM}: note: before training it still needs {', '.join(missing)}", file=sys.stderr)


def _visualize(generation: Generation, batches: int, output: Path | None) -> None:
    check_display(output)
    found = find_sources(generation.options)
    batch = min(generation.batch_size or BATCH, MOST_IMAGES)
    plans = plan_images(generation.options, found, min(batches * batch, generation.count))
    sources, plans = only_used(found, plans)
    dataset = import_module("pyramid.generation.dataset")
    with tempfile.TemporaryDirectory(prefix=f"{PROGRAM}_") as directory:
        with progress_display("reading images") as (report, _):
            dataset.prepare(Path(directory), sources, plans, generation.options, report)
        samples = dataset.samples(Path(directory), sources, plans, generation.options)
        shown = [
            labelled_picture(pixels, truth.get("boxes", truth.get("label", ""))) for pixels, truth in samples
        ]
    show_batches([shown[start : start + batch] for start in range(0, len(shown), batch)], output, PROGRAM)


if __name__ == "__main__":
    sys.exit(main())
