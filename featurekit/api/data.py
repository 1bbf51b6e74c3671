"""Load a data set from files with a known layout, or from a DataFrame."""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self, TypeVar

import pandas as pd

from featurekit.api.project import Project, project_of
from featurekit.api.telling import SHOWN, Shown, note, shown, warn, warn_of_first
from featurekit.cache.file_index import FileIndex
from featurekit.checked import checked
from featurekit.data.datasets import DATASETS
from featurekit.data.manifest import REASONS, Manifest, refuse_foreign
from featurekit.data.prepare import prepare, prepare_frame
from featurekit.data.targets import TARGETS
from featurekit.errors import ManifestError
from featurekit.naming import as_arguments
from featurekit.urls import place_of

AnyDataset = TypeVar("AnyDataset", bound="Dataset")

_CORNERS = ("x1", "y1", "x2", "y2")
# Columns of the manifest that are filled only from a column that is named for them.
_NOT_READ = ("face_id", "subject_id", "age", "age_group", "gender", "official_fold", "box")
_NOT_LABELS = ("face_id", "image_path", "subject_id", "official_fold", "box", "content", "reason")


class Dataset(Manifest):
    """The faces of a data set, with one row for each face.

    `fk.load_dataset` makes a data set from files with a known layout, `Dataset.from_frame` from a DataFrame.
    The column reason says why a row is not used. The order of the rows never changes, because embeddings,
    splits and predictions are joined to the rows by position.

    Attributes:
        table: DataFrame with one row for each face: face_id, image_path, subject_id, age (years), age_group,
            gender, official_fold, box, content (sha256 of the file), reason (why the row is not used, or ""),
            and further label columns.
        root: folder that image_path is relative to.
        info: source and licence of the data set, and counts of the problems of its data.
    """

    @classmethod
    @checked()
    def from_frame(
        cls,
        frame: pd.DataFrame,
        *,
        images: str,
        labels: Mapping[str, str] | Sequence[str] | str = (),
        subject: str | None = None,
        root: str | Path = ".",
        name: str = "frame",
        fold: str | None = None,
        box: str | Sequence[str] | None = None,
        missing: str | Sequence[str] | None = None,
        project: Project | str | Path | None = None,
        progress: Shown = True,
    ) -> Self:
        """Make a data set from a DataFrame with one row for each face, and save it in the project.

        Args:
            frame: the DataFrame; its index is not used.
            images: column with the paths of the image files.
            labels: mapping from label to column, such as ``{"age": "years", "gender": "sex", "beard":
                "beard"}``; or a list of columns. The values of "age" (years), "age_group" and "gender" may be
                written in many ways; the values of every other label are classes.
            subject: column with the subject, the person on the image. A row without a subject counts as a
                subject of its own, so images of the same person may be on both sides of a split.
            root: folder that the paths are relative to, or URL of such a folder, such as
                "s3://bucket/photos".
            name: name of the data set, which is also the default name of its comparison.
            fold: column with the fold of each row, counted from 0, if the data set has its own folds.
            box: column with the box of the face as "x1 y1 x2 y2" in pixels, or a list of four columns.
            missing: words that mean a missing value; see `fk.load_dataset`.
            project: the project; None for the project of the current folder.
            progress: whether to show a progress bar, or a function that is called with (files read, files to
                read).

        Raises:
            ManifestError: a column does not exist or cannot be read, no row is usable, or the project's
                folder has a manifest.csv that is not featurekit's.

        Example:
            >>> import pandas as pd, featurekit as fk
            >>> people = pd.DataFrame({"file": ["anna.jpg"], "years": [31]})
            >>> fk.Dataset.from_frame(people, images="file", labels={"age": "years"})
            Traceback (most recent call last):
            featurekit.errors.ManifestError: None of the 1 rows of the DataFrame can be used. ...
        """
        place = project_of(project)
        place.folder.report(name)  # raises an error for a name that a comparison cannot have
        refuse_foreign(place.folder.manifest)
        columns, own = _columns(frame, images, labels or (), subject, fold, box)
        named = frame.rename(columns={column: label for label, column in own.items()})
        with FileIndex(place.folder.file_index) as files, shown(progress, "reading", "files") as told:
            how: Any = {"missing": missing, "content_of": files.content_of, "progress": told}
            try:
                found = prepare_frame(
                    named, name=name, columns=columns, labels=list(own), root=place_of(root), **how
                )
            except ManifestError as error:
                raise ManifestError(as_arguments(error.args[0], of_frame=True)) from None
        return _saved(cls(found.table, found.root, found.info), place, of_frame=True)

    def describe(self) -> pd.DataFrame:
        """Return how many rows are usable, and why the other rows are not used.

        Returns:
            DataFrame with the index "reason" ("usable" first) and the columns "rows" and "meaning".
        """
        counts = self.table["reason"].value_counts()
        rows = {"usable": (int(self.usable.sum()), "has a label, and its image file exists")}
        rows |= {reason: (int(counts[reason]), REASONS[reason]) for reason in REASONS if reason in counts}
        return pd.DataFrame.from_dict(rows, "index", columns=["rows", "meaning"]).rename_axis("reason")

    @property
    def targets(self) -> list[str]:
        """The labels that can be predicted: labels with a value in at least one usable row."""
        names = dict.fromkeys([*TARGETS, *map(str, self.table.columns)])
        labels = [name for name in names if name in self.table and name not in _NOT_LABELS]
        return [name for name in labels if self.labelled(self.target(name)).any()]

    def __repr__(self) -> str:
        return (
            f"Dataset({self.name!r}: {len(self):,} rows, {self.usable.sum():,} usable, of"
            f" {len(set(self.subjects[self.usable])):,} subjects; labels:"
            f" {', '.join(self.targets) or 'none'})"
        )

    def _repr_html_(self) -> str:
        from featurekit.report.notebook import dataset_html

        return dataset_html(self)


