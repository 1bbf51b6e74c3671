"""The worst errors of the best model of a target with their faces, on a page that may show them."""

from featurekit.report.gallery import MOST_FACES, MOST_SUBJECTS, Errors
from featurekit.report.model import Block, Gallery, Text
from featurekit.report.select import Ranked


def blocks(of: Ranked, errors: Errors | None) -> list[Block]:
    """Return the worst errors of the best model with their faces; nothing for a page without faces."""
    if errors is None:
        return []
    best = next(run for run in of.runs if run.name == errors.run)
    caption = f"{of.title}: the worst errors of the best model ({best.classifier_name})"
    wrong = "have an error of half a year or more" if errors.is_in_years else "are misclassified"
    note = f"{errors.n_wrong:,} of {errors.n_faces:,} faces {wrong}."
    n_shown = sum(len(one.faces) for one in errors.subjects)
    if n_shown:
        first = "largest errors" if errors.is_in_years else "wrong predictions with the highest confidence"
        are = "is" if n_shown == 1 else "are"
        note += (
            f" {n_shown:,} of them {are} shown, the {first} first, grouped by subject: at most {MOST_FACES}"
            f" faces of each of {MOST_SUBJECTS} subjects. Below a face are its label → the prediction. A"
            " label may be wrong; featurekit audit searches for suspect labels."
        )
    if errors.n_missing:
        note += (
            f" {errors.n_missing:,} more cannot be shown, because their images are missing or have changed"
            " since featurekit prepare."
        )
    return [Gallery(caption, note, errors.subjects) if n_shown else Text(f"{caption}. {note}")]
