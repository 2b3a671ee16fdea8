"""Files that an earlier version wrote, in `tests/written_before`: they are read, and mean what they meant."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sensenet
from pyramid.jobs import load_job
from pyramid.progress import ignore
from pyramid.settings.base_settings import BaseSettings
from pyramid.workspace import Workspace
from sensenet.formats.h5 import stored_weights

FOLDER = Path(__file__).parents[1] / "written_before"
LEFT = FOLDER / "left_by_jobs"
CASES = json.loads((FOLDER / "cases.json").read_text())
JOB = json.loads((LEFT / "job.json").read_text())
SIDE = 16


def points_of(case: dict[str, Any], model: Any) -> list[list[Any]]:
    """Those that the case holds, or two rows of drawn images and one number."""
    if "points" in case:
        return case["points"]
    rng = np.random.default_rng(case["seed"])
    pictures = [rng.integers(0, 256, (SIDE, SIDE, 3)).astype(np.uint8) for _ in range(2)]
    fields = model._preprocessors
    rows = []
    for picture in pictures:
        row: list[Any] = [None] * (1 + max(field["index"] for field in fields))
        for field in fields:
            row[field["index"]] = picture if field["type"] == "image" else case["number"]
        rows.append(row)
    return rows


@pytest.mark.parametrize("name", CASES)
def test_documents_bundles_and_weights_predict_what_they_predicted(name: str) -> None:
    model = sensenet.create_model(FOLDER / f"{name}.json")
    points = points_of(CASES[name], model)
    expected = np.array(CASES[name]["predicted"], np.float32)
    np.testing.assert_allclose(model(points), expected, atol=1e-6)
    np.testing.assert_allclose(
        sensenet.create_model(FOLDER / f"{name}.smbundle")(points), expected, atol=1e-6
    )
    model.load_weights(FOLDER / f"{name}.h5")
    np.testing.assert_allclose(model(points), expected, atol=1e-6)


@pytest.mark.parametrize("file", ["final_model.json", "final_model_bundle.smbundle"])
def test_final_models_predict_what_they_predicted(file: str) -> None:
    predicted = sensenet.create_model(LEFT / file)(JOB["points"])
    np.testing.assert_allclose(predicted, np.array(JOB["predicted"], np.float32), atol=1e-6)


def run(job: dict[str, Any], directory: Path) -> dict[str, Any]:
    settings = BaseSettings({**job, "output_directory": str(directory)})
    return load_job(settings.job_type)(settings, Workspace.create(directory), ignore)


def test_what_a_training_left_is_finalized_to_the_same_document(tmp_path: Path) -> None:
    directory = tmp_path / "out"
    shutil.copytree(LEFT, directory)
    (directory / "final_model.json").unlink()
    run(JOB["finalizing"], directory)
    document = json.loads((directory / "final_model.json").read_bytes())
    document.pop("export_report")  # younger than the one before
    assert document == json.loads((LEFT / "final_model.json").read_bytes())


def test_what_a_caching_left_is_trained_on_to_the_same_weights(tmp_path: Path) -> None:
    directory = tmp_path / "out"
    shutil.copytree(LEFT, directory)
    run(JOB["training"] | {"cache_file": str(directory / "full_dataset.npy")}, directory)
    (submodel,) = directory.glob("submodel_*")
    (before,) = LEFT.glob("submodel_*")
    assert submodel.name == before.name
    weights = (stored_weights(one / "model_weights.h5") for one in (submodel, before))
    for (_, mine), (_, theirs) in zip(*weights, strict=True):
        # moving statistics, the last two of a normalisation's four arrays, once weighed what they began with
        learnt = len(mine) if len(mine) < 4 else 2
        for now, then in zip(mine[:learnt], theirs[:learnt], strict=True):
            np.testing.assert_allclose(now, then, atol=1e-5)
    run(JOB["finalizing"], directory)
    predicted = sensenet.create_model(directory / "final_model.json")(np.array(JOB["points"]))
    assert predicted.shape == np.shape(JOB["predicted"])
