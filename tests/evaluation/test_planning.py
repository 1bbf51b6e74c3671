"""Which combinations are fitted, and what is refused before anything is read."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from featurekit.errors import EngineError, TargetError, UnknownNameError, WorkspaceError
from featurekit.estimators import CLASSIFIERS
from featurekit.evaluation.planning import not_installed, plan


def test_a_plan_names_what_is_wrong(world):
    manifest, ledger, _ = world
    with pytest.raises(UnknownNameError, match="Did you mean 'svm'"):
        plan(manifest, ledger, models=["svn"])
    with pytest.raises(TargetError, match="Unknown target 'sex'"):
        plan(manifest, ledger, models=["svm"], targets=["sex"])
    with pytest.raises(WorkspaceError, match="featurekit extract --backbone dlib_age"):
        plan(manifest, ledger, models=["svm"], features=["dlib_age"])
    with pytest.raises(WorkspaceError, match=r"off_the_shelf needs dlib_.*featurekit extract"):
        plan(manifest, ledger, models=["off_the_shelf"])
    manifest.table["gender"] = ""
    with pytest.raises(TargetError, match="No usable row of the manifest has a label of gender"):
        plan(manifest, ledger, models=["svm"], targets=["gender"])


def test_features_are_taken_alone_and_joined(world):
    manifest, ledger, _ = world
    recipe = next(iter(ledger.recipes.values()))
    names = ("sharpness:laplacian", "dlib_age:pooled", "dlib_age:probabilities", "mobilenet_v2:pooled")
    ledger = replace(ledger, recipes=dict.fromkeys(names, recipe))
    plans = plan(manifest, ledger, models=["svm"], targets=["gender"])
    svm = [one.feature_name for one in plans if one.kind.name == "svm"]
    assert svm == [
        "dlib_age",
        "mobilenet_v2",
        "dlib_age+mobilenet_v2",
    ]  # a head or a measure is nobody's default
    joined = plan(manifest, ledger, models=["svm"], targets=["gender"], join=True)
    assert [one.feature_name for one in joined if one.kind.name == "svm"] == ["dlib_age+mobilenet_v2"]
    asked = plan(
        manifest,
        ledger,
        models=["svm"],
        targets=["gender"],
        features=["mobilenet_v2+dlib_age:probabilities", "sharpness"],
    )
    assert asked[0].features == ("mobilenet_v2:pooled", "dlib_age:probabilities")
    assert asked[1].features == ("sharpness:laplacian",)
    ledger = replace(ledger, recipes={"sharpness:laplacian": recipe})
    with pytest.raises(WorkspaceError, match=r"Models use sharpness:laplacian only if --features names it"):
        plan(manifest, ledger, models=["svm"], targets=["gender"])
    plan(manifest, ledger, models=["majority"], targets=["gender"])


def test_every_baseline_is_run_on_one_feature_set_only(world):
    manifest, ledger, _ = world
    plans = plan(manifest, ledger, models=["svm"], targets=["gender"])
    for kind in CLASSIFIERS:
        if kind.is_baseline:
            assert sum(one.kind is kind for one in plans) <= 1


def test_ethnicity_is_no_target_unless_it_is_allowed(world):
    manifest, ledger, _ = world
    manifest.table["perceived_race"] = ["x" if name in ("s0", "s1") else "y" for name in manifest.subjects]
    assert "perceived_race" not in {one.target.name for one in plan(manifest, ledger, models=["svm"])}
    with pytest.raises(TargetError, match=r"perceived_race is named like.*--allow-ethnicity"):
        plan(manifest, ledger, models=["svm"], targets=["gender", "perceived_race"])
    allowed = plan(manifest, ledger, models=["svm"], targets=["perceived_race"], ethnicity=True)
    assert {one.target.name for one in allowed} == {"perceived_race"}


def test_a_parameter_that_no_classifier_has_is_refused(world):
    manifest, ledger, _ = world
    with pytest.raises(UnknownNameError, match=r"Unknown parameter of svm 'epochs'\..* Known: C, "):
        plan(manifest, ledger, models=["svm"], variations=[{"epochs": 3}])


def test_a_classifier_whose_package_is_absent_is_refused_before_anything_is_fitted(world, monkeypatch):
    manifest, ledger, _ = world
    kind = replace(CLASSIFIERS["svm"], name="needy", needs="no_such_package")
    CLASSIFIERS.names()
    monkeypatch.setitem(CLASSIFIERS._members, "needy", kind)
    with pytest.raises(EngineError, match=r"needy needs no_such_package.*featurekit\[no_such_package\]"):
        plan(manifest, ledger, models=["logistic_regression", "needy"])


def test_faces_that_were_not_kept_are_asked_for(world, crops):
    manifest, ledger, _ = world
    with pytest.raises(WorkspaceError, match="featurekit extract --backbone pixels"):
        plan(manifest, ledger, models=["crops"])


def test_networks_to_be_trained_further_need_not_have_been_extracted(pictures):
    manifest, ledger, _ = pictures
    plans = plan(
        manifest,
        ledger,
        models=["finetuned_cnn"],
        targets=["gender"],
        features=["mobilenet_v2", "dlib_age+mobilenet_v2", "mean_color"],
    )
    assert [one.feature_name for one in plans if one.kind.name == "finetuned_cnn"] == [
        "mobilenet_v2",
        "dlib_age+mobilenet_v2",
    ]
    assert plans[0].reads == ("pixels:rgb",)
    assert plans[1].networks == ("dlib_age", "mobilenet_v2")
    with pytest.raises(WorkspaceError, match="which is not possible with mean_color"):
        plan(manifest, ledger, models=["finetuned_cnn"], features=["mean_color"])


def test_extracted_features_whose_networks_are_gone_are_named():
    known = SimpleNamespace(recipes={"mean_color:mean": None})
    assert not_installed(known) == ""
    known.recipes |= {"gone:layer": None}
    assert not_installed(known) == (
        "The extracted gone:layer is not used, because its network is not installed here any more."
    )
