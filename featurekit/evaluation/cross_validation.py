"""Fit and score every combination, fold by fold.

One combination of target, features and classifier is a Run. Runs are what the
report is derived from, at any time and without fitting anything again.
"""

import json
import os
import platform
import re
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from threading import Lock, get_ident
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurekit import __version__
from featurekit.cache.store import Store
from featurekit.data.manifest import TARGETS, Manifest, Target, is_measured, names_ethnicity
from featurekit.data.splits import Fold, FoldSet, make_fold_set
from featurekit.embeddings.extractor import (
    Embeddings,
    Ledger,
    check_extracted,
    describe_weights,
    load_embeddings,
    row_keys,
    row_statuses,
    without_vectors,
)
from featurekit.errors import EngineError, FoldError, TargetError, UnknownNameError, WorkspaceError
from featurekit.estimators import (
    CLASSIFIERS,
    Classifier,
    ClassifierKind,
    Crops,
    check_training_labels,
    fresh,
)
from featurekit.estimators._threads import one_blas_thread
from featurekit.evaluation.ensemble import fold_weights
from featurekit.evaluation.outcomes import read_predictions, scored_on, set_apart
from featurekit.evaluation.readiness import RARE, LeftOut, check_networks, make_ready
from featurekit.evaluation.replaced import forget, how_to_have_back, replaced_folders, set_aside
from featurekit.evaluation.scores import (
    NO_FACE,
    counts_of,
    recalls,
    score,
    score_all_rows,
    summarize,
)
from featurekit.evaluation.tuning import Search, limit_memory, search
from featurekit.faces.find import STATUSES
from featurekit.inference.model import TrainedModel, spread_out
from featurekit.networks.backbones import BACKBONES, Backbone, split_feature
from featurekit.networks.engines import available_memory, resolve, usable_cores, watch_memory
from featurekit.networks.engines.torch import keep_memory
from featurekit.progress import Progress
from featurekit.project import whole_file, write_text
from featurekit.registry import unknown
from featurekit.uncertainty.calibration import MISSED, Calibration, calibrate_classes, calibrate_years

# What classifiers that read crops read.
PIXELS = "pixels:rgb"
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
        peak_bytes: memory that the process held at most while the folds were fitted and read, the vectors
            included; None where the system does not say, or nothing was fitted.
        recipes: the Recipe of each part of the feature set.
        weights: name, sha256, and the three licences of each weight file that took part.
        hardware: what was asked for and what was got (engine, device, precision, processor, cores, memory).
        versions: of python, featurekit and each library that decides numbers.
        folds: {"number", "kind" ("official" or "made"), "seed", "sha256"}.
        scored_on: hashes of the "rows", "labels" and "subjects" that it learned from and was scored on; empty
            where an older version fitted it. See featurekit.evaluation.outcomes.set_apart().
        dataset: {"name", "synthetic", "n_rows", "licence", "options" of prepare but "root", "tally": reason
            → rows, "counts": what prepare counted, "statuses": status → rows}.
        seed: what chance came from.
        command: the command line that made it.
        created: UTC time, ISO 8601.
        tuned: whether its parameters were searched for, inside every training part anew.
        search: of each fold {"parameters": those chosen, "score": their mean on the inner folds (share of
            right answers; minus the mean absolute error in years), "candidates": how many were tried}.
        variation: parameters that were not left as they come.
        left_out: classes that are not learned, because not every training part can have them → usable rows
            that have them, which count neither as labelled nor as tested.
        training: of a network trained end to end, of each fold {"epochs", "best_epoch", "seconds", "faces",
            "held_out_faces", "engine", "device", "precision", "history": a line an epoch}.
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
    variation: Mapping[str, Any] = field(default_factory=dict)
    training: tuple[Mapping[str, Any], ...] = ()
    peak_bytes: int | None = None
    scored_on: Mapping[str, str] = field(default_factory=dict)
    left_out: Mapping[str, int] = field(default_factory=dict)

    def seen(self, manifest: Manifest) -> Manifest:
        """Return the manifest with the labels that the run was fitted and scored on."""
        return manifest.without(self.target, self.left_out)

    @property
    def name(self) -> str:
        """What its files are called; unique within a comparison."""
        return _name(self.target, self.features, self.classifier, self.tuned, self.variation)

    @property
    def classifier_name(self) -> str:
        """What the classifier is called beside others: a tuned or changed one is another than as it comes."""
        changes = [f"{name.replace('_', ' ')} {value}" for name, value in self.variation.items()]
        changes += ["tuned"] if self.tuned else []
        return f"{self.classifier} ({', '.join(changes)})" if changes else self.classifier

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
            for name in ("classes", "notes", "recall", "recipes", "weights", "search", "training"):
                content[name] = tuple(content.get(name, ()))
            content["confusion"] = tuple(tuple(row) for row in content["confusion"])
            return cls(**content)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise WorkspaceError(
                f"{path} is not a run of this version of featurekit ({error}). Delete it, and fit it again:"
                " featurekit fit."
            ) from error


