"""The results of a comparison as pandas DataFrames: the numbers of the report, without rounding.

Shares are between 0 and 1, errors are in years or groups, and missing numbers are NaN.
"""

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import pandas as pd

from featurekit.evaluation.ages import WITHIN, AgeCheck, BandRates, GroupErrors, Rate, YearError
from featurekit.evaluation.disparities import Disparities
from featurekit.evaluation.estimates import Estimate
from featurekit.evaluation.evidence import Evidence
from featurekit.evaluation.results import Run
from featurekit.evaluation.slices import Slice
from featurekit.report.cells import finite
from featurekit.report.select import in_order, model_name, ranked_targets, role
from featurekit.text import readable_name

_NAN = float("nan")


def ranking_frame(runs: Sequence[Run], evidence: Evidence | None) -> pd.DataFrame:
    """Return one row for each run with its scores, times and size; the runs of a target are best first.

    Args:
        runs: runs of one comparison.
        evidence: confidence intervals of the runs; None if they were not computed, which makes them NaN.

    Returns:
        Columns: target, features, model, role ("baseline", "off-the-shelf" or "" for a trained model). Then
        for each score, e.g. accuracy: accuracy (mean over the folds), accuracy_std (standard deviation over
        the folds), accuracy_low and accuracy_high (ends of the 95 % confidence interval over subjects) and
        accuracy_all_rows (images without a face count as wrong). Then n_faces, n_subjects, seconds_extract,
        seconds_fit (all folds), seconds_predict_1000 (for 1,000 faces), bytes (size of the saved model) and
        run (its name).
    """
    rows = []
    for run in _ordered(runs):
        row = _names(run)
        for score in in_order(run.scores):
            low, high = _interval(evidence, run, score)
            row |= {
                score: _number(run.scores[score]["mean"]),
                f"{score}_std": _number(run.scores[score].get("std")),
                f"{score}_low": low,
                f"{score}_high": high,
            }
            if score in run.scores_all_rows:
                row[f"{score}_all_rows"] = _number(run.scores_all_rows[score]["mean"])
        row |= {
            "n_faces": run.n_tested,
            "n_subjects": run.n_subjects,
            "seconds_extract": _number(run.seconds.get("extract")),
            "seconds_fit": _number(run.seconds.get("fit")),
            "seconds_predict_1000": _number(run.seconds.get("predict")) / run.n_tested * 1000
            if run.n_tested
            else _NAN,
            "bytes": run.bytes_on_disk,
            "run": run.name,
        }
        rows.append(row)
    last = ["n_faces", "n_subjects", "seconds_extract", "seconds_fit", "seconds_predict_1000", "bytes", "run"]
    frame = pd.DataFrame(rows)
    # The counts come last, also if a later target has scores that the first one does not have.
    return frame[[name for name in frame if name not in last] + [name for name in last if name in frame]]


def scores_frame(runs: Sequence[Run], evidence: Evidence | None) -> pd.DataFrame:
    """Return one row for each score of each run: the long form of ranking_frame().

    Returns:
        Columns: target, features, model, role, run, score (its name), rows ("found": scored on the faces
        found, or "all": on all labelled rows), value (mean over the folds), std (standard deviation over the
        folds), low and high (ends of the 95 % confidence interval over subjects).
    """
    return pd.DataFrame(
        {
            **_names(run),
            "run": run.name,
            "score": score,
            "rows": where,
            "value": _number(scores[score]["mean"]),
            "std": _number(scores[score].get("std")),
            **dict(zip(("low", "high"), _interval(known, run, score), strict=True)),
        }
        for run in _ordered(runs)
        for where, scores, known in (("found", run.scores, evidence), ("all", run.scores_all_rows, None))
        for score in in_order(scores)
    )


def differences_frame(runs: Sequence[Run], evidence: Evidence) -> pd.DataFrame:
    """Return one row for each pair of models of a target, the pairs of the best models first.

    Returns:
        Columns: target, first and second (the two models with their features), score (its name), gain (by how
        much the first model is better: a share of faces, or years), low and high (95 % confidence interval
        over subjects), p_value (adjusted for all pairs of the target), p_value_unadjusted, p_value_limit (the
        smallest p-value that the test can give), p_value_folds (corrected t-test over the folds) and is_shown
        (whether p_value is at most 0.05).
    """
    rows = [
        {
            "target": of.name,
            "first": model_name(first),
            "second": model_name(second),
            "score": of.evidence.score,
            "gain": found.gain,
            "low": found.low,
            "high": found.high,
            "p_value": found.adjusted,
            "p_value_unadjusted": found.p_value,
            "p_value_limit": found.limit,
            "p_value_folds": _number(found.by_folds),
            "is_shown": found.is_shown,
        }
        for of in ranked_targets(runs, evidence)
        for first, second in combinations(of.runs, 2)
        if of.evidence and (found := of.evidence.between(first.name, second.name))
    ]
    return pd.DataFrame(rows, columns=None if rows else _DIFFERENCES)


