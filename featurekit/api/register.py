"""Add a backbone, an estimator, a data set, a detector or a check of one's own.

The functions are used as decorators, in a notebook and in a package that is installed
beside featurekit. Such a package names its modules as entry points
(see featurekit.registry), so that the command line finds its members too.

A member can be used by its name as soon as it is registered. Registering a name again,
as when the cell of a notebook is run again, replaces the member; the names of
featurekit's own members and of installed packages cannot be taken.
"""

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from types import CodeType
from typing import TYPE_CHECKING, Any, TypeVar, get_args

from featurekit.errors import RegistrationError
from featurekit.registry import SESSION, Registry, unknown

if TYPE_CHECKING:
    from featurekit.data.targets import Target
    from featurekit.estimators import Classifier, ClassifierKind
    from featurekit.findings import Severity

Function = TypeVar("Function", bound=Callable[..., Any])


def register_backbone(
    name: str,
    *,
    about: str,
    dim: int,
    input_size: int,
    template: str = "dlib",
    version: str | None = None,
    recognizes: bool = False,
) -> Callable[[Function], Function]:
    """Register the decorated function as a backbone, which computes vectors from face crops.

    The cache keeps the vectors under the name and the version of the backbone. If no version is given, a
    backbone that is registered in a notebook gets one that changes with the code of the function, so vectors
    of an older function are never used for a newer one. It does not change with the code that the function
    calls: if that changes, give a version, and change it whenever the vectors change.

    To register an ONNX file, a torch module or a network with several layers, use
    ``featurekit.networks.backbones.backbone``.

    Args:
        name: name of the backbone, e.g. in ``fk.embed(data, name)`` or ``extract --backbone name``.
        about: one line that says what it is, for ``featurekit list backbones``.
        dim: length of a vector.
        input_size: side in pixels of the square crops that the function gets.
        template: where the eyes, the nose and the mouth are in a crop; see featurekit.faces.align.TEMPLATES.
        version: version of the function; None for that of its package, or of its own code.
        recognizes: whether the vectors tell subjects apart, so that the audit can use them to find close
            faces.

    Returns:
        A decorator for a function that takes crops, uint8 of shape (n, input_size, input_size, 3) in the
        order red, green, blue, and returns vectors of shape (n, dim). It returns the function unchanged.

    Raises:
        RegistrationError: the name is taken or not allowed, there is no such template, or the version cannot
            be computed from the code of the function.

    Example:
        >>> import featurekit as fk
        >>> @fk.register_backbone("brightness", about="mean of all pixels", dim=1, input_size=32)
        ... def brightness(crops):
        ...     return crops.mean(axis=(1, 2, 3))[:, None] / 255
    """
    facts: dict[str, Any] = {"name": name, "about": about, "input_size": input_size, "template": template}
    facts |= {"layers": {"vectors": dim}, "recognizes": ("vectors",) if recognizes else ()}

    def register(compute: Function) -> Function:
        _add_backbone(compute, dim, version, facts)
        return compute

    return register


def _add_backbone(
    compute: Callable[[Any], Any], dim: int, version: str | None, facts: dict[str, Any]
) -> None:
    """Register a function as a backbone; facts: the other attributes of the Backbone."""
    from featurekit.api._members import checked_backbone
    from featurekit.faces.align import TEMPLATES
    from featurekit.networks.backbones import BACKBONES, Backbone

    name, template = facts["name"], facts["template"]
    if template not in TEMPLATES:
        raise RegistrationError(unknown("template", str(template), list(TEMPLATES)))
    version = _version(name, version, compute, BACKBONES)
    BACKBONES.add(Backbone(**facts, compute=checked_backbone(name, compute, dim), version=version))


