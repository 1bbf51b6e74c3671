"""Vectors read back: all of them, or a sentence."""

import numpy as np
import pytest

from featurekit.embeddings.vectors import Vectors, load_embeddings
from featurekit.errors import EmbeddingError, WorkspaceError


def test_vectors_that_were_never_extracted_name_the_step(manifest, recipes, settings, store):
    with pytest.raises(WorkspaceError, match="featurekit extract --backbone mean_color"):
        load_embeddings(manifest, list(recipes.values()), settings, store)


def test_embeddings_refuse_a_row_that_nobody_wrote():
    vectors = np.array([[1.0], [np.nan]], np.float32)
    with pytest.raises(EmbeddingError, match="The vector of b is not finite"):
        Vectors(np.arange(2), np.array(["a", "b"]), vectors, (1,), ())
