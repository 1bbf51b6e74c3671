"""One fitted classifier with all it needs to read a new photograph.

A model is a folder without pickle: model.skops holds the classifier and is only
loaded through the list of types that the registered member declares, or model.safetensors holds the
weights of a network that was trained end to end; either is loaded after every file
matched its hash, and has to answer before anybody relies on it. model.json holds the
recipe of its vectors, and README.md is its card; see _bundle.py. A model reads vectors
of its own recipe and refuses all others.
"""

import io
import json
import os
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import ZIP_STORED, BadZipFile, ZipFile

import numpy as np
from numpy.typing import NDArray

from featurekit.data.manifest import AGE, AGE_GROUP, GENDER, Target
from featurekit.embeddings.extractor import (
    OpenBackbone,
    Recipe,
    describe_weights,
    make_recipes,
    open_networks,
    settings_from,
)
from featurekit.errors import FeaturekitError, ImageError, ModelError
from featurekit.estimators import CLASSIFIERS, Classifier, ClassifierKind
from featurekit.estimators.given import kind_of_saved
from featurekit.faces.find import (
    STATUS_MEANINGS,
    CropKind,
    Face,
    FaceSettings,
    Seen,
    default_settings,
    open_finder,
    see_faces,
)
from featurekit.faces.images import read_bytes
from featurekit.inference.archive import SKOPS, SUMS, TENSORS, read_bundle, write_bundle
from featurekit.inference.columns import Columns, name_columns
from featurekit.networks.backbones import split_feature
from featurekit.networks.engines import usable_cores
from featurekit.progress import Progress
from featurekit.uncertainty.calibration import Calibration, apply_temperature

# Photographs that go through the models together.
BATCH = 32

# What a classifier made of a stranger's numbers has been seen to raise when it is put together or asked.
_UNFIT = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    BadZipFile,
    EOFError,
    ImportError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    StopIteration,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)


@dataclass(frozen=True, kw_only=True)
class TrainedModel:
    """A fitted classifier and what its vectors are made of.

    Attributes:
        name: name of its folder.
        target: what it reads.
        classifier: name of the classifier.
        estimator: the fitted classifier.
        settings: how the faces it was fitted on were found.
        recipes: parts of its vectors, joined in this order.
        training: data set, synthetic or not, faces, subjects, notes of the fit.
        weights: name, sha256 and the three licences of each weight file that took part.
        calibration: what it may promise beyond its answer, as found on its folds; None for nothing.
        folder: where it was loaded from; None where it was not.
    """

    name: str
    target: Target
    classifier: str
    estimator: Classifier
    settings: FaceSettings
    recipes: tuple[Recipe, ...]
    training: Mapping[str, Any]
    weights: tuple[Mapping[str, Any], ...]
    calibration: Calibration | None = None
    folder: Path | None = None

    @property
    def place(self) -> Path:
        """Its folder, or its name for a model that lies nowhere."""
        return self.folder or Path(self.name)

    def predict(self, vectors: NDArray[Any], recipes: Sequence[Recipe]) -> NDArray[np.float64]:
        """Return class probabilities, shape (n, n_classes), or years, shape (n, 1).

        Args:
            vectors: shape (n, dim).
            recipes: what the vectors were made from.

        Raises:
            ModelError: the vectors are of another recipe than the model's.
        """
        self.check_recipes(recipes)
        if self.target.is_regression:
            return np.asarray(self.estimator.predict(vectors), np.float64)[:, None]
        return spread_out(
            self.estimator.predict_proba(vectors), self.estimator.classes_, len(self.target.classes)
        )

    def check_recipes(self, recipes: Sequence[Recipe]) -> None:
        """Raise ModelError unless the recipes are the model's own, and say what differs."""
        if len(recipes) != len(self.recipes):
            raise ModelError(
                f"{self.name} reads {len(self.recipes)} networks joined, but got {len(recipes)}."
            )
        for own, other in zip(self.recipes, recipes, strict=True):
            if own.key != other.key:
                what = _difference(asdict(own), asdict(other))
                raise ModelError(
                    f"{self.name} was fitted on vectors of another recipe: {what}."
                    " Fit it again with this version: featurekit extract, then featurekit fit."
                )

    def check_version(self, device: str, precision: str = "auto") -> None:
        """Raise ModelError unless the vectors that this version makes on a device are the model's own.

        Args:
            device: "auto", "cpu" or "cuda".
            precision: "fp32", "bf16", or "auto": the model's own.
        """
        own = [recipe.feature for recipe in self.recipes]
        fitted_in = next((recipe.precision for recipe in self.recipes if recipe.weights), "auto")
        made = make_recipes(
            own,
            self.settings,
            device=device,
            precision=fitted_in if precision == "auto" else precision,
            mirrored=any(recipe.mirrored for recipe in self.recipes),
        )
        self.check_recipes([made[feature] for feature in own])

    def save(self, folder: Path) -> int:
        """Write the model's folder and return its size in bytes.

        Raises:
            ModelError: the classifier is of a type that loading would refuse.
        """
        estimator: Any = self.estimator
        facts: dict[str, Any] = {}
        if hasattr(estimator, "to_tensors"):
            from safetensors.numpy import save

            file_name = TENSORS
            facts, tensors = estimator.to_tensors()
            data = save(tensors)
        else:
            file_name = SKOPS
            data = _dumped(estimator, self.name)
            strange = _strange_types(data, kind_of_saved(self.classifier))
            if strange:
                raise ModelError(f"{self.name} holds types that no loader may build: {', '.join(strange)}.")
        content = {
            "name": self.name,
            "target": asdict(self.target),
            "classifier": self.classifier,
            "estimator": facts,
            "settings": asdict(self.settings),
            "recipes": [asdict(recipe) for recipe in self.recipes],
            "training": dict(self.training),
            "weights": list(self.weights),
            "calibration": self.calibration.to_json() if self.calibration else None,
        }
        return write_bundle(folder, content, file_name, data, _card(self))

    @classmethod
    def load(cls, folder: Path) -> "TrainedModel":
        """Read a model that save() wrote.

        Raises:
            ModelError: the folder is no model, was edited, holds types that are not allowed, is of a
                classifier, a backbone or a detector that is not here, or cannot answer.
        """
        content, file_name, data = read_bundle(folder)
        try:
            kind = kind_of_saved(content["classifier"])
            target = Target.from_json(content["target"])
            model = cls(
                name=content["name"],
                target=target,
                classifier=kind.name,
                estimator=_learned(kind, target, content["estimator"], file_name, data),
                settings=settings_from(content["settings"]),
                recipes=tuple(Recipe(**recipe) for recipe in content["recipes"]),
                training=content["training"],
                weights=tuple(content["weights"]),
                calibration=Calibration.from_json(content["calibration"]) if content["calibration"] else None,
                folder=folder,
            )
            model.settings.recipe()  # which asks for its detector
            _check_answers(model, kind)
        except (*_UNFIT, FeaturekitError) as error:
            said = str(error).strip().partition("\n")[0]
            if not isinstance(error, ValueError | FeaturekitError):
                said = ": ".join(filter(None, (type(error).__name__, said)))
            raise ModelError(f"{folder} cannot be used here: {said}") from error
        return model


