"""A data set becomes a manifest, or one line says why not."""

import re

import pytest

from featurekit.data.datasets import DATASETS
from featurekit.data.manifest import COLUMNS
from featurekit.data.prepare import prepare
from featurekit.errors import ManifestError, UnknownNameError
from tests.data.made_up import pictures


def test_prepare_says_where_the_manifest_is_from(tmp_path):
    pictures(tmp_path / "female", a="one")
    manifest = prepare("image_folder", tmp_path, target="gender")
    assert manifest.name == "image_folder"
    assert manifest.root == tmp_path
    assert manifest.info["options"] == {"target": "gender"}
    assert manifest.info["synthetic"] is False
    assert manifest.info["licence"] == DATASETS["image_folder"].licence
    assert tuple(manifest.table.columns) == COLUMNS


def test_an_unknown_data_set_is_refused(tmp_path):
    with pytest.raises(UnknownNameError, match="Did you mean 'utkface'"):
        prepare("utkfaces", tmp_path)


def test_an_unknown_option_is_refused_with_those_there_are(tmp_path):
    message = (
        "Unknown option of adience 'protokol'. Did you mean 'protocol'?"
        " Known: protocol, layout, subset, missing."
    )
    with pytest.raises(ManifestError, match=re.escape(message)):
        prepare("adience", tmp_path, protokol="published")


def test_an_option_of_a_data_set_without_any_of_its_own_is_refused(tmp_path):
    with pytest.raises(ManifestError, match=r"Unknown option of utkface 'protocol'\. Known: missing\."):
        prepare("utkface", tmp_path, protocol="published")


@pytest.mark.parametrize("name", ["adience", "utkface", "image_folder", "table"])
def test_a_missing_folder_is_one_clear_line(name, tmp_path):
    with pytest.raises(ManifestError, match="nowhere does not exist") as refused:
        prepare(name, tmp_path / "nowhere")
    assert "\n" not in str(refused.value)


def test_a_folder_without_pictures_is_refused(tmp_path):
    with pytest.raises(ManifestError, match="There are no images below"):
        prepare("utkface", tmp_path)


def test_a_data_set_with_no_usable_row_says_why(tmp_path):
    (tmp_path / "faces.csv").write_text("image_path,age\nx/1.jpg,30\nx/2.jpg,31\nx/3.jpg,500\n")
    message = "None of the 3 rows .* reason .3 rows.: the file does not exist .first: 'x/1.jpg' below"
    with pytest.raises(ManifestError, match=message):
        prepare("table", tmp_path / "faces.csv")
