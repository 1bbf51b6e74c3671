"""Test whether two models differ.

The signs that are flipped belong to subjects with all of their images, never to single
images. Tests that count images call equal models different far more often than their
level allows.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from featurekit.uncertainty._step_down import FlipTest, step_down

FLIPS = 20_000


def sign_flip(
    of_each: NDArray[np.float64],
    pairs: Sequence[tuple[int, int]],
    *,
    families: Sequence[int] | None = None,
    seed: int,
    n_flips: int = FLIPS,
) -> FlipTest:
    """Test for each pair of models whether chance alone sets them as far apart (paired, two-sided).

    If two models are equally good, a subject on whom one of them is better might as well have been a subject
    on whom the other one is: the sign of the difference d means nothing. So the signs of all subjects are
    drawn at random, n_flips times, and the statistic T = |Σ d| / sqrt(Σ d²) of the flipped differences is
    compared with that of the real ones. Σ d² is the same whatever the signs are, so T is studentized without
    a variance for every flip; so is Σ d⁴, by which the tails of all T are made alike.

    The adjusted p-values control the family-wise error rate by step-down max-T (Westfall & Young 1993; Romano
    & Wolf 2005): a pair is compared with the largest T, in the same flip, of all pairs that are no more
    significant than itself. Pairs that share a model move together, which this uses. No p-value is multiplied
    by a number of pairs, so the smallest possible one is the same for 3 pairs and for 1,770.

    Args:
        of_each: one row per subject, the score of each model on its images, shape (n_subjects, n_models).
        pairs: numbers of the models that are compared.
        families: number of the family that each pair is adjusted in; None for one family of all pairs.
        seed: of the random number generator.
        n_flips: how often all signs are drawn.
    """
    return step_down(of_each, pairs, families, seed=seed, n_flips=n_flips)


def side_by_side(
    members: Sequence[tuple[NDArray[np.intp], NDArray[np.float64]]],
) -> tuple[NDArray[np.float64], list[tuple[int, int]]]:
    """Return comparisons that were made on different subjects as one family for sign_flip().

    A subject in several comparisons gets one sign for all of them. It adds nothing to the others.

    Args:
        members: of each comparison, the numbers of the subjects, shape (n,), and the differences on each,
            shape (n,). A number means the same subject in every comparison.

    Returns:
        One row per subject, one column per comparison and a column of zeros; and the pairs to compare.
    """
    n_subjects = 1 + max((int(subjects.max(initial=-1)) for subjects, _ in members), default=-1)
    of_each = np.zeros((n_subjects, len(members) + 1))
    for number, (subjects, differences) in enumerate(members):
        np.add.at(of_each[:, number], subjects, differences)
    return of_each, [(number, len(members)) for number in range(len(members))]
