"""The paths of all files in a project; no other module makes them.

A project is the folder in which the user works, by default the current folder:

    manifest.csv, manifest.json     the data set, as `featurekit prepare` has read it
    cache/                          faces and embeddings; extracted/ lists the embeddings
    cache.json                      the folder or URL of faces and embeddings, if they are stored elsewhere
    models/<name>/                  fitted models
    reports/<name>/                 comparisons of models
    purge.json                      the subjects whose data `featurekit purge` is removing
    marks.csv                       marks of faces by `featurekit explore`, unless the user names another file
    mlflow.db                       results logged to MLflow, unless the user names another store

A comparison of models is a folder below reports/:

    folds.json                      the faces that each cross-validation fold tests
    runs/<run>.json                 the results, one file per run (a model, its features and a target)
    predictions/<run>.parquet       the predictions of each run, with the face_id of each face
    outcomes/<run>.parquet          the same predictions with row numbers; faces.parquet has the labels
    learning/<run>/curve.json       the score of a run by the number of training faces (fit --learning-curve)
    learning/<run>/1-16.parquet     predictions with a sixteenth of the training subjects, with row numbers
    evidence.json                   statistics of all outcomes, e.g. confidence intervals
    audit.json, audit_rows.csv      the findings of the checks, and the faces that each is about
    report.html, report.md          the report, and if it was asked for, report.xlsx and report.pdf
    model_card.md                   the model card of the best models
    average/<run>/                  mean faces and mean occlusion maps of groups of faces
    replaced-<UTC time>/            an earlier comparison that was replaced by one on new folds
"""

import errno
import json
import os
from dataclasses import dataclass
from pathlib import Path

from featurekit.errors import WorkspaceError
from featurekit.files import LONGEST_NAME, names_in, read_plain, write_text
from featurekit.urls import UrlPath, place_of

REPLACED = "replaced-"


