"""Write the model card, a Markdown text that describes a fitted model."""

from collections.abc import Mapping, Sequence
from typing import Any

from featurekit.data.targets import Target
from featurekit.faces.settings import FaceSettings
from featurekit.uncertainty.calibration import Calibration

_CHOSEN = {
    "center": "the one nearest to the centre",
    "largest": "the largest one",
    "box": "the one in the box of the manifest",
    "only": "none of them",
    "all": "each of them",
}


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
    """Return the model card as Markdown. The arguments are attributes of TrainedModel."""
    made_up = " (synthetic: made-up portraits, not people)" if training.get("synthetic") else ""
    answer = "years" if target.is_regression else ", ".join(target.classes)
    lines = [
        f"# {name}",
        "",
        f"This model predicts **{target.name}** ({answer}) from an image of a face, with {classifier} on the"
        f" features {' + '.join(features)}.",
        "",
        f"- Fitted on: {training.get('dataset')}{made_up}, {training.get('n_faces')} faces of"
        f" {training.get('n_subjects')} subjects, seed {training.get('seed')}.",
        f"- Face detector: {settings.detector}. If an image has several faces, {_CHOSEN[settings.choose]} is"
        " used.",
        *(f"- {note}" for note in training.get("notes", ())),
        "- Scores: see the report of the comparison. This model was fitted on all faces, so none are left to"
        " test it on.",
        *_promises(target, calibration),
        "",
        "## Weights and their licences",
        "",
        "| network | SHA-256 | licence of the code | licence of the weights | terms of the training data |",
        "| --- | --- | --- | --- | --- |",
        *(
            f"| {w['name']} | `{w['sha256'][:12]}…` | {w['licence_code']} | {w['licence_weights']}"
            f" | {w['licence_training_data']} |"
            for w in weights
        ),
        "",
        "## Limitations",
        "",
        "The model predicts from the appearance of a face, which may differ from a person's true age or"
        " identity. Its labels are those of the data set. Do not use it for surveillance or for decisions"
        " about people.",
    ]
    return "\n".join(lines) + "\n"


def _promises(target: Target, known: Calibration | None) -> list[str]:
    """Return the lines of the card on prediction sets or intervals and on calibration."""
    if known is None:
        return []
    what, value = (
        ("prediction intervals (ranges of years)", "age")
        if target.is_regression
        else ("prediction sets (sets of classes)", "class")
    )
    lines = [
        f"- Coverage: its {what} are calibrated to contain the true {value} for at least"
        f" {100 * (1 - known.missed):.0f} % of faces from the same population."
    ]
    if known.sets:
        lines.append(
            f"- Calibration: its probabilities are scaled with a temperature of {known.temperature:.2f}."
        )
    return [
        *lines,
        "- These values were estimated in cross-validation, on faces that the models of the folds had not"
        " been fitted on. This model is fitted on all faces, and faces from other sources may be harder.",
    ]
