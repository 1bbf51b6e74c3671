"""Read a target from vectors.

A classifier is one file here: a function that makes a fresh, unfitted estimator,
decorated with the facts that a reader of the report needs. Everything it learns
(scaling, PCA, probabilities) it learns in fit(), from the rows that fit() receives.
The estimators follow scikit-learn's contract. Their classes are in modules whose names
start with an underscore; these are imported when an estimator is made, so that listing
the classifiers is quick.

The estimators that read vectors can be used in any pipeline under these names:

    from featurekit.estimators import SVM, ForestClassifier, XGBoostRegressor
"""

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from featurekit.data.splits import Fold
from featurekit.data.targets import Target
from featurekit.errors import TargetError
from featurekit.estimators._parameters import SHOWN_AS
from featurekit.registry import Registry

if TYPE_CHECKING:
    from featurekit.estimators._boosting import XGBoostClassifier, XGBoostRegressor
    from featurekit.estimators._floor import MajorityClassifier, MedianRegressor
    from featurekit.estimators._forest import ForestClassifier, ForestRegressor
    from featurekit.estimators._linear import LinearClassifier, LinearRegressor
    from featurekit.estimators._mlp import MLPClassifier, MLPRegressor
    from featurekit.estimators._svm.classifier import SVM
    from featurekit.estimators._svm.regressor import SVMRegressor

# Class → the module that defines it. The module is heavy and is imported when the class is first used.
_MODULES = {
    "ForestClassifier": "_forest",
    "ForestRegressor": "_forest",
    "LinearClassifier": "_linear",
    "LinearRegressor": "_linear",
    "MLPClassifier": "_mlp",
    "MLPRegressor": "_mlp",
    "MajorityClassifier": "_floor",
    "MedianRegressor": "_floor",
    "SVM": "_svm.classifier",
    "SVMRegressor": "_svm.regressor",
    "XGBoostClassifier": "_boosting",
    "XGBoostRegressor": "_boosting",
}

__all__ = [
    "CLASSIFIERS",
    "SVM",
    "Classifier",
    "ClassifierKind",
    "Crops",
    "ForestClassifier",
    "ForestRegressor",
    "LinearClassifier",
    "LinearRegressor",
    "MLPClassifier",
    "MLPRegressor",
    "MajorityClassifier",
    "MedianRegressor",
    "Resources",
    "SVMRegressor",
    "Searcher",
    "XGBoostClassifier",
    "XGBoostRegressor",
    "classifier",
]


def __getattr__(name: str) -> Any:
    """Import the module of a class when the class is used."""
    if name not in _MODULES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)


NOTHING: Mapping[str, Any] = MappingProxyType({})
# Parameters that change the cost of a fit, or that featurekit sets itself. No message suggests them.
MACHINERY = frozenset({"threads", "n_jobs", "memory_limit", "feature_blocks", "gram_up_to", "target_name"})
# The name that a run shows → the name of the parameter.
_PARAMETER_OF = {shown: name for name, shown in SHOWN_AS.items()}


@dataclass(frozen=True)
class Crops:
    """Face crops for a classifier that reads crops; all folds share the same pixels without copying them.

    Attributes:
        pixels: uint8, shape (n_all, side · side · 3) or (n_all, side, side, 3).
        rows: row numbers of the selected faces, shape (n,).
    """

    pixels: NDArray[np.uint8]
    rows: NDArray[np.intp]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, which: NDArray[Any]) -> "Crops":
        """Return some of the selected faces, by position or by a mask."""
        return Crops(self.pixels, self.rows[which])


@dataclass(frozen=True, kw_only=True)
class Resources:
    """What an estimator may use. What it learns does not depend on it, except for the last bits on a GPU.

    Attributes:
        device: "auto", "cpu" or "cuda"; None for the estimator's own.
        memory: bytes that kernel matrices may take; None for half of the free memory.
        threads: number of threads.
        checkpoints: folder with the checkpoints from which an interrupted training continues; None for none.
        progress: called during a long fit with a short message and the share that is done.
    """

    device: str | None = None
    memory: int | None = None
    threads: int = 1
    checkpoints: Path | None = None
    progress: Callable[[str, float], None] | None = None


