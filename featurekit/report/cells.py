"""Format numbers and names for table cells, sentences and axes."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from featurekit.evaluation.differences import Difference
from featurekit.evaluation.estimates import Estimate
from featurekit.evaluation.scores import ScoreKind, signed
from featurekit.report.model import Cell

ABSENT = "—"
SHARE = ScoreKind("share", "", "%")  # how a share that is not a score is shown
_LEAST_P = 0.0001  # a smaller p-value is shown as below this


def count_cell(count: int) -> Cell:
    """Return a cell with a whole number, with commas between the thousands."""
    return Cell(f"{count:,}", count)


def seconds_cell(value: Any) -> Cell:
    """Return a cell with seconds: two decimals below 10 seconds, one below 100, and none from 100 on."""
    seconds = finite(value)
    if seconds is None:
        return Cell(ABSENT)
    digits = 2 if seconds < 9.995 else 1 if seconds < 99.95 else 0
    return Cell(f"{seconds:,.{digits}f}", round(seconds, 6))


def time_cell(time: float | None) -> Cell:
    """Return a cell with milliseconds, as in time_words()."""
    return Cell(ABSENT) if time is None else Cell(time_words(time), round(time, 6))


def size_cell(n_bytes: int | None) -> Cell:
    """Return a cell with a size in bytes, in the largest unit (B, kB, MB, GB) that gives at least 1.

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
    """Return a cell with a score in its unit, or an empty cell; more sets other fields of the cell."""
    return Cell(ABSENT) if value is None else Cell(kind.format(value), _in_unit(kind, value), **more)


def interval_cell(kind: ScoreKind, value: float, low: float, high: float, **more: Any) -> Cell:
    """Return a cell with a score, and its confidence interval in the second line."""
    count = f"{kind.format(low)}–{kind.format(high)}"
    return value_cell(kind, value, count=count, others=(_in_unit(kind, low), _in_unit(kind, high)), **more)


def estimate_cell(kind: ScoreKind, estimate: Estimate | None) -> Cell:
    """Return a cell with a score and its confidence interval, or a note if it has too few subjects."""
    if estimate is None:
        return Cell("not enough data")
    return interval_cell(kind, estimate.value, estimate.low, estimate.high)


def gain_cell(
    kind: ScoreKind, gain: float, p: float, limit: float = 0.0, *, is_strong: bool, ends: Sequence[float] = ()
) -> Cell:
    """Return a cell with the difference between two scores, and its p-value in the second line.

    Args:
        kind: kind of score, such as accuracy.
        gain: the difference.
        p: p-value of the difference.
        limit: the smallest p-value that the test can give.
        is_strong: whether the cell is in bold.
        ends: ends of the confidence interval, if a copy of the table has columns for them.
    """
    others = (*(_in_unit(kind, end) for end in ends), p)
    return Cell(
        signed(kind, gain), _in_unit(kind, gain), count=p_value(p, limit), others=others, is_strong=is_strong
    )


def difference_cell(
    kind: ScoreKind, found: Difference | None, *, absent: str, has_interval: bool = False
) -> Cell:
    """Return a cell with the difference between two runs, and its p-value in the second line.

    Args:
        kind: kind of score, such as accuracy.
        found: the difference; None if it was not tested.
        absent: text of the cell if the difference was not tested.
        has_interval: whether a copy of the table has columns for the confidence interval.
    """
    if found is None:
        return Cell(absent)
    ends = (found.low, found.high) if has_interval else ()
    return gain_cell(kind, found.gain, found.adjusted, found.limit, is_strong=found.is_shown, ends=ends)


def gain_interval_cell(kind: ScoreKind, gain: float, low: float, high: float) -> Cell:
    """Return a cell with the difference between two scores, and its confidence interval in a second line."""
    count = f"{signed(kind, low)} to {signed(kind, high)}"
    others = (_in_unit(kind, low), _in_unit(kind, high))
    return Cell(signed(kind, gain), _in_unit(kind, gain), count=count, others=others)


def _in_unit(kind: ScoreKind, value: float) -> float:
    """Return a stored score as the number that a table is sorted and copied by."""
    return round(value * kind.scale, 6)


def amount(kind: ScoreKind, difference: float) -> str:
    """Return the size of a difference between two scores, e.g. "1.2 points", without its sign."""
    return f"{kind.format(abs(difference))} {kind.unit_of_difference}".strip()


def sentences(*those: str) -> str:
    """Join sentences with spaces, and leave out empty ones.

    >>> sentences("One.", "", "Two.")
    'One. Two.'
    """
    return " ".join(filter(None, those))


def p_value(p: float, limit: float = 0.0) -> str:
    """Return a p-value as text; "p < …" if it is the smallest that the test can give, or below 0.0001.

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
    """Return milliseconds as text, with two significant digits below 10 and as a whole number from 10 on.

    >>> time_words(0.853), time_words(38.2), time_words(449.0)
    ('0.85', '38', '449')
    """
    return f"{time:.2g}" if time < 10 else f"{time:,.0f}"


def words(name: str) -> str:
    """Return a name in the code as words, without underscores.

    >>> words("asked.batch_size")
    'asked · batch size'
    """
    return name.replace(".", " · ").replace("_", " ")


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Return nested dictionaries as one flat dictionary of texts, with dots in its keys.

    >>> flatten({"asked": {"device": "auto"}, "cores": 2, "mean": [0.5, 1], "weights": None})
    {'asked.device': 'auto', 'cores': '2', 'mean': '0.5, 1', 'weights': '—'}
    """
    flat: dict[str, str] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = _text(value)
    return flat


def listed(values: Mapping[str, Any]) -> str:
    """Return settings as one line of text.

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
    """Return a value as a float if it is a finite number, else None."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and math.isfinite(value) else None


def score_title(kind: ScoreKind) -> str:
    """Return the name of a score on an axis, without its unit.

    >>> from featurekit.evaluation.scores import SCORES
    >>> score_title(SCORES["accuracy"]), score_title(SCORES["mae_years"])
    ('Accuracy', 'Mean absolute error')
    """
    return kind.in_full or kind.title


def with_unit(kind: ScoreKind) -> str:
    """Return the name of a score with its unit, e.g. "Accuracy, %"."""
    return f"{score_title(kind)}, {kind.unit}" if kind.unit else score_title(kind)


def better(kind: ScoreKind) -> str:
    """Return which values of a score are better: "lower" or "higher"."""
    return "lower" if kind.best is min else "higher"


def axis_label(kind: ScoreKind) -> str:
    """Return the label of an axis for a score: its name, its unit, and which values are better.

    >>> from featurekit.evaluation.scores import SCORES
    >>> axis_label(SCORES["accuracy"]), axis_label(SCORES["mae_years"])
    ('Accuracy, % (higher is better)', 'Mean absolute error, years (lower is better)')
    """
    return with_unit(kind) + (f" ({better(kind)} is better)" if kind.best else "")
