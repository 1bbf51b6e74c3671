"""For whom a model is worse: gaps between slices, by exchanging whole persons between them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from featurekit.uncertainty._pieces import pieces
from featurekit.uncertainty.subjects import per_subject

PERMUTATIONS = 12_000  # of subjects, for a p-value that can be below 0.0001


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
    for start, end in pieces(n_permutations, 5 * n_subjects):
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
