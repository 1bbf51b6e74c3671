"""A table with columns of any name, and cells of any kind."""

import gzip
import re
import zipfile

import numpy as np
import pandas as pd
import pytest

from featurekit.data.prepare import prepare
from featurekit.errors import ManifestError


def table_of(folder, text, name="faces.csv"):
    """Write a table, and a picture with bytes of its own for every name ending in .jpg in it."""
    for picture in set(re.findall(r"[\w/]+\.jpg", text)):
        (folder / picture).parent.mkdir(parents=True, exist_ok=True)
        (folder / picture).write_text(picture)
    (folder / name).write_text(text)
    return folder / name


def test_columns_are_taken_by_mapping_and_by_name(tmp_path):
    path = table_of(tmp_path, "file,years,gender,subject_id\n1.jpg,30,F,ann\n2.jpg,13.5,man,\n")
    table = prepare("table", path, columns={"image_path": "file", "age": "years"}).table
    assert table["face_id"].tolist() == ["1.jpg", "2.jpg"]
    assert table["age"].tolist() == [30, 13.5]
    assert table["age_group"].tolist() == ["25-32", ""]
    assert table["gender"].tolist() == ["female", "male"]
    assert table["subject_id"].tolist() == ["ann", ""]


def test_paths_are_relative_to_the_root(tmp_path):
    table_of(tmp_path / "photos", "a/1.jpg")
    path = tmp_path / "faces.csv"
    path.write_text(f"image_path,age\na\\1.jpg,30\n{tmp_path}/photos/a/1.jpg,30\n../faces.csv,30\n")
    table = prepare("table", path, root=tmp_path / "photos").table
    assert table["image_path"].tolist() == ["a/1.jpg", "a/1.jpg", "../faces.csv"]
    assert table["reason"].tolist() == ["", "duplicate", "outside_root"]
    assert table["face_id"].tolist() == ["a/1.jpg", "a/1.jpg#2", "../faces.csv"]


def test_a_wrong_column_name_is_refused_with_the_right_ones(tmp_path):
    path = table_of(tmp_path, "file,years\n1.jpg,30\n")
    message = "Unknown column of faces.csv 'yaers'. Did you mean 'years'? Known: file, years."
    with pytest.raises(ManifestError, match=re.escape(message)):
        prepare("table", path, columns={"image_path": "file", "age": "yaers"})


def test_a_wrong_column_of_the_manifest_is_refused(tmp_path):
    path = table_of(tmp_path, "file,years\n1.jpg,30\n")
    with pytest.raises(
        ManifestError, match=r"Unknown column of the manifest 'image_pth'\. Did you mean 'image_path'\?"
    ):
        prepare("table", path, columns={"image_pth": "file"})


def test_a_label_that_is_given_as_a_column_of_the_manifest_is_refused_with_the_option_for_labels(tmp_path):
    path = table_of(tmp_path, "file,glasses\n1.jpg,yes\n")
    with pytest.raises(ManifestError, match=r"To use it as a label: -o labels=glasses$"):
        prepare("table", path, columns={"image_path": "file", "glasses": "glasses"})


def test_a_table_that_names_no_pictures_is_refused(tmp_path):
    path = table_of(tmp_path, "file,years\n1.jpg,30\n")
    with pytest.raises(
        ManifestError, match=re.escape("--column image_path=NAME. The table has: file, years.")
    ):
        prepare("table", path)


def test_a_bad_cell_is_missing_alone_and_is_counted(tmp_path):
    path = table_of(
        tmp_path,
        "image_path,age,gender,box\n"
        "1.jpg,30,female,0 0 9 9\n"
        "2.jpg,thirty,female,\n"
        "3.jpg,30,2,\n"
        "4.jpg,30,male,9 0 0 9\n"
        "5.jpg,,u,\n"
        "6.jpg,-3,male,\n",
    )
    manifest = prepare("table", path)
    assert manifest.table["reason"].tolist() == ["", "", "", "", "no_label", ""]
    np.testing.assert_array_equal(manifest.table["age"], [30, np.nan, 30, 30, np.nan, np.nan])
    assert manifest.table["gender"].tolist() == ["female", "female", "", "male", "", "male"]
    assert manifest.table["box"].tolist() == ["0 0 9 9", "", "", "", "", ""]
    tally = manifest.info["tally"]
    assert tally["cells of age that are not a valid age"] == 1
    assert tally["cells of gender that are not a valid gender"] == 1
    assert tally["cells of box that are not a valid box"] == 1
    assert tally["cells of age that are not a valid age from 0 to 116"] == 1


