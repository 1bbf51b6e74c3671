"""Tables, folders and archives from anybody: a bad row costs itself, and nothing outside is touched."""

import gzip
import io
import json
import os
import pickle
import socket
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from PIL import Image

from featurekit.api.telling import SHOWN
from featurekit.data.datasets import DATASETS
from featurekit.data.manifest import REASONS, Manifest

# What a row names, from a root that holds good.png, and beside which outside/secret.csv lies.
ROWS = {
    # Out of the root, by its name.
    "one folder up": ("../outside/secret.csv", "outside_root"),
    "up through a folder": ("sub/../../outside/secret.csv", "outside_root"),
    "up through a folder that is not there": ("none/../../outside/secret.csv", "outside_root"),
    "up behind the root's own name": ("../data/../outside/secret.csv", "outside_root"),
    "up with backslashes": ("..\\outside\\secret.csv", "outside_root"),
    "up with both": ("..\\/outside\\/secret.csv", "outside_root"),
    "up to the top": ("../" * 40 + "etc/passwd", "outside_root"),
    "the root's brother": ("../data2/secret.csv", "outside_root"),
    "the folder above": ("..", "outside_root"),
    "absolute": ("/etc/passwd", "outside_root"),
    "absolute with two strokes": ("//etc/passwd", "outside_root"),
    "absolute and not there": ("/none/secret.csv", "outside_root"),
    "absolute, into the secret": ("{outside}/secret.csv", "outside_root"),
    "absolute, through the root": ("{root}/../outside/secret.csv", "outside_root"),
    "the top": ("/", "outside_root"),
    # Out of the root, by a link.
    "link to a file": ("link.png", "outside_root"),
    "link to a link": ("link2.png", "outside_root"),
    "link with a relative way": ("link3.png", "outside_root"),
    "link to what is not there": ("link4.png", "outside_root"),
    "through a link to a folder": ("linked/secret.csv", "outside_root"),
    "through a link to the top": ("top/etc/passwd", "outside_root"),
    "link to a device": ("zero.png", "outside_root"),
    "link to the process": ("environ.png", "outside_root"),
    "link to itself": ("loop.png", "bad_path"),
    "links to each other": ("loop1.png", "bad_path"),
    # What the system shows as files.
    "/proc/self/environ": ("/proc/self/environ", "outside_root"),
    "/proc/self/mem": ("/proc/self/mem", "outside_root"),
    "/proc/self/fd/0": ("/proc/self/fd/0", "outside_root"),
    "/proc by a link": ("proc/self/environ", "outside_root"),
    "/dev/zero": ("/dev/zero", "outside_root"),
    "/dev/stdin": ("/dev/stdin", "outside_root"),
    "/dev/tcp": ("/dev/tcp/127.0.0.1/80", "outside_root"),
    # In the root, and no file.
    "pipe": ("pipe.png", "unreadable"),
    "socket": ("socket.png", "unreadable"),
    "folder": ("sub", "unreadable"),
    "the root itself": ("./.", "unreadable"),
    "a dot, as some programs write what is missing": (".", "no_path"),
    "through a file": ("good.png/x", "missing_file"),
    "through a pipe": ("pipe.png/x", "missing_file"),
    # Names.
    "NUL": ("good.png\0.exe", "bad_path"),
    "NUL behind the way out": ("../outside/secret.csv\0.png", "bad_path"),
    "line feed": ("a\nrow 2: fine.png", "missing_file"),
    "carriage return": ("a\rfine.png", "missing_file"),
    "escape": ("\x1b[2J\x1b]0;mine\x07.png", "missing_file"),
    "direction": ("\u202egnp.exe", "missing_file"),
    "isolated direction": ("\u2066x\u2069.png", "missing_file"),
    "nothing visible": ("\u200b\ufeff.png", "missing_file"),
    "other line end": ("a\u2028b\x85c.png", "missing_file"),
    "half a letter": ("\ud800.png", "bad_path"),
    "too long": ("x" * 300, "bad_path"),
    "too deep": ("x/" * 5000, "bad_path"),
    "empty": ("", "no_path"),
    "blank": ("   ", "no_path"),
    # Of other systems, and addresses.
    "drive": ("C:\\Windows\\win.ini", "missing_file"),
    "drive without a stroke": ("C:secret.csv", "missing_file"),
    "UNC": ("\\\\server\\share\\x.png", "outside_root"),
    "long UNC": ("\\\\?\\C:\\secret.csv", "outside_root"),
    "pipe of Windows": ("\\\\.\\pipe\\x", "outside_root"),
    "device of Windows": ("CON", "missing_file"),
    "stream of Windows": ("good.png::$DATA", "missing_file"),
    "http": ("http://127.0.0.1:9/x.png", "missing_file"),
    "https with a name": ("https://user:secret@127.0.0.1/x.png", "missing_file"),
    "file": ("file:///etc/passwd", "missing_file"),
    "s3": ("s3://bucket/x.png", "missing_file"),
    "memory": ("memory://x.png", "missing_file"),
    "zip chain": ("zip://x.png::http://127.0.0.1:9/y.zip", "missing_file"),
    "member of an archive": ("slip.zip/../../outside/pwned", "outside_root"),
    # What a shell, a format, or a spreadsheet would make more of.
    "home": ("~/secret.csv", "missing_file"),
    "variable": ("$HOME/secret.csv", "missing_file"),
    "command": ("$(touch pwned).png", "missing_file"),
    "semicolon": ("good.png; touch pwned", "missing_file"),
    "star": ("*.png", "missing_file"),
    "braces": ("{0.__class__}", "missing_file"),
    "percent": ("%s%n..%2f..%2foutside", "missing_file"),
    "formula": ("=1+1", "missing_file"),
}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A root with a good picture and much that looks like one, beside what is nobody's."""
    root, outside = tmp_path / "data", tmp_path / "outside"
    outside.mkdir()
    (root / "sub").mkdir(parents=True)
    Image.new("RGB", (48, 48), (150, 90, 60)).save(root / "good.png")
    links = {
        "link.png": outside / "secret.csv",
        "link2.png": "link.png",
        "link3.png": "../outside/secret.csv",
        "link4.png": outside / "none.csv",
        "linked": outside,
        "top": "/",
        "proc": "/proc",
        "zero.png": "/dev/zero",
        "environ.png": "/proc/self/environ",
        "loop.png": "loop.png",
        "loop1.png": "loop2.png",
        "loop2.png": "loop1.png",
    }
    for name, to in links.items():
        (root / name).symlink_to(to)
    os.mkfifo(root / "pipe.png")
    here = Path.cwd()
    os.chdir(root)  # a socket's path must be short
    with socket.socket(socket.AF_UNIX) as end:
        end.bind("socket.png")
    os.chdir(here)
    return root


