"""Check for test faces that are much closer to a training face than faces of different people usually are.

The distance of each test face to its nearest training face is compared with the distance to a more distant
neighbour.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat

import numpy as np
from numpy.typing import NDArray

from featurekit.checks._columns import target_of
from featurekit.checks.base import NO_FOLDS, Given, check, feature_name, in_pieces, lacking
from featurekit.data.splits import Fold
from featurekit.embeddings.closest_pairs import FEWEST_NUMBERS
from featurekit.embeddings.vectors import Vectors
from featurekit.findings import Finding
from featurekit.progress import Progress

NAME = "suspiciously_close"
# A face is suspiciously close to a training face that is less than CLOSE times as far as its NEIGHBOURth
# nearest one. The distances to other people grow slowly, but a second image of the same person is much closer
# than all of them. Both distances are local, so that faces of which many look alike (babies) are not flagged.
# With dlib_age on UTKFace, 2.4 % of the faces are flagged. Among them are 92 % of those with a near duplicate
# on the other side; most of the rest are mirrored or cropped again, or show the same person (they were looked
# at).
CLOSE, NEIGHBOUR = 0.5, 20
FEWEST_FACES = 3 * NEIGHBOUR  # training faces, so that the NEIGHBOURth nearest is another person
MOST_TESTED = 20_000  # faces that are compared; if there are more, these are drawn at random
_AT_ONCE = 5_000_000  # distances that a thread compares at once
_MANY_CLOSE = 0.005  # share of close faces that makes the finding a warning


@check(NAME, "test faces too close to a training face", "warning", 60)
def look(given: Given) -> Finding:
    """Find test faces that are much closer to a training face than faces of different people usually are."""
    embeddings = given.embeddings
    if given.folds is None:
        return lacking(
            NAME, "There are no folds yet, so there are no training faces to compare with.", NO_FOLDS
        )
    if embeddings is None:
        return lacking(
            NAME,
            "There are no feature vectors yet, so the distances between faces are not known.",
            "Next: featurekit extract.",
        )
    of = feature_name(embeddings)
    if not tell_faces_apart(embeddings):
        return lacking(
            NAME,
            f"The features {of} cannot tell faces apart: this check needs feature vectors of a network with"
            f" at least {FEWEST_NUMBERS} dimensions.",
            "Next: featurekit extract --backbone dlib_age, then featurekit audit --features dlib_age.",
        )
    here = np.flatnonzero(given.numbers[embeddings.rows] >= 0)
    rows = embeddings.rows[here]
    folds = _folds(given, rows)
    if not folds or min(len(fold.train) for fold in folds) < FEWEST_FACES:
        return lacking(
            NAME,
            f"{len(rows):,} faces are too few to know which distance is normal.",
            f"Every fold needs at least {FEWEST_FACES} training faces.",
        )
    is_tested = _some(len(rows), given.seed)
    ratio = _nearest(
        _unit_vectors(embeddings, here), folds, is_tested, threads=given.threads, progress=given.progress
    )
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
        what=f"{len(close):,} of {n_tested:,} test faces{drawn} ({share:.1%}) are suspiciously close to a"
        f" training face: the distance to the nearest training face, in the features {of}, is less than"
        f" {CLOSE:g} times the distance to the {NEIGHBOUR}th nearest." + _largest_change(scores),
        advice=_advice(share, of, has_predictions=bool(given.predictions)),
        details=scores,
        rows=given.ids(rows[close[np.argsort(ratio[close], kind="stable")]]),
    )


def tell_faces_apart(embeddings: Vectors) -> bool:
    """Whether vectors have enough numbers, and of the right kind, to tell close faces from all others."""
    return embeddings.vectors.dtype.kind == "f" and embeddings.vectors.shape[1] >= FEWEST_NUMBERS


def _folds(given: Given, rows: NDArray[np.intp]) -> list[Fold]:
    """Return the folds with positions among the rows; as in featurekit fit, no test subject is trained on."""
    numbers, subjects = given.numbers[rows], given.manifest.subjects[rows]
    tests = [np.flatnonzero(numbers == number) for number in np.unique(numbers)]
    return [Fold(np.flatnonzero(~np.isin(subjects, subjects[test])), test) for test in tests]


def _unit_vectors(embeddings: Vectors, positions: NDArray[np.intp]) -> NDArray[np.float32]:
    """Return vectors of length 1, so that products are cosines; all joined parts have the same weight."""
    vectors = embeddings.vectors[positions].astype(np.float32)
    units = [
        part / np.maximum(np.linalg.norm(part, axis=1, keepdims=True), 1e-12)
        for part in np.split(vectors, np.cumsum(embeddings.blocks)[:-1], axis=1)
    ]
    return np.hstack(units) * np.float32(1 / np.sqrt(len(units)))


def _nearest(
    unit: NDArray[np.float32],
    folds: Sequence[Fold],
    is_tested: NDArray[np.bool_],
    *,
    threads: int = 1,
    progress: Progress | None = None,
) -> NDArray[np.float64]:
    """Return each face's distance to the nearest training face over that to the NEIGHBOURth nearest.

    Args:
        unit: feature vectors of length 1, shape (n_faces, dim).
        folds: folds with at least NEIGHBOUR training faces each.
        is_tested: mask of the faces to compute the ratio for, shape (n_faces,).
        threads: number of threads, which does not change the result.
        progress: called with (faces done, faces in total).

    Returns:
        Ratio of the two distances, shape (n_faces,); NaN for faces that are not in the mask.
    """
    ratio = np.full(len(unit), np.nan)
    n_tested, done = int(is_tested.sum()), 0
    with ThreadPoolExecutor(threads) as pool:
        for fold in folds:
            train = unit[fold.train].T
            tests = list(in_pieces(fold.test[is_tested[fold.test]], max(_AT_ONCE // len(fold.train), 1)))
            for piece, found in zip(
                tests, pool.map(_ratios, (unit[piece] for piece in tests), repeat(train)), strict=True
            ):
                ratio[piece] = found
                done += len(piece)
                if progress:
                    progress(done, n_tested)
    return ratio


def _ratios(test: NDArray[np.float32], train: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return for each row of test, shape (n, dim), what _nearest() does; train has the shape (dim, m)."""
    distances = test @ train
    np.subtract(1, distances, out=distances)
    np.maximum(distances, 0, out=distances)
    distances.partition((0, NEIGHBOUR - 1), axis=1)
    usual = distances[:, NEIGHBOUR - 1]
    return np.asarray(np.divide(distances[:, 0], usual, out=np.ones(len(test)), where=usual > 0))


