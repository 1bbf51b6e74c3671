"""A user's own estimator of scikit-learn: fitted with its own parameters, on vectors that are not scaled."""

import inspect
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone, is_classifier
from sklearn.utils import ClassifierTags, RegressorTags, get_tags
from sklearn.utils.validation import check_is_fitted

from featurekit.errors import ModelError
from featurekit.estimators._estimator import Estimator
from featurekit.estimators._parameters import plain
from featurekit.estimators._threads import no_convergence_warnings, one_blas_thread


@dataclass(eq=False, repr=False, kw_only=True)
class Given(Estimator):
    """Somebody's estimator, on the vectors as they are; its parameters are set by its own names.

    Attributes:
        model: the unfitted estimator.
        model_: the fitted one.
        classes_: labels seen in training, increasing; absent for years.
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
        if hasattr(self.model_, "_fit_X"):
            # Neighbours' labels are counted by compiled code, which takes them on trust.
            labels, vectors = np.asarray(self.model_._y), np.asarray(self.model_._fit_X)
            if vectors.ndim != 2 or labels.shape != (len(vectors),):
                raise ValueError("its neighbours are not as many as their labels.")
            known = np.arange(len(self.classes_)) if hasattr(self, "classes_") else labels
            if not np.isin(labels, known).all():
                raise ValueError("its neighbours have labels that it does not know.")

    def fit(self, X: Any, y: Any, groups: Any = None) -> Self:
        """Learn from vectors (n, dim), labels or years (n,); persons (n,) are told one that asks for them."""
        self.validate()
        self.summary_: dict[str, Any] = {"notes": []}
        model = clone(self.model)
        own = model.get_params()
        if "random_state" in own:
            model.set_params(random_state=self._draw_seed())
        asks = "groups" in inspect.signature(model.fit).parameters
        more = {"groups": groups} if asks and groups is not None else {}
        with one_blas_thread(), no_convergence_warnings():
            model.fit(X, y, **more)
        if own.get("n_jobs") is not None:
            model.set_params(n_jobs=None)
        self.model_ = model
        if is_classifier(model):
            self.classes_ = np.asarray(model.classes_)
            if not hasattr(model, "predict_proba"):
                self.summary_["notes"].append(
                    f"{type(model).__name__} gives no probabilities: each answer counts as sure."
                )
        return self

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the label, or the years, of each row, shape (n,)."""
        check_is_fitted(self)
        with one_blas_thread():
            said = np.asarray(self.model_.predict(X))
        return said if is_classifier(self.model_) else said.astype(np.float64).ravel()

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return the probability of each class of classes_, shape (n, n_classes); 1 for a sure answer."""
        check_is_fitted(self)
        if not hasattr(self.model_, "predict_proba"):
            sure: NDArray[np.float64] = (self.predict(X)[:, None] == self.classes_).astype(np.float64)
            return sure
        with one_blas_thread():
            return np.asarray(self.model_.predict_proba(X), np.float64)
