from __future__ import annotations

import json
import time
from dataclasses import fields
from importlib import import_module
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, validators

from pyramid.errors import SettingsError
from pyramid.fields import OBJECTIVES
from pyramid.images.training_types import TRAINING_TYPES
from pyramid.jobs import JOBS as JOBS_BY_TYPE
from pyramid.settings.base_settings import BaseSettings, job_id_of
from pyramid.settings.docs import page
from pyramid.settings.options import FitOptions, Options
from pyramid.settings.semantics import LOSSES
from pyramid.settings.validate import SCHEMA_PATH, schema, violations
from pyramid.train.losses import LOSSES as TRAINED_LOSSES
from pyramid.train.optimizers import OPTIMIZERS
from sensenet.pretrained import NETWORKS

NUMERIC = {"index": 0, "type": "numeric", "mean": 5.8, "stdev": 0.8}
WEIGHT = {"index": 1, "type": "numeric", "mean": 1, "stdev": 0}
CLASSES = {"index": 2, "type": "categorical", "values": ["a", "b"]}
LAYERS = [{"type": "dense", "number_of_nodes": 2, "weights": "glorot_uniform", "offset": "zeros"}]
COMMON = {
    "job_id": "m-1.x_2",
    "objective_type": "categorical",
    "output_directory": "/tmp/out",
    "info_list": [NUMERIC, CLASSES],
}
JOBS: dict[str, dict[str, Any]] = {
    "dataset_caching": {
        **COMMON,
        "job_type": "dataset_caching",
        "seed": 1,
        "is_search": False,
        "cache_file": "rows.ser",
        "cache_rows": 150,
        "max_data_size": 10**9,
        "parallelism": 2,
        "tree_embedding": True,
    },
    "standard_training": {
        **COMMON,
        "job_type": "standard_training",
        "seed": 1,
        "cache_file": "full_dataset.npy",
        "tree_embedding": False,
        "tree_inputs": 0,
        "layers": LAYERS,
        "batch_size": 32,
        "descent_algorithm": "adam",
        "learning_rate": 0.01,
        "loss_function": "crossentropy",
    },
    "finalize_output": {**COMMON, "job_type": "finalize_output", "is_search": False},
    "image_training": {
        **{key: value for key, value in COMMON.items() if key != "job_id"},
        "job_type": "image_training",
        "seed": 1,
        "layers": [],
        "base_image_network": "mobilenetv2",
        "image_training_type": "fine_tune",
        "image_training_data": [],
        "batch_size": 32,
        "descent_algorithm": "adam",
        "learning_rate": 0.001,
        "loss_function": "crossentropy",
    },
}
JOBS["search_submodel"] = {**JOBS["standard_training"], "job_type": "search_submodel"}
TRAINING = JOBS["standard_training"]


def broken_rules(job: Any) -> dict[str, str]:
    """The violations of a job: JSON pointer -> message."""
    with pytest.raises(SettingsError) as caught:
        BaseSettings(job)
    assert isinstance(caught.value, ValueError)
    return {violation.path: violation.message for violation in caught.value.violations}


def without(job: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in job.items() if name != key}


@pytest.mark.parametrize("job_type", JOBS)
def test_a_job_of_every_type_is_accepted(job_type: str) -> None:
    assert BaseSettings(JOBS[job_type]).job_type == job_type


def test_the_schema_is_a_valid_schema_of_its_draft() -> None:
    Draft202012Validator.check_schema(schema())


REQUIRED = [(job_type, key) for job_type, job in JOBS.items() for key in job if key != "job_type"]


@pytest.mark.parametrize("absent", [pytest.param(True, id="absent"), pytest.param(False, id="null")])
@pytest.mark.parametrize(("job_type", "key"), REQUIRED)
def test_a_required_key_that_is_not_given_is_named(job_type: str, key: str, absent: bool) -> None:
    job = without(JOBS[job_type], key) if absent else {**JOBS[job_type], key: None}
    pointer = "/cache_file" if key == "image_training_data" else f"/{key}"
    assert pointer in broken_rules(job)


