"""What the page does in a browser: it sorts, filters and copies, and nothing leaves it."""

import csv
import io
from dataclasses import replace
from pathlib import Path
from time import process_time
from typing import Any

import pytest

from featurekit.checks.audit import Audit
from featurekit.evaluation.estimates import Estimate
from featurekit.evaluation.evidence import Evidence
from featurekit.evaluation.results import Run
from featurekit.evaluation.slices import Slice
from featurekit.findings import Finding
from featurekit.report.model import SIDE
from featurekit.report.select import best_first
from featurekit.uncertainty.conformal import Coverage
from featurekit.uncertainty.resampling import Interval
from tests.report.made_up import (
    COPY,
    HOSTILE,
    hostile_runs,
    make_audit,
    make_errors,
    make_evidence,
    make_run,
    score,
    trade,
    write_report,
)
from tests.report.sections.test_learning import make_curve


def opened(
    browser: Any, folder: Path, runs: list[Run], title: str, evidence: Evidence | None = None
) -> tuple[Any, list[str]]:
    """Open the report of some runs and return the page and what went wrong so far."""
    path = write_report(folder, runs, title, evidence)
    page = browser.new_page()
    wrong: list[str] = []
    page.on("console", lambda message: wrong.append(message.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda request: wrong.append(request.url) if request.url != path.as_uri() else None)
    # Whatever is copied is kept where the test can see it.
    page.add_init_script(
        "Object.defineProperty(navigator, 'clipboard',"
        " {value: {writeText: async (text) => { window.copied = text; }}})"
    )
    page.goto(path.as_uri())
    return page, wrong


def milliseconds_to_open(page: Any) -> float:
    """Return how long the browser worked on a page, from its last byte to the end of its load event."""
    # The event has no end while it is still being handled, also where goto() has returned.
    timing = "performance.getEntriesByType('navigation')[0]"
    page.wait_for_function(f"{timing}.loadEventEnd > 0")
    took: float = page.evaluate(f"{timing}.loadEventEnd - {timing}.responseEnd")
    return took


def first_table(page: Any) -> Any:
    return page.locator("figure:has(table)").first


def test_in_a_browser_sorting_works_and_nothing_leaves_the_page(browser, runs, tmp_path):
    page, wrong = opened(browser, tmp_path, runs, "t")
    table = first_table(page)
    column = (
        "[...document.querySelector('table:not(.legend)').tBodies[0].rows].map(row => row.cells[COLUMN])"
        ".map(cell => cell.dataset.value ?? cell.querySelector('bdi').textContent)"
    )
    table.get_by_role("button", name="Accuracy %").first.press("Enter")
    down = [float(value) for value in page.evaluate(column.replace("COLUMN", "3"))]
    assert down == sorted(down, reverse=True)
    table.get_by_role("button", name="Accuracy %").first.press("Enter")
    up = [float(value) for value in page.evaluate(column.replace("COLUMN", "3"))]
    assert up == sorted(up)
    assert table.locator("th[aria-sort]").count() == 1
    table.get_by_role("button", name="Model").click()
    names = page.evaluate(column.replace("COLUMN", "2"))
    assert names == sorted(names)
    assert wrong == []
    page.close()


def test_in_a_browser_more_columns_are_shown_when_they_are_asked_for(browser, runs, tmp_path):
    page, wrong = opened(browser, tmp_path, runs, "t")
    table = first_table(page)
    heads = table.locator("thead tr").last.locator("th:visible")
    few = heads.count()
    assert few <= 7
    table.get_by_role("button", name="More columns").click()
    assert heads.count() > few
    # The best comes first: the shortest fit, and the highest accuracy.
    table.get_by_role("button", name="Fit", exact=True).click()
    assert table.locator("th[aria-sort]").get_attribute("aria-sort") == "ascending"
    table.get_by_role("button", name="Fewer columns").click()
    assert heads.count() == few
    assert wrong == []
    page.close()


def test_in_a_browser_a_copied_table_is_csv_without_formulas(browser, tmp_path):
    page, wrong = opened(browser, tmp_path, [make_run(features="=cmd|' /C calc'!A0"), make_run()], "t")
    first_table(page).get_by_role("button", name=COPY).click()
    table = list(csv.DictReader(io.StringIO(page.evaluate("window.copied"), newline="")))
    assert [row["Features"] for row in table] == ["'=cmd|' /C calc'!A0", "dlib_age"]
    assert table[0]["Accuracy, % (on the faces found)"] == "80.0"
    assert table[0]["Accuracy, % (on the faces found), std"] == "1.23"
    assert table[0]["Size, bytes"] == "3456789"
    assert wrong == []
    page.close()


def test_in_a_browser_rows_are_filtered_by_words_and_the_copy_follows(browser, runs, tmp_path):
    page, wrong = opened(browser, tmp_path, runs, "t")
    table = first_table(page)
    shown = table.locator("tbody tr:visible")
    everything = shown.count()
    filter_ = page.get_by_role("searchbox").first
    filter_.fill("SVM gender")
    assert [row.inner_text().split()[2] for row in shown.all()] == ["svm"]
    page.get_by_role("button", name=COPY).first.click()
    copied = list(csv.DictReader(io.StringIO(page.evaluate("window.copied"), newline="")))
    assert [row["Model"] for row in copied] == ["svm"]
    assert table.locator(".counted").inner_text() == f"1 of {everything} rows"
    filter_.fill("no such model")
    assert shown.count() == 0
    assert table.locator(".counted").inner_text() == "No row has these words"
    assert page.locator("#said").inner_text() == f"0 of {everything} rows are shown."
    filter_.fill("")
    assert shown.count() == everything
    assert wrong == []
    page.close()


@pytest.mark.parametrize(
    ("width", "scheme"),
    [
        (1280, "light"),
        *(pytest.param(*one, marks=pytest.mark.slow) for one in ((1280, "dark"), (390, "light"))),
    ],
)
def test_in_a_browser_nothing_keeps_anybody_from_reading(browser, tmp_path, width, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    runs = [
        make_run(),
        make_run(classifier="mlp", scores={"accuracy": score(0.78)}),
        make_run(classifier="knn"),
    ]
    errors = {"gender": make_errors(runs[0])}
    more = {"errors": errors, "data_curves": {runs[0].name: make_curve(runs[0])}}
    path = write_report(tmp_path, runs, "t", make_evidence(runs), make_audit(), **more)
    # The checker is a script of its own, which the page's policy rightly refuses.
    context = browser.new_context(
        viewport={"width": width, "height": 800}, color_scheme=scheme, bypass_csp=True
    )
    page = context.new_page()
    page.goto(path.as_uri())
    for details in page.locator("details").all():
        details.evaluate("one => { one.open = true; }")
    assert page.evaluate("[...document.images].map(one => one.naturalWidth)") == [SIDE] * 5
    found = axe.Axe().run(page).response["violations"]
    assert [(one["impact"], one["id"], one["nodes"][0]["target"]) for one in found] == []
    context.close()


@pytest.mark.slow
def test_in_a_browser_nothing_keeps_anybody_from_reading_of_ages(browser, tmp_path):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    runs = [make_run("age"), make_run("age", classifier="mlp")]
    path = write_report(tmp_path, runs, "t", make_evidence(runs), profile="age-assurance")
    context = browser.new_context(viewport={"width": 390, "height": 800}, bypass_csp=True)
    page = context.new_page()
    page.goto(path.as_uri())
    page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
    assert page.locator(".plot.narrow svg:visible").count() >= 2
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    found = axe.Axe().run(page).response["violations"]
    assert [(one["impact"], one["id"], one["nodes"][0]["target"]) for one in found] == []
    context.close()


def test_a_page_of_many_runs_is_small_and_soon_there(browser, runs, tmp_path):
    targets = {}
    for target in ("age", "age_group", "gender"):
        targets |= make_evidence([run for run in runs if run.target == target]).targets
    assert len(runs) >= 40
    started = process_time()
    path = write_report(tmp_path, runs, "t", Evidence(of={}, seed=0, targets=targets), make_audit())
    assert process_time() - started < 2
    assert path.stat().st_size < 5e6
    page = browser.new_page()
    page.goto(path.as_uri())
    assert 0 < milliseconds_to_open(page) < 2000
    page.close()


def test_in_a_browser_hostile_text_runs_nothing(browser, tmp_path):
    page, wrong = opened(browser, tmp_path, hostile_runs(), HOSTILE)
    page.on("dialog", lambda dialog: wrong.append(dialog.message))
    for button in page.get_by_role("button", name=COPY).all():
        if button.is_visible():
            button.click()
    for details in page.locator("details").all():
        details.locator("summary").click()
    assert wrong == []
    page.close()


def test_in_a_browser_the_whole_verdict_of_three_targets_is_on_the_first_screen(browser, tmp_path):
    """Long names, two slices, a trade outside the margin and two broken promises: as full as it gets."""
    whole, known = [], {}
    for target in ("age_group", "gender", "age"):
        own = [
            make_run(
                target,
                "dlib_age+dlib_age:middle+dlib_gender+mobilenet_v2+mobilenet_v2:middle+dlib_face",
                name,
                parameters={"members": ["one", "other"]} if " of " in name else {},
                scores={"mae_years": score(4.7)}
                if target == "age"
                else {"accuracy": score(0.8), "within_one_group": score(0.9)},
            )
            for name in ("svm", "ensemble of svm and multitask_cnn (last epochs 9, learning rate 0.0005)")
        ]
        own += [make_run(target, classifier=name) for name in ("majority", "off_the_shelf")]
        low = tuple(
            ("age_band", Coverage(label, 400, 390, 0.744, Interval(0.701, 0.783), 18.0, p_value=0.001))
            for label in ("15-20", "60-100", "0-2")
        )
        worst = Slice(
            columns=("gender", "age_group"),
            labels=("female", "38-43"),
            n_faces=326,
            n_subjects=326,
            estimate=Estimate(0.233, 0.19, 0.279),
            gap=-0.53,
            gap_p=0.00005,
        )
        slices = (worst, replace(worst, columns=("age_group",), labels=("38-43",)))
        outside = (trade(best_first(own)[1], 0.009, is_within=False),)
        known |= make_evidence(own, coverage=low, slices=slices, trades=outside).targets
        whole += own
    close = {}
    for target in ("age_group", "gender", "age"):
        best = best_first([run for run in whole if run.target == target and not run.is_baseline])[0]
        close[best.name] = {
            "accuracy": 0.8,
            "accuracy without": 0.7312,
            "mae_years": 4.7,
            "mae_years without": 4.8,
        }
    found = Finding(
        name="suspiciously_close", severity="warning", count=977, of=11_532, what="Many.", details=close
    )
    audit = Audit(findings=(found,), folds="", features="dlib_face", runs=(), seed=0)
    evidence = Evidence(of={"faces": "aa8316565872"}, seed=0, targets=known)
    path = write_report(tmp_path, whole, "utkface-builtin", evidence, audit)
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.goto(path.as_uri())
    assert page.locator(".answer").count() == 3
    for answer in page.locator(".answer").all():
        for line in ("How sure", "Baselines", "Cost", "Worst slice", "Low coverage", "Data"):
            assert f"\n{line}" in answer.inner_text()
        box = answer.bounding_box()
        assert box["y"] + box["height"] < 800
    page.close()


@pytest.mark.parametrize("width", [320, 390, 1280])
def test_in_a_browser_the_page_is_as_wide_as_the_screen(browser, runs, tmp_path, width):
    page, _ = opened(browser, tmp_path, [*runs, *hostile_runs()], "t")
    page.set_viewport_size({"width": width, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") == width
    # Every label of every visible plot is inside its picture.
    cut_off = page.evaluate(
        """() => [...document.querySelectorAll('svg text')].filter(text => {
            const inner = text.getBoundingClientRect(), outer = text.closest('svg').getBoundingClientRect();
            return outer.width && (inner.left < outer.left - 1 || inner.right > outer.right + 1
                || inner.top < outer.top - 1 || inner.bottom > outer.bottom + 1);
        }).map(text => text.textContent)"""
    )
    assert cut_off == []
    page.close()


def test_in_a_browser_a_chosen_model_is_marked_in_the_rankings_and_the_figures(browser, runs, tmp_path):
    page, wrong = opened(browser, tmp_path, runs, "t")
    picker = page.get_by_role("combobox", name="Mark a model")
    assert picker.input_value() == ""
    picker.select_option("M2")
    marked = page.locator(".picked")
    numbers = "[...document.querySelectorAll('.CSS')].map(one => one.dataset.model)"
    assert marked.count() > 2
    assert set(page.evaluate(numbers.replace("CSS", "picked"))) == {"M2"}
    assert page.locator("table.numbered:not(.legend) tr.picked").count() >= 1
    assert page.locator("svg g.picked").count() >= 2
    first_table(page).locator("tbody tr").first.dispatch_event("pointerenter")
    assert set(page.evaluate(numbers.replace("CSS", "lit"))) == {"M1"}
    picker.select_option("")
    assert marked.count() == 0
    assert wrong == []
    page.close()


def test_in_a_browser_the_places_of_a_chosen_model_are_counted_once_aloud(browser, runs, tmp_path):
    """Each figure is there twice, for wide and for narrow screens, and a listener hears of one."""
    page, wrong = opened(browser, tmp_path, runs, "t")
    picker = page.get_by_role("combobox", name="Mark a model")
    places = """number => [
        [...document.querySelectorAll("tr")].filter(row => row.dataset.model === number).length,
        [...document.querySelectorAll("thead th")].filter(head => head.dataset.model === number).length,
        [...document.querySelectorAll(".block")].filter(
            block => block.querySelector(`.plot svg [data-model="${number}"]`)).length,
    ]"""
    for number in ("M1", "M2"):
        picker.select_option(number)
        n_rows, n_columns, n_figures = page.evaluate(places, number)
        assert n_rows >= 2
        assert n_columns >= 1
        assert n_figures >= 2
        said = f"{number} is marked in {n_rows + n_columns + n_figures} rows, columns and figures."
        assert page.locator("#said").inner_text() == said
        assert page.locator("svg g.picked").count() == 2 * n_figures
    picker.select_option("")
    assert page.locator("#said").inner_text() == "No model is marked."
    assert wrong == []
    page.close()


def test_in_a_browser_the_contents_and_the_headings_of_a_long_table_stay_in_sight(browser, tmp_path):
    many = [make_run(classifier=f"model_{number}") for number in range(40)]
    page, _ = opened(browser, tmp_path, many, "t")
    page.set_viewport_size({"width": 1280, "height": 800})
    last = first_table(page).locator("tbody tr").last
    last.scroll_into_view_if_needed()
    bar = page.locator("nav").bounding_box()
    heads = first_table(page).locator("thead").bounding_box()
    assert bar["y"] == 0
    assert bar["height"] - 2 <= heads["y"] <= bar["height"] + 2
    page.close()


def test_in_a_browser_what_is_folded_of_the_chosen_model_is_unfolded_and_marked(browser, tmp_path):
    runs = [make_run(classifier=f"m{n}", scores={"accuracy": score(0.9 - n / 100)}) for n in range(4)]
    page, wrong = opened(browser, tmp_path, runs, "t", make_evidence(runs))
    folded = page.locator("details", has_text="confusion matrix of M2 ·")
    captions = ("slices of the data, models side", "calibration and risk, models side")
    beside = [page.locator("details", has_text=text) for text in captions]
    assert folded.get_attribute("open") is None
    picker = page.get_by_role("combobox", name="Mark a model")
    picker.select_option("M2")
    assert folded.get_attribute("open") is not None
    for one in beside:
        assert one.get_attribute("open") is not None
        assert one.locator("thead .picked").count() == 1
        assert one.locator("thead .picked").get_attribute("data-heading").startswith("M2 · m1")
        assert one.locator("td.picked").count() == one.locator("tbody tr").count()
    picker.select_option("M4")  # of which there is none
    assert all(one.get_attribute("open") is None for one in beside)
    assert folded.get_attribute("open") is None
    assert wrong == []
    page.close()


@pytest.mark.slow
def test_in_a_browser_a_page_of_120_runs_is_open_in_two_seconds(browser, tmp_path):
    runs, targets = [], {}
    for target in ("age_group", "gender", "age"):
        name = "mae_years" if target == "age" else "accuracy"
        own = [make_run(target, classifier=f"m{n}", scores={name: score(0.9 - n / 100)}) for n in range(40)]
        targets |= make_evidence(own).targets
        runs += own
    path = write_report(tmp_path, runs, "t", Evidence(of={}, seed=0, targets=targets))
    page = browser.new_page()
    page.goto(path.as_uri())
    assert 0 < milliseconds_to_open(page) < 2000
    page.close()
