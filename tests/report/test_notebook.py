"""What a notebook shows of results, data sets, embeddings and models: no script, nothing that leaks."""

import re
from dataclasses import replace

import pytest

from featurekit.data.manifest import Manifest
from featurekit.data.targets import AGE, GENDER
from featurekit.embeddings.description import VectorFacts
from featurekit.embeddings.recipe import make_recipes
from featurekit.faces.settings import default_settings
from featurekit.inference.model import TrainedModel
from featurekit.report.notebook import (
    dataset_html,
    description_html,
    embeddings_html,
    model_html,
    results_html,
)
from featurekit.report.sections.verdict import answer
from featurekit.report.select import Ranked, best_first
from featurekit.uncertainty.calibration import Calibration
from tests.report.made_up import HOSTILE, hostile_runs, make_evidence, make_facts, make_run, score


def make_model(**changes):
    settings = default_settings("whole_image")
    facts = {
        "name": "gender--svm",
        "target": GENDER,
        "classifier": "svm",
        "estimator": None,
        "settings": settings,
        "recipes": tuple(make_recipes(["pixels"], settings, device="cpu").values()),
        "training": {
            "dataset": "utkface",
            "n_faces": 11532,
            "n_subjects": 11000,
            "notes": ["A <b>note</b>."],
        },
        "weights": ({"name": "dlib_age", "licence_code": "BSL-1.0", "licence_weights": "CC0-1.0"},),
        "calibration": Calibration(missed=0.1, temperature=1.25),
    }
    return TrainedModel(**{**facts, **changes})


@pytest.fixture
def all_html(runs, manifest):
    """Everything that a notebook can show."""
    known = [run for run in runs if run.target == "gender"]
    table = manifest.table.assign(mood=HOSTILE.replace("\ud800", ""))
    ugly = Manifest(table, manifest.root, {**manifest.info, "licence": HOSTILE})
    return [
        results_html(known, make_evidence(known), "faces", {HOSTILE: HOSTILE}),
        results_html(hostile_runs(), None, HOSTILE),
        results_html([], None),
        dataset_html(ugly),
        embeddings_html(HOSTILE, [(HOSTILE, 256)], {"ok": 3, "no_face": 1}, dataset=HOSTILE),
        description_html(make_facts(HOSTILE), dataset=HOSTILE),
        model_html(make_model(name=HOSTILE, training={"dataset": HOSTILE, "notes": [HOSTILE]})),
    ]


def text_of(html):
    """What is read."""
    html = re.sub(r"<style>.*?</style>", "", html, flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub("<[^>]*>", " ", html.replace("<wbr>", "")))


def test_nothing_that_others_wrote_is_markup_and_there_is_no_script(all_html):
    for html in all_html:
        assert "<script" not in html
        assert not re.search(r"<[^>]* on\w+=", html)
        assert "\u202e" not in html
        assert "\x00" not in html
        assert "http" not in html.replace("https", "http").split("</style>")[1]
        html.encode()  # half a letter could not be sent to a browser


def test_every_name_of_the_style_is_its_own(all_html):
    for html in all_html:
        assert html.startswith('<div class="featurekit-html">')
        names = {name for names in re.findall(r'class="([^"]*)"', html) for name in names.split()}
        assert all(name.startswith(("fk-", "featurekit-html")) for name in names)
        style = re.search(r"<style>(.*?)</style>", html, re.DOTALL)[1]
        selectors = re.findall(r"([^{};]+)\{", re.sub(r"@supports[^{]*\{", "", style))
        assert selectors
        assert all(".featurekit-html" in one for rule in selectors for one in rule.split(","))
        assert " id=" not in html


def test_a_ranking_has_scores_intervals_counts_and_marks_baselines(runs):
    known = best_first([run for run in runs if run.target == "age_group"])
    evidence = make_evidence(known)
    text = text_of(results_html(known, evidence, "faces"))
    best, estimate = known[0], evidence.targets["age_group"].estimates[known[0].name]["accuracy"]
    assert (
        f"{100 * best.scores['accuracy']['mean']:.1f} ({100 * estimate.low:.1f}–{100 * estimate.high:.1f})"
        in text
    )
    for word in ("Accuracy, %", "Accuracy within one group, %", "Balanced accuracy, %", "Faces", "Subjects"):
        assert word in text
    assert "1,234" in text
    assert "majority baseline" in text
    assert "off_the_shelf off-the-shelf" in text
    assert ".frame() has all runs" in text
    answered = answer(Ranked("age_group", known, evidence.targets["age_group"]))
    assert f"{answered.model}: {answered.score} {answered.between}." in text
    for what, said in answered.lines:
        assert (said in text) == (what == "How sure")


def test_years_have_an_error_that_is_less_the_better():
    runs = [make_run("age", scores={"mae_years": score(5.0)}), make_run("age", classifier="majority")]
    text = text_of(results_html(runs))
    assert "Mean absolute error, years" in text
    assert "lower is better" in text
    assert "not available, so there are no confidence intervals" in text
    assert "5.00 ± 0.01" in text


def test_made_up_portraits_are_called_so(runs, manifest):
    run = make_run(dataset={**make_run().dataset, "synthetic": True})
    assert "synthetic: made-up portraits" in results_html([run])
    drawn = replace(manifest, info={**manifest.info, "synthetic": True})
    assert "synthetic: made-up portraits" in dataset_html(drawn)
    assert "synthetic: made-up portraits" not in results_html([make_run()])


