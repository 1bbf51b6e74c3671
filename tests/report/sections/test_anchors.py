"""Published results stand beside a comparison that passed the same test."""

from typing import Any

import pytest

from featurekit.evaluation.results import Run
from tests.report.made_up import AGE_GROUPS, make_run, markdown_of, score


def on_adience(**changes: Any) -> Run:
    """Return a run on Adience's own folds."""
    run = make_run()
    facts = {
        "dataset": {**run.dataset, "name": "adience"},
        "folds": {**run.folds, "kind": "official"},
        "n_tested": 17_400,
    }
    return make_run(**{**facts, **changes})


def test_published_results_stand_beside_a_comparison_that_passed_the_same_test():
    runs = [on_adience(), on_adience(target="age_group", classes=AGE_GROUPS, scores={"accuracy": score(0.6)})]
    text = markdown_of(runs, "t").split("## Published results")[1].split("## ")[0]
    assert "| the best models of this comparison | **60.0 ± 1.2** | — | **80.0 ± 1.2** | yes |" in text
    assert "| Three convolutions, over-sampled (Levi &amp; Hassner 2015) | 50.7 ± 5.1 | 84.7 | 86.8" in text
    assert "no: its split is not known to be subject-exclusive" in text


def test_part_of_the_faces_is_not_the_same_test():
    text = markdown_of([on_adience(n_tested=266)], "t").split("## Published results")[1]
    assert "| no: 266 of 17,603 faces |" in text


@pytest.mark.parametrize(
    "changes", [{"dataset": make_run().dataset}, {"folds": {**make_run().folds, "kind": "made"}}]
)
def test_other_data_or_folds_are_not_set_beside_published_results(changes):
    assert "Published results" not in markdown_of([on_adience(**changes)], "t")
