"""Ranges of years with a coverage that holds for people of every age.

A range of fixed width around the predicted age has the promised coverage on average, but
not for the ages that the model predicts worst: a model that takes people of 15 to 20 for
24 gives them ranges as narrow as those of people who are 24. So the coverage is guaranteed
for each age by itself (label-conditional conformal prediction: Vovk, Lindsay, Nouretdinov
& Gammerman 2003, "Mondrian confidence machine"): for every age the interval of predictions
for people of that age is estimated, and a range consists of the ages whose interval
contains the prediction. The range of a face is wide if people of many ages get its
prediction, and is shifted towards the side on which the model errs.

The missed share is split between both ends of an interval so that ranges become as narrow
as possible: an age counts as possible where predictions for its own people are frequent,
not where a prediction mostly belongs to people of other ages.
"""

from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

import numpy as np
from annotated_types import Interval, Len
from numpy.typing import NDArray

from featurekit.uncertainty.cross_fitting import on_others

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

_Years = Annotated[float, Interval(ge=-1000, le=1000)]


@dataclass(frozen=True)
class YearRanges:
    """The interval of predictions for people of each age.

    Attributes:
        first: the first age, in completed years; the others follow it year by year.
        lowest, highest: the interval of predicted years for people of each age; None if there are too few.
    """

    first: Annotated[int, Interval(ge=0, le=200)]
    lowest: Annotated[tuple[_Years | None, ...], Len(1, 1000)]
    highest: Annotated[tuple[_Years | None, ...], Len(1, 1000)]

    def of(self, years: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the range of ages of each face, in completed years, shape (n, 2).

        The predicted years are always in the range.

        >>> YearRanges(20, (19.0, 20.0, 21.0), (22.0, 23.0, 24.0)).of(np.array([19.5, 23.5]))
        array([[19., 20.],
               [22., 23.]])

        Args:
            years: the predictions, shape (n,).
        """
        lowest, highest = (np.array(ends, float) for ends in (self.lowest, self.highest))  # None becomes NaN
        read = np.floor(np.clip(years, 0.0, None))
        outside = np.nan_to_num(np.fmax(lowest - years[:, None], years[:, None] - highest), nan=-np.inf)
        possible = outside <= 0
        # A prediction outside of all intervals belongs to the nearest one.
        possible[np.arange(len(years)), outside.argmin(axis=1)] |= ~possible.any(axis=1)
        first = self.first + possible.argmax(axis=1)
        last = self.first + len(lowest) - 1 - possible[:, ::-1].argmax(axis=1)
        return np.stack([np.minimum(first, read), np.maximum(last, read)], axis=1)


def fit_year_ranges(
    years: NDArray[np.float64], y: NDArray[np.float64], subjects: NDArray[np.generic], *, alpha: float
) -> YearRanges:
    """Return ranges of years that miss the true age with a share of at most alpha at each age.

    Each subject has the same weight, divided equally among its faces. One more subject, about whom nothing
    is known, counts as the worst case, as in conformal.conformal_threshold().

    Args:
        years: predicted for faces that the model had not seen, shape (n,).
        y: the true ones, shape (n,); a range contains no ages beyond those that occur.
        subjects: subject of each face, shape (n,).
        alpha: share that may be missed.
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

    The guarantee has the same limits as that of conformal.cross_fitted_sets().

    Args:
        years: predicted by a model that had not seen the subject, shape (n,).
        y: the true ones.
        folds: in which each face was tested, shape (n,).
        subjects: subject of each face, shape (n,).
        alpha: share that may be missed, of people of each age.

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
