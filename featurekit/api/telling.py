"""Show progress in a terminal or a notebook, and write notes and warnings to the log."""

import logging
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import copy_context
from datetime import timedelta
from html import escape
from importlib import import_module
from pathlib import Path
from threading import Event, Lock, Thread
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

# Seconds until a count appears in a notebook, and between two updates of it.
_REDRAW = 0.3
# Seconds after which a notebook is shown the time, also if nothing has been counted since.
_TICK = 0.5


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
    if progress and sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
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
    """Show a bar with count and time in a terminal, and rate and time left as soon as they are known."""
    from rich import console, progress

    columns = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.TextColumn("{task.fields[count]}"),
        progress.TimeElapsedColumn(),
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


class _NotebookBar:
    """A bar in a notebook's cell: one output that is updated in place.

    rich needs ipywidgets for that; without them it leaves one output for each state of the bar.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._opened = self._drawn = time.monotonic()
        self._at: Standing | None = None
        self._handle: Any = None
        self._drawing = Lock()

    def update(self, at: Standing) -> None:
        """Show a count, unless something was shown a moment ago."""
        with self._drawing:
            self._at = at
            if time.monotonic() - self._drawn >= _REDRAW:
                self._draw()

    def tick(self) -> None:
        """Show how much time has passed."""
        with self._drawing:
            self._draw()

    def clear(self) -> None:
        """Leave an empty output."""
        if self._handle is not None:
            self._handle.update({"text/html": "", "text/plain": ""}, raw=True)

    def _draw(self) -> None:
        self._drawn = time.monotonic()
        shown = _html(self._what, self._at, self._drawn - self._opened)
        if self._handle is None:
            self._handle = import_module("IPython.display").display(shown, raw=True, display_id=True)
        else:
            self._handle.update(shown, raw=True)


@contextmanager
def _notebook_bar(what: str, unit: str) -> Iterator[Pace]:
    """Show a bar in a notebook's cell, which is empty at the end."""
    bar, ended = _NotebookBar(what), Event()

    def tick() -> None:
        while not ended.wait(_TICK):
            bar.tick()

    # In a copy of the context, so that the output belongs to the cell that is running.
    ticking = Thread(target=copy_context().run, args=(tick,), daemon=True)
    ticking.start()
    try:
        yield Pace(bar.update, unit)
    finally:
        ended.set()
        ticking.join()
        bar.clear()


def _html(what: str, at: Standing | None, seconds: float) -> dict[str, str]:
    """Return a state of a bar as a notebook displays it.

    >>> _html("reading", Standing(3, 4, 0.0, "files"), 2.4)["text/plain"]
    'reading: 3/4, 0:00:02'
    """
    passed = str(timedelta(seconds=int(seconds)))
    parts = (_count(at), passed, at.rate, at.left, at.doing) if at else (passed,)
    said = ", ".join(filter(None, parts))
    share = f' value="{at.done / max(at.total, 1):.3f}"' if at else ""
    return {
        "text/html": f"<div>{escape(what)} <progress{share}></progress> {escape(said)}</div>",
        "text/plain": f"{what}: {said}",
    }


def _count(at: Standing) -> str:
    """Return the number done and the total, as text."""
    return f"{at.done:,.1f}/{at.total:,}" if at.done % 1 else f"{at.done:,.0f}/{at.total:,}"
