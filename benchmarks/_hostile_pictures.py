"""Made-up pictures in every format that featurekit reads, and damage done to them.

The same seed and number give the same file everywhere, so that a picture which a
decoder cannot bear is named by two numbers.
"""

import random
import struct
import zlib
from collections.abc import Callable, Iterator
from functools import cache
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image

WIDTH, HEIGHT = 31, 24
PNG = b"\x89PNG\r\n\x1a\n"

# What a size or a length is changed to: nothing, nearly right, at a border, negative.
LIES = (0, 1, 23, 25, 32, 255, 4097, 2**15, 2**16 - 1, 2**24, 2**31 - 1, 2**31, 2**32 - 2, 2**32 - 1)


def encoded(picture: Image.Image, kind: str, **options: Any) -> bytes:
    """Return a picture as a file's bytes."""
    file = BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def png_chunk(name: bytes, content: bytes) -> bytes:
    """Return a part of a PNG, with its length and checksum."""
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png(
    width: int,
    height: int,
    packed: bytes,
    *,
    before: bytes = b"",
    behind: bytes = b"",
    interlaced: bool = False,
) -> bytes:
    """Return an RGB PNG of packed rows, with other chunks before or behind them."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, interlaced)
    chunks = png_chunk(b"IHDR", header) + before + png_chunk(b"IDAT", packed) + behind
    return PNG + chunks + png_chunk(b"IEND", b"")


def bmp_in_runs(width: int, height: int, runs: bytes) -> bytes:
    """Return a BMP of 256 colors in run lengths."""
    colors = b"".join(bytes((value, 255 - value, value, 0)) for value in range(256))
    start = 14 + 40 + len(colors)
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(runs), 0, 0, 256, 0)
    return b"BM" + struct.pack("<IHHI", start + len(runs), 0, 0, start) + header + colors + runs


def tiff(tags: dict[int, list[int]], content: bytes = b"") -> bytes:
    """Return a TIFF of 32-bit tags; a list that is empty stands for where the content begins."""
    start = 8 + 2 + 12 * len(tags) + 4
    behind = start + sum(4 * len(values) for values in tags.values() if len(values) > 1)
    directory, lists = struct.pack("<H", len(tags)), b""
    for tag, values in sorted(tags.items()):
        packed = struct.pack(f"<{len(values)}I", *values) if values else struct.pack("<I", behind)
        if len(packed) > 4:
            packed, lists = struct.pack("<I", start + len(lists)), lists + packed
        directory += struct.pack("<HHI", tag, 4, max(len(values), 1)) + packed
    return b"II*\0\x08\0\0\0" + directory + bytes(4) + lists + content


@cache
def pictures() -> dict[str, bytes]:
    """Return a small whole picture in each format and flavour."""
    pixels = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    pixels[4:12, 6:24] = (200, 60, 30)  # something that compresses, too
    color = Image.fromarray(pixels)
    grey, other = color.convert("L"), Image.fromarray(np.ascontiguousarray(pixels[::-1]))
    glass, few = color.convert("RGBA"), color.quantize(16)
    glass.putalpha(grey)
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "made up"
    frames: dict[str, Any] = {"save_all": True, "append_images": [other, color]}
    passes = [
        (0, 0, 8, 8),
        (4, 0, 8, 8),
        (0, 4, 4, 8),
        (2, 0, 4, 4),
        (0, 2, 2, 4),
        (1, 0, 2, 2),
        (0, 1, 1, 2),
    ]
    interlaced = b"".join(
        b"\0" + row.tobytes() for x, y, dx, dy in passes for row in pixels[y::dy, x::dx] if row.size
    )
    runs = b"".join(b"\x10\x01\x0a\x07\0\x05abcde\0\0\0" for _ in range(HEIGHT)) + b"\0\1"
    return {
        "JPEG": encoded(color, "JPEG"),
        "progressive JPEG": encoded(color, "JPEG", progressive=True, subsampling=0),
        "CMYK JPEG": encoded(color.convert("CMYK"), "JPEG"),
        "grey JPEG with Exif": encoded(grey, "JPEG", exif=exif),
        "PNG": encoded(color, "PNG", exif=exif),
        "16-bit PNG": encoded(Image.fromarray(pixels[:, :, 0].astype(np.uint16) * 257), "PNG"),
        "interlaced PNG": png(WIDTH, HEIGHT, zlib.compress(interlaced), interlaced=True),
        "PNG with a palette": encoded(few, "PNG", transparency=3),
        "animated PNG": encoded(color, "PNG", **frames),
        "lossy WebP": encoded(color, "WEBP", exif=exif),
        "lossless WebP": encoded(glass, "WEBP", lossless=True),
        "animated WebP": encoded(color, "WEBP", **frames),
        "GIF": encoded(few, "GIF", transparency=3),
        "animated GIF": encoded(color, "GIF", **frames),
        "BMP": encoded(color, "BMP"),
        "BMP in run lengths": bmp_in_runs(WIDTH, HEIGHT, runs),
        "TIFF": encoded(color, "TIFF"),
        "TIFF with LZW": encoded(glass, "TIFF", compression="tiff_lzw", exif=exif),
        "TIFF with deflate": encoded(color, "TIFF", compression="tiff_adobe_deflate"),
        "TIFF with JPEG": encoded(color, "TIFF", compression="jpeg"),
        "fax TIFF": encoded(grey.convert("1"), "TIFF", compression="group4"),
        "AVIF": encoded(color, "AVIF", exif=exif),
        "AVIF with transparency": encoded(glass, "AVIF"),
        "animated AVIF": encoded(color, "AVIF", **frames),
        "HEIC": heic(color, exif=exif.tobytes()),
        "HEIC with transparency": heic(glass),
    }


def heic(picture: Image.Image, **options: Any) -> bytes:
    """Return a picture as a HEIC's bytes."""
    from pillow_heif import from_pillow

    file = BytesIO()
    from_pillow(picture).save(file, **options)
    return file.getvalue()


