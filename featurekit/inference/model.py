"""A fitted classifier with everything that is needed to predict the label of a new image.

A model is saved as a folder without pickle; archive.py describes the files. A model is loaded only if every
file matches its hash, and if it can make a prediction for a made-up face. model.json contains the recipes of
the model's embeddings (all settings that decide the numbers), and README.md is the model card. A model
refuses embeddings that were made with other recipes.

The pretrained classifiers of dlib's networks can be used as models too, without fitting.
"""

import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from featurekit.data.targets import AGE, AGE_GROUP, GENDER, Target
from featurekit.embeddings.recipe import Recipe, describe_weights, make_recipes
from featurekit.errors import FeaturekitError, ModelError, UnknownNameError
from featurekit.estimators import CLASSIFIERS, Classifier, ClassifierKind
from featurekit.estimators.fitted_features import fitted_in
from featurekit.estimators.given import HOW_TO_SAVE, kind_of_saved
from featurekit.faces.detectors import DETECTORS
from featurekit.faces.settings import FaceSettings, default_settings
from featurekit.inference.archive import ModelFile, from_file, read_bundle, to_file, write_bundle
from featurekit.networks.backbones import BACKBONES, split_feature
from featurekit.text import described, first_line
from featurekit.uncertainty.calibration import Calibration, apply_temperature

# Exceptions that classifiers have been seen to raise, when loaded or used, if their file was made by an
# attacker.
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

# FaceSettings.choose → what the card says of it.
_CHOSEN = {
    "center": "the one nearest to the centre",
    "largest": "the largest one",
    "box": "the one in the box of the manifest",
    "only": "none of them",
    "all": "each of them",
}


