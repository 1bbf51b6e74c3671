"""An estimator of scikit-learn behind this folder's scaling and principal components."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import RegressorMixin

from featurekit.data.splits import Fold
from featurekit.errors import ModelError
from featurekit.estimators import held_out_score
from featurekit.estimators._estimator import SHOWN_FIRST, FoldSearch, LabelClassifier
from featurekit.estimators._parameters import SHOWN_AS, plain
from featurekit.estimators._scaling import adding_to_one, learn_years, to_years
from featurekit.threads import no_convergence_warnings, one_blas_thread


@dataclass(eq=False, repr=False, kw_only=True)
class Scikit(FoldSearch):
    """An estimator of scikit-learn with its scaling; a subclass names it as model_type.

    Attributes:
        is_scaled: whether vectors, and years, are scaled first.
        components: principal components that a longer vector is reduced to; None to keep all numbers.
        notes: what a reader should know about it.
        of_model: parameters that are passed on to scikit-learn's estimator.
        model_type: class of scikit-learn's estimator.
        model_: the fitted estimator of scikit-learn.
    """

    notes: ClassVar[tuple[str, ...]] = ()
    model_type: ClassVar[Any]

    is_scaled: bool = True
    components: int | None = None

    def make_model(self) -> Any:
        """Return the unfitted estimator of scikit-learn."""
        return self.model_type(**{name: getattr(self, name) for name in self.of_model})

    def fresh_model(self, n_faces: int) -> Any:
        """Return the unfitted estimator of scikit-learn for a training part of n_faces."""
        return self.make_model()

    def validate(self) -> None:
        """Raise ModelError unless every parameter has a valid value, scikit-learn's too."""
        super().validate()
        try:
            self.make_model()._validate_params()  # scikit-learn itself only checks in fit(), hours later
        except ValueError as error:
            raise ModelError(str(error)) from error

    def shown_parameters(self) -> dict[str, Any]:
        """Return the parameters that a report shows; of scikit-learn's estimator the non-default ones."""
        shown, model = super().shown_parameters(), self.make_model()
        usual, given = type(model)().get_params(), model.get_params()
        return {
            **dict.fromkeys((*SHOWN_FIRST, "model", "is_regression", "is_scaled", "components", "notes")),
            **{name: value for name, value in shown.items() if name not in self.of_model},
            "model": type(model).__name__,
            "is_regression": self.is_regression,
            "notes": self.notes,
            **{
                name: plain(given[name])
                for name in sorted(given)
                if given[name] != usual[name] and name not in SHOWN_AS  # those are shown as seed and threads
            },
        }

    def check_learned(self, unfitted: Any) -> None:
        """Raise ValueError unless the fitted estimator is of the kind that is fitted here."""
        if type(self.model_) is not type(unfitted.make_model()):
            raise ValueError(f"it contains a {type(self.model_).__name__} instead of the expected estimator.")
        if self.model_.get_params().get("n_jobs") is not None:
            raise ValueError("its n_jobs is set, so that a prediction would start processes.")

    def fit(self, X: Any, y: Any, groups: Any = None, **unknown: Any) -> Self:
        """Learn from vectors (n, dim), labels or years (n,); the subjects are not used."""
        X, y, _ = self._begin(X, y, groups, unknown)
        self.summary_: dict[str, Any] = {"notes": list(self.notes)}
        numbers, targets = self._learn_inputs(X, y)
        self.model_ = self._fit_model(self.fresh_model(len(X)), numbers, targets)
        return self

    def _fold_scores(
        self, X: NDArray[np.float32], y: NDArray[Any], fold: Fold, candidates: Sequence[Mapping[str, Any]]
    ) -> Sequence[float]:
        """Learn scaling and components once for all candidates."""
        self.summary_ = {"notes": []}
        train, targets = self._learn_inputs(X[fold.train], y[fold.train])
        said = dict(self._try_out(candidates, train, targets, self._inputs(X[fold.test])))
        return [held_out_score(y[fold.test], said[i]) for i in range(len(candidates))]

    def _try_out(
        self,
        candidates: Sequence[Mapping[str, Any]],
        train: NDArray[np.float32],
        targets: NDArray[Any],
        test: NDArray[np.float32],
    ) -> Iterator[tuple[int, NDArray[Any]]]:
        """Yield the number of each candidate and its predictions for the test rows, in any order."""
        for i, candidate in enumerate(candidates):
            model = self._with(candidate).fresh_model(len(train))
            yield i, self._said(self._fit_model(model, train, targets), test)

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

    def _said(self, model: Any, numbers: NDArray[np.float32]) -> NDArray[Any]:
        """Return the labels or years that a model predicts from scaled vectors."""
        with one_blas_thread():
            return self._answers(model.predict(numbers))

    def _answers(self, said: NDArray[Any]) -> NDArray[Any]:
        """Return a model's predictions as labels or years."""
        return to_years(said, self.center_, self.unit_) if self.is_regression and self.is_scaled else said

    def _fit_model(self, model: Any, numbers: NDArray[np.float32], targets: NDArray[Any]) -> Any:
        # The number of epochs is fixed on purpose, so that a warning about convergence says nothing new.
        with one_blas_thread(), no_convergence_warnings():
            model.fit(numbers, targets)
        if "n_jobs" in model.get_params():
            # Threads would add up the predictions of the trees in varying order.
            model.set_params(n_jobs=None)
        return model


class ScikitClassifier(LabelClassifier, Scikit):
    """A classifier of scikit-learn."""

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return the probability of each class of classes_, shape (n, n_classes)."""
        numbers = self._inputs(self._asked(X))
        with one_blas_thread():
            return adding_to_one(np.asarray(self.model_.predict_proba(numbers), np.float64))


class ScikitRegressor(RegressorMixin, Scikit):
    """A regressor of scikit-learn, for years."""

    is_regression: ClassVar[bool] = True

    def predict(self, X: Any) -> NDArray[np.float64]:
        """Return the years of each row, shape (n,)."""
        numbers = self._inputs(self._asked(X))
        return self._said(self.model_, numbers)
