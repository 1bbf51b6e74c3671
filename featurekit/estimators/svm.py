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

Where even one kernel matrix would take more memory than may be used, the kernel is
approximated from a few of the faces (Nystroem) and the machine on it is linear; it is
said in the notes.

Class weights are not balanced: measured on UTKFace's age groups, that changes nothing
after the calibration, and costs the votes 7 points of exact accuracy.
What is kept of a fit is plain arrays, and reading a face is a few matrix products.

svm_cuml is the same machine, of which cuML solves the pairs, or the years, on a GPU. All
else is computed as ever, and what is kept reads faces where there is no GPU.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from dataclasses import dataclass
from itertools import combinations
from typing import Any, ClassVar, NamedTuple, Self, get_args

import numpy as np
from numpy.typing import NDArray

from featurekit.data.splits import Fold, subject_exclusive_folds
from featurekit.data.targets import Target
from featurekit.errors import FoldError
from featurekit.estimators import Classifier, classifier, held_out_score
from featurekit.estimators._estimator import (
    Allowed,
    Estimator,
    Within,
    block_scaling,
    learn_years,
    one_blas_thread,
    softmax,
    to_years,
    unit_lengths,
)
from featurekit.estimators._kernels import (
    CACHE_MB,
    TILE,
    TOLERANCE,
    Distances,
    Solver,
    fit_pairs,
    libsvm_bytes,
    matrix_bytes,
    over_kernels,
    rbf_kernel,
    search_bytes,
    solve_on_gpu,
    solver_facts,
    votes,
)
from featurekit.networks.engines import available_memory

