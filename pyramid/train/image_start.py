"""What an image job begins with: an image network by name or from an earlier model, drawn or trained, and a readout."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pyramid.fields import Objective
from pyramid.fields.boxes import BoxesObjective
from pyramid.images.networks import refusing, wrong_setting
from pyramid.images.training_types import INITIAL_MODEL
from pyramid.settings.options import NetworkOptions, ReadoutOptions
from pyramid.train.dataset import Dataset
from pyramid.train.detector import connect_detector
from pyramid.train.detector_start import start_detector
from sensenet.document.image_network import ImageNetworkSpec
from sensenet.document.model import ModelSpec
from sensenet.layers import parse_layers
from sensenet.layers.base import Layers, LayerSpec
from sensenet.network import Network, build_network, identity_network


@dataclass(frozen=True)
class Start:
    """The networks of a job before its first step.

    Attributes:
        spec: the image network with its first weights, and the metadata that the trained one will have.
        image, readout: both, connected; the readout of a detector has no layers.
        initial_metadata: of the image network in `initial_model`, as its document has it; None without such a model.
    """

    spec: ImageNetworkSpec
    image: Network
    readout: Network
    initial_metadata: dict[str, Any] | None


def start_networks(
    spec: ImageNetworkSpec,
    initial: ModelSpec | None,
    options: NetworkOptions,
    layers: ReadoutOptions,
    training: Dataset,
    warn: Callable[[str], None],
) -> Start:
    """Build the networks that a job asks for.

    Args:
        spec, initial: the image network, and the model that it is of, if any: see `network_to_train`.
        options: of the image network.
        layers: of the readout; a detector has none.
        training: what will be trained on.
        warn: told of a readout, or last convolutions, of the initial model that are not taken over.

    Raises:
        SettingsError: a readout, or anchors, that do not fit.
    """
    initial_metadata = None if initial is None else initial.image_network.metadata.dump()  # type: ignore[union-attr]
    place = "base_image_network" if initial is None else INITIAL_MODEL
    if isinstance(training.objective, BoxesObjective):
        with refusing(place):
            spec = start_detector(spec, initial, options, layers.seed, training, warn)
        return Start(
            spec, connect_detector(spec), identity_network(training.objective.n_outputs), initial_metadata
        )
    with refusing(place):
        spec = spec.initialize(layers.seed)
        image = build_network(spec.layers, spec.input_shape, layers.seed)
    objective = training.objective
    readout = _readout(layers, spec.metadata.outputs, objective.n_outputs)
    if initial is not None and options.training_type.starts_trained:
        obstacle = _take_over(readout, initial, objective)
        if obstacle is not None:
            warn(
                f"warning: the readout is drawn anew, as that of the initial_model cannot be taken over: {obstacle}"
            )
    return Start(spec, image, readout, initial_metadata)


def _readout(options: ReadoutOptions, n_features: Any, n_outputs: int) -> Network:
    with refusing("layers"):
        readout = build_network(parse_layers(options.layers), n_features, options.seed)
    width = readout.model.output_shape[-1]
    if width != n_outputs:
        message = f"the last layer has {width} outputs, but the objective needs {n_outputs}"
        raise wrong_setting(f"layers/{len(options.layers) - 1}", message)
    return readout


def _take_over(readout: Network, initial: ModelSpec, objective: Objective) -> str | None:
    """Begin with the readout of the initial model where it answers the same question with layers of the same sizes.

    Returns:
        What stands against it; None where it is taken over.
    """
    if obstacle := objective.difference_from(initial.output.dump()):
        return obstacle
    if not _only_an_image(initial):
        return "it is not one network that takes an image alone"
    layers, n_features = initial.networks[0].layers, readout.model.input_shape[-1]
    if initial.image_features is None:
        return "its metadata does not tell how many features it takes"
    if initial.image_features != n_features:
        return f"it takes {initial.image_features} features, and the image network gives {n_features} here"
    if _kinds(layers) != _kinds(readout.layers):
        return "its layers are of other types than those of this job"
    with refusing("initial_model"):
        weights = build_network(layers, n_features).model.get_weights()
    if [array.shape for array in weights] != [array.shape for array in readout.model.get_weights()]:
        return "its layers are of other widths than those of this job"
    readout.model.set_weights(weights)
    return None


def _only_an_image(model: ModelSpec) -> bool:
    alone = model.has_images and len(model.preprocess) == 1 and len(model.networks) == 1
    return alone and not model.networks[0].uses_trees


def _kinds(layers: Layers) -> list[str]:
    return [layer.type_name for layer in layers if _has_weights(layer)]


def _has_weights(layer: LayerSpec) -> bool:
    return bool(layer.arrays() or layer.paths)
