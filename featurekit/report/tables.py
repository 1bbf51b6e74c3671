"""What the tables of the report say, before anybody decides what they look like.

HTML and Markdown are two renderings of the same tables, so a number can never
stand in one and not in the other. A cell keeps its number beside its text: the
text is read, the number is sorted by and copied.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from featurekit.cache.store import recipe_key
from featurekit.checks.audit import Audit
from featurekit.data.manifest import REASONS
from featurekit.evaluation.confidence import SHARES, Confidence
from featurekit.evaluation.differences import Difference
from featurekit.evaluation.estimates import Estimate
from featurekit.evaluation.evidence import TargetEvidence
from featurekit.evaluation.results import Run
from featurekit.evaluation.timing import timed_on
from featurekit.faces.find import STATUS_MEANINGS
from featurekit.text import first_few
from featurekit.uncertainty.calibration import MISSED, CalibrationError

ABSENT = "—"
# What scores are given on unless a heading says otherwise.
FOUND = "on the faces found"
# Larger matrices are no longer read by eye; their counts are in runs/*.json.
MAX_MATRIX_CLASSES = 24
N_RECALL_MODELS = 3
# How every difference between two models is tested, in words.
HOW_TESTED = (
    "the signs of whole subjects' differences are turned over at random, and the p-values hold for all pairs"
    " of models of the target together (step-down max-T)"
)
N_COMPARED = 8  # trained models that are compared with each other in a table
_LEAST_P = 0.0001  # no smaller p-value is written out


@dataclass(frozen=True)
class ScoreKind:
    """How a score is shown.

    Attributes:
        name: what featurekit.evaluation.scores calls it.
        title: what the column is called.
        unit: "%" for shares, which are kept between 0 and 1; "groups" or "years"; "" where unknown.
        meaning: what it is, in words.
        best: max, min, or None where nobody knows which end is good.
    """

    name: str
    title: str
    unit: str = ""
    meaning: str = ""
    best: Callable[[Sequence[float]], float] | None = None

    @property
    def scale(self) -> float:
        """Number that a kept score is multiplied by to be shown."""
        return 100.0 if self.unit == "%" else 1.0

    def format(self, value: float) -> str:
        """Return a number on the kept scale as it is shown, without its unit."""
        digits = {"%": 1, "groups": 2, "years": 2}.get(self.unit, 3)
        return f"{value * self.scale:.{digits}f}"

    def gain(self, value: float, other: float) -> float:
        """Return how much better value is than other, on the kept scale."""
        return other - value if self.best is min else value - other


SCORES = {
    kind.name: kind
    for kind in (
        ScoreKind("exact", "Exact", "%", "share of faces given their own class", max),
        ScoreKind("one_off", "One off", "%", "share given their own class or a neighbouring one", max),
        ScoreKind("balanced_accuracy", "Balanced", "%", "mean of the classes' recalls", max),
        ScoreKind("macro_f1", "Macro-F1", "%", "mean of the classes' F1 scores", max),
        ScoreKind("mae_groups", "MAE", "groups", "mean distance from the true group, in groups", min),
        ScoreKind("quadratic_kappa", "Kappa", "", "agreement beyond chance, far answers weighing more", max),
        ScoreKind(
            "roc_auc", "ROC-AUC", "", "how often the right class is given more than it is elsewhere", max
        ),
        ScoreKind(
            "ranked_probability", "RPS", "", "squared error of the probabilities to lie above each limit", min
        ),
        ScoreKind("log_loss", "Log loss", "", "mean surprise at the true class, in nats; 0 is best", min),
        ScoreKind("mae_years", "MAE", "years", "mean distance from the true age, in years", min),
    )
}
# The score that decides the order of a table, and those shown on all rows too.
_HEADLINES = ("exact", "mae_years")
_ON_ALL_ROWS = ("exact", "one_off")


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        title: its heading.
        unit: of its numbers.
        others: headings of the further numbers of its cells where it is copied, e.g. ("spread",).
        group: heading over neighbouring columns of one kind.
        is_number: whether it is set like numbers.
        is_code: whether it holds names and hashes.
        is_time: whether it may differ between two runs of the same work.
        copied_unit: unit of the number kept beside the text, where that is another.
    """

    title: str
    unit: str = ""
    others: tuple[str, ...] = ()
    group: str = ""
    is_number: bool = False
    is_code: bool = False
    is_time: bool = False
    copied_unit: str = ""

    @property
    def heading(self) -> str:
        """Title and unit."""
        return f"{self.title}, {self.unit}" if self.unit else self.title

    @property
    def copied_heading(self) -> str:
        """What stands over the column where it is copied: it must do without its group."""
        unit = self.copied_unit or self.unit
        heading = f"{self.title}, {unit}" if unit else self.title
        return f"{heading} ({self.group})" if self.group else heading


