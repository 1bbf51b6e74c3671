"""Folds: nothing fitted outside a training part, nothing that depends on what runs beside it."""

from dataclasses import replace

import numpy as np
import pytest

from featurekit.data.splits import Fold
from featurekit.data.targets import AGE, GENDER
from featurekit.errors import TargetError
from featurekit.estimators import CLASSIFIERS, ClassifierKind, Resources
from featurekit.estimators._estimator import Estimator
from featurekit.evaluation import fitting
from featurekit.evaluation.cross_validation import cross_validate
from featurekit.evaluation.fitting import Fitting
from featurekit.inference.model import spread_out

SPLIT = [
    Fold(np.arange(6, 12), np.arange(6)),
    Fold(np.arange(6), np.arange(6, 12)),
]


class Spy(Estimator):
    """Remembers what it was fitted on and says the class of the nearest training row."""

    seen: list = []  # noqa: RUF012  # shared on purpose: the test reads what every fold was given

    def __init__(self):
        self.summary_ = {"notes": ["looks at the nearest row"]}

    def fit(self, X, y, groups=None):
        self.X, self.y = X, y
        self.classes_ = np.unique(y)
        Spy.seen.append((X.copy(), groups.copy()))
        return self

    def predict_proba(self, X):
        nearest = np.abs(X[:, None, 0] - self.X[None, :, 0]).argmin(axis=1)
        return (self.y[nearest][:, None] == self.classes_).astype(float)


SPY = ClassifierKind("spy", "a test's own", lambda target, seed, threads: Spy())


@pytest.fixture(autouse=True)
def _forget():
    Spy.seen.clear()


def test_a_fold_is_fitted_on_its_training_rows_alone():
    X = np.arange(12, dtype=np.float32)[:, None]
    y = np.tile([0, 1], 6)
    subjects = np.array([f"s{i}" for i in range(12)])
    out = cross_validate(SPY, GENDER, X, y, subjects, SPLIT)
    for fold, (seen, groups) in zip(SPLIT, Spy.seen, strict=True):
        np.testing.assert_array_equal(seen, X[fold.train])
        np.testing.assert_array_equal(groups, subjects[fold.train])
    np.testing.assert_array_equal(out.fold, [0] * 6 + [1] * 6)
    assert out.fitted.X.min() == 6  # the first fold's


def test_a_class_that_no_training_face_has_gets_probability_zero():
    X = np.arange(12, dtype=np.float32)[:, None]
    from featurekit.data.targets import AGE_GROUP

    y = np.array([0, 3] * 3 + [0, 7] * 3)
    out = cross_validate(SPY, AGE_GROUP, X, y, np.arange(12).astype(str), SPLIT)
    assert out.probabilities.shape == (12, 8)
    np.testing.assert_array_equal(out.probabilities.sum(axis=1), 1)
    assert out.probabilities[:6, 3].sum() == 0  # the first fold's training part has no class 3
    assert set(out.predicted[:6]) <= {0, 7}


def test_a_row_outside_every_fold_is_not_predicted():
    X = np.arange(12, dtype=np.float32)[:, None]
    folds = [Fold(np.arange(6, 12), np.arange(3))]
    out = cross_validate(SPY, GENDER, X, np.tile([0, 1], 6), np.arange(12).astype(str), folds)
    assert (out.fold[3:] == -1).all()
    assert (out.predicted[3:] == -1).all()


def test_one_class_in_training_is_refused():
    X = np.zeros((12, 1), np.float32)
    with pytest.raises(TargetError, match="gender"):
        cross_validate(SPY, GENDER, X, np.zeros(12, int), np.arange(12).astype(str), SPLIT)


def test_probabilities_are_spread_over_all_classes():
    spread = spread_out(np.array([[0.25, 0.75]]), np.array([1, 3]), 5)
    np.testing.assert_array_equal(spread, [[0, 0.25, 0, 0.75, 0]])


