"""Box jobs in a real worker: a detector is trained, finalized, and finds boxes; what cannot be is one line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from box_jobs import CLASSES, bounding_box, box_job, write_rectangles
from image_jobs import dense
from worker_client import Worker

import sensenet
from pyramid.workspace import read_json
from sensenet.errors import ModelFormatError

SIDE, N_IMAGES = 32, 48
RED = [0, 0, 9, 9, "red"]


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    with Worker(idle_seconds=300) as worker:
        yield worker


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> tuple[Path, list[dict[str, Any]]]:
    directory = tmp_path_factory.mktemp("pictures")
    return directory, write_rectangles(directory, N_IMAGES)


@pytest.fixture
def job(pictures, tmp_path) -> dict[str, Any]:
    directory, rows = pictures
    return box_job(directory, rows, output_directory=str(tmp_path / "out"), max_iterations=3, job_id="boxes")


@pytest.mark.slow
@pytest.mark.parametrize(("source", "version"), [("inline", None), ("json", "alpha")])
def test_a_detector_is_trained_finalized_and_loaded_in_every_form(worker, job, tmp_path, source, version):
    root, rows = Path(job["image_root"]), job["image_training_data"]
    if source == "json":
        path = tmp_path / "rows.json"
        path.write_text(json.dumps(job.pop("image_training_data")))
        job["cache_file"] = str(path)
    trained = worker.run(job | {"return_holdout_images": True, "logging_level": 2})
    assert (trained["job_id"], trained["iterations"]) == ("tinyyolov4_randomly_initialize", 3)
    assert {"mAP_50", "total_loss"} <= trained["validation_metrics"].keys()
    assert any({"mAP_50", "total_loss"} <= answer.data.keys() for answer in worker.progress)
    finalizing = {"job_type": "finalize_output", "job_id": trained["job_id"], "is_search": False}
    finalizing |= {"deepnet_version": version, "return_holdout_images": True}
    finished = worker.run(job | finalizing)
    document = read_json(Path(finished["final_model_path"]), "")
    assert document["output_exposition"] == {"type": "bounding_box", "values": list(CLASSES)}
    assert document["layers"] == []
    truth = {row["file"]: row["boxes"] for row in rows}
    files = [str(root / file) for file, _, _ in document["holdout_image_predictions"]]
    assert 5 <= len(files) <= 15
    assert all(truth[file] == boxes for file, boxes, _ in document["holdout_image_predictions"])
    everything = {"bounding_box_threshold": 0.0}
    model = sensenet.create_model(finished["final_model_path"])
    assert model(files) == [boxes for *_, boxes in document["holdout_image_predictions"]]
    model = sensenet.create_model(finished["final_model_path"], everything)
    expected = model.arrays(files[0])
    assert len(expected.scores) > 0
    bundle = sensenet.create_model(finished["bundle_path"], everything)
    short = sensenet.create_model(finished["short_model_path"], everything)
    with pytest.raises(ModelFormatError):
        short.load_weights(finished["final_model_path"])
    short.load_weights(finished["weight_path"])
    for other in (bundle.arrays(files[0]), short.arrays(files[0])):
        for mine, theirs in zip(expected, other, strict=True):
            np.testing.assert_allclose(mine, theirs, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_training_data": None, "cache_file": "rows.ser", "cache_rows": 3}, r"rows\.ser"),
        (
            {"job_type": "dataset_caching"},
            "/objective_type.*rows of a dataset_caching job have one value each",
        ),
        ({"job_type": "standard_training"}, "/objective_type.*only image_training and finalize_output"),
        ({"layers": [dense(2, "softmax")]}, "/layers: found 1 layers, but a detector has no readout"),
        ({"base_image_network": "resnet18"}, "/base_image_network.*finds no boxes.*tinyyolov4, yolov4"),
        ({"bounding_box_anchors": [[3, 3]]}, "/bounding_box_anchors: found 1 anchors, but tinyyolov4 has 6"),
        ({"image_training_data": [{"file": "0.png", "boxes": [RED] * 129}]}, "found 129 boxes.*at most 128"),
        ({"image_training_data": [{"file": "0.png", "boxes": [[9, 0, 0, 9, "red"]]}]}, "box 0.*no area"),
        ({"image_training_data": [{"file": "0.png", "boxes": [RED]}]}, "no box is of blue"),
        ({"info_list": bounding_box()}, "/info_list/1/values: found an empty list"),
    ],
)
def test_what_cannot_be_trained_is_one_error_line_before_any_training(worker, job, changes, message):
    given = {key: value for key, value in (job | changes).items() if value is not None}
    result = worker.run(given)
    assert re.search(message, result["error_message"]), result
    assert not list(Path(job["output_directory"]).glob("submodel_*"))
