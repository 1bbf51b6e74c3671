"""Made-up pictures: Adience's layout, the same bytes each time, whole or not at all, never called real."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from featurekit.data.datasets.synthetic import HEADER, write_synthetic
from featurekit.data.prepare import prepare
from featurekit.data.targets import AGE_GROUP
from featurekit.errors import ManifestError


def bytes_of(folder):
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Sixteen subjects, two pictures each: one of every age group and gender. Only read it."""
    folder = tmp_path_factory.mktemp("synthetic") / "pictures"
    write_synthetic(folder, n_subjects=16, n_pictures=2)
    return folder


@pytest.fixture(scope="module")
def manifest(written):
    return prepare("synthetic", written, n_subjects=16, n_pictures=2)


def test_every_row_is_usable_and_every_group_and_gender_occurs(manifest):
    assert len(manifest) == 32
    assert manifest.usable.all()
    table = manifest.table
    assert set(table["age_group"]) == set(AGE_GROUP.classes)
    assert (table.groupby(["age_group", "gender"]).size() == 2).all()
    assert table["subject_id"].nunique() == 16


def test_the_manifest_says_that_it_is_synthetic(manifest):
    assert manifest.info["synthetic"] is True
    assert manifest.name == "synthetic"
    assert manifest.info["licence"].startswith("synthetic")


def test_the_adience_reader_reads_the_same_rows(written, manifest):
    as_adience = prepare("adience", written)
    assert as_adience.table.equals(manifest.table)


def test_the_fold_files_are_laid_out_like_adiences(written):
    for fold in range(5):
        first, *rows = (written / f"fold_{fold}_data.txt").read_text().splitlines()
        assert first.split("\t") == HEADER
        for row in rows:
            cells = dict(zip(HEADER, row.split("\t"), strict=True))
            name = f"coarse_tilt_aligned_face.{cells['face_id']}.{cells['original_image']}"
            assert (written / "faces" / cells["user_id"] / name).is_file()


def test_no_subject_crosses_a_fold_and_every_class_is_trained(manifest):
    folds = manifest.table["official_fold"].to_numpy()
    for fold in range(5):
        test = folds == fold
        assert test.any()
        assert not set(manifest.subjects[test]) & set(manifest.subjects[~test])
        assert set(manifest.table["age_group"][~test]) == set(AGE_GROUP.classes)
        assert set(manifest.table["gender"][~test]) == {"female", "male"}


def test_pictures_are_square_color_jpegs_with_the_named_face_inside(written):
    shades = []
    for file in written.glob("fold_*_data.txt"):
        for row in file.read_text().splitlines()[1:]:
            cells = dict(zip(HEADER, row.split("\t"), strict=True))
            name = f"coarse_tilt_aligned_face.{cells['face_id']}.{cells['original_image']}"
            with Image.open(written / "faces" / cells["user_id"] / name) as picture:
                assert (picture.format, picture.mode) == ("JPEG", "RGB")
                assert picture.width == picture.height
                x, y, width, height = (int(cells[column]) for column in ("x", "y", "dx", "dy"))
                assert 0 <= x < x + width <= picture.width
                assert 0 <= y < y + height <= picture.height
                shades.append(np.asarray(picture, float)[y : y + height, x : x + width].std())
    assert min(shades) > 10  # a face is there, no even area


def test_no_two_pictures_are_alike(written):
    pictures = list((written / "faces").rglob("*.jpg"))
    assert len({picture.read_bytes() for picture in pictures}) == len(pictures) == 32


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bytes_whatever_the_threads_and_the_number_of_pictures(
    written, tmp_path
):
    import cv2

    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        write_synthetic(tmp_path / "again", n_subjects=16, n_pictures=1)
    finally:
        cv2.setNumThreads(threads)
    again = {name: data for name, data in bytes_of(tmp_path / "again").items() if name.endswith(".jpg")}
    before = bytes_of(written)
    assert len(again) == 16
    assert [name for name, data in again.items() if data != before[name]] == []


def test_an_interrupted_writing_leaves_nothing(tmp_path):
    def interrupt(done, total):
        assert total == 32
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_synthetic(tmp_path / "pictures", n_subjects=16, n_pictures=2, progress=interrupt)
    assert list(tmp_path.iterdir()) == []


