"""Predict's table: every model, every photograph and every file name keeps its own place in it."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from featurekit.cache.store import Store
from featurekit.data.prepare import prepare
from featurekit.data.targets import AGE, GENDER, Target
from featurekit.embeddings import worker
from featurekit.embeddings.extractor import extract
from featurekit.embeddings.index import record_of
from featurekit.embeddings.recipe import make_recipes
from featurekit.errors import ModelError, WorkspaceError
from featurekit.evaluation.comparison import Comparison
from featurekit.evaluation.ensemble import combine
from featurekit.evaluation.planning import plan
from featurekit.evaluation.results import Run, run_name
from featurekit.faces.settings import default_settings
from featurekit.inference import draw, predict, table
from featurekit.inference.columns import BEFORE, BEHIND, columns_of, name_columns
from featurekit.inference.draw import draw_readings
from featurekit.inference.model import TrainedModel
from featurekit.inference.predict import BATCH
from featurekit.inference.table import Collected, legend, readings_table
from featurekit.text import name_as_it_was, readable_name
from tests.inference.made_up import people, read_photographs

ROOT = Path(__file__).parents[2]
NAMES_OF_MODELS = (
    "gender--mean_color--logistic_regression",
    "gender--mean_color--random_forest",
    "age--mean_color--logistic_regression",
)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A folder of models, fitted once for all tests: women are reddish, men bluish."""
    root = tmp_path_factory.mktemp("fitted")
    manifest = people(root, 24, 3)
    how, store = default_settings("whole_image"), Store(root / "cache")
    recipes = make_recipes(["mean_color"], how, device="cpu")
    ledger = record_of(extract(manifest, recipes, how, store), how, {})
    comparison = Comparison.open(root / "report", manifest, n_folds=4)
    plans = plan(manifest, ledger, models=["logistic_regression", "random_forest"], targets=["gender", "age"])
    plans = [one for one in plans if not one.kind.is_baseline]
    comparison.run(plans, ledger, store, models_folder=root / "models", threads=1)
    return root / "models"


@pytest.fixture
def models(saved):
    """Folders of three models, two of gender and one of age."""
    return [saved / name for name in NAMES_OF_MODELS]


def as_options(folders):
    return [word for folder in folders for word in ("--model", folder)]


class Says:
    """A classifier that gives every face the same probabilities."""

    summary_ = {"notes": []}  # noqa: RUF012  # nobody writes to it

    def __init__(self, said):
        self.said, self.classes_ = np.array(said), np.arange(len(said))

    def predict_proba(self, X):
        return np.tile(self.said, (len(X), 1))


def one_line(result, *parts):
    """Check that a command failed with one line that has all these parts."""
    code, _, errors = result
    assert code == 1
    lines = [line for line in errors.splitlines() if line.startswith("error:")]
    assert len(lines) == 1, errors
    for part in parts:
        assert part in lines[0]
    assert "Traceback" not in errors


# ---------------------------------------------------------------- a set of columns a model


def test_models_of_one_target_have_columns_of_their_own(featurekit, models, portraits, tmp_path):
    asked = ("predict", portraits / "photos", *as_options(models), "--probabilities")
    code, output, errors = featurekit(*asked, "--output", tmp_path / "out.parquet")
    assert code == 0, errors
    table = pd.read_parquet(tmp_path / "out.parquet")
    assert output.splitlines()[0].split("\t") == list(table.columns)
    for folder, prefix in zip(
        models,
        ("gender_mean_color_logistic_regression", "gender_mean_color_random_forest", "age"),
        strict=True,
    ):
        alone = tmp_path / f"{folder.name}.parquet"
        code, _, errors = featurekit("predict", portraits / "photos", "--model", folder, "--output", alone)
        assert code == 0, errors
        target = folder.name.partition("--")[0]
        pd.testing.assert_series_equal(table[prefix], pd.read_parquet(alone)[target], check_names=False)
        assert table.attrs["models"][prefix] == str(folder)
    assert f"column gender_mean_color_random_forest: gender, predicted by {models[1]}" in output
    answers = table.query("gender_mean_color_random_forest == 'female'")
    assert set(answers.gender_mean_color_random_forest) == {"female"}
    shares = table[["gender_mean_color_random_forest_p_female", "gender_mean_color_random_forest_p_male"]]
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    np.testing.assert_allclose(shares.max(axis=1), table.gender_mean_color_random_forest_probability)


