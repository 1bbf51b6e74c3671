"""Average the predictions of several runs, with equal or learned weights.

The weights for a fold are learned on the out-of-fold predictions in the other folds, so
never on the subjects that they are used for. A model that adds nothing gets a weight of 0.
The runs are found by patterns of their names, separately for each target.
"""

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featurekit.data.manifest import Manifest
from featurekit.data.targets import Target
from featurekit.errors import WorkspaceError
from featurekit.evaluation.comparable import set_apart
from featurekit.evaluation.comparison import Comparison
from featurekit.evaluation.examples import labels_of, subject_numbers
from featurekit.evaluation.out_of_fold import OutOfFold, confusion_of, predictions_of, scores_of
from featurekit.evaluation.outcomes import gives_probabilities, probabilities_of, read_predictions
from featurekit.evaluation.provenance import hardware_of_all, now
from featurekit.evaluation.results import Run, load_runs
from featurekit.networks.feature_names import split_features
from featurekit.project import ComparisonFolder
from featurekit.uncertainty.resampling import faces_of_others

STEPS = 500
SMALLEST = 1e-12  # probability; with a smaller one a single confident mistake would exclude a model


def fold_weights(
    answers: Sequence[NDArray[np.float64]],
    y: NDArray[np.float64] | NDArray[np.intp],
    folds: NDArray[np.intp],
    subjects: NDArray[np.intp],
) -> NDArray[np.float64]:
    """Return the weight of each model in each fold, shape (n_folds, n_models).

    The weights in a fold add up to 1.

    Args:
        answers: predictions of each model: probabilities of shape (n, n_classes), or ages of shape (n,).
        y: class numbers or ages, shape (n,).
        folds: number of the fold in which each face was tested, from 0, shape (n,).
        subjects: subject of each face, shape (n,). The weights of a fold are not learned on its subjects.
    """
    learn = _of_years if answers[0].ndim == 1 else _of_classes
    weights = np.full((int(folds.max()) + 1, len(answers)), 1 / len(answers))
    for fold, others in faces_of_others(folds, subjects).items():
        if others.any():
            weights[fold] = learn(np.stack([one[others] for one in answers]), y[others])
    return weights


def _of_classes(said: NDArray[np.float64], y: NDArray[Any]) -> NDArray[np.float64]:
    """Return the weights with the largest likelihood of the true classes.

    They are the shares of a mixture, computed by expectation maximization, which keeps them between 0 and 1.
    """
    likely = np.clip(said[:, np.arange(len(y)), y], SMALLEST, None)
    weights = np.full(len(said), 1 / len(said))
    for _ in range(STEPS):
        parts = weights[:, None] * likely
        weights = (parts / parts.sum(axis=0)).mean(axis=1)
    return weights


def _of_years(said: NDArray[np.float64], y: NDArray[Any]) -> NDArray[np.float64]:
    """Return the non-negative weights with the smallest squared error."""
    from scipy.optimize import nnls

    # Weights that add up to 1 average errors as they average years.
    errors = (said - y).T
    heavy = 1e3 * max(float(np.abs(errors).max()), 1.0) * np.sqrt(len(y))
    weights = nnls(np.vstack([errors, np.full((1, len(said)), heavy)]), np.append(np.zeros(len(y)), heavy))[0]
    total = float(weights.sum())
    return weights / total if total else np.full(len(said), 1 / len(said))


def combine(comparison: Comparison, runs: Sequence[Run], *, weighted: bool = False, command: str = "") -> Run:
    """Average the predictions of several runs, save the mean as a new run, and return this run.

    No model has seen the subjects that it predicts, so the mean is an out-of-fold prediction, too. Weights
    are learned for each fold on the predictions in the other folds, without the subjects of the fold.

    Args:
        comparison: comparison that the runs belong to.
        runs: at least two runs with the same target.
        weighted: whether weights are learned; otherwise all runs have the same weight.
        command: command line that is stored in the new run.

    Raises:
        WorkspaceError: the runs have different targets, folds or faces.
    """
    _check_can_be_averaged(comparison, runs)
    manifest, folds = runs[0].seen(comparison.manifest), comparison.folds
    said = _read(replace(comparison, manifest=manifest), runs)
    weights = np.full((folds.n_folds, len(runs)), 1 / len(runs))
    note = "All averaged runs have the same weight. No weights were learned."
    if weighted:
        weights = fold_weights(said.answers, said.y, said.fold, subject_numbers(manifest, said.rows))
        means = weights.mean(axis=0)
        shares = ", ".join(
            f"{means[i]:.2f} {runs[i].classifier_name}" for i in np.argsort(-means, kind="stable")
        )
        note = (
            "The weights were learned for each fold from the predictions in the other folds. Their means"
            f" are: {shares}."
        )
    out = said.mean(weights, runs)
    run = replace(
        _record(runs, weighted),
        parameters={
            "members": [run.name for run in runs],
            "weights": weights.round(4).tolist() if weighted else "equal",
        },
        notes=(note, *(note for note in runs[0].notes if " is left out of " in note)),
        **scores_of(manifest, folds, said.target, said.rows, out),
        **confusion_of(said.target, said.y, out.predicted),
        command=command,
        created=now(),
    )
    run = _with_a_name_of_its_own(run, runs, weighted, ComparisonFolder(comparison.folder))
    run.save(comparison.folder, predictions_of(manifest, said.target, said.rows, said.y, out))
    return run


