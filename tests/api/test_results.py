"""Results to hold: the numbers of the command line and of the report, and the model that it saves."""

import json
import pickle
import re
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import featurekit as fk
from featurekit.errors import EmbeddingError, FoldError, ModelError, TargetError, WorkspaceError

MODELS = ("svm", "logistic_regression")


@pytest.fixture
def results(data, X, how):
    return fk.evaluate(data, X, list(MODELS), target=["gender", "age"], **how)


def test_the_numbers_are_those_of_the_command_line_to_the_last_digit(results, featurekit, project, tmp_path):
    """Both doors of one project, on the same splits: scores, parameters and predictions are equal."""
    models = [word for name in MODELS for word in ("--model", name)]
    targets = [word for name in ("gender", "age") for word in ("--target", name)]
    asked = ("fit", *models, *targets, "--features", "mean_color", "--folds", "2", "--name", "shell")
    code, _, errors = featurekit(*asked)
    assert code == 0, errors
    shell = fk.load_results(project.folder.report("shell"))
    assert sorted(run.name for run in shell.runs) == sorted(run.name for run in results.runs)
    pd.testing.assert_frame_equal(_without_times(shell.frame()), _without_times(results.frame()))
    pd.testing.assert_frame_equal(shell.differences(), results.differences())
    pd.testing.assert_frame_equal(shell.slices(), results.slices())
    for run in shell.runs:
        mine = results[run.name].run
        assert (mine.parameters, mine.confusion, mine.scored_on) == (
            run.parameters,
            run.confusion,
            run.scored_on,
        )
        pd.testing.assert_frame_equal(
            shell.predictions(run.name, run.target), results.predictions(run.name, run.target)
        )


def test_the_model_of_a_notebook_is_the_one_that_the_command_line_saves(
    results, data, X, featurekit, project
):
    """best().fit() learns on the same faces with the same seed, and is calibrated on the same answers."""
    asked = ("--model", "svm", "--features", "mean_color", "--folds", "2", "--name", "shell")
    code, _, errors = featurekit("fit", *asked, "--target", "gender", "--target", "age")
    assert code == 0, errors
    for target in ("gender", "age"):
        run = f"{target}--mean_color--svm"
        model = results[run].fit(data, X)
        model.save(project.folder.models / f"mine-{target}")
        theirs, mine = (project.folder.models / name for name in (run, f"mine-{target}"))
        assert (mine / "README.md").read_text() == (theirs / "README.md").read_text()
        assert json.loads((mine / "model.json").read_text()) == json.loads(
            (theirs / "model.json").read_text()
        )
        # Not the files' own bytes, which hold when they were written and where objects lay in memory.
        assert _arrays(mine / "model.skops") == _arrays(theirs / "model.skops")


def test_the_frames_are_those_of_the_report(results, tmp_path):
    """Every mean of the wide frame stands in the page, as the page writes it."""
    page = results.report(tmp_path / "mine.html")
    assert page == tmp_path / "mine.html"
    text = page.with_suffix(".md").read_text()
    for row in results.frame("gender").itertuples():
        mean = f"{100 * row.accuracy:.1f} ({100 * row.accuracy_low:.1f}–{100 * row.accuracy_high:.1f})"
        lines = [line for line in text.splitlines() if row.model in line and mean in line]
        assert lines, (row.model, mean)


def test_the_tables_are_those_of_the_report_and_the_card_has_their_scores(results, tmp_path):
    tables = results.tables()
    page = results.report(tmp_path / "mine.html", xlsx=True).with_suffix(".md").read_text()
    assert all(f"**{caption}**" in page.replace("\\", "") for caption in tables)
    assert (tmp_path / "mine.xlsx").is_file()
    ranking = next(table for caption, table in tables.items() if "Gender: all models" in caption)
    frame = results.frame("gender")
    assert ranking["Accuracy, % (on the faces found)"].tolist() == pytest.approx(100 * frame.accuracy)
    card = results.model_card(target="gender", path=tmp_path / "card.md")
    assert (tmp_path / "card.md").read_text() == card
    best = results.best("gender")
    assert f'name: "{best.name}"' in card
    assert f"value: {best.scores['accuracy']:.6f}".rstrip("0") in card
    other = next(name for name in MODELS if name != best.run.classifier)
    assert f'name: "gender--mean_color--{other}"' in results.model_card(other, "gender")
    assert results.model_card().count("- task:") == 2
    with pytest.raises(fk.FeaturekitError, match="Unknown model of these results"):
        results.model_card("xgb", "gender")


