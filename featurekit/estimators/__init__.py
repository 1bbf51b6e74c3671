"""Classifiers and regressors that predict a target from vectors or from face crops.

Each file of this folder registers a classifier: a function that returns an unfitted
estimator, and facts about it, which the command line and the report show. An estimator
learns everything (scaling, PCA, probabilities) in fit(), from the rows that fit()
receives. The estimators follow scikit-learn's contract. Their classes are in modules
whose names start with an underscore. These modules are imported only when an estimator
is made, so that the classifiers can be listed quickly.

The estimators of vectors can be used in any pipeline of scikit-learn under these names:

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
    """Face crops as the input of a classifier; all folds share the same pixels without copying them.

    Attributes:
        pixels: pixels of all crops, uint8, shape (n_all, side · side · 3) or (n_all, side, side, 3).
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
    """Hardware, files and progress function for an estimator.

    What the estimator learns does not depend on them, except for the last bits on a GPU.

    Attributes:
        device: "auto", "cpu" or "cuda"; None for the estimator's default.
        memory: bytes that kernel matrices may take; None for half of the free memory.
        threads: number of threads.
        checkpoints: folder with the checkpoint files of interrupted trainings, which a fit continues; None to
            write no checkpoints.
        progress: function that a long fit calls with a short message and the share of the work that is done.
    """

    device: str | None = None
    memory: int | None = None
    threads: int = 1
    checkpoints: Path | None = None
    progress: Callable[[str, float], None] | None = None


class Classifier(Protocol):
    """An estimator that follows scikit-learn's contract for get_params(), set_params() and clone().

    If features of several networks are joined to one vector, featurekit sets the parameter `feature_blocks`,
    where the estimator has it, to the length of each network's part, so that a long part does not outweigh a
    short one. A classifier of face crops receives Crops, or an array of pixels, instead of vectors. It has
    the parameter `networks` if it starts from pretrained networks, and its fit() accepts the labels of
    further targets as the argument `also` (target → labels).

    Attributes:
        classes_: sorted labels of the training rows; absent for a regression target.
        summary_: facts about the fit for the report: kernel, number of trees, notes; plain JSON values.
    """

    classes_: NDArray[Any]
    summary_: dict[str, Any]

    def validate(self) -> None:
        """Raise ModelError unless every parameter has a valid value; fit() calls it too."""

    def use(self, resources: Resources) -> Self:
        """Set threads, device, memory, checkpoints and progress function; return the estimator."""

    def bytes_needed(self, n_rows: int, *, searching: bool) -> int:
        """Return the bytes that the matrices of a fit or a grid search on n_rows take; 0 if negligible."""

    def shown_parameters(self) -> dict[str, Any]:
        """Return the parameters that a report shows."""

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the names and values of the parameters."""

    def set_params(self, **parameters: Any) -> Self:
        """Change parameters by name; validate() checks the values."""

    def fit(self, X: Any, y: NDArray[Any], groups: NDArray[Any] | None = None) -> Self:
        """Fit to vectors (n, dim), labels or numbers (n,), and the subject of each row (n,)."""

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the predicted label, or number, of each row, shape (n,)."""

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return the probability of each class of classes_, shape (n, n_classes); classifiers only."""


@runtime_checkable
class Searcher(Protocol):
    """A classifier that scores many combinations of parameters faster than by fitting each separately.

    search_scores() is optional: a grid search works for every classifier that has a grid, and uses this
    method if the classifier has it.
    """

    def search_scores(
        self,
        X: NDArray[np.float32],
        y: NDArray[Any],
        *,
        folds: Sequence[Fold],
        candidates: Sequence[Mapping[str, Any]],
    ) -> NDArray[np.float64] | None:
        """Return the score of each candidate (combination of parameters) on the held-out rows of each fold.

        A score is the accuracy or, for a regression target, the negative mean absolute error. Nothing may be
        learned from rows outside a fold's training part, and the estimator itself is not changed.

        Returns:
            Shape (n_candidates, n_folds); None if the candidates share no work, so that each must be
            fitted.
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
    """A registered classifier: its name, the function that makes it, and facts about it.

    Attributes:
        name: name on the command line and in Python.
        about: description in one line for `featurekit list models` and the report.
        make: function of (target, random_state, n_jobs) that returns an unfitted estimator.
        reads: input of the estimator, "embeddings" or "crops".
        features: target → the only features that the estimator accepts, as for off_the_shelf; None if it
            accepts any features.
        is_baseline: whether every comparison includes it as a baseline, fitted on one feature set only.
        grid: target → parameter → values to be searched, which include the default. Simpler values come
            first (stronger penalties, shallower trees), because the first of equal candidates is chosen.
            featurekit sets the values by set_params(). None if the classifier has no parameters to
            tune.
        needs: name of a module that the estimator imports and that featurekit's extra of the same name
            installs; None if featurekit's own dependencies are enough.
        starts_from: names of the pretrained networks that the estimator trains further by default; empty if
            it starts from none.
        also: target → names of the other targets that the same network learns; None for none.
        uses_gpu: whether the estimator can compute on a GPU.
        trusted_types: dotted names of the types that a fitted estimator contains, beside plain values and
            arrays. A saved model that contains any other type is not loaded. Empty if the estimator
            is saved as tensors.
        more_trusted: function that returns further trusted types when a model is saved or loaded; None for
            none.
        reads_target: target → whether the classifier can learn it; None if it can learn any.
        is_given: whether it is an estimator of scikit-learn that the user provided.
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
        """Dotted names of the types that a saved model may contain; no model file can add to them."""
        return (*PLAIN_TYPES, *self.trusted_types, *(self.more_trusted() if self.more_trusted else ()))

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Pickle a classifier that is installed as its name, because its functions may be lambdas."""
        return (_named, (self.name,)) if CLASSIFIERS.is_installed(self) else super().__reduce_ex__(protocol)


