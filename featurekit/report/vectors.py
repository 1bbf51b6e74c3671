"""Tables and frames of facts about extracted vectors, for a notebook and for the command line."""

import math
from collections.abc import Sequence

import pandas as pd

from featurekit.embeddings.closest_pairs import FEWEST_NUMBERS
from featurekit.embeddings.description import VectorFacts
from featurekit.embeddings.plane import NEAR_CONSTANT
from featurekit.report.cells import ABSENT, count_cell, sentences
from featurekit.report.model import Cell, Column, Table
from featurekit.text import first_few

PRECISIONS = ("bf16", "int8")  # that are compared with fp32


def facts_table(facts: Sequence[VectorFacts]) -> Table:
    """Return a table with one row for each feature set."""
    columns = (
        Column("Features"),
        Column("Faces", is_number=True),
        Column("Length", is_number=True),
        Column("Type"),
        Column("Precision"),
        *(Column(f"{which} norm", is_number=True) for which in ("Smallest", "Median", "Largest")),
        Column("Effective rank", is_number=True),
        Column("Near-constant columns", is_number=True),
        *(Column(f"Columns, {share} %", is_number=True) for share in (90, 99)),
    )
    rows = tuple(
        (
            Cell(one.feature),
            count_cell(one.n_faces),
            count_cell(one.length),
            Cell(one.dtype),
            Cell(one.precision),
            *(_number(value) for value in (one.norm_min, one.norm_median, one.norm_max)),
            _number(one.effective_rank, ",.1f"),
            *(_number(value, ",.0f") for value in (one.n_near_constant, one.n_columns_90, one.n_columns_99)),
        )
        for one in facts
    )
    note = (
        "Effective rank: the exponential of the entropy of the normalized singular values of the centred"
        " vectors (Roy and Vetterli 2007); at most the length. Near-constant: the standard deviation is at"
        f" most {NEAR_CONSTANT:g} times that of the column that varies most. Columns, 90 %: how many columns,"
        " those with the largest variance first, have 90 % of the variance."
    )
    return Table("", columns, rows, note)


def pairs_table(facts: Sequence[VectorFacts]) -> Table:
    """Return a table of the closest pairs of faces of each feature set; it may have no rows."""
    columns = (
        Column("Features"),
        Column("First face"),
        Column("Second face"),
        Column("Cosine similarity", is_number=True),
    )
    rows = tuple(
        (
            Cell(one.feature),
            Cell(pair.first),
            Cell(pair.second),
            Cell(f"{pair.similarity:.6f}", pair.similarity),
        )
        for one in facts
        for pair in one.closest
    )
    short = [one.feature for one in facts if one.length < FEWEST_NUMBERS]
    note = sentences(
        "Identical image files count as one face." if rows else "",
        "No closest pairs are listed for vectors with fewer than"
        f" {FEWEST_NUMBERS} numbers, where every face has close neighbours: {first_few(short)}."
        if short
        else "",
    )
    return Table("Closest pairs of faces", columns, rows, note)


def errors_table(facts: Sequence[VectorFacts]) -> Table:
    """Return a table of the differences between fp32 and other precisions; it may have no rows."""
    columns = (
        Column("Features"),
        Column("Precision"),
        Column("Faces", is_number=True),
        Column("Median error", "%", is_number=True),
        Column("Largest error", "%", is_number=True),
        Column("Face with the largest error"),
    )
    rows = tuple(
        (
            Cell(one.feature),
            Cell(error.precision),
            count_cell(error.n_faces),
            _number(100 * error.median, ".3g"),
            _number(100 * error.worst, ".3g"),
            Cell(error.worst_face),
        )
        for one in facts
        for error in one.errors
    )
    note = (
        "The error is the length of the difference from the fp32 vector, divided by the length of the latter."
    )
    return Table("Differences from the fp32 vectors of the same faces", columns, rows, note if rows else "")


def facts_frame(facts: Sequence[VectorFacts]) -> pd.DataFrame:
    """Return one row for each feature set.

    Returns:
        Columns: features, n_faces, length, dtype, precision, norm_min, norm_median, norm_max,
        effective_rank, n_near_constant, n_columns_90, n_columns_99, closest_first, closest_second (face_id of
        the two most similar faces) and closest_similarity. Then for bf16 and for int8, e.g. for bf16:
        bf16_n_faces (0 if the cache has no such vectors), bf16_error_median, bf16_error_worst and
        bf16_worst_face. Values that are not known are NaN, or "" for a face_id.
    """
    rows = []
    for one in facts:
        pair, errors = next(iter(one.closest), None), {error.precision: error for error in one.errors}
        row: dict[str, object] = {
            "features": one.feature,
            **{name: getattr(one, name) for name in ("n_faces", "length", "dtype", "precision")},
            **{name: getattr(one, name) for name in ("norm_min", "norm_median", "norm_max")},
            "effective_rank": one.effective_rank,
            **{name: getattr(one, name) for name in ("n_near_constant", "n_columns_90", "n_columns_99")},
            "closest_first": pair.first if pair else "",
            "closest_second": pair.second if pair else "",
            "closest_similarity": pair.similarity if pair else math.nan,
        }
        for precision in PRECISIONS:
            error = errors.get(precision)
            row |= {
                f"{precision}_n_faces": error.n_faces if error else 0,
                f"{precision}_error_median": error.median if error else math.nan,
                f"{precision}_error_worst": error.worst if error else math.nan,
                f"{precision}_worst_face": error.worst_face if error else "",
            }
        rows.append(row)
    return pd.DataFrame(rows)


def pairs_frame(facts: Sequence[VectorFacts]) -> pd.DataFrame:
    """Return one row for each of the closest pairs: features, first, second (face_id) and similarity."""
    return pd.DataFrame(
        [(one.feature, pair.first, pair.second, pair.similarity) for one in facts for pair in one.closest],
        columns=["features", "first", "second", "similarity"],
    )


def _number(value: float, form: str = ",.4g") -> Cell:
    return Cell(ABSENT) if math.isnan(value) else Cell(f"{value:{form}}", float(value))
