"""The config of `pyramid_train`: every key checked, and the image jobs that follow from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pyramid.commands.labels import OBJECTIVE_INDEX, LabelledImages, read_labels
from pyramid.errors import SettingsError, Violation
from pyramid.recipe import readout_layers
from pyramid.settings import validate
from pyramid.settings.base_settings import BaseSettings
from pyramid.settings.wording import allowed, found, nearest, pointer

SEED = 42
HIDDEN_NODES = (256,)
INITIAL_MODEL = "initial_model"
TRAINING_TYPES = ("randomly_initialize", "fine_tune", "use_pretrained")
UNPUBLISHED = ("simple", "simple_residual")
CLASSIFIERS = (*UNPUBLISHED, "mobilenet", "mobilenetv2", "resnet18", "resnet50", "xception")
DETECTORS = ("tinyyolov4", "yolov4")
LOSSES: Mapping[str, str] = MappingProxyType({"categorical": "crossentropy", "numeric": "mean_squared_error"})

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
        "image_network_candidates",
        "image_training_data",
        "image_training_type",
        "info_list",
        "initial_model",
        "instance_weights",
        "job_id",
        "job_type",
        "logging_level",
        "max_total_time",
        "start_time",
        "training_data",
        "training_options",
    }
)
UNKNOWN_CLASS = "-"


@dataclass(frozen=True)
class Candidate:
    """One network to try.

    Attributes:
        base_image_network, image_training_type: as a job has them.
        initial_model: the path of the model that it starts from, or None.
    """

    base_image_network: str
    image_training_type: str
    initial_model: str | None = None

    @property
    def job_id(self) -> str:
        """The id of its job, after which its directory is called."""
        return f"{self.base_image_network}_{self.image_training_type}"

    def __str__(self) -> str:
        """What people know it by."""
        return self.job_id if self.initial_model is None else f"{INITIAL_MODEL} {self.initial_model}"


@dataclass(frozen=True)
class Training:
    """A checked config.

    Attributes:
        images: the labelled images.
        candidates: the networks to try, in their order; at least one.
        max_total_seconds: for all of them together.
        shared: the settings that all jobs have.
    """

    images: LabelledImages
    candidates: tuple[Candidate, ...]
    max_total_seconds: float
    shared: Mapping[str, Any]

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
        job = {key: value for key, value in self.shared.items() if key != "image_training_data"}
        own = {"job_type": "finalize_output", "job_id": candidate.job_id, "is_search": False}
        return BaseSettings(job | own)

    def missing_files(self) -> list[Path]:
        """The image files that are not there."""
        root = Path(self.shared.get("image_root", ""))
        paths = dict.fromkeys(root / row["file"] for row in self.images.rows)
        return [path for path in paths if not path.is_file()]


def parse_config(config: Any) -> Training:
    """Check a config and fill in what follows from its rows.

    Raises:
        SettingsError: it breaks a rule; carries every violation, with JSON pointers into the config.
    """
    if not isinstance(config, dict):
        raise SettingsError([Violation("", f"found {found(config)}, but a config is a JSON object")])
    given = {key: value for key, value in config.items() if value is not None}
    images, problems = (
        (None, [])
        if "training_data" not in given
        else read_labels(given["training_data"], _stated_objective(given))
    )
    objective = (
        {"type": "categorical", "index": 1, "values": [UNKNOWN_CLASS]} if images is None else images.objective
    )
    candidates, wrong = _candidates(given)
    shared = _shared(given, objective, images)
    problems = [
        *_missing(given),
        *problems,
        *wrong,
        *_job_problems(given, shared, known=images is not None),
        *_objective_problems(given, images),
        *_augmentation_problems(given),
    ]
    if problems:
        order = {pointer([key]): place for place, key in enumerate(config)}
        unique = dict.fromkeys(problems)
        raise SettingsError(sorted(unique, key=lambda one: order.get(_first_key(one), len(order))))
    assert images is not None
    return Training(images, tuple(candidates), float(given["max_total_time"]), shared)


def _missing(given: Mapping[str, Any]) -> Iterator[Violation]:
    schema = validate.schema()
    for key in NEEDED:
        if key in given or (key == "image_network_candidates" and INITIAL_MODEL in given):
            continue
        rule = schema["properties"][key]
        yield Violation(pointer([key]), f"missing; pyramid_train needs it: {allowed(rule, schema['$defs'])}")


def _stated_objective(given: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The objective in `info_list`, where there is one that this command trains; others are reported later."""
    fields = given.get("info_list")
    field = fields[-1] if isinstance(fields, list) and fields else None
    if not isinstance(field, dict):
        return None
    sound = validate.violations(_with_objective(field)) == []
    return {"index": OBJECTIVE_INDEX} | field if sound else None


def _with_objective(field: Mapping[str, Any]) -> dict[str, Any]:
    """A job that is right if the objective is."""
    return {
        "job_type": "finalize_output",
        "job_id": "config",
        "is_search": False,
        "output_directory": ".",
        "objective_type": field.get("type"),
        "info_list": [{"type": "image", "index": 0}, {"index": OBJECTIVE_INDEX} | dict(field)],
    }