def _learned(
    kind: ClassifierKind, target: Target, facts: Mapping[str, Any], file_name: str, data: bytes
) -> Any:
    """Return the fitted classifier that a file holds.

    Raises:
        ModelError: it is one of another kind, or holds types that are not allowed.
    """
    unfitted: Any = kind.make(target, 0, usable_cores())
    if (file_name == TENSORS) != hasattr(unfitted, "from_tensors"):
        raise ModelError(f"A fitted {kind.name} is not kept in {file_name}.")
    if file_name == TENSORS:
        from safetensors import SafetensorError
        from safetensors.numpy import load

        try:
            return unfitted.from_tensors(facts, load(data))
        except SafetensorError as error:
            raise ModelError(f"{TENSORS} does not hold tensors: {error}.") from error
    import skops.io
    from skops.io.exceptions import UntrustedTypesFoundException

    strange = _strange_types(data, kind)
    if strange:
        raise ModelError(f"{SKOPS} holds types that are not allowed: {', '.join(strange)}.")
    try:
        estimator = skops.io.loads(data, trusted=list(kind.may_hold))
    except UntrustedTypesFoundException as error:
        raise ModelError(f"{SKOPS} holds types that are not allowed: {error}") from error
    if type(estimator) is not type(unfitted):
        raise ModelError(f"{SKOPS} holds a {type(estimator).__name__}, which is no fitted {kind.name}.")
    estimator.validate()
    estimator.n_jobs = unfitted.n_jobs  # those of this machine
    estimator.check_learned(unfitted)
    return estimator


def _dumped(estimator: Any, name: str) -> bytes:
    """Return a fitted classifier as skops keeps it.

    Raises:
        ModelError: skops knows no way to keep a part of it.
    """
    import skops.io
    from skops.io.exceptions import UnsupportedTypeException

    try:
        data: bytes = skops.io.dumps(estimator)
    except UnsupportedTypeException as error:
        raise ModelError(f"{name} holds what skops cannot keep: {error}") from error
    return data


