"""Compare each tested face's distance to its nearest training face with that to an ordinary neighbour."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from featurekit.checks.base import AT_ONCE, in_pieces
from featurekit.data.splits import Fold
from featurekit.embeddings.vectors import Vectors
from featurekit.progress import Progress

# A face is suspiciously close to a training face that is less than CLOSE times as far as its NEIGHBOURth
# nearest one. The distances to other people grow slowly, but a second image of the same person is much closer
# than all of them. Both distances are local, so that faces of which many look alike (babies) are not flagged.
# With dlib_age on UTKFace, 2.4 % of the faces are flagged. Among them are 92 % of those with a near duplicate
# on the other side; most of the rest are mirrored or cropped again, or show the same person (they were looked
# at).
CLOSE, NEIGHBOUR = 0.5, 20


def unit_vectors(embeddings: Vectors, positions: NDArray[np.intp]) -> NDArray[np.float32]:
    """Return vectors of length 1, so that products are cosines; all joined parts have the same weight."""
    vectors = embeddings.vectors[positions].astype(np.float32)
    parts = np.split(vectors, np.cumsum(embeddings.blocks)[:-1], axis=1)
    units = [part / np.maximum(np.linalg.norm(part, axis=1, keepdims=True), 1e-12) for part in parts]
    return np.hstack(units) * np.float32(1 / np.sqrt(len(units)))


def nearest(
    unit: NDArray[np.float32],
    folds: Sequence[Fold],
    is_tested: NDArray[np.bool_],
    progress: Progress | None = None,
) -> NDArray[np.float64]:
    """Return the distance of each tested face's nearest training face, divided by that of its NEIGHBOURth.

    Args:
        unit: vectors of length 1, shape (n_faces, dim).
        folds: each with at least NEIGHBOUR training faces.
        is_tested: the faces to compute it for, shape (n_faces,).
        progress: is told how many of them are done.

    Returns:
        Shape (n_faces,); NaN for the other faces.
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
