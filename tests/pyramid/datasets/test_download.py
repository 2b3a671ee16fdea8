"""`pyramid_dataset download`: whole pictures or reasons, whatever the server does."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from bad_server import serving
from open_images import md5, picture

from pyramid.commands.dataset import main
from pyramid.datasets.downloading.crew import DownloadOptions, download
from pyramid.datasets.downloading.schedule import Schedule

PICTURES = {
    **{f"{number}.jpg": picture(number) for number in range(8)},
    "picture.png": picture(20, kind="PNG"),
    "large.jpg": picture(21, 900, 700),
}
ROOT = Path(__file__).parents[3]


@pytest.fixture
def server():
    with serving(PICTURES) as server:
        yield server


def entry(server, id_: str, how: str, name: str = "0.jpg", **known):
    return {"id": id_, "url": server.url(how, name), **known}


def run(folder: Path, index: list, *options: str) -> int:
    path = folder / "index.json"
    path.write_text(json.dumps(index))
    return main(["download", str(path), str(folder / "pictures"), *options])


def failures(folder: Path) -> dict[str, str]:
    return {one["id"]: one["reason"] for one in json.loads((folder / "pictures" / "failed.json").read_text())}


def files(folder: Path) -> set[str]:
    return {path.name for path in (folder / "pictures").iterdir()} - {"failed.json"}


def test_pictures_come_whole_under_their_ids_and_real_formats(tmp_path, server, capsys):
    index = [
        entry(server, "a", "good", md5=md5(PICTURES["0.jpg"]), size=len(PICTURES["0.jpg"]), rotation=90),
        entry(server, "b", "good", "picture.png"),
        entry(server, "c", "moved", "1.jpg"),
        entry(server, "d", "slow", "large.jpg"),
    ]
    assert run(tmp_path, index) == 0
    assert files(tmp_path) == {"a.jpg", "b.png", "c.jpg", "d.jpg"}
    assert (tmp_path / "pictures" / "d.jpg").read_bytes() == PICTURES["large.jpg"]
    assert failures(tmp_path) == {}
    out = capsys.readouterr().out.splitlines()
    assert len(out) == 1 and out[0].startswith("4 of 4 images")


@pytest.mark.parametrize(
    ("how", "known", "reason"),
    [
        ("gone", {}, "HTTP 404"),
        ("broken", {}, "HTTP 500 Internal Server Error (tried 2 times)"),
        ("paused_long", {}, "to be asked again in 86400 s"),
        ("cut", {}, "(tried 2 times)"),
        ("cut_without_length", {"size": len(PICTURES["0.jpg"])}, "expected"),
        ("html", {}, "what came is no picture, but text/html"),
        ("empty", {}, "what came is no picture"),
        ("nonsense", {}, "what came is no picture"),
        ("good", {"md5": md5(b"another")}, "its MD5 is another"),
        ("good", {"size": 7}, "expected 7 bytes"),
        ("drip", {}, "too slow"),
        ("silent", {}, "no answer within"),
        ("to_file", {}, "not http or https"),
        ("to_ftp", {}, "not http or https"),
        ("to_half", {}, "no URL of a host and a port"),
        ("to_latin", {}, "no URL of a host and a port"),
        ("to_port", {}, "no URL of a host and a port"),
        ("endless", {}, "no answer within"),
        ("round", {}, "more than 5 redirects"),
    ],
)
def test_what_fails_is_named_with_the_reason_and_leaves_nothing(tmp_path, server, how, known, reason):
    index = [entry(server, "good", "good"), entry(server, "bad", how, **known)]
    assert run(tmp_path, index, "--retries", "1", "--timeout", "0.3") == 0
    assert reason in failures(tmp_path)["bad"]
    assert files(tmp_path) == {"good.jpg"}


@pytest.mark.parametrize("how", ["broken_once", "cut_once"])
def test_what_was_bad_luck_is_tried_again(tmp_path, server, how):
    assert run(tmp_path, [entry(server, "a", how)]) == 0
    assert (tmp_path / "pictures" / "a.jpg").read_bytes() == PICTURES["0.jpg"]
    assert server.asked[f"/{how}/0.jpg"] == 2


def test_what_comes_with_a_redirection_is_not_waited_for(tmp_path, server):
    assert run(tmp_path, [entry(server, "a", "moved_with_body")], "--retries", "0", "--timeout", "2") == 0
    assert files(tmp_path) == {"a.jpg"}


@pytest.mark.parametrize("how", ["gone", "html", "to_file"])
def test_what_no_other_try_can_mend_is_not_tried_again(tmp_path, server, how):
    assert run(tmp_path, [entry(server, "a", how), entry(server, "b", "good")]) == 0
    assert server.asked[f"/{how}/0.jpg"] == 1


def test_a_host_that_wants_a_pause_gets_it_from_everybody(tmp_path, server):
    index = [entry(server, "first", "paused_once")]
    index += [entry(server, f"later{number}", "slow", f"{number}.jpg") for number in range(8)]
    assert run(tmp_path, index, "--jobs", "2") == 0
    refused = server.times[0][0]
    others = [when for when, path in server.times if "slow" in path and when > refused + 0.2]
    assert min(others) - refused > 0.95
    assert len(files(tmp_path)) == 9


def test_a_host_is_asked_by_so_many_at_once(tmp_path, server):
    index = [entry(server, f"{number}", "slow", f"{number}.jpg") for number in range(8)]
    assert run(tmp_path, index, "--per-host", "3", "--jobs", "8") == 0
    assert server.most_running == 3


def test_a_host_that_pauses_does_not_stop_the_others():
    schedule: Schedule[str] = Schedule(per_host=4)
    for host in ("slow", "slow", "fast", "fast"):
        schedule.put(host, host)
    assert schedule.take() == ("slow", "slow")
    schedule.done("slow", pause_seconds=0.2)
    start = time.monotonic()
    assert [schedule.take(), schedule.take()] == [("fast", "fast")] * 2
    assert time.monotonic() - start < 0.15
    assert schedule.take() == ("slow", "slow")
    assert time.monotonic() - start > 0.15
    schedule.stop()
    assert schedule.take() is None


def test_what_is_there_is_not_asked_for_again_and_failures_are(tmp_path, server, capsys):
    index = [entry(server, "a", "good"), entry(server, "b", "broken_once", "1.jpg")]
    assert run(tmp_path, index, "--retries", "0") == 0
    assert set(failures(tmp_path)) == {"b"}
    assert run(tmp_path, index, "--retries", "0") == 0
    assert failures(tmp_path) == {}
    assert server.asked["/good/0.jpg"] == 1
    assert "2 of 2 images" in capsys.readouterr().out


def test_a_picture_of_the_wrong_size_is_fetched_again(tmp_path, server):
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "a.jpg").write_bytes(PICTURES["0.jpg"][:50])
    assert run(tmp_path, [entry(server, "a", "good", size=len(PICTURES["0.jpg"]))]) == 0
    assert (tmp_path / "pictures" / "a.jpg").read_bytes() == PICTURES["0.jpg"]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ({"id": "../../evil", "url": "http://127.0.0.1:9/"}, "no name of a file"),
        ({"id": "/tmp/evil", "url": "http://127.0.0.1:9/"}, "no name of a file"),
        ({"id": "a", "url": "file:///etc/passwd"}, "http:// or https://"),
        ({"id": "a", "url": "ftp://127.0.0.1/"}, "http:// or https://"),
        ({"id": "a"}, "http:// or https://"),
        ({"id": "a", "url": "http://"}, "names no host"),
        ({"id": "a", "url": "http://[::1"}, "names no host"),
        ({"id": "a", "url": "http://127.0.0.1:99999/a.jpg"}, "the port in its URL is no number from 0"),
        ({"id": "a", "url": "http://127.0.0.1:http/a.jpg"}, "the port in its URL is no number from 0"),
        ({"id": "a", "url": "http://127.0.0.1:9/", "md5": "12"}, "MD5 of 16 bytes"),
        ({"id": "a", "url": "http://127.0.0.1:9/", "size": -1}, "size in bytes"),
        ([], "expected an object"),
        ({"id": "a", "url": "http://127.0.0.1:1/"}, "the connection failed"),
        ({"id": "a", "url": "https://127.0.0.1:1/"}, "the connection failed"),
        ({"id": "a", "url": f"http://{'a' * 300}.invalid/"}, "the connection failed"),
    ],
)
def test_an_entry_that_cannot_be_used_is_a_failure(tmp_path, server, bad, reason):
    assert run(tmp_path, [entry(server, "good", "good"), bad], "--retries", "0") == 0
    assert reason in next(iter(failures(tmp_path).values()))
    assert files(tmp_path) == {"good.jpg"}
    assert not (tmp_path / "evil.jpg").exists()


def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path, server):
    index = [entry(server, "good", "good"), entry(server, "a", "good")]
    index[1]["url"] = index[1]["url"].replace("http:", "https:")
    assert run(tmp_path, index, "--retries", "0") == 0
    assert "not secure" in failures(tmp_path)["a"]


def test_one_id_twice_is_downloaded_once(tmp_path, server):
    index = [entry(server, "a", "slow"), entry(server, "a", "slow", "1.jpg")]
    assert run(tmp_path, index) == 0
    assert files(tmp_path) == {"a.jpg"}
    assert (tmp_path / "pictures" / "a.jpg").read_bytes() == PICTURES["0.jpg"]


def test_of_one_id_twice_what_cannot_be_had_is_never_told_to_be_there(tmp_path, server, capsys):
    ways = ("broken", "gone", "slow", "gone")
    index = [entry(server, "a", how) for how in ways] + [entry(server, "b", "good")]
    assert run(tmp_path, index, "--retries", "0") == 0
    assert capsys.readouterr().out.startswith("3 of 5 images")
    failed = json.loads((tmp_path / "pictures" / "failed.json").read_text())
    assert [one["url"] for one in failed] == [one["url"] for one in index[:2]]
    assert files(tmp_path) == {"a.jpg", "b.jpg"}


def test_failures_stand_in_the_order_of_the_index(tmp_path, server):
    index = [entry(server, f"{9 - n}", "silent" if n == 1 else "gone") for n in range(9)]
    assert run(tmp_path, [*index, entry(server, "good", "good")], "--retries", "0", "--timeout", "0.3") == 0
    assert list(failures(tmp_path)) == [one["id"] for one in index]


def test_where_nothing_can_be_had_the_command_fails(tmp_path, server, capsys):
    assert run(tmp_path, [entry(server, "a", "gone")]) == 1
    assert "none of 1 images could be downloaded (HTTP 404 Not Found)" in capsys.readouterr().err


def test_a_full_disk_ends_the_download_at_once(tmp_path, server, mount, capsys):
    small = mount("size=48k")
    index = [entry(server, f"{number}", "good", "large.jpg") for number in range(5)]
    assert run(small, index) == 1
    assert "No space left" in capsys.readouterr().err
    assert not list((small / "pictures").glob("*.jpg"))


def test_a_caller_that_stops_leaves_no_thread_at_work(tmp_path, server):
    index = [entry(server, f"{number}", "slow", "0.jpg") for number in range(200)]
    outcomes = download(index, tmp_path, DownloadOptions(jobs=2))
    next(outcomes)
    outcomes.close()
    asked = sum(server.asked.values())
    time.sleep(0.3)
    assert sum(server.asked.values()) == asked < 20
    assert not list(tmp_path.glob(".*"))


def test_an_interrupted_download_leaves_whole_files_and_goes_on(tmp_path, server):
    index = [entry(server, f"{number}", "slow", "large.jpg") for number in range(60)]
    (tmp_path / "index.json").write_text(json.dumps(index))
    command = [
        sys.executable,
        "-m",
        "pyramid.commands.dataset",
        "download",
        "index.json",
        "pictures",
        "--jobs",
        "4",
    ]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, env=environment)
    while sum(server.asked.values()) < 20:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 130
    assert errors.endswith("pyramid_dataset: error: interrupted\n")
    expected = hashlib.md5(PICTURES["large.jpg"]).digest()
    there = list((tmp_path / "pictures").iterdir())
    assert 0 < len(there) < 60
    assert all(hashlib.md5(path.read_bytes()).digest() == expected for path in there)
    asked = sum(server.asked.values())
    assert run(tmp_path, index) == 0
    assert len(files(tmp_path)) == 60
    assert sum(server.asked.values()) - asked == 60 - len(there)
