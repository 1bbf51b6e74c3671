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
from typing import NamedTuple

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
ORIGIN = (
    "The runs in work/reports/tones have it from the package featurekit-tones 1.2, which is not installed."
    " Install it from where you got it."
)


class Done(NamedTuple):
    """How a command ended, and what it printed."""

    code: int | str
    out: str
    err: str


Run = Callable[..., list[Done]]
# Several commands in one process, because a process that has to import everything takes seconds.
ONE_AFTER_ANOTHER = """
import contextlib, io, json, sys
from featurekit.cli.app import main
done = []
for command in json.loads(sys.argv[1]):
    sys.argv = ["featurekit", "-w", "work", *command.split()]
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main()
            code = 0
        except SystemExit as end:
            code = end.code or 0
    done.append((code, out.getvalue(), err.getvalue()))
print(json.dumps(done))
"""

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


def run_python(program: str, *arguments: str, where: Path, packages: Path | None = None) -> str:
    """Run a program in a folder, beside packages from another one, and return what it printed."""
    installed = [packages, ROOT] if packages else [ROOT]
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=where,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, installed))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run commands in a process of their own, beside the packages that are installed in a folder."""

    def start(*commands: str, packages: Path | None = None) -> list[Done]:
        printed = run_python(ONE_AFTER_ANOTHER, json.dumps(commands), where=tmp_path, packages=packages)
        return [Done(*one) for one in json.loads(printed)]

    return start


def test_every_member_is_listed_with_its_package(run, package):
    listed, doctor = run("list", "doctor", packages=package)
    assert (listed.code, listed.err) == (0, "")
    rows = [line.split("\t") for line in listed.out.splitlines()]
    assert {row[0] for row in rows if row[-1] == "featurekit-tones 1.2"} == set(MEMBERS.values())
    (line,) = [line for line in doctor.out.splitlines() if line.startswith("plug-ins")]
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
    commands = [command for command, _ in THROUGH_THE_COMMAND_LINE]
    for done, (_, said) in zip(run(*commands, packages=package), THROUGH_THE_COMMAND_LINE, strict=True):
        assert done.code == 0, done.err
        assert said in done.out
        assert "not saved" not in done.out + done.err
    assert (portraits / "answers.csv").read_text().count("\n") == 25
    check_the_run(portraits / "work")
    printed = run_python(IN_PYTHON, where=portraits, packages=package)
    assert [float(word) for word in printed.split()] == load_predictions(portraits / "work")
    check_the_run(portraits / "door")
    check_without_it(run)
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


def check_without_it(run: Run) -> None:
    """Its members are gone; what was made with it stands, or is refused; and all else works."""
    listed, asked, report, predicted, verified, audit, fit = run(
        "list",
        "extract --backbone tone_histogram",
        "report",
        f"predict photos --model {MODEL}",
        "verify-run --n 1",
        "audit --no-images",
        # Vectors of other networks are still there, though the package's detector found the faces.
        "fit --model logistic_regression --target gender --folds 2 --no-models",
    )
    first = {line.partition("\t")[0] for line in listed.out.splitlines()}
    assert not first & set(MEMBERS.values())
    assert "featurekit-tones" not in listed.out + listed.err
    assert asked.err.startswith("error: Unknown backbone 'tone_histogram'.")
    assert asked.err.endswith(f". {ORIGIN}\n")
    assert report.code == 0, report.err
    assert "nearest_mean" in report.out
    assert predicted.err.strip() == (
        f"error: {MODEL} is a model of 'nearest_mean', which no installed package has."
        " Install the package it came from. If it was registered with fk.register_estimator, register it"
        f" first. {ORIGIN}"
    )
    assert "backbone tone_histogram: featurekit-tones 1.2 → not installed" in verified.out
    assert "The extracted tone_histogram:" in fit.err
    for done, said in ((audit, "near duplicates"), (fit, "mean_color")):
        assert done.code == 0, done.err
        assert said in done.out
        assert "few subjects" not in done.out
