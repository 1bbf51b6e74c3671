"""Fitted models: what is loaded is what was saved, and nothing else is ever run."""

import zipfile
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from featurekit.cache.store import Store
from featurekit.data.prepare import prepare
from featurekit.embeddings.extractor import extract
from featurekit.embeddings.index import record_of
from featurekit.embeddings.recipe import make_recipes
from featurekit.embeddings.vectors import load_embeddings
from featurekit.errors import ModelError
from featurekit.estimators import CLASSIFIERS, ClassifierKind
from featurekit.estimators._networks.estimator import CNN
from featurekit.evaluation.comparison import Comparison
from featurekit.evaluation.planning import plan
from featurekit.faces.settings import default_settings
from featurekit.inference.archive import SCHEMA
from featurekit.inference.draw import draw_readings
from featurekit.inference.model import TrainedModel, off_the_shelf_models
from featurekit.inference.table import readings_table
from featurekit.uncertainty.abstention import Abstention, Step
from featurekit.uncertainty.calibration import Calibration
from featurekit.uncertainty.conformal import ClassSets, YearRanges
from tests.inference.made_up import read_photographs, write_table

COLUMNS = {"image_path": "file", "subject_id": "person", "age": "years", "gender": "sex"}
FITTED = [
    kind.name
    for kind in CLASSIFIERS
    if kind.name != "off_the_shelf" and kind.reads == "embeddings" and not kind.needs
]


@pytest.fixture
def world(portraits):
    manifest = prepare("table", portraits / "people.csv", root=portraits / "photos", columns=COLUMNS)
    settings = default_settings("whole_image")
    store = Store(portraits / "cache")
    recipes = make_recipes(["mean_color"], settings, device="cpu")
    ledger = record_of(extract(manifest, recipes, settings, store), settings, {})
    return manifest, ledger, store


def fitted(world, tmp_path, model, target):
    manifest, ledger, store = world
    comparison = Comparison.open(tmp_path / "report", manifest, n_folds=4)
    plans = [
        one for one in plan(manifest, ledger, models=[model], targets=[target]) if one.kind.name == model
    ]
    run = comparison.run(plans, ledger, store, models_folder=tmp_path / "models", threads=1)[0]
    return run, tmp_path / "models" / run.name


# What takes seconds to fit is slow, and is tried on one target.
LONG = {"mlp": "age", "random_forest": "gender"}


@pytest.mark.parametrize(
    ("name", "target"),
    [
        pytest.param(name, target, marks=[pytest.mark.slow] if name in LONG else [])
        for name in FITTED
        for target in ("gender", "age_group", "age")
        if LONG.get(name, target) == target
    ],
)
def test_a_saved_model_answers_as_it_did_before(name, target, world, tmp_path):
    manifest, ledger, store = world
    run, folder = fitted(world, tmp_path, name, target)
    one, two = TrainedModel.load(folder), TrainedModel.load(folder)
    embeddings = load_embeddings(manifest, list(ledger.recipes.values()), ledger.settings, store)
    first = one.predict(embeddings.vectors, embeddings.recipes)
    np.testing.assert_array_equal(first, two.predict(embeddings.vectors, embeddings.recipes))
    again = tmp_path / "again"
    one.save(again)
    np.testing.assert_array_equal(
        first, TrainedModel.load(again).predict(embeddings.vectors, embeddings.recipes)
    )
    assert np.isfinite(first).all()
    assert run.bytes_on_disk == sum(path.stat().st_size for path in folder.iterdir())
    if target == "gender" and name != "majority":
        truth = manifest.target("gender").encode(list(manifest.table["gender"]))
        assert (first.argmax(axis=1) == truth).mean() > 0.9