def _strange_types(data: bytes, kind: ClassifierKind) -> list[str]:
    """Return the types that a file of skops names and that no such classifier is made of.

    Raises:
        ValueError: it is compressed, which skops is never asked for: a few bytes could unpack to anything.
    """
    with ZipFile(io.BytesIO(data)) as archive:
        if any(member.compress_type != ZIP_STORED for member in archive.infolist()):
            raise ValueError(f"{SKOPS} is compressed.")
        schema = json.loads(archive.read("schema.json"))
    found: set[str] = set()
    parts = [schema]
    while parts:
        part = parts.pop()
        if isinstance(part, dict):
            if "__class__" in part:
                found.add(f"{part.get('__module__')}.{part['__class__']}")
            parts += part.values()
        elif isinstance(part, list):
            parts += part
    return sorted(found - set(kind.may_hold))


def _check_answers(model: TrainedModel, kind: ClassifierKind) -> None:
    """Let a model read a made-up face, so that one that cannot does not fail on the first real one.

    Raises:
        ValueError, and whatever else its parts raise: it cannot.
    """
    if not model.target.is_regression:
        classes = np.asarray(model.estimator.classes_)
        known = np.arange(len(model.target.classes))
        if classes.ndim != 1 or not len(classes) or not np.isin(classes, known).all():
            raise ValueError(f"it knows other classes than {model.target.name} has.")
    parts = [split_feature(recipe.feature) for recipe in model.recipes]
    dim = sum(backbone.layers[layer] for backbone, layer in parts)
    vectors = np.ones((1, dim), np.uint8 if kind.reads == "crops" else np.float32)
    with np.errstate(all="ignore"):
        said = model.predict(vectors, model.recipes)
        shown: list[NDArray[Any]] = [said]
        promised = model.calibration
        if promised and promised.sets:
            shown += [apply_temperature(said, promised.temperature), promised.sets.of(said)]
        elif promised and promised.ranges:
            shown.append(promised.ranges.of(said[:, 0]))
    columns = 1 if model.target.is_regression else len(model.target.classes)
    if said.shape != (1, columns) or not all(np.isfinite(part).all() for part in shown[:2]):
        raise ValueError(f"its answer to a made-up face is {said.ravel()[:columns].tolist()}.")


def _difference(own: Mapping[str, Any], other: Mapping[str, Any], path: str = "") -> str:
    """Say where two recipes differ: "faces.detector: centerface there, yunet here"."""
    found = []
    for name in sorted({*own, *other}):
        a, b = own.get(name), other.get(name)
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            found.append(_difference(a, b, f"{path}{name}."))
        elif a != b:
            found.append(f"{path}{name} was {_short(a)} and is now {_short(b)}")
    return "; ".join(text for text in found if text)


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 24 else f"{text[:12]}…"


def spread_out(
    probabilities: NDArray[np.float64], classes: NDArray[np.intp], n_classes: int
) -> NDArray[np.float64]:
    """Return probabilities with a column for every class of the target, 0 where training had none.

    >>> spread_out(np.array([[0.3, 0.7]]), np.array([0, 2]), 4)
    array([[0.3, 0. , 0.7, 0. ]])
    """
    spread = np.zeros((len(probabilities), n_classes))
    spread[:, classes] = probabilities
    return spread


def _card(model: TrainedModel) -> str:
    """Return the model card as Markdown."""
    training = model.training
    made_up = " (synthetic: made-up portraits, not people)" if training.get("synthetic") else ""
    answer = "years" if model.target.is_regression else ", ".join(model.target.classes)
    lines = [
        f"# {model.name}",
        "",
        f"Reads **{model.target.name}** ({answer}) from a face photograph, with {model.classifier} on"
        f" {' + '.join(recipe.feature for recipe in model.recipes)}.",
        "",
        f"- Fitted on: {training.get('dataset')}{made_up}, {training.get('n_faces')} faces of"
        f" {training.get('n_subjects')} subjects, seed {training.get('seed')}.",
        f"- Faces found by: {model.settings.detector}, the {model.settings.choose} one of several.",
        *(f"- {note}" for note in training.get("notes", ())),
        "- How well it reads faces it has not seen stands in the comparison's report, not here:"
        " this model was fitted on all faces.",
        *_promises(model),
        "",
        "## Weights and their licences",
        "",
        "| network | sha256 | code | weights | training data |",
        "| --- | --- | --- | --- | --- |",
        *(
            f"| {w['name']} | `{w['sha256'][:12]}…` | {w['licence_code']} | {w['licence_weights']}"
            f" | {w['licence_training_data']} |"
            for w in model.weights
        ),
        "",
        "## What it is not for",
        "",
        "It reads what a face looks like, not a person's age or identity; labels are those of the data set."
        " It is not for surveillance, nor for decisions about people.",
    ]
    return "\n".join(lines) + "\n"


