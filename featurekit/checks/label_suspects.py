"""Check for labels that the best model of each target contradicts with a high probability."""

import math
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import stdtr

from featurekit.checks._columns import target_of
from featurekit.checks.base import Given, check, lacking
from featurekit.data.targets import Target
from featurekit.evaluation.differences import ALPHA
from featurekit.findings import Finding

NAME = "label_suspects"
_MANY_SUSPECT = 0.02  # share of suspicious labels that makes the finding a warning


@check(NAME, "labels that models disagree with", "warning", 70)
def look(given: Given) -> Finding:
    """Find labels that the best model of each target contradicts with a high probability.

    This is confident learning (Northcutt, Jiang & Chuang 2021). The threshold of a class is the mean
    predicted probability of the class over the faces with this label. A face is assigned to a class if its
    probability of the class reaches the threshold, and to the most probable class if it reaches several
    thresholds. A label is suspicious if its face is assigned to another class.
    """
    best = _best_runs(given)
    if not best:
        return lacking(
            NAME,
            "Wrong labels cannot be found, because there are no predictions with probabilities yet.",
            "Next: featurekit fit.",
        )
    manifest = given.manifest
    subject_of = pd.Series(manifest.subjects, index=manifest.table["face_id"].astype(str))
    suspected = []
    for _, run, target in best:
        table = given.predictions[run]
        subjects = subject_of.loc[table["face_id"].astype(str)].to_numpy(dtype=str)
        suspected.append(suspected_of(table, target, subjects))
    said = [
        f"{len(one.rows):,} of {one.n_faces:,} labels of {target.name} are suspicious{one.beside},"
        f" according to the model {run}, which agrees with {accuracy:.1%} of the labels"
        for one, (accuracy, run, target) in zip(suspected, best, strict=True)
        if one.is_informed
    ]
    unknown = [
        f"No label of {target.name} is called suspicious, because the model {run}, which agrees with"
        f" {accuracy:.1%} of the labels, is not shown to tell them apart better than by chance."
        for one, (accuracy, run, target) in zip(suspected, best, strict=True)
        if not one.is_informed
    ]
    judged = {
        face
        for one, (_, run, _) in zip(suspected, best, strict=True)
        if one.is_informed or not said
        for face in given.predictions[run]["face_id"]
    }
    rows = tuple(dict.fromkeys(face for one in suspected for face in one.rows))
    share = max(len(one.rows) / one.n_faces for one in suspected)
    return Finding(
        name=NAME,
        severity="warning" if share >= _MANY_SUSPECT else "note" if rows or unknown else "ok",
        count=len(rows),
        of=len(judged),
        what=" ".join([*(["; ".join(said) + "."] if said else []), *unknown]),
        advice="Look at these faces, starting with the most suspicious (audit_rows.csv), and correct the"
        " labels that are wrong. Some labels are right, and only the face is difficult."
        if rows
        else "",
        details={name: numbers for one in suspected for name, numbers in one.details.items()},
        rows=rows,
    )


def _best_runs(given: Given) -> list[tuple[float, str, Target]]:
    """Return, for each class target, the run that agrees with most labels: (share, run, target)."""
    best: dict[str, tuple[float, str, Target]] = {}
    for run in sorted(given.predictions):
        target, table = target_of(given.manifest, run), given.predictions[run]
        if target is None or target.is_regression or not len(table):
            continue
        # There are no probabilities of a class that the run left out.
        target = replace(target, classes=tuple(one for one in target.classes if f"p_{one}" in table))
        if not set(table["true"]) <= set(target.classes):
            continue
        accuracy = float((table["true"] == table["predicted"]).mean())
        if target.name not in best or accuracy > best[target.name][0]:
            best[target.name] = (accuracy, run, target)
    return list(best.values())


class Suspected(NamedTuple):
    """The suspicious labels of a target according to one run.

    Attributes:
        n_faces: number of faces that have a prediction.
        is_informed: whether the run is shown to tell the labels apart; else no label is suspicious.
        beside: an addition to the sentence about them; "" for none.
        details: class → how many of its labels are suspicious, and out of how many.
        rows: face_id of each face with a suspicious label, the most suspicious first.
    """

    n_faces: int
    is_informed: bool
    beside: str
    details: dict[str, dict[str, float]]
    rows: tuple[str, ...]