def _check_can_be_averaged(comparison: Comparison, runs: Sequence[Run]) -> None:
    """Raise WorkspaceError unless the runs have one target, and the folds and labels of the comparison."""
    names = [run.name for run in runs]
    if len(set(names)) < 2 or len({run.target for run in runs}) > 1:
        raise WorkspaceError(
            f"An ensemble needs at least two runs of the same target. Got {', '.join(names) or 'none'}."
        )
    if any(run.folds.get("sha256") != comparison.folds.sha256 for run in runs):
        raise WorkspaceError(
            "The runs were scored on folds other than those of this comparison. Fit them again."
        )
    apart = set_apart(runs, comparison.manifest, comparison.folder)
    if apart:
        which = "; ".join(f"{name}: {why}" for name, why in apart.items())
        raise WorkspaceError(f"These runs cannot be averaged: {which}. Fit them again: featurekit fit.")


@dataclass(frozen=True, kw_only=True)
class _Said:
    """The predictions of several runs for the same faces.

    Attributes:
        target: what they predict.
        rows: row numbers of the faces in the manifest, shape (n,).
        y: class numbers or years, shape (n,).
        fold: number of the fold in which each face was tested, shape (n,).
        answers: predictions of each run, probabilities of shape (n, n_classes), or years of shape (n,); for a
            run without probabilities 1 for each predicted class, which is its vote.
        gives_probabilities: whether all runs have probabilities, so that their mean is one.
    """

    target: Target
    rows: NDArray[np.intp]
    y: NDArray[Any]
    fold: NDArray[np.intp]
    answers: Sequence[NDArray[np.float64]]
    gives_probabilities: bool = True

    def mean(self, weights: NDArray[np.float64], runs: Sequence[Run]) -> OutOfFold:
        """Return the mean of the predictions, with the weight of each run in each fold."""
        of_face = weights[self.fold].T
        probabilities = np.full((len(self.rows), len(self.target.classes)), np.nan)
        if self.target.is_regression:
            predicted: NDArray[Any] = np.sum(of_face * np.array(self.answers), axis=0)
        else:
            probabilities = np.sum(of_face[:, :, None] * np.array(self.answers), axis=0)
            predicted = probabilities.argmax(axis=1)
        return OutOfFold(
            self.fold,
            predicted,
            probabilities,
            sum(run.seconds["fit"] for run in runs),
            sum(run.seconds["predict"] for run in runs),
            None,
            gives_probabilities=self.gives_probabilities,
        )


def _read(comparison: Comparison, runs: Sequence[Run]) -> _Said:
    """Return the stored predictions of runs.

    Raises:
        WorkspaceError: the runs have different faces, or predictions are missing.
    """
    files, manifest = ComparisonFolder(comparison.folder), comparison.manifest
    target = manifest.target(runs[0].target)
    tables = [
        read_predictions(files.prediction(run.name), again=run.command or "featurekit fit") for run in runs
    ]
    if any(not table[["face_id", "fold"]].equals(tables[0][["face_id", "fold"]]) for table in tables):
        raise WorkspaceError(
            f"{', '.join(run.name for run in runs)} did not use the same faces. Fit them again together."
        )
    position = {face_id: row for row, face_id in enumerate(manifest.table["face_id"].astype(str))}
    rows = np.array([position[face_id] for face_id in tables[0]["face_id"]], np.intp)
    return _Said(
        target=target,
        rows=rows,
        y=labels_of(manifest, target, rows)[0],
        fold=tables[0]["fold"].to_numpy(np.intp),
        answers=[
            table["predicted"].to_numpy(float)
            if target.is_regression
            else probabilities_of(table, target.classes)
            for table in tables
        ],
        gives_probabilities=all(gives_probabilities(table, target.classes) for table in tables),
    )