@dataclass(frozen=True)
class Cell:
    """One cell.

    Attributes:
        text: what is read.
        value: the number it is sorted and copied by; None for plain text and where there is none.
        spread: "± 0.8", set apart so that the means stand in line; or
        count: "1,234 faces" or "72.1–73.4" in few words, for the second line.
        others: the numbers that spread or count stands for.
        tag: one or two words on the row, e.g. "floor".
        is_strong: whether it is the best of its column.
        heat: 0 to 10, how dark it is shaded; -1 for not at all.
        is_diagonal: whether it is where a matrix would have everything.
    """

    text: str
    value: float | None = None
    spread: str = ""
    count: str = ""
    others: tuple[float, ...] = ()
    tag: str = ""
    is_strong: bool = False
    heat: int = -1
    is_diagonal: bool = False


@dataclass(frozen=True)
class Table:
    """One table.

    Attributes:
        caption: what it shows, in a line.
        columns: from left to right.
        rows: one cell a column each.
        note: how to read it.
        n_names: leading columns that name a row.
        is_folded: whether a reader has to ask for it.
        is_sortable: whether another order makes sense.
    """

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""
    n_names: int = 1
    is_folded: bool = False
    is_sortable: bool = False

    @property
    def groups(self) -> list[tuple[str, int]]:
        """Heading over neighbouring columns and their number; empty where no column has one."""
        spans = [(title, len(list(of))) for title, of in groupby(column.group for column in self.columns)]
        return spans if any(title for title, _ in spans) else []


def headline(runs: Sequence[Run]) -> ScoreKind:
    """Return the score that decides which run is best: the first known one that any run has."""
    names = dict.fromkeys(name for run in runs for name in run.scores)
    for name in (*_HEADLINES, *SCORES, *names):
        if name in names:
            return score_kind(name)
    return SCORES["mae_years" if runs and not runs[0].classes else "exact"]


def score_kind(name: str) -> ScoreKind:
    """Return how a score is shown; an unknown one is shown under its own name."""
    return SCORES.get(name) or ScoreKind(name, name)


def mean_of(run: Run, name: str) -> float | None:
    """Return a run's mean score on the faces found, or None where there is none."""
    return _finite(run.scores.get(name, {}).get("mean"))


def time_words(time: float) -> str:
    """Return milliseconds with two digits, or as whole ones.

    >>> time_words(0.853), time_words(38.2), time_words(449.0)
    ('0.85', '38', '449')
    """
    return f"{time:.2g}" if time < 10 else f"{time:,.0f}"


def timed_alike(runs: Sequence[Run]) -> list[Run]:
    """Return the trained models whose times can be compared: those of the best model's machine."""
    machine = machine_of(runs)
    return [run for run in runs if not run.is_baseline and timed_on(run) == machine]


def machine_of(runs: Sequence[Run]) -> str:
    """Return the machine that times are told of: that of the best trained model, or else of the best run."""
    ordered = best_first(runs)
    best = [run for run in ordered if not run.is_baseline] or ordered
    return timed_on(best[0]) if best else ""


def elsewhere_note(runs: Sequence[Run], machine: str) -> str:
    """Return the line on the blank times of runs that were timed elsewhere; "" where there are none."""
    n_elsewhere = sum(timed_on(run) != machine for run in runs)
    if not n_elsewhere:
        return ""
    them = "1 run that was" if n_elsewhere == 1 else f"{n_elsewhere} runs that were"
    of = f" ({machine})" if machine else ""
    return f" Blank times: {them} timed on another machine than the best model's{of}."


def best_first(runs: Sequence[Run]) -> list[Run]:
    """Return the runs of one target in order: best headline score first, those without one last."""
    kind = headline(runs)

    def order(run: Run) -> tuple[bool, float, str]:
        mean = mean_of(run, kind.name)
        return mean is None, -kind.gain(mean, 0.0) if mean is not None else 0.0, run.name

    return sorted(runs, key=order)


def role(run: Run) -> str:
    """Return what a run is in the comparison: "floor", "off-the-shelf", or "" for a trained model."""
    if not run.is_baseline:
        return ""
    return "floor" if run.classifier == "majority" else "off-the-shelf"


