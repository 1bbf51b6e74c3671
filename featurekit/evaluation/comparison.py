"""What the predictions of a comparison say beyond the means of its runs: how sure, whether better, for whom.

Computed from the outcomes that a comparison keeps (featurekit.evaluation.outcomes), pooled over the
folds: every face was read by a model that had not seen its subject. What comes out is
kept as evidence.json beside the runs, so that a second report of the same outcomes
takes no time.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurekit.data.manifest import TARGETS, Manifest, Target
from featurekit.errors import WorkspaceError
from featurekit.evaluation.cross_validation import Run
from featurekit.evaluation.outcomes import MOST_LABELS, Outcomes, collect, hash_of, read_predictions
from featurekit.evaluation.scores import cells_of, from_counts, log_losses, ranked_probabilities
from featurekit.evaluation.timing import CLEARLY, milliseconds, timed_on
from featurekit.files import read_facts, write_facts
from featurekit.progress import Progress
from featurekit.uncertainty.calibration import (
    MISSED,
    Bin,
    CalibrationError,
    Coverage,
    coverage_by,
    cross_fitted,
    cross_fitted_ranges,
    cross_fitted_sets,
    expected_calibration_error,
    reliability,
    risk_coverage,
)
from featurekit.uncertainty.resampling import (
    FEWEST,
    Interval,
    Ranks,
    bootstrap,
    corrected_t,
    effective_subjects,
    interval,
    mcnemar,
    non_inferior,
    per_subject,
    ranks,
    resampled_sums,
    side_by_side,
    sign_flip,
    slice_gaps,
)

VERSION = 7
MOST_COMBINED = 6  # labels of a column of the user's own that is combined with gender and age group
LIMITS = (13, 18, 21, 25)  # years at which something is decided by age
ALPHA = 0.05
# What a cheaper model may lose against the best: points of accuracy, and years.
MARGIN_POINTS, MARGIN_YEARS = 1.0, 0.1
SHARES = tuple(number / 20 for number in range(1, 21))  # of faces that are answered, the surest first


@dataclass(frozen=True)
class Estimate:
    """A score on all faces together and between which values it lies; shares are between 0 and 1."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Difference:
    """How two models of one target compare on the faces that both have read.

    Attributes:
        first, second: names of the runs.
        gain: by how much the first is the better one, negative where it is the worse; a share of faces, or
            years.
        low, high: between which values the gain lies.
        p_value: of the sign-flip test over subjects.
        adjusted: the same, for all pairs of the target together (step-down max-T).
        limit: the smallest p-value that the test can give; one that is no larger may be far smaller in truth.
        by_folds: p-value of Nadeau & Bengio's corrected t-test over the folds; None where it says nothing.
        by_photographs: p-value of McNemar's test, which is too small where a person has several photographs;
            None of years.
        only_first, only_second: photographs that only one of the two read rightly; None of years.
    """

    first: str
    second: str
    gain: float
    low: float
    high: float
    p_value: float
    adjusted: float
    limit: float
    by_folds: float | None
    by_photographs: float | None = None
    only_first: int | None = None
    only_second: int | None = None

    @property
    def is_shown(self) -> bool:
        """Whether there is evidence that the two differ."""
        return self.adjusted <= ALPHA


@dataclass(frozen=True, kw_only=True)
class Trade:
    """What a cheaper model would save and lose against the best one.

    Attributes:
        name: of its run.
        milliseconds, best_milliseconds: what a face takes with it and with the best model.
        loss: by how much the best model is the better one; a share of faces, or years. Above 0 means that the
            cheaper one is worse.
        low, high: between which values the loss lies, for this model by itself.
        p_value: of "it loses the margin or more against the truly best model", for all cheaper models
            together.
        limit: the smallest p-value that the test can give.
        is_within: whether it is shown to lose less than the margin.
    """

    name: str
    milliseconds: float
    best_milliseconds: float
    loss: float
    low: float
    high: float
    p_value: float
    limit: float = 0.0
    is_within: bool


