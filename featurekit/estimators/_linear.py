"""Linear estimators of scikit-learn whose penalty means the same for few faces and for many."""

from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featurekit.estimators._scikit import Scikit
from featurekit.estimators._threads import one_blas_thread


@dataclass(eq=False, kw_only=True)
class Linear(Scikit):
    """A linear estimator of scikit-learn, penalized alike for few faces and for many.

    Attributes:
        penalty: weight of half the squared coefficients against the mean loss of a face. scikit-learn
            weighs against the sum, so that 300 faces would be held back thirty times as much as 9,000.
    """

    penalty: float

    def fresh_model(self, n_faces: int) -> Any:
        """Return an unfitted copy of the model whose penalty fits so many faces."""
        strength = self.penalty * n_faces
        model = super().fresh_model(n_faces)
        model.set_params(**({"alpha": strength} if self.is_regression else {"C": 1 / strength}))
        return model

    def _try_out(
        self,
        candidates: Sequence[Mapping[str, Any]],
        train: NDArray[np.float32],
        targets: NDArray[Any],
        test: NDArray[np.float32],
    ) -> Iterator[tuple[int, NDArray[Any]]]:
        """Share warm starts from strong penalties to weak ones; for years, one matrix of products."""
        if any(set(candidate) - {"penalty"} for candidate in candidates):
            yield from super()._try_out(candidates, train, targets, test)
            return
        penalties = [float(candidate.get("penalty", self.penalty)) for candidate in candidates]
        if self.is_regression:
            strengths = [penalty * len(train) for penalty in penalties]
            with one_blas_thread():
                said = ridge_answers(train, targets, test, strengths)
            yield from enumerate(map(self._answers, said))
            return
        model = self.fresh_model(len(train)).set_params(warm_start=True)
        for i in sorted(range(len(penalties)), key=lambda i: -penalties[i]):
            one = copy(self).set_params(penalty=penalties[i])
            model.set_params(C=one.fresh_model(len(train)).C)
            self._fit_model(model, train, targets)
            with one_blas_thread():
                classes = model.predict(test)
            yield i, classes


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
    from scipy.linalg import solve

    middle, level = train.mean(axis=0, dtype=np.float64), float(targets.mean())
    train, test = train - middle, test - middle
    # Of the two forms of the same equations the smaller.
    is_wide = train.shape[1] > len(train)
    products = train @ train.T if is_wide else train.T @ train
    features = test @ train.T if is_wide else test
    wanted = targets - level if is_wide else train.T @ (targets - level)
    identity = np.eye(len(products))
    return [features @ solve(products + alpha * identity, wanted, assume_a="pos") + level for alpha in alphas]
