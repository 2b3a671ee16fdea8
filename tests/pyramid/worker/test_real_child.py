from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from image_jobs import image_job, write_digits
from worker_client import WORKER, Worker

from pyramid.tables.recipe import categorical_field, numeric_field, tabular_jobs


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
        "input_image_shape": [8, 8, 3],
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


NOTICES = ("oneDNN", "cudart_stub", "absl::InitializeLog", "cpu_feature_guard", "cuInit")


@pytest.mark.parametrize(
    ("options", "environment", "shown"),
    [
        ([], {}, False),
        ([], {"TF_CPP_MIN_LOG_LEVEL": "0"}, True),
        (["--debug"], {}, True),
        (["--debug"], {"TF_CPP_MIN_LOG_LEVEL": "3"}, True),
    ],
)
@pytest.mark.slow
def test_the_notices_of_tensorflow_are_for_those_who_ask(
    make_job: Any, tmp_path: Path, monkeypatch: Any, options: list[str], environment: Any, shown: bool
) -> None:
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)
    job = {**make_job(job_id="nothing"), "job_type": "finalize_output"}
    with Worker(command=[*WORKER, *options], environment=environment) as worker:
        assert worker.run(job, 60)["error_type"] == "WorkspaceError"
        assert [notice for notice in NOTICES if notice in worker.stderr] == [] or shown
        assert shown == ("oneDNN" in worker.stderr)
        assert ("DEBUG:" in worker.stderr) == ("--debug" in options)


@pytest.mark.slow
def test_jobs_of_many_shapes_retrace_nothing(real: Worker, tmp_path: Path) -> None:
    """What each job compiles for itself is no function that TensorFlow sees traced again and again."""
    rng = np.random.default_rng(0)
    for n_fields in range(2, 8):
        rows = np.column_stack([rng.normal(size=(60, n_fields)), rng.integers(0, 2, 60)])
        fields = [numeric_field(index, rows[:, index]) for index in range(n_fields)]
        jobs = tabular_jobs(
            tmp_path / f"table {n_fields}",
            rows,
            [*fields, categorical_field(n_fields, "ab")],
            max_iterations=8,
        )
        caching, training, _ = (job | {"is_search": True, "logging_level": None} for job in jobs)
        trees = real.run(caching, 100)["tree_inputs"]
        closing = real.run(training | {"job_type": "search_submodel", "tree_inputs": trees}, 100)
        assert closing["iterations"] == 8, closing
    labels = write_digits(tmp_path, 64)
    for side in range(8, 14):
        job = image_job(
            tmp_path,
            labels,
            input_image_shape=[side, side, 3],
            image_augmentations=["brightness"],
            max_iterations=4,
        )
        closing = real.run(job, 100)
        assert closing["iterations"] == 4, closing
    assert "retracing" not in real.stderr
