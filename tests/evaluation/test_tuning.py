"""The search for parameters: inside the training part, the same whatever runs beside it, and exact."""

import threading
from dataclasses import replace

import numpy as np
import pytest

from featurekit.data.splits import Fold
from featurekit.data.targets import AGE, AGE_GROUP, GENDER
from featurekit.errors import EngineError
from featurekit.estimators import CLASSIFIERS, ClassifierKind, Resources
from featurekit.estimators._estimator import Estimator
from featurekit.estimators._linear import ridge_answers
from featurekit.estimators._svm.classifier import SVM
from featurekit.estimators._svm.kernels import Distances, libsvm_bytes, matrix_bytes, rbf_kernel
from featurekit.estimators._svm.regressor import SVMRegressor
from featurekit.evaluation.tuning import inner_folds, search
from featurekit.threads import one_blas_thread


def clouds(n: int = 120, n_classes: int = 2, dim: int = 10, apart: float = 1.5, seed: int = 0):
    """Vectors in one cloud a class, and two faces a person."""
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(n // 2) % n_classes, 2)
    X = rng.normal(size=(n, dim))
    X[np.arange(n), y] += apart
    return X.astype(np.float32), y, np.repeat([f"s{i}" for i in range(n // 2)], 2)


class Nearest(Estimator):
    """Says the class of the nearest training row, or of a random one; remembers what it was fitted on."""

    seen: list = []  # noqa: RUF012  # shared on purpose: the test reads what every fit was given

    def __init__(self):
        self.guess, self.summary_ = False, {"notes": []}

    def set_params(self, guess=False):
        self.guess = guess
        return self

    def fit(self, X, y, groups=None):
        self.X, self.y, self.classes_ = X, y, np.unique(y)
        Nearest.seen.append((X.copy(), groups.copy()))
        return self

    def predict(self, X):
        if self.guess:
            return np.full(len(X), self.y[0])
        return self.y[((X[:, None] - self.X[None]) ** 2).sum(axis=2).argmin(axis=1)]


NEAREST = ClassifierKind(
    "nearest", "a test's own", lambda *_: Nearest(), grid=lambda target: {"guess": (True, False)}
)


# --- the choice


def test_the_candidate_that_reads_held_out_faces_best_is_chosen():
    found = search(NEAREST, GENDER, *clouds(apart=6))
    assert found.best == {"guess": False}
    assert found.scores.shape == (2, 3)
    assert found.score == pytest.approx(found.scores[1].mean())
    assert found.scores[1].mean() > 0.9 > found.scores[0].mean()


def test_of_equal_candidates_the_earlier_is_chosen():
    found = search(NEAREST, GENDER, *clouds(apart=6), grid={"guess": (False, False, True)})
    assert (found.scores[0] == found.scores[1]).all()
    assert found.best is found.candidates[0]


def test_every_fit_of_a_search_holds_out_whole_persons():
    Nearest.seen.clear()
    X, y, people = clouds()
    search(NEAREST, GENDER, X, y, people)
    assert len(Nearest.seen) == 6
    for _, groups in Nearest.seen:
        held_out = np.setdiff1d(people, groups)
        assert len(held_out) >= len(np.unique(people)) // 3 - 1
        assert set(np.unique(groups, return_counts=True)[1]) == {2}  # both faces of a person or none


def test_inner_folds_of_years_share_no_person_and_hold_out_all_ages():
    years = np.repeat(np.arange(1.0, 61.0), 2)
    people = np.repeat(np.arange(60).astype(str), 2)
    folds = inner_folds(AGE, years, people)
    for fold in folds:
        assert not set(people[fold.train]) & set(people[fold.test])
        assert years[fold.test].min() < 15
        assert years[fold.test].max() > 45
    assert sorted(np.concatenate([fold.test for fold in folds])) == list(range(120))


def test_too_few_subjects_leave_the_defaults_and_say_so():
    X, y, _ = clouds(n=12)
    people = np.array(["a", "b"] * 6)
    found = search(CLASSIFIERS["svm"], GENDER, X, y, people)
    assert found.best == {}
    assert found.score is None
    assert found.notes == (
        "Not tuned: the default parameters were used. There are 2 subjects, which is too few for 3 folds.",
    )


def test_a_class_with_one_subject_leaves_the_defaults_and_says_so():
    X, y, people = clouds(n=40)
    y = np.where(people == "s0", 1, 0)
    found = search(CLASSIFIERS["svm"], GENDER, X, y, people)
    assert found.best == {}
    assert "Fold" in found.notes[0]


def test_without_a_grid_nothing_is_searched():
    found = search(CLASSIFIERS["majority"], GENDER, *clouds())
    assert (found.best, found.candidates, found.notes) == ({}, (), ())


@pytest.mark.parametrize("name", ["svm", "logistic_regression"])
def test_what_is_said_of_a_held_out_row_does_not_depend_on_the_other_held_out_rows(name):
    """For years, whose errors show the smallest difference: a scaler that saw the others would make one."""
    X, y, _ = clouds(n=60, n_classes=4)
    years = y * 12.0 + 3
    fold = Fold(np.arange(40), np.arange(40, 60))
    estimator = CLASSIFIERS[name].make(AGE, 0, 1)
    alone = []
    for row in fold.test:
        others = np.full_like(X, 7.0)
        others[:40], others[row] = X[:40], X[row]
        folds = [Fold(fold.train, np.array([row]))]
        alone.append(estimator.search_scores(others, years, folds=folds, candidates=[{}])[0, 0])
    together = estimator.search_scores(X, years, folds=[fold], candidates=[{}])
    assert np.mean(alone) == pytest.approx(together[0, 0], rel=1e-6)


# --- support vector machines


def test_a_kernel_from_kept_distances_is_the_kernel():
    vectors = np.random.default_rng(0).normal(size=(90, 12))
    rows, columns = np.arange(3, 80), np.array([5, 1, 88, 40])
    for parts in (None, (4, 8)):
        whole = rbf_kernel(vectors, None, 0.2, parts)
        out = np.empty((len(rows), len(columns)))
        kept = Distances(vectors, parts, threads=2).kernel(rows, columns, 0.2, out)
        assert kept is out
        assert out == pytest.approx(whole[np.ix_(rows, columns)], abs=1e-12)


@pytest.mark.parametrize("blocks", [None, (4, 6)])
def test_the_shared_kernels_give_the_scores_of_single_fits(blocks):
    """For years, where the machine's answer is what is scored."""
    X, y, people = clouds(n_classes=4)
    years = y * 12.0 + 3
    tried = [{"C": C, "gamma": gamma} for C in (0.3, 1.0) for gamma in (0.5, 2.0)]
    folds = inner_folds(AGE, years, people)
    shared = SVMRegressor(feature_blocks=blocks).search_scores(X, years, folds=folds, candidates=tried)
    for i, one in enumerate(tried):
        for f, fold in enumerate(folds):
            machine = SVMRegressor(feature_blocks=blocks, **one)
            machine.fit(X[fold.train], years[fold.train], groups=people[fold.train])
            error = np.abs(machine.predict(X[fold.test]) - years[fold.test]).mean()
            assert shared[i, f] == pytest.approx(-error, rel=1e-6)


@pytest.mark.parametrize("target", [AGE, AGE_GROUP], ids=lambda target: target.name)
def test_where_the_machine_will_be_linear_the_linear_machine_is_searched(target):
    X, y, people = clouds(n=240, n_classes=4, apart=0.8)
    labels = y * 12.0 + 3 if target.is_regression else y
    tried = [{"C": C, "gamma": gamma} for C in (0.01, 1.0) for gamma in (0.5, 2.0)]
    folds = inner_folds(target, labels, people)
    machine = (SVMRegressor if target.is_regression else SVM)(linear_above=200)
    scores = machine.search_scores(X, labels, folds=folds, candidates=tried)
    assert (scores[0] == scores[1]).all()  # it has no gamma
    assert (scores[0] != scores[2]).any()
    if target.is_regression:
        single = SVMRegressor(linear_above=0, C=0.01)
        single.fit(X[folds[0].train], labels[folds[0].train], groups=people[folds[0].train])
        error = np.abs(single.predict(X[folds[0].test]) - labels[folds[0].test]).mean()
        assert scores[0, 0] == pytest.approx(-error, rel=1e-6)
    else:
        assert scores[2].mean() > 0.4


def test_threads_do_not_change_a_search():
    X, y, people = clouds(n_classes=8, apart=1)
    for name in ("svm", "xgboost"):
        one, two = (
            search(CLASSIFIERS[name], AGE_GROUP, X, y, people, resources=Resources(threads=n)) for n in (1, 2)
        )
        assert (one.scores == two.scores).all()
        assert one.best == two.best


def test_a_kernel_that_takes_too_much_memory_is_approximated_and_it_is_said():
    X, y, people = clouds(n=300, n_classes=3, apart=2.5)
    exact = SVM().fit(X, y, groups=people)
    assert exact.summary_["notes"] == []
    for machine, labels in ((SVM, y), (SVMRegressor, y * 9.0)):
        near = machine(memory_limit=1_000_000).fit(X, labels, groups=people)
        assert "Nystroem" in near.summary_["notes"][0]
        assert "300 training faces (0.0 GB) needs more memory than is allowed" in near.summary_["notes"][0]
        assert near.predict(X).shape == (300,)
    near = SVM(memory_limit=1_000_000).fit(X, y, groups=people)
    assert (near.predict(X) == exact.predict(X)).mean() > 0.9


def test_a_search_without_memory_for_kernels_fits_each_candidate_and_says_so():
    X, y, people = clouds(n=160)
    grid = {"C": (0.5, 2.0)}
    found = search(CLASSIFIERS["svm"], GENDER, X, y, people, grid=grid, resources=Resources(memory=10_000))
    assert SVM(memory_limit=10_000).search_scores(X, y, folds=[], candidates=[{"C": 2.0}]) is None
    assert found.scores.shape == (2, 3)
    assert found.scores.min() > 0.5
    assert found.notes == (
        "svm was tuned by fitting each candidate separately, because they cannot share computations.",
    )


def test_the_memory_of_a_search_is_foretold():
    svm = SVM(n_jobs=2, feature_blocks=(10, 20))
    assert svm.bytes_needed(10_000, searching=True) == 4 * matrix_bytes(10_000) + 2 * libsvm_bytes(10_000)
    # Two parts' distances and a kernel for each thread, 800 MB each, beside what libsvm keeps.
    assert 3.2e9 < svm.bytes_needed(10_000, searching=True) < 4.1e9
    assert svm.bytes_needed(10_000, searching=False) < svm.bytes_needed(10_000, searching=True)
    assert svm.bytes_needed(30_000, searching=True) == 0  # no kernel matrix is kept of so many


# --- forests, boosting, linear models


@pytest.mark.parametrize("target", [GENDER, AGE], ids=lambda target: target.name)
def test_a_forests_first_trees_are_the_forest_of_that_many(target):
    X, y, people = clouds(apart=0.8)
    labels = y * 20.0 + 5 if target.is_regression else y
    kind = CLASSIFIERS["random_forest"]
    tried = [{"n_estimators": n, "min_samples_leaf": leaf} for leaf in (5, 2) for n in (3, 20, 9)]
    folds = inner_folds(target, labels, people)
    shared = kind.make(target, 0, 1).search_scores(X, labels, folds=folds, candidates=tried)
    for i, one in enumerate(tried):
        for f, fold in enumerate(folds):
            forest = kind.make(target, 0, 1).set_params(**one)
            forest.fit(X[fold.train], labels[fold.train], groups=people[fold.train])
            said = forest.predict(X[fold.test])
            true = labels[fold.test]
            expected = -np.abs(said - true).mean() if target.is_regression else (said == true).mean()
            assert shared[i, f] == expected


def test_warm_starts_lead_where_cold_ones_lead():
    X, y, people = clouds(n=200, n_classes=3)
    kind, tried = CLASSIFIERS["logistic_regression"], [{"penalty": p} for p in (0.01, 1.0, 0.1)]
    folds = inner_folds(AGE_GROUP, y, people)
    shared = kind.make(AGE_GROUP, 0, 1).search_scores(X, y, folds=folds, candidates=tried)
    for i, one in enumerate(tried):
        for f, fold in enumerate(folds):
            cold = kind.make(AGE_GROUP, 0, 1).set_params(**one)
            cold.fit(X[fold.train], y[fold.train], groups=people[fold.train])
            assert shared[i, f] == pytest.approx(
                (cold.predict(X[fold.test]) == y[fold.test]).mean(), abs=0.02
            )


@pytest.mark.parametrize("dim", [5, 80])
def test_ridge_regressions_from_shared_products_are_scikit_learns(dim):
    from sklearn.linear_model import Ridge

    X = np.random.default_rng(0).normal(3, 1, (60, dim)).astype(np.float32)
    y = X[:, 0] * 2.0 + X[:, 1] + 7
    alphas = [0.1, 10.0]
    for alpha, said in zip(alphas, ridge_answers(X[:40], y[:40], X[40:], alphas), strict=True):
        assert said == pytest.approx(Ridge(alpha=alpha).fit(X[:40], y[:40]).predict(X[40:]), rel=1e-4)


def test_a_gpu_that_xgboost_did_not_get_is_an_error():
    X, y, people = clouds(n=40)
    booster = CLASSIFIERS["xgboost"].make(GENDER, 0, 1).set_params(device="cuda", max_rounds=2)
    try:
        booster.fit(X, y, groups=people)
    except EngineError as error:
        assert "cuda was requested, but XGBoost ran on cpu" in str(error)  # noqa: PT017  # or there is a GPU
    else:
        assert booster.summary_["device"].startswith("cuda")


def test_parameters_of_the_model_inside_are_set_by_name():
    kind = CLASSIFIERS["random_forest"]
    forest, other = kind.make(GENDER, 0, 1), kind.make(GENDER, 0, 1)
    forest.set_params(min_samples_leaf=9, components=16)
    assert forest.get_params()["min_samples_leaf"] == 9
    assert forest.components == 16
    assert other.get_params()["min_samples_leaf"] == 5
    with pytest.raises(ValueError, match="leaves"):
        forest.set_params(leaves=9)


# --- threads beside each other


def test_a_thread_that_is_done_leaves_the_others_their_pinned_matrix_products():
    from threadpoolctl import threadpool_info

    def n_threads():
        return {one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"}

    before = n_threads()
    inside, leave = threading.Event(), threading.Event()

    def other():
        with one_blas_thread():
            inside.set()
            leave.wait(10)

    thread = threading.Thread(target=other)
    thread.start()
    inside.wait(10)
    with one_blas_thread():
        leave.set()
        thread.join()
        assert n_threads() == {1}
    assert n_threads() == before


def test_the_grid_of_a_kind_can_be_replaced():
    kind = replace(CLASSIFIERS["svm"], grid=lambda target: {"C": (1.0, 3.0)})
    found = search(kind, GENDER, *clouds())
    assert [one["C"] for one in found.candidates] == [1.0, 3.0]
