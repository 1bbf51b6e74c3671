"""The search for an SVM's parameters: its scores are those of GridSearchCV, to the last bit."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator, TransformerMixin  # noqa: TID253  # what it is compared with
from sklearn.model_selection import GridSearchCV, StratifiedKFold  # noqa: TID253
from sklearn.pipeline import Pipeline  # noqa: TID253
from sklearn.svm import SVC  # noqa: TID253

from featurekit.data.splits import Fold
from featurekit.estimators import candidates
from featurekit.estimators._svm.classifier import SVM


class Scaling(TransformerMixin, BaseEstimator):
    """The machine's scaling, learned from what it is fitted on."""

    def fit(self, X, y=None):
        self.machine_ = SVM()
        self.machine_._learn_scaling(X)
        return self

    def transform(self, X):
        return self.machine_._scale(X)


def random_problem(seed: int):
    """A data set with duplicated rows, and its folds."""
    rng = np.random.default_rng(seed)
    n, n_classes, dim = int(rng.integers(90, 160)), 2 + seed % 7, int(rng.integers(3, 24))
    y = rng.permutation(np.arange(n) % n_classes)
    X = rng.normal(size=(n, dim)) + rng.normal(size=(n_classes, dim))[y] * rng.uniform(0.3, 1.2)
    copied = rng.choice(n, n // 5, replace=False)
    X[copied] = X[rng.choice(n, len(copied))]  # some with another label
    folds = list(StratifiedKFold(3, shuffle=True, random_state=seed).split(X, y))
    return X.astype(np.float32), y, folds


def check_against_scikit_learn(seed: int) -> None:
    X, y, folds = random_problem(seed)
    costs, widths = [0.1, 1.0, 10.0], [0.3, 1.0, 4.0]
    pipeline = Pipeline([("scaling", Scaling()), ("svc", SVC())])
    grid = {"svc__C": costs, "svc__gamma": widths}
    theirs = GridSearchCV(pipeline, grid, cv=folds, refit=False).fit(X, y)
    tried = candidates({"C": costs, "gamma": widths})
    assert [
        {name.removeprefix("svc__"): value for name, value in one.items()}
        for one in theirs.cv_results_["params"]
    ] == tried
    ours = SVM(n_jobs=2).search_scores(X, y, folds=[Fold(*fold) for fold in folds], candidates=tried)
    expected = [theirs.cv_results_[f"split{f}_test_score"] for f in range(len(folds))]
    assert (expected == ours.T).all()
    assert tried[int(ours.mean(axis=1).argmax())] == tried[theirs.best_index_]


@pytest.mark.parametrize("seed", range(3))
def test_scores_and_choice_are_those_of_grid_search_cv(seed):
    check_against_scikit_learn(seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3, 27))
def test_scores_and_choice_are_those_of_grid_search_cv_on_many_more(seed):
    check_against_scikit_learn(seed)
