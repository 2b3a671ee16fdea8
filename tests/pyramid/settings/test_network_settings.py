"""What a job asks of networks and augmentations is checked with all the rest, before anything heavy is imported."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import Any

import pytest

from pyramid.errors import SettingsError
from pyramid.settings.base_settings import BaseSettings
from pyramid.settings.validate import schema
from sensenet.document.layer_facts import IMAGE_LAYERS, ROW_LAYERS

DENSE = {"type": "dense", "weights": "glorot_uniform", "offset": "zeros"}
RELU = {"type": "activation", "activation_function": "relu"}
NORMALIZATION = {"type": "batch_normalization"} | dict.fromkeys(("gamma", "beta", "mean", "variance"), "ones")
LEGACY = {"weights": "glorot_uniform", "offset": "zeros", "activation_function": "relu"}
IMAGE_JOB: dict[str, Any] = {
    "job_type": "image_training",
    "objective_type": "categorical",
    "output_directory": "/tmp/out",
    "info_list": [
        {"index": 0, "type": "image"},
        {"index": 1, "type": "categorical", "values": ["a", "b", "c"]},
    ],
    "seed": 1,
    "layers": [DENSE | {"number_of_nodes": 3, "activation_function": "softmax"}],
    "base_image_network": "simple",
    "image_training_type": "randomly_initialize",
    "input_image_shape": [16, 16, 3],
    "image_training_data": [{"file": "a.png", "label": 0}],
    "batch_size": 32,
    "descent_algorithm": "adam",
    "learning_rate": 0.001,
    "loss_function": "crossentropy",
}


def nodes(count: int, **more: Any) -> dict[str, Any]:
    return DENSE | {"number_of_nodes": count} | more


def block(dense_path: list[Any], identity_path: list[Any]) -> dict[str, Any]:
    return {"type": "dense_residual_block", "dense_path": dense_path, "identity_path": identity_path}


def wrong(**changes: Any) -> dict[str, str]:
    with pytest.raises(SettingsError) as caught:
        BaseSettings(IMAGE_JOB | changes)
    return {violation.path: violation.message for violation in caught.value.violations}


def test_everything_that_is_wrong_with_networks_and_augmentations_comes_at_once():
    found = wrong(
        seed=-1,
        layers=[nodes(8, activation_function="rellu"), {"type": "dense"}, nodes(4)],
        input_image_shape=[4, 16, 3],
        image_training_type="fine_tune",
        augmentation_ranges={"zoom": 7, "spin": None},
    )
    assert list(found) == [
        "/seed",
        "/layers/0/activation_function",
        "/layers/1/weights",
        "/layers/2",
        "/image_training_type",
        "/input_image_shape",
        "/augmentation_ranges/zoom",
        "/augmentation_ranges/spin",
    ]
    assert "did you mean 'relu'" in found["/layers/0/activation_function"]
    assert found["/layers/2"] == "the last layer has 4 outputs, but the objective needs 3"


@pytest.mark.parametrize(
    ("layers", "path", "message"),
    [
        ([{"type": "dense"}], "/layers/0/weights", "missing; a dense layer needs it"),
        ([DENSE], "/layers/0/number_of_nodes", "missing"),
        ([nodes(1_000_001), nodes(3)], "/layers/0/number_of_nodes", "from 1 to 1000000"),
        ([nodes(3, weights="glorot")], "/layers/0/weights", "did you mean 'glorot_"),
        ([nodes(3, offset="nought")], "/layers/0/offset", "allowed is numbers or one of"),
        ([{"type": "dropout"}, nodes(3)], "/layers/0/rate", "missing; a dropout layer needs it"),
        ([nodes(3), {"type": "activation"}], "/layers/1/activation_function", "missing"),
        ([nodes(3), {"type": "batch_normalization"}], "/layers/1/gamma", "missing"),
        (
            [nodes(3), {"type": "flatten"}, RELU, nodes(2)],
            "/layers/3",
            "has 2 outputs, but the objective needs 3",
        ),
        ([nodes(2), RELU, {"type": "dropout", "rate": 0.5}], "/layers/2", "has 2 outputs"),
        ([DENSE | {"weights": [[1.0, 2.0]]}], "/layers/0", "has 2 outputs"),
        (
            [nodes(4), DENSE | {"weights": [[1.0, 2.0, 3.0]]}],
            "/layers/1/weights",
            "of 1 inputs.*has 4 outputs",
        ),
        ([{"type": "global_max_pool_2d"}], "/layers/0/type", "which takes images"),
        (
            [{"type": "dropout", "dropout_type": "block", "rate": 0.1}],
            "/layers/0/dropout_type",
            "takes images",
        ),
        ([nodes(5), block([nodes(4)], []), nodes(3)], "/layers/1", "paths of 4 and 5 numbers"),
        (
            [block([nodes(3, activation_function="x")], [])],
            "/layers/0/dense_path/0/activation_function",
            'found "x"',
        ),
        ([nodes(2), nodes(3) | {"inputs": [1]}], "/layers/1/inputs/0", "from 0 to 0"),
        ([nodes(2), nodes(3) | {"inputs": []}], "/layers/1/inputs", "found 0 layers, allowed is one"),
        (
            [nodes(2), nodes(3) | {"inputs": [0]}, {"type": "add", "inputs": [0, 1]}],
            "/layers/2",
            "inputs of 2 and 3",
        ),
        (
            [nodes(2), nodes(2) | {"inputs": [0]}, {"type": "concatenate", "inputs": [0, 1]}],
            "/layers/2",
            "4 outputs",
        ),
        ([nodes(3)] * 10_001, "/layers", "found 10001 layers, allowed are 10000"),
        ([LEGACY], "/layers/0/number_of_nodes", "missing; a legacy layer"),
        ([LEGACY | {"number_of_nodes": 2}], "/layers/0", "has 2 outputs"),
        (
            [LEGACY | {"number_of_nodes": 3, "stdev": "ones"}],
            "/layers/0/scale",
            "missing; a normalised layer",
        ),
        ([LEGACY | {"weights": [[1.0], [2.0]]}], "/layers/0", "has 2 outputs"),
        ([RELU, LEGACY | {"number_of_nodes": 3}], "/layers/0/type", "legacy form"),
    ],
)
def test_layers_that_cannot_be_built_are_refused_at_their_place(layers, path, message):
    (found_path, found), *_ = wrong(layers=layers).items()
    assert found_path == path
    assert re.search(message, found), found


@pytest.mark.parametrize(
    "layers",
    [
        [],
        [nodes(8), NORMALIZATION, RELU, {"type": "dropout", "rate": 0.1, "dropout_type": "alpha"}, nodes(3)],
        [nodes(4), block([nodes(4), RELU, nodes(4)], []), nodes(3, activation_function="linear")],
        [nodes(2), nodes(1) | {"inputs": [0]}, {"type": "concatenate", "inputs": [0, 1]}],
        [{"type": "split_channels", "number_of_splits": 2, "group_index": 1}],
        [LEGACY | {"number_of_nodes": 5}, LEGACY | {"number_of_nodes": 3, "residuals": True}],
    ],
)
def test_layers_that_can_be_built_pass(layers):
    assert BaseSettings(IMAGE_JOB | {"layers": layers}).layers == layers


@pytest.mark.parametrize(
    ("changes", "path", "message"),
    [
        (
            {"base_image_network": "yolov4"},
            "/base_image_network",
            "which finds boxes, allowed is one of mobilenet",
        ),
        (
            {"image_training_type": "use_pretrained"},
            "/image_training_type",
            "no pretrained weights of simple",
        ),
        (
            {"input_image_shape": [7, 16, 3]},
            "/input_image_shape",
            r"simple: width: expected an integer in \[8, ",
        ),
        ({"input_image_shape": None}, "/input_image_shape", "simple: width: .*got null"),
        (
            {"base_image_network": "initial_model_2"},
            "/initial_model",
            "missing; initial_model_2 is the image network",
        ),
        ({"image_augmentations": ["zoom", "spin"]}, "/image_augmentations/1", "allowed is one of blur"),
        (
            {"augmentation_ranges": {"rotation": 181}},
            "/augmentation_ranges/rotation",
            "a number from 0 to 180",
        ),
    ],
)
def test_a_network_or_an_augmentation_that_cannot_be_is_refused(changes, path, message):
    found = wrong(**changes)
    assert path in found
    assert re.search(message, found[path]), found[path]


@pytest.mark.parametrize("job_type", ["dataset_caching", "finalize_output"])
def test_a_job_that_trains_no_images_may_carry_any_of_it(job_type):
    more = {"job_id": "m", "is_search": False, "cache_file": "rows.ser", "cache_rows": 4}
    sizes = {"max_data_size": 10, "parallelism": 1, "tree_embedding": False}
    carried = {"layers": [nodes(7)], "input_image_shape": [1, 1, 3], "image_augmentations": ["spin"]}
    assert BaseSettings(IMAGE_JOB | more | sizes | carried | {"job_type": job_type}).job_type == job_type


def test_the_schema_names_the_layer_types_that_there_are():
    assert set(schema()["$defs"]["layer"]["properties"]["type"]["enum"]) == {*ROW_LAYERS, *IMAGE_LAYERS}


def test_checking_needs_neither_numpy_nor_tensorflow():
    program = (
        "import json, sys; from pyramid.settings.validate import violations;"
        "print(len(violations(json.load(sys.stdin))), {'tensorflow', 'keras', 'numpy'} & set(sys.modules))"
    )
    job = IMAGE_JOB | {"layers": [nodes(2)], "image_augmentations": ["spin"], "input_image_shape": [1, 1, 3]}
    done = subprocess.run(
        [sys.executable, "-c", program], input=json.dumps(job), capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "3 set()"
