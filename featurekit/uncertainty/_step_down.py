"""Random signs of persons' differences, and p-values that hold for many comparisons together.

The machinery of sign_flips and of non_inferiority.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from featurekit.uncertainty._pieces import pieces

# A candidate that is so many standard errors outside the margin is not one that chance lets in.
CLEARLY_WORSE = 3.0
_IN_CACHE = 200_000  # numbers that a processor keeps at hand
_LAST_BITS = 1e-9  # of a sum; what two sums differ by less than is how they were added up


@dataclass(frozen=True)
class FlipTest:
    """What sign flips say of a family of comparisons.

    Attributes:
        p_values: of each comparison by itself, shape (n_comparisons,).
        adjusted: the same, for all comparisons of the family together, shape (n_comparisons,).
        limit: the smallest p-value that so many flips can give. At the limit the true one may be far smaller.
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
    is_two_sided: bool,
) -> FlipTest:
    """Return what sign flips say of pairs of columns: whether they differ, or whether the first is larger.

    Args:
        of_each: shape (n_subjects, n_columns).
        pairs: numbers of two columns.
        families: number of each pair's family; None for one of all.
        counts: photographs of each person, shape (n_subjects,), to correct a statistic for skewness; or None.
        seed: of the random number generator.
        n_flips: how often all signs are drawn.
        is_two_sided: whether the sign of a difference makes no difference.
    """
    places = np.array(pairs, np.intp).reshape(-1, 2)
    family = np.zeros(len(pairs), np.intp) if families is None else np.asarray(families, np.intp)
    columns = np.ascontiguousarray(of_each.T)
    turned = _flipped_sums(columns, seed=seed, n_flips=n_flips)
    p_values, adjusted = np.ones(len(pairs)), np.ones(len(pairs))
    for one in np.unique(family):
        members = np.flatnonzero(family == one)
        p_values[members], adjusted[members] = _of_family(
            columns, turned, places[members], counts=counts, is_two_sided=is_two_sided
        )
    return FlipTest(p_values, adjusted, 1 / (n_flips + 1))


