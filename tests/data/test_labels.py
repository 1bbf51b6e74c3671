"""Label columns of any name, labels of any spelling, and cells that say that something is not known."""

import json
import re

import numpy as np
import pandas as pd
import pytest

from featurekit.data.cells import Missing
from featurekit.data.cleaning import clean
from featurekit.data.datasets import RawRows
from featurekit.data.manifest import COLUMNS, MAX_NAME, REASONS, Manifest, label_names
from featurekit.data.prepare import prepare
from featurekit.errors import ManifestError, TargetError


def table_in(folder, **columns):
    """Write faces.csv with these columns, and a picture with bytes of its own for every row."""
    n_rows = len(next(iter(columns.values())))
    names = [f"{row}.jpg" for row in range(n_rows)]
    for name in names:
        (folder / name).write_text(name)
    pd.DataFrame({"image_path": names, **columns}).to_csv(folder / "faces.csv", index=False)
    return folder / "faces.csv"


def folders_in(folder, *names):
    """Write a picture into a folder of each name."""
    for number, name in enumerate(names):
        (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / name / f"{number}.jpg").write_text(f"{number}")
    return folder


# ---------------------------------------------------------------- names of label columns


@pytest.mark.parametrize(
    ("column", "name"),
    [
        ("mood", "mood"),
        ("hair colour", "hair colour"),
        ("Haarfarbe (natürlich)", "Haarfarbe_natürlich"),
        ("बालों का रंग", "बालों का रंग"),
        ("eye/left", "eye_left"),
        ("..\\..\\etc", "etc"),
        ("two\nlines\there", "two_lines_here"),
        ('say "no"', "say_no"),
        ("a--b", "a-b"),
        ("-rf", "rf"),
        (".hidden", "hidden"),
        ("=1+1", "1_1"),
        ("a\u202eb\0c", "a_b_c"),
        ("", "label"),
        ("***", "label"),
        ("Reason", "Reason_label"),
        ("content", "content_label"),
        ("face_id", "face_id_label"),
        ("age", "age_label"),
        ("Gender3", "Gender3_label"),
        ("gender3", "gender3"),
        ("STATUS", "STATUS_label"),
        ("x2", "x2_label"),
        ("predicted", "predicted_label"),
        ("gender_probability", "gender_probability_label"),
        ("age_from", "age_from_label"),
        ("p_male", "label_p_male"),
    ],
)
def test_a_name_that_a_file_or_a_table_cannot_have_becomes_a_safe_one(column, name):
    assert label_names([column]) == {column: name}
    assert label_names([name]) == {name: name}  # which stays as it is


def test_a_composed_and_a_decomposed_name_and_two_cases_are_told_apart_by_a_number():
    columns = ["Große", "große", "GRO\u0308SSE", "cafe\u0301", "caf\u00e9"]
    assert list(label_names(columns).values()) == ["Große", "große_2", "GRÖSSE", "café_2", "café"]


def test_a_name_longer_than_a_file_may_have_is_cut_and_two_stay_two():
    names = label_names(["x" * 300, "x" * 301, "ж" * 200, "a" * MAX_NAME])
    assert len(set(names.values())) == 4
    assert all(len(name.encode()) <= MAX_NAME for name in names.values())
    assert names["a" * MAX_NAME] == "a" * MAX_NAME
    assert label_names(list(names.values())) == {name: name for name in names.values()}


def test_a_name_that_is_good_does_not_give_way_to_one_that_was_made():
    assert label_names(["hair/left", "hair_left"]) == {"hair/left": "hair_left_2", "hair_left": "hair_left"}


@pytest.mark.parametrize("column", ["photograph", "hair/colour", "p_female"])
def test_a_renamed_label_column_is_told_and_kept_in_the_manifests_json(column, featurekit, tmp_path):
    path = table_in(tmp_path, **{column: ["a", "b"]})
    code, _, errors = featurekit("prepare", "table", path, "-o", f"labels={column}")
    name = label_names([column])[column]
    assert code == 0
    assert f"warning: The label column '{column}' was renamed to '{name}'" in errors
    assert f"featurekit fit --target '{name}'" in errors
    manifest = Manifest.load(tmp_path / "work" / "manifest.csv")
    assert manifest.target_to_fit(name).classes == ("a", "b")
    assert manifest.info["label_names"] == {name: column}
    assert list(manifest.table.columns) == [*COLUMNS, name]


