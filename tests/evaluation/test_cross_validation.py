"""The comparison: one set of folds, nothing fitted outside a training part, every row accounted for."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from featurekit.cache.store import Store
from featurekit.data.datasets import prepare
from featurekit.data.manifest import AGE, GENDER
from featurekit.data.splits import Fold
from featurekit.embeddings.extractor import enter, extract, load_embeddings, make_recipes
from featurekit.errors import EngineError, FoldError, TargetError, UnknownNameError, WorkspaceError
from featurekit.estimators import CLASSIFIERS, ClassifierKind
from featurekit.evaluation import memory
from featurekit.evaluation.comparison import Comparison
from featurekit.evaluation.cross_validation import cross_validate
from featurekit.evaluation.ensemble import combine
from featurekit.evaluation.fitting import Fitting
from featurekit.evaluation.planning import plan
from featurekit.evaluation.results import Run, load_runs
from featurekit.faces.find import default_settings
from featurekit.inference.model import spread_out

COLUMNS = {"image_path": "file", "subject_id": "person", "age": "years", "gender": "sex"}
SPLIT = [
    Fold(np.arange(6, 12), np.arange(6)),
    Fold(np.arange(6), np.arange(6, 12)),
]


class Spy:
    """Remembers what it was fitted on and says the class of the nearest training row."""

    seen: list = []  # noqa: RUF012  # shared on purpose: the test reads what every fold was given

    def __init__(self):
        self.summary_ = {"notes": ["looks at the nearest row"]}

    def fit(self, X, y, *, groups):
        self.X, self.y = X, y
        self.classes_ = np.unique(y)
        Spy.seen.append((X.copy(), groups.copy()))
        return self

    def predict_proba(self, X):
        nearest = np.abs(X[:, None, 0] - self.X[None, :, 0]).argmin(axis=1)
        return (self.y[nearest][:, None] == self.classes_).astype(float)


SPY = ClassifierKind("spy", "a test's own", lambda target, seed, threads: Spy())


@pytest.fixture(autouse=True)
def _forget():
    Spy.seen.clear()


def test_a_fold_is_fitted_on_its_training_rows_alone():
    X = np.arange(12, dtype=np.float32)[:, None]
    y = np.tile([0, 1], 6)
    subjects = np.array([f"s{i}" for i in range(12)])
    out = cross_validate(SPY, GENDER, X, y, subjects, SPLIT)
    for fold, (seen, groups) in zip(SPLIT, Spy.seen, strict=True):
        np.testing.assert_array_equal(seen, X[fold.train])
        np.testing.assert_array_equal(groups, subjects[fold.train])
    np.testing.assert_array_equal(out.fold, [0] * 6 + [1] * 6)
    assert out.fitted.X.min() == 6  # the first fold's


def test_a_class_that_no_training_face_has_gets_probability_zero():
    X = np.arange(12, dtype=np.float32)[:, None]
    from featurekit.data.manifest import AGE_GROUP

    y = np.array([0, 3] * 3 + [0, 7] * 3)
    out = cross_validate(SPY, AGE_GROUP, X, y, np.arange(12).astype(str), SPLIT)
    assert out.probabilities.shape == (12, 8)
    np.testing.assert_array_equal(out.probabilities.sum(axis=1), 1)
    assert out.probabilities[:6, 3].sum() == 0  # the first fold's training part has no class 3
    assert set(out.predicted[:6]) <= {0, 7}


def test_a_row_outside_every_fold_is_not_predicted():
    X = np.arange(12, dtype=np.float32)[:, None]
    folds = [Fold(np.arange(6, 12), np.arange(3))]
    out = cross_validate(SPY, GENDER, X, np.tile([0, 1], 6), np.arange(12).astype(str), folds)
    assert (out.fold[3:] == -1).all()
    assert (out.predicted[3:] == -1).all()


def test_one_class_in_training_is_refused():
    X = np.zeros((12, 1), np.float32)
    with pytest.raises(TargetError, match="gender"):
        cross_validate(SPY, GENDER, X, np.zeros(12, int), np.arange(12).astype(str), SPLIT)


@pytest.fixture
def world(portraits):
    """Manifest, ledger and store of 24 extracted portraits."""
    manifest = prepare("table", portraits / "people.csv", root=portraits / "photos", columns=COLUMNS)
    settings = default_settings("whole_image")
    store = Store(portraits / "cache")
    recipes = make_recipes(["mean_color"], settings, device="cpu")
    extraction = extract(manifest, recipes, settings, store)
    return manifest, enter(None, extraction, settings, {"device": "cpu", "precision": "auto"}), store


def compare(world, folder, models=("logistic_regression",), targets=("gender",), n_folds=4, **options):
    manifest, ledger, store = world
    comparison = Comparison.open(folder, manifest, n_folds=n_folds, **options)
    plans = plan(manifest, ledger, models=models, targets=targets)
    return comparison.run(plans, ledger, store, models_folder=None, threads=1)


def test_the_floor_is_in_every_comparison(world, tmp_path):
    runs = compare(world, tmp_path / "report")
    assert [run.classifier for run in runs] == ["logistic_regression", "majority"]
    assert [run.is_baseline for run in runs] == [False, True]


def test_a_run_on_disk_is_the_run(world, tmp_path):
    runs = compare(world, tmp_path / "report", targets=("gender", "age"))
    assert {run.name for run in load_runs(tmp_path / "report")} == {run.name for run in runs}
    for run in runs:
        assert Run.load(tmp_path / "report" / "runs" / f"{run.name}.json") == run


def test_a_run_accounts_for_every_row(world, tmp_path):
    manifest, ledger, store = world
    manifest.table.loc[3, "reason"] = "conflicting_labels"
    run = compare((manifest, ledger, store), tmp_path / "report")[0]
    assert run.n_tested == run.n_labelled == 23
    assert sum(run.dataset["tally"].values()) == 1
    assert sum(run.dataset["statuses"].values()) == 24
    assert sum(map(sum, run.confusion)) == 23


def test_a_labelled_row_without_a_face_is_wrong_on_all_rows_and_absent_on_faces(world, tmp_path, portraits):
    _, ledger, store = world
    (portraits / "photos" / "s2_1.png").write_bytes(b"broken")
    again = prepare("table", portraits / "people.csv", root=portraits / "photos", columns=COLUMNS)
    extract(again, ledger.recipes, ledger.settings, store)
    run = compare((again, ledger, store), tmp_path / "report")[0]
    assert (run.n_tested, run.n_labelled) == (23, 24)
    assert run.scores["exact"]["mean"] == 1.0
    assert run.scores_all_rows["exact"]["mean"] < 1.0
    missed = [1 - share for share in run.scores_all_rows["exact"]["folds"]]
    assert sum(share > 0 for share in missed) == 1


def test_one_saved_set_of_folds_serves_every_run(world, tmp_path):
    first = compare(world, tmp_path / "report", seed=0)
    second = compare(world, tmp_path / "report", models=("svm",))
    assert first[0].folds["sha256"] == second[0].folds["sha256"]
    with pytest.raises(FoldError, match="with seed 0: --seed 5 would have no effect"):
        compare(world, tmp_path / "report", seed=5)
    dealt_anew = compare(world, tmp_path / "report", seed=5, new_folds=True)
    assert dealt_anew[0].folds["sha256"] != first[0].folds["sha256"]
    assert dealt_anew[0].folds["seed"] == 5


def test_folds_of_other_rows_are_refused(world, tmp_path):
    manifest, ledger, store = world
    compare(world, tmp_path / "report")
    fewer = replace(manifest, table=manifest.table.iloc[:-1])
    with pytest.raises(FoldError, match="--new-folds"):
        compare((fewer, ledger, store), tmp_path / "report")


def test_official_folds_win(world, tmp_path):
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


def test_a_run_names_weights_hardware_and_versions(world, tmp_path):
    run = compare(world, tmp_path / "report")[0]
    assert run.hardware["asked"] == {"device": "cpu", "precision": "auto"}
    assert run.hardware["got"]["mean_color"]["device"] == "cpu"
    assert {"python", "featurekit", "scikit-learn", "numpy"} <= set(run.versions)
    assert run.recipes[0]["backbone"] == "mean_color"
    assert json.loads(json.dumps(run.to_json())) is not None


def test_a_plan_names_what_is_wrong(world):
    manifest, ledger, _ = world
    with pytest.raises(UnknownNameError, match="Did you mean 'svm'"):
        plan(manifest, ledger, models=["svn"])
    with pytest.raises(TargetError, match="Unknown target 'sex'"):
        plan(manifest, ledger, models=["svm"], targets=["sex"])
    with pytest.raises(WorkspaceError, match="featurekit extract --backbone dlib_age"):
        plan(manifest, ledger, models=["svm"], features=["dlib_age"])
    with pytest.raises(WorkspaceError, match=r"off_the_shelf reads dlib_.*featurekit extract"):
        plan(manifest, ledger, models=["off_the_shelf"])
    manifest.table["gender"] = ""
    with pytest.raises(TargetError, match="No usable row of the manifest has a label of gender"):
        plan(manifest, ledger, models=["svm"], targets=["gender"])


def test_features_are_taken_alone_and_joined(world):
    manifest, ledger, _ = world
    recipe = next(iter(ledger.recipes.values()))
    names = ("dlib_age:pooled", "dlib_age:probabilities", "mobilenet_v2:pooled")
    ledger = replace(ledger, recipes=dict.fromkeys(names, recipe))
    plans = plan(manifest, ledger, models=["svm"], targets=["gender"])
    svm = [one.feature_name for one in plans if one.kind.name == "svm"]
    assert svm == ["dlib_age", "mobilenet_v2", "dlib_age+mobilenet_v2"]  # a head is nobody's default
    joined = plan(manifest, ledger, models=["svm"], targets=["gender"], join=True)
    assert [one.feature_name for one in joined if one.kind.name == "svm"] == ["dlib_age+mobilenet_v2"]
    asked = plan(
        manifest, ledger, models=["svm"], targets=["gender"], features=["mobilenet_v2+dlib_age:probabilities"]
    )
    assert asked[0].features == ("mobilenet_v2:pooled", "dlib_age:probabilities")


def test_every_baseline_is_run_on_one_feature_set_only(world):
    manifest, ledger, _ = world
    plans = plan(manifest, ledger, models=["svm"], targets=["gender"])
    for kind in CLASSIFIERS:
        if kind.is_baseline:
            assert sum(one.kind is kind for one in plans) <= 1


def test_probabilities_are_spread_over_all_classes():
    spread = spread_out(np.array([[0.25, 0.75]]), np.array([1, 3]), 5)
    np.testing.assert_array_equal(spread, [[0, 0.25, 0, 0.75, 0]])


# --- tuning, and folds side by side


def people(n: int = 160, n_classes: int = 2, seed: int = 0):
    """Vectors that half tell the class, and two faces a person."""
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(n // 2) % n_classes, 2)
    X = rng.normal(size=(n, 24)).astype(np.float32)
    X[np.arange(n), y] += 1
    return X, y, np.repeat([f"s{i}" for i in range(n // 2)], 2)


def four_folds(n: int = 160):
    return [Fold(np.setdiff1d(np.arange(n), part), part) for part in np.split(np.arange(n), 4)]


SMALL_GRIDS = {
    "svm": {"C": (0.5, 2.0), "gamma": (0.5, 1.0)},
    "random_forest": {"min_samples_leaf": (5, 2), "n_estimators": (5, 10)},
    "xgboost": {"max_depth": (2, 3)},
    "logistic_regression": {"penalty": (0.4, 0.04)},
}


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("svm", GENDER),
        ("svm", AGE),
        ("random_forest", GENDER),
        ("xgboost", AGE),
        ("logistic_regression", GENDER),
    ],
    ids=lambda value: getattr(value, "name", value),
)
def test_folds_side_by_side_give_the_same_bits(name, target):
    kind = replace(CLASSIFIERS[name], grid=lambda target: SMALL_GRIDS[name])
    X, y, subjects = people()
    labels = y * 20.0 + 5 if target.is_regression else y
    fitting = Fitting(blocks=(4, 20), threads=2, tune=True)
    outs = [
        cross_validate(kind, target, X, labels, subjects, four_folds()[:3], fitting, jobs=jobs)
        for jobs in (1, 2)
    ]
    np.testing.assert_array_equal(outs[0].predicted, outs[1].predicted)
    np.testing.assert_array_equal(outs[0].probabilities, outs[1].probabilities)
    assert [found.best for found in outs[0].searches] == [found.best for found in outs[1].searches]
    assert len(outs[0].searches) == 3


def test_a_fold_is_tuned_on_its_training_rows_alone():
    X, y, subjects = people()
    kind = replace(CLASSIFIERS["svm"], grid=lambda target: SMALL_GRIDS["svm"])
    folds = four_folds()[:1]
    found = cross_validate(kind, GENDER, X, y, subjects, folds, Fitting(tune=True)).searches[0]
    X[folds[0].test] = 7.0
    y[folds[0].test] = 1 - y[folds[0].test]
    again = cross_validate(kind, GENDER, X, y, subjects, folds, Fitting(tune=True)).searches[0]
    np.testing.assert_array_equal(found.scores, again.scores)
    y[folds[0].train[:40]] = 1 - y[folds[0].train[:40]]
    other = cross_validate(kind, GENDER, X, y, subjects, folds, Fitting(tune=True)).searches[0]
    assert (other.scores != found.scores).any()


def test_a_tuned_fold_is_fitted_with_what_its_search_chose():
    X, y, subjects = people()
    folds = four_folds()[:2]
    out = cross_validate(CLASSIFIERS["svm"], GENDER, X, y, subjects, folds, Fitting(tune=True))
    for fold, found in zip(folds, out.searches, strict=True):
        svm = CLASSIFIERS["svm"].make(GENDER, 0, 1).set_params(**found.best)
        svm.fit(X[fold.train], y[fold.train], groups=subjects[fold.train])
        np.testing.assert_array_equal(out.probabilities[fold.test], svm.predict_proba(X[fold.test]))


def test_folds_whose_kernels_do_not_fit_into_memory_together_run_one_by_one(monkeypatch):
    X, y, subjects = people()
    svm = CLASSIFIERS["svm"].make(GENDER, 0, 1)
    monkeypatch.setattr(memory, "available_memory", lambda: 3 * svm.bytes_needed(120, searching=False))
    said = []
    given = (CLASSIFIERS["svm"], GENDER, X, y, subjects, four_folds(), Fitting(threads=2))
    together = cross_validate(*given, jobs=2, say=said.append)
    assert len(said) == 1
    assert "Kernel matrices of 120 training faces" in said[0]
    assert said[0].endswith("1 fold at once.")
    assert together.fitted.summary_["notes"] == []
    monkeypatch.undo()
    alone = cross_validate(*given, jobs=2, say=said.append)
    assert len(said) == 1
    np.testing.assert_array_equal(together.probabilities, alone.probabilities)


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
        assert fits == [(done, 10) for done in range(1, 11)]  # four folds and a model, twice
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
    assert any(note.startswith("Tuned on all its faces: penalty=") for note in model["training"]["notes"])


def test_a_run_saved_before_there_was_tuning_is_still_read(world, tmp_path):
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


def test_ethnicity_is_no_target_unless_it_is_allowed(world):
    manifest, ledger, _ = world
    manifest.table["perceived_race"] = ["x" if name in ("s0", "s1") else "y" for name in manifest.subjects]
    assert "perceived_race" not in {one.target.name for one in plan(manifest, ledger, models=["svm"])}
    with pytest.raises(TargetError, match=r"perceived_race is called like.*--allow-ethnicity"):
        plan(manifest, ledger, models=["svm"], targets=["gender", "perceived_race"])
    allowed = plan(manifest, ledger, models=["svm"], targets=["perceived_race"], ethnicity=True)
    assert {one.target.name for one in allowed} == {"perceived_race"}


class Crops(Spy):
    """A classifier of faces that only remembers what it was given."""

    def __init__(self, target):
        super().__init__()
        self.target, self.epochs, self.also, self.checkpoints, self.watch = target, 1, {}, None, None
        self.device = "auto"

    def get_params(self):
        return {"epochs": self.epochs}

    def set_params(self, **parameters):
        vars(self).update(parameters)
        return self

    def fit(self, X, y, *, groups):
        assert X.pixels.dtype == np.uint8
        self.seconds_ = 12.5
        self.training_ = {
            "epochs": self.epochs,
            "seconds": self.seconds_,
            "also": sorted(target.name for target in self.also),
            "history": [],
            "engine": "none",
            "device": "cpu",
            "precision": "fp32",
        }
        Spy.seen.append((self, X, y.copy()))
        self.watch("epoch 1 of 1", 0.5)
        self.classes_ = np.arange(len(self.target.classes))
        return self

    def predict(self, X):
        return np.full(len(X), 30.0)

    def predict_proba(self, X):
        return np.full((len(X), len(self.classes_)), 1 / len(self.classes_))


@pytest.fixture
def crops(monkeypatch):
    """A registered classifier that reads crops and learns age group, gender and age together."""
    kind = ClassifierKind(
        "crops",
        "a test's own",
        lambda target, seed, threads: Crops(target),
        reads="crops",
        also=lambda target: [name for name in ("age", "age_group", "gender") if name != target.name],
    )
    CLASSIFIERS.names()
    monkeypatch.setitem(CLASSIFIERS._members, "crops", kind)
    return kind


@pytest.fixture
def pictures(portraits):
    """Manifest, ledger and store of 24 portraits whose faces are kept; three of them fit no age group."""
    manifest = prepare("table", portraits / "people.csv", root=portraits / "photos", columns=COLUMNS)
    manifest.table.loc[:2, "age"] = 3.0
    manifest.table.loc[:2, "age_group"] = ""
    settings = default_settings("whole_image")
    store = Store(portraits / "cache")
    recipes = make_recipes(["mean_color", "pixels"], settings, device="cpu", mirrored=True)
    extraction = extract(manifest, recipes, settings, store)
    return manifest, enter(None, extraction, settings, {"device": "cpu", "precision": "auto"}), store


def test_a_network_learns_from_faces_that_lack_the_target_and_is_not_scored_on_them(
    pictures, crops, tmp_path
):
    manifest, ledger, store = pictures
    comparison = Comparison.open(tmp_path / "report", manifest, n_folds=4)
    plans = plan(manifest, ledger, models=["crops"], targets=["age_group"])
    run = comparison.run(plans, ledger, store, models_folder=None, threads=1)[0]
    assert run.classifier == "crops"
    assert run.features == "pixels"
    assert run.n_tested == 21
    assert sum(len(y) for _, _, y in Spy.seen) == 3 * 24  # every face is in three training parts
    assert sum((y < 0).sum() for _, _, y in Spy.seen) == 3 * 3
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


def test_every_variation_is_a_run_of_its_own(pictures, crops, tmp_path):
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
    assert {seen.epochs for seen, _, _ in Spy.seen} == {20, 40}
    assert Run.load(tmp_path / "report" / "runs" / f"{runs[1].name}.json") == runs[1]


def test_a_parameter_that_no_classifier_has_is_refused(world):
    manifest, ledger, _ = world
    with pytest.raises(UnknownNameError, match=r"Unknown parameter of svm 'epochs'\..* Known: C, "):
        plan(manifest, ledger, models=["svm"], variations=[{"epochs": 3}])


def test_a_classifier_whose_package_is_absent_is_refused_before_anything_is_fitted(world, monkeypatch):
    manifest, ledger, _ = world
    kind = replace(SPY, name="needy", needs="no_such_package")
    CLASSIFIERS.names()
    monkeypatch.setitem(CLASSIFIERS._members, "needy", kind)
    with pytest.raises(EngineError, match=r"needy needs no_such_package.*featurekit\[no_such_package\]"):
        plan(manifest, ledger, models=["logistic_regression", "needy"])


def test_faces_that_were_not_kept_are_asked_for(world, crops):
    manifest, ledger, _ = world
    with pytest.raises(WorkspaceError, match="featurekit extract --backbone pixels"):
        plan(manifest, ledger, models=["crops"])


def test_networks_to_be_trained_further_need_not_have_been_extracted(pictures):
    manifest, ledger, _ = pictures
    plans = plan(
        manifest,
        ledger,
        models=["finetuned_cnn"],
        targets=["gender"],
        features=["mobilenet_v2", "dlib_age+mobilenet_v2", "mean_color"],
    )
    assert [one.feature_name for one in plans if one.kind.name == "finetuned_cnn"] == [
        "mobilenet_v2",
        "dlib_age+mobilenet_v2",
    ]
    assert plans[0].reads == ("pixels:rgb",)
    assert plans[1].networks == ("dlib_age", "mobilenet_v2")
    with pytest.raises(WorkspaceError, match="mean_color names none"):
        plan(manifest, ledger, models=["finetuned_cnn"], features=["mean_color"])


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
    assert done == [1, 2, 2.5, 3, 3.5, 4]  # the floor first
    assert said == ["epoch 1 of 1"] * 2


def test_an_ensemble_is_the_mean_of_what_its_members_said(world, tmp_path):
    runs = compare(world, tmp_path / "report", models=["svm", "logistic_regression"])
    comparison = Comparison.open(tmp_path / "report", world[0], n_folds=4)
    both = combine(comparison, runs[:2])
    assert both.classifier_name == "ensemble of svm and logistic_regression"
    assert both.features == "mean_color"
    one, two, mean = (
        pd.read_parquet(tmp_path / "report" / "predictions" / f"{run.name}.parquet")
        for run in (*runs[:2], both)
    )
    np.testing.assert_allclose(mean["p_female"], (one["p_female"] + two["p_female"]) / 2)
    assert (mean["predicted"] == np.where(mean["p_female"] >= 0.5, "female", "male")).all()
    share = float((mean["predicted"] == mean["true"]).groupby(mean["fold"]).mean().mean())
    assert both.scores["exact"]["mean"] == pytest.approx(share)
    assert both.seconds["fit"] == pytest.approx(sum(run.seconds["fit"] for run in runs[:2]))
    assert Run.load(tmp_path / "report" / "runs" / f"{both.name}.json") == both


def test_an_ensemble_of_years_is_the_mean_of_the_years(world, tmp_path):
    runs = compare(world, tmp_path / "report", models=["svm", "logistic_regression"], targets=["age"])
    both = combine(Comparison.open(tmp_path / "report", world[0], n_folds=4), runs[:2])
    assert both.confusion == ()
    assert "mae_years" in both.scores


def test_a_weighted_ensemble_says_what_its_members_count_for(world, tmp_path):
    runs = compare(world, tmp_path / "report", models=["svm"])
    comparison = Comparison.open(tmp_path / "report", world[0], n_folds=4)
    both = combine(comparison, runs[:2], weighted=True)  # with the floor, which says the same of everybody
    assert both.classifier_name == "weighted ensemble of svm and majority"
    weights = np.array(both.parameters["weights"])
    assert weights.shape == (4, 2)
    assert (weights[:, 0] > weights[:, 1]).all()
    assert "svm, 0." in both.notes[0]
    one, two, mixed = (
        pd.read_parquet(tmp_path / "report" / "predictions" / f"{run.name}.parquet")
        for run in (*runs[:2], both)
    )
    share = weights[mixed["fold"], 0]
    expected = share * one["p_female"] + (1 - share) * two["p_female"]
    np.testing.assert_allclose(mixed["p_female"], expected, atol=1e-4)


def test_an_ensemble_takes_two_runs_of_one_target_and_the_same_folds(world, tmp_path):
    runs = compare(world, tmp_path / "report", targets=["gender", "age"])
    comparison = Comparison.open(tmp_path / "report", world[0], n_folds=4)
    with pytest.raises(WorkspaceError, match="at least two runs of one target"):
        combine(comparison, [run for run in runs if run.classifier == "majority"])
    gender = [run for run in runs if run.target == "gender"]
    with pytest.raises(WorkspaceError, match="at least two"):
        combine(comparison, [gender[0], gender[0]])
    strange = replace(gender[1], folds={**gender[1].folds, "sha256": "other"})
    with pytest.raises(WorkspaceError, match="other folds"):
        combine(comparison, [gender[0], strange])
