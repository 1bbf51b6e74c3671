"""The forms in which users can give an image, and the name of the image in tables and messages.

An image can be the name of a file, an open file, the bytes of a file, a Pillow image or an array of pixels.
Only this module distinguishes these forms. Every other module gets a name, and either the bytes of a file or
upright pixels. An array of pixels gives the same faces and vectors as a file that decodes to these pixels.
"""

import os
import sys
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featurekit.errors import PhotographError
from featurekit.faces.images import ImageData, pixels_of, read_bytes
from featurekit.text import first_line
from featurekit.urls import UrlPath, place_of

# One photograph or several. Pillow's images and pandas' columns are accepted without importing either, so a
# more exact type cannot be written.
Photographs = Any

_KINDS = "a file name, the bytes of a file, a Pillow image, an open file, or a uint8 array (h, w, 3)"


@dataclass(frozen=True, eq=False)
class Photograph:
    """One image, in a file or in memory.

    Attributes:
        name: name of the file as the user gave it. An image in memory is named by its position, "image 0".
        source: path of a file, bytes of a file, a Pillow image, or RGB pixels, uint8, shape (h, w, 3).
    """

    name: str
    source: Any

    @property
    def path(self) -> Path | None:
        """Path of the file, or None for an image in memory."""
        return self.source if isinstance(self.source, Path) else None

    @property
    def stem(self) -> str:
        """First part of the names of files that are written about this image."""
        return self.source.stem if isinstance(self.source, Path) else self.name.replace(" ", "-")

    def read(self) -> ImageData:
        """Return the bytes of the image file, or the upright pixels of an image in memory.

        Raises:
            ImageError: the image cannot be read; see read_bytes() and pixels_of().
        """
        if isinstance(self.source, Path):
            return read_bytes(self.source)
        return self.source if isinstance(self.source, bytes | np.ndarray) else pixels_of(self.source)


def content_of(image: ImageData) -> str:
    """Return the hash of an image's content in hexadecimal: the sha256 of the file's bytes.

    For an array of pixels it is the sha256 of the size and the values.
    """
    if isinstance(image, bytes):
        return sha256(image).hexdigest()
    height, width = image.shape[:2]
    found = sha256(f"featurekit pixels {height} {width}\n".encode())
    found.update(np.ascontiguousarray(image).data)
    return found.hexdigest()


def as_photograph(one: "Photograph | Path") -> Photograph:
    """Return a Photograph for a path; a Photograph is returned unchanged."""
    return one if isinstance(one, Photograph) else Photograph(str(one), one)


def photographs_from(given: Photographs) -> list[Photograph]:
    """Return the images that a user has given, in the same order.

    Args:
        given: one image or several images. One image is a file name (text or Path), the bytes of an image
            file, a file that is open in binary mode (or a BytesIO), a Pillow image, or RGB pixels, uint8,
            shape (h, w, 3). Several images are a list or another sequence of images, a column of a DataFrame,
            a DataFrame with one column, an array of file names, or pixels, uint8, shape (n, h, w, 3). An open
            file is read from its start and stays open. Files that are given by name are not opened yet.

    Returns:
        One Photograph for each image. An image in memory is named "image" and its position, counted from 0.

    Raises:
        PhotographError: an object is not an image; the message says at which position.

    Example:
        >>> [one.name for one in photographs_from(["a.jpg", np.zeros((4, 3, 3), np.uint8)])]
        ['a.jpg', 'image 1']
    """
    several = _several(given)
    if several is None:
        return [_photograph(given, 0, None)]
    return [_photograph(one, number, len(several)) for number, one in enumerate(several)]


def _several(given: Any) -> Sequence[Any] | None:
    """Return the members of a collection, or None if it is a single photograph.

    Raises:
        PhotographError: a DataFrame of several columns, or an array of another shape.
    """
    is_one = isinstance(given, str | bytes | bytearray | memoryview | os.PathLike | Photograph)
    if is_one or _is_pillow(given) or _is_open_file(given):
        return None
    pandas: Any = sys.modules.get("pandas")
    if pandas and isinstance(given, pandas.DataFrame):
        if given.shape[1] != 1:
            raise PhotographError(
                f"The DataFrame has {given.shape[1]} columns ({', '.join(map(str, given.columns[:5]))})."
                " Give the column of image names, for example frame['file']."
            )
        given = given.iloc[:, 0]
    if isinstance(given, np.ndarray):
        return _members(given)
    return list(given) if isinstance(given, Iterable) and not isinstance(given, Mapping | Set) else None