def test_one_model_a_target_keeps_the_short_names(featurekit, models, portraits, tmp_path):
    photo = portraits / "photos" / "s1_0.png"
    code, output, errors = featurekit("predict", photo, *as_options([models[0], models[2]]))
    assert code == 0, errors
    assert output.splitlines()[0].split("\t") == [
        *("photograph", "face", "status", "confidence", "gender", "gender_probability", "age"),
        *("x1", "y1", "x2", "y2", "message"),
    ]
    short, years = name_columns([GENDER, AGE], models[:2])
    assert (short.among, years.years) == ("gender_among", ("age_from", "age_to"))
    assert "read by" not in output


def test_the_same_model_twice_is_refused(featurekit, models, portraits, tmp_path):
    photo = portraits / "photos" / "s1_0.png"
    detour = models[0].parent / ".." / "models" / models[0].name
    one_line(featurekit("predict", photo, *as_options([models[0], detour])), "is given twice", "once")
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in models[0].iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    one_line(
        featurekit("predict", photo, *as_options([models[0], copy])), "contain the same model", str(copy)
    )


def with_targets(folder, *targets):
    """A model that was loaded, as one of each of these targets."""
    model = TrainedModel.load(folder)
    return [
        replace(model, name=f"m{number}", target=target, folder=None, estimator=Says(said), calibration=None)
        for number, (target, said) in enumerate(targets)
    ]


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("status", "label_status"),
        ("Photograph", "label_Photograph"),
        ("x1", "label_x1"),
        ("message", "label_message"),
        ("hair/colour", "hair_colour"),
        ("7 signs", "label_7_signs"),
        ("class", "label_class"),
        ("size", "label_size"),
        ("größe", "größe"),
        ("=1+1", "label_1_1"),
        ("⚠", "label"),
    ],
)
def test_no_target_overwrites_a_column_of_predict_s_own_or_cannot_be_queried(models, portraits, name, column):
    [model] = with_targets(models[0], (Target(name, ("a", "b")), [0.2, 0.8]))
    photo = portraits / "photos" / "s1_0.png"
    readings = list(read_photographs([photo], [model], threads=1))
    table = readings_table(readings, [model], sets=True, probabilities=True)
    assert table["status"].tolist() == ["ok"]
    assert table["photograph"].tolist() == [str(photo)]
    assert set(BEFORE) | set(BEHIND) <= set(table.columns)
    assert table[column].tolist() == ["b"]
    assert getattr(table, column).tolist() == ["b"]
    assert len(table.query(f"{column} == 'b' and {column}_p_b > 0.7")) == 1


def test_labels_that_look_alike_have_columns_of_their_own(models, portraits):
    classes = ("a b", "a/b", "A_B", "probability", "2")
    [model] = with_targets(models[0], (Target("mood", classes), [0.1, 0.2, 0.3, 0.05, 0.35]))
    readings = list(read_photographs([portraits / "photos" / "s1_0.png"], [model], threads=1))
    row = readings_table(readings, [model], probabilities=True).iloc[0]
    named = ["mood_p_a_b", "mood_p_a_b_2", "mood_p_A_B_3", "mood_p_probability", "mood_p_2"]
    assert [row[one] for one in named] == [0.1, 0.2, 0.3, 0.05, 0.35]
    said = legend([model], probabilities=True)
    assert ("mood_p_a_b_2", "the probability of 'a/b'") in said


def test_options_without_an_effect_are_refused(featurekit, models, portraits):
    asked = ("predict", portraits / "photos", "--model", models[2])
    one_line(featurekit(*asked, "--probabilities"), "--probabilities has no effect", "predict classes")
    one_line(featurekit(*asked, "--abstain-above", "0.1"), "--abstain-above has no effect", "predict classes")


