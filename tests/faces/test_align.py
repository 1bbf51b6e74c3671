"""Landmarks land on the template, and the box stands in where they cannot be a face's."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from featurekit.faces.align import TEMPLATES, similarity
from tests.faces.made_up import align, face_at

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

    def bell(length: int, middle: float) -> NDArray[np.floating]:
        return np.exp(-((np.arange(length, dtype=np.float32) + 0.5 - middle) ** 2) / (2 * radius**2))

    value = np.zeros((height, width), np.float32)
    for x, y in points:
        np.maximum(value, np.outer(255 * bell(height, y), bell(width, x)), out=value)
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


def test_the_dlib_template_is_dlibs_chip_with_a_fifth_of_padding() -> None:
    np.testing.assert_allclose(TEMPLATES["dlib"][0], [(0.2273 + 0.2) / 1.4, (0.2214 + 0.2) / 1.4])
    np.testing.assert_allclose(TEMPLATES["arcface"][2] * 112, [56.0252, 71.7366])
    for template in TEMPLATES.values():
        assert template.shape == (5, 2)
        assert ((template > 0) & (template < 1)).all()
