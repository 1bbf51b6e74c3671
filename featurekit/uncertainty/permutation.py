"""Test on which slices a model is worse, by exchanging whole subjects between a slice and the other faces."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from featurekit.uncertainty.resampling import IN_CACHE, per_subject, pieces

PERMUTATIONS = 12_000  # of subjects, for a p-value that can be below 0.0001


def slice_gaps(
    losses: NDArray[np.float64],
    subjects: NDArray[Any],
    members: NDArray[np.bool_],
    *,
    seed: int,
    n_permutations: int = PERMUTATIONS,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return how much larger the loss is on each slice than on all other faces, with p-values.

    If it did not matter who belongs to a slice, two subjects could exchange their memberships. So whole
    subjects exchange their memberships at random, n_permutations times. A subject with faces on both sides
    also contributes the difference between them, with a random sign. The statistic is the gap divided by its
    standard error, which counts subjects. So the error rate of the test is right even if subjects on one side
    have more images or vary more than subjects on the other side.

    Args:
        losses: loss on each face, 0 or 1 for a class and years for an age, shape (n,).
        subjects: subject of each face, shape (n,).
        members: whether each face belongs to each slice, shape (n, n_slices); a slice has faces on both
            sides.
        seed: seed of the random number generator.
        n_permutations: number of random exchanges.

    Returns:
        The gaps, above 0 where the loss is larger on the slice, and two-sided p-values that hold for all
        slices together (step-down max-T, Westfall & Young 1993), shape (n_slices,) each. No p-value is below
        1 / (n_permutations + 1).
    """
    inside = members.astype(np.float64)
    n_inside = inside.sum(axis=0)
    gaps = inside.T @ losses / n_inside - (1 - inside).T @ losses / (len(losses) - n_inside)
    exchange = _Exchange(losses, subjects, inside)
    return gaps, _maxima_stepped_down(
        exchange.real, exchange.drawn(np.random.default_rng(seed), n_permutations)
    )


class _Exchange:
    """The statistic of each slice, for the real memberships and after subjects exchanged theirs.

    Args:
        losses: what is lost on each face, shape (n,).
        subjects: subject of each face, shape (n,).
        inside: 1 where a face belongs to a slice, shape (n, n_slices).

    Attributes:
        real: the statistics for the real memberships, shape (n_slices,).
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
        # Subjects of the same membership are sorted together, so that one sum for each membership is enough.
        self._shares, kinds = np.unique(shares, axis=0, return_inverse=True)
        kinds = kinds.reshape(-1)
        self._of_each = np.stack([sums, sizes, squares])[:, np.argsort(kinds, kind="stable")]
        self._starts = np.searchsorted(np.sort(kinds), np.arange(len(self._shares)))
        self._whole = np.add.reduceat(self._of_each, self._starts, axis=1)[:, None]
        real, self._errors = self._statistics(self._whole, self._within.sum(axis=0)[None], None)
        self.real = real[0]

    def drawn(self, rng: np.random.Generator, n_permutations: int) -> NDArray[np.float64]:
        """Return the statistics after each exchange, shape (n_permutations, n_slices)."""
        n_subjects = self._of_each.shape[1]
        # What is the same for all subjects has the same sum after every exchange.
        differs = np.flatnonzero(np.ptp(self._of_each, axis=1))
        is_fixed = not {1, 2}.intersection(differs.tolist())
        mixed = self._within[np.any(self._within != 0, axis=1)]
        drawn = np.empty((n_permutations, len(self.real)))
        for start, end in pieces(n_permutations, 5 * n_subjects):
            added = np.repeat(self._whole, end - start, axis=1)
            for first, last in pieces(end - start, n_subjects, IN_CACHE):
                places = np.tile(np.arange(n_subjects), (last - first, 1))
                rng.permuted(places, axis=1, out=places)
                for which in differs:
                    exchanged = self._of_each[which].take(places)
                    np.add.reduceat(exchanged, self._starts, axis=1, out=added[which, first:last])
            signs = rng.integers(0, 2, (end - start, len(mixed)), dtype=np.int8) * 2.0 - 1.0
            drawn[start:end] = self._statistics(added, signs @ mixed, self._errors if is_fixed else None)[0]
        return drawn

    def _statistics(
        self,
        added: NDArray[np.float64],
        differences: NDArray[np.float64],
        errors: NDArray[np.float64] | None,
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return statistics and squared standard errors from the sums, sizes and squares of memberships."""
        shares = self._shares
        if errors is None:
            part = added[1] @ shares / self._n_faces
            squares = added[2] @ shares**2 - 2 * part * (added[2] @ shares)
            squares = squares + part**2 * added[2].sum(axis=-1, keepdims=True)
            errors = np.maximum(squares + self._within_squares, 1e-12)
        return np.abs(added[0] @ shares + differences) / np.sqrt(errors), errors


def _expected_squares(
    losses: NDArray[np.float64],
    sums: NDArray[np.float64],
    sizes: NDArray[np.float64],
    apart: NDArray[np.float64],
    within: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the variance of each subject's sum, and for each slice that of the subjects on both sides."""
    if not np.isin(losses, (0.0, 1.0)).all():
        return sums**2, (within**2).sum(axis=0)
    # Under the null hypothesis all subjects have the same share of mistakes, so the variance is estimated
    # from all of them; a small slice alone has too few mistakes for that.
    variance, pairs = float(losses.var()), float(sizes @ (sizes - 1))
    correlation = (float(sums @ sums) / variance - len(losses)) / pairs if variance and pairs else 0.0
    correlation = min(max(correlation, 0.0), 1.0)
    return (
        variance * sizes * (1 + (sizes - 1) * correlation),
        variance * (1 - correlation) * (apart**2).sum(axis=0),
    )


def _maxima_stepped_down(real: NDArray[np.float64], drawn: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return p-values that hold for all statistics together (step-down max-T, Westfall & Young 1993).

    >>> _maxima_stepped_down(np.array([1.0, 3.0]), np.array([[1.0, 2.0], [2.0, 0.0], [0.0, 4.0]])).tolist()
    [0.75, 0.5]

    Args:
        real: the observed statistics, larger ones are more extreme, shape (k,).
        drawn: the statistics after each exchange, shape (n_drawn, k).
    """
    order = np.argsort(real)
    # The largest of each statistic and all less extreme ones. Values that differ only by rounding are equal.
    as_far = (np.maximum.accumulate(drawn[:, order], axis=1) >= real[order] - 1e-9).sum(axis=0)
    p_values = (as_far + 1) / (len(drawn) + 1)
    adjusted = np.empty(len(real))
    adjusted[order] = np.maximum.accumulate(p_values[::-1])[::-1]
    return adjusted
