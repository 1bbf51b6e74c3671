"""What a page with faces promises: the worst errors, a subject's together, and nothing but their pixels."""

import json
import re
from base64 import b64decode
from html import unescape
from io import BytesIO

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from featurekit.report.gallery import MOST_FACES, MOST_SUBJECTS, worst_first
from featurekit.report.model import SIDE

POLICY = re.compile(r'http-equiv="Content-Security-Policy" content="([^"]*)"')
HOSTILE = "<img src=x onerror=alert(1)>\u202e&amp;"


@pytest.fixture
def fit(featurekit, prepare_table):
    """Prepare the pictures as they are, and have a model read gender and age from them."""

    def fit(*features):
        prepare_table()
        names = [word for name in ("mean_color", *features) for word in ("--backbone", name)]
        code, _, errors = featurekit("extract", *names, "--detector", "whole_image")
        assert code == 0, errors
        targets = ("--target", "gender", "--target", "age")
        options = ("--model", "majority", "--folds", "4", "--no-models")
        code, _, errors = featurekit("fit", *options, *targets)
        assert code == 0, errors

    return fit


@pytest.fixture
def comparison(tmp_path):
    return tmp_path / "work" / "reports" / "table"


@pytest.fixture
def say(comparison):
    """Have the model read all faces right, but for those that it is told to read wrong."""

    def say(target, wrong):
        path = comparison / "predictions" / f"{target}--mean_color--majority.parquet"
        table = pd.read_parquet(path)
        if target == "age":
            off = [wrong.get(name, 0.0) for name in files_of(table)]
            table["predicted"] = table["true"] + off
        else:
            sure = np.array([wrong.get(name, 0.0) for name in files_of(table)])
            table["predicted"] = np.where((table["true"] == "male") == (sure > 0), "female", "male")
            said = np.where(sure > 0, sure, 0.9)
            table["p_female"] = np.where(table["predicted"] == "female", said, 1 - said)
            table["p_male"] = 1 - table["p_female"]
        table.to_parquet(path, index=False)
        _score_again(comparison / "runs" / f"{path.stem}.json", table)

    return say


def _score_again(path, table):
    """Store the scores of the predictions in the record of the run, as featurekit fit does."""
    run = json.loads(path.read_text())
    name, errors = "accuracy", table["predicted"] == table["true"]
    if run["target"] == "age":
        name, errors = "mae_years", (table["predicted"] - table["true"]).abs()
    run["scores"][name]["folds"] = list(errors.groupby(table["fold"]).mean())
    path.write_text(json.dumps(run))


@pytest.fixture
def page(featurekit, comparison):
    """Write the report with faces and return its page."""

    def page(*options):
        code, _, errors = featurekit("report", *(options or ("--faces", "thumb")))
        assert code == 0, errors
        return (comparison / "report.html").read_text()

    return page


def files_of(table):
    return [str(name).rpartition("/")[2] for name in table["face_id"]]


def shown(page):
    """Return the file names in the order that they are shown in."""
    return [unescape(name) for name in re.findall(r'<bdi class="file">(.*?)</bdi>', page)]


def pictures(page):
    return [b64decode(data) for data in re.findall(r'<img src="data:image/jpeg;base64,([^"]*)"', page)]


def fails_with(result, *parts):
    code, _, errors = result
    assert code == 1
    lines = [line for line in errors.splitlines() if line.startswith("error:")]
    assert len(lines) == 1, errors
    assert [part for part in parts if part not in lines[0]] == []


def test_a_page_that_was_not_asked_for_faces_has_none(fit, say, page):
    fit()
    say("gender", {"s1_0.png": 0.9})
    plain = page("--name", "table")
    assert "<img" not in plain
    assert "data:" not in POLICY.search(plain)[1]
    assert "gallery" not in plain
    assert "s1_0" not in plain
    assert page("--faces", "none") == plain


def test_only_a_page_with_faces_may_show_pictures_and_only_its_own(fit, say, page):
    fit()
    say("gender", {"s1_0.png": 0.9})
    rules = POLICY.search(page())[1].split("; ")
    assert rules.count("img-src data:") == 1
    assert rules[0] == "default-src 'none'"
    without = POLICY.search(page("--faces", "none"))[1].split("; ")
    kept = [rule for rule in rules if not rule.startswith(("img-src", "style-src"))]
    assert kept == [rule for rule in without if not rule.startswith("style-src")]


