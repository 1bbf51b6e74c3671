"""Prediction sets of classes and ranges of years that contain the true value as often as requested.

A range of fixed width around the predicted age has the promised coverage on average, but
not for the ages that the model predicts worst: a model that takes people of 15 to 20 for
24 gives them ranges as narrow as those of people who are 24. So the coverage is guaranteed
for each age by itself (label-conditional conformal prediction: Vovk, Lindsay, Nouretdinov
& Gammerman 2003, "Mondrian confidence machine"): for every age the interval of predictions
for people of that age is estimated, and a range consists of the ages whose interval
contains the prediction. The range of a face is wide if people of many ages get its
prediction, and is shifted towards the side on which the model errs.

The missed share is split between both ends of an interval so that ranges become as narrow
as possible: an age counts as possible where predictions for people of this age are frequent,
not where a prediction mostly belongs to people of other ages.
"""

from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

import annotated_types
import numpy as np
from numpy.typing import NDArray

from featurekit.uncertainty.resampling import (
    FEWEST,
    LEVEL,
    Interval,
    check_classes,
    check_lengths,
    exact_interval,
    on_others,
    per_subject,
)

MISSED = 0.1  # share of faces whose prediction set or range of years may miss the true value

_Threshold = Annotated[float, annotated_types.Interval(ge=-10, le=10)]


def conformal_threshold(scores: NDArray[np.float64], alpha: float, subjects: NDArray[Any]) -> float:
    """Return the highest nonconformity score with which a class belongs to a prediction set.

    The sets miss the true class for a share of at most alpha of the faces.

    >>> conformal_threshold(np.arange(1.0, 10.0), 0.2, np.array(list("abcdefghi")))
    8.0

    Faces of one subject are alike, so the guarantee is about subjects: one random face of a new subject is
    covered with a probability of at least 1 - alpha, whatever the model and the faces are like. Each subject
    has the same weight, divided equally among its faces, and one more subject, about whom nothing is known,
    counts as the worst case. This is the pooling of the subjects' distributions of Dunn, Wasserman & Ramdas
    (2023, "Distribution-free prediction sets for two-layer hierarchical models") with the correction that
    makes the guarantee hold for any number of subjects (Lee, Barber & Willett 2023, "Distribution-free
    inference with hierarchical data"). Their other method, repeated sampling of one face of each subject, is
    random and guarantees only 1 - 2 alpha. Counting faces instead guarantees nothing, because the subjects
    with the most images would decide for all.

    The guarantee is about all subjects together. Among the subjects of one age group, more faces than
    a share of alpha may be missed; see coverage_by().

    Args:
        scores: score of the true class of faces that the model had not seen, shape (n,); see class_scores().
        alpha: share of the faces whose set may miss the true class.
        subjects: subject of each face, shape (n,).

    Returns:
        The threshold; infinite if there are fewer than 1 / alpha - 1 subjects.
    """
    check_lengths(scores, subjects)
    codes, counts = np.unique(subjects, return_inverse=True, return_counts=True)[1:]
    order = np.argsort(scores, kind="stable")
    weights = np.cumsum(1 / counts[codes[order]])
    # Values that differ only by rounding count as equal.
    first = int(np.searchsorted(weights, (1 - alpha) * (len(counts) + 1) - 1e-9))
    return float(scores[order[first]]) if first < len(scores) else float("inf")


def class_scores(probabilities: NDArray[np.float64], *, ordered: bool) -> NDArray[np.float64]:
    """Return the nonconformity score of each class, higher for less likely ones, shape (n, n_classes).

    >>> class_scores(np.array([[0.5, 0.25, 0.25]]), ordered=True)
    array([[0.  , 0.5 , 0.75]])

    Args:
        probabilities: predicted probability of each class, shape (n, n_classes).
        ordered: whether the classes have an order. If not, a score is 1 - probability, which gives the
            smallest possible sets (Sadinle, Lei & Wasserman 2019). If so, sets must not have gaps: they grow
            from the likeliest class to the likelier of its neighbours, and the score of a class is the
            probability of all classes that were added before it.
    """
    if not ordered:
        return 1.0 - probabilities
    rows = np.arange(len(probabilities))
    low = probabilities.argmax(axis=1)
    high = low.copy()
    scores = np.zeros(probabilities.shape)
    held = probabilities[rows, low]
    beside = np.pad(probabilities, ((0, 0), (1, 1)), constant_values=-1.0)  # sets do not grow beyond the ends
    for _ in range(probabilities.shape[1] - 1):
        is_down = beside[rows, low] >= beside[rows, high + 2]
        low, high = low - is_down, high + ~is_down
        added = np.where(is_down, low, high)
        scores[rows, added] = held
        held = held + probabilities[rows, added]
    return scores


