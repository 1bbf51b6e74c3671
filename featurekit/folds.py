"""Split faces into folds that never share a subject.

A person seen in training must not be seen in testing: a classifier that
recognizes the person would look as if it had recognized the age.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Fold:
    """Row numbers to learn from and to be scored on.

    Attributes:
        train: int, shape (n_train,), increasing.
        test: int, shape (n_test,), increasing.
    """

    train: NDArray[np.intp]
    test: NDArray[np.intp]
