"""An estimator of scikit-learn behind this folder's scaling and principal components."""

from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin, RegressorMixin

from featurekit.data.splits import Fold
from featurekit.errors import ModelError
from featurekit.estimators import held_out_score
from featurekit.estimators._estimator import Estimator
from featurekit.estimators._parameters import plain
from featurekit.estimators._scaling import learn_years, to_years
from featurekit.estimators._threads import no_convergence_warnings, one_blas_thread


@dataclass(eq=False, repr=False, kw_only=True)
class Scikit(Estimator):
    """An estimator of scikit-learn with its scaling; a subclass says which, in make_model().

    Attributes:
        is_scaled: whether vectors, and years, are scaled first.
        components: principal components that a longer vector is reduced to; None to keep all numbers.
        notes: what a reader should know of it.
        of_model: parameters that are those of scikit-learn's estimator.
        model_: the fitted estimator of scikit-learn.
    """

    notes: ClassVar[tuple[str, ...]] = ()
    of_model: ClassVar[tuple[str, ...]] = ()

    is_scaled: bool = True
    components: int | None = None

    def make_model(self) -> Any:
        """Return the unfitted estimator of scikit-learn."""
        raise NotImplementedError

    def fresh_model(self, n_faces: int) -> Any:
        """Return the unfitted estimator of scikit-learn for so many faces to learn from."""
        return self.make_model()

    def validate(self) -> None:
        """Raise ModelError unless every parameter can have its value, scikit-learn's too."""
        super().validate()
        try:
            self.make_model()._validate_params()  # as its fit() does, hours later
        except ValueError as error:
            raise ModelError(str(error)) from error

    def _checked_here(self) -> set[str]:
        return super()._checked_here() - set(self.of_model)

    def shown_parameters(self) -> dict[str, Any]:
        """Return what a report shows: of scikit-learn's estimator, the parameters that are not its own."""
        shown = super().shown_parameters()
        common = {name: shown.pop(name) for name in ("seed", "threads", "feature_blocks")}
        scaling = {name: shown.pop(name) for name in ("is_scaled", "components")}
        model = self.make_model()
        usual, given = type(model)().get_params(), model.get_params()
        chosen = {name: plain(given[name]) for name in sorted(given) if given[name] != usual[name]}
        # Already there as seed and threads.
        for name in ("random_state", "n_jobs"):
            chosen.pop(name, None)
        return {
            **common,
            "model": type(model).__name__,
            "is_regression": self.is_regression,
            **scaling,
            "notes": self.notes,
            **{name: value for name, value in shown.items() if name not in self.of_model},
            **chosen,
        }

    def check_learned(self, unfitted: Any) -> None:
        """Raise ValueError unless the fitted estimator is of the kind that is fitted here."""
        if type(self.model_) is not type(unfitted.make_model()):
            raise ValueError(f"a {type(self.model_).__name__} is not what it fits.")
        if self.model_.get_params().get("n_jobs") is not None:
            raise ValueError("it asks for processes of its own.")

    def fit(self, X: Any, y: Any, groups: Any = None, **unknown: Any) -> Self:
        """Learn from vectors (n, dim), labels or years (n,); the persons are not looked at."""
        self._refuse(unknown)
        X, y, _ = self._begin(X, y, groups)
        self.summary_: dict[str, Any] = {"notes": list(self.notes)}
        numbers, targets = self._learn_inputs(X, y)
        self.model_ = self._fit_model(self.fresh_model(len(X)), numbers, targets)
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
        X, y = self._search_inputs(X, y)
        scores = np.empty((len(candidates), len(folds)))
        for number, fold in enumerate(folds):
            reader = copy(self)
            reader._draw_seed()
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
            one = self._with(candidate)
            model = self._fit_model(one.fresh_model(len(train)), train, targets)
            with one_blas_thread():
                said = model.predict(test)
            yield i, self._answers(said)

    def _with(self, candidate: Mapping[str, Any]) -> Self:
        """Return a copy that has learned the same scaling, with other parameters."""
        one = copy(self)
        one.set_params(**candidate)
        one.validate()
        return one

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
        """Return what a model said as labels or years."""
        return to_years(said, self.center_, self.unit_) if self.is_regression and self.is_scaled else said

    def _fit_model(self, model: Any, numbers: NDArray[np.float32], targets: NDArray[Any]) -> Any:
        # The number of epochs is fixed on purpose; a solver that is not done yet says so in the summary.
        with one_blas_thread(), no_convergence_warnings():
            model.fit(numbers, targets)
        if "n_jobs" in model.get_params():
            # Threads would add up the trees' answers in whatever order they come.
            model.set_params(n_jobs=None)
        return model


class ScikitClassifier(ClassifierMixin, Scikit):
    """A classifier of scikit-learn."""

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return the probability of each class of classes_, shape (n, n_classes)."""
        numbers = self._inputs(self._asked(X))
        with one_blas_thread():
            shares = np.asarray(self.model_.predict_proba(numbers), np.float64)
        probabilities: NDArray[np.float64] = shares / shares.sum(axis=1, keepdims=True)
        return probabilities

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the most probable label of each row, shape (n,)."""
        best = self.predict_proba(X).argmax(axis=1)
        labels: NDArray[Any] = self.classes_[best]
        return labels


class ScikitRegressor(RegressorMixin, Scikit):
    """A regressor of scikit-learn, for years."""

    is_regression: ClassVar[bool] = True

    def predict(self, X: Any) -> NDArray[np.float64]:
        """Return the years of each row, shape (n,)."""
        numbers = self._inputs(self._asked(X))
        with one_blas_thread():
            return self._answers(self.model_.predict(numbers))
