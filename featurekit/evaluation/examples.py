"""The faces on which a classifier is fitted and scored, with their labels."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featurekit.cache.store import Store
from featurekit.data.manifest import Manifest
from featurekit.data.splits import Fold, FoldSet
from featurekit.data.targets import Target
from featurekit.embeddings.index import Ledger
from featurekit.embeddings.vectors import Vectors, load_embeddings, without_vectors
from featurekit.estimators import Crops
from featurekit.evaluation.planning import Plan


@dataclass(frozen=True, kw_only=True)
class Examples:
    """The labelled faces on which the classifier of one plan is fitted and scored.

    Each face has a label of the plan's target, or of another target that is learned at the same time.

    Attributes:
        target: target whose labels y contains.
        rows: row numbers of the faces in the manifest, increasing, shape (n,).
        X: vectors of the faces, shape (n, dim), or Crops for a classifier that takes face crops as input.
        y: class numbers, or ages for a regression target, shape (n,); -1 or NaN for a face that only has
            labels of the targets in `also`.
        labels: labels as in the manifest, shape (n,); "" or NaN for a face without a label.
        subjects: subject of each row, shape (n,).
        also: labels of the other targets that are learned at the same time.
    """

    target: Target
    rows: NDArray[np.intp]
    X: Any
    y: NDArray[Any]
    labels: NDArray[Any]
    subjects: NDArray[np.str_]
    also: Mapping[Target, NDArray[Any]]

    def folds(self, folds: FoldSet) -> list[Fold]:
        """Return the training and test part of each fold, as positions of the faces in these arrays.

        A face without a label of the target may be in a training part, but is not scored.
        """
        made = folds.folds(self.rows, self.labels, self.subjects)
        return [Fold(fold.train, fold.test[is_known(self.y[fold.test])]) for fold in made]

    def part(self, which: NDArray[np.bool_]) -> "Examples":
        """Return the faces that are chosen by a mask of shape (n,)."""
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
    """Return the labelled faces of a plan, with their vectors.

    Args:
        manifest: manifest with the labels, without the labels of classes that are left out.
        plan: plan with the target and the classifier.
        embeddings: vectors of the plan's features.
    """
    kind, target = plan.kind, plan.target
    together = map(manifest.target, kind.also(target) if kind.also else ())
    others = [other for other in together if manifest.labelled(other).any()]
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


def vectors_of(plan: Plan, manifest: Manifest, ledger: Ledger, store: Store) -> Vectors:
    """Return the vectors that a plan reads; a baseline that uses no features gets zeros."""
    recipes = [ledger.recipes[part] for part in plan.reads if part in ledger.recipes]
    load = without_vectors if plan.looks_at_nothing else load_embeddings
    return load(manifest, recipes, ledger.settings, store)


def labels_of(
    manifest: Manifest, target: Target, rows: NDArray[np.intp]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the labels of rows as numbers to learn, and as they are in the manifest.

    The numbers are class numbers (-1 for a row without a label), or ages (NaN for a row without a label).
    """
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
    """Return a number for the subject of each row; a subject has the same number in all runs."""
    return np.unique(manifest.subjects, return_inverse=True)[1][rows]