@dataclass(frozen=True, kw_only=True)
class Slice:
    """How faces with one label, or two, are read by one model.

    Attributes:
        columns, labels: whose: ("gender", "age_group") and ("female", "0-2").
        n_faces, n_subjects: how many there are.
        estimate: None of fewer than FEWEST subjects.
        gap: by how much they are read better than all other faces, negative where they are read worse; a
            share of faces, or years. None where they, or the others, are fewer than FEWEST subjects.
        gap_p: p-value of "the gap is chance", for all slices of the target together; None without a gap.
    """

    columns: tuple[str, ...]
    labels: tuple[str, ...]
    n_faces: int
    n_subjects: int
    estimate: Estimate | None
    gap: float | None = None
    gap_p: float | None = None

    @property
    def is_worse(self) -> bool:
        """Whether these faces are shown to be read worse than all others."""
        return self.gap is not None and self.gap < 0 and self.gap_p is not None and self.gap_p <= ALPHA


@dataclass(frozen=True, kw_only=True)
class Limit:
    """How one model decides a limit of age.

    Attributes:
        limit: the age from which somebody counts as older.
        n_younger, n_older: faces on either side.
        called_older: share of the younger that were called older; None of fewer than FEWEST subjects.
        called_younger: share of the older that were called younger.
    """

    limit: int
    n_younger: int
    n_older: int
    called_older: Estimate | None
    called_younger: Estimate | None


