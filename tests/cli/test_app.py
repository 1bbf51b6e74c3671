"""The command line: the whole path in seconds, and one clear line for each mistake."""

import base64
import errno
import json
import re
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]


@pytest.fixture
def extracted(featurekit, prepared):
    code, _, errors = featurekit("extract", "--backbone", "mean_color", "--detector", "whole_image")
    assert code == 0, errors
    return prepared


FIT = ("fit", "--model", "logistic_regression", "--target", "gender", "--folds", "4")


def test_the_time_left_goes_by_what_takes_long(monkeypatch):
    """Fifteen floors are fitted in a second, and then each network takes minutes."""
    from featurekit.cli.app import _Progress

    clock, shown = [0.0], []
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    progress = _Progress(lambda done, total, rate, left, doing: shown.append((rate, left)), "fits")
    for done in range(1, 16):
        progress(done, 60)
    for tenth in range(1, 41):
        clock[0] += 10
        progress(15 + tenth / 10, 60)
    rate, left = shown[-1]
    assert rate == "100 s each"
    assert left == pytest.approx(41 * 100, rel=0.05)
    clock[0] += 10
    progress(1, 60)  # a new stage, which has taken no time yet
    assert shown[-1][1] <= 59 * 10


def test_help_answers_in_under_half_a_second():
    def processor_seconds():  # not the clock's: another program may have the processor
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    seconds = []
    for _ in range(3):
        before = processor_seconds()
        done = subprocess.run([sys.executable, ROOT / "cli.py", "--help"], capture_output=True, text=True)
        seconds.append(processor_seconds() - before)
        assert "prepare" in done.stdout
    assert min(seconds) < 0.5


def every_command():
    import typer

    from featurekit.cli.app import app

    def walk(command, path):
        for name, sub in getattr(command, "commands", {}).items():
            if hasattr(sub, "commands"):
                yield from walk(sub, (*path, name))
            else:
                yield (*path, name)

    return sorted(walk(typer.main.get_command(app), ()))


@pytest.mark.parametrize("command", every_command(), ids=" ".join)
def test_every_command_has_help_with_an_example(featurekit, command):
    code, output, _ = featurekit(*command, "--help")
    assert code == 0
    assert f"featurekit {' '.join(command)}" in " ".join(output.split())
    assert "Example" in output


def test_the_whole_path_from_photographs_to_a_prediction(featurekit, extracted, tmp_path):
    code, output, errors = featurekit(*FIT)
    assert code == 0, errors
    assert "logistic_regression" in output
    assert "majority" in output
    code, output, errors = featurekit("report")
    assert code == 0, errors
    folder = tmp_path / "work" / "reports" / "table"
    page = (folder / "report.html").read_text()
    assert "mean_color" in page
    assert "logistic_regression" in (folder / "report.md").read_text()
    run = json.loads((folder / "runs" / "gender--mean_color--logistic_regression.json").read_text())
    assert run["scores"]["exact"]["mean"] == 1.0  # red and blue are easily told apart
    assert run["n_subjects"] == 8
    predictions = pd.read_parquet(folder / "predictions" / "gender--mean_color--logistic_regression.parquet")
    assert len(predictions) == 24
    model = tmp_path / "work" / "models" / "gender--mean_color--logistic_regression"
    code, output, errors = featurekit(
        *("predict", extracted / "photos", "--model", model, "--output", tmp_path / "out.csv"),
        *("--draw", tmp_path / "drawn"),
    )
    assert code == 0, errors
    table = pd.read_csv(tmp_path / "out.csv")
    truth = pd.read_csv(extracted / "people.csv").set_index("file")["sex"]
    assert len(table) == 24
    assert all(truth[Path(row.photograph).name] == row.gender for row in table.itertuples())
    drawn = sorted((tmp_path / "drawn").iterdir())
    assert len(drawn) == 24
    with Image.open(drawn[0]) as picture:
        assert picture.size == (40, 48)


