"""The page as one HTML file that works offline: no other file, no network."""

import re
from base64 import b64encode
from hashlib import sha256
from importlib.resources import files

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from featurekit.report.model import SIDE, SYNTHETIC, Answers, Code, Figure, Gallery, Page, Points, Table
from featurekit.text import visible
from featurekit.version import __version__


def render_html(page: Page) -> str:
    """Return a page as one HTML file that needs no other file and no network.

    The same page gives the same bytes.
    """
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=_finalize
    )
    environment.filters["breakable"] = breakable
    environment.filters["unbroken"] = _unbroken
    environment.tests["table"] = lambda block: isinstance(block, Table)
    environment.tests["figure"] = lambda block: isinstance(block, Figure)
    environment.tests["code"] = lambda block: isinstance(block, Code)
    environment.tests["answers"] = lambda block: isinstance(block, Answers)
    environment.tests["points"] = lambda block: isinstance(block, Points)
    environment.tests["gallery"] = lambda block: isinstance(block, Gallery)
    environment.filters["as_image"] = _as_image
    has_faces = any(isinstance(block, Gallery) for section in page.sections for block in section.blocks)
    style, script = _part("report.css"), _part("report.js")
    style += _part("gallery.css") if has_faces else ""
    style, script = Markup(style), Markup(script)  # nosec B704  # files of this package
    return environment.from_string(_part("report.html.j2")).render(
        page=page,
        synthetic=SYNTHETIC,
        version=__version__,
        has_faces=has_faces,
        side=SIDE,
        # Only this style and this script may run: a label that got through as markup still could do nothing.
        style=style,
        script=script,
        style_hash=_integrity(style),
        script_hash=_integrity(script),
    )


def _part(name: str) -> str:
    return files("featurekit.report").joinpath(name).read_text(encoding="utf-8")


def _integrity(text: str) -> str:
    return "sha256-" + b64encode(sha256(text.encode()).digest()).decode()


def _finalize(value: object) -> object:
    """Write hidden letters out in everything that is put into the page, but for finished markup."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def breakable(text: str) -> Markup:
    """Let a long name be broken where its parts meet, and a long part at its underscores too."""
    parts = re.split(r"(?<=[+:/ ])", visible(text))
    ends = Markup("<wbr>")
    return ends.join(ends.join(re.split("(?<=_)", part)) if len(part) > 11 else part for part in parts)


def _unbroken(text: str) -> str:
    """Keep a number, its standard deviation and its unit on one line, and a p-value."""
    return re.sub(r"(?<=\d) (?=[±%])|(?<=[±<]) (?=\d)|(?<=\bp) (?=[\d<])", "\u00a0", text)


def _as_image(jpeg: bytes) -> Markup:
    return Markup("data:image/jpeg;base64,{}").format(b64encode(jpeg).decode())