def test_a_column_in_which_nothing_can_be_read_is_refused(tmp_path):
    path = table_of(tmp_path, "image_path,age,sex\n1.jpg,30,1\n2.jpg,31,0\n3.jpg,32,\n")
    message = "cannot be read as gender: '1' is not female or male"
    with pytest.raises(ManifestError, match=message):
        prepare("table", path, columns={"gender": "sex"})


@pytest.mark.parametrize("age", ["1e2", "inf", "1_0", "30 years", "0x1f", "1,5"])
def test_an_age_is_a_plain_number(age, tmp_path):
    path = table_of(tmp_path, f'image_path,age\n1.jpg,30\n2.jpg,"{age}"\n')
    assert prepare("table", path).table["reason"].tolist() == ["", "bad_value"]


@pytest.mark.parametrize("age", ["", "NaN", "None", " ", "n/a", "Not Sure"])
def test_an_age_may_be_unknown(age, tmp_path):
    path = table_of(tmp_path, f"image_path,age,gender\n1.jpg,30,f\n2.jpg,{age},f\n")
    table = prepare("table", path).table
    assert table["reason"].tolist() == ["", ""]
    assert np.isnan(table["age"].iloc[1])


def test_a_given_age_group_wins_and_a_gap_is_filled_from_the_age(tmp_path):
    path = table_of(tmp_path, 'image_path,age,age_group\n1.jpg,35,"(25, 32)"\n2.jpg,5,\n3.jpg,,60+\n')
    assert prepare("table", path).table["age_group"].tolist() == ["25-32", "4-6", "60-100"]


@pytest.mark.parametrize(
    ("columns", "text"),
    [
        ({}, 'image_path,age,box\n1.jpg,30,"[0, 1.5, 9, 9]"\n'),
        ({}, "image_path,age,x1,y1,x2,y2\n1.jpg,30,0,1.5,9.0,9\n"),
        (
            dict(zip(("x1", "y1", "x2", "y2"), "ltrb", strict=True)),
            "image_path,age,l,t,r,b\n1.jpg,30,0,1.5,9,9\n",
        ),
    ],
)
def test_a_box_is_written_as_four_corners(columns, text, tmp_path):
    assert prepare("table", table_of(tmp_path, text), columns=columns).table["box"].tolist() == ["0 1.5 9 9"]


def test_a_box_with_a_corner_missing_is_none(tmp_path):
    path = table_of(tmp_path, "image_path,age,x1,y1,x2,y2\n1.jpg,30,0,0,9,9\n2.jpg,30,0,,9,9\n3.jpg,30,,,,\n")
    table = prepare("table", path).table
    assert table["reason"].tolist() == ["", "", ""]
    assert table["box"].tolist() == ["0 0 9 9", "", ""]


def test_three_corners_are_no_box(tmp_path):
    path = table_of(tmp_path, "image_path,age,l,t,r\n1.jpg,30,0,0,9\n")
    with pytest.raises(ManifestError, match="A box needs all of x1, y1, x2, y2"):
        prepare("table", path, columns={"x1": "l", "y1": "t", "x2": "r"})


@pytest.mark.parametrize("labels", [["mood", "glasses"], "mood,glasses"])
def test_further_columns_are_labels_if_asked_for(labels, tmp_path):
    path = table_of(tmp_path, "image_path,mood,glasses,note\n1.jpg,glad,yes,x\n2.jpg,sad,no,y\n3.jpg,,,z\n")
    manifest = prepare("table", path, labels=labels)
    assert manifest.target("mood").classes == ("glad", "sad")
    assert manifest.table["reason"].tolist() == ["", "", "no_label"]
    assert "note" not in manifest.table


def test_ids_and_folds_of_the_table_are_kept(tmp_path):
    path = table_of(
        tmp_path,
        "image_path,age,face_id,official_fold\n1.jpg,30,007,0\n2.jpg,30,007,\n3.jpg,30,,4\n4.jpg,30,x,one\n",
    )
    table = prepare("table", path).table
    assert table["face_id"].tolist() == ["007", "007#2", "3.jpg", "x"]
    assert table["official_fold"].tolist() == [0, -1, 4, -1]
    assert table["reason"].tolist() == ["", "", "", ""]


