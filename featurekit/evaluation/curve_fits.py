"""Fit models on growing parts of the training subjects, to see whether more faces would help.

The parts are nested: the subjects of a sixteenth are also in the eighth. All parts are scored on the same
test faces as the run itself, which is the last point of the curve and is not fitted again.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurekit.cache.store import Store
from featurekit.data.manifest import Manifest
from featurekit.data.splits import Fold, FoldSet
from featurekit.data.targets import Target
from featurekit.embeddings.index import Ledger
from featurekit.embeddings.recipe import row_keys
from featurekit.embeddings.vectors import Vectors, faces_recipe, row_statuses
from featurekit.errors import WorkspaceError
from featurekit.estimators import Resources, fresh
from featurekit.evaluation.comparable import scored_on
from featurekit.evaluation.comparison import Comparison, LatestVectors, in_order
from featurekit.evaluation.cross_validation import FoldFits
from featurekit.evaluation.data_curve import CurveFile
from featurekit.evaluation.examples import Examples, examples_of, labels_of
from featurekit.evaluation.fitting import Fitting, may_take
from featurekit.evaluation.out_of_fold import OutOfFold, predictions_of
from featurekit.evaluation.outcomes import from_predictions
from featurekit.evaluation.plan_fits import Count, rough_seconds
from featurekit.evaluation.planning import Plan, has_curve
from featurekit.evaluation.provenance import as_parameters, packages_now, versions
from featurekit.evaluation.queue import Batch, Fit, run_batches
from featurekit.evaluation.results import NOT_SAVED, Run, run_name
from featurekit.evaluation.scores import score, summarize
from featurekit.faces.face import STATUSES
from featurekit.networks.engines import usable_cores
from featurekit.progress import Progress
from featurekit.project import ComparisonFolder
from featurekit.threads import one_blas_thread

# The parts of the training subjects: a sixteenth, an eighth, … The whole is the run itself.
PARTS = (16, 8, 4, 2)
# Subjects of each class that a part must have in every fold; three if parameters are searched for, because
# the search has three inner folds. A part of a regression target has at least so many subjects.
FEWEST, FEWEST_TUNED, FEWEST_FOR_AGES = 2, 3, 10


def nested_folds(
    folds: Sequence[Fold],
    y: NDArray[Any],
    subjects: NDArray[Any],
    one_in: int,
    *,
    is_regression: bool,
    seed: int,
) -> list[Fold]:
    """Return the folds with a part of the subjects in the training part, and the same test part.

    The subjects of each class are shuffled, and the classes are mixed in their proportions, so that the
    shares of the classes are the same in each part, as far as whole subjects allow.

    Args:
        folds: the folds.
        y: class number, or age, of each row, shape (n,).
        subjects: subject of each row, shape (n,).
        one_in: 16 for a sixteenth of the training subjects, rounded up; 1 for all.
        is_regression: whether y has ages, which do not decide which subjects are in a part.
        seed: seed of the random number generator; the parts of the same seed are nested.
    """
    parts = []
    for number, fold in enumerate(folds):
        names, first = np.unique(subjects[fold.train], return_index=True)
        rng = np.random.default_rng([seed, number])
        classes = np.zeros(len(names)) if is_regression else y[fold.train][first]
        place = np.empty(len(names))
        for label in np.unique(classes):
            own = np.flatnonzero(classes == label)
            place[rng.permutation(own)] = (np.arange(len(own)) + rng.random()) / len(own)
        chosen = names[np.argsort(place, kind="stable")[: -(-len(names) // one_in)]]
        parts.append(Fold(fold.train[np.isin(subjects[fold.train], chosen)], fold.test))
    return parts


def parts_of(
    folds: Sequence[Fold],
    y: NDArray[Any],
    subjects: NDArray[Any],
    target: Target,
    *,
    tune: bool,
    seed: int,
) -> list[int]:
    """Return the parts in which every fold trains on enough subjects, from the smallest.

    Args:
        folds: the folds.
        y: class number, or age, of each row, shape (n,).
        subjects: subject of each row, shape (n,).
        target: the target.
        tune: whether parameters are searched for.
        seed: seed with which the parts are made.
    """

    def fewest(fold: Fold) -> int:
        if target.is_regression:
            return len(np.unique(subjects[fold.train]))
        labels = y[fold.train]
        return min(
            len(np.unique(subjects[fold.train][labels == label])) if (labels == label).any() else 0
            for label in np.unique(y)
        )

    needed = FEWEST_FOR_AGES if target.is_regression else FEWEST_TUNED if tune else FEWEST
    made = {
        one_in: nested_folds(folds, y, subjects, one_in, is_regression=target.is_regression, seed=seed)
        for one_in in PARTS
    }
    return [one_in for one_in, parts in made.items() if min(map(fewest, parts)) >= needed]


@dataclass(eq=False, kw_only=True)
class _CurveFits:
    """The fits of the missing parts of one curve.

    Attributes:
        run: the run, which is the last point of the curve.
        plan: its plan.
        manifest: the manifest as the run has seen it.
        fold_set: the folds of the comparison.
        missing: the parts to fit.
        file: where they are stored.
        vectors: loads the vectors.
        fitting: settings of the fits.
        jobs: largest number of fits at the same time.
        count: counts the fits.
    """

    run: Run
    plan: Plan
    manifest: Manifest
    fold_set: FoldSet
    missing: Sequence[int]
    file: CurveFile
    vectors: Callable[[], Vectors]
    fitting: Fitting
    jobs: int
    count: Count
    _lock: Lock = field(default_factory=Lock)

    def open(self) -> list[Fit]:
        """Load the vectors, and return the fits of all missing parts."""
        vectors, target = self.vectors(), self.plan.target
        examples = examples_of(self.manifest, self.plan, vectors)
        folds = examples.folds(self.fold_set)
        self._left: dict[int, tuple[FoldFits, int]] = {}
        fits: list[Fit] = []
        for one_in in self.missing:
            parts = nested_folds(
                folds,
                examples.y,
                examples.subjects,
                one_in,
                is_regression=target.is_regression,
                seed=self.fitting.seed,
            )
            of = FoldFits(
                kind=self.plan.kind,
                target=target,
                X=examples.X,
                y=examples.y,
                subjects=examples.subjects,
                folds=parts,
                fitting=replace(self.fitting, blocks=vectors.blocks),
                also={},
                jobs=self.jobs,
                seconds=partial(self._seconds, sum(vectors.blocks)),
                done=partial(self._one_done, one_in, examples),
            )
            self._left[one_in] = (of, len(parts))
            fits += of.each()
        return fits

    def batch(self) -> Batch:
        """Return the fits as a batch of the queue."""
        return Batch(open=self.open, seconds=self.seconds, bytes=self.run.n_tested * self.run.dim * 4)

    @property
    def seconds(self) -> float:
        """Rough duration of all fits on one thread."""
        n_rows = self.run.n_tested
        each = (self._seconds(self.run.dim, n_rows // one_in) for one_in in self.missing)
        return self.fold_set.n_folds * sum(each)

    def _seconds(self, dim: int, n_rows: int) -> float:
        kind, tune = self.plan.kind, self.fitting.tune
        return rough_seconds(kind, n_rows, dim, len(self.plan.target.classes), tune=tune)

    def _one_done(self, one_in: int, examples: Examples) -> None:
        """Count a fit; the last one of a part stores the part."""
        self.count.fit_done()
        with self._lock:
            of, n_left = self._left[one_in]
            self._left[one_in] = (of, n_left - 1)
            if n_left > 1:
                return
            target, out = self.plan.target, of.together()
            per_fold = [
                score(target, examples.y[out.fold == number], out.predicted[out.fold == number])
                for number in range(len(of.folds))
            ]
            summary = summarize(per_fold)["mae_years" if target.is_regression else "accuracy"]
            table = _outcomes(self.manifest, target, examples, out)
            self.file.add(one_in, table, summary, **training_sizes(of.folds, examples.subjects))
            del self._left[one_in]


def training_sizes(folds: Sequence[Fold], subjects: NDArray[Any]) -> dict[str, float]:
    """Return the means over the folds of the numbers of training faces and of training subjects."""
    return {
        "n_faces": float(np.mean([len(fold.train) for fold in folds])),
        "n_subjects": float(np.mean([len(np.unique(subjects[fold.train])) for fold in folds])),
    }


def _outcomes(manifest: Manifest, target: Target, examples: Examples, out: OutOfFold) -> pd.DataFrame:
    """Return the predictions with row numbers, without names and without probabilities."""
    table = predictions_of(manifest, target, examples.rows, examples.y, out)
    table.insert(0, "row", examples.rows[out.fold >= 0].astype(np.int32))
    table["subject"], table["fold"] = table["subject"].astype(np.int32), table["fold"].astype(np.int16)
    return table[["row", "subject", "fold", "true", "predicted"]]


def stored_runs(
    comparison: Comparison,
    plans: Sequence[Plan],
    ledger: Ledger,
    store: Store,
    *,
    tune: bool,
    device: str | None,
    models: Path | None,
) -> dict[int, Run]:
    """Return the runs that need not be fitted again, by the number of their plan.

    These are runs of the same plan with the same folds, labels, subjects, faces, vectors, parameters and
    versions, whose predictions and, if it is to be saved, whose model are there.

    Args:
        comparison: the comparison.
        plans: the plans that were asked for.
        ledger: record of the extracted features.
        store: store that contains the vectors.
        tune: whether parameters are searched for.
        device: device that was asked for; None for any.
        models: folder of saved models; None if no model is to be saved.
    """
    if comparison.is_new:
        return {}
    files, found = ComparisonFolder(comparison.folder), {}
    face_rows = _rows_with_faces(comparison.manifest, ledger, store)
    for number, one in enumerate(plans):
        tuned = tune and one.kind.grid is not None
        name = run_name(one.target.name, one.feature_name, one.kind.name, tuned, one.parameters)
        if not (files.run(name).is_file() and files.prediction(name).is_file()):
            continue
        run = Run.load(files.run(name))
        seen = run.seen(comparison.manifest)
        target = seen.target(run.target)
        tested = face_rows & seen.labelled(target) & (comparison.folds.numbers >= 0)
        is_same = (
            run.scored_on == scored_on(seen, target, np.flatnonzero(tested))
            and run.folds.get("sha256") == comparison.folds.sha256
            and (run.seed, run.tuned, run.classes) == (comparison.seed, tuned, target.classes)
            and list(run.recipes) == _plain([asdict(ledger.recipes[part]) for part in one.reads])
            and dict(run.versions) == {**versions(), **packages_now(_plugins(run))}
            and (not one.kind.is_given or _has_parameters(run, one))
            and (device is None or _device_of(run) in (None, device))
        )
        if is_same and (models is None or _has_model(run, models)):
            found[number] = run
    return found


def _has_parameters(run: Run, one: Plan) -> bool:
    """Whether a run has the parameters of an estimator of the user's, which need not be in its name."""
    own = as_parameters(fresh(one.kind, one.target, parameters=one.parameters).shown_parameters())
    return all(run.parameters.get(key) == value for key, value in own.items() if key != "random_state")


