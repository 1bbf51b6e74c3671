"""featurekit fit and ensemble: what becomes of their options, and one clear line for each mistake."""

import json

import click
import pytest
import typer

import featurekit as fk
from featurekit.cli._signals import Stopped
from featurekit.cli.fit import fit

FIT = ("fit", "--model", "logistic_regression", "--target", "gender", "--folds", "4")


@pytest.mark.slow
def test_a_tuned_comparison_is_the_same_whatever_the_jobs_and_stands_beside_the_untuned(
    featurekit, extracted, tmp_path
):
    folder = tmp_path / "work" / "reports" / "table"
    contents = []
    for jobs in ("1", "2"):
        code, output, errors = featurekit(*FIT, "--tune", "--jobs", jobs, "--threads", "2", "--no-models")
        assert code == 0, errors
        assert "logistic_regression (tuned)" in output
        content = json.loads(
            (folder / "runs" / "gender--mean_color--logistic_regression--tuned.json").read_text()
        )
        for cost_or_command in ("seconds", "peak_bytes", "created", "command"):
            content.pop(cost_or_command)
        predictions = folder / "predictions" / "gender--mean_color--logistic_regression--tuned.parquet"
        contents.append((content, predictions.read_bytes()))
    assert contents[0] == contents[1]
    assert featurekit(*FIT, "--no-models")[0] == 0
    assert featurekit("report")[0] == 0
    report = (folder / "report.md").read_text()
    assert "(tuned)" in report
    assert "Parameters chosen in each fold of the tuned runs" in report


@pytest.mark.slow
def test_variations_of_a_network_and_an_ensemble_stand_beside_the_rest(
    featurekit, one_line, prepared, tmp_path
):
    extract = ("extract", "--backbone", "pixels", "--backbone", "mean_color", "--detector", "whole_image")
    assert featurekit(*extract)[0] == 0
    fit = ("fit", "--target", "gender", "--folds", "2", "--threads", "1")
    code, output, errors = featurekit(*fit, "--model", "logistic_regression")
    assert code == 0, errors
    small = ("--set", "side=32", "--set", "patience=9", "--batch-size", "8", "--no-models")
    code, output, errors = featurekit(*fit, "--model", "residual_attention", "--epochs", "1,2", *small)
    assert code == 0, errors
    assert "residual_attention (side 32, patience 9, epochs 2, batch size 8)" in output
    code, output, errors = featurekit("ensemble", "*--logistic_regression", "*--residual_attention*epochs-2*")
    assert code == 0, errors
    assert "ensemble of logistic_regression and residual_attention" in output
    assert featurekit("report")[0] == 0
    [page] = [path.read_text() for path in (tmp_path / "work" / "reports").glob("*/report.md")]
    assert "training of the networks" in page
    assert "ensemble of logistic_regression" in page
    one_line(
        featurekit("ensemble", "*--logistic_regression", "*--residual*"), "matches several runs of gender"
    )
    one_line(featurekit("ensemble", "*--logistic_regression", "*--svm"), "No target has a run for each")
    # Trained before, each is found again.
    code, _, errors = featurekit(*fit, "--model", "residual_attention", "--epochs", "2", *small)
    assert code == 0
    assert len(list((tmp_path / "work" / "cache" / "training").iterdir())) == 4


def test_a_parameter_that_no_model_has(featurekit, one_line, extracted):
    one_line(featurekit(*FIT, "--epochs", "3"), "Unknown parameter of ", "'epochs'. Known: ")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--epochs", "twenty"), "epochs cannot be twenty: it must be a whole number of at least 1."),
        (("--epochs", "20,2.5"), "epochs cannot be 2.5: it must be a whole number"),
        (("--epochs", "0"), "epochs cannot be 0"),
        (("--batch-size", "-3"), "batch_size cannot be -3: it must be a whole number of at least 2."),
        (("--set", "balance=weird"), "balance cannot be weird: it must be one of none, loss, sampler."),
        (("--set", "views=3"), "views cannot be 3: it must be one of 1, 2, 10."),
        (("--set", "smoothing=2"), "smoothing cannot be 2: it must be a number from 0 to 1."),
        (("--set", "flip=1"), "flip cannot be 1: it must be true or false."),
        (("--set", "networks=dlib_face"), "networks cannot be dlib_face"),
        (("--set", "learning_rat=1"), "Did you mean 'learning_rate'?"),
    ],
)
def test_a_value_that_a_network_s_parameter_cannot_have(featurekit, one_line, extracted, given, said):
    featurekit("extract", "--backbone", "pixels", "--detector", "whole_image")
    one_line(featurekit("fit", "--model", "levi_hassner", *given), said)


