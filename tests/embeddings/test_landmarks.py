"""Landmarks go the way of crops: from the detector to the vectors, in an extraction and in predict."""

from dataclasses import replace

import numpy as np
import pytest

import featurekit as fk
from featurekit.embeddings.extractor import extract
from featurekit.embeddings.open_networks import open_networks
from featurekit.embeddings.recipe import make_recipes
from featurekit.embeddings.vectors import load_embeddings
from featurekit.errors import EmbeddingError
from featurekit.faces.align import LANDMARKS, TEMPLATES, mirrored_landmarks
from featurekit.faces.detectors import Detection
from featurekit.faces.settings import default_settings
from featurekit.networks.backbones.landmarks import AVERAGE, landmarks

POINTS = (TEMPLATES["dlib"] * 30 + [[1, 0], [0, 0], [2, 1], [0, 0], [0, 3]] + 5).astype(np.float32)
BOX = np.array([3, 3, 36, 40], np.float32)


@pytest.fixture
def find():
    """A function that registers a detector with the given landmarks, and returns the settings with it."""

    def settings(points):
        @fk.register_detector("given_points", about="a test's own", version=str(points))
        def given_points(pixels, size):
            return [Detection(BOX, points, 1.0)]

        return replace(default_settings("given_points"), attempts=((64, 0.0),))

    return settings


def extracted(manifest, settings, store, **how):
    recipes = make_recipes(["landmarks"], settings, device="cpu", **how)
    extract(manifest, recipes, settings, store, threads=2)
    return load_embeddings(manifest, list(recipes.values()), settings, store).vectors


def test_landmarks_are_read_in_pixels_of_the_image(manifest, store, find):
    vectors = extracted(manifest, find(POINTS), store)
    np.testing.assert_array_equal(vectors, np.repeat(landmarks(POINTS[None]), len(manifest), axis=0))


def test_mirrored_landmarks_are_the_mean_of_a_face_and_its_mirror_image(manifest, store, find):
    """The left eye of the mirror image is the right eye of the face."""
    flipped = POINTS[[1, 0, 2, 4, 3]] * np.float32([-1, 1]) + np.float32([40, 0])
    vectors = extracted(manifest, find(POINTS), store, mirrored=True)
    expected = (landmarks(POINTS[None]) + landmarks(flipped[None])) / 2
    np.testing.assert_allclose(vectors[0], expected[0], atol=1e-5)
    assert np.abs(landmarks(POINTS[None]) - landmarks(flipped[None])).max() > 0.05


def test_landmarks_that_are_mirrored_twice_are_those_of_the_face():
    np.testing.assert_array_equal(mirrored_landmarks(mirrored_landmarks(POINTS[None]))[0], POINTS)


def test_landmarks_that_cannot_be_right_are_replaced_by_those_of_an_average_face(manifest, store, find):
    upside_down = POINTS[[3, 4, 2, 0, 1]]
    vectors = extracted(manifest, find(upside_down), store)
    assert set(vectors[:, -1]) == {0}
    np.testing.assert_allclose(vectors[0, :-1], landmarks(np.float32([AVERAGE]))[0, :-1], atol=1e-6)


def test_a_detector_that_gives_no_landmarks_is_refused_before_anything_is_read(settings):
    with pytest.raises(EmbeddingError, match=r"whole_image gives no landmarks.*--detector centerface"):
        make_recipes(["mean_color", "landmarks"], settings, device="cpu")
    with pytest.raises(EmbeddingError, match="whole_image gives no landmarks"):
        fk.FaceEmbedder("landmarks", detector="whole_image").fit(["a.jpg"])


def test_a_face_without_landmarks_stops_an_extraction_with_one_line(manifest, store, find):
    with pytest.raises(EmbeddingError, match="given_points gives no landmarks"):
        extracted(manifest, find(np.full((5, 2), np.nan, np.float32)), store)


def test_landmarks_and_crops_are_read_together_and_each_alone_gives_the_same_bits(manifest, store, find):
    settings = find(POINTS)
    recipes = make_recipes(["landmarks", "mean_color"], settings, device="cpu", mirrored=True)
    extract(manifest, recipes, settings, store, threads=1)
    both = load_embeddings(manifest, list(recipes.values()), settings, store).vectors
    (network,) = open_networks([recipes["landmarks:five"]], threads=1)
    assert network.crop == LANDMARKS
    alone = network.vectors(POINTS[None])["landmarks:five"]
    np.testing.assert_array_equal(both[:, : alone.shape[1]], np.repeat(alone, len(both), axis=0))
    assert both.shape[1] == alone.shape[1] + 3


def test_a_transformer_reads_landmarks_too(portraits, find):
    find(POINTS)
    paths = sorted((portraits / "photos").iterdir())[:2]
    vectors = fk.FaceEmbedder("landmarks", detector="given_points", verbose=False).transform(paths)
    np.testing.assert_array_equal(vectors, np.repeat(landmarks(POINTS[None]), 2, axis=0))