def scores_table(runs: Sequence[Run], caption: str, evidence: TargetEvidence | None) -> Table:
    """Return the table of one target, best run first; with intervals where there is evidence."""
    ordered, machine = best_first(runs), machine_of(runs)
    # A score that most runs lack (they were made before it was known) would be a column of gaps.
    found = [
        kind
        for kind in _score_kinds(run.scores for run in runs)
        if 2 * sum(kind.name in run.scores for run in runs) >= len(runs) or kind == headline(runs)
    ]
    everywhere = [k for k in _score_kinds(run.scores_all_rows for run in runs) if k.name in _ON_ALL_ROWS]
    n_tested = sorted({run.n_tested for run in runs})
    estimates = evidence.estimates if evidence else {}
    sure = {name for of_run in estimates.values() for name in of_run}
    columns = [Column("Features", is_code=True), Column("Classifier", is_code=True)]
    columns += [
        Column(
            kind.title,
            kind.unit,
            others=("from", "to") if group == FOUND and kind.name in sure else ("spread",),
            group=group,
            is_number=True,
        )
        for group, kinds in ((FOUND, found), ("on all rows", everywhere))
        for kind in kinds
    ]
    if len(n_tested) > 1:
        columns.append(Column("Faces", is_number=True))
    columns += [
        Column("Extract", group="seconds", is_number=True, is_time=True),
        Column("Fit", group="seconds", is_number=True, is_time=True),
        Column("Predict", "per 1,000", group="seconds", is_number=True, is_time=True),
        Column("Size", is_number=True, copied_unit="bytes"),
    ]
    rows = []
    for run in ordered:
        cells = [Cell(run.features), Cell(run.classifier_name, tag=role(run))]
        for kinds, on_all in ((found, False), (everywhere, True)):
            for kind in kinds:
                best = _best(ordered, kind, on_all)
                between = None if on_all else estimates.get(run.name, {}).get(kind.name)
                cells.append(_score_cell(run, kind, on_all, best, between))
        if len(n_tested) > 1:
            cells.append(count_cell(run.n_tested))
        seconds = run.seconds if timed_on(run) == machine else {}
        predict = _finite(seconds.get("predict"))
        per_thousand = predict / run.n_tested * 1000 if predict is not None and run.n_tested else None
        cells += [
            seconds_cell(seconds.get("extract")),
            seconds_cell(seconds.get("fit")),
            seconds_cell(per_thousand),
            size_cell(run.bytes_on_disk),
        ]
        rows.append(tuple(cells))
    note = _scores_note(found, everywhere, are_sure=bool(sure)) + elsewhere_note(runs, machine)
    return Table(caption, tuple(columns), tuple(rows), note, n_names=2, is_sortable=True)


def _score_kinds(scores: Any) -> list[ScoreKind]:
    """Return the kinds of every score that occurs: known ones in their order, then the others by name."""
    names = {name for one in scores for name in one}
    return [SCORES[name] for name in SCORES if name in names] + [
        score_kind(name) for name in sorted(names - set(SCORES))
    ]


def _score_cell(
    run: Run, kind: ScoreKind, on_all_rows: bool, best: float | None, between: Estimate | None
) -> Cell:
    score = (run.scores_all_rows if on_all_rows else run.scores).get(kind.name, {})
    mean, spread = _finite(score.get("mean")), _finite(score.get("spread"))
    if mean is None:
        return Cell(ABSENT)
    cell = Cell(
        kind.format(mean), round(mean * kind.scale, 6), is_strong=not run.is_baseline and mean == best
    )
    if between is not None:
        return replace(cell, **in_range(kind, between))
    if spread is None:
        return cell
    return replace(cell, spread=f"± {kind.format(spread)}", others=(round(spread * kind.scale, 6),))


def in_range(kind: ScoreKind, between: Estimate) -> dict[str, Any]:
    """Return what a cell says of between which values its number lies."""
    ends = (between.low, between.high)
    return {
        "count": "–".join(kind.format(end) for end in ends),
        "others": tuple(round(end * kind.scale, 6) for end in ends),
    }


def _best(runs: Sequence[Run], kind: ScoreKind, on_all_rows: bool) -> float | None:
    """Return the best mean among the trained models."""
    scores = [(run.scores_all_rows if on_all_rows else run.scores) for run in runs if not run.is_baseline]
    means = [_finite(one.get(kind.name, {}).get("mean")) for one in scores]
    known = [mean for mean in means if mean is not None]
    return kind.best(known) if kind.best and known else None


def _scores_note(found: Sequence[ScoreKind], everywhere: Sequence[ScoreKind], *, are_sure: bool) -> str:
    words = [f"{kind.title}: {kind.meaning}." for kind in found if kind.meaning]
    if are_sure:
        words.append(
            "Small numbers below: the 95 % interval, from drawing subjects anew with all their faces; what"
            " stands above is the mean over the folds."
        )
    words.append("± is the standard deviation over the folds. The best of the trained models is set in bold.")
    if everywhere:
        words.append("On all rows, a labelled row in which no face was found counts as read wrongly.")
    words.append(
        "Extract: seconds for all pictures, shared by every model that reads the same features."
        " Fit: all folds together, with the search of a tuned run. Predict: for 1,000 faces, from their"
        " vectors. Size: the classifier as saved."
    )
    return " ".join(words)


def confusion_table(run: Run, caption: str) -> Table:
    """Return who was read as whom: a row for each true class, in percent of its faces, with counts."""
    columns = [Column("True class")]
    columns += [Column(label, copied_unit="%", others=("faces",), is_number=True) for label in run.classes]
    columns.append(Column("Faces", is_number=True))
    rows = []
    for i, label in enumerate(run.classes):
        counts = run.confusion[i]
        total = sum(counts)
        cells = [Cell(label)]
        for j, count in enumerate(counts):
            share = count / total if total else None
            cells.append(
                Cell(
                    ABSENT if share is None else f"{100 * share:.0f}",
                    None if share is None else round(100 * share, 6),
                    count=f"{count:,}",
                    others=(count,),
                    heat=-1 if share is None else round(10 * share),
                    is_diagonal=i == j,
                )
            )
        rows.append((*cells, count_cell(total)))
    note = (
        "Rows are the true classes, columns what they were read as. Large numbers are percent of the row;"
        " small ones are faces. Right answers are framed. Counts are summed over the folds."
    )
    return Table(caption, tuple(columns), tuple(rows), note)