CLASSIFIERS: Registry[ClassifierKind] = Registry(
    "model", "featurekit.estimators", ClassifierKind, "featurekit.estimators"
)


def _named(name: str) -> ClassifierKind:
    return CLASSIFIERS[name]


def classifier(
    name: str, *, about: str, **facts: Any
) -> Callable[[Callable[[Target, int, int], Classifier]], ClassifierKind]:
    """Register the decorated function as the classifier called name.

    >>> @classifier("coin", about="tosses a coin")        # doctest: +SKIP
    ... def make_coin(target, random_state, n_jobs): ...
    """
    return lambda make: CLASSIFIERS.add(ClassifierKind(name=name, about=about, make=make, **facts))


def either(of_classes: str, of_numbers: str, **parameters: Any) -> Callable[[Target, int, int], Classifier]:
    """Return a function that makes a classifier or a regressor of this package, whichever suits the target.

    Args:
        of_classes: name of the class of the classifier.
        of_numbers: name of the class of the regressor.
        parameters: non-default parameters of both classes.
    """
    return lambda target, random_state, n_jobs: __getattr__(
        of_numbers if target.is_regression else of_classes
    )(random_state=random_state, n_jobs=n_jobs, **parameters)


def alias(name: str, *, of: ClassifierKind, about: str, **parameters: Any) -> ClassifierKind:
    """Register an older name of a classifier, with other default parameters.

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
    """Return an unfitted estimator with the given parameters.

    Args:
        kind: the classifier.
        target: the target that the estimator predicts.
        blocks: length of each network's part of the vectors; empty if they come from one network.
        networks: pretrained networks that a classifier of crops starts from; empty for its default ones.
        parameters: the non-default parameters, by the names that settable() returns.
        seed: seed of the random number generator.
        resources: threads, device, memory and files; None for one thread and the default device.
    """
    resources = resources or Resources()
    classifier = kind.make(target, seed, resources.threads)
    changes: dict[str, Any] = {}
    if len(blocks) > 1:
        changes["feature_blocks"] = blocks
    if networks and kind.starts_from:
        changes["networks"] = networks
    changes |= {
        name if name in classifier.get_params() else _PARAMETER_OF.get(name, name): value
        for name, value in parameters.items()
    }
    return classifier.set_params(**changes).use(resources)


def settable(kind: ClassifierKind, target: Target) -> list[str]:
    """Return the names of the parameters that a user can set, as results show them."""
    classifier = kind.make(target, 0, 1)
    own = classifier.get_params()
    return [
        name
        for name in classifier.shown_parameters()
        if (name in own or _PARAMETER_OF.get(name) in own)
        and not (kind.is_given and name == "model")  # a user cannot replace the estimator itself
    ]


def candidates(grid: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Return every combination of a parameter grid; the last parameter changes fastest.

    >>> candidates({"C": [1, 2], "gamma": [0.5]})
    [{'C': 1, 'gamma': 0.5}, {'C': 2, 'gamma': 0.5}]
    """
    return [dict(zip(grid, values, strict=True)) for values in product(*grid.values())]


def held_out_score(true: NDArray[Any], said: NDArray[Any]) -> float:
    """Return the score that a grid search maximizes: the accuracy, or the negative mean absolute error.

    >>> held_out_score(np.array([1, 2]), np.array([1, 0])), held_out_score(np.array([30.0]), np.array([28.0]))
    (0.5, -2.0)
    """
    return -float(np.abs(said - true).mean()) if true.dtype.kind == "f" else float((said == true).mean())


def check_training_labels(target: Target, y: NDArray[Any]) -> None:
    """Raise TargetError unless the labels differ, so that there is something to learn.

    Args:
        target: the target.
        y: class numbers of the training faces, or their values of a regression target, shape (n,).

    Raises:
        TargetError: there are no labels, all labels are the same, or a value is missing.
    """
    if not len(y):
        raise TargetError(f"No training face has a label of {target.name}.")
    if target.is_regression and not np.isfinite(y).all():
        raise TargetError(f"{np.count_nonzero(~np.isfinite(y))} training faces have no {target.name}.")
    if (y == y[0]).all():
        raise TargetError(
            f"All training faces have the same {target.name}, {y[0]:g}, so nothing can be learned about it."
            if target.is_regression
            else f"All training faces are {target.classes[int(y[0])]}, but {target.name} needs at least two"
            " classes. Label faces of another class."
        )
