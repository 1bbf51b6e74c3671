"""Which runs an ensemble is made of: one for each name, of every target that has them all."""

from types import SimpleNamespace

import pytest

from featurekit.errors import WorkspaceError
from featurekit.evaluation.ensemble import members_by_target

RUNS = [
    SimpleNamespace(name=f"{target}--{classifier}", target=target, is_baseline=False)
    for target, classifiers in (("age", ("svm",)), ("gender", ("mlp", "svm", "svm--C-2")))
    for classifier in classifiers
]


def names(found):
    return [[run.name for run in members] for members in found]


def test_each_target_of_which_all_names_mean_a_run_is_combined():
    assert names(members_by_target(RUNS, ["*--svm"])) == [["age--svm"], ["gender--svm"]]
    assert names(members_by_target(RUNS, ["*--mlp", "*--svm"])) == [["gender--mlp", "gender--svm"]]


def test_a_name_that_means_several_runs_is_refused():
    with pytest.raises(WorkspaceError, match=r"'\*--svm\*' matches several runs of gender: gender--svm, g"):
        members_by_target(RUNS, ["*--mlp", "*--svm*"])


def test_a_name_that_means_none_is_refused_with_those_that_are_there():
    with pytest.raises(WorkspaceError, match=r"for each of \*--cnn\. The runs are: age--svm, gender--mlp"):
        members_by_target(RUNS, ["*--cnn"])


def test_an_error_gives_two_full_names_that_would_do():
    two = "featurekit ensemble gender--mlp gender--svm"
    with pytest.raises(WorkspaceError, match=f"Name one of them, for example {two}$"):
        members_by_target(RUNS, ["*--mlp", "*--svm*"])
    with pytest.raises(WorkspaceError, match=f"Example: {two}$") as refusal:
        members_by_target(RUNS, ["*--cnn"])
    assert names(members_by_target(RUNS, str(refusal.value).split()[-2:])) == [["gender--mlp", "gender--svm"]]
