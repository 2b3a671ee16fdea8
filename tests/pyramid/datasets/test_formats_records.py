"""TFRecords: as TensorFlow alone reads ours, and as others write theirs."""

from __future__ import annotations

import hashlib
import io
import json

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from pyramid.commands import dataset
from pyramid.datasets.formats.tfrecord import shard_paths
from pyramid.datasets.points import read_points

CLASSES = [{"label": "/m/01", "name": "Cat"}, {"label": "/m/02", "name": "Dog"}]
POINTS = [
    {
        "id": f"{number:02}",
        "annotations": [
            {
                "id": f"{number:02}",
                "label": label,
                "confidence": 1,
                "x0": 0.1,
                "x1": 0.5,
                "y0": 0.25,
                "y1": 0.75,
            }
            for label in ("/m/02", "/m/01")[: number % 3]
        ],
    }
    for number in range(7)
]
KEYS = {
    "image/height": tf.io.FixedLenFeature([], tf.int64),
    "image/width": tf.io.FixedLenFeature([], tf.int64),
    "image/key/sha256": tf.io.FixedLenFeature([], tf.string),
    "image/filename": tf.io.FixedLenFeature([], tf.string),
    "image/source_id": tf.io.FixedLenFeature([], tf.string),
    "image/encoded": tf.io.FixedLenFeature([], tf.string),
    "image/format": tf.io.FixedLenFeature([], tf.string),
    **{f"image/object/bbox/{side}": tf.io.VarLenFeature(tf.float32) for side in ("xmin", "xmax", "ymin", "ymax")},
    "image/object/class/text": tf.io.VarLenFeature(tf.string),
    "image/object/class/label": tf.io.VarLenFeature(tf.int64),
}  # fmt: skip


def run(*arguments, fails=False):
    assert dataset.main([str(one) for one in arguments]) == int(fails)


