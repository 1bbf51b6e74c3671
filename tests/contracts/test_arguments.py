"""A wrong type of any argument of the front door is one line, before any work is done."""

import inspect
import re
import types
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest

import featurekit as fk
from featurekit import checked
from featurekit.api.ages import Ages
from featurekit.api.averages import Averages
from featurekit.api.faces import FoundFace
from featurekit.api.model import Explanations
from featurekit.api.plots import Plots
from featurekit.api.telling import Shown
from featurekit.checked import check_arguments
from featurekit.errors import ArgumentError

CLASSES = (
    *(fk.Dataset, fk.Embeddings, fk.FoundFaces, fk.Model, fk.Result, fk.Results),
    *(Ages, Averages, Explanations, FoundFace, Plots),
)
# Parameters whose values the function checks itself, and those that scikit-learn or Matplotlib requires.
LEFT = {
    "embed data",
    "embed executor",
    "embed shard",
    "evaluate X",
    "evaluate executor",
    "evaluate models",
    "find_faces images",
    "predict images",
    "predict models",
    "predict_in_parts images",
    "predict_in_parts models",
    "register_estimator estimator",
    "register_estimator grid",
    "register_estimator reads_target",
    "tune X",
    "tune model",
    "Model.predict images",
    "Model.explain images",
    "FoundFaces.plot ax",
    "Result.fit X",
}


class Wrong:
    """A value that no argument may have."""


def public():
    """Yield the name and the function of what the front door has, and of what it returns."""
    for name in fk.__all__:
        if isinstance(getattr(fk, name), types.FunctionType):
            yield name, getattr(fk, name)
    for of in (fk.Project, fk.RayExecutor):
        yield f"{of.__name__}.__init__", of.__init__
    for of in CLASSES:
        for name in dir(of):
            member = inspect.getattr_static(of, name)
            function = member.__func__ if isinstance(member, classmethod) else member
            is_public = isinstance(function, types.FunctionType) and name[0] != "_"
            if is_public and function.__module__.startswith("featurekit.api."):  # others are inherited
                yield f"{of.__name__}.{name}", function


def parameters(function):
    for name, one in inspect.signature(function).parameters.items():
        if name not in ("self", "cls") and one.kind not in (one.VAR_KEYWORD, one.VAR_POSITIONAL):
            yield name, one


PUBLIC = dict(public())
EVERY = [(name, parameter) for name, function in PUBLIC.items() for parameter, _ in parameters(function)]
CHECKED = [(name, one) for name, one in EVERY if f"{name} {one}" not in LEFT]
FLAGS = [(name, one) for name, one in CHECKED if PUBLIC[name].__annotations__[one] is bool]


def allowed(annotation):
    """Return a value that an annotation allows."""
    part = (get_args(annotation) or (annotation,))[0] if "|" in str(annotation) else annotation
    kind = checked._kind(part)
    known = {str: "x", Path: Path("x"), int: 1, bool: True, float: 1.0}
    if kind in known:
        return known[kind]
    return [allowed(get_args(part)[0])] if get_args(part) else kind.__new__(kind)


def called_with(name, parameter, value):
    """Call a public function with one value, and with allowed values of whatever else it requires."""
    given = {
        other: None if f"{name} {other}" in LEFT else allowed(one.annotation)
        for other, one in parameters(PUBLIC[name])
        if one.default is one.empty
    }
    first = [object()] if next(iter(inspect.signature(PUBLIC[name]).parameters)) in ("self", "cls") else []
    return PUBLIC[name](*first, **{**given, parameter: value})


def test_what_is_left_to_the_functions_is_there():
    assert {f"{name} {parameter}" for name, parameter in EVERY} >= LEFT


@pytest.mark.parametrize(("name", "parameter"), CHECKED)
def test_a_value_of_another_type_is_one_line_that_names_the_argument(name, parameter):
    with pytest.raises(ArgumentError, match=rf"^{parameter} must be [^\n]+\. Got a Wrong instead\.$"):
        called_with(name, parameter, Wrong())


@pytest.mark.parametrize("value", ["no", 1, None])
@pytest.mark.parametrize(("name", "parameter"), FLAGS)
def test_what_is_neither_true_nor_false_is_no_flag(name, parameter, value):
    with pytest.raises(ArgumentError, match=f"^{parameter} must be True or False"):
        called_with(name, parameter, value)


