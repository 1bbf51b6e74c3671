"""A support vector machine with an RBF kernel.

Three things differ from scikit-learn's SVC on raw vectors.

- The kernel matrix is computed once, by matrix products, and shared by the fit and
  by the inner folds that the probabilities come from: that is many times faster.
- Each part of a joined vector is brought to length 1 and all weigh the same. The
  kernel is the mean of the RBF kernel of the whole vector, for which two faces are
  alike if they are in every part, and of the parts' own, for which one part is enough.
- The probabilities are a multinomial logistic regression on the decision values of
  all pairs of classes, learned on inner folds that share no subject. It keeps what
  the votes of the pairs throw away: its argmax is at least as often right, and log
  loss is far lower. With few faces the gain is largest.

Class weights are not balanced: measured on UTKFace's age groups, that changes nothing
after the calibration, and costs the votes 7 points of exact accuracy.
What is kept of a fit is plain arrays, and reading a face is a few matrix products.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import combinations
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from featurekit.classifiers import Classifier, classifier
from featurekit.classifiers._estimator import (
    Estimator,
    block_scaling,
    learn_years,
    one_blas_thread,
    softmax,
    to_years,
    unit_lengths,
)
from featurekit.errors import FoldError
from featurekit.folds import subject_exclusive_folds
from featurekit.manifest import Target

TILE = 2048  # rows and columns of one matrix product; fixed, so that the bits do not depend on the threads
INNER_FOLDS = 3


class Machine(NamedTuple):
    """A fitted machine: decision values are kernel(x, rows) @ weights + intercept.

    Attributes:
        rows: row numbers of the support vectors, shape (n_support,); None for a linear machine, whose
            decision values are x @ weights + intercept.
        weights: shape (n_support, n_outputs) or (dim, n_outputs).
        intercept: shape (n_outputs,).
    """

    rows: NDArray[np.intp] | None
    weights: NDArray[np.float64]
    intercept: NDArray[np.float64]


@dataclass(eq=False, kw_only=True)
class _KernelMachine(Estimator):
    """What the classifier and the regressor share: scaling, kernel, decision values.

    Attributes:
        C: how much an error costs.
        gamma: width of the kernel exp(-gamma · squared distance), where the distances are of vectors
            scaled to a total variance of 1 (scikit-learn's "scale" is 1).
        linear_cost: the same cost for the linear machine.
        gram_up_to: rows up to which the kernel matrix is kept in memory; above, libsvm computes its
            own, of the whole vector only.
        linear_above: rows above which the machine is linear, because an RBF kernel would take days.
    """

    C: float
    gamma: float = 1.0
    linear_cost: float = 1.0
    gram_up_to: int = 20_000
    linear_above: int = 35_000

    def _prepare(self, X: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
        """Learn the scaling; return the scaled vectors and, where it is used, the kernel matrix."""
        self.column_mean_, self.column_factor_ = block_scaling(
            unit_lengths(X, self.feature_blocks), self.feature_blocks
        )
        self.is_linear_ = len(X) > self.linear_above
        self.summary_: dict[str, Any] = {
            "kernel": "linear" if self.is_linear_ else "rbf",
            "C": self.linear_cost if self.is_linear_ else self.C,
            "notes": [],
        }
        if self.is_linear_:
            self.summary_["notes"].append(
                f"Linear kernel instead of RBF: {len(X):,} training faces are more than"
                f" {self.linear_above:,}."
            )
        else:
            self.summary_["gamma"] = self.gamma
        scaled = self._scale(X)
        # libsvm's own kernel knows no parts.
        self.parts_ = self.feature_blocks if len(X) <= self.gram_up_to else None
        if self.is_linear_ or len(X) > self.gram_up_to:
            return scaled, None
        return scaled, rbf_kernel(scaled, None, self.gamma, self.parts_, threads=self.threads)

    def _scale(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        # In double precision: distances are differences of large numbers.
        scaled: NDArray[np.float64] = unit_lengths(X, self.feature_blocks).astype(np.float64)
        scaled -= self.column_mean_
        scaled *= self.column_factor_
        return scaled

    def _keep(self, machine: Machine, X: NDArray[np.float32]) -> None:
        """Keep what reading a face needs."""
        self.weights_, self.intercept_ = machine.weights, machine.intercept
        self.support_vectors_ = X[:0].copy() if machine.rows is None else X[machine.rows]
        self.summary_["support_vectors"] = len(self.support_vectors_)

    def _decide(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return decision values of vectors, shape (n, n_outputs)."""
        with one_blas_thread():
            scaled = self._scale(X)
            if not self.is_linear_:
                support = self._scale(self.support_vectors_)
                scaled = rbf_kernel(scaled, support, self.gamma, self.parts_, threads=self.threads)
            decisions: NDArray[np.float64] = scaled @ self.weights_ + self.intercept_
        return decisions


@dataclass(eq=False, kw_only=True)
class SVM(_KernelMachine):
    """A support vector classifier with probabilities.

    Attributes:
        C: how much an error costs.
        classes_: class numbers seen in training, increasing.
        calibration_: weights of the decision values in each class's score, shape (n_classes, n_outputs).
        calibration_intercept_: shape (n_classes,).
    """

    C: float = 2.0

    def fit(self, X: NDArray[np.float32], y: NDArray[np.intp], *, groups: NDArray[np.str_]) -> Self:
        """Learn scaling, machine and probabilities from vectors, class numbers and persons."""
        self.classes_, codes = np.unique(y, return_inverse=True)
        n_classes = len(self.classes_)
        with one_blas_thread():
            scaled, kernel = self._prepare(X)
            inner = []
            try:
                inner = subject_exclusive_folds(codes, groups, n_folds=INNER_FOLDS, seed=self.seed)
            except FoldError as error:
                self.summary_["notes"].append(f"The probabilities are not calibrated. {error}")

            def learn(rows: NDArray[np.intp]) -> Machine:
                if self.is_linear_:
                    signs = np.where(codes[rows, None] == np.arange(n_classes), 1.0, -1.0)
                    return fit_linear(
                        scaled[rows], signs[:, -1:] if n_classes == 2 else signs, self.linear_cost
                    )
                return self._learn_pairs(scaled, kernel, codes, rows)

            with ThreadPoolExecutor(self.threads) as pool:
                machine, *others = pool.map(learn, [np.arange(len(X)), *(fold.train for fold in inner)])
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
        self.summary_["class_weight"] = None
        self.summary_["calibration"] = (
            f"multinomial logistic regression on {INNER_FOLDS} inner subject-exclusive folds"
            if inner
            else "none"
        )
        return self

    def predict_proba(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the probability of each class of classes_, shape (n, n_classes)."""
        return softmax(self._decide(X) @ self.calibration_.T + self.calibration_intercept_)

    def predict(self, X: NDArray[np.float32]) -> NDArray[np.intp]:
        """Return the most probable class number of each row, shape (n,)."""
        numbers: NDArray[np.intp] = self.classes_[self.predict_proba(X).argmax(axis=1)]
        return numbers

    def _learn_pairs(
        self,
        scaled: NDArray[np.float64],
        kernel: NDArray[np.float64] | None,
        codes: NDArray[np.intp],
        rows: NDArray[np.intp],
    ) -> Machine:
        """Fit one machine for each pair of classes."""
        from sklearn.svm import SVC

        svc = SVC(C=self.C, kernel="rbf", gamma=self.gamma, cache_size=500)
        svc.set_params(**({} if kernel is None else {"kernel": "precomputed"}))
        svc.fit(_among(rows, scaled, kernel), codes[rows])
        return Machine(rows[svc.support_], pair_weights(svc.dual_coef_, svc.n_support_), svc.intercept_)

    def _calibrate(self, decisions: NDArray[np.float64], codes: NDArray[np.intp]) -> None:
        """Learn the scores of the classes from decision values of faces that were held out."""
        from sklearn.linear_model import LogisticRegression

        logistic = LogisticRegression(C=1.0, max_iter=2000, tol=1e-5).fit(decisions, codes)
        if len(logistic.coef_) == 1:  # of two classes, scikit-learn gives the second's score alone
            self.calibration_ = np.vstack([np.zeros_like(logistic.coef_), logistic.coef_])
            self.calibration_intercept_ = np.append(0.0, logistic.intercept_)
        else:
            self.calibration_, self.calibration_intercept_ = logistic.coef_, logistic.intercept_


@dataclass(eq=False, kw_only=True)
class SVMRegressor(_KernelMachine):
    """A support vector regressor for years.

    It learns square roots of the years. Its answer is a median, which stays one when it is squared again.

    Attributes:
        C: how much an error costs, for roots scaled to a variance of 1.
        epsilon: error that costs nothing, in the same unit.
        center_, unit_: mean and standard deviation of the roots learned from.
    """

    C: float = 1.0
    epsilon: float = 0.1

    def fit(self, X: NDArray[np.float32], y: NDArray[np.float64], *, groups: NDArray[np.str_]) -> Self:
        """Learn scaling and machine from vectors and years."""
        targets, self.center_, self.unit_ = learn_years(y)
        with one_blas_thread():
            scaled, kernel = self._prepare(X)
            if self.is_linear_:
                machine = fit_linear(scaled, targets[:, None], self.linear_cost, epsilon=self.epsilon)
            else:
                machine = self._learn_years(scaled, kernel, targets)
        self._keep(machine, X)
        return self

    def predict(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the years of each row, shape (n,)."""
        return to_years(self._decide(X)[:, 0], self.center_, self.unit_)

    def _learn_years(
        self, scaled: NDArray[np.float64], kernel: NDArray[np.float64] | None, targets: NDArray[np.float64]
    ) -> Machine:
        from sklearn.svm import SVR

        svr = SVR(C=self.C, epsilon=self.epsilon, kernel="rbf", gamma=self.gamma, cache_size=500)
        svr.set_params(**({} if kernel is None else {"kernel": "precomputed"}))
        svr.fit(scaled if kernel is None else kernel, targets)
        return Machine(np.asarray(svr.support_, np.intp), svr.dual_coef_.T, svr.intercept_)


def rbf_kernel(
    first: NDArray[np.float64],
    second: NDArray[np.float64] | None,
    gamma: float,
    parts: tuple[int, ...] | None = None,
    *,
    threads: int = 1,
) -> NDArray[np.float64]:
    """Return the kernel of all rows of two matrices, shape (n_a, n_b).

    Tiles of a fixed size, each computed on one thread: the bits do not depend on the threads.

    Args:
        first: scaled vectors, shape (n_a, dim).
        second: the same, shape (n_b, dim); None stands for the first.
        gamma: width of exp(-gamma · |a - b|²).
        parts: lengths of the parts of the vectors. With several, the kernel is the mean of that of the
            whole vectors and of the parts' mean, where a part's distances count as if they were the whole's.
        threads: how many tiles at once.
    """
    same = second is None
    second = first if second is None else second
    kernel = np.empty((len(first), len(second)))
    ends = np.cumsum(parts or (first.shape[1],))
    columns_of = [slice(end - length, end) for end, length in zip(ends, parts or ends, strict=True)]
    norms_a, norms_b = (
        np.stack([np.einsum("ij,ij->i", matrix[:, part], matrix[:, part]) for part in columns_of])
        for matrix in (first, second)
    )

    def fill(corner: tuple[int, int]) -> None:
        rows, columns = slice(corner[0], corner[0] + TILE), slice(corner[1], corner[1] + TILE)
        distance = own = np.zeros(1)
        for number, part in enumerate(columns_of):
            tile = first[rows, part] @ second[columns, part].T
            tile *= -2
            tile += norms_a[number, rows, None]
            tile += norms_b[number, None, columns]
            np.maximum(tile, 0, out=tile)  # rounding can make a distance of 0 negative
            distance = distance + tile
            if len(columns_of) > 1:
                tile *= -gamma * len(columns_of)
                own = own + np.exp(tile, out=tile)
        distance *= -gamma
        tile = np.exp(distance, out=distance)
        if len(columns_of) > 1:
            tile = (tile + own / len(columns_of)) / 2
        kernel[rows, columns] = tile
        if same:
            kernel[columns, rows] = tile.T

    corners = [
        (i, j) for i in range(0, len(first), TILE) for j in range(0, len(second), TILE) if not same or j >= i
    ]
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(fill, corners))
    if same:
        np.fill_diagonal(kernel, 1.0)
    return kernel


def pair_weights(dual: NDArray[np.float64], n_support: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return libsvm's dual coefficients as one column a pair of classes, shape (n_support, n_pairs).

    Args:
        dual: SVC.dual_coef_, shape (n_classes - 1, n_support): the support vectors stand class by
            class, and a vector of class i has its weight against class j in row j, or j - 1 for j > i.
        n_support: support vectors of each class, shape (n_classes,).
    """
    n_classes = len(n_support)
    if n_classes == 2:
        return dual.T.copy()
    ends = np.concatenate([[0], np.cumsum(n_support)])
    of_class = [slice(ends[i], ends[i + 1]) for i in range(n_classes)]
    weights = np.zeros((dual.shape[1], n_classes * (n_classes - 1) // 2))
    for pair, (i, j) in enumerate(combinations(range(n_classes), 2)):
        weights[of_class[i], pair] = dual[j - 1, of_class[i]]
        weights[of_class[j], pair] = dual[i, of_class[j]]
    return weights


def fit_linear(
    scaled: NDArray[np.float64], targets: NDArray[np.float64], cost: float, *, epsilon: float | None = None
) -> Machine:
    """Fit linear machines, one an output, all at once: |w|² / 2 + cost · sum of squared losses.

    The problems are those of scikit-learn's LinearSVC and LinearSVR with squared losses; solved by L-BFGS
    with matrix products, because liblinear copies dense vectors into a sparse form and takes far longer.

    Args:
        scaled: scaled vectors, shape (n, dim).
        targets: signs ±1, or numbers, shape (n, n_outputs).
        cost: how much an error costs.
        epsilon: for numbers, the error that costs nothing; None for signs (hinge loss).
    """
    from scipy.optimize import minimize

    n_outputs, dim = targets.shape[1], scaled.shape[1]

    def loss_and_slope(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        weights = flat.reshape(dim + 1, n_outputs)
        decisions = scaled @ weights[:-1] + weights[-1]
        if epsilon is None:
            error = -targets * np.maximum(1 - targets * decisions, 0)
        else:
            off = decisions - targets
            error = np.sign(off) * np.maximum(np.abs(off) - epsilon, 0)
        slope = np.vstack([weights[:-1] + 2 * cost * (scaled.T @ error), 2 * cost * error.sum(axis=0)])
        return float(0.5 * (weights[:-1] ** 2).sum() + cost * (error**2).sum()), slope.ravel()

    start = np.zeros((dim + 1) * n_outputs)
    found = minimize(
        loss_and_slope, start, jac=True, method="L-BFGS-B", options={"maxiter": 500, "gtol": 1e-4}
    )
    weights = found.x.reshape(dim + 1, n_outputs)
    return Machine(None, weights[:-1].copy(), weights[-1].copy())


def _among(
    rows: NDArray[np.intp], scaled: NDArray[np.float64], kernel: NDArray[np.float64] | None
) -> NDArray[np.float64]:
    """Return what libsvm learns from: the rows' kernel matrix, or their vectors; not copied for all rows."""
    if len(rows) == len(scaled):
        return scaled if kernel is None else kernel
    return scaled[rows] if kernel is None else kernel[np.ix_(rows, rows)]


def _decisions(
    machine: Machine,
    scaled: NDArray[np.float64],
    kernel: NDArray[np.float64] | None,
    rows: NDArray[np.intp],
    gamma: float,
) -> NDArray[np.float64]:
    """Return the decision values of rows of the training part."""
    if machine.rows is None:
        features = scaled[rows]
    elif kernel is not None:
        features = kernel[np.ix_(rows, machine.rows)]
    else:
        features = rbf_kernel(scaled[rows], scaled[machine.rows], gamma)
    decisions: NDArray[np.float64] = features @ machine.weights + machine.intercept
    return decisions


def _plain_scores(n_classes: int, n_outputs: int) -> NDArray[np.float64]:
    """Return the weights of decision values in the classes' scores where nothing could be learned.

    A class's score is the mean decision for it, doubled: Platt's usual slope.
    """
    if n_outputs == 1:
        return np.array([[-1.0], [1.0]])
    if n_outputs == n_classes and n_classes > 3:
        return 2 * np.eye(n_classes)
    scores = np.zeros((n_classes, n_outputs))
    for pair, (i, j) in enumerate(combinations(range(n_classes), 2)):
        scores[i, pair], scores[j, pair] = 2 / (n_classes - 1), -2 / (n_classes - 1)
    return scores


@classifier("svm", about="support vector machine with an RBF kernel; linear above 35,000 training faces")
def make_svm(target: Target, seed: int, threads: int) -> Classifier:
    """Return an SVM, or for years a support vector regressor."""
    machine: Any = SVMRegressor if target.is_regression else SVM
    made: Classifier = machine(seed=seed, threads=threads)
    return made
