"""A page of the repository names no file that is not there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    str(path.relative_to(ROOT))
    for pattern in ("*.md", "docs/**/*.md", "benchmarks/*.md", "reports/README.md", "models/README.md")
    for path in ROOT.glob(pattern)
)
# Links of Markdown to files, without the place in the file; and files that are only named.
_LINK = re.compile(r"\]\((?![a-z+]+:|#)([^)#\s]+)")
_NAMED = re.compile(
    r"(?<![\w./:-])(?:docs|tests|benchmarks|featurekit)/[\w./-]*\w\.(?:md|py|ipynb|csv|json|svg)\b"
)


def missing(text, folder):
    """The files that a page in a folder links to, or names from the root, and that are not there."""
    linked = [one for one in _LINK.findall(text) if not (folder / one).exists()]
    return linked + [one for one in _NAMED.findall(text) if not (ROOT / one).exists()]


@pytest.mark.parametrize("page", PAGES)
def test_every_file_that_a_page_names_is_there(page):
    path = ROOT / page
    assert not missing(path.read_text(encoding="utf-8"), path.parent)


def test_a_link_that_leads_nowhere_is_found():
    assert {"README.md", "CHANGELOG.md", "docs/cluster.md"} <= set(PAGES)
    text = (
        "[a](docs/gone.md#part) [b](README.md) [c](https://a.b/c.md) [d](#e); docs/lost.md, docs/cluster.md"
    )
    assert missing(text, ROOT) == ["docs/gone.md", "docs/gone.md", "docs/lost.md"]
