"""Which pictures are the same, byte for byte."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurekit.checks.base import Given


def identical(given: Given) -> tuple[NDArray[np.str_], NDArray[np.bool_]]:
    """Return what tells pictures apart (bytes and box, as prepare has it), and which rows share that."""
    table = given.manifest.table
    content, box = table["content"].to_numpy(dtype=str), table["box"].to_numpy(dtype=str)
    keys = np.char.add(np.char.add(content, " "), box)
    judged = table["reason"].isin(["", "duplicate", "conflicting_labels"]).to_numpy() & (content != "")
    repeated = np.zeros(len(keys), bool)
    repeated[judged] = pd.Series(keys[judged]).duplicated(keep=False).to_numpy()
    return keys, repeated
