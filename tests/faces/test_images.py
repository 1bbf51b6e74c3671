"""One decoder: whatever the file, upright RGB pixels or a status."""

import os
import struct
import time
import tracemalloc
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from featurekit.errors import ImageError, MissingDecoderError
from featurekit.faces import images
from featurekit.faces.face import BROKEN
from featurekit.faces.images import DECODING, decode, reduction
from tests.faces.made_up import read_image

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def encoded(picture: Image.Image, kind: str, **options: Any) -> bytes:
    """Return a picture as a file's bytes."""
    file = BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def upright() -> Image.Image:
    """24 × 16: red, green above; blue, white below, in blocks that survive JPEG."""
    pixels = np.zeros((16, 24, 3), np.uint8)
    pixels[:8, :8], pixels[:8, 8:], pixels[8:, :8], pixels[8:, 8:] = RED, GREEN, BLUE, WHITE
    return Image.fromarray(pixels)


def corners(pixels: NDArray[np.uint8]) -> list[tuple[int, ...]]:
    """Return the four corners' colors, each channel rounded to black or full."""
    four = pixels[[1, 1, -2, -2], [1, -2, 1, -2]]
    return [tuple(int(value > 127) * 255 for value in color) for color in four]


def status_of(data: bytes, **limits: int) -> str:
    """Return the status that decoding ends in."""
    with pytest.raises(ImageError) as caught:
        decode(data, **limits)
    assert caught.value.status in BROKEN
    assert str(caught.value).endswith(".")
    return caught.value.status


def test_an_orientation_that_does_not_exist_is_ignored() -> None:
    exif = Image.Exif()
    exif[0x0112] = 77
    assert decode(encoded(upright(), "PNG", exif=exif)).shape == (16, 24, 3)


def test_broken_exif_does_not_make_a_picture_unreadable() -> None:
    data = encoded(upright(), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\x7f")
    assert decode(data).shape == (16, 24, 3)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "GIF", "TIFF"])
def test_lossless_formats_give_the_very_pixels_in_the_order_red_green_blue(kind: str) -> None:
    pixels = decode(encoded(upright(), kind))
    assert pixels.dtype == np.uint8
    assert pixels.flags.c_contiguous
    np.testing.assert_array_equal(pixels, np.asarray(upright()))


def test_the_content_decides_and_the_name_does_not(tmp_path: Path) -> None:
    path = tmp_path / "portrait.jpg"
    path.write_bytes(encoded(upright(), "PNG"))
    np.testing.assert_array_equal(read_image(path), np.asarray(upright()))


def test_grey_becomes_three_equal_channels() -> None:
    pixels = decode(encoded(upright().convert("L"), "PNG"))
    assert pixels.shape == (16, 24, 3)
    assert (pixels == pixels[:, :, :1]).all()


def test_one_bit_pictures_are_black_and_white() -> None:
    assert set(np.unique(decode(encoded(upright().convert("1"), "PNG")))) <= {0, 255}


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_cmyk_keeps_its_colors(kind: str) -> None:
    # Pillow writes CMYK JPEGs as Adobe does: inverted, with the marker that says so.
    options = {"quality": 95} if kind == "JPEG" else {}
    data = encoded(upright().convert("CMYK"), kind, **options)
    assert (b"Adobe" in data) == (kind == "JPEG")
    assert corners(decode(data)) == [RED, GREEN, BLUE, WHITE]


