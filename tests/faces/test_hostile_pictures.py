"""Nobody can end a run, hold it up or fill the memory with a picture: what cannot be decoded has a status."""

import json
import subprocess
import sys
import textwrap
import zlib
from collections.abc import Callable
from functools import cache
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from featurekit.errors import ImageError
from featurekit.faces import _limits, images
from featurekit.faces.images import decode

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def _load(name: str) -> ModuleType:
    spec = spec_from_file_location(name, BENCHMARKS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


made_up = _load("_hostile_pictures")
encoded, png_chunk = made_up.encoded, made_up.png_chunk


def run_python(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run code in a process of its own, which may end in any way."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(code), str(BENCHMARKS), *map(str, arguments)],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )


def status_of(data: bytes) -> tuple[str, str]:
    """Return the status that decoding ends in, and its message."""
    with pytest.raises(ImageError) as caught:
        decode(data)
    return caught.value.status, str(caught.value)


# Whatever takes longer than the alarm ends the process, as a crash would.
DECODE_DAMAGED = """
    import signal, sys
    from collections import Counter
    import numpy as np
    sys.path.insert(0, sys.argv[1])
    from _hostile_pictures import mutated
    from featurekit.errors import ImageError
    from featurekit.faces.face import BROKEN
    from featurekit.faces.images import decode
    became = Counter()
    for number in range(int(sys.argv[3])):
        what, data = mutated(int(sys.argv[2]), number)
        print(number, what, flush=True)
        signal.alarm(10)
        try:
            pixels = decode(data)
        except ImageError as error:
            assert error.status in BROKEN, error.status
            became[error.status] += 1
        else:
            assert pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] == 3, pixels.shape
            became["decoded"] += 1
    print(*sorted(became))
"""


@pytest.mark.parametrize(("seed", "count"), [(1, 1000), pytest.param(2, 5_000, marks=pytest.mark.slow)])
def test_every_damaged_picture_gives_pixels_or_a_status(seed: int, count: int) -> None:
    done = run_python(DECODE_DAMAGED, seed, count)
    *pictures, last = done.stdout.splitlines()
    assert done.returncode == 0, f"seed {seed}, picture {last}: {done.returncode}\n{done.stderr[-2000:]}"
    assert len(pictures) == count
    assert {"decoded", "too_large", "truncated", "undecodable"} <= set(last.split())


def test_there_are_twelve_formats_and_more_and_the_same_seed_damages_them_alike() -> None:
    assert len(made_up.pictures()) >= 12
    assert {decode(data).shape for data in made_up.pictures().values()} == {(24, 31, 3), (31, 24, 3)}
    assert [made_up.mutated(5, n) for n in range(40)] == [made_up.mutated(5, n) for n in range(40)]
    assert len({made_up.mutated(5, n)[1] for n in range(40)}) == 40


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads the memory from /proc")
def test_memory_stays_flat_over_whole_and_broken_pictures() -> None:
    done = run_python(
        """
        import runpy, sys
        sys.path.insert(0, sys.argv[1])
        sys.argv = ["flat_memory.py", "--count", sys.argv[2]]
        runpy.run_path(sys.path[0] + "/flat_memory.py", run_name="__main__")
        """,
        3000,
    )
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    assert "Memory stayed flat" in done.stdout


# --- Small files that are, or say that they are, enormous ---

MANY, HUGE = 100_000_000, 65_500


@cache
def zeros() -> bytes:
    """Return 100 MB, packed."""
    return zlib.compress(bytes(MANY))


def changed(data: bytes, places: dict[int, bytes]) -> bytes:
    """Return a file with other bytes at some places."""
    copy = bytearray(data)
    for place, others in places.items():
        copy[place : place + len(others)] = others
    return bytes(copy)


def jpeg_of_passes(width: int, height: int, passes: int) -> bytes:
    """Return a grey progressive JPEG whose every pass says in a few bytes that nothing changes."""
    blocks = -(-width // 8) * -(-height // 8)

    def segment(marker: int, content: bytes) -> bytes:
        return bytes((0xFF, marker)) + (len(content) + 2).to_bytes(2) + content

    whole = encoded(Image.new("L", (16, 16)), "JPEG")
    table = whole.index(b"\xff\xdb")
    one_code = bytes([1, *[0] * 15])
    frame = b"\x08" + height.to_bytes(2) + width.to_bytes(2) + b"\1\1\x11\0"
    data = b"\xff\xd8" + whole[table : table + 69] + segment(0xC2, frame)
    data += segment(0xC4, b"\0" + one_code + b"\0") + segment(0xC4, b"\x10" + one_code + b"\xe0")
    data += segment(0xDA, b"\1\1\0\0\0\0") + bytes(-(-blocks // 8))
    # One code stands for 16,384 blocks and as many more as the 14 bits behind it say.
    bits = "".join("0" + "0" * 14 for _ in range(-(-blocks // 2**14)))
    nothing = int(bits.ljust(-(-len(bits) // 8) * 8, "1"), 2).to_bytes(-(-len(bits) // 8))
    refined = [segment(0xDA, b"\1\1\0\1\x3f" + bytes([0xDC])) + nothing] * (passes - 2)
    return data + segment(0xDA, b"\1\1\0\1\x3f\x0d") + nothing + b"".join(refined) + b"\xff\xd9"


def png_with(before: bytes = b"", behind: bytes = b"") -> bytes:
    """Return a PNG of 4 × 4 pixels with other chunks."""
    data: bytes = made_up.png(4, 4, zlib.compress(bytes(4 * 13)), before=before, behind=behind)
    return data


def tiff_of(width: int, height: int, **others: list[int]) -> bytes:
    """Return a grey TIFF, packed with deflate, whose content is 100 MB of zeros."""
    names = {"strips": 273, "rows": 278, "lengths": 279, "tile_width": 322, "tile_height": 323, "tiles": 324}
    tags = {256: [width], 257: [height], 258: [8], 259: [8], 262: [1], 277: [1]}
    tags |= {names[name]: values for name, values in others.items()}
    tags |= {325 if "tiles" in others else 279: others.get("lengths", [len(zeros())])}
    data: bytes = made_up.tiff(tags, zeros())
    return data


@cache
def bombs() -> dict[str, tuple[str, bytes]]:
    """What it is → how decoding it ends, and the file."""
    picture, huge = Image.new("RGB", (24, 16), (9, 99, 9)), HUGE.to_bytes(2) * 2
    jpeg, cmyk = encoded(picture, "JPEG"), encoded(picture.convert("CMYK"), "JPEG")
    gif, bmp, webp = encoded(picture, "GIF"), encoded(picture, "BMP"), encoded(picture, "WEBP")
    lossless = encoded(picture, "WEBP", lossless=True)
    colors = 13 + 3 * (2 << (gif[10] & 7))
    frame = gif.index(b",", colors)
    canvas = b"VP8X" + (10).to_bytes(4, "little") + b"\0\0\0\0" + b"\xff\x3f\0" * 2
    small = b"VP8X" + (10).to_bytes(4, "little") + b"\0\0\0\0" + b"\3\0\0" * 2
    big_frame = changed(webp, {26: b"\xff\x3f" * 2})[12:]

    def riff(chunks: bytes) -> bytes:
        return b"RIFF" + (4 + len(chunks)).to_bytes(4, "little") + b"WEBP" + chunks

    letters = zlib.compress(b"a" * 2**20)
    wide = zlib.compress(("\N{GRINNING FACE}" + "a" * (2**20 - 4)).encode())
    texts = b"".join(png_chunk(b"iTXt", b"%d\0\1\0\0\0" % number + wide) for number in range(60))
    xmp = b"".join(png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + wide) for _ in range(60))
    again = png_chunk(b"IHDR", HUGE.to_bytes(4) * 2 + b"\x08\2\0\0\0")
    # A thousand tags that all say that their value is the same megabyte.
    tags = b"".join(tag.to_bytes(2, "little") + b"\7\0\0\0\x10\0\0\x10\0\0" for tag in range(1000, 2000))
    exif = b"II*\0\x08\0\0\0" + (1000).to_bytes(2, "little") + tags + bytes(2**20)
    frames = [Image.new("RGB", (8, 8), (number % 256, number // 256, 0)) for number in range(1000)]
    animated: dict[str, Any] = {"save_all": True, "append_images": frames[1:]}
    strips = list(range(8, 300_008))
    return {
        "JPEG": ("too_large", changed(jpeg, {jpeg.index(b"\xff\xc0") + 5: huge})),
        "CMYK JPEG": ("too_large", changed(cmyk, {cmyk.index(b"\xff\xc0") + 5: huge})),
        "JPEG of 500 passes": ("too_large", jpeg_of_passes(9984, 9984, 500)),
        "PNG": ("too_large", made_up.png(HUGE, HUGE, zlib.compress(b""))),
        "PNG with a second header": ("too_large", png_with(before=again)),
        "PNG that unpacks to more": ("decoded", made_up.png(4, 4, zeros())),
        "PNG with a text": ("decoded", png_with(before=png_chunk(b"zTXt", b"a\0\0" + zeros()))),
        "PNG with a profile": ("decoded", png_with(before=png_chunk(b"iCCP", b"a\0\0" + zeros()))),
        "PNG with many texts": ("decoded", png_with(before=texts)),
        "PNG with many texts behind": ("decoded", png_with(behind=texts)),
        "PNG with many XMP": ("decoded", png_with(behind=xmp)),
        "PNG with many profiles": ("decoded", png_with(before=png_chunk(b"iCCP", b"a\0\0" + letters) * 200)),
        "PNG with Exif": ("decoded", png_with(behind=png_chunk(b"eXIf", exif))),
        "animated PNG": ("decoded", encoded(frames[0], "PNG", **animated)),
        "GIF": ("too_large", changed(gif, {6: huge})),
        "GIF with a larger frame": ("too_large", changed(gif, {frame + 5: huge})),
        "animated GIF": ("decoded", encoded(frames[0], "GIF", **animated)),
        "WebP": ("too_large", changed(webp, {26: b"\xff\x3f" * 2})),
        "lossless WebP": ("too_large", changed(lossless, {21: b"\xff\xff\xff\x0f"})),
        "WebP with a canvas": ("too_large", riff(canvas)),
        "WebP with a larger frame": ("undecodable", riff(small + big_frame)),
        "animated WebP": ("decoded", encoded(frames[0], "WEBP", **animated)),
        "BMP": ("too_large", changed(bmp, {18: HUGE.to_bytes(4, "little") * 2})),
        "BMP upside down": ("too_large", changed(bmp, {18: b"\xdc\xff\0\0" + b"\0\0\xff\xff"})),
        "BMP in lines": ("too_large", made_up.bmp_in_runs(10_000, 10_000, b"\1\1\0\0" * 10_000)),
        "BMP in steps": ("too_large", made_up.bmp_in_runs(10_000, 10_000, b"\0\2\0\xff" * 40)),
        "TIFF": ("too_large", tiff_of(HUGE, HUGE, strips=[])),
        "TIFF that unpacks to more": ("decoded", tiff_of(16, 16, strips=[])),
        "TIFF of one long strip": ("decoded", tiff_of(16, 16, strips=[], rows=[2**31 - 1])),
        "TIFF of many strips": ("too_large", tiff_of(1, 300_000, strips=strips, rows=[1])),
        "TIFF of strips it lacks": ("undecodable", tiff_of(9999, 9999, strips=[8], rows=[1])),
        "TIFF of a hundred million rows": ("too_large", tiff_of(1, MANY - 1, strips=[8], rows=[1])),
        "TIFF of tiny tiles": (
            "too_large",
            tiff_of(9999, 9999, tile_width=[1], tile_height=[1], tiles=[8, 8]),
        ),
        "TIFF of a huge tile": (
            "too_large",
            tiff_of(16, 16, tile_width=[30_000], tile_height=[30_000], tiles=[]),
        ),
        "TIFF of no rows a strip": ("undecodable", tiff_of(16, 16, strips=[], rows=[0])),
        "TIFF of big tags": ("undecodable", exif),
        "TIFF of many pages": ("decoded", encoded(frames[0], "TIFF", **animated)),
    }


# Each in a fork, so that the highest memory is the picture's own.
MEASURE = """
    import json, os, resource, sys, time
    from pathlib import Path
    sys.path.insert(0, sys.argv[1])
    from _hostile_pictures import pictures
    from featurekit.errors import ImageError
    from featurekit.faces.images import decode

    def peak():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    for data in pictures().values():
        decode(data)
    for path in sys.argv[2:]:
        data = Path(path).read_bytes()
        reading, writing = os.pipe()
        if not os.fork():
            before, seconds = peak(), []
            for _ in range(3):
                started, status = time.perf_counter(), "decoded"
                try:
                    decode(data)
                except ImageError as error:
                    status = error.status
                seconds.append(time.perf_counter() - started)
            os.write(writing, json.dumps([status, min(seconds), peak() - before]).encode())
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as answer:
            print(answer.read() or json.dumps(["crashed", 0, 0]))
        os.wait()
"""


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, float, float]]:
    """Bomb → how decoding it ended, the seconds and the memory in MB that it took."""
    folder = tmp_path_factory.mktemp("bombs")
    paths = [folder / name for name in bombs()]
    for path, (_, data) in zip(paths, bombs().values(), strict=True):
        path.write_bytes(data)
    done = run_python(MEASURE, *paths)
    assert done.returncode == 0, done.stderr[-2000:]
    return {path.name: json.loads(line) for path, line in zip(paths, done.stdout.splitlines(), strict=True)}


def test_a_bomb_takes_neither_time_nor_memory(measured: dict[str, tuple[str, float, float]]) -> None:
    assert {bomb: len(data) for bomb, (_, data) in bombs().items() if len(data) >= 2_000_000} == {}
    assert {bomb: how for bomb, (how, _, _) in measured.items()} == {
        bomb: status for bomb, (status, _) in bombs().items()
    }
    assert {bomb: seconds for bomb, (_, seconds, _) in measured.items() if seconds >= 0.1} == {}
    assert {bomb: memory for bomb, (_, _, memory) in measured.items() if memory >= 50} == {}


# --- What a header says is believed only as far as it costs nothing ---


def test_the_passes_of_a_jpeg_are_counted_and_not_what_looks_like_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_limits, "_JPEG_WORK", 31 * 24 * 12)
    once, progressive = made_up.pictures()["JPEG"], made_up.pictures()["progressive JPEG"]
    assert _limits._jpeg_passes(once) == 1
    assert _limits._jpeg_passes(progressive) == 10
    alike = b"\xff\xda" * 100
    comment = b"\xff\xfe" + (len(alike) + 2).to_bytes(2) + alike
    for data in (once, progressive):
        for other in (data[:2] + comment + data[2:], data + alike):
            np.testing.assert_array_equal(decode(other), decode(data))
    assert decode(jpeg_of_passes(31, 24, 12)).shape == (24, 31, 3)
    status, message = status_of(jpeg_of_passes(31, 24, 13))
    assert status == "too_large"
    assert message == "The JPEG stores its 31 × 24 pixels in 13 passes, which are too many. Save it again."


def test_a_jpeg_that_sends_its_colors_one_by_one_has_a_pass_for_each() -> None:
    once = made_up.pictures()["JPEG"]
    scan = once.index(b"\xff\xda")
    one_color = b"\xff\xda\0\x08\1\1\0\0\x3f\0"
    assert _limits._jpeg_passes(once[:scan] + one_color * 7 + b"\xff\xd9") == 7


def test_a_bmp_in_run_lengths_of_a_fair_size_is_read() -> None:
    assert decode(made_up.bmp_in_runs(1000, 1000, b"\xff\7\xff\7\xff\7\xeb\7\0\0" * 1000)).shape == (
        1000,
        1000,
        3,
    )


def test_a_png_of_too_many_parts_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_limits, "_PARTS", 20)
    assert decode(png_with(before=png_chunk(b"teSt", b"") * 10)).shape == (4, 4, 3)
    assert status_of(png_with(before=png_chunk(b"teSt", b"") * 20))[0] == "too_large"


def test_a_tiff_that_says_a_thing_twice_or_lacks_a_part_is_undecodable() -> None:
    whole = made_up.tiff({256: [4], 257: [4], 258: [8], 259: [1], 262: [1], 273: [8, 8], 278: [2]}, bytes(16))
    assert decode(whole).shape == (4, 4, 3)
    lacking = made_up.tiff({256: [4], 257: [4], 258: [8], 259: [1], 262: [1], 273: [8, 8], 278: [1]})
    assert status_of(lacking) == ("undecodable", "The TIFF lists only 2 of its 4 parts.")
    twice = whole.replace((258).to_bytes(2, "little") + b"\4\0", (257).to_bytes(2, "little") + b"\4\0", 1)
    assert status_of(twice) == ("undecodable", "The TIFF has the tag 257 twice.")


def test_a_tile_may_be_somewhat_larger_than_its_picture() -> None:
    tags = {256: [16], 257: [16], 258: [8], 259: [1], 262: [1], 322: [256], 323: [256], 324: []}
    assert decode(made_up.tiff(tags, bytes(256 * 256))).shape == (16, 16, 3)


# --- Orientation, whoever decodes ---

CORNERS = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)]
STORED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def exif_of(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def xmp_of(orientation: int) -> bytes:
    return f'<x:xmpmeta><rdf:Description tiff:Orientation="{orientation}"/></x:xmpmeta>'.encode()


def jpeg(picture: Image.Image, orientation: int, **options: Any) -> bytes:
    where = {"exif": exif_of(orientation)} | options
    return bytes(encoded(picture, "JPEG", quality=95, **where))


def faulty_jpeg(picture: Image.Image, orientation: int) -> bytes:
    data = jpeg(picture, orientation)
    return changed(data, {data.index(b"JFIF") + 5: b"\x09"})  # a version that does not exist


def png_exif_behind(picture: Image.Image, orientation: int) -> bytes:
    data = encoded(picture, "PNG")
    return bytes(data[:-12] + png_chunk(b"eXIf", exif_of(orientation).tobytes()[6:]) + data[-12:])


def png_text(key: str, value: str) -> PngImagePlugin.PngInfo:
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Author", "somebody", zip=True)
    texts.add_itxt(key, value) if key.startswith("XML") else texts.add_text(key, value, zip=True)
    return texts


def png_raw_profile(picture: Image.Image, orientation: int) -> bytes:
    content = exif_of(orientation).tobytes()
    text = f"\nexif\n{len(content):8}\n{content.hex()}\n"
    return bytes(encoded(picture, "PNG", pnginfo=png_text("Raw profile type exif", text)))


def png_xmp(picture: Image.Image, orientation: int) -> bytes:
    texts = png_text("XML:com.adobe.xmp", xmp_of(orientation).decode())
    return bytes(encoded(picture, "PNG", pnginfo=texts))


# Who writes it → whether simplejpeg reads it.
JPEGS: dict[str, tuple[Callable[[Image.Image, int], bytes], bool]] = {
    "JPEG": (jpeg, True),
    "progressive JPEG": (lambda picture, turn: jpeg(picture, turn, progressive=True), True),
    "JPEG with XMP": (lambda picture, turn: jpeg(picture, turn, exif=b"", xmp=xmp_of(turn)), True),
    "CMYK JPEG": (lambda picture, turn: jpeg(picture.convert("CMYK"), turn), False),
    "faulty JPEG": (faulty_jpeg, False),
}
OTHERS: dict[str, Callable[[Image.Image, int], bytes]] = {
    "PNG": lambda picture, turn: encoded(picture, "PNG", exif=exif_of(turn)),
    "PNG, Exif behind the pixels": png_exif_behind,
    "PNG, Exif as a text": png_raw_profile,
    "PNG, XMP": png_xmp,
    "WebP": lambda picture, turn: encoded(picture, "WEBP", exif=exif_of(turn), quality=95),
    "lossless WebP": lambda picture, turn: encoded(picture, "WEBP", exif=exif_of(turn), lossless=True),
    "TIFF": lambda picture, turn: encoded(picture, "TIFF", exif=exif_of(turn)),
    "packed TIFF": lambda picture, turn: encoded(picture, "TIFF", exif=exif_of(turn), compression="tiff_lzw"),
}


FLAVOURS = [
    *(
        pytest.param(write, factor, id=f"{name}/{factor}")
        for name, (write, _) in JPEGS.items()
        for factor in (1, 2, 4, 8)
    ),
    *(pytest.param(write, 1, id=name) for name, write in OTHERS.items()),
]


def four_colors() -> Image.Image:
    """240 × 160: red, green above; blue, white below; the corner is smaller than a quarter."""
    pixels = np.zeros((160, 240, 3), np.uint8)
    pixels[:80, :80], pixels[:80, 80:], pixels[80:, :80], pixels[80:, 80:] = CORNERS
    return Image.fromarray(pixels)


@pytest.mark.parametrize(("write", "factor"), FLAVOURS)
@pytest.mark.parametrize("orientation", STORED)
def test_every_orientation_comes_out_upright_whoever_decodes(
    write: Callable[[Image.Image, int], bytes], factor: int, orientation: int
) -> None:
    turn = STORED[orientation]
    stored = four_colors() if turn is None else four_colors().transpose(turn)
    pixels = decode(write(stored, orientation), factor=factor)
    assert pixels.shape == (160 // factor, 240 // factor, 3)
    four = pixels[[2, 2, -3, -3], [2, -3, 2, -3]]
    assert [tuple(int(value > 127) * 255 for value in color) for color in four] == CORNERS


@pytest.mark.parametrize("name", JPEGS)
def test_the_jpegs_tried_are_those_of_both_decoders(name: str) -> None:
    write, is_fast = JPEGS[name]
    fast = images._fast_jpeg(write(four_colors(), 6), 1, images.MAX_PIXELS)
    assert (fast is not None) == is_fast
