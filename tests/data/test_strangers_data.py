"""Inputs that analysts really have, tried as a newcomer would: what is printed helps, and nothing is lost.

Exports of spreadsheets and statistics programs, folders of phones and network drives, codes and words of
other countries. Each input is unlike the others; the test holds the line that it prints.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

Run = Callable[..., tuple[int | str, str, str]]

COLUMNS = ("--column", "image_path=file", "--column", "subject_id=person")


def photograph(path: Path, seed: int) -> None:
    """Write a made-up photograph of its own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (24, 20, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def table(featurekit: Run, tmp_path: Path) -> Callable[..., tuple[int | str, str]]:
    """Prepare people.csv beside photos/0.png to 7.png, and return (exit code, all that was printed)."""
    for number in range(8):
        photograph(tmp_path / "photos" / f"{number}.png", number)

    def prepare(lines: list[str], *more: str, name: str = "people.csv") -> tuple[int | str, str]:
        (tmp_path / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
        where = (tmp_path / name, "--root", tmp_path / "photos")
        code, output, errors = featurekit("prepare", "table", *where, *COLUMNS, *more)
        return code, output + errors

    return prepare


@pytest.fixture
def folder(featurekit: Run, tmp_path: Path) -> Callable[..., tuple[int | str, str]]:
    """Prepare a folder with photographs at these places, and return (exit code, all that was printed)."""

    def prepare(*places: str, options: tuple[str, ...] = ()) -> tuple[int | str, str]:
        for number, place in enumerate(places):
            photograph(tmp_path / "faces" / place, number)
        code, output, errors = featurekit("prepare", "image_folder", tmp_path / "faces", *options)
        return code, output + errors

    return prepare


@pytest.fixture
def manifest(tmp_path: Path) -> Callable[[], pd.DataFrame]:
    """Read the manifest as text."""
    path = tmp_path / "work" / "manifest.csv"
    return lambda: pd.read_csv(path, dtype=str, keep_default_na=False)


# ---------------------------------------------------------------- who is on a photograph


@pytest.mark.parametrize(
    ("first", "second"),
    [("17", "17.0"), ("Anna Berg", "anna  berg"), ("P04", "p04 ")],
    ids=["a pandas float", "typed twice by hand", "another rater's capitals"],
)
def test_a_person_written_in_two_ways_is_one_person_aloud(table, manifest, first, second):
    people = [first, second, first, "zoe", "zoe", "007", "7", "18"]
    code, said = table(["file,person,age", *(f"{n}.png,{who},3{n}" for n, who in enumerate(people))])
    assert code == 0
    assert "are treated as one subject: row 2 has the subject of row 1." in said
    assert "person: subjects with different spellings\t1" in said
    assert manifest()["subject_id"].tolist() == [first, first, first, "zoe", "zoe", "007", "7", "18"]


def test_a_person_in_a_merged_cell_is_asked_about(table):
    people = ["anna", "", "", "bob", "", "carla", "", ""]
    code, said = table(["file,person,age", *(f"{n}.png,{who},3{n}" for n, who in enumerate(people))])
    assert code == 0
    assert "person: 5 rows without a subject follow a row that has one" in said
    assert "write that subject into every row" in said


def test_a_whole_number_with_and_without_a_point_is_one_label_aloud(table, manifest):
    stages = ["1", "1.0", "1", "2", "2.0", "2", "2.5", "2.5"]
    lines = ["file,person,stage", *(f"{n}.png,s{n},{stage}" for n, stage in enumerate(stages))]
    code, said = table(lines, "-o", "labels=stage")
    assert code == 0
    assert "stage: '1.0' (1) is taken as '1', '2.0' (1) is taken as '2'." in said
    assert manifest()["stage"].tolist() == ["1", "1", "1", "2", "2", "2", "2.5", "2.5"]


# ---------------------------------------------------------------- tables that are none, or begin later


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("people.sav", b"$FL2@(#) SPSS DATA FILE" + bytes(99), "is a file of SPSS, not a text table."),
        ("people.sav", b"$FL2@(#) SPSS DATA FILE" + bytes(99), "pandas.read_spss('T').to_csv('table.csv')"),
        ("people.dta", b"<stata_dta><header><release>118" + bytes(99), "pandas.read_stata('T')"),
        (
            "people.rds",
            b"\x1f\x8b" + bytes(99),
            "In R: write.csv(readRDS('T'), 'table.csv', row.names = FALSE)",
        ),
        ("people.csv", b"<!DOCTYPE html><title>Sign in</title>", "is a web page (HTML), not a text table"),
        ("people.csv", b"{\\rtf1\\ansi file,age\\\n1.png,30\\\n}", "Make Plain Text"),
        ("people.pdf", b"%PDF-1.4\n1 0 obj\n", "is a PDF, not a text table. Export the table as CSV"),
        ("people.parquet", b"version https://git-lfs.github.com/spec/v1\nsize 9\n", "git lfs pull"),
    ],
)
def test_a_file_of_another_program_is_named_with_the_way_to_a_table(
    featurekit, tmp_path, name, content, said
):
    (tmp_path / name).write_bytes(content)
    code, output, errors = featurekit("prepare", "table", tmp_path / name, *COLUMNS)
    assert (code, output) == (1, "")
    assert said.replace("'T'", f"'{tmp_path / name}'") in errors
    assert errors.count("\n") == 1