@checked()
def load_dataset(
    name: str,
    path: str | Path | None = None,
    *,
    project: Project | str | Path | None = None,
    marks: str | Path | None = None,
    progress: Shown = True,
    **options: Any,
) -> Dataset:
    """Read a data set, check each of its rows, and save it in the project (manifest.csv).

    A row that cannot be used stays in the table, and its column reason says why. The command
    `featurekit prepare` does the same as this function.

    Args:
        name: name of the layout, such as "utkface", "adience", "image_folder", "table" or "synthetic"; see
            `featurekit list datasets`.
        path: folder of the data set, or file of a table, which may be in a bucket ("s3://bucket/people.csv");
            for "synthetic", the folder for drawn portraits.
        project: the project; None for the project of the current folder.
        marks: table of marks that `featurekit explore` has written. The faces that it excludes are not used,
            and the labels that it replaces are replaced. None for no marks.
        progress: whether to show a progress bar, or a function that is called with (files read, files to
            read).
        options: options of the layout, such as ``protocol="repaired"`` for adience. Every layout has the
            option ``missing``, the words that mean a missing value in any column, instead of the usual words.

    Returns:
        The data set.

    Raises:
        UnknownNameError: there is no layout with this name.
        ManifestError: the data set does not exist or has another layout, no row is usable, or the project's
            folder has a manifest.csv that is not featurekit's.

    Example:
        >>> import featurekit as fk
        >>> data = fk.load_dataset("synthetic", "portraits", n_subjects=16)   # doctest: +SKIP
        >>> data.describe()                                                 # doctest: +SKIP
    """
    reader = DATASETS[name]
    if path is None:
        raise ManifestError(f"The path of {reader.name} is missing: fk.load_dataset({name!r}, PATH).")
    place = project_of(project)
    refuse_foreign(place.folder.manifest)
    with FileIndex(place.folder.file_index) as files, shown(progress, "reading", "files") as told:
        how: Any = {"content_of": files.content_of, "progress": told}
        found = prepare(
            name, place_of(path), marks=None if marks is None else place_of(marks), **how, **options
        )
    if marks is None and place.folder.marks.is_file():
        note(
            f"{place.folder.marks} has marks of faces, which are not used. To use them: --marks"
            f" {place.folder.marks}"
        )
    return _saved(Dataset(found.table, found.root, found.info), place)


