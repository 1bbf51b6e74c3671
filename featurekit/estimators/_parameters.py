"""What values the parameters of an estimator can have, and what they are called outside."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from featurekit.errors import ModelError


class Within(NamedTuple):
    """The least and the most that a parameter can be."""

    least: float
    most: float = 2**31

    def __str__(self) -> str:
        return f"from {self.least:g} to {self.most:g}" if self.most < 2**31 else f"of at least {self.least:g}"


# Parameter → the numbers, or the words, that it can be.
Allowed = Mapping[str, Within | tuple[Any, ...]]
# What a number can be of which nothing else is said.
ANY = Within(0)
# What the command line, runs and saved models have always called two parameters.
SHOWN_AS = {"random_state": "seed", "n_jobs": "threads"}
# What the notes of a fit say of an estimator that only answers.
NO_PROBABILITIES = "gives no probabilities"


def check_parameter(name: str, value: Any, usual: Any, allowed: Within | tuple[Any, ...] = ANY) -> None:
    """Refuse a value that a parameter cannot have.

    Args:
        name: of the parameter.
        value: that it is to have; a number may be numpy's.
        usual: the value that it has by itself, of whose kind the new one must be; any will do where this is
            None.
        allowed: the numbers, or the words, that it can be.

    Raises:
        ModelError: it cannot be that; the message says what it can be.
    """
    if usual is None:
        return
    value = plain(value)
    number = int if isinstance(usual, int) else (int, float)
    wanted, fits = "of another kind", type(value) is type(usual)
    if isinstance(usual, bool):
        wanted = "true or false"
    elif not isinstance(allowed, Within):
        wanted, fits = f"one of {', '.join(map(str, allowed))}", fits and value in allowed
    elif isinstance(usual, int | float):
        kind = "a whole number" if isinstance(usual, int) else "a number"
        wanted = f"{kind} {allowed}"
        fits = isinstance(value, number) and not isinstance(value, bool)
        fits = fits and allowed.least <= value <= allowed.most
    if not fits:
        raise ModelError(f"{name} cannot be {str(value)[:40]}: it must be {wanted}.")


def plain(value: Any) -> Any:
    """Return a number of numpy's as Python's, which can be written down; anything else as it is."""
    return value.item() if isinstance(value, np.generic) else value
