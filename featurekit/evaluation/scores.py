"""How each score is computed, and how it is shown.

Scores of predicted classes are computed from a confusion matrix: the number of faces of
each true class with each predicted class, in natural order. The functions also accept many
matrices at once, as confidence intervals need them. A class without a tested face is left
out of averages over classes.

The second part says how reports, terminals and notebooks show a score: its title, its
unit, the number of decimals, and whether higher or lower values are better.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from featurekit.data.targets import Target
from featurekit.uncertainty.resampling import ratio

# The predicted class of a row in which no face was found.
NO_FACE = -1


def score(
    target: Target, y_true: NDArray[Any], y_pred: NDArray[Any], proba: NDArray[np.float64] | None = None
) -> dict[str, float]:
    """Return the scores that fit a target: "accuracy", "within_one_group", "mae_years", ...

    Args:
        target: target that was predicted.
        y_true: true class numbers, or true ages for a regression target, shape (n,).
        y_pred: predicted class numbers or ages, shape (n,).
        proba: predicted probability of each class, shape (n, n_classes), for the scores "log_loss",
            "roc_auc" and, if the classes have an order, "ranked_probability"; None to leave these out.

    Raises:
        ValueError: there are no faces, or a prediction is missing.
    """
    if not len(y_true) or len(y_true) != len(y_pred):
        raise ValueError(f"There are {len(y_pred)} predictions for {len(y_true)} faces.")
    if target.is_regression:
        if not np.isfinite(y_pred).all():
            raise ValueError(f"Row {np.flatnonzero(~np.isfinite(y_pred))[0]} has no predicted age.")
        return {"mae_years": float(np.mean(np.abs(y_true - y_pred)))}
    if (y_pred < 0).any():
        raise ValueError(f"Row {np.flatnonzero(y_pred < 0)[0]} has no predicted class.")
    of_counts = from_counts(counts_of(y_true, y_pred, len(target.classes)), ordered=target.ordered)
    scores = {name: float(value) for name, value in of_counts.items()}
    if proba is not None:
        scores["log_loss"] = float(log_losses(y_true, proba).mean())
        if target.ordered:
            scores["ranked_probability"] = float(ranked_probabilities(y_true, proba).mean())
        scores["roc_auc"] = roc_auc(y_true, proba)
    return scores


def score_all_rows(target: Target, y_true: NDArray[np.intp], y_pred: NDArray[np.intp]) -> dict[str, float]:
    """Return the scores on all labelled rows, where a row without a face counts as wrong.

    A row without a face has no distance from the true class, so there are no scores in groups or in years.

    >>> from featurekit.data.targets import AGE_GROUP
    >>> score_all_rows(AGE_GROUP, np.array([0, 0, 1]), np.array([NO_FACE, 0, 1]))["within_one_group"]
    0.6666666666666666

    Args:
        target: target that was predicted.
        y_true: true class numbers, shape (n,).
        y_pred: predicted class numbers, shape (n,); NO_FACE for a row without a face.

    Raises:
        ValueError: there are no rows.
    """
    if target.is_regression:
        return {}
    # Outside of the classes, and more than one group away from each of them.
    scores = score(target, y_true, np.where(y_pred != NO_FACE, y_pred, len(target.classes) + 1))
    return {name: value for name, value in scores.items() if name not in ("mae_groups", "quadratic_kappa")}


def summarize(per_fold: Sequence[Mapping[str, float]]) -> dict[str, dict[str, Any]]:
    """Return the mean, the standard deviation over folds, and the value in each fold of every score.

    >>> summarize([{"accuracy": 0.5}, {"accuracy": 0.7}])["accuracy"]["mean"]
    0.6

    Args:
        per_fold: the scores of each fold.

    Returns:
        Each score as {"mean", "std", "folds"}; None stands for a fold in which the score is missing or NaN.
    """
    summary: dict[str, dict[str, Any]] = {}
    for name in dict.fromkeys(name for scores in per_fold for name in scores):
        values = [float(scores.get(name, np.nan)) for scores in per_fold]
        known = [value for value in values if np.isfinite(value)]
        summary[name] = {
            "mean": float(np.mean(known)) if known else None,
            "std": float(np.std(known)) if known else None,
            "folds": [value if np.isfinite(value) else None for value in values],
        }
    return summary


def counts_of(y_true: NDArray[np.intp], y_pred: NDArray[np.intp], n_classes: int) -> NDArray[np.float64]:
    """Return the confusion matrix, true × predicted classes, shape (n_classes, n_classes + 1).

    The last column counts predictions that are not one of the classes.

    >>> counts_of(np.array([0, 0, 1]), np.array([0, 1, NO_FACE]), 2)
    array([[1., 1., 0.],
           [0., 0., 1.]])
    """
    counts = np.bincount(cells_of(y_true, y_pred, n_classes), minlength=n_classes * (n_classes + 1))
    return counts.reshape(n_classes, n_classes + 1).astype(np.float64)


def cells_of(y_true: NDArray[np.intp], y_pred: NDArray[np.intp], n_classes: int) -> NDArray[np.intp]:
    """Return the number of the cell of the confusion matrix that counts each face, shape (n,)."""
    return y_true * (n_classes + 1) + np.where((y_pred >= 0) & (y_pred < n_classes), y_pred, n_classes)


def from_counts(counts: NDArray[np.float64], *, ordered: bool) -> dict[str, NDArray[np.float64]]:
    """Return the scores that can be computed from confusion matrices, each of shape (...).

    Args:
        counts: confusion matrices, shape (..., n_classes, n_classes + 1); see counts_of().
        ordered: whether the classes have an order. Scores in groups are left out if some prediction is not
            one of the classes, because it has no distance from the true class.
    """
    scores = {"accuracy": accuracy(counts)}
    if ordered:
        scores["within_one_group"] = accuracy(counts, within=1)
    scores["balanced_accuracy"] = balanced_accuracy(counts)
    scores["macro_f1"] = macro_f1(counts)
    if ordered and not counts[..., -1].any():
        scores["mae_groups"] = mae_groups(counts)
        scores["quadratic_kappa"] = quadratic_kappa(counts)
    return scores


def accuracy(counts: NDArray[np.float64], *, within: int = 0) -> NDArray[np.float64]:
    """Return the share of faces whose predicted class is the true one, or at most `within` groups from it.

    >>> counts = counts_of(np.array([0, 1, 5, 2]), np.array([1, 1, 3, 2]), 6)
    >>> float(accuracy(counts)), float(accuracy(counts, within=1))
    (0.5, 0.75)
    """
    return ratio((counts[..., :-1] * (_distances(counts) <= within)).sum((-2, -1)), counts.sum((-2, -1)))


def balanced_accuracy(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean recall of the classes that occur among the faces.

    >>> float(balanced_accuracy(counts_of(np.array([0, 0, 0, 1]), np.array([0, 0, 0, 0]), 2)))
    0.5
    """
    recall = recalls(counts)
    return ratio(np.nansum(recall, axis=-1), np.isfinite(recall).sum(-1).astype(np.float64))


