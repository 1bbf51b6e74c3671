"""What scores are called on an axis and in a heading: in the words of the field."""

from featurekit.evaluation.score_kinds import ScoreKind

_TITLES = {
    "exact": "Accuracy",
    "one_off": "Accuracy within one group",
    "balanced_accuracy": "Balanced accuracy",
    "mae_groups": "Mean absolute error",
    "mae_years": "Mean absolute error",
    "quadratic_kappa": "Quadratic kappa",
}


def score_title(kind: ScoreKind) -> str:
    """Return what a score is called on an axis, without its unit.

    >>> from featurekit.evaluation.score_kinds import SCORES
    >>> score_title(SCORES["exact"]), score_title(SCORES["mae_years"])
    ('Accuracy', 'Mean absolute error')
    """
    return _TITLES.get(kind.name, kind.title)


def axis_label(kind: ScoreKind) -> str:
    """Return what is written at an axis of scores: the score, its unit, and which end is good.

    >>> from featurekit.evaluation.score_kinds import SCORES
    >>> axis_label(SCORES["exact"]), axis_label(SCORES["mae_years"])
    ('Accuracy, % (more is better)', 'Mean absolute error, years (less is better)')
    """
    better = "less is better" if kind.best is min else "more is better" if kind.best else ""
    unit = f", {kind.unit}" if kind.unit else ""
    return f"{score_title(kind)}{unit}" + (f" ({better})" if better else "")
