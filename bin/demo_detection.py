"""The demo's last part: scanned digits are pasted on photographs, and a detector learns to find them there.

Everything is done by the commands that people have: `pyramid_generate`, `pyramid_train`, `pyramid_evaluate`.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from demo_commands import run
from demo_data import SEED, TEST_SHARE
from PIL import Image
from sklearn import datasets

DIGITS = ("0", "1", "4")
INK = (255, 0, 180)
ENLARGED = 4
SIDE = 96
PIECES = (3, 4)  # of a photograph, down and across
N_TRAINING, N_TEST = 600, 60
ITERATIONS, MOST_SECONDS = 240, 300


def show_detection(commands: Path, root: Path) -> None:
    """Make the images, train a detector, measure it, and say where it can be seen at work.

    Args:
        commands: the directory of the commands.
        root: where everything is written.
    """
    print(f"\nA detector learns to find the digits {', '.join(DIGITS)} in photographs, by three commands:\n")
    write_backgrounds(root / "backgrounds")
    scans = write_foregrounds(root)
    training = generate(commands, root / "training", scans["training"], N_TRAINING, SEED)
    run(commands / "pyramid_train", training)
    test = generate(commands, root / "test", scans["test"], N_TEST, SEED + 1)
    model, pictures = root / "training" / "final_model.json", root / "pictures"
    run(commands / "pyramid_evaluate", model, test, "--draw", pictures)
    print(
        f"\nWhat it finds in images that it never saw, and, dashed, what is there:\n  {example(test, pictures)}"
    )


def write_backgrounds(directory: Path) -> None:
    """scikit-learn's two photographs, cut into pieces."""
    directory.mkdir(parents=True, exist_ok=True)
    down, across = PIECES
    for number, photograph in enumerate(datasets.load_sample_images().images):
        rows = np.array_split(photograph, down)
        for place, piece in enumerate(piece for row in rows for piece in np.array_split(row, across, axis=1)):
            Image.fromarray(piece).save(directory / f"{number}_{place:02d}.png")


def write_foregrounds(root: Path) -> dict[str, Path]:
    """The scans of some digits as ink on nothing, those to learn from and those to test on."""
    digits = datasets.load_digits()
    is_test = np.random.default_rng(SEED).random(len(digits.target)) < TEST_SHARE
    directories = {"training": root / "scans", "test": root / "test_scans"}
    for number, (scan, digit) in enumerate(zip(digits.images, digits.target.tolist(), strict=True)):
        if str(digit) not in DIGITS:
            continue
        folder = directories["test" if is_test[number] else "training"] / str(digit)
        folder.mkdir(parents=True, exist_ok=True)
        strength = Image.fromarray((scan * 255 / 16).astype(np.uint8))
        size = (scan.shape[1] * ENLARGED, scan.shape[0] * ENLARGED)
        ink = Image.new("RGB", size, INK)
        ink.putalpha(strength.resize(size, Image.Resampling.BICUBIC))
        ink.save(folder / f"{number:04d}.png")
    return directories


def generate(commands: Path, directory: Path, scans: Path, count: int, seed: int) -> Path:
    """Paste scans on photographs; gives the config of a training on them."""
    directory.mkdir(parents=True, exist_ok=True)
    # an earlier demo's, which pyramid_generate would not overwrite
    shutil.rmtree(directory / "train", ignore_errors=True)
    (directory / "config.json").unlink(missing_ok=True)
    given = directory / "generate.json"
    given.write_text(json.dumps(generation(directory, scans, count, seed), indent=2))
    run(commands / "pyramid_generate", given)
    return directory / "config.json"


def generation(directory: Path, scans: Path, count: int, seed: int) -> dict[str, Any]:
    """The config of a data set, with the keys of the training on it."""
    return {
        "objective_type": "bounding_box",
        "foreground_image_root": str(scans),
        "background_image_root": str(directory.parent / "backgrounds"),
        "foreground_augmentation_ranges": {"rotation": 10, "shear": 10, "brightness": 0.2},
        "background_image_augmentations": ["horizontal_flip", "brightness", "contrast", "zoom"],
        "generated_dataset_size": count,
        "max_foreground_images": 3,
        "occupancy_range": [0.25, 0.45],
        "empty_image_rate": 0.05,
        "balance_objective": True,
        "seed": seed,
        "output_directory": str(directory),
        "input_image_shape": [SIDE, SIDE, 3],
        "image_network_candidates": [["tinyyolov4", "randomly_initialize"]],
        # no flips: a mirrored 4 is none
        "image_augmentations": ["brightness", "contrast", "zoom", "width_shift", "height_shift"],
        "batch_size": 16,
        "descent_algorithm": "adam",
        "learning_rate": 0.001,
        "learning_rate_warmup_iterations": 40,
        "max_seconds_per_update": 8,
        "max_iterations": ITERATIONS,
        "max_total_time": MOST_SECONDS,
    }


def example(test: Path, pictures: Path) -> Path:
    """The picture of the image whose boxes are spread out most: there they hide each other least."""
    rows = json.loads(test.read_text())["training_data"]
    return sorted(pictures.iterdir())[max(range(len(rows)), key=lambda place: spread(rows[place]["boxes"]))]


def spread(boxes: Sequence[Sequence[Any]]) -> float:
    """The area around all boxes."""
    if not boxes:
        return 0
    left, top, right, bottom, _ = zip(*boxes, strict=True)
    return float((max(right) - min(left)) * (max(bottom) - min(top)))
