from __future__ import annotations

import errno
from pathlib import Path

import numpy as np
import orjson
import pytest

from pyramid.errors import DataError, WorkspaceError
from pyramid.fields import Fields
from pyramid.jobs import dataset_caching
from pyramid.progress import ignore
from pyramid.settings.base_settings import BaseSettings
from pyramid.tables.encode import Encoding
from pyramid.tables.ser import write_ser
from pyramid.workspace import Workspace
from sensenet.forest import parse_forests, tree_features

CLASSES = {"index": 9, "type": "categorical", "values": ["no", "maybe", "yes"]}
NUMBER = {"index": 9, "type": "numeric", "mean": 2.0, "stdev": 4.0}
WEIGHT = {"index": 8, "type": "numeric", "mean": 1.0, "stdev": 0.0}


def numeric(index: int) -> dict:
    return {"index": index, "type": "numeric", "mean": 1.0, "stdev": 2.0}


FILES = {"dataset_info.json", "evaluation_dataset.npy", "full_dataset.npy", "importance_dataset.npy"}
INPUTS = [
    numeric(0),
    {"index": 1, "type": "categorical", "values": ["a", "b", "c", "d"]},
    *map(numeric, (2, 3, 4)),
    {"index": 5, "type": "numeric", "mean": 7.0, "stdev": 0.0},
]


