"""The shares of the classes in each fold beside those over all folds."""

import numpy as np

from featurekit.checks._columns import class_targets
from featurekit.checks.base import CHECKS, NO_FOLDS, Check, Given, lacking
from featurekit.findings import Finding

NAME = "class_balance"
FEWEST_TESTED = 5  # faces of a class in a test part
MUCH_APART = 5.0  # points by which a class's share of a fold may differ before it is mentioned


def look(given: Given) -> Finding:
    """Compare the shares of the classes in each fold with those over all folds."""
    if given.folds is None:
        return lacking(NAME, "There are no folds yet, so class shares cannot be compared.", NO_FOLDS)
    details: dict[str, dict[str, float]] = {}
    rare, n_classes = 0, 0
    worst = (0.0, "", 0)
    for target in class_targets(given.manifest):
        labels = given.column(target.name)
        rows = np.flatnonzero((given.numbers >= 0) & given.manifest.labelled(target))
        if not len(rows):
            continue
        numbers, fold_of = np.unique(given.numbers[rows], return_inverse=True)
        counts = np.stack(
            [np.bincount(fold_of[labels[rows] == label], minlength=len(numbers)) for label in target.classes]
        )
        shares = counts / np.maximum(counts.sum(axis=0), 1)
        whole = counts.sum(axis=1) / len(rows)
        for number in np.flatnonzero(whole):
            label, apart = target.classes[number], 100 * (shares[number] - whole[number])
            worst_here, fewest = int(np.abs(apart).argmax()), int(counts[number].min())
            details[f"{target.name}: {label}"] = {
                "share": float(whole[number]),
                "most points apart": float(apart[worst_here]),
                "in fold": float(numbers[worst_here]),
                "fewest tested": float(fewest),
            }
            n_classes += 1
            rare += fewest < FEWEST_TESTED
            if abs(apart[worst_here]) > abs(worst[0]):
                worst = (float(apart[worst_here]), f"{target.name} {label}", int(numbers[worst_here]))
    if not n_classes:
        return lacking(NAME, "No test face has a class label.", "")
    what = "Every fold has the same share of every class."
    if worst[1]:
        what = (
            "In no fold does the share of a class differ from its share of all faces by more than"
            f" {abs(worst[0]):.1f} percentage points (the largest difference is that of {worst[1]} in fold"
            f" {worst[2]})."
        )
    if rare:
        what += f" {rare} of {n_classes} classes have fewer than {FEWEST_TESTED} faces in a test part."
    apart_much = abs(worst[0]) > MUCH_APART
    return Finding(
        name=NAME,
        severity="warning" if rare else "note" if apart_much else "ok",
        count=rare,
        of=n_classes,
        what=what,
        advice="Use fewer folds, or do not interpret the scores of these classes in single folds."
        if rare
        else "Keep this in mind when you compare folds: they are not equally difficult."
        if apart_much
        else "",
        details=details,
    )


CHECKS.add(Check(NAME, "classes distributed unevenly over the folds", "warning", 80, look))
