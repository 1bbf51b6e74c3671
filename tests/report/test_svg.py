"""What is drawn stays inside its frame and covers nothing."""

import re
from dataclasses import replace

import pytest

from featurekit.evaluation.scores import SCORES
from featurekit.report.dot_plot import Point, dot_plot
from featurekit.report.drawing import axis
from featurekit.report.svg import Spot, confidence_plot, cost_plot


def test_no_number_in_the_plot_of_cost_lies_on_another_or_on_a_dot():
    """Three models as quick as each other, within a point, are four marks and dots a finger apart."""
    spots = [Spot(13.0, 74.0, "1"), Spot(13.1, 74.6, "2"), Spot(13.2, 74.8, "3"), Spot(90.0, 80.0, "4")]
    drawn = cost_plot(spots, SCORES["accuracy"], is_narrow=False, summary="s")
    words = re.findall(r'<text[^>]* x="([\d.]+)" y="([\d.]+)"[^>]*>(\d)</text>', drawn)
    assert sorted(mark for *_, mark in words) == ["1", "2", "3", "4"]
    places = [(float(x), float(y) - 4) for x, y, _ in words]
    dots = [
        tuple(map(float, dot))
        for dot in re.findall(r'<circle class="dot" cx="([\d.]+)" cy="([\d.]+)"', drawn)
    ]
    assert len(dots) == 4
    for number, (x, y) in enumerate(places):
        for other_x, other_y in [*dots, *places[:number]]:
            assert abs(x - other_x) > 10 or abs(y - other_y) > 8


@pytest.mark.parametrize("is_narrow", [False, True])
def test_scores_against_time_stay_inside_their_frame(is_narrow):
    spots = [Spot(0.02, 50.0, "1"), Spot(3.0, 71.5), Spot(40_000.0, 100.0, "2")]
    svg = cost_plot(spots, SCORES["accuracy"], is_narrow=is_narrow, summary="s")
    width, height = map(float, re.findall(r'viewBox="0 0 (\d+) (\d+)"', svg)[0])
    assert all(0 <= float(x) <= width for x in re.findall(r'(?:cx|x)="(-?[\d.]+)"', svg))
    assert all(0 <= float(y) <= height for y in re.findall(r'(?:cy|y)="(-?[\d.]+)"', svg))
    assert svg.count("<circle") == 3


@pytest.mark.parametrize(
    ("least", "most"), [(27.0, 39.0), (6.1, 7.1), (0.9, 1.2), (13.0, 90.0), (0.02, 40.0)]
)
def test_the_axis_of_times_says_what_they_are_also_where_all_are_alike(least, most):
    spots = [Spot(least, 50.0, "1"), Spot(most, 60.0, "2")]
    drawn = cost_plot(spots, SCORES["accuracy"], is_narrow=False, summary="s")
    below = float(re.findall(r'height="(\d+)"', drawn)[0]) - 30
    words = re.findall(r'<text[^>]* x="([\d.]+)" y="([\d.]+)"[^>]*>([\d.]+)</text>', drawn)
    times = [float(time) for _, y, time in words if below < float(y) < below + 10]
    assert len(times) >= 2
    assert times == sorted(set(times))
    assert all(least / 1.3 < time < most * 1.3 for time in times)


@pytest.mark.parametrize("is_narrow", [False, True])
def test_a_confidence_plot_of_extreme_numbers_stays_inside_its_frame(is_narrow):
    for bins, risks in (
        ([(100.0, 100.0)], [(5.0, 0.0), (100.0, 0.0)]),
        ([(0.0, 100.0), (100.0, 0.0)], [(100.0, 100.0)]),
    ):
        svg = confidence_plot(bins, risks, is_narrow=is_narrow, summary="s")
        width = float(re.findall(r'viewBox="0 0 (\d+)', svg)[0])
        assert all(0 <= float(x) <= width for x in re.findall(r'(?:cx|x)="(-?[\d.]+)"', svg))
        assert "nan" not in svg


@pytest.mark.parametrize("is_narrow", [False, True])
@pytest.mark.parametrize(("mean", "spread"), [(0.0, 0.0), (100.0, 0.0), (50.0, 60.0), (3.2e-9, 1e-9)])
def test_a_plot_of_extreme_numbers_stays_inside_its_frame(is_narrow, mean, spread):
    points = [
        Point("a" * 99, mean, mean - spread, mean + spread, "1.0"),
        Point("b", mean, mean, mean, "1.0", "baseline"),
    ]
    svg = dot_plot(points, SCORES["accuracy"], is_narrow=is_narrow, summary="s")
    width = float(re.findall(r'viewBox="0 0 (\d+)', svg)[0])
    places = [float(x) for x in re.findall(r'(?:cx|x)="(-?[\d.]+)"', svg)]
    assert places
    assert all(0 <= x <= width for x in places)


def test_a_baseline_far_from_the_models_is_an_arrow_and_does_not_squeeze_them():
    models = [Point("M1", 76.0, 75.0, 77.0, "76.0"), Point("M2", 70.0, 69.0, 71.0, "70.0")]
    near = Point("M3", 65.0, 64.0, 66.0, "65.0", "off-the-shelf")
    far = Point("M4", 40.0, 39.0, 41.0, "40.0 (39.0–41.0)", "baseline")
    svg = dot_plot([*models, near, far], SCORES["accuracy"], is_narrow=False, summary="")
    assert "←" in svg
    assert "40.0 (39.0–41.0)" in svg
    assert ">60<" not in svg
    assert 'class="line off-the-shelf"' in svg
    assert 'class="line baseline"' not in svg
    worse = replace(far, mean=140.0, low=139.0, high=141.0)
    assert "→" in dot_plot([*models, worse], SCORES["mae_years"], is_narrow=True, summary="")


def test_equal_scores_stand_on_an_axis_with_ticks_that_can_be_told_apart():
    low, high, ticks = axis(54.7, 54.7, 100.0)
    assert low < 54 < 54.7 < 55.5 < high
    assert ticks == [54.0, 54.5, 55.0, 55.5]


def test_every_fold_of_a_model_is_drawn_however_far_from_its_interval():
    models = [
        Point("svm", 74.2, 70.0, 78.0, "74.2", folds=(78.8, 75.8, 74.2, 57.6, 84.8)),
        Point("mlp", 73, 70, 76, "73"),
    ]
    svg = dot_plot(models, SCORES["accuracy"], is_narrow=False, summary="")
    at = {float(x) for x in re.findall(r'<circle class="fold" cx="([\d.]+)"', svg)}
    assert len(at) == 5
    assert min(at) > 0
    assert max(at) < 860
