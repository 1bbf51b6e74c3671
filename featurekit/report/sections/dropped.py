"""What was dropped, and why; and what each target's scores stand for."""

from collections.abc import Mapping, Sequence
from typing import Any

from featurekit.data.manifest import REASONS
from featurekit.evaluation.results import Run
from featurekit.faces.face import STATUS_MEANINGS
from featurekit.report.cells import ABSENT, count_cell, words
from featurekit.report.model import Block, Cell, Column, Table, Text
from featurekit.report.sections.terms import dataset_terms
from featurekit.report.select import Ranked, distinct


def blocks(ranked: Sequence[Ranked], runs: Sequence[Run]) -> list[Block]:
    """Return what became of the rows of each data set, and how many are left for each target."""
    found: list[Block] = []
    for dataset in distinct([run.dataset for run in runs]):
        n_rows = dataset.get("n_rows") or 0
        unused = sum((dataset.get("tally") or {}).values())
        n_found = (dataset.get("statuses") or {}).get("ok")
        name = dataset.get("name", "The data set")
        sentence = f"{name} names {n_rows:,} rows. Of these, {unused:,} are not used."
        if n_found is not None:
            sentence += f" A face was found in the pictures of {n_found:,} rows, used or not."
        terms = dataset_terms(dataset)
        sentence += f" Terms of the data set: {terms}." if terms else ""
        found.append(Text(sentence))
        found.append(dropped_table(dataset, f"{name}: what became of the rows"))
        counts = counts_table(dataset, f"{name}: what prepare counted")
        found += [counts] if counts else []
    targets = {of.title: of.runs for of in ranked}
    found.append(rows_table(targets, "What each target's scores stand for"))
    return found


def dropped_table(dataset: Mapping[str, Any], caption: str) -> Table:
    """Return why rows were not used, or no face came out of them, and what each reason means."""
    n_rows = dataset.get("n_rows") or 0
    columns = (
        Column("Step"),
        Column("Reason", is_code=True),
        Column("What it means"),
        Column("Rows", is_number=True),
        Column("Of all rows", "%", is_number=True),
    )
    rows = []
    for step, tally, meanings in (
        ("prepare", dataset.get("tally") or {}, REASONS),
        ("extract", dataset.get("statuses") or {}, STATUS_MEANINGS),
    ):
        # What went well is said last, and the rest by weight.
        for reason, count in sorted(tally.items(), key=lambda item: (item[0] == "ok", -item[1], item[0])):
            share = 100 * count / n_rows if n_rows else None
            rows.append(
                (
                    Cell(step),
                    Cell(reason),
                    Cell(meanings.get(reason, ABSENT)),
                    count_cell(count),
                    Cell(ABSENT) if share is None else Cell(f"{share:.2f}", round(share, 6)),
                )
            )
    note = (
        "prepare: why a row is not used. extract: what became of the picture of every row, used or not;"
        " so a row may stand under both."
    )
    return Table(caption, columns, tuple(rows), note, n_names=2)


def counts_table(dataset: Mapping[str, Any], caption: str) -> Table | None:
    """Return what else was counted when the data set was prepared, or None where nothing was."""
    counts = {
        name: count
        for name, count in (dataset.get("counts") or {}).items()
        if name not in REASONS and isinstance(count, int)
    }
    if not counts:
        return None
    columns = (Column("What"), Column("Number", is_number=True))
    return Table(caption, columns, tuple((Cell(words(name)), count_cell(n)) for name, n in counts.items()))


def rows_table(runs_by_target: Mapping[str, Sequence[Run]], caption: str) -> Table:
    """Return how many rows, faces and persons each target's scores stand for."""
    columns = (
        Column("Target"),
        Column("Labelled rows", is_number=True),
        Column("Faces scored", is_number=True),
        Column("Without a face", is_number=True),
        Column("Subjects", is_number=True),
    )
    rows = []
    for target, runs in runs_by_target.items():
        numbers = sorted({(run.n_labelled, run.n_tested, run.n_subjects) for run in runs})
        rows += [
            (
                Cell(target),
                count_cell(labelled),
                count_cell(tested),
                count_cell(labelled - tested),
                count_cell(subjects),
            )
            for labelled, tested, subjects in numbers
        ]
    return Table(caption, columns, tuple(rows))
