"""Find the faces on images, with boxes, landmarks and aligned crops."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurekit.api.arguments import images_of, threads_of, which_faces
from featurekit.api.telling import Shown, shown
from featurekit.checked import checked
from featurekit.errors import PhotographError, UnknownNameError
from featurekit.faces.align import TEMPLATES
from featurekit.faces.face import STATUS_MEANINGS, Face
from featurekit.faces.find import cut_out, open_finder
from featurekit.faces.images import decode
from featurekit.faces.photographs import Photograph, Photographs
from featurekit.faces.settings import default_settings
from featurekit.inference.looking import Looked, Unexpected, look
from featurekit.networks.engines import usable_cores
from featurekit.registry import unknown
from featurekit.text import readable_name

# In the order of Face.landmarks; left and right as seen by who looks at the image.
LANDMARKS = ("left_eye", "right_eye", "nose", "left_mouth", "right_mouth")

# The message of each status in the table.
_MESSAGES = {**STATUS_MEANINGS, "ok": ""}
_BLUE, _ORANGE = "#1f6fd6", "#ffb000"


@checked()
@dataclass(frozen=True, eq=False)
class FoundFace:
    """A face on an image.

    Attributes:
        image: name of the image.
        number: number of the face on the image, from 1, left to right.
        box: box of the face as x1, y1, x2, y2 in pixels from the upper left corner of the upright image;
            float32, shape (4,). The box may extend beyond the image.
        landmarks: x and y of the left eye, right eye, nose tip, left and right mouth corner, as seen by the
            viewer; float32, shape (5, 2); NaN if the detector finds no landmarks.
        confidence: confidence of the detector, between 0 and 1.
    """

    image: str
    number: int
    box: NDArray[np.float32]
    landmarks: NDArray[np.float32]
    confidence: float
    _source: Photograph
    _face: Face

    def crop(self, size: int = 224, *, template: str = "imagenet") -> NDArray[np.uint8]:
        """Return the aligned crop of the face, which is the input of a network.

        Args:
            size: side of the crop in pixels.
            template: name of the positions to which the landmarks are moved, "dlib" (close), "dlib_face",
                "arcface", "facenet", or "imagenet" (with hair, ears and chin).

        Returns:
            RGB pixels, uint8, shape (size, size, 3); pixels outside the image are black.

        Raises:
            UnknownNameError: there is no template with this name.
            PhotographError: the size is not a number of pixels from 1 to 4096.
            ImageError: the image cannot be read any more.
        """
        if template not in TEMPLATES:
            raise UnknownNameError(unknown("template", template, list(TEMPLATES)))
        if isinstance(size, bool) or not isinstance(size, int | np.integer) or not 1 <= size <= 4096:
            raise PhotographError(f"The size of a crop must be 1 to 4096 pixels. Got {size} instead.")
        return cut_out(self._source.read(), self._face, (template, int(size)))

    def __repr__(self) -> str:
        box = ", ".join(f"{value:.0f}" for value in self.box)
        return (
            f"FoundFace({self.image!r}, number={self.number}, box=({box}), confidence={self.confidence:.2f})"
        )


@checked()
class FoundFaces(Sequence[FoundFace]):
    """The faces on images, as `fk.find_faces` returns them: a sequence of faces, in reading order.

    Images without a face are not in the sequence. The table of `frame()` has a row for each such image, with
    the reason.

    Attributes:
        images: names of the images, in the order given.
    """

    def __init__(self, found: Sequence[tuple[Photograph, Looked]]) -> None:
        self._found = tuple(found)
        self.images = [photograph.name for photograph, _ in found]
        self._faces = [face for number in range(len(found)) for face in self._on(number)]

    def __len__(self) -> int:
        return len(self._faces)

    def __getitem__(self, number: Any) -> Any:
        """Return one face, or several for a slice."""
        return self._faces[number]

    def __repr__(self) -> str:
        n = len(self.images)
        return f"FoundFaces({len(self):,} faces on {n:,} image{'s' if n != 1 else ''})"

    def _repr_html_(self) -> str:
        """Return what a notebook shows: the table."""
        return str(self.frame().to_html(max_rows=20, index=False))

    def frame(self) -> pd.DataFrame:
        """Return a table with one row for each face, and one row for each image without a face.

        Returns:
            The columns photograph, face (number of the face on the image, 0 for no face), status ("ok", or
            why there is no face), confidence, x1, y1, x2, y2 (the box), left_eye_x, left_eye_y and so on for
            right_eye, nose, left_mouth and right_mouth (pixels of the upright image), and message.
        """
        rows = [
            (
                readable_name(photograph.name),
                number if seen.face.status == "ok" else 0,
                seen.face.status,
                float(seen.face.confidence),
                *map(float, seen.face.box),
                *seen.face.landmarks.ravel().tolist(),
                readable_name(looked.message or _MESSAGES[seen.face.status]),
            )
            for photograph, looked in self._found
            for number, seen in enumerate(looked.seen, start=1)
        ]
        points = [f"{name}_{axis}" for name in LANDMARKS for axis in "xy"]
        facts = ["photograph", "face", "status", "confidence", "x1", "y1", "x2", "y2"]
        return pd.DataFrame(rows, columns=[*facts, *points, "message"])

    def plot(self, ax: Any = None, *, image: int | str = 0) -> Any:
        """Draw an image with the boxes and landmarks of its faces.

        Args:
            ax: the Matplotlib axes to draw on; None for the axes of a new figure.
            image: position or name of the image.

        Returns:
            The Axes.

        Raises:
            PhotographError: there is no image with this position or name.
            ImageError: the image cannot be read.
        """
        number = self._number_of(image)
        source, looked = self._found[number]
        pixels = decode(source.read())
        if ax is None:
            import matplotlib.pyplot as plt

            height = float(np.clip(6.0 * pixels.shape[0] / pixels.shape[1], 2.0, 10.0))
            _, ax = plt.subplots(figsize=(6.0, height), layout="constrained")
        ax.imshow(pixels)
        line = max(2.0, 0.004 * max(ax.figure.bbox.size))
        for face in self._on(number):
            x1, y1, x2, y2 = map(float, face.box)
            corners = [x1, x2, x2, x1, x1], [y1, y1, y2, y2, y1]
            ax.plot(*corners, color="white", linewidth=line + 2)
            ax.plot(*corners, color=_BLUE, linewidth=line)
            ax.plot(*face.landmarks.T, "o", markersize=2.5 * line, color=_ORANGE, markeredgecolor="black")
            frame = {"facecolor": _BLUE, "edgecolor": "none", "pad": 2}
            ax.text(x1, y1, f"{face.number}", color="white", bbox=frame, va="bottom", ha="left")
        ax.set_xlim(0, pixels.shape[1])
        ax.set_ylim(pixels.shape[0], 0)
        ax.set_axis_off()
        if not any(seen.face.status == "ok" for seen in looked.seen):
            ax.set_title(looked.message or STATUS_MEANINGS[looked.seen[0].face.status], fontsize="medium")
        return ax

    def _number_of(self, image: int | str) -> int:
        if isinstance(image, str):
            if image in self.images:
                return self.images.index(image)
            raise PhotographError(unknown("image", image, self.images))
        if not -len(self._found) <= image < len(self._found):
            raise PhotographError(
                f"There is no image {image}: there are {len(self._found):,} images, counted from 0."
            )
        return range(len(self._found))[image]

    def _on(self, number: int) -> list[FoundFace]:
        """Return the faces on an image."""
        source, looked = self._found[number]
        return [
            FoundFace(source.name, n, one.face.box, one.face.landmarks, one.face.confidence, source, one.face)
            for n, one in enumerate(looked.seen, start=1)
            if one.face.status == "ok"
        ]


@checked()
def find_faces(
    images: Photographs,
    *,
    choose: str = "all",
    detector: str = "centerface",
    detector_weights: str | Path | None = None,
    n_jobs: int | None = None,
    progress: Shown = True,
) -> FoundFaces:
    """Find the faces on images, and return their boxes, landmarks and aligned crops.

    Args:
        images: one or several images or folders of images, as file names, bytes of files, Pillow images,
            uint8 pixels of shape (h, w, 3) or (n, h, w, 3), or a column of a DataFrame.
        choose: the faces to use of each image, "all", "center" (the face nearest to the middle), "largest",
            or "only" (no face of an image with several).
        detector: name of the face detector; see `featurekit list detectors`.
        detector_weights: a weight file for the detector, instead of its default file.
        n_jobs: number of threads; None or -1 for one per core.
        progress: whether to show a progress bar, or a function that is called with (images done, images to
            do).

    Returns:
        A sequence of the faces, which has ``.frame()`` and ``.plot()``. An image that cannot be read, or
        has no face, has a row in the frame with the reason.

    Raises:
        PhotographError: something is not an image; the message gives its position.
        UnknownNameError: there is no detector with this name, or choose is not an allowed value.
        WeightsError: the detector's weights are missing; the message says how to get them.

    Example:
        >>> import featurekit as fk
        >>> import skimage.data
        >>> faces = fk.find_faces(skimage.data.astronaut(), detector="whole_image", progress=False)
        >>> faces
        FoundFaces(1 faces on 1 image)
        >>> faces[0].box.tolist(), faces[0].crop(64).shape
        ([0.0, 0.0, 512.0, 512.0], (64, 64, 3))
    """
    settings = default_settings(detector, which_faces(choose), detector_weights)
    given = images_of(images)
    threads = threads_of(n_jobs) or usable_cores()
    finder = open_finder(settings, threads=threads)
    unexpected = Unexpected()
    found = []
    with shown(progress, "finding faces", "images") as told, ThreadPoolExecutor(threads) as pool:
        looks = pool.map(lambda one: look(one, finder, settings, ()), given)
        for done, (photograph, looked) in enumerate(zip(given, looks, strict=True), start=1):
            found.append((photograph, unexpected.settled(looked)))
            told(done, len(given))
    return FoundFaces(found)
