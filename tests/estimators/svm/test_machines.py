"""What support vector machines decide, on vectors made up so that the right decision is known."""

import numpy as np
import pytest

from featurekit.estimators._svm.classifier import SVM
from featurekit.estimators._svm.kernels import rbf_kernel
from featurekit.estimators._svm.regressor import SVMRegressor
from featurekit.estimators._svm.solvers import fit_linear, pair_weights
from tests.estimators.svm.made_up import clouds


def test_blocks_change_what_a_joined_vector_says():
    rng = np.random.default_rng(0)
    X, y, people = clouds(n=200, n_classes=2, dim=2, apart=3)
    X = np.hstack([X, rng.normal(size=(200, 400)).astype(np.float32)])
    hits = {}
    for blocks in (None, (2, 400)):
        svm = SVM(feature_blocks=blocks).fit(X[:100], y[:100], groups=people[:100])
        hits[blocks] = (svm.predict(X[100:]) == y[100:]).mean()
    assert hits[(2, 400)] > hits[None] + 0.1


@pytest.mark.parametrize("n_classes", [2, 3, 5])
def test_its_decision_values_are_libsvms(n_classes):
    from sklearn.svm import SVC

    X, y, _ = clouds(n_classes=n_classes, apart=1)
    kernel = rbf_kernel(X.astype(float), None, 0.1, threads=2)
    svc = SVC(kernel="precomputed", C=2, decision_function_shape="ovo").fit(kernel, y)
    other = rbf_kernel(X[:7].astype(float) + 0.3, X.astype(float), 0.1)
    decisions = other[:, svc.support_] @ pair_weights(svc.dual_coef_, svc.n_support_) + svc.intercept_
    assert decisions.squeeze() == pytest.approx(svc.decision_function(other), abs=1e-9)


def test_the_kernel_is_scikit_learns_and_does_not_depend_on_tiles_or_threads(monkeypatch):
    from sklearn.metrics.pairwise import rbf_kernel as expected

    vectors = np.random.default_rng(0).normal(size=(50, 7))
    whole = rbf_kernel(vectors, None, 0.3)
    assert whole == pytest.approx(expected(vectors, gamma=0.3))
    assert rbf_kernel(vectors, vectors[:9], 0.3) == pytest.approx(expected(vectors, vectors[:9], gamma=0.3))
    monkeypatch.setattr("featurekit.estimators._svm.kernels.TILE", 16)
    tiled = rbf_kernel(vectors, None, 0.3)
    assert tiled == pytest.approx(whole)
    assert (rbf_kernel(vectors, None, 0.3, threads=2) == tiled).all()


def test_the_kernel_of_parts_is_the_mean_of_the_whole_and_of_each_alone():
    from sklearn.metrics.pairwise import rbf_kernel as expected

    vectors = np.random.default_rng(0).normal(size=(20, 7))
    alone = [
        expected(vectors[:, :2], gamma=0.6),
        expected(vectors[:, 2:], gamma=0.6),
    ]  # twice 0.3: as if each were the whole
    by_hand = (expected(vectors, gamma=0.3) + np.mean(alone, axis=0)) / 2
    assert rbf_kernel(vectors, None, 0.3, (2, 5)) == pytest.approx(by_hand)
    assert rbf_kernel(vectors, None, 0.3, (7,)) == pytest.approx(expected(vectors, gamma=0.3))


def test_the_length_of_a_part_says_nothing():
    X, y, people = clouds(dim=8)
    svm = SVM(feature_blocks=(3, 5)).fit(X, y, groups=people)
    stretched = X * np.repeat([2.0, 0.5], [3, 5]).astype(np.float32)
    assert svm.predict_proba(stretched) == pytest.approx(svm.predict_proba(X), abs=1e-4)
    assert np.isfinite(svm.predict_proba(np.zeros((1, 8), np.float32))).all()


