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
        return lacking(NAME, "Without folds there are no shares to compare.", NO_FOLDS)
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
        return lacking(NAME, "No tested face has a label of a class.", "")
    what = "Every fold has the same share of every class."
    if worst[1]:
        what = (
            f"No class's share of a fold is more than {abs(worst[0]):.1f} points off its share of all faces"
            f" ({worst[1]} in fold {worst[2]})."
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
        advice="Use fewer folds, or read no score of these classes fold by fold."
        if rare
        else "Read the spread over folds with that in mind: folds are not equally hard."
        if apart_much
        else "",
        details=details,
    )


CHECKS.add(Check(NAME, "classes dealt unevenly", "warning", 80, look))
