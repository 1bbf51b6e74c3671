"""Find the faces on new images. If one image fails, the other images are still processed."""

from collections.abc import Sequence
from typing import NamedTuple

from featurekit.embeddings.worker import unexpected
from featurekit.errors import FeaturekitError, ImageError
from featurekit.faces.align import CropKind
from featurekit.faces.detectors import FaceFinder
from featurekit.faces.face import Face
from featurekit.faces.find import Seen, in_reading_order, see_faces
from featurekit.faces.photographs import Photograph
from featurekit.faces.settings import FaceSettings


class Looked(NamedTuple):
    """The result for one image: the faces on it, or a message about what is wrong with it, or an error."""

    seen: list[Seen]
    message: str = ""
    error: Exception | None = None


def look(
    photograph: Photograph, finder: FaceFinder, settings: FaceSettings, kinds: Sequence[CropKind]
) -> Looked:
    """Return the faces on an image from left to right, or the message or error if the image fails."""
    try:
        seen, _ = see_faces(photograph.read(), finder, settings, kinds)
    except ImageError as error:
        return Looked([Seen(Face(error.status))], str(error))
    except FeaturekitError:
        raise
    except Exception as error:
        return Looked([], error=error)
    return Looked(in_reading_order(seen))


class Unexpected:
    """Handles unexpected errors, which either a single image or every image may raise.

    If a single image fails, its row of the table gets a message. If every image fails, featurekit has a bug,
    and the error is raised instead of being hidden in a table.

    Attributes:
        has_read: whether at least one image was processed without an unexpected error.
    """

    MOST = 3  # images at the beginning that may fail

    def __init__(self) -> None:
        self.has_read = False
        self._n_failed = 0

    def settled(self, looked: Looked) -> Looked:
        """Replace an unexpected error in the result for an image by a message and the status "failed".

        Raises:
            Exception: the error of this image, if the first MOST images have all failed.
        """
        if looked.error is None:
            self.has_read = True
            return looked
        return Looked([Seen(Face("failed"))], self.told(looked.error))

    def told(self, error: Exception) -> str:
        """Return a message about an unexpected error, or raise it if the first MOST images all failed."""
        self.check(error)
        return unexpected(error)

    def check(self, error: Exception) -> None:
        """Count an unexpected error, and raise it if the first MOST images all failed."""
        self._n_failed += 1
        if not self.has_read and self._n_failed >= self.MOST:
            raise error
