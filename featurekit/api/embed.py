"""Find the faces of a data set and compute their vectors with pretrained networks."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurekit.api.arguments import as_list, executor_of
from featurekit.api.description import Description, describe_in
from featurekit.api.project import Project, project_of
from featurekit.api.telling import Shown, note, shown, warn_of_first
from featurekit.api.vector_map import HasRuns, map_in
from featurekit.cache.store import Store
from featurekit.checked import checked
from featurekit.data.manifest import Manifest
from featurekit.embeddings.executors import Executor
from featurekit.embeddings.extractor import Extraction
from featurekit.embeddings.index import BUILTIN_BACKBONES, Ledger, extract_into, some_ledger_of
from featurekit.embeddings.part import Part
from featurekit.embeddings.recipe import Recipe, row_keys
from featurekit.embeddings.vectors import load_embeddings, row_statuses
from featurekit.errors import EmbeddingError, UnknownNameError
from featurekit.estimators.fitted_features import frozen, full_name, is_fitted, short_name
from featurekit.faces.face import STATUS_MEANINGS, STATUSES
from featurekit.faces.settings import CHOICES, default_settings
from featurekit.networks.backbones import split_feature
from featurekit.networks.feature_names import split_features
from featurekit.registry import unknown
from featurekit.report.displays.vector_map import VectorMapDisplay
from featurekit.text import counted
from featurekit.urls import UrlPath


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Embeddings:
    """The vectors of the faces of a data set, as `fk.embed` returns them.

    The vectors are in the cache of the project, and are read from it when they are used.

    Attributes:
        data: the data set.
        features: the networks whose vectors are joined side by side, as "network:layer". A feature that is
            fitted per fold, such as "eigenfaces", stands here by its name, and `vectors` has the vectors that
            it starts from.
        extraction: facts about the extraction, such as its time and the engine of each network.
    """

    data: Manifest
    features: tuple[str, ...]
    extraction: Extraction
    project: Project = field(repr=False)
    ledger: Ledger = field(repr=False)

    @cached_property
    def _statuses(self) -> NDArray[np.uint8]:
        """The status of every row, as its number in STATUSES; it decides which faces there are."""
        settings = self.ledger.settings
        return row_statuses(
            self.data, row_keys(self.data, settings), self.store.shelf("faces", settings.recipe())
        )

    @property
    def recipes(self) -> list[Recipe]:
        """The recipe of each network: all settings that determine its vectors."""
        return [self.ledger.recipes[frozen(feature)] for feature in self.features]

    @property
    def store(self) -> Store:
        """The cache that contains the vectors."""
        return Store(self.project.folder.cache)

    @property
    def name(self) -> str:
        """The networks joined by "+", without the names of default layers, such as "dlib_age+dlib_face"."""
        return "+".join(map(short_name, self.features))

    @cached_property
    def vectors(self) -> NDArray[Any]:
        """Vectors of the faces found, float32, shape (n_faces, dim), in the order of the data set.

        The vectors of the backbone "pixels" are the pixels of the aligned faces, uint8.
        """
        return load_embeddings(self.data, self.recipes, self.ledger.settings, self.store).vectors

    @property
    def rows(self) -> NDArray[np.intp]:
        """Row number in the data set of each vector, increasing, shape (n_faces,)."""
        return np.flatnonzero(self._statuses == STATUSES.index("ok"))

    @property
    def face_ids(self) -> NDArray[np.str_]:
        """The face_id of each vector's face, shape (n_faces,)."""
        return self.data.table["face_id"].to_numpy(dtype=str)[self.rows]

    @property
    def blocks(self) -> tuple[int, ...]:
        """The number of values from each network in a vector; the sum is dim."""
        parts = map(split_feature, map(frozen, self.features))
        return tuple(backbone.layers[layer] for backbone, layer in parts)

    @property
    def statuses(self) -> "pd.Series[str]":
        """Status of every row of the data set, "ok" or the reason for no vector, indexed by face_id."""
        rows = pd.Index(self.data.table["face_id"], name="face_id")
        return pd.Series(np.array(STATUSES, dtype=object)[self._statuses], index=rows, name="status")

    @checked()
    def labels(self, target: str) -> "pd.Series[Any]":
        """Return the label of each vector's face, indexed by face_id; "" or NaN for a face without a label.

        Args:
            target: a label of the data set, such as "gender" or "age".

        Raises:
            TargetError: the data set has no label with this name.
        """
        column = self.data.table[self.data.target(target).name]
        return column.iloc[self.rows].set_axis(pd.Index(self.face_ids, name="face_id"))

    @property
    def subjects(self) -> NDArray[np.str_]:
        """The subject of each vector's face, shape (n_faces,), for the argument groups of scikit-learn."""
        return self.data.subjects[self.rows]

    def frame(self) -> pd.DataFrame:
        """Return the vectors as a DataFrame with one row for each face found, indexed by face_id.

        The name of a column has the network, the layer and the position in its vector, "dlib_age:pooled:0".
        """
        names = [
            f"{frozen(feature)}:{number}"
            for feature, length in zip(self.features, self.blocks, strict=True)
            for number in range(length)
        ]
        return pd.DataFrame(self.vectors, index=pd.Index(self.face_ids, name="face_id"), columns=names)

    @checked()
    def describe(self, *, n_jobs: int | None = None, progress: Shown = True) -> Description:
        """Describe the vectors of each network: norms, effective rank, near-constant columns, closest pairs.

        The command `featurekit embeddings describe` does the same for all vectors of a project. The effective
        rank is the exponential of the entropy of the normalized singular values of the centred vectors
        (O. Roy and M. Vetterli, "The effective rank: a measure of effective dimensionality", EUSIPCO 2007).
        If the same vectors are in the cache in fp32 and in bf16 or int8, the description has their
        difference. The closest pairs are found among all pairs of faces.

        Args:
            n_jobs: number of threads, which does not change the values; None or -1 for one per core.
            progress: whether to show a progress bar.

        Returns:
            The description; its method ``.frame()`` returns a table with one row for each network, and
            ``.pairs()`` the pairs of faces with the most similar vectors.

        Raises:
            WorkspaceError: the vectors are not in the cache any more.

        Example:
            >>> import featurekit as fk
            >>> fk.embed(data, "dlib_age+dlib_face").describe().frame()    # doctest: +SKIP
        """
        return describe_in(
            self.project, self.data, self.ledger, self.features, n_jobs=n_jobs, progress=progress
        )

    @checked()
    def map(
        self,
        method: str = "pca",
        *,
        label: str | None = None,
        results: HasRuns | None = None,
        model: str | None = None,
        seed: int | None = None,
        progress: Shown = True,
    ) -> VectorMapDisplay:
        """Map the faces in two dimensions of their vectors, colored by label and by the error of a model.

        The command `featurekit embeddings map` does the same. The vectors are standardized; joined networks
        have the same total variance. Principal components are fitted on at most 10,000 vectors. UMAP (McInnes
        and others 2018) places at most 20,000 faces, starting from 50 principal components; distances between
        far clusters mean little there.

        Args:
            method: "pca" (the first two principal components) or "umap" (pip install 'featurekit[umap]').
            label: label by which the faces are colored; None for gender, age_group or age.
            results: results from `fk.evaluate` or `fk.load_results`, for the errors of a model; None for a
                map without errors.
            model: name of the model; None for the best one of the label, on these features if there is one.
            seed: seed of the random numbers of "umap", and of "pca" with many or long vectors; None for 0.
            progress: whether to show a progress bar.

        Returns:
            The figure, which a notebook shows. Its ``.plot(ax=None, by="label")`` draws it, by="error" the
            errors, ``.frame()`` returns face_id, image_path, x, y, label and error of each face, ``.help()``
            explains it, and ``.save(path)`` writes a PNG and a CSV file.

        Raises:
            UnknownNameError: there is no such method or model.
            TargetError: the data set has no such label.
            EngineError: UMAP is not installed.
            WorkspaceError: the predictions of the model are missing, no run can be compared, or the seed
                has no effect.

        Example:
            >>> import featurekit as fk
            >>> X = fk.embed(data, "dlib_face")                              # doctest: +SKIP
            >>> X.map("pca", label="gender", results=results).frame()        # doctest: +SKIP
        """
        return map_in(
            self.project,
            self.data,
            self.ledger,
            self.features,
            method=method,
            label=label,
            results=results,
            model=model,
            seed=seed,
            progress=progress,
        )

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        n, dim = len(self), sum(self.blocks)
        return f"Embeddings({self.name!r}: {n:,} of {len(self.data):,} faces found, {dim:,} numbers each)"

    def _repr_html_(self) -> str:
        from featurekit.report.notebook import embeddings_html

        parts = list(zip(self.features, self.blocks, strict=True))
        counts = {str(status): int(n) for status, n in self.statuses.value_counts().items()}
        return embeddings_html(self.name, parts, counts, dataset=self.data.name)