@pytest.mark.parametrize(
    ("model", "given", "said"),
    [
        ("svm", "C=x", "C cannot be x: it must be a number of at least 1e-09."),
        ("svm", "C=-1", "C cannot be -1"),
        ("svm", "gamma=weird", "gamma cannot be weird: it must be a number"),
        ("xgboost", "max_rounds=0", "max_rounds cannot be 0: it must be a whole number of at least 1."),
        ("random_forest", "n_estimators=many", "'n_estimators' parameter of RandomForest"),
        ("random_forest", "n_estimator=5", "Did you mean 'n_estimators'?"),
    ],
)
def test_a_value_that_a_classifier_s_parameter_cannot_have(
    featurekit, one_line, extracted, model, given, said
):
    one_line(featurekit("fit", "--model", model, "--set", given), said)


def test_a_network_without_kept_faces(featurekit, one_line, extracted):
    one_line(featurekit("fit", "--model", "levi_hassner"), "featurekit extract --backbone pixels")


def test_an_unknown_model(featurekit, one_line, extracted):
    one_line(featurekit("fit", "--model", "swm"), "Did you mean 'svm'")


def test_a_target_of_one_class(featurekit, one_line, extracted, tmp_path):
    manifest = tmp_path / "work" / "manifest.csv"
    manifest.write_text(manifest.read_text().replace(",female,", ",male,"))
    one_line(featurekit(*FIT), "gender", "male")


def test_fewer_subjects_than_folds(featurekit, one_line, extracted):
    one_line(featurekit(*FIT[:-1], "9"), "8 subjects", "9 folds")


def test_what_to_type_next_names_the_folder_and_the_comparison_that_were_given(
    featurekit, extracted, tmp_path
):
    code, output, errors = featurekit(*FIT, "--no-models", "--name", "mine")
    assert code == 0, errors
    next_line = f"Next: featurekit --workspace {tmp_path / 'work'} report --name mine"
    assert output.splitlines()[-1].endswith(next_line)
    code, output, errors = featurekit("ensemble", "*--logistic_regression", "*--majority", "--name", "mine")
    assert code == 0, errors
    assert output.splitlines()[-1].endswith(next_line)


def test_a_fit_that_is_stopped_says_what_is_kept_and_what_the_same_command_does(tmp_path, monkeypatch):
    def stop(*_: object, **__: object) -> None:
        raise Stopped(2)

    monkeypatch.setattr(fk, "evaluate", stop)
    monkeypatch.setattr("featurekit.cli.fit.dataset_of_command", lambda context: None)
    context = typer.Context(click.Command("fit"))
    context.params = {"workspace": tmp_path, "cache": None}
    with pytest.raises(Stopped) as stopped:
        fit(context, name="mine")
    remark = stopped.value.remark
    assert remark.startswith(f"the finished runs are kept in {tmp_path / 'reports' / 'mine' / 'runs'}. ")
    assert "fits all runs again" in remark


def test_somebody_s_estimator_that_fails_is_one_line(featurekit, one_line, extracted):
    command = (
        "fit",
        "--model",
        "sklearn.neighbors.KNeighborsClassifier",
        "--set",
        "n_neighbors=500",
        *FIT[3:],
    )
    one_line(
        featurekit(*command),
        "error: KNeighborsClassifier could not predict for gender on mean_color, fold ",
        "Expected n_neighbors <= n_samples_fit",
    )


def test_one_without_probabilities_is_noted_once(featurekit, extracted):
    fit = ("fit", "--model", "sklearn.linear_model.RidgeClassifier", "--folds", "4", "--no-models")
    code, output, errors = featurekit(*fit, "--target", "gender", "--target", "age_group")
    assert code == 0, errors
    assert errors.count("note: RidgeClassifier gives no probabilities") == 1
    [row] = [line for line in output.splitlines() if "RidgeClassifier" in line][:1]
    assert row.split("\t")[-1] == "-"
