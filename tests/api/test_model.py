"""A fitted model in a notebook: the same answers as on the command line, for photographs of any kind."""

import io
import logging

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import featurekit as fk
from featurekit.cache.store import Store
from featurekit.embeddings.extractor import extract
from featurekit.embeddings.index import record_of
from featurekit.embeddings.recipe import make_recipes
from featurekit.errors import ModelError, PhotographError, TargetError, UnknownNameError, WorkspaceError
from featurekit.evaluation.comparison import Comparison
from featurekit.evaluation.planning import plan
from featurekit.faces.settings import default_settings
from tests.inference.made_up import people, write_table

GENDER, AGE = "gender--mean_color--logistic_regression", "age--mean_color--logistic_regression"
QUIET = {"progress": False, "n_jobs": 1}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A project with a model of gender and one of age, fitted once: women are reddish, men bluish."""
    root = tmp_path_factory.mktemp("fitted")
    manifest = people(root, 120, 1)
    how, store = default_settings("whole_image"), Store(root / "cache")
    ledger = record_of(extract(manifest, make_recipes(["mean_color"], how), how, store), how, {})
    comparison = Comparison.open(root / "report", manifest, n_folds=4)
    plans = plan(manifest, ledger, models=["logistic_regression"], targets=["gender", "age"])
    plans = [one for one in plans if not one.kind.is_baseline]
    comparison.run(plans, ledger, store, models_folder=root / "models", threads=1)
    return root


@pytest.fixture
def gender(saved):
    return fk.load_model(saved / "models" / GENDER)


@pytest.fixture
def photos(portraits):
    return sorted((portraits / "photos").iterdir())


def as_csv(table, path):
    write_table(table, path)
    return path.read_bytes()


# ---------------------------------------------------------------- the same answers as the command's


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, []),
        ({"probabilities": True}, ["--probabilities"]),
        ({"choose": "center", "sets": True}, ["--faces", "center", "--sets"]),
        ({"abstain_above": 0.5}, ["--abstain-above", "0.5"]),
    ],
    ids=str,
)
def test_the_table_is_that_of_the_command_to_the_last_byte(
    featurekit, saved, photos, tmp_path, options, words
):
    asked = ("predict", photos[0].parent, "--model", saved / "models" / GENDER)
    written = tmp_path / "out.csv"
    code, _, errors = featurekit(*asked, *words, "--output", written)
    assert code == 0, errors
    table = fk.load_model(saved / "models" / GENDER).predict(photos[0].parent, **options, **QUIET)
    assert as_csv(table, tmp_path / "ours.csv") == written.read_bytes()


def test_several_models_answer_in_one_pass_as_on_the_command_line(featurekit, saved, photos, tmp_path):
    folders = [saved / "models" / name for name in (GENDER, AGE)]
    written = tmp_path / "out.csv"
    code, _, errors = featurekit(
        "predict", *photos[:5], *[word for one in folders for word in ("--model", one)], "--output", written
    )
    assert code == 0, errors
    for models in (folders, [fk.load_model(folders[0]), str(folders[1])]):
        table = fk.predict(photos[:5], models, **QUIET)
        assert as_csv(table, tmp_path / "ours.csv") == written.read_bytes()
    by_name = fk.predict(photos[:5], [GENDER, AGE], project=saved, **QUIET)
    pd.testing.assert_frame_equal(by_name, table)


def test_photographs_of_any_kind_get_the_same_answers(gender, photos):
    first = Image.open(photos[0])
    data = photos[0].read_bytes()
    pixels = np.asarray(first)
    given = [photos[0], str(photos[0]), data, first, pixels]
    table = gender.predict(given, probabilities=True, **QUIET)
    assert list(table["photograph"]) == [str(photos[0])] * 2 + ["image 2", "image 3", "image 4"]
    rest = table.drop(columns="photograph")
    for row in range(1, 5):
        pd.testing.assert_series_equal(rest.loc[row], rest.loc[0], check_names=False)
    both = gender.predict(np.stack([pixels, pixels]), **QUIET)
    assert list(both["photograph"]) == ["image 0", "image 1"]
    first.close()


def test_a_photograph_that_cannot_be_read_is_one_row_with_its_reason(gender, photos, tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"nothing")
    table = gender.predict(pd.Series([photos[0], tmp_path / "broken.jpg", tmp_path / "nobody.jpg"]), **QUIET)
    assert list(table["status"]) == ["ok", "undecodable", "missing_file"]
    assert list(table["gender"] == "") == [False, True, True]
    assert table["message"][2] == f"{tmp_path / 'nobody.jpg'} does not exist."


@pytest.mark.weights
def test_without_models_those_off_the_shelf_answer():
    import skimage.data

    table = fk.predict(skimage.data.astronaut(), choose="largest", progress=False)
    assert table["gender"].tolist() == ["female"]
    assert {"age", "age_group", "gender_probability"} < set(table.columns)


# ---------------------------------------------------------------- what a model says of itself


def test_a_model_says_what_it_is_and_has_its_card(gender):
    assert (gender.name, gender.target, gender.classes) == (GENDER, "gender", ("female", "male"))
    assert gender.features == ["mean_color:mean"]
    assert repr(gender) == f"Model('{GENDER}': gender by logistic_regression on mean_color:mean)"
    assert gender.card.startswith(f"# {GENDER}\n\nThis model predicts **gender** (female, male)")


def test_a_model_is_saved_and_read_back(gender, photos, tmp_path):
    assert gender.save(tmp_path / "mine" / "gender") == tmp_path / "mine" / "gender"
    again = fk.load_model("gender", project=_project_with(tmp_path))
    pd.testing.assert_frame_equal(again.predict(photos, **QUIET), gender.predict(photos, **QUIET))
    assert (tmp_path / "mine" / "gender" / "README.md").read_text() == gender.card
    gender.save(str(tmp_path / "mine" / "gender"))  # in its own place
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").write_text("years of work")
    with pytest.raises(ModelError, match=r"other contains other files. Give a new folder"):
        gender.save(tmp_path / "other")


def _project_with(folder):
    (folder / "models").symlink_to(folder / "mine")
    return folder


# ---------------------------------------------------------------- why it says so


def test_a_model_is_explained_as_the_command_explains_it(featurekit, gender, saved, photos, tmp_path):
    drawn = tmp_path / "drawn"
    code, output, errors = featurekit(
        "explain", saved / "models" / GENDER, *photos[:2], "--output", drawn, "--threads", 1
    )
    assert code == 0, errors
    pixels = [np.asarray(Image.open(io.BytesIO(path.read_bytes()))) for path in photos[:2]]
    found = gender.explain(photos[:2], **QUIET)
    ours = found.save(tmp_path / "ours")
    assert [path.name for path in ours] == ["s0_0.png", "s0_1.png"]
    for path in ours:
        assert path.read_bytes() == (drawn / path.name).read_bytes()
    table = found.frame()
    assert list(table["photograph"]) == [str(path) for path in photos[:2]]
    assert list(table["how"]) == ["occlusion", "occlusion"]
    assert found[0].said in output
    of_pixels = gender.explain(pixels, **QUIET)
    assert [one.name for one in of_pixels] == ["image-0", "image-1"]
    for one, other in zip(of_pixels, found, strict=True):
        np.testing.assert_array_equal(one.heat, other.heat)
    with pytest.raises(TargetError, match=r"^No mean map was written\."):
        found.save_means(tmp_path / "means")
    with pytest.raises(WorkspaceError, match="is the folder of the images"):
        found.save(photos[0].parent)


def test_what_cannot_be_explained_is_a_row_with_its_reason(gender, photos, tmp_path):
    found = gender.explain([photos[0], tmp_path / "nobody.jpg"], **QUIET)
    assert len(found) == 1
    assert repr(found) == "Explanations(1 faces on 2 images)"
    assert list(found.frame()["face"]) == [1, 0]
    assert "does not exist" in found.frame()["message"][1]


def test_only_networks_trained_end_to_end_are_exported(gender, tmp_path):
    with pytest.raises(ModelError, match="Only networks trained end to end can be exported"):
        gender.export(tmp_path / "gender.onnx")
    with pytest.raises(WorkspaceError, match=r"^An exported network is an \.onnx file\. Got 'gender\.pt'"):
        gender.export(tmp_path / "gender.pt")


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("given", "options", "error", "says"),
    [
        ([], {}, PhotographError, r"^No images are given\.$"),
        (["a.jpg", 0.5], {}, PhotographError, r"^Image 1 of 2 \(counted from 0\) is 0\.5"),
        ("a.jpg", {"choose": "box"}, UnknownNameError, "^Unknown way to choose a face 'box'"),
        ("a.jpg", {"abstain_above": 5}, ModelError, "^abstain_above must be between 0 and 1. Got 5"),
        ("a.jpg", {"device": "tpu"}, fk.FeaturekitError, "^device must be one of"),
        ("a.jpg", {"n_jobs": 0}, fk.FeaturekitError, "^n_jobs must be -1 or at least 1"),
    ],
)
def test_an_argument_that_cannot_be_is_one_error(gender, given, options, error, says):
    with pytest.raises(error, match=says):
        gender.predict(given, **{**QUIET, **options})


@pytest.mark.weights
def test_a_model_that_does_not_know_how_sure_it_may_be_says_so_without_words_of_the_command_line(photos):
    with pytest.raises(
        ModelError, match=r"^gender--off_the_shelf cannot abstain.* leave abstain_above out\.$"
    ):
        fk.predict(photos[0], abstain_above=0.1, **QUIET)
    with pytest.raises(WorkspaceError, match=r"^sets has no effect: gender--off_the_shelf, "):
        fk.predict(photos[0], sets=True, **QUIET)


def test_an_option_without_effect_is_an_error_or_a_note_that_names_the_argument(saved, photos, caplog):
    with pytest.raises(
        WorkspaceError,
        match=r"^probabilities has no effect: age--.* does not predict"
        " classes",
    ):
        fk.predict(photos[0], AGE, project=saved, probabilities=True, **QUIET)
    with caplog.at_level(logging.WARNING, "featurekit"):
        fk.predict(photos[0], [GENDER, AGE], project=saved, probabilities=True, **QUIET)
    assert caplog.messages == [f"probabilities does not apply to {AGE}, which does not predict classes."]


def test_what_is_no_model_is_one_error(gender, saved, photos, tmp_path):
    with pytest.raises(ModelError, match=r"^Model 1 of 2 \(counted from 0\) is of type int. Give"):
        fk.predict(photos[0], [gender, 3], **QUIET)
    with pytest.raises(ModelError, match=r"^No models are given"):
        fk.predict(photos[0], [], **QUIET)
    with pytest.raises(ModelError, match="is given twice"):
        fk.predict(photos[0], [gender, saved / "models" / GENDER], **QUIET)
    with pytest.raises(WorkspaceError, match=r"is not a model, but a folder of 2 models .*fk\.load_model\('"):
        fk.load_model(saved / "models")
    with pytest.raises(WorkspaceError, match=r"^There is no model gender"):
        fk.load_model("gender", project=tmp_path)
    with pytest.raises(WorkspaceError, match="is a saved model, not a folder of images"):
        gender.predict(saved / "models" / GENDER, **QUIET)
