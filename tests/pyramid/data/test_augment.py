from __future__ import annotations

import hashlib
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from pyramid.images.augment import AUGMENTATIONS, augment, augment_with_boxes, parse_augmentations

HEIGHT, WIDTH, COUNT = 30, 44, 40
ALL = list(AUGMENTATIONS)


def parsed(**ranges):
    return parse_augmentations(None, ranges, generation=True)


def run(images, seed=1, epoch=0, indices=None, **ranges):
    indices = range(len(images)) if indices is None else indices
    indices = tf.constant(list(indices), tf.int64)
    return augment(tf.constant(images), seed, epoch, indices, parsed(**ranges)).numpy()


def smooth(count=COUNT, height=HEIGHT, width=WIDTH):
    """Different images with colours from 30 to 226."""
    rng = np.random.default_rng(0)
    coarse = rng.uniform(30, 226, (count, 6, 8, 3)).astype(np.float32)
    return tf.image.resize(coarse, (height, width)).numpy().round().astype(np.uint8)


def still(image, count=COUNT):
    return np.repeat(image[None], count, axis=0)


def places(count=COUNT, height=HEIGHT, width=WIDTH):
    """Images whose red is 4 times the column and whose green is 4 times the row."""
    rows, columns = np.mgrid[:height, :width]
    return still(np.stack([columns * 4, rows * 4, np.zeros_like(rows)], axis=-1).astype(np.uint8), count)


def sources(image):
    """(h, w, 2) where each pixel of an augmented `places` came from: x, y in continuous coordinates."""
    return image[..., :2].astype(float) / 4 + 0.5


def inner(image, margin=1.0):
    """Where an augmented `places` shows its inside and not its repeated border."""
    x, y = np.moveaxis(sources(image), -1, 0)
    return (x > margin) & (x < WIDTH - margin) & (y > margin) & (y < HEIGHT - margin)


def fit_affine(image):
    """The 2 x 2 matrix that takes offsets in the augmented image to offsets in the original, and its error."""
    rows, columns = np.nonzero(inner(image))
    design = np.stack([columns + 0.5 - WIDTH / 2, rows + 0.5 - HEIGHT / 2, np.ones(len(rows))], axis=1)
    target = sources(image)[rows, columns] - [WIDTH / 2, HEIGHT / 2]
    solution, *_ = np.linalg.lstsq(design, target, rcond=None)
    return solution.T, np.abs(design @ solution - target).max()


def share_changed(images, results):
    return np.mean([not np.array_equal(one, other) for one, other in zip(images, results, strict=True)])


# What every augmentation is put through; a new one is tested by being registered.


@pytest.mark.parametrize("name", ALL)
def test_an_image_is_a_function_of_itself_seed_epoch_and_index(name):
    images = smooth(count=20)
    whole = run(images, **{name: None})
    assert whole.shape == images.shape
    assert whole.dtype == np.uint8
    assert share_changed(images, whole) > 0.1
    order = np.random.default_rng(1).permutation(20)
    np.testing.assert_array_equal(run(images[order], indices=order, **{name: None}), whole[order])
    np.testing.assert_array_equal(run(images[7:8], indices=[7], **{name: None}), whole[7:8])
    assert share_changed(whole, run(images, seed=2, **{name: None})) > 0.1
    assert share_changed(whole, run(images, epoch=1, **{name: None})) > 0.1


@pytest.mark.parametrize("name", ALL)
def test_zero_does_nothing_and_the_highest_value_is_sound(name):
    images = smooth(count=20)
    np.testing.assert_array_equal(run(images, **{name: 0}), images)
    spec = AUGMENTATIONS[name]
    if spec.default is None:
        return
    augmentations = parsed(**{name: spec.highest})
    boxes, valid = tf.constant([[[4.0, 5, 20, 22]]] * 20), tf.ones((20, 1), tf.bool)
    results, boxes, _ = augment_with_boxes(
        tf.constant(images), boxes, valid, 1, 0, tf.range(20), augmentations
    )
    assert share_changed(images, results.numpy()) > 0.25
    assert np.isfinite(boxes.numpy()).all()


# of every kind one: all sixteen take many seconds to compile
MIXED = ["rotation", "zoom", "horizontal_flip", "brightness", "gaussian_noise", "cutout"]


@pytest.mark.parametrize("names", [["all"], ["horizontal_flip", "brightness"], ["rotation"]])
def test_parallel_calls_and_batch_sizes_give_the_same_bytes(names):
    images = smooth(count=48)
    augmentations = parse_augmentations(ALL if names == ["all"] else names, None)
    expected = augment(tf.constant(images), 5, 3, tf.range(48), augmentations).numpy()
    for calls, batch in ((1, 16), (8, 5)):
        dataset = tf.data.Dataset.from_tensor_slices((images, tf.range(48))).batch(batch)
        dataset = dataset.map(lambda x, i: augment(x, 5, 3, i, augmentations), num_parallel_calls=calls)
        np.testing.assert_array_equal(np.concatenate(list(dataset.as_numpy_iterator())), expected)


