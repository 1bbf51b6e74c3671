"""Every error featurekit raises on purpose.

    FeaturekitError
    ├── WorkspaceError      a step whose earlier step has not been done, or a folder that cannot be used
    ├── ManifestError       a data set or manifest that cannot be used as it is
    ├── UnknownNameError *  a name that is unknown, e.g. of a backbone, model, detector or data set
    ├── RegistrationError * a backbone, model, … whose name is taken, or that does not work
    ├── TargetError *       labels that a target does not know, or too few of them
    ├── WeightsError        a weight file that is missing, unknown or not the one it should be
    ├── PhotographError *   something that was given as an image and cannot be one
    ├── ImageError          one image that cannot be read; it has the status of its row
    │   └── MissingDecoderError  an image whose decoder is a library that is not installed
    ├── EngineError         a device or precision that was requested and is not available
    ├── StoreError          a cache or store that cannot be reached or written, or is damaged
    ├── EmbeddingError *    vectors that do not belong to the faces they are used for
    ├── FoldError *         folds that cannot be made, or that share a subject
    └── ModelError *        a parameter that cannot have its value, or a fitted model that cannot be used here
        └── EstimatorError  an estimator of the user that fails, or whose predictions cannot be used

Those with a star are ValueErrors too: an argument has a value that it cannot have, as in scikit-learn.
The command line prints these without a traceback. Any other exception is a bug
and keeps its traceback. Messages are written with options of the command line; a
Python program reads them with arguments (see featurekit.naming).
"""

from featurekit.naming import in_users_words


class FeaturekitError(Exception):
    """Anything featurekit raises on purpose; the message says what, which one, and what to do."""

    def __str__(self) -> str:
        return in_users_words(super().__str__())


class WorkspaceError(FeaturekitError):
    """A step whose earlier step has not been done, or a folder that cannot be used."""


class ManifestError(FeaturekitError):
    """A data set or manifest that cannot be used as it is."""


class UnknownNameError(FeaturekitError, ValueError):
    """A name that is unknown, e.g. of a backbone, model, detector or data set."""


class RegistrationError(FeaturekitError, ValueError):
    """A backbone, estimator, detector, data set or check whose name is taken, or that does not work."""


class TargetError(FeaturekitError, ValueError):
    """Labels that a target does not know, or too few of them."""


class WeightsError(FeaturekitError):
    """A weight file that is missing, unknown or not the one it should be."""


class PhotographError(FeaturekitError, ValueError):
    """An argument that cannot be an image, e.g. an array of a wrong shape; see ImageError for files."""


class ImageError(FeaturekitError):
    """One image that cannot be read.

    Attributes:
        status: the status of its row, e.g. "truncated"; see featurekit.faces.images.
    """

    def __init__(self, status: str, message: str) -> None:
        super().__init__(message)
        self.status = status


class MissingDecoderError(ImageError):
    """An image whose decoder is not installed. The status is not cached, because the image may be fine.

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
    """A parameter that cannot have its value, or a fitted model that cannot be saved, loaded or used here."""


class EstimatorError(ModelError):
    """An estimator of the user that fails, or whose predictions cannot be used.

    Args:
        name: name of the estimator.
        what: what happened, e.g. "could not be fitted".
        why: what it raised, or what is wrong with its predictions.
        where: target, features and fold, e.g. "gender on dlib_age, fold 2"; "" if not known.
    """

    def __init__(self, name: str, what: str, why: str, where: str = "") -> None:
        super().__init__(f"{name} {what}{f' for {where}' if where else ''}: {why.rstrip('.')}.")
        self.name, self.what, self.why, self.where = name, what, why, where

    def at(self, where: str, name: str) -> "EstimatorError":
        """Return the error with the place where it happened, and the name of the estimator there."""
        return EstimatorError(name, self.what, self.why, where)

    def __reduce__(self) -> tuple[type["EstimatorError"], tuple[str, str, str, str]]:
        return EstimatorError, (self.name, self.what, self.why, self.where)
