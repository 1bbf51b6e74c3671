"""Fit and score every combination, fold by fold.

One combination of target, features and classifier is a Run. Runs are what the
report is derived from, at any time and without fitting anything again.
"""

import json
import os
import platform
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurekit import __version__
from featurekit.backbones import split_feature
from featurekit.classifiers import CLASSIFIERS, Classifier, ClassifierKind, check_training_labels, fresh
from featurekit.classifiers._estimator import one_blas_thread
from featurekit.embeddings import (
    Embeddings,
    Ledger,
    Progress,
    describe_weights,
    load_embeddings,
    row_keys,
    row_statuses,
)
from featurekit.engines import available_memory, usable_cores
from featurekit.errors import FoldError, TargetError, WorkspaceError
from featurekit.faces import STATUSES
from featurekit.folds import Fold, FoldSet, make_fold_set
from featurekit.manifest import Manifest, Target
from featurekit.metrics import (
    NO_FACE,
    confusion_matrix,
    recall_per_class,
    score,
    score_all_rows,
    summarize,
)
from featurekit.store import Store
from featurekit.trained_model import TrainedModel, spread_out
from featurekit.tuning import Search, limit_memory, search
from featurekit.workspace import whole_file, write_text

MUCH = 1_000_000_000  # bytes that a user should hear of before they are taken


@dataclass(frozen=True, kw_only=True)
class Run:
    """One classifier on one feature set for one target, scored out of fold.

    Attributes:
        target: name of the target.
        classes: its classes in natural order; empty for a target in years.
        features: name of the feature set, e.g. "dlib_age" or "dlib_age+mobilenet_v2".
        dim: length of its vectors.
        classifier: name of the classifier.
        is_baseline: whether it stands in the table as a floor.
        parameters: the classifier's parameters, as fitted.
        notes: what was decided aloud, a sentence each (e.g. linear kernel, class weights).
        scores: score → {"mean", "spread", "folds"}, on the faces found; spread is the standard
            deviation over folds; shares are between 0 and 1, MAE in years or groups.
        scores_all_rows: the same, with every labelled row without a face counted as wrong (absent for years).
        confusion: true × predicted counts over all folds, in the order of classes; empty for years.
        recall: share of each class found again, in the order of classes, None where nobody has it; empty
            for years.
        n_tested: faces scored.
        n_labelled: usable rows with a label.
        n_subjects: persons among the faces scored.
        seconds: "extract", "fit", "predict": of all folds together; extract is that of the recipes, and
            fit includes the search.
        bytes_on_disk: size of the model fitted on all faces; 0 where none was saved.
        recipes: the Recipe of each part of the feature set.
        weights: name, sha256, and the three licences of each weight file that took part.
        hardware: what was asked for and what was got (engine, device, precision, processor, cores, memory).
        versions: of python, featurekit and each library that decides numbers.
        folds: {"number", "kind" ("official" or "made"), "seed", "sha256"}.
        dataset: {"name", "synthetic", "n_rows", "licence", "tally": reason → rows, "counts": what prepare
            counted, "statuses": status → rows}.
        seed: what chance came from.
        command: the command line that made it.
        created: UTC time, ISO 8601.
        tuned: whether its parameters were searched for, inside every training part anew.
        search: of each fold {"parameters": those chosen, "score": their mean on the inner folds (share of
            right answers; minus the mean absolute error in years), "candidates": how many were tried}.
    """

    target: str
    classes: tuple[str, ...]
    features: str
    dim: int
    classifier: str
    is_baseline: bool
    parameters: Mapping[str, Any]
    notes: tuple[str, ...]
    scores: Mapping[str, Mapping[str, Any]]
    scores_all_rows: Mapping[str, Mapping[str, Any]]
    confusion: tuple[tuple[int, ...], ...]
    recall: tuple[float | None, ...]
    n_tested: int
    n_labelled: int
    n_subjects: int
    seconds: Mapping[str, float]
    bytes_on_disk: int
    recipes: tuple[Mapping[str, Any], ...]
    weights: tuple[Mapping[str, Any], ...]
    hardware: Mapping[str, Any]
    versions: Mapping[str, str]
    folds: Mapping[str, Any]
    dataset: Mapping[str, Any]
    seed: int
    command: str
    created: str
    tuned: bool = False
    search: tuple[Mapping[str, Any], ...] = ()

    @property
    def name(self) -> str:
        """What its files are called; unique within a comparison."""
        return _name(self.target, self.features, self.classifier, self.tuned)

    @property
    def classifier_name(self) -> str:
        """What the classifier is called beside others: a tuned one is another than the one as it comes."""
        return f"{self.classifier} (tuned)" if self.tuned else self.classifier

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return asdict(self)

    def save(self, folder: Path, predictions: pd.DataFrame) -> None:
        """Write the run to folder/runs/ as JSON and its predictions to folder/predictions/ as Parquet."""
        with whole_file(folder / "predictions" / f"{self.name}.parquet") as file:
            predictions.to_parquet(file, index=False)
        text = json.dumps(self.to_json(), indent=2, allow_nan=False)
        write_text(folder / "runs" / f"{self.name}.json", text + "\n")

    @classmethod
    def load(cls, path: Path) -> "Run":
        """Read what save() wrote.

        Raises:
            WorkspaceError: the file is not a run of this version.
        """
        try:
            content = json.loads(path.read_text())
            for name in ("classes", "notes", "recall", "recipes", "weights", "search"):
                content[name] = tuple(content.get(name, ()))
            content["confusion"] = tuple(tuple(row) for row in content["confusion"])
            return cls(**content)
        except (ValueError, KeyError, TypeError) as error:
            raise WorkspaceError(f"{path} is not a run of this version of featurekit: {error}") from error


