"""Process one image: decode it, find its face, cut it out, and run the networks that take one face at a time.

Threads of this process and helper processes do the same work. A helper process gets its tasks as JSON, and
sends the results back as arrays.
"""

import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from featurekit.embeddings.helper import Message
from featurekit.embeddings.open_networks import OpenBackbone
from featurekit.errors import FeaturekitError, ImageError, MissingDecoderError
from featurekit.faces.align import CropKind
from featurekit.faces.detectors import FaceFinder
from featurekit.faces.face import STATUSES, Face
from featurekit.faces.find import in_reading_order, see_faces
from featurekit.faces.images import ImageData
from featurekit.faces.settings import FaceSettings
from featurekit.files import is_outside, read_file
from featurekit.progress import Clock
from featurekit.urls import place_of

_MAX_BYTES = 2**40  # to hash a file; a file that is too large to be decoded is refused later


class Task(NamedTuple):
    """An image to process: number, path, content hash and box of its row, and the faces if they are known.

    A task for an image in memory contains the image instead of a path, and is not sent to another process.
    """

    row: int
    path: str
    content: str
    box: str = ""
    known: tuple[Face, ...] = ()
    image: ImageData | None = None

    def to_json(self) -> list[Any]:
        """Return the task as plain JSON values."""
        known = [
            {name: one.tolist() if isinstance(one, np.ndarray) else one for name, one in vars(face).items()}
            for face in self.known
        ]
        return [self.row, self.path, self.content, self.box, known]

    @classmethod
    def from_json(cls, content: Sequence[Any]) -> "Task":
        """Return the task that to_json() has turned into JSON values."""
        row, path, sha256_of_file, box, known = content
        arrays = ("box", "landmarks")
        faces = [
            Face(**{**face, **{name: np.array(face[name], np.float32) for name in arrays}}) for face in known
        ]
        return cls(row, path, sha256_of_file, box, tuple(faces))


@dataclass
class EmbeddedFace:
    """A face of an image, and what was computed from it.

    Attributes:
        face: the face that was found, or the reason why there is no face.
        aligned_by: "landmarks" or "box", see featurekit.faces.align.place(); "" without a face.
        vectors: feature → vector.
        crops: crops of the face, or its landmarks, for networks that have not run yet; see
            featurekit.faces.find.Seen.
    """

    face: Face
    aligned_by: str = ""
    vectors: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    crops: Mapping[CropKind, NDArray[Any]] = field(default_factory=dict)


@dataclass
class Looked:
    """The result for one image.

    Attributes:
        row: number of its row.
        faces: the chosen faces, from left to right; if there is none, one entry whose status says why.
        detected: whether the face detector was run on the image.
        why: what is wrong with an image that was not processed; else "".
        is_final: whether the result depends on nothing but the content of the image, so that it can be
            stored. It is False if the file has changed, if no decoder for it is installed, and after an
            unexpected error.
        size: width and height of the image in pixels.
        error: the unexpected error that was raised.
    """

    row: int
    faces: list[EmbeddedFace]
    detected: bool = False
    why: str = ""
    is_final: bool = True
    size: tuple[int, int] = (0, 0)
    error: Exception | None = None

    @classmethod
    def without_face(cls, row: int, status: str, why: str = "", *, is_final: bool = True) -> "Looked":
        """Return the result for an image on which no face could be searched for."""
        return cls(row, [EmbeddedFace(Face(status))], False, why, is_final)

    def fail(self, error: Exception) -> "Looked":
        """Make it the result for an image with which an unexpected error was raised, and return it."""
        self.faces, self.why = [EmbeddedFace(Face("failed"))], unexpected(error)
        self.is_final, self.error = False, error
        return self


def keep_errors(looked: Sequence[Looked], work: Callable[[Sequence[Looked]], object]) -> None:
    """Do something with several images, or with each alone if an unexpected error is raised.

    One image must not cost the others of its batch: the error is kept with the image that raises it alone.

    Args:
        looked: the results for the images.
        work: function that is called with all of them, or with a list of a single one.
    """
    try:
        work(looked)
    except FeaturekitError:
        raise
    except Exception as error:
        if len(looked) == 1:
            looked[0].fail(error)
            return
        for one in looked:
            keep_errors([one], work)