def rows_of(n_rows: int, objective: dict, weight: bool = False, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    inputs = rng.normal(1, 2, (n_rows, len(INPUTS)))
    inputs[:, 1] = rng.integers(0, 4, n_rows)
    inputs[:, 5] = 7.0
    score = inputs[:, 0] + (inputs[:, 1] == 2) + 0.1 * rng.normal(size=n_rows)
    labels = np.digitize(score, [0.5, 1.5]) if objective is CLASSES else score
    weights = [rng.uniform(0, 2, n_rows)] if weight else []
    return np.column_stack([inputs, *weights, labels])


class Case:
    """A directory, a `.ser` file in it, and the job that caches it."""

    def __init__(self, root: Path, rows: np.ndarray, objective: dict = CLASSES, **settings):
        weight = [WEIGHT] if settings.get("instance_weights") else []
        self.info_list = [*INPUTS, *weight, objective]
        self.rows = rows
        self.workspace = Workspace.create(root / "out")
        self.cache_file = root / "rows.ser"
        write_ser(self.cache_file, rows, self.info_list)
        self.settings = {
            "job_type": "dataset_caching",
            "job_id": "caching",
            "objective_type": "numeric" if objective is NUMBER else "categorical",
            "output_directory": str(root / "out"),
            "info_list": self.info_list,
            "seed": 5,
            "is_search": False,
            "cache_file": str(self.cache_file),
            "cache_rows": len(rows),
            "max_data_size": 10**9,
            "parallelism": 1,
            "tree_embedding": False,
            **settings,
        }

    def run(self, report=ignore, **changes) -> dict:
        settings = BaseSettings(self.settings | changes)
        return dataset_caching.run(settings, self.workspace, report)

    def load(self, name: str) -> np.ndarray:
        return np.load(self.workspace.root / f"{name}.npy", allow_pickle=False)

    def files(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in sorted(self.workspace.root.iterdir())}


@pytest.mark.parametrize("objective", [CLASSES, NUMBER], ids=["classes", "number"])
@pytest.mark.parametrize("weight", [False, True], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("n_rows", [700, 9000])
def test_all_rows_are_cached_as_the_encoding_says(tmp_path, objective, weight, n_rows):
    case = Case(tmp_path, rows_of(n_rows, objective, weight), objective, instance_weights=weight)
    result = case.run()
    full = case.load("full_dataset")
    np.testing.assert_array_equal(full, Encoding.of(Fields.parse(case.info_list, weight)).encode(case.rows))
    assert full.dtype == np.float32
    assert result == {
        "datasets": [str(case.workspace.full_dataset)],
        "full_data_size": full.nbytes,
        "full_data_shape": list(full.shape),
        "row_size": full.strides[0],
        "tree_inputs": 0,
    }
    assert set(case.files()) == FILES


@pytest.mark.parametrize(("n_rows", "expected"), [(300, 300), (4095, 4095), (5000, 4096)])
def test_the_evaluation_set_keeps_the_shares_of_the_classes(tmp_path, n_rows, expected):
    case = Case(tmp_path, rows_of(n_rows, CLASSES))
    case.run()
    full, evaluation = case.load("full_dataset"), case.load("evaluation_dataset")
    assert len(evaluation) == expected
    assert set(map(bytes, evaluation)) <= set(map(bytes, full))
    np.testing.assert_allclose(evaluation[:, -3:].mean(axis=0), full[:, -3:].mean(axis=0), atol=1 / expected)


@pytest.mark.parametrize("balance", [False, True])
def test_importance_rows_are_different_rows_of_the_evaluation_set(tmp_path, balance):
    rows = np.repeat(rows_of(1000, CLASSES), 2, axis=0)
    case = Case(tmp_path, rows, balance_objective=balance)
    case.run()
    importance, evaluation = case.load("importance_dataset"), case.load("evaluation_dataset")
    assert len(importance) == len(np.unique(importance, axis=0)) == 128
    assert set(map(bytes, importance)) <= set(map(bytes, evaluation))
    shares = np.full(3, 1 / 3) if balance else evaluation[:, -3:].mean(axis=0)
    np.testing.assert_allclose(importance[:, -3:].mean(axis=0), shares, atol=2 / 128)


@pytest.mark.parametrize(
    ("max_data_size", "parallelism", "subset_rows"), [(40_000, 2, 20_000 // 48), (48, 1, 1), (0, 1, 1)]
)
def test_subsets_are_samples_that_fit_the_shared_memory(tmp_path, max_data_size, parallelism, subset_rows):
    case = Case(tmp_path, rows_of(700, CLASSES), max_data_size=max_data_size, parallelism=parallelism)
    result = case.run()
    assert result["row_size"] == 48
    full = case.load("full_dataset")
    subsets = [case.load(f"data_subset_{i}") for i in range(8)]
    assert {len(subset) for subset in subsets} == {subset_rows}
    assert all(set(map(bytes, subset)) <= set(map(bytes, full)) for subset in subsets)
    if subset_rows > 1:
        assert all(len(np.unique(subset, axis=0)) == subset_rows for subset in subsets)
        assert not np.array_equal(subsets[0], subsets[1])
    assert result["datasets"] == [
        str(case.workspace.full_dataset),
        *(str(case.workspace.data_subset(i)) for i in range(8)),
    ]


def test_a_matrix_that_just_fits_has_no_subsets(tmp_path):
    case = Case(tmp_path, rows_of(700, CLASSES))
    size = case.run()["full_data_size"]
    assert len(case.run(max_data_size=2 * size, parallelism=2)["datasets"]) == 1
    assert len(case.run(max_data_size=2 * size - 1, parallelism=2)["datasets"]) == 9


def test_a_full_set_beyond_its_limit_is_a_sample(tmp_path, monkeypatch):
    case = Case(tmp_path, rows_of(9000, CLASSES))
    whole = Encoding.of(Fields.parse(case.info_list)).encode(case.rows)
    monkeypatch.setattr(dataset_caching, "MAX_FULL_BYTES", 100_000)
    result = case.run(tree_embedding=True)
    full = case.load("full_dataset")
    assert case.workspace.full_dataset.stat().st_size <= 100_000
    assert len(full) == (100_000 - 128) // result["row_size"]
    assert result["full_data_shape"] == [9000, whole.shape[1] + result["tree_inputs"]]
    assert set(map(bytes, full[:, result["tree_inputs"] :])) <= set(map(bytes, whole))
    assert len(np.unique(full, axis=0)) == len(full)
    assert len(case.load("data_subset_7")) == len(full)


@pytest.mark.parametrize("objective", [CLASSES, NUMBER], ids=["classes", "number"])
@pytest.mark.parametrize("n_rows", [500, 20_000])
def test_tree_features_stand_before_the_inputs(tmp_path, objective, n_rows):
    case = Case(tmp_path, rows_of(n_rows, objective), objective)
    result = case.run(tree_embedding=True)
    n_trees = result["tree_inputs"]
    full = case.load("full_dataset")
    np.testing.assert_array_equal(
        full[:, n_trees:], Encoding.of(Fields.parse(case.info_list)).encode(case.rows)
    )
    forests = parse_forests(orjson.loads(case.workspace.trees.read_bytes()))
    assert (
        sum(forest.n_outputs for forest in forests)
        == n_trees
        == len(orjson.loads(case.workspace.tree_importances.read_bytes()))
    )
    by_document = tree_features(forests, np.ascontiguousarray(full[:, n_trees : n_trees + 9])).numpy()
    is_same = np.isclose(full[:, :n_trees], by_document, atol=1e-6).all(axis=1)
    assert np.count_nonzero(is_same) == pytest.approx(max(0, n_rows - 2048), abs=20)


def test_a_search_always_learns_trees(tmp_path):
    case = Case(tmp_path, rows_of(300, CLASSES))
    assert case.run(is_search=True)["tree_inputs"] == 9


def test_caching_again_removes_what_is_not_replaced(tmp_path):
    case = Case(tmp_path, rows_of(300, CLASSES))
    case.run(tree_embedding=True, max_data_size=1000)
    assert len(case.files()) == 4 + 2 + 8
    case.run()
    assert set(case.files()) == FILES


def test_one_seed_gives_the_same_bytes_and_another_seed_others(tmp_path):
    case = Case(tmp_path, rows_of(20_000, CLASSES))
    options = {"tree_embedding": True, "max_data_size": 100_000}
    case.run(**options)
    first = case.files()
    case.run(**options)
    assert case.files() == first
    case.run(**options, seed=6)
    different = [name for name, content in case.files().items() if content != first[name]]
    assert sorted(different) == sorted(first)


@pytest.mark.parametrize("trees", [False, True])
@pytest.mark.parametrize(
    "rows", [rows_of(1, CLASSES), rows_of(1, NUMBER), rows_of(2, CLASSES), rows_of(40, CLASSES)], ids=len
)
def test_few_rows_are_cached(tmp_path, rows, trees):
    objective = NUMBER if rows[0, -1] % 1 else CLASSES
    result = Case(tmp_path, rows, objective, tree_embedding=trees).run()
    assert result["full_data_shape"][0] == len(rows)


@pytest.mark.parametrize("values", [["no"], ["no", "maybe", "yes"]])
def test_one_class_alone_is_cached_without_tree_features(tmp_path, values):
    rows = rows_of(200, CLASSES)
    rows[:, -1] = 0
    case = Case(tmp_path, rows, CLASSES | {"values": values}, tree_embedding=True)
    assert case.run()["tree_inputs"] == 0
    assert orjson.loads(case.workspace.trees.read_bytes()) == []
    assert orjson.loads(case.workspace.tree_importances.read_bytes()) == []


def test_a_constant_objective_number_is_cached(tmp_path):
    rows = rows_of(200, NUMBER)
    rows[:, -1] = 3.0
    case = Case(
        tmp_path, rows, NUMBER | {"mean": 3.0, "stdev": 0.0}, objective_type="numeric", tree_embedding=True
    )
    case.run()
    assert not case.load("full_dataset")[:, -1].any()


def test_progress_rises_and_says_what_is_done(tmp_path):
    told: list[tuple[float, str]] = []
    Case(tmp_path, rows_of(9000, CLASSES), tree_embedding=True).run(
        lambda progress, message: told.append((progress, message))
    )
    shares = [progress for progress, _ in told]
    assert shares == sorted(shares) and shares[0] >= 0 and shares[-1] <= 1
    assert {"reading the rows", "learning trees"} <= {message for _, message in told}


@pytest.mark.parametrize(
    ("row", "column", "value", "message"),
    [
        (4321, -1, np.nan, "row 4321: the objective is nan"),
        (4999, -1, 3.0, "row 4999: the objective is 3.0, expected a class index from 0 to 2"),
        (17, -2, -1.0, "row 17: the weight is -1.0"),
    ],
)
def test_an_unusable_row_is_named_and_old_results_stay(tmp_path, row, column, value, message):
    rows = rows_of(5000, CLASSES, weight=True)
    Case(tmp_path, rows, instance_weights=True).run(tree_embedding=True, max_data_size=1000)
    rows[row, column] = value
    case = Case(tmp_path, rows, instance_weights=True)
    before = case.files()
    with pytest.raises(DataError, match=message) as caught:
        case.run(tree_embedding=True)
    assert str(case.cache_file) in str(caught.value)
    assert case.files() == before


def test_a_wrong_count_gives_both_numbers(tmp_path):
    case = Case(tmp_path, rows_of(50, CLASSES))
    with pytest.raises(DataError, match="cache_rows = 51 rows, found 50"):
        case.run(cache_rows=51)


def test_a_full_disk_is_reported_and_old_results_stay(tmp_path, monkeypatch):
    case = Case(tmp_path, rows_of(5000, CLASSES))
    case.run()
    before = case.files()

    def no_space(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np.lib.format, "write_array_header_1_0", no_space)
    with pytest.raises(WorkspaceError, match=r"full_dataset\.npy cannot be written: No space left"):
        case.run(seed=9)
    assert case.files() == before
