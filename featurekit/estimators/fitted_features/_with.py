"""A classifier that first learns features of its own from the training faces."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from featurekit.data.splits import Fold
from featurekit.estimators import Classifier, Resources, Searcher
from featurekit.estimators._scaling import consecutive_slices
from featurekit.estimators.fitted_features import FITTED_FEATURES


class WithFittedFeatures:
    """A classifier behind transformers that are learned from the same training faces.

    It is a Classifier itself: its parameters are those of the classifier inside, and whoever fits it, fits
    the transformers too. So nothing outside has to know where they are learned.

    Args:
        classifier: the classifier inside, unfitted.
        fitted_features: for each part of the vectors the name of the feature that is learned from it, or ""
            for a part that stays as it is.
        blocks: length of each part of the vectors.
        seed: seed of the random number generator.

    Attributes:
        transformers_: the fitted transformers, one for each name in `fitted_features`, in their order.
        lengths_: length of each part of the vectors that the classifier inside gets.
    """

    def __init__(
        self, classifier: Classifier, fitted_features: tuple[str, ...], blocks: tuple[int, ...], seed: int
    ) -> None:
        self.classifier: Any = classifier
        self.fitted_features = fitted_features
        self.blocks = blocks
        self.seed = seed

    # ---------------------------------------------------------------- what the classifier inside says

    @property
    def classes_(self) -> NDArray[Any]:
        """Sorted labels of the training rows; absent for a regression target."""
        return np.asarray(self.classifier.classes_)

    @property
    def gives_probabilities_(self) -> bool:
        """Whether the classifier inside has probabilities; absent if it does not say so."""
        return bool(self.classifier.gives_probabilities_)

    @property
    def summary_(self) -> dict[str, Any]:
        """Facts about the fit for the report; the lengths of the learned features are "fitted_features"."""
        found = self.classifier.summary_
        lengths = {name: n for name, n in zip(self.fitted_features, self.lengths_, strict=True) if name}
        # The notes of a run are those of its first fold.
        notes = [f"First fold, {note}" for note in self.learned_notes_]
        return {**found, "fitted_features": lengths, "notes": [*found.get("notes", ()), *notes]}

    @property
    def learned_notes_(self) -> list[str]:
        """What was learned about each feature, a sentence each that begins with its name."""
        names = filter(None, self.fitted_features)
        return [f"{name}: {one.note_}" for name, one in zip(names, self.transformers_, strict=True)]

    @property
    def n_jobs(self) -> Any:
        """Number of threads."""
        return self.classifier.n_jobs

    @n_jobs.setter
    def n_jobs(self, n_jobs: Any) -> None:
        self.classifier.n_jobs = n_jobs

    def validate(self) -> None:
        """Raise ModelError unless every parameter has a valid value."""
        self.classifier.validate()

    def use(self, resources: Resources) -> Self:
        """Set threads, memory and so on of the classifier inside; return self."""
        self.classifier.use(resources)
        return self

    def bytes_needed(self, n_rows: int, *, searching: bool) -> int:
        """Return the bytes that the matrices of a fit take, with the training faces in double precision."""
        parts = zip(self.fitted_features, self.blocks, strict=True)
        own = 8 * n_rows * sum(length for name, length in parts if name)
        return own + int(self.classifier.bytes_needed(n_rows, searching=searching))

    def shown_parameters(self) -> dict[str, Any]:
        """Return the parameters of the classifier inside that a report shows."""
        return dict(self.classifier.shown_parameters())

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the names and values of the parameters of the classifier inside."""
        return dict(self.classifier.get_params(deep))

    def set_params(self, **parameters: Any) -> Self:
        """Change parameters of the classifier inside by name."""
        self.classifier.set_params(**parameters)
        return self

    def check_learned(self, unfitted: "WithFittedFeatures") -> None:
        """Raise ValueError unless it has learned what such a classifier learns.

        Args:
            unfitted: the same classifier as it is made here.
        """
        if self.fitted_features != unfitted.fitted_features:
            raise ValueError("its features that are fitted per fold are not those that model.json names.")
        if self.blocks != unfitted.blocks:
            raise ValueError("the lengths of its parts are not those of its recipes.")
        wanted = [type(FITTED_FEATURES[name].make(0)) for name in unfitted.fitted_features if name]
        if [type(one) for one in self.transformers_] != wanted:
            raise ValueError("it does not contain the transformers of its features.")
        if type(self.classifier) is not type(unfitted.classifier):
            raise ValueError(f"it contains a {type(self.classifier).__name__} instead of its classifier.")
        self.classifier.check_learned(unfitted.classifier)

    # ---------------------------------------------------------------- learning and predicting

    def fit(self, X: Any, y: NDArray[Any], groups: NDArray[Any] | None = None) -> Self:
        """Learn the features from vectors (n, dim), then the classifier from labels or numbers (n,).

        Raises:
            EstimatorError: a feature cannot be learned from these faces.
        """
        self.validate()
        vectors = self._learn_features(X)
        self.classifier.fit(vectors, y, groups=groups)
        return self

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the predicted label, or number, of each row, shape (n,)."""
        return np.asarray(self.classifier.predict(self._transformed(X)))

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return the probability of each class of classes_, shape (n, n_classes); classifiers only."""
        return np.asarray(self.classifier.predict_proba(self._transformed(X)))

    def search_scores(
        self,
        X: NDArray[np.float32],
        y: NDArray[Any],
        *,
        folds: Sequence[Fold],
        candidates: Sequence[Mapping[str, Any]],
    ) -> NDArray[np.float64] | None:
        """Return the score of each candidate on the held-out rows of each fold.

        The features are learned once for each fold, from its training part, and the candidates share them.

        Returns:
            Shape (n_candidates, n_folds); None if the classifier inside has to be fitted for each candidate.
        """
        columns = []
        for fold in folds:
            one = deepcopy(self)  # the classifier itself is not changed
            one._learn_features(X[fold.train])
            if not isinstance(one.classifier, Searcher):
                return None
            scores = one.classifier.search_scores(one._transformed(X), y, folds=[fold], candidates=candidates)
            if scores is None:
                return None
            columns.append(scores[:, 0])
        return np.stack(columns, axis=1)

    def _learn_features(self, X: NDArray[np.float32]) -> NDArray[np.float32]:
        """Learn the features from the training faces, and return their vectors for the classifier inside."""
        parts = zip(self.fitted_features, self._parts(X), strict=True)
        self.transformers_ = [FITTED_FEATURES[name].make(self.seed).fit(part) for name, part in parts if name]
        each = self._each(X)
        self.lengths_ = tuple(part.shape[1] for part in each)
        if len(each) > 1:
            self.classifier.set_params(feature_blocks=self.lengths_)
        return np.hstack(each)

    def _transformed(self, X: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.hstack(self._each(X))

    def _each(self, X: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """Return each part of the vectors as the classifier inside gets it."""
        transformers = iter(self.transformers_)
        parts = zip(self.fitted_features, self._parts(X), strict=True)
        return [next(transformers).transform(part) if name else part for name, part in parts]

    def _parts(self, X: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """Return the parts of the vectors.

        Raises:
            ValueError: the vectors have another length than the parts together.
        """
        if X.shape[1] != sum(self.blocks):
            raise ValueError(f"The vectors must have {sum(self.blocks)} numbers, but have {X.shape[1]}.")
        return [X[:, columns] for columns in consecutive_slices(self.blocks)]
