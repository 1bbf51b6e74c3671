"""Networks that learn from face crops, from the pixels to the predictions."""

from collections.abc import Callable
from typing import Any

from featurekit.data.targets import Target
from featurekit.estimators import Classifier


def cnn(**parameters: Any) -> Callable[[Target, int, int], Classifier]:
    """Return a function of (target, random_state, n_jobs) that makes a CNN with these parameters."""

    def make(target: Target, random_state: int, n_jobs: int) -> Classifier:
        from featurekit.estimators._networks.estimator import CNN

        return CNN(target=target, random_state=random_state, n_jobs=n_jobs, **parameters)

    return make
