"""Tested faces that are much closer to a training face than faces of different people usually are."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurekit.checks._columns import target_of
from featurekit.checks.base import CHECKS, NO_FOLDS, Check, Given, feature_name, lacking
from featurekit.checks.near_neighbours import CLOSE, NEIGHBOUR, nearest, unit_vectors
from featurekit.data.splits import Fold
from featurekit.findings import Finding

NAME = "suspiciously_close"
# If vectors have only a few numbers, every face has close neighbours.
FEWEST_NUMBERS = 64
FEWEST_FACES = 3 * NEIGHBOUR  # training faces, so that the NEIGHBOURth nearest is another person
MOST_TESTED = 20_000  # faces that are compared; if there are more, these are drawn at random
_MANY_CLOSE = 0.005  # share of close faces that makes the finding a warning


def look(given: Given) -> Finding:
    """Look for tested faces that are much closer to a training face than faces of different people are."""
    embeddings = given.embeddings
    if given.folds is None:
        return lacking(
            NAME, "There are no folds yet, so there are no training faces to compare with.", NO_FOLDS
        )
    if embeddings is None:
        return lacking(
            NAME,
            "There are no vectors yet in which close faces could be searched.",
            "Next: featurekit extract.",
        )
    of = feature_name(embeddings)
    if embeddings.vectors.dtype.kind != "f" or embeddings.vectors.shape[1] < FEWEST_NUMBERS:
        return lacking(
            NAME,
            f"{of} cannot tell faces apart: this check needs vectors of a network with at least"
            f" {FEWEST_NUMBERS} dimensions.",
            "Next: featurekit extract --backbone dlib_age, and audit --features dlib_age.",
        )
    here = np.flatnonzero(given.numbers[embeddings.rows] >= 0)
    rows = embeddings.rows[here]
    folds = _folds(given, rows)
    if not folds or min(len(fold.train) for fold in folds) < FEWEST_FACES:
        return lacking(
            NAME,
            f"{len(rows):,} faces are too few to know which distance is normal.",
            f"{FEWEST_FACES} training faces are needed in every fold.",
        )
    is_tested = _some(len(rows), given.seed)
    ratio = nearest(unit_vectors(embeddings, here), folds, is_tested, given.progress)
    close = np.flatnonzero(ratio < CLOSE)
    n_tested = int(is_tested.sum())
    share = len(close) / n_tested
    drawn = f", drawn from {len(rows):,}," if n_tested < len(rows) else ""
    scores = _scores_without(given, set(given.ids(rows[close]))) if len(close) else {}
    return Finding(
        name=NAME,
        severity="warning" if share >= _MANY_CLOSE else "note" if len(close) else "ok",
        count=len(close),
        of=n_tested,
        what=f"{len(close):,} of {n_tested:,} tested faces{drawn} ({share:.1%}) are suspiciously close to a"
        f" training face: less than {CLOSE:g} times as far, in {of}, as their {NEIGHBOUR}th nearest."
        + _largest_change(scores),
        advice=_advice(share, of, has_predictions=bool(given.predictions)),
        details=scores,
        rows=given.ids(rows[close[np.argsort(ratio[close], kind="stable")]]),
    )


def _folds(given: Given, rows: NDArray[np.intp]) -> list[Fold]:
    """Return the folds with positions among the rows; as in featurekit fit, no test subject is trained on."""
    numbers, subjects = given.numbers[rows], given.manifest.subjects[rows]
    tests = [np.flatnonzero(numbers == number) for number in np.unique(numbers)]
    return [Fold(np.flatnonzero(~np.isin(subjects, subjects[test])), test) for test in tests]


def _some(n_faces: int, seed: int) -> NDArray[np.bool_]:
    """Return which faces are compared, shape (n_faces,): MOST_TESTED are drawn if there are more."""
    if n_faces <= MOST_TESTED:
        return np.ones(n_faces, bool)
    drawn = np.random.default_rng(seed).choice(np.arange(n_faces), MOST_TESTED, replace=False)
    return np.isin(np.arange(n_faces), drawn)


def _advice(share: float, of: str, *, has_predictions: bool) -> str:
    if share > 0.5:
        return (
            f"Either nearly all subjects are on both sides, or {of} does not tell faces apart. Use a"
            " face-recognition network for this check."
        )
    if not share:
        return ""
    advice = (
        "The same subject or image is probably on both sides of a fold. Give the subjects (subject_id) if"
        " you can."
    )
    return advice if has_predictions else f"{advice} Next: featurekit fit, to get the scores without them."


def _scores_without(given: Given, close: set[str]) -> dict[str, dict[str, float]]:
    """Return run → its mean score over the folds, of all faces and without the close ones."""
    found = {}
    for run, table in sorted(given.predictions.items()):
        target = target_of(given.manifest, run)
        if target is None:
            continue
        if target.is_regression:
            kind, values = "mae_years", (table["true"] - table["predicted"]).abs().to_numpy(float)
        else:
            kind, values = "accuracy", (table["true"] == table["predicted"]).to_numpy(float)
        left = ~table["face_id"].isin(close).to_numpy()
        fold = table["fold"].to_numpy()
        if left.any():
            means = [
                pd.Series(values[which]).groupby(fold[which]).mean().mean() for which in (left | True, left)
            ]
            found[run] = {kind: float(means[0]), f"{kind} without": float(means[1])}
    return found


def _largest_change(scores: Mapping[str, Mapping[str, float]]) -> str:
    """Return a sentence on the runs whose scores get worse most without the close faces, after a space."""
    said = []
    for kind, better, form in (("accuracy", 1, "{:.2%}"), ("mae_years", -1, "{:.2f} years")):
        lost = {
            run: better * (one[kind] - one[f"{kind} without"]) for run, one in scores.items() if kind in one
        }
        if lost:
            run = max(sorted(lost), key=lambda run: lost[run])
            whole, without = scores[run][kind], scores[run][f"{kind} without"]
            said.append(f"{run} scores {form.format(without)} instead of {form.format(whole)}")
    return f" Without them {' and '.join(said)}. No run loses more than this." if said else ""


CHECKS.add(Check(NAME, "test faces too close to a training face", "warning", 60, look))
