"""The page on paper: Chromium prints it, and without a browser one line says what to do."""

import re
import shutil
import stat
import zlib

import pytest

from featurekit.errors import EngineError
from featurekit.report import pdf
from featurekit.report.pdf import VARIABLE, find_browser, print_pdf
from tests.report.made_up import COPY, html_of, make_evidence, make_run, make_runs, write_report


def program(folder, name, script):
    """Write a program of a few lines in place of a browser."""
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def test_the_browser_is_the_one_that_is_named_or_the_first_on_the_path(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(pdf, "_PLACES", ())
    monkeypatch.delenv(VARIABLE, raising=False)
    edge = program(tmp_path, "msedge", "exit 0")
    assert find_browser() == str(edge)
    chrome = program(tmp_path, "google-chrome", "exit 0")
    assert find_browser() == str(chrome)
    monkeypatch.setenv(VARIABLE, str(edge))
    assert find_browser() == str(edge)
    monkeypatch.setenv(VARIABLE, str(tmp_path / "absent"))
    with pytest.raises(EngineError, match=f"{VARIABLE} is .*absent, which is not a program"):
        find_browser()


def test_without_a_browser_one_line_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(pdf, "_PLACES", ())
    monkeypatch.delenv(VARIABLE, raising=False)
    with pytest.raises(EngineError, match=r"Install Chromium, Chrome or Edge.*print it to a PDF") as caught:
        find_browser()
    assert "\n" not in str(caught.value)


def test_a_browser_that_fails_or_hangs_is_an_error_and_leaves_nothing(tmp_path, monkeypatch):
    page = write_report(tmp_path, [make_run()], "t")
    folders = tmp_path / "temporary"
    folders.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folders))
    broken = program(tmp_path, "broken", "echo 'no sandbox' >&2; exit 3")
    with pytest.raises(EngineError, match=r"printed no PDF \(exit code 3: no sandbox\)"):
        print_pdf(page.read_text(), str(broken))
    monkeypatch.setattr(pdf, "TIMEOUT", 0.2)
    with pytest.raises(EngineError, match="took longer than"):
        print_pdf(page.read_text(), str(program(tmp_path, "hanging", "exec sleep 30")))
    assert list(folders.iterdir()) == []


@pytest.mark.slow
def test_a_printed_report_is_text_on_several_a4_pages_without_images(tmp_path):
    if shutil.which("chromium") is None:
        pytest.skip("chromium is not installed")
    runs = make_runs()[::3]
    gender = make_evidence([run for run in runs if run.target == "gender"])
    page = write_report(tmp_path, runs, "t", gender)
    data = print_pdf(page.read_text(), find_browser())
    assert data.startswith(b"%PDF-")
    sizes = set(re.findall(rb"/MediaBox \[0 0 ([\d.]+) ([\d.]+)\]", data))
    assert {(round(float(width)), round(float(height))) for width, height in sizes} == {(842, 595)}  # A4
    n_pages = len(re.findall(rb"/Type /Page\b", data))
    assert n_pages > 5
    streams = re.findall(rb"stream\r?\n(.*?)\r?\nendstream", data, re.DOTALL)
    assert any(b"Tj" in zlib.decompress(one) for one in streams if one[:1] == b"x")
    assert b"/DCTDecode" not in data  # no image


def test_on_paper_each_page_has_its_number_and_the_number_of_pages():
    """Only on paper: the rule is in the style sheet of the page, within what is for print."""
    style = html_of([make_run()], "t").split("<style>")[1].split("</style>")[0]
    before, print_ = re.sub(r"/\*.*?\*/", "", style, flags=re.DOTALL).split("@media print", 1)
    assert "@page" not in before
    page = re.search(r"@page \{(.*?\}[^{}]*)\}", print_, re.DOTALL)[1]
    assert "size: A4 landscape;" in page
    corner = re.search(r"@bottom-right \{([^}]*)\}", page)[1]
    assert 'content: counter(page) " / " counter(pages);' in corner


def test_on_paper_everything_is_unfolded_nothing_is_cut_off_and_the_summary_is_first(browser, tmp_path):
    runs = [*make_runs()[::2], make_run("gender", classifier="majority")]
    path = write_report(tmp_path, runs, "t", make_evidence([run for run in runs if run.target == "gender"]))
    tab = browser.new_page(viewport={"width": 1017, "height": 686})
    tab.goto(path.as_uri())
    tab.emulate_media(media="print")
    assert tab.locator(".rankings").count() == 0
    before = tab.locator("details:not([open])").count()
    assert before
    tab.evaluate("dispatchEvent(new Event('beforeprint'))")
    rankings = tab.locator("section.verdict .rankings table")
    assert rankings.count() == 3
    for ranking in rankings.all():
        assert 3 < ranking.locator("tbody tr").count() <= 8
        assert ranking.locator("thead th:visible").count() <= 7
    assert tab.locator("details:not([open])").count() == 0
    assert tab.evaluate("document.documentElement.scrollWidth") == 1017
    assert tab.get_by_role("button", name=COPY).count() == tab.get_by_role("searchbox").count() == 0
    # Both fit on their own page: A4 across has 686 px between its margins.
    assert tab.locator(".answers").bounding_box()["height"] < 500
    assert tab.locator(".rankings").bounding_box()["height"] < 686
    tab.evaluate("dispatchEvent(new Event('afterprint'))")
    assert tab.locator(".rankings").count() == 0
    assert tab.locator("details:not([open])").count() == before
    tab.close()
