"""The summary of the report: for each target the best model, its differences, its cost and its weaknesses."""

from collections.abc import Sequence

from featurekit.evaluation.cost import Trade, milliseconds
from featurekit.evaluation.evidence import TargetEvidence
from featurekit.evaluation.results import Run
from featurekit.evaluation.scores import ScoreKind, score_kind, score_word, signed
from featurekit.report.cells import amount, p_value, sentences, time_words, words
from featurekit.report.model import Answers, Blocks, Text
from featurekit.report.sections.cost import margin_words
from featurekit.report.sections.differences import HOW_TESTED
from featurekit.report.sections.slices import worst_in_words
from featurekit.report.select import Ranked, headline, mean_of, role
from featurekit.text import counted
from featurekit.uncertainty.conformal import MISSED, Coverage

# Name of each kind of baseline in a sentence.
_CALLED = {"baseline": "the baseline", "off-the-shelf": "the off-the-shelf network"}
_LOW_NAMED = 2  # slices with a low coverage that are written out; the others are counted


def blocks(ranked: Sequence[Ranked], *, is_synthetic: bool) -> Blocks:
    """Return the main results of each target, and how the models were compared.

    Args:
        ranked: runs of each target; empty if no run can be compared with another.
        is_synthetic: whether the images are synthetic portraits.
    """
    synthetic = (
        "The portraits are synthetic (made up). These numbers show that the software works, and say nothing"
        " about real faces."
    )
    mixed = [of.title for of in ranked if len({run.dataset.get("name") for run in of.runs}) > 1]
    return [
        Text(synthetic, is_caution=True) if is_synthetic else None,
        Answers(tuple((of.title, answer(of)) for of in ranked)),
        Text(_how_tested(ranked)),
        *(
            Text(
                f"{title}: the runs were scored on different data sets, so they cannot be compared. Fit them"
                " again on the same folds: featurekit fit --new-folds",
                is_caution=True,
            )
            for title in mixed
        ),
    ]


def _how_tested(ranked: Sequence[Ranked]) -> str:
    """Return how the models were compared, and which targets could not be tested."""
    if not ranked:
        return "No run can be compared with another. The sections below give the reasons, and say what to do."
    untested = [of.title for of in ranked if not of.evidence]
    are_tested = len(untested) < len(ranked)
    whose = f" of {', '.join(untested)}" if are_tested else ""
    return sentences(
        "Intervals in parentheses are 95 % confidence intervals over subjects. Models are compared by"
        f" {HOW_TESTED}. No evidence of a difference does not mean that two models are equal."
        if are_tested
        else "",
        f"The predictions{whose} are not available, so the differences between models could not be tested. ±"
        " is the standard deviation over the folds, which is not a confidence interval."
        if untested
        else "",
    )


def answer(of: Ranked) -> tuple[tuple[str, str], ...]:
    """Return the main results of one target as pairs of a heading and a text."""
    runs, evidence, kind = of.runs, of.evidence, headline(of.runs)
    trained = [run for run in runs if not run.is_baseline and mean_of(run, kind.name) is not None]
    if not trained:
        return (("Best model", "No trained model has a score; only baselines can be shown."),)
    best = trained[0]
    scores = filter(None, (_shown(best, name, evidence) for name in (kind.name, "within_one_group")))
    lines = [
        ("Best model", f"{of.in_words(best)}{_beaten(best, runs, kind)}: {'; '.join(scores)}."),
        ("Baselines", _against(best, runs, kind, evidence)),
        ("Second best", _second(of, best, trained, kind)),
    ]
    if evidence:
        lines += [
            ("Faster model", _fastest(of, best, trained, kind)),
            ("Worst slice", worst_in_words(evidence) if evidence.sliced == best.name else ""),
            ("Low coverage", _low_coverage(evidence)),
        ]
    return tuple((what, text) for what, text in lines if text)


def _beaten(best: Run, runs: Sequence[Run], kind: ScoreKind) -> str:
    """Return that the best trained model is not the best of all, if a baseline is better; else ""."""
    better = [run for run in runs if run.is_baseline and float(kind.format(max(_gain(kind, run, best), 0)))]
    return f", the best of the trained models ({_CALLED[role(better[0])]} is better)" if better else ""


