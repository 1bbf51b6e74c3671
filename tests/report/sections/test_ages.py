"""What the report says of predicted ages: errors at each age, and checks of legal ages."""

from tests.report.made_up import html_of, make_evidence, make_run, markdown_of, year_error

RUNS = [make_run("age"), make_run("age", classifier="mlp")]


def text_of(**changes):
    return markdown_of(RUNS, "t", make_evidence(RUNS, **changes))


def test_single_ages_of_young_adults_have_their_errors_and_empty_cells_are_named():
    years = [year_error(18, gender) for gender in ("", "female", "male")]
    years += [year_error(19, ""), year_error(19, "female", None), year_error(19, "male", 6.0)]
    text = text_of(years=tuple(years))
    assert "| 18 | 4.00 (3.00–5.00) | −1.50 | 50.0 | 40 | 4.00 (3.00–5.00) | −1.50 | 50.0 | 40 |" in text
    assert "| 19 | — | — | — | 4 | 6.00 (5.00–7.00) | −1.50 | 50.0 | 40 |" in text
    assert "The mean of the MAE over the 3 cells with enough subjects is 4.67 years." in text
    assert "have no number: 19 female, 20 female, 20 male, 21 female" in text


def test_without_genders_everybody_is_one_group():
    text = text_of()
    assert "| 18 | 4.00 (3.00–5.00) | −1.50 | 50.0 | 40 |" in text
    assert "over the 4 cells with enough subjects is 4.00 years" in text


def test_errors_by_age_are_drawn_with_a_line_for_each_gender():
    years = [year_error(age, gender) for age in (18, 19, 40) for gender in ("", "female", "male")]
    page = html_of(RUNS, "t", make_evidence(RUNS, years=tuple(years)))
    assert "by single year of age" in page
    assert "There is a solid line for male and a dashed line for female." in page
    figure = page.split("by single year of age</span>")[1].split("</details>")[0]
    assert figure.count('class="curve learned"') == figure.count('class="curve"') == 4  # wide and narrow
    one_age = make_evidence(RUNS, years=(year_error(18, ""),))
    assert "by single year of age" not in html_of(RUNS, "t", one_age)


def test_a_lowest_threshold_that_cannot_be_shown_is_not_invented():
    text = text_of()
    assert (
        "| 18 | 200 | 9 | 12.0 (10.0–15.0) | 12.0 (10.0–15.0) | not enough data | not enough data |" in text
    )
    assert "| age | 17 | 12.0 (10.0–15.0) | 200 | not enough data | 9 |" in text


def test_errors_on_all_faces_and_for_each_gender_have_their_intervals():
    text = text_of()
    row = "4.00 (3.00–5.00) | −0.40 (−0.90 to +0.10) | 6.00 (5.00–7.00) | 10.0 (5.0–20.0) | 50.0 (40.0–60.0)"
    for gender in ("all faces", "female", "male"):
        assert f"| {gender} | {row} | 70.0 (60.0–80.0) | 40 |" in text


def test_bands_of_young_people_have_counts_where_there_are_too_few_for_a_share():
    text = text_of()
    share = "25.0 (20.0–30.0)"
    assert f"| 13-15 | 46 | {' | '.join([share] * 4)} | 10 | 11 | 12 | 13 |" in text
    assert f"| under 13 | 46 | {' | '.join(['not enough data'] * 4)} | 10 | 11 | 12 | 13 |" in text


def test_predicted_ages_are_drawn_against_true_ages_with_their_numbers_below():
    page = html_of(RUNS, "t", make_evidence(RUNS))
    figure = page.split("true ages of the best model (M1)</span></summary>")[1].split("</details>")[0]
    assert figure.count('class="shade-7"') == 4  # the cell with most faces and its key, wide and narrow
    assert "Number of faces in cells of 5 × 5 years." in figure
    assert "| 0-9 | 128 | 3 | 131 |" in text_of()
    assert "| 10-19 | 0 | 2 | 2 |" in text_of()