@pytest.mark.parametrize(
    ("above", "said"),
    [
        (
            ["Faces of the spring study,,", ",,"],
            "column names seem to be in line 3 (file, person, age). Delete the lines above line 3.",
        ),
        (
            ["# exported 2024-03-01", "# by Anna"],
            "column names seem to be in line 3 (file, person, age). Delete the lines above line 3.",
        ),
        (
            ["Photograph,Who,Age in years"],
            "Row 1 below the first line has a cell 'file'. If that row holds the column names, delete the",
        ),
    ],
    ids=["a title", "comments", "a line for people above the line for programs"],
)
def test_lines_above_the_names_of_the_columns_are_pointed_at(table, above, said):
    code, printed = table([*above, "file,person,age", *(f"{n}.png,s{n},3{n}" for n in range(8))])
    assert code == 1
    assert said in printed


def test_names_of_rows_that_r_writes_are_recognized(table):
    code, said = table(['"file","person","age"', *(f'"{n + 1}","{n}.png","s{n}",3{n}' for n in range(8))])
    assert code == 1
    assert (
        "Every row has one cell more than the first line. R writes such files if the table has row names."
        in said
    )
    assert "row.names = FALSE" in said


def test_columns_lined_up_with_spaces_are_answered_with_the_separator(table, manifest):
    lines = ["file   person age", *(f"{n}.png  s{n}     3{n}" for n in range(8))]
    code, said = table(lines, name="people.txt")
    assert code == 1
    assert "If the cells are separated by spaces, use -o separator=space" in said
    assert table(lines, "-o", "separator=space", name="people.txt")[0] == 0
    assert len(manifest()) == 8


# ---------------------------------------------------------------- spreadsheets, codes, other languages


def test_what_excel_and_sheets_write_for_a_failed_formula_is_no_class(table, manifest):
    moods = ["calm", "#REF!", "glad", "#DIV/0!", "calm", "#NAME?", "glad", "Loading..."]
    ages = ["#VALUE!", "31", "#N/A", "33", "#NUM!", "35", "36", "#ERROR!"]
    lines = ["file,person,age,mood", *(f"{n}.png,s{n},{ages[n]},{moods[n]}" for n in range(8))]
    code, said = table(lines, "-o", "labels=mood")
    assert code == 0
    assert "mood: 1 row says '#ref!', 1 row says '#div/0!'" in said
    assert "age: rows with '#value!', treated as missing\t1" in said
    assert manifest()["mood"].tolist() == ["calm", "", "glad", "", "calm", "", "glad", ""]