@dataclass(frozen=True, kw_only=True)
class Confidence:
    """Whether one model of classes knows when it is wrong.

    Attributes:
        temperature: what makes it calibrated, above 1 where it is too sure; the mean over the folds, each of
            which has one that was fitted on the others.
        before, after: by how much its confidence is off as it comes, and at these temperatures.
        bins: faces of about the same confidence as it comes, the least sure first.
        risks: share of wrong answers among the surest faces, of each of SHARES of all.
    """

    temperature: float
    before: CalibrationError
    after: CalibrationError
    bins: tuple[Bin, ...]
    risks: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class TargetEvidence:
    """All of this for one target.

    Attributes:
        score: the one that is compared and sliced: "exact" or "mae_years".
        n_faces: faces that every run has read.
        n_subjects: persons on them.
        effective_subjects: persons with equally many faces who would tell as much (Kish).
        estimates: name of a run → score → estimate, each on the faces that the run has read.
        differences: of every pair of runs.
        margin: what a cheaper model may lose against the best one; a share of faces, or years.
        trades: of the trained models that take clearly less time than the best one on its machine, the
            cheapest first. The first one that is within the margin can be recommended instead of the best.
        ranked: names of the runs that are ranked, the best mean rank first.
        ranks: their mean ranks over the folds; None of too few folds.
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
    ranked: tuple[str, ...]
    ranks: Ranks | None
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
                    only_first=one.only_second,
                    only_second=one.only_first,
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
        write_facts(folder / "evidence.json", VERSION, asdict(self))

    @classmethod
    def load(cls, folder: Path) -> "Evidence | None":
        """Return what save() wrote, or None where nothing was, or by another version.

        Raises:
            WorkspaceError: the file is no evidence.
        """
        path = folder / "evidence.json"
        content = read_facts(path, VERSION)
        if content is None:
            return None
        try:
            targets = {name: _target_from(one) for name, one in content.pop("targets").items()}
            return cls(**content, targets=targets)
        except (ValueError, KeyError, TypeError) as error:
            raise WorkspaceError(
                f"{path} is no evidence of this version of featurekit: {error!r}. Delete it, and run"
                " featurekit report again."
            ) from error


def gather(
    folder: Path,
    runs: Sequence[Run],
    manifest: Manifest | None = None,
    *,
    margin_points: float = MARGIN_POINTS,
    margin_years: float = MARGIN_YEARS,
    seed: int = 0,
    progress: Progress | None = None,
) -> Evidence | None:
    """Return the evidence on some runs: what was kept of these outcomes, else found anew and kept.

    Args:
        folder: of the comparison.
        runs: those that can be compared with each other: see featurekit.evaluation.outcomes.set_apart().
        manifest: whose faces; None where the comparison has only what it kept.
        margin_points: points of accuracy that a cheaper model may lose against the best one, above 0.
        margin_years: years that it may lose.
        seed: what chance comes from.
        progress: told how far it is.

    Returns:
        Evidence on the runs whose outcomes are at hand; None where none are.

    Raises:
        WorkspaceError: a margin is not a number above 0, or a file holds something else.
    """
    for value, unit in ((margin_points, "points"), (margin_years, "years")):
        if not 0 < value < np.inf:
            raise WorkspaceError(f"The margin is {value:g} {unit}. It must be a number above 0.")
    margins = {"exact": margin_points / 100, "mae_years": margin_years}
    outcomes = collect(folder, [run.name for run in runs], manifest)
    if not outcomes.tables:
        return None
    hashes = {name: hash_of(table) for name, table in outcomes.tables.items()}
    hashes["faces"] = hash_of(outcomes.labels.reset_index())
    kept = Evidence.load(folder)
    if kept and kept.of == hashes and kept.seed == seed:
        same = (np.isclose(one.margin, margins[one.score]) for one in kept.targets.values())
        if all(same):
            return kept
    runs = [run for run in runs if run.name in outcomes.tables]
    by_target: dict[str, list[Run]] = {}
    for run in runs:
        by_target.setdefault(run.target, []).append(run)
    n_steps, done = len(runs) + 2 * len(by_target), 0

    def step() -> None:
        nonlocal done
        done += 1
        if progress:
            progress(done, n_steps)

    targets = {name: _of_target(outcomes, by_target[name], margins, seed, step) for name in sorted(by_target)}
    Evidence(of=hashes, seed=seed, targets=targets).save(folder)
    return Evidence.load(folder)  # as any later report will see it, to the last digit


def target_of(run: Run) -> Target:
    """Return the target of a run: a known one, or the classes that the run has."""
    known = TARGETS.get(run.target)
    return known if known and tuple(run.classes) == known.classes else Target(run.target, tuple(run.classes))


def compare_runs(
    before: Path, after: Path, runs: Mapping[str, Target], *, seed: int = 0
) -> dict[str, Difference]:
    """Return how each run of a later comparison compares with the run of its name in an earlier one.

    Args:
        before: folder of the earlier one.
        after: of the later one.
        runs: name of each run that both have → its target.
        seed: what chance comes from.

    Returns:
        Name of the run → the difference, a gain above 0 where the later one is better; p-values are adjusted
        for all of them together. Without runs whose predictions are not at hand, of no common face, or that
        relabelled() names.
    """
    found, persons = {}, []
    apart = relabelled(before, after, list(runs))
    for name, target in runs.items():
        common = _of_both(before, after, name)
        if name not in apart and common is not None and len(common["after"]):
            found[name] = _differences(target, common, seed)[0]
            gains = _errors(target, common["before"]) - _errors(target, common["after"])
            persons.append((common["after"][["face_id", "subject"]], gains))
    tested = sign_flip(*side_by_side(_same_persons(persons)), seed=seed)
    return {
        name: replace(one, adjusted=float(p), limit=tested.limit)
        for (name, one), p in zip(found.items(), tested.adjusted, strict=True)
    }


def relabelled(before: Path, after: Path, names: Sequence[str]) -> dict[str, str]:
    """Return which runs of two comparisons were scored on other labels or persons, and what differs.

    The later run would look better or worse because its labels are others, not because the model is.

    Args:
        before: folder of the earlier one.
        after: of the later one.
        names: of runs that both have.
    """
    apart = {}
    for name in names:
        common = _of_both(before, after, name)
        if common is None:
            continue
        n = len(common["after"])
        changed = int((common["after"]["true"] != common["before"]["true"]).sum())
        pairs = np.stack([common[side]["subject"].to_numpy() for side in ("after", "before")], axis=1)
        n_subjects = {len(np.unique(column)) for column in pairs.T} | {len(np.unique(pairs, axis=0))}
        if changed:
            apart[name] = f"labels of {changed:,} of its {n:,} common faces have changed in between"
        elif len(n_subjects) > 1:
            apart[name] = "who is the same subject has changed in between"
    return apart


def _of_both(before: Path, after: Path, name: str) -> dict[str, pd.DataFrame] | None:
    """Return the later and the earlier predictions of a run for the faces of both; None where they lack."""
    paths = [folder / "predictions" / f"{name}.parquet" for folder in (after, before)]
    if not all(path.is_file() for path in paths):
        return None
    later, earlier = map(read_predictions, paths)
    if "subject" not in later or "subject" not in earlier:  # written by an older version
        return None
    return _common({"after": later, "before": earlier}, "face_id")


def _same_persons(
    members: Sequence[tuple[pd.DataFrame, NDArray[np.float64]]],
) -> list[tuple[NDArray[np.intp], NDArray[np.float64]]]:
    """Number the persons of several tables alike: those who share a face are the same.

    The tables' own numbers are of the manifest that each run was fitted on, which may have changed since.

    Args:
        members: of each table, its columns face_id and subject, and a number on each face.

    Returns:
        Of each table, the person on each face, and the same number.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if not members:
        return []
    faces = pd.concat([table for table, _ in members], keys=range(len(members)), names=["member", None])
    subject = faces.groupby(["member", "subject"]).ngroup().to_numpy()
    face = pd.factorize(faces["face_id"])[0] + subject.max() + 1
    n_nodes = int(face.max()) + 1
    links = coo_array((np.ones(len(face), bool), (subject, face)), shape=(n_nodes, n_nodes))
    person = connected_components(links, directed=False)[1].astype(np.intp)[subject]
    ends = np.cumsum([len(table) for table, _ in members])[:-1]
    return [(own, values) for own, (_, values) in zip(np.split(person, ends), members, strict=True)]


