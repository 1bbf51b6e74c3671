"""The models that are looked at in detail, and compared with the best one, where there is no room for all."""

from collections.abc import Sequence

import numpy as np

from featurekit.evaluation.differences import Difference
from featurekit.evaluation.results import Run

N_DETAILED = 3  # trained models that are looked at in detail, the best ones


def is_off_the_shelf(run: Run) -> bool:
    """Whether a run is of a network with its own output layer, which was not trained here."""
    return run.is_baseline and run.classifier != "majority"


def in_detail(ranked: Sequence[Run]) -> list[Run]:
    """Return the runs of one target that are looked at in detail.

    Args:
        ranked: the runs of one target, best first.

    Returns:
        The best N_DETAILED trained runs, then the off-the-shelf networks, both best first.
    """
    trained = [run for run in ranked if not run.is_baseline]
    return [*trained[:N_DETAILED], *filter(is_off_the_shelf, ranked)]


def ranked_by(runs: Sequence[Run], score: str) -> list[Run]:
    """Return the runs of one target, best first by the mean of a score over the folds, as the report ranks.

    Args:
        runs: runs of one target.
        score: name of the score, "accuracy" or "mae_years". Runs without it come last.
    """
    means = np.array([run.scores.get(score, {}).get("mean") for run in runs], float)  # None becomes NaN
    badness = np.where(np.isfinite(means), means if score == "mae_years" else -means, np.inf).tolist()
    order = sorted(range(len(runs)), key=lambda number: (badness[number], runs[number].name))
    return [runs[number] for number in order]


def rivals_of(ranked: Sequence[Run], best: str, differences: Sequence[Difference]) -> list[str]:
    """Return the names of up to two runs with which the best trained run is compared in detail.

    Args:
        ranked: the runs of one target, best first.
        best: name of the best trained run.
        differences: tested differences between the runs.

    Returns:
        The best off-the-shelf network, if there is one. Then the best trained run that is significantly worse
        than the best one; if there is none, the second run of the ranking.
    """
    pairs = [{one.first, one.second} for one in differences if one.is_shown]
    trained = [run.name for run in ranked if not run.is_baseline and run.name != best]
    clear = [name for name in trained if {name, best} in pairs]
    shelf = [run.name for run in ranked if is_off_the_shelf(run) and run.name != best]
    return [*shelf[:1], *(clear or trained)[:1]]
