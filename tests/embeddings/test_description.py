"""The description of vectors says what numpy computes by hand."""

from dataclasses import asdict, replace

import numpy as np
import pytest

from featurekit.embeddings import description as module
from featurekit.embeddings.description import (
    column_variances,
    describe,
    effective_rank,
    n_columns_with,
    n_near_constant,
)
from featurekit.embeddings.extractor import extract
from featurekit.embeddings.index import Ledger
from featurekit.embeddings.recipe import row_keys
from featurekit.errors import UnknownNameError, WorkspaceError


def by_svd(vectors):
    """Roy and Vetterli's definition, step by step."""
    singular = np.linalg.svd(vectors - vectors.mean(axis=0), compute_uv=False)
    shares = singular[singular > 1e-9 * singular[0]]
    shares = shares / shares.sum()
    return np.exp(-np.sum(shares * np.log(shares)))


# ---------------------------------------------------------------- effective rank


@pytest.mark.parametrize("shape", [(500, 40), (500, 7), (30, 90), (41, 40)])
def test_the_effective_rank_is_that_of_a_singular_value_decomposition(shape):
    rng = np.random.default_rng(shape[0])
    vectors = rng.normal(size=shape) * np.geomspace(1, 1e-3, shape[1]) + 5
    assert effective_rank(vectors.astype(np.float32)) == pytest.approx(by_svd(vectors), rel=1e-5)


def test_the_effective_rank_counts_directions():
    rng = np.random.default_rng(0)
    equal = np.vstack([np.eye(12), -np.eye(12)])
    assert effective_rank(equal) == pytest.approx(12)
    assert effective_rank(rng.normal(size=(300, 1)) * rng.normal(size=(1, 12)) + 100) == pytest.approx(1)
    assert effective_rank(np.full((300, 12), 0.1, np.float32)) == 0
    assert effective_rank(np.ones((1, 12), np.float32)) == 0


def test_pieces_and_threads_do_not_change_the_last_bit_of_a_rank(monkeypatch):
    vectors = np.random.default_rng(0).normal(size=(700, 90)).astype(np.float32)
    whole = effective_rank(vectors)
    monkeypatch.setattr(module, "_COLUMNS_AT_ONCE", 16)
    monkeypatch.setattr(module, "_ROWS_AT_ONCE", 64)
    assert effective_rank(vectors) == pytest.approx(whole, rel=1e-12)
    assert effective_rank(vectors, threads=1) == effective_rank(vectors, threads=5)


# ---------------------------------------------------------------- columns


def test_columns_that_barely_vary_are_counted():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(5000, 6))
    vectors[:, 1] = 3.7
    vectors[:, 2] *= 1e-7
    vectors[:, 3] *= 1e-5
    variances = column_variances(vectors)
    assert np.allclose(variances, vectors.var(axis=0), rtol=1e-9, atol=1e-20)
    assert n_near_constant(variances) == 2
    assert n_near_constant(column_variances(np.full((5000, 6), 0.1, np.float32))) == 6


def test_the_columns_that_have_a_share_of_the_variance_are_counted():
    variances = np.array([0.5, 5, 0.5, 4, 0])  # of 10
    assert [n_columns_with(variances, share) for share in (0.5, 0.9, 0.95, 0.96, 1)] == [1, 2, 3, 4, 4]
    assert n_columns_with(np.zeros(3), 0.9) == 0


# ---------------------------------------------------------------- from the cache


@pytest.fixture
def made_up(manifest, recipes, settings, store):
    """Put made-up vectors of the faces into the cache, and return a record of them."""
    extract(manifest, recipes, settings, store)
    keys = row_keys(manifest, settings)
    ledger = Ledger(settings, dict(recipes), {}, {}, {})
    recipe = replace(next(iter(recipes.values())), backbone="made_up", layer="pooled")

    def put(vectors, rows=slice(None), *, records=True, **changes):
        nonlocal ledger
        changed = replace(recipe, **changes)
        store.shelf("embeddings", asdict(changed)).append(keys[rows], {"vectors": vectors[rows]})
        if records:
            ledger = replace(ledger, recipes={**ledger.recipes, changed.feature: changed})
        return ledger

    return put


@pytest.fixture
def vectors():
    return np.random.default_rng(0).normal(size=(24, 80)).astype(np.float32)


