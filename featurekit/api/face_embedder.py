"""A scikit-learn transformer from images to vectors of faces."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin

from featurekit.api.arguments import threads_of
from featurekit.api.project import Project
from featurekit.api.telling import shown
from featurekit.cache.store import Store
from featurekit.checked import check_arguments
from featurekit.embeddings.of_photographs import OfPhotographs, vectors_of
from featurekit.embeddings.recipe import make_recipes
from featurekit.errors import EmbeddingError, ModelError
from featurekit.estimators.fitted_features import frozen_only
from featurekit.faces.photographs import Photograph, Photographs, photographs_from
from featurekit.faces.settings import default_settings
from featurekit.networks.feature_names import feature_name, split_features
from featurekit.project import ProjectFolder
from featurekit.urls import UrlPath, place_of

# Ways to choose one face of an image that need no box from a data set.
_CHOICES = ("center", "largest", "only")


class FaceEmbedder(TransformerMixin, BaseEstimator):
    """Transform images into vectors of the faces on them, with pretrained networks.

    The face on each image is found and aligned first. The vectors are equal to those of `fk.embed` to the
    last bit. `fit` learns nothing from the images, so the vector of an image is the same in every fold of a
    cross-validation.

    Args:
        backbone: networks joined by "+", or a list of networks, which are joined too; "vgg16:fc6" names an
            inner layer. See `featurekit list backbones`.
        mirror: whether to average the vectors of each face and of its mirror image; usually more accurate,
            but slower.
        detector: name of the face detector; see `featurekit list detectors`.
        detector_weights: a weight file for the detector, instead of its default file.
        choose: the face to use if an image has several, "center", "largest" or "only" (no face of such an
            image).
        device: "auto", "cpu" or "cuda". With "cuda", an error is raised if no GPU can be used.
        precision: "auto", "fp32", "bf16" or "int8".
        on_missing: what to do with an image that cannot be read or has no face, "error", or "nan" for a row
            of NaN.
        cache: a project (`fk.Project`) or a folder, in which the faces and vectors of each image are cached.
            A folder with a manifest.csv counts as a project. None to compute the vectors each time.
        n_jobs: number of threads, which does not change the results; None or -1 for one per core.
        verbose: whether to show a progress bar.

    Example:
        >>> import skimage.data
        >>> import featurekit as fk
        >>> embedder = fk.FaceEmbedder("mean_color", detector="whole_image")
        >>> embedder.fit_transform([skimage.data.astronaut()]).shape
        (1, 3)
        >>> list(embedder.get_feature_names_out())
        ['mean_color:mean:0', 'mean_color:mean:1', 'mean_color:mean:2']
    """

    # What skops has to be told to read a saved one: skops.io.load(file, trusted=FaceEmbedder.trusted_types).
    trusted_types: ClassVar[tuple[str, ...]] = ("featurekit.api.face_embedder.FaceEmbedder",)

    def __init__(
        self,
        backbone: str | Sequence[str] = "dlib_age+dlib_face",
        *,
        mirror: bool = False,
        detector: str = "centerface",
        detector_weights: str | Path | None = None,
        choose: str = "center",
        device: str = "auto",
        precision: str = "auto",
        on_missing: str = "error",
        cache: Project | str | Path | None = None,
        n_jobs: int | None = None,
        verbose: bool = False,
    ) -> None:
        self.backbone = backbone
        self.mirror = mirror
        self.detector = detector
        self.detector_weights = detector_weights
        self.choose = choose
        self.device = device
        self.precision = precision
        self.on_missing = on_missing
        self.cache = cache
        self.n_jobs = n_jobs
        self.verbose = verbose

    def fit(self, X: Photographs, y: Any = None) -> Self:
        """Check the parameters and that X can be images. Nothing is learned, and no network is opened.

        Args:
            X: images, as a list, an array, or a column of a DataFrame. Each image is a file name, the bytes
                of a file, a Pillow image, or uint8 pixels (h, w, 3).
            y: not used.

        Returns:
            The embedder itself.

        Raises:
            PhotographError: something in X cannot be an image.
            ModelError: a parameter cannot have its value.
            UnknownNameError: there is no network, layer or detector with a given name.
            WeightsError: a weight file is missing; the message says how to get it.
            EmbeddingError: a backbone reads landmarks, and the detector gives none.
            EngineError: the device, the precision or a package that a backbone needs is not available.
        """
        photographs_from(X)
        self._plan()
        return self

    def transform(self, X: Photographs) -> NDArray[np.float32]:
        """Return the vector of the face on each image.

        Args:
            X: n images, as for fit().

        Returns:
            float32, shape (n, dim), in the order of X.

        Raises:
            EmbeddingError: an image has no vector, and `on_missing` is "error".
            PhotographError, ModelError, UnknownNameError, WeightsError: as in fit().
            EngineError: the device or the precision cannot be used.
        """
        photographs = photographs_from(X)
        plan = self._plan()
        with shown(bool(self.verbose), "embedding", "images") as told:
            found = vectors_of(photographs, **plan, progress=told)
        if self.on_missing == "error":
            _check_found(photographs, found)
        return found.vectors

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Return the names of the values of a vector, such as "dlib_age:pooled:0", as in Embeddings.frame().

        Args:
            input_features: not used; scikit-learn requires this argument.
        """
        plan = self._plan()
        names = [
            f"{feature}:{number}"
            for feature, length in zip(plan["features"], plan["lengths"], strict=True)
            for number in range(length)
        ]
        return np.array(names, dtype=object)

    def __sklearn_is_fitted__(self) -> bool:
        """Whether transform() can be called: always, because nothing is learned."""
        return True

    def __sklearn_tags__(self) -> Any:
        """Return the tags of scikit-learn: X contains images, and transform() needs no fit()."""
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        tags.transformer_tags.preserves_dtype = []
        return tags

    def _plan(self) -> dict[str, Any]:
        """Return the arguments of vectors_of(), after checking the parameters.

        Raises:
            ModelError, UnknownNameError, WeightsError: as fit().
        """
        # Of the others, cache and backbone have messages of their own, and verbose may be a number.
        plain = ("mirror", "detector", "detector_weights", "device", "precision", "n_jobs")
        check_arguments(FaceEmbedder.__init__, {name: getattr(self, name) for name in plain})
        for name, value, allowed in (
            ("choose", self.choose, _CHOICES),
            ("on_missing", self.on_missing, ("error", "nan")),
        ):
            if value not in allowed:
                raise ModelError(f"{name} cannot be {value!r}: it must be one of {', '.join(allowed)}.")
        parts = [frozen_only(name) for name in _names(self.backbone)]
        features = [feature_name(backbone.name, layer) for backbone, layer in parts]
        twice = next((name for name in features if features.count(name) > 1), None)
        if twice:
            raise ModelError(f"backbone names {twice} twice. Name each network once.")
        settings = default_settings(self.detector, self.choose, self.detector_weights)
        return {
            "features": features,
            "recipes": make_recipes(
                features,
                settings,
                device=self.device,
                precision=self.precision,
                mirrored=bool(self.mirror),
            ),
            "settings": settings,
            "lengths": [backbone.layers[layer] for backbone, layer in parts],
            "threads": threads_of(self.n_jobs),
            "store": _store_of(self.cache),
        }


