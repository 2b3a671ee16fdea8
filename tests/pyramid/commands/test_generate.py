"""The images of pyramid_generate: the meaning of every key, measured in pixels."""

from __future__ import annotations

import numpy as np
import pytest
from generation_folders import COLOURS, GREY, TRAINING, build_folder, cut_out, differing, generated
from PIL import Image

from pyramid.commands.config import parse_config


@pytest.fixture
def folder(tmp_path):
    return build_folder(tmp_path)


def test_classes_are_written_into_a_directory_each_and_the_config_can_be_trained(folder, capsys):
    config, images = generated(folder, objective_type="categorical", **TRAINING)
    out = capsys.readouterr().out
    assert f"12 images: {folder / 'out' / 'train'}" in out
    files = {
        path.relative_to(folder / "out" / "train").as_posix() for path in folder.glob("out/train/*/*.png")
    }
    rows = config["training_data"]
    assert files == {row["file"] for row in rows}
    assert [row["file"] for row in rows] == [
        f"{row['label']}/{place:08}.png" for place, row in enumerate(rows)
    ]
    for row, image in zip(rows, images, strict=True):
        x1, y1, x2, y2 = differing(image)
        assert (image[y1:y2, x1:x2] == COLOURS[row["label"]]).all()
    assert set(config) == {
        *("input_image_shape", "objective_type", "output_directory", "image_root", "training_data"),
        *TRAINING,
    }
    assert parse_config(config).missing_files() == []
    assert sorted(path.name for path in (folder / "out").iterdir()) == ["config.json", "train"]


def test_boxes_are_those_of_the_pasted_squares(folder):
    config, images = generated(folder)
    assert images.shape == (12, 32, 48, 3)
    for place, (row, image) in enumerate(zip(config["training_data"], images, strict=True)):
        assert row["file"] == f"{place:08}.png"
        ((*box, label),) = row["boxes"]
        assert box == differing(image)
        x1, y1, x2, y2 = box
        assert (image[y1:y2, x1:x2] == COLOURS[label]).all()
        assert 0.25 * 32 - 1 <= y2 - y1 <= 0.75 * 32 + 1


@pytest.mark.parametrize("margin", [0, 3])
@pytest.mark.parametrize(
    "ranges",
    [
        {},
        {"rotation": 180, "zoom": 0.3, "shear": 30, "deform": 0.4, "vertical_flip": True},
        {"blur": 1, "contrast": 0.5, "cutout": 0.3, "gaussian_noise": 0.2, "width_shift": 1},
    ],
)
def test_boxes_are_tight_under_every_augmentation(folder, ranges, margin):
    cut_out(folder)
    config, images = generated(
        folder,
        foreground_augmentation_ranges=ranges,
        bounding_box_margin=margin,
        generated_dataset_size=24,
        occupancy_range=[0.4, 0.9],
    )
    for row, image in zip(config["training_data"], images, strict=True):
        x1, y1, x2, y2 = differing(image)
        wider = [max(x1 - margin, 0), max(y1 - margin, 0), min(x2 + margin, 48), min(y2 + margin, 32)]
        assert np.abs(np.array(row["boxes"][0][:4]) - wider).max() <= 1


def test_only_what_moves_pixels_moves_alpha(folder):
    cut_out(folder)
    plain, plain_images = generated(folder, "--processes", "1")
    colours = ["brightness", "color_invert", "contrast", "cutout", "gaussian_noise", "glare", "tint"]
    moved = ["horizontal_flip"]
    results = []
    for names in (colours, moved):
        (folder / "out").rename(folder / f"kept {len(results)}")
        results.append(generated(folder, foreground_image_augmentations=names))
    (coloured, coloured_images), (flipped, flipped_images) = results
    assert coloured["training_data"] == plain["training_data"]
    assert (coloured_images != plain_images).any(axis=(1, 2, 3)).all()
    sides = set()
    for row, image, mirrored in zip(flipped["training_data"], plain_images, flipped_images, strict=True):
        x1, y1, x2, y2 = row["boxes"][0][:4]
        where = (slice(y1, y2), slice(x1, x2))
        same = np.abs(image[where] - mirrored[where]).max() < 8
        turned = np.abs(image[where][:, ::-1] - mirrored[where]).max() < 8
        assert same != turned
        sides.add(same)
    assert sides == {True, False}


def test_partly_transparent_foregrounds_let_the_background_through(folder):
    for path in (folder / "cutouts").rglob("*.png"):
        Image.new("RGBA", (20, 20), (255, 0, 55, 102)).save(path)
    config, images = generated(folder)
    for row, image in zip(config["training_data"], images, strict=True):
        x1, y1, x2, y2 = row["boxes"][0][:4]
        blend = 0.4 * np.array([255, 0, 55]) + 0.6 * GREY
        assert np.abs(image[y1:y2, x1:x2] - blend).max() <= 1


def test_images_without_alpha_are_opaque_and_counted(folder, capsys):
    Image.new("RGB", (20, 20), (0, 255, 0)).save(folder / "cutouts" / "red" / "1.jpg")
    generated(folder)
    assert "warning: 1 of 4 foregrounds have no alpha channel" in capsys.readouterr().err


