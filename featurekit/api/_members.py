"""Check the values that functions of plug-ins return.

If such a function raises an error, or returns something that cannot be used, the error names the plug-in.
"""

import inspect
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import wraps
from typing import Any

import numpy as np

from featurekit.data.cells import USUAL, Missing
from featurekit.data.datasets import RawRows
from featurekit.data.manifest import COLUMNS, label_names
from featurekit.errors import EmbeddingError, FeaturekitError, ManifestError, RegistrationError
from featurekit.faces.detectors import Detection, FaceFinder
from featurekit.text import described

# Advice on an option of tables, as part of a sentence or as one of its own, and what follows it: a registered
# data set does not have these options.
_OPTIONS_OF_TABLES = re.compile(r"[;.] [^;.]*--column .*")


def checked_dataset(name: str, read: Callable[..., Any], labels: Sequence[str]) -> Callable[..., RawRows]:
    """Return a function (path, options) → rows that reads the DataFrame of another function.

    Args:
        name: name of the data set, for messages.
        read: (path, options by keyword) → DataFrame or RawRows.
        labels: columns that can be learned from.

    Returns:
        The function. It has the options of read, and the keyword missing: which cells count as missing.
    """
    labels = [labels] if isinstance(labels, str) else labels
    parameters = list(inspect.signature(read).parameters.values())
    wants_missing = any(one.name == "missing" for one in parameters)

    @wraps(read)
    def rows(path: Any, *, missing: Missing = USUAL, **options: Any) -> RawRows:
        found = read(path, **options, **({"missing": missing} if wants_missing else {}))
        if isinstance(found, RawRows):
            return found
        return _rows_of(name, found, path if path.is_dir() else path.parent, labels, missing)

    if not wants_missing:
        at = len(parameters) - any(one.kind == one.VAR_KEYWORD for one in parameters)
        parameters.insert(at, inspect.Parameter("missing", inspect.Parameter.KEYWORD_ONLY, default=USUAL))
    rows.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return rows


def _rows_of(name: str, found: Any, root: Any, labels: Sequence[str], missing: Missing) -> RawRows:
    """Return the rows of a data set that a function has returned.

    Raises:
        ManifestError: it is not a DataFrame, lacks a column, or has one that cannot be read.
    """
    import pandas as pd

    from featurekit.data.datasets.table import rows_of_frame

    if not isinstance(found, pd.DataFrame):
        raise ManifestError(
            f"The data set '{name}' returned {_what(found)}; its function must return a DataFrame with the"
            " column image_path."
        )
    columns = [str(column).strip() for column in found.columns]
    read_as_such = {*COLUMNS, "x1", "y1", "x2", "y2"} - {"content", "reason"}
    standard = {one.casefold(): one for one in columns if one.casefold() in read_as_such}
    own = [column for column in columns if column not in standard.values()]
    wanted = [label for label in labels if label not in ("age", "age_group", "gender")]
    for column in ("image_path", *wanted):
        if column not in (*standard, *own):
            raise ManifestError(
                f"The data set '{name}' returned a DataFrame without the column '{column}'. It has:"
                f" {', '.join(columns) or 'no columns'}."
            )
    try:
        raw = rows_of_frame(found, columns=standard, root=root, labels=own, missing=missing)
    except ManifestError as error:
        said = _OPTIONS_OF_TABLES.sub("", error.args[0]).rstrip(".")
        raise ManifestError(
            f"The data set '{name}' returned a DataFrame that cannot be read: {said}."
        ) from error
    safe = label_names(own)
    cells = [cell._replace(problem=_OPTIONS_OF_TABLES.sub("", cell.problem)) for cell in raw.bad_cells]
    return replace(raw, labels=tuple(safe.get(label, label) for label in labels), bad_cells=cells)


def checked_backbone(name: str, compute: Callable[[Any], Any], dim: int) -> Callable[[Any], Any]:
    """Return a function crops → vectors that checks another one, and raises EmbeddingError if that fails.

    Args:
        name: name of the backbone, for messages.
        compute: crops, uint8 of shape (n, side, side, 3) → vectors.
        dim: length of a vector.
    """

    @wraps(compute)
    def checked(crops: Any) -> Any:
        with _named(EmbeddingError, f"The backbone {name} could not read {len(crops)} crops"):
            given = compute(crops)
        what = f"The backbone {name} returned {_what(given)}, which is not an array of numbers"
        with _named(EmbeddingError, what):
            vectors = np.asarray(given, np.float32)
        if vectors.shape != (len(crops), dim):
            raise EmbeddingError(
                f"The backbone {name} returned an array of shape {vectors.shape} for {len(crops)} crops, but"
                f" the shape must be ({len(crops)}, {dim}), because dim is {dim}."
            )
        if n_bad := int((~np.isfinite(vectors).all(axis=1)).sum()):
            raise EmbeddingError(
                f"The backbone {name} returned NaN or infinite numbers for {n_bad} of {len(crops)} crops."
            )
        return vectors

    return checked


def checked_detector(name: str, find: Callable[[Any, int], Any]) -> FaceFinder:
    """Return a function (pixels, size) → faces that checks another one, and raises RegistrationError.

    Args:
        name: name of the detector, for messages.
        find: pixels, uint8 of shape (height, width, 3), and a size → list of Detection.
    """

    @wraps(find)
    def checked(pixels: Any, size: int) -> list[Detection]:
        with _named(RegistrationError, f"The detector {name} failed"):
            found = find(pixels, size)
        if not isinstance(found, list | tuple):
            raise RegistrationError(
                f"The detector {name} returned {_what(found)}, but it must return a list of Detection."
            )
        return [_detection(name, one) for one in found]

    return checked


def _detection(name: str, one: Any) -> Detection:
    """Return a Detection with its numbers as float32.

    Raises:
        RegistrationError: it is not a Detection, or its numbers cannot be used.
    """
    if not isinstance(one, Detection):
        raise RegistrationError(
            f"The detector {name} returned a list of {_what(one)}, but it must return a list of"
            " featurekit.faces.detectors.Detection."
        )
    with _named(RegistrationError, f"The detector {name} returned a Detection whose values are not numbers"):
        box, landmarks = np.asarray(one.box, np.float32), np.asarray(one.landmarks, np.float32)
        confidence = float(one.confidence)
    if box.shape != (4,) or not np.isfinite(box).all():
        problem = f"the box {box.tolist()}; it must be four numbers, x1, y1, x2, y2"
    elif landmarks.shape != (5, 2) or np.isinf(landmarks).any():
        problem = f"landmarks of shape {landmarks.shape}; the shape must be (5, 2), NaN for no landmarks"
    elif not np.isfinite(confidence):
        problem = f"the confidence {confidence}; it must be between 0 and 1"
    else:
        return Detection(box, landmarks, confidence)
    raise RegistrationError(f"The detector {name} returned a Detection with {problem}.")


@contextmanager
def _named(kind: type[FeaturekitError], what: str) -> Iterator[None]:
    """Turn what a member's function raises into an error of featurekit that names the member."""
    try:
        yield
    except (FeaturekitError, MemoryError):
        raise
    except Exception as error:
        raise kind(f"{what}: {described(error)}.") from error


def _what(found: Any) -> str:
    """Return the type of an object, for a message."""
    return "None" if found is None else type(found).__name__
