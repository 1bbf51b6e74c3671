"""The random changes of a face before a network learns from it: featurekit's, and torchvision's in steps.

One thread changes the same faces in both ways by turns and prints the median faces a
second of each, their ratio, and by how much a pixel of the two differs at most if a face
is only rotated.

    python benchmarks/changing_faces.py
"""

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # runs from a checkout that is not installed

import _side_by_side as harness
import numpy as np
from numpy.typing import NDArray

from featurekit.estimators._networks.augmentation import NOTHING, Augmentation, Change, changed
from featurekit.evaluation.provenance import processor
from featurekit.faces.detectors._frame import import_cv2
from featurekit.faces.images import decode, read_bytes

KEPT, GIVEN = 160, 128  # sides: of the faces that an extraction keeps, and of what a network is given


def turned_by_torchvision(crop: NDArray[np.uint8], angle: float) -> NDArray[np.uint8]:
    """Return a face rotated by torchvision."""
    import torch
    from torchvision.transforms import InterpolationMode
    from torchvision.transforms.v2 import functional

    face = torch.tensor(crop).permute(2, 0, 1)
    turned: NDArray[np.uint8] = (
        functional.rotate(face, angle, InterpolationMode.BILINEAR).permute(1, 2, 0).numpy()
    )
    return turned


def before(crop: NDArray[np.uint8], change: Change) -> None:
    """Change a face in torchvision's steps."""
    import torch
    from torchvision.transforms import InterpolationMode
    from torchvision.transforms.v2 import functional

    face = torch.tensor(crop).permute(2, 0, 1)
    if change.is_flipped:
        face = functional.hflip(face)
    face = functional.rotate(face, change.angle, InterpolationMode.BILINEAR)
    box = [round(len(crop) * part) for part in change.box]
    face = functional.resized_crop(face, *box, [GIVEN, GIVEN], antialias=True)
    steps = functional.adjust_brightness, functional.adjust_contrast, functional.adjust_saturation
    for adjust, factor in zip(steps, change.light, strict=True):
        face = adjust(face, factor)
    top, left, height, width = (round(GIVEN * part) for part in change.erased)
    if height and width:
        functional.erase(face, top, left, height, width, torch.full((3, 1, 1), 127, dtype=torch.uint8))


def now(crop: NDArray[np.uint8], change: Change) -> None:
    """Change a face."""
    changed(crop, change, GIVEN)


def faces_per_second(
    way: Callable[[NDArray[np.uint8], Change], None],
    crops: Sequence[NDArray[np.uint8]],
    changes: Sequence[Change],
) -> float:
    """Return how many faces a second are changed in a way."""
    started = time.perf_counter()
    for crop, change in zip(crops, changes, strict=True):
        way(crop, change)
    return len(crops) / (time.perf_counter() - started)


def main() -> None:
    """Measure both ways and print."""
    import torch

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    data = os.environ.get("FEATUREKIT_TEST_DATA", str(Path(__file__).parents[2] / "shared" / "data"))
    parser.add_argument("--data", type=Path, default=Path(data) / "utkface", help="UTKFace")
    parser.add_argument("--limit", type=int, default=256, help="faces")
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    torch.set_num_threads(1)
    resize = import_cv2().resize
    with harness.pictures_of_utkface(options.data, options.limit) as folder:
        crops = [resize(decode(read_bytes(path)), (KEPT, KEPT)) for path in sorted(folder.iterdir())]
    rng = np.random.default_rng(0)
    changes = [Augmentation().draw(rng) for _ in crops]
    speeds: dict[str, list[float]] = {before.__name__: [], now.__name__: []}
    for _ in range(options.rounds):
        for way in (before, now):
            speeds[way.__name__].append(faces_per_second(way, crops, changes))
    medians = {name: statistics.median(each) for name, each in speeds.items()}
    off = max(
        int(
            np.abs(
                changed(crop, NOTHING._replace(angle=change.angle), KEPT).astype(int)
                - turned_by_torchvision(crop, change.angle)
            ).max()
        )
        for crop, change in zip(crops, changes, strict=True)
    )
    print(
        f"{len(crops)} faces of {KEPT} pixels, brought to {GIVEN}, one thread, {options.rounds} rounds by"
        f" turns: torchvision {medians['before']:.0f} faces/s, featurekit {medians['now']:.0f},"
        f" {medians['now'] / medians['before']:.2f} times as many; rotations differ by at most {off} of 255"
    )
    print(f"{processor()}; torch {torch.__version__}, opencv {version('opencv-python')}")


if __name__ == "__main__":
    main()
