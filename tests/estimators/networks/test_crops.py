"""Faces as they come: pictures or rows of bytes."""

import numpy as np
import pytest

from featurekit.estimators._networks.estimator import as_crops


def faces(n: int = 48, side: int = 16):
    return np.random.default_rng(0).integers(0, 256, (n, side, side, 3), dtype=np.uint8)


def test_a_face_may_come_as_one_row():
    X = faces()
    assert (as_crops(X.reshape(len(X), -1)) == X).all()
    assert np.shares_memory(as_crops(X), X)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.zeros((2, 48), np.float32), "of type uint8, not float32"),
        (np.zeros((2, 50), np.uint8), r"shape \(50,\) are not square images"),
        (np.zeros((2, 4, 5, 3), np.uint8), r"shape \(4, 5, 3\) are not square images"),
        (np.zeros((2, 4, 4), np.uint8), r"shape \(4, 4\) are not square images"),
    ],
)
def test_what_is_no_square_crop_of_bytes_is_refused(X, message):
    with pytest.raises(ValueError, match=message):
        as_crops(X)
