"""The limitations of the results in a report, derived from its runs."""

from collections.abc import Sequence

from featurekit.evaluation.comparable import mixed_vectors
from featurekit.evaluation.cost import timed_on
from featurekit.evaluation.evidence import TargetEvidence
from featurekit.report.cells import sentences, words
from featurekit.report.model import Blocks, Points
from featurekit.report.select import Ranked, machine_of


def blocks(ranked: Sequence[Ranked], *, is_synthetic: bool) -> Blocks:
    """Return the list of limitations; each begins with its topic in bold.

    Args:
        ranked: runs of each target of the report.
        is_synthetic: whether the images are synthetic portraits.
    """
    known = [of.evidence for of in ranked if of.evidence]
    genders = dict.fromkeys(c for of in ranked if "gender" in of.name for c in of.runs[0].classes)
    items = (
        (
            "Synthetic images.",
            "The portraits are made up. The results say nothing about real faces." if is_synthetic else "",
        ),
        (
            "Apparent age.",
            "An image shows how old a person looks. A model can only learn the apparent age, which may differ"
            " from the true age."
            if any(of.name in ("age", "age_group") for of in ranked)
            else "",
        ),
        (
            "Labels.",
            "Predictions are compared with the labels that the data set had when the runs were fitted. If a"
            " label is wrong, a correct prediction counts as an error, and an error may count as correct.",
        ),
        (
            "Gender.",
            f"The classes are those of the labels ({', '.join(genders)}). They do not describe the gender"
            " with which a person identifies."
            if genders
            else "",
        ),
        ("Groups.", _groups(known)),
        ("Subjects.", _subjects(ranked)),
        (
            "Intervals.",
            sentences(
                "A confidence interval describes how much a score would vary with other subjects from the"
                " same population. It does not apply to faces from other sources."
                if known
                else "",
                "± is the standard deviation over the folds, not a confidence interval.",
            ),
        ),
        ("Vectors.", sentences(*(text for of in ranked for text in mixed_vectors(of.runs)))),
        ("Time.", _time(ranked)),
        (
            "Use.",
            "The results are meant for comparing methods. Do not use the models for surveillance or"
            " identification, or for decisions about a person.",
        ),
    )
    return [Points(tuple((head, text) for head, text in items if text))]


def _groups(known: Sequence[TargetEvidence]) -> str:
    columns = sorted({column for one in known for of in one.slices for column in of.columns})
    hidden = "An average over all faces hides groups for which a model is less accurate."
    if not columns:
        return f"{hidden} Differences between groups were not tested."
    return (
        f"{hidden} Differences were tested only between groups by {', '.join(map(words, columns))}."
        " Differences between groups by other attributes were not measured."
    )


def _subjects(ranked: Sequence[Ranked]) -> str:
    alone = [of.title for of in ranked if any(run.n_tested == run.n_subjects for run in of.runs)]
    if not alone:
        return ""
    return (
        f"Every face counts as a subject of its own ({', '.join(alone)}). A person with several images may be"
        " in the training part and the test part of a fold, which makes the scores too optimistic."
    )


def _time(ranked: Sequence[Ranked]) -> str:
    """Return on which days and machines the runs were made, and the machines whose times are shown."""
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
    return (
        f"{text} on {len(machines)} machines. For each target, the times of one machine are shown: {whose}."
    )
