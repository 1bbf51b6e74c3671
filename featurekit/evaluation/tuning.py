"""Choose a classifier's parameters on folds inside the training part.

A search is part of the fit: what it learns it learns from the faces that the fit
may see, and its own folds never share a person either. So a tuned score is as
honest as an untuned one: the faces it is measured on took no part in the choice.

Which parameters are tried is the classifier's own business (its grid). One that
can share work between candidates does so (Searcher); any other is fitted for each.
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
    ClassifierKind,
    Resources,
    Searcher,
    candidates,
    fresh,
    held_out_score,
)

INNER_FOLDS = 3


@dataclass(frozen=True, kw_only=True)
class Search:
    """What a search found.

    Attributes:
        candidates: the parameters that were tried, the simpler ones first.
        scores: share of right answers of each candidate on each inner fold, or for years minus the mean
            absolute error, shape (n_candidates, n_folds).
        best: the parameters to fit with; empty where nothing was searched.
        seconds: that it took.
        notes: what was decided aloud, a sentence each.
    """

    candidates: tuple[Mapping[str, Any], ...]
    scores: NDArray[np.float64]
    best: Mapping[str, Any]
    seconds: float
    notes: tuple[str, ...] = ()

    @property
    def score(self) -> float | None:
        """Mean score of the best candidate on the inner folds; None where nothing was searched."""
        return float(self.scores.mean(axis=1).max()) if self.scores.size else None

    @property
    def summary(self) -> dict[str, Any]:
        """What a run keeps of it: the parameters chosen, their score, and of how many."""
        return {"parameters": dict(self.best), "score": self.score, "candidates": len(self.candidates)}

    def frame(self) -> pd.DataFrame:
        """Return a row a combination, the best first: its parameters, score, std and score of each split."""
        columns: dict[str, Any] = {
            name: [one[name] for one in self.candidates] for name in (self.candidates or ({},))[0]
        }
        if self.scores.size:
            columns |= {"score": self.scores.mean(axis=1), "std": self.scores.std(axis=1)}
            columns |= {f"split_{number}": of for number, of in enumerate(self.scores.T)}
        found = pd.DataFrame(columns)
        # Of equal ones the first is taken, here as in the search.
        return (
            found.sort_values("score", ascending=False, kind="stable", ignore_index=True)
            if len(found)
            else found
        )


def search(
    kind: ClassifierKind,
    target: Target,
    X: NDArray[np.float32],
    y: NDArray[Any],
    groups: NDArray[np.str_],
    *,
    blocks: tuple[int, ...] = (),
    seed: int = 0,
    resources: Resources | None = None,
    grid: Mapping[str, Sequence[Any]] | None = None,
    n_folds: int = INNER_FOLDS,
) -> Search:
    """Try every combination of a grid on inner folds and say which reads the held-out faces best.

    Args:
        kind: which classifier.
        target: what y means.
        X: vectors of the training part, shape (n, dim).
        y: class numbers, or years, shape (n,).
        groups: person on each row, shape (n,).
        blocks: lengths of the parts of a joined vector.
        seed: of the random number generator.
        resources: what it may use; the choice does not depend on it.
        grid: parameter → values; None for the classifier's own.
        n_folds: how many inner folds.

    Returns:
        What was found. The highest mean wins, of equal ones the earlier candidate. A classifier without a
        grid, and faces of too few subjects for inner folds, keep the default parameters.
    """
    started = time.perf_counter()
    if grid is None:
        grid = kind.grid(target) if kind.grid else {}
    tried = candidates(grid) if grid else []
    nothing = Search(candidates=(), scores=np.zeros((0, 0)), best={}, seconds=0.0)
    if not tried:
        return nothing
    try:
        folds = inner_folds(target, y, groups, n_folds=n_folds, seed=seed)
    except FoldError as error:
        return replace(nothing, notes=(f"Not tuned: the default parameters were used. {error}",))

    def unfitted() -> Any:
        return fresh(kind, target, blocks=blocks, seed=seed, resources=resources)

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
            (
                f"{name} was tuned by fitting each candidate separately, because they cannot share"
                " computations."
            ),
        )
    each = [
        [_fit_and_score(unfitted().set_params(**one), X, y, groups, fold) for fold in folds] for one in tried
    ]
    return np.array(each), notes


def inner_folds(
    target: Target, y: NDArray[Any], groups: NDArray[np.str_], *, n_folds: int = INNER_FOLDS, seed: int = 0
) -> list[Fold]:
    """Return folds of a training part that share no person; years are spread over them by fifths.

    Raises:
        FoldError: too few subjects, or too few of a class.
    """
    labels = y
    if target.is_regression:
        labels = np.searchsorted(np.unique(np.quantile(y, [0.2, 0.4, 0.6, 0.8])), y)
    return subject_exclusive_folds(labels, groups, n_folds=n_folds, seed=seed)


def _fit_and_score(
    classifier: Any, X: NDArray[np.float32], y: NDArray[Any], groups: NDArray[np.str_], fold: Fold
) -> float:
    classifier.fit(X[fold.train], y[fold.train], groups=groups[fold.train])
    return held_out_score(y[fold.test], classifier.predict(X[fold.test]))
