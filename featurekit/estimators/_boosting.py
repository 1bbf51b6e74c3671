"""Gradient-boosted trees of XGBoost on principal components, their number chosen on held-out subjects."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import xgboost
from joblib import Parallel, delayed
from numpy.typing import NDArray
from sklearn.base import RegressorMixin

from featurekit.data.splits import Fold, subject_exclusive_folds
from featurekit.errors import EngineError, FoldError
from featurekit.estimators import held_out_score
from featurekit.estimators._estimator import FoldSearch, LabelClassifier, check_tree
from featurekit.estimators._parameters import Allowed, Within
from featurekit.estimators._scaling import adding_to_one, from_years, learn_years, to_years

HELD_OUT = 6  # one sixth of the subjects decides when to stop
FALLBACK_ROUNDS = 100
# Threads of XGBoost wait for each other by spinning. If another program uses a core, two threads can take
# thirty times as long as one.
THREADS = 1


@dataclass(eq=False, repr=False, kw_only=True)
class XGBoost(FoldSearch):
    """What the classifier and the regressor share: trees on principal components, their number chosen.

    Attributes:
        components: principal components that a longer vector is reduced to.
        max_rounds: the greatest number of trees per class.
        learning_rate: factor of each tree's correction.
        max_depth: the greatest depth of a tree.
        column_share: share of the numbers that a tree may use.
        patience: rounds without an improvement on the held-out subjects after which the training stops.
        device: "cpu" or "cuda"; the device that XGBoost really used is read back.
        booster_: the fitted trees in XGBoost's UBJSON format.
    """

    allowed: ClassVar[Allowed] = {
        "components": Within(1),
        "max_rounds": Within(1),
        "max_depth": Within(1),
        "learning_rate": Within(0, 1),
        "column_share": Within(0.01, 1),
        "patience": Within(1),
    }

    shown_facts: ClassVar[tuple[str, ...]] = ("is_regression",)

    components: int = 128
    max_rounds: int = 400
    learning_rate: float = 0.1
    max_depth: int = 5
    column_share: float = 0.5
    patience: int = 20
    device: str = "cpu"

    def fit(self, X: Any, y: Any, groups: Any = None, **unknown: Any) -> Self:
        """Learn components, number of rounds and trees.

        Args:
            X: vectors, shape (n, dim).
            y: labels of any kind, or years, shape (n,).
            groups: the subject of each row, shape (n,); some subjects are held out. None if each row is
                another subject.
            unknown: not allowed, e.g. sample_weight.

        Raises:
            TypeError: there are further arguments.
            EngineError: the device is not available.
        """
        X, y, groups = self._begin(X, y, groups, unknown)
        self.summary_: dict[str, Any] = {"notes": []}
        labels, codes = self._learn_labels(y)
        self.learn_scaling(X, self.components)
        reduced = self.scaled(X)
        try:
            fold = subject_exclusive_folds(codes, groups, n_folds=HELD_OUT, seed=self._seed)[0]
        except FoldError as error:
            rounds = FALLBACK_ROUNDS
            self.summary_["notes"].append(
                f"{rounds} rounds were used, because the number could not be chosen on held-out subjects."
                f" {error}"
            )
        else:
            trial = self._train_until_it_stops(
                self._matrix(reduced[fold.train], labels[fold.train]),
                self._matrix(reduced[fold.test], labels[fold.test]),
            )
            rounds = trial.best_iteration + 1
        booster = xgboost.train(self._parameters(), self._matrix(reduced, labels), rounds)
        self.booster_ = bytes(booster.save_raw("ubj"))
        config = json.loads(booster.save_config())["learner"]["generic_param"]
        if config["device"].partition(":")[0] != self.device.partition(":")[0]:
            raise EngineError(
                f"{self.device} was requested, but XGBoost ran on {config['device']}, because it finds no"
                " GPU or was built without CUDA. `featurekit doctor` says what this machine has."
            )
        self.summary_ |= {"rounds": rounds, "device": config["device"], "class_weight": None}
        if len(self.axes_):
            self.summary_["components"] = len(self.axes_)
        return self

    def _fold_scores(
        self, X: NDArray[np.float32], y: NDArray[Any], fold: Fold, candidates: Sequence[Mapping[str, Any]]
    ) -> Sequence[float]:
        """Learn the principal components once for all candidates.

        The held-out subjects of the fold also decide when the training stops. This favors all candidates
        alike; the chosen candidate finds its own number of rounds when it is fitted.
        """
        labels, _ = self._learn_labels(y[fold.train])
        self.learn_scaling(X[fold.train], self.components)
        train, test = self.scaled(X[fold.train]), self.scaled(X[fold.test])
        of_test = (
            from_years(y[fold.test], self.center_, self.unit_)
            if self.is_regression
            else np.searchsorted(self.classes_, y[fold.test])
        )

        def try_out(candidate: Mapping[str, Any]) -> float:
            one = self._with(candidate)
            # Each candidate has its own matrices, because the training writes into them.
            held_out = one._matrix(test, of_test)
            booster = one._train_until_it_stops(one._matrix(train, labels), held_out)
            said = booster.predict(held_out, iteration_range=(0, booster.best_iteration + 1))
            return held_out_score(y[fold.test], one._answers(said))

        return list(Parallel(n_jobs=self._threads, require="sharedmem")(map(delayed(try_out), candidates)))

    def _learn_labels(self, y: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.intp]]:
        """Return the labels to learn, and the classes by which the held-out subjects are stratified."""
        if self.is_regression:
            labels, self.center_, self.unit_ = learn_years(y)
            # The held-out subjects should be of all ages.
            return labels, np.searchsorted(np.quantile(labels, [0.2, 0.4, 0.6, 0.8]), labels).astype(np.intp)
        # XGBoost needs the labels 0 to k - 1, and a fold may lack a class.
        self.classes_, codes = np.unique(y, return_inverse=True)
        return codes, codes

    def _parameters(self) -> dict[str, Any]:
        return {
            "objective": "reg:squarederror" if self.is_regression else "multi:softprob",
            **({} if self.is_regression else {"num_class": len(self.classes_)}),
            "tree_method": "hist",
            "device": self.device,
            "max_bin": 64,
            "eta": self.learning_rate,
            "max_depth": self.max_depth,
            "subsample": 0.8,
            "colsample_bytree": self.column_share,
            "seed": self._seed,
            "nthread": THREADS,
            "verbosity": 0,
        }

    def _train_until_it_stops(self, train: xgboost.DMatrix, held_out: xgboost.DMatrix) -> Any:
        return xgboost.train(
            self._parameters(),
            train,
            self.max_rounds,
            evals=[(held_out, "held_out")],
            early_stopping_rounds=self.patience,
            verbose_eval=False,
        )

    def _answers(self, said: NDArray[Any]) -> NDArray[Any]:
        """Return numbers as years, or probabilities as labels."""
        if self.is_regression:
            return to_years(said, self.center_, self.unit_)
        return np.asarray(self.classes_[said.argmax(axis=1)])

    def check_learned(self, unfitted: Any) -> None:
        """Raise ValueError unless every tree leads to a leaf; XGBoost does not check its nodes."""
        content = json.loads(self._booster().save_raw("json"))["learner"]
        facts, model = content["learner_model_param"], content["gradient_booster"]["model"]
        n_inputs = len(self.axes_) or len(self.mean_)
        if (
            content["gradient_booster"]["name"] != "gbtree"
            or int(facts["num_feature"]) != n_inputs
            or int(facts["num_target"]) != 1
            or not all(0 <= group < max(int(facts["num_class"]), 1) for group in model["tree_info"])
        ):
            raise ValueError(
                "its trees are not those of featurekit, or have another number of features or classes."
            )
        for tree in model["trees"]:
            if any(tree["split_type"]):
                raise ValueError("a tree compares categories instead of numbers.")
            left, right, features = (
                np.array(tree[name]) for name in ("left_children", "right_children", "split_indices")
            )
            check_tree(left, right, features, n_inputs)

    def _booster(self) -> xgboost.Booster:
        booster = xgboost.Booster({"nthread": THREADS, "verbosity": 0})
        booster.load_model(bytearray(self.booster_))
        return booster

    def _ask(self, X: Any) -> NDArray[np.float64]:
        numbers = self.scaled(self._asked(X))
        return np.asarray(self._booster().predict(self._matrix(numbers)), np.float64)

    def _matrix(self, reduced: NDArray[np.float32], labels: NDArray[Any] | None = None) -> xgboost.DMatrix:
        return xgboost.DMatrix(reduced, label=labels, nthread=THREADS)


class XGBoostClassifier(LabelClassifier, XGBoost):
    """Gradient-boosted trees of classes."""

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return the probability of each class of classes_, shape (n, n_classes)."""
        return adding_to_one(self._ask(X))


class XGBoostRegressor(RegressorMixin, XGBoost):
    """Gradient-boosted trees of years."""

    is_regression: ClassVar[bool] = True

    def predict(self, X: Any) -> NDArray[np.float64]:
        """Return the years of each row, shape (n,)."""
        return self._answers(self._ask(X))
