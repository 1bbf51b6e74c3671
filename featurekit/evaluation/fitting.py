"""How a classifier is made and fitted.

A comparison makes classifiers only here: in every fold, and for the model that is saved.
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
    """How a classifier is fitted.

    Attributes:
        features: name of the feature set, for messages.
        blocks: lengths of the parts of a joined vector.
        networks: from which a classifier that reads crops starts.
        parameters: the non-default ones.
        seed: of the random number generator.
        tune: whether it first searches for parameters, inside its training data.
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
        """Return an unfitted classifier with all this."""
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
    """Add the target, the features and the place to the error of a user's own estimator.

    Args:
        kind: which classifier.
        target: what it predicts.
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
    """Return a classifier fitted on these rows and, if it was tuned on them, the search."""
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
    # Only a classifier that learns several targets together takes `also`.
    more = {"also": also} if kind.also is not None else {}
    return classifier.fit(X, y, groups=subjects, **more), found
