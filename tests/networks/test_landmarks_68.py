"""68 landmarks by dlib's shape predictor; the predictor of most tests is a small one that is made up."""

import sys
from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.distance import pdist

from featurekit.embeddings.recipe import make_recipes
from featurekit.errors import EngineError, WeightsError
from featurekit.faces.settings import default_settings
from featurekit.networks import weights
from featurekit.networks.backbones import BACKBONES
from featurekit.networks.backbones.landmarks_68 import (
    FACE,
    LEFT_EYE,
    RIGHT_EYE,
    SIDE,
    _geometry,
    _positions,
    _upright,
)

BACKBONE = BACKBONES["landmarks_68"]
CROPS = np.random.default_rng(1).integers(0, 256, (2, SIDE, SIDE, 3), dtype=np.uint8)


def opened(data, layer="sixty_eight"):
    return BACKBONE.open(data, [layer], device="cpu", precision="fp32")


def test_the_points_are_those_of_dlib_without_position_size_and_rotation(made_up_predictor_file, tmp_path):
    path = tmp_path / "points.dat"
    path.write_bytes(made_up_predictor_file())
    import dlib

    shape = dlib.shape_predictor(str(path))(CROPS[0], dlib.rectangle(*FACE))
    points = np.array([[shape.part(i).x, shape.part(i).y] for i in range(68)], float)
    points -= points.mean(axis=0)
    points /= np.sqrt((points**2).sum(axis=1).mean())
    along = points[RIGHT_EYE].mean(axis=0) - points[LEFT_EYE].mean(axis=0)
    along /= np.linalg.norm(along)
    expected = np.stack([points @ along, points @ [-along[1], along[0]]], axis=1)
    found = opened(path.read_bytes())(CROPS)[0][0].reshape(68, 2)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_the_geometry_is_the_distances_and_angles_of_the_positions(made_up_predictor_file):
    data = made_up_predictor_file()
    (positions,), (geometry,) = (opened(data, layer)(CROPS) for layer in ("sixty_eight", "geometry"))
    points = positions[0].reshape(68, 2).astype(float)
    np.testing.assert_allclose(geometry[0][:2278], pdist(points), atol=1e-5)

    def angle(before, corner, after):
        one, other = points[before] - points[corner], points[after] - points[corner]
        return np.arccos(one @ other / np.linalg.norm(one) / np.linalg.norm(other))

    angles = geometry[0][2278:]
    assert len(angles) == 15 + 3 + 3 + 2 + 3 + 6 + 6 + 12 + 8
    # The first of the jaw, the first of an eye, which is closed, and the last of the lips.
    found = angles[[0, 26, -1]]
    np.testing.assert_allclose(found, [angle(0, 1, 2), angle(41, 36, 37), angle(66, 67, 60)], atol=1e-3)


def test_a_file_that_is_no_predictor_of_68_landmarks_is_refused(made_up_predictor_file):
    with pytest.raises(WeightsError, match="does not fit landmarks_68: it finds 5 landmarks"):
        opened(made_up_predictor_file(5))
    with pytest.raises(WeightsError, match=r"of landmarks_68 cannot be read: .*\.$"):
        opened(b"nothing of the kind" * 10)


def test_the_upright_points_are_the_same_wherever_the_face_is():
    points = np.random.default_rng(0).normal(100, 20, (68, 2))
    angle = np.radians(200)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    upright = _upright(points)
    np.testing.assert_allclose(_upright(3 * points @ turn.T + [40, -7]), upright, atol=1e-9)
    eyes = [upright[part].mean() for part in (LEFT_EYE, RIGHT_EYE)]
    assert eyes[0].imag == pytest.approx(eyes[1].imag)
    assert eyes[0].real < eyes[1].real


def test_points_at_one_place_still_give_finite_numbers():
    nowhere = _upright(np.ones((68, 2)))
    assert _positions(nowhere).tolist() == [0] * 136
    assert _geometry(nowhere).tolist() == [0] * 2336


def test_without_dlib_the_command_that_installs_it_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "dlib", None)
    with pytest.raises(EngineError, match=r"landmarks_68 needs dlib.*pip install 'featurekit\[landmarks\]'"):
        make_recipes(["landmarks_68"], default_settings("whole_image"), device="cpu")


def test_it_is_no_network_so_no_precision_changes_its_recipe(monkeypatch):
    monkeypatch.setitem(BACKBONES._members, "landmarks_68", replace(BACKBONE, needs="", extra=""))
    monkeypatch.setattr(weights, "present", lambda name: True)
    settings = default_settings("whole_image")
    (recipe,) = make_recipes(["landmarks_68"], settings, device="cpu", precision="int8").values()
    assert (recipe.precision, recipe.engine, recipe.quantized) == ("fp32", "cpu", "")
    assert recipe.weights == weights.WEIGHTS["landmarks_68"].sha256