def suspected_of(table: pd.DataFrame, target: Target, subjects: NDArray[np.str_]) -> Suspected:
    """Return the labels that the predictions of a run contradict.

    All errors of a run that guesses would be suspicious, so there are none unless it is better than chance.

    Args:
        table: predictions of the run, with the columns face_id, true, and p_ of each class.
        target: the target of the run.
        subjects: the subject of each row of the table.
    """
    true = target.encode(list(table["true"]))
    proba = table[[f"p_{label}" for label in target.classes]].to_numpy(float)
    is_informed = tells_apart(true, proba, subjects)
    suspected = suspects(true, proba) if is_informed else np.full(len(true), -1)
    wrong = suspected >= 0
    # There is no sharp limit between neighbouring groups, so a prediction of the next one is no sign of a
    # mistake.
    far = wrong & (np.abs(suspected - true) > 1) if target.ordered else wrong
    n_suspects, n_labels = (
        np.bincount(true[which], minlength=len(target.classes)) for which in (far, wrong | True)
    )
    details = {
        f"{target.name}: {label}": {"suspects": float(n), "of": float(of)}
        for label, n, of in zip(target.classes, n_suspects, n_labels, strict=True)
        if of
    }
    margin = proba[np.arange(len(true)), true] - proba[np.arange(len(true)), np.maximum(suspected, 0)]
    rows = np.flatnonzero(far)
    ids = table["face_id"].to_numpy(dtype=str)[rows[np.argsort(margin[rows], kind="stable")]]
    beside = f" by two groups or more ({wrong.sum() - len(rows):,} more by one)" if target.ordered else ""
    return Suspected(len(table), is_informed, beside, details, tuple(map(str, ids)))


def tells_apart(true: NDArray[np.intp], proba: NDArray[np.float64], subjects: NDArray[np.str_]) -> bool:
    """Return whether the probability of the label of a face is shown to be higher than that of any label.

    The latter is a label drawn at random from those of all faces. The test is a t-test over subjects
    (one-sided, p ≤ 0.05). A model that always predicts the most frequent class is often right, but does not
    tell labels apart.

    Args:
        true: class number of each label, shape (n,).
        proba: class probabilities from a model that was not trained on the face, shape (n, n_classes).
        subjects: the subject of each face, shape (n,).
    """
    shares = np.bincount(true, minlength=proba.shape[1]) / len(true)
    gains = pd.Series(proba[np.arange(len(true)), true] - proba @ shares).groupby(subjects).sum()
    mean, spread = float(gains.mean()), float(gains.std())
    if len(gains) < 2 or mean <= 0:
        return False
    return spread == 0 or bool(stdtr(len(gains) - 1, -mean / (spread / math.sqrt(len(gains)))) <= ALPHA)


def suspects(true: NDArray[np.intp], proba: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the class, other than its label, to which confident learning assigns each face; -1 for none.

    >>> proba = np.array([[0.9, 0.1], [0.8, 0.2], [0.9, 0.1], [0.2, 0.8], [0.1, 0.9]])
    >>> suspects(np.array([0, 0, 1, 1, 1]), proba)
    array([-1, -1,  0, -1, -1])

    Args:
        true: class number of each label, shape (n,).
        proba: class probabilities from a model that was not trained on the face, shape (n, n_classes).
    """
    n_classes = proba.shape[1]
    counts = np.bincount(true, minlength=n_classes)
    sums = np.bincount(true, weights=proba[np.arange(len(true)), true], minlength=n_classes)
    limits = np.divide(sums, counts, out=np.full(n_classes, np.inf), where=counts > 0)
    qualifies = proba >= limits - 1e-12  # the last bits of a mean may differ
    counted = np.where(qualifies, proba, -1.0).argmax(axis=1)
    return np.where(qualifies.any(axis=1) & (counted != true), counted, -1)
