"""Ultralytics, trained and timed on request of benchmarks/detection.py, which starts this in an environment of its own.

    python ultralytics_peer.py quality DATA.json    # trains, and writes what it finds in the test images
    python ultralytics_peer.py speed DATA.json      # images/s of training steps

DATA.json: {"directory", "train": rows, "test": rows, "classes", "side", "batch", "minutes", "model", "output"}; rows
are those of pyramid_train. The last line of standard output is a JSON object.
"""

from __future__ import annotations

import json
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

from PIL import Image
from ultralytics import YOLO


def write_dataset(request: dict[str, Any], root: Path) -> Path:
    """The rows in the form that Ultralytics reads: links to the images, a text file of boxes beside each."""
    for part in ("train", "test"):
        (root / "images" / part).mkdir(parents=True, exist_ok=True)
        (root / "labels" / part).mkdir(parents=True, exist_ok=True)
        for row in request[part]:
            source = (Path(request["directory"]) / row["file"]).resolve()
            link = root / "images" / part / source.name
            if not link.exists():
                link.symlink_to(source)
            lines = [box_line(box, Image.open(source).size, request["classes"]) for box in row["boxes"]]
            (root / "labels" / part / f"{source.stem}.txt").write_text("\n".join(lines))
    names = "\n".join(f"  {place}: {name}" for place, name in enumerate(request["classes"]))
    path = root / "data.yaml"
    path.write_text(f"path: {root}\ntrain: images/train\nval: images/test\nnames:\n{names}\n")
    return path


def box_line(box: list[Any], size: tuple[int, int], classes: list[str]) -> str:
    """Class, centre and size in parts of the image."""
    x1, y1, x2, y2, name = box
    width, height = size
    numbers = ((x1 + x2) / 2 / width, (y1 + y2) / 2 / height, (x2 - x1) / width, (y2 - y1) / height)
    return " ".join([str(classes.index(name)), *(f"{number:.6f}" for number in numbers)])


def train(request: dict[str, Any], data: Path, callbacks: dict[str, Any], **limits: Any) -> Any:
    """A model from random weights."""
    model = YOLO(request["model"])
    for event, callback in callbacks.items():
        model.add_callback(event, callback)
    model.train(
        data=str(data),
        imgsz=request["side"],
        batch=request["batch"],
        pretrained=False,
        amp=False,
        device="cpu",
        workers=2,
        plots=False,
        verbose=False,
        project=str(data.parent / "runs"),
        **limits,
    )
    return model


def quality(request: dict[str, Any], data: Path) -> dict[str, Any]:
    """Train for the minutes asked for, and find boxes in the test images."""
    began = time.perf_counter()
    model = train(request, data, {}, time=request["minutes"] / 60)
    seconds = time.perf_counter() - began
    best = YOLO(str(model.trainer.best))
    found = []
    for row in request["test"]:
        (result,) = best.predict(
            str(Path(request["directory"]) / row["file"]),
            imgsz=request["side"],
            conf=0.001,
            iou=0.7,
            max_det=300,
            verbose=False,
        )
        boxes = result.boxes
        found.append([boxes.xyxy.tolist(), boxes.conf.tolist(), [int(one) for one in boxes.cls.tolist()]])
    Path(request["output"]).write_text(json.dumps(found))
    return {"seconds": seconds}


def speed(request: dict[str, Any], data: Path) -> dict[str, Any]:
    """Images/s of whole training steps after the first epoch, and GFLOP that an image takes forward."""
    marks: list[float] = []
    callbacks = {"on_train_batch_end": lambda trainer: marks.append(time.perf_counter())}
    model = train(request, data, callbacks, epochs=3, val=False)
    warm = marks[len(marks) // 3 :]
    gaps = sorted(after - before for before, after in pairwise(warm))
    gflop = model.info(imgsz=request["side"])[3]
    return {"images": request["batch"] / gaps[len(gaps) // 2], "gflop": gflop}


def main() -> None:
    """Do what the arguments ask for."""
    request = json.loads(Path(sys.argv[2]).read_text())
    data = write_dataset(request, Path(sys.argv[2]).parent / "ultralytics")
    print(json.dumps({"quality": quality, "speed": speed}[sys.argv[1]](request, data)))


if __name__ == "__main__":
    main()
