"""Which face is meant, and how it is turned upright."""

import hashlib
import io
import json
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from featurekit.errors import UnknownNameError, WeightsError
from featurekit.faces import images
from featurekit.faces.align import TEMPLATES, align, similarity
from featurekit.faces.detectors import DETECTORS, Detection, FaceFinder
from featurekit.faces.face import STATUS_MEANINGS, STATUSES, Face
from featurekit.faces.find import find_face, find_faces, open_finder
from featurekit.faces.see import see_faces
from featurekit.faces.settings import FaceSettings, default_settings
from featurekit.networks import weights, weights_table

# A face as a detector gives it, 100 × 140 pixels, its box's corner at (0, 0).
MARKS = np.array([[30, 50], [70, 50], [50, 75], [35, 105], [65, 105]], np.float32)


def face_at(x: float, y: float, width: float = 100, confidence: float = 0.9) -> Detection:
    """Return a face whose box's upper left corner is at (x, y)."""
    scale = np.float32(width / 100)
    corner = np.array([x, y], np.float32)
    box = np.array([x, y, x + width, y + 1.4 * width], np.float32)
    return Detection(box, MARKS * scale + corner, confidence)


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


def picture(*boxes: tuple[int, int, int, int], width: int = 400, height: int = 300) -> NDArray[np.uint8]:
    """Return a picture with a red rectangle for each box x1, y1, x2, y2, the first the reddest."""
    pixels = np.full((height, width, 3), 128, np.uint8)
    for (x1, y1, x2, y2), shade in zip(boxes, (250, 230, 210), strict=False):
        pixels[y1:y2, x1:x2] = shade, 0, 0
    return pixels


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
    np.testing.assert_allclose(face.box, expected, atol=3)


def test_all_gives_every_face_most_confident_first_from_the_largest_frame_at_once() -> None:
    marker = Marker()
    faces = find_faces(picture(LEFT, MIDDLE, LARGE), marker, replace(SETTINGS, choose="all"))
    assert [face.status for face in faces] == ["ok"] * 3
    for face, box in zip(faces, (LEFT, MIDDLE, LARGE), strict=True):
        np.testing.assert_allclose(face.box, box, atol=2)
    assert all(one.confidence >= two.confidence for one, two in pairwise(faces))
    assert marker.sizes == [640]


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
        np.testing.assert_allclose(face.box, LARGE, atol=3)


def test_a_face_of_few_pixels_is_too_small_and_keeps_its_box() -> None:
    face = find_face(picture((197, 140, 207, 152)), Marker(), SETTINGS)
    assert face.status == "too_small"
    np.testing.assert_allclose(face.box, [197, 140, 207, 152], atol=3)
    assert find_face(picture((197, 140, 207, 152)), Marker(), replace(SETTINGS, min_face=8)).status == "ok"


def test_a_picture_without_a_face_says_so_after_every_attempt() -> None:
    marker = Marker()
    face = find_face(picture(), marker, SETTINGS)
    assert (face.status, face.n_found, face.attempt, face.confidence) == ("no_face", 0, -1, 0.0)
    assert np.isnan(face.landmarks).all()
    assert marker.sizes == [size for size, _ in SETTINGS.attempts]


def test_the_smallest_frame_comes_first_and_a_larger_one_only_where_nothing_was_found() -> None:
    marker = Marker()
    find_face(picture(LARGE), marker, SETTINGS)
    assert marker.sizes == [96]
    needs_more = Marker(min_side=20)
    face = find_face(picture(LEFT), needs_more, SETTINGS)
    assert needs_more.sizes == [96, 320]
    assert (face.status, face.attempt) == ("ok", 1)


def test_a_face_that_is_small_in_its_frame_is_looked_at_in_a_larger_one() -> None:
    marker = Marker()
    face = find_face(picture((180, 120, 212, 160)), marker, SETTINGS)
    assert marker.sizes == [96, 320, 640]
    assert (face.status, face.attempt) == ("ok", 2)

    class OnceOnly(Marker):
        def __call__(self, pixels: NDArray[np.uint8], size: int) -> list[Detection]:
            return super().__call__(pixels, size) if size == 320 else []

    face = find_face(picture((180, 120, 212, 160)), OnceOnly(), SETTINGS)
    assert (face.status, face.attempt) == ("ok", 1)  # what was found is not lost where more is not


