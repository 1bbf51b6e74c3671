"""The page in a browser: 500 faces are filtered, selected and marked, and the marks are read by prepare."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import featurekit as fk
from featurekit.data.manifest import Manifest
from featurekit.data.marks import Mark, read_marks, write_marks
from featurekit.naming import Caller
from tests.explore.conftest import HOSTILE, make_project, open_page

expect = pytest.importorskip("playwright.sync_api", reason="playwright is not installed").expect
pytestmark = pytest.mark.slow
N_FACES = 500


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> fk.Project:
    Caller.is_command_line = True
    return make_project(tmp_path_factory.mktemp("many"), N_FACES)


@pytest.fixture
def opened(browser, serve):
    """Open a page, and return it and what went wrong so far."""
    contexts = []

    def open_(shown: Any, width: int = 1280, scheme: str = "light", **options: Any) -> tuple[Any, list[str]]:
        server = serve(shown)
        context = browser.new_context(
            viewport={"width": width, "height": 800}, color_scheme=scheme, **options
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(10_000)
        wrong: list[str] = []
        page.on("console", lambda message: wrong.append(message.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("dialog", lambda dialog: (wrong.append(dialog.message), dialog.dismiss()))
        page.on(
            "request",
            lambda request: (
                wrong.append(request.url) if not request.url.startswith((server.address, "data:,")) else None
            ),
        )
        page.goto(server.address)
        page.locator("#cards li").first.wait_for()
        return page, wrong

    yield open_
    for context in contexts:
        context.close()


def chosen(page: Any, name: str) -> Any:
    return page.get_by_role("combobox", name=name, exact=True)


def n_shown(page: Any) -> int:
    text = page.locator("#count").inner_text()
    return int(re.search(r"\d+", text)[0])


def test_in_a_browser_faces_are_filtered_selected_marked_and_read_by_prepare(
    many, opened, tmp_path, featurekit
):
    marks = tmp_path / "marks.csv"
    shown = open_page(many, marks)
    read = json.loads(shown.page)
    page, wrong = opened(shown)
    assert page.locator("#count").inner_text() == "All 500 faces"
    chosen(page, "Target (model)").select_option(label="Gender (logistic_regression · mean_color)")
    gender = next(one for one in read["targets"] if one["name"] == "gender")
    truth = next(one for one in read["columns"] if one["name"] == "gender")["values"]
    is_wrong = [one != other for one, other in zip(gender["predicted"], truth, strict=True)]
    # By error, label, prediction, confidence and suspicion.
    chosen(page, "Result").select_option("wrong")
    assert n_shown(page) == sum(is_wrong) > 20
    chosen(page, "Gender").select_option(label="male")
    assert n_shown(page) == sum(one and label == 1 for one, label in zip(is_wrong, truth, strict=True))
    page.get_by_label("Confidence, from").fill("60")
    sure = [
        row
        for row in range(N_FACES)
        if is_wrong[row] and truth[row] == 1 and gender["confidence"][row] >= 0.6
    ]
    assert n_shown(page) == len(sure) > 0
    chosen(page, "Order").select_option("confident")
    first = max(sure, key=lambda row: gender["confidence"][row])
    assert page.locator("#cards .file").first.get_attribute("title") == read["images"][first]
    page.get_by_role("button", name="Select these faces").click()
    assert (
        page.locator("#selected").inner_text()
        == f"{len(sure)} {'face is' if len(sure) == 1 else 'faces are'} selected."
    )
    chosen(page, "Mark them").select_option(label="with another Gender")
    chosen(page, "Value").select_option(label="female")
    page.get_by_role("button", name="Apply").click()
    page.get_by_role("button", name="Select none").click()
    page.get_by_role("button", name="Reset").click()
    assert n_shown(page) == 500
    page.get_by_label("Suspicious labels only").check()
    assert n_shown(page) == sum(map(bool, gender["suspicion"])) > 0
    page.get_by_role("button", name="Reset").click()
    # One face, by its file name.
    page.get_by_label("File name contains").fill("onerror=alert(1)")
    assert n_shown(page) == 1
    page.get_by_role("button", name="Open <img").click()
    dialog = page.get_by_role("dialog")
    assert dialog.get_by_role("heading").first.inner_text() == HOSTILE[0]
    dialog.locator("#near li button").first.wait_for()
    assert dialog.locator("#near li").count() == 12
    dialog.get_by_label("Exclude this face").check()
    dialog.get_by_label("Note").fill("=no face")
    dialog.get_by_role("button", name="Close").click()
    assert page.locator("#cards .marked").inner_text() == "excluded, “=no face”"
    assert page.locator("#state").inner_text() == f"{len(sure) + 1} marked faces, not written yet"
    page.get_by_role("button", name="Write the marks").click()
    expect(page.locator("#state")).to_contain_text(f"as in {marks}")
    assert wrong == []
    written = read_marks(marks)
    assert written[0] == Mark(HOSTILE[0], HOSTILE[0], "exclude", note="=no face")
    assert {one.image_path for one in written[1:]} == {read["images"][row] for row in sure}
    assert {one[2:5] for one in written[1:]} == {("label", "gender", "female")}
    # Read back by the page, and by prepare.
    page.reload()
    chosen(page, "Marks").select_option("some")
    assert n_shown(page) == len(sure) + 1
    where = many.folder.root.parent
    columns = ("image_path=file", "subject_id=person", "age=years", "gender=sex")
    code, output, errors = featurekit(
        *("prepare", "table", where / "people.csv", "--root", where / "photos", "--marks", marks),
        *(word for column in columns for word in ("--column", column)),
    )
    assert code == 0, errors
    labels = "1 label" if len(sure) == 1 else f"{len(sure)} labels"
    assert f"1 face excluded, {labels} replaced." in output
    table = Manifest.load(tmp_path / "work" / "manifest.csv").table
    assert table["reason"][0] == "excluded"
    assert set(table["gender"][sure]) == {"female"}


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({}, "the best model on the features of the map"),
        ({"features": "vgg16"}, "the best model of all features: none is on those of the map"),
        ({"asked": True}, "as asked for"),
    ],
    ids=["on the map", "not on the map", "asked for"],
)
@pytest.mark.parametrize("width", [1400, 390])
def test_in_a_browser_the_page_says_which_model_is_shown_and_how_another_is(
    many, opened, tmp_path, facts, said, width
):
    shown = open_page(many, tmp_path / "marks.csv")
    page, wrong = opened(replace(shown, page=json.dumps({**json.loads(shown.page), **facts}).encode()), width)
    choice, sentence = chosen(page, "Target (model)"), page.locator("#shown")
    for label in (
        "Gender (logistic_regression · mean_color)",
        "Age in years (logistic_regression · mean_color)",
    ):
        choice.select_option(label=label)
        assert sentence.inner_text() == (
            f"Shown: logistic_regression · mean_color, {said}. To see another:"
            " featurekit explore --model NAME"
        )
    assert sentence.bounding_box()["width"] > 250  # at any width it is read along lines
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert wrong == []


def test_in_a_browser_a_region_of_the_map_is_chosen_and_a_dot_is_opened(many, opened, tmp_path):
    page, wrong = opened(open_page(many, tmp_path / "marks.csv"))
    box = page.locator("#map").bounding_box()
    page.mouse.move(box["x"] + 5, box["y"] + 5)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] - 5, steps=3)
    page.mouse.up()
    half = n_shown(page)
    assert 50 < half < 450
    page.get_by_role("button", name="Zoom in").click()
    assert n_shown(page) == 500
    page.get_by_role("button", name="Whole map").click()
    page.get_by_label("File name contains").fill(HOSTILE[1])
    assert n_shown(page) == 1
    across, down = page.evaluate(
        """() => {
            const canvas = document.querySelector("#map");
            const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
            for (let at = 0; at < pixels.length; at += 4)
                if (pixels[at] > 150 && pixels[at + 2] < 60 || pixels[at] < 90 && pixels[at + 2] > 150)
                    return [(at / 4) % canvas.width, Math.floor(at / 4 / canvas.width)];
        }"""
    )
    page.mouse.click(box["x"] + across, box["y"] + down)
    dialog = page.get_by_role("dialog")
    assert dialog.get_by_role("heading").first.inner_text() == HOSTILE[1]
    page.keyboard.press("Escape")
    assert not dialog.is_visible()
    assert wrong == []


def test_in_a_browser_marks_that_cannot_be_written_are_said_and_stay(many, opened, tmp_path):
    marks = tmp_path / "marks.csv"
    page, _ = opened(open_page(many, marks))
    page.get_by_label(f"Select {HOSTILE[0]}").check()
    page.get_by_role("button", name="Apply").click()
    write_marks(marks, [Mark("a", "a", "exclude")])
    page.get_by_role("button", name="Write the marks").click()
    expect(page.locator("#state.trouble")).to_contain_text("has changed since the page was opened")
    page.context.set_offline(True)
    page.get_by_role("button", name="Write the marks").click()
    expect(page.locator("#state")).to_contain_text("There is no answer. Is featurekit explore still running?")
    assert read_marks(marks) == [Mark("a", "a", "exclude")]
    assert page.locator("#cards .marked").first.inner_text() == "excluded"


def test_in_a_browser_a_label_is_applied_only_when_a_new_one_is_chosen(many, opened, tmp_path):
    page, _ = opened(open_page(many, tmp_path / "marks.csv"))
    button = page.get_by_role("button", name="Apply")
    expect(button).to_be_disabled()
    page.get_by_label(f"Select {HOSTILE[0]}").check()
    expect(button).to_be_enabled()
    page.locator("#action").select_option("label-gender")
    expect(button).to_be_disabled()
    page.locator("#given").select_option(label="male")
    button.click()
    expect(page.locator("#state")).to_contain_text("1 marked face, not written yet")


def test_in_a_browser_hostile_names_run_nothing_and_nothing_leaves_the_page(many, opened, tmp_path):
    page, wrong = opened(open_page(many, tmp_path / "marks.csv"))
    titles = [one.get_attribute("title") for one in page.locator("#cards .file").all()[: len(HOSTILE)]]
    assert titles[:3] == list(HOSTILE[:3])
    assert "\\u202e" in titles[3]
    for name in HOSTILE[:3]:
        page.get_by_role("button", name=f"Open {name}", exact=True).click()
        page.get_by_role("dialog").locator("#near li button").first.wait_for()
        page.keyboard.press("Escape")
    chosen(page, "hair").select_option(label="<b>none</b>")
    chosen(page, "Colour by").select_option(label="hair")
    assert "<b>none</b>" in page.locator("#legend").inner_text()
    # The page loads its own pictures when they are looked at; one out of a name would be loaded at once.
    page.wait_for_function("[...document.images].every(one => one.complete || one.loading == 'lazy')")
    assert page.evaluate("document.querySelectorAll('img[onerror], b, main script').length") == 0
    assert wrong == []


@pytest.mark.parametrize(("width", "scheme"), [(1280, "dark"), (390, "light")])
def test_in_a_browser_nothing_keeps_anybody_from_using_the_page(many, opened, tmp_path, width, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    # The checker is a script of its own, which the page's policy rightly refuses.
    page, wrong = opened(open_page(many, tmp_path / "marks.csv"), width, scheme, bypass_csp=True)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    page.get_by_label(f"Select {HOSTILE[0]}").check()
    for state in ("page", "face"):
        if state == "face":
            page.locator("#cards button").first.click()
            page.locator("#near li button").first.wait_for()
        found = axe.Axe().run(page).response["violations"]
        assert [(one["impact"], one["id"], one["nodes"][0]["target"]) for one in found] == [], state
    assert wrong == []


def test_in_a_browser_a_page_without_models_has_no_filters_for_them(browser, opened, tmp_path):
    project = make_project(Path(tmp_path / "plain"), 12, models=False)
    page, wrong = opened(open_page(project, tmp_path / "marks.csv"))
    assert page.locator("#shown").count() == 0
    assert page.get_by_label("Result").count() == page.get_by_label("Target (model)").count() == 0
    chosen(page, "Gender").select_option(label="female")
    assert n_shown(page) == 6
    assert wrong == []