def _device_of(run: Run) -> str | None:
    """Return the kind of the device that an estimator was fitted on; None if it has no choice."""
    device = run.parameters.get("device")
    return None if device is None else str(device).partition(":")[0]


def _plain(values: object) -> object:
    return as_parameters({"values": values})["values"]


def _plugins(run: Run) -> Mapping[str, str]:
    known = versions()
    return {name: version for name, version in run.versions.items() if name not in known}


def _has_model(run: Run, models: Path) -> bool:
    is_there = run.bytes_on_disk > 0 and (models / run.name / "model.json").is_file()
    return is_there or any(note.startswith(NOT_SAVED) for note in run.notes)


def _rows_with_faces(manifest: Manifest, ledger: Ledger, store: Store) -> NDArray[np.bool_]:
    faces = store.shelf("faces", faces_recipe(ledger.settings, ledger.recipes.values()))
    statuses = row_statuses(manifest, row_keys(manifest, ledger.settings), faces)
    return np.asarray(statuses == STATUSES.index("ok"))


def fit_curves(
    comparison: Comparison,
    runs: Sequence[Run],
    plans: Sequence[Plan],
    ledger: Ledger,
    store: Store,
    *,
    threads: int = 0,
    jobs: int = 0,
    progress: Progress | None = None,
    say: Callable[[str], None] | None = None,
) -> None:
    """Fit the missing parts of the curves of runs, and store each part as soon as it is fitted.

    Args:
        comparison: the comparison, with its folds saved.
        runs: the runs, which are the last points of the curves.
        plans: their plans; those for which has_curve() is not true are left out.
        ledger: record of the extracted features.
        store: store that contains the vectors.
        threads: number of threads to use; 0 for one per core.
        jobs: largest number of fits at the same time; 0 for one per thread.
        progress: called with (fits done, fits to do).
        say: called with each message for the user.

    Raises:
        WorkspaceError: no target has enough subjects for half of a training part.
    """
    threads = threads or usable_cores()
    files = _CurveFiles(comparison, _rows_with_faces(comparison.manifest, ledger, store), say)
    made, memory = [], may_take()
    vectors = LatestVectors(comparison.manifest, ledger, store)
    count = Count(0, progress or (lambda *_: None), lambda _: None)
    for run, asked in _pairs(runs, plans):
        seen = run.seen(comparison.manifest)
        plan = replace(asked, target=seen.target(run.target))
        file, missing = files.open(run, plan, seen)
        if file is None or not missing:
            continue
        count.n_fits += len(missing) * comparison.folds.n_folds
        made.append(
            _CurveFits(
                run=run,
                plan=plan,
                manifest=seen,
                fold_set=comparison.folds,
                missing=missing,
                file=file,
                vectors=partial(vectors.of, plan),
                fitting=_fitting(run, plan, Resources(threads=threads, memory=memory)),
                jobs=jobs or threads,
                count=count,
            )
        )
    files.check_any()
    batches = [made[i].batch() for i in in_order([one.plan for one in made], [one.seconds for one in made])]
    with one_blas_thread():
        run_batches(batches, threads=threads, jobs=jobs or threads, memory=memory)
    for file in files.opened:
        file.save()


