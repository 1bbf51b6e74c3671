"""What the numbers of a page do not say, worked out from the runs: nothing here holds for some pages only."""

from collections.abc import Mapping, Sequence

from featurekit.evaluation.evidence import TargetEvidence
from featurekit.evaluation.results import Run
from featurekit.evaluation.timing import timed_on
from featurekit.report.tables import machine_of, words


def caveats(
    by_target: Mapping[str, Sequence[Run]],
    titles: Mapping[str, str],
    known: Mapping[str, TargetEvidence],
    *,
    is_synthetic: bool,
) -> tuple[tuple[str, str], ...]:
    """Return what there is to bear in mind, each with a word before it.

    Args:
        by_target: the runs that stand on the page.
        titles: target → what it is called.
        known: target → what is known beyond the scores.
        is_synthetic: whether the portraits are made up.
    """
    runs = [run for of in by_target.values() for run in of]
    items = []
    if is_synthetic:
        items.append(
            ("Synthetic.", "The portraits are made up. Nothing here says how well real faces are read.")
        )
    if {"age", "age_group"} & set(by_target):
        looks = (
            "A photograph shows how old somebody looks. A model that reads it well reads looks, not birth"
            " dates."
        )
        items.append(("Apparent age.", looks))
    labels = (
        "Answers are compared with the labels as they were when the runs were fitted. Where a label is"
        " wrong, a right answer counts as wrong and a wrong one as right."
    )
    items.append(("Labels.", labels))
    classes = list(
        dict.fromkeys(c for name, of in by_target.items() if "gender" in name for c in of[0].classes)
    )
    if classes:
        gender = (
            f"The classes are those of the labels ({', '.join(classes)}). They do not say how a person"
            " identifies."
        )
        items.append(("Gender.", gender))
    items.append(("Groups.", _groups(known)))
    alone = [
        titles[name] for name, of in by_target.items() if any(run.n_tested == run.n_subjects for run in of)
    ]
    if alone:
        own = (
            f"Every scored face counts as a subject of its own ({', '.join(alone)}). If the data set merely"
            " does not say who is who, a person may stand on both sides of a fold, and the scores are too"
            " good."
        )
        items.append(("Subjects.", own))
    spread = "± is the standard deviation over the folds, not a confidence interval."
    if known:
        interval = (
            "An interval says what other subjects from where these come from would do to a score, and nothing"
            " about faces from elsewhere."
        )
        spread = f"{interval} {spread}"
    items.append(("Spread.", spread))
    time = _time(by_target, titles, runs)
    items += [("Time.", time)] if time else []
    use = (
        "Compare methods with it. Do not use it for surveillance or identification, nor to decide anything"
        " about a single person."
    )
    items.append(("Use.", use))
    return tuple(items)


def _groups(known: Mapping[str, TargetEvidence]) -> str:
    columns = sorted({column for one in known.values() for of in one.slices for column in of.columns})
    hidden = "One number over all faces hides the faces that are read badly."
    if not columns:
        return f"{hidden} Differences between groups of people were not tested here."
    return (
        f"{hidden} Differences were looked at by {', '.join(map(words, columns))} only; by anything else that"
        " sets faces apart they were not measured."
    )


def _time(by_target: Mapping[str, Sequence[Run]], titles: Mapping[str, str], runs: Sequence[Run]) -> str:
    """Say on which days and machines the runs were made, and whose times are shown."""
    days = sorted({run.created[:10] for run in runs if run.created})
    if not days:
        return ""
    when = f"on {days[0]}" if len(days) == 1 else f"on {len(days)} days from {days[0]} to {days[-1]}"
    machines = sorted({timed_on(run) for run in runs} - {""})
    text = f"The runs were made {when}"
    if len(machines) < 2:
        return f"{text} on {machines[0]}." if machines else f"{text}."
    shown: dict[str, list[str]] = {}
    for name, of in by_target.items():
        shown.setdefault(machine_of(of), []).append(titles[name])
    whose = "; ".join(f"{machine} ({', '.join(of)})" for machine, of in shown.items())
    return f"{text} on {len(machines)} machines. Times are shown of one for each target: {whose}."