def test_each_feature_set_is_described(manifest, store, made_up, vectors):
    vectors[20] = vectors[3] * 2
    ledger = made_up(vectors)
    mean_color, facts = describe(manifest, ledger, store, threads=1)
    assert describe(manifest, ledger, store, threads=4) == (mean_color, facts)  # to the last bit
    assert (mean_color.feature, mean_color.length, mean_color.closest) == ("mean_color:mean", 3, ())
    assert (facts.feature, facts.n_faces, facts.length) == ("made_up:pooled", 24, 80)
    assert (facts.dtype, facts.precision, facts.errors) == ("float32", "fp32", ())
    norms = np.linalg.norm(vectors.astype(float), axis=1)
    expected = (norms.min(), np.median(norms), norms.max())
    assert (facts.norm_min, facts.norm_median, facts.norm_max) == pytest.approx(expected)
    assert facts.effective_rank == pytest.approx(by_svd(vectors.astype(float)))
    assert facts.n_near_constant == 0
    assert len(facts.closest) == 5
    face_ids = manifest.table["face_id"].to_list()
    assert (facts.closest[0].first, facts.closest[0].second) == (face_ids[3], face_ids[20])
    assert facts.closest[0].similarity == pytest.approx(1, abs=1e-12)


def test_the_difference_from_fp32_is_measured_whichever_was_extracted_last(
    manifest, recipes, store, made_up, vectors
):
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    shares = np.linspace(0.001, 0.024, 24)[:, None]
    shares[[5, 23]] = shares[[23, 5]]  # the largest error is that of row 5
    direction = np.zeros((1, 80))
    direction[0, 7] = 1
    made_up(vectors)
    made_up((vectors + shares * lengths * direction).astype(np.float32), precision="bf16", records=False)
    half = slice(0, 12)
    pixels = next(iter(recipes.values())).normalization
    of_int8 = {**pixels, "quantized": "ab" * 32, "calibrated_on": "made-up portraits"}
    quantized = {"normalization": of_int8, "precision": "int8"}
    ledger = made_up((vectors * 1.5).astype(np.float32), half, records=False, **quantized)
    made_up(vectors * 2, precision="bf16", mirrored=True, records=False)  # differs in more than the precision
    for threads, recorded in ((1, ledger), (4, made_up(vectors, precision="bf16"))):
        (facts,) = describe(manifest, recorded, store, ["made_up:pooled"], threads=threads)
        bf16, int8 = facts.errors
        assert (bf16.precision, bf16.n_faces) == ("bf16", 24)
        assert bf16.median == pytest.approx(0.0125, rel=1e-4)
        assert bf16.worst == pytest.approx(0.024, rel=1e-4)
        assert bf16.worst_face == manifest.table["face_id"][5]
        assert (int8.precision, int8.n_faces) == ("int8", 12)
        assert (int8.median, int8.worst) == pytest.approx((0.5, 0.5), rel=1e-6)


def test_features_are_described_once_and_kept_pixels_by_their_size(manifest, store, made_up):
    told = []
    ledger = made_up(np.zeros((24, 27), np.uint8), backbone="pixels")
    names = ["mean_color", "pixels:pooled", "mean_color:mean"]
    facts = describe(manifest, ledger, store, names, progress=lambda *standing: told.append(standing))
    assert [one.feature for one in facts] == ["mean_color:mean", "pixels:pooled"]
    assert (facts[1].dtype, facts[1].n_faces, facts[1].length) == ("uint8", 24, 27)
    assert np.isnan([facts[1].norm_min, facts[1].effective_rank, facts[1].n_near_constant]).all()
    assert told == sorted(told)
    assert told[0] == (0, 2)
    assert told[-1] == (2, 2)


def test_what_was_not_extracted_is_named(manifest, store, made_up, vectors):
    ledger = made_up(vectors, slice(0, 20))
    with pytest.raises(WorkspaceError, match="4 of 24 faces have no vector of made_up:pooled yet"):
        describe(manifest, ledger, store)
    with pytest.raises(WorkspaceError, match=r"vgg16 has not been extracted\. Next: featurekit extract"):
        describe(manifest, ledger, store, ["vgg16"])
    with pytest.raises(UnknownNameError, match=r"Unknown backbone 'mean_colour'\. Did you mean 'mean_color'"):
        describe(manifest, ledger, store, ["mean_colour"])
