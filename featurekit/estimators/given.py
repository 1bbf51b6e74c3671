"""Estimators that a user gives, as objects or by the import path of a class.

Only a user gives an import path; none is ever read from a file. A saved model of such an
estimator is read only if scikit-learn itself has a class of its name.
"""

import importlib
import inspect
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from featurekit.errors import ModelError, UnknownNameError
from featurekit.estimators import CLASSIFIERS, Classifier, ClassifierKind
from featurekit.estimators._parameters import NO_PROBABILITIES as NO_PROBABILITIES
from featurekit.estimators._parameters import class_path
from featurekit.text import first_line

# Estimators whose fitted state consists of plain arrays that numpy reads, so that a file from a stranger is
# safe to load. Trees, kernel machines and others whose state compiled code reads are not among them. Of the
# support vector machines, the two linear ones are, because they predict by the code of the linear models.
_SAVED = (
    "sklearn.discriminant_analysis.",
    "sklearn.linear_model.",
    "sklearn.naive_bayes.",
    "sklearn.neighbors.",
    "sklearn.neural_network.",
    "sklearn.svm._classes.LinearSVC",
    "sklearn.svm._classes.LinearSVR",
)
# How a user can save the model of another estimator.
HOW_TO_SAVE = (
    "To have it saved, register it and name the types that a fitted one holds:"
    " fk.register_estimator(NAME, estimator, trusted_types=[…])."
)
# The types that an estimator of as_classifier() may contain.
INSIDE = (
    "featurekit.estimators._given.Given",
    "numpy.random.mtrand.RandomState",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.preprocessing._label.LabelBinarizer",
)


def classifier_named(name: str) -> ClassifierKind:
    """Return a registered classifier by its name, or any scikit-learn estimator by its import path.

    Args:
        name: "svm", or "sklearn.neighbors.KNeighborsClassifier".

    Raises:
        UnknownNameError: no classifier is registered under the name.
        ModelError: there is no estimator at that path.
    """
    return kind_at(name) if "." in name else CLASSIFIERS[name]


def kind_at(path: str) -> ClassifierKind:
    """Return the estimator at an import path as a classifier of a comparison.

    Args:
        path: path of a class in an importable module, e.g. "sklearn.neighbors.KNeighborsClassifier", or of an
            estimator object in it, e.g. "mymodule.pipeline", which is then called "pipeline".

    Raises:
        ModelError: the path leads to no estimator, or to a class that needs arguments.
    """
    from sklearn.base import BaseEstimator

    module, _, name = path.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name)
    except Exception as error:  # a package can raise anything while it is imported
        first = path.partition(".")[0]
        how = (
            f" The module must be installed or be in Python's search path. For a file {first}.py in this"
            f" folder: PYTHONPATH=. featurekit fit --model {path}"
            if isinstance(error, ModuleNotFoundError) and error.name == first
            else ""
        )
        raise ModelError(f"{path} cannot be imported: {first_line(error).rstrip('.')}.{how}") from error
    if not inspect.isclass(found) and hasattr(found, "fit") and hasattr(found, "get_params"):
        return kind_of(found, name)
    if not (inspect.isclass(found) and issubclass(found, BaseEstimator)):
        raise ModelError(f"{path} is not a scikit-learn estimator, neither a class nor an object.")
    try:
        made = found()
    except Exception as error:
        raise ModelError(
            f"{path} cannot be created without arguments: {first_line(error).rstrip('.')}. Create one in a"
            " module of your own, and give the path of that object."
        ) from error
    return kind_of(made)


def kind_of(estimator: Any, name: str | None = None) -> ClassifierKind:
    """Return an estimator of scikit-learn, fitted or not, as a classifier of a comparison.

    Args:
        estimator: an object; it is not changed, because each fit uses a clone.
        name: its name in reports; None for the name of its class.

    Raises:
        ModelError: it is neither a classifier nor a regressor, or cannot be cloned.
    """
    own = name or type(estimator).__name__
    if own in CLASSIFIERS.names():
        raise ModelError(
            f"{class_path(type(estimator))} cannot be called {own}, because that is the name of a model of"
            f" {CLASSIFIERS.package_of(own)}."
        )
    kind = kind_to_register(estimator, own)
    return kind if own == type(estimator).__name__ else replace(kind, trusted_types=())


def kind_to_register(estimator: Any, name: str, trusted_types: Sequence[str] = ()) -> ClassifierKind:
    """Return an estimator of scikit-learn as a classifier that can be registered under a name.

    Args:
        estimator: an object, fitted or not; it is not changed, because each fit uses a clone.
        name: its name.
        trusted_types: dotted names of the types that a fitted one contains, beside plain values and arrays.
            Not needed for an estimator of scikit-learn whose files are safe to read.

    Raises:
        ModelError: it is neither a classifier nor a regressor, or cannot be cloned.
    """
    from sklearn.base import clone, is_classifier, is_regressor

    has_tags = hasattr(estimator, "__sklearn_tags__")  # an object that is no estimator has none
    of_years = has_tags and is_regressor(estimator)
    path = class_path(type(estimator))
    if not (of_years or (has_tags and is_classifier(estimator))):
        raise ModelError(f"{path} is neither a classifier nor a regressor of scikit-learn.")
    try:
        clone(estimator)
    except Exception as error:  # its constructor changes parameters, which scikit-learn forbids
        raise ModelError(
            f"{type(estimator).__name__} cannot be cloned: {first_line(error).rstrip('.')}."
        ) from error
    types = (*((path,) if path.startswith(_SAVED) else ()), *trusted_types)
    return ClassifierKind(
        name=name,
        about=f"{path}, with its own parameters, on unscaled vectors",
        make=lambda target, random_state, n_jobs: as_classifier(clone(estimator), random_state, n_jobs),
        reads_target=lambda target: target.is_regression == of_years,
        is_given=True,
        trusted_types=(*INSIDE, *types) if types else (),
    )


def as_classifier(estimator: Any, random_state: int, n_jobs: int) -> Classifier:
    """Return any estimator of scikit-learn as a Classifier; one that already is a Classifier unchanged."""
    from featurekit.estimators._given import Given

    is_one = all(hasattr(estimator, name) for name in ("validate", "use", "bytes_needed", "shown_parameters"))
    made: Classifier = (
        estimator if is_one else Given(model=estimator, random_state=random_state, n_jobs=n_jobs)
    )
    return made


def kind_of_saved(name: str) -> ClassifierKind:
    """Return the classifier of a saved model: a registered one, or one of scikit-learn's own.

    A file cannot add to them, because only what is installed here counts.

    Args:
        name: name of a registered classifier, or of a class of scikit-learn.

    Raises:
        UnknownNameError: it is none of the classifiers whose files are read.
    """
    try:
        return CLASSIFIERS[name]
    except UnknownNameError:
        if name not in _saved_classes():
            raise
        return kind_of(_saved_classes()[name]())


def types_that_are_saved() -> tuple[str, ...]:
    """Return the dotted names of scikit-learn's estimators whose files are safe to read."""
    return tuple(map(class_path, _saved_classes().values()))


@cache
def _saved_classes() -> dict[str, Any]:
    """Return the classes of scikit-learn whose files are safe to read, by name."""
    from sklearn.utils import all_estimators

    known = all_estimators(type_filter=["classifier", "regressor"])
    return {name: type_ for name, type_ in known if class_path(type_).startswith(_SAVED)}