def _of_family(
    columns: NDArray[np.float64],
    turned: NDArray[np.float64],
    places: NDArray[np.intp],
    *,
    counts: NDArray[np.float64] | None,
    is_two_sided: bool,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the p-values of one family's pairs, each by itself and adjusted.

    Args:
        columns: shape (n_columns, n_subjects).
        turned: their sums over persons whose signs were drawn at random, shape (n_columns, n_flips).
        places: two columns of each pair, shape (n_pairs, 2).
        counts: see step_down().
        is_two_sided: see step_down().
    """
    n_flips = turned.shape[1]
    real, scale, bend = _studentized(columns, places)
    if is_two_sided:
        real = np.abs(real)
    elif counts is not None:
        corrected = [
            _less_skewness(float(t), columns[i] - columns[j], counts)
            for t, (i, j) in zip(real, places, strict=True)
        ]
        real = np.array(corrected)
    real = _alike(real, bend)
    # What is equal but for the last bits of a sum counts as equal; no T exceeds the root of the persons.
    room = _LAST_BITS * np.sqrt(max(columns.shape[1], 1))
    p_values, adjusted = np.ones(len(places)), np.ones(len(places))
    highest = np.full(n_flips, -np.inf)
    order = np.argsort(real, kind="stable")
    # From the least significant pair on, each is compared with the highest of those up to itself.
    for start, end in pieces(len(order), n_flips, _IN_CACHE):
        block = order[start:end]
        t = _of_flips(turned, places[block], scale[block], bend[block], is_two_sided=is_two_sided)
        threshold = real[block, None] - room
        as_far = np.count_nonzero(t >= threshold, axis=1)
        if not is_two_sided:
            t[real[block] <= -CLEARLY_WORSE] = -np.inf
        np.maximum(t[0], highest, out=t[0])
        np.maximum.accumulate(t, axis=0, out=t)
        highest = t[-1].copy()
        as_high = np.maximum(as_far, np.count_nonzero(t >= threshold, axis=1))
        p_values[block] = (as_far + 1) / (n_flips + 1)
        adjusted[block] = (as_high + 1) / (n_flips + 1)
    # A pair is never more sure than one that is more significant.
    downward = order[::-1]
    adjusted[downward] = np.maximum.accumulate(adjusted[downward])
    return p_values, adjusted


def _of_flips(
    turned: NDArray[np.float64],
    places: NDArray[np.intp],
    scale: NDArray[np.float64],
    bend: NDArray[np.float64],
    *,
    is_two_sided: bool,
) -> NDArray[np.float64]:
    """Return T of each pair in each flip, shape (n_pairs, n_flips)."""
    first, second = places.T
    t = turned[first] - turned[second]
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
        # Too much of these cancels out: they are summed up one by one.
        d = chosen[i[number]] - chosen[j[number]]
        of_both = np.abs(chosen[i[number]]).sum() + np.abs(chosen[j[number]]).sum()
        is_one = np.abs(d).sum() > _LAST_BITS * of_both
        second[number], fourth[number] = (d @ d, d**2 @ d**2) if is_one else (0.0, 0.0)
    scale = np.where(second > 0, np.sqrt(np.maximum(second, 0.0)), np.inf)
    sums = chosen.sum(axis=1)
    return (sums[i] - sums[j]) / scale, scale, np.clip(fourth / scale**4, 0.0, 1.0)


def _alike(t: NDArray[np.float64], tails: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return studentized sums with nearly the tails of a normal distribution under random signs.

    Where few persons make up most of Σ d², large T are rarer than where many do. The largest T of several
    pairs would then nearly always be that of a pair with many such persons, and the others could hardly be
    shown. The excess kurtosis, -2 Σ d⁴ / (Σ d²)², is therefore taken out (Cornish & Fisher 1938).

    Args:
        t: any shape; the order of one pair's values stays as it is.
        tails: Σ d⁴ / (Σ d²)².
    """
    alike: NDArray[np.float64] = t * t
    alike *= tails / 12
    alike += 1 - tails / 4
    alike *= t
    return alike


def _less_skewness(t: float, d: NDArray[np.float64], counts: NDArray[np.float64]) -> float:
    """Return a studentized mean, corrected where a skewed distribution makes it too large (Hall 1992).

    A few persons with large losses, who happen to be missing from a sample, make the mean and its standard
    error too favourable together. Only this direction is corrected: where the skewness is the other way
    round, its estimate from few persons would do more harm than good.
    """
    centred = d - d.sum() / counts.sum() * counts
    spread = float(centred @ centred)
    if spread <= _LAST_BITS**2 * float(d @ d):  # everybody is alike
        return t
    skewness = float(centred**2 @ centred) / spread**1.5
    if skewness > -1e-6:
        return t
    return min(t, float(((1 + skewness * t / 3) ** 3 - 1) / skewness + skewness / 6))


def _flipped_sums(columns: NDArray[np.float64], *, seed: int, n_flips: int) -> NDArray[np.float64]:
    """Return the sums over persons whose signs are drawn at random, shape (n_columns, n_flips).

    Args:
        columns: shape (n_columns, n_subjects).
        seed: of the random number generator.
        n_flips: how often all signs are drawn.
    """
    told = np.any(columns != 0, axis=0)
    if not told.all():
        columns = columns[:, told]  # a person of zeros adds none, whatever her sign
    sums = np.empty((len(columns), n_flips))
    for start, positive in _coins(columns.shape[1], seed=seed, n_flips=n_flips):
        sums[:, start : start + len(positive)] = columns @ positive.T
    # What those add who keep their sign, minus what the others add.
    flipped: NDArray[np.float64] = 2 * sums - columns.sum(axis=1)[:, None]
    return flipped


def _coins(n: int, *, seed: int, n_flips: int) -> Iterator[tuple[int, NDArray[np.float64]]]:
    """Yield the first flip of each piece, and in each flip 1 for each person who keeps her sign, else 0."""
    rng = np.random.default_rng(seed)
    words = -(-n // 64)
    for start, end in pieces(n_flips, n):
        # Whole words for each flip: pieces of another size draw the same signs.
        drawn = rng.integers(0, 2**64, (end - start, words), dtype=np.uint64)
        bits = np.unpackbits(drawn.astype("<u8").view(np.uint8), axis=1, count=n, bitorder="little")
        yield start, bits.astype(np.float64)