@pytest.mark.parametrize("job_type", [None, "absent"])
def test_a_job_without_a_type_is_a_standard_training(job_type: str | None) -> None:
    job = {**TRAINING, "job_type": None} if job_type is None else without(TRAINING, "job_type")
    assert BaseSettings(job).job_type == "standard_training"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("seed", -1),
        ("seed", 2**31),
        ("seed", 5.0),
        ("seed", True),
        ("seed", "1"),
        ("batch_size", 0),
        ("batch_size", 8193),
        ("learning_rate", 0),
        ("learning_rate", "0.1"),
        ("learning_rate", float("nan")),
        ("learning_rate", float("inf")),
        ("learning_rate", False),
        ("beta1", 1.01),
        ("momentum", -0.1),
        ("learning_rate_power", 0.5),
        ("label_smoothing_factor", 0.6),
        ("dropout_rate", 0.8),
        ("logging_level", 0),
        ("logging_level", 2.0),
        ("logging_level", True),
        ("tree_embedding", 1),
        ("tree_embedding", "true"),
        ("number_of_layers", 129),
        ("largest_layer_size", 1),
        ("deepnet_version", "gamma"),
        ("color_space", "bgr"),
        ("input_image_shape", [32, 32, 1]),
        ("input_image_shape", [32, 32]),
        ("input_image_shape", [32, 32, 3.0]),
        ("augmentation_ranges", {"flip": "yes"}),
        ("class_weights", [["a", 1, 2]]),
        ("base_image_network", "vgg"),
        ("job_id", ""),
        ("job_id", ".hidden"),
        ("job_id", "../up"),
        ("job_id", "a/b"),
        ("job_id", "a b"),
        ("job_id", "a\n"),
        ("job_id", 7),
        ("output_directory", ""),
        ("info_list", {}),
        ("layers", {}),
        ("layers", [3]),
        ("objective_type", "categorial"),
        ("job_type", "train"),
        ("max_total_time", 0),
    ],
)
def test_a_wrong_value_is_refused_at_its_place(key: str, value: Any) -> None:
    (path,) = broken_rules({**TRAINING, key: value})
    assert path.split("/")[1] == key


@pytest.mark.parametrize(
    "name", ["initial_model_0", "initial_model", "simple", "tinyyolov4", "xception", "resnet18"]
)
def test_an_image_network_goes_by_its_name(name: str) -> None:
    assert BaseSettings({**TRAINING, "base_image_network": name}).base_image_network == name


@pytest.mark.parametrize(
    ("typed", "meant"), [("batchsize", "batch_size"), ("learning-rate", "learning_rate"), ("Seed", "seed")]
)
def test_an_unknown_key_names_the_nearest_known_one(typed: str, meant: str) -> None:
    assert f"'{meant}'" in broken_rules({**TRAINING, typed: 1})[f"/{typed}"]


def test_an_unknown_key_is_escaped_in_its_pointer() -> None:
    assert list(broken_rules({**TRAINING, "a/b~c": 1})) == ["/a~1b~0c"]


def test_all_violations_come_at_once_in_the_order_of_the_file() -> None:
    job = {**without(TRAINING, "loss_function"), "seed": -1, "batch_size": 0, "patience": "x", "bach": 1}
    broken = broken_rules(job)
    assert list(broken) == ["/seed", "/batch_size", "/patience", "/bach", "/loss_function"]
    assert "found 0" in broken["/batch_size"]
    assert "an integer from 1 to 8192" in broken["/batch_size"]
    with pytest.raises(SettingsError, match=r"/seed.*/batch_size.*/patience.*/bach.*/loss_function"):
        BaseSettings(job)


@pytest.mark.parametrize(
    ("objective", "loss"), [("categorical", "huber"), ("numeric", "hinge"), ("numeric", "crossentropy")]
)
def test_a_loss_of_the_wrong_kind_is_refused(objective: str, loss: str) -> None:
    fields = [NUMERIC, CLASSES if objective == "categorical" else WEIGHT]
    job = {**TRAINING, "objective_type": objective, "info_list": fields, "loss_function": loss}
    assert f"the objective is {objective}" in broken_rules(job)["/loss_function"]


def test_a_job_that_uses_no_loss_may_carry_any() -> None:
    assert BaseSettings({**JOBS["dataset_caching"], "loss_function": "huber"}).loss_function == "huber"


def test_a_triplet_objective_is_not_supported() -> None:
    assert "not supported" in broken_rules({**TRAINING, "objective_type": "triplet"})["/objective_type"]