def _common(tables: Mapping[str, pd.DataFrame], key: str = "row") -> dict[str, pd.DataFrame]:
    """Return the rows of the faces that all tables have, in one order."""
    shared = set.intersection(*(set(table[key]) for table in tables.values()))
    return {
        name: table[table[key].isin(shared)].sort_values(key, ignore_index=True)
        for name, table in tables.items()
    }


def _of_target(
    outcomes: Outcomes,
    runs: Sequence[Run],
    margins: Mapping[str, float],
    seed: int,
    step: Callable[[], None],
) -> TargetEvidence:
    target, tables = target_of(runs[0]), {run.name: outcomes.tables[run.name] for run in runs}
    score = "mae_years" if target.is_regression else "exact"
    estimates = {}
    for run in runs:
        estimates[run.name] = _estimates(target, tables[run.name], seed)
        step()
    common = _common(tables)
    anyone = next(iter(common.values()))
    subjects = anyone["subject"].to_numpy()
    differences = _differences(target, common, seed) if len(runs) > 1 and len(anyone) else ()
    ranked, mean_ranks = _ranks(target, common)
    step()
    trained = [run for run in runs if not run.is_baseline] or list(runs)
    best = _best(trained, score)
    slices = _slices(outcomes, target, tables[best], seed)
    step()
    return TargetEvidence(
        score=score,
        n_faces=len(anyone),
        n_subjects=len(np.unique(subjects)),
        effective_subjects=effective_subjects(subjects),
        estimates=estimates,
        differences=differences,
        margin=margins[score],
        trades=_trades(target, trained, best, common, differences, margins[score], seed),
        ranked=ranked,
        ranks=mean_ranks,
        sliced=best,
        slices=slices,
        limits=_limits(tables[best], seed) if target.is_regression else (),
        confidence=_confidence(target, tables[best], seed),
        coverage=_coverage(outcomes, target, tables[best]),
    )


def _best(runs: Sequence[Run], score: str) -> str:
    """Return the name of the best run, by the mean over the folds that the report ranks by."""

    def badness(run: Run) -> tuple[bool, float, str]:
        mean = run.scores.get(score, {}).get("mean")
        if mean is None or not np.isfinite(mean):
            return True, 0.0, run.name
        return False, (mean if score == "mae_years" else -mean), run.name

    return min(runs, key=badness).name


def _estimates(target: Target, table: pd.DataFrame, seed: int) -> dict[str, Estimate]:
    """Return every score of one run whose interval can be found from sums."""
    subjects = table["subject"].to_numpy()
    if target.is_regression:
        errors = _errors(target, table)
        return {"mae_years": _mean(errors, subjects, seed)}
    n_classes = len(target.classes)
    true, proba, _ = _classes(target, table)
    said = target.encode(list(table["predicted"]))
    found = {}
    if n_classes > MOST_LABELS:
        found["exact"] = _mean((true == said).astype(float), subjects, seed)
    else:
        codes, n_subjects = _codes(subjects)
        cells = cells_of(true, said, n_classes)
        kinds, cells = np.unique(cells, return_inverse=True)  # most mistakes are never made
        of_each = np.bincount(codes * len(kinds) + cells, minlength=n_subjects * len(kinds))
        sums = resampled_sums(of_each.reshape(n_subjects, len(kinds)).astype(float), seed=seed)

        def counts(of_kinds: NDArray[np.float64]) -> NDArray[np.float64]:
            whole = np.zeros((*of_kinds.shape[:-1], n_classes * (n_classes + 1)))
            whole[..., kinds] = of_kinds
            return whole.reshape(*of_kinds.shape[:-1], n_classes, n_classes + 1)

        real = from_counts(counts(np.bincount(cells).astype(float)), ordered=target.ordered)
        drawn = from_counts(counts(sums), ordered=target.ordered)
        for name, value in real.items():
            if np.isfinite(value):
                found[name] = _estimate(float(value), interval(drawn[name]))
    found["log_loss"] = _mean(log_losses(true, proba), subjects, seed)
    if target.ordered:
        found["ranked_probability"] = _mean(ranked_probabilities(true, proba), subjects, seed)
    return found


