"""A random forest: the mean of many trees, each grown on other faces and other numbers.

Its trees are grown on principal components: of thousands of raw numbers each split
would see a few dull ones. Class weights are balanced: that raises the accuracy of
small classes.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from featurekit.data.targets import Target
from featurekit.estimators import Classifier, classifier


def grid(target: Target) -> Mapping[str, Sequence[Any]]:
    """Return the forests worth trying, shallow and small ones first."""
    # The last bits of accuracy are not worth a larger forest: this is the slowest search of all.
    return {
        "min_samples_leaf": (4, 2) if target.is_regression else (5, 2),
        "n_estimators": (50, 100, 200),
    }


@classifier(
    "random_forest",
    about="random forest of 200 trees on 128 principal components",
    grid=grid,
    trusted_types=(
        "featurekit.estimators._forest.ForestClassifier",
        "featurekit.estimators._forest.ForestRegressor",
        "numpy.random.mtrand.RandomState",
        "sklearn.ensemble._forest.RandomForestClassifier",
        "sklearn.ensemble._forest.RandomForestRegressor",
        "sklearn.tree._classes.DecisionTreeClassifier",
        "sklearn.tree._classes.DecisionTreeRegressor",
        "sklearn.tree._tree.Tree",
    ),
)
def make_random_forest(target: Target, random_state: int, n_jobs: int) -> Classifier:
    """Return a random forest."""
    from featurekit.estimators._forest import ForestClassifier, ForestRegressor

    forest: Any = ForestRegressor if target.is_regression else ForestClassifier
    made: Classifier = forest(random_state=random_state, n_jobs=n_jobs)
    return made
