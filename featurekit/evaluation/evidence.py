"""Statistics of a comparison beyond the mean scores of its runs: intervals, tests, slices and calibration.

They are computed from the outcomes of a comparison, which are its predictions of single faces (see
featurekit.evaluation.outcomes), pooled over the folds. Every prediction is by a model that had not seen the
subject. The result is saved as evidence.json beside the runs, so that a second report takes no time.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from itertools import count
from pathlib import Path
from threading import Lock

import numpy as np
import pandas as pd

from featurekit.cache.store import Store
from featurekit.data.manifest import Manifest
from featurekit.data.targets import TARGETS, Target
from featurekit.errors import WorkspaceError
from featurekit.evaluation.ages import (
    CHALLENGE,
    LEGAL_AGES,
    AgeCheck,
    AgeStatistics,
    LegalAge,
    YearError,
    age_checks,
    check_legal_ages,
    legal_ages_of,
    statistics_of,
    year_errors,
)
from featurekit.evaluation.confidence import Confidence, confidence_of, coverage_of
from featurekit.evaluation.confusions import ConfusionDifference, confusion_difference
from featurekit.evaluation.cost import Trade, trades_of
from featurekit.evaluation.curves import Curve, curves_of, stored
from featurekit.evaluation.differences import ALPHA, Difference, common_faces, differences_of
from featurekit.evaluation.disparities import Disparities, disparities_of
from featurekit.evaluation.estimates import Estimate, estimates_of
from featurekit.evaluation.image_quality import quality_labels
from featurekit.evaluation.outcomes import Outcomes, QualityOf, collect, hash_of
from featurekit.evaluation.results import Run
from featurekit.evaluation.rivals import in_detail, ranked_by, rivals_of
from featurekit.evaluation.scores import renamed
from featurekit.evaluation.slices import Slice, slices_of, worst_of, worst_slice
from featurekit.networks.engines import usable_cores
from featurekit.progress import Progress
from featurekit.project import ComparisonFolder
from featurekit.records import read_facts, write_facts
from featurekit.threads import one_blas_thread
from featurekit.uncertainty.conformal import Coverage
from featurekit.uncertainty.resampling import effective_subjects

VERSION = 11
# What a cheaper model may lose compared with the best one: points of accuracy, and years.
MARGIN_POINTS, MARGIN_YEARS = 1.0, 0.1


@dataclass(frozen=True, kw_only=True)
class ModelEvidence:
    """What is known of a model that is looked at beside the best one.

    Attributes:
        slices: scores on the faces with each label, the worst first.
        confidence: calibration of the confidence, as of TargetEvidence.
    """

    slices: tuple[Slice, ...]
    confidence: Confidence | None


@dataclass(frozen=True, kw_only=True)
class TargetEvidence:
    """The statistics of one target beyond the mean scores of its runs.

    Attributes:
        score: name of the score by which models are compared, "accuracy" or "mae_years".
        n_faces: number of faces on which every run was scored.
        n_subjects: number of subjects of these faces.
        effective_subjects: effective number of these subjects (Kish).
        estimates: each score of each run with its confidence interval, by the names of the run and the score.
        worst_slices: slice with one label on which each run is worst, by the name of the run; a run without a
            slice of enough subjects is left out.
        differences: difference of every pair of runs.
        margin: what a cheaper model may lose compared with the best one: a share of faces, or years.
        trades: what is lost by each trained model that takes clearly less time than the best one on its
            machine, the cheapest first. The first one within the margin can be recommended instead of it.
        sliced: name of the best trained run, by the mean of the score over the folds. The following
            attributes describe this run; curves and beside have others.
        slices: scores on the faces with each label, the worst first.
        disparities: how much the scores differ between the groups of each column of labels.
        legal_ages: errors of checks of legal ages; empty for a target of classes.
        challenge: errors of the check CHALLENGE on all faces, for each label, and at each age; empty for a
            target of classes.
        years: errors at each age in whole years and for each gender; empty for a target of classes.
        ages: errors over all ages, by band of age and by predicted age; None for a target of classes.
        confidence: calibration of the confidence; None for a regression target, without probabilities, or if
            a fold contains all subjects.
        coverage: how often prediction sets, or ranges of years, contain the true value, if they may miss it
            for a share MISSED of the faces of each class or age. It is given for all faces, for each band of
            true age, and for each label, with p-values that are adjusted for all of these together.
        curves: ROC and precision–recall curves of this run and of up to two others, by the names of the runs,
            best first; see featurekit.evaluation.curves.curves_of(). Runs without probabilities have none.
        beside: slices and calibration of the other runs of featurekit.evaluation.rivals.in_detail(), by the
            names of the runs, best first.
        confusion_difference: how its confusion matrix differs from that of the first of
            featurekit.evaluation.rivals.rivals_of(); None for a regression target, or without another run.
    """

    score: str
    n_faces: int
    n_subjects: int
    effective_subjects: float
    estimates: Mapping[str, Mapping[str, Estimate]]
    worst_slices: Mapping[str, Slice]
    differences: tuple[Difference, ...]
    margin: float
    trades: tuple[Trade, ...]
    sliced: str
    slices: tuple[Slice, ...]
    disparities: tuple[Disparities, ...]
    legal_ages: tuple[LegalAge, ...]
    challenge: tuple[AgeCheck, ...]
    years: tuple[YearError, ...]
    ages: AgeStatistics | None
    confidence: Confidence | None
    coverage: tuple[tuple[str, Coverage], ...]
    curves: Mapping[str, tuple[Curve, ...]]
    beside: Mapping[str, ModelEvidence]
    confusion_difference: ConfusionDifference | None

    @property
    def broken(self) -> tuple[tuple[str, Coverage], ...]:
        """Coverages that are significantly lower than promised, the lowest first."""
        found = [
            (name, one) for name, one in self.coverage if one.p_value is not None and one.p_value <= ALPHA
        ]
        return tuple(sorted(found, key=lambda one: one[1].value or 0.0))

    @property
    def slices_of_runs(self) -> dict[str, tuple[Slice, ...]]:
        """The slices of each run that is looked at, the best one first, by the names of the runs."""
        return {self.sliced: self.slices, **{name: one.slices for name, one in self.beside.items()}}

    def between(self, first: str, second: str) -> Difference | None:
        """Return how the first run compares with the second, or None if they were not compared."""
        found = next((one for one in self.differences if {one.first, one.second} == {first, second}), None)
        return found.swapped if found and found.first != first else found


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """The statistics of the predictions in a comparison.

    Attributes:
        of: hash of the outcomes of each run, by the name of the run.
        seed: seed of the random number generator.
        targets: statistics of each target, by its name.
    """

    of: Mapping[str, str]
    seed: int
    targets: Mapping[str, TargetEvidence]

    def has(self, margins: Mapping[str, float]) -> bool:
        """Whether these statistics have some margins, by the name of the score."""
        return all(np.isclose(one.margin, margins[one.score]) for one in self.targets.values())

    def save(self, folder: Path) -> None:
        """Write folder/evidence.json."""
        write_facts(ComparisonFolder(folder).evidence, VERSION, asdict(self))

    @classmethod
    def load(cls, folder: Path) -> "Evidence | None":
        """Return the statistics that save() wrote; None if there is no file, or if another version wrote it.

        Raises:
            WorkspaceError: the file does not contain statistics.
        """
        kept = read_facts(ComparisonFolder(folder).evidence, VERSION, cls)
        if kept is None:
            return None
        return replace(kept, targets={name: _as_today(one) for name, one in kept.targets.items()})


def _as_today(of: TargetEvidence) -> TargetEvidence:
    """Return stored evidence in which scores have the names that they have today."""
    (score,) = renamed({of.score: 0})
    return replace(of, score=score, estimates={name: renamed(found) for name, found in of.estimates.items()})


def gather(
    folder: Path,
    runs: Sequence[Run],
    manifest: Manifest | None = None,
    *,
    margin_points: float = MARGIN_POINTS,
    margin_years: float = MARGIN_YEARS,
    legal_ages: Sequence[int] | None = None,
    seed: int = 0,
    any_margin: bool = False,
    known: Evidence | None = None,
    keep: bool = True,
    progress: Progress | None = None,
) -> Evidence | None:
    """Return the statistics of runs: the saved ones if they are up to date, otherwise new ones.

    Args:
        folder: folder of the comparison.
        runs: runs that can be compared with each other; see featurekit.evaluation.comparable.set_apart().
        manifest: manifest of the faces; None to use only the outcomes that are saved in the folder.
        margin_points: points of accuracy that a cheaper model may lose compared with the best one, above 0.
        margin_years: years by which the mean error of a cheaper model may be larger, above 0.
        legal_ages: legal ages in years, in the order of the report; None for LEGAL_AGES. Only their checks
            are computed again if they change.
        seed: seed of the random number generator.
        any_margin: whether saved statistics with other margins and legal ages are accepted.
        known: statistics that were computed before; None to look only in the folder.
        keep: whether new statistics are saved in the folder.
        progress: called with (steps done, steps to do).

    Returns:
        Statistics of the runs that have outcomes; None if none has.

    Raises:
        WorkspaceError: a margin is not a number above 0, or a file is damaged.
        ModelError: there are no faces on one side of a legal age.
    """
    margins = _margins(margin_points, margin_years)
    outcomes = _outcomes_of(folder, runs, manifest)
    if not outcomes.tables:
        return None
    tables = {**outcomes.tables, "faces": outcomes.labels.reset_index()}
    hashes = {name: hash_of(table) for name, table in tables.items()}
    stored = (one for one in (known, Evidence.load(folder)) if one and one.of == hashes and one.seed == seed)
    kept = next((one for one in stored if any_margin or one.has(margins)), None)
    if kept and any_margin:
        return kept
    runs = [run for run in runs if run.name in outcomes.tables]
    ages = _checked(legal_ages, outcomes, runs)
    if kept:
        found = _at_legal_ages(kept, outcomes, ages)
    else:
        targets = _of_targets(outcomes, runs, margins, ages, seed, progress)
        found = Evidence(of=hashes, seed=seed, targets=targets)
    if found is kept or not keep:
        return found
    found.save(folder)
    return Evidence.load(folder)  # with the rounded digits that any later report will read


def _outcomes_of(folder: Path, runs: Sequence[Run], manifest: Manifest | None) -> Outcomes:
    """Return the outcomes of runs; raise WorkspaceError if those of a run do not give its scores."""
    quality_of = _quality_of(folder, runs, manifest)
    outcomes = collect(folder, [run.name for run in runs], manifest, quality_of=quality_of)
    for run in runs:
        if run.name in outcomes.tables and not _are_of(run, outcomes.tables[run.name]):
            raise WorkspaceError(
                f"The stored predictions of {run.name} do not give its scores, so they were changed"
                f" or are those of another run. Fit it again: {run.command or 'featurekit fit'}"
            )
    return outcomes


def _are_of(run: Run, table: pd.DataFrame) -> bool:
    """Return whether outcomes can be those on which a run was scored: they give its score in each fold.

    If there are fewer than were scored, those of some subjects may have been purged; see fewer_stored().
    """
    true, predicted = table["true"], table["predicted"]
    if len(table) > run.n_tested or (not run.classes and predicted.dtype.kind != "f"):
        return False
    if len(table) < run.n_tested:
        return True
    score = (true == predicted) if run.classes else (true - predicted).abs()
    found = score.groupby(table["fold"]).mean()
    stored = run.scores.get("accuracy" if run.classes else "mae_years", {}).get("folds") or []
    # Ages are stored in single precision.
    return all(
        abs(found.get(fold, np.inf) - was) < 1e-4 for fold, was in enumerate(stored) if was is not None
    )


def _margins(points: float, years: float) -> dict[str, float]:
    """Return the margin of each score after checking it: a share of faces, and years."""
    for value, unit in ((points, "points"), (years, "years")):
        if not 0 < value < np.inf:
            raise WorkspaceError(f"The margin must be a number above 0. Got {value:g} {unit} instead.")
    if points >= 100:
        raise WorkspaceError(f"The margin must be below 100 points. Got {points:g} points instead.")
    return {"accuracy": points / 100, "mae_years": years}


def _checked(legal_ages: Sequence[int] | None, outcomes: Outcomes, runs: Sequence[Run]) -> tuple[int, ...]:
    """Return the legal ages of the report, after checking those that were asked for."""
    if legal_ages is None:
        return tuple(LEGAL_AGES)
    for run in runs:
        if not run.classes:
            check_legal_ages(outcomes.tables[run.name], list(legal_ages))
    return tuple(legal_ages)


def _at_legal_ages(of: Evidence, outcomes: Outcomes, legal_ages: Sequence[int]) -> Evidence:
    """Return statistics with checks of other legal ages; the same ones if they have those of these ages."""
    targets = {}
    for name, one in of.targets.items():
        if one.legal_ages and [found.plain.legal_age for found in one.legal_ages] != list(legal_ages):
            table = outcomes.tables[one.sliced]
            targets[name] = replace(one, legal_ages=legal_ages_of(table, of.seed, legal_ages))
    return replace(of, targets={**of.targets, **targets}) if targets else of


def _quality_of(folder: Path, runs: Sequence[Run], manifest: Manifest | None) -> QualityOf:
    """Return the function that finds the quality of images in the cache of the comparison's project."""
    # Nearly always, all runs have the same faces.
    recipes = {str(one["faces"]): one["faces"] for run in runs for one in run.recipes if "faces" in one}
    store = Store(ComparisonFolder(folder).project.cache, read_only=True)
    return lambda rows: (
        quality_labels(manifest, recipes.values(), store, rows) if manifest else pd.DataFrame()
    )


