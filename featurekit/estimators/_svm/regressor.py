"""A support vector regressor for years."""

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn import config_context
from sklearn.base import RegressorMixin
from sklearn.svm import SVR

from featurekit.data.splits import Fold
from featurekit.estimators import held_out_score
from featurekit.estimators._scaling import learn_years, to_years
from featurekit.estimators._svm.kernels import CACHE_MB
from featurekit.estimators._svm.machine import KernelMachine, Trial
from featurekit.estimators._svm.solvers import TOLERANCE, Machine, fit_linear, solve_on_gpu, solver_facts
from featurekit.threads import one_blas_thread


@dataclass(eq=False, repr=False, kw_only=True)
class SVMRegressor(RegressorMixin, KernelMachine):
    """A support vector regressor for years.

    It learns the square roots of the years. It predicts a median, which is still a median after squaring.

    Attributes:
        C: cost of an error, for roots scaled to a variance of 1.
        epsilon: error that costs nothing, in the same unit.
        center_, unit_: mean and standard deviation of the training roots.
    """

    is_regression: ClassVar[bool] = True

    epsilon: float = 0.1

    def fit(self, X: Any, y: Any, groups: Any = None, **unknown: Any) -> Self:
        """Learn scaling and machine from vectors (n, dim) and years (n,); the subjects are not used.

        Raises:
            EngineError: the solver is cuML, and it is not installed or finds no GPU.
        """
        solver_facts(self.solver)  # raises before anything is computed
        X, y, _ = self._begin(X, y, groups, unknown)
        targets, self.center_, self.unit_ = learn_years(y)
        with one_blas_thread():
            scaled, kernel = self._prepare(X)
            features = scaled if kernel is None else kernel
            if self.is_linear_ or len(self.landmarks_):
                machine = fit_linear(features, targets[:, None], self.summary_["C"], epsilon=self.epsilon)
            else:
                machine = self._fit_years(features, targets, self.C, on_kernel=kernel is not None)
            self._keep(machine, X)
        return self

    def predict(self, X: Any) -> NDArray[np.float64]:
        """Return the years of each row, shape (n,)."""
        return to_years(self._decide(self._asked(X))[:, 0], self.center_, self.unit_)

    def _trial(self, y: NDArray[np.float64], fold: Fold, *, is_linear: bool) -> tuple[Fold, Trial]:
        targets, center, unit = learn_years(y[fold.train])

        def try_out(train: NDArray[np.float64], test: NDArray[np.float64], cost: float) -> float:
            if is_linear:
                machine = fit_linear(train, targets[:, None], self._linear_cost(cost), epsilon=self.epsilon)
            else:
                machine = self._fit_years(train, targets, cost, on_kernel=True)
                test = test[:, machine.rows]
            numbers = (test @ machine.weights + machine.intercept)[:, 0]
            return held_out_score(y[fold.test], to_years(numbers, center, unit))

        return fold, try_out

    def _fit_years(
        self, features: NDArray[np.float64], targets: NDArray[np.float64], cost: float, *, on_kernel: bool
    ) -> Machine:
        kind = "precomputed" if on_kernel else "rbf"
        if self.solver == "cuml":
            import cuml.svm

            solved = cuml.svm.SVR(C=cost, epsilon=self.epsilon, kernel=kind, gamma=self.gamma, tol=TOLERANCE)
            rows, weights, constant = solve_on_gpu(solved, features, targets)
            return Machine(rows, weights[:, None], np.array([constant]))
        svr = SVR(C=cost, epsilon=self.epsilon, kernel=kind, gamma=self.gamma, cache_size=CACHE_MB)
        with config_context(assume_finite=True):
            svr.fit(features, targets)
        return Machine(np.asarray(svr.support_, np.intp), svr.dual_coef_.T, svr.intercept_)
