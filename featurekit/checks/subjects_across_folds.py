"""Check for subjects who are tested in more than one fold."""

import numpy as np

from featurekit.checks.base import NO_FOLDS, Given, check, lacking
from featurekit.findings import Finding
from featurekit.text import counted

NAME = "subjects_across_folds"


@check(NAME, "subjects in training and test data", "error", 10)
def look(given: Given) -> Finding:
    """Find subjects who are tested in more than one fold."""
    rows = np.flatnonzero(given.manifest.usable)
    subjects = given.manifest.subjects
    n_subjects = len(np.unique(subjects[rows]))
    # "row:" stands before the subject of a face without one, and of identical files without one.
    nobody = (
        " The data set does not name subjects, so each face counts as a subject of its own."
        if np.char.startswith(subjects[rows], "row:").all()
        else ""
    )
    if given.folds is None:
        return lacking(
            NAME,
            f"There are {n_subjects:,} subjects with {len(rows):,} faces, but no folds yet.{nobody}",
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
            what=f"{counted(n_crossing, 'subject', 'subjects')} of {n_subjects:,}, on {crossing.sum():,}"
            f" faces, {'is' if n_crossing == 1 else 'are'} tested in more than one fold.",
            advice="Make new folds: featurekit fit --new-folds."
            if made
            else "The official folds of the data set are used unchanged. featurekit fit leaves such a subject"
            " out of the training part of every fold that tests this subject. So the scores are valid, but"
            " they cannot be compared with published scores of methods that did not leave subjects out.",
            rows=given.ids_by(subjects, crossing),
        )
    return Finding(
        name=NAME,
        severity="note" if nobody else "ok",
        count=0,
        of=n_subjects,
        what=f"None of the {n_subjects:,} subjects with {len(rows):,} faces is tested in more than one"
        f" fold.{nobody}",
        advice="Images of one subject may be in both the training part and the test part of a fold. See the"
        " findings near_duplicates and suspiciously_close, and name the subjects (subject_id) if you know"
        " them."
        if nobody
        else "",
    )
