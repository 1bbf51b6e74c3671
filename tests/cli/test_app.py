"""The command line as a whole: help, the whole path in seconds, and what ends a command."""

import base64
import errno
import json
import re
import resource
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.report.made_up import make_run

ROOT = Path(__file__).parents[2]


FIT = ("fit", "--model", "logistic_regression", "--target", "gender", "--folds", "4")


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


def test_a_name_that_is_unknown_now_is_of_the_package_that_the_newest_run_names(
    featurekit, prepared, tmp_path
):
    runs = tmp_path / "work" / "reports" / "faces" / "runs"
    runs.mkdir(parents=True)
    (runs / "broken.json").write_text("{")

    def refused(name="tones"):
        code, output, errors = featurekit("extract", "--backbone", name)
        assert (code, output, errors.count("\n")) == (1, "", 1)
        return errors.partition(", vgg_face. ")[2]

    found = "If it is of another package, install that package: its backbones are found by its entry points"
    assert refused() == f"{found} in featurekit.backbones.\n"
    assert refused("mean_colour") == ""  # a mistyped name is of no package
    for year, (package, said) in enumerate(
        (
            (
                "tones 1.2",
                "the package tones 1.2, which is not installed. Install it from where you got it.\n",
            ),
            ("numpy 0.1", f"the package numpy 0.1, but numpy {np.__version__}, which is installed, does not"),
            ("this session", "a Python program that registered it: use it in that program.\n"),
        ),
        start=2020,
    ):
        run = make_run(versions={"backbone tones": package}, created=f"{year}-01-01T00:00:00+00:00")
        (runs / f"{year}.json").write_text(json.dumps(asdict(run)))
        assert refused().startswith(f"The runs in {runs.parent} have it from {said}")
    # A stranger's run makes nobody type an option of pip.
    strange = replace(run, versions={"backbone tones": "--index-url=//evil 1"}, created="2030-01-01")
    (runs / "2030.json").write_text(json.dumps(asdict(strange)))
    assert refused().startswith(found)


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
    assert run["scores"]["accuracy"]["mean"] == 1.0  # red and blue are easily told apart
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


def test_a_missing_earlier_step_is_named(featurekit, prepare_table):
    assert "To make one: featurekit prepare" in featurekit("extract")[2]
    prepare_table()
    code, _, errors = featurekit("fit")
    assert code == 1
    assert "Next: featurekit extract" in errors
    featurekit("extract", "--backbone", "mean_color", "--detector", "whole_image")
    code, _, errors = featurekit("report")
    assert code == 1
    assert "Next: featurekit fit" in errors


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
    assert errors == f"error: Cannot continue: {said}.\n"


@pytest.mark.parametrize("error", [FileNotFoundError(errno.ENOENT, "gone", "x"), KeyError("x")])
def test_a_bug_keeps_its_traceback(featurekit, extracted, monkeypatch, error):
    def fail(path):
        raise error

    monkeypatch.setattr("featurekit.data.manifest.Manifest.load", fail)
    with pytest.raises(type(error)):
        featurekit("extract", "--backbone", "mean_color")


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
