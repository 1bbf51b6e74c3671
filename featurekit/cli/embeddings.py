"""featurekit embeddings: describe and map the vectors that have been extracted."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import featurekit as fk
from featurekit.cli import _completion as complete
from featurekit.cli._options import LARGEST_SEED, ComparisonName, Json, Threads
from featurekit.cli._output import print_table
from featurekit.cli._terminal import Cell
from featurekit.cli._workspace import comparison_of_command, dataset_of_command, project_of_command
from featurekit.errors import EmbeddingError
from featurekit.text import one_line

if TYPE_CHECKING:
    from featurekit.report.model import Cell as CellOfReport
    from featurekit.report.model import Column

FeatureSet = Annotated[
    str | None,
    typer.Option(
        "--features",
        help="Feature set to map: network or network:layer, several joined by +. Default: the extracted"
        " network, if there is only one.",
        autocompletion=complete.features,
    ),
]
Method = Annotated[
    str,
    typer.Option(
        help="pca (the first two principal components), or umap (pip install 'featurekit[umap]').",
        autocompletion=complete.words("pca", "umap"),
    ),
]
Label = Annotated[
    str | None,
    typer.Option(help="Label by which the faces are colored. Default: gender, age_group or age."),
]
ModelOfErrors = Annotated[
    str | None,
    typer.Option(
        help="Model whose errors are shown: a run of the comparison, or a model of the label. Default: the"
        " best model of the label, on these features if there is one."
    ),
]
Output = Annotated[
    Path, typer.Option(help="Image to write, ending in .png. The table is beside it, as .csv.")
]
Seed = Annotated[
    int | None,
    typer.Option(
        help="Seed of the random numbers, for umap, and for pca with many or long vectors. Default: 0.",
        min=0,
        max=LARGEST_SEED,
    ),
]


def embeddings_describe(
    context: typer.Context,
    features: Annotated[
        list[str] | None,
        typer.Option(
            help="Extracted networks to describe: network or network:layer; several joined by +, or the"
            " option again. Default: all that have been extracted.",
            autocompletion=complete.features,
        ),
    ] = None,
    threads: Threads = 0,
    json: Json = False,
) -> None:
    """Describe the extracted vectors: size, norms, effective rank, closest pairs.

    The first table has a line for each feature set: the number and length of its vectors, their type and
    precision, their norms, their effective rank (how many directions they really use), and the number of
    columns that are nearly constant or that have most of the variance. The second table lists the pairs of
    different faces whose vectors are most similar, which are often near-duplicates. If the same vectors were
    extracted in fp32 and in bf16 or int8, the third table says how much they differ.

    Examples:
      featurekit embeddings describe
      featurekit embeddings describe --features dlib_age+mobilenet_v2
    """
    from featurekit.api.description import describe_extracted
    from featurekit.report.vectors import errors_table, facts_table, pairs_table

    data, project = dataset_of_command(context), project_of_command(context)
    facts = describe_extracted(
        data, "+".join(features) if features else None, n_jobs=threads or None, project=project
    ).facts
    tables = {"facts": facts_table(facts), "closest pairs": pairs_table(facts), "errors": errors_table(facts)}
    for name, table in tables.items():
        if table.rows:
            head = [column.heading for column in table.columns]
            rows = [list(map(_cell, row, table.columns)) for row in table.rows]
            print_table(head, rows, title=table.caption or None, of={"table": name})
        if table.note:
            typer.echo(table.note)


def _cell(of: "CellOfReport", column: "Column") -> Cell:
    """Return a cell of a report as a cell that is printed."""
    text = one_line(of.text)
    return Cell(of.value if column.is_number else text, text)


def embeddings_map(
    context: typer.Context,
    features: FeatureSet = None,
    method: Method = "pca",
    label: Label = None,
    name: ComparisonName = None,
    model: ModelOfErrors = None,
    output: Output = Path("map.png"),
    seed: Seed = None,
) -> None:
    """Draw a map of the faces by their vectors, colored by label and by the error of a model.

    The errors are those of out-of-fold predictions in a comparison. The table has the image file of each
    face, its place on the map, its label and its error, so that it names people if the files do.

    Examples:
      featurekit embeddings map --features dlib_age+mobilenet_v2 --label gender
      featurekit embeddings map --features dlib_age --method umap --label age_group --output umap.png
    """
    from featurekit.api.vector_map import map_extracted
    from featurekit.networks.weights import keep_fonts_at_home
    from featurekit.project import ComparisonFolder
    from featurekit.report.displays.vector_map import check_map

    if output.suffix.lower() != ".png":
        raise EmbeddingError(f"A map is a .png file. Got '{output.name}' instead.")
    check_map(output)
    folder = comparison_of_command(context, name)
    is_asked = name is not None or model is not None
    has_runs = bool(ComparisonFolder(folder).all_runs())
    display = map_extracted(
        dataset_of_command(context),
        features,
        method=method,
        label=label,
        results=fk.load_results(folder) if has_runs or is_asked else None,
        is_asked=is_asked,
        model=model,
        seed=seed,
        project=project_of_command(context),
    )
    keep_fonts_at_home()
    image, table = display.save(output)
    typer.echo(display.help())
    typer.echo(f"Wrote {image} and {table}.")
