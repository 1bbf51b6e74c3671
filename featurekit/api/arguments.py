"""What arguments of the front door may be written as."""

from typing import Any

from featurekit.errors import EngineError


def threads_of(n_jobs: int | None) -> int:
    """Return the number of threads that n_jobs means, 0 for one a core.

    Raises:
        EngineError: it is no such number.

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
