"""Linear estimators of scikit-learn whose penalty means the same for few faces and for many."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve
from sklearn.linear_model import LogisticRegression, Ridge

from featurekit.estimators._scikit import Scikit, ScikitClassifier, ScikitRegressor
from featurekit.estimators._threads import one_blas_thread


@dataclass(eq=False, repr=False, kw_only=True)
class Linear(Scikit):
    """What the classifier and the regressor share: a penalty alike for few faces and for many.

    Attributes:
        penalty: weight of half the squared coefficients against the mean loss of a face. scikit-learn
            weighs against the sum, so that 300 faces would be held back thirty times as much as 9,000.
    """

    # Strong by themselves: a joined vector is as long as there are faces to learn from.
    penalty: float = 1.0

    def _penalties(self, candidates: Sequence[Mapping[str, Any]]) -> list[float] | None:
        """Return the penalty of each candidate; None where one changes another parameter."""
        if any(set(candidate) - {"penalty"} for candidate in candidates):
            return None
        return [float(candidate.get("penalty", self.penalty)) for candidate in candidates]


@dataclass(eq=False, repr=False, kw_only=True)
class LinearClassifier(Linear, ScikitClassifier):
    """A multinomial logistic regression.

    Attributes:
        penalty: see Linear.
        max_iter: steps of the solver at most.
        n_iter_: steps that it took.
    """

    of_model: ClassVar[tuple[str, ...]] = ("max_iter",)

    penalty: float = 0.04
    max_iter: int = 500

    def make_model(self) -> LogisticRegression:
        """Return the unfitted regression, without its penalty."""
        return LogisticRegression(max_iter=self.max_iter)

    def fresh_model(self, n_faces: int) -> LogisticRegression:
        """Return the unfitted regression whose penalty fits so many faces."""
        return self.make_model().set_params(C=1 / (self.penalty * n_faces))

    def fit(self, X: Any, y: Any, groups: Any = None, **unknown: Any) -> Self:
        """Learn from vectors (n, dim) and labels (n,); the persons are not looked at."""
        super().fit(X, y, groups, **unknown)
        self.n_iter_ = self.model_.n_iter_
        return self

    def _try_out(
        self,
        candidates: Sequence[Mapping[str, Any]],
        train: NDArray[np.float32],
        targets: NDArray[Any],
        test: NDArray[np.float32],
    ) -> Iterator[tuple[int, NDArray[Any]]]:
        """Share warm starts from strong penalties to weak ones."""
        penalties = self._penalties(candidates)
        if penalties is None:
            yield from super()._try_out(candidates, train, targets, test)
            return
        model = self.fresh_model(len(train)).set_params(warm_start=True)
        for i in sorted(range(len(penalties)), key=lambda i: -penalties[i]):
            model.set_params(C=1 / (penalties[i] * len(train)))
            self._fit_model(model, train, targets)
            with one_blas_thread():
                classes = model.predict(test)
            yield i, classes


class LinearRegressor(Linear, ScikitRegressor):
    """A ridge regression."""

    def make_model(self) -> Ridge:
        """Return the unfitted regression, without its penalty."""
        return Ridge()

    def fresh_model(self, n_faces: int) -> Ridge:
        """Return the unfitted regression whose penalty fits so many faces."""
        return self.make_model().set_params(alpha=self.penalty * n_faces)

    def _try_out(
        self,
        candidates: Sequence[Mapping[str, Any]],
        train: NDArray[np.float32],
        targets: NDArray[Any],
        test: NDArray[np.float32],
    ) -> Iterator[tuple[int, NDArray[Any]]]:
        """Share one matrix of products."""
        penalties = self._penalties(candidates)
        if penalties is None:
            yield from super()._try_out(candidates, train, targets, test)
            return
        strengths = [penalty * len(train) for penalty in penalties]
        with one_blas_thread():
            said = ridge_answers(train, targets, test, strengths)
        yield from enumerate(map(self._answers, said))


def ridge_answers(
    train: NDArray[np.float32],
    targets: NDArray[np.float64],
    test: NDArray[np.float32],
    alphas: Sequence[float],
) -> list[NDArray[np.float64]]:
    """Return what scikit-learn's Ridge says of the test rows for each alpha; products are computed once.

    Args:
        train: scaled vectors, shape (n, dim).
        targets: numbers to learn, shape (n,).
        test: scaled vectors, shape (n_test, dim).
        alphas: weights of half the squared coefficients.
    """
    middle, level = train.mean(axis=0, dtype=np.float64), float(targets.mean())
    train, test = train - middle, test - middle
    # Of the two forms of the same equations the smaller.
    is_wide = train.shape[1] > len(train)
    products = train @ train.T if is_wide else train.T @ train
    features = test @ train.T if is_wide else test
    wanted = targets - level if is_wide else train.T @ (targets - level)
    identity = np.eye(len(products))
    return [features @ solve(products + alpha * identity, wanted, assume_a="pos") + level for alpha in alphas]
