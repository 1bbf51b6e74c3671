"""Tests of whether models differ, on the differences between their losses on each subject.

The tests of the report flip the sign of each subject's difference between two models at
random, and give p-values that are adjusted for all comparisons. The corrected t-test over folds is
shown beside them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from featurekit.uncertainty.resampling import IN_CACHE, pieces

# A candidate this many standard errors outside the margin does not get inside it by chance.
CLEARLY_WORSE = 3.0
_LAST_BITS = 1e-9  # relative rounding error of a sum; smaller differences between two sums mean nothing
FLIPS = 20_000


@dataclass(frozen=True)
class FlipTest:
    """The p-values of a family of comparisons.

    Attributes:
        p_values: p-value of each comparison by itself, shape (n_comparisons,).
        adjusted: p-values that are adjusted for all comparisons of the family, shape (n_comparisons,).
        limit: smallest p-value that this number of random flips can give. If a p-value equals it, the true
            one may be far smaller.
    """

    p_values: NDArray[np.float64]
    adjusted: NDArray[np.float64]
    limit: float


def sign_flip(
    of_each: NDArray[np.float64],
    pairs: Sequence[tuple[int, int]],
    *,
    families: Sequence[int] | None = None,
    counts: NDArray[np.float64] | None = None,
    seed: int,
    n_flips: int = FLIPS,
) -> FlipTest:
    """Test for each pair of models whether chance alone explains their difference (paired, two-sided).

    If two models are equally good, a subject on whom one of them is better might as well have been a subject
    on whom the other one is: the sign of the difference d means nothing. So the signs of all subjects are
    drawn at random, n_flips times, and the statistic T = |Σ d| / sqrt(Σ d²) of the flipped differences is
    compared with that of the real ones. Σ d² is the same whatever the signs are, so T is studentized without
    a variance for every flip. Σ d⁴ is the same, too, and is used to make the tails of all T alike.

    The adjusted p-values control the family-wise error rate by step-down max-T (Westfall & Young 1993; Romano
    & Wolf 2005): a pair is compared with the largest T, in the same flip, of all pairs that are no more
    significant than itself. This takes into account that the T of pairs with a common model are correlated.
    No p-value is multiplied by a number of pairs, so the smallest possible one is the same for 3 pairs and
    for 1,770.

    Args:
        of_each: one row per subject, the score of each model on its images, shape (n_subjects, n_models).
        pairs: numbers of the models that are compared.
        families: number of the family of each pair, in which its p-value is adjusted; None for one family.
        counts: number of images of each subject, shape (n_subjects,), for a one-sided test of whether the
            score of the first model is larger, with a T that is corrected for skewness. None for a two-sided
            test.
        seed: seed of the random number generator.
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


def side_by_side(
    members: Sequence[tuple[NDArray[np.intp], NDArray[np.float64]]],
) -> tuple[NDArray[np.float64], list[tuple[int, int]]]:
    """Combine comparisons that were made on different subjects into one family for sign_flip().

    A subject in several comparisons gets one sign for all of them. It adds nothing to other comparisons.

    Args:
        members: numbers of the subjects, shape (n,), and difference on each subject, shape (n,), of each
            comparison. A number means the same subject in every comparison.

    Returns:
        One row per subject, one column per comparison and a column of zeros; and the pairs to compare.
    """
    n_subjects = 1 + max((int(subjects.max(initial=-1)) for subjects, _ in members), default=-1)
    of_each = np.zeros((n_subjects, len(members) + 1))
    for number, (subjects, differences) in enumerate(members):
        np.add.at(of_each[:, number], subjects, differences)
    return of_each, [(number, len(members)) for number in range(len(members))]


