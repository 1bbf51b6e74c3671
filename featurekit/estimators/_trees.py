"""The check of a decision tree that was read from a file."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def check_tree(
    left: NDArray[Any], right: NDArray[Any], features: NDArray[Any], is_leaf: NDArray[np.bool_], n_inputs: int
) -> None:
    """Raise ValueError unless every path of a decision tree ends in a leaf and uses existing features.

    Args:
        left: number of the left child of each node, shape (n_nodes,); it must be higher than the node's own.
        right: number of the right child, likewise.
        features: number of the feature that each node compares, shape (n_nodes,).
        is_leaf: whether a node has no children and compares nothing, shape (n_nodes,).
        n_inputs: number of features.
    """
    inner = np.flatnonzero(~is_leaf)
    for following in (left[inner], right[inner]):
        if (following <= inner).any() or (following >= len(left)).any():
            raise ValueError("a node of a tree has a child that precedes it or does not exist.")
    if not len(left) or (features[inner] < 0).any() or (features[inner] >= n_inputs).any():
        raise ValueError("a tree is empty, or compares a feature that the vectors do not have.")