def test_boxes_do_not_change_what_becomes_of_the_images():
    images = tf.constant(smooth(count=5))
    augmentations = parse_augmentations(MIXED, None)
    boxes, valid = tf.constant([[[4.0, 5, 20, 22]] * 3] * 5), tf.ones((5, 3), tf.bool)
    plain = augment(images, 1, 0, tf.range(5), augmentations)
    np.testing.assert_array_equal(
        augment_with_boxes(images, boxes, valid, 1, 0, tf.range(5), augmentations)[0], plain
    )


def test_an_empty_batch_and_no_augmentation_are_fine():
    images = smooth(count=2)
    np.testing.assert_array_equal(run(images), images)
    assert run(images[:0], zoom=0.5).shape == (0, HEIGHT, WIDTH, 3)


@pytest.mark.slow
def test_another_process_gives_the_same_bytes():
    code = (
        "import hashlib, numpy, tensorflow as tf\n"
        "from pyramid.images.augment import *\n"
        "images = numpy.random.default_rng(3).integers(0, 256, (9, 20, 28, 3), numpy.uint8)\n"
        f"names = parse_augmentations({MIXED}, None)\n"
        "print(hashlib.sha256(augment(tf.constant(images), 9, 2, tf.range(9), names).numpy()).hexdigest())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    images = np.random.default_rng(3).integers(0, 256, (9, 20, 28, 3), np.uint8)
    here = augment(tf.constant(images), 9, 2, tf.range(9), parse_augmentations(MIXED, None)).numpy()
    assert done.stdout.split()[-1] == hashlib.sha256(here).hexdigest()


# What each one means.


def test_brightness_adds_one_number():
    images = smooth()
    changes = run(images, brightness=0.1).astype(int) - images
    numbers = changes.reshape(COUNT, -1)
    assert (numbers == numbers[:, :1]).all()
    assert np.abs(numbers).max() <= 26
    assert len(np.unique(numbers[:, 0])) > COUNT / 3
    assert np.abs(numbers[:, 0].mean()) < 8


def test_brightness_is_clipped():
    white, black = np.full((COUNT, 4, 4, 3), 255, np.uint8), np.zeros((COUNT, 4, 4, 3), np.uint8)
    assert run(white, brightness=1.0).max() == 255
    assert run(black, brightness=1.0).min() == 0


def test_color_invert_inverts_half():
    images = smooth()
    results = run(images, color_invert=True)
    inverted = [np.array_equal(result, 255 - image) for image, result in zip(images, results, strict=True)]
    assert share_changed(images, results) == np.mean(inverted)
    assert 0.25 < np.mean(inverted) < 0.75


def test_contrast_scales_distances_from_the_mean_colour():
    images = smooth()
    factors = []
    for image, result in zip(images, run(images, contrast=0.25), strict=True):
        mean = image.mean((0, 1))
        distances = image - mean
        whole = (result > 0) & (result < 255)
        factor = (distances * (result - mean))[whole].sum() / (distances**2)[whole].sum()
        expected = np.clip(mean + distances * factor, 0, 255)
        np.testing.assert_allclose(result, expected, atol=1)  # half a level, and the fit of the factor
        factors.append(factor)
    assert 0.74 <= min(factors) < 0.9
    assert 1.1 < max(factors) <= 1.26


def test_cutout_is_a_rectangle_of_the_mean_colour():
    images = smooth()
    results = run(images, cutout=0.25)
    changed = 0
    for image, result in zip(images, results, strict=True):
        rows, columns = np.nonzero((image != result).any(-1))
        if not len(rows):
            continue
        changed += 1
        patch = result[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        assert patch.shape[0] <= round(HEIGHT * 0.25)
        assert patch.shape[1] <= round(WIDTH * 0.25)
        assert len(rows) > 0.8 * round(HEIGHT * 0.25) * round(WIDTH * 0.25)
        np.testing.assert_allclose(patch, np.broadcast_to(image.mean((0, 1)), patch.shape), atol=0.51)
    assert 0.25 < changed / COUNT < 0.75


def test_tint_scales_some_channels_of_half():
    images = np.full((200, 4, 4, 3), 100, np.uint8)
    factors = run(images, tint=0.3)[:, 0, 0] / 100
    tinted = (factors != 1).any(1)
    assert 0.35 < tinted.mean() < 0.6
    assert 0.69 <= factors.min() < 0.8
    assert 1.2 < factors.max() <= 1.31
    subsets = {tuple(row) for row in factors[tinted] != 1}
    assert len(subsets) == 7


def test_gaussian_noise_is_normal_with_n_times_the_value():
    values = np.array([0, 40, 120], np.uint8)
    images = np.broadcast_to(values, (COUNT, 64, 64, 3)).copy()
    results = run(images, gaussian_noise=0.2).astype(float)
    noisy = results[(results != images).any((1, 2, 3))]
    assert 0.25 < len(noisy) / COUNT < 0.75
    assert not noisy[..., 0].any()
    for channel, value in ((1, 40), (2, 120)):
        residuals = (noisy[..., channel] - value).ravel()
        assert residuals.mean() == pytest.approx(0, abs=0.1)
        assert residuals.std() == pytest.approx(0.2 * value, rel=0.01)
    jitter = np.random.default_rng(0).uniform(-0.5, 0.5, residuals.shape)
    assert stats.kstest(residuals + jitter, "norm", (0, residuals.std())).statistic < 0.01
    one, other = noisy[0, ..., 2] - 120, noisy[1, ..., 2] - 120
    assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 0.05
    for shift in ((0, 1), (1, 0), (1, 1)):
        moved = np.roll(one, shift, (0, 1))
        assert abs(np.corrcoef(one.ravel(), moved.ravel())[0, 1]) < 0.06


def test_glare_is_one_spot_of_white_that_covers_up_to_n():
    images = np.zeros((60, 64, 96, 3), np.uint8)
    results = run(images, glare=0.2)
    lit = results[results.any((1, 2, 3))]
    assert 0.25 < len(lit) / 60 < 0.75
    assert (lit[..., :1] == lit).all()
    covered = (lit[..., 0] > 127).mean((1, 2))
    assert covered.max() <= 0.201
    assert covered.max() > 0.1
    for image in lit[..., 0]:
        rows, columns = np.nonzero(image > 127)
        distances = np.abs(np.subtract.outer(rows, rows)) + np.abs(np.subtract.outer(columns, columns))
        nearest = np.where(distances == 0, 999, distances).min(1) if len(rows) > 1 else np.array([1])
        assert nearest.max() <= 2  # in one piece, as far as it shows
    white = run(np.full((60, 64, 96, 3), 255, np.uint8), glare=0.2)
    assert white.min() == 255


def test_blur_is_smaller_and_large_again():
    images = smooth(count=12, height=40, width=40)
    images[:, ::2, ::2] //= 2
    sizes = []
    for image, result in zip(images, run(images, blur=0.5), strict=True):
        errors = {}
        for size in range(20, 41):
            small = tf.image.resize(image, (size, size))
            errors[size] = np.abs(tf.image.resize(small, (40, 40)).numpy() - result).max()
        best = min(errors, key=errors.__getitem__)
        assert errors[best] < 2.5
        sizes.append(best)
    assert min(sizes) < 28
    assert max(sizes) > 32


@pytest.mark.parametrize("axis", [1, 2])
def test_blur_makes_no_speckles_at_sharp_edges(axis):
    side = 72
    white = np.arange(side)[None, :] < np.repeat(np.arange(30, 43), 40)[:, None]
    images = np.zeros((len(white), side, side, 3), np.uint8)
    images[white] = 255
    images = images if axis == 1 else images.swapaxes(1, 2)
    blurred = run(np.ascontiguousarray(images), blur=0.1).astype(int)
    assert (np.diff(blurred, axis=axis) <= 0).all()


@pytest.mark.parametrize(("name", "axis"), [("height_shift", 0), ("width_shift", 1)])
def test_shifts_are_exact_and_repeat_the_border(name, axis):
    images = smooth()
    side = images.shape[1 + axis]
    found = []
    for image, result in zip(images, run(images, **{name: 0.2}), strict=True):
        for shift in range(-side, side):
            source = np.clip(np.arange(side) - shift, 0, side - 1)
            if np.array_equal(np.take(image, source, axis), result):
                found.append(shift)
                break
        else:
            pytest.fail("not a shift by whole pixels")
    assert -round(0.2 * side) <= min(found) < -2
    assert 2 < max(found) <= round(0.2 * side)


@pytest.mark.parametrize(("name", "axis"), [("vertical_flip", 0), ("horizontal_flip", 1)])
@pytest.mark.parametrize("others", [{}, {"zoom": 1e-9}])
def test_flips_reverse_half_exactly(name, axis, others):
    images = smooth()
    results = run(images, **{name: True}, **others)
    flipped = [np.array_equal(np.flip(i, axis), r) for i, r in zip(images, results, strict=True)]
    assert share_changed(images, results) == np.mean(flipped)
    assert 0.25 < np.mean(flipped) < 0.75


def test_rotation_turns_about_the_centre():
    angles = []
    for result in run(places(), rotation=30):
        matrix, error = fit_affine(result)
        assert error < 0.5
        np.testing.assert_allclose(matrix[:, :2] @ matrix[:, :2].T, np.eye(2), atol=0.02)
        np.testing.assert_allclose(matrix[:, 2], 0, atol=0.1)
        angles.append(np.degrees(np.arctan2(matrix[0, 1], matrix[0, 0])))
    assert -31 < min(angles) < -15
    assert 15 < max(angles) < 31


def test_shear_moves_rows_along_themselves():
    angles = []
    for result in run(places(), shear=30):
        matrix, error = fit_affine(result)
        assert error < 0.5
        np.testing.assert_allclose(matrix[[0, 1, 1], [0, 0, 1]], [1, 0, 1], atol=0.02)
        np.testing.assert_allclose(matrix[:, 2], 0, atol=0.1)
        angles.append(np.degrees(np.arctan(matrix[0, 1])))
    assert -31 < min(angles) < -15
    assert 15 < max(angles) < 31


def test_zoom_scales_both_axes_about_the_centre():
    scales = []
    for result in run(places(), zoom=0.4):
        matrix, error = fit_affine(result)
        assert error < 0.5
        np.testing.assert_allclose(matrix[:, :2], np.eye(2) * matrix[0, 0], atol=0.02)
        np.testing.assert_allclose(matrix[:, 2], 0, atol=0.1)
        scales.append(1 / matrix[0, 0])
    assert 0.59 < min(scales) < 0.8
    assert 1.2 < max(scales) < 1.42


def test_deform_moves_one_corner_inwards_and_leaves_the_others():
    count, side = 60, 0.02
    corners = np.array([[0, 0], [WIDTH, 0], [WIDTH, HEIGHT], [0, HEIGHT]], float)
    inside = corners + np.where(corners > 0, -side, side)
    boxes = np.concatenate([inside - side, inside + side], axis=1)
    boxes = tf.constant(np.tile(boxes, (count, 1, 1)), tf.float32)
    images, valid = places(count), tf.ones((count, 4), tf.bool)
    results, boxes, _ = augment_with_boxes(
        tf.constant(images), boxes, valid, 1, 0, tf.range(count), parsed(deform=0.3)
    )
    moves = (boxes[..., :2] + boxes[..., 2:]).numpy() / 2 - inside
    moved = np.abs(moves).max(2) > 0.2
    assert set(moved.sum(1)) == {0, 1}
    assert set(np.nonzero(moved)[1]) == {0, 1, 2, 3}
    assert 0.25 < moved.any(1).mean() < 0.75
    inwards = (moves * np.where(corners > 0, -1, 1))[moved] / [WIDTH, HEIGHT]
    assert inwards.min() > -0.01
    assert 0.2 < inwards.max() < 0.31
    changed = np.array([not np.array_equal(i, r) for i, r in zip(images, results.numpy(), strict=True)])
    np.testing.assert_array_equal(changed, moved.any(1))


def test_all_geometric_ones_are_one_resampling():
    """Four quarter-pixel steps one after the other would blur an edge over several pixels; one does not."""
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    image[:, WIDTH // 2 :] = 200
    names = ("rotation", "shear", "zoom", "width_shift", "height_shift")
    small = {name: AUGMENTATIONS[name].default / 5 for name in names}
    for result in run(still(image), **small)[..., 0]:
        assert ((result > 0) & (result < 200)).sum(1).max() <= 2


def test_warping_is_bilinear_with_the_nearest_pixel_beyond_the_border():
    """The matrix is measured with places, and then used by a plain reference on another image."""
    image = smooth(count=1)[0].astype(float)
    maps = run(places(), rotation=20, zoom=0.2, width_shift=0.1)
    results = run(still(image.astype(np.uint8)), rotation=20, zoom=0.2, width_shift=0.1)
    rows, columns = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    for place, result in zip(maps, results, strict=True):
        matrix, _ = fit_affine(place)
        offsets = np.stack([columns - WIDTH / 2, rows - HEIGHT / 2, np.ones_like(rows)])
        x, y = np.tensordot(matrix, offsets, 1) + np.array([WIDTH / 2, HEIGHT / 2])[:, None, None] - 0.5
        x, y = np.clip(x, 0, WIDTH - 1), np.clip(y, 0, HEIGHT - 1)
        left, top = np.minimum(x.astype(int), WIDTH - 2), np.minimum(y.astype(int), HEIGHT - 2)
        right_share, low_share = (x - left)[..., None], (y - top)[..., None]
        upper = image[top, left] * (1 - right_share) + image[top, left + 1] * right_share
        lower = image[top + 1, left] * (1 - right_share) + image[top + 1, left + 1] * right_share
        np.testing.assert_allclose(result, upper * (1 - low_share) + lower * low_share, atol=4)
