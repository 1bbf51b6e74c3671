"""What is printed: messages on one line each, tables, and the scores of runs."""

import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

from featurekit.api.telling import SHOWN
from featurekit.naming import Caller
from featurekit.progress import StepTimes
from featurekit.text import one_line, readable_name

if TYPE_CHECKING:
    from featurekit.evaluation.results import Run


class _Printed(logging.Handler):
    """Prints the notes and warnings of the library, one line each."""

    def emit(self, record: logging.LogRecord) -> None:
        typer.echo(getattr(record, "said_as", "warning: ") + one_line(record.getMessage()), err=True)


@contextmanager
def printed_log() -> Iterator[None]:
    """Print the notes and warnings of the library, and let its messages name options of the command line."""
    log = logging.getLogger("featurekit")
    before = log.handlers, log.propagate, Caller.is_command_line
    log.handlers, log.propagate, Caller.is_command_line = [_Printed()], False, True
    try:
        yield
    finally:
        log.handlers, log.propagate, Caller.is_command_line = before


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]], title: str | None = None) -> None:
    """Print a table: drawn on a screen, plain tab-separated lines in a pipe."""
    if not sys.stdout.isatty():
        if title:
            typer.echo(title)
        for row in [head, *rows]:
            typer.echo("\t".join(" / ".join(str(cell).splitlines()) for cell in row).rstrip())
        return
    from rich import box, console, table, text

    drawn = table.Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for name in head:
        drawn.add_column(name, overflow="fold")  # a URL that is cut is of no use
    for row in rows:
        drawn.add_row(*(text.Text(str(cell)) for cell in row))
    console.Console().print(drawn)


def as_cell(value: Any) -> str:
    """Return a value as a table shows it."""
    if isinstance(value, float):
        return "" if value != value else f"{value:.2f}"
    return one_line(str(value))


def print_runs(runs: "Sequence[Run]") -> None:
    """Print one line a run, best first within a target."""
    from featurekit.evaluation.scores import score_kind
    from featurekit.report.select import best_first

    for target in dict.fromkeys(run.target for run in runs):
        ranked = best_first([run for run in runs if run.target == target])
        kinds = [score_kind(name) for name in dict.fromkeys(name for run in ranked for name in run.scores)]
        rows = [
            [run.features, run.classifier_name, *(_score(kind, run.scores.get(kind.name)) for kind in kinds)]
            for run in ranked
        ]
        made_up = " (SYNTHETIC: made-up faces)" if ranked[0].dataset.get("synthetic") else ""
        print_table(
            ["features", "model", *(", ".join(filter(None, (kind.title, kind.unit))) for kind in kinds)],
            rows,
            title=target + made_up,
        )


def _score(kind: Any, score: Any) -> str:
    if not score or score["mean"] is None:
        return "-"
    return f"{kind.format(score['mean'])} ± {kind.format(score['std'])}"


def end_with(bad: Sequence[tuple[str, str]], n_bad: int | None = None) -> None:
    """Print which images were not read and why, and exit with code 1 if there are any.

    Args:
        bad: name and message of each image, or of the first ones.
        n_bad: number of images, if `bad` has only the first ones.
    """
    n_bad = len(bad) if n_bad is None else n_bad
    for photograph, message in bad[:SHOWN]:
        named = message if photograph in message else f"{readable_name(photograph)}: {message}"
        typer.echo(one_line(f"error: {named}"), err=True)
    if n_bad > SHOWN:
        typer.echo(f"error: … and {n_bad - SHOWN:,} more", err=True)
    if bad:
        raise typer.Exit(1)


def print_profile(found: StepTimes) -> None:
    """Print how much of the threads' time each step took, and how much was idle."""
    if not found.n_read:
        typer.echo("No image was read, because all vectors were in the cache.")
        return
    whole, busy = found.threads * found.seconds, sum(found.parts.values())
    rows = [
        [part, f"{seconds:.1f}", f"{1000 * seconds / found.n_read:.2f}", f"{seconds / whole:.0%}"]
        for part, seconds in found.parts.items()
    ]
    rows.append(
        ["waiting and starting", f"{max(whole - busy, 0):.1f}", "", f"{max(1 - busy / whole, 0):.0%}"]
    )
    print_table(["step", "thread-seconds", "ms per image", "share of the threads' time"], rows)
    # Images per second that the same threads would read without waiting, starting and writing.
    limit = found.threads * found.n_read / (busy - found.parts.get("write", 0.0))
    typer.echo(
        f"This is {found.n_read / found.seconds / limit:.0%} of the {limit:,.0f} images per second"
        f" that {found.threads} threads would reach if they never waited."
    )
