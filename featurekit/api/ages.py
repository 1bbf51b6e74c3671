"""Predicted ages as they are judged, such as `results.ages.checks(18, 25)`."""

from collections.abc import Sequence
from dataclasses import asdict

import pandas as pd

from featurekit.api._of_results import OfResults
from featurekit.checked import checked
from featurekit.errors import ModelError, TargetError
from featurekit.evaluation.ages import (
    LEGAL_AGES,
    MOST_PASSING,
    YOUTH,
    age_checks,
    band_rates,
    errors_by_gender,
    lowest_threshold,
    whole_years,
    year_errors,
)
from featurekit.evaluation.outcomes import Outcomes
from featurekit.evaluation.results import Run
from featurekit.report import frames
from featurekit.report.sections.assurance import points_of
from featurekit.report.select import model_name


@checked()
class Ages(OfResults):
    """Tables on a model that predicts age in years: its errors by single year, and checks of a legal age.

    A model is named as in the ranking ("svm"), or by the name of its run if several models have the same
    name; without a name, it is the best trained model. Groups with fewer than 30 subjects have NaN.
    """

    def errors(self, model: str | None = None, *, ages: int | Sequence[int] | None = None) -> pd.DataFrame:
        """Return the errors of a model at each age in whole years, for all people and for each gender.

        Args:
            model: name of the model; None for the best trained model.
            ages: the ages, also those without a face; None for all ages that a face has.

        Returns:
            One row for each age and gender ("" for any): model, age, gender, mean_absolute_error, low and
            high (95 % confidence interval over subjects), mean_error (predicted minus true age),
            root_mean_square_error, within_1, within_3 and within_5 (share of the faces with an error of at
            most so many years), n_faces and n_subjects.

        Raises:
            TargetError: no model predicts age in years, or this model does not.
            ModelError: an age is not a whole number.
            WorkspaceError: the predictions of the model are not in the folder of the comparison.

        Example:
            >>> results.ages.errors(ages=range(18, 31))    # doctest: +SKIP
        """
        ages = None if ages is None else whole_years(ages, "An age", lowest=0)
        run, outcomes = self._in_years(model)
        found = year_errors(outcomes, outcomes.tables[run.name], self._seed, ages=ages)
        return frames.year_errors_frame(found, model_name(run))

    def overall(self, model: str | None = None) -> pd.DataFrame:
        """Return the errors of a model on all faces and for each gender, with intervals over subjects.

        Args:
            model: name of the model; None for the best trained model.

        Returns:
            One row for each gender ("" for all faces, which come first): model, gender, then
            mean_absolute_error, mean_error (predicted minus true age), root_mean_square_error, all in years,
            and within_1, within_3 and within_5 (share of the faces with an error of at most so many years),
            each with its 95 % confidence interval over subjects (…_low and …_high); n_faces and n_subjects.

        Raises:
            TargetError: no model predicts age in years, or this model does not.
            WorkspaceError: the predictions of the model are not in the folder of the comparison.

        Example:
            >>> results.ages.overall()    # doctest: +SKIP
        """
        run, outcomes = self._in_years(model)
        found = errors_by_gender(outcomes, outcomes.tables[run.name], self._seed)
        return frames.group_errors_frame(found, model_name(run))

    def bands(self, starts: int | Sequence[int] = YOUTH, *, model: str | None = None) -> pd.DataFrame:
        """Return in which bands of age a model puts the people of each band.

        Args:
            starts: first age of each band but the youngest, increasing. The default gives the bands under 13,
                13 to 15, 16 to 17, and 18 and older; (13, 17) gives the band from 13 to 16 and those around.
            model: name of the model; None for the best trained model.

        Returns:
            One row for each pair of bands: model, true_band, predicted_band, share (of the faces of the true
            band), low and high (95 % confidence interval over subjects), n_predicted (faces of the true band
            that are predicted to be in this band), n_faces and n_subjects (of the true band).

        Raises:
            TargetError: no model predicts age in years, or this model does not.
            ModelError: the ages are not whole numbers, or do not increase.
            WorkspaceError: the predictions of the model are not in the folder of the comparison.

        Example:
            >>> results.ages.bands((13, 17))    # doctest: +SKIP
        """
        starts = whole_years(starts, "The first age of a band")
        if starts != sorted(set(starts)):
            raise ModelError(f"The first ages of bands must increase. Got {', '.join(map(str, starts))}.")
        run, outcomes = self._in_years(model)
        found = band_rates(outcomes.tables[run.name], starts, self._seed)
        return frames.band_rates_frame(found, model_name(run))

    def checks(
        self, legal_age: int, threshold: int | None = None, *, model: str | None = None
    ) -> pd.DataFrame:
        """Return how often a check of a legal age is wrong: overall, for each label, and at each age.

        A person passes whose predicted age is the threshold or more.

        Args:
            legal_age: in years.
            threshold: in years, e.g. 25 for a legal age of 18 ("Challenge 25"); None for the legal age.
            model: name of the model; None for the best trained model.

        Returns:
            One row for each slice of the faces ("" for all of them, then e.g. "gender female" and "age 17"):
            model, legal_age, threshold, slice; passing (the false positive rate: share of the faces of people
            under the legal age that pass), passing_low and passing_high (95 % confidence interval over
            subjects), n_under and subjects_under; stopped (the false negative rate: share of the faces of
            older people that do not pass), stopped_low, stopped_high, n_over and subjects_over.

        Raises:
            TargetError: no model predicts age in years, or this model does not.
            ModelError: the threshold is lower than the legal age, or one of them is not a whole number.
            WorkspaceError: the predictions of the model are not in the folder of the comparison.

        Example:
            >>> results.ages.checks(18, 25)    # doctest: +SKIP
        """
        (legal_age,) = whole_years([legal_age], "A legal age")
        (threshold,) = whole_years([legal_age if threshold is None else threshold], "A threshold")
        if threshold < legal_age:
            raise ModelError(
                f"A threshold must not be lower than the legal age. Got a legal age of {legal_age} and a"
                f" threshold of {threshold}."
            )
        run, outcomes = self._in_years(model)
        found = age_checks(outcomes, outcomes.tables[run.name], legal_age, threshold, self._seed)
        return frames.age_checks_frame(found, model_name(run))

    def thresholds(
        self,
        legal_ages: int | Sequence[int] = LEGAL_AGES,
        *,
        most_passing: float = MOST_PASSING,
        model: str | None = None,
    ) -> pd.DataFrame:
        """Return the lowest threshold for each legal age that hardly anybody under this age passes.

        Args:
            legal_ages: in years.
            most_passing: what the upper end of the 95 % confidence interval of the share of people under the
                legal age who pass may be, between 0 and 1.
            model: name of the model; None for the best trained model.

        Returns:
            One row for each legal age, with the columns of checks(). If there are too few subjects to show
            for any threshold that so few pass, the threshold is NaN.

        Raises:
            TargetError: no model predicts age in years, or this model does not.
            ModelError: most_passing is not between 0 and 1, or a legal age is not a whole number above 0.
            WorkspaceError: the predictions of the model are not in the folder of the comparison.
        """
        if not 0 < most_passing < 1:
            raise ModelError(f"most_passing must be between 0 and 1. Got {most_passing} instead.")
        legal_ages = whole_years(legal_ages, "A legal age")
        run, outcomes = self._in_years(model)
        table = outcomes.tables[run.name]
        found = [
            lowest_threshold(table, legal_age, self._seed, most_passing=most_passing)
            for legal_age in legal_ages
        ]
        shown = frames.age_checks_frame([one for one in found if one], model_name(run))
        rows = shown.set_index("legal_age").reindex(list(legal_ages)).reset_index()
        return rows.assign(model=model_name(run))[list(shown)]

    def assurance(self) -> pd.DataFrame:
        """Return what evaluations of age checks ask for, with the target and what the best model achieved.

        It is the table with which a report for the profile "age-assurance" begins. A target is met if the
        whole 95 % confidence interval meets it. Nothing is claimed that was not measured.

        Returns:
            One row for each point: part (e.g. "Accuracy"), what, target, source, achieved (a text with the
            confidence interval), and result ("met", "not met", "not shown", "no target", "stated" or "not
            measured").

        Raises:
            TargetError: no model predicts age in years.
            WorkspaceError: the predictions of the models are not in the folder of the comparison.
        """
        run, _ = self._in_years(None)
        return pd.DataFrame(asdict(point) for point in points_of(self._ranked(run.target)))

    def __repr__(self) -> str:
        return "<Ages: .assurance(), .bands(), .checks(), .errors(), .overall(), .thresholds()>"

    def _in_years(self, model: str | None) -> tuple[Run, Outcomes]:
        """Return the run of a model that predicts age in years, and its outcomes."""
        in_years = sorted({run.target for run in self._runs if not run.classes})
        if not in_years:
            raise TargetError("No model of these results predicts age in years.")
        is_run = any(run.name == model for run in self._runs)
        run = self._run(model, None if is_run else in_years[0])
        if run.classes:
            raise TargetError(f"{run.name} predicts classes, not age in years.")
        return run, self._outcomes(run)