class Classifier(Protocol):
    """An estimator that follows scikit-learn's contract for get_params(), set_params() and clone().

    If it has the parameter `feature_blocks`, that is set to the lengths of the parts of a joined vector
    before the fit, so that a long part does not outweigh a short one. A classifier that reads crops
    receives faces (Crops or an array) instead of vectors. It has the parameter `networks` if it starts from
    pretrained networks, and its fit() accepts further labels to learn as `also` (target → labels).

    Attributes:
        classes_: labels seen in training, increasing; absent for a target in years.
        summary_: what a reader should know about the fit: kernel, number of trees, notes; plain JSON values.
    """

    classes_: NDArray[Any]
    summary_: dict[str, Any]

    def validate(self) -> None:
        """Raise ModelError unless every parameter has a valid value; fit() calls it too."""

    def use(self, resources: Resources) -> Self:
        """Set what the estimator may use, and return the estimator."""

    def bytes_needed(self, n_rows: int, *, searching: bool) -> int:
        """Return the bytes that the matrices of a fit, or a search, on n_rows take; 0 if negligible."""

    def shown_parameters(self) -> dict[str, Any]:
        """Return the parameters that a report shows."""

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters, by name."""

    def set_params(self, **parameters: Any) -> Self:
        """Change parameters by name; validate() checks the values."""

    def fit(self, X: Any, y: NDArray[Any], groups: NDArray[Any] | None = None) -> Self:
        """Learn from vectors (n, dim), labels or years (n,), and the subject of each row (n,)."""

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the label, or the years, of each row, shape (n,)."""

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return the probability of each class of classes_, shape (n, n_classes); only for classes."""


@runtime_checkable
class Searcher(Protocol):
    """A classifier that scores many candidates faster than one fit each, by sharing their common work.

    The method is optional: every classifier with a grid can be searched, one with this method faster.
    """

    def search_scores(
        self,
        X: NDArray[np.float32],
        y: NDArray[Any],
        *,
        folds: Sequence[Fold],
        candidates: Sequence[Mapping[str, Any]],
    ) -> NDArray[np.float64] | None:
        """Return the score of each candidate on the held-out rows of each fold.

        A score is the accuracy, or for a regression target minus the mean absolute error. Nothing may be
        learned from rows outside a fold's training part, and the estimator itself is not changed.

        Returns:
            Shape (n_candidates, n_folds); None if no work can be shared and each candidate must be fitted.
        """


# The types that every fitted classifier may contain: values and arrays.
PLAIN_TYPES = (
    "builtins.bytes",
    "builtins.dict",
    "builtins.list",
    "builtins.str",
    "builtins.tuple",
    "numpy.bool",
    "numpy.float32",
    "numpy.float64",
    "numpy.int32",
    "numpy.int64",
    "numpy.ndarray",
)


@dataclass(frozen=True)
class ClassifierKind:
    """One way to read a target from vectors.

    Attributes:
        name: the name that users give.
        about: one line for `featurekit list models` and the report.
        make: (target, random_state, n_jobs) → a fresh estimator.
        reads: "embeddings" or "crops".
        features: target → the only features that it reads, for a member with features of its own
            (off_the_shelf); None if it reads any features.
        is_baseline: whether it is in every comparison as a baseline, fitted on one feature set only.
        grid: target → parameter → values to be searched, which include the default. Simpler values come
            first (stronger penalties, shallower trees), because the first of equal candidates is chosen.
            The estimator receives them by set_params(). None if there is nothing to tune.
        needs: name of a module that it needs and that featurekit's extra of the same name installs; None if
            featurekit's own dependencies are enough.
        starts_from: the default networks of a classifier that trains pretrained networks further; empty
            for any other.
        also: target → names of the targets that are learned together with it.
        uses_gpu: whether it can compute on a GPU.
        trusted_types: dotted names of the types that a fitted estimator contains, beside plain values and
            arrays. A saved model that contains any other type is not read. Empty if it is saved as tensors.
        more_trusted: returns further such types when a model is saved or read; None for none.
        reads_target: target → whether the classifier can learn it; None if it can learn any.
        is_given: whether a user gave the estimator, instead of naming a registered classifier.
    """

    name: str
    about: str
    make: Callable[[Target, int, int], Classifier]
    reads: Literal["embeddings", "crops"] = "embeddings"
    features: Callable[[Target], str | None] | None = None
    is_baseline: bool = False
    grid: Callable[[Target], Mapping[str, Sequence[Any]]] | None = None
    needs: str | None = None
    starts_from: tuple[str, ...] = ()
    also: Callable[[Target], Sequence[str]] | None = None
    uses_gpu: bool = False
    trusted_types: tuple[str, ...] = ()
    more_trusted: Callable[[], Sequence[str]] | None = None
    reads_target: Callable[[Target], bool] | None = None
    is_given: bool = False

    @property
    def may_hold(self) -> tuple[str, ...]:
        """The types that a saved model may contain; a file can never extend them."""
        return (*PLAIN_TYPES, *self.trusted_types, *(self.more_trusted() if self.more_trusted else ()))


CLASSIFIERS: Registry[ClassifierKind] = Registry(
    "model", "featurekit.estimators", ClassifierKind, "featurekit.estimators"
)


def classifier(
    name: str, *, about: str, **facts: Any
) -> Callable[[Callable[[Target, int, int], Classifier]], ClassifierKind]:
    """Register the decorated function as the classifier called name.

    >>> @classifier("coin", about="tosses a coin")        # doctest: +SKIP
    ... def make_coin(target, random_state, n_jobs): ...
    """
    return lambda make: CLASSIFIERS.add(ClassifierKind(name=name, about=about, make=make, **facts))


def alias(name: str, *, of: ClassifierKind, about: str, **parameters: Any) -> ClassifierKind:
    """Register an older name for a classifier with some of its parameters changed.

    >>> alias("two_coins", of=make_coin, about="tosses two coins", n_coins=2)        # doctest: +SKIP
    """
    return CLASSIFIERS.add_alias(
        replace(of, name=name, about=about, make=lambda *given: of.make(*given).set_params(**parameters))
    )


def fresh(
    kind: ClassifierKind,
    target: Target,
    *,
    blocks: tuple[int, ...] = (),
    networks: tuple[str, ...] = (),
    parameters: Mapping[str, Any] = NOTHING,
    seed: int = 0,
    resources: Resources | None = None,
) -> Classifier:
    """Return an unfitted classifier for certain features, with some of its parameters changed.

    Args:
        kind: which classifier.
        target: what it predicts.
        blocks: lengths of the parts of a joined vector.
        networks: pretrained networks that a classifier of crops starts from.
        parameters: the non-default parameters, by the names that settable() returns.
        seed: seed of the random number generator.
        resources: what it may use; None for one thread and its own device.
    """
    resources = resources or Resources()
    classifier = kind.make(target, seed, resources.threads)
    changes: dict[str, Any] = {}
    if len(blocks) > 1:
        changes["feature_blocks"] = blocks
    if networks and kind.starts_from:
        changes["networks"] = networks
    own = classifier.get_params()
    changes |= {
        name if name in own else _PARAMETER_OF.get(name, name): value for name, value in parameters.items()
    }
    return classifier.set_params(**changes).use(resources)


def settable(kind: ClassifierKind, target: Target) -> list[str]:
    """Return the names of the parameters that a user can set, as runs show them."""
    classifier = kind.make(target, 0, 1)
    own = classifier.get_params()
    return [
        name
        for name in classifier.shown_parameters()
        if (name in own or _PARAMETER_OF.get(name) in own)
        and not (kind.is_given and name == "model")  # a user cannot replace the estimator itself
    ]


def candidates(grid: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Return every combination of a grid, the last parameter changing first.

    >>> candidates({"C": [1, 2], "gamma": [0.5]})
    [{'C': 1, 'gamma': 0.5}, {'C': 2, 'gamma': 0.5}]
    """
    return [dict(zip(grid, values, strict=True)) for values in product(*grid.values())]


