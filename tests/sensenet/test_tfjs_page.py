"""The page of a model, driven in Chromium without a window."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import image_documents as images
import model_documents as documents
import numpy as np
import pytest
from browser import needs_browser, visit
from page_server import served
from PIL import Image
from tfjs_runtime import needs_runtime

import sensenet
from sensenet.errors import SettingsError
from sensenet.formats.tfjs.runtime import FILE, VARIABLE, find_runtime
from sensenet.formats.tfjs.writing import write_tfjs

FAKE_CAMERA = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
PICTURE = images.picture(40, 60)


def marked(function: Any) -> Any:
    return needs_browser(needs_runtime(function))


class Page:
    """A model's page, in a directory of its own."""

    def __init__(self, document: dict[str, Any], directory: Path):
        self.model = sensenet.create_model(document)
        self.directory = directory / "page"
        self.profile = directory
        write_tfjs(self.model, self.directory, page=True)

    def after(self, *options: str, **done: Any) -> str:
        """What the page is made of when that has been done to it, see drive_page.js."""
        with served(self.directory) as address:
            return visit(f"{address}?{urlencode(done)}", self.profile, "--dump-dom", *options)

    @contextmanager
    def shown(self, width: int, height: int, **done: Any) -> Iterator[np.ndarray]:
        """Its screenshot, (height, width, 3) uint8."""
        picture = self.profile / "page.png"
        options = (f"--screenshot={picture}", f"--window-size={width},{height}")
        with served(self.directory) as address:
            visit(f"{address}?{urlencode(done)}", self.profile, *options)
        yield np.asarray(Image.open(picture).convert("RGB"))


def values(page: str, name: str) -> list[str]:
    return re.findall(f'data-{name}="([^"]*)"', page)


def problem(page: str) -> str:
    return re.search('id="problem"[^>]*>([^<]*)<', page)[1]


@marked
def test_typed_fields_give_the_number_of_python(tmp_path: Path) -> None:
    document = documents.regression()
    document["output_exposition"]["name"] = "mass"
    page = Page(document, tmp_path)
    typed = page.after(size="1.5", kind="b", **{"Field 3": "2"})
    (number,) = values(typed, "value")
    assert float(number) == pytest.approx(page.model([[1.5, "b", None, 2.0]]).item(), rel=1e-6)
    assert problem(typed) == ""
    assert '<h1 id="title">mass</h1>' in typed
    (missing,) = values(page.after(), "value")
    assert float(missing) == pytest.approx(page.model([[None, None, None, None]]).item(), rel=1e-6)


@marked
def test_a_date_is_typed_once_for_all_its_parts(tmp_path: Path) -> None:
    parts = ("year", "month", "day", "weekday", "hour", "timestamp")
    fields = [
        {
            "type": "numeric",
            "index": 0,
            "name": f"when.{part}",
            "mean": 1.0,
            "stdev": 1000.0,
            "column": "when",
        }
        | {"part": part}
        for part in parts
    ]
    document = documents.regression(preprocess=fields, layers=[documents.dense(len(parts), 1)])
    page = Page(document, tmp_path)
    typed = page.after(when="2024-03-03T13:45:30")
    (number,) = values(typed, "value")
    expected = page.model([{"when": "2024-03-03 13:45:30"}]).item()
    assert float(number) == pytest.approx(expected, rel=1e-6)
    assert typed.count("<label ") == 1
    (missing,) = values(page.after(), "value")
    assert abs(float(missing) - expected) > 1


@marked
def test_a_dropped_picture_is_classified_as_in_python(tmp_path: Path) -> None:
    page = Page(images.mixed("front size kind"), tmp_path)
    Image.fromarray(PICTURE).save(page.directory / "dropped.png")
    dropped = page.after(picture="/dropped.png", size="-2", kind="c")
    expected = page.model([[PICTURE, -2, None, None, "c"]])[0]
    (best,) = values(dropped, "value")
    assert best == page.model.classes[expected.argmax()]
    np.testing.assert_allclose(
        [float(share) for share in values(dropped, "share")], sorted(expected)[::-1], atol=1e-5
    )