@dataclass(frozen=True, kw_only=True)
class TrainedModel:
    """A fitted classifier and the recipes of the embeddings that it takes as input.

    Attributes:
        name: name of the model, which is also the name of its folder.
        target: the label that the model predicts.
        classifier: name of the classifier.
        estimator: the fitted classifier.
        settings: settings of face detection for the faces that the model was fitted on.
        recipes: recipes (all settings) of the embeddings, whose vectors are joined in this order.
        training: facts about the training data: name of the data set, whether it is synthetic, numbers of
            faces and subjects, and notes.
        weights: facts about each weight file that the model uses: its name, sha256, licences etc.
        calibration: temperature, prediction sets or intervals and thresholds for abstaining, which were
            estimated in cross-validation; None if the model has no calibration.
        folder: folder that the model was loaded from; None if it was not loaded.
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
        """The folder that the model was loaded from, or else its name."""
        return self.folder or Path(self.name)

    @property
    def features(self) -> tuple[str, ...]:
        """The features, as "backbone:layer", or as "eigenfaces of …" if they are learned with the model."""
        reads = [recipe.feature for recipe in self.recipes]
        fitted = fitted_in(self.estimator) or ("",) * len(reads)
        return tuple(
            f"{name} of {feature}" if name else feature for name, feature in zip(fitted, reads, strict=True)
        )

    def card(self) -> str:
        """Return the model card, a Markdown text that describes the model."""
        made_up = " (synthetic: made-up portraits, not people)" if self.training.get("synthetic") else ""
        answer = "years" if self.target.is_regression else ", ".join(self.target.classes)
        lines = [
            f"# {self.name}",
            "",
            f"This model predicts **{self.target.name}** ({answer}) from an image of a face, with"
            f" {self.classifier} on the features {' + '.join(self.features)}.",
            "",
            f"- Fitted on: {self.training.get('dataset')}{made_up}, {self.training.get('n_faces')} faces of"
            f" {self.training.get('n_subjects')} subjects, seed {self.training.get('seed')}.",
            f"- Face detector: {self.settings.detector}. If an image has several faces,"
            f" {_CHOSEN[self.settings.choose]} is used.",
            *(f"- {note}" for note in self.training.get("notes", ())),
            "- Scores: see the report of the comparison. This model was fitted on all faces, so none are left"
            " to test it on.",
            *_promises(self.target, self.calibration),
            "",
            "## Weights and their licences",
            "",
            "| network | SHA-256 | licence of the code | licence of the weights | terms of the training data"
            " |",
            "| --- | --- | --- | --- | --- |",
            *(
                f"| {w['name']} | `{w['sha256'][:12]}…` | {w['licence_code']} | {w['licence_weights']}"
                f" | {w['licence_training_data']} |"
                for w in self.weights
            ),
            "",
            "## Limitations",
            "",
            "The model predicts how old a person looks, or which gender a face looks like. The true age or"
            " gender identity of the person may differ. Its labels are those of the data set. Do not use it"
            " for surveillance or for decisions about people.",
        ]
        return "\n".join(lines) + "\n"

    def predict(self, vectors: NDArray[Any], recipes: Sequence[Recipe]) -> NDArray[np.float64]:
        """Return class probabilities, shape (n, n_classes), or values of a regression target, shape (n, 1).

        Args:
            vectors: embeddings of n faces, shape (n, dim).
            recipes: recipes that the embeddings were made with.

        Raises:
            ModelError: the embeddings were made with other recipes than the model's.
        """
        self.check_recipes(recipes)
        if self.target.is_regression:
            return np.asarray(self.estimator.predict(vectors), np.float64)[:, None]
        return spread_out(
            self.estimator.predict_proba(vectors), self.estimator.classes_, len(self.target.classes)
        )

    def check_recipes(self, recipes: Sequence[Recipe]) -> None:
        """Raise ModelError, which says what differs, if recipes are not the model's own."""
        if len(recipes) != len(self.recipes):
            raise ModelError(
                f"{self.name} needs joined embeddings of {len(self.recipes)} networks, not of {len(recipes)}."
            )
        for own, other in zip(self.recipes, recipes, strict=True):
            if own.key != other.key:
                raise ModelError(
                    f"{self.name} was fitted on embeddings with other settings:"
                    f" {_difference(asdict(own), asdict(other))}."
                    " Fit it again with this version: featurekit extract, then featurekit fit."
                )

    def check_version(self, device: str, precision: str = "auto") -> None:
        """Raise ModelError if this version of featurekit cannot make embeddings with the model's recipes.

        Args:
            device: "auto", "cpu" or "cuda".
            precision: "fp32", "bf16", "int8", or "auto" for the precision that the model was fitted in.
        """
        own = [recipe.feature for recipe in self.recipes]
        networks = (recipe for recipe in self.recipes if BACKBONES[recipe.backbone].is_network)
        fitted_in = next((recipe.precision for recipe in networks), "auto")
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
            ModelError: the classifier has a type that could not be loaded again safely.
        """
        try:
            kind = kind_of_saved(self.classifier)
        except UnknownNameError as error:
            raise ModelError(
                f"{self.name} cannot be saved: '{self.classifier}' is neither a registered model nor a class"
                f" of scikit-learn whose files can be read again safely. {HOW_TO_SAVE}"
            ) from error
        file_name, facts, data = to_file(kind, self.estimator, self.name)
        content = ModelFile(
            name=self.name,
            target=self.target,
            classifier=self.classifier,
            estimator=facts,
            settings=self.settings,
            recipes=self.recipes,
            training=self.training,
            weights=self.weights,
            calibration=self.calibration,
        )
        return write_bundle(folder, content, file_name, data, self.card())

    @classmethod
    def load(cls, folder: Path) -> "TrainedModel":
        """Load a model from a folder that save() wrote.

        Raises:
            ModelError: the folder is not a model, was edited, contains types that are not allowed, needs a
                classifier, a backbone or a detector that is not installed, or cannot make a prediction.
        """
        content, file_name, data = read_bundle(folder)
        try:
            kind = _installed(kind_of_saved, content.classifier, "is a model of", "estimator")
            content.target.check_known()
            model = cls(
                name=content.name,
                target=content.target,
                classifier=kind.name,
                estimator=from_file(kind, content, file_name, data),
                settings=content.settings,
                recipes=content.recipes,
                training=content.training,
                weights=content.weights,
                calibration=content.calibration,
                folder=folder,
            )
            _installed(
                lambda detector: DETECTORS[detector], model.settings.detector, "finds faces with", "detector"
            )
            for recipe in model.recipes:
                _installed(lambda name: BACKBONES[name], recipe.backbone, "reads vectors of", "backbone")
            _check_answers(model, kind)
        except _NotInstalledError as error:
            raise ModelError(f"{folder} {error}") from error
        except (*_UNFIT, FeaturekitError) as error:
            said = first_line(error) if isinstance(error, ValueError | FeaturekitError) else described(error)
            raise ModelError(f"{folder} cannot be used here: {said}") from error
        return model


class _NotInstalledError(ModelError):
    """A model needs a member that no installed package has; it may be that of a plug-in."""


def _installed(look_up: Callable[[str], Any], name: str, needs: str, kind: str) -> Any:
    """Return the member with a name that a model's file gives.

    Raises:
        _NotInstalledError: no installed package has it.
    """
    try:
        return look_up(name)
    except UnknownNameError as error:
        raise _NotInstalledError(
            f"{needs} '{name}', which no installed package has. Install the package it came from. If it was"
            f" registered with fk.register_{kind}, register it first."
        ) from error


def _check_answers(model: TrainedModel, kind: ClassifierKind) -> None:
    """Let a model predict for a made-up face, so that a broken model is refused before it gets a real one.

    Raises:
        ValueError: the prediction is not one. The parts of a broken model may raise any other exception.
    """
    if not model.target.is_regression:
        classes, n_classes = np.asarray(model.estimator.classes_), len(model.target.classes)
        if classes.ndim != 1 or not len(classes) or not np.isin(classes, np.arange(n_classes)).all():
            raise ValueError(f"it has other classes than {model.target.name}.")
    dim = sum(
        backbone.layers[layer]
        for backbone, layer in (split_feature(recipe.feature) for recipe in model.recipes)
    )
    with np.errstate(all="ignore"):
        said = model.predict(
            np.ones((1, dim), np.uint8 if kind.reads == "crops" else np.float32), model.recipes
        )
        shown: list[NDArray[Any]] = [said]
        promised = model.calibration
        if promised and promised.sets:
            shown += [apply_temperature(said, promised.temperature), promised.sets.of(said)]
        elif promised and promised.ranges:
            shown.append(promised.ranges.of(said[:, 0]))
    columns = 1 if model.target.is_regression else len(model.target.classes)
    if said.shape != (1, columns) or not all(np.isfinite(part).all() for part in shown[:2]):
        raise ValueError(f"its prediction for a made-up face is {said.ravel()[:columns].tolist()}.")


def _promises(target: Target, known: Calibration | None) -> list[str]:
    """Return the lines of the card on prediction sets or intervals and on calibration."""
    if known is None:
        return []
    what, value = (
        ("prediction intervals (ranges of years)", "age")
        if target.is_regression
        else ("prediction sets (sets of classes)", "class")
    )
    return [
        f"- Coverage: its {what} are calibrated to contain the true {value} for at least"
        f" {100 * (1 - known.missed):.0f} % of faces from the same population.",
        *(
            [f"- Calibration: its probabilities are scaled with a temperature of {known.temperature:.2f}."]
            if known.sets
            else []
        ),
        "- These values were estimated in cross-validation, on faces that the models of the folds had not"
        " been fitted on. This model is fitted on all faces, and faces from other sources may be harder.",
    ]


def _difference(own: Mapping[str, Any], other: Mapping[str, Any], path: str = "") -> str:
    """Say where two recipes differ: "faces.detector was centerface and is now yunet"."""
    found = []
    for name in sorted({*own, *other}):
        a, b = own.get(name), other.get(name)
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            found.append(_difference(a, b, f"{path}{name}."))
        elif a != b:
            found.append(f"{path}{name} was {_short(a)} and is now {_short(b)}")
    return "; ".join(filter(None, found))


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 24 else f"{text[:12]}…"


def spread_out(
    probabilities: NDArray[np.float64], classes: NDArray[np.intp], n_classes: int
) -> NDArray[np.float64]:
    """Return probabilities with a column for every class, which is 0 for classes without training faces.

    >>> spread_out(np.array([[0.3, 0.7]]), np.array([0, 2]), 4)
    array([[0.3, 0. , 0.7, 0. ]])
    """
    spread = np.zeros((len(probabilities), n_classes))
    spread[:, classes] = probabilities
    return spread


def off_the_shelf_models() -> list[TrainedModel]:
    """Return the pretrained classifiers of dlib's networks as models of gender, age_group and age.

    Raises:
        WeightsError: the weight files of dlib's networks are missing.
    """
    kind, settings = CLASSIFIERS["off_the_shelf"], default_settings()
    models = []
    for target in (GENDER, AGE_GROUP, AGE):
        feature = kind.features(target) if kind.features else None
        assert feature is not None
        recipe = make_recipes([feature], settings)[feature]
        estimator = kind.make(target, 0, 1)
        # This learns nothing: it only marks the estimator as fitted.
        nothing = np.zeros((1, BACKBONES[recipe.backbone].layers[recipe.layer]), np.float32)
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
