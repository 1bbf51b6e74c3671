"""Persons who are tested in more than one fold."""

import numpy as np

from featurekit.checks.base import CHECKS, NO_FOLDS, Check, Given, lacking
from featurekit.findings import Finding
from featurekit.text import counted

NAME = "subjects_across_folds"


def look(given: Given) -> Finding:
    """Look for persons who are tested in more than one fold."""
    rows = np.flatnonzero(given.manifest.usable)
    subjects = given.manifest.subjects
    n_subjects = len(np.unique(subjects[rows]))
    named = given.manifest.table["subject_id"].to_numpy(dtype=str)[rows]
    # What prepare calls the one person of identical files begins with "row:".
    is_named = (named != "") & ~np.char.startswith(named, "row:")
    nobody = (
        "" if is_named.any() else " The data set names no persons: each face counts as a person of its own."
    )
    if given.folds is None:
        return lacking(
            NAME,
            f"There are {n_subjects:,} persons on {len(rows):,} faces, and no folds yet.{nobody}",
            NO_FOLDS,
        )
    crossing = given.across(subjects)
    n_crossing = len(np.unique(subjects[crossing]))
    if n_crossing:
        made = given.folds.kind == "made"
        return Finding(
            name=NAME,
            severity="error" if made else "warning",
            count=n_crossing,
            of=n_subjects,
            what=f"{counted(n_crossing, 'person', 'persons')} of {n_subjects:,}, on {crossing.sum():,} faces,"
            f" {'is' if n_crossing == 1 else 'are'} tested in more than one fold.",
            advice="Deal the folds anew: featurekit fit --new-folds."
            if made
            else "The data set's own folds are kept: featurekit fit leaves such a person out of the training"
            " part of every fold that tests her, so that scores hold, but are not those of others who"
            " did not.",
            rows=given.ids_by(subjects, crossing),
        )
    return Finding(
        name=NAME,
        severity="note" if nobody else "ok",
        count=0,
        of=n_subjects,
        what=f"None of the {n_subjects:,} persons on {len(rows):,} faces is tested in more than one"
        f" fold.{nobody}",
        advice="Pictures of one person can then be on both sides: look at near_duplicates and"
        " suspiciously_close, and name the persons (subject_id) if they are known."
        if nobody
        else "",
    )


CHECKS.add(Check(NAME, "persons on both sides", "error", 10, look))