@pytest.mark.parametrize("parameters", [{"gram_up_to": 10}, {"linear_above": 10}])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_larger_data_sets_take_another_road_to_a_like_answer(parameters, n_classes):
    X, y, people = clouds(n=200, n_classes=n_classes, apart=3)
    small = SVM().fit(X, y, groups=people)
    large = SVM(**parameters).fit(X, y, groups=people)
    assert (small.predict(X) == large.predict(X)).mean() > 0.95
    assert large.predict_proba(X).shape == (200, n_classes)
    if "gram_up_to" in parameters:
        assert large.predict_proba(X) == pytest.approx(small.predict_proba(X), abs=0.02)


def test_a_linear_kernel_is_said_aloud():
    X, y, people = clouds()
    svm = SVM(linear_above=100).fit(X, y, groups=people)
    assert svm.summary_["kernel"] == "linear"
    assert svm.summary_["notes"] == [
        "A linear kernel was used instead of RBF, because 120 training faces are more than 100."
    ]
    assert SVM(linear_above=120).fit(X, y, groups=people).summary_["notes"] == []


@pytest.mark.parametrize("parameters", [{}, {"gram_up_to": 10}, {"linear_above": 10}])
def test_years_are_learned_on_every_road(parameters):
    X, y, people = clouds(n=200, apart=3)
    years = 20.0 * y + 5
    machine = SVMRegressor(**parameters).fit(X, years, groups=people)
    assert np.abs(machine.predict(X) - years).mean() < 6


def test_linear_machines_solve_the_problem_of_linear_svc():
    from sklearn.svm import LinearSVC

    X, y, _ = clouds(n_classes=3, apart=1)
    scaled = X.astype(float)
    ours = fit_linear(scaled, np.where(y[:, None] == np.arange(3), 1.0, -1.0), 0.5)
    # A very large intercept_scaling leaves the intercept unpunished, as ours is.
    theirs = LinearSVC(C=0.5, dual=False, tol=1e-8, intercept_scaling=100, max_iter=10000).fit(scaled, y)
    assert ours.weights == pytest.approx(theirs.coef_.T, abs=0.01)
    assert ours.intercept == pytest.approx(theirs.intercept_, abs=0.01)


def test_probabilities_are_honest():
    X, y, people = clouds(n=1200, n_classes=2, apart=1)
    svm = SVM().fit(X[:600], y[:600], groups=people[:600])
    said = svm.predict_proba(X[600:])[:, 1]
    for low, high in ((0, 0.3), (0.3, 0.7), (0.7, 1)):
        chosen = (said >= low) & (said <= high)
        assert y[600:][chosen].mean() == pytest.approx(said[chosen].mean(), abs=0.12)


def test_calibration_holds_out_whole_persons():
    """A person seen twice, with labels that only the person tells, must not make it sure of itself."""
    rng = np.random.default_rng(0)
    X = np.repeat(rng.normal(size=(60, 5)), 4, axis=0).astype(np.float32)
    y = np.repeat(np.arange(60) % 2, 4)
    svm = SVM(C=100).fit(X, y, groups=np.repeat([f"s{i}" for i in range(60)], 4))
    strangers = rng.normal(size=(200, 5)).astype(np.float32)
    assert svm.predict_proba(strangers).max(axis=1).mean() < 0.75
    crossing = SVM(C=100).fit(X, y, groups=np.array([f"s{i}" for i in range(240)]))
    assert crossing.predict_proba(strangers).max(axis=1).mean() > 0.85


def test_too_few_subjects_to_calibrate_are_said_aloud():
    X, y, _ = clouds(n_classes=3)
    people = np.where(y == 2, "s2", np.where(y == 1, "s1", "s0"))
    svm = SVM().fit(X, y, groups=people)
    assert svm.summary_["calibration"] == "none"
    why = "The probabilities are not calibrated, because too few training subjects have"
    assert svm.summary_["notes"][0] == f"{why} one of the classes."
    assert (svm.predict(X) == y).mean() > 0.8
    people = np.where(y == 1, "s1", [f"s{i}" for i in range(len(y))])
    named = SVM().fit(X, np.array(["child", "adult", "elder"])[y], groups=people)
    assert named.summary_["notes"][0] == f"{why} class adult."
    two = SVM().fit(X, y, groups=np.where(y == 2, "s2", "s0"))
    because = "The probabilities are not calibrated, because there are fewer than 3 training subjects."
    assert two.summary_["notes"][0] == because