def test_a_label_column_does_not_overwrite_a_column_of_the_manifest(tmp_path):
    path = table_in(tmp_path, reason=["tired", "glad"], content=["x", "y"], subject_id=["ann", "bea"])
    manifest = prepare("table", path, labels=["reason", "content", "subject_id"])
    assert manifest.usable.all()
    assert manifest.table["reason_label"].tolist() == ["tired", "glad"]
    assert manifest.table["content_label"].tolist() == ["x", "y"]
    assert manifest.table["subject_id"].tolist() == manifest.table["subject_id_label"].tolist()


@pytest.mark.parametrize(
    ("target", "name"), [("status", "status_label"), ("a/b", "a_b"), ("official_fold", "official_fold_label")]
)
def test_a_target_of_class_folders_is_renamed_by_the_same_rule(target, name, tmp_path):
    manifest = prepare("image_folder", folders_in(tmp_path, "glad", "sad"), target=target)
    assert manifest.target(name).classes == ("glad", "sad")
    assert manifest.info["label_names"] == {name: target}


def test_a_column_with_a_comma_in_its_name_can_be_a_label(tmp_path):
    path = table_in(tmp_path, **{"hair, left": ["a", "b"], "mood": ["c", "d"]})
    for labels in ('"hair, left",mood', ["hair, left", "mood"]):
        assert list(prepare("table", path, labels=labels).table.columns[-2:]) == ["hair_left", "mood"]
    assert prepare("table", path, labels="hair, left").table.columns[-1] == "hair_left"


def test_an_age_or_a_gender_is_not_read_and_a_label_at_once(tmp_path):
    path = table_in(tmp_path, age=["young", "old"], gender=["f", "m"])
    message = "Leave it out of labels, or use its words as your own classes: --column gender= -o labels="
    with pytest.raises(ManifestError, match=re.escape(message)):
        prepare("table", path, labels="gender", columns={"age": ""})
    table = prepare("table", path, labels="age", columns={"age": ""}).table
    assert table["age_label"].tolist() == ["young", "old"]
    assert table["age"].isna().all()


def test_a_manifest_of_an_older_version_is_read_and_its_unsafe_target_refused(tmp_path):
    prepare("table", table_in(tmp_path, mood=["a", "b"]), labels="mood").save(tmp_path / "manifest.csv")
    for name, safe in (("photograph", "photograph_label"), ("hair/left", "hair_left")):
        text = (tmp_path / "manifest.csv").read_text()
        (tmp_path / "old.csv").write_text(text.replace("reason,mood", f"reason,{name}"))
        info = {"root": str(tmp_path), "dataset": "table", "tally": {"rows": 2}}  # no key of this version
        (tmp_path / "old.json").write_text(json.dumps(info))
        manifest = Manifest.load(tmp_path / "old.csv")
        assert manifest.target(name).classes == ("a", "b")
        message = f"A target cannot be called '{name}'.* prepare again: it renames the column to '{safe}'"
        with pytest.raises(TargetError, match=message):
            manifest.target_to_fit(name)