def register_detector(
    name: str, *, about: str, settings: Mapping[str, Any] | None = None, version: str | None = None
) -> Callable[[Function], Function]:
    """Register the decorated function as a detector, which finds the faces on an image.

    Args:
        name: name of the detector, e.g. in ``extract --detector name``.
        about: one line that says what it is, for ``featurekit list detectors``.
        settings: further values that decide what it finds, as plain numbers and text. Faces that are
            found with different settings are cached separately.
        version: version of the function; see register_backbone().

    Returns:
        A decorator for a function that takes the image, uint8 of shape (height, width, 3) in the order red,
        green, blue, and a side in pixels. The function should scale the image to fit into a square of this
        side before it searches for faces. It returns a list of ``featurekit.faces.detectors.Detection``, the
        most confident first, in pixels of the image. If it finds nothing, it is called again with a larger
        side. The decorator returns the function unchanged.

    Raises:
        RegistrationError: the name is taken or not allowed, or the version cannot be computed from the code
            of the function.

    Example:
        >>> import featurekit as fk
        >>> import numpy as np
        >>> from featurekit.faces.detectors import Detection
        >>> @fk.register_detector("middle", about="the middle half of the image")
        ... def middle(pixels, size):
        ...     height, width = pixels.shape[:2]
        ...     box = np.array([width / 4, height / 4, width * 3 / 4, height * 3 / 4], np.float32)
        ...     return [Detection(box, np.full((5, 2), np.nan, np.float32), confidence=1.0)]
        >>> middle(np.zeros((80, 40, 3), np.uint8), 96)[0].box
        array([10., 20., 30., 60.], dtype=float32)
    """

    def register(find: Function) -> Function:
        from featurekit.api._members import checked_detector
        from featurekit.faces.detectors import DETECTORS, Detector

        finder = checked_detector(name, find)
        DETECTORS.add(
            Detector(
                name=name,
                about=about,
                weights=None,
                open=lambda weights, device, precision, threads: finder,
                settings=dict(settings or {}),
                version=_version(name, version, find, DETECTORS),
            )
        )
        return find

    return register


def register_dataset(
    name: str, *, about: str, licence: str, labels: Sequence[str] = ("age", "age_group", "gender")
) -> Callable[[Function], Function]:
    """Register the decorated function as a data set, which makes a table of the images in a folder or file.

    Args:
        name: name of the data set, e.g. in ``fk.load_dataset(name, path)`` or ``prepare name path``.
        about: one line that says what it is, for ``featurekit list datasets``.
        licence: what its owners allow; reports and model cards show it.
        labels: the columns of the table that can be predicted. A row without any of them is not used.

    Returns:
        A decorator for a function that takes the path, and options by keyword, and returns a DataFrame with a
        row for every image. The decorator returns the function unchanged.

        The DataFrame is interpreted as `fk.Dataset.from_frame` does it. It must have ``image_path``, relative
        to the path's folder, and may have ``face_id``, ``subject_id``, ``age`` (years, as numbers or text, or
        an age group), ``age_group`` (e.g. "25-32"), ``gender`` ("female" and "male", "f" and "m", "woman"
        and "man", and such words in other languages), ``official_fold`` (from 0) and ``box`` ("x1 y1 x2 y2"
        in pixels, or four columns ``x1``, ``y1``, ``x2``, ``y2``). Every other column is kept as a label of
        classes. A cell that cannot be read is missing, and is counted and reported. featurekit finds missing
        and broken images, impossible ages and duplicates.

        A function may instead return a ``featurekit.data.datasets.RawRows``, which is taken as it is, and
        must hold "female" and "male". A function that has the keyword ``missing`` is given the words that
        mean "not known".

        Loading the data set raises a ManifestError if the function returned something else, or a DataFrame
        that cannot be read.

    Raises:
        RegistrationError: the name is taken or not allowed.

    Example:
        >>> import featurekit as fk
        >>> import pandas as pd
        >>> @fk.register_dataset("twins", about="pairs of twins", licence="ours")
        ... def twins(path, *, year=""):
        ...     photographs = sorted(path.glob(f"*{year}.jpg"))
        ...     people = [photograph.stem.split("_")[0] for photograph in photographs]
        ...     return pd.DataFrame({"image_path": [p.name for p in photographs], "subject_id": people})
    """

    def register(read: Function) -> Function:
        from featurekit.api._members import checked_dataset
        from featurekit.data.datasets import DATASETS, DatasetReader

        reader = checked_dataset(name, read, labels)
        DATASETS.add(DatasetReader(name=name, about=about, licence=licence, read=reader))
        return read

    return register


