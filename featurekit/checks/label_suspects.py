"""Labels that the best run of each target reads as others, and is sure of it."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurekit.checks._columns import target_of
from featurekit.checks.base import CHECKS, Check, Given, lacking
from featurekit.data.targets import Target
from featurekit.findings import Finding

NAME = "label_suspects"
_MANY_SUSPECT = 0.02  # share from which on the finding is a warning


def look(given: Given) -> Finding:
    """Look for labels that the best run of each target reads as others, and is sure of it.

    Confident learning (Northcutt, Jiang & Chuang 2021): a face counts as one of a class when it is given
    at least as much of it as faces labelled so are given on average. Who counts as one of another class than
    her own is suspect; where several classes qualify, the one with the highest probability is taken.
    """
    best = _best_runs(given)
    if not best:
        return lacking(
            NAME,
            "There are no predictions with probabilities yet, which are needed to find wrong labels.",
            "Next: featurekit fit.",
        )
    suspected = [_suspected(given.predictions[run], target) for _, run, target in best]
    said = [
        f"{one.n_suspect:,} of {one.n_faces:,} labels of {target.name} are suspicious{one.beside},"
        f" according to {run}, which agrees with {exact:.1%} of them"
        for one, (exact, run, target) in zip(suspected, best, strict=True)
    ]
    everybody = {face for _, run, _ in best for face in given.predictions[run]["face_id"]}
    rows = tuple(dict.fromkeys(face for one in suspected for face in one.rows))
    share = max(one.n_suspect / one.n_faces for one in suspected)
    return Finding(
        name=NAME,
        severity="warning" if share >= _MANY_SUSPECT else "note" if rows else "ok",
        count=len(rows),
        of=len(everybody),
        what="; ".join(said) + ".",
        advice="Check them, starting with the most suspicious (audit_rows.csv), and correct the labels"
        " that are"
        " wrong. Some are only difficult faces, so look at each before you remove it."
        if rows
        else "",
        details={name: numbers for one in suspected for name, numbers in one.details.items()},
        rows=rows,
    )


def _best_runs(given: Given) -> list[tuple[float, str, Target]]:
    """Return the run of each target of classes that agrees with most labels: (share, run, target)."""
    best: dict[str, tuple[float, str, Target]] = {}
    for run in sorted(given.predictions):
        target, table = target_of(given.manifest, run), given.predictions[run]
        if target is None or target.is_regression or not len(table):
            continue
        # A class that the run left out has no probabilities.
        target = replace(target, classes=tuple(one for one in target.classes if f"p_{one}" in table))
        if not set(table["true"]) <= set(target.classes):
            continue
        exact = float((table["true"] == table["predicted"]).mean())
        if target.name not in best or exact > best[target.name][0]:
            best[target.name] = (exact, run, target)
    return list(best.values())


class _Suspected(NamedTuple):
    """What one run says of the labels of its target.

    Attributes:
        n_faces, n_suspect: how many were read, and how many of their labels are suspect.
        beside: what else is to be said of them, in words; "" for nothing.
        details: class → how many of its labels are suspect, and out of how many.
        rows: face_id of each face whose label is suspect, the most suspect first.
    """

    n_faces: int
    n_suspect: int
    beside: str
    details: dict[str, dict[str, float]]
    rows: tuple[str, ...]


def _suspected(table: pd.DataFrame, target: Target) -> _Suspected:
    """Return the labels that a run reads as others."""
    true = target.encode(list(table["true"]))
    proba = table[[f"p_{label}" for label in target.classes]].to_numpy(float)
    suspected = suspects(true, proba)
    wrong = suspected >= 0
    # Neighbouring groups flow into each other: who is read as the next one is no sign of a mistake.
    far = wrong & (np.abs(suspected - true) > 1) if target.ordered else wrong
    details = {}
    for number, label in enumerate(target.classes):
        own = true == number
        if own.any():
            name = f"{target.name}: {label}"
            details[name] = {"suspects": float((far & own).sum()), "of": float(own.sum())}
    margin = proba[np.arange(len(true)), true] - proba[np.arange(len(true)), np.maximum(suspected, 0)]
    rows = np.flatnonzero(far)
    ids = table["face_id"].to_numpy(dtype=str)[rows[np.argsort(margin[rows], kind="stable")]]
    n_far = int(far.sum())
    beside = f" by two groups or more ({wrong.sum() - n_far:,} others by one)" if target.ordered else ""
    return _Suspected(len(table), n_far, beside, details, tuple(map(str, ids)))


def suspects(true: NDArray[np.intp], proba: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the class that each face counts as one of against its label, -1 for none.

    >>> proba = np.array([[0.9, 0.1], [0.8, 0.2], [0.9, 0.1], [0.2, 0.8], [0.1, 0.9]])
    >>> suspects(np.array([0, 0, 1, 1, 1]), proba)
    array([-1, -1,  0, -1, -1])

    Args:
        true: class number of each label, shape (n,).
        proba: what a model that has not seen the face gives each class, shape (n, n_classes).
    """
    n_classes = proba.shape[1]
    own = proba[np.arange(len(true)), true]
    counts = np.bincount(true, minlength=n_classes)
    sums = np.bincount(true, weights=own, minlength=n_classes)
    limits = np.divide(sums, counts, out=np.full(n_classes, np.inf), where=counts > 0)
    qualifies = proba >= limits - 1e-12  # equal but for the last bits of a mean
    counted = np.where(qualifies, proba, -1.0).argmax(axis=1)
    found: NDArray[np.intp] = np.where(qualifies.any(axis=1) & (counted != true), counted, -1)
    return found


CHECKS.add(Check(NAME, "labels that models disagree with", "warning", 70, look))
