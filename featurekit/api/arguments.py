"""Check arguments that several public functions share."""

from typing import Any

from featurekit.api.telling import LOG
from featurekit.errors import EngineError, UnknownNameError
from featurekit.faces.photographs import Photograph, Photographs
from featurekit.inference.inputs import photographs_in
from featurekit.registry import unknown

_CHOICES = ("all", "center", "largest", "only")


def threads_of(n_jobs: int | None) -> int:
    """Return the number of threads for a value of n_jobs; 0 means one thread per core.

    Raises:
        EngineError: n_jobs is neither -1 nor a positive number.

    >>> threads_of(None), threads_of(-1), threads_of(2)
    (0, 0, 2)
    """
    if n_jobs is None or n_jobs == -1:
        return 0
    if n_jobs < 1:
        raise EngineError(f"n_jobs must be -1 or at least 1. Got {n_jobs} instead.")
    return n_jobs


def as_list(value: Any) -> list[Any]:
    """Return a list or a tuple as a list, and any other value as a list with one item.

    >>> as_list("gender"), as_list((1, 10))
    (['gender'], [1, 10])
    """
    return list(value) if isinstance(value, list | tuple) else [value]


def images_of(given: Photographs) -> list[Photograph]:
    """Return the images of an argument, and log which files in its folders are not images."""
    found, left_out = photographs_in(given)
    for text in left_out:
        LOG.warning(text)
    return found


def which_faces(choose: str) -> str:
    """Check the argument choose, which says which faces of an image are used, and return it.

    Raises:
        UnknownNameError: choose is not one of the allowed values, which do not include "box".
    """
    if choose not in _CHOICES:
        raise UnknownNameError(unknown("way to choose a face", choose, list(_CHOICES)))
    return choose