def test_a_card_of_a_model_that_was_looked_at_computes_no_slices_again(results, monkeypatch):
    other = next(name for name in MODELS if name != results.best("gender").run.classifier)
    card = results.model_card(other, "gender")
    assert "scores on slices" in card
    monkeypatch.setattr("featurekit.api.exports.slices_of", None)
    assert results.model_card(other, "gender") == card


def test_the_long_frame_has_every_number_of_the_wide_one(results):
    wide, long = results.frame("gender"), results.frame("gender", long=True)
    found = long[(long["rows"] == "found") & (long["score"] == "accuracy")].set_index("run")
    for row in wide.itertuples():
        assert found.loc[row.run, "value"] == row.accuracy
        assert found.loc[row.run, "low"] == row.accuracy_low


def test_a_report_into_a_file_leaves_the_comparisons_own_alone(results, tmp_path):
    own = results.report()
    before = own.read_bytes()
    results.report(tmp_path / "other.html", margin_points=5)
    assert own.read_bytes() == before
    with pytest.raises(
        WorkspaceError, match=re.escape("A report is an .html file. Got 'report.pdf' instead.")
    ):
        results.report(tmp_path / "report.pdf")


def test_several_targets_have_to_be_told_apart(results):
    assert results.targets == ["gender", "age"]
    with pytest.raises(
        TargetError, match=re.escape("Say which target: target='gender'. There are gender, age.")
    ):
        results.best()
    assert results.best("age").run.target == "age"
    with pytest.raises(
        fk.FeaturekitError, match=re.escape("Unknown target of these results 'gander'. Did you mean 'gender'")
    ):
        results.frame("gander")
    with pytest.raises(TargetError, match="'svm' predicts several targets"):
        results["svm"]


def test_an_unknown_model_is_one_error_that_lists_what_there_is(results):
    with pytest.raises(
        fk.FeaturekitError, match=re.escape("Unknown model of these results 'svn'. Did you mean 'svm'?")
    ):
        results["svn"]


def test_predictions_are_of_every_face_by_a_model_that_had_not_seen_its_subject(results, data):
    table = results.predictions("svm", "gender")
    assert len(table) == 24
    assert {"run", "face_id", "subject", "fold", "true", "predicted", "p_female", "p_male"} == set(table)
    assert table.groupby("subject")["fold"].nunique().eq(1).all()
    both = results.predictions(target="age")
    assert set(both["run"]) == {run.name for run in results.runs if run.target == "age"}


def test_scikit_learns_estimators_stand_beside_ours_under_names_of_ones_own(data, X, how):
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from xgboost import XGBClassifier

    models = {
        "svm": "svm",
        "weak": LogisticRegression(C=0.01),
        "strong": LogisticRegression(C=100),
        "scaled neighbours": make_pipeline(StandardScaler(), KNeighborsClassifier(3)),
        "boosted": XGBClassifier(n_estimators=3),
    }
    results = fk.evaluate(data, X, models, target="gender", **how)
    assert set(models) <= set(results.frame()["model"])
    model = results["strong"].fit(data, X)
    with pytest.raises(ModelError, match="strong"):
        model.save(how["project"].folder.models / "strong")


def test_pickled_results_have_the_same_frame(data, X, how):
    from sklearn.linear_model import LogisticRegression

    models = {"svm": "svm", "majority": "majority", "linear": LogisticRegression(C=2)}
    results = fk.evaluate(data, X, models, target="gender", **how)
    again = pickle.loads(pickle.dumps(results))
    pd.testing.assert_frame_equal(again.frame(), results.frame())
    assert again["linear"].fit(data, X).classes == ("female", "male")


