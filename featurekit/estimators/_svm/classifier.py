"""A support vector classifier with probabilities."""

from dataclasses import dataclass
from itertools import combinations
from typing import Any, Self

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression

from featurekit.data.splits import Fold, subject_exclusive_folds
from featurekit.errors import FoldError
from featurekit.estimators import held_out_score
from featurekit.estimators._estimator import LabelClassifier
from featurekit.estimators._svm.kernels import TILE, rbf_kernel
from featurekit.estimators._svm.machine import INNER_FOLDS, KernelMachine, Trial
from featurekit.estimators._svm.solvers import (
    Machine,
    class_signs,
    fit_linear,
    fit_pairs,
    solver_facts,
    votes,
)
from featurekit.threads import one_blas_thread


@dataclass(eq=False, repr=False, kw_only=True)
class SVM(LabelClassifier, KernelMachine):
    """A support vector classifier with probabilities.

    Attributes:
        C: cost of an error.
        classes_: labels seen in training, increasing.
        calibration_: weights of the decision values in the score of each class, shape (n_classes, n_outputs).
        calibration_intercept_: shape (n_classes,).
    """

    C: float = 2.0

    def fit(self, X: Any, y: Any, groups: Any = None, **unknown: Any) -> Self:
        """Learn scaling, machine and probabilities.

        Args:
            X: vectors, shape (n, dim).
            y: labels of any kind, shape (n,).
            groups: the subject of each row, shape (n,), by which the inner folds are made; None if each row
                is another subject.
            unknown: not allowed, e.g. sample_weight.

        Raises:
            TypeError: there are further arguments.
            EngineError: the solver is cuML, and it is not installed or finds no GPU.
        """
        solver_facts(self.solver)  # raises before anything is computed
        X, y, groups = self._begin(X, y, groups, unknown)
        codes = np.searchsorted(self.classes_, y)
        n_classes = len(self.classes_)
        with one_blas_thread():
            scaled, kernel = self._prepare(X)
            inner = []
            try:
                inner = subject_exclusive_folds(codes, groups, n_folds=INNER_FOLDS, seed=self._seed)
            except FoldError:
                why = _why_uncalibrated(y, groups)
                self.summary_["notes"].append(f"The probabilities are not calibrated, because {why}.")

            features = scaled if kernel is None else kernel

            def learn(rows: NDArray[np.intp]) -> Machine:
                if self.is_linear_ or len(self.landmarks_):
                    signs = class_signs(codes[rows], n_classes)
                    return fit_linear(features[rows], signs, self.summary_["C"])
                own, gamma = features, self.gamma if kernel is None else None
                if len(rows) < len(features):  # otherwise the matrix need not be copied
                    own = features[rows] if kernel is None else kernel[np.ix_(rows, rows)]
                pairs = fit_pairs(own, codes[rows], C=self.C, gamma=gamma, solver=self.solver)
                return pairs._replace(rows=rows[pairs.rows])

            machine, *others = Parallel(n_jobs=self._threads, require="sharedmem")(
                delayed(learn)(rows) for rows in (np.arange(len(X)), *(fold.train for fold in inner))
            )
            self.calibration_ = _plain_scores(n_classes, machine.weights.shape[1])
            self.calibration_intercept_ = np.zeros(n_classes)
            if inner:
                held_out = np.empty((len(X), machine.weights.shape[1]))
                for fold, other in zip(inner, others, strict=True):
                    for start in range(0, len(fold.test), TILE):
                        rows = fold.test[start : start + TILE]
                        held_out[rows] = _decisions(other, scaled, kernel, rows, self.gamma)
                self._calibrate(held_out, codes)
            self._keep(machine, X)
        how = f"multinomial logistic regression on {INNER_FOLDS} inner subject-exclusive folds"
        self.summary_ |= {"class_weight": None, "calibration": how if inner else "none"}
        return self

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return the probability of each class of classes_, shape (n, n_classes)."""
        scores = self._decide(self._asked(X)) @ self.calibration_.T + self.calibration_intercept_
        return np.asarray(softmax(scores, axis=1))

    def _trial(self, y: NDArray[np.intp], fold: Fold, *, is_linear: bool) -> tuple[Fold, Trial]:
        # In the order of the classes, in which libsvm reads the kernel: the rows of a class are adjacent.
        ordered = Fold(fold.train[np.argsort(y[fold.train], kind="stable")], fold.test)
        classes, codes = np.unique(y[ordered.train], return_inverse=True)

        def try_out(train: NDArray[np.float64], test: NDArray[np.float64], cost: float) -> float:
            if is_linear:
                machine = fit_linear(train, class_signs(codes, len(classes)), self._linear_cost(cost))
                decisions = test @ machine.weights + machine.intercept
                said = decisions[:, 0] > 0 if len(classes) == 2 else decisions.argmax(axis=1)
            else:
                pairs = fit_pairs(train, codes, C=cost, solver=self.solver)
                said = votes(test[:, pairs.rows] @ pairs.weights + pairs.intercept, len(classes))
            return held_out_score(y[fold.test], classes[said.astype(np.intp)])

        return ordered, try_out

    def _calibrate(self, decisions: NDArray[np.float64], codes: NDArray[np.intp]) -> None:
        """Learn the scores of the classes from the decision values of held-out faces."""
        logistic = LogisticRegression(C=1.0, max_iter=2000, tol=1e-5).fit(decisions, codes)
        if len(logistic.coef_) == 1:  # of two classes, scikit-learn only has the score of the second
            self.calibration_ = np.vstack([np.zeros_like(logistic.coef_), logistic.coef_])
            self.calibration_intercept_ = np.append(0.0, logistic.intercept_)
        else:
            self.calibration_, self.calibration_intercept_ = logistic.coef_, logistic.intercept_


def _decisions(
    machine: Machine,
    scaled: NDArray[np.float64],
    kernel: NDArray[np.float64] | None,
    rows: NDArray[np.intp],
    gamma: float,
) -> NDArray[np.float64]:
    """Return the decision values of rows of the training part."""
    if machine.rows is None:  # linear, perhaps on an approximated kernel
        features = scaled[rows] if kernel is None else kernel[rows]
    elif kernel is not None:
        features = kernel[np.ix_(rows, machine.rows)]
    else:
        features = rbf_kernel(scaled[rows], scaled[machine.rows], gamma)
    return features @ machine.weights + machine.intercept


def _plain_scores(n_classes: int, n_outputs: int) -> NDArray[np.float64]:
    """Return the weights of the decision values in the scores of the classes if they cannot be learned.

    The score of a class is twice the mean of the decisions for it; 2 is Platt's usual slope.
    """
    if n_outputs == 1:
        return np.array([[-1.0], [1.0]])
    if n_outputs == n_classes and n_classes > 3:
        return 2 * np.eye(n_classes)
    scores = np.zeros((n_classes, n_outputs))
    for pair, (i, j) in enumerate(combinations(range(n_classes), 2)):
        scores[i, pair], scores[j, pair] = 2 / (n_classes - 1), -2 / (n_classes - 1)
    return scores


def _why_uncalibrated(y: NDArray[Any], groups: NDArray[Any]) -> str:
    """Return why inner folds cannot be made; a class is named only if its labels are names."""
    if len(np.unique(groups)) < INNER_FOLDS:
        return f"there are fewer than {INNER_FOLDS} training subjects"
    if y.dtype.kind not in "OU":
        return "too few training subjects have one of the classes"
    fewest = min(np.unique(y), key=lambda label: len(np.unique(groups[y == label])))
    return f"too few training subjects have class {fewest}"
