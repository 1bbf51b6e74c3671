"""A comparison of models: a folder, a manifest, and the folds that all of its runs share."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from math import isnan
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from featurekit.cache.store import Store
from featurekit.cluster import Cluster
from featurekit.data.manifest import Manifest
from featurekit.data.splits import FoldSet, make_fold_set
from featurekit.embeddings.index import Ledger
from featurekit.embeddings.recipe import Recipe, describe_weights, row_keys
from featurekit.embeddings.vectors import (
    Vectors,
    check_extracted,
    faces_recipe,
    row_statuses,
)
from featurekit.errors import ModelError, WorkspaceError
from featurekit.estimators import Resources
from featurekit.estimators._threads import one_blas_thread
from featurekit.estimators.given import HOW_TO_SAVE, NO_PROBABILITIES
from featurekit.evaluation.comparable import scored_on
from featurekit.evaluation.examples import Examples, vectors_of
from featurekit.evaluation.final_fit import final_model
from featurekit.evaluation.fitting import Fitting, may_take
from featurekit.evaluation.out_of_fold import OutOfFold, confusion_of, predictions_of, scores_of
from featurekit.evaluation.plan_fits import Count, PeakMemory, PlanFits, rough_seconds
from featurekit.evaluation.planning import Plan
from featurekit.evaluation.provenance import made_with, now, parameters_of
from featurekit.evaluation.queue import Batch, run_batches
from featurekit.evaluation.readiness import RARE, check_networks, make_ready
from featurekit.evaluation.replaced import forget, how_to_have_back, set_aside
from featurekit.evaluation.results import NOT_SAVED, Run
from featurekit.faces.face import STATUSES
from featurekit.inference.model import TrainedModel
from featurekit.networks.backbones import BACKBONES
from featurekit.networks.engines import resolve, usable_cores
from featurekit.networks.engines.torch import keep_memory
from featurekit.progress import Progress
from featurekit.project import ComparisonFolder


@dataclass(frozen=True)
class _Shared:
    """What all fits of one Comparison.run() have in common.

    Attributes:
        ledger: what has been extracted and how.
        store: where the vectors are.
        statuses: status of each row of the manifest, shape (n_rows,).
        models: where classifiers fitted on all faces are saved; None to fit none.
        jobs: largest number of fits at the same time.
        cluster: where classifiers are fitted; None for this process.
        command: the command line, for the record.
        say: called with each message for the user.
    """

    ledger: Ledger
    store: Store
    statuses: NDArray[np.uint8]
    models: Path | None
    jobs: int
    cluster: Cluster | None
    command: str
    say: Callable[[str], None]


@dataclass(frozen=True)
class Comparison:
    """A comparison of models: a folder, a manifest, and the folds that all of its runs share.

    Attributes:
        folder: reports/<name>/.
        manifest: manifest of the faces.
        folds: the fold in which each subject is tested.
        seed: seed of the random number generator; the folds were made with the same seed.
        is_new: whether the folds have just been made and are not saved yet.
        replaces: whether run() replaces all files in the folder.
    """

    folder: Path
    manifest: Manifest
    folds: FoldSet
    seed: int
    is_new: bool = False
    replaces: bool = False

    @classmethod
    def open(
        cls,
        folder: Path,
        manifest: Manifest,
        *,
        n_folds: int | None = None,
        seed: int | None = None,
        new_folds: bool = False,
    ) -> "Comparison":
        """Open a comparison with the folds that are saved in its folder, or with new ones.

        New folds are the official ones of the data set, if it has any. Nothing is written: run() saves new
        folds after everything has been checked.

        Args:
            folder: reports/<name>/.
            manifest: manifest of the faces.
            n_folds: number of folds; None for the number of saved folds, or 5.
            seed: seed of the random number generator; None for the seed of saved folds, or 0.
            new_folds: whether to make new folds even if the folder contains saved ones.

        Raises:
            FoldError: there are too few subjects, or the saved folds have other rows, another number of folds
                or another seed.
        """
        path = ComparisonFolder(folder).folds
        is_new = new_folds or not path.is_file()
        if is_new:
            asked = {} if n_folds is None else {"n_folds": n_folds}
            folds = make_fold_set(folder.name, manifest, seed=seed or 0, **asked)
        else:
            folds = FoldSet.load(path)
            folds.check_rows(manifest.table["face_id"].to_numpy(dtype=str), folder)
        folds.check_asked(folder, n_folds=n_folds, seed=seed)
        return cls(folder, manifest, folds, folds.seed, is_new, replaces=new_folds)

    def run(
        self,
        plans: Sequence[Plan],
        ledger: Ledger,
        store: Store,
        *,
        models_folder: Path | None,
        threads: int = 0,
        tune: bool = False,
        jobs: int = 1,
        device: str | None = None,
        checkpoints: Path | None = None,
        cluster: Cluster | None = None,
        command: str = "",
        rare: str = RARE[0],
        skip: bool = False,
        progress: Progress | None = None,
        say: Callable[[str], None] | None = None,
        watch: Callable[[str], None] | None = None,
    ) -> list[Run]:
        """Run every plan, save each run as soon as it is done, and return them in the order of the plans.

        Everything is checked before anything is written. If new folds replace a comparison, its files are
        moved to replaced-<time>/ in its folder and deleted when all plans have been run.

        Args:
            plans: plans to run, as from plan().
            ledger: record of the extracted features and their settings.
            store: store that contains the vectors.
            models_folder: folder in which classifiers fitted on all faces are saved; None to fit none.
            threads: number of threads to use; 0 for one per core.
            tune: whether every fold searches for parameters inside its training part.
            jobs: largest number of fits, also of saved models, at the same time; 0 for one per thread.
            device: "auto", "cpu" or "cuda", for classifiers that can use a GPU; None for their default.
            checkpoints: folder from which an interrupted training continues; None for none.
            cluster: where classifiers are fitted, each fit by one thread; None for this process.
            command: command line that is stored in each run.
            rare: what to do with a class that some training part lacks: "leave-out", or "refuse" (an error).
            skip: whether to skip a target that cannot be learned, if another target can be.
            progress: called with (fits done, fits to do), of folds and saved models, in part as a fraction.
            say: called with each message for the user, as on classes that are left out.
            watch: called with a short message on the progress of a long fit.

        Raises:
            FeaturekitError: a plan cannot be run; no file has been changed.
        """
        threads = threads or usable_cores()
        say = say or (lambda _: None)
        faces = store.shelf("faces", faces_recipe(ledger.settings, ledger.recipes.values()))
        statuses = row_statuses(self.manifest, row_keys(self.manifest, ledger.settings), faces)
        shared = _Shared(ledger, store, statuses, models_folder, jobs or threads, cluster, command, say)
        ready, plans = self._made_ready(plans, shared, rare=rare, skip=skip, device=device)
        ready._begin(models_folder, say)
        n_fits = len(plans) * (self.folds.n_folds + (models_folder is not None))
        count = Count(n_fits, progress or (lambda *_: None), watch or (lambda _: None))
        may_use = Resources(device=device, threads=threads, checkpoints=checkpoints, progress=count.part_done)
        runs = ready._run_all(plans, shared, Fitting(seed=self.seed, tune=tune, resources=may_use), count)
        if self.replaces:
            forget(ComparisonFolder(self.folder).replaced_folders())
        return runs

    def _made_ready(
        self, plans: Sequence[Plan], shared: _Shared, *, rare: str, skip: bool, device: str | None
    ) -> tuple["Comparison", list[Plan]]:
        """Return the comparison and the plans without what cannot be learned; no file is changed.

        Raises:
            FeaturekitError: a plan cannot be run.
        """
        self._tell_of_unseen(shared)
        manifest, left_out = make_ready(
            self.manifest,
            self.folds,
            shared.statuses == STATUSES.index("ok"),
            list(dict.fromkeys(one.target.name for one in plans)),
            rare=rare,
            skip=skip,
            say=shared.say,
        )

        @cache
        def check_vectors(feature: str) -> None:
            check_extracted(
                self.manifest,
                shared.ledger.recipes[feature],
                shared.ledger.settings,
                shared.statuses,
                shared.store,
            )

        ready: list[Plan] = []
        for one in (one for one in plans if one.target.name in left_out):
            if one.kind.reads == "crops" and device is not None:
                resolve(device, "auto")
            try:
                for feature in () if one.looks_at_nothing else one.reads:
                    check_vectors(feature)
            except WorkspaceError as error:
                if one.is_asked:
                    raise
                shared.say(f"{one.kind.name} is not fitted for {one.target.name}: {error}")
                continue
            check_networks(one.networks)
            ready.append(
                replace(one, target=manifest.target(one.target.name), left_out=left_out[one.target.name])
            )
        return replace(self, manifest=manifest), ready

    def _tell_of_unseen(self, shared: _Shared) -> None:
        """Say which images have not been read."""
        unseen = np.flatnonzero(self.manifest.usable & (shared.statuses == STATUSES.index("not_extracted")))
        if len(unseen):
            n, first = len(unseen), self.manifest.table["image_path"].iloc[unseen[0]]
            what = f"'{first}' has" if n == 1 else f"{n:,} images ('{first}', …) have"
            shared.say(
                f"{what} not been read since featurekit prepare. Images that have not been read are not"
                " used in any fit. Next: featurekit extract, then run this command again."
            )

    def _begin(self, models: Path | None, say: Callable[[str], None]) -> None:
        """Save new folds, after moving the files that they replace."""
        if not self.is_new:
            return
        replaced = set_aside(self.folder, models) if self.replaces else None
        if replaced:
            say(
                f"The earlier content of {self.folder} is in {replaced} until this fit has ended"
                f" successfully. To restore it: {how_to_have_back(replaced, models or Path())}"
            )
        self.folds.save(ComparisonFolder(self.folder).folds)

    def _run_all(self, plans: Sequence[Plan], shared: _Shared, fitting: Fitting, count: Count) -> list[Run]:
        """Run plans that are ready, those with the same features together, so that these are loaded once."""
        count.begin()
        if any(one.kind.reads == "crops" for one in plans):
            keep_memory()
        memory = may_take()  # once for all fits, because what they may use must not depend on each other
        resources = replace(fitting.resources, memory=memory)
        done: dict[int, Run] = {}
        vectors = LatestVectors(self.manifest, shared.ledger, shared.store)
        peaks = PeakMemory()
        sizes = [self._size(one, shared, fitting) for one in plans]

        def finish(fits: PlanFits) -> None:
            done[fits.number] = self._finish(fits, shared)

        batches = []
        for number in in_order(plans, [seconds for seconds, _ in sizes]):
            one, (seconds, n_bytes) = plans[number], sizes[number]
            fits = PlanFits(
                number=number,
                plan=one,
                manifest=self.manifest,
                fold_set=self.folds,
                vectors=partial(vectors.of, one),
                fitting=replace(
                    fitting,
                    features=one.feature_name,
                    fitted=one.fitted,
                    networks=one.networks,
                    parameters=one.parameters,
                    resources=resources,
                ),
                jobs=shared.jobs,
                is_saved=shared.models is not None,
                count=count,
                peaks=peaks,
                say=shared.say,
                finish=finish,
                cluster=shared.cluster,
            )
            batches.append(Batch(open=fits.open, seconds=seconds, bytes=n_bytes))
        with one_blas_thread():
            threads = max(resources.threads, shared.jobs) if shared.cluster else resources.threads
            run_batches(batches, threads=threads, jobs=shared.jobs, memory=memory)
        _say_what_is_lacking([done[number] for number in range(len(plans))], shared.say)
        return [done[number] for number in range(len(plans))]

    def _size(self, one: Plan, shared: _Shared, fitting: Fitting) -> tuple[float, int]:
        """Return about how long all fits of a plan take on one thread, and the bytes of its vectors."""
        found = shared.statuses == STATUSES.index("ok")
        n_rows = int((found & self.manifest.labelled(one.target)).sum())
        recipes = [shared.ledger.recipes[part] for part in one.reads if part in shared.ledger.recipes]
        dim = sum(_lengths(recipes))
        n_fits = self.folds.n_folds + (shared.models is not None)
        seconds = rough_seconds(one.kind, n_rows, dim, len(one.target.classes), tune=fitting.tune)
        if one.looks_at_nothing:
            return seconds * n_fits, 0
        # Crops are bytes, and are not copied for a plan.
        return seconds * n_fits, n_rows * dim * (1 if one.kind.reads == "crops" else 4)

    def _finish(self, fits: PlanFits, shared: _Shared) -> Run:
        """Score and save one plan, all of whose fits are done."""
        one, examples, embeddings, out = fits.plan, fits.examples, fits.embeddings, fits.out
        peak = fits.peaks.end(fits.number)
        peak = None if shared.cluster else peak  # the memory of this process says nothing about the fits
        run = self._record(one, embeddings, examples, out, shared, fits.fitting.resources.threads, peak)
        if shared.models is not None and fits.fitted is not None:
            model = final_model(
                run.name,
                one,
                examples,
                out,
                fits.fitted,
                seed=self.seed,
                manifest=self.manifest,
                settings=shared.ledger.settings,
                recipes=embeddings.recipes,
                weights=run.weights,
                notes=run.notes,
            )
            run = replace(_saved(run, one, model, shared.models), created=now())
        run.save(self.folder, predictions_of(self.manifest, one.target, examples.rows, examples.y, out))
        return run

    def _record(
        self,
        one: Plan,
        embeddings: Vectors,
        examples: Examples,
        out: OutOfFold,
        shared: _Shared,
        threads: int,
        peak_bytes: int | None,
    ) -> Run:
        """Return the run of one combination, before its model is saved."""
        assert out.fitted is not None
        target, tested, ledger = one.target, out.fold >= 0, shared.ledger
        extract = ledger.seconds(one.reads)
        return Run(
            target=target.name,
            classes=target.classes,
            features=one.feature_name,
            dim=sum(getattr(out.fitted, "lengths_", _lengths(embeddings.recipes))),
            classifier=one.kind.name,
            is_baseline=one.kind.is_baseline,
            parameters=parameters_of(out.fitted),
            notes=self._notes(one, examples, out),
            **scores_of(self.manifest, self.folds, target, examples.rows, out),
            **confusion_of(target, examples.y[tested], out.predicted[tested]),
            n_tested=int(tested.sum()),
            n_labelled=int(self.manifest.labelled(target).sum()),
            n_subjects=len(np.unique(examples.subjects[tested])),
            seconds={
                **({} if isnan(extract) else {"extract": extract}),
                "fit": out.seconds_fit,
                "predict": out.seconds_predict,
            },
            bytes_on_disk=0,
            **made_with(
                self.manifest,
                self.folds,
                ledger,
                features=one.reads,
                recipes=embeddings.recipes,
                weights=describe_weights(embeddings.recipes, ledger.settings, one.networks),
                statuses=shared.statuses,
                threads=threads,
                trainings=out.trainings,
                classifier=one.kind.name,
                trained=one.networks,
                is_on_cluster=shared.cluster is not None,
            ),
            seed=self.seed,
            command=shared.command,
            tuned=bool(out.searches),
            search=tuple(found.summary for found in out.searches),
            variation=dict(one.parameters),
            training=out.trainings,
            peak_bytes=peak_bytes,
            scored_on=scored_on(self.manifest, target, examples.rows[tested]),
            left_out={rare.label: rare.n_rows for rare in one.left_out},
        )

    def _notes(self, one: Plan, examples: Examples, out: OutOfFold) -> tuple[str, ...]:
        """Return the decisions that were made while a combination was fitted, a sentence each."""
        assert out.fitted is not None
        notes = tuple(out.fitted.summary_.get("notes", ()))
        notes += tuple(dict.fromkeys(note for found in out.searches for note in found.notes))
        crossing = self.folds.crossing_subjects(examples.rows, examples.subjects)
        if crossing:
            notes += (
                f"{crossing} subjects are tested in more than one official fold, because identical files"
                " count as one subject. Each of them is left out of the training part of every fold that"
                " tests it.",
            )
        return notes + tuple(rare.sentence for rare in one.left_out)


def _lengths(recipes: Iterable[Recipe]) -> tuple[int, ...]:
    """Return the length of the vector of each recipe."""
    return tuple(BACKBONES[recipe.backbone].layers[recipe.layer] for recipe in recipes)


class LatestVectors:
    """Loads the vectors of plans; plans with the same features follow each other, and share them."""

    def __init__(self, manifest: Manifest, ledger: Ledger, store: Store) -> None:
        self._manifest, self._ledger, self._store = manifest, ledger, store
        self._latest: tuple[object, Vectors] | None = None

    def of(self, one: Plan) -> Vectors:
        """Return the vectors that a plan reads."""
        key = (one.looks_at_nothing, one.reads)
        if self._latest is None or self._latest[0] != key:
            self._latest = None  # they need not be in memory beside the next ones
            self._latest = key, vectors_of(one, self._manifest, self._ledger, self._store)
        return self._latest[1]


def in_order(plans: Sequence[Plan], seconds: Sequence[float]) -> list[int]:
    """Return the numbers of plans in the order in which they are run.

    Plans with the same features follow each other. The features whose plans take longest together are first,
    and among the plans with the same features the one that takes longest.
    """
    alike: defaultdict[object, list[int]] = defaultdict(list)
    for number, one in enumerate(plans):
        alike[one.looks_at_nothing, one.reads].append(number)
    groups = sorted(alike.values(), key=lambda numbers: -sum(seconds[i] for i in numbers))
    return [i for numbers in groups for i in sorted(numbers, key=lambda i: -seconds[i])]


def _say_what_is_lacking(runs: Sequence[Run], say: Callable[[str], None]) -> None:
    """Say what models lack, once for all of their targets."""
    lacking = {
        note if run.classifier in note else f"{run.classifier}: {note}"
        for run in runs
        for note in run.notes
        if note.startswith(NOT_SAVED) or NO_PROBABILITIES in note
    }
    for text in sorted(lacking):
        say(text)


def _saved(run: Run, one: Plan, model: TrainedModel, models: Path) -> Run:
    """Save the model of a run; return the run with its size, or with the reason why it was not saved."""
    why = f"a saved {one.kind.name} could not be loaded safely. {HOW_TO_SAVE}"
    if one.kind.trusted_types or not one.kind.is_given:
        try:
            return replace(run, bytes_on_disk=model.save(models / run.name))
        except ModelError as error:
            if not one.kind.is_given:
                raise
            why = str(error)
    return replace(run, notes=(*run.notes, f"{NOT_SAVED}{why}"))
