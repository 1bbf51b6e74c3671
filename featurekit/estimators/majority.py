"""The baseline: the same prediction for every face, whatever it looks like."""

from featurekit.data.targets import Target
from featurekit.estimators import Classifier, classifier


@classifier(
    "majority",
    about="baseline: always predicts the most frequent class, or the median age",
    is_baseline=True,
    trusted_types=(
        "featurekit.estimators._floor.MajorityClassifier",
        "featurekit.estimators._floor.MedianRegressor",
        "sklearn.dummy.DummyClassifier",
        "sklearn.dummy.DummyRegressor",
    ),
)
def make_majority(target: Target, random_state: int, n_jobs: int) -> Classifier:
    """Return an estimator that knows the shares of the classes and nothing else."""
    from featurekit.estimators._floor import MajorityClassifier, MedianRegressor

    kind = MedianRegressor if target.is_regression else MajorityClassifier
    return kind(random_state=random_state, n_jobs=n_jobs)
