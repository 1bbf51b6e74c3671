"""Limits on what a file may cost, so that a small file takes no more than a few seconds.

Nothing here decodes a pixel: sizes, passes and parts are read from the headers of a
file, before memory is reserved for its image.
"""

import re
import struct
from typing import Literal

from featurekit.errors import ImageError
from featurekit.faces import _heif

# Limits, so that no file takes more than a few seconds or much more memory than its image: pixels of a JPEG
# times its passes over them; pixels and bytes of a BMP in run lengths, which Pillow reads in Python; pixels
# of a tile of a TIFF; and chunks of a PNG, or strips or tiles of a TIFF.
_JPEG_WORK = 1_500_000_000
_RUN_LENGTHS = 2**23
_TILE_PIXELS = 2**22
_PARTS = 2**18

# A JPEG's markers, but for those without content (restarts, the beginning of the file).
_JPEG_MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd8\xff]")
_ONE_PASS = (0xC0, 0xC1, 0xC9)
# TIFF's tags that decide how much memory is reserved for an image: lists of the places of its strips or
# tiles, and numbers: width, height, samples, rows of a strip, planes, width and height of a tile.
_TIFF_LISTS = (273, 324)
_TIFF_NUMBERS = (256, 257, 277, 278, 284, 322, 323)
# A name that Pillow takes for a PNG chunk's.
_CHUNK_NAME = re.compile(rb"\w{4}")
_PNG_TEXTS = (b"iCCP", b"iTXt", b"tEXt", b"zTXt")
# Of a PNG's texts, those in which Pillow looks for the orientation.
_PNG_EXIF = (b"XML:com.adobe.xmp", b"Raw profile type exif")


def check_size(size: tuple[int, int], max_pixels: int) -> None:
    """Raise ImageError for an image without pixels, or with more than max_pixels."""
    width, height = size
    if width < 1 or height < 1:
        raise ImageError(
            "undecodable", f"The header of the image says that it has {width} × {height} pixels."
        )
    if width * height > max_pixels:
        raise ImageError(
            "too_large",
            f"The image has {width} × {height} pixels, but at most {max_pixels:,} pixels are read.",
        )


def check_work(kind: str, data: bytes, size: tuple[int, int]) -> None:
    """Raise ImageError for a file that takes far longer to decode than its number of pixels suggests."""
    width, height = size
    if kind == "JPEG" and width * height * (passes := _jpeg_passes(data)) > _JPEG_WORK:
        raise ImageError(
            "too_large",
            f"The JPEG stores its {width} × {height} pixels in {passes:,} passes, which are too many."
            " Save it again.",
        )
    in_runs = kind == "BMP" and data[14] >= 40 and data[30] in (1, 2)
    if in_runs and max(width * height, len(data)) > _RUN_LENGTHS:
        raise ImageError(
            "too_large",
            f"The BMP has {width} × {height} pixels in run-length encoding. Save it without compression.",
        )


def checked_heif(kind: str, data: bytes, max_pixels: int) -> bytes:
    """Raise ImageError for a HEIC or AVIF with absurd parts; return it so that its still image is read."""
    try:
        sizes = _heif.sizes_of(data)
    except _heif.OddError as error:
        raise ImageError("unsupported_format", f"The {kind} is not read, because {error}.") from error
    except _heif.EndsEarlyError as error:
        raise ImageError(
            "truncated",
            f"The {kind} file is incomplete: it ends before the image does. Copy the file again.",
        ) from error
    except _heif.DamagedError as error:
        raise ImageError("undecodable", f"The {kind} cannot be decoded: {error}.") from error
    check_size(sizes.shown, max_pixels)
    check_size(sizes.coded, max_pixels)
    width, height = sizes.coded
    if max(width * height, sizes.work) > max(4 * sizes.shown[0] * sizes.shown[1], _TILE_PIXELS):
        raise ImageError(
            "too_large",
            f"The {kind} contains parts of {width} × {height} pixels for an image of {sizes.shown[0]} ×"
            f" {sizes.shown[1]} pixels.",
        )
    # The decoder would read the film of a file that declares a film first, and not its still image.
    return data[:8] + b"avif" + data[12:] if data[8:12] == b"avis" else data


