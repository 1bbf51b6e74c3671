"""Fit a new classifier in every fold, and predict the faces of its test part."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from featurekit.cluster import Cluster
from featurekit.data.splits import Fold
from featurekit.data.targets import Target
from featurekit.errors import FoldError
from featurekit.estimators import Classifier, ClassifierKind, check_training_labels
from featurekit.estimators._threads import one_blas_thread
from featurekit.evaluation.examples import Examples, is_known
from featurekit.evaluation.fitting import (
    Fitting,
    bytes_needed,
    fit_classifier,
    fixed_threads,
    gpus_of,
    memory_of,
    said_where,
    side_by_side,
)
from featurekit.evaluation.out_of_fold import OutOfFold
from featurekit.evaluation.queue import LEAST, Batch, Fit, no_bytes, run_batches
from featurekit.evaluation.tuning import Search
from featurekit.inference.model import spread_out
from featurekit.networks.engines import resolve


class _Tested(NamedTuple):
    """The result of one fold."""

    classifier: Classifier
    found: Search | None
    predicted: NDArray[Any]
    probabilities: NDArray[np.float64] | None
    seconds_fit: float
    seconds_predict: float


def cross_validate(
    kind: ClassifierKind,
    target: Target,
    X: Any,
    y: NDArray[Any],
    subjects: NDArray[np.str_],
    folds: Sequence[Fold],
    fitting: Fitting | None = None,
    *,
    also: Mapping[Target, NDArray[Any]] | None = None,
    jobs: int = 1,
    say: Callable[[str], None] | None = None,
    done: Callable[[], None] | None = None,
) -> OutOfFold:
    """Fit a new classifier in every fold, and predict the faces of its test part.

    Folds that are fitted at the same time run in threads and share the vectors; the last one uses the threads
    that have become idle. The results do not depend on the number of jobs or threads, not even in the last
    bit: matrix products always use one thread, and results are stored by the number of the fold.

    Args:
        kind: kind of classifier to fit.
        target: target whose labels y contains.
        X: vectors, shape (n, dim), or Crops for a classifier that takes face crops as input.
        y: class numbers, or ages for a regression target, shape (n,); -1 or NaN for a row that only has
            labels of the targets in `also`.
        subjects: subject of each row, shape (n,).
        folds: row numbers of the training and the test part of each fold.
        fitting: settings of the fits, which share its threads; None for the default settings.
        also: labels of other targets that are learned at the same time, for every row; None for none.
        jobs: number of folds that are fitted at the same time; fewer if their kernel matrices would not fit
            into memory.
        say: called with a message on the memory that the fits will need.
        done: called after each fold.

    Raises:
        TargetError: a training part contains only one class.
        EstimatorError: a user's own estimator failed, or its predictions cannot be used.
    """
    fits = FoldFits(
        kind=kind,
        target=target,
        X=X,
        y=y,
        subjects=subjects,
        folds=folds,
        fitting=fitting or Fitting(),
        also=also or {},
        jobs=jobs,
        say=say,
        done=done or (lambda: None),
    )
    return fits.run()


@dataclass(eq=False, kw_only=True)
class FoldFits:
    """The fits of a classifier in all folds, which can run side by side.

    Attributes:
        jobs: largest number of folds at the same time; fewer on a GPU, or if the kernel matrices of so many
            would not fit into memory.
        seconds: rough duration of a fit on some number of training faces, in comparison with other fits.
        kind, target, X, y, subjects, folds, fitting, also, say, done: see cross_validate().
        cluster: where the folds are fitted; None for this process.
        sent: a reference to these faces on the cluster.
    """

    kind: ClassifierKind
    target: Target
    X: Any
    y: NDArray[Any]
    subjects: NDArray[np.str_]
    folds: Sequence[Fold]
    fitting: Fitting
    also: Mapping[Target, NDArray[Any]]
    jobs: int
    seconds: Callable[[int], float] = lambda n_rows: LEAST
    say: Callable[[str], None] | None = None
    done: Callable[[], None] = lambda: None
    cluster: Cluster | None = None
    sent: Any = None

    def __post_init__(self) -> None:
        if not self.folds:
            raise FoldError("There is no fold to fit on.")
        kind, resources = self.kind, self.fitting.resources
        self._tested: dict[int, _Tested] = {}
        if self.cluster:
            self._shared = self.fitting.elsewhere()
            return
        on_gpu = kind.reads == "crops" and resolve(resources.device or "auto", "auto")[0] == "cuda"
        self.jobs, resources = side_by_side(
            self.fitting.fresh(kind, self.target),
            max(len(fold.train) for fold in self.folds),
            resources,
            # A GPU trains one network at a time.
            jobs=1 if on_gpu else min(self.jobs, len(self.folds)),
            tune=self.fitting.tune and kind.grid is not None,
            say=self.say,
        )
        self._shared = replace(self.fitting, resources=resources)

    def run(self) -> OutOfFold:
        """Fit all folds, and return their results."""
        resources = self.fitting.resources
        with one_blas_thread():
            run_batches(
                [Batch(open=self.each)],
                threads=max(resources.threads, 1),
                jobs=self.jobs,
                memory=memory_of(resources),
            )
        return self.together()

    def each(self) -> list[Fit]:
        """Return a fit for each fold, which stores the result of the fold."""
        return [
            Fit(
                run=partial(self._fit, number),
                seconds=self.seconds(len(fold.train)),
                threads=fixed_threads(self.kind, self._shared) or (1 if self.cluster else None),
                bytes_needed=no_bytes
                if self.cluster
                else partial(bytes_needed, self.kind, self.target, self._shared, len(fold.train)),
            )
            for number, fold in enumerate(self.folds)
        ]

    def together(self) -> OutOfFold:
        """Return the results of all folds, which have been fitted, in the places of their rows."""
        fold_of = np.full(len(self.y), -1, dtype=np.intp)
        predicted = np.full(len(self.y), np.nan if self.target.is_regression else -1, dtype=self.y.dtype)
        probabilities = np.full((len(self.y), len(self.target.classes)), np.nan)
        results = [self._tested[number] for number in range(len(self.folds))]
        for number, (fold, tested) in enumerate(zip(self.folds, results, strict=True)):
            fold_of[fold.test] = number
            predicted[fold.test] = tested.predicted
            if tested.probabilities is not None:
                probabilities[fold.test] = tested.probabilities
        return OutOfFold(
            fold_of,
            predicted,
            probabilities,
            sum(tested.seconds_fit for tested in results),
            sum(tested.seconds_predict for tested in results),
            results[0].classifier,
            tuple(tested.found for tested in results if tested.found is not None),
            tuple(one.classifier.training_ for one in results if hasattr(one.classifier, "training_")),
            all(getattr(tested.classifier, "gives_probabilities_", True) for tested in results),
        )

    def _fit(self, number: int, threads: int) -> None:
        """Fit on the training part of one fold, and predict its test part."""
        fitting = self._shared.with_threads(threads)
        with said_where(self.kind, self.target, fitting, f"fold {number}"):
            given = self.kind, self.target, self.sent if self.cluster else self, self.folds[number], fitting
            self._tested[number] = (
                self.cluster.call(fit_fold, *given, cpus=threads, gpus=gpus_of(fitting))
                if self.cluster
                else fit_fold(*given)
            )
        self.done()


def fit_fold(
    kind: ClassifierKind, target: Target, faces: "Examples | FoldFits", fold: Fold, fitting: Fitting
) -> _Tested:
    """Fit on the training part of one fold, and predict its test part."""
    rows = (faces.X[fold.train], faces.y[fold.train], faces.subjects[fold.train])
    check_training_labels(target, rows[1][is_known(rows[1])])
    started = time.perf_counter()
    also = {other: labels[fold.train] for other, labels in faces.also.items()}
    with one_blas_thread():
        classifier, found = fit_classifier(kind, target, *rows, fitting, also=also)
        fitted = time.perf_counter()
        probabilities = None
        if target.is_regression:
            predicted = classifier.predict(faces.X[fold.test])
        else:
            # A class without a training face keeps the probability 0.
            probabilities = spread_out(
                classifier.predict_proba(faces.X[fold.test]), classifier.classes_, len(target.classes)
            )
            predicted = probabilities.argmax(axis=1)
    return _Tested(
        classifier,
        found,
        predicted,
        probabilities,
        # A training that continued from a checkpoint knows its whole time.
        seconds_fit=getattr(classifier, "seconds_", fitted - started),
        seconds_predict=time.perf_counter() - fitted,
    )