def cell(text: str, data: Path) -> str:
    known = {"{outside}": data.parent / "outside", "{root}": data}
    for word, path in known.items():
        text = text.replace(word, str(path))
    return text


def prepared(harmless: Callable[..., Any], table: Path, *more: object) -> tuple[Any, str, str]:
    result: tuple[Any, str, str] = harmless("prepare", "table", table, "--root", table.parent / "data", *more)
    return result


@pytest.mark.parametrize("name", ROWS)
def test_a_hostile_row_is_refused_with_its_number_and_its_reason(name, data, tmp_path, harmless):
    path, reason = ROWS[name]
    # Parquet holds any text but half a letter; CSV may hold that.
    if name == "half a letter":
        (tmp_path / "faces.csv").write_bytes(b"image_path,age\ngood.png,30\n\xed\xa0\x80.png,5\n")
        code, _, errors = prepared(harmless, tmp_path / "faces.csv")
        assert (code, errors.count("\n")) == (1, 1)
        assert "cannot be read as a table" in errors
        return
    rows = pd.DataFrame({"image_path": ["good.png", cell(path, data)], "age": [30, 5]})
    rows.to_parquet(tmp_path / "faces.parquet")
    code, output, errors = prepared(harmless, tmp_path / "faces.parquet")
    assert code == 0
    # Addresses on the web, and links, are also told all together, with what to do about them.
    together = ("Paths that are web addresses: 1", "Links that lead outside the folder of the data set: 1")
    about_rows = [line for line in errors.splitlines() if not any(text in line for text in together)]
    assert len(about_rows) == 1
    assert about_rows[0].startswith("warning: row 2, '")
    assert about_rows[0].endswith(f"': {REASONS[reason]}")
    assert errors.replace("\n", "").isprintable()
    assert "usable\t1\n" in output
    manifest = Manifest.load(tmp_path / "work" / "manifest.csv")
    assert manifest.table["reason"].tolist() == ["", reason]
    assert manifest.table["content"].iloc[1] == ""


