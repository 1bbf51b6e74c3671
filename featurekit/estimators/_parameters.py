"""The values that the parameters of an estimator can have, and their names in runs and commands."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from featurekit.errors import ModelError


class Within(NamedTuple):
    """The least and the greatest value of a parameter."""

    least: float
    most: float = 2**31

    def __str__(self) -> str:
        return f"from {self.least:g} to {self.most:g}" if self.most < 2**31 else f"of at least {self.least:g}"


# Parameter → the range, or the values, that it can have.
Allowed = Mapping[str, Within | tuple[Any, ...]]
# The range of a number for which no other is given.
ANY = Within(0)
# The names of two parameters in runs, in saved models and on the command line.
SHOWN_AS = {"random_state": "seed", "n_jobs": "threads"}
# What the notes of a fit say about an estimator without predict_proba().
NO_PROBABILITIES = "gives no probabilities"


def check_parameter(name: str, value: Any, usual: Any, allowed: Within | tuple[Any, ...]) -> None:
    """Check the value of a parameter.

    Args:
        name: name of the parameter.
        value: its value; a number may be numpy's.
        usual: its default, whose type the value must have; if it is None, any value is accepted.
        allowed: the range, or the values, that the parameter can have.

    Raises:
        ModelError: the parameter cannot have this value; the message says which values it can have.
    """
    if usual is None:
        return
    value = plain(value)
    wanted, fits = "of another kind", type(value) is type(usual)
    if isinstance(usual, bool):
        wanted = "true or false"
    elif not isinstance(allowed, Within):
        wanted, fits = f"one of {', '.join(map(str, allowed))}", fits and value in allowed
    elif isinstance(usual, int | float):
        is_whole = isinstance(usual, int)
        wanted = f"{'a whole number' if is_whole else 'a number'} {allowed}"
        is_number = isinstance(value, int if is_whole else int | float) and not isinstance(value, bool)
        fits = is_number and allowed.least <= value <= allowed.most
    if not fits:
        raise ModelError(f"{name} cannot be {str(value)[:40]}: it must be {wanted}.")


def class_path(kind: type) -> str:
    """Return the dotted name of a class."""
    return f"{kind.__module__}.{kind.__qualname__}"


def plain(value: Any) -> Any:
    """Return a number of numpy's as one of Python's, which JSON can hold; anything else unchanged."""
    return value.item() if isinstance(value, np.generic) else value
