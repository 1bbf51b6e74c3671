"""A face that is much like a training face is found."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from featurekit.checks import suspiciously_close
from featurekit.data.targets import GENDER
from tests.checks.made_up import N, folds_of, found, said, strangers, sure, vectors


def test_a_face_much_like_a_training_face_is_found_and_left_out_of_the_scores(manifest):
    values = strangers()
    values[2] = values[0] + 0.05 * strangers(1, seed=1)  # another subject, in another fold
    values[7] = values[6] + 0.05 * strangers(1, seed=2)  # the same subject: never on both sides
    proba = sure(manifest, GENDER)
    proba[[4, 5]] = proba[[4, 5]][:, ::-1]  # two mistakes in a fold of 80; the close faces are right
    runs = {"gender--network0--svm": said(manifest, GENDER, proba)}
    one = found(manifest, "suspiciously_close", embeddings=vectors(manifest, values), predictions=runs)
    assert (one.count, one.of, set(one.rows)) == (2, N, {"f000", "f002"})
    assert one.severity == "warning"  # 0.5 %
    scores = one.details["gender--network0--svm"]
    assert scores["accuracy"] == pytest.approx(1 - 2 / 80 / 5)
    assert scores["accuracy without"] == pytest.approx(scores["accuracy"])
    assert "gender--network0--svm scores 99.50% instead of 99.50%" in one.what


def test_a_score_without_close_faces_can_be_lower(manifest):
    values = strangers()
    values[2::10] = values[0::10] + 0.05 * strangers(N // 10, seed=1)  # fold 1 has copies of fold 0
    right = np.isin(np.arange(N) % 10, (0, 2))
    proba = np.where(right[:, None], sure(manifest, GENDER), sure(manifest, GENDER)[:, ::-1])
    runs = {"gender--a": said(manifest, GENDER, proba), "age--b": years(manifest, right)}
    one = found(manifest, "suspiciously_close", embeddings=vectors(manifest, values), predictions=runs)
    assert one.count == 2 * N // 10
    assert one.details["gender--a"] == {"accuracy": pytest.approx(0.2), "accuracy without": 0.0}
    assert one.details["age--b"] == {"mae_years": pytest.approx(8.0), "mae_years without": 10.0}
    assert "age--b scores 10.00 years instead of 8.00 years" in one.what


def years(manifest, right):
    true = manifest.table["age"].to_numpy()
    return pd.DataFrame(
        {
            "face_id": manifest.table["face_id"],
            "fold": folds_of(manifest).numbers,
            "true": true,
            "predicted": np.where(right, true, true + 10),
        }
    )


def test_a_person_left_out_of_training_is_close_to_nobody(manifest):
    values = strangers()
    values[7] = values[6] + 0.05 * strangers(1, seed=2)
    numbers = folds_of(manifest).numbers.copy()
    numbers[6] = (numbers[6] + 1) % 5
    crossing = folds_of(manifest, numbers, "official")
    one = found(manifest, "suspiciously_close", folds=crossing, embeddings=vectors(manifest, values))
    assert one.count == 0


def test_crowded_faces_are_not_called_close(manifest):
    values = strangers()
    values[:100] = values[0] + 0.1 * strangers(100, seed=1)  # a hundred much alike, as babies are
    one = found(manifest, "suspiciously_close", embeddings=vectors(manifest, values))
    assert (one.severity, one.count) == ("ok", 0)


def test_joined_parts_weigh_the_same_however_large_their_numbers(manifest):
    values = strangers()
    values[2] = values[0] + 0.05 * strangers(1, seed=1)
    loud = np.hstack([1000 * strangers(seed=3), values])
    same = np.hstack([values, values])
    for joined, n in ((loud, 0), (same, 2)):
        embeddings = vectors(manifest, joined, blocks=(64, 64))
        assert found(manifest, "suspiciously_close", embeddings=embeddings).count == n


@pytest.mark.parametrize(
    "values", [strangers(dim=8), np.full((N, 64), 7, np.uint8)], ids=["few numbers", "pixels"]
)
def test_vectors_that_do_not_tell_faces_apart_are_not_asked(manifest, values):
    embeddings = replace(vectors(manifest, values), vectors=values)
    one = found(manifest, "suspiciously_close", embeddings=embeddings)
    assert one.severity == "note"
    assert "cannot tell faces apart" in one.what


def test_of_many_faces_some_are_drawn(manifest, monkeypatch):
    monkeypatch.setattr(suspiciously_close, "MOST_TESTED", 100)
    one = found(manifest, "suspiciously_close", embeddings=vectors(manifest, strangers()))
    assert one.of == 100
    assert "drawn from 400" in one.what


def test_pieces_do_not_change_what_is_close(manifest, monkeypatch):
    values = strangers()
    values[2] = values[0] + 0.05 * strangers(1, seed=1)
    whole = found(manifest, "suspiciously_close", embeddings=vectors(manifest, values))
    monkeypatch.setattr(suspiciously_close, "_AT_ONCE", 1_000)
    assert found(manifest, "suspiciously_close", embeddings=vectors(manifest, values)) == whole
