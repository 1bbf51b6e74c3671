"""How the best model does at each age, and as a check of a legal age, e.g. of at least 18 years."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from featurekit.evaluation.ages import (
    CHALLENGE,
    MOST_PASSING,
    NEARLY,
    OLDEST,
    WITHIN,
    YOUNG_ADULTS,
    AgeCheck,
    AgeDensity,
    AgeStatistics,
    GroupErrors,
    Rate,
    YearError,
)
from featurekit.evaluation.scores import score_kind, signed
from featurekit.report.cells import (
    ABSENT,
    SHARE,
    count_cell,
    estimate_cell,
    gain_interval_cell,
    sentences,
)
from featurekit.report.density_plot import density_plot
from featurekit.report.displays.age_density import decades, density_frame
from featurekit.report.frames import year_errors_frame
from featurekit.report.model import Blocks, Cell, Column, Figure, Table
from featurekit.report.select import Ranked, pooled_beside_mean
from featurekit.report.svg import StyledCurve, age_plot, figure
from featurekit.text import counted
from featurekit.uncertainty.resampling import FEWEST

# Single ages in the table of one check: those around its legal age and its threshold.
_YOUNGEST, _OLDEST = 10, 30


def blocks(of: Ranked, *, has_open_figures: bool = False) -> Blocks:
    """Return the errors of the best model by age and at legal ages; nothing if the target is not age.

    Args:
        of: the runs of the target.
        has_open_figures: whether the page shows the figures before the reader clicks on them.
    """
    if of.evidence is None or of.evidence.ages is None:
        return []
    ages, years = of.evidence.ages, of.evidence.years
    density, by_age = (
        replace(drawn, is_folded=not has_open_figures) if drawn else None
        for drawn in (_density(of, ages.density), _by_age(of, years))
    )
    return [
        _errors(of, ages.errors),
        density,
        _decades(of, ages.density),
        by_age,
        _cells(of, years),
        _youth(of, ages),
        _legal_ages(of),
        _challenge(of),
    ]


def _errors(of: Ranked, errors: Sequence[GroupErrors]) -> Table:
    """Return a table of the errors on all faces and for each gender."""
    kind, share = score_kind("mae_years"), partial(Column, unit="%", others=("low", "high"), is_number=True)
    years = partial(Column, unit="years", others=("low", "high"), is_number=True)
    columns = (
        Column("Gender"),
        years("MAE", is_low_best=True),
        years("Mean error"),
        years("RMSE", is_low_best=True),
        *(share(f"Within {counted(most, 'year', 'years')}") for most in WITHIN),
        Column("Faces", is_number=True),
    )
    rows = tuple(
        (
            Cell(one.gender or "all faces"),
            estimate_cell(kind, one.error),
            gain_interval_cell(kind, one.bias.value, one.bias.low, one.bias.high)
            if one.bias
            else estimate_cell(kind, None),
            estimate_cell(kind, one.rmse),
            *(estimate_cell(SHARE, of_years) for of_years in one.within),
            count_cell(one.n_faces),
        )
        for one in errors
    )
    overall = next((one.error for one in errors if not one.gender), None)
    note = sentences(
        "Mean error: predicted minus true age. RMSE: root mean square error. Within 3 years: share of the"
        " faces with an error of at most 3 years. Small numbers are 95 % confidence intervals over subjects.",
        pooled_beside_mean(of, kind, overall.value) if overall else "",
    )
    return Table(f"{of.title}: errors of {of.best_model} on all faces", columns, rows, note)


def _density(of: Ranked, density: AgeDensity) -> Figure:
    """Return the figure of the predicted against the true ages."""
    caption = f"{of.title}: predicted against true ages of {of.best_model}"
    summary = f"{caption}. Cells are shaded by their number of faces; the dashed line is the diagonal."
    note = (
        f"Number of faces in cells of {density.cell} × {density.cell} years. On the dashed line the predicted"
        " age is the true age; above it people are predicted to be older than they are. Predictions under 0"
        f" or over {OLDEST} years are in the outermost cells."
    )
    return figure(caption, note, summary, density_plot, density, numbers=density_frame(density).round(6))


def _decades(of: Ranked, density: AgeDensity) -> Table:
    """Return a table of the number of faces by true and by predicted age, in steps of ten years."""
    counts = decades(density)
    names = [f"{10 * number}-{10 * number + 9}" for number in range(len(counts))]
    columns = (
        Column("True age"),
        *(Column(name, is_number=True, group="Predicted age: faces") for name in names),
        Column("Faces", is_number=True),
    )
    rows = tuple(
        (
            Cell(name),
            *(
                replace(count_cell(count), heat=round(10 * count / sum(row)), is_diagonal=i == j)
                for j, count in enumerate(row)
            ),
            count_cell(sum(row)),
        )
        for i, (name, row) in enumerate(zip(names, counts, strict=True))
        if sum(row)
    )
    caption = f"{of.title}: predicted against true ages of {of.best_model}, by ten years"
    note = (
        "Darker cells have a larger share of the faces of their row. In Python: results.plot.age_density()."
    )
    return Table(caption, columns, rows, note, is_folded=True)


def _youth(of: Ranked, ages: AgeStatistics) -> Table:
    """Return a table of the predicted bands of young people in each band."""
    bands = [one.band for one in ages.youth]
    share = partial(Column, unit="%", others=("low", "high"), is_number=True, group="Predicted age: share")
    columns = (
        Column("True age"),
        Column("Faces", is_number=True),
        *(share(band) for band in bands),
        *(Column(band, is_number=True, group="Predicted age: faces") for band in bands),
    )
    rows = tuple(
        (
            Cell(one.band),
            count_cell(one.n_faces),
            *(
                replace(
                    estimate_cell(SHARE, share),
                    heat=round(10 * share.value) if share else -1,
                    is_diagonal=one.band == band,
                )
                for band, share in zip(bands, one.shares, strict=True)
            ),
            *map(count_cell, one.counts),
        )
        for one in ages.youth
    )
    note = (
        "Rows are bands of the true age, columns are bands of the predicted age. The shares of a row add up"
        " to 100 %. Small numbers are their 95 % confidence intervals over subjects. Bands with fewer than"
        f" {FEWEST} subjects have no shares."
    )
    caption = f"{of.title}: bands of young people, as predicted by {of.best_model}"
    return Table(caption, columns, rows, note, is_folded=True)


def _genders(years: Sequence[YearError]) -> list[str]:
    """Return the genders of whom there are faces; [""] if they are not known or only one is."""
    found = list(dict.fromkeys(one.gender for one in years if one.gender))
    return found if len(found) > 1 else [""]


def _by_age(of: Ranked, years: Sequence[YearError]) -> Figure | None:
    """Return the figure of the errors at each age; None if fewer than two ages have enough subjects."""
    if sum(one.error is not None for one in years if not one.gender) < 2:
        return None
    genders = _genders(years)
    genders = genders if len(genders) == 2 else [""]  # more lines cannot be told apart
    styles = dict(zip(genders, ("learned", ""), strict=False))
    known = {gender: [one for one in years if one.gender == gender and one.error] for gender in genders}

    def curves(value: str) -> list[StyledCurve]:
        return [
            (styles[gender] if len(genders) > 1 else "", tuple((one.age, _value(one, value)) for one in ones))
            for gender, ones in known.items()
            if ones
        ]

    caption = f"{of.title}: errors of {of.best_model} by single year of age"
    summary = f"{caption}. Two line plots: the mean absolute error and the mean error by true age."
    lines = " and a ".join(
        f"{'dashed' if styles[gender] else 'solid'} line for {gender}" for gender in reversed(genders)
    )
    note = sentences(
        "First plot: mean absolute error at each true age. Second plot: mean error, which is the predicted"
        " minus the true age; above 0 people are predicted to be older than they are.",
        f"There is a {lines}." if len(genders) > 1 else "",
        f"Ages with fewer than {FEWEST} subjects are left out; lines connect the others.",
    )
    drawn = year_errors_frame([one for ones in known.values() for one in ones], "")
    numbers = drawn.drop(columns=["model", *(f"within_{years}" for years in WITHIN)])
    return figure(caption, note, summary, age_plot, curves("error"), curves("bias"), numbers=numbers)


def _value(one: YearError, name: str) -> float:
    assert one.error is not None
    assert one.bias is not None
    return one.error.value if name == "error" else one.bias


def _cells(of: Ranked, years: Sequence[YearError]) -> Table:
    """Return a table of the errors at single ages of young adults for each gender, with the empty cells."""
    kind, genders = score_kind("mae_years"), _genders(years)
    found = {(one.age, one.gender): one for one in years}
    columns = [Column("Age", "years", is_number=True)]
    for gender in genders:
        columns += [
            Column("MAE", "years", others=("low", "high"), group=gender, is_number=True, is_low_best=True),
            Column("Mean error", "years", group=gender, is_number=True),
            Column("Within 3 years", "%", group=gender, is_number=True),
            Column("Faces", group=gender, is_number=True),
        ]
    rows, values, empty = [], [], []
    for age in YOUNG_ADULTS:
        row = [count_cell(age)]
        for gender in genders:
            one = found.get((age, gender))
            if one is None or one.error is None or one.bias is None:
                empty.append(f"{age} {gender}".strip())
                row += [Cell(ABSENT), Cell(ABSENT), Cell(ABSENT), count_cell(one.n_faces if one else 0)]
                continue
            values.append(one.error.value)
            row += [
                estimate_cell(kind, one.error),
                Cell(signed(kind, one.bias), round(one.bias, 6)),
                Cell(SHARE.format(one.within[1] or 0.0), round(100 * (one.within[1] or 0.0), 6)),
                count_cell(one.n_faces),
            ]
        rows.append(tuple(row))
    mean = f"{kind.format(sum(values) / len(values))} years" if values else ""
    note = sentences(
        f"The mean of the MAE over the {len(values)} cells with enough subjects is {mean}." if values else "",
        f"Cells with fewer than {FEWEST} subjects have no number: {', '.join(empty)}." if empty else "",
        "Mean error: predicted minus true age. Within 3 years: share of the faces with an error of at most 3"
        " years. Small numbers are 95 % confidence intervals over subjects.",
    )
    title = f"{of.title}: errors of {of.best_model} at single ages"
    return Table(title, tuple(columns), tuple(rows), note, is_folded=True)


def _legal_ages(of: Ranked) -> Table:
    """Return a table of legal ages: errors at the legal age, and the lowest threshold that few pass."""
    assert of.evidence is not None
    plain, rate = "Threshold: legal age", partial(Column, unit="%", others=("low", "high"), is_number=True)
    nearly = f"Of those at most {NEARLY} years under it"
    columns = (
        Column("Legal age", "years", is_number=True),
        Column("Under it", "faces", is_number=True),
        Column("Of legal age", "faces", is_number=True),
        rate("False positive rate", group=plain),
        rate(nearly, group=plain),
        rate("False negative rate", group=plain),
        Column("Threshold", "years", group=_LOWEST, is_number=True),
        rate("False positive rate", group=_LOWEST),
        rate(nearly, group=_LOWEST),
        rate("False negative rate", group=_LOWEST),
    )
    rows = tuple(
        (
            count_cell(one.plain.legal_age),
            count_cell(one.plain.passing.n_faces),
            count_cell(one.plain.stopped.n_faces),
            estimate_cell(SHARE, one.plain.passing.share),
            estimate_cell(SHARE, one.plain_nearly.share),
            estimate_cell(SHARE, one.plain.stopped.share),
            count_cell(one.lowest.threshold) if one.lowest else Cell("not enough data"),
            estimate_cell(SHARE, one.lowest.passing.share) if one.lowest else Cell(""),
            estimate_cell(SHARE, one.lowest_nearly.share) if one.lowest_nearly else Cell(""),
            estimate_cell(SHARE, one.lowest.stopped.share) if one.lowest else Cell(""),
        )
        for one in of.evidence.legal_ages
    )
    note = (
        "Each row uses the predicted age for one decision: a person passes whose predicted age is the"
        " threshold or more. The false positive rate is the share of the faces of people under the legal age"
        " that pass. It depends on the ages in these data. Small children hardly ever pass, so the more of"
        f" them there are, the lower it is. Therefore it is also given for people who are at most {NEARLY}"
        " years under the legal age. The false negative rate is the share of the faces of people of the legal"
        " age or older that do not pass. The lowest threshold is the first one, in whole years from the legal"
        " age on, for which the confidence interval of the false positive rate over all ages ends at"
        f" {100 * MOST_PASSING:.0f} % or below; wrong ages in the data raise it. Small numbers are 95 %"
        " confidence intervals over subjects."
    )
    return Table(f"{of.title}: errors of {of.best_model} at legal ages", columns, rows, note)


_LOWEST = f"Lowest threshold that at most {100 * MOST_PASSING:.0f} % pass"


def _challenge(of: Ranked) -> Table:
    """Return a table of one check with a higher threshold: overall, for each label, and at each age."""
    assert of.evidence is not None
    legal_age, threshold = CHALLENGE
    columns = (
        Column("Label"),
        Column("Value"),
        Column(
            "False positive rate", "%", others=("low", "high"), group=f"Under {legal_age}", is_number=True
        ),
        Column("Faces", group=f"Under {legal_age}", is_number=True),
        Column(
            "False negative rate", "%", others=("low", "high"), group=f"{legal_age} or older", is_number=True
        ),
        Column("Faces", group=f"{legal_age} or older", is_number=True),
    )
    shown = [one for one in of.evidence.challenge if one.column != "age" or _is_near(one)]
    rows = tuple(
        (
            Cell(one.column or "all faces"),
            Cell(one.label or ABSENT),
            *_rate_cells(one.passing),
            *_rate_cells(one.stopped),
        )
        for one in shown
    )
    note = (
        f"People pass whose predicted age is {threshold} or more, so that fewer people who are slightly under"
        f" {legal_age} pass (Challenge {threshold}). Those who do not pass are asked for a document. The"
        f" false positive rate is the share of faces of people under {legal_age} that pass, and the false"
        " negative rate the share of faces of older people that do not. Single"
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