def _differences(target: Target, tables: Mapping[str, pd.DataFrame], seed: int) -> tuple[Difference, ...]:
    names = sorted(tables)
    table = tables[names[0]]
    subjects, folds = table["subject"].to_numpy(), table["fold"].to_numpy()
    # What is lost on each face, so that less is better for years and classes alike.
    losses = np.stack([_errors(target, tables[name]) for name in names], axis=1)
    pairs = list(combinations(range(len(names)), 2))
    of_each = per_subject(np.concatenate([losses, np.ones((len(losses), 1))], axis=1), subjects)
    tested = sign_flip(of_each[:, :-1], pairs, seed=seed)
    sums = resampled_sums(of_each, seed=seed)
    means = sums[:, :-1] / sums[:, -1:]
    by_fold = _by_fold(losses, folds)
    n_test = len(losses) / len(by_fold)
    found = []
    for number, (i, j) in enumerate(pairs):
        between = interval(means[:, j] - means[:, i])
        second_opinion = corrected_t(by_fold[:, j] - by_fold[:, i], len(losses) - n_test, n_test)
        third = None if target.is_regression else mcnemar(losses[:, i] == 0, losses[:, j] == 0, subjects)
        found.append(
            Difference(
                first=names[i],
                second=names[j],
                gain=float(losses[:, j].mean() - losses[:, i].mean()),
                low=between.low,
                high=between.high,
                p_value=float(tested.p_values[number]),
                adjusted=float(tested.adjusted[number]),
                limit=tested.limit,
                by_folds=second_opinion if np.isfinite(second_opinion) else None,
                by_photographs=third.p_value if third else None,
                only_first=third.only_first if third else None,
                only_second=third.only_second if third else None,
            )
        )
    return tuple(found)


def _trades(
    target: Target,
    trained: Sequence[Run],
    best: str,
    tables: Mapping[str, pd.DataFrame],
    differences: Sequence[Difference],
    margin: float,
    seed: int,
) -> tuple[Trade, ...]:
    """Return what each trained model that is clearly cheaper than the best one loses against it."""
    times = {run.name: time for run in trained if (time := milliseconds(run)) is not None}
    machine = {run.name: timed_on(run) for run in trained}

    def is_cheaper(name: str, than: str) -> bool:
        return (
            name in times
            and than in times
            and machine[name] == machine[than]
            and times[name] * CLEARLY <= times[than]
        )

    names = [run.name for run in trained]
    # Which model comes out best is chance too: tested is each that could have stood beside another best one.
    candidates = [
        number for number, name in enumerate(names) if any(is_cheaper(name, other) for other in names)
    ]
    if not any(is_cheaper(name, best) for name in names) or not differences:
        return ()
    losses = np.stack(
        [_errors(target, tables[name]) for name in names] + [np.ones(len(tables[best]))], axis=1
    )
    of_each = per_subject(losses, tables[best]["subject"].to_numpy())
    tested = non_inferior(of_each[:, :-1], of_each[:, -1], candidates, margin=margin, seed=seed)
    of_pair = {(one.first, one.second): (one.gain, one.low, one.high) for one in differences}
    of_pair |= {
        (second, first): (-gain, -high, -low) for (first, second), (gain, low, high) in of_pair.items()
    }
    found = []
    for number, p in zip(candidates, tested.adjusted, strict=True):
        if is_cheaper(names[number], best):
            loss, low, high = of_pair[best, names[number]]
            found.append(
                Trade(
                    name=names[number],
                    milliseconds=times[names[number]],
                    best_milliseconds=times[best],
                    loss=loss,
                    low=low,
                    high=high,
                    p_value=float(p),
                    limit=tested.limit,
                    is_within=bool(p <= ALPHA),
                )
            )
    return tuple(sorted(found, key=lambda one: (one.milliseconds, one.name)))


