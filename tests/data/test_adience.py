"""Adience's fold files name the faces; every published count comes out of them again."""

import numpy as np
import pytest

from featurekit.data.datasets import DATASETS
from featurekit.data.prepare import prepare
from featurekit.errors import ManifestError

HEADER = (
    "user_id\toriginal_image\tface_id\tage\tgender\tx\ty\tdx\tdy"
    "\ttilt_ang\tfiducial_yaw_angle\tfiducial_score\n"
)


def adience_at(folder, *rows, layout="faces", prefix="coarse_tilt_aligned_face", kind=""):
    """Write five fold files with the rows (fold, user, photograph, face, age, gender) and their pictures."""
    folder.mkdir(exist_ok=True)
    for fold in range(5):
        lines = [
            f"{user}\t{photograph}\t{face}\t{age}\t{gender}\t1\t2\t3\t4\t0\t0\t9\n"
            for number, user, photograph, face, age, gender in rows
            if number == fold
        ]
        (folder / f"fold_{kind}{fold}_data.txt").write_text(HEADER + "".join(lines))
    for _, user, photograph, face, _, _ in rows:
        picture = folder / layout / user / f"{prefix}.{face}.{photograph}"
        picture.parent.mkdir(parents=True, exist_ok=True)
        picture.write_text(str(picture))
    return folder


def test_a_row_becomes_a_row(tmp_path):
    adience_at(tmp_path, (3, "7@N01", "9_o.jpg", "12", "(8, 12)", "f"))
    row = prepare("adience", tmp_path).table.iloc[0]
    assert row["image_path"] == "faces/7@N01/coarse_tilt_aligned_face.12.9_o.jpg"
    assert row["face_id"] == "7@N01/12.9_o.jpg"
    assert (row["subject_id"], row["user"], row["official_fold"]) == ("12", "7@N01", 3)
    assert (row["age_group"], row["gender"], row["gender3"]) == ("8-12", "female", "female")
    assert np.isnan(row["age"])
    assert row["reason"] == ""


def test_the_aligned_layout_is_found_by_itself(tmp_path):
    row = (0, "7@N01", "9_o.jpg", "12", "(8, 12)", "f")
    adience_at(tmp_path, row, layout="aligned", prefix="landmark_aligned_face")
    manifest = prepare("adience", tmp_path)
    assert manifest.table["image_path"].tolist() == ["aligned/7@N01/landmark_aligned_face.12.9_o.jpg"]
    assert manifest.usable.all()


def test_the_layout_that_is_asked_for_is_taken(tmp_path):
    row = (0, "7@N01", "9_o.jpg", "12", "(8, 12)", "f")
    adience_at(tmp_path, row)
    adience_at(tmp_path, row, layout="aligned", prefix="landmark_aligned_face")
    assert prepare("adience", tmp_path).table["image_path"].iloc[0].startswith("faces/")
    assert prepare("adience", tmp_path, layout="aligned").table["image_path"].iloc[0].startswith("aligned/")


def test_the_frontal_fold_files_are_a_subset(tmp_path):
    adience_at(
        tmp_path, (0, "7@N01", "9_o.jpg", "12", "(8, 12)", "f"), (0, "7@N01", "9_o.jpg", "13", "(8, 12)", "m")
    )
    adience_at(tmp_path, (0, "7@N01", "9_o.jpg", "12", "(8, 12)", "f"), kind="frontal_")
    assert len(prepare("adience", tmp_path)) == 2
    assert len(prepare("adience", tmp_path, subset="frontal")) == 1


@pytest.mark.parametrize(
    ("age", "published", "repaired"),
    [
        ("(0, 2)", "0-2", "0-2"),
        ("(8, 12)", "8-12", "8-12"),
        ("(60, 100)", "60-100", "60-100"),
        ("(25, 23)", "", "25-32"),
        ("(27, 32)", "", "25-32"),
        ("(38, 42)", "", "38-43"),
        ("(38, 48)", "", ""),
        ("(8, 23)", "", ""),
        ("29", "", "25-32"),
        ("35", "", ""),
        ("None", "", ""),
        ("", "", ""),
    ],
)
def test_the_protocol_decides_which_ages_count(age, published, repaired, tmp_path):
    adience_at(tmp_path, (0, "7@N01", "9_o.jpg", "12", age, "f"))
    assert prepare("adience", tmp_path).table["age_group"].tolist() == [published]
    assert prepare("adience", tmp_path, protocol="repaired").table["age_group"].tolist() == [repaired]