def mutated(seed: int, number: int) -> tuple[str, bytes]:
    """Return what was damaged, and the damaged file: always the same for the same two numbers."""
    chance = random.Random(f"{seed} {number}")
    names = list(pictures())
    name = names[number % len(names)]
    data = bytearray(pictures()[name])
    done = []
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        damage = chance.choice(DAMAGES)
        damage(data, chance)
        done.append(damage.__name__)
    if data.startswith(PNG) and chance.random() < 0.7:
        mend_checksums(data)
    return f"{name}: {', '.join(done)}", bytes(data)


def flip_bits(data: bytearray, chance: random.Random) -> None:
    """Turn up to eight bits round."""
    for _ in range(chance.randint(1, 8)):
        if data:
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def delete_range(data: bytearray, chance: random.Random) -> None:
    """Take something out."""
    del data[slice(*_range(data, chance))]


def repeat_range(data: bytearray, chance: random.Random) -> None:
    """Put something in twice, or many times."""
    start, stop = _range(data, chance)
    data[stop:stop] = data[start:stop] * chance.choice((1, 1, 50))


def zero_range(data: bytearray, chance: random.Random) -> None:
    """Overwrite something with zeros."""
    start, stop = _range(data, chance)
    data[start:stop] = bytes(stop - start)


def splice(data: bytearray, chance: random.Random) -> None:
    """Put a piece of another picture over or between."""
    other = chance.choice(list(pictures().values()))
    start, stop = _range(bytearray(other), chance)
    place = chance.randint(0, len(data))
    data[place : place + chance.choice((0, stop - start))] = other[start:stop]


def cut_off(data: bytearray, chance: random.Random) -> None:
    """Leave only the beginning."""
    del data[chance.randint(0, len(data)) :]


def lie_about_a_length(data: bytearray, chance: random.Random) -> None:
    """Write a number that is huge, zero or negative, mostly where headers are."""
    form = chance.choice(("<H", ">H", "<I", ">I"))
    lie = struct.pack(form, chance.choice(LIES) % 256 ** struct.calcsize(form))
    place = chance.randrange(max(1, min(len(data), chance.choice((64, 256, 10**6)))))
    data[place : place + len(lie)] = lie


def lie_about_the_size(data: bytearray, chance: random.Random) -> None:
    """Write another size where the picture's width or height stands."""
    form, less = chance.choice((("<H", 0), (">H", 0), ("<I", 0), (">I", 0), ("<H", 1)))  # WebP's is one less
    size = struct.pack(form, chance.choice((WIDTH, HEIGHT)) - less)
    places = [place for place in range(len(data)) if data.startswith(size, place)]
    if places:
        lie = struct.pack(form, chance.choice(LIES) % 256 ** len(size))
        place = chance.choice(places)
        data[place : place + len(size)] = lie


DAMAGES: tuple[Callable[[bytearray, random.Random], None], ...] = (
    flip_bits,
    delete_range,
    repeat_range,
    zero_range,
    splice,
    cut_off,
    lie_about_a_length,
    lie_about_the_size,
)


def _range(data: bytearray, chance: random.Random) -> tuple[int, int]:
    start = chance.randint(0, len(data))
    return start, min(len(data), start + chance.choice((1, 2, 4, 16, 100, 1000)))


def mend_checksums(data: bytearray) -> None:
    """Make a PNG's checksums right, without which a reader looks no further."""
    for place, length in _chunks(data):
        content = data[place + 4 : place + 8 + length]
        data[place + 8 + length : place + 12 + length] = struct.pack(">I", zlib.crc32(content))


def _chunks(data: bytearray) -> Iterator[tuple[int, int]]:
    place = len(PNG)
    while place + 12 <= len(data):
        length = int.from_bytes(data[place : place + 4])
        if place + 12 + length > len(data):
            return
        yield place, length
        place += 12 + length
