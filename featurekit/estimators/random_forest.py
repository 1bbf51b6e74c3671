"""A random forest: the mean of many trees, each grown on other faces and other numbers.

Its trees are grown on principal components: of thousands of raw numbers each split
would see a few dull ones. Class weights are balanced: that raises the accuracy of
small classes.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from featurekit.data.manifest import Target
from featurekit.estimators import Classifier, classifier

TREES = 200
COMPONENTS = 128


def grid(target: Target) -> Mapping[str, Sequence[Any]]:
    """Return the forests worth trying, shallow and small ones first."""
    # The last bits of accuracy are not worth a larger forest: this is the slowest search of all.
    return {
        "min_samples_leaf": (4, 2) if target.is_regression else (5, 2),
        "n_estimators": (TREES // 4, TREES // 2, TREES),
    }


@classifier(
    "random_forest", about=f"random forest of {TREES} trees on {COMPONENTS} principal components", grid=grid
)
def make_random_forest(target: Target, seed: int, threads: int) -> Classifier:
    """Return a random forest."""
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    from featurekit.estimators._forest import Forest

    notes: tuple[str, ...] = ()
    if target.is_regression:
        model = RandomForestRegressor(TREES, max_features=0.25, min_samples_leaf=2)
    else:
        model = RandomForestClassifier(
            TREES, max_features=0.25, min_samples_leaf=5, class_weight="balanced_subsample"
        )
        notes = ("Class weights balanced.",)
    return Forest(
        model=model.set_params(n_jobs=threads, random_state=seed),
        is_regression=target.is_regression,
        components=COMPONENTS,
        notes=notes,
        seed=seed,
        threads=threads,
    )
