"""One seed, one model: the whole pipeline twice, in two worker processes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from worker_client import Worker

from pyramid.tables.recipe import categorical_field, numeric_field, readout_layers, tabular_jobs

# what a run measures of itself, and where it was
CLOCKS = ("elapsed_time",)


def make_model(directory: Path, seed: int, search: bool) -> Path:
    """Cache, train and finalize in a worker of its own; gives the output directory."""
    rng = np.random.default_rng(3)
    x, color = rng.normal(size=(400, 3)), rng.integers(0, 3, 400)
    y = (x[:, 0] + (color == 1) + 0.3 * rng.normal(size=400) > 0.5).astype(float)
    info_list = [numeric_field(i, column) for i, column in enumerate(x.T)]
    info_list += [categorical_field(3, ["r", "g", "b"]), categorical_field(4, ["no", "yes"])]
    layers = readout_layers([16], info_list[-1], dropout_rate=0.2)
    options: dict[str, Any] = {"layers": layers, "mixup_alpha": 0.2, "balance_objective": True}
    rows = np.column_stack([x, color, y])
    caching, training, finalizing = tabular_jobs(
        directory, rows, info_list, seed, is_search=search, **options
    )
    with Worker() as worker:
        cached = worker.run(caching)
        training["tree_inputs"] = cached["tree_inputs"]
        attempts = [training]
        if search:
            attempts = [
                training | {"job_type": "search_submodel", "job_id": f"attempt-{i}", "seed": seed + i}
                for i in range(3)
            ]
        for attempt in attempts:
            assert "error" not in worker.run(attempt)
        final = worker.run(finalizing | {"model_fraction": 0.7})
        assert "error" not in final, final
    return directory


def without_clocks(value: Any) -> Any:
    """A document without times."""
    if isinstance(value, dict):
        return {key: without_clocks(item) for key, item in value.items() if key not in CLOCKS}
    return [without_clocks(item) for item in value] if isinstance(value, list) else value


@pytest.mark.slow
@pytest.mark.parametrize("search", [False, True])
def test_two_runs_with_one_seed_write_the_same_bytes_and_another_seed_others(tmp_path, search):
    seeds = {"one": 5, "two": 5} | ({} if search else {"other": 6})
    one, two, *others = (make_model(tmp_path / name, seed, search) for name, seed in seeds.items())
    documents = [without_clocks(json.loads((run / "final_model.json").read_bytes())) for run in (one, two)]
    assert json.dumps(documents[0]) == json.dumps(documents[1])
    for name in ("full_dataset.npy", "trees.json", "tree_importances.json", "final_model_weights.h5"):
        assert (one / name).read_bytes() == (two / name).read_bytes(), name
    for other in others:
        weights = "final_model_weights.h5"
        assert (one / weights).read_bytes() != (other / weights).read_bytes()
