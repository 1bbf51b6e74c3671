"""Read a target from vectors.

A classifier is one file here: a function that makes a fresh, unfitted estimator,
decorated with what a reader of the report must know about it. Everything it
learns (scaling, PCA, probabilities) it learns in fit(), from the rows it is
given there. Estimators are scikit-learn's: their classes are in modules with an
underscore, which are imported when one is made, so that listing them is quick.

Those that read vectors stand in anybody's pipeline, under these names:

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

# Class → the module that has it, which is imported when the class is asked for: it is heavy.
_ROOMS = {
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
    """Import the class that is asked for, the first time that it is."""
    if name not in _ROOMS:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    found = getattr(importlib.import_module(f"{__name__}.{_ROOMS[name]}"), name)
    globals()[name] = found
    return found


NOTHING: Mapping[str, Any] = MappingProxyType({})
# Parameters that change what a fit takes, or that featurekit sets itself, and that no message offers.
MACHINERY = frozenset({"threads", "n_jobs", "memory_limit", "feature_blocks", "gram_up_to", "target_name"})
_INSIDE = {shown: name for name, shown in SHOWN_AS.items()}


@dataclass(frozen=True)
class Crops:
    """Faces as a classifier that reads crops is given them: folds share the pixels, and copy none.

    Attributes:
        pixels: uint8, shape (n_all, side · side · 3) or (n_all, side, side, 3).
        rows: numbers of the faces that are meant, shape (n,).
    """

    pixels: NDArray[np.uint8]
    rows: NDArray[np.intp]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, which: NDArray[Any]) -> "Crops":
        """Return some of the faces, by their positions among these, or by a mask."""
        return Crops(self.pixels, self.rows[which])


@dataclass(frozen=True, kw_only=True)
class Resources:
    """What an estimator may use; what it learns depends on none of it, but for the last bits of a GPU.

    Attributes:
        device: "auto", "cpu" or "cuda"; None for the estimator's own.
        memory: bytes that kernel matrices may take; None for half of what is free.
        threads: how many at once.
        checkpoints: folder that one which can be killed half-way goes on from; None for none.
        progress: told in a few words how one that takes long goes, and the share that is done.
    """

    device: str | None = None
    memory: int | None = None
    threads: int = 1
    checkpoints: Path | None = None
    progress: Callable[[str, float], None] | None = None


class Classifier(Protocol):
    """An estimator of scikit-learn: get_params(), set_params() and clone() are as everywhere.

    One that has the parameter `feature_blocks` is told the lengths of the parts of a joined vector
    before it is fitted, so that a long part does not drown a short one. One that reads crops is given
    faces, Crops or an array of them, in the place of vectors, has the parameter `networks` where it starts
    from some, and its fit() takes the labels that it learns `also` (target → labels).

    Attributes:
        classes_: labels seen in training, increasing; absent for a target in years.
        summary_: what a reader should know of the fit: kernel, number of trees, what was decided aloud;
            plain JSON values.
    """

    classes_: NDArray[Any]
    summary_: dict[str, Any]

    def validate(self) -> None:
        """Raise ModelError unless every parameter can have its value; fit() asks it too."""

    def use(self, resources: Resources) -> Self:
        """Take what may be used, and return the estimator."""

    def bytes_needed(self, n_rows: int, *, searching: bool) -> int:
        """Return how much memory matrices of a fit, or a search, on so many rows take; 0 for little."""

    def shown_parameters(self) -> dict[str, Any]:
        """Return what a report shows of the parameters."""

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters, by name."""

    def set_params(self, **parameters: Any) -> Self:
        """Change parameters by name; whether they can be so is asked by validate()."""

    def fit(self, X: Any, y: NDArray[Any], groups: NDArray[Any] | None = None) -> Self:
        """Learn from vectors (n, dim), labels or years (n,), and the person on each row (n,)."""

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the label, or the years, of each row, shape (n,)."""

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return the probability of each class of classes_, shape (n, n_classes); not for years."""


@runtime_checkable
class Searcher(Protocol):
    """A classifier that can try many parameters for less than a fit each: it shares what they share.

    It may be left out: every classifier with a grid is searched, this one sooner.
    """

    def search_scores(
        self,
        X: NDArray[np.float32],
        y: NDArray[Any],
        *,
        folds: Sequence[Fold],
        candidates: Sequence[Mapping[str, Any]],
    ) -> NDArray[np.float64] | None:
        """Return how well each candidate reads the held-out rows of each fold, shape (n_candidates, n_folds).

        A score is the share of right answers, or for years minus the mean absolute error. Nothing may be
        learned from rows outside a fold's training part, and the estimator itself stays as it was.

        Returns:
            The scores; None where there is nothing to share, so that each candidate is fitted by itself.
        """


