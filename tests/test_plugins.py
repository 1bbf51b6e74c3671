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

import pandas as pd
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
WHENCE = (
    "The runs in work/reports/tones have it from the package featurekit-tones 1.2, which is not installed:"
    " pip install featurekit-tones"
)
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


THROUGH_THE_COMMAND_LINE = (
    ("prepare tones photos", "24"),
    (
        "extract --backbone tone_histogram --backbone mean_color --detector middle_square",
        "tone_histogram: numpy",
    ),
    ("fit --model nearest_mean --target gender --features tone_histogram --folds 2", "nearest_mean"),
    ("audit", "few subjects"),
    (f"predict photos --model {MODEL} --output answers.csv", ""),
    ("report", "nearest_mean"),
)
# The same in Python, beside it.
IN_PYTHON = """
import featurekit as fk
data = fk.load_dataset("tones", "photos", project="door", progress=False)
X = fk.embed(data, "tone_histogram", detector="middle_square", project="door", progress=False)
asked = dict(target="gender", folds=2, save_models=True, project="door", progress=False)
results = fk.evaluate(data, X, "nearest_mean", **asked)
assert fk.audit(data, project="door", progress=False)["few_subjects"].what == "The data set has 8 people."
print(*results.predictions("nearest_mean")["p_female"])
"""


def test_a_package_runs_through_both_doors_and_is_removed_without_a_trace(run, package, portraits):
    for command, said in THROUGH_THE_COMMAND_LINE:
        done = run(command, package)
        assert done.returncode == 0, done.stderr
        assert said in done.stdout
        assert "not saved" not in done.stdout + done.stderr
    assert (portraits / "answers.csv").read_text().count("\n") == 25
    check_the_run(portraits / "work")
    in_python = run("", package, python=IN_PYTHON)
    assert in_python.returncode == 0, in_python.stderr
    said = load_predictions(portraits / "work")
    assert [float(word) for word in in_python.stdout.split()] == said
    check_the_run(portraits / "door")
    # From here on without the package.
    check_its_members_are_gone(run)
    check_what_was_made_with_it_stands(run)
    check_all_else_works(run)
    naming = [
        path for path in portraits.rglob("*") if path.is_file() and b"featurekit-tones" in path.read_bytes()
    ]
    for path in naming:
        assert {"runs", "reports"} & set(path.relative_to(portraits).parts)


def check_the_run(project: Path) -> None:
    """The run says which package each of its members is from."""
    (path,) = project.glob("reports/tones/runs/*nearest_mean.json")
    versions = json.loads(path.read_text())["versions"]
    assert {what: came for what, came in versions.items() if "featurekit-tones" in came} == {
        "data set tones": "featurekit-tones 1.2",
        "detector middle_square": "featurekit-tones 1.2",
        "backbone tone_histogram": "featurekit-tones 1.2",
        "classifier nearest_mean": "featurekit-tones 1.2",
    }


def load_predictions(project: Path) -> list[float]:
    """How probable the run found it that each face is a woman's."""
    (path,) = project.glob("reports/tones/predictions/*nearest_mean.parquet")
    return [float(one) for one in pd.read_parquet(path)["p_female"]]


def check_its_members_are_gone(run: Run) -> None:
    """No list names them, and asking for one says what there is."""
    listed = run("list")
    first = {line.partition("\t")[0] for line in listed.stdout.splitlines()}
    assert not first & set(MEMBERS.values())
    assert "featurekit-tones" not in listed.stdout + listed.stderr
    asked = run("extract --backbone tone_histogram")
    assert asked.stderr.startswith("error: Unknown backbone 'tone_histogram'.")
    assert asked.stderr.endswith(f". {WHENCE}\n")


def check_what_was_made_with_it_stands(run: Run) -> None:
    """The report has its run; its model is refused in one line that says what to do."""
    report = run("report")
    assert report.returncode == 0, report.stderr
    assert "nearest_mean" in report.stdout
    assert run(f"predict photos --model {MODEL}").stderr.strip() == (
        f"error: {MODEL} is a model of 'nearest_mean', which no installed package has."
        " Install the package it came from. If it was registered with fk.register_estimator, register it"
        f" first. {WHENCE}"
    )
    verified = run("verify-run --n 1")
    assert "backbone tone_histogram: featurekit-tones 1.2 → not installed" in verified.stdout


def check_all_else_works(run: Run) -> None:
    """Vectors of other networks are still there, though the package's detector found the faces."""
    for command, said in (
        ("audit --no-images", "near duplicates"),
        ("fit --model logistic_regression --target gender --folds 2 --no-models", "mean_color"),
    ):
        done = run(command)
        assert done.returncode == 0, done.stderr
        assert said in done.stdout
        assert "few subjects" not in done.stdout
