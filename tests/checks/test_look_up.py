"""What an audit looks at in a workspace: what is there, and a line on what is not."""

import pytest

from featurekit.checks import suspiciously_close
from featurekit.checks.audit import look_up
from featurekit.data.manifest import Manifest
from featurekit.errors import WorkspaceError
from featurekit.project import ProjectFolder

FIT = ("fit", "--model", "logistic_regression", "--target", "gender", "--folds", "4", "--no-models")


@pytest.fixture
def workspace(prepared, tmp_path):
    return ProjectFolder(tmp_path / "work")


def test_before_a_fit_the_folds_are_those_that_it_would_deal(workspace):
    said = []
    at_hand = look_up(workspace, Manifest.load(workspace.manifest), "table", say=said.append)
    assert said == ["There are no saved folds yet. The audit uses the folds that featurekit fit would make."]
    assert at_hand.folds.n_folds == 5
    assert at_hand.embeddings is None
    assert at_hand.predictions == {}


def test_after_a_fit_its_folds_vectors_and_answers_are_at_hand(featurekit, workspace, capfd):
    assert featurekit("extract", "--backbone", "mean_color", "--detector", "whole_image")[0] == 0
    assert featurekit(*FIT)[0] == 0
    said = []
    at_hand = look_up(workspace, Manifest.load(workspace.manifest), "table", say=said.append)
    assert said == []
    assert at_hand.folds.n_folds == 4
    assert at_hand.embeddings is not None
    assert "gender--mean_color--logistic_regression" in at_hand.predictions
    assert capfd.readouterr() == ("", "")


def test_threads_that_compare_vectors_have_an_effect_without_images(featurekit, workspace, monkeypatch):
    assert featurekit("extract", "--backbone", "mean_color", "--detector", "whole_image")[0] == 0
    manifest, options = Manifest.load(workspace.manifest), {"threads": 2, "pictures": False}
    with pytest.raises(WorkspaceError, match="--threads has no effect"):  # three numbers tell no faces apart
        look_up(workspace, manifest, "table", **options)
    monkeypatch.setattr(suspiciously_close, "FEWEST_NUMBERS", 3)
    assert look_up(workspace, manifest, "table", **options).embeddings is not None


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"threads": 2, "pictures": False}, "--threads has no effect with --no-images"),
        ({"seed": 1}, "--seed has no effect: only checks of vectors use random numbers"),
    ],
)
def test_an_option_without_an_effect_is_refused(workspace, options, said):
    with pytest.raises(WorkspaceError, match=said):
        look_up(workspace, Manifest.load(workspace.manifest), "table", **options)
