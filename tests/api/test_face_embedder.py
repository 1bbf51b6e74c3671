"""Photographs to vectors, as a transformer that scikit-learn's tools take."""

import io
import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.base import clone  # noqa: TID253  # the whole file is about it
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score  # noqa: TID253
from sklearn.pipeline import make_pipeline  # noqa: TID253
from sklearn.svm import SVC  # noqa: TID253
from sklearn.utils import get_tags  # noqa: TID253
from sklearn.utils.estimator_checks import parametrize_with_checks  # noqa: TID253

from featurekit.api.face_embedder import FaceEmbedder
from featurekit.api.project import Project
from featurekit.cache.store import Store
from featurekit.data.prepare import prepare
from featurekit.embeddings import extractor
from featurekit.embeddings import open_networks as opening
from featurekit.embeddings.extractor import extract
from featurekit.embeddings.recipe import make_recipes
from featurekit.embeddings.vectors import load_embeddings
from featurekit.errors import EmbeddingError, EngineError, ModelError, PhotographError, UnknownNameError
from featurekit.faces.images import decode, read_bytes
from featurekit.faces.settings import default_settings
from featurekit.networks.backbones import split_feature

SIMPLE = {"backbone": "mean_color", "detector": "whole_image", "n_jobs": 1}


@pytest.fixture
def photos(portraits):
    """The made-up portraits: women are reddish, men bluish."""
    return pd.read_csv(portraits / "people.csv").assign(
        file=lambda table: [str(portraits / "photos" / name) for name in table["file"]]
    )


def extracted(manifest, features, settings, store, **options):
    """Return what an extraction remembers of a data set."""
    recipes = make_recipes(features, settings, **options)
    extract(manifest, recipes, settings, store, threads=1)
    parts = [recipes[f"{name}:{split_feature(name)[1]}"] for name in features]
    return load_embeddings(manifest, parts, settings, store)


# ---------------------------------------------------------------- the numbers are those of an extraction


@pytest.mark.parametrize("n_jobs", [1, 3])
def test_vectors_equal_those_of_an_extraction_to_the_last_bit(
    manifest, settings, photos, tmp_path, corner_color, n_jobs
):
    features = ["mean_color", corner_color]
    known = extracted(manifest, features, settings, Store(tmp_path / "cache"), mirrored=True)
    embedder = FaceEmbedder("+".join(features), mirror=True, detector="whole_image", n_jobs=n_jobs)
    found = embedder.fit_transform(photos["file"])
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, known.vectors)
    backwards = embedder.transform(list(photos["file"])[::-1])
    np.testing.assert_array_equal(backwards[::-1], known.vectors)


def test_vectors_equal_those_of_embed_and_have_the_same_names(X, photos):
    embedder = FaceEmbedder(**SIMPLE).set_output(transform="pandas")
    table = embedder.fit_transform(photos["file"])
    np.testing.assert_array_equal(table.to_numpy(), X.vectors)
    assert list(table.columns) == list(X.frame().columns)


@pytest.mark.slow
def test_helper_processes_give_the_same_bits_and_are_told_whole_paths(photos, monkeypatch, tmp_path):
    monkeypatch.setattr(extractor, "HELPERS_FROM", 10)
    alone = FaceEmbedder(**SIMPLE).transform(photos["file"])
    monkeypatch.chdir(Path(photos["file"][0]).parent)
    names = [Path(name).name for name in photos["file"]]
    monkeypatch.setattr(opening, "open_networks", lambda *_: pytest.fail("a network was opened here"))
    together = FaceEmbedder(**{**SIMPLE, "n_jobs": 2}).transform(names)
    np.testing.assert_array_equal(together, alone)


@pytest.mark.slow
@pytest.mark.weights
def test_a_real_network_gives_the_same_bits_for_a_file_its_bytes_its_pixels_and_an_extraction(tmp_path):
    import skimage.data

    pixels = skimage.data.astronaut()
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    (tmp_path / "photos").mkdir()
    path = tmp_path / "photos" / "portrait.png"
    path.write_bytes(file.getvalue())
    embedder = FaceEmbedder("dlib_age", mirror=True, n_jobs=2)
    ways = [path, file.getvalue(), pixels, Image.fromarray(pixels), pixels[:, ::-1]]
    found = embedder.transform(ways)
    for other in found[1:4]:
        np.testing.assert_array_equal(other, found[0])
    assert (found[4] != found[0]).any()
    pd.DataFrame({"file": ["portrait.png"], "sex": ["female"]}).to_csv(tmp_path / "t.csv", index=False)
    columns = {"image_path": "file", "gender": "sex"}
    manifest = prepare("table", tmp_path / "t.csv", root=tmp_path / "photos", columns=columns)
    known = extracted(manifest, ["dlib_age"], default_settings(), Store(tmp_path / "cache"), mirrored=True)
    np.testing.assert_array_equal(known.vectors[0], found[0])