@dataclass(frozen=True)
class OutOfFold:
    """What one classifier said of faces it was not fitted on.

    Attributes:
        fold: the fold each row was tested in, shape (n,); -1 for a row that no fold tests.
        predicted: class number or years of each row, shape (n,).
        probabilities: shape (n, n_classes), classes in the target's order; NaN for years.
        seconds_fit, seconds_predict: added up over the folds, whether or not they ran side by side.
        fitted: the classifier of the first fold.
        searches: what was found in each fold; empty where nothing was searched.
    """

    fold: NDArray[np.intp]
    predicted: NDArray[Any]
    probabilities: NDArray[np.float64]
    seconds_fit: float
    seconds_predict: float
    fitted: Classifier
    searches: tuple[Search, ...] = ()


class _Tested(NamedTuple):
    """What came out of one fold."""

    classifier: Classifier
    found: Search | None
    predicted: NDArray[Any]
    probabilities: NDArray[np.float64] | None
    seconds_fit: float
    seconds_predict: float


def cross_validate(
    kind: ClassifierKind,
    target: Target,
    X: NDArray[np.float32],
    y: NDArray[Any],
    subjects: NDArray[np.str_],
    folds: Sequence[Fold],
    *,
    blocks: tuple[int, ...] = (),
    seed: int = 0,
    threads: int = 1,
    tune: bool = False,
    jobs: int = 1,
    say: Callable[[str], None] | None = None,
    done: Callable[[], None] | None = None,
) -> OutOfFold:
    """Fit a fresh classifier in every fold and let it read the faces it has not seen.

    Folds side by side are threads: they share the vectors. Matrix products use one thread throughout, and
    what a fold gives is put where its number says, so that the bits depend on neither jobs nor threads.

    Args:
        kind: which classifier.
        target: what y means.
        X: vectors, shape (n, dim).
        y: class numbers, or years, shape (n,).
        subjects: person on each row, shape (n,).
        folds: row numbers to learn from and to be scored on.
        blocks: lengths of the parts of a joined vector.
        seed: what chance comes from.
        threads: how many all folds together may use.
        tune: whether each fold first searches for parameters, inside its training part.
        jobs: how many folds at once; fewer where their kernel matrices would not fit into memory.
        say: called with what a user should hear before memory is taken.
        done: called after each fold.

    Raises:
        TargetError: a training part has one class only.
    """
    if not folds:
        raise FoldError("There is no fold to fit on.")
    limit = available_memory() // 2
    most = max(len(fold.train) for fold in folds)
    jobs, threads = _side_by_side(
        fresh(kind, target, blocks=blocks, seed=seed, threads=threads),
        most,
        jobs=min(jobs, len(folds)),
        limit=limit,
        tune=tune and kind.grid is not None,
        say=say,
    )

    def run(fold: Fold) -> _Tested:
        rows = (X[fold.train], y[fold.train], subjects[fold.train])
        check_training_labels(target, rows[1])
        started = time.perf_counter()
        classifier, found = _fit(
            kind, target, *rows, blocks=blocks, seed=seed, threads=threads, tune=tune, memory_limit=limit
        )
        fitted = time.perf_counter()
        probabilities = None
        if target.is_regression:
            predicted = classifier.predict(X[fold.test])
        else:
            # A class that no training face had keeps the probability 0.
            probabilities = spread_out(
                classifier.predict_proba(X[fold.test]), classifier.classes_, len(target.classes)
            )
            predicted = probabilities.argmax(axis=1)
        if done:
            done()
        seconds = (fitted - started, time.perf_counter() - fitted)
        return _Tested(classifier, found, predicted, probabilities, *seconds)

    with one_blas_thread(), ThreadPoolExecutor(jobs) as pool:
        results = list(pool.map(run, folds))
    fold_of = np.full(len(y), -1, dtype=np.intp)
    predicted = np.full(len(y), np.nan if target.is_regression else -1, dtype=y.dtype)
    probabilities = np.full((len(y), len(target.classes)), np.nan)
    for number, (fold, tested) in enumerate(zip(folds, results, strict=True)):
        fold_of[fold.test] = number
        predicted[fold.test] = tested.predicted
        if tested.probabilities is not None:
            probabilities[fold.test] = tested.probabilities
    return OutOfFold(
        fold_of,
        predicted,
        probabilities,
        sum(tested.seconds_fit for tested in results),
        sum(tested.seconds_predict for tested in results),
        results[0].classifier,
        tuple(tested.found for tested in results if tested.found is not None),
    )


