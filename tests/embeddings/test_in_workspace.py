"""Extracting in a workspace: what is asked for, and what is known of it later."""

import pytest

from featurekit.data.manifest import Manifest
from featurekit.embeddings.in_workspace import (
    BUILTIN_BACKBONES,
    extract_into,
    extracted_vectors,
    feature_names,
    ledger_of,
    some_ledger_of,
)
from featurekit.errors import WorkspaceError
from featurekit.faces.settings import default_settings
from featurekit.project import ProjectFolder


def test_without_a_name_the_builtin_networks_are_meant():
    assert feature_names() == list(BUILTIN_BACKBONES)
    assert feature_names(["vgg16", "vgg19"], "fc6") == ["vgg16:fc6", "vgg19:fc6"]


def test_a_layer_is_named_once():
    with pytest.raises(WorkspaceError, match="--layer fc6 cannot be combined with a layer"):
        feature_names(["vgg16:fc7"], "fc6")


def test_where_nothing_was_extracted_the_next_step_is_named(tmp_path):
    assert ledger_of(ProjectFolder(tmp_path)) is None
    with pytest.raises(
        WorkspaceError,
        match=r"No vectors have been extracted in .* Next: featurekit"
        " extract",
    ):
        some_ledger_of(ProjectFolder(tmp_path))


def test_what_was_extracted_is_found_again(prepared, tmp_path, capfd):
    workspace = ProjectFolder(tmp_path / "work")
    manifest = Manifest.load(workspace.manifest)
    capfd.readouterr()
    done = extract_into(workspace, manifest, ["mean_color"], default_settings("whole_image"))
    assert done.n_read == len(manifest)
    assert list(some_ledger_of(workspace).recipes) == ["mean_color:mean"]
    assert len(extracted_vectors(workspace, manifest, "mean_color").rows) == len(manifest)
    with pytest.raises(WorkspaceError, match=r"vgg16 has not been extracted\. Next: featurekit extract"):
        extracted_vectors(workspace, manifest, "vgg16")
    assert capfd.readouterr() == ("", "")  # the library prints nothing