@pytest.mark.parametrize(
    ("gender", "two", "three"),
    [("f", "female", "female"), ("m", "male", "male"), ("u", "", "undefined"), ("", "", "")],
)
def test_an_undefined_gender_is_a_class_of_gender3_alone(gender, two, three, tmp_path):
    adience_at(tmp_path, (0, "7@N01", "9_o.jpg", "12", "(0, 2)", gender))
    row = prepare("adience", tmp_path).table.iloc[0]
    assert (row["gender"], row["gender3"], row["reason"]) == (two, three, "")


def test_a_face_named_twice_is_used_once(tmp_path):
    row = (0, "7@N01", "9_o.jpg", "12", "(0, 2)", "m")
    table = prepare("adience", adience_at(tmp_path, row, row)).table
    assert table["reason"].tolist() == ["", "repeated_row"]
    assert table["face_id"].tolist() == ["7@N01/12.9_o.jpg", "7@N01/12.9_o.jpg#2"]


def test_a_row_that_names_no_face_is_kept(tmp_path):
    adience_at(
        tmp_path, (0, "7@N01", "9_o.jpg", "12", "(0, 2)", "m"), (1, "7@N01", "8_o.jpg", "", "(0, 2)", "m")
    )
    table = prepare("adience", tmp_path).table
    assert table["reason"].tolist() == ["", "bad_path"]
    assert table["image_path"].tolist()[1] == ""


def test_a_missing_picture_keeps_its_labels(tmp_path):
    adience_at(
        tmp_path, (0, "7@N01", "9_o.jpg", "12", "(0, 2)", "m"), (1, "8@N01", "8_o.jpg", "13", "(4, 6)", "f")
    )
    (tmp_path / "faces/8@N01/coarse_tilt_aligned_face.13.8_o.jpg").unlink()
    manifest = prepare("adience", tmp_path)
    assert manifest.table["reason"].tolist() == ["", "missing_file"]
    assert manifest.table["age_group"].tolist() == ["0-2", "4-6"]
    assert manifest.info["tally"]["labelled with an age group"] == 2


def test_an_absent_fold_file_is_named(tmp_path):
    adience_at(tmp_path, (0, "7@N01", "9_o.jpg", "12", "(0, 2)", "m"))
    (tmp_path / "fold_3_data.txt").unlink()
    with pytest.raises(ManifestError, match=r"The fold file fold_3_data.txt of Adience is not in"):
        prepare("adience", tmp_path)


def test_fold_files_without_pictures_are_refused(tmp_path):
    adience_at(tmp_path)
    with pytest.raises(ManifestError, match="has no folder 'faces' or 'aligned' with the images of Adience"):
        prepare("adience", tmp_path)


@pytest.mark.parametrize(
    "text", ["user_id\tage\n1\t2\n", "", "\x00\xff", "user_id\n1\t2\t3\n1\t2\t3\t4\t5\n"]
)
def test_a_file_that_is_no_fold_file_is_refused(text, tmp_path):
    adience_at(tmp_path, (0, "7@N01", "9_o.jpg", "12", "(0, 2)", "m"))
    (tmp_path / "fold_2_data.txt").write_text(text, encoding="latin-1")
    with pytest.raises(ManifestError, match=r"fold_2_data.txt"):
        prepare("adience", tmp_path)


def test_a_protocol_nobody_knows_is_refused(tmp_path):
    with pytest.raises(ManifestError, match=r"Unknown protocol 'repared'\. Did you mean 'repaired'\?"):
        prepare("adience", tmp_path, protocol="repared")


@pytest.mark.real_data
def test_every_published_count_comes_out_again(real_data):
    raw = DATASETS["adience"].read(real_data / "adience")
    table = raw.table
    fold = table["official_fold"]
    assert len(table) == 19_487
    assert (table["reason"] == "repeated_row").sum() == 117
    assert (table["reason"] != "repeated_row").sum() == 19_370
    assert table["subject_id"].nunique() == 2_284
    assert table["user"].nunique() == 168
    photographs = table["image_path"].str.split(".", n=2).str[2]
    for unit in (table["subject_id"], table["user"], photographs):
        assert (fold.groupby(unit).nunique() == 1).all()
    # Label counts are of all 19,487 rows, those named twice included.
    has_group, has_gender = table["age_group"] != "", table["gender"] != ""
    assert fold[has_group].value_counts().sort_index().tolist() == [4316, 3101, 3339, 2975, 3693]
    assert fold[has_gender].value_counts().sort_index().tolist() == [4007, 3624, 3191, 3318, 3463]
    assert raw.counts == {
        "labelled with an age group": 17_424,
        "labelled with female or male": 17_603,
        "labelled with an undefined gender": 1_100,
        "without a gender": 784,
        "without an age": 753,
        "ages dropped by the published protocol": 1_310,
        "ages repaired": 0,
    }


