"""What is printed: messages on one line each, tables, and the scores of runs.

A table is drawn on a terminal. In a pipe it is plain tab-separated lines, and with --json a document.
"""

import json
import logging
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from math import isfinite
from typing import TYPE_CHECKING, Any

import typer

from featurekit.api.telling import SHOWN
from featurekit.cli._terminal import Cell, Layout, has_colors, text_of
from featurekit.naming import Caller
from featurekit.progress import StepTimes
from featurekit.text import counted, one_line, readable_name

if TYPE_CHECKING:
    from featurekit.evaluation.results import Run
    from featurekit.evaluation.scores import ScoreKind

BYTES = Cell("bytes", "size")  # heading of a column of size_cell()
_COLORS = {"error": "red", "warning": "yellow"}


class _Printed(logging.Handler):
    """Prints the notes and warnings of the library, one line each."""

    def emit(self, record: logging.LogRecord) -> None:
        print_message(getattr(record, "said_as", "warning: ") + record.getMessage())


def print_message(text: str) -> None:
    """Print one line to stderr; on a terminal, "error:" is red and "warning:" is yellow."""
    line = one_line(text)
    if has_colors(sys.stderr):
        line = re.sub(
            r"^(error|warning):", lambda found: typer.style(found[0], fg=_COLORS[found[1]], bold=True), line
        )
    typer.echo(line, err=True)


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


class _Document:
    """What a command with --json prints.

    Attributes:
        is_asked: whether --json was given.
        rows: the rows of the tables that the command has printed; None if it has printed no table yet.
    """

    is_asked = False
    rows: "list[dict[str, Any]] | None" = None


def ask_for_json(asked: bool) -> bool:
    """Print the tables of the command as JSON, and what it prints beside them to stderr."""
    if asked:
        _Document.is_asked = True
        sys.stdout = sys.stderr
    return asked


@contextmanager
def one_document() -> Iterator[None]:
    """Print the JSON that ask_for_json() has asked for, when the command inside the block has ended.

    A command that fails before its first table prints none.
    """
    output, _Document.is_asked, _Document.rows = sys.stdout, False, None
    is_good = False
    try:
        yield
        is_good = True
    except SystemExit as end:  # with which every command ends
        is_good = not end.code
        raise
    finally:
        sys.stdout = output
        if _Document.is_asked and (is_good or _Document.rows is not None):
            _print_document(_Document.rows or [])


