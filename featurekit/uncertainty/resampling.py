"""Whether a difference is one.

Photographs of one person go right or wrong together: a model that reads her
wrongly once reads her wrongly again. What is drawn anew here, or turned over, is
therefore always a person with all of her photographs, never a photograph alone.
Tests that count photographs call equal models different far more often than they
say.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.95
RESAMPLES = 2_000
FLIPS = 20_000
PERMUTATIONS = 12_000  # of subjects, for a p-value that can be below 0.0001
FEWEST = 30  # persons in a slice; of fewer no number is given
# Fewer blocks rank nothing: the critical difference is then wider than ranks can lie apart.
FEWEST_BLOCKS = 10
# A candidate that is so many standard errors outside the margin is not one that chance lets in.
CLEARLY_WORSE = 3.0
_AT_ONCE = 20_000_000  # numbers of one piece of a large product
_IN_CACHE = 200_000  # numbers that a processor keeps at hand
_LAST_BITS = 1e-9  # of a sum; what two sums differ by less than is how they were added up


@dataclass(frozen=True)
class Interval:
    """Between which values a score lies with a probability of LEVEL, were the persons drawn anew."""

    low: float
    high: float


# ---------------------------------------------------------------- how sure


def effective_subjects(subjects: NDArray[np.str_]) -> float:
    """Return how many persons with equally many photographs would tell as much (Kish 1965).

    >>> effective_subjects(np.array(["a", "b", "c", "c"]))
    2.6666666666666665

    Args:
        subjects: person on each photograph, shape (n,).
    """
    counts = np.unique(subjects, return_counts=True)[1].astype(float)
    return float(counts.sum() ** 2 / (counts**2).sum())


def bootstrap(
    of_each: NDArray[np.float64],
    score: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    *,
    seed: int,
    n_resamples: int = RESAMPLES,
) -> Interval:
    """Return the interval of a score by drawing persons anew, with replacement (cluster bootstrap).

    Args:
        of_each: a row a person, of what decides the score when it is summed up, shape (n_subjects, k).
        score: sums, shape (n_resamples, k) → score of each, shape (n_resamples,).
        seed: what chance comes from.
        n_resamples: how often persons are drawn.

    Returns:
        From the 2.5th to the 97.5th percentile of what the resamples score.
    """
    return interval(score(resampled_sums(of_each, seed=seed, n_resamples=n_resamples)))


def resampled_sums(
    of_each: NDArray[np.float64], *, seed: int, n_resamples: int = RESAMPLES
) -> NDArray[np.float64]:
    """Return the sums over persons drawn anew, shape (n_resamples, k).

    Args:
        of_each: a row a person, shape (n_subjects, k).
        seed: what chance comes from; the same seed and number of persons draw the same, whatever the rows.
        n_resamples: how often persons are drawn.
    """
    n = len(of_each)
    rng = np.random.default_rng(seed)
    sums = np.empty((n_resamples, of_each.shape[1]))
    for rows in _pieces(n_resamples, n):
        drawn = np.stack([np.bincount(rng.integers(0, n, n), minlength=n) for _ in range(*rows)])
        sums[slice(*rows)] = drawn.astype(np.float64) @ of_each
    return sums


def interval(estimates: NDArray[np.float64], level: float = LEVEL) -> Interval:
    """Return what lies between the outer percentiles of a score's resamples; NaN is left out.

    >>> interval(np.array([2.0, 2.0, np.nan, 2.0]))
    Interval(low=2.0, high=2.0)
    """
    low, high = np.nanquantile(estimates, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))


# ---------------------------------------------------------------- is it a difference


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


def sign_flip(
    of_each: NDArray[np.float64],
    pairs: Sequence[tuple[int, int]],
    *,
    families: Sequence[int] | None = None,
    seed: int,
    n_flips: int = FLIPS,
) -> FlipTest:
    """Test for each pair of models whether chance alone sets them as far apart (paired, two-sided).

    If two models are equally good, a person on whom one of them is better might as well have been a person
    on whom the other one is: the sign of her difference d means nothing. So the signs of all persons are
    drawn at random, n_flips times, and the statistic T = |Σ d| / sqrt(Σ d²) of the flipped differences is
    compared with that of the real ones. Σ d² is the same whatever the signs are, so T is studentized without
    a variance for every flip; so is Σ d⁴, by which the tails of all T are made alike.

    The adjusted p-values control the family-wise error rate by step-down max-T (Westfall & Young 1993; Romano
    & Wolf 2005): a pair is compared with the largest T, in the same flip, of all pairs that are no more
    significant than itself. Pairs that share a model move together, which this uses. No p-value is multiplied
    by a number of pairs, so the smallest possible one is the same for 3 pairs and for 1,770.

    Args:
        of_each: a row a person, of what each model scored on her photographs, shape (n_subjects, n_models).
        pairs: numbers of the models that are compared.
        families: number of the family that each pair is adjusted in; None for one family of all pairs.
        seed: what chance comes from.
        n_flips: how often all signs are drawn.
    """
    return _step_down(of_each, pairs, families, seed=seed, n_flips=n_flips, is_two_sided=True)


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

    Which model is truly the best is not known; that it scored best here is no proof. So each model k is
    supposed to be the best in turn, and the null hypotheses "candidate j loses at least the margin more than
    k does", for all candidates together, are tested by sign flips with step-down max-T, one-sided. The
    p-value of a candidate is the largest over all k (an intersection–union test). One of the k is truly the
    best. For it the family-wise error rate is controlled, hence: the probability that any candidate that
    truly loses the margin or more is called non-inferior is at most the level, however many models compete.

    Two things keep the test close to its level. The statistic is corrected for the skewness of the
    differences (Hall 1992), which matters where a loss comes from few persons. And a candidate that is behind
    k by the margin and more than CLEARLY_WORSE standard errors is not counted among those that chance could
    have lifted over the critical value, as in generalized moment selection (Andrews & Soares 2010).

    Args:
        losses: a row a person, of what each model loses on her photographs, shape (n_subjects, n_models).
        counts: number of photographs of each person, shape (n_subjects,).
        candidates: numbers of the models that are tested.
        margin: in the unit of one photograph's loss, above 0.
        seed: what chance comes from.
        n_flips: how often all signs are drawn.

    Returns:
        p-values of the candidates, in their order; 1 where there is no other model.
    """
    n_models = losses.shape[1]
    # The margin minus the loss of j, plus that of k, is the difference of a column for j and one for k.
    columns = np.concatenate([margin * counts[:, None] - losses, -losses], axis=1)
    asked = [(j, k) for k in range(n_models) for j in candidates if j != k]
    found = _step_down(
        columns,
        [(j, n_models + k) for j, k in asked],
        [k for _, k in asked],
        counts=counts,
        seed=seed,
        n_flips=n_flips,
        is_two_sided=False,
    )
    alone, together = dict.fromkeys(candidates, 0.0), dict.fromkeys(candidates, 0.0)
    for (j, _), p, adjusted in zip(asked, found.p_values, found.adjusted, strict=True):
        alone[j], together[j] = max(alone[j], float(p)), max(together[j], float(adjusted))
    if n_models < 2:
        alone = together = dict.fromkeys(candidates, 1.0)
    return FlipTest(
        np.array([alone[j] for j in candidates]), np.array([together[j] for j in candidates]), found.limit
    )


