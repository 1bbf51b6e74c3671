"""What lies in the home folder is the file of the table, or a message says so."""

from pathlib import Path

import pytest

from featurekit.errors import WeightsError
from featurekit.networks import weights, weights_fetching
from tests.networks.made_up import TINY, make_entry

pytestmark = pytest.mark.usefixtures("home")


# ---- read, add, verify


def test_a_missing_file_is_named_with_its_source_and_both_repairs():
    with pytest.raises(WeightsError) as caught:
        weights.read("resnet50")
    message = str(caught.value)
    assert "resnet50-0676ba61.pth" in message
    assert "https://download.pytorch.org/models/resnet50-0676ba61.pth" in message
    assert "featurekit weights fetch resnet50" in message
    assert "featurekit weights add resnet50-0676ba61.pth" in message


def test_a_missing_builtin_file_is_repaired_by_fetching_all_of_them():
    with pytest.raises(WeightsError, match="featurekit weights fetch builtin"):
        weights.read("centerface")


def test_a_file_without_an_address_is_only_asked_for(table):
    table(make_entry("tiny", TINY, page="https://example.org/models"))
    with pytest.raises(WeightsError, match=r"no address .* from https://example.org/models, .* add tiny"):
        weights_fetching.fetch("tiny")


def test_a_file_that_changed_on_the_disk_is_not_read(table, home):
    table(make_entry("tiny", TINY, url="https://a"))
    (home / "weights").mkdir(parents=True)
    weights.path_of("tiny").write_bytes(TINY[:-1] + b"X")
    assert weights.present("tiny")
    with pytest.raises(WeightsError, match=r"damaged: its sha256 is .* fetch tiny"):
        weights.read("tiny")


def test_verify_tells_right_damaged_and_missing_apart(table, home):
    names = ("right", "damaged", "missing", "folder")
    table(*(make_entry(name, TINY, url="https://a") for name in names))
    (home / "weights").mkdir(parents=True)
    weights.path_of("right").write_bytes(TINY)
    weights.path_of("damaged").write_bytes(TINY[:-1])
    weights.path_of("folder").mkdir()
    expected = {"right": "ok", "damaged": "damaged", "missing": "missing", "folder": "damaged"}
    assert dict(weights.verify()) == expected
    with pytest.raises(WeightsError, match="Cannot read"):
        weights.read("folder")


def test_a_report_gets_three_licences():
    described = weights.describe("arcface")
    assert described["sha256"] == weights.WEIGHTS["arcface"].sha256 == weights.sha256_of("arcface")
    assert described["licence_code"] == "MIT"
    assert "non-commercial" in described["licence_weights"]
    assert "WebFace600K" in described["licence_training_data"]
    assert "buffalo_l.zip" in described["source"]


def test_home_is_the_platforms_cache_folder_unless_chosen(monkeypatch, tmp_path):
    assert weights.home() == tmp_path / "home"
    monkeypatch.setenv("FEATUREKIT_HOME", "~/elsewhere")
    assert weights.home() == Path.home() / "elsewhere"
    monkeypatch.delenv("FEATUREKIT_HOME")
    assert weights.home().name == "featurekit"
