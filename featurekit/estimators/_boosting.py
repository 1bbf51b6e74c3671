"""Gradient-boosted trees of XGBoost on principal components, their number chosen on held-out subjects."""

import json
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin, RegressorMixin

from featurekit.data.splits import Fold, subject_exclusive_folds
from featurekit.errors import EngineError, FoldError
from featurekit.estimators import Resources, held_out_score
from featurekit.estimators._estimator import Estimator
from featurekit.estimators._parameters import Allowed, Within
from featurekit.estimators._scaling import from_years, learn_years, to_years
from featurekit.estimators._trees import check_tree

if TYPE_CHECKING:
    import xgboost


HELD_OUT = 6  # one sixth of the subjects decides when to stop
FALLBACK_ROUNDS = 100
# Its threads wait for each other by spinning: where another program has a core, two have been seen to take
# thirty times as long as one.
THREADS = 1


@dataclass(eq=False, repr=False, kw_only=True)
class XGBoost(Estimator):
    """What the classifier and the regressor share: trees on principal components, their number found.

    Attributes:
        components: numbers a vector is reduced to.
        max_rounds: trees a class at most.
        learning_rate: how much of each tree's correction is taken.
        max_depth: questions a tree asks at most.
        column_share: share of the numbers that a tree sees.
        patience: rounds without an improvement on the held-out subjects before it stops.
        device: "cpu" or "cuda"; what XGBoost really used is read back.
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

    components: int = 128
    max_rounds: int = 400
    learning_rate: float = 0.1
    max_depth: int = 5
    column_share: float = 0.5
    patience: int = 20
    device: str = "cpu"

    def _shown_facts(self) -> dict[str, Any]:
        return {"is_regression": self.is_regression}

    def use(self, resources: Resources) -> Self:
        """Take threads and a device."""
        if resources.device is not None:
            self.device = resources.device
        return super().use(resources)

    def fit(self, X: Any, y: Any, groups: Any = None, **unknown: Any) -> Self:
        """Learn components, number of rounds and trees.

        Args:
            X: vectors, shape (n, dim).
            y: labels of any kind, or years, shape (n,).
            groups: the person on each row, shape (n,): some are held out; None for one a row.
            unknown: nothing: whatever else is given is refused.

        Raises:
            TypeError: something else was given, e.g. sample_weight.
            EngineError: the device cannot be had.
        """
        import xgboost

        self._refuse(unknown)
        X, y, groups = self._begin(X, y, groups)
        self.summary_: dict[str, Any] = {"notes": []}
        labels, codes = self._learn_labels(y)
        parameters = self._parameters()
        self.learn_scaling(X, self.components)
        reduced = self.scaled(X)
        try:
            fold = subject_exclusive_folds(codes, groups, n_folds=HELD_OUT, seed=self._seed)[0]
        except FoldError as error:
            rounds = FALLBACK_ROUNDS
            self.summary_["notes"].append(f"{rounds} rounds, not chosen on held-out subjects. {error}")
        else:
            trial = self._train_until_it_stops(
                self._matrix(reduced[fold.train], labels[fold.train]),
                self._matrix(reduced[fold.test], labels[fold.test]),
            )
            rounds = trial.best_iteration + 1
        booster = xgboost.train(parameters, self._matrix(reduced, labels), rounds)
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

    def search_scores(
        self,
        X: NDArray[np.float32],
        y: NDArray[Any],
        *,
        folds: Sequence[Fold],
        candidates: Sequence[Mapping[str, Any]],
    ) -> NDArray[np.float64] | None:
        """Return the score of every candidate on every fold; principal components are learned once a fold.

        A fold's held-out subjects say when to stop, too: the number of rounds costs nothing, and is the
        best for every candidate alike. The chosen one finds its own number when it is fitted.

        Returns:
            Shape (n_candidates, n_folds); None where a candidate changes the components.
        """
        if any({"components", "feature_blocks"} & set(candidate) for candidate in candidates):
            return None
        X, y = self._search_inputs(X, y)
        scores = np.empty((len(candidates), len(folds)))
        for number, fold in enumerate(folds):
            reader = copy(self)
            reader._draw_seed()
            labels, _ = reader._learn_labels(y[fold.train])
            reader.learn_scaling(X[fold.train], self.components)
            train, test = reader.scaled(X[fold.train]), reader.scaled(X[fold.test])
            of_test: NDArray[Any]
            if self.is_regression:
                of_test = from_years(y[fold.test], reader.center_, reader.unit_)
            else:
                of_test = np.searchsorted(reader.classes_, y[fold.test])

            def try_out(
                candidate: Mapping[str, Any],
                reader: "XGBoost" = reader,
                data: tuple[NDArray[Any], ...] = (train, labels, test, of_test, y[fold.test]),
            ) -> float:
                train, labels, test, of_test, true = data
                one = copy(reader)
                one.set_params(**candidate)
                one.validate()
                # Matrices of its own: training writes into them.
                held_out = one._matrix(test, of_test)
                booster = one._train_until_it_stops(one._matrix(train, labels), held_out)
                said = booster.predict(held_out, iteration_range=(0, booster.best_iteration + 1))
                return held_out_score(true, one._answers(said))

            scores[:, number] = Parallel(n_jobs=self._threads, require="sharedmem")(
                delayed(try_out)(candidate) for candidate in candidates
            )
        return scores

    def _learn_labels(self, y: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.intp]]:
        """Return what is learned, and classes that held-out subjects should have their share of."""
        if self.is_regression:
            labels, self.center_, self.unit_ = learn_years(y)
            # Held-out subjects should be of all ages.
            return labels, np.searchsorted(np.quantile(labels, [0.2, 0.4, 0.6, 0.8]), labels).astype(np.intp)
        # XGBoost wants 0 to k - 1, and a fold may lack a class.
        self.classes_, codes = np.unique(y, return_inverse=True)
        return codes, codes

    def _parameters(self) -> dict[str, Any]:
        objective: dict[str, Any] = {"objective": "reg:squarederror"}
        if not self.is_regression:
            objective = {"objective": "multi:softprob", "num_class": len(self.classes_)}
        return objective | {
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

    def _train_until_it_stops(self, train: "xgboost.DMatrix", held_out: "xgboost.DMatrix") -> Any:
        import xgboost

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
        numbers: NDArray[np.intp] = self.classes_[said.argmax(axis=1)]
        return numbers

    def check_learned(self, unfitted: Any) -> None:
        """Raise ValueError unless every tree can be climbed: XGBoost looks at no number of their nodes."""
        content = json.loads(self._booster().save_raw("json"))["learner"]
        facts, model = content["learner_model_param"], content["gradient_booster"]["model"]
        n_inputs = len(self.axes_) or len(self.mean_)
        n_groups = max(int(facts["num_class"]), 1)
        if (
            content["gradient_booster"]["name"] != "gbtree"
            or int(facts["num_feature"]) != n_inputs
            or int(facts["num_target"]) != 1
            or not all(0 <= group < n_groups for group in model["tree_info"])
        ):
            raise ValueError("its booster is of another size, or kind, than it.")
        for tree in model["trees"]:
            left, right, features = (
                np.array(tree[name]) for name in ("left_children", "right_children", "split_indices")
            )
            if any(tree["split_type"]):
                raise ValueError("a tree asks for categories.")
            check_tree(left, right, features, left == -1, n_inputs)

    def _booster(self) -> "xgboost.Booster":
        import xgboost

        booster = xgboost.Booster({"nthread": THREADS, "verbosity": 0})
        booster.load_model(bytearray(self.booster_))
        return booster

    def _ask(self, X: Any) -> NDArray[np.float64]:
        numbers = self.scaled(self._asked(X))
        answers: NDArray[np.float64] = self._booster().predict(self._matrix(numbers)).astype(np.float64)
        return answers

    def _matrix(self, reduced: NDArray[np.float32], labels: NDArray[Any] | None = None) -> "xgboost.DMatrix":
        import xgboost

        return xgboost.DMatrix(reduced, label=labels, nthread=THREADS)


class XGBoostClassifier(ClassifierMixin, XGBoost):
    """Gradient-boosted trees of classes."""

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return the probability of each class of classes_, shape (n, n_classes)."""
        shares = self._ask(X)
        probabilities: NDArray[np.float64] = shares / shares.sum(axis=1, keepdims=True)
        return probabilities

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the most probable label of each row, shape (n,)."""
        return self._answers(self.predict_proba(X))


class XGBoostRegressor(RegressorMixin, XGBoost):
    """Gradient-boosted trees of years."""

    is_regression: ClassVar[bool] = True

    def predict(self, X: Any) -> NDArray[np.float64]:
        """Return the years of each row, shape (n,)."""
        return self._answers(self._ask(X))
