"""Check the arguments of public functions by their annotations, before any work is done.

`@checked()` above a function, or above a class for its constructor and its public methods, raises an
ArgumentError for a value that the annotation of its parameter does not allow: "yes" for a bool is an error,
and does not count as True. The numbers of numpy are numbers, and any os.PathLike is a path. Some numbers
have a range, too.

An annotation with a part that has no description below, such as Any, or that is a string, is left to the
function.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache, wraps
from inspect import Parameter, Signature, isfunction, signature
from numbers import Integral, Real
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

from featurekit.errors import ArgumentError

Checked = TypeVar("Checked", bound=Callable[..., Any])

# Parameter → the whole numbers that it may be, in whichever function. Seeds are those of scikit-learn.
_SEEDS = range(2**32)
_RANGES = {"seed": _SEEDS, "random_state": _SEEDS, "parallel_folds": range(10_001)}
# Type → what a value is called, if there is one, and if there are several in a list.
_WORDS: dict[Any, tuple[str, str]] = {
    bool: ("True or False", "True and False"),
    int: ("a whole number", "whole numbers"),
    float: ("a number", "numbers"),
    str: ("a text", "texts"),
    Path: ("a path", "paths"),
    NoneType: ("None", "None"),
    Callable: ("a function", "functions"),
    Mapping: ("a mapping whose keys are texts", "mappings"),
}
# The same for classes of featurekit and pandas, by name, because their modules are above this one or heavy.
_CLASSES = {
    "DataFrame": "a pandas DataFrame",
    "Embeddings": "the result of fk.embed",
    "HasRuns": "the results of fk.evaluate or fk.load_results",
    "Manifest": "the result of fk.load_dataset or fk.Dataset.from_frame",
    "Model": "a model from fk.load_model",
    "Project": "a project",
    "RayExecutor": "an fk.RayExecutor",
    "Results": "the results of fk.evaluate or fk.load_results",
}


def checked(but: str = "") -> Callable[[Checked], Checked]:
    """Return a decorator of a function or class whose arguments are checked by their annotations.

    Args:
        but: a parameter that is left to the function, which has a better message for it.

    >>> @checked()
    ... def repeat(text: str, times: int | None = None, *, loud: bool = False): ...
    >>> repeat("a", 2.5)
    Traceback (most recent call last):
    featurekit.errors.ArgumentError: times must be a whole number or None. Got 2.5 instead.
    """

    def check(of: Checked) -> Checked:
        if not isinstance(of, type):
            return _checked_function(of, but)
        for name, member in list(vars(of).items()):
            if isfunction(member) and (name == "__init__" or not name.startswith("_")):
                setattr(of, name, _checked_function(member, but))
        return of

    return check


def check_arguments(function: Callable[..., Any], given: Mapping[str, Any]) -> None:
    """Raise an error for an argument whose value the annotation of the function does not allow.

    Args:
        function: the function.
        given: parameter → its value; parameters that the function does not have are not checked.

    Raises:
        ArgumentError: a value is not allowed.
    """
    known = _parameters(function)
    for name, value in given.items():
        if name in known:
            _check(name, value, known[name])


def _checked_function(function: Checked, but: str) -> Checked:
    @wraps(function)
    def checking(*args: Any, **kwargs: Any) -> Any:
        try:
            given = _signature(function).bind(*args, **kwargs).arguments
        except TypeError:  # an argument is missing, or one too many: Python says it well
            return function(*args, **kwargs)
        check_arguments(function, {name: value for name, value in given.items() if name != but})
        return function(*args, **kwargs)

    return checking  # type: ignore[return-value]  # it is called as the function is


@cache
def _signature(function: Callable[..., Any]) -> Signature:
    return signature(function)


@cache
def _parameters(function: Callable[..., Any]) -> dict[str, Any]:
    """Return parameter → annotation, of the parameters that can be checked."""
    several = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)
    return {
        name: one.annotation
        for name, one in _signature(function).parameters.items()
        if one.kind not in several and all(map(_is_known, _parts(one.annotation)))
    }


def _check(name: str, value: Any, annotation: Any) -> None:
    parts = _parts(annotation)
    is_out = name in _RANGES and isinstance(value, Integral) and int(value) not in _RANGES[name]
    if any(_is_one(value, part) for part in parts) and not is_out:
        return
    words = list(dict.fromkeys(map(_words, parts)))
    if name in _RANGES:
        words[0] += f" from {_RANGES[name][0]:,} to {_RANGES[name][-1]:,}"
    listed = ", ".join(words[:-1]) + (" or " if len(words) > 1 else "") + words[-1]
    raise ArgumentError(f"{name} must be {listed}. Got {_shown(value)} instead.")


def _parts(annotation: Any) -> Sequence[Any]:
    """Return the parts of a union, where a text that may be a path is a path, or a single type."""
    if get_origin(annotation) not in (Union, UnionType):
        return (annotation,)
    parts = get_args(annotation)
    return [part for part in parts if part is not str or Path not in parts]


def _kind(part: Any) -> Any:
    """Return the type of a part without that of its items."""
    origin = get_origin(part)
    return str if origin is Literal else origin or part


def _is_known(part: Any) -> bool:
    kind = _kind(part)
    if kind is Sequence:
        return all(map(_is_known, _parts(get_args(part)[0])))
    return kind in _WORDS or getattr(kind, "__name__", "") in _CLASSES


def _is_one(value: Any, part: Any) -> bool:
    """Whether a value is one of a type."""
    kind = _kind(part)
    if kind is Sequence:
        (item,) = get_args(part)
        return _is_list(value) and all(any(_is_one(one, of) for of in _parts(item)) for one in _items(value))
    if kind is Callable:
        return callable(value)
    if kind is bool:
        return isinstance(value, bool) or _is_of_numpy(value, "b")
    if kind in (int, float):
        number = Integral if kind is int else Real
        return isinstance(value, number) and not isinstance(value, bool)
    if kind is Mapping:
        (names, _) = get_args(part)
        return isinstance(value, kind) and all(_is_one(name, names) for name in value)
    return isinstance(value, (str, os.PathLike) if kind is Path else kind)


def _is_of_numpy(value: Any, kind: str) -> bool:
    """Whether a value is a numpy scalar of a kind; numpy is not imported for that."""
    return getattr(value, "shape", None) == () and getattr(value.dtype, "kind", "") == kind


def _is_list(value: Any) -> bool:
    return isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping | os.PathLike)


def _items(value: Iterable[Any]) -> Iterable[Any]:
    """Return the items of a list; of an iterator none, because they can be read only once."""
    return () if isinstance(value, Iterator) else value


def _words(part: Any, *, several: bool = False) -> str:
    kind = _kind(part)
    if kind is Sequence:
        items = dict.fromkeys(_words(one, several=True) for one in _parts(get_args(part)[0]))
        return f"a list of {' or '.join(items)}"
    return _WORDS[kind][several] if kind in _WORDS else _CLASSES[kind.__name__]


def _shown(value: Any) -> str:
    """Return a value as the message shows it: a short plain one itself, of any other its type.

    >>> _shown("3"), _shown(2.5), _shown([1, "x"]), _shown({})
    ("'3'", '2.5', "[1, 'x']", 'a dict')
    """
    items = value if isinstance(value, list) else [value]
    if all(one is None or isinstance(one, str | Real) for one in items):
        text = f"{value!r}" if isinstance(value, str | list) else f"{value}"
        if len(text) <= 60:
            return text
    name = type(value).__name__
    return f"{'an' if name[0] in 'AEIOUaeiou' else 'a'} {name}"