def _of_targets(
    outcomes: Outcomes,
    runs: Sequence[Run],
    margins: Mapping[str, float],
    legal_ages: Sequence[int],
    seed: int,
    progress: Progress | None,
) -> dict[str, TargetEvidence]:
    """Return the statistics of each target, by name."""
    names = sorted({run.target for run in runs})
    own = {name: [run for run in runs if run.target == name] for name in names}
    # The runs, those that are looked at in detail, the differences, and the rest.
    n_steps = sum(len(of) + len(_looked_at(of)) + 2 for of in own.values())
    steps, lock = count(1), Lock()

    def step() -> None:
        if progress:
            with lock:
                progress(next(steps), n_steps)

    def found(name: str) -> TargetEvidence:
        return _of_target(outcomes, own[name], margins, legal_ages, seed, step)

    # For small products, several threads wait for each other most of the time, but whole targets do not.
    with one_blas_thread(), ThreadPoolExecutor(min(usable_cores(), len(names))) as pool:
        return dict(zip(names, pool.map(found, names), strict=True))


def _of_target(
    outcomes: Outcomes,
    runs: Sequence[Run],
    margins: Mapping[str, float],
    legal_ages: Sequence[int],
    seed: int,
    step: Callable[[], None],
) -> TargetEvidence:
    target, tables = target_of(runs[0]), {run.name: outcomes.tables[run.name] for run in runs}
    score, ranked, (best, *others) = _score_of(target), _ranked(runs), _looked_at(runs)
    detailed = {}
    for name in (best, *others):
        detailed[name] = ModelEvidence(
            slices=slices_of(outcomes, target, tables[name], seed),
            confidence=confidence_of(target, tables[name], seed),
        )
        step()
    estimates, worst_slices = {}, {}
    for run in runs:
        estimates[run.name] = estimates_of(target, tables[run.name], seed)
        known = detailed.get(run.name)
        table = tables[run.name]
        worst = worst_of(known.slices) if known else worst_slice(outcomes, target, table, seed)
        if worst:
            worst_slices[run.name] = worst
        step()
    common = common_faces(tables)
    anyone = next(iter(common.values()))
    subjects = anyone["subject"].to_numpy()
    differences = differences_of(target, common, seed) if len(runs) > 1 and len(anyone) else ()
    step()
    trained = [run for run in runs if not run.is_baseline] or list(runs)
    slices = detailed[best].slices
    curves, confusions = _of_classes(target, ranked, best, tables, differences, seed)
    found = TargetEvidence(
        score=score,
        n_faces=len(anyone),
        n_subjects=len(np.unique(subjects)),
        effective_subjects=effective_subjects(subjects),
        estimates=estimates,
        worst_slices=worst_slices,
        differences=differences,
        margin=margins[score],
        trades=trades_of(target, trained, best, common, differences, margins[score], seed),
        sliced=best,
        slices=slices,
        disparities=disparities_of(outcomes, target, tables[best], seed, known=slices),
        legal_ages=legal_ages_of(tables[best], seed, legal_ages) if target.is_regression else (),
        challenge=age_checks(outcomes, tables[best], *CHALLENGE, seed) if target.is_regression else (),
        years=year_errors(outcomes, tables[best], seed) if target.is_regression else (),
        ages=statistics_of(outcomes, tables[best], seed) if target.is_regression else None,
        confidence=detailed[best].confidence,
        coverage=coverage_of(outcomes, target, tables[best]),
        curves=curves,
        beside={name: detailed[name] for name in others},
        confusion_difference=confusions,
    )
    step()
    return found


