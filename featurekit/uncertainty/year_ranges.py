"""Between which ages somebody may be, so that the promise holds for people of every age.

A range around the years that a model reads holds the truth as often as promised on
average, and fails whoever the model reads worst: a model that takes people of 15 to 20
for 24 gives them ranges as narrow as those of people who are 24. So the promise is kept
for each age by itself (label-conditional conformal prediction: Vovk, Lindsay, Nouretdinov
& Gammerman 2003, "Mondrian confidence machine"): for every age it is found out between
which readings people of that age lie, and a range is made of the ages for which a reading
is among these. The range of a face is wide where people of many ages get its reading, and
leans to the side on which the model errs.

How much of what is missed lies below and how much above is chosen so that ranges are as
narrow as can be: an age counts as possible where its own people are found, and not where
a reading mostly belongs to others.
"""

from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

import numpy as np
from annotated_types import Interval, Len
from numpy.typing import NDArray

from featurekit.uncertainty.cross_fitting import on_others

# People of neighbouring ages tell what people of an age are like: their weights fall off with this standard
# deviation in years, which grows with the age as people of 60 and 62 differ less than children of 2 and 4.
_SMOOTHING, _GROWTH = 0.75, 20.0
# Where an age is so rare that its neighbourhood has fewer persons, a wider one is looked at.
_PERSONS = 60.0
_SPLITS = 13  # ways to split what is missed between both sides
# The split is chosen on a wider neighbourhood, so that it does not follow the few people it is used for.
_WIDER = 3.0
# Ages that are looked at: nobody is older than manifest.MAX_AGE.
_OLDEST = 116

_Years = Annotated[float, Interval(ge=-1000, le=1000)]


@dataclass(frozen=True)
class YearRanges:
    """Between which readings people of each age lie.

    Attributes:
        first: the first age, in completed years; the others follow it year by year.
        lowest, highest: between which years people of each age are read; None where there are too few to say.
    """

    first: Annotated[int, Interval(ge=0, le=200)]
    lowest: Annotated[tuple[_Years | None, ...], Len(1, 1000)]
    highest: Annotated[tuple[_Years | None, ...], Len(1, 1000)]

    def of(self, years: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return between which ages each face may be, in completed years, shape (n, 2).

        The years that were read are always among them.

        >>> YearRanges(20, (19.0, 20.0, 21.0), (22.0, 23.0, 24.0)).of(np.array([19.5, 23.5]))
        array([[19., 20.],
               [22., 23.]])

        Args:
            years: that were read, shape (n,).
        """
        lowest, highest = (np.array(ends, float) for ends in (self.lowest, self.highest))  # None is NaN
        read = np.floor(np.clip(years, 0.0, None))
        outside = np.nan_to_num(np.fmax(lowest - years[:, None], years[:, None] - highest), nan=-np.inf)
        possible = outside <= 0
        # A reading that people of no age get is nearest to those of some age.
        nearest = outside.argmin(axis=1)
        possible[np.arange(len(years)), nearest] |= ~possible.any(axis=1)
        first = self.first + possible.argmax(axis=1)
        last = self.first + len(lowest) - 1 - possible[:, ::-1].argmax(axis=1)
        return np.stack([np.minimum(first, read), np.maximum(last, read)], axis=1)


def fit_year_ranges(
    years: NDArray[np.float64], y: NDArray[np.float64], subjects: NDArray[np.generic], *, alpha: float
) -> YearRanges:
    """Return how to answer with ranges of years that hold the true ones, but for a share alpha of each age.

    Each person counts for one, with equal parts for each face. One more person, of whom nothing is known,
    counts as the worst there can be, as in conformal.conformal_threshold().

    Args:
        years: read from faces that the model had not seen, shape (n,).
        y: the true ones, shape (n,); ages beyond those that occur are never answered with.
        subjects: person on each face, shape (n,).
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
        missed = alpha - (1 - alpha) / around.persons  # the person of whom nothing is known
        if missed <= 0:
            continue
        wider = _Around.of(float(age), years, ages, shares, _WIDER)
        narrowest = np.inf
        for below_share in np.linspace(0, 1, _SPLITS):
            low, high = wider.between(below_share * missed, 1 - (1 - below_share) * missed)
            # How many people of all ages are read so: the fewer, the narrower ranges are on average.
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
    """Return between which completed years each face may be, by what was found on others, shape (n, 2).

    What conformal.cross_fitted_sets() says of its promise holds here too.

    Args:
        years: read by a model that had not seen the person, shape (n,).
        y: the true ones.
        folds: in which each face was tested, shape (n,).
        subjects: person on each face, shape (n,).
        alpha: share that may be missed, of people of each age.

    Raises:
        ValueError: nobody is left to learn from for a fold.
    """
    fit = partial(fit_year_ranges, alpha=alpha)
    ranges = np.full((len(years), 2), np.nan)
    return on_others(years, y, folds, subjects, fit=fit, answer=YearRanges.of, into=ranges)[0]


@dataclass(frozen=True)
class _Around:
    """How people around an age are read.

    Attributes:
        years: that are read, increasing, as far from the age as from their own, shape (k,).
        shares: cumulative weights of them, the last of which is 1.
        persons: how many independent persons tell as much (Kish).
    """

    years: NDArray[np.float64]
    shares: NDArray[np.float64]
    persons: float

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
            persons = total**2 / float(weights @ (weights / np.maximum(shares[near], 1e-12))) if total else 0
            if persons >= _PERSONS or width > 10 * _OLDEST:
                break
            width *= 1.5
        moved = years[near] + (age - ages[near])
        order = np.argsort(moved, kind="stable")
        return cls(moved[order], np.cumsum(weights[order]) / total, persons)

    def between(self, low: float, high: float) -> tuple[float, float]:
        """Return the readings at two cumulative shares; what is equal but for the last bits counts."""
        first = int(np.searchsorted(self.shares, low - 1e-9)) if low > 0 else 0
        last = int(np.searchsorted(self.shares, high - 1e-9))
        return float(self.years[first]), float(self.years[min(last, len(self.years) - 1)])