def _compared(runs: Sequence[Run], evidence: TargetEvidence) -> tuple[list[Run], bool]:
    """Return the runs that are compared, best first, and whether that is all of them.

    Of more than N_COMPARED they are the best trained ones, and the baselines with them.
    """
    ordered = [run for run in best_first(runs) if run.name in evidence.estimates]
    trained = [run for run in ordered if not run.is_baseline]
    kept = {run.name for run in [*trained[:N_COMPARED], *(run for run in ordered if run.is_baseline)]}
    shown = [run for run in ordered if run.name in kept]
    return shown, len(shown) == len(ordered)


def differences_table(runs: Sequence[Run], caption: str, evidence: TargetEvidence) -> Table | None:
    """Return by how much each of the best models is better than each other one, and whether that is shown."""
    kind = score_kind(evidence.score)
    shown, are_all = _compared(runs, evidence)
    if len(shown) < 2:
        return None
    unit = "points" if kind.unit == "%" else kind.unit
    columns = [Column("No.", is_number=True), Column("Better by"), *_against(shown, unit)]
    rows = []
    for number, run in enumerate(shown, start=1):
        cells = [count_cell(number), Cell(model_name(run), tag=role(run))]
        for other in shown:
            found = evidence.between(run.name, other.name)
            cells.append(Cell("·") if found is None else _difference_cell(kind, found))
        rows.append(tuple(cells))
    note = (
        f"How much better the model of the row is than the model of the column, in {unit}, and the p-value of"
        f" the difference: {HOW_TESTED}. Bold: there is evidence of a difference (p ≤ 0.05). Otherwise there"
        " is no evidence of one, which does not mean that the two are equal."
    )
    if not are_all:
        note += f" Shown are the best {N_COMPARED} trained models; every pair stands in evidence.json."
    return Table(caption, tuple(columns), tuple(rows), note, n_names=2)


def opinions_table(runs: Sequence[Run], caption: str, evidence: TargetEvidence) -> Table | None:
    """Return what each test says of the best model against each other one."""
    kind = score_kind(evidence.score)
    shown, _ = _compared(runs, evidence)
    best = next((run for run in shown if not run.is_baseline), None)
    pairs = [(run, evidence.between(best.name, run.name)) for run in shown] if best else []
    found = [(run, pair) for run, pair in pairs if pair is not None]
    if best is None or not found:
        return None
    unit = "points" if kind.unit == "%" else kind.unit
    columns = [
        Column("Against"),
        Column("Better by", unit, others=("low", "high"), is_number=True),
        Column("Subjects", others=("for this pair alone",), is_number=True),
        Column("Folds", is_number=True),
    ]
    of_photographs = [pair for _, pair in found if pair.by_photographs is not None]
    if of_photographs:
        columns.append(Column("Photographs", others=("only the best", "only the other"), is_number=True))
    rows = []
    for run, pair in found:
        ends = tuple(round(end * kind.scale, 6) for end in (pair.low, pair.high))
        cells = [
            Cell(model_name(run), tag=role(run)),
            Cell(
                signed(kind, pair.gain),
                round(pair.gain * kind.scale, 6),
                count=f"{signed(kind, pair.low)} to {signed(kind, pair.high)}",
                others=ends,
            ),
            Cell(
                p_value(pair.adjusted, pair.limit),
                pair.adjusted,
                others=(pair.p_value,),
                is_strong=pair.is_shown,
            ),
            Cell("—") if pair.by_folds is None else Cell(p_value(pair.by_folds), pair.by_folds),
        ]
        if of_photographs:
            if pair.by_photographs is None or pair.only_first is None or pair.only_second is None:
                cells.append(Cell("—"))
            else:
                cells.append(
                    Cell(
                        p_value(pair.by_photographs),
                        pair.by_photographs,
                        count=f"{pair.only_first:,} against {pair.only_second:,}",
                        others=(float(pair.only_first), float(pair.only_second)),
                    )
                )
        rows.append(tuple(cells))
    note = (
        f"How much better {model_name(best)} is, with the 95 % interval over subjects, and p-values of"
        f" {'three' if of_photographs else 'two'} tests. Subjects: the test that this page goes by,"
        f" {HOW_TESTED}. Folds: the t-test corrected for folds that share training faces (Nadeau and Bengio),"
        " for the pair alone; with few folds it sees large differences only."
    )
    if of_photographs:
        note += (
            " Photographs: McNemar's test on those that one of the two alone reads rightly, for the pair"
            " alone."
        )
        if evidence.n_subjects < evidence.n_faces:
            note += (
                f" Do not go by it: it takes the {evidence.n_faces:,} photographs of"
                f" {evidence.n_subjects:,} persons for independent, which makes its p-values too small."
            )
    return Table(caption, tuple(columns), tuple(rows), note, is_folded=True)


