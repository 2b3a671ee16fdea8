"""Small folders of foregrounds and backgrounds, and what pyramid_generate makes of them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from pyramid.commands import generate
from pyramid.commands.generation_config import parse_generation

GREY = 128
COLOURS = {"blue": (0, 0, 255), "red": (255, 0, 0)}
TRAINING = {
    "image_network_candidates": [["simple", "randomly_initialize"]],
    "batch_size": 8,
    "descent_algorithm": "adam",
    "learning_rate": 0.001,
    "max_total_time": 5,
}
"""The keys of a training on what is generated."""

OPTIONS = parse_generation(
    {
        "objective_type": "categorical",
        "foreground_image_root": "cutouts",
        "background_image_root": "backgrounds",
        "generated_dataset_size": 1,
        "input_image_shape": [32, 24, 3],
        "output_directory": "out",
        "max_foreground_images": 4,
    }
).options


def build_folder(directory):
    """Grey backgrounds in `backgrounds`; a red and two blue squares of 20 pixels in `cutouts`, below their labels."""
    for name, colour in COLOURS.items():
        (directory / "cutouts" / name).mkdir(parents=True)
        square = Image.new("RGBA", (20, 20), colour)
        for number in range(1 + (name == "blue")):
            square.save(directory / "cutouts" / name / f"{number}.png")
    (directory / "backgrounds" / "unused").mkdir(parents=True)
    for number, size in enumerate([(64, 64), (90, 50)]):
        Image.new("RGB", size, (GREY, GREY, GREY)).save(directory / "backgrounds" / f"{number}.png")
    (directory / "backgrounds" / "unused" / "broken.png").write_text("no image")
    return directory


def write_config(folder, **keys):
    config = {
        "objective_type": "bounding_box",
        "foreground_image_root": str(folder / "cutouts"),
        "background_image_root": str(folder / "backgrounds"),
        "generated_dataset_size": 12,
        "input_image_shape": [48, 32, 3],
        "output_directory": str(folder / "out"),
    } | keys
    path = folder / "config.json"
    path.write_text(json.dumps({key: value for key, value in config.items() if value is not ...}))
    return path


def generated(folder, *flags, **keys):
    """The written config, and the pixels of its images, (n, height, width, 3) int."""
    assert generate.main([*flags, str(write_config(folder, **keys))]) == 0
    config = json.loads((folder / "out" / "config.json").read_text())
    root = Path(config["image_root"])
    images = [np.asarray(Image.open(root / row["file"])).astype(int) for row in config["training_data"]]
    return config, np.stack(images)


def differing(image):
    """The tight box of what is not the grey background; None: there is nothing."""
    different = (np.abs(image - GREY) > 8).any(axis=-1)
    rows, columns = np.flatnonzero(different.any(axis=1)), np.flatnonzero(different.any(axis=0))
    return [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1] if len(rows) else None


def cut_out(folder, size=(40, 30)):
    """One foreground: a triangle and a hole on a transparent ground."""
    for path in sorted((folder / "cutouts").rglob("*.png")):
        path.unlink()
    (folder / "cutouts" / "red").rmdir()
    image = Image.new("RGBA", size, (255, 255, 255, 0))
    pen = ImageDraw.Draw(image)
    pen.polygon([(4, 2), (size[0] - 3, 6), (8, size[1] - 4)], fill=(250, 10, 10, 255))
    pen.ellipse((9, 7, 14, 12), fill=(0, 0, 0, 0))
    image.save(folder / "cutouts" / "blue" / "triangle.png")