@pytest.mark.slow
def test_a_comparison_on_columns_and_classes_of_any_name_goes_through(featurekit, portraits):
    table = pd.read_csv(portraits / "people.csv")
    is_red = table["sex"] == "female"
    labels = {
        "photograph": np.where(is_red, 'a/b "q"\nz', "=1+1"),
        "confidence": np.where(is_red, "x" * 3000, "../../etc/passwd"),
        "p_female": np.where(is_red, ["Brown", "BROWN ", "Brown"] * 8, "<b>|`*"),
        "line\nbreak/" + "é" * 200: np.where(is_red, "-", "=") + " sign",
    }
    table.assign(**labels).to_csv(portraits / "more.csv", index=False)
    safe = label_names(list(labels))
    args = ("--root", portraits / "photos", "--column", "image_path=file", "--column", "subject_id=person")
    quoted = ",".join(labels).replace("line", '"line') + '"'
    code, output, errors = featurekit(
        "prepare", "table", portraits / "more.csv", *args, "-o", f"labels={quoted}"
    )
    assert code == 0, errors
    assert "p_female: labels with different spellings\t4\n" in output
    assert featurekit("extract", "--backbone", "mean_color", "--detector", "whole_image")[0] == 0
    targets = [word for name in safe.values() for word in ("--target", name)]
    code, _, errors = featurekit("fit", "-m", "svm", "--features", "mean_color", "--folds", 3, *targets)
    assert code == 0, errors
    assert featurekit("report")[0] == 0
    work = portraits / "work"
    for name in safe.values():
        run = f"{name}--mean_color--svm"
        predictions = pd.read_parquet(work / "reports" / "table" / "predictions" / f"{run}.parquet")
        assert len(predictions) == 24
        assert predictions.columns.is_unique
        out = portraits / "out.csv"
        photo = portraits / "photos" / "s1_0.png"
        code, _, errors = featurekit("predict", photo, "--model", work / "models" / run, "--output", out)
        assert code == 0, errors
        answers = pd.read_csv(out, dtype=str, keep_default_na=False)
        assert answers["photograph"].tolist() == [str(photo)]
        assert answers["status"].tolist() == ["ok"]
        classes = Manifest.load(work / "manifest.csv").target(name).classes
        assert answers.isin(classes).any(axis=None) or any(
            c.lstrip("=-") in str(answers.iloc[0]) for c in classes
        )


# ---------------------------------------------------------------- missing words


def test_one_list_of_missing_words_holds_in_all_columns(tmp_path):
    path = table_in(
        tmp_path,
        age=["N/A", "30", "30", "30", "30"],
        gender=["f", "Unknown", "f", "m", "f"],
        hair=["fair", "dark", "NaN", "<NA>", "dark"],
        box=["0 0 9 9", "0 0 9 9", "0 0 9 9", "null", "0 0 9 9"],
        official_fold=["0", "1", "nan", "?", "1.0"],
    )
    manifest = prepare("table", path, labels="hair")
    assert manifest.usable.all()
    assert manifest.target("hair").classes == ("dark", "fair")
    assert manifest.table["hair"].tolist() == ["fair", "dark", "", "", "dark"]
    assert manifest.table["gender"].tolist() == ["female", "", "female", "male", "female"]
    assert manifest.table["official_fold"].tolist() == [0, 1, -1, -1, 1]
    assert manifest.table["box"].tolist() == ["0 0 9 9"] * 3 + ["", "0 0 9 9"]
    tally = manifest.info["tally"]
    said = {what: n for what, n in tally.items() if "treated as missing" in what}
    assert said == {
        "age: rows with 'n/a', treated as missing": 1,
        "gender: rows with 'unknown', treated as missing": 1,
        "official_fold: rows with 'nan', treated as missing": 1,
        "official_fold: rows with '?', treated as missing": 1,
        "box: rows with 'null', treated as missing": 1,
        "hair: rows with 'nan', treated as missing": 1,
        "hair: rows with '<na>', treated as missing": 1,
    }


@pytest.mark.parametrize("word", ["n.a.", "  #N/A ", "Not  Sure", "NONE", "undefined", "-", "missing\u200b"])
def test_a_missing_word_is_no_class_of_a_label_column(word, tmp_path):
    manifest = prepare("table", table_in(tmp_path, hair=["fair", "dark", word]), labels="hair")
    assert manifest.target("hair").classes == ("dark", "fair")
    assert manifest.table["reason"].tolist() == ["", "", "no_label"]


def test_u_is_an_unknown_gender_and_somebody_or_a_label_elsewhere(tmp_path):
    path = table_in(tmp_path, gender=["u", "F"], vowel=["u", "o"], subject_id=["U", "V"])
    manifest = prepare("table", path, labels="vowel")
    assert manifest.table["gender"].tolist() == ["", "female"]
    assert manifest.target("vowel").classes == ("o", "u")
    assert manifest.subjects.tolist() == ["U", "V"]