def _promises(model: TrainedModel) -> list[str]:
    """Return what the card says of answers that leave room."""
    known = model.calibration
    if known is None:
        return []
    what = "ranges of years" if model.target.is_regression else "sets of classes"
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


def off_the_shelf_models() -> list[TrainedModel]:
    """Return the heads that come with dlib's networks as models of gender, age_group and age.

    Nothing is fitted for them.

    Raises:
        WeightsError: the builtin weights are not here.
    """
    kind = CLASSIFIERS["off_the_shelf"]
    models = []
    for target in (GENDER, AGE_GROUP, AGE):
        feature = kind.features(target) if kind.features else None
        assert feature is not None
        settings = default_settings()
        recipe = make_recipes([feature], settings)[feature]
        estimator = kind.make(target, 0, 1)
        backbone, layer = split_feature(feature)
        nothing = np.zeros((1, backbone.layers[layer]), np.float32)
        estimator.fit(nothing, np.zeros(1, np.intp), groups=np.array(["nobody"]))
        models.append(
            TrainedModel(
                name=f"{target.name}--off_the_shelf",
                target=target,
                classifier=kind.name,
                estimator=estimator,
                settings=settings,
                recipes=(recipe,),
                training={"dataset": "none of ours", "notes": [kind.about]},
                weights=tuple(describe_weights([recipe], settings)),
            )
        )
    return models


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


def columns_of(models: Sequence[TrainedModel]) -> list[Columns]:
    """Return what the columns of each model are called in a table of the answers of all.

    Raises:
        ModelError: two are the same model.
    """
    known: dict[bytes, TrainedModel] = {}
    for model in models:
        # The list of hashes is the model's identity: a copy in another folder gives the same answers.
        content = (model.folder / SUMS).read_bytes() if model.folder else model.name.encode()
        other = known.setdefault(content, model)
        if other is not model:
            what = (
                f"{model.place} is given twice"
                if os.path.realpath(other.place) == os.path.realpath(model.place)
                else f"{other.place} and {model.place} hold the same model"
            )
            raise ModelError(f"{what}. Name each model once.")
    return name_columns([model.target for model in models], [model.place.absolute() for model in models])


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
        choose: which faces of a photograph; "all" or a name of featurekit.faces.find.CHOICES.
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
    settings = models[0].settings
    for model in models:
        if replace(model.settings, choose=settings.choose) != settings:
            raise ModelError(
                f"{models[0].name} and {model.name} find faces differently; ask them one by one."
            )
        model.check_version(device, precision)
    asked = [
        _Asked(model, columns.answer, _least_confidence(model, risk))
        for model, columns in zip(models, columns_of(models), strict=True)
    ]
    recipes = {recipe.feature: recipe for model in models for recipe in model.recipes}
    for model in models:
        if any(recipes[recipe.feature] != recipe for recipe in model.recipes):
            raise ModelError(
                f"{model.name} and another model make other vectors of the same name; ask them one by one."
            )
    networks = open_networks(list(recipes.values()), threads)
    settings = replace(settings, choose=choose)
    finder = open_finder(settings, threads=threads)
    kinds = list(dict.fromkeys(network.crop for network in networks))
    unexpected = Unexpected()

    def look(path: Path) -> _Looked:
        try:
            seen, _ = see_faces(read_bytes(path), finder, settings, kinds)
        except ImageError as error:
            return _Looked([Seen(Face(error.status))], str(error))
        except FeaturekitError:
            raise
        except Exception as error:
            return _Looked([], error=error)
        return _Looked(in_reading_order(seen))

    def ask(looked: Sequence[_Looked]) -> list[_Said]:
        crops = [one.crops for photograph in looked for one in photograph.seen if one.face.status == "ok"]
        return _answers(crops, networks, asked) if crops else []

    with ThreadPoolExecutor(threads) as pool:
        for start in range(0, len(paths), BATCH):
            batch = paths[start : start + BATCH]
            looked = list(pool.map(look, batch))
            try:
                said = iter(ask(looked))
            except FeaturekitError:
                raise
            except Exception:
                # One photograph must not cost the others of its batch their answers.
                looked, said = _one_by_one(looked, ask)
            unexpected.n_read += sum(one.error is None for one in looked)
            for path, one in zip(batch, looked, strict=True):
                if one.error:
                    message = unexpected.told(one.error)
                    yield [Reading(path=path, number=0, face=Face("failed"), message=message, answers={})]
                else:
                    yield [
                        _reading(path, number, face.face, one.message, said)
                        for number, face in enumerate(one.seen, start=1)
                    ]
            if progress:
                progress(min(start + BATCH, len(paths)), len(paths))


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