def side_by_side(
    members: Sequence[tuple[NDArray[np.intp], NDArray[np.float64]]],
) -> tuple[NDArray[np.float64], list[tuple[int, int]]]:
    """Return comparisons that were made on different persons as one family for sign_flip().

    A person who is in several comparisons gets one sign for all of them. Where she is not, nothing is added.

    Args:
        members: of each comparison, the numbers of the persons, shape (n,), and the differences on each,
            shape (n,). A number means the same person in every comparison.

    Returns:
        A row a person, a column a comparison and one of zeros; and the pairs to compare.
    """
    n_subjects = 1 + max((int(subjects.max(initial=-1)) for subjects, _ in members), default=-1)
    of_each = np.zeros((n_subjects, len(members) + 1))
    for number, (subjects, differences) in enumerate(members):
        np.add.at(of_each[:, number], subjects, differences)
    return of_each, [(number, len(members)) for number in range(len(members))]


def _step_down(
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
        seed: what chance comes from.
        n_flips: how often all signs are drawn.
        is_two_sided: whether the sign of a difference makes no difference.
    """
    n_pairs = len(pairs)
    places = np.array(pairs, np.intp).reshape(-1, 2)
    family = np.zeros(n_pairs, np.intp) if families is None else np.asarray(families, np.intp)
    columns = np.ascontiguousarray(of_each.T)
    turned = _flipped_sums(columns, seed=seed, n_flips=n_flips)
    # What is equal but for the last bits of a sum counts as equal; no T exceeds the root of the persons.
    room = _LAST_BITS * np.sqrt(max(len(of_each), 1))
    p_values, adjusted = np.ones(n_pairs), np.ones(n_pairs)
    for one in np.unique(family):
        members = np.flatnonzero(family == one)
        real, scale, bend = _studentized(columns, places[members])
        if is_two_sided:
            real = np.abs(real)
        elif counts is not None:
            corrected = [
                _less_skewness(float(t), columns[i] - columns[j], counts)
                for t, (i, j) in zip(real, places[members], strict=True)
            ]
            real = np.array(corrected)
        real = _alike(real, bend)
        highest = np.full(n_flips, -np.inf)
        order = np.argsort(real, kind="stable")
        # From the least significant pair on, each is compared with the highest of those up to itself.
        for start, end in _pieces(len(order), n_flips, _IN_CACHE):
            block = order[start:end]
            first, second = places[members[block]].T
            t = turned[first] - turned[second]
            t /= scale[block, None]
            if is_two_sided:
                np.abs(t, out=t)
            t = _alike(t, bend[block, None])
            threshold = real[block, None] - room
            as_far = np.count_nonzero(t >= threshold, axis=1)
            if not is_two_sided:
                t[real[block] <= -CLEARLY_WORSE] = -np.inf
            np.maximum(t[0], highest, out=t[0])
            np.maximum.accumulate(t, axis=0, out=t)
            highest = t[-1].copy()
            as_high = np.maximum(as_far, np.count_nonzero(t >= threshold, axis=1))
            p_values[members[block]] = (as_far + 1) / (n_flips + 1)
            adjusted[members[block]] = (as_high + 1) / (n_flips + 1)
        # A pair is never more sure than one that is more significant.
        downward = members[order[::-1]]
        adjusted[downward] = np.maximum.accumulate(adjusted[downward])
    return FlipTest(p_values, adjusted, 1 / (n_flips + 1))


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
        seed: what chance comes from.
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
    for start, end in _pieces(n_flips, n):
        # Whole words for each flip: pieces of another size draw the same signs.
        drawn = rng.integers(0, 2**64, (end - start, words), dtype=np.uint64)
        bits = np.unpackbits(drawn.astype("<u8").view(np.uint8), axis=1, count=n, bitorder="little")
        yield start, bits.astype(np.float64)


def corrected_t(differences: NDArray[np.float64], n_train: float, n_test: float) -> float:
    """Return the p-value of the folds' differences, whose training parts overlap (Nadeau & Bengio 2003).

    A second opinion: it also counts that another training part gives another model, and sees as many
    numbers as there are folds.

    Args:
        differences: of each fold, what one model scored minus what the other did, shape (n_folds,).
        n_train: photographs of a training part.
        n_test: photographs of a test part.
    """
    from scipy import stats

    k = len(differences)
    mean, variance = float(differences.mean()), float(differences.var(ddof=1)) if k > 1 else float("nan")
    if mean == 0:
        return 1.0
    if k < 2 or variance == 0:
        return float("nan")
    t = mean / np.sqrt((1 / k + n_test / n_train) * variance)
    return float(2 * stats.t.sf(abs(t), k - 1))


@dataclass(frozen=True)
class McNemar:
    """What McNemar's test says, and whether it may be believed.

    Attributes:
        p_value: exact and two-sided.
        only_first, only_second: photographs that only one of the models read rightly.
        caution: why the p-value is too small; "" where every person has one photograph.
    """

    p_value: float
    only_first: int
    only_second: int
    caution: str


def mcnemar(first: NDArray[np.bool_], second: NDArray[np.bool_], subjects: NDArray[np.str_]) -> McNemar:
    """Compare two models photograph by photograph (McNemar 1947, the exact binomial form).

    Args:
        first: whether the one model read each photograph rightly, shape (n,).
        second: whether the other did.
        subjects: person on each photograph, shape (n,).
    """
    from scipy import stats

    ours, theirs = int((first & ~second).sum()), int((second & ~first).sum())
    p_value = float(stats.binomtest(ours, ours + theirs).pvalue) if ours + theirs else 1.0
    n_persons = len(np.unique(subjects))
    caution = ""
    if n_persons < len(subjects):
        caution = (
            f"McNemar's test takes the {len(subjects):,} photographs of {n_persons:,} persons for"
            " independent, which makes its p-value too small; the sign-flip test does not."
        )
    return McNemar(p_value, ours, theirs, caution)


@dataclass(frozen=True)
class Ranks:
    """How models rank over many blocks, e.g. data sets.

    Attributes:
        mean: of each model, 1 for the best.
        p_value: Friedman's, that all models are equal.
        critical_difference: by how much mean ranks must differ (Nemenyi; Demšar 2006).
    """

    mean: tuple[float, ...]
    p_value: float
    critical_difference: float


def ranks(scores: NDArray[np.float64], level: float = LEVEL) -> Ranks | None:
    """Return the mean ranks and how far apart they must be; None of fewer than FEWEST_BLOCKS blocks.

    Args:
        scores: of each block and model, the more the better, shape (n_blocks, n_models).
        level: 1 minus the share of equal models that may be called different.
    """
    from scipy import stats

    n_blocks, n_models = scores.shape
    if n_blocks < FEWEST_BLOCKS or n_models < 2:
        return None
    mean = stats.rankdata(-scores, axis=1).mean(axis=0)
    if n_models > 2:
        p_value = float(stats.friedmanchisquare(*scores.T).pvalue)
    else:
        p_value = float(stats.binomtest(int((scores[:, 0] > scores[:, 1]).sum()), n_blocks).pvalue)
    widest = float(stats.studentized_range.ppf(level, n_models, np.inf))
    between = widest / np.sqrt(2) * np.sqrt(n_models * (n_models + 1) / (6 * n_blocks))
    return Ranks(tuple(mean.tolist()), p_value, float(between))


# ---------------------------------------------------------------- for whom


def slice_gaps(
    losses: NDArray[np.float64],
    subjects: NDArray[Any],
    members: NDArray[np.bool_],
    *,
    seed: int,
    n_permutations: int = PERMUTATIONS,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return how much more is lost on each slice than on all other faces, and whether that is chance.

    Were it of no importance who belongs to a slice, the membership of one subject might as well be that of
    another. So whole subjects exchange their memberships at random, n_permutations times. A subject whose
    faces lie on both sides also says something by the difference between them, whose sign is turned at
    random. The statistic is the gap over its standard error, which counts subjects: that is what keeps the
    error where subjects of one side have more photographs, or vary more, than those of the other.

    Args:
        losses: what is lost on each face: 0 or 1, or years, shape (n,).
        subjects: person on each face, shape (n,).
        members: whether each face belongs to each slice, shape (n, n_slices); a slice has faces on both
            sides.
        seed: what chance comes from.
        n_permutations: how often memberships are exchanged.

    Returns:
        The gaps, above 0 where more is lost on the slice, and two-sided p-values that hold for all slices
        together (step-down max-T, Westfall & Young 1993), shape (n_slices,) each; none is below
        1 / (n_permutations + 1).
    """
    inside = members.astype(np.float64)
    n_inside = inside.sum(axis=0)
    gaps = inside.T @ losses / n_inside - (1 - inside).T @ losses / (len(losses) - n_inside)
    codes = np.unique(subjects, return_inverse=True)[1]
    sizes = np.bincount(codes).astype(np.float64)
    n_subjects = len(sizes)
    residuals = losses - losses.mean()
    sums = per_subject(residuals[:, None], subjects)[:, 0]
    shares = per_subject(inside, subjects) / sizes[:, None]
    apart = inside - shares[codes]
    within = per_subject(apart * residuals[:, None], subjects)
    squares, within_squares = _expected_squares(losses, sums, sizes, apart, within)
    # Subjects of one membership stand together, so that a sum for each membership is enough.
    shares, kinds = np.unique(shares, axis=0, return_inverse=True)
    kinds = kinds.reshape(-1)
    of_each = np.stack([sums, sizes, squares])[:, np.argsort(kinds, kind="stable")]
    starts = np.searchsorted(np.sort(kinds), np.arange(len(shares)))
    # Where subjects differ in their sums only, no exchange changes the standard errors.
    n_changing = 1 if np.ptp(of_each[1:], axis=1).max() == 0 else 3

    def statistics(
        added: NDArray[np.float64], differences: NDArray[np.float64], errors: NDArray[np.float64] | None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return statistics and squared standard errors, of sums, sizes and squares of each membership."""
        if errors is None:
            part = added[1] @ shares / len(losses)
            errors = added[2] @ shares**2 - 2 * part * (added[2] @ shares)
            errors = errors + part**2 * added[2].sum(axis=-1, keepdims=True) + within_squares
            errors = np.maximum(errors, 1e-12)
        return np.abs(added[0] @ shares + differences) / np.sqrt(errors), errors

    whole = np.add.reduceat(of_each, starts, axis=1)[:, None]
    real, fixed = statistics(whole, within.sum(axis=0)[None], None)
    rng = np.random.default_rng(seed)
    mixed = within[np.any(within != 0, axis=1)]
    drawn = np.empty((n_permutations, len(gaps)))
    for start, end in _pieces(n_permutations, 5 * n_subjects):
        places = np.tile(np.arange(n_subjects, dtype=np.int32), (end - start, 1))
        rng.permuted(places, axis=1, out=places)
        added = np.stack([np.add.reduceat(one[places], starts, axis=1) for one in of_each[:n_changing]])
        signs = rng.integers(0, 2, (end - start, len(mixed)), dtype=np.int8) * 2.0 - 1.0
        drawn[start:end] = statistics(added, signs @ mixed, fixed if n_changing == 1 else None)[0]
    return gaps, _maxima_stepped_down(real[0], drawn)


def _expected_squares(
    losses: NDArray[np.float64],
    sums: NDArray[np.float64],
    sizes: NDArray[np.float64],
    apart: NDArray[np.float64],
    within: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the variance of each subject's sum, and of all that subjects on both sides say of each slice."""
    if not np.isin(losses, (0.0, 1.0)).all():
        return sums**2, (within**2).sum(axis=0)
    # Equal shares vary equally, so the variance is that of all subjects with as many faces; the mistakes of a
    # small slice alone are too few to tell it.
    variance, pairs = float(losses.var()), float(sizes @ (sizes - 1))
    correlation = (float(sums @ sums) / variance - len(losses)) / pairs if variance and pairs else 0.0
    correlation = min(max(correlation, 0.0), 1.0)
    of_each = variance * sizes * (1 + (sizes - 1) * correlation)
    return of_each, variance * (1 - correlation) * (apart**2).sum(axis=0)


def _maxima_stepped_down(real: NDArray[np.float64], drawn: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return p-values that hold for all statistics together (step-down max-T, Westfall & Young 1993).

    >>> _maxima_stepped_down(np.array([1.0, 3.0]), np.array([[1.0, 2.0], [2.0, 0.0], [0.0, 4.0]])).tolist()
    [0.75, 0.5]

    Args:
        real: what was found, the larger the stranger, shape (k,).
        drawn: what chance gave, shape (n_drawn, k).
    """
    order = np.argsort(real)
    # The largest of each statistic and of all that are less strange; what is equal but for the last bits of a
    # sum counts as equal.
    largest = np.maximum.accumulate(drawn[:, order], axis=1)
    as_far = (largest >= real[order] - 1e-9).sum(axis=0)
    p_values = (as_far + 1) / (len(drawn) + 1)
    adjusted = np.empty(len(real))
    adjusted[order] = np.maximum.accumulate(p_values[::-1])[::-1]
    return adjusted


# ---------------------------------------------------------------- arithmetic


def per_subject(columns: NDArray[np.float64], subjects: NDArray[np.str_]) -> NDArray[np.float64]:
    """Return the sums of the columns over each person's photographs, shape (n_subjects, k)."""
    codes = np.unique(subjects, return_inverse=True)[1]
    n = int(codes.max()) + 1
    sums = [np.bincount(codes, weights=column, minlength=n) for column in columns.T]
    return np.ascontiguousarray(np.stack(sums, axis=1))


def _pieces(n: int, width: int, at_once: int | None = None) -> Iterator[tuple[int, int]]:
    """Yield where pieces of n rows of so many numbers start and end, so that each fits into memory."""
    size = max((at_once or _AT_ONCE) // max(width, 1), 1)
    yield from ((start, min(start + size, n)) for start in range(0, n, size))
