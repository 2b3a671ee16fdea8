"""Which image network makes the features of a job's image fields, and what finalizing takes up again.

An image job that has finished in the output directory is asked first, by the names that the settings give. Without one
a network that is used as it is (`use_pretrained`) is that of `initial_model`, or the published one. Caching records
what it took, with a digest of the weights: the readouts fit those features and no others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from pyramid.errors import WorkspaceError
from pyramid.images.networks import job_metadata, read_initial_model, refuse_boxes, refusing, wrong_setting
from pyramid.images.training_types import INITIAL_MODEL
from pyramid.settings.options import NetworkOptions
from pyramid.submodels.image_model import image_document
from pyramid.workspace import Submodel, Workspace, read_json
from sensenet.document.image_network import ImageNetworkSpec, parse_image_network, parse_metadata
from sensenet.document.model import parse_model
from sensenet.errors import ModelFormatError
from sensenet.pretrained import image_network, pretrained_layers

RECORD_KEYS = ("origin", "metadata", "digest")


@dataclass(frozen=True)
class Origin:
    """Where an image network comes from.

    Attributes:
        kind: a key of `_READERS`.
        name: the image job's id, the path of the model, or the network's name.
    """

    kind: str
    name: str


@dataclass(frozen=True, eq=False)
class FoundNetwork:
    """An image network, its arrays all there.

    Attributes:
        origin: where it comes from.
        spec: it gives `spec.metadata.outputs` features.
    """

    origin: Origin
    spec: ImageNetworkSpec


def is_image_job(submodel: Submodel) -> bool:
    """Whether an image job has finished there.

    Raises:
        WorkspaceError: its fit info cannot be read.
    """
    if not submodel.fit_info.exists():
        return False
    info = read_json(submodel.fit_info, "training")
    return isinstance(info, dict) and info.get("image_network") is not None


def finished_image_job(options: NetworkOptions, workspace: Workspace) -> Submodel | None:
    """The image job of the `base_image_network` and `image_training_type` that the options name; None without it.

    Raises:
        WorkspaceError: its fit info cannot be read.
    """
    if options.image_job_id is None:
        return None
    submodel = workspace.submodel(options.image_job_id)
    return submodel if is_image_job(submodel) else None


def find_network(options: NetworkOptions, workspace: Workspace) -> FoundNetwork:
    """The image network of a caching job.

    Raises:
        SettingsError: no network is named, or one that has no features or no pretrained weights.
        WorkspaceError: the image job that should have trained it has not run, or has left something unusable.
        sensenet.errors.WeightsError: pretrained weights that cannot be had; says what to do.
    """
    for key in ("base_image_network", "image_training_type"):
        if getattr(options, key) is None:
            raise wrong_setting(key, "missing; caching image fields needs it")
    job = finished_image_job(options, workspace)
    if job is not None:
        origin = Origin("image_job", job.job_id)
        return FoundNetwork(origin, _read(origin, workspace))
    if options.training_type.changes_images:
        assert options.image_job_id is not None, "both are there"
        expected = workspace.submodel(options.image_job_id)
        raise WorkspaceError(
            f"{expected.fit_info} does not exist: the features of image fields come from the network that an "
            f"image_training job with base_image_network {options.base_image_network} and image_training_type "
            f"{options.image_training_type} trains, and it has not run in this output_directory"
        )
    origin = _origin_without_job(options)
    spec = _read(origin, workspace)
    return FoundNetwork(origin, _with_metadata(spec, options))


def network_record(found: FoundNetwork) -> dict[str, Any]:
    """The content of `image_features.json`: word of the network that cached features come from."""
    return {
        "origin": {"kind": found.origin.kind, "name": found.origin.name},
        "metadata": found.spec.metadata.dump(),
        "digest": _digest(found.spec),
    }


def recorded_network(workspace: Workspace) -> FoundNetwork:
    """The network that the cached features come from.

    Raises:
        WorkspaceError: caching has not recorded it, it cannot be read again, or its weights have changed since.
        sensenet.errors.WeightsError: pretrained weights that cannot be had.
    """
    path = workspace.image_features
    record = read_json(path, "dataset_caching")
    try:
        raw, metadata, digest = (record[key] for key in RECORD_KEYS)
        origin = Origin(raw["kind"], raw["name"])
        spec = replace(_read(origin, workspace), metadata=parse_metadata(metadata))
    except (KeyError, TypeError, ModelFormatError) as error:
        raise WorkspaceError(
            f"{path}, which a dataset_caching job writes, cannot be used: {error!r}"
        ) from error
    if _digest(spec) != digest:
        raise WorkspaceError(
            f"the image network of {origin.name} is not the one whose features were cached, as {path} tells: it was "
            "trained again since; run dataset_caching and the training jobs again"
        )
    return FoundNetwork(origin, spec)


def _origin_without_job(options: NetworkOptions) -> Origin:
    if options.initial_model is not None:
        return Origin(INITIAL_MODEL, options.initial_model)
    assert options.base_image_network is not None, "it is there"
    if options.takes_given:
        message = f"missing; {options.base_image_network} is the image network of that model"
        raise wrong_setting(INITIAL_MODEL, message)
    return Origin("pretrained", options.base_image_network)


def _of_image_job(name: str, workspace: Workspace) -> ImageNetworkSpec:
    network = parse_model(image_document(workspace.submodel(name))).image_network
    assert network is not None, "an image job has one"
    return network


def _of_initial_model(name: str, workspace: Workspace) -> ImageNetworkSpec:
    network = read_initial_model(name).image_network
    assert network is not None, "an initial model has one"
    return network


def _of_pretrained(name: str, workspace: Workspace) -> ImageNetworkSpec:
    with refusing("base_image_network"):
        # asks for the weights first: only networks that have some have a size of their own
        layers = pretrained_layers(name).image
        return replace(parse_image_network(image_network(name)), layers=layers)


_READERS = MappingProxyType(
    {"image_job": _of_image_job, INITIAL_MODEL: _of_initial_model, "pretrained": _of_pretrained}
)


def _read(origin: Origin, workspace: Workspace) -> ImageNetworkSpec:
    if origin.kind not in _READERS:
        raise KeyError(origin.kind)
    spec = _READERS[origin.kind](origin.name, workspace)
    refuse_boxes(spec, origin.name)
    try:
        return spec.initialize()
    except ModelFormatError as error:
        raise WorkspaceError(f"the image network of {origin.name} cannot be used: {error}") from error


def _with_metadata(spec: ImageNetworkSpec, options: NetworkOptions) -> ImageNetworkSpec:
    """The network as an image job with these options would take images."""
    metadata = job_metadata(spec.metadata, options)
    with refusing("input_image_shape"):
        return replace(spec, metadata=metadata).initialize()


def _digest(spec: ImageNetworkSpec) -> str:
    """Changes with every weight."""
    digest = hashlib.sha256()
    _feed(digest, spec.dump()["layers"])
    return digest.hexdigest()


def _feed(digest: Any, value: Any) -> None:
    if isinstance(value, np.ndarray):
        digest.update(np.ascontiguousarray(value))
    elif isinstance(value, Mapping):
        for key in sorted(value):
            digest.update(str(key).encode())
            _feed(digest, value[key])
    elif isinstance(value, (list, tuple)):
        for inner in value:
            _feed(digest, inner)
    else:
        digest.update(repr(value).encode())
