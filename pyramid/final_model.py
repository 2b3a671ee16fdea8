"""The final model document: what training jobs left, put together (spec pages 4 and 8)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pyramid.errors import DataError, SettingsError, Violation, WorkspaceError
from pyramid.image_model import SHOWN_KEYS
from pyramid.image_result import has_images, recorded_network
from pyramid.search import keep_best, rank_submodels
from pyramid.workspace import Submodel, Workspace, read_json
from sensenet.errors import ModelFormatError, WeightsError
from sensenet.export.h5 import read_weights
from sensenet.layers import LayerSpec, dump_layers, parse_layers, to_legacy
from sensenet.network import build_network
from sensenet.trees import parse_forests

# what the networks of one model have to agree on
SHARED_KEYS = ("preprocess", "output_exposition", "class_index", "weight_index", "optypes")
CANDIDATE_KEYS = ("evaluation_metrics", "iterations", "elapsed_time", "configuration_parameters")
PLAIN_KEYS = ("preprocess", "output_exposition", *SHOWN_KEYS)
FIT_INFO_KEYS = frozenset(
    {*PLAIN_KEYS, *CANDIDATE_KEYS, "layers", "input_size", "uses_trees", "deepnet_version"}
)


@dataclass(frozen=True)
class Attempt:
    """One training job's result: its files, and its `model_fit_info.json` with every key of FIT_INFO_KEYS."""

    submodel: Submodel
    info: Mapping[str, Any]


def plain_document(workspace: Workspace, job_id: str, deepnet_version: str | None) -> dict[str, Any]:
    """The model of one training job.

    Args:
        deepnet_version: "alpha" writes legacy layers; None leaves it to the training job.

    Returns:
        A model document whose layers' arrays are NumPy float32.

    Raises:
        WorkspaceError: a piece that is missing, unreadable or does not fit; names the file and the job.
        SettingsError: layers that "alpha" cannot say.
    """
    attempt = _read_attempt(_existing(workspace, job_id), "training")
    return {
        **{key: attempt.info[key] for key in PLAIN_KEYS},
        "layers": _trained_layers(attempt, deepnet_version),
        "trees": _read_trees(workspace, [attempt]),
        "image_network": _read_image_network(workspace, attempt),
    }


def search_document(
    workspace: Workspace, model_fraction: float, deepnet_version: str | None
) -> dict[str, Any]:
    """The model of the best search submodels; iterations and time are those of all attempts together.

    Args:
        model_fraction: the share of the submodels that is kept.
        deepnet_version: as for `plain_document`.

    Returns:
        As `plain_document`; networks and candidates stand in the order of their ranks, the best first.

    Raises:
        WorkspaceError, SettingsError: as `plain_document`.
    """
    submodels = [submodel for submodel in workspace.submodels() if submodel.evaluations.exists()]
    if not submodels:
        raise WorkspaceError(
            f"{workspace.root} has no submodel_* directory with evaluations.json, which search_submodel jobs write"
        )
    evaluations = {one.job_id: read_json(one.evaluations, "search_submodel") for one in submodels}
    try:
        scores = rank_submodels(evaluations)
    except (DataError, AttributeError, TypeError) as error:
        raise WorkspaceError(f"the evaluations.json of {workspace.root} cannot be ranked: {error}") from error
    ranked = [
        _read_attempt(workspace.submodel(job_id), "search_submodel") for job_id in keep_best(scores, 1.0)
    ]
    kept = ranked[: len(keep_best(scores, model_fraction))]
    _check_shared(kept)
    metrics = _mean_metrics(kept)
    return {
        **{key: kept[0].info[key] for key in (*SHARED_KEYS, "training_options")},
        "iterations": sum(attempt.info["iterations"] for attempt in ranked),
        "elapsed_time": sum(attempt.info["elapsed_time"] for attempt in ranked),
        "validation_metrics": metrics,
        "evaluation_metrics": metrics,
        "importances": np.mean([attempt.info["importances"] for attempt in kept], axis=0).tolist(),
        "networks": [
            {"layers": _trained_layers(attempt, deepnet_version), "trees": bool(attempt.info["uses_trees"])}
            for attempt in kept
        ],
        "trees": _read_trees(workspace, kept),
        "image_network": _read_image_network(workspace, kept[0]),
        "candidates": [
            {"relative_value": scores[attempt.submodel.job_id]}
            | {key: attempt.info[key] for key in CANDIDATE_KEYS}
            for attempt in ranked
        ],
    }