def test_the_surest_wrong_answer_comes_first_and_a_subjects_faces_stand_together(fit, say, page):
    fit()
    say("age", {})
    say("gender", {"s0_0.png": 0.6, "s0_2.png": 0.95, "s1_1.png": 0.9, "s5_0.png": 0.99})
    html = page()
    assert shown(html) == ["s5_0.png", "s0_2.png", "s0_0.png", "s1_1.png"]
    subjects = re.findall(r'class="who">Subject <bdi>(.*?)</bdi> <span class="count">(.*?)</span>', html)
    assert subjects == [
        ("s5", "1 of 3 faces wrong"),
        ("s0", "2 of 3 faces wrong"),
        ("s1", "1 of 3 faces wrong"),
    ]


def test_years_that_are_farthest_off_come_first_and_half_a_year_is_no_error(fit, say, page):
    fit()
    say("gender", {})
    say("age", {"s0_0.png": 0.4, "s1_0.png": -20.0, "s2_0.png": 0.5, "s3_0.png": 31.25})
    html = page()
    assert shown(html) == ["s3_0.png", "s1_0.png", "s2_0.png"]
    assert "3 of 24 faces have an error of half a year or more" in html
    assert 'alt="5 predicted as 36.2, error 31.2 years"' in html
    assert "error 20.0 years" in html


def test_what_was_read_stands_beside_the_face_and_in_its_place(fit, say, page):
    fit()
    say("gender", {"s1_0.png": 0.934})
    html = page()
    assert 'alt="female predicted as male, confidence 93 %"' in html
    assert "<bdi>female</bdi> → <strong><bdi>male</bdi></strong><br>confidence 93" in html


def test_no_more_is_shown_than_a_few_faces_of_a_few_subjects():
    subjects = np.repeat([f"s{number}" for number in range(40)], 10)
    off = np.linspace(1, 2, len(subjects))
    chosen = worst_first(off, subjects)
    assert len(chosen) == MOST_SUBJECTS
    assert {len(faces) for faces in chosen} == {MOST_FACES}
    assert chosen[0].tolist() == [399, 398, 397, 396]
    assert chosen[-1].tolist() == [169, 168, 167, 166]


def test_of_equal_errors_the_manifests_order_decides():
    subjects = np.array(["b", "a", "b", "a"])
    assert [faces.tolist() for faces in worst_first(np.ones(4), subjects)] == [[0, 2], [1, 3]]


def test_persons_whom_nobody_named_stand_alone_and_are_not_called_anything(fit, say, page, portraits):
    people = portraits / "people.csv"
    people.write_text(people.read_text().replace(",s1,", ",,"))
    fit()
    say("gender", {"s1_0.png": 0.9, "s1_1.png": 0.8})
    say("age", {})
    html = page()
    assert shown(html) == ["s1_0.png", "s1_1.png"]
    assert 'class="who"' not in html
    assert html.count('<ul class="faces">') == 2
    assert "row:" not in html


def test_hostile_names_are_text(fit, say, page, portraits):
    people = portraits / "people.csv"
    people.write_text(people.read_text().replace(",s1,", f",{HOSTILE},").replace("s1_0", "\u202e<b>s1_0"))
    (portraits / "photos" / "s1_0.png").rename(portraits / "photos" / "\u202e<b>s1_0.png")
    fit()
    say("gender", {"\u202e<b>s1_0.png": 0.9})
    say("age", {})
    html = page()
    assert "&lt;img src=x onerror=alert(1)&gt;\\u202e&amp;amp;" in html.replace("<wbr>", "")
    assert "\\u202e&lt;b&gt;s1_0.png" in html
    assert "\u202e" not in html
    assert "<b>" not in html
    assert len(re.findall("<img ", html)) == 1


