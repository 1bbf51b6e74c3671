"""Whether a model knows when it is wrong, and what it may answer instead of one sure answer.

A model is calibrated where it is right on 80 % of the faces that it gives a
probability of 80 %. Temperature makes it so, with one number and without changing
a single answer. Where that is not enough a model may decline to answer, or answer
with several age groups, or with a range of years, that hold the truth as often as
was asked for.

Whatever is fitted here is fitted on predictions of faces that the model had not
seen, and is tried on other persons than it was fitted on: for the faces of a fold,
on the predictions of the other folds, which are that fold's training part. Those
were made by the other folds' models, which have seen this fold's faces in their own
training: the only way in which anything of this fold comes into the one number that
is fitted for it. To be rid of that, every model would have to be trained again
without the fold.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from featurekit.uncertainty.resampling import (
    FEWEST,
    LEVEL,
    Interval,
    effective_subjects,
    per_subject,
    resampled_sums,
)
from featurekit.uncertainty.year_ranges import YearRanges, fit_year_ranges

MISSED = 0.1  # share of faces whose answer of several classes, or of a range of years, may lack the truth
N_BINS = 10
STEPS = 50  # confidences that are tried for declining to answer
TEMPERATURES = (0.05, 1000.0)  # between which one is looked for
_LEAST = 1e-12  # what a probability of 0 counts as, where its logarithm is taken
_SEEN = 10  # wrong answers that should be seen at a wanted risk, before it can be told from a lower one


class Round(NamedTuple):
    """On which faces something is fitted for one fold, and on which it is used.

    Attributes:
        fold: its number.
        here: whether each face is in it, shape (n,).
        others: whether each face may be learned from: in another fold, and of nobody who is in this one.
    """

    fold: int
    here: NDArray[np.bool_]
    others: NDArray[np.bool_]


def rounds(folds: NDArray[np.intp], subjects: NDArray[Any]) -> Iterator[Round]:
    """Yield for each fold the faces it has and those that something may be fitted on for it.

    Args:
        folds: in which each face was tested, shape (n,).
        subjects: person on each face, shape (n,). Nobody who is in a fold is learned from for it, also
            where a data set's own folds share somebody.

    Raises:
        ValueError: nobody is left to learn from for a fold.
    """
    _check_lengths(folds, subjects)
    for fold in np.unique(folds):
        here = folds == fold
        others = ~np.isin(subjects, subjects[here])
        if not others.any():
            raise ValueError(f"Fold {fold} holds every person: nobody is left to fit anything on.")
        yield Round(int(fold), here, others)


# ---------------------------------------------------------------- temperature


def fit_temperature(probabilities: NDArray[np.float64], y: NDArray[np.intp]) -> float:
    """Return the temperature that gives the faces' own classes the most (Guo et al. 2017).

    >>> round(fit_temperature(np.array([[0.9, 0.1]] * 4), np.array([0, 0, 0, 1])), 6)
    2.0

    Above 1 for a model that is too sure of itself, below 1 for one that is not sure enough. A temperature
    outside of TEMPERATURES is not looked for: a model that is right on all of these faces would otherwise be
    made as sure as can be.

    Args:
        probabilities: of each class, shape (n, n_classes).
        y: class numbers, shape (n,).

    Returns:
        The temperature of the least log loss; 1 where no other is better.
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import logsumexp

    _check_classes(probabilities, y)
    logs = np.log(np.clip(probabilities, _LEAST, 1.0))
    own = logs[np.arange(len(y)), y]

    def loss(log_temperature: float) -> float:
        sharpness = np.exp(-log_temperature)
        return float((logsumexp(logs * sharpness, axis=1) - own * sharpness).mean())

    # Convex in 1 / temperature, so that there is no second valley to fall into.
    found = minimize_scalar(loss, bounds=np.log(TEMPERATURES), method="bounded", options={"xatol": 1e-9})
    return float(np.exp(found.x)) if found.fun < loss(0.0) - _LEAST else 1.0


