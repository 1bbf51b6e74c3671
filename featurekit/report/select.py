"""Which runs are on a page, in which order, and the names they have there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from featurekit.errors import TargetError, UnknownNameError
from featurekit.evaluation.comparable import NO_OUTCOMES, set_apart
from featurekit.evaluation.cost import timed_on
from featurekit.evaluation.evidence import Evidence, TargetEvidence
from featurekit.evaluation.results import Run
from featurekit.evaluation.scores import SCORES, ScoreKind, score_kind
from featurekit.registry import unknown
from featurekit.report.cells import finite
from featurekit.text import counted

Value = TypeVar("Value")
_TARGET_TITLES = {
    "age_group": "Age group",
    "gender": "Gender",
    "gender3": "Gender, three classes",
    "age": "Age in years",
}
# The score that decides the order of a table: the first of these that the runs have.
_HEADLINES = ("accuracy", "mae_years")


@dataclass(frozen=True)
class Ranked:
    """The runs of one target that are compared with each other.

    Attributes:
        name: name of the target.
        runs: best first, at least one.
        evidence: intervals, tests and slices of these runs; None if the predictions are not available.
    """

    name: str
    runs: Sequence[Run]
    evidence: TargetEvidence | None

    @property
    def title(self) -> str:
        """Name of the target in a heading."""
        return target_title(self.name)

    @property
    def best_model(self) -> str:
        """Name of the best model in a sentence or caption about this model only."""
        assert self.evidence is not None
        names = {run.name: run.classifier_name for run in self.runs}
        return f"the best model ({names.get(self.evidence.sliced, self.evidence.sliced)})"


def target_title(name: str) -> str:
    """Return the name of a target in a heading."""
    return _TARGET_TITLES.get(name, name)


def headline(runs: Sequence[Run]) -> ScoreKind:
    """Return the score that decides which run is best: the first known one that any run has."""
    names = dict.fromkeys(name for run in runs for name in run.scores)
    default = "mae_years" if runs and not runs[0].classes else "accuracy"
    return score_kind(next((name for name in (*_HEADLINES, *SCORES, *names) if name in names), default))


def mean_of(run: Run, name: str) -> float | None:
    """Return a run's mean score on the faces found, or None if it does not have the score."""
    return finite(run.scores.get(name, {}).get("mean"))


def best_first(runs: Sequence[Run]) -> list[Run]:
    """Return the runs of one target in order: best headline score first, those without one last."""
    kind = headline(runs)

    def order(run: Run) -> tuple[bool, float, str]:
        mean = mean_of(run, kind.name)
        return mean is None, -kind.gain(mean, 0.0) if mean is not None else 0.0, run.name

    return sorted(runs, key=order)


def role(run: Run) -> str:
    """Return the role of a run in the comparison.

    Returns:
        "baseline" for the model that makes the same prediction for every face, "off-the-shelf" for a
        network with its own output layer, which was not trained here, and "" for a trained model.
    """
    if not run.is_baseline:
        return ""
    return "baseline" if run.classifier == "majority" else "off-the-shelf"


def model_name(run: Run) -> str:
    """Return one name for a run: its model and its features."""
    return f"{run.classifier_name} · {run.features}"


def timed_alike(runs: Sequence[Run]) -> list[Run]:
    """Return the trained models whose times can be compared: those of the best model's machine."""
    machine = machine_of(runs)
    return [run for run in runs if not run.is_baseline and timed_on(run) == machine]


def machine_of(runs: Sequence[Run]) -> str:
    """Return the machine whose times are shown: that of the best trained model, or else of the best run."""
    ordered = best_first(runs)
    best = [run for run in ordered if not run.is_baseline] or ordered
    return timed_on(best[0]) if best else ""


def elsewhere_note(runs: Sequence[Run], machine: str) -> str:
    """Return the sentence on runs whose times are blank because of another machine; "" if there are none."""
    n_elsewhere = sum(timed_on(run) != machine for run in runs)
    if not n_elsewhere:
        return ""
    them = counted(n_elsewhere, "run, which was", "runs, which were")
    of = f" ({machine})" if machine else ""
    return f"Times are blank for {them} timed on another machine than the best model{of}."


def apart_from(
    runs: Sequence[Run], evidence: Evidence | None, apart: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return the runs that are set apart, each with the reason.

    Args:
        runs: all runs of the comparison.
        evidence: intervals and tests of these runs; None if the predictions are not available.
        apart: name of a run → why it cannot be compared; None to find that out from the runs.
    """
    found = dict(set_apart(runs) if apart is None else apart)
    known = evidence.targets if evidence else {}
    for run in runs:
        if run.name not in found and run.target in known and run.name not in known[run.target].estimates:
            found[run.name] = NO_OUTCOMES
    return found


def targets_of(runs: Sequence[Run]) -> list[str]:
    """Return the targets of some runs in the order of the page."""
    names = [name for name in _TARGET_TITLES if any(run.target == name for run in runs)]
    return names + sorted({run.target for run in runs} - set(names))


def distinct(values: Sequence[Value]) -> list[Value]:
    """Return the distinct values in the order in which they occur."""
    return [value for i, value in enumerate(values) if value not in values[:i]]


def one_target(runs: Sequence[Run], target: str | None) -> str:
    """Return the target with a name; None is allowed if the runs have only one target.

    Raises:
        TargetError: the name is None and there are several targets.
        UnknownNameError: there is no such target.
    """
    names = targets_of(runs)
    if target is None:
        if len(names) > 1:
            raise TargetError(f"Say which target: target='{names[0]}'. There are {', '.join(names)}.")
        return names[0]
    if target not in names:
        raise UnknownNameError(unknown("target of these results", str(target), names))
    return target


def run_named(runs: Sequence[Run], model: str, target: str | None = None) -> Run:
    """Return the run with a name, or the run of the model with that name.

    Args:
        runs: runs of a comparison.
        model: name of a run, or name of a model in the ranking ("svm") if only one run has that model.
        target: the run's target; None for any.

    Raises:
        TargetError: several targets are predicted by such a model.
        UnknownNameError: no run has this name, or several runs have it.
    """
    those = [run for run in runs if target in (None, run.target)]
    found = [run for run in those if run.name == model]
    # The plain name of a model means the one with default parameters, not the tuned one.
    for names_of in (lambda run: (run.classifier_name, model_name(run)), lambda run: (run.classifier,)):
        found = found or [run for run in those if model in names_of(run)]
    if not found:
        known = sorted({run.classifier_name for run in those} | {run.name for run in those})
        raise UnknownNameError(unknown("model of these results", str(model), known))
    targets = targets_of(found)
    if len(targets) > 1:
        raise TargetError(
            f"'{model}' predicts several targets. Say which: target='{targets[0]}'. There are"
            f" {', '.join(targets)}."
        )
    if len(found) > 1:
        several = ", ".join(run.name for run in found)
        raise UnknownNameError(f"'{model}' means several runs: {several}. Name one of them.")
    return found[0]
