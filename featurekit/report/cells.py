"""How numbers and names are written in a cell, or in a sentence."""

import math
from collections.abc import Mapping
from typing import Any

from featurekit.evaluation.estimates import Estimate
from featurekit.evaluation.score_kinds import ScoreKind
from featurekit.report.model import Cell

ABSENT = "—"
_LEAST_P = 0.0001  # no smaller p-value is written out


def count_cell(count: int) -> Cell:
    """Return a whole number with its thousands set apart."""
    return Cell(f"{count:,}", count)


def seconds_cell(value: Any) -> Cell:
    """Return seconds with as many digits as say something."""
    seconds = finite(value)
    if seconds is None:
        return Cell(ABSENT)
    digits = 2 if seconds < 9.995 else 1 if seconds < 99.95 else 0
    return Cell(f"{seconds:,.{digits}f}", round(seconds, 6))


def size_cell(n_bytes: int | None) -> Cell:
    """Return a number of bytes in the unit that suits it."""
    return Cell(_size(n_bytes), n_bytes) if n_bytes else Cell(ABSENT)


def _size(n_bytes: int) -> str:
    """Return a size as it is read.

    >>> _size(512), _size(3_400), _size(12_340_000), _size(2_000_000_000)
    ('512 B', '3.4 kB', '12.3 MB', '2.0 GB')
    """
    for limit, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if n_bytes >= limit:
            return f"{n_bytes / limit:.1f} {unit}"
    return f"{n_bytes} B"


def in_range(kind: ScoreKind, between: Estimate) -> dict[str, Any]:
    """Return what a cell says of between which values its number lies."""
    ends = (between.low, between.high)
    return {
        "count": "–".join(kind.format(end) for end in ends),
        "others": tuple(round(end * kind.scale, 6) for end in ends),
    }


def p_value(p: float, limit: float = 0.0) -> str:
    """Return a p-value in words; of one at the limit of its test, it is only said that it is below it.

    >>> p_value(0.0003), p_value(0.0312), p_value(0.42), p_value(1.0)
    ('p 0.0003', 'p 0.031', 'p 0.42', 'p 1.00')
    >>> p_value(1 / 20_001, limit=1 / 20_001), p_value(1 / 201, limit=1 / 201), p_value(1e-9)
    ('p < 0.0001', 'p < 0.005', 'p < 0.0001')
    """
    if p <= limit or p < _LEAST_P:
        return f"p < {_up(max(limit if p <= limit else 0.0, _LEAST_P))}"
    return f"p {p:.4f}" if p < 0.00095 else f"p {p:.3f}" if p < 0.0995 else f"p {p:.2f}"


def _up(limit: float) -> str:
    """Return a number below 1 with one digit that says something, never rounded down."""
    digits = -math.floor(math.log10(limit) + 1e-9)
    return f"{math.ceil(limit * 10**digits - 1e-6) / 10**digits:.{digits}f}"


def time_words(time: float) -> str:
    """Return milliseconds with two digits, or as whole ones.

    >>> time_words(0.853), time_words(38.2), time_words(449.0)
    ('0.85', '38', '449')
    """
    return f"{time:.2g}" if time < 10 else f"{time:,.0f}"


def words(name: str) -> str:
    """Return a name of the code as words.

    >>> words("asked.batch_size")
    'asked · batch size'
    """
    return name.replace(".", " · ").replace("_", " ")


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Return nested values as texts under dotted names.

    >>> flatten({"asked": {"device": "auto"}, "cores": 2, "mean": [0.5, 1], "weights": None})
    {'asked.device': 'auto', 'cores': '2', 'mean': '0.5, 1', 'weights': '—'}
    """
    flat: dict[str, str] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat.update(flatten(value, f"{prefix}{name}."))
        else:
            flat[f"{prefix}{name}"] = _text(value)
    return flat


def _text(value: Any) -> str:
    if value is None or value == "":
        return ABSENT
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        nested = any(isinstance(one, list | tuple) for one in value)
        return ("; " if nested else ", ").join(_text(one) for one in value) or ABSENT
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def finite(value: Any) -> float | None:
    """Return a number, or None for what is none: absent, null, NaN and infinite scores alike."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None