def test_nothing_of_a_file_but_its_pixels_gets_into_the_page(fit, say, page, portraits):
    path = portraits / "photos" / "s1_0.png"
    with Image.open(path) as picture:
        exif = picture.getexif()
        exif[0x010E] = "at home, Example Street 5"  # what the picture shows
        picture.save(path, exif=exif)
    assert b"Example Street" in path.read_bytes()
    fit()
    say("gender", {"s1_0.png": 0.9})
    say("age", {})
    (jpeg,) = pictures(page())
    with Image.open(BytesIO(jpeg)) as picture:
        assert picture.size == (SIDE, SIDE)
        assert not picture.getexif()
        assert set(picture.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
    assert b"Example" not in jpeg
    assert b"Exif" not in jpeg


def test_a_face_is_shown_as_the_networks_saw_it(fit, say, page):
    fit()
    say("gender", {"s0_0.png": 0.9, "s1_0.png": 0.8})
    say("age", {})
    bluish, reddish = (np.asarray(Image.open(BytesIO(jpeg))) for jpeg in pictures(page()))
    assert bluish[:, :, 2].mean() > bluish[:, :, 0].mean() + 50
    assert reddish[:, :, 0].mean() > reddish[:, :, 2].mean() + 50


@pytest.mark.slow
@pytest.mark.parametrize("how", ["removed", "changed"])
def test_a_picture_that_cannot_be_had_is_counted(fit, say, page, portraits, how):
    fit()
    say("gender", {"s1_0.png": 0.9, "s1_1.png": 0.8, "s2_0.png": 0.7})
    say("age", {})
    for name in ("s1_0.png", "s2_0.png"):
        if how == "removed":
            (portraits / "photos" / name).unlink()
        else:
            Image.new("RGB", (40, 48)).save(portraits / "photos" / name)
    html = page()
    assert shown(html) == ["s1_1.png"]
    assert "3 of 24 faces are misclassified. 1 of them is shown," in html
    assert "2 more faces cannot be shown" in html


@pytest.mark.slow
def test_where_no_picture_is_left_there_is_one_clear_line(featurekit, fit, say, comparison, portraits):
    fit()
    say("gender", {"s1_0.png": 0.9, "s2_0.png": 0.7})
    say("age", {})
    for path in (portraits / "photos").iterdir():
        path.unlink()
    result = featurekit("report", "--faces", "thumb")
    fails_with(result, "None of 2 faces can be shown", str(portraits / "photos"))
    assert not (comparison / "report.html").exists()


@pytest.mark.slow
def test_faces_that_were_kept_are_shown_without_the_photographs(fit, say, page, portraits):
    fit("pixels")
    say("gender", {"s1_0.png": 0.9, "s2_0.png": 0.7})
    say("age", {"s4_0.png": 9.0})
    before = page()
    assert len(pictures(before)) == 3
    for path in (portraits / "photos").iterdir():
        path.unlink()
    assert page() == before


@pytest.mark.slow
def test_where_no_predictions_are_left_there_is_one_clear_line(featurekit, fit, comparison):
    fit()
    assert featurekit("report")[0] == 0
    plain = (comparison / "report.html").read_text()
    (comparison / "predictions" / "gender--mean_color--majority.parquet").unlink()
    fails_with(
        featurekit("report", "--faces", "thumb"), "There are no predictions of gender", "featurekit fit"
    )
    assert (comparison / "report.html").read_text() == plain


@pytest.mark.slow
def test_a_model_without_an_error_has_no_gallery(fit, say, page):
    fit()
    say("gender", {})
    say("age", {})
    html = page()
    assert "0 of 24 faces are misclassified." in html
    assert "<img" not in html
    assert "img-src" not in html


def test_a_page_with_faces_says_that_it_must_not_be_passed_on_lightly(featurekit, fit, say, comparison):
    fit()
    say("gender", {"s1_0.png": 0.9})
    said = featurekit("report", "--faces", "thumb")[1]
    assert "Share it only as the owner of the images allows" in said
    html = (comparison / "report.html").read_text()
    assert html.index("This page shows images of people.") < html.index("<img")
    assert "Share it only" not in featurekit("report")[1]


def test_markdown_shows_and_names_nobody_but_says_where_the_faces_are(fit, say, page, comparison):
    fit()
    say("gender", {"s1_0.png": 0.9})
    page("--faces", "none")
    plain = (comparison / "report.md").read_text()
    page()
    text = (comparison / "report.md").read_text()
    assert "data:" not in text
    assert "s1_0" not in text
    assert "the worst errors of the best model (majority). The faces are shown in report.html only." in text
    assert set(plain.splitlines()) <= set(text.splitlines())


@pytest.mark.slow
def test_the_same_comparison_gives_the_same_page(fit, say, page):
    fit()
    say("gender", {"s1_0.png": 0.9, "s2_0.png": 0.7})
    assert page() == page()


@pytest.mark.slow
def test_a_page_full_of_faces_is_small(fit, say, page, portraits):
    rng = np.random.default_rng(0)
    for path in (portraits / "photos").iterdir():  # nothing is harder to compress
        Image.fromarray(rng.integers(0, 256, (200, 200, 3), np.uint8)).save(path)
    fit()
    everybody = {f"s{subject}_{number}.png": 0.9 for subject in range(8) for number in range(3)}
    say("gender", everybody)
    say("age", {})
    each = (len(page()) - len(page("--faces", "none"))) / len(everybody)
    assert each * 3 * MOST_SUBJECTS * MOST_FACES < 2e6


def test_another_way_to_show_faces_is_refused(featurekit, prepared):
    fails_with(featurekit("report", "--faces", "thumbs"), "Did you mean 'thumb'", "none")
    fails_with(featurekit("report", "--compare", "a", "b", "--faces", "thumb"), "shows no faces")