def test_a_tuned_comparison_is_the_same_whatever_the_jobs_and_stands_beside_the_untuned(
    featurekit, extracted, tmp_path
):
    folder = tmp_path / "work" / "reports" / "table"
    contents = []
    for jobs in ("1", "2"):
        code, output, errors = featurekit(*FIT, "--tune", "--jobs", jobs, "--threads", "2", "--no-models")
        assert code == 0, errors
        assert "logistic_regression (tuned)" in output
        content = json.loads(
            (folder / "runs" / "gender--mean_color--logistic_regression--tuned.json").read_text()
        )
        for cost_or_command in ("seconds", "peak_bytes", "created", "command"):
            content.pop(cost_or_command)
        predictions = folder / "predictions" / "gender--mean_color--logistic_regression--tuned.parquet"
        contents.append((content, predictions.read_bytes()))
    assert contents[0] == contents[1]
    assert featurekit(*FIT, "--no-models")[0] == 0
    assert featurekit("report")[0] == 0
    report = (folder / "report.md").read_text()
    assert "(tuned)" in report
    assert "Parameters that each fold of the tuned runs chose" in report


def test_the_report_repeats_byte_for_byte_but_for_times(featurekit, extracted, tmp_path):
    reports = []
    for _ in range(2):
        assert featurekit(*FIT, "--new-folds")[0] == 0
        run = (
            tmp_path / "work" / "reports" / "table" / "runs" / "gender--mean_color--logistic_regression.json"
        )
        content = json.loads(run.read_text())
        for cost_or_command in ("seconds", "peak_bytes", "created", "command"):
            content.pop(cost_or_command)
        reports.append(content)
    assert reports[0] == reports[1]


def test_the_margin_of_a_cheaper_model_is_an_option_of_the_report(featurekit, extracted, tmp_path):
    assert featurekit(*FIT, "--no-models")[0] == 0
    evidence = tmp_path / "work" / "reports" / "table" / "evidence.json"
    for options, margin in ((), 0.01), (("--margin-points", "2.5"), 0.025):
        code, _, errors = featurekit("report", *options)
        assert code == 0, errors
        assert json.loads(evidence.read_text())["targets"]["gender"]["margin"] == margin
    one_line(
        featurekit("report", "--margin-points", "0"), "The margin is 0 points. It must be a number above 0."
    )
    one_line(
        featurekit("report", "--margin-years", "nan"), "The margin is nan years. It must be a number above"
    )
    one_line(
        featurekit("report", "--compare", "june", "july", "--margin-years", "1"), "Leave out --margin-years"
    )


def test_two_comparisons_are_set_beside_each_other(featurekit, extracted, tmp_path):
    for name in ("june", "july"):
        code, _, errors = featurekit(*FIT, "--name", name, "--no-models")
        assert code == 0, errors
    code, output, errors = featurekit("report", "--compare", "june", "july")
    assert code == 0, errors
    assert "gender--mean_color--logistic_regression: no evidence of a difference" in output
    page = (tmp_path / "work" / "reports" / "july-against-june" / "report.md").read_text()
    assert "2 of 2 runs have the same scores to the last digit" in page
    one_line(
        featurekit("report", "--compare", "june", "august"), "There is no run in", "with runs: july, june"
    )


def test_a_model_that_knows_too_few_people_cannot_say_unsure(featurekit, extracted, tmp_path):
    assert featurekit(*FIT)[0] == 0
    model = tmp_path / "work" / "models" / "gender--mean_color--logistic_regression"
    photo = extracted / "photos" / "s1_0.png"
    asked = ("predict", photo, "--model", model, "--abstain-above", "0.05")
    one_line(featurekit(*asked), "does not know how sure it may be", "leave --abstain-above out")
    one_line(featurekit("predict", photo, "--model", model, "--sets"), "--sets has no effect", "leave it out")


