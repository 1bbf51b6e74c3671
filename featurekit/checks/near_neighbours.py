"""How far the nearest vector is, beside how far a near one usually is."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from featurekit.checks.base import AT_ONCE, in_pieces
from featurekit.data.splits import Fold
from featurekit.embeddings.vectors import Vectors
from featurekit.progress import Progress

# A face is suspiciously close, whose nearest training face is less than CLOSE times as far as the
# NEIGHBOURth nearest: strangers thin out slowly around a face, a second picture of the same person lies apart
# from all of them. Both distances are local, so that faces of which there are many that look alike (babies)
# are not taken for one. On dlib_age of UTKFace it flags 2.4 % of faces, among them 92 % of those with a near
# duplicate on the other side; most others are mirrored or cut anew, or show the same person (looked at).
CLOSE, NEIGHBOUR = 0.5, 20


def unit_vectors(embeddings: Vectors, positions: NDArray[np.intp]) -> NDArray[np.float32]:
    """Return vectors of length 1, whose product is the cosine; joined parts weigh the same."""
    parts = []
    for part in np.split(embeddings.vectors, np.cumsum(embeddings.blocks)[:-1], axis=1):
        own = part[positions].astype(np.float32)
        parts.append(own / np.maximum(np.linalg.norm(own, axis=1, keepdims=True), 1e-12))
    return np.hstack(parts) * np.float32(1 / np.sqrt(len(parts)))


def nearest(
    unit: NDArray[np.float32],
    folds: Sequence[Fold],
    is_tested: NDArray[np.bool_],
    progress: Progress | None = None,
) -> NDArray[np.float64]:
    """Return how far each tested face's nearest training face is, as a share of how far its NEIGHBOURth is.

    Args:
        unit: vectors of length 1, shape (n_faces, dim).
        folds: who is tested when; each has at least NEIGHBOUR faces to learn from.
        is_tested: whose nearest is looked for, shape (n_faces,).
        progress: told how many of them are done.

    Returns:
        Shape (n_faces,); NaN for a face whose nearest was not looked for.
    """
    ratio = np.full(len(unit), np.nan)
    n_tested, done = int(is_tested.sum()), 0
    for fold in folds:
        test = fold.test[is_tested[fold.test]]
        train = unit[fold.train].T
        for piece in in_pieces(test, max(AT_ONCE // len(fold.train), 1)):
            distances = np.clip(1 - unit[piece] @ train, 0, None)
            distances.partition((0, NEIGHBOUR - 1), axis=1)
            usual = distances[:, NEIGHBOUR - 1]
            ratio[piece] = np.divide(distances[:, 0], usual, out=np.ones(len(piece)), where=usual > 0)
            done += len(piece)
            if progress:
                progress(done, n_tested)
    return ratio
