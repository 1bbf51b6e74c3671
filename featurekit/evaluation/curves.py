"""ROC and precision–recall curves of classifiers, with the areas under them.

A curve belongs to one class, the positive one, against all other classes. It is computed from the
predicted probabilities of all faces, each by the model that was fitted without its fold. For two
classes, the second one is the positive class, as in scikit-learn. For more classes, the curves of all
classes are averaged: the true positive rates at the same false positive rate, and the precisions at
the same recall.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurekit.data.targets import Target
from featurekit.evaluation.estimates import Estimate, classes_of
from featurekit.evaluation.outcomes import MOST_LABELS, gives_probabilities
from featurekit.uncertainty.curves import ScoredClass, resampled_areas
from featurekit.uncertainty.resampling import FEWEST, interval

_STEPS = 60
# The places at which curves are stored: closer together where good models differ, and round numbers to quote.
QUOTED_RATES, QUOTED_RECALLS = (0.01, 0.02, 0.05, 0.1, 0.2), (0.5, 0.8, 0.9, 0.95, 0.99)
FALSE_POSITIVE_RATES = tuple(
    sorted({*QUOTED_RATES, 0.5, *(round((step / _STEPS) ** 2, 6) for step in range(_STEPS + 1))})
)
RECALLS = tuple(sorted({*QUOTED_RECALLS, *(round(1 - (step / _STEPS) ** 2, 6) for step in range(_STEPS))}))
_ROUNDING = 1e-9  # a rate that is this much too large counts as equal


@dataclass(frozen=True, kw_only=True)
class Curve:
    """The ROC curve and the precision–recall curve of one class of one model, or their means over classes.

    Attributes:
        positive: the class against all others; "" for the mean over classes.
        n_faces, n_subjects: number of faces and of subjects of this class, or of all classes.
        roc_auc: area under the ROC curve; None if the class or all others have fewer than FEWEST subjects.
        average_precision: average precision, a summary of the precision–recall curve; None as roc_auc.
        true_positive_rates: the largest share of the faces of the class that is found with at most each of
            FALSE_POSITIVE_RATES; empty if the curve is not stored.
        precisions: precision with at least each of RECALLS; empty if the curve is not stored.
    """

    positive: str
    n_faces: int
    n_subjects: int
    roc_auc: Estimate | None
    average_precision: Estimate | None
    true_positive_rates: tuple[float, ...] = ()
    precisions: tuple[float, ...] = ()

    @property
    def without_points(self) -> "Curve":
        """The areas without the curves."""
        return replace(self, true_positive_rates=(), precisions=())


def curves_of(target: Target, table: pd.DataFrame, seed: int) -> tuple[Curve, ...]:
    """Return the curves of one model, computed from its predictions.

    Args:
        target: target of the model.
        table: outcomes of the model, as described in featurekit.evaluation.outcomes.
        seed: seed of the random number generator.

    Returns:
        The main curve first: of the second of two classes, or the mean over the classes with at least FEWEST
        subjects. Then the other curves, one for each class. Nothing if the target has more than MOST_LABELS
        classes, the table has no probabilities, or the main curve has too few subjects.
    """
    n_classes = len(target.classes)
    if not 2 <= n_classes <= MOST_LABELS or not gives_probabilities(table, target.classes):
        return ()
    true, proba, subjects = classes_of(target, table)
    counts: dict[str, tuple[int, int]] = {}
    scored: dict[str, ScoredClass] = {}
    for number, label in enumerate(target.classes):
        own = true == number
        counts[label] = int(own.sum()), len(np.unique(subjects[own]))
        if min(counts[label][1], len(np.unique(subjects[~own]))) >= FEWEST:
            scored[label] = _scored(proba[:, number], own)
    if len(scored) < 2:
        return ()
    areas = resampled_areas(list(scored.values()), subjects, seed=seed)
    drawn = dict(zip(scored, areas, strict=True))
    curves = [
        _curve(label, counts[label], scored[label], drawn[label])
        if label in scored
        else Curve(
            positive=label,
            n_faces=counts[label][0],
            n_subjects=counts[label][1],
            roc_auc=None,
            average_precision=None,
        )
        for label in target.classes
    ]
    if n_classes == 2:
        return tuple(reversed(curves))
    return (_mean_of(curves, areas, len(np.unique(subjects))), *curves)


def stored(curves: Sequence[Curve]) -> tuple[Curve, ...]:
    """Return curves as they are kept with a comparison: only the points of the main one."""
    return (*curves[:1], *(curve.without_points for curve in curves[1:]))


def _scored(scores: NDArray[np.float64], own: NDArray[np.bool_]) -> ScoredClass:
    """Return the areas of a class against all others."""
    from sklearn.metrics import average_precision_score, roc_auc_score

    return ScoredClass(
        scores=scores,
        is_positive=own,
        roc_auc=float(roc_auc_score(own, scores)),
        average_precision=float(average_precision_score(own, scores)),
    )


def _curve(label: str, counts: tuple[int, int], of: ScoredClass, drawn: NDArray[np.float64]) -> Curve:
    """Return the curve of a class, given its numbers of faces and subjects and its resampled areas."""
    from sklearn.metrics import precision_recall_curve, roc_curve

    false, true, _ = roc_curve(of.is_positive, of.scores, drop_intermediate=False)
    last = np.searchsorted(false, np.array(FALSE_POSITIVE_RATES) + _ROUNDING, side="right") - 1
    precision, recall, _ = precision_recall_curve(of.is_positive, of.scores)
    first = np.searchsorted(recall[::-1], np.array(RECALLS) - _ROUNDING, side="left")
    return Curve(
        positive=label,
        n_faces=counts[0],
        n_subjects=counts[1],
        roc_auc=_estimate(of.roc_auc, drawn[:, 0]),
        average_precision=_estimate(of.average_precision, drawn[:, 1]),
        true_positive_rates=tuple(true[last].tolist()),
        precisions=tuple(precision[::-1][first].tolist()),
    )


def _mean_of(curves: Sequence[Curve], drawn: NDArray[np.float64], n_subjects: int) -> Curve:
    """Return the mean of the curves of the classes that have one; each class has the same weight."""
    known = [curve for curve in curves if curve.roc_auc]
    areas = [curve.roc_auc.value for curve in known if curve.roc_auc]
    precisions = [curve.average_precision.value for curve in known if curve.average_precision]
    means = drawn.mean(axis=0)
    return Curve(
        positive="",
        n_faces=sum(curve.n_faces for curve in known),
        n_subjects=n_subjects,
        roc_auc=_estimate(float(np.mean(areas)), means[:, 0]),
        average_precision=_estimate(float(np.mean(precisions)), means[:, 1]),
        true_positive_rates=tuple(np.mean([one.true_positive_rates for one in known], axis=0).tolist()),
        precisions=tuple(np.mean([one.precisions for one in known], axis=0).tolist()),
    )


def _estimate(value: float, drawn: NDArray[np.float64]) -> Estimate:
    """Return a value with its interval, which ends at 0 and 1."""
    between = interval(np.clip(drawn, 0.0, 1.0))
    return Estimate(value, between.low, between.high)