@checked("data")
def embed(
    data: Manifest,
    features: str | Sequence[str] | None = None,
    *,
    mirror: bool = False,
    detector: str = "centerface",
    detector_weights: str | Path | None = None,
    choose: str = "center",
    device: str = "auto",
    precision: str = "auto",
    n_jobs: int | None = None,
    executor: "str | Executor" = "local",
    shard: tuple[int, int] | str | None = None,
    project: Project | str | Path | None = None,
    progress: Shown = True,
) -> Embeddings:
    """Find and align the face on every image of a data set, and compute its vectors with pretrained networks.

    The vectors are saved in the cache of the project. Vectors that are already in the cache are not computed
    again, so an extraction that was stopped continues where it stopped. The command `featurekit extract` does
    the same as this function.

    Args:
        data: the data set.
        features: networks joined by "+", such as "dlib_age+dlib_face", or a list of networks, which are
            joined too; "vgg16:fc6" names an inner layer. None for the networks that need no download, which
            are dlib_age, dlib_gender and mobilenet_v2. See `featurekit list backbones`. For a feature that is
            fitted per fold, such as "eigenfaces", the vectors that it starts from are computed.
        mirror: whether to average the vectors of each face and of its mirror image; usually more accurate,
            but slower.
        detector: name of the face detector; see `featurekit list detectors`.
        detector_weights: a weight file for the detector, instead of its default file.
        choose: the face to use if an image has several, "center", "largest", "box" (the face in the box of
            the data set) or "only" (no face of such an image).
        device: "auto", "cpu" or "cuda". With "cuda", an error is raised if no GPU can be used.
        precision: "auto", "fp32", "bf16" or "int8".
        n_jobs: number of threads, which does not change the results; None or -1 for one per core.
        executor: "local" for this machine, "ray" for the Ray cluster that it belongs to, or an object such as
            ``fk.RayExecutor(address="local", workers=4)``. On a CPU the vectors are the same.
        shard: (i, n) or "i/n" to process only the i-th of n parts of the images, counted from 1, for a
            scheduler of your own; several parts may be processed at the same time. None for all images.
            The part of an image depends only on the content of its file.
        project: the project; None for the project of the current folder.
        progress: whether to show a progress bar, or a function that is called with (images read, images to
            read).

    Returns:
        The embeddings, which have ``.vectors`` of shape (n_faces, dim), ``.frame()``, and the ``.statuses``
        of all rows. With ``shard`` they are of all rows, too: an image of another part is "not_extracted"
        until that part is done. ``.extraction.statuses`` counts the rows of the part.

    Raises:
        UnknownNameError: there is no network, layer, detector or executor with a given name.
        WeightsError: a weight file is missing; the message says how to get it.
        EngineError: the device or the precision cannot be used, or a package is not installed.
        EmbeddingError: a feature is computed from landmarks, and the detector gives none.
        ManifestError: choose is "box", and the data set has no boxes.
        ModelError: shard is not possible.

    Example:
        >>> import featurekit as fk
        >>> X = fk.embed(data, "dlib_age+dlib_gender")      # doctest: +SKIP
        >>> X.vectors.shape, X.statuses.value_counts()      # doctest: +SKIP
    """
    from featurekit.evaluation.unused_options import unused_of_extract

    if not isinstance(data, Manifest):
        raise EmbeddingError(
            "The data must come from fk.load_dataset or fk.Dataset.from_frame. Got"
            f" {type(data).__name__} instead. fk.FaceEmbedder takes images without a data set."
        )
    place, part = project_of(project), Part.of(shard)
    asked = _names(features)
    names = list(dict.fromkeys(map(frozen, asked)))
    if choose == "all":  # a row of a data set has one face
        raise UnknownNameError(
            unknown("way to choose a face", choose, [one for one in CHOICES if one != "all"])
        )
    settings = default_settings(detector, choose, detector_weights)
    for text in unused_of_extract(
        names, detector, choose=choose, device=device, precision=precision, mirrored=mirror
    ):
        note(text)
    for name in filter(is_fitted, asked):
        note(
            f"{name} is learned from the training faces of each fold, so only the vectors that it starts from"
            f" are extracted: {frozen(name)}. To use it: featurekit fit --features {name}"
        )
    if isinstance(place.folder.cache, UrlPath):
        note(f"Faces and vectors are stored in {place.folder.cache}.")
    with shown(progress, "extracting", "images") as told:
        extraction = extract_into(
            place.folder,
            data,
            names,
            settings,
            device=device,
            precision=precision,
            mirrored=mirror,
            executor=executor_of(executor, n_jobs),
            part=part,
            progress=told,
        )
    _tell_of_unread(extraction)
    # Another process may have recorded another extraction in the meantime.
    ledger = replace(some_ledger_of(place.folder), settings=settings, recipes=extraction.recipes)
    return Embeddings(
        data=data,
        features=tuple(asked),
        extraction=extraction,
        project=place,
        ledger=ledger,
    )


