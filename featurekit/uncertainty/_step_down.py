"""Random signs for the differences of subjects, and p-values that hold for many comparisons together.

Both sign_flips and non_inferiority use this.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from featurekit.uncertainty._pieces import pieces

# A candidate this many standard errors outside the margin does not get inside it by chance.
CLEARLY_WORSE = 3.0
_IN_CACHE = 200_000  # numbers that fit into the cache of a processor
_LAST_BITS = 1e-9  # relative rounding error of a sum; smaller differences between two sums mean nothing


@dataclass(frozen=True)
class FlipTest:
    """The p-values of a family of comparisons.

    Attributes:
        p_values: of each comparison by itself, shape (n_comparisons,).
        adjusted: the same, for all comparisons of the family together, shape (n_comparisons,).
        limit: the smallest p-value that this number of flips can give. The true one may be far smaller.
    """

    p_values: NDArray[np.float64]
    adjusted: NDArray[np.float64]
    limit: float


def step_down(
    of_each: NDArray[np.float64],
    pairs: Sequence[tuple[int, int]],
    families: Sequence[int] | None,
    *,
    counts: NDArray[np.float64] | None = None,
    seed: int,
    n_flips: int,
) -> FlipTest:
    """Test by sign flips whether the columns of each pair differ, or whether the first one is larger.

    Args:
        of_each: shape (n_subjects, n_columns).
        pairs: numbers of two columns.
        families: number of each pair's family; None for one of all.
        counts: number of images of each subject, shape (n_subjects,), for a one-sided test whose statistic is
            corrected for skewness; None for a two-sided test.
        seed: of the random number generator.
        n_flips: how often all signs are drawn.
    """
    places = np.array(pairs, np.intp).reshape(-1, 2)
    family = np.zeros(len(pairs), np.intp) if families is None else np.asarray(families, np.intp)
    columns = np.ascontiguousarray(of_each.T)
    flipped = _flipped_sums(columns, seed=seed, n_flips=n_flips)
    p_values, adjusted = np.ones(len(pairs)), np.ones(len(pairs))
    for one in np.unique(family):
        members = np.flatnonzero(family == one)
        p_values[members], adjusted[members] = _of_family(columns, flipped, places[members], counts)
    return FlipTest(p_values, adjusted, 1 / (n_flips + 1))


def _of_family(
    columns: NDArray[np.float64],
    flipped: NDArray[np.float64],
    places: NDArray[np.intp],
    counts: NDArray[np.float64] | None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the p-values of one family's pairs, each by itself and adjusted.

    Args:
        columns: shape (n_columns, n_subjects).
        flipped: their sums over the subjects with random signs, shape (n_columns, n_flips).
        places: two columns of each pair, shape (n_pairs, 2).
        counts: see step_down().
    """
    n_flips = flipped.shape[1]
    real, scale, bend = _studentized(columns, places)
    if counts is not None:
        compared = zip(real.tolist(), places, strict=True)
        real = np.array([_less_skewness(t, columns[i] - columns[j], counts) for t, (i, j) in compared])
    real = _alike(np.abs(real) if counts is None else real, bend)
    # Values that differ only by rounding count as equal. No T exceeds the root of the number of subjects.
    room = _LAST_BITS * np.sqrt(max(columns.shape[1], 1))
    p_values, adjusted = np.ones(len(places)), np.ones(len(places))
    highest = np.full(n_flips, -np.inf)
    order = np.argsort(real, kind="stable")
    # Starting with the least significant pair, each one is compared with the highest T of those up to itself.
    for start, end in pieces(len(order), n_flips, _IN_CACHE):
        block = order[start:end]
        t = _of_flips(flipped, places[block], scale[block], bend[block], is_two_sided=counts is None)
        threshold = real[block, None] - room
        as_far = np.count_nonzero(t >= threshold, axis=1)
        if counts is not None:
            t[real[block] <= -CLEARLY_WORSE] = -np.inf
        np.maximum(t[0], highest, out=t[0])
        np.maximum.accumulate(t, axis=0, out=t)
        highest = t[-1].copy()
        as_high = np.maximum(as_far, np.count_nonzero(t >= threshold, axis=1))
        p_values[block] = (as_far + 1) / (n_flips + 1)
        adjusted[block] = (as_high + 1) / (n_flips + 1)
    # No pair has a smaller adjusted p-value than a more significant pair.
    downward = order[::-1]
    adjusted[downward] = np.maximum.accumulate(adjusted[downward])
    return p_values, adjusted


def _of_flips(
    flipped: NDArray[np.float64],
    places: NDArray[np.intp],
    scale: NDArray[np.float64],
    bend: NDArray[np.float64],
    *,
    is_two_sided: bool,
) -> NDArray[np.float64]:
    """Return T of each pair in each flip, shape (n_pairs, n_flips)."""
    first, second = places.T
    t = flipped[first] - flipped[second]
    t /= scale[:, None]
    if is_two_sided:
        np.abs(t, out=t)
    return _alike(t, bend[:, None])


