"""Find the faces on new images. A problem with one image becomes a row and does not affect the others."""

import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from featurekit.errors import FeaturekitError, ImageError
from featurekit.faces.align import CropKind
from featurekit.faces.detectors import FaceFinder
from featurekit.faces.face import Face
from featurekit.faces.find import Seen, in_reading_order, see_faces
from featurekit.faces.photographs import Photograph
from featurekit.faces.settings import FaceSettings


class Looked(NamedTuple):
    """What was found on an image: the faces, or what is wrong with it, or the error that was raised."""

    seen: list[Seen]
    message: str = ""
    error: Exception | None = None


def look(
    photograph: Photograph, finder: FaceFinder, settings: FaceSettings, kinds: Sequence[CropKind]
) -> Looked:
    """Find the faces on an image, from left to right; keep the message or the error if that fails."""
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
    """Distinguishes unexpected errors with single images from errors with every image.

    An error with a single image is a row of the table. If every image fails, the program is at fault, and the
    error is raised instead of being hidden in a table.

    Attributes:
        has_read: whether any image was read, or could not be read for a known reason.
    """

    MOST = 3  # images at the beginning that may fail

    def __init__(self) -> None:
        self.has_read = False
        self._n_failed = 0

    def settled(self, looked: Looked) -> Looked:
        """Return what was found on an image; for an error, a face with the status "failed" and a message.

        Raises:
            Exception: of any kind, if no image has been read before.
        """
        if looked.error is None:
            self.has_read = True
            return looked
        return Looked([Seen(Face("failed"))], self.told(looked.error))

    def told(self, error: Exception) -> str:
        """Return the message for an image that an error was raised for, or raise it if none has been read."""
        self._n_failed += 1
        if not self.has_read and self._n_failed >= self.MOST:
            raise error
        last = traceback.extract_tb(error.__traceback__)[-1]
        said = f"{type(error).__name__}: {error}".rstrip(": ")
        return (
            f"reading it failed with an unexpected error: {said} ({Path(last.filename).name}:{last.lineno})"
        )