@pytest.mark.parametrize("choose", ["center", "box", "all"])
def test_faces_on_reduced_pixels_are_those_of_the_photograph(choose: str) -> None:
    settings, box = replace(SETTINGS, choose=choose), np.array(LARGE, np.float32)
    whole = find_faces(picture(LARGE), Marker(), settings, box)[0]
    half = find_faces(picture(LARGE)[::2, ::2], Marker(), settings, box, factor=2)[0]
    assert (half.status, half.attempt) == (whole.status, whole.attempt)
    np.testing.assert_allclose(half.box, whole.box, atol=6)  # a pixel of the frame


def photograph(width: int, height: int, **options: object) -> bytes:
    """Return a JPEG whose colours rise to the right and downwards."""
    x, y = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    file = io.BytesIO()
    Image.fromarray(np.dstack([x, y, x]).astype(np.uint8)).save(file, "JPEG", quality=95, **options)
    return file.getvalue()


def one_face(x: float, y: float, width: float) -> FaceFinder:
    """Return a detector that sees one face, at a place given in parts of the picture without border."""

    def find(pixels: NDArray[np.uint8], size: int) -> list[Detection]:
        inside = np.flatnonzero(pixels.any(axis=2).any(axis=0))
        start, side = inside[0], np.ptp(inside) + 1
        return [face_at(start + x * side, start + y * side, width * side)]

    return find


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


def test_a_face_that_is_known_is_not_looked_for_again() -> None:
    def never(pixels: NDArray[np.uint8], size: int) -> list[Detection]:
        raise AssertionError

    found = face_at(40, 30, 100)
    known = Face("ok", found.box, found.landmarks, 0.9, 1, 0)
    (seen,), _ = see_faces(photograph(200, 200), never, SETTINGS, [("dlib", 64)], known=known)
    assert seen.face is known
    assert seen.aligned_by == "landmarks"


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


def test_find_face_does_not_give_all() -> None:
    with pytest.raises(ValueError, match="find_faces"):
        find_face(picture(), Marker(), replace(SETTINGS, choose="all"))


# Settings and statuses.


def test_settings_that_make_no_sense_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'center'"):
        FaceSettings(choose="centre")
    for attempts in ((), ((100, 0.1),), ((320, -0.1),)):
        with pytest.raises(ValueError, match="attempts must be"):
            FaceSettings(attempts=attempts)


def test_every_setting_changes_the_recipe_and_the_recipe_is_plain_json() -> None:
    recipes = [
        settings.recipe()
        for settings in (
            SETTINGS,
            replace(SETTINGS, detector="yunet"),
            replace(SETTINGS, weights_sha256="aa"),
            replace(SETTINGS, attempts=((320, 0.2),)),
            replace(SETTINGS, choose="largest"),
            replace(SETTINGS, min_face=20),
        )
    ]
    texts = [json.dumps(recipe, sort_keys=True, allow_nan=False) for recipe in recipes]
    assert len(set(texts)) == len(texts)
    assert [json.loads(text) for text in texts] == recipes
    assert recipes[0]["decoding"] == images.DECODING
    assert recipes[0]["detector_settings"] == DETECTORS["centerface"].settings


def test_default_settings_name_the_weights_they_use() -> None:
    settings = default_settings("centerface", "largest")
    assert settings.weights_sha256.startswith("09189dea")
    assert settings.choose == "largest"
    assert default_settings("whole_image").weights_sha256 == ""
    with pytest.raises(UnknownNameError, match="Did you mean 'yunet'"):
        default_settings("yunett")