# What every fitted classifier may hold: values and arrays.
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
        name: what users call it.
        about: one line for `featurekit list models` and the report.
        make: (target, random_state, n_jobs) → a fresh estimator.
        reads: "embeddings" or "crops".
        features: target name → the only features it reads, for a member that brings its own
            (off_the_shelf); None where any will do.
        is_baseline: whether it is in every comparison as a floor, fitted on one feature set only.
        grid: target → parameter → values to be searched, the default among them and the simpler first
            (stronger penalties, shallower trees): of equal candidates the first is taken. The estimator
            takes them by set_params(). None where there is nothing to tune.
        needs: name of a module without which it cannot be fitted, and which the extra of featurekit of the
            same name installs; None where featurekit's own dependencies are enough.
        starts_from: of one that reads crops and trains pretrained networks further, those it takes where
            none are named; empty for any other.
        also: target → names of the targets that are learned together with it.
        uses_gpu: whether it computes on a GPU where it is given one.
        trusted_types: what a fitted one is made of, beside plain values and arrays, by the dotted names of
            the types: a saved model that holds anything else is not read. Empty for one that is kept as
            tensors.
        more_trusted: further ones, asked for when a model is saved or read; None for none.
        reads_target: target → whether it can be learned by it; None where any can.
        is_given: whether it is a user's, and not a registered one.
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
        """Types that a saved one may be made of; never extended by what a file asks for."""
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

    def register(make: Callable[[Target, int, int], Classifier]) -> ClassifierKind:
        return CLASSIFIERS.add(ClassifierKind(name=name, about=about, make=make, **facts))

    return register


def alias(name: str, *, of: ClassifierKind, about: str, **parameters: Any) -> ClassifierKind:
    """Let an older name stand for a classifier with some of its parameters changed.

    >>> alias("two_coins", of=make_coin, about="tosses two coins", n_coins=2)        # doctest: +SKIP
    """

    def make(target: Target, random_state: int, n_jobs: int) -> Classifier:
        return of.make(target, random_state, n_jobs).set_params(**parameters)

    return CLASSIFIERS.add_alias(replace(of, name=name, about=about, make=make))


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
    """Return an unfitted classifier that knows what it will read, with some of its parameters changed.

    Args:
        kind: which classifier.
        target: what it reads.
        blocks: lengths of the parts of a joined vector.
        networks: those that one which reads crops starts from.
        parameters: that are not as they come, by the names that settable() gives.
        seed: of the random number generator.
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
    changes |= {name if name in own else _INSIDE.get(name, name): parameters[name] for name in parameters}
    return classifier.set_params(**changes).use(resources)


def settable(kind: ClassifierKind, target: Target) -> list[str]:
    """Return the names of the parameters that a user can set, as runs show them."""
    classifier = kind.make(target, 0, 1)
    own = classifier.get_params()
    # Which estimator it is, is no parameter of a user's own.
    not_theirs = {"model"} if kind.is_given else set()
    return [
        name
        for name in classifier.shown_parameters()
        if (name in own or _INSIDE.get(name) in own) and name not in not_theirs
    ]


def candidates(grid: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Return every combination of a grid, the last parameter changing first.

    >>> candidates({"C": [1, 2], "gamma": [0.5]})
    [{'C': 1, 'gamma': 0.5}, {'C': 2, 'gamma': 0.5}]
    """
    return [dict(zip(grid, values, strict=True)) for values in product(*grid.values())]


def held_out_score(true: NDArray[Any], said: NDArray[Any]) -> float:
    """Return what a search goes by: the share of right classes; for years, minus the mean absolute error.

    >>> held_out_score(np.array([1, 2]), np.array([1, 0])), held_out_score(np.array([30.0]), np.array([28.0]))
    (0.5, -2.0)
    """
    return -float(np.abs(said - true).mean()) if true.dtype.kind == "f" else float((said == true).mean())


def check_training_labels(target: Target, y: NDArray[Any]) -> None:
    """Raise TargetError unless there is something to learn to tell apart.

    Args:
        target: what y means.
        y: class numbers, or years, of the faces to learn from, shape (n,).

    Raises:
        TargetError: no labels, labels of one class only, or years that are missing or all the same.
    """
    if not len(y):
        raise TargetError(f"No training face has a label of {target.name}.")
    if target.is_regression and not np.isfinite(y).all():
        raise TargetError(f"{np.count_nonzero(~np.isfinite(y))} training faces have no {target.name}.")
    if (y == y[0]).all():
        only = f"{y[0]:g} years old" if target.is_regression else target.classes[int(y[0])]
        raise TargetError(
            f"All training faces are {only}, but {target.name} needs at least two classes."
            if not target.is_regression
            else f"All training faces are {only}, so nothing can be learned about {target.name}."
        )
