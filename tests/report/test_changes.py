"""What the page on two comparisons says."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from featurekit.errors import WorkspaceError
from featurekit.evaluation.differences import Difference
from featurekit.evaluation.results import Run
from featurekit.report.changes import compose_changes
from featurekit.report.of_comparison import write_page
from featurekit.report.sections.differences import differences_table, p_values_table
from featurekit.report.select import Ranked
from featurekit.text import markdown
from tests.report.made_up import make_evidence, make_run, score


def changed_pair() -> tuple[list[Run], list[Run], dict[str, Difference]]:
    """Return the runs of two comparisons, and how those of one name differ."""
    old = [make_run(), make_run(classifier="mlp"), make_run(classifier="gone")]
    versions = {**old[0].versions, "numpy": "2.5.0"}
    new = [
        make_run(scores={"accuracy": score(0.82)}, versions=versions),
        make_run(classifier="mlp"),
        make_run(classifier="new"),
    ]
    found = Difference(
        first="after",
        second="before",
        gain=0.02,
        low=0.01,
        high=0.03,
        p_value=0.001,
        adjusted=0.002,
        limit=1 / 20_001,
        by_folds=None,
    )
    return old, new, {old[0].name: found}


def written(folder: Path, *of: Any) -> Path:
    """Write the page on two comparisons and return its path."""
    return write_page(folder / "report.html", compose_changes(*of))


def test_the_page_on_two_comparisons_says_what_changed_and_whether_it_matters(tmp_path):
    old, new, found = changed_pair()
    path = written(tmp_path, old, new, ("june", "july"), found)
    text = path.with_suffix(".md").read_text()
    assert text.startswith("# july against june\n")
    assert "There is evidence of a difference for 1 of 1 tested run: 1 better, 0 worse." in text
    assert "1 more run was not tested" in text
    assert "1 of 2 runs have exactly the same scores" in text
    assert "**Changed settings:** the versions." in text
    assert "| dlib_age | svm | 80.0 | 82.0 | **+2.0 (p 0.002)** |" in text
    assert "| dlib_age | mlp | 80.0 | 80.0 | — |" in text
    assert "Runs that are only in june: gender--dlib_age--gone." in text
    assert "| versions · numpy | 2.4.6 | 2.5.0 | 1 |" in text
    assert "<title>july against june · featurekit</title>" in path.read_text()


def test_a_p_value_at_the_limit_of_its_test_is_said_to_be_below_it(tmp_path):
    limit = 1 / 20_001
    runs = [make_run(), make_run(classifier="mlp", scores={"accuracy": score(0.78)})]
    known = make_evidence(runs, p=limit).targets["gender"]
    assert differences_table(Ranked("gender", runs, known), "t").rows[0][3].count == "p < 0.0001"
    assert p_values_table(Ranked("gender", runs, known), "t").rows[0][2].text == "p < 0.0001"
    old, new, found = changed_pair()
    at_limit = {name: replace(one, adjusted=limit) for name, one in found.items()}
    page = written(tmp_path, old, new, ("june", "july"), at_limit).with_suffix(".md")
    assert "**+2.0 (p < 0.0001)**".replace("<", markdown("<")) in page.read_text()
    # A test of few flips says no more than it can.
    of_few = {name: replace(one, adjusted=1 / 301, limit=1 / 301) for name, one in found.items()}
    page = written(tmp_path, old, new, ("june", "july"), of_few).with_suffix(".md")
    assert f"(p {markdown('<')} 0.004)" in page.read_text()


def test_where_nothing_changed_the_page_says_so(tmp_path):
    text = written(tmp_path, [make_run()], [make_run()], ("a", "b"), {}).with_suffix(".md").read_text()
    assert "nothing that influences the scores" in text
    assert "data, folds, recipes, weights, versions and hardware are the same" in text


def test_comparisons_without_a_common_run_are_one_line(tmp_path):
    with pytest.raises(WorkspaceError, match="no runs of the same name"):
        written(tmp_path, [make_run()], [make_run(classifier="mlp")], ("a", "b"), {})
    assert not list(tmp_path.iterdir())
