"""Checks of the arrays that the functions of this folder get."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def check_lengths(*arrays: NDArray[Any]) -> None:
    """Raise ValueError unless all have the same number of rows, and at least one."""
    lengths = [len(one) for one in arrays]
    if len(set(lengths)) > 1 or not lengths[0]:
        raise ValueError(
            f"All arrays need the same number of rows, at least one. Got {', '.join(map(str, lengths))}."
        )


def check_classes(probabilities: NDArray[Any], y: NDArray[Any]) -> None:
    """Raise ValueError unless y has class numbers for which there are probabilities."""
    check_lengths(probabilities, y)
    if not np.issubdtype(y.dtype, np.integer) or y.min() < 0 or y.max() >= probabilities.shape[1]:
        raise ValueError(f"y must be class numbers from 0 to {probabilities.shape[1] - 1}.")
