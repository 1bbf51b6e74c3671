"""Records: the frozen dataclasses that are kept as JSON, and read back only as what they can be.

Pydantic reads them, and it is imported when the first record is read: so nothing of it is in the way of
`featurekit --help`. A file may come from anybody. A field that is not known, that is missing or that is of
another type, a number that is not finite, and a value that is nested too deep are refused, each in one
sentence that says where it stands. A class can limit a field further by annotated-types and
by the texts here.
"""

import json
import math
import re
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, TypeVar

from annotated_types import Predicate

from featurekit.errors import WorkspaceError
from featurekit.files import read_plain, write_text

T = TypeVar("T")

_MAX_BYTES = 2**28  # of a file; the largest that featurekit has written had some 100 kB
_DEEPEST = 16  # lists and objects inside each other; featurekit writes half as many


def _only(pattern: str) -> Callable[[str], bool]:
    def check(text: str) -> bool:
        if not re.fullmatch(pattern, text):
            raise ValueError("must be such a text")
        return True

    return check


# What a field can say that is a text: one line; a name of featurekit's; a sha256, or nothing.
Line = Annotated[str, Predicate(_only(r"[^\x00-\x1f\x7f]{0,1000}"))]
Word = Annotated[str, Predicate(_only(r"[\w.:+-]{0,200}"))]
Hash = Annotated[str, Predicate(_only(r"([0-9a-f]{64})?"))]
FileName = Annotated[str, Predicate(_only(r"[^/\\\x00-\x1f\x7f]{1,255}"))]
Label = Annotated[str, Predicate(_only(r"(?s:.{0,1000})"))]  # a user's own, of whatever letters


def parsed(data: bytes) -> Any:
    """Return what a file of JSON says.

    Raises:
        ValueError: it is no JSON.
    """
    try:
        return json.loads(data)
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error


def record(kind: type[T], content: Any) -> T:
    """Return a dataclass whose fields were written as JSON, where a tuple is a list.

    Args:
        kind: the dataclass.
        content: what the file says, as parsed() returns it.

    Raises:
        ValueError: it is no such record.

    Example:
        >>> from featurekit.uncertainty.intervals import Interval
        >>> record(Interval, {"low": 0.25, "high": 1})
        Interval(low=0.25, high=1.0)
    """
    from pydantic import ValidationError

    _check_plain(content)
    cached: Any = _reader  # mypy does not know that a class can be a key
    # Strict reading takes a list for a tuple where it comes from JSON only. What is no text is shown as "?".
    text = json.dumps([content], ensure_ascii=False).encode(errors="replace")
    try:
        read: T = cached(kind).validate_json(text)[0]
    except ValidationError as error:
        wrong = error.errors(include_url=False)[0]
        where, got = ".".join(map(str, wrong["loc"][1:])), json.dumps(wrong["input"])
        what = str(wrong.get("ctx", {}).get("error") or wrong["msg"]).replace("keyword argument", "field")
        got = got if len(got) <= 40 else f"{got[:40]}…"
        raise ValueError(f"{where or 'the whole'}: {what}. Got {got} instead.") from error
    return read


@cache
def _reader(kind: Any) -> Any:
    from pydantic import TypeAdapter

    # The settings of a tuple hold for the dataclasses in it too; a dataclass by itself takes none.
    return TypeAdapter(tuple[kind], config={"strict": True, "extra": "forbid", "allow_inf_nan": False})


def _check_plain(value: Any, depth: int = 0) -> None:
    if depth > _DEEPEST:
        raise ValueError("it is nested too deep")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"a number in it is not finite: {value}")
    if isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            _check_plain(one, depth + 1)


def read_record(path: Path, kind: type[T]) -> T:
    """Return the record that a file holds.

    Raises:
        ValueError: it cannot be read, or holds something else.
    """
    try:
        return record(kind, parsed(read_plain(path, _MAX_BYTES)))
    except OSError as error:
        raise ValueError(error.strerror or str(error)) from error


def write_facts(path: Path, version: int, facts: Mapping[str, Any]) -> None:
    """Write plain values as JSON, numbers with the digits that mean something."""
    text = json.dumps(_short({"version": version, **facts}), indent=1, allow_nan=False, ensure_ascii=False)
    write_text(path, text + "\n")


def read_facts(path: Path, version: int, kind: type[T]) -> T | None:
    """Return the record that write_facts() wrote, or None where nothing was, or by another version.

    Raises:
        WorkspaceError: the file holds something else.
    """
    if not path.exists():
        return None
    try:
        facts = parsed(read_plain(path, _MAX_BYTES))
        return record(kind, facts) if facts.pop("version") == version else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise WorkspaceError(
            f"{path} is damaged, or was not written by featurekit ({error}). Delete it, and it is made again."
        ) from error


def _short(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _short(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_short(one) for one in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value