@pytest.mark.parametrize(
    ("fields", "more", "path"),
    [
        ([NUMERIC, WEIGHT], {}, "/info_list/1/type"),
        ([NUMERIC, {"type": "bounding_box", "values": ["a"]}, CLASSES], {}, "/info_list/1/type"),
        ([CLASSES], {}, "/info_list"),
        ([WEIGHT, CLASSES], {"instance_weights": True}, "/info_list"),
        ([CLASSES], {"instance_weights": True}, "/info_list"),
        ([NUMERIC, CLASSES, CLASSES], {"instance_weights": True}, "/info_list/1/type"),
        ([NUMERIC, {**CLASSES, "values": ["a", "b", "a"]}], {}, "/info_list/1/values"),
        ([NUMERIC, {**CLASSES, "values": []}], {}, "/info_list/1/values"),
        ([NUMERIC, {**CLASSES, "values": ["a", 1]}], {}, "/info_list/1/values/1"),
        ([{"type": "numeric", "index": 0, "mean": 1}, CLASSES], {}, "/info_list/0/stdev"),
        ([{**NUMERIC, "stdev": -1}, CLASSES], {}, "/info_list/0/stdev"),
        ([{**NUMERIC, "mean": float("nan")}, CLASSES], {}, "/info_list/0/mean"),
        ([{**NUMERIC, "mean": None}, CLASSES], {}, "/info_list/0/mean"),
        ([{**NUMERIC, "name": 3}, CLASSES], {}, "/info_list/0/name"),
        ([{**NUMERIC, "colour": "x"}, CLASSES], {}, "/info_list/0/colour"),
        ([{"index": 0}, CLASSES], {}, "/info_list/0/type"),
        ([{"index": 0, "type": "text"}, CLASSES], {}, "/info_list/0/type"),
        ([7, CLASSES], {}, "/info_list/0"),
    ],
)
def test_a_wrong_field_is_refused_at_its_place(fields: list[Any], more: dict[str, Any], path: str) -> None:
    assert list(broken_rules({**TRAINING, "info_list": fields, **more})) == [path]


@pytest.mark.parametrize(
    ("weights", "path"),
    [
        ([["a", 1], ["c", 1]], "/class_weights/1/0"),
        ([["a", 1], ["a", 2]], "/class_weights/1/0"),
        ([["a", 0], ["b", 0]], "/class_weights"),
        ([["a", -1]], "/class_weights/0/1"),
        ([[1, 1]], "/class_weights/0/0"),
    ],
)
def test_wrong_class_weights_are_refused(weights: list[Any], path: str) -> None:
    assert list(broken_rules({**TRAINING, "class_weights": weights})) == [path]


def test_class_weights_of_a_numeric_objective_are_refused() -> None:
    job = {**TRAINING, "objective_type": "numeric", "info_list": [NUMERIC, WEIGHT], "loss_function": "huber"}
    job["layers"] = [{**LAYERS[0], "number_of_nodes": 1}]
    assert list(broken_rules({**job, "class_weights": [["a", 1]]})) == ["/class_weights"]


@pytest.mark.parametrize("value", [[], "job", 3, None])
def test_what_is_no_object_is_refused(value: Any) -> None:
    assert "JSON object" in broken_rules(value)[""]


@pytest.mark.parametrize(
    ("algorithm", "rho", "momentum"),
    [("adadelta", 0.95, None), ("rms_prop", 0.9, 0), ("momentum", None, 0.9), ("adam", None, None)],
)
def test_defaults_follow_the_algorithm(algorithm: str, rho: float | None, momentum: float | None) -> None:
    settings = BaseSettings({**TRAINING, "descent_algorithm": algorithm})
    assert (settings.rho, settings.momentum) == (rho, momentum)
    assert (settings.beta1, settings.beta2, settings.epsilon) == (0.9, 0.999, 1e-7)


def test_a_null_takes_the_default_and_a_value_keeps_it_away() -> None:
    assert BaseSettings({**TRAINING, "patience": None}).patience == 32
    assert BaseSettings({**TRAINING, "patience": 5}).patience == 5
    assert BaseSettings({**TRAINING, "descent_algorithm": "rms_prop", "momentum": 0.5}).momentum == 0.5


def test_the_augmentation_seed_is_the_seed_where_it_is_not_given() -> None:
    assert BaseSettings({**TRAINING, "seed": 9}).augmentation_seed == 9
    assert BaseSettings({**TRAINING, "seed": 9, "augmentation_seed": 3}).augmentation_seed == 3


