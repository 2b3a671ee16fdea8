"""The job `finalize_output`: what training jobs left becomes a model document, its weights and its bundle."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pyramid.errors import WorkspaceError
from pyramid.finalize.exports import (
    check_exports,
    exports_beside,
    javascript_paths,
    lasting_report,
    publish_bundle,
)
from pyramid.finalize.greedy import greedy_document
from pyramid.finalize.image import (
    image_job_to_finalize,
    image_only_document,
    predict_holdout,
)
from pyramid.finalize.readout import HOLDOUT_KEY, check_trees, plain_document
from pyramid.finalize.search import search_document
from pyramid.progress import Report
from pyramid.settings.base_settings import BaseSettings
from pyramid.settings.options import RootOptions, job_fields
from pyramid.storage.files import dumps, put_array, remove
from pyramid.workspace import Workspace, check_there, whole_files
from sensenet import create_model
from sensenet.document.model import shorten
from sensenet.errors import ModelFormatError
from sensenet.formats.h5 import encode_weights

REPORT_KEY = "export_report"
UNPREDICTED = 2  # [file, truth]: an image job leaves predicting its holdout images to the final model
# measured numbers: a null among them is how JSON wrote down NaN
MEASURED_KEYS = ("validation_metrics", "evaluation_metrics", "importances")


def run(settings: BaseSettings, workspace: Workspace, report: Report) -> dict[str, Any]:
    """Write the final model of the training job `job_id`, or with `is_search` that of all search submodels.

    The readout is that of the job `job_id`: one on cached rows joins the image network whose features they hold, an
    image job brings its own.

    Returns:
        The result (docs/formats.md, "Results"): paths as text, sizes in bytes, receipts of the exports; the
        TensorFlow.js keys are None where there is no such model.

    Raises:
        WorkspaceError: a piece that is missing, unreadable or does not fit, a number that is not finite, or a file
            that cannot be written.
        SettingsError: layers that `deepnet_version` cannot say.
        DataError: holdout images that are to be predicted cannot be read.
        sensenet.errors.WeightsError: the image network is a published one whose weights cannot be had.
    """
    report(0.0, message="reading the trained networks")
    document, honest = _document(settings, workspace, lambda warning: report(0.0, message=warning))
    if settings.return_holdout_images and document["image_network"] and HOLDOUT_KEY not in document:
        report(0.0, message="warning: there are no holdout images: the training was not asked for them")
    _check_numbers(document, workspace)
    report(0.4, message="writing the bundle and the model for TensorFlow.js")
    try:
        model = create_model(document)
    except ModelFormatError as error:
        check_trees(workspace, document["trees"])
        raise WorkspaceError(f"what {workspace.root} holds does not fit together: {error}") from error
    if any(len(row) == UNPREDICTED for row in document.get(HOLDOUT_KEY, ())):
        report(0.45, message="predicting the holdout images")
        document[HOLDOUT_KEY] = predict_holdout(
            model, document[HOLDOUT_KEY], job_fields(settings).objective, RootOptions.of(settings)
        )
    warn = lambda warning: report(0.9, message=warning)  # noqa: E731
    with exports_beside(model, workspace, warn) as folder:
        report(0.6, message="trying the bundle and the model for TensorFlow.js")
        receipts = check_exports(model, folder, workspace, warn)
        document[REPORT_KEY] = lasting_report(receipts)
        report(0.9, message="writing the final model")
        _write(document, honest, encode_weights(model.keras_model()), folder, workspace)
    return {**_result(workspace), REPORT_KEY: receipts}


def _write(
    document: Mapping[str, Any], honest: np.ndarray | None, weights: bytes, folder: Path, workspace: Workspace
) -> None:
    """Write all of the final model, or, where a file has no room, nothing.

    Args:
        honest: the honest prediction of each row, of a greedy selection.
        weights: the content of the weight file.
        folder: where the bundle is, see `exports_beside`.
    """
    with whole_files() as together:
        together.new(workspace.final_model).write(dumps(document))
        together.new(workspace.short_model).write(dumps(shorten(document)))
        together.new(workspace.final_weights).write(weights)
        if honest is not None:
            together.new(workspace.selection).write(dumps(document["selection"]))
            put_array(together.new(workspace.final_out_of_fold), honest)
        together.settle()
        publish_bundle(folder, workspace)
    if honest is None:
        remove(workspace.selection)
        remove(workspace.final_out_of_fold)


def _document(
    settings: BaseSettings, workspace: Workspace, warn: Callable[[str], None]
) -> tuple[dict[str, Any], np.ndarray | None]:
    """The final document; with a greedy selection the honest prediction of each row, too."""
    version, wanted = settings.deepnet_version, settings.return_holdout_images
    if settings.is_search and settings.selection == "greedy":
        objective = job_fields(settings).objective
        return greedy_document(workspace, objective, settings.max_networks, version, warn, wanted)
    if settings.is_search:
        return search_document(workspace, settings.model_fraction, version, warn, wanted), None
    image_job = image_job_to_finalize(settings.job_id, workspace)
    if image_job is not None:
        return image_only_document(image_job, version, wanted), None
    return plain_document(workspace, settings.job_id, version, wanted), None


def _result(workspace: Workspace) -> dict[str, Any]:
    files = {
        "final_model": workspace.final_model,
        "short_model": workspace.short_model,
        "weights": workspace.final_weights,
        "bundle": workspace.final_bundle,
    }
    check_there(files.values())
    javascript_model, javascript_weights = javascript_paths(workspace)
    return {
        "final_model_path": str(workspace.final_model),
        "short_model_path": str(workspace.short_model),
        "weight_path": str(workspace.final_weights),
        "bundle_path": str(workspace.final_bundle),
        "tfjs_model_path": javascript_model,
        "tfjs_weight_paths": javascript_weights,
        **{f"{name}_size": path.stat().st_size for name, path in files.items()},
    }


def _check_numbers(document: Mapping[str, Any], workspace: Workspace) -> None:
    measured = [(document[key], f"/{key}") for key in MEASURED_KEYS if document[key] is not None]
    # of trees there may be a million nodes, and making the model looks at each
    rest = {key: value for key, value in document.items() if key != "trees"}
    path = _not_finite(rest, "") or next(
        (found for value, place in measured if (found := _not_finite(value, place, null_is_nan=True))), None
    )
    if path is not None:
        raise WorkspaceError(
            f"the final model of {workspace.root} would hold a number that is not finite at {path}: the training "
            "job that left it there has to be run again"
        )


def _not_finite(value: Any, path: str, null_is_nan: bool = False) -> str | None:
    """The JSON pointer to the first NaN or infinity in `value`; to the array for one in an array."""
    if value is None:
        return path if null_is_nan else None
    if isinstance(value, np.ndarray):
        return None if np.isfinite(value).all() else path
    if isinstance(value, float):
        return None if math.isfinite(value) else path
    inside = _inside(value, path)
    return next((found for inner, place in inside if (found := _not_finite(inner, place, null_is_nan))), None)


def _inside(value: Any, path: str) -> list[tuple[Any, str]]:
    """The values directly in an object or a list, with their JSON pointers (RFC 6901)."""
    if isinstance(value, Mapping):
        return [(inner, f"{path}/{_escaped(str(key))}") for key, inner in value.items()]
    if isinstance(value, (list, tuple)):
        return [(inner, f"{path}/{position}") for position, inner in enumerate(value)]
    return []


def _escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")
