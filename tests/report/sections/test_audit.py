"""What the page says of the audit."""

from tests.report.made_up import html_of, make_audit, make_run, markdown_of


def test_the_audit_stands_in_the_page_gravest_first_and_names_no_face():
    text = markdown_of([make_run()], "t", None, make_audit())
    part = text.split("## What is wrong with the data")[1].split("\n## ")[0]
    assert "1 of 2 checks found something to look at" in part
    assert part.index("1 person is tested") < part.index("Every fold has the same share")
    assert "other folds than the runs" not in part
    assert "4711" not in html_of([make_run()], "t", None, make_audit())


def test_an_audit_of_other_folds_is_not_taken_for_this_ones():
    assert "other folds than the runs" in markdown_of([make_run()], "t", None, make_audit("cd" * 32))
    assert "No audit is stored beside these runs" in markdown_of([make_run()], "t")
