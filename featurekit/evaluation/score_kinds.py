"""How every score is shown: its title, its unit, its digits, and which end is good.

Whatever shows a score, a page, a terminal or a notebook, asks here.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class ScoreKind:
    """How a score is shown.

    Attributes:
        name: what featurekit.evaluation.scores calls it.
        title: what the column is called.
        unit: "%" for shares, which are kept between 0 and 1; "groups" or "years"; "" where unknown.
        meaning: what it is, in words.
        best: max, min, or None where nobody knows which end is good.
    """

    name: str
    title: str
    unit: str = ""
    meaning: str = ""
    best: Callable[[Sequence[float]], float] | None = None

    @property
    def scale(self) -> float:
        """Number that a kept score is multiplied by to be shown."""
        return 100.0 if self.unit == "%" else 1.0

    @property
    def unit_of_difference(self) -> str:
        """Unit of the difference between two scores: two shares differ by points."""
        return "points" if self.unit == "%" else self.unit

    def format(self, value: float) -> str:
        """Return a number on the kept scale as it is shown, without its unit."""
        digits = {"%": 1, "groups": 2, "years": 2}.get(self.unit, 3)
        return f"{value * self.scale:.{digits}f}"

    def gain(self, value: float, other: float) -> float:
        """Return how much better value is than other, on the kept scale."""
        return other - value if self.best is min else value - other


SCORES = {
    kind.name: kind
    for kind in (
        ScoreKind("exact", "Exact", "%", "share of faces given their own class", max),
        ScoreKind("one_off", "One off", "%", "share given their own class or a neighbouring one", max),
        ScoreKind("balanced_accuracy", "Balanced", "%", "mean of the classes' recalls", max),
        ScoreKind("macro_f1", "Macro-F1", "%", "mean of the classes' F1 scores", max),
        ScoreKind("mae_groups", "MAE", "groups", "mean distance from the true group, in groups", min),
        ScoreKind("quadratic_kappa", "Kappa", "", "agreement beyond chance, far answers weighing more", max),
        ScoreKind(
            "roc_auc", "ROC-AUC", "", "how often the right class is given more than it is elsewhere", max
        ),
        ScoreKind(
            "ranked_probability", "RPS", "", "squared error of the probabilities to lie above each limit", min
        ),
        ScoreKind("log_loss", "Log loss", "", "mean surprise at the true class, in nats; 0 is best", min),
        ScoreKind("mae_years", "MAE", "years", "mean distance from the true age, in years", min),
    )
}


def score_kind(name: str) -> ScoreKind:
    """Return how a score is shown; an unknown one is shown under its own name."""
    return SCORES.get(name) or ScoreKind(name, name)


def signed(kind: ScoreKind, gain: float) -> str:
    """Return a difference with its sign, e.g. "+1.2" or "−0.3"; without one where it is shown as 0."""
    digits = kind.format(abs(gain))
    return ("" if not float(digits) else "+" if gain > 0 else "−") + digits


def score_word(kind: ScoreKind) -> str:
    """Return what a score is called within a sentence."""
    names = {"exact": "exact accuracy", "one_off": "one off", "mae_years": "mean absolute error"}
    return names.get(kind.name, kind.title)