@marked
def test_boxes_are_drawn_where_python_finds_them(tmp_path: Path) -> None:
    page = Page(images.bright_detector(), tmp_path)
    picture = images.painted(64, 96, red=(0, 0, 48, 48), green=(48, 24, 96, 64))
    Image.fromarray(picture).save(page.directory / "dropped.png")
    found = page.model(picture)
    dropped = page.after(picture="/dropped.png")
    assert len(found) > 1
    assert values(dropped, "label") == [one["label"] for one in found]
    assert values(dropped, "box") == [" ".join(map(str, one["box"])) for one in found]
    assert dropped.count("<text ") == len(found)
    with page.shown(1160, 900, picture="/dropped.png") as pixels:
        frame = np.abs(pixels.astype(int) - [24, 97, 170]).max(axis=2) < 12
        assert frame.sum() > 500, "frames in the colour of the first class"


@marked
def test_a_frame_of_the_camera_is_taken(tmp_path: Path) -> None:
    page = Page(images.only_image(), tmp_path)
    taken = page.after(*FAKE_CAMERA, camera="1")
    assert len(values(taken, "share")) == 2
    assert "camera picture, " in taken


@marked
def test_what_is_no_picture_is_told(tmp_path: Path) -> None:
    page = Page(images.only_image(), tmp_path)
    (page.directory / "notes.txt").write_text("no picture")
    told = page.after(picture="/notes.txt")
    assert "notes.txt is not a picture" in problem(told)
    assert values(told, "share") == []


@marked
def test_a_page_that_is_opened_as_a_file_says_how_to_serve_it(tmp_path: Path) -> None:
    page = Page(documents.classifier(), tmp_path)
    opened = visit((page.directory / "index.html").as_uri(), tmp_path, "--dump-dom")
    assert "python3 -m http.server" in problem(opened)


@marked
def test_a_broken_model_is_told(tmp_path: Path) -> None:
    page = Page(documents.classifier(), tmp_path)
    (page.directory / "group1-shard1of1.bin").unlink()
    assert "The model cannot be loaded" in problem(page.after())


@needs_runtime
def test_a_page_holds_all_that_it_needs_and_names_no_other_host(tmp_path: Path) -> None:
    page = Page(documents.classifier(), tmp_path)
    ours = [path for path in page.directory.rglob("*.*") if path.suffix in (".html", ".js", ".css")]
    texts = {path.name: path.read_text(encoding="utf-8") for path in ours}
    assert texts.pop(FILE.name) == find_runtime().read_text(encoding="utf-8")
    for name, text in texts.items():
        hosts = set(re.findall(r"https?://([\w.-]+)", text)) - {"www.w3.org", "localhost"}
        assert not hosts, (name, hosts)
    named = re.findall(r'(?:src|href)="(page/[^"]+)"', texts["index.html"])
    named += [f"page/{one}" for text in texts.values() for one in re.findall(r'from "\./([^"]+)"', text)]
    assert len(named) > 5
    assert all((page.directory / one).is_file() for one in named)


def test_without_a_runtime_a_page_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    model = sensenet.create_model(documents.classifier())
    with pytest.raises(SettingsError, match="npm install @tensorflow/tfjs@"):
        write_tfjs(model, tmp_path / "page", page=True)
    with pytest.raises(SettingsError, match=r"runtime: .*nowhere\.js cannot be read"):
        write_tfjs(model, tmp_path / "page", page=True, runtime=tmp_path / "nowhere.js")
    (tmp_path / "other.js").write_text("1")
    with pytest.raises(SettingsError, match=r"other\.js is not TensorFlow\.js"):
        write_tfjs(model, tmp_path / "page", page=True, runtime=tmp_path / "other.js")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other.js"]


@needs_runtime
def test_a_runtime_elsewhere_is_copied(tmp_path: Path) -> None:
    shutil.copy(find_runtime(), tmp_path / "mine.js")
    model = sensenet.create_model(documents.classifier())
    write_tfjs(model, tmp_path / "page", page=True, runtime=tmp_path / "mine.js")
    assert (tmp_path / "page" / "page" / FILE.name).read_bytes() == (tmp_path / "mine.js").read_bytes()
