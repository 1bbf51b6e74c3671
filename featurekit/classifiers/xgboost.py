"""Gradient-boosted trees.

Thousands of numbers a face are the slowest there is for boosting, so that long
vectors are first reduced to their principal components, learned in the training
part. The number of rounds is chosen on held-out subjects of the training part.
"""

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from featurekit.classifiers import Classifier, classifier
from featurekit.classifiers._estimator import Estimator, learn_years, to_years
from featurekit.errors import FoldError
from featurekit.folds import subject_exclusive_folds
from featurekit.manifest import Target

if TYPE_CHECKING:
    import xgboost

HELD_OUT = 6  # one sixth of the subjects decides when to stop
FALLBACK_ROUNDS = 100
# Its threads wait for each other by spinning: where another program has a core, two have been seen to take
# thirty times as long as one.
THREADS = 1


@dataclass(eq=False, kw_only=True)
class XGBoost(Estimator):
    """Gradient-boosted trees on principal components.

    Attributes:
        is_regression: whether it gives years.
        components: numbers a vector is reduced to.
        max_rounds: trees a class at most.
        learning_rate: how much of each tree's correction is taken.
        max_depth: questions a tree asks at most.
        column_share: share of the numbers that a tree sees.
        patience: rounds without an improvement on the held-out subjects before it stops.
        booster_: the fitted trees in XGBoost's UBJSON format.
        classes_: class numbers seen in training, increasing; absent for years.
    """

    is_regression: bool = False
    components: int = 128
    max_rounds: int = 400
    learning_rate: float = 0.1
    max_depth: int = 5
    column_share: float = 0.5
    patience: int = 20

    def fit(self, X: NDArray[np.float32], y: NDArray[Any], *, groups: NDArray[np.str_]) -> Self:
        """Learn components, number of rounds and trees from vectors, class numbers or years, and persons."""
        import xgboost

        self.summary_: dict[str, Any] = {"notes": []}
        if self.is_regression:
            labels: NDArray[Any]
            labels, self.center_, self.unit_ = learn_years(y)
            # Held-out subjects should be of all ages.
            codes = np.searchsorted(np.quantile(labels, [0.2, 0.4, 0.6, 0.8]), labels).astype(np.intp)
            parameters: dict[str, Any] = {"objective": "reg:squarederror"}
        else:
            # XGBoost wants 0 to k - 1, and a fold may lack a class.
            self.classes_, codes = np.unique(y, return_inverse=True)
            labels = codes
            parameters = {"objective": "multi:softprob", "num_class": len(self.classes_)}
        parameters |= {
            "tree_method": "hist",
            "device": "cpu",
            "max_bin": 64,
            "eta": self.learning_rate,
            "max_depth": self.max_depth,
            "subsample": 0.8,
            "colsample_bytree": self.column_share,
            "seed": self.seed,
            "nthread": THREADS,
            "verbosity": 0,
        }
        self.learn_scaling(X, self.components)
        reduced = self.scaled(X)
        try:
            fold = subject_exclusive_folds(codes, groups, n_folds=HELD_OUT, seed=self.seed)[0]
        except FoldError as error:
            rounds = FALLBACK_ROUNDS
            self.summary_["notes"].append(f"{rounds} rounds, not chosen on held-out subjects. {error}")
        else:
            trial = xgboost.train(
                parameters,
                self._matrix(reduced[fold.train], labels[fold.train]),
                self.max_rounds,
                evals=[(self._matrix(reduced[fold.test], labels[fold.test]), "held_out")],
                early_stopping_rounds=self.patience,
                verbose_eval=False,
            )
            rounds = trial.best_iteration + 1
        booster = xgboost.train(parameters, self._matrix(reduced, labels), rounds)
        self.booster_ = bytes(booster.save_raw("ubj"))
        config = json.loads(booster.save_config())["learner"]["generic_param"]
        self.summary_ |= {"rounds": rounds, "device": config["device"], "class_weight": None}
        if len(self.axes_):
            self.summary_["components"] = len(self.axes_)
        return self

    def predict_proba(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the probability of each class of classes_, shape (n, n_classes)."""
        shares = self._ask(X)
        probabilities: NDArray[np.float64] = shares / shares.sum(axis=1, keepdims=True)
        return probabilities

    def predict(self, X: NDArray[np.float32]) -> NDArray[Any]:
        """Return the most probable class number, or the years, of each row, shape (n,)."""
        if self.is_regression:
            return to_years(self._ask(X), self.center_, self.unit_)
        numbers: NDArray[np.intp] = self.classes_[self.predict_proba(X).argmax(axis=1)]
        return numbers

    def _ask(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        import xgboost

        booster = xgboost.Booster({"nthread": THREADS, "verbosity": 0})
        booster.load_model(bytearray(self.booster_))
        answers: NDArray[np.float64] = booster.predict(self._matrix(self.scaled(X))).astype(np.float64)
        return answers

    def _matrix(self, reduced: NDArray[np.float32], labels: NDArray[Any] | None = None) -> "xgboost.DMatrix":
        import xgboost

        return xgboost.DMatrix(reduced, label=labels, nthread=THREADS)


@classifier(
    "xgboost", about="gradient-boosted trees on 128 principal components, rounds chosen on held-out subjects"
)
def make_xgboost(target: Target, seed: int, threads: int) -> Classifier:
    """Return gradient-boosted trees."""
    return XGBoost(is_regression=target.is_regression, seed=seed, threads=threads)
