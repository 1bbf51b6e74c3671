"""Folds: no person on both sides, every class trained, and the same folds for every run of a comparison."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featurekit.data.manifest import Manifest
from featurekit.data.splits import (
    Fold,
    FoldSet,
    check_folds,
    make_fold_set,
    official_folds,
    subject_exclusive_folds,
)
from featurekit.data.targets import AGE_GROUP, age_group_of
from featurekit.errors import FoldError


def rows(*numbers: int):
    return np.array(numbers, dtype=np.intp)


def make_manifest(n: int = 60, n_subjects: int = 20, **columns):
    """Faces of n_subjects people; every label occurs with several of them."""
    number = np.arange(n)
    age = [1.0, 5.0, 23.0, 28.0, 70.0]
    table = pd.DataFrame(
        {
            "face_id": [f"f{i}" for i in number],
            "image_path": [f"{i}.jpg" for i in number],
            "subject_id": [f"s{i % n_subjects}" for i in number],
            "age": [age[i % n_subjects % 5] for i in number],
            "age_group": [age_group_of(age[i % n_subjects % 5]) for i in number],
            "gender": [("female", "male")[i % n_subjects // 5 % 2] for i in number],
            "official_fold": -1,
            "box": "",
            "content": "",
            "reason": "",
        }
    ).assign(**columns)
    return Manifest(table, Path(), {"dataset": "made_up"})


def label_and_folds(manifest: Manifest, folds: FoldSet):
    """The folds of the rows with an age group, as the benchmark asks for them."""
    chosen = np.flatnonzero(manifest.labelled(AGE_GROUP))
    labels = AGE_GROUP.encode(list(manifest.table["age_group"].iloc[chosen]))
    return chosen, folds.folds(chosen, labels, manifest.subjects[chosen])


@settings(max_examples=40, deadline=None)
@given(
    subjects=st.lists(st.integers(0, 12), min_size=1, max_size=60),
    n_classes=st.integers(1, 4),
    n_folds=st.integers(2, 6),
    seed=st.integers(0, 5),
    data=st.data(),
)
def test_subjects_never_cross_and_every_face_is_tested_once(subjects, n_classes, n_folds, seed, data):
    people = np.array([f"s{number}" for number in subjects])
    labels = np.array(
        data.draw(st.lists(st.integers(0, n_classes - 1), min_size=len(people), max_size=len(people)))
    )
    try:
        folds = subject_exclusive_folds(labels, people, n_folds=n_folds, seed=seed)
    except FoldError:
        return
    assert len(folds) == n_folds
    assert sorted(np.concatenate([fold.test for fold in folds])) == list(range(len(people)))
    for fold in folds:
        assert not set(people[fold.train]) & set(people[fold.test])
        assert len(fold.test)
        assert set(labels[fold.train]) == set(labels)


def test_class_shares_are_as_equal_as_the_subjects_allow():
    subjects = np.repeat([f"s{i}" for i in range(50)], 4)
    labels = np.repeat(np.arange(50) % 5 == 0, 4).astype(int)
    for fold in subject_exclusive_folds(labels, subjects, n_folds=5):
        assert labels[fold.test].mean() == pytest.approx(0.2)


def test_the_seed_decides_the_folds():
    subjects = np.array([f"s{i}" for i in range(40)])
    labels = np.arange(40) % 2

    def tested(seed):
        return [fold.test.tolist() for fold in subject_exclusive_folds(labels, subjects, seed=seed)]

    assert tested(3) == tested(3)
    assert tested(3) != tested(4)


def test_fewer_subjects_than_folds_are_refused():
    with pytest.raises(FoldError, match=r"^There are 3 subjects, which is too few for 5 folds\.$"):
        subject_exclusive_folds(np.zeros(9, int), np.repeat(["a", "b", "c"], 3))


def test_a_class_that_only_one_subject_has_is_refused():
    subjects = np.array([f"s{i}" for i in range(12)])
    labels = np.array(["adult"] * 11 + ["child"])
    with pytest.raises(FoldError, match=r"has no training face of class child, because too few subjects"):
        subject_exclusive_folds(labels, subjects, n_folds=3)


def test_a_class_that_two_subjects_have_is_in_two_folds_whatever_the_seed():
    subjects = np.repeat([f"s{i}" for i in range(30)], 2)
    labels = np.where(np.isin(subjects, ["s4", "s17"]), "child", "adult")
    for seed in range(20):
        folds = subject_exclusive_folds(labels, subjects, n_folds=3, seed=seed)
        assert all("child" in labels[fold.train] for fold in folds)


def test_official_folds_test_each_number_once_and_leave_rows_in_no_fold_out():
    first, second, third = official_folds(rows(0, 2, -1, 1, 0))
    assert first.test.tolist() == [0, 4]
    assert first.train.tolist() == [1, 3]
    assert second.test.tolist() == [3]
    assert third.test.tolist() == [1]


@pytest.mark.parametrize(("numbers", "named"), [([4, 4], "all in fold 4"), ([-1, -1], "in no fold")])
def test_official_folds_that_leave_nothing_to_learn_from_are_refused(numbers, named):
    with pytest.raises(FoldError, match=named):
        official_folds(np.array(numbers))


def test_a_shared_subject_is_named():
    folds = [Fold(rows(2, 3), rows(0)), Fold(rows(0, 2), rows(1)), Fold(rows(0, 1), rows(2, 3))]
    subjects = np.array(["s1", "s2", "s14", "s14"])
    check_folds(folds, np.zeros(4, int), subjects)
    with pytest.raises(FoldError, match=r"^Fold 1 trains and tests on subject s14\.$"):
        check_folds([folds[0], Fold(rows(0, 2), rows(3))], np.zeros(4, int), subjects)


@pytest.mark.parametrize(
    ("folds", "message"),
    [
        ([Fold(rows(0, 1), rows())], "Fold 0 has no test face"),
        ([Fold(rows(), rows(0))], "Fold 0 has no training face"),
        ([Fold(rows(0, 1), rows(2))], "Fold 0 has no training face of class b"),
        ([Fold(rows(1, 2), rows(0)), Fold(rows(1, 2), rows(0))], "Row 0 is tested in more than one fold"),
    ],
)
def test_dishonest_folds_are_refused(folds, message):
    with pytest.raises(FoldError, match=message):
        check_folds(folds, np.array(["a", "a", "b"]), np.array(["s1", "s2", "s3"]))


def test_years_and_rows_without_a_label_are_no_classes():
    fold = Fold(rows(0, 1), rows(2))
    subjects = np.array(["s1", "s2", "s3"])
    check_folds([fold], np.array([3.0, 4.0, 5.0]), subjects)
    check_folds([fold], np.array(["a", "a", ""]), subjects)


def test_made_folds_serve_every_target_and_leave_unusable_rows_outside():
    reasons = np.where(np.arange(60) % 7 == 3, "duplicate", "")
    manifest = make_manifest(reason=reasons)
    folds = make_fold_set("trial", manifest, n_folds=4, seed=1)
    assert folds.kind == "made"
    assert folds.n_folds == 4
    assert ((folds.numbers == -1) == (reasons != "")).all()
    chosen, split = label_and_folds(manifest, folds)
    assert len(chosen) < manifest.usable.sum()  # 23 years lies between the groups
    for number, fold in enumerate(split):
        # Positions are those of the chosen rows, numbers those of the set.
        assert set(folds.numbers[chosen[fold.test]]) == {number}


def test_official_folds_win_over_made_ones():
    manifest = make_manifest(official_fold=np.arange(60) % 20 % 3)
    folds = make_fold_set("trial", manifest, n_folds=5)
    assert (folds.kind, folds.n_folds) == ("official", 3)
    assert folds.numbers.tolist() == (np.arange(60) % 20 % 3).tolist()


def test_official_folds_are_numbered_without_a_gap():
    official = np.array([1, 3, 4, -1])[np.arange(60) % 20 % 4]
    folds = make_fold_set("trial", make_manifest(official_fold=official))
    assert folds.numbers.tolist() == np.array([0, 1, 2, -1])[np.arange(60) % 20 % 4].tolist()


def test_a_subject_of_two_official_folds_is_tested_in_both_and_learned_from_in_neither():
    official = np.arange(60) % 20 % 3
    official[0] = 1  # s0 is in fold 0 otherwise
    folds = make_fold_set("trial", make_manifest(official_fold=official))
    assert folds.numbers.tolist() == official.tolist()
    rows, subjects = np.arange(60), np.array([f"s{i % 20}" for i in range(60)])
    split = folds.folds(rows, np.full(60, ""), subjects)
    assert 0 in split[1].test
    assert {20, 40} <= set(split[0].test)
    assert not {0, 20, 40} & (set(split[0].train) | set(split[1].train))
    assert {0, 20, 40} <= set(split[2].train)
    assert folds.crossing_subjects(rows, subjects) == 1


def test_official_folds_that_all_share_their_subjects_are_refused():
    with pytest.raises(FoldError, match=r"^Fold 0 has no training face: every other face is of a subject"):
        make_fold_set("trial", make_manifest(official_fold=np.arange(60) // 30))


@pytest.mark.parametrize("n_images", [1, 2, 5])
@pytest.mark.parametrize("n_subjects", [20, 40])
def test_a_small_table_in_which_nobody_is_of_the_same_age_is_stratified_by_gender(n_subjects, n_images):
    subject = np.repeat(np.arange(n_subjects), n_images)
    age = 16.0 + subject * 60 // n_subjects
    manifest = make_manifest(
        len(subject),
        subject_id=[f"s{i}" for i in subject],
        age=age,
        age_group=[age_group_of(a) for a in age],
        gender=[("female", "male")[i % 2] for i in subject],
    )
    folds = make_fold_set("trial", manifest)
    men = manifest.table["gender"].to_numpy() == "male"
    share = [men[folds.numbers == fold].mean() for fold in range(5)]
    assert share == pytest.approx([0.5] * 5, abs=0.126)


def test_two_faces_of_the_only_class_of_a_column_that_is_too_rare_to_be_a_stratum_are_put_into_folds():
    manifest = make_manifest(gender=["female"] * 58 + ["male"] * 2)
    folds = make_fold_set("trial", manifest)
    assert np.bincount(folds.numbers).tolist() == [12] * 5


def test_rare_joint_labels_and_columns_of_the_users_own_raise_no_warning():
    manifest = make_manifest(mood=["glad"] * 58 + ["sad", ""], note=[f"note {i}" for i in range(60)])
    assert make_fold_set("trial", manifest, n_folds=3).n_folds == 3


def test_rows_that_are_each_their_own_subject_are_put_into_folds_too():
    manifest = make_manifest(subject_id="")
    folds = make_fold_set("trial", manifest)
    assert np.bincount(folds.numbers).tolist() == [12] * 5


def test_a_saved_set_comes_back_the_same(tmp_path):
    folds = make_fold_set("trial", make_manifest())
    folds.save(tmp_path / "folds.json")
    loaded = FoldSet.load(tmp_path / "folds.json")
    assert loaded.sha256 == folds.sha256
    assert loaded.face_ids.tolist() == folds.face_ids.tolist()
    assert loaded.numbers.tolist() == folds.numbers.tolist()
    assert (loaded.name, loaded.kind, loaded.seed) == ("trial", "made", 0)


def test_other_folds_have_another_hash():
    manifest = make_manifest()
    hashes = {make_fold_set("trial", manifest, seed=seed).sha256 for seed in (0, 0, 1)}
    assert len(hashes) == 2


def test_an_edited_file_is_refused(tmp_path):
    path = tmp_path / "folds.json"
    make_fold_set("trial", make_manifest()).save(path)
    content = json.loads(path.read_text())
    content["numbers"][0] = (content["numbers"][0] + 1) % 5
    path.write_text(json.dumps(content))
    with pytest.raises(FoldError, match="was edited"):
        FoldSet.load(path)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"name": "a", "kind": "made", "seed": 0, "face_ids": 3}'])
def test_a_file_that_is_no_set_of_folds_is_refused(tmp_path, text):
    path = tmp_path / "folds.json"
    path.write_text(text)
    with pytest.raises(FoldError, match=r"does not contain folds\. Make new folds"):
        FoldSet.load(path)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(FoldError, match="Cannot read the folds"):
        FoldSet.load(tmp_path / "folds.json")


def test_folds_of_another_manifest_are_refused_and_the_rows_named(tmp_path):
    folds = make_fold_set("trial", make_manifest())
    ids = folds.face_ids
    folds.check_rows(ids, tmp_path)
    with pytest.raises(
        FoldError, match=r"1 row is new \(new\)\. Compare under another --name, or .*--new-folds"
    ):
        folds.check_rows(np.append(ids, "new"), tmp_path)
    with pytest.raises(FoldError, match=r"5 rows are gone \(f0, f1, f2, …\)"):
        folds.check_rows(ids[5:], tmp_path)
    with pytest.raises(FoldError, match="the rows are in a different order"):
        folds.check_rows(ids[::-1], tmp_path)


def test_a_target_that_too_few_subjects_have_is_refused_only_when_it_is_asked_for():
    groups = np.array(["25-32"] * 60, dtype=object)
    groups[3] = "0-2"
    manifest = make_manifest(age_group=groups)
    folds = make_fold_set("trial", manifest)
    with pytest.raises(FoldError, match=r"has no training face of class number 0 \(from 0\)"):
        label_and_folds(manifest, folds)
