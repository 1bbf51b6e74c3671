"""What every detector keeps, builtin or not."""

import os
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from featurekit.faces.detectors import DETECTORS, Detection, FaceFinder
from featurekit.networks import weights

SEARCHING = [detector.name for detector in DETECTORS if detector.weights]
MODELS = Path(os.environ.get("FEATUREKIT_TEST_DATA", "../shared/data")).parent / "models"


@cache
def opened(name: str) -> FaceFinder | None:
    """Return the detector ready to run, or None where its weights are nowhere."""
    entry = DETECTORS[name].weights
    if entry is None:
        return DETECTORS[name].open(b"", "cpu", "fp32", 1)
    if weights.present(entry):
        return DETECTORS[name].open(weights.read(entry), "cpu", "fp32", 1)
    beside = MODELS / f"{entry}.onnx"
    return DETECTORS[name].open(beside.read_bytes(), "cpu", "fp32", 1) if beside.exists() else None


@pytest.fixture
def finder(request: pytest.FixtureRequest) -> FaceFinder:
    """The detector named by the test's parameter."""
    found = opened(request.param)
    if found is None:
        pytest.skip(f"the weights of {request.param} are absent: featurekit weights fetch|add")
    return found


every_detector = pytest.mark.parametrize("finder", DETECTORS.names(), indirect=True)
every_searching_detector = pytest.mark.parametrize("finder", SEARCHING, indirect=True)


@pytest.fixture(scope="module")
def astronaut() -> NDArray[np.uint8]:
    """scikit-image's portrait of Eileen Collins, 512 × 512; her face is about 85 px wide."""
    import skimage.data

    pixels: NDArray[np.uint8] = skimage.data.astronaut()
    return pixels


def same(left: list[Detection], right: list[Detection]) -> bool:
    """Whether two answers agree to the last bit."""
    return len(left) == len(right) and all(
        one.box.tobytes() == other.box.tobytes()
        and one.landmarks.tobytes() == other.landmarks.tobytes()
        and one.confidence == other.confidence
        for one, other in zip(left, right, strict=True)
    )


@every_detector
def test_answers_have_the_promised_types(finder: FaceFinder, astronaut: NDArray[np.uint8]) -> None:
    found = finder(astronaut, 320)
    assert found
    for one in found:
        assert one.box.dtype == one.landmarks.dtype == np.float32
        assert one.box.shape == (4,)
        assert one.landmarks.shape == (5, 2)
        assert type(one.confidence) is float
        assert 0 < one.confidence <= 1


@every_detector
def test_the_same_picture_gives_the_same_answer_again(
    finder: FaceFinder, astronaut: NDArray[np.uint8]
) -> None:
    first = finder(astronaut, 320)
    finder(astronaut[:100], 640)
    assert same(finder(astronaut, 320), first)


@every_detector
def test_the_picture_is_left_as_it_was(finder: FaceFinder, astronaut: NDArray[np.uint8]) -> None:
    before = astronaut.copy()
    finder(astronaut, 320)
    np.testing.assert_array_equal(astronaut, before)


@every_searching_detector
@pytest.mark.parametrize("value", [0, 127, 255])
def test_a_blank_picture_has_no_face(finder: FaceFinder, value: int) -> None:
    assert finder(np.full((200, 300, 3), value, np.uint8), 320) == []


@every_searching_detector
def test_the_astronaut_has_one_face_with_the_eyes_above_the_mouth(
    finder: FaceFinder, astronaut: NDArray[np.uint8]
) -> None:
    (face,) = finder(astronaut, 320)
    left_eye, right_eye, nose, left_mouth, right_mouth = face.landmarks
    assert left_eye[0] < nose[0] < right_eye[0]
    assert left_mouth[0] < right_mouth[0]
    assert max(left_eye[1], right_eye[1]) < nose[1] < min(left_mouth[1], right_mouth[1])
    x1, y1, x2, y2 = face.box
    assert (face.landmarks > [x1, y1]).all()
    assert (face.landmarks < [x2, y2]).all()
    # Where a person sees them.
    np.testing.assert_allclose(face.landmarks[:2], [[206, 102], [247, 103]], atol=5)


@every_searching_detector
def test_boxes_are_in_pixels_of_the_picture(finder: FaceFinder, astronaut: NDArray[np.uint8]) -> None:
    twice = astronaut.repeat(2, axis=0).repeat(2, axis=1)
    (face,), (larger,) = finder(astronaut, 320), finder(twice, 320)
    # The frame is the same picture, but averaged from other pixels.
    np.testing.assert_allclose(larger.box / 2, face.box, atol=1.0)
    np.testing.assert_allclose(larger.landmarks / 2, face.landmarks, atol=1.0)


@every_searching_detector
def test_width_and_height_are_not_confused(finder: FaceFinder, astronaut: NDArray[np.uint8]) -> None:
    (face,) = finder(astronaut, 512)
    wide, high = np.zeros((512, 700, 3), np.uint8), np.zeros((700, 512, 3), np.uint8)
    wide[:, 188:], high[188:] = astronaut, astronaut
    (in_wide,), (in_high,) = finder(wide, 704), finder(high, 704)
    np.testing.assert_allclose(in_wide.box - face.box, [188, 0, 188, 0], atol=8)
    np.testing.assert_allclose(in_high.box - face.box, [0, 188, 0, 188], atol=8)


@every_searching_detector
def test_red_comes_first(finder: FaceFinder, astronaut: NDArray[np.uint8]) -> None:
    # A skin that is blue instead of red is less of a face to a network that was trained on skin.
    (face,) = finder(astronaut, 320)
    swapped = finder(np.ascontiguousarray(astronaut[:, :, ::-1]), 320)
    assert not swapped or swapped[0].confidence < face.confidence


@every_searching_detector
def test_the_most_confident_face_is_first(finder: FaceFinder, astronaut: NDArray[np.uint8]) -> None:
    import cv2

    blurred = cv2.GaussianBlur(astronaut, (0, 0), 6)
    for pair in ([astronaut, blurred], [blurred, astronaut]):
        confidences = [one.confidence for one in finder(np.concatenate(pair, axis=1), 640)]
        assert len(confidences) == 2
        assert confidences == sorted(confidences, reverse=True)


@every_searching_detector
def test_threads_may_share_a_detector(finder: FaceFinder, astronaut: NDArray[np.uint8]) -> None:
    from concurrent.futures import ThreadPoolExecutor

    pictures = [np.roll(astronaut, 8 * shift, axis=1) for shift in range(6)]
    alone = [finder(picture, 320) for picture in pictures]
    with ThreadPoolExecutor(3) as pool:
        together = list(pool.map(lambda picture: finder(picture, 320), pictures))
    assert all(same(one, other) for one, other in zip(alone, together, strict=True))
