"""A support vector machine with an RBF kernel.

Three things differ from scikit-learn's SVC on raw vectors.

- The kernel matrix is computed once, by matrix products, and shared by the fit and
  by the inner folds that the probabilities come from. This is many times faster.
- Each part of a joined vector is scaled to length 1, and all parts have the same weight.
  The kernel is the mean of two: the RBF kernel of the whole vector, for which two faces
  are alike if they are alike in every part, and the mean of the kernels of the parts, for
  which it is enough that they are alike in one part.
- The probabilities are a multinomial logistic regression on the decision values of
  all pairs of classes, learned on inner folds that share no subject. Unlike
  the votes of the pairs, the regression uses how large the decision values are: its
  accuracy is at least as high, and its log loss is far lower, above all with few faces.

If one kernel matrix takes more memory than allowed, the kernel is approximated from a
few of the faces (Nystroem) and a linear machine is fitted to the result. A note in
the report says so.

Class weights are not balanced. Measured on UTKFace's age groups, balancing changes
nothing after the calibration, and lowers the accuracy of the votes by 7 points.
A fitted machine consists of plain arrays, and a prediction is a few matrix products.

svm_cuml is the same machine, but cuML solves the pairs, or the regression, on a GPU.
svm_cuml computes everything else as svm does, and predicts without a GPU.
"""

from collections.abc import Mapping, Sequence

from featurekit.data.targets import Target
from featurekit.estimators import classifier, either

TRUSTED = (
    "featurekit.estimators._svm.classifier.SVM",
    "featurekit.estimators._svm.regressor.SVMRegressor",
)


def grid(target: Target) -> Mapping[str, Sequence[float]]:
    """Return the values of C and gamma to search: small costs and wide kernels first."""
    return {
        "C": (0.3, 1.0, 3.0) if target.is_regression else (0.5, 2.0, 8.0),
        "gamma": (0.25, 0.5, 1.0, 2.0),
    }


classifier(
    "svm",
    about="support vector machine with an RBF kernel; linear above 35,000 training faces",
    grid=grid,
    trusted_types=TRUSTED,
)(either("SVM", "SVMRegressor"))

classifier(
    "svm_cuml",
    about="support vector machine like svm, but solved on a GPU by cuML",
    grid=grid,
    needs="cuml",
    trusted_types=TRUSTED,
)(either("SVM", "SVMRegressor", solver="cuml"))
