"""What became of the rows."""

from featurekit.data.manifest import REASONS
from tests.report.made_up import make_run, markdown_of


def test_what_was_dropped_stands_with_its_meaning_and_an_unknown_reason_under_its_own_name():
    dataset = {
        **make_run().dataset,
        "tally": {"duplicate": 40, "eaten": 1},
        "statuses": {"ok": 1234, "truncated": 2},
    }
    text = markdown_of([make_run(dataset=dataset)], "t")
    assert f"| prepare | duplicate | {REASONS['duplicate']} | 40 | 3.08 |" in text
    assert "| prepare | eaten | — | 1 | 0.08 |" in text
    assert (
        "| extract | truncated | the file is incomplete: it ends before the image does | 2 | 0.15 |" in text
    )


def test_what_prepare_counted_is_told_once():
    text = markdown_of([make_run()], "t")
    assert "| groups of identical files | 21 |" in text
    assert "| duplicate | 40 |" not in text
    assert "Terms of the data set: UTKFace: non-commercial research only." in text
