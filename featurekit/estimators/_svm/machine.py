"""What the classifier and the regressor share: scaling, kernel, decision values, search."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, get_args

import numpy as np
from numpy.typing import NDArray

from featurekit.data.splits import Fold
from featurekit.estimators._estimator import FoldSearch
from featurekit.estimators._parameters import Allowed, Within
from featurekit.estimators._scaling import block_scaling, unit_lengths
from featurekit.estimators._svm.kernels import (
    Distances,
    libsvm_bytes,
    matrix_bytes,
    over_kernels,
    rbf_kernel,
)
from featurekit.estimators._svm.solvers import Machine, Solver, solver_facts
from featurekit.networks.engines import available_memory
from featurekit.threads import one_blas_thread

INNER_FOLDS = 3
# (kernel or vectors of the training rows, the same of the held-out rows, cost) → score.
Trial = Callable[[NDArray[np.float64], NDArray[np.float64], float], float]
LANDMARKS = 2000  # number of faces from which a kernel is approximated


@dataclass(eq=False, repr=False, kw_only=True)
class KernelMachine(FoldSearch):
    """What the classifier and the regressor share: scaling, kernel, decision values, search.

    Attributes:
        C: cost of an error.
        gamma: width of the kernel exp(-gamma · squared distance) of vectors that are scaled to a total
            variance of 1 (scikit-learn's "scale" is 1).
        linear_cost: cost of an error for the linear machine if C is the default; it grows with C.
        gram_up_to: number of rows up to which the kernel matrix is kept in memory. With more rows, libsvm
            computes its own kernel, of the whole vectors only.
        linear_above: number of rows above which the machine is linear, because an RBF kernel takes days.
        memory_limit: bytes that kernel matrices may take. If they need more, the kernel is approximated.
            None for half of the free memory.
        solver: the solver of a machine with a kernel: "libsvm", or "cuml" on a GPU. A linear machine, also
            on an approximated kernel, is always solved on the CPU.
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
        """Return the bytes that the kernel matrices of a fit, or a search, on n_rows take."""
        threads = self._threads
        if n_rows > self.gram_up_to:
            return 0
        if searching:
            return self._search_bytes(n_rows, threads)
        # The whole matrix, and for each thread the matrix of an inner training part.
        n_matrices = 1 + threads * ((INNER_FOLDS - 1) / INNER_FOLDS) ** 2
        return int(matrix_bytes(n_rows) * n_matrices) + threads * libsvm_bytes(n_rows)

    def _can_share(self, X: NDArray[np.float32], candidates: Sequence[Mapping[str, Any]]) -> bool:
        """Return whether only C and gamma vary, and the kernel matrix fits into memory where one is needed.

        Raises:
            EngineError: the solver is cuML, and it is not installed or finds no GPU.
        """
        solver_facts(self.solver)
        if any(set(candidate) - {"C", "gamma"} for candidate in candidates):
            return False
        fits = len(X) <= self.gram_up_to and self._search_bytes(len(X), 1) <= self._memory_limit()
        return len(X) > self.linear_above or fits

    def _fold_scores(
        self, X: NDArray[np.float32], y: NDArray[Any], fold: Fold, candidates: Sequence[Mapping[str, Any]]
    ) -> Sequence[float]:
        """Compute one matrix of distances for all candidates.

        A classifier is scored by the votes of its pairs. If it will be linear, it is scored by its linear
        machine, which has no gamma.
        """
        is_linear = len(X) > self.linear_above
        tried = [
            (one.get("C", self.C), 0.0 if is_linear else one.get("gamma", self.gamma)) for one in candidates
        ]
        scores: dict[tuple[float, float], float] = {}
        with one_blas_thread():
            self._learn_scaling(X[fold.train])
            scaled = self._scale(X)
            ordered, score = self._trial(y, fold, is_linear=is_linear)

            def learn(gamma: float, train: NDArray[np.float64], test: NDArray[np.float64]) -> None:
                scores.update({one: score(train, test, one[0]) for one in tried if one[1] == gamma})

            if is_linear:
                learn(0.0, scaled[ordered.train], scaled[ordered.test])
            else:
                once, twice = (self._search_bytes(len(X), threads) for threads in (1, 2))
                threads = min(self._threads, 1 + (self._memory_limit() - once) // (twice - once))
                distances = Distances(scaled, self.feature_blocks, threads=self._threads)
                over_kernels(distances, ordered, sorted({one[1] for one in tried}), learn, threads=threads)
        return [scores[one] for one in tried]

    def _search_bytes(self, n_rows: int, threads: int) -> int:
        """Return the bytes of the distances of each part, a kernel for each thread, and libsvm's caches."""
        return (
            matrix_bytes(n_rows) * (max(len(self.feature_blocks or ()), 1) + threads)
            + libsvm_bytes(n_rows) * threads
        )

    def _trial(self, y: NDArray[Any], fold: Fold, *, is_linear: bool) -> tuple[Fold, Trial]:
        """Return the fold with its rows in the order of the kernels, and a function that scores a cost."""
        raise NotImplementedError

    def _learn_scaling(self, X: NDArray[np.float32]) -> None:
        self.column_mean_, self.column_factor_ = block_scaling(
            unit_lengths(X, self.feature_blocks), self.feature_blocks
        )

    def _prepare(self, X: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
        """Learn the scaling; return the scaled vectors and the kernel matrix; None if none is used."""
        self.is_linear_ = len(X) > self.linear_above
        self.summary_: dict[str, Any] = {
            "kernel": "linear" if self.is_linear_ else "rbf",
            "C": self._linear_cost(self.C) if self.is_linear_ else self.C,
            **solver_facts(self.solver),
            "notes": [],
        }
        self._learn_scaling(X)
        if self.is_linear_:
            self._say_linear(
                f"A linear kernel was used instead of RBF, because {len(X):,} training faces are more than"
                f" {self.linear_above:,}."
            )
        else:
            self.summary_["gamma"] = self.gamma
        scaled = self._scale(X)
        # libsvm's own kernel does not support parts.
        self.parts_ = self.feature_blocks if len(X) <= self.gram_up_to else None
        self.landmarks_ = np.zeros(0, np.intp)
        if self.is_linear_ or len(X) > self.gram_up_to:
            return scaled, None
        # The matrix, and once more its size for the parts of it that inner folds learn from. Threads need
        # more, but are not counted, because what is learned must not depend on them.
        if 2 * matrix_bytes(len(X)) > self._memory_limit():
            return scaled, self._approximate(scaled)
        return scaled, rbf_kernel(scaled, None, self.gamma, self.parts_, threads=self._threads)

    def _say_linear(self, reason: str) -> None:
        """Add to the summary why the machine is linear, and its solver."""
        if self.solver == "cuml":
            reason += " The linear SVM is solved on the CPU, not by cuML."
            del self.summary_["cuml"]
        self.summary_["solver"] = "L-BFGS"
        self.summary_["notes"].append(reason)

    def _memory_limit(self) -> int:
        return available_memory() // 2 if self.memory_limit is None else self.memory_limit

    def _approximate(self, scaled: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return Nystroem's features of the rows for a linear machine, shape (n, n_landmarks).

        They are the kernel with a few faces, the landmarks, rotated so that the product of two rows is nearly
        their kernel. (scikit-learn's Nystroem does not support a kernel that is a mean of several.)
        """
        n_landmarks = min(LANDMARKS, len(scaled))
        self.landmarks_ = np.sort(
            np.random.default_rng(self._seed).choice(len(scaled), n_landmarks, replace=False)
        )
        landmarks = scaled[self.landmarks_]
        values, axes = np.linalg.eigh(rbf_kernel(landmarks, None, self.gamma, self.parts_))
        self._turn = axes / np.sqrt(np.maximum(values, 1e-12)) @ axes.T
        self.summary_["kernel"] = f"rbf, approximated from {n_landmarks} faces"
        self._say_linear(
            f"The kernel was approximated from {n_landmarks:,} faces (Nystroem), with a linear SVM on it,"
            f" because the kernel matrix of {len(scaled):,} training faces"
            f" ({matrix_bytes(len(scaled)) / 1e9:.1f} GB) needs more memory than is allowed."
        )
        return np.asarray(
            rbf_kernel(scaled, landmarks, self.gamma, self.parts_, threads=self._threads) @ self._turn
        )

    def _linear_cost(self, C: float) -> float:  # noqa: N803  # its name everywhere
        return self.linear_cost * C / type(self).C

    def _scale(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        # In double precision, because distances are differences of large numbers.
        scaled = unit_lengths(X, self.feature_blocks).astype(np.float64)
        scaled -= self.column_mean_
        scaled *= self.column_factor_
        return scaled

    def _keep(self, machine: Machine, X: NDArray[np.float32]) -> None:
        """Keep what a prediction needs."""
        if len(self.landmarks_):
            # A linear machine on Nystroem's features is a machine on the kernel with the landmarks.
            machine = Machine(self.landmarks_, self._turn @ machine.weights, machine.intercept)
            del self._turn
        self.weights_, self.intercept_ = machine.weights, machine.intercept
        self.support_vectors_ = X[:0].copy() if machine.rows is None else X[machine.rows]
        self.summary_["support_vectors"] = len(self.support_vectors_)

    def _decide(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return decision values of vectors, shape (n, n_outputs)."""
        with one_blas_thread():
            scaled = self._scale(X)
            if not self.is_linear_:
                support = self._scale(self.support_vectors_)
                scaled = rbf_kernel(scaled, support, self.gamma, self.parts_, threads=self._threads)
            return scaled @ self.weights_ + self.intercept_
