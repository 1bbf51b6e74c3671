"""Put drawn pictures into the page: there they have the colors of the scheme that the reader chose.

A page shows docs/pictures/NAME.svg as any image. If NAME-narrow.svg is beside it, narrow screens show
that one. A picture without it, such as the terminal, is scrolled on a narrow screen.
"""

import re
from html import escape, unescape
from pathlib import Path

_SHOWN = re.compile(r'<img\b[^>]*?\bsrc="(?:\.\./)*pictures/(?P<name>\w+)\.svg"[^>]*>')
_ALT = re.compile(r'\balt="([^"]*)"')


def with_drawn_pictures(html: str, pictures: Path) -> str:
    """Return the HTML of a page with the drawn pictures in place of its images of them."""
    return _SHOWN.sub(lambda image: _in_page(image["name"], image[0], pictures), html)


def _in_page(name: str, image: str, pictures: Path) -> str:
    if not (pictures / f"{name}.svg").exists():
        return image  # MkDocs says that it is not there
    alt = _ALT.search(image)
    assert alt, f"{name}.svg is shown without a text that says what it shows"
    narrow = pictures / f"{name}-narrow.svg"
    wide = _drawing(pictures / f"{name}.svg", alt[1])
    if not narrow.exists():
        return f'<span class="fk-picture scrolled" tabindex="0">{wide}</span>'
    return (
        f'<span class="fk-picture wide">{wide}</span>'
        f'<span class="fk-picture narrow">{_drawing(narrow, alt[1])}</span>'
    )


def _drawing(path: Path, alt: str) -> str:
    """Return a drawing whose description is the text of the page."""
    says = f'aria-label="{escape(unescape(alt))}"'
    svg = re.sub(r'aria-label="[^"]*"', lambda _: says, path.read_text(encoding="utf-8"), count=1)
    # A blank line would end the block of HTML.
    return re.sub(r"\n\s*\n", "\n", svg).strip()
