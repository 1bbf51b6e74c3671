"""What each classifier decides, on faces made up so that the right decision is known."""

import sys
from contextlib import contextmanager
from dataclasses import replace
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from featurekit.data.splits import subject_exclusive_folds
from featurekit.data.targets import AGE, AGE_GROUP, GENDER
from featurekit.errors import EngineError, TargetError
from featurekit.estimators import CLASSIFIERS, check_training_labels
from featurekit.estimators._estimator import block_scaling
from featurekit.estimators._kernels import fit_pairs, pair_weights, rbf_kernel, votes
from featurekit.estimators.off_the_shelf import YEARS
from featurekit.estimators.svm import SVM, SVMRegressor, fit_linear
from featurekit.estimators.xgboost import XGBoost


def clouds(n: int = 120, n_classes: int = 3, dim: int = 6, apart: float = 2.0, seed: int = 0):
    """Vectors in one cloud a class, and two faces a person."""
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(n // 2) % n_classes, 2)
    X = rng.normal(size=(n, dim))
    X[np.arange(n), y] += apart
    return X.astype(np.float32), y, np.repeat([f"s{i}" for i in range(n // 2)], 2)


# --- scaling


def test_every_column_of_one_block_weighs_the_same():
    X = np.random.default_rng(0).normal(5, [1, 10, 100], (500, 3)).astype(np.float32)
    mean, factor = block_scaling(X, None)
    assert ((X - mean) * factor).var(axis=0) == pytest.approx(np.full(3, 1 / 3), rel=1e-5)


def test_a_long_block_does_not_drown_a_short_one():
    X = np.random.default_rng(0).normal(size=(300, 40)).astype(np.float32)
    mean, factor = block_scaling(X, (4, 36))
    variance = ((X - mean) * factor).var(axis=0)
    assert variance[:4].sum() == pytest.approx(0.5, rel=1e-5)
    assert variance[4:].sum() == pytest.approx(0.5, rel=1e-5)


def test_a_constant_column_counts_for_nothing_even_where_it_differs_later():
    X = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    X[:, 1] = 0.1
    mean, factor = block_scaling(X, (1, 1, 1))
    assert factor[1] == 0
    assert ((X - mean) * factor).var(axis=0).sum() == pytest.approx(1, rel=1e-5)


def test_blocks_of_another_length_are_a_bug():
    with pytest.raises(ValueError, match=r"\(2, 2\) must add up to 5"):
        block_scaling(np.zeros((3, 5), np.float32), (2, 2))


def test_blocks_change_what_a_joined_vector_says():
    rng = np.random.default_rng(0)
    X, y, people = clouds(n=200, n_classes=2, dim=2, apart=3)
    X = np.hstack([X, rng.normal(size=(200, 400)).astype(np.float32)])
    hits = {}
    for blocks in (None, (2, 400)):
        svm = SVM(feature_blocks=blocks).fit(X[:100], y[:100], groups=people[:100])
        hits[blocks] = (svm.predict(X[100:]) == y[100:]).mean()
    assert hits[(2, 400)] > hits[None] + 0.1


# --- labels


@pytest.mark.parametrize(
    ("target", "labels", "message"),
    [
        (
            GENDER,
            [1, 1, 1],
            r"^Every training face is male: gender needs at least two classes to tell apart\.$",
        ),
        (AGE, [30.0, 30.0], r"^Every training face is 30 years old: there is nothing to learn about age\.$"),
        (AGE, [30.0, np.nan], r"^1 training faces have no age\.$"),
        (GENDER, [], r"^No training face has a label of gender\.$"),
    ],
)
def test_labels_that_teach_nothing_are_refused(target, labels, message):
    with pytest.raises(TargetError, match=message):
        check_training_labels(target, np.array(labels))


def test_labels_that_differ_are_enough():
    check_training_labels(GENDER, np.array([0, 1]))
    check_training_labels(AGE, np.array([0.0, 1.0]))


# --- svm


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
    monkeypatch.setattr("featurekit.estimators._kernels.TILE", 16)
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
    assert svm.summary_["notes"] == ["Linear kernel instead of RBF: 120 training faces are more than 100."]
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
    assert "The probabilities are not calibrated. " in svm.summary_["notes"][0]
    assert (svm.predict(X) == y).mean() > 0.8


# --- svm_cuml


class _OnTheGPU:
    """One of cuML's machines, solved by scikit-learn, which shows what it learned as cuML does.

    What was learned lies on the GPU: it becomes an array of numpy's inside using_output_type("numpy") only.
    Its vectors stand in no order of classes. The constant is an array of one number.

    Attributes:
        fits: how often any of them was fitted.
    """

    fits = 0
    output_type = None

    def __init__(self, **parameters):
        assert set(parameters) <= {"C", "kernel", "gamma", "tol", "epsilon"}
        self._machine = self.solver(**parameters)

    def fit(self, X, y, sample_weight=None):
        _OnTheGPU.fits += 1
        self._machine.fit(X, y, sample_weight=sample_weight)
        self._order = np.random.default_rng(0).permutation(len(self._machine.support_))
        return self

    def _array(self, values):
        assert _OnTheGPU.output_type == "numpy", "Implicit conversion to a NumPy array is not allowed."
        return values

    @property
    def support_(self):
        return self._array(self._machine.support_[self._order].astype(np.int32))

    @property
    def dual_coef_(self):
        return self._array(self._machine.dual_coef_[:, self._order])

    @property
    def intercept_(self):
        return self._array(self._machine.intercept_)


class _CumlSVC(_OnTheGPU):
    """For two classes, a positive decision means the second: for cuML as for scikit-learn."""

    def solver(self, **parameters):
        from sklearn.svm import SVC

        return SVC(**parameters)

    def fit(self, X, y, sample_weight=None):
        assert len(np.unique(y)) == 2, "Of several classes, cuML takes no finished kernel."
        return super().fit(X, y, sample_weight)


class _CumlSVR(_OnTheGPU):
    def solver(self, **parameters):
        from sklearn.svm import SVR

        return SVR(**parameters)


@contextmanager
def _using_output_type(name):
    _OnTheGPU.output_type = name
    yield
    _OnTheGPU.output_type = None


@pytest.fixture
def cuml(monkeypatch):
    """A stand-in for cuML, and for the cupy that it comes with."""
    module, svm, cupy = ModuleType("cuml"), ModuleType("cuml.svm"), ModuleType("cupy")
    module.svm, module.using_output_type, module.__version__ = svm, _using_output_type, "26.02.00"
    svm.SVC, svm.SVR = _CumlSVC, _CumlSVR
    monkeypatch.setattr(_OnTheGPU, "fits", 0)
    cupy.cuda = SimpleNamespace(runtime=SimpleNamespace(getDeviceCount=lambda: 1))
    for name, stand_in in {"cuml": module, "cuml.svm": svm, "cupy": cupy}.items():
        monkeypatch.setitem(sys.modules, name, stand_in)
    return module


@pytest.mark.usefixtures("cuml")
@pytest.mark.parametrize("class_weight", [None, "balanced", {1: 3.0}])
@pytest.mark.parametrize("given", ["kernel", "vectors"])
@pytest.mark.parametrize("n_classes", [2, 4])
def test_cumls_pairs_decide_as_libsvms(n_classes, given, class_weight):
    """Signs, rows and weights of the pairs are put together rightly.

    cuML itself was not run, because no GPU was at hand: its stand-in is scikit-learn with cuML's attributes.
    """
    X, y, _ = clouds(n_classes=n_classes, apart=1)
    kept = (y > 0) | (np.arange(len(y)) % 3 > 0)  # classes of unequal size, numbered 1, 3, 5
    X, y = X[kept].astype(float), y[kept] * 2 + 1
    features, gamma = (rbf_kernel(X, None, 0.1), None) if given == "kernel" else (X, 0.1)
    others = rbf_kernel(np.random.default_rng(1).normal(0.5, 1, (40, X.shape[1])), X, 0.1)
    decisions = {}
    for solver in ("libsvm", "cuml"):
        pairs = fit_pairs(features, y, C=2, gamma=gamma, class_weight=class_weight, solver=solver)
        assert pairs.classes.tolist() == np.unique(y).tolist()
        assert pairs.weights.shape == (len(pairs.rows), n_classes * (n_classes - 1) // 2)
        assert (pairs.rows.dtype, pairs.weights.dtype) == (np.intp, np.float64)
        decisions[solver] = others[:, pairs.rows] @ pairs.weights + pairs.intercept
    assert decisions["cuml"] == pytest.approx(decisions["libsvm"], abs=5e-3)  # both stop at 1e-3
    said = {solver: votes(values, n_classes) for solver, values in decisions.items()}
    assert len(np.unique(said["libsvm"])) == n_classes
    assert (said["cuml"] == said["libsvm"]).mean() > 0.97


def no_cuml(monkeypatch):
    for name in ("cuml", "cuml.svm", "cupy"):
        monkeypatch.setitem(sys.modules, name, None)


@pytest.mark.usefixtures("cuml")
@pytest.mark.parametrize("parameters", [{}, {"gram_up_to": 10}])
@pytest.mark.parametrize("target", [GENDER, AGE_GROUP, AGE], ids=lambda target: target.name)
def test_what_cuml_solved_answers_as_svm_does_where_there_is_no_cuml(target, parameters, monkeypatch):
    """Without a GPU at hand, cuML itself was not run: its stand-in is scikit-learn."""
    import skops.io

    from featurekit.inference.learned import TRUSTED_TYPES

    X, y, people = clouds(n=240, n_classes=len(target.classes) or 4, dim=8)
    labels = 20.0 * y + 5 if target.is_regression else y
    machines = [CLASSIFIERS[name].make(target, 0, 2).set_params(**parameters) for name in ("svm", "svm_cuml")]
    for machine in machines:
        machine.fit(X[:160], labels[:160], groups=people[:160])
    assert machines[0].summary_["solver"] == "libsvm"
    assert "cuml" not in machines[0].summary_
    assert (machines[1].summary_["solver"], machines[1].summary_["cuml"]) == ("cuml", "26.02.00")
    assert machines[1].summary_["notes"] == []
    n_pairs = len(target.classes) * (len(target.classes) - 1) // 2
    assert _OnTheGPU.fits == (n_pairs * 4 or 1)  # of all rows, and of three inner training parts
    no_cuml(monkeypatch)
    saved = skops.io.dumps(machines[1])
    assert set(skops.io.get_untrusted_types(data=saved)) <= set(TRUSTED_TYPES)
    machines[1] = skops.io.loads(saved, trusted=list(TRUSTED_TYPES))
    by_libsvm, by_cuml = (machine.predict(X[160:]) for machine in machines)
    if target.is_regression:
        assert by_cuml == pytest.approx(by_libsvm, abs=0.1)
    else:
        assert (by_cuml == by_libsvm).mean() > 0.97
        by_libsvm, by_cuml = (machine.predict_proba(X[160:]) for machine in machines)
        assert by_cuml == pytest.approx(by_libsvm, abs=0.01)


@pytest.mark.usefixtures("cuml")
@pytest.mark.parametrize("target", [AGE_GROUP, AGE], ids=lambda target: target.name)
def test_cuml_solves_what_a_search_tries(target):
    """Without a GPU at hand, cuML itself was not run: its stand-in is scikit-learn."""
    X, y, people = clouds(n=160, n_classes=4, apart=1)
    labels = 20.0 * y + 5 if target.is_regression else y
    folds = subject_exclusive_folds(y, people, n_folds=2)
    tried = [{"C": 0.5, "gamma": 0.5}, {"C": 8.0, "gamma": 2.0}]
    scores = [
        CLASSIFIERS[name].make(target, 0, 2).search_scores(X, labels, folds=folds, candidates=tried)
        for name in ("svm", "svm_cuml")
    ]
    assert scores[1] == pytest.approx(scores[0], abs=0.03)
    assert (scores[1][0] != scores[1][1]).any()
    n_pairs = 1 if target.is_regression else 6
    assert _OnTheGPU.fits == n_pairs * len(folds) * len(tried)


@pytest.mark.usefixtures("cuml")
@pytest.mark.parametrize("parameters", [{"linear_above": 100}, {"memory_limit": 1000}])
@pytest.mark.parametrize("machine", [SVM, SVMRegressor])
def test_a_linear_machine_that_cuml_does_not_solve_is_said_aloud(machine, parameters):
    X, y, people = clouds()
    fitted = machine(solver="cuml", **parameters).fit(X, y * 20.0 + 5, groups=people)
    assert fitted.summary_["solver"] == "L-BFGS"
    assert "cuml" not in fitted.summary_
    assert len(fitted.summary_["notes"]) == 1
    assert fitted.summary_["notes"][0].endswith("The linear machine is solved on the CPU, not by cuML.")


def refused(reason: str) -> str:
    return (
        r"^svm_cuml needs cuML and an NVIDIA GPU: pip install 'featurekit\[cuml\]'\."
        rf" svm is the same machine on the CPU\. \(Here: {reason}\.\)$"
    )


@pytest.mark.parametrize("target", [GENDER, AGE], ids=lambda target: target.name)
def test_without_cuml_nothing_is_computed(target, monkeypatch):
    no_cuml(monkeypatch)
    machine = CLASSIFIERS["svm_cuml"].make(target, 0, 1)
    with pytest.raises(EngineError, match=refused(".*cuml.*")):
        machine.fit(None, None, groups=None)
    with pytest.raises(EngineError, match=refused(".*cuml.*")):
        machine.search_scores(None, None, folds=[], candidates=[])


@pytest.mark.usefixtures("cuml")
def test_cuml_without_a_gpu_is_refused_too(monkeypatch):
    def no_driver():
        raise RuntimeError("cudaErrorInsufficientDriver: the driver is too old\nand more")

    runtime = sys.modules["cupy"].cuda.runtime
    monkeypatch.setattr(runtime, "getDeviceCount", lambda: 0)
    with pytest.raises(EngineError, match=refused("cuML finds no GPU")):
        SVM(solver="cuml").fit(None, None, groups=None)
    monkeypatch.setattr(runtime, "getDeviceCount", no_driver)
    with pytest.raises(EngineError, match=refused("cudaErrorInsufficientDriver: the driver is too old")):
        SVM(solver="cuml").fit(None, None, groups=None)


def test_a_solver_nobody_knows_is_refused():
    X, y, people = clouds()
    with pytest.raises(ValueError, match=r"^solver must be 'libsvm' or 'cuml'\. Got 'thunder' instead\.$"):
        SVM(solver="thunder").fit(X, y, groups=people)


@pytest.mark.parametrize("is_here", [True, False])
def test_what_a_classifier_needs_is_listed(is_here, monkeypatch, capsys):
    from featurekit.cli.installation import list_members

    monkeypatch.setattr("importlib.util.find_spec", lambda name: object() if is_here else None)
    list_members("models")
    lines = dict(line.split("\t", 1) for line in capsys.readouterr().out.splitlines() if "\t" in line)
    needs = "cuml" if is_here else "cuml, missing: pip install 'featurekit[cuml]'"
    assert lines["svm_cuml"] == f"the same machine, solved on a GPU by cuML\t{needs}"
    assert lines["svm"].endswith("\tnothing more")


# --- xgboost


def test_long_vectors_are_reduced_inside_and_short_ones_are_not():
    X, y, people = clouds(dim=10)
    assert XGBoost(components=10, max_rounds=5).fit(X, y, groups=people).summary_.get("components") is None
    reduced = XGBoost(components=4, max_rounds=5).fit(X, y, groups=people)
    assert reduced.summary_["components"] == 4
    assert reduced.axes_.shape == (4, 10)


def test_the_device_is_read_back_from_the_booster():
    X, y, people = clouds()
    assert XGBoost(max_rounds=5).fit(X, y, groups=people).summary_["device"] == "cpu"


def test_rounds_are_chosen_on_held_out_subjects_or_said_to_be_fixed():
    X, y, people = clouds(apart=0.5)
    chosen = XGBoost(max_rounds=50, patience=3).fit(X, y, groups=people)
    assert chosen.summary_["rounds"] < 50
    alone = XGBoost().fit(X, y, groups=np.full(len(X), "s0"))
    assert alone.summary_["rounds"] == 100
    assert alone.summary_["notes"][0].startswith("100 rounds, not chosen on held-out subjects.")


# --- off the shelf


def years_with(**shares):
    """Probabilities of the 81 outputs, e.g. y28=1.0."""
    X = np.zeros((1, 81), np.float32)
    for name, share in shares.items():
        X[0, int(name[1:])] = share
    return X


def shelf(target):
    X = np.zeros((1, 2 if target is GENDER else 81), np.float32)
    return CLASSIFIERS["off_the_shelf"].make(target, 0, 1).fit(X, np.zeros(1), groups=np.array(["s"]))


@pytest.mark.parametrize(
    ("year", "group"), [(0, 0), (2, 0), (4, 1), (12, 2), (15, 3), (25, 4), (43, 5), (50, 6), (60, 7), (80, 7)]
)
def test_a_year_falls_into_its_group(year, group):
    assert shelf(AGE_GROUP).predict(years_with(**{f"y{year}": 1.0})).tolist() == [group]


def test_years_between_the_groups_are_left_out():
    proba = shelf(AGE_GROUP).predict_proba(years_with(y23=0.5, y28=0.3, y40=0.2))
    assert proba[0, [4, 5]] == pytest.approx([0.6, 0.4])
    assert shelf(AGE_GROUP).predict_proba(years_with(y23=1.0)) == pytest.approx(np.full((1, 8), 1 / 8))


def test_the_age_is_the_expected_one():
    assert YEARS[[0, 1, 80]].tolist() == [0.25, 1.0, 80.0]
    assert shelf(AGE).predict(years_with(y20=0.5, y30=0.5)) == pytest.approx([25.0])
    assert shelf(AGE).predict(years_with(y0=1.0)) == pytest.approx([0.25])


def test_the_second_probability_of_the_gender_head_is_male():
    assert shelf(GENDER).predict(np.array([[0.9, 0.1], [0.2, 0.8]], np.float32)).tolist() == [0, 1]


def test_the_heads_are_features_of_their_networks():
    kind = CLASSIFIERS["off_the_shelf"]
    mood = replace(GENDER, name="mood")
    assert [kind.features(target) for target in (AGE, AGE_GROUP, GENDER, mood)] == [
        "dlib_age:probabilities",
        "dlib_age:probabilities",
        "dlib_gender:probabilities",
        None,
    ]


def test_a_target_without_a_head_is_refused():
    with pytest.raises(TargetError, match=r"^off_the_shelf cannot read mood: dlib's networks give age, "):
        CLASSIFIERS["off_the_shelf"].make(replace(GENDER, name="mood"), 0, 1)


def test_vectors_of_another_network_are_a_bug():
    with pytest.raises(
        ValueError, match="age is read from 81 probabilities of dlib_age:probabilities, not from 5"
    ):
        shelf(AGE).predict(np.zeros((2, 5), np.float32))


# --- the others


def test_long_vectors_of_a_forest_are_reduced_inside():
    X, y, people = clouds(n=200, dim=200, apart=6)
    forest = CLASSIFIERS["random_forest"].make(AGE_GROUP, 0, 1).fit(X[:150], y[:150], groups=people[:150])
    assert forest.axes_.shape == (128, 200)
    assert (forest.predict(X[150:]) == y[150:]).mean() > 0.6


def test_components_are_learned_in_the_training_part_alone():
    X, y, people = clouds(n=200, dim=200)
    changed = X.copy()
    changed[150:] *= 1000
    once, again = (
        XGBoost(max_rounds=5).fit(vectors[:150], y[:150], groups=people[:150]) for vectors in (X, changed)
    )
    assert (once.axes_ == again.axes_).all()
    assert once.booster_ == again.booster_


def test_the_floor_gives_the_commonest_class_and_the_median_years():
    X = np.zeros((4, 3), np.float32)
    people = np.array(["a", "b", "c", "d"])
    floor = CLASSIFIERS["majority"].make(GENDER, 0, 1).fit(X, np.array([1, 1, 1, 0]), groups=people)
    assert floor.predict_proba(X[:1]).tolist() == [[0.25, 0.75]]
    years = CLASSIFIERS["majority"].make(AGE, 0, 1).fit(X, np.array([1.0, 20, 30, 90]), groups=people)
    assert years.predict(X).tolist() == [25.0] * 4


def test_floors_are_in_every_comparison_and_the_others_are_not():
    assert [kind.name for kind in CLASSIFIERS if kind.is_baseline] == ["majority", "off_the_shelf"]


def test_a_network_of_few_faces_takes_more_epochs():
    X, y, people = clouds(n=60)
    mlp = CLASSIFIERS["mlp"].make(AGE_GROUP, 0, 1).fit(X, y, groups=people)
    assert mlp.summary_["epochs"] == 1280  # 600 steps of 128 faces
    assert mlp.summary_["notes"][0].startswith("1280 epochs, fixed")


def test_parameters_can_be_read_and_set_by_name():
    svm = SVM(C=4.0)
    assert svm.get_params()["C"] == 4.0
    assert svm.set_params(C=5.0).C == 5.0
    assert type(svm.set_params(seed=np.int64(3)).seed) is int
    with pytest.raises(ValueError, match="SVM has no parameter c"):
        svm.set_params(c=1)
    assert CLASSIFIERS["mlp"].make(AGE, 0, 1).get_params()["model"] == "MLPRegressor"