def png(color_type: int, depth: int, rows: bytes, width: int, height: int) -> bytes:
    """Return a PNG made by hand, for what Pillow does not write."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        )

    header = struct.pack(">IIBBBBB", width, height, depth, color_type, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def test_sixteen_bit_grey_is_scaled_and_not_clipped() -> None:
    rows = b"\0" + struct.pack(">4H", 0, 0x1234, 0x8000, 0xFFFF)
    assert decode(png(0, 16, rows, 4, 1))[0, :, 0].tolist() == [0, 0x12, 0x80, 0xFF]


def test_sixteen_bit_grey_tiff_is_scaled_like_a_png() -> None:
    values = np.array([[0, 0x1234, 0x8000, 0xFFFF]], np.uint16)
    assert decode(encoded(Image.fromarray(values), "TIFF"))[0, :, 1].tolist() == [0, 0x12, 0x80, 0xFF]


def test_sixteen_bit_color_is_scaled_as_grey_is() -> None:
    rows = b"\0" + struct.pack(">6H", 0, 0x1234, 0xFFFF, 0x8000, 0x80FF, 0x00FF)
    assert decode(png(2, 16, rows, 2, 1))[0].tolist() == [[0, 0x12, 0xFF], [0x80, 0x80, 0]]


def test_pictures_whose_white_is_not_known_are_refused() -> None:
    for values in (np.zeros((2, 2), np.float32), np.zeros((2, 2), np.int32)):
        assert status_of(encoded(Image.fromarray(values), "TIFF")) == "unsupported_format"


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_what_is_transparent_is_white_and_half_transparent_is_mixed(kind: str) -> None:
    colors = np.zeros((1, 3, 4), np.uint8)
    colors[0, 1, 3], colors[0, 2] = 128, (255, 0, 0, 255)
    options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    pixels = decode(encoded(Image.fromarray(colors), kind, **options))
    assert pixels[0].tolist() == [[255] * 3, [127] * 3, [255, 0, 0]]


def test_grey_with_transparency_is_laid_over_white() -> None:
    pixels = decode(encoded(Image.fromarray(np.array([[[0, 0], [0, 255]]], np.uint8), "LA"), "PNG"))
    assert pixels[0].tolist() == [[255] * 3, [0] * 3]


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_a_palette_with_a_transparent_color_is_laid_over_white(kind: str) -> None:
    picture = Image.fromarray(np.array([[0, 1]], np.uint8), "P")
    picture.putpalette([10, 20, 30, 200, 100, 50])
    pixels = decode(encoded(picture, kind, transparency=0))
    assert pixels[0].tolist() == [[255, 255, 255], [200, 100, 50]]


def test_a_color_that_stands_for_transparent_is_white() -> None:
    data = encoded(Image.fromarray(np.array([[RED, GREEN]], np.uint8)), "PNG", transparency=RED)
    assert decode(data)[0].tolist() == [list(WHITE), list(GREEN)]


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_of_an_animation_the_first_frame_is_read(kind: str) -> None:
    first, second = Image.new("RGB", (8, 8), RED), Image.new("RGB", (8, 8), BLUE)
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(first, kind, save_all=True, append_images=[second], **options)
    assert corners(decode(data)) == [RED] * 4


@pytest.mark.parametrize(("width", "height"), [(1, 1), (1, 5000), (5000, 1)])
def test_the_smallest_and_the_thinnest_pictures_are_read(width: int, height: int) -> None:
    assert decode(encoded(Image.new("RGB", (width, height), RED), "PNG")).shape == (height, width, 3)


def test_an_empty_file_says_so() -> None:
    assert status_of(b"") == "empty_file"


def test_a_text_file_named_jpg_is_undecodable(tmp_path: Path) -> None:
    path = tmp_path / "notes.jpg"
    path.write_text("not a photograph at all")
    with pytest.raises(ImageError, match="not an image of a known format") as caught:
        read_image(path)
    assert caught.value.status == "undecodable"


KINDS = {
    "JPEG": {"exif": b"Exif\0\0"},
    "PNG": {},
    "WEBP": {"lossless": True},
    "BMP": {},
    "GIF": {},
    "TIFF": {"compression": "tiff_lzw"},
}


def noise() -> Image.Image:
    """Return a picture that does not compress, so that a half file is half a picture."""
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("kept", [0.3, 0.6, 0.9])
def test_a_file_cut_short_is_truncated_and_not_undecodable(kind: str, kept: float) -> None:
    data = encoded(noise(), kind, **KINDS[kind])
    assert status_of(data[: int(len(data) * kept)]) == "truncated"


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "GIF"])
def test_a_whole_file_with_a_broken_middle_is_undecodable(kind: str) -> None:
    data = bytearray(encoded(noise(), kind, **KINDS[kind]))
    data[30 : len(data) - 40] = bytes(len(data) - 70)
    assert status_of(bytes(data)) == "undecodable"


@pytest.mark.parametrize(
    "data",
    [
        b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(40),
        b"\0\0\0\x20ftypisom" + bytes(40),
        b"%PDF-1.7" + bytes(40),
        b"8BPS" + bytes(40),
    ],
)
def test_formats_of_other_programs_are_named_as_unsupported(data: bytes) -> None:
    assert status_of(data) == "unsupported_format"


def bombs() -> dict[str, bytes]:
    """Files of a few bytes that declare 60,000 × 60,000 pixels, or 16,384 × 16,384 where that is the most."""
    side = 60_000
    jpeg = bytearray(encoded(upright(), "JPEG"))
    frame = jpeg.index(b"\xff\xc0") + 5
    jpeg[frame : frame + 4] = struct.pack(">HH", side, side)
    gif = bytearray(encoded(upright(), "GIF"))
    gif[6:10] = struct.pack("<HH", side, side)
    bmp = bytearray(encoded(upright(), "BMP"))
    bmp[18:26] = struct.pack("<ii", side, side)
    extended = b"VP8X" + struct.pack("<I", 10) + b"\0\0\0\0" + b"\xff\x3f\0" + b"\xff\x3f\0"
    webp = b"RIFF" + struct.pack("<I", 4 + len(extended)) + b"WEBP" + extended
    lossless = bytearray(encoded(upright(), "WEBP", lossless=True))
    lossless[21:25] = struct.pack("<I", 0x3FFF | 0x3FFF << 14)
    lossy = bytearray(encoded(upright(), "WEBP"))
    lossy[26:30] = struct.pack("<HH", 0x3FFF, 0x3FFF)
    tiff = bytearray(encoded(upright(), "TIFF"))
    for tag in (256, 257):  # ImageWidth, ImageLength
        place = tiff.index(struct.pack("<HH", tag, 4))
        tiff[place + 8 : place + 12] = struct.pack("<I", side)
    files = {
        "JPEG": jpeg,
        "PNG": png(2, 8, b"", side, side),
        "GIF": gif,
        "BMP": bmp,
        "WebP": webp,
        "WebP lossless": lossless,
        "WebP lossy": lossy,
        "TIFF": tiff,
    }
    return {name: bytes(data) for name, data in files.items()}


@pytest.mark.parametrize("kind", bombs())
def test_a_picture_too_large_is_refused_by_its_header_before_anything_is_decoded(kind: str) -> None:
    data = bombs()[kind]
    status_of(data)  # Pillow is imported outside the measurement
    tracemalloc.start()
    started = time.perf_counter()
    assert status_of(data) == "too_large"
    assert time.perf_counter() - started < 1
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()


def test_the_limits_are_the_callers() -> None:
    data = encoded(upright(), "PNG")
    assert decode(data, max_pixels=24 * 16).shape == (16, 24, 3)
    assert status_of(data, max_pixels=24 * 16 - 1) == "too_large"
    assert status_of(data, max_bytes=len(data) - 1) == "too_large"


def test_pillows_own_limit_neither_warns_nor_stops_a_picture_within_ours(monkeypatch: Any) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    assert decode(encoded(upright(), "PNG")).shape == (16, 24, 3)


def test_a_file_that_is_not_there_is_missing(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    for path in (tmp_path / "absent.jpg", tmp_path / "file" / "below.jpg"):
        with pytest.raises(ImageError, match="does not exist") as caught:
            read_image(path)
        assert caught.value.status == "missing_file"


def test_what_is_no_file_is_unreadable_and_is_not_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.jpg"
    os.mkfifo(pipe)
    for path in (tmp_path, pipe):
        with pytest.raises(ImageError, match="not a file") as caught:
            read_image(path)
        assert caught.value.status == "unreadable"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_one_may_not_read_is_unreadable(tmp_path: Path) -> None:
    path = tmp_path / "secret.jpg"
    path.write_bytes(encoded(upright(), "JPEG"))
    path.chmod(0)
    with pytest.raises(ImageError, match="cannot be read") as caught:
        read_image(path)
    assert caught.value.status == "unreadable"


@pytest.mark.parametrize("name", ["a\0b.jpg", "x" * 5000 + ".jpg"])
def test_a_name_no_file_can_have_is_a_bad_path(tmp_path: Path, name: str) -> None:
    with pytest.raises(ImageError) as caught:
        read_image(tmp_path / name)
    assert caught.value.status == "bad_path"


def test_a_file_over_the_limit_is_not_even_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.jpg"
    with path.open("wb") as file:
        file.truncate(10_000_000_000)  # a hole: takes no room on the disk
    with pytest.raises(ImageError, match="at most") as caught:
        read_image(path)
    assert caught.value.status == "too_large"


@settings(max_examples=150, deadline=None)
@given(
    kind=st.sampled_from(sorted(set(KINDS) - {"TIFF"})),  # libtiff talks to the terminal about broken files
    edits=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=5),
    kept=st.floats(0.02, 1),
)
def test_any_damage_gives_pixels_or_a_status_and_never_another_error(
    kind: str, edits: list[tuple[float, int]], kept: float
) -> None:
    data = bytearray(encoded(noise(), kind, **KINDS[kind]))
    for place, value in edits:
        data[min(int(place * len(data)), len(data) - 1)] = value
    # Only an ImageError may come out, and only with a status that is known.
    pixels, status = None, BROKEN[0]
    try:
        pixels = decode(bytes(data[: int(kept * len(data))]), max_pixels=1_000_000)
    except ImageError as error:
        status = error.status
    assert status in BROKEN
    assert pixels is None or (pixels.dtype == np.uint8 and pixels.shape[2:] == (3,))


def test_the_decoding_policy_is_plain_and_names_the_limits() -> None:
    assert DECODING["decoder"] == "simplejpeg, pillow"
    assert DECODING["max_pixels"] == 100_000_000


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("factor", [1, 2, 4, 8])
@pytest.mark.parametrize("orientation", [1, 6])
def test_a_jpeg_is_decoded_smaller_by_a_whole_factor_and_upright(
    mode: str, factor: int, orientation: int
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    smooth = Image.linear_gradient("L").resize((301, 203)).convert(mode)
    data = encoded(smooth, "JPEG", exif=exif, quality=95)
    whole, reduced = decode(data), decode(data, factor=factor)
    assert reduced.shape[:2] == tuple(-(-side // factor) for side in whole.shape[:2])
    means = whole[: whole.shape[0] // factor * factor, : whole.shape[1] // factor * factor]
    means = means.reshape(len(means) // factor, factor, -1, factor, 3).mean(axis=(1, 3))
    assert np.abs(means - reduced[: len(means), : means.shape[1]]).max() < 8


def test_only_a_large_jpeg_is_reduced_and_never_below_what_the_detector_needs() -> None:
    for width, factor in ((2559, 1), (2560, 2), (5120, 4), (9000, 4), (10240, 8), (30000, 8)):
        assert reduction(encoded(Image.new("L", (width, 40)), "JPEG")) == factor
    assert reduction(encoded(Image.new("L", (9000, 40)), "PNG")) == 1
    assert reduction(b"\xff\xd8\xff broken") == 1


def test_a_jpeg_is_the_same_to_the_bit_from_either_decoder(monkeypatch) -> None:
    for subsampling in (0, 1, 2):
        data = encoded(noise(), "JPEG", subsampling=subsampling)
        fast = decode(data)
        with monkeypatch.context() as patch:
            patch.setattr(images, "_fast_jpeg", lambda *_: None)
            np.testing.assert_array_equal(decode(data), fast)


def test_a_jpeg_with_a_fault_that_pillow_forgives_is_still_read() -> None:
    data = encoded(noise(), "JPEG")
    assert decode(data[:-2] + b"\0\0" + data[-2:]).shape == decode(data).shape


# ---------------------------------------------------------------- HEIC and AVIF


def heif(kind: str, picture: Image.Image, **options: Any) -> bytes:
    """Return a picture as the bytes of a HEIC or an AVIF."""
    if kind == "AVIF":
        return encoded(picture, kind, **options)
    pillow_heif = pytest.importorskip("pillow_heif")
    file = BytesIO()
    pictures = pillow_heif.from_pillow(picture)
    for other in options.pop("append_images", ()):
        pictures.add_from_pillow(other)
    pictures.save(file, **options)
    return file.getvalue()


def of_phones(side: int = 8) -> Image.Image:
    """Return upright() with larger blocks, which survive any compression."""
    return upright().resize((24 * side, 16 * side), Image.Resampling.NEAREST)


@pytest.mark.parametrize("kind", ["HEIC", "AVIF"])
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_a_photograph_of_a_phone_is_read_upright_whatever_it_is_called(
    kind: str, orientation: int, tmp_path: Path
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    as_stored = {
        3: Image.Transpose.ROTATE_180,
        6: Image.Transpose.ROTATE_90,
        8: Image.Transpose.ROTATE_270,
    }
    stored = of_phones().transpose(as_stored[orientation]) if orientation in as_stored else of_phones()
    for name in ("portrait.jpg", "portrait"):
        (tmp_path / name).write_bytes(heif(kind, stored, exif=exif.tobytes()))
        pixels = read_image(tmp_path / name)
        assert pixels.shape == (128, 192, 3)
        assert corners(pixels) == [RED, GREEN, BLUE, WHITE]


@pytest.mark.parametrize("kind", ["HEIC", "AVIF"])
@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA"])
def test_every_mode_of_a_heic_or_avif_becomes_rgb(kind: str, mode: str) -> None:
    picture = of_phones().convert(mode)
    if mode == "RGBA":
        picture.putalpha(0)
    pixels = decode(heif(kind, picture))
    assert pixels.shape == (128, 192, 3)
    if mode == "RGBA":
        assert pixels.min() > 250  # what is transparent is white


@pytest.mark.parametrize("kind", ["HEIC", "AVIF"])
def test_of_several_pictures_in_a_heic_or_avif_the_first_is_read(kind: str) -> None:
    red, blue = Image.new("RGB", (64, 64), RED), Image.new("RGB", (64, 64), BLUE)
    assert corners(decode(heif(kind, red, save_all=True, append_images=[blue], primary_index=0))) == [RED] * 4


def test_a_heic_made_of_tiles_as_phones_write_it_is_read() -> None:
    data = heif("HEIC", of_phones(20), tile_size=128)
    assert b"grid" in data
    pixels = decode(data)
    assert pixels.shape == (320, 480, 3)
    assert corners(pixels) == [RED, GREEN, BLUE, WHITE]


@pytest.mark.parametrize("kind", ["HEIC", "AVIF"])
@pytest.mark.parametrize("kept", [0.1, 0.5, 0.99])
def test_a_heic_or_avif_cut_short_is_truncated(kind: str, kept: float) -> None:
    data = heif(kind, noise())
    assert status_of(data[: int(len(data) * kept)]) == "truncated"


# A large HEIC takes seconds to make.
@pytest.mark.parametrize("kind", [pytest.param("HEIC", marks=pytest.mark.slow), "AVIF"])
@pytest.mark.parametrize("shown", [(16, 16), (60_000, 60_000), (100, 100)])
def test_a_heic_or_avif_that_hides_a_larger_picture_is_refused(kind: str, shown: tuple[int, int]) -> None:
    data = bytearray(heif(kind, Image.new("RGB", (8000, 1000), RED)))
    assert len(data) < 20_000
    place = data.index(struct.pack(">II", 8000, 1000))
    data[place : place + 8] = struct.pack(">II", *shown)
    started = time.perf_counter()
    assert status_of(bytes(data)) == "too_large"
    assert time.perf_counter() - started < 0.1
    assert status_of(heif(kind, of_phones()), max_pixels=10_000) == "too_large"


@pytest.mark.parametrize("kind", ["HEIC", "AVIF"])
@pytest.mark.parametrize(
    ("old", "new", "status"),
    [
        (b"pitm", b"iloc", "undecodable"),
        (b"infe", b"xxxx", "undecodable"),
        (b"iloc", b"xxxx", "undecodable"),
        (b"meta", b"xxxx", "undecodable"),
        (b"hvc1", b"iden", "unsupported_format"),
        (b"av01", b"iovl", "unsupported_format"),
    ],
)
def test_a_heic_or_avif_of_other_parts_is_not_given_to_a_decoder(
    kind: str, old: bytes, new: bytes, status: str
) -> None:
    data = heif(kind, of_phones())
    if old in data:
        assert status_of(data.replace(old, new)) == status


def test_a_picture_that_lacks_its_library_says_what_to_type(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, featurekit: Any
) -> None:
    data = heif("HEIC", of_phones())
    (tmp_path / "faces" / "glad").mkdir(parents=True)
    (tmp_path / "faces" / "glad" / "1.heic").write_bytes(data)
    (tmp_path / "faces" / "glad" / "2.png").write_bytes(encoded(of_phones(), "PNG"))
    monkeypatch.setitem(images._READERS, "HEIC", ("pillow_heif_not_here", "HeifImageFile"))
    said = "The file is HEIC, which needs another library: pip install 'featurekit[heif]'"
    with pytest.raises(MissingDecoderError) as caught:
        decode(data)
    assert (caught.value.status, str(caught.value)) == ("unsupported_format", said)

    featurekit("prepare", "image_folder", tmp_path / "faces", "-o", "target=mood")
    extract = ("extract", "--backbone", "mean_color", "--detector", "whole_image", "--threads", "1")
    code, output, errors = featurekit(*extract)
    assert code == 1
    assert f"warning: glad/1.heic was not read: {said}\n" in errors
    assert "not_extracted\t1\t" in output


def test_what_could_not_be_read_for_want_of_a_library_is_read_once_it_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, featurekit: Any
) -> None:
    (tmp_path / "faces" / "glad").mkdir(parents=True)
    (tmp_path / "faces" / "glad" / "1.avif").write_bytes(heif("AVIF", of_phones()))
    featurekit("prepare", "image_folder", tmp_path / "faces", "-o", "target=mood")
    extract = ("extract", "--backbone", "mean_color", "--detector", "whole_image", "--threads", "1")
    here = images._READERS["AVIF"]
    monkeypatch.setitem(images._READERS, "AVIF", ("pillow_avif_not_here", "AvifImageFile"))
    assert featurekit(*extract)[0] == 1
    monkeypatch.setitem(images._READERS, "AVIF", here)
    code, output, _ = featurekit(*extract)
    assert code == 0
    assert "ok\t1\t" in output