def test_drawings_name_the_model_and_photographs_of_one_name_have_a_drawing_each(
    featurekit, models, portraits, tmp_path, monkeypatch
):
    for folder, name in (("a", "face.png"), ("b", "face.png"), ("c", "FACE.png")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).write_bytes((portraits / "photos" / "s1_0.png").read_bytes())
    loaded = [TrainedModel.load(folder) for folder in models]
    paths = [tmp_path / "a" / "face.png", tmp_path / "b" / "face.png", tmp_path / "c" / "FACE.png"]
    readings = list(read_photographs(paths, loaded, threads=1))
    captions, caption = [], draw._caption
    monkeypatch.setattr(draw, "_caption", lambda *facts: captions.append(caption(*facts)) or captions[-1])
    drawn = draw_readings(readings, loaded, tmp_path / "drawn")
    said = captions[0].splitlines()
    assert said[0].startswith("gender_mean_color_logistic_regression: female")
    assert said[1].startswith("gender_mean_color_random_forest: female")
    assert said[2].endswith(" years")
    assert [path.name for path in drawn] == ["face.png", "face_.png", "FACE__.png"]
    assert len({path.name.casefold() for path in (tmp_path / "drawn").iterdir()}) == 3


@pytest.mark.parametrize("command", ["predict", "explain"])
def test_no_drawing_takes_the_place_of_a_photograph(featurekit, models, portraits, command):
    photo = portraits / "photos" / "s1_0.png"
    before = photo.read_bytes()
    asked = {
        "predict": ("predict", photo, "--model", models[0], "--draw", photo.parent),
        "explain": ("explain", models[0], photo, "--output", photo.parent),
    }
    one_line(featurekit(*asked[command]), "is the folder of the images", str(photo.parent / "drawn"))
    assert photo.read_bytes() == before


# ---------------------------------------------------------------- any name is one row


@given(
    st.text(st.characters(codec=None, exclude_categories=()), max_size=12)
    | st.text(r"\xued8af" + "\udcff\udc80")
)
def test_a_file_name_can_be_written_and_read_back(name):
    written = readable_name(name)
    assert written.encode().decode() == written
    assert name_as_it_was(written) == name


NAMES = [
    b"caf\xe9.png",
    b"\xff\xfe.png",
    b"=1\xe9+1.png",
    b"two\nlines.png",
    b"a\rb.png",
    b"a,\"b'.png",
    b"back\\xe9slash.png",
    "日本.png".encode(),
    b"x" * 251 + b".png",
]


@pytest.fixture
def odd_names(portraits, tmp_path):
    """A folder of photographs of odd names, in one of an odd name."""
    folder = Path(os.fsdecode(os.fsencode(tmp_path / "odd") + b"\xe9"))
    folder.mkdir()
    data = (portraits / "photos" / "s1_0.png").read_bytes()
    for name in NAMES:
        (folder / os.fsdecode(name)).write_bytes(data)
    inner = folder / os.fsdecode(b"inner\xe8")
    inner.mkdir()
    (inner / "plain.png").write_bytes(data)
    return folder


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".json", ".jsonl", ".parquet"])
def test_every_file_name_is_one_row(featurekit, models, odd_names, tmp_path, ending):
    out = tmp_path / f"out{ending}"
    code, output, errors = featurekit("predict", odd_names, "--model", models[0], "--output", out)
    assert code == 0, errors
    read = {
        ".csv": pd.read_csv,
        ".tsv": lambda path: pd.read_csv(path, sep="\t"),
        ".json": pd.read_json,
        ".jsonl": lambda path: pd.read_json(path, lines=True),
        ".parquet": pd.read_parquet,
    }
    table = read[ending](out)
    assert table["gender"].tolist() == ["female"] * (len(NAMES) + 1)
    found = {os.fsencode(name_as_it_was(name)) for name in table["photograph"]}
    wanted = {os.fsencode(odd_names / os.fsdecode(name)) for name in NAMES}
    assert found == wanted | {os.fsencode(odd_names / os.fsdecode(b"inner\xe8") / "plain.png")}
    assert len(output.splitlines()) == len(NAMES) + 3  # the heading, and where it was written


