"""The unused rows with the reasons, and the number of rows and faces behind the scores of each target."""

from collections.abc import Mapping, Sequence
from typing import Any

from featurekit.data.datasets import DATASETS
from featurekit.data.manifest import REASONS
from featurekit.evaluation.results import Run
from featurekit.faces.face import STATUS_MEANINGS
from featurekit.report.cells import ABSENT, count_cell, sentences, words
from featurekit.report.model import Block, Blocks, Cell, Column, Table, Text
from featurekit.report.select import Ranked, distinct


def blocks(ranked: Sequence[Ranked], runs: Sequence[Run]) -> Blocks:
    """Return tables of the unused rows of each data set, and of the rows that were used for each target."""
    found: list[Block | None] = []
    for dataset in distinct([run.dataset for run in runs]):
        name = dataset.get("name", "The data set")
        unused = sum((dataset.get("tally") or {}).values())
        n_found = (dataset.get("statuses") or {}).get("ok")
        terms = terms_of(dataset)
        about = sentences(
            f"{name} has {dataset.get('n_rows') or 0:,} rows, of which {unused:,} are not used.",
            ""
            if n_found is None
            else f"A face was found in the images of {n_found:,} rows, including unused rows.",
            f"Terms of the data set: {terms}." if terms else "",
        )
        found += [
            Text(about),
            dropped_table(dataset, f"{name}: status of the rows"),
            counts_table(dataset, f"{name}: counts from featurekit prepare"),
        ]
    return [*found, rows_table(ranked, "Rows and faces behind the scores of each target")]


def terms_of(dataset: Mapping[str, Any]) -> str:
    """Return the terms of a run's data set as `featurekit list datasets` shows them; "" if not known.

    The terms that the run stored may have been corrected since, so they are used only for other data sets.
    """
    known = {one.name: one.licence for one in DATASETS}
    return str(known.get(str(dataset.get("name", ""))) or dataset.get("licence") or "").rstrip(".")


def dropped_table(dataset: Mapping[str, Any], caption: str) -> Table:
    """Return a table of the reasons why rows were not used or have no face, with the number of rows."""
    n_rows = dataset.get("n_rows") or 0
    columns = (
        Column("Step"),
        Column("Reason", is_code=True),
        Column("Meaning"),
        Column("Rows", is_number=True),
        Column("Share of all rows", "%", is_number=True),
    )
    # The rows without a problem come last, the others by their number.
    rows = tuple(
        (
            Cell(step),
            Cell(reason),
            Cell(meanings.get(reason, ABSENT)),
            count_cell(count),
            Cell(f"{100 * count / n_rows:.2f}", round(100 * count / n_rows, 6)) if n_rows else Cell(ABSENT),
        )
        for step, tally, meanings in (
            ("prepare", dataset.get("tally") or {}, REASONS),
            ("extract", dataset.get("statuses") or {}, STATUS_MEANINGS),
        )
        for reason, count in sorted(tally.items(), key=lambda item: (item[0] == "ok", -item[1], item[0]))
    )
    note = (
        "prepare: the reason why a row is not used. extract: the status of the image of every row,"
        " including unused rows, so a row can be counted in both steps."
    )
    return Table(caption, columns, rows, note, n_names=2, is_folded=True)


def counts_table(dataset: Mapping[str, Any], caption: str) -> Table | None:
    """Return a table of the other counts from `featurekit prepare`, or None if there are no other counts."""
    columns = (Column("Count of"), Column("Number", is_number=True))
    rows = tuple(
        (Cell(words(name)), count_cell(count))
        for name, count in (dataset.get("counts") or {}).items()
        if name not in REASONS and isinstance(count, int)
    )
    return Table(caption, columns, rows, is_folded=True) if rows else None


def rows_table(ranked: Sequence[Ranked], caption: str) -> Table:
    """Return a table of the number of rows, faces and subjects behind the scores of each target."""
    columns = (
        Column("Target"),
        Column("Labelled rows", is_number=True),
        Column("Faces scored", is_number=True),
        Column("No face found", is_number=True),
        Column("Subjects", is_number=True),
    )
    rows = tuple(
        (
            Cell(of.title),
            count_cell(labelled),
            count_cell(tested),
            count_cell(labelled - tested),
            count_cell(subjects),
        )
        for of in ranked
        for labelled, tested, subjects in sorted(
            {(run.n_labelled, run.n_tested, run.n_subjects) for run in of.runs}
        )
    )
    return Table(caption, columns, rows, is_folded=True)
