"""Albumentations, measured on request of benchmarks/augmentation.py, which starts this in an environment of its own.

Standard input brings 32 images of 224 x 224 x 3 bytes, then lines with the letter of a case; for each of them the
images a second are written to standard output.
"""

from __future__ import annotations

import sys
import threading
import time

import albumentations as A
import cv2
import numpy as np

SHAPE = (32, 224, 224, 3)
NEAREST = cv2.BORDER_REPLICATE

FLIPS = [A.HorizontalFlip(p=0.5), A.VerticalFlip(p=0.5)]
MOVES = A.Affine(
    scale=(0.9, 1.1),
    translate_percent=(-0.1, 0.1),
    rotate=(-10, 10),
    shear={"x": (-10, 10), "y": (0, 0)},
    border_mode=NEAREST,
    p=1.0,
)
COLOURS = A.RandomBrightnessContrast(0.1, 0.25, p=1.0)
OTHERS = [
    A.Downscale(scale_range=(0.5, 1.0), p=1.0, interpolation_pair={"downscale": 1, "upscale": 1}),
    A.RGBShift(25, 25, 25, p=0.5),
    A.InvertImg(p=0.5),
    A.RandomSunFlare(src_radius=60, num_flare_circles_range=(1, 2), p=0.5),
    A.GaussNoise(std_range=(0.05, 0.05), p=0.5),
    A.CoarseDropout(num_holes_range=(1, 1), hole_height_range=(56, 56), hole_width_range=(56, 56), p=0.5),
]
CASES = {
    "b": A.Compose([FLIPS[0], COLOURS]),
    "c": A.Compose([MOVES, *FLIPS]),
    "d": A.Compose([MOVES, *FLIPS, COLOURS, *OTHERS]),
}


def images_per_second(transform: A.Compose, images: np.ndarray, threads: int, seconds: float) -> float:
    counts = [0] * threads
    start = time.perf_counter()

    def run(thread: int) -> None:
        while time.perf_counter() - start < seconds:
            transform(image=images[counts[thread] % len(images)])
            counts[thread] += 1

    workers = [threading.Thread(target=run, args=(thread,)) for thread in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return sum(counts) / (time.perf_counter() - start)


def main() -> None:
    threads, seconds = int(sys.argv[1]), float(sys.argv[2])
    cv2.setNumThreads(0)
    data = sys.stdin.buffer.read(int(np.prod(SHAPE)))
    images = np.frombuffer(data, np.uint8).reshape(SHAPE)
    while case := sys.stdin.buffer.readline().decode().strip():
        print(images_per_second(CASES[case], images, threads, seconds), flush=True)


if __name__ == "__main__":
    main()
