"""A random forest of scikit-learn, whose first trees are the whole of a smaller forest."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

from featurekit.estimators._estimator import check_tree
from featurekit.estimators._scikit import Scikit, ScikitClassifier, ScikitRegressor


@dataclass(eq=False, repr=False, kw_only=True)
class Forest(Scikit):
    """What the classifier and the regressor share.

    Attributes:
        components: principal components that a longer vector is reduced to.
        n_estimators: number of trees.
        max_features: share of the numbers that a split considers, or any other value that scikit-learn takes.
        min_samples_leaf: the least number of faces in a leaf.
    """

    of_model: ClassVar[tuple[str, ...]] = ("n_estimators", "max_features", "min_samples_leaf")

    components: int | None = 128
    n_estimators: int = 200
    max_features: Any = 0.25
    min_samples_leaf: Any = 2

    def make_model(self) -> Any:
        """Return the unfitted forest."""
        seed = getattr(self, "_seed", self.random_state)
        return super().make_model().set_params(random_state=seed, n_jobs=self._threads)

    def check_learned(self, unfitted: Any) -> None:
        """Raise ValueError unless every tree leads to a leaf; scikit-learn does not check its nodes."""
        super().check_learned(unfitted)
        n_inputs = len(self.axes_) or len(self.mean_)
        for fitted in self.model_.estimators_:
            tree = fitted.tree_
            check_tree(tree.children_left, tree.children_right, tree.feature, n_inputs)
            if tree.n_features != n_inputs or tree.value.shape[:2] != (len(tree.feature), 1):
                raise ValueError(
                    "a tree has another number of features than its forest, or not one value per node."
                )

    def _try_out(
        self,
        candidates: Sequence[Mapping[str, Any]],
        train: NDArray[np.float32],
        targets: NDArray[Any],
        test: NDArray[np.float32],
    ) -> Iterator[tuple[int, NDArray[Any]]]:
        """Grow one forest for all candidates that differ only in the number of trees."""
        alike: defaultdict[str, list[int]] = defaultdict(list)
        counts = [int(one.get("n_estimators", self.n_estimators)) for one in candidates]
        for i, candidate in enumerate(candidates):
            alike[repr(sorted({**candidate, "n_estimators": 0}.items()))].append(i)
        for numbers in alike.values():
            one = self._with(candidates[max(numbers, key=lambda i: counts[i])])
            forest = self._fit_model(one.fresh_model(len(train)), train, targets)
            # Added up in the order of the trees, as the forest does: another order would round differently.
            total: Any = 0.0
            for n_trees, tree in enumerate(forest.estimators_, start=1):
                total = total + (tree.predict(test) if self.is_regression else tree.predict_proba(test))
                mean = total / n_trees
                for i in numbers:
                    if counts[i] == n_trees:
                        said = mean if self.is_regression else forest.classes_[mean.argmax(axis=1)]
                        yield i, self._answers(said)


@dataclass(eq=False, repr=False, kw_only=True)
class ForestClassifier(Forest, ScikitClassifier):
    """A random forest of classes.

    Attributes:
        min_samples_leaf: the least number of faces in a leaf.
        class_weight: weight of a face of each class, as in scikit-learn.
    """

    notes: ClassVar[tuple[str, ...]] = ("The class weights were balanced.",)
    of_model: ClassVar[tuple[str, ...]] = (*Forest.of_model, "class_weight")
    model_type: ClassVar[Any] = RandomForestClassifier

    min_samples_leaf: Any = 5
    class_weight: Any = "balanced_subsample"


class ForestRegressor(Forest, ScikitRegressor):
    """A random forest of years."""

    model_type: ClassVar[Any] = RandomForestRegressor
