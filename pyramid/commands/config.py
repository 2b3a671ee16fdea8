"""The config of `pyramid_train`: every key checked, and the image jobs that follow from it."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from errno import ENOENT
from pathlib import Path
from typing import Any

from pyramid.commands.candidates import Candidate, parse_candidates
from pyramid.commands.labels import (
    HOLDOUT_DATA,
    OBJECTIVE_INDEX,
    TRAINING_DATA,
    LabelledImages,
    label_kind,
    read_labels,
)
from pyramid.errors import SettingsError, Violation
from pyramid.fields import ImageField, Objective, objective_entry
from pyramid.fields.boxes import BoxesObjective
from pyramid.fields.objectives import CategoricalObjective
from pyramid.images.training_types import INITIAL_MODEL
from pyramid.settings import validate
from pyramid.settings.base_settings import BaseSettings
from pyramid.settings.image_networks import (
    DETECTORS,
    FROM_NOTHING,
    anchors_problem,
    size_problem,
)
from pyramid.settings.wording import allowed, found, pointer
from pyramid.tables.recipe import readout_layers

SEED = 42
HIDDEN_NODES = (256,)

NEEDED = (
    "batch_size",
    "descent_algorithm",
    "image_network_candidates",
    "input_image_shape",
    "learning_rate",
    "max_total_time",
    "output_directory",
    "training_data",
)
# what the command itself makes of a config, or gives to each job
OWN_KEYS = frozenset(
    {
        "base_image_network",
        "cache_file",
        "cache_rows",
        "holdout_data",
        "image_holdout_data",
        "image_network_candidates",
        "image_training_data",
        "image_training_type",
        "info_list",
        "initial_model",
        "instance_weights",
        "job_id",
        "job_type",
        "label_map",
        "logging_level",
        "max_total_time",
        "start_time",
        "training_data",
        "training_options",
    }
)
ROW_KEYS = ("image_training_data", "image_holdout_data")
UNUSED_BY_BOXES = ("loss_function", "rescale_type")
UNKNOWN_CLASS = "-"


@dataclass(frozen=True)
class Training:
    """A checked config.

    Attributes:
        images: the labelled images.
        candidates: the networks to try, in their order; at least one.
        max_total_seconds: for all of them together.
        shared: the settings that all jobs have.
        unused: keys of the config that say nothing of such labels.
    """

    images: LabelledImages
    candidates: tuple[Candidate, ...]
    max_total_seconds: float
    shared: Mapping[str, Any]
    unused: tuple[str, ...] = ()

    def job(self, candidate: Candidate, max_seconds: float) -> BaseSettings:
        """The settings of a candidate's job, which may take `max_seconds`."""
        most = min(max_seconds, self.shared.get("max_training_time", max_seconds))
        job = {
            **self.shared,
            "base_image_network": candidate.base_image_network,
            "image_training_type": candidate.image_training_type,
            "initial_model": candidate.initial_model,
            "max_training_time": most,
        }
        return BaseSettings(job)

    def finalizing(self, candidate: Candidate) -> BaseSettings:
        """The settings of the job that makes the final model of a candidate's training."""
        job = {key: value for key, value in self.shared.items() if key not in ROW_KEYS}
        own = {"job_type": "finalize_output", "job_id": candidate.job_id, "is_search": False}
        return BaseSettings(job | own)

    def missing_files(self) -> list[str]:
        """What a job would say of each image whose file is not there."""
        root = Path(self.shared.get("image_root", ""))
        paths = (root / row["file"] for row in (*self.images.rows, *self.images.holdout))
        absent = os.strerror(ENOENT)
        return [f"image {place}: {path}: {absent}" for place, path in enumerate(paths) if not path.exists()]


def given_keys(config: Any) -> dict[str, Any]:
    """The keys of a config of this or another command that say something: null is as good as nothing.

    Raises:
        SettingsError: it is no JSON object.
    """
    if not isinstance(config, dict):
        raise SettingsError([Violation("", f"found {found(config)}, but a config is a JSON object")])
    return {key: value for key, value in config.items() if value is not None}


def parse_config(config: Any) -> Training:
    """Check a config and fill in what follows from its rows.

    Raises:
        SettingsError: it breaks a rule; carries every violation, with JSON pointers into the config.
    """
    given = given_keys(config)
    data, stated = given.get("training_data"), _stated_objective(given)
    images, problems = (None, []) if data is None else read_labels(data, stated, given.get("holdout_data"))
    objective = _unknown(label_kind(data, stated)) if images is None else images.objective
    candidates, wrong = parse_candidates(given, objective.kind)
    unused = _unused(given, objective)
    shared = _shared(given, objective, images, unused)
    problems = [
        *_missing(given),
        *problems,
        *wrong,
        *_network_problems(given, candidates),
        *_job_problems(given, shared, known=images is not None),
        *_objective_problems(given, images),
    ]
    if problems:
        raise SettingsError(in_order(problems, config))
    assert images is not None
    return Training(images, tuple(candidates), float(given["max_total_time"]), shared, unused)


def in_order(problems: Sequence[Violation], config: Mapping[str, Any]) -> list[Violation]:
    """Each problem once, in the order of the config's keys."""
    order = {pointer([key]): place for place, key in enumerate(config)}
    return sorted(dict.fromkeys(problems), key=lambda one: order.get(_first_key(one), len(order)))