def run_network(network: OpenBackbone, looked: Sequence[Looked], *, clock: Clock, at_once: int = 0) -> None:
    """Compute the vectors of a network for the faces on some images.

    Args:
        network: the network.
        looked: the results for the images, whose faces have crops (or landmarks) for the network.
        clock: adds up the seconds.
        at_once: number of faces that the network gets at once; 0 for all.
    """
    faces = [face for one in looked for face in one.faces if network.crop in face.crops]
    step = at_once or max(len(faces), 1)
    for start in range(0, len(faces), step):
        some = faces[start : start + step]
        with clock(network.name):
            found = network.vectors(np.stack([face.crops[network.crop] for face in some]))
        for feature, vectors in found.items():
            for face, vector in zip(some, vectors, strict=True):
                face.vectors[feature] = vector


def unexpected(error: Exception) -> str:
    """Return the message for an image with which an unexpected error was raised."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    said = f"{type(error).__name__}: {error}".rstrip(": ")
    return f"this image raised an unexpected error: {said} ({Path(last.filename).name}:{last.lineno})"


class Looker:
    """Processes images; several threads may use the same Looker.

    Args:
        root: folder that the tasks' paths are relative to and must not lead out of; None for absolute paths.
        settings: how the faces of an image are chosen.
        finder: the face detector.
        networks: networks to run on each face as soon as it is cut out.
        kept: template and side of the crops to return, for networks that are run later.
        is_careful: whether an unexpected error with an image is part of its result instead of being raised.
    """

    def __init__(
        self,
        root: Path | None,
        settings: FaceSettings,
        finder: FaceFinder,
        networks: Sequence[OpenBackbone],
        kept: Sequence[CropKind],
        *,
        is_careful: bool = False,
    ) -> None:
        self._is_careful = is_careful
        self._root, self._settings, self._finder = root, settings, finder
        self._networks, self._kept = networks, kept
        self._kinds = list(dict.fromkeys([*(network.crop for network in networks), *kept]))
        self.clock = Clock()

    def __call__(self, task: Task) -> Looked:
        """Decode one image, find and cut out its faces, and run the networks on the crops."""
        return self.several([task])[0]

    def several(self, tasks: Sequence[Task]) -> list[Looked]:
        """Process several images, and each network runs on the crops of all of them before the next one.

        The weights of a network then stay in the cache of the processor. Each crop is still computed alone,
        so that its vector does not depend on the other images.
        """
        looked = [self._seen(task) for task in tasks]
        for network in self._networks:
            run = partial(run_network, network, clock=self.clock, at_once=1)
            if self._is_careful:
                keep_errors(looked, run)
            else:
                run(looked)
        for face in (face for one in looked for face in one.faces):
            face.crops = {kind: face.crops[kind] for kind in self._kept if kind in face.crops}
        return looked

    def _seen(self, task: Task) -> Looked:
        """Decode one image, find its faces, and cut them out for all networks."""
        with self.clock("read"):
            data, why = self._read(task)
        if data is None:
            return Looked.without_face(task.row, "not_extracted", why, is_final=False)
        try:
            seen, size = see_faces(
                data,
                self._finder,
                self._settings,
                self._kinds,
                box=np.array(task.box.split(), np.float32) if task.box else None,
                known=task.known,
                clock=self.clock,
            )
        except ImageError as error:
            again = isinstance(error, MissingDecoderError)  # a later pass may have the decoder
            return Looked.without_face(task.row, error.status, str(error), is_final=not again)
        except FeaturekitError:
            raise
        except Exception as error:
            if not self._is_careful:
                raise
            return Looked(task.row, []).fail(error)
        faces = [EmbeddedFace(one.face, one.aligned_by, crops=one.crops) for one in in_reading_order(seen)]
        return Looked(task.row, faces, not task.known, size=size)

    def _read(self, task: Task) -> tuple[ImageData | None, str]:
        """Return an image in memory or the bytes of a file; else None, and what is wrong with the file."""
        if task.image is not None:
            return task.image, ""
        path = self._root / task.path if self._root else place_of(task.path)
        try:
            # The manifest may have been edited, or a file may have been replaced by a link.
            if self._root and is_outside(path, self._root):
                return None, "is outside the folder of the data set"
            data = read_file(path, _MAX_BYTES)
        except (OSError, ValueError) as error:
            return None, f"{error.strerror if isinstance(error, OSError) else error}"
        if sha256(data).hexdigest() != task.content:
            return None, "changed since `featurekit prepare`" if self._root else "changed while it was read"
        return data, ""

    def answer(self, tasks: Sequence[Sequence[Any]]) -> Message:
        """Process several images for another process, which reads the result with unpacked()."""
        looked = self.several([Task.from_json(task) for task in tasks])
        seconds, self.clock.seconds = self.clock.seconds, {}
        faces = [face for one in looked for face in one.faces]
        found = [face for face in faces if face.face.status == "ok"]
        columns = {f"face {name}": column for name, column in face_columns(looked).items()}
        for feature in found[0].vectors if found else ():
            columns[f"vectors {feature}"] = np.stack([face.vectors[feature] for face in found])
        for kind in self._kept if found else ():
            columns[f"crops {kind[0]} {kind[1]}"] = np.stack([face.crops[kind] for face in found])
        rows = [
            [
                *(one.row, one.detected, one.why, one.is_final, [face.aligned_by for face in one.faces]),
                "".join(traceback.format_exception(one.error)) if one.error else "",
            ]
            for one in looked
        ]
        return {"rows": rows, "seconds": seconds}, columns


def unpacked(message: Message) -> tuple[list[Looked], dict[str, float]]:
    """Return the result for each image, and the seconds of each step, from the message of Looker.answer()."""
    content, columns = message
    parts: dict[str, dict[str, NDArray[Any]]] = {"face": {}, "vectors": {}, "crops": {}}
    for name, column in columns.items():
        kind, _, rest = name.partition(" ")
        parts[kind][rest] = column
    crops = {(name.split(" ")[0], int(name.split(" ")[1])): column for name, column in parts["crops"].items()}
    looked, n_faces, n_found = [], 0, 0
    for row, detected, why, is_final, aligned_by, trace in content["rows"]:
        width, height = map(int, parts["face"]["size"][n_faces])
        faces = []
        for by in aligned_by:
            face = EmbeddedFace(face_from(parts["face"], n_faces), by)
            n_faces += 1
            if face.face.status == "ok":
                face.vectors = {feature: column[n_found] for feature, column in parts["vectors"].items()}
                face.crops = {kind: column[n_found] for kind, column in crops.items()}
                n_found += 1
            faces.append(face)
        error = RuntimeError(f"In another process:\n{trace}") if trace else None
        looked.append(Looked(row, faces, detected, why, is_final, (width, height), error))
    return looked, content["seconds"]


def face_columns(looked: Sequence[Looked]) -> dict[str, NDArray[Any]]:
    """Return the faces of all images as columns, one row per face.

    The column "size" has the width and height of the image in pixels.
    """
    faces = [face.face for one in looked for face in one.faces]
    return {
        "status": np.array([STATUSES.index(face.status) for face in faces], np.uint8),
        "box": np.array([face.box for face in faces], np.float32).reshape(-1, 4),
        "landmarks": np.array([face.landmarks for face in faces], np.float32).reshape(-1, 5, 2),
        "confidence": np.array([face.confidence for face in faces], np.float32),
        "n_found": np.array([face.n_found for face in faces], np.int32),
        "attempt": np.array([face.attempt for face in faces], np.int8),
        "size": np.array([one.size for one in looked for _ in one.faces], np.int32).reshape(-1, 2),
    }


def face_from(columns: Mapping[str, NDArray[Any]], row: int) -> Face:
    """Return the face in one row of the columns that face_columns() has made."""
    return Face(
        status=STATUSES[int(columns["status"][row])],
        box=columns["box"][row],
        landmarks=columns["landmarks"][row],
        confidence=float(columns["confidence"][row]),
        n_found=int(columns["n_found"][row]),
        attempt=int(columns["attempt"][row]),
    )
