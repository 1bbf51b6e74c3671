"""A user's own scikit-learn estimator: fitted with its own parameters, on vectors that are not scaled."""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone, is_classifier
from sklearn.utils.validation import check_is_fitted

from featurekit.errors import EstimatorError, ModelError
from featurekit.estimators._estimator import Estimator, tags_of
from featurekit.estimators._parameters import NO_PROBABILITIES, class_path, plain
from featurekit.text import first_line
from featurekit.threads import no_convergence_warnings, one_blas_thread

# How far the sum of a row's probabilities may be from 1, because they may be computed in half precision.
_ROUNDING = 1e-2


@dataclass(eq=False, repr=False, kw_only=True)
class Given(Estimator):
    """A user's estimator, on unscaled vectors; its parameters are set by its own names.

    The estimator inside receives the labels as 0 … n_classes - 1, because some estimators need that. If it
    raises an exception, or its predictions cannot be used, an EstimatorError names it.

    Attributes:
        model: the unfitted estimator.
        model_: the fitted estimator.
        classes_: labels seen in training, increasing; absent for a regression target.
        gives_probabilities_: whether it has probabilities; otherwise each prediction counts as certain.
    """

    model: Any

    def __sklearn_tags__(self) -> Any:
        """Return scikit-learn's tags: a classifier or a regressor, as the estimator inside."""
        return tags_of(super().__sklearn_tags__(), is_regression=not is_classifier(self.model))

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters of the estimator inside and its own."""
        own: dict[str, Any] = super().get_params(deep=False)
        return {**self.model.get_params(), **own} if deep else own

    def set_params(self, **parameters: Any) -> Self:
        """Change parameters by name: its own, or otherwise those of the estimator inside."""
        own = super().get_params(deep=False)
        super().set_params(**{name: value for name, value in parameters.items() if name in own})
        inside = {name: value for name, value in parameters.items() if name not in own}
        if inside:
            self.model = clone(self.model).set_params(**inside)
        return self

    def validate(self) -> None:
        """Raise ModelError if a parameter has an invalid value, also one of the estimator inside."""
        super().validate()
        if hasattr(self.model, "_parameter_constraints"):  # scikit-learn's own estimators have them
            try:
                self.model._validate_params()
            except ValueError as error:
                raise ModelError(str(error)) from error

    def shown_parameters(self) -> dict[str, Any]:
        """Return the class of the estimator inside and its parameters."""
        given = self.model.get_params()
        if "random_state" in given:
            given["random_state"] = self.random_state
        own = {name: plain(value) for name, value in given.items() if name != "n_jobs"}
        return {"model": class_path(type(self.model)), **own}

    def check_learned(self, unfitted: Any) -> None:
        """Raise ValueError unless what was learned is valid for such an estimator."""
        if {type(self.model), type(self.model_)} != {type(unfitted.model)}:
            raise ValueError(f"it contains a {type(self.model_).__name__} instead of the expected estimator.")
        if any(one.get_params().get("n_jobs") is not None for one in (self.model, self.model_)):
            raise ValueError("its n_jobs is set, so that a prediction would start processes.")
        if hasattr(self, "classes_") and self._own_classes().shape != np.shape(self.classes_):
            raise ValueError("its classes are not those of the estimator inside it.")
        if hasattr(self.model_, "_fit_X"):
            # Compiled code counts the labels of neighbours without checking them.
            labels, vectors = np.asarray(self.model_._y), np.asarray(self.model_._fit_X)
            if vectors.ndim != 2 or labels.shape != (len(vectors),):
                raise ValueError("it does not have one label for each stored neighbour.")
            known = np.arange(len(self.classes_)) if hasattr(self, "classes_") else labels
            if not np.isin(labels, known).all():
                raise ValueError("the label of a stored neighbour is not one of its classes.")

    def fit(self, X: Any, y: Any, groups: Any = None) -> Self:
        """Learn from vectors (n, dim), labels or years (n,), and the subjects (n,) if it accepts groups.

        Raises:
            EstimatorError: the estimator inside raised an exception.
        """
        self.validate()
        self.summary_: dict[str, Any] = {"notes": []}
        model = clone(self.model)
        own = model.get_params()
        # Steps of a pipeline get a seed too, unless the user has given them one.
        unseeded = [
            name
            for name in own
            if name == "random_state" or (name.endswith("__random_state") and own[name] is None)
        ]
        if unseeded:
            model.set_params(**dict.fromkeys(unseeded, self._draw_seed()))
        targets = y
        if is_classifier(model):
            self.classes_, targets = np.unique(np.asarray(y), return_inverse=True)
        wants_groups = groups is not None and "groups" in inspect.signature(model.fit).parameters
        with self._answering_for("could not be fitted"):
            model.fit(X, targets, **({"groups": groups} if wants_groups else {}))
        if own.get("n_jobs") is not None:
            model.set_params(n_jobs=None)
        self.model_ = model
        if is_classifier(model):
            self._check_classes()
            self.gives_probabilities_ = hasattr(model, "predict_proba")
            if not self.gives_probabilities_:
                self.summary_["notes"].append(
                    f"{type(model).__name__} {NO_PROBABILITIES}, so each prediction counts as certain, and"
                    " scores that need probabilities are left out."
                )
        return self

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the label, or the years, of each row, shape (n,).

        Raises:
            EstimatorError: the estimator inside raised an exception, or its predictions cannot be used.
        """
        check_is_fitted(self)
        with self._answering_for("could not predict"):
            said = np.asarray(self.model_.predict(X))
        n_rows = len(X)
        if said.shape not in ((n_rows,), (n_rows, 1)):
            raise self._unusable(f"its predictions have shape {said.shape} instead of ({n_rows},)")
        said = said.ravel()
        if is_classifier(self.model_):
            own = np.sort(self._own_classes())
            known = np.isin(said, own)
            if not known.all():
                raise self._unusable(
                    f"it predicts '{said[~known][0]}', which was not a label in its training"
                )
            return np.asarray(self.classes_[np.searchsorted(own, said.astype(own.dtype))])
        try:
            years = said.astype(np.float64)
        except (TypeError, ValueError) as error:
            raise self._unusable(f"its predictions are not numbers ({first_line(error)})") from error
        n_bad = np.count_nonzero(~np.isfinite(years))
        if n_bad:
            raise self._unusable(f"{n_bad:,} of {n_rows:,} predictions are NaN or infinite")
        return years

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return the probability of each class of classes_, shape (n, n_classes).

        If the estimator inside has no probabilities, the predicted class has the probability 1.

        Raises:
            EstimatorError: the estimator inside raised an exception, or its predictions cannot be used.
        """
        check_is_fitted(self)
        if not hasattr(self.model_, "predict_proba"):
            return np.asarray(self.predict(X)[:, None] == self.classes_, np.float64)
        with self._answering_for("could not predict"):
            said = np.asarray(self.model_.predict_proba(X), np.float64)
        wanted = (len(X), len(self.classes_))
        if said.shape != wanted:
            raise self._unusable(f"its probabilities have shape {said.shape} instead of {wanted}")
        n_bad = np.count_nonzero(~np.isfinite(said).all(axis=1))
        if n_bad:
            raise self._unusable(
                f"{n_bad:,} of {len(X):,} rows of probabilities contain NaN or infinite values"
            )
        sums = said.sum(axis=1)
        off = (np.abs(sums - 1) > _ROUNDING) | (said < -_ROUNDING).any(axis=1)
        if off.any():
            raise self._unusable(
                f"{np.count_nonzero(off):,} of {len(X):,} rows of probabilities are not numbers from 0 to 1"
                f" that add up to 1, for example one that adds up to {sums[off][0]:g}"
            )
        return said[:, np.argsort(self._own_classes())]

    def _own_classes(self) -> NDArray[Any]:
        """Return the labels of the estimator inside, in the order of its columns."""
        return np.asarray(getattr(self.model_, "classes_", np.arange(len(self.classes_))))

    def _check_classes(self) -> None:
        """Raise EstimatorError unless the estimator inside knows the labels that it received."""
        own, wanted = self._own_classes(), np.arange(len(self.classes_))
        if own.shape != wanted.shape or not (np.sort(own) == wanted).all():
            raise EstimatorError(
                type(self.model).__name__,
                "could not be fitted",
                f"its classes_ are {str(own.tolist())[:60]}, but its training labels were {wanted.tolist()}",
            )

    def _unusable(self, why: str) -> EstimatorError:
        return EstimatorError(type(self.model_).__name__, "gives predictions that cannot be used", why)

    @contextmanager
    def _answering_for(self, what: str) -> Iterator[None]:
        """Run the estimator inside, and turn an exception that it raises into an EstimatorError.

        Warnings that it has not converged are ignored. A MemoryError, or an exception that stops the program,
        is not its fault and is raised unchanged.
        """
        try:
            with one_blas_thread(), no_convergence_warnings():
                yield
        except MemoryError:
            raise
        except Exception as error:
            said = first_line(error)
            if not isinstance(error, ValueError) and said != type(error).__name__:
                said = f"{type(error).__name__}: {said}"
            raise EstimatorError(type(self.model).__name__, what, said) from error
