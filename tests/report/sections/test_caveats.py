"""The limitations at the end of the page."""

import re

from featurekit.evaluation.evidence import Evidence
from featurekit.evaluation.results import Run
from featurekit.evaluation.slices import Slice
from tests.report.made_up import make_evidence, make_run, markdown_of, score


def caveat(runs: list[Run], head: str, evidence: Evidence | None = None) -> str:
    """Return the limitation with a heading; "" if there is none."""
    last = markdown_of(runs, "t", evidence).split("## Limitations")[1]
    found = re.search(rf"- \*\*{head}\*\* (.*)", last)
    return found[1] if found else ""


def test_days_and_machines_are_those_of_the_runs():
    one_day = [make_run(), make_run(classifier="mlp")]
    assert caveat(one_day, "Time.") == "The runs were made on 2026-01-02 on Example 3000."
    later = make_run(
        classifier="knn",
        scores={"accuracy": score(0.5)},
        created="2026-02-03T00:00:00Z",
        hardware={"processor": "another"},
    )
    assert caveat([*one_day, later], "Time.") == (
        "The runs were made on 2 days from 2026-01-02 to 2026-02-03 on 2 machines. For each target, the"
        " times of one machine are shown: Example 3000 (Gender)."
    )
    assert caveat([make_run(created="")], "Time.") == ""


def test_what_faces_were_told_apart_by_is_read_from_the_evidence():
    runs = [make_run(), make_run(classifier="mlp")]
    assert "Differences between groups were not tested." in caveat(runs, "Groups.")
    assert "Differences were tested only between groups by age group, gender, hat" in caveat(
        runs, "Groups.", make_evidence(runs)
    )
    skin = Slice(columns=("skin_tone",), labels=("3",), n_faces=9, n_subjects=9, estimate=None)
    said = caveat(runs, "Groups.", make_evidence(runs, slices=(skin,)))
    assert "tested only between groups by skin tone" in said


def test_what_holds_of_other_targets_only_is_not_said():
    assert caveat([make_run("hat")], "Gender.") == caveat([make_run("hat")], "Apparent age.") == ""
    assert "(female, male)" in caveat([make_run()], "Gender.")
    assert caveat([make_run("age")], "Apparent age.") != ""
    own = [make_run(n_subjects=1234), make_run("age")]
    assert "counts as a subject of its own (Gender)." in caveat(own, "Subjects.")


def test_subjects_that_nobody_named_are_a_caution():
    assert "counts as a subject of its own" in markdown_of([make_run(n_subjects=1234)], "t")
    assert "counts as a subject of its own" not in markdown_of([make_run()], "t")


def test_models_on_vectors_of_a_feature_that_were_extracted_in_different_ways_are_named():
    run = make_run()
    (recipe,) = run.recipes
    later = make_run(classifier="mlp", recipes=({**recipe, "mirrored": True},))
    assert caveat([run, make_run(classifier="mlp")], "Vectors.") == ""
    assert caveat([run, later], "Vectors.").replace("\\", "") == (
        "For gender, mlp and svm were fitted on vectors of dlib_age:pooled that were extracted in different"
        " ways (with and without the mirror image). Differences between these models may come from the"
        " vectors. Fit the earlier ones again to compare them on the same vectors."
    )
    assert caveat([run, make_run("age", classifier="mlp", recipes=later.recipes)], "Vectors.") == ""