def _ranks(target: Target, tables: Mapping[str, pd.DataFrame]) -> tuple[tuple[str, ...], Ranks | None]:
    """Return the names in the order of their mean ranks over the folds, and these, where there are enough."""
    names = sorted(tables)
    folds = tables[names[0]]["fold"].to_numpy()
    losses = np.stack([_errors(target, tables[name]) for name in names], axis=1)
    found = ranks(-_by_fold(losses, folds)) if len(losses) else None
    if found is None:
        return (), None
    order = sorted(range(len(names)), key=found.mean.__getitem__)
    return tuple(names[i] for i in order), replace(found, mean=tuple(found.mean[i] for i in order))


def _by_fold(losses: NDArray[np.float64], folds: NDArray[Any]) -> NDArray[np.float64]:
    """Return the mean losses of each fold, shape (n_folds, n_models)."""
    return np.stack([losses[folds == number].mean(axis=0) for number in np.unique(folds)])


def _slices(outcomes: Outcomes, target: Target, table: pd.DataFrame, seed: int) -> tuple[Slice, ...]:
    """Return how faces of each label, and of two labels together, are read; worst first."""
    own, columns = _labels(outcomes, table)
    errors, subjects = _errors(target, table), table["subject"].to_numpy()
    labels = {name: own[name].to_numpy(dtype=str) for name in columns}
    found: list[Slice] = []
    tested, members = [], []
    for names in [(name,) for name in columns] + _combined(labels):
        for wanted in sorted(set(zip(*(labels[name] for name in names), strict=True))):
            if "" in wanted:
                continue
            chosen = np.all([labels[name] == one for name, one in zip(names, wanted, strict=True)], axis=0)
            n_subjects = len(np.unique(subjects[chosen]))
            is_enough = n_subjects >= FEWEST
            if not is_enough and not {*names} <= {"gender", "age_group"} and len(names) > 1:
                continue  # most combinations with a column of the user's own are of nearly nobody
            alone = [(labels[name] == one).sum() for name, one in zip(names, wanted, strict=True)]
            if len(names) > 1 and chosen.sum() in alone:
                continue  # a label that says what another one says makes no smaller group
            shown = errors[chosen] if target.is_regression else 1 - errors[chosen]
            if is_enough and len(np.unique(subjects[~chosen])) >= FEWEST:
                tested.append(len(found))
                members.append(chosen)
            found.append(
                Slice(
                    columns=names,
                    labels=tuple(map(str, wanted)),
                    n_faces=int(chosen.sum()),
                    n_subjects=n_subjects,
                    estimate=_mean(shown, subjects[chosen], seed) if is_enough else None,
                )
            )
    if members:
        gaps, p_values = slice_gaps(errors, subjects, np.stack(members, axis=1), seed=seed)
        for number, gap, p in zip(tested, gaps, p_values, strict=True):
            found[number] = replace(found[number], gap=-float(gap), gap_p=float(p))

    def badness(one: Slice) -> tuple[bool, float]:
        value = one.estimate.value if one.estimate else 0.0
        return one.estimate is None, (-value if target.is_regression else value)

    return tuple(sorted(found, key=badness))


def _combined(labels: Mapping[str, NDArray[np.str_]]) -> list[tuple[str, ...]]:
    """Return which columns are looked at together: gender and age group, and own columns with each."""
    known = [name for name in ("gender", "age_group") if name in labels]
    few = [name for name, of in labels.items() if name not in known and len({*of} - {""}) <= MOST_COMBINED]
    both: list[tuple[str, ...]] = [("gender", "age_group")] if len(known) == 2 else []
    return both + [(name, one) for name in known for one in few]