@pytest.mark.parametrize("made", ["4-Jun", "08. Dez", "Oct-12", "2024-06-04", "04/06/2024"])
def test_an_age_group_that_a_spreadsheet_made_a_date_of_is_recognized(table, made):
    groups = [made, "25-32"]
    lines = ["file,person,age_group", *(f"{n}.png,s{n},{groups[n % 2]}" for n in range(8))]
    code, said = table(lines)
    assert code == 0
    assert f"row 1, age_group: '{made}' is not one of 0-2, 4-6, 8-12," in said
    assert (
        "; a spreadsheet has turned an age group such as 4-6 or 8-12 into a date. Format the column as text"
        in said
    )


@pytest.mark.parametrize(
    ("ages", "said"),
    [
        (
            "1985",
            "Column 'age' of T contains no age: '1985' is not an age from 0 to 116 but a year; write the",
        ),
        (
            "-5.5",
            "Column 'age' of T contains no age: '-5.5' is not an age from 0 to 116; leave the cell empty",
        ),
    ],
)
def test_a_column_without_one_possible_age_is_refused(table, tmp_path, ages, said):
    code, printed = table(
        ["file,person,age,gender", *(f"{n}.png,s{n},{ages},{'fm'[n % 2]}" for n in range(8))]
    )
    assert code == 1
    assert said.replace("T", str(tmp_path / "people.csv")) in printed
    assert printed.endswith("To leave the column out, use --column age=\n")


@pytest.mark.parametrize("column", ["age_months", "AgeInMonths", "age (days)"])
def test_months_are_not_read_as_years(table, tmp_path, column):
    lines = [f"file,person,{column}", *(f"{n}.png,s{n},{40 + n}" for n in range(8))]
    code, said = table(lines, "--column", f"age={column}")
    unit, per_year = ("days", "365.25") if "days" in column else ("months", "12")
    assert code == 1
    assert f"to hold {unit}, but an age must be in years. Write a column of years" in said
    assert f"(divide by {per_year})" in said


@pytest.mark.parametrize("code_of_nothing", ["999", "-1", "888"])
def test_a_code_for_an_unknown_age_is_answered_with_the_option_that_takes_it(
    table, manifest, code_of_nothing
):
    lines = ["file,person,age,gender"]
    lines += [f"{n}.png,s{n},{code_of_nothing if n % 2 else 30 + n},{'fm'[n // 4]}" for n in range(8)]
    code, said = table(lines)
    option = f"missing=+{code_of_nothing}"
    assert code == 0
    assert f"if it means that the age is not known, use -o {option}\n" in said
    code, said = table(lines, "-o", option)
    assert code == 0
    assert "warning" not in said
    assert manifest()["age"].tolist()[:2] == ["30.0", ""]


@pytest.mark.parametrize(
    "words", [("weiblich", "männlich"), ("Femme", "Homme"), ("F.", "M."), ("mujer", "hombre")]
)
def test_genders_in_other_languages_are_read(table, manifest, words):
    code, said = table(["file,person,gender", *(f"{n}.png,s{n},{words[n % 2]}" for n in range(8))])
    assert code == 0
    assert "usable\t8" in said
    assert manifest()["gender"].tolist() == ["female", "male"] * 4


@pytest.mark.parametrize("man", ["H", "v"])
def test_an_m_that_is_a_spanish_woman_is_not_read_as_a_man(table, man):
    code, said = table(["file,person,gender", *(f"{n}.png,s{n},{(man, 'M')[n % 2]}" for n in range(8))])
    assert code == 1
    assert f"contains '{man}' and 'M'. In Spanish and Portuguese this M means woman. Write f and m" in said


