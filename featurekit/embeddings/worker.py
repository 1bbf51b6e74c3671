"""Process one image: decode it, find its face, cut it out, and run the networks that take one face at a time.

Threads of this process and helper processes do the same work. A helper process gets its tasks as JSON, and
sends the results back as arrays.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from featurekit.embeddings.helper import Message
from featurekit.embeddings.open_networks import OpenBackbone
from featurekit.errors import ImageError, MissingDecoderError
from featurekit.faces.align import CropKind
from featurekit.faces.detectors import FaceFinder
from featurekit.faces.face import STATUSES, Face
from featurekit.faces.find import see_faces
from featurekit.faces.images import ImageData
from featurekit.faces.settings import FaceSettings
from featurekit.files import leads_out, read_plain
from featurekit.progress import Clock

_MAX_BYTES = 2**40  # to hash a file; a file that is too large to be decoded is refused later


class Task(NamedTuple):
    """An image to process: number, path, content hash and box of its row, and the face if it is known.

    A task for an image in memory contains the image instead of a path, and is not sent to another process.
    """

    row: int
    path: str
    content: str
    box: str
    known: Face | None
    image: ImageData | None = None

    def to_json(self) -> list[Any]:
        """Return the task as plain JSON values."""
        facts = vars(self.known) if self.known else {}
        known = {name: one.tolist() if isinstance(one, np.ndarray) else one for name, one in facts.items()}
        return [self.row, self.path, self.content, self.box, known or None]

    @classmethod
    def from_json(cls, content: Sequence[Any]) -> "Task":
        """Return the task that to_json() has turned into JSON values."""
        row, path, sha256_of_file, box, known = content
        if known is not None:
            places = {name: np.array(known[name], np.float32) for name in ("box", "landmarks")}
            known = Face(**{**known, **places})
        return cls(row, path, sha256_of_file, box, known)


@dataclass
class Looked:
    """The result for one image.

    Attributes:
        row: number of the image's row.
        face: the face that was found, or the reason why there is no face.
        detected: whether the face detector was run on the image.
        why: what is wrong with an image that was not processed.
        size: the image's width and height in pixels.
        aligned_by: "landmarks" or "box", see featurekit.faces.align.place(); "" without a face.
        vectors: feature → vector, for the networks that take one face at a time.
        crops: crops of the face, for the networks that take many faces at a time.
    """

    row: int
    face: Face
    detected: bool = False
    why: str = ""
    size: tuple[int, int] = (0, 0)
    aligned_by: str = ""
    vectors: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    crops: dict[CropKind, NDArray[np.uint8]] = field(default_factory=dict)


class Looker:
    """Processes images; several threads may use the same Looker.

    Args:
        root: folder that the tasks' paths are relative to and must not lead out of; None for absolute paths.
        settings: how the face of an image is chosen.
        finder: the face detector.
        networks: networks to run on each face as soon as it is cut out.
        kept: template and side of the crops to return, for networks that are run later.
    """

    def __init__(
        self,
        root: Path | None,
        settings: FaceSettings,
        finder: FaceFinder,
        networks: Sequence[OpenBackbone],
        kept: Sequence[CropKind],
    ) -> None:
        self._root, self._settings, self._finder = root, settings, finder
        self._networks, self._kept = networks, kept
        self._kinds = list(dict.fromkeys([*(network.crop for network in networks), *kept]))
        self.clock = Clock()

    def __call__(self, task: Task) -> Looked:
        """Decode one image, find and cut out its face, and run the networks on the crop."""
        with self.clock("read"):
            data, why = self._read(task)
        if data is None:
            return Looked(task.row, Face("not_extracted"), why=why)
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
        except MissingDecoderError as error:  # the next pass may be able to
            return Looked(task.row, Face("not_extracted"), why=str(error))
        except ImageError as error:
            return Looked(task.row, Face(error.status))
        one = seen[0]
        looked = Looked(task.row, one.face, task.known is None, "", size, one.aligned_by)
        if one.face.status == "ok":
            for network in self._networks:
                with self.clock(network.name):
                    of_one = network.vectors(one.crops[network.crop][None])
                looked.vectors |= {feature: vectors[0] for feature, vectors in of_one.items()}
            looked.crops = {kind: one.crops[kind] for kind in self._kept}
        return looked

    def _read(self, task: Task) -> tuple[ImageData | None, str]:
        """Return an image in memory or the bytes of a file; else None, and what is wrong with the file."""
        if task.image is not None:
            return task.image, ""
        path = (self._root or Path()) / task.path
        try:
            # The manifest may have been edited, or a file may have been replaced by a link.
            if self._root and leads_out(path, self._root):
                return None, "is outside the folder of the data set"
            data = read_plain(path, _MAX_BYTES)
        except (OSError, ValueError) as error:
            return None, f"{error.strerror if isinstance(error, OSError) else error}"
        if sha256(data).hexdigest() != task.content:
            return None, "changed since `featurekit prepare`" if self._root else "changed while it was read"
        return data, ""

    def answer(self, tasks: Sequence[Sequence[Any]]) -> Message:
        """Process several images for another process, which reads the result with unpacked()."""
        looked = [self(Task.from_json(task)) for task in tasks]
        seconds, self.clock.seconds = self.clock.seconds, {}
        faces = [one for one in looked if one.face.status == "ok"]
        columns = {f"face {name}": column for name, column in face_columns(looked).items()}
        for feature in faces[0].vectors if faces else ():
            columns[f"vectors {feature}"] = np.stack([one.vectors[feature] for one in faces])
        for kind in self._kept if faces else ():
            columns[f"crops {kind[0]} {kind[1]}"] = np.stack([one.crops[kind] for one in faces])
        return {
            "rows": [[one.row, one.detected, one.why, one.aligned_by] for one in looked],
            "seconds": seconds,
        }, columns


def unpacked(message: Message) -> tuple[list[Looked], dict[str, float]]:
    """Return the result for each image, and the seconds of each step, from the message of Looker.answer()."""
    content, columns = message
    faces = {name.removeprefix("face "): column for name, column in columns.items() if name[:5] == "face "}
    looked = []
    n_faces = 0
    for number, (row, detected, why, aligned_by) in enumerate(content["rows"]):
        width, height = map(int, faces["size"][number])
        one = Looked(row, face_from(faces, number), detected, why, (width, height), aligned_by)
        if one.face.status == "ok":
            for name, column in columns.items():
                what, *which = name.split(" ")
                if what == "vectors":
                    one.vectors[" ".join(which)] = column[n_faces]
                elif what == "crops":
                    one.crops[which[0], int(which[1])] = column[n_faces]
            n_faces += 1
        looked.append(one)
    return looked, content["seconds"]


def face_columns(looked: Sequence[Looked]) -> dict[str, NDArray[Any]]:
    """Return the faces of images as columns with one row for each image."""
    faces = [one.face for one in looked]
    return {
        "status": np.array([STATUSES.index(face.status) for face in faces], np.uint8),
        "box": np.stack([face.box for face in faces]).astype(np.float32),
        "landmarks": np.stack([face.landmarks for face in faces]).astype(np.float32),
        "confidence": np.array([face.confidence for face in faces], np.float32),
        "n_found": np.array([face.n_found for face in faces], np.int32),
        "attempt": np.array([face.attempt for face in faces], np.int8),
        "size": np.array([one.size for one in looked], np.int32),
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