def _confidence(target: Target, table: pd.DataFrame, seed: int) -> Confidence | None:
    if target.is_regression or not _can_be_fitted(table):
        return None
    y, proba, subjects = _classes(target, table)
    calibrated, temperatures = cross_fitted(proba, y, table["fold"].to_numpy(np.intp), subjects)
    risks = risk_coverage(proba.max(axis=1), proba.argmax(axis=1) != y)
    return Confidence(
        temperature=float(np.mean(list(temperatures.values()))),
        before=expected_calibration_error(proba, y, subjects, seed=seed),
        after=expected_calibration_error(calibrated, y, subjects, seed=seed),
        bins=reliability(proba, y),
        risks=tuple(risks.risk_at(share) for share in SHARES),
    )


def _coverage(outcomes: Outcomes, target: Target, table: pd.DataFrame) -> tuple[tuple[str, Coverage], ...]:
    """Return how often answers hold the truth: of all faces under "", and of each label under its column."""
    if not _can_be_fitted(table):
        return ()
    folds, subjects = table["fold"].to_numpy(np.intp), table["subject"].to_numpy()
    answers: NDArray[Any]
    y: NDArray[Any]
    if target.is_regression:
        y, years = table["true"].to_numpy(float), table["predicted"].to_numpy(float)
        answers = cross_fitted_ranges(years, y, folds, subjects, alpha=MISSED)
    else:
        y, proba, _ = _classes(target, table)
        answers = cross_fitted_sets(
            proba, y, folds, subjects, alpha=MISSED, ordered=target.ordered, per_class=True
        )
    own, columns = _labels(outcomes, table)
    bands = _age_bands(own["age"].to_numpy(float))
    labels_of = {name: own[name].to_numpy(dtype=str) for name in columns}
    if (bands != "").any():  # they divide further what age groups divide, and leave no gap
        labels_of = {"age_band": bands, **{n: of for n, of in labels_of.items() if n != "age_group"}}
    found = [("", one) for one in coverage_by(np.full(len(y), "all faces"), answers, y, subjects)]
    for name, labels in labels_of.items():
        known = labels != ""
        if not known.any():  # nobody's, in a data set that names none
            continue
        of_column = coverage_by(labels[known], answers[known], y[known], subjects[known])
        natural = AGE_BANDS if name == "age_band" else TARGETS[name].classes if name in TARGETS else ()
        # In their natural order, else the alphabet's; what a known target does not allow comes last.
        place = {label: number for number, label in enumerate(natural or sorted(set(labels)))}
        of_column.sort(key=lambda one: place.get(one.label, len(place)))
        found += [(name, one) for one in of_column]
    return _adjusted(found)


# Adience's age groups, what lies between them, and decades from 60 on.
AGE_BANDS = (
    *("0-2", "3", "4-6", "7", "8-12", "13-14", "15-20", "21-24", "25-32", "33-37", "38-43"),
    *("44-47", "48-53", "54-59", "60-69", "70-79", "80 and older"),
)
_BAND_STARTS = (0, 3, 4, 7, 8, 13, 15, 21, 25, 33, 38, 44, 48, 54, 60, 70, 80)


def _age_bands(age: NDArray[np.float64]) -> NDArray[np.str_]:
    """Return the band of each age, "" where it is not known."""
    place = np.searchsorted(_BAND_STARTS, np.nan_to_num(age, nan=0.0), side="right") - 1
    return np.where(np.isfinite(age), np.array(AGE_BANDS)[np.maximum(place, 0)], "")


def _adjusted(found: Sequence[tuple[str, Coverage]]) -> tuple[tuple[str, Coverage], ...]:
    """Return coverages with p-values that hold for all labels together (Holm 1979).

    They come from an exact test and can be as small as they like, so that a number of labels times them loses
    nothing.
    """
    p_values = [one.p_value for _, one in found if one.p_value is not None]
    order = sorted(p_values)
    steps = np.minimum(np.maximum.accumulate(np.array(order) * np.arange(len(order), 0, -1)), 1.0)
    adjusted = dict(
        zip(reversed(order), reversed(steps.tolist()), strict=True)
    )  # of equal ones the first step
    return tuple(
        (name, one if one.p_value is None else replace(one, p_value=adjusted[one.p_value]))
        for name, one in found
    )


def _can_be_fitted(table: pd.DataFrame) -> bool:
    """Whether each fold has faces of other subjects in other folds, to fit something for it on."""
    folds, subjects = table["fold"].to_numpy(), table["subject"].to_numpy()
    return all(
        bool((~np.isin(subjects, subjects[folds == number]) & (folds != number)).any())
        for number in np.unique(folds)
    )


