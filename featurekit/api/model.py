"""A fitted model: its predictions for images, their explanations, and its export."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from featurekit.api.arguments import as_list, images_of, threads_of, which_faces
from featurekit.api.project import Project, project_of
from featurekit.api.telling import LOG, Shown, note, shown
from featurekit.errors import ModelError, WorkspaceError
from featurekit.evaluation.unused_options import unused_of_predict
from featurekit.faces.photographs import Photograph, Photographs
from featurekit.inference.inputs import check_is_one, is_model
from featurekit.inference.model import TrainedModel, off_the_shelf_models
from featurekit.inference.predict import read_each
from featurekit.inference.table import readings_table
from featurekit.text import readable_name


class Model:
    """A fitted model, as `fk.load_model` and `results.best().fit(...)` return it.

    It holds all that it takes to read a new image: how the face is found, which networks turn it into a
    vector, the fitted classifier, and what it may promise beyond its answer.

    Args:
        trained: the fitted model.
    """

    def __init__(self, trained: TrainedModel) -> None:
        self._trained = trained

    @property
    def name(self) -> str:
        """Its name: that of its folder."""
        return self._trained.name

    @property
    def target(self) -> str:
        """What it reads, e.g. "gender"."""
        return self._trained.target.name

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes that it tells apart, in their order; none for one that reads years."""
        return self._trained.target.classes

    @property
    def features(self) -> list[str]:
        """The networks whose vectors it reads, joined in this order, as "network:layer"."""
        return [recipe.feature for recipe in self._trained.recipes]

    @property
    def card(self) -> str:
        """Its model card, as Markdown: what it was fitted on, licences of its weights, what it is not for."""
        return self._trained.card()

    def predict(
        self,
        images: Photographs,
        *,
        choose: str = "all",
        abstain_above: float | None = None,
        sets: bool = False,
        probabilities: bool = False,
        device: str = "auto",
        precision: str = "auto",
        n_jobs: int | None = None,
        progress: Shown = True,
    ) -> pd.DataFrame:
        """Find the faces on images and read them; see `fk.predict`, which asks several models at once.

        Example:
            >>> import featurekit as fk
            >>> model = fk.load_model("models/gender--dlib_age--svm")              # doctest: +SKIP
            >>> model.predict(["photo.jpg", "folder/"], probabilities=True)        # doctest: +SKIP
        """
        return predict(
            images,
            [self],
            choose=choose,
            abstain_above=abstain_above,
            sets=sets,
            probabilities=probabilities,
            device=device,
            precision=precision,
            n_jobs=n_jobs,
            progress=progress,
        )

    def explain(
        self,
        images: Photographs,
        *,
        how: str = "auto",
        choose: str = "all",
        random_state: int = 0,
        device: str = "auto",
        n_jobs: int | None = None,
        progress: Shown = True,
    ) -> "Explanations":
        """Return a map for each face of what the prediction of the model depends on.

        A map over a single face shows a person: it is for your own eyes. For a report there are mean maps,
        `explanations.save_means(folder)`.

        Args:
            images: as for predict().
            how: "gradcam", "attention", "occlusion" (any model), or "auto" for the first of attention,
                Grad-CAM and occlusion that the model can.
            choose: which faces of an image: "all", "center", "largest" or "only".
            random_state: seed for the random tenths that the map is compared with.
            device: "auto", "cpu" or "cuda".
            n_jobs: how many threads; None or -1 for one a core.
            progress: whether to show a bar; or a function of (images done, images to do).

        Returns:
            The explanations: a sequence of them, ``.frame()``, ``.save(folder)`` and ``.save_means(folder)``.

        Raises:
            UnknownNameError: there is no such method, or no such way to choose a face.
            ModelError: the model does not support the method.
            PhotographError: something is not an image.
        """
        from featurekit.inference.explain import explain_photographs

        given = images_of(images)
        with shown(progress, "explaining", "images") as told:
            found = explain_photographs(
                given,
                self._trained,
                how=how,
                choose=which_faces(choose),
                device=device,
                threads=threads_of(n_jobs),
                seed=random_state,
                progress=told,
            )
            return Explanations(list(found), given)

    def export(self, path: str | Path) -> Any:
        """Write a network trained end to end as an ONNX file, after ONNX Runtime has given the same answers.

        Args:
            path: the .onnx file to write.

        Returns:
            Facts of the file: ``.path``, ``.n_bytes``, ``.side`` (of the faces that it takes, in pixels),
            ``.answers`` (names of its columns), ``.difference`` and ``.from_predict`` (the largest difference
            from the network's answers, and from those of predict()).

        Raises:
            ModelError: the model is of another kind, or ONNX Runtime answers otherwise.
            WorkspaceError: the name does not end in .onnx, or the file cannot be written.
        """
        from featurekit.inference.export import export_onnx

        file = Path(path)
        if file.suffix.lower() != ".onnx":
            raise WorkspaceError(f"An exported network is an .onnx file. Got '{file.name}' instead.")
        return export_onnx(self._trained, file)

    def save(self, folder: str | Path) -> Path:
        """Write the model's folder: four plain files without pickle; `fk.load_model` reads it.

        Args:
            folder: of the model, e.g. "models/gender". A model that is there already is replaced.

        Returns:
            The folder.

        Raises:
            ModelError: the classifier is of a type that loading would refuse, or the folder holds something
                else than a model.
            WorkspaceError: the folder cannot be written.
        """
        place = Path(folder)
        _check_place(place)
        self._trained.save(place)
        return place

    def __repr__(self) -> str:
        features = " + ".join(self.features)
        return f"Model({self.name!r}: {self.target} by {self._trained.classifier} on {features})"

    def _repr_html_(self) -> str:
        from featurekit.report.notebook import model_html

        return model_html(self._trained)