def webp_size(data: bytes) -> tuple[int, int]:
    """Return width and height as a WebP's first chunk declares them."""
    if len(data) < 30:
        raise ImageError(
            "truncated", "The WebP file is incomplete: it ends before the image does. Copy the file again."
        )
    chunk = data[12:16]
    if chunk == b"VP8X":
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if chunk == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if chunk == b"VP8 ":
        width, height = struct.unpack("<HH", data[26:30])
        return width & 0x3FFF, height & 0x3FFF
    raise ImageError("undecodable", "The WebP file does not begin with an image.")


def _jpeg_passes(data: bytes) -> int:
    """Return how often decoding a JPEG passes over its pixels: once for each scan if it has several."""
    passes = place = components = 0
    one_pass = False
    while found := _JPEG_MARKER.search(data, place):
        marker, place = found[0][-1], found.end()
        if marker == 0xD9:
            break
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            one_pass, components = marker in _ONE_PASS, int.from_bytes(data[place + 7 : place + 8])
        if marker == 0xDA:
            passes += 1
            if one_pass and data[place + 2 : place + 3] == bytes([components]):
                break
        place += max(int.from_bytes(data[place : place + 2]), 2)
    return max(passes, 1)


def without_texts(data: bytes) -> bytes:
    """Return a PNG without texts and profiles: no pixel depends on them, and few bytes can unpack to many."""
    view, place = memoryview(data), 8
    kept, exif = [view[:8]], dict[bytes, int]()
    for _ in range(_PARTS):
        end = place + 12 + int.from_bytes(data[place : place + 4])
        name = data[place + 4 : place + 8]
        if name == b"IEND" or end > len(data) or not _CHUNK_NAME.fullmatch(name):
            break
        key = data[place + 8 : place + 88].partition(b"\0")[0]
        if name not in _PNG_TEXTS:
            kept.append(view[place:end])
        elif key in _PNG_EXIF:
            if name + key in exif:  # the last one counts
                kept[exif[name + key]] = view[:0]
            exif[name + key] = len(kept)
            kept.append(view[place:end])
        place = end
    else:
        raise ImageError("too_large", f"The PNG has more than {_PARTS:,} parts. Save it again.")
    return data if sum(map(len, kept)) == place else b"".join([*kept, view[place:]])


def check_tiff(data: bytes, max_pixels: int) -> None:
    """Raise ImageError for a TIFF with absurd parts, before memory is reserved for them."""
    order: Literal["little", "big"] = "little" if data.startswith(b"II") else "big"

    def number(place: int, length: int) -> int:
        return int.from_bytes(data[place : place + length], order)

    start = number(4, 4) + 2
    tags: dict[int, int] = {}
    for entry in range(start, min(start + 12 * number(start - 2, 2), len(data)), 12):
        tag, kind, count = number(entry, 2), number(entry + 2, 2), number(entry + 4, 4)
        if tag in _TIFF_LISTS:
            value = count
        elif tag in _TIFF_NUMBERS:
            value = number(entry + 8, {1: 1, 3: 2, 4: 4}.get(kind, 0))
        else:
            continue
        if tag in tags:
            raise ImageError("undecodable", f"The TIFF has the tag {tag} twice.")
        tags[tag] = value

    if 256 not in tags or 257 not in tags:
        return  # Pillow will refuse it
    width, height = tags[256], tags[257]
    check_size((width, height), max_pixels)
    tile = tags.get(322, width), tags.get(323, min(tags.get(278, height), height))
    if min(tile) < 1:
        raise ImageError("undecodable", f"The TIFF has tiles of {tile[0]} × {tile[1]} pixels.")
    if tile[0] * tile[1] > max(4 * width * height, _TILE_PIXELS):
        raise ImageError(
            "too_large",
            f"The TIFF has tiles of {tile[0]} × {tile[1]} pixels for an image of {width} × {height} pixels.",
        )
    wanted = -(-width // tile[0]) * -(-height // tile[1])
    if tags.get(284) == 2:
        wanted *= tags.get(277, 1)  # each color has its own
    listed = max((tags[tag] for tag in _TIFF_LISTS if tag in tags), default=1)
    if max(wanted, listed) > _PARTS:
        raise ImageError("too_large", f"The TIFF has more than {_PARTS:,} parts. Save it again.")
    if wanted > listed:
        raise ImageError("undecodable", f"The TIFF lists only {listed:,} of its {wanted:,} parts.")
