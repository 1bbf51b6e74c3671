"""Find the faces on photographs and let models read them: one pass serves all models."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from featurekit.embeddings.open_networks import OpenBackbone, open_networks
from featurekit.embeddings.recipe import Recipe
from featurekit.errors import FeaturekitError, ImageError, ModelError
from featurekit.faces.align import CropKind
from featurekit.faces.detectors import FaceFinder
from featurekit.faces.face import STATUS_MEANINGS, Face
from featurekit.faces.find import open_finder
from featurekit.faces.images import read_bytes
from featurekit.faces.see import Seen, see_faces
from featurekit.faces.settings import FaceSettings
from featurekit.inference.columns import columns_of
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
        path: the photograph.
        number: of the face on it, from 1, left to right; 0 without a face.
        face: its status, box, landmarks and confidence.
        message: for a picture that cannot be read, what is wrong.
        answers: model → class → probability, calibrated where the model can, or model → {"years": years}.
            Here and below a model goes by the column of its answer (see columns_of), which is the target's
            name where no other model reads it.
        declined: models that are not sure enough to answer.
        room: model → classes, or first and last year, that hold the truth as often as the model promises.
    """

    path: Path
    number: int
    face: Face
    message: str = ""
    answers: Mapping[str, Mapping[str, float]]
    declined: frozenset[str] = frozenset()
    room: Mapping[str, tuple[str, ...] | tuple[float, float]] = field(default_factory=dict)


def read_photographs(
    paths: Sequence[Path],
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
        paths: photographs.
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
        paths,
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
    paths: Sequence[Path],
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
    networks = open_networks(_recipes_of(models), threads)
    settings = replace(settings, choose=choose)
    finder = open_finder(settings, threads=threads)
    kinds = list(dict.fromkeys(network.crop for network in networks))
    unexpected = Unexpected()

    def ask(looked: Sequence[_Looked]) -> list[_Said]:
        crops = [one.crops for photograph in looked for one in photograph.seen if one.face.status == "ok"]
        return _answers(crops, networks, asked) if crops else []

    with ThreadPoolExecutor(threads) as pool:
        for start in range(0, len(paths), BATCH):
            batch = paths[start : start + BATCH]
            looked = list(pool.map(lambda path: _look(path, finder, settings, kinds), batch))
            yield from _read_batch(batch, looked, ask, unexpected)
            if progress:
                progress(min(start + BATCH, len(paths)), len(paths))


def _common_settings(models: Sequence[TrainedModel], device: str, precision: str) -> FaceSettings:
    """Return how all models find faces.

    Raises:
        ModelError: they do so in different ways, or one reads vectors that this version does not make.
    """
    settings = models[0].settings
    for model in models:
        if replace(model.settings, choose=settings.choose) != settings:
            raise ModelError(
                f"{models[0].name} and {model.name} find faces differently; ask them one by one."
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
                f"{model.name} and another model make other vectors of the same name; ask them one by one."
            )
    return list(recipes.values())


def _look(path: Path, finder: FaceFinder, settings: FaceSettings, kinds: Sequence[CropKind]) -> "_Looked":
    """Find the faces on a photograph; what is wrong with it, or the error that looking raised, is kept."""
    try:
        seen, _ = see_faces(read_bytes(path), finder, settings, kinds)
    except ImageError as error:
        return _Looked([Seen(Face(error.status))], str(error))
    except FeaturekitError:
        raise
    except Exception as error:
        return _Looked([], error=error)
    return _Looked(in_reading_order(seen))


def _read_batch(
    paths: Sequence[Path],
    looked: list["_Looked"],
    ask: Callable[[Sequence["_Looked"]], list["_Said"]],
    unexpected: "Unexpected",
) -> Iterator[list[Reading]]:
    """Yield the readings of each photograph of a batch.

    Args:
        paths: the photographs.
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
    for path, one in zip(paths, looked, strict=True):
        if one.error:
            message = unexpected.told(one.error)
            yield [Reading(path=path, number=0, face=Face("failed"), message=message, answers={})]
        else:
            yield [
                _reading(path, number, face.face, one.message, said)
                for number, face in enumerate(one.seen, start=1)
            ]


class Unexpected:
    """Tells a photograph that reading fails with from reading that fails with every photograph.

    The first costs its own row. The second is a fault of the program, and is not hidden in a table of them.

    Attributes:
        n_read: photographs that were read, or for which there is a known reason why not.
    """

    MOST = 3  # photographs, the first ones of all, that may fail

    def __init__(self) -> None:
        self.n_read = 0
        self._n_failed = 0

    def told(self, error: Exception) -> str:
        """Return what is said of a photograph, or raise its error where nothing else was ever read."""
        self._n_failed += 1
        if not self.n_read and self._n_failed >= self.MOST:
            raise error
        where = error.__traceback__
        while where and where.tb_next:
            where = where.tb_next
        place = f" ({Path(where.tb_frame.f_code.co_filename).name}:{where.tb_lineno})" if where else ""
        said = f"{type(error).__name__}: {error}".rstrip(": ")
        return f"reading it raised an error that featurekit does not know: {said}{place}"


def in_reading_order(seen: Sequence[Seen]) -> list[Seen]:
    """Return the faces of a photograph from left to right, those that are none last."""
    return sorted(seen, key=lambda one: float(one.face.box[0]) if one.face.status == "ok" else float("inf"))


class _Looked(NamedTuple):
    """What was found on one photograph: faces, what is wrong with it, or the error that looking raised."""

    seen: list[Seen]
    message: str = ""
    error: Exception | None = None


def _one_by_one(
    looked: Sequence[_Looked], ask: Callable[[Sequence[_Looked]], list["_Said"]]
) -> tuple[list[_Looked], Iterator["_Said"]]:
    """Ask about each photograph by itself; one that raises an error becomes one with an error."""
    kept: list[_Looked] = []
    said: list[_Said] = []
    for one in looked:
        try:
            said += ask([one])
            kept.append(one)
        except FeaturekitError:
            raise
        except Exception as error:
            kept.append(_Looked([], error=error))
    return kept, iter(said)


def _reading(path: Path, number: int, face: Face, message: str, answers: Iterator["_Said"]) -> Reading:
    """Return the reading of one face; answers: of the faces found, of which it takes the next."""
    found = face.status == "ok"
    said = next(answers) if found else _Said({}, set(), {})
    return Reading(
        path=path,
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
            f"{model.name} does not know how sure it may be: it was fitted on too few subjects, by an older"
            " version, or is off the shelf. Fit it again, or leave --abstain-above out."
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
