"""How many faces of whole photographs each detector finds.

Recall of the faces at least 50 pixels high on the 160 photographs of WIDER FACE that are kept with the
evaluation data, at an overlap (intersection over union) of 0.5, each detection used for one face only.
CenterFace comes from the weights folder, the other two from ../shared/models unless told otherwise:

    python benchmarks/wider_recall.py
    python benchmarks/wider_recall.py --size 960 --detector centerface
"""

import argparse
import csv
import importlib.metadata
import os
import platform
import sys
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # runs from a checkout that is not installed

from featurekit.faces.detectors import DETECTORS, Detection
from featurekit.faces.detectors._frame import intersection_over_union
from featurekit.faces.images import decode, read_bytes
from featurekit.networks import weights

MIN_HEIGHT = 50
MIN_OVERLAP = 0.5


def n_matched(found: list[Detection], faces: NDArray[np.float32]) -> int:
    """Return how many faces (n, 4) are found; the most confident detection takes its best free face first."""
    free = np.ones(len(faces), bool)
    for detection in found:
        overlaps = np.where(free, intersection_over_union(detection.box, faces), 0.0)
        if overlaps.max() >= MIN_OVERLAP:
            free[overlaps.argmax()] = False
    return int((~free).sum())


def main() -> None:
    """Print the table."""
    data = Path(os.environ.get("FEATUREKIT_TEST_DATA", "../shared/data"))
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=data / "wider", help="folder with boxes.csv and images/")
    parser.add_argument(
        "--detector", action="append", help="which; default: centerface, insightface_scrfd, yunet"
    )
    parser.add_argument(
        "--size", type=int, default=640, help="side of the square looked at, a multiple of 32"
    )
    parser.add_argument("--centerface", type=Path, help="its file, instead of the one in the weights folder")
    models = Path("../shared/models")
    parser.add_argument(
        "--scrfd", type=Path, default=models / "scrfd_500m_bnkps.onnx", help="SCRFD file or pack (zip)"
    )
    parser.add_argument("--yunet", type=Path, default=models / "yunet_n_dynamic.onnx")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()

    boxes: dict[str, list[list[float]]] = defaultdict(list)
    with (options.data / "boxes.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            boxes[row["file"]].append([float(row[name]) for name in ("x1", "y1", "x2", "y2")])
    pictures = [
        (decode(read_bytes(next((options.data / "images").rglob(name)))), np.array(faces, np.float32))
        for name, faces in boxes.items()
    ]
    high = [faces[:, 3] - faces[:, 1] >= MIN_HEIGHT for _, faces in pictures]
    n_faces = sum(int(rows.sum()) for rows in high)
    print(f"{len(pictures)} photographs, {n_faces} faces at least {MIN_HEIGHT} px high, {options.size} px")
    print(f"{'detector':<20}{'found':>7}{'recall':>8}{'boxes':>8}{'photographs/s':>15}")
    for name in options.detector or ["centerface", "insightface_scrfd", "yunet"]:
        if name == "insightface_scrfd":
            model = options.scrfd.read_bytes()
        elif name == "yunet":
            model = options.yunet.read_bytes()
        else:
            model = options.centerface.read_bytes() if options.centerface else weights.read(name)
        finder = DETECTORS[name].open(model, "cpu", "fp32", options.threads)
        finder(pictures[0][0], options.size)  # compiled outside the time
        started = time.perf_counter()
        found = [finder(pixels, options.size) for pixels, _ in pictures]
        seconds = time.perf_counter() - started
        n_found = sum(
            n_matched(detections, faces[rows])
            for detections, (_, faces), rows in zip(found, pictures, high, strict=True)
            if rows.any()
        )
        n_boxes = sum(len(detections) for detections in found)
        speed = len(pictures) / seconds
        print(f"{name:<20}{n_found:>7}{n_found / n_faces:>8.3f}{n_boxes:>8}{speed:>15.1f}")
    versions = [f"{name} {importlib.metadata.version(name)}" for name in _LIBRARIES]
    print(f"Python {platform.python_version()}, {', '.join(versions)}; CPU, fp32")


_LIBRARIES = ("openvino", "onnxruntime", "insightface", "opencv-python", "pillow", "numpy")


if __name__ == "__main__":
    main()
