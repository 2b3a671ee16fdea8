"""`pyramid_dataset verify`: good pictures, thumbnails, and the reasons for all others."""

from __future__ import annotations

import io
import json
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from open_images import picture
from PIL import Image

from pyramid.commands.dataset import main
from pyramid.datasets.workers import workers
from pyramid.errors import PyramidError

BOX = {"label": "/m/0k4j", "confidence": 1.0, "x0": 0.0, "x1": 0.5, "y0": 0.0, "y1": 0.25}


def png_that_claims(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = zlib.compress(bytes(1000))
    chunks = [(b"IHDR", header), (b"IDAT", body), (b"IEND", b"")]
    packed = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


def prepared(folder: Path, pictures: dict[str, bytes], rotations: dict[str, int] | None = None) -> Path:
    """Pictures by their file names, and a points.json of them and of one whose picture is missing."""
    (folder / "pictures").mkdir(exist_ok=True)
    for name, content in pictures.items():
        (folder / "pictures" / name).write_bytes(content)
    points = []
    for id_ in sorted({Path(name).stem for name in pictures} | {"missing"}):
        turned = {"rotation": rotations[id_]} if rotations and id_ in rotations else {}
        points.append({"id": id_, **turned, "annotations": [{"id": id_, **BOX}]})
    (folder / "points.json").write_text(json.dumps(points))
    return folder


def run(folder: Path, *options: str, processes: int = 1) -> int:
    files = ["--points", folder / "points.json", "--output", folder / "good.json", "--processes", processes]
    return main(["verify", *map(str, [folder / "pictures", *files]), *options])


def good(folder: Path) -> dict[str, dict]:
    return {point["id"]: point for point in json.loads((folder / "good.json").read_text())}


def left_out(folder: Path) -> dict[str, str]:
    return {one["id"]: one["reason"] for one in json.loads((folder / "good.left_out.json").read_text())}


BROKEN = {
    "cut.jpg": picture(1)[:-400],
    "text.jpg": b"<html>not found</html>",
    "empty.jpg": b"",
    "bomb.png": png_that_claims(30_000, 30_000),
    "damaged.png": png_that_claims(64, 64),
}


@pytest.mark.parametrize("processes", [1, 2])
def test_broken_missing_and_bomb_like_pictures_are_left_out_with_reasons(tmp_path, capsys, processes):
    folder = prepared(tmp_path, BROKEN | {"fine.jpg": picture(2), "also.png": picture(3, kind="PNG")})
    assert run(folder, processes=processes) == 0
    assert list(good(folder)) == ["also", "fine"]
    assert good(folder)["fine"] == {
        "id": "fine",
        "file": "fine.jpg",
        "width": 64,
        "height": 48,
        "annotations": [{"id": "fine", **BOX}],
    }
    reasons = left_out(folder)
    assert reasons["missing"] == "there is no picture of it"
    assert "cannot be decoded" in reasons["cut"] and "cannot be decoded" in reasons["damaged"]
    assert "expected an image in one of" in reasons["text"]
    assert "no bytes at all" in reasons["empty"]
    assert "pixels" in reasons["bomb"]
    out = capsys.readouterr().out.splitlines()
    assert len(out) == 1 and out[0].startswith("2 of 8 pictures are good") and "6 left out" in out[0]


def test_thumbnails_are_jpeg_files_never_larger_than_the_original(tmp_path):
    pictures = {
        "large.jpg": picture(1, 400, 300),
        "high.png": picture(2, 100, 200, "PNG"),
        "small.jpg": picture(3, 20, 10),
    }
    folder = prepared(tmp_path, pictures)
    assert run(folder, "--resized", str(tmp_path / "small"), "--size", "64") == 0
    sides = {id_: (point["width"], point["height"]) for id_, point in good(folder).items()}
    assert sides == {"large": (64, 48), "high": (32, 64), "small": (20, 10)}
    for id_, size in sides.items():
        with Image.open(tmp_path / "small" / f"{id_}.jpg") as image:
            assert (image.format, image.size, image.mode) == ("JPEG", size, "RGB")
        assert good(folder)[id_]["file"] == f"{id_}.jpg"
        assert good(folder)[id_]["annotations"][0] == {"id": id_, **BOX}


@pytest.mark.parametrize(
    ("rotation", "size", "light", "box"),
    [
        # the light quarter, which the box stands for, is in the left upper corner before
        (90, (48, 64), (slice(32, 64), slice(0, 24)), (0, 0.25, 0.5, 1)),
        (180, (64, 48), (slice(24, 48), slice(32, 64)), (0.5, 1, 0.75, 1)),
        (270, (48, 64), (slice(0, 32), slice(24, 48)), (0.75, 1, 0, 0.5)),
    ],
)
def test_thumbnails_are_turned_counterclockwise_with_their_boxes(tmp_path, rotation, size, light, box):
    folder = prepared(tmp_path, {"a.jpg": picture(1)}, {"a": rotation})
    assert run(folder, "--resized", str(tmp_path / "small")) == 0
    point = good(folder)["a"]
    assert (point["width"], point["height"]) == size
    assert "rotation" not in point
    annotation = point["annotations"][0]
    assert [annotation[side] for side in ("x0", "x1", "y0", "y1")] == pytest.approx(box)
    with Image.open(tmp_path / "small" / "a.jpg") as image:
        pixels = np.asarray(image.convert("L"), int)
    assert pixels[light].min() > 150
    assert np.count_nonzero(pixels > 150) == pytest.approx(pixels.size / 4, rel=0.05)


def test_without_thumbnails_nothing_is_turned(tmp_path):
    folder = prepared(tmp_path, {"a.jpg": picture(1)}, {"a": 90})
    assert run(folder) == 0
    point = good(folder)["a"]
    assert (point["width"], point["height"], point["rotation"]) == (64, 48, 90)
    assert point["annotations"][0] == {"id": "a", **BOX}


def test_of_points_of_one_id_the_first_counts(tmp_path):
    folder = prepared(tmp_path, {"a.jpg": picture(1)})
    points = [{"id": "a", "rotation": turn, "annotations": [{"id": "a", **BOX}]} for turn in (90, 0, 180)]
    (folder / "points.json").write_text(json.dumps([points[0], *points[1:] * 32]))
    assert run(folder, "--resized", str(tmp_path / "small"), processes=2) == 0
    (point,) = json.loads((folder / "good.json").read_text())
    with Image.open(tmp_path / "small" / "a.jpg") as image:
        assert image.size == (point["width"], point["height"]) == (48, 64)
    assert left_out(folder) == {"a": "an earlier point has its id"}


def test_the_sides_of_a_tiff_file_are_those_that_it_is_turned_to(tmp_path):
    turned = Image.Exif()
    turned[0x0112] = 6
    content = encoded(Image.new("RGB", (64, 48)), "TIFF", exif=turned)
    assert run(prepared(tmp_path, {"a.tiff": content})) == 0
    assert (good(tmp_path)["a"]["width"], good(tmp_path)["a"]["height"]) == (48, 64)


def test_what_was_decoded_is_not_decoded_again_until_it_changes(tmp_path):
    folder = prepared(tmp_path, BROKEN | {"a.jpg": picture(1), "b.jpg": picture(2)})
    small = tmp_path / "small"
    options = ("--resized", str(small), "--size", "32")
    assert run(folder, *options) == 0
    first = (folder / "good.json").read_bytes(), (folder / "good.left_out.json").read_bytes()
    before = {path.name: path.stat() for path in small.iterdir()}
    assert run(folder, *options, processes=2) == 0
    assert ((folder / "good.json").read_bytes(), (folder / "good.left_out.json").read_bytes()) == first
    assert {path.name: path.stat() for path in small.iterdir()} == before

    (folder / "pictures" / "a.jpg").write_bytes(picture(5, 30, 30))
    (small / "b.jpg").unlink()
    (folder / "pictures" / "cut.jpg").write_bytes(picture(6))
    assert run(folder, *options) == 0
    assert (good(folder)["a"]["width"], good(folder)["a"]["height"]) == (30, 30)
    assert (small / "b.jpg").exists() and "cut" in good(folder)
    assert run(folder, "--resized", str(small), "--size", "16") == 0
    assert good(folder)["a"]["width"] == 16


def test_a_journal_that_is_none_is_begun_anew(tmp_path):
    folder = prepared(tmp_path, {"a.jpg": picture(1)})
    (folder / "good.journal").write_text("no database " * 1000)
    assert run(folder) == 0
    assert list(good(folder)) == ["a"]


def test_pictures_are_never_overwritten(tmp_path, capsys):
    folder = prepared(tmp_path, {"a.jpg": picture(1)})
    assert run(folder, "--resized", str(folder / "pictures")) == 1
    assert "another directory" in capsys.readouterr().err
    assert (folder / "pictures" / "a.jpg").read_bytes() == picture(1)


def test_where_no_picture_is_good_the_command_fails(tmp_path, capsys):
    folder = prepared(tmp_path, {"a.jpg": b"nonsense"})
    assert run(folder) == 1
    assert "none of 2 images has a good picture" in capsys.readouterr().err


def test_a_process_that_is_killed_is_one_clear_error():
    with pytest.raises(PyramidError, match="was killed"), workers(2) as who:
        who.submit(os._exit, 1)()


@pytest.mark.parametrize("kind", ["GIF", "BMP", "TIFF", "WEBP"])
def test_every_format_becomes_a_thumbnail(tmp_path, kind):
    folder = prepared(tmp_path, {f"a.{kind.lower()}": picture(1, kind=kind)})
    assert run(folder, "--resized", str(tmp_path / "small"), "--size", "32") == 0
    assert (good(folder)["a"]["width"], good(folder)["a"]["height"]) == (32, 24)


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def test_uncommon_pictures_become_what_the_page_says(tmp_path):
    plain, black = Image.new("RGB", (64, 48), (200, 40, 90)), Image.new("RGB", (64, 48))
    turned = Image.Exif()
    turned[0x0112] = 6
    folder = prepared(
        tmp_path,
        {
            "cmyk.jpg": encoded(plain.convert("CMYK"), "JPEG"),
            "deep.png": encoded(Image.fromarray(np.full((48, 64), 200 << 8, np.uint16)), "PNG"),
            "moving.gif": encoded(plain, "GIF", save_all=True, append_images=[black]),
            "turned.jpg": encoded(plain, "JPEG", exif=turned),
        },
    )
    assert run(folder, "--resized", str(tmp_path / "small"), "--size", "32") == 0
    for id_ in ("cmyk", "deep", "moving", "turned"):
        with Image.open(tmp_path / "small" / f"{id_}.jpg") as image:
            assert (image.size, image.mode, dict(image.getexif())) == ((32, 24), "RGB", {})
            expected = (200, 200, 200) if id_ == "deep" else (200, 40, 90)
            assert np.asarray(image).mean(axis=(0, 1)) == pytest.approx(expected, abs=6)
