"""The faces on photographs, to look at."""

import io
import logging

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import featurekit as fk
from featurekit.errors import PhotographError, UnknownNameError
from featurekit.inference.columns import BEFORE

WHOLE = {"detector": "whole_image", "progress": False, "n_jobs": 1}
PIXELS = np.random.default_rng(0).integers(0, 255, (2, 48, 40, 3), dtype=np.uint8)


def test_a_face_is_a_row_with_its_box_and_a_photograph_without_one_has_its_reason(portraits):
    photo = portraits / "photos" / "s0_0.png"
    (portraits / "broken.jpg").write_bytes(b"nothing")
    found = fk.find_faces([photo, portraits / "nobody.jpg", portraits / "broken.jpg", PIXELS[0]], **WHOLE)
    assert repr(found) == "FoundFaces(2 faces on 4 images)"
    assert found.images[3] == "image 3"
    table = found.frame()
    assert list(table.columns[:4]) == list(BEFORE)
    assert list(table["photograph"]) == found.images
    assert list(table["status"]) == ["ok", "missing_file", "undecodable", "ok"]
    assert list(table["face"]) == [1, 0, 0, 1]
    assert table.loc[0, ["x1", "y1", "x2", "y2"]].tolist() == [0, 0, 40, 48]
    assert table["message"].str.contains("nobody.jpg does not exist").tolist() == [False, True, False, False]
    assert table[["left_eye_x", "right_mouth_y"]].isna().all(axis=None)
    first, second = found
    assert (first.image, first.number, second.image) == (str(photo), 1, "image 3")
    assert first.crop(32).shape == (32, 32, 3)
    assert first.crop(32).dtype == np.uint8
    assert len(found[:1]) == 1
    assert "undecodable" in found._repr_html_()


def test_a_folder_stands_for_the_photographs_in_it_and_what_is_none_is_noted(portraits, caplog):
    (portraits / "photos" / "notes.txt").write_text("no picture")
    with caplog.at_level(logging.WARNING, "featurekit"):
        found = fk.find_faces(portraits / "photos", **WHOLE)
    assert len(found) == 24
    assert "not images: 1" in caplog.text


def test_the_number_of_threads_changes_nothing(portraits):
    tables = [fk.find_faces(portraits / "photos", **{**WHOLE, "n_jobs": n}).frame() for n in (1, 3)]
    pd.testing.assert_frame_equal(*tables)


def test_how_far_it_is_is_told():
    told = []
    fk.find_faces(PIXELS, **{**WHOLE, "progress": lambda done, total: told.append((done, total))})
    assert told == [(1, 2), (2, 2)]


@pytest.mark.parametrize(
    ("given", "options", "error", "says"),
    [
        ([], {}, PhotographError, r"^No images are given\.$"),
        ([None], {}, PhotographError, r"^Image 0 of 1 \(counted from 0\) is None"),
        (PIXELS, {"choose": "box"}, UnknownNameError, "^Unknown way to choose a face 'box'"),
        (PIXELS, {"detector": "centreface"}, UnknownNameError, "^Unknown detector 'centreface'"),
    ],
)
def test_what_cannot_be_looked_at_is_one_error(given, options, error, says):
    with pytest.raises(error, match=says):
        fk.find_faces(given, **{**WHOLE, **options})


def test_a_crop_of_no_size_or_template_is_refused():
    (face, _) = fk.find_faces(PIXELS, **WHOLE)
    with pytest.raises(PhotographError, match=r"^The size of a crop must be 1 to 4096 pixels\. Got 0"):
        face.crop(0)
    with pytest.raises(UnknownNameError, match=r"^Unknown template 'dlip'\. Did you mean 'dlib'"):
        face.crop(template="dlip")


@pytest.mark.slow
@pytest.mark.weights
def test_a_portrait_is_drawn_with_its_face_and_its_crop_is_the_networks(tmp_path):
    import skimage.data

    pixels = skimage.data.astronaut()
    found = fk.find_faces([pixels, np.full((64, 96, 3), 128, np.uint8)], choose="largest", progress=False)
    (face,) = found
    assert face.confidence > 0.5
    assert repr(face).startswith("FoundFace('image 0', number=1, box=(")
    left, right, nose, *_ = face.landmarks
    assert left[0] < nose[0] < right[0]
    table = found.frame()
    assert table.loc[0, ["left_eye_x", "left_eye_y"]].tolist() == left.tolist()
    assert table["status"].tolist() == ["ok", "no_face"]
    axes = found.plot()
    assert len(axes.images) == 1
    assert len(axes.lines) == 3  # the box twice, and the landmarks
    assert [text.get_text() for text in axes.texts] == ["1"]
    file = io.BytesIO()
    axes.figure.savefig(file, format="png")
    assert Image.open(file).size[0] > 100
    assert found.plot(image="image 1").get_title() == "no face was found"
    for asked, says in (
        (2, "^There is no image 2: there are 2 images"),
        ("image 3", "^Unknown image 'image 3'"),
    ):
        with pytest.raises(PhotographError, match=says):
            found.plot(image=asked)


def test_it_is_drawn_on_axes_that_are_given():
    from matplotlib.figure import Figure

    axes = Figure().subplots()
    assert fk.find_faces(PIXELS, **WHOLE).plot(axes, image=-1) is axes
