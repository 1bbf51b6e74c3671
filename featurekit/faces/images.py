"""Decode the bytes of an image file to upright RGB pixels, or say why that is not possible.

All steps of featurekit use this decoder, because different decoders give different pixels: they treat EXIF
orientation and CMYK differently, and differ in the last bit of JPEG pixels. simplejpeg decodes JPEG files
twice as fast as Pillow, to the same pixels. Pillow decodes all other formats, and the JPEG files that
simplejpeg refuses. A large JPEG can be decoded to a half, a quarter or an eighth of its sides, which takes a
fraction of the time and memory.

An image that cannot be decoded must not stop an extraction: its row gets a status that says why. So every
failure is an ImageError with this status.
"""

import errno
import importlib
import stat
import struct
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import simplejpeg
from numpy.typing import NDArray

from featurekit.data.file_types import DECODED, HEAD, kind_of
from featurekit.errors import ImageError, MissingDecoderError
from featurekit.faces._limits import (
    check_size,
    check_tiff,
    check_work,
    checked_heif,
    webp_size,
    without_texts,
)
from featurekit.files import read_file
from featurekit.urls import UrlPath

# A photograph as it is decoded from: the bytes of a file, or upright RGB pixels, uint8, shape (h, w, 3).
ImageData = bytes | NDArray[np.uint8]

MAX_PIXELS = 100_000_000
MAX_BYTES = 256 * 1024 * 1024

# The longer side of a JPEG that is decoded smaller stays at least this: twice what the largest frame holds
# that a detector looks at.
REDUCED_SIDE = 1280
# The reductions that a JPEG's blocks of 8 × 8 offer, strongest first.
FACTORS = (8, 4, 2)

# Part of the Recipe: everything that decides which pixels come out of the same bytes.
DECODING: dict[str, Any] = {
    "decoder": "simplejpeg, pillow",
    "reduction": f"JPEG by 2, 4 or 8, not below {REDUCED_SIDE}, where no crop is enlarged by it",
    "version": 2,  # raised whenever this module starts to give other pixels
    "exif": "applied once",
    "alpha": "over white",
    "icc": "ignored",
    "sixteen_bit": "high byte",
    "animation": "first frame",
    "max_pixels": MAX_PIXELS,
    "max_bytes": MAX_BYTES,
}

_FORMATS = ", ".join(DECODED)

# Where Pillow's reader of each kind is.
_READERS = {
    "JPEG": ("PIL.JpegImagePlugin", "JpegImageFile"),
    "PNG": ("PIL.PngImagePlugin", "PngImageFile"),
    "WebP": ("PIL.WebPImagePlugin", "WebPImageFile"),
    "BMP": ("PIL.BmpImagePlugin", "BmpImageFile"),
    "GIF": ("PIL.GifImagePlugin", "GifImageFile"),
    "TIFF": ("PIL.TiffImagePlugin", "TiffImageFile"),
    "AVIF": ("PIL.AvifImagePlugin", "AvifImageFile"),
    "HEIC": ("pillow_heif.as_plugin", "HeifImageFile"),
}
# What to type where a reader is not installed.
_INSTALL = {"HEIC": "pip install 'featurekit[heif]'", "AVIF": "pip install --upgrade pillow"}

# What Pillow's readers have been seen to raise on broken files. Their errors are
# not of one tree, and a bug in this module must not pass for a broken file, so
# only Pillow's own calls are inside the try blocks.
_BROKEN = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    EOFError,
    RuntimeError,
    AssertionError,
    struct.error,
    zlib.error,
)

# Errors for a name that no file can have, unlike a file that does not exist.
_NO_SUCH_NAME = (errno.ENAMETOOLONG, errno.EINVAL, errno.ELOOP, errno.EILSEQ)

# Kind → whether a file lacks its own end; asked only of files that cannot be decoded.
_ENDS_EARLY: dict[str, Callable[[bytes], bool]] = {
    "JPEG": lambda data: b"\xff\xd9" not in data[-4096:],
    "PNG": lambda data: b"IEND" not in data[-4096:],
    "GIF": lambda data: not data.rstrip(b"\0").endswith(b";"),
    "WebP": lambda data: len(data) < 16 or int.from_bytes(data[4:8], "little") + 8 > len(data),
    "BMP": lambda data: len(data) < 26 or int.from_bytes(data[2:6], "little") > len(data),
    # A TIFF says where its directory is.
    "TIFF": lambda data: (
        len(data) < 8
        or int.from_bytes(data[4:8], "little" if data.startswith(b"II") else "big") + 2 > len(data)
    ),
    # checked_heif() has seen that their parts are there.
    "HEIC": lambda data: False,
    "AVIF": lambda data: False,
    # An image of Pillow's comes without the bytes of its file.
    "image": lambda data: False,
}

