"""The form in which checks report: those of a data set and its scores, and those of `featurekit doctor`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Severity = Literal["ok", "note", "warning", "error"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """The result of one check.

    Attributes:
        name: name of the check, e.g. "near_duplicates" or "torch"; the same in every version.
        severity: "ok", "note" (information), "warning" (look at it before you trust the scores; it works, but
            not as well as it could) or "error" (the scores cannot be trusted; it does not work).
        count: number of cases found, e.g. of faces; 0 where nothing is counted.
        of: number of cases looked at.
        what: what was found, as a sentence or a part of one.
        advice: what to do, as a sentence or a command; "" for nothing.
        details: row of a table → column → number; shares are between 0 and 1.
        rows: face_id of each row concerned; rows that belong together are next to each other.
    """

    name: str
    severity: Severity
    count: int
    of: int
    what: str
    advice: str = ""
    details: Mapping[str, Mapping[str, int | float]] = field(default_factory=dict)
    rows: tuple[str, ...] = ()
