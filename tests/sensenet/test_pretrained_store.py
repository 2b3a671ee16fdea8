"""Published weights: fetched once and whole from a real local server that misbehaves, then read from the cache."""

from __future__ import annotations

import hashlib
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import weight_server as fault
from weight_files import Arrays, random_arrays, write_file
from weight_server import Answer, WeightServer

from sensenet import pretrained
from sensenet.errors import SettingsError, WeightsError
from sensenet.pretrained import DownloadPolicy

NAME = "mobilenetv2"
FILE = "mobilenetv2_weights_31b538bd.h5"
MEGABYTE = 2**20
HASTY = DownloadPolicy(
    attempts=3,
    connect_timeout_seconds=2,
    read_timeout_seconds=0.5,
    backoff_seconds=0.01,
    lock_wait_seconds=0.3,
)
PROGRAM = f"from sensenet import pretrained; pretrained.weights_path('{NAME}')"


@pytest.fixture(scope="module")
def arrays() -> Arrays:
    return random_arrays(NAME, 0)


@pytest.fixture(scope="module")
def content(arrays: Arrays, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return write_file(tmp_path_factory.mktemp("weights") / "w.h5", arrays).read_bytes()


@pytest.fixture
def server(content: bytes) -> Iterator[WeightServer]:
    with WeightServer(content) as server:
        yield server


@pytest.fixture
def cache(tmp_path: Path, server: WeightServer, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache directory that is filled from the server."""
    directory = tmp_path / "cache"
    monkeypatch.setenv("BIGML_SENSENET_CACHE_PATH", str(directory))
    monkeypatch.setenv("BIGML_SENSENET_WEIGHTS_URL", server.url)
    monkeypatch.setenv("NO_PROXY", "*")
    return directory


def fetched(cache: Path, content: bytes) -> None:
    """Fetch the weights; afterwards the cache holds them, their hash, and nothing half."""
    assert pretrained.weights_path(NAME, HASTY) == cache / FILE
    assert (cache / FILE).read_bytes() == content
    assert (cache / f"{FILE}.sha256").read_text() == f"{hashlib.sha256(content).hexdigest()}  {FILE}\n"
    assert {path.name for path in cache.iterdir()} <= {FILE, f"{FILE}.sha256", f"{FILE}.lock"}


def refused(cache: Path, message: str) -> str:
    """Fetching fails and leaves no file; the error's text."""
    with pytest.raises(WeightsError, match=message) as caught:
        pretrained.weights_path(NAME, HASTY)
    assert not any(path.suffix != ".lock" for path in cache.glob("*"))
    return str(caught.value)


def test_layers_hold_the_arrays_of_the_file(cache: Path, arrays: Arrays, server: WeightServer) -> None:
    image, readout = pretrained.pretrained_layers(NAME, HASTY)
    filled = [list(layer.arrays().values()) for layer in image + readout if layer.arrays()]
    assert len(filled) == len(arrays)
    for mine, stored in zip(filled, arrays, strict=True):
        for one, other in zip(mine, stored, strict=True):
            np.testing.assert_array_equal(one, other)
    assert server.paths == [f"/{FILE}"]


def test_a_file_is_downloaded_once_and_then_read(cache: Path, content: bytes, server: WeightServer) -> None:
    fetched(cache, content)
    fetched(cache, content)
    assert len(server.ranges) == 1


def test_the_bar_is_on_stderr_and_stdout_stays_empty(cache: Path, server: WeightServer) -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert re.search(rf"{FILE}: 100%\|.*\d", done.stderr)


@pytest.mark.parametrize("suffix", ["", "/", "/some/where", "/some/where/"])
def test_base_addresses_with_and_without_a_path(
    cache: Path, content: bytes, server: WeightServer, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    monkeypatch.setenv("BIGML_SENSENET_WEIGHTS_URL", server.url + suffix)
    fetched(cache, content)
    assert server.paths == [f"{suffix.rstrip('/')}/{FILE}"]


@pytest.mark.parametrize(
    ("answers", "ranges"),
    [
        ([fault.status(500)], [None, None]),
        ([fault.status(503), fault.status(502)], [None, None, None]),
        ([fault.hang], [None, None]),
        ([fault.cut(0)], [None, None]),
        ([fault.cut(MEGABYTE)], [None, "bytes=1048576-"]),
        ([fault.cut(MEGABYTE), fault.cut(3 * MEGABYTE)], [None, "bytes=1048576-", "bytes=3145728-"]),
        ([fault.cut(MEGABYTE), fault.other_part], [None, "bytes=1048576-", None]),
        ([fault.other_part], [None, None]),
        ([fault.cut(MEGABYTE), fault.status(500)], [None, "bytes=1048576-", "bytes=1048576-"]),
    ],
)
def test_what_another_try_mends_is_tried_again(
    cache: Path, content: bytes, server: WeightServer, answers: list[Answer], ranges: list[str | None]
) -> None:
    server.answers = answers
    fetched(cache, content)
    assert server.ranges == ranges


def test_a_cut_file_begins_anew_where_the_server_has_no_ranges(
    cache: Path, content: bytes, server: WeightServer
) -> None:
    server.has_ranges = False
    server.answers = [fault.cut(5 * MEGABYTE), fault.cut(MEGABYTE)]
    fetched(cache, content)
    assert len(server.ranges) == 3


def test_a_file_that_changes_between_two_tries_is_not_mixed(
    cache: Path, content: bytes, server: WeightServer, tmp_path: Path
) -> None:
    other = write_file(tmp_path / "other.h5", random_arrays(NAME, 1)).read_bytes()
    server.answers = [fault.cut(MEGABYTE), fault.changed(other)]
    fetched(cache, other)
    assert server.ranges == [None, "bytes=1048576-"]


@pytest.mark.parametrize(
    ("answers", "message", "n_requests"),
    [
        ([fault.status(404)], r"HTTP 404 Not Found", 1),
        ([fault.status(403)], r"HTTP 403 Forbidden", 1),
        (3 * [fault.status(500)], r"HTTP 500.*gave up after 3 tries", 3),
        (3 * [fault.hang], r"timed out.*gave up after 3 tries", 3),
        (3 * [fault.cut(100)], r"received nothing: .*100 bytes read.*gave up after 3 tries", 3),
        (3 * [fault.cut(MEGABYTE)], r"received 1048576 of \d+ bytes.*gave up after 3 tries", 3),
        (
            3 * [fault.body(b"short", claimed_bytes=10)],
            r"received nothing: .*5 bytes read, 5 more.*gave up",
            3,
        ),
        (
            [fault.body(b"<html>Log in first</html>")],
            r'expected an HDF5 file, got one that begins with "<html>L',
            1,
        ),
        ([fault.body(b"")], r'begins with ""', 1),
    ],
)
def test_what_cannot_be_mended_is_said(
    cache: Path, content: bytes, server: WeightServer, answers: list[Answer], message: str, n_requests: int
) -> None:
    server.answers = [*answers]
    text = refused(cache, message)
    assert len(server.ranges) == n_requests
    assert f"{server.url}/{FILE}" in text
    assert str(cache / FILE) in text
    fetched(cache, content)


def test_a_body_longer_than_promised_is_not_believed(
    cache: Path, content: bytes, server: WeightServer
) -> None:
    server.answers = [fault.body(content, claimed_bytes=MEGABYTE)]
    refused(cache, "not a Keras HDF5 weight file")


def other_layer(arrays: Arrays) -> Arrays:
    return [[np.zeros((3, 3, 3, 16), np.float32)], *arrays[1:]]


def other_kernel_size(arrays: Arrays) -> Arrays:
    return [[np.zeros((5, 5, 3, 32), np.float32)], *arrays[1:]]


def layer_missing(arrays: Arrays) -> Arrays:
    return arrays[:-1]


def bias_too_many(arrays: Arrays) -> Arrays:
    return [[*arrays[0], np.zeros(32, np.float32)], *arrays[1:]]


def not_finite(arrays: Arrays) -> Arrays:
    return [[np.full_like(arrays[0][0], np.nan)], *arrays[1:]]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (other_layer, r"image_network\.layers\[0\]\.kernel.*\[3, 3, 3, 32\].*\[3, 3, 3, 16\]"),
        (other_kernel_size, r"image_network\.layers\[0\]\.kernel.*\[3, 3, 3, 32\].*\[5, 5, 3, 32\]"),
        (layer_missing, r"expected 105 layers with weights, got 104"),
        (bias_too_many, r"layer layer_0: expected kernel of convolution_2d, got 2 arrays"),
        (not_finite, r"layer layer_0.*NaN"),
    ],
)
def test_the_weights_of_another_network_never_get_the_name(
    cache: Path, arrays: Arrays, server: WeightServer, tmp_path: Path, spoil: Callable, message: str
) -> None:
    server.answers = [fault.body(write_file(tmp_path / "spoilt.h5", spoil(arrays)).read_bytes())]
    text = refused(cache, message)
    assert ".partial" not in text


def test_without_a_network_the_error_says_what_to_do(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        base = f"http://127.0.0.1:{closed.getsockname()[1]}"
    monkeypatch.setenv("BIGML_SENSENET_WEIGHTS_URL", base)
    text = refused(cache, "Connection refused")
    assert f"bring {FILE} from {base}/{FILE} and put it at {cache / FILE}" in text


@pytest.mark.parametrize(
    ("base", "message"),
    [
        ("ftp://127.0.0.1/weights", "http:, https: or file:"),
        ("weights", "http:, https: or file:"),
        ("file://elsewhere/weights", "a file of this machine"),
        ("file:///no/such/directory", "No such file"),
        ("http://", "No host"),
    ],
)
def test_wrong_base_addresses_are_said(
    cache: Path, monkeypatch: pytest.MonkeyPatch, base: str, message: str
) -> None:
    monkeypatch.setenv("BIGML_SENSENET_WEIGHTS_URL", base)
    refused(cache, message)


@pytest.mark.parametrize("form", ["file://{}", "file:{}", "file://localhost{}/"])
def test_files_of_this_machine_are_copied(
    cache: Path, content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    source = tmp_path / "with blank"
    source.mkdir()
    (source / FILE).write_bytes(content)
    monkeypatch.setenv("BIGML_SENSENET_WEIGHTS_URL", form.format(source).replace(" ", "%20"))
    fetched(cache, content)


def test_a_changed_file_is_noticed_and_can_be_mended(
    cache: Path, content: bytes, server: WeightServer, tmp_path: Path
) -> None:
    fetched(cache, content)
    write_file(cache / FILE, random_arrays(NAME, 1))
    with pytest.raises(WeightsError, match=rf"{FILE}: the file has changed.*Delete it to download"):
        pretrained.pretrained_layers(NAME, HASTY)
    (cache / FILE).unlink()
    fetched(cache, content)
    write_file(cache / FILE, random_arrays(NAME, 1))
    (cache / f"{FILE}.sha256").unlink()
    fetched(cache, (cache / FILE).read_bytes())
    assert len(server.ranges) == 2


def test_a_file_put_there_by_hand_is_looked_into_once(
    cache: Path, content: bytes, arrays: Arrays, server: WeightServer
) -> None:
    cache.mkdir()
    write_file(cache / FILE, layer_missing(arrays))
    with pytest.raises(WeightsError, match="expected 105 layers"):
        pretrained.weights_path(NAME, HASTY)
    (cache / FILE).write_bytes(content)
    fetched(cache, content)
    assert server.ranges == []


def started(program: str = PROGRAM) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE, text=True)


def test_two_processes_download_once(cache: Path, content: bytes, server: WeightServer) -> None:
    server.answers = [fault.stall]
    with started() as first:
        assert server.sent.wait(60)
        with started() as second:
            lines = iter(second.stderr.readline, "")
            assert any(f"waiting for another process that downloads {cache / FILE}" in line for line in lines)
            server.go_on.set()
            errors = first.communicate(timeout=60)[1], second.communicate(timeout=60)[1]
    assert (first.returncode, second.returncode) == (0, 0), errors
    assert len(server.ranges) == 1
    fetched(cache, content)


def test_waiting_for_another_process_has_an_end_and_death_frees_the_lock(
    cache: Path, content: bytes, server: WeightServer
) -> None:
    server.answers = [fault.stall]
    with started() as holder:
        assert server.sent.wait(60)
        with pytest.raises(WeightsError, match=rf"waited 0 s for another process.*{FILE}\.lock"):
            pretrained.weights_path(NAME, HASTY)
        holder.send_signal(signal.SIGKILL)
        holder.communicate(timeout=60)
    assert not (cache / FILE).exists()
    assert list(cache.glob(".*.partial"))
    fetched(cache, content)
    assert not list(cache.glob(".*.partial"))


@pytest.fixture
def remount(cache: Path) -> Iterator[Callable[[str], None]]:
    """The cache as a file system of its own, which can be made read-only even for root."""
    cache.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", cache], capture_output=True)
    if made.returncode:
        pytest.skip(f"this user cannot mount a tmpfs: {made.stderr.decode().strip()}")
    yield lambda options: subprocess.run(["mount", "-o", f"remount,{options}", cache], check=True)
    subprocess.run(["umount", "-l", cache], check=True)


def test_a_read_only_cache_is_read(
    cache: Path, content: bytes, server: WeightServer, remount: Callable
) -> None:
    (cache / FILE).write_bytes(content)
    remount("ro")
    assert pretrained.weights_path(NAME, HASTY) == cache / FILE
    assert [path.name for path in cache.iterdir()] == [FILE]
    assert server.ranges == []


def test_a_cache_that_cannot_be_written_is_named(
    cache: Path, server: WeightServer, remount: Callable
) -> None:
    remount("ro")
    refused(cache, rf"cache directory {cache} cannot be written \(Read-only file system\); put {FILE} there")
    assert server.ranges == []


def test_a_full_disk_is_named(cache: Path, server: WeightServer, remount: Callable) -> None:
    remount("size=4m")
    refused(cache, r"cannot be written \(No space left on device\)")


def test_a_cache_below_a_file_is_named(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.write_text("")
    monkeypatch.setenv("BIGML_SENSENET_CACHE_PATH", str(cache / "inner"))
    with pytest.raises(WeightsError, match=r"cannot be written \(Not a directory\)"):
        pretrained.weights_path(NAME, HASTY)


def test_the_default_places_are_bigmls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BIGML_SENSENET_CACHE_PATH", raising=False)
    monkeypatch.setenv("BIGML_SENSENET_WEIGHTS_URL", "")
    assert pretrained.cache_directory() == Path.home() / ".bigml_sensenet"
    assert pretrained.weights_url(NAME) == f"https://s3.amazonaws.com/bigml-cnns/{FILE}"


@pytest.mark.parametrize(
    ("name", "message"),
    [("simple", "simple has no published weights.*mobilenet"), ("mobilenetv3", 'did you mean "mobilenetv2"')],
)
def test_networks_without_published_weights_are_named(cache: Path, name: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        pretrained.weights_path(name, HASTY)
    assert not cache.exists()


def test_importing_is_quiet_and_touches_no_network() -> None:
    program = (
        "import sys\nfrom sensenet import pretrained\npretrained.network_document('yolov4')\n"
        "sys.exit(any(name in sys.modules for name in ('tensorflow', 'requests')))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=os.environ)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
