"""docs/training-images.md and docs/generation.md: their examples run from top to bottom."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs"
BLOCK = re.compile(r"^```(python|console)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def printed_by_the_example(page, directory):
    """Run the blocks of a page in turn, Python after all Python before it."""
    scripts = directory / "bin"
    scripts.mkdir()
    for name in ("train", "evaluate", "generate"):
        script = scripts / f"pyramid_{name}"
        script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m pyramid.commands.{name} "$@"\n')
        script.chmod(0o755)
    environment = os.environ | {"PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    python, printed = [], ""
    for language, body in BLOCK.findall((DOCS / page).read_text(encoding="utf-8")):
        if language == "python":
            python.append(body)
        commands = (
            [line.removeprefix("$ ") for line in body.splitlines()] if language == "console" else [None]
        )
        for command in commands:
            done = subprocess.run(
                [sys.executable, "-"] if command is None else ["sh", "-c", command],
                input="\n".join(python) if command is None else None,
                cwd=directory,
                capture_output=True,
                text=True,
                env=environment,
                timeout=200,
            )
            assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
            printed += done.stdout
    return printed


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_example_of_training_runs_from_top_to_bottom(tmp_path):
    printed = printed_by_the_example("training-images.md", tmp_path)
    assert "* simple_randomly_initialize" in printed
    assert float(re.search(r"^accuracy +(\S+)", printed, re.MULTILINE)[1]) > 0.7
    assert "* tinyyolov4_randomly_initialize" in printed
    assert float(re.search(r"^mAP_50 +(\S+)", printed, re.MULTILINE)[1]) > 0.05
    assert len(list((tmp_path / "drawn").iterdir())) == 40
    assert all((tmp_path / name).exists() for name in ("batch.png", "boxes.png", "250.png"))


@pytest.mark.slow
def test_the_example_of_generation_runs_from_top_to_bottom(tmp_path):
    printed = printed_by_the_example("generation.md", tmp_path)
    assert (tmp_path / "batch.png").exists()
    assert "300 images: shapes/train" in printed
    counts = re.findall(r"^ +(\d+) images  (\w+)$", printed, re.MULTILINE)
    assert counts == [("100", "disc"), ("100", "leaf"), ("100", "star")]
    assert "the best is simple_randomly_initialize" in printed
