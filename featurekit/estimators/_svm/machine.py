"""What the classifier and the regressor share: scaling, kernel, decision values, search."""

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any, ClassVar, Self, get_args

import numpy as np
from numpy.typing import NDArray

from featurekit.data.splits import Fold
from featurekit.estimators import Resources
from featurekit.estimators._estimator import Estimator
from featurekit.estimators._parameters import Allowed, Within
from featurekit.estimators._scaling import block_scaling, unit_lengths
from featurekit.estimators._svm.kernels import (
    Distances,
    libsvm_bytes,
    matrix_bytes,
    over_kernels,
    rbf_kernel,
    search_bytes,
)
from featurekit.estimators._svm.linear import Machine
from featurekit.estimators._svm.on_gpu import Solver, solver_facts
from featurekit.estimators._threads import one_blas_thread
from featurekit.networks.engines import available_memory

INNER_FOLDS = 3
# Kernel, or vectors, of the rows learned from and of those held out, and a cost → score.
Trial = Callable[[NDArray[np.float64], NDArray[np.float64], float], float]
LANDMARKS = 2000  # faces that an approximated kernel is made from


@dataclass(eq=False, repr=False, kw_only=True)
class KernelMachine(Estimator):
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

    def use(self, resources: Resources) -> Self:
        """Take threads and memory."""
        if resources.memory is not None:
            self.memory_limit = resources.memory
        return super().use(resources)

    def bytes_needed(self, n_rows: int, *, searching: bool) -> int:
        """Return how much memory the kernel matrices of a fit, or a search, on so many rows take."""
        if n_rows > self.gram_up_to:
            return 0
        if searching:
            return self._search_bytes(n_rows, self._threads)
        # The whole matrix, and for each thread that of an inner training part.
        inner = (INNER_FOLDS - 1) / INNER_FOLDS
        threads = self._threads
        return int(matrix_bytes(n_rows) * (1 + threads * inner**2)) + threads * libsvm_bytes(n_rows)

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
        X, y = self._search_inputs(X, y)
        is_linear = len(X) > self.linear_above
        spare = self._memory_limit() - self._search_bytes(len(X), 1)
        if any(set(candidate) - {"C", "gamma"} for candidate in candidates) or (
            not is_linear and (len(X) > self.gram_up_to or spare < 0)
        ):
            return None
        tried = [
            (one.get("C", self.C), 0.0 if is_linear else one.get("gamma", self.gamma)) for one in candidates
        ]
        scores = np.empty((len(candidates), len(folds)))
        for number, fold in enumerate(folds):
            # What scales the vectors is learned from the fold's own training part.
            machine = copy(self)
            machine._draw_seed()
            with one_blas_thread():
                machine._learn_scaling(X[fold.train])
                machine._try_out(X, y, fold, tried, scores[:, number], is_linear=is_linear, spare=spare)
        return scores

    def _try_out(
        self,
        X: NDArray[np.float32],
        y: NDArray[Any],
        fold: Fold,
        tried: Sequence[tuple[float, float]],
        scores: NDArray[np.float64],
        *,
        is_linear: bool,
        spare: int,
    ) -> None:
        """Fill in the score of every C and gamma on one fold, whose scaling has been learned."""
        scaled = self._scale(X)
        ordered, score = self._trial(y, fold, is_linear=is_linear)
        gammas = list(dict.fromkeys(gamma for _, gamma in tried))

        def learn(_: int, g: int, train: NDArray[np.float64], test: NDArray[np.float64]) -> None:
            found = {cost: score(train, test, cost) for cost, gamma in tried if gamma == gammas[g]}
            for i, (cost, gamma) in enumerate(tried):
                if gamma == gammas[g]:
                    scores[i] = found[cost]

        if is_linear:
            learn(0, 0, scaled[ordered.train], scaled[ordered.test])
            return
        more = spare // (self._search_bytes(len(X), 2) - self._search_bytes(len(X), 1))
        distances = Distances(scaled, self.feature_blocks, threads=self._threads)
        over_kernels(distances, [ordered], gammas, learn, threads=min(self._threads, 1 + more))

    def _search_bytes(self, n_rows: int, threads: int) -> int:
        return search_bytes(n_rows, max(len(self.feature_blocks or ()), 1), threads)

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
                f"A linear kernel was used instead of RBF, because {len(X):,} training faces are more than"
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
        return scaled, rbf_kernel(scaled, None, self.gamma, self.parts_, threads=self._threads)

    def _say_linear(self, reason: str) -> None:
        """Note why the machine is linear, and what solves it."""
        if self.solver == "cuml":
            reason += " The linear SVM is solved on the CPU, not by cuML."
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
        chosen = np.random.default_rng(self._seed).choice(len(scaled), n_landmarks, replace=False)
        self.landmarks_ = np.sort(chosen)
        landmarks = scaled[self.landmarks_]
        values, axes = np.linalg.eigh(rbf_kernel(landmarks, None, self.gamma, self.parts_))
        self._turn = axes / np.sqrt(np.maximum(values, 1e-12)) @ axes.T
        self.summary_["kernel"] = f"rbf, approximated from {n_landmarks} faces"
        self._say_linear(
            f"The kernel was approximated from {n_landmarks:,} faces (Nystroem), with a linear SVM on it,"
            f" because the kernel matrix of {len(scaled):,} training faces"
            f" ({matrix_bytes(len(scaled)) / 1000000000.0:.1f} GB) needs more memory than is allowed."
        )
        nearness = rbf_kernel(scaled, landmarks, self.gamma, self.parts_, threads=self._threads)
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
                scaled = rbf_kernel(scaled, support, self.gamma, self.parts_, threads=self._threads)
            decisions: NDArray[np.float64] = scaled @ self.weights_ + self.intercept_
        return decisions
