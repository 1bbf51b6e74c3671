"""What the report promises: everything is in it, in both renderings, and nothing can get out of it."""

import re
from dataclasses import replace

import pytest

from featurekit.errors import WorkspaceError
from featurekit.text import markdown, visible
from tests.report.made_up import (
    HOSTILE,
    Reader,
    hostile_runs,
    html_of,
    make_audit,
    make_evidence,
    make_run,
    markdown_of,
    rows_of,
    score,
    write_report,
)


def test_every_run_is_in_both_renderings(runs, page):
    rows = [text.split() for text in Reader(page).text["tr"]]
    for target, heading in (("age", "Age in years"), ("age_group", "Age group"), ("gender", "Gender")):
        of_target = [run for run in runs if run.target == target]
        names = [(cells[0], cells[1].split(" ")[0]) for cells in rows_of(markdown_of(runs, "t"), heading)]
        assert sorted(names) == sorted((run.features, run.classifier) for run in of_target)
        for run in of_target:
            # Once in its table of scores, once among the parameters.
            assert sum(row[1:3] == [run.features, run.classifier] for row in rows) >= 1
            assert sum(row[:3] == [target, run.features, run.classifier] for row in rows) == 1


def test_synthetic_data_is_called_synthetic_in_every_title(runs, page):
    dataset = {**runs[0].dataset, "name": "synthetic", "synthetic": True}
    made_up = [replace(run, dataset=dataset) for run in runs]
    read = Reader(html_of(made_up, "Demo"))
    titles = [read.text["title"][0]]
    titles += [text for tag in ("h1", "h2", "figcaption", "summary") for text in read.text[tag]]
    assert len(titles) > 15
    assert {title for title in titles if "synthetic" not in title} == {"How to read this"}
    assert "Synthetic — made-up portraits" in read.text["p"][0]
    text = markdown_of(made_up, "Demo")
    captions = re.findall(r"^(?:#+ .*|\*\*Table .*)$", text, re.MULTILINE)
    assert all("synthetic" in caption for caption in captions)
    assert "synthetic" not in page.split("</style>")[1].lower()


def test_hostile_text_is_shown_and_does_nothing(runs, tmp_path):
    write_report(tmp_path, hostile_runs(), HOSTILE)
    page = (tmp_path / "report.html").read_text()
    # Nothing but more of the elements that an ordinary report has.
    assert {tag for tag, _ in Reader(page).elements} <= {
        tag for tag, _ in Reader(html_of(runs, "t")).elements
    }
    assert len(Reader(page).text["script"]) == 1
    assert "\\u202egnp.exe\\x00\\n=1+1\\ud800" in page.replace("<wbr>", "")
    text = (tmp_path / "report.md").read_text()
    outside_code = "\n".join(line for line in text.splitlines() if not line.startswith("    "))
    for strange in ("\u202e", "\x00"):
        assert strange not in page + text
    assert "<script>" not in outside_code


def test_a_pipe_does_not_end_a_markdown_cell():
    text = markdown_of(hostile_runs(), HOSTILE)
    tables = [block.splitlines() for block in text.split("\n\n") if block.startswith("| ")]
    assert len(tables) > 8
    for lines in tables:
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines}) == 1, lines[0]


def test_hidden_letters_are_written_out_and_other_scripts_are_left_alone():
    assert visible("a\tb\u200f\u2067\ufeff") == "a\\tb\\u200f\\u2067\\ufeff"
    assert visible("مرد · 男 · é") == "مرد · 男 · é"
    assert markdown("_a_ snake_case ![x](y)") == "\\_a\\_ snake_case !\\[x\\](y)"


def test_the_page_needs_nothing_from_elsewhere(page):
    for tag, attributes in Reader(page).elements:
        assert tag not in ("link", "img", "iframe", "object", "embed", "base", "form")
        for name, value in attributes.items():
            assert not name.startswith("on"), f"{tag} {name}"
            if name in ("src", "href", "srcset", "action", "data", "poster"):
                assert value is not None
                assert value.startswith("#")
    assert not re.search(r"https?:|url\(|@import", page)
    policy = next(a["content"] for t, a in Reader(page).elements if a.get("http-equiv"))
    assert policy is not None
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy


def test_the_same_runs_in_any_order_give_the_same_bytes(runs, page, tmp_path):
    path = write_report(tmp_path, runs[::-1], "UTKFace, builtin networks")
    assert path == tmp_path / "report.html"
    assert path.read_bytes() == page.encode()
    assert (tmp_path / "report.md").read_text() == markdown_of(runs, "UTKFace, builtin networks")


def test_times_change_nothing_but_cells_of_times():
    run = make_run()
    later = replace(
        run, seconds={"extract": 1.0, "fit": 2000.0, "predict": 0.1}, created="2027-01-01T00:00:00Z"
    )
    cell = re.compile(r"<(td|th)[^>]* time[^>]*>.*?</\1>")
    one, other = html_of([run], "t"), html_of([later], "t")
    assert one != other
    day = re.compile(r"(The runs were made on|made) \d\S+")
    assert day.sub("", cell.sub("", one)) == day.sub("", cell.sub("", other))


def test_the_page_names_the_files_that_its_numbers_come_from():
    runs = [make_run(), make_run(classifier="mlp")]
    assert "from runs/*.json.</p>" in html_of(runs, "t")
    whole = html_of(runs, "t", make_evidence(runs), make_audit())
    assert "from runs/*.json, evidence.json, audit.json.</p>" in whole


def test_no_run_is_no_report(tmp_path):
    with pytest.raises(
        WorkspaceError, match=r"There is no run to report\. Fit a model first: featurekit fit"
    ):
        write_report(tmp_path, [], "t")
    assert not list(tmp_path.iterdir())


def test_a_model_has_one_number_on_the_whole_page():
    """The best of the first target is M1, and where its name has no room it is called by its number."""
    six = "dlib_age+dlib_age:middle+dlib_gender+mobilenet_v2+mobilenet_v2:middle+dlib_face"
    runs = [
        make_run("gender", six, scores={"accuracy": score(0.9)}),
        make_run("gender", classifier="mlp", scores={"accuracy": score(0.8)}),
        make_run("age", six, scores={"mae_years": score(6.0)}),
        make_run("age", classifier="mlp", scores={"mae_years": score(5.0)}),
    ]
    text = markdown_of(runs, "t", make_evidence(runs[:2]))
    assert "**Gender**: M1 · svm · 6 features: **90.0 %** accuracy (" in text
    assert "**Age in years**: M2 · mlp · dlib_age: **5.00 years** mean absolute error ±" in text
    assert f"| M1 | {six} | svm |" in text.replace("\\_", "_")
    age = text.split("## Age in years")[1]
    assert age.index("| M2 |") < age.index("| M1 |")
    assert "| M1 · svm · 6 features |" in text