def ranks_table(runs: Sequence[Run], caption: str, evidence: TargetEvidence) -> Table | None:
    """Return the mean ranks over the folds, the best first, or None of fewer folds than tell them apart."""
    if evidence.ranks is None:
        return None
    names = {run.name: run for run in runs}
    columns = (
        Column("Model"),
        Column("Mean rank", is_number=True),
        Column("Behind the best", is_number=True),
    )
    first, between = evidence.ranks.mean[0], evidence.ranks.critical_difference
    rows = []
    for name, mean in zip(evidence.ranked, evidence.ranks.mean, strict=True):
        if name in names:
            behind = mean - first
            is_shown = behind > between
            cells = (
                Cell(model_name(names[name]), tag=role(names[name])),
                Cell(f"{mean:.2f}", round(mean, 6)),
                Cell(f"{behind:.2f}", round(behind, 6), is_strong=is_shown),
            )
            rows.append(cells)
    note = (
        f"Rank 1 is the best of a fold. Mean ranks that differ by less than {between:.2f} are no evidence of"
        " a difference (Nemenyi); bold ones differ from the best by more. Friedman's test that all are"
        f" equal: {p_value(evidence.ranks.p_value)}. Folds share training faces: a second opinion, no more."
    )
    return Table(caption, columns, tuple(rows), note, is_folded=True)


def signed(kind: ScoreKind, gain: float) -> str:
    """Return a difference with its sign, e.g. "+1.2" or "−0.3"; without one where it is shown as 0."""
    digits = kind.format(abs(gain))
    return ("" if not float(digits) else "+" if gain > 0 else "−") + digits


def _against(shown: Sequence[Run], unit: str) -> list[Column]:
    return [
        Column(f"than {number}", copied_unit=unit, others=("p",), is_number=True)
        for number in range(1, len(shown) + 1)
    ]


def _difference_cell(kind: ScoreKind, found: Difference) -> Cell:
    return Cell(
        signed(kind, found.gain),
        round(found.gain * kind.scale, 6),
        count=p_value(found.adjusted, found.limit),
        others=(found.adjusted,),
        is_strong=found.is_shown,
    )


def p_value(p: float, limit: float = 0.0) -> str:
    """Return a p-value in words; of one at the limit of its test, it is only said that it is below it.

    >>> p_value(0.0003), p_value(0.0312), p_value(0.42), p_value(1.0)
    ('p 0.0003', 'p 0.031', 'p 0.42', 'p 1.00')
    >>> p_value(1 / 20_001, limit=1 / 20_001), p_value(1 / 201, limit=1 / 201), p_value(1e-9)
    ('p < 0.0001', 'p < 0.005', 'p < 0.0001')
    """
    if p <= limit or p < _LEAST_P:
        return f"p < {_up(max(limit if p <= limit else 0.0, _LEAST_P))}"
    return f"p {p:.4f}" if p < 0.00095 else f"p {p:.3f}" if p < 0.0995 else f"p {p:.2f}"


def _up(limit: float) -> str:
    """Return a number below 1 with one digit that says something, never rounded down."""
    digits = -math.floor(math.log10(limit) + 1e-9)
    return f"{math.ceil(limit * 10**digits - 1e-6) / 10**digits:.{digits}f}"


def limits_table(evidence: TargetEvidence, caption: str) -> Table | None:
    """Return how the best model decides limits of age, or None where years are not what is read."""
    if not evidence.limits:
        return None
    share = ScoreKind("share", "", "%")
    columns = (
        Column("Limit", "years", is_number=True),
        Column("Called older though younger", "%", others=("from", "to"), is_number=True),
        Column("Younger", "faces", is_number=True),
        Column("Called younger though older", "%", others=("from", "to"), is_number=True),
        Column("Older", "faces", is_number=True),
    )

    def cell(estimate: Estimate | None) -> Cell:
        if estimate is None:
            return Cell("not enough data")
        value = round(estimate.value * share.scale, 6)
        return Cell(share.format(estimate.value), value, **in_range(share, estimate))

    rows = tuple(
        (
            count_cell(one.limit),
            cell(one.called_older),
            count_cell(one.n_younger),
            cell(one.called_younger),
            count_cell(one.n_older),
        )
        for one in evidence.limits
    )
    note = (
        "As if whoever is read as the limit or older were let through. Small numbers: the 95 % interval over"
        " subjects. The shares are those of the ages in these data; other ages give other shares."
    )
    return Table(caption, columns, rows, note)


_GRAVEST_FIRST = ("error", "warning", "note", "ok")


def audit_table(audit: Audit, caption: str) -> Table:
    """Return what was found wrong with the data and the folds, the gravest first."""
    columns = (Column("Severity"), Column("Found"), Column("What to do"))
    ordered = sorted(audit.findings, key=lambda one: _GRAVEST_FIRST.index(one.severity))
    rows = tuple((Cell(one.severity), Cell(one.what), Cell(one.advice or ABSENT)) for one in ordered)
    note = "Which faces are meant stands in audit_rows.csv, which names them and is kept out of this page."
    return Table(caption, columns, rows, note)


