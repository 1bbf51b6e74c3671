"""Check arguments that several public functions share."""

from typing import TYPE_CHECKING, Any

from featurekit.api.telling import LOG
from featurekit.errors import EngineError, UnknownNameError
from featurekit.faces.photographs import Photograph, Photographs
from featurekit.inference.inputs import photographs_in
from featurekit.registry import unknown

if TYPE_CHECKING:
    from featurekit.embeddings.executors import Executor

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


def executor_of(executor: "str | Executor", n_jobs: int | None) -> "Executor":
    """Return where vectors are computed, for the name of an executor or an executor itself.

    Args:
        executor: "local", "ray", or an object such as fk.RayExecutor().
        n_jobs: number of threads of the local executor; None or -1 for one per core.

    Raises:
        UnknownNameError: there is no executor with this name.
        EngineError: n_jobs is not possible, or has no effect.
    """
    from featurekit.embeddings.executors.local import LocalExecutor
    from featurekit.embeddings.executors.ray import RayExecutor

    threads = threads_of(n_jobs)
    if executor == "local":
        return LocalExecutor(threads)
    if executor != "ray" and not hasattr(executor, "opened"):
        raise UnknownNameError(unknown("executor", str(executor), ["local", "ray"]))
    if threads:
        raise EngineError(
            "--threads is the number of threads of this machine, and has no effect with --executor ray. Leave"
            " it out; --workers is the number of workers."
        )
    return RayExecutor() if isinstance(executor, str) else executor


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
