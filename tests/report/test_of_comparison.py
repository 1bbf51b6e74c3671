"""A report of a comparison in a workspace: from a notebook as from the command line, and nothing printed."""

import pytest

from featurekit.api.results import load_results
from featurekit.cache.store import Store
from featurekit.data.manifest import Manifest
from featurekit.errors import WorkspaceError
from featurekit.evaluation.results import some_runs
from featurekit.project import ProjectFolder
from featurekit.report.gallery import shows_people
from featurekit.report.of_comparison import weigh, write, write_changes_between

FIT = ("fit", "--model", "logistic_regression", "--target", "gender", "--folds", "4", "--no-models")


@pytest.fixture
def workspace(featurekit, prepared, tmp_path):
    assert featurekit("extract", "--backbone", "mean_color", "--detector", "whole_image")[0] == 0
    for name in ("june", "july"):
        code, _, errors = featurekit(*FIT, "--name", name)
        assert code == 0, errors
    return ProjectFolder(tmp_path / "work")


def test_the_page_is_that_of_the_command_line_and_nothing_is_printed(featurekit, workspace, capfd):
    manifest, folder = Manifest.load(workspace.manifest), workspace.report("june")
    told = []
    weighed = weigh(
        folder, some_runs(folder), manifest, progress=lambda done, total: told.append((done, total))
    )
    assert weighed.warnings() == []
    assert weighed.apart == {}
    assert told[-1][0] == told[-1][1]
    path = write(weighed, Store(workspace.cache))
    assert not shows_people(path)
    assert capfd.readouterr() == ("", "")
    page = path.read_bytes()
    assert featurekit("report", "--name", "june")[0] == 0
    assert path.read_bytes() == page


def test_an_unknown_way_to_show_faces_is_refused(workspace):
    folder = workspace.report("june")
    weighed = weigh(folder, some_runs(folder), Manifest.load(workspace.manifest))
    with pytest.raises(WorkspaceError, match=r"Unknown way to show faces 'thumbs'\. Did you mean 'thumb'"):
        write(weighed, Store(workspace.cache), faces="thumbs")


def test_a_comparison_without_its_split_is_not_of_this_manifest(workspace):
    folder = workspace.report("june")
    weigh(folder, some_runs(folder), Manifest.load(workspace.manifest))
    assert (folder / "outcomes").is_dir()
    assert load_results(folder).data is not None
    (folder / "folds.json").unlink()
    assert load_results(folder).data is None
    kept = weigh(folder, some_runs(folder), None)
    assert kept.evidence is not None
    with pytest.raises(WorkspaceError, match="--faces thumb needs the manifest"):
        write(kept, Store(workspace.cache), faces="thumb")


def test_changes_are_written_beside_both_and_what_cannot_be_compared_is_told(workspace, capfd):
    said = []
    manifest = Manifest.load(workspace.manifest)
    changes = write_changes_between(workspace, manifest, ("june", "july"), say=said.append)
    assert changes.page == workspace.report("july-against-june") / "report.html"
    assert not any(one.is_shown for one in changes.differences.values())
    assert said == []
    assert capfd.readouterr() == ("", "")
