"""Predict, explain and export with a fitted model."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from featurekit.api.arguments import as_list, images_of, threads_of, which_faces
from featurekit.api.project import Project, project_of
from featurekit.api.telling import LOG, Shown, note, shown
from featurekit.cache.file_index import FileIndex
from featurekit.cache.store import Store
from featurekit.checked import checked
from featurekit.errors import ModelError, WorkspaceError
from featurekit.evaluation.unused_options import unused_of_predict
from featurekit.faces.photographs import Photograph, Photographs
from featurekit.files import names_in
from featurekit.inference.inputs import check_is_one, is_model
from featurekit.inference.model import TrainedModel, off_the_shelf_models
from featurekit.inference.predict import Predictor
from featurekit.inference.table import readings_table
from featurekit.text import readable_name
from featurekit.urls import place_of


@checked()
class Model:
    """A fitted model, as `fk.load_model` and `results.best().fit(...)` return it.

    It contains everything that a prediction for a new image needs, which is the settings of the face
    detection, the recipe of the networks, the fitted classifier, and its calibration.

    Args:
        trained: the fitted model.
    """

    def __init__(self, trained: TrainedModel) -> None:
        self._trained = trained

    @property
    def name(self) -> str:
        """The name of the model, which is also the name of its folder."""
        return self._trained.name

    @property
    def target(self) -> str:
        """The target that the model predicts, such as "gender"."""
        return self._trained.target.name

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes of the target, in their order; empty for a regression target."""
        return self._trained.target.classes

    @property
    def features(self) -> list[str]:
        """The networks whose vectors the model uses, in the order of joining, as "network:layer".

        A feature that was learned with the model is, for example, "eigenfaces of flattened_pixels:grey".
        """
        return list(self._trained.features)

    @property
    def card(self) -> str:
        """The model card, as Markdown: training data, licences of the weights, and limitations."""
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
        cache: bool = True,
        project: Project | str | Path | None = None,
        progress: Shown = True,
    ) -> pd.DataFrame:
        """Find the faces on images and predict their labels.

        The arguments and the result are described at `fk.predict`, which takes several models.

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
            cache=cache,
            project=project,
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
        """Return a map for each face that shows which parts of the face the prediction depends on.

        A map is drawn over the face, and the person can be recognized, so do not publish it. For a report,
        draw mean maps with `explanations.save_means(folder)`.

        Args:
            images: the images, of any kind that predict() takes.
            how: method of the maps, "gradcam", "attention", "occlusion" (any model), or "auto" for the first
                of attention, Grad-CAM and occlusion that the model supports.
            choose: the faces to use of each image, "all", "center", "largest" or "only".
            random_state: seed for drawing random tenths of the face, which are blurred to check whether the
                map marks a more important tenth.
            device: "auto", "cpu" or "cuda".
            n_jobs: number of threads; None or -1 for one per core.
            progress: whether to show a progress bar, or a function that is called with (images done, images
                to do).

        Returns:
            A sequence of explanations, which has ``.frame()``, ``.save(folder)`` and ``.save_means(folder)``.

        Raises:
            UnknownNameError: how or choose is not one of the allowed values.
            ModelError: the model does not support the method.
            PhotographError: one of `images` is not an image.
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
        """Write a network trained end to end as an ONNX file.

        The file is written only if ONNX Runtime gives the same predictions as the network.

        Args:
            path: path or URL of the .onnx file to write.

        Returns:
            Facts about the file, which are ``.path``, ``.n_bytes``, ``.side`` (side of the input images in
            pixels), ``.answers`` (names of the output columns), ``.difference`` (the largest difference from
            the output of the network) and ``.from_predict`` (the same from the output of predict()).

        Raises:
            ModelError: the model is not a network trained end to end, or ONNX Runtime gives other
                predictions.
            WorkspaceError: the path does not end in .onnx, or the file cannot be written.
        """
        from featurekit.inference.export import export_onnx

        file = place_of(path)
        if file.suffix.lower() != ".onnx":
            raise WorkspaceError(f"An exported network is an .onnx file. Got '{file.name}' instead.")
        return export_onnx(self._trained, file)

    def save(self, folder: str | Path) -> Path:
        """Save the model in a folder of four files without pickle, which `fk.load_model` can load.

        Args:
            folder: folder of the model, such as "models/gender", or its URL in a bucket, such as
                "s3://bucket/models/gender". A saved model in this folder is replaced.

        Returns:
            The folder.

        Raises:
            ModelError: the classifier has a type that cannot be loaded safely, or the folder has other files.
            WorkspaceError: the folder cannot be written.
        """
        place = place_of(folder)
        try:
            if names_in(place) and not is_model(place):
                raise ModelError(f"{place} contains other files. Give a new folder for the model.")
        except FileNotFoundError:
            pass
        except NotADirectoryError:
            text = f"{place} is a file, but a model is saved in a folder. Give a new folder."
            raise ModelError(text) from None
        except OSError as error:
            raise WorkspaceError(f"Cannot write {place}: {error.strerror}.") from None
        self._trained.save(place)
        return place

    def __repr__(self) -> str:
        return (
            f"Model({self.name!r}: {self.target} by {self._trained.classifier} on"
            f" {' + '.join(self.features)})"
        )

    def _repr_html_(self) -> str:
        from featurekit.report.notebook import model_html

        return model_html(self._trained)


