"""Every number of the page is the same in Markdown, in CSV, in the workbook and in Python."""

import csv
import html
import io
import re
from dataclasses import replace
from html.parser import HTMLParser
from math import nan
from pathlib import Path

import pandas as pd
import pytest

import featurekit as fk
from featurekit.checks.audit import Audit
from featurekit.evaluation.evidence import Evidence
from featurekit.evaluation.results import load_runs
from featurekit.report.frames import ranking_frame, slices_frame
from featurekit.report.html import render_html
from featurekit.report.markdown import render_markdown
from featurekit.report.model import Figure
from featurekit.report.page import compose
from featurekit.report.tables import csv_of_frame, csv_text, frame_of, headings_of, rows_of, tables_of
from featurekit.report.workbook import render_workbook
from featurekit.text import visible
from tests.report.made_up import (
    COPY,
    HOSTILE,
    hostile_runs,
    html_of,
    make_audit,
    make_evidence,
    make_run,
    make_runs,
    trained_run,
    write_report,
)
from tests.report.sections.test_learning import make_curve

KEPT = Path(__file__).parents[2] / "reports" / "utkface-builtin"
ABSENT = "—"


class Tables(HTMLParser):
    """What a browser would find: caption → headings and rows of cells, with their attributes."""

    def __init__(self, page):
        super().__init__()
        self.words, self.tables, self._cell, self._part, self._ids = {}, {}, None, None, []
        self.feed(page)
        self.tables = {self.words[key]: of for key, of in self.tables.items()}

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        if attributes.get("id", "").startswith("caption-"):
            self._ids.append(attributes["id"])
            self.words[attributes["id"]] = ""
        if tag == "table":
            self._rows = self.tables[attributes["aria-labelledby"]] = []
        elif tag == "tr":
            self._rows.append([])
        elif tag in ("th", "td"):
            self._cell = {"bdi": "", "spread": "", "count": "", "tag": "", **attributes}
            self._rows[-1].append(self._cell)
        elif self._cell is not None and tag in ("bdi", "span"):
            self._part = "bdi" if tag == "bdi" else attributes.get("class")

    def handle_endtag(self, tag):
        if tag in ("bdi", "span"):
            self._part = None
        if tag in ("th", "td"):
            self._cell = None
        if tag in ("span", "figcaption", "summary"):
            self._ids = []

    def handle_data(self, data):
        for key in self._ids:
            self.words[key] += data
        if self._cell is not None and self._part in self._cell:
            self._cell[self._part] += data


def copied(rows):
    """The headings and the rows of a copy, from the attributes of the page alone."""
    head = next(row for row in reversed(rows) if "data-heading" in row[0])
    headings, lines = [], []
    for cell in head:
        others = (cell.get("data-others") or "").split("|")
        headings += [cell["data-heading"], *(f"{cell['data-heading']}, {one}" for one in others if one)]
    for row in [row for row in rows if "data-heading" not in row[0] and "scope" in row[0]]:
        if row[0]["scope"] != "row":
            continue
        line = []
        for cell, column in zip(row, head, strict=True):
            text = cell["bdi"] + (f" ({cell['tag']})" if cell["tag"] else "")
            line.append(float(cell["data-value"]) if "data-value" in cell else text)
            own = (cell.get("data-others") or "").split("|")
            for place, one in enumerate((column.get("data-others") or "").split("|")):
                if one:
                    line.append(float(own[place]) if place < len(own) and own[place] else "")
        lines.append([None if value in ("", ABSENT) else value for value in line])
    return headings, lines


def plain(cell):
    """A cell of Markdown without what keeps its signs from being markup."""
    bare = re.sub(r"^\*\*(.*)\*\*$", r"\1", cell.strip())
    return re.sub(r"\\(.)", r"\1", html.unescape(bare))


def markdown_tables(text):
    found = {}
    for caption, block in re.findall(r"^\*\*(Table .*)\*\*\n\n((?:\|.*\n)+)", text, re.MULTILINE):
        lines = [re.split(r"(?<!\\)\|", line)[1:-1] for line in block.splitlines()]
        found[plain(caption)] = [[plain(cell) for cell in line] for line in lines[2:]]
    return found


def shown(cell):
    """A cell of the page as Markdown writes it."""
    text = f"{cell['bdi']} {cell['spread']}" if cell["spread"] else cell["bdi"]
    return text + "".join(f" ({cell[part]})" for part in ("count", "tag") if cell[part])