def missing_keys(given: Collection[str]) -> list[str]:
    """The keys that a training needs beyond the given ones; an initial model takes the place of candidates."""
    there = {*given, *(["image_network_candidates"] if INITIAL_MODEL in given else [])}
    return [key for key in NEEDED if key not in there]


def _missing(given: Mapping[str, Any]) -> Iterator[Violation]:
    schema = validate.schema()
    for key in missing_keys(given):
        rule = schema["properties"][key]
        yield Violation(pointer([key]), f"missing; pyramid_train needs it: {allowed(rule, schema['$defs'])}")


def _stated_objective(given: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The objective in `info_list`, where there is one that this command trains; others are reported later."""
    field = objective_entry(given.get("info_list"))
    if field is None:
        return None
    sound = validate.violations(_with_objective(field)) == []
    return {"index": OBJECTIVE_INDEX, **field} if sound else None


def _with_objective(field: Mapping[str, Any]) -> dict[str, Any]:
    """A job that is right if the objective is."""
    return {
        "job_type": "finalize_output",
        "job_id": "config",
        "is_search": False,
        "output_directory": ".",
        "objective_type": field.get("type"),
        "info_list": [ImageField(index=0).dump(), {"index": OBJECTIVE_INDEX} | dict(field)],
    }


def _unknown(kind: type[Objective]) -> Objective:
    """An objective in place of one whose rows are wrong; a number's kind is as good as that of classes."""
    if kind is BoxesObjective:
        return BoxesObjective(index=OBJECTIVE_INDEX, values=(UNKNOWN_CLASS,))
    return CategoricalObjective(index=OBJECTIVE_INDEX, values=(UNKNOWN_CLASS,))


def _unused(given: Mapping[str, Any], objective: Objective) -> tuple[str, ...]:
    """Keys that a detector has no use for: it has losses of its own, and images are always padded."""
    if not isinstance(objective, BoxesObjective):
        return ()
    return tuple(key for key in UNUSED_BY_BOXES if key in given)


def _shared(
    given: Mapping[str, Any], objective: Objective, images: LabelledImages | None, unused: Sequence[str]
) -> dict[str, Any]:
    seed = given.get("seed", SEED)
    options = {key: value for key, value in given.items() if key not in (TRAINING_DATA, HOLDOUT_DATA)}
    derived = {
        "job_type": "image_training",
        "objective_type": objective.kind,
        "info_list": [ImageField(index=0).dump(), objective.dump()],
        "seed": seed,
        "image_training_data": [] if images is None else images.job_rows(),
        "training_options": options,
    }
    if images is not None and images.holdout:
        derived["image_holdout_data"] = images.job_holdout()
    defaults = _network_defaults(objective, seed if isinstance(seed, int) else SEED)
    kept = {key: value for key, value in given.items() if key not in (*OWN_KEYS, *unused)}
    return defaults | kept | derived


def _network_defaults(objective: Objective, seed: int) -> dict[str, Any]:
    """The readout and its loss; a detector has neither."""
    if isinstance(objective, BoxesObjective):
        return {"layers": []}
    layers = readout_layers(HIDDEN_NODES, objective.dump(), batch_normalization=False, seed=seed)
    return {"layers": layers, "loss_function": objective.losses[0]}


def _job_problems(given: Mapping[str, Any], shared: Mapping[str, Any], known: bool) -> Iterator[Violation]:
    """What the rules of jobs say of the config's keys.

    Args:
        known: whether the rows say what the objective is.
    """
    # the keys that the command reads itself have their rules there, too
    own = {
        key: given[key]
        for key in ("max_total_time", "image_network_candidates", INITIAL_MODEL)
        if key in given
    }
    # an initial model has no name to be wrong, and no size that is known
    placeholder = {"base_image_network": INITIAL_MODEL, "image_training_type": FROM_NOTHING[0]}
    depends = () if known else ("loss_function", "class_weights", "layers", "objective_type")
    for violation in validate.violations({**shared, **own, **placeholder}):
        key = violation.path.split("/")[1].replace("~1", "/").replace("~0", "~") if violation.path else ""
        if key in given and key not in depends:
            yield violation


def _objective_problems(given: Mapping[str, Any], images: LabelledImages | None) -> Iterator[Violation]:
    if images is None:
        return
    kind, stated = images.objective.kind, given.get("objective_type")
    if stated is not None and stated != kind:
        yield Violation(
            "/objective_type", f"found {found(stated)}, but the labels of training_data are {kind}"
        )
    if "info_list" in given and _stated_objective(given) is None:
        yield Violation("/info_list", "its last field is no objective that can be used; leave info_list out")


def _network_problems(given: Mapping[str, Any], candidates: Sequence[Candidate]) -> Iterator[Violation]:
    """Networks that cannot have images of the size, or not so many anchors."""
    shape, anchors = given.get("input_image_shape"), given.get("bounding_box_anchors")
    for candidate in candidates:
        name = candidate.base_image_network
        if candidate.initial_model is not None:
            continue
        if isinstance(shape, list) and len(shape) == 3 and (problem := size_problem(name, shape)):
            yield Violation("/input_image_shape", problem)
        if isinstance(anchors, list) and name in DETECTORS and (problem := anchors_problem(name, anchors)):
            yield Violation("/bounding_box_anchors", problem)


def _first_key(violation: Violation) -> str:
    return "/" + violation.path.split("/")[1] if violation.path else ""