def slices_frame(runs: Sequence[Run], evidence: Evidence) -> pd.DataFrame:
    """Return one row for each slice (faces with one or two labels) of each model that is looked at.

    These are the best three trained models of each target and off-the-shelf networks, best first. The slices
    of a model are sorted, worst first.

    Returns:
        Columns: target, model, slice ("gender female, age_group 4-6"), score (its name), value, low and high
        (95 % confidence interval over subjects), gap (difference from the score on all other faces; negative
        if the model is worse on the slice), p_value (adjusted for all slices of the target), n_faces and
        n_subjects.
    """
    by_name = {run.name: run for run in runs}
    rows = [
        {
            "target": of.name,
            "model": model_name(by_name[name]),
            "slice": labels_of(one),
            "score": of.evidence.score,
            **_estimate(one.estimate),
            "gap": _number(one.gap),
            "p_value": _number(one.gap_p),
            "n_faces": one.n_faces,
            "n_subjects": one.n_subjects,
        }
        for of in ranked_targets(runs, evidence)
        if of.evidence
        for name, slices in of.evidence.slices_of_runs.items()
        for one in slices
    ]
    return pd.DataFrame(rows, columns=None if rows else _SLICES)


def labels_of(one: Slice) -> str:
    """Return the labels of a slice as frames name it, e.g. "gender female, age_group 4-6"."""
    return readable_name(", ".join(map(" ".join, zip(one.columns, one.labels, strict=True))))


def disparities_frame(found: Sequence[Disparities], model: str, score: str) -> pd.DataFrame:
    """Return the disparities of one model between groups of faces, one number in each row.

    Returns:
        Columns: model, column (of labels), measure, group, reference, predicted, value, low and high (95 %
        confidence interval over subjects), n_faces and n_subjects. First are the rows of each group, whose
        measure is the name of the score, "gap_to_reference" or "ratio_to_reference"; then the rows of all
        groups together, whose group is "".
    """
    rows: list[dict[str, Any]] = []
    for one in found:
        known = [group for group in one.groups if group.score]
        whole = (sum(group.n_faces for group in known), sum(group.n_subjects for group in known))
        numbers = [
            (measure, group.label, "", value, (group.n_faces, group.n_subjects))
            for group in one.groups
            for measure, value in (
                (score, group.score),
                ("gap_to_reference", group.gap),
                ("ratio_to_reference", group.ratio),
            )
            if value or measure == score
        ]
        numbers += [(each.name, "", each.predicted, each.value, whole) for each in one.disparities]
        for measure, label, predicted, value, (n_faces, n_subjects) in numbers:
            rows.append(
                {
                    "model": model,
                    "column": one.column,
                    "measure": measure,
                    "group": label,
                    "reference": one.reference,
                    "predicted": predicted,
                    **_estimate(value),
                    "n_faces": n_faces,
                    "n_subjects": n_subjects,
                }
            )
    return pd.DataFrame(rows, columns=None if rows else _DISPARITIES)


_DISPARITIES = [
    *("model", "column", "measure", "group", "reference", "predicted"),
    *("value", "low", "high", "n_faces", "n_subjects"),
]
_DIFFERENCES = [
    *("target", "first", "second", "score", "gain", "low", "high"),
    *("p_value", "p_value_unadjusted", "p_value_limit", "p_value_folds", "is_shown"),
]
_CHECKS = [
    *("model", "legal_age", "threshold", "slice"),
    *("passing", "passing_low", "passing_high", "n_under", "subjects_under"),
    *("stopped", "stopped_low", "stopped_high", "n_over", "subjects_over"),
]
_SLICES = [
    *("target", "model", "slice", "score", "value", "low", "high"),
    *("gap", "p_value", "n_faces", "n_subjects"),
]


def _ordered(runs: Sequence[Run]) -> list[Run]:
    """Return the runs target by target, best first."""
    return [run for of in ranked_targets(runs, None) for run in of.runs]


def _names(run: Run) -> dict[str, Any]:
    return {
        "target": run.target,
        "features": run.features,
        "model": run.classifier_name,
        "role": role(run),
    }


def _number(value: Any) -> float:
    found = finite(value)
    return _NAN if found is None else found