def _some(n_faces: int, seed: int) -> NDArray[np.bool_]:
    """Return which faces are compared, shape (n_faces,): MOST_TESTED are drawn if there are more."""
    faces = np.arange(n_faces)
    return np.isin(faces, np.random.default_rng(seed).choice(faces, min(n_faces, MOST_TESTED), replace=False))


def _advice(share: float, of: str, *, has_predictions: bool) -> str:
    if share > 0.5:
        return (
            "Either nearly all subjects are in both the training and the test data, or the features"
            f" {of} do not tell faces apart. Use a face-recognition network for this check."
        )
    if not share:
        return ""
    advice = (
        "The same subject or image is probably in both the training part and the test part of a fold. Name"
        " the subjects (subject_id) if you can."
    )
    return advice if has_predictions else f"{advice} Next: featurekit fit, to get scores without these faces."


def _scores_without(given: Given, close: set[str]) -> dict[str, dict[str, float]]:
    """Return run → its mean score over the folds, of all faces and without the close ones."""
    found = {}
    for run, table in sorted(given.predictions.items()):
        target = target_of(given.manifest, run)
        if target is None:
            continue
        kind, values = (
            ("mae_years", (table["true"] - table["predicted"]).abs())
            if target.is_regression
            else ("accuracy", (table["true"] == table["predicted"]).astype(float))
        )
        left = ~table["face_id"].isin(close).to_numpy()
        fold = table["fold"].to_numpy()
        if left.any():
            means = [values[which].groupby(fold[which]).mean().mean() for which in (left | True, left)]
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
    return f" Without these faces {' and '.join(said)}; no model loses more." if said else ""
