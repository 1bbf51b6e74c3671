"""A support vector machine with an RBF kernel.

Three things differ from scikit-learn's SVC on raw vectors.

- The kernel matrix is computed once, by matrix products, and shared by the fit and
  by the inner folds that the probabilities come from: that is many times faster.
- Each part of a joined vector is brought to length 1 and all weigh the same. The
  kernel is the mean of the RBF kernel of the whole vector, for which two faces are
  alike if they are in every part, and of the parts' own, for which one part is enough.
- The probabilities are a multinomial logistic regression on the decision values of
  all pairs of classes, learned on inner folds that share no subject. It keeps what
  the votes of the pairs throw away: its argmax is at least as often right, and log
  loss is far lower. With few faces the gain is largest.

Where even one kernel matrix would take more memory than may be used, the kernel is
approximated from a few of the faces (Nystroem) and the machine on it is linear; it is
said in the notes.

Class weights are not balanced: measured on UTKFace's age groups, that changes nothing
after the calibration, and costs the votes 7 points of exact accuracy.
What is kept of a fit is plain arrays, and reading a face is a few matrix products.

svm_cuml is the same machine, of which cuML solves the pairs, or the years, on a GPU. All
else is computed as ever, and what is kept reads faces where there is no GPU.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from featurekit.data.targets import Target
from featurekit.estimators import Classifier, classifier

TRUSTED = (
    "featurekit.estimators._svm.classifier.SVM",
    "featurekit.estimators._svm.regressor.SVMRegressor",
)


def grid(target: Target) -> Mapping[str, Sequence[Any]]:
    """Return the machines worth trying, soft and wide ones first."""
    costs = (0.3, 1.0, 3.0) if target.is_regression else (0.5, 2.0, 8.0)
    return {"C": costs, "gamma": (0.25, 0.5, 1.0, 2.0)}


@classifier(
    "svm",
    about="support vector machine with an RBF kernel; linear above 35,000 training faces",
    grid=grid,
    trusted_types=TRUSTED,
)
def make_svm(target: Target, random_state: int, n_jobs: int) -> Classifier:
    """Return an SVM, or for years a support vector regressor."""
    return _make(target, random_state, n_jobs)


@classifier(
    "svm_cuml",
    about="like svm, but solved on a GPU by cuML",
    grid=grid,
    needs="cuml",
    trusted_types=TRUSTED,
)
def make_svm_cuml(target: Target, random_state: int, n_jobs: int) -> Classifier:
    """Return the SVM, or the regressor, that cuML solves."""
    return _make(target, random_state, n_jobs, solver="cuml")


def _make(target: Target, random_state: int, n_jobs: int, *, solver: str = "libsvm") -> Classifier:
    from featurekit.estimators._svm.classifier import SVM
    from featurekit.estimators._svm.regressor import SVMRegressor

    machine: Any = SVMRegressor if target.is_regression else SVM
    made: Classifier = machine(random_state=random_state, n_jobs=n_jobs, solver=solver)
    return made
