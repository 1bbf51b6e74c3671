"""What parts of the training faces say on the question whether more would help."""

from dataclasses import replace

import numpy as np
import pytest

from featurekit.evaluation.data_curve import DataCurve, Point
from featurekit.evaluation.estimates import Estimate
from featurekit.report.displays.data_curve import DataCurveDisplay
from featurekit.report.html import render_html
from featurekit.report.markdown import render_markdown
from featurekit.report.page import compose
from tests.report.made_up import make_run


def make_curve(run, gain=(0.008, 0.003, 0.013)):
    """Return an invented curve of a run: a quarter, half and all of 9,200 faces, with the last gain."""
    score = "accuracy" if run.classes else "mae_years"
    value = run.scores[score]["mean"]
    points = []
    for one_in, step in ((4, 0.03), (2, 0.01), (1, 0.0)):
        mean = value - step if run.classes else value + 20 * step
        points.append(
            Point(
                one_in=one_in,
                n_faces=9200 / one_in,
                n_subjects=8000 / one_in,
                value=mean,
                std=0.004,
                folds=(mean, mean),
                low=mean - 0.006,
                high=mean + 0.006,
                gain=None if one_in == 4 else Estimate(*(gain if one_in == 1 else (0.02, 0.01, 0.03))),
            )
        )
    return DataCurve(run=run.name, key="", score=score, points=tuple(points))


def test_a_gain_is_only_claimed_if_its_interval_does_not_contain_zero():
    run = make_run()
    shown = DataCurveDisplay.of(run, make_curve(run)).answer("svm")
    assert shown == (
        "Doubling the training subjects, from 4,600 to 9,200 faces, improved the accuracy of svm by 0.8"
        " points (95 % interval +0.3 to +1.3; above 0 is better), so the curve has not levelled off, and more"
        " faces of the same kind may help."
    )
    unknown = DataCurveDisplay.of(run, make_curve(run, (0.002, -0.001, 0.005))).answer("svm")
    assert unknown == (
        "It is not shown that more training faces would help: with twice as many training subjects, from"
        " 4,600 to 9,200 faces, the accuracy of svm got 0.2 points better (95 % interval −0.1 to +0.5, which"
        " contains 0; above 0 is better)."
    )
    worse = DataCurveDisplay.of(run, make_curve(run, (-0.01, -0.02, -0.005))).answer("svm")
    assert (
        "worsened the accuracy of svm by 1.0 points (95 % interval −2.0 to −0.5; above 0 is better)." in worse
    )
    assert "may help" not in worse
    years = make_run("age")
    said = DataCurveDisplay.of(years, make_curve(years, (0.25, 0.1, 0.4))).answer("svm")
    assert (
        "improved the mean absolute error of svm by 0.25 years (95 % interval +0.10 to +0.40; above 0 is"
        " better)" in said
    )
    unsure = DataCurveDisplay.of(years, make_curve(years, (-0.05, -0.2, 0.1))).answer("svm")
    assert (
        "the mean absolute error of svm got 0.05 years worse (95 % interval −0.20 to +0.10, which" in unsure
    )
    stopped = replace(make_curve(run), points=(make_curve(run).points[0], make_curve(run).points[-1]))
    assert "With 4 times as many training subjects" in DataCurveDisplay.of(run, stopped).answer("svm")


@pytest.mark.parametrize("target", ["gender", "age"])
def test_the_page_has_the_curves_folded_and_only_where_there_are_any(target):
    runs = [make_run(target), make_run(target, classifier="mlp"), make_run(target, classifier="majority")]
    curves = {runs[0].name: make_curve(runs[0], (0.3, 0.1, 0.5))}
    page = compose(runs, "t", data_curves=curves)
    html, text = render_html(page), render_markdown(page)
    assert text.count("by the number of training faces**") == 1
    assert "| 1/4 | 2,300 | 2,000 |" in text
    assert "| all | 9,200 | 8,000 |" in text
    start = html.index("by the number of training faces</span></summary>")
    figure = html[html.rindex("<details", 0, start) : html.index("</details>", start)]
    assert figure.count("<svg") == 2
    assert figure.count("<circle") == 6
    assert "training faces" not in render_markdown(compose(runs, "t"))


def test_a_figure_has_the_numbers_of_the_table():
    run = make_run()
    frame = DataCurveDisplay.of(run, make_curve(run)).frame()
    assert list(frame["part"]) == [0.25, 0.5, 1.0]
    assert list(frame["n_faces"]) == [2300, 4600, 9200]
    assert frame["value"].iloc[-1] == run.scores["accuracy"]["mean"]
    assert np.isnan(frame["gain"].iloc[0])
    assert list(frame["gain"])[1:] == [0.02, 0.008]
