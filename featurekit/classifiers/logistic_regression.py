"""A linear classifier on scaled vectors: what a network's features give by themselves."""

from dataclasses import dataclass
from typing import Any

from featurekit.classifiers import Classifier, classifier
from featurekit.classifiers._scikit import Scikit
from featurekit.manifest import Target


@dataclass(eq=False, kw_only=True)
class Linear(Scikit):
    """A linear estimator of scikit-learn, penalized alike for few faces and for many.

    Attributes:
        penalty: weight of half the squared coefficients against the mean loss of a face. scikit-learn
            weighs against the sum, so that 300 faces would be held back thirty times as much as 9,000.
    """

    penalty: float

    def fresh_model(self, n_faces: int) -> Any:
        """Return an unfitted copy of the model whose penalty fits so many faces."""
        strength = self.penalty * n_faces
        model = super().fresh_model(n_faces)
        model.set_params(**({"alpha": strength} if self.is_regression else {"C": 1 / strength}))
        return model


@classifier("logistic_regression", about="multinomial logistic regression; ridge regression for years")
def make_logistic_regression(target: Target, seed: int, threads: int) -> Classifier:
    """Return a logistic regression, or for years a ridge regression."""
    from sklearn.linear_model import LogisticRegression, Ridge

    # Strong penalties: a joined vector is as long as there are faces to learn from.
    if target.is_regression:
        return Linear(model=Ridge(), is_regression=True, penalty=1.0, seed=seed, threads=threads)
    return Linear(model=LogisticRegression(max_iter=500), penalty=0.04, seed=seed, threads=threads)
