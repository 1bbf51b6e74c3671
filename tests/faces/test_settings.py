"""What decides which face comes out is in the settings, and in the recipe."""

import hashlib
import json
from dataclasses import replace

import pytest

from featurekit.errors import UnknownNameError, WeightsError
from featurekit.faces import images
from featurekit.faces.detectors import DETECTORS
from featurekit.faces.find import open_finder
from featurekit.faces.settings import FaceSettings, default_settings
from featurekit.networks import weights
from tests.faces.made_up import find_face, picture

SETTINGS = FaceSettings()


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
    assert settings.weights_sha256 == weights.WEIGHTS["scrfd_10g"].sha256
    with pytest.raises(WeightsError, match="does not use weights"):
        default_settings("whole_image", detector_weights="scrfd_10g")
    with pytest.raises(WeightsError, match="Cannot read"):
        default_settings("insightface_scrfd", detector_weights=tmp_path / "absent.onnx")


def test_whole_image_needs_no_weights_and_finds_the_picture() -> None:
    settings = default_settings("whole_image")
    face = find_face(picture(), open_finder(settings), settings)
    assert face.status == "ok"
    assert face.box.tolist() == [0, 0, 400, 300]
