"""The floor: the same answer for every face, whatever it looks like."""

from featurekit.data.manifest import Target
from featurekit.estimators import Classifier, classifier


@classifier("majority", about="always the commonest class, or the median years: the floor", is_baseline=True)
def make_majority(target: Target, seed: int, threads: int) -> Classifier:
    """Return what knows the shares of the classes and nothing else."""
    from sklearn.dummy import DummyClassifier, DummyRegressor

    from featurekit.estimators._scikit import Scikit

    model = DummyRegressor(strategy="median") if target.is_regression else DummyClassifier(strategy="prior")
    return Scikit(
        model=model, is_regression=target.is_regression, is_scaled=False, seed=seed, threads=threads
    )