def test_parquet_is_read_like_text(tmp_path):
    table_of(tmp_path, "1.jpg 2.jpg 3.jpg")
    columns = {
        "image_path": ["1.jpg", "2.jpg", "3.jpg"],
        "age": [30, 31.5, None],
        "gender": ["male", None, "female"],
        "subject_id": [12, None, 13],
        "box": [[0, 0, 9, 9], None, [1, 1, 5, 5]],
    }
    pd.DataFrame(columns).to_parquet(tmp_path / "faces.parquet")
    manifest = prepare("table", tmp_path / "faces.parquet")
    assert manifest.usable.all()
    assert manifest.table["subject_id"].tolist() == ["12", "", "13"]
    assert manifest.table["gender"].tolist() == ["male", "", "female"]
    assert manifest.table["box"].tolist() == ["0 0 9 9", "", "1 1 5 5"]
    np.testing.assert_array_equal(manifest.table["age"], [30, 31.5, np.nan])


def test_other_separators_and_marks_are_understood(tmp_path):
    table_of(tmp_path, "image_path\tage\n1.jpg\t30\n", "faces.tsv")
    table_of(tmp_path, "\ufeffimage_path;age\n1.jpg;30\n", "faces.csv")
    assert prepare("table", tmp_path / "faces.tsv").usable.all()
    assert prepare("table", tmp_path / "faces.csv", separator=";").usable.all()


@pytest.mark.parametrize(
    "text",
    [
        "image_path,age\n1.jpg,30,female\n2.jpg,30,male\n",
        "",
        "\n\n",
        "image_path,age\n\x81.jpg,30\n",
        "image_path,age\n",
    ],
)
def test_a_file_that_is_no_table_is_refused(text, tmp_path):
    (tmp_path / "faces.csv").write_text(text, encoding="latin-1")
    with pytest.raises(ManifestError, match=r"cannot be read as a table|has no rows"):
        prepare("table", tmp_path / "faces.csv")


def test_a_broken_parquet_file_is_refused(tmp_path):
    (tmp_path / "faces.parquet").write_bytes(b"PAR1 not really")
    with pytest.raises(ManifestError, match="cannot be read as a table"):
        prepare("table", tmp_path / "faces.parquet")


def test_a_missing_root_is_refused(tmp_path):
    path = table_of(tmp_path, "image_path,age\n1.jpg,30\n")
    with pytest.raises(ManifestError, match="nowhere does not exist"):
        prepare("table", path, root=tmp_path / "nowhere")


# ---------------------------------------------------------------- bytes that become a table


def refusal(folder, content, name="faces.csv", **options):
    """Return the words in which a table is refused, without its path."""
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ManifestError) as refused:
        prepare("table", folder / name, **options)
    assert "\n" not in str(refused.value)
    return str(refused.value).replace(str(folder / name), "T")


@pytest.mark.parametrize(
    ("head", "said"),
    [
        ("image_path,age,age", "T has two columns called 'age': column 2 and column 3."),
        ("image_path, age,gender,age ", "T has two columns called 'age': column 2 and column 4."),
        ("image_path,age,Age", "T has two columns called 'age' and 'Age': column 2 and column 3."),
        ("image_path,mood,age,mood", "T has two columns called 'mood': column 2 and column 4."),
    ],
)
def test_two_columns_of_one_name_are_refused_with_their_places(head, said, tmp_path):
    cells = ",".join("1" for _ in head.split(","))
    assert refusal(tmp_path, f"{head}\n{cells}\n") == f"{said} Rename one, or delete it."


def test_columns_of_parquet_and_json_are_no_exception(tmp_path):
    import pyarrow
    import pyarrow.parquet

    columns = [pyarrow.array(["1.jpg"]), pyarrow.array([30]), pyarrow.array([31])]
    table = pyarrow.Table.from_arrays(columns, names=["image_path", "age", "age "])
    pyarrow.parquet.write_table(table, tmp_path / "faces.parquet")
    content = (tmp_path / "faces.parquet").read_bytes()
    assert "two columns called 'age': column 2 and column 3" in refusal(tmp_path, content, "faces.parquet")
    line = '{"image_path": "1.jpg", "age": 30, "age": 31}\n'
    assert "line 1 is not a JSON object" in refusal(tmp_path, line, "faces.jsonl")


