"""Image jobs in a real worker: an image network, its features beside a number, a readout, one model document."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from image_jobs import dense, image_job, write_digits
from worker_client import Worker

import sensenet
from pyramid.tables.ser import write_ser

N_IMAGES = 80
IMAGE = {"index": 0, "type": "image"}
NUMBER = {"index": 1, "type": "numeric", "mean": 0.0, "stdev": 1.0}
CLASS = {"index": 2, "type": "categorical", "values": ["small", "large"]}


@pytest.fixture(scope="module")
def worker(tmp_path_factory) -> Iterator[Worker]:
    """A worker to which no published weights are available."""
    empty = tmp_path_factory.mktemp("empty")
    environment = {"BIGML_SENSENET_CACHE_PATH": str(empty), "BIGML_SENSENET_WEIGHTS_URL": empty.as_uri()}
    with Worker(idle_seconds=300, environment=environment) as worker:
        yield worker


@pytest.fixture
def job(tmp_path: Path) -> dict[str, Any]:
    return image_job(tmp_path, write_digits(tmp_path, N_IMAGES), max_iterations=20, job_id="digits")


def rows_of(job: dict[str, Any]) -> list[list[Any]]:
    """Image, number, and whether the digit plus the number is large."""
    numbers = np.random.default_rng(0).normal(size=N_IMAGES).tolist()
    return [
        [row["file"], number, int(row["label"] + number > 4.5)]
        for row, number in zip(job["image_training_data"], numbers, strict=True)
    ]


@pytest.mark.slow
def test_image_training_caching_readout_and_finalizing_follow_each_other(worker, job, tmp_path):
    trained = worker.run(job)
    assert trained["job_id"] == "simple_randomly_initialize"
    assert trained["iterations"] == 20
    rows, info_list = rows_of(job), [IMAGE, NUMBER, CLASS]
    write_ser(tmp_path / "rows.ser", rows, info_list)
    shared = job | {"info_list": info_list, "job_id": "readout", "layers": [dense(2, "softmax")]}
    caching = {"cache_file": str(tmp_path / "rows.ser"), "cache_rows": N_IMAGES, "max_data_size": 10**9}
    trees = {"tree_embedding": True, "is_search": False, "parallelism": 1}
    cached = worker.run(shared | caching | trees | {"job_type": "dataset_caching"})
    assert cached["tree_inputs"] > 0, cached
    matrix = {"cache_file": cached["datasets"][0], "tree_inputs": cached["tree_inputs"]}
    assert "error" not in worker.run(shared | trees | matrix | {"job_type": "standard_training"})
    assert "error" not in worker.run(shared | trees | {"job_type": "finalize_output"})
    model = sensenet.create_model(str(Path(job["output_directory"]) / "final_model.json"))
    points = [[str(tmp_path / name), number] for name, number, _ in rows]
    assert (model(points).argmax(axis=1) == [label for *_, label in rows]).mean() > 0.7


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_training_data": []}, "an empty list"),
        ({"image_training_data": [{"file": "0.png", "label": "eleven"}]}, 'label.*found "eleven"'),
        ({"image_training_data": [{"file": f"no{i}.png", "label": 0} for i in range(30)]}, "and 10 more"),
        ({"base_image_network": "resnet19"}, "resnet19.*resnet18"),
        ({"base_image_network": "resnet18", "image_training_type": "fine_tune"}, "resnet18_weights"),
        ({"image_augmentations": ["spin"]}, "spin.*rotation"),
        ({"augmentation_ranges": {"blur": 7}}, "blur"),
    ],
)
def test_what_cannot_be_trained_is_one_error_line_before_any_training(worker, job, changes, message):
    result = worker.run(job | changes)
    assert re.search(message, result["error_message"], re.DOTALL), result
    assert not list(Path(job["output_directory"]).glob("submodel_*"))
