"""The command `pyramid_train config.json`: try image networks on labelled images, and keep the best."""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from importlib import import_module
from pathlib import Path
from typing import Any

from pyramid.commands.candidate_report import write_candidates
from pyramid.commands.candidates import Candidate
from pyramid.commands.config import Training, given_keys, parse_config
from pyramid.commands.console import (
    CommandError,
    answer,
    error_lines,
    make_parser,
    read_json_file,
    run_command,
)
from pyramid.commands.metadata import METADATA_FILE, metadata
from pyramid.commands.sharing import TrialOutcome, best_of, try_each
from pyramid.commands.training_data import names_files, with_rows_to_learn
from pyramid.commands.visualizing import (
    VISUALIZE,
    add_visualize,
    check_display,
    parse_visualize,
    show_batches,
)
from pyramid.commands.watching import outcome_table, progress_display
from pyramid.errors import DataError, PyramidError, SettingsError, Violation
from pyramid.images.rows import unreadable_images
from pyramid.images.training_types import TRAINING_TYPES
from pyramid.jobs import load_job
from pyramid.report_page.units import ShownMetrics
from pyramid.settings.wording import found
from pyramid.train.checks import OnCheck, call_both, ignore_check
from pyramid.workspace import Workspace, write_json
from sensenet import pretrained
from sensenet.errors import WeightsError

PROGRAM = "pyramid_train"


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
        "Tries the image networks of a config on its labelled images and writes the best as final_model.json into "
        "its output_directory. Progress goes to standard error, the metrics of each check to standard output.",
    )
    parser.usage = (
        f"{PROGRAM} [-h] [--version] [--debug] [{VISUALIZE}[=n] [--output FILE.png]] [--bigmlize] "
        "[--tensorboard DIR] config"
    )
    parser.add_argument("config", type=Path, help="the JSON file that says what to train, on which images")
    add_visualize(
        parser,
        "train nothing: show so many batches (default: one) of augmented training images with their labels or boxes",
    )
    parser.add_argument(
        "--bigmlize",
        action="store_true",
        help=f"train nothing: write the labels or boxes as {METADATA_FILE} for a BigML source into output_directory",
    )
    parser.add_argument(
        "--tensorboard",
        metavar="DIR",
        type=Path,
        help="write event files for TensorBoard there, in a folder for each candidate",
    )
    parsed = parse_visualize(parser, arguments)
    if parsed.bigmlize and parsed.visualize is not None:
        parser.error(f"argument --bigmlize: not allowed with {VISUALIZE}")
    if parsed.tensorboard is not None and (parsed.bigmlize or parsed.visualize is not None):
        parser.error("argument --tensorboard: there is nothing to log where nothing is trained")
    return parsed


def _run(parsed: argparse.Namespace) -> None:
    config = read_json_file(parsed.config)
    if names_files(config):
        with progress_display("reading the data") as (report, _):
            config = with_rows_to_learn(config, report)
    if parsed.bigmlize:
        _bigmlize(config)
        return
    training = parse_config(config)
    if training.unused:
        keys = ", ".join(training.unused)
        print(f"{PROGRAM}: warning: not used where boxes are to be found: {keys}", file=sys.stderr)
    _check_files(training)
    if parsed.visualize is not None:
        _visualize(training, parsed.visualize, parsed.output)
    else:
        _train(training, parsed.tensorboard, parsed.debug)


def _check_files(training: Training) -> None:
    """Look for the images before anything is built; whether they can be decoded is for the job to find out."""
    missing = training.missing_files()
    total = len(training.images.rows) + len(training.images.holdout)
    if missing and (len(missing) == total or not training.shared.get("skip_invalid_images")):
        raise DataError(unreadable_images(missing, total))


def _train(training: Training, events: Path | None, debug: bool) -> None:
    workspace = Workspace.create(training.shared["output_directory"])
    metrics = ShownMetrics.of_objective(training.images.objective)
    job: Callable[..., dict[str, Any]] = load_job("image_training")

    def train(candidate: Candidate, max_seconds: float) -> dict[str, Any]:
        try:
            with (
                progress_display(str(candidate), metrics) as (report, show),
                _event_log(events, candidate) as log,
            ):
                return job(training.job(candidate, max_seconds), workspace, report, call_both(show, log))
        except Exception as error:
            # what ends everything is told at the end
            if len(training.candidates) > 1 and not isinstance(error, DataError):
                _tell_failure(candidate, error, debug)
            raise

    unavailable = _unavailable(training.candidates)
    if len(training.candidates) > 1:
        for candidate, error in unavailable.items():
            _tell_failure(candidate, error, debug)
    outcomes = try_each(training.candidates, training.max_total_seconds, train, unavailable)
    best = best_of(outcomes, metrics.names[0])
    if len(outcomes) == 1 and outcomes[0].error is not None:
        raise outcomes[0].error
    answer(outcome_table(outcomes, best, metrics))
    if best is None:
        _write_report(outcomes, best, metrics, workspace)
        raise CommandError(f"none of the {len(outcomes)} candidates could be trained")
    with progress_display("writing the final model") as (report, _):
        load_job("finalize_output")(training.finalizing(best.candidate), workspace, report)
    _write_report(outcomes, best, metrics, workspace)
    answer(f"the best is {best.candidate}: {workspace.final_model} (how it went: {workspace.report})")


def _unavailable(candidates: Sequence[Candidate]) -> dict[Candidate, WeightsError]:
    """The candidates whose published weights cannot be had; the others' are fetched, before the clock starts."""
    errors = {}
    for candidate in candidates:
        if (
            not TRAINING_TYPES[candidate.image_training_type].starts_trained
            or candidate.initial_model is not None
        ):
            continue
        try:
            pretrained.weights_path(candidate.base_image_network)
        except WeightsError as error:
            errors[candidate] = error
    return errors


def _write_report(
    outcomes: Sequence[TrialOutcome[Candidate]],
    best: TrialOutcome[Candidate] | None,
    metrics: ShownMetrics,
    workspace: Workspace,
) -> None:
    try:
        write_candidates(outcomes, best, metrics, workspace)
    except PyramidError as error:
        # the model is there, and is not lost for want of a page about it
        print(f"{PROGRAM}: warning: {error}", file=sys.stderr)


def _event_log(events: Path | None, candidate: Candidate) -> AbstractContextManager[OnCheck]:
    if events is None:
        return nullcontext(ignore_check)
    log: AbstractContextManager[OnCheck] = import_module("pyramid.commands.tensorboard").event_log(
        events / candidate.job_id
    )
    return log


def _tell_failure(candidate: Candidate, error: Exception, debug: bool) -> None:
    if debug:
        traceback.print_exception(error)
    for line in error_lines(error):
        print(f"{PROGRAM}: {candidate} failed: {line}", file=sys.stderr)


def _bigmlize(config: Any) -> None:
    given = given_keys(config)
    directory = given.get("output_directory")
    if not isinstance(directory, str) or not directory:
        raise SettingsError(
            [Violation("/output_directory", f"found {found(directory)}, allowed is a string")]
        )
    images = metadata(given)
    path = Workspace.create(directory).root / METADATA_FILE
    write_json(path, images)
    print(f"{len(images)} images: {path}")


def _visualize(training: Training, count: int, output: Path | None) -> None:
    check_display(output)
    sheets = import_module("pyramid.commands.training_batches")
    with progress_display("reading images") as (report, _):
        batches = list(sheets.augmented_batches(training, count, report))
    show_batches(batches, output, PROGRAM)


if __name__ == "__main__":
    sys.exit(main())