@pytest.mark.slow
def test_a_model_folder_holds_no_pickle_and_a_card(world, tmp_path):
    _, folder = fitted(world, tmp_path, "random_forest", "gender")
    assert sorted(path.name for path in folder.iterdir()) == [
        "README.md",
        "SHA256SUMS",
        "model.json",
        "model.skops",
    ]
    with zipfile.ZipFile(folder / "model.skops") as archive:
        assert not any(name.endswith((".pkl", ".pickle", ".joblib")) for name in archive.namelist())
    card = (folder / "README.md").read_text()
    assert "mean_color" in card
    assert "24 faces" in card
    assert "8 subjects" in card


def test_vectors_of_another_recipe_are_refused(world, tmp_path):
    _, folder = fitted(world, tmp_path, "logistic_regression", "gender")
    model = TrainedModel.load(folder)
    other = make_recipes(["mean_color"], default_settings("whole_image", "largest"), device="cpu")
    with pytest.raises(ModelError, match=r"faces\.choose was center and is now largest"):
        model.predict(np.zeros((1, 3), np.float32), list(other.values()))


def test_a_model_that_was_edited_is_refused(world, tmp_path):
    _, folder = fitted(world, tmp_path, "logistic_regression", "gender")
    data = bytearray((folder / "model.skops").read_bytes())
    data[len(data) // 2] ^= 1
    (folder / "model.skops").write_bytes(bytes(data))
    with pytest.raises(ModelError, match="is not the file that SHA256SUMS was written for"):
        TrainedModel.load(folder)


def test_a_model_of_the_schema_before_is_refused_in_one_line(world, tmp_path):
    _, folder = fitted(world, tmp_path, "logistic_regression", "gender")
    content, sums = folder / "model.json", folder / "SHA256SUMS"
    now = content.read_bytes()
    before = now.replace(f'"schema": {SCHEMA}'.encode(), f'"schema": {SCHEMA - 1}'.encode())
    assert before != now
    content.write_bytes(before)
    sums.write_text(sums.read_text().replace(sha256(now).hexdigest(), sha256(before).hexdigest()))
    with pytest.raises(ModelError) as refused:
        TrainedModel.load(folder)
    assert str(refused.value) == f"{folder} is a model of another version of featurekit. Fit it again."


def calibrated(model, **known):
    """The model with promises of its own; it must be at least 0.9 sure to keep a risk of 0.1."""
    steps = tuple(Step(confidence, 0.5, risk, risk, 1000.0) for confidence, risk in ((0.9, 0.05), (0.4, 0.3)))
    facts = {"missed": 0.1, "abstention": Abstention(steps), "sets": ClassSets((0.5, 0.0), ordered=False)}
    return replace(model, calibration=Calibration(**{**facts, **known}))


class Says:
    """A classifier that gives every face the same probabilities, or years."""

    summary_ = {"notes": []}  # noqa: RUF012  # nobody writes to it

    def __init__(self, said):
        self.said, self.classes_ = np.array(said), np.arange(len(said))

    def predict_proba(self, X):
        return np.tile(self.said, (len(X), 1))

    def predict(self, X):
        return np.full(len(X), self.said[0])


def read_by(model, portraits, **options):
    path = next((portraits / "photos").iterdir())
    readings = list(read_photographs([path], [model], **options))
    return readings_table(readings, [model], sets=True).iloc[0]


@pytest.mark.parametrize(
    ("said", "risk", "answer"),
    [([0.95, 0.05], 0.1, "female"), ([0.3, 0.7], 0.1, "abstained"), ([0.3, 0.7], 0.5, "male")],
)
def test_a_model_declines_what_it_is_not_sure_enough_of(world, portraits, tmp_path, said, risk, answer):
    model = TrainedModel.load(fitted(world, tmp_path, "logistic_regression", "gender")[1])
    model = calibrated(replace(model, estimator=Says(said)))
    assert read_by(model, portraits, risk=risk)["gender"] == answer
    assert read_by(model, portraits)["gender"] != "abstained"


def test_where_no_confidence_keeps_the_risk_nothing_is_answered(world, portraits, tmp_path):
    model = TrainedModel.load(fitted(world, tmp_path, "logistic_regression", "gender")[1])
    model = calibrated(replace(model, estimator=Says([1.0, 0.0])))
    assert read_by(model, portraits, risk=0.001)["gender"] == "abstained"


def test_a_model_that_was_not_calibrated_cannot_decline(world, portraits, tmp_path):
    model = TrainedModel.load(fitted(world, tmp_path, "logistic_regression", "gender")[1])
    assert model.calibration is None  # eight subjects say nothing
    with pytest.raises(ModelError, match=r"leave --abstain-above out"):
        read_by(model, portraits, risk=0.1)
    assert read_by(model, portraits)["gender_among"] == ""


def test_probabilities_are_shown_at_the_temperature_and_answers_stay(world, portraits, tmp_path):
    model = TrainedModel.load(fitted(world, tmp_path, "logistic_regression", "gender")[1])
    model = calibrated(replace(model, estimator=Says([0.8, 0.2])), temperature=2.0)
    row = read_by(model, portraits)
    assert row["gender"] == "female"
    assert row["gender_probability"] == pytest.approx(2 / 3)  # √4 to 1
    assert row["gender_among"] == "female"  # 0.2 is stranger than 0.0 lets in


def test_years_come_with_a_range(world, portraits, tmp_path):
    model = TrainedModel.load(fitted(world, tmp_path, "logistic_regression", "age")[1])
    ages = np.arange(100.0)
    around = YearRanges(0, tuple(ages - 7.5), tuple(ages + 7.5))
    known = {"abstention": None, "sets": None, "ranges": around}
    model = calibrated(replace(model, estimator=Says([30.0])), **known)
    row = read_by(model, portraits, risk=0.01)  # models of years never abstain
    assert (row["age"], row["age_from"], row["age_to"]) == (30.0, 23.0, 37.0)


def test_promises_are_saved_with_the_model_and_stand_on_its_card(world, tmp_path):
    model = TrainedModel.load(fitted(world, tmp_path, "logistic_regression", "gender")[1])
    sets = ClassSets((0.5, None), ordered=True)
    model = calibrated(model, temperature=1.5, sets=sets)
    model.save(tmp_path / "again")
    assert TrainedModel.load(tmp_path / "again").calibration == model.calibration
    card = (tmp_path / "again" / "README.md").read_text()
    assert "for at least 90 %" in card
    assert "temperature of 1.50" in card


def test_every_photograph_gets_a_line(world, tmp_path, portraits):
    _, folder = fitted(world, tmp_path, "logistic_regression", "gender")
    model = TrainedModel.load(folder)
    (tmp_path / "empty.jpg").write_bytes(b"")
    paths = [portraits / "photos" / "s1_0.png", tmp_path / "empty.jpg", portraits / "photos" / "s0_0.png"]
    readings = list(read_photographs(paths, [model], choose="center"))
    assert [reading.face.status for reading in readings] == ["ok", "empty_file", "ok"]
    table = readings_table(readings, [model])
    assert list(table["gender"]) == ["female", "", "male"]
    for name in ("out.csv", "out.json", "out.parquet"):
        write_table(table, tmp_path / name)
        assert (tmp_path / name).stat().st_size > 0
    assert len(draw_readings(readings, [model], tmp_path / "drawn")) == 2


@pytest.mark.parametrize("name", ["=1+1.png", "@x.png", "-2.png", "+3.png"])
def test_no_file_name_becomes_a_formula(world, tmp_path, portraits, name, monkeypatch):
    model = TrainedModel.load(fitted(world, tmp_path, "logistic_regression", "gender")[1])
    (tmp_path / name).write_bytes((portraits / "photos" / "s1_0.png").read_bytes())
    monkeypatch.chdir(tmp_path)
    readings = list(read_photographs([Path(name)], [model]))
    write_table(readings_table(readings, [model]), tmp_path / "out.csv")
    assert pd.read_csv(tmp_path / "out.csv")["photograph"].tolist() == [f"'{name}"]


@pytest.mark.weights
def test_every_face_of_a_photograph_is_read_from_left_to_right(tmp_path):
    import skimage.data

    portrait = skimage.data.astronaut()
    pair = np.hstack([portrait, portrait[:, ::-1]])
    Image.fromarray(pair).save(tmp_path / "pair.png")
    models = off_the_shelf_models()
    readings = list(read_photographs([tmp_path / "pair.png"], models))
    assert [reading.number for reading in readings] == [1, 2]
    assert readings[0].face.box[0] < readings[1].face.box[0]
    for reading in readings:
        assert set(reading.answers) == {"gender", "age_group", "age"}
        assert reading.answers["gender"]["female"] > 0.9
        assert 25 < reading.answers["age"]["years"] < 60
    with Image.open(draw_readings(readings, models, tmp_path / "drawn")[0]) as picture:
        assert picture.size == (1024, 512)


def tiny_body(cnn):
    """Return a network of one convolution."""
    import torch

    class Body(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.dim = 8
            self.convolution = torch.nn.Conv2d(3, 8, 8, stride=8)

        def forward(self, pixels):
            return self.convolution(pixels / 255 - 0.5).relu().mean(dim=(2, 3))

    return Body()


@pytest.fixture
def tiny_cnn(portraits, monkeypatch):
    """Manifest, ledger and store with the faces kept, and a registered network that learns quickly."""

    def make(target, seed, threads):
        return CNN(
            target=target,
            make_body=tiny_body,
            side=32,
            epochs=8,
            batch_size=4,
            learning_rate=0.03,
            head_epochs=0,
            decay=1.0,
            random_state=seed,
            n_jobs=threads,
        )

    CLASSIFIERS.names()
    kind = ClassifierKind("tiny_cnn", "a test's own", make, reads="crops")
    monkeypatch.setitem(CLASSIFIERS._members, "tiny_cnn", kind)
    manifest = prepare("table", portraits / "people.csv", root=portraits / "photos", columns=COLUMNS)
    settings = default_settings("whole_image")
    store = Store(portraits / "cache")
    recipes = make_recipes(["pixels"], settings, device="cpu")
    ledger = record_of(extract(manifest, recipes, settings, store), settings, {})
    return manifest, ledger, store


@pytest.mark.parametrize("target", ["gender", "age"])
def test_a_network_trained_end_to_end_is_saved_as_tensors_and_reads_photographs(
    target, tiny_cnn, tmp_path, portraits
):
    manifest, ledger, store = tiny_cnn
    _, folder = fitted(tiny_cnn, tmp_path, "tiny_cnn", target)
    assert sorted(path.name for path in folder.iterdir()) == [
        "README.md",
        "SHA256SUMS",
        "model.json",
        "model.safetensors",
    ]
    one = TrainedModel.load(folder)
    embeddings = load_embeddings(manifest, list(ledger.recipes.values()), ledger.settings, store)
    first = one.predict(embeddings.vectors, embeddings.recipes)
    one.save(tmp_path / "again")
    again = TrainedModel.load(tmp_path / "again").predict(embeddings.vectors, embeddings.recipes)
    np.testing.assert_array_equal(first, again)
    paths = [portraits / "photos" / name for name in manifest.table["image_path"]]
    readings = list(read_photographs(paths, [one], choose="center", threads=1))
    if target == "gender":
        truth = manifest.target("gender").encode(list(manifest.table["gender"]))
        assert (first.argmax(axis=1) == truth).mean() > 0.9
        said = [[reading.answers["gender"][name] for name in ("female", "male")] for reading in readings]
    else:
        said = [[reading.answers["age"]["years"]] for reading in readings]
    np.testing.assert_allclose(said, first, atol=1e-5)


def test_a_network_whose_tensors_were_edited_is_refused(tiny_cnn, tmp_path):
    _, folder = fitted(tiny_cnn, tmp_path, "tiny_cnn", "gender")
    data = bytearray((folder / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (folder / "model.safetensors").write_bytes(data)
    with pytest.raises(ModelError, match=r"model\.safetensors is not the file that SHA256SUMS"):
        TrainedModel.load(folder)
