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
        seed: of the random number generator.
        n_permutations: how often memberships are exchanged.

    Returns:
        The gaps, above 0 where more is lost on the slice, and two-sided p-values that hold for all slices
        together (step-down max-T, Westfall & Young 1993), shape (n_slices,) each; none is below
        1 / (n_permutations + 1).
    """
    inside = members.astype(np.float64)
    n_inside = inside.sum(axis=0)
    gaps = inside.T @ losses / n_inside - (1 - inside).T @ losses / (len(losses) - n_inside)
    exchange = _Exchange(losses, subjects, inside)
    drawn = exchange.drawn(np.random.default_rng(seed), n_permutations)
    return gaps, _maxima_stepped_down(exchange.real, drawn)


class _Exchange:
    """The statistic of each slice, as it is and after subjects exchanged their memberships.

    Args:
        losses: what is lost on each face, shape (n,).
        subjects: person on each face, shape (n,).
        inside: 1 where a face belongs to a slice, shape (n, n_slices).

    Attributes:
        real: the statistics as they are, shape (n_slices,).
    """

    def __init__(
        self, losses: NDArray[np.float64], subjects: NDArray[Any], inside: NDArray[np.float64]
    ) -> None:
        codes = np.unique(subjects, return_inverse=True)[1]
        sizes = np.bincount(codes).astype(np.float64)
        residuals = losses - losses.mean()
        sums = per_subject(residuals[:, None], subjects)[:, 0]
        shares = per_subject(inside, subjects) / sizes[:, None]
        apart = inside - shares[codes]
        self._within = per_subject(apart * residuals[:, None], subjects)
        squares, self._within_squares = _expected_squares(losses, sums, sizes, apart, self._within)
        self._n_faces = len(losses)
        # Subjects of one membership stand together, so that a sum for each membership is enough.
        self._shares, kinds = np.unique(shares, axis=0, return_inverse=True)
        kinds = kinds.reshape(-1)
        self._of_each = np.stack([sums, sizes, squares])[:, np.argsort(kinds, kind="stable")]
        self._starts = np.searchsorted(np.sort(kinds), np.arange(len(self._shares)))
        whole = np.add.reduceat(self._of_each, self._starts, axis=1)[:, None]
        real, self._errors = self._statistics(whole, self._within.sum(axis=0)[None], None)
        self.real = real[0]

    def drawn(self, rng: np.random.Generator, n_permutations: int) -> NDArray[np.float64]:
        """Return the statistics of so many exchanges, shape (n_permutations, n_slices)."""
        n_subjects = self._of_each.shape[1]
        # Where subjects differ in their sums only, no exchange changes the standard errors.
        is_fixed = np.ptp(self._of_each[1:], axis=1).max() == 0
        changing = self._of_each[: 1 if is_fixed else 3]
        mixed = self._within[np.any(self._within != 0, axis=1)]
        drawn = np.empty((n_permutations, len(self.real)))
        for start, end in pieces(n_permutations, 5 * n_subjects):
            places = np.tile(np.arange(n_subjects, dtype=np.int32), (end - start, 1))
            rng.permuted(places, axis=1, out=places)
            added = np.stack([np.add.reduceat(one[places], self._starts, axis=1) for one in changing])
            signs = rng.integers(0, 2, (end - start, len(mixed)), dtype=np.int8) * 2.0 - 1.0
            drawn[start:end] = self._statistics(added, signs @ mixed, self._errors if is_fixed else None)[0]
        return drawn

    def _statistics(
        self,
        added: NDArray[np.float64],
        differences: NDArray[np.float64],
        errors: NDArray[np.float64] | None,
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return statistics and squared standard errors, of sums, sizes and squares of each membership."""
        shares = self._shares
        if errors is None:
            part = added[1] @ shares / self._n_faces
            errors = added[2] @ shares**2 - 2 * part * (added[2] @ shares)
            errors = errors + part**2 * added[2].sum(axis=-1, keepdims=True) + self._within_squares
            errors = np.maximum(errors, 1e-12)
        return np.abs(added[0] @ shares + differences) / np.sqrt(errors), errors


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
