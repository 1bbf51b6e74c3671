"""The tutorial as a page: the cells of the notebook, with the stored outputs of a run."""

import html
import json
from pathlib import Path
from typing import Any

HEADER = (
    "This page is the notebook `docs/tutorial.ipynb` with the outputs of a run. To run it yourself, open the"
    " notebook in Jupyter.\n"
)


def notebook_page(notebook: Path, outputs: Path) -> str:
    """Return a notebook as Markdown.

    Args:
        notebook: the notebook, without outputs.
        outputs: what `python benchmarks/pictures.py tutorial` has stored.
    """
    stored = json.loads(outputs.read_text(encoding="utf-8"))
    parts = []
    for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
        text = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(text)
            continue
        parts.append(f"```python\n{text}\n```")
        parts += [_shown(one) for one in stored[cell["id"]]["outputs"]]
    title, *rest = parts
    first, _, after = title.partition("\n")
    return "\n\n".join([first, HEADER, after, *rest]) + "\n"


def _shown(output: dict[str, Any]) -> str:
    if output["kind"] == "picture":
        return f"![What the cell shows](pictures/tutorial/{output['value']})"
    if output["kind"] == "html":
        attributes = 'class="fk-output" tabindex="0" role="region" aria-label="Output"'  # it can be scrolled
        return f"<div {attributes}>\n{output['value']}\n</div>"
    return f'<pre class="fk-output">{html.escape(output["value"], quote=False)}</pre>'
