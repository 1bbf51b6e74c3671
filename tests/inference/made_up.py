"""What tests of fitted models share."""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from featurekit.data.manifest import Manifest
from featurekit.data.prepare import prepare
from featurekit.faces.photographs import as_photograph
from featurekit.inference.predict import Predictor, Reading
from featurekit.inference.table import TableFile


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


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write a table of predictions to a file at once."""
    file = TableFile(path)
    file.append(table)
    file.finish()


def read_photographs(photographs: Any, *given: Any, **options: Any) -> Iterator[Reading]:
    """Return the readings of all images, one after the other; the arguments are those of Predictor()."""
    return chain.from_iterable(
        Predictor([as_photograph(one) for one in photographs], *given, **options).each()
    )