def test_there_are_fifty_hostile_rows():
    assert len(ROWS) >= 50


def test_of_many_bad_rows_some_are_shown_and_the_others_counted(data, tmp_path, harmless):
    paths = ["good.png", *(f"none{i}.png" for i in range(25)), "../outside/secret.csv"]
    pd.DataFrame({"image_path": paths, "age": 30}).to_csv(tmp_path / "faces.csv", index=False)
    code, _, errors = prepared(harmless, tmp_path / "faces.csv")
    lines = errors.splitlines()
    assert code == 0
    assert len(lines) == SHOWN + 1
    # What is worst comes first, though it stands last.
    assert (
        lines[0]
        == "warning: row 27, '../outside/secret.csv': the path leads outside the folder of the data set"
    )
    assert lines[1].startswith("warning: row 2, 'none0.png'")
    assert lines[-1] == "warning: … and 16 more rows; manifest.csv has the reason of each"


def test_where_every_row_is_bad_one_line_says_so(data, tmp_path, harmless):
    paths = ["\x1b[2J\n../x", "../outside/secret.csv"]
    pd.DataFrame({"image_path": paths, "age": 30}).to_parquet(tmp_path / "faces.parquet")
    code, output, errors = prepared(harmless, tmp_path / "faces.parquet")
    assert (code, output) == (1, "")
    assert errors.startswith("error: None of the 2 rows")
    assert errors.count("\n") == 1
    assert errors[:-1].isprintable()
    assert not (tmp_path / "work" / "manifest.csv").exists()


# ---------------------------------------------------------------- later steps, an edited manifest


def edited(work: Path, path: str) -> None:
    """Let a manifest name another file, as if it were usable."""
    table = pd.read_csv(work / "manifest.csv", dtype=str, keep_default_na=False)
    table.loc[0, "image_path"] = path
    table.to_csv(work / "manifest.csv", index=False)


@pytest.mark.parametrize(
    "path", ["../outside/secret.csv", "/etc/passwd", "link.png", "linked/secret.csv", "/dev/zero", "pipe.png"]
)
@pytest.mark.parametrize("command", [("extract", "--backbone", "mean_color", "--threads", "1"), ("audit",)])
def test_an_edited_manifest_leads_nowhere_else(command, path, data, tmp_path, harmless):
    (tmp_path / "faces.csv").write_text("image_path,age\ngood.png,30\n")
    assert prepared(harmless, tmp_path / "faces.csv")[0] == 0
    edited(tmp_path / "work", path)
    detector = ("--detector", "whole_image") if command[0] == "extract" else ()
    code, _, errors = harmless(*command, *detector)
    if command[0] == "extract":
        assert code == 1
        assert "was not read: " in errors
        assert "outside the folder of the data set" in errors or "not a plain file" in errors


def test_a_file_that_became_a_link_after_prepare_is_not_followed(data, tmp_path, harmless):
    (tmp_path / "faces.csv").write_text("image_path,age\ngood.png,30\n")
    assert prepared(harmless, tmp_path / "faces.csv")[0] == 0
    (data / "good.png").unlink()
    (data / "good.png").symlink_to(tmp_path / "outside" / "secret.csv")
    code, _, errors = harmless("extract", "--backbone", "mean_color", "--detector", "whole_image")
    assert code == 1
    assert "good.png was not read: is outside the folder of the data set" in errors


# ---------------------------------------------------------------- tables


def as_parquet_of_objects(file: Path) -> None:
    """Write a table whose own remarks tell pandas to unpickle it."""
    import pyarrow
    import pyarrow.parquet

    table = pyarrow.table({"image_path": ["good.png"], "age": [30]})
    remarks = {"pandas": pickle.dumps(Path), "ARROW:extension:name": b"arrow.py_extension_type"}
    pyarrow.parquet.write_table(table.replace_schema_metadata(remarks), file)