def test_an_image_job_is_called_after_its_network_and_training() -> None:
    assert BaseSettings(JOBS["image_training"]).job_id == "mobilenetv2_fine_tune"
    assert job_id_of({"job_type": "image_training", "base_image_network": 3}) is None
    assert job_id_of({"job_id": 7}) is None


def test_an_image_job_that_reads_a_ser_needs_the_number_of_its_rows() -> None:
    job = {**JOBS["image_training"], "cache_file": "rows.ser"}
    assert list(broken_rules(job)) == ["/cache_rows"]
    assert BaseSettings({**job, "cache_rows": 3}).cache_rows == 3


def test_settings_give_attributes_and_never_change() -> None:
    settings = BaseSettings(TRAINING)
    assert settings.learning_rate == 0.01
    assert settings.max_iterations is None
    assert settings.info_list == [NUMERIC, CLASSES]
    with pytest.raises(AttributeError, match="did you mean 'learning_rate'"):
        _ = settings.learning_rat
    with pytest.raises(AttributeError, match="never change"):
        settings.seed = 3
    with pytest.raises(AttributeError, match="never change"):
        del settings.seed
    settings.as_dict()["seed"] = 77
    assert settings.seed == 1


def test_settings_survive_their_way_to_another_process() -> None:
    settings = BaseSettings(TRAINING)
    sent = json.loads(json.dumps(settings.as_dict()))
    assert BaseSettings.of_validated(sent) == settings
    assert BaseSettings(sent) == settings


def test_thousands_of_fields_are_validated_in_less_than_half_a_second() -> None:
    fields = [{**NUMERIC, "index": index} for index in range(5000)]
    fields.append({**CLASSES, "values": [f"class {number}" for number in range(20000)]})
    layers = [{**LAYERS[0], "number_of_nodes": 20000}]
    started = time.process_time()
    BaseSettings({**TRAINING, "info_list": fields, "layers": layers})
    assert time.process_time() - started < 0.5


def test_the_docs_page_is_up_to_date() -> None:
    written = SCHEMA_PATH.parents[3] / "docs" / "settings.md"
    assert written.read_text(encoding="utf-8") == page(), "run: python -m pyramid.settings > docs/settings.md"


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 10000),
    st.floats(),
    st.text(max_size=3),
    st.sampled_from(["numeric", "categorical", "image", "bounding_box", "adam", "rms_prop"]),
)
FIELDS = st.dictionaries(
    st.sampled_from(["index", "type", "mean", "stdev", "values", "x"]),
    SCALARS | st.lists(st.text(max_size=1) | st.integers(), max_size=2),
)
LAYER = st.deferred(
    lambda: st.dictionaries(
        st.sampled_from(["type", "inputs", "number_of_nodes", "rate", "seed", "dense_path", "other"]),
        SCALARS | st.sampled_from(["dense", "dropout"]) | st.lists(st.integers() | LAYER, max_size=2),
        max_size=3,
    )
)
NESTED = st.fixed_dictionaries(
    {},
    optional={
        "layers": st.lists(LAYER | SCALARS, max_size=3),
        "class_weights": st.lists(st.lists(SCALARS, max_size=3), max_size=3),
        "augmentation_ranges": st.dictionaries(st.text(max_size=1), SCALARS, max_size=3),
        "bounding_box_anchors": st.lists(st.lists(SCALARS, max_size=3), max_size=2),
        "input_image_shape": st.lists(st.sampled_from([1, 3, 3.0, 0, True, "3"]), max_size=4),
    },
)
CHANGES = NESTED | st.dictionaries(
    st.sampled_from(sorted(schema()["properties"])), SCALARS | st.lists(SCALARS, max_size=3), max_size=4
)


# what the schema allows by itself and `settings.semantics` may refuse
RULES_BETWEEN_KEYS = {
    *("info_list", "loss_function", "class_weights", "objective_type", "cache_file", "cache_rows", "layers"),
    *("base_image_network", "image_training_type", "input_image_shape", "initial_model"),
    *("image_augmentations", "augmentation_ranges", "image_training_data", "output_directory"),
    *("image_root", "background_image_root", "foreground_image_root"),
}


