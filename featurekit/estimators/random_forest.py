"""A random forest: the mean of many trees, each grown on other faces and other numbers.

The trees are grown on principal components, because among thousands of raw numbers each
split would see only a few that say little. Class weights are balanced, which raises the
accuracy of small classes.
"""

from featurekit.data.targets import Target
from featurekit.estimators import Classifier, classifier


@classifier(
    "random_forest",
    about="random forest of 200 trees on 128 principal components",
    # The forests worth trying, shallow and small ones first. A larger forest would gain little accuracy, and
    # this is the slowest search of all.
    grid=lambda target: {
        "min_samples_leaf": (4, 2) if target.is_regression else (5, 2),
        "n_estimators": (50, 100, 200),
    },
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

    kind = ForestRegressor if target.is_regression else ForestClassifier
    return kind(random_state=random_state, n_jobs=n_jobs)