def test_an_estimator_without_probabilities_is_scored_and_says_so(data, X, how):
    from sklearn.linear_model import RidgeClassifier

    results = fk.evaluate(data, X, RidgeClassifier(), target="gender", **how)
    (note,) = results["RidgeClassifier"].run.notes
    assert "gives no probabilities" in note


@pytest.mark.parametrize(
    ("models", "said"),
    [
        ("svn", "Unknown model 'svn'. Did you mean 'svm'?"),
        ([], "No model is named"),
        (["svm", 3], "3 is neither the name of a model nor a scikit-learn estimator"),
        ("sklearn.neighbors.KNeighbours", "cannot be imported"),
    ],
)
def test_what_is_no_model_is_one_clear_error(data, X, how, models, said):
    with pytest.raises(fk.FeaturekitError, match=re.escape(said)):
        fk.evaluate(data, X, models, target="gender", **how)


def test_a_class_in_the_place_of_an_estimator_says_what_to_write(data, X, how):
    from sklearn.svm import SVC

    with pytest.raises(ModelError, match=re.escape("SVC is a class. Give an instance of it: SVC().")):
        fk.evaluate(data, X, SVC, target="gender", **how)


def test_two_models_of_one_name_are_told_how_to_be_named(data, X, how):
    from sklearn.svm import SVC

    with pytest.raises(ModelError, match=r"Two models are called SVC.*Give each a name"):
        fk.evaluate(data, X, [SVC(C=1), SVC(C=2)], target="gender", **how)


def test_a_wrong_label_is_one_clear_error(data, X, how):
    with pytest.raises(TargetError, match=re.escape("Unknown target 'gendr'. Did you mean 'gender'?")):
        fk.evaluate(data, X, "svm", target="gendr", **how)


def test_vectors_of_ones_own_are_refused_with_the_reason(data, how):
    with pytest.raises(EmbeddingError, match=re.escape("X must be the result of fk.embed()")):
        fk.evaluate(data, np.zeros((24, 3)), "svm", target="gender", **how)


def test_parameters_are_compared_and_a_misspelt_one_is_an_error(data, X, how):
    results = fk.evaluate(data, X, "svm", target="gender", parameters={"C": [0.1, 10]}, **how)
    assert {"svm (C 0.1)", "svm (C 10)"} <= set(results.frame()["model"])
    with pytest.raises(fk.FeaturekitError, match="Unknown parameter of svm 'c'"):
        fk.evaluate(data, X, "svm", target="gender", parameters={"c": 1}, **how)


def test_an_argument_without_effect_is_an_error_in_the_words_of_a_function(data, X, how):
    """The command line names options; here the same message names arguments."""
    with pytest.raises(WorkspaceError, match=r"^tune has no effect.*for example models='svm'"):
        fk.evaluate(data, X, "majority", target="gender", tune=True, **how)
    with pytest.raises(WorkspaceError, match=r"^X has no effect"):
        fk.evaluate(data, "mean_color", "majority", target="gender", **how)
    with pytest.raises(fk.FeaturekitError, match=r"^mirror has no effect"):
        fk.embed(data, "pixels", detector="whole_image", mirror=True, project=how["project"])


