"""The confusion matrix, and the recall of each class."""

from tests.report.made_up import make_evidence, make_run, markdown_of, score


def test_a_matrix_is_in_percent_of_the_true_class_with_counts():
    run = make_run(confusion=((30, 10), (0, 0)), recall=(0.75, None))
    text = markdown_of([run], "t")
    assert "| female | 75 (30) | 25 (10) | 40 |" in text
    assert "| male | — (0) | — (0) | 0 |" in text


def test_a_large_table_of_classes_is_left_out():
    labels = tuple(f"c{i}" for i in range(60))
    run = make_run("color", classes=labels, confusion=tuple((1,) * 60 for _ in labels), recall=(0.1,) * 60)
    text = markdown_of([run], "t")
    assert "confusion matrix of" not in text
    assert "recall of each class" in text


def test_the_difference_of_two_matrices_is_in_points_of_the_row_with_both_counts():
    runs = [make_run(scores={"accuracy": score(0.9)}), make_run(classifier="mlp")]
    text = markdown_of(runs, "t", make_evidence(runs))
    assert "Gender: difference of two confusion matrices, M1 minus M2" in text
    assert "| female | **+10.0 (9 / 8)** | −10.0 (1 / 2) | 10 |" in text
    assert "| male | −10.0 (1 / 2) | +10.0 (9 / 8) | 10 |" in text
    assert "more often than M2 · mlp · dlib_age, on the faces that both models predicted" in text


def test_with_one_model_there_is_no_difference():
    assert "difference of two" not in markdown_of([make_run()], "t", make_evidence([make_run()]))
