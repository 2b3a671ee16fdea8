"""The final model of a search: its best submodels as one document (docs/training.md, "Searches")."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

from pyramid.errors import DataError, WorkspaceError
from pyramid.finalize.readout import (
    CANDIDATE_KEYS,
    Attempt,
    held_out_predictions,
    named_networks,
    read_attempt,
    read_image_network,
    read_networks,
    read_trees,
    wrong,
)
from pyramid.submodels.files import cached_digest, foreign_piece
from pyramid.submodels.greedy import repeats
from pyramid.submodels.ranking import keep_best, rank_submodels
from pyramid.workspace import Workspace, read_json

MOST_ENTRIES = 256  # networks of a document

# what the networks of one model have to agree on
SHARED_KEYS = ("preprocess", "output_exposition", "class_index", "weight_index", "optypes")


def search_document(
    workspace: Workspace,
    model_fraction: float,
    deepnet_version: str | None,
    warn: Callable[[str], None],
    wanted: bool | None = None,
) -> dict[str, Any]:
    """The model of the best search submodels; iterations and time are those of all attempts together.

    Args:
        model_fraction: the share of the submodels that is kept.
        deepnet_version: as for `plain_document`.
        warn: told of each submodel that is left out, as its files do not belong together.
        wanted: false leaves out the held-out images that the best submodel has recorded, with its own predictions.

    Returns:
        As `plain_document`; networks and candidates stand in the order of their ranks, the best first.

    Raises:
        WorkspaceError, SettingsError: as `plain_document`.
    """
    attempts = whole_attempts(workspace, warn)
    scores = read_scores(workspace, attempts)
    ranked = [attempts[job_id] for job_id in keep_best(scores, 1.0)]
    kept = ranked[: len(keep_best(scores, model_fraction))]
    check_shared(kept)
    metrics = _mean_metrics(kept)
    return {
        **{key: kept[0].info[key] for key in (*SHARED_KEYS, "training_options")},
        "iterations": sum(attempt.info["iterations"] for attempt in ranked),
        "elapsed_time": sum(attempt.info["elapsed_time"] for attempt in ranked),
        "validation_metrics": metrics,
        "evaluation_metrics": metrics,
        "importances": np.mean([attempt.info["importances"] for attempt in kept], axis=0).tolist(),
        "networks": repeated_networks(
            [named_networks(attempt, read_networks(attempt, deepnet_version)) for attempt in kept],
            np.ones(len(kept), np.int64),
        ),
        "trees": read_trees(workspace, kept),
        "image_network": read_image_network(workspace, kept[0]),
        **held_out_predictions(kept[0], wanted),
        "candidates": [
            {"relative_value": scores[attempt.submodel.job_id]}
            | {key: attempt.info[key] for key in CANDIDATE_KEYS}
            for attempt in ranked
        ],
    }


def repeated_networks(groups: Sequence[Sequence[dict[str, Any]]], counts: np.ndarray) -> list[dict[str, Any]]:
    """Networks whose plain mean is that of the groups' means, each of which counts as often as `counts` say.

    Raises:
        WorkspaceError: they would be more than `MOST_ENTRIES`.
    """
    sizes = [len(group) for group in groups]
    times = repeats(counts, sizes)
    entries = int(np.dot(sizes, times))
    if entries > MOST_ENTRIES:
        raise WorkspaceError(
            f"the kept submodels have {', '.join(map(str, sizes))} networks: that all count the same, the model would "
            f"have {entries}, of {MOST_ENTRIES} at most; keep fewer (model_fraction), select greedily, or train all "
            "with as many folds, or with refit"
        )
    return [
        network for group, often in zip(groups, times, strict=True) for network in group for _ in range(often)
    ]


def read_scores(workspace: Workspace, attempts: Mapping[str, Attempt]) -> dict[str, float]:
    """How submodels rank among each other, by job id (`pyramid.submodels.ranking.rank_submodels`).

    Raises:
        WorkspaceError: evaluations that cannot be read or ranked.
    """
    evaluations = {
        job_id: read_json(one.submodel.evaluations, "search_submodel") for job_id, one in attempts.items()
    }
    try:
        return rank_submodels(evaluations)
    except (DataError, AttributeError, TypeError) as error:
        raise WorkspaceError(f"the evaluations.json of {workspace.root} cannot be ranked: {error}") from error


def whole_attempts(workspace: Workspace, warn: Callable[[str], None]) -> dict[str, Attempt]:
    """The evaluated submodels whose files belong together, by job id.

    Args:
        warn: told of each that is left out, as its files do not.

    Raises:
        WorkspaceError: there is none.
    """
    submodels = [submodel for submodel in workspace.submodels() if submodel.evaluations.exists()]
    if not submodels:
        raise WorkspaceError(
            f"{workspace.root} has no submodel_* directory with evaluations.json, which search_submodel jobs write"
        )
    attempts, problems, digest_of = {}, [], cache(cached_digest)
    for submodel in submodels:
        attempt = read_attempt(submodel, "search_submodel")
        problem = foreign_piece(submodel, attempt.info, digest_of)
        if problem is None:
            attempts[submodel.job_id] = attempt
        else:
            problems.append(problem)
    if not attempts:
        raise WorkspaceError("no submodel of the search is whole: " + "; ".join(problems))
    for problem in problems:
        warn(f"warning: a submodel is left out: {problem}")
    return attempts


def check_shared(attempts: Sequence[Attempt]) -> None:
    """Refuse submodels that cannot be one model.

    Raises:
        WorkspaceError: they differ in fields, objective or number of importances; names one of them.
    """
    first = attempts[0]
    for other in attempts[1:]:
        for key in (*SHARED_KEYS, "importances"):
            mine, its = other.info[key], first.info[key]
            same = len(mine) == len(its) if key == "importances" else mine == its
            if not same:
                raise wrong(other.submodel, f"its {key} does not fit that of {first.submodel.fit_info}")


def _mean_metrics(attempts: Sequence[Attempt]) -> dict[str, float]:
    names = attempts[0].info["evaluation_metrics"]
    for attempt in attempts:
        metrics = attempt.info["evaluation_metrics"]
        if not isinstance(metrics, dict) or metrics.keys() != names.keys() or None in metrics.values():
            raise wrong(
                attempt.submodel, f"evaluation_metrics is {metrics}, expected a number for each metric"
            )
    return {
        name: float(np.mean([attempt.info["evaluation_metrics"][name] for attempt in attempts]))
        for name in names
    }