def confidence_table(confidence: Confidence, caption: str) -> Table:
    """Return whether the best model knows when it is wrong."""
    columns = (Column("What"), Column("Value", others=("from", "to"), is_number=True))
    share = ScoreKind("share", "", "%")

    def off(error: CalibrationError) -> Cell:
        return Cell(
            f"{100 * error.value:.1f} points",
            round(100 * error.value, 6),
            count=f"{100 * error.low:.1f}–{100 * error.high:.1f}",
            others=(round(100 * error.low, 6), round(100 * error.high, 6)),
        )

    rows = [
        (Cell("Confidence is off by, as it comes"), off(confidence.before)),
        (Cell("Confidence is off by, at a temperature from other folds"), off(confidence.after)),
        (Cell("That temperature, mean"), Cell(f"{confidence.temperature:.2f}", confidence.temperature)),
    ]
    for part in (1.0, 0.9, 0.8, 0.5):
        risk = confidence.risks[SHARES.index(part)]
        rows.append(
            (
                Cell(f"Wrong among the surest {100 * part:.0f} % of faces"),
                Cell(f"{share.format(risk)} %", round(risk * share.scale, 6)),
            )
        )
    note = (
        "Confidence is the probability of the answer. It is off by the mean distance between what it says and"
        " how often it is right (expected calibration error, corrected for what chance adds; small numbers:"
        " 95 % interval over subjects). A temperature above 1 says that the model is too sure, below 1 that"
        " it is not sure enough; it changes no answer."
    )
    return Table(caption, columns, tuple(rows), note)


def coverage_table(evidence: TargetEvidence, caption: str) -> Table | None:
    """Return how often answers that leave room hold the truth, and how much room they need."""
    if not evidence.coverage:
        return None
    is_years, broken = evidence.score == "mae_years", evidence.broken
    share = ScoreKind("share", "", "%")
    columns = (
        Column("Faces with"),
        Column("Hold the truth", "%", others=("from", "to"), is_number=True),
        Column("Width" if is_years else "Size", "years" if is_years else "classes", is_number=True),
        Column("Faces", is_number=True),
    )
    rows = []
    for column, one in evidence.coverage:
        label = {"": one.label, "age_band": f"age {one.label}"}.get(column, f"{words(column)} {one.label}")
        held, size = Cell("not enough data"), Cell(ABSENT)
        if one.value is not None and one.between is not None and one.size is not None:
            estimate = Estimate(one.value, one.between.low, one.between.high)
            held = Cell(
                share.format(one.value),
                round(one.value * share.scale, 6),
                **in_range(share, estimate),
                is_strong=(column, one) in broken,
            )
            size = Cell(f"{one.size:.1f}" if is_years else f"{one.size:.2f}", round(one.size, 6))
        rows.append((Cell(label), held, size, count_cell(one.n_faces)))
    what = (
        "Instead of one number a model may answer with a range of completed years: the ages whose people get"
        " such a reading, so that the promise is kept for people of every age"
        if is_years
        else "Instead of one class a model may answer with a set of classes, so that the promise is kept for"
        " every class"
    )
    note = (
        f"{what}: as found on the other folds, at most {100 * MISSED:.0f} % of answers should lack the truth"
        " (conformal prediction). Small numbers: 95 % interval; subjects count alike. Bold: a broken promise,"
        " where fewer hold the truth than promised by more than chance (p ≤ 0.05, adjusted over all rows)."
    )
    return Table(caption, columns, tuple(rows), note)


def recall_table(runs: Sequence[Run], caption: str) -> Table | None:
    """Return the share of each class found again, by the best trained models and the off-the-shelf one."""
    ordered = [run for run in best_first(runs) if len(run.recall) == len(run.classes) > 0]
    shown = [run for run in ordered if not role(run)][:N_RECALL_MODELS]
    shown += [run for run in ordered if role(run) == "off-the-shelf"]
    if not shown:
        return None
    columns = [Column("Class"), Column("Faces", is_number=True)]
    columns += [Column(model_name(run), "%", is_number=True) for run in shown]
    rows = []
    for i, label in enumerate(shown[0].classes):
        recalls = [_finite(run.recall[i]) for run in shown]
        confusion = shown[0].confusion
        cells = [Cell(label), count_cell(sum(confusion[i])) if confusion else Cell(ABSENT)]
        for recall in recalls:
            if recall is None:
                cells.append(Cell(ABSENT))
            else:
                heat = round(10 * recall)
                cells.append(Cell(f"{100 * recall:.1f}", round(100 * recall, 6), heat=heat))
        rows.append(tuple(cells))
    note = "The share of each class's faces that were read as that class; of few faces it is less certain."
    return Table(caption, tuple(columns), tuple(rows), note, is_sortable=True)


def model_name(run: Run) -> str:
    """Return what a run is called where there is room for one name only."""
    return f"{run.classifier_name} · {run.features}"


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


