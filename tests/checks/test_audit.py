"""What is wrong with a data set: every planted leak and wrong label is found, and nothing where is none."""

import csv
import json
import os
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from featurekit.checks import audit as library
from featurekit.checks.audit import Audit, audit
from featurekit.data.manifest import COLUMNS, Manifest
from featurekit.data.prepare import prepare
from featurekit.data.splits import FoldSet, make_fold_set
from featurekit.data.targets import AGE_GROUP, GENDER
from featurekit.embeddings.vectors import Embeddings
from featurekit.errors import FoldError, WorkspaceError

N = 400  # faces, two of each subject
CHECKS = (
    "subjects_across_folds",
    "identities_across_folds",
    "exact_duplicates",
    "label_conflicts",
    "near_duplicates",
    "suspiciously_close",
    "label_suspects",
    "class_balance",
    "inflation",
)


def a_table(n=N):
    numbers = np.arange(n)
    table = pd.DataFrame(dict.fromkeys(COLUMNS, [""] * n))
    table["face_id"] = [f"f{number:03}" for number in numbers]
    table["subject_id"] = [f"s{number // 2:03}" for number in numbers]
    table["image_path"] = [f"{number}.png" for number in numbers]
    table["content"] = [f"{number:064x}" for number in numbers]
    table["gender"] = np.where(numbers // 2 % 2, "female", "male")
    table["age_group"] = np.array(["0-2", "25-32", "60-100"])[numbers // 4 % 3]
    table["age"] = np.array([1.0, 30.0, 70.0])[numbers // 4 % 3]
    table["official_fold"] = -1
    return table


@pytest.fixture
def manifest(tmp_path):
    """Faces of 200 subjects without a fault."""
    return Manifest(a_table(), tmp_path)


def changed(manifest, **columns):
    """The same faces with other columns."""
    return Manifest(manifest.table.assign(**columns), manifest.root)


def dealt(manifest, numbers=None, kind="made"):
    """Folds: five, by subject, or as given by row."""
    numbers = np.arange(len(manifest)) // 2 % 5 if numbers is None else numbers
    ids = manifest.table["face_id"].to_numpy(dtype=str)
    return FoldSet("test", kind, 0, ids, np.asarray(numbers, np.intp))


def vectors(manifest, values, *, blocks=None):
    """Embeddings of all rows."""
    values = np.asarray(values, np.float32)
    blocks = blocks or (values.shape[1],)
    recipes = tuple(SimpleNamespace(feature=f"network{i}:end") for i in range(len(blocks)))
    ids = manifest.table["face_id"].to_numpy(dtype=str)
    return Embeddings(np.arange(len(ids)), ids, values, blocks, recipes)


def strangers(n=N, dim=64, seed=0):
    return np.random.default_rng(seed).normal(size=(n, dim))


def said(manifest, target, proba, folds=None):
    """What a run says of all faces, as a comparison keeps it."""
    classes = np.array(target.classes)
    columns = {
        "face_id": manifest.table["face_id"],
        "subject": np.arange(len(manifest)) // 2,
        "fold": dealt(manifest).numbers if folds is None else folds.numbers,
        "true": manifest.table[target.name],
        "predicted": classes[proba.argmax(axis=1)],
    }
    return pd.DataFrame(columns | {f"p_{label}": proba[:, i] for i, label in enumerate(classes)})


def sure(manifest, target, share=0.9):
    """Probabilities of a model that is right about every face."""
    true = target.encode(list(manifest.table[target.name]))
    n = len(target.classes)
    return np.full((len(true), n), (1 - share) / (n - 1)) + np.eye(n)[true] * (share - (1 - share) / (n - 1))


def found(manifest, name, *, folds=None, embeddings=None, predictions=None, pictures=False, **options):
    """One finding; folds are dealt by subject where none are given."""
    folds = dealt(manifest) if folds is None else folds
    return audit(manifest, folds, embeddings, predictions or {}, pictures=pictures, **options)[name]


# ---------------------------------------------------------------- nothing wrong, nothing yet


def test_a_clean_data_set_gives_no_warning(manifest, tmp_path):
    people(tmp_path, N, side=40)
    looked = audit(
        manifest,
        dealt(manifest),
        vectors(manifest, strangers()),
        {"gender--network0--svm": said(manifest, GENDER, sure(manifest, GENDER))},
    )
    assert tuple(one.name for one in looked.findings) == CHECKS
    assert {one.name: one.severity for one in looked.findings} == dict.fromkeys(CHECKS, "ok")
    assert [one.rows for one in looked.findings] == [()] * len(CHECKS)


def test_before_anything_was_done_each_check_says_what_to_run_first(manifest):
    looked = audit(manifest, None, None, {}, pictures=False)
    for name in ("subjects_across_folds", "suspiciously_close", "class_balance", "inflation"):
        assert looked[name].severity == "note"
        assert looked[name].advice.startswith("Next: featurekit fit")
    assert looked["label_suspects"].advice == "Next: featurekit fit."
    assert "--no-pictures" in looked["near_duplicates"].advice
    assert looked["exact_duplicates"].severity == "ok"  # needs nothing
    with_folds = audit(manifest, dealt(manifest), None, {}, pictures=False)
    for name in ("suspiciously_close", "inflation"):
        assert (with_folds[name].severity, with_folds[name].advice) == ("note", "Next: featurekit extract.")


def test_folds_of_other_rows_are_refused(manifest):
    others = replace(dealt(manifest), face_ids=np.array([f"g{i}" for i in range(N)]))
    with pytest.raises(FoldError, match="another manifest"):
        audit(manifest, others, None, {}, pictures=False)


# ---------------------------------------------------------------- who is on both sides


def test_a_person_on_both_sides_is_an_error_of_folds_we_made(manifest):
    numbers = dealt(manifest).numbers.copy()
    numbers[6] = (numbers[6] + 1) % 5
    one = found(manifest, "subjects_across_folds", folds=dealt(manifest, numbers))
    assert (one.severity, one.count, one.of, one.rows) == ("error", 1, 200, ("f006", "f007"))
    assert "--new-folds" in one.advice


def test_a_person_in_two_official_folds_is_a_warning_as_training_leaves_her_out(manifest):
    numbers = dealt(manifest).numbers.copy()
    numbers[[6, 9]] = (numbers[[6, 9]] + 1) % 5
    one = found(manifest, "subjects_across_folds", folds=dealt(manifest, numbers, "official"))
    assert (one.severity, one.count) == ("warning", 2)
    assert one.rows == ("f006", "f007", "f008", "f009")


def test_a_data_set_without_persons_is_said_to_have_none(manifest):
    # Identical files share a person whom prepare calls after a row.
    nameless = np.where(np.arange(N) == 3, "row:f003", "")
    one = found(changed(manifest, subject_id=nameless), "subjects_across_folds")
    assert (one.severity, one.count) == ("note", 0)
    assert "names no persons" in one.what


def test_a_user_on_both_sides_is_found_in_columns_that_are_called_so(manifest):
    users = np.array([f"u{number // 4}" for number in range(N)])  # two subjects each, in two folds
    users[:4] = ""  # not known
    one = found(changed(manifest, user_id=users, image_quality=users), "identities_across_folds")
    assert one.severity == "warning"
    assert (one.count, one.of) == (N - 4, N)
    assert one.details == {"user_id": {"shared": 99.0, "of": 99.0, "faces": 396.0}}


def test_users_who_are_on_one_side_are_no_finding(manifest):
    users = np.array([f"u{number // 2 % 5}" for number in range(N)])
    one = found(changed(manifest, user=users), "identities_across_folds")
    assert (one.severity, one.count) == ("ok", 0)


def test_a_photograph_with_several_faces_is_found_in_several_folds(manifest):
    content = manifest.table["content"].to_numpy().copy()
    box = np.full(N, "", dtype=object)
    content[2], box[0], box[2] = content[0], "0 0 9 9", "9 0 18 9"
    both = changed(manifest, content=content, box=box)
    one = found(both, "identities_across_folds")
    assert one.details == {"photograph (content)": {"shared": 1.0, "of": 399.0, "faces": 2.0}}
    assert one.rows == ("f000", "f002")
    assert found(both, "exact_duplicates").count == 0  # two faces are no copy


# ---------------------------------------------------------------- identical files


@pytest.fixture
def copied(manifest):
    """The first face is a copy of the third, of another person in another fold."""
    content = manifest.table["content"].to_numpy().copy()
    content[0] = content[2]
    return changed(manifest, content=content)


def test_identical_files_that_are_used_in_two_folds_are_an_error(copied):
    one = found(copied, "exact_duplicates")
    assert (one.severity, one.count, one.of, one.rows) == ("error", 2, N, ("f000", "f002"))
    assert one.details["groups"] == {"all": 1.0, "across folds": 1.0}


def test_identical_files_in_one_fold_are_a_warning(copied):
    numbers = dealt(copied).numbers.copy()
    numbers[:4] = 0
    assert found(copied, "exact_duplicates", folds=dealt(copied, numbers)).severity == "warning"


def test_identical_files_that_contradict_each_other_are_an_error_while_they_are_used(copied):
    one = found(copied, "label_conflicts")
    assert (one.severity, one.count, one.of, one.rows) == ("error", 1, 1, ("f000", "f002"))
    assert one.details == {"gender": {"groups": 1.0}}


def test_identical_files_that_agree_contradict_nobody(copied):
    agreeing = changed(copied, gender="male", age=30.0, age_group="25-32")
    one = found(agreeing, "label_conflicts")
    assert (one.severity, one.count, one.of) == ("ok", 0, 1)


def test_what_prepare_left_out_is_counted_and_harms_nobody(tmp_path):
    lines = ["image_path,gender,age"]
    people(tmp_path, 12)
    for number, copy, gender in ((12, 0, "male"), (13, 0, "male"), (14, 5, "female"), (15, 6, "male")):
        (tmp_path / f"{number}.png").write_bytes((tmp_path / f"{copy}.png").read_bytes())
        lines.append(f"{number}.png,{gender},30")
    lines += [f"{number}.png,male,30" for number in range(12)]
    (tmp_path / "people.csv").write_text("\n".join(lines) + "\n")
    manifest = prepare("table", tmp_path / "people.csv")
    assert manifest.info["tally"]["groups of identical files"] == 3
    looked = audit(manifest, None, None, {})
    copies, conflicts = looked["exact_duplicates"], looked["label_conflicts"]
    assert (copies.severity, copies.count, copies.of) == ("note", 7, 16)
    assert (conflicts.severity, conflicts.count, conflicts.of) == ("warning", 1, 3)
    assert set(conflicts.rows) == {"5.png", "14.png"}
    assert looked["near_duplicates"].count == 0  # exact copies are another finding


# ---------------------------------------------------------------- nearly identical pictures


def people(folder, n, *, of_one_hash=False, side=64):
    """Write 0.png, 1.png and so on: n different faces that have much in common, as aligned ones have."""
    rng = np.random.default_rng(0)
    waves = [(u, v) for u in range(20) for v in range(20) if 0 < u + v < 20]
    cosines = np.cos(np.outer(np.arange(20), (np.arange(side) + 0.5) * np.pi / side))
    bases = np.stack([np.outer(cosines[u], cosines[v]).astype(np.float32).ravel() for u, v in waves])
    frequency = np.array([u + v for u, v in waves])
    shared = rng.choice([-1, 1], len(waves)) / frequency
    for number in range(n):
        own = rng.normal(size=len(waves))
        # A hash is made of the signs of the lower half.
        like = shared * np.exp(0.5 * own) if of_one_hash else shared + 0.6 * own / frequency
        amounts = np.where(frequency < 11, like, 0.3 * own / frequency)
        grey = (amounts.astype(np.float32) @ bases).reshape(side, side, 1)
        pixels = np.clip(128 + 30 * grey + np.array([20, 0, -20]), 0, 255)
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{number}.png", compress_level=0)


@pytest.fixture
def few(tmp_path):
    """Pictures of 60 faces without a fault."""
    people(tmp_path, 60)
    return Manifest(a_table(60), tmp_path)


def test_a_picture_encoded_again_smaller_and_darker_is_found_on_the_other_side(few):
    for number, copy in ((8, 17), (30, 40)):  # on two sides, and in one fold
        with Image.open(few.root / f"{number}.png") as picture:
            again = picture.resize((59, 60)).point(lambda value: int(value * 0.8))
        again.save(few.root / f"{copy}.jpg", quality=60)
    paths = few.table["image_path"].replace({"17.png": "17.jpg", "40.png": "40.jpg"})
    planted = changed(few, image_path=paths)
    one = found(planted, "near_duplicates", pictures=True)
    assert one.severity == "warning"
    assert (one.count, one.of, one.rows) == (4, 60, ("f008", "f017"))
    assert (one.details["groups"]["all"], one.details["groups"]["across folds"]) == (2, 1)
    without_folds = audit(planted, None, None, {})["near_duplicates"]
    assert without_folds.severity == "note"
    assert without_folds.rows == ("f008", "f017", "f030", "f040")


def test_different_faces_are_no_near_duplicates_however_alike_their_hashes(few):
    people(few.root, 60, of_one_hash=True)
    one = found(few, "near_duplicates", pictures=True)
    assert one.details["pairs"]["compared"] > 100  # the hash alone would have called these the same
    assert (one.severity, one.count) == ("ok", 0)


def test_copies_with_other_labels_are_counted(few):
    with Image.open(few.root / "0.png") as picture:
        picture.save(few.root / "2.png", compress_level=1)  # of other bytes, of another gender
    one = found(few, "near_duplicates", pictures=True)
    assert one.details["groups"]["with another gender"] == 1
    assert one.details["groups"]["with another age"] == 0
    assert "Groups whose labels differ: 1 by gender." in one.what


def test_pictures_that_cannot_be_compared_are_counted(few):
    (few.root / "3.png").unlink()
    (few.root / "4.png").write_bytes(b"no picture")
    for number in (5, 6):
        Image.new("RGB", (64, 64), (90, 80, 70)).save(few.root / f"{number}.png", compress_level=number)
    one = found(few, "near_duplicates", pictures=True)
    assert (one.severity, one.count) == ("note", 0)
    assert "4 pictures could not be compared" in one.what


def test_plain_pictures_are_no_near_duplicates_of_each_other(few):
    stripes = np.arange(64)[:, None, None] // 4 % 2 + np.zeros((64, 64, 3))  # of one grey level
    for number, level in ((5, 90), (6, 200)):
        pixels = (stripes + level).astype(np.uint8)
        Image.fromarray(pixels).save(few.root / f"{number}.png")
    one = found(few, "near_duplicates", pictures=True)
    assert one.count == 0
    assert "2 pictures could not be compared" in one.what


def test_every_pair_that_differs_in_three_bits_is_compared():
    rng = np.random.default_rng(0)
    hashes = rng.integers(0, 2**63, 2_000, dtype=np.uint64)
    near = hashes[:500].copy()
    for number in range(len(near)):
        for bit in rng.choice(64, 3, replace=False):
            near[number] ^= np.uint64(1) << np.uint64(bit)
    pairs, n_cut = library._candidates(np.concatenate([hashes, near]))
    assert n_cut == 0
    assert {(number, 2_000 + number) for number in range(500)} <= set(map(tuple, pairs.tolist()))
    assert len(np.unique(pairs, axis=0)) == len(pairs)  # each once, whichever parts agree


def test_hashes_without_anything_in_common_with_few_others_are_not_compared_with_all(monkeypatch):
    monkeypatch.setattr(library, "MOST_IN_COMMON", 50)
    same = np.full(3_000, 0x123456789ABCDEF0, np.uint64)
    pairs, n_cut = library._candidates(np.concatenate([same, np.array([1, 3], np.uint64)]))
    assert n_cut == 3_000
    assert len(pairs) <= 3_000 * library.NEXT_ONLY + 1
    assert (3_000, 3_001) in set(map(tuple, pairs.tolist()))  # all others are compared as ever
    # All stand in one group, though not every pair was compared.
    linked = pairs[pairs[:, 1] < 3_000]
    assert set(range(1, 3_000)) <= set(linked[:, 1].tolist())


def test_a_cut_is_said(few, monkeypatch):
    people(few.root, 60, of_one_hash=True)
    monkeypatch.setattr(library, "MOST_IN_COMMON", 10)
    one = found(few, "near_duplicates", pictures=True)
    assert "were compared with the next 16 of them only" in one.what
    assert one.severity == "note"


# ---------------------------------------------------------------- close faces


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
    assert scores["exact"] == pytest.approx(1 - 2 / 80 / 5)
    assert scores["exact without"] == pytest.approx(scores["exact"])
    assert "gender--network0--svm scores 99.50% instead of 99.50%" in one.what


def test_a_score_without_close_faces_can_be_lower(manifest):
    values = strangers()
    values[2::10] = values[0::10] + 0.05 * strangers(N // 10, seed=1)  # fold 1 has copies of fold 0
    right = np.isin(np.arange(N) % 10, (0, 2))
    proba = np.where(right[:, None], sure(manifest, GENDER), sure(manifest, GENDER)[:, ::-1])
    runs = {"gender--a": said(manifest, GENDER, proba), "age--b": years(manifest, right)}
    one = found(manifest, "suspiciously_close", embeddings=vectors(manifest, values), predictions=runs)
    assert one.count == 2 * N // 10
    assert one.details["gender--a"] == {"exact": pytest.approx(0.2), "exact without": 0.0}
    assert one.details["age--b"] == {"mae_years": pytest.approx(8.0), "mae_years without": 10.0}
    assert "age--b scores 10.00 years instead of 8.00 years" in one.what


def years(manifest, right):
    true = manifest.table["age"].to_numpy()
    return pd.DataFrame(
        {
            "face_id": manifest.table["face_id"],
            "fold": dealt(manifest).numbers,
            "true": true,
            "predicted": np.where(right, true, true + 10),
        }
    )


def test_a_person_left_out_of_training_is_close_to_nobody(manifest):
    values = strangers()
    values[7] = values[6] + 0.05 * strangers(1, seed=2)
    numbers = dealt(manifest).numbers.copy()
    numbers[6] = (numbers[6] + 1) % 5
    crossing = dealt(manifest, numbers, "official")
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
    assert "does not tell faces apart" in one.what


@pytest.mark.parametrize(
    ("extracted", "read"),
    [
        (("dlib_age:pooled", "dlib_face:pooled"), "dlib_face:pooled"),
        (("dlib_face:pooled", "mobilenet_v2:pooled", "dlib_face:embedding"), "dlib_face:embedding"),
        (("mobilenet_v2:pooled", "arcface:embedding"), "arcface:embedding"),
        (("dlib_age:probabilities", "dlib_age:pooled"), "dlib_age:pooled"),
    ],
)
def test_close_faces_are_looked_for_with_a_network_that_is_declared_to_tell_people_apart(
    manifest, monkeypatch, extracted, read
):
    ledger = SimpleNamespace(recipes={name: name for name in extracted}, settings=None)
    monkeypatch.setattr(library, "load_embeddings", lambda manifest, recipes, settings, store: recipes)
    assert library.vectors_for(manifest, ledger, None) == [read]


def test_of_many_faces_some_are_drawn(manifest, monkeypatch):
    monkeypatch.setattr(library, "MOST_TESTED", 100)
    one = found(manifest, "suspiciously_close", embeddings=vectors(manifest, strangers()))
    assert one.of == 100
    assert "drawn from 400" in one.what


def test_pieces_do_not_change_what_is_close(manifest, monkeypatch):
    values = strangers()
    values[2] = values[0] + 0.05 * strangers(1, seed=1)
    whole = found(manifest, "suspiciously_close", embeddings=vectors(manifest, values))
    monkeypatch.setattr(library, "_AT_ONCE", 1_000)
    assert found(manifest, "suspiciously_close", embeddings=vectors(manifest, values)) == whole


# ---------------------------------------------------------------- labels


def test_a_flipped_label_is_suspect(manifest):
    proba = sure(manifest, GENDER)
    gender = manifest.table["gender"].to_numpy().copy()
    gender[11] = "male" if gender[11] == "female" else "female"
    flipped = changed(manifest, gender=gender)
    one = found(flipped, "label_suspects", predictions={"gender--x--svm": said(flipped, GENDER, proba)})
    assert (one.severity, one.count, one.of, one.rows) == ("note", 1, N, ("f011",))
    assert one.details[f"gender: {gender[11]}"]["suspects"] == 1


def test_the_best_run_of_a_target_is_asked(manifest):
    poor = sure(manifest, GENDER)
    poor[: N // 2] = poor[: N // 2][:, ::-1]
    runs = {
        "gender--a--poor": said(manifest, GENDER, poor),
        "gender--b--good": said(manifest, GENDER, sure(manifest, GENDER)),
    }
    one = found(manifest, "label_suspects", predictions=runs)
    assert (one.severity, one.count) == ("ok", 0)
    assert "gender--b--good" in one.what


def test_a_neighbouring_age_group_is_no_sign_of_a_wrong_label(manifest):
    young = changed(manifest, age_group=manifest.table["age_group"].replace("25-32", "4-6"))
    proba = sure(young, AGE_GROUP)
    proba[[0, 4]] = 0
    proba[0, 1] = proba[4, 7] = 1  # 0-2 is read as 4-6, and 4-6 as 60-100
    one = found(young, "label_suspects", predictions={"age_group--x": said(young, AGE_GROUP, proba)})
    assert one.rows == ("f004",)
    assert "1 of 400 labels of age_group are suspect by two groups or more (1 others by one)" in one.what


def test_an_unsure_reading_is_not_suspect(manifest):
    proba = sure(manifest, GENDER, share=0.9)
    proba[0] = [0.51, 0.49] if manifest.table["gender"][0] == "male" else [0.49, 0.51]
    one = found(manifest, "label_suspects", predictions={"gender--x": said(manifest, GENDER, proba)})
    assert one.count == 0  # read as another, with less certainty than those usually are


def test_the_largest_deviation_of_a_class_is_told(manifest):
    gender = manifest.table["gender"].to_numpy().copy()
    inside = np.flatnonzero(dealt(manifest).numbers == 3)
    gender[inside[gender[inside] == "female"][:20]] = "male"
    one = found(changed(manifest, gender=gender), "class_balance")
    assert (one.severity, one.count) == ("note", 0)
    # 180 of 400 are left over all, and 20 of the fold's 80.
    assert one.details["gender: female"]["most points apart"] == pytest.approx(100 * (20 / 80 - 180 / 400))
    assert one.details["gender: female"]["in fold"] == 3
    assert "20.0 points" in one.what


def test_folds_may_be_numbered_with_gaps(manifest):
    numbers = dealt(manifest).numbers
    one = found(manifest, "class_balance", folds=dealt(manifest, np.where(numbers == 4, 9, numbers)))
    assert one.severity == "ok"
    assert one.details["gender: male"]["fewest tested"] == 40


def test_classes_with_hardly_a_tested_face_are_a_warning(manifest):
    hats = np.where(np.arange(N) < 12, "yes", "no")
    one = found(changed(manifest, hat=hats), "class_balance")
    assert (one.severity, one.count) == ("warning", 1)
    assert one.details["hat: yes"]["fewest tested"] == 2


# ---------------------------------------------------------------- a random split


def test_a_random_split_is_shown_to_score_what_it_has_seen(manifest):
    rng = np.random.default_rng(0)
    # Vectors say who somebody is and nothing else; labels belong to persons.
    persons = np.repeat(rng.normal(size=(N // 2, 300)), 2, axis=0) + 0.05 * rng.normal(size=(N, 300))
    gender = np.repeat(rng.choice(["female", "male"], N // 2), 2)
    one = found(changed(manifest, gender=gender), "inflation", embeddings=vectors(manifest, persons))
    scores = one.details["gender"]
    assert scores["exact"] < 0.6
    assert scores["exact of a random split"] > 0.75
    assert one.severity == "note"
    assert f"{scores['exact of a random split']:.1%} instead of {scores['exact']:.1%} on gender" in one.what


def test_where_nobody_repeats_a_random_split_is_as_good(manifest):
    alone = changed(manifest, subject_id=[f"s{number}" for number in range(N)])
    one = found(alone, "inflation", embeddings=vectors(manifest, strangers()))
    assert (one.severity, one.details) == ("ok", {})
    assert "cannot be computed" in one.what


def test_of_many_faces_whole_persons_are_drawn(manifest, monkeypatch):
    monkeypatch.setattr(library, "MOST_FITTED", 300)
    subjects = manifest.subjects
    rows = library._some_persons(subjects, seed=0)
    assert 200 < len(rows) <= 300
    assert not set(subjects[rows]) & set(np.delete(subjects, rows))
    one = found(manifest, "inflation", embeddings=vectors(manifest, strangers()))
    assert "300 of 400 faces" in one.what


# ---------------------------------------------------------------- kept


@pytest.fixture
def planted(manifest):
    """An audit that has found something of a face whose name a spreadsheet would run."""
    ids = manifest.table["face_id"].to_numpy().copy()
    ids[:5] = ['=HYPERLINK("x")', "+1", "-1", "@SUM(A1)", "\tf4"]
    numbers = np.arange(N) % 5  # every person in two folds
    nasty = changed(manifest, face_id=ids)
    return audit(nasty, dealt(nasty, numbers), None, {}, pictures=False)


def test_no_cell_of_the_table_is_a_formula(planted, tmp_path):
    planted.save(tmp_path)
    with (tmp_path / "audit_rows.csv").open(newline="") as file:
        cells = list(csv.reader(file))
    assert cells[0] == ["finding", "face_id"]
    assert len(cells) == 1 + N
    assert not [cell for row in cells for cell in row if cell[0] in "=+-@\t\r"]
    assert ["subjects_across_folds", "'+1"] in cells


def test_the_report_part_names_no_face(planted, tmp_path):
    planted.save(tmp_path)
    text = (tmp_path / "audit.json").read_text()
    assert "HYPERLINK" not in text
    assert "f010" not in text
    assert "s010" not in text
    assert all("rows" not in one for one in json.loads(text)["findings"])


def test_what_was_saved_is_loaded_again_without_rows(planted, tmp_path):
    planted.save(tmp_path)
    again = Audit.load(tmp_path)
    # Numbers are kept with six digits, everything else as it is.
    plain = [replace(one, rows=(), details={}) for one in planted.findings]
    assert [replace(one, details={}) for one in again.findings] == plain
    for one, kept in zip(planted.findings, again.findings, strict=True):
        assert {row: pytest.approx(values, rel=1e-5) for row, values in one.details.items()} == kept.details
    assert replace(again, findings=()) == replace(planted, findings=())
    assert Audit.load(tmp_path / "elsewhere") is None


@pytest.mark.parametrize("text", ["{", "[]", '{"version": 1}'])
def test_a_damaged_file_is_named(tmp_path, text):
    (tmp_path / "audit.json").write_text(text)
    with pytest.raises(WorkspaceError, match=r"audit\.json"):
        Audit.load(tmp_path)


def test_another_version_is_no_audit_of_this_one(planted, tmp_path):
    planted.save(tmp_path)
    path = tmp_path / "audit.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "version": 0}))
    assert Audit.load(tmp_path) is None


def test_the_same_data_give_the_same_bytes_with_any_number_of_threads(few, tmp_path):
    with Image.open(few.root / "8.png") as picture:
        picture.save(few.root / "17.png", compress_level=1)
    runs = {"gender--x": said(few, GENDER, sure(few, GENDER))}
    written = []
    for threads in (1, 4):
        looked = audit(few, dealt(few), vectors(few, strangers(60)), runs, threads=threads)
        looked.save(tmp_path / str(threads))
        names = ("audit.json", "audit_rows.csv")
        written.append([(tmp_path / str(threads) / name).read_bytes() for name in names])
    assert written[0] == written[1]


def test_every_slow_check_tells_how_far_it_is(few):
    told = []
    many = Manifest(pd.concat([few.table, a_table(160)[60:]], ignore_index=True), few.root)
    audit(
        many,
        dealt(many),
        vectors(many, strangers(160)),
        {},
        progress=lambda done, total: told.append((done, total)),
    )
    ends = [one for one in told if one[0] == one[1]]
    assert ends == [(160, 160), (160, 160), (20, 20)]  # pictures, tested faces, fits


# ---------------------------------------------------------------- the command


def test_the_command_can_be_run_before_anything_is_extracted(featurekit, prepared, tmp_path):
    code, output, errors = featurekit("audit")
    assert code == 0, errors
    assert "No folds are saved yet" in errors
    assert not (tmp_path / "work" / "reports" / "table" / "folds.json").exists()
    assert Audit.load(tmp_path / "work" / "reports" / "table")["subjects_across_folds"].of == 8
    lines = [line.split("\t") for line in output.splitlines()]
    assert [line[1] for line in lines[1:10]] == [name.replace("_", " ") for name in CHECKS]


def test_the_command_reads_what_was_fitted(featurekit, prepared, tmp_path):
    assert featurekit("extract", "--backbone", "mean_color", "--detector", "whole_image")[0] == 0
    fitted = featurekit("fit", "--model", "logistic_regression", "--target", "gender", "--folds", "4")
    assert fitted[0] == 0
    code, _, errors = featurekit("audit", "--no-pictures", "--features", "mean_color", "--strict")
    assert code == 0, errors
    looked = Audit.load(tmp_path / "work" / "reports" / "table")
    assert looked.features == "mean_color:mean"
    assert "gender--mean_color--logistic_regression" in looked.runs
    assert looked["label_suspects"].of == 24
    assert looked["inflation"].details["gender"]["exact"] > 0.5
    assert looked["suspiciously_close"].severity == "note"  # three numbers are too few
    folds = json.loads((tmp_path / "work" / "reports" / "table" / "folds.json").read_text())
    assert looked.folds == folds["sha256"]


def test_strict_ends_with_one_where_a_finding_is_an_error(featurekit, prepared, tmp_path):
    work = tmp_path / "work"
    manifest = Manifest.load(work / "manifest.csv")
    folds = make_fold_set("table", manifest, n_folds=4)
    numbers = folds.numbers.copy()
    numbers[0] = (numbers[0] + 1) % 4
    replace(folds, numbers=numbers).save(work / "reports" / "table" / "folds.json")
    code, output, _ = featurekit("audit", "--no-pictures")
    assert code == 0
    assert "ERROR\tsubjects across folds\t1" in output
    assert featurekit("audit", "--no-pictures", "--strict")[0] == 1


def test_features_that_are_not_there_are_refused(featurekit, prepared):
    code, _, errors = featurekit("audit", "--features", "dlib_age")
    assert code == 1
    assert "Next: featurekit extract --backbone dlib_age" in errors


# ---------------------------------------------------------------- real photographs


@pytest.mark.real_data
@pytest.mark.slow
def test_the_copies_and_contradictions_of_utkface_are_found(real_data):
    folder = real_data / "utkface" / "UTKFace"
    manifest = prepare("utkface", folder)
    looked = audit(manifest, make_fold_set("utkface", manifest), None, {})
    copies, conflicts = looked["exact_duplicates"], looked["label_conflicts"]
    tally = manifest.info["tally"]
    # All of UTKFace has 375 groups, 205 of them with different ages; half of it is here.
    assert copies.details["groups"]["all"] == tally["groups of identical files"]
    assert conflicts.of == tally["groups of identical files"]
    assert conflicts.count == tally["groups of identical files with conflicting labels"]
    assert copies.details["groups"]["across folds"] == 0
    if len(list(os.scandir(folder))) == 11_852:
        assert (conflicts.of, conflicts.count, copies.count) == (188, 115, 381)
        assert conflicts.details["age"]["groups"] == 102
        near = looked["near_duplicates"]
        # Looked at one by one: all are the same photograph.
        assert near.details["pairs"] == {"compared": 1201, "alike": 159}
        assert near.details["groups"]["across folds"] > 100
