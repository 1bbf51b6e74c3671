"""A random forest: the mean of many trees, each grown on other faces and other numbers."""

from featurekit.classifiers import Classifier, classifier
from featurekit.classifiers._scikit import Scikit
from featurekit.manifest import Target

TREES = 300


@classifier("random_forest", about=f"random forest of {TREES} trees")
def make_random_forest(target: Target, seed: int, threads: int) -> Classifier:
    """Return a random forest; its trees need no scaling."""
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    kind = RandomForestRegressor if target.is_regression else RandomForestClassifier
    model = kind(
        n_estimators=TREES, max_features="sqrt", min_samples_leaf=2, n_jobs=threads, random_state=seed
    )
    return Scikit(
        model=model, is_regression=target.is_regression, is_scaled=False, seed=seed, threads=threads
    )
