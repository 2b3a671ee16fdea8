"""A part of the table of faults that `benchmarks/faults.py` prints whole."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from injections import FAULTS
from scenes import KINDS, prepare
from strace import needs_strace
from table import CASES, Case, Workers, run_case
from worker_client import wait_until

from pyramid.jobs import JOBS

CHOSEN: list[Case] = [
    ("SIGKILL of the child", "idle", "standard_training"),
    ("SIGKILL of the child", "writing", "dataset_caching"),
    ("SIGKILL of the child", "middle", "image_training"),
    ("cancel", "middle", "search_submodel"),
    ("directory removed", "middle", "dataset_caching"),
    ("full disk", "whole", "finalize_output"),
    ("stderr full", "whole", "standard_training"),
    ("SIGKILL of parent and child", "middle", "standard_training"),
    ("SIGKILL at the 2nd rename", "writing", "standard_training"),
    ("SIGKILL at the 1st fsync", "writing", "finalize_output"),
]


@pytest.fixture(scope="module")
def templates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("templates")
    prepare(folder)
    return folder


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workers]:
    """Workers that leave no temporary files, except those whose parent was killed together with its child."""
    temporary = tmp_path_factory.mktemp("temporary")
    workers = Workers(temporary)
    yield workers
    workers.close()
    may_stay = sum(FAULTS[name].leaves for name, *_ in CHOSEN)
    wait_until(lambda: len(list(temporary.iterdir())) <= may_stay, 10, "temporary files are removed")


def test_every_fault_has_its_cases() -> None:
    assert set(CHOSEN) <= set(CASES)
    assert {name for name, *_ in CASES} == set(FAULTS)


def test_every_job_type_is_disturbed() -> None:
    assert set(KINDS) == set(JOBS)
    assert {kind for *_, kind in CHOSEN} == {kind for *_, kind in CASES} == set(KINDS)


@pytest.mark.slow
@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, marks=needs_strace if FAULTS[case[0]].strikes_itself else (), id="-".join(case))
        for case in CHOSEN
    ],
)
def test_nothing_is_lost(case: Case, templates: Path, workers: Workers, tmp_path: Path) -> None:
    run_case(case, templates, tmp_path / "scene", workers)
