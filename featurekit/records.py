"""Read and write records, which are frozen dataclasses, as JSON files.

A file may come from anybody, so it is read strictly. An unknown field, a missing field, a value of another
type, a number that is not finite and a value that is nested too deeply raise a ValueError that says where in
the file the value is. A dataclass can restrict its fields further with the package annotated-types and with
the types below, e.g. Line.

Records are read by Pydantic. It is imported when the first record is read, because `featurekit --help` and
`import featurekit` must not wait for it.
"""

import errno
import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass, replace
from functools import cache
from pathlib import Path
from typing import Annotated, Any, TypeVar

from annotated_types import MaxLen, Predicate

from featurekit.errors import WorkspaceError
from featurekit.files import read_plain, write_text

T = TypeVar("T")

MOST_BYTES = 2**28  # per file; the largest that featurekit has written had about 100 kB
_DEEPEST = 16  # levels of nesting; featurekit writes half as many


def must(what: str, test: Callable[[Any], object]) -> Predicate:
    """Return an annotation for a field of a dataclass, whose value must pass a test.

    Args:
        what: what the value must be or have, for the error message, e.g. "be one line".
        test: function of the value that returns something true if the value is valid.
    """

    def check(value: Any) -> bool:
        if not test(value):
            raise ValueError(f"must {what}")
        return True

    return Predicate(check)


# The types of fields that hold a text of a certain form. A label is the user's own, and may hold any letter.
Line = Annotated[
    str,
    must("be one line of at most 1,000 characters", re.compile(r"[^\x00-\x1f\x7f]{0,1000}").fullmatch),
]
Word = Annotated[
    str,
    must("be a name of at most 200 letters, digits and .:_+-@", re.compile(r"[\w.:+@-]{0,200}").fullmatch),
]
Hash = Annotated[str, must("be a sha256 in hexadecimal, or empty", re.compile(r"([0-9a-f]{64})?").fullmatch)]
FileName = Annotated[
    str,
    must("be the name of a file or folder", re.compile(r"[^/\\\x00-\x1f\x7f]{1,255}").fullmatch),
]
Label = Annotated[str, MaxLen(1000)]


def parsed(data: bytes) -> Any:
    """Return the content of a JSON file.

    Raises:
        ValueError: the bytes are not valid JSON.
    """
    try:
        return json.loads(data)
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError("it is cut off or damaged") from error
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def record(kind: type[T], content: Any) -> T:
    """Return a dataclass, given its fields as they were read from JSON.

    Args:
        kind: the dataclass.
        content: the fields as a dictionary from parsed(), with lists for tuples and dictionaries for
            dataclasses.

    Raises:
        ValueError: a field is missing, is unknown, or has an invalid value.

    Example:
        >>> from featurekit.uncertainty.resampling import Interval
        >>> record(Interval, {"low": 0.25, "high": 1})
        Interval(low=0.25, high=1.0)
    """
    from pydantic import ValidationError

    _check_plain(content)
    cached: Any = _reader  # mypy does not know that a class can be a key
    # Pydantic accepts a list for a tuple only in JSON. It refuses half a surrogate pair, which is how Python
    # represents a byte that is not text: such halves are replaced while Pydantic reads.
    text = json.dumps([content], ensure_ascii=False)
    readable = _HALF.sub(lambda half: chr(ord(half[0]) - 0xD800 + 0x10F000), text)
    try:
        read: T = cached(kind).validate_json(readable)[0]
    except ValidationError as error:
        wrong = error.errors(include_url=False)[0]
        where, got = ".".join(map(str, wrong["loc"][1:])), json.dumps(wrong["input"])
        what = str(wrong.get("ctx", {}).get("error") or wrong["msg"]).replace("keyword argument", "field")
        shown = got if len(got) <= 40 else f"{got[:40]}…"
        raise ValueError(f"{where or 'the whole'}: {what}. Got {shown} instead.") from error
    return read if readable == text else _restored(read)


# Halves of surrogate pairs, and as many code points for private use, which stand in for them.
_HALF, _STAND_IN = re.compile("[\ud800-\udfff]"), re.compile("[\U0010f000-\U0010f7ff]")


def _restored(value: Any) -> Any:
    """Return a value in which every stand-in is the half of a surrogate pair again."""
    if isinstance(value, str):
        return _STAND_IN.sub(lambda found: chr(ord(found[0]) - 0x10F000 + 0xD800), value)
    if isinstance(value, Mapping):
        return {_restored(key): _restored(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(_restored, value))
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{one.name: _restored(getattr(value, one.name)) for one in fields(value)})
    return value


@cache
def _reader(kind: Any) -> Any:
    from pydantic import TypeAdapter

    # A plain dataclass cannot be given settings, but it takes over those of a tuple that contains it.
    return TypeAdapter(tuple[kind], config={"strict": True, "extra": "forbid", "allow_inf_nan": False})


def _check_plain(value: Any, depth: int = 0) -> None:
    if depth > _DEEPEST:
        raise ValueError("it is nested too deeply")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"a number in it is not finite: {value}")
    if isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            _check_plain(one, depth + 1)


def read_record(path: Path, kind: type[T]) -> T:
    """Return the dataclass that a JSON file contains.

    Raises:
        ValueError: the path is not a plain file (e.g. a pipe), or the file is too large or does not contain
            this dataclass.
        OSError: the file cannot be read from the disk.
    """
    try:
        return record(kind, parsed(read_plain(path, MOST_BYTES)))
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EFBIG):
            raise
        raise ValueError(error.strerror or str(error)) from error


def write_facts(path: Path, version: int, facts: Mapping[str, Any]) -> None:
    """Write a version number and plain values as JSON, with six significant digits for floats."""
    text = json.dumps(_short({"version": version, **facts}), indent=1, allow_nan=False, ensure_ascii=False)
    write_text(path, text + "\n")


def read_facts(path: Path, version: int, kind: type[T]) -> T | None:
    """Return the dataclass that write_facts() wrote; None if the file does not exist or has another version.

    Raises:
        WorkspaceError: the file is damaged, or was not written by write_facts().
    """
    if not path.exists():
        return None
    try:
        facts = parsed(read_plain(path, MOST_BYTES))
        return record(kind, facts) if facts.pop("version") == version else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise WorkspaceError(
            f"{path} is damaged, or was not written by featurekit ({error}). Delete it; the next command that"
            " needs it makes it again."
        ) from error


def _short(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _short(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_short(one) for one in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value
