"""An estimator of scikit-learn as a classifier of featurekit."""

from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, fields
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from featurekit.data.splits import Fold
from featurekit.errors import ModelError
from featurekit.estimators import held_out_score
from featurekit.estimators._estimator import Estimator
from featurekit.estimators._scaling import learn_years, to_years
from featurekit.estimators._threads import no_convergence_warnings, one_blas_thread


@dataclass(eq=False, kw_only=True)
class Scikit(Estimator):
    """An estimator of scikit-learn with its scaling.

    Attributes:
        model: the unfitted estimator.
        is_regression: whether it gives years.
        is_scaled: whether vectors, and years, are scaled first.
        components: principal components that a longer vector is reduced to; None to keep all numbers.
        notes: what a reader should know of it.
        model_: the fitted estimator.
        classes_: class numbers seen in training, increasing; absent for years.
    """

    model: Any
    is_regression: bool = False
    is_scaled: bool = True
    components: int | None = None
    notes: tuple[str, ...] = field(default=())

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return what the constructor was given; of the model, its own parameters that were chosen."""
        parameters = super().get_params(deep)
        if deep:
            plain = type(self.model)().get_params()
            own = self.model.get_params()
            parameters["model"] = type(self.model).__name__
            parameters |= {name: own[name] for name in sorted(own) if own[name] != plain[name]}
            # Already there as seed and threads.
            for name in ("random_state", "n_jobs"):
                parameters.pop(name, None)
        return parameters

    def set_params(self, **parameters: Any) -> Self:
        """Change parameters by name: the estimator's own, else those of the model."""
        from sklearn.base import clone

        own = {one.name for one in fields(self)}
        super().set_params(**{name: value for name, value in parameters.items() if name in own})
        rest = {name: value for name, value in parameters.items() if name not in own}
        if rest:
            # A model of its own: copies of an estimator share theirs.
            model = clone(self.model).set_params(**rest)
            try:
                model._validate_params()  # as its fit() does, hours later
            except ValueError as error:
                raise ModelError(str(error)) from error
            self.model = model
        return self

    def check_learned(self, unfitted: Any) -> None:
        """Raise ValueError unless the fitted estimator is of the kind that is fitted here."""
        if type(self.model_) is not type(unfitted.model):
            raise ValueError(f"a {type(self.model_).__name__} is not what it fits.")
        if self.model_.get_params().get("n_jobs") is not None:
            raise ValueError("it asks for processes of its own.")

    def fit(self, X: NDArray[np.float32], y: NDArray[Any], *, groups: NDArray[np.str_]) -> Self:
        """Learn from vectors and class numbers or years."""
        self.summary_: dict[str, Any] = {"notes": list(self.notes)}
        numbers, targets = self._learn_inputs(X, y)
        self.model_ = self._fit_model(self.fresh_model(len(X)), numbers, targets)
        if not self.is_regression:
            self.classes_ = self.model_.classes_
        return self

    def search_scores(
        self,
        X: NDArray[np.float32],
        y: NDArray[Any],
        *,
        folds: Sequence[Fold],
        candidates: Sequence[Mapping[str, Any]],
    ) -> NDArray[np.float64] | None:
        """Return the score of every candidate on every fold; scaling and components are learned once a fold.

        Returns:
            Shape (n_candidates, n_folds); None where a candidate changes what the scaling learns.
        """
        if any({"components", "is_scaled", "feature_blocks"} & set(candidate) for candidate in candidates):
            return None
        scores = np.empty((len(candidates), len(folds)))
        for number, fold in enumerate(folds):
            reader = copy(self)
            reader.summary_ = {"notes": []}
            train, targets = reader._learn_inputs(X[fold.train], y[fold.train])
            test = reader._inputs(X[fold.test])
            for i, said in reader._try_out(candidates, train, targets, test):
                scores[i, number] = held_out_score(y[fold.test], said)
        return scores

    def _try_out(
        self,
        candidates: Sequence[Mapping[str, Any]],
        train: NDArray[np.float32],
        targets: NDArray[Any],
        test: NDArray[np.float32],
    ) -> Iterator[tuple[int, NDArray[Any]]]:
        """Yield the number of each candidate and what it says of the test rows; in any order."""
        for i, candidate in enumerate(candidates):
            one = copy(self).set_params(**candidate)
            model = self._fit_model(one.fresh_model(len(train)), train, targets)
            with one_blas_thread():
                said = model.predict(test)
            yield i, self._answers(said)

    def _learn_inputs(
        self, X: NDArray[np.float32], y: NDArray[Any]
    ) -> tuple[NDArray[np.float32], NDArray[Any]]:
        """Learn the scaling; return what the model learns from."""
        targets = y
        if self.is_scaled:
            self.learn_scaling(X, self.components)
            if self.is_regression:
                targets, self.center_, self.unit_ = learn_years(y)
        return self._inputs(X), targets

    def _inputs(self, X: NDArray[np.float32]) -> NDArray[np.float32]:
        return self.scaled(X) if self.is_scaled else X

    def _answers(self, said: NDArray[Any]) -> NDArray[Any]:
        """Return what a model said as class numbers or years."""
        return to_years(said, self.center_, self.unit_) if self.is_regression and self.is_scaled else said

    def _fit_model(self, model: Any, numbers: NDArray[np.float32], targets: NDArray[Any]) -> Any:
        # The number of epochs is fixed on purpose; a solver that is not done yet says so in the summary.
        with one_blas_thread(), no_convergence_warnings():
            model.fit(numbers, targets)
        if "n_jobs" in model.get_params():
            # Threads would add up the trees' answers in whatever order they come.
            model.set_params(n_jobs=None)
        return model

    def fresh_model(self, n_faces: int) -> Any:
        """Return an unfitted copy of the model for so many faces to learn from."""
        from sklearn.base import clone

        return clone(self.model)

    def predict_proba(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the probability of each class of classes_, shape (n, n_classes)."""
        with one_blas_thread():
            shares = np.asarray(self.model_.predict_proba(self._inputs(X)), np.float64)
        probabilities: NDArray[np.float64] = shares / shares.sum(axis=1, keepdims=True)
        return probabilities

    def predict(self, X: NDArray[np.float32]) -> NDArray[Any]:
        """Return the most probable class number, or the years, of each row, shape (n,)."""
        if not self.is_regression:
            numbers: NDArray[np.intp] = self.classes_[self.predict_proba(X).argmax(axis=1)]
            return numbers
        with one_blas_thread():
            return self._answers(self.model_.predict(self._inputs(X)))
