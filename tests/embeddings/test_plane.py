"""Two dimensions of vectors: those of scikit-learn's full SVD, read a few at a time."""

import sys

import numpy as np
import pytest

from featurekit.embeddings import plane
from featurekit.embeddings.plane import plane_of, refuse_unused_seed
from featurekit.errors import EmbeddingError, EngineError, UnknownNameError, WorkspaceError


class InMemory:
    """Vectors that are read as those of the cache are; it remembers how many numbers were read at once."""

    def __init__(self, vectors, blocks=None):
        self.vectors, self.blocks = vectors, blocks or (vectors.shape[1],)
        self.rows, self.most = np.arange(len(vectors)) * 2, 0

    def __len__(self):
        return len(self.vectors)

    def read(self, faces):
        found = self.vectors[faces].copy()
        self.most = max(self.most, found.size)
        return found


def make_vectors(n, dim, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 4)) * [9, 5, 2, 1] @ rng.normal(size=(4, dim)) + rng.normal(size=(n, dim)) + 7


def full_svd(standardized):
    _, values, directions = np.linalg.svd(standardized, full_matrices=False)
    return standardized @ directions[:2].T, values**2 / (values**2).sum()


def assert_equal_up_to_sign(places, expected, **tolerance):
    signs = np.sign((places * expected).sum(axis=0))
    np.testing.assert_allclose(places * signs, expected, **tolerance)


@pytest.mark.parametrize(
    ("n", "dim", "tolerance"), [(40, 6, 1e-9), (30, 90, 1e-9), (600, 5, 1e-9), (40, 1100, 1e-4)]
)
def test_the_components_are_those_of_a_full_svd_up_to_their_signs(n, dim, tolerance):
    vectors = make_vectors(n, dim)
    found = plane_of(InMemory(vectors))
    expected, shares = full_svd((vectors - vectors.mean(axis=0)) / vectors.std(axis=0))
    assert_equal_up_to_sign(found.places, expected, atol=tolerance * np.abs(expected).max())
    assert found.shares == pytest.approx(shares[:2], rel=1e-4)
    assert (found.n_fitted, found.n_all, found.length) == (n, n, dim)
    np.testing.assert_array_equal(found.rows, np.arange(n) * 2)


def test_joined_networks_have_the_same_total_variance_and_constant_columns_none():
    short, long = make_vectors(50, 2, seed=1), 1000 * make_vectors(50, 12, seed=2)
    constant = np.full((50, 3), 5.0)
    found = plane_of(InMemory(np.hstack([short, long, constant]), (2, 12, 3)))
    parts = [(one - one.mean(axis=0)) / one.std(axis=0) * np.sqrt(7 / one.shape[1]) for one in (short, long)]
    assert [one.var(axis=0).sum() for one in parts] == pytest.approx([7, 7])
    expected, _ = full_svd(np.hstack(parts))
    assert_equal_up_to_sign(found.places, expected, atol=1e-9)


def test_many_vectors_are_fitted_on_a_sample_and_read_in_pieces(monkeypatch):
    monkeypatch.setattr(plane, "MOST_FITTED", 300)
    monkeypatch.setattr(plane, "_NUMBERS_AT_ONCE", 400)
    reader, done = InMemory(make_vectors(900, 5)), []
    found = plane_of(reader, progress=lambda n, total: done.append((n, total)))
    assert (found.n_fitted, found.n_all, len(found.places)) == (300, 900, 900)
    assert reader.most == 1500  # the 300 of the sample; all others came in smaller pieces
    assert done[-1] == (900, 900)
    whole = reader.vectors
    expected, _ = full_svd((whole - whole.mean(axis=0)) / whole.std(axis=0))
    signs = np.sign((found.places * expected).sum(axis=0))
    assert np.corrcoef(found.places[:, 0] * signs[0], expected[:, 0])[0, 1] > 0.99
    np.testing.assert_array_equal(plane_of(reader).places, found.places)
    assert not np.array_equal(plane_of(reader, seed=1).places, found.places)
    refuse_unused_seed(found, 1)


@pytest.mark.parametrize(("n", "dim", "is_random"), [(40, 6, False), (30, 90, False), (40, 1100, True)])
def test_a_seed_is_refused_where_it_changes_no_place(n, dim, is_random):
    reader = InMemory(make_vectors(n, dim))
    found, other = (plane_of(reader, seed=seed) for seed in (0, 1))
    assert np.array_equal(found.places, other.places) != is_random
    refuse_unused_seed(found, None)
    if is_random:
        refuse_unused_seed(found, 0)
    else:
        with pytest.raises(
            WorkspaceError,
            match=rf"seed.0 has no effect: .* draws no random numbers for these {n} vectors\. Leave it out\.",
        ):
            refuse_unused_seed(found, 0)


def test_what_cannot_be_mapped_is_one_clear_line(monkeypatch):
    with pytest.raises(UnknownNameError, match=r"Unknown method 'pac'\. Did you mean 'pca'"):
        plane_of(InMemory(make_vectors(9, 3)), "pac")
    with pytest.raises(
        EmbeddingError, match=r"at least 3 faces and vectors of at least 2 numbers\. There are 2"
    ):
        plane_of(InMemory(make_vectors(2, 3)))
    with pytest.raises(EmbeddingError, match="differ in at least two of their numbers"):
        plane_of(InMemory(np.ones((9, 3))))
    monkeypatch.setitem(sys.modules, "umap", None)  # as if it were not installed
    with pytest.raises(EngineError, match=r"needs umap-learn, .*: pip install 'featurekit\[umap\]'") as error:
        plane_of(InMemory(make_vectors(20, 3)), "umap")
    assert "\n" not in str(error.value)


@pytest.mark.slow
def test_umap_keeps_groups_apart_and_gives_the_same_places_again():
    pytest.importorskip("umap")
    groups = np.repeat([0, 1], 30)
    vectors = np.random.default_rng(0).normal(size=(60, 8)) + 12 * groups[:, None]
    with pytest.raises(EmbeddingError, match="at least 16 faces"):
        plane_of(InMemory(vectors[:15]), "umap")
    one, two = (plane_of(InMemory(vectors), "umap", seed=3) for _ in range(2))
    np.testing.assert_array_equal(one.places, two.places)
    assert one.shares is None
    centers = [one.places[groups == group].mean(axis=0) for group in (0, 1)]
    nearest = [np.linalg.norm(one.places - center, axis=1) for center in centers]
    assert np.array_equal(np.argmin(nearest, axis=0), groups)