def non_inferior(
    losses: NDArray[np.float64],
    counts: NDArray[np.float64],
    candidates: Sequence[int],
    *,
    margin: float,
    seed: int,
    n_flips: int = FLIPS,
) -> FlipTest:
    """Test for each candidate whether its loss exceeds that of the best model by less than a margin.

    It is not known which model is truly the best: the best score does not prove it. So each model k in turn
    is taken to be the best, and the null hypotheses "candidate j loses at least the margin more than
    k does", for all candidates together, are tested by sign flips with step-down max-T, one-sided. The
    p-value of a candidate is the largest over all k (an intersection–union test). For the k that is truly
    the best, the family-wise error rate is controlled. So the probability that any candidate that truly loses
    the margin or more is called non-inferior is at most the level of the test, however many models compete.

    Two things keep the test close to its level. The statistic is corrected for the skewness of the
    differences (Hall 1992), which matters where a loss comes from few subjects. And a candidate that is
    behind k by the margin and more than CLEARLY_WORSE standard errors does not count for the largest T,
    because it cannot be non-inferior by chance (generalized moment selection, Andrews & Soares 2010).

    Args:
        losses: one row per subject, the loss of each model on the images of the subject, shape (n_subjects,
            n_models).
        counts: number of images of each subject, shape (n_subjects,).
        candidates: numbers of the models that are tested.
        margin: additional loss that is allowed, in the unit of the loss on one image, above 0.
        seed: seed of the random number generator.
        n_flips: how often all signs are drawn.

    Returns:
        p-values of the candidates, in their order; 1 if there is no other model.
    """
    n_models = losses.shape[1]
    # The margin minus the loss of j plus the loss of k is a column for j minus a column for k.
    columns = np.concatenate([margin * counts[:, None] - losses, -losses], axis=1)
    asked = [(j, k) for k in range(n_models) for j in candidates if j != k]
    found = sign_flip(
        columns,
        [(j, n_models + k) for j, k in asked],
        families=[k for _, k in asked],
        counts=counts,
        seed=seed,
        n_flips=n_flips,
    )
    smallest = 0.0 if n_models > 1 else 1.0
    alone, together = dict.fromkeys(candidates, smallest), dict.fromkeys(candidates, smallest)
    for (j, _), p, adjusted in zip(asked, found.p_values, found.adjusted, strict=True):
        alone[j], together[j] = max(alone[j], float(p)), max(together[j], float(adjusted))
    return FlipTest(
        np.array([alone[j] for j in candidates]), np.array([together[j] for j in candidates]), found.limit
    )


def corrected_t(differences: NDArray[np.float64], n_train: float, n_test: float) -> float | None:
    """Return the p-value of a t-test over folds, corrected for their overlapping training parts.

    The test (Nadeau & Bengio 2003) takes into account that other training parts would give other models, but
    it is based on only one number for each fold. The result is None for a single fold, or if all differences
    are equal but not 0.

    Args:
        differences: score of one model minus the score of the other model in each fold, shape (n_folds,).
        n_train: number of images in a training part.
        n_test: number of images in a test part.
    """
    from scipy.special import stdtr

    k = len(differences)
    mean, variance = float(differences.mean()), float(differences.var(ddof=1)) if k > 1 else float("nan")
    if mean == 0:
        return 1.0
    if k < 2 or variance == 0:
        return None
    return float(2 * stdtr(k - 1, -abs(mean / np.sqrt((1 / k + n_test / n_train) * variance))))


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
        counts: number of images of each subject; see sign_flip().
    """
    n_flips = flipped.shape[1]
    real, scale, bend = _studentized(columns, places)
    if counts is not None:
        real = np.array(
            [
                _less_skewness(t, columns[i] - columns[j], counts)
                for t, (i, j) in zip(real.tolist(), places, strict=True)
            ]
        )
    real = _alike(np.abs(real) if counts is None else real, bend)
    # Values that differ only by rounding count as equal. No T exceeds the root of the number of subjects.
    room = _LAST_BITS * np.sqrt(max(columns.shape[1], 1))
    p_values, adjusted = np.ones(len(places)), np.ones(len(places))
    highest = np.full(n_flips, -np.inf)
    order = np.argsort(real, kind="stable")
    # Starting with the least significant pair, each one is compared with the highest T of those up to itself.
    for start, end in pieces(len(order), n_flips, IN_CACHE):
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
        seed: seed of the random number generator.
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
    for start, end in pieces(n_flips, n, IN_CACHE):
        # Each flip draws whole words of 64 bits, so that the signs do not depend on the size of the pieces.
        drawn = rng.integers(0, 2**64, (end - start, -(-n // 64)), dtype=np.uint64)
        bits = np.unpackbits(drawn.astype("<u8").view(np.uint8), axis=1, count=n, bitorder="little")
        yield start, bits.astype(np.float64)
