"""The models of a report with the numbers by which it calls them."""

from collections.abc import Sequence

from featurekit.report.model import Blocks, Cell, Column, Table
from featurekit.report.select import Ranked, role


def blocks(ranked: Sequence[Ranked]) -> Blocks:
    """Return a table of all models with their numbers; nothing if there are fewer than two."""
    runs = {of.numbers[run.name]: run for of in ranked for run in of.runs if run.name in of.numbers}
    if len(runs) < 2:
        return []
    titles: dict[int, list[str]] = {}
    for of in ranked:
        for run in of.runs:
            titles.setdefault(of.numbers[run.name], []).append(of.title)
    columns = (
        Column("No."),
        Column("Model", is_code=True),
        Column("Features", is_code=True),
        Column("Targets"),
    )
    rows = tuple(
        (
            Cell(f"M{number}", number),
            Cell(run.classifier_name, tag=role(run)),
            Cell(run.features),
            Cell(", ".join(titles[number])),
        )
        for number, run in sorted(runs.items())
    )
    note = "A model has the same number in all tables and figures of this page."
    return [Table("Models and their numbers", columns, rows, note, is_folded=True, is_legend=True)]
