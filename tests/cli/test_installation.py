"""featurekit list: what can be chosen."""

import sys

import pytest

import featurekit as fk
from featurekit import registry
from featurekit.faces.detectors import DETECTORS
from featurekit.networks.backbones import GROUPS
from featurekit.ops.doctor import check_plugins
from featurekit.version import __version__


@pytest.mark.parametrize(
    "what", ["backbones", "fitted_features", "models", "detectors", "datasets", "checks"]
)
def test_what_can_be_chosen_is_listed(featurekit, what):
    code, output, _ = featurekit("list", what)
    assert code == 0
    known = {"backbones": "vgg16", "models": "svm", "detectors": "centerface", "datasets": "adience"}
    known |= {"fitted_features": "eigenfaces", "checks": "inflation"}
    rows = [line.split("\t") for line in output.splitlines()]
    assert rows[1][-1] == "package"
    (row,) = [row for row in rows if row[0] == known[what]]
    assert row[-1] == f"featurekit {__version__}"


def test_backbones_are_listed_in_groups_and_plug_ins_last(featurekit):
    @fk.register_backbone("brightness", about="the mean of all pixels", dim=1, input_size=32, version="1")
    def brightness(crops):
        return crops.mean(axis=(1, 2, 3))[:, None]

    _, output, _ = featurekit("list", "backbones")
    head, *rows = [line.split("\t") for line in output.splitlines()[1:]]
    assert head[:2] == ["name", "group"]
    groups = [row[1] for row in rows]
    assert list(dict.fromkeys(groups)) == [group for group in GROUPS if group in groups]
    of = {row[0]: row[1] for row in rows}
    assert (of["dlib_face"], of["vgg16"], of["hog"]) == ("faces", "ImageNet", "hand-crafted")
    assert rows[-1][:2] == ["brightness", "plug-ins"]
    table = fk.list_backbones()
    assert table["name"].tolist() == [row[0] for row in rows]
    assert table["group"].tolist() == groups
    assert table.set_index("name").loc["hog", "ready"]


def test_a_backbone_without_its_package_names_the_command_that_installs_it(featurekit, monkeypatch):
    monkeypatch.setitem(sys.modules, "dlib", None)
    _, output, _ = featurekit("list", "backbones")
    (line,) = [line for line in output.splitlines() if line.startswith("landmarks_68\t")]
    assert "dlib is missing: pip install 'featurekit[landmarks]'" in line


@pytest.mark.parametrize("name", ["classifiers", "estimators"])
def test_other_names_of_models_list_the_models(featurekit, name):
    assert featurekit("list", name) == featurekit("list", "models")


def test_what_is_said_of_each_model_stands_by_itself(featurekit):
    _, output, _ = featurekit("list", "models")
    assert "the same, " not in output


def test_a_plug_in_that_cannot_be_used_is_one_line_beside_the_list(featurekit, tmp_path, monkeypatch):
    about = tmp_path / "broken_plugin-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-plugin\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[featurekit.detectors]\nbroken = no_such_module\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(registry, "_problems", {})
    monkeypatch.setattr(DETECTORS, "_has_plugins", False)
    code, output, errors = featurekit("list", "detectors")
    assert code == 0
    assert "centerface" in output
    (line,) = errors.splitlines()
    assert "The plug-in broken-plugin 1.0 is not used, because it cannot be imported: " in line
    assert [finding.severity for finding in check_plugins()] == ["warning"]
