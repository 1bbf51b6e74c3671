"""What tests of fitted models share."""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from featurekit.data.manifest import Manifest
from featurekit.data.prepare import prepare
from featurekit.inference.predict import Reading, read_each


def people(root: Path, n: int, faces_each: int) -> Manifest:
    """Write n made-up images, reddish for women and bluish for men, with their table, and prepare them."""
    rng = np.random.default_rng(0)
    lines = ["file,person,years,sex"]
    for number in range(n):
        is_woman = number % 2
        pixels = np.clip([150, 90, 60][:: 1 if is_woman else -1] + rng.normal(0, 25, (48, 40, 3)), 0, 255)
        Image.fromarray(pixels.astype(np.uint8)).save(root / f"{number}.png")
        labels = f"{(28, 5)[number % 4 // 2]},{('male', 'female')[is_woman]}"
        lines.append(f"{number}.png,s{number // faces_each},{labels}")
    (root / "people.csv").write_text("\n".join(lines) + "\n")
    columns = {"image_path": "file", "subject_id": "person", "age": "years", "gender": "sex"}
    return prepare("table", root / "people.csv", root=root, columns=columns)


def read_photographs(*given: Any, **options: Any) -> Iterator[Reading]:
    """Return the readings of all images, one after the other; the arguments are those of read_each()."""
    return chain.from_iterable(read_each(*given, **options))
