"""Fit a new classifier in every fold, and predict the faces of its test part."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from featurekit.data.splits import Fold
from featurekit.data.targets import Target
from featurekit.errors import FoldError
from featurekit.estimators import Classifier, ClassifierKind, check_training_labels
from featurekit.estimators._threads import one_blas_thread
from featurekit.evaluation.examples import is_known
from featurekit.evaluation.fitting import (
    Fitting,
    bytes_needed,
    fit_classifier,
    fixed_threads,
    may_take,
    said_where,
    side_by_side,
)
from featurekit.evaluation.out_of_fold import OutOfFold
from featurekit.evaluation.queue import LEAST, Batch, Fit, run_batches
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
    if not folds:
        raise FoldError("There is no fold to fit on.")
    fitting = fitting or Fitting()
    tested = FoldResults(len(folds))
    jobs, fits = fold_fits(
        kind, target, X, y, subjects, folds, fitting, tested, also=also, jobs=jobs, say=say, done=done
    )
    memory = may_take() if fitting.resources.memory is None else fitting.resources.memory
    with one_blas_thread():
        run_batches(
            [Batch(open=lambda: fits)], threads=max(fitting.resources.threads, 1), jobs=jobs, memory=memory
        )
    return tested.together(target, y, folds)


def fold_fits(
    kind: ClassifierKind,
    target: Target,
    X: Any,
    y: NDArray[Any],
    subjects: NDArray[np.str_],
    folds: Sequence[Fold],
    fitting: Fitting,
    results: "FoldResults",
    *,
    also: Mapping[Target, NDArray[Any]] | None = None,
    jobs: int = 1,
    seconds: Callable[[int], float] = lambda n_rows: LEAST,
    say: Callable[[str], None] | None = None,
    done: Callable[[], None] | None = None,
) -> tuple[int, list[Fit]]:
    """Return how many folds can be fitted at the same time, and a fit for each fold.

    The arguments are those of cross_validate(), and these: `results`, where the result of each fold is
    stored, and `seconds`, the rough duration of a fit on some number of training faces.
    """
    jobs, shared = _share(kind, target, folds, fitting, jobs=jobs, say=say)

    def fit_of(number: int, fold: Fold) -> Fit:
        def run(threads: int) -> None:
            own = shared.with_threads(threads)
            with said_where(kind, target, own, f"fold {number}"):
                results.tested[number] = _run_fold(kind, target, X, y, subjects, fold, own, also=also or {})
            if done:
                done()

        return Fit(
            run=run,
            seconds=seconds(len(fold.train)),
            threads=fixed_threads(kind, shared),
            bytes_needed=partial(bytes_needed, kind, target, shared, len(fold.train)),
        )

    return jobs, [fit_of(number, fold) for number, fold in enumerate(folds)]


def _share(
    kind: ClassifierKind,
    target: Target,
    folds: Sequence[Fold],
    fitting: Fitting,
    *,
    jobs: int,
    say: Callable[[str], None] | None,
) -> tuple[int, Fitting]:
    """Return how many folds run at the same time, and how each is fitted with its share of the resources."""
    on_gpu = kind.reads == "crops" and resolve(fitting.resources.device or "auto", "auto")[0] == "cuda"
    jobs, resources = side_by_side(
        fitting.fresh(kind, target),
        max(len(fold.train) for fold in folds),
        fitting.resources,
        # A GPU trains one network at a time.
        jobs=1 if on_gpu else min(jobs, len(folds)),
        tune=fitting.tune and kind.grid is not None,
        say=say,
    )
    return jobs, replace(fitting, resources=resources)


def _run_fold(
    kind: ClassifierKind,
    target: Target,
    X: Any,
    y: NDArray[Any],
    subjects: NDArray[np.str_],
    fold: Fold,
    fitting: Fitting,
    *,
    also: Mapping[Target, NDArray[Any]],
) -> _Tested:
    """Fit on the training part of one fold, and predict its test part."""
    rows = (X[fold.train], y[fold.train], subjects[fold.train])
    check_training_labels(target, rows[1][is_known(rows[1])])
    started = time.perf_counter()
    classifier, found = fit_classifier(
        kind, target, *rows, fitting, also={other: labels[fold.train] for other, labels in also.items()}
    )
    fitted = time.perf_counter()
    probabilities = None
    if target.is_regression:
        predicted = classifier.predict(X[fold.test])
    else:
        # A class without a training face keeps the probability 0.
        probabilities = spread_out(
            classifier.predict_proba(X[fold.test]), classifier.classes_, len(target.classes)
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


class FoldResults:
    """The results of the folds, which are stored as they come.

    Attributes:
        tested: result of each fold, by its number.
    """

    def __init__(self, n_folds: int) -> None:
        self.tested: list[_Tested | None] = [None] * n_folds

    def together(self, target: Target, y: NDArray[Any], folds: Sequence[Fold]) -> OutOfFold:
        """Put the results of each fold in the places of its rows."""
        results = [one for one in self.tested if one is not None]
        fold_of = np.full(len(y), -1, dtype=np.intp)
        predicted = np.full(len(y), np.nan if target.is_regression else -1, dtype=y.dtype)
        probabilities = np.full((len(y), len(target.classes)), np.nan)
        for number, (fold, tested) in enumerate(zip(folds, results, strict=True)):
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
