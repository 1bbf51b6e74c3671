"""Whitened principal components as a transformer that consists of plain arrays."""

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import PCA
from sklearn.utils.validation import check_is_fitted, validate_data

from featurekit.errors import EstimatorError
from featurekit.threads import one_blas_thread

# A component whose variance is smaller than this share of the largest one is a rounding error.
_LEAST_VARIANCE = 1e-9


class Eigenfaces(TransformerMixin, BaseEstimator):
    """Whitened principal components, computed by scikit-learn's PCA.

    The decomposition is complete, without random numbers, in double precision and in one thread, so that the
    components depend on nothing but the training faces.

    Args:
        n_components: largest number of components. There are at most as many as training faces minus one, and
            none along which the training faces do not vary.

    Attributes:
        mean_: mean of the training faces, float64, shape (n_pixels,).
        axes_: the components, each divided by the standard deviation of the training faces along it, float64,
            shape (n_kept, n_pixels).
        note_: the number of components, and the share of the variance that they explain, as a sentence.
    """

    def __init__(self, n_components: int = 150) -> None:
        self.n_components = n_components

    def __sklearn_tags__(self) -> Any:
        """Return scikit-learn's tags: the weights are always float32."""
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn the components from the training faces, shape (n, n_pixels).

        Raises:
            EstimatorError: all training faces have the same pixels.
        """
        X = validate_data(self, X, dtype=np.float64, ensure_min_samples=2)
        if (X[0] == X).all():
            raise EstimatorError(
                "eigenfaces",
                "could not be learned",
                "all training faces have the same pixels, so they have no principal components",
            )
        most = min(self.n_components, len(X) - 1, X.shape[1])
        # The components are the same, but for rounding; the covariance matrix is faster for many faces.
        solver = "covariance_eigh" if len(X) > X.shape[1] else "full"
        with one_blas_thread():
            pca = PCA(most, svd_solver=solver, whiten=True).fit(X)
        variances = pca.explained_variance_
        kept = variances > _LEAST_VARIANCE * variances[0]
        self.mean_ = pca.mean_
        self.axes_ = pca.components_[kept] / np.sqrt(variances[kept])[:, None]
        explained = float(pca.explained_variance_ratio_[kept].sum())
        self.note_ = (
            f"{len(self.axes_)} principal components of {X.shape[1]:,} pixels, which explain"
            f" {100 * explained:.1f} % of the variance of the training faces."
        )
        return self

    def transform(self, X: Any) -> NDArray[np.float32]:
        """Return the weights of faces on the components, shape (n, n_kept).

        Args:
            X: pixels of the faces, shape (n, n_pixels).
        """
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        with one_blas_thread():
            return np.asarray((X - self.mean_) @ self.axes_.T, np.float32)
