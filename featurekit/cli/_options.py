"""Options and arguments that several commands have, and how they are read.

Options may have the form name=value; arguments may name images and models.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from featurekit.cli._completion import comparisons, words
from featurekit.cli._output import ask_for_json, print_message
from featurekit.errors import ManifestError, WorkspaceError
from featurekit.project import ProjectFolder

if TYPE_CHECKING:
    from featurekit.embeddings.executors.ray import RayExecutor
    from featurekit.inference.inputs import Asked
    from featurekit.inference.model import TrainedModel

LARGEST_SEED = 2**32 - 1  # that scikit-learn takes

Device = Annotated[
    str,
    typer.Option(
        help="Device to compute on: auto, cpu or cuda. With cuda, a GPU that cannot be used is an error.",
        autocompletion=words("auto", "cpu", "cuda"),
    ),
]
Precision = Annotated[
    str,
    typer.Option(
        help="Precision of the networks: auto, fp32, bf16 or int8.",
        autocompletion=words("auto", "fp32", "bf16", "int8"),
    ),
]
Threads = Annotated[
    int,
    typer.Option(help="Number of threads, which does not change the results; 0 means one per core.", min=0),
]
ExecutorName = Annotated[
    str,
    typer.Option(
        "--executor",
        help="Where to compute: local (this machine), or ray (a Ray cluster).",
        autocompletion=words("local", "ray"),
    ),
]
Address = Annotated[
    str | None,
    typer.Option(
        help="Ray cluster: auto (the one that this machine belongs to), local (a new one on this machine"
        " alone), or its address. Default: auto."
    ),
]
Workers = Annotated[
    int | None, typer.Option(help="Number of Ray workers. Default: one per core, or one per GPU.", min=1)
]
GpusPerWorker = Annotated[
    float | None,
    typer.Option(help="GPUs of a Ray worker; 0.5 if two workers share one. Default: 1."),
]
Profile = Annotated[
    bool,
    typer.Option(
        "--profile", help="Print the time of each step, and how much of the time the threads were busy."
    ),
]
Photographs = Annotated[list[Path] | None, typer.Argument(help="Image files, and folders of image files.")]
Json = Annotated[
    bool,
    typer.Option(
        "--json",
        help="Print the table as JSON, as a list with one object per row, and all messages to stderr.",
        callback=ask_for_json,
    ),
]
WhichFaces = Annotated[
    str,
    typer.Option(
        help="Faces to use of each image: all, center (the most central), largest, or only (no face if"
        " there are several).",
        autocompletion=words("all", "center", "largest", "only"),
    ),
]


def _name_of_comparison(name: str | None) -> str | None:
    """Raise WorkspaceError for a name that no comparison can have, also for an empty one."""
    return name if name is None else ProjectFolder(Path()).report(name).name


ComparisonName = Annotated[
    str | None,
    typer.Option(
        help="Name of the comparison. Default: the name of the data set.",
        callback=_name_of_comparison,
        autocompletion=comparisons,
    ),
]


def executor_of(
    name: str, address: str | None, workers: int | None, gpus_per_worker: float | None = None
) -> "str | RayExecutor":
    """Return the executor that the options of a command ask for.

    Raises:
        WorkspaceError: an option has no effect.
    """
    if name == "ray":
        from featurekit.embeddings.executors.ray import RayExecutor

        return RayExecutor(address or "auto", workers, gpus_per_worker or 1.0)
    options = {"--address": address, "--workers": workers, "--gpus-per-worker": gpus_per_worker}
    unused = next((option for option, value in options.items() if value is not None), None)
    if unused:
        raise WorkspaceError(f"{unused} has no effect without --executor ray. Leave it out, or add that.")
    return name


def pairs(texts: Sequence[str] | None, option: str) -> dict[str, Any]:
    """Turn texts of the form name=value into a dictionary."""
    found: dict[str, Any] = {}
    for text in texts or []:
        name, sign, value = text.partition("=")
        if not sign:
            raise ManifestError(f"{option} must have the form name=value. Got '{text}' instead.")
        if name in found:
            raise ManifestError(
                f"{option} {name}= is given twice: '{found[name]}' and '{value}'. Give it once."
            )
        found[name] = value
    return found


def as_value(text: str) -> Any:
    """Return the number, true or false that a text stands for, or else the text itself."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def look_up_inputs(inputs: Sequence[Path], *, asks_one: bool = False) -> "Asked":
    """Return the images and models that were named, and print a warning for what is neither or a repetition.

    Args:
        inputs: the names.
        asks_one: whether a model is given already, and only one can be used.
    """
    from featurekit.inference.inputs import look_up

    asked = look_up(inputs)
    for note in asked.left_out:
        print_message(f"warning: {note}")
    for folder in asked.models:
        if asks_one:
            raise WorkspaceError(
                f"{folder} is a second model, but only one model can be explained at a time. To explain"
                f" this model: featurekit explain {folder} IMAGE"
            )
        print_message(f"{folder} is a saved model, and is used as with --model {folder}")
    if asked.repeated:
        n, first = len(asked.repeated), asked.repeated[0]
        what = f"'{first}' is named twice" if n == 1 else f"{n:,} images are named twice ('{first}', …)"
        print_message(f"warning: {what}; each image is read once")
    return asked


def load_model(folder: Path, command: str) -> "TrainedModel":
    """Load a model; for a folder of several, raise an error with the command to type, {} being the model."""
    from featurekit.inference.inputs import check_is_one
    from featurekit.inference.model import TrainedModel

    check_is_one(folder, command)
    return TrainedModel.load(folder)
