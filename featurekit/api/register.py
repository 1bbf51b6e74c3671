"""Register backbones, estimators, data sets, detectors and checks of your own.

The functions are used as decorators, in a notebook or in an installed package. A package names its modules
as entry points (see featurekit.registry), so that the command line can use its backbones and so on too.

A registered backbone, estimator and so on can be used by its name at once. Registering a name again, for
example by running the cell of a notebook again, replaces it. The names in featurekit and in installed
packages are taken, and cannot be registered again.
"""

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from hashlib import sha256
from types import CodeType
from typing import TYPE_CHECKING, Any, TypeVar, get_args

from featurekit.api._members import checked_backbone, checked_dataset, checked_detector
from featurekit.checked import checked
from featurekit.errors import RegistrationError
from featurekit.findings import Severity
from featurekit.registry import SESSION, Registry, unknown

if TYPE_CHECKING:
    from featurekit.data.targets import Target
    from featurekit.estimators import Classifier, ClassifierKind

Function = TypeVar("Function", bound=Callable[..., Any])


@checked()
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

    The name and the version of the backbone are part of the key of the vectors in the cache. In a notebook,
    the default version is a hash of the code of the function, so vectors of an older function are never used
    for a newer function. The hash does not cover other functions that it calls. If such a function
    changes, give a version, and change it whenever the vectors change.

    To register an ONNX file, a torch module or a network with several layers, use
    ``featurekit.networks.backbones.backbone``.

    Args:
        name: name of the backbone, for example in ``fk.embed(data, name)`` or ``extract --backbone name``.
        about: description of the backbone in one line, for ``featurekit list backbones``.
        dim: length of a vector.
        input_size: side in pixels of the square crops that the function gets.
        template: name of the positions of the eyes, the nose and the mouth in a crop, a key of
            featurekit.faces.align.TEMPLATES.
        version: version of the function; None for the version of its package, or a hash of its code in a
            notebook.
        recognizes: whether the vectors distinguish subjects, so that the audit can use them to find close
            faces.

    Returns:
        A decorator for a function that takes crops, uint8 of shape (n, input_size, input_size, 3) in the
        order red, green, blue, and returns vectors of shape (n, dim). The decorator returns the function
        unchanged.

    Raises:
        RegistrationError: the name is taken or not allowed, there is no template with this name, or no
            version can be computed from the code of the function.

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
    from featurekit.estimators.fitted_features import is_fitted
    from featurekit.faces.align import TEMPLATES
    from featurekit.networks.backbones import BACKBONES, Backbone

    name, template = facts["name"], facts["template"]
    if is_fitted(name):
        raise RegistrationError(
            f"The name '{name}' is taken by a feature of featurekit that is fitted per fold; choose another."
        )
    if template not in TEMPLATES:
        raise RegistrationError(unknown("template", str(template), list(TEMPLATES)))
    version = _version(name, version, compute, BACKBONES)
    BACKBONES.add(Backbone(**facts, compute=checked_backbone(name, compute, dim), version=version))


@checked()
def register_detector(
    name: str, *, about: str, settings: Mapping[str, Any] | None = None, version: str | None = None
) -> Callable[[Function], Function]:
    """Register the decorated function as a detector, which finds the faces on an image.

    Args:
        name: name of the detector, for example in ``extract --detector name``.
        about: description of the detector in one line, for ``featurekit list detectors``.
        settings: further settings that change which faces are found, as numbers and text. Faces that are
            found with different settings are cached separately.
        version: version of the function; see register_backbone().

    Returns:
        A decorator for a function that takes the image, uint8 of shape (height, width, 3) in the order red,
        green, blue, and a side in pixels. The function should scale the image to fit into a square with this
        side before the detection. It returns a list of ``featurekit.faces.detectors.Detection``, the
        most confident first, in pixels of the image. If the list is empty, the function is called
        again with a larger side. The decorator returns the function unchanged.

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


@checked()
def register_dataset(
    name: str, *, about: str, licence: str, labels: Sequence[str] | str = ("age", "age_group", "gender")
) -> Callable[[Function], Function]:
    """Register the decorated function as a data set; it returns a table of the images in a folder or file.

    Args:
        name: name of the data set, for example in ``fk.load_dataset(name, path)`` or ``prepare name path``.
        about: description of the data set in one line, for ``featurekit list datasets``.
        licence: licence of the data set, which reports and model cards show.
        labels: the columns of the table that can be predicted. A row without a value in any of these columns
            is not used.

    Returns:
        A decorator for a function that takes the path, and options by keyword, and returns a DataFrame with a
        row for every image. The decorator returns the function unchanged.

        The DataFrame is interpreted as by `fk.Dataset.from_frame`. It must have the column ``image_path``,
        relative to the folder of the path, and may have ``face_id``, ``subject_id``, ``age`` (years, as
        numbers or text, or an age group), ``age_group`` (e.g. "25-32"), ``gender`` ("female" and "male", "f"
        and "m", "woman" and "man", or similar words in other languages), ``official_fold`` (from 0) and
        ``box`` ("x1 y1 x2 y2" in pixels, or four columns ``x1``, ``y1``, ``x2``, ``y2``). Every other column
        is a label with classes. A cell that cannot be read is a missing value, and is counted and reported.
        featurekit finds missing and broken images, impossible ages and duplicates.

        The function may instead return a ``featurekit.data.datasets.RawRows``, which is used unchanged, with
        the genders "female" and "male". If the function has the keyword ``missing``, it is called with the
        words that mean a missing value.

        Loading the data set raises a ManifestError if the function returns another object, or a DataFrame
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
        from featurekit.data.datasets import DATASETS, DatasetReader

        reader = checked_dataset(name, read, labels)
        DATASETS.add(DatasetReader(name=name, about=about, licence=licence, read=reader))
        return read

    return register