def test_a_path_that_says_nothing_is_no_path_and_the_user_is_told_so(tmp_path, featurekit):
    (tmp_path / "faces.csv").write_text("image_path,age\n1.jpg,30\nnan,30\nNone,30\n-,30\n,30\n")
    (tmp_path / "1.jpg").write_text("one")
    table = prepare("table", tmp_path / "faces.csv").table
    assert table["reason"].tolist() == ["", "no_path", "no_path", "no_path", "no_path"]
    assert table["image_path"].tolist() == ["1.jpg", "", "", "", ""]
    code, output, errors = featurekit("prepare", "table", tmp_path / "faces.csv")
    assert code == 0
    assert "no path\t4\n" in output
    assert "row 5, '': the cell with the path of the image is empty or means a missing value\n" in errors


def test_none_is_missing_aloud_and_a_label_if_one_says_so(featurekit, tmp_path):
    path = table_in(tmp_path, beard=["none", "none", "full", "nan"])
    code, output, errors = featurekit("prepare", "table", path, "-o", "labels=beard")
    assert code == 0
    assert "beard: rows with 'none', treated as missing\t2\n" in output
    said = "beard: 2 rows say 'none', 1 row says 'nan', treated as missing."
    assert f"warning: {said} If this word is a label, keep it with -o missing=-none\n" in errors
    code, output, errors = featurekit("prepare", "table", path, "-o", "labels=beard", "-o", "missing=-none")
    assert code == 0
    manifest = Manifest.load(tmp_path / "work" / "manifest.csv")
    assert manifest.target("beard").classes == ("full", "none")
    assert manifest.info["options"] == {"labels": "beard", "missing": "-none"}


@pytest.mark.parametrize(
    ("missing", "classes"),
    [
        ("", ("999", "?", "dark", "nan")),
        ("999", ("?", "dark", "nan")),
        ("+999", ("dark",)),
        (["+999", "-nan"], ("dark", "nan")),
        ("dark,?", ("999", "nan")),
    ],
)
def test_the_list_of_missing_words_is_replaced_changed_or_switched_off(missing, classes, tmp_path):
    path = table_in(tmp_path, hair=["dark", "nan", "?", "999", ""])
    manifest = prepare("table", path, labels="hair", missing=missing)
    assert manifest.target("hair").classes == classes
    assert manifest.table["hair"].iloc[4] == ""


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("+999,nan", "Write + or - before every word, or before none."),
        ("-1", "'1' is not in the list of missing words, so missing=-1 has no effect."),
        ("-1", "To add the word '-1' to the list, use missing=+-1"),
        ("-brown,-nan", "missing=-brown has no effect"),
    ],
)
def test_a_change_of_the_list_without_effect_is_refused(missing, message, tmp_path):
    with pytest.raises(ManifestError, match=re.escape(message)):
        prepare("table", table_in(tmp_path, age=["30"]), missing=missing)
    assert "-1" in Missing.of("+-1")


def test_every_data_set_understands_the_option(tmp_path):
    manifest = prepare("image_folder", folders_in(tmp_path, "glad", "tba"), target="mood", missing="+TBA")
    assert manifest.target("mood").classes == ("glad",)
    with pytest.raises(ManifestError, match=r"is not a valid age\. Expected a number of years"):
        prepare("image_folder", folders_in(tmp_path / "a", "30", "unknown"), target="age", missing="")
    table = prepare("image_folder", tmp_path / "a", target="age").table
    assert table["reason"].tolist() == ["", "no_label"]


def test_undefined_is_a_class_of_gender3_and_no_missing_word_there(tmp_path):
    path = table_in(tmp_path, gender3=["f", "Undefined", "u", "man", "nan", "7"])
    manifest = prepare("table", path, labels="gender3")
    assert manifest.table["gender3"].tolist() == ["female", "undefined", "undefined", "male", "", ""]
    assert manifest.table["reason"].tolist() == ["", "", "", "", "no_label", "bad_value"]
    assert manifest.info["bad_cells"][0]["problem"] == "is not female, male or undefined"