def test_a_detector_reads_a_file_of_the_users_which_is_kept_by_its_hash(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("FEATUREKIT_HOME", str(tmp_path / "home"))
    file = tmp_path / "mine.onnx"
    file.write_bytes(b"a network")
    settings = default_settings("insightface_scrfd", detector_weights=file)
    assert settings.weights_sha256 == hashlib.sha256(b"a network").hexdigest()
    file.unlink()
    assert weights.read_by_hash(settings.weights_sha256) == b"a network"
    assert "not known" in weights.describe_by_hash(settings.weights_sha256)["licence_weights"]
    with pytest.raises(WeightsError, match="SCRFD"):
        open_finder(settings)
    kept = next((tmp_path / "home" / "weights").iterdir())
    kept.write_bytes(b"another network")
    with pytest.raises(WeightsError, match="damaged"):
        open_finder(settings)
    kept.unlink()
    with pytest.raises(WeightsError, match=r"missing.*--detector-weights"):
        open_finder(settings)


def test_another_file_of_the_table_is_named_and_a_detector_without_weights_takes_none(tmp_path) -> None:
    settings = default_settings("insightface_scrfd", detector_weights="scrfd_10g")
    assert settings.weights_sha256 == weights_table.WEIGHTS["scrfd_10g"].sha256
    with pytest.raises(WeightsError, match="no weights to choose"):
        default_settings("whole_image", detector_weights="scrfd_10g")
    with pytest.raises(WeightsError, match="Cannot read"):
        default_settings("insightface_scrfd", detector_weights=tmp_path / "absent.onnx")


def test_whole_image_needs_no_weights_and_finds_the_picture() -> None:
    settings = default_settings("whole_image")
    face = find_face(picture(), open_finder(settings), settings)
    assert face.status == "ok"
    assert face.box.tolist() == [0, 0, 400, 300]


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
    assert set(images.STATUSES) < set(STATUSES)
    assert all(STATUS_MEANINGS.values())


def test_a_face_that_is_none_has_neither_box_nor_landmarks() -> None:
    face = Face("truncated")
    assert np.isnan(face.box).all()
    assert face.box.shape == (4,)
    assert np.isnan(face.landmarks).all()
    assert face.landmarks.shape == (5, 2)


# Alignment.


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_similarity_is_umeyamas(seed: int) -> None:
    from skimage.transform import SimilarityTransform

    rng = np.random.default_rng(seed)
    target = TEMPLATES["dlib"] * 64
    angle, scale, shift = rng.uniform(-3, 3), rng.uniform(0.2, 20), rng.uniform(-500, 500, 2)
    turned = target @ np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    source = turned * scale + shift + rng.normal(0, 2 * scale, (5, 2))
    turn, offset = similarity(source, target)
    ours = np.array([[turn.real, -turn.imag, offset.real], [turn.imag, turn.real, offset.imag]])
    theirs = SimilarityTransform.from_estimate(source, target).params[:2]
    np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-6)


def test_no_other_similarity_is_nearer() -> None:
    rng = np.random.default_rng(0)
    source, target = rng.normal(size=(5, 2)), rng.normal(size=(5, 2))
    turn, offset = similarity(source, target)
    z, w = source @ [1, 1j], target @ [1, 1j]
    best = (abs(turn * z + offset - w) ** 2).sum()
    for _ in range(200):
        nudge = rng.normal(0, 0.01, 4)
        other = (turn + complex(*nudge[:2])) * z + offset + complex(*nudge[2:])
        assert (abs(other - w) ** 2).sum() > best


def spots(points: NDArray[np.floating], width: int, height: int, radius: float) -> NDArray[np.uint8]:
    """Return a black picture with a soft white spot at each point."""
    rows, columns = np.mgrid[:height, :width] + 0.5
    value = np.zeros((height, width))
    for x, y in points:
        value = np.maximum(value, 255 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * radius**2)))
    return np.repeat(value.round().astype(np.uint8)[:, :, None], 3, axis=2)


def spot_near(crop: NDArray[np.uint8], point: NDArray[np.floating], reach: int) -> NDArray[np.float64]:
    """Return the middle of the light around a point of a crop."""
    x, y = point.astype(int)
    part = crop[max(y - reach, 0) : y + reach + 1, max(x - reach, 0) : x + reach + 1, 0].astype(float)
    rows, columns = np.mgrid[: part.shape[0], : part.shape[1]] + 0.5
    middle = np.array([(part * columns).sum(), (part * rows).sum()]) / part.sum()
    return middle + np.array([max(x - reach, 0), max(y - reach, 0)])