@checked()
class Explanations(Sequence[Any]):
    """A sequence of explanations of predictions, one for each face.

    An explanation has these attributes:

    - ``.photograph.name`` and ``.number``: name of the image, and number of the face on it.
    - ``.answer`` and ``.value``: the predicted class and its probability, or "years" and the predicted years.
    - ``.how``: the method that was used.
    - ``.face``: the face, uint8, shape (s, s, 3); ``.heat``: the map, float32, shape (s, s), from 0 to 1.
    - ``.loss.important`` and ``.loss.random``: how much the prediction changes if the most important tenth of
      the face, by the map, is blurred, and if a random tenth is blurred.
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
        """Return a table with one row for each face, and for each image without an explanation.

        Returns:
            The columns photograph, face (number of the face, 0 for no face), answer (the predicted class),
            value (its probability, or the predicted years), how, loss_important and loss_random (how much the
            value changes if the most important tenth of the face, or a random tenth, is blurred), and
            message.
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
        """Draw the map of each face over the face, as one PNG for each face, and return the files.

        Args:
            folder: the folder to write to, which must not contain any of the explained images.
        """
        from featurekit.inference.draw import draw_explanation

        place = self._place(folder)
        return [draw_explanation(one, place) for one in self._explained]

    def save_means(self, folder: str | Path) -> list[Path]:
        """Draw the mean map of each predicted class over its mean face, and return the files.

        A mean of ten or more faces shows no single person, so it may be published. For a
        regression target, the faces are grouped in ranges of ten years.

        Args:
            folder: the folder to write to, which must not contain any of the explained images.

        Raises:
            TargetError: no predicted class has ten or more faces.
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

        place = place_of(folder)
        check_drawings(place, [one.path for one in self._photographs if one.path], "folder")
        return place


@checked()
def load_model(path: str | Path, *, project: Project | str | Path | None = None) -> Model:
    """Load a model that `model.save`, `fk.evaluate` or `featurekit fit` has saved.

    Args:
        path: folder of the model, its URL in a bucket ("s3://bucket/models/gender"), or the model's name
            below the project's models/.
        project: the project; None for the project of the current folder.

    Raises:
        WorkspaceError: the folder does not exist.
        ModelError: the folder is not a model, was edited, or cannot be used on this machine.

    Example:
        >>> import featurekit as fk
        >>> fk.load_model("models/gender--dlib_age--svm").predict("photo.jpg")    # doctest: +SKIP
    """
    folder = project_of(project).folder.model(place_of(path))
    check_is_one(folder, "fk.load_model('{}')")
    return Model(TrainedModel.load(folder))


@checked()
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
    cache: bool = True,
    project: Project | str | Path | None = None,
    progress: Shown = True,
) -> pd.DataFrame:
    """Find the faces on images and predict their labels with one or several models.

    The command `featurekit predict` makes the same predictions and the same table.

    Args:
        images: one or several images or folders of images, as file names, bytes of files, Pillow images,
            uint8 pixels of shape (h, w, 3) or (n, h, w, 3), or a column of a DataFrame.
        models: one or several models, or names or folders of saved models; None for the off-the-shelf models
            of gender, age group and age, which are dlib's networks.
        choose: the faces to use of each image, "all", "center", "largest" or "only".
        abstain_above: the largest accepted share of wrong predictions, such as 0.05. A model abstains on
            faces whose prediction is too uncertain, and the table then has "abstained" as the prediction.
            None to predict all faces.
        sets: whether to add prediction sets (classes) or prediction intervals (years), which contain the true
            value for 90 % of faces like those of the training data.
        probabilities: whether to add a column with the probability of each class.
        device: "auto", "cpu" or "cuda". With "cuda", an error is raised if no GPU can be used.
        precision: "auto" (the precision that each model was fitted with), "fp32", "bf16" or
            "int8".
        n_jobs: number of threads, which does not change the results; None or -1 for one per core.
        cache: whether the faces and vectors of the images are looked up in the cache of the project and added
            to it, if the project has a data set.
        project: the project in which models are found by name, and whose cache is used; None for the project
            of the current folder.
        progress: whether to show a progress bar, or a function that is called with (images done, images to
            do).

    Returns:
        A table with one row for each face, and for each image without a face. Its columns are photograph,
        face (the number of the face on the image, from 1, left to right; 0 for no face), status ("ok", or why
        there is no prediction), confidence (of the detector), the prediction of each model and its
        probability, the box x1, y1, x2, y2 in pixels, and message. The column of a prediction has the name of
        the target, such as "gender"; if several models predict a target, the name of the model is added.
        ``.attrs["models"]`` has the model of each column of predictions.

    Raises:
        PhotographError: something is not an image; the message gives its position.
        ModelError: models find faces in different ways, a model is given twice, or a model cannot abstain.
        WorkspaceError: a model does not exist, or an option has no effect on any model.
        UnknownNameError: choose is not one of the allowed values.

    Example:
        >>> import featurekit as fk
        >>> import skimage.data
        >>> fk.predict(skimage.data.astronaut(), progress=False)["gender"].item()    # doctest: +SKIP
        'female'
    """
    asked = models_of(models, project)
    if abstain_above is not None and not 0 <= abstain_above <= 1:
        raise ModelError(f"abstain_above must be between 0 and 1. Got {abstain_above} instead.")
    given = images_of(images)
    for text in unused_of_predict(asked, sets=sets, abstain_above=abstain_above, probabilities=probabilities):
        note(text)
    place = project_of(project)
    with cache_for_images(place, cache=cache) as (store, files), shown(progress, "reading", "images") as told:
        predictor = Predictor(
            given,
            asked,
            choose=which_faces(choose),
            device=device,
            precision=precision,
            threads=threads_of(n_jobs),
            risk=abstain_above,
            store=store,
            files=files,
        )
        readings = [reading for of_one in predictor.each(told) for reading in of_one]
    return readings_table(readings, asked, sets=sets, probabilities=probabilities)


@contextmanager
def cache_for_images(project: Project, *, cache: bool) -> Iterator[tuple[Store | None, FileIndex | None]]:
    """Give the cache of a project that has a data set, and its index of files; else None and None.

    A cache that cannot be written is not used: somebody else's project may be readable only.

    Args:
        project: the project.
        cache: whether the cache is wanted.
    """
    own = project.folder.own_cache
    folder = own if own.is_dir() else project.folder.root
    if not cache or not project.folder.manifest.is_file() or not os.access(folder, os.W_OK | os.X_OK):
        yield None, None
        return
    with FileIndex(project.folder.file_index) as files:
        yield Store(project.folder.cache), files


def models_of(models: Any, project: Project | str | Path | None) -> list[TrainedModel]:
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
        raise ModelError("No models are given. Leave the argument out to use the off-the-shelf models.")
    for number, one in enumerate(several):
        if not isinstance(one, Model):
            raise ModelError(
                f"Model {number} of {len(several)} (counted from 0) is of type {type(one).__name__}. Give"
                " a model from fk.load_model, or the name or folder of a saved model."
            )
    return [one._trained for one in several]
