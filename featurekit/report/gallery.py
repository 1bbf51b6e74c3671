"""The worst errors of the best model of each target, with thumbnails of the faces.

A report shows faces and names of subjects only with the option `--faces thumb`. A thumbnail is
made from pixels only, so no other information is copied from the image file.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurekit.cache.shelf import Shelf
from featurekit.cache.store import Store
from featurekit.data.manifest import Manifest
from featurekit.data.targets import Target
from featurekit.embeddings.recipe import make_recipes, row_keys, settings_of
from featurekit.embeddings.worker import Looker, Task, face_from
from featurekit.errors import WorkspaceError
from featurekit.evaluation.evidence import Evidence
from featurekit.evaluation.outcomes import (
    gives_probabilities,
    probabilities_of,
    read_outcomes,
    read_predictions,
)
from featurekit.evaluation.planning import PIXELS
from featurekit.evaluation.results import Run
from featurekit.networks.backbones import split_feature
from featurekit.project import ComparisonFolder
from featurekit.report.model import SIDE, Subject, WrongFace

FACES = ("none", "thumb")  # how a page can show faces
MOST_SUBJECTS, MOST_FACES = 24, 4  # of a target, and of a subject
LEAST_ERROR = 0.5  # years; a predicted age with at least this error counts as wrong
_QUALITY = 80  # of the JPEG of a thumbnail; with this quality, three targets need less than a megabyte
_MARGIN = 0.11  # share of the crop that is cut off on each side, so that the thumbnail shows more of the face


@dataclass(frozen=True, kw_only=True)
class Errors:
    """The worst errors of the best model of one target.

    Attributes:
        run: name of the run of the model.
        is_in_years: whether the target is age in years.
        n_faces: number of faces with a prediction.
        n_wrong: number of wrong predictions.
        subjects: subjects with their faces; the subject with the worst error comes first.
        n_missing: number of faces that cannot be shown because their images are not available.
    """

    run: str
    is_in_years: bool
    n_faces: int
    n_wrong: int
    subjects: tuple[Subject, ...]
    n_missing: int


def find_errors(
    folder: Path, runs: Sequence[Run], evidence: Evidence | None, manifest: Manifest, store: Store
) -> dict[str, Errors]:
    """Return the worst errors of the best model of each target, with thumbnails of the faces.

    Args:
        folder: folder of the comparison.
        runs: all runs of the comparison.
        evidence: evidence on the runs, which names the best model of each target.
        manifest: the data set.
        store: the cache, which has the positions of the faces in the images.

    Raises:
        WorkspaceError: the predictions of the best model of a target are missing, or none of the images can
            be read.
    """
    known = evidence.targets if evidence else {}
    by_name = {run.name: run for run in runs}
    found = {}
    for name in sorted({run.target for run in runs}):
        path = ComparisonFolder(folder).prediction(known[name].sliced) if name in known else None
        if path is None or not path.is_file():
            raise WorkspaceError(
                f"There are no predictions of {name}, so its errors cannot be shown. Fit its models with"
                f" featurekit fit --name {folder.name} --target {name}, or leave out --faces thumb."
            )
        run = by_name[known[name].sliced]
        target = run.seen(manifest).target(name)
        found[name] = _errors(run, target, read_predictions(path), manifest, store)
    n_missing = sum(one.n_missing for one in found.values())
    if n_missing and not any(one.subjects for one in found.values()):
        raise WorkspaceError(
            f"None of {n_missing} faces can be shown: the images in {manifest.root} are missing or have"
            f" changed since featurekit prepare, or the cache {store.root} is missing. Restore them, or leave"
            " out --faces thumb."
        )
    return found


def shows_people(page: Path) -> bool:
    """Whether a report shows images of faces; its figures are SVG, so every image in it is a face."""
    return page.suffix == ".html" and b"<img" in page.read_bytes()


def worst_first(errors: NDArray[np.float64], subjects: NDArray[np.str_]) -> list[NDArray[np.intp]]:
    """Return the positions of the faces to show: one array for each subject, with the worst errors first.

    Args:
        errors: error of each face, shape (n_faces,); 0 if the prediction is correct.
        subjects: name of the subject of each face, shape (n_faces,).

    >>> worst_first(np.array([0.6, 0.0, 0.9, 0.7]), np.array(["a", "a", "b", "a"]))
    [array([2]), array([3, 0])]
    """
    # The sort is stable, so that faces with equal errors stay in the order of the manifest.
    worst = np.argsort(-errors, kind="stable")[: np.count_nonzero(errors)]
    by_subject = pd.Series(worst).groupby(subjects[worst], sort=False)
    return [faces.to_numpy()[:MOST_FACES] for _, faces in islice(by_subject, MOST_SUBJECTS)]


def rows_of(table: pd.DataFrame, manifest: Manifest) -> NDArray[np.intp]:
    """Return the row number in the manifest of each face of a table of predictions, shape (n_faces,).

    Raises:
        WorkspaceError: a face is no longer in the manifest.
    """
    rows = pd.Index(manifest.table["face_id"]).get_indexer(pd.Index(table["face_id"]))
    if (rows < 0).any():
        raise WorkspaceError(
            f"The face {table['face_id'].iloc[int(np.argmax(rows < 0))]} of the predictions is no longer in"
            " the manifest. Fit again: featurekit fit"
        )
    return np.asarray(rows, np.intp)


def predictions_in(folder: Path, run: Run, manifest: Manifest) -> tuple[pd.DataFrame, NDArray[np.intp]]:
    """Return the predictions of a run, from its outcomes if there are no others, and the row of each face.

    Raises:
        WorkspaceError: the predictions of the run are missing, or a face is no longer in the manifest.
    """
    files = ComparisonFolder(folder)
    if files.prediction(run.name).is_file():
        table = read_predictions(files.prediction(run.name))
        return table, rows_of(table, manifest)
    if files.outcome(run.name).is_file():
        table = read_outcomes(files.outcome(run.name))
        return table, table["row"].to_numpy(np.intp)
    raise WorkspaceError(
        f"The predictions of {run.name} are not in {folder}. Fit it again: {run.command or 'featurekit fit'}"
    )


def _errors(run: Run, target: Target, table: pd.DataFrame, manifest: Manifest, store: Store) -> Errors:
    rows = rows_of(table, manifest)
    errors = _errors_of_faces(target, table)
    subjects = manifest.subjects[rows]
    chosen = worst_first(errors, subjects)
    everyone = np.concatenate([np.zeros(0, np.intp), *chosen])
    crops = Crops(manifest, run.recipes[0]["faces"], store).of(rows[everyone]) if len(everyone) else {}
    thumbnails = {row: thumbnail(crop) for row, crop in crops.items()}
    shown = []
    for faces in chosen:
        wrong = tuple(
            _wrong_face(target, table, manifest, int(face), int(rows[face]), float(errors[face]), jpeg)
            for face in faces
            if (jpeg := thumbnails.get(int(rows[face])))
        )
        if wrong:
            name = str(subjects[faces[0]])
            of_subject = errors[subjects == name]
            # The name of a subject is that of a row if the data set has no names.
            known = "" if name.startswith("row:") else name
            shown.append(Subject(known, len(of_subject), int(np.count_nonzero(of_subject)), wrong))
    return Errors(
        run=run.name,
        is_in_years=target.is_regression,
        n_faces=len(table),
        n_wrong=int(np.count_nonzero(errors)),
        subjects=tuple(shown),
        n_missing=len(everyone) - len(thumbnails),
    )


def _errors_of_faces(target: Target, table: pd.DataFrame) -> NDArray[np.float64]:
    """Return the error of each face: years, or the confidence of a wrong prediction; 0 if it is correct."""
    if target.is_regression:
        years = (table["true"] - table["predicted"]).abs().to_numpy(float)
        return np.where(years >= LEAST_ERROR, years, 0.0)
    confidence = probabilities_of(table, target.classes).max(axis=1)
    return np.where(table["true"] != table["predicted"], confidence, 0.0)


def _wrong_face(
    target: Target, table: pd.DataFrame, manifest: Manifest, face: int, row: int, error: float, jpeg: bytes
) -> WrongFace:
    true, predicted = table["true"].iloc[face], table["predicted"].iloc[face]
    if target.is_regression:
        words = (f"{true:g}", f"{predicted:.1f}", f"error {error:.1f} years")
    else:
        confidence = f"confidence {100 * error:.0f} %" if gives_probabilities(table, target.classes) else ""
        words = (str(true), str(predicted), confidence)
    return WrongFace(str(manifest.table["image_path"].iloc[row]), *words, jpeg)


class Crops:
    """Cuts the faces of rows out of their images.

    If the image exists and has not changed, it is opened, and the face is cut out at its stored position.
    For all other rows, the faces that `extract --backbone pixels` stored are used. They are the second
    choice because they are gigabytes, and all of them are verified when the first one is read.

    Several threads may use the same object.

    Args:
        manifest: the data set.
        recipe: settings with which the faces were found.
        store: the cache, which has the positions of the faces.
    """

    def __init__(self, manifest: Manifest, recipe: Mapping[str, Any], store: Store) -> None:
        self._manifest, self._recipe, self._store = manifest, recipe, store
        self._settings = settings_of(recipe)
        self._faces = store.shelf("faces", recipe)
        self._backbone, _ = split_feature(PIXELS)
        kind = (self._backbone.template, self._backbone.input_size)
        # Every face that is opened is known, so the detector has nothing to do.
        self._looker = Looker(manifest.root, self._settings, lambda *_: [], [], [kind])

    def of(self, rows: NDArray[np.intp]) -> dict[int, NDArray[np.uint8]]:
        """Return the crop of the face of each row, RGB, for the rows whose face is available."""
        if not len(rows):
            return {}
        own = replace(self._manifest, table=self._manifest.table.iloc[rows])
        keys = row_keys(own, self._settings)
        known = np.delete(np.arange(len(rows)), self._faces.missing(keys))
        columns = self._faces.read(keys[known]) if len(known) else {}
        crops: dict[int, NDArray[np.uint8]] = {}
        for number, i in enumerate(known):
            path, content, box = (own.table[name].iloc[i] for name in ("image_path", "content", "box"))
            looked = self._looker(Task(int(rows[i]), path, content, box, (face_from(columns, number),)))
            found = looked.faces[0].crops if looked.faces else {}
            crops |= {int(rows[i]): crop for crop in found.values()}
        gone = np.array([i for i, row in enumerate(rows) if int(row) not in crops], np.intp)
        if len(gone):
            shelf, side = shelf_of_crops(self._recipe, self._store), self._backbone.input_size
            there = np.delete(gone, shelf.missing(keys[gone]))
            if len(there):
                for i, crop in zip(there, shelf.read(keys[there], ["vectors"])["vectors"], strict=True):
                    crops[int(rows[i])] = crop.reshape(side, side, 3)
        return crops


def shelf_of_crops(recipe: Mapping[str, Any], store: Store) -> Shelf:
    """Return the shelf of the crops that `featurekit extract --backbone pixels` has stored.

    Args:
        recipe: settings with which the faces were found.
        store: the cache.
    """
    kept = make_recipes([PIXELS], settings_of(recipe), device="cpu")[PIXELS]
    return store.shelf("embeddings", asdict(replace(kept, faces=recipe)))


def thumbnail(crop: NDArray[np.uint8], side: int = SIDE) -> bytes:
    """Return a small JPEG of a crop; it is made from pixels only, so it has no EXIF data, place or name."""
    from PIL import Image

    file = BytesIO()
    first, last = _MARGIN * len(crop), (1 - _MARGIN) * len(crop)
    image = Image.fromarray(crop).resize((side, side), Image.Resampling.LANCZOS, (first, first, last, last))
    image.save(file, "JPEG", quality=_QUALITY, optimize=True)
    return file.getvalue()
