"""The faces on which a classifier is fitted and scored, with their labels."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featurekit.data.manifest import Manifest
from featurekit.data.splits import Fold, FoldSet
from featurekit.data.targets import Target
from featurekit.embeddings.vectors import Vectors
from featurekit.estimators import Crops
from featurekit.evaluation.planning import Plan


@dataclass(frozen=True, kw_only=True)
class Examples:
    """The faces of one plan: those with a label of its target, or of a target that is learned with it.

    Attributes:
        target: what y means.
        rows: their row numbers in the manifest, increasing, shape (n,).
        X: their vectors, shape (n, dim), or Crops for a classifier that reads those.
        y: class numbers, or years, shape (n,); -1 or NaN for a row that is only used for training `also`.
        labels: the labels in the table, shape (n,); "" or NaN for none.
        subjects: subject of each row, shape (n,).
        also: labels of the targets that are learned together with it.
    """

    target: Target
    rows: NDArray[np.intp]
    X: Any
    y: NDArray[Any]
    labels: NDArray[Any]
    subjects: NDArray[np.str_]
    also: Mapping[Target, NDArray[Any]]

    def folds(self, folds: FoldSet) -> list[Fold]:
        """Return the folds in numbers of these rows.

        A face without a label of the target may be in a training part, but is not scored.
        """
        known = is_known(self.y)
        made = folds.folds(self.rows, self.labels, self.subjects)
        return [Fold(fold.train, fold.test[known[fold.test]]) for fold in made]

    def part(self, which: NDArray[np.bool_]) -> "Examples":
        """Return the examples of some rows."""
        return Examples(
            target=self.target,
            rows=self.rows[which],
            X=self.X[which],
            y=self.y[which],
            labels=self.labels[which],
            subjects=self.subjects[which],
            also={other: values[which] for other, values in self.also.items()},
        )


def examples_of(manifest: Manifest, plan: Plan, embeddings: Vectors) -> Examples:
    """Return the examples of a plan, from the embeddings of its features.

    Args:
        manifest: manifest with the labels, without those of classes that are left out.
        plan: the target and the classifier.
        embeddings: embeddings of the plan's features.
    """
    kind, target = plan.kind, plan.target
    names = kind.also(target) if kind.also else ()
    others = [other for other in map(manifest.target, names) if manifest.labelled(other).any()]
    learnable = np.any([manifest.labelled(one) for one in (target, *others)], axis=0)
    rows, positions, _ = np.intersect1d(embeddings.rows, np.flatnonzero(learnable), return_indices=True)
    y, labels = labels_of(manifest, target, rows)
    vectors = embeddings.vectors
    return Examples(
        target=target,
        rows=rows,
        # Crops are large, so they are not copied.
        X=Crops(vectors, positions) if kind.reads == "crops" else vectors[positions],
        y=y,
        labels=labels if target.is_regression else np.where(is_known(y), labels, ""),
        subjects=manifest.subjects[rows],
        also={other: labels_of(manifest, other, rows)[0] for other in others},
    )


def labels_of(
    manifest: Manifest, target: Target, rows: NDArray[np.intp]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return class numbers (-1 for none) or years (NaN for none) of rows, and their labels in the table."""
    labels = manifest.table[target.name].to_numpy(dtype=float if target.is_regression else str)[rows]
    if target.is_regression:
        return labels, labels
    known = manifest.labelled(target)[rows]
    numbers = np.full(len(rows), -1, dtype=np.intp)
    numbers[known] = target.encode(list(labels[known]))
    return numbers, labels


def is_known(y: NDArray[Any]) -> NDArray[np.bool_]:
    """Whether each row has a label."""
    return np.isfinite(y) if y.dtype.kind == "f" else y >= 0


def subject_numbers(manifest: Manifest, rows: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return a number for the subject of each row, the same in all runs of the manifest."""
    return np.unique(manifest.subjects, return_inverse=True)[1][rows]