def numbers(text):
    """Each number of a text with its digits after the point, and whether it is the bound of a p-value."""
    for bound, digits in re.findall(r"(<? ?)([+−-]?(?:\d[\d,]*)(?:\.\d+)?)", text):
        number = float(digits.replace(",", "").replace("−", "-"))
        yield number, len(digits.partition(".")[2]), "<" in bound


def rounds_to(value, number, digits):
    """Whether a number that is shown with so many digits is the value, with its sign."""
    return abs(value - number) <= 0.5 * 10**-digits * (1 + 1e-9) + 1e-9


def is_label(small, row):
    """Whether what stands small in a cell is a name in another cell of its row: a number is never a name."""
    names = [cell["bdi"] for cell in row if "data-value" not in cell]
    return bool(re.search(r"[^\W\d_]", small)) and small in names


def check(page, text, found):
    """Compare a page with its Markdown, and its numbers with those of another copy of the tables."""
    tables, markdown = Tables(page).tables, markdown_tables(text)
    assert list(tables) == list(markdown) == list(found)
    assert len(tables) > 8
    n_numbers = 0
    for caption, rows in tables.items():
        headings, lines = copied(rows)
        assert found[caption] == (headings, lines), caption
        body = [row for row in rows if row and row[0].get("scope") == "row"]
        assert [[shown(cell) for cell in row] for row in body] == markdown[caption], caption
        cells = [(row, cell) for row in body for cell in row if "data-value" in cell]
        for beside, cell in cells:
            own = [float(one) for one in (cell.get("data-others") or "").split("|") if one]
            value = float(cell["data-value"])
            if not re.search(r"\d [kMG]?B$", cell["bdi"]):  # which is copied in bytes
                for number, digits, is_bound in numbers(cell["bdi"]):
                    assert value <= number if is_bound else rounds_to(value, number, digits), (caption, cell)
                    n_numbers += 1
            # What stands small beside a number is in columns of its own; the name of a slice is no number.
            small = "" if is_label(cell["count"], beside) else cell["count"]
            for number, digits, is_bound in numbers(f"{cell['spread']} {small}"):
                assert any(one <= number if is_bound else rounds_to(one, number, digits) for one in own), (
                    caption,
                    cell,
                )
                n_numbers += 1
    return n_numbers


def test_a_lost_minus_sign_is_no_rounding_and_a_number_is_no_label():
    """The comparison itself: with a laxer one, numbers without their sign would pass, or none be compared."""
    ((lost, digits, _),) = numbers("0.71")
    ((kept, _, _),) = numbers("−0.71")
    assert rounds_to(-0.712, kept, digits)
    assert not rounds_to(-0.712, lost, digits)
    assert not rounds_to(0.712, kept, digits)
    name, number = {"bdi": "age group 38-43"}, {"bdi": "390", "data-value": "390"}
    assert is_label("age group 38-43", [name, number])
    assert not is_label("390", [name, number])
    assert not is_label("390", [{"bdi": "390"}])
    assert not is_label("p 0.20", [{"bdi": "p 0.20", "data-value": "0.2"}])
    assert not is_label("", [{"bdi": ""}])


def of_page(page):
    return {
        table.caption: (headings_of(table), [[_as_read(value) for value in row] for row in rows_of(table)])
        for _, table in tables_of(page)
    }


def _as_read(value):
    return float(value) if isinstance(value, int | float) else value


def of_workbook(data):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.load_workbook(io.BytesIO(data))
    found = {}
    for caption, name, *_ in list(book["Contents"].iter_rows(values_only=True))[1:]:
        head, *rows = book[name].iter_rows(values_only=True)
        found[caption] = (list(head), [[_as_read(value) for value in row] for row in rows])
    return found


@pytest.fixture(scope="module")
def page():
    """Three targets with few models, and everything that is said of a model."""
    runs = [*make_runs()[::7], make_run("gender", classifier="majority"), trained_run()]
    targets = {}
    for target in ("age", "age_group", "gender"):
        targets |= make_evidence([run for run in runs if run.target == target]).targets
    return compose(runs, "t", Evidence(of={}, seed=0, targets=targets), make_audit())