def encoded(kind="PNG", size=(20, 10), seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


@pytest.fixture
def points(tmp_path):
    """Points with pictures, and their classes, in files."""
    (tmp_path / "pictures").mkdir()
    for number, point in enumerate(POINTS):
        kind, suffix = ("JPEG", "jpg") if number % 2 else ("PNG", "png")
        (tmp_path / "pictures" / f"{point['id']}.{suffix}").write_bytes(encoded(kind, seed=number))
    (tmp_path / "points.json").write_text(json.dumps(POINTS))
    (tmp_path / "classes.json").write_text(json.dumps(CLASSES))
    return tmp_path


def records(folder, name="train.record", shards=1, processes=1):
    output = folder / name
    arguments = ["--classes", folder / "classes.json", "--output", output, "--shards", shards]
    arguments += ["--processes", processes]
    run("records", folder / "points.json", folder / "pictures", *arguments)
    return shard_paths(output, shards)


def test_tensorflow_alone_reads_all_keys(points):
    (path,) = records(points)
    examples = [tf.io.parse_single_example(one, KEYS) for one in tf.data.TFRecordDataset(str(path))]
    assert len(examples) == len(POINTS)
    for point, example in zip(POINTS, examples, strict=True):
        content = example["image/encoded"].numpy()
        kind = example["image/format"].numpy().decode()
        assert Image.open(io.BytesIO(content)).format.lower() == kind
        assert tf.io.decode_image(content).shape == (10, 20, 3)
        assert (example["image/width"], example["image/height"]) == (20, 10)
        assert example["image/source_id"].numpy().decode() == point["id"]
        assert example["image/key/sha256"].numpy().decode() == hashlib.sha256(content).hexdigest()
        boxes = point["annotations"]
        for side, key in (("xmin", "x0"), ("xmax", "x1"), ("ymin", "y0"), ("ymax", "y1")):
            found = example[f"image/object/bbox/{side}"].values.numpy()
            np.testing.assert_array_equal(found, np.array([box[key] for box in boxes], np.float32))
        texts = [text.decode() for text in example["image/object/class/text"].values.numpy()]
        assert texts == [box["label"] for box in boxes]
        assert example["image/object/class/label"].values.numpy().tolist() == [
            int(text[-1]) for text in texts
        ]


def test_the_same_input_gives_the_same_bytes_in_one_file_or_in_shards(points):
    (whole,) = records(points)
    shards = records(points, "again.record", 3)
    assert [path.name for path in shards] == [f"again.record-0000{place}-of-00003" for place in range(3)]
    assert records(points, "third.record")[0].read_bytes() == whole.read_bytes()
    spread = [list(tf.data.TFRecordDataset(str(path)).as_numpy_iterator()) for path in shards]
    in_turn = [spread[place % 3][place // 3] for place in range(len(POINTS))]
    assert in_turn == list(tf.data.TFRecordDataset(str(whole)).as_numpy_iterator())
    others = records(points, "fourth.record", 3, processes=2)
    assert [path.read_bytes() for path in others] == [path.read_bytes() for path in shards]
    assert not list(points.glob("**/*.partial"))


def test_points_are_read_once_for_all_shards(points, monkeypatch):
    asked = []

    def counted(path):
        asked.append(path)
        return read_points(path)

    monkeypatch.setattr("pyramid.datasets.formats.open_images.read_points", counted)
    monkeypatch.setattr("pyramid.datasets.shard_parts.BUFFERED_CHARACTERS", 300)
    records(points, shards=5)
    assert asked == [points / "points.json"]


def test_what_is_done_is_done_again_only_for_other_input(points, capsys):
    (path,) = records(points)
    first = capsys.readouterr().out
    made = path.stat().st_mtime_ns
    records(points)
    assert path.stat().st_mtime_ns == made
    assert capsys.readouterr().out == first
    (points / "classes.json").write_text(json.dumps(CLASSES[:1]))
    records(points)
    assert path.stat().st_mtime_ns > made
    assert "boxes: 4 of unknown classes" in capsys.readouterr().out


def write(path, *examples):
    with tf.io.TFRecordWriter(str(path)) as writer:
        for features in examples:
            named = {name: feature(values) for name, values in features.items()}
            example = tf.train.Example(features=tf.train.Features(feature=named))
            writer.write(example.SerializeToString())
    return path


def feature(values):
    if isinstance(values[0], bytes):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
    if isinstance(values[0], int):
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values))
    return tf.train.Feature(float_list=tf.train.FloatList(value=values))


def boxes(count=1, **others):
    sides = {"xmin": 0.0, "ymin": 0.5, "xmax": 0.25, "ymax": 1.0}
    return {f"image/object/bbox/{side}": [value] * count for side, value in sides.items()} | others


def imported(folder, source, *arguments):
    run("import", source, "--format", "tfrecord", "--output", folder / "out", *arguments)
    return json.loads((folder / "out" / "rows.json").read_text())


def test_records_of_others_need_neither_texts_nor_names_nor_boxes(tmp_path):
    label = {"image/object/class/label": [2], "image/object/difficult": [1]}
    path = write(
        tmp_path / "a.record",
        {"image/encoded": [encoded()], **boxes(**label)},
        {"image/encoded": [encoded("JPEG")], "image/filename": [b"/home/me/one.jpg"], **boxes(**label)},
        {"image/encoded": [encoded()], "image/filename": [b"../../one.jpg"], "image/format": [b"jpeg"]},
        {"image/encoded": [encoded("BMP")], "image/source_id": [b"17"]},
    )
    rows = imported(tmp_path, path)
    assert rows == [
        {"file": "00000000.png", "boxes": [[0, 5, 5, 10, "2"]]},
        {"file": "one.jpg", "boxes": [[0, 5, 5, 10, "2"]]},
        {"file": "one_2.jpg", "boxes": []},
        {"file": "17.bmp", "boxes": []},
    ]
    assert {path.name for path in (tmp_path / "out" / "images").iterdir()} == {row["file"] for row in rows}
    assert (tmp_path / "out" / "images" / "one_2.jpg").read_bytes() == encoded()
    (tmp_path / "map.pbtxt").write_text("item { name: 'n02' id: 2 display_name: 'dog' }")
    named = imported(tmp_path, path, "--classes", tmp_path / "map.pbtxt")
    assert [box[-1] for row in named for box in row["boxes"]] == ["dog", "dog"]


def test_a_label_map_names_texts_and_leaves_out_what_it_does_not_have(tmp_path, capsys):
    text = {"image/object/class/text": [b"n02", b"n03"]}
    path = write(tmp_path / "a.record", {"image/encoded": [encoded()], **boxes(2, **text)})
    (tmp_path / "map.pbtxt").write_text("item { name: 'n02' id: 2 display_name: 'dog' }")
    assert imported(tmp_path, path, "--classes", tmp_path / "map.pbtxt")[0]["boxes"] == [[0, 5, 5, 10, "dog"]]
    assert "1 image, 1 boxes; boxes: 1 of unknown classes" in capsys.readouterr().out


def test_images_that_are_none_are_left_out_and_counted(tmp_path, capsys):
    path = write(tmp_path / "a.record", {"image/encoded": [b"MZ"]}, {}, {"image/encoded": [encoded()]})
    assert len(imported(tmp_path, path)) == 1
    assert "images: 2 cannot be read" in capsys.readouterr().out
    run("import", path, "--format", "tfrecord", "--output", tmp_path / "strict", "--strict", fails=True)
    assert not (tmp_path / "strict" / "rows.json").exists()


@pytest.mark.parametrize(
    ("features", "said"),
    [
        ({"image/object/bbox/xmin": [0.5]}, "record 1: expected as many xmin"),
        (boxes(2, **{"image/object/class/label": [1]}), "record 1: expected a class for each of 2 boxes"),
        ({"image/filename": [3]}, "record 1, image/filename: expected one text"),
    ],
)
def test_a_record_that_contradicts_itself_is_named(tmp_path, capsys, features, said):
    good = {"image/encoded": [encoded()]}
    path = write(tmp_path / "a.record", good, good | features)
    run("import", path, "--format", "tfrecord", "--output", tmp_path / "out", fails=True)
    assert f"{path}, {said}" in capsys.readouterr().err


def test_damaged_files_and_missing_shards_are_named(tmp_path, capsys):
    paths = [tmp_path / f"t.record-0000{place}-of-00003" for place in range(3)]
    for path in paths:
        write(path, {"image/encoded": [encoded()], "image/filename": [path.name.encode()]})
    for source in (tmp_path / "t.record", tmp_path / "t.record-*"):
        assert len(imported(tmp_path, source)) == 3
    content = paths[2].read_bytes()
    paths[2].write_bytes(content[:-9])
    (tmp_path / "text.record").write_text("no records at all, but a text")
    for source, said in (
        (tmp_path / "t.record", f"{paths[2]}, record 0: expected TFRecords"),
        (tmp_path / "text.record", "record 0: expected TFRecords"),
        (tmp_path / "none.record", "none.record: there are no such records"),
    ):
        run("import", source, "--format", "tfrecord", "--output", tmp_path / "out", fails=True)
        assert said in capsys.readouterr().err
    paths[1].unlink()
    run("import", tmp_path / "t.record", "--format", "tfrecord", "--output", tmp_path / "out", fails=True)
    assert "the shard t.record-00001-of-00003 is missing" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["t.record", "t.record-*", "t.*"])
def test_shards_of_two_runs_are_not_read_as_one_data_set(tmp_path, capsys, name):
    for count in (2, 1):
        for place in range(count):
            write(tmp_path / f"t.record-0000{place}-of-0000{count}", {"image/encoded": [encoded()]})
    run("import", tmp_path / name, "--format", "tfrecord", "--output", tmp_path / "out", fails=True)
    assert "several sets of shards; name one of them, as in t.record-*-of-00010" in capsys.readouterr().err
    assert len(imported(tmp_path, tmp_path / "t.record-*-of-00002")) == 2


def test_gzipped_records_are_read(tmp_path):
    path = tmp_path / "a.record"
    with tf.io.TFRecordWriter(str(path), "GZIP") as writer:
        features = tf.train.Features(feature={"image/encoded": feature([encoded()])})
        writer.write(tf.train.Example(features=features).SerializeToString())
    assert len(imported(tmp_path, path)) == 1
