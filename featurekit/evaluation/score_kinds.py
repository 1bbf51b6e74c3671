"""How every score is shown: its title, its unit, its digits, and which end is good.

Whatever shows a score, a page, a terminal or a notebook, asks here.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class ScoreKind:
    """How a score is shown.

    Attributes:
        name: name of the score in featurekit.evaluation.scores.
        title: heading of its column in a table.
        unit: "%" for shares, which are stored between 0 and 1; "groups" or "years"; "" if unknown.
        meaning: explanation in one phrase.
        best: max if higher values are better, min if lower ones are, None if unknown.
        in_full: name where there is more room than in a column's heading; "" if it is the title.
    """

    name: str
    title: str
    unit: str = ""
    meaning: str = ""
    best: Callable[[Sequence[float]], float] | None = None
    in_full: str = ""

    @property
    def scale(self) -> float:
        """Factor between the stored score and the number that is shown."""
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
        """Return how much better value is than other, in the unit in which scores are stored."""
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
    """Return scores, by name, under the names that they have today.

    >>> renamed({"one_off": 0.9, "log_loss": 0.4})
    {'within_one_group': 0.9, 'log_loss': 0.4}
    """
    return {_OLD_NAMES.get(name, name): score for name, score in scores.items()}


def score_kind(name: str) -> ScoreKind:
    """Return how a score is shown; an unknown score is shown under its own name."""
    return SCORES.get(name) or ScoreKind(name, name)


def signed(kind: ScoreKind, gain: float) -> str:
    """Return a difference with its sign, e.g. "+1.2" or "−0.3"; without one where it is shown as 0."""
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
