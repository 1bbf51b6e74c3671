"""results.plot finds the run that is meant, and says what is missing where there is nothing to draw."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from featurekit.api.plots import Plots
from featurekit.errors import ModelError, TargetError, UnknownNameError, WorkspaceError
from featurekit.evaluation.data_curve import key_of
from featurekit.evaluation.outcomes import write_outcomes
from featurekit.evaluation.results import Run
from featurekit.project import ComparisonFolder
from tests.report.made_up import make_evidence, make_run, score, trained_run
from tests.report.sections.test_learning import make_curve

N = 80


def write_answers(folder, runs):
    """Keep made-up answers of some runs as a comparison does."""
    rng = np.random.default_rng(0)
    files, rows = ComparisonFolder(folder), np.arange(N, dtype=np.int32)
    facts = {"row": rows, "subject": rows, "fold": (rows % 2).astype(np.int16)}
    for run in runs:
        if run.classes:
            proba = rng.dirichlet(np.ones(len(run.classes)), N)
            said = np.array(run.classes)[proba.argmax(axis=1)]
            columns = {f"p_{label}": proba[:, i] for i, label in enumerate(run.classes)}
            true = np.random.default_rng(1).choice(run.classes, N)  # the same for all models
            own = {"true": true, "predicted": said, **columns}
        else:
            own = {"true": rng.uniform(25, 32, N), "predicted": rng.uniform(20, 40, N)}
        write_outcomes(files.outcome(run.name), pd.DataFrame({**facts, **own}))
    labels = {"row": rows, "gender": rng.choice(["female", "male"], N), "age": rng.uniform(25, 32, N)}
    write_outcomes(files.faces, pd.DataFrame(labels))


@pytest.fixture(scope="module")
def runs() -> list[Run]:
    """Two models with the same name on two feature sets, a tuned one, a network and a baseline; and years."""
    best = make_run(scores={"accuracy": score(0.9)})
    return [
        best,
        make_run(features="mobilenet_v2", scores={"accuracy": score(0.85)}),
        make_run(classifier="mlp", scores={"accuracy": score(0.84)}),
        make_run(classifier="mlp", tuned=True, scores={"accuracy": score(0.83)}),
        trained_run(scores={"accuracy": score(0.7)}),
        make_run(classifier="majority", scores={"accuracy": score(0.95)}),
        make_run("age", "dlib_age", "xgboost"),
    ]


@pytest.fixture(scope="module")
def plots(runs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("comparison")
    write_answers(folder, runs)
    genders = make_evidence([run for run in runs if run.target == "gender"])
    ages = make_evidence([run for run in runs if run.target == "age"])
    evidence = replace(genders, targets={**genders.targets, **ages.targets})
    return Plots(runs, evidence, folder, {"gender--dlib_age--knn": "it was scored on different faces"})


def test_a_model_is_named_as_in_the_ranking_or_by_its_run(plots, runs):
    for name in (runs[1].name, "svm · mobilenet_v2"):
        assert plots.confusion(name).run == runs[1].name
    assert plots.confusion("mlp", "gender").run == runs[2].name  # not the tuned one
    assert plots.confusion("mlp (tuned)").run == runs[3].name
    assert plots.learning_curves("multitask_cnn").run == runs[4].name


def test_left_out_the_model_is_the_best_trained_one(plots, runs):
    assert plots.confusion(target="gender").run == runs[0].name
    assert plots.learning_curves(target="gender").run == runs[4].name
    assert plots.age_error().run == runs[6].name


def test_a_name_that_means_several_runs_is_an_error_that_lists_them(plots, runs):
    with pytest.raises(UnknownNameError, match="'svm' means several runs") as caught:
        plots.confusion("svm", "gender")
    assert runs[0].name in str(caught.value)
    assert runs[1].name in str(caught.value)
    with pytest.raises(UnknownNameError, match=r"Unknown model of these results 'smv'. Did you mean 'svm'"):
        plots.confusion("smv", "gender")
    both = [make_run(), make_run("age")]
    with pytest.raises(TargetError, match=r"'svm' predicts several targets. Say which: target='gender'"):
        Plots(both, None, "nowhere").slices("svm")


def test_a_target_is_asked_for_where_there_are_several(plots, runs):
    with pytest.raises(TargetError, match=r"Say which target: target='gender'. There are gender, age"):
        plots.accuracy()
    with pytest.raises(
        UnknownNameError, match=r"Unknown target of these results 'gendr'. Did you mean 'gender'"
    ):
        plots.cost("gendr")
    alone = Plots([run for run in runs if run.target == "age"], None, "nowhere")
    assert alone.accuracy().frame()["score"].tolist() == ["mae_years"]


def test_a_run_that_is_set_apart_is_in_no_figure(plots):
    with pytest.raises(
        UnknownNameError, match="is set apart, so it is not shown: it was scored on different faces"
    ):
        plots.confusion("gender--dlib_age--knn")
    with pytest.raises(WorkspaceError, match="No run can be compared"):
        Plots([], None, "nowhere").accuracy()


def test_the_best_model_has_the_evidences_numbers_and_any_other_its_own(plots, runs):
    known = plots.calibration(runs[0].name)
    assert known.confidence.temperature == 1.375
    other = plots.calibration(runs[1].name)
    assert other.run == runs[1].name
    assert other.frame()["n_faces"].sum() == N
    assert len(plots.risk_coverage(runs[1].name).frame()) == 20
    assert set(plots.slices(runs[1].name).frame()["slice"]) == {"gender female", "gender male"}
    assert plots.age_error().frame()["n_faces"].tolist() == [N]


def test_answers_that_are_not_at_hand_are_one_error_that_says_how_to_have_them(runs, tmp_path):
    for make in (Plots(runs, None, tmp_path).calibration, Plots(runs, None, tmp_path).slices):
        with pytest.raises(WorkspaceError, match=r"predictions of gender--dlib_age--svm .*report\(\)"):
            make(runs[0].name)


def test_what_cannot_be_drawn_is_one_error(plots, runs):
    with pytest.raises(TargetError, match="predicts age in years, so it has no confusion matrix"):
        plots.confusion("xgboost")
    with pytest.raises(TargetError, match="predicts classes, so it has no errors in years"):
        plots.age_error(runs[0].name)
    for curves in (plots.roc, plots.precision_recall):
        with pytest.raises(TargetError, match="predicts age in years, so it has no probabilities"):
            curves(target="age")
    with pytest.raises(ModelError, match="has no training history"):
        plots.learning_curves(runs[0].name)
    with pytest.raises(ModelError, match=r"most must be at least 1. Got 0 instead"):
        plots.accuracy("gender", most=0)


def test_what_there_is_stands_in_its_repr(plots):
    assert ".accuracy()" in repr(plots)
    assert "gender, age" in repr(plots)


def test_curves_are_those_of_the_report_or_of_each_class_of_one_model(plots, runs):
    known = plots.roc(target="gender")
    assert known.frame()["run"].nunique() == 3
    assert set(known.frame()["roc_auc"]) == {0.912}
    assert set(plots.precision_recall(target="gender").frame()["average_precision"]) == {0.876}
    other = plots.roc(runs[1].name).frame()
    assert set(other["positive"]) == {"male"}
    assert set(plots.precision_recall(runs[1].name, positive="female").frame()["positive"]) == {"female"}
    with pytest.raises(UnknownNameError, match=r"Unknown class of gender 'femal'. Did you mean 'female'"):
        plots.roc(runs[1].name, positive="femal")


def test_two_models_are_compared_on_their_common_faces(plots, runs):
    assert plots.confusion_difference(target="gender").found.first == runs[5].name
    one, other = runs[0].name, runs[1].name
    found = plots.confusion_difference(one, other)
    frame = found.frame()
    assert frame["n_first"].sum() == frame["n_second"].sum() == N
    back = plots.confusion_difference(other, one).frame()
    assert back["difference"].tolist() == (-frame["difference"]).tolist()
    with pytest.raises(ModelError, match="Only one model is named"):
        plots.confusion_difference(one)
    with pytest.raises(ModelError, match="Name two different models"):
        plots.confusion_difference(one, one)
    with pytest.raises(TargetError, match="Name two models of one target"):
        plots.confusion_difference(one, "xgboost")


def test_folds_are_those_of_the_runs(plots, runs):
    frame = plots.folds("gender").frame()
    assert frame.loc[frame["run"] == runs[0].name, "value"].tolist() == [0.9] * 5
    assert frame["fold"].tolist()[:5] == [0, 1, 2, 3, 4]
    assert plots.folds("age").frame()["score"].tolist() == ["mae_years"] * 5


def test_the_curve_over_training_faces_is_that_of_the_model_that_has_one(plots, runs, tmp_path):
    with pytest.raises(ModelError, match="has not been fitted on parts of its training faces") as error:
        plots.data_curve("xgboost", "age")
    assert "featurekit fit --learning-curve --name" in str(error.value)
    mine = runs[1]
    curve = replace(make_curve(mine), key=key_of(mine))
    curve.save(tmp_path)
    own = Plots(runs, None, tmp_path)
    assert own.data_curve(target="gender").run == mine.name
    assert own.data_curve(mine.name).points == curve.points
    replace(curve, key="0" * 64).save(tmp_path)  # of other settings
    with pytest.raises(ModelError, match="has not been fitted on parts"):
        own.data_curve(mine.name)
