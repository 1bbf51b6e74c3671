"""What the predictions of a comparison say beyond the means of its runs: how sure, whether better, for whom.

Computed from the outcomes that a comparison keeps (featurekit.evaluation.outcomes), pooled over the
folds: every face was read by a model that had not seen its subject. What comes out is
kept as evidence.json beside the runs, so that a second report of the same outcomes
takes no time.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from featurekit.data.manifest import Manifest
from featurekit.data.targets import TARGETS, Target
from featurekit.errors import WorkspaceError
from featurekit.evaluation.confidence import Confidence, confidence_of, coverage_of
from featurekit.evaluation.differences import (
    ALPHA,
    Difference,
    common_faces,
    differences_of,
)
from featurekit.evaluation.estimates import Estimate, estimates_of
from featurekit.evaluation.outcomes import Outcomes, collect, hash_of
from featurekit.evaluation.results import Run
from featurekit.evaluation.score_kinds import renamed
from featurekit.evaluation.slices import Limit, Slice, limits_of, slices_of
from featurekit.evaluation.trades import Trade, trades_of
from featurekit.progress import Progress
from featurekit.project import ComparisonFolder
from featurekit.records import read_facts, write_facts
from featurekit.uncertainty.coverage import Coverage
from featurekit.uncertainty.subjects import effective_subjects

VERSION = 8
# What a cheaper model may lose against the best: points of accuracy, and years.
MARGIN_POINTS, MARGIN_YEARS = 1.0, 0.1


@dataclass(frozen=True, kw_only=True)
class TargetEvidence:
    """What is known of one target beyond the means of its runs.

    Attributes:
        score: the one that is compared and sliced: "accuracy" or "mae_years".
        n_faces: faces that every run has read.
        n_subjects: persons on them.
        effective_subjects: persons with equally many faces who would tell as much (Kish).
        estimates: name of a run → score → estimate, each on the faces that the run has read.
        differences: of every pair of runs.
        margin: what a cheaper model may lose against the best one; a share of faces, or years.
        trades: of the trained models that take clearly less time than the best one on its machine, the
            cheapest first. The first one that is within the margin can be recommended instead of the best.
        sliced: name of the run that all that follows is of: the best trained one, by the mean over the
            folds of the score.
        slices: worst first.
        limits: of a target in years.
        confidence: of a target of classes; None where a fold has nobody else to find it on.
        coverage: how often answers that may miss the truth for MISSED of faces hold it: sets of classes,
            which keep to that for each class by itself, or ranges of years, which do for each age. Of all, of
            each band of true age, and of each label; p-values hold for all of these together.
    """

    score: str
    n_faces: int
    n_subjects: int
    effective_subjects: float
    estimates: Mapping[str, Mapping[str, Estimate]]
    differences: tuple[Difference, ...]
    margin: float
    trades: tuple[Trade, ...]
    sliced: str
    slices: tuple[Slice, ...]
    limits: tuple[Limit, ...]
    confidence: Confidence | None
    coverage: tuple[tuple[str, Coverage], ...]

    @property
    def broken(self) -> tuple[tuple[str, Coverage], ...]:
        """Coverage below what is promised by more than chance, the lowest first."""
        found = [
            (name, one) for name, one in self.coverage if one.p_value is not None and one.p_value <= ALPHA
        ]
        return tuple(sorted(found, key=lambda one: one[1].value or 0.0))

    def between(self, first: str, second: str) -> Difference | None:
        """Return how the first run compares with the second, or None where that was not asked."""
        for one in self.differences:
            if (one.first, one.second) == (first, second):
                return one
            if (one.second, one.first) == (first, second):
                return replace(
                    one,
                    first=first,
                    second=second,
                    gain=-one.gain,
                    low=-one.high,
                    high=-one.low,
                )
        return None


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What the predictions of a comparison say.

    Attributes:
        of: name of each run → hash of its outcomes.
        seed: what chance came from.
        targets: name of the target → what is known of it.
    """

    of: Mapping[str, str]
    seed: int
    targets: Mapping[str, TargetEvidence]

    def save(self, folder: Path) -> None:
        """Write folder/evidence.json."""
        write_facts(ComparisonFolder(folder).evidence, VERSION, asdict(self))

    @classmethod
    def load(cls, folder: Path) -> "Evidence | None":
        """Return what save() wrote, or None where nothing was, or by another version.

        Raises:
            WorkspaceError: the file is no evidence.
        """
        kept = read_facts(ComparisonFolder(folder).evidence, VERSION, cls)
        if kept is None:
            return None
        targets = {name: _as_today(one) for name, one in kept.targets.items()}
        return replace(kept, targets=targets)


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
    seed: int = 0,
    any_margin: bool = False,
    known: Evidence | None = None,
    keep: bool = True,
    progress: Progress | None = None,
) -> Evidence | None:
    """Return the evidence on some runs: what was kept of these outcomes, else found anew.

    Args:
        folder: of the comparison.
        runs: those that can be compared with each other: see featurekit.evaluation.comparable.set_apart().
        manifest: whose faces; None where the comparison has only what it kept.
        margin_points: points of accuracy that a cheaper model may lose against the best one, above 0.
        margin_years: years that it may lose.
        seed: of the random number generator.
        any_margin: whether evidence with other margins that was kept will do.
        known: evidence that somebody has found before; None to look only for what was kept in the folder.
        keep: whether evidence that is found anew is kept in the folder.
        progress: told how far it is.

    Returns:
        Evidence on the runs whose outcomes are at hand; None where none are.

    Raises:
        WorkspaceError: a margin is not a number above 0, or a file holds something else.
    """
    for value, unit in ((margin_points, "points"), (margin_years, "years")):
        if not 0 < value < np.inf:
            raise WorkspaceError(f"The margin must be a number above 0. Got {value:g} {unit} instead.")
    margins = {"accuracy": margin_points / 100, "mae_years": margin_years}
    outcomes = collect(folder, [run.name for run in runs], manifest)
    if not outcomes.tables:
        return None
    hashes = _hashes_of(outcomes)
    for kept in (known, Evidence.load(folder)):
        if kept and kept.of == hashes and kept.seed == seed:
            same = (np.isclose(one.margin, margins[one.score]) for one in kept.targets.values())
            if any_margin or all(same):
                return kept
    runs = [run for run in runs if run.name in outcomes.tables]
    targets = _of_targets(outcomes, runs, margins, seed, progress)
    found = Evidence(of=hashes, seed=seed, targets=targets)
    if not keep:
        return found
    found.save(folder)
    return Evidence.load(folder)  # as any later report will see it, to the last digit


