"""Which differences are shown, by which test."""

from featurekit.report.sections.differences import N_COMPARED, differences_table, p_values_table
from featurekit.report.select import Ranked
from tests.report.made_up import html_of, make_evidence, make_run, markdown_of, score


def test_no_page_speaks_of_holm_and_every_page_of_the_test_that_was_made():
    runs = [make_run(), make_run(classifier="mlp", scores={"accuracy": score(0.78)})]
    text = markdown_of(runs, "t", make_evidence(runs, p=1 / 20_001))
    assert "Holm" not in text
    assert text.count("step-down max-T") >= 3
    assert "p &lt; 0.0001" in text
    assert "p 0.0000" not in text


def test_the_table_of_differences_reads_from_row_to_column():
    runs = [make_run(), make_run(classifier="mlp", scores={"accuracy": score(0.78)})]
    found = differences_table(Ranked("gender", runs, make_evidence(runs, p=0.03).targets["gender"]), "t")
    assert found is not None
    texts = [[cell.text for cell in row] for row in found.rows]
    assert texts == [["1", "svm · dlib_age", "·", "+2.0"], ["2", "mlp · dlib_age", "−2.0", "·"]]
    assert all(cell.is_strong and cell.count == "p 0.030" for cell in (found.rows[0][3], found.rows[1][2]))


def test_the_test_over_the_folds_is_a_second_opinion():
    runs = [make_run(), make_run(classifier="mlp", scores={"accuracy": score(0.78)})]
    found = p_values_table(Ranked("gender", runs, make_evidence(runs, p=0.02).targets["gender"]), "t")
    assert found is not None
    assert [cell.text for cell in found.rows[0]] == ["mlp · dlib_age", "+2.0", "p 0.020", "p 0.21"]
    assert found.rows[0][1].count == "−0.1 to +5.0"
    assert "p-values of two tests" in found.note
    assert "the best model against the others, with two tests" in html_of(runs, "t", make_evidence(runs))


def test_of_many_models_the_best_are_compared():
    runs = [
        make_run(classifier=f"m{number:02}", scores={"accuracy": score(0.8 - 0.01 * number)})
        for number in range(12)
    ]
    found = differences_table(Ranked("gender", runs, make_evidence(runs).targets["gender"]), "t")
    assert found is not None
    assert len(found.rows) == N_COMPARED
    assert "evidence.json has every pair" in found.note