def facts_table(facts: Sequence[tuple[str, Mapping[str, Any]]], caption: str, **layout: Any) -> Table:
    """Return what is the same everywhere in one line each, and what is not with whose it is.

    Args:
        facts: (whose they are, name → value) for each run or recipe; values may be nested.
        caption: of the table.
        layout: further fields of the Table.
    """
    flat = [(owner, flatten(values)) for owner, values in facts]
    rows = []
    for name in dict.fromkeys(name for _, values in flat for name in values):
        owners: dict[str, list[str]] = {}
        for owner, values in flat:
            if name in values:  # what one network is asked says nothing of runs without it
                owners.setdefault(values[name], []).append(owner)
        if len(owners) == 1:
            text = next(iter(owners))
        else:
            text = "; ".join(f"{value} ({first_few(names)})" for value, names in owners.items())
        rows.append((Cell(name.replace(".", " · ")), Cell(text)))
    return Table(caption, (Column("What"), Column("Value", is_code=True)), tuple(rows), **layout)


def recipes_table(recipes: Sequence[Mapping[str, Any]], caption: str) -> Table:
    """Return one row a recipe with its key; what it says of finding the face has a table of its own."""
    entries = [flatten({k: v for k, v in recipe.items() if k not in ("faces", "key")}) for recipe in recipes]
    names = list(dict.fromkeys(name for entry in entries for name in entry))
    columns = [Column(words(name).capitalize(), is_code=True) for name in names]
    rows = []
    for recipe, entry in zip(recipes, entries, strict=True):
        cells = [Cell(_short_hash(entry.get(name, ABSENT))) for name in names]
        key = recipe.get("key") or recipe_key(recipe)
        rows.append((*cells, Cell(str(key))))
    note = "The key is the hash of everything that decides the vectors; two recipes never share one."
    return Table(caption, (*columns, Column("Key", is_code=True)), tuple(rows), note)


def _short_hash(text: str) -> str:
    """Return the first digits of a sha256, whose rest stands in the table of weights; other text as it is."""
    return text[:12] if len(text) == 64 and not set(text) - set("0123456789abcdef") else text


def weights_table(weights: Sequence[Mapping[str, Any]], caption: str) -> Table:
    """Return every weight file with its hash and what may be done with it."""
    entries = [flatten(entry) for entry in weights]
    # What a person reads comes before what a machine reads.
    known = ("name", "licence_code", "licence_weights", "licence_training_data")
    found = dict.fromkeys(name for entry in entries for name in entry)
    names = [name for name in known if name in found]
    names += [name for name in found if name not in (*known, "sha256")] + ["sha256"]
    titles = {
        "name": "Weights",
        "sha256": "SHA-256",
        "licence_code": "Licence of the code",
        "licence_weights": "Licence of the weights",
        "licence_training_data": "Terms of the training data",
    }
    columns = [Column(titles.get(n, words(n).capitalize()), is_code=n not in known[1:]) for n in names]
    rows = [tuple(Cell(entry.get(name, ABSENT)) for name in names) for entry in entries]
    return Table(caption, tuple(columns), tuple(rows))


def fits_table(runs: Sequence[Run], caption: str) -> Table:
    """Return with which parameters each run was fitted and what was decided aloud."""
    columns = (
        Column("Target"),
        Column("Features", is_code=True),
        Column("Classifier", is_code=True),
        Column("Vector", "numbers", is_number=True),
        Column("Parameters", is_code=True),
        Column("Notes"),
        Column("Created", is_time=True),
    )
    rows = tuple(
        (
            Cell(run.target),
            Cell(run.features),
            Cell(run.classifier_name, tag=role(run)),
            count_cell(run.dim),
            Cell(", ".join(f"{name}={value}" for name, value in flatten(run.parameters).items()) or ABSENT),
            Cell(" ".join(run.notes) or ABSENT),
            Cell(run.created),
        )
        for run in runs
    )
    return Table(caption, columns, rows, n_names=3, is_folded=True, is_sortable=True)


def searches_table(runs: Sequence[Run], caption: str) -> Table | None:
    """Return which parameters each fold of the tuned runs chose, or None where nothing was tuned."""
    columns = (
        Column("Target"),
        Column("Features", is_code=True),
        Column("Classifier", is_code=True),
        Column("Fold", is_number=True),
        Column("Chosen", is_code=True),
        Column("Of", "candidates", is_number=True),
        Column("Score on the inner folds", is_number=True),
    )
    rows = []
    for run in runs:
        for number, found in enumerate(run.search):
            chosen = ", ".join(f"{name}={value}" for name, value in flatten(found["parameters"]).items())
            rows.append(
                (
                    Cell(run.target),
                    Cell(run.features),
                    Cell(run.classifier_name),
                    count_cell(number),
                    Cell(chosen or "the defaults"),
                    count_cell(found["candidates"]),
                    _inner_score_cell(_finite(found["score"]), is_years=not run.classes),
                )
            )
    note = (
        "Each fold searches anew, on folds inside its training part that share no person. The score is the"
        " share of right answers there, for years the mean absolute error; it decides the choice and is no"
        " result: the results are those of the tables above."
    )
    return Table(caption, columns, tuple(rows), note, n_names=3, is_folded=True) if rows else None


