"""What the page says of the audit."""

from tests.report.made_up import html_of, make_audit, make_run, markdown_of


def test_the_audit_stands_in_the_page_gravest_first_and_names_no_face():
    text = markdown_of([make_run()], "t", None, make_audit())
    part = text.split("## Audit of the data")[1].split("\n## ")[0]
    assert "1 of 2 checks found an error or a warning" in part
    assert part.index("1 person is tested") < part.index("Every fold has the same share")
    assert "other folds than those of these runs" not in part
    assert "4711" not in html_of([make_run()], "t", None, make_audit())


def test_an_audit_of_other_folds_is_not_taken_for_this_ones():
    assert "other folds than those of these runs" in markdown_of(
        [make_run()], "t", None, make_audit("cd" * 32)
    )
    assert "The data set has not been audited" in markdown_of([make_run()], "t")
