"""Benchmarks are run by hand: here only that the code they measure is still where they look for it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "benchmarks"
NEED_OTHERS = {"albumentations_peer", "torch_loop", "ultralytics_peer"}


def test_every_benchmark_can_be_imported():
    names = sorted({path.stem for path in FOLDER.glob("*.py")} - NEED_OTHERS)
    assert len(names) > 8
    path = os.pathsep.join(map(str, (FOLDER, FOLDER.parent)))
    done = subprocess.run(
        [sys.executable, "-c", f"import {', '.join(names)}"],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": path},
    )
    assert done.returncode == 0, done.stderr
