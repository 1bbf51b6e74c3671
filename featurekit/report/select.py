"""Select and sort the runs for the report, and name targets and models."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from featurekit.errors import TargetError, UnknownNameError
from featurekit.evaluation.comparable import NO_OUTCOMES, set_apart
from featurekit.evaluation.cost import timed_on
from featurekit.evaluation.evidence import Evidence, TargetEvidence
from featurekit.evaluation.results import Run
from featurekit.evaluation.rivals import is_off_the_shelf
from featurekit.evaluation.scores import SCORES, ScoreKind, score_kind, score_word
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
    """The runs of one target that can be compared with each other, ranked by their score.

    Attributes:
        name: name of the target.
        runs: the runs, best first; at least one.
        evidence: confidence intervals, tests and slices of the runs; None if their predictions are not
            available.
        numbers: number of the model of each run, by the name of the run; the same model has the same number
            for every target. Models are called by it wherever their full names have no room.
    """

    name: str
    runs: Sequence[Run]
    evidence: TargetEvidence | None
    numbers: Mapping[str, int] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """Name of the target as it is written in headings, e.g. "Age group"."""
        return target_title(self.name)

    @property
    def best_model(self) -> str:
        """Words for the best model in a caption, e.g. "the best model (M1)"; its class without numbers."""
        assert self.evidence is not None
        name = self.evidence.sliced
        if name in self.numbers:
            return f"the best model ({_number(self.numbers[name])})"
        names = {run.name: run.classifier_name for run in self.runs}
        return f"the best model ({names.get(name, name)})"

    def number(self, run: Run) -> str:
        """Return the number by which the model of a run is called, e.g. "M1"; "" without numbers."""
        return _number(self.numbers[run.name]) if run.name in self.numbers else ""

    def named(self, run: Run) -> str:
        """Return a short name of the model of a run, e.g. "M1 · svm · 6 features"."""
        if run.name not in self.numbers:
            return model_name(run)
        parts = [self.number(run), run.classifier_name]
        return " · ".join(parts if _is_ensemble(run) else [*parts, short_features(run.features)])

    def in_words(self, run: Run) -> str:
        """Return the name of the model of a run in a sentence, e.g. "svm on 6 features (M1)"."""
        features = short_features(run.features) if run.name in self.numbers else run.features
        name = run.classifier_name if _is_ensemble(run) else f"{run.classifier_name} on {features}"
        return f"{name} ({self.number(run)})" if run.name in self.numbers else name


def target_title(name: str) -> str:
    """Return the name of a target as it is written in headings, e.g. "Age group"."""
    return _TARGET_TITLES.get(name, name)


def headline(runs: Sequence[Run]) -> ScoreKind:
    """Return the score that ranks the runs: accuracy, else mean absolute error, else another known score."""
    names = dict.fromkeys(name for run in runs for name in run.scores)
    default = "mae_years" if runs and not runs[0].classes else "accuracy"
    return score_kind(next((name for name in (*_HEADLINES, *SCORES, *names) if name in names), default))


def mean_of(run: Run, name: str) -> float | None:
    """Return the mean of a score of a run over the folds, or None if the run does not have this score."""
    return finite(run.scores.get(name, {}).get("mean"))


def means_outside(runs: Sequence[Run], evidence: TargetEvidence | None, kinds: Iterable[ScoreKind]) -> str:
    """Return a sentence that names the scores of which a mean over folds is outside its interval, or "".

    The interval is that of the score on the pooled predictions of all folds. Where a fold has few faces of a
    class, a score such as the balanced accuracy is another number there than on average over the folds.
    """

    def is_outside(run: Run, kind: ScoreKind) -> bool:
        mean = mean_of(run, kind.name)
        estimate = evidence.estimates.get(run.name, {}).get(kind.name) if evidence else None
        return bool(estimate and mean is not None and not estimate.low <= mean <= estimate.high)

    names = [score_word(kind) for kind in kinds if any(is_outside(run, kind) for run in runs)]
    if not names:
        return ""
    return (
        f"The mean of the {' and of the '.join(names)} can be outside its interval, as it is here: where"
        " a fold has few faces of a class, the mean over folds differs from the score on pooled predictions."
    )


def pooled_beside_mean(of: Ranked, kind: ScoreKind, pooled: float) -> str:
    """Return a sentence that tells a score on all faces from its mean over folds; "" if they are equal.

    Args:
        of: the runs of the target, with the evidence on the best one, whose mean stands elsewhere.
        kind: kind of the score, to which each face contributes equally.
        pooled: the score on the pooled predictions of all folds.
    """
    best = of.evidence.sliced if of.evidence else ""
    mean = next((mean_of(run, kind.name) for run in of.runs if run.name == best), None)
    if mean is None or kind.format(mean) == kind.format(pooled):
        return ""
    on_all, over_folds = (f"{kind.format(value)} {kind.unit}".strip() for value in (pooled, mean))
    return (
        f"The {score_word(kind)} on all faces, {on_all}, is that of the pooled predictions of all folds. Its"
        f" mean over the folds, {over_folds}, differs because the folds differ in size."
    )


def folds_of(run: Run, name: str) -> tuple[float | None, ...]:
    """Return a score of a run in each fold, None for a fold without it; nothing if no fold was scored."""
    return tuple(map(finite, run.scores.get(name, {}).get("folds") or ()))


def best_first(runs: Sequence[Run]) -> list[Run]:
    """Return the runs of one target, sorted by their score, best first; runs without a score come last."""
    kind = headline(runs)
    return sorted(
        runs,
        key=lambda run: (
            mean_of(run, kind.name) is None,
            -kind.gain(mean_of(run, kind.name) or 0.0, 0.0),
            run.name,
        ),
    )


def role(run: Run) -> str:
    """Return the role of a run in the comparison.

    Returns:
        "baseline" for the model that makes the same prediction for every face, "off-the-shelf" for a
        network with its own output layer, which was not trained here, and "" for a trained model.
    """
    if is_off_the_shelf(run):
        return "off-the-shelf"
    return "baseline" if run.is_baseline else ""


def _number(number: int) -> str:
    return f"M{number}"


def _is_ensemble(run: Run) -> bool:
    """Whether a run is an ensemble, whose name contains its members."""
    return "members" in run.parameters


def short_features(features: str) -> str:
    """Return a feature set as it is or, if its name is long, the number of its features.

    >>> short_features("dlib_age"), short_features("dlib_age+dlib_age:middle+dlib_gender+mobilenet_v2")
    ('dlib_age', '4 features')
    """
    parts = features.split("+")
    return features if len(parts) == 1 or len(features) <= 24 else f"{len(parts)} features"


def model_name(run: Run) -> str:
    """Return the name of a model with its features, e.g. "svm · dlib_age"."""
    return f"{run.classifier_name} · {run.features}"


def timed_alike(runs: Sequence[Run]) -> list[Run]:
    """Return the trained models that were timed on the same machine as the best model."""
    machine = machine_of(runs)
    return [run for run in runs if not run.is_baseline and timed_on(run) == machine]


def machine_of(runs: Sequence[Run]) -> str:
    """Return the machine on which the best model was timed; the best baseline if no model is trained."""
    ordered = best_first(runs)
    best = [run for run in ordered if not run.is_baseline] or ordered
    return timed_on(best[0]) if best else ""


def elsewhere_note(runs: Sequence[Run], machine: str) -> str:
    """Return a note on the runs that were timed on another machine; "" if there are none."""
    n_elsewhere = sum(timed_on(run) != machine for run in runs)
    if not n_elsewhere:
        return ""
    them = counted(n_elsewhere, "run, which was", "runs, which were")
    of = f" ({machine})" if machine else ""
    return f"Times are blank for {them} timed on another machine than the best model{of}."


def apart_from(
    runs: Sequence[Run], evidence: Evidence | None, apart: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return the names of the runs that cannot be compared with the other runs, each with the reason.

    Args:
        runs: all runs of the comparison.
        evidence: confidence intervals and tests of the runs; None if their predictions are not available.
        apart: name of each run that cannot be compared → reason; None to determine the reasons here.
    """
    found = set_apart(runs) if apart is None else apart
    known = evidence.targets if evidence else {}
    untested = [run for run in runs if run.target in known and run.name not in known[run.target].estimates]
    return {**found, **{run.name: NO_OUTCOMES for run in untested if run.name not in found}}


