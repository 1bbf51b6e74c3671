"""Predict many images with the workers of a cluster, and write the table in parts."""

from collections.abc import Sequence
from pathlib import Path

from featurekit.api.arguments import executor_of, images_of, which_faces
from featurekit.api.model import Model, models_of
from featurekit.api.project import Project
from featurekit.api.telling import Shown, note, shown
from featurekit.embeddings.executors.ray import RayExecutor
from featurekit.errors import EngineError, ModelError
from featurekit.evaluation.unused_options import unused_of_predict
from featurekit.faces.photographs import Photographs
from featurekit.inference.parts import How, Parts
from featurekit.inference.parts import predict_in_parts as predict_photographs
from featurekit.text import counted


def predict_in_parts(
    images: Photographs,
    folder: str | Path,
    models: "Model | str | Path | Sequence[Model | str | Path] | None" = None,
    *,
    choose: str = "all",
    abstain_above: float | None = None,
    sets: bool = False,
    probabilities: bool = False,
    device: str = "auto",
    precision: str = "auto",
    executor: str | RayExecutor = "ray",
    project: Project | str | Path | None = None,
    progress: Shown = True,
) -> Parts:
    """Predict the labels of the faces on many images with a Ray cluster, and write the table in parts.

    A part has the rows of 256 images and is a Parquet file. It is whole or absent: a call that was stopped
    goes on with the parts that are absent. The command `featurekit predict --executor ray` does the same.

    Args:
        images: files or folders of images, in folders that all machines of the cluster share.
        folder: folder for the parts, which all machines share. It must not have other files.
        models: one or several saved models; None for the off-the-shelf models.
        choose: the faces to use of each image, "all", "center", "largest" or "only".
        abstain_above: the largest accepted share of wrong predictions, as of `fk.predict`.
        sets: whether to add prediction sets (classes) or prediction intervals (years).
        probabilities: whether to add a column with the probability of each class.
        device: "auto", "cpu" or "cuda".
        precision: "auto" (the precision that each model was fitted with), "fp32", "bf16" or "int8".
        executor: "ray" for the cluster that this machine belongs to, or ``fk.RayExecutor(…)``.
        project: the project in which models are found by name; None for the project of the current folder.
        progress: whether to show a progress bar, or a function that is called with (images done, images to
            do).

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
    asked = [] if models is None else models_of(models, project)
    if abstain_above is not None and not 0 <= abstain_above <= 1:
        raise ModelError(f"abstain_above must be between 0 and 1. Got {abstain_above} instead.")
    unsaved = next((one for one in asked if one.folder is None), None)
    if unsaved:
        raise ModelError(f"{unsaved.name} must be saved, so that the workers can load it: model.save(folder)")
    for text in unused_of_predict(asked, sets=sets, abstain_above=abstain_above, probabilities=probabilities):
        note(text)
    workers = executor_of(executor, None)
    if not isinstance(workers, RayExecutor):
        raise EngineError("The table is written in parts by the workers of a cluster: --executor ray")
    how = How(
        models=tuple(str(one.folder.resolve()) for one in asked if one.folder),
        choose=which_faces(choose),
        device=device,
        precision=precision,
        risk=abstain_above,
        sets=sets,
        probabilities=probabilities,
    )
    with shown(progress, "reading", "images") as told:
        parts = predict_photographs(images_of(images), how, Path(folder), workers, progress=told)
    if parts.n_lost:
        note(
            f"{counted(parts.n_lost, 'worker', 'workers')} of the cluster ended early. What they had not"
            " finished was done again by others."
        )
    return parts