@pytest.mark.slow
def test_its_splits_give_the_same_scores_in_scikit_learn_and_skore(data, X, how, monkeypatch, tmp_path):
    """Estimators have the same scores in evaluate(), cross_val_score() and skore, on the same splits."""
    # Else skrub, which skore imports, makes a folder at home.
    monkeypatch.setenv("SKB_DATA_DIRECTORY", str(tmp_path))
    import skore
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.linear_model import LogisticRegression, RidgeClassifier
    from sklearn.model_selection import cross_val_score
    from sklearn.naive_bayes import GaussianNB
    from sklearn.neighbors import KNeighborsClassifier
    from xgboost import XGBClassifier

    theirs = [
        LogisticRegression(C=0.5),
        RidgeClassifier(),
        GaussianNB(),
        KNeighborsClassifier(3),
        LinearDiscriminantAnalysis(),
    ]
    results = fk.evaluate(data, X, [*theirs, XGBClassifier(n_estimators=3), "svm"], target="gender", **how)
    assert {"svm", "XGBClassifier", "majority"} <= set(results.frame()["model"])
    splits, y = results.splits(X), X.labels("gender")
    for estimator in theirs:
        scores = results[type(estimator).__name__].run.scores["accuracy"]["folds"]
        assert cross_val_score(estimator, X.vectors, y, cv=splits).tolist() == scores
    report = skore.CrossValidationReport(LogisticRegression(C=0.5), X.vectors, y, splitter=splits)
    found = [one.metrics.accuracy(data_source="test") for one in report.reports_]
    assert found == results["LogisticRegression"].run.scores["accuracy"]["folds"]
    for train, test in splits:
        assert not set(X.subjects[train]) & set(X.subjects[test])


def test_a_result_that_is_not_fitted_says_how_to_fit_it(results):
    with pytest.raises(ModelError, match=r"First: model = result\.fit\(data, X\)"):
        results.best("gender").predict(["photo.jpg"])


def test_a_later_evaluation_stands_beside_the_earlier_one(data, X, how, project):
    fk.evaluate(data, X, "svm", target="gender", **how)
    fk.evaluate(data, X, "logistic_regression", target="gender", **how)
    both = fk.load_results(project.folder.report("frame"))
    assert {"svm", "logistic_regression", "majority"} <= set(both.frame()["model"])
    assert project.comparisons == ["frame"]


def test_other_splits_than_those_saved_are_refused(data, X, how):
    fk.evaluate(data, X, "svm", target="gender", **how)
    with pytest.raises(FoldError):
        fk.evaluate(data, X, "svm", target="gender", project=how["project"], folds=4)


def test_a_model_is_fitted_on_the_embeddings_that_it_was_evaluated_on(results, data, project):
    other = fk.embed(data, "pixels", detector="whole_image", project=project)
    with pytest.raises(EmbeddingError, match="was evaluated on vectors of mean_color"):
        results.best("gender").fit(data, other)


def test_an_ensemble_stands_beside_its_members(results, data, X):
    both = fk.ensemble(results, ["gender--*--svm", "gender--*--logistic*"])
    assert len(both) == len(results) + 1
    assert any("ensemble" in model for model in both.frame("gender")["model"])
    name = next(run.name for run in both.runs if "ensemble" in run.classifier)
    with pytest.raises(WorkspaceError, match="is the mean of other runs"):
        both[name].fit(data, X)


def test_a_comparison_whose_data_set_is_gone_is_read_from_what_it_kept(results, project):
    results.report()
    project.folder.manifest.unlink()
    kept = fk.load_results(project.folder.report("frame"))
    assert kept.data is None
    pd.testing.assert_frame_equal(kept.frame(), results.frame())
    pd.testing.assert_frame_equal(kept.slices(), results.slices())


def test_a_folder_that_is_none_is_one_clear_error(tmp_path):
    with pytest.raises(WorkspaceError, match="There are no runs in"):
        fk.load_results(tmp_path / "nowhere")
    (tmp_path / "work/reports/empty").mkdir(parents=True)
    with pytest.raises(WorkspaceError, match="There are no runs in"):
        fk.load_results(tmp_path / "work/reports/empty")


def test_the_call_that_made_a_run_is_in_its_record(results, project):
    path = project.folder.report("frame") / "runs" / "gender--mean_color--svm.json"
    assert json.loads(path.read_text())["command"] == (
        "fk.evaluate(data, ['mean_color'], ['svm', 'logistic_regression'], target=['gender', 'age'])"
    )