# ---------------------------------------------------------------- what has no vector


def test_a_photograph_without_a_vector_is_one_error_or_a_row_of_nan(photos, tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"nothing")
    given = [photos["file"][0], tmp_path / "nobody.jpg", tmp_path / "broken.jpg", photos["file"][1]]
    with pytest.raises(
        EmbeddingError,
        match=r"^2 of 4 images have no vector\. The first is .*nobody\.jpg \(position 1\): .*nobody\.jpg"
        r" does not exist\. Leave them out, or use on_missing='nan' for rows of NaN\.$",
    ):
        FaceEmbedder(**SIMPLE).fit(given).transform(given)
    found = FaceEmbedder(**SIMPLE, on_missing="nan").fit_transform(given)
    np.testing.assert_array_equal(np.isnan(found).all(axis=1), [False, True, True, False])
    np.testing.assert_array_equal(found[[0, 3]], FaceEmbedder(**SIMPLE).transform([given[0], given[3]]))


def test_a_folder_is_no_photograph(tmp_path):
    with pytest.raises(EmbeddingError, match="is a folder, not a file"):
        FaceEmbedder(**SIMPLE).transform([tmp_path])


def test_no_photographs_give_no_rows():
    assert FaceEmbedder(**SIMPLE).fit_transform([]).shape == (0, 3)


@pytest.mark.weights
def test_a_photograph_without_a_face_is_said_to_have_none():
    grey = np.full((1, 96, 96, 3), 128, np.uint8)
    with pytest.raises(
        EmbeddingError, match=r"The first is image 0 \(position 0\): no face was found\. Leave"
    ):
        FaceEmbedder("mean_color", n_jobs=1).transform(grey)


# ---------------------------------------------------------------- what is kept


def test_a_cache_is_read_back_by_content_and_shared_with_an_extraction(
    manifest, settings, photos, tmp_path, monkeypatch
):
    project = Project(tmp_path / "project")
    embedder = FaceEmbedder(**SIMPLE, cache=project)
    found = embedder.transform(photos["file"])
    store = Store(project.folder.cache)
    recipes = make_recipes(["mean_color"], settings)
    extraction = extract(manifest, recipes, settings, store, threads=1)
    assert extraction.n_read == 0
    monkeypatch.setattr(opening, "open_networks", lambda *_: pytest.fail("a network was opened"))
    again = clone(embedder).transform([Path(name).read_bytes() for name in photos["file"]])
    np.testing.assert_array_equal(again, found)


def test_a_cache_may_be_a_folder_and_a_projects_folder_means_its_cache(photos, tmp_path):
    FaceEmbedder(**SIMPLE, cache=tmp_path / "kept").transform(photos["file"])
    assert (tmp_path / "kept" / "embeddings").is_dir()
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "manifest.csv").write_text("")
    FaceEmbedder(**SIMPLE, cache=str(tmp_path / "project")).transform(photos["file"])
    assert (tmp_path / "project" / "cache" / "embeddings").is_dir()


def test_networks_that_are_open_are_not_opened_again_and_not_by_fit(photos, monkeypatch):
    opened = []
    real = opening.open_networks
    monkeypatch.setattr(opening, "_kept", type(opening._kept)())
    monkeypatch.setattr(opening, "open_networks", lambda *told: opened.append(1) or real(*told))
    embedder = FaceEmbedder(**SIMPLE).fit(photos["file"])
    assert not opened
    for _ in range(2):
        clone(embedder).fit(photos["file"]).transform(photos["file"])
    assert len(opened) == 1


# ---------------------------------------------------------------- scikit-learn's tools


def test_it_stands_in_a_pipeline_that_is_scored_on_persons_that_are_held_out(photos):
    pipeline = make_pipeline(FaceEmbedder(**SIMPLE), SVC())
    for given in (photos["file"], list(photos["file"]), photos["file"].to_numpy(), photos[["file"]]):
        scores = cross_val_score(
            pipeline, given, photos["sex"], groups=photos["person"], cv=GroupKFold(4), error_score="raise"
        )
        assert scores.mean() == 1.0


def test_it_takes_pixels_in_a_pipeline_and_a_grid(photos):
    pixels = np.stack([decode(read_bytes(Path(name))) for name in photos["file"]])
    pipeline = make_pipeline(FaceEmbedder(**SIMPLE), SVC())
    search = GridSearchCV(
        pipeline, {"faceembedder__mirror": [False, True]}, cv=GroupKFold(4), error_score="raise"
    )
    search.fit(pixels, photos["sex"], groups=photos["person"])
    assert search.best_score_ == 1.0
    np.testing.assert_array_equal(search.predict(pixels), photos["sex"])