def test_capitals_tell_apart_columns_that_nothing_here_is_called(tmp_path):
    path = table_of(tmp_path, "image_path,age,Mood,mood\n1.jpg,30,a,b\n")
    assert prepare("table", path, labels="mood").table["mood"].tolist() == ["b"]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("2.jpg,31", "row 2, line 3, has 2 of 4 cells"),
        ("2.jpg,31,female", "row 2, line 3, has 3 of 4 cells"),
        ("2.jpg,31,female,bea,more", "row 2, line 3, has 5 cells for 4 columns"),
        ("Smith, John.jpg,31,male,john", "row 2, line 3, has 5 cells for 4 columns"),
    ],
)
def test_a_row_of_too_few_or_too_many_cells_is_not_used_and_said(row, said, tmp_path, featurekit):
    path = table_of(
        tmp_path, f"image_path,age,gender,subject_id\n1.jpg,30,male,ann\n{row}\n3.jpg,32,male,cat\n"
    )
    (tmp_path / "Smith").touch()
    code, output, errors = featurekit("prepare", "table", path)
    assert code == 0
    assert "rows with too few or too many cells\t1\n" in output
    assert said in errors
    table = prepare("table", path).table
    assert table["reason"].tolist()[::2] == ["", ""]
    assert table["reason"].iloc[1] != ""
    assert table["subject_id"].tolist()[::2] == ["ann", "cat"]


@pytest.mark.parametrize(
    "text",
    [
        "image_path,age\n\n1.jpg,30\n\n\n2.jpg,31\n\n",
        "image_path,age,\n1.jpg,30,\n2.jpg,31,\n",
        "image_path,age\n1.jpg,30,\n2.jpg,31,\n,,\n,,\n",
        "\ufeffimage_path,age,,\r\n1.jpg,30\r\n2.jpg,31,,\r\n",
    ],
)
def test_blank_lines_and_separators_at_the_end_lose_nothing(text, tmp_path):
    manifest = prepare("table", table_of(tmp_path, text))
    assert manifest.table["image_path"].tolist() == ["1.jpg", "2.jpg"]
    assert manifest.table["age"].tolist() == [30, 31]
    assert manifest.usable.all()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('image_path,age\n1.jpg,30\n"2.jpg,31\n3.jpg,32\n', 'a quote (") that opens in line 3 is not closed'),
        ('image_path,age\n"1.jpg,30\n"2.jpg",31\n', 'a quote (") that opens in line 2 is not closed'),
        ('image_path,age\n1.jpg,"30"x\n', 'a quote (") that opens in line 2 is not closed'),
        ("image_path,age\n1.jpg,30\n2.jp\0g,31\n", "line 3 contains a NUL byte"),
        ("i\0m\0a\0g\0e\0", "The file may be in UTF-16"),
        ("1.jpg,30\n2.jpg,31\n", "looks like data ('1.jpg')"),
        ("photos\\1.JPG;30\nphotos\\2.JPG;31\n", "looks like data ('photos\\1.JPG')"),
    ],
)
def test_a_table_that_is_broken_is_refused_with_the_line(text, said, tmp_path):
    assert said in refusal(tmp_path, text)


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("name", ["Zo\u00eb.jpg", "\u540d.jpg"])
def test_utf_8_is_read_without_a_word(mark, name, tmp_path):
    table_of(tmp_path, name)
    (tmp_path / name).write_text("picture")
    (tmp_path / "faces.csv").write_bytes(mark + f"image_path,age\n{name},30\n".encode())
    manifest = prepare("table", tmp_path / "faces.csv")
    assert manifest.table["image_path"].tolist() == [name]
    assert "notes" not in manifest.info


@pytest.mark.parametrize("label", ["M\u00fcller", "na\u00efve", "\u20ac 5", "\u201cso\u201d"])
def test_what_windows_programs_write_is_read_and_said(label, tmp_path):
    table_of(tmp_path, "1.jpg")
    (tmp_path / "faces.csv").write_bytes(f"image_path,mood\n1.jpg,{label}\n".encode("cp1252"))
    manifest = prepare("table", tmp_path / "faces.csv", labels="mood")
    assert manifest.table["mood"].tolist() == [label]
    assert manifest.info["notes"][0].startswith(
        "faces.csv is not UTF-8. It was read as Windows-1252 (cp1252)"
    )
    assert "-o encoding=NAME" in manifest.info["notes"][0]


