"""What each fold of a tuned run chose."""

import pytest

from featurekit.evaluation.results import Run
from tests.report.made_up import html_of, make_run, markdown_of


def tuned_run(target: str = "gender", score: float = 0.75) -> Run:
    search = tuple(
        {"parameters": {"C": C, "gamma": 0.5}, "score": score, "candidates": 12} for C in (2.0, 8.0)
    )
    return make_run(target, tuned=True, search=search)


@pytest.mark.parametrize("render", [html_of, markdown_of])
def test_a_tuned_run_is_called_so_and_says_what_each_fold_chose(render):
    page = render([make_run(), tuned_run()], "t").replace("<wbr>", "")
    assert "svm (tuned)" in page
    assert "C=2, gamma=0.5" in page
    assert "C=8, gamma=0.5" in page
    assert "75.0 %" in page
    assert "of the tuned runs" not in render([make_run()], "t")


def test_the_inner_score_of_years_is_an_error_in_years():
    page = markdown_of([tuned_run("age", score=-6.25)], "t")
    assert "6.25 years" in page


def test_a_fold_that_could_not_be_tuned_has_the_defaults():
    nothing = ({"parameters": {}, "score": None, "candidates": 0},)
    assert "default parameters" in markdown_of([make_run(tuned=True, search=nothing)], "t")