def trainings_table(runs: Sequence[Run], caption: str, machine: str) -> Table:
    """Return what training each network took; runs are those of one target, times those of one machine."""
    columns = (
        Column("Features", is_code=True),
        Column("Classifier", is_code=True),
        Column("Epochs"),
        Column("Kept"),
        Column("Learned from", "faces", is_number=True),
        Column("Held out", "faces", is_number=True),
        Column("Rate", "faces/s", is_number=True, is_time=True),
        Column("All folds", "min", is_number=True, is_time=True),
        Column("Ran on"),
    )
    rows = []
    for run in runs:
        of = run.training
        rates = [line["rate"] for one in of for line in one["history"] if line.get("stage") == "all"]
        rates = rates or [line["rate"] for one in of for line in one["history"]]
        minutes = sum(one["seconds"] for one in of) / 60
        got = dict.fromkeys(f"{one['engine']}, {one['device']}, {one['precision']}" for one in of)
        rate = sorted(rates)[len(rates) // 2] if rates else None
        is_here = timed_on(run) == machine
        rows.append(
            (
                Cell(run.features),
                Cell(run.classifier_name),
                Cell(_listed_numbers([one["epochs"] for one in of])),
                Cell(_listed_numbers([one["best_epoch"] for one in of])),
                count_cell(round(sum(one["faces"] for one in of) / len(of))),
                count_cell(round(sum(one["held_out_faces"] for one in of) / len(of))),
                Cell(f"{rate:,.0f}", rate) if rate is not None and is_here else Cell(ABSENT),
                Cell(f"{minutes:,.1f}", round(minutes, 6)) if is_here else Cell(ABSENT),
                Cell("; ".join(got)),
            )
        )
    note = (
        "Faces are means over the folds, the rate is the median of the epochs in which the whole network"
        " learned."
    )
    together = sorted({name for run in runs for name in learned_together(run)})
    if together:
        note += (
            f" Networks that learn {', '.join(together)} together are trained once for all of them: their"
            " minutes are those of that one training."
        )
    note += elsewhere_note(runs, machine)
    return Table(caption, columns, tuple(rows), note, n_names=2)


# What the history of a training says of an epoch, beside a score of each target.
_OF_EPOCH = {"loss", "rate", "learning_rate", "stage"}


def learned_together(run: Run) -> tuple[str, ...]:
    """Return the targets that a network learned at once, by its history; none where it learned one."""
    names = {name for one in run.training for line in one["history"] for name in line}
    targets = {name for name in names - _OF_EPOCH if not name.startswith("held_out_")}
    return tuple(sorted(targets)) if len(targets) > 1 else ()


def _listed_numbers(numbers: Sequence[int]) -> str:
    """Return the numbers of the folds in words: one where all are equal."""
    return str(numbers[0]) if len(set(numbers)) == 1 else ", ".join(map(str, numbers))


def _inner_score_cell(score: float | None, *, is_years: bool) -> Cell:
    if score is None:
        return Cell(ABSENT)
    kind = SCORES["mae_years" if is_years else "exact"]
    return Cell(f"{kind.format(abs(score))} {kind.unit}", round(abs(score) * kind.scale, 6))


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Return nested values as texts under dotted names.

    >>> flatten({"asked": {"device": "auto"}, "cores": 2, "mean": [0.5, 1], "weights": None})
    {'asked.device': 'auto', 'cores': '2', 'mean': '0.5, 1', 'weights': '—'}
    """
    flat: dict[str, str] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat.update(flatten(value, f"{prefix}{name}."))
        else:
            flat[f"{prefix}{name}"] = _text(value)
    return flat


def _text(value: Any) -> str:
    if value is None or value == "":
        return ABSENT
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        nested = any(isinstance(one, list | tuple) for one in value)
        return ("; " if nested else ", ").join(_text(one) for one in value) or ABSENT
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def words(name: str) -> str:
    """Return a name of the code as words.

    >>> words("asked.batch_size")
    'asked · batch size'
    """
    return name.replace(".", " · ").replace("_", " ")


def count_cell(count: int) -> Cell:
    """Return a whole number with its thousands set apart."""
    return Cell(f"{count:,}", count)


def seconds_cell(value: Any) -> Cell:
    """Return seconds with as many digits as say something."""
    seconds = _finite(value)
    if seconds is None:
        return Cell(ABSENT)
    digits = 2 if seconds < 9.995 else 1 if seconds < 99.95 else 0
    return Cell(f"{seconds:,.{digits}f}", round(seconds, 6))


def size_cell(n_bytes: int | None) -> Cell:
    """Return a number of bytes in the unit that suits it."""
    return Cell(_size(n_bytes), n_bytes) if n_bytes else Cell(ABSENT)


def _size(n_bytes: int) -> str:
    """Return a size as it is read.

    >>> _size(512), _size(3_400), _size(12_340_000), _size(2_000_000_000)
    ('512 B', '3.4 kB', '12.3 MB', '2.0 GB')
    """
    for limit, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if n_bytes >= limit:
            return f"{n_bytes / limit:.1f} {unit}"
    return f"{n_bytes} B"


def _finite(value: Any) -> float | None:
    """Return a number, or None for what is none: absent, null, NaN and infinite scores alike."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None
