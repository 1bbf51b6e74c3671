"""The words that users read are those of the field: old words of this project must not come back.

DESIGN.md, "Words", lists them: the word of the field, and in brackets the old one. docs/glossary.md has the
words that are used, with one line each.
"""

import inspect
import re
from dataclasses import replace
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

import featurekit as fk
from featurekit.checks.audit import Audit
from featurekit.cli.app import app
from featurekit.data.manifest import REASONS
from featurekit.data.targets import AGE, GENDER
from featurekit.embeddings.recipe import make_recipes
from featurekit.evaluation.evidence import Evidence
from featurekit.evaluation.results import load_runs
from featurekit.evaluation.scores import SCORES, score_word
from featurekit.faces.face import STATUS_MEANINGS
from featurekit.faces.settings import default_settings
from featurekit.inference.model import TrainedModel
from featurekit.report.changes import compose_changes
from featurekit.report.displays.accuracy import AccuracyDisplay
from featurekit.report.displays.age_density import AgeDensityDisplay
from featurekit.report.displays.age_error import AgeErrorDisplay
from featurekit.report.displays.base import Display
from featurekit.report.displays.calibration import CalibrationDisplay
from featurekit.report.displays.confusion import ConfusionDisplay
from featurekit.report.displays.confusion_difference import ConfusionDifferenceDisplay
from featurekit.report.displays.cost import CostDisplay
from featurekit.report.displays.curves import PrecisionRecallDisplay, RocDisplay
from featurekit.report.displays.data_curve import DataCurveDisplay
from featurekit.report.displays.folds import FoldsDisplay
from featurekit.report.displays.learning_curves import LearningCurvesDisplay
from featurekit.report.displays.risk_coverage import RiskCoverageDisplay
from featurekit.report.displays.slices import SlicesDisplay
from featurekit.report.glossary import TERMS, glossary_page, terms_in
from featurekit.report.html import render_html
from featurekit.report.markdown import render_markdown
from featurekit.report.notebook import description_html, embeddings_html, model_html, results_html
from featurekit.report.page import compose
from featurekit.report.select import Ranked, best_first
from featurekit.uncertainty.calibration import Calibration
from featurekit.uncertainty.conformal import Coverage
from featurekit.uncertainty.resampling import Interval
from tests.report.made_up import (
    AGES,
    make_audit,
    make_errors,
    make_evidence,
    make_facts,
    make_run,
    make_runs,
    trade,
    trained_run,
)
from tests.report.sections.test_learning import make_curve

ROOT = Path(__file__).parents[1]

# Pattern of an old word → the word of the field.
OLD_WORDS = {
    r"exact(?! (duplicate|match|version|cop|same))": "accuracy",
    r"one[ -]off": "accuracy within one group",
    r"floors?": "baseline",
    r"deal(s|ing)?(?! with)|dealt(?! with)": "to make folds or a split",
    r"spreads?": "standard deviation",
    r"what chance comes from": "seed",
    r"(leave|leaves|leaving) room": "prediction set or prediction interval",
    r"hold(s|ing)? the truth": "coverage",
    r"unsure|declines?|declined": "abstain",
    r"surest": "most confident",
    r"pictures?": "image",
    r"as (it|they) comes?": "default parameters",
    r"(come|comes|came) to nothing": "diverged",
    r"who was read as whom": "confusion matrix",
    r"read (as|wrong|wrongly|worse)": "predicted as, misclassified, worse",
    r"(at|to) hand": "available",
    r"broken promise": "low coverage",
}


def made_up_pages():
    """Return reports with every section and note, as HTML and as Markdown."""
    low = Coverage("15-20", 400, 390, 0.744, Interval(0.701, 0.783), 18.0, p_value=0.0001)
    pages = [compose(make_runs(), "t")]
    for target in ("gender", "age", "age_group"):
        runs = [make_run(target, classifier=name) for name in ("svm", "mlp", "majority", "off_the_shelf")]
        elsewhere = make_run(target, classifier="xgboost", hardware={"processor": "another"})
        tuned = make_run(
            target, classifier="knn", tuned=True, search=({"parameters": {}, "candidates": 2, "score": 0.7},)
        )
        runs += [elsewhere, tuned, *([trained_run()] if target == "gender" else [])]
        evidence = make_evidence(
            runs, trades=(trade(runs[1], 0.009, is_within=False),), coverage=(("age_band", low),)
        )
        errors = {target: make_errors(runs[0])}
        apart = {elsewhere.name: "its predictions are not here"}
        pages.append(compose(runs, "t", evidence, make_audit("cd" * 32), errors=errors, apart=apart))
    ages = [make_run("age"), make_run("age", classifier="mlp")]
    pages.append(compose(ages, "t", make_evidence(ages), profile="age-assurance"))
    synthetic = make_run(dataset={**make_run().dataset, "synthetic": True, "name": "adience"})
    pages.append(compose([synthetic], "t"))
    official = {"number": 5, "kind": "official", "sha256": "ab"}
    pages.append(compose([make_run(dataset={**make_run().dataset, "name": "adience"}, folds=official)], "t"))
    before, after = [make_run(), make_run(classifier="mlp")], [make_run(seed=1)]
    pages += [compose_changes(one, after, ("june", "july"), {}) for one in (before, after)]
    text = "\n".join(render(page) for page in pages for render in (render_html, render_markdown))
    text = text.replace("<wbr>", "")
    for meaning in STATUS_MEANINGS.values():  # which meanings() has
        text = text.replace(meaning, "")
    return text


