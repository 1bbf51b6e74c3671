"""Eigenfaces: principal components of the grey pixels of the training faces.

Turk and Pentland, Eigenfaces for Recognition, 1991. A face is described by its weights on the
150 components along which the training faces vary most. The weights are scaled to a variance of 1 each
(whitened), as in scikit-learn's example of eigenfaces, because otherwise the first components, which are
mostly illumination, would outweigh all others.
"""

from typing import Any

from featurekit.estimators.fitted_features import FITTED_FEATURES, FittedFeature

COMPONENTS = 150


def make_eigenfaces(seed: int) -> Any:
    """Return an unfitted transformer; nothing in it is random."""
    from featurekit.estimators.fitted_features._eigenfaces import Eigenfaces

    return Eigenfaces(n_components=COMPONENTS)


FITTED_FEATURES.add(
    FittedFeature(
        name="eigenfaces",
        about=f"eigenfaces: the first {COMPONENTS} principal components of the grey pixels, whitened",
        reads="flattened_pixels:grey",
        length=COMPONENTS,
        make=make_eigenfaces,
        trusted_types=("featurekit.estimators.fitted_features._eigenfaces.Eigenfaces",),
    )
)
