"""A package with a member of each kind, installed by pip beside featurekit, used, and removed.

It is installed into a folder of its own, so that the environment of the tests stays as it is.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MEMBERS = {
    "backbones": "tone_histogram",
    "models": "nearest_mean",
    "datasets": "tones",
    "detectors": "middle_square",
    "checks": "few_subjects",
}
MODEL = "work/models/gender--tone_histogram--nearest_mean"
Run = Callable[..., subprocess.CompletedProcess[str]]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that pip installed the package into."""
    folder = tmp_path_factory.mktemp("package")
    # setuptools builds in the folder of the sources.
    shutil.copytree(ROOT / "tests" / "plugin_package", folder / "source")
    alone = ("--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check", "--quiet")
    command = [sys.executable, "-m", "pip", "install", *alone, "--target", folder / "installed"]
    subprocess.run([*command, folder / "source"], check=True, capture_output=True)
    return folder / "installed"


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run a command in tmp_path, beside the packages that are installed in some folders."""

    def start(command: str, *installed: Path, python: str | None = None) -> subprocess.CompletedProcess[str]:
        program = [ROOT / "cli.py", "-w", "work", *command.split()] if python is None else ["-c", python]
        return subprocess.run(
            [sys.executable, *program],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (*installed, ROOT)))},
            capture_output=True,
            text=True,
            check=False,
        )

    return start


def test_every_member_is_listed_with_its_package(run, package):
    listed = run("list", package)
    assert listed.returncode == 0
    assert not listed.stderr
    rows = [line.split("\t") for line in listed.stdout.splitlines()]
    assert {row[0] for row in rows if row[-1] == "featurekit-tones 1.2"} == set(MEMBERS.values())
    doctor = run("doctor", package)
    (line,) = [line for line in doctor.stdout.splitlines() if line.startswith("plug-ins")]
    assert all(name in line for name in ("featurekit-tones 1.2", *MEMBERS.values()))


def test_a_package_runs_from_its_data_set_to_a_prediction_and_is_removed_without_a_trace(
    run, package, portraits
):
    for command, said in (
        ("prepare tones photos", "24"),
        ("extract --backbone tone_histogram --detector middle_square", "tone_histogram: numpy on cpu in fp32"),
        ("fit --model nearest_mean --target gender", "nearest_mean"),
        ("audit", "few subjects"),
        (f"predict photos --model {MODEL} --output answers.csv", ""),
        ("report", ""),
    ):
        done = run(command, package)
        assert done.returncode == 0, done.stderr
        assert said in done.stdout
        assert "not saved" not in done.stdout + done.stderr
    answers = (portraits / "answers.csv").read_text()
    assert answers.count("\n") == 25
    kept = json.loads((portraits / "work/reports/tones/runs").glob("*nearest_mean.json").__next__().read_text())
    assert {name: came for name, came in kept["versions"].items() if "featurekit-tones" in came} == {
        "data set tones": "featurekit-tones 1.2",
        "detector middle_square": "featurekit-tones 1.2",
        "backbone tone_histogram": "featurekit-tones 1.2",
        "classifier nearest_mean": "featurekit-tones 1.2",
    }
    check_it_is_gone(run, portraits)


def check_it_is_gone(run: Run, folder: Path) -> None:
    """Without the package its members are not there, what was made with them stands, and all else works."""
    listed = run("list")
    assert not any(name in listed.stdout for name in MEMBERS.values() if name != "tones")
    assert "featurekit-tones" not in listed.stdout + listed.stderr
    refused = run(f"predict photos --model {MODEL}")
    assert refused.stderr.strip() == (
        f"error: {MODEL} is a model of 'nearest_mean', which no installed package has."
        " Install the package it came from."
    )
    report = run("report --output again.md")
    assert report.returncode == 0, report.stderr
    unknown = run("extract --backbone tone_histogram")
    assert unknown.stderr.startswith("error: Unknown backbone 'tone_histogram'.")
    for command in (
        "audit",
        "cache ls",
        "cache verify",
        "fit --model logistic_regression --target gender",
        "extract --backbone mean_color --detector whole_image",
        "fit --model logistic_regression --target gender",
        "cache gc",
    ):
        done = run(command)
        print(command, done.returncode, done.stdout[-300:], done.stderr[-400:])
    naming = [path for path in folder.rglob("*") if path.is_file() and b"featurekit-tones" in path.read_bytes()]
    print(naming)
    assert 0