class Explanations(Sequence[Any]):
    """Where a model looked on faces: a sequence of explanations, one a face.

    Each has ``.photograph.name``, ``.number`` (of the face), ``.answer``, ``.value`` (its probability, or the
    years), ``.how``, ``.face`` (uint8, (s, s, 3)), ``.heat`` (float32, (s, s), 0 to 1) and ``.loss``: what
    the answer loses when the tenth that the map calls most important is blurred (``.important``), and when
    random tenths are (``.random``).
    """

    def __init__(self, found: Sequence[Any], photographs: Sequence[Photograph]) -> None:
        self._all, self._photographs = tuple(found), tuple(photographs)
        self._explained = [one for one in found if hasattr(one, "heat")]

    def __len__(self) -> int:
        return len(self._explained)

    def __getitem__(self, number: Any) -> Any:
        """Return one explanation, or several for a slice."""
        return self._explained[number]

    def __repr__(self) -> str:
        return f"Explanations({len(self):,} faces on {len(self._photographs):,} images)"

    def frame(self) -> pd.DataFrame:
        """Return a table: a row a face, and a row for each image that nothing can be said of.

        Returns:
            The columns photograph, face (0 for none), answer, value (its probability, or the years), how,
            loss_important and loss_random (what the value loses when the most important tenth of the face, or
            random ones, are blurred), and message.
        """
        nan = float("nan")
        rows = [
            (one.number, one.answer, one.value, one.how, one.loss.important, one.loss.random, "")
            if hasattr(one, "heat")
            else (0, "", nan, "", nan, nan, readable_name(one.message))
            for one in self._all
        ]
        columns = ["face", "answer", "value", "how", "loss_important", "loss_random", "message"]
        found = pd.DataFrame(rows, columns=columns)
        found.insert(0, "photograph", [readable_name(one.photograph.name) for one in self._all])
        return found

    def save(self, folder: str | Path) -> list[Path]:
        """Draw the map of each face over the face, a PNG each, and return the files.

        Args:
            folder: where they go; not one that images lie in.
        """
        from featurekit.inference.draw import draw_explanation

        place = self._place(folder)
        return [draw_explanation(one, place) for one in self._explained]

    def save_means(self, folder: str | Path) -> list[Path]:
        """Draw the mean map of each answer over its mean face, which may be shown, and return the files.

        Args:
            folder: where they go; not one that images lie in.

        Raises:
            TargetError: no answer has ten faces, the least in which no single person can be recognized.
        """
        from featurekit.inference.draw import draw_mean_maps
        from featurekit.inference.explain import MeanMaps

        place = self._place(folder)
        means = MeanMaps()
        for one in self._explained:
            means.add(one)
        files = draw_mean_maps(means.maps(), place)
        if means.refusal():
            LOG.warning(means.refusal())
        return files

    def _place(self, folder: str | Path) -> Path:
        from featurekit.inference.draw import check_drawings

        place = Path(folder)
        check_drawings(place, [one.path for one in self._photographs if one.path], "folder")
        return place


def load_model(path: str | Path, *, project: Project | str | Path | None = None) -> Model:
    """Return a model that was saved: by `model.save`, by `fk.evaluate` or by `featurekit fit`.

    Args:
        path: its folder, or its name below the project's models/.
        project: where it is looked for; None for the current folder's.

    Raises:
        WorkspaceError: it is not there.
        ModelError: the folder is no model, was edited, or cannot be used here.

    Example:
        >>> import featurekit as fk
        >>> fk.load_model("models/gender--dlib_age--svm").predict("photo.jpg")    # doctest: +SKIP
    """
    folder = project_of(project).folder.model(Path(path))
    check_is_one(folder, "fk.load_model('{}')")
    return Model(TrainedModel.load(folder))


