"""Find the faces on photographs and let models read them: one pass serves all models."""

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
from featurekit.uncertainty.temperature import apply_temperature

# Photographs that go through the models together.
BATCH = 32


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What models say of one face on a photograph, or why there is none.

    Attributes:
        photograph: which.
        number: of the face on it, from 1, left to right; 0 without a face.
        face: its status, box, landmarks and confidence.
        message: for a picture that cannot be read, what is wrong.
        answers: model → class → probability, calibrated where the model can, or model → {"years": years}.
            Here and below a model goes by the column of its answer (see columns_of), which is the target's
            name where no other model reads it.
        declined: models that are not sure enough to answer.
        room: model → classes, or first and last year, that hold the truth as often as the model promises.
    """

    photograph: Photograph
    number: int
    face: Face
    message: str = ""
    answers: Mapping[str, Mapping[str, float]]
    declined: frozenset[str] = frozenset()
    room: Mapping[str, tuple[str, ...] | tuple[float, float]] = field(default_factory=dict)


def read_photographs(
    photographs: Sequence[Photograph | Path],
    models: Sequence[TrainedModel],
    *,
    choose: str = "all",
    device: str = "auto",
    precision: str = "auto",
    threads: int = 0,
    risk: float | None = None,
    progress: Progress | None = None,
) -> Iterator[Reading]:
    """Find the faces on photographs and let every model read them; one pass serves all models.

    Args:
        photographs: which; a Path stands for the file.
        models: whose answers; all must find faces with the same detector.
        choose: which faces of a photograph; "all" or a name of featurekit.faces.settings.CHOICES.
        device: "auto", "cpu" or "cuda".
        precision: "fp32", "bf16", or "auto": each model's own.
        threads: how many; 0 for one a core.
        risk: share of the answers that may be wrong: a model declines faces that it is not sure enough of;
            None to answer all. Models of years answer all.
        progress: called with (photographs done, photographs to do).

    Yields:
        One reading a face, or one for a photograph without; in the order of the photographs.

    Raises:
        ModelError: a model was fitted on vectors of another recipe than this version makes, or stands twice.
        Exception: of any kind, where reading fails with every photograph; see Unexpected.
    """
    for readings in read_each(
        photographs,
        models,
        choose=choose,
        device=device,
        precision=precision,
        threads=threads,
        risk=risk,
        progress=progress,
    ):
        yield from readings


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
    """Do what read_photographs() does, and yield the readings of one photograph after the other."""
    threads = threads or usable_cores()
    settings = _common_settings(models, device, precision)
    asked = [
        _Asked(model, columns.answer, _least_confidence(model, risk))
        for model, columns in zip(models, columns_of(models), strict=True)
    ]
    settings = replace(settings, choose=choose)
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
    """Return how all models find faces.

    Raises:
        ModelError: they do so in different ways, or one reads vectors that this version does not make.
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
        ModelError: two of them call other vectors by the same name.
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
    """Yield the readings of each photograph of a batch.

    Args:
        photographs: the photographs.
        looked: what was found on each.
        ask: lets the models answer for all faces that were found.
        unexpected: told of photographs that were read, and of errors.
    """
    try:
        said = iter(ask(looked))
    except FeaturekitError:
        raise
    except Exception:
        # One photograph must not cost the others of its batch their answers.
        looked, said = _one_by_one(looked, ask)
    unexpected.n_read += sum(one.error is None for one in looked)
    for photograph, one in zip(photographs, looked, strict=True):
        if one.error:
            message = unexpected.told(one.error)
            yield [_failed(photograph, message)]
        else:
            yield [
                _reading(photograph, number, face.face, one.message, said)
                for number, face in enumerate(one.seen, start=1)
            ]


def _one_by_one(
    looked: Sequence[Looked], ask: Callable[[Sequence[Looked]], list["_Said"]]
) -> tuple[list[Looked], Iterator["_Said"]]:
    """Ask about each photograph by itself; one that raises an error becomes one with an error."""
    kept: list[Looked] = []
    said: list[_Said] = []
    for one in looked:
        try:
            said += ask([one])
            kept.append(one)
        except FeaturekitError:
            raise
        except Exception as error:
            kept.append(Looked([], error=error))
    return kept, iter(said)


def _failed(photograph: Photograph, message: str) -> Reading:
    return Reading(photograph=photograph, number=0, face=Face("failed"), message=message, answers={})


def _reading(
    photograph: Photograph, number: int, face: Face, message: str, answers: Iterator["_Said"]
) -> Reading:
    """Return the reading of one face; answers: of the faces found, of which it takes the next."""
    found = face.status == "ok"
    said = next(answers) if found else _Said({}, set(), {})
    return Reading(
        photograph=photograph,
        number=number if found else 0,
        face=face,
        message=message or ("" if found else STATUS_MEANINGS[face.status]),
        answers=said.answers,
        declined=frozenset(said.declined),
        room=said.room,
    )


class _Asked(NamedTuple):
    """A model, the name that its answers go by, and from which confidence on it may answer."""

    model: TrainedModel
    name: str
    surest: float


class _Said(NamedTuple):
    """What the models say of one face; see Reading."""

    answers: dict[str, dict[str, float]]
    declined: set[str]
    room: dict[str, tuple[str, ...] | tuple[float, float]]


def _least_confidence(model: TrainedModel, risk: float | None) -> float:
    """Return from which confidence on a model may answer.

    Raises:
        ModelError: it was saved without what is needed to say.
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
    """Return what the models say of each face."""
    vectors = {}
    for network in networks:
        vectors.update(network.vectors(np.stack([crop[network.crop] for crop in crops])))
    said = [_Said({}, set(), {}) for _ in crops]
    for model, name, surest in asked:
        joined = np.hstack([vectors[recipe.feature] for recipe in model.recipes])
        found = model.predict(joined, model.recipes)
        known = model.calibration
        columns = ("years",) if model.target.is_regression else model.target.classes
        shown = found
        if known and known.sets:
            shown = apply_temperature(found, known.temperature)
            for one, row in zip(said, known.sets.of(found), strict=True):
                one.room[name] = tuple(label for label, inside in zip(columns, row, strict=True) if inside)
        elif known and known.ranges:
            for one, (first, last) in zip(said, known.ranges.of(found[:, 0]), strict=True):
                one.room[name] = (float(first), float(last))
        for one, row, own in zip(said, shown, found, strict=True):
            one.answers[name] = dict(zip(columns, map(float, row), strict=True))
            if not model.target.is_regression and own.max() < surest:
                one.declined.add(name)
    return said
