"""`--ray`: the nodes of a cluster, which is this machine, leave the files that one process leaves."""

from __future__ import annotations

import json
import re

import pytest
from bad_server import serving
from open_images import picture

from pyramid.commands.dataset import main

ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'pyramid[ray]'")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture
def cluster(monkeypatch):
    """A node in this process, so that the step finds it running."""
    monkeypatch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    ray.init(
        address="local",
        num_cpus=2,
        include_dashboard=False,
        object_store_memory=80 * 2**20,
        log_to_driver=False,
    )
    yield "auto"
    ray.shutdown()


def test_a_cluster_leaves_what_one_process_leaves(tmp_path, cluster):
    pictures = {f"{number}.jpg": picture(number) for number in range(6)}
    with serving(pictures) as server:
        index = [
            {"id": f"{n}", "url": server.url("gone" if n == 5 else "good", f"{n}.jpg")} for n in range(6)
        ]
        (tmp_path / "index.json").write_text(json.dumps(index))
        (tmp_path / "points.json").write_text(
            json.dumps([{"id": f"{n}", "annotations": []} for n in range(6)])
        )
        (tmp_path / "classes.json").write_text(json.dumps(["cat"]))
        left = []
        for name, *options in (("alone",), ("nodes", "--ray", cluster)):
            folder = tmp_path / name
            folder.mkdir()
            assert main(["download", str(tmp_path / "index.json"), str(folder / "pictures"), *options]) == 0
            verified = ["--points", tmp_path / "points.json", "--output", folder / "good.json"]
            verified += ["--resized", folder / "small", "--size", 32, "--processes", 1]
            assert main(["verify", str(folder / "pictures"), *map(str, verified), *options]) == 0
            made = [
                "--classes",
                tmp_path / "classes.json",
                "--output",
                folder / "train.record",
                "--shards",
                3,
            ]
            command = ["records", folder / "good.json", folder / "small", *made, *options]
            assert main([*map(str, command)]) == 0
            (folder / "train.report.json").unlink()
            paths = sorted(
                path for path in folder.rglob("*") if re.search(r"\.(jpg|json|record-)", path.name)
            )
            left.append({str(path.relative_to(folder)): path.read_bytes() for path in paths})
    assert left[0] == left[1]
    assert len(left[0]) == 5 + 5 + 3 + 3
