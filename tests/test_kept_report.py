"""The report on UTKFace that is kept in reports/: its first screen answers what an analyst asks first."""

import re
from pathlib import Path

import pytest

from featurekit.benchmark import load_runs
from featurekit.evidence import Evidence
from featurekit.report.tables import best_first, score_kind
from featurekit.report.verdict import answer

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "reports" / "utkface-builtin"
QUESTIONS = {
    "Which model?": ("Best", "Against"),
    "How sure?": ("How sure",),
    "At what cost?": ("Cost",),
    "For whom does it fail?": ("Fails most",),
}


@pytest.fixture(scope="module")
def answers():
    """What the first screen says of age groups: a word, and the sentence behind it."""
    runs = [run for run in load_runs(FOLDER) if run.target == "age_group"]
    return dict(answer(best_first(runs), Evidence.load(FOLDER).targets["age_group"]))


@pytest.mark.parametrize("question", QUESTIONS)
def test_readme_answers_with_the_numbers_of_the_first_screen(answers, question):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    sentence = re.search(
        rf"^- \*\*{re.escape(question)}\*\* (.*?)(?=\n- |\n\n)", readme, re.DOTALL | re.MULTILINE
    )
    assert sentence, f"README does not answer '{question}'"
    said = set(re.findall(r"\d+(?:[.,-]\d+)*", sentence[1]))
    shown = set(re.findall(r"\d+(?:[.,-]\d+)*", " ".join(answers[part] for part in QUESTIONS[question])))
    assert said
    assert said <= shown


def test_every_score_in_readmes_table_is_one_of_its_runs():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    runs = load_runs(FOLDER)
    columns = (("age_group", "exact"), ("age_group", "one_off"), ("gender", "exact"), ("age", "mae_years"))
    rows = re.findall(
        r"^\| (.*?) \| (.*?) \| (.*) \|$", readme.split("| features | classifier |")[1], re.MULTILINE
    )
    rows = [row for row in rows if "±" in row[2]]
    assert len(rows) > 15
    wrong = []
    for features, classifier, cells in rows:
        for (target, name), cell in zip(columns, cells.split(" | "), strict=True):
            kind = score_kind(name)
            named = [
                run
                for run in runs
                if run.target == target
                and run.classifier_name.startswith(classifier.removesuffix(" of the two"))
            ]
            shown = {
                f"{kind.format(run.scores[name]['mean'])} ± {kind.format(run.scores[name]['spread'])}"
                for run in named
            }
            if cell not in {"–", *shown}:
                wrong.append((features, classifier, cell))
    assert not wrong


def test_the_kept_page_shows_these_answers(answers):
    page = (FOLDER / "report.md").read_text(encoding="utf-8")
    verdict = page.split("## Verdict")[1].split("\n## ")[0].replace("\\", "")
    for word, sentence in answers.items():
        assert f"{word}: {sentence}" in verdict


def test_the_answers_are_on_the_first_screen(browser):
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.goto((FOLDER / "report.html").as_uri())
    for word in ("Best", "Against", "How sure", "Cost", "Fails most"):
        box = page.get_by_text(word, exact=True).first.bounding_box()
        assert box is not None
        assert box["y"] + box["height"] < 800, word
    page.close()
