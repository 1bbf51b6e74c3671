"""What a user hears while something is done: a bar in a terminal or a notebook, and notes in the log."""

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from featurekit.api.arguments import in_users_words
from featurekit.progress import Pace, Standing
from featurekit.text import one_line

# What a function of the front door is told: True for a bar where somebody can see one, False for nothing, or
# a function that is called with how many of how many are done.
Shown = bool | Callable[[float, int], None]

# Rows, or images, that are named; of the others their number.
SHOWN = 10

LOG = logging.getLogger("featurekit")


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
    elif progress and (in_notebook() or sys.stderr.isatty()):
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
    """Show a bar with rate and time left."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[count]}"),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[doing]}"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as drawn:
        task = drawn.add_task(what, total=None, rate="", count="", doing="")

        def update(at: Standing) -> None:
            count = f"{at.done:,.1f}/{at.total:,}" if at.done % 1 else f"{at.done:,.0f}/{at.total:,}"
            drawn.update(task, completed=at.done, total=at.total, rate=at.rate, count=count, doing=at.doing)

        yield Pace(update, unit)