def register_estimator(
    name: str,
    estimator: Any = None,
    *,
    about: str = "",
    grid: "Mapping[str, Sequence[Any]] | Callable[[Target], Mapping[str, Sequence[Any]]] | None" = None,
    reads_target: "Callable[[Target], bool] | None" = None,
    trusted_types: Sequence[str] = (),
) -> Any:
    """Register a scikit-learn estimator, so that it can be used by its name in a comparison.

    Args:
        name: name of the estimator, e.g. in ``fk.evaluate(data, X, [name])`` or ``fit --model name``.
        estimator: a scikit-learn estimator, or its class, which is used with its default parameters; None to
            decorate a class, or a function (target, random_state, n_jobs) → unfitted estimator, which may
            depend on the target.
        about: one line that says what it is, for ``featurekit list models`` and the report. A function needs
            one.
        grid: parameter → values that ``tune`` tries, the simpler ones first, e.g. ``{"C": [0.1, 1, 10]}``; or
            a function of the target that returns such a mapping. None if there is nothing to tune.
        reads_target: target → whether the estimator can learn it; None for classes if the estimator is a
            classifier, for numbers if it is a regressor, and for a function for both.
        trusted_types: dotted names of the types that a fitted estimator is made of, beside plain values and
            arrays. A saved model is read only if it holds nothing else. The linear models, discriminant
            analyses, naive Bayes, nearest neighbours and multi-layer perceptrons of scikit-learn need none,
            also where a function returns one; without them the model of any other estimator is not saved.

    Returns:
        The estimator, or a decorator that returns the class or the function unchanged.

    Raises:
        RegistrationError: the name is taken or not allowed, a function has no about, or grid is neither a
            mapping nor a function.
        ModelError: the estimator is neither a classifier nor a regressor.

    Example:
        >>> import featurekit as fk
        >>> from sklearn.linear_model import LogisticRegression
        >>> fk.register_estimator("my_lr", LogisticRegression(max_iter=500))
        LogisticRegression(max_iter=500)
        >>> @fk.register_estimator("ridge_or_lr", about="linear, with little regularization")
        ... def make(target, random_state, n_jobs):
        ...     from sklearn.linear_model import LogisticRegression, Ridge
        ...     return Ridge(alpha=0.1) if target.is_regression else LogisticRegression(C=10)
    """
    if estimator is None:
        how: Any = {"about": about, "grid": grid, "reads_target": reads_target}
        return lambda given: register_estimator(name, given, trusted_types=trusted_types, **how)
    from featurekit.estimators import CLASSIFIERS

    if inspect.isfunction(estimator) and not about.strip():
        raise RegistrationError(
            f"The estimator {name} is made by a function. Say in one line what it makes:"
            f" fk.register_estimator({name!r}, about='…')."
        )
    kind = _kind(name, estimator, tuple(trusted_types))
    reads = reads_target or kind.reads_target
    CLASSIFIERS.add(replace(kind, about=about or kind.about, grid=_grid(name, grid), reads_target=reads))
    return estimator


def register_check(
    name: str, *, title: str, severity: "Severity" = "warning", order: int = 100
) -> Callable[[Function], Function]:
    """Register the decorated function as a check, which is then part of every audit.

    Args:
        name: name of the check; its finding has the same name.
        title: what it looks for, in a few words.
        severity: the worst severity that its finding can have: "note", "warning" or "error".
        order: position of its finding among the others, the lowest first. The checks of featurekit have 10
            to 90.

    Returns:
        A decorator for a function that takes a ``featurekit.checks.base.Given`` (the data set, its folds,
        vectors and predictions) and returns a ``featurekit.findings.Finding``: the number of cases, out of
        how many, what was found, and what to do. The decorator returns the function unchanged.

        A check that raises an error, or returns something else, does not end the audit. Its finding is then a
        warning that says so, and the other checks run.

    Raises:
        RegistrationError: the name is taken or not allowed, or there is no such severity.

    Example:
        >>> import featurekit as fk
        >>> from featurekit.findings import Finding
        >>> @fk.register_check("few_faces", title="a data set too small to compare on", severity="note")
        ... def few_faces(given):
        ...     n = len(given.manifest)
        ...     severity, advice = ("ok", "") if n >= 1000 else ("note", "Read intervals, not scores.")
        ...     what = f"There are {n:,} photographs."
        ...     return Finding(
        ...         name="few_faces", severity=severity, count=0, of=n, what=what, advice=advice
        ...     )
    """

    def register(look: Function) -> Function:
        from featurekit.checks.base import CHECKS, Check
        from featurekit.findings import Severity

        if severity not in get_args(Severity):
            raise RegistrationError(unknown("severity", str(severity), list(get_args(Severity))))
        CHECKS.add(Check(name, title, severity, order, look))
        return look

    return register