def meanings():
    """Return what reports and messages say of rows that are not used, or have no face."""
    return "\n".join([*STATUS_MEANINGS.values(), *REASONS.values()])


def kept_page():
    """Return the kept report without the findings of its audit, stored as they were, and others' licences."""
    folder = ROOT / "reports" / "utkface-builtin"
    page = compose(load_runs(folder), folder.name, Evidence.load(folder), Audit.load(folder))
    text = render_markdown(page)
    for start, end in (("## Audit of the data", "\n## "), ("Weight files and their licences**\n\n", "\n\n")):
        before, after = text.split(start)
        text = before + after.split(end, 1)[1]
    return text


def model_cards():
    cards, settings = [], default_settings("whole_image")
    for target, sets in ((GENDER, True), (AGE, False)):
        calibration = Calibration(missed=0.1, temperature=1.25) if sets else Calibration(missed=0.1)
        cards.append(
            TrainedModel(
                name="model",
                target=target,
                classifier="svm",
                estimator=None,
                settings=settings,
                recipes=tuple(make_recipes(["mean_color"], settings).values()),
                training={"dataset": "utkface", "n_faces": 9, "n_subjects": 8, "seed": 0, "synthetic": True},
                weights=make_run().weights,
                calibration=calibration,
            ).card()
        )
    return "\n".join(cards)


def notebook():
    """Return what a notebook shows of results, a data set, embeddings and models."""
    from tests.report.test_notebook import make_model

    runs = [make_run(), make_run(classifier="majority")]
    shown = [
        results_html(runs, make_evidence(runs), "t", {"a": "its predictions are not here"}),
        results_html(runs),
        results_html([]),
        embeddings_html("dlib_age", [("dlib_age:pooled", 256)], {"ok": 3}),
        description_html(make_facts("face")),
        model_html(make_model()),
        model_html(make_model(target=AGE)),
        model_html(make_model(calibration=None)),
    ]
    return "\n".join(shown)


def cards_for_hugging_face():
    """Return the model cards of all targets together, of one alone and of synthetic images."""
    from tests.report.test_model_card import RUNS, card_of

    synthetic = make_run(dataset={**make_run().dataset, "synthetic": True})
    return "\n".join(
        [card_of(RUNS, audit=make_audit()), card_of([trained_run()], bare=True), card_of([synthetic])]
    )


def displays():
    """Return the titles and explanations of the figures: of each kind, and of each kind of map."""
    from tests.report.test_displays import BANDS, make_map

    runs = best_first([make_run(), make_run(classifier="mlp"), make_run(classifier="majority")])
    ranked = Ranked("gender", runs, make_evidence(runs).targets["gender"])
    made = [
        AccuracyDisplay.of(ranked),
        AgeDensityDisplay(run="r", model="svm", target="Age", density=AGES.density),
        AgeErrorDisplay(run="r", model="svm", target="Age", bands=BANDS),
        CalibrationDisplay.find(ranked),
        ConfusionDisplay.of(runs[0]),
        ConfusionDifferenceDisplay.find(ranked),
        FoldsDisplay.of(ranked),
        PrecisionRecallDisplay.find(ranked),
        RocDisplay.find(ranked),
        CostDisplay.of(ranked),
        DataCurveDisplay.of(runs[0], make_curve(runs[0])),
        LearningCurvesDisplay.of(trained_run()),
        RiskCoverageDisplay.find(ranked),
        SlicesDisplay.find(ranked),
        make_map(),
        make_map(
            plane=replace(make_map().plane, method="umap", shares=None, n_all=90),
            model="svm",
            error_of="Gender",
        ),
    ]
    assert {type(one) for one in made} == set(kinds_of(Display))
    return "\n".join(f"{one.title}\n{one.help()}\n{one!r}" for one in made)


def kinds_of(kind):
    """Return the classes below a class of which objects are made."""
    below = kind.__subclasses__()
    return [one for one in below if not inspect.isabstract(one)] + [o for one in below for o in kinds_of(one)]