@dataclass(frozen=True)
class ClassSets:
    """Prediction sets: which classes are likely for a face.

    Attributes:
        thresholds: highest score (see class_scores()) with which each class is in a set, shape (n_classes,);
            None for a class with too few subjects, which is in every set.
        ordered: whether the classes have an order, so that sets must not have gaps.
    """

    thresholds: Annotated[tuple[_Threshold | None, ...], annotated_types.MaxLen(10_000)]
    ordered: bool

    def of(self, probabilities: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return which classes are in the prediction set of each face, bool of shape (n, n_classes).

        The likeliest class is always in the set, because an empty set would say nothing. So a model that is
        right more often than requested gives sets of one class, which contain the true class more often than
        requested.
        """
        # None becomes NaN, and no score is larger than NaN.
        sets: NDArray[np.bool_] = ~(
            class_scores(probabilities, ordered=self.ordered) > np.array(self.thresholds, float)
        )
        sets[np.arange(len(sets)), probabilities.argmax(axis=1)] = True
        if self.ordered:  # each class has its own threshold, so that one between two others may be missing
            after_first = np.logical_or.accumulate(sets, axis=1)
            before_last = np.logical_or.accumulate(sets[:, ::-1], axis=1)[:, ::-1]
            sets = after_first & before_last
        return sets


def fit_class_sets(
    probabilities: NDArray[np.float64],
    y: NDArray[np.intp],
    subjects: NDArray[Any],
    *,
    alpha: float,
    ordered: bool,
) -> ClassSets:
    """Return prediction sets that miss the true class for a share of at most alpha of the faces.

    The guarantee holds for the subjects of each class by themselves, at the price of larger sets (Sadinle,
    Lei & Wasserman 2019). If it held only for all classes together, a class that is hard to predict would be
    missed far more often.

    Args:
        probabilities: predicted probability of each class for faces that the model had not seen, shape (n,
            n_classes).
        y: class numbers, shape (n,).
        subjects: subject of each face, shape (n,).
        alpha: share of the faces of each class whose set may miss the true class.
        ordered: whether the classes have an order; see class_scores().
    """
    check_classes(probabilities, y)
    own = class_scores(probabilities, ordered=ordered)[np.arange(len(y)), y]
    thresholds = [
        conformal_threshold(own[chosen], alpha, subjects[chosen]) if chosen.any() else np.inf
        for chosen in (y == number for number in range(probabilities.shape[1]))
    ]
    return ClassSets(tuple(one if np.isfinite(one) else None for one in thresholds), ordered)


def cross_fitted_sets(
    probabilities: NDArray[np.float64],
    y: NDArray[np.intp],
    folds: NDArray[np.intp],
    subjects: NDArray[Any],
    *,
    alpha: float,
    ordered: bool,
) -> NDArray[np.bool_]:
    """Return the prediction set of each face, fitted on other subjects, bool of shape (n, n_classes).

    The guarantee of conformal_threshold() is for the predictions of one model. Here every fold has its own
    model, and the guarantee holds only as far as these models are alike; check it with coverage_by().

    Args:
        probabilities: predicted probability of each class, by a model that had not seen the subject, shape
            (n, n_classes).
        y: class numbers, shape (n,).
        folds: number of the fold in which each face was tested, shape (n,).
        subjects: subject of each face, shape (n,).
        alpha: share of the faces of each class whose set may miss the true class.
        ordered: whether the classes have an order; see class_scores().

    Raises:
        ValueError: a fold contains all subjects.
    """
    return on_others(
        probabilities,
        y,
        folds,
        subjects,
        fit=partial(fit_class_sets, alpha=alpha, ordered=ordered),
        answer=ClassSets.of,
        into=np.zeros(probabilities.shape, bool),
    )[0]


# People of neighbouring ages are used too: their weights decrease with this standard deviation in years,
# which grows with the age because people of 60 and 62 differ less than children of 2 and 4.
_SMOOTHING, _GROWTH = 0.75, 20.0
# If the neighbourhood of a rare age has fewer subjects, a wider one is used.
_ENOUGH = 60.0
_SPLITS = 13  # ways to split the missed share between both ends
# The split is chosen on a wider neighbourhood, so that it does not depend on the few people it is used for.
_WIDER = 3.0
# The oldest age, as in manifest.MAX_AGE.
_OLDEST = 116

_Years = Annotated[float, annotated_types.Interval(ge=-1000, le=1000)]


@dataclass(frozen=True)
class YearRanges:
    """Ranges of years, from the interval of predictions for people of each age.

    Attributes:
        first: first age, in completed years; the following ages are each one year higher.
        lowest, highest: interval of predicted ages for people of each age; None for an age with too few
            people.
    """

    first: Annotated[int, annotated_types.Interval(ge=0, le=200)]
    lowest: Annotated[tuple[_Years | None, ...], annotated_types.Len(1, 1000)]
    highest: Annotated[tuple[_Years | None, ...], annotated_types.Len(1, 1000)]

    def of(self, years: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the range of ages of each face, in completed years, shape (n, 2).

        The predicted age is always in the range.

        >>> YearRanges(20, (19.0, 20.0, 21.0), (22.0, 23.0, 24.0)).of(np.array([19.5, 23.5]))
        array([[19., 20.],
               [22., 23.]])

        Args:
            years: predicted ages, shape (n,).
        """
        lowest, highest = (np.array(ends, float) for ends in (self.lowest, self.highest))  # None becomes NaN
        outside = np.nan_to_num(np.fmax(lowest - years[:, None], years[:, None] - highest), nan=-np.inf)
        possible = outside <= 0
        # A prediction outside of all intervals belongs to the nearest one.
        possible[np.arange(len(years)), outside.argmin(axis=1)] |= ~possible.any(axis=1)
        first = self.first + possible.argmax(axis=1)
        last = self.first + len(lowest) - 1 - possible[:, ::-1].argmax(axis=1)
        completed = np.floor(np.clip(years, 0.0, None))
        return np.stack([np.minimum(first, completed), np.maximum(last, completed)], axis=1)


def fit_year_ranges(
    years: NDArray[np.float64], y: NDArray[np.float64], subjects: NDArray[np.generic], *, alpha: float
) -> YearRanges:
    """Return ranges of years that miss the true age for a share of at most alpha of the faces of each age.

    Each subject has the same weight, divided equally among its faces. One more subject, about whom nothing
    is known, counts as the worst case, as in conformal_threshold().

    Args:
        years: predicted ages of faces that the model had not seen, shape (n,).
        y: true ages, shape (n,); a range contains no age below the lowest or above the highest of these.
        subjects: subject of each face, shape (n,).
        alpha: for each age, the share of the faces whose range may miss the true age.
    """
    ages = np.clip(np.floor(y), 0, _OLDEST)
    codes, counts = np.unique(subjects, return_inverse=True, return_counts=True)[1:]
    shares = 1 / counts[codes]
    order = np.argsort(years, kind="stable")
    sorted_years, below = years[order], np.concatenate([[0.0], np.cumsum(shares[order])])
    grid = np.arange(int(ages.min()), int(ages.max()) + 1)
    lowest: list[float | None] = [None] * len(grid)
    highest = lowest.copy()
    for number, age in enumerate(grid):
        around = _Around.of(float(age), years, ages, shares, 1.0)
        missed = alpha - (1 - alpha) / around.n_subjects  # the subject about whom nothing is known
        if missed <= 0:
            continue
        wider = _Around.of(float(age), years, ages, shares, _WIDER)
        narrowest = np.inf
        for below_share in np.linspace(0, 1, _SPLITS):
            low, high = wider.between(below_share * missed, 1 - (1 - below_share) * missed)
            # The share of people of all ages with such predictions: ranges are narrower if it is smaller.
            ends = (np.searchsorted(sorted_years, low), np.searchsorted(sorted_years, high, side="right"))
            mass = below[ends[1]] - below[ends[0]]
            if mass < narrowest:
                narrowest, split = mass, below_share
        lowest[number], highest[number] = around.between(split * missed, 1 - (1 - split) * missed)
    return YearRanges(int(grid[0]), tuple(lowest), tuple(highest))


def cross_fitted_ranges(
    years: NDArray[np.float64],
    y: NDArray[np.float64],
    folds: NDArray[np.intp],
    subjects: NDArray[Any],
    *,
    alpha: float,
) -> NDArray[np.float64]:
    """Return the range of completed years of each face, fitted on other subjects, shape (n, 2).

    The guarantee has the same limits as the guarantee of cross_fitted_sets().

    Args:
        years: ages predicted by a model that had not seen the subject, shape (n,).
        y: the true ages, shape (n,).
        folds: number of the fold in which each face was tested, shape (n,).
        subjects: subject of each face, shape (n,).
        alpha: for each age, the share of the faces whose range may miss the true age.

    Raises:
        ValueError: a fold contains all subjects.
    """
    return on_others(
        years,
        y,
        folds,
        subjects,
        fit=partial(fit_year_ranges, alpha=alpha),
        answer=YearRanges.of,
        into=np.full((len(years), 2), np.nan),
    )[0]


@dataclass(frozen=True)
class _Around:
    """The distribution of the predictions for people around an age.

    Attributes:
        years: the predictions, increasing, each moved by the age minus its true age, shape (k,).
        shares: their cumulative weights, the last of which is 1.
        n_subjects: the effective number of subjects (Kish).
    """

    years: NDArray[np.float64]
    shares: NDArray[np.float64]
    n_subjects: float

    @classmethod
    def of(
        cls,
        age: float,
        years: NDArray[np.float64],
        ages: NDArray[np.float64],
        shares: NDArray[np.float64],
        factor: float,
    ) -> "_Around":
        width = factor * _SMOOTHING * (1 + age / _GROWTH)
        while True:
            near = np.flatnonzero(np.abs(ages - age) <= 4 * width)
            weights = shares[near] * np.exp(-0.5 * ((ages[near] - age) / width) ** 2)
            total = float(weights.sum())
            squares = float(weights @ (weights / np.maximum(shares[near], 1e-12)))
            n_subjects = total**2 / squares if total else 0
            if n_subjects >= _ENOUGH or width > 10 * _OLDEST:
                break
            width *= 1.5
        moved = years[near] + (age - ages[near])
        order = np.argsort(moved, kind="stable")
        return cls(moved[order], np.cumsum(weights[order]) / total, n_subjects)

    def between(self, low: float, high: float) -> tuple[float, float]:
        """Return the predictions at two cumulative shares; shares that differ only by rounding are equal."""
        first = int(np.searchsorted(self.shares, low - 1e-9)) if low > 0 else 0
        last = int(np.searchsorted(self.shares, high - 1e-9))
        return float(self.years[first]), float(self.years[min(last, len(self.years) - 1)])


@dataclass(frozen=True)
class Coverage:
    """How often prediction sets or ranges contain the true value, for the faces with one label.

    The attributes after n_subjects are None if there are fewer than FEWEST subjects.

    Attributes:
        label: label of the faces.
        n_faces, n_subjects: number of faces and of subjects with the label.
        value: share of the faces whose set or range contains the true value; subjects have equal weights.
        between: confidence interval of the value.
        size: mean number of classes in a set, or mean width of a range in years.
        p_value: p-value of the null hypothesis that sets or ranges contain the true value at least as often
            as promised; coverage_by() gives it for this label alone, and a report adjusts it for all labels.
    """

    label: str
    n_faces: int
    n_subjects: int
    value: float | None
    between: Interval | None
    size: float | None
    p_value: float | None = None


def coverage_by(
    labels: NDArray[Any],
    answers: NDArray[Any],
    y: NDArray[Any],
    subjects: NDArray[Any],
    *,
    missed: float = MISSED,
) -> list[Coverage]:
    """Return how often prediction sets or ranges contain the true value, for the faces of each label.

    The labels are in increasing order. All subjects have the same weight, as in the guarantee of
    conformal_threshold(), each with the mean over its faces with the label. The interval is exact for a share
    (Clopper & Pearson 1934) of the effective number of independent faces; unlike a bootstrap interval it has
    a width also if all are covered.

    Args:
        labels: label of each face, shape (n,).
        answers: prediction sets, bool of shape (n, n_classes), or ranges of completed years, float of shape
            (n, 2).
        y: class numbers or ages, shape (n,).
        subjects: subject of each face, shape (n,).
        missed: the promised largest share of faces whose set or range misses the true value.
    """
    check_lengths(labels, answers, y, subjects)
    covered, sizes = _held(answers, y)
    found = []
    for label in np.unique(labels):
        chosen = labels == label
        columns = np.stack([covered[chosen], sizes[chosen], np.ones(chosen.sum())], axis=1)
        of_each = per_subject(columns, subjects[chosen])
        means = of_each[:, :2] / of_each[:, 2:]
        n_subjects = len(means)
        if n_subjects < FEWEST:
            found.append(Coverage(str(label), int(chosen.sum()), n_subjects, None, None, None))
            continue
        value, size = (float(mean) for mean in means.mean(axis=0))
        variance = float(means[:, 0].var(ddof=1)) / n_subjects
        n = max(value * (1 - value) / variance, n_subjects) if variance else n_subjects
        found.append(
            Coverage(
                label=str(label),
                n_faces=int(chosen.sum()),
                n_subjects=n_subjects,
                value=value,
                between=exact_interval(value, n, 1 - LEVEL),
                size=size,
                p_value=_at_most(value, n, 1 - missed),
            )
        )
    return found


def _held(answers: NDArray[Any], y: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return 1 for each answer that contains the true value, and the size of each answer."""
    if answers.dtype == np.bool_:
        check_classes(answers, y)
        return answers[np.arange(len(y)), y].astype(np.float64), answers.sum(axis=1).astype(np.float64)
    low, high = answers.T
    completed = np.floor(y)
    return ((low <= completed) & (completed <= high)).astype(np.float64), high - low


def _at_most(share: float, n: float, promised: float) -> float:
    """Return the p-value of a share this small if the promise is kept (exact binomial test)."""
    from scipy.special import betaincc

    hits = share * n
    return float(betaincc(hits + 1, n - hits, promised)) if hits < n else 1.0