def _gain(kind: ScoreKind, run: Run, other: Run) -> float:
    """Return how much better a run is than another one; 0 if one of them does not have the score."""
    mean, than = mean_of(run, kind.name), mean_of(other, kind.name)
    return 0.0 if mean is None or than is None else kind.gain(mean, than)


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
    # Of several baselines of one kind, the best is the one to beat.
    baselines = [next((run for run in runs if role(run) == kind_of), None) for kind_of in _CALLED]
    against = [
        _difference(best, run, kind, evidence)
        for run in baselines
        if run and mean_of(run, kind.name) is not None
    ]
    return f"{' and '.join(against)}." if against else ""


def _difference(best: Run, run: Run, kind: ScoreKind, evidence: TargetEvidence | None) -> str:
    gain = _gain(kind, best, run)
    how = f"{amount(kind, gain)} {'better' if gain > 0 else 'worse'} than"
    score = f"{run.classifier}, {kind.format(mean_of(run, kind.name) or 0.0)} {kind.unit}".strip()
    found = evidence.between(best.name, run.name) if evidence else None
    if found and not found.is_shown:
        score += f"; no evidence of a difference: {p_value(found.adjusted, found.limit)}"
    return f"{how if float(kind.format(abs(gain))) else 'no better than'} {_CALLED[role(run)]} ({score})"


def _second(of: Ranked, best: Run, trained: Sequence[Run], kind: ScoreKind) -> str:
    """Return the second best model, and whether there is evidence that it is worse."""
    if len(trained) < 2:
        return ""
    second = trained[1]
    behind = _gain(kind, best, second)
    how_far = f"{amount(kind, behind)} worse" if float(kind.format(abs(behind))) else "equal after rounding"
    found = of.evidence.between(best.name, second.name) if of.evidence else None
    if not found:
        return f"{of.in_words(second)}: {how_far}."
    shown = "evidence of a difference" if found.is_shown else "no evidence of a difference"
    return f"{of.in_words(second)}: {how_far}, {shown} ({p_value(found.adjusted, found.limit)})."


def _fastest(of: Ranked, best: Run, trained: Sequence[Run], kind: ScoreKind) -> str:
    """Return the fastest model whose loss is shown to be smaller than the margin, or the closest to this."""
    evidence, own = of.evidence, milliseconds(best)
    assert evidence is not None
    if own is None:
        return ""
    names = {run.name: of.in_words(run) for run in trained}
    trades = [trade for trade in evidence.trades if trade.name in names]
    if not trades:
        return (
            f"The best model takes {time_words(own)} ms per face. No trained model that was timed on the same"
            " machine is clearly faster."
        )
    what = "accuracy" if kind.unit == "%" else score_word(kind)
    margin = margin_words(kind, evidence)
    fastest = next((trade for trade in trades if trade.is_within), None)
    if fastest:
        return (
            f"The fastest model whose {what} is shown to be within {margin} of the best is"
            f" {names[fastest.name]}: {_instead(fastest)} per face."
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
    """Return a loss without a plus sign, e.g. "0.9", or "−0.2" if the faster model is better."""
    return signed(kind, loss).removeprefix("+")


def _low_coverage(evidence: TargetEvidence) -> str:
    """Return the slices on which prediction sets or intervals have a significantly too low coverage."""
    low = evidence.broken
    if not low:
        return ""
    what = "Prediction intervals" if evidence.score == "mae_years" else "Prediction sets"
    covered = " and ".join(_covered(column, one) for column, one in low[:_LOW_NAMED])
    n_others = len(low) - _LOW_NAMED
    others = f"; {counted(n_others, 'more slice is', 'more slices are')} too low" if n_others > 0 else ""
    return f"{what} made for a coverage of {100 * (1 - MISSED):.0f} % reach only {covered}{others}."


def _covered(column: str, one: Coverage) -> str:
    value, between = one.value or 0.0, one.between
    ends = f" ({100 * between.low:.1f} to {100 * between.high:.1f})" if between else ""
    age = f"age {one.label}" if one.label.isdigit() else f"ages {one.label}"
    whose = {"": one.label, "age_band": age}.get(column, f"{words(column)} {one.label}")
    return f"{100 * value:.1f} %{ends} for {whose}"
