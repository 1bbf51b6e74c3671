"""Read a target from vectors.

A classifier is one file here: a function that makes a fresh, unfitted estimator,
decorated with what a reader of the report must know about it. Everything it
learns (scaling, PCA, probabilities) it learns in fit(), from the rows it is
given there.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from types import MappingProxyType
from typing import Any, Literal, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from featurekit.data.splits import Fold
from featurekit.data.targets import Target
from featurekit.errors import TargetError
from featurekit.registry import Registry

NOTHING: Mapping[str, Any] = MappingProxyType({})


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


class Classifier(Protocol):
    """An estimator in scikit-learn's manner.

    One that has the parameter `feature_blocks` is told the lengths of the parts of a joined vector
    before it is fitted, so that a long part does not drown a short one. One that reads crops is given
    faces, Crops or an array of them, in the place of vectors; it is told the `networks` it starts from,
    the labels it learns `also` (target → labels), and where its `checkpoints` go.

    Attributes:
        classes_: class numbers seen in training, increasing; absent for a target in years.
        summary_: what a reader should know of the fit: kernel, number of trees, what was decided aloud;
            plain JSON values.
    """

    classes_: NDArray[np.intp]
    summary_: dict[str, Any]

    def fit(self, X: NDArray[np.float32], y: NDArray[Any], *, groups: NDArray[np.str_]) -> Self:
        """Learn from vectors (n, dim), class numbers or years (n,), and the person on each row (n,)."""

    def predict(self, X: NDArray[np.float32]) -> NDArray[Any]:
        """Return the class number, or the years, of each row, shape (n,)."""

    def predict_proba(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
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


@dataclass(frozen=True)
class ClassifierKind:
    """One way to read a target from vectors.

    Attributes:
        name: what users call it.
        about: one line for `featurekit list models` and the report.
        make: (target, seed, threads) → a fresh estimator; chance comes from the seed alone.
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


CLASSIFIERS: Registry[ClassifierKind] = Registry("classifier", "featurekit.estimators")


def classifier(
    name: str, *, about: str, **facts: Any
) -> Callable[[Callable[[Target, int, int], Classifier]], ClassifierKind]:
    """Register the decorated function as the classifier called name.

    >>> @classifier("coin", about="tosses a coin")        # doctest: +SKIP
    ... def make_coin(target, seed, threads): ...
    """

    def register(make: Callable[[Target, int, int], Classifier]) -> ClassifierKind:
        return CLASSIFIERS.add(ClassifierKind(name=name, about=about, make=make, **facts))

    return register


def fresh(
    kind: ClassifierKind,
    target: Target,
    *,
    blocks: tuple[int, ...] = (),
    networks: tuple[str, ...] = (),
    parameters: Mapping[str, Any] = NOTHING,
    seed: int,
    threads: int,
) -> Classifier:
    """Return an unfitted classifier that knows what it will read, with some of its parameters changed.

    Args:
        kind: which classifier.
        target: what it reads.
        blocks: lengths of the parts of a joined vector.
        networks: those that one which reads crops starts from.
        parameters: that are not as they come.
        seed: what chance comes from.
        threads: how many it may use.
    """
    classifier: Any = kind.make(target, seed, threads)
    if len(blocks) > 1 and hasattr(classifier, "feature_blocks"):
        classifier.feature_blocks = blocks
    if networks and kind.starts_from:
        classifier.networks = networks
    if parameters:
        classifier.set_params(**parameters)
    made: Classifier = classifier
    return made


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
            f"Every training face is {only}: {target.name} needs at least two classes to tell apart."
            if not target.is_regression
            else f"Every training face is {only}: there is nothing to learn about {target.name}."
        )