def test_a_gap_in_a_readers_label_column_is_no_label_called_nan(tmp_path):
    (tmp_path / "a.jpg").write_text("a")
    (tmp_path / "b.jpg").write_text("b")
    table = pd.DataFrame({"image_path": ["a.jpg", "b.jpg"], "mood": ["glad", None]})
    manifest = clean(RawRows(table, tmp_path, labels=("mood",)), missing=Missing.of(""))
    assert manifest.target("mood").classes == ("glad",)


# ---------------------------------------------------------------- one label, several spellings


def test_labels_that_differ_only_by_case_or_spaces_are_joined_aloud(featurekit, tmp_path):
    path = table_in(tmp_path, hair=["dark red", "Dark Red", "dark  red", "DARK\tRED", "dark red", "fair"])
    code, output, errors = featurekit("prepare", "table", path, "-o", "labels=hair")
    assert code == 0
    assert "hair: labels with different spellings\t3\n" in output
    assert "hair: 'Dark Red' (1) is taken as 'dark red'" in errors
    manifest = Manifest.load(tmp_path / "work" / "manifest.csv")
    assert manifest.target("hair").classes == ("dark red", "fair")
    assert manifest.info["respelled_labels"]["hair"]["DARK\tRED"] == "dark red"


@pytest.mark.parametrize(
    ("labels", "kept"),
    [
        (["Größe", "Gro\u0308ße", "Gro\u0308ße"], "Größe"),
        (["e\u0301te\u0301", "\u00e9t\u00e9", "ÉTÉ"], "été"),
        (["STRASSE", "Straße", "Straße"], "Straße"),
        (["a\u200bb", "ab", "ab"], "ab"),
    ],
)
def test_unicode_forms_of_a_label_are_one_label(labels, kept, tmp_path):
    manifest = prepare("table", table_in(tmp_path, hair=labels), labels="hair")
    assert manifest.target("hair").classes == (kept,)


def test_class_folders_of_several_spellings_are_one_class(tmp_path):
    folders = folders_in(tmp_path, "Smiling", "smiling", "sad")
    (folders / "smiling" / "more.jpg").write_text("more")
    manifest = prepare("image_folder", folders, target="mood")
    assert manifest.target("mood").classes == ("sad", "smiling")


def test_a_label_longer_than_a_word_is_cut_aloud_and_two_stay_two(tmp_path):
    path = table_in(tmp_path, note=["x" * 200 + "1", "x" * 200 + "2", "short"])
    manifest = prepare("table", path, labels="note")
    classes = manifest.target("note").classes
    assert len(classes) == 3
    assert max(map(len, classes)) == 100
    assert "is cut to 100 letters" in manifest.info["notes"][0]


# ---------------------------------------------------------------- subjects


@pytest.mark.parametrize("word", ["unknown", "N/A", "?"])
def test_a_missing_subject_is_a_subject_of_its_own(word, tmp_path):
    people = ["ann", word, word, "bea", word.upper(), ""]
    manifest = prepare(
        "table", table_in(tmp_path, age=["30"] * 6, person=people), columns={"subject_id": "person"}
    )
    assert manifest.table["subject_id"].tolist() == ["ann", "", "", "bea", "", ""]
    tally = manifest.info["tally"]
    assert tally["subjects"] == 6
    assert tally["rows without a subject, each a subject of its own"] == 4
    assert tally[f"person: rows with '{word.lower()}', treated as missing"] == 3


