"""The faces with the worst errors of the best model, for a report that may show faces."""

from featurekit.report.cells import sentences
from featurekit.report.gallery import MOST_FACES, MOST_SUBJECTS, Errors
from featurekit.report.model import Blocks, Gallery, Text
from featurekit.report.select import Ranked


def blocks(of: Ranked, errors: Errors | None) -> Blocks:
    """Return images of the faces that the best model predicts worst; nothing in a report without faces."""
    if errors is None:
        return []
    best = next(run for run in of.runs if run.name == errors.run)
    caption = f"{of.title}: the worst errors of the best model ({best.classifier_name})"
    wrong = "have an error of half a year or more" if errors.is_in_years else "are misclassified"
    n_shown = sum(len(one.faces) for one in errors.subjects)
    first = "largest errors" if errors.is_in_years else "wrong predictions with the highest confidence"
    note = sentences(
        f"{errors.n_wrong:,} of {errors.n_faces:,} faces {wrong}.",
        f"{n_shown:,} of them {'is' if n_shown == 1 else 'are'} shown, the {first} first, grouped by"
        f" subject: at most {MOST_FACES} faces of each of {MOST_SUBJECTS} subjects. Below each face:"
        " label → prediction. A label may be wrong; featurekit audit searches for suspect labels."
        if n_shown
        else "",
        f"{errors.n_missing:,} more faces cannot be shown, because their images are missing or have changed"
        " since featurekit prepare."
        if errors.n_missing
        else "",
    )
    return [Gallery(caption, note, errors.subjects) if n_shown else Text(f"{caption}. {note}")]
