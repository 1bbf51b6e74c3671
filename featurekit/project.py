"""Where a project's files are: every path in a project is made here, and nowhere else.

A project is the folder an analyst works in, by default the current one:

    manifest.csv, manifest.json     the data set, as prepare has read it
    cache/                          faces and embeddings, by recipe; extracted.json lists them
    models/<name>/                  fitted models
    reports/<name>/                 one comparison
    purge.json                      whose data are being removed, while a purge runs
    mlflow.db                       what was logged, if no other store was named

and a comparison is a folder in it:

    folds.json                      which faces are tested in which fold
    runs/<run>.json                 the results, one file per run
    predictions/<run>.parquet       the predictions of each run for each face, by face_id
    outcomes/<run>.parquet          the same by row number, and faces.parquet with the labels
    evidence.json                   what the outcomes show together
    audit.json, audit_rows.csv      the findings of the checks, and the faces of each
    report.html, report.md          the report
    replaced-<UTC time>/            what a comparison on new folds has replaced, with its models
"""

import os
from dataclasses import dataclass
from pathlib import Path

from featurekit.errors import WorkspaceError
from featurekit.files import LONGEST_NAME

REPLACED = "replaced-"


class _Below:
    """An attribute of a folder that is a path below the folder's root."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __get__(self, folder: "ProjectFolder | ComparisonFolder", owner: type) -> Path:
        return folder.root / self._path


@dataclass(frozen=True)
class ProjectFolder:
    """The folder an analyst works in.

    Attributes:
        root: the folder; it need not exist yet.
        manifest: the table of the data set; what is known of it as a whole is beside it, in manifest.json.
        cache: faces and embeddings.
        extracted: what has been extracted, and how.
        file_index: which image file has which bytes.
        checkpoints: where a training that was killed continues from.
        models: fitted models, one folder each.
        reports: comparisons, one folder each.
        purge: whose data are being removed, while a purge runs.
        mlflow: the database that runs are logged to if no other store is named.
    """

    root: Path
    manifest = _Below("manifest.csv")
    cache = _Below("cache")
    extracted = _Below("cache/extracted.json")
    file_index = _Below("cache/files.sqlite")
    checkpoints = _Below("cache/training")
    models = _Below("models")
    reports = _Below("reports")
    purge = _Below("purge.json")
    mlflow = _Below("mlflow.db")

    def model(self, path: Path) -> Path:
        """Return the folder of a model: that path, else the same path or name in this project.

        Raises:
            WorkspaceError: there is no such folder.
        """
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
            WorkspaceError: no folder below reports/ can have that name.
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
        """Return the folders of all comparisons, by name."""
        return sorted(path for path in self.reports.glob("*") if path.is_dir())


@dataclass(frozen=True)
class ComparisonFolder:
    """The files of one comparison, or of one that was replaced.

    Attributes:
        root: the folder; neither it nor anything in it need exist.
        folds: which faces are tested in which fold.
        runs: the results, one file per run.
        predictions: the predictions of each run for each face, by face_id.
        outcomes: the same by row number, and the labels of the faces.
        faces: the labels of the faces that the outcomes are of.
        evidence: what the outcomes show together: intervals, differences and slices.
        audit: the findings of the checks.
        audit_rows: the faces of each finding.
        page: the report as an HTML page.
        markdown: the report as Markdown.
        models: fitted models of what was replaced; those of a comparison itself are the project's.
    """

    root: Path
    folds = _Below("folds.json")
    runs = _Below("runs")
    predictions = _Below("predictions")
    outcomes = _Below("outcomes")
    faces = _Below("outcomes/faces.parquet")
    evidence = _Below("evidence.json")
    audit = _Below("audit.json")
    audit_rows = _Below("audit_rows.csv")
    page = _Below("report.html")
    markdown = _Below("report.md")
    models = _Below("models")

    @property
    def project(self) -> ProjectFolder:
        """The project that the comparison belongs to."""
        near = self.root if len(self.root.parents) > 1 else self.root.absolute()
        return ProjectFolder(near.parents[1])

    def run(self, name: str) -> Path:
        """Return the file with the results of a run."""
        return self.runs / f"{name}.json"

    def prediction(self, name: str) -> Path:
        """Return the file with the predictions of a run, by face_id."""
        return self.predictions / f"{name}.parquet"

    def outcome(self, name: str) -> Path:
        """Return the file with the predictions of a run, by row number."""
        return self.outcomes / f"{name}.parquet"

    def replaced(self, time: str) -> Path:
        """Return the folder for what is replaced at a given time."""
        return self.root / f"{REPLACED}{time}"

    def all_runs(self) -> list[Path]:
        """Return the files of all runs, by name."""
        return sorted(self.runs.glob("*.json"))

    def all_predictions(self) -> list[Path]:
        """Return the files of all predictions, by name."""
        return sorted(self.predictions.glob("*.parquet"))

    def all_outcomes(self) -> list[Path]:
        """Return the files of all outcomes, and the file of the faces' labels, by name."""
        return sorted(self.outcomes.glob("*.parquet"))

    def replaced_folders(self) -> list[Path]:
        """Return the folders that hold what was replaced, the oldest first."""
        return sorted(path for path in self.root.glob(f"{REPLACED}*") if path.is_dir())

    def all_replaced_folders(self) -> list[Path]:
        """Return the folders of replaced_folders() and of unfinished_replaced()."""
        return [*self.replaced_folders(), *self.unfinished_replaced()]

    def unfinished_replaced(self) -> list[Path]:
        """Return the folders for what is replaced that have not been filled completely."""
        return sorted(path for path in self.root.glob(f".{REPLACED}*.tmp") if path.is_dir())

    def files(self) -> list[Path]:
        """Return the files of the comparison; the folds last, because runs without folds mean nothing."""
        found = [
            *self.all_runs(),
            *self.all_predictions(),
            *sorted(self.outcomes.glob("*")),
            *(self.evidence, self.audit, self.audit_rows, self.page, self.markdown, self.folds),
        ]
        return [path for path in found if path.is_file()]
