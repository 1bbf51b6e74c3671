"""Find the faces on images and predict their labels with several models in one pass."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from featurekit.embeddings.open_networks import OpenBackbone, opened_once
from featurekit.embeddings.recipe import Recipe
from featurekit.errors import FeaturekitError, ModelError
from featurekit.faces.align import CropKind
from featurekit.faces.face import STATUS_MEANINGS, Face
from featurekit.faces.photographs import Photograph, as_photograph
from featurekit.faces.settings import FaceSettings
from featurekit.inference.columns import columns_of
from featurekit.inference.looking import Looked, Unexpected, look
from featurekit.inference.model import TrainedModel
from featurekit.networks.engines import usable_cores
from featurekit.progress import Progress
from featurekit.uncertainty.calibration import apply_temperature

# Images that go through the models together.
BATCH = 32


@dataclass(frozen=True, kw_only=True)
class Reading:
    """The predictions of all models for one face, or the reason why there are no predictions.

    Attributes:
        photograph: the image.
        number: number of the face on the image, from 1, left to right; 0 if no face was found.
        face: status, box, landmarks and confidence of the face.
        message: what is wrong with an image that cannot be read.
        answers: the predictions: key of the model → class → probability, or, for a regression target, key of
            the model → {"years": value}. Probabilities are calibrated if the model has a calibration. The key
            of a model is the column of its prediction (see columns_of), which is the target's name if no
            other model predicts that target.
        abstained: keys of the models that abstain because they are too uncertain.
        sets: key of the model → prediction set (classes), or prediction interval (lower and upper end).
    """

    photograph: Photograph
    number: int
    face: Face
    message: str = ""
    answers: Mapping[str, Mapping[str, float]]
    abstained: frozenset[str] = frozenset()
    sets: Mapping[str, tuple[str, ...] | tuple[float, float]] = field(default_factory=dict)


def read_each(
    photographs: Sequence[Photograph | Path],
    models: Sequence[TrainedModel],
    *,
    choose: str = "all",
    device: str = "auto",
    precision: str = "auto",
    threads: int = 0,
    risk: float | None = None,
    progress: Progress | None = None,
) -> Iterator[list[Reading]]:
    """Find the faces on images and predict their labels with every model.

    Args:
        photographs: the images; a Path stands for the file.
        models: the models, which must all have the same settings of face detection.
        choose: which faces to use if an image has several: "all" or a name in
            featurekit.faces.settings.CHOICES.
        device: "auto", "cpu" or "cuda".
        precision: "fp32", "bf16", or "auto" for the precision that each model was fitted in.
        threads: number of threads; 0 for one per core.
        risk: the largest accepted proportion of wrong predictions. To stay below it, a model abstains from
            faces whose predictions are too uncertain. None to predict for all faces. Models of a regression
            target never abstain.
        progress: callback that is called with (number of images done, number of all images).

    Yields:
        A list of Reading for each image in turn: one for each face, or a single one if no face was found.

    Raises:
        ModelError: a model needs embeddings that this version of featurekit does not make, or is given twice.
        Exception: an unexpected error, if the first images all fail; see Unexpected.
    """
    threads = threads or usable_cores()
    settings = replace(_common_settings(models, device, precision), choose=choose)
    asked = [
        (model, columns.answer, _least_confidence(model, risk))
        for model, columns in zip(models, columns_of(models), strict=True)
    ]
    networks, finder = opened_once(_recipes_of(models), settings, threads)
    kinds = list(dict.fromkeys(network.crop for network in networks))
    unexpected = Unexpected()

    def ask(looked: Sequence[Looked]) -> list[_Said]:
        crops = [one.crops for photograph in looked for one in photograph.seen if one.face.status == "ok"]
        return _answers(crops, networks, asked) if crops else []

    with ThreadPoolExecutor(threads) as pool:
        for start in range(0, len(photographs), BATCH):
            batch = [as_photograph(one) for one in photographs[start : start + BATCH]]
            looked = list(pool.map(lambda one: look(one, finder, settings, kinds), batch))
            yield from _read_batch(batch, looked, ask, unexpected)
            if progress:
                progress(min(start + BATCH, len(photographs)), len(photographs))


def _common_settings(models: Sequence[TrainedModel], device: str, precision: str) -> FaceSettings:
    """Return the settings by which all models find faces.

    Raises:
        ModelError: the settings differ, or a model needs vectors that this version does not make.
    """
    settings = models[0].settings
    for model in models:
        if replace(model.settings, choose=settings.choose) != settings:
            raise ModelError(
                f"{models[0].name} and {model.name} find faces in different ways. Use them in separate calls."
            )
        model.check_version(device, precision)
    return settings


def _recipes_of(models: Sequence[TrainedModel]) -> list[Recipe]:
    """Return the recipes of all models, each once.

    Raises:
        ModelError: two models have different recipes with the same name.
    """
    recipes = {recipe.feature: recipe for model in models for recipe in model.recipes}
    for model in models:
        if any(recipes[recipe.feature] != recipe for recipe in model.recipes):
            raise ModelError(
                f"{model.name} and another model compute different vectors with the same name. Use them"
                " in separate calls."
            )
    return list(recipes.values())


def _read_batch(
    photographs: Sequence[Photograph],
    looked: list[Looked],
    ask: Callable[[Sequence[Looked]], list["_Said"]],
    unexpected: Unexpected,
) -> Iterator[list[Reading]]:
    """Yield the readings of each image of a batch.

    Args:
        photographs: the images.
        looked: what was found on each.
        ask: returns the predictions for all faces that were found.
        unexpected: is told of images that were read, and of errors.
    """
    looked, said = _asked_about(looked, ask)
    answers = iter(said)
    # This must be known before the first error is handled: other images of this batch may have been read.
    unexpected.has_read |= any(one.error is None for one in looked)
    for photograph, one in zip(photographs, map(unexpected.settled, looked), strict=True):
        yield [
            _reading(photograph, number, face.face, one.message, answers)
            for number, face in enumerate(one.seen, start=1)
        ]


def _asked_about(
    looked: list[Looked], ask: Callable[[Sequence[Looked]], list["_Said"]]
) -> tuple[list[Looked], list["_Said"]]:
    """Ask about a batch. If that raises an error, ask about each image alone and keep the error with it."""
    try:
        return looked, ask(looked)
    except FeaturekitError:
        raise
    except Exception as error:
        if len(looked) == 1:
            return [Looked([], error=error)], []
    # One image must not prevent predictions for the others of its batch.
    each = [_asked_about([one], ask) for one in looked]
    return [one for kept, _ in each for one in kept], [one for _, said in each for one in said]


def _reading(
    photograph: Photograph, number: int, face: Face, message: str, answers: Iterator["_Said"]
) -> Reading:
    """Return the reading of one face; if it was found, take the next of the predictions for found faces."""
    found = face.status == "ok"
    said = next(answers) if found else _Said({}, set(), {})
    return Reading(
        photograph=photograph,
        number=number if found else 0,
        face=face,
        message=message or ("" if found else STATUS_MEANINGS[face.status]),
        answers=said.answers,
        abstained=frozenset(said.abstained),
        sets=said.sets,
    )


# A model, the column of its prediction, and the lowest probability at which it does not abstain.
_Asked = tuple[TrainedModel, str, float]


class _Said(NamedTuple):
    """The predictions for one face; see Reading."""

    answers: dict[str, dict[str, float]]
    abstained: set[str]
    sets: dict[str, tuple[str, ...] | tuple[float, float]]


def _least_confidence(model: TrainedModel, risk: float | None) -> float:
    """Return the lowest probability at which a model does not abstain.

    Raises:
        ModelError: the model was saved without the figures that this needs.
    """
    if risk is None or model.target.is_regression:
        return 0.0
    if model.calibration is None or model.calibration.abstention is None:
        raise ModelError(
            f"{model.name} cannot abstain: it was fitted on too few subjects, or by an older version, or is"
            " an off-the-shelf model. Fit it again, or leave --abstain-above out."
        )
    threshold = model.calibration.abstention.threshold_for(risk)
    return float("inf") if threshold is None else threshold


def _answers(
    crops: Sequence[Mapping[CropKind, NDArray[np.uint8]]],
    networks: Sequence[OpenBackbone],
    asked: Sequence[_Asked],
) -> list[_Said]:
    """Return the predictions for each face."""
    vectors = {
        feature: part
        for network in networks
        for feature, part in network.vectors(np.stack([crop[network.crop] for crop in crops])).items()
    }
    said = [_Said({}, set(), {}) for _ in crops]
    for model, name, least in asked:
        found = model.predict(np.hstack([vectors[recipe.feature] for recipe in model.recipes]), model.recipes)
        known = model.calibration
        columns = ("years",) if model.target.is_regression else model.target.classes
        shown = found
        if known and known.sets:
            shown = apply_temperature(found, known.temperature)
            for one, row in zip(said, known.sets.of(found), strict=True):
                one.sets[name] = tuple(label for label, inside in zip(columns, row, strict=True) if inside)
        elif known and known.ranges:
            for one, (first, last) in zip(said, known.ranges.of(found[:, 0]), strict=True):
                one.sets[name] = (float(first), float(last))
        for one, row, own in zip(said, shown, found, strict=True):
            one.answers[name] = dict(zip(columns, map(float, row), strict=True))
            if not model.target.is_regression and own.max() < least:
                one.abstained.add(name)
    return said
