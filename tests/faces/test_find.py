"""Which face is meant, whatever its size and place."""

from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from featurekit.faces.detectors import Detection
from featurekit.faces.face import STATUSES
from featurekit.faces.find import find_faces, open_finder
from featurekit.faces.settings import FaceSettings, default_settings
from tests.faces.made_up import align, face_at, find_face, picture, read_image


@dataclass
class Marker:
    """A detector of red rectangles: a made-up face is one; it needs at least min_side pixels of the frame."""

    min_side: int = 4
    max_part: float = 1.0
    sizes: list[int] = field(default_factory=list)

    def __call__(self, pixels: NDArray[np.uint8], size: int) -> list[Detection]:
        """Return the box around the red pixels of each shade."""
        from featurekit.faces.detectors._frame import detections, fit_frame

        self.sizes.append(size)
        frame, scale = fit_frame(pixels, size)
        boxes = []
        for shade in (250, 230, 210):
            rows, columns = np.nonzero(
                (np.abs(frame[:, :, 0].astype(int) - shade) < 6) & (frame[:, :, 1] == 0)
            )
            if len(rows) and np.ptp(columns) >= self.min_side and np.ptp(columns) <= self.max_part * size:
                boxes.append([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
        return detections(
            np.array(boxes, np.float32).reshape(-1, 4),
            np.zeros((len(boxes), 5, 2), np.float32),
            np.linspace(0.9, 0.5, len(boxes), dtype=np.float32),
            scale,
            overlap=0.5,
        )


SETTINGS = FaceSettings()
LEFT, MIDDLE, LARGE = (10, 100, 60, 160), (190, 130, 230, 180), (260, 20, 390, 200)


@pytest.mark.parametrize(
    ("choose", "expected"),
    [("center", MIDDLE), ("largest", LARGE)],
)
def test_of_several_faces_the_one_that_is_meant_is_chosen(
    choose: str, expected: tuple[int, int, int, int]
) -> None:
    face = find_face(picture(LEFT, MIDDLE, LARGE), Marker(), replace(SETTINGS, choose=choose))
    assert face.status == "ok"
    assert face.n_found == 3
    np.testing.assert_allclose(face.box, expected, atol=6)  # a pixel of the frame, or two


def test_all_gives_every_face_most_confident_first_from_the_largest_frame_at_once() -> None:
    marker = Marker()
    faces = find_faces(picture(LEFT, MIDDLE, LARGE), marker, replace(SETTINGS, choose="all"))
    assert [face.status for face in faces] == ["ok"] * 3
    for face, box in zip(faces, (LEFT, MIDDLE, LARGE), strict=True):
        np.testing.assert_allclose(face.box, box, atol=2)
    assert all(one.confidence >= two.confidence for one, two in pairwise(faces))
    assert marker.sizes == [480]  # 400 pixels, as they are, and a border


@pytest.mark.parametrize(
    ("side", "sizes"),
    [(40, [64]), (200, [224, 384, 288, 128, 96]), (512, [608, 640, 320, 128, 96])],
)
def test_all_does_not_enlarge_a_picture(side: int, sizes: list[int]) -> None:
    marker = Marker()
    faces = find_faces(np.zeros((side // 2, side, 3), np.uint8), marker, replace(SETTINGS, choose="all"))
    assert [face.status for face in faces] == ["no_face"]
    assert marker.sizes == sizes


def test_only_refuses_to_choose() -> None:
    only = replace(SETTINGS, choose="only")
    face = find_face(picture(LEFT, LARGE), Marker(), only)
    assert (face.status, face.n_found) == ("many_faces", 2)
    assert np.isnan(face.box).all()
    assert find_face(picture(LARGE), Marker(), only).status == "ok"


def test_a_speck_beside_a_face_is_no_second_face() -> None:
    pixels = picture(LARGE, (197, 147, 205, 153))
    for choose in ("center", "only"):
        face = find_face(pixels, Marker(), replace(SETTINGS, choose=choose))
        assert face.status == "ok"
        np.testing.assert_allclose(face.box, LARGE, atol=6)  # a pixel of the frame, or two


def test_a_face_of_few_pixels_is_too_small_and_keeps_its_box() -> None:
    face = find_face(picture((197, 140, 207, 152)), Marker(), SETTINGS)
    assert face.status == "too_small"
    np.testing.assert_allclose(face.box, [197, 140, 207, 152], atol=3)
    assert find_face(picture((197, 140, 207, 152)), Marker(), replace(SETTINGS, min_face=8)).status == "ok"


def test_a_picture_without_a_face_says_so_after_every_attempt() -> None:
    marker = Marker()
    face = find_face(picture(width=800), marker, SETTINGS)
    assert (face.status, face.n_found, face.attempt, face.confidence) == ("no_face", 0, -1, 0.0)
    assert np.isnan(face.landmarks).all()
    assert marker.sizes == [size for size, _ in SETTINGS.attempts]


@pytest.mark.parametrize(
    ("side", "sizes"), [(40, [64]), (200, [96, 128, 288, 224, 384]), (400, [96, 128, 320, 480, 640])]
)
def test_no_frame_enlarges_a_picture(side: int, sizes: list[int]) -> None:
    marker = Marker()
    assert find_face(np.zeros((side // 2, side, 3), np.uint8), marker, SETTINGS).status == "no_face"
    assert marker.sizes == sizes


def test_the_smallest_frame_comes_first_and_a_larger_one_only_where_nothing_was_found() -> None:
    marker = Marker()
    find_face(picture(LARGE), marker, SETTINGS)
    assert marker.sizes == [96]
    needs_more = Marker(min_side=20)
    face = find_face(picture(LEFT), needs_more, SETTINGS)
    assert needs_more.sizes == [96, 128, 320]
    assert (face.status, face.attempt) == ("ok", 2)


def test_a_face_that_is_small_in_its_frame_is_looked_at_in_the_frame_that_it_needs() -> None:
    marker, box = Marker(), (150, 80, 250, 210)
    face = find_face(picture(box), marker, SETTINGS)
    assert marker.sizes == [96, 160]  # 128 with its wide border shows it no larger than 96
    assert (face.status, face.attempt) == ("ok", 2)
    np.testing.assert_allclose(face.box, box, atol=4)  # a pixel of the frame, or two


def test_a_face_that_stays_small_is_looked_at_in_the_largest_frame_that_shows_more() -> None:
    marker = Marker()
    face = find_face(picture((180, 120, 212, 160)), marker, SETTINGS)
    assert marker.sizes == [96, 320, 480]  # 640 with a border of half the picture shows it no larger
    assert (face.status, face.attempt) == ("ok", 3)
    tiny = Marker()
    assert find_face(picture((8, 8, 28, 32), width=40, height=40), tiny, SETTINGS).status == "ok"
    assert tiny.sizes == [64]

    class OnceOnly(Marker):
        def __call__(self, pixels: NDArray[np.uint8], size: int) -> list[Detection]:
            return super().__call__(pixels, size) if size == 320 else []

    face = find_face(picture((180, 120, 212, 160)), OnceOnly(), SETTINGS)
    assert (face.status, face.attempt) == ("ok", 2)  # what was found is not lost where more is not


def test_the_first_frame_for_a_box_shows_a_face_of_its_size() -> None:
    marker = Marker()
    face = find_face(picture(LEFT, MIDDLE), marker, BOX, np.array(MIDDLE, np.float32))
    assert face.status == "ok"
    assert marker.sizes == [160]
    np.testing.assert_allclose(face.box, MIDDLE, atol=2)


@pytest.mark.parametrize("choose", ["center", "box", "all"])
def test_faces_on_reduced_pixels_are_those_of_the_photograph(choose: str) -> None:
    settings, box = replace(SETTINGS, choose=choose), np.array(LARGE, np.float32)
    whole = find_faces(picture(LARGE), Marker(), settings, box)[0]
    half = find_faces(picture(LARGE)[::2, ::2], Marker(), settings, box, factor=2)[0]
    assert (half.status, half.attempt) == (whole.status, whole.attempt)
    np.testing.assert_allclose(half.box, whole.box, atol=8)  # a pixel of the frame


def test_a_border_lets_a_detector_find_a_face_that_fills_the_picture() -> None:
    shy = Marker(max_part=0.75)
    pixels = picture((0, 0, 400, 300))
    assert find_face(pixels, shy, replace(SETTINGS, attempts=((320, 0.0),))).status == "no_face"
    face = find_face(pixels, shy, SETTINGS)
    assert face.status == "ok"
    np.testing.assert_allclose(face.box, [0, 0, 400, 300], atol=3)


@pytest.mark.parametrize("attempt", [(320, 0.0), (320, 0.25), (640, 0.1), (640, 0.5), (96, 0.33)])
@pytest.mark.parametrize("shape", [(200, 200), (417, 300), (120, 900)])
def test_boxes_are_those_of_the_picture_whatever_frame_and_border(
    shape: tuple[int, int], attempt: tuple[int, float]
) -> None:
    height, width = shape
    box = (width // 5, height // 4, width // 2, height * 3 // 4)
    face = find_face(
        picture(box, width=width, height=height), Marker(2), replace(SETTINGS, attempts=(attempt,))
    )
    assert face.status == "ok"
    frame_pixel = max(shape) * (1 + 2 * attempt[1]) / attempt[0]
    np.testing.assert_allclose(face.box, box, atol=1.5 * max(frame_pixel, 1))


def test_what_is_found_in_the_border_is_no_face() -> None:
    def in_the_border(pixels: NDArray[np.uint8], size: int) -> list[Detection]:
        return [face_at(-12, -12, 20)]

    assert find_face(picture(LARGE), in_the_border, SETTINGS).status == "no_face"


BOX = replace(SETTINGS, choose="box")


def test_the_box_says_which_face_is_meant_even_if_it_is_loose() -> None:
    pixels = picture(LEFT, MIDDLE, LARGE)
    loose = np.array([175, 110, 250, 200], np.float32)
    face = find_face(pixels, Marker(), BOX, loose)
    assert face.status == "ok"
    np.testing.assert_allclose(face.box, MIDDLE, atol=6)  # two pixels of the frame


def test_a_face_elsewhere_is_not_the_boxs_face() -> None:
    face = find_face(picture(LEFT), Marker(), BOX, np.array([250, 50, 300, 120], np.float32))
    assert face.status == "no_face"
    touching = find_face(picture(LEFT), Marker(), BOX, np.array([55, 100, 105, 160], np.float32))
    assert (touching.status, touching.n_found) == ("no_face", 1)


def test_a_small_face_on_a_large_photograph_is_found_by_its_box() -> None:
    pixels = picture((3000, 2000, 3040, 2050), width=4000, height=3000)
    needs_pixels = Marker(min_side=15)
    assert find_face(pixels, needs_pixels, SETTINGS).status == "no_face"
    face = find_face(pixels, needs_pixels, BOX, np.array([2995, 1990, 3045, 2055], np.float32))
    assert face.status == "ok"
    np.testing.assert_allclose(face.box, [3000, 2000, 3040, 2050], atol=4)


@pytest.mark.parametrize("box", [[500, 0, 600, 100], [50, 50, 50, 90], [np.nan] * 4, [90, 90, 10, 10]])
def test_a_box_off_the_picture_or_without_size_has_no_face(box: list[float]) -> None:
    assert find_face(picture(LEFT), Marker(), BOX, np.array(box, np.float32)).status == "no_face"
    assert find_face(picture(LEFT), Marker(), BOX).status == "no_face"


@pytest.mark.weights
def test_the_astronaut_is_found_and_turned_upright_when_the_picture_is_tilted() -> None:
    import skimage.data
    from skimage.transform import rotate

    settings = default_settings()
    finder = open_finder(settings)
    upright: NDArray[np.uint8] = skimage.data.astronaut()
    face = find_face(upright, finder, settings)
    reference, _ = align(upright, face.landmarks, face.box, "dlib", 64)
    for angle in (-15, 15):
        tilted = (rotate(upright, angle, resize=True, preserve_range=True)).astype(np.uint8)
        face = find_face(tilted, finder, settings)
        crop, aligned_by = align(tilted, face.landmarks, face.box, "dlib", 64)
        assert (face.status, aligned_by) == ("ok", "landmarks")
        by_box, _ = align(tilted, np.full((5, 2), np.nan), face.box, "dlib", 64)
        likeness, without = (np.corrcoef(one.ravel(), reference.ravel())[0, 1] for one in (crop, by_box))
        assert likeness > max(0.65, without + 0.1)


@pytest.mark.weights
@pytest.mark.real_data
@pytest.mark.slow
def test_every_adience_picture_ends_in_a_status_and_nearly_all_have_a_face(real_data) -> None:
    settings = default_settings()
    finder = open_finder(settings)
    statuses = [
        find_face(read_image(path), finder, settings).status
        for path in sorted((real_data / "adience" / "faces").rglob("*.jpg"))
    ]
    assert len(statuses) == 277
    assert set(statuses) <= set(STATUSES)
    assert statuses.count("ok") >= 0.97 * len(statuses)
