"""Predict many images with the workers of a cluster, and write the table in parts."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from featurekit.api.arguments import executor_of, images_of, which_faces
from featurekit.api.model import Model, models_of
from featurekit.api.project import Project
from featurekit.api.telling import Shown, note, shown
from featurekit.checked import checked
from featurekit.embeddings.executors.ray import RayExecutor
from featurekit.errors import EngineError, ModelError
from featurekit.evaluation.unused_options import unused_of_predict
from featurekit.faces.photographs import Photographs
from featurekit.inference.model import TrainedModel, off_the_shelf_models
from featurekit.inference.parts import How, Parts
from featurekit.inference.parts import predict_in_parts as predict_photographs
from featurekit.text import counted
from featurekit.urls import place_of


@checked()
def predict_in_parts(
    images: Photographs,
    folder: str | Path,
    models: "Model | str | Path | Sequence[Model | str | Path] | None" = None,
    *,
    executor: str | RayExecutor = "ray",
    project: Project | str | Path | None = None,
    progress: Shown = True,
    **options: Any,
) -> Parts:
    """Predict the labels of the faces on many images with a Ray cluster, and write the table in parts.

    A part is a Parquet file with the rows of 256 images. It is whole or absent: a call that was stopped goes
    on with the parts that are absent. The command `featurekit predict --executor ray` does the same.

    Args:
        images: files or folders of images, in folders that all machines of the cluster share, or their URLs.
        folder: folder for the parts, which all machines share, or its URL. It must not have other files.
        models: one or several saved models; None for the off-the-shelf models.
        executor: "ray" for the cluster that this machine belongs to, or ``fk.RayExecutor(…)``.
        project: the project in which models are found by name; None for the project of the current folder.
        progress: whether to show a progress bar, or a function that is called with (images done, images to
            do).
        options: choose, abstain_above, sets, probabilities, device and precision, as of `fk.predict`.

    Returns:
        The parts, which have ``.paths``, ``.statuses``, ``.n_rows`` and ``.frame()``, the whole table.

    Raises:
        ModelError: a model has not been saved, or the models cannot be used together.
        EngineError: there is no cluster.
        WorkspaceError: the folder has other files, or a worker cannot read or write a folder.

    Example:
        >>> import featurekit as fk
        >>> ray = fk.RayExecutor(address="local")                                          # doctest: +SKIP
        >>> fk.predict_in_parts("photos", "predictions", executor=ray).statuses            # doctest: +SKIP
    """
    workers = executor_of(executor, None)
    if not isinstance(workers, RayExecutor):
        raise EngineError("The table is written in parts by the workers of a cluster: --executor ray")
    how = _how([] if models is None else _saved(models_of(models, project)), **options)
    with shown(progress, "reading", "images") as told:
        parts = predict_photographs(images_of(images), how, place_of(folder), workers, progress=told)
    if parts.n_lost:
        note(
            f"{counted(parts.n_lost, 'worker', 'workers')} of the cluster ended early. What they had not"
            " finished was done again by others."
        )
    return parts


def _how(models: Sequence[TrainedModel], **options: Any) -> How:
    """Return how the labels are predicted, and note which options do not apply to some models."""
    how = How(models=tuple(str(one.folder.resolve()) for one in models if one.folder), **options)
    which_faces(how.choose)
    for text in unused_of_predict(
        models or off_the_shelf_models(),
        sets=how.sets,
        abstain_above=how.abstain_above,
        probabilities=how.probabilities,
    ):
        note(text)
    return how


def _saved(models: Sequence[TrainedModel]) -> Sequence[TrainedModel]:
    """Return models, after checking that workers can load them.

    Raises:
        ModelError: a model has not been saved.
    """
    for one in models:
        if one.folder is None:
            raise ModelError(f"{one.name} must be saved, so that the workers can load it: model.save(folder)")
    return models
