"""How a classifier is made and fitted, beside what it learns from.

It is made here and nowhere else in a comparison: in every fold, and for the model that is saved.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featurekit.data.targets import Target
from featurekit.errors import EstimatorError
from featurekit.estimators import Classifier, ClassifierKind, Resources, fresh
from featurekit.evaluation.tuning import Search, search


@dataclass(frozen=True, kw_only=True)
class Fitting:
    """How a classifier is fitted, beside what it learns from.

    Attributes:
        features: name of the feature set that it reads, for messages.
        blocks: lengths of the parts of a joined vector.
        networks: those that one which reads crops starts from.
        parameters: that are not as they come.
        seed: of the random number generator.
        tune: whether it first searches for parameters, inside what it learns from.
        resources: what it may use.
    """

    features: str = ""
    blocks: tuple[int, ...] = ()
    networks: tuple[str, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    tune: bool = False
    resources: Resources = field(default_factory=Resources)

    def fresh(self, kind: ClassifierKind, target: Target) -> Classifier:
        """Return an unfitted classifier that knows all this."""
        return fresh(
            kind,
            target,
            blocks=self.blocks,
            networks=self.networks,
            parameters=self.parameters,
            seed=self.seed,
            resources=self.resources,
        )


@contextmanager
def said_where(kind: ClassifierKind, target: Target, fitting: Fitting, where: str) -> Iterator[None]:
    """Let somebody's own estimator learn and answer inside; an error of its says where that was.

    Args:
        kind: which classifier.
        target: what it learns.
        fitting: how it is fitted.
        where: "fold 2" or "all faces".

    Raises:
        EstimatorError: it failed; the message names it, the target, the features and the place.
    """
    try:
        yield
    except EstimatorError as error:
        on = f"{target.name} on {fitting.features}" if fitting.features else target.name
        raise error.at(f"{on}, {where}", kind.name) from error.__cause__


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
    classifier: Any = fitting.fresh(kind, target)
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
            resources=fitting.resources,
        )
        if found.best:
            classifier.set_params(**found.best)
    # One that learns nothing else is not asked to.
    more = {"also": also} if kind.also is not None else {}
    return classifier.fit(X, y, groups=subjects, **more), found
