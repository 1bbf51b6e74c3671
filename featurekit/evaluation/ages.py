"""Predicted ages as they are judged: errors by single year of age, and checks of a legal age.

A check of a legal age lets a person pass if the predicted age is the threshold or more. With the threshold at
the legal age, many people who are slightly too young pass. A higher threshold, e.g. 25 for a legal age of 18
("Challenge 25"), lets fewer of them pass, and stops more people who are old enough; they are asked for a
document. Errors by single year and gender and these two rates are what evaluations of age estimation report.
Source: Hanaoka et al. 2024, "Face analysis technology evaluation: age estimation and verification", NIST IR
8525.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurekit.errors import ModelError
from featurekit.evaluation.estimates import Estimate, mean_of_faces
from featurekit.evaluation.outcomes import Outcomes
from featurekit.evaluation.slices import in_order, labels_of_faces
from featurekit.uncertainty.resampling import (
    FEWEST,
    LEVEL,
    effective_subjects,
    exact_interval,
)

LEGAL_AGES = (13, 16, 18, 21, 25)
NEARLY = 2  # years: people of the last ages under a legal age are the hardest to tell from older ones
MOST_PASSING = 0.01  # share of the people under a legal age who may pass
CHALLENGE = (18, 25)  # a legal age and a threshold that are common in shops, "Challenge 25"
WITHIN = (1, 3, 5)  # years
YOUNG_ADULTS = range(18, 31)  # single ages at which evaluations average the errors of each gender
YOUTH = (13, 16, 18)  # first ages of the bands that the protection of young people knows, after the youngest
ADOLESCENTS = (13, 17)  # the same for the band from 13 to 16 years, which evaluations of age checks test
OLDEST = 120  # years
CELL = 2  # years: the side of a cell of AgeDensity in a report


@dataclass(frozen=True, kw_only=True)
class Rate:
    """How often a check is wrong for some faces.

    Attributes:
        n_faces, n_subjects: number of these faces, and of their subjects.
        share: share of the faces for which the check is wrong, with its confidence interval over subjects;
            None for fewer than FEWEST subjects. If every subject has one face, it is the exact interval
            of a share (Clopper and Pearson); else it is the bootstrap's, but at least as wide as the exact
            one for so many subjects, because resampled faces of whom nobody passes show no uncertainty.
    """

    n_faces: int
    n_subjects: int
    share: Estimate | None


@dataclass(frozen=True, kw_only=True)
class AgeCheck:
    """How a check of a legal age does on all faces, or on those with one label.

    Attributes:
        legal_age, threshold: in years. A person passes whose predicted age is the threshold or more.
        column, label: e.g. "gender" and "female", or "age" and "17"; both are "" for all faces.
        passing: how often people under the legal age pass.
        stopped: how often people of the legal age or older do not pass.
    """

    legal_age: int
    threshold: int
    column: str
    label: str
    passing: Rate
    stopped: Rate


@dataclass(frozen=True, kw_only=True)
class LegalAge:
    """How a model does at a legal age.

    Attributes:
        plain: the check with the legal age as its threshold, on all faces.
        plain_nearly: how often people who are at most NEARLY years under the legal age pass this check.
        lowest: the check with the lowest threshold that hardly anybody under the legal age passes; None if
            there are too few subjects to show that so few pass. See lowest_threshold().
        lowest_nearly: how often people who are at most NEARLY years under the legal age pass this check.
    """

    plain: AgeCheck
    plain_nearly: Rate
    lowest: AgeCheck | None
    lowest_nearly: Rate | None


@dataclass(frozen=True, kw_only=True)
class YearError:
    """The errors of a model on the faces of people of one age in whole years.

    Attributes:
        age: true age in whole years.
        gender: gender of the people; "" for people of any gender.
        n_faces, n_subjects: number of faces and of subjects; both may be 0.
        error: mean absolute error in years; None, as all that follow, for fewer than FEWEST subjects.
        bias: mean of predicted minus true age in years.
        rmse: root mean square error in years.
        within: share of the faces with an error of at most so many years, for each of WITHIN.
    """

    age: int
    gender: str
    n_faces: int
    n_subjects: int
    error: Estimate | None
    bias: float | None
    rmse: float | None
    within: tuple[float | None, ...]


@dataclass(frozen=True, kw_only=True)
class GroupErrors:
    """The errors of a model on all faces, or on those of people of one gender.

    Attributes:
        gender: gender of the people; "" for people of any gender.
        n_faces, n_subjects: number of faces and of subjects.
        error: mean absolute error in years; None, as all that follow, for fewer than FEWEST subjects.
        bias: mean of predicted minus true age in years.
        rmse: root mean square error in years.
        within: share of the faces with an error of at most so many years, for each of WITHIN; with intervals
            like those of Rate.share.
    """

    gender: str
    n_faces: int
    n_subjects: int
    error: Estimate | None
    bias: Estimate | None
    rmse: Estimate | None
    within: tuple[Estimate | None, ...]


@dataclass(frozen=True, kw_only=True)
class BandRates:
    """In which bands of age a model puts the faces of people in one band.

    Attributes:
        band: band of the true age, e.g. "13-15"; see names_of_bands().
        n_faces, n_subjects: number of faces and of subjects in the band; both may be 0.
        counts: number of the faces whose predicted age is in each band, the youngest band first.
        shares: the same as shares of the faces, with intervals like those of Rate.share; None for fewer than
            FEWEST subjects.
    """

    band: str
    n_faces: int
    n_subjects: int
    counts: tuple[int, ...]
    shares: tuple[Estimate | None, ...]


@dataclass(frozen=True, kw_only=True)
class AgeDensity:
    """How many faces have each pair of a true and a predicted age.

    Attributes:
        cell: side of a cell in years. The first cell begins at 0 years.
        counts: number of faces in each cell: a row for each cell of true age, a column for each cell of
            predicted age, as many columns as rows. Predictions under 0 or over OLDEST are in the outermost
            cells.
    """

    cell: int
    counts: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, kw_only=True)
class AgeStatistics:
    """What a report says of one model of age, beyond single years and legal ages.

    Attributes:
        errors: errors on all faces, then for each gender if there are several.
        youth: in which bands of YOUTH people of each band are put.
        adolescents: the same for the bands of ADOLESCENTS.
        density: number of faces by true and by predicted age.
    """

    errors: tuple[GroupErrors, ...]
    youth: tuple[BandRates, ...]
    adolescents: tuple[BandRates, ...]
    density: AgeDensity


def legal_ages_of(
    table: pd.DataFrame, seed: int, legal_ages: Sequence[int] = LEGAL_AGES
) -> tuple[LegalAge, ...]:
    """Return how a model that predicts age does at some legal ages; see age_checks() for the arguments."""
    return tuple(_legal_age(table, legal_age, seed) for legal_age in legal_ages)


def check_legal_ages(table: pd.DataFrame, legal_ages: Sequence[int]) -> None:
    """Raise ModelError for a legal age that all faces are under, or that none is under."""
    true = table["true"].to_numpy(float)
    for legal_age in legal_ages:
        for is_any, who in (
            ((true < legal_age).any(), f"under {legal_age} years"),
            ((true >= legal_age).any(), f"of {legal_age} years or older"),
        ):
            if not is_any:
                raise ModelError(
                    f"A check of the legal age {legal_age} cannot be judged, because there is no face of a"
                    f" person {who}. The {len(true):,} faces are of people from {true.min():.0f} to"
                    f" {true.max():.0f} years."
                )


def whole_years(ages: int | Sequence[int], what: str, lowest: int = 1) -> list[int]:
    """Check ages in years that a user gives, and return them as a list.

    Args:
        ages: the ages, at least one.
        what: word for one of them in the message.
        lowest: the lowest age that is allowed; the highest is OLDEST.

    Raises:
        ModelError: there is no age, or one is not a whole number from lowest to OLDEST.
    """
    given = list(ages) if isinstance(ages, Iterable) and not isinstance(ages, str) else [ages]
    wrong = [age for age in given if not isinstance(age, Integral) or not lowest <= int(age) <= OLDEST]
    if wrong or not given:
        got = f"Got {wrong[0]!r} instead." if wrong else "None is given."
        raise ModelError(f"{what} must be a whole number of years from {lowest} to {OLDEST}. {got}")
    return [int(age) for age in given]


def _legal_age(table: pd.DataFrame, legal_age: int, seed: int) -> LegalAge:
    nearly = table[(table["true"] < legal_age) & (table["true"] >= legal_age - NEARLY)]
    lowest = lowest_threshold(table, legal_age, seed)
    return LegalAge(
        plain=_check_of_all(table, legal_age, legal_age, seed),
        plain_nearly=_rates(nearly, legal_age, legal_age, seed)["passing"],
        lowest=lowest,
        lowest_nearly=_rates(nearly, legal_age, lowest.threshold, seed)["passing"] if lowest else None,
    )


def age_checks(
    outcomes: Outcomes, table: pd.DataFrame, legal_age: int, threshold: int, seed: int
) -> tuple[AgeCheck, ...]:
    """Return how a check does on all faces, then for each label, then for each age in whole years.

    Args:
        outcomes: the outcomes that the table is from; they have the labels.
        table: outcomes of a model that predicts age, as described in featurekit.evaluation.outcomes.
        legal_age: in years.
        threshold: in years; a person passes whose predicted age is the threshold or more.
        seed: seed of the random number generator.
    """
    own, columns = labels_of_faces(outcomes, table)
    years = np.floor(table["true"].to_numpy(float)).astype(int)
    members = {("", ""): np.ones(len(table), bool)}
    for name in sorted(set(columns) - {"age_group"}):
        for label in in_order(name, own[name]):
            members[name, label] = own[name].to_numpy(dtype=str) == label
    members |= {("age", str(year)): years == year for year in np.unique(years).tolist()}
    return tuple(
        AgeCheck(
            legal_age=legal_age,
            threshold=threshold,
            column=column,
            label=label,
            **_rates(table[chosen], legal_age, threshold, seed),
        )
        for (column, label), chosen in members.items()
    )


def lowest_threshold(
    table: pd.DataFrame, legal_age: int, seed: int, *, most_passing: float = MOST_PASSING
) -> AgeCheck | None:
    """Return the check with the lowest threshold that hardly anybody under the legal age passes.

    Args:
        table: outcomes of a model that predicts age, as described in featurekit.evaluation.outcomes.
        legal_age: in years; no lower threshold is tried.
        seed: seed of the random number generator.
        most_passing: what the upper end of the confidence interval of the share that passes may be.

    Returns:
        The check on all faces; None if there are too few subjects to show that so few pass, whatever the
        threshold.
    """
    under = table[table["true"] < legal_age]
    subjects = under["subject"].to_numpy()
    if len(np.unique(subjects)) < FEWEST:
        return None
    said = under["predicted"].to_numpy(float)
    highest = max(int(np.floor(said.max())) + 1, legal_age)
    for threshold in range(legal_age, highest + 1):
        # The exact interval is quickly computed, and the bootstrap's only makes it wider.
        exact = exact_interval(float((said >= threshold).mean()), effective_subjects(subjects), 1 - LEVEL)
        if exact.high <= most_passing:
            check = _check_of_all(table, legal_age, threshold, seed)
            if check.passing.share is not None and check.passing.share.high <= most_passing:
                return check
    return None


def year_errors(
    outcomes: Outcomes, table: pd.DataFrame, seed: int, *, ages: Sequence[int] | None = None
) -> tuple[YearError, ...]:
    """Return the errors at each age in whole years, for all people and for each gender.

    Args:
        outcomes: the outcomes that the table is from; they have the labels.
        table: outcomes of a model that predicts age, as described in featurekit.evaluation.outcomes.
        seed: seed of the random number generator.
        ages: the ages; None for all ages that a face has. Ages without a face are listed, too.
    """
    own, columns = labels_of_faces(outcomes, table)
    years = np.floor(table["true"].to_numpy(float)).astype(int)
    gender = own["gender"].to_numpy(dtype=str) if "gender" in columns else np.full(len(table), "")
    genders = ["", *sorted({*gender.tolist()} - {""})]
    return tuple(
        _year_error(table[(years == age) & ((gender == one) | (one == ""))], age, one, seed)
        for age in (np.unique(years).tolist() if ages is None else ages)
        for one in genders
    )


def _year_error(table: pd.DataFrame, age: int, gender: str, seed: int) -> YearError:
    subjects = table["subject"].to_numpy()
    off = (table["predicted"] - table["true"]).to_numpy(float)
    n_subjects = len(np.unique(subjects))
    is_enough = n_subjects >= FEWEST
    return YearError(
        age=age,
        gender=gender,
        n_faces=len(table),
        n_subjects=n_subjects,
        error=mean_of_faces(np.abs(off), subjects, seed) if is_enough else None,
        bias=float(off.mean()) if is_enough else None,
        rmse=float(np.sqrt((off**2).mean())) if is_enough else None,
        within=tuple(float((np.abs(off) <= years).mean()) if is_enough else None for years in WITHIN),
    )


def statistics_of(outcomes: Outcomes, table: pd.DataFrame, seed: int) -> AgeStatistics:
    """Return what a report says of a model of age; see year_errors() for the arguments."""
    return AgeStatistics(
        errors=errors_by_gender(outcomes, table, seed),
        youth=band_rates(table, YOUTH, seed),
        adolescents=band_rates(table, ADOLESCENTS, seed),
        density=density_of(table, CELL),
    )


def errors_by_gender(outcomes: Outcomes, table: pd.DataFrame, seed: int) -> tuple[GroupErrors, ...]:
    """Return the errors on all faces and, if there are several genders, on the faces of each.

    See year_errors() for the arguments.
    """
    own, columns = labels_of_faces(outcomes, table)
    gender = own["gender"].to_numpy(dtype=str) if "gender" in columns else np.full(len(table), "")
    known = sorted({*gender.tolist()} - {""})
    genders = ["", *(known if len(known) > 1 else [])]
    return tuple(_group_errors(table[(gender == one) | (one == "")], one, seed) for one in genders)


def _group_errors(table: pd.DataFrame, gender: str, seed: int) -> GroupErrors:
    subjects = table["subject"].to_numpy()
    off = (table["predicted"] - table["true"]).to_numpy(float)
    n_subjects = len(np.unique(subjects))

    def mean(values: NDArray[np.float64]) -> Estimate | None:
        return mean_of_faces(values, subjects, seed) if n_subjects >= FEWEST else None

    squares = mean(off**2)
    return GroupErrors(
        gender=gender,
        n_faces=len(table),
        n_subjects=n_subjects,
        error=mean(np.abs(off)),
        bias=mean(off),
        rmse=squares and Estimate(squares.value**0.5, squares.low**0.5, squares.high**0.5),
        within=tuple(_rate(np.abs(off) <= years, subjects, seed).share for years in WITHIN),
    )


def names_of_bands(starts: Sequence[int]) -> tuple[str, ...]:
    """Return the names of bands of age, the youngest first.

    >>> names_of_bands((13, 16, 17))
    ('under 13', '13-15', '16', '17 and older')

    Args:
        starts: first age of each band but the youngest, increasing.
    """
    between = [f"{first}" if last == first + 1 else f"{first}-{last - 1}" for first, last in pairwise(starts)]
    return (f"under {starts[0]}", *between, f"{starts[-1]} and older")


def band_rates(table: pd.DataFrame, starts: Sequence[int], seed: int) -> tuple[BandRates, ...]:
    """Return in which bands a model puts the faces of people in each band of age, the youngest first.

    Args:
        table: outcomes of a model that predicts age, as described in featurekit.evaluation.outcomes.
        starts: first age of each band but the youngest, increasing. A face is in the last band whose first
            age is not above its age, which need not be a whole number.
        seed: seed of the random number generator.
    """
    names, subjects = names_of_bands(starts), table["subject"].to_numpy()
    true, said = (
        np.searchsorted(starts, table[name].to_numpy(float), side="right") for name in ("true", "predicted")
    )
    found = []
    for number, band in enumerate(names):
        own, whose = said[true == number], subjects[true == number]
        rates = [_rate(own == other, whose, seed) for other in range(len(names))]
        found.append(
            BandRates(
                band=band,
                n_faces=len(own),
                n_subjects=rates[0].n_subjects,
                counts=tuple(int((own == other).sum()) for other in range(len(names))),
                shares=tuple(rate.share for rate in rates),
            )
        )
    return tuple(found)


def density_of(table: pd.DataFrame, cell: int) -> AgeDensity:
    """Return the number of faces by true and by predicted age.

    Args:
        table: outcomes of a model that predicts age, as described in featurekit.evaluation.outcomes.
        cell: side of a cell in years, at least 1.
    """
    true, said = (
        (np.clip(table[name].to_numpy(float), 0, OLDEST) // cell).astype(int)
        for name in ("true", "predicted")
    )
    side = max([0, *true.tolist(), *said.tolist()]) + 1
    counts = np.bincount(true * side + said, minlength=side * side).reshape(side, side)
    return AgeDensity(cell=cell, counts=tuple(map(tuple, counts.tolist())))


def _check_of_all(table: pd.DataFrame, legal_age: int, threshold: int, seed: int) -> AgeCheck:
    rates = _rates(table, legal_age, threshold, seed)
    return AgeCheck(legal_age=legal_age, threshold=threshold, column="", label="", **rates)


def _rates(table: pd.DataFrame, legal_age: int, threshold: int, seed: int) -> dict[str, Rate]:
    """Return both rates of a check on the faces of a table, by the names of the attributes of AgeCheck."""
    is_under = table["true"].to_numpy(float) < legal_age
    passes = table["predicted"].to_numpy(float) >= threshold
    subjects = table["subject"].to_numpy()
    return {
        "passing": _rate(passes[is_under], subjects[is_under], seed),
        "stopped": _rate(~passes[~is_under], subjects[~is_under], seed),
    }


def _rate(wrong: NDArray[np.bool_], subjects: NDArray[Any], seed: int) -> Rate:
    n_subjects = len(np.unique(subjects))
    share = None
    if n_subjects >= FEWEST:
        value = float(wrong.mean())
        exact = exact_interval(value, effective_subjects(subjects), 1 - LEVEL)
        share = Estimate(value, exact.low, exact.high)
        if n_subjects < len(wrong):
            drawn = mean_of_faces(wrong.astype(float), subjects, seed)
            share = Estimate(value, min(drawn.low, exact.low), max(drawn.high, exact.high))
    return Rate(n_faces=len(wrong), n_subjects=n_subjects, share=share)
