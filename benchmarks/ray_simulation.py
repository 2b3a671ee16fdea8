"""How a search goes on 1, 8 and 64 nodes: simulated, from what its jobs took in a real one.

    python benchmarks/ray_simulation.py DIRECTORY

DIRECTORY is what a `pyramid_fit --max-candidates` left: its jobs are drawn from, with replacement. Simulated are the
driver, which chooses one job at a time, in what choosing takes here; the rule that job j waits for jobs 0 to
j - lookahead; what a task costs beside its job; and the start of a node's workers. `--measure` says what these cost:
it runs one job several times on this machine and through Ray, on a cluster that it starts and ends.
"""

from __future__ import annotations

import argparse
import heapq
import json
import random
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from timing import print_table

from pyramid.search.backend import Backend, Job
from pyramid.search.candidates import NETWORK, Candidate, Outcome
from pyramid.search.choices import LOOKAHEAD
from pyramid.search.local import LocalBackend
from pyramid.search.portfolio import VARIANTS
from pyramid.search.space import Proposals

NODES = (1, 8, 64)
CHOICES_MEASURED = 120


@dataclass(frozen=True)
class Costs:
    """Seconds beside the jobs themselves.

    Attributes:
        choice: of the driver, for a job.
        task: of Ray, for a job.
        start: of a worker, before its first job.
    """

    choice: float
    task: float
    start: float


def simulate(jobs: Sequence[float], slots: int, lookahead: int, costs: Costs) -> float:
    """Seconds until all jobs are done.

    Args:
        jobs: seconds that each takes, in the order in which they are chosen.
        slots: jobs that run at once.
    """
    now, started, running, done = 0.0, 0, [], set()
    first_open = 0
    while first_open < len(jobs):
        while running and running[0][0] <= now:
            done.add(heapq.heappop(running)[1])
        while first_open in done:
            first_open += 1
        may_begin = started < len(jobs) and started < first_open + lookahead
        if may_begin and len(running) < slots:
            now += costs.choice
            start = costs.start if started < slots else 0.0
            heapq.heappush(running, (now + start + costs.task + jobs[started], started))
            started += 1
        elif running:
            now = max(now, running[0][0])
    return now


def job_seconds(directory: Path) -> list[float]:
    """What each training job of a fit took."""
    report = json.loads((directory / "fit_report.json").read_bytes())
    seconds = {one["job_id"]: one["seconds"] for one in report["candidates"]}
    names = [[one["job_id"] for one in job.get("variants", [job])] for job in trainings(directory)]
    return [sum(seconds[name] for name in group) for group in names if seconds.keys() >= set(group)]


def trainings(directory: Path) -> list[Job]:
    """The training jobs of a fit; readouts of the trees, which take the least, come first."""
    jobs = [json.loads(path.read_bytes()) for path in sorted((directory / "jobs").glob("*.json"))]
    return [job for job in jobs if job["job_type"] == "search_submodel"]


def choice_seconds() -> float:
    """Processor seconds that choosing a job takes here, once there are enough candidates to learn from."""
    proposals, draws, taken = Proposals(0, {}), random.Random(0), []
    for number in range(CHOICES_MEASURED):
        began = time.process_time()
        numbers = range(VARIANTS * number, VARIANTS * (number + 1))
        structure, chosen = proposals.ask(numbers)
        for candidate, one in zip(numbers, chosen, strict=True):
            proposals.tell(Outcome(Candidate(candidate, NETWORK, "", structure, one), loss=draws.random()))
        taken.append(time.process_time() - began)
    return statistics.median(taken[CHOICES_MEASURED // 2 :])


def measure(directory: Path, repeats: int) -> None:
    """Print what one job of a fit takes here, and through Ray: without the time of the job itself."""
    from ray.cluster_utils import Cluster

    from pyramid.search.ray_backend import RayBackend

    job = trainings(directory)[0]
    cluster = Cluster(True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        with LocalBackend(1, threads=1) as local:
            here = beside(local, job, repeats)
        with RayBackend(cluster.address) as backend:
            there = beside(backend, job, repeats)
    finally:
        cluster.shutdown()
    rows = [(name, f"{first:.2f}", f"{later * 1000:.0f}") for name, first, later in (here, there)]
    print_table(("", "first job, s", "later jobs, ms"), rows)


def beside(backend: Backend, job: Job, repeats: int) -> tuple[str, float, float]:
    """Who it is, and seconds that the first run of a job and a later one (median) take beside the job."""
    taken = []
    for _ in range(repeats + 1):
        began = time.monotonic()
        result = backend.submit(job).result()
        taken.append(time.monotonic() - began - result["job_time"])
    return type(backend).__name__, taken[0], statistics.median(taken[1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("directory", type=Path, help="what a pyramid_fit left")
    parser.add_argument("--trials", type=int, default=1000, help="jobs of up to four candidates each")
    parser.add_argument("--processors", type=int, default=1, help="of a node: jobs that it runs at once")
    parser.add_argument("--task-seconds", type=float, default=0.03)
    parser.add_argument("--start-seconds", type=float, default=8.0)
    parser.add_argument("--measure", action="store_true")
    parser.add_argument("--repeats", type=int, default=5)
    parsed = parser.parse_args()
    if parsed.measure:
        measure(parsed.directory, parsed.repeats)
        return
    measured = job_seconds(parsed.directory)
    jobs = random.Random(0).choices(measured, k=parsed.trials)
    costs = Costs(choice_seconds(), parsed.task_seconds, parsed.start_seconds)
    print(
        f"{len(measured)} jobs were measured: {summary(measured)}; choosing takes {costs.choice * 1000:.0f} ms"
    )
    rows = []
    for nodes in NODES:
        slots = nodes * parsed.processors
        for lookahead in sorted({LOOKAHEAD, 2 * slots, parsed.trials}):
            seconds = simulate(jobs, slots, lookahead, costs)
            utilisation = sum(jobs) / (seconds * slots)
            rows.append((nodes, slots, lookahead, f"{seconds:.0f}", f"{utilisation:.0%}"))
    print_table(("nodes", "at once", "lookahead", "seconds", "utilisation"), rows)


def summary(seconds: Sequence[float]) -> str:
    """Their spread."""
    low, middle, high = (statistics.quantiles(seconds, n=10)[place] for place in (0, 4, 8))
    return f"a tenth below {low:.1f} s, half below {middle:.1f} s, nine tenths below {high:.1f} s"


if __name__ == "__main__":
    main()
