"""Features that are learned from the training faces of each fold, such as eigenfaces.

The vectors of a backbone are frozen: they are computed once for each face, and the cache keeps them. A
feature that is fitted per fold starts from such frozen vectors and transforms them by something that is
learned, such as principal components. This is learned in the training part of each fold, together with
the classifier, and for a saved model on all faces. It is never stored in the cache, because vectors that
were learned from a test face would tell the classifier something about this face.

Each file in this folder registers one such feature: facts about it, and a function that returns an unfitted
transformer of scikit-learn. In the name of a feature set it stands like a backbone: "eigenfaces+dlib_age".
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from featurekit.errors import UnknownNameError
from featurekit.networks.backbones import BACKBONES, Backbone, split_feature
from featurekit.networks.feature_names import backbone_and_layer, feature_name, is_reference
from featurekit.registry import Registry

if TYPE_CHECKING:
    from featurekit.estimators import Classifier


@dataclass(frozen=True, kw_only=True)
class FittedFeature:
    """A feature that is learned from the training faces of each fold.

    Attributes:
        name: name of the feature for users, e.g. "eigenfaces"; no backbone may have this name.
        about: description in one line for `featurekit list fitted_features`.
        reads: the frozen feature that it starts from, as "backbone:layer".
        length: largest length of its vectors; they are shorter if there are few training faces.
        make: function of a seed that returns an unfitted transformer of scikit-learn. Its fit() gets float32
            vectors of the training faces, shape (n, length of `reads`), and its transform() returns float32
            vectors, whatever the number of threads. After fit() its attribute `note_` is a sentence on what
            it has learned, for the run and the report.
        trusted_types: dotted names of the types that the fitted transformer contains, beside plain values and
            arrays. A saved model that contains any other type is not loaded.
    """

    name: str
    about: str
    reads: str
    length: int
    make: Callable[[int], Any]
    trusted_types: tuple[str, ...]


FITTED_FEATURES: Registry[FittedFeature] = Registry(
    "feature fitted per fold", "featurekit.estimators.fitted_features", FittedFeature
)

# The type that a saved classifier with such features contains beside its own.
_WITH = "featurekit.estimators.fitted_features._with.WithFittedFeatures"


def is_fitted(feature: str) -> bool:
    """Return whether a feature is fitted per fold.

    >>> is_fitted("eigenfaces"), is_fitted("mean_color")
    (True, False)
    """
    return feature in FITTED_FEATURES.names()


def full_name(text: str) -> str:
    """Return the full name of a feature: "backbone:layer", or the name of a feature that is fitted per fold.

    >>> full_name("mean_color"), full_name("eigenfaces")
    ('mean_color:mean', 'eigenfaces')

    Raises:
        UnknownNameError: there is no backbone, layer or other feature of this name.
    """
    if is_fitted(text):
        return text
    name, layer = backbone_and_layer(text)
    if is_fitted(name):
        raise UnknownNameError(f"{name} has no layers, so '{layer}' cannot follow it. Give {name} alone.")
    try:
        backbone, found = split_feature(text)
    except UnknownNameError:
        if name in BACKBONES.names() or is_reference(name):
            raise
        raise BACKBONES.unknown(name, FITTED_FEATURES.names()) from None
    return feature_name(backbone.name, found)


def short_name(feature: str) -> str:
    """Return the name of a feature without the default layer.

    >>> short_name("mean_color:mean"), short_name("eigenfaces")
    ('mean_color', 'eigenfaces')
    """
    if is_fitted(feature):
        return feature
    backbone, layer = split_feature(feature)
    return backbone.name if layer == backbone.default_layer else feature


def frozen(feature: str) -> str:
    """Return the frozen feature that a feature starts from; a frozen feature itself.

    >>> frozen("eigenfaces"), frozen("mean_color:mean")
    ('flattened_pixels:grey', 'mean_color:mean')
    """
    return FITTED_FEATURES[feature].reads if is_fitted(feature) else feature


def frozen_only(feature: str) -> tuple[Backbone, str]:
    """Return the backbone and the layer of a feature that is frozen.

    Raises:
        UnknownNameError: the feature is fitted per fold, or there is no backbone or layer of this name.
    """
    if is_fitted(feature):
        raise UnknownNameError(
            f"{feature} is learned from the training faces of each fold, so a face has no vector of it by"
            f" itself. Give {short_name(frozen(feature))}, which it starts from."
        )
    return split_feature(feature)


def fitted_names(features: Sequence[str]) -> tuple[str, ...]:
    """Return each feature that is fitted per fold, and "" for each frozen one; empty if all are frozen.

    >>> fitted_names(["eigenfaces", "mean_color:mean"]), fitted_names(["mean_color:mean"])
    (('eigenfaces', ''), ())
    """
    names = tuple(feature if is_fitted(feature) else "" for feature in features)
    return names if any(names) else ()


def with_fitted(
    classifier: "Classifier", fitted: tuple[str, ...], blocks: tuple[int, ...], seed: int
) -> "Classifier":
    """Return an unfitted classifier that first learns the features that are fitted per fold.

    Args:
        classifier: an unfitted classifier.
        fitted: for each part of the vectors the name of such a feature, or "" for a frozen part; empty for
            none, and the classifier is returned unchanged.
        blocks: length of each frozen part.
        seed: seed of the random number generator.
    """
    if not fitted:
        return classifier
    from featurekit.estimators.fitted_features._with import WithFittedFeatures

    # Typed so, because its classes_ and summary_ are read from the classifier inside.
    made: Any = WithFittedFeatures(classifier, fitted, blocks, seed)
    return cast("Classifier", made)


def fitted_in(classifier: Any) -> tuple[str, ...]:
    """Return the argument `fitted` of with_fitted() for a classifier that it made; empty for any other."""
    return tuple(getattr(classifier, "fitted_features", ()))


def types_of(fitted: Sequence[str]) -> tuple[str, ...]:
    """Return the dotted names of the types that such features add to a saved classifier."""
    names = [name for name in dict.fromkeys(fitted) if name]
    return (_WITH, *(one for name in names for one in FITTED_FEATURES[name].trusted_types)) if names else ()