INNER_FOLDS = 3
# Kernel, or vectors, of the rows learned from and of those held out, and a cost → score.
Trial = Callable[[NDArray[np.float64], NDArray[np.float64], float], float]
LANDMARKS = 2000  # faces that an approximated kernel is made from


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
    """What the classifier and the regressor share: scaling, kernel, decision values, search.

    Attributes:
        C: how much an error costs.
        gamma: width of the kernel exp(-gamma · squared distance), where the distances are of vectors
            scaled to a total variance of 1 (scikit-learn's "scale" is 1).
        linear_cost: the cost for the linear machine where C is the default; it grows with C.
        gram_up_to: rows up to which the kernel matrix is kept in memory; above, libsvm computes its
            own, of the whole vector only.
        linear_above: rows above which the machine is linear, because an RBF kernel would take days.
        memory_limit: bytes that kernel matrices may take; above, the kernel is approximated. None for
            half of what is free.
        solver: what solves a machine with a kernel: "libsvm", or "cuml" on a GPU. A linear one, also on
            an approximated kernel, is solved on the CPU in any case.
    """

    allowed: ClassVar[Allowed] = {"C": Within(1e-9), "solver": get_args(Solver)}

    C: float = 1.0
    gamma: float = 1.0
    linear_cost: float = 1.0
    gram_up_to: int = 20_000
    linear_above: int = 35_000
    memory_limit: int | None = None
    solver: Solver = "libsvm"

    def bytes_needed(self, n_rows: int, *, searching: bool) -> int:
        """Return how much memory the kernel matrices of a fit, or a search, on so many rows take."""
        if n_rows > self.gram_up_to:
            return 0
        n_parts = max(len(self.feature_blocks or ()), 1)
        if searching:
            return search_bytes(n_rows, n_parts, self.threads)
        # The whole matrix, and for each thread that of an inner training part.
        inner = (INNER_FOLDS - 1) / INNER_FOLDS
        return int(matrix_bytes(n_rows) * (1 + self.threads * inner**2)) + self.threads * libsvm_bytes(n_rows)

    def search_scores(
        self,
        X: NDArray[np.float32],
        y: NDArray[Any],
        *,
        folds: Sequence[Fold],
        candidates: Sequence[Mapping[str, Any]],
    ) -> NDArray[np.float64] | None:
        """Return the score of every C and gamma on every inner fold from one matrix of distances a fold.

        A classifier is scored by the votes of its pairs; where it will be linear, by its linear machine,
        which has no gamma.

        Returns:
            Shape (n_candidates, n_folds); None where no kernel matrix is kept, or other parameters vary.

        Raises:
            EngineError: the solver is cuML, and it is not here or finds no GPU.
        """
        solver_facts(self.solver)
        is_linear = len(X) > self.linear_above
        n_parts = max(len(self.feature_blocks or ()), 1)
        spare = self._memory_limit() - search_bytes(len(X), n_parts, 1)
        if any(set(candidate) - {"C", "gamma"} for candidate in candidates) or (
            not is_linear and (len(X) > self.gram_up_to or spare < 0)
        ):
            return None
        threads = self.threads
        if not is_linear:
            more = spare // (search_bytes(len(X), n_parts, 2) - search_bytes(len(X), n_parts, 1))
            threads = min(threads, 1 + more)
        tried = [
            (one.get("C", self.C), 0.0 if is_linear else one.get("gamma", self.gamma)) for one in candidates
        ]
        gammas = list(dict.fromkeys(gamma for _, gamma in tried))
        scores = np.empty((len(candidates), len(folds)))
        for number, fold in enumerate(folds):
            # What scales the vectors is learned from the fold's own training part.
            machine = copy(self)
            with one_blas_thread():
                machine._learn_scaling(X[fold.train])
                scaled = machine._scale(X)
                ordered, try_out = machine._trial(y, fold, is_linear=is_linear)

                def learn(
                    _: int,
                    g: int,
                    train: NDArray[np.float64],
                    test: NDArray[np.float64],
                    number: int = number,
                    try_out: Trial = try_out,
                ) -> None:
                    found = {cost: try_out(train, test, cost) for cost, gamma in tried if gamma == gammas[g]}
                    for i, (cost, gamma) in enumerate(tried):
                        if gamma == gammas[g]:
                            scores[i, number] = found[cost]

                if is_linear:
                    learn(0, 0, scaled[ordered.train], scaled[ordered.test])
                    continue
                distances = Distances(scaled, self.feature_blocks, threads=self.threads)
                over_kernels(distances, [ordered], gammas, learn, threads=threads)
                del distances  # before the next fold's are made
        return scores

    def _trial(self, y: NDArray[Any], fold: Fold, *, is_linear: bool) -> tuple[Fold, Trial]:
        """Return the fold in the order its rows are wanted, and what scores a cost on them."""
        raise NotImplementedError

    def _learn_scaling(self, X: NDArray[np.float32]) -> None:
        self.column_mean_, self.column_factor_ = block_scaling(
            unit_lengths(X, self.feature_blocks), self.feature_blocks
        )

    def _prepare(
        self, X: NDArray[np.float32], solver: Mapping[str, str]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
        """Learn the scaling; return the scaled vectors and, where it is used, the kernel matrix.

        Args:
            X: vectors, shape (n, dim).
            solver: what the summary says of the solver.
        """
        self._learn_scaling(X)
        self.is_linear_ = len(X) > self.linear_above
        self.summary_: dict[str, Any] = {
            "kernel": "linear" if self.is_linear_ else "rbf",
            "C": self._linear_cost(self.C) if self.is_linear_ else self.C,
            **solver,
            "notes": [],
        }
        if self.is_linear_:
            self._say_linear(
                f"Linear kernel instead of RBF: {len(X):,} training faces are more than"
                f" {self.linear_above:,}."
            )
        else:
            self.summary_["gamma"] = self.gamma
        scaled = self._scale(X)
        # libsvm's own kernel knows no parts.
        self.parts_ = self.feature_blocks if len(X) <= self.gram_up_to else None
        self.landmarks_ = np.zeros(0, np.intp)
        if self.is_linear_ or len(X) > self.gram_up_to:
            return scaled, None
        # Its own size, and once more for the parts of it that inner folds learn from. Threads, which take
        # more, are not counted: what is learned must not depend on them.
        if 2 * matrix_bytes(len(X)) > self._memory_limit():
            return scaled, self._approximate(scaled)
        return scaled, rbf_kernel(scaled, None, self.gamma, self.parts_, threads=self.threads)

    def _say_linear(self, reason: str) -> None:
        """Note why the machine is linear, and what solves it."""
        if self.solver == "cuml":
            reason += " The linear machine is solved on the CPU, not by cuML."
            del self.summary_["cuml"]
        self.summary_["solver"] = "L-BFGS"
        self.summary_["notes"].append(reason)

    def _memory_limit(self) -> int:
        return available_memory() // 2 if self.memory_limit is None else self.memory_limit

    def _approximate(self, scaled: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what stands for the rows in a linear machine, shape (n, n_landmarks): Nystroem's features.

        They are the kernel with a few faces, the landmarks, turned so that products of two rows are nearly
        their kernel. (scikit-learn's Nystroem knows no kernel that is a mean of several.)
        """
        n_landmarks = min(LANDMARKS, len(scaled))
        chosen = np.random.default_rng(self.seed).choice(len(scaled), n_landmarks, replace=False)
        self.landmarks_ = np.sort(chosen)
        landmarks = scaled[self.landmarks_]
        values, axes = np.linalg.eigh(rbf_kernel(landmarks, None, self.gamma, self.parts_))
        self._turn = axes / np.sqrt(np.maximum(values, 1e-12)) @ axes.T
        self.summary_["kernel"] = f"rbf, approximated from {n_landmarks} faces"
        self._say_linear(
            f"Kernel approximated from {n_landmarks:,} faces (Nystroem), with a linear machine on it: the"
            f" kernel matrix of {len(scaled):,} training faces ({matrix_bytes(len(scaled)) / 1e9:.1f} GB)"
            " takes more memory than it may."
        )
        nearness = rbf_kernel(scaled, landmarks, self.gamma, self.parts_, threads=self.threads)
        features: NDArray[np.float64] = nearness @ self._turn
        return features

    def _linear_cost(self, C: float) -> float:  # noqa: N803  # its name everywhere
        return self.linear_cost * C / type(self).C

    def _with_landmarks(self, machine: Machine) -> Machine:
        """Return a linear machine on approximated features as one on the kernel with the landmarks."""
        weights = self._turn @ machine.weights
        del self._turn
        return Machine(self.landmarks_, weights, machine.intercept)

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
        """Learn scaling, machine and probabilities from vectors, class numbers and persons.

        Raises:
            EngineError: the solver is cuML, and it is not here or finds no GPU.
        """
        solver = solver_facts(self.solver)
        self.classes_, codes = np.unique(y, return_inverse=True)
        n_classes = len(self.classes_)
        with one_blas_thread():
            scaled, kernel = self._prepare(X, solver)
            inner = []
            try:
                inner = subject_exclusive_folds(codes, groups, n_folds=INNER_FOLDS, seed=self.seed)
            except FoldError as error:
                self.summary_["notes"].append(f"The probabilities are not calibrated. {error}")

            def learn(rows: NDArray[np.intp]) -> Machine:
                if self.is_linear_ or len(self.landmarks_):
                    cost = self._linear_cost(self.C) if self.is_linear_ else self.C
                    features = scaled if self.is_linear_ or kernel is None else kernel
                    return fit_linear(features[rows], class_signs(codes[rows], n_classes), cost)
                gamma = self.gamma if kernel is None else None
                among = _among(rows, scaled, kernel)
                pairs = fit_pairs(among, codes[rows], C=self.C, gamma=gamma, solver=self.solver)
                return Machine(rows[pairs.rows], pairs.weights, pairs.intercept)

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
            if len(self.landmarks_):
                machine = self._with_landmarks(machine)
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

    def _trial(self, y: NDArray[np.intp], fold: Fold, *, is_linear: bool) -> tuple[Fold, Trial]:
        # Class by class: libsvm reads the kernel in that order, and finds each pair's rows side by side.
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
        """Learn scaling and machine from vectors and years.

        Raises:
            EngineError: the solver is cuML, and it is not here or finds no GPU.
        """
        solver = solver_facts(self.solver)
        targets, self.center_, self.unit_ = learn_years(y)
        with one_blas_thread():
            scaled, kernel = self._prepare(X, solver)
            if self.is_linear_:
                cost = self._linear_cost(self.C)
                machine = fit_linear(scaled, targets[:, None], cost, epsilon=self.epsilon)
            elif len(self.landmarks_) and kernel is not None:
                linear = fit_linear(kernel, targets[:, None], self.C, epsilon=self.epsilon)
                machine = self._with_landmarks(linear)
            else:
                machine = self._fit_years(
                    scaled if kernel is None else kernel, targets, self.C, on_kernel=kernel is not None
                )
        self._keep(machine, X)
        return self

    def predict(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the years of each row, shape (n,)."""
        return to_years(self._decide(X)[:, 0], self.center_, self.unit_)

    def _trial(self, y: NDArray[np.float64], fold: Fold, *, is_linear: bool) -> tuple[Fold, Trial]:
        targets, center, unit = learn_years(y[fold.train])

        def try_out(train: NDArray[np.float64], test: NDArray[np.float64], cost: float) -> float:
            if is_linear:
                linear_cost = self._linear_cost(cost)
                machine = fit_linear(train, targets[:, None], linear_cost, epsilon=self.epsilon)
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
        from sklearn import config_context
        from sklearn.svm import SVR

        svr = SVR(C=cost, epsilon=self.epsilon, kernel=kind, gamma=self.gamma, cache_size=CACHE_MB)
        with config_context(assume_finite=True):
            svr.fit(features, targets)
        return Machine(np.asarray(svr.support_, np.intp), svr.dual_coef_.T, svr.intercept_)


def class_signs(codes: NDArray[np.intp], n_classes: int) -> NDArray[np.float64]:
    """Return 1 for a row's own class and -1 for the others, shape (n, n_classes); (n, 1) for two classes."""
    signs = np.where(codes[:, None] == np.arange(n_classes), 1.0, -1.0)
    return signs[:, -1:] if n_classes == 2 else signs


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
    if machine.rows is None:  # linear, maybe on an approximated kernel
        features = scaled[rows] if kernel is None else kernel[rows]
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


def grid(target: Target) -> Mapping[str, Sequence[Any]]:
    """Return the machines worth trying, soft and wide ones first."""
    costs = (0.3, 1.0, 3.0) if target.is_regression else (0.5, 2.0, 8.0)
    return {"C": costs, "gamma": (0.25, 0.5, 1.0, 2.0)}


@classifier(
    "svm",
    about="support vector machine with an RBF kernel; linear above 35,000 training faces",
    grid=grid,
)
def make_svm(target: Target, seed: int, threads: int) -> Classifier:
    """Return an SVM, or for years a support vector regressor."""
    return _make(target, seed, threads)


@classifier("svm_cuml", about="the same machine, solved on a GPU by cuML", grid=grid, needs="cuml")
def make_svm_cuml(target: Target, seed: int, threads: int) -> Classifier:
    """Return the SVM, or the regressor, that cuML solves."""
    return _make(target, seed, threads, solver="cuml")


def _make(target: Target, seed: int, threads: int, *, solver: Solver = "libsvm") -> Classifier:
    machine: Any = SVMRegressor if target.is_regression else SVM
    made: Classifier = machine(seed=seed, threads=threads, solver=solver)
    return made
