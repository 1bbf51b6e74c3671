"""What a cheaper model would save and lose against the best one: what can be recommended instead of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from featurekit.data.manifest import Target
from featurekit.evaluation.differences import ALPHA, Difference
from featurekit.evaluation.estimates import losses_of
from featurekit.evaluation.results import Run
from featurekit.evaluation.timing import CLEARLY, milliseconds, timed_on
from featurekit.uncertainty.resampling import non_inferior, per_subject


@dataclass(frozen=True, kw_only=True)
class Trade:
    """What a cheaper model would save and lose against the best one.

    Attributes:
        name: of its run.
        milliseconds, best_milliseconds: what a face takes with it and with the best model.
        loss: by how much the best model is the better one; a share of faces, or years. Above 0 means that the
            cheaper one is worse.
        low, high: between which values the loss lies, for this model by itself.
        p_value: of "it loses the margin or more against the truly best model", for all cheaper models
            together.
        limit: the smallest p-value that the test can give.
        is_within: whether it is shown to lose less than the margin.
    """

    name: str
    milliseconds: float
    best_milliseconds: float
    loss: float
    low: float
    high: float
    p_value: float
    limit: float = 0.0
    is_within: bool


def trades_of(
    target: Target,
    trained: Sequence[Run],
    best: str,
    tables: Mapping[str, pd.DataFrame],
    differences: Sequence[Difference],
    margin: float,
    seed: int,
) -> tuple[Trade, ...]:
    """Return what each trained model that is clearly cheaper than the best one loses against it."""
    times = {run.name: time for run in trained if (time := milliseconds(run)) is not None}
    machine = {run.name: timed_on(run) for run in trained}

    def is_cheaper(name: str, than: str) -> bool:
        return (
            name in times
            and than in times
            and machine[name] == machine[than]
            and times[name] * CLEARLY <= times[than]
        )

    names = [run.name for run in trained]
    # Which model comes out best is chance too: tested is each that could have stood beside another best one.
    candidates = [
        number for number, name in enumerate(names) if any(is_cheaper(name, other) for other in names)
    ]
    if not any(is_cheaper(name, best) for name in names) or not differences:
        return ()
    losses = np.stack(
        [losses_of(target, tables[name]) for name in names] + [np.ones(len(tables[best]))], axis=1
    )
    of_each = per_subject(losses, tables[best]["subject"].to_numpy())
    tested = non_inferior(of_each[:, :-1], of_each[:, -1], candidates, margin=margin, seed=seed)
    of_pair = {(one.first, one.second): (one.gain, one.low, one.high) for one in differences}
    of_pair |= {
        (second, first): (-gain, -high, -low) for (first, second), (gain, low, high) in of_pair.items()
    }
    found = []
    for number, p in zip(candidates, tested.adjusted, strict=True):
        if is_cheaper(names[number], best):
            loss, low, high = of_pair[best, names[number]]
            found.append(
                Trade(
                    name=names[number],
                    milliseconds=times[names[number]],
                    best_milliseconds=times[best],
                    loss=loss,
                    low=low,
                    high=high,
                    p_value=float(p),
                    limit=tested.limit,
                    is_within=bool(p <= ALPHA),
                )
            )
    return tuple(sorted(found, key=lambda one: (one.milliseconds, one.name)))
