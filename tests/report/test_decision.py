"""What a new reader takes from the first screen of a report is what is stored.

decisions.json has answers written down from pictures of the first screen (1280 × 800) of three comparisons:
for each target which model, how sure is that, at what cost, for whom does it fail, and can the data be
trusted. The tests compute the answers from the stored runs, evidence and audit, and look for them on the
screen; if they fail because results have changed, read the page again.
"""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from featurekit.checks.audit import Audit
from featurekit.evaluation.cost import milliseconds
from featurekit.evaluation.evidence import Evidence
from featurekit.evaluation.results import load_runs
from featurekit.evaluation.scores import score_kind
from featurekit.report.html import render_html
from featurekit.report.page import compose
from featurekit.report.select import ranked_targets

REPORTS = Path(__file__).parents[2] / "reports"
SYNTHETIC = Path(__file__).with_name("decided") / "synthetic"
READ = json.loads(Path(__file__).with_name("decisions.json").read_text(encoding="utf-8"))
CASES = [(name, target) for name, targets in READ.items() for target in targets]


def stored(name):
    """Return the runs, the evidence and the audit of a comparison."""
    folder = SYNTHETIC if name == "synthetic" else REPORTS / "utkface-builtin"
    runs, evidence = load_runs(folder), Evidence.load(folder)
    if name == "genders alone":
        runs = [run for run in runs if run.target == "gender"]
        evidence = replace(evidence, targets={"gender": evidence.targets["gender"]})
    return runs, evidence, Audit.load(folder)


def answers(name, target):
    """Return the answers to the five questions, computed from what is stored."""
    runs, evidence, audit = stored(name)
    of = next(one for one in ranked_targets(runs, evidence) if one.name == target)
    known = evidence.targets[target]
    kind = score_kind(known.score)

    def shown(value):
        return f"{kind.format(value)} {kind.unit}"

    best, *others = [run for run in of.runs if not run.is_baseline]
    interval = known.estimates[best.name][kind.name]
    level = [run for run in others if not known.between(best.name, run.name).is_shown]
    within = next((one for one in known.trades if one.is_within), None)
    numbers = {run.name: of.number(run) for run in of.runs}
    worst = next(one for one in known.slices if len(one.columns) == 1 and one.estimate)
    close = next((one for one in audit.findings if one.name == "suspiciously_close"), None) if audit else None
    without = close.details.get(best.name, {}).get(f"{kind.name} without") if close else None
    return {
        "model": of.number(best),
        "score": shown(best.scores[kind.name]["mean"]),
        "interval": [kind.format(interval.low), kind.format(interval.high)],
        "n_level": len(level),
        "ms": f"{milliseconds(best):.0f}",
        "faster_and_as_good": numbers[within.name] if within else None,
        "worst_label": f"{worst.columns[0].replace('_', ' ')} {worst.labels[0]}",
        "worst_score": shown(worst.estimate.value),
        "score_without_close_faces": shown(without) if without is not None else None,
    }


@pytest.mark.parametrize(("name", "target"), CASES)
def test_what_was_read_off_the_first_screen_is_what_is_stored(name, target):
    assert READ[name][target] == answers(name, target)


def said(read):
    """Return how the card of a target says each answer: its key → pattern of the text."""
    n_level, faster, without = map(read.get, ("n_level", "faster_and_as_good", "score_without_close_faces"))
    score, worst, label = (re.escape(read[key]) for key in ("score", "worst_score", "worst_label"))
    low, high = map(re.escape, read["interval"])
    others = rf"{n_level} other models \(" if n_level > 1 else r"(?!\d+ other models).+ \(M\d+\):"
    name = "(accuracy|mean absolute error)"
    return {
        "model": rf"^{read['model']}\b",
        "score": rf"^{score} {name}\b",
        "interval": rf"{name} \({low} to {high}\)",
        "n_level": rf"^How sure: Not shown to be better than {others}" if n_level else r"^How sure: Better",
        "ms": rf"^Cost: {read['ms']} ms per face",
        "faster_and_as_good": rf"A faster one, .+ \({faster}\), takes \d+ ms and is shown to lose less than"
        if faster
        else "No faster trained model is shown to lose less than",
        "worst_label": rf"^Worst slice: (None is .*The worst is )?{label}:",
        "worst_score": rf"{label}: {name} {worst} \(",
        "score_without_close_faces": rf"^Data: {re.escape(without)} \(",
    }


@pytest.mark.parametrize("name", READ)
def test_in_a_browser_what_was_read_is_on_the_first_screen(browser, tmp_path, name):
    runs, evidence, audit = stored(name)
    path = tmp_path / "report.html"
    path.write_text(render_html(compose(runs, name, evidence, audit)), encoding="utf-8")
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.goto(path.as_uri())
    cards = page.locator(".answer").all()
    assert len(cards) == len(READ[name])
    for card, read in zip(cards, READ[name].values(), strict=True):
        box, text = card.bounding_box(), card.inner_text().replace("\u00a0", " ")
        assert box["y"] + box["height"] <= 800
        patterns = said(read)
        assert patterns.keys() == read.keys()  # no answer is left out
        for answer, pattern in patterns.items():
            assert re.search(pattern, text, re.MULTILINE), (answer, pattern, text)
    page.close()
