"""The summary of the report: for each target the best model, its differences, its cost and its weaknesses."""

from collections.abc import Sequence

from featurekit.checks.audit import Audit
from featurekit.evaluation.cost import milliseconds
from featurekit.evaluation.differences import Difference
from featurekit.evaluation.evidence import TargetEvidence
from featurekit.evaluation.results import Run
from featurekit.evaluation.scores import ScoreKind, score_kind, score_word, signed
from featurekit.report.cells import amount, p_value, sentences, time_words, words
from featurekit.report.model import Answer, Answers, Blocks, Text
from featurekit.report.sections.audit import grave, n_idle, not_run, outcome_of, why_old
from featurekit.report.sections.cost import margin_words
from featurekit.report.sections.differences import HOW_TESTED
from featurekit.report.sections.slices import worst_in_words
from featurekit.report.select import Ranked, headline, mean_of, model_name, role
from featurekit.text import counted, first_few
from featurekit.uncertainty.conformal import MISSED, Coverage

# Name of each kind of baseline in a sentence.
_CALLED = {"baseline": "the baseline", "off-the-shelf": "the off-the-shelf network"}
_LOW_NAMED = 2  # slices with a low coverage that are written out; the others are counted
_LEVEL_NAMED = 4  # models level with the best one that are named; the others are counted
# What a check has counted, in the words of the first screen; other checks are called by their name.
_COUNTED = {
    "exact_duplicates": "rows with an identical file",
    "label_conflicts": "groups of identical files with different labels",
    "label_suspects": "labels that a model contradicts",
    "near_duplicates": "faces with a near duplicate",
    "suspiciously_close": "test faces suspiciously close to a training face",
}


