"""What cannot be compared is not ranked."""

import re

from tests.report.made_up import html_of, make_errors, make_evidence, make_run, markdown_of, rows_of, score


def apart_of(text: str, heading: str) -> str:
    """Return the last table of a section: of the runs that are set apart."""
    return text.split(f"## {heading}\n")[1].split("\n## ")[0].split("runs that are not in the ranking")[1]


def test_a_run_without_evidence_is_never_called_best():
    """The best score has a run whose predictions are not here; all that the page says is of the next one."""
    tested = [
        make_run(classifier=name, scores={"accuracy": score(mean)}) for name, mean in (("a", 0.8), ("b", 0.7))
    ]
    better = make_run(
        classifier="untested", scores={"accuracy": score(0.99)}, command="featurekit fit --model x"
    )
    errors = {"gender": make_errors(tested[0])}
    for text in (
        markdown_of([*tested, better], "t", make_evidence(tested), errors=errors),
        html_of([*tested, better], "t", make_evidence(tested), errors=errors).replace("<wbr>", ""),
    ):
        for caption in (
            "M1 · a · dlib_age",
            "confusion matrix of M1 · a · dlib",
            "the best model (M1) on slices of the data",
            "calibration and risk, models side by side",
            "prediction sets of the best model (M1)",
            "worst errors of the best model (a)",
            "The table shows by how many points M1 · a · dlib",
        ):
            assert caption in text.replace("\\_", "_"), caption
        assert text.count("untested") == 1
    text = markdown_of([*tested, better], "t", make_evidence(tested))
    # The first screen announces the best of the runs that are compared, and its score.
    announced = re.findall(r"^- \*\*Gender\*\*: .*$", text.replace("\\_", "_"), re.MULTILINE)
    assert announced == [
        "- **Gender**: M1 · a · dlib_age: **80.0 %** accuracy (78.0 to 83.0) on 1,234 faces",
    ]
    assert [cells[1] for cells in rows_of(text, "Gender")] == ["a", "b"]
    assert "| dlib_age | untested | its predictions are missing | featurekit fit --model x |" in apart_of(
        text, "Gender"
    )
    assert "3 runs · 1 of them not in the ranking" in text


def test_a_target_of_which_nothing_can_be_compared_says_why():
    runs = [make_run(), make_run("age")]
    apart = {runs[0].name: "labels of its target have changed since"}
    text = markdown_of(runs, "t", None, apart=apart)
    assert "labels of its target have changed since" in apart_of(text, "Gender")
    assert "**Gender**" not in text.split("## Age in years")[0]
    assert "No run can be compared" in markdown_of(runs[:1], "t", None, apart=apart)
    assert "<h2" in html_of(runs[:1], "t", None, apart=apart)


def test_a_reason_and_a_command_that_all_have_are_given_once():
    best, *others = [make_run(classifier=name, command="featurekit fit -m a") for name in ("a", "b", "c")]
    faces, labels = "faces were removed or added", "labels of its target have changed"
    table = apart_of(
        markdown_of([best, *others], "t", None, apart={run.name: faces for run in others}), "Gender"
    )
    assert [line for line in table.splitlines() if line.startswith("|")] == [
        "| Features | Model |",
        "| --- | --- |",
        "| dlib_age | b |",
        "| dlib_age | c |",
    ]
    assert f"Why each of them cannot be compared: {faces}. Command to fit all of them again:" in table
    different = {others[0].name: faces, others[1].name: labels}
    table = apart_of(markdown_of([best, *others], "t", None, apart=different), "Gender")
    assert f"| dlib_age | b | {faces} |\n| dlib_age | c | {labels} |" in table


def test_runs_of_different_folds_are_not_compared_in_silence():
    other = make_run(classifier="mlp", folds={"number": 5, "kind": "made", "seed": 1, "sha256": "cd" * 32})
    assert "cannot be compared" in markdown_of([make_run(), other], "t")
    assert "cannot be compared" not in markdown_of([make_run(), make_run(classifier="mlp")], "t")
