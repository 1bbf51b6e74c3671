"""Names and labels from anywhere are text: in pages, in tables, and where they are read back."""

import csv
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

MARKUP = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "</td></tr></table><h1>mine</h1>",
    "</style><style>*{display:none}</style>",
    "</script><script>alert(1)</script>",
    "<!--",
    "--><b>",
    "<![CDATA[x]]>",
    "<svg onload=alert(1)>",
    "<a href='javascript:alert(1)'>x</a>",
    "<iframe src=data:text;x>",
    '" onmouseover="alert(1)',
    "' onfocus='alert(1)",
    "&lt;b&gt;",
    "&amp;amp;",
    "&#x3c;b&#x3e;",
    "{{ 7 * 7 }}",
    "{% raw %}",
    "${7*7}",
    "<base href=x>",
    "[x](javascript:alert(1))",
    "![x](y.png)",
    "a | b | c",
    "**strong** `code`",
    "# heading",
)
FORMULAS = (
    "=1+1",
    '=HYPERLINK("x","y")',
    "=cmd|' -C calc'!A0",
    "+1",
    "-1+2",
    "@SUM(A1)",
    "x\t=1+1",
    "'=1+1",
    "''=1+1",
    "'",
    "'tis",
    '"=1+1"',
    "a,=1",
    "x;=1",
)
CONTROLS = (
    "line\nfeed",
    "carriage\rreturn",
    "bell\x07",
    "escape\x1b[2J",
    "back\x08space",
    "\u202egnp.exe",
    "\u2066isolated\u2069",
    "\u200bzero",
    "byte\ufeffmark",
    "\x7fdelete",
    "next\x85line",
    "line\u2028separator",
)
HOSTILE = MARKUP + FORMULAS + CONTROLS


@pytest.fixture
def comparison(tmp_path: Path, featurekit) -> Path:
    """A workspace whose photographs, persons, columns and labels are called by 51 hostile names, reported."""
    from PIL import Image

    photos = tmp_path / "photos"
    photos.mkdir()
    with (tmp_path / "people.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, quoting=csv.QUOTE_ALL)
        table.writerow(["file", "person", "years", "sex", "=hat", "label"])
        for number, name in enumerate(HOSTILE):
            for picture in range(2):
                # No file system holds a stroke in a name; all else it does.
                file_name = f"{name}{'!' * picture}.png".replace("/", "\u2215")
                pixels = (40 * picture + number, 3 * number, 200 - 2 * number)
                Image.new("RGB", (48, 48), pixels).save(photos / file_name, format="png")
                years, sex = (5, 28)[number % 2], ("female", "male")[number // 2 % 2]
                table.writerow([file_name, name, years, sex, HOSTILE[number % 4], name])
    columns = ("image_path=file", "subject_id=person", "age=years", "gender=sex")
    named = [word for column in columns for word in ("--column", column)]
    run_all = (
        ("prepare", "table", tmp_path / "people.csv", "--root", photos, *named, "-o", "labels==hat,label"),
        ("extract", "--detector", "whole_image", "--backbone", "mean_color"),
        ("fit", "--model", "logistic_regression", "--target", "hat", "--folds", "3"),
        ("audit",),
        ("report",),
    )
    for arguments in run_all:
        code, output, errors = featurekit(*arguments)
        assert code == 0, f"{arguments}: {output}{errors}"
    return tmp_path / "work"


def test_fifty_hostile_names_and_labels_are_text(comparison):
    tables = list(comparison.rglob("*.csv"))
    assert {path.name for path in tables} >= {"manifest.csv", "audit_rows.csv"}
    for path in tables:
        assert not list(formulas(path)), path.name
    assert len(HOSTILE) >= 50
    page = next(comparison.rglob("report.html")).read_text(encoding="utf-8")
    read = Elements(page)
    assert read.counts["script"] == read.counts["style"] == read.counts["h1"] == 1
    assert not read.counts.keys() & {"img", "iframe", "base", "b", "object", "form"}
    assert not [name for name, _ in read.attributes if name.startswith("on") or name == "src"]
    assert {value[0] for name, value in read.attributes if name == "href" and value} == {"#"}
    text = page + next(comparison.rglob("report.md")).read_text(encoding="utf-8")
    hidden = {letter for letter in text if unicodedata.category(letter) in ("Cc", "Cf", "Zl", "Zp")}
    assert hidden <= {"\n", "\u00ad"}


def test_what_a_table_holds_is_read_back_letter_for_letter(comparison):
    from featurekit.data.cells import spelled
    from featurekit.data.manifest import Manifest

    manifest = Manifest.load(comparison / "manifest.csv")
    # but for line breaks and the like, which are a space in a label
    assert set(manifest.table["label"]) == {spelled(label) for label in HOSTILE}
    assert "hat" in manifest.table.columns  # the name of a column is made safe, and told
    assert manifest.usable.all()


def formulas(path: Path) -> Iterator[str]:
    """Yield the cells that a spreadsheet would compute; a number is none."""
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.reader(file):
            for cell in row:
                if cell.startswith(("=", "+", "-", "@", "\t", "\r")) and not re.fullmatch(
                    r"-?[0-9.e-]+", cell
                ):
                    yield cell


class Elements(HTMLParser):
    """Counts the elements of a page, and collects their attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()
        self.attributes: set[tuple[str, str | None]] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Count it."""
        self.counts[tag] += 1
        self.attributes |= set(attrs)
