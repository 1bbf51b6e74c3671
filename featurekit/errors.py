"""Every error that featurekit raises on purpose.

    FeaturekitError
    ├── ArgumentError *     an argument of a Python function whose type or number is not allowed
    ├── WorkspaceError      a step run before the step that it depends on, or a folder that cannot be used
    ├── ManifestError       a data set or manifest that cannot be used as it is
    ├── UnknownNameError *  a name that is unknown, e.g. of a backbone, model, detector or data set
    ├── RegistrationError * a backbone, model, … whose name is taken, or that does not work
    ├── TargetError *       labels that are not classes of the target, or too few labels
    ├── WeightsError        a weight file that is missing, not known, or has another content than expected
    ├── PhotographError *   an argument that cannot be an image
    ├── ImageError          one image that cannot be read
    │   └── MissingDecoderError  an image whose decoder is a library that is not installed
    ├── EngineError         a device or precision that was requested and is not available
    ├── StoreError          a cache or store that cannot be reached or written, or is damaged
    ├── EmbeddingError *    vectors that do not belong to the faces they are used for
    ├── FoldError *         folds that cannot be made, or that share a subject
    └── ModelError *        a parameter with an invalid value, or a fitted model that cannot be used
        └── EstimatorError  an estimator from the user that fails, or whose predictions cannot be used

Errors with a star are also ValueErrors, because an argument has an invalid value, as in scikit-learn. The
command line prints the errors above without a traceback. Any other exception is a bug and is shown with its
traceback. Messages on the command line name options, e.g. --seed. In a Python program, the same messages name
arguments of functions, e.g. seed (see featurekit.naming).
"""

from featurekit.naming import in_users_words


class FeaturekitError(Exception):
    """Base class of all errors of featurekit; the message says what is wrong, where, and what to do."""

    def __str__(self) -> str:
        return in_users_words(super().__str__())


class ArgumentError(FeaturekitError, ValueError, TypeError):
    """An argument of a Python function whose type is not allowed, or a number that is out of its range."""


class WorkspaceError(FeaturekitError):
    """A step that was run before the step that it depends on, or a folder that cannot be used."""


class ManifestError(FeaturekitError):
    """A data set or manifest that cannot be used as it is."""


class UnknownNameError(FeaturekitError, ValueError):
    """A name that is unknown, e.g. of a backbone, model, detector or data set.

    Attributes:
        name: the name, if it is that of a member of a registry; else "".
        kind: the registry's word for a member, e.g. "backbone".
        group: the group of entry points by which packages add such members; "" if they cannot.
    """

    name = kind = group = ""


class RegistrationError(FeaturekitError, ValueError):
    """A backbone, estimator, detector, data set or check whose name is taken, or that does not work."""


class TargetError(FeaturekitError, ValueError):
    """Labels that are not classes of the target, or too few labels."""


class WeightsError(FeaturekitError):
    """A weight file that is missing or not known, or whose content is not the expected one."""


class PhotographError(FeaturekitError, ValueError):
    """An argument that cannot be an image, e.g. an array of a wrong shape. For files, see ImageError."""


class ImageError(FeaturekitError):
    """One image that cannot be read.

    Attributes:
        status: status of the image in tables of faces, e.g. "truncated"; see featurekit.faces.images.
    """

    def __init__(self, status: str, message: str) -> None:
        super().__init__(message)
        self.status = status


class MissingDecoderError(ImageError):
    """An image whose decoder is not installed. Its status is not cached, because the file may be intact.

    Args:
        kind: format of the image, e.g. "HEIC".
        install: command that installs the decoder.
    """

    def __init__(self, kind: str, install: str) -> None:
        super().__init__("unsupported_format", f"The file is {kind}, which needs another library: {install}")


class EngineError(FeaturekitError):
    """A device or precision that was requested and is not available."""


class StoreError(FeaturekitError):
    """A cache or store that cannot be reached or written, or is damaged."""


class EmbeddingError(FeaturekitError, ValueError):
    """Vectors that do not belong to the faces they are used for."""


class FoldError(FeaturekitError, ValueError):
    """Folds that cannot be made, or that share a subject."""


class ModelError(FeaturekitError, ValueError):
    """A parameter with an invalid value, or a fitted model that cannot be saved, loaded or used."""


class EstimatorError(ModelError):
    """An estimator from the user that raises an error, or whose predictions cannot be used.

    Args:
        name: name of the estimator.
        what: what happened, e.g. "could not be fitted".
        why: the error that the estimator raised, or what is wrong with its predictions.
        where: target, features and fold, e.g. "gender on dlib_age, fold 2"; "" if not known.
    """

    def __init__(self, name: str, what: str, why: str, where: str = "") -> None:
        super().__init__(f"{name} {what}{f' for {where}' if where else ''}: {why.rstrip('.')}.")
        self.name, self.what, self.why, self.where = name, what, why, where

    def at(self, where: str, name: str) -> "EstimatorError":
        """Return the same error with another name of the estimator and another place, e.g. the fold."""
        return EstimatorError(name, self.what, self.why, where)

    def __reduce__(self) -> tuple[type["EstimatorError"], tuple[str, str, str, str]]:
        return EstimatorError, (self.name, self.what, self.why, self.where)