@given(st.sampled_from(sorted(JOBS)), CHANGES, st.none() | st.lists(FIELDS | SCALARS, max_size=3))
def test_a_job_is_refused_for_the_places_that_plain_jsonschema_refuses(
    job_type: str, changes: dict[str, Any], fields: list[Any] | None
) -> None:
    job = {**JOBS[job_type], **changes} | ({} if fields is None else {"info_list": fields})
    given_keys = {key: value for key, value in job.items() if value is not None}
    given_keys.setdefault("job_type", "standard_training")
    expected = {_owner(error) for error in _reference().iter_errors(given_keys)}
    actual = {violation.path.split("/")[1] for violation in violations(job)}
    # Rules between keys come on top of the schema's; what the schema refuses must be the same.
    assert expected - {""} <= actual
    if not expected:
        assert actual <= RULES_BETWEEN_KEYS


MANY = 300_000


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"info_list": [{"index": -1}] * MANY}, "/info_list/0/index"),
        ({"info_list": [NUMERIC, {**CLASSES, "values": list(range(MANY))}]}, "/info_list/1/values/0"),
        ({"info_list": [{"type": "bounding_box", "values": ["a"]}] * MANY + [CLASSES]}, "/info_list/0/type"),
        ({"layers": [{"type": "dens"}] * MANY}, "/layers/0/type"),
        ({"class_weights": [[1, "a"]] * MANY}, "/class_weights/0/0"),
        ({"augmentation_ranges": {f"a{i}": "x" for i in range(MANY)}}, "/augmentation_ranges/a0"),
        ({f"unknown{i}": 1 for i in range(MANY)}, "/unknown0"),
    ],
    ids=["fields", "values", "boxes", "layers", "weights", "ranges", "keys"],
)
def test_of_very_many_wrong_values_the_first_are_told(changes: dict[str, Any], path: str) -> None:
    began = time.process_time()
    with pytest.raises(SettingsError) as caught:
        BaseSettings({**JOBS["standard_training"], **changes})
    assert time.process_time() - began < 2
    assert caught.value.violations[0].path == path
    message = str(caught.value)
    assert message.endswith("; and at least 90 more")
    assert len(message) < 10_000


@pytest.mark.parametrize(
    "changes",
    [
        {"info_list": [NUMERIC] * MANY + [CLASSES]},
        {
            "info_list": [NUMERIC, {**CLASSES, "values": [f"v{i}" for i in range(MANY)]}],
            "layers": [{**LAYERS[0], "number_of_nodes": MANY}],
        },
        {"layers": LAYERS * 10_000},
        {"class_weights": [["a", 1], ["b", 2]]},
        {"augmentation_ranges": {f"a{i}": 1.5 for i in range(MANY)}},
        {"image_training_data": [{"file": "a.png", "label": 1}] * MANY},
    ],
    ids=["fields", "values", "layers", "weights", "ranges", "rows"],
)
def test_very_many_right_values_are_accepted_at_once(changes: dict[str, Any]) -> None:
    began = time.process_time()
    BaseSettings({**JOBS["standard_training"], **changes})
    assert time.process_time() - began < 2


def test_the_others_are_counted() -> None:
    with pytest.raises(SettingsError, match=r"; and 5 more$") as caught:
        BaseSettings({**JOBS["standard_training"], "class_weights": [[1, 1]] * 15})
    assert len(caught.value.violations) == 15


@pytest.mark.parametrize(
    "changes",
    [
        {"k" * 10**6: 1},
        {"seed": "s" * 10**6},
        {"seed": [["s" * 10**6]]},
        {"seed": {"s" * 10**6: [1] * 10**6}},
    ],
    ids=["key", "text", "in lists", "in an object"],
)
def test_a_long_value_is_told_in_short(changes: dict[str, Any]) -> None:
    with pytest.raises(SettingsError) as caught:
        BaseSettings({**JOBS["standard_training"], **changes})
    assert len(str(caught.value)) < 500


def _reference() -> Any:
    """The schema as jsonschema itself reads it, but for integers and numbers, which are as in job files."""
    checker = Draft202012Validator.TYPE_CHECKER.redefine_many(
        {
            "integer": lambda _, value: type(value) is int,
            "number": lambda _, value: (
                type(value) is int or (type(value) is float and abs(value) < float("inf"))
            ),
        }
    )
    return validators.extend(Draft202012Validator, type_checker=checker)(schema())


def _owner(error: Any) -> str:
    """The key of the job that an error is about; empty for missing keys, which jsonschema names in prose."""
    return str(error.absolute_path[0]) if error.absolute_path else ""


