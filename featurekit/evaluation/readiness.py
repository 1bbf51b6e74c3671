"""Check which targets and classes a comparison can learn, before anything is fitted or replaced.

A class whose faces are all in one fold cannot be learned by the model that is tested on this fold. It is left
out of its target in all folds, so that all models of the comparison have the same classes. Which classes are
left out depends only on the folds, the labels and the found faces, so it is the same for every fit.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from featurekit.data.manifest import Manifest
from featurekit.data.splits import FoldSet
from featurekit.data.targets import TARGETS
from featurekit.errors import FeaturekitError, FoldError, TargetError
from featurekit.estimators import check_training_labels
from featurekit.networks import weights
from featurekit.networks.backbones import BACKBONES
from featurekit.text import counted, first_few

# The options for a class that cannot be in every training part.
RARE = ("leave-out", "refuse")


@dataclass(frozen=True)
class LeftOut:
    """A class that is not learned, because some training part contains no face of it.

    Attributes:
        target: name of the target.
        label: the class.
        n_rows: number of usable rows with this class; they are not scored.
        n_subjects: number of subjects of these rows.
        fold: the first fold whose training part has no face of this class.
    """

    target: str
    label: str
    n_rows: int
    n_subjects: int
    fold: int

    @property
    def sentence(self) -> str:
        """Sentence that tells readers of the scores that the class is left out, and why."""
        rows = counted(self.n_rows, "row", "rows")
        return (
            f"Class {self.label} is left out of {self.target}, because too few subjects have it: the"
            f" training part of fold {self.fold} has none of them. Its {rows} of"
            f" {counted(self.n_subjects, 'subject', 'subjects')} {'is' if self.n_rows == 1 else 'are'} not"
            f" scored for {self.target}."
        )


def leave_out_rare(
    manifest: Manifest, folds: FoldSet, found: NDArray[np.bool_], name: str, *, rare: str = RARE[0]
) -> tuple[Manifest, tuple[LeftOut, ...]]:
    """Remove classes that are missing in some training part; return the new manifest and these classes.

    Args:
        manifest: manifest with the labels.
        folds: the fold in which each subject is tested.
        found: whether a face was found in each row, shape (n_rows,).
        name: name of the target.
        rare: "leave-out", or "refuse" to raise an error instead.

    Raises:
        FoldError: a class is missing in some training part, and rare is "refuse".
    """
    target = manifest.target(name)
    if target.is_regression:
        return manifest, ()
    labelled = manifest.labelled(target)
    labels = manifest.table[name].to_numpy(dtype=str)
    rows = np.flatnonzero(labelled & found)
    absent = folds.untrained(rows, labels[rows], manifest.subjects[rows])
    if absent and rare == "refuse":
        label, fold = next(iter(absent.items()))
        n_subjects = len(np.unique(manifest.subjects[rows][labels[rows] == label]))
        why, others = "only one subject has it", ""
        if n_subjects > 1:
            why = f"all {n_subjects:,} subjects who have it are tested in this fold"
            # The folds of a data set cannot be changed.
            others = " make other folds with another --seed," if folds.kind == "made" else ""
        raise FoldError(
            f"Fold {fold} trains on no face of class {label} of {name}, because {why}. Add faces of other"
            f" subjects with this class,{others} or leave such classes out with --rare leave-out."
        )
    left_out = []
    for label, fold in absent.items():
        own = labelled & (labels == label)
        left_out.append(
            LeftOut(
                target=name,
                label=label,
                n_rows=int(own.sum()),
                n_subjects=len(np.unique(manifest.subjects[own])),
                fold=fold,
            )
        )
    return manifest.without(name, absent), tuple(left_out)


def check_target(
    manifest: Manifest,
    folds: FoldSet,
    found: NDArray[np.bool_],
    name: str,
    left_out: Sequence[LeftOut],
) -> None:
    """Raise an error unless every fold has faces to train on and a face to be scored on.

    Args:
        manifest: manifest with the labels, without those of classes that are left out.
        folds: the fold in which each subject is tested.
        found: whether a face was found in each row, shape (n_rows,).
        name: name of the target.
        left_out: classes of the target that are left out.

    Raises:
        FoldError: a fold has no labelled face to train on, or none to be scored on.
        TargetError: there are fewer than two classes, or all ages are equal.
    """
    target = manifest.target(name)
    if target.is_regression and name not in TARGETS:
        raise TargetError(
            f"No class of {name} can be learned: each has too few subjects to be in every training part."
            " Group its labels into fewer classes, or choose another target."
        )
    labelled = manifest.labelled(target)
    n_left = len(set(manifest.table.loc[labelled, name]))
    if left_out and n_left < 2:
        shown = first_few([one.label for one in left_out])
        raise TargetError(
            f"{name} cannot be fitted: {'one' if n_left else 'no'} class is left after leaving out the"
            f" classes that too few subjects have ({shown}). Use more subjects, or group the"
            " labels into fewer classes."
        )
    rows = np.flatnonzero(labelled & found)
    if not len(rows):
        raise TargetError(f"No face that was found has a usable label of {name}.")
    labels = manifest.table[name].to_numpy(dtype=float if target.is_regression else str)[rows]
    y = labels if target.is_regression else target.encode(list(labels))
    for fold in folds.folds(rows, labels, manifest.subjects[rows]):
        check_training_labels(target, y[fold.train])


def make_ready(
    manifest: Manifest,
    folds: FoldSet,
    found: NDArray[np.bool_],
    names: Sequence[str],
    *,
    rare: str = RARE[0],
    skip: bool = False,
    say: Callable[[str], None],
) -> tuple[Manifest, dict[str, tuple[LeftOut, ...]]]:
    """Leave out what cannot be learned; return the manifest for the fits, and the left-out classes.

    The left-out classes are given for each target that can be learned, by its name.

    Args:
        manifest: manifest with the labels.
        folds: the fold in which each subject is tested.
        found: whether a face was found in each row, shape (n_rows,).
        names: names of the targets.
        rare: what to do with a class that is missing in some training part; one of RARE.
        skip: whether to skip a target that cannot be learned, if another target can be.
        say: called with a sentence on each class or target that is left out, and with one on the classes of
            a target that some folds do not test.

    Raises:
        FoldError, TargetError: a target cannot be learned.
    """
    left_out: dict[str, tuple[LeftOut, ...]] = {}
    first: FeaturekitError | None = None
    for name in names:
        try:
            seen, classes = leave_out_rare(manifest, folds, found, name, rare=rare)
            check_target(seen, folds, found, name, classes)
        except (FoldError, TargetError) as error:
            if not skip or rare == "refuse":
                others = " To fit the other targets, name only those with --target." if names[1:] else ""
                raise type(error)(f"{error.args[0]}{others}") from error
            first = first or error
            say(f"{name} is not fitted: {error}")
            continue
        manifest, left_out[name] = seen, classes
        for one in classes:
            say(one.sentence)
        if text := _not_tested(seen, folds, found, name):
            say(text)
    if first and not left_out:
        raise first
    return manifest, left_out


def _not_tested(manifest: Manifest, folds: FoldSet, found: NDArray[np.bool_], name: str) -> str:
    """Return a sentence on the classes of a target that some folds do not test; "" if there are none."""
    target = manifest.target(name)
    if target.is_regression:
        return ""
    rows = np.flatnonzero(manifest.labelled(target) & found)
    absent = folds.untested(rows, manifest.table[name].iloc[rows].astype(str).to_numpy(dtype=str))
    if not absent:
        return ""
    where = [
        f"{label} in fold{'s' if len(absent[label]) > 1 else ''} {first_few(list(map(str, absent[label])))}"
        for label in target.classes
        if label in absent
    ]
    # A class that is trained in every fold is tested in two of them at least.
    advice = " To test every class in every fold, use fewer folds or more subjects."
    return (
        f"Not every fold tests every class of {name}: missing are {first_few(where, separator='; ')}. The"
        " balanced accuracy of such a fold is the mean over the other classes."
        f"{advice if folds.kind == 'made' else ''}"
    )


def check_networks(names: Sequence[str]) -> None:
    """Raise WeightsError if the weight file of a network that will be trained further is missing."""
    for file in (BACKBONES[name].weights for name in names):
        if file and not weights.present(file):
            weights.read(file)  # raises an error that says what is missing and how to get it
