"""Describe extracted vectors: norms, effective rank, near-constant columns, closest pairs."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from featurekit.api.arguments import threads_of
from featurekit.api.project import Project, project_of
from featurekit.api.telling import Shown, shown
from featurekit.cache.store import Store
from featurekit.data.manifest import Manifest
from featurekit.embeddings.description import VectorFacts, describe
from featurekit.embeddings.index import Ledger, some_ledger_of
from featurekit.errors import EmbeddingError
from featurekit.networks.feature_names import split_features


@dataclass(frozen=True, repr=False)
class Description:
    """Facts about extracted vectors, as ``Embeddings.describe()`` returns them.

    Attributes:
        facts: facts about the vectors of each feature set: each network's layer.
        dataset: name of the data set.
    """

    facts: tuple[VectorFacts, ...]
    dataset: str = ""

    def __getitem__(self, feature: str) -> VectorFacts:
        """Return the facts about one network's layer, such as "dlib_age:pooled"."""
        found = {one.feature: one for one in self.facts}
        if feature not in found:
            raise EmbeddingError(f"{feature} is not described. There are: {', '.join(found)}.")
        return found[feature]

    def frame(self) -> pd.DataFrame:
        """Return a table with one row for each feature set.

        Returns:
            The columns features, n_faces, length, dtype, precision, norm_min, norm_median, norm_max,
            effective_rank, n_near_constant, n_columns_90, n_columns_99, closest_first and closest_second
            (face_id of the two most similar faces), closest_similarity, and for bf16 and int8 the difference
            from the fp32 vectors of the same faces: bf16_n_faces (0 if the cache has no such vectors),
            bf16_error_median, bf16_error_worst, bf16_worst_face and so on. The errors are shares: the length
            of the difference divided by the length of the fp32 vector. Values that are not known are NaN, or
            "" for a face_id.
        """
        from featurekit.report.vectors import facts_frame

        return facts_frame(self.facts)

    def pairs(self) -> pd.DataFrame:
        """Return the pairs of different faces whose vectors are most similar.

        Returns:
            One row for each pair, with the columns features, first and second (face_id), and similarity (the
            cosine of the two vectors); the most similar pair of each feature set first. Vectors with fewer
            than 64 numbers have no pairs, because there every face has close neighbours.
        """
        from featurekit.report.vectors import pairs_frame

        return pairs_frame(self.facts)

    def __repr__(self) -> str:
        ranks = ", ".join(
            f"{one.feature} {one.n_faces:,} × {one.length:,}, effective rank {one.effective_rank:.1f}"
            for one in self.facts
        )
        return f"Description({ranks})"

    def _repr_html_(self) -> str:
        from featurekit.report.notebook import description_html

        return description_html(self.facts, dataset=self.dataset)


def describe_in(
    place: Project,
    data: Manifest,
    ledger: Ledger,
    features: tuple[str, ...] | None,
    *,
    n_jobs: int | None = None,
    progress: Shown = True,
) -> Description:
    """Describe the vectors of some features of a record, or of all its features; see describe_extracted()."""
    threads = threads_of(n_jobs)
    with shown(progress, "describing", "feature sets") as told:
        facts = describe(data, ledger, Store(place.folder.cache), features, threads=threads, progress=told)
    return Description(facts, data.name)


def describe_extracted(
    data: Manifest | None = None,
    features: str | None = None,
    *,
    n_jobs: int | None = None,
    project: Project | str | Path | None = None,
    progress: Shown = True,
) -> Description:
    """Describe the vectors that have been extracted in a project.

    The command `featurekit embeddings describe` does the same as this function, and ``X.describe()`` does it
    for the networks of what `fk.embed` returns.

    Args:
        data: the data set; None for the data set of the project.
        features: networks or "network:layer", several joined by "+"; each is described. None for all that
            have been extracted.
        n_jobs: number of threads, which does not change the values; None or -1 for one per core.
        project: the project; None for the project of the current folder.
        progress: whether to show a progress bar.

    Raises:
        UnknownNameError: there is no network or layer with a given name.
        WorkspaceError: nothing has been extracted, or not the given features, or not of all faces.

    Example:
        >>> describe_extracted(features="dlib_age+dlib_face").frame()    # doctest: +SKIP
    """
    place = project_of(project)
    manifest = Manifest.load(place.folder.manifest) if data is None else data
    names = None
    if features is not None:
        names = tuple(name.strip() for name in split_features(features) if name.strip())
        if not names:
            raise EmbeddingError("No network is named. Example: --features dlib_age+dlib_face")
    ledger = some_ledger_of(place.folder)
    return describe_in(place, manifest, ledger, names, n_jobs=n_jobs, progress=progress)
