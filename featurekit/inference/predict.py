"""Find the faces on images and predict their labels with several models in one pass."""

import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from featurekit.cache.file_index import FileIndex
from featurekit.cache.store import Store
from featurekit.embeddings.of_photographs import PhotographReader
from featurekit.embeddings.recipe import Recipe
from featurekit.embeddings.worker import Looked, keep_errors
from featurekit.errors import ModelError
from featurekit.faces.face import STATUS_MEANINGS, Face
from featurekit.faces.photographs import Photograph
from featurekit.faces.settings import FaceSettings
from featurekit.inference.columns import columns_of
from featurekit.inference.looking import Unexpected
from featurekit.inference.model import TrainedModel
from featurekit.networks.engines import usable_cores
from featurekit.progress import Clock, Progress, StepTimes
from featurekit.uncertainty.calibration import apply_temperature

# Images that go through the models together.
BATCH = 256


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


class Predictor:
    """Finds the faces on images and predicts their labels with every model.

    Args:
        photographs: the images.
        models: the models, which must all have the same settings of face detection.
        choose: which faces to use if an image has several: "all" or a name in
            featurekit.faces.settings.CHOICES.
        device: "auto", "cpu" or "cuda".
        precision: "fp32", "bf16", "int8", or "auto" for the precision that each model was fitted in.
        threads: number of threads; 0 for one per core.
        risk: the largest accepted proportion of wrong predictions. To stay below it, a model abstains from
            faces whose predictions are too uncertain. None to predict for all faces. Models of a regression
            target never abstain.
        store: the cache, in which stored faces and vectors are looked up, and to which new ones are added;
            None to compute them all.
        files: stored hashes of files that have not changed; None to hash every file.

    Attributes:
        has_store: whether there is a cache.

    Raises:
        ModelError: a model needs embeddings that this version of featurekit does not make, or is given twice.
    """

    def __init__(
        self,
        photographs: Sequence[Photograph],
        models: Sequence[TrainedModel],
        *,
        choose: str = "all",
        device: str = "auto",
        precision: str = "auto",
        threads: int = 0,
        risk: float | None = None,
        store: Store | None = None,
        files: FileIndex | None = None,
    ) -> None:
        settings = replace(_common_settings(models, device, precision), choose=choose)
        self._asked = [
            (model, columns.answer, _least_confidence(model, risk))
            for model, columns in zip(models, columns_of(models), strict=True)
        ]
        self._photographs, self._threads = photographs, threads or usable_cores()
        self._reader = PhotographReader(
            photographs,
            {recipe.feature: recipe for recipe in _recipes_of(models, settings)},
            settings,
            store=store,
            files=files,
            threads=self._threads,
            is_careful=True,
        )
        self.has_store = store is not None
        self._clock = Clock()
        self._started, self._seconds = 0.0, 0.0

    def each(self, progress: Progress | None = None) -> Generator[list[Reading], None, None]:
        """Yield a list of Reading for each image in turn: one for each face, or a single one without a face.

        Args:
            progress: callback that is called with (number of images done, number of all images).

        Raises:
            Exception: an unexpected error, if the first images all fail; see Unexpected.
        """
        unexpected = Unexpected()
        self._started = started = time.perf_counter()
        total = len(self._photographs)
        if progress:  # before the networks are loaded
            progress(0, total)
        batch: list[Looked] = []
        with closing(self._reader.each()) as found:
            for done, looked in enumerate(found, start=1):
                batch.append(looked)
                if progress:
                    progress(done, total)
                if len(batch) == BATCH or done == total:
                    with self._clock("predict"):
                        predictions = _predictions(batch, self._asked)
                    photographs = self._photographs[done - len(batch) : done]
                    yield from _read_batch(photographs, batch, predictions, unexpected)
                    batch = []
                    self._seconds = time.perf_counter() - started

    @property
    def seconds_to_open(self) -> float:
        """Seconds until the detector and the networks were ready; 0 if they were not needed."""
        return self._reader.one_pass.opened - self._started if self._reader.one_pass else 0.0

    def profile(self) -> StepTimes:
        """Return the seconds that the threads spent in each step."""
        reading = self._reader.one_pass
        parts = {**(reading.clock.seconds if reading else {}), **self._clock.seconds}
        n_read = len(self._photographs) - self._reader.n_stored if reading else 0
        return StepTimes(n_read, self._seconds, self._threads, parts)


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


def _recipes_of(models: Sequence[TrainedModel], settings: FaceSettings) -> list[Recipe]:
    """Return the recipes of all models, each once, for faces that are found in the asked way.

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
    return [replace(recipe, faces=settings.recipe()) for recipe in recipes.values()]


def _read_batch(
    photographs: Sequence[Photograph],
    looked: Sequence[Looked],
    predictions: Sequence["_Said"],
    unexpected: Unexpected,
) -> Iterator[list[Reading]]:
    """Yield the readings of each image of a batch.

    Args:
        photographs: the images.
        looked: the faces of each image.
        predictions: the predictions for all faces that were found.
        unexpected: decides whether an unexpected error becomes a row or is raised.
    """
    of_faces = iter(predictions)
    # This must be known before the first error is handled: other images of this batch may have been read.
    unexpected.has_read |= any(one.error is None for one in looked)
    for photograph, one in zip(photographs, looked, strict=True):
        if one.error:
            unexpected.check(one.error)
        yield [
            _reading(photograph, number, face.face, one.why, of_faces)
            for number, face in enumerate(one.faces, start=1)
        ]


def _predictions(looked: Sequence[Looked], asked: Sequence["_Asked"]) -> list["_Said"]:
    """Return the predictions for all faces of a batch.

    If an unexpected error is raised, each image is predicted alone, and the error is kept with its image.
    """
    said: list[_Said] = []

    def predict(some: Sequence[Looked]) -> None:
        vectors = [face.vectors for one in some for face in one.faces if face.face.status == "ok"]
        if vectors:
            said.extend(_answers(vectors, asked))

    keep_errors(looked, predict)
    return said


def _reading(
    photograph: Photograph, number: int, face: Face, message: str, predictions: Iterator["_Said"]
) -> Reading:
    """Return the reading of one face; if it was found, take the next of the predictions for found faces."""
    found = face.status == "ok"
    said = next(predictions) if found else _Said({}, set(), {})
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


def _answers(vectors: Sequence[Mapping[str, NDArray[np.float32]]], asked: Sequence[_Asked]) -> list[_Said]:
    """Return the predictions for each face; vectors: feature → vector of each."""
    said = [_Said({}, set(), {}) for _ in vectors]
    for model, name, least in asked:
        features = [recipe.feature for recipe in model.recipes]
        joined = np.stack([np.concatenate([of_one[name] for name in features]) for of_one in vectors])
        found = model.predict(joined, model.recipes)
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
