"""What MkDocs runs while it builds the documentation: pages that are made by code, links, and a last check.

    make docs        # or: mkdocs build --strict --config-file docs/mkdocs.yml

Pages are written so that their links work in the repository; here they are made to work in the site.
"""

import re
from pathlib import Path
from typing import Any

from command_line import command_line_page
from drawn_pictures import with_drawn_pictures
from functions import with_functions
from kept_reports import with_kept_reports
from mkdocs.structure.files import File
from requests_elsewhere import requests_elsewhere
from site_links import for_site
from tutorial_page import notebook_page

DOCS = Path(__file__).resolve().parents[1]
ROOT = DOCS.parent


def on_config(config: Any) -> None:
    """Take the pages from the folder of the configuration, which MkDocs does not accept as docs_dir."""
    config.docs_dir = str(DOCS)


def on_files(files: Any, config: Any) -> Any:
    """Add the pages that no file has, and what they show."""
    texts = {
        "reference/cli.md": command_line_page(),
        "tutorial.md": notebook_page(DOCS / "tutorial.ipynb", DOCS / "tutorial_outputs.json"),
        "results/speed.md": _of_repository("benchmarks/README.md", "results/speed.md"),
        "changelog.md": _of_repository("CHANGELOG.md", "changelog.md"),
    }
    for name, text in texts.items():
        files.append(File.generated(config, name, content=text))
    for path in sorted((ROOT / "benchmarks" / "results").glob("*.svg")):
        files.append(File.generated(config, f"results/speed/{path.name}", abs_src_path=str(path)))
    for path in sorted((ROOT / "reports").glob("*/report.html")):
        name = f"reports/{path.parent.name}/report.html"
        files.append(File.generated(config, name, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, **_: Any) -> str:
    """Return the text of a page with the links of the site."""
    source = page.file.src_uri
    if source == "results/index.md":
        markdown = with_kept_reports(markdown, ROOT / "reports")
    if source == "reference/api.md":
        markdown = with_functions(markdown, DOCS / "reference" / "python", _python_pages(config))
    return for_site(markdown, at=f"docs/{source}", page=source)


def on_page_content(html: str, **_: Any) -> str:
    """Return the HTML of a page with its drawn pictures in it."""
    return with_drawn_pictures(html, DOCS / "pictures")


def _python_pages(config: Any) -> list[str]:
    """Return the files of the reference of Python, in the order of the navigation."""
    return re.findall(r"reference/python/(\w+\.md)", str(config.nav))


def on_post_build(config: Any) -> None:
    """Refuse pages that load anything from another place, because they have to work offline."""
    requests_elsewhere(Path(config.site_dir))


def _of_repository(file: str, page: str) -> str:
    """Return a page of the repository that is not in docs/, as a page of the site."""
    return for_site((ROOT / file).read_text(encoding="utf-8"), at=file, page=page)
