"""The size and the sharpness of a face are labels where the cache knows them, and nowhere else."""

from dataclasses import asdict
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from featurekit.cache.store import Store
from featurekit.data.manifest import COLUMNS, Manifest
from featurekit.data.targets import GENDER
from featurekit.embeddings.recipe import make_recipes, row_keys
from featurekit.evaluation.evidence import gather
from featurekit.evaluation.image_quality import (
    FACE_SIZE,
    SHARPNESS,
    SHARPNESS_BANDS,
    SIZE_BANDS,
    quality_labels,
    size_bands,
    thirds,
)
from featurekit.evaluation.outcomes import Outcomes, collect, read_outcomes
from featurekit.evaluation.slices import in_order, slices_of
from featurekit.faces.settings import default_settings
from featurekit.project import ComparisonFolder

N = 80
# Width and height of the boxes in the cache, in turn; the shorter side counts.
BOXES = ((40.0, 31.9), (32.0, 70.0), (300.0, 64.0), (256.0, 900.0))
BANDS = ("under 32 px", "32-63 px", "64-127 px", "256 px and more")


@pytest.fixture
def manifest(tmp_path):
    table = pd.DataFrame(dict.fromkeys(COLUMNS, [""] * N))
    table["face_id"] = [f"f{number:03}" for number in range(N)]
    table["subject_id"] = [f"s{number:03}" for number in range(N)]
    table["content"] = [f"{number:064x}" for number in range(1, N + 1)]
    table["gender"] = np.where(np.arange(N) % 2, "female", "male")
    table["age"] = 30.0
    table["official_fold"] = -1
    return Manifest(table, tmp_path)


