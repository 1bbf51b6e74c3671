"""The closest pairs of faces are those that a comparison of all pairs finds."""

import numpy as np
import pytest

from featurekit.embeddings import closest_pairs as module
from featurekit.embeddings.closest_pairs import closest_pairs


def by_comparing_all(vectors, n_pairs):
    """The pairs by a comparison of all of them."""
    exact = vectors.astype(float)
    exact = exact / np.linalg.norm(exact, axis=1, keepdims=True)
    first, second = np.triu_indices(len(exact), 1)
    similarity = (exact @ exact.T)[first, second]
    order = np.argsort(-similarity, kind="stable")[:n_pairs]
    return [(int(first[at]), int(second[at])) for at in order], similarity[order]


def around_centres(rng, n_faces, length, noise):
    """Vectors as of a network with a rectifier: all numbers positive, around twenty centres."""
    centres = rng.normal(size=(20, length))[rng.integers(20, size=n_faces)]
    return np.maximum(centres + noise * rng.normal(size=centres.shape) + 0.5, 0).astype(np.float32)


@pytest.fixture(autouse=True)
def _several_blocks(monkeypatch):
    monkeypatch.setattr(module, "_FACES_AT_ONCE", 64)
    monkeypatch.setattr(module, "_SAMPLE", 200)


@pytest.mark.parametrize(("length", "noise"), [(64, 3.0), (64, 0.3), (300, 0.001)])
def test_the_pairs_are_those_of_a_comparison_of_all(length, noise):
    vectors = around_centres(np.random.default_rng(length), 500, length, noise)
    found = closest_pairs(vectors, np.arange(500), 5)
    assert closest_pairs(vectors, np.arange(500), 5, threads=3) == found
    pairs, similarities = by_comparing_all(vectors, 5)
    assert [one[:2] for one in found] == pairs
    assert np.allclose([one[2] for one in found], similarities, rtol=0, atol=1e-12)


def test_near_copies_are_found_among_vectors_without_any_structure():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(700, 128)).astype(np.float32)
    planted = [(650, 3), (17, 18), (400, 90)]
    for place, (one, other) in enumerate(planted):
        vectors[one] = 3 * vectors[other] + 10.0 ** (place - 4) * rng.normal(size=128)
    found = closest_pairs(vectors, np.arange(700), 3)
    assert [one[:2] for one in found] == [tuple(sorted(pair)) for pair in planted]


def test_most_blocks_are_not_compared_if_there_are_near_copies(monkeypatch):
    multiplied = []
    full = module._Search._compared
    monkeypatch.setattr(module._Search, "_compared", lambda *of: multiplied.append(of) or full(*of))
    vectors = around_centres(np.random.default_rng(0), 700, 300, 1.0)
    vectors[100:110] = vectors[300:310] * 1.001
    closest_pairs(vectors, np.arange(700))
    assert 1 <= len(multiplied) <= 8  # of 66 pairs of blocks


def test_identical_image_files_are_one_face_and_identical_vectors_are_not():
    vectors = np.random.default_rng(0).normal(size=(300, 64)).astype(np.float32)
    vectors[200] = vectors[7]
    images = np.arange(300)
    assert closest_pairs(vectors, images, 1) == [(7, 200, 1.0)]
    assert closest_pairs(vectors, images, 2)[0] == (7, 200, 1.0)
    images[200] = 7
    others = np.delete(vectors, 200, axis=0)
    pairs, _ = by_comparing_all(others, 2)
    expected = [tuple(row + (row >= 200) for row in pair) for pair in pairs]
    assert [one[:2] for one in closest_pairs(vectors, images, 2)] == expected


def test_equally_close_pairs_are_in_the_order_of_their_rows_with_any_number_of_threads():
    vectors = np.repeat(np.eye(64, dtype=np.float32), 5, axis=0)  # 64 groups of five identical vectors
    expected = [(0, 1, 1.0), (0, 2, 1.0), (0, 3, 1.0), (0, 4, 1.0), (1, 2, 1.0), (1, 3, 1.0)]
    assert closest_pairs(vectors, np.arange(320), 6) == expected
    scaled = vectors * np.arange(1, 321, dtype=np.float32)[:, None]  # parallel, but not identical
    for threads in (1, 4):
        assert closest_pairs(scaled, np.arange(320), 6, threads=threads) == expected


def test_a_vector_of_zeros_is_in_no_pair_and_few_faces_have_few_pairs():
    vectors = np.zeros((4, 64), np.float32)
    assert closest_pairs(vectors, np.arange(4)) == []
    vectors[1, 0] = 1
    assert closest_pairs(vectors, np.arange(4)) == []
    vectors[3, 1] = -2
    assert closest_pairs(vectors, np.arange(4)) == [(1, 3, 0.0)]


def test_progress_ends_at_one():
    told = []
    closest_pairs(
        np.eye(64, dtype=np.float32).repeat(2, axis=0) + 1, np.arange(128), 70, progress=told.append
    )
    assert told == sorted(told)
    assert told[-1] == 1
