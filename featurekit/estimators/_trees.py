"""What a decision tree must be before anybody climbs it."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def check_tree(
    left: NDArray[Any], right: NDArray[Any], features: NDArray[Any], is_leaf: NDArray[np.bool_], n_inputs: int
) -> None:
    """Raise ValueError unless a decision tree leads from its root to a leaf, by numbers that a vector has.

    Args:
        left: number of the node that follows each where the answer is yes, shape (n_nodes,); a higher one.
        right: the same where it is no.
        features: number of the vector's that each node asks for, shape (n_nodes,).
        is_leaf: where nothing follows and nothing is asked, shape (n_nodes,).
        n_inputs: how many numbers a vector has.
    """
    inner = np.flatnonzero(~is_leaf)
    for following in (left[inner], right[inner]):
        if (following <= inner).any() or (following >= len(left)).any():
            raise ValueError("a tree leads back, or out of itself.")
    if not len(left) or (features[inner] < 0).any() or (features[inner] >= n_inputs).any():
        raise ValueError("a tree asks for numbers that a vector does not have.")
