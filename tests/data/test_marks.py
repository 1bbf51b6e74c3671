"""Marks of faces: what `featurekit explore` writes, `featurekit prepare` applies."""

import pandas as pd
import pytest

import featurekit as fk
from featurekit.data.manifest import Manifest
from featurekit.data.marks import Mark, read_marks, read_value, write_marks
from featurekit.errors import ManifestError

HOSTILE = "<img src=x onerror=alert(1)>.png"
TABLE = ("--column", "image_path=file", "--column", "subject_id=person", "--column", "age=years")


@pytest.fixture
def prepare(featurekit, portraits):
    """Prepare the made-up images with marks, and return the result of the command and the manifest."""

    def run(*marks, more=()):
        write_marks(portraits / "marks.csv", marks)
        where = ("table", portraits / "people.csv", "--root", portraits / "photos", *TABLE)
        done = featurekit(
            "prepare", *where, "--column", "gender=sex", "--marks", portraits / "marks.csv", *more
        )
        path = portraits / "work" / "manifest.csv"
        return done, Manifest.load(path).table.set_index("face_id") if path.exists() else None

    return run


def mark(name, kind, label="", value="", note=""):
    return Mark(name, name, kind, label, value, note)


def test_marks_are_read_as_they_were_written(tmp_path):
    marks = [
        Mark(HOSTILE, HOSTILE, "exclude", note="=1+1"),
        Mark("a,b", 'c"d\n', "label", "hair", "-none", "two\nlines"),
        mark("'+a", "note", note="'=b"),
    ]
    write_marks(tmp_path / "marks.csv", marks)
    assert read_marks(tmp_path / "marks.csv") == marks
    assert "\n=1+1" not in (tmp_path / "marks.csv").read_text().replace(",", "\n")
    write_marks(tmp_path / "none.csv", [])
    assert read_marks(tmp_path / "none.csv") == []


def test_a_spreadsheet_of_another_country_is_read(tmp_path):
    text = "\ufefface_id;image_path;mark;label;value;note\r\na;a;label;age;31;\r\n;;;;;\r\n"
    (tmp_path / "marks.csv").write_text(text.replace("\ufefface", "\ufeffface"), encoding="utf-8")
    assert read_marks(tmp_path / "marks.csv") == [mark("a", "label", "age", "31")]


def test_prepare_excludes_faces_and_replaces_labels(prepare):
    (code, output, errors), table = prepare(
        mark("s0_0.png", "exclude", note="blurred"),
        mark("s0_1.png", "label", "gender", "f"),
        mark("s0_1.png", "label", "age", "61"),
        mark("s0_2.png", "label", "gender", ""),
        mark("s1_0.png", "note", note="looks right"),
        mark("gone.png", "exclude"),
    )
    assert code == 0, errors
    assert "marks.csv: 1 face excluded, 3 labels replaced." in output
    assert "1 mark of marks.csv had no effect" in errors
    assert "(first: line 7, 'gone.png')" in errors
    assert table.loc["s0_0.png", "reason"] == "excluded"
    assert (table["reason"] != "").sum() == 1
    assert list(table.loc["s0_1.png", ["age", "age_group", "gender"]]) == [61.0, "60-100", "female"]
    assert list(table.loc["s0_2.png", ["age", "gender"]]) == [28.0, ""]
    assert len(table) == 24


def test_a_third_gender_is_one_of_its_classes():
    assert [read_value("gender3", word) for word in ("u", "Woman", "")] == ["undefined", "female", ""]
    with pytest.raises(ManifestError, match=r"must be one of female, male, undefined\. Got 'x' instead"):
        read_value("gender3", "x")


def test_an_age_group_that_is_replaced_stays_with_a_new_age(prepare):
    marks = [mark("s0_0.png", "label", "age_group", "25-32"), mark("s0_0.png", "label", "age", "23")]
    (code, _, errors), table = prepare(*marks)
    assert code == 0, errors
    assert list(table.loc["s0_0.png", ["age", "age_group"]]) == [23.0, "25-32"]
    assert table.loc["s0_1.png", "age_group"] == "25-32"


def test_a_mark_of_a_face_with_another_image_is_not_used(prepare):
    (code, output, _), table = prepare(Mark("s0_0.png", "s7_0.png", "exclude"))
    assert code == 0
    assert "0 faces excluded" in output
    assert (table["reason"] == "").all()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b\n1,2\n", "it lacks the columns face_id, image_path, mark, label, value"),
        ("face_id,image_path,mark,label,value\na,a,remove,,\n", "Line 2 of .*Unknown mark 'remove'"),
        (
            "face_id,image_path,mark,label,value\na,a,label,,x\n",
            "Line 2 of .*the label to replace is missing",
        ),
        ('face_id,image_path,mark,label,value\n"a,a\n', "are not a table"),
        ("", "it lacks the columns"),
    ],
)
def test_another_table_is_refused(tmp_path, text, said):
    (tmp_path / "marks.csv").write_text(text)
    with pytest.raises(ManifestError, match=said):
        read_marks(tmp_path / "marks.csv")


def test_what_cannot_be_read_is_one_line(prepare, featurekit, portraits, tmp_path):
    for label, value in (("age", "200"), ("gender", "2"), ("age_group", "1-99")):
        (code, _, errors), _ = prepare(mark("s0_0.png", "label", label, value))
        assert code == 1
        assert errors.count("\n") == 1
        assert errors.startswith("error: Line 2 of ")
        assert f"marks.csv ('s0_0.png'): The {label.replace('_', ' ')} must be" in errors
    (tmp_path / "cp1252.csv").write_bytes(
        "face_id,image_path,mark,label,value\né,é,note,,\n".encode("cp1252")
    )
    with pytest.raises(ManifestError, match="not in UTF-8"):
        read_marks(tmp_path / "cp1252.csv")
    with pytest.raises(ManifestError, match="cannot be read: No such file"):
        read_marks(tmp_path / "absent.csv")


