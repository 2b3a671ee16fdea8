"""How `pyramid_dataset` compares with what people use otherwise: `python benchmarks/datasets.py`.

    python benchmarks/datasets.py points --share 1       # lists of the size of Open Images V4, the usual way on a tenth
    python benchmarks/datasets.py download --pictures 2000 --latency 0.02
    python benchmarks/datasets.py verify --pictures 10000

`points`: 14.6 million boxes on 1.9 million images are made up, then grouped and joined; beside it the scripts that the
tutorials have, on a tenth, with sets where those search lists. `download`: from a server on this machine that takes
`--latency` seconds for each answer, beside aria2c (`ARIA2C` names it) and img2dataset (`IMG2DATASET` names its
command), where they are. `verify`: thumbnails of 256 pixels, beside a loop over Pillow in two processes.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import polars as pl
from PIL import Image
from timing import interleaved, print_table

IMAGES, BOXES = 1_900_000, 14_600_000
CLASSES, TRAINABLE = 600, 545
ROWS_AT_ONCE = 250_000
PICTURES = 50
"""So many different pictures there are; the others are copies."""
SIDE = 256
JOBS = 16
GOALS = {"points": "180 s, 1 GB", "download": ">= 0.8", "verify": ">= 1"}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=(*GOALS, "tutorial", "pillow"))
    parser.add_argument("--share", type=float, default=1.0, help="of the boxes and images of Open Images")
    parser.add_argument("--pictures", type=int, default=2000)
    parser.add_argument("--latency", type=float, default=0.0, help="seconds until the server answers")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parsed = parser.parse_args(arguments)
    if parsed.what == "tutorial":
        tutorial_points(parsed.folder)
    elif parsed.what == "pillow":
        pillow_loop(parsed.folder)
    else:
        with tempfile.TemporaryDirectory(dir=parsed.folder) as folder:
            {"points": measure_points, "download": measure_download, "verify": measure_verify}[parsed.what](
                parsed, Path(folder)
            )


def measure_points(parsed: argparse.Namespace, folder: Path) -> None:
    """Seconds and the largest memory, of ours and of the scripts of tutorials."""
    rows: list[Sequence[object]] = []
    for name, share, command in (
        ("pyramid_dataset", parsed.share, points_command),
        ("as in tutorials", parsed.share / 10, partial(own_command, "tutorial")),
    ):
        lists = folder / name.replace(" ", "_")
        write_lists(lists, int(IMAGES * share), int(BOXES * share))
        used = run(command(lists))
        rows.append((name, int(BOXES * share), f"{used['seconds']:.1f}", f"{used['memory_bytes'] / 1e9:.2f}"))
        shutil.rmtree(lists)
    print_table((f"points, goal {GOALS['points']}", "boxes", "seconds", "GB"), rows)


def measure_download(parsed: argparse.Namespace, folder: Path) -> None:
    """Pictures a second from a server of our own, beside those of other downloaders."""
    with pictures_served(parsed.latency) as address:
        urls = [f"{address}/{number}.jpg" for number in range(parsed.pictures)]
        (folder / "urls.txt").write_text("\n".join(urls))
        index = [{"id": f"{number}", "url": url} for number, url in enumerate(urls)]
        (folder / "index.json").write_text(json.dumps(index))
        contestants = {name: command for name, command in DOWNLOADERS.items() if command(folder)}
        seconds = interleaved(
            {
                name: partial(downloading_seconds, command, folder, parsed.pictures)
                for name, command in contestants.items()
            },
            parsed.rounds,
        )
    ours = seconds["pyramid_dataset"]
    print_table(
        (f"download, goal {GOALS['download']}", "pictures a second", "ours is so many times as fast"),
        [(name, f"{parsed.pictures / taken:.0f}", f"{taken / ours:.2f}") for name, taken in seconds.items()],
    )


def measure_verify(parsed: argparse.Namespace, folder: Path) -> None:
    """Pictures a second, beside a loop over Pillow."""
    (folder / "pictures").mkdir()
    made = [noisy_picture(number) for number in range(PICTURES)]
    ids = [f"{number:06}" for number in range(parsed.pictures)]
    for number, id_ in enumerate(ids):
        (folder / "pictures" / f"{id_}.jpg").write_bytes(made[number % PICTURES])
    box = {"label": "/m/0", "confidence": 1, "x0": 0, "x1": 1, "y0": 0, "y1": 1}
    points = [{"id": id_, "annotations": [box]} for id_ in ids]
    (folder / "points.json").write_text(json.dumps(points))
    seconds = interleaved(
        {
            "pyramid_dataset": partial(verifying_seconds, verify_command, folder),
            "loop over Pillow": partial(verifying_seconds, partial(own_command, "pillow"), folder),
        },
        parsed.rounds,
    )
    ours = seconds["pyramid_dataset"]
    print_table(
        (f"verify, goal {GOALS['verify']}", "pictures a second", "ours is so many times as fast"),
        [(name, f"{parsed.pictures / taken:.0f}", f"{taken / ours:.2f}") for name, taken in seconds.items()],
    )


def run(command: Sequence[str]) -> Mapping[str, float]:
    """The seconds that a command takes, and the largest memory of its processes."""
    start = time.perf_counter()
    program = (
        "import resource, subprocess, sys\nsubprocess.run(sys.argv[1:], check=True, capture_output=True)\n"
    )
    program += "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)"
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", program, *command],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{command} failed:\n{done.stderr[-2000:]}")
    return {"seconds": time.perf_counter() - start, "memory_bytes": float(done.stdout)}


def own_command(what: str, folder: Path) -> list[str]:
    return [sys.executable, __file__, what, "--folder", str(folder)]


def dataset_command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "pyramid.commands.dataset", *map(str, arguments)]


def points_command(folder: Path) -> list[str]:
    inputs = ("--annotations", folder / "boxes.csv", "--images", folder / "images.csv")
    outputs = ("--points", folder / "points.json", "--index", folder / "index.json")
    return dataset_command("points", *inputs, "--trainable", folder / "trainable.txt", *outputs)


def verify_command(folder: Path) -> list[str]:
    outputs = ("--output", folder / "good.json", "--resized", folder / "small", "--size", SIDE)
    points = ("--points", folder / "points.json", "--processes", 2)
    return dataset_command("verify", folder / "pictures", *points, *outputs)


def verifying_seconds(command: Callable[[Path], list[str]], folder: Path) -> float:
    shutil.rmtree(folder / "small", ignore_errors=True)
    (folder / "good.journal").unlink(missing_ok=True)
    taken = run(command(folder))["seconds"]
    assert len(list((folder / "small").iterdir())) == len(list((folder / "pictures").iterdir()))
    return taken


def our_download(folder: Path) -> list[str]:
    return dataset_command("download", folder / "index.json", folder / "downloaded", "--jobs", JOBS)


def aria2c_download(folder: Path) -> list[str] | None:
    program = os.environ.get("ARIA2C") or shutil.which("aria2c")
    if program is None:
        return None
    arguments = ("-q", f"-j{JOBS}", "-x1", "-i", folder / "urls.txt", "-d", folder / "downloaded")
    return [program, *map(str, arguments)]


def img2dataset_download(folder: Path) -> list[str] | None:
    program = os.environ.get("IMG2DATASET") or shutil.which("img2dataset")
    if program is None:
        return None
    options = {
        "url_list": folder / "urls.txt",
        "output_folder": folder / "downloaded",
        "output_format": "files",
        "processes_count": 1,
        "thread_count": JOBS,
        "resize_mode": "no",
        "skip_reencode": True,
        "enable_wandb": False,
    }
    return [program, *(f"--{name}={value}" for name, value in options.items())]


DOWNLOADERS: Mapping[str, Callable[[Path], list[str] | None]] = {
    "pyramid_dataset": our_download,
    "aria2c": aria2c_download,
    "img2dataset": img2dataset_download,
}


def downloading_seconds(command: Callable[[Path], list[str] | None], folder: Path, n_pictures: int) -> float:
    shutil.rmtree(folder / "downloaded", ignore_errors=True)
    wanted = command(folder)
    assert wanted is not None, "only those that are there were asked"
    taken = run(wanted)["seconds"]
    assert len(list((folder / "downloaded").rglob("*.jpg"))) == n_pictures
    return taken


def noisy_picture(seed: int) -> bytes:
    """A JPEG of the usual size of thumbnails on the web, with detail to encode."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (24, 32, 3), np.uint8)).resize((640, 480))
    pixels = np.asarray(coarse, np.int16) + rng.integers(-12, 13, (480, 640, 3))
    encoded = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(encoded, format="JPEG", quality=85)
    return encoded.getvalue()