@pytest.mark.parametrize("name", ["initial_model/../../x", "simple\n", "initial_model\n"])
def test_an_image_network_name_that_is_no_directory_name_is_refused(name):
    job = {"job_type": "image_training", "base_image_network": name, "image_training_type": "fine_tune"}
    with pytest.raises(SettingsError) as refused:
        BaseSettings(job)
    assert "/base_image_network" in {violation.path for violation in refused.value.violations}


def test_every_image_network_is_allowed_by_its_name():
    rule = schema()["properties"]["base_image_network"]
    assert sorted(rule["examples"]) == sorted(NETWORKS)
    for name in NETWORKS:
        assert not violations(JOBS["dataset_caching"] | {"base_image_network": name})
        assert name in rule["title"]


@pytest.mark.parametrize("key", ["output_directory", "cache_file", "image_root", "initial_model"])
def test_a_path_with_a_null_character_is_refused(key: str) -> None:
    assert broken_rules({**TRAINING, key: "a\0b"}) == {
        f"/{key}": "found a null character, which no path can have"
    }


def test_a_file_of_an_image_row_with_a_null_character_is_refused() -> None:
    rows = [{"file": "a.png", "label": "a"}, {"file": "\0.png", "label": "b"}]
    broken = broken_rules({**JOBS["image_training"], "image_training_data": rows})
    assert list(broken) == ["/image_training_data/1/file"]


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize("levels", [101, 900, 50_000])
@pytest.mark.parametrize("key", ["training_options", "layers", "topology", "unknown"])
def test_a_value_that_is_nested_too_deep_is_refused_alone(key: str, levels: int) -> None:
    broken = broken_rules({**TRAINING, "batch_size": 0, key: nested(levels)})
    assert broken == {f"/{key}": "nested too deep; allowed are 100 levels of lists and objects"}


def test_a_hundred_levels_are_allowed() -> None:
    BaseSettings({**TRAINING, "topology": nested(100)})


@pytest.mark.parametrize(
    ("key", "registry"),
    [
        ("job_type", JOBS_BY_TYPE),
        ("image_training_type", TRAINING_TYPES),
        ("descent_algorithm", OPTIMIZERS),
        ("loss_function", TRAINED_LOSSES),
        ("loss_function", [name for names in LOSSES.values() for name in names]),
    ],
)
def test_the_schema_knows_what_the_registry_does(key: str, registry: Any) -> None:
    assert sorted(schema()["properties"][key]["enum"]) == sorted(registry)


def test_the_schema_knows_every_layer() -> None:
    known = schema()["$defs"]["layer"]["properties"]["type"]["enum"]
    assert set(known) <= set(import_module("sensenet.layers.registry").LAYERS)


def test_the_objectives_that_are_trained_are_those_with_losses() -> None:
    with_losses = {kind for kind, objective in OBJECTIVES.items() if objective.losses}
    assert (
        with_losses == set(LOSSES) < set(OBJECTIVES) < set(schema()["properties"]["objective_type"]["enum"])
    )
    told = "; ".join(f"{kind}: {', '.join(LOSSES[kind])}" for kind in LOSSES)
    assert schema()["properties"]["loss_function"]["description"] == f"{told}."


def test_a_field_may_have_a_name() -> None:
    job = JOBS["finalize_output"]
    named = [{**NUMERIC, "name": "width"}, {**CLASSES, "name": "kind"}]
    assert violations({**job, "info_list": named}) == []


def test_options_are_settings_or_empty() -> None:
    settings = BaseSettings({**JOBS["standard_training"], "label_smoothing_factor": None, "mixup_alpha": 0.5})
    options = FitOptions.of(settings)
    assert (options.optimizer.descent_algorithm, options.optimizer.beta1) == ("adam", 0.9)
    assert (options.loss.label_smoothing_factor, options.loss.class_weights) == (0.0, ())
    assert (options.sampling.mixup_alpha, options.sampling.balance_objective) == (0.5, False)
    assert (options.limits.max_iterations, options.limits.patience) == (None, 32)


@pytest.mark.parametrize("kind", list(Options.__subclasses__()), ids=lambda kind: kind.__name__)
def test_every_option_is_a_setting(kind: type[Options]) -> None:
    assert {field.name for field in fields(kind)} <= schema()["properties"].keys()
