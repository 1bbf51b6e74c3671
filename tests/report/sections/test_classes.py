"""The confusion matrix, and the recall of each class."""

from tests.report.made_up import make_run, markdown_of


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