def blocks(ranked: Sequence[Ranked], audit: Audit | None = None, *, is_synthetic: bool) -> Blocks:
    """Return the main results of each target, and how the models were compared.

    Args:
        ranked: runs of each target; empty if no run can be compared with another.
        audit: findings on the data set; None if there is no audit.
        is_synthetic: whether the images are synthetic portraits.
    """
    synthetic = (
        "The portraits are synthetic (made up). These numbers show that the software works, and say nothing"
        " about real faces."
    )
    mixed = [of.title for of in ranked if len({run.dataset.get("name") for run in of.runs}) > 1]
    return [
        Text(synthetic, is_caution=True) if is_synthetic else None,
        Answers(tuple(answer(of, audit) for of in ranked)),
        _data(audit, [run for of in ranked for run in of.runs]) if ranked else None,
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


def _data(audit: Audit | None, runs: Sequence[Run]) -> Text:
    """Return what the audit found of the data, with a number for each finding that should be looked at."""
    if audit is None:
        return Text("The data set has not been audited: run featurekit audit.")
    if old := why_old(audit, runs):
        return Text(old, is_caution=True)
    to_see, n_ran = grave(audit), len(audit.findings) - n_idle(audit)
    if not to_see:
        missing = "" if n_ran else "The section on the audit says what is missing."
        return Text(sentences(outcome_of(audit), not_run(audit), missing))
    counts = "; ".join(
        f"{_COUNTED.get(one.name, words(one.name))}: {one.count:,} of {one.of:,}" for one in to_see
    )
    warn = f"{len(to_see)} of {n_ran} checks of the audit warn: {counts}."
    return Text(sentences(f"Look at the data: {warn}", not_run(audit)), is_caution=True)


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


def answer(of: Ranked, audit: Audit | None = None) -> Answer:
    """Return the main results of one target: which model, how sure, at what cost, and for whom it fails.

    Args:
        of: the runs of the target, best first.
        audit: findings on the data set; None if there is no audit.
    """
    runs, evidence, kind = of.runs, of.evidence, headline(of.runs)
    trained = [run for run in runs if not run.is_baseline and mean_of(run, kind.name) is not None]
    if not trained:
        return Answer(of.title, "No trained model has a score; only baselines can be shown.")
    best = trained[0]
    score, between = _shown(best, kind.name, evidence)
    beside = " ".join(filter(None, _shown(best, "within_one_group", evidence)))
    faces = f"on {best.n_tested:,} faces"
    lines = [
        ("How sure", _level(of, best, trained, kind)),
        ("Baselines", _against(best, runs, kind, evidence)),
    ]
    if evidence:
        lines += [
            ("Cost", _cost(of, best, trained, kind)),
            ("Worst slice", worst_in_words(evidence) if evidence.sliced == best.name else ""),
            ("Low coverage", _low_coverage(evidence)),
        ]
    lines.append(("Data", _without_close_faces(best, kind, audit)))
    return Answer(
        of.title,
        f"{of.named(best) if of.numbers else model_name(best)}{_beaten(best, runs, kind, evidence)}",
        score,
        "; ".join(filter(None, (f"{between} {faces}", beside))),
        tuple((what, text) for what, text in lines if text),
    )


def _beaten(best: Run, runs: Sequence[Run], kind: ScoreKind, evidence: TargetEvidence | None) -> str:
    """Return that a baseline has a better score than the best trained model; "" if none has."""
    better = [run for run in runs if run.is_baseline and float(kind.format(max(_gain(kind, run, best), 0)))]
    if not better:
        return ""
    found = evidence.between(best.name, better[0].name) if evidence else None
    how = "is better" if found and found.is_shown and found.gain < 0 else "has a better score"
    return f", the best of the trained models ({_CALLED[role(better[0])]} {how})"


def _gain(kind: ScoreKind, run: Run, other: Run) -> float:
    """Return how much better a run is than another one; 0 if one of them does not have the score."""
    mean, than = mean_of(run, kind.name), mean_of(other, kind.name)
    return 0.0 if mean is None or than is None else kind.gain(mean, than)


def _shown(run: Run, name: str, evidence: TargetEvidence | None = None) -> tuple[str, str]:
    """Return a score, and its name with its interval, e.g. "72.0 %" and "accuracy (71.1 to 72.9)".

    Both texts are empty if the run does not have the score.
    """
    kind, mean = score_kind(name), mean_of(run, name)
    if mean is None:
        return "", ""
    score = f"{kind.format(mean)} {kind.unit}".strip()
    estimate = evidence.estimates.get(run.name, {}).get(name) if evidence else None
    if estimate:
        between = f"({kind.format(estimate.low)} to {kind.format(estimate.high)})"
        return score, f"{score_word(kind)} {between}"
    std = run.scores[name].get("std")
    around = f" ± {kind.format(std)}" if std is not None else ""
    return score, f"{score_word(kind)}{around}"


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
    found = evidence.between(best.name, run.name) if evidence else None
    gain = found.gain if found else _gain(kind, best, run)
    # The difference of the two scores shown here is another one if a fold has few faces of a class.
    is_another = kind.format(gain) != kind.format(_gain(kind, best, run))
    pooled = ", on pooled predictions," if is_another else ""
    how = f"{amount(kind, gain)} {'better' if gain > 0 else 'worse'}{pooled} than"
    score = f"{run.classifier}, {kind.format(mean_of(run, kind.name) or 0.0)} {kind.unit}".strip()
    if found and not found.is_shown:
        score += f"; no evidence of a difference: {p_value(found.adjusted, found.limit)}"
    return f"{how if float(kind.format(abs(gain))) else 'no better than'} {_CALLED[role(run)]} ({score})"


def _level(of: Ranked, best: Run, trained: Sequence[Run], kind: ScoreKind) -> str:
    """Return the models for which there is no evidence that they are worse than the best one."""
    if len(trained) < 2:
        return "No other model was trained. Fit several models to compare them."
    found = {run.name: of.evidence.between(best.name, run.name) if of.evidence else None for run in trained}
    second = trained[1]
    pair = found[second.name]
    if pair is None:
        return f"Not tested. The second, {of.in_words(second)}, is {_behind(kind, best, second, None)}."
    tested = {run.name: other for run in trained[1:] if (other := found[run.name])}
    level = [run for run in trained[1:] if run.name in tested and not tested[run.name].is_shown]
    n_untested = len(trained) - 1 - len(tested)
    untested = f"; {n_untested} not tested" if n_untested else ""
    if not level:
        return (
            f"Better than {counted(len(tested), 'other model', 'other models')}{untested}. The second,"
            f" {of.in_words(second)}, is {_behind(kind, best, second, pair)}"
            f" ({p_value(pair.adjusted, pair.limit)})."
        )
    p = p_value(min(tested[run.name].adjusted for run in level))
    if len(level) == 1:
        behind = _behind(kind, best, level[0], tested[level[0].name])
        return f"Not shown to be better than {of.in_words(level[0])}: {behind} ({p}){untested}."
    names = first_few([of.number(run) or of.in_words(run) for run in level], _LEVEL_NAMED)
    last = _behind(kind, best, level[-1], tested[level[-1].name])
    up_to = f"up to {last}" if last[0].isdigit() else last
    or_more = "" if p == p_value(1.0) else " or more"
    return (
        f"Not shown to be better than {len(level)} other models ({names}): {up_to} ({p}{or_more}){untested}."
    )


def _behind(kind: ScoreKind, best: Run, other: Run, pair: Difference | None) -> str:
    """Return how much worse a model is than the best one, e.g. "0.4 points worse", as the tables have it."""
    behind = pair.gain if pair else _gain(kind, best, other)
    return f"{amount(kind, behind)} worse" if float(kind.format(abs(behind))) else "equal after rounding"


def _cost(of: Ranked, best: Run, trained: Sequence[Run], kind: ScoreKind) -> str:
    """Return the time per face, and the fastest model shown to be nearly as good, or the closest to this."""
    evidence, own = of.evidence, milliseconds(best)
    assert evidence is not None
    if own is None:
        return ""
    cost = f"{time_words(own)} ms per face, from the image to the prediction."
    names = {run.name: of.in_words(run) for run in trained}
    trades = [trade for trade in evidence.trades if trade.name in names]
    if not trades:
        return f"{cost} No trained model that was timed on the same machine is clearly faster."
    margin = margin_words(kind, evidence)
    fastest = next((trade for trade in trades if trade.is_within), None)
    if fastest:
        return (
            f"{cost} A faster one, {names[fastest.name]}, takes {time_words(fastest.milliseconds)} ms and is"
            f" shown to lose less than {margin}."
        )
    trade = min(trades, key=lambda one: (one.p_value, one.loss))
    return (
        f"{cost} No faster trained model is shown to lose less than {margin}. The closest,"
        f" {names[trade.name]}, takes {time_words(trade.milliseconds)} ms and loses {_loss(kind, trade.loss)}"
        f" {kind.unit_of_difference} ({_loss(kind, trade.low)} to {_loss(kind, trade.high)})."
    )


def _without_close_faces(best: Run, kind: ScoreKind, audit: Audit | None) -> str:
    """Return the score without the test faces that are suspiciously close to a training face."""
    found = next((one for one in audit.findings if one.name == "suspiciously_close"), None) if audit else None
    scores = found.details.get(best.name, {}) if found else {}
    without = scores.get(f"{kind.name} without")
    if audit is None or found is None or without is None or why_old(audit, [best]):
        return ""
    change = kind.gain(without, scores[kind.name])
    how = f"{amount(kind, change)} {'better' if change > 0 else 'worse'}"
    how = how if float(kind.format(abs(change))) else "the same"
    score = f"{kind.format(without)} {kind.unit}".strip()
    return (
        f"{score} ({how}) without the test faces that are suspiciously close to a training face"
        f" ({found.count:,} of the {found.of:,} test faces that were checked)."
    )


def _loss(kind: ScoreKind, loss: float) -> str:
    """Return a loss without a plus sign, e.g. "0.9", or "−0.2" if the faster model is better."""
    return signed(kind, loss).removeprefix("+")


def _low_coverage(evidence: TargetEvidence) -> str:
    """Return the slices on which prediction sets or intervals have a significantly too low coverage."""
    low = evidence.broken
    if not low:
        return ""
    what = "Prediction intervals" if evidence.score == "mae_years" else "Prediction sets"
    value = "age" if evidence.score == "mae_years" else "class"
    covered = " and ".join(_covered(column, one) for column, one in low[:_LOW_NAMED])
    n_others = len(low) - _LOW_NAMED
    others = f"; {counted(n_others, 'more slice is', 'more slices are')} too low" if n_others > 0 else ""
    return (
        f"{what} that should contain the true {value} of {100 * (1 - MISSED):.0f} % of the faces do so for"
        f" only {covered}{others}."
    )


def _covered(column: str, one: Coverage) -> str:
    value, between = one.value or 0.0, one.between
    ends = f" ({100 * between.low:.1f} to {100 * between.high:.1f})" if between else ""
    age = f"age {one.label}" if one.label.isdigit() else f"ages {one.label}"
    whose = {"": one.label, "age_band": age}.get(column, f"{words(column)} {one.label}")
    return f"{100 * value:.1f} %{ends} of {whose}"
