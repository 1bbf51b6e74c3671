"""Look at photographs nobody has prepared: what is wrong with one is a row, and costs no other its own."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from featurekit.errors import FeaturekitError, ImageError
from featurekit.faces.align import CropKind
from featurekit.faces.detectors import FaceFinder
from featurekit.faces.face import Face
from featurekit.faces.photographs import Photograph
from featurekit.faces.see import Seen, in_reading_order, see_faces
from featurekit.faces.settings import FaceSettings


class Looked(NamedTuple):
    """What was found on one photograph: faces, what is wrong with it, or the error that looking raised."""

    seen: list[Seen]
    message: str = ""
    error: Exception | None = None


def look(
    photograph: Photograph, finder: FaceFinder, settings: FaceSettings, kinds: Sequence[CropKind]
) -> Looked:
    """Find the faces on a photograph, from left to right; what is wrong with it, or an error, is kept."""
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
    """Tells a photograph that reading fails with from reading that fails with every photograph.

    The first costs its own row. The second is a fault of the program, and is not hidden in a table of them.

    Attributes:
        n_read: photographs that were read, or for which there is a known reason why not.
    """

    MOST = 3  # photographs, the first ones of all, that may fail

    def __init__(self) -> None:
        self.n_read = 0
        self._n_failed = 0

    def settled(self, looked: Looked) -> Looked:
        """Return what was found on a photograph; where looking raised an error, a row that says so.

        Raises:
            Exception: of any kind, where nothing else was ever read.
        """
        if looked.error is None:
            self.n_read += 1
            return looked
        return Looked([Seen(Face("failed"))], self.told(looked.error))

    def told(self, error: Exception) -> str:
        """Return what is said of a photograph, or raise its error where nothing else was ever read."""
        self._n_failed += 1
        if not self.n_read and self._n_failed >= self.MOST:
            raise error
        where = error.__traceback__
        while where and where.tb_next:
            where = where.tb_next
        place = f" ({Path(where.tb_frame.f_code.co_filename).name}:{where.tb_lineno})" if where else ""
        said = f"{type(error).__name__}: {error}".rstrip(": ")
        return f"reading it failed with an unexpected error: {said}{place}"
