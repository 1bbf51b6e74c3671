"""A random forest: the mean of many trees, each grown on other faces and other numbers.

Its trees are grown on principal components: of thousands of raw numbers each split
would see a few dull ones. Class weights are balanced: that raises the accuracy of
small classes.
"""

from featurekit.classifiers import Classifier, classifier
from featurekit.classifiers._scikit import Scikit
from featurekit.manifest import Target

TREES = 200
COMPONENTS = 128


@classifier("random_forest", about=f"random forest of {TREES} trees on {COMPONENTS} principal components")
def make_random_forest(target: Target, seed: int, threads: int) -> Classifier:
    """Return a random forest."""
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    notes: tuple[str, ...] = ()
    if target.is_regression:
        model = RandomForestRegressor(TREES, max_features=0.25, min_samples_leaf=2)
    else:
        model = RandomForestClassifier(
            TREES, max_features=0.25, min_samples_leaf=5, class_weight="balanced_subsample"
        )
        notes = ("Class weights balanced.",)
    return Scikit(
        model=model.set_params(n_jobs=threads, random_state=seed),
        is_regression=target.is_regression,
        components=COMPONENTS,
        notes=notes,
        seed=seed,
        threads=threads,
    )
