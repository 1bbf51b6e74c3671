"""A class that not every training part can have is left out aloud, and stops no target."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from featurekit.cache.store import Store
from featurekit.checks.audit import vectors_for
from featurekit.data.manifest import Manifest, is_measured
from featurekit.data.prepare import prepare
from featurekit.data.splits import make_fold_set, subject_exclusive_folds
from featurekit.embeddings.extractor import extract
from featurekit.embeddings.index import joined, record_of
from featurekit.embeddings.recipe import make_recipes
from featurekit.errors import FoldError, TargetError, WorkspaceError
from featurekit.evaluation.comparable import set_apart
from featurekit.evaluation.comparison import Comparison
from featurekit.evaluation.planning import plan
from featurekit.evaluation.readiness import make_ready
from featurekit.evaluation.results import Run, load_runs
from featurekit.faces.settings import default_settings
from featurekit.naming import Caller
from tests.evaluation.made_up import one_line


def write_people(folder, people):
    """Write a picture of each person and a table; a person is a dictionary of labels."""
    rng = np.random.default_rng(0)
    (folder / "photos").mkdir()
    rows = []
    for number, labels in enumerate(people):
        tone = [150, 90, 60] if labels.get("gender") == "female" else [60, 90, 150]
        pixels = np.clip(np.array(tone) + rng.normal(0, 25, (32, 32, 3)), 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / "photos" / f"{number}.png")
        rows.append({"file": f"{number}.png", "person": f"s{number}", **labels})
    pd.DataFrame(rows).to_csv(folder / "people.csv", index=False)


@pytest.fixture
def prepared(tmp_path, featurekit):
    """A function: prepare and extract people in the workspace of featurekit()."""

    def make(people):
        write_people(tmp_path, people)
        columns = {"image_path": "file", "subject_id": "person", "age": "age", "gender": "gender"}
        named = [word for pair in columns.items() for word in ("--column", "=".join(pair))]
        own = sorted(set(people[0]) - set(columns))
        named += ["-o", f"labels={','.join(own)}"] if own else []
        where = (tmp_path / "people.csv", "--root", tmp_path / "photos")
        code, output, errors = featurekit("prepare", "table", *where, *named)
        assert code == 0, output + errors
        assert featurekit("extract", "--backbone", "mean_color", "--detector", "whole_image")[0] == 0
        return tmp_path / "work"

    return make


def people_with(n=60, **rare):
    """Thirty of each gender, young and very young; column → {number of a person → her label}."""
    made = []
    for number in range(n):
        labels = {"gender": ("male", "female")[number % 2], "age": (5, 28)[number // 2 % 2]}
        made.append(labels | {column: of[number] for column, of in rare.items() if number in of})
    return made


@pytest.mark.slow
def test_one_person_of_70_is_left_out_of_her_group_and_everything_else_is_fitted(featurekit, prepared):
    work = prepared(people_with(age={59: 70}))
    fit = ("fit", "--model", "logistic_regression")
    code, _, errors = featurekit(*fit)
    assert code == 0, errors
    sentence = next(line for line in errors.splitlines() if "is left out of" in line)
    assert sentence.startswith(
        "note: Class 60-100 is left out of age_group, because too few subjects have it: the"
    )
    assert sentence.endswith("Its 1 row of 1 subject is not scored for age_group.")
    runs = {run.name: run for run in load_runs(work / "reports" / "table")}
    assert {run.target for run in runs.values()} == {"age_group", "gender", "age"}
    group, gender = (runs[f"{name}--mean_color--logistic_regression"] for name in ("age_group", "gender"))
    assert group.left_out == {"60-100": 1}
    assert (group.n_labelled, group.n_tested) == (59, 59)
    assert (gender.n_labelled, gender.n_tested, gender.left_out) == (60, 60, {})
    assert sentence.removeprefix("note: ") in group.notes
    assert sum(map(sum, group.confusion)) == 59
    # Every later fit of the comparison leaves out the same one, and an ensemble too.
    assert featurekit("fit", "--model", "svm", "--target", "age_group")[0] == 0
    code, _, errors = featurekit("ensemble", "age_group--*--svm", "age_group--*--logistic_regression")
    assert code == 0, errors
    all_of_it = [run for run in load_runs(work / "reports" / "table") if run.target == "age_group"]
    assert {json.dumps(dict(run.left_out)) for run in all_of_it} == {'{"60-100": 1}'}
    assert {run.n_tested for run in all_of_it} == {59}
    assert all(any("60-100 is left out" in note for note in run.notes) for run in all_of_it)
    assert set_apart(all_of_it, Manifest.load(work / "manifest.csv")) == {}
    code, _, errors = featurekit("report")
    assert code == 0, errors
    assert "set apart" not in errors
    assert "Class 60-100 is left out of age_group" in (work / "reports" / "table" / "report.md").read_text()
    assert featurekit("audit", "--no-images")[0] == 0


def test_rare_classes_are_refused_where_that_is_asked_for(featurekit, prepared):
    work = prepared(people_with(age={59: 70}))
    one_line(
        featurekit("fit", "--rare", "refuse"),
        "Fold",
        " trains on no face of class 60-100 of age_group, because only one subject has it. Add faces of other"
        " subjects with this class, or leave such classes out with --rare leave-out.",
    )
    assert not (work / "reports").exists()


def test_a_class_of_a_column_of_ones_own_is_none_of_the_models_classes(featurekit, prepared):
    glad = {number: ("glad", "sad")[number // 4 % 2] for number in range(60)}
    work = prepared(people_with(mood=glad | {7: "furious"}))
    code, _, errors = featurekit("fit", "--model", "logistic_regression", "--target", "mood")
    assert code == 0, errors
    run = next(run for run in load_runs(work / "reports" / "table") if not run.is_baseline)
    assert run.classes == ("glad", "sad")
    assert len(run.confusion) == len(run.recall) == 2
    predictions = pd.read_parquet(work / "reports" / "table" / "predictions" / f"{run.name}.parquet")
    assert not {"p_furious"} & set(predictions)
    assert len(predictions) == 59
    model = json.loads((work / "models" / run.name / "model.json").read_text())
    assert model["target"]["classes"] == ["glad", "sad"]
    assert any("furious is left out of mood" in note for note in model["training"]["notes"])
    assert featurekit("report")[0] == 0
    assert featurekit("audit", "--no-images")[0] == 0


def test_a_fit_says_which_folds_test_nobody_of_a_class(featurekit, prepared):
    work = prepared(people_with(age={57: 70, 58: 70, 59: 0}))
    code, _, errors = featurekit("fit", "--model", "logistic_regression", "--no-models")
    assert code == 0, errors
    predictions = work / "reports" / "table" / "predictions"
    table = pd.read_parquet(predictions / "age_group--mean_color--logistic_regression.parquet")
    absent = sorted(set(range(5)) - set(table["fold"][table["true"] == "60-100"]))
    said = [line for line in errors.splitlines() if "tests every class" in line]
    # Group 0-2 is left out, which another line has told.
    assert said == [
        "note: Not every fold tests every class of age_group: missing are 60-100 in folds"
        f" {', '.join(map(str, absent))}. The balanced accuracy of such a fold is the mean over the other"
        " classes. To test every class in every fold, use fewer folds or more subjects."
    ]
    assert errors.count("0-2") == 1


def test_a_fit_names_the_columns_of_ones_own_that_it_does_not_fit(featurekit, prepared):
    n = 24
    columns = {
        "glasses": {number: ("yes", "no")[number // 4 % 2] for number in range(n)},
        "hat": {number: ("yes", "no", "")[number % 3] for number in range(n)},
        "height": {number: str(150.5 + number) for number in range(n)},
        "remark": {number: f"remark {max(number, 2)}" for number in range(14)},
        "studio": dict.fromkeys(range(n), "one"),
        "race": {number: ("a", "b")[number % 2] for number in range(n)},
    }
    people = [{name: of.get(number, "") for name, of in columns.items()} for number in range(n)]
    prepared([labels | person for labels, person in zip(people, people_with(n), strict=True)])
    fit = ("fit", "--model", "logistic_regression", "--no-models")
    said = "not fitted, because labels of your own must be named with --target."
    code, _, errors = featurekit(*fit)
    assert code == 0, errors
    assert f"note: The label columns glasses, hat are {said}\n" in errors
    for target in ("gender", "glasses"):
        code, _, errors = featurekit(*fit, "--target", target)
        assert (code, said in errors) == (0, False)


def test_a_target_of_which_nothing_is_left_is_passed_over_unless_it_was_named(featurekit, prepared):
    people = [{"gender": ("male", "female")[n % 2], "age": 28 if n else 5} for n in range(24)]
    prepared(people)
    code, output, errors = featurekit("fit", "--model", "logistic_regression")
    assert code == 0, errors
    assert "age_group is not fitted: age_group cannot be fitted: one class is left" in errors
    assert "gender" in output
    one_line(
        featurekit("fit", "--target", "age_group", "--target", "gender"),
        "age_group cannot be fitted: one class",
    )


@pytest.mark.parametrize("seed", range(8))
def test_21_classes_of_two_or_three_persons_each_are_dealt_so_that_each_is_trained(seed):
    rng = np.random.default_rng(seed)
    labels = np.repeat([f"class {i}" for i in range(21)], rng.integers(2, 4, 21))
    subjects = np.array([f"s{i}" for i in range(len(labels))])
    rows = np.repeat(np.arange(len(labels)), rng.integers(1, 4, len(labels)))
    table = pd.DataFrame(
        {
            "face_id": [f"f{i}" for i in range(len(rows))],
            "image_path": "",
            "subject_id": subjects[rows],
            "age": rng.choice([1.0, 5.0, 28.0, 70.0], len(labels))[rows],
            "age_group": rng.choice(["0-2", "25-32"], len(labels))[rows],
            "gender": rng.choice(["female", "male"], len(labels))[rows],
            "official_fold": -1,
            "box": "",
            "content": "",
            "reason": "",
            "role": labels[rows],
            "remark": [f"remark {i}" for i in range(len(rows))],
        }
    )
    manifest = Manifest(table, None, {"dataset": "made_up"})
    folds = make_fold_set("trial", manifest, seed=seed)
    everyone = np.arange(len(rows))
    assert folds.untrained(everyone, labels[rows], subjects[rows]) == {}
    sizes = np.bincount(folds.numbers)
    assert sizes.max() - sizes.min() <= len(rows) / 5
    subject_exclusive_folds(labels[rows], subjects[rows], seed=seed)


@pytest.mark.parametrize("seed", range(5))
def test_three_columns_of_pairs_are_dealt_so_that_no_pair_lies_in_one_fold(seed):
    rng = np.random.default_rng(seed)
    columns = {f"own{i}": [f"{k}" + "x" for k in rng.permutation(np.arange(60) // 2)] for i in range(3)}
    table = pd.DataFrame(
        {
            "face_id": [f"f{i}" for i in range(60)],
            "image_path": "",
            "subject_id": [f"s{i}" for i in range(60)],
            "age": np.nan,
            "age_group": "",
            "gender": "",
            "official_fold": -1,
            "box": "",
            "content": "",
            "reason": "",
            **columns,
        }
    )
    manifest = Manifest(table, None, {"dataset": "made_up"})
    folds = make_fold_set("trial", manifest, seed=seed)
    for labels in columns.values():
        assert folds.untrained(np.arange(60), np.array(labels), manifest.subjects) == {}
    assert np.ptp(np.bincount(folds.numbers)) <= 4


# ---------------------------------------------------------------- only what is read counts


@pytest.fixture
def world(portraits):
    """Manifest, ledger and store of 24 portraits, one of which has no pixels and no second vectors."""
    columns = {"image_path": "file", "subject_id": "person", "age": "years", "gender": "sex"}
    manifest = prepare("table", portraits / "people.csv", root=portraits / "photos", columns=columns)
    settings, store = default_settings("whole_image"), Store(portraits / "cache")
    asked = {"device": "cpu", "precision": "auto"}
    others = make_recipes(["pixels"], settings, device="cpu")
    fewer = Manifest(manifest.table.iloc[:-1], manifest.root, manifest.info)
    ledger = record_of(extract(fewer, others, settings, store), settings, asked)
    own = make_recipes(["mean_color"], settings, device="cpu")
    return (
        manifest,
        joined([ledger, record_of(extract(manifest, own, settings, store), settings, asked)]),
        store,
    )


def test_a_network_that_lacks_a_face_stops_nobody_who_does_not_read_it(world, tmp_path):
    manifest, ledger, store = world
    assert next(iter(ledger.recipes)) == "pixels:rgb"  # which the floors are named after
    comparison = Comparison.open(tmp_path / "report", manifest, n_folds=4)
    plans = plan(manifest, ledger, models=["svm"], targets=["gender"], features=["mean_color"])
    runs = comparison.run(plans, ledger, store, models_folder=tmp_path / "models", threads=1)
    assert {(run.classifier, run.n_tested) for run in runs} == {("svm", 24), ("majority", 24)}
    floor = next(run for run in runs if run.is_baseline)
    assert floor.dim == 160 * 160 * 3
    assert Run.load(tmp_path / "report" / "runs" / f"{floor.name}.json") == floor


def test_a_network_that_lacks_a_face_and_is_read_is_named_before_anything_is_fitted(world, tmp_path):
    manifest, ledger, store = world
    comparison = Comparison.open(tmp_path / "report", manifest, n_folds=4)
    plans = plan(manifest, ledger, models=["svm"], targets=["gender"], features=["pixels"])
    with pytest.raises(
        WorkspaceError, match=r"1 of 24 faces have no vector of pixels:rgb yet\. To compute them: "
    ):
        comparison.run(plans, ledger, store, models_folder=None, threads=1)
    assert not (tmp_path / "report").exists()


def test_a_network_that_lacks_a_face_does_not_keep_the_audit_from_looking_in_another(world):
    manifest, ledger, store = world
    settings, asked = default_settings("whole_image"), {"device": "cpu", "precision": "auto"}
    fewer = Manifest(manifest.table.iloc[:-1], manifest.root, manifest.info)
    first = make_recipes(["dlib_age"], settings, device="cpu")
    partly = record_of(extract(fewer, first, settings, store), settings, asked)
    both = replace(ledger, recipes={**partly.recipes, **ledger.recipes})
    found = vectors_for(manifest, both, store)
    assert [recipe.backbone for recipe in found.recipes] == ["mean_color"]
    with pytest.raises(WorkspaceError, match=r"1 of 24 faces have no vector of dlib_age:"):
        vectors_for(manifest, both, store, "dlib_age")


@pytest.mark.parametrize(
    ("values", "measured"),
    [
        (["19.8", "23.1", "30"], True),
        ([f"{n}" for n in range(150, 190)], True),
        (["1e-3", "2e-3", "", ""], True),
        ([*(f"{n}" for n in range(40)), "many"], True),
        (["0", "1", "2"], False),
        (["0.0", "1.0", ""], False),
        (["1", "2", "x", "y"], False),
        ([f"role {n}" for n in range(40)], False),
        (["", ""], False),
    ],
)
def test_a_column_is_measured_where_it_has_fractions_or_many_numbers(values, measured):
    assert is_measured(values) == measured


def test_a_measured_column_is_no_target_yet_and_a_code_is(world):
    manifest, ledger, _ = world
    number = np.arange(24)
    manifest.table["height"] = [f"{150 + n / 2}" for n in number]
    manifest.table["pixels_wide"] = [str(800 + n) for n in number]
    manifest.table["smile"] = [f"{n / 100:.2f}" if n else "" for n in number]
    manifest.table["code"] = [str(n % 3) for n in number]
    for column, shown in (("height", "150.0, 150.5"), ("pixels_wide", "800, 801"), ("smile", "0.01, 0.02")):
        with pytest.raises(TargetError) as refused:
            plan(manifest, ledger, models=["svm"], targets=[column], features=["mean_color"])
        assert str(refused.value) == (
            f"column {column} is numeric ({shown}, …), so it cannot be used as a class. Group its values into"
            " classes in the table (for example with pandas.cut), or name it age if it contains ages in"
            " years."
        )
    plans = plan(manifest, ledger, models=["svm"], targets=["code"], features=["mean_color"])
    assert plans[0].target.classes == ("0", "1", "2")


def test_official_folds_that_give_one_fold_all_of_a_class_leave_it_out(world, tmp_path):
    manifest, ledger, store = world
    manifest.table["official_fold"] = np.arange(24) // 12
    manifest.table["mood"] = ["sad" if n in (1, 4) else ("glad", "calm")[n // 3 % 2] for n in range(24)]
    comparison = Comparison.open(tmp_path / "report", manifest)
    plans = plan(manifest, ledger, models=["logistic_regression"], targets=["mood"], features=["mean_color"])
    said = []
    run = comparison.run(plans, ledger, store, models_folder=None, threads=1, say=said.append)[0]
    assert run.left_out == {"sad": 2}
    assert "the training part of fold 0 has none of them. Its 2 rows of 2 subjects are not scored" in said[0]
    assert len(said) == 1
    why = (
        "Fold 0 trains on no face of class sad of mood, because all 2 subjects who have it are tested in this"
        " fold. Add faces of other subjects with this class,"
    )
    with pytest.raises(FoldError, match=f"{why} or leave such classes out"):
        comparison.run(plans, ledger, store, models_folder=None, threads=1, rare="refuse")
    made = replace(comparison.folds, kind="made")
    with pytest.raises(FoldError, match=f"{why} make other folds with another --seed, or leave"):
        make_ready(manifest, made, np.ones(24, bool), ["mood"], rare="refuse", say=said.append)


def test_official_folds_that_do_not_test_a_class_are_named_without_advice_to_change_them(world):
    manifest = world[0]
    manifest.table["official_fold"] = np.arange(24) // 6
    moods = {0: "sad", 6: "sad", 1: "ill", 7: "ill", 13: "ill"}
    manifest.table["mood"] = [moods.get(n, ("glad", "calm")[n % 2]) for n in range(24)]
    folds, found, said = make_fold_set("trial", manifest), np.ones(24, bool), []
    make_ready(manifest, folds, found, ["gender", "mood", "age"], say=said.append)
    assert said == [
        "Not every fold tests every class of mood: missing are ill in fold 3; sad in folds 2, 3. The balanced"
        " accuracy of such a fold is the mean over the other classes."
    ]


def test_a_constant_target_is_refused_with_how_to_fit_the_others(world, monkeypatch):
    manifest = world[0]
    manifest.table["mood"] = "glad"
    folds, found, said = make_fold_set("trial", manifest), np.ones(24, bool), []
    why = "All training faces are glad, but mood needs at least two classes. Label faces of another class."
    with pytest.raises(TargetError) as of_one:
        make_ready(manifest, folds, found, ["mood"], say=said.append)
    with pytest.raises(TargetError) as of_two:
        make_ready(manifest, folds, found, ["gender", "mood"], say=said.append)
    assert str(of_one.value) == why
    assert str(of_two.value) == f"{why} To fit the other targets, name only those with --target."
    monkeypatch.setattr(Caller, "is_command_line", False)
    assert str(of_two.value) == f"{why} To fit the other targets, name only those with target."
    make_ready(manifest, folds, found, ["gender", "mood"], skip=True, say=said.append)
    assert f"mood is not fitted: {why}" in said
