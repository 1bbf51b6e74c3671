"""Choose a classifier's parameters on folds inside the training part.

A search is part of the fit: it uses only the training part, and its inner folds do not
share subjects either. So the score of a tuned classifier is not too optimistic: the
faces on which it is measured had no influence on the chosen parameters.

The grid of the classifier says which parameters are tried. A classifier with a method
search_scores() shares computations between these candidates; any other classifier is
fitted separately for each candidate.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurekit.data.splits import Fold, subject_exclusive_folds
from featurekit.data.targets import Target
from featurekit.errors import FoldError
from featurekit.estimators import (
    Classifier,
    ClassifierKind,
    Resources,
    Searcher,
    candidates,
    fresh,
    held_out_score,
)
from featurekit.estimators.fitted_features import with_fitted

INNER_FOLDS = 3


@dataclass(frozen=True, kw_only=True)
class Search:
    """The result of a search.

    Attributes:
        candidates: the parameters that were tried, the simpler ones first.
        scores: score of each candidate on each inner fold, shape (n_candidates, n_folds): the accuracy or,
            for a regression target, minus the mean absolute error.
        best: parameters with the highest mean score; empty if no parameters were tried.
        seconds: duration of the search.
        notes: notes on decisions that were made, a sentence each.
    """

    candidates: tuple[Mapping[str, Any], ...]
    scores: NDArray[np.float64]
    best: Mapping[str, Any]
    seconds: float
    notes: tuple[str, ...] = ()

    @property
    def score(self) -> float | None:
        """Mean score of the best candidate on the inner folds; None if no parameters were tried."""
        return float(self.scores.mean(axis=1).max()) if self.scores.size else None

    @property
    def summary(self) -> dict[str, Any]:
        """Summary that is stored in a run: chosen parameters, their mean score, and number of candidates."""
        return {"parameters": dict(self.best), "score": self.score, "candidates": len(self.candidates)}

    def frame(self) -> pd.DataFrame:
        """Return a table with the parameters and scores of each candidate, the best candidate first."""
        if not self.candidates:
            return pd.DataFrame()
        columns: dict[str, Any] = {
            **{name: [one[name] for one in self.candidates] for name in self.best},
            "score": self.scores.mean(axis=1),
            "std": self.scores.std(axis=1),
            **{f"split_{number}": scores for number, scores in enumerate(self.scores.T)},
        }
        # The sort is stable: of equal candidates the first one is best, as in the search.
        return pd.DataFrame(columns).sort_values("score", ascending=False, kind="stable", ignore_index=True)


def search(
    kind: ClassifierKind,
    target: Target,
    X: NDArray[np.float32],
    y: NDArray[Any],
    groups: NDArray[np.str_],
    *,
    blocks: tuple[int, ...] = (),
    fitted: tuple[str, ...] = (),
    seed: int = 0,
    resources: Resources | None = None,
    grid: Mapping[str, Sequence[Any]] | None = None,
    n_folds: int = INNER_FOLDS,
) -> Search:
    """Try every combination of a parameter grid on inner folds, and return the scores and the best one.

    Args:
        kind: kind of classifier.
        target: target whose labels y contains.
        X: vectors of the training part, shape (n, dim).
        y: class numbers, or ages for a regression target, shape (n,).
        groups: subject of each row, shape (n,).
        blocks: lengths of the parts of a joined vector.
        fitted: for each part the name of the feature that is learned from it, or "" for a part that stays as
            it is; empty if all do. On the inner folds it is learned from their training parts.
        seed: seed of the random number generator.
        resources: threads, memory and device to use; the result does not depend on them.
        grid: values to try for each parameter; None for the classifier's own grid.
        n_folds: number of inner folds.

    Returns:
        The result of the search. The best candidate has the highest mean score; among equal ones, the first
        is chosen. If the classifier has no grid, or there are too few subjects for inner folds, no parameters
        are tried, and the caller should use the default parameters.
    """
    started = time.perf_counter()
    if grid is None and kind.grid:
        grid = kind.grid(target)
    tried = candidates(grid) if grid else []
    nothing = Search(candidates=(), scores=np.zeros((0, 0)), best={}, seconds=0.0)
    if not tried:
        return nothing
    try:
        folds = inner_folds(target, y, groups, n_folds=n_folds, seed=seed)
    except FoldError as error:
        return replace(nothing, notes=(f"Not tuned: the default parameters were used. {error}",))

    def unfitted() -> Classifier:
        made = fresh(kind, target, blocks=blocks, seed=seed, resources=resources)
        return with_fitted(made, fitted, blocks, seed)

    scores, notes = _scores(kind.name, unfitted, X, y, groups, folds, tried)
    return Search(
        candidates=tuple(tried),
        scores=scores,
        best=tried[int(scores.mean(axis=1).argmax())],
        seconds=time.perf_counter() - started,
        notes=notes,
    )


def _scores(
    name: str,
    unfitted: Callable[[], Any],
    X: NDArray[np.float32],
    y: NDArray[Any],
    groups: NDArray[np.str_],
    folds: Sequence[Fold],
    tried: Sequence[Mapping[str, Any]],
) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """Return the score of each candidate on each fold, shape (n_candidates, n_folds), and notes."""
    shared = unfitted()
    notes: tuple[str, ...] = ()
    if isinstance(shared, Searcher):
        scores = shared.search_scores(X, y, folds=folds, candidates=tried)
        if scores is not None:
            return scores, notes
        notes = (
            f"{name} was tuned by fitting each candidate separately, because they cannot share computations.",
        )

    def score(one: Mapping[str, Any], fold: Fold) -> float:
        fitted = unfitted().set_params(**one).fit(X[fold.train], y[fold.train], groups=groups[fold.train])
        return held_out_score(y[fold.test], fitted.predict(X[fold.test]))

    return np.array([[score(one, fold) for fold in folds] for one in tried]), notes


def inner_folds(
    target: Target, y: NDArray[Any], groups: NDArray[np.str_], *, n_folds: int = INNER_FOLDS, seed: int = 0
) -> list[Fold]:
    """Return inner folds of a training part that share no subject; ages are stratified by quintiles.

    Raises:
        FoldError: there are too few subjects, or too few subjects of some class.
    """
    if target.is_regression:
        y = np.searchsorted(np.unique(np.quantile(y, [0.2, 0.4, 0.6, 0.8])), y)
    return subject_exclusive_folds(y, groups, n_folds=n_folds, seed=seed)
