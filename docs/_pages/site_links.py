"""Turn links between files of the repository into links between pages of the site.

A link to a page of docs/ stays what it is. A link to a kept report, to the changelog or to the benchmarks
leads to the page that is made of it. Any other file of the repository is not in the site: its name stays.
"""

import posixpath
import re

_LINK = re.compile(r"(!?)\[([^\]]*)\]\((?![a-z+]+:|#)([^)#\s]+)(#[^)\s]*)?\)")
_PAGES = {
    "CHANGELOG.md": "changelog.md",
    "README.md": "index.md",
    "benchmarks/README.md": "results/speed.md",
    "docs/tutorial.ipynb": "tutorial.md",
}
_FOLDERS = (("benchmarks/results/", "results/speed/"), ("docs/", ""))
_REPORT = re.compile(r"(reports/[\w-]+/)report\.(?:md|html)")


def for_site(text: str, *, at: str, page: str) -> str:
    """Return the text of a page with the links of the site.

    Args:
        text: Markdown.
        at: the file in the repository that the links start from.
        page: the page of the site that the text is on, below docs/.
    """
    here = posixpath.dirname(page)

    def replaced(link: re.Match[str]) -> str:
        mark, label, path, anchor = link.groups()
        target = _in_site(posixpath.normpath(posixpath.join(posixpath.dirname(at), path)))
        if target is None:
            return label if label.startswith("`") else f"`{label}`"
        label = label.replace("report.md", "report.html") if _REPORT.fullmatch(target) else label
        return f"{mark}[{label}]({posixpath.relpath(target, here or '.')}{anchor or ''})"

    # What stands between backticks is code, not a link.
    blocks = re.split(r"(^```.*?^```|`[^`\n]+`(?!\]))", text, flags=re.DOTALL | re.MULTILINE)
    return "".join(part if number % 2 else _LINK.sub(replaced, part) for number, part in enumerate(blocks))


def _in_site(path: str) -> str | None:
    """Return where a file of the repository is in the site, or None if it is not there."""
    if path in _PAGES:
        return _PAGES[path]
    if found := _REPORT.fullmatch(path):
        return f"{found[1]}report.html"
    for folder, place in _FOLDERS:
        if path.startswith(folder):
            return place + path.removeprefix(folder)
    return None