def test_a_program_applies_marks_too_and_is_told_of_those_it_leaves(portraits, caplog, monkeypatch):
    photos = portraits / "photos"
    write_marks(portraits / "marks.csv", [Mark("s0_0.png", "s0_0.png", "exclude")])
    how = {"columns": {"image_path": "file", "age": "years"}, "root": photos, "project": portraits}
    data = fk.load_dataset("table", portraits / "people.csv", marks=portraits / "marks.csv", **how)
    assert data.usable.sum() == 23
    assert data.describe().loc["excluded", "rows"] == 1
    assert not any("which are not used" in text for text in caplog.messages)
    data = fk.load_dataset("table", portraits / "people.csv", **how)
    assert data.usable.sum() == 24
    assert any("marks.csv has marks of faces, which are not used" in text for text in caplog.messages)


def test_labels_of_ones_own_are_replaced_under_the_name_of_the_manifest(featurekit, portraits):
    table = pd.read_csv(portraits / "people.csv").assign(**{"hair/colour": ["red", "black"] * 12})
    table.to_csv(portraits / "hair.csv", index=False)
    write_marks(portraits / "marks.csv", [mark("s0_0.png", "label", "hair_colour", "Black")])
    code, output, errors = featurekit(
        *("prepare", "table", portraits / "hair.csv", "--root", portraits / "photos"),
        *("--column", "image_path=file", "-o", "labels=hair/colour", "--marks", portraits / "marks.csv"),
    )
    assert code == 0, errors
    assert "1 label replaced" in output
    found = Manifest.load(portraits / "work" / "manifest.csv").table
    assert list(found["hair_colour"][:3]) == ["black", "black", "red"]


@pytest.fixture
def prepare_hair(featurekit, portraits):
    """Prepare the made-up images, half of them with red and half with black hair, with marks."""
    hair = ["red", "black"] * 12
    pd.read_csv(portraits / "people.csv").assign(hair=hair).to_csv(portraits / "hair.csv", index=False)

    def run(*marks, labels="-o labels=hair"):
        write_marks(portraits / "marks.csv", marks)
        where = ("table", portraits / "hair.csv", "--root", portraits / "photos", *TABLE)
        return featurekit("prepare", *where, *labels.split(), "--marks", portraits / "marks.csv")

    return run


def test_a_label_that_the_data_set_does_not_have_is_one_line_and_nothing_is_lost(prepare_hair, portraits):
    assert prepare_hair()[0] == 0
    before = (portraits / "work" / "manifest.csv").read_bytes()
    marks = [mark("s0_0.png", "exclude"), mark("s0_1.png", "label", "hiar", "black")]
    code, _, errors = prepare_hair(*marks)
    assert (code, errors) == (
        1,
        f"error: Line 3 of {portraits / 'marks.csv'} ('s0_1.png'): Unknown label 'hiar'. Did you mean 'hair'?"
        " Known: age, age_group, gender, hair. A column of the table becomes a label with -o labels=COLUMN\n",
    )
    assert (portraits / "work" / "manifest.csv").read_bytes() == before
    assert read_marks(portraits / "marks.csv") == marks
    # The same marks, without the option that made the label.
    code, _, errors = prepare_hair(mark("s0_1.png", "label", "hair", "black"), labels="")
    assert code == 1
    assert "Unknown label 'hair'. Known: age, age_group, gender. A column" in errors


def test_marks_that_contradict_each_other_are_named_with_their_lines(prepare_hair, portraits):
    first = mark("s0_0.png", "label", "gender", "male")
    assert prepare_hair(first, mark("s0_0.png", "label", "gender", "M"))[0] == 0  # both say the same
    code, _, errors = prepare_hair(first, mark("s0_0.png", "label", "gender", "female"))
    assert (code, errors) == (
        1,
        f"error: Line 3 of {portraits / 'marks.csv'} ('s0_0.png'): gender is 'female' here, but 'male' in"
        " line 2. Keep one of the two marks.\n",
    )


def test_a_class_that_no_face_has_is_named_once(prepare_hair, portraits):
    code, output, errors = prepare_hair(
        mark("s0_0.png", "label", "hair", " BLACK"),
        mark("s0_1.png", "label", "hair", "none"),
        mark("s0_2.png", "label", "hair", "blak"),
        mark("s1_0.png", "label", "hair", "Blak"),
    )
    assert code == 0
    assert "4 labels replaced" in output
    assert errors.splitlines()[0] == (
        f"warning: Line 4 of {portraits / 'marks.csv'} ('s0_2.png'), and 1 other line: Unknown class of hair"
        " 'blak'. Did you mean 'black'? Known: black, red. It becomes a new class. If it is mistyped, correct"
        " the mark, and prepare again."
    )
    assert errors.count("class of hair") == 1
    assert "blak" in set(Manifest.load(portraits / "work" / "manifest.csv").table["hair"])


def test_a_new_measurement_is_no_new_class(featurekit, portraits):
    people = pd.read_csv(portraits / "people.csv").assign(bmi=[20 + n / 10 for n in range(24)])
    people.to_csv(portraits / "bmi.csv", index=False)
    write_marks(portraits / "marks.csv", [mark("s0_0.png", "label", "bmi", "31.5")])
    where = ("table", portraits / "bmi.csv", "--root", portraits / "photos", "-o", "labels=bmi", *TABLE)
    assert "new class" not in featurekit("prepare", *where, "--marks", portraits / "marks.csv")[2]
