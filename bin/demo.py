"""The demo behind bin/demo: python bin/demo.py PYRAMID [DIRECTORY] [--protocol].

Begins with a model of a table, by the command for people. Then feeds a spawned worker with the jobs for three
tables that scikit-learn bundles, and for two image networks on its scanned digits; compares the models that it left, on
rows and images that the jobs never saw, with the simplest that scikit-learn has, and predicts with them through
sensenet. At the end a detector learns to find the digits in photographs, by commands again.
"""

from __future__ import annotations

import argparse
import tempfile
from importlib import import_module
from pathlib import Path

from demo_data import SCANNED_NETWORKS, Scans, Table, image_job, load_tables, table_jobs, write_scans
from demo_detection import show_detection
from demo_table import show_table
from demo_worker import Worker

from sensenet.tensorflow_setup import hidden_notices, prepare_tensorflow


def main() -> None:
    """Run the demo."""
    parsed = _parse()
    root = parsed.directory or Path(tempfile.mkdtemp(prefix="pyramid-demo-"))
    commands = Path(parsed.pyramid).parent
    show_table(commands, root / "penguins")
    prepare_tensorflow()
    tables, scans = load_tables(), write_scans(root / "digits" / "scans")
    print(f"One worker trains {len(tables) + len(SCANNED_NETWORKS)} models, job after job, into {root}\n")
    with Worker(parsed.pyramid, parsed.protocol) as worker:
        table_results = [(table, train_table(worker, table, root)) for table in tables]
        scan_results = [(name, train_scans(worker, scans, name, root)) for name in SCANNED_NETWORKS]
    # TensorFlow is imported only now: the worker had the processor to itself
    with hidden_notices():
        results = import_module("demo_results")
        results.show(table_results, scans, scan_results, root)
    show_detection(commands, root / "detection")


def train_table(worker: Worker, table: Table, root: Path) -> Path:
    """Cache, train and finalize; gives the path of the final model."""
    caching, training, finalizing = table_jobs(table, root)
    cached = worker.run(table.title, caching)
    worker.run(table.title, training | {"tree_inputs": cached["tree_inputs"]})
    return Path(worker.run(table.title, finalizing)["final_model_path"])


def train_scans(worker: Worker, scans: Scans, network: str, root: Path) -> Path:
    """Train an image network and finalize; gives the path of the final model."""
    job, title = image_job(scans, network, root / "digits" / network), f"digits, {network}"
    trained = worker.run(title, job)
    finalizing = {**job, "job_type": "finalize_output", "job_id": trained["job_id"], "is_search": False}
    return Path(worker.run(title, finalizing)["final_model_path"])


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bin/demo",
        description="Trains a model of a table with one command, others of tables and scanned digits with a spawned "
        "worker, then a detector with the commands, and shows how good they are.",
    )
    parser.add_argument("pyramid", help=argparse.SUPPRESS)
    parser.add_argument(
        "directory", nargs="?", type=Path, help="where everything is written (default: a temporary directory)"
    )
    parser.add_argument(
        "--protocol", action="store_true", help="show the lines between orchestrator and worker as they are"
    )
    parser.usage = "bin/demo [-h] [--protocol] [directory]"
    return parser.parse_args()


if __name__ == "__main__":
    main()
