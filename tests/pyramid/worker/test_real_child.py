from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from worker_client import Worker


@pytest.fixture(scope="module")
def real() -> Iterator[Worker]:
    with Worker() as worker:
        yield worker


def test_an_image_job_without_images_is_refused_in_one_line(real: Worker, make_job: Any) -> None:
    job = {
        **make_job(),
        "job_type": "image_training",
        "seed": 1,
        "layers": [],
        "base_image_network": "simple",
        "image_training_type": "randomly_initialize",
        "image_training_data": [],
        "batch_size": 8,
        "descent_algorithm": "adam",
        "learning_rate": 0.01,
        "loss_function": "mean_squared_error"
        if make_job()["objective_type"] == "numeric"
        else "crossentropy",
    }
    closing = real.run(job, 60)
    assert (closing["job_id"], closing["error_type"]) == ("simple_randomly_initialize", "DataError")
    assert "at least one image is needed" in closing["error_message"]


def test_a_job_that_finds_no_data_names_the_file(real: Worker, make_job: Any, tmp_path: Path) -> None:
    caching = {
        "job_type": "dataset_caching",
        "seed": 1,
        "cache_file": str(tmp_path / "missing.ser"),
        "cache_rows": 10,
        "max_data_size": 1_000_000,
        "parallelism": 1,
        "tree_embedding": False,
    }
    closing = real.run({**make_job(job_id="nothing"), **caching}, 60)
    assert (closing["job_id"], closing["error_type"]) == ("nothing", "DataError")
    assert "missing.ser" in closing["error_message"]
