"""The final model of a search by greedy selection (docs/training.md, "Greedy selection")."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np

from pyramid.fields import Objective
from pyramid.finalize.candidates import Candidates, read_candidates
from pyramid.finalize.readout import (
    CANDIDATE_KEYS,
    held_out_predictions,
    named_networks,
    read_image_network,
    read_networks,
    read_trees,
)
from pyramid.finalize.search import SHARED_KEYS, read_scores, repeated_networks
from pyramid.storage.files import dumps
from pyramid.submodels.greedy import mean_losses, repeats
from pyramid.workspace import Workspace

MAX_DOCUMENT_BYTES = 30_000_000

Networks = list[dict[str, Any]]


def greedy_document(
    workspace: Workspace,
    objective: Objective,
    max_networks: int,
    deepnet_version: str | None,
    warn: Callable[[str], None],
    wanted: bool | None = None,
) -> tuple[dict[str, Any], np.ndarray]:
    """The model of the submodels whose mean has the lowest out-of-fold loss; iterations and time are those of all.

    Args:
        max_networks: how many networks it may have.
        deepnet_version: as for `plain_document`.
        warn: told of each submodel that is left out, and of networks that have no room in the document.
        wanted: as for `search_document`.

    Returns:
        As `plain_document`, with `selection` and `importances_spread`; and the honest prediction of each row of the
        full matrix, (rows, outputs) float32: that of what is selected without the rows of its fold.

    Raises:
        WorkspaceError, SettingsError: as `plain_document`.
    """
    candidates = read_candidates(workspace, objective, max_networks, warn)
    attempts = candidates.attempts

    @cache
    def networks(position: int) -> Networks:
        return named_networks(attempts[position], read_networks(attempts[position], deepnet_version))

    trees = read_trees(workspace, attempts)
    image_network = read_image_network(workspace, attempts[0])
    room_bytes = MAX_DOCUMENT_BYTES - len(dumps([trees, image_network]))
    counts, most = _select(candidates, max_networks, networks, room_bytes, warn)
    honest = candidates.honest_outputs(most)
    taken = _most_taken_first(counts)
    kept = [attempts[position] for position in taken]
    selection = _selection(candidates, counts, honest)
    importances = np.array([attempt.info["importances"] for attempt in kept])
    mean = np.average(importances, axis=0, weights=counts[taken])
    variance = np.average(np.square(importances - mean), axis=0, weights=counts[taken])
    document = {
        **{key: kept[0].info[key] for key in (*SHARED_KEYS, "training_options")},
        "iterations": sum(attempt.info["iterations"] for attempt in attempts),
        "elapsed_time": sum(attempt.info["elapsed_time"] for attempt in attempts),
        "validation_metrics": selection["metrics"],
        "evaluation_metrics": selection["metrics"],
        "importances": mean.tolist(),
        "importances_spread": np.sqrt(variance).tolist(),
        "networks": repeated_networks([networks(position) for position in taken], counts[taken]),
        "trees": trees if any(attempt.info["uses_trees"] for attempt in kept) else None,
        "image_network": image_network,
        **held_out_predictions(kept[0], wanted),
        "candidates": _told(workspace, candidates, selection),
        "selection": selection,
    }
    return document, honest


def _select(
    candidates: Candidates,
    max_networks: int,
    networks: Callable[[int], Networks],
    room_bytes: int,
    warn: Callable[[str], None],
) -> tuple[np.ndarray, int]:
    """How often each candidate is taken, and of how many networks at most: as many as there is room for."""
    sizes = candidates.sizes

    @cache
    def n_bytes(position: int) -> int:
        return len(dumps(networks(position)))

    for most in range(max_networks, max(sizes) - 1, -1):
        counts = candidates.select(most)
        times = repeats(counts, sizes)
        if sum(n_bytes(position) * times[position] for position in _most_taken_first(counts)) <= room_bytes:
            break
    if most < max_networks:
        warn(
            f"warning: at most {most} of the {max_networks} networks that max_networks allows are selected: the "
            f"document of more would be larger than {MAX_DOCUMENT_BYTES // 1_000_000} MB"
        )
    return counts, most


def _most_taken_first(counts: np.ndarray) -> list[int]:
    return [int(position) for position in np.argsort(-counts, kind="stable") if counts[position]]


def _selection(candidates: Candidates, counts: np.ndarray, honest: np.ndarray) -> dict[str, Any]:
    """What `selection.json` says (docs/formats.md, "What a greedy selection leaves")."""
    rows, sizes = candidates.rows, candidates.sizes
    job_ids = [attempt.submodel.job_id for attempt in candidates.attempts]
    taken, times = _most_taken_first(counts), repeats(counts, sizes)
    entries = {job_ids[position]: sizes[position] * times[position] for position in taken}
    return {
        "loss": rows.loss_name,
        "rows": len(rows.judged),
        "folds": len(np.unique(rows.folds)),
        "best_single": float(candidates.losses.min()),
        "selected": candidates.loss_of_mean(counts),
        "honest": float(mean_losses(rows.answers(honest)[None], rows.losses)[0]),
        "metrics": rows.objective.evaluate(rows.truth, honest),
        "weights": {job_ids[position]: float(counts[position] / counts.sum()) for position in taken},
        "entries": entries,
        "order": [job_id for job_id, often in entries.items() for _ in range(often)],
        "candidates": [
            {
                "job_id": job_ids[position],
                "loss": float(candidates.losses[position]),
                "metrics": candidates.attempts[position].info["evaluation_metrics"],
                "networks": sizes[position],
            }
            for position in np.argsort(candidates.losses, kind="stable")
        ],
    }


def _told(workspace: Workspace, candidates: Candidates, selection: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The document's `candidates`, those of the lowest loss first."""
    attempts = {attempt.submodel.job_id: attempt for attempt in candidates.attempts}
    scores = read_scores(workspace, attempts)
    return [
        {
            "job_id": job_id,
            "relative_value": scores[job_id],
            "loss": one["loss"],
            "weight": selection["weights"].get(job_id, 0.0),
            **{key: attempts[job_id].info[key] for key in CANDIDATE_KEYS},
        }
        for one in selection["candidates"]
        for job_id in [one["job_id"]]
    ]
