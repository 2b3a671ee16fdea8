"""A process that makes models of the bundles named on its standard input, and tells what became of each.

One line of JSON for each line: {"error": its type, "message": its text} or {"predicted": numbers}.
"""

from __future__ import annotations

import json
import sys

import numpy as np

import sensenet
from sensenet.formats.smbundle import functions

POINTS = [[1.5, "a", "0", 2.0]] * 2


def attempt(path: str) -> dict[str, object]:
    """What becomes of one bundle."""
    try:
        predicted = sensenet.create_model(path)(POINTS)
    except Exception as error:
        return {"error": type(error).__name__, "message": str(error)}
    return {"predicted": np.asarray(predicted).tolist()}


if __name__ == "__main__":
    functions.MAX_LOOP_SECONDS = 2.0
    for line in sys.stdin:
        print(json.dumps(attempt(line.rstrip("\n"))), flush=True)
