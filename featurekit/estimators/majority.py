"""The baseline: the same prediction for every face, whatever it looks like."""

from featurekit.estimators import classifier, either

classifier(
    "majority",
    about="baseline: always predicts the most frequent class, or the median of a regression target",
    is_baseline=True,
    trusted_types=(
        "featurekit.estimators._floor.MajorityClassifier",
        "featurekit.estimators._floor.MedianRegressor",
        "sklearn.dummy.DummyClassifier",
        "sklearn.dummy.DummyRegressor",
    ),
)(either("MajorityClassifier", "MedianRegressor"))