def test_variations_of_a_network_and_an_ensemble_stand_beside_the_rest(featurekit, prepared, tmp_path):
    extract = ("extract", "--backbone", "pixels", "--backbone", "mean_color", "--detector", "whole_image")
    assert featurekit(*extract)[0] == 0
    fit = ("fit", "--target", "gender", "--folds", "2", "--threads", "1")
    code, output, errors = featurekit(*fit, "--model", "logistic_regression")
    assert code == 0, errors
    small = ("--set", "side=32", "--set", "patience=9", "--batch-size", "8", "--no-models")
    code, output, errors = featurekit(*fit, "--model", "residual_attention", "--epochs", "1,2", *small)
    assert code == 0, errors
    assert "residual_attention (side 32, patience 9, epochs 2, batch size 8)" in output
    code, output, errors = featurekit("ensemble", "*--logistic_regression", "*--residual_attention*epochs-2*")
    assert code == 0, errors
    assert "ensemble of logistic_regression and residual_attention" in output
    assert featurekit("report")[0] == 0
    [page] = [path.read_text() for path in (tmp_path / "work" / "reports").glob("*/report.md")]
    assert "what training the networks took" in page
    assert "ensemble of logistic_regression" in page
    one_line(featurekit("ensemble", "*--logistic_regression", "*--residual*"), "means several runs of gender")
    one_line(featurekit("ensemble", "*--logistic_regression", "*--svm"), "no target with a run for each")
    # Trained before, each is found again.
    code, _, errors = featurekit(*fit, "--model", "residual_attention", "--epochs", "2", *small)
    assert code == 0
    assert len(list((tmp_path / "work" / "cache" / "training").iterdir())) == 4


def test_a_parameter_that_no_model_has(featurekit, extracted):
    one_line(featurekit(*FIT, "--epochs", "3"), "Unknown parameter of ", "'epochs'. Known: ")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--epochs", "twenty"), "epochs cannot be twenty: it must be a whole number of at least 1."),
        (("--epochs", "20,2.5"), "epochs cannot be 2.5: it must be a whole number"),
        (("--epochs", "0"), "epochs cannot be 0"),
        (("--batch-size", "-3"), "batch_size cannot be -3: it must be a whole number of at least 2."),
        (("--set", "balance=weird"), "balance cannot be weird: it must be one of none, loss, sampler."),
        (("--set", "views=3"), "views cannot be 3: it must be one of 1, 2, 10."),
        (("--set", "smoothing=2"), "smoothing cannot be 2: it must be a number from 0 to 1."),
        (("--set", "flip=1"), "flip cannot be 1: it must be true or false."),
        (("--set", "networks=dlib_face"), "networks cannot be dlib_face"),
        (("--set", "learning_rat=1"), "Did you mean 'learning_rate'?"),
    ],
)
def test_a_value_that_a_network_s_parameter_cannot_have(featurekit, extracted, given, said):
    featurekit("extract", "--backbone", "pixels", "--detector", "whole_image")
    one_line(featurekit("fit", "--model", "levi_hassner", *given), said)


@pytest.mark.parametrize(
    ("model", "given", "said"),
    [
        ("svm", "C=x", "C cannot be x: it must be a number of at least 1e-09."),
        ("svm", "C=-1", "C cannot be -1"),
        ("svm", "gamma=weird", "gamma cannot be weird: it must be a number"),
        ("xgboost", "max_rounds=0", "max_rounds cannot be 0: it must be a whole number of at least 1."),
        ("random_forest", "n_estimators=many", "'n_estimators' parameter of RandomForest"),
        ("random_forest", "n_estimator=5", "Did you mean 'n_estimators'?"),
    ],
)
def test_a_value_that_a_classifier_s_parameter_cannot_have(featurekit, extracted, model, given, said):
    one_line(featurekit("fit", "--model", model, "--set", given), said)


def test_a_network_without_kept_faces(featurekit, extracted):
    one_line(featurekit("fit", "--model", "levi_hassner"), "featurekit extract --backbone pixels")


def test_extract_says_where_the_time_went(featurekit, prepared):
    code, printed, _ = featurekit(
        "extract", "--backbone", "mean_color", "--detector", "whole_image", "--profile"
    )
    assert code == 0
    for part in ("read", "decode", "detect", "align", "mean_color", "write", "waiting"):
        assert part in printed
    assert "% of the " in printed


def test_extract_a_second_time_reads_nothing(featurekit, extracted):
    code, output, _ = featurekit("extract", "--backbone", "mean_color", "--detector", "whole_image")
    assert code == 0
    assert "Read 0 pictures" in output


def test_the_cache_can_be_listed_checked_cleaned_and_exported(featurekit, extracted, tmp_path):
    assert "mean_color:mean" in featurekit("cache", "ls")[1]
    assert featurekit("cache", "verify")[0] == 0
    assert featurekit("cache", "gc")[0] == 0
    assert featurekit("cache", "export", "mean_color", tmp_path / "v.parquet")[0] == 0
    assert len(pd.read_parquet(tmp_path / "v.parquet")) == 24
    shard = next((tmp_path / "work" / "cache" / "embeddings").glob("*/*.safetensors"))
    shard.write_bytes(shard.read_bytes()[:-1] + b"x")
    code, _, errors = featurekit("cache", "verify")
    assert code == 1
    assert shard.name in errors