def test_a_gender_in_codes_is_answered_with_what_to_write(table):
    code, said = table(["file,person,gender", *(f"{n}.png,s{n},{1 + n % 2}" for n in range(8))])
    assert code == 1
    assert (
        "'1' is not female or male (or f, m, woman, man, ...); number codes are not used in the same way"
        in said
    )
    assert "so write f and m instead. To leave the column out, use --column gender=" in said


def test_a_third_gender_is_told_how_it_is_kept(table, manifest):
    genders = ["f", "m", "non-binary", "f", "m", "non-binary", "f", "m"]
    lines = ["file,person,sex,age", *(f"{n}.png,s{n},{genders[n]},3{n}" for n in range(8))]
    code, said = table(lines, "--column", "gender=sex")
    assert code == 0
    assert "row 3, sex: 'non-binary' is not female or male" in said
    assert "keep the words of the column as labels: --column gender= -o labels=sex" in said
    assert table(lines, "--column", "gender=", "-o", "labels=sex")[0] == 0
    assert manifest()["sex"].tolist() == genders


# ---------------------------------------------------------------- paths of other machines, several raters


@pytest.mark.parametrize(
    ("beginning", "said"),
    [
        (
            "C:\\Users\\anna\\study\\",
            "Paths that begin with 'C:/Users/anna/study/' but exist only without 'C:/Users/anna/study/': 8"
            " ('0.png' for 'C:/Users/anna/study/0.png'). Remove this beginning from the paths in the table.",
        ),
        (
            "\\\\server\\share\\",
            "Paths that begin with '//server/share/' but exist only without '//server/share/': 8",
        ),
        (
            "photos/",
            "from the paths in the table, or give the folder above with --root 'PARENT'.",
        ),
        (
            "https://example.org/photos/",
            "Paths that are web addresses: 8 (first: 'https://example.org/photos/0.png'). featurekit reads"
            " only files. Download the images, and write the paths of the files into the table.",
        ),
    ],
    ids=["another computer", "a network drive", "the folder named twice", "the web"],
)
def test_paths_that_lie_elsewhere_are_answered_with_what_to_change(table, tmp_path, beginning, said):
    code, printed = table(["file,person,age", *(f"{beginning}{n}.png,s{n},3{n}" for n in range(8))])
    assert code == 1
    assert said.replace("PARENT", str(tmp_path)) in printed


def test_a_root_one_folder_too_high_is_answered_with_the_folder(featurekit, table, tmp_path):
    table(["file,person,age", *(f"{n}.png,s{n},3{n}" for n in range(8))])
    where = (tmp_path / "people.csv", "--root", tmp_path)
    code, output, errors = featurekit("prepare", "table", *where, *COLUMNS)
    assert (code, output) == (1, "")
    assert (
        f"'0.png' is in the folder 'photos'. Give that folder with --root '{tmp_path / 'photos'}'" in errors
    )


def test_a_table_with_a_row_a_rater_is_told_what_it_needs(table, manifest):
    lines = ["file,person,age", *(f"{n}.png,s{n},3{n}" for n in range(8)), "2.png,s2,40", "5.png,s5,29"]
    code, said = table(lines)
    assert code == 0
    assert "Images that have several rows with different labels: 2 (first: rows 3, 9). None of these" in said
    assert "If several people labelled each image, write one row per image" in said
    assert (manifest()["reason"] == "conflicting_labels").sum() == 4


def test_the_row_of_totals_is_one_missing_file_and_no_person_s_label(table, manifest):
    lines = ["file,person,age", *(f"{n}.png,s{n},3{n}" for n in range(8)), "Total,8,268"]
    code, said = table(lines)
    assert code == 0
    assert "warning: row 9, 'Total': the file does not exist" in said
    assert "usable\t8" in said
    assert manifest()["reason"].tolist() == [*[""] * 8, "missing_file"]


# ---------------------------------------------------------------- folders of network drives and courses


