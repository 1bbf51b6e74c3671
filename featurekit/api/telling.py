"""Show progress in a terminal or a notebook, and write notes and warnings to the log."""

import logging
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from html import escape
from importlib import import_module
from pathlib import Path
from typing import Any

from featurekit.naming import Caller, in_users_words
from featurekit.progress import Pace, Standing
from featurekit.text import one_line
from featurekit.urls import UrlPath

# The argument progress of public functions: True for a bar where one can be seen, False for nothing, or a
# function that is called with the number done and the total.
Shown = bool | Callable[[float, int], None]

# How many rows or images are named in warnings; of the others only the number is given.
SHOWN = 10

LOG = logging.getLogger("featurekit")

# Seconds until a bar appears in a notebook, and between two updates of it.
_REDRAW = 0.3


def note(text: str) -> None:
    """Log a message with 'note: ' before it."""
    LOG.warning("%s", one_line(in_users_words(text)), extra={"said_as": "note: "})


def note_of_no_lock(cache: Path) -> None:
    """Say that two removals at once must be avoided, if the cache is in a bucket."""
    if isinstance(cache, UrlPath):
        note(
            f"A bucket has no lock. Nobody else may run cache gc or cache purge on {cache} at the same time."
        )


def warn(text: str) -> None:
    """Log a message with 'warning: ' before it."""
    LOG.warning("%s", one_line(in_users_words(text)), extra={"said_as": "warning: "})


def warn_of_first(texts: Sequence[str], others: str) -> None:
    """Log the first of several warnings, and how many more there are.

    Args:
        texts: the warnings.
        others: words after the number of further warnings, such as "more".
    """
    for text in texts[:SHOWN]:
        warn(text)
    if len(texts) > SHOWN:
        warn(f"… and {len(texts) - SHOWN} {others}")


def say(text: str) -> None:
    """Log a message without 'note: ' or 'warning: ' before it."""
    LOG.warning("%s", one_line(in_users_words(text)), extra={"said_as": ""})


def shown(progress: Shown, what: str, unit: str) -> AbstractContextManager[Pace]:
    """Return a context in which progress is shown according to the argument progress; see Shown."""
    if callable(progress):
        told: Callable[[float, int], None] = progress
        return nullcontext(Pace(lambda at: told(at.done, at.total), unit))
    if progress and in_notebook():
        return _notebook_bar(what, unit)
    if progress and sys.stderr.isatty():
        return _bar(what, unit)
    if progress and Caller.is_command_line:
        return _lines(what, unit)
    return nullcontext(Pace(lambda _: None, unit))


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook."""
    ipython = sys.modules.get("IPython")
    return ipython is not None and type(ipython.get_ipython()).__name__ == "ZMQInteractiveShell"


@contextmanager
def _lines(what: str, unit: str) -> Iterator[Pace]:
    """Print a line to stderr every ten seconds or so, as the command line does if that is not a terminal."""
    opened = printed = time.monotonic()
    ended = False

    def line(at: Standing) -> None:
        nonlocal printed, ended
        now = time.monotonic()
        was_ended, ended = ended, at.done == at.total
        # The end is printed once, however often it is reported.
        if (ended and was_ended) or (now - printed < 10 and not (ended and now - opened > 10)):
            return
        printed = now
        done = f"{at.done:,.2f}" if at.done % 1 else f"{at.done:,.0f}"
        facts = filter(None, (f"{what}: {done} of {at.total:,} {unit}", at.doing, at.rate, at.left))
        sys.stderr.write(f"{', '.join(facts)}\n")

    yield Pace(line, unit)


@contextmanager
def _bar(what: str, unit: str) -> Iterator[Pace]:
    """Show a bar with rate and time left in a terminal."""
    from rich import console, progress

    columns = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.TextColumn("{task.fields[count]}"),
        progress.TextColumn("{task.fields[rate]}"),
        # Not rich's own estimate, which looks back a fixed time, because one network may take an hour.
        progress.TextColumn("{task.fields[left]}"),
        progress.TextColumn("{task.fields[doing]}"),
    )
    with progress.Progress(*columns, console=console.Console(stderr=True), transient=True) as drawn:
        task = drawn.add_task(what, total=None, rate="", left="", count="", doing="")

        def update(at: Standing) -> None:
            drawn.update(
                task,
                completed=at.done,
                total=at.total,
                rate=at.rate,
                left=at.left,
                count=_count(at),
                doing=at.doing,
            )

        yield Pace(update, unit)


@contextmanager
def _notebook_bar(what: str, unit: str) -> Iterator[Pace]:
    """Show a bar in a notebook's cell: one output that is updated in place, and is empty at the end.

    rich needs ipywidgets for that; without them it leaves one output for each state of the bar.
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
    """Return a state of a bar as a notebook displays it.

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
    """Return the number done and the total, as text."""
    return f"{at.done:,.1f}/{at.total:,}" if at.done % 1 else f"{at.done:,.0f}/{at.total:,}"