@pytest.mark.parametrize("occupancy", [[0.5, 0.5], [0.2, 0.9], [1.5, 3]])
def test_the_occupancy_is_that_of_the_larger_axis(folder, occupancy):
    config, images = generated(folder, occupancy_range=occupancy, generated_dataset_size=40)
    taken = []
    for row, image in zip(config["training_data"], images, strict=True):
        x1, y1, x2, y2 = box = row["boxes"][0][:4]
        assert box == differing(image)
        taken.append((y2 - y1) / 32)
        assert x2 - x1 == pytest.approx(min(y2 - y1, 48), abs=1) or y2 - y1 == 32
    low, high = (min(share, 1) for share in occupancy)
    assert min(taken) >= low - 1 / 64 - 1e-9
    assert max(taken) <= high + 1 / 64 + 1e-9
    assert max(taken) - min(taken) >= 0.7 * (high - low)


def test_several_foregrounds_have_a_box_each_even_when_covered(folder):
    config, images = generated(
        folder, max_foreground_images=4, occupancy_range=[1, 1], input_image_shape=[32, 32, 3],
        generated_dataset_size=40,
    )  # fmt: skip
    counts = [len(row["boxes"]) for row in config["training_data"]]
    assert set(counts) == {1, 2, 3, 4}
    for row, image in zip(config["training_data"], images, strict=True):
        assert [box[:4] for box in row["boxes"]] == [[0, 0, 32, 32]] * len(row["boxes"])
        assert (image == COLOURS[row["boxes"][-1][4]]).all(), "the last one is on top"


def test_the_label_of_a_class_is_that_of_the_foreground_on_top(folder):
    config, images = generated(
        folder, objective_type="categorical", max_foreground_images=4, occupancy_range=[1.5, 1.5]
    )
    assert len({row["label"] for row in config["training_data"]}) == 2
    for row, image in zip(config["training_data"], images, strict=True):
        assert (image == COLOURS[row["label"]]).all()


@pytest.mark.parametrize("objective", ["categorical", "bounding_box"])
def test_empty_images_are_backgrounds_only(folder, objective):
    config, images = generated(
        folder,
        objective_type=objective,
        empty_image_rate=0.5,
        background_label="nothing",
        generated_dataset_size=60,
    )
    empty = [differing(image) is None for image in images]
    assert 15 <= sum(empty) <= 45
    if objective == "categorical":
        assert [row["label"] == "nothing" for row in config["training_data"]] == empty
        assert len(list((folder / "out" / "train" / "nothing").iterdir())) == sum(empty)
    else:
        assert [row["boxes"] == [] for row in config["training_data"]] == empty


@pytest.mark.parametrize(("rate", "least", "most"), [(0, 0, 0), (0.5, 15, 45), (1, 60, 60)])
def test_random_backgrounds_are_one_colour_and_some_shapes(folder, rate, least, most):
    _, images = generated(
        folder,
        max_foreground_images=0,
        random_background_rate=rate,
        background_image_root=... if rate == 1 else str(folder / "backgrounds"),
        generated_dataset_size=60,
    )
    drawn = [image for image in images if differing(image) is not None]
    assert least <= len(drawn) <= most
    colours = [len(np.unique(image.reshape(-1, 3), axis=0)) for image in drawn]
    assert all(count <= 7 for count in colours)
    assert not drawn or (min(colours) == 1 and max(colours) > 3)


def test_backgrounds_are_augmented(folder):
    _, images = generated(folder, max_foreground_images=0, background_augmentation_ranges={"brightness": 0.2})
    values = images[:, 0, 0, 0]
    assert (images == values[:, None, None, None]).all()
    assert len(set(values.tolist())) > 6
    assert np.abs(values - GREY).max() <= 52


@pytest.mark.parametrize("balanced", [True, False])
def test_labels_are_balanced_where_that_is_asked_for(folder, balanced):
    for number in range(1, 8):
        Image.new("RGBA", (9, 9), COLOURS["red"]).save(folder / "cutouts" / "red" / f"{number}.png")
    config, _ = generated(
        folder, objective_type="categorical", balance_objective=balanced, generated_dataset_size=101
    )
    reds = sum(row["label"] == "red" for row in config["training_data"])
    assert reds in (50, 51) if balanced else 66 <= reds <= 94
    assert config["balance_objective"] is balanced


def test_a_constant_label_takes_the_place_of_all(folder):
    config, _ = generated(folder, constant_box_label="thing", max_foreground_images=2)
    assert {box[4] for row in config["training_data"] for box in row["boxes"]} == {"thing"}


def test_foregrounds_without_sub_directory_have_the_empty_label(folder):
    for name in COLOURS:
        for path in (folder / "cutouts" / name).iterdir():
            path.rename(folder / "cutouts" / f"{name}{path.name}")
        (folder / "cutouts" / name).rmdir()
    config, _ = generated(folder, objective_type="categorical")
    assert {row["label"] for row in config["training_data"]} == {""}
    assert len(list((folder / "out" / "train").glob("*.png"))) == 12


def test_the_images_of_a_smaller_data_set_are_the_first_of_a_larger_one(folder):
    _, few = generated(folder, max_foreground_images=3, generated_dataset_size=5)
    (folder / "out").rename(folder / "few")
    _, many = generated(folder, max_foreground_images=3, generated_dataset_size=40)
    assert (many[:5] == few).all()
