"""Faces as vectors: found, aligned, and read by pretrained networks, each once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurekit.api.arguments import errors_in_arguments, threads_of
from featurekit.api.project import Project, project_of
from featurekit.api.telling import SHOWN, Shown, note, shown, warn
from featurekit.cache.store import Store
from featurekit.data.manifest import Manifest
from featurekit.embeddings.extractor import Extraction
from featurekit.embeddings.index import BUILTIN_BACKBONES, Ledger, extract_into, some_ledger_of
from featurekit.embeddings.recipe import Recipe, row_keys
from featurekit.embeddings.vectors import Vectors, load_embeddings, row_statuses
from featurekit.errors import EmbeddingError
from featurekit.faces.face import STATUS_MEANINGS, STATUSES
from featurekit.faces.settings import default_settings
from featurekit.networks.backbones import split_feature


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Embeddings:
    """The vectors of a data set's faces by some networks, as `fk.embed` returns them.

    The vectors lie in the project's cache and are read when they are asked for.

    Attributes:
        data: whose faces.
        features: what is joined side by side, as "network:layer".
        extraction: what was done to get them: images read, seconds, engine and precision of each network.
    """

    data: Manifest
    features: tuple[str, ...]
    extraction: Extraction
    project: Project = field(repr=False)
    ledger: Ledger = field(repr=False)

    @cached_property
    def _read(self) -> Vectors:
        return load_embeddings(self.data, self.recipes, self.ledger.settings, self.store)

    @cached_property
    def _statuses(self) -> NDArray[np.uint8]:
        """Number of every row's status in STATUSES; nothing but this says which faces there are."""
        settings = self.ledger.settings
        faces = self.store.shelf("faces", settings.recipe())
        return row_statuses(self.data, row_keys(self.data, settings), faces)

    @property
    def recipes(self) -> list[Recipe]:
        """Everything that decides the numbers of each part."""
        return [self.ledger.recipes[feature] for feature in self.features]

    @property
    def store(self) -> Store:
        """The cache that the vectors lie in."""
        return Store(self.project.folder.cache)

    @property
    def name(self) -> str:
        """The parts, joined by "+"; default layers are left out, e.g. "dlib_age+dlib_face"."""
        return short_name("+".join(self.features))

    @property
    def vectors(self) -> NDArray[Any]:
        """Vectors of the faces found, float32, shape (n_faces, dim), in the data set's order.

        Of "pixels" they are the aligned faces' pixels, uint8.
        """
        return self._read.vectors

    @property
    def rows(self) -> NDArray[np.intp]:
        """Row number in the data set of each vector, increasing, shape (n_faces,)."""
        return np.flatnonzero(self._statuses == STATUSES.index("ok"))

    @property
    def face_ids(self) -> NDArray[np.str_]:
        """Name of each vector's face, shape (n_faces,)."""
        return self.data.table["face_id"].to_numpy(dtype=str)[self.rows]

    @property
    def blocks(self) -> tuple[int, ...]:
        """Length of each network's part of a vector; their sum is dim."""
        named = [split_feature(feature) for feature in self.features]
        return tuple(backbone.layers[layer] for backbone, layer in named)

    @property
    def statuses(self) -> "pd.Series[str]":
        """What became of every row of the data set: "ok", or why it has no vector; indexed by face_id."""
        names = np.array(STATUSES, dtype=object)[self._statuses]
        return pd.Series(names, index=pd.Index(self.data.table["face_id"], name="face_id"), name="status")

    def labels(self, target: str) -> "pd.Series[Any]":
        """Return the label of each vector's face, indexed by face_id; "" or NaN where there is none.

        Args:
            target: a label of the data set, e.g. "gender" or "age".

        Raises:
            TargetError: there is no such label.
        """
        column = self.data.table[self.data.target(target).name]
        return column.iloc[self.rows].set_axis(pd.Index(self.face_ids, name="face_id"))

    @property
    def subjects(self) -> NDArray[np.str_]:
        """Who is on each vector's image, shape (n_faces,): the groups that a split must keep together."""
        return self.data.subjects[self.rows]

    def frame(self) -> pd.DataFrame:
        """Return the vectors as a table: a row a face found, indexed by face_id, a column a number.

        Columns are called after the network's layer and the position in its vector: "dlib_age:pooled:0".
        """
        names = [
            f"{feature}:{number}"
            for feature, length in zip(self.features, self.blocks, strict=True)
            for number in range(length)
        ]
        return pd.DataFrame(self.vectors, index=pd.Index(self.face_ids, name="face_id"), columns=names)

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
    project: Project | str | Path | None = None,
    progress: Shown = True,
) -> Embeddings:
    """Find every face of a data set, align it, and read it with pretrained networks.

    What has been computed before, by content, is read from the project's cache; an extraction that was
    stopped continues where it was. It is what `featurekit extract` does.

    Args:
        data: whose images.
        features: networks joined by "+", e.g. "dlib_age+dlib_face", an inner layer as "vgg16:fc6"; or a list
            of them, which is joined too. None for those that need no download: dlib_age, dlib_gender and
            mobilenet_v2. See `featurekit list backbones`.
        mirror: whether to average each vector with that of the mirrored face: better, and slower.
        detector: how faces are found; see `featurekit list detectors`.
        detector_weights: another file of weights for the detector.
        choose: which of several faces on an image: "center", "largest", "box" (the data set's box) or
            "only" (an image with several has none).
        device: "auto", "cpu" or "cuda"; a device that is asked for and not there is an error.
        precision: "auto", "fp32" or "bf16".
        n_jobs: how many threads; None or -1 for one a core. They change the time and nothing else.
        project: whose cache; None for the current folder's.
        progress: whether to show a bar; or a function of (images read, images to read).

    Returns:
        The embeddings: ``.vectors`` (n_faces, dim), ``.frame()``, and ``.statuses`` of every row.

    Raises:
        UnknownNameError: there is no such network, layer or detector.
        WeightsError: a file of weights is missing; the message says how to get it.
        EngineError: a device or precision cannot be had.
        ManifestError: `choose="box"` and the data set has no boxes.

    Example:
        >>> import featurekit as fk
        >>> X = fk.embed(data, "dlib_age+dlib_gender")      # doctest: +SKIP
        >>> X.vectors.shape, X.statuses.value_counts()      # doctest: +SKIP
    """
    from featurekit.evaluation.unused_options import unused_of_extract

    if not isinstance(data, Manifest):
        raise EmbeddingError(
            "The data must come from fk.load_dataset or fk.Dataset.from_frame. Got"
            f" {type(data).__name__} instead. fk.FaceEmbedder takes images themselves."
        )
    place = project_of(project)
    names = _names(features)
    settings = default_settings(detector, choose, detector_weights)
    with errors_in_arguments():
        for text in unused_of_extract(
            names, detector, choose=choose, device=device, precision=precision, mirrored=mirror
        ):
            note(text)
    with shown(progress, "extracting", "images") as told:
        extraction = extract_into(
            place.folder,
            data,
            names,
            settings,
            device=device,
            precision=precision,
            mirrored=mirror,
            threads=threads_of(n_jobs),
            progress=told,
        )
    _tell_of_unread(extraction)
    whole = some_ledger_of(place.folder)
    ledger = replace(whole, recipes={name: whole.recipes[name] for name in extraction.recipes})
    return Embeddings(
        data=data,
        features=tuple(_full_name(name) for name in names),
        extraction=extraction,
        project=place,
        ledger=ledger,
    )


