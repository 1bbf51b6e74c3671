"""A photograph is decoded once, and again only where a crop would be enlarged."""

import numpy as np
import pytest
from numpy.typing import NDArray

from featurekit.faces import images
from featurekit.faces.detectors import Detection, FaceFinder
from featurekit.faces.face import Face
from featurekit.faces.find import see_faces
from featurekit.faces.settings import FaceSettings
from tests.faces.made_up import align, face_at, photograph

SETTINGS = FaceSettings()


def one_face(x: float, y: float, width: float) -> FaceFinder:
    """Return a detector that sees one face, at a place given in parts of the picture without border."""

    def find(pixels: NDArray[np.uint8], size: int) -> list[Detection]:
        inside = np.flatnonzero(pixels.any(axis=2).any(axis=0))
        start, side = inside[0], np.ptp(inside) + 1
        return [face_at(start + x * side, start + y * side, width * side)]

    return find


@pytest.mark.slow
@pytest.mark.parametrize(("part", "expected"), [(0.3, [4]), (0.05, [4, 1])])
def test_a_large_photograph_is_decoded_small_and_again_only_where_the_face_would_be_enlarged(
    part: float, expected: list[int], monkeypatch
) -> None:
    data = photograph(5600, 4200)
    factors = []
    decode = images.decode

    def recorded(data: bytes, *, factor: int = 1) -> NDArray[np.uint8]:
        factors.append(factor)
        return decode(data, factor=factor)

    monkeypatch.setattr(images, "decode", recorded)
    (seen,), size = see_faces(data, one_face(0.4, 0.3, part), SETTINGS, [("dlib", 224)])
    assert factors == expected
    assert size == (5600, 4200)
    crop = seen.crops["dlib", 224]
    whole, _ = align(decode(data), seen.face.landmarks, seen.face.box, "dlib", 224)
    assert np.abs(crop.astype(int) - whole).max() <= 3


def test_the_crop_of_a_face_does_not_depend_on_the_order_of_the_others() -> None:
    data = photograph(5600, 4200)
    # The small face needs the photograph in another size than the large one.
    places = [(face_at(2000, 1200, 1700), 0.9), (face_at(300, 300, 250), 0.8)]
    large, small = (Face("ok", one.box, one.landmarks, sure, 2, 0) for one, sure in places)
    crops = []
    for known in ([large, small], [small, large]):
        seen, _ = see_faces(data, one_face(0, 0, 1), SETTINGS, [("dlib", 224)], known=known)
        crops.append({id(one.face): one.crops["dlib", 224] for one in seen})
    for face in (large, small):
        np.testing.assert_array_equal(crops[0][id(face)], crops[1][id(face)])


def test_a_face_that_is_known_is_not_looked_for_again() -> None:
    def never(pixels: NDArray[np.uint8], size: int) -> list[Detection]:
        raise AssertionError

    found = face_at(40, 30, 100)
    known = Face("ok", found.box, found.landmarks, 0.9, 1, 0)
    (seen,), _ = see_faces(photograph(200, 200), never, SETTINGS, [("dlib", 64)], known=[known])
    assert seen.face is known
    assert seen.aligned_by == "landmarks"
