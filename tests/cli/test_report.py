"""featurekit report: of a comparison, and of what changed between two."""

import json
import shutil

import pandas as pd
import pytest

FIT = ("fit", "--model", "logistic_regression", "--target", "gender", "--folds", "4")


@pytest.mark.slow
def test_the_report_repeats_byte_for_byte_but_for_times(featurekit, extracted, tmp_path):
    reports = []
    for _ in range(2):
        assert featurekit(*FIT, "--new-folds")[0] == 0
        run = (
            tmp_path / "work" / "reports" / "table" / "runs" / "gender--mean_color--logistic_regression.json"
        )
        content = json.loads(run.read_text())
        for cost_or_command in ("seconds", "peak_bytes", "created", "command"):
            content.pop(cost_or_command)
        reports.append(content)
    assert reports[0] == reports[1]


def test_sharpness_that_has_been_extracted_groups_the_faces_and_is_no_feature(
    featurekit, extracted, tmp_path
):
    extract = ("extract", "--backbone", "sharpness", "--detector", "whole_image")
    assert featurekit(*extract)[0] == 0
    assert featurekit(*FIT, "--no-models")[0] == 0
    assert featurekit("report")[0] == 0
    folder = tmp_path / "work" / "reports" / "table"
    assert {path.stem.split("--")[1] for path in (folder / "runs").iterdir()} == {"mean_color"}
    faces = pd.read_parquet(folder / "outcomes" / "faces.parquet")
    assert faces["sharpness"].value_counts().to_dict() == dict.fromkeys(
        ("lowest third", "middle third", "highest third"), 8
    )
    page = (folder / "report.md").read_text()
    assert "sharpness lowest third" in page
    assert "variance of the Laplacian" in page


def test_files_of_an_earlier_report_are_named(featurekit, extracted, tmp_path):
    assert featurekit("fit", "--model", "logistic_regression", "--target", "gender", "--folds", "4")[0] == 0
    assert featurekit("report", "--xlsx", "--model-card")[0] == 0
    code, _, errors = featurekit("report", "--model-card")
    assert code == 0
    assert "report.xlsx is of an earlier report. To write it again: --xlsx" in errors
    assert "model_card" not in errors


@pytest.mark.parametrize("name", ["notes.html", "notes.md", "notes.xlsx", "model_card.md"])
def test_a_file_of_somebody_else_is_not_replaced_by_a_report(featurekit, one_line, extracted, tmp_path, name):
    assert featurekit(*FIT, "--no-models")[0] == 0
    asked = ("report", "--output", str(tmp_path / "notes.html"), "--xlsx", "--model-card")
    (tmp_path / name).write_text("my featurekit notes")
    one_line(featurekit(*asked), f"{name} exists and is not a", "Give another file, or move it away first.")
    assert (tmp_path / name).read_text() == "my featurekit notes"
    (tmp_path / name).unlink()
    for _ in range(2):  # its own files it replaces
        code, _, errors = featurekit(*asked)
        assert code == 0, errors


def test_predictions_that_are_not_those_of_a_run_are_refused_or_told(
    featurekit, one_line, extracted, tmp_path
):
    assert featurekit(*FIT, "--no-models")[0] == 0
    folder = tmp_path / "work" / "reports" / "table" / "predictions"
    path = folder / "gender--mean_color--logistic_regression.parquet"
    table = pd.read_parquet(path)
    table.iloc[3:].to_parquet(path)
    code, _, errors = featurekit("report")
    assert code == 0
    assert f"predictions of {path.stem} are stored for fewer faces than were scored" in errors
    shutil.copy(folder / "gender--mean_color--majority.parquet", path)
    again = "Fit it again: featurekit fit --model logistic_regression --target gender --folds 4 --no-models"
    one_line(featurekit("report"), f"predictions of {path.stem} do not give its scores", again)
    table.to_parquet(path)
    assert featurekit("report")[0] == 0


