"""Mean faces and mean maps are the same as by hand, and no mean of fewer than ten subjects is made."""

import json
import shutil
from dataclasses import asdict, replace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import featurekit as fk
from featurekit.api.averages import Averages
from featurekit.averages import cells as mean_cells
from featurekit.averages import faces as mean_faces
from featurekit.averages.cells import YEARS, cells_of
from featurekit.averages.maps import sample_faces
from featurekit.cache.store import Store
from featurekit.data.targets import AGE, GENDER
from featurekit.embeddings.extractor import extract
from featurekit.embeddings.open_networks import open_networks
from featurekit.embeddings.recipe import make_recipes
from featurekit.errors import ModelError, TargetError, UnknownNameError, WorkspaceError
from featurekit.faces.face import Face
from featurekit.faces.find import cut_out
from featurekit.faces.settings import default_settings
from featurekit.inference._maps import Reader, occlusion
from featurekit.inference.model import TrainedModel
from featurekit.ops.purge import look
from featurekit.ops.traces import find_traces
from featurekit.project import ComparisonFolder
from tests.inference.made_up import people
from tests.report.made_up import make_run

SUBJECTS = 22  # with two images each: image 2 * s and image 2 * s + 1
QUIET = {"progress": False}


def table_of(rows, true, predicted):
    """Return predictions for some rows of the manifest."""
    return pd.DataFrame({"face_id": [f"{row}.png" for row in rows], "true": true, "predicted": predicted})


def first(subject):
    return 2 * subject


def second(subject):
    return 2 * subject + 1


# Ten women are predicted to be women, the first of them on two images; nine men are predicted to be women,
# and eleven to be men, one of whom is on an image of another cell, too.
WOMEN = [*map(first, range(10)), second(0)]
TAKEN = [*map(first, range(10, 19))]
MEN = [*map(second, range(11, 22))]
GENDERS = table_of(
    [*WOMEN, *TAKEN, *MEN],
    ["female"] * len(WOMEN) + ["male"] * (len(TAKEN) + len(MEN)),
    ["female"] * (len(WOMEN) + len(TAKEN)) + ["male"] * len(MEN),
)


class Bright:
    """A classifier that reads how red the face is."""

    classes_ = np.array([0, 1])

    def predict_proba(self, X):
        red = X.reshape(len(X), -1, 3)[..., 0].mean(axis=1) / 255
        return np.stack([red, 1 - red], axis=1)

    def predict(self, X):
        return 80 * self.predict_proba(X)[:, 0]


