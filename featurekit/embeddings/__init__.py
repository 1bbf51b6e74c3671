"""Compute the vectors (embeddings) of face images; each vector is computed once and stored in the cache."""
