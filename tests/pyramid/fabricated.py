"""Submodels that no training job has trained, and the job that finalizes them."""

from __future__ import annotations

import numpy as np

from pyramid.jobs.finalizing import run
from pyramid.progress import Report, ignore
from pyramid.settings.base_settings import BaseSettings
from pyramid.workspace import Workspace, write_json
from sensenet.formats.h5 import write_weights
from sensenet.layers import parse_layers
from sensenet.network import build_network

INPUTS = [
    {"index": 2, "type": "numeric", "mean": 5.0, "stdev": 2.0},
    {"index": 0, "type": "categorical", "values": ["a", "b"]},
    {"index": 3, "type": "numeric", "mean": 0.0, "stdev": 1.0},
]
OBJECTIVES = {
    "categorical": {"index": 4, "type": "categorical", "values": ["x", "y", "z"]},
    "numeric": {"index": 4, "type": "numeric", "mean": 100.0, "stdev": 10.0},
}
COLUMNS = 4
LEAF = [[0.2, 0.3, 0.5], None]
FOREST = [[0, 4], [[0, 0.25, LEAF, [2, 0.5, LEAF, [[0.1, 0.9, 0.0], None]]], [3, -0.5, LEAF, LEAF]]]
TREE_FEATURES = 3
FILES = {
    *("final_model.json", "short_model.json", "final_model_weights.h5", "final_model_bundle.smbundle"),
    "final_model_js_export",
}


def readout(objective_type: str, nodes: int) -> list[dict]:
    """Dense, normalised, with dropout and a residual block: untrained."""
    last = {"categorical": (3, "softmax"), "numeric": (1, None)}[objective_type]
    dense = {"type": "dense", "weights": "glorot_uniform", "offset": "zeros"}
    normalization = {"type": "batch_normalization", "gamma": "ones", "beta": "zeros", "mean": "zeros"}
    normalization["variance"] = "ones"
    return [
        {**dense, "number_of_nodes": nodes},
        normalization,
        {"type": "activation", "activation_function": "relu"},
        {"type": "dropout", "dropout_type": "zero", "rate": 0.3},
        {
            "type": "dense_residual_block",
            "dense_path": [
                {**dense, "number_of_nodes": nodes, "activation_function": "tanh"},
                {**dense, "number_of_nodes": nodes},
            ],
            "identity_path": [],
            "activation_function": "relu",
        },
        {**dense, "number_of_nodes": last[0], "activation_function": last[1]},
    ]


def fabricate_submodel(
    workspace: Workspace,
    job_id: str = "m1",
    objective_type: str = "categorical",
    uses_trees: bool = False,
    accuracy: float | None = None,
    nodes: int = 5,
    weight: float = 1.0,
    **changes,
):
    """Leave what a training job leaves, with random weights; an `accuracy` makes it a search submodel.

    Gives the Keras model that the weights are from.
    """
    submodel = workspace.submodel(job_id)
    input_size = COLUMNS + TREE_FEATURES * uses_trees
    layers = readout(objective_type, nodes)
    model = build_network(parse_layers(layers), input_size).model
    rng = np.random.default_rng(nodes)
    model.set_weights([weight * rng.uniform(0.1, 1.0, array.shape) for array in model.get_weights()])
    is_search = accuracy is not None
    info = {
        "job_id": job_id,
        "preprocess": INPUTS,
        "output_exposition": OBJECTIVES[objective_type],
        "class_index": 4,
        "weight_index": None,
        "optypes": ["categorical", None, "numeric", "numeric", objective_type],
        "training_options": {"seed": nodes},
        "importances": [0.5, nodes / 100, 0.5 - nodes / 100],
        "holdout_images": None,
        "validation_metrics": {"accuracy": 0.5},
        "evaluation_metrics": {"accuracy": accuracy} if is_search else None,
        "iterations": nodes,
        "elapsed_time": 0.25 * nodes,
        "configuration_parameters": {"number_of_layers": nodes} if is_search else None,
        "base_image_network": None,
        "image_training_type": None,
        "layers": layers,
        "input_size": input_size,
        "uses_trees": uses_trees,
        "deepnet_version": None,
    }
    submodel.root.mkdir(parents=True)
    write_json(submodel.fit_info, info | changes)
    write_weights(model, submodel.weights)
    if is_search:
        write_json(submodel.evaluations, [{"accuracy": accuracy}, {"accuracy": accuracy + 0.01}])
    if uses_trees:
        write_json(workspace.trees, [FOREST])
    return model


def finalize(
    workspace: Workspace, objective_type: str = "categorical", report: Report = ignore, **changes
) -> dict:
    settings = {
        "job_type": "finalize_output",
        "job_id": "m1",
        "is_search": False,
        "objective_type": objective_type,
        "output_directory": str(workspace.root),
        "info_list": [*INPUTS, OBJECTIVES[objective_type]],
    }
    return run(BaseSettings(settings | changes), workspace, report)
