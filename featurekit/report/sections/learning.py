"""The scores of models with parts of the training faces: would more faces help?"""

from collections.abc import Mapping

import pandas as pd

from featurekit.evaluation.data_curve import DataCurve
from featurekit.evaluation.scores import score_word
from featurekit.report.cells import ABSENT, count_cell, gain_interval_cell, interval_cell
from featurekit.report.displays.data_curve import DataCurveDisplay
from featurekit.report.model import Blocks, Cell, Column, Figure, Table, Text
from featurekit.report.select import Ranked
from featurekit.report.svg import SizedCurve, data_curves, figure
from featurekit.text import readable_name

_MAX_CURVES = 4  # models whose curves are drawn; the table has all


def blocks(of: Ranked, curves: Mapping[str, DataCurve]) -> Blocks:
    """Return the answer for the best model with a curve, a figure and a table; nothing without curves."""
    shown = [(run, DataCurveDisplay.of(run, curves[run.name])) for run in of.runs if run.name in curves]
    if not shown:
        return []
    names = {run.name: of.named(run) for run, _ in shown}
    displays = [display for _, display in shown]
    kind = displays[0].kind
    caption = f"{of.title}: {score_word(kind)} by the number of training faces"
    return [
        Text(displays[0].answer(of.in_words(shown[0][0]))),
        _figure(displays[:_MAX_CURVES], names, caption),
        curves_table(displays, names, caption),
    ]


def _figure(displays: list[DataCurveDisplay], names: Mapping[str, str], caption: str) -> Figure:
    panels = [
        SizedCurve(
            kind=one.kind,
            model=names[one.run],
            points=tuple(
                (point.n_faces, *(one.kind.scale * value for value in (point.value, point.low, point.high)))
                for point in one.points
            ),
        )
        for one in displays
    ]
    note = (
        f"Each model is fitted on parts of the training subjects of each fold ({_parts(displays)}), as far as"
        " these are enough, and on all of them, and is scored on the same test faces. Bars: 95 % confidence"
        " intervals over the tested subjects. Each part contains the part before, and is drawn once."
    )
    summary = f"{caption}. {len(panels)} line plots; the table below has the numbers."
    frames = [one.frame().assign(model=readable_name(names[one.run])) for one in displays]
    numbers = pd.concat(frames).set_index("model").reset_index()
    return figure(caption, note, summary, data_curves, panels, numbers=numbers, is_folded=True)


def _parts(displays: list[DataCurveDisplay]) -> str:
    """Return the parts that a curve has a point for, the smallest first, e.g. "1/4, 1/2"."""
    parts = {point.one_in: point.part for one in displays for point in one.points if point.one_in > 1}
    return ", ".join(parts[one_in] for one_in in sorted(parts, reverse=True))


def curves_table(displays: list[DataCurveDisplay], names: Mapping[str, str], caption: str) -> Table:
    """Return a table with a row for each part of the training subjects of each model."""
    kind = displays[0].kind
    columns = (
        Column("Model"),
        Column("Share of the training subjects"),
        Column("Training", "faces", is_number=True),
        Column("Training", "subjects", is_number=True),
        Column(kind.title, kind.unit, others=("low", "high"), is_number=True),
        Column("Gain", kind.unit_of_difference, others=("low", "high"), is_number=True),
    )
    rows = tuple(
        (
            Cell(names[one.run]),
            Cell(point.part),
            count_cell(round(point.n_faces)),
            count_cell(round(point.n_subjects)),
            interval_cell(kind, point.value, point.low, point.high),
            gain_interval_cell(kind, point.gain.value, point.gain.low, point.gain.high)
            if point.gain
            else Cell(ABSENT),
        )
        for one in displays
        for point in one.points
    )
    note = (
        "Faces and subjects are means over the folds. The gain is the difference from the row above, on the"
        " same faces; positive is better. Second lines: 95 % confidence intervals over the tested subjects."
    )
    return Table(caption, columns, rows, note, n_names=2, is_folded=True)
