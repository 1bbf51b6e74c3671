"""Calibration, risk and coverage of the best model, and what is shown if there are not enough data."""

from tests.report.made_up import html_of, make_evidence, make_run, markdown_of


def test_where_there_is_not_enough_data_no_number_is_shown():
    runs = [make_run("age"), make_run("age", classifier="mlp")]
    text = markdown_of(runs, "t", make_evidence(runs))
    assert "| hat yes | not enough data | — | 9 | 4 |" in text
    assert (
        "| 18 | 200 | 9 | 12.0 (10.0–15.0) | 12.0 (10.0–15.0) | not enough data | not enough data |" in text
    )
    assert "| age | 17 | 12.0 (10.0–15.0) | 200 | not enough data | 9 |" in text
    assert "is 1,111 subjects with the same number of faces each" in text


def test_the_page_shows_the_calibration_of_the_best_model():
    text = markdown_of([make_run(), make_run(classifier="mlp")], "t", make_evidence([make_run()]))
    assert "| Calibration error | 8.1 points (7.0–9.0) |" in text
    assert "| Temperature, mean over the folds | 1.38 |" in text
    assert "| Risk at a coverage of 50 % | 9.0 % |" in text
    assert "| all faces | 91.0 (90.0–92.0) | 1.25 | 1,234 |" in text
    assert "| hat yes | not enough data | — | 9 |" in text
    page = html_of([make_run()], "t", make_evidence([make_run()]))
    assert (
        page.count("reliability diagram and risk–coverage curve of the best model (M1)") >= 2
    )  # caption and summaries
