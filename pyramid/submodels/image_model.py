"""The model of an image job by itself: its image network and its readout on it, as a document and as weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import keras

from pyramid.errors import WorkspaceError
from pyramid.submodels.files import check_belonging
from pyramid.train.image_start import Start
from pyramid.workspace import Submodel, read_json
from sensenet.document.model import dump_model, parse_model
from sensenet.errors import ModelFormatError, WeightsError
from sensenet.layers import dump_layers, without_dropout
from sensenet.models.keras_model import build_detector, build_model, with_weights
from sensenet.models.predict.tables import initialize_model

NETWORK_KEYS = ("preprocess", "output_exposition", "layers", "image_network")
SHOWN_KEYS = (
    "class_index",
    "weight_index",
    "optypes",
    "training_options",
    "iterations",
    "elapsed_time",
    "validation_metrics",
    "evaluation_metrics",
    "importances",
)


def network_info(start: Start) -> dict[str, Any]:
    """The layers of a job's networks without their weights, and the metadata: what fit info says of them."""
    return {
        "layers": dump_layers(without_dropout(start.readout.layers), short=True),
        "image_network": replace(start.spec, layers=without_dropout(start.spec.layers)).dump(short=True),
    }


def trained_keras_model(start: Start, info: Mapping[str, Any]) -> keras.Model:
    """The trained networks of a job as one flat Keras model, which weight files are written from.

    Args:
        info: fit info with `NETWORK_KEYS`.
    """
    image = replace(start.spec, layers=start.image.trained_layers())
    if image.branches is not None:
        return build_detector(image).model
    spec = parse_model(_networks(info))
    (readout,) = spec.networks
    trained = replace(
        spec,
        networks=(replace(readout, layers=start.readout.trained_layers()),),
        image_network=image,
    )
    return build_model(initialize_model(trained)).model


def image_document(submodel: Submodel) -> dict[str, Any]:
    """The model of an image job as a document: one image in, the objective out.

    Returns:
        A model document whose layers' arrays are NumPy float32.

    Raises:
        WorkspaceError: fit info or weights that are missing, unreadable or do not belong together; names the file.
    """
    info = read_json(submodel.fit_info, "image_training")
    missing = [key for key in (*NETWORK_KEYS, *SHOWN_KEYS) if key not in info]
    if missing:
        raise WorkspaceError(
            f"{submodel.fit_info}, which an image_training job writes, cannot be used: the keys "
            f"{', '.join(missing)} are missing"
        )
    check_belonging(submodel, info)
    try:
        spec = with_weights(parse_model(_networks(info)), submodel.weights)
    except (ModelFormatError, WeightsError) as error:
        raise WorkspaceError(
            f"{submodel.root}, which an image_training job writes, cannot be used: {error}"
        ) from error
    return {**{key: info[key] for key in SHOWN_KEYS}, **dump_model(spec)}


def _networks(info: Mapping[str, Any]) -> dict[str, Any]:
    return {key: info[key] for key in NETWORK_KEYS} | {"trees": None}
