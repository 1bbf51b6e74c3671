"""What a photograph can be given as, and what is said of what cannot be one."""

import io
from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from featurekit.errors import ImageError, PhotographError
from featurekit.faces.align import TEMPLATES
from featurekit.faces.find import cut_out, in_reading_order, open_finder, see_faces
from featurekit.faces.images import decode
from featurekit.faces.photographs import content_of, photographs_from
from featurekit.faces.settings import default_settings
from tests.faces.made_up import photograph

PIXELS = np.arange(2 * 5 * 4 * 3, dtype=np.uint8).reshape(2, 5, 4, 3)


def encoded(image, kind="PNG", **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def closed():
    file = io.BytesIO(b"a")
    file.close()
    return file


def names(given):
    return [one.name for one in photographs_from(given)]


# ---------------------------------------------------------------- what is taken


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("a.jpg", ["a.jpg"]),
        (Path("holiday") / "a.jpg", ["holiday/a.jpg"]),
        (b"\xff\xd8", ["image 0"]),
        (bytearray(b"\xff\xd8"), ["image 0"]),
        (PIXELS[0], ["image 0"]),
        (PIXELS, ["image 0", "image 1"]),
        (PIXELS[:0], []),
        (Image.fromarray(PIXELS[0]), ["image 0"]),
        (["a.jpg", PIXELS[0], b"\xff\xd8"], ["a.jpg", "image 1", "image 2"]),
        (("a.jpg", Path("b.jpg")), ["a.jpg", "b.jpg"]),
        (iter(["a.jpg"]), ["a.jpg"]),
        (np.array(["a.jpg", "b.jpg"]), ["a.jpg", "b.jpg"]),
        (np.array([["a.jpg"], ["b.jpg"]], dtype=object), ["a.jpg", "b.jpg"]),
        (pd.Series(["a.jpg", "b.jpg"], index=[7, 3]), ["a.jpg", "b.jpg"]),
        (pd.Series(["a.jpg", "b.jpg"], dtype="string"), ["a.jpg", "b.jpg"]),
        (pd.DataFrame({"file": ["a.jpg"]}), ["a.jpg"]),
        ([], []),
    ],
    ids=lambda value: type(value).__name__,
)
def test_photographs_of_any_kind_are_taken_in_their_order(given, expected):
    assert names(given) == expected


def test_an_image_that_was_opened_from_a_file_is_read_upright_as_the_file_is(tmp_path):
    data = photograph(40, 20, exif=_turned())
    (tmp_path / "a.jpg").write_bytes(data)
    with Image.open(tmp_path / "a.jpg") as image:
        (one,) = photographs_from(image)
        np.testing.assert_array_equal(one.read(), decode(data))
    assert decode(data).shape == (40, 20, 3)


def _turned():
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "P", "CMYK", "1", "I;16"])
def test_an_image_of_any_mode_gives_the_pixels_of_its_file(mode):
    image = Image.fromarray(PIXELS[0]).convert(mode) if mode != "I;16" else _sixteen_bit()
    kind = "TIFF" if mode == "CMYK" else "PNG"
    (one,) = photographs_from(image)
    np.testing.assert_array_equal(one.read(), decode(encoded(image, kind)))


def _sixteen_bit():
    return Image.fromarray(PIXELS[0, ..., 0].astype(np.uint16) * 257)


