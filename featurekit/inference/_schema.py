"""What model.json may say: the schema that it is checked against."""

import math
import re
from collections.abc import Callable
from typing import Any

from featurekit.data.targets import MAX_AGE

# Raise whenever what is written changes, or the names of types do that a file of skops holds: what an older
# version wrote is then refused in one line.
SCHEMA = 4

_MAX_CLASSES = 10_000

# (value, where it stands) → nothing, or ValueError.
_Check = Callable[[Any, str], None]


def _must(holds: bool, where: str, what: str, value: Any) -> None:
    if not holds:
        shown = repr(value)
        shown = shown if len(shown) <= 40 else f"{shown[:40]}…"
        raise ValueError(f"{where} must be {what}. Got {shown} instead.")


def _text(pattern: str = r"[^\x00-\x1f\x7f]{0,1000}") -> _Check:
    def check(value: Any, where: str) -> None:
        _must(isinstance(value, str) and bool(re.fullmatch(pattern, value)), where, "such a text", value)

    return check


def _number(low: float, high: float, *, whole: bool = False) -> _Check:
    def check(value: Any, where: str) -> None:
        kind = int if whole else (int, float)
        holds = isinstance(value, kind) and not isinstance(value, bool) and low <= value <= high
        _must(holds, where, f"a{' whole' if whole else ''} number from {low:g} to {high:g}", value)

    return check


def _flag(value: Any, where: str) -> None:
    _must(isinstance(value, bool), where, "true or false", value)


def _list(of: _Check, most: int, *, least: int = 0) -> _Check:
    def check(value: Any, where: str) -> None:
        holds = isinstance(value, list) and least <= len(value) <= most
        _must(holds, where, f"a list of {least} to {most}", value)
        for number, one in enumerate(value):
            of(one, f"{where}[{number}]")

    return check


def _record(**parts: _Check) -> _Check:
    def check(value: Any, where: str) -> None:
        holds = isinstance(value, dict) and value.keys() == parts.keys()
        _must(holds, where, f"a record of {', '.join(parts)}", value if not holds else None)
        for name, part in parts.items():
            part(value[name], f"{where}: {name}")

    return check


def _or_nothing(check: _Check) -> _Check:
    return lambda value, where: None if value is None else check(value, where)


def _plain(value: Any, where: str, depth: int = 8) -> None:
    """Let through values that only describe, and are compared or shown: no number without an end."""
    _must(depth > 0, where, "less deep", "…")
    if isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            _plain(one, where, depth - 1)
    elif isinstance(value, float):
        _must(math.isfinite(value), where, "finite", value)


def _mapping(value: Any, where: str) -> None:
    _must(isinstance(value, dict), where, "a record", value)
    _plain(value, where)


_LABEL = _text(r"(?s:.{0,1000})")  # a user's own, of whatever letters
_WORD = _text(r"[\w.:+-]{0,200}")
_HASH = _text(r"([0-9a-f]{64})?")
_SHARE = _number(0, 1)
_TARGET = {
    "name": _LABEL,
    "classes": _list(_LABEL, _MAX_CLASSES),
    "ordered": _flag,
    "years": _list(_list(_number(0, MAX_AGE, whole=True), 2, least=2), _MAX_CLASSES),
}
_SETTINGS: dict[str, _Check] = {
    "detector": _WORD,
    "weights_sha256": _HASH,
    "attempts": _list(_list(_number(0, 4096), 2, least=2), 16, least=1),
    "choose": _WORD,
    "min_face": _number(0, 4096, whole=True),
}
_RECIPE: dict[str, _Check] = {
    "faces": _mapping,
    "backbone": _WORD,
    "layer": _WORD,
    "weights": _HASH,
    "input_size": _number(1, 4096, whole=True),
    "template": _WORD,
    "normalization": _mapping,
    "precision": _WORD,
    "engine": _WORD,
    "mirrored": _flag,
    "extraction_version": _number(0, 10**6, whole=True),
}
_WEIGHTS = {
    name: _text()
    for name in (
        "name",
        "file",
        "sha256",
        "source",
        "licence_code",
        "licence_weights",
        "licence_training_data",
    )
}
_STEPS = _record(confidence=_SHARE, coverage=_SHARE, risk=_SHARE, bound=_SHARE, persons=_number(0, 10**12))
_YEARS = _number(-1000, 1000)
_CALIBRATION = _record(
    missed=_SHARE,
    temperature=_number(1e-6, 1e6),
    abstention=_or_nothing(_record(steps=_list(_STEPS, 10**4))),
    sets=_or_nothing(_record(thresholds=_list(_or_nothing(_number(-10, 10)), _MAX_CLASSES), ordered=_flag)),
    ranges=_or_nothing(
        _record(
            first=_number(0, 200, whole=True),
            lowest=_list(_or_nothing(_YEARS), 1000, least=1),
            highest=_list(_or_nothing(_YEARS), 1000, least=1),
        )
    ),
)
MODEL = _record(
    schema=_number(SCHEMA, SCHEMA, whole=True),
    name=_text(r"[^/\\\x00-\x1f\x7f]{1,255}"),
    target=_record(**_TARGET),
    classifier=_WORD,
    estimator=_mapping,
    settings=_record(**_SETTINGS),
    recipes=_list(_record(**_RECIPE), 64, least=1),
    training=_mapping,
    weights=_list(_record(**_WEIGHTS), 128),
    calibration=_or_nothing(_CALIBRATION),
)
