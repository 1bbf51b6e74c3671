"""Made-up clouds of vectors that the tests of this folder share."""

import numpy as np


def clouds(n: int = 120, n_classes: int = 3, dim: int = 6, apart: float = 2.0, seed: int = 0):
    """Vectors in one cloud a class, and two faces a person."""
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(n // 2) % n_classes, 2)
    X = rng.normal(size=(n, dim))
    X[np.arange(n), y] += apart
    return X.astype(np.float32), y, np.repeat([f"s{i}" for i in range(n // 2)], 2)