def _score_of(target: Target) -> str:
    """Return the name of the score by which the models of a target are compared."""
    return "mae_years" if target.is_regression else "accuracy"


def _ranked(runs: Sequence[Run]) -> list[Run]:
    """Return the runs of one target, best first."""
    return ranked_by(runs, _score_of(target_of(runs[0])))


def _looked_at(runs: Sequence[Run]) -> list[str]:
    """Return the names of the runs of one target that are looked at in detail: the best trained one first."""
    ranked = _ranked(runs)
    best = next((run for run in ranked if not run.is_baseline), ranked[0])
    return [best.name, *(run.name for run in in_detail(ranked) if run is not best)]


def _of_classes(
    target: Target,
    ranked: Sequence[Run],
    best: str,
    tables: Mapping[str, pd.DataFrame],
    differences: Sequence[Difference],
    seed: int,
) -> tuple[dict[str, tuple[Curve, ...]], ConfusionDifference | None]:
    """Return the curves of the best model and its rivals, and how its confusions differ from one of them."""
    if target.is_regression:
        return {}, None
    rivals = rivals_of(ranked, best, differences)
    compared = [run.name for run in ranked if run.name in (best, *rivals)]
    curves = {name: stored(curves_of(target, tables[name], seed)) for name in compared}
    difference = confusion_difference(target, best, rivals[0], tables, seed) if rivals else None
    return {name: found for name, found in curves.items() if found}, difference


def target_of(run: Run) -> Target:
    """Return the target of a run: one that featurekit knows, or a new one with the classes of the run."""
    known = TARGETS.get(run.target)
    return known if known and tuple(run.classes) == known.classes else Target(run.target, tuple(run.classes))
