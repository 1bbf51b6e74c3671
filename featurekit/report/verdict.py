"""What the first screen says of a target: which model, how sure that is, what it costs, for whom it fails."""

from collections.abc import Sequence

from featurekit.benchmark import Run
from featurekit.evidence import Estimate, TargetEvidence
from featurekit.report.tables import (
    ScoreKind,
    headline,
    mean_of,
    p_value,
    role,
    score_kind,
    words,
)
from featurekit.timing import CLEARLY, milliseconds, timed_on


def answer(runs: Sequence[Run], evidence: TargetEvidence | None) -> tuple[tuple[str, str], ...]:
    """Return what there is to say in a few lines, each with a word before it; runs are best first."""
    kind = headline(runs)
    trained = [run for run in runs if not run.is_baseline and mean_of(run, kind.name) is not None]
    if not trained:
        return (("Best", "No trained model has a score; only baselines can be shown."),)
    best = trained[0]
    also = _shown(best, "one_off", evidence)
    lines = [
        ("Best", f"{_named(best)}: {_shown(best, kind.name, evidence)}{f'; {also}' if also else ''}."),
        ("Against", _against(best, runs, kind, evidence)),
        ("How sure", _second(best, trained, kind, evidence)),
    ]
    if evidence:
        lines += [
            ("Cost", _cheapest(best, trained, evidence)),
            ("Fails most", _worst(best, kind, evidence)),
        ]
    return tuple((what, text) for what, text in lines if text)


def _named(run: Run) -> str:
    if "members" in run.parameters:  # an ensemble, which is called by them
        return run.classifier_name
    return f"{run.classifier_name} on {run.features}"


def _shown(run: Run, name: str, evidence: TargetEvidence | None = None) -> str:
    """Return a score in words, e.g. "72.0 % exact (95 % interval 71.1 to 72.9)"; "" where there is none."""
    kind, mean = score_kind(name), mean_of(run, name)
    if mean is None:
        return ""
    unit = f" {kind.unit}" if kind.unit else ""
    estimate = evidence.estimates.get(run.name, {}).get(name) if evidence else None
    if estimate:
        between = f"(95 % interval {kind.format(estimate.low)} to {kind.format(estimate.high)})"
        return f"{kind.format(mean)}{unit} {score_word(kind)} {between}"
    spread = run.scores[name].get("spread")
    around = f" ± {kind.format(spread)}" if spread is not None else ""
    return f"{kind.format(mean)}{around}{unit} {score_word(kind)}"


def score_word(kind: ScoreKind) -> str:
    """Return what a score is called within a sentence."""
    names = {"exact": "exact accuracy", "one_off": "one off", "mae_years": "mean absolute error"}
    return names.get(kind.name, kind.title)


def _against(best: Run, runs: Sequence[Run], kind: ScoreKind, evidence: TargetEvidence | None) -> str:
    """Say how far the best model is from the floor and the model as it is sold, and whether it is shown."""
    mean = mean_of(best, kind.name)
    against = []
    for baseline, called in (("floor", "the floor"), ("off-the-shelf", "the off-the-shelf model")):
        # Of several baselines of one kind, the best is the one to beat.
        for run in [run for run in runs if role(run) == baseline][:1]:
            other = mean_of(run, kind.name)
            if mean is not None and other is not None:
                difference = _difference(kind, kind.gain(mean, other))
                about = [f"{run.classifier}, {kind.format(other)} {kind.unit}".strip()]
                found = evidence.between(best.name, run.name) if evidence else None
                if found and not found.is_shown:
                    about.append(f"no evidence of a difference: {p_value(found.adjusted, found.limit)}")
                against.append(f"{difference} {called} ({'; '.join(about)})")
    return f"{' and '.join(against)}." if against else ""


def _difference(kind: ScoreKind, gain: float) -> str:
    if not float(kind.format(abs(gain))):
        return "no better than"
    return f"{_amount(kind, gain)} {'better' if gain > 0 else 'worse'} than"


def _amount(kind: ScoreKind, gain: float) -> str:
    unit = "points" if kind.unit == "%" else kind.unit
    return f"{kind.format(abs(gain))} {unit}".strip()


def _second(best: Run, trained: Sequence[Run], kind: ScoreKind, evidence: TargetEvidence | None) -> str:
    """Name the second best model and say whether it is shown to be worse."""
    if len(trained) < 2:
        return ""
    second = trained[1]
    behind = kind.gain(mean_of(best, kind.name) or 0.0, mean_of(second, kind.name) or 0.0)
    how_far = f"{_amount(kind, behind)} behind" if float(kind.format(abs(behind))) else "level with it"
    sentence = f"Second is {_named(second)}, {how_far}"
    found = evidence.between(best.name, second.name) if evidence else None
    if found:
        shown = "a difference beyond chance" if found.is_shown else "no evidence of a difference"
        sentence += f": {shown} ({p_value(found.adjusted, found.limit)})"
    return f"{sentence}."


def _cheapest(best: Run, trained: Sequence[Run], evidence: TargetEvidence) -> str:
    """Name the model that takes the least time for a face among those not shown to be worse than the best."""
    # Times of another machine are no answer.
    own_machine = [run for run in trained if timed_on(run) == timed_on(best)]
    pairs = [(run, evidence.between(best.name, run.name)) for run in own_machine]
    level = [best, *(run for run, found in pairs if found and not found.is_shown)]
    costs = [(cost, run.name, run) for run in level if (cost := milliseconds(run)) is not None]
    own = milliseconds(best)
    if not costs or own is None:
        return ""
    cost, _, run = min(costs)
    sentence = f"{own:.2g} ms to find and read a face"
    if not any(found for _, found in pairs):
        return f"{sentence}."
    if cost * CLEARLY > own:
        return f"{sentence}; none that is not shown to be worse takes clearly less."
    return (
        f"{sentence}. The cheapest model not shown to be worse than the best is {_named(run)}: {cost:.2g} ms."
    )


def _worst(best: Run, kind: ScoreKind, evidence: TargetEvidence) -> str:
    """Name the label whose faces the best model reads worst."""
    if evidence.sliced != best.name:
        return ""
    for one in evidence.slices:  # worst first
        if one.estimate and len(one.columns) == 1:
            return f"Faces with {words(one.columns[0])} {one.labels[0]}: {_between(kind, one.estimate)}."
    return ""


def _between(kind: ScoreKind, estimate: Estimate) -> str:
    """Return an estimate in words, e.g. "72.0 % (71.1 to 72.9)"."""
    unit = f" {kind.unit}" if kind.unit else ""
    low, high = kind.format(estimate.low), kind.format(estimate.high)
    return f"{kind.format(estimate.value)}{unit} ({low} to {high})"