def test_an_estimator_that_replaces_another_one_of_its_class_says_so(data, X, how, caplog):
    from sklearn.linear_model import LogisticRegression

    for strength, n_told in ((1.0, 0), (1.0, 0), (0.01, 1)):
        caplog.clear()
        fk.evaluate(data, X, LogisticRegression(C=strength), target="gender", **how)
        assert caplog.text.count("is replaced: the earlier LogisticRegression had other parameters") == n_told


def test_a_label_that_nobody_shares_is_one_clear_error(people, portraits, project):
    people["own"] = people["file"]
    data = fk.Dataset.from_frame(
        people, images="file", labels=["own"], subject="person", root=portraits / "photos", project=project
    )
    X = fk.embed(data, "mean_color", detector="whole_image", project=project)
    with pytest.raises(TargetError, match="No class of own can be learned: each has too few subjects"):
        fk.evaluate(data, X, "svm", target="own", project=project, folds=2)


def test_results_whose_runs_are_all_set_apart_say_so(results, data, project, caplog):
    other = data.table.assign(gender=data.table["gender"].map({"female": "male", "male": "female"}))
    fk.Dataset(other, data.root, data.info).save(project.folder.manifest)
    changed = fk.load_results(results.folder)
    assert changed.frame("gender").empty
    assert "every run is set apart" in caplog.text
    with pytest.raises(WorkspaceError, match="No run of gender can be compared"):
        changed.predictions(target="gender")


def test_an_unknown_comparison_is_not_audited(results, data, project):
    with pytest.raises(WorkspaceError, match=r"Unknown comparison 'frames'\. Did you mean 'frame'"):
        fk.audit(data, name="frames", project=project)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["a.jpg"], "The data must come from fk.load_dataset or fk.Dataset.from_frame. Got list instead."),
        (None, "Got NoneType instead."),
    ],
)
def test_what_is_no_data_set_cannot_be_embedded(given, said):
    with pytest.raises(EmbeddingError, match=re.escape(said)):
        fk.embed(given, "mean_color")


def test_a_search_shows_which_parameters_matter(data, X):
    found = fk.tune(data, X, "svm", target="gender", grid={"C": [0.01, 1.0]}, folds=2)
    frame = found.frame()
    assert list(frame["score"]) == sorted(frame["score"], reverse=True)
    assert found.best == {"C": frame["C"].iloc[0]}
    assert set(frame) == {"C", "score", "std", "split_0", "split_1"}
    with pytest.raises(ModelError, match="majority has no parameters to search for"):
        fk.tune(data, X, "majority", target="gender")
    with pytest.raises(fk.FeaturekitError, match="Unknown parameter of svm 'c'"):
        fk.tune(data, X, "svm", target="gender", grid={"c": [1]})


def _arrays(path: Path) -> list[int]:
    """Return the checksums of the arrays that a file of skops holds."""
    with zipfile.ZipFile(path) as file:
        return sorted(one.CRC for one in file.infolist() if one.filename.endswith(".npy"))


def _without_times(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a frame without what another run of the same work may have different."""
    return frame.drop(columns=[name for name in frame if name.startswith("seconds")] + ["bytes"])


def test_what_embeddings_are_is_said_without_reading_a_vector(X, monkeypatch):
    """Half a million vectors are gigabytes, and a notebook shows the object at the end of a cell."""
    monkeypatch.setattr("featurekit.api.embed.load_embeddings", None)
    assert repr(X) == "Embeddings('mean_color': 24 of 24 faces found, 3 numbers each)"
    assert "24 faces found" in X._repr_html_()
    assert len(X.labels("gender")) == len(X.subjects) == 24


def test_a_report_computes_nothing_that_the_results_know(data, X, how, tmp_path, monkeypatch):
    """Results of a part of a comparison are not kept in its folder, and are weighed once all the same."""
    fk.evaluate(data, X, "svm", target="gender", **how)
    part = fk.evaluate(data, X, "logistic_regression", target="gender", **how)
    part.frame()
    monkeypatch.setattr("featurekit.evaluation.evidence._of_targets", None)
    assert part.report(tmp_path / "part.html").is_file()