def test_every_number_of_a_page_is_in_markdown_in_csv_and_in_the_workbook(page):
    as_html, text = render_html(page), render_markdown(page)
    assert check(as_html, text, of_page(page)) > 500
    assert of_workbook(render_workbook(page)) == of_page(page)


@pytest.mark.slow
def test_every_number_of_the_kept_page_is_in_markdown_in_the_workbook_and_in_python():
    page = compose(load_runs(KEPT), KEPT.name, Evidence.load(KEPT), Audit.load(KEPT))
    as_html, text = ((KEPT / f"report.{ending}").read_text(encoding="utf-8") for ending in ("html", "md"))
    assert check(as_html, text, of_workbook(render_workbook(page))) > 3000
    results = fk.load_results(KEPT)
    found = results.tables()
    assert list(found) == list(Tables(as_html).tables)
    for caption, rows in Tables(as_html).tables.items():
        headings, lines = copied(rows)
        assert list(found[caption].columns) == headings
        frame = found[caption].astype(object)
        assert [[_as_read(v) for v in row] for row in frame.where(frame.notna(), None).to_numpy()] == lines
    # The ranking is that of Results.frame(), which has shares and no unit.
    for target, caption in (("gender", "Gender: all models"), ("age", "Age in years: all models")):
        table = next(table for name, table in found.items() if caption in name)
        frame, scale = results.frame(target), 1 if target == "age" else 100
        score = "mae_years" if target == "age" else "accuracy"
        column = next(name for name in table if name.startswith("MAE" if target == "age" else "Accuracy"))
        for ours, theirs in ((column, score), (f"{column}, low", f"{score}_low")):
            assert table[ours].tolist() == pytest.approx((scale * frame[theirs]).tolist(), abs=1e-6)


def test_a_table_is_a_data_frame_with_numbers():
    runs = [make_run(), make_run(classifier="majority")]
    table = next(table for _, table in tables_of(compose(runs, "t", make_evidence(runs))))
    frame = frame_of(table)
    assert frame["Accuracy, % (on the faces found)"].tolist() == [80.0, 80.0]
    assert frame["Size, bytes"].tolist() == [3456789, 3456789]
    assert frame["Model"].tolist() == ["majority (baseline)", "svm"]


@pytest.mark.parametrize("text", ["=1+1", "+1 a", "-a", "@x", "\t=1", " =1", "\u200b=1", "＝1", "−a"])
def test_no_cell_of_a_csv_is_a_formula(text):
    from featurekit.report.tables import csv_text

    assert next(csv.reader(io.StringIO(csv_text([[text, "-0.5", -0.5, "a"]])))) == [
        f"'{text}",
        "-0.5",
        "-0.5",
        "a",
    ]


# ---------------------------------------------------------------- in a browser


def with_a_folded_figure(section):
    figures = [block for block in section.blocks if hasattr(block, "wide")][1:]
    return replace(
        section,
        blocks=tuple(replace(one, is_folded=True) if one in figures else one for one in section.blocks),
    )


def test_in_a_browser_every_table_and_figure_can_be_copied_and_linked_to(browser, page, tmp_path):
    """What is copied is what Python writes, also of what is folded."""
    path = tmp_path / "report.html"
    page = replace(page, sections=tuple(map(with_a_folded_figure, page.sections)))
    path.write_text(render_html(page), encoding="utf-8")
    tab = browser.new_page()
    tab.add_init_script(
        "Object.defineProperty(navigator, 'clipboard',"
        " {value: {writeText: async (text) => { (window.copied ??= []).push(text); }}})"
    )
    tab.goto(path.as_uri())
    tab.evaluate(
        f"""() => {{
            for (const button of document.querySelectorAll("button.copy"))
                if (button.textContent === "{COPY}") button.click();
        }}"""
    )
    blocks = [block for section in page.sections for block in section.blocks]
    copies = [
        block.csv if isinstance(block, Figure) else csv_text([headings_of(block), *rows_of(block)])
        for block in blocks
        if hasattr(block, "caption")
    ]
    assert sum(hasattr(block, "csv") for block in blocks) > 5
    assert tab.evaluate("window.copied") == copies
    links = tab.locator("a.anchor").evaluate_all("all => all.map(one => [one.hash, one.ariaLabel])")
    names = [block.caption.split(".")[0] for block in blocks if hasattr(block, "caption")]
    assert links == [[f"#{name.lower().replace(' ', '-')}", f"Link to {name}"] for name in names]
    # A link to a folded table unfolds it, whether the page is there already or not.
    for kind in ("Table", "Figure"):
        folded = next(
            name
            for block, name in zip((one for one in blocks if hasattr(one, "caption")), names, strict=True)
            if name.startswith(kind) and block.is_folded
        )
        is_unfolded_by_its_link(tab, folded)
    tab.close()


