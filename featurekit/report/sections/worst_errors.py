"""The faces that the best model of a target reads worst, on a page that may show them."""

from featurekit.report.gallery import MOST_FACES, MOST_SUBJECTS, Errors
from featurekit.report.model import Block, Gallery, Text
from featurekit.report.select import Ranked


def blocks(of: Ranked, errors: Errors | None) -> list[Block]:
    """Return the worst errors of the best model with their faces; nothing for a page that shows nobody."""
    if errors is None:
        return []
    best = next(run for run in of.runs if run.name == errors.run)
    caption = f"{of.title}: the worst errors of the best model ({best.classifier_name})"
    wrong = "read half a year or more off" if errors.is_in_years else "read wrong"
    note = f"{errors.n_wrong:,} of {errors.n_faces:,} faces were {wrong}."
    n_shown = sum(len(one.faces) for one in errors.subjects)
    if n_shown:
        first = "farthest off" if errors.is_in_years else "those that the model was surest of"
        note += (
            f" Shown are {n_shown:,}, {first} first, a subject's together: at most {MOST_FACES} of each of"
            f" {MOST_SUBJECTS} subjects. Beside a face: its label → what was read. A label may be wrong:"
            " featurekit audit looks for suspect ones."
        )
    if errors.n_missing:
        note += (
            f" The pictures of {errors.n_missing:,} more cannot be shown: they are gone, or have changed"
            " since featurekit prepare."
        )
    return [Gallery(caption, note, errors.subjects) if n_shown else Text(f"{caption}. {note}")]