def apply_temperature(probabilities: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
    """Return the probabilities at a temperature; which class is likeliest does not change.

    >>> apply_temperature(np.array([[0.9, 0.1]]), 2.0)
    array([[0.75, 0.25]])

    Args:
        probabilities: of each class, shape (n, n_classes); 0 counts as one in 10¹².
        temperature: what their logarithms are divided by.
    """
    from scipy.special import softmax

    cooled: NDArray[np.float64] = softmax(np.log(np.clip(probabilities, _LEAST, 1.0)) / temperature, axis=1)
    return cooled


def cross_fitted(
    probabilities: NDArray[np.float64],
    y: NDArray[np.intp],
    folds: NDArray[np.intp],
    subjects: NDArray[Any],
) -> tuple[NDArray[np.float64], dict[int, float]]:
    """Return what the models would have said at a temperature that was fitted on other persons.

    See the top of this module for what little of a fold reaches its own temperature.

    Args:
        probabilities: of each class, by a model that had not seen the person, shape (n, n_classes).
        y: class numbers, shape (n,).
        folds: in which each face was tested, shape (n,).
        subjects: person on each face, shape (n,).

    Returns:
        The probabilities at their fold's temperature, and the temperature of each fold.

    Raises:
        ValueError: nobody is left to learn from for a fold.
    """
    _check_lengths(probabilities, y, folds, subjects)
    calibrated = np.full(probabilities.shape, np.nan)
    temperatures = {}
    for fold, here, others in rounds(folds, subjects):
        temperatures[fold] = fit_temperature(probabilities[others], y[others])
        calibrated[here] = apply_temperature(probabilities[here], temperatures[fold])
    return calibrated, temperatures


# ---------------------------------------------------------------- is it calibrated


@dataclass(frozen=True)
class Bin:
    """Faces of about the same confidence.

    Attributes:
        confidence: mean probability of the likeliest class.
        right: share of faces that have that class.
        n_faces: how many there are.
    """

    confidence: float
    right: float
    n_faces: int


def reliability(
    probabilities: NDArray[np.float64], y: NDArray[np.intp], *, n_bins: int = N_BINS, equal_mass: bool = True
) -> tuple[Bin, ...]:
    """Return how often the likeliest class is right, the least confident faces first.

    Args:
        probabilities: of each class, shape (n, n_classes).
        y: class numbers, shape (n,).
        n_bins: into how many bins faces are put; those without a face are left out.
        equal_mass: bins of as many faces each, else of equal width between 0 and 1. Faces of the same
            confidence share a bin in any case.
    """
    confidence, right = _likeliest(probabilities, y)
    bins = _bins(confidence, n_bins, equal_mass)
    counts = np.bincount(bins)
    confidences, rights = (np.bincount(bins, weights=one) for one in (confidence, right))
    return tuple(
        Bin(float(sure / n), float(true / n), int(n))
        for sure, true, n in zip(confidences, rights, counts, strict=True)
        if n
    )


@dataclass(frozen=True)
class CalibrationError:
    """By how much confidence is off on average over the faces, a number between 0 and 1.

    Attributes:
        value: corrected for what chance adds.
        plain: as usually given (ECE, Guo et al. 2017); above 0 also for a perfect model.
        low, high: between which values it lies.
    """

    value: float
    plain: float
    low: float
    high: float


def expected_calibration_error(
    probabilities: NDArray[np.float64],
    y: NDArray[np.intp],
    subjects: NDArray[Any],
    *,
    n_bins: int = N_BINS,
    equal_mass: bool = True,
    seed: int = 0,
) -> CalibrationError:
    """Return the expected calibration error of the likeliest class.

    The plain one is the mean over bins of how far the share of right answers is from the mean confidence.
    Chance moves the share either way and each way counts as an error, so that the fewer persons there are,
    the worse every model looks. What chance adds is worked out as Kumar, Liang & Ma (2019) do, with the error
    of each bin taken for normally distributed and its spread taken over persons, and is subtracted. That
    takes away two fifths of what a perfect model should not have, and nearly all of it from a model that is
    off by as much as its bins spread.

    The interval is as wide as the plain error moves when persons are drawn anew, with the bins as they are,
    and wider by what is not known of the correction: chance adds the less the farther off a bin is, and each
    may be off by its spread more, or less, than it looks. (Percentiles of the plain error nearly never hold
    a truth near 0, and mirroring them at it holds it too seldom.)

    Args:
        probabilities: of each class, shape (n, n_classes).
        y: class numbers, shape (n,).
        subjects: person on each face, shape (n,).
        n_bins: see reliability().
        equal_mass: see reliability().
        seed: what chance comes from.
    """
    from scipy.stats import norm

    _check_lengths(probabilities, subjects)
    confidence, right = _likeliest(probabilities, y)
    bins = np.unique(_bins(confidence, n_bins, equal_mass), return_inverse=True)[1]
    is_in = np.eye(int(bins.max()) + 1)[bins]
    of_each = per_subject(np.hstack([is_in * (confidence - right)[:, None], is_in]), subjects)
    width = is_in.shape[1]
    spread = _spread(of_each[:, :width], of_each[:, width:])

    def plain(sums: NDArray[np.float64]) -> NDArray[np.float64]:
        errors: NDArray[np.float64] = np.abs(sums[..., :width]).sum(-1) / sums[..., width:].sum(-1)
        return errors

    sums = of_each.sum(axis=0)
    off, shares = np.abs(sums[:width]) / sums[width:], sums[width:] / sums[width:].sum()

    def by_chance(off: NDArray[np.float64]) -> float:
        return float(shares @ (_mean_size(off, spread) - off))

    seen = float(plain(sums))
    drawn = plain(resampled_sums(of_each, seed=seed))
    half = float(norm.ppf((1 + LEVEL) / 2) * drawn.std())
    low = seen - by_chance(np.maximum(off - spread, 0.0)) - half
    high = seen - by_chance(off + spread) + half
    return CalibrationError(max(seen - by_chance(off), 0.0), seen, max(low, 0.0), min(high, 1.0))


def _likeliest(
    probabilities: NDArray[np.float64], y: NDArray[np.intp]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the probability of each face's likeliest class, and 1 where it is the face's own."""
    _check_classes(probabilities, y)
    return probabilities.max(axis=1), (probabilities.argmax(axis=1) == y).astype(np.float64)


def _bins(confidence: NDArray[np.float64], n_bins: int, equal_mass: bool) -> NDArray[np.intp]:
    """Return the number of each face's bin; edges and what lies on them as scikit-learn has them."""
    shares = np.linspace(0.0, 1.0, n_bins + 1)
    edges = np.quantile(confidence, shares) if equal_mass else shares
    return np.searchsorted(edges[1:-1], confidence)


def _spread(of_each: NDArray[np.float64], counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the standard error of each column's mean over faces, whose sums of each person are given.

    0 where a single person decides the mean: nothing is known of its spread.
    """
    total = counts.sum(axis=0)
    persons = (counts > 0).sum(axis=0)
    rest = of_each - counts * np.divide(of_each.sum(axis=0), total, out=np.zeros_like(total), where=total > 0)
    squares = (rest**2).sum(axis=0) * persons / np.maximum(persons - 1, 1)
    spread: NDArray[np.float64] = np.sqrt(squares) / np.maximum(total, 1)
    return spread


def _mean_size(mean: NDArray[np.float64], spread: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean of the absolute value of normally distributed numbers."""
    from scipy.special import erf

    z = np.divide(mean, spread, out=np.zeros_like(mean), where=spread > 0)
    size = spread * np.sqrt(2 / np.pi) * np.exp(-(z**2) / 2) + mean * erf(z / np.sqrt(2))
    sizes: NDArray[np.float64] = np.where(spread > 0, size, np.abs(mean))
    return sizes


# ---------------------------------------------------------------- declining to answer


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
        index = int(np.searchsorted(self.coverage, coverage - _LEAST))
        return float(self.risk[min(index, len(self.risk) - 1)])

    def coverage_at(self, risk: float) -> float:
        """Return the largest share of faces that can be answered with at most this share wrong; 0 if none.

        Found on the faces that it is told of: no promise for others, see abstention().
        """
        possible = self.coverage[self.risk <= risk + _LEAST]
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
    _check_lengths(confidence, wrong)
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

    confidence: float
    coverage: float
    risk: float
    bound: float
    persons: float


@dataclass(frozen=True)
class Abstention:
    """From which confidence on a model should answer.

    Attributes:
        steps: the surest first.
    """

    steps: tuple[Step, ...]

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
    _check_lengths(confidence, wrong, subjects)
    shares = np.arange(1, STEPS + 1) / STEPS
    thresholds = np.unique(np.quantile(confidence, 1 - shares, method="lower"))[::-1]
    codes: NDArray[Any] = np.unique(subjects, return_inverse=True)[1]
    steps = []
    for threshold in thresholds:
        answered = confidence >= threshold
        columns = np.stack([wrong[answered], np.ones(answered.sum())], axis=1).astype(np.float64)
        of_each = per_subject(columns, codes[answered])
        risk = float(wrong[answered].mean())
        spread = float(_spread(of_each[:, :1], of_each[:, 1:])[0])
        persons = effective_subjects(codes[answered])
        n = min(persons, risk * (1 - risk) / spread**2) if spread else persons
        bound = _exact(risk, n, 2 * (1 - LEVEL)).high
        steps.append(Step(float(threshold), float(answered.mean()), risk, bound, persons))
    return Abstention(tuple(steps))


# ---------------------------------------------------------------- sets that hold the truth


def conformal_threshold(scores: NDArray[np.float64], alpha: float, subjects: NDArray[Any]) -> float:
    """Return up to which score an answer must be let in so that the true one is, but for a share of alpha.

    >>> conformal_threshold(np.arange(1.0, 10.0), 0.2, np.array(list("abcdefghi")))
    8.0

    Faces of a person are alike, so that what is promised is about persons: of a new person one face, drawn at
    random, is covered with a probability of at least 1 - alpha, whatever the model and the faces are like.
    Each person counts for one, with equal parts for each face, and one more person, of whom nothing is known,
    counts as the worst there can be. That is the pooling of persons' distributions of Dunn, Wasserman &
    Ramdas (2023, "Distribution-free prediction sets for two-layer hierarchical models") with the correction
    that makes its promise hold for any number of persons (Lee, Barber & Willett 2023, "Distribution-free
    inference with hierarchical data"). Their other way, one face of each person over and over, needs
    chance and promises only 1 - 2 alpha. Counting faces instead promises nothing: the persons with most
    photographs would decide for all.

    The promise is about all persons together. Among those of one age group fewer may be covered: see
    coverage_by().

    Args:
        scores: how strange the true answer looked, of faces that the model had not seen, shape (n,).
        alpha: share that may be missed.
        subjects: person on each face, shape (n,).

    Returns:
        The threshold; infinite where there are fewer than 1 / alpha - 1 persons.
    """
    _check_lengths(scores, subjects)
    codes, counts = np.unique(subjects, return_inverse=True, return_counts=True)[1:]
    order = np.argsort(scores, kind="stable")
    weights = np.cumsum(1 / counts[codes[order]])
    # What is equal but for the last bits of a sum counts as equal.
    first = int(np.searchsorted(weights, (1 - alpha) * (len(counts) + 1) - 1e-9))
    return float(scores[order[first]]) if first < len(scores) else float("inf")


def class_scores(probabilities: NDArray[np.float64], *, ordered: bool) -> NDArray[np.float64]:
    """Return how strange each class looks as the answer, shape (n, n_classes).

    >>> class_scores(np.array([[0.5, 0.25, 0.25]]), ordered=True)
    array([[0.  , 0.5 , 0.75]])

    Args:
        probabilities: of each class, shape (n, n_classes).
        ordered: whether classes have neighbours. If not, a score is 1 - probability, which gives the
            smallest sets there can be (Sadinle, Lei & Wasserman 2019). If so, sets must not have gaps: they
            grow from the likeliest class to whichever neighbour is the likelier, and the score of a class
            is the probability of all that was let in before it.
    """
    if not ordered:
        return 1.0 - probabilities
    n, n_classes = probabilities.shape
    rows = np.arange(n)
    low = probabilities.argmax(axis=1)
    high = low.copy()
    scores = np.zeros((n, n_classes))
    held = probabilities[rows, low]
    beside = np.pad(probabilities, ((0, 0), (1, 1)), constant_values=-1.0)  # nothing grows beyond the ends
    for _ in range(n_classes - 1):
        is_down = beside[rows, low] >= beside[rows, high + 2]
        low, high = low - is_down, high + ~is_down
        added = np.where(is_down, low, high)
        scores[rows, added] = held
        held = held + probabilities[rows, added]
    return scores


@dataclass(frozen=True)
class ClassSets:
    """Which classes to answer with.

    Attributes:
        thresholds: up to which of its class_scores() each class is let in, shape (n_classes,); infinite for
            a class that was seen too seldom to say, which is then always in.
        ordered: whether sets must not have gaps.
    """

    thresholds: tuple[float, ...]
    ordered: bool

    def of(self, probabilities: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return which classes each face may have, bool of shape (n, n_classes).

        The likeliest class is always one of them: an empty answer would say less than an unsure one. So a
        model that is right more often than is asked for gives single answers, which hold the truth more
        often.
        """
        scores = class_scores(probabilities, ordered=self.ordered)
        sets: NDArray[np.bool_] = scores <= np.array(self.thresholds)
        sets[np.arange(len(sets)), probabilities.argmax(axis=1)] = True
        if self.ordered:  # where every class has its own threshold one may be left out between two others
            after_first = np.logical_or.accumulate(sets, axis=1)
            before_last = np.logical_or.accumulate(sets[:, ::-1], axis=1)[:, ::-1]
            sets = after_first & before_last
        return sets


def fit_class_sets(
    probabilities: NDArray[np.float64],
    y: NDArray[np.intp],
    subjects: NDArray[Any],
    *,
    alpha: float,
    ordered: bool,
    per_class: bool,
) -> ClassSets:
    """Return how to answer with sets of classes that hold the true one, but for a share of alpha.

    Args:
        probabilities: of each class, of faces that the model had not seen, shape (n, n_classes).
        y: class numbers, shape (n,).
        subjects: person on each face, shape (n,).
        alpha: share that may be missed.
        ordered: see class_scores().
        per_class: keep the promise for the persons of each class by themselves, at the price of larger
            sets (Sadinle, Lei & Wasserman 2019). Otherwise it is kept for all of them together, where a class
            that is hard to read may be missed far more often.
    """
    _check_classes(probabilities, y)
    n_classes = probabilities.shape[1]
    own = class_scores(probabilities, ordered=ordered)[np.arange(len(y)), y]
    if not per_class:
        return ClassSets((conformal_threshold(own, alpha, subjects),) * n_classes, ordered)
    thresholds = []
    for number in range(n_classes):
        chosen = y == number
        known = chosen.any()
        thresholds.append(
            conformal_threshold(own[chosen], alpha, subjects[chosen]) if known else float("inf")
        )
    return ClassSets(tuple(thresholds), ordered)


def cross_fitted_sets(
    probabilities: NDArray[np.float64],
    y: NDArray[np.intp],
    folds: NDArray[np.intp],
    subjects: NDArray[Any],
    *,
    alpha: float,
    ordered: bool,
    per_class: bool,
) -> NDArray[np.bool_]:
    """Return which classes each face may have, by what was found on other persons, shape (n, n_classes).

    The promise of conformal_threshold() is for the faces of one model. Here every fold has its own, and that
    they are alike is all there is to say that it holds still; so look whether it does, with coverage_by().

    Args:
        probabilities: of each class, by a model that had not seen the person, shape (n, n_classes).
        y: class numbers, shape (n,).
        folds: in which each face was tested, shape (n,).
        subjects: person on each face, shape (n,).
        alpha: share that may be missed.
        ordered: see class_scores().
        per_class: see fit_class_sets().

    Raises:
        ValueError: nobody is left to learn from for a fold.
    """
    _check_lengths(probabilities, y, folds, subjects)
    sets = np.zeros(probabilities.shape, bool)
    for _, here, others in rounds(folds, subjects):
        fitted = fit_class_sets(
            probabilities[others],
            y[others],
            subjects[others],
            alpha=alpha,
            ordered=ordered,
            per_class=per_class,
        )
        sets[here] = fitted.of(probabilities[here])
    return sets


def cross_fitted_ranges(
    years: NDArray[np.float64],
    y: NDArray[np.float64],
    folds: NDArray[np.intp],
    subjects: NDArray[Any],
    *,
    alpha: float,
) -> NDArray[np.float64]:
    """Return between which completed years each face may be, by what was found on others, shape (n, 2).

    What cross_fitted_sets() says of its promise holds here too.

    Args:
        years: read by a model that had not seen the person, shape (n,).
        y: the true ones.
        folds: in which each face was tested, shape (n,).
        subjects: person on each face, shape (n,).
        alpha: share that may be missed, of people of each age.

    Raises:
        ValueError: nobody is left to learn from for a fold.
    """
    _check_lengths(years, y, folds, subjects)
    ranges = np.full((len(years), 2), np.nan)
    for _, here, others in rounds(folds, subjects):
        fitted = fit_year_ranges(years[others], y[others], subjects[others], alpha=alpha)
        ranges[here] = fitted.of(years[here])
    return ranges


# ---------------------------------------------------------------- what a fitted model keeps of it


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
        ordered: see class_scores().
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


# ---------------------------------------------------------------- do they


@dataclass(frozen=True)
class Coverage:
    """How often answers hold the truth, for faces of one label.

    Attributes:
        label: theirs.
        n_faces, n_subjects: how many there are.
        value: share that is covered, every person counting alike; None of fewer than FEWEST persons.
        between: where it lies.
        size: how many classes an answer has on average, or how many years it is wide.
        p_value: of "answers hold the truth at least as often as promised", of this label alone where it comes
            from coverage_by(), for all labels together where a report shows it; None of fewer than FEWEST
            persons.
    """

    label: str
    n_faces: int
    n_subjects: int
    value: float | None
    between: Interval | None
    size: float | None
    p_value: float | None = None


def coverage_by(
    labels: NDArray[Any],
    answers: NDArray[Any],
    y: NDArray[Any],
    subjects: NDArray[Any],
    *,
    missed: float = MISSED,
) -> list[Coverage]:
    """Return how often answers hold the truth for the faces of each label, the labels in increasing order.

    Persons count alike, as in what conformal_threshold() promises, each with the mean over her faces of the
    label. The interval is exact for a share (Clopper & Pearson 1934) of as many independent faces as tell as
    much as these persons do; unlike one from persons drawn anew it has a width also where all are covered.

    Args:
        labels: of each face, shape (n,).
        answers: sets of classes, bool of shape (n, n_classes), or ranges of completed years, float of shape
            (n, 2).
        y: class numbers or years, shape (n,).
        subjects: person on each face, shape (n,).
        missed: share of faces whose answer may lack the truth: what is promised.
    """
    _check_lengths(labels, answers, y, subjects)
    covered, sizes = _held(answers, y)
    found = []
    for label in np.unique(labels):
        chosen = labels == label
        columns = np.stack([covered[chosen], sizes[chosen], np.ones(chosen.sum())], axis=1)
        of_each = per_subject(columns, subjects[chosen])
        means = of_each[:, :2] / of_each[:, 2:]
        n_subjects = len(means)
        if n_subjects < FEWEST:
            found.append(Coverage(str(label), int(chosen.sum()), n_subjects, None, None, None))
            continue
        value, size = (float(mean) for mean in means.mean(axis=0))
        variance = float(means[:, 0].var(ddof=1)) / n_subjects
        n = max(value * (1 - value) / variance, n_subjects) if variance else n_subjects
        between = _exact(value, n, 1 - LEVEL)
        p_value = _at_most(value, n, 1 - missed)
        found.append(Coverage(str(label), int(chosen.sum()), n_subjects, value, between, size, p_value))
    return found


def _held(answers: NDArray[Any], y: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return 1 where an answer holds the truth, and how large it is."""
    if answers.dtype == np.bool_:
        _check_classes(answers, y)
        return answers[np.arange(len(y)), y].astype(np.float64), answers.sum(axis=1).astype(np.float64)
    low, high = answers.T
    completed = np.floor(y)
    return ((low <= completed) & (completed <= high)).astype(np.float64), high - low


def _exact(share: float, n: float, doubt: float) -> Interval:
    """Return between which values a share lies (Clopper & Pearson 1934); n need not be whole."""
    from scipy.stats import beta

    hits = share * n
    low = float(beta.ppf(doubt / 2, hits, n - hits + 1)) if share > 0 else 0.0
    high = float(beta.ppf(1 - doubt / 2, hits + 1, n - hits)) if share < 1 else 1.0
    return Interval(low, high)


def _at_most(share: float, n: float, promised: float) -> float:
    """Return how often a share as small is seen where the promise is kept (exact binomial test)."""
    from scipy.stats import beta

    hits = share * n
    return float(beta.sf(promised, hits + 1, n - hits)) if hits < n else 1.0


def _check_lengths(*arrays: NDArray[Any]) -> None:
    lengths = [len(one) for one in arrays]
    if len(set(lengths)) > 1 or not lengths[0]:
        raise ValueError(f"Each face needs one of everything. Got {', '.join(map(str, lengths))}.")


def _check_classes(probabilities: NDArray[Any], y: NDArray[Any]) -> None:
    _check_lengths(probabilities, y)
    if not np.issubdtype(y.dtype, np.integer) or y.min() < 0 or y.max() >= probabilities.shape[1]:
        raise ValueError(f"y must be class numbers from 0 to {probabilities.shape[1] - 1}.")
