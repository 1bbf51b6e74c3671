"""How a classifier is made and fitted, beside what it learns from.

It is made here and nowhere else in a comparison: in every fold, and for the model that is saved.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featurekit.data.manifest import Target
from featurekit.estimators import Classifier, ClassifierKind, fresh
from featurekit.evaluation.memory import limit_memory
from featurekit.evaluation.tuning import Search, search


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


def fit_classifier(
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
