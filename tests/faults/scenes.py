"""Jobs of every type on small data, ready to be disturbed: the results of earlier jobs are there already."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from image_jobs import image_job, tiny_model, write_digits
from worker_client import Answer, Worker

from pyramid.tables.recipe import categorical_field, numeric_field, readout_layers, tabular_jobs

Job = dict[str, Any]

N_ROWS, N_IMAGES = 400, 40
# Long enough to be hit in the middle, short enough to end by itself.
TRAINING_SECONDS = 2.0
JOB_SECONDS = 90
STEADY = 8192


@dataclass(frozen=True)
class Kind:
    """A job type.

    Attributes:
        job: from a directory and a seed to a job.
        finalizing: the job that makes a model of what it leaves.
        middle: whether a progress line says that the job is in the middle of its work.
    """

    job: Callable[[Path, int], Job]
    finalizing: Callable[[Path], Job]
    middle: Callable[[Answer], bool]


@dataclass
class Scene:
    """A job type in a directory of its own, and a worker.

    Attributes:
        earlier: the files that an earlier job of the type has left, before anything happened.
        worker: the one that runs the job.
        job: with its job file's settings.
    """

    kind: Kind
    directory: Path
    earlier: Mapping[str, bytes]
    worker: Worker
    job: Job

    @property
    def output(self) -> Path:
        """The output directory."""
        return Path(self.job["output_directory"])

    @property
    def child(self) -> int:
        """The process that runs jobs."""
        return self.worker.children()[0]


def _table(directory: Path, seed: int, **settings: Any) -> list[Job]:
    generator = np.random.default_rng(0)
    inputs = generator.normal(size=(N_ROWS, 3))
    rows = np.column_stack([inputs, inputs[:, 0] + inputs[:, 1] > 0]).astype(float)
    info_list = [*[numeric_field(i, column) for i, column in enumerate(inputs.T)]]
    info_list.append(categorical_field(3, ["no", "yes"]))
    few = {"layers": readout_layers([4], info_list[-1], seed=seed), "patience": STEADY}
    limits = {"max_training_time": TRAINING_SECONDS, "is_search": True}
    return tabular_jobs(directory, rows, info_list, seed=seed, **{**few, **limits, **settings})


def _training(directory: Path, seed: int, job_type: str) -> Job:
    cached = json.loads((directory / "cached.json").read_text(encoding="utf-8"))
    training = _table(directory, seed)[1]
    return training | {"job_type": job_type, "tree_inputs": cached["tree_inputs"]}


def _finalizing(directory: Path, _seed: int = 0) -> Job:
    return _table(directory, 1)[2] | {"is_search": False}


def _image(directory: Path, seed: int, **settings: Any) -> Job:
    labels = json.loads((directory / "labels.json").read_text(encoding="utf-8"))
    start = {"base_image_network": "initial_model", "initial_model": str(directory / "start.json")}
    limits = {"max_training_time": TRAINING_SECONDS, "patience": STEADY, "logging_level": 2}
    return image_job(directory, labels, **{**start, **limits, "seed": seed, **settings})


def _image_finalizing(directory: Path) -> Job:
    job_id = "initial_model_randomly_initialize"
    return _image(directory, 1, job_type="finalize_output", job_id=job_id, is_search=False)


def _is_training(line: Answer) -> bool:
    return "iterations" in line.data


def _is_half_way(line: Answer) -> bool:
    return line.data["progress"] >= 0.3


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "dataset_caching": Kind(lambda folder, seed: _table(folder, seed)[0], _finalizing, _is_half_way),
        "standard_training": Kind(
            lambda folder, seed: _training(folder, seed, "standard_training"), _finalizing, _is_training
        ),
        "search_submodel": Kind(
            lambda folder, seed: _training(folder, seed, "search_submodel"), _finalizing, _is_training
        ),
        "finalize_output": Kind(_finalizing, _finalizing, _is_half_way),
        "image_training": Kind(_image, _image_finalizing, _is_training),
    }
)


def prepare(templates: Path) -> None:
    """Run a job of every type once, in a directory for each."""
    with Worker(idle_seconds=300) as worker:
        table, image = templates / "table", templates / "image_training"
        cached = worker.run(_table(table, 1)[0], JOB_SECONDS)
        assert "error" not in cached, cached
        (table / "cached.json").write_text(json.dumps(cached), encoding="utf-8")
        image.mkdir()
        labels = write_digits(image, N_IMAGES).tolist()
        (image / "labels.json").write_text(json.dumps(labels), encoding="utf-8")
        (image / "start.json").write_text(json.dumps(tiny_model(list("0123456789"))), encoding="utf-8")
        short = {"max_iterations": 20}
        for job in (
            _training(table, 1, "search_submodel") | short,
            _finalizing(table),
            _image(image, 1) | short,
        ):
            result = worker.run(job, JOB_SECONDS)
            assert "error" not in result, result


def restore(scene: Scene, templates: Path) -> None:
    """Put back what an earlier job has left."""
    name = "image_training" if scene.job["job_type"] == "image_training" else "table"
    shutil.copytree(templates / name, scene.directory, dirs_exist_ok=True)


def open_scene(templates: Path, name: str, directory: Path, worker: Worker) -> Scene:
    """A directory where an earlier job of the type has been, and the job that is to be disturbed."""
    template = templates / ("image_training" if name == "image_training" else "table")
    shutil.copytree(template, directory)
    files = [path for path in directory.rglob("*") if path.is_file()]
    earlier = {str(path.relative_to(directory)): path.read_bytes() for path in files}
    return Scene(KINDS[name], directory, earlier, worker, KINDS[name].job(directory, 2))