@pytest.mark.parametrize(
    ("encoding", "label"), [("cp1251", "\u0433\u043e\u0434"), ("shift_jis", "\u5e74"), ("latin-1", "\xe9")]
)
def test_an_encoding_that_is_named_is_used_without_a_word(encoding, label, tmp_path):
    table_of(tmp_path, "1.jpg")
    (tmp_path / "faces.csv").write_bytes(f"image_path,mood\n1.jpg,{label}\n".encode(encoding))
    manifest = prepare("table", tmp_path / "faces.csv", labels="mood", encoding=encoding)
    assert manifest.table["mood"].tolist() == [label]
    assert "notes" not in manifest.info


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_utf_16_is_read_by_its_mark(encoding, tmp_path):
    table_of(tmp_path, "1.jpg")
    mark = "" if encoding in ("utf-16", "utf-32") else "\ufeff"
    (tmp_path / "faces.csv").write_bytes(f"{mark}image_path;mood\n1.jpg;M\u00fc\n".encode(encoding))
    assert prepare("table", tmp_path / "faces.csv", labels="mood").table["mood"].tolist() == ["M\u00fc"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            "image_path,mood\n1.jpg,Zo\u00eb\n".encode() + b"2.jpg,Zo\xeb\n",
            "line 3 is not valid UTF-8, although other lines are",
        ),
        (
            b"image_path,mood\n1.jpg,\x8f\x90\n",
            "line 2 is not UTF-8. Give the encoding with -o encoding=NAME",
        ),
        (b"\xff\xfei\0m\0a", "line 1 is not utf-16"),
    ],
)
def test_bytes_of_no_one_encoding_are_refused_with_the_line(content, said, tmp_path):
    assert said in refusal(tmp_path, content)


def test_an_encoding_that_nobody_knows_is_refused(tmp_path):
    said = refusal(tmp_path, "image_path,age\n1.jpg,30\n", encoding="utf-88")
    assert said.startswith("Unknown encoding 'utf-88'. Examples: utf-8,")


@pytest.mark.parametrize(
    "text",
    [
        "image_path;age;box\n1.jpg;30;0,0,9,9\n2.jpg;31,5;\n",
        "image_path\tage\tbox\n1.jpg\t30\t0,0,9,9\n2.jpg\t31,5\t\n",
        "image_path|age|box\n1.jpg|30|0,0,9,9\n2.jpg|31,5|\n",
    ],
)
def test_what_stands_between_the_cells_is_found_out_and_said(text, tmp_path):
    manifest = prepare("table", table_of(tmp_path, text))
    assert manifest.table["age"].tolist() == [30, 31.5]
    assert manifest.table["box"].tolist() == ["0 0 9 9", ""]
    assert "as the separator of its cells" in manifest.info["notes"][0]


@pytest.mark.parametrize(
    "text",
    [
        'image_path,box,age\n1.jpg,"0;0;9;9",30\n2.jpg,1;1;9;9,31\n',
        "image_path,mood;face,age\n1.jpg,a;b,30\n2.jpg,c,31\n",
        'image_path,"a;b;c;d",age\n1.jpg,1,30\n2.jpg,2,31\n',
    ],
)
def test_a_semicolon_inside_the_cells_of_a_comma_table_divides_none(text, tmp_path):
    manifest = prepare("table", table_of(tmp_path, text))
    assert manifest.table["age"].tolist() == [30, 31]
    assert "notes" not in manifest.info


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("faces.csv", "sep=;\r\nimage_path;age\r\n1.jpg;30\r\n"),
        ("faces.tsv", "image_path,age\n1.jpg,30\n"),
        ("faces.txt", "image_path\tage,years\n1.jpg\t30\n"),
        ("faces.csv", "image_path,age\r1.jpg,30\r"),
    ],
)
def test_what_excel_and_others_write_is_read(name, text, tmp_path):
    columns = {"age": "age,years"} if "years" in text else {}
    path = table_of(tmp_path, "1.jpg", name)
    path.write_bytes(text.encode())
    assert prepare("table", path, columns=columns).table["age"].tolist() == [30]


@pytest.mark.parametrize("separator", ["tab", "\t", "\\t"])
def test_a_separator_may_be_named(separator, tmp_path):
    path = table_of(tmp_path, "image_path\tage\n1.jpg\t30\n", "faces.txt")
    assert prepare("table", path, separator=separator).usable.all()