def model_of(run, recipes, target=GENDER):
    """Return a model that is as if it had been fitted for a run."""
    return fk.Model(
        TrainedModel(
            name=run.name,
            target=target,
            classifier="svm",
            estimator=Bright(),
            settings=default_settings("whole_image"),
            recipes=recipes,
            training={},
            weights=(),
        )
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A project with the stored crops of 44 images of 22 subjects, and a run of gender."""
    root = tmp_path_factory.mktemp("made")
    (root / "photos").mkdir()
    manifest = people(root / "photos", 2 * SUBJECTS, 2)
    settings = default_settings("whole_image")
    recipes = make_recipes(["mean_color", "pixels"], settings, device="cpu")
    extract(manifest, recipes, settings, Store(root / "work" / "cache"))
    manifest.save(root / "work" / "manifest.csv")
    run = make_run(features="mean_color", recipes=as_stored(recipes["mean_color:mean"]))
    run.save(root / "work" / "reports" / "table", GENDERS)
    return root / "work", manifest, run, recipes


def as_stored(*recipes):
    return tuple(json.loads(json.dumps(asdict(recipe))) for recipe in recipes)


@pytest.fixture
def work(made, tmp_path):
    """A copy of the project, which a test may change."""
    shutil.copytree(made[0], tmp_path / "work")
    return tmp_path / "work"


@pytest.fixture(scope="module")
def average(made):
    return fk.load_results(made[0] / "reports" / "table").average


def crop_of(made, row, kind=("imagenet", 160)):
    """Return the aligned face of a row, cut out anew by what the tests of find.py test."""
    folder, manifest, _, _ = made
    store = Store(folder / "cache")
    faces = store.shelf("faces", default_settings("whole_image").recipe())
    key = np.frombuffer(bytes.fromhex(manifest.table["content"].iloc[row]), np.uint8)[None]
    found = faces.read(key, ["box", "landmarks"])
    face = Face("ok", found["box"][0], found["landmarks"][0])
    return cut_out((manifest.root / manifest.table["image_path"].iloc[row]).read_bytes(), face, kind)


# ---------------------------------------------------------------- mean faces


def test_a_mean_counts_every_subject_once_however_many_images_there_are(made, average):
    found = average.faces(**QUIET)
    of_subjects = [crop_of(made, first(subject)).astype(float) for subject in range(1, 10)]
    of_subjects.append((crop_of(made, first(0)) + crop_of(made, second(0)).astype(float)) / 2)
    by_hand = np.mean(of_subjects, axis=0)
    assert found.face("female", "female").dtype == np.uint8
    np.testing.assert_allclose(found.face("female", "female"), by_hand, atol=0.501)
    plain = np.mean([crop_of(made, row).astype(float) for row in WOMEN], axis=0)
    assert np.abs(plain - by_hand).max() > 1  # else the two could not be told apart
    men = np.mean([crop_of(made, row).astype(float) for row in MEN], axis=0)
    np.testing.assert_allclose(found.face("male", "male"), men, atol=0.501)


def test_nine_subjects_are_left_out_and_ten_are_shown(average):
    found = average.faces(**QUIET)
    cells = {(one.true, one.predicted): one for one in found.frame().itertuples()}
    assert {key: (one.n_faces, one.n_subjects, one.left_out) for key, one in cells.items()} == {
        ("female", "female"): (11, 10, ""),
        ("male", "female"): (9, 9, "fewer than 10 subjects"),
        ("male", "male"): (11, 11, ""),
    }
    assert found.of.left_out == "male → female (9 subjects)"
    with pytest.raises(WorkspaceError, match="male → female has no mean face: fewer than 10 subjects"):
        found.face("male", "female")
    with pytest.raises(WorkspaceError, match="No face is in the cell female → male"):
        found.face("female", "male")
    assert len(found.faces) == 2


def test_of_one_subjects_many_images_no_mean_is_made(made):
    _, manifest, run, _ = made
    own = replace(manifest, table=manifest.table.assign(subject_id="s0"))
    found = cells_of(run, GENDERS, own)
    assert not found.shown
    assert {cell.n_subjects for cell in found.cells} == {1}


def test_images_without_a_named_subject_are_counted_in_a_note(made):
    _, manifest, run, _ = made
    own = replace(manifest, table=manifest.table.assign(subject_id=""))
    found = cells_of(run, GENDERS, own)
    assert "does not name the subject of 31 images of 31; each of these counts as one subject" in found.note
    assert cells_of(run, GENDERS, manifest).note == ""


def test_ages_are_grouped_by_band_and_by_how_far_off_they_are_predicted(made):
    _, manifest, _, recipes = made
    run = make_run("age", "mean_color", recipes=as_stored(recipes["mean_color:mean"]))
    true = np.array([25.0, 32.0, 40.0, 26.0, 27.0, 28.0])
    off = np.array([5.0, -5.0, 5.01, -5.01, 0.0, 30.0])
    found = cells_of(run, table_of(range(6), true, true + off), manifest)
    assert [(one.true, one.predicted, one.n_faces) for one in found.cells] == [
        ("25-32", YEARS[0], 1),
        ("25-32", YEARS[1], 3),
        ("25-32", YEARS[2], 1),
        ("38-43", YEARS[2], 1),
    ]


def test_only_the_cells_with_the_most_subjects_are_drawn(made, monkeypatch):
    _, manifest, run, _ = made
    monkeypatch.setattr(mean_cells, "MOST_CELLS", 1)
    found = cells_of(run, GENDERS, manifest)
    assert [str(found.cells[at]) for at in found.shown] == ["male → male"]
    assert found.cells[0].left_out == "not among the 1 cells with the most subjects"


def test_only_a_few_crops_are_in_memory_and_their_number_changes_no_byte(made, average, monkeypatch):
    most, done = [], []
    read = mean_faces.Crops.read
    monkeypatch.setattr(
        mean_faces.Crops, "read", lambda crops, rows: most.append(len(rows)) or read(crops, rows)
    )
    whole = average.faces(progress=lambda *at: done.append(at))
    monkeypatch.setattr(mean_faces, "_BLOCK", 4)
    few = average.faces(**QUIET)
    assert max(most[1:]) == 4
    assert done[-1] == (22, 22)  # faces of the cells that are left out are not read
    assert few._repr_png_() == whole._repr_png_()


def test_a_sheet_names_the_cells_and_says_what_it_is(average):
    found = average.faces(**QUIET)
    about = " ".join(found.of.about())
    assert "svm · mean_color" in about
    assert "at least 10 subjects" in about
    assert "SYNTHETIC" not in about
    synthetic = replace(found.of.run, dataset={"synthetic": True})
    assert "SYNTHETIC" in replace(found.of, run=synthetic).about()[0]
    assert found.sheet().size[0] >= 760
    assert repr(found).startswith("<MeanFaces: Gender: mean faces of svm · mean_color, 2 of 3 cells")


# ---------------------------------------------------------------- mean maps


@pytest.fixture(scope="module")
def maps(made, average):
    _, _, run, recipes = made
    return average.maps(trained=model_of(run, (recipes["mean_color:mean"],)), sample=20, n_jobs=1, **QUIET)


def test_a_mean_map_is_the_mean_of_the_maps_of_single_faces(made, maps):
    _, _, run, recipes = made
    model = model_of(run, (recipes["mean_color:mean"],))._trained
    reader = Reader(model, open_networks(model.recipes, 1))
    (kind,) = reader.kinds
    drawn, _ = sample_faces(maps.faces.of, 20, 0)
    for at, chosen in drawn.items():
        cell = maps.faces.cells[at]
        number = GENDER.classes.index(cell.predicted)
        rows = maps.faces.of.rows[chosen]
        by_hand = np.mean(
            [occlusion(reader, {kind: crop_of(made, row, kind)}, number) for row in rows], axis=0
        )
        assert maps.maps[at].n_faces == len(rows) == 10
        np.testing.assert_allclose(maps.heat(cell.true, cell.predicted), by_hand, rtol=1e-9)
    assert maps.most > 0
    assert maps.unit == "probability"


def test_the_numbers_of_a_map_are_its_means_over_places(maps):
    table = maps.frame()
    assert len(table) == 2 * 12 * 12
    own = table[(table["true"] == "female") & (table["predicted"] == "female")]
    (one,) = own[(own["y"] == 0.2083) & (own["x"] == 0.625)].itertuples()
    assert one.change == pytest.approx(maps.heat("female", "female")[8:12, 28:32].mean(), abs=1e-6)
    assert own["change"].mean() == pytest.approx(maps.heat("female", "female").mean(), abs=1e-6)


def test_a_map_of_ages_is_in_years(made, average, tmp_path):
    folder, _, _, recipes = made
    run = make_run("age", "mean_color", recipes=as_stored(recipes["mean_color:mean"]))
    rows = [*map(first, range(10))]
    run.save(tmp_path / "reports" / "ages", table_of(rows, 28.0, 30.0))
    shutil.copy(folder / "manifest.csv", tmp_path)
    shutil.copy(folder / "manifest.json", tmp_path)
    (tmp_path / "cache").symlink_to(folder / "cache")
    ages = fk.load_results(tmp_path / "reports" / "ages").average
    trained = model_of(run, (recipes["mean_color:mean"],), AGE)
    found = ages.maps(trained=trained, sample=10, n_jobs=1, **QUIET)
    assert found.unit == "years"
    assert list(found.frame()["predicted"].unique()) == [YEARS[1]]
    assert 0 < found.most < 80


@pytest.fixture
def without_images(work):
    """The project after its image files have been moved away."""
    facts = json.loads((work / "manifest.json").read_text()) | {"root": str(work / "gone")}
    (work / "manifest.json").write_text(json.dumps(facts))
    return work


@pytest.mark.slow
def test_a_model_of_the_stored_crops_needs_no_image(made, without_images):
    _, _, run, recipes = made
    own = replace(run, features="pixels", recipes=as_stored(recipes["pixels:rgb"]))
    own.save(without_images / "reports" / "end-to-end", GENDERS[:11])
    average = fk.load_results(without_images / "reports" / "end-to-end").average
    trained = model_of(own, (recipes["pixels:rgb"],))
    assert average.maps(trained=trained, sample=10, n_jobs=1, **QUIET).n_faces == 10


def test_images_that_are_gone_are_told_in_one_line(made, without_images):
    _, _, run, recipes = made
    average = fk.load_results(without_images / "reports" / "table").average
    with pytest.raises(WorkspaceError, match=r"20 of 20 images that were drawn in .* are missing or have"):
        average.maps(trained=model_of(run, (recipes["mean_color:mean"],)), sample=20, n_jobs=1, **QUIET)


def test_a_sample_has_one_face_of_each_subject_and_is_of_the_largest_cells(made):
    _, manifest, run, _ = made
    several = table_of(range(43), "male", "male")
    several["predicted"] = [*["male", "female"] * 21, "male"]
    of = cells_of(run, several, manifest)
    drawn, left_out = sample_faces(of, 40, 0)
    assert {str(of.cells[at]): len(faces) for at, faces in drawn.items()} == {
        "male → female": 20,
        "male → male": 20,
    }
    assert not left_out
    for faces in drawn.values():
        assert len(set(of.subjects[faces])) == len(faces)
    few, left_out = sample_faces(of, 19, 0)
    assert [str(of.cells[at]) for at in few] == ["male → male"]
    assert {str(of.cells[at]): why for at, why in left_out.items()} == {
        "male → female": "the sample of 19 faces is too small for 10 of each cell"
    }
    assert len(few[next(iter(few))]) == 19
    again, _ = sample_faces(of, 40, 0)
    others, _ = sample_faces(of, 40, 1)
    assert all((drawn[at] == again[at]).all() for at in drawn)
    assert any((drawn[at] != others[at]).any() for at in drawn)


def test_the_face_that_is_drawn_of_a_subject_is_a_random_one(made):
    _, manifest, run, _ = made
    of = cells_of(run, table_of(range(44), "male", "male"), manifest)
    drawn, _ = sample_faces(of, 22, 0)
    (faces,) = drawn.values()
    assert 0 < (of.rows[faces] % 2).sum() < SUBJECTS


# ---------------------------------------------------------------- files, and one line for each mistake


def test_the_same_command_writes_the_same_bytes(featurekit, work):
    code, output, errors = featurekit("explain", "--average", "--name", "table", "--sample", "0")
    assert code == 0, errors
    folder = work / "reports" / "table" / "average" / "gender--mean_color--svm"
    assert sorted(path.name for path in folder.iterdir()) == ["faces.csv", "faces.png"]
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert "gender\tgender--mean_color--svm\t2 of 3\t22\t" in output
    assert "gender: no mean of male → female (9 subjects)" in output
    assert "mean of the faces of at least ten subjects" in output
    assert "not in the report" in output
    with Image.open(folder / "faces.png") as sheet:
        assert sheet.format == "PNG"
    assert featurekit("explain", "--average", "--name", "table", "--sample", "0")[0] == 0
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_maps_are_written_beside_the_faces_with_the_same_bytes_again(maps, tmp_path):
    written = maps.save(tmp_path)
    assert [path.name for path in written] == ["maps.png", "maps.csv"]
    before = [path.read_bytes() for path in written]
    assert [path.read_bytes() for path in maps.save(tmp_path)] == before
    assert len(pd.read_csv(written[1])) == len(maps.frame())


def test_without_a_saved_model_the_mean_faces_are_written_and_the_reason_is_told(featurekit, work):
    code, _, errors = featurekit("explain", "--average", "--name", "table", "--output", work / "own")
    assert code == 0, errors
    warnings = [line for line in errors.splitlines() if line.startswith("warning:")]
    assert len(warnings) == 1
    assert "gender has no maps: gender--mean_color--svm has no saved model" in warnings[0]
    assert (work / "own" / "gender--mean_color--svm" / "faces.png").is_file()


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["--average", "--name", "nothing"], ["There are no runs in", "nothing"]),
        (["--average", "--target", "genre"], ["Unknown target of these results 'genre'", "gender"]),
        (["--average", "--run", "svn"], ["Unknown model of these results 'svn'", "svm"]),
        (["--average", "--sample", "9"], ["--sample 9 is too few", "at least 10"]),
        (["--average", "--faces", "center"], ["--faces has no effect without images"]),
        (["--average", "--how", "gradcam"], ["--how gradcam has no effect without images"]),
        (["--average", "--sample", "0", "--seed", "1"], ["--seed has no effect with --sample 0"]),
        (["--average", "--sample", "0", "--device", "cpu"], ["--device has no effect with --sample 0"]),
        (
            ["models/x", "a.png", "--average", "--sample", "20"],
            ["--sample has an effect only on the faces"],
        ),
        (["models/x", "a.png", "--run", "svm"], ["--run has an effect only on the faces"]),
        ([], ["No model is given", "featurekit explain --average"]),
    ],
)
def test_a_mistake_is_one_line(featurekit, work, words, parts):
    code, _, errors = featurekit("explain", *words)
    assert code == 1
    (line,) = [line for line in errors.splitlines() if line.startswith("error:")]
    assert not [part for part in parts if part not in line], line


def test_what_is_missing_is_one_line(made, work):
    run = made[2]
    average = fk.load_results(work / "reports" / "table").average
    shutil.rmtree(work / "cache" / "embeddings")
    with pytest.raises(
        WorkspaceError, match=r"crops of 22 of 22 faces.*featurekit extract --backbone pixels"
    ):
        average.faces(**QUIET)
    few = pd.concat([GENDERS[:9], GENDERS[11:20]])
    run.save(work / "reports" / "table", few)
    with pytest.raises(TargetError, match=r"No cell of gender has 10 subjects \(the largest has 9\)"):
        average.faces(**QUIET)
    run.save(work / "reports" / "table", GENDERS.assign(face_id="gone.png"))
    with pytest.raises(
        WorkspaceError, match=r"The face gone.png of the predictions is no longer in the manifest"
    ):
        average.faces(**QUIET)
    run.save(work / "reports" / "table", GENDERS.assign(predicted="other"))
    with pytest.raises(WorkspaceError, match="contain female → other, which is not of its classes"):
        average.faces(**QUIET)
    (work / "reports" / "table" / "predictions" / f"{run.name}.parquet").unlink()
    with pytest.raises(WorkspaceError, match=r"The predictions of .* are not in"):
        average.faces(**QUIET)
    (work / "manifest.csv").unlink()
    with pytest.raises(WorkspaceError, match=r"The data set of .* is not available"):
        fk.load_results(work / "reports" / "table").average.faces(**QUIET)


def test_a_model_without_a_target_is_that_of_every_target_that_it_predicts(tmp_path):
    runs = [make_run(target, classifier=name) for target in ("gender", "age") for name in ("svm", "majority")]
    runs.append(make_run(classifier="mlp"))
    average = Averages(runs, tmp_path, None)
    assert [run.name for run in average._chosen(None, "svm")] == [
        "gender--dlib_age--svm",
        "age--dlib_age--svm",
    ]
    assert [run.name for run in average._chosen(None, "mlp")] == ["gender--dlib_age--mlp"]
    assert [run.name for run in average._chosen(["age"], None)] == ["age--dlib_age--svm"]
    assert [run.target for run in average._chosen(None, None)] == ["gender", "age"]


def test_a_map_needs_a_model_of_the_run(made, average):
    _, _, run, recipes = made
    with pytest.raises(ModelError, match=r"is not of the run .*other vectors"):
        average.maps(trained=model_of(run, (recipes["pixels:rgb"],)), **QUIET)
    with pytest.raises(ModelError, match="sample 3 is too few"):
        average.maps(sample=3, **QUIET)
    with pytest.raises(UnknownNameError, match="Unknown model of these results 'mlp'"):
        average.maps("mlp", **QUIET)


def test_a_folder_whose_cells_have_become_too_small_keeps_no_earlier_sheet(average, tmp_path):
    found = average.faces(**QUIET)
    assert [path.name for path in found.save(tmp_path)] == ["faces.png", "faces.csv"]
    empty = replace(found, faces={})
    assert [path.name for path in empty.save(tmp_path)] == ["faces.csv"]
    assert not (tmp_path / "faces.png").exists()


def test_a_replaced_comparison_takes_its_means_along(work):
    from featurekit.evaluation.replaced import set_aside

    comparison = work / "reports" / "table"
    fk.load_results(comparison).average.save(sample=0, **QUIET)
    replaced = set_aside(comparison)
    assert not list((comparison / "average").glob("*/*"))
    assert len(list((replaced / "average").glob("*/*.png"))) == 1


def test_a_purge_tells_of_mean_faces_and_of_what_was_exported(work):
    comparison = work / "reports" / "table"
    fk.load_results(comparison).average.save(sample=0, **QUIET)
    for name in ("model_card.md", "report.pdf"):
        (comparison / name).write_text("x")
    project = ComparisonFolder(comparison).project
    found = look(project, find_traces(project, ["s0"], []))
    assert found.learned == {"runs": 1, "reports": 2, "mean faces": 1}
