"""Which images are the same, byte for byte."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurekit.checks.base import Given


def identical(given: Given) -> tuple[NDArray[np.str_], NDArray[np.bool_]]:
    """Return a key of each row's image (bytes and box, as prepare compares them), and which rows share it."""
    table = given.manifest.table
    content, box = table["content"].to_numpy(dtype=str), table["box"].to_numpy(dtype=str)
    keys = np.char.add(np.char.add(content, " "), box)
    judged = table["reason"].isin(["", "duplicate", "conflicting_labels"]).to_numpy() & (content != "")
    return keys, np.asarray(judged & pd.Series(keys).where(judged).duplicated(keep=False))
