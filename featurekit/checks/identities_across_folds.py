"""Check for users, albums, families and the like that are tested in more than one fold."""

import numpy as np
import pandas as pd

from featurekit.checks._columns import names_identity
from featurekit.checks.base import NO_FOLDS, Given, check, lacking
from featurekit.findings import Finding

NAME = "identities_across_folds"


@check(NAME, "users, images or albums in training and test data", "warning", 20)
def look(given: Given) -> Finding:
    """Find users, albums, families and the like that are tested in more than one fold."""
    usable = given.manifest.usable
    columns = {name: given.column(name) for name in given.manifest.table.columns if names_identity(name)}
    content = given.manifest.table["content"].to_numpy(dtype=str)
    if pd.Series(content[usable & (content != "")]).duplicated().any():
        columns["image (content)"] = content  # a file with several faces has one row and box for each
    columns = {
        column: ids for column, ids in columns.items() if len(np.unique(ids[usable & (ids != "")])) > 1
    }
    if not columns:
        return Finding(
            name=NAME,
            severity="ok",
            count=0,
            of=int(usable.sum()),
            what="The manifest has no column, apart from the subjects, that identifies users, images, albums"
            " or the like.",
        )
    listed = ", ".join(columns)
    if given.folds is None:
        return lacking(
            NAME, f"The manifest has columns of identities ({listed}), but there are no folds yet.", NO_FOLDS
        )
    crossing = {column: given.across(ids) for column, ids in columns.items()}
    concerned = np.logical_or.reduce(list(crossing.values()))
    details = {
        column: {
            "shared": float(len(np.unique(ids[crossing[column]]))),
            "of": float(len(np.unique(ids[usable & (ids != "")]))),
            "faces": float(crossing[column].sum()),
        }
        for column, ids in columns.items()
    }
    said = "; ".join(
        f"{one['shared']:,.0f} of {one['of']:,.0f} values of {column} (on {one['faces']:,.0f} faces)"
        for column, one in details.items()
    )
    return Finding(
        name=NAME,
        severity="warning" if concerned.any() else "ok",
        count=int(concerned.sum()),
        of=int(usable.sum()),
        what=f"Tested in more than one fold: {said}.",
        advice="Faces in one album or image often share light, place and family. If the models should not"
        " learn this, use such a column as the subject_id and run featurekit prepare again."
        if concerned.any()
        else "",
        details=details,
        rows=given.ids(concerned),
    )