def test_a_missing_subject_in_a_files_name_is_a_subject_of_its_own(tmp_path):
    for name in ("female/unknown_1.jpg", "female/unknown_2.jpg", "male/bob_1.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    manifest = prepare("image_folder", tmp_path, subject_regex="^([a-z]+)_")
    assert manifest.info["tally"]["subjects"] == 3


def test_a_subject_written_in_two_unicode_forms_is_one_person(tmp_path):
    path = table_in(tmp_path, age=["30", "31"], subject_id=["Zoe\u0308", "Zo\u00eb"])
    assert prepare("table", path).info["tally"]["subjects"] == 1


@pytest.mark.parametrize("placeholder", ["0", "-1", "-1.0", "999", "anonymous"])
def test_a_placeholder_that_is_the_subject_of_many_rows_is_told(placeholder, tmp_path):
    people = [placeholder] * 5 + [f"s{i}" for i in range(5)]
    manifest = prepare("table", table_in(tmp_path, age=["30"] * 10, subject_id=people))
    note = f"subject_id: 5 of 10 rows have the subject '{placeholder}'"
    assert manifest.info["notes"] == [
        f"{note}. If this means that the subject is not known, treat each of these rows as a"
        " subject of its own with"
        f" -o missing=+{placeholder}"
    ]
    assert manifest.info["tally"]["subjects"] == 6
    again = prepare("table", tmp_path / "faces.csv", missing=f"+{placeholder}")
    assert again.info["tally"]["subjects"] == 10


def test_a_person_of_many_photographs_is_no_placeholder(tmp_path):
    people = ["ann"] * 5 + [f"s{i}" for i in range(5)]
    manifest = prepare("table", table_in(tmp_path, age=["30"] * 10, subject_id=people))
    assert "notes" not in manifest.info


# ---------------------------------------------------------------- bad cells


def test_a_bad_cell_is_missing_for_its_target_and_named_with_its_value(featurekit, tmp_path):
    path = table_in(
        tmp_path,
        age=["30", "thirty", "30", "250", "31,5", "30"],
        sex=["f", "m", "5", "m", "f", "m"],
        hair=["fair"] * 6,
        box=["0 0 9 9"] * 5 + ["left"],
        official_fold=["0", "1", "0", "1", "train", "0"],
    )
    columns = ("--column", "gender=sex")
    code, output, errors = featurekit("prepare", "table", path, *columns, "-o", "labels=hair")
    assert code == 0
    manifest = Manifest.load(tmp_path / "work" / "manifest.csv")
    assert manifest.usable.all()
    np.testing.assert_array_equal(manifest.table["age"], [30, np.nan, 30, np.nan, np.nan, 30])
    assert manifest.table["gender"].tolist() == ["female", "male", "", "male", "female", "male"]
    assert manifest.table["box"].tolist() == ["0 0 9 9"] * 5 + [""]
    assert manifest.table["official_fold"].tolist() == [0, 1, 0, 1, -1, 0]
    for line in (
        "warning: row 2, age: 'thirty' is not a number of years; write it in digits, for example 31 or 31.5",
        "warning: row 5, age: '31,5' is not a number of years; write 31.5",
        "warning: row 3, sex: '5' is not female or male (or f, m, woman, man, ...); number codes are not"
        " used in"
        " the same way everywhere, so write f and m instead",
        "warning: row 4, age: '250' is not an age from 0 to 116;"
        " leave the cell empty if the age is not known",
        "warning: row 6, box: 'left' is not x1 y1 x2 y2 in pixels with x1 < x2 and y1 < y2",
        "warning: row 5, official_fold: 'train' is not a fold number (0, 1, 2, ...)",
    ):
        assert line in errors.splitlines()
    for line in ("cells of age that are not a valid age\t2", "cells of sex that are not a valid gender\t1"):
        assert line in output.splitlines()


def test_only_a_row_without_any_label_left_has_the_reason(tmp_path):
    path = table_in(tmp_path, age=["x", "200", "", "x", "200"], gender=["", "", "", "f", "m"], hair=["-"] * 5)
    path.write_text(path.read_text() + "more.jpg,30,f,-\n")
    (tmp_path / "more.jpg").write_text("more")
    manifest = prepare("table", path, labels="hair")
    assert manifest.table["reason"].tolist() == ["bad_value", "impossible_age", "no_label", "", "", ""]
    assert set(manifest.table["reason"]) <= {*REASONS, ""}


def test_of_many_bad_cells_some_of_each_column_are_shown_and_all_are_counted(featurekit, tmp_path):
    path = table_in(tmp_path, age=["x"] * 150 + ["30"], gender=["f"] * 149 + ["9", "m"])
    code, output, errors = featurekit("prepare", "table", path)
    lines = errors.splitlines()
    assert code == 0
    assert "cells of age that are not a valid age\t150\n" in output
    assert lines[0].startswith("warning: row 1, age: 'x'")
    assert lines[1].startswith("warning: row 150, gender: '9'")
    assert "warning: … and 141 more cells that cannot be read; see manifest.json" in lines
    cells = json.loads((tmp_path / "work" / "manifest.json").read_text())["bad_cells"]
    assert len(cells) == 100 + 1
    assert cells[0]["row"] == 1
    assert cells[0]["face_id"] == "0.jpg"


def test_a_group_that_the_table_gives_stays_beside_an_impossible_age(tmp_path):
    path = table_in(tmp_path, age=["999", "-5", "30"], age_group=["25-32", "0-2", ""])
    table = prepare("table", path).table
    assert table["age_group"].tolist() == ["25-32", "0-2", "25-32"]
    assert table["reason"].tolist() == ["", "", ""]


# ---------------------------------------------------------------- ages, and how they are written


@pytest.mark.parametrize(
    ("age", "group"),
    [
        ("38-43", "38-43"),
        ("(8, 12)", "8-12"),
        ("4 to 6 years", "4-6"),
        ("15 – 20", "15-20"),
        ("60+", "60-100"),
        ("over 60", "60-100"),
        ("60 and older", "60-100"),
        (">= 60", "60-100"),
    ],
)
def test_a_range_of_ages_that_is_an_age_group_is_read_as_one(age, group, tmp_path):
    manifest = prepare("table", table_in(tmp_path, age=[age, "30"]))
    assert manifest.table["age_group"].tolist() == [group, "25-32"]
    np.testing.assert_array_equal(manifest.table["age"], [np.nan, 30])
    assert manifest.usable.all()


@pytest.mark.parametrize(
    ("age", "problem"),
    [
        ("20-29", "and not one of the age groups 0-2, 4-6"),
        ("(27, 33)", "or keep such ranges as labels: --column age= -o labels=age"),
        ("over 50", "and not one of the age groups"),
        ("25,32", "write 25.32"),
        ("6,5", "write 6.5"),
        ("18 months", "write 1.5"),
        ("6mo", "write 0.5"),
        ("26 weeks", "write 0.5"),
        ("30 years old", "write 30"),
        ("7y", "write 7"),
        ("1985-04-12", "but a date; write the age in years on the day the image was taken"),
        ("12.04.1985", "but a date"),
        ("4/12/85", "but a date"),
        ("1985", "is not an age from 0 to 116 but a year; write the age in years"),
        ("dreißig", "write it in digits, for example 31 or 31.5"),
    ],
)
def test_an_age_that_cannot_be_read_is_answered_with_what_to_type(age, problem, tmp_path):
    manifest = prepare("table", table_in(tmp_path, age=["30", age], gender=["f", "f"]))
    assert manifest.usable.all()
    (cell,) = manifest.info["bad_cells"]
    assert (cell["row"], cell["column"], cell["value"]) == (2, "age", age)
    assert problem in cell["problem"]


def test_a_mapping_to_age_groups_wins_over_the_name_of_the_column(tmp_path):
    path = table_in(tmp_path, age=["(25, 32)", "60+", "29"], gender=["f", "m", "f"])
    manifest = prepare("table", path, columns={"age_group": "age"})
    assert manifest.table["age_group"].tolist() == ["25-32", "60-100", ""]
    assert manifest.table["age"].isna().all()
    (cell,) = manifest.info["bad_cells"]
    assert cell["problem"].endswith("if the column holds years, use --column age=age")
    path = table_in(tmp_path, age=["(25, 32)", "27-33"], gender=["f", "m"])
    manifest = prepare("table", path, columns={"age_group": "age"}, labels="age")
    assert manifest.table["age_label"].tolist() == ["(25, 32)", "27-33"]
    assert manifest.info["bad_cells"][0]["problem"].endswith("as labels: -o labels=age")


@pytest.mark.parametrize(
    ("columns", "kept"),
    [
        ({"subject_id": "face_id"}, {"subject_id": "x", "face_id": "0.jpg"}),
        ({"official_fold": "age"}, {"official_fold": 30, "age_group": ""}),
        ({"face_id": "", "age": ""}, {"face_id": "0.jpg", "age_group": ""}),
    ],
)
def test_what_is_said_of_a_column_wins_over_its_name(columns, kept, tmp_path):
    path = table_in(tmp_path, face_id=["x"], age=["30"], gender=["f"])
    row = prepare("table", path, columns=columns).table.iloc[0]
    assert {column: row[column] for column in kept} == kept


# ---------------------------------------------------------------- boxes


@pytest.mark.parametrize(
    ("columns", "cells", "box"),
    [
        ({}, {"box": ["10 20 5 8"]}, "10 20 15 28"),
        ({}, {"box": ["[0, 0.5, 3, 4]"]}, "0 0.5 3 4.5"),
        ({}, {"x": ["10"], "y": ["20"], "width": ["5"], "height": ["8"]}, "10 20 15 28"),
        (
            {"x": "left", "y": "top", "width": "w", "height": "h"},
            {"left": ["1"], "top": ["2"], "w": ["3"], "h": ["4"]},
            "1 2 4 6",
        ),
    ],
)
def test_a_box_may_be_x_y_width_and_height(columns, cells, box, tmp_path):
    path = table_in(tmp_path, age=["30"], **cells)
    assert prepare("table", path, columns=columns, box="xywh").table["box"].tolist() == [box]


def test_a_box_that_cannot_be_corners_is_answered_with_the_option(tmp_path):
    path = table_in(tmp_path, age=["30", "31"], box=["0 0 40 40", "100 80 40 60"])
    manifest = prepare("table", path)
    assert manifest.table["box"].tolist() == ["0 0 40 40", ""]
    (cell,) = manifest.info["bad_cells"]
    assert cell["problem"].endswith("; if the boxes are x, y, width and height, use -o box=xywh")
    path = table_in(tmp_path, age=["30"], x1=["90"], y1=["80"], x2=["40"], y2=["60"])
    message = "Column 'x1, y1, x2, y2' of .* cannot be read as box: '90 80 40 60' is not .* -o box=xywh"
    with pytest.raises(ManifestError, match=message):
        prepare("table", path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"box": "xywh"}, "-o box=xywh has no effect: no column of"),
        ({"box": "xyhw"}, "Unknown box 'xyhw'. Did you mean 'xywh'?"),
        ({"columns": {"width": "w"}}, "To change this: -o box=xywh"),
        ({"columns": {"x1": "w"}, "box": "xywh"}, "To change this: -o box=corners"),
        (
            {"columns": {"width": "w"}, "box": "xywh"},
            "A box needs all of x, y, width, height, but --column gives only width",
        ),
    ],
)
def test_an_option_of_boxes_without_effect_is_refused(options, message, tmp_path):
    with pytest.raises(ManifestError, match=re.escape(message)):
        prepare("table", table_in(tmp_path, age=["30"], w=["5"]), **options)


@pytest.mark.parametrize("option", [("-o", "missing=x"), ("-o", "box=xywh"), ("--column", "age=a")])
def test_an_option_given_twice_is_refused(option, featurekit, tmp_path):
    flag, said = option
    other = said.replace("=", "=other")
    code, _, errors = featurekit("prepare", "table", table_in(tmp_path, age=["30"]), flag, said, flag, other)
    assert code == 1
    assert "is given twice" in errors


def test_a_cell_that_could_not_be_read_goes_with_its_person(featurekit, tmp_path):
    path = table_in(tmp_path, age=["1984-02-03", "12.04.1985"], gender=["f", "m"], subject_id=["ann", "bea"])
    path.write_text(path.read_text() + "more.jpg,30,f,cat\n")
    (tmp_path / "more.jpg").write_text("more")
    assert featurekit("prepare", "table", path)[0] == 0
    code, _, errors = featurekit("cache", "purge", "--subject", "ann")
    assert code == 0, errors
    text = (tmp_path / "work" / "manifest.json").read_text()
    assert "1984-02-03" not in text
    assert "12.04.1985" in text
