"""The model card: Hugging Face reads its facts, and its numbers are those of the results."""

import re
from dataclasses import replace

import pytest

from featurekit.networks.weights import WEIGHTS
from featurekit.report.model_card import render_model_card
from featurekit.report.select import Ranked
from tests.report.made_up import HOSTILE, hostile_runs, make_audit, make_evidence, make_run

RUNS = [make_run(target) for target in ("age_group", "gender", "age")]


def card_of(runs, title="faces", **options):
    known = {run.target: make_evidence([run]).targets[run.target] for run in runs if not options.get("bare")}
    models = [Ranked(run.target, [run], known.get(run.target)) for run in runs]
    slices = {run.name: known[run.target].slices for run in runs if run.target in known}
    return render_model_card(title, models, runs, slices, options.get("audit"))


def read(text):
    """The card as Hugging Face's own library reads it; nothing is downloaded."""
    hub = pytest.importorskip("huggingface_hub")
    return hub.ModelCard(text)


def test_hugging_face_reads_every_score_of_every_model():
    card = read(card_of(RUNS, audit=make_audit()))
    found = {(one.task_name, one.metric_name): one for one in card.data.eval_results}
    for run, task in zip(RUNS, ("Age group", "Gender", "Age in years (regression)"), strict=True):
        own = [one for (name, _), one in found.items() if name == task]
        assert sorted(one.metric_value for one in own) == pytest.approx(
            sorted(of["mean"] for of in run.scores.values())
        )
        assert {one.dataset_name for one in own} == {"utkface"}
        assert not any(one.verified for one in own)
    assert found["Gender", "Macro-F1"].metric_type == "f1"
    assert found["Gender", "Macro-F1"].metric_args == {"average": "macro"}
    assert found["Age in years (regression)", "Mean absolute error, years"].metric_type == "mae"
    assert (card.data.license, card.data.library_name) == ("other", "featurekit")
    assert {"featurekit", "gender", "age"} <= set(card.data.tags)
    assert card.data.pipeline_tag is None  # one of the models is a regression


def test_a_card_has_the_sections_of_a_card_and_the_terms_of_the_table_of_weights():
    text = card_of(RUNS, audit=make_audit())
    headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert headings == [
        "Model details",
        "Intended use",
        "Out-of-scope use",
        "Data",
        "Metrics",
        "Limitations",
        "How to reproduce the results",
    ]
    entry = WEIGHTS["dlib_age"]
    assert entry.sha256 in text
    assert entry.licences.weights in text
    assert "| Accuracy, % | 80.0 (" in text
    assert "surveillance" in text.lower()
    assert re.search(r"^    featurekit report.* --model-card$", text, re.MULTILINE)


def test_slices_stand_on_the_card_with_their_intervals():
    [run] = runs = [make_run("gender")]
    slices = make_evidence(runs).targets["gender"].slices
    assert slices
    text = card_of(runs)
    for one in slices:
        if one.estimate:
            low, high = (f"{100 * end:.1f}" for end in (one.estimate.low, one.estimate.high))
            assert f"{100 * one.estimate.value:.1f} ({low}–{high})" in text
    assert "scores on slices" not in render_model_card("t", [Ranked("gender", [run], None)], runs, {})


def test_hostile_names_stay_texts_on_a_card():
    hostile = hostile_runs()[:1]
    text = card_of(hostile, title=HOSTILE, bare=True)
    card = read(text)
    assert not any(hidden in text for hidden in ("\u202e", "\x00", "\ud800"))
    assert card.data.to_dict()["tags"][-1].startswith(
        "<script>alert('x')</script>|\\u202egnp.exe\\x00\\n=1+1"
    )
    assert "<script>" not in re.sub(r"^---\n.*?\n---\n|^    .*$", "", text, flags=re.DOTALL | re.MULTILINE)
    words = replace(make_run("gender"), dataset={**make_run().dataset, "name": "yes: [no]"})
    assert {one.dataset_name for one in read(card_of([words])).data.eval_results} == {"yes: [no]"}


def test_a_card_of_synthetic_images_says_so():
    run = make_run("gender", dataset={**make_run().dataset, "synthetic": True})
    text = card_of([run])
    assert "# faces (synthetic: made-up portraits)" in text
    assert "say nothing about real faces" in text
    assert all("synthetic" in one.dataset_name for one in read(text).data.eval_results)
