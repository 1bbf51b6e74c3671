"""The time of a run for one face, its machine, and when two times differ."""

import math

from featurekit.evaluation.results import Run

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
    got = run.hardware.get("got", {}).values()
    gpus = {str(one["device"]) for one in got if str(one.get("device", "")).startswith("cuda")}
    return ", ".join([str(run.hardware.get("processor", "")), *sorted(gpus)])


def _seconds(run: Run, step: str) -> float | None:
    """Return the time of a step, or None if it is not known."""
    value = run.seconds.get(step)
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None
