"""The table of everything that `import featurekit as fk` has, with the first sentence of each docstring."""

import importlib
import inspect
import re
from pathlib import Path

MARK = "<!-- functions -->"
_SHOWN = re.compile(r"^::: ([\w.]+)$", re.MULTILINE)


def with_functions(markdown: str, reference: Path, order: list[str]) -> str:
    """Return a page with a table for each page of a folder in the place of the mark.

    Args:
        markdown: the page.
        reference: the folder of the pages, whose directives name what they show.
        order: names of the pages' files, in the order in which they are listed.
    """
    return markdown.replace(MARK, "\n".join(_table(reference / name) for name in order))


def _table(page: Path) -> str:
    text = page.read_text(encoding="utf-8")
    title = text.partition("\n")[0].removeprefix("# ")
    rows = [f"| [`{_name(path)}`][{path}] | {_sentence(path)} |" for path in _SHOWN.findall(text)]
    return "\n".join([f"## {title}", "", "| name | what it does |", "| --- | --- |", *rows, ""])


def _name(path: str) -> str:
    front = re.fullmatch(r"featurekit\.(\w+)", path)
    return f"fk.{front[1]}" if front else path.rpartition(".")[2]


def _sentence(path: str) -> str:
    """Return the first line of a docstring."""
    module, _, name = path.rpartition(".")
    text = inspect.getdoc(getattr(importlib.import_module(module), name)) or ""
    return text.partition("\n")[0].replace("|", "\\|")