def _studentized(
    columns: NDArray[np.float64], places: NDArray[np.intp]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return T of each pair of columns, its denominator (infinity where they do not differ), Σ d⁴ / (Σ d²)².

    Args:
        columns: shape (n_columns, n_subjects).
        places: which two, shape (n_pairs, 2).
    """
    used, of_pair = np.unique(places, return_inverse=True)
    i, j = of_pair.reshape(places.shape).T
    chosen = columns[used]
    square = chosen**2
    products, squares, cubes = chosen @ chosen.T, square @ square.T, (square * chosen) @ chosen.T
    sizes, fourths = np.diag(products), np.diag(squares)
    second = sizes[i] + sizes[j] - 2 * products[i, j]
    fourth = fourths[i] + fourths[j] + 6 * squares[i, j] - 4 * (cubes[i, j] + cubes[j, i])
    for number in np.flatnonzero(second < 1e-6 * (sizes[i] + sizes[j])):
        # These sums lose too many digits by cancellation, so they are computed from the differences.
        first, other = chosen[i[number]], chosen[j[number]]
        d = first - other
        differs = np.abs(d).sum() > _LAST_BITS * (np.abs(first).sum() + np.abs(other).sum())
        second[number], fourth[number] = (d @ d, d**2 @ d**2) if differs else (0.0, 0.0)
    scale = np.where(second > 0, np.sqrt(np.maximum(second, 0.0)), np.inf)
    sums = chosen.sum(axis=1)
    return (sums[i] - sums[j]) / scale, scale, np.clip(fourth / scale**4, 0.0, 1.0)


def _alike(t: NDArray[np.float64], tails: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return studentized sums whose tails under random signs are nearly those of a normal distribution.

    Large values of T are rarer where few subjects make up most of Σ d² than where many do. The largest T of
    several pairs would nearly always come from a pair with many such subjects, and a difference between the
    others could hardly be shown. The excess kurtosis, -2 Σ d⁴ / (Σ d²)², is therefore removed (Cornish &
    Fisher 1938).

    Args:
        t: any shape; the order of the values of one pair does not change.
        tails: Σ d⁴ / (Σ d²)².
    """
    alike: NDArray[np.float64] = t * t
    alike *= tails / 12
    alike += 1 - tails / 4
    alike *= t
    return alike


def _less_skewness(t: float, d: NDArray[np.float64], counts: NDArray[np.float64]) -> float:
    """Return a studentized mean, corrected where a skewed distribution makes it too large (Hall 1992).

    If the few subjects with large losses are missing from a sample, both its mean and its standard error look
    too favourable. Only this direction is corrected: for skewness in the other direction, an estimate from
    few subjects would do more harm than good.
    """
    centred = d - d.sum() / counts.sum() * counts
    squares = float(centred @ centred)
    if squares <= _LAST_BITS**2 * float(d @ d):  # all subjects are alike
        return t
    skewness = float(centred**2 @ centred) / squares**1.5
    if skewness > -1e-6:
        return t
    return min(t, float(((1 + skewness * t / 3) ** 3 - 1) / skewness + skewness / 6))


def _flipped_sums(columns: NDArray[np.float64], *, seed: int, n_flips: int) -> NDArray[np.float64]:
    """Return the sums over the subjects with random signs, shape (n_columns, n_flips).

    Args:
        columns: shape (n_columns, n_subjects).
        seed: of the random number generator.
        n_flips: how often all signs are drawn.
    """
    told = np.any(columns != 0, axis=0)
    if not told.all():
        columns = columns[:, told]  # a subject with zeros adds nothing, whatever the sign
    sums = np.empty((len(columns), n_flips))
    for start, positive in _coins(columns.shape[1], seed=seed, n_flips=n_flips):
        sums[:, start : start + len(positive)] = columns @ positive.T
    # The sum over the subjects that keep their sign, minus the sum over the others.
    return np.asarray(2 * sums - columns.sum(axis=1)[:, None])


def _coins(n: int, *, seed: int, n_flips: int) -> Iterator[tuple[int, NDArray[np.float64]]]:
    """Yield the first flip of each piece, and its flips: 1 for a subject that keeps its sign, else 0."""
    rng = np.random.default_rng(seed)
    for start, end in pieces(n_flips, n):
        # Each flip draws whole words of 64 bits, so that the signs do not depend on the size of the pieces.
        drawn = rng.integers(0, 2**64, (end - start, -(-n // 64)), dtype=np.uint64)
        bits = np.unpackbits(drawn.astype("<u8").view(np.uint8), axis=1, count=n, bitorder="little")
        yield start, bits.astype(np.float64)