def test_the_margin_of_a_cheaper_model_is_an_option_of_the_report(featurekit, one_line, extracted, tmp_path):
    assert featurekit(*FIT, "--no-models")[0] == 0
    evidence = tmp_path / "work" / "reports" / "table" / "evidence.json"
    formats = ("--xlsx", "--model-card")
    for options, margin in ((), 0.01), (("--margin-points", "2.5", *formats), 0.025):
        code, output, errors = featurekit("report", *options)
        assert code == 0, errors
        assert json.loads(evidence.read_text())["targets"]["gender"]["margin"] == margin
    for name in ("report.html", "report.md", "report.xlsx", "model_card.md"):
        assert str(evidence.with_name(name)) in output
        assert evidence.with_name(name).stat().st_size > 1000
    one_line(
        featurekit("report", "--margin-points", "0"),
        "The margin must be a number above 0. Got 0 points instead.",
    )
    one_line(
        featurekit("report", "--margin-points", "nan"), "The margin must be a number above 0. Got nan points"
    )
    one_line(
        featurekit("report", "--margin-years", "1"),
        "--margin-years has no effect, because no model predicts age in years. Leave it out.",
    )
    one_line(
        featurekit("report", "--compare", "june", "july", "--margin-years", "1"),
        "--margin-years has no effect with --compare",
    )
    for options in (("--legal-age", "18"), ("--profile", "age-assurance")):
        one_line(
            featurekit("report", *options),
            "has no effect, because no model predicts age in years. Leave it out.",
        )
        one_line(
            featurekit("report", "--compare", "june", "july", *options),
            f"{options[0]} has no effect with --compare",
        )
    one_line(
        featurekit("report", "--profile", "age"), "Unknown profile of a report 'age'. Known: age-assurance."
    )


def test_a_format_that_the_report_does_not_have_is_refused(featurekit, one_line, extracted, tmp_path):
    for option in ("--xlsx", "--pdf", "--model-card"):
        one_line(
            featurekit("report", "--compare", "june", "july", option),
            f"{option} has no effect with --compare, whose report is HTML and Markdown only. Leave it out.",
        )
    assert featurekit(*FIT, "--no-models")[0] == 0
    one_line(
        featurekit("report", "--faces", "thumb", "--pdf"),
        "--pdf and --faces thumb cannot be combined",
    )
    assert not (tmp_path / "work" / "reports" / "table" / "report.html").exists()


@pytest.mark.slow
def test_two_comparisons_are_set_beside_each_other(featurekit, one_line, extracted, tmp_path):
    for name in ("june", "july"):
        code, _, errors = featurekit(*FIT, "--name", name, "--no-models")
        assert code == 0, errors
    code, output, errors = featurekit("report", "--compare", "june", "july")
    assert code == 0, errors
    assert "gender--mean_color--logistic_regression: no evidence of a difference" in output
    page = (tmp_path / "work" / "reports" / "july-against-june" / "report.md").read_text()
    assert "2 of 2 runs have exactly the same scores" in page
    one_line(
        featurekit("report", "--compare", "june", "august"),
        "There are no runs in",
        "that have runs: july, june",
    )


@pytest.mark.slow
@pytest.mark.parametrize("labels", ["gender=sex", "age=years"])
def test_a_data_set_with_one_kind_of_label_has_its_report(featurekit, portraits, tmp_path, labels):
    columns = ("image_path=file", "subject_id=person", labels)
    named = [word for column in columns for word in ("--column", column)]
    where = (portraits / "people.csv", "--root", portraits / "photos")
    for command in (
        ("prepare", "table", *where, *named),
        ("extract", "--backbone", "mean_color", "--detector", "whole_image"),
        ("fit", "--model", "logistic_regression", "--folds", "4"),
        ("audit",),
        ("report",),
        *([("report", "--profile", "age-assurance", "--legal-age", "20")] if labels == "age=years" else []),
    ):
        code, _, errors = featurekit(*command)
        assert code == 0, errors
    models = sorted((tmp_path / "work" / "models").iterdir())
    code, _, errors = featurekit("predict", portraits / "photos", "--sets", "--model", models[0])
    assert code == 1  # twelve persons are too few for a promise
    assert "--sets has no effect" in errors
    code, output, _ = featurekit("predict", portraits / "photos", "--model", models[0])
    assert code == 0
    assert output.count("\tok\t") == 24


def test_a_printed_report_is_written_beside_the_page(featurekit, extracted, tmp_path, monkeypatch):
    program = tmp_path / "browser"
    program.write_text(
        "#!/bin/sh\nfor one; do\n"
        'case "$one" in --print-to-pdf=*) printf "%s" "%PDF- of $one" > "${one#*=}";; esac\ndone\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("CHROME_PATH", str(program))
    assert featurekit(*FIT, "--no-models")[0] == 0
    code, output, errors = featurekit("report", "--pdf")
    assert code == 0, errors
    printed = tmp_path / "work" / "reports" / "table" / "report.pdf"
    assert printed.read_bytes().startswith(b"%PDF-")
    assert str(printed) in output
