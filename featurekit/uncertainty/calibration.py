"""What a fitted model keeps of its calibration: what it may promise beyond its answer.

Temperature makes a model calibrated. Where that is not enough it may decline to
answer, or answer with several age groups, or with a range of years, that hold the
truth as often as was asked for.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featurekit.uncertainty.abstention import Abstention, Step, abstention
from featurekit.uncertainty.conformal import ClassSets, fit_class_sets
from featurekit.uncertainty.intervals import FEWEST
from featurekit.uncertainty.temperature import fit_temperature
from featurekit.uncertainty.year_ranges import YearRanges, fit_year_ranges


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """What a model may promise beyond its answer, as found on persons that its folds had not seen.

    Attributes:
        missed: share of faces whose set or range may lack the truth.
        temperature: that makes its probabilities calibrated; 1 for years.
        abstention: from which confidence it may answer; None for years.
        sets: which classes to answer with; None for years.
        ranges: which years to answer with; None for classes.
    """

    missed: float
    temperature: float = 1.0
    abstention: Abstention | None = None
    sets: ClassSets | None = None
    ranges: YearRanges | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON values; None stands for an infinite threshold."""
        content = asdict(self)
        for name, field in (("sets", "thresholds"), ("ranges", "lowest"), ("ranges", "highest")):
            if content[name]:
                values = content[name][field]
                content[name][field] = [value if np.isfinite(value) else None for value in values]
        return content

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Calibration":
        """Return what to_json() wrote.

        Raises:
            KeyError, TypeError: it is something else.
        """

        def numbers(values: Sequence[float | None], sign: int = 1) -> tuple[float, ...]:
            return tuple(sign * float("inf") if value is None else float(value) for value in values)

        steps, sets, ranges = content["abstention"], content["sets"], content["ranges"]
        return cls(
            missed=content["missed"],
            temperature=content["temperature"],
            abstention=Abstention(tuple(Step(**step) for step in steps["steps"])) if steps else None,
            sets=ClassSets(numbers(sets["thresholds"]), sets["ordered"]) if sets else None,
            ranges=YearRanges(ranges["first"], numbers(ranges["lowest"], -1), numbers(ranges["highest"]))
            if ranges
            else None,
        )


def calibrate_classes(
    probabilities: NDArray[np.float64],
    y: NDArray[np.intp],
    subjects: NDArray[Any],
    *,
    missed: float,
    ordered: bool,
) -> Calibration | None:
    """Return what a model of classes may promise, None where there are fewer than FEWEST persons.

    Args:
        probabilities: of each class, of faces that the model had not seen, shape (n, n_classes).
        y: class numbers, shape (n,).
        subjects: person on each face, shape (n,).
        missed: share of faces, of each class, whose set may lack the truth.
        ordered: see conformal.class_scores().
    """
    if len(np.unique(subjects)) < FEWEST:
        return None
    return Calibration(
        missed=missed,
        temperature=fit_temperature(probabilities, y),
        abstention=abstention(probabilities.max(axis=1), probabilities.argmax(axis=1) != y, subjects),
        sets=fit_class_sets(probabilities, y, subjects, alpha=missed, ordered=ordered, per_class=True),
    )


def calibrate_years(
    years: NDArray[np.float64], y: NDArray[np.float64], subjects: NDArray[Any], *, missed: float
) -> Calibration | None:
    """Return what a model of years may promise, None where there are fewer than FEWEST persons.

    Args:
        years: read from faces that the model had not seen, shape (n,).
        y: the true ones.
        subjects: person on each face, shape (n,).
        missed: share of faces, of people of each age, whose range may lack the truth.
    """
    if len(np.unique(subjects)) < FEWEST:
        return None
    return Calibration(missed=missed, ranges=fit_year_ranges(years, y, subjects, alpha=missed))