def _interval(evidence: Evidence | None, run: Run, score: str) -> tuple[float, float]:
    known = evidence.targets.get(run.target) if evidence else None
    estimate = known.estimates.get(run.name, {}).get(score) if known else None
    return (estimate.low, estimate.high) if estimate else (_NAN, _NAN)


def age_checks_frame(checks: Sequence[AgeCheck], model: str) -> pd.DataFrame:
    """Return one row for each check of a legal age.

    Returns:
        Columns: model, legal_age, threshold, slice ("" for all faces, else e.g. "gender female" or "age 17").
        Then passing (share of the faces under the legal age that pass), passing_low, passing_high (95 %
        confidence interval over subjects), n_under (faces under the legal age) and subjects_under; then
        stopped (share of the faces of the legal age or older that do not pass), stopped_low, stopped_high,
        n_over and subjects_over.
    """
    rows = [
        {
            "model": model,
            "legal_age": one.legal_age,
            "threshold": one.threshold,
            "slice": f"{one.column} {one.label}".strip(),
            **_rate("passing", "under", one.passing),
            **_rate("stopped", "over", one.stopped),
        }
        for one in checks
    ]
    return pd.DataFrame(rows, columns=None if rows else _CHECKS)


def _rate(name: str, side: str, rate: Rate) -> dict[str, Any]:
    return {
        **_estimate(rate.share, name, f"{name}_"),
        f"n_{side}": rate.n_faces,
        f"subjects_{side}": rate.n_subjects,
    }


def year_errors_frame(errors: Sequence[YearError], model: str) -> pd.DataFrame:
    """Return one row for each age in whole years and gender.

    Returns:
        Columns: model, age, gender ("" for any), mean_absolute_error, low and high (95 % confidence interval
        over subjects), mean_error (predicted minus true age), root_mean_square_error, all in years; within_1,
        within_3 and within_5 (share of the faces with an error of at most so many years); n_faces and
        n_subjects.
    """
    return pd.DataFrame(
        {
            "model": model,
            "age": one.age,
            "gender": readable_name(one.gender),
            **_estimate(one.error, "mean_absolute_error"),
            "mean_error": _number(one.bias),
            "root_mean_square_error": _number(one.rmse),
            **{f"within_{years}": _number(share) for years, share in zip(WITHIN, one.within, strict=True)},
            "n_faces": one.n_faces,
            "n_subjects": one.n_subjects,
        }
        for one in errors
    )


def group_errors_frame(errors: Sequence[GroupErrors], model: str) -> pd.DataFrame:
    """Return one row for all faces, and one for each gender.

    Returns:
        Columns: model, gender ("" for any); mean_absolute_error, mean_error (predicted minus true age) and
        root_mean_square_error in years, within_1, within_3 and within_5 (share of the faces with an error of
        at most so many years), each followed by its 95 % confidence interval over subjects (…_low and
        …_high); n_faces and n_subjects.
    """
    return pd.DataFrame(
        {
            "model": model,
            "gender": readable_name(one.gender),
            **{
                column: value
                for name, estimate in (
                    ("mean_absolute_error", one.error),
                    ("mean_error", one.bias),
                    ("root_mean_square_error", one.rmse),
                    *((f"within_{years}", share) for years, share in zip(WITHIN, one.within, strict=True)),
                )
                for column, value in _estimate(estimate, name, f"{name}_").items()
            },
            "n_faces": one.n_faces,
            "n_subjects": one.n_subjects,
        }
        for one in errors
    )


def _estimate(estimate: Estimate | None, name: str = "value", prefix: str = "") -> dict[str, float]:
    """Return the columns of an estimate and of its interval, NaN for None.

    Args:
        estimate: the estimate.
        name: name of the column of the estimate.
        prefix: beginning of the names of the columns of its interval, before "low" and "high".
    """
    known = estimate or Estimate(_NAN, _NAN, _NAN)
    return {name: known.value, f"{prefix}low": known.low, f"{prefix}high": known.high}


def band_rates_frame(rates: Sequence[BandRates], model: str) -> pd.DataFrame:
    """Return one row for each pair of a true and a predicted band of age.

    Returns:
        Columns: model, true_band, predicted_band, share (of the faces of the true band), low and high (95 %
        confidence interval over subjects), n_predicted (number of these faces), n_faces and n_subjects (of
        the true band).
    """
    rows = []
    for one in rates:
        for other, count, share in zip(rates, one.counts, one.shares, strict=True):
            rows.append(
                {
                    "model": model,
                    "true_band": one.band,
                    "predicted_band": other.band,
                    **_estimate(share, "share"),
                    "n_predicted": count,
                    "n_faces": one.n_faces,
                    "n_subjects": one.n_subjects,
                }
            )
    return pd.DataFrame(rows)
