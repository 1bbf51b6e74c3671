"""Check whether each fold has about the same class shares as the whole data set."""

import numpy as np

from featurekit.checks._columns import class_targets
from featurekit.checks.base import NO_FOLDS, Given, check, lacking
from featurekit.findings import Finding

NAME = "class_balance"
FEWEST_TESTED = 5  # faces of a class in a test part
MUCH_APART = 5.0  # percentage points by which a class's share may differ before the finding is a note


@check(NAME, "classes distributed unevenly over the folds", "warning", 80)
def look(given: Given) -> Finding:
    """Compare the class shares in each fold with the class shares in all folds together."""
    if given.folds is None:
        return lacking(NAME, "There are no folds yet, so class shares cannot be compared.", NO_FOLDS)
    found: list[tuple[str, str, dict[str, float]]] = []
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
            worst_fold = np.abs(apart).argmax()
            facts = {
                "share": float(whole[number]),
                "most points apart": float(apart[worst_fold]),
                "in fold": float(numbers[worst_fold]),
                "fewest tested": float(counts[number].min()),
            }
            found.append((target.name, label, facts))
    if not found:
        return lacking(NAME, "No face in a fold has a class label.", "")
    rare = sum(facts["fewest tested"] < FEWEST_TESTED for _, _, facts in found)
    target_name, label, worst = max(found, key=lambda one: abs(one[2]["most points apart"]))
    most = abs(worst["most points apart"])
    what = (
        f"The share of a class in a fold differs by at most {most:.1f} percentage points from its share of"
        f" all faces (the largest difference is that of {target_name} {label} in fold"
        f" {worst['in fold']:.0f})."
        if most
        else "Every fold has the same share of every class."
    )
    few = f" Classes with fewer than {FEWEST_TESTED} test faces in some fold: {rare} of {len(found)}."
    return Finding(
        name=NAME,
        severity="warning" if rare else "note" if most > MUCH_APART else "ok",
        count=rare,
        of=len(found),
        what=what + few if rare else what,
        advice="Use fewer folds, or do not interpret the scores of these classes in single folds."
        if rare
        else "Do not compare the scores of single folds, because the folds are not equally difficult."
        if most > MUCH_APART
        else "",
        details={f"{name}: {label}": facts for name, label, facts in found},
    )
