"""The final model document: what training jobs left, put together (docs/formats.md, "The model document")."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyramid.errors import SettingsError, Violation, WorkspaceError
from pyramid.fields import has_images
from pyramid.images.origin import recorded_network
from pyramid.submodels.files import check_belonging, trained_weights
from pyramid.submodels.image_model import SHOWN_KEYS
from pyramid.workspace import Submodel, Workspace, read_json
from sensenet.document.trees import parse_forests
from sensenet.errors import ModelFormatError, WeightsError
from sensenet.formats.h5 import read_weights
from sensenet.layers import LayerSpec, dump_layers, parse_layers, to_legacy
from sensenet.network import Network, build_network

CANDIDATE_KEYS = ("evaluation_metrics", "iterations", "elapsed_time", "configuration_parameters")
HOLDOUT_KEY = "holdout_image_predictions"
PLAIN_KEYS = ("preprocess", "output_exposition", *SHOWN_KEYS)
FIT_INFO_KEYS = frozenset(
    {*PLAIN_KEYS, *CANDIDATE_KEYS, "layers", "input_size", "uses_trees", "deepnet_version"}
)


@dataclass(frozen=True)
class Attempt:
    """One training job's result: its files, and its `model_fit_info.json` with every key of FIT_INFO_KEYS."""

    submodel: Submodel
    info: Mapping[str, Any]


def plain_document(
    workspace: Workspace, job_id: str, deepnet_version: str | None, wanted: bool | None = None
) -> dict[str, Any]:
    """The model of one training job.

    Args:
        wanted: false leaves out the held-out images that the training has recorded.
        deepnet_version: "alpha" writes legacy layers; None leaves it to the training job.

    Returns:
        A model document whose layers' arrays are NumPy float32.

    Raises:
        WorkspaceError: a piece that is missing, unreadable or does not fit; names the file and the job.
        SettingsError: layers that "alpha" cannot say.
    """
    attempt = read_attempt(_existing(workspace, job_id), "training")
    check_belonging(attempt.submodel, attempt.info)
    networks = named_networks(attempt, read_networks(attempt, deepnet_version))
    network = {"layers": networks[0]["layers"]} if len(networks) == 1 else {"networks": networks}
    return {
        **{key: attempt.info[key] for key in PLAIN_KEYS},
        **network,
        "trees": read_trees(workspace, [attempt]),
        "image_network": read_image_network(workspace, attempt),
        **held_out_predictions(attempt, wanted),
    }


def held_out_predictions(attempt: Attempt, wanted: bool | None) -> dict[str, Any]:
    """What the training has recorded of held-out images, under its key; nothing where it is not there or not wanted."""
    recorded = attempt.info.get("holdout_images")
    return {} if wanted is False or recorded is None else {HOLDOUT_KEY: recorded}


def _existing(workspace: Workspace, job_id: str) -> Submodel:
    submodel = workspace.submodel(job_id)
    if not submodel.root.is_dir():
        there = ", ".join(one.root.name for one in workspace.submodels()) or "none"
        raise WorkspaceError(
            f"{submodel.root} does not exist: the training job {job_id} has left nothing in this "
            f"output_directory; the submodels there are: {there}"
        )
    return submodel


def read_attempt(submodel: Submodel, written_by: str) -> Attempt:
    """What a training job left.

    Raises:
        WorkspaceError: its fit info is missing, unreadable or not whole; names the file and the job.
    """
    info = read_json(submodel.fit_info, written_by)
    if not isinstance(info, dict):
        raise wrong(submodel, f"expected an object, got {type(info).__name__}")
    missing = sorted(FIT_INFO_KEYS - info.keys())
    if missing:
        raise wrong(submodel, f"the keys {', '.join(missing)} are missing")
    return Attempt(submodel, info)


def named_networks(attempt: Attempt, networks: Sequence[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """The networks of one training job as the entries of a document's `networks`."""
    return [{"layers": layers, "trees": bool(attempt.info["uses_trees"])} for layers in networks]


def read_networks(attempt: Attempt, deepnet_version: str | None) -> list[list[dict[str, Any]]]:
    """The layers of each network that one training job left, with their weights, as a document has them.

    With folds they are several: the job's prediction is the mean of theirs.

    Raises:
        WorkspaceError: layers or weights that are missing or do not fit; names the file and the job.
        SettingsError: layers that "alpha" cannot say.
    """
    info, submodel = attempt.info, attempt.submodel
    try:
        network = build_network(parse_layers(info["layers"]), info["input_size"])
    except (ModelFormatError, TypeError, MemoryError) as error:
        raise wrong(
            submodel, f"its layers: {error}" if isinstance(error, MemoryError) else str(error)
        ) from error
    legacy = (deepnet_version or info["deepnet_version"]) == "alpha"
    networks = []
    for path in trained_weights(submodel, info):
        _fill(network, path, submodel)
        layers = network.trained_layers()
        networks.append(legacy_layers(layers, info["input_size"]) if legacy else dump_layers(layers))
    return networks


def _fill(network: Network, path: Path, submodel: Submodel) -> None:
    try:
        # numbers that are not finite are reported with their place in the document, so they may pass here
        read_weights(network.model, path, finite=False)
    except (ModelFormatError, WeightsError) as error:
        job = f"the training job {submodel.job_id}"
        raise WorkspaceError(f"{path}, which {job} writes, cannot be used: {error}") from error


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


def read_trees(workspace: Workspace, attempts: Sequence[Attempt]) -> Any:
    """The forests of the tree embedding; None where no network looks at them.

    Raises:
        WorkspaceError: they are missing; names the file.
    """
    if not any(attempt.info["uses_trees"] for attempt in attempts):
        return None
    return read_json(workspace.trees, "dataset_caching")


def check_trees(workspace: Workspace, trees: Any) -> None:
    """Refuse what `read_trees` gave where it is no forests.

    Making a model does so, too, of a million nodes in half a second, but knows no file.

    Raises:
        WorkspaceError: names the file.
    """
    try:
        parse_forests(trees)
    except ModelFormatError as error:
        raise WorkspaceError(
            f"{workspace.trees}, which a dataset_caching job writes, cannot be used: {error}"
        ) from error


def read_image_network(workspace: Workspace, attempt: Attempt) -> dict[str, Any] | None:
    """The network whose features were cached; None where no field is an image.

    Raises:
        WorkspaceError: see `pyramid.images.origin.recorded_network`.
    """
    if not has_images(attempt.info["preprocess"]):
        return None
    return recorded_network(workspace).spec.dump()


def wrong(submodel: Submodel, reason: str) -> WorkspaceError:
    """The error of a fit info that cannot be used."""
    job = f"the training job {submodel.job_id}"
    return WorkspaceError(f"{submodel.fit_info}, which {job} writes, cannot be used: {reason}")
