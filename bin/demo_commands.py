"""Commands, run as people run them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def run(command: Path, *arguments: str | Path) -> None:
    """Run a command; what goes wrong ends the demo."""
    print(f"$ {' '.join(map(str, (command.name, *arguments)))}", flush=True)
    errors = None if sys.stderr.isatty() else subprocess.PIPE
    done = subprocess.run([command, *arguments], check=False, stderr=errors)
    if done.returncode:
        sys.exit(f"{command.name} failed\n{(done.stderr or b'').decode()}")
