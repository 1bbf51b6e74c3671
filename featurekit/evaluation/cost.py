"""The time that models need for one face, and how much worse a faster model is than the best one."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from featurekit.data.targets import Target
from featurekit.evaluation.differences import ALPHA, Difference
from featurekit.evaluation.estimates import losses_of
from featurekit.evaluation.results import Run
from featurekit.uncertainty.paired_tests import non_inferior
from featurekit.uncertainty.resampling import per_subject

# Times are measured once, on machines with other work: a smaller ratio is not a clear difference.
CLEARLY = 1.25


def milliseconds(run: Run) -> float | None:
    """Return the time for one face from the image to the prediction, on the machine of the run."""
    n_rows = run.dataset.get("n_rows")
    extract, predict = _seconds(run, "extract"), _seconds(run, "predict")
    if not n_rows or not run.n_tested or extract is None or predict is None:
        return None
    return float(1000 * (extract / n_rows + predict / run.n_tested))


def timed_on(run: Run) -> str:
    """Return the machine of a run: its processor, and its GPU if it used one."""
    devices = {str(one.get("device", "")) for one in run.hardware.get("got", {}).values()}
    gpus = sorted(device for device in devices if device.startswith("cuda"))
    return ", ".join([str(run.hardware.get("processor", "")), *gpus])


def _seconds(run: Run, step: str) -> float | None:
    """Return the time of a step, or None if it is not known."""
    value = run.seconds.get(step)
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


@dataclass(frozen=True, kw_only=True)
class Trade:
    """What a cheaper (faster) model saves and loses compared with the best one.

    Attributes:
        name: name of the cheaper model's run.
        milliseconds, best_milliseconds: time for one face with the cheaper model, and with the best model.
        loss: by how much the best model is better: a share of faces, or a mean error in years. Above 0 the
            cheaper model is worse.
        low, high: confidence interval of the loss, for this model alone.
        p_value: p-value of the null hypothesis that this model loses the margin or more compared with the
            truly best model, adjusted for all cheaper models.
        limit: smallest p-value that the test can give.
        is_within: whether there is evidence that this model loses less than the margin.
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
    """Return what each trained model that is clearly cheaper than the best one loses, the cheapest first."""
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
    # Which model is best here is chance too, so every model that is cheaper than some other one is tested.
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
    p_values = {names[number]: float(p) for number, p in zip(candidates, tested.adjusted, strict=True)}
    from_best = [
        one if one.first == best else one.swapped for one in differences if best in (one.first, one.second)
    ]
    found = [
        Trade(
            name=one.second,
            milliseconds=times[one.second],
            best_milliseconds=times[best],
            loss=one.gain,
            low=one.low,
            high=one.high,
            p_value=p_values[one.second],
            limit=tested.limit,
            is_within=p_values[one.second] <= ALPHA,
        )
        for one in from_best
        if is_cheaper(one.second, best)
    ]
    return tuple(sorted(found, key=lambda one: (one.milliseconds, one.name)))