def short_name(features: str) -> str:
    """Return the name of a feature set, default layers left out.

    >>> short_name("dlib_age:pooled+dlib_age:middle")
    'dlib_age+dlib_age:middle'
    """
    parts = []
    for feature in features.split("+"):
        backbone, layer = split_feature(feature)
        parts.append(backbone.name if layer == backbone.default_layer else feature)
    return "+".join(parts)


def _names(features: str | Sequence[str] | None) -> list[str]:
    """Return the networks that are asked for.

    Raises:
        EmbeddingError: none is named, or one twice.
    """
    if features is None:
        return list(BUILTIN_BACKBONES)
    given = [features] if isinstance(features, str) else list(features)
    names = [name.strip() for text in given for name in text.split("+") if name.strip()]
    if not names:
        raise EmbeddingError("No network is named. Example: fk.embed(data, 'dlib_age+dlib_face')")
    full = [_full_name(name) for name in names]
    twice = next((name for name in full if full.count(name) > 1), None)
    if twice:
        raise EmbeddingError(f"{twice} is named twice; the same numbers twice say nothing more.")
    return names


def _full_name(name: str) -> str:
    backbone, layer = split_feature(name)
    return f"{backbone.name}:{layer}"


def _tell_of_unread(extraction: Extraction) -> None:
    """Say which images are broken, and which were not read and why."""
    for path, status in extraction.broken[:SHOWN]:
        warn(f"'{path}' is {status}: {STATUS_MEANINGS[status]}")
    if len(extraction.broken) > SHOWN:
        warn(f"… and {len(extraction.broken) - SHOWN} more")
    for face_id, why in extraction.unread[:SHOWN]:
        warn(f"{face_id} was not read: {why}")
    if len(extraction.unread) > SHOWN:
        warn(f"… and {len(extraction.unread) - SHOWN} more")


def features_of(X: "Embeddings | Sequence[Embeddings]") -> list[Embeddings]:
    """Return one or several embeddings as a list.

    Raises:
        EmbeddingError: they are something else, or were made in different ways.
    """
    several: list[Any] = list(X) if isinstance(X, list | tuple) else [X]
    for one in several:
        if not isinstance(one, Embeddings):
            raise EmbeddingError(
                f"X must come from fk.embed(), which knows whose vectors they are. Got {type(one).__name__}."
            )
    if any(one.ledger.settings != several[0].ledger.settings for one in several):
        raise EmbeddingError("The embeddings are of faces that were found in different ways.")
    return several


def joined_ledger(several: Sequence[Embeddings]) -> Ledger:
    """Return what is known of how several embeddings were made.

    Raises:
        EmbeddingError: two of them have other vectors of the same name.
    """
    recipes: dict[str, Recipe] = {}
    costs: dict[str, Mapping[str, float]] = {}
    achieved: dict[str, Mapping[str, str]] = {}
    for one in several:
        for name, recipe in one.ledger.recipes.items():
            if recipes.setdefault(name, recipe) != recipe:
                raise EmbeddingError(
                    f"Two of the embeddings have vectors of {name} that were made in different ways: evaluate"
                    " them one after the other, each under a name of its own."
                )
        costs |= one.ledger.costs
        achieved |= one.ledger.achieved
    return replace(several[0].ledger, recipes=recipes, costs=costs, achieved=achieved)