def test_an_image_that_cannot_be_read_is_said_to_be_broken_when_it_is_read(tmp_path):
    data = photograph(200, 200)
    with Image.open(io.BytesIO(data[: len(data) // 2])) as image:
        (one,) = photographs_from([image])
        with pytest.raises(ImageError, match=r"^The image file is incomplete: it ends before") as caught:
            one.read()
    assert caught.value.status == "truncated"
    (one,) = photographs_from([Image.fromarray(np.zeros((4, 4), np.float32))])
    with pytest.raises(
        ImageError, match=r"^The image has 32 bits per value, so it is not known which value is white\.$"
    ):
        one.read()


def test_a_file_is_not_opened_before_it_is_read(tmp_path):
    (one,) = photographs_from(tmp_path / "nobody.jpg")
    with pytest.raises(ImageError) as caught:
        one.read()
    assert caught.value.status == "missing_file"


class Stream:
    """Can be read once and not be set back, as a download."""

    def __init__(self, data):
        self.data = data

    def read(self):
        data, self.data = self.data, b""
        return data


@pytest.mark.parametrize("kind", ["file", "memory", "stream"])
def test_an_open_file_is_one_image_wherever_it_stands(tmp_path, kind):
    data = encoded(Image.fromarray(PIXELS[0]))
    (tmp_path / "a.png").write_bytes(data)
    with (tmp_path / "a.png").open("rb") as opened:
        file = {"file": opened, "memory": io.BytesIO(data), "stream": Stream(data)}[kind]
        if kind != "stream":
            file.read()  # as after writing it
        (one,) = photographs_from(file)
        assert (one.name, one.read(), one.read()) == ("image 0", data, data)
        if kind != "stream":
            assert [one.read() for one in photographs_from([file, file])] == [data, data]


def test_a_folder_is_told_from_a_file_wherever_it_was_named(tmp_path):
    (one,) = photographs_from(str(tmp_path))
    with pytest.raises(ImageError, match=r" is a folder, not a file\. Give the names of the files in it\.$"):
        one.read()


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (None, r"^The image is None. An image must be a file name, the bytes of a file, a Pillow image"),
        (["a.jpg", None], r"^Image 1 of 2 \(counted from 0\) is None. An image must be"),
        (pd.Series(["a.jpg", np.nan]), r"^Image 1 of 2 \(counted from 0\) is nan\. "),
        (pd.Series(["a.jpg", None], dtype="string"), r"^Image 1 of 2 \(counted from 0\) is <NA>\. "),
        (["a.jpg", ""], r"^Image 1 of 2 \(counted from 0\) has an empty name\.$"),
        (
            io.StringIO("a"),
            r"^The image is a file that is open as text\. Open it with open\(name, 'rb'\)",
        ),
        ([io.BytesIO()], r"^Image 0 of 1 .* is an open file with no bytes left to read\.$"),
        (closed(), r"^The image is an open file that cannot be read: I/O operation on closed file\.$"),
        ([3], r"^Image 0 of 1 \(counted from 0\) is of type int\. "),
        ({"a.jpg": 1}, r"^The image is of type dict\. "),
        ([["a.jpg"]], r"^Image 0 of 1 \(counted from 0\) is of type list\. "),
        (
            [PIXELS[0], PIXELS[0] / 255],
            r"^Image 1 of 2 \(counted from 0\) must be uint8 with shape \(h, w, 3\), in the order red,"
            r" green, blue\. Got float64 with shape \(5, 4, 3\) instead\. Scale"
            r" its values to 0\.\.255, round them and use"
            r" \.astype\(np\.uint8\)\.$",
        ),
        (PIXELS.astype(np.float32), r"^The array of images must be uint8 with shape \(n, h, w, 3\)"),
        (np.zeros((5, 4, 4), np.uint8), r"Remove the fourth channel: pixels\[\.\.\., :3\]\.$"),
        ([np.zeros((5, 4), np.uint8)], r"Grey pixels need three equal channels\.$"),
        (
            np.zeros((5, 4)),
            r"^An array of images must be uint8 with shape \(n, h, w, 3\), and an array of one",
        ),
        (np.zeros((0, 4, 3), np.uint8), r"^The image has no pixels: its shape is \(0, 4, 3\)\.$"),
        ([PIXELS], r"^Image 0 of 1 \(counted from 0\) must be uint8 with shape \(h, w, 3\)"),
        (np.array([["a", "b"]]), r"^An array of file names must have one dimension\. Got shape \(1, 2\)"),
        (
            pd.DataFrame({"file": ["a.jpg"], "age": [3]}),
            r"^The DataFrame has 2 columns \(file, age\)\. Give the column of image names, for example"
            r" frame\['file'\]\.$",
        ),
    ],
)
def test_what_cannot_be_a_photograph_is_one_error_that_names_its_position(given, says):
    with pytest.raises(PhotographError, match=says) as caught:
        photographs_from(given)
    assert isinstance(caught.value, ValueError)


# ---------------------------------------------------------------- pixels are as good as their file


def test_content_is_the_files_hash_and_that_of_pixels_has_their_shape_in_it():
    data = encoded(Image.fromarray(PIXELS[0]))
    assert content_of(data) == sha256(data).hexdigest()
    turned = PIXELS[0].reshape(4, 5, 3)
    assert len({content_of(data), content_of(PIXELS[0]), content_of(turned)}) == 3
    assert content_of(PIXELS[0]) == content_of(np.asfortranarray(PIXELS[0]))


@pytest.mark.weights
def test_pixels_are_seen_to_the_last_bit_as_the_file_that_decodes_to_them():
    import skimage.data

    pixels = skimage.data.astronaut()
    settings = default_settings("centerface", "all")
    finder = open_finder(settings)
    kinds = [("dlib", 64), ("imagenet", 224)]
    ways = (encoded(Image.fromarray(pixels)), pixels, np.asfortranarray(pixels))
    (first, *_), *others = [in_reading_order(see_faces(way, finder, settings, kinds)[0]) for way in ways]
    assert first.face.status == "ok"
    for other, *_ in others:
        np.testing.assert_array_equal(other.face.landmarks, first.face.landmarks)
        for kind in kinds:
            np.testing.assert_array_equal(other.crops[kind], first.crops[kind])


@pytest.mark.weights
def test_a_face_that_is_cut_out_later_is_the_same_cut():
    import skimage.data

    pixels = skimage.data.astronaut()
    settings = default_settings("centerface", "largest")
    kinds = [(template, 96) for template in TEMPLATES]
    (one,), _ = see_faces(pixels, open_finder(settings), settings, kinds)
    for kind in kinds:
        np.testing.assert_array_equal(cut_out(pixels, one.face, kind), one.crops[kind])
