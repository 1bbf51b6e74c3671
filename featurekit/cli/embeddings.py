"""featurekit embeddings: describe the vectors that have been extracted."""

from typing import Annotated

import typer

from featurekit.cli._options import Threads
from featurekit.cli._output import print_table
from featurekit.cli._workspace import dataset_of_command, project_of_command
from featurekit.text import one_line


def embeddings_describe(
    context: typer.Context,
    features: Annotated[
        list[str] | None,
        typer.Option(
            help="Extracted networks to describe: network or network:layer; several joined by +, or the"
            " option again. Default: all that have been extracted."
        ),
    ] = None,
    threads: Threads = 0,
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
    for table in (facts_table(facts), pairs_table(facts), errors_table(facts)):
        if table.rows:
            head = [column.heading for column in table.columns]
            rows = [[one_line(cell.text) for cell in row] for row in table.rows]
            print_table(head, rows, title=table.caption or None)
        if table.note:
            typer.echo(table.note)
