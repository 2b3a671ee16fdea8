"""The rules of a job file that relate several keys, which its JSON Schema cannot say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from itertools import islice
from types import MappingProxyType
from typing import Any

from pyramid.errors import Violation
from pyramid.images.augment.registry import augmentation_violations
from pyramid.images.training_types import INITIAL_MODEL, is_given
from pyramid.settings.folds import fold_violations, layer_violations, variant_violations
from pyramid.settings.image_networks import (
    BOXES,
    DETECTORS,
    anchors_problem,
    network_problem,
    size_problem,
    training_type_problem,
)
from pyramid.settings.layers import check_layers

Settings = Mapping[str, Any]
Check = Callable[[Settings], Iterator[Violation]]

PATH_KEYS = (
    *("output_directory", "cache_file", "initial_model", "image_root"),
    *("background_image_root", "foreground_image_root"),
)
ROW_KEYS = ("image_training_data", "image_holdout_data")
NULL = "\0"
NO_PATH = "found a null character, which no path can have"

NETWORK_KEYS = ("base_image_network", "image_training_type", INITIAL_MODEL)

BOX_JOBS = ("image_training", "finalize_output")
TRAINING_JOBS = frozenset({"image_training", "standard_training", "search_submodel"})

LOSSES = MappingProxyType(
    {
        "categorical": ("crossentropy", "hinge", "kl_divergence", "cosine"),
        "numeric": ("mean_squared_error", "huber", "mean_percentage_error"),
    }
)


def semantic_violations(job: Settings, suspects: AbstractSet[str], most: int) -> list[Violation]:
    """The broken rules between the keys of a job.

    Args:
        job: the job, without nulls and with its defaults.
        suspects: keys that break the schema already; a rule that reads one of them is passed over.
        most: how many are looked for.
    """
    every = (
        violation for keys, check in _CHECKS.items() if suspects.isdisjoint(keys) for violation in check(job)
    )
    return list(islice(every, most))


def _objective_is_supported(job: Settings) -> Iterator[Violation]:
    if job["objective_type"] == "triplet":
        yield Violation(
            "/objective_type",
            'found "triplet", which is not supported; allowed is one of categorical, numeric, bounding_box',
        )


def _boxes_are_in_images(job: Settings) -> Iterator[Violation]:
    if job["objective_type"] == BOXES and job["job_type"] not in BOX_JOBS:
        yield Violation(
            "/objective_type",
            f'found "{BOXES}", but only {" and ".join(BOX_JOBS)} jobs are about boxes: rows of a {job["job_type"]} '
            "job have one value each",
        )


def _detectors_have_no_readout(job: Settings) -> Iterator[Violation]:
    if job["objective_type"] == BOXES and job["job_type"] == "image_training" and job["layers"]:
        count = len(job["layers"])
        yield Violation(
            "/layers", f"found {count} layers, but a detector has no readout: allowed is an empty list"
        )


def _objective_is_the_last_field(job: Settings) -> Iterator[Violation]:
    fields, wanted = job["info_list"], job["objective_type"]
    last = len(fields) - 1
    if wanted != "triplet" and fields[last]["type"] != wanted:
        yield Violation(
            f"/info_list/{last}/type",
            f'found "{fields[last]["type"]}", but the last field is the objective and must be of the '
            f"objective_type, {wanted}",
        )
    for place, field in enumerate(fields[:last]):
        if field["type"] == BOXES:
            yield Violation(
                f"/info_list/{place}/type",
                'found "bounding_box", but only the last field, the objective, can be of that type',
            )


def _weights_are_numeric(job: Settings) -> Iterator[Violation]:
    if not job.get("instance_weights"):
        return
    fields = job["info_list"]
    place = len(fields) - 2
    if place < 0:
        yield Violation(
            "/info_list", "found one field, but instance_weights needs a weight field before the objective"
        )
    elif fields[place]["type"] != "numeric":
        yield Violation(
            f"/info_list/{place}/type",
            f'found "{fields[place]["type"]}", but with instance_weights the field before the objective '
            "is the weight and must be numeric",
        )


def _inputs_are_there(job: Settings) -> Iterator[Violation]:
    needed = 3 if job.get("instance_weights") else 2
    count = len(job["info_list"])
    # One field alone with instance_weights is reported by the check of the weight field.
    if job["job_type"] != "image_training" and (count == needed - 1):
        yield Violation("/info_list", "found no input field; at least one must stand before the objective")


def _fields_are_sound(job: Settings) -> Iterator[Violation]:
    fields = job["info_list"]
    for place, field in enumerate(fields):
        values = field.get("values")
        if values and len(set(values)) < len(values):
            twice = Counter(values).most_common(1)[0][0]
            yield Violation(f"/info_list/{place}/values", f'found "{twice}" twice; values are distinct')
        if ("part" in field) != ("column" in field) or ("part" in field and field["type"] != "numeric"):
            yield Violation(f"/info_list/{place}", "a part of a date needs a column, and is numeric")
    if fields[-1]["type"] in ("categorical", "bounding_box") and not fields[-1]["values"]:
        yield Violation(
            f"/info_list/{len(fields) - 1}/values", "found an empty list; an objective has at least one class"
        )


def _loss_suits_the_objective(job: Settings) -> Iterator[Violation]:
    loss = job.get("loss_function")
    right = LOSSES.get(job["objective_type"])
    if loss is not None and right and job["job_type"] in TRAINING_JOBS and loss not in right:
        yield Violation(
            "/loss_function",
            f'found "{loss}", but the objective is {job["objective_type"]}: '
            f"allowed is one of {', '.join(right)}",
        )


def _class_weights_name_classes(job: Settings) -> Iterator[Violation]:
    weights = job.get("class_weights", [])
    if not weights:
        return
    if job["objective_type"] == "numeric":
        yield Violation("/class_weights", "found weights of classes, but the objective is numeric")
        return
    classes = set(job["info_list"][-1].get("values", []))
    seen: set[str] = set()
    for place, (name, _) in enumerate(weights):
        if name not in classes:
            yield Violation(
                f"/class_weights/{place}/0", f'found "{name}", which is not among the values of the objective'
            )
        elif name in seen:
            yield Violation(f"/class_weights/{place}/0", f'found "{name}" a second time')
        seen.add(name)
    if not sum(weight for _, weight in weights) > 0:
        yield Violation("/class_weights", "all weights are 0; at least one must be greater than 0")


def _image_rows_are_there(job: Settings) -> Iterator[Violation]:
    if job["job_type"] != "image_training":
        return
    file = job.get("cache_file")
    if file is None and "image_training_data" not in job:
        yield Violation(
            "/cache_file", "missing; an image_training job needs it, or image_training_data in its place"
        )
    if file is not None and file.endswith(".ser") and "cache_rows" not in job:
        yield Violation("/cache_rows", "missing; an image_training job that reads a .ser needs it")


def _paths_can_be_paths(job: Settings) -> Iterator[Violation]:
    for key in PATH_KEYS:
        if NULL in job.get(key, ""):
            yield Violation(f"/{key}", NO_PATH)


def _files_of_rows_can_be_paths(job: Settings) -> Iterator[Violation]:
    for key in ROW_KEYS:
        for place, row in enumerate(job.get(key, [])):
            if isinstance(row, dict) and isinstance(row.get("file"), str) and NULL in row["file"]:
                yield Violation(f"/{key}/{place}/file", NO_PATH)


def _held_out_rows_have_others(job: Settings) -> Iterator[Violation]:
    is_alone = "image_holdout_data" in job and "image_training_data" not in job
    if is_alone and job["job_type"] == "image_training":
        yield Violation("/image_training_data", "missing; with image_holdout_data it is needed: a list")


def _images_have_a_loss(job: Settings) -> Iterator[Violation]:
    wanted = LOSSES.get(job["objective_type"])
    if job["job_type"] == "image_training" and wanted and "loss_function" not in job:
        yield Violation(
            "/loss_function",
            f"missing; an image_training job with a {job['objective_type']} objective needs one of "
            f"{', '.join(wanted)}",
        )


def _image_network_can_be_trained(job: Settings) -> Iterator[Violation]:
    if job["job_type"] != "image_training" or job["objective_type"] not in (*LOSSES, BOXES):
        return
    name, shape = job["base_image_network"], job.get("input_image_shape")
    if INITIAL_MODEL in job:
        return
    if is_given(name):
        yield Violation(f"/{INITIAL_MODEL}", f"missing; {name} is the image network of that model")
        return
    if problem := network_problem(name, job["objective_type"]):
        yield Violation("/base_image_network", problem)
        return
    problems = {
        "image_training_type": training_type_problem(name, job["image_training_type"]),
        "input_image_shape": size_problem(name, shape),
    }
    yield from (Violation(f"/{key}", problem) for key, problem in problems.items() if problem is not None)


def _anchors_are_those_of_the_network(job: Settings) -> Iterator[Violation]:
    name = job.get("base_image_network")
    if job["job_type"] != "image_training" or INITIAL_MODEL in job or name not in DETECTORS:
        return
    if problem := anchors_problem(name, job.get("bounding_box_anchors")):
        yield Violation("/bounding_box_anchors", problem)


def _augmentations_are_known(job: Settings) -> Iterator[Violation]:
    if job["job_type"] == "image_training":
        yield from augmentation_violations(job.get("image_augmentations"), job.get("augmentation_ranges"))


def _schedules_have_an_end(job: Settings) -> Iterator[Violation]:
    ends = "max_iterations" in job or job["job_type"] not in TRAINING_JOBS
    if job.get("learning_rate_schedule") == "cosine" and not ends:
        yield Violation(
            "/max_iterations", 'missing; the learning_rate_schedule "cosine" falls to 0 over them'
        )


def _layers_can_be_built(job: Settings) -> Iterator[Violation]:
    if job["job_type"] in TRAINING_JOBS and job["objective_type"] != BOXES:
        yield from check_layers(job["layers"])[0]


def _layers_answer_the_objective(job: Settings) -> Iterator[Violation]:
    objective = job["info_list"][-1]
    # an objective that is wrong itself is told by itself
    if (
        job["job_type"] not in TRAINING_JOBS
        or objective["type"] != job["objective_type"]
        or objective["type"] == BOXES
    ):
        return
    needed = {"numeric": 1, "categorical": len(set(objective.get("values", ())))}.get(objective["type"], 0)
    _, width = check_layers(job["layers"])
    if needed and width is not None and width != needed:
        yield Violation(
            f"/layers/{len(job['layers']) - 1}",
            f"the last layer has {width} outputs, but the objective needs {needed}",
        )


_CHECKS: Mapping[tuple[str, ...], Check] = MappingProxyType(
    {
        ("objective_type",): _objective_is_supported,
        ("objective_type", "job_type"): _boxes_are_in_images,
        ("objective_type", "job_type", "layers"): _detectors_have_no_readout,
        ("objective_type", "info_list"): _objective_is_the_last_field,
        ("info_list", "instance_weights"): _weights_are_numeric,
        ("info_list", "instance_weights", "job_type"): _inputs_are_there,
        ("info_list",): _fields_are_sound,
        ("loss_function", "objective_type", "job_type"): _loss_suits_the_objective,
        ("job_type", "objective_type", "loss_function"): _images_have_a_loss,
        ("class_weights", "objective_type", "info_list"): _class_weights_name_classes,
        (*NETWORK_KEYS, "input_image_shape", "job_type", "objective_type"): _image_network_can_be_trained,
        (*NETWORK_KEYS, "bounding_box_anchors", "job_type"): _anchors_are_those_of_the_network,
        ("image_augmentations", "augmentation_ranges", "job_type"): _augmentations_are_known,
        ("layers", "job_type", "objective_type"): _layers_can_be_built,
        ("layers", "job_type", "objective_type", "info_list"): _layers_answer_the_objective,
        ("job_type", "cache_file", "image_training_data", "cache_rows"): _image_rows_are_there,
        PATH_KEYS: _paths_can_be_paths,
        ROW_KEYS: _files_of_rows_can_be_paths,
        ("job_type", *ROW_KEYS): _held_out_rows_have_others,
        ("learning_rate_schedule", "max_iterations", "job_type"): _schedules_have_an_end,
        ("folds", "refit", "variants", "job_type", "cheat_on_validation"): fold_violations,
        ("folds", "job_type", "layers"): layer_violations,
        ("variants", "layers"): variant_violations,
    }
)