def is_unfolded_by_its_link(tab, folded):
    link = tab.get_by_label(f"Link to {folded}", exact=True)
    assert not link.is_visible()
    tab.evaluate(f"location.hash = '{folded.lower().replace(' ', '-')}'")
    link.press("Enter")  # which waits until it is visible
    tab.reload()
    assert link.is_visible()


# ---------------------------------------------------------------- the numbers of a figure


def with_folds(classifier, mean, step, target="gender"):
    """A run whose score differs from fold to fold; with step 0 it has none of them."""
    of = {"mean": mean, "std": 0.01, "folds": [mean + number * step for number in (-2, -1, 0, 1, 2)]}
    if not step:
        del of["folds"]
    return make_run(
        target, classifier=classifier, scores={"mae_years" if target == "age" else "accuracy": of}
    )


@pytest.fixture(scope="module", params=["gender", "age_group", "age"])
def drawn(request):
    """A page with each figure of a target: its runs, its evidence, and caption → numbers of the copy."""
    target, (scale, unit) = request.param, (10, 1) if request.param == "age" else (1, 0.1)
    runs = [
        with_folds(name, scale * mean, unit * step, target)
        for name, mean, step in (("svm", 0.8, 0.03), ("mlp", 0.6, 0.02), ("majority", 0.5, 0))
    ]
    runs += [trained_run()] if target == "gender" else []
    evidence = make_evidence(runs)
    curves = {runs[0].name: make_curve(runs[0])}
    page = compose(runs, "t", evidence, data_curves=curves)
    figures = [block for section in page.sections for block in section.blocks if isinstance(block, Figure)]
    copies = {one.caption.split(": ", 1)[1]: pd.read_csv(io.StringIO(one.csv, newline="")) for one in figures}
    assert len(copies) == len(figures)
    return runs, evidence, copies


def test_every_figure_can_be_copied_and_its_shares_are_between_0_and_1(drawn):
    """As in the frames of Python and unlike in the tables of the page, whose headings have their units."""
    runs, _, copies = drawn
    assert len(copies) >= 5
    for caption, frame in copies.items():
        assert len(frame), caption
        assert not [name for name in frame if "%" in name]
        own = frame[frame["measure"] != "loss"] if "measure" in frame else frame
        for name, column in own.select_dtypes("number").items():
            if name in COUNTED or (runs[0].target == "age" and name not in SHARES):
                continue
            lowest = -1 if name.startswith(("gap", "gain")) else 0
            assert column.dropna().between(lowest, 1).all(), (caption, name)


COUNTED = ("n_faces", "n_subjects", "epoch", "seconds_per_1000_faces")
SHARES = ("share", "part", "p_value")


def test_a_copied_ranking_has_the_numbers_of_the_frame_and_each_fold(drawn):
    runs, evidence, copies = drawn
    copy = next(frame for caption, frame in copies.items() if caption.endswith("of all models"))
    frame = ranking_frame(runs, evidence)
    name = copy["score"].iloc[0]
    assert copy["run"].tolist() == frame["run"].tolist()
    for ours, theirs in (("value", name), ("low", f"{name}_low"), ("high", f"{name}_high")):
        assert copy[ours].tolist() == pytest.approx(frame[theirs].tolist())
    known = {run.name: run.scores[name].get("folds", [nan] * 5) for run in runs}
    folds = copy[[f"fold_{number}" for number in range(5)]].to_numpy()
    assert list(map(list, folds)) == [pytest.approx(known[run], nan_ok=True) for run in copy["run"]]
    assert [column for column in copy if column.startswith("fold_")][-1] == "fold_4"


