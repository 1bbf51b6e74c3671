"""Draw the figures of the documentation as SVG: those of a kept report, and how photographs become a report.

The figures are those of the report, drawn by its own code from what is stored of the comparison; only the
confusion matrix, which is a table there, is drawn here. Each has one file for wide and one for narrow
screens. Alone, a file has the colors of the reader's scheme, light or dark. The site puts the drawing into
its page, and gives it the colors of the scheme that is chosen there (docs/_pages/drawn_pictures.py).
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType

from markupsafe import Markup

from featurekit.evaluation.evidence import Evidence
from featurekit.evaluation.results import load_runs
from featurekit.report.drawing import opened, whole, words
from featurekit.report.html import part
from featurekit.report.model import Figure, Table
from featurekit.report.sections import ages, calibration, classes, cost, ranking
from featurekit.report.select import Ranked, ranked_targets

# Name of a picture → target, section of the report, and what its caption there is, after the target.
SHOWN = {
    "ranking": ("age_group", ranking, "accuracy of all models"),
    "confusion": ("age_group", classes, "confusion matrix of .*"),
    "reliability": ("age_group", calibration, "reliability diagram and risk–coverage curve of .*"),
    "cost": ("age_group", cost, "accuracy against time"),
    "error_by_age": ("age", ages, "errors of .* by single year of age"),
}
_FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", Arial, sans-serif'
# A step of the flow: its name, what happens in it, and its commands.
Step = tuple[str, tuple[str, ...], str]
STEPS: tuple[Step, ...] = (
    ("photographs", ("a folder, a table", "or a data set"), "prepare"),
    ("faces", ("found and aligned", "in each photograph"), "extract"),
    ("vectors", ("made by networks,", "kept in the cache"), "extract"),
    ("models", ("scored on splits that", "never share a person"), "fit"),
)
ENDS: tuple[Step, ...] = (
    ("report", ("scores with intervals",), "report"),
    ("predictions", ("for new photographs",), "predict"),
)


def pictures_of(folder: Path) -> dict[str, str]:
    """Return the pictures of a kept comparison: name of each file → SVG."""
    of = {one.name: one for one in ranked_targets(load_runs(folder), Evidence.load(folder))}
    found = {}
    for name, (target, section, caption) in SHOWN.items():
        wide, narrow = _drawn(of[target], section, caption)
        found |= {f"{name}.svg": _alone(wide), f"{name}-narrow.svg": _alone(narrow)}
    return found


def flow_pictures() -> dict[str, str]:
    """Return the pictures of how photographs become a report: name of each file → SVG."""
    return {
        "flow.svg": _alone(_flow(is_narrow=False)),
        "flow-narrow.svg": _alone(_flow(is_narrow=True)),
    }


def _drawn(of: Ranked, section: ModuleType, caption: str) -> tuple[Markup, Markup]:
    """Return a figure of the report for wide and for narrow screens."""
    # Of several tables of a kind, the one that the page does not fold is that of the best model.
    [shown] = [
        one
        for one in section.blocks(of)
        if isinstance(one, Figure) or (isinstance(one, Table) and not one.is_folded)
        if re.fullmatch(f"{of.title}: {caption}", one.caption)
    ]
    if isinstance(shown, Figure):
        return shown.wide, shown.narrow
    return _matrix(shown, is_narrow=False), _matrix(shown, is_narrow=True)


def _matrix(table: Table, *, is_narrow: bool) -> Markup:
    """Draw a confusion matrix: a row for each true class, darker where more of its faces are."""
    labels = [column.title for column in table.columns[1:-1]]
    width, left, top, step = (340.0, 54.0, 54.0, 32.0) if is_narrow else (860.0, 120.0, 46.0, 38.0)
    across = (width - left - 8) / len(labels)
    bottom = top + step * len(labels)
    svg = [opened(width, bottom + 30, table.caption)]
    svg.append(words(left, 14, "predicted class; % of the faces of a row", "start", "faint"))
    svg.append(words(left - 8, top - 8, "true" if is_narrow else "true class", "end", "faint"))
    for j, label in enumerate(labels):
        # On a narrow screen there is no room for all names beside each other.
        up = 22 if is_narrow and j % 2 == 0 else 8
        svg.append(words(left + across * (j + 0.5), top - up, label, "middle", "name"))
    framed = []
    for i, (name, *cells, _) in enumerate(table.rows):
        y = top + step * i
        svg.append(words(left - 8, y + step / 2 + 4, name.text, "end", "name"))
        for j, cell in enumerate(cells):
            x = left + across * j
            box = f'x="{x:.1f}" y="{y:.1f}" width="{across:.1f}" height="{step:.1f}"'
            svg.append(f'<rect class="cell heat-{max(cell.heat, 0)}" {box}/>')
            svg.append(words(x + across / 2, y + step / 2 + 4, cell.text, "middle", "on"))
            framed += [f'<rect class="frame" {box}/>'] if cell.is_diagonal else []
    svg += framed
    svg.append(words(left, bottom + 20, "Framed: the predicted class is the true one.", "start", "faint"))
    return whole(svg)


def _flow(*, is_narrow: bool) -> Markup:
    """Draw how photographs become vectors, models, and a report or predictions."""
    summary = " → ".join(f"{name}: {' '.join(what)}" for name, what, _ in STEPS)
    summary += "; then " + ", ".join(f"{name}: {' '.join(what)}" for name, what, _ in ENDS)
    wide, tall, gap = (322.0, 84.0, 24.0) if is_narrow else (150.0, 92.0, 24.0)
    if is_narrow:
        places = [(9.0, 4 + (tall + gap) * row) for row in range(len(STEPS))]
        low, half = 4 + (tall + gap) * len(STEPS), (wide - 12) / 2
        ends = [(9.0, low, half, 68.0), (9.0 + half + 12, low, half, 68.0)]
        height = low + 72
    else:
        places = [(2 + (wide + gap) * column, 30.0) for column in range(len(STEPS))]
        right = 2 + (wide + gap) * len(STEPS)
        ends = [(right, 2.0, 860 - right - 2, 68.0), (right, 82.0, 860 - right - 2, 68.0)]
        height = 152.0
    boxes = [(x, y, wide, tall) for x, y in places] + ends
    svg = [opened(340 if is_narrow else 860, height, summary)]
    svg += [_arrow(boxes[i], boxes[i + 1]) for i in range(len(STEPS) - 1)]
    svg += [_arrow(boxes[len(STEPS) - 1], end) for end in ends]
    for box, step in zip(boxes, [*STEPS, *ENDS], strict=True):
        svg += _step(box, step)
    return whole(svg)


def _step(box: tuple[float, float, float, float], step: Step) -> Iterator[str]:
    """Draw one step: a box with its name, what happens, and the command."""
    x, y, width, height = box
    name, what, command = step
    middle = x + width / 2
    yield f'<rect class="box" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="6"/>'
    yield words(middle, y + 22, name, "middle", "on strong")
    for number, line in enumerate(what):
        yield words(middle, y + 40 + 16 * number, line, "middle", "on")
    yield words(middle, y + height - 9, f"featurekit {command}", "middle", "on code")


def _arrow(one: Sequence[float], other: Sequence[float]) -> str:
    """Draw an arrow from one box to the next one, which is on its right or below it."""
    x, y, width, height = one
    if other[0] >= x + width:
        middle = other[1] + other[3] / 2
        start, end = (x + width, min(max(middle, y + 20), y + height - 20)), (other[0] - 1, middle)
        head = "l-8 -4.5v9z"
        bend = f"H{end[0] - 12:.1f}V{end[1]:.1f}H{end[0] - 6:.1f}"
    else:
        middle = other[0] + other[2] / 2
        start, end = (middle, y + height), (middle, other[1] - 1)
        head = "l-4.5 -8h9z"
        bend = f"V{end[1] - 6:.1f}"
    return (
        f'<path class="arrow" d="M{start[0]:.1f} {start[1]:.1f}{bend}"/>'
        f'<path class="head" d="M{end[0]:.1f} {end[1]:.1f}{head}"/>'
    )


def _alone(svg: Markup) -> str:
    """Return a drawing as a file of its own, with the rules and the colors of the report that it needs."""
    css = part("report.css")
    light, dark = re.findall(r":root \{[^}]*?(--page:[^}]*?--accent: [^;]*;)", css)
    used = set(" ".join(re.findall(r'class="([^"]*)"', svg)).split())
    rules = [
        f"svg.drawn {rule}"
        for rule in re.findall(r"\.plot ((?:text|\.|\[)[^{]*\{[^}]*\})", css)
        if _is_for(rule, used)
    ]
    rules += [rule for rule in _own_rules(css) if _is_for(rule.removeprefix("svg.drawn "), used)]
    style = "\n".join(
        (
            f"svg.drawn {{ {' '.join(light.split())} }}",
            f"@media (prefers-color-scheme: dark) {{ svg.drawn {{ {' '.join(dark.split())} }} }}",
            f"svg.drawn {{ overflow: visible; font-family: {_FONT}; font-variant-numeric: tabular-nums; }}",
            *rules,
        )
    )
    start, rest = str(svg).replace(" The table above has every number.", "").split(">", 1)
    start = start.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" class="drawn" ', 1)
    paper = '<rect width="100%" height="100%" fill="var(--page)"/>'
    return f"{start}>\n<style>\n{style}\n</style>\n{paper}{rest}\n"


def _is_for(rule: str, used: set[str]) -> bool:
    """Whether a rule is for a drawing with these classes."""
    needed = re.findall(r"\.([a-z][\w-]*)", rule.split("{")[0])
    return set(needed) <= used and ("shade-" not in rule or any(one.startswith("shade-") for one in used))


def _own_rules(css: str) -> list[str]:
    """Return the rules of drawings that the report does not have; its tables are as dark as its page says."""
    heats = re.findall(r"\.(heat-\d+) \{[^}]*var\(--accent\) (\d+)%", css)
    return [
        "svg.drawn .cell { fill: none; stroke: var(--line); }",
        *(
            f"svg.drawn .{name} {{ fill: var(--accent); fill-opacity: {int(share) / 100:g}; }}"
            for name, share in heats
        ),
        "svg.drawn .frame { fill: none; stroke: var(--ink); stroke-width: 1.5; }",
        "svg.drawn .box { fill: var(--soft); stroke: var(--accent); stroke-width: 1.5; }",
        "svg.drawn .arrow { fill: none; stroke: var(--faint); stroke-width: 1.5; }",
        "svg.drawn .head { fill: var(--faint); }",
        "svg.drawn text.on { stroke: none; }",
        "svg.drawn text.strong { font-size: 15px; font-weight: 600; }",
        "svg.drawn text.code { fill: var(--accent); font-family: ui-monospace, Menlo, Consolas, monospace; }",
    ]
