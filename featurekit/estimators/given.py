"""Estimators of scikit-learn that a user passes as objects or by their import path.

An import path always comes from the user; featurekit never reads one from a file. It loads
a saved model of such an estimator only if scikit-learn itself defines its class.
"""

import importlib
import inspect
from collections.abc import Sequence
from dataclasses import replace
from functools import cache, partial
from typing import Any

from featurekit.data.targets import Target
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
    "To save the model, register the estimator and name the types that a fitted one contains:"
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
        name: name of a classifier, e.g. "svm", or import path, e.g. "sklearn.neighbors.KNeighborsClassifier".

    Raises:
        UnknownNameError: no classifier is registered under the name.
        ModelError: the import path does not lead to an estimator.
    """
    return kind_at(name) if "." in name else CLASSIFIERS[name]


def kind_at(path: str) -> ClassifierKind:
    """Return the estimator at an import path as a classifier that comparisons can use.

    Args:
        path: path of a class in an importable module, e.g. "sklearn.neighbors.KNeighborsClassifier", or of an
            estimator object in a module, e.g. "mymodule.pipeline", which the report then calls "pipeline".

    Raises:
        ModelError: the path does not lead to an estimator, or its class cannot be created without arguments.
    """
    from sklearn.base import BaseEstimator

    module, _, name = path.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name)
    except Exception as error:  # a package can raise anything while it is imported
        first = path.partition(".")[0]
        how = (
            f" The module must be installed or be in Python's search path. For a file {first}.py in the"
            f" current folder: PYTHONPATH=. featurekit fit --model {path}"
            if isinstance(error, ModuleNotFoundError) and error.name == first
            else ""
        )
        raise ModelError(f"{path} cannot be imported: {first_line(error).rstrip('.')}.{how}") from error
    if not inspect.isclass(found) and hasattr(found, "fit") and hasattr(found, "get_params"):
        return kind_of(found, name)
    if not (inspect.isclass(found) and issubclass(found, BaseEstimator)):
        raise ModelError(f"{path} is neither a class nor an object of a scikit-learn estimator.")
    try:
        made = found()
    except Exception as error:
        raise ModelError(
            f"{path} cannot be created without arguments: {first_line(error).rstrip('.')}. Create the"
            " estimator in a module of your own, and pass the import path of that object."
        ) from error
    return kind_of(made)


def kind_of(estimator: Any, name: str | None = None) -> ClassifierKind:
    """Return an estimator of scikit-learn as a classifier that comparisons can use.

    Args:
        estimator: estimator object, fitted or not; it is not changed, because each fit uses a clone.
        name: name of the estimator in reports; None for the name of its class.

    Raises:
        ModelError: the estimator is neither a classifier nor a regressor, or cannot be cloned.
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
        estimator: estimator object, fitted or not; it is not changed, because each fit uses a clone.
        name: name of the classifier.
        trusted_types: dotted names of the types that the fitted estimator contains, beside plain values and
            arrays; not needed for the estimators of scikit-learn that types_that_are_saved() names.

    Raises:
        ModelError: the estimator is neither a classifier nor a regressor, or cannot be cloned.
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
        make=partial(_made_of, estimator),
        reads_target=partial(_is_predicted, of_years),
        is_given=True,
        trusted_types=(*INSIDE, *types) if types else (),
    )


# These are functions of the module, so that a kind, and results that hold it, can be pickled.
def _made_of(estimator: Any, target: Target, random_state: int, n_jobs: int) -> Classifier:
    from sklearn.base import clone

    return as_classifier(clone(estimator), random_state, n_jobs)


def _is_predicted(of_years: bool, target: Target) -> bool:
    return target.is_regression == of_years


def as_classifier(estimator: Any, random_state: int, n_jobs: int) -> Classifier:
    """Return an estimator of scikit-learn as a Classifier; return a Classifier unchanged."""
    from featurekit.estimators._given import Given

    is_one = all(hasattr(estimator, name) for name in ("validate", "use", "bytes_needed", "shown_parameters"))
    made: Classifier = (
        estimator if is_one else Given(model=estimator, random_state=random_state, n_jobs=n_jobs)
    )
    return made


def kind_of_saved(name: str) -> ClassifierKind:
    """Return the classifier of a saved model: a registered one, or an estimator of scikit-learn.

    A model file cannot add a classifier, because only installed classifiers are found.

    Args:
        name: name of a registered classifier, or of a class of scikit-learn.

    Raises:
        UnknownNameError: no registered classifier, and no class in types_that_are_saved(), has this name.
    """
    try:
        return CLASSIFIERS[name]
    except UnknownNameError:
        if name not in _saved_classes():
            raise
        return kind_of(_saved_classes()[name]())


def types_that_are_saved() -> tuple[str, ...]:
    """Return the dotted names of scikit-learn's estimators whose saved models are safe to load."""
    return tuple(map(class_path, _saved_classes().values()))


@cache
def _saved_classes() -> dict[str, Any]:
    """Return the classes of scikit-learn whose files are safe to read, by name."""
    from sklearn.utils import all_estimators

    return {
        name: type_
        for name, type_ in all_estimators(type_filter=["classifier", "regressor"])
        if class_path(type_).startswith(_SAVED)
    }
