"""The first screen: for each target the best model, how it compares, its cost, and where it is weak."""

from collections.abc import Sequence

from featurekit.evaluation.evidence import TargetEvidence
from featurekit.evaluation.results import Run
from featurekit.evaluation.score_kinds import ScoreKind, score_kind, score_word, signed
from featurekit.evaluation.timing import milliseconds
from featurekit.evaluation.trades import Trade
from featurekit.report.cells import p_value, time_words, words
from featurekit.report.model import Answers, Block, Text
from featurekit.report.sections.cost import margin_words
from featurekit.report.sections.differences import HOW_TESTED
from featurekit.report.sections.slices import worst_in_words
from featurekit.report.select import Ranked, distinct, headline, mean_of, role
from featurekit.text import counted
from featurekit.uncertainty.conformal import MISSED
from featurekit.uncertainty.coverage import Coverage

_LOW_NAMED = 2  # slices with a low coverage that are written out; the others are counted


def blocks(ranked: Sequence[Ranked], *, is_synthetic: bool) -> list[Block]:
    """Return the first screen: the main results of each target, and how the models were compared.

    Args:
        ranked: the targets; none if no run can be compared.
        is_synthetic: whether the portraits are made up.
    """
    found: list[Block] = []
    if is_synthetic:
        synthetic = (
            "The portraits are synthetic (made up). These numbers show that the software works, and say"
            " nothing about real faces."
        )
        found.append(Text(synthetic, is_caution=True))
    found.append(Answers(tuple((of.title, answer(of.runs, of.evidence)) for of in ranked)))
    found.append(Text(_how_tested(ranked)))
    for of in ranked:
        if len(distinct(run.dataset.get("name") for run in of.runs)) > 1:
            mixed = (
                f"{of.title}: the runs were scored on different data sets, so they cannot be"
                " compared. Fit them again on the same folds: featurekit fit --new-folds"
            )
            found.append(Text(mixed, is_caution=True))
    return found


def _how_tested(ranked: Sequence[Ranked]) -> str:
    """Return how the models were compared, and which targets could not be tested."""
    if not ranked:
        return "No run can be compared. The sections below give the reasons, and what to do."
    said = []
    tested = [of for of in ranked if of.evidence]
    if tested:
        said.append(
            "Intervals in parentheses are 95 % confidence intervals over subjects. Models are compared by"
            f" {HOW_TESTED}. No evidence of a difference does not mean that two models are equal."
        )
    untested = [of.title for of in ranked if not of.evidence]
    if untested:
        whose = f" of {', '.join(untested)}" if tested else ""
        said.append(
            f"The predictions{whose} are not available, so the differences between models could not be"
            " tested. ± is the standard deviation over the folds, which is not a confidence interval."
        )
    return " ".join(said)


def answer(runs: Sequence[Run], evidence: TargetEvidence | None) -> tuple[tuple[str, str], ...]:
    """Return the main results in a few lines, each with a heading; runs are best first."""
    kind = headline(runs)
    trained = [run for run in runs if not run.is_baseline and mean_of(run, kind.name) is not None]
    if not trained:
        return (("Best model", "No trained model has a score; only baselines can be shown."),)
    best = trained[0]
    shown = (_shown(best, name, evidence) for name in (kind.name, "within_one_group"))
    scores = "; ".join(filter(None, shown))
    lines = [
        ("Best model", f"{_named(best)}{_beaten(best, runs, kind)}: {scores}."),
        ("Baselines", _against(best, runs, kind, evidence)),
        ("Second best", _second(best, trained, kind, evidence)),
    ]
    if evidence:
        lines += [
            ("Faster model", _fastest(best, trained, kind, evidence)),
            ("Worst slice", worst_in_words(evidence) if evidence.sliced == best.name else ""),
            ("Low coverage", _low_coverage(evidence)),
        ]
    return tuple((what, text) for what, text in lines if text)


def _beaten(best: Run, runs: Sequence[Run], kind: ScoreKind) -> str:
    """Return that the best trained model is not the best of all, if a baseline is better; else ""."""
    own = mean_of(best, kind.name) or 0.0
    for run in runs:
        other = mean_of(run, kind.name)
        if run.is_baseline and other is not None and float(kind.format(max(kind.gain(other, own), 0.0))):
            called = "the baseline" if role(run) == "baseline" else "the off-the-shelf network"
            return f", the best of the trained models ({called} is better)"
    return ""


def _named(run: Run) -> str:
    if "members" in run.parameters:  # the name of an ensemble contains them
        return run.classifier_name
    return f"{run.classifier_name} on {run.features}"