# EXIF orientation → what makes the stored rows upright.
_UPRIGHT: dict[int, Callable[[NDArray[np.uint8]], NDArray[np.uint8]]] = {
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: a[::-1].transpose(1, 0, 2),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: a.transpose(1, 0, 2)[::-1],
}


def read_bytes(path: Path, *, max_bytes: int = MAX_BYTES) -> bytes:
    """Return the bytes of an image file.

    Args:
        path: path of the file.
        max_bytes: largest size of the file in bytes.

    Raises:
        ImageError: the file does not exist (status missing_file), is not a plain file or may not be read
            (unreadable), is larger than max_bytes (too_large), or cannot have this name (bad_path).
    """
    try:
        if isinstance(path, UrlPath):
            return read_file(path, max_bytes)
        facts = path.stat()
        # A pipe would never end, a device never begin.
        if stat.S_ISDIR(facts.st_mode):
            raise ImageError(
                "unreadable", f"{path} is a folder, not a file. Give the names of the files in it."
            )
        if not stat.S_ISREG(facts.st_mode):
            raise ImageError("unreadable", f"{path} is not a file.")
        if facts.st_size > max_bytes:
            raise ImageError(
                "too_large", f"{path} has {facts.st_size:,} bytes, but at most {max_bytes:,} are read."
            )
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ImageError("missing_file", f"{path} does not exist.") from error
    except ValueError as error:
        raise ImageError("bad_path", f"{path} is not a valid file name: {error}.") from error
    except OSError as error:
        status = "too_large" if error.errno == errno.EFBIG else "unreadable"
        raise ImageError(
            "bad_path" if error.errno in _NO_SUCH_NAME else status,
            f"{path} cannot be read: {error.strerror}.",
        ) from error


def reduction(data: ImageData) -> int:
    """Return by which factor an image may be decoded smaller to find faces on it: 1, 2, 4 or 8."""
    longer_side = max(_jpeg_size(data) or (0,)) if isinstance(data, bytes) else 0
    return next((factor for factor in FACTORS if longer_side >= factor * REDUCED_SIDE), 1)


def decode(
    data: ImageData, *, factor: int = 1, max_pixels: int = MAX_PIXELS, max_bytes: int = MAX_BYTES
) -> NDArray[np.uint8]:
    """Return the upright RGB pixels of an image, uint8, shape (h, w, 3).

    The format is recognized by the content of the file. EXIF orientation is applied once. Grey images get
    three equal channels, CMYK is converted without a colour profile, 16-bit values lose their low byte,
    transparent pixels get a white background, and only the first frame of an animation is decoded.

    Args:
        data: bytes of the image file; an array of pixels is returned as it is.
        factor: factor by which the sides of a JPEG are reduced, 1, 2, 4 or 8; they are rounded up. Each pixel
            is the mean of factor × factor pixels of the file.
        max_pixels: largest number of pixels; the number is read from the header before anything is decoded.
        max_bytes: largest size of the file in bytes.

    Raises:
        ImageError: the image cannot be decoded. The status is empty_file, undecodable, truncated, too_large
            or unsupported_format.
        MissingDecoderError: the library that decodes this format is not installed.
    """
    if not isinstance(data, bytes):
        check_size((data.shape[1], data.shape[0]), max_pixels)
        return np.ascontiguousarray(data)
    if not data:
        raise ImageError("empty_file", "The file is empty.")
    if len(data) > max_bytes:
        raise ImageError(
            "too_large", f"The file has {len(data):,} bytes, but at most {max_bytes:,} are read."
        )
    kind = _kind(data)
    if kind == "WebP":
        # Pillow's WebP reader makes its canvas when it opens a file.
        check_size(webp_size(data), max_pixels)
    elif kind == "PNG":
        data = without_texts(data)
    elif kind == "TIFF":
        check_tiff(data, max_pixels)
    elif kind in ("HEIC", "AVIF"):
        data = checked_heif(kind, data, max_pixels)
    pixels = _fast_jpeg(data, factor, max_pixels) if kind == "JPEG" else None
    # Only Exif data, or XMP's copy of them, can say that a JPEG has to be turned.
    if pixels is not None and b"Exif" not in data and b"Orientation" not in data:
        return pixels
    image = _open(kind, data)
    check_size(image.size, max_pixels)
    _check_depth(image)
    if pixels is None:
        check_work(kind, data, image.size)
        with _pillow_errors(kind, data):
            image.load()
        pixels = _to_rgb(image.reduce(factor) if factor > 1 else image)
    return _upright(image, pixels)


