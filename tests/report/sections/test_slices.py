"""Slices as a chart, and the disparities between groups: the numbers are those of the evidence."""

import re
from dataclasses import replace

import pytest

from featurekit.evaluation.estimates import Estimate
from featurekit.evaluation.evidence import Evidence, ModelEvidence
from featurekit.evaluation.slices import Slice
from featurekit.report import frames
from featurekit.report.model import Figure, Table
from featurekit.report.sections import disparities, slices
from featurekit.report.select import Ranked
from tests.report.made_up import make_evidence, make_run, markdown_of, score

FEMALE = Slice(
    columns=("gender",), labels=("female",), n_faces=50, n_subjects=50, estimate=Estimate(0.8, 0.75, 0.86)
)
MADE_UP = (
    replace(FEMALE, columns=("gender", "age_group"), labels=("female", "4-6"), gap=-0.2, gap_p=0.001),
    replace(FEMALE, gap=-0.01, gap_p=0.4),
    replace(FEMALE, labels=("male",), estimate=Estimate(0.9123, 0.887, 0.94), gap=0.2, gap_p=0.05),
    replace(FEMALE, columns=("hat",), labels=("yes",), estimate=None),
)


def of(**changes) -> Ranked:
    runs = [make_run(scores={"accuracy": score(0.85)})]
    return Ranked("gender", runs, make_evidence(runs, **changes).targets["gender"])


def test_the_chart_has_a_mark_where_a_gap_is_shown_and_a_line_for_all_faces():
    plot, table = slices.blocks(of(slices=MADE_UP))
    assert isinstance(plot, Figure)
    for drawn in (plot.wide, plot.narrow):
        names = re.findall(r'class="name"[^>]*>([^<]+)<', drawn)
        assert names == ["all faces", "female, age 4-6", "female", "male"]
        assert (drawn.count('class="dot worse"'), drawn.count('<circle class="dot"')) == (1, 1)
        assert len(re.findall('<path class="dot hollow"', drawn)) == 1  # better, in another shape
        assert drawn.count('class="line all faces"') == 1
        numbers = re.findall(r'class="number"[^>]*>([^<]+)<', drawn)
        assert numbers == ["85.0 (83.0–88.0)", "80.0 (75.0–86.0)", "80.0 (75.0–86.0)", "91.2 (88.7–94.0)"]
    assert isinstance(table, Table)
    assert table.is_folded
    assert len(table.rows) == 4
    shown = [(cells[1].text, cells[1].count) for cells in table.rows[:3]]
    assert [f"{value} ({ends})" for value, ends in shown] == numbers[1:]
    assert "On all faces, the accuracy is 85.0 % (83.0–88.0)." in table.note


def test_a_mean_over_folds_that_is_another_number_is_told_from_the_score_on_all_faces():
    target = of(slices=MADE_UP)
    best = target.runs[0]
    shown = target.evidence.estimates[best.name]["accuracy"].value
    for mean, is_said in ((shown, False), (shown + 0.002, True)):
        run = replace(best, scores={"accuracy": score(mean)})
        for block in slices.blocks(replace(target, runs=[run]))[:2]:
            said = f"Its mean over the folds, {100 * mean:.1f} %, differs because the folds differ in size."
            assert (said in block.note) == is_said


