"""The rows that were not used, with the reasons, and the rows and faces behind the scores of each target."""

from collections.abc import Mapping, Sequence
from typing import Any

from featurekit.data.manifest import REASONS
from featurekit.evaluation.results import Run
from featurekit.faces.face import STATUS_MEANINGS
from featurekit.report.cells import ABSENT, count_cell, words
from featurekit.report.model import Block, Cell, Column, Table, Text
from featurekit.report.sections.licences import dataset_terms
from featurekit.report.select import Ranked, distinct


def blocks(ranked: Sequence[Ranked], runs: Sequence[Run]) -> list[Block]:
    """Return the status of the rows of each data set, and how many rows are left for each target."""
    found: list[Block] = []
    for dataset in distinct([run.dataset for run in runs]):
        n_rows = dataset.get("n_rows") or 0
        unused = sum((dataset.get("tally") or {}).values())
        n_found = (dataset.get("statuses") or {}).get("ok")
        name = dataset.get("name", "The data set")
        sentence = f"{name} has {n_rows:,} rows, of which {unused:,} are not used."
        if n_found is not None:
            sentence += f" A face was found in the images of {n_found:,} rows, whether these are used or not."
        terms = dataset_terms(dataset)
        sentence += f" Terms of the data set: {terms}." if terms else ""
        found.append(Text(sentence))
        found.append(dropped_table(dataset, f"{name}: status of the rows"))
        counts = counts_table(dataset, f"{name}: counts from featurekit prepare")
        found += [counts] if counts else []
    targets = {of.title: of.runs for of in ranked}
    found.append(rows_table(targets, "Rows and faces behind the scores of each target"))
    return found


def dropped_table(dataset: Mapping[str, Any], caption: str) -> Table:
    """Return the reasons why rows were not used or gave no face, with their meaning."""
    n_rows = dataset.get("n_rows") or 0
    columns = (
        Column("Step"),
        Column("Reason", is_code=True),
        Column("Meaning"),
        Column("Rows", is_number=True),
        Column("Share of all rows", "%", is_number=True),
    )
    rows = []
    for step, tally, meanings in (
        ("prepare", dataset.get("tally") or {}, REASONS),
        ("extract", dataset.get("statuses") or {}, STATUS_MEANINGS),
    ):
        # The rows without a problem come last, the others by their number.
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
        "prepare: the reason why a row is not used. extract: the status of the image of every row, whether"
        " it is used or not, so a row can be counted under both."
    )
    return Table(caption, columns, tuple(rows), note, n_names=2)


def counts_table(dataset: Mapping[str, Any], caption: str) -> Table | None:
    """Return the other counts that were made when the data set was prepared, or None if there are none."""
    counts = {
        name: count
        for name, count in (dataset.get("counts") or {}).items()
        if name not in REASONS and isinstance(count, int)
    }
    if not counts:
        return None
    columns = (Column("Count of"), Column("Number", is_number=True))
    return Table(caption, columns, tuple((Cell(words(name)), count_cell(n)) for name, n in counts.items()))


def rows_table(runs_by_target: Mapping[str, Sequence[Run]], caption: str) -> Table:
    """Return the number of rows, faces and subjects behind the scores of each target."""
    columns = (
        Column("Target"),
        Column("Labelled rows", is_number=True),
        Column("Faces scored", is_number=True),
        Column("No face found", is_number=True),
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
