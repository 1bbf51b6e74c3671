"""Estimators that a user gives: by the import path of a class, or as objects.

A path is what somebody typed. None is ever taken out of a file: a saved model of such
an estimator is read only if scikit-learn itself has a class of its name.
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
from featurekit.text import first_line

# Whose fitted state is plain arrays that numpy reads: rebuilding it from a stranger's file is safe. Trees,
# kernel machines and what else is read by compiled code is not among them. Of support vector machines the two
# linear ones are: they predict by the code of the linear models.
_SAVED = (
    "sklearn.discriminant_analysis.",
    "sklearn.linear_model.",
    "sklearn.naive_bayes.",
    "sklearn.neighbors.",
    "sklearn.neural_network.",
    "sklearn.svm._classes.LinearSVC",
    "sklearn.svm._classes.LinearSVR",
)
# What to do about the model of one that is not saved.
HOW_TO_SAVE = (
    "To have it saved, register it and name the types that a fitted one holds:"
    " fk.register_estimator(NAME, estimator, trusted_types=[…])."
)
# What one that is made by as_classifier() may hold.
INSIDE = (
    "featurekit.estimators._given.Given",
    "numpy.random.mtrand.RandomState",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.preprocessing._label.LabelBinarizer",
)


def classifier_named(name: str) -> ClassifierKind:
    """Return a registered classifier by its name, or any estimator of scikit-learn's kind by its import path.

    Args:
        name: "svm", or "sklearn.neighbors.KNeighborsClassifier".

    Raises:
        UnknownNameError: nobody registered it.
        ModelError: there is no estimator at that path.
    """
    return kind_at(name) if "." in name else CLASSIFIERS[name]


def kind_at(path: str) -> ClassifierKind:
    """Return the estimator at an import path as a classifier of a comparison.

    Args:
        path: of a class of an importable module, e.g. "sklearn.neighbors.KNeighborsClassifier", or of an
            estimator that is made there, e.g. "mymodule.pipeline", which is then called "pipeline".

    Raises:
        ModelError: nothing is there, or no estimator, or one that cannot be made without arguments.
    """
    from sklearn.base import BaseEstimator

    module, _, name = path.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name)
    except Exception as error:  # whatever a package raises while it is imported
        said = first_line(error).rstrip(".")
        raise ModelError(f"{path} cannot be imported: {said}.{_how_to_import(error, path)}") from error
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


def _how_to_import(error: Exception, path: str) -> str:
    """Return what to do where the module itself was not found, else ""."""
    first = path.partition(".")[0]
    if not isinstance(error, ModuleNotFoundError) or error.name != first:
        return ""
    return (
        f" The module must be installed or be in Python's search path. For a file {first}.py in this"
        f" folder: PYTHONPATH=. featurekit fit --model {path}"
    )


def kind_of(estimator: Any, name: str | None = None) -> ClassifierKind:
    """Return an estimator of scikit-learn, fitted or not, as a classifier of a comparison.

    Args:
        estimator: an object; it is not changed, each fit takes a clone.
        name: what it is called in reports; None for the name of its class.

    Raises:
        ModelError: it is no classifier and no regressor, or cannot be cloned.
    """
    own = name or type(estimator).__name__
    if own in CLASSIFIERS.names():
        raise ModelError(
            f"{_path(estimator)} cannot be called {own}, because that is the name of a model of"
            f" {CLASSIFIERS.package_of(own)}."
        )
    kind = kind_to_register(estimator, own)
    return kind if own == type(estimator).__name__ else replace(kind, trusted_types=())


def kind_to_register(estimator: Any, name: str, trusted_types: Sequence[str] = ()) -> ClassifierKind:
    """Return an estimator of scikit-learn as a classifier that can be registered under a name.

    Args:
        estimator: an object, fitted or not; it is not changed, each fit takes a clone.
        name: what it is called.
        trusted_types: dotted names of what a fitted one is made of, beside plain values and arrays. An
            estimator of scikit-learn's own whose files are safe to read needs none.

    Raises:
        ModelError: it is no classifier and no regressor, or cannot be cloned.
    """
    from sklearn.base import clone, is_classifier, is_regressor

    can_say = hasattr(estimator, "__sklearn_tags__")  # what is no estimator at all cannot
    of_classes, of_years = can_say and is_classifier(estimator), can_say and is_regressor(estimator)
    path = _path(estimator)
    if not (of_classes or of_years):
        raise ModelError(f"{path} is neither a classifier nor a regressor of scikit-learn.")
    try:
        clone(estimator)
    except Exception as error:  # it does not keep what it was made with, as scikit-learn asks
        raise ModelError(
            f"{type(estimator).__name__} cannot be cloned: {first_line(error).rstrip('.')}."
        ) from error
    saved = (path,) if path.startswith(_SAVED) else ()
    types = (*saved, *trusted_types)
    return ClassifierKind(
        name=name,
        about=f"{path}, with its own parameters, on unscaled vectors",
        make=lambda target, random_state, n_jobs: as_classifier(clone(estimator), random_state, n_jobs),
        reads_target=lambda target: target.is_regression == of_years,
        is_given=True,
        trusted_types=(*INSIDE, *types) if types else (),
    )


def as_classifier(estimator: Any, random_state: int, n_jobs: int) -> Classifier:
    """Return any estimator of scikit-learn as a comparison fits it; one that is made for that as it is."""
    from featurekit.estimators._given import Given

    made: Classifier = estimator
    if not all(hasattr(estimator, name) for name in ("validate", "use", "bytes_needed", "shown_parameters")):
        made = Given(model=estimator, random_state=random_state, n_jobs=n_jobs)
    return made


def _path(estimator: Any) -> str:
    return f"{type(estimator).__module__}.{type(estimator).__qualname__}"


def kind_of_saved(name: str) -> ClassifierKind:
    """Return the classifier that a saved model is of: a registered one, or one of scikit-learn's own.

    Which there are is said by what is installed here, whatever a file says.

    Args:
        name: of a registered classifier, or of a class of scikit-learn's.

    Raises:
        UnknownNameError: it is none of those whose files are read.
    """
    try:
        return CLASSIFIERS[name]
    except UnknownNameError:
        kind = _of_scikit_learn(name)
        if kind is None:
            raise
        return kind


@cache
def types_that_are_saved() -> tuple[str, ...]:
    """Return the dotted names of scikit-learn's estimators whose files are safe to read."""
    from sklearn.utils import all_estimators

    known = [type_ for _, type_ in all_estimators(type_filter=["classifier", "regressor"])]
    paths = [f"{type_.__module__}.{type_.__qualname__}" for type_ in known]
    return tuple(path for path in paths if path.startswith(_SAVED))


def _of_scikit_learn(name: str) -> ClassifierKind | None:
    """Return the estimator of scikit-learn whose class is called so, if a file of it is safe to read."""
    from sklearn.utils import all_estimators

    known = dict(all_estimators(type_filter=["classifier", "regressor"]))
    if name not in known or not f"{known[name].__module__}.{name}".startswith(_SAVED):
        return None
    return kind_of(known[name]())