def _shared(
    given: Mapping[str, Any], objective: Mapping[str, Any], images: LabelledImages | None
) -> dict[str, Any]:
    seed = given.get("seed", SEED)
    options = {key: value for key, value in given.items() if key != "training_data"}
    derived = {
        "job_type": "image_training",
        "objective_type": objective["type"],
        "info_list": [{"type": "image", "index": 0}, dict(objective)],
        "seed": seed,
        "image_training_data": [] if images is None else images.job_rows(),
        "training_options": options,
    }
    defaults = {
        "layers": readout_layers(
            HIDDEN_NODES, objective, batch_normalization=False, seed=seed if isinstance(seed, int) else SEED
        ),
        "loss_function": LOSSES[str(objective["type"])],
        "rescale_type": "crop",
    }
    kept = {key: value for key, value in given.items() if key not in OWN_KEYS}
    return defaults | kept | derived


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
    placeholder = {"base_image_network": "simple", "image_training_type": TRAINING_TYPES[0]}
    depends = () if known else ("loss_function", "class_weights", "layers", "objective_type")
    for violation in validate.violations({**shared, **own, **placeholder}):
        key = violation.path.split("/")[1] if violation.path else ""
        if key in given and key not in depends:
            yield violation


def _objective_problems(given: Mapping[str, Any], images: LabelledImages | None) -> Iterator[Violation]:
    if images is None:
        return
    kind, stated = images.objective["type"], given.get("objective_type")
    if stated is not None and stated != kind:
        yield Violation(
            "/objective_type", f"found {found(stated)}, but the labels of training_data are {kind}"
        )
    if "info_list" in given and _stated_objective(given) is None:
        yield Violation("/info_list", "its last field is no objective that can be used; leave info_list out")


def _augmentation_problems(given: Mapping[str, Any]) -> list[Violation]:
    """Unknown augmentations and wrong ranges; TensorFlow is imported only where there are any."""
    names, ranges = given.get("image_augmentations"), given.get("augmentation_ranges")
    names = names if isinstance(names, list) and all(isinstance(name, str) for name in names) else None
    if not names and not isinstance(ranges, dict):
        return []
    try:
        import_module("pyramid.data.augment").parse_augmentations(
            names, ranges if isinstance(ranges, dict) else None
        )
    except SettingsError as error:
        return list(error.violations)
    return []


def _candidates(given: Mapping[str, Any]) -> tuple[list[Candidate], list[Violation]]:
    pairs = given.get("image_network_candidates", [])
    if not isinstance(pairs, list):
        return [], []
    candidates: list[Candidate] = []
    problems: list[Violation] = []
    for place, pair in enumerate(pairs):
        wrong = list(_pair_problems(place, pair))
        if not wrong:
            candidate = _candidate(pair, candidates)
            if candidate in candidates:
                wrong = [_wrong_pair(f"{place}", f"found {found(pair)} a second time")]
            candidates.append(candidate)
        problems += wrong
    path = given.get(INITIAL_MODEL)
    if isinstance(path, str) and path:
        extra = _candidate([INITIAL_MODEL, path], candidates)
        candidates += [] if extra in candidates else [extra]
    if not candidates and not problems and ("image_network_candidates" in given):
        problems.append(Violation("/image_network_candidates", "found an empty list; at least one is needed"))
    return candidates, problems


def _candidate(pair: Sequence[str], earlier: Sequence[Candidate]) -> Candidate:
    name, how = pair
    if name != INITIAL_MODEL:
        return Candidate(name, how)
    models = [one.initial_model for one in earlier if one.initial_model is not None]
    number = models.index(how) if how in models else len(models)
    return Candidate(f"{INITIAL_MODEL}_{number}", "fine_tune", how)


def _pair_problems(place: int, pair: Any) -> Iterator[Violation]:
    if (
        not isinstance(pair, list)
        or len(pair) != 2
        or not all(isinstance(part, str) and part for part in pair)
    ):
        yield _wrong_pair(
            f"{place}",
            f'found {found(pair)}, allowed is a pair of strings: [network, training type] or ["initial_model", path]',
        )
        return
    name, how = pair
    if name == INITIAL_MODEL:
        return
    if name in DETECTORS:
        yield _wrong_pair(f"{place}/0", f"found {found(name)}, which finds boxes; {_one_of(CLASSIFIERS)}")
    elif name not in CLASSIFIERS:
        names = (*CLASSIFIERS, INITIAL_MODEL)
        yield _wrong_pair(f"{place}/0", f"found {found(name)}, {_one_of(names)}{nearest(name, names)}")
    if how not in TRAINING_TYPES:
        yield _wrong_pair(
            f"{place}/1", f"found {found(how)}, {_one_of(TRAINING_TYPES)}{nearest(how, TRAINING_TYPES)}"
        )
    elif name in UNPUBLISHED and how != TRAINING_TYPES[0]:
        yield _wrong_pair(
            f"{place}/1",
            f"found {found(how)}, but there are no pretrained weights of {name}: "
            f"allowed is {TRAINING_TYPES[0]}",
        )


def _one_of(names: Sequence[str]) -> str:
    return f"allowed is one of {', '.join(names)}"


def _wrong_pair(place: str, message: str) -> Violation:
    return Violation(f"/image_network_candidates/{place}", message)


def _first_key(violation: Violation) -> str:
    return "/" + violation.path.split("/")[1] if violation.path else ""