@pytest.mark.real_data
def test_the_floor_and_the_frequent_man_are_those_of_the_published_folds(real_data):
    table = DATASETS["adience"].read(real_data / "adience").table
    labelled = table[table["age_group"] != ""]
    shares = (labelled["age_group"] == "25-32").groupby(labelled["official_fold"]).mean()
    assert round(100 * shares.mean(), 1) == 27.8
    assert round(100 * shares.std(ddof=0), 1) == 5.6
    fold0 = labelled[labelled["official_fold"] == 0]
    assert round(100 * fold0["subject_id"].value_counts(normalize=True).iloc[0], 1) == 9.7


@pytest.mark.real_data
def test_the_repaired_protocol_adds_the_rows_that_lie_in_one_group(real_data):
    raw = DATASETS["adience"].read(real_data / "adience", protocol="repaired")
    # In this order: the typo, the intervals within a group, and the single years 29, 2, 32 and 42.
    assert raw.counts["ages repaired"] == 72 + (77 + 50) + (12 + 3 + 3 + 1)
    assert raw.counts["labelled with an age group"] == 17_424 + 218


@pytest.mark.real_data
def test_every_row_of_the_published_data_ends_in_one_status(real_data):
    manifest = prepare("adience", real_data / "adience")
    tally = manifest.info["tally"]
    assert (manifest.table["content"] != "").sum() == 277
    assert {
        reason: tally[reason] for reason in ("repeated_row", "missing_file", "no_label", "duplicate")
    } == {
        "repeated_row": 117,
        "missing_file": 19_093,
        "no_label": 1,
        "duplicate": 10,
    }
    assert tally["usable"] == 266
    assert tally["subjects"] == 92  # of the usable rows: most photographs are not here


def test_a_missing_word_is_missing_in_every_column_and_u_stays_undefined(tmp_path):
    adience_at(
        tmp_path,
        (0, "7@N01", "1_o.jpg", "12", "(8, 12)", "u"),
        (1, "7@N01", "2_o.jpg", "12", "n/a", "f"),
        (2, "7@N01", "3_o.jpg", "12", "(8, 12)", "NaN"),
        (3, "7@N01", "4_o.jpg", "unknown", "(8, 12)", "f"),
        (4, "nan", "5_o.jpg", "13", "(8, 12)", "f"),
    )
    manifest = prepare("adience", tmp_path)
    table = manifest.table
    assert table["gender3"].tolist() == ["undefined", "female", "", "female", "female"]
    assert table["gender"].tolist() == ["", "female", "", "female", "female"]
    assert table["age_group"].tolist() == ["8-12", "", "8-12", "8-12", "8-12"]
    assert table["subject_id"].tolist() == ["12", "12", "12", "", "13"]
    assert table["user"].tolist() == ["7@N01"] * 4 + [""]
    # Without a face's number, or an album's, the fold file does not say which file it means.
    assert table["reason"].tolist() == ["", "", "", "bad_path", "bad_path"]
    tally = manifest.info["tally"]
    assert (tally["without an age"], tally["without a gender"]) == (1, 1)
    assert tally["ages dropped by the published protocol"] == 0
    assert tally["face_id: rows with 'unknown', treated as missing"] == 1


def test_a_gender_that_cannot_be_read_leaves_the_row_its_age_group(tmp_path):
    adience_at(
        tmp_path,
        (0, "7@N01", "1_o.jpg", "12", "(8, 12)", "x"),
        (1, "7@N01", "2_o.jpg", "12", "None", "3"),
        (2, "7@N01", "3_o.jpg", "12", "(8, 12)", "f"),
        (3, "7@N01", "4_o.jpg", "12", "(8, 12)", "f"),
        (4, "7@N01", "5_o.jpg", "12", "(8, 12)", "f"),
    )
    manifest = prepare("adience", tmp_path)
    assert manifest.table["reason"].tolist() == ["", "bad_value", "", "", ""]
    assert [(cell["row"], cell["value"]) for cell in manifest.info["bad_cells"]] == [(1, "x"), (2, "3")]
    assert manifest.info["tally"]["cells of gender that are not a valid gender"] == 2