def test_another_seed_gives_other_pictures(written, tmp_path):
    seen = {}

    def look(done, total):
        seen.update({file.name: file.read_bytes() for file in tmp_path.rglob("*.jpg")})
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_synthetic(tmp_path / "pictures", n_subjects=16, n_pictures=1, seed=1, progress=look)
    [(name, data)] = seen.items()
    Image.open(BytesIO(data)).verify()
    [same_name] = (written / "faces").rglob(name)
    assert same_name.read_bytes() != data


def test_a_full_folder_is_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ManifestError, match=r"is not an empty folder\. Give"):
        write_synthetic(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["notes.txt"]


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ManifestError, match=r"Cannot write .*file/pictures: Not a directory"):
        write_synthetic(tmp_path / "file" / "pictures")


def test_real_photographs_are_never_read_as_synthetic(tmp_path):
    for fold in range(5):
        (tmp_path / f"fold_{fold}_data.txt").write_text("\t".join(HEADER) + "\n")
    (tmp_path / "faces").mkdir()
    with pytest.raises(ManifestError, match="does not contain synthetic images"):
        prepare("synthetic", tmp_path)


@pytest.mark.parametrize("option", [{"n_subjects": 17}, {"n_pictures": 2}, {"seed": 1}])
def test_pictures_of_other_numbers_are_refused(tmp_path, option):
    stamp = '{"synthetic": true, "n_subjects": 16, "n_pictures": 1, "seed": 0}'
    (tmp_path / "synthetic.json").write_text(stamp)
    with pytest.raises(ManifestError, match="were made with"):
        prepare("synthetic", tmp_path, **{"n_subjects": 16, "n_pictures": 1, "seed": 0, **option})


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"n_subjects": 15}, "15 synthetic subjects are too few"),
        ({"n_pictures": 0}, "there must be at least 1"),
        ({"seed": -1}, "must not be negative"),
        ({"seed": "lucky"}, "seed must be a whole number. Got 'lucky'"),
    ],
)
def test_impossible_numbers_are_refused_before_anything_is_written(tmp_path, option, message):
    with pytest.raises(ManifestError, match=message):
        prepare("synthetic", tmp_path / "pictures", **option)
    assert list(tmp_path.iterdir()) == []


def test_the_command_lines_text_is_taken_as_a_number(written, manifest):
    again = prepare("synthetic", written, n_subjects="16", n_pictures="2", seed="0")
    assert again.table.equals(manifest.table)


@pytest.mark.weights
@pytest.mark.slow
def test_the_builtin_detector_finds_them_and_the_labels_can_be_learned(tmp_path):
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    from featurekit.cache.store import Store
    from featurekit.embeddings.extractor import extract
    from featurekit.embeddings.recipe import make_recipes
    from featurekit.embeddings.vectors import load_embeddings
    from featurekit.faces.settings import default_settings

    manifest = prepare("synthetic", tmp_path / "pictures")
    assert manifest.table["subject_id"].nunique() == 60
    settings, store = default_settings("centerface"), Store(tmp_path / "cache")
    recipes = make_recipes(["dlib_age", "mobilenet_v2"], settings, device="cpu", precision="fp32")
    extraction = extract(manifest, recipes, settings, store, threads=2)
    assert extraction.statuses["ok"] >= 0.97 * len(manifest)

    # The vectors of the backbones' bodies; extract() also makes those of dlib_age's head.
    bodies = [recipe for name, recipe in recipes.items() if "probabilities" not in name]
    embeddings = load_embeddings(manifest, bodies, settings, store)
    table = manifest.table.iloc[embeddings.rows]
    folds = table["official_fold"].to_numpy()
    group = AGE_GROUP.encode(table["age_group"].tolist())
    male = (table["gender"] == "male").to_numpy()
    read_group, read_male = np.full(len(table), -1), np.zeros(len(table), bool)
    for fold in range(5):
        train, test = folds != fold, folds == fold
        for labels, answers in ((group, read_group), (male, read_male)):
            svm = make_pipeline(StandardScaler(), SVC(C=5, class_weight="balanced"))
            answers[test] = svm.fit(embeddings.vectors[train], labels[train]).predict(
                embeddings.vectors[test]
            )
    # Better than the floor by far, and short of a toy that everything solves.
    assert 0.85 <= np.mean(read_male == male) < 0.99
    assert 0.45 <= np.mean(read_group == group) < 0.99
    assert np.mean(abs(read_group - group) <= 1) >= 0.75
