"""Format the report as one HTML file that works offline, without other files."""

import re
from base64 import b64encode
from functools import cache
from hashlib import sha256
from importlib.resources import files

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from featurekit.report.model import SIDE, SYNTHETIC, Gallery, Page
from featurekit.text import visible
from featurekit.version import __version__


def render_html(page: Page) -> str:
    """Return a page as the text of one HTML file that needs no other file and no network.

    The same page always gives the same text.
    """
    has_faces = any(isinstance(block, Gallery) for section in page.sections for block in section.blocks)
    style = part("report.css") + part("paper.css") + (part("gallery.css") if has_faces else "")
    script = part("report.js") + part("paper.js")
    return fill(
        "report.html.j2",
        page,
        version=__version__,
        has_faces=has_faces,
        side=SIDE,
        # Only this style and this script may run, so a label could do nothing even if it were not escaped.
        style=Markup(style),  # nosec B704  # a file of this package
        script=Markup(script),  # nosec B704  # a file of this package
        style_hash=_integrity(style),
        script_hash=_integrity(script),
    )


def fill(template: str, page: Page, **values: object) -> str:
    """Return a page formatted with a template of this package; all text is escaped except Markup."""
    return _environment().get_template(template).render(page=page, synthetic=SYNTHETIC, **values)


@cache
def _environment() -> Environment:
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalize,
        loader=FunctionLoader(part),
    )
    environment.filters |= {
        "anchor": anchor,
        "as_image": _as_image,
        "as_lines": _as_lines,
        "breakable": breakable,
        "unbroken": _unbroken,
    }
    environment.tests["of_kind"] = lambda block, kind: type(block).__name__ == kind
    return environment


def part(name: str) -> str:
    """Return the text of a style sheet, script or template of this package."""
    return files("featurekit.report").joinpath(name).read_text(encoding="utf-8")


def _integrity(text: str) -> str:
    return "sha256-" + b64encode(sha256(text.encode()).digest()).decode()


def _finalize(value: object) -> object:
    """Make hidden characters visible in all text of the page that is not Markup."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def breakable(text: str) -> Markup:
    """Add the positions where a long name may be broken: after +, :, / and spaces, and after underscores."""
    parts = re.split(r"(?<=[+:/ ])", visible(text))
    ends = Markup("<wbr>")
    return ends.join(ends.join(re.split("(?<=_)", part)) if len(part) > 11 else part for part in parts)


def anchor(caption: str) -> str:
    """Return the name by which a link finds a table or a figure on the page.

    >>> anchor("Table 3. Gender: all models, best first")
    'table-3'
    """
    return caption.split(".")[0].lower().replace(" ", "-")


def _as_lines(csv: str) -> Markup:
    """Return CSV as the text of an attribute, in which only the ends of its lines are left hidden."""
    return Markup("&#10;").join(visible(line) for line in csv.split("\r\n"))


def _unbroken(text: str) -> str:
    """Allow no line break in a p-value, or between a number, its standard deviation and its unit."""
    return re.sub(r"(?<=\d) (?=[±%])|(?<=[±<]) (?=\d)|(?<=\bp) (?=[\d<])", "\u00a0", text)


def _as_image(jpeg: bytes) -> Markup:
    return Markup("data:image/jpeg;base64,{}").format(b64encode(jpeg).decode())