def test_a_file_name_can_be_named_drawn_and_explained(featurekit, models, odd_names, tmp_path):
    photos = [odd_names / os.fsdecode(name) for name in NAMES]
    code, output, errors = featurekit("predict", *photos, "--model", models[0], "--draw", tmp_path / "drawn")
    assert code == 0, errors
    assert output.count("Drew ") == len(NAMES) == len(list((tmp_path / "drawn").iterdir()))
    explained = ("explain", models[0], photos[0], photos[-1], "--output", tmp_path / "maps")
    code, output, errors = featurekit(*explained, "--how", "occlusion")
    assert code == 0, errors
    assert r"caf\xe9.png" in output
    assert len(list((tmp_path / "maps").iterdir())) == 2


def test_what_cannot_be_read_has_its_message_whatever_it_is_called(featurekit, models, tmp_path):
    bad = tmp_path / os.fsdecode(b"br\xf6ken.jpg")
    bad.write_bytes(b"nonsense")
    result = featurekit("predict", bad, "--model", models[0], "--output", tmp_path / "out.csv")
    one_line(result, r"br\xf6ken.jpg")
    [row] = pd.read_csv(tmp_path / "out.csv").itertuples()
    assert row.status == "undecodable"
    assert row.message


@pytest.mark.slow
def test_a_terminal_that_lacks_the_letters_shows_them_written_out(models, odd_names):
    command = [sys.executable, ROOT / "cli.py", "predict", odd_names, "--model", models[0]]
    done = subprocess.run(
        command, capture_output=True, check=False, env={**os.environ, "PYTHONIOENCODING": "latin-1"}
    )
    assert done.returncode == 0, done.stderr
    assert rb"\u65e5\u672c.png" in done.stdout


def test_vectors_keep_a_row_a_face_whatever_the_names(featurekit, portraits, tmp_path):
    lines = ["file,sex"]
    for number, name in enumerate(("a,b.png", "c\nd.png", "=1.png")):
        (portraits / "photos" / name).write_bytes((portraits / "photos" / f"s{number}_0.png").read_bytes())
        quoted = f'"{name}"'
        lines.append(f"{quoted},{('male', 'female', 'male')[number]}")
    (portraits / "odd.csv").write_text("\n".join(lines) + "\n")
    where = (portraits / "odd.csv", "--root", portraits / "photos")
    named = ("--column", "image_path=file", "--column", "gender=sex")
    assert featurekit("prepare", "table", *where, *named)[0] == 0
    assert featurekit("extract", "--backbone", "mean_color", "--detector", "whole_image")[0] == 0
    code, _, errors = featurekit("cache", "export", "mean_color", tmp_path / "v.NPY")
    assert code == 0, errors
    ids = pd.read_csv(tmp_path / "v.csv")["face_id"]
    assert len(ids) == len(np.load(tmp_path / "v.NPY")) == 3
    assert set(ids) == {"a,b.png", "c\nd.png", "'=1.png"}
    one_line(featurekit("cache", "export", "mean_color", tmp_path), "is a folder", "vectors.parquet")


# ---------------------------------------------------------------- what was read is kept


def many(portraits, count):
    folder = portraits / "many"
    folder.mkdir()
    data = (portraits / "photos" / "s1_0.png").read_bytes()
    for number in range(count):
        (folder / f"p{number:03}.png").write_bytes(data)
    return folder


@pytest.mark.parametrize("ending", ["csv", "json", "parquet"])
def test_at_a_fault_of_the_program_what_was_read_is_kept(
    featurekit, models, portraits, tmp_path, monkeypatch, ending
):
    folder, out = many(portraits, BATCH + 8), tmp_path / f"out.{ending}"
    asks = predict._answers

    def ends(crops, *others):
        if len(crops) < BATCH:
            raise WorkspaceError("The drive is gone.")
        return asks(crops, *others)

    monkeypatch.setattr(predict, "_answers", ends)
    asked = ("predict", folder, "--model", models[0], "--output", out)
    result = featurekit(*asked)
    one_line(result, "The drive is gone.")
    assert f"{BATCH} of {BATCH + 8} images were read, and their predictions are in {out}.partial" in result[2]
    assert not out.exists()
    read = {"csv": pd.read_csv, "json": pd.read_json, "parquet": pd.read_parquet}[ending]
    with (tmp_path / f"out.{ending}.partial").open("rb") as file:
        assert len(read(file)) == BATCH
    monkeypatch.undo()
    code, _, errors = featurekit(*asked)
    assert code == 0, errors
    assert len(read(out)) == BATCH + 8
    assert not list(tmp_path.glob("*.partial"))