def _fitting(run: Run, plan: Plan, resources: Resources) -> Fitting:
    """Return the settings with which a run was fitted."""
    return Fitting(
        features=plan.feature_name,
        fitted=plan.fitted,
        parameters=plan.parameters,
        seed=run.seed,
        tune=run.tuned,
        # An estimator that can use a GPU says on which device it was fitted.
        resources=replace(resources, device=_device_of(run)),
    )


def _pairs(runs: Sequence[Run], plans: Sequence[Plan]) -> list[tuple[Run, Plan]]:
    """Return each run that can have a curve, with its plan."""
    by_name = {run.name: run for run in runs}
    pairs = []
    for one in filter(has_curve, plans):
        for tuned in (False, True):
            name = run_name(one.target.name, one.feature_name, one.kind.name, tuned, one.parameters)
            if name in by_name:
                pairs.append((by_name[name], one))
    return pairs


class _CurveFiles:
    """Opens the files of curves, and finds the parts that are missing in each.

    Args:
        comparison: the comparison.
        has_face: whether a face was found in each row, shape (n_rows,).
        say: called with a message on each target whose smaller parts have too few subjects.
    """

    def __init__(
        self, comparison: Comparison, has_face: NDArray[np.bool_], say: Callable[[str], None] | None
    ) -> None:
        self._comparison, self._has_face, self._say = comparison, has_face, say or (lambda _: None)
        # What depends on the target alone: the parts, and the numbers of training faces and subjects.
        self._known: dict[tuple[str, bool], tuple[list[int], dict[str, float]]] = {}
        self.opened: list[CurveFile] = []

    def check_any(self) -> None:
        """Raise WorkspaceError if no run has enough subjects."""
        if not self.opened:
            raise WorkspaceError(
                "--learning-curve has no effect, because half of the subjects in a training part are too few"
                " to fit on. The models themselves are fitted and kept. Leave the option out, or use a data"
                " set with more subjects."
            )

    def open(self, run: Run, plan: Plan, seen: Manifest) -> tuple[CurveFile | None, list[int]]:
        """Return the file of a run, None if it has too few subjects, and the parts that are to be fitted."""
        key = (run.target, run.tuned)
        if key not in self._known:
            self._known[key] = self._parts(plan.target, seen, tune=run.tuned)
            _tell_of_parts(run.target, self._known[key][0], self._say)
        parts, sizes = self._known[key]
        folder = self._comparison.folder
        table = from_predictions(ComparisonFolder(folder).prediction(run.name), seen) if parts else None
        if table is None:
            return None, []
        file = CurveFile(folder, run, plan.target, table, **sizes)
        self.opened.append(file)
        return file, [one_in for one_in in parts if one_in not in file.known]

    def _parts(self, target: Target, seen: Manifest, *, tune: bool) -> tuple[list[int], dict[str, float]]:
        """Return the parts of a target with enough subjects, and the sizes of the whole training parts."""
        rows = np.flatnonzero(self._has_face & seen.labelled(target))
        y, labels = labels_of(seen, target, rows)
        folds = self._comparison.folds.folds(rows, labels, seen.subjects[rows])
        # Numbers are compared faster than names, and have their order.
        subjects = np.unique(seen.subjects[rows], return_inverse=True)[1]
        parts = parts_of(folds, y, subjects, target, tune=tune, seed=self._comparison.seed)
        return parts, training_sizes(folds, subjects)


def _tell_of_parts(target: str, parts: Sequence[int], say: Callable[[str], None]) -> None:
    """Say which parts of the training subjects are too small."""
    if not parts:
        say(f"{target} has no learning curve, because half of the training subjects are too few to fit on.")
    elif len(parts) < len(PARTS):
        say(
            f"The learning curve of {target} starts at 1/{parts[0]} of the training subjects, because smaller"
            " parts have too few subjects."
        )