def pixels_of(image: Any, *, max_pixels: int = MAX_PIXELS) -> NDArray[np.uint8]:
    """Return the upright RGB pixels of a Pillow image, uint8, shape (h, w, 3).

    The result is the same as that of decode() for a file with the same pixels, mode and orientation.

    Args:
        image: the Pillow image.
        max_pixels: largest number of pixels.

    Raises:
        ImageError: the image is too large, or its file is broken.
    """
    check_size(image.size, max_pixels)
    _check_depth(image)
    with _pillow_errors("image", b""):
        image.load()
    return _upright(image, _to_rgb(image))


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    """Return width and height of a JPEG that simplejpeg can decode, None for anything else."""
    if not data.startswith(b"\xff\xd8\xff"):
        return None
    try:
        height, width, colors, _ = simplejpeg.decode_jpeg_header(data)
    except ValueError:
        return None
    # Pillow decodes CMYK: it knows which programs write inverted values.
    return (width, height) if colors in ("YCbCr", "Gray", "RGB") else None


def _fast_jpeg(data: bytes, factor: int, max_pixels: int) -> NDArray[np.uint8] | None:
    """Return the pixels of a JPEG without a fault, as they are stored; None if Pillow has to decode it."""
    size = _jpeg_size(data)
    if size is None:
        return None
    check_size(size, max_pixels)
    check_work("JPEG", data, size)
    try:
        # The smallest image that is not smaller than this is exactly the one asked for.
        return np.asarray(
            simplejpeg.decode_jpeg(
                data,
                "RGB",
                min_height=-(-size[1] // factor),
                min_width=-(-size[0] // factor),
                min_factor=factor,
            )
        )
    except (ValueError, MemoryError):
        return None


def _kind(data: bytes) -> str:
    kind = kind_of(data[:HEAD])
    if kind in DECODED:
        return kind
    if kind:
        raise ImageError("unsupported_format", f"The file is {kind}, but featurekit reads only {_FORMATS}.")
    raise ImageError("undecodable", f"The file is not an image of a known format ({_FORMATS}).")


def _open(kind: str, data: bytes) -> Any:
    """Return Pillow's image with its header read and no pixel decoded."""
    # Image.open() would check the size against a limit that is global to the
    # process and warn; the readers themselves leave the limit to us.
    module, name = _READERS[kind]
    try:
        plugin: Any = importlib.import_module(module)
        reader = getattr(plugin, name)
    except (ImportError, OSError) as error:  # OSError: it is here, and a library that it needs is not
        raise MissingDecoderError(kind, _INSTALL[kind]) from error
    if not getattr(plugin, "SUPPORTED", True):
        raise MissingDecoderError(kind, _INSTALL[kind])
    # Pillow warns of odd metadata, which no pixel depends on.
    warnings.filterwarnings("ignore", module="PIL")
    with _pillow_errors(kind, data):
        return reader(BytesIO(data))


@contextmanager
def _pillow_errors(kind: str, data: bytes) -> Iterator[None]:
    """Turn the errors that Pillow raises into an ImageError with the right status."""
    from PIL import Image

    try:
        yield
    except (Image.DecompressionBombError, MemoryError) as error:
        raise ImageError("too_large", f"The {kind} has more pixels than can be decoded.") from error
    except _BROKEN as error:
        if _ENDS_EARLY[kind](data) or "truncated" in str(error).lower():
            raise ImageError(
                "truncated",
                f"The {kind} file is incomplete: it ends before the image does. Copy the file again.",
            ) from error
        raise ImageError(
            "undecodable", f"The {kind} cannot be decoded: {error or type(error).__name__}."
        ) from error


def _check_depth(image: Any) -> None:
    if image.mode == "F" or (image.mode == "I" and image.format != "PNG"):
        raise ImageError(
            "unsupported_format",
            f"The {image.format or 'image'} has 32 bits per value, so it is not known which value is white.",
        )


def _upright(image: Any, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the pixels of a loaded image, turned as its EXIF data say."""
    try:
        # After loading: Pillow turns TIFFs itself then and forgets their orientation,
        # and a PNG may carry its EXIF data behind the pixels.
        turn = _UPRIGHT.get(int(image.getexif().get(0x0112, 1)))
    except _BROKEN:
        turn = None  # broken metadata do not make an image unreadable
    return np.ascontiguousarray(pixels if turn is None else turn(pixels))


def _to_rgb(image: Any) -> NDArray[np.uint8]:
    from PIL import Image

    if image.mode.startswith("I"):  # 16-bit grey; the high byte, as Pillow does for 16-bit colour
        grey = (np.asarray(image).astype(np.uint32) >> 8).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)
    try:
        if image.has_transparency_data:
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
        return np.asarray(image.convert("RGB"))
    except ValueError as error:
        raise ImageError(
            "unsupported_format", f"Pillow cannot convert an image of mode {image.mode} to RGB."
        ) from error
