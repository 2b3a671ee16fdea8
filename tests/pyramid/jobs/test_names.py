from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from image_jobs import image_job, tiny_model, write_digits

from pyramid.jobs import load_job
from pyramid.progress import ignore
from pyramid.settings.base_settings import BaseSettings
from pyramid.storage.files import dumps
from pyramid.tables.recipe import categorical_field, numeric_field, readout_layers, tabular_jobs
from pyramid.workspace import Workspace, read_json


def run(job: dict[str, Any]) -> Workspace:
    settings = BaseSettings(job)
    workspace = Workspace.create(settings.output_directory)
    load_job(settings.job_type)(settings, workspace, ignore)
    return workspace


def test_a_final_model_of_a_table_tells_the_names_that_fields_were_given(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).random((40, 3)).round()
    first, second = (numeric_field(i, rows[:, i]) for i in range(2))
    info_list = [first | {"name": "height"}, second, categorical_field(2, ["no", "yes"]) | {"name": "bought"}]
    layers = readout_layers([], info_list[-1])
    quick = {"tree_embedding": False, "max_iterations": 2, "layers": layers}
    jobs = tabular_jobs(tmp_path, rows, info_list, **quick)
    for job in jobs:
        workspace = run(job)
    for document in (
        read_json(workspace.submodel("model").fit_info, "training"),
        read_json(workspace.final_model, "finalizing"),
    ):
        assert [field.get("name") for field in document["preprocess"]] == ["height", None]
        assert "name" not in document["preprocess"][1]
        assert document["output_exposition"]["name"] == "bought"


def test_a_final_model_of_images_tells_the_names_that_fields_were_given(tmp_path: Path) -> None:
    labels, initial = write_digits(tmp_path, 40), tmp_path / "initial.json"
    initial.write_bytes(dumps(tiny_model(list("0123456789"))))
    network = {"base_image_network": "initial_model", "initial_model": str(initial), "max_iterations": 2}
    job = image_job(tmp_path, labels, **network, image_training_type="use_pretrained")
    image, classes = job["info_list"]
    job["info_list"] = [image | {"name": "scan"}, classes | {"name": "digit"}]
    run(job)
    del job["image_training_data"]
    asked = {"job_type": "finalize_output", "job_id": "initial_model_use_pretrained", "is_search": False}
    document = read_json(run(job | asked).final_model, "finalizing")
    assert document["preprocess"] == [{"type": "image", "index": 0, "name": "scan"}]
    assert document["output_exposition"] == {
        "type": "categorical",
        "values": list("0123456789"),
        "name": "digit",
    }
