"""The difference of two confusion matrices, counted by hand."""

import numpy as np
import pandas as pd

from featurekit.data.targets import GENDER, Target
from featurekit.evaluation.confusions import confusion_difference

F, M = GENDER.classes


def table_of(said, true, rows=None):
    n = len(said)
    rows = np.arange(n) if rows is None else np.array(rows)
    return pd.DataFrame({"row": rows, "subject": rows, "fold": rows % 5, "true": true, "predicted": said})


def test_only_faces_that_both_models_predicted_count_as_points_of_their_row():
    true = [F, F, F, F, M, M]
    first = table_of([F, F, F, M, M, M], true)
    second = table_of([M, F, F, M, F, M, M], [*true, M], rows=[0, 1, 2, 3, 4, 5, 9]).iloc[::-1]
    found = confusion_difference(GENDER, "a", "b", {"a": first, "b": second}, seed=0)
    assert found.counts_first == ((3, 1), (0, 2))
    assert found.counts_second == ((2, 2), (1, 1))
    shares = [[found.difference(i, j) for j in (0, 1)] for i in (0, 1)]
    assert shares == [[0.25, -0.25], [-0.5, 0.5]]
    assert all(p is not None and p > 0.05 for row in found.p_values for p in row)


def test_a_clear_difference_is_shown_only_in_its_cells():
    true = np.array([F, M] * 100)
    good = table_of(true, true)
    wrong = (np.arange(200) % 2 == 0) & (np.arange(200) < 60)  # thirty women
    bad = table_of(np.where(wrong, M, true), true)
    found = confusion_difference(GENDER, "good", "bad", {"good": good, "bad": bad}, seed=0)
    assert [[found.is_shown(i, j) for j in (0, 1)] for i in (0, 1)] == [[True, True], [False, False]]
    assert found.p_values[1] == (None, None)
    back = confusion_difference(GENDER, "bad", "good", {"good": good, "bad": bad}, seed=0)
    assert back.difference(0, 1) == -found.difference(0, 1) == 0.3
    assert back.p_values == found.p_values


def test_twins_do_not_differ_and_a_class_without_faces_has_no_difference():
    table = table_of([F, F], [F, F])
    found = confusion_difference(GENDER, "a", "b", {"a": table, "b": table.copy()}, seed=0)
    assert found.p_values == ((None, None), (None, None))
    assert [found.difference(i, 0) for i in (0, 1)] == [0, None]


def test_without_common_faces_or_with_many_classes_there_is_nothing():
    one, other = table_of([F], [F]), table_of([F], [F], rows=[7])
    assert confusion_difference(GENDER, "a", "b", {"a": one, "b": other}, seed=0) is None
    many = Target("many", tuple(map(str, range(25))))
    table = table_of(["1"], ["1"])
    assert confusion_difference(many, "a", "b", {"a": table, "b": table}, seed=0) is None
