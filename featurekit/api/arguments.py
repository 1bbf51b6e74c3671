"""What arguments of the front door may be written as."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from featurekit.errors import EngineError, FeaturekitError

# A command that is told in full stays as it is; an option that stands alone becomes an argument.
_OPTION = re.compile(r"featurekit \w(?:[^.;]|\.(?=\S))*|(?<!\S)--([a-z][a-z-]*[a-z])")


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


class Words:
    """How messages name what a user can set.

    Attributes:
        are_options: whether by the options of a command, as the library does; else by a function's arguments.
    """

    are_options = False


def as_arguments(text: str) -> str:
    """Return a message of the command line with its options as arguments of a function.

    >>> as_arguments("--abstain-above has no effect: leave it out, or use --sets.")
    'abstain_above has no effect: leave it out, or use sets.'
    >>> as_arguments("It has not been extracted. Next: featurekit extract --backbone vgg16")
    'It has not been extracted. Next: featurekit extract --backbone vgg16'
    """
    return _OPTION.sub(lambda found: found[1].replace("-", "_") if found[1] else found[0], text)


def in_users_words(text: str) -> str:
    """Return a message as whoever uses this door says it: with options, or with arguments."""
    return text if Words.are_options else as_arguments(text)


@contextmanager
def errors_in_arguments() -> Iterator[None]:
    """Let errors that are raised inside name arguments where they name options of the command line."""
    try:
        yield
    except FeaturekitError as error:
        error.args = (in_users_words(str(error)), *error.args[1:])
        raise
