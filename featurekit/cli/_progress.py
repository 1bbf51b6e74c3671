"""How far a command is: a bar on a screen, a plain line now and then in a pipe."""

import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from featurekit.progress import Pace, Standing


@contextmanager
def progress_bar(what: str, unit: str = "files") -> Iterator[Pace]:
    """Show a bar with rate and time left on a screen, a plain line now and then in a pipe."""
    with _bar(what, unit) if sys.stderr.isatty() else _lines(what, unit) as pace:
        yield pace


@contextmanager
def _lines(what: str, unit: str) -> Iterator[Pace]:
    import time

    opened = shown = time.monotonic()

    def line(at: Standing) -> None:
        nonlocal shown
        now = time.monotonic()
        if now - shown < 10 and not (at.done == at.total and now - opened > 10):
            return
        shown = now
        facts = [f"{at.done:,.2f}" if at.done % 1 else f"{at.done:,.0f}", f"of {at.total:,} {unit}"]
        left = "" if math.isnan(at.seconds_left) else f"{at.seconds_left:,.0f} s left"
        said = ", ".join([f"{what}: {' '.join(facts)}", *filter(None, (at.doing, at.rate, left))])
        typer.echo(said, err=True)

    yield Pace(line, unit)


@contextmanager
def _bar(what: str, unit: str) -> Iterator[Pace]:
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
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None, rate="", count="", doing="")

        def update(at: Standing) -> None:
            count = f"{at.done:,.1f}/{at.total:,}" if at.done % 1 else f"{at.done:,.0f}/{at.total:,}"
            bar.update(task, completed=at.done, total=at.total, rate=at.rate, count=count, doing=at.doing)

        yield Pace(update, unit)