def scores():
    return "\n".join(f"{kind.title}\n{kind.meaning}\n{score_word(kind)}" for kind in SCORES.values())


def readme():
    return without_paths((ROOT / "README.md").read_text(encoding="utf-8"))


def documentation():
    """Return the pages of docs/, without what a benchmark has printed."""
    cluster, pages = ROOT / "docs" / "cluster.md", sorted((ROOT / "docs").rglob("*.md"))
    text = "\n".join(path.read_text(encoding="utf-8") for path in pages if path != cluster)
    text += re.sub(
        r"<!-- [^>]*: python .*?<!-- end of", "", cluster.read_text(encoding="utf-8"), flags=re.DOTALL
    )
    # Parts of an extraction, one after the other.
    return without_paths(text).replace("merged as they come", "")


def without_paths(markdown):
    """Return a page without the targets of its links and the scripts that it names."""
    return re.sub(r"\]\([^)]*\)|`python benchmarks/[^`]*`", "", markdown)


def help_texts():
    """Return `--help` of every command."""
    texts, waiting = [], [((), typer.main.get_command(app))]
    while waiting:
        path, command = waiting.pop()
        texts.append(CliRunner().invoke(app, [*path, "--help"], env={"COLUMNS": "200"}).output)
        waiting += [((*path, name), sub) for name, sub in getattr(command, "commands", {}).items()]
    assert len(texts) > 15
    # The option keeps its old name.
    return re.sub(r"--(no-)?pictures|default: pictures", "", "\n".join(texts))


def docstrings():
    """Return the docstrings of everything public, and of its methods."""
    texts = []
    for name in fk.__all__:
        one = getattr(fk, name)
        texts.append(inspect.getdoc(one) or "")
        if inspect.isclass(one):
            own = [member for key, member in vars(one).items() if not key.startswith("_")]
            texts += [inspect.getdoc(member) or "" for member in own]
    return "\n".join(texts)


def old_words_in(text):
    """Return the old words in a text, each with what stands around it."""
    text = re.sub(r"<(style|script)>.*?</\1>", "", text, flags=re.DOTALL)
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", text.replace("<wbr>", "")))
    return [
        f"…{text[max(one.start() - 40, 0) : one.end() + 40]}… (say: {word})"
        for pattern, word in OLD_WORDS.items()
        for one in re.finditer(rf"(?<![\w-])(?:{pattern})(?![\w-])", text, re.IGNORECASE)
    ]


@pytest.mark.parametrize(
    "surface",
    [
        made_up_pages,
        kept_page,
        model_cards,
        cards_for_hugging_face,
        notebook,
        displays,
        scores,
        glossary_page,
        meanings,
        readme,
        documentation,
        help_texts,
        docstrings,
    ],
)
def test_no_old_word_is_left(surface):
    found = old_words_in(surface())
    assert not found, "\n".join(found[:20])


@pytest.mark.parametrize(
    "text", ["Exact, %", "12 % one off", "The floor", "<b>folds</b> dealt by", "as it comes", "a picture."]
)
def test_the_search_finds_old_words(text):
    assert old_words_in(text)


def test_the_search_leaves_other_words_alone():
    assert not old_words_in("exactly the exact duplicates; floor_1; widespread; <style>.spread {}</style>")


# ---------------------------------------------------------------- the glossary


def test_the_glossary_page_is_what_the_code_generates():
    page = ROOT / "docs" / "glossary.md"
    assert page.read_text(encoding="utf-8") == glossary_page(), "Next: python benchmarks/kept_figures.py"


def test_terms_are_in_alphabetical_order_and_have_one_line_each():
    names = [term.name.casefold() for term in TERMS]
    assert names == sorted(names)
    assert len(set(names)) == len(names)
    assert all("\n" not in term.meaning and term.meaning.endswith(".") for term in TERMS)


def test_every_term_finds_itself():
    for term in TERMS:
        assert term in terms_in([re.sub(r" \(.*\)", "", term.name)]), term.name


def test_a_report_ends_with_the_terms_that_it_uses_and_no_others():
    runs = [make_run(), make_run(classifier="mlp"), make_run(classifier="majority")]
    with_evidence, without = (
        render_markdown(compose(runs, "t", evidence)).split("## Appendix: terms")[1]
        for evidence in (make_evidence(runs), None)
    )
    for term in ("accuracy", "baseline", "confusion matrix", "standard deviation"):
        assert f"| {term} |" in without
    for term in ("prediction set", "calibration error", "slice"):
        assert f"| {term} |" in with_evidence
        assert f"| {term} |" not in without
    html = render_html(compose(runs, "t"))
    assert html.index("<summary") < html.index("Terms that are used in this report</span></summary>")
