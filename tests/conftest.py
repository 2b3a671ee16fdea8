"""Fixtures that more than one folder of tests uses."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

LONGEST_FILES = ("test_docs.py", "test_fit.py", "test_ray.py", "test_jobs_run.py", "test_image_training.py")

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

CONFORMANCE = Path(__file__).parents[2] / "shared" / "conformance"


@pytest.fixture(scope="session")
def conformance() -> Path:
    """The folder of models and numbers recorded from the public package; tests that need it skip without it."""
    if not CONFORMANCE.is_dir():
        pytest.skip("the conformance data (../shared/conformance) is not on this machine")
    return CONFORMANCE


@pytest.fixture(scope="session")
def consumers_python() -> str:
    """The Python of tf-keras 2.16 and czmodel 6.2, which .ci/run provides; tests that need it skip without it."""
    path = os.environ.get("SENSENET_CONSUMERS_PYTHON", "")
    if not os.access(path, os.X_OK):
        pytest.skip(f"SENSENET_CONSUMERS_PYTHON names no Python of tf-keras 2.16 and czmodel 6.2: {path!r}")
    return path


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Mounts a tmpfs with the given options; the test's end unmounts it."""
    mounted: list[Path] = []

    def make(options: str, name: str = "mounted") -> Path:
        target = tmp_path / name
        target.mkdir()
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", target], check=False, capture_output=True
        )
        if done.returncode:
            pytest.skip(f"this user cannot mount a tmpfs: {done.stderr.decode().strip()}")
        mounted.append(target)
        return target

    yield make
    for target in mounted:
        subprocess.run(["umount", "-l", target], check=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first: where files are shared out, no process is left alone with one of them at the end."""
    order = {name: place for place, name in enumerate(LONGEST_FILES)}
    items.sort(key=lambda item: order.get(item.path.name, len(order)))
