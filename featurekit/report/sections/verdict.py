"""What the first screen says of a target: which model, how sure that is, what it costs, for whom it fails."""

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

_BROKEN_NAMED = 2  # broken promises that are written out; the others are counted


def blocks(ranked: Sequence[Ranked], *, is_synthetic: bool) -> list[Block]:
    """Return the first screen: what there is to say of each target, and how it was tested.

    Args:
        ranked: the targets; none where no run can be compared.
        is_synthetic: whether the portraits are made up.
    """
    found: list[Block] = []
    if is_synthetic:
        synthetic = (
            "The portraits are synthetic (made up): these numbers show that the software works and say"
            " nothing about real faces."
        )
        found.append(Text(synthetic, is_caution=True))
    found.append(Answers(tuple((of.title, answer(of.runs, of.evidence)) for of in ranked)))
    found.append(Text(_how_sure(ranked)))
    for of in ranked:
        if len(distinct(run.dataset.get("name") for run in of.runs)) > 1:
            mixed = (
                f"{of.title}: the runs were scored on different data sets, so they cannot be"
                " compared. Run them again with one set of folds: featurekit fit --new-folds"
            )
            found.append(Text(mixed, is_caution=True))
    return found


def _how_sure(ranked: Sequence[Ranked]) -> str:
    """Say how the models were compared, and which targets could not be tested."""
    if not ranked:
        return "No run can be compared: the sections below say why, and what to do."
    said = []
    tested = [of for of in ranked if of.evidence]
    if tested:
        said.append(
            f"Intervals are 95 % intervals over subjects. Models are compared subject by subject:"
            f" {HOW_TESTED}. No evidence of a difference does not mean that two models are equal."
        )
    untested = [of.title for of in ranked if not of.evidence]
    if untested:
        whose = f" of {', '.join(untested)}" if tested else ""
        said.append(
            f"The predictions{whose} are not at hand, so that nothing was tested: whether"
            " the difference between the first two is chance is not known. ± is the standard deviation over"
            " the folds, which is not a confidence interval."
        )
    return " ".join(said)


def answer(runs: Sequence[Run], evidence: TargetEvidence | None) -> tuple[tuple[str, str], ...]:
    """Return what there is to say in a few lines, each with a word before it; runs are best first."""
    kind = headline(runs)
    trained = [run for run in runs if not run.is_baseline and mean_of(run, kind.name) is not None]
    if not trained:
        return (("Best", "No trained model has a score; only baselines can be shown."),)
    best = trained[0]
    shown = (_shown(best, name, evidence) for name in (kind.name, "one_off"))
    scores = "; ".join(filter(None, shown))
    lines = [
        ("Best", f"{_named(best)}{_beaten(best, runs, kind)}: {scores}."),
        ("Against", _against(best, runs, kind, evidence)),
        ("How sure", _second(best, trained, kind, evidence)),
    ]
    if evidence:
        lines += [
            ("Cost", _cheapest(best, trained, kind, evidence)),
            ("Fails most", worst_in_words(evidence) if evidence.sliced == best.name else ""),
            ("Broken promise", _broken(evidence)),
        ]
    return tuple((what, text) for what, text in lines if text)


def _beaten(best: Run, runs: Sequence[Run], kind: ScoreKind) -> str:
    """Return what the best trained model is the best of, where a baseline is better still; else ""."""
    own = mean_of(best, kind.name) or 0.0
    for run in runs:
        other = mean_of(run, kind.name)
        if run.is_baseline and other is not None and float(kind.format(max(kind.gain(other, own), 0.0))):
            called = "the floor" if role(run) == "floor" else "the off-the-shelf model"
            return f", the best of the models fitted here ({called} is better)"
    return ""


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
    return f"{kind.format(abs(gain))} {kind.unit_of_difference}".strip()


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


def _cheapest(best: Run, trained: Sequence[Run], kind: ScoreKind, evidence: TargetEvidence) -> str:
    """Name the cheapest model that is shown to be hardly worse than the best, or the nearest that is not."""
    own = milliseconds(best)
    if own is None:
        return ""
    names = {run.name: _named(run) for run in trained}
    trades = [trade for trade in evidence.trades if trade.name in names]
    if not trades:
        return (
            f"{time_words(own)} ms to find and read a face; no trained model that was timed on the same"
            " machine takes clearly less."
        )
    what = "accuracy" if kind.unit == "%" else score_word(kind)
    margin = margin_words(kind, evidence)
    for trade in trades:  # the cheapest first
        if trade.is_within:
            return (
                f"The cheapest model whose {what} is within {margin} of the best is {names[trade.name]}:"
                f" {_instead(trade)} for a face."
            )
    trade = min(trades, key=lambda one: (one.p_value, one.loss))
    return (
        f"{names[trade.name]}: {_instead(trade)} would"
        f" cost {_loss(kind, trade.loss)} {kind.unit_of_difference}"
        f" ({_loss(kind, trade.low)} to {_loss(kind, trade.high)}),"
        f" which is not shown to be within the margin of {margin}. No cheaper model is."
    )


def _instead(trade: Trade) -> str:
    return f"{time_words(trade.milliseconds)} ms instead of {time_words(trade.best_milliseconds)} ms"


def _loss(kind: ScoreKind, loss: float) -> str:
    """Return a loss without a plus: "0.9", or "−0.2" where the cheaper model was the better one."""
    return signed(kind, loss).removeprefix("+")


def _broken(evidence: TargetEvidence) -> str:
    """Say for whom answers that leave room hold the truth less often than promised, by more than chance."""
    broken = evidence.broken
    if not broken:
        return ""
    what = "ranges" if evidence.score == "mae_years" else "sets of classes"
    held = [_held(column, one) for column, one in broken[:_BROKEN_NAMED]]
    text = f"{what} promise {100 * (1 - MISSED):.0f} % and hold {' and '.join(held)}"
    if len(broken) > _BROKEN_NAMED:
        others = counted(len(broken) - _BROKEN_NAMED, "more group", "more groups")
        text += f"; {others} less than promised"
    return f"{text}."


def _held(column: str, one: Coverage) -> str:
    value, between = one.value or 0.0, one.between
    ends = f" ({100 * between.low:.1f} to {100 * between.high:.1f})" if between else ""
    age = f"age {one.label}" if one.label.isdigit() else f"ages {one.label}"
    whose = {"": one.label, "age_band": age}.get(column, f"{words(column)} {one.label}")
    return f"{100 * value:.1f} %{ends} of {whose}"