def held_out_score(true: NDArray[Any], said: NDArray[Any]) -> float:
    """Return the score that a search maximizes: the accuracy, or minus the mean absolute error in years.

    >>> held_out_score(np.array([1, 2]), np.array([1, 0])), held_out_score(np.array([30.0]), np.array([28.0]))
    (0.5, -2.0)
    """
    return -float(np.abs(said - true).mean()) if true.dtype.kind == "f" else float((said == true).mean())


def check_training_labels(target: Target, y: NDArray[Any]) -> None:
    """Raise TargetError unless the labels differ, so that there is something to learn.

    Args:
        target: the target that y belongs to.
        y: class numbers, or years, of the faces to learn from, shape (n,).

    Raises:
        TargetError: no labels, labels of one class only, or years that are missing or all the same.
    """
    if not len(y):
        raise TargetError(f"No training face has a label of {target.name}.")
    if target.is_regression and not np.isfinite(y).all():
        raise TargetError(f"{np.count_nonzero(~np.isfinite(y))} training faces have no {target.name}.")
    if (y == y[0]).all():
        raise TargetError(
            f"All training faces are {y[0]:g} years old, so nothing can be learned about {target.name}."
            if target.is_regression
            else f"All training faces are {target.classes[int(y[0])]}, but {target.name} needs at least two"
            " classes."
        )