def _fit(
    kind: ClassifierKind,
    target: Target,
    X: NDArray[np.float32],
    y: NDArray[Any],
    subjects: NDArray[np.str_],
    *,
    blocks: tuple[int, ...],
    seed: int,
    threads: int,
    tune: bool,
    memory_limit: int,
) -> tuple[Classifier, Search | None]:
    """Return a classifier fitted on these rows and, where it was tuned on them, what the search found."""
    classifier: Any = fresh(kind, target, blocks=blocks, seed=seed, threads=threads)
    limit_memory(classifier, memory_limit)
    found = None
    if tune and kind.grid is not None:
        found = search(
            kind,
            target,
            X,
            y,
            subjects,
            blocks=blocks,
            seed=seed,
            threads=threads,
            memory_limit=memory_limit,
        )
        if found.best:
            classifier.set_params(**found.best)
    return classifier.fit(X, y, groups=subjects), found


def _side_by_side(
    classifier: Any,
    n_rows: int,
    *,
    jobs: int,
    limit: int,
    tune: bool,
    say: Callable[[str], None] | None,
) -> tuple[int, int]:
    """Return how many folds run at once, and how many threads each has; say what memory they will take."""
    all_threads = getattr(classifier, "threads", 1)
    needed = 0
    for n_jobs in range(max(jobs, 1), 0, -1):
        threads = max(all_threads // n_jobs, 1)
        if not hasattr(classifier, "bytes_needed"):
            return n_jobs, threads
        classifier.set_params(threads=threads)
        needed = n_jobs * classifier.bytes_needed(n_rows, searching=tune)
        if needed <= limit:
            break
    if say and (n_jobs < jobs or needed > MUCH):
        say(
            f"Kernel matrices of {n_rows:,} training faces will take up to {needed / 1e9:.1f} GB,"
            f" {limit / 1e9:.1f} GB may be used: {n_jobs} fold{'s' if n_jobs > 1 else ''} at once."
        )
    return n_jobs, threads


@dataclass(frozen=True)
class Plan:
    """One combination to be run.

    Attributes:
        target: what is read.
        features: "backbone:layer" of each part, in the order they are joined.
        kind: with which classifier.
    """

    target: Target
    features: tuple[str, ...]
    kind: ClassifierKind

    @property
    def feature_name(self) -> str:
        """Name of the feature set, default layers left out: "dlib_age+mobilenet_v2"."""
        parts = []
        for feature in self.features:
            backbone, layer = split_feature(feature)
            parts.append(backbone.name if layer == backbone.default_layer else feature)
        return "+".join(parts)


def plan(
    manifest: Manifest,
    ledger: Ledger,
    *,
    models: Sequence[str],
    targets: Sequence[str] | None = None,
    features: Sequence[str] | None = None,
    join: bool = False,
) -> list[Plan]:
    """Return every combination that was asked for, with the floors that belong in each comparison.

    Args:
        manifest: whose labels.
        ledger: what has been extracted.
        models: names of classifiers.
        targets: names of targets; None for age_group, gender and age where there are labels.
        features: feature sets, parts joined by "+"; None for each default layer extracted and, where
            there are several, all of them joined.
        join: only the joined set, not each alone.

    Raises:
        UnknownNameError: no such classifier, backbone or layer.
        TargetError: no such target, or no face has a label of it.
        WorkspaceError: features that have not been extracted.
    """
    kinds = [CLASSIFIERS[name] for name in dict.fromkeys(models)]
    kinds += [kind for kind in CLASSIFIERS if kind.is_baseline and kind not in kinds]
    if targets is None:
        found = [manifest.target(name) for name in ("age_group", "gender", "age")]
        wanted = [target for target in found if manifest.labelled(target).any()]
    else:
        wanted = [manifest.target(name) for name in dict.fromkeys(targets)]
    if not wanted:
        raise TargetError("No usable row of the manifest has a label of age_group, gender or age.")
    for target in wanted:
        if not manifest.labelled(target).any():
            raise TargetError(f"No usable row of the manifest has a label of {target.name}.")
    sets = _feature_sets(ledger, features, join)
    plans = []
    for target in wanted:
        for kind in kinds:
            if kind.features is not None:
                own = kind.features(target)
                chosen: list[tuple[str, ...]] = [(own,)] if own and own in ledger.recipes else []
                if own and not chosen and kind.name in models:
                    raise WorkspaceError(
                        f"{kind.name} reads {own}, which has not been extracted."
                        f" Next: featurekit extract --backbone {own.partition(':')[0]}"
                    )
                if own is None and kind.name in models:
                    raise TargetError(f"{kind.name} cannot read the target {target.name}.")
            else:
                # A floor looks at no vector: always the same one, so that it stands in a comparison once.
                chosen = [(next(iter(ledger.recipes)),)] if kind.is_baseline else sets
            plans += [Plan(target, parts, kind) for parts in chosen]
    return plans


def _feature_sets(ledger: Ledger, features: Sequence[str] | None, join: bool) -> list[tuple[str, ...]]:
    if features is None:
        # A head is read by the model it belongs to, and by others only when asked for.
        heads = [f for f in ledger.recipes if split_feature(f)[1] in split_feature(f)[0].heads]
        single = [f for f in ledger.recipes if f not in heads]
        sets: list[tuple[str, ...]] = [(f,) for f in single]
        if len(single) > 1:
            sets = [tuple(single)] if join else [*sets, tuple(single)]
    else:
        sets = []
        for text in features:
            parts = [split_feature(part) for part in text.split("+")]
            sets.append(tuple(f"{backbone.name}:{layer}" for backbone, layer in parts))
        if join:
            sets = [tuple(dict.fromkeys(part for parts in sets for part in parts))]
    for part in dict.fromkeys(part for parts in sets for part in parts):
        if part not in ledger.recipes:
            raise WorkspaceError(
                f"{part} has not been extracted. Next: featurekit extract --backbone {part}."
                f" Extracted: {', '.join(ledger.recipes)}."
            )
    return list(dict.fromkeys(sets))


@dataclass(frozen=True)
class Comparison:
    """One comparison: a folder, a manifest, and the one set of folds that every run of it uses.

    Attributes:
        folder: reports/<name>/.
        manifest: whose faces.
        folds: who is tested when.
        seed: what chance comes from.
    """

    folder: Path
    manifest: Manifest
    folds: FoldSet
    seed: int

    @classmethod
    def open(
        cls, folder: Path, manifest: Manifest, *, n_folds: int = 5, seed: int = 0, new_folds: bool = False
    ) -> "Comparison":
        """Take the folds saved in the folder, or make and save them: official ones where there are any.

        Raises:
            FoldError: too few subjects, or the saved folds are of other rows.
        """
        path = folder / "folds.json"
        if new_folds:
            for old in (path, *folder.glob("runs/*.json"), *folder.glob("predictions/*.parquet")):
                old.unlink(missing_ok=True)
        if path.is_file():
            folds = FoldSet.load(path)
            folds.check_rows(manifest.table["face_id"].to_numpy(dtype=str), folder)
        else:
            folds = make_fold_set(folder.name, manifest, n_folds=n_folds, seed=seed)
            folds.save(path)
        return cls(folder, manifest, folds, seed)

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
        command: str = "",
        progress: Progress | None = None,
        say: Callable[[str], None] | None = None,
    ) -> list[Run]:
        """Run every plan, save each run as soon as it is done, and return them in the plans' order.

        Args:
            plans: from plan().
            ledger: what has been extracted and how.
            store: where the vectors are.
            models_folder: where classifiers fitted on all faces go; None to fit none.
            threads: how many may be used; 0 for one a core.
            tune: whether every fold searches for parameters inside its training part.
            jobs: folds at once; 0 for as many as there are threads.
            command: the command line, for the record.
            progress: called with (fits done, fits to do): one a fold, and one for each model saved.
            say: called with what a user should hear before memory is taken.
        """
        threads = threads or usable_cores()
        jobs = jobs or threads
        n_fits = len(plans) * (self.folds.n_folds + (models_folder is not None))
        fitted, lock = 0, Lock()

        def fit_done() -> None:
            nonlocal fitted
            with lock:
                fitted += 1
                if progress:
                    progress(fitted, n_fits)

        keys = row_keys(self.manifest, ledger.settings)
        statuses = row_statuses(self.manifest, keys, store.shelf("faces", ledger.settings.recipe()))
        # Plans of the same features stand together, so that each set is loaded once.
        order = sorted(range(len(plans)), key=lambda i: plans[i].features)
        done: dict[int, Run] = {}
        loaded: tuple[tuple[str, ...], Embeddings] | None = None
        for i in order:
            one = plans[i]
            if loaded is None or loaded[0] != one.features:
                recipes = [ledger.recipes[part] for part in one.features]
                loaded = (one.features, load_embeddings(self.manifest, recipes, ledger.settings, store))
            done[i] = self._run_one(
                one,
                loaded[1],
                ledger,
                statuses,
                models_folder,
                threads=threads,
                tune=tune,
                jobs=jobs,
                command=command,
                say=say,
                fit_done=fit_done,
            )
        return [done[i] for i in range(len(plans))]

    def _run_one(
        self,
        one: Plan,
        embeddings: Embeddings,
        ledger: Ledger,
        statuses: NDArray[np.uint8],
        models_folder: Path | None,
        *,
        threads: int,
        tune: bool,
        jobs: int,
        command: str,
        say: Callable[[str], None] | None,
        fit_done: Callable[[], None],
    ) -> Run:
        """Fit, score and save one combination."""
        table, target = self.manifest.table, one.target
        labelled = np.flatnonzero(self.manifest.labelled(target))
        rows, positions, _ = np.intersect1d(embeddings.rows, labelled, return_indices=True)
        labels = table[target.name].to_numpy(dtype=float if target.is_regression else str)
        numbers = labels if target.is_regression else _encode(target, labels, labelled)
        X, y, subjects = embeddings.vectors[positions], numbers[rows], self.manifest.subjects[rows]
        folds = self.folds.folds(rows, labels[rows], subjects)
        out = cross_validate(
            one.kind,
            target,
            X,
            y,
            subjects,
            folds,
            blocks=embeddings.blocks,
            seed=self.seed,
            threads=threads,
            tune=tune,
            jobs=jobs,
            say=say,
            done=fit_done,
        )
        tuned = tune and one.kind.grid is not None
        tested = out.fold >= 0
        weight_files = tuple(describe_weights(embeddings.recipes, ledger.settings))
        notes = tuple(out.fitted.summary_.get("notes", ()))
        notes += tuple(dict.fromkeys(note for found in out.searches for note in found.notes))
        crossing = self.folds.crossing_subjects(rows, subjects)
        if crossing:
            notes += (
                f"{crossing} subjects are tested in more than one official fold, identical files being one"
                " person; each is left out of the training part of every fold that tests it.",
            )
        name = _name(target.name, one.feature_name, one.kind.name, tuned)
        n_bytes = 0
        if models_folder is not None:
            final, found = _fit(
                one.kind,
                target,
                X[tested],
                y[tested],
                subjects[tested],
                blocks=embeddings.blocks,
                seed=self.seed,
                threads=threads,
                tune=tune,
                memory_limit=available_memory() // 2,
            )
            chosen = _listed(found.best) if found else ""
            model = TrainedModel(
                name=name,
                target=target,
                classifier=one.kind.name,
                estimator=final,
                settings=ledger.settings,
                recipes=embeddings.recipes,
                training={
                    "dataset": self.manifest.name,
                    "synthetic": bool(self.manifest.info.get("synthetic")),
                    "licence": self.manifest.info.get("licence", ""),
                    "n_faces": int(tested.sum()),
                    "n_subjects": len(np.unique(subjects[tested])),
                    "seed": self.seed,
                    "notes": [*notes, *([f"Tuned on all its faces: {chosen}."] if chosen else [])],
                },
                weights=weight_files,
            )
            n_bytes = model.save(models_folder / name)
            fit_done()
        per_fold, per_fold_all = self._scores(target, numbers, labelled, rows, out)
        confusion: tuple[tuple[int, ...], ...] = ()
        recall: tuple[float | None, ...] = ()
        if not target.is_regression:
            matrix = confusion_matrix(y[tested], out.predicted[tested], len(target.classes))
            confusion = tuple(tuple(map(int, row)) for row in matrix)
            shares = recall_per_class(y[tested], out.predicted[tested], len(target.classes))
            recall = tuple(float(share) if np.isfinite(share) else None for share in shares)
        run = Run(
            target=target.name,
            classes=target.classes,
            features=one.feature_name,
            dim=X.shape[1],
            classifier=one.kind.name,
            is_baseline=one.kind.is_baseline,
            parameters=_plain_parameters(out.fitted),
            notes=notes,
            scores=summarize(per_fold),
            scores_all_rows=summarize(per_fold_all),
            confusion=confusion,
            recall=recall,
            n_tested=int(tested.sum()),
            n_labelled=len(labelled),
            n_subjects=len(np.unique(subjects[tested])),
            seconds={
                "extract": ledger.seconds(one.features),
                "fit": out.seconds_fit,
                "predict": out.seconds_predict,
            },
            bytes_on_disk=n_bytes,
            recipes=tuple(asdict(recipe) for recipe in embeddings.recipes),
            weights=weight_files,
            hardware=_hardware(ledger, one.features, threads),
            versions=_versions(),
            folds={
                "number": self.folds.n_folds,
                "kind": self.folds.kind,
                "seed": self.folds.seed,
                "sha256": self.folds.sha256,
            },
            dataset={
                "name": self.manifest.name,
                "synthetic": bool(self.manifest.info.get("synthetic")),
                "licence": self.manifest.info.get("licence", ""),
                "n_rows": len(self.manifest),
                "tally": _tally(table["reason"]),
                "counts": dict(self.manifest.info.get("tally", {})),
                "statuses": _tally(np.array(STATUSES)[statuses]),
            },
            seed=self.seed,
            command=command,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            tuned=tuned,
            search=tuple(
                {
                    "parameters": dict(found.best),
                    "score": found.score,
                    "candidates": len(found.candidates),
                }
                for found in out.searches
            ),
        )
        run.save(self.folder, _predictions(table["face_id"].to_numpy(dtype=str)[rows], target, y, out))
        return run

    def _scores(
        self,
        target: Target,
        numbers: NDArray[Any],
        labelled: NDArray[np.intp],
        rows: NDArray[np.intp],
        out: OutOfFold,
    ) -> tuple[list[dict[str, float]], list[dict[str, float]]]:
        """Return the scores of each fold on the faces found, and on all labelled rows."""
        predicted = np.full(len(self.manifest), NO_FACE, dtype=np.intp)
        if not target.is_regression:
            predicted[rows] = out.predicted
        per_fold, per_fold_all = [], []
        for number in range(self.folds.n_folds):
            test = out.fold == number
            proba = None if target.is_regression else out.probabilities[test]
            per_fold.append(score(target, numbers[rows][test], out.predicted[test], proba))
            everyone = labelled[self.folds.numbers[labelled] == number]
            per_fold_all.append(score_all_rows(target, numbers[everyone], predicted[everyone]))
        return per_fold, per_fold_all


