"""Every error featurekit raises on purpose.

    FeaturekitError
    ├── WorkspaceError      a step whose earlier step has not been done, or a folder that cannot be used
    ├── ManifestError       a data set or manifest that cannot be used as it is
    ├── UnknownNameError *  a backbone, classifier, detector or data set nobody registered
    ├── RegistrationError * a backbone, classifier, … whose name is taken, or that does not work
    ├── TargetError *       labels that a target does not know, or too few of them
    ├── WeightsError        a weight file that is missing, unknown or not the one it should be
    ├── PhotographError *   something that was given as a photograph and cannot be one
    ├── ImageError          one picture that cannot be read; carries the row's status
    │   └── MissingDecoderError  one that a library would decode which is not installed
    ├── EngineError         a device or precision that was asked for and not got
    ├── StoreError          a cache that cannot be written or is not what it says
    ├── EmbeddingError *    vectors that do not belong to the faces they are used for
    ├── FoldError *         folds that cannot be made, or that share a subject
    └── ModelError *        a parameter that cannot have its value, or a fitted model that cannot be used here
        └── EstimatorError  somebody's own estimator that fails, or gives answers that cannot be used

Those with a star are ValueErrors too: something was given that cannot be taken, as scikit-learn says it.
The command line prints these without a traceback. Any other exception is a bug
and keeps its traceback.
"""


class FeaturekitError(Exception):
    """Anything featurekit raises on purpose; the message says what, which one, and what to do."""


class WorkspaceError(FeaturekitError):
    """A step whose earlier step has not been done, or a folder that cannot be used."""


class ManifestError(FeaturekitError):
    """A data set or manifest that cannot be used as it is."""


class UnknownNameError(FeaturekitError, ValueError):
    """A backbone, classifier, detector or data set nobody registered."""


class RegistrationError(FeaturekitError, ValueError):
    """A backbone, estimator, detector, data set or check whose name is taken, or that does not work."""


class TargetError(FeaturekitError, ValueError):
    """Labels that a target does not know, or too few of them."""


class WeightsError(FeaturekitError):
    """A weight file that is missing, unknown or not the one it should be."""


class PhotographError(FeaturekitError, ValueError):
    """Something that was given as a photograph and cannot be one, whatever is in it."""


class ImageError(FeaturekitError):
    """One picture that cannot be read.

    Attributes:
        status: what becomes of its row, e.g. "truncated"; see featurekit.faces.images.
    """

    def __init__(self, status: str, message: str) -> None:
        super().__init__(message)
        self.status = status


class MissingDecoderError(ImageError):
    """A picture that could be read, were a library installed; not the picture's fault, so not remembered.

    Args:
        kind: of picture, e.g. "HEIC".
        install: what to type.
    """

    def __init__(self, kind: str, install: str) -> None:
        super().__init__("unsupported_format", f"The file is {kind}, which needs another library: {install}")


class EngineError(FeaturekitError):
    """A device or precision that was asked for and not got."""


class StoreError(FeaturekitError):
    """A cache, or a store of another, that cannot be reached or written, or is not what it says."""


class EmbeddingError(FeaturekitError, ValueError):
    """Vectors that do not belong to the faces they are used for."""


class FoldError(FeaturekitError, ValueError):
    """Folds that cannot be made, or that share a subject."""


class ModelError(FeaturekitError, ValueError):
    """A parameter that cannot have its value, or a fitted model that cannot be saved, loaded or used here."""


class EstimatorError(ModelError):
    """Somebody's own estimator that fails, or gives answers that cannot be used.

    Args:
        name: of the estimator.
        what: became of it, e.g. "could not be fitted".
        why: what it raised, or what is wrong with its answers.
        where: what it was fitted for and on, e.g. "gender on dlib_age, fold 2"; "" where nobody has said it.
    """

    def __init__(self, name: str, what: str, why: str, where: str = "") -> None:
        super().__init__(f"{name} {what}{f' for {where}' if where else ''}: {why.rstrip('.')}.")
        self.name, self.what, self.why, self.where = name, what, why, where

    def at(self, where: str, name: str) -> "EstimatorError":
        """Return the error with the place where it happened, and the name that the estimator has there."""
        return EstimatorError(name, self.what, self.why, where)

    def __reduce__(self) -> tuple[type["EstimatorError"], tuple[str, str, str, str]]:
        return EstimatorError, (self.name, self.what, self.why, self.where)
