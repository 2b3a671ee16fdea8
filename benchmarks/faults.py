"""What jobs survive: `python benchmarks/faults.py [--rounds 1] [--parallel 2] [--only WORD]`, as root and with strace.

Every fault of `tests/faults` at every stage of every job type, against real workers. A case is survived when each job
line had one closing line, no file under a final name is half a file, finalizing accepts nothing but what belongs
together, the next good job succeeds, and nothing partial is left.
"""

from __future__ import annotations

import argparse
import queue
import shutil
import sys
import tempfile
import threading
import traceback
from collections import Counter
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "tests" / "faults"))
sys.path.append(str(Path(__file__).parents[1] / "tests" / "pyramid"))
from scenes import KINDS, prepare
from table import CASES, Case, Workers, run_case


def try_cases(
    cases: queue.SimpleQueue[Case], folder: Path, survived: Counter[Case], harmed: Counter[Case]
) -> None:
    """Run cases until there are no more; count those that are survived, and those of them whose job failed."""
    temporary = Path(tempfile.mkdtemp(dir=folder))
    workers = Workers(temporary)
    while not cases.empty():
        case = cases.get()
        scene = Path(tempfile.mkdtemp(dir=folder)) / "scene"
        try:
            harmed[case] += run_case(case, folder / "templates", scene, workers)
            survived[case] += 1
        except BaseException:
            print(f"lost: {case}\n{traceback.format_exc()}", file=sys.stderr, flush=True)
            workers.close()
            workers = Workers(temporary)
        shutil.rmtree(scene.parent, ignore_errors=True)
    workers.close()


def print_result(cases: list[Case], survived: Counter[Case], harmed: Counter[Case], rounds: int) -> None:
    """Print the table: a fault and a stage in each row, a job type in each column; a star where the job failed."""
    print("| fault | stage | " + " | ".join(KINDS) + " |")
    print("| --- | --- |" + " --- |" * len(KINDS))
    for name, stage in dict.fromkeys((name, stage) for name, stage, _ in cases):
        keys = [(name, stage, kind) for kind in KINDS]
        cells = [f"{survived[key]} of {rounds}{' *' if harmed[key] else ''}" for key in keys]
        print(f"| {name} | {stage} | " + " | ".join(cells) + " |")
    total = len(cases) * rounds
    print(f"\n*: the job failed, or its worker was killed: {harmed.total()} times")
    print(f"survived: {survived.total()} of {total}, lost: {total - survived.total()}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--parallel", type=int, default=2)
    parser.add_argument("--only", default="", help="faults whose names have this word")
    options = parser.parse_args()
    chosen = [case for case in CASES if options.only in case[0]]
    cases: queue.SimpleQueue[Case] = queue.SimpleQueue()
    for case in chosen * options.rounds:
        cases.put(case)
    survived: Counter[Case] = Counter()
    harmed: Counter[Case] = Counter()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "templates").mkdir()
        prepare(folder / "templates")
        threads = [
            threading.Thread(target=try_cases, args=(cases, folder, survived, harmed))
            for _ in range(options.parallel)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    print_result(chosen, survived, harmed, options.rounds)
    sys.exit(survived.total() < len(chosen) * options.rounds)


if __name__ == "__main__":
    main()