def test_its_numbers_have_names_and_come_as_a_data_frame(photos):
    embedder = FaceEmbedder(**SIMPLE).set_output(transform="pandas")
    given = photos["file"].set_axis([f"p{number}" for number in range(len(photos))])
    for X, index in ((given.to_frame(), given.index), (list(given), pd.RangeIndex(len(given)))):
        table = embedder.fit_transform(X)
        assert list(table.columns) == ["mean_color:mean:0", "mean_color:mean:1", "mean_color:mean:2"]
        assert list(table.index) == list(index)
        assert (table.dtypes == np.float32).all()


def test_a_clone_a_pickle_and_a_file_of_skops_are_the_same_embedder(photos, tmp_path):
    import skops.io

    embedder = FaceEmbedder(**SIMPLE, mirror=True, cache=str(tmp_path / "kept"))
    found = embedder.fit_transform(photos["file"])
    data = skops.io.dumps(make_pipeline(embedder, SVC()).fit(photos["file"], photos["sex"]))
    assert skops.io.get_untrusted_types(data=data) == list(FaceEmbedder.trusted_types)
    kept = skops.io.loads(data, trusted=FaceEmbedder.trusted_types)[0]
    state = pickle.dumps(embedder)
    assert len(state) < 1000  # no network in it
    for other in (clone(embedder), pickle.loads(state), kept):
        assert other.get_params() == embedder.get_params()
        np.testing.assert_array_equal(other.transform(photos["file"]), found)


def test_it_says_what_it_is():
    tags = get_tags(FaceEmbedder())
    assert (tags.requires_fit, tags.input_tags.two_d_array, tags.input_tags.string) == (False, False, True)


# ---------------------------------------------------------------- parameters


@pytest.mark.parametrize(
    ("parameters", "error", "says"),
    [
        ({"backbone": "mean_colour"}, UnknownNameError, r"^Unknown backbone 'mean_colour'\. Did you mean"),
        ({"backbone": "mean_color:fc6"}, UnknownNameError, "^Unknown layer of mean_color 'fc6'"),
        ({"backbone": []}, ModelError, r"^backbone cannot be \[\]: give names of networks"),
        ({"backbone": None}, ModelError, "^backbone cannot be None"),
        ({"backbone": "mean_color+mean_color:mean"}, ModelError, "^backbone names mean_color:mean twice"),
        ({"detector": "centreface"}, UnknownNameError, "^Unknown detector 'centreface'"),
        ({"choose": "all"}, ModelError, "^choose cannot be 'all': it must be one of center, largest, only"),
        ({"choose": "box"}, ModelError, "^choose cannot be 'box'"),
        ({"on_missing": "skip"}, ModelError, "^on_missing cannot be 'skip': it must be one of error, nan"),
        ({"n_jobs": 0}, EngineError, "^n_jobs must be -1 or at least 1"),
        ({"cache": 3}, ModelError, "^cache cannot be 3: it must be None, a folder or a project"),
    ],
)
def test_a_parameter_is_refused_by_fit_and_by_transform(parameters, error, says):
    embedder = FaceEmbedder(**{**SIMPLE, **parameters})
    with pytest.raises(error, match=says):
        embedder.fit([])
    with pytest.raises(error, match=says):
        embedder.transform([])


def test_what_is_no_photograph_is_refused_by_fit():
    with pytest.raises(PhotographError, match=r"^Image 1 of 2 \(counted from 0\) is None"):
        FaceEmbedder(**SIMPLE).fit(["a.jpg", None])


# ---------------------------------------------------------------- scikit-learn's own checks

NUMBERS = "it is fed tables of numbers, and photographs are no numbers"


class SaysTables(FaceEmbedder):
    """Says that it takes tables, so that scikit-learn tries all its checks and not only a few."""

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        return tags


FED_NUMBERS = (
    "check_complex_data",
    "check_dict_unchanged",
    "check_dont_overwrite_parameters",
    "check_dtype_object",
    "check_estimator_sparse_array",
    "check_estimator_sparse_matrix",
    "check_estimator_sparse_tag",
    "check_estimators_dtypes",
    "check_estimators_empty_data_messages",
    "check_estimators_fit_returns_self",
    "check_estimators_nan_inf",
    "check_estimators_overwrite_params",
    "check_estimators_pickle",
    "check_f_contiguous_array_estimator",
    "check_fit2d_1feature",
    "check_fit2d_1sample",
    "check_fit2d_predict1d",
    "check_fit_check_is_fitted",
    "check_fit_idempotent",
    "check_fit_score_takes_y",
    "check_methods_sample_order_invariance",
    "check_methods_subset_invariance",
    "check_n_features_in",
    "check_n_features_in_after_fitting",
    "check_pipeline_consistency",
    "check_positive_only_tag_during_fit",
    "check_readonly_memmap_input",
    "check_transformer_data_not_an_array",
    "check_transformer_general",
    "check_transformers_unfitted_stateless",
)


@parametrize_with_checks(
    [SaysTables(**SIMPLE)], expected_failed_checks=lambda _: dict.fromkeys(FED_NUMBERS, NUMBERS)
)
def test_it_passes_the_checks_of_scikit_learn(estimator, check):
    check(estimator)