def bomb(how: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    """Write a table of 64 MB in a few bytes."""
    return lambda file: file.write_bytes(how(b"image_path,age\n" + b"good.png,30\n" * 5_000_000))


def zipped(data: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("faces.csv", data)
    return file.getvalue()


TABLES: dict[str, tuple[str, Callable[[Path], object]]] = {
    "gzip bomb": ("faces.csv.gz", bomb(lambda data: gzip.compress(data, 1))),
    "zip bomb": ("faces.csv.zip", bomb(zipped)),
    "pickle": ("faces.pkl", lambda file: file.write_bytes(pickle.dumps(Path()))),
    "pickle for parquet": ("faces.parquet", lambda file: file.write_bytes(pickle.dumps(Path()))),
    "parquet with a pickle": ("faces.parquet", as_parquet_of_objects),
    "half a parquet": ("faces.parquet", lambda file: file.write_bytes(b"PAR1" + bytes(99) + b"PAR1")),
    "pipe": ("faces.csv", os.mkfifo),
    "device": ("faces.csv", lambda file: file.symlink_to("/dev/zero")),
    "folder": ("faces.csv", Path.mkdir),
    "nothing": ("faces.csv", Path.touch),
    "NULs": ("faces.csv", lambda file: file.write_bytes(bytes(1000))),
    "a quote without an end": (
        "faces.csv",
        lambda file: file.write_text('image_path,age\n"good.png,30\n' * 3),
    ),
    "two columns of one name": (
        "faces.parquet.csv",
        lambda file: file.write_text("image_path,image_path\n,\n"),
    ),
    "a name of the manifest's own": ("faces.csv", lambda file: file.write_text("content,reason\n../x,\n")),
}


@pytest.mark.parametrize("name", TABLES)
def test_a_hostile_table_is_refused_in_one_line(name, data, tmp_path, harmless):
    file_name, make = TABLES[name]
    make(tmp_path / file_name)
    code, output, errors = prepared(harmless, tmp_path / file_name)
    if name == "parquet with a pickle" and code == 0:  # what it says beside its columns is not looked at
        assert "usable\t1\n" in output
        return
    assert (code, output) == (1, "")
    assert errors.startswith("error: ")
    assert errors.count("\n") == 1
    assert errors[:-1].isprintable()


# ---------------------------------------------------------------- folders and archives for data sets


def slip() -> bytes:
    """Return a zip file whose members' names lead out of it."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in ("../../outside/pwned", "/tmp/pwned", "female/a.png", "..\\pwned"):
            archive.writestr(name, b"x")
        link = zipfile.ZipInfo("female/b.png")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    return file.getvalue()


def tar_slip() -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        for name, link in (("../../outside/pwned", ""), ("female/a.png", "/etc/passwd")):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = (tarfile.SYMTYPE, link) if link else (tarfile.REGTYPE, "")
            archive.addfile(member)
    return file.getvalue()


@pytest.mark.parametrize("data_set", [one.name for one in DATASETS if one.name != "synthetic"])
@pytest.mark.parametrize(
    ("name", "make"), [("data.zip", slip), ("data.tar.gz", tar_slip), ("x.png.zip", slip)]
)
def test_no_archive_is_opened_for_a_data_set(name, make, data_set, tmp_path, harmless):
    (tmp_path / name).write_bytes(make())
    code, output, errors = harmless("prepare", data_set, tmp_path / name)
    assert (code, output) == (1, "")
    assert errors.startswith("error: ")
    assert errors.count("\n") == 1


@pytest.mark.parametrize("data_set", [one.name for one in DATASETS if one.name not in ("synthetic", "table")])
def test_archives_inside_a_data_set_stay_closed(data_set, tmp_path, harmless):
    (tmp_path / "data" / "female").mkdir(parents=True)
    for name in ("data.zip", "female/a.png", "female/b.zip"):
        (tmp_path / "data" / name).write_bytes(slip())
    assert harmless("prepare", data_set, tmp_path / "data")[0] in (0, 1)


def fold_files(root: Path) -> None:
    """Write Adience's five fold files, and the pictures that they name."""
    (root / "faces" / "u").mkdir(parents=True)
    head = "user_id\toriginal_image\tface_id\tage\tgender\n"
    for fold in range(5):
        (root / f"fold_{fold}_data.txt").write_text(head + f"u\t{fold}.jpg\t{fold}\t(25, 32)\tf\n")
        picture = root / "faces" / "u" / f"coarse_tilt_aligned_face.{fold}.{fold}.jpg"
        Image.new("RGB", (48, 48), (50 * fold, 0, 0)).save(picture)


def fold_that_leads_out(root: Path) -> None:
    (root / "fold_0_data.txt").unlink()
    (root / "fold_0_data.txt").symlink_to(root.parent / "outside" / "secret.csv")


def pictures_that_lead_out(root: Path) -> None:
    (root / "faces").rename(root / "faces2")
    (root / "faces").symlink_to(root.parent / "outside")


def fold_that_names_what_is_outside(root: Path) -> None:
    path = root / "fold_0_data.txt"
    path.write_text(path.read_text().replace("u\t0.jpg", "../../../outside\tsecret.csv"))


@pytest.mark.parametrize(
    ("attack", "code"),
    [(fold_that_leads_out, 1), (pictures_that_lead_out, 1), (fold_that_names_what_is_outside, 0)],
)
def test_adience_is_read_from_its_folder_only(attack, code, tmp_path, harmless):
    (tmp_path / "outside").mkdir()
    fold_files(tmp_path / "data")
    attack(tmp_path / "data")
    found, _, errors = harmless("prepare", "adience", tmp_path / "data")
    assert (found, errors.count("\n")) == (code, 1)
    assert "outside the folder of the data set" in errors


@pytest.mark.parametrize("data_set", ["utkface", "image_folder"])
@pytest.mark.parametrize("to", ["outside", "/", "/proc", "/etc"])
def test_a_linked_folder_is_one_row_and_nobody_looks_into_it(data_set, to, tmp_path, harmless):
    (tmp_path / "outside").mkdir()
    for name in ("female/30_1_0_20170109150557335.jpg", "male/31_0_0_20170109150557336.jpg"):
        (tmp_path / "data" / name).parent.mkdir(parents=True)
        Image.new("RGB", (48, 48), (len(name), 0, 0)).save(tmp_path / "data" / name)
    (tmp_path / "data" / "female" / "more").symlink_to(tmp_path / to)
    code, output, errors = harmless("prepare", data_set, tmp_path / "data")
    assert code == 0
    assert "rows\t3\n" in output
    about_links, about_row = errors.splitlines()
    assert about_links.startswith("warning: Links that lead outside the folder of the data set: 1 ")
    assert about_row == "warning: row 2, 'female/more': the path leads outside the folder of the data set"


def test_the_folder_of_utkface_is_no_way_out(tmp_path, harmless):
    (tmp_path / "outside").mkdir()
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "UTKFace").symlink_to(tmp_path / "outside")
    code, output, errors = harmless("prepare", "utkface", tmp_path / "data")
    assert (code, output, errors.count("\n")) == (1, "", 1)
    assert "UTKFace is outside the folder of the data set" in errors


@pytest.mark.parametrize(
    "content", [b"[]", b"{", b'{"root": 5}', b'{"root": "\\u0000"}', b"\xff", b"[" * 100_000, b"{}"]
)
def test_a_manifest_whose_other_file_is_none_is_refused(content, data, tmp_path, harmless):
    (tmp_path / "faces.csv").write_text("image_path,age\ngood.png,30\n")
    assert prepared(harmless, tmp_path / "faces.csv")[0] == 0
    assert json.loads((tmp_path / "work" / "manifest.json").read_text())["root"] == str(data)
    (tmp_path / "work" / "manifest.json").write_bytes(content)
    code, output, errors = harmless("extract", "--backbone", "mean_color", "--detector", "whole_image")
    assert (code, output, errors.count("\n")) == (1, "", 1)
    assert "is not a manifest of featurekit" in errors