def _columns(
    frame: pd.DataFrame,
    images: str,
    labels: Mapping[str, str] | Sequence[str] | str,
    subject: str | None,
    fold: str | None,
    box: str | Sequence[str] | None,
) -> tuple[dict[str, str], dict[str, str]]:
    """Return column of the manifest → column of the frame, and own label of the user → column.

    A column that is not named is not read, even if it has the name of a column of the manifest.
    """
    if isinstance(labels, str):
        labels = [labels]
    # A column with the name of a known label, in upper or lower case, is read as that label.
    known = {"age": "age", "age_group": "age_group", "gender": "gender"}
    wanted = (
        dict(labels)
        if isinstance(labels, Mapping)
        else {known.get(str(label).casefold(), str(label)): label for label in labels}
    )
    for what, column in wanted.items():
        if not isinstance(column, str):
            raise ManifestError(
                f"{what} must be the name of a column, as a str. Got {type(column).__name__} instead."
            )
    columns = dict.fromkeys((*_NOT_READ, *_CORNERS), "")
    columns |= {"image_path": images, "subject_id": subject or "", "official_fold": fold or ""}
    if isinstance(box, str):
        columns["box"] = box
    elif box is not None:
        if len(box) != 4:
            raise ManifestError(f"box must be one column, or four: x1, y1, x2, y2. Got {list(box)} instead.")
        columns |= dict(zip(_CORNERS, box, strict=True))
    own = {label: column for label, column in wanted.items() if label not in ("age", "age_group", "gender")}
    columns |= {label: column for label, column in wanted.items() if label not in own}
    for label, column in own.items():
        if label != column and label in frame:
            raise ManifestError(
                f"The label '{label}' is to be read from column '{column}', and the DataFrame has a column"
                f" '{label}' too. Give the label another name, or drop that column."
            )
    return columns, own


def _saved(dataset: AnyDataset, project: Project, *, of_frame: bool = False) -> AnyDataset:
    """Save a data set as the project's, warn of what is wrong with its rows, and return it."""
    _tell_of_replaced(dataset, project)
    dataset.save(project.folder.manifest)
    for text in dataset.info.get("notes", ()):
        warn(str(text))
    _tell_of_bad_cells(dataset, of_frame)
    unused = dataset.table[dataset.table["reason"] != ""].sort_values(
        "reason", key=lambda reasons: reasons.map(list(REASONS).index), kind="stable"
    )
    warn_of_first(
        [
            f"row {row + 1}, '{path}': {REASONS[reason]}"
            for row, path, reason in unused[["image_path", "reason"]].itertuples()
        ],
        "more rows; manifest.csv has the reason of each",
    )
    return dataset


def _tell_of_replaced(dataset: Manifest, project: Project) -> None:
    """Warn if a data set takes the place of another one, whose comparisons cannot be continued any more."""
    path = project.folder.manifest
    with suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
        if json.loads(path.with_suffix(".json").read_text())["dataset"] == dataset.name:
            return  # without reading the whole table, which may be long
    with suppress(ManifestError):
        earlier = Manifest.load(path)
        if earlier.name != dataset.name:
            warn(
                f"the project's data set was {earlier.name} ({len(earlier):,} rows), and {dataset.name} takes"
                f" its place. Before you fit or report comparisons of {earlier.name} again, load it again."
            )


def _tell_of_bad_cells(dataset: Manifest, of_frame: bool) -> None:
    """Warn of cells that cannot be read, and say what to write instead; columns take turns."""
    cells = pd.DataFrame(
        dataset.info.get("bad_cells", []), columns=["row", "column", "target", "value", "problem"]
    )
    cells["turn"] = cells.groupby(["column", "target"]).cumcount()
    for cell in cells.sort_values(["turn", "row"]).head(SHOWN).to_dict("records"):
        problem = as_arguments(cell["problem"], of_frame=True) if of_frame else cell["problem"]
        warn(f"row {cell['row']}, {cell['column']}: '{cell['value']}' {problem}")
    if more := dataset.info.get("n_bad_cells", 0) - min(len(cells), SHOWN):
        warn(f"… and {more:,} more cells that cannot be read; see manifest.json")
