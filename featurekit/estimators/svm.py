"""A support vector machine with an RBF kernel.

Three things differ from scikit-learn's SVC on raw vectors.

- The kernel matrix is computed once, by matrix products, and shared by the fit and
  by the inner folds that the probabilities come from. This is many times faster.
- Each part of a joined vector is scaled to length 1, and all parts have the same weight.
  The kernel is the mean of two: the RBF kernel of the whole vector, for which two faces
  are alike if they are alike in every part, and the mean of the kernels of the parts, for
  which one part is enough.
- The probabilities are a multinomial logistic regression on the decision values of
  all pairs of classes, learned on inner folds that share no subject. It keeps what
  the votes of the pairs lose: its accuracy is at least as high, and its log loss is far
  lower. The gain is largest with few faces.

If one kernel matrix takes more memory than allowed, the kernel is approximated from a
few of the faces (Nystroem) and the machine on it is linear. The notes of the fit say so.

Class weights are not balanced. Measured on UTKFace's age groups, balancing changes
nothing after the calibration, and lowers the accuracy of the votes by 7 points.
A fitted machine consists of plain arrays, and a prediction is a few matrix products.

svm_cuml is the same machine, but cuML solves the pairs, or the regression, on a GPU.
Everything else is computed in the same way, and a fitted machine predicts without a GPU.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

from featurekit.data.targets import Target
from featurekit.estimators import Classifier, classifier

TRUSTED = (
    "featurekit.estimators._svm.classifier.SVM",
    "featurekit.estimators._svm.regressor.SVMRegressor",
)


def grid(target: Target) -> Mapping[str, Sequence[float]]:
    """Return the machines worth trying, soft and wide ones first."""
    return {
        "C": (0.3, 1.0, 3.0) if target.is_regression else (0.5, 2.0, 8.0),
        "gamma": (0.25, 0.5, 1.0, 2.0),
    }


@classifier(
    "svm",
    about="support vector machine with an RBF kernel; linear above 35,000 training faces",
    grid=grid,
    trusted_types=TRUSTED,
)
def make_svm(target: Target, random_state: int, n_jobs: int) -> Classifier:
    """Return an SVM, or a support vector regressor if the target is in years."""
    return _make(target, random_state, n_jobs)


@classifier(
    "svm_cuml",
    about="like svm, but solved on a GPU by cuML",
    grid=grid,
    needs="cuml",
    trusted_types=TRUSTED,
)
def make_svm_cuml(target: Target, random_state: int, n_jobs: int) -> Classifier:
    """Return an SVM, or a support vector regressor if the target is in years, that is fitted by cuML."""
    return _make(target, random_state, n_jobs, solver="cuml")


def _make(
    target: Target, random_state: int, n_jobs: int, *, solver: Literal["libsvm", "cuml"] = "libsvm"
) -> Classifier:
    from featurekit.estimators._svm.classifier import SVM
    from featurekit.estimators._svm.regressor import SVMRegressor

    machine = SVMRegressor if target.is_regression else SVM
    return machine(random_state=random_state, n_jobs=n_jobs, solver=solver)
