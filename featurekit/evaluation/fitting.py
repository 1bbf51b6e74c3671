"""How a classifier is made and fitted, and how much memory its fits may use.

All classifiers of a comparison are made here: those of the folds, and the one in the model that is saved.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featurekit.data.targets import Target
from featurekit.errors import EstimatorError
from featurekit.estimators import Classifier, ClassifierKind, Resources, fresh
from featurekit.estimators.fitted_features import with_fitted
from featurekit.evaluation.tuning import Search, search
from featurekit.networks.engines import available_memory
from featurekit.text import counted

MUCH = 1_000_000_000  # bytes; a user should hear of more before they are used


@dataclass(frozen=True, kw_only=True)
class Fitting:
    """Settings with which a classifier is fitted.

    Attributes:
        features: name of the feature set, for error messages.
        blocks: lengths of the parts of a joined vector.
        fitted: for each part the name of the feature that is learned from it in each fold, or "" for a part
            that stays as it is; empty if all do.
        networks: names of the networks that the classifier trains further.
        parameters: non-default parameters of the classifier.
        seed: seed of the random number generator.
        tune: whether parameters are searched for first, inside the training data.
        resources: threads, memory and device that the fit may use.
    """

    features: str = ""
    blocks: tuple[int, ...] = ()
    fitted: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    tune: bool = False
    resources: Resources = field(default_factory=Resources)

    def fresh(self, kind: ClassifierKind, target: Target) -> Classifier:
        """Return an unfitted classifier with these settings."""
        made = fresh(
            kind,
            target,
            blocks=self.blocks,
            networks=self.networks,
            parameters=self.parameters,
            seed=self.seed,
            resources=self.resources,
        )
        return with_fitted(made, self.fitted, self.blocks, self.seed)

    def with_threads(self, threads: int) -> "Fitting":
        """Return the same settings with another number of threads."""
        return replace(self, resources=replace(self.resources, threads=threads))

    def elsewhere(self) -> "Fitting":
        """Return the same settings for another machine.

        It has memory of its own, and cannot call what shows the progress here.
        """
        return replace(self, resources=replace(self.resources, memory=None, progress=None))


@contextmanager
def said_where(kind: ClassifierKind, target: Target, fitting: Fitting, where: str) -> Iterator[None]:
    """Add the target, the features and the place to the error of a user's own estimator.

    Args:
        kind: kind of classifier.
        target: target that it predicts.
        fitting: settings of the fit.
        where: the data on which the estimator is fitted, such as "fold 2" or "all faces".

    Raises:
        EstimatorError: the estimator failed; the message names it, the target, the features and the place.
    """
    try:
        yield
    except EstimatorError as error:
        on = f"{target.name} on {fitting.features}" if fitting.features else target.name
        raise error.at(f"{on}, {where}", kind.name) from error.__cause__


def fit_classifier(
    kind: ClassifierKind,
    target: Target,
    X: Any,
    y: NDArray[Any],
    subjects: NDArray[np.str_],
    fitting: Fitting,
    *,
    also: Mapping[Target, NDArray[Any]] | None = None,
) -> tuple[Classifier, Search | None]:
    """Return a fitted classifier and, if parameters were searched for, the result of the search."""
    classifier: Any = fitting.fresh(kind, target)
    found = None
    if fitting.tune and kind.grid is not None:
        found = search(
            kind,
            target,
            X,
            y,
            subjects,
            blocks=fitting.blocks,
            fitted=fitting.fitted,
            seed=fitting.seed,
            resources=fitting.resources,
        )
        if found.best:
            classifier.set_params(**found.best)
    # Only a classifier that learns several targets together takes `also`.
    return classifier.fit(X, y, groups=subjects, **({"also": also} if kind.also else {})), found


def may_take() -> int:
    """Return how many bytes kernel matrices may use now: half of the free memory."""
    return available_memory() // 2


def memory_of(resources: Resources) -> int:
    """Return how many bytes kernel matrices may use: as many as was said, or as may_take() says now."""
    return may_take() if resources.memory is None else resources.memory


def bytes_needed(kind: ClassifierKind, target: Target, fitting: Fitting, n_rows: int, threads: int) -> int:
    """Return the bytes that the matrices of a fit on n_rows take with some threads."""
    classifier = fitting.with_threads(threads).fresh(kind, target)
    return classifier.bytes_needed(n_rows, searching=fitting.tune and kind.grid is not None)


def fixed_threads(kind: ClassifierKind, fitting: Fitting) -> int | None:
    """Return the number of threads that a fit must have for its results to stay the same; None for any."""
    # The sums of torch are rounded differently with another number of threads.
    return fitting.resources.threads if kind.reads == "crops" else None


def gpus_of(fitting: Fitting) -> float:
    """Return how many GPUs a fit needs on a machine of a cluster."""
    return 1.0 if fitting.resources.device == "cuda" else 0.0


def side_by_side(
    classifier: Classifier,
    n_rows: int,
    resources: Resources,
    *,
    jobs: int,
    tune: bool,
    say: Callable[[str], None] | None,
) -> tuple[int, Resources]:
    """Return how many folds are fitted at the same time, and which resources each of them may use.

    Args:
        classifier: the unfitted classifier of one fold.
        n_rows: number of faces in the largest training part.
        resources: threads, memory and device for all folds together.
        jobs: largest number of folds that are fitted at the same time.
        tune: whether each fold searches for parameters.
        say: called with a message if the fits need much memory; None for no message.
    """
    limit = memory_of(resources)
    for n_jobs in range(max(jobs, 1), 0, -1):
        shared = replace(resources, threads=max(resources.threads // n_jobs, 1), memory=limit)
        needed = n_jobs * classifier.use(shared).bytes_needed(n_rows, searching=tune)
        if needed <= limit:
            break
    if say and (n_jobs < jobs or needed > MUCH):
        limited = (
            f", so only {counted(n_jobs, 'fold', 'folds')} can be fitted at the same time"
            if n_jobs < jobs
            else ""
        )
        say(
            f"Kernel matrices of {n_rows:,} training faces need up to {needed / 1e9:.1f} GB, and"
            f" {limit / 1e9:.1f} GB may be used{limited}."
        )
    return n_jobs, shared