def _existing(workspace: Workspace, job_id: str) -> Submodel:
    submodel = workspace.submodel(job_id)
    if not submodel.root.is_dir():
        there = ", ".join(one.root.name for one in workspace.submodels()) or "none"
        raise WorkspaceError(
            f"{submodel.root} does not exist: the training job {job_id} has left nothing in this "
            f"output_directory; the submodels there are: {there}"
        )
    return submodel


def _read_attempt(submodel: Submodel, written_by: str) -> Attempt:
    info = read_json(submodel.fit_info, written_by)
    if not isinstance(info, dict):
        raise _wrong(submodel, f"expected an object, got {type(info).__name__}")
    missing = sorted(FIT_INFO_KEYS - info.keys())
    if missing:
        raise _wrong(submodel, f"the keys {', '.join(missing)} are missing")
    return Attempt(submodel, info)


def _trained_layers(attempt: Attempt, deepnet_version: str | None) -> list[dict[str, Any]]:
    """The layers of one network with its weights, as a document has them."""
    info, submodel = attempt.info, attempt.submodel
    try:
        network = build_network(parse_layers(info["layers"]), info["input_size"])
    except (ModelFormatError, TypeError) as error:
        raise _wrong(submodel, str(error)) from error
    try:
        # numbers that are not finite are reported with their place in the document, so they may pass here
        read_weights(network.model, submodel.weights, finite=False)
    except (ModelFormatError, WeightsError) as error:
        job = f"the training job {submodel.job_id}"
        raise WorkspaceError(f"{submodel.weights}, which {job} writes, cannot be used: {error}") from error
    layers = network.trained_layers()
    if (deepnet_version or info["deepnet_version"]) == "alpha":
        return legacy_layers(layers, info["input_size"])
    return dump_layers(layers)


def legacy_layers(layers: Sequence[LayerSpec], input_size: int) -> list[dict[str, Any]]:
    """Trained layers whose input has `input_size` columns, in the form that "alpha" asks for.

    Raises:
        SettingsError: the legacy form cannot say them.
    """
    try:
        return to_legacy(layers, input_size)
    except ModelFormatError as error:
        message = f'"alpha" writes layers in the legacy form, which cannot say these: {error}'
        raise SettingsError([Violation("/deepnet_version", message)]) from error


def _read_trees(workspace: Workspace, attempts: Sequence[Attempt]) -> Any:
    """The forests of the tree embedding; None where no network looks at them."""
    if not any(attempt.info["uses_trees"] for attempt in attempts):
        return None
    trees = read_json(workspace.trees, "dataset_caching")
    try:
        parse_forests(trees)
    except ModelFormatError as error:
        raise WorkspaceError(
            f"{workspace.trees}, which a dataset_caching job writes, cannot be used: {error}"
        ) from error
    return trees


def _read_image_network(workspace: Workspace, attempt: Attempt) -> dict[str, Any] | None:
    """The network whose features were cached; None where no field is an image."""
    if not has_images(attempt.info["preprocess"]):
        return None
    return recorded_network(workspace).spec.dump()


def _check_shared(attempts: Sequence[Attempt]) -> None:
    first = attempts[0]
    for other in attempts[1:]:
        for key in (*SHARED_KEYS, "importances"):
            mine, its = other.info[key], first.info[key]
            same = len(mine) == len(its) if key == "importances" else mine == its
            if not same:
                raise _wrong(other.submodel, f"its {key} does not fit that of {first.submodel.fit_info}")


def _mean_metrics(attempts: Sequence[Attempt]) -> dict[str, float]:
    names = attempts[0].info["evaluation_metrics"]
    for attempt in attempts:
        metrics = attempt.info["evaluation_metrics"]
        if not isinstance(metrics, dict) or metrics.keys() != names.keys() or None in metrics.values():
            raise _wrong(
                attempt.submodel, f"evaluation_metrics is {metrics}, expected a number for each metric"
            )
    return {
        name: float(np.mean([attempt.info["evaluation_metrics"][name] for attempt in attempts]))
        for name in names
    }


def _wrong(submodel: Submodel, reason: str) -> WorkspaceError:
    job = f"the training job {submodel.job_id}"
    return WorkspaceError(f"{submodel.fit_info}, which {job} writes, cannot be used: {reason}")
