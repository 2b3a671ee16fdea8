"""What a training job tells of its network: the fields around it, its untrained layers, its configuration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pyramid.fields import Fields
from pyramid.settings.options import DocumentOptions

CONFIGURATION_KEYS = (
    "activation_function",
    "balance_objective",
    "batch_size",
    "descent_algorithm",
    "dropout_rate",
    "label_smoothing_factor",
    "loss_function",
    "largest_layer_size",
    "learn_residuals",
    "learning_rate",
    "learning_rate_schedule",
    "mixup_alpha",
    "number_of_layers",
    "seed",
    "topology",
    "tree_embedding",
    "weight_decay",
)


def configuration(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that a search reports of a submodel, of all by their keys."""
    return {key: settings.get(key) for key in CONFIGURATION_KEYS}


def fit_info(
    fields: Fields,
    options: DocumentOptions,
    uses_trees: bool,
    input_size: int,
    importances: Sequence[float],
) -> dict[str, Any]:
    """What finalizing needs to know of a network beside its weights and the job's result.

    See docs/formats.md, "What a training leaves".

    Args:
        uses_trees: whether the network looks at tree features.
        input_size: columns that the network takes, tree features included.
        importances: one share per input field.
    """
    return {
        "class_index": fields.objective.index,
        "weight_index": None if fields.weight is None else fields.weight.index,
        "optypes": fields.optypes(),
        "preprocess": [field.dump() for field in fields.inputs],
        "output_exposition": fields.objective.dump_output(),
        "training_options": options.training_options,
        "importances": list(importances),
        "holdout_images": None,
        "layers": options.layers,
        "input_size": input_size,
        "uses_trees": uses_trees,
        "deepnet_version": options.deepnet_version,
    }