def _print_document(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print a list of objects, one on each line, in ASCII: a terminal's encoding may lack a letter."""
    lines = ",\n".join(json.dumps(row, default=str, allow_nan=False) for row in rows)
    try:
        sys.stdout.write(f"[\n{lines}\n]\n" if rows else "[]\n")
        sys.stdout.flush()
    except BrokenPipeError:  # the reader has read enough; the flush at the end must not fail again
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _value_of(cell: Any) -> Any:
    """Return a cell as JSON has it: an empty one, and a number that is none, is null."""
    value = cell.value if isinstance(cell, Cell) else cell
    value = value.item() if hasattr(value, "item") else value  # a number of numpy
    if isinstance(value, Mapping):
        return {key: _value_of(one) for key, one in value.items()}
    if value == "" or (isinstance(value, float) and not isfinite(value)):
        return None
    return value


def print_table(
    head: Sequence[str | Cell],
    rows: Iterable[Sequence[Any]],
    title: str | None = None,
    *,
    of: Mapping[str, Any] | None = None,
    widths: Sequence[int] = (),
    n_always: int | None = None,
) -> None:
    """Print a table: with aligned columns on a terminal, plain tab-separated lines in a pipe, JSON if asked.

    Args:
        head: heading of each column, which is the key in JSON, too.
        rows: the cells of each row; None is an empty cell, and only a str is broken at spaces.
        title: line above the table.
        of: keys and values that every object of this table begins with in JSON, for a command that prints
            several tables.
        widths: width of each column but the last, if each row is to be printed as soon as it is known.
        n_always: number of columns that are always shown; a terminal that is too narrow for all columns gets
            the names of those of the others that it has no room for. None to show all columns.
    """
    if not _Document.is_asked:
        _print_as_text(head, rows, title, widths, n_always)
        return
    keys = [one.value if isinstance(one, Cell) else one for one in head]
    _Document.rows = _Document.rows or []
    _Document.rows += [{**(of or {}), **dict(zip(keys, map(_value_of, row), strict=True))} for row in rows]


def print_further_table(head: Sequence[str | Cell], rows: Iterable[Sequence[Any]]) -> None:
    """Print a table that is not what the command is about: with --json it goes to stderr, as text."""
    _print_as_text(head, rows)


def _print_as_text(
    head: Sequence[str | Cell],
    rows: Iterable[Sequence[Any]],
    title: str | None = None,
    widths: Sequence[int] = (),
    n_always: int | None = None,
) -> None:
    if title:
        typer.echo(title)
    if not sys.stdout.isatty():
        for row in chain([head], rows):
            typer.echo("\t".join(" / ".join(text_of(cell).splitlines()) for cell in row).rstrip())
        return
    is_colored = has_colors(sys.stdout)
    left_out: list[str] = []
    if widths:
        layout = Layout.with_widths(widths, is_colored=is_colored)
    else:
        head, rows = list(head), list(rows)
        layout = Layout.of(head, rows, is_colored=is_colored)
        while layout.is_too_wide and len(head) > (n_always or len(head)):
            left_out.insert(0, text_of(head.pop()))
            rows = [row[: len(head)] for row in rows]
            layout = Layout.of(head, rows, is_colored=is_colored)
    for line in layout.lines(head, is_head=True):
        typer.echo(line)
    for row in rows:
        for line in layout.lines(row):
            typer.echo(line)
    if left_out:
        more = counted(len(left_out), "more column needs", "more columns need")
        typer.echo(f"{more} a wider terminal: {'; '.join(left_out)}")


def as_cell(value: Any) -> Cell:
    """Return a value with its text in a table, which is kept in one piece."""
    if isinstance(value, float):
        return Cell(value, "" if value != value else f"{value:.2f}")
    return Cell(value, one_line(str(value)))


def size_cell(n_bytes: int) -> Cell:
    """Return a number of bytes as a cell, which is in megabytes in a table."""
    return Cell(n_bytes, f"{n_bytes / 1e6:,.1f} MB")


def print_runs(runs: "Sequence[Run]") -> None:
    """Print one line a run, best first within a target."""
    from featurekit.evaluation.scores import score_kind
    from featurekit.report.select import best_first

    for target in dict.fromkeys(run.target for run in runs):
        ranked = best_first([run for run in runs if run.target == target])
        kinds = [score_kind(name) for name in dict.fromkeys(name for run in ranked for name in run.scores)]
        rows = [
            [
                as_cell(run.features),
                as_cell(run.classifier_name),
                *(_score(kind, run.scores.get(kind.name)) for kind in kinds),
            ]
            for run in ranked
        ]
        made_up = " (SYNTHETIC: made-up faces)" if ranked[0].dataset.get("synthetic") else ""
        titles = [
            Cell(kind.name, ", ".join(filter(None, (kind.title, kind.unit))), is_prose=True) for kind in kinds
        ]
        print_table(
            ["features", "model", *titles],
            rows,
            title=target + made_up,
            of={"target": target, "synthetic": bool(made_up)},
            n_always=3,
        )


def _score(kind: "ScoreKind", score: Any) -> Cell:
    """Return a score as a cell; in JSON the stored numbers, in which a share is between 0 and 1."""
    if not score or score["mean"] is None:
        return Cell(None, "-")
    text = f"{kind.format(score['mean'])} ± {kind.format(score['std'])}"
    return Cell({"mean": score["mean"], "std": score["std"]}, text)


def end_with(bad: Sequence[tuple[str, str]], n_bad: int | None = None) -> None:
    """Print which images were not read and why, and exit with code 1 if there are any.

    Args:
        bad: name and message of each image, or of the first ones.
        n_bad: number of images, if `bad` has only the first ones.
    """
    n_bad = len(bad) if n_bad is None else n_bad
    for photograph, message in bad[:SHOWN]:
        named = message if photograph in message else f"{readable_name(photograph)}: {message}"
        print_message(f"error: {named}")
    if n_bad > SHOWN:
        print_message(f"error: … and {n_bad - SHOWN:,} more")
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
    print_further_table(["step", "thread-seconds", "ms per image", "share of the threads' time"], rows)
    # Images per second that the same threads would read without waiting, starting and writing.
    limit = found.threads * found.n_read / (busy - found.parts.get("write", 0.0))
    typer.echo(
        f"This is {found.n_read / found.seconds / limit:.0%} of the {limit:,.0f} images per second"
        f" that {found.threads} threads would reach if they never waited."
    )