def test_a_data_set_has_its_labels_and_why_rows_are_not_used(manifest):
    table = manifest.table.copy()
    table.loc[table.index[:3], "reason"] = "missing_file"
    table["mood"] = ["happy", "sad"] * (len(table) // 2) + ["happy"] * (len(table) % 2)
    text = text_of(dataset_html(replace(manifest, table=table)))
    n_usable = int((table["reason"] == "").sum())
    assert f"{len(table):,} rows, {n_usable:,} usable" in text
    assert "missing_file the file does not exist 3" in text
    assert re.search(r"mood \d+ (happy|sad) \d+, ", text)
    assert re.search(r"age \d+ [\d.]+ to [\d.]+ years", text)


def test_embeddings_say_what_they_are_made_of_and_what_was_lost():
    parts = [("dlib_age:pooled", 256), ("dlib_face:descriptor", 128)]
    text = text_of(embeddings_html("dlib_age+dlib_face", parts, {"ok": 1280, "no_face": 20, "failed": 0}))
    assert "1,280 faces found in 1,300 rows; vectors of length 384" in text
    assert "dlib_face:descriptor 128" in text
    assert "no_face no face was found 20" in text
    assert "failed" not in text


def test_a_model_says_what_it_predicts_from_what_and_its_licences():
    text = text_of(model_html(make_model()))
    for said in ("predicts gender with svm", "female, male", "utkface, 11,532 faces of 11,000 subjects"):
        assert said in text
    assert "temperature 1.25; prediction sets with a coverage of 90 %" in text
    assert "dlib_age: code BSL-1.0, weights CC0-1.0" in text
    years = text_of(model_html(make_model(target=AGE, calibration=Calibration(missed=0.1), weights=())))
    assert "prediction intervals with a coverage of 90 %" in years
    assert "no weights are used" in years
    assert "Calibration none" in text_of(model_html(make_model(calibration=None)))


# ---------------------------------------------------------------- in a browser

THEMES = {
    "the system's": ("", "", ("light", "dark")),
    "JupyterLab, dark": (
        "data-jp-theme-light='false'",
        "--jp-layout-color0: #111111; --jp-content-font-color1: rgba(255, 255, 255, 1)",
        ("light", "dark"),
    ),
    "JupyterLab, light": (
        "data-jp-theme-light='true'",
        "--jp-layout-color0: white; --jp-content-font-color1: rgba(0, 0, 0, 0.87)",
        ("light", "dark"),
    ),
    "VS Code, dark": (
        "class='vscode-dark'",
        "--vscode-editor-background: #1f1f1f; --vscode-editor-foreground: #cccccc",
        ("light", "dark"),
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("theme", THEMES)
def test_every_text_can_be_read_in_every_theme(browser, runs, manifest, theme):
    """Letters stand out from what is behind them by 4.5 to 1 (WCAG AA), and the page around is unchanged."""
    attributes, variables, schemes = THEMES[theme]
    known = [run for run in runs if run.target == "gender"]
    shown = results_html(known, make_evidence(known), "faces") + dataset_html(manifest)
    for scheme in schemes:
        page = browser.new_page(color_scheme=scheme)
        page.set_content(
            f"<!doctype html><body {attributes} style='{variables}'><p id='own' class='fk-none'>x</p>{shown}"
        )
        assert page.evaluate(LEAST_CONTRAST) >= 4.5
        own = page.evaluate("getComputedStyle(document.getElementById('own')).color")
        assert own == "rgb(0, 0, 0)"
        page.close()


# The least contrast of any text with the background of its block, as WCAG computes it.
LEAST_CONTRAST = """() => {
  const draw = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const light = (color) => {
    draw.clearRect(0, 0, 1, 1); draw.fillStyle = color; draw.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = draw.getImageData(0, 0, 1, 1).data;
    const linear = (v) => v <= 10 ? v / 3294 : ((v / 255 + .055) / 1.055) ** 2.4;
    const [x, y, z] = [r, g, b].map(linear);
    return .2126 * x + .7152 * y + .0722 * z;
  };
  const found = [];
  for (const block of document.querySelectorAll('.featurekit-html')) {
    const behind = light(getComputedStyle(block).backgroundColor);
    const texts = [...block.querySelectorAll("p, span, th, td, b")];
    const colors = texts.map((one) => getComputedStyle(one).color);
    for (const color of new Set(colors)) {
      const ink = light(color);
      found.push((Math.max(ink, behind) + .05) / (Math.min(ink, behind) + .05));
    }
  }
  return Math.min(...found);
}"""


def test_a_description_has_sizes_norms_ranks_pairs_and_differences():
    short = VectorFacts(feature="pixels:rgb", n_faces=3, length=27, dtype="uint8", precision="fp32")
    text = text_of(description_html([*make_facts("a.png"), short], dataset="faces"))
    for part in (
        "2 feature sets of faces",
        "1,234",
        "187.3",
        "0.999999",
        "a.png",
        "bf16",
        "0.123",
        "2.4",
        "—",
    ):
        assert part in text
    assert "No closest pairs are listed for vectors with fewer than 64 numbers" in text
    text = text_of(description_html([short]))
    assert "Cosine" not in text
    assert "fp32 vectors" not in text
