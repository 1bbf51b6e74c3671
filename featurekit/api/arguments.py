"""Read the arguments that several public functions have."""

from typing import Any

from featurekit.api.telling import LOG
from featurekit.errors import EngineError, UnknownNameError
from featurekit.faces.photographs import Photograph, Photographs
from featurekit.inference.inputs import photographs_in
from featurekit.registry import unknown

_CHOICES = ("all", "center", "largest", "only")


def threads_of(n_jobs: int | None) -> int:
    """Return the number of threads that n_jobs means, 0 for one per core.

    Raises:
        EngineError: it is neither -1 nor a positive number.

    >>> threads_of(None), threads_of(-1), threads_of(2)
    (0, 0, 2)
    """
    if n_jobs is None or n_jobs == -1:
        return 0
    if n_jobs < 1:
        raise EngineError(f"n_jobs must be -1 or at least 1. Got {n_jobs} instead.")
    return n_jobs


def as_list(value: Any) -> list[Any]:
    """Return one value, or several, as a list.

    >>> as_list("gender"), as_list((1, 10))
    (['gender'], [1, 10])
    """
    return list(value) if isinstance(value, list | tuple) else [value]


def images_of(given: Photographs) -> list[Photograph]:
    """Return what was given as images, and log which files of its folders are none."""
    found, left_out = photographs_in(given)
    for text in left_out:
        LOG.warning(text)
    return found


def which_faces(choose: str) -> str:
    """Return which faces of an image are meant.

    Raises:
        UnknownNameError: there is no such choice; "box" needs a data set, which has the boxes.
    """
    if choose not in _CHOICES:
        raise UnknownNameError(unknown("way to choose a face", choose, list(_CHOICES)))
    return choose
