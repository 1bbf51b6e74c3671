"""What the classifiers of this folder share: parameters, scaling, principal components.

They keep scikit-learn's manner without inheriting from it, so that listing them
does not import it. Everything they learn is a plain array, or an estimator of
scikit-learn: they can be saved without pickle.
"""

from dataclasses import dataclass, fields
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from featurekit.estimators._parameters import ANY, Allowed, check_parameter
from featurekit.estimators._scaling import block_scaling, unit_lengths
from featurekit.estimators._threads import one_blas_thread


@dataclass(eq=False, kw_only=True)
class Estimator:
    """An estimator whose parameters are the fields of its dataclass; what it learns ends in "_".

    Attributes:
        seed: what chance comes from.
        threads: how many it may use; the result does not depend on them.
        feature_blocks: lengths of the parts of a joined vector, so that a long part does not drown a
            short one; None for a vector of one part.
        allowed: of some parameters, what they can be; of another number, whatever is not below 0.
    """

    allowed: ClassVar[Allowed] = {}

    seed: int = 0
    threads: int = 1
    feature_blocks: tuple[int, ...] | None = None

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return what the constructor was given."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def set_params(self, **parameters: Any) -> Self:
        """Change parameters by name.

        Raises:
            ModelError: one cannot have its value; nothing has changed then.
        """
        own = self.get_params()
        # numpy's numbers become Python's, which can be written down.
        plain = {
            name: value.item() if isinstance(value, np.generic) else value
            for name, value in parameters.items()
        }
        for name, value in plain.items():
            if name not in own:
                raise ValueError(f"{type(self).__name__} has no parameter {name}.")
            check_parameter(name, value, own[name], self.allowed.get(name, ANY))
        for name, value in plain.items():
            setattr(self, name, value)
        return self

    def check_learned(self, unfitted: Any) -> None:
        """Raise ValueError where libraries would take what was learned on trust, and break on it.

        Args:
            unfitted: the same classifier as it is made here.
        """

    def learn_scaling(self, X: NDArray[np.float32], components: int | None = None) -> None:
        """Learn how to bring vectors to a mean variance of 1, and their principal components.

        Args:
            X: vectors, shape (n, dim).
            components: numbers that a longer vector is reduced to; None to keep them all.
        """
        from sklearn.decomposition import PCA

        unit = unit_lengths(X, self.feature_blocks)
        mean, factor = block_scaling(unit, self.feature_blocks)
        self.mean_ = mean.astype(np.float32)
        self.factor_ = (factor * np.sqrt(X.shape[1])).astype(np.float32)
        self.axes_ = np.zeros((0, X.shape[1]), np.float32)
        if components is not None and X.shape[1] > components:
            n_components = min(components, len(X))
            with one_blas_thread():
                pca = PCA(n_components, svd_solver="randomized", random_state=self.seed).fit(self.scaled(X))
            # Again a mean variance of 1; the components keep their proportions.
            spread = float(np.sqrt(pca.explained_variance_.mean())) or 1.0
            self.axes_ = (pca.components_ / spread).astype(np.float32)

    def scaled(self, X: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return vectors as learn_scaling() learned it, shape (n, dim) or (n, components)."""
        scaled: NDArray[np.float32] = unit_lengths(X, self.feature_blocks)
        scaled -= self.mean_
        scaled *= self.factor_
        if not len(self.axes_):
            return scaled
        with one_blas_thread():
            reduced: NDArray[np.float32] = scaled @ self.axes_.T
        return reduced