def people(n: int = 160, n_classes: int = 2, seed: int = 0):
    """Vectors that half tell the class, and two faces a person."""
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(n // 2) % n_classes, 2)
    X = rng.normal(size=(n, 24)).astype(np.float32)
    X[np.arange(n), y] += 1
    return X, y, np.repeat([f"s{i}" for i in range(n // 2)], 2)


def four_folds(n: int = 160):
    return [Fold(np.setdiff1d(np.arange(n), part), part) for part in np.split(np.arange(n), 4)]


SMALL_GRIDS = {
    "svm": {"C": (0.5, 2.0), "gamma": (0.5, 1.0)},
    "random_forest": {"min_samples_leaf": (5, 2), "n_estimators": (5, 10)},
    "xgboost": {"max_depth": (2, 3)},
    "logistic_regression": {"penalty": (0.4, 0.04)},
}


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("svm", GENDER),
        ("svm", AGE),
        ("random_forest", GENDER),
        ("xgboost", AGE),
        ("logistic_regression", GENDER),
    ],
    ids=lambda value: getattr(value, "name", value),
)
def test_folds_side_by_side_give_the_same_bits(name, target):
    kind = replace(CLASSIFIERS[name], grid=lambda target: SMALL_GRIDS[name])
    X, y, subjects = people()
    labels = y * 20.0 + 5 if target.is_regression else y
    fitting = Fitting(blocks=(4, 20), resources=Resources(threads=2), tune=True)
    outs = [
        cross_validate(kind, target, X, labels, subjects, four_folds()[:3], fitting, jobs=jobs)
        for jobs in (1, 2)
    ]
    np.testing.assert_array_equal(outs[0].predicted, outs[1].predicted)
    np.testing.assert_array_equal(outs[0].probabilities, outs[1].probabilities)
    assert [found.best for found in outs[0].searches] == [found.best for found in outs[1].searches]
    assert len(outs[0].searches) == 3


def test_a_fold_is_tuned_on_its_training_rows_alone():
    X, y, subjects = people()
    kind = replace(CLASSIFIERS["svm"], grid=lambda target: SMALL_GRIDS["svm"])
    folds = four_folds()[:1]
    found = cross_validate(kind, GENDER, X, y, subjects, folds, Fitting(tune=True)).searches[0]
    X[folds[0].test] = 7.0
    y[folds[0].test] = 1 - y[folds[0].test]
    again = cross_validate(kind, GENDER, X, y, subjects, folds, Fitting(tune=True)).searches[0]
    np.testing.assert_array_equal(found.scores, again.scores)
    y[folds[0].train[:40]] = 1 - y[folds[0].train[:40]]
    other = cross_validate(kind, GENDER, X, y, subjects, folds, Fitting(tune=True)).searches[0]
    assert (other.scores != found.scores).any()


def test_a_tuned_fold_is_fitted_with_what_its_search_chose():
    X, y, subjects = people()
    folds = four_folds()[:2]
    out = cross_validate(CLASSIFIERS["svm"], GENDER, X, y, subjects, folds, Fitting(tune=True))
    for fold, found in zip(folds, out.searches, strict=True):
        svm = CLASSIFIERS["svm"].make(GENDER, 0, 1).set_params(**found.best)
        svm.fit(X[fold.train], y[fold.train], groups=subjects[fold.train])
        np.testing.assert_array_equal(out.probabilities[fold.test], svm.predict_proba(X[fold.test]))


def test_folds_whose_kernels_do_not_fit_into_memory_together_run_one_by_one(monkeypatch):
    X, y, subjects = people()
    svm = CLASSIFIERS["svm"].make(GENDER, 0, 1)
    monkeypatch.setattr(fitting, "available_memory", lambda: 3 * svm.bytes_needed(120, searching=False))
    said = []
    given = (
        CLASSIFIERS["svm"],
        GENDER,
        X,
        y,
        subjects,
        four_folds(),
        Fitting(resources=Resources(threads=2)),
    )
    together = cross_validate(*given, jobs=2, say=said.append)
    assert len(said) == 1
    assert "Kernel matrices of 120 training faces" in said[0]
    assert said[0].endswith("so only 1 fold can be fitted at the same time.")
    assert together.fitted.summary_["notes"] == []
    monkeypatch.undo()
    alone = cross_validate(*given, jobs=2, say=said.append)
    assert len(said) == 1
    monkeypatch.setattr(fitting, "MUCH", 0)
    cross_validate(*given, jobs=2, say=said.append)
    assert said[1].endswith("GB may be used.")
    np.testing.assert_array_equal(together.probabilities, alone.probabilities)
