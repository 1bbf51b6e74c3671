"""What a face costs: the time that a run took for it, on which machine, and when two times differ."""

import math

from featurekit.evaluation.results import Run

# A face's milliseconds are measured once, on machines where other work runs: less than this is no difference.
CLEARLY = 1.25


def milliseconds(run: Run) -> float | None:
    """Return what a face takes from the picture to the answer, on the machine of the run."""
    n_rows = run.dataset.get("n_rows")
    extract, predict = _seconds(run, "extract"), _seconds(run, "predict")
    if not n_rows or not run.n_tested or extract is None or predict is None:
        return None
    return float(1000 * (extract / n_rows + predict / run.n_tested))


def timed_on(run: Run) -> str:
    """Return the machine that a run took its time on: its processor, and its GPU where it used one."""
    got = run.hardware.get("got", {}).values()
    gpus = {str(one["device"]) for one in got if str(one.get("device", "")).startswith("cuda")}
    return ", ".join([str(run.hardware.get("processor", "")), *sorted(gpus)])


def _seconds(run: Run, step: str) -> float | None:
    """Return how long a step took, or None where that is not known."""
    value = run.seconds.get(step)
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None
