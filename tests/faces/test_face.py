"""Statuses keep their numbers."""

import numpy as np

from featurekit.faces.face import BROKEN, STATUS_MEANINGS, STATUSES, Face


def test_statuses_keep_their_numbers() -> None:
    # The store holds numbers. New statuses go to the end of this list; nothing in it may move.
    assert STATUSES[:13] == (
        "ok",
        "no_face",
        "many_faces",
        "too_small",
        "missing_file",
        "unreadable",
        "empty_file",
        "undecodable",
        "truncated",
        "too_large",
        "unsupported_format",
        "bad_path",
        "not_extracted",
    )
    assert set(BROKEN) < set(STATUSES)
    assert all(STATUS_MEANINGS.values())


def test_a_face_that_is_none_has_neither_box_nor_landmarks() -> None:
    face = Face("truncated")
    assert np.isnan(face.box).all()
    assert face.box.shape == (4,)
    assert np.isnan(face.landmarks).all()
    assert face.landmarks.shape == (5, 2)
