"""What a random split would have scored is told where persons repeat."""

import numpy as np

from featurekit.checks import inflation
from tests.checks.made_up import N, changed, found, strangers, vectors


def test_a_random_split_is_shown_to_score_what_it_has_seen(manifest):
    rng = np.random.default_rng(0)
    # Vectors say who somebody is and nothing else; labels belong to persons.
    persons = np.repeat(rng.normal(size=(N // 2, 300)), 2, axis=0) + 0.05 * rng.normal(size=(N, 300))
    gender = np.repeat(rng.choice(["female", "male"], N // 2), 2)
    one = found(changed(manifest, gender=gender), "inflation", embeddings=vectors(manifest, persons))
    scores = one.details["gender"]
    assert scores["accuracy"] < 0.6
    assert scores["accuracy of a random split"] > 0.75
    assert one.severity == "note"
    assert (
        f"{scores['accuracy of a random split']:.1%} instead of {scores['accuracy']:.1%} on gender"
        in one.what
    )


def test_where_nobody_repeats_a_random_split_is_as_good(manifest):
    alone = changed(manifest, subject_id=[f"s{number}" for number in range(N)])
    one = found(alone, "inflation", embeddings=vectors(manifest, strangers()))
    assert (one.severity, one.details) == ("ok", {})
    assert "cannot be computed" in one.what


def test_of_many_faces_whole_persons_are_drawn(manifest, monkeypatch):
    monkeypatch.setattr(inflation, "MOST_FITTED", 300)
    subjects = manifest.subjects
    rows = inflation._some_persons(subjects, seed=0)
    assert 200 < len(rows) <= 300
    assert not set(subjects[rows]) & set(np.delete(subjects, rows))
    one = found(manifest, "inflation", embeddings=vectors(manifest, strangers()))
    assert "300 of 400 faces" in one.what