@contextmanager
def pictures_served(latency: float) -> Iterator[str]:
    """The address of a server that has a picture for every name."""
    made = [noisy_picture(number) for number in range(PICTURES)]

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            time.sleep(latency)
            body = made[int(self.path.strip("/").removesuffix(".jpg")) % PICTURES]
            head = f"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: {len(body)}\r\n\r\n"
            self.wfile.write(head.encode() + body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def write_lists(folder: Path, n_images: int, n_boxes: int) -> None:
    """images.csv, boxes.csv and trainable.txt in the form of Open Images, sorted by image as those are."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    ids = pl.Series([f"{one:016x}" for one in np.unique(rng.integers(0, 2**60, n_images)).tolist()])
    labels = pl.Series([f"/m/{one:05x}" for one in range(CLASSES)])
    (folder / "trainable.txt").write_text("\n".join(labels.to_list()[:TRAINABLE]))
    with (folder / "images.csv").open("wb") as file:
        for start in range(0, len(ids), ROWS_AT_ONCE):
            image_rows(ids[start : start + ROWS_AT_ONCE]).write_csv(file, include_header=start == 0)
    of_images = np.sort(rng.integers(0, len(ids), n_boxes))
    with (folder / "boxes.csv").open("wb") as file:
        for start in range(0, n_boxes, ROWS_AT_ONCE):
            part = of_images[start : start + ROWS_AT_ONCE]
            rows = box_rows(ids.gather(part), labels.gather(rng.integers(0, CLASSES, len(part))), rng)
            rows.write_csv(file, include_header=start == 0)


def image_rows(ids: pl.Series) -> pl.DataFrame:
    name = pl.col("ImageID")
    return (
        ids.alias("ImageID")
        .to_frame()
        .with_columns(
            Subset=pl.lit("train"),
            OriginalURL=pl.format("https://c1.staticflickr.com/5/4129/{}_4bd9a6_o.jpg", name),
            OriginalLandingURL=pl.format("https://www.flickr.com/photos/someone/{}", name),
            License=pl.lit("https://creativecommons.org/licenses/by/2.0/"),
            AuthorProfileURL=pl.lit("https://www.flickr.com/people/someone/"),
            Author=pl.lit('Some "One", Jr.'),
            Title=pl.format("A picture, {}", name),
            OriginalSize=pl.lit(2_038_323),
            OriginalMD5=pl.lit("I4V4qq54NBEFDwBqPYCkDA=="),
            Thumbnail300KURL=pl.format("https://c4.staticflickr.com/5/{}_z.jpg", name),
        )
    )


def box_rows(ids: pl.Series, labels: pl.Series, rng: np.random.Generator) -> pl.DataFrame:
    x, y = (np.sort(rng.random((len(ids), 2)), axis=1).round(6) for _ in "xy")
    columns = {"ImageID": ids, "Source": "xclick", "LabelName": labels, "Confidence": 1}
    columns |= {"XMin": x[:, 0], "XMax": x[:, 1], "YMin": y[:, 0], "YMax": y[:, 1]}
    columns |= dict.fromkeys(("IsOccluded", "IsTruncated", "IsGroupOf", "IsDepiction", "IsInside"), 0)
    return pl.DataFrame(columns)


def tutorial_points(folder: Path) -> None:
    """What the scripts of tutorials do: everything is read into lists of dicts, grouped and written."""
    trainable = set((folder / "trainable.txt").read_text().split("\n"))
    names = ("id", "label", "confidence", "x0", "x1", "y0", "y1")
    with (folder / "boxes.csv").open(newline="") as file:
        rows = ((row[0], *row[2:8]) for row in csv.reader(file))
        annotations = [dict(zip(names, row, strict=True)) for row in rows if row[1] in trainable]
    by_id: dict[str, list] = {}
    for annotation in annotations:
        by_id.setdefault(annotation["id"], []).append(annotation)
    with (folder / "images.csv").open(newline="") as file:
        images = [{"id": row[0], "url": row[2]} for row in csv.reader(file)]
    with (folder / "points.json").open("w") as file:
        json.dump([{"id": id_, "annotations": boxes} for id_, boxes in by_id.items()], file)
    with (folder / "index.json").open("w") as file:
        json.dump([image for image in images if image["id"] in by_id], file)


def pillow_loop(folder: Path) -> None:
    """What people write: each picture verified, made small and saved, in two processes."""
    (folder / "small").mkdir()
    paths = sorted((folder / "pictures").iterdir())
    with ProcessPoolExecutor(2) as pool:
        list(pool.map(partial(small_picture, folder / "small"), paths, chunksize=32))


def small_picture(folder: Path, path: Path) -> None:
    with Image.open(path) as image:
        image.verify()
    with Image.open(path) as image:
        image.thumbnail((SIDE, SIDE))
        image.convert("RGB").save(folder / path.name, "JPEG", quality=90)


if __name__ == "__main__":
    main()
