"""The config of `pyramid_generate`: its keys checked, what images depend on, and the config of a training."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pyramid.commands.config import SEED, given_keys, in_order, missing_keys
from pyramid.commands.metadata import METADATA_FILE
from pyramid.errors import SettingsError, Violation
from pyramid.generation.options import GenerationOptions
from pyramid.images.augment.registry import KEYS, augmentation_violations, parse_augmentations
from pyramid.settings import validate
from pyramid.settings.wording import allowed, found, pointer

NEEDED = (
    "foreground_image_root",
    "generated_dataset_size",
    "input_image_shape",
    "objective_type",
    "output_directory",
)
FOREGROUND_KEYS = ("foreground_image_augmentations", "foreground_augmentation_ranges")
BACKGROUND_KEYS = ("background_image_augmentations", "background_augmentation_ranges")
OWN_KEYS = frozenset(
    {
        *FOREGROUND_KEYS,
        *BACKGROUND_KEYS,
        "background_image_root",
        "background_label",
        "bounding_box_margin",
        "constant_box_label",
        "empty_image_rate",
        "foreground_image_root",
        "generated_dataset_size",
        "max_foreground_images",
        "occupancy_range",
        "random_background_rate",
    }
)
OBJECTIVES = ("categorical", "bounding_box")
RESCALE_TYPE = "crop"
LONGEST_NAME_BYTES = 255
# a job that is right if the keys of a config are
PLACEHOLDER: Mapping[str, Any] = MappingProxyType(
    {
        "job_type": "finalize_output",
        "job_id": "config",
        "is_search": False,
        "info_list": [{"type": "image", "index": 0}, {"type": "categorical", "index": 1, "values": ["-"]}],
    }
)


@dataclass(frozen=True)
class Generation:
    """A checked config.

    Attributes:
        options: what images depend on.
        count: how many images are to be made.
        output_directory: where they and the new config go.
        batch_size: how many images a batch of the training has; None: the config does not say.
        training_keys: what is handed on to the training.
    """

    options: GenerationOptions
    count: int
    output_directory: Path
    batch_size: int | None
    training_keys: Mapping[str, Any]

    @property
    def train(self) -> Path:
        """The directory of the images."""
        return self.output_directory / "train"

    @property
    def config(self) -> Path:
        """The config of a training on them."""
        return self.output_directory / "config.json"

    @property
    def metadata(self) -> Path:
        """The labels for a source at BigML."""
        return self.output_directory / METADATA_FILE

    def training_config(self, rows: list[dict[str, Any]]) -> dict[str, Any]:
        """The config of a training on the images, from wherever it is run."""
        places = {
            "image_root": os.path.abspath(self.train),  # noqa: PTH100 - links stay as they are
            "output_directory": os.path.abspath(self.output_directory),  # noqa: PTH100
        }
        return {**self.training_keys, **places, "training_data": rows}

    def missing_for_training(self) -> list[str]:
        """The keys that a training needs beyond what the config has."""
        return missing_keys({"training_data", *self.training_keys})


def parse_generation(config: Any) -> Generation:
    """Check a config and fill in the defaults of the schema.

    Raises:
        SettingsError: it breaks a rule; carries every violation, with JSON pointers into the config.
    """
    given = given_keys(config)
    problems = [*_schema_problems(given), *_augmentation_problems(given)]
    broken = {_key(violation) for violation in problems}
    sound = {key: value for key, value in given.items() if key not in broken}
    complete = _defaults() | sound
    # of very many violations only the first were told
    if not any(_schema_problems(sound)):
        rest = [*_missing(complete), *_rule_problems(complete)]
        problems += [problem for problem in rest if _key(problem) not in broken]
    if problems:
        raise SettingsError(in_order(problems, config))
    return Generation(
        options=_options(complete),
        count=complete["generated_dataset_size"],
        output_directory=Path(complete["output_directory"]),
        batch_size=complete.get("batch_size"),
        training_keys={key: value for key, value in given.items() if key not in OWN_KEYS},
    )


def _defaults() -> dict[str, Any]:
    properties = validate.schema()["properties"]
    return {
        key: properties[key][validate.GENERATION_DEFAULT]
        for key in OWN_KEYS
        if validate.GENERATION_DEFAULT in properties[key]
    }


def _schema_problems(given: Mapping[str, Any]) -> Iterator[Violation]:
    fallback = {"objective_type": "categorical", "output_directory": "."}
    # which classes there are is not known yet
    known = {key: value for key, value in given.items() if key != "class_weights"}
    for violation in validate.violations({**fallback, **known, **PLACEHOLDER}):
        if _key(violation) in given.keys() - PLACEHOLDER.keys():
            yield violation


def _key(violation: Violation) -> str:
    """The config's key that a violation is about; "" for all of it."""
    return violation.path.split("/")[1].replace("~1", "/").replace("~0", "~") if violation.path else ""


