"""The comparison: one set of folds, every row accounted for, every run as it was asked for."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest

from featurekit.data.prepare import prepare
from featurekit.embeddings.extractor import extract
from featurekit.embeddings.vectors import load_embeddings
from featurekit.errors import FoldError
from featurekit.evaluation.comparison import Comparison
from featurekit.evaluation.planning import plan
from featurekit.evaluation.results import Run, load_runs

COLUMNS = {"image_path": "file", "subject_id": "person", "age": "years", "gender": "sex"}


def test_the_floor_is_in_every_comparison(world, compare, tmp_path):
    runs = compare(world, tmp_path / "report")
    assert [run.classifier for run in runs] == ["logistic_regression", "majority"]
    assert [run.is_baseline for run in runs] == [False, True]


def test_a_run_on_disk_is_the_run(world, compare, tmp_path):
    runs = compare(world, tmp_path / "report", targets=("gender", "age"))
    assert {run.name for run in load_runs(tmp_path / "report")} == {run.name for run in runs}
    for run in runs:
        assert Run.load(tmp_path / "report" / "runs" / f"{run.name}.json") == run


def test_a_run_accounts_for_every_row(world, compare, tmp_path):
    manifest, ledger, store = world
    manifest.table.loc[3, "reason"] = "conflicting_labels"
    run = compare((manifest, ledger, store), tmp_path / "report")[0]
    assert run.n_tested == run.n_labelled == 23
    assert sum(run.dataset["tally"].values()) == 1
    assert sum(run.dataset["statuses"].values()) == 24
    assert sum(map(sum, run.confusion)) == 23


def test_a_labelled_row_without_a_face_is_wrong_on_all_rows_and_absent_on_faces(
    world, compare, tmp_path, portraits
):
    _, ledger, store = world
    (portraits / "photos" / "s2_1.png").write_bytes(b"broken")
    again = prepare("table", portraits / "people.csv", root=portraits / "photos", columns=COLUMNS)
    extract(again, ledger.recipes, ledger.settings, store)
    run = compare((again, ledger, store), tmp_path / "report")[0]
    assert (run.n_tested, run.n_labelled) == (23, 24)
    assert run.scores["accuracy"]["mean"] == 1.0
    assert run.scores_all_rows["accuracy"]["mean"] < 1.0
    missed = [1 - share for share in run.scores_all_rows["accuracy"]["folds"]]
    assert sum(share > 0 for share in missed) == 1


def test_one_saved_set_of_folds_serves_every_run(world, compare, tmp_path):
    first = compare(world, tmp_path / "report", seed=0)
    second = compare(world, tmp_path / "report", models=("svm",))
    assert first[0].folds["sha256"] == second[0].folds["sha256"]
    with pytest.raises(FoldError, match="with seed 0, so --seed 5 would have no effect"):
        compare(world, tmp_path / "report", seed=5)
    dealt_anew = compare(world, tmp_path / "report", seed=5, new_folds=True)
    assert dealt_anew[0].folds["sha256"] != first[0].folds["sha256"]
    assert dealt_anew[0].folds["seed"] == 5


def test_folds_of_other_rows_are_refused(world, compare, tmp_path):
    manifest, ledger, store = world
    compare(world, tmp_path / "report")
    fewer = replace(manifest, table=manifest.table.iloc[:-1])
    with pytest.raises(FoldError, match="--new-folds"):
        compare((fewer, ledger, store), tmp_path / "report")


def test_official_folds_win(world, compare, tmp_path):
    manifest, ledger, store = world
    manifest.table["official_fold"] = [0] * 12 + [1] * 12  # four subjects each
    run = compare((manifest, ledger, store), tmp_path / "report", n_folds=None)[0]
    assert run.folds["kind"] == "official"
    assert run.folds["number"] == 2


@pytest.mark.slow
def test_the_same_seed_gives_the_same_scores_for_any_number_of_threads(world, tmp_path):
    manifest, ledger, store = world
    runs = []
    for threads in (1, 2):
        comparison = Comparison.open(tmp_path / str(threads), manifest, n_folds=4)
        plans = plan(manifest, ledger, models=["random_forest"], targets=["gender", "age"])
        runs.append(comparison.run(plans, ledger, store, models_folder=None, threads=threads))
    for one, two in zip(*runs, strict=True):
        assert one.scores == two.scores
        assert one.parameters == two.parameters


def test_a_run_names_weights_hardware_and_versions(world, compare, tmp_path):
    run = compare(world, tmp_path / "report")[0]
    assert run.hardware["asked"] == {"device": "cpu", "precision": "auto"}
    assert run.hardware["got"]["mean_color"]["device"] == "cpu"
    assert {"python", "featurekit", "scikit-learn", "numpy"} <= set(run.versions)
    assert run.recipes[0]["backbone"] == "mean_color"
    assert json.loads(json.dumps(asdict(run))) is not None


def test_a_tuned_run_stands_beside_the_untuned_one(world, tmp_path):
    manifest, ledger, store = world
    for tune in (False, True):
        comparison = Comparison.open(tmp_path / "report", manifest, n_folds=4)
        plans = plan(manifest, ledger, models=["logistic_regression"], targets=["gender"])
        fits = []
        comparison.run(
            plans,
            ledger,
            store,
            models_folder=tmp_path / "models",
            threads=1,
            tune=tune,
            progress=lambda done, total, fits=fits: fits.append((done, total)),
        )
        assert fits == [(done, 10) for done in range(11)]  # four folds and a model, twice
    runs = {run.name: run for run in load_runs(tmp_path / "report")}
    assert sorted(runs) == [
        "gender--mean_color--logistic_regression",
        "gender--mean_color--logistic_regression--tuned",
        "gender--mean_color--majority",  # the floor has nothing to tune, and stands there once
    ]
    tuned = runs["gender--mean_color--logistic_regression--tuned"]
    assert tuned.classifier_name == "logistic_regression (tuned)"
    assert len(tuned.search) == 4
    assert all(set(found) == {"parameters", "score", "candidates"} for found in tuned.search)
    assert tuned.search[0]["candidates"] == 5
    assert tuned.parameters["penalty"] == tuned.search[0]["parameters"]["penalty"]
    model = json.loads((tmp_path / "models" / tuned.name / "model.json").read_text())
    assert model["name"] == tuned.name
    assert any(note.startswith("Tuned on all faces: penalty=") for note in model["training"]["notes"])


def test_a_run_saved_before_there_was_tuning_is_still_read(world, compare, tmp_path):
    run = compare(world, tmp_path / "report")[0]
    path = tmp_path / "report" / "runs" / f"{run.name}.json"
    content = json.loads(path.read_text())
    for name in ("tuned", "search", "variation", "training"):
        del content[name]
    path.write_text(json.dumps(content))
    assert Run.load(path) == run
    assert not run.tuned


def test_a_run_that_could_not_be_tuned_says_so(world, tmp_path):
    manifest, ledger, store = world
    comparison = Comparison.open(tmp_path / "report", manifest, n_folds=2)
    # Of the eight subjects two have the class that the others lack.
    manifest.table["mood"] = ["glad" if name in ("s0", "s1") else "sad" for name in manifest.subjects]
    plans = plan(manifest, ledger, models=["logistic_regression"], targets=["mood"])
    run = comparison.run(plans, ledger, store, models_folder=None, threads=1, tune=True)[0]
    assert run.tuned
    assert run.search[0] == {"parameters": {}, "score": None, "candidates": 0}
    assert any(note.startswith("Not tuned: the default parameters were used.") for note in run.notes)


def test_a_network_learns_from_faces_that_lack_the_target_and_is_not_scored_on_them(
    pictures, crops, seen, tmp_path
):
    manifest, ledger, store = pictures
    comparison = Comparison.open(tmp_path / "report", manifest, n_folds=4)
    plans = plan(manifest, ledger, models=["crops"], targets=["age_group"])
    run = comparison.run(plans, ledger, store, models_folder=None, threads=1)[0]
    assert run.classifier == "crops"
    assert run.features == "pixels"
    assert run.n_tested == 21
    assert sum(len(y) for _, _, y in seen) == 3 * 24  # every face is in three training parts
    assert sum((y < 0).sum() for _, _, y in seen) == 3 * 3
    assert run.training[0]["also"] == ["age", "gender"]
    assert run.seconds["fit"] == 4 * 12.5  # what the trainings took when they were made


def test_pixels_are_kept_as_they_are_and_are_no_default_features(pictures):
    manifest, ledger, store = pictures
    pixels = ledger.recipes["pixels:rgb"]
    assert not pixels.mirrored  # the mean of a face and its mirror image is no face
    found = load_embeddings(manifest, [pixels], ledger.settings, store)
    assert found.vectors.dtype == np.uint8
    assert found.vectors.shape == (24, 160 * 160 * 3)
    plans = plan(manifest, ledger, models=["svm"], targets=["gender"])
    assert {one.features for one in plans} == {("mean_color:mean",)}


def test_every_variation_is_a_run_of_its_own(pictures, crops, seen, tmp_path):
    manifest, ledger, store = pictures
    comparison = Comparison.open(tmp_path / "report", manifest, n_folds=2)
    variations = [{"epochs": 20}, {"epochs": 40}]
    plans = plan(manifest, ledger, models=["crops", "majority"], targets=["gender"], variations=variations)
    runs = comparison.run(plans, ledger, store, models_folder=None, threads=1)
    assert [run.name for run in runs] == [
        "gender--pixels--crops--epochs-20",
        "gender--pixels--crops--epochs-40",
        "gender--mean_color--majority",  # has no such parameter, and stands there as it comes
    ]
    assert runs[1].classifier_name == "crops (epochs 40)"
    assert {one.epochs for one, _, _ in seen} == {20, 40}
    assert Run.load(tmp_path / "report" / "runs" / f"{runs[1].name}.json") == runs[1]


def test_how_far_a_long_fit_is_counts(pictures, crops, tmp_path):
    manifest, ledger, store = pictures
    comparison = Comparison.open(tmp_path / "report", manifest, n_folds=2)
    plans = plan(manifest, ledger, models=["crops"], targets=["gender"])
    done, said = [], []
    comparison.run(
        plans,
        ledger,
        store,
        models_folder=None,
        threads=1,
        progress=lambda count, total: done.append(count),
        watch=said.append,
    )
    assert done == [0, 0.5, 1, 1.5, 2, 3, 4]  # the baseline last, because it takes no time
    assert said == ["epoch 1 of 1"] * 2
