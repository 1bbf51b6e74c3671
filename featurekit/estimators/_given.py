"""A user's own estimator of scikit-learn: fitted with its own parameters, on vectors that are not scaled."""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone, is_classifier
from sklearn.utils import ClassifierTags, RegressorTags, get_tags
from sklearn.utils.validation import check_is_fitted

from featurekit.errors import EstimatorError, ModelError
from featurekit.estimators._estimator import Estimator
from featurekit.estimators._parameters import NO_PROBABILITIES, plain
from featurekit.estimators._threads import no_convergence_warnings, one_blas_thread
from featurekit.text import first_line

# How far the probabilities of a row may be from adding to 1: they may be computed in half precision.
_ROUNDING = 1e-2


@dataclass(eq=False, repr=False, kw_only=True)
class Given(Estimator):
    """Somebody's estimator, on the vectors as they are; its parameters are set by its own names.

    It is given labels as 0 … n_classes - 1, as some estimators insist on, whatever they are outside. What it
    raises becomes an EstimatorError, and so do answers that cannot be used; both name it.

    Attributes:
        model: the unfitted estimator.
        model_: the fitted one.
        classes_: labels seen in training, increasing; absent for years.
        gives_probabilities_: whether it has any of its own, or each answer counts as sure.
    """

    model: Any

    def __sklearn_tags__(self) -> Any:
        """Return what scikit-learn asks of an estimator: what the one inside says of itself."""
        tags = super().__sklearn_tags__()
        tags.estimator_type = get_tags(self.model).estimator_type
        if is_classifier(self.model):
            tags.classifier_tags = ClassifierTags()
        else:
            tags.regressor_tags = RegressorTags()
        return tags

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters of the estimator inside beside its own."""
        own: dict[str, Any] = super().get_params(deep=False)
        return {**self.model.get_params(), **own} if deep else own

    def set_params(self, **parameters: Any) -> Self:
        """Change parameters by name: its own, else those of the estimator inside."""
        own = super().get_params(deep=False)
        super().set_params(**{name: value for name, value in parameters.items() if name in own})
        inside = {name: value for name, value in parameters.items() if name not in own}
        if inside:
            self.model = clone(self.model).set_params(**inside)
        return self

    def validate(self) -> None:
        """Raise ModelError where the estimator inside says that a parameter cannot have its value."""
        super().validate()
        if hasattr(self.model, "_parameter_constraints"):  # scikit-learn's own say what they allow
            try:
                self.model._validate_params()
            except ValueError as error:
                raise ModelError(str(error)) from error

    def shown_parameters(self) -> dict[str, Any]:
        """Return which estimator it is, and what it was made with."""
        given = {name: plain(value) for name, value in self.model.get_params().items()}
        if "random_state" in given:
            given["random_state"] = plain(self.random_state)
        path = f"{type(self.model).__module__}.{type(self.model).__qualname__}"
        return {"model": path, **{name: value for name, value in given.items() if name != "n_jobs"}}

    def check_learned(self, unfitted: Any) -> None:
        """Raise ValueError unless what was learned is what such an estimator learns."""
        kinds = {type(self.model), type(self.model_)}
        if kinds != {type(unfitted.model)}:
            raise ValueError(f"a {type(self.model_).__name__} is not what it fits.")
        if any(one.get_params().get("n_jobs") is not None for one in (self.model, self.model_)):
            raise ValueError("it asks for processes of its own.")
        if hasattr(self, "classes_") and self._own_classes().shape != np.shape(self.classes_):
            raise ValueError("it knows other classes than the estimator inside it.")
        if hasattr(self.model_, "_fit_X"):
            # Neighbours' labels are counted by compiled code, which takes them on trust.
            labels, vectors = np.asarray(self.model_._y), np.asarray(self.model_._fit_X)
            if vectors.ndim != 2 or labels.shape != (len(vectors),):
                raise ValueError("its neighbours are not as many as their labels.")
            known = np.arange(len(self.classes_)) if hasattr(self, "classes_") else labels
            if not np.isin(labels, known).all():
                raise ValueError("its neighbours have labels that it does not know.")

    def fit(self, X: Any, y: Any, groups: Any = None) -> Self:
        """Learn from vectors (n, dim), labels or years (n,); persons (n,) are told one that asks for them.

        Raises:
            EstimatorError: the estimator inside raised something.
        """
        self.validate()
        self.summary_: dict[str, Any] = {"notes": []}
        model = clone(self.model)
        own = model.get_params()
        # Steps of a pipeline draw numbers too; one that somebody has seeded keeps its seed.
        unseeded = [name for name in own if name.endswith("__random_state") and own[name] is None]
        if drawing := [*unseeded, *(["random_state"] if "random_state" in own else [])]:
            seed = self._draw_seed()
            model.set_params(**dict.fromkeys(drawing, seed))
        targets = y
        if is_classifier(model):
            self.classes_, targets = np.unique(np.asarray(y), return_inverse=True)
        asks = "groups" in inspect.signature(model.fit).parameters
        more = {"groups": groups} if asks and groups is not None else {}
        with self._answering_for("could not be fitted"):
            model.fit(X, targets, **more)
        if own.get("n_jobs") is not None:
            model.set_params(n_jobs=None)
        self.model_ = model
        if is_classifier(model):
            self._check_classes()
            self.gives_probabilities_ = hasattr(model, "predict_proba")
            if not self.gives_probabilities_:
                self.summary_["notes"].append(
                    f"{type(model).__name__} {NO_PROBABILITIES}, so each prediction counts as certain, and"
                    " scores of probabilities are left out."
                )
        return self

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the label, or the years, of each row, shape (n,).

        Raises:
            EstimatorError: the estimator inside raised something, or its answers cannot be used.
        """
        check_is_fitted(self)
        with self._answering_for("could not predict"):
            said = np.asarray(self.model_.predict(X))
        n_rows = len(X)
        if said.shape not in ((n_rows,), (n_rows, 1)):
            raise self._unusable(f"its predictions have shape {said.shape} instead of ({n_rows},)")
        said = said.ravel()
        if is_classifier(self.model_):
            labels: NDArray[Any] = self.classes_[self._places(said)]
            return labels
        try:
            years = said.astype(np.float64)
        except (TypeError, ValueError) as error:
            raise self._unusable(f"its predictions are not numbers ({first_line(error)})") from error
        if not np.isfinite(years).all():
            n_bad = np.count_nonzero(~np.isfinite(years))
            raise self._unusable(f"{n_bad:,} of {n_rows:,} predictions are NaN or infinite")
        return years

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return the probability of each class of classes_, shape (n, n_classes); 1 for a sure answer.

        Raises:
            EstimatorError: the estimator inside raised something, or its answers cannot be used.
        """
        check_is_fitted(self)
        if not hasattr(self.model_, "predict_proba"):
            sure: NDArray[np.float64] = (self.predict(X)[:, None] == self.classes_).astype(np.float64)
            return sure
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
        """Return the labels as the estimator inside has them, in the order of its columns."""
        return np.asarray(getattr(self.model_, "classes_", np.arange(len(self.classes_))))

    def _check_classes(self) -> None:
        """Raise EstimatorError unless the estimator inside knows the labels that it was given."""
        own, wanted = self._own_classes(), np.arange(len(self.classes_))
        if own.shape != wanted.shape or not (np.sort(own) == wanted).all():
            raise EstimatorError(
                type(self.model).__name__,
                "could not be fitted",
                f"its classes_ are {str(own.tolist())[:60]}, but it was given {wanted.tolist()}",
            )

    def _places(self, said: NDArray[Any]) -> NDArray[np.intp]:
        """Return the place in classes_ of each answer, shape (n,)."""
        own = np.sort(self._own_classes())
        known = np.isin(said, own)
        if not known.all():
            raise self._unusable(f"it predicts '{said[~known][0]}', which was not a label in its training")
        return np.searchsorted(own, said.astype(own.dtype))

    def _unusable(self, why: str) -> EstimatorError:
        return EstimatorError(type(self.model_).__name__, "gives predictions that cannot be used", why)

    @contextmanager
    def _answering_for(self, what: str) -> Iterator[None]:
        """Let the estimator inside compute; say that it was its own where it raises something.

        Warnings that it has not converged are passed over. What stops the program, or says that there is no
        memory left, is nobody's mistake.
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