def test_the_models_that_are_looked_at_stand_beside_each_other_in_the_order_of_the_first():
    runs = [make_run(classifier=f"m{n}", scores={"accuracy": score(0.9 - n / 100)}) for n in range(5)]
    better = (replace(MADE_UP[1], estimate=Estimate(0.7, 0.6, 0.8), gap=-0.2, gap_p=0.01), MADE_UP[0])
    beside = {runs[1].name: ModelEvidence(slices=better, confidence=None)}
    known = make_evidence(runs, slices=MADE_UP, beside=beside).targets["gender"]
    numbers = {run.name: place for place, run in enumerate(runs, 1)}
    _, _, table = slices.blocks(Ranked("gender", runs, known, numbers=numbers))
    assert [column.title[:7] for column in table.columns] == ["Slice", "M1 · m0", "M2 · m1"]
    shown = [[(cell.text, cell.is_strong) for cell in row] for row in table.rows]
    assert shown == [
        [("gender female, age group 4-6", False), ("80.0", True), ("80.0", True)],
        [("gender female", False), ("80.0", False), ("70.0", True)],
        [("gender male", False), ("91.2", False), ("—", False)],
    ]
    frame = frames.slices_frame(runs, Evidence(of={}, seed=0, targets={"gender": known}))
    assert list(frame["model"].map(lambda name: name[:2])) == ["m0"] * 4 + ["m1"] * 2


def test_what_the_marks_mean_is_said_only_where_there_are_some():
    plot, _ = slices.blocks(of(slices=MADE_UP))
    assert "Filled diamonds" in plot.note
    assert "Hollow diamonds" in plot.note
    plot, _ = slices.blocks(of(slices=MADE_UP[1:2]))
    assert "diamonds" not in plot.note
    assert "no evidence that the model is worse" in plot.note


def test_the_worst_are_drawn_and_all_are_in_the_table():
    many = tuple(replace(FEMALE, columns=("n",), labels=(str(number),)) for number in range(30))
    plot, table = slices.blocks(of(slices=many))
    assert plot.caption.endswith("the worst 10 of 30")
    assert plot.wide.count('<circle class="dot"') == 10
    assert len(table.rows) == 30


def test_without_a_score_there_is_a_table_alone():
    plot, table = slices.blocks(of(slices=MADE_UP[3:]))
    assert plot is None
    assert not table.is_folded
    assert slices.blocks(of(slices=())) == []


def test_disparities_are_those_of_the_frame():
    known = of()
    by_label, by_group = disparities.blocks(known)
    assert by_label.is_folded
    assert by_group.is_folded
    frame = frames.disparities_frame(known.evidence.disparities, "svm", "accuracy")
    of_all = frame[frame["group"] == ""].set_index(["measure", "predicted"])
    (row,) = by_label.rows
    cells = {
        f"{column.group} {column.title}": cell for column, cell in zip(by_label.columns, row, strict=True)
    }
    assert cells["Accuracy between groups Difference"].value == 100 * of_all["value"]["difference", ""]
    assert cells["Accuracy between groups Ratio"].value == of_all["value"]["ratio", ""]
    # The ratio of the class for which it is smaller, which is named.
    parity = cells["Demographic parity Ratio"]
    assert (parity.value, parity.others, parity.tag) == (0.7, (0.4, 0.95), "b")
    assert "Equalized odds Difference" not in cells
    female, male, other = by_group.rows
    of_female = frame[frame["group"] == "female"].set_index("measure")["value"]
    assert [cell.value for cell in female[2:]] == [
        pytest.approx(100 * of_female["accuracy"]),
        pytest.approx(100 * of_female["gap_to_reference"]),
        pytest.approx(of_female["ratio_to_reference"]),
        80,
        77,
    ]
    assert (male[1].tag, male[3].text) == ("reference", "—")
    assert other[2].text == "not enough data"
    assert "gender other" in by_group.note
    assert frame[frame["group"] == "other"]["value"].isna().tolist() == [True]


def test_disparities_are_in_the_markdown_file_and_only_where_groups_can_be_compared():
    runs = [make_run(scores={"accuracy": score(0.85)})]
    text = markdown_of(runs, "t", make_evidence(runs))
    assert "| gender | male (reference) | 50.0 (40.0–60.0) | — | — | 90 | 88 |" in text
    alone = replace(make_evidence(runs).targets["gender"].disparities[0], disparities=())
    assert "disparities of" not in markdown_of(runs, "t", make_evidence(runs, disparities=(alone,)))
    assert disparities.blocks(Ranked("gender", runs, None)) == []