@pytest.mark.parametrize("what", ["backbones", "models", "detectors", "datasets"])
def test_what_can_be_chosen_is_listed(featurekit, what):
    code, output, _ = featurekit("list", what)
    assert code == 0
    known = {"backbones": "vgg16", "models": "svm", "detectors": "centerface", "datasets": "adience"}
    assert known[what] in output


# ---------------------------------------------------------------- one clear line for each mistake


def test_a_missing_earlier_step_is_named(featurekit, prepare_table):
    assert "First: featurekit prepare" in featurekit("extract")[2]
    prepare_table()
    code, _, errors = featurekit("fit")
    assert code == 1
    assert "Next: featurekit extract" in errors
    featurekit("extract", "--backbone", "mean_color", "--detector", "whole_image")
    code, _, errors = featurekit("report")
    assert code == 1
    assert "Next: featurekit fit" in errors


def one_line(result, *parts):
    """Check that a command failed with one line that has all these parts."""
    code, _, errors = result
    assert code == 1
    lines = [line for line in errors.splitlines() if line.startswith("error:")]
    assert len(lines) == 1, errors
    for part in parts:
        assert part in lines[0]
    assert "Traceback" not in errors


def test_a_missing_folder(featurekit, tmp_path):
    one_line(featurekit("prepare", "utkface", tmp_path / "nowhere"), "nowhere")


def test_a_wrong_column_name(featurekit, portraits):
    result = featurekit("prepare", "table", portraits / "people.csv", "--column", "image_path=fil")
    one_line(result, "'fil'", "file", "person", "years", "sex")


def test_an_option_without_a_value(featurekit, portraits):
    one_line(featurekit("prepare", "utkface", portraits, "-o", "protocol"), "name=value", "protocol")


def test_an_unknown_data_set(featurekit, portraits):
    one_line(featurekit("prepare", "utkfaces", portraits), "Did you mean 'utkface'")


def test_an_unknown_backbone(featurekit, prepared):
    one_line(featurekit("extract", "--backbone", "vgg61"), "Did you mean 'vgg16'")


def test_an_unknown_model(featurekit, extracted):
    one_line(featurekit("fit", "--model", "swm"), "Did you mean 'svm'")


def test_a_backbone_whose_file_is_missing(featurekit, prepared, tmp_path, monkeypatch):
    monkeypatch.setenv("FEATUREKIT_HOME", str(tmp_path / "empty"))
    result = featurekit("extract", "--backbone", "resnet50", "--detector", "whole_image")
    one_line(result, "resnet50", ".pth", "https://", "weights add")


def test_a_target_of_one_class(featurekit, extracted, tmp_path):
    manifest = tmp_path / "work" / "manifest.csv"
    manifest.write_text(manifest.read_text().replace(",female,", ",male,"))
    one_line(featurekit(*FIT), "gender", "male")


def test_fewer_subjects_than_folds(featurekit, extracted):
    one_line(featurekit(*FIT[:-1], "9"), "8 subjects", "9 folds")


@pytest.mark.parametrize("labels", ["gender=sex", "age=years"])
def test_a_data_set_with_one_kind_of_label_has_its_report(featurekit, portraits, tmp_path, labels):
    columns = ("image_path=file", "subject_id=person", labels)
    named = [word for column in columns for word in ("--column", column)]
    where = (portraits / "people.csv", "--root", portraits / "photos")
    for command in (
        ("prepare", "table", *where, *named),
        ("extract", "--backbone", "mean_color", "--detector", "whole_image"),
        ("fit", "--model", "logistic_regression", "--folds", "4"),
        ("audit",),
        ("report",),
    ):
        code, _, errors = featurekit(*command)
        assert code == 0, errors
    models = sorted((tmp_path / "work" / "models").iterdir())
    code, _, errors = featurekit("predict", portraits / "photos", "--sets", "--model", models[0])
    assert code == 1  # twelve persons are too few for a promise
    assert "--sets has no effect" in errors
    code, output, _ = featurekit("predict", portraits / "photos", "--model", models[0])
    assert code == 0
    assert output.count("\tok\t") == 24