def _grid(name: str, grid: Any) -> "Callable[[Target], Mapping[str, Sequence[Any]]] | None":
    """Return a grid as a function of the target.

    Raises:
        RegistrationError: it is neither a function nor a mapping of parameters to lists of values.
    """
    if grid is None or callable(grid):
        found: Callable[[Target], Mapping[str, Sequence[Any]]] | None = grid
        return found
    if not isinstance(grid, Mapping):
        raise RegistrationError(
            f"The grid of {name} is of type {type(grid).__name__}: it must be a mapping of parameters to"
            " lists of values, or a function of the target that returns one."
        )
    values = {parameter: _values(name, parameter, given) for parameter, given in grid.items()}
    return lambda target: values


def _values(name: str, parameter: str, given: Any) -> list[Any]:
    """Return the values of a parameter in a grid, or raise RegistrationError if there are none."""
    if isinstance(given, str) or not isinstance(given, Iterable) or not (values := list(given)):
        raise RegistrationError(
            f"The grid of {name} has {given!r} for {parameter}: it must be a list of values to try."
        )
    return values


def _kind(name: str, estimator: Any, trusted_types: tuple[str, ...]) -> "ClassifierKind":
    """Return an estimator, its class, or a function that makes one, as a kind of model."""
    from featurekit.estimators import ClassifierKind
    from featurekit.estimators.given import INSIDE, as_classifier, kind_to_register, types_that_are_saved

    if inspect.isclass(estimator):
        try:
            return kind_to_register(estimator(), name, trusted_types)
        except TypeError as error:
            raise RegistrationError(
                f"{estimator.__qualname__} cannot be made with its default parameters: {error}. Register an"
                " object, or a function that makes one."
            ) from error
    if not inspect.isfunction(estimator):
        return kind_to_register(estimator, name, trusted_types)

    def make(target: "Target", random_state: int, n_jobs: int) -> "Classifier":
        return as_classifier(estimator(target, random_state, n_jobs), random_state, n_jobs)

    return ClassifierKind(
        name=name,
        about=f"made by the function {estimator.__qualname__}",
        make=make,
        is_given=True,
        trusted_types=(*INSIDE, *trusted_types),
        more_trusted=types_that_are_saved,
    )


def _version(name: str, version: str | None, function: Callable[..., Any], registry: Registry[Any]) -> str:
    """Return the version of a member's function, which is part of the recipes.

    Raises:
        RegistrationError: no version is named, and none can be computed from the function's code.
    """
    if version is not None:
        return str(version)
    if registry.registrar()[0] != SESSION:
        return ""  # that of its package
    if not inspect.isfunction(function):
        raise RegistrationError(
            f"{name} is no plain function, so that its version cannot be told from its code. Name a version,"
            " and change it whenever its numbers change."
        )
    defaults = (function.__defaults__, function.__kwdefaults__)
    return sha256(f"{_code(function.__code__)} {defaults}".encode()).hexdigest()[:16]


def _code(code: CodeType) -> str:
    """Return the code of a function as text that is the same in every process."""
    constants = [
        _code(one)
        if isinstance(one, CodeType)
        # The order of a set differs from process to process.
        else repr(sorted(map(repr, one)) if isinstance(one, frozenset) else one)
        for one in code.co_consts
    ]
    return f"{code.co_code.hex()} {code.co_names} {constants}"