def _members(given: NDArray[Any]) -> Sequence[Any] | None:
    """Return the members of an array: names, photographs or pixels of several; None for pixels of one."""
    if given.dtype.kind in "OUT":
        if given.ndim == 2 and given.shape[1] == 1:  # a column that a table was cut into
            given = given[:, 0]
        if given.ndim > 1:
            raise PhotographError(
                f"An array of file names must have one dimension. Got shape {given.shape} instead."
            )
        return list(np.atleast_1d(given).tolist())
    if given.ndim == 4:
        _check_pixels(given, "The array of images", "(n, h, w, 3)")
        return list(given)
    if given.ndim == 3:
        return None
    raise PhotographError(
        "An array of images must be uint8 with shape (n, h, w, 3), and an array of one image (h, w, 3)."
        f" Got {given.dtype} with shape {given.shape} instead."
    )


def _photograph(one: Any, number: int, total: int | None) -> Photograph:
    """Return one object as a photograph.

    Args:
        one: the object.
        number: its position.
        total: how many there are; None for a single photograph.
    """
    where = "The image" if total is None else f"Image {number} of {total:,} (counted from 0)"
    if isinstance(one, Photograph):
        return one
    if isinstance(one, str | os.PathLike):
        if not (name := one if isinstance(one, UrlPath) else os.fsdecode(one)):
            raise PhotographError(f"{where} has an empty name.")
        path = place_of(name)
        return Photograph(str(path), path)
    name = f"image {number}"
    if isinstance(one, bytes | bytearray | memoryview):
        return Photograph(name, bytes(one))
    if isinstance(one, np.ndarray):
        _check_pixels(one, where, "(h, w, 3)")
    if isinstance(one, np.ndarray) or _is_pillow(one):
        return Photograph(name, one)
    if _is_open_file(one):
        return Photograph(name, _bytes_of(one, where))
    is_missing = one is None or isinstance(one, float) or type(one).__name__ in ("NAType", "NaTType")
    raise PhotographError(
        f"{where} is {one if is_missing else f'of type {type(one).__name__}'}. An image must be {_KINDS}."
    )


def _is_open_file(one: Any) -> bool:
    """Whether something can be read like an open file; a class cannot."""
    return callable(getattr(one, "read", None)) and not isinstance(one, type)


def _bytes_of(file: Any, where: str) -> bytes:
    """Return the bytes of an open file from its start, or the remaining bytes if it cannot be rewound.

    Raises:
        PhotographError: it is open as text, is closed or cannot be read, or has no bytes.
    """
    try:
        if hasattr(file, "seekable") and file.seekable():
            file.seek(0)  # fit() may have read it already
        data = file.read()
    except Exception as error:  # an object of the user may raise anything
        raise PhotographError(
            f"{where} is an open file that cannot be read: {first_line(error).rstrip('.')}."
        ) from error
    if isinstance(data, str):
        raise PhotographError(f"{where} is a file that is open as text. Open it with open(name, 'rb').")
    if not isinstance(data, bytes | bytearray | memoryview):
        raise PhotographError(
            f"{where} is of type {type(file).__name__}, whose read() gave no bytes. An image must be"
            f" {_KINDS}."
        )
    if not len(data):
        raise PhotographError(f"{where} is an open file with no bytes left to read.")
    return bytes(data)


def _check_pixels(pixels: NDArray[Any], where: str, shape: str) -> None:
    """Raise PhotographError unless an array is of RGB pixels, and say how to make it so."""
    wanted = shape.count(",") + 1
    if pixels.ndim == wanted and pixels.shape[-1] == 3 and pixels.dtype == np.uint8:
        if min(pixels.shape[-3:]) == 0:
            raise PhotographError(f"{where} has no pixels: its shape is {pixels.shape}.")
        return
    remedy = ""
    if pixels.dtype != np.uint8:
        remedy = " Scale its values to 0..255, round them and use .astype(np.uint8)."
    elif pixels.ndim == wanted and pixels.shape[-1] == 4:
        remedy = " Remove the fourth channel: pixels[..., :3]."
    elif pixels.ndim == wanted - 1 or (pixels.ndim == wanted and pixels.shape[-1] == 1):
        remedy = " Grey pixels need three equal channels."
    raise PhotographError(
        f"{where} must be uint8 with shape {shape}, in the order red, green, blue. Got {pixels.dtype} with"
        f" shape {pixels.shape} instead.{remedy}"
    )


def _is_pillow(one: Any) -> bool:
    """Whether something is an image of Pillow's; Pillow has been imported if there is one."""
    pillow: Any = sys.modules.get("PIL.Image")
    return bool(pillow) and isinstance(one, pillow.Image)
