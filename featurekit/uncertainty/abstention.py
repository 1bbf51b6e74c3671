"""Choose the confidence below which a model abstains."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Annotated, Any

import numpy as np
from annotated_types import Interval, MaxLen
from numpy.typing import NDArray

from featurekit.uncertainty.resampling import (
    LEVEL,
    check_lengths,
    effective_subjects,
    exact_interval,
    per_subject,
    standard_errors,
)

_LAST_BITS = 1e-12  # rounding error of a share; smaller differences between two shares mean nothing
STEPS = 50  # confidences that are tried as thresholds
_SEEN = 10  # wrong answers that are needed at the wanted risk to tell it from a lower one

_Share = Annotated[float, Interval(ge=0, le=1)]


def risks_at(
    confidence: NDArray[np.float64], wrong: NDArray[np.bool_], coverage: Sequence[float]
) -> tuple[float, ...]:
    """Return the share of wrong predictions among the most confident faces, for each coverage.

    >>> confidence, wrong = np.array([0.9, 0.8, 0.7, 0.6]), np.array([False, False, True, True])
    >>> risks_at(confidence, wrong, (0.5, 1.0))
    (0.0, 0.5)

    Faces of the same confidence are either all included or all left out.

    Args:
        confidence: confidence of each prediction, shape (n,).
        wrong: whether each prediction is wrong, shape (n,).
        coverage: smallest shares of the faces that are included, one for each result.
    """
    check_lengths(confidence, wrong)
    codes = np.unique(-confidence, return_inverse=True)[1]
    n_answered = np.cumsum(np.bincount(codes))
    risks = np.cumsum(np.bincount(codes, weights=wrong)) / n_answered
    places = np.searchsorted(n_answered / len(wrong), np.array(coverage) - _LAST_BITS)
    return tuple(risks[np.minimum(places, len(risks) - 1)].tolist())


@dataclass(frozen=True)
class Step:
    """What happens if a model abstains below a threshold of the confidence.

    Attributes:
        confidence: the threshold.
        coverage: share of the faces for which the model does not abstain.
        risk: share of wrong predictions among these faces.
        bound: upper bound of the risk for new subjects, with a probability of LEVEL.
        persons: effective number of subjects of these faces (Kish).
    """

    confidence: _Share
    coverage: _Share
    risk: _Share
    bound: _Share
    persons: Annotated[float, Interval(ge=0, le=1e12)]


@dataclass(frozen=True)
class Abstention:
    """The thresholds of the confidence below which a model can abstain.

    Attributes:
        steps: one step for each threshold, the highest threshold first.
    """

    steps: Annotated[tuple[Step, ...], MaxLen(10_000)]

    def threshold_for(self, wanted_risk: float) -> float | None:
        """Return the confidence below which the model should abstain, or None if no threshold is safe.

        A threshold is safe if the bound of its risk is at most the wanted risk. The risk on new faces differs
        from the risk on the given ones, and more so if the best of many thresholds is chosen. So the steps
        are tried from the highest threshold downwards, and the first unsafe one ends the search. The result
        is wrong only if the bound of the first step with too high a risk was too low by chance. This is no
        more frequent than with a single step, however many steps there are (Angelopoulos et al. 2021, "Learn
        then test"). The first step that is tried has enough subjects for a model with two fifths of the
        wanted risk to pass; if no step has enough subjects, it is the last step.

        Args:
            wanted_risk: share of the predictions that may be wrong; choose it before looking at the steps.
        """
        first = next((i for i, step in enumerate(self.steps) if step.persons * wanted_risk >= _SEEN), -1)
        safe = list(takewhile(lambda step: step.bound <= wanted_risk, self.steps[first:]))
        return safe[-1].confidence if safe else None


def abstention(
    confidence: NDArray[np.float64], wrong: NDArray[np.bool_], subjects: NDArray[Any]
) -> Abstention:
    """Return the share of wrong predictions among the most confident faces, for STEPS shares of the faces.

    Each bound is exact for a share (Clopper & Pearson 1934), but counts subjects: it uses the effective
    number of independent faces (Korn & Graubard 1998), which is at most the number that would result if the
    predictions for all faces of a subject were wrong together.

    Args:
        confidence: confidence of each prediction, shape (n,).
        wrong: whether each prediction is wrong, shape (n,).
        subjects: subject of each face, shape (n,).
    """
    check_lengths(confidence, wrong, subjects)
    shares = np.arange(1, STEPS + 1) / STEPS
    codes: NDArray[Any] = np.unique(subjects, return_inverse=True)[1]
    steps = []
    for threshold in np.unique(np.quantile(confidence, 1 - shares, method="lower"))[::-1]:
        answered = confidence >= threshold
        columns = np.stack([wrong[answered], np.ones(answered.sum())], axis=1).astype(np.float64)
        of_each = per_subject(columns, codes[answered])
        risk = float(wrong[answered].mean())
        error = float(standard_errors(of_each[:, :1], of_each[:, 1:])[0])
        persons = effective_subjects(codes[answered])
        n = min(persons, risk * (1 - risk) / error**2) if error else persons
        steps.append(
            Step(
                confidence=float(threshold),
                coverage=float(answered.mean()),
                risk=risk,
                bound=exact_interval(risk, n, 2 * (1 - LEVEL)).high,
                persons=persons,
            )
        )
    return Abstention(tuple(steps))