def test_thumbnails_of_a_network_drive_are_no_photographs_of_the_class(folder, manifest):
    thumbnails = ("female/@eaDir/1.png/SYNOPHOTO_THUMB_M.png", "__MACOSX/male/2.png", "#recycle/old.png")
    code, said = folder("female/1.png", "male/2.png", *thumbnails)
    assert code == 0
    assert (
        "Files that were not read: folders that operating systems and network drives create: 3"
        " (for example '#recycle')." in said
    )
    assert manifest()["image_path"].tolist() == ["female/1.png", "male/2.png"]


@pytest.mark.parametrize("options", [(), ("-o", "target=mood")])
def test_folders_of_training_and_test_are_no_labels(folder, tmp_path, options):
    code, said = folder("train/happy/1.png", "train/sad/2.png", "val/sad/3.png", options=options)
    assert code == 1
    assert (
        "are parts of a data set (train, val), not labels. The folders in these parts are: happy, sad."
        in said
    )
    assert f"Give one part, '{tmp_path / 'faces' / 'train'}', or move the images of all parts" in said


def test_a_folder_given_one_level_too_high_is_answered_with_the_one_inside(folder, tmp_path):
    places = ("Study 2024/female/1.png", "Study 2024/male/2.png")
    study = tmp_path / "faces" / "Study 2024"
    inside = f"If the classes are the folders one level deeper (female, male), give this folder: '{study}'"
    code, said = folder(*places)
    assert code == 1
    assert inside in said
    code, said = folder(*places, options=("-o", "target=sex"))
    assert code == 0
    assert f"All images have the same class, 'Study 2024'. {inside}" in said


def test_one_class_folder_is_answered_with_the_folder_above(featurekit, folder, tmp_path):
    folder("female/1.png", "male/2.png")
    code, output, errors = featurekit("prepare", "image_folder", tmp_path / "faces" / "female")
    assert (code, output) == (1, "")
    assert (
        f"'female' looks like a class folder. Give the folder that contains it, '{tmp_path / 'faces'}'"
        in errors
    )


# ---------------------------------------------------------------- after prepare


def test_photographs_that_were_moved_away_are_missed_by_extract_and_audit(featurekit, folder, tmp_path):
    folder(*(f"{sex}/{n}.png" for n in range(3) for sex in ("female", "male")))
    (tmp_path / "faces").rename(tmp_path / "elsewhere")
    code, output, errors = featurekit("extract", "--backbone", "mean_color", "--detector", "whole_image")
    assert code == 1
    assert "warning: female/0.png was not read: No such file or directory" in errors
    assert "error: 6 images were not read" in errors
    assert "run `featurekit prepare` and then this command again" in errors
    code, output, errors = featurekit("audit")
    assert code == 0
    assert (
        f"No image was read, because none of the 6 images is below {tmp_path / 'faces'} any more." in output
    )
    assert "Move the folder back, or run featurekit prepare on its new location." in output


def test_downloads_that_are_no_photographs_are_a_row_each_with_what_they_are(featurekit, folder, tmp_path):
    folder("female/1.png", "male/2.png")
    bad = {
        "404.jpg": b"<html>404 Not Found</html>",
        "pointer.jpg": b"version https://git-lfs.github.com/spec/v1\nsize 9\n",
        "zero.jpg": b"",
        "half.png": (tmp_path / "faces/female/1.png").read_bytes()[:200],
    }
    for name, content in bad.items():
        (tmp_path / "faces" / "male" / name).write_bytes(content)
    code, output, _ = featurekit("prepare", "image_folder", tmp_path / "faces")
    assert (code, "usable\t6" in output) == (0, True)
    code, output, errors = featurekit("extract", "--backbone", "mean_color", "--detector", "whole_image")
    assert code == 0
    assert "empty_file\t1\tthe file is empty" in output
    assert "undecodable\t2\tthe file is not an image, or is damaged" in output
    assert (
        "warning: 'male/half.png' is truncated: the file is incomplete: it ends before the image does"
        in errors
    )
    assert sum("warning: 'male/" in line for line in errors.splitlines()) == 4
