"""The report on UTKFace that is kept in reports/: its first screen answers what an analyst asks first."""

import re
from pathlib import Path

import pytest

from featurekit.benchmark import load_runs
from featurekit.datasets import DATASETS
from featurekit.evidence import Evidence
from featurekit.report.tables import best_first, score_kind
from featurekit.report.verdict import answer
from featurekit.weights import WEIGHTS

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


def cells_of(line):
    return [cell.strip().replace("\\", "") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


@pytest.mark.parametrize("page", sorted(ROOT.glob("reports/*/report.md")), ids=lambda page: page.parent.name)
def test_every_kept_page_has_the_terms_of_the_tables(page):
    """Terms that were corrected in the table are corrected in every page: one source for both."""
    text = page.read_text(encoding="utf-8")
    lines = text.split("Weight files and their licences**\n\n")[1].split("\n\n")[0].splitlines()
    names = cells_of(lines[0])
    rows = [dict(zip(names, cells_of(line), strict=True)) for line in lines[2:]]
    assert rows
    for row in rows:
        licences = WEIGHTS[row["Weights"]].licences
        shown = [row[f"Licence of the {part}"] for part in ("code", "weights")]
        shown.append(row["Terms of the training data"])
        assert shown == [licences.code, licences.weights, licences.training_data], row["Weights"]
    known = {one.name: one.licence for one in DATASETS}
    for name, terms in re.findall(
        r"^(\w+) names [\d,]+ rows\..* Terms of the data set: (.*)\.$", text, re.MULTILINE
    ):
        assert terms == known[name]
