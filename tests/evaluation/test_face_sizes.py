"""The size of a face is a label where the cache knows it, and nowhere else."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from featurekit.cache.store import Store
from featurekit.data.manifest import COLUMNS, Manifest
from featurekit.data.targets import GENDER
from featurekit.embeddings.recipe import row_keys
from featurekit.evaluation.evidence import gather
from featurekit.evaluation.face_sizes import FACE_SIZE, SIZE_BANDS, face_sizes, size_bands
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
    found = face_sizes(manifest, [{"detector": "none"}, run.recipes[0]["faces"]], store, rows)
    assert found.to_dict() == {0: "", 1: BANDS[1], 2: BANDS[2], 7: BANDS[3], 8: BANDS[0]}
    assert face_sizes(manifest, [], store, rows) is None
    other = {**run.recipes[0]["faces"], "min_face": 99}
    assert face_sizes(manifest, [other], store, rows) is None


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


def test_a_comparison_that_was_moved_away_from_its_cache_keeps_its_sizes(comparison, manifest):
    folder, run = comparison
    first = gather(folder, [run], manifest)
    elsewhere = folder.parents[2] / "elsewhere" / "reports" / "one"
    elsewhere.parent.mkdir(parents=True)
    folder.rename(elsewhere)
    for known in (manifest, None):
        assert gather(elsewhere, [run], known).of == first.of
    faces = read_outcomes(ComparisonFolder(elsewhere).faces)
    assert faces[FACE_SIZE].tolist()[:4] == ["", *BANDS[1:]]


def test_sizes_that_are_unknown_or_all_alike_are_no_label(comparison, manifest):
    """Outcomes of before, which have no sizes, stay as they are."""
    folder, _ = comparison
    for sizes_of in (
        lambda rows: None,
        lambda rows: pd.Series(["", *["32-63 px"] * (len(rows) - 1)], index=rows),
    ):
        assert FACE_SIZE not in collect(folder, ["svm"], manifest, sizes_of=sizes_of).labels
    own = manifest.table.assign(**{FACE_SIZE: np.where(np.arange(N) < 40, "small", "large")})
    kept = collect(
        folder, ["svm"], Manifest(own, manifest.root), sizes_of=lambda rows: pytest.fail("it is the user's")
    )
    assert set(kept.labels[FACE_SIZE]) == {"small", "large"}
    # Without the user's column, nothing of it is taken for a size.
    assert FACE_SIZE not in collect(folder, ["svm"], manifest).labels


def test_bands_are_listed_from_small_to_large():
    assert in_order(FACE_SIZE, sorted(SIZE_BANDS)) == list(SIZE_BANDS)


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
