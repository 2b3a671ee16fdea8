"""The job `image_training`: train an image network, and a readout on it, on images alone."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from pyramid.errors import PyramidError
from pyramid.fields import Fields, ImageField
from pyramid.images.rows import ImageRows
from pyramid.images.store import OpenedImages
from pyramid.images.training_types import TRAINING_TYPES
from pyramid.jobs.image_beginning import READ, begin, fit_options
from pyramid.progress import Report
from pyramid.report_page.training import training_report, write_report
from pyramid.settings.base_settings import BaseSettings
from pyramid.settings.options import DocumentOptions, NetworkOptions
from pyramid.submodels.files import write_submodel
from pyramid.submodels.fit_info import fit_info
from pyramid.submodels.image_model import network_info, trained_keras_model
from pyramid.train.checks import CheckLog, OnCheck, call_both, ignore_check
from pyramid.train.dataset import Dataset
from pyramid.train.fit import Fit
from pyramid.train.image_loop import Batch
from pyramid.train.image_start import Start
from pyramid.train.images import batches_of_steps, train_phases
from pyramid.workspace import Submodel, Workspace, check_there
from sensenet.errors import SensenetError
from sensenet.formats.h5 import encode_weights

# where training and writing end in the progress of the job
TRAINED, REPORTED = 0.97, 0.98
UNTRAINED = next(name for name, training in TRAINING_TYPES.items() if not training.starts_trained)


def run(
    settings: BaseSettings, workspace: Workspace, report: Report, on_check: OnCheck = ignore_check
) -> dict[str, Any]:
    """Train, and leave weights, fit info and a report in `submodel_<base_image_network>_<image_training_type>`.

    Args:
        on_check: told of each check of the holdout images with finite numbers.

    Returns:
        The result (docs/formats.md, "Results").

    Raises:
        PyramidError: settings, rows or images that cannot be used, or a training that never was finite.
        sensenet.errors.WeightsError: pretrained weights that cannot be had.
    """
    started = settings.start_time or time.time()
    begun = begin(settings, NetworkOptions.of(settings), report)
    start, images, log = begun.start, begun.images, CheckLog()
    fitted = train_phases(
        start,
        images,
        fit_options(settings, begun.fields.objective),
        started,
        lambda progress, **facts: report(READ + (TRAINED - READ) * progress, **facts),
        call_both(log.add, on_check),
    )
    report(TRAINED, message="writing the trained networks")
    result = _result(fitted, settings, started)
    info = result | _info(start, begun.fields, DocumentOptions.of(settings))
    info |= _files(begun.rows, begun.opened, images.holdout, bool(settings.return_holdout_images))
    submodel = workspace.submodel(settings.job_id)
    _write(submodel, start, info)
    report(REPORTED, message="writing the report")
    try:
        write_report(training_report(start, images, settings, result, log), workspace, submodel)
    except (PyramidError, SensenetError) as error:
        # the networks are trained and written: they are not lost for want of a page about them
        report(REPORTED, message=f"warning: there is no report: {error}")
    check_there([submodel.weights, submodel.fit_info])
    return result


def training_batches(settings: BaseSettings, report: Report) -> Callable[[int], Batch]:
    """The function from the number of a step, from 0, to the batch that the job trains on then; nothing is trained.

    Raises:
        PyramidError: as `run`.
    """
    # what a batch is does not depend on the weights, which may not be there
    network = replace(NetworkOptions.of(settings), image_training_type=UNTRAINED)
    begun = begin(settings, network, report)
    return batches_of_steps(begun.images, fit_options(settings, begun.fields.objective))


def _result(fitted: Fit, settings: BaseSettings, started: float) -> dict[str, Any]:
    return {
        "job_id": settings.job_id,
        "validation_metrics": fitted.metrics,
        "evaluation_metrics": None,
        "iterations": fitted.iterations,
        "elapsed_time": time.time() - started,
        "configuration_parameters": None,
        "base_image_network": settings.base_image_network,
        "image_training_type": settings.image_training_type,
    }


def _info(start: Start, fields: Fields, options: DocumentOptions) -> dict[str, Any]:
    """What is known of the networks; they take one image, whatever other fields a row has."""
    image_field = next((fields.inputs[place] for place in fields.images), ImageField(index=0))
    return {
        **fit_info(fields, options, False, int(start.readout.model.input_shape[-1]), [1.0]),
        **network_info(start),
        "preprocess": [image_field.dump()],
        "initial_network_metadata": start.initial_metadata,
    }


def _files(rows: ImageRows, opened: OpenedImages, holdout: Dataset, returns_holdout: bool) -> dict[str, Any]:
    """The files that were left out, and, where asked for, those held out with what is true of them."""
    skipped = [{"file": rows.files[row], "reason": reason} for row, reason in opened.broken.items()]
    held_out = None
    if returns_holdout:
        truth = holdout.objective.in_units(rows.labels[holdout.inputs])
        held_out = [[rows.files[row], label] for row, label in zip(holdout.inputs, truth, strict=True)]
    return {"skipped_images": skipped, "holdout_images": held_out}


def _write(submodel: Submodel, start: Start, info: dict[str, Any]) -> None:
    model = trained_keras_model(start, info)
    write_submodel(submodel, [encode_weights(model)], info)