def _hashes_of(outcomes: Outcomes) -> dict[str, str]:
    """Return the hash of each run's outcomes, and of the faces' labels."""
    hashes = {name: hash_of(table) for name, table in outcomes.tables.items()}
    return {**hashes, "faces": hash_of(outcomes.labels.reset_index())}


def _of_targets(
    outcomes: Outcomes,
    runs: Sequence[Run],
    margins: Mapping[str, float],
    seed: int,
    progress: Progress | None,
) -> dict[str, TargetEvidence]:
    """Return what is known of each target, by name."""
    by_target: dict[str, list[Run]] = {}
    for run in runs:
        by_target.setdefault(run.target, []).append(run)
    n_steps, done = len(runs) + 2 * len(by_target), 0

    def step() -> None:
        nonlocal done
        done += 1
        if progress:
            progress(done, n_steps)

    return {name: _of_target(outcomes, by_target[name], margins, seed, step) for name in sorted(by_target)}


def _of_target(
    outcomes: Outcomes,
    runs: Sequence[Run],
    margins: Mapping[str, float],
    seed: int,
    step: Callable[[], None],
) -> TargetEvidence:
    target, tables = target_of(runs[0]), {run.name: outcomes.tables[run.name] for run in runs}
    score = "mae_years" if target.is_regression else "accuracy"
    estimates = {}
    for run in runs:
        estimates[run.name] = estimates_of(target, tables[run.name], seed)
        step()
    common = common_faces(tables)
    anyone = next(iter(common.values()))
    subjects = anyone["subject"].to_numpy()
    differences = differences_of(target, common, seed) if len(runs) > 1 and len(anyone) else ()
    step()
    trained = [run for run in runs if not run.is_baseline] or list(runs)
    best = _best(trained, score)
    slices = slices_of(outcomes, target, tables[best], seed)
    step()
    return TargetEvidence(
        score=score,
        n_faces=len(anyone),
        n_subjects=len(np.unique(subjects)),
        effective_subjects=effective_subjects(subjects),
        estimates=estimates,
        differences=differences,
        margin=margins[score],
        trades=trades_of(target, trained, best, common, differences, margins[score], seed),
        sliced=best,
        slices=slices,
        limits=limits_of(tables[best], seed) if target.is_regression else (),
        confidence=confidence_of(target, tables[best], seed),
        coverage=coverage_of(outcomes, target, tables[best]),
    )


def _best(runs: Sequence[Run], score: str) -> str:
    """Return the name of the best run, by the mean over the folds that the report ranks by."""

    def badness(run: Run) -> tuple[bool, float, str]:
        mean = run.scores.get(score, {}).get("mean")
        if mean is None or not np.isfinite(mean):
            return True, 0.0, run.name
        return False, (mean if score == "mae_years" else -mean), run.name

    return min(runs, key=badness).name


def target_of(run: Run) -> Target:
    """Return the target of a run: a known one, or the classes that the run has."""
    known = TARGETS.get(run.target)
    return known if known and tuple(run.classes) == known.classes else Target(run.target, tuple(run.classes))