def _names(features: str | Sequence[str] | None) -> list[str]:
    """Return the full names of the networks, and of features that are fitted per fold, to use.

    Raises:
        EmbeddingError: none is named, or one is named twice.
    """
    if features is None:
        return list(map(full_name, BUILTIN_BACKBONES))
    joined = features if isinstance(features, str) else "+".join(features)
    names = [name.strip() for name in split_features(joined) if name.strip()]
    if not names:
        raise EmbeddingError("No network is named. Example: --backbone dlib_age+dlib_face")
    full = [full_name(name) for name in names]
    twice = next((name for name in full if full.count(name) > 1), None)
    if twice:
        raise EmbeddingError(f"{twice} is named twice. Name each network once.")
    return full


def _tell_of_unread(extraction: Extraction) -> None:
    """Warn of images that are broken, and of those that were not read."""
    warn_of_first(
        [f"'{path}' is {status}: {STATUS_MEANINGS[status]}" for path, status in extraction.broken], "more"
    )
    if extraction.n_lost:
        note(
            f"{counted(extraction.n_lost, 'worker', 'workers')} of the cluster ended early. What they had not"
            " finished was done again by others."
        )
    warn_of_first([f"{face_id} was not read: {why}" for face_id, why in extraction.unread], "more")


def features_of(X: "Embeddings | Sequence[Embeddings]") -> list[Embeddings]:
    """Return one or several embeddings as a list.

    Raises:
        EmbeddingError: X is not from fk.embed(), or the settings of the face detection differ.
    """
    several = as_list(X)
    for one in several:
        if not isinstance(one, Embeddings):
            raise EmbeddingError(f"X must be the result of fk.embed(). Got {type(one).__name__} instead.")
    if any(one.ledger.settings != several[0].ledger.settings for one in several):
        raise EmbeddingError(
            "The faces of the embeddings were found with different settings, such as the detector. Use the"
            " same settings in each call of fk.embed()."
        )
    return several


def joined_ledger(several: Sequence[Embeddings]) -> Ledger:
    """Return one ledger, the recipes and costs of the networks, for several embeddings.

    Raises:
        EmbeddingError: two of the embeddings have the same network and layer with different settings.
    """
    recipes: dict[str, Recipe] = {}
    for one in several:
        for name, recipe in one.ledger.recipes.items():
            if recipes.setdefault(name, recipe) != recipe:
                raise EmbeddingError(
                    f"Two of the embeddings have vectors of {name} that were computed with other settings."
                    " Evaluate them one after the other, each in a comparison with another name."
                )
    return replace(
        several[0].ledger,
        recipes=recipes,
        costs={name: costs for one in several for name, costs in one.ledger.costs.items()},
        achieved={name: got for one in several for name, got in one.ledger.achieved.items()},
    )
