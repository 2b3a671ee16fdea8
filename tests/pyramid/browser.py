"""Chromium without a window, where it is installed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

CHROMIUM = shutil.which("chromium", path="/usr/bin")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
needs_browser = pytest.mark.skipif(
    CHROMIUM is None, reason="there is no /usr/bin/chromium (Debian's package chromium)"
)


def browse(page: Path, directory: Path, *options: str) -> str:
    """Open a page; gives what Chromium prints.

    Args:
        directory: where its profile goes.
    """
    return visit(page.as_uri(), directory, *options)


def visit(address: str, directory: Path, *options: str) -> str:
    """`browse` the page of an address."""
    done = subprocess.run(
        [str(CHROMIUM), *FLAGS, f"--user-data-dir={directory / 'profile'}", *options, address],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def screenshot(page: Path, directory: Path, width: int, height: int) -> np.ndarray:
    """(height, width, 3) uint8."""
    picture = directory / "page.png"
    browse(page, directory, f"--screenshot={picture}", f"--window-size={width},{height}")
    return np.asarray(Image.open(picture).convert("RGB"))
