"""Fixtures that more than one folder of tests uses."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

CONFORMANCE = Path(__file__).parents[2] / "shared" / "conformance"


@pytest.fixture(scope="session")
def conformance() -> Path:
    """The folder of models and numbers recorded from the public package; tests that need it skip without it."""
    if not CONFORMANCE.is_dir():
        pytest.skip("the conformance data (../shared/conformance) is not on this machine")
    return CONFORMANCE


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest file first: where files are shared out, no process is left alone with it at the end."""
    items.sort(key=lambda item: item.path.name != "test_docs.py")
