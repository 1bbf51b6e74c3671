"""What a photograph can be given as, and what it is called in tables and messages.

A photograph is a file, by its name, an open file, the bytes of a file, an image of Pillow's or an array of
pixels. This is the only place that tells them apart. Everything behind it gets the same two things: a name,
and on request either the bytes of a file or upright pixels. Pixels take the same way through detection and
alignment as a file that decodes to them.
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
from featurekit.faces.images import Picture, pixels_of, read_bytes
from featurekit.text import first_line

# What is taken as one photograph, and as several. A type checker cannot say it: Pillow's images and pandas'
# columns are taken too, without importing either.
Photographs = Any

_KINDS = "a file name, the bytes of a file, a Pillow image, an open file, or a uint8 array (h, w, 3)"


@dataclass(frozen=True, eq=False)
class Photograph:
    """One photograph, wherever it is.

    Attributes:
        name: the file's name as it was given, or "image 0" for what has no file, by its position.
        source: a file; the bytes of one; an image of Pillow's; or RGB pixels, uint8, shape (h, w, 3).
    """

    name: str
    source: Any

    @property
    def path(self) -> Path | None:
        """The file, or None where there is none."""
        return self.source if isinstance(self.source, Path) else None

    @property
    def stem(self) -> str:
        """What a file about this photograph is called after."""
        return self.source.stem if isinstance(self.source, Path) else self.name.replace(" ", "-")

    def read(self) -> Picture:
        """Return the bytes of its file, or its upright pixels.

        Raises:
            ImageError: it cannot be read; see read_bytes() and pixels_of().
        """
        if isinstance(self.source, Path):
            return read_bytes(self.source)
        if isinstance(self.source, bytes | np.ndarray):
            return self.source
        return pixels_of(self.source)


def content_of(picture: Picture) -> str:
    """Return what a photograph's content is known by, in hexadecimal: the sha256 of a file's bytes.

    Pixels that no file holds have a hash of their own, which their size is a part of.
    """
    if isinstance(picture, bytes):
        return sha256(picture).hexdigest()
    height, width = picture.shape[:2]
    found = sha256(f"featurekit pixels {height} {width}\n".encode())
    found.update(np.ascontiguousarray(picture).data)
    return found.hexdigest()


def as_photograph(one: "Photograph | Path") -> Photograph:
    """Return a file as a photograph, and a photograph as it is."""
    return one if isinstance(one, Photograph) else Photograph(str(one), one)


def photographs_from(given: Photographs) -> list[Photograph]:
    """Return what was given as photographs, in its order.

    Args:
        given: one photograph: a file name (text or Path), the bytes of an encoded file, a file that is open
            in binary mode (or a BytesIO), an image of Pillow's, or RGB pixels, uint8, shape (h, w, 3). Or
            several: a list or another sequence of them, a column of a DataFrame, a DataFrame of one column,
            an array of names, or pixels, uint8, shape (n, h, w, 3). An open file is read from its start, and
            stays open. Nothing else is opened.

    Returns:
        A photograph for each; those that have no file are called "image" and their position, from 0.

    Raises:
        PhotographError: something is none of these; the message says at which position.

    Example:
        >>> [one.name for one in photographs_from(["a.jpg", np.zeros((4, 3, 3), np.uint8)])]
        ['a.jpg', 'image 1']
    """
    return [_photograph(one, number, total) for number, one, total in _numbered(given)]


def _numbered(given: Any) -> Iterable[tuple[int, Any, int | None]]:
    """Return each of what was given with its position, and how many there are; None for one by itself."""
    several = _several(given)
    if several is None:
        return [(0, given, None)]
    return [(number, one, len(several)) for number, one in enumerate(several)]


def _several(given: Any) -> Sequence[Any] | None:
    """Return a collection's members, or None for what is one photograph by itself.

    Raises:
        PhotographError: a DataFrame of several columns, or an array of another shape.
    """
    if isinstance(given, str | bytes | bytearray | memoryview | os.PathLike | Photograph):
        return None
    if _is_pillow(given) or _is_open_file(given):
        return None
    pandas: Any = sys.modules.get("pandas")
    if pandas and isinstance(given, pandas.DataFrame):
        if given.shape[1] != 1:
            columns = ", ".join(map(str, given.columns[:5]))
            raise PhotographError(
                f"The DataFrame has {given.shape[1]} columns ({columns}). Give the column of image names,"
                " for example frame['file']."
            )
        given = given.iloc[:, 0]
    if pandas and isinstance(given, pandas.Series | pandas.Index):
        return list(given)
    if isinstance(given, np.ndarray):
        return _members(given)
    if isinstance(given, Iterable) and not isinstance(given, Mapping | Set):
        return list(given)
    return None


def _members(given: NDArray[Any]) -> Sequence[Any] | None:
    """Return what an array holds: names, photographs, or pixels of several; None for pixels of one."""
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
    """Return one of what was given as a photograph.

    Args:
        one: what was given.
        number: its position.
        total: how many there are; None for one by itself.
    """
    where = "The image" if total is None else f"Image {number} of {total:,} (counted from 0)"
    if isinstance(one, Photograph):
        return one
    if isinstance(one, str | os.PathLike):
        if not (name := os.fspath(one)):
            raise PhotographError(f"{where} has an empty name.")
        path = Path(os.fsdecode(name))
        return Photograph(str(path), path)
    name = f"image {number}"
    if isinstance(one, bytes | bytearray | memoryview):
        return Photograph(name, bytes(one))
    if _is_pillow(one):
        return Photograph(name, one)
    if isinstance(one, np.ndarray):
        _check_pixels(one, where, "(h, w, 3)")
        return Photograph(name, one)
    if _is_open_file(one):
        return Photograph(name, _bytes_of(one, where))
    is_missing = one is None or isinstance(one, float) or type(one).__name__ in ("NAType", "NaTType")
    what = str(one) if is_missing else f"of type {type(one).__name__}"
    raise PhotographError(f"{where} is {what}. An image must be {_KINDS}.")


def _is_open_file(one: Any) -> bool:
    """Whether something can be read like an open file; a class cannot."""
    return callable(getattr(one, "read", None)) and not isinstance(one, type)


def _bytes_of(file: Any, where: str) -> bytes:
    """Return the bytes of an open file from its start, if it can be set back there, else those that are left.

    Raises:
        PhotographError: it is open as text, is closed or cannot be read, or has no bytes.
    """
    try:
        if hasattr(file, "seekable") and file.seekable():
            file.seek(0)  # fit() may have read it already
        data = file.read()
    except Exception as error:  # whatever an object of somebody's raises
        said = first_line(error).rstrip(".")
        raise PhotographError(f"{where} is an open file that cannot be read: {said}.") from error
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
        remedy = " Leave out the fourth channel: pixels[..., :3]."
    elif pixels.ndim == wanted - 1 or (pixels.ndim == wanted and pixels.shape[-1] == 1):
        remedy = " Grey pixels need three equal channels."
    raise PhotographError(
        f"{where} must be uint8 with shape {shape}, in the order red, green, blue. Got {pixels.dtype} with"
        f" shape {pixels.shape} instead.{remedy}"
    )


def _is_pillow(one: Any) -> bool:
    """Whether something is an image of Pillow's; who has one has imported it."""
    pillow: Any = sys.modules.get("PIL.Image")
    return bool(pillow) and isinstance(one, pillow.Image)