def recalls(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the recall of each class, shape (..., n_classes); NaN if no face has it.

    >>> recalls(counts_of(np.array([0, 0, 1]), np.array([0, 1, 1]), 3))
    array([0.5, 1. , nan])
    """
    return ratio(_hits(counts), counts.sum(-1))


def macro_f1(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean F1 score of the classes that are true or predicted for some face.

    >>> float(macro_f1(counts_of(np.array([0, 0, 1]), np.array([0, 1, 1]), 3)))
    0.6666666666666666
    """
    both = counts.sum(-1) + counts[..., :-1].sum(-2)
    f1 = np.nan_to_num(ratio(2 * _hits(counts), both))
    return ratio(f1.sum(-1), (both > 0).sum(-1).astype(np.float64))


def mae_groups(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean distance between the predicted and the true group.

    >>> float(mae_groups(counts_of(np.array([0, 1, 5]), np.array([1, 1, 3]), 6)))
    1.0
    """
    return ratio((counts[..., :-1] * _distances(counts)).sum((-2, -1)), counts.sum((-2, -1)))


def quadratic_kappa(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the agreement beyond chance, where larger errors have larger weights (Cohen 1968).

    The value is 1 for perfect predictions, and 0 is expected for random predictions with the same shares of
    classes. It is NaN if all faces have one class, which is always predicted.

    >>> float(quadratic_kappa(counts_of(np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1]), 2)))
    0.5
    """
    inside, weights = counts[..., :-1], _distances(counts) ** 2
    by_chance = inside.sum(-1)[..., :, None] * inside.sum(-2)[..., None, :]
    expected = ratio((by_chance * weights).sum((-2, -1)), inside.sum((-2, -1)))
    return 1 - ratio((inside * weights).sum((-2, -1)), expected)


def _hits(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.diagonal(counts, axis1=-2, axis2=-1)


def _distances(counts: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the distance in groups of each true and predicted class, shape (n_classes, n_classes)."""
    numbers = np.arange(counts.shape[-2])
    return np.asarray(np.abs(numbers[:, None] - numbers))


def log_losses(y_true: NDArray[np.intp], proba: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the log loss of each face, −log of the probability of its true class, in nats, shape (n,).

    A probability of 0 counts as one in a million, so that one mistake does not outweigh all other faces.

    >>> log_losses(np.array([0, 1]), np.array([[0.5, 0.5], [0.75, 0.25]])).round(3)
    array([0.693, 1.386])
    """
    return -np.log(np.clip(proba[np.arange(len(y_true)), y_true], 1e-6, 1))


def ranked_probabilities(y_true: NDArray[np.intp], proba: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the ranked probability score of each face, shape (n,): 0 is best, 1 is worst.

    Each threshold between two neighbouring classes asks for the probability that the class is above it. The
    score is the mean squared error of these probabilities (Epstein 1969, normalized). Unlike in the log loss,
    a probability near the true class is a smaller mistake than one far from it.

    >>> ranked_probabilities(np.array([0, 0]), np.array([[0.5, 0.5, 0.0], [0.5, 0.0, 0.5]]))
    array([0.125, 0.25 ])
    """
    is_up_to = y_true[:, None] <= np.arange(proba.shape[1] - 1)
    return np.asarray(((proba.cumsum(axis=1)[:, :-1] - is_up_to) ** 2).mean(axis=1))


def roc_auc(y_true: NDArray[np.intp], proba: NDArray[np.float64]) -> float:
    """Return the area under the ROC curve, which is 0.5 for random predictions.

    For more than two classes, it is the mean over the classes that occur, each against all other classes. It
    is NaN if only one class occurs.

    >>> roc_auc(np.array([0, 1, 1]), np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8]]))
    1.0
    """
    from scipy.stats import rankdata

    areas = []
    for number in range(1 if proba.shape[1] == 2 else 0, proba.shape[1]):
        own = y_true == number
        n_own, n_other = int(own.sum()), int((~own).sum())
        if n_own and n_other:
            above = rankdata(proba[:, number])[own].sum() - n_own * (n_own + 1) / 2
            areas.append(above / (n_own * n_other))
    return float(np.mean(areas)) if areas else float("nan")


T = TypeVar("T")


@dataclass(frozen=True)
class ScoreKind:
    """How a score is shown.

    Attributes:
        name: name of the score, as returned by score().
        title: heading of its column in a table.
        unit: "%" for shares, which are stored between 0 and 1; "groups" or "years"; "" if unknown.
        meaning: explanation in one phrase.
        best: max if higher values are better, min if lower ones are, None if unknown.
        in_full: longer name for places with more room than the heading of a column; "" to use the title.
    """

    name: str
    title: str
    unit: str = ""
    meaning: str = ""
    best: Callable[[Sequence[float]], float] | None = None
    in_full: str = ""

    @property
    def scale(self) -> float:
        """Factor by which a stored score is multiplied to be shown."""
        return 100.0 if self.unit == "%" else 1.0

    @property
    def unit_of_difference(self) -> str:
        """Unit of the difference between two scores: shares differ by percentage points."""
        return "points" if self.unit == "%" else self.unit

    def format(self, value: float) -> str:
        """Return a stored score as it is shown, without its unit."""
        digits = {"%": 1, "groups": 2, "years": 2}.get(self.unit, 3)
        return f"{value * self.scale:.{digits}f}"

    def gain(self, value: float, other: float) -> float:
        """Return by how much a value is better than another one, in the unit of stored scores."""
        return other - value if self.best is min else value - other


SCORES = {
    kind.name: kind
    for kind in (
        ScoreKind("accuracy", "Accuracy", "%", "share of faces whose class is predicted correctly", max),
        ScoreKind(
            "within_one_group",
            "Within one group",
            "%",
            "share of faces whose predicted class is the true class or a neighbouring one",
            max,
            "Accuracy within one group",
        ),
        ScoreKind("balanced_accuracy", "Balanced accuracy", "%", "mean of the recalls of all classes", max),
        ScoreKind("macro_f1", "Macro-F1", "%", "mean of the F1 scores of all classes", max),
        ScoreKind(
            "mae_groups",
            "MAE",
            "groups",
            "mean absolute error, the mean distance between the predicted and the true group",
            min,
            "Mean absolute error",
        ),
        ScoreKind(
            "quadratic_kappa",
            "Quadratic kappa",
            "",
            "Cohen's kappa with quadratic weights, the agreement beyond chance; larger errors weigh more",
            max,
        ),
        ScoreKind(
            "roc_auc",
            "ROC-AUC",
            "",
            "area under the ROC curve; with more than two classes, the mean of each class against the rest",
            max,
        ),
        ScoreKind(
            "ranked_probability",
            "RPS",
            "",
            "ranked probability score, the mean squared error of the cumulative probabilities of ordered"
            " classes; 0 is best",
            min,
            "Ranked probability score",
        ),
        ScoreKind(
            "log_loss",
            "Log loss",
            "",
            "mean negative logarithm of the probability of the true class, in nats; 0 is best",
            min,
        ),
        ScoreKind(
            "mae_years",
            "MAE",
            "years",
            "mean absolute error, the mean distance between the predicted and the true age",
            min,
            "Mean absolute error",
        ),
    )
}


# What older versions called some scores in the files that they wrote.
_OLD_NAMES = {"exact": "accuracy", "one_off": "within_one_group"}


def renamed(scores: Mapping[str, T]) -> dict[str, T]:
    """Return scores from a file, which an older version may have written, under their present names.

    >>> renamed({"one_off": 0.9, "log_loss": 0.4})
    {'within_one_group': 0.9, 'log_loss': 0.4}
    """
    return {_OLD_NAMES.get(name, name): score for name, score in scores.items()}


def score_kind(name: str) -> ScoreKind:
    """Return how a score is shown; an unknown score is shown under its own name."""
    return SCORES.get(name) or ScoreKind(name, name)


def signed(kind: ScoreKind, gain: float) -> str:
    """Return a difference with its sign, such as "+1.2" or "−0.3", or without a sign if it rounds to 0."""
    digits = kind.format(abs(gain))
    return ("" if not float(digits) else "+" if gain > 0 else "−") + digits


def score_word(kind: ScoreKind) -> str:
    """Return the name of a score within a sentence.

    >>> [score_word(SCORES[name]) for name in ("within_one_group", "macro_f1", "roc_auc", "mae_years")]
    ['accuracy within one group', 'macro-F1', 'ROC-AUC', 'mean absolute error']
    """
    title = kind.in_full or kind.title
    # Abbreviations keep their capitals, and so do the names of unknown scores.
    is_word = kind.name in SCORES and not title[:2].isupper()
    return title[0].lower() + title[1:] if is_word else title
