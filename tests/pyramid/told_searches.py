"""Output directories of searches over tables that never were."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from pyramid.fields import parse_objective
from pyramid.tables.ser import write_ser
from pyramid.workspace import Workspace

SHARES = {"network_1": 0.5, "network_2": 0.3, "tree_0": 0.2}


def fabricate_fit(
    directory: Path,
    raw_objective: dict[str, Any],
    truth: np.ndarray,
    outputs: np.ndarray,
    n_fields: int = 4,
    seed: int = 0,
    **changes: Any,
) -> Workspace:
    """All that a report is made of.

    Args:
        truth: (rows,) labels.
        outputs: (rows, outputs) out of fold.
        changes: other values of keys in `fit_report.json`, in `table` too.
    """
    workspace, rng = Workspace.create(directory), np.random.default_rng(seed)
    objective = parse_objective(raw_objective)
    names = raw_objective.get("name", "objective")
    fields = [made_field(place) for place in range(n_fields)]
    encoded = rng.normal(size=(len(truth), 3)).astype(np.float32)
    np.save(workspace.full_dataset, np.concatenate([encoded, objective.targets(truth)], axis=1))
    np.save(workspace.final_out_of_fold, outputs.astype(np.float32))
    rows = rng.normal(10, 3, (len(truth), n_fields + 1))
    rows[:, 1::2] = rng.integers(0, 3, rows[:, 1::2].shape)
    rows[:, -1] = objective.in_units(truth) if raw_objective["type"] == "numeric" else truth
    write_ser(workspace.table_rows, rows, [*fields, raw_objective])
    shares = {job_id: rng.dirichlet(np.ones(n_fields) / 2) for job_id in SHARES}
    for job_id, importances in shares.items():
        submodel = workspace.submodel(job_id)
        submodel.root.mkdir(exist_ok=True)
        submodel.fit_info.write_text(json.dumps({"importances": importances.tolist()}))
    metrics = objective.evaluate(truth, outputs) if outputs.size < 5_000_000 else {"accuracy": 0.5}
    write_json(
        workspace.short_model,
        {
            "preprocess": fields,
            "output_exposition": objective.dump_output(),
            "importances": np.mean(list(shares.values()), axis=0).tolist(),
            "validation_metrics": metrics,
            "networks": [{}, {}, {}],
            "weight_index": None,
        },
    )
    write_json(
        workspace.selection,
        {
            "loss": "log_loss" if objective.has_classes else "squared_error",
            "best_single": 0.31,
            "selected": 0.27,
        }
        | {"honest": 0.28, "metrics": metrics, "weights": SHARES, "order": list(SHARES), "candidates": []},
    )
    report = fit_report(rows, fields, names, raw_objective, metrics)
    table = {key: changes.pop(key) for key in list(changes) if key in report["table"]}
    write_json(workspace.fit_report, report | {"table": report["table"] | table} | changes)
    return workspace


def made_field(place: int) -> dict[str, Any]:
    """Numbers and categories in turns."""
    if place % 2:
        return {
            "index": place,
            "name": f"colour {place}",
            "type": "categorical",
            "values": ["red", "green", "blue"],
        }
    return {"index": place, "name": f"size {place}", "type": "numeric", "mean": 10.0, "stdev": 3.0}


def fit_report(
    rows: np.ndarray, fields: list[dict], name: str, objective: dict[str, Any], metrics: dict[str, float]
) -> dict[str, Any]:
    """The content of `fit_report.json`."""
    columns = [summary(field, rows[:, place]) for place, field in enumerate(fields)]
    columns.append(summary(objective | {"name": name}, rows[:, -1], "objective"))
    settings = {
        "what": "small",
        "layers": [64, 64],
        "activation": "relu",
        "batch_normalization": True,
        "dropout_rate": 0.25,
    }
    candidates = [
        candidate(0, "tree", {"ensemble": "extra_trees"}, metrics, 0.35),
        *(
            candidate(n, "network", settings | {"learning_rate": 0.001 * n}, metrics, 0.4 - 0.02 * n)
            for n in range(1, 6)
        ),
        candidate(6, "network", settings, {}, None, "failed", "WorkerDied: the process died"),
    ]
    return {
        "table": {
            "rows": len(rows),
            "rows_without_objective": 3,
            "columns": columns,
            "left_out": {"id": "all values differ", "note": "free text"},
            "warnings": ["the class z has a single row"],
        },
        "candidates": candidates,
        "history": [[1.5, 0.35, 1], [4.0, 0.33, 3], [11.0, 0.31, 5]],
        "options": {"seed": 7, "time": 60.0, "ignore": ["id"], "quick": False, "test": None},
        "test_metrics": None,
        "seconds": 14.25,
    }


def candidate(number, kind, settings, metrics, loss, status="done", reason=None) -> dict[str, Any]:
    """An entry of `candidates`."""
    told = {"job_id": f"{kind}_{number}", "number": number, "kind": kind, "settings": settings}
    return told | {
        "metrics": metrics,
        "loss": loss,
        "iterations": 100,
        "seconds": 2.5,
        "status": status,
        "reason": reason,
    }


def summary(field: dict[str, Any], column: np.ndarray, role: str = "input") -> dict[str, Any]:
    """An entry of `table.columns`."""
    told = {
        "name": field["name"],
        "kind": field["type"],
        "role": role,
        "missing": 2,
        "distinct": len(np.unique(column)),
    }
    if field["type"] == "numeric":
        counts, edges = np.histogram(column, 24)
        return told | {"top": [], "edges": edges.tolist(), "counts": counts.tolist()}
    counts = np.bincount(column.astype(int), minlength=len(field["values"]))
    order = np.argsort(-counts)[:10]
    return told | {
        "top": [[field["values"][one], int(counts[one])] for one in order],
        "edges": None,
        "counts": None,
    }


def write_json(path: Path, value: Any) -> None:
    """As plain JSON."""
    path.write_text(json.dumps(value))


def guesses(truth: np.ndarray, n_classes: int, strength: float, seed: int = 0) -> np.ndarray:
    """(rows, classes) float32 probabilities that lean to the truth."""
    logits = np.random.default_rng(seed).normal(size=(len(truth), n_classes)).astype(np.float32)
    logits[np.arange(len(truth)), truth] += strength
    shares = np.exp(logits)
    return shares / shares.sum(axis=1, keepdims=True)