def _classes(
    target: Target, table: pd.DataFrame
) -> tuple[NDArray[np.intp], NDArray[np.float64], NDArray[Any]]:
    """Return the class numbers, the probabilities and the persons of a run's predictions."""
    proba = table[[f"p_{label}" for label in target.classes]].to_numpy(float)
    return target.encode(list(table["true"])), proba, table["subject"].to_numpy()


def _labels(outcomes: Outcomes, table: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Return the labels of the faces of a table, and the columns that faces are sliced by."""
    own = outcomes.of_faces(table)
    return own, [str(name) for name in own.columns if name != "age"]


def _limits(table: pd.DataFrame, seed: int) -> tuple[Limit, ...]:
    true, said = table["true"].to_numpy(float), table["predicted"].to_numpy(float)
    subjects = table["subject"].to_numpy()
    found = []
    for limit in LIMITS:
        older = true >= limit  # the limit belongs to the older
        sides = []
        for side, wrong in ((~older, said >= limit), (older, said < limit)):
            enough = len(np.unique(subjects[side])) >= FEWEST
            sides.append(_mean(wrong[side].astype(float), subjects[side], seed) if enough else None)
        found.append(
            Limit(
                limit=limit,
                n_younger=int((~older).sum()),
                n_older=int(older.sum()),
                called_older=sides[0],
                called_younger=sides[1],
            )
        )
    return tuple(found)


def _errors(target: Target, table: pd.DataFrame) -> NDArray[np.float64]:
    """Return what is lost on each face: years, or 1 for a wrong class."""
    if target.is_regression:
        lost = (table["true"] - table["predicted"]).abs()
    else:
        lost = table["true"] != table["predicted"]
    return lost.to_numpy(float)


def _mean(values: NDArray[np.float64], subjects: NDArray[Any], seed: int) -> Estimate:
    """Return the mean over faces, with its interval over persons."""
    of_each = per_subject(np.stack([values, np.ones(len(values))], axis=1), subjects)
    found = bootstrap(of_each, lambda sums: sums[:, 0] / sums[:, 1], seed=seed)
    return _estimate(float(values.mean()), found)


def _estimate(value: float, between: Interval) -> Estimate:
    return Estimate(value, between.low, between.high)


def _codes(subjects: NDArray[Any]) -> tuple[NDArray[np.intp], int]:
    codes = np.unique(subjects, return_inverse=True)[1]
    return codes, int(codes.max()) + 1


def _target_from(content: dict[str, Any]) -> TargetEvidence:
    def estimate(one: Mapping[str, float] | None) -> Estimate | None:
        return Estimate(**one) if one else None

    slices = [
        Slice(
            **{
                **one,
                "columns": tuple(one["columns"]),
                "labels": tuple(one["labels"]),
                "estimate": estimate(one["estimate"]),
            }
        )
        for one in content.pop("slices")
    ]
    limits = [
        Limit(**{**one, **{side: estimate(one[side]) for side in ("called_older", "called_younger")}})
        for one in content.pop("limits")
    ]
    estimates = {
        run: {score: Estimate(**one) for score, one in scores.items()}
        for run, scores in content.pop("estimates").items()
    }
    differences = tuple(Difference(**one) for one in content.pop("differences"))
    trades = tuple(Trade(**one) for one in content.pop("trades"))
    ranked, mean_ranks = tuple(content.pop("ranked")), content.pop("ranks")
    if mean_ranks:
        mean_ranks = Ranks(**{**mean_ranks, "mean": tuple(mean_ranks["mean"])})
    confidence = content.pop("confidence")
    if confidence:
        errors = {name: CalibrationError(**confidence[name]) for name in ("before", "after")}
        bins = tuple(Bin(**one) for one in confidence["bins"])
        confidence = Confidence(**{**confidence, **errors, "bins": bins, "risks": tuple(confidence["risks"])})
    coverage = tuple(
        (column, Coverage(**{**one, "between": Interval(**one["between"]) if one["between"] else None}))
        for column, one in content.pop("coverage")
    )
    return TargetEvidence(
        **content,
        estimates=estimates,
        differences=differences,
        trades=trades,
        ranked=ranked,
        ranks=mean_ranks,
        slices=tuple(slices),
        limits=tuple(limits),
        confidence=confidence,
        coverage=coverage,
    )