class _Below:
    """An attribute of a folder that is a path below the folder's root."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __get__(self, folder: "ProjectFolder | ComparisonFolder", owner: type) -> Path:
        return folder.root / self._path


@dataclass(frozen=True)
class ProjectFolder:
    """The paths in a project, which is the folder in which the user works.

    Attributes:
        root: the folder of the project; it need not exist yet.
        manifest: table of the data set, with one row per face; manifest.json beside it has the facts about
            the whole data set.
        own_cache: folder of what is cached in the project itself, and of the embeddings and faces, unless
            they are stored elsewhere.
        cache_record: place of the embeddings and faces, if they are stored elsewhere.
        extracted: list of the embeddings that have been extracted, with the settings that were used. The file
            was written by older versions; a folder of this name without its ending has what was added since.
        file_index: index of the image files and the hashes of their contents.
        checkpoints: folder of checkpoints, from which an interrupted training of a network continues.
        models: folder of fitted models; each has a folder of its own.
        reports: folder of comparisons; each has a folder of its own.
        purge: list of the subjects whose data `featurekit purge` is removing; it exists only while that runs.
        marks: table of the faces that are excluded or have a corrected label, unless the user names another
            file.
        mlflow: database for results that are logged to MLflow, unless the user names another store.
    """

    root: Path
    manifest = _Below("manifest.csv")
    own_cache = _Below("cache")
    cache_record = _Below("cache.json")
    extracted = _Below("cache/extracted.json")
    file_index = _Below("cache/files.sqlite")
    checkpoints = _Below("cache/training")
    models = _Below("models")
    reports = _Below("reports")
    purge = _Below("purge.json")
    marks = _Below("marks.csv")
    mlflow = _Below("mlflow.db")

    @property
    def cache(self) -> Path:
        """Folder of cached faces and embeddings, in the project or where keep_cache_in() has said.

        Raises:
            WorkspaceError: cache.json is damaged.
        """
        try:
            return place_of(json.loads(read_plain(self.cache_record, 2**16))["cache"])
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR):
                return self.own_cache
            raise WorkspaceError(f"Cannot read {self.cache_record}: {error.strerror}.") from error
        except (ValueError, KeyError, TypeError, RecursionError, WorkspaceError) as error:
            raise WorkspaceError(
                f"{self.cache_record} is damaged, or was not written by featurekit. Delete it, and name the"
                " place of the cache again: featurekit --cache PLACE extract"
            ) from error

    def keep_cache_in(self, place: str | Path) -> None:
        """Record that faces and embeddings are stored in another folder, or in a bucket.

        A place that has none yet, such as a mistyped one, is replaced.

        Args:
            place: path of a folder, or URL of a folder in a bucket, such as "s3://bucket/cache".

        Raises:
            WorkspaceError: the URL cannot be used, or the workspace has its cache in another place already.
        """
        wanted, now = place_of(place).absolute(), self.cache.absolute()
        if wanted == now:
            return
        if _may_have_rows(now):
            raise WorkspaceError(
                f"The cache of this workspace is in {now}, and a purge would not find what is left there. To"
                f" move it to {wanted}, copy its folders faces and embeddings, delete them in {now}, and"
                f" delete {self.cache_record.name} if there is one."
            )
        write_text(self.cache_record, json.dumps({"cache": str(wanted)}) + "\n")

    def model(self, path: Path) -> Path:
        """Return the folder of a model, given its path or URL, or its path or name inside this project.

        Raises:
            WorkspaceError: no folder has this path or name.
        """
        if isinstance(place := place_of(path), UrlPath):
            return place
        for folder in (path, self.root / path, self.models / path):
            if folder.exists():
                return folder
        there = sorted(one.name for one in self.models.iterdir()) if self.models.is_dir() else []
        shown = ", ".join(there[:5]) + (f" and {len(there) - 5} more" if len(there) > 5 else "")
        raise WorkspaceError(
            f"There is no model {path}"
            + (f", and no model of that name is in {self.models}, which has {shown}." if there else ".")
            + ("" if there else f" To fit one: featurekit fit. It is saved in {self.models}.")
        )

    def report(self, name: str) -> Path:
        """Return the folder of the comparison called name.

        Raises:
            WorkspaceError: the name cannot be the name of a folder below reports/.
        """
        # Everything that looks for comparisons, purge above all, looks at the folders right below reports/.
        if not name or name.startswith(".") or any(sign in name for sign in "/\\"):
            why = (
                "it must be the name of one folder below reports/, so it must not be empty, contain / or"
                " \\, or start with a dot"
            )
        elif not name.isprintable():
            why = "it has characters that cannot be printed"
        elif len(os.fsencode(name)) > LONGEST_NAME:
            why = f"it has more than {LONGEST_NAME} bytes"
        else:
            return self.reports / name
        raise WorkspaceError(
            f"{name[:60]!r} cannot be the name of a comparison: {why}. Example: --name faces-2026"
        )

    def comparisons(self) -> list[Path]:
        """Return the folders of all comparisons, sorted by name."""
        return sorted(path for path in self.reports.glob("*") if path.is_dir())


def _may_have_rows(cache: Path) -> bool:
    """Whether a place may have faces or embeddings; it may, too, if it cannot be read."""
    try:
        return not names_in(cache).isdisjoint(("faces", "embeddings"))
    except FileNotFoundError:
        return False
    except OSError:
        return True


@dataclass(frozen=True)
class CacheFolder:
    """A folder of cached faces and embeddings, which may lie outside of a project, and what belongs to it.

    Attributes:
        root: the folder, on this machine or in a bucket.
        extracted: list of the embeddings that have been extracted, see ProjectFolder; None for a bucket,
            because the list is in the project.
        purge: list of the subjects that exists while data are removed from the project; None for a bucket.
    """

    root: Path
    extracted: Path | None
    purge: Path | None

    @classmethod
    def at(cls, place: Path) -> "CacheFolder":
        """Return the cache at a place, given its path or URL, or the path of its project.

        Raises:
            WorkspaceError: the cache.json of the project is damaged.
        """
        if isinstance(place, UrlPath):
            return cls(place, None, None)
        project = ProjectFolder(place)
        if project.own_cache.is_dir() or project.cache_record.exists():
            return cls(project.cache, project.extracted, project.purge)
        return cls(place, place / project.extracted.name, ProjectFolder(place.absolute().parent).purge)


@dataclass(frozen=True)
class ComparisonFolder:
    """The paths in the folder of a comparison of models, or of a comparison that a later one has replaced.

    Attributes:
        root: the folder of the comparison; neither it nor the files in it need exist.
        folds: the cross-validation folds, that is, the faces that each fold tests.
        runs: folder of results, with one file per run (a model, its features and a target).
        predictions: folder of the predictions of each run for each face, with the face_id of the face.
        outcomes: folder of the same predictions with row numbers instead of face_id, and of the faces'
            labels.
        faces: true labels of the faces in the outcomes.
        learning: folder of the scores and predictions with parts of the training subjects.
        evidence: statistics of all outcomes: confidence intervals, differences between models, scores of
            slices (subgroups of faces).
        audit: the findings of the checks of `featurekit audit`.
        audit_rows: table of the faces that each finding is about.
        page: the report as an HTML page.
        markdown: the report as Markdown.
        workbook: the tables of the report as an Excel workbook.
        pdf: the report as a PDF.
        model_card: the model card of the best models.
        average: folder of mean faces and mean occlusion maps; each run has a folder of its own.
        models: fitted models of a replaced comparison; the models of a current one are in
            ProjectFolder.models.
    """

    root: Path
    folds = _Below("folds.json")
    runs = _Below("runs")
    predictions = _Below("predictions")
    outcomes = _Below("outcomes")
    faces = _Below("outcomes/faces.parquet")
    learning = _Below("learning")
    evidence = _Below("evidence.json")
    audit = _Below("audit.json")
    audit_rows = _Below("audit_rows.csv")
    page = _Below("report.html")
    markdown = _Below("report.md")
    workbook = _Below("report.xlsx")
    pdf = _Below("report.pdf")
    model_card = _Below("model_card.md")
    average = _Below("average")
    models = _Below("models")

    @property
    def project(self) -> ProjectFolder:
        """The project that the comparison belongs to."""
        near = self.root if len(self.root.parents) > 1 else self.root.absolute()
        return ProjectFolder(near.parents[1])

    def run(self, name: str) -> Path:
        """Return the path of the file with the results of a run."""
        return self.runs / f"{name}.json"

    def prediction(self, name: str) -> Path:
        """Return the path of the file with the predictions of a run and the face_id of each face."""
        return self.predictions / f"{name}.parquet"

    def outcome(self, name: str) -> Path:
        """Return the path of the file with the predictions of a run and the row number of each face."""
        return self.outcomes / f"{name}.parquet"

    def curve(self, name: str) -> Path:
        """Return the path of the file with the score of a run by the number of training faces."""
        return self.learning / name / "curve.json"

    def curve_part(self, name: str, one_in: int) -> Path:
        """Return the path of the file with the predictions of a run with a part of the training subjects."""
        return self.learning / name / f"1-{one_in}.parquet"

    def replaced(self, time: str) -> Path:
        """Return the folder for the files of this comparison if it is replaced at a given time."""
        return self.root / f"{REPLACED}{time}"

    def all_runs(self) -> list[Path]:
        """Return the result files of all runs, sorted by name."""
        return sorted(self.runs.glob("*.json"))

    def all_predictions(self) -> list[Path]:
        """Return the files in the folder of predictions, sorted by name."""
        return sorted(self.predictions.glob("*.parquet"))

    def all_outcomes(self) -> list[Path]:
        """Return the files in the folder of outcomes, sorted by name; one of them has the faces' labels."""
        return sorted(self.outcomes.glob("*.parquet"))

    def all_learning(self) -> list[Path]:
        """Return all files of the scores and predictions with parts of the training subjects."""
        return sorted(path for path in self.learning.glob("*/*") if path.is_file())

    def replaced_folders(self) -> list[Path]:
        """Return the folders of earlier comparisons that this one has replaced, the oldest first."""
        return sorted(path for path in self.root.glob(f"{REPLACED}*") if path.is_dir())

    def unfinished_replaced(self) -> list[Path]:
        """Return the temporary folders into which files of a replaced comparison are being moved."""
        return sorted(path for path in self.root.glob(f".{REPLACED}*.tmp") if path.is_dir())

    def files(self) -> list[Path]:
        """Return all files of the comparison that exist. The folds come last, because results need them."""
        found = [
            *self.all_runs(),
            *self.all_predictions(),
            *sorted(self.outcomes.glob("*")),
            *sorted(self.average.glob("*/*")),
            *self.all_learning(),
            *(self.evidence, self.audit, self.audit_rows, self.page, self.markdown),
            *(self.workbook, self.pdf, self.model_card, self.folds),
        ]
        return [path for path in found if path.is_file()]
