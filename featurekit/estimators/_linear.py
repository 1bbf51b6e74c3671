"""Linear estimators of scikit-learn whose penalty means the same for few faces and for many."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve
from sklearn.linear_model import LogisticRegression, Ridge

from featurekit.estimators._scikit import Scikit, ScikitClassifier, ScikitRegressor
from featurekit.threads import one_blas_thread


@dataclass(eq=False, repr=False, kw_only=True)
class Linear(Scikit):
    """What the classifier and the regressor share: a penalty alike for few faces and for many.

    Attributes:
        penalty: weight of half the squared coefficients against the mean loss of a face. scikit-learn
            weighs against the sum, so that 300 faces would be penalized thirty times as much as 9,000.
    """

    # Strong by default, because a joined vector is as long as there are training faces.
    penalty: float = 1.0

    def _try_out(
        self,
        candidates: Sequence[Mapping[str, Any]],
        train: NDArray[np.float32],
        targets: NDArray[Any],
        test: NDArray[np.float32],
    ) -> Iterator[tuple[int, NDArray[Any]]]:
        """Try all penalties together, unless another parameter changes too."""
        if any(set(candidate) - {"penalty"} for candidate in candidates):
            return super()._try_out(candidates, train, targets, test)
        penalties = [float(candidate.get("penalty", self.penalty)) for candidate in candidates]
        return self._try_penalties(penalties, train, targets, test)

    def _try_penalties(
        self,
        penalties: Sequence[float],
        train: NDArray[np.float32],
        targets: NDArray[Any],
        test: NDArray[np.float32],
    ) -> Iterator[tuple[int, NDArray[Any]]]:
        """Yield the number of each penalty and its predictions for the test rows, in any order."""
        raise NotImplementedError


@dataclass(eq=False, repr=False, kw_only=True)
class LinearClassifier(Linear, ScikitClassifier):
    """A multinomial logistic regression.

    Attributes:
        penalty: see Linear.
        max_iter: the most steps of the solver.
        n_iter_: number of steps that the solver took.
    """

    of_model: ClassVar[tuple[str, ...]] = ("max_iter",)
    model_type: ClassVar[Any] = LogisticRegression

    penalty: float = 0.04
    max_iter: int = 500

    def fresh_model(self, n_faces: int) -> LogisticRegression:
        """Return the unfitted regression with the penalty for n_faces."""
        return self.make_model().set_params(C=1 / (self.penalty * n_faces))

    def fit(self, X: Any, y: Any, groups: Any = None, **unknown: Any) -> Self:
        """Learn from vectors (n, dim) and labels (n,); the subjects are not used."""
        super().fit(X, y, groups, **unknown)
        self.n_iter_ = self.model_.n_iter_
        return self

    def _try_penalties(
        self,
        penalties: Sequence[float],
        train: NDArray[np.float32],
        targets: NDArray[Any],
        test: NDArray[np.float32],
    ) -> Iterator[tuple[int, NDArray[Any]]]:
        """Start each fit from the solution of the next stronger penalty."""
        model = self.fresh_model(len(train)).set_params(warm_start=True)
        for i in sorted(range(len(penalties)), key=lambda i: -penalties[i]):
            model.set_params(C=1 / (penalties[i] * len(train)))
            yield i, self._said(self._fit_model(model, train, targets), test)


class LinearRegressor(Linear, ScikitRegressor):
    """A ridge regression."""

    model_type: ClassVar[Any] = Ridge

    def fresh_model(self, n_faces: int) -> Ridge:
        """Return the unfitted regression with the penalty for n_faces."""
        return self.make_model().set_params(alpha=self.penalty * n_faces)

    def _try_penalties(
        self,
        penalties: Sequence[float],
        train: NDArray[np.float32],
        targets: NDArray[Any],
        test: NDArray[np.float32],
    ) -> Iterator[tuple[int, NDArray[Any]]]:
        """Compute the matrix of products once."""
        with one_blas_thread():
            said = ridge_answers(train, targets, test, [penalty * len(train) for penalty in penalties])
        return enumerate(map(self._answers, said))


def ridge_answers(
    train: NDArray[np.float32],
    targets: NDArray[np.float64],
    test: NDArray[np.float32],
    alphas: Sequence[float],
) -> list[NDArray[np.float64]]:
    """Return the predictions of scikit-learn's Ridge for the test rows and each alpha.

    The matrix of products is computed once.

    Args:
        train: scaled vectors, shape (n, dim).
        targets: numbers to learn, shape (n,).
        test: scaled vectors, shape (n_test, dim).
        alphas: weights of half the squared coefficients.
    """
    middle, level = train.mean(axis=0, dtype=np.float64), float(targets.mean())
    train, test = train - middle, test - middle
    # The smaller one of two forms of the same equations.
    is_wide = train.shape[1] > len(train)
    products = train @ train.T if is_wide else train.T @ train
    features = test @ train.T if is_wide else test
    wanted = targets - level if is_wide else train.T @ (targets - level)
    identity = np.eye(len(products))
    return [features @ solve(products + alpha * identity, wanted, assume_a="pos") + level for alpha in alphas]
