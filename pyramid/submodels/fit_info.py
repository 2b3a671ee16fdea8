"""What a training job tells of its network: the fields around it, its untrained layers, its configuration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pyramid.settings.base_settings import BaseSettings

CONFIGURATION_KEYS = (
    "activation_function",
    "balance_objective",
    "batch_size",
    "descent_algorithm",
    "dropout_rate",
    "loss_function",
    "largest_layer_size",
    "learn_residuals",
    "learning_rate",
    "mixup_alpha",
    "number_of_layers",
    "seed",
    "topology",
    "tree_embedding",
)


def configuration(settings: BaseSettings) -> dict[str, Any] | None:
    """The settings that a search reports of a submodel; None for other jobs."""
    if settings.job_type != "search_submodel":
        return None
    return {key: getattr(settings, key) for key in CONFIGURATION_KEYS}


def fit_info(settings: BaseSettings, input_size: int, importances: Sequence[float]) -> dict[str, Any]:
    """What finalizing needs to know of a network beside its weights and the job's result.

    See docs/formats.md, "What a training leaves".

    Args:
        input_size: columns that the network takes, tree features included.
        importances: one share per input field.
    """
    inputs = settings.info_list[: -2 if settings.instance_weights else -1]
    objective = settings.info_list[-1]
    return {
        "class_index": objective.get("index"),
        "weight_index": settings.info_list[-2].get("index") if settings.instance_weights else None,
        "optypes": _optypes(settings.info_list),
        "preprocess": [_described(field, ("type", "index", "mean", "stdev", "values")) for field in inputs],
        "output_exposition": _described(objective, ("type", "mean", "stdev", "values")),
        "training_options": settings.training_options or {},
        "importances": list(importances),
        "holdout_images": None,
        "layers": settings.layers,
        "input_size": input_size,
        "uses_trees": uses_trees(settings),
        "deepnet_version": settings.deepnet_version,
    }


def uses_trees(settings: BaseSettings) -> bool:
    """Whether the job's network looks at tree features."""
    return bool(settings.tree_embedding and settings.tree_inputs)


def _described(field: Mapping[str, Any], keys: Sequence[str]) -> dict[str, Any]:
    return {key: field[key] for key in keys if key in field}


def _optypes(info_list: Sequence[Mapping[str, Any]]) -> list[str | None]:
    """The type of each column of the rows that the model predicts; None for columns it does not know."""
    types = {field["index"]: field["type"] for field in info_list if "index" in field}
    return [types.get(column) for column in range(max(types, default=-1) + 1)]