def test_copied_slices_have_the_score_of_all_faces_above_the_numbers_of_the_frame(drawn):
    runs, evidence, copies = drawn
    copy = next(frame for caption, frame in copies.items() if "on slices of the data" in caption)
    first, rest = copy.iloc[0], copy.iloc[1:]
    known = evidence.targets[runs[0].target]
    overall = known.estimates[known.sliced][known.score]
    assert first[["slice", "score"]].tolist() == ["all faces", known.score]
    assert first[["value", "low", "high"]].tolist() == pytest.approx(
        [overall.value, overall.low, overall.high]
    )
    assert first[["gap", "p_value"]].isna().all()
    frame = slices_frame(runs, evidence).dropna(subset="value")
    frame = frame[frame["model"] == frame["model"].iloc[0]]  # the figure is of the best model
    columns = ["slice", "value", "low", "high", "gap", "p_value", "n_faces", "n_subjects"]
    assert len(rest) == len(frame) == 2
    for ours, theirs in zip(rest[columns].to_numpy(), frame[columns].to_numpy(), strict=True):
        assert [ours[0], *ours[1:]] == [visible(theirs[0]), *map(pytest.approx, theirs[1:])]


def test_a_number_of_a_copied_figure_has_six_digits():
    frame = pd.DataFrame({"x": [0.123456789, 1234567.0]})
    assert csv_of_frame(frame) == "x\r\n0.123457\r\n1234567\r\n"


# ---------------------------------------------------------------- the workbook


def opened_book(*of):
    openpyxl = pytest.importorskip("openpyxl")
    return openpyxl.load_workbook(io.BytesIO(render_workbook(compose(*of))))


def test_the_sheets_of_a_workbook_have_short_names_and_are_listed():
    book = opened_book(make_runs()[::6], "t")
    assert book.sheetnames[0] == "Contents"
    assert len({name.casefold() for name in book.sheetnames}) == len(book.sheetnames)
    assert max(map(len, book.sheetnames)) <= 31
    for row in book["Contents"].iter_rows(min_row=2):
        assert row[1].hyperlink.location == f"'{row[1].value}'!A1"
        assert row[0].value.startswith(f"Table {row[1].value.split()[0]}.")
    assert {sheet.freeze_panes for sheet in book} == {"A2"}
    sheet = book[book.sheetnames[1]]
    accuracy = next(cell for row in sheet.iter_rows() for cell in row if isinstance(cell.value, float))
    assert accuracy.number_format.startswith("#,##0.0")
    assert all(8 <= one.width <= 60 for one in sheet.column_dimensions.values())


def test_a_hostile_text_is_no_formula_in_a_workbook_and_hides_nothing():
    book = opened_book([*hostile_runs(), make_run(features="=1+1", classifier="_x000D_")], HOSTILE)
    cells = [cell for sheet in book for row in sheet.iter_rows() for cell in row if cell.value is not None]
    assert {cell.data_type for cell in cells} <= {"s", "n"}
    texts = [cell.value for cell in cells if cell.data_type == "s"]
    assert "=1+1" in texts
    assert all(cell.quotePrefix for cell in cells if str(cell.value).startswith("="))
    assert "_x005F_x000D_" in texts  # which Excel shows as _x000D_, and not as a carriage return
    assert not [text for text in texts if "\u202e" in text or "\x00" in text]
    assert any("\\u202egnp.exe\\x00\\n=1+1\\ud800" in text for text in texts)


def test_the_same_runs_give_the_same_workbook_byte_for_byte(monkeypatch):
    pytest.importorskip("openpyxl")
    runs = [make_run(), make_run(classifier="mlp")]
    before = render_workbook(compose(runs, "t"))
    import time

    monkeypatch.setattr(time, "time", lambda: 2e9)  # another day for every member of the archive
    assert render_workbook(compose(runs[::-1], "t")) == before


def test_without_openpyxl_a_workbook_is_one_error(monkeypatch):
    monkeypatch.setattr("featurekit.report.workbook.find_spec", lambda name: None)
    with pytest.raises(fk.FeaturekitError, match=r"not installed: pip install 'featurekit\[xlsx\]'"):
        render_workbook(compose([make_run()], "t"))


def test_a_page_has_a_link_for_each_caption_without_a_script(tmp_path):
    page = html_of([make_run()], "t")
    assert write_report(tmp_path, [make_run()], "t").read_text() == page
    ids = re.findall(r'id="((?:table|figure)-\d+)"', page)
    assert ids
    assert sorted(ids) == sorted(re.findall(r'href="#((?:table|figure)-\d+)"', page))
