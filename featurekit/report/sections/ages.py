"""How the best model does as a check of a legal age, e.g. whether a person is at least 18 years old."""

from featurekit.evaluation.ages import CHALLENGE, MOST_PASSING, AgeCheck, Rate
from featurekit.report.cells import SHARE, count_cell, estimate_cell
from featurekit.report.model import Blocks, Cell, Column, Table
from featurekit.report.select import Ranked

# Single ages in the table of one check: those around its legal age and its threshold.
_YOUNGEST, _OLDEST = 10, 30


def blocks(of: Ranked) -> Blocks:
    """Return tables of the errors of the best model at legal ages; nothing if the target is not age."""
    if of.evidence is None or not of.evidence.legal_ages:
        return []
    return [_legal_ages(of), _challenge(of)]


def _legal_ages(of: Ranked) -> Table:
    """Return a table of legal ages: errors at the legal age, and the lowest threshold that few pass."""
    assert of.evidence is not None
    columns = (
        Column("Legal age", "years", is_number=True),
        Column("Under it", "faces", is_number=True),
        Column("Of legal age", "faces", is_number=True),
        Column(
            "False positive rate", "%", others=("low", "high"), group="Threshold: legal age", is_number=True
        ),
        Column(
            "False negative rate", "%", others=("low", "high"), group="Threshold: legal age", is_number=True
        ),
        Column("Threshold", "years", group=_LOWEST, is_number=True),
        Column("False positive rate", "%", others=("low", "high"), group=_LOWEST, is_number=True),
        Column("False negative rate", "%", others=("low", "high"), group=_LOWEST, is_number=True),
    )
    rows = []
    for one in of.evidence.legal_ages:
        plain, lowest = one.plain, one.lowest
        rows.append(
            (
                count_cell(plain.legal_age),
                count_cell(plain.passing.n_faces),
                count_cell(plain.stopped.n_faces),
                estimate_cell(SHARE, plain.passing.share),
                estimate_cell(SHARE, plain.stopped.share),
                count_cell(lowest.threshold) if lowest else Cell("not enough data"),
                estimate_cell(SHARE, lowest.passing.share) if lowest else Cell(""),
                estimate_cell(SHARE, lowest.stopped.share) if lowest else Cell(""),
            )
        )
    note = (
        "Each row uses the predicted age for one decision: a person passes whose predicted age is the"
        " threshold or more. The false positive rate is the share of the faces of people under the legal age"
        " that pass. The false negative rate is the share of the faces of people of the legal age or older"
        " that do not pass. The lowest threshold is the first one, in whole years from the legal age on, with"
        f" a confidence interval of the false positive rate that ends at {100 * MOST_PASSING:.0f} % or below."
        " Small numbers are 95 % confidence intervals over subjects. The rates depend on how the ages in"
        " these data are distributed."
    )
    return Table(f"{of.title}: errors of {of.best_model} at legal ages", columns, tuple(rows), note)


_LOWEST = f"Lowest threshold that at most {100 * MOST_PASSING:.0f} % pass"


def _challenge(of: Ranked) -> Table:
    """Return a table of one check with a higher threshold: overall, for each label, and at each age."""
    assert of.evidence is not None
    legal_age, threshold = CHALLENGE
    columns = (
        Column("Label"),
        Column("Value"),
        Column("Passes", "%", others=("low", "high"), group=f"Under {legal_age}", is_number=True),
        Column("Faces", group=f"Under {legal_age}", is_number=True),
        Column("Does not pass", "%", others=("low", "high"), group=f"{legal_age} or older", is_number=True),
        Column("Faces", group=f"{legal_age} or older", is_number=True),
    )
    shown = [one for one in of.evidence.challenge if one.column != "age" or _is_near(one)]
    rows = tuple(
        (
            Cell(one.column or "all faces"),
            Cell(one.label),
            *_rate_cells(one.passing),
            *_rate_cells(one.stopped),
        )
        for one in shown
    )
    note = (
        f"People pass whose predicted age is {threshold} or more, so that fewer people who are slightly under"
        f" {legal_age} pass (Challenge {threshold}). Those who do not pass are asked for a document. Single"
        f" ages are listed from {_YOUNGEST} to {_OLDEST}; small numbers are 95 % confidence intervals over"
        " subjects."
    )
    title = f"{of.title}: a check of the legal age {legal_age} with the threshold {threshold}, by"
    return Table(f"{title} {of.best_model}", columns, rows, note, n_names=2, is_folded=True)


def _rate_cells(rate: Rate) -> tuple[Cell, Cell]:
    """Return the cells of a rate and of its number of faces, which are empty if there is no face."""
    if not rate.n_faces:
        return Cell(""), Cell("")
    return estimate_cell(SHARE, rate.share), count_cell(rate.n_faces)


def _is_near(one: AgeCheck) -> bool:
    return _YOUNGEST <= int(one.label) <= _OLDEST
