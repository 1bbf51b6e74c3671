"""Features fitted per fold are learned from training faces alone, and are what other programs compute."""

import numpy as np
import pytest

from featurekit.data.splits import Fold
from featurekit.data.targets import AGE, GENDER
from featurekit.errors import EstimatorError, UnknownNameError
from featurekit.estimators import CLASSIFIERS, ClassifierKind, Resources
from featurekit.estimators._estimator import Estimator
from featurekit.estimators.fitted_features import full_name, with_fitted
from featurekit.estimators.fitted_features._eigenfaces import Eigenfaces
from featurekit.estimators.given import kind_of
from featurekit.evaluation.cross_validation import cross_validate
from featurekit.evaluation.fitting import Fitting
from featurekit.evaluation.tuning import inner_folds, search

N_PIXELS = 1024
EIGENFACES = Fitting(blocks=(N_PIXELS,), fitted=("eigenfaces",))
SPLIT = [Fold(np.arange(30, 90), np.arange(30)), Fold(np.arange(60), np.arange(60, 90))]


def faces(n=90, seed=0):
    """Pixels of made-up faces that vary along 20 directions and a little in each pixel, and their labels."""
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(n // 2) % 2, 2)
    weights = rng.normal(size=(n, 20)) * np.linspace(1, 0.2, 20)
    weights[:, 5] += 0.8 * (2 * y - 1)
    X = 0.5 + 0.02 * weights @ rng.normal(size=(20, N_PIXELS)) + 0.01 * rng.normal(size=(n, N_PIXELS))
    return X.astype(np.float32), y, np.repeat([f"s{i}" for i in range(n // 2)], 2)


def by_svd(train, other):
    """Whitened principal components by numpy alone, each with any sign."""
    train, other = train.astype(np.float64), other.astype(np.float64)
    mean = train.mean(axis=0)
    _, values, axes = np.linalg.svd(train - mean, full_matrices=False)
    kept = min(150, len(train) - 1)
    return (other - mean) @ axes[:kept].T / (values[:kept] / np.sqrt(len(train) - 1))


class Spy(Estimator):
    """Remembers what it was fitted on, and says the class of the first training row."""

    seen: list = []  # noqa: RUF012  # shared on purpose: the test reads what every fit was given

    def __init__(self):
        self.guess, self.summary_ = 0, {"notes": []}

    def get_params(self, deep=True):
        return {"guess": self.guess}

    def set_params(self, **parameters):
        vars(self).update(parameters)
        return self

    def fit(self, X, y, groups=None):
        self.y, self.classes_ = y, np.unique(y)
        Spy.seen.append((X.copy(), getattr(self, "feature_blocks", None)))
        return self

    def predict(self, X):
        return np.full(len(X), self.y[0])

    def predict_proba(self, X):
        return np.tile(self.classes_ == self.y[0], (len(X), 1)).astype(float)


SPY = ClassifierKind("spy", "a test's own", lambda *_: Spy(), grid=lambda target: {"guess": (0, 1)})


@pytest.fixture(autouse=True)
def _forget():
    Spy.seen.clear()


def test_eigenfaces_are_the_whitened_components_of_a_singular_value_decomposition():
    X, _, _ = faces()
    found, expected = Eigenfaces().fit(X[:60]).transform(X), by_svd(X[:60], X)
    signs = np.sign((found * expected).sum(axis=0))
    assert found == pytest.approx(expected * signs, abs=1e-4)
    # The training faces have a variance of 1 along each of them, and no two of them are correlated.
    assert np.cov(found[:60].T) == pytest.approx(np.eye(59), abs=1e-4)


def test_a_fold_of_eigenfaces_equals_an_independent_computation():
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    X, y, people = faces()
    svc = make_pipeline(StandardScaler(), SVC(C=3))
    out = cross_validate(kind_of(svc, "svc"), GENDER, X, y, people, SPLIT, EIGENFACES)
    scores = []
    for fold in SPLIT:
        train = by_svd(X[fold.train], X[fold.train])
        own = make_pipeline(StandardScaler(), SVC(C=3)).fit(train, y[fold.train])
        expected = own.predict(by_svd(X[fold.train], X[fold.test]))
        assert (out.predicted[fold.test] == expected).all()
        scores.append((expected == y[fold.test]).mean())
    assert 0.6 < np.mean(scores) < 1  # neither chance nor a task that anything solves


def test_test_faces_do_not_influence_the_components_of_their_fold():
    X, y, people = faces()
    other = X.copy()
    other[SPLIT[0].test] = faces(seed=1)[0][:30]
    kind = CLASSIFIERS["logistic_regression"]
    one, two = (cross_validate(kind, GENDER, x, y, people, SPLIT, EIGENFACES) for x in (X, other))
    (before,), (after,) = one.fitted.transformers_, two.fitted.transformers_
    assert (before.axes_ == after.axes_).all()
    assert (before.mean_ == after.mean_).all()
    # The other fold trains on these faces: there something else is learned.
    rest = SPLIT[1].test
    assert (one.probabilities[rest] != two.probabilities[rest]).any()


@pytest.mark.parametrize("target", [GENDER, AGE])
def test_a_result_does_not_depend_on_threads_or_jobs(target):
    X, y, people = faces()
    labels = y if target is GENDER else 20.0 + 30 * y
    many = Fitting(blocks=(N_PIXELS,), fitted=("eigenfaces",), resources=Resources(threads=2))
    svm = CLASSIFIERS["svm"]
    one = cross_validate(svm, target, X, labels, people, SPLIT, EIGENFACES, jobs=1)
    two = cross_validate(svm, target, X, labels, people, SPLIT, many, jobs=2)
    np.testing.assert_array_equal(one.predicted, two.predicted)
    np.testing.assert_array_equal(one.probabilities, two.probabilities)


def test_a_search_learns_from_the_training_part_of_each_inner_fold():
    X, y, people = faces()
    search(SPY, GENDER, X, y, people, blocks=(N_PIXELS,), fitted=("eigenfaces",), seed=3)
    inner = inner_folds(GENDER, y, people, seed=3)
    assert len(Spy.seen) == 2 * len(inner)
    for number, (seen, _) in enumerate(Spy.seen):
        train = inner[number % len(inner)].train
        expected = by_svd(X[train], X[train])
        assert seen == pytest.approx(expected * np.sign((seen * expected).sum(axis=0)), abs=1e-4)


def test_a_search_that_shares_computations_scores_as_one_fit_for_each_candidate():
    X, y, people = faces()
    kind = CLASSIFIERS["logistic_regression"]
    grid = {"penalty": (0.1, 100.0)}
    found = search(kind, GENDER, X, y, people, blocks=(N_PIXELS,), fitted=("eigenfaces",), grid=grid, seed=3)
    for penalty, scores in zip(grid["penalty"], found.scores, strict=True):
        for fold, score in zip(inner_folds(GENDER, y, people, seed=3), scores, strict=True):
            components = Eigenfaces().fit(X[fold.train])
            own = kind.make(GENDER, 3, 1).set_params(penalty=penalty)
            own.fit(components.transform(X[fold.train]), y[fold.train])
            assert score == (own.predict(components.transform(X[fold.test])) == y[fold.test]).mean()
    assert not found.notes


def test_a_frozen_part_beside_it_stays_as_it_is():
    X, y, people = faces()
    frozen = np.random.default_rng(2).normal(size=(len(X), 3)).astype(np.float32)
    joined = Fitting(blocks=(3, N_PIXELS), fitted=("", "eigenfaces"))
    out = cross_validate(SPY, GENDER, np.hstack([frozen, X]), y, people, SPLIT, joined)
    seen, lengths = Spy.seen[0]
    assert (seen[:, :3] == frozen[SPLIT[0].train]).all()
    assert (seen[:, 3:] == Eigenfaces().fit(X[SPLIT[0].train]).transform(X[SPLIT[0].train])).all()
    assert lengths == (3, 59)
    assert out.fitted.summary_["fitted_features"] == {"eigenfaces": 59}


def test_many_training_faces_have_the_components_that_few_have():
    rng = np.random.default_rng(4)
    X = (rng.normal(size=(60, 12)) * np.linspace(2, 1, 12)).astype(np.float32)
    expected = by_svd(X, X)
    found = Eigenfaces().fit(X).transform(X)  # more faces than numbers: from the covariance matrix
    assert found == pytest.approx(expected * np.sign((found * expected).sum(axis=0)), abs=1e-5)


def test_components_along_which_no_training_face_varies_are_left_out():
    X, _, _ = faces()
    few = np.repeat(X[:4], 5, axis=0)  # four different faces have three components
    found = Eigenfaces().fit(few)
    assert found.transform(X).shape == (len(X), 3)
    assert np.abs(found.transform(X)).max() < 1e3


def test_training_faces_that_are_all_the_same_are_one_clear_line():
    X, y, people = faces()
    same = np.full_like(X, 0.5)
    message = (
        r"^svm could not be learned for gender on eigenfaces, fold 0: all training faces have the same pix"
    )
    fitting = Fitting(features="eigenfaces", blocks=(N_PIXELS,), fitted=("eigenfaces",))
    with pytest.raises(EstimatorError, match=message):
        cross_validate(CLASSIFIERS["svm"], GENDER, same, y, people, SPLIT, fitting)


def test_vectors_of_another_length_are_refused():
    X, y, people = faces(n=20)
    one = with_fitted(CLASSIFIERS["majority"].make(GENDER, 0, 1), ("eigenfaces",), (N_PIXELS,), 0)
    one.fit(X, y, groups=people)
    with pytest.raises(ValueError, match=r"^The vectors must have 1024 numbers, but have 1023\.$"):
        one.predict(X[:, 1:])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("eigenface", r"^Unknown backbone 'eigenface'\. Did you mean 'eigenfaces'\? Known: "),
        (
            "eigenfaces:grey",
            r"^eigenfaces has no layers, so 'grey' cannot follow it\. Give eigenfaces alone\.$",
        ),
        ("mean_color:grey", r"^Unknown layer of mean_color 'grey'\."),
    ],
)
def test_a_wrong_name_is_one_clear_line(name, message):
    with pytest.raises(UnknownNameError, match=message):
        full_name(name)