def test_a_separator_of_several_signs_is_refused(tmp_path):
    said = refusal(tmp_path, "image_path,age\n1.jpg,30\n", separator="::")
    assert said == (
        "separator must be one character, or tab or space, for example -o separator=';'. Got '::' instead."
    )


def zipped():
    from io import BytesIO

    file = BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("xl/workbook.xml", "")
    return file.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("faces.csv.gz", gzip.compress(b"image_path,age\n1.jpg,30\n", mtime=0), "Unpack it: gunzip -k 'T'"),
        ("faces.csv", gzip.compress(b"image_path,age\n1.jpg,30\n", mtime=0), "Unpack it: gunzip -k 'T'"),
        ("faces.csv.zst", b"\x28\xb5\x2f\xfd", "unzstd 'T'"),
        ("faces.zip", zipped(), "Unpack it (unzip 'T')"),
        ("faces.xlsx", zipped(), "is a spreadsheet, not a text table. Save it as CSV"),
        ("faces.xls", b"\xd0\xcf\x11\xe0", "is a spreadsheet, not a text table. Save it as CSV"),
        ("faces.ods", zipped(), "is a spreadsheet, not a text table. Save it as CSV"),
        ("faces.feather", b"ARROW1", "Save it as Parquet or CSV."),
        ("faces.db", b"SQLite format 3\0", "Export the table as CSV."),
        ("faces.json", b'[{"image_path": "1.jpg"}]', "Write one object per line (.jsonl), or a CSV."),
    ],
)
def test_what_is_no_text_is_refused_with_what_to_type(name, content, said, tmp_path):
    assert said in refusal(tmp_path, content, name)


def test_json_lines_are_read_like_text(tmp_path):
    table_of(tmp_path, "1.jpg 2.jpg 3.jpg")
    path = tmp_path / "faces.jsonl"
    path.write_text(
        '{"image_path": "1.jpg", "age": 30, "box": [0, 0, 9, 9]}\n\n'
        '{"image_path": "2.jpg", "gender": "female", "age": 31.0}\n'
        '{"image_path": "3.jpg", "age": null, "gender": "male"}\n'
    )
    manifest = prepare("table", path)
    assert manifest.usable.all()
    assert manifest.table["box"].tolist() == ["0 0 9 9", "", ""]
    np.testing.assert_array_equal(manifest.table["age"], [30, 31, np.nan])


@pytest.mark.parametrize(
    "line", ['{"image_path": {"a": 1}}', '{"image_path": "1.jpg"', '{"a": [[1]]}', '{"a": 1} 2']
)
def test_json_that_is_no_plain_row_is_refused_with_its_line(line, tmp_path):
    assert "line 2 is not a JSON object" in refusal(tmp_path, '{"image_path": "1.jpg"}\n' + line, "a.jsonl")


def test_backslashes_of_windows_are_strokes(tmp_path):
    path = table_of(tmp_path, "image_path,age\na/1.jpg,30\n")
    path.write_text("image_path,age\na\\1.jpg,30\n.\\a\\1.jpg,30\n")
    assert prepare("table", path).table["image_path"].tolist() == ["a/1.jpg", "./a/1.jpg"]


def test_choosing_by_box_without_boxes_says_how_to_give_them(tmp_path, featurekit):
    featurekit("prepare", "table", table_of(tmp_path, "image_path,age\n1.jpg,30\n"))
    code, _, errors = featurekit(
        "extract", "--backbone", "mean_color", "--detector", "whole_image", "--choose", "box"
    )
    assert code == 1
    assert errors == (
        "error: --choose box needs boxes, but the column 'box' of the manifest is empty. Name the column"
        " of your table that contains the boxes as x1 y1 x2 y2 in pixels: featurekit prepare table FILE"
        " --column box=NAME (or four columns: --column x1=NAME --column y1=NAME --column x2=NAME"
        " --column y2=NAME).\n"
    )


def test_a_first_line_without_names_is_refused_and_the_line_of_the_names_is_given(tmp_path):
    (tmp_path / "faces.csv").write_text(" ,\nimage_path,age\n")
    with pytest.raises(ManifestError, match=r"column names seem to be in line 2 \(image_path, age\)"):
        prepare("table", tmp_path / "faces.csv")
