"""The result of one check of a data set and its scores, or of the installation (`featurekit doctor`)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Severity = Literal["ok", "note", "warning", "error"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """The result of one check.

    Attributes:
        name: name of the check, e.g. "near_duplicates" or "torch"; the same in every version.
        severity: "ok"; "note" for information; "warning" if the user should look at the finding before
            trusting the scores, or if a part of the installation could work better; "error" if the scores
            cannot be trusted, or if a part of the installation does not work.
        count: number of cases found, e.g. faces; 0 if the check counts nothing.
        of: number of cases checked.
        what: what was found, as a sentence or a part of one.
        advice: what to do, as a sentence or a command; "" if there is nothing to do.
        details: a table of numbers: name of the row → name of the column → number; proportions are between 0
            and 1.
        rows: face_id of each face that the finding is about; faces that belong together, e.g. duplicates, are
            next to each other.
    """

    name: str
    severity: Severity
    count: int
    of: int
    what: str
    advice: str = ""
    details: Mapping[str, Mapping[str, int | float]] = field(default_factory=dict)
    rows: tuple[str, ...] = ()