@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize("size", [64, 112, 224])
@pytest.mark.parametrize("scale", [0.7, 2.0, 9.0])
@pytest.mark.parametrize("angle", [0.0, 0.4, -1.2])
def test_landmarks_land_on_the_template_to_a_tenth_of_a_pixel(
    template: str, size: int, scale: float, angle: float
) -> None:
    target = TEMPLATES[template] * size
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    landmarks = (target - size / 2) @ turn * scale + np.array([0.75, 0.7]) * size * scale
    side = np.ceil(1.5 * size * scale).astype(int)
    pixels = spots(landmarks, side, side, 0.025 * size * scale)
    low, high = landmarks.min(axis=0), landmarks.max(axis=0)
    box = np.concatenate([low - 0.5 * (high - low), high + 0.5 * (high - low)])
    crop, aligned_by = align(pixels, landmarks, box, template, size)
    assert aligned_by == "landmarks"
    assert crop.shape == (size, size, 3)
    for point in target:
        np.testing.assert_allclose(spot_near(crop, point, round(0.07 * size)), point, atol=0.1 + 0.001 * size)


def test_a_strong_reduction_averages_instead_of_skipping() -> None:
    stripes = np.zeros((2000, 2000, 3), np.uint8)
    stripes[:, ::4] = 255
    stripes[:, 1::4] = 255
    one = face_at(300, 200, 1000)
    crop, aligned_by = align(stripes, one.landmarks, one.box, "dlib", 64)
    assert aligned_by == "landmarks"
    middle = crop[8:-8, 8:-8].astype(float)
    assert abs(middle.mean() - 127.5) < 3
    assert middle.std() < 8


def test_what_is_smoothed_does_not_depend_on_how_much_picture_lies_around() -> None:
    rng = np.random.default_rng(0)
    large = rng.integers(0, 256, (900, 1200, 3), dtype=np.uint8)
    one = face_at(400, 250, 300)
    crop, _ = align(large, one.landmarks, one.box, "dlib", 64)
    part = np.ascontiguousarray(large[100:850, 200:950])
    shifted = np.float32([200, 100])
    same, _ = align(part, one.landmarks - shifted, one.box - np.tile(shifted, 2), "dlib", 64)
    np.testing.assert_allclose(crop.astype(int), same.astype(int), atol=1)


def test_alignment_gives_the_same_bits_again_and_leaves_the_picture_alone() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    before, one = pixels.copy(), face_at(120, 60)
    first, _ = align(pixels, one.landmarks, one.box, "imagenet", 224)
    again, _ = align(pixels, one.landmarks, one.box, "imagenet", 224)
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(pixels, before)
    assert first.flags.c_contiguous


def test_red_stays_red() -> None:
    pixels = np.zeros((300, 400, 3), np.uint8)
    pixels[:, :, 0] = 200
    one = face_at(120, 60)
    crop, _ = align(pixels, one.landmarks, one.box, "dlib", 32)
    assert crop.reshape(-1, 3).mean(axis=0).tolist() == [200, 0, 0]


def test_where_the_picture_ends_the_crop_is_black() -> None:
    pixels = np.full((140, 100, 3), 255, np.uint8)
    one = face_at(0, 0)
    crop, _ = align(pixels, one.landmarks, one.box, "imagenet", 100)
    assert not crop[:, :2].any()
    assert (crop[40:60, 40:60] == 255).all()


def broken_landmarks() -> dict[str, NDArray[np.float32]]:
    """Landmarks of the face at (150, 80) that cannot be a face's."""
    good = face_at(150, 80).landmarks
    middle = good.mean(axis=0)
    one_missing = good.copy()
    one_missing[2] = np.nan
    thrown = good[[3, 2, 0, 1, 4]]
    return {
        "none": np.full((5, 2), np.nan, np.float32),
        "one missing": one_missing,
        "infinite": np.where(good == good[0], np.float32(np.inf), good),
        "at one place": np.tile(middle, (5, 1)),
        "nearly at one place": middle + (good - middle) / 50,
        "on a line": np.stack([np.linspace(170, 230, 5), np.linspace(120, 200, 5)], axis=1).astype(
            np.float32
        ),
        "mirrored": good[[1, 0, 2, 4, 3]],
        "eyes below the mouth": 2 * middle - good,
        "far too large": middle + (good - middle) * 5,
        "thrown about": thrown,
        "off the picture": good + np.float32([500, 0]),
    }


