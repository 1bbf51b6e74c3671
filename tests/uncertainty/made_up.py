"""Made-up people, answers and models that the tests of this folder share."""

import numpy as np
from scipy import stats

K = 4  # classes


def people(n):
    return np.array([f"s{number:05}" for number in range(n)])


def calibrated(n, rng, n_classes=K):
    """Probabilities, and classes drawn from just these."""
    probabilities = rng.dirichlet(np.full(n_classes, 0.5), n)
    y = (rng.random((n, 1)) > probabilities.cumsum(axis=1)[:, :-1]).sum(axis=1)
    return probabilities, y


def covered(ranges, true):
    return (ranges[:, 0] <= true) & (true <= ranges[:, 1])


def binary(sure, right):
    """Answers of a given confidence, and classes that make them right or not."""
    sure = np.asarray(sure, float)
    return np.stack([sure, 1 - sure], axis=1), np.where(right, 0, 1)


def simulated(subjects, rng, *, share_right, n_models, own_taste, shared=0.6):
    """Right answers of models on persons who are easy or hard to read, shape (n, n_models).

    All models are right equally often. Every person is as hard for all, and for each model in its own way.
    """
    codes = np.unique(subjects, return_inverse=True)[1]
    n = codes.max() + 1
    hard = rng.normal(0, shared, (n, 1)) + own_taste * rng.normal(0, 1.0, (n, n_models))
    spread = np.sqrt(shared**2 + own_taste**2 + 1.0)
    noise = rng.normal(0, 1.0, (len(subjects), n_models))
    return (hard[codes] + noise) / spread < stats.norm.ppf(share_right)
