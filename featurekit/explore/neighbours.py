"""The nearest neighbours of a face: the faces whose vectors have the highest cosine similarity to its own."""

import numpy as np
from numpy.typing import NDArray

from featurekit.embeddings.vectors import VectorReader
from featurekit.threads import one_blas_thread

N_NEIGHBOURS = 12
_NUMBERS_AT_ONCE = 10_000_000


class Neighbours:
    """The vectors of some faces, in memory.

    If the vectors of several networks are joined, each network has the same weight: the similarity is the
    mean of those of the networks.

    Args:
        reader: the vectors.
        positions: positions of the faces in the reader.
    """

    def __init__(self, reader: VectorReader, positions: NDArray[np.intp]) -> None:
        length = sum(reader.blocks)
        ends = np.cumsum(reader.blocks)
        self._unit = np.empty((len(positions), length), np.float32)
        size = max(_NUMBERS_AT_ONCE // length, 1)
        for start in range(0, len(positions), size):
            piece = reader.read(positions[start : start + size])
            for first, end in zip(ends - reader.blocks, ends, strict=True):
                norms = np.linalg.norm(piece[:, first:end], axis=1, keepdims=True)
                piece[:, first:end] /= np.where(norms > 0, norms, 1) * np.sqrt(len(ends))
            self._unit[start : start + size] = piece

    def of(self, face: int, n: int = N_NEIGHBOURS) -> list[tuple[int, float]]:
        """Return the most similar other faces, each with its similarity, the most similar one first.

        >>> import numpy as np
        >>> vectors = np.array([[1.0, 0.0], [0.0, 2.0], [3.0, 3.0]])
        >>> reader = type("", (), {"blocks": (2,), "read": lambda self, at: vectors[at].copy()})()
        >>> [(face, round(similarity, 3)) for face, similarity in Neighbours(reader, np.arange(3)).of(0)]
        [(2, 0.707), (1, 0.0)]
        """
        with one_blas_thread():
            similarities = self._unit @ self._unit[face]
        similarities[face] = -np.inf
        nearest = np.argsort(-similarities, kind="stable")[: min(n, len(similarities) - 1)]
        return [(int(one), float(similarities[one])) for one in nearest]