def function_of(annotation):
    def function(given): ...

    function.__annotations__["given"] = annotation
    return function


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (bool, np.True_),
        (int, np.int64(3)),
        (int | None, None),
        (float, np.float32(0.5)),
        (float, 1),
        (str, np.str_("gender")),
        (str | Path, Path("photos")),
        (str | Path, PurePath("photos")),
        (Sequence[int], np.array([13, 18])),
        (Sequence[int], range(3)),
        (Sequence[str], pd.Series(["a", "b"])),
        (Sequence[str], iter("ab")),
        (Sequence[str | Path], (Path("a"), "b")),
        (Shown, print),
        (Shown, False),
    ],
)
def test_the_numbers_of_numpy_and_what_is_like_a_path_are_allowed(annotation, value):
    check_arguments(function_of(annotation), {"given": value})


@pytest.mark.parametrize(
    ("annotation", "value", "said"),
    [
        (int, True, "a whole number. Got True instead."),
        (int | None, 2.5, "a whole number or None. Got 2.5 instead."),
        (float | None, "x", "a number or None. Got 'x' instead."),
        (str | Path | None, 3, "a path or None. Got 3 instead."),
        (str | Sequence[str] | None, [1, "x"], "a text, a list of texts or None. Got [1, 'x'] instead."),
        (Sequence[str], "s0", "a list of texts. Got 's0' instead."),
        (Sequence[str | Path], {"a": 1}, "a list of paths. Got a dict instead."),
        (Mapping[str, Any], {3: 4}, "a mapping whose keys are texts. Got a dict instead."),
        (Shown, 3, "True or False or a function. Got 3 instead."),
        (pd.DataFrame, None, "a pandas DataFrame. Got None instead."),
        (str, b"x" * 100, "a text. Got a bytes instead."),
    ],
)
def test_the_message_says_what_is_allowed_and_what_came(annotation, value, said):
    with pytest.raises(ArgumentError, match=f"^given must be {re.escape(said)}$"):
        check_arguments(function_of(annotation), {"given": value})


@pytest.mark.parametrize("seed", [-1, 2**32, "a", 1.5, True])
@pytest.mark.parametrize("name", ["seed", "random_state"])
def test_a_seed_is_a_number_that_scikit_learn_takes(name, seed):
    function = fk.evaluate if name == "seed" else fk.Model.explain
    with pytest.raises(ArgumentError, match=f"^{name} must be a whole number from 0 to 4,294,967,295"):
        check_arguments(function, {name: seed})
    check_arguments(function, {name: np.int64(2**32 - 1)})


@pytest.mark.parametrize(
    "call",
    [
        lambda data, how: fk.evaluate(data, 3, **how),
        lambda data, how: fk.evaluate(data, models=3, **how),
        lambda data, how: fk.evaluate(data, executor=3, **how),
        lambda data, how: fk.embed(3, **how),
        lambda data, how: fk.embed(data, executor=3, **how),
        lambda data, how: fk.embed(data, shard=3, **how),
        lambda data, how: fk.predict(3, **how),
        lambda data, how: fk.predict([], 3, **how),
        lambda data, how: fk.predict_in_parts([], "parts", device=3, **how),
        lambda data, how: fk.find_faces(3),
        lambda data, how: fk.tune(data, 3, target="gender"),
        lambda data, how: fk.tune(data, [], 3, target="gender"),
        lambda data, how: fk.tune(data, fk.embed(data, "mean_color", **how), target="gender", folds=1),
        lambda data, how: fk.evaluate(data, parallel_folds=-1, **how),
        lambda data, how: fk.evaluate(data, parameters={3: 4}, **how),
        lambda data, how: fk.load_dataset("table", "people.csv", missing=3, **how),
        lambda data, how: fk.load_dataset("synthetic", "drawn", n_subjects=[1], **how),
        lambda data, how: fk.Dataset.load(3),
        lambda data, how: data.save(3),
        lambda data, how: data.target(3),
        lambda data, how: fk.register_estimator("own", 3),
        lambda data, how: fk.FaceEmbedder(mirror="no").fit([]),
        lambda data, how: fk.FaceEmbedder(backbone=3).fit([]),
        lambda data, how: fk.FaceEmbedder(detector_weights=3).fit([]),
        lambda data, how: fk.FaceEmbedder(n_jobs="all").fit([]),
    ],
)
def test_what_a_function_checks_itself_is_one_line_too(call, portraits, tmp_path):
    how = {"project": tmp_path / "work"}
    people = pd.read_csv(portraits / "people.csv")
    where = {"images": "file", "root": portraits / "photos", "labels": {"gender": "sex"}}
    data = fk.Dataset.from_frame(people, **where, **how)
    fk.embed(data, "mean_color", detector="whole_image", **how)
    with pytest.raises(fk.FeaturekitError) as error:
        call(data, how)
    assert "\n" not in str(error.value)
