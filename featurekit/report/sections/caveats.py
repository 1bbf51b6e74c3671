"""What the numbers of a page do not say, worked out from the runs: nothing here holds for some pages only."""

from collections.abc import Sequence

from featurekit.evaluation.evidence import TargetEvidence
from featurekit.evaluation.timing import timed_on
from featurekit.report.cells import words
from featurekit.report.model import Block, Points
from featurekit.report.select import Ranked, machine_of


def blocks(ranked: Sequence[Ranked], *, is_synthetic: bool) -> list[Block]:
    """Return what there is to bear in mind, each with a word before it.

    Args:
        ranked: the targets of the page.
        is_synthetic: whether the portraits are made up.
    """
    known = [of.evidence for of in ranked if of.evidence]
    items = (
        (
            "Synthetic.",
            "The portraits are made up. Nothing here says how well real faces are read."
            if is_synthetic
            else "",
        ),
        ("Apparent age.", _looks(ranked)),
        (
            "Labels.",
            "Answers are compared with the labels as they were when the runs were fitted. Where a label is"
            " wrong, a right answer counts as wrong and a wrong one as right.",
        ),
        ("Gender.", _gender(ranked)),
        ("Groups.", _groups(known)),
        ("Subjects.", _subjects(ranked)),
        ("Spread.", _spread(known)),
        ("Time.", _time(ranked)),
        (
            "Use.",
            "Compare methods with it. Do not use it for surveillance or identification, nor to decide"
            " anything about a single person.",
        ),
    )
    return [Points(tuple((head, text) for head, text in items if text))]


def _looks(ranked: Sequence[Ranked]) -> str:
    if not {"age", "age_group"} & {of.name for of in ranked}:
        return ""
    return (
        "A photograph shows how old somebody looks. A model that reads it well reads looks, not birth dates."
    )


def _gender(ranked: Sequence[Ranked]) -> str:
    classes = list(dict.fromkeys(c for of in ranked if "gender" in of.name for c in of.runs[0].classes))
    if not classes:
        return ""
    return (
        f"The classes are those of the labels ({', '.join(classes)}). They do not say how a person"
        " identifies."
    )


def _subjects(ranked: Sequence[Ranked]) -> str:
    alone = [of.title for of in ranked if any(run.n_tested == run.n_subjects for run in of.runs)]
    if not alone:
        return ""
    return (
        f"Every scored face counts as a subject of its own ({', '.join(alone)}). If the data set merely"
        " does not say who is who, a person may stand on both sides of a fold, and the scores are too"
        " good."
    )


def _spread(known: Sequence[TargetEvidence]) -> str:
    spread = "± is the standard deviation over the folds, not a confidence interval."
    if not known:
        return spread
    interval = (
        "An interval says what other subjects from where these come from would do to a score, and nothing"
        " about faces from elsewhere."
    )
    return f"{interval} {spread}"


def _groups(known: Sequence[TargetEvidence]) -> str:
    columns = sorted({column for one in known for of in one.slices for column in of.columns})
    hidden = "One number over all faces hides the faces that are read badly."
    if not columns:
        return f"{hidden} Differences between groups of people were not tested here."
    return (
        f"{hidden} Differences were looked at by {', '.join(map(words, columns))} only; by anything else that"
        " sets faces apart they were not measured."
    )


def _time(ranked: Sequence[Ranked]) -> str:
    """Say on which days and machines the runs were made, and whose times are shown."""
    runs = [run for of in ranked for run in of.runs]
    days = sorted({run.created[:10] for run in runs if run.created})
    if not days:
        return ""
    when = f"on {days[0]}" if len(days) == 1 else f"on {len(days)} days from {days[0]} to {days[-1]}"
    machines = sorted({timed_on(run) for run in runs} - {""})
    text = f"The runs were made {when}"
    if len(machines) < 2:
        return f"{text} on {machines[0]}." if machines else f"{text}."
    shown: dict[str, list[str]] = {}
    for of in ranked:
        shown.setdefault(machine_of(of.runs), []).append(of.title)
    whose = "; ".join(f"{machine} ({', '.join(titles)})" for machine, titles in shown.items())
    return f"{text} on {len(machines)} machines. Times are shown of one for each target: {whose}."
