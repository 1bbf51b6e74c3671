"""Find what a built page would load from another host: scripts, styles, fonts and pictures, but no links."""

import re
from pathlib import Path

from mkdocs.exceptions import PluginError

_LOADED = re.compile(
    r"""<(?:script|img|iframe|source|video|audio|embed|input)\b[^>]*?\ssrc(?:set)?=["']?(?P<source>(?:https?:)?//[^"'\s>]+)"""
    r"""|<link\b(?![^>]*rel=["']?(?:canonical|next|prev)\b)[^>]*?\shref=["']?(?P<style>(?:https?:)?//[^"'\s>]+)"""
    r"""|(?:url\(|@import\s+)["']?(?P<rule>(?:https?:)?//[^"'\s)]+)""",
    re.IGNORECASE,
)


def requests_elsewhere(site: Path) -> None:
    """Raise PluginError if a page or a style of a built site loads anything from another host."""
    found = [
        f"{path.relative_to(site)} loads {one['source'] or one['style'] or one['rule']}"
        for pattern in ("*.html", "*.css")
        for path in sorted(site.rglob(pattern))
        for one in _LOADED.finditer(path.read_text(encoding="utf-8"))
    ]
    if found:
        raise PluginError("\n".join(found[:20]))