@checked()
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
        name: name of the estimator, for example in ``fk.evaluate(data, X, [name])`` or ``fit --model name``.
        estimator: a scikit-learn estimator, or a class of estimators, which is used with its default
            parameters. None to use register_estimator as a decorator of a class, or of a function that takes
            (target, random_state, n_jobs) and returns an unfitted estimator for the target.
        about: description of the estimator in one line, for ``featurekit list models`` and the report;
            required for a function.
        grid: mapping from parameter to the values to try, simpler values first, such as
            ``{"C": [0.1, 1, 10]}``; or a function of the target that returns such a mapping; or None.
        reads_target: function of a target that returns whether the estimator can predict it. None for all
            targets with classes if the estimator is a classifier, all regression targets if it is a
            regressor, and all targets for a function.
        trusted_types: dotted names of the types in a fitted estimator, beside plain values and arrays. A
            saved model is loaded only if it contains no other types. The linear models, discriminant
            analyses, naive Bayes, nearest neighbours and multi-layer perceptrons of scikit-learn need no such
            names. Models of any other estimator are not saved without these names.

    Returns:
        The estimator, or a decorator that returns the class or the function unchanged.

    Raises:
        RegistrationError: the name is taken or not allowed, a function is registered without about, or grid
            is neither a mapping nor a function.
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
            f"The estimator {name} is made by a function. Describe the estimator in one line:"
            f" fk.register_estimator({name!r}, about='…')."
        )
    kind = _kind(name, estimator, tuple(trusted_types))
    reads = reads_target or kind.reads_target
    CLASSIFIERS.add(replace(kind, about=about or kind.about, grid=_grid(name, grid), reads_target=reads))
    return estimator


@checked()
def register_check(
    name: str, *, title: str, severity: Severity = "warning", order: int = 100
) -> Callable[[Function], Function]:
    """Register the decorated function as a check, which is then part of every audit.

    Args:
        name: name of the check, and of its finding.
        title: the problem that the check looks for, in a few words.
        severity: the worst severity that the finding can have, "note", "warning" or "error".
        order: number by which the findings are sorted. The checks of featurekit have numbers from 10 to 90.

    Returns:
        A decorator for a function that takes a ``featurekit.checks.base.Given`` (the data set, its folds,
        vectors and predictions) and returns a ``featurekit.findings.Finding`` (the number of cases, out of
        how many, what was found, and what to do). The decorator returns the function unchanged.

        If the function raises an error, or returns another object, its finding is a warning that says so, and
        the other checks of the audit still run.

    Raises:
        RegistrationError: the name is taken or not allowed, or severity is not an allowed value.

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
    values = {}
    for parameter, given in grid.items():
        values[parameter] = list(given) if isinstance(given, Iterable) and not isinstance(given, str) else []
        if not values[parameter]:
            raise RegistrationError(
                f"The grid of {name} has {given!r} for {parameter}: it must be a list of values to try."
            )
    return partial(_for_any_target, values)


# Functions of the module instead of lambdas, so that results with a registered model can be pickled.
def _for_any_target(values: Mapping[str, Sequence[Any]], target: "Target") -> Mapping[str, Sequence[Any]]:
    return values


def _kind(name: str, estimator: Any, trusted_types: tuple[str, ...]) -> "ClassifierKind":
    """Return an estimator, its class, or a function that makes one, as a kind of model."""
    from featurekit.estimators import ClassifierKind
    from featurekit.estimators.given import INSIDE, kind_to_register, types_that_are_saved

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

    return ClassifierKind(
        name=name,
        about=f"made by the function {estimator.__qualname__}",
        make=partial(_made_by, estimator),
        is_given=True,
        trusted_types=(*INSIDE, *trusted_types),
        more_trusted=types_that_are_saved,
    )


def _made_by(function: Callable[..., Any], target: "Target", random_state: int, n_jobs: int) -> "Classifier":
    from featurekit.estimators.given import as_classifier

    return as_classifier(function(target, random_state, n_jobs), random_state, n_jobs)


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
            f"{name} is not a plain function, so no version can be computed from its code. Give a version,"
            " and change it whenever the results of the function change."
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
