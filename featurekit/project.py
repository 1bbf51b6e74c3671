"""Where a project's files lie: every path in a project is made here, and nowhere else.

A project is the folder an analyst works in, by default the current one:

    manifest.csv, manifest.json     what prepare found
    cache/                          faces and embeddings, by recipe; extracted.json says which
    models/<name>/                  fitted models
    reports/<name>/                 one comparison
    purge.json                      who is to be forgotten, while that is under way
    mlflow.db                       what was logged where no other place was named

and a comparison is a folder in it:

    folds.json                      who is tested when
    runs/<run>.json                 what came out, a file a run
    predictions/<run>.parquet       what each run said of each face, by name
    outcomes/<run>.parquet          the same by row number, and faces.parquet with the labels
    evidence.json                   what the outcomes say together
    audit.json, audit_rows.csv      what the checks found, and on which faces
    report.html, report.md          the report
    replaced-<UTC time>/            what a comparison on new folds took the place of, with its models
"""

import os
from dataclasses import dataclass
from pathlib import Path

from featurekit.errors import WorkspaceError
from featurekit.files import LONGEST_NAME

REPLACED = "replaced-"


@dataclass(frozen=True)
class ProjectFolder:
    """The folder an analyst works in.

    Attributes:
        root: the folder; it need not exist yet.
    """

    root: Path

    @property
    def manifest(self) -> Path:
        """The table of the data set; what is known of it as a whole lies beside it in manifest.json."""
        return self.root / "manifest.csv"

    @property
    def cache(self) -> Path:
        """Faces and embeddings."""
        return self.root / "cache"

    @property
    def extracted(self) -> Path:
        """What has been extracted, and how."""
        return self.cache / "extracted.json"

    @property
    def file_index(self) -> Path:
        """Which photograph has which bytes."""
        return self.cache / "files.sqlite"

    @property
    def checkpoints(self) -> Path:
        """What a killed training goes on from."""
        return self.cache / "training"

    @property
    def models(self) -> Path:
        """Fitted models, one folder each."""
        return self.root / "models"

    def model(self, path: Path) -> Path:
        """Folder of a model that was named: that path, else the same path or name in this workspace.

        Raises:
            WorkspaceError: there is none.
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

    @property
    def reports(self) -> Path:
        """Comparisons, one folder each."""
        return self.root / "reports"

    @property
    def purge(self) -> Path:
        """Who is to be forgotten, while that is under way."""
        return self.root / "purge.json"

    @property
    def mlflow(self) -> Path:
        """The database that runs are logged to where no other place is named."""
        return self.root / "mlflow.db"

    def report(self, name: str) -> Path:
        """Folder of the comparison called name.

        Raises:
            WorkspaceError: no folder below reports/ can be called so.
        """
        # One folder below reports/ and no other: whatever looks for comparisons looks there, purge first.
        if name in ("", ".", "..") or name.startswith(".") or any(sign in name for sign in "/\\"):
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
    """

    root: Path

    @property
    def folds(self) -> Path:
        """Who is tested when."""
        return self.root / "folds.json"

    @property
    def runs(self) -> Path:
        """What came out, a file a run."""
        return self.root / "runs"

    @property
    def predictions(self) -> Path:
        """What runs said of faces, by name."""
        return self.root / "predictions"

    @property
    def outcomes(self) -> Path:
        """What runs said of faces, by row number, and the faces' labels."""
        return self.root / "outcomes"

    @property
    def faces(self) -> Path:
        """The labels of the faces that outcomes are of."""
        return self.outcomes / "faces.parquet"

    @property
    def evidence(self) -> Path:
        """What the outcomes say together."""
        return self.root / "evidence.json"

    @property
    def audit(self) -> Path:
        """What the checks found."""
        return self.root / "audit.json"

    @property
    def audit_rows(self) -> Path:
        """On which faces the checks found it."""
        return self.root / "audit_rows.csv"

    @property
    def page(self) -> Path:
        """The report, to be looked at."""
        return self.root / "report.html"

    @property
    def markdown(self) -> Path:
        """The report, as text."""
        return self.root / "report.md"

    @property
    def models(self) -> Path:
        """Fitted models of what was replaced; those of a comparison itself are the project's."""
        return self.root / "models"

    @property
    def project(self) -> ProjectFolder:
        """The project that the comparison belongs to."""
        near = self.root if len(self.root.parents) > 1 else self.root.absolute()
        return ProjectFolder(near.parents[1])

    def run(self, name: str) -> Path:
        """What came out of the run called name."""
        return self.runs / f"{name}.json"

    def prediction(self, name: str) -> Path:
        """What the run called name said of faces, by name."""
        return self.predictions / f"{name}.parquet"

    def outcome(self, name: str) -> Path:
        """What the run called name said of faces, by row number."""
        return self.outcomes / f"{name}.parquet"

    def replaced(self, time: str) -> Path:
        """Where what is replaced at a time is put."""
        return self.root / f"{REPLACED}{time}"

    def all_runs(self) -> list[Path]:
        """Return the files of all runs, by name."""
        return sorted(self.runs.glob("*.json"))

    def all_predictions(self) -> list[Path]:
        """Return the files of all predictions, by name."""
        return sorted(self.predictions.glob("*.parquet"))

    def all_outcomes(self) -> list[Path]:
        """Return the files of all outcomes, and the one of the faces' labels, by name."""
        return sorted(self.outcomes.glob("*.parquet"))

    def replaced_folders(self) -> list[Path]:
        """Return the folders that hold what was replaced, the oldest first."""
        return sorted(path for path in self.root.glob(f"{REPLACED}*") if path.is_dir())

    def all_replaced_folders(self) -> list[Path]:
        """Return replaced_folders() and those that somebody began to fill and did not finish."""
        return [*self.replaced_folders(), *self.unfinished_replaced()]

    def unfinished_replaced(self) -> list[Path]:
        """Return the folders that somebody began to fill with what is replaced, and has not finished."""
        return sorted(path for path in self.root.glob(f".{REPLACED}*.tmp") if path.is_dir())

    def files(self) -> list[Path]:
        """Return what the comparison consists of; the folds last, because runs without folds mean nothing."""
        found = [
            *self.all_runs(),
            *self.all_predictions(),
            *sorted(self.outcomes.glob("*")),
            *(self.evidence, self.audit, self.audit_rows, self.page, self.markdown, self.folds),
        ]
        return [path for path in found if path.is_file()]