@dataclass(frozen=True)
class OutOfFold:
    """What one classifier said of faces it was not fitted on.

    Attributes:
        fold: the fold each row was tested in, shape (n,); -1 for a row that no fold tests.
        predicted: class number or years of each row, shape (n,).
        probabilities: shape (n, n_classes), classes in the target's order; NaN for years.
        seconds_fit, seconds_predict: added up over the folds, whether or not they ran side by side.
        fitted: the classifier of the first fold; None where several were combined.
        searches: what was found in each fold; empty where nothing was searched.
        trainings: how the network of each fold was trained; empty for what is no network.
    """

    fold: NDArray[np.intp]
    predicted: NDArray[Any]
    probabilities: NDArray[np.float64]
    seconds_fit: float
    seconds_predict: float
    fitted: Classifier | None
    searches: tuple[Search, ...] = ()
    trainings: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Fitting:
    """How a classifier is fitted, beside what it learns from.

    Attributes:
        blocks: lengths of the parts of a joined vector.
        networks: those that one which reads crops starts from.
        parameters: that are not as they come.
        device: "auto", "cpu" or "cuda", for one that can choose; None for its own.
        seed: what chance comes from.
        threads: how many it may use.
        tune: whether it first searches for parameters, inside what it learns from.
        memory_limit: bytes that kernel matrices may take; None for half of what is free.
        checkpoints: folder that one which can be killed half-way goes on from; None for none.
        watch: told in a few words how one that takes long goes, and the share that is done.
    """

    blocks: tuple[int, ...] = ()
    networks: tuple[str, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    device: str | None = None
    seed: int = 0
    threads: int = 1
    tune: bool = False
    memory_limit: int | None = None
    checkpoints: Path | None = None
    watch: Callable[[str, float], None] | None = None

    def fresh(self, kind: ClassifierKind, target: Target) -> Any:
        """Return an unfitted classifier that knows all this."""
        classifier: Any = fresh(
            kind,
            target,
            blocks=self.blocks,
            networks=self.networks,
            parameters=self.parameters,
            seed=self.seed,
            threads=self.threads,
        )
        for name in ("device", "checkpoints", "watch"):
            value = getattr(self, name)
            if value is not None and hasattr(classifier, name):
                setattr(classifier, name, value)
        return limit_memory(classifier, self.memory_limit)


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
    X: Any,
    y: NDArray[Any],
    subjects: NDArray[np.str_],
    folds: Sequence[Fold],
    fitting: Fitting | None = None,
    *,
    also: Mapping[Target, NDArray[Any]] | None = None,
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
        X: vectors, shape (n, dim), or Crops for a classifier that reads those.
        y: class numbers, or years, shape (n,); -1 or NaN for a row that is only learned from for `also`.
        subjects: person on each row, shape (n,).
        folds: row numbers to learn from and to be scored on.
        fitting: how it is fitted; the threads are those that all folds together may use. None for as it
            comes.
        also: labels of the targets that are learned together with it, of every row; None for none.
        jobs: how many folds at once; fewer where their kernel matrices would not fit into memory.
        say: called with what a user should hear before memory is taken.
        done: called after each fold.

    Raises:
        TargetError: a training part has one class only.
    """
    if not folds:
        raise FoldError("There is no fold to fit on.")
    fitting = fitting or Fitting()
    limit = available_memory() // 2
    most = max(len(fold.train) for fold in folds)
    jobs, threads = _side_by_side(
        fitting.fresh(kind, target),
        most,
        # A GPU has one network at a time.
        jobs=1 if _trains_on_gpu(kind, fitting) else min(jobs, len(folds)),
        limit=limit,
        tune=fitting.tune and kind.grid is not None,
        say=say,
    )
    fitting = replace(fitting, threads=threads, memory_limit=limit)

    def run(fold: Fold) -> _Tested:
        rows = (X[fold.train], y[fold.train], subjects[fold.train])
        check_training_labels(target, rows[1][_is_known(rows[1])])
        started = time.perf_counter()
        own = {other: labels[fold.train] for other, labels in (also or {}).items()}
        classifier, found = _fit(kind, target, *rows, fitting, also=own)
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
        # A training that was found done, or half done, took the time that it took then.
        seconds = (getattr(classifier, "seconds_", fitted - started), time.perf_counter() - fitted)
        return _Tested(classifier, found, predicted, probabilities, *seconds)

    pool = ThreadPoolExecutor(jobs)
    try:
        with one_blas_thread():
            results = list(pool.map(run, folds))
    except BaseException as error:
        # Where a fold failed the others end first; who stops the program does not wait for them.
        pool.shutdown(wait=isinstance(error, Exception), cancel_futures=True)
        raise
    pool.shutdown()
    fold_of = np.full(len(y), -1, dtype=np.intp)
    predicted = np.full(len(y), np.nan if target.is_regression else -1, dtype=y.dtype)
    probabilities = np.full((len(y), len(target.classes)), np.nan)
    for number, (fold, tested) in enumerate(zip(folds, results, strict=True)):
        fold_of[fold.test] = number
        predicted[fold.test] = tested.predicted
        if tested.probabilities is not None:
            probabilities[fold.test] = tested.probabilities
    trainings = [getattr(tested.classifier, "training_", None) for tested in results]
    return OutOfFold(
        fold_of,
        predicted,
        probabilities,
        sum(tested.seconds_fit for tested in results),
        sum(tested.seconds_predict for tested in results),
        results[0].classifier,
        tuple(tested.found for tested in results if tested.found is not None),
        tuple(training for training in trainings if training is not None),
    )


def _trains_on_gpu(kind: ClassifierKind, fitting: Fitting) -> bool:
    return kind.reads == "crops" and resolve(fitting.device or "auto", "auto")[0] == "cuda"


def _is_known(y: NDArray[Any]) -> NDArray[np.bool_]:
    """Whether each row has a label."""
    known: NDArray[np.bool_] = np.isfinite(y) if y.dtype.kind == "f" else y >= 0
    return known


def _fit(
    kind: ClassifierKind,
    target: Target,
    X: Any,
    y: NDArray[Any],
    subjects: NDArray[np.str_],
    fitting: Fitting,
    *,
    also: Mapping[Target, NDArray[Any]] | None = None,
) -> tuple[Classifier, Search | None]:
    """Return a classifier fitted on these rows and, where it was tuned on them, what the search found."""
    classifier = fitting.fresh(kind, target)
    if also:
        classifier.also = also
    found = None
    if fitting.tune and kind.grid is not None:
        found = search(
            kind,
            target,
            X,
            y,
            subjects,
            blocks=fitting.blocks,
            seed=fitting.seed,
            threads=fitting.threads,
            memory_limit=fitting.memory_limit,
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
        features: "backbone:layer" of each part, in the order they are joined; of networks that are trained
            further, what they start from.
        kind: with which classifier.
        parameters: of the classifier, that are not as they come.
        is_asked: whether somebody named the classifier; else it is one of the floors of every comparison.
        left_out: classes of the target that cannot be learned on the comparison's folds.
    """

    target: Target
    features: tuple[str, ...]
    kind: ClassifierKind
    parameters: Mapping[str, Any] = field(default_factory=dict)
    is_asked: bool = True
    left_out: tuple[LeftOut, ...] = ()

    @property
    def reads(self) -> tuple[str, ...]:
        """What must have been extracted."""
        return (PIXELS,) if self.kind.reads == "crops" else self.features

    @property
    def looks_at_nothing(self) -> bool:
        """Whether it is a floor that answers without a look at any vector."""
        return self.kind.is_baseline and self.kind.reads == "embeddings" and self.kind.features is None

    @property
    def networks(self) -> tuple[str, ...]:
        """Names of the networks that are trained further."""
        if not self.kind.starts_from:
            return ()
        return tuple(feature.partition(":")[0] for feature in self.features)

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
    variations: Sequence[Mapping[str, Any]] = ({},),
    ethnicity: bool = False,
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
        variations: parameters, each set of which is tried with every classifier that has them all; the
            others are run once, as they come.
        ethnicity: whether the ethnicity that somebody is taken to have may be a target.

    Raises:
        UnknownNameError: no such classifier, backbone, layer or parameter.
        ModelError: a classifier's parameter cannot have its value.
        TargetError: no such target, no face has a label of it, or it is one that has to be allowed.
        WorkspaceError: features that have not been extracted.
        EngineError: a classifier needs a package that is not here.
    """
    kinds = [CLASSIFIERS[name] for name in dict.fromkeys(models)]
    for kind in kinds:  # before hours of fitting, not after
        if kind.needs and find_spec(kind.needs) is None:
            raise EngineError(
                f"{kind.name} needs {kind.needs}, which is not here: pip install 'featurekit[{kind.needs}]'."
            )
    kinds += [kind for kind in CLASSIFIERS if kind.is_baseline and kind not in kinds]
    if targets is None:
        found = [manifest.target(name) for name in ("age_group", "gender", "age")]
        wanted = [target for target in found if manifest.labelled(target).any()]
    else:
        wanted = [manifest.target_to_fit(name) for name in dict.fromkeys(targets)]
    if not wanted:
        raise TargetError("No usable row of the manifest has a label of age_group, gender or age.")
    for target in wanted:
        if names_ethnicity(target.name) and not ethnicity:
            raise TargetError(
                f"{target.name} is called like the ethnicity that others see in a face, which no model should"
                " be made to read lightly. For how well faces of each label are read, the label is enough:"
                " featurekit report has it. To fit a model that reads it, say so: --allow-ethnicity."
            )
        if not manifest.labelled(target).any():
            raise TargetError(f"No usable row of the manifest has a label of {target.name}.")
        if target.name not in TARGETS and is_measured(target.classes):
            raise TargetError(
                f"column {target.name} is numeric ({', '.join(target.classes[:2])}, …): it cannot be a class"
                " yet. Group it into classes in the table (e.g. pandas.cut), or call it age if it is years."
            )
    # Floors alone need no features of anybody's choice.
    sets = _feature_sets(ledger, features, join) if any(_reads_features(kind) for kind in kinds) else []
    pictures = any(kind.reads == "crops" for kind in kinds)
    if pictures and PIXELS not in ledger.recipes:
        raise WorkspaceError(
            "Networks that are trained end to end read the faces themselves, which have not been kept."
            " Next: featurekit extract --backbone pixels"
        )
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
            elif kind.reads == "crops":
                chosen = _networks(kind, features, join)
            else:
                # A floor looks at no vector: always the same one, so that it stands in a comparison once.
                chosen = [(next(iter(ledger.recipes)),)] if kind.is_baseline else sets
            fitting = _fitting_variations(kind, target, variations)
            asked = kind.name in models
            plans += [Plan(target, parts, kind, changes, asked) for parts in chosen for changes in fitting]
    unused = {name for changes in variations for name in changes}
    unused -= {name for one in plans for name in one.parameters}
    if unused:
        able = [one for one in plans if one.kind.name in models]
        known = {name for one in able for name in _parameters(one.kind, one.target)}
        if unused <= known:
            raise UnknownNameError(
                f"None of {', '.join(models)} has all of the parameters {', '.join(sorted(unused))}. Fit the"
                " models apart, each with its own parameters."
            )
        unused -= known
        raise UnknownNameError(unknown(f"parameter of {', '.join(models)}", min(unused), sorted(known)))
    return plans


def _reads_features(kind: ClassifierKind) -> bool:
    """Whether a classifier reads vectors of the user's choice."""
    return kind.reads == "embeddings" and kind.features is None and not kind.is_baseline


def _fitting_variations(
    kind: ClassifierKind, target: Target, variations: Sequence[Mapping[str, Any]]
) -> list[Mapping[str, Any]]:
    """Return the variations that a classifier can be run in; only as it comes where it has none of them."""
    if not any(variations) or (kind.features is not None and kind.features(target) is None):
        return [{}]
    own = _parameters(kind, target)
    fitting = [changes for changes in variations if set(changes) <= set(own)]
    for changes in fitting:
        # A value that it cannot have is met before anything is fitted.
        fresh(kind, target, parameters=changes, seed=0, threads=1)
    return fitting or [{}]


def _parameters(kind: ClassifierKind, target: Target) -> Mapping[str, Any]:
    """Return the parameters that a classifier has as it comes."""
    own: Mapping[str, Any] = getattr(kind.make(target, 0, 1), "get_params", dict)()
    return own


def _networks(kind: ClassifierKind, features: Sequence[str] | None, join: bool) -> list[tuple[str, ...]]:
    """Return what a classifier that reads crops starts from: sets of networks, or the pixels alone."""
    if not kind.starts_from:
        return [(PIXELS,)]
    sets = []
    for text in features or ["+".join(kind.starts_from)]:
        parts = _parts(text)
        # An inner layer is no end to train from, and what has no weights learns nothing.
        if all(backbone.load and layer == backbone.default_layer for backbone, layer in parts):
            sets.append(tuple(f"{backbone.name}:{layer}" for backbone, layer in parts))
    if not sets:
        raise WorkspaceError(
            f"{kind.name} trains networks up to their default layers; {', '.join(features or [])} names none."
        )
    return [tuple(dict.fromkeys(part for parts in sets for part in parts))] if join else sets


def _parts(text: str) -> list[tuple[Backbone, str]]:
    """Return the networks and layers that are joined by "+"."""
    parts = [split_feature(part) for part in text.split("+")]
    for place, (backbone, layer) in enumerate(parts):
        if (backbone, layer) in parts[:place]:
            raise UnknownNameError(
                f"{backbone.name}:{layer} is joined with itself in '{text}': the same numbers twice say"
                " nothing more. Name it once."
            )
    return parts


def _feature_sets(ledger: Ledger, features: Sequence[str] | None, join: bool) -> list[tuple[str, ...]]:
    if features is None:
        # A head is read by the model it belongs to, and by others only when asked for.
        heads = [f for f in ledger.recipes if split_feature(f)[1] in split_feature(f)[0].heads]
        # Pixels are read by networks that are trained on them, and by others only when asked for.
        single = [f for f in ledger.recipes if f not in heads and f != PIXELS]
        sets: list[tuple[str, ...]] = [(f,) for f in single]
        if len(single) > 1:
            sets = [tuple(single)] if join else [*sets, tuple(single)]
    else:
        sets = []
        for text in features:
            sets.append(tuple(f"{backbone.name}:{layer}" for backbone, layer in _parts(text)))
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
        seed: what chance comes from; that of the folds.
        is_new: whether the folds were made just now.
        replaces: whether a run of it takes the place of all that is in the folder.
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
        """Take the folds saved in the folder, or make some: official ones where there are any.

        Nothing is written: run() saves new folds, once everything has been checked.

        Args:
            folder: reports/<name>/.
            manifest: whose faces.
            n_folds: how many there must be; None for those that are there, else 5.
            seed: what chance must come from; None for that of the folds that are there, else 0.
            new_folds: whether to make folds even where some are saved.

        Raises:
            FoldError: too few subjects, or the saved folds are of other rows, another number or another seed.
        """
        path = folder / "folds.json"
        is_new = new_folds or not path.is_file()
        if is_new:
            made = {} if n_folds is None else {"n_folds": n_folds}
            folds = make_fold_set(folder.name, manifest, seed=seed or 0, **made)
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
        command: str = "",
        rare: str = RARE[0],
        skip: bool = False,
        progress: Progress | None = None,
        say: Callable[[str], None] | None = None,
        watch: Callable[[str], None] | None = None,
    ) -> list[Run]:
        """Run every plan, save each run as soon as it is done, and return them in the plans' order.

        Everything is checked before anything is written. Then what new folds take the place of is moved to
        replaced-<time>/ in the comparison's folder, and is deleted when all plans have been run.

        Args:
            plans: from plan().
            ledger: what has been extracted and how.
            store: where the vectors are.
            models_folder: where classifiers fitted on all faces go; None to fit none.
            threads: how many may be used; 0 for one a core.
            tune: whether every fold searches for parameters inside its training part.
            jobs: folds at once; 0 for as many as there are threads.
            device: "auto", "cpu" or "cuda", for classifiers that can choose; None for their own.
            checkpoints: folder that a killed training goes on from; None for none.
            command: the command line, for the record.
            rare: what is done with a class that cannot be in every training part: "leave-out", or "refuse".
            skip: whether a target that cannot be learned is passed over where another can.
            progress: called with (fits done, fits to do): one a fold, and one for each model saved. A part
                of a fit is counted where it says how far it is.
            say: called with what a user should hear: what is left out or replaced, what memory is taken.
            watch: called with a few words on how a fit that takes long goes.

        Raises:
            FeaturekitError: a plan cannot be run; nothing has been changed.
        """
        threads = threads or usable_cores()
        jobs = jobs or threads
        if any(one.kind.reads == "crops" for one in plans):
            keep_memory()
        keys = row_keys(self.manifest, ledger.settings)
        statuses = row_statuses(self.manifest, keys, store.shelf("faces", ledger.settings.recipe()))
        checked, plans = self._made_ready(
            plans, ledger, store, statuses, rare=rare, skip=skip, device=device, say=say
        )
        checked._begin(models_folder, say)
        n_fits = len(plans) * (self.folds.n_folds + (models_folder is not None))
        fitted, lock = 0, Lock()

        under_way: dict[int, float] = {}

        def fit_done() -> None:
            nonlocal fitted
            with lock:
                fitted += 1
                under_way.pop(get_ident(), None)
                if progress:
                    progress(fitted + sum(under_way.values()), n_fits)

        def part_done(text: str, share: float) -> None:
            with lock:
                under_way[get_ident()] = share
                if watch:
                    watch(text)
                if progress:
                    progress(fitted + sum(under_way.values()), n_fits)

        # Plans of the same features stand together, so that each set is loaded once.
        order = sorted(
            range(len(plans)),
            key=lambda i: (not plans[i].looks_at_nothing, plans[i].reads, plans[i].features),
        )
        done: dict[int, Run] = {}
        loaded: tuple[tuple[bool, tuple[str, ...]], Embeddings] | None = None
        for i in order:
            one = plans[i]
            wanted = (one.looks_at_nothing, one.reads)
            if loaded is None or loaded[0] != wanted:
                recipes = [ledger.recipes[part] for part in one.reads]
                if one.looks_at_nothing:
                    loaded = (wanted, without_vectors(self.manifest, recipes, statuses))
                else:
                    loaded = (wanted, load_embeddings(self.manifest, recipes, ledger.settings, store))
            fitting = Fitting(
                blocks=loaded[1].blocks,
                networks=one.networks,
                parameters=one.parameters,
                device=device,
                seed=self.seed,
                threads=threads,
                tune=tune,
                checkpoints=checkpoints,
                watch=part_done,
            )
            done[i] = checked._run_one(
                one,
                loaded[1],
                ledger,
                statuses,
                models_folder,
                fitting,
                jobs=jobs,
                command=command,
                say=say,
                fit_done=fit_done,
            )
        if self.replaces:
            forget(replaced_folders(self.folder))
        return [done[i] for i in range(len(plans))]

    def _made_ready(
        self,
        plans: Sequence[Plan],
        ledger: Ledger,
        store: Store,
        statuses: NDArray[np.uint8],
        *,
        rare: str,
        skip: bool,
        device: str | None,
        say: Callable[[str], None] | None,
    ) -> tuple["Comparison", list[Plan]]:
        """Return the comparison and the plans without what cannot be learned; nothing is changed.

        Raises:
            FeaturekitError: a plan cannot be run.
        """
        found = statuses == STATUSES.index("ok")
        usable = self.manifest.table["reason"].to_numpy(dtype=str) == ""
        unseen = np.flatnonzero(usable & (statuses == STATUSES.index("not_extracted")))
        if len(unseen) and say:
            n, first = len(unseen), self.manifest.table["image_path"].iloc[unseen[0]]
            what = f"'{first}' has" if n == 1 else f"{n:,} photographs ('{first}', …) have"
            say(
                f"{what} not been looked at since featurekit prepare: no part is taken in any fit. Next:"
                " featurekit extract, then this again."
            )
        names = list(dict.fromkeys(one.target.name for one in plans))
        manifest, left_out = make_ready(
            self.manifest, self.folds, found, names, rare=rare, skip=skip, say=say
        )
        ready, checked = [], set()
        for one in plans:
            if one.target.name not in left_out:
                continue
            if one.kind.reads == "crops" and device is not None:
                resolve(device, "auto")
            try:
                for part in () if one.looks_at_nothing else one.reads:
                    if part not in checked:
                        check_extracted(self.manifest, ledger.recipes[part], ledger.settings, statuses, store)
                    checked.add(part)
            except WorkspaceError as error:
                if one.is_asked:
                    raise
                if say:
                    say(f"{one.kind.name} is not fitted for {one.target.name}: {error}")
                continue
            check_networks(one.networks)
            ready.append(
                replace(one, target=manifest.target(one.target.name), left_out=left_out[one.target.name])
            )
        return replace(self, manifest=manifest), ready

    def _begin(self, models: Path | None, say: Callable[[str], None] | None) -> None:
        """Save folds that are new, after what they take the place of has been moved aside."""
        if not self.is_new:
            return
        replaced = set_aside(self.folder, models) if self.replaces else None
        if replaced and say:
            say(
                f"What was in {self.folder} is in {replaced} until this fit has ended well."
                f" To have it back: {how_to_have_back(replaced, models or Path())}"
            )
        self.folds.save(self.folder / "folds.json")

    def _run_one(
        self,
        one: Plan,
        embeddings: Embeddings,
        ledger: Ledger,
        statuses: NDArray[np.uint8],
        models_folder: Path | None,
        fitting: Fitting,
        *,
        jobs: int,
        command: str,
        say: Callable[[str], None] | None,
        fit_done: Callable[[], None],
    ) -> Run:
        """Fit, score and save one combination."""
        table, target = self.manifest.table, one.target
        labelled = np.flatnonzero(self.manifest.labelled(target))
        together = [self.manifest.target(name) for name in (one.kind.also(target) if one.kind.also else ())]
        others = [other for other in together if self.manifest.labelled(other).any()]
        learnable = self.manifest.labelled(target)
        for other in others:
            learnable = learnable | self.manifest.labelled(other)
        rows, positions, _ = np.intersect1d(embeddings.rows, np.flatnonzero(learnable), return_indices=True)
        y, labels = self._labels(target, rows)
        vectors = embeddings.vectors
        # Crops are large, and are not copied.
        X: Any = Crops(vectors, positions) if one.kind.reads == "crops" else vectors[positions]
        subjects = self.manifest.subjects[rows]
        known = _is_known(y)
        labels = labels if target.is_regression else np.where(known, labels, "")
        # A face without a label of the target may be learned from, and is not scored.
        folds = [
            Fold(fold.train, fold.test[known[fold.test]]) for fold in self.folds.folds(rows, labels, subjects)
        ]
        also = {other: self._labels(other, rows)[0] for other in others}
        most_memory = watch_memory()
        out = cross_validate(
            one.kind, target, X, y, subjects, folds, fitting, also=also, jobs=jobs, say=say, done=fit_done
        )
        peak_bytes = most_memory()
        tuned = fitting.tune and one.kind.grid is not None
        tested = out.fold >= 0
        weight_files = tuple(describe_weights(embeddings.recipes, ledger.settings, one.networks))
        assert out.fitted is not None
        notes = tuple(out.fitted.summary_.get("notes", ()))
        notes += tuple(dict.fromkeys(note for found in out.searches for note in found.notes))
        crossing = self.folds.crossing_subjects(rows, subjects)
        if crossing:
            notes += (
                f"{crossing} subjects are tested in more than one official fold, identical files being one"
                " person; each is left out of the training part of every fold that tests it.",
            )
        notes += tuple(rare.sentence for rare in one.left_out)
        name = _name(target.name, one.feature_name, one.kind.name, tuned, one.parameters)
        n_bytes = 0
        if models_folder is not None:
            # All that some fold learned from or was scored on.
            dealt = self.folds.numbers[rows] >= 0
            final, found = _fit(
                one.kind,
                target,
                X[dealt],
                y[dealt],
                subjects[dealt],
                replace(fitting, memory_limit=available_memory() // 2),
                also={other: values[dealt] for other, values in also.items()},
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
                calibration=_calibration(target, y, subjects, out),
            )
            n_bytes = model.save(models_folder / name)
            fit_done()
        per_fold, per_fold_all = self._scores(target, labelled, rows, out)
        run = Run(
            target=target.name,
            classes=target.classes,
            features=one.feature_name,
            dim=sum(BACKBONES[recipe.backbone].layers[recipe.layer] for recipe in embeddings.recipes),
            classifier=one.kind.name,
            is_baseline=one.kind.is_baseline,
            parameters=_plain_parameters(out.fitted),
            notes=notes,
            scores=summarize(per_fold),
            scores_all_rows=summarize(per_fold_all),
            **_confusion(target, y[tested], out.predicted[tested]),
            n_tested=int(tested.sum()),
            n_labelled=len(labelled),
            n_subjects=len(np.unique(subjects[tested])),
            seconds={
                "extract": ledger.seconds(one.reads),
                "fit": out.seconds_fit,
                "predict": out.seconds_predict,
            },
            bytes_on_disk=n_bytes,
            recipes=tuple(asdict(recipe) for recipe in embeddings.recipes),
            weights=weight_files,
            hardware=_hardware(ledger, one.reads, fitting.threads, out.trainings),
            versions=versions(),
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
                # Not where the pictures lie, which is nobody's business.
                "options": {k: v for k, v in self.manifest.info.get("options", {}).items() if k != "root"},
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
            variation=dict(one.parameters),
            training=out.trainings,
            peak_bytes=peak_bytes,
            scored_on=scored_on(self.manifest, target, rows[tested]),
            left_out={rare.label: rare.n_rows for rare in one.left_out},
        )
        run.save(self.folder, self._predictions(rows, target, y, out))
        return run

    def combine(self, runs: Sequence[Run], *, weighted: bool = False, command: str = "") -> Run:
        """Average what several runs said of the same faces, save the mean as a run of its own, and return it.

        Every run has read every face without having learned from its subject, so the mean has too. Weights
        are learned for each fold on what was said in the others, on no subject of its own.

        Args:
            runs: at least two of one target, of this comparison.
            weighted: whether the better ones count for more; else all count alike.
            command: the command line, for the record.

        Raises:
            WorkspaceError: runs of several targets or folds, or of other faces.
        """
        names = [run.name for run in runs]
        if len(set(names)) < 2 or len({run.target for run in runs}) > 1:
            raise WorkspaceError(
                f"An ensemble takes at least two runs of one target. Got {', '.join(names) or 'none'}."
            )
        if any(run.folds.get("sha256") != self.folds.sha256 for run in runs):
            raise WorkspaceError(
                "The runs were scored on other folds than this comparison's. Fit them again."
            )
        apart = set_apart(runs, self.manifest)
        if apart:
            which = "; ".join(f"{name}: {why}" for name, why in apart.items())
            raise WorkspaceError(f"These runs cannot be averaged: {which}. Fit them again: featurekit fit.")
        return replace(self, manifest=runs[0].seen(self.manifest))._mean_of(runs, weighted, command)

    def _mean_of(self, runs: Sequence[Run], weighted: bool, command: str) -> Run:
        """Average runs whose target, folds and classes are the same."""
        names = [run.name for run in runs]
        target = self.manifest.target(runs[0].target)
        tables = [read_predictions(self.folder / "predictions" / f"{name}.parquet") for name in names]
        if any(not table[["face_id", "fold"]].equals(tables[0][["face_id", "fold"]]) for table in tables):
            raise WorkspaceError(f"{', '.join(names)} did not read the same faces. Fit them again together.")
        position = {face_id: row for row, face_id in enumerate(self.manifest.table["face_id"].astype(str))}
        rows = np.array([position[face_id] for face_id in tables[0]["face_id"]], np.intp)
        y, _ = self._labels(target, rows)
        columns = "predicted" if target.is_regression else [f"p_{name}" for name in target.classes]
        answers = [table[columns].to_numpy(float) for table in tables]
        fold = tables[0]["fold"].to_numpy(np.intp)
        weights = np.full((self.folds.n_folds, len(runs)), 1 / len(runs))
        left_out = tuple(note for note in runs[0].notes if " is left out of " in note)
        notes = ("The members weigh the same; nothing was learned to combine them.",)
        if weighted:
            weights = fold_weights(answers, y, fold, self._subject_numbers(rows))
            shares = ", ".join(f"{mean:.2f} {run.classifier_name}" for mean, run in _heaviest(weights, runs))
            notes = (f"Weights were learned for each fold on the answers in the others; mean: {shares}.",)
        of_face = weights[fold].T
        probabilities = np.full((len(rows), len(target.classes)), np.nan)
        if target.is_regression:
            predicted: NDArray[Any] = np.sum(of_face * np.array(answers), axis=0)
        else:
            probabilities = np.sum(of_face[:, :, None] * np.array(answers), axis=0)
            predicted = probabilities.argmax(axis=1)
        out = OutOfFold(
            fold,
            predicted,
            probabilities,
            sum(run.seconds["fit"] for run in runs),
            sum(run.seconds["predict"] for run in runs),
            None,
        )
        per_fold, per_fold_all = self._scores(
            target, np.flatnonzero(self.manifest.labelled(target)), rows, out
        )
        recipes = {json.dumps(recipe, sort_keys=True): recipe for run in runs for recipe in run.recipes}
        weight_files = {entry["sha256"]: entry for run in runs for entry in run.weights}
        run = replace(
            runs[0],
            features="+".join(dict.fromkeys(part for run in runs for part in run.features.split("+"))),
            dim=0,
            classifier=f"{'weighted ' if weighted else ''}ensemble of"
            f" {' and '.join(run.classifier_name for run in runs)}",
            is_baseline=False,
            parameters={"members": names, "weights": weights.round(4).tolist() if weighted else "equal"},
            notes=(*notes, *left_out),
            scores=summarize(per_fold),
            scores_all_rows=summarize(per_fold_all),
            **_confusion(target, y, predicted),
            hardware=_hardware_of_all(runs),
            # What members share is extracted once, but which part that is, is not known here.
            seconds={
                "extract": max(run.seconds["extract"] for run in runs),
                "fit": out.seconds_fit,
                "predict": out.seconds_predict,
            },
            bytes_on_disk=sum(run.bytes_on_disk for run in runs),
            recipes=tuple(recipes.values()),
            weights=tuple(weight_files.values()),
            command=command,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            tuned=False,
            search=(),
            variation={},
            training=(),
            peak_bytes=None,
        )
        # The same classifiers on the same features together, but other runs: both are kept.
        there = self.folder / "runs" / f"{run.name}.json"
        if there.is_file() and Run.load(there).parameters.get("members") != names:
            each = " and ".join(f"{one.classifier_name} on {one.features}" for one in runs)
            run = replace(run, classifier=f"{'weighted ' if weighted else ''}ensemble of {each}")
        run.save(self.folder, self._predictions(rows, target, y, out))
        return run

    def _labels(self, target: Target, rows: NDArray[np.intp]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return class numbers (-1 for none) or years (NaN) of rows, and what the table says."""
        labels = self.manifest.table[target.name].to_numpy(dtype=float if target.is_regression else str)[rows]
        if target.is_regression:
            return labels, labels
        known = self.manifest.labelled(target)[rows]
        numbers = np.full(len(rows), -1, dtype=np.intp)
        numbers[known] = target.encode(list(labels[known]))
        return numbers, labels

    def _subject_numbers(self, rows: NDArray[np.intp]) -> NDArray[np.intp]:
        """Return a number for the person on each row, the same in all runs of the manifest."""
        numbers: NDArray[np.intp] = np.unique(self.manifest.subjects, return_inverse=True)[1][rows]
        return numbers

    def _predictions(
        self, rows: NDArray[np.intp], target: Target, y: NDArray[Any], out: OutOfFold
    ) -> pd.DataFrame:
        """Return what was said of each face that was tested; a person is a number, the same in all runs."""
        tested = out.fold >= 0
        rows = rows[tested]
        columns: dict[str, Any] = {
            "face_id": self.manifest.table["face_id"].to_numpy(dtype=str)[rows],
            "subject": self._subject_numbers(rows),
            "fold": out.fold[tested],
        }
        if target.is_regression:
            columns |= {"true": y[tested], "predicted": out.predicted[tested]}
        else:
            names = np.array(target.classes)
            columns |= {"true": names[y[tested]], "predicted": names[out.predicted[tested]]}
            columns |= {f"p_{name}": out.probabilities[tested, i] for i, name in enumerate(names)}
        return pd.DataFrame(columns)

    def _scores(
        self,
        target: Target,
        labelled: NDArray[np.intp],
        rows: NDArray[np.intp],
        out: OutOfFold,
    ) -> tuple[list[dict[str, float]], list[dict[str, float]]]:
        """Return the scores of each fold on the faces found, and on all labelled rows."""
        everything = np.arange(len(self.manifest))
        numbers, _ = self._labels(target, everything)
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


def _hardware_of_all(runs: Sequence[Run]) -> dict[str, Any]:
    """Return the hardware of the first run, with every processor, engine and device that any of them had."""
    got: dict[str, Any] = {}
    for run in runs:
        for name, one in run.hardware.get("got", {}).items():
            got[name if got.get(name, one) == one else f"{name} of {run.name}"] = one
    processors = dict.fromkeys(str(run.hardware.get("processor", "")) for run in runs)
    return {**runs[0].hardware, "got": got, "processor": " and ".join(processors)}


def _heaviest(weights: NDArray[np.float64], runs: Sequence[Run]) -> list[tuple[float, Run]]:
    """Return the mean weight of each run over the folds, the heaviest first."""
    means = weights.mean(axis=0)
    return [(float(means[i]), runs[i]) for i in np.argsort(-means, kind="stable")]


def load_runs(folder: Path) -> list[Run]:
    """Return every run of a comparison, by name.

    Raises:
        WorkspaceError: a file is no run, or two files hold the same one.
    """
    found: dict[str, Path] = {}
    runs = []
    for path in sorted((folder / "runs").glob("*.json")):
        run = Run.load(path)
        if run.name in found:
            raise WorkspaceError(
                f"{found[run.name].name} and {path.name} in {path.parent} both hold the run {run.name}, which"
                " would be ranked twice. Delete the one that is a copy."
            )
        found[run.name] = path
        runs.append(run)
    return runs


def some_runs(folder: Path) -> list[Run]:
    """Return every run of a comparison that must have one, by name.

    Raises:
        WorkspaceError: it has none.
    """
    runs = load_runs(folder)
    if not runs:
        replaced = replaced_folders(folder)
        if replaced:
            raise WorkspaceError(
                f"There is no run in {folder}; what an earlier one replaced is in {replaced[-1]}. To have it"
                f" back: {how_to_have_back(replaced[-1], folder.parents[1] / 'models')}"
            )
        known = sorted({path.parents[1].name for path in folder.parent.glob("*/runs/*.json")})
        raise WorkspaceError(
            f"There is no run in {folder}. Next: featurekit fit --name {folder.name} --model svm."
            f" Comparisons with runs: {', '.join(known) or 'none'}."
        )
    return runs


def _name(target: str, features: str, classifier: str, tuned: bool, variation: Mapping[str, Any]) -> str:
    changes = "".join(f"--{name}-{value}" for name, value in variation.items())
    classifier = re.sub(r"[^\w.-]+", "-", classifier).strip("-")
    # No colon in a file's name; a point that was there already is doubled, so that two names stay two.
    features = features.replace(".", "..").replace(":", ".")
    return f"{target}--{features}--{classifier}{changes}{'--tuned' if tuned else ''}"


def _listed(parameters: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in parameters.items())


def _confusion(target: Target, true: NDArray[Any], predicted: NDArray[Any]) -> dict[str, Any]:
    """Return the confusion matrix and the recall of each class as a run keeps them; empty for years."""
    if target.is_regression:
        return {"confusion": (), "recall": ()}
    counts = counts_of(true, predicted, len(target.classes))
    shares = recalls(counts)
    return {
        "confusion": tuple(tuple(map(int, row[:-1])) for row in counts),
        "recall": tuple(float(share) if np.isfinite(share) else None for share in shares),
    }


def _calibration(
    target: Target,
    y: NDArray[Any],
    subjects: NDArray[np.str_],
    out: OutOfFold,
) -> Calibration | None:
    """Return what a model fitted on all faces may promise, as the models of the folds kept it."""
    tested = out.fold >= 0
    if target.is_regression:
        return calibrate_years(out.predicted[tested], y[tested], subjects[tested], missed=MISSED)
    proba = out.probabilities[tested]
    return calibrate_classes(proba, y[tested], subjects[tested], missed=MISSED, ordered=target.ordered)


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


def _hardware(
    ledger: Ledger, features: Sequence[str], threads: int, trainings: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Return what was asked for and what was got; the networks' part is read back from their engines."""
    networks = sorted({feature.partition(":")[0] for feature in features})
    got = {name: dict(ledger.achieved[name]) for name in networks if name in ledger.achieved}
    if trainings:
        got["training"] = {name: trainings[0][name] for name in ("engine", "device", "precision")}
    return {
        "asked": dict(ledger.asked),
        "got": got,
        "processor": processor(),
        "cores": usable_cores(),
        "threads": threads,
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9),
    }


def processor() -> str:
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


def versions() -> dict[str, str]:
    """Return the versions of everything that decides numbers."""
    found = {"python": platform.python_version()}
    for name in _DECIDE_NUMBERS:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = __version__ if name == "featurekit" else "not installed"
    return found