def test_an_unreadable_picture_keeps_its_row_and_the_run_goes_on(
    featurekit, prepared, tmp_path, prepare_table
):
    (prepared / "photos" / "s3_1.png").write_bytes(b"GIF89a but not really")
    prepare_table()
    for _ in range(2):  # the second run reads nothing, and says it again
        code, output, errors = featurekit("extract", "--backbone", "mean_color", "--detector", "whole_image")
        assert code == 0
        assert "truncated\t1" in output
        assert "ok\t23" in output
        assert "s3_1.png' is truncated: the file ends before its picture does" in errors


def test_an_unreadable_picture_in_predict(featurekit, extracted, tmp_path):
    featurekit(*FIT)
    (tmp_path / "broken.jpg").write_bytes(b"nonsense")
    model = tmp_path / "work" / "models" / "gender--mean_color--logistic_regression"
    good = extracted / "photos" / "s0_0.png"
    result = featurekit("predict", tmp_path / "broken.jpg", good, "--model", model)
    one_line(result, "broken.jpg")
    assert "s0_0.png" in result[1]  # the good one has its answer all the same


def test_a_photograph_that_is_not_there(featurekit, tmp_path):
    one_line(featurekit("predict", tmp_path / "nowhere.jpg"), "nowhere.jpg")


@pytest.mark.weights
def test_no_face_in_predict(featurekit, tmp_path):
    Image.new("RGB", (300, 300), (90, 120, 90)).save(tmp_path / "meadow.png")
    one_line(featurekit("predict", tmp_path / "meadow.png"), "meadow.png", "no face was found")


@pytest.mark.weights
def test_the_sample_portrait_is_read_without_a_fitted_model(featurekit, tmp_path):
    code, output, errors = featurekit("predict", "--sample-portrait", "--draw", tmp_path / "drawn")
    assert code == 0, errors
    assert "female" in output
    assert (tmp_path / "drawn" / "astronaut.png").is_file()


def test_a_model_of_another_recipe(featurekit, extracted, tmp_path, seal):
    featurekit(*FIT)
    model = tmp_path / "work" / "models" / "gender--mean_color--logistic_regression"
    content = json.loads((model / "model.json").read_text())
    content["recipes"][0]["extraction_version"] = 0
    (model / "model.json").write_text(json.dumps(content))
    seal(model)
    result = featurekit("predict", extracted / "photos", "--model", model)
    one_line(result, "another recipe", "extraction_version was 0")


def test_a_folder_that_is_no_model(featurekit, extracted):
    one_line(featurekit("predict", extracted / "photos", "--model", extracted), "not a fitted model")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.EIO, "Input/output error", "/far/away"), "/far/away: Input/output error"),
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device"),
        (PermissionError(errno.EACCES, "Permission denied", "a\nb"), "a b: Permission denied"),
    ],
)
def test_a_disk_or_drive_that_refuses_is_one_line_wherever_it_is_met(
    featurekit, extracted, monkeypatch, error, said
):
    def refuse(path):
        raise error

    monkeypatch.setattr("featurekit.data.manifest.Manifest.load", refuse)
    code, _, errors = featurekit("extract", "--backbone", "mean_color")
    assert code == 1
    assert errors == f"error: Cannot go on: {said}.\n"


@pytest.mark.parametrize("error", [FileNotFoundError(errno.ENOENT, "gone", "x"), KeyError("x")])
def test_a_bug_keeps_its_traceback(featurekit, extracted, monkeypatch, error):
    def fail(path):
        raise error

    monkeypatch.setattr("featurekit.data.manifest.Manifest.load", fail)
    with pytest.raises(type(error)):
        featurekit("extract", "--backbone", "mean_color")


# Shards of four rows, so that the first is there long before the last.
STARTER = """
import sys
from featurekit.cli.app import main
from featurekit.embeddings import extractor
extractor.SHARD_ROWS = 4
main()
"""


def start(workspace, *arguments):
    return subprocess.Popen(
        [sys.executable, "-c", STARTER, "-w", workspace, *arguments],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )


def wait_for(there, process):
    """Wait until there() or the end of the process."""
    until = time.monotonic() + 60
    while not there() and process.poll() is None:
        assert time.monotonic() < until
        time.sleep(0.02)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_extraction_that_is_told_to_stop_keeps_what_it_has_and_says_how_to_go_on(
    featurekit, tmp_path, number, code
):
    photos = tmp_path / "photos"
    photos.mkdir()
    rng = np.random.default_rng(0)
    for each in range(300):
        Image.fromarray(rng.integers(0, 256, (150, 150, 3), dtype=np.uint8)).save(photos / f"{each}.png")
    lines = ["file,sex", *(f"{each}.png,female" for each in range(300))]
    (tmp_path / "table.csv").write_text("\n".join(lines) + "\n")
    named = ("--column", "image_path=file", "--column", "gender=sex")
    assert featurekit("prepare", "table", tmp_path / "table.csv", "--root", photos, *named)[0] == 0
    command = ("extract", "--backbone", "mean_color", "--detector", "whole_image", "--threads", "1")
    process = start(tmp_path / "work", *command)
    wait_for(lambda: list((tmp_path / "work" / "cache").glob("embeddings/*/*.safetensors")), process)
    process.send_signal(number)
    errors = process.communicate(timeout=60)[1]
    assert process.returncode == code, errors
    assert errors.splitlines()[-2:] == [
        "stopping: what was computed is being kept; once more stops at once",
        "stopped: the same command goes on from here",
    ]
    code_of_extract, output, errors = featurekit(*command)
    assert code_of_extract == 0, errors
    n_read = int(re.search(r"Read (\d+) pictures", output)[1])
    assert 0 < n_read < 300  # the rest had been kept


@pytest.mark.slow
def test_a_training_that_is_told_to_stop_ends_at_once_and_keeps_its_last_epoch(
    featurekit, prepared, tmp_path
):
    assert featurekit("extract", "--backbone", "pixels", "--detector", "whole_image")[0] == 0
    how = ("--epochs", "4000", "--set", "side=32", "--target", "gender", "--folds", "4", "--threads", "2")
    process = start(tmp_path / "work", "fit", "--model", "residual_attention", *how)
    training = tmp_path / "work" / "cache" / "training"
    wait_for(lambda: list(training.glob("*.safetensors")), process)
    process.send_signal(signal.SIGINT)
    began = time.monotonic()
    errors = process.communicate(timeout=60)[1]
    assert process.returncode == 130, errors
    assert time.monotonic() - began < 20
    assert "Traceback" not in errors
    assert list(training.glob("*.safetensors"))


def test_what_a_camera_noted_is_stored_nowhere(featurekit, portraits, tmp_path):
    """Owner, camera and place stand in the files of a data set, and in no file that is made of them."""
    secrets = ("owner-of-the-camera", "camera-8051")
    exif = Image.Exif()
    exif[0x013B], exif[0x0110] = secrets
    exif.get_ifd(0x8825).update({1: "N", 2: (52.0, 31.0, 12.0), 3: "E", 4: (13.0, 24.0, 36.0)})
    for path in (portraits / "photos").iterdir():
        with Image.open(path) as picture:
            picture.load()
        picture.save(path, exif=exif)
        assert secrets[0].encode() in path.read_bytes()
    people = portraits / "people.csv"
    wrong = re.sub(r"(s0,.*),male", r"\1,female", people.read_text())  # so that the report has faces to show
    people.write_text(wrong)
    columns = ("image_path=file", "subject_id=person", "age=years", "gender=sex")
    named = [word for column in columns for word in ("--column", column)]
    commands = (
        ("prepare", "table", people, "--root", portraits / "photos", *named),
        ("extract", "--backbone", "mean_color", "--backbone", "pixels", "--detector", "whole_image"),
        (*FIT, "--features", "mean_color"),
        ("audit",),
        ("report", "--faces", "thumb"),
    )
    for command in commands:
        code, _, errors = featurekit(*command)
        assert code == 0, errors
    made = [path for path in (tmp_path / "work").rglob("*") if path.is_file()]
    assert len(made) > 8
    for path in made:
        assert not any(secret.encode() in path.read_bytes() for secret in secrets), path
    page = (tmp_path / "work" / "reports" / "table" / "report.html").read_text()
    pictures = re.findall(r'src="data:image/\w+;base64,([^"]+)"', page)
    assert pictures
    assert not any(b"Exif" in base64.b64decode(picture) for picture in pictures)
