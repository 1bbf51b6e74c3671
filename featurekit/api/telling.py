"""What a user hears while something is done: a bar in a terminal or a notebook, and notes in the log."""

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html import escape
from importlib import import_module
from typing import Any

from featurekit.api.arguments import in_users_words
from featurekit.progress import Pace, Standing
from featurekit.text import one_line

# What a function of the front door is told: True for a bar where somebody can see one, False for nothing, or
# a function that is called with how many of how many are done.
Shown = bool | Callable[[float, int], None]

# Rows, or images, that are named; of the others their number.
SHOWN = 10

LOG = logging.getLogger("featurekit")

# Seconds until a notebook is shown a bar at all, and between two states of it.
_REDRAW = 0.3


def note(text: str) -> None:
    """Log what is good to know."""
    LOG.warning("%s", one_line(in_users_words(text)), extra={"said_as": "note: "})


def warn(text: str) -> None:
    """Log what is wrong, and was passed over."""
    LOG.warning("%s", one_line(in_users_words(text)), extra={"said_as": "warning: "})


def say(text: str) -> None:
    """Log a line that says itself what it is."""
    LOG.warning("%s", one_line(in_users_words(text)), extra={"said_as": ""})


@contextmanager
def shown(progress: Shown, what: str, unit: str) -> Iterator[Pace]:
    """Show how far something is, as the caller asked for it; see Shown."""
    if isinstance(progress, Pace):
        yield progress
    elif callable(progress):
        told: Callable[[float, int], None] = progress
        yield Pace(lambda at: told(at.done, at.total), unit)
    elif progress and in_notebook():
        with _notebook_bar(what, unit) as pace:
            yield pace
    elif progress and sys.stderr.isatty():
        with bar(what, unit) as pace:
            yield pace
    else:
        yield Pace(lambda _: None, unit)


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return type(shell).__name__ == "ZMQInteractiveShell"


@contextmanager
def bar(what: str, unit: str) -> Iterator[Pace]:
    """Show a bar with rate and time left in a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[count]}"),
        TextColumn("{task.fields[rate]}"),
        # Not rich's own estimate: it looks back a fixed time, and one network may take an hour.
        TextColumn("{task.fields[left]}"),
        TextColumn("{task.fields[doing]}"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as drawn:
        task = drawn.add_task(what, total=None, rate="", left="", count="", doing="")

        def update(at: Standing) -> None:
            drawn.update(task, rate=at.rate, left=at.left, count=_count(at), doing=at.doing)
            drawn.update(task, completed=at.done, total=at.total)

        yield Pace(update, unit)


@contextmanager
def _notebook_bar(what: str, unit: str) -> Iterator[Pace]:
    """Show a bar in a notebook's cell: one output that is drawn anew in place, and is empty in the end.

    rich would do it with ipywidgets only; without them it leaves an output for each state of the bar.
    """
    handle: Any = None
    drawn = time.monotonic()

    def update(at: Standing) -> None:
        nonlocal handle, drawn
        now = time.monotonic()
        if now - drawn < _REDRAW:
            return
        drawn = now
        if handle is None:
            handle = import_module("IPython.display").display(_html(what, at), raw=True, display_id=True)
        else:
            handle.update(_html(what, at), raw=True)

    try:
        yield Pace(update, unit)
    finally:
        if handle is not None:
            handle.update({"text/html": "", "text/plain": ""}, raw=True)


def _html(what: str, at: Standing) -> dict[str, str]:
    """Return a state of a bar as a notebook takes it.

    >>> _html("reading", Standing(3, 4, 0.0, "files"))["text/plain"]
    'reading: 3/4'
    """
    said = ", ".join(filter(None, (_count(at), at.rate, at.left, at.doing)))
    bar = f'<progress value="{at.done / max(at.total, 1):.3f}"></progress>'
    return {
        "text/html": f"<div>{escape(what)} {bar} {escape(said)}</div>",
        "text/plain": f"{what}: {said}",
    }


def _count(at: Standing) -> str:
    """Return how many of how many are done."""
    return f"{at.done:,.1f}/{at.total:,}" if at.done % 1 else f"{at.done:,.0f}/{at.total:,}"
