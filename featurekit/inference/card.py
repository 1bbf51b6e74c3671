"""The card of a model, as Markdown."""

from collections.abc import Mapping, Sequence
from typing import Any

from featurekit.data.targets import Target
from featurekit.faces.settings import FaceSettings
from featurekit.uncertainty.calibration import Calibration


def card(
    name: str,
    *,
    target: Target,
    classifier: str,
    features: Sequence[str],
    settings: FaceSettings,
    training: Mapping[str, Any],
    weights: Sequence[Mapping[str, Any]],
    calibration: Calibration | None,
) -> str:
    """Return the model card as Markdown; see TrainedModel for what it is told."""
    made_up = " (synthetic: made-up portraits, not people)" if training.get("synthetic") else ""
    answer = "years" if target.is_regression else ", ".join(target.classes)
    lines = [
        f"# {name}",
        "",
        f"Reads **{target.name}** ({answer}) from a face photograph, with {classifier} on"
        f" {' + '.join(features)}.",
        "",
        f"- Fitted on: {training.get('dataset')}{made_up}, {training.get('n_faces')} faces of"
        f" {training.get('n_subjects')} subjects, seed {training.get('seed')}.",
        f"- Faces found by: {settings.detector}, the {settings.choose} one of several.",
        *(f"- {note}" for note in training.get("notes", ())),
        "- How well it reads faces it has not seen stands in the comparison's report, not here:"
        " this model was fitted on all faces.",
        *_promises(target, calibration),
        "",
        "## Weights and their licences",
        "",
        "| network | sha256 | code | weights | training data |",
        "| --- | --- | --- | --- | --- |",
        *(
            f"| {w['name']} | `{w['sha256'][:12]}…` | {w['licence_code']} | {w['licence_weights']}"
            f" | {w['licence_training_data']} |"
            for w in weights
        ),
        "",
        "## What it is not for",
        "",
        "It reads what a face looks like, not a person's age or identity; labels are those of the data set."
        " It is not for surveillance, nor for decisions about people.",
    ]
    return "\n".join(lines) + "\n"


def _promises(target: Target, known: Calibration | None) -> list[str]:
    """Return what the card says of answers that leave room."""
    if known is None:
        return []
    what = "ranges of years" if target.is_regression else "sets of classes"
    lines = [
        f"- Its {what} should lack the truth for at most {100 * known.missed:.0f} % of faces like these."
    ]
    if known.sets:
        lines.append(f"- Probabilities are shown at a temperature of {known.temperature:.2f}.")
    return [
        *lines,
        "- Both were found on faces that the models of its folds had not seen; this model is not one of them,"
        " and faces from elsewhere may be harder.",
    ]