def _shown(run: Run, name: str, evidence: TargetEvidence | None = None) -> str:
    """Return a score with its name, e.g. "accuracy 72.0 % (71.1 to 72.9)"; "" if the run does not have it."""
    kind, mean = score_kind(name), mean_of(run, name)
    if mean is None:
        return ""
    unit = f" {kind.unit}" if kind.unit else ""
    estimate = evidence.estimates.get(run.name, {}).get(name) if evidence else None
    if estimate:
        between = f"({kind.format(estimate.low)} to {kind.format(estimate.high)})"
        return f"{score_word(kind)} {kind.format(mean)}{unit} {between}"
    std = run.scores[name].get("std")
    around = f" ± {kind.format(std)}" if std is not None else ""
    return f"{score_word(kind)} {kind.format(mean)}{around}{unit}"


def _against(best: Run, runs: Sequence[Run], kind: ScoreKind, evidence: TargetEvidence | None) -> str:
    """Return by how much the best model is better than the baseline and the off-the-shelf network."""
    mean = mean_of(best, kind.name)
    against = []
    for baseline, called in (("baseline", "the baseline"), ("off-the-shelf", "the off-the-shelf network")):
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
    return f"{kind.format(abs(gain))} {kind.unit_of_difference}".strip()


def _second(best: Run, trained: Sequence[Run], kind: ScoreKind, evidence: TargetEvidence | None) -> str:
    """Return the second best model, and whether there is evidence that it is worse."""
    if len(trained) < 2:
        return ""
    second = trained[1]
    behind = kind.gain(mean_of(best, kind.name) or 0.0, mean_of(second, kind.name) or 0.0)
    how_far = f"{_amount(kind, behind)} worse" if float(kind.format(abs(behind))) else "equal after rounding"
    sentence = f"{_named(second)}: {how_far}"
    found = evidence.between(best.name, second.name) if evidence else None
    if found:
        shown = "evidence of a difference" if found.is_shown else "no evidence of a difference"
        sentence += f", {shown} ({p_value(found.adjusted, found.limit)})"
    return f"{sentence}."


def _fastest(best: Run, trained: Sequence[Run], kind: ScoreKind, evidence: TargetEvidence) -> str:
    """Return the fastest model that is shown to be hardly worse than the best, or the nearest to it."""
    own = milliseconds(best)
    if own is None:
        return ""
    names = {run.name: _named(run) for run in trained}
    trades = [trade for trade in evidence.trades if trade.name in names]
    if not trades:
        return (
            f"The best model takes {time_words(own)} ms per face. No trained model that was timed on the same"
            " machine is clearly faster."
        )
    what = "accuracy" if kind.unit == "%" else score_word(kind)
    margin = margin_words(kind, evidence)
    for trade in trades:  # the fastest first
        if trade.is_within:
            return (
                f"The fastest model whose {what} is shown to be within {margin} of the best is"
                f" {names[trade.name]}: {_instead(trade)} per face."
            )
    trade = min(trades, key=lambda one: (one.p_value, one.loss))
    return (
        f"No faster model is shown to be within {margin} of the best. The closest is"
        f" {names[trade.name]}: {_instead(trade)} per face, for a loss of {_loss(kind, trade.loss)}"
        f" {kind.unit_of_difference} ({_loss(kind, trade.low)} to {_loss(kind, trade.high)})."
    )


def _instead(trade: Trade) -> str:
    return f"{time_words(trade.milliseconds)} ms instead of {time_words(trade.best_milliseconds)} ms"


def _loss(kind: ScoreKind, loss: float) -> str:
    """Return a loss without a plus: "0.9", or "−0.2" if the faster model was the better one."""
    return signed(kind, loss).removeprefix("+")


def _low_coverage(evidence: TargetEvidence) -> str:
    """Return the slices on which prediction sets or intervals have a significantly too low coverage."""
    low = evidence.broken
    if not low:
        return ""
    what = "Prediction intervals" if evidence.score == "mae_years" else "Prediction sets"
    covered = [_covered(column, one) for column, one in low[:_LOW_NAMED]]
    text = f"{what} made for a coverage of {100 * (1 - MISSED):.0f} % reach only {' and '.join(covered)}"
    if len(low) > _LOW_NAMED:
        others = counted(len(low) - _LOW_NAMED, "more slice is", "more slices are")
        text += f"; {others} too low"
    return f"{text}."


def _covered(column: str, one: Coverage) -> str:
    value, between = one.value or 0.0, one.between
    ends = f" ({100 * between.low:.1f} to {100 * between.high:.1f})" if between else ""
    age = f"age {one.label}" if one.label.isdigit() else f"ages {one.label}"
    whose = {"": one.label, "age_band": age}.get(column, f"{words(column)} {one.label}")
    return f"{100 * value:.1f} %{ends} for {whose}"