def load_runs(folder: Path) -> list[Run]:
    """Return every run of a comparison, by name."""
    return [Run.load(path) for path in sorted((folder / "runs").glob("*.json"))]


def _name(target: str, features: str, classifier: str, tuned: bool) -> str:
    return f"{target}--{features.replace(':', '.')}--{classifier}{'--tuned' if tuned else ''}"


def _listed(parameters: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in parameters.items())


def _encode(target: Target, labels: NDArray[np.str_], labelled: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the class number of every row of the manifest; -1 for a row without a label."""
    numbers = np.full(len(labels), -1, dtype=np.intp)
    numbers[labelled] = target.encode(list(labels[labelled]))
    return numbers


def _predictions(face_ids: NDArray[np.str_], target: Target, y: NDArray[Any], out: OutOfFold) -> pd.DataFrame:
    """Return what was said of each face that was tested."""
    tested = out.fold >= 0
    columns: dict[str, Any] = {"face_id": face_ids[tested], "fold": out.fold[tested]}
    if target.is_regression:
        columns |= {"true": y[tested], "predicted": out.predicted[tested]}
    else:
        names = np.array(target.classes)
        columns |= {"true": names[y[tested]], "predicted": names[out.predicted[tested]]}
        columns |= {f"p_{name}": out.probabilities[tested, i] for i, name in enumerate(names)}
    return pd.DataFrame(columns)


def _plain_parameters(classifier: Classifier) -> dict[str, Any]:
    """Return what the classifier was made with and what it decided, as plain JSON values."""
    made: dict[str, Any] = getattr(classifier, "get_params", dict)()
    decided = {name: value for name, value in classifier.summary_.items() if name != "notes"}
    # How many threads it had changes nothing but the time; what a memory limit changes stands in the notes.
    aside = ("threads", "target", "memory_limit")
    values = {name: value for name, value in {**made, **decided}.items() if name not in aside}
    content: dict[str, Any] = json.loads(json.dumps(values, default=str))
    return content


def _tally(values: Any) -> dict[str, int]:
    counts = Counter(str(value) for value in values)
    return {name: counts[name] for name in sorted(counts) if name}


def _hardware(ledger: Ledger, features: Sequence[str], threads: int) -> dict[str, Any]:
    """Return what was asked for and what was got; the networks' part is read back from their engines."""
    networks = sorted({feature.partition(":")[0] for feature in features})
    return {
        "asked": dict(ledger.asked),
        "got": {name: dict(ledger.achieved[name]) for name in networks if name in ledger.achieved},
        "processor": _processor(),
        "cores": usable_cores(),
        "threads": threads,
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9),
    }


def _processor() -> str:
    """Return the processor's name and the instructions that decide how fast it multiplies."""
    info = Path("/proc/cpuinfo")
    if not info.is_file():
        return platform.processor() or platform.machine()
    facts = dict(line.partition(":")[::2] for line in info.read_text().splitlines() if ":" in line)
    facts = {name.strip(): value.strip() for name, value in facts.items()}
    flags = facts.get("flags", "").split()
    known = [flag for flag in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if flag in flags]
    return f"{facts.get('model name', platform.machine())} ({', '.join(known)})"


_DECIDE_NUMBERS = (
    "featurekit",
    "numpy",
    "onnxruntime",
    "opencv-python",
    "openvino",
    "pillow",
    "scikit-learn",
    "scipy",
    "torch",
    "torchvision",
    "xgboost",
)


def _versions() -> dict[str, str]:
    """Return the versions of everything that decides numbers."""
    found = {"python": platform.python_version()}
    for name in _DECIDE_NUMBERS:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = __version__ if name == "featurekit" else "not installed"
    return found
