"""Whether the best model knows when it is wrong; and where there is too little to say so."""

from tests.report.made_up import html_of, make_evidence, make_run, markdown_of


def test_where_there_is_not_enough_data_no_number_is_shown():
    runs = [make_run("age"), make_run("age", classifier="mlp")]
    text = markdown_of(runs, "t", make_evidence(runs))
    assert "| hat yes | not enough data | — | 9 | 4 |" in text
    assert "| 18 | 12.0 (10.0–15.0) | 200 | not enough data | 900 |" in text
    assert "1,111 subjects with equally many faces" in text


def test_the_page_says_whether_the_best_model_knows_when_it_is_wrong():
    text = markdown_of([make_run(), make_run(classifier="mlp")], "t", make_evidence([make_run()]))
    assert "| Confidence is off by, as it comes | 8.1 points (7.0–9.0) |" in text
    assert "| That temperature, mean | 1.38 |" in text
    assert "| Wrong among the surest 50 % of faces | 9.0 % |" in text
    assert "| all faces | 91.0 (90.0–92.0) | 1.25 | 1,234 |" in text
    assert "| hat yes | not enough data | — | 9 |" in text
    page = html_of([make_run()], "t", make_evidence([make_run()]))
    assert page.count("whether the best model (svm) knows when it is wrong") >= 2  # caption and summaries
