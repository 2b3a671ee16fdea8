"""What belongs together stays together: killed jobs, jobs that were run again, and disks without room."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from fabricated import FILES, FOREST, fabricate_submodel, finalize

from pyramid.errors import DataError, SettingsError, WorkspaceError
from pyramid.jobs import dataset_caching, finalizing, training, training_start
from pyramid.progress import ignore
from pyramid.settings.base_settings import BaseSettings
from pyramid.storage.digests import digest
from pyramid.submodels.files import write_submodel
from pyramid.tables.recipe import categorical_field, numeric_field, readout_layers, tabular_jobs
from pyramid.tables.ser import write_ser
from pyramid.workspace import Workspace, read_json, write_array, write_json
from sensenet.files import WholeFile
from sensenet.formats.h5 import encode_weights

KIB = 1024


class Killed(BaseException):
    """The end of a process, as far as its files can tell."""


@pytest.fixture
def kill_after(monkeypatch) -> Callable[[int | None], None]:
    """Makes this process die before it gives one more file its name than so many; None lets it live."""
    publish = WholeFile.publish
    left = [0]

    def counted(file: WholeFile) -> None:
        if left[0] == 0:
            raise Killed
        left[0] -= 1
        publish(file)

    def kill(renames: int | None) -> None:
        left[0] = -1 if renames is None else renames

    kill(None)
    monkeypatch.setattr(WholeFile, "publish", counted)
    return kill


def prepare(
    workspace: Workspace, job_id: str = "m1", accuracy: float | None = None, **changes
) -> Callable[[], None]:
    """What writes a fabricated submodel as jobs do: with digests, over what is there."""
    made = Workspace.create(workspace.root.parent / "made")
    model = fabricate_submodel(made, job_id, accuracy=accuracy, **changes)
    submodel = made.submodel(job_id)
    info = read_json(submodel.fit_info, "training")
    evaluations = None if accuracy is None else read_json(submodel.evaluations, "training")
    shutil.rmtree(made.root)
    cached = {}
    if info["uses_trees"]:
        if not workspace.trees.exists():
            write_json(workspace.trees, [FOREST])
        cached["trees"] = digest(workspace.trees.read_bytes())
    return lambda: write_submodel(
        workspace.submodel(job_id), [encode_weights(model)], info, cached, evaluations
    )


def fabricate(workspace: Workspace, *args, **changes) -> None:
    prepare(workspace, *args, **changes)()


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.create(tmp_path / "out")


def finalize_search(workspace: Workspace) -> list[str]:
    """Finalize all submodels; gives the warnings."""
    told: list[str] = []
    finalize(
        workspace,
        is_search=True,
        model_fraction=1.0,
        report=lambda _, message="", **facts: told.append(message),
    )
    return [message for message in told if message.startswith("warning")]


@pytest.mark.parametrize("renames", [0, 1, 2])
def test_a_kill_among_the_names_never_pairs_old_and_new(workspace, kill_after, renames):
    fabricate(workspace)
    # the same layers, so that nothing but a digest tells the weights apart
    write = prepare(workspace, weight=2.0, iterations=77, accuracy=0.5)
    kill_after(renames)
    with pytest.raises(Killed):
        write()
    kill_after(None)
    if renames == 1:
        message = (
            r"model_weights\.h5 does not belong to .*model_fit_info\.json.*run the training job m1 again"
        )
        with pytest.raises(WorkspaceError, match=message):
            finalize(workspace)
        assert not FILES & {path.name for path in workspace.root.iterdir()}
        return
    finalize(workspace)
    document = read_json(workspace.final_model, "finalizing")
    is_new = document["layers"][0]["weights"][0][0] > 1
    assert (document["iterations"], is_new) == ((77, True) if renames else (5, False))


def test_layers_that_were_changed_afterwards_are_refused(workspace):
    fabricate(workspace)
    path = workspace.submodel("m1").fit_info
    info = read_json(path, "training")
    info["layers"][0]["activation_function"] = "tanh"
    write_json(path, info)
    with pytest.raises(
        WorkspaceError, match=r"model_fit_info\.json: its layers are not those that .* m1 wrote"
    ):
        finalize(workspace)


@pytest.mark.parametrize("found", ["does not belong to", "is gone"])
def test_out_of_fold_predictions_of_other_networks_are_refused(workspace, found):
    fabricate(workspace)
    submodel = workspace.submodel("m1")
    info, weights = read_json(submodel.fit_info, "training"), submodel.weights.read_bytes()
    write_submodel(submodel, [weights], info, out_of_fold=np.zeros((4, 3), np.float32))
    finalize(workspace)
    submodel.out_of_fold.unlink()
    if found != "is gone":
        write_array(submodel.out_of_fold, np.ones((4, 3), np.float32))
    with pytest.raises(WorkspaceError, match=rf"out_of_fold\.npy.*{found}.*run the training job m1 again"):
        finalize(workspace)


def test_trees_that_the_weights_never_saw_are_refused(workspace):
    fabricate(workspace, uses_trees=True)
    write_json(workspace.trees, [[FOREST[0], FOREST[1][::-1]]])
    with pytest.raises(
        WorkspaceError, match=r"trees\.json, which a dataset_caching job.*run the training job m1"
    ):
        finalize(workspace)
    workspace.trees.unlink()
    with pytest.raises(WorkspaceError, match=r"trees\.json, which a dataset_caching job writes, is gone"):
        finalize(workspace)


def test_what_an_earlier_version_left_is_finalized(workspace):
    fabricate_submodel(workspace, uses_trees=True)
    write_json(workspace.trees, [[FOREST[0], FOREST[1][::-1]]])
    finalize(workspace)
    assert workspace.final_model.exists()


@pytest.mark.parametrize("renames", [0, 1, 2])
def test_a_killed_attempt_is_no_attempt(workspace, kill_after, renames):
    for number, job_id in enumerate(("a", "b", "c")):
        fabricate(workspace, job_id, accuracy=0.5 + number / 10)
    write = prepare(workspace, "c", accuracy=0.9, nodes=9)
    kill_after(renames)
    with pytest.raises(Killed):
        write()
    kill_after(None)
    assert not workspace.submodel("c").evaluations.exists()
    assert finalize_search(workspace) == []
    assert len(read_json(workspace.final_model, "finalizing")["candidates"]) == 2


def test_an_attempt_whose_pieces_do_not_fit_is_left_out_with_a_warning(workspace):
    fabricate(workspace, "a", accuracy=0.5)
    fabricate(workspace, "b", accuracy=0.6, nodes=7)
    weights = [workspace.submodel(name).weights for name in "ab"]
    shutil.copyfile(weights[1], weights[0])
    (warning,) = finalize_search(workspace)
    assert "submodel_a/model_weights.h5 does not belong to" in warning
    assert "run the training job a again" in warning
    assert len(read_json(workspace.final_model, "finalizing")["candidates"]) == 1


def test_an_attempt_without_weights_is_left_out_and_alone_is_an_error(workspace):
    for job_id in "ab":
        fabricate(workspace, job_id, accuracy=0.5)
    workspace.submodel("a").weights.unlink()
    (warning,) = finalize_search(workspace)
    assert "submodel_a/model_weights.h5, which the training job a writes, is gone" in warning
    with pytest.raises(
        WorkspaceError, match=r"submodel_a/model_weights\.h5, which the training job a writes"
    ):
        finalize(workspace, job_id="a")


def test_attempts_of_an_earlier_caching_are_left_out(workspace):
    fabricate(workspace, "old", accuracy=0.9, uses_trees=True)
    write_json(workspace.trees, [[FOREST[0], FOREST[1][::-1]]])
    fabricate(workspace, "new", accuracy=0.5, uses_trees=True)
    (warning,) = finalize_search(workspace)
    assert "trees.json" in warning and "submodel_old/model_fit_info.json" in warning
    assert read_json(workspace.final_model, "finalizing")["trees"] == read_json(workspace.trees, "caching")


def test_a_search_without_a_whole_attempt_names_all(workspace):
    for job_id in "ab":
        fabricate(workspace, job_id, accuracy=0.5)
        workspace.submodel(job_id).weights.write_bytes(b"other")
    with pytest.raises(WorkspaceError, match=r"no submodel of the search is whole.*submodel_a.*submodel_b"):
        finalize_search(workspace)


def leave_free(disk: Path, free_bytes: int) -> None:
    ballast = disk / "ballast"
    ballast.unlink(missing_ok=True)
    there = os.statvfs(disk)
    ballast.write_bytes(bytes(max(0, there.f_bavail * there.f_frsize - free_bytes)))


def content_of(workspace: Workspace) -> dict[str, bytes]:
    """All files but those that fill the disk; asserts that nothing is half-written."""
    names = {path.name for path in workspace.root.rglob("*")}
    assert not [name for name in names if name.endswith(".partial") or name.startswith(".")]
    return {
        str(path.relative_to(workspace.root)): path.read_bytes()
        for path in workspace.root.rglob("*")
        if path.is_file() and path.name != "ballast"
    }


@pytest.mark.slow
def test_a_final_model_without_room_is_one_error_and_the_old_one_stays(mount):
    workspace = Workspace.create(mount("size=2m"))
    fabricate(workspace)
    shutil.rmtree(workspace.root.parent / "made", ignore_errors=True)
    finalize(workspace)
    before = content_of(workspace)
    needed = sum(len(content) for path, content in before.items() if Path(path).parts[0] in FILES)
    outcomes = set()
    for free in [*range(0, 48 * KIB, 4 * KIB), *range(48 * KIB, needed + 64 * KIB, 24 * KIB)]:
        leave_free(workspace.root, free)
        try:
            finalize(workspace)
        except WorkspaceError as error:
            named = [
                name for name in FILES if f"{name} cannot be written: No space left on device" in str(error)
            ]
            assert len(named) == 1, error
            assert content_of(workspace) == before
            outcomes.update(named)
        else:
            assert content_of(workspace).keys() == before.keys()
            outcomes.add("written")
    assert outcomes > {"written", "final_model.json", "final_model_bundle.smbundle", "final_model_js_export"}


N_ROWS = 300


class Table:
    """Rows, and the three jobs that make a model of them."""

    def __init__(self, root: Path, **settings):
        rng = np.random.default_rng(0)
        inputs = rng.normal(size=(N_ROWS, 3))
        labels = (inputs[:, 0] + inputs[:, 1] ** 2 > 0.5).astype(float)
        self.info_list = [
            *(numeric_field(i, x) for i, x in enumerate(inputs.T)),
            categorical_field(3, ["n", "y"]),
        ]
        self.rows = np.column_stack([inputs, labels])
        settings = {"layers": readout_layers([4], self.info_list[-1]), "max_iterations": 4} | settings
        self.jobs = tabular_jobs(root, self.rows, self.info_list, seed=1, **settings)
        self.workspace = Workspace.create(root)

    def cache(self, report=ignore, **changes) -> dict:
        return dataset_caching.run(BaseSettings(self.jobs[0] | changes), self.workspace, report)

    def train(self, tree_inputs: int, report=ignore, **changes) -> dict:
        job = self.jobs[1] | {"tree_inputs": tree_inputs} | changes
        return training.run(BaseSettings(job), self.workspace, report)

    def finalize(self, **changes) -> dict:
        return finalizing.run(BaseSettings(self.jobs[2] | changes), self.workspace, ignore)


@pytest.fixture
def table(tmp_path: Path) -> Table:
    return Table(tmp_path / "out")


def test_fit_info_tells_what_the_network_belongs_to(table):
    cached = table.cache()
    table.train(cached["tree_inputs"])
    table.train(cached["tree_inputs"], job_id="plain", tree_embedding=False)
    digests = {
        name: read_json(table.workspace.submodel(name).fit_info, "training")["digests"]
        for name in ("model", "plain")
    }
    assert digests["model"].keys() == {"weights", "layers", "trees", "image_features"}
    assert digests["model"]["trees"] == digest(table.workspace.trees.read_bytes())
    assert digests["plain"]["trees"] is digests["plain"]["image_features"] is None
    assert digests["model"]["weights"] != digests["plain"]["weights"]


def test_rows_that_were_cached_again_want_a_new_training(table):
    cached = table.cache()
    table.train(cached["tree_inputs"])
    table.finalize()
    table.cache(seed=2)
    with pytest.raises(WorkspaceError, match=r"trees\.json.*cached again; run the training job model again"):
        table.finalize()
    table.cache()
    table.finalize()  # one seed gives the same trees


@pytest.mark.parametrize("renames", range(7))
def test_a_killed_caching_is_found_out_by_the_next_training(table, kill_after, renames):
    cached = table.cache()
    kill_after(renames)
    if renames == 6:
        table.cache(seed=2)
    else:
        with pytest.raises(Killed):
            table.cache(seed=2)
    kill_after(None)
    if renames in (0, 6):
        table.train(cached["tree_inputs"])
        table.finalize()
        return
    with pytest.raises(
        WorkspaceError, match=r"is not what the last dataset_caching job .* wrote.*run dataset_caching"
    ):
        table.train(cached["tree_inputs"], report=lambda progress, **_: None)


def test_files_of_an_earlier_version_are_trained_on(table):
    cached = table.cache()
    table.workspace.dataset_info.unlink()
    table.train(cached["tree_inputs"])
    table.finalize()


def test_rows_that_no_caching_job_wrote_are_trained_on(table):
    cached = table.cache()
    copy = table.workspace.root.parent / "full_dataset.npy"
    shutil.copy(table.workspace.full_dataset, copy)
    table.train(cached["tree_inputs"], cache_file=str(copy))
    mine = table.workspace.root / "mine.npy"
    np.save(mine, np.load(copy)[::2])
    table.train(cached["tree_inputs"], cache_file=str(mine))


def test_a_subset_of_an_earlier_caching_is_refused(table):
    cached = table.cache(max_data_size=1000)
    subset = table.workspace.data_subset(3)
    kept = subset.read_bytes()
    table.cache()
    subset.write_bytes(kept)
    with pytest.raises(WorkspaceError, match=r"data_subset_3\.npy is not what the last dataset_caching job"):
        table.train(cached["tree_inputs"], cache_file=str(subset))


def test_a_dataset_info_that_is_none_is_named(table):
    cached = table.cache()
    write_json(table.workspace.dataset_info, [1])
    with pytest.raises(
        WorkspaceError, match=r"dataset_info\.json, which a dataset_caching job writes, cannot be used"
    ):
        table.train(cached["tree_inputs"])


def when_told(message: str, do: Callable[[], None]):
    """A report that does something once, when it hears of a step."""
    done = []

    def report(_progress: float, **facts) -> None:
        if not done and str(facts.get("message", "")).startswith(message):
            done.append(True)
            do()

    return report


@pytest.mark.parametrize("step", ["learning trees", "choosing rows"])
def test_a_caching_whose_directory_is_removed_does_not_say_that_it_is_done(table, step):
    rows = table.workspace.root.parent / "rows.ser"
    shutil.move(table.jobs[0]["cache_file"], rows)
    removed = when_told(step, lambda: shutil.rmtree(table.workspace.root))
    with pytest.raises(
        WorkspaceError, match=r"/(dataset_info\.json|full_dataset\.npy) cannot be written: No such"
    ):
        table.cache(removed, cache_file=str(rows))
    assert not table.workspace.root.exists()


@pytest.mark.parametrize("step", ["measuring", "writing"])
def test_a_training_whose_directory_is_removed_does_not_say_that_it_is_done(table, step):
    cached = table.cache()
    with pytest.raises(WorkspaceError, match="submodel_model"):
        table.train(cached["tree_inputs"], when_told(step, lambda: shutil.rmtree(table.workspace.root)))
    assert not table.workspace.root.exists()


@pytest.mark.parametrize("step", ["trying the bundle", "writing the final model"])
def test_a_final_model_whose_directory_is_removed_is_not_there(workspace, step):
    fabricate(workspace)
    removed = when_told(step, lambda: shutil.rmtree(workspace.root))
    with pytest.raises(WorkspaceError, match="final_model"):
        finalize(workspace, report=removed)


@pytest.mark.parametrize("free", [0, 8, 16, 24, 32, 40, 48, 56, 64])
def test_a_caching_without_room_leaves_the_results_of_the_last_one(mount, free):
    disk = mount("size=256k")
    table = Table(disk)
    table.cache()
    before = content_of(table.workspace)
    leave_free(disk, free * KIB)
    try:
        table.cache(seed=2)
    except WorkspaceError as error:
        assert "No space left on device" in str(error)
        assert content_of(table.workspace) == before
    else:
        after = content_of(table.workspace)
        assert after.keys() == before.keys()
        assert after["trees.json"] != before["trees.json"]


def test_rows_beyond_all_memory_are_one_error(tmp_path):
    info_list = [numeric_field(0, np.arange(3.0)), numeric_field(1, np.arange(3.0))]
    caching, *_ = tabular_jobs(tmp_path, np.ones((2, 2)), info_list)
    n_rows = 10**12
    write_ser(caching["cache_file"], np.ones((2, 2)), info_list)
    os.truncate(caching["cache_file"], 1 + 16 * n_rows)  # a file with a hole takes no room
    with pytest.raises(DataError, match=r"rows\.ser: 1000000000000 rows need at least"):
        dataset_caching.run(
            BaseSettings(caching | {"cache_rows": n_rows}), Workspace.create(tmp_path), ignore
        )


def test_layers_beyond_all_memory_are_an_error_in_the_settings(table, monkeypatch):
    cached = table.cache()

    def no_room(*_):
        raise MemoryError("Unable to allocate 4 TiB")

    monkeypatch.setattr(training_start, "build_network", no_room)
    with pytest.raises(SettingsError, match=r"/layers: there is not enough memory.*4 TiB"):
        table.train(cached["tree_inputs"])