def _names(backbone: Any) -> list[str]:
    """Return the names of the networks to use.

    Raises:
        ModelError: none is named.
    """
    given = [backbone] if isinstance(backbone, str) else backbone
    if isinstance(given, list | tuple) and all(isinstance(text, str) for text in given):
        names = [name.strip() for text in given for name in split_features(text) if name.strip()]
        if names:
            return names
    raise ModelError(
        f"backbone cannot be {backbone!r}: give names of networks, such as 'dlib_age+dlib_face' or a list."
    )


def _store_of(cache: Any) -> Store | None:
    """Return the store in which vectors are cached.

    Raises:
        ModelError: cache is neither a folder nor a project.
    """
    if cache is None:
        return None
    if isinstance(cache, Project):
        return Store(cache.folder.cache)
    if not isinstance(cache, str | os.PathLike):
        raise ModelError(f"cache cannot be {cache!r}: it must be None, a folder or a project.")
    place = place_of(cache)
    if isinstance(place, UrlPath):
        return Store(place)
    project = ProjectFolder(place)
    return Store(project.cache if project.manifest.is_file() else project.root)


def _check_found(photographs: Sequence[Photograph], found: OfPhotographs) -> None:
    """Raise EmbeddingError unless every image has a vector."""
    missing = [row for row, status in enumerate(found.statuses) if status != "ok"]
    if missing:
        row = missing[0]
        raise EmbeddingError(
            f"{len(missing):,} of {len(photographs):,} images have no vector. The first is"
            f" {photographs[row].name} (position {row}):"
            f" {found.messages[row].rstrip('.')}. Leave them out, or use on_missing='nan' for rows of NaN."
        )