def targets_of(runs: Sequence[Run]) -> list[str]:
    """Return the targets of the runs in the order of the report: built-in targets first, others by name."""
    names = [name for name in _TARGET_TITLES if any(run.target == name for run in runs)]
    return names + sorted({run.target for run in runs} - set(names))


def ranked_targets(runs: Sequence[Run], evidence: Evidence | None) -> list[Ranked]:
    """Return the runs of each target, best first, with their evidence, in the order of the report."""
    known = evidence.targets if evidence else {}
    ordered = {name: best_first([run for run in runs if run.target == name]) for name in targets_of(runs)}
    models = list(dict.fromkeys(model_name(run) for of in ordered.values() for run in of))
    number = {name: place for place, name in enumerate(models, start=1)}
    numbers = {run.name: number[model_name(run)] for run in runs}
    return [Ranked(name, of, known.get(name), numbers) for name, of in ordered.items()]


def in_order(scores: Iterable[str]) -> list[str]:
    """Return names of scores without repetitions: known scores in their order, then others by name."""
    names = set(scores)
    return [name for name in SCORES if name in names] + sorted(names - set(SCORES))


def distinct(values: Sequence[Value]) -> list[Value]:
    """Return the values without repetitions, in their order."""
    return [value for i, value in enumerate(values) if value not in values[:i]]


def one_target(runs: Sequence[Run], target: str | None) -> str:
    """Return the name of a target after checking it; None stands for the only target of the runs.

    Raises:
        TargetError: the target is None, and the runs have several targets.
        UnknownNameError: none of the runs has this target.
    """
    names = targets_of(runs)
    if target is None and len(names) > 1:
        raise TargetError(f"Say which target: target='{names[0]}'. There are {', '.join(names)}.")
    if target not in (None, *names):
        raise UnknownNameError(unknown("target of these results", str(target), names))
    return target or names[0]


def is_named(run: Run, model: str) -> bool:
    """Whether a name may mean a run: it is that of the run, or of its model as run_named() takes it."""
    return model in (run.name, run.classifier, run.classifier_name, model_name(run))


def run_named(runs: Sequence[Run], model: str, target: str | None = None) -> Run:
    """Return a run by its own name, or by the name of its model if only one run has this model.

    Args:
        runs: runs of a comparison.
        model: name of a run, or name of a model as in the ranking, e.g. "svm".
        target: target of the run; None for any target.

    Raises:
        TargetError: models with this name predict several targets.
        UnknownNameError: no run or several runs have this name.
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
        raise UnknownNameError(
            f"'{model}' means several runs: {several}. Give the name of one of these runs."
        )
    return found[0]
