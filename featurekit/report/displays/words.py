"""Names of the scores on an axis and in the title of a figure."""

from featurekit.evaluation.scores import ScoreKind


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
    """Return the label of an axis of scores: the score, its unit, and which values are better.

    >>> from featurekit.evaluation.scores import SCORES
    >>> axis_label(SCORES["accuracy"]), axis_label(SCORES["mae_years"])
    ('Accuracy, % (higher is better)', 'Mean absolute error, years (lower is better)')
    """
    return with_unit(kind) + (f" ({better(kind)} is better)" if kind.best else "")
