"""From which confidence on a model should answer."""

from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from annotated_types import Interval, MaxLen
from numpy.typing import NDArray

from featurekit.uncertainty._checks import check_lengths
from featurekit.uncertainty.intervals import LEVEL, exact_interval
from featurekit.uncertainty.subjects import effective_subjects, per_subject, standard_errors

_LAST_BITS = 1e-12  # of a share; what two differ by less than is how they were added up
STEPS = 50  # confidences that are tried for declining to answer
_SEEN = 10  # wrong answers that should be seen at a wanted risk, before it can be told from a lower one

_Share = Annotated[float, Interval(ge=0, le=1)]


@dataclass(frozen=True)
class RiskCoverage:
    """How often a model is wrong on the faces it is surest of.

    Attributes:
        confidence: every one that occurs, highest first, shape (m,).
        coverage: share of faces that are at least as sure, shape (m,).
        risk: share of these that are wrong, shape (m,).
        area: mean risk over all numbers of answered faces (AURC, Geifman & El-Yaniv 2017).
    """

    confidence: NDArray[np.float64]
    coverage: NDArray[np.float64]
    risk: NDArray[np.float64]
    area: float

    def risk_at(self, coverage: float) -> float:
        """Return the share of wrong answers among the surest faces, of at least this share of all."""
        index = int(np.searchsorted(self.coverage, coverage - _LAST_BITS))
        return float(self.risk[min(index, len(self.risk) - 1)])

    def coverage_at(self, risk: float) -> float:
        """Return the largest share of faces that can be answered with at most this share wrong; 0 if none.

        Found on the faces that it is told of: no promise for others, see abstention().
        """
        possible = self.coverage[self.risk <= risk + _LAST_BITS]
        return float(possible.max()) if len(possible) else 0.0


def risk_coverage(confidence: NDArray[np.float64], wrong: NDArray[np.bool_]) -> RiskCoverage:
    """Return how often a model is wrong on the faces it is surest of, for every share of faces.

    >>> risk_coverage(np.array([0.9, 0.8, 0.7, 0.6]), np.array([False, False, True, True])).risk.round(3)
    array([0.   , 0.   , 0.333, 0.5  ])

    Faces of the same confidence are answered together or not at all. In the area each of them counts as
    wrong as all of them are on average, so that their order decides nothing.

    Args:
        confidence: the higher the surer, shape (n,).
        wrong: whether the answer is, shape (n,).
    """
    check_lengths(confidence, wrong)
    values, codes = np.unique(-confidence, return_inverse=True)
    counts = np.bincount(codes)
    wrongs = np.bincount(codes, weights=wrong)
    n_answered = np.cumsum(counts)
    one_by_one = np.cumsum(np.repeat(wrongs / counts, counts)) / np.arange(1, len(wrong) + 1)
    return RiskCoverage(
        -values, n_answered / len(wrong), np.cumsum(wrongs) / n_answered, float(one_by_one.mean())
    )


@dataclass(frozen=True)
class Step:
    """What happens where a model answers only from some confidence on.

    Attributes:
        confidence: from which it answers.
        coverage: share of the faces it then answers.
        risk: share of the answers that are wrong, on the faces it was found on.
        bound: what that share is at most for all persons there could be, with a probability of LEVEL.
        persons: how many with equally many faces would tell as much as those it answers for (Kish).
    """

    confidence: _Share
    coverage: _Share
    risk: _Share
    bound: _Share
    persons: Annotated[float, Interval(ge=0, le=1e12)]


@dataclass(frozen=True)
class Abstention:
    """From which confidence on a model should answer.

    Attributes:
        steps: the surest first.
    """

    steps: Annotated[tuple[Step, ...], MaxLen(10_000)]

    def threshold_for(self, wanted_risk: float) -> float | None:
        """Return the confidence below which the model should not answer, None where no confidence will do.

        What is wrong on the faces at hand is not what will be wrong on others, the less so if the best of
        many thresholds is chosen by it. So the steps are gone through from the surest on, as long as their
        bounds are low enough. A threshold that does not keep the risk is returned only where the bound of
        the first step that does not keep it is too low: no more often than with a single step, however many
        there are (Angelopoulos et al. 2021, "Learn then test"). The walk begins where there are persons
        enough that a model with two fifths of the risk would pass; if there never are, at the last step.

        Args:
            wanted_risk: share of the answers that may be wrong; to be chosen before the steps are looked at.
        """
        first = next((i for i, step in enumerate(self.steps) if step.persons * wanted_risk >= _SEEN), -1)
        threshold = None
        for step in self.steps[first:]:
            if step.bound > wanted_risk:
                break
            threshold = step.confidence
        return threshold


def abstention(
    confidence: NDArray[np.float64], wrong: NDArray[np.bool_], subjects: NDArray[Any]
) -> Abstention:
    """Return what answering only the surest faces would mean, for STEPS shares of them.

    Each bound is the exact one of a share (Clopper & Pearson 1934), but counts persons: it takes for its
    number of faces how many independent ones would tell as much as these do (Korn & Graubard 1998), and never
    more than if all faces of a person went wrong together.

    Args:
        confidence: the higher the surer, shape (n,).
        wrong: whether the answer is, shape (n,).
        subjects: person on each face, shape (n,).
    """
    check_lengths(confidence, wrong, subjects)
    shares = np.arange(1, STEPS + 1) / STEPS
    thresholds = np.unique(np.quantile(confidence, 1 - shares, method="lower"))[::-1]
    codes: NDArray[Any] = np.unique(subjects, return_inverse=True)[1]
    steps = []
    for threshold in thresholds:
        answered = confidence >= threshold
        columns = np.stack([wrong[answered], np.ones(answered.sum())], axis=1).astype(np.float64)
        of_each = per_subject(columns, codes[answered])
        risk = float(wrong[answered].mean())
        spread = float(standard_errors(of_each[:, :1], of_each[:, 1:])[0])
        persons = effective_subjects(codes[answered])
        n = min(persons, risk * (1 - risk) / spread**2) if spread else persons
        bound = exact_interval(risk, n, 2 * (1 - LEVEL)).high
        steps.append(Step(float(threshold), float(answered.mean()), risk, bound, persons))
    return Abstention(tuple(steps))