def _augmentation_problems(given: Mapping[str, Any]) -> Iterator[Violation]:
    for keys in (FOREGROUND_KEYS, BACKGROUND_KEYS, KEYS):
        names, ranges = _asked(given, keys)
        if _is_list_of_names(names) and (ranges is None or isinstance(ranges, dict)):
            yield from augmentation_violations(names, ranges, keys)


def _is_list_of_names(names: Any) -> bool:
    return names is None or (isinstance(names, list) and all(isinstance(name, str) for name in names))


def _missing(complete: Mapping[str, Any]) -> Iterator[Violation]:
    schema = validate.schema()
    needed = [*NEEDED, *(["background_image_root"] if complete["random_background_rate"] < 1 else [])]
    for key in needed:
        if complete.get(key, "") == "":
            wanted = allowed(schema["properties"][key], schema["$defs"])
            why = "; with random_background_rate 1 it is not" if key == "background_image_root" else ""
            state = "empty" if key in complete else "missing"
            yield Violation(pointer([key]), f"{state}; pyramid_generate needs it{why}: {wanted}")


def _rule_problems(complete: Mapping[str, Any]) -> Iterator[Violation]:
    objective = complete.get("objective_type")
    if objective is not None and objective not in OBJECTIVES:
        yield Violation(
            "/objective_type",
            f"found {found(objective)}, allowed is one of {', '.join(OBJECTIVES)}: what can be generated",
        )
    least, most = complete["occupancy_range"]
    if least > most or most == 0:
        yield Violation(
            "/occupancy_range",
            f"found {found([least, most])}, allowed is [least, largest], and no largest of 0",
        )
    for key in ("constant_box_label", "background_label"):
        if not isinstance(complete.get(key, ""), str):
            yield Violation(pointer([key]), f"found {found(complete[key])}, allowed is a string")
    if objective == "categorical":
        yield from _background_label_problems(complete)


def _background_label_problems(complete: Mapping[str, Any]) -> Iterator[Violation]:
    label = complete.get("background_label")
    if isinstance(label, str) and not _can_be_a_directory(label):
        yield Violation(
            "/background_label",
            f"found {found(label)}, allowed is a string that can be the name of a directory: images are written into "
            "one for each label",
        )
    if label is None and (complete["empty_image_rate"] > 0 or complete["max_foreground_images"] == 0):
        yield Violation(
            "/background_label",
            "missing; images without foreground need a label, as empty_image_rate or max_foreground_images asks for "
            "such images: a string",
        )


def _can_be_a_directory(name: str) -> bool:
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        return False
    return 0 < size <= LONGEST_NAME_BYTES and name not in (".", "..") and not set(name) & {"/", "\\", "\0"}


def _options(complete: Mapping[str, Any]) -> GenerationOptions:
    width, height, _ = complete["input_image_shape"]
    least, most = complete["occupancy_range"]
    return GenerationOptions(
        seed=complete.get("seed", SEED),
        width=width,
        height=height,
        has_boxes=complete["objective_type"] == "bounding_box",
        foreground_root=complete["foreground_image_root"],
        background_root=complete.get("background_image_root") or None,
        foreground_augmentations=parse_augmentations(
            *_asked(complete, FOREGROUND_KEYS), generation=True, keys=FOREGROUND_KEYS
        ),
        background_augmentations=parse_augmentations(
            *_asked(complete, BACKGROUND_KEYS), keys=BACKGROUND_KEYS
        ),
        background_label=complete.get("background_label"),
        box_margin=complete["bounding_box_margin"],
        constant_box_label=complete.get("constant_box_label"),
        empty_rate=complete["empty_image_rate"],
        random_background_rate=complete["random_background_rate"],
        occupancy=(least, most),
        max_foregrounds=complete["max_foreground_images"],
        is_balanced=complete.get("balance_objective", False),
        rescale_type=complete.get("rescale_type", RESCALE_TYPE),
        exif_rotation=complete.get("exif_rotation", False),
    )


def _asked(complete: Mapping[str, Any], keys: tuple[str, str]) -> tuple[Any, Any]:
    names, ranges = keys
    return complete.get(names), complete.get(ranges)