def predict(
    images: Photographs,
    models: "Model | str | Path | Sequence[Model | str | Path] | None" = None,
    *,
    choose: str = "all",
    abstain_above: float | None = None,
    sets: bool = False,
    probabilities: bool = False,
    device: str = "auto",
    precision: str = "auto",
    n_jobs: int | None = None,
    project: Project | str | Path | None = None,
    progress: Shown = True,
) -> pd.DataFrame:
    """Find the faces on images and let one or several models read them, in one pass.

    It is what `featurekit predict` does, and gives the same columns and values.

    Args:
        images: one or several: file names, folders of them, the bytes of files, Pillow images, or
            uint8 pixels (h, w, 3) or (n, h, w, 3); also a column of a DataFrame.
        models: whose answers: a model, the name or folder of one, or several; None for those that come with
            dlib's networks (gender, age group, age), for which nothing was fitted.
        choose: which faces of an image: "all", "center", "largest" or "only".
        abstain_above: share of the answers that may be wrong, e.g. 0.05: a face that a model is not sure
            enough of gets "abstained". None to answer all.
        sets: whether to add which classes, or years, contain the true value for nine in ten such faces.
        probabilities: whether to give the probability of every class, in a column each.
        device: "auto", "cpu" or "cuda"; a device that is asked for and not there is an error.
        precision: "auto" (each model's own), "fp32" or "bf16".
        n_jobs: how many threads; None or -1 for one a core. They change the time and nothing else.
        project: where models are looked for by name; None for the current folder's.
        progress: whether to show a bar; or a function of (images done, images to do).

    Returns:
        A row a face, and one for each image without; photograph, face (number on it, from 1, left to
        right; 0 for none), status ("ok", or why there is no answer), confidence (the detector's), for each
        model its answer (called after the target, e.g. "gender", and where several models read one, after
        the model too) and its probability, the box x1, y1, x2, y2 in pixels, and message.
        ``.attrs["models"]`` says which model each answer is of.

    Raises:
        PhotographError: something is no image; the message says at which position.
        ModelError: models find faces in different ways, stand twice, or do not know how sure they may be.
        WorkspaceError: a model is not there, or an option has no effect on any.
        UnknownNameError: there is no such way to choose a face.

    Example:
        >>> import featurekit as fk
        >>> import skimage.data
        >>> fk.predict(skimage.data.astronaut(), progress=False)["gender"].item()    # doctest: +SKIP
        'female'
    """
    asked = _models(models, project)
    if abstain_above is not None and not 0 <= abstain_above <= 1:
        raise ModelError(f"abstain_above is a share, between 0 and 1. Got {abstain_above} instead.")
    given = images_of(images)
    readings = []
    for text in unused_of_predict(asked, sets=sets, abstain_above=abstain_above, probabilities=probabilities):
        note(text)
    with shown(progress, "reading", "images") as told:
        for of_one in read_each(
            given,
            asked,
            choose=which_faces(choose),
            device=device,
            precision=precision,
            threads=threads_of(n_jobs),
            risk=abstain_above,
            progress=told,
        ):
            readings += of_one
    return readings_table(readings, asked, sets=sets, probabilities=probabilities)


def _check_place(folder: Path) -> None:
    """Raise ModelError if a folder holds something else than a model."""
    if folder.is_dir() and not is_model(folder) and any(folder.iterdir()):
        raise ModelError(f"{folder} holds other files, and a model has a folder of its own. Name a new one.")
    if folder.exists() and not folder.is_dir():
        raise ModelError(f"{folder} is a file, and a model is a folder. Name a new one.")


def _models(models: Any, project: Project | str | Path | None) -> list[TrainedModel]:
    """Return the models to use, and load those that are named.

    Raises:
        ModelError: something is not a model, or none is given.
    """
    if models is None:
        return off_the_shelf_models()
    several = [
        load_model(one, project=project) if isinstance(one, str | Path) else one for one in as_list(models)
    ]
    if not several:
        raise ModelError("No models are given; leave them out for those that come with dlib's networks.")
    for number, one in enumerate(several):
        if not isinstance(one, Model):
            raise ModelError(
                f"Model {number} of {len(several)} (counted from 0) is of type {type(one).__name__}: give"
                " what fk.load_model returns, or a model's name or folder."
            )
    return [one._trained for one in several]
