"""`python fake_worker.py TIMEOUT`: a real worker, except that its child runs the jobs of `fake_jobs.py`."""

from __future__ import annotations

import sys
from pathlib import Path

from pyramid.worker.__main__ import main

if __name__ == "__main__":
    main(command=(sys.executable, "-u", str(Path(__file__).with_name("fake_jobs.py"))))
