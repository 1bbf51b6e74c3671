"""Vectors as estimators learn from them: no part drowns another."""

import numpy as np
import pytest

from featurekit.estimators._scaling import block_scaling


def test_every_column_of_one_block_weighs_the_same():
    X = np.random.default_rng(0).normal(5, [1, 10, 100], (500, 3)).astype(np.float32)
    mean, factor = block_scaling(X, None)
    assert ((X - mean) * factor).var(axis=0) == pytest.approx(np.full(3, 1 / 3), rel=1e-5)


def test_a_long_block_does_not_drown_a_short_one():
    X = np.random.default_rng(0).normal(size=(300, 40)).astype(np.float32)
    mean, factor = block_scaling(X, (4, 36))
    variance = ((X - mean) * factor).var(axis=0)
    assert variance[:4].sum() == pytest.approx(0.5, rel=1e-5)
    assert variance[4:].sum() == pytest.approx(0.5, rel=1e-5)


def test_a_constant_column_counts_for_nothing_even_where_it_differs_later():
    X = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    X[:, 1] = 0.1
    mean, factor = block_scaling(X, (1, 1, 1))
    assert factor[1] == 0
    assert ((X - mean) * factor).var(axis=0).sum() == pytest.approx(1, rel=1e-5)


def test_blocks_of_another_length_are_a_bug():
    with pytest.raises(ValueError, match=r"\(2, 2\) must add up to 5"):
        block_scaling(np.zeros((3, 5), np.float32), (2, 2))
