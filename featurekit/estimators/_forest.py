"""A random forest of scikit-learn, whose first trees are the whole of a smaller forest."""

from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featurekit.estimators._scikit import Scikit
from featurekit.estimators._trees import check_tree


@dataclass(eq=False, kw_only=True)
class Forest(Scikit):
    """A forest of scikit-learn, whose first trees are the whole of a smaller forest."""

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
        counts = [int(one.get("n_estimators", self.model.n_estimators)) for one in candidates]
        for i, candidate in enumerate(candidates):
            others = {name: value for name, value in candidate.items() if name != "n_estimators"}
            grown.setdefault(repr(sorted(others.items())), []).append(i)
        for numbers in grown.values():
            most = max(counts[i] for i in numbers)
            one = copy(self).set_params(**{**candidates[numbers[0]], "n_estimators": most})
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
