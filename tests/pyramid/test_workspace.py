"""Files of a workspace: whole or not there, refused where they are no files, swept where nobody will finish them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pyramid.errors import DataError, WorkspaceError
from pyramid.fields import Fields
from pyramid.images.rows import read_image_rows
from pyramid.settings.options import RowOptions
from pyramid.submodels.files import write_submodel
from pyramid.tables.ser import read_ser
from pyramid.tables.streaming import Target, write_matrices
from pyramid.workspace import (
    Workspace,
    read_array,
    read_json,
    whole_file,
    whole_files,
    write_array,
    write_json,
)
from sensenet.files import write_whole
from sensenet.partial_files import remove_partial_files, sweep, temporary_path, writer_name

KIB = 1024
ROWS = np.arange(5000, dtype=np.float32).reshape(-1, 5)  # 20,000 bytes
SECONDS = 5  # what opens a FIFO waits for ever


def leave_free(disk: Path, free_bytes: int) -> None:
    """Fill a small disk until so much is left."""
    ballast = disk / "ballast"
    ballast.unlink(missing_ok=True)
    there = os.statvfs(disk)
    ballast.write_bytes(bytes(there.f_bavail * there.f_frsize - free_bytes))


def put_array(directory: Path) -> None:
    write_array(directory / "array.npy", ROWS)


def put_matrices(directory: Path) -> None:
    sample = np.arange(0, len(ROWS), 2)
    targets = [Target(directory / "full.npy", None), Target(directory / "sample.npy", sample)]
    with whole_files() as together:
        write_matrices(together, targets, [(0, ROWS[:600]), (600, ROWS[600:])], *ROWS.shape)


def put_submodel(directory: Path) -> None:
    submodel = Workspace(directory).submodel("a")
    write_submodel(submodel, [bytes(20_000)], {"layers": [], "text": "x" * 9000}, evaluations=["y" * 5000])


def put_json(directory: Path) -> None:
    write_json(directory / "short.json", ["x" * 9000])


def whole(directory: Path) -> dict[str, bytes]:
    """The content of all files; asserts that none is half-written."""
    found = {path.name: path.read_bytes() for path in directory.rglob("*") if path.is_file()}
    assert not [name for name in found if name.endswith(".partial")]
    return {name: content for name, content in found.items() if name != "ballast"}


@pytest.mark.parametrize("put", [put_array, put_matrices, put_submodel, put_json])
def test_on_a_nearly_full_disk_a_file_is_whole_or_is_not_there(tmp_path, mount, put: Callable[[Path], None]):
    (tmp_path / "roomy").mkdir()
    put(tmp_path / "roomy")
    expected = whole(tmp_path / "roomy")
    disk = mount("size=128k")
    outcomes = set()
    for free in range(0, 64 * KIB, 4 * KIB):
        leave_free(disk, free)
        try:
            put(disk)
        except WorkspaceError as error:
            assert "No space left on device" in str(error)
            assert "partial" not in str(error)
            assert any(name in str(error) for name in [*expected, "submodel_a"])
            assert whole(disk) == {}
            assert not list(disk.glob("submodel_*"))
            outcomes.add("refused")
        else:
            assert whole(disk) == expected
            outcomes.add("written")
            for path in disk.rglob("*.*"):
                path.unlink()
    assert outcomes == {"refused", "written"}


@pytest.mark.parametrize("put", [put_array, put_matrices, put_submodel])
def test_what_has_no_room_leaves_the_old_files_whole(mount, put: Callable[[Path], None]):
    disk = mount("size=128k")
    put(disk)
    before = whole(disk)
    for free in range(0, 16 * KIB, 4 * KIB):
        leave_free(disk, free)
        with pytest.raises(WorkspaceError, match="No space left on device"):
            put(disk)
        assert whole(disk) == before


def test_nothing_is_renamed_before_all_is_written(tmp_path):
    with pytest.raises(RuntimeError), whole_files() as together:
        for name in ("a", "b"):
            together.new(tmp_path / name).write(b"new")
        together.settle()
        assert {path.suffix for path in tmp_path.iterdir()} == {".partial"}
        raise RuntimeError
    assert not list(tmp_path.iterdir())


def test_files_get_their_names_in_their_order(tmp_path):
    (tmp_path / "b" / "in the way").mkdir(parents=True)
    with pytest.raises(WorkspaceError, match=r"b cannot be written"), whole_files() as together:
        for name in ("a", "b", "c"):
            together.new(tmp_path / name).write(b"new")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_a_workspace_that_was_removed_is_not_made_again(tmp_path):
    workspace = Workspace.create(tmp_path / "out")
    workspace.root.rmdir()
    for write in (
        lambda: write_json(workspace.trees, []),
        lambda: put_submodel(workspace.root),
        lambda: write_array(workspace.full_dataset, ROWS),
    ):
        with pytest.raises(WorkspaceError, match="No such file or directory"):
            write()
    assert not list(tmp_path.iterdir())


def test_a_link_under_a_temporary_name_is_not_followed(tmp_path):
    other, path = tmp_path / "other", tmp_path / "model.json"
    other.write_text("precious")
    temporary_path(path).symlink_to(other)
    with pytest.raises(WorkspaceError, match=r"model\.json cannot be written: File exists"):
        write_json(path, [])
    assert other.read_text() == "precious"
    remove_partial_files(tmp_path, writer_name())
    assert other.read_text() == "precious"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other"]


def test_two_writers_of_one_file_leave_one_of_the_two(tmp_path):
    code = (
        "import sys; from pathlib import Path; from pyramid.workspace import write_bytes\n"
        "for _ in range(200): write_bytes(Path(sys.argv[1]), sys.argv[2].encode() * 50_000)"
    )
    path = tmp_path / "model.json"
    writers = [subprocess.Popen([sys.executable, "-c", code, path, letter]) for letter in "ab"]
    while any(writer.poll() is None for writer in writers):
        if path.exists():
            content = path.read_bytes()
            assert content in (b"a" * 50_000, b"b" * 50_000)
    assert [writer.returncode for writer in writers] == [0, 0]
    assert [path.name for path in tmp_path.iterdir()] == ["model.json"]


KILLED = """
import os, signal, sys
from pathlib import Path
from pyramid.workspace import Workspace, whole_file
workspace = Workspace.create(sys.argv[1])
submodel = workspace.submodel("a")
submodel.root.mkdir()
with whole_file(workspace.trees) as trees, whole_file(submodel.weights) as weights:
    weights.write(b"half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def age(path: Path, seconds: float = 3600) -> None:
    then = time.time() - seconds
    os.utime(path, (then, then), follow_symlinks=False)


def test_the_next_job_sweeps_up_what_a_killed_process_left_long_ago(tmp_path):
    process = subprocess.run([sys.executable, "-c", KILLED, tmp_path], check=False)
    assert process.returncode == -signal.SIGKILL
    leftovers = list(tmp_path.rglob(".*.partial"))
    assert len(leftovers) == 2
    Workspace.create(tmp_path)
    assert all(path.exists() for path in leftovers)  # it may be older than it looks, but not yet old
    for path in leftovers:
        age(path)
    Workspace.create(tmp_path)
    assert [path.name for path in tmp_path.rglob("*")] == ["submodel_a"]


def dead_writer() -> str:
    """The name of a process of this machine that is no more."""
    code = "from sensenet.partial_files import writer_name; print(writer_name())"
    return subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout.strip()


def test_only_files_of_dead_processes_of_this_place_are_swept(tmp_path):
    dead, place = dead_writer(), writer_name().split("-")[0]
    elsewhere = dead.replace(place, "0" * 12)
    kept = [
        f".a.{writer_name()}.partial",
        f".a.{elsewhere}.partial",
        *(".a.partial", f"a.{dead}.partial", "model.json", f".a.{dead}"),
        f".{place}-1-{'0' * 16}.partial",
    ]
    for name in [*kept, f".a.{dead}.partial"]:
        (tmp_path / name).write_text("half")
        age(tmp_path / name)
    sweep(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(kept)


def test_a_cancelled_job_takes_nothing_of_another_container_away(tmp_path):
    place = writer_name().split("-")[0]
    other = writer_name().replace(
        place, "0" * 12
    )  # the same process number, as containers count for themselves
    for writer in (writer_name(), other):
        (tmp_path / f".a.{writer}.partial").write_text("half")
    remove_partial_files(tmp_path, writer_name())
    assert [path.name for path in tmp_path.iterdir()] == [f".a.{other}.partial"]


def test_a_sweep_looks_only_into_the_workspaces_own_folders(tmp_path):
    dead = dead_writer()
    elsewhere = tmp_path / "elsewhere"
    out = tmp_path / "out"
    for folder in (elsewhere, out / "images", out / "submodel_a"):
        folder.mkdir(parents=True)
        (folder / f".a.{dead}.partial").write_text("half")
        age(folder / f".a.{dead}.partial")
    (out / "submodel_link").symlink_to(elsewhere)
    (out / f".b.{dead}.partial").symlink_to(elsewhere)
    age(out / f".b.{dead}.partial")
    Workspace.create(out)
    left = [path.parent.name for path in tmp_path.rglob(".*.partial")]
    assert sorted(left) == ["elsewhere", "images"]


def test_a_sweep_of_ten_thousand_files_takes_no_time(tmp_path):
    for number in range(200):
        folder = tmp_path / f"submodel_{number}"
        folder.mkdir()
        for file in range(50):
            (folder / str(file)).touch()
    began = time.perf_counter()
    Workspace.create(tmp_path)
    assert time.perf_counter() - began < 0.5


def in_time(read: Callable[[], object]) -> BaseException | None:
    """What a read raises; fails where it waits."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            read()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(SECONDS)
    assert not thread.is_alive(), "it waits for somebody to write"
    return raised[0] if raised else None


NUMBER = Fields.parse([{"index": 0, "type": "numeric", "mean": 0, "stdev": 1}])
READERS = {
    "json": (lambda path: read_json(path, "training"), WorkspaceError),
    "array": (lambda path: read_array(path, "dataset_caching"), WorkspaceError),
    "map": (lambda path: read_array(path, "dataset_caching", mmap=True), WorkspaceError),
    "image rows": (
        lambda path: read_image_rows(
            RowOptions(cache_file=str(path)),
            Fields.parse([{"index": 0, "type": "numeric", "mean": 0, "stdev": 1}]),
        ),
        DataError,
    ),
    "rows": (lambda path: read_ser(path, NUMBER.all, 1), DataError),
}


def make_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize(
    ("make", "kind"),
    [(os.mkfifo, "FIFO"), (make_device, "device"), (Path.mkdir, "directory")],
    ids=["fifo", "device", "directory"],
)
@pytest.mark.parametrize("reader", READERS)
def test_what_is_no_file_is_refused_before_it_is_opened(tmp_path, reader, make, kind):
    read, wanted = READERS[reader]
    path = tmp_path / "file"
    make(path)
    error = in_time(lambda: read(path))
    assert isinstance(error, wanted), error
    assert str(path) in str(error)
    assert f"it is a {kind}" in str(error)


def promise(shape: str, descr: str = "<f4") -> bytes:
    """A `.npy` file that holds less than its header says."""
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}".encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(40)


def zip_file(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("a.npy", b"no array")


@pytest.mark.parametrize("mmap", [False, True])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (promise("(1000000000000000,)"), r"promises 4000000000000000 bytes of numbers, 40 are there"),
        (promise("(11,)"), r"promises 44 bytes of numbers, 40 are there"),
        (promise("(-3,)"), "not a whole .npy file"),
        (promise("(2,)", "|O"), "not a .npy file of numbers"),
        (promise("(2,)", "<U3"), "not a .npy file of numbers"),
        (promise("(" * 90), "not a whole .npy file"),
        (b"\x93NUMPY\x09\x00" + bytes(200), "not a whole .npy file"),
        (b"PK\x03\x04" + bytes(40), "not a whole .npy file"),
        (b"", "not a whole .npy file"),
    ],
    ids=["huge", "cut", "negative", "objects", "texts", "nested", "version", "zip", "empty"],
)
def test_an_array_file_that_is_none_is_named(tmp_path, content, message, mmap):
    path = tmp_path / "full_dataset.npy"
    path.write_bytes(content)
    with pytest.raises(WorkspaceError, match=message) as caught:
        read_array(path, "dataset_caching", mmap)
    assert str(path) in str(caught.value)


def test_a_zip_file_under_the_name_of_an_array_is_named(tmp_path):
    zip_file(tmp_path / "full_dataset.npy")
    with pytest.raises(WorkspaceError, match=r"full_dataset\.npy.*not a whole \.npy file"):
        read_array(tmp_path / "full_dataset.npy", "dataset_caching")


@pytest.mark.parametrize("levels", [201, 900, 100_000])
@pytest.mark.parametrize("pair", [(b"[", b"]"), (b'{"a":', b"}")], ids=["lists", "objects"])
def test_json_that_is_nested_too_deep_is_named(tmp_path, levels, pair):
    path = tmp_path / "trees.json"
    path.write_bytes(pair[0] * levels + b"1" + pair[1] * levels)
    with pytest.raises(WorkspaceError, match=r"trees\.json, which a dataset_caching job writes"):
        read_json(path, "dataset_caching")


def test_json_of_two_hundred_levels_is_read(tmp_path):
    (tmp_path / "a.json").write_bytes(b"[" * 200 + b"]" * 200)
    assert read_json(tmp_path / "a.json", "training")


def test_an_array_comes_back_as_it_was(tmp_path):
    for array in (ROWS, ROWS[:, ::2], np.zeros((0, 3), np.float32), np.asfortranarray(ROWS)):
        write_array(tmp_path / "a.npy", array)
        np.testing.assert_array_equal(read_array(tmp_path / "a.npy", "training"), array)
        np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), array)


def test_a_body_that_fails_leaves_the_old_file(tmp_path):
    write_whole(tmp_path / "a", b"old")
    with pytest.raises(RuntimeError), whole_file(tmp_path / "a") as file:
        file.write(b"new")
        raise RuntimeError
    assert (tmp_path / "a").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