def test_a_full_disk_leaves_the_part_or_prints_it(featurekit, models, portraits, tmp_path, monkeypatch):
    syncs = os.fsync

    def fails(descriptor):
        if Path(f"/proc/self/fd/{descriptor}").readlink().name == "out.csv.partial":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        syncs(descriptor)

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fails)
    asked = ("predict", portraits / "photos", "--model", models[0], "--output", tmp_path / "out.csv")
    result = featurekit(*asked)
    one_line(result, "Cannot write", "No space left on device")
    assert "24 of 24 images were read, and their predictions are in" in result[2]
    assert len(pd.read_csv(tmp_path / "out.csv.partial")) == 24
    (tmp_path / "out.csv.partial").unlink()
    monkeypatch.setattr(table, "csv_of", full)
    code, output, errors = featurekit(*asked)
    assert code == 1
    assert "24 of 24 images were read. Cannot write" in errors
    assert "The predictions that were not written are printed here" in errors
    assert output.count("\tok\t") == 24


SLOW = """
import sys, time
from featurekit.inference import predict
asks = predict._answers
def slowly(crops, *others):
    if asked:
        print("waiting", flush=True)
        time.sleep(60)
    asked.append(1)
    return asks(crops, *others)
asked = []
predict._answers = slowly
from featurekit.cli.app import main
main()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_at_a_signal_what_was_read_is_a_whole_table(models, portraits, tmp_path, number):
    folder, out = many(portraits, BATCH + 8), tmp_path / "out.csv"
    command = [sys.executable, "-c", SLOW, "predict", folder, "--model", models[0], "--output", out]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "waiting\n"
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert (
        f"stopped: {BATCH} of {BATCH + 8} images were read, and their predictions are in {out}.partial"
        in errors
    )
    assert "continue from here" not in errors
    assert len(pd.read_csv(tmp_path / "out.csv.partial")) == BATCH
    assert not out.exists()


def test_a_process_that_is_killed_has_kept_what_it_had_read_before(models, portraits, tmp_path, monkeypatch):
    model = TrainedModel.load(models[0])
    paths = sorted((portraits / "photos").iterdir())
    collected = Collected([model], len(paths), tmp_path / "out.csv")
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    collected._written = 0.0
    for number, reading in enumerate(read_photographs(paths, [model], threads=1), start=1):
        now[0] = 11.0 * number
        collected.add([reading])
    assert len(pd.read_csv(tmp_path / "out.csv.partial")) == 24
    assert not (tmp_path / "out.csv").exists()
    assert collected.keep() == tmp_path / "out.csv.partial"


STAGES = pytest.mark.parametrize(
    ("module", "stage"), [(worker, "see_faces"), (predict, "_answers")], ids=["looking", "answering"]
)


@STAGES
def test_a_photograph_that_reading_fails_with_costs_its_own_row(
    featurekit, models, portraits, tmp_path, monkeypatch, module, stage
):
    bad = portraits / "photos" / "s3_1.png"
    Image.new("RGB", (40, 48), (1, 2, 3)).save(bad)
    whole = getattr(module, stage)

    def fails(first, *others, **options):
        is_bad = (
            first == bad.read_bytes()
            if stage == "see_faces"
            else any(np.ptp(vector) < 0.02 for vectors in first for vector in vectors.values())
        )
        if is_bad:
            raise ZeroDivisionError("a matrix without an inverse")
        return whole(first, *others, **options)

    monkeypatch.setattr(module, stage, fails)
    result = featurekit("predict", bad.parent, "--model", models[0], "--output", tmp_path / "out.csv")
    one_line(result, "s3_1.png", "ZeroDivisionError: a matrix without an inverse (test_predict.py:")
    table = pd.read_csv(tmp_path / "out.csv", keep_default_na=False)
    assert len(table) == 24
    assert table["status"].value_counts().to_dict() == {"ok": 23, "failed": 1}
    [row] = table[table["status"] == "failed"].itertuples()
    assert row.photograph == str(bad)
    assert (row.gender, row.face) == ("", 0)
    assert "ZeroDivisionError: a matrix without an inverse" in row.message


@STAGES
def test_a_fault_with_every_photograph_keeps_its_traceback(models, portraits, monkeypatch, module, stage):
    def fails(*_, **__):
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(module, stage, fails)
    model = TrainedModel.load(models[0])
    with pytest.raises(ZeroDivisionError, match="a bug"):
        list(read_photographs(sorted((portraits / "photos").iterdir()), [model], threads=1))


def test_explain_goes_on_after_a_photograph_that_it_fails_with(
    featurekit, models, portraits, tmp_path, monkeypatch
):
    from featurekit.inference import explain

    whole, asked = explain.check, []

    def fails(*arguments):
        asked.append(1)
        if len(asked) == 2:
            raise ZeroDivisionError("no map")
        return whole(*arguments)

    monkeypatch.setattr(explain, "check", fails)
    photos = [portraits / "photos" / f"s{number}_0.png" for number in range(3)]
    result = featurekit("explain", models[0], *photos, "--output", tmp_path / "maps")
    one_line(result, "s1_0.png", "ZeroDivisionError: no map")
    assert sorted(path.name for path in (tmp_path / "maps").iterdir()) == ["s0_0.png", "s2_0.png"]


# ---------------------------------------------------------------- what is typed


def test_models_among_the_photographs_are_asked(featurekit, models, portraits):
    photo = portraits / "photos" / "s1_0.png"
    code, output, errors = featurekit("predict", photo, "--model", *models)  # what a shell makes of models/*
    assert code == 0, errors
    assert f"{models[1]} is a saved model, and is used as with --model {models[1]}" in errors
    assert "gender_mean_color_random_forest" in output
    assert "age" in output
    assert output.count("\tok\t") == 1


@pytest.mark.parametrize("where", ["--model", "photographs", "explain", "export"])
def test_a_folder_of_models_is_answered_with_what_to_type(featurekit, models, portraits, tmp_path, where):
    photo, folder = portraits / "photos" / "s1_0.png", models[0].parent
    asked = {
        "--model": ("predict", photo, "--model", folder),
        "photographs": ("predict", photo, folder),
        "explain": ("explain", folder, photo),
        "export": ("export", folder, tmp_path / "m.onnx"),
    }[where]
    first = sorted(folder.iterdir())[0]
    remedy = f"{'--model' if where in ('--model', 'photographs') else f'featurekit {where}'} {first}"
    one_line(featurekit(*asked), "a folder of ", remedy)


def test_a_model_is_looked_for_in_the_workspace_too(featurekit, models, portraits, tmp_path):
    photo, folder = portraits / "photos" / "s1_0.png", tmp_path / "work" / "models"
    shutil.copytree(models[0], folder / "mine")
    for named in ("models/mine", "mine"):
        code, _, errors = featurekit("predict", photo, "--model", named)
        assert code == 0, errors
    said = f"There is no model yours, and no model of that name is in {folder}, which has mine."
    one_line(featurekit("predict", photo, "--model", "yours"), said)
    one_line(featurekit("explain", "yours", photo), said)
    one_line(featurekit("export", "yours", tmp_path / "m.onnx"), said)


def test_a_second_model_is_not_explained_in_silence(featurekit, models, portraits):
    photo = portraits / "photos" / "s1_0.png"
    one_line(featurekit("explain", models[0], models[1], photo), f"featurekit explain {models[1]} IMAGE")


@pytest.mark.parametrize("ending", ["CSV", "Tsv", "JSON", "JsonL", "PARQUET"])
def test_an_ending_may_be_of_any_case(featurekit, models, portraits, tmp_path, ending):
    out = tmp_path / "not" / "yet" / f"out.{ending}"
    photo = portraits / "photos" / "s1_0.png"
    code, output, errors = featurekit("predict", photo, "--model", models[0], "--output", out)
    assert code == 0, errors
    assert f"Wrote {out}" in output
    read = {
        "csv": pd.read_csv,
        "tsv": lambda path: pd.read_csv(path, sep="\t"),
        "json": lambda path: pd.DataFrame(json.loads(path.read_text())),
        "jsonl": lambda path: pd.read_json(path, lines=True),
        "parquet": pd.read_parquet,
    }[ending.lower()]
    assert read(out)["gender"].tolist() == ["female"]


def test_an_output_that_cannot_be_is_refused_before_anything_is_read(featurekit, models, portraits, tmp_path):
    asked = ("predict", portraits / "photos", "--model", models[0])
    one_line(
        featurekit(*asked, "-o", tmp_path / "out.xlsx"), ".csv, .tsv, .json, .jsonl or .parquet", ".csv."
    )
    one_line(featurekit(*asked, "-o", tmp_path), "is a folder", f"--output {tmp_path / 'predictions.csv'}")
    beneath = portraits / "people.csv" / "out.csv"
    one_line(featurekit(*asked, "-o", beneath), "people.csv is not a folder")
    one_line(featurekit(*asked, "--draw", portraits / "people.csv"), "people.csv is not a folder")


def test_a_photograph_named_twice_is_read_once(featurekit, models, portraits):
    folder = portraits / "photos"
    again = folder / ".." / "photos" / "s1_0.png"
    code, output, errors = featurekit("predict", folder, again, folder / "s2_0.png", "--model", models[0])
    assert code == 0
    assert output.count("\tok\t") == 24
    assert f"2 images are named twice ('{again}', …); each image is read once" in errors


def test_a_folder_without_a_photograph_is_named(featurekit, models, portraits, tmp_path):
    (tmp_path / "empty").mkdir()
    asked = ("predict", portraits / "photos", tmp_path / "empty", "--model", models[0])
    one_line(featurekit(*asked), str(tmp_path / "empty"))


def test_years_have_no_column_of_classes():
    [columns] = name_columns([AGE], [Path("/models/age")])
    assert columns.classes == ()


def test_two_models_that_only_share_a_name_are_two(models):
    model = TrainedModel.load(models[0])
    with pytest.raises(ModelError, match="is given twice"):
        columns_of([model, replace(model)])


def test_feature_sets_that_differ_by_a_point_have_folders_of_their_own():
    names = {
        run_name("gender", features, "svm", tuned=False, variation={})
        for features in ("net:a.b", "net.a:b", "net.a.b", "net:a:b")
    }
    assert len(names) == 4
    assert run_name("age", "dlib_age:fc7+mobilenet_v2", "svm", tuned=False, variation={}) == (
        "age--dlib_age.fc7+mobilenet_v2--svm"
    )


def test_ensembles_of_other_members_are_kept_beside_each_other(saved):
    root = saved.parent
    columns = {"image_path": "file", "subject_id": "person", "age": "years", "gender": "sex"}
    manifest = prepare("table", root / "people.csv", root=root, columns=columns)
    comparison = Comparison.open(root / "report", manifest, n_folds=4)
    one, other = (Run.load(root / "report" / "runs" / f"{name}.json") for name in NAMES_OF_MODELS[:2])
    joined = replace(other, features="mean_color+mean_color")
    predictions = root / "report" / "predictions"
    (predictions / f"{joined.name}.parquet").write_bytes((predictions / f"{other.name}.parquet").read_bytes())
    made = [combine(comparison, members) for members in ([one, other], [one, joined], [one, other])]
    assert (
        made[0].name
        == made[2].name
        == "gender--mean_color--ensemble-of-logistic_regression-and-random_forest"
    )
    assert made[1].classifier.endswith(
        "ensemble of logistic_regression on mean_color and random_forest on mean_color+mean_color"
    )
    kept = {
        Run.load(path).parameters.get("members", [""])[-1] for path in (root / "report" / "runs").iterdir()
    }
    assert {other.name, joined.name} <= kept
