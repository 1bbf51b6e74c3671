"""Vectors for other programs."""

import numpy as np
import pandas as pd
import pytest

from featurekit.embeddings.extractor import extract
from featurekit.embeddings.vectors import export_embeddings, load_embeddings
from featurekit.errors import EmbeddingError


def test_vectors_are_exported_in_the_manifests_order(manifest, recipes, settings, store, tmp_path):
    extract(manifest, recipes, settings, store)
    embeddings = load_embeddings(manifest, list(recipes.values()), settings, store)
    export_embeddings(embeddings, tmp_path / "v.parquet")
    table = pd.read_parquet(tmp_path / "v.parquet")
    assert list(table["face_id"]) == list(manifest.table["face_id"])
    np.testing.assert_array_equal(np.stack(table["vectors"]), embeddings.vectors)
    export_embeddings(embeddings, tmp_path / "v.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "v.npy"), embeddings.vectors)
    assert (tmp_path / "v.csv").read_text().splitlines()[1:] == list(manifest.table["face_id"])
    with pytest.raises(EmbeddingError, match=r"\.parquet or \.npy"):
        export_embeddings(embeddings, tmp_path / "v.txt")
