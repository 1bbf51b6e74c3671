"""How far a command is: a bar on a screen, a plain line now and then in a pipe."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from featurekit.api.telling import bar
from featurekit.progress import Pace, Standing


@contextmanager
def progress_bar(what: str, unit: str = "files") -> Iterator[Pace]:
    """Show a bar with rate and time left on a screen, a plain line now and then in a pipe."""
    with bar(what, unit) if sys.stderr.isatty() else _lines(what, unit) as pace:
        yield pace


@contextmanager
def _lines(what: str, unit: str) -> Iterator[Pace]:
    import time

    opened = shown = time.monotonic()
    ended = False

    def line(at: Standing) -> None:
        nonlocal shown, ended
        now = time.monotonic()
        was_ended, ended = ended, at.done == at.total
        # The end is said once, however often it is told.
        if (ended and was_ended) or (now - shown < 10 and not (ended and now - opened > 10)):
            return
        shown = now
        facts = [f"{at.done:,.2f}" if at.done % 1 else f"{at.done:,.0f}", f"of {at.total:,} {unit}"]
        said = ", ".join([f"{what}: {' '.join(facts)}", *filter(None, (at.doing, at.rate, at.left))])
        typer.echo(said, err=True)

    yield Pace(line, unit)
