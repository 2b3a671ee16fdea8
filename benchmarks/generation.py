"""How many images a second `pyramid_generate` writes: `python benchmarks/generation.py [IMAGES]`.

Each run is a process of its own on cut-outs and photographs' sizes that are made here; all usual augmentations are on.
Seconds are those of the whole command, start and compilation included. "peak MB so far" is the resident memory of the
largest single process in this run and all rows above it: the system keeps no other, so only a row that raises it tells
what its own run needs.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from itertools import count
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from timing import print_table

ROOT = Path(__file__).parents[1]
IMAGES, SIDE = 2000, 256
GOAL_SECONDS = 60.0
PROCESSES, SIDES, FOREGROUNDS = (1, 2), (64, 128, 256, 512), (0, 1, 4, 16)
FOREGROUND_AUGMENTATIONS = ["rotation", "zoom", "shear", "deform", "brightness", "contrast", "gaussian_noise"]
BACKGROUND_AUGMENTATIONS = ["horizontal_flip", "zoom", "brightness", "blur"]


def draw_sources(directory: Path) -> None:
    """Two labels of 16 cut-outs of 320 x 240, and 32 smooth backgrounds of 800 x 600."""
    rng = np.random.default_rng(0)
    for label in ("disc", "wedge"):
        (directory / "cutouts" / label).mkdir(parents=True)
        for number in range(16):
            image = Image.new("RGBA", (320, 240))
            draw = ImageDraw.Draw(image)
            colour = tuple(rng.integers(256, size=3).tolist())
            if label == "disc":
                draw.ellipse((20, 10, 300, 230), fill=colour)
            else:
                draw.polygon([(10, 10), (300, 120), (30, 230)], fill=colour)
            image.save(directory / "cutouts" / label / f"{number}.png")
    (directory / "backgrounds").mkdir()
    for number in range(32):
        coarse = Image.fromarray(rng.integers(0, 256, (6, 8, 3), np.uint8))
        coarse.resize((800, 600), Image.Resampling.BICUBIC).save(directory / "backgrounds" / f"{number}.jpg")


def seconds(directory: Path, output: str, images: int, side: int, foregrounds: int, processes: int) -> float:
    config = {
        "objective_type": "bounding_box",
        "foreground_image_root": str(directory / "cutouts"),
        "background_image_root": str(directory / "backgrounds"),
        "foreground_image_augmentations": FOREGROUND_AUGMENTATIONS,
        "background_image_augmentations": BACKGROUND_AUGMENTATIONS,
        "generated_dataset_size": images,
        "input_image_shape": [side, side, 3],
        "max_foreground_images": foregrounds,
        "occupancy_range": [0.2, 0.6],
        "balance_objective": True,
        "output_directory": str(directory / output),
    }
    path = directory / "config.json"
    path.write_text(json.dumps(config))
    command = [sys.executable, "-m", "pyramid.commands.generate", "--processes", str(processes), str(path)]
    start = time.perf_counter()
    subprocess.run(command, check=True, cwd=ROOT, capture_output=True)
    return time.perf_counter() - start


def main() -> None:
    images = int(sys.argv[1]) if len(sys.argv) > 1 else IMAGES
    few = max(1, images // 8)
    cases = [(images, SIDE, 2, processes) for processes in PROCESSES]
    cases += [(few, side, 2, 1) for side in SIDES]
    cases += [(few, SIDE, foregrounds, 1) for foregrounds in FOREGROUNDS]
    rows, runs = [], count()
    with tempfile.TemporaryDirectory() as name:
        draw_sources(Path(name))
        for amount, side, foregrounds, processes in cases:
            took = seconds(Path(name), str(next(runs)), amount, side, foregrounds, processes)
            peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
            goal = f"{GOAL_SECONDS:.0f}" if (amount, side, processes) == (IMAGES, SIDE, 2) else ""
            rows.append(
                [
                    amount,
                    side,
                    foregrounds,
                    processes,
                    f"{took:.1f}",
                    goal,
                    f"{amount / took:.0f}",
                    f"{peak:.0f}",
                ]
            )
    head = [
        "images",
        "side",
        "most foregrounds",
        "processes",
        "seconds",
        "goal",
        "images/s",
        "peak MB so far",
    ]
    print_table(head, rows)


if __name__ == "__main__":
    sys.exit(main())
