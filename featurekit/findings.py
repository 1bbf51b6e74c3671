"""One finding: what was looked at, what was found, how grave that is, and what to do about it.

Whatever looks for something says what it found in this form: the checks of a data set and its scores, and
the doctor of a machine.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Severity = Literal["ok", "note", "warning", "error"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What one look at something has found.

    Attributes:
        name: of what was looked at, e.g. "near_duplicates" or "torch"; the same in every version.
        severity: "ok", "note" (good to know), "warning" (look at it before scores are believed; works, but
            not as well as it could) or "error" (scores cannot be believed; does not work).
        count: how many, what of is said in what; 0 where nothing is counted.
        of: out of how many.
        what: what was found, as a sentence or its core.
        advice: what to do, a sentence or a command; "" where nothing.
        details: row of a table → column → number; shares are between 0 and 1.
        rows: face_id of each row concerned; rows that belong together follow each other.
    """

    name: str
    severity: Severity
    count: int
    of: int
    what: str
    advice: str = ""
    details: Mapping[str, Mapping[str, int | float]] = field(default_factory=dict)
    rows: tuple[str, ...] = ()
