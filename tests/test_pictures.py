"""The pictures of the documentation show what is stored, are small, and load nothing."""

import itertools
import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import typer

from featurekit.cli.app import app
from featurekit.evaluation.confidence import SHARES
from featurekit.evaluation.cost import milliseconds
from featurekit.evaluation.evidence import Evidence
from featurekit.evaluation.results import load_runs
from featurekit.report.displays.cost import pareto_front
from featurekit.report.select import ranked_targets
from tests.modules import BENCHMARKS, module_in
from tests.test_docs import unknown_words

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PICTURES = DOCS / "pictures"
FOLDER = ROOT / "reports" / "utkface-builtin"
DRAWN = sorted(path.name for path in PICTURES.glob("*.svg"))
AGAIN = "Next: python benchmarks/pictures.py results"


@pytest.fixture(scope="module")
def drawn_pictures():
    return module_in(BENCHMARKS, "_drawn_pictures")


@pytest.fixture(scope="module")
def ranked():
    return {of.name: of for of in ranked_targets(load_runs(FOLDER), Evidence.load(FOLDER))}


def stored(name):
    return (PICTURES / name).read_text(encoding="utf-8")


def test_figures_are_those_that_the_report_draws_of_the_stored_results(drawn_pictures):
    drawn = {**drawn_pictures.pictures_of(FOLDER), **drawn_pictures.flow_pictures()}
    assert set(DRAWN) == {*drawn, "terminal.svg"}
    assert [name for name, svg in drawn.items() if stored(name) != svg] == [], AGAIN


@pytest.mark.parametrize("name", DRAWN)
def test_a_drawn_picture_loads_nothing_and_shows_no_face(name):
    root = ElementTree.fromstring(stored(name))
    tags = {one.tag.rpartition("}")[2] for one in root.iter()}
    assert tags <= {"svg", "style", "g", "path", "rect", "circle", "polyline", "text", "title"} | {
        "defs",
        "clipPath",
    }
    assert not re.search(r"url\((?!#)|@import|href=|\bsrc\b|data:", stored(name))
    assert set(re.findall(r"https?://[^\"\s]*", stored(name))) == {"http://www.w3.org/2000/svg"}
    assert root.get("role") == "img"
    assert root.get("aria-label")


def test_pictures_are_small_and_each_is_on_a_page_with_a_text_that_says_what_it_shows():
    paths = [path for path in PICTURES.iterdir() if path.is_file()]  # those of the tutorial are outputs
    assert sum(path.stat().st_size for path in paths) <= 600_000
    assert (PICTURES / "portrait.jpg").stat().st_size <= 60_000
    pages = "\n".join(path.read_text(encoding="utf-8") for path in DOCS.rglob("*.md"))
    shown = dict(re.findall(r"!\[([^\]]*)\]\((?:\.\./)*pictures/([\w.-]+)\)", pages))
    shown = {name: alt for alt, name in shown.items()}
    names = {path.name for path in PICTURES.iterdir() if path.is_file()}
    assert set(shown) == {name for name in names if not name.endswith("-narrow.svg")}
    assert [name for name, alt in shown.items() if len(alt) < 40] == []


def test_a_page_has_the_drawing_itself_with_the_text_of_the_page(tmp_path):
    with_drawn_pictures = module_in(DOCS / "_pages", "drawn_pictures").with_drawn_pictures
    svg = '<svg aria-label="before">\n\n<g/></svg>'
    for name in ("a.svg", "a-narrow.svg", "b.svg"):
        (tmp_path / name).write_text(svg)
    html = '<p><img alt="Q &amp; A" src="../pictures/a.svg" /><img alt="B" src="pictures/b.svg"></p>'
    html += '<img alt="C" src="c/a.svg"><img alt="D" src="pictures/gone.svg">'
    drawing = '<svg aria-label="{}">\n<g/></svg>'
    assert with_drawn_pictures(html, tmp_path) == (
        f'<p><span class="fk-picture wide">{drawing.format("Q &amp; A")}</span>'
        f'<span class="fk-picture narrow">{drawing.format("Q &amp; A")}</span>'
        f'<span class="fk-picture scrolled" tabindex="0">{drawing.format("B")}</span></p>'
        '<img alt="C" src="c/a.svg"><img alt="D" src="pictures/gone.svg">'
    )


def test_commands_of_the_terminal_and_of_the_flow_can_be_typed(drawn_pictures):
    root = typer.main.get_command(app)
    texts = [one.text or "" for one in ElementTree.fromstring(stored("terminal.svg")).iter()]
    lines = " ".join(texts).replace("\xa0", " ")
    typed = [line.split("  ")[0].strip() for line in re.findall(r"featurekit [^$…]*", lines)]
    assert len([line for line in typed if line.split()[1:2]]) >= 4
    of_flow = [f"featurekit {command}" for *_, command in (*drawn_pictures.STEPS, *drawn_pictures.ENDS)]
    for line in (*typed, *of_flow):
        assert unknown_words(line, root) == [], line


# ---------------------------------------------------------------- what docs/results/utkface.md says of them


def test_the_first_three_models_overlap_and_fitted_models_beat_the_networks_own_classifiers(ranked):
    of = ranked["age_group"]
    found = [of.evidence.estimates[run.name]["accuracy"] for run in of.runs]
    assert all(a.low < b.high and b.low < a.high for a, b in itertools.combinations(found[:3], 2))
    [own] = [run for run in of.runs if run.classifier == "off_the_shelf"]
    first = of.runs.index(own)
    assert {run.classifier for run in of.runs[first + 1 :]} == {"majority"}
    assert sorted(of.number(run) for run in of.runs) == sorted(f"M{number}" for number in range(1, 17))


def test_most_mistakes_are_in_a_neighbouring_group(ranked):
    run = ranked["age_group"].runs[0]
    counts = np.array(run.confusion)
    away = np.abs(np.subtract.outer(range(len(counts)), range(len(counts))))
    assert counts[away == 1].sum() > counts[away > 1].sum()
    true, taken = run.classes.index("38-43"), run.classes.index("25-32")
    assert counts[true, taken] > counts[true, true]


def test_the_confidence_is_right_and_the_confident_half_is_wrong_in_less_than_a_tenth(ranked):
    confidence = ranked["age_group"].evidence.confidence
    assert max(abs(one.confidence - one.right) for one in confidence.bins) < 0.02
    [risk] = [risk for share, risk in zip(SHARES, confidence.risks, strict=True) if share == 0.5]
    assert risk < 0.1


def test_the_first_half_of_the_accuracy_costs_less_time_than_the_second(ranked):
    front = sorted(pareto_front(ranked["age_group"].runs), key=milliseconds)
    times = [milliseconds(run) for run in front]
    scores = [run.scores["accuracy"]["mean"] for run in front]
    half = np.interp((scores[0] + scores[-1]) / 2, scores, times)
    assert half - times[0] < times[-1] - half


def test_errors_grow_with_age_and_old_women_are_predicted_younger_than_old_men(ranked):
    years = [one for one in ranked["age"].evidence.years if one.error]

    def mean(gender, first, last, value):
        return np.mean([value(one) for one in years if one.gender == gender and first <= one.age < last])

    errors = [
        mean("", *band, lambda one: one.error.value) for band in ((0, 13), (13, 40), (40, 60), (60, 99))
    ]
    assert errors == sorted(errors)
    women, men = (mean(gender, 61, 99, lambda one: one.bias) for gender in ("female", "male"))
    assert women < men < 0