def _record(runs: Sequence[Run], weighted: bool) -> Run:
    """Return the first run with the facts about all of them together; its scores are still its own."""
    return replace(
        runs[0],
        features="+".join(dict.fromkeys(part for run in runs for part in split_features(run.features))),
        dim=0,
        classifier=_called([run.classifier_name for run in runs], weighted),
        is_baseline=False,
        hardware=hardware_of_all(runs),
        # Features that members share are extracted once, but the time for each feature is not known here.
        seconds={
            **_longest_extraction(runs),
            "fit": sum(run.seconds["fit"] for run in runs),
            "predict": sum(run.seconds["predict"] for run in runs),
        },
        bytes_on_disk=sum(run.bytes_on_disk for run in runs),
        recipes=tuple(
            {json.dumps(recipe, sort_keys=True): recipe for run in runs for recipe in run.recipes}.values()
        ),
        weights=tuple({entry["sha256"]: entry for run in runs for entry in run.weights}.values()),
        tuned=False,
        search=(),
        variation={},
        training=(),
        peak_bytes=None,
    )


def _with_a_name_of_its_own(run: Run, runs: Sequence[Run], weighted: bool, files: ComparisonFolder) -> Run:
    """Return the ensemble, under a longer name if an ensemble of other runs has its name: both are kept.

    The other runs are the same classifiers on other parts of the same features.
    """
    there = files.run(run.name)
    if not there.is_file() or Run.load(there).parameters.get("members") == run.parameters["members"]:
        return run
    return replace(
        run, classifier=_called([f"{one.classifier_name} on {one.features}" for one in runs], weighted)
    )


def _called(members: Sequence[str], weighted: bool) -> str:
    return f"{'weighted ' if weighted else ''}ensemble of {' and '.join(members)}"


def members_by_target(runs: Sequence[Run], names: Sequence[str]) -> list[list[Run]]:
    """Return the runs to be averaged, as one list for each target that has a run for every name.

    Args:
        runs: runs of a comparison.
        names: names of runs, in which * stands for any letters.

    Raises:
        WorkspaceError: a name matches several runs of a target, or no target has a run for each name.
    """
    wanted = []
    for target in dict.fromkeys(run.target for run in runs):
        meant = [
            [run for run in runs if run.target == target and fnmatchcase(run.name, one)] for one in names
        ]
        for one, found in zip(names, meant, strict=True):
            if len(found) > 1:
                raise WorkspaceError(
                    f"'{one}' matches several runs of {target}: {', '.join(run.name for run in found)}. Name"
                    f" one of them, for example featurekit ensemble {_two_of(runs, target, meant)}"
                )
        if all(meant):
            wanted.append([found[0] for found in meant])
    if not wanted:
        known = ", ".join(run.name for run in runs) or "none"
        targets = [run.target for run in runs]
        of_several = next((target for target in targets if targets.count(target) > 1), None)
        example = f" Example: featurekit ensemble {_two_of(runs, of_several)}" if of_several else ""
        raise WorkspaceError(
            f"No target has a run for each of {', '.join(names)}. The runs are: {known}.{example}"
        )
    return wanted


def _two_of(runs: Sequence[Run], target: str, meant: Sequence[Sequence[Run]] = ()) -> str:
    """Return the full names of two runs of a target for a command line, preferably of those that match."""
    own = [run for run in runs if run.target == target]
    trained = [run for run in own if not run.is_baseline]
    chosen: list[str] = []
    # First one for each name, then trained runs, then any run.
    for found in [*meant, trained, trained, own, own]:
        chosen += [run.name for run in found if run.name not in chosen][:1]
    return shlex.join(chosen[:2])


def make_ensembles(
    folder: Path, manifest: Manifest, names: Sequence[str], *, weighted: bool = False, command: str = ""
) -> list[Run]:
    """Average the predictions of runs for each target, save each mean as a new run, and return the new runs.

    Args:
        folder: folder of the comparison.
        manifest: manifest of the faces.
        names: names of the runs, in which * stands for any letters; each must match one run of a target.
        weighted: whether weights are learned; otherwise all runs have the same weight.
        command: command line that is stored in the new runs.

    Raises:
        WorkspaceError: a name does not match exactly one run, or the runs cannot be averaged.
        FoldError: the folds of the comparison were made for other rows than those of the manifest.
    """
    wanted = members_by_target(load_runs(folder), names)
    comparison = Comparison.open(folder, manifest)
    return [combine(comparison, members, weighted=weighted, command=command) for members in wanted]


def _longest_extraction(runs: Sequence[Run]) -> dict[str, float]:
    """Return the longest extraction of some runs as a part of their times; nothing if one is not known."""
    known = [run.seconds.get("extract") for run in runs]
    return {} if None in known else {"extract": max(filter(None, known), default=0.0)}
