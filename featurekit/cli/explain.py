"""featurekit explain and export: show which parts of a face a model uses, and export its network."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import featurekit as fk
from featurekit.api.telling import shown
from featurekit.cli import _completion as complete
from featurekit.cli._average import (
    average_comparison,
    check_options_of_comparison,
    check_options_of_images,
)
from featurekit.cli._options import (
    LARGEST_SEED,
    ComparisonName,
    Device,
    Json,
    Photographs,
    Threads,
    WhichFaces,
    load_model,
    look_up_inputs,
)
from featurekit.cli._output import as_cell, end_with, print_message, print_table
from featurekit.cli._signals import Stopped
from featurekit.cli._workspace import project_of_command
from featurekit.errors import WorkspaceError
from featurekit.text import readable_name

if TYPE_CHECKING:
    from featurekit.inference._maps import Loss
    from featurekit.inference.explain import MeanMaps
    from featurekit.inference.model import TrainedModel


_Average = Annotated[
    bool,
    typer.Option(
        "--average",
        help="Write only means. Of a model and images: the mean map for each predicted class, over the mean"
        " face. Without a model: the mean faces of a comparison, for each true and predicted class, and mean"
        " maps. A mean shows no single person, so it may be published.",
    ),
]
_Targets = Annotated[
    list[str] | None,
    typer.Option(
        help="Target of the comparison. Can be given several times. Default: all.",
        autocompletion=complete.targets,
    ),
]
_Run = Annotated[
    str | None,
    typer.Option(help="Model or run of the comparison. Default: the best trained model of each target."),
]
_Sample = Annotated[
    int,
    typer.Option(
        help="Number of faces of the comparison, drawn at random, whose maps are averaged for each target;"
        " 0 makes mean faces without maps.",
        min=0,
    ),
]
_Seed = Annotated[
    int,
    typer.Option(
        help="Seed for the random regions that the maps are compared with, or for the faces of --sample.",
        min=0,
        max=LARGEST_SEED,
    ),
]


def explain(
    context: typer.Context,
    model: Annotated[
        Path | None,
        typer.Argument(help="Folder of a saved model below models/. With --average it can be left out."),
    ] = None,
    inputs: Photographs = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Folder to write to. Default: explained, or average/ in the folder of the comparison.",
        ),
    ] = None,
    how: Annotated[
        str,
        typer.Option(
            help="Method of the maps: gradcam and attention (for networks trained end to end), occlusion (for"
            " any model), or auto, the first of these that the model supports.",
            autocompletion=complete.words("auto", "gradcam", "attention", "occlusion"),
        ),
    ] = "auto",
    average: _Average = False,
    name: ComparisonName = None,
    target: _Targets = None,
    run: _Run = None,
    sample: _Sample = 100,
    faces: WhichFaces = "all",
    seed: _Seed = 0,
    device: Device = "auto",
    threads: Threads = 0,
    json: Json = False,
) -> None:
    """Draw which parts of a face a prediction depends on, or which faces are confused.

    Each face gets a map, drawn over the image of the face. The person can be recognized, so do not publish
    the map. For a report use --average, which writes a mean map for each predicted class that at least ten
    faces have. The probabilities that are printed are the model's own; those of `featurekit predict` are
    calibrated.

    Without a model, --average is about a comparison: it writes the mean face of each cell of the confusion
    matrix (out of fold), and a mean map over it. Cells with fewer than ten subjects are left out. The face
    crops of `featurekit extract --backbone pixels` are averaged.

    Examples:
      featurekit explain models/gender--finetuned_cnn photo.jpg --output maps
      featurekit explain models/gender--dlib_age--svm photos/ --average --output maps
      featurekit explain --average --name utkface-july --target gender --sample 20
    """
    if model is None and average:
        check_options_of_comparison(context, how, sample)
        options = {"sample": sample, "random_state": seed, "device": device, "n_jobs": threads or None}
        average_comparison(context, name, target, run, output, options)
        return
    check_options_of_images(context)
    asked = {"how": how, "choose": faces, "device": device, "threads": threads, "seed": seed}
    _explain_images(context, model, inputs or [], output or Path("explained"), average, asked)


def _explain_images(
    context: typer.Context,
    model: Path | None,
    inputs: Sequence[Path],
    output: Path,
    average: bool,
    asked: dict[str, Any],
) -> None:
    """Explain the predictions of a model for given images, and print the results.

    Args:
        context: the context of the command.
        model: folder of the model.
        inputs: image files, and folders of image files.
        output: folder for the maps.
        average: whether to write only mean maps.
        asked: further arguments of explain_photographs().
    """
    from featurekit.inference.draw import check_drawings
    from featurekit.inference.explain import MeanMaps

    if model is None:
        raise WorkspaceError(
            "No model is given. Example: featurekit explain MODEL photo.jpg. For the mean faces of a"
            " comparison: featurekit explain --average"
        )
    fitted = load_model(project_of_command(context).folder.model(model), "featurekit explain {} IMAGE")
    paths = look_up_inputs(inputs, asks_one=True).photographs
    if not paths:
        raise WorkspaceError("No images are given. Example: featurekit explain MODEL photo.jpg FOLDER/")
    check_drawings(output, paths, "--output")
    means = MeanMaps() if average else None
    losses, bad = _explained(paths, fitted, output, means, asked)
    if losses:
        _print_summary(losses, means, output, fitted)
    end_with(bad)


def _explained(
    paths: Sequence[Path],
    model: "TrainedModel",
    output: Path,
    means: "MeanMaps | None",
    asked: dict[str, Any],
) -> "tuple[list[Loss], list[tuple[str, str]]]":
    """Draw and list the map of each face, or add it to the means.

    Args:
        paths: image files.
        model: the model whose predictions are explained.
        output: folder for the maps.
        means: the means to add to; None to draw every face.
        asked: further arguments of explain_photographs().

    Returns:
        What blurring costs each prediction, and the images without an explanation, with the reason.
    """
    from featurekit.inference.draw import draw_explanation
    from featurekit.inference.explain import WAYS, Unexplained, explain_photographs

    rows, losses, bad = [], [], []
    done = 0

    def explained(n: float, total: int) -> None:
        nonlocal done
        done = round(n)
        progress(n, total)

    try:
        with shown(True, "explaining", "images") as progress:
            for one in explain_photographs(paths, model, progress=explained, **asked):
                if isinstance(one, Unexplained):
                    bad.append((one.photograph.name, one.message))
                    continue
                losses.append(one.loss)
                if means is not None:
                    means.add(one)
                else:
                    drawn = draw_explanation(one, output)
                    name = readable_name(one.photograph.name)
                    file = readable_name(str(drawn))
                    rows.append([as_cell(name), one.number, one.said, WAYS[one.how], as_cell(file)])
    except Stopped as stopped:
        stopped.remark = f"{done:,} of {len(paths):,} images were explained"
        raise
    finally:
        # Also after an error or a stop, because the maps until then have been drawn.
        if rows:
            print_table(["image", "face", "prediction", "method", "file"], rows)
    return losses, bad


def _print_summary(
    losses: "Sequence[Loss]", means: "MeanMaps | None", output: Path, model: "TrainedModel"
) -> None:
    """Draw and list the mean maps, and print how much blurring changes the predictions."""
    from featurekit.inference.draw import draw_mean_maps
    from featurekit.inference.explain import WAYS, median_loss

    if means is not None:
        maps = means.maps()
        *files, sheet = draw_mean_maps(maps, output)
        rows = [
            [each.group, each.n_faces, WAYS[each.how], as_cell(str(file))]
            for each, file in zip(maps, files, strict=True)
        ]
        print_table(["prediction", "faces", "method", "file"], rows)
        typer.echo(f"All mean maps in one image: {sheet}")
        if means.refusal():
            print_message(f"warning: {means.refusal()}")
    is_regression = model.target.is_regression
    what, unit = ("prediction", " years") if is_regression else ("probability of the prediction", "")
    loss = median_loss(losses)
    typer.echo(
        f"The {what} changes by {loss.important:.2f}{unit} if the tenth of the face that its map calls most"
        f" important is blurred, and by {loss.random:.2f}{unit} if a random tenth is blurred (medians over"
        f" {len(losses):,} faces)."
    )


def export(
    context: typer.Context,
    model: Annotated[Path, typer.Argument(help="Folder of a saved end-to-end network below models/.")],
    file: Annotated[Path, typer.Argument(help="File to write, ending in .onnx.")],
) -> None:
    """Export a network trained end to end as an ONNX file.

    The file is checked: ONNX Runtime has to give the same predictions as the model.

    Example: featurekit export models/gender--finetuned_cnn gender.onnx
    """
    from featurekit.inference.export import N_PICTURES

    fitted = load_model(project_of_command(context).folder.model(model), f"featurekit export {{}} {file}")
    done = fk.Model(fitted).export(file)
    typer.echo(f"Wrote {done.path}, {done.n_bytes / 1e6:,.1f} MB.")
    typer.echo(f"Input: RGB pixels, uint8, shape (n, {done.side}, {done.side}, 3). Output: {done.gives}.")
    typer.echo("The metadata of the file (landmarks) say where the face must be in the pixels.")
    typer.echo(
        f"On {N_PICTURES} made-up images, the output of ONNX Runtime differs by at most"
        f" {done.difference:.1g} from that of the network, and by at most {done.from_predict:.1g} from"
        " featurekit predict."
    )
