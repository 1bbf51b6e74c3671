"""Pictures whose hashes are nearly equal are compared, and of many that are equal only some."""

import numpy as np

from featurekit.checks import near_duplicates


def test_every_pair_that_differs_in_three_bits_is_compared():
    rng = np.random.default_rng(0)
    hashes = rng.integers(0, 2**63, 2_000, dtype=np.uint64)
    near = hashes[:500].copy()
    for number in range(len(near)):
        for bit in rng.choice(64, 3, replace=False):
            near[number] ^= np.uint64(1) << np.uint64(bit)
    pairs, n_cut = near_duplicates.candidates(np.concatenate([hashes, near]))
    assert n_cut == 0
    assert {(number, 2_000 + number) for number in range(500)} <= set(map(tuple, pairs.tolist()))
    assert len(np.unique(pairs, axis=0)) == len(pairs)  # each once, whichever parts agree


def test_hashes_without_anything_in_common_with_few_others_are_not_compared_with_all(monkeypatch):
    monkeypatch.setattr(near_duplicates, "MOST_IN_COMMON", 50)
    same = np.full(3_000, 0x123456789ABCDEF0, np.uint64)
    pairs, n_cut = near_duplicates.candidates(np.concatenate([same, np.array([1, 3], np.uint64)]))
    assert n_cut == 3_000
    assert len(pairs) <= 3_000 * near_duplicates.NEXT_ONLY + 1
    assert (3_000, 3_001) in set(map(tuple, pairs.tolist()))  # all others are compared as ever
    # All stand in one group, though not every pair was compared.
    linked = pairs[pairs[:, 1] < 3_000]
    assert set(range(1, 3_000)) <= set(linked[:, 1].tolist())