@pytest.mark.parametrize("kind", broken_landmarks())
@pytest.mark.parametrize("template", TEMPLATES)
def test_landmarks_that_cannot_be_a_face_give_way_to_the_box(kind: str, template: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    one = face_at(150, 80)
    crop, aligned_by = align(pixels, broken_landmarks()[kind], one.box, template, 96)
    assert aligned_by == "box"
    by_box, _ = align(pixels, np.full((5, 2), np.nan), one.box, template, 96)
    np.testing.assert_array_equal(crop, by_box)
    assert crop.std() > 10


@pytest.mark.parametrize("angle", range(-80, 81, 20))
def test_a_tilted_face_is_still_a_face(angle: int) -> None:
    one = face_at(150, 80)
    middle, radians = one.landmarks.mean(axis=0), np.radians(angle)
    turn = np.array([[np.cos(radians), np.sin(radians)], [-np.sin(radians), np.cos(radians)]])
    landmarks = (one.landmarks - middle) @ turn + middle
    _, aligned_by = align(np.zeros((300, 400, 3), np.uint8), landmarks, one.box, "dlib", 64)
    assert aligned_by == "landmarks"


def test_a_face_in_profile_is_still_a_face() -> None:
    # As centerface gave them on a photograph: both eyes and both mouth corners nearly above each other.
    landmarks = np.float32([[205, 120], [213, 119], [186, 146], [203, 172], [210, 171]])
    one = face_at(150, 80)
    _, aligned_by = align(np.zeros((300, 400, 3), np.uint8), landmarks, one.box, "dlib", 64)
    assert aligned_by == "landmarks"


@pytest.mark.parametrize("template", TEMPLATES)
def test_the_box_shows_about_what_the_landmarks_would_show(template: str) -> None:
    # Spots at the landmarks, cut out by the box alone, lie near the template's places.
    one = face_at(150, 80)
    pixels = spots(one.landmarks, 400, 300, 3)
    crop, _ = align(pixels, np.full((5, 2), np.nan), one.box, template, 128)
    for spot, place in zip(one.landmarks, TEMPLATES[template] * 128, strict=True):
        alone, _ = align(spots(spot[None], 400, 300, 3), np.full((5, 2), np.nan), one.box, template, 128)
        assert np.hypot(*(spot_near(alone, place, 30) - place)) < 12
    assert crop.any()


@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (5000, 1), (40_000, 3)])
def test_the_thinnest_picture_gives_a_crop(shape: tuple[int, int]) -> None:
    height, width = shape
    box = np.array([0, 0, width, height], np.float32)
    crop, aligned_by = align(np.full((*shape, 3), 255, np.uint8), np.full((5, 2), np.nan), box, "dlib", 64)
    assert crop.shape == (64, 64, 3)
    assert aligned_by == "box"


def test_a_box_beyond_the_picture_gives_a_black_crop() -> None:
    box = np.array([900, 900, 1000, 1000], np.float32)
    crop, _ = align(np.full((50, 50, 3), 255, np.uint8), np.full((5, 2), np.nan), box, "dlib", 64)
    assert not crop.any()


def test_an_unknown_template_is_refused_with_the_nearest_name() -> None:
    one = face_at(0, 0)
    with pytest.raises(UnknownNameError, match="Did you mean 'arcface'"):
        align(picture(), one.landmarks, one.box, "arcfaces", 112)


def test_the_dlib_template_is_dlibs_chip_with_a_fifth_of_padding() -> None:
    np.testing.assert_allclose(TEMPLATES["dlib"][0], [(0.2273 + 0.2) / 1.4, (0.2214 + 0.2) / 1.4])
    np.testing.assert_allclose(TEMPLATES["arcface"][2] * 112, [56.0252, 71.7366])
    for template in TEMPLATES.values():
        assert template.shape == (5, 2)
        assert ((template > 0) & (template < 1)).all()


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
        find_face(images.read_image(path), finder, settings).status
        for path in sorted((real_data / "adience" / "faces").rglob("*.jpg"))
    ]
    assert len(statuses) == 277
    assert set(statuses) <= set(STATUSES)
    assert statuses.count("ok") >= 0.97 * len(statuses)
