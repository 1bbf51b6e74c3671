"""The machines that cuML solves; without a GPU at hand a stand-in for cuML, which is scikit-learn."""

import sys
from contextlib import contextmanager
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from featurekit.data.splits import subject_exclusive_folds
from featurekit.data.targets import AGE, AGE_GROUP, GENDER
from featurekit.errors import EngineError
from featurekit.estimators import CLASSIFIERS
from featurekit.estimators._svm.classifier import SVM
from featurekit.estimators._svm.kernels import rbf_kernel
from featurekit.estimators._svm.regressor import SVMRegressor
from featurekit.estimators._svm.solvers import fit_pairs, votes
from tests.estimators.svm.made_up import clouds


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
@pytest.mark.parametrize("given", ["kernel", "vectors"])
@pytest.mark.parametrize("n_classes", [2, 4])
def test_cumls_pairs_decide_as_libsvms(n_classes, given):
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
        pairs = fit_pairs(features, y, C=2, gamma=gamma, solver=solver)
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
    trusted = CLASSIFIERS["svm_cuml"].may_hold
    assert set(skops.io.get_untrusted_types(data=saved)) <= set(trusted)
    machines[1] = skops.io.loads(saved, trusted=list(trusted))
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
    assert fitted.summary_["notes"][0].endswith("The linear SVM is solved on the CPU, not by cuML.")


def refused(reason: str) -> str:
    return (
        r"^svm_cuml needs cuML and an NVIDIA GPU: pip install 'featurekit\[cuml\]'\."
        rf" svm is the same model on the CPU\. \(Here: {reason}\.\)$"
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
    with pytest.raises(ValueError, match=r"^solver cannot be thunder: it must be one of libsvm, cuml\.$"):
        SVM(solver="thunder").fit(X, y, groups=people)


@pytest.mark.parametrize("is_here", [True, False])
def test_what_a_classifier_needs_is_listed(is_here, monkeypatch, capsys):
    from featurekit.cli.installation import list_members

    monkeypatch.setattr("importlib.util.find_spec", lambda name: object() if is_here else None)
    list_members("models")
    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines() if "\t" in line]
    listed = {name: (about, needs) for name, about, needs, _ in rows}
    needs = "cuml" if is_here else "cuml, missing: pip install 'featurekit[cuml]'"
    assert listed["svm_cuml"] == ("support vector machine like svm, but solved on a GPU by cuML", needs)
    assert listed["svm"][1] == "no further package"
