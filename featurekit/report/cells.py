"""Numbers and names as they are written in a cell or in a sentence."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from featurekit.evaluation.estimates import Estimate
from featurekit.evaluation.scores import ScoreKind, signed
from featurekit.report.model import Cell

ABSENT = "—"
SHARE = ScoreKind("share", "", "%")  # how a share that is not a score is shown
_LEAST_P = 0.0001  # a smaller p-value is shown as below this


def count_cell(count: int) -> Cell:
    """Return a whole number with a comma between the thousands."""
    return Cell(f"{count:,}", count)


def seconds_cell(value: Any) -> Cell:
    """Return seconds with two digits after the point, and with fewer if they are many."""
    seconds = finite(value)
    if seconds is None:
        return Cell(ABSENT)
    digits = 2 if seconds < 9.995 else 1 if seconds < 99.95 else 0
    return Cell(f"{seconds:,.{digits}f}", round(seconds, 6))


def time_cell(time: float | None) -> Cell:
    """Return milliseconds with two significant digits, or as a whole number."""
    return Cell(ABSENT) if time is None else Cell(time_words(time), round(time, 6))


def size_cell(n_bytes: int | None) -> Cell:
    """Return a number of bytes in the largest unit of which there is at least one.

    >>> [size_cell(n).text for n in (512, 3_400, 12_340_000, 2_000_000_000, None)]
    ['512 B', '3.4 kB', '12.3 MB', '2.0 GB', '—']
    """
    if not n_bytes:
        return Cell(ABSENT)
    for limit, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if n_bytes >= limit:
            return Cell(f"{n_bytes / limit:.1f} {unit}", n_bytes)
    return Cell(f"{n_bytes} B", n_bytes)


def value_cell(kind: ScoreKind, value: float | None, **more: Any) -> Cell:
    """Return a score in its unit; more are further fields of the cell, for a score that is known."""
    return Cell(ABSENT) if value is None else Cell(kind.format(value), _in_unit(kind, value), **more)


def interval_cell(kind: ScoreKind, value: float, low: float, high: float, **more: Any) -> Cell:
    """Return a score with its confidence interval in the second line."""
    count = f"{kind.format(low)}–{kind.format(high)}"
    return value_cell(kind, value, count=count, others=(_in_unit(kind, low), _in_unit(kind, high)), **more)


def estimate_cell(kind: ScoreKind, estimate: Estimate | None) -> Cell:
    """Return a score with its confidence interval, or a note if there are too few subjects for it."""
    if estimate is None:
        return Cell("not enough data")
    return interval_cell(kind, estimate.value, estimate.low, estimate.high)


def gain_cell(
    kind: ScoreKind, gain: float, p: float, limit: float = 0.0, *, is_strong: bool, ends: Sequence[float] = ()
) -> Cell:
    """Return the difference between two scores with its p-value in the second line.

    Args:
        kind: the score.
        gain: the difference.
        p: its p-value.
        limit: the smallest p-value that the test can give.
        is_strong: whether the cell is in bold.
        ends: the ends of the confidence interval, where they are copied with the p-value.
    """
    others = (*(_in_unit(kind, end) for end in ends), p)
    count = p_value(p, limit)
    return Cell(signed(kind, gain), _in_unit(kind, gain), count=count, others=others, is_strong=is_strong)


def gain_interval_cell(kind: ScoreKind, gain: float, low: float, high: float) -> Cell:
    """Return the difference between two scores with its confidence interval in the second line."""
    count = f"{signed(kind, low)} to {signed(kind, high)}"
    others = (_in_unit(kind, low), _in_unit(kind, high))
    return Cell(signed(kind, gain), _in_unit(kind, gain), count=count, others=others)


def _in_unit(kind: ScoreKind, value: float) -> float:
    """Return a stored score as the number that a table is sorted and copied by."""
    return round(value * kind.scale, 6)


def sentences(*those: str) -> str:
    """Return some sentences as one text, without the empty ones.

    >>> sentences("One.", "", "Two.")
    'One. Two.'
    """
    return " ".join(filter(None, those))


def p_value(p: float, limit: float = 0.0) -> str:
    """Return a p-value in words; if it is at the limit of its test, only that it is below this limit.

    >>> p_value(0.0003), p_value(0.0312), p_value(0.42), p_value(1.0)
    ('p 0.0003', 'p 0.031', 'p 0.42', 'p 1.00')
    >>> p_value(1 / 20_001, limit=1 / 20_001), p_value(1 / 201, limit=1 / 201), p_value(1e-9)
    ('p < 0.0001', 'p < 0.005', 'p < 0.0001')
    """
    if p <= limit or p < _LEAST_P:
        bound = max(limit if p <= limit else 0.0, _LEAST_P)
        digits = -math.floor(math.log10(bound) + 1e-9)
        # One significant digit, rounded up: the p-value is not shown to be smaller than it is.
        return f"p < {math.ceil(bound * 10**digits - 1e-6) / 10**digits:.{digits}f}"
    return f"p {p:.4f}" if p < 0.00095 else f"p {p:.3f}" if p < 0.0995 else f"p {p:.2f}"


def time_words(time: float) -> str:
    """Return milliseconds with two significant digits, or as a whole number.

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
        is_nested = isinstance(value, Mapping)
        flat |= flatten(value, f"{prefix}{name}.") if is_nested else {f"{prefix}{name}": _text(value)}
    return flat


def listed(values: Mapping[str, Any]) -> str:
    """Return nested values in one line.

    >>> listed({"C": 10.0, "gamma": "scale"})
    'C=10, gamma=scale'
    """
    return ", ".join(f"{name}={value}" for name, value in flatten(values).items())


def _text(value: Any) -> str:
    if value is None or value == "":
        return ABSENT
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        comma = "; " if any(isinstance(one, list | tuple) for one in value) else ", "
        return comma.join(map(_text, value)) or ABSENT
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def finite(value: Any) -> float | None:
    """Return a number, or None for anything else: a value that is missing, NaN or infinite."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and math.isfinite(value) else None
