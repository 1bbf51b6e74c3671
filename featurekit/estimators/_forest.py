"""A random forest of scikit-learn, whose first trees are the whole of a smaller forest."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

from featurekit.estimators._scikit import Scikit, ScikitClassifier, ScikitRegressor
from featurekit.estimators._trees import check_tree


@dataclass(eq=False, repr=False, kw_only=True)
class Forest(Scikit):
    """What the classifier and the regressor share.

    Attributes:
        components: principal components that a longer vector is reduced to.
        n_estimators: how many trees.
        max_features: share of the numbers that a split sees; what else scikit-learn knows will do.
        min_samples_leaf: faces that a leaf has at least.
    """

    of_model: ClassVar[tuple[str, ...]] = ("n_estimators", "max_features", "min_samples_leaf")

    components: int | None = 128
    n_estimators: int = 200
    max_features: Any = 0.25
    min_samples_leaf: Any = 2

    def _shared(self) -> dict[str, Any]:
        """Return the parameters of both of scikit-learn's forests."""
        given = {name: getattr(self, name) for name in Forest.of_model}
        return {**given, "random_state": getattr(self, "_seed", self.random_state), "n_jobs": self._threads}

    def check_learned(self, unfitted: Any) -> None:
        """Raise ValueError unless every tree can be climbed: scikit-learn looks at no number of its nodes."""
        super().check_learned(unfitted)
        for fitted in self.model_.estimators_:
            tree = fitted.tree_
            left, right = tree.children_left, tree.children_right
            is_leaf = left == -1
            n_inputs = len(self.axes_) or len(self.mean_)
            check_tree(left, right, tree.feature, is_leaf, n_inputs)
            if tree.n_features != n_inputs or tree.value.shape[:2] != (len(left), 1):
                raise ValueError("a tree is of another size than its forest.")

    def _try_out(
        self,
        candidates: Sequence[Mapping[str, Any]],
        train: NDArray[np.float32],
        targets: NDArray[Any],
        test: NDArray[np.float32],
    ) -> Iterator[tuple[int, NDArray[Any]]]:
        """Grow one forest for all candidates that differ in the number of trees alone."""
        grown: dict[str, list[int]] = {}
        counts = [int(one.get("n_estimators", self.n_estimators)) for one in candidates]
        for i, candidate in enumerate(candidates):
            others = {name: value for name, value in candidate.items() if name != "n_estimators"}
            grown.setdefault(repr(sorted(others.items())), []).append(i)
        for numbers in grown.values():
            most = max(counts[i] for i in numbers)
            one = self._with({**candidates[numbers[0]], "n_estimators": most})
            forest = self._fit_model(one.fresh_model(len(train)), train, targets)
            # In the trees' order, as the forest itself adds them up: another would round differently.
            total: Any = 0.0
            for n_trees, tree in enumerate(forest.estimators_, start=1):
                total = total + (tree.predict(test) if self.is_regression else tree.predict_proba(test))
                for i in numbers:
                    if counts[i] == n_trees:
                        said = total / n_trees
                        yield (
                            i,
                            self._answers(
                                said if self.is_regression else forest.classes_[said.argmax(axis=1)]
                            ),
                        )


@dataclass(eq=False, repr=False, kw_only=True)
class ForestClassifier(Forest, ScikitClassifier):
    """A random forest of classes.

    Attributes:
        min_samples_leaf: faces that a leaf has at least.
        class_weight: what a face of each class counts, as scikit-learn takes it.
    """

    notes: ClassVar[tuple[str, ...]] = ("The class weights were balanced.",)
    of_model: ClassVar[tuple[str, ...]] = (*Forest.of_model, "class_weight")

    min_samples_leaf: Any = 5
    class_weight: Any = "balanced_subsample"

    def make_model(self) -> RandomForestClassifier:
        """Return the unfitted forest."""
        return RandomForestClassifier(class_weight=self.class_weight, **self._shared())


class ForestRegressor(Forest, ScikitRegressor):
    """A random forest of years."""

    def make_model(self) -> RandomForestRegressor:
        """Return the unfitted forest."""
        return RandomForestRegressor(**self._shared())