@pytest.fixture
def comparison(tmp_path, manifest):
    """Predictions of gender in a project whose cache has the faces of all rows but the first."""
    folder = tmp_path / "work" / "reports" / "one"
    gender, recipe = manifest.table["gender"], default_settings("whole_image").recipe()
    true = {"true": gender, "predicted": gender, "p_female": 0.5, "p_male": 0.5}
    table = manifest.table[["face_id"]].assign(subject=range(N), fold=0, **true)
    files = ComparisonFolder(folder)
    files.predictions.mkdir(parents=True)
    table.to_parquet(files.prediction("svm"))
    box = np.array([(5.5, 7.0, 5.5 + width, 7.0 + height) for width, height in BOXES * (N // 4)], np.float32)
    keys = row_keys(manifest, default_settings("whole_image"))
    Store(files.project.cache).shelf("faces", recipe).append(keys[1:], {"box": box[1:]})
    run = SimpleNamespace(
        name="svm",
        target="gender",
        classes=GENDER.classes,
        is_baseline=False,
        scores={"accuracy": {"mean": 0.9}},
        n_tested=N,
        recipes=({"faces": recipe},),
        dataset={},
        seconds={},
        hardware={},
    )
    return folder, run


def test_the_edge_of_a_band_is_its_first_pixel():
    sides = [0.0, 31.99, 32.0, 63.99, 64.0, 127.99, 128.0, 255.99, 256.0, 1e6, np.nan]
    assert size_bands(np.array(sides)).tolist() == [*np.repeat(SIZE_BANDS, 2).tolist(), ""]


def test_the_size_is_the_shorter_side_of_the_box_in_the_cache(comparison, manifest):
    folder, run = comparison
    store = Store(ComparisonFolder(folder).project.cache)
    rows = np.array([0, 1, 2, 7, 8])
    found = quality_labels(manifest, [{"detector": "none"}, run.recipes[0]["faces"]], store, rows)
    assert found.to_dict() == {FACE_SIZE: {0: "", 1: BANDS[1], 2: BANDS[2], 7: BANDS[3], 8: BANDS[0]}}
    other = {**run.recipes[0]["faces"], "min_face": 99}
    for recipes in ([], [other]):
        assert quality_labels(manifest, recipes, store, rows).columns.empty


def test_sizes_make_slices_that_are_not_combined_with_other_labels(comparison, manifest):
    folder, run = comparison
    found = gather(folder, [run], manifest).targets["gender"]
    sizes = [one for one in found.slices if FACE_SIZE in one.columns]
    assert {one.columns for one in sizes} == {(FACE_SIZE,)}
    assert {one.labels[0]: one.n_faces for one in sizes} == dict(zip(BANDS, (19, 20, 20, 20), strict=True))
    (by_size,) = [one for one in found.disparities if one.column == FACE_SIZE]
    assert [one.label for one in by_size.groups] == list(BANDS)
    (by_gender,) = [one for one in found.disparities if one.column == "gender"]
    of_slices = {one.labels: one.estimate for one in found.slices if one.columns == ("gender",)}
    assert {(one.label,): one.score for one in by_gender.groups} == of_slices


def extract_sharpness(comparison, manifest, *, mirrored=False, rows=slice(1, None)):
    """Put the sharpness of rows into the cache, of all but the first: their numbers, in a mixed order."""
    folder, _ = comparison
    settings = default_settings("whole_image")
    recipe = make_recipes(["sharpness"], settings, device="cpu", mirrored=mirrored)["sharpness:laplacian"]
    shelf = Store(ComparisonFolder(folder).project.cache).shelf("embeddings", asdict(recipe))
    values = np.arange(N, dtype=np.float32)[:, None] * 37 % N
    shelf.append(row_keys(manifest, settings)[rows], {"vectors": values[rows]})
    return shelf, values[:, 0]


def test_each_band_of_sharpness_has_a_third_of_the_faces():
    rng = np.random.default_rng(0)
    for n in (3, 10, 79, 300):
        values = rng.permutation(n).astype(float)
        found = thirds(values)
        counts = [(found == band).sum() for band in SHARPNESS_BANDS]
        assert max(counts) - min(counts) <= 1
        assert values[found == "lowest third"].max() < values[found == "middle third"].min()
        assert values[found == "middle third"].max() < values[found == "highest third"].min()
    assert set(thirds(np.full(9, 4.0))) == {"lowest third"}


@pytest.mark.parametrize("mirrored", [False, True])
def test_sharpness_makes_slices_once_it_has_been_extracted(comparison, manifest, mirrored):
    folder, run = comparison
    before = gather(folder, [run], manifest)
    assert SHARPNESS not in read_outcomes(ComparisonFolder(folder).faces)
    _, values = extract_sharpness(comparison, manifest, mirrored=mirrored)
    after = gather(folder, [run], manifest)
    assert after.of["faces"] != before.of["faces"]
    own = [one for one in after.targets["gender"].slices if SHARPNESS in one.columns]
    assert {(one.columns, one.labels[0]): one.n_faces for one in own} == {
        ((SHARPNESS,), band): count for band, count in zip(SHARPNESS_BANDS, (27, 26, 26), strict=True)
    }
    (by_sharpness,) = [one for one in after.targets["gender"].disparities if one.column == SHARPNESS]
    assert {one.label: one.n_faces for one in by_sharpness.groups} == dict(
        zip(SHARPNESS_BANDS, (27, 26, 26), strict=True)
    )
    faces = read_outcomes(ComparisonFolder(folder).faces)
    assert faces[SHARPNESS].tolist() == ["", *thirds(values[1:])]


@pytest.mark.parametrize("mirrored", [False, True])
def test_faces_of_another_data_set_hide_no_extraction_of_this_one(comparison, manifest, mirrored):
    """The cache is for all data sets of a project, which may have been extracted in the other way."""
    folder, run = comparison
    _, values = extract_sharpness(comparison, manifest, mirrored=mirrored)
    others = Manifest(
        manifest.table.assign(content=[f"{number:064x}" for number in range(1000, 1000 + N)]), manifest.root
    )
    extract_sharpness(comparison, others, mirrored=not mirrored)
    gather(folder, [run], manifest)
    faces = read_outcomes(ComparisonFolder(folder).faces)
    assert faces[SHARPNESS].tolist() == ["", *thirds(values[1:])]


def test_the_sharpness_of_a_face_is_that_of_either_extraction(comparison, manifest):
    folder, run = comparison
    for mirrored, rows in ((False, slice(1, 30)), (True, slice(20, None))):
        _, values = extract_sharpness(comparison, manifest, mirrored=mirrored, rows=rows)
    gather(folder, [run], manifest)
    faces = read_outcomes(ComparisonFolder(folder).faces)
    assert faces[SHARPNESS].tolist() == ["", *thirds(values[1:])]


def test_a_comparison_that_was_moved_away_from_its_cache_keeps_its_qualities(comparison, manifest):
    """Without its manifest, too."""
    folder, run = comparison
    _, values = extract_sharpness(comparison, manifest)
    first = gather(folder, [run], manifest)
    elsewhere = folder.parents[2] / "elsewhere" / "reports" / "one"
    elsewhere.parent.mkdir(parents=True)
    folder.rename(elsewhere)
    for known in (manifest, None):
        assert gather(elsewhere, [run], known).of == first.of
    faces = read_outcomes(ComparisonFolder(elsewhere).faces)
    assert faces[FACE_SIZE].tolist()[:4] == ["", *BANDS[1:]]
    assert faces[SHARPNESS].tolist() == ["", *thirds(values[1:])]


def test_a_damaged_cache_has_no_sharpness_and_is_no_error(comparison, manifest):
    folder, run = comparison
    shelf, _ = extract_sharpness(comparison, manifest)
    for shard in shelf.folder.glob("*.safetensors"):
        shard.write_bytes(shard.read_bytes()[:-40])
    gather(folder, [run], manifest)
    faces = read_outcomes(ComparisonFolder(folder).faces)
    assert (FACE_SIZE in faces, SHARPNESS in faces) == (True, False)


@pytest.mark.parametrize(
    ("name", "alike"), [(FACE_SIZE, "32-63 px"), (SHARPNESS, "lowest third")], ids=[FACE_SIZE, SHARPNESS]
)
def test_a_quality_that_is_unknown_or_all_alike_is_no_label(comparison, manifest, name, alike):
    """Outcomes of before, which have no such column, stay as they are."""
    folder, _ = comparison

    def labels(first, others):
        return lambda rows: pd.DataFrame({name: ["", first, *[others] * (len(rows) - 2)]}, index=rows)

    for quality_of in (lambda rows: pd.DataFrame(), labels("", alike), labels(alike, alike)):
        assert name not in collect(folder, ["svm"], manifest, quality_of=quality_of).labels
    own = Manifest(
        manifest.table.assign(**{name: np.where(np.arange(N) < 40, "small", "large")}), manifest.root
    )
    kept = collect(folder, ["svm"], own, quality_of=labels("other", alike))
    assert set(kept.labels[name]) == {"small", "large"}
    assert in_order(name, kept.labels[name]) == ["large", "small"]
    # Without the user's column, nothing of it is taken for a quality.
    assert name not in collect(folder, ["svm"], manifest).labels


def test_bands_are_listed_from_low_to_high():
    assert in_order(FACE_SIZE, sorted(SIZE_BANDS)) == list(SIZE_BANDS)
    assert in_order(SHARPNESS, ["middle third", "highest third", "lowest third"]) == list(SHARPNESS_BANDS)


def test_ethnicity_is_a_slice_only_of_a_table_whose_column_was_asked_for(tmp_path):
    """A column of a table that nobody names is not read, so no result can have it."""
    from featurekit.data.datasets.table import rows_of_frame

    frame = pd.DataFrame({"image_path": [f"{n}.png" for n in range(N)], "race": ["a", "b"] * (N // 2)})
    frame["gender"] = ["male", "female"] * (N // 2)
    for labels in ((), ("race",)):
        rows = rows_of_frame(frame, columns={}, root=tmp_path, labels=labels).table
        own = rows[[name for name in ("gender", "race") if name in rows]]
        table = pd.DataFrame({"row": range(N), "subject": range(N), "true": frame["gender"]})
        table["predicted"] = table["true"]
        found = slices_of(Outcomes({}, own), GENDER, table, 0)
        assert {name for one in found for name in one.columns} == {"gender", *labels}
