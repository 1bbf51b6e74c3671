"""A member of each kind is one file: put into a copy of the package it is listed, and keeps its contract."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

BACKBONE = (
    "networks/backbones/variety.py",
    '''"""How much each colour varies over a face."""

from featurekit.networks.backbones import BACKBONES, Backbone


def variety(crops):
    """Return the standard deviation of red, green and blue between 0 and 1, shape (n, 3)."""
    return (crops.astype("float64").std(axis=(1, 2)) / 255).astype("float32")


BACKBONES.add(
    Backbone(
        name="newcomer",
        about="how much each colour varies",
        layers={"deviation": 3},
        input_size=64,
        template="dlib",
        compute=variety,
    )
)
''',
)

DATASET = (
    "data/datasets/by_letter.py",
    '''"""Pictures whose names begin with f or m."""

from featurekit.data.datasets import RawRows, dataset
from featurekit.data.find import find_images


@dataset("newcomer", about="pictures whose names begin with f or m", licence="as their owner says")
def by_letter(path):
    """Return every picture below a folder."""
    found = find_images(path)
    table = found.table
    first = [image.rpartition("/")[2][0] for image in table["image_path"]]
    table["gender"] = [{"f": "female", "m": "male"}.get(letter, "") for letter in first]
    return RawRows(table, path, counts=found.counts)
''',
)

DETECTOR = (
    "faces/detectors/middle.py",
    '''"""The middle of the picture is the face."""

import numpy as np

from featurekit.faces.detectors import DETECTORS, Detection, Detector


def middle(pixels, size):
    """Return the middle half of the picture as one face without landmarks."""
    height, width = pixels.shape[:2]
    box = np.array([width / 4, height / 4, 3 * width / 4, 3 * height / 4], np.float32)
    return [Detection(box, np.full((5, 2), np.nan, np.float32), 1.0)]


DETECTORS.add(Detector("newcomer", "the middle of the picture", None, lambda *how: middle))
''',
)

ESTIMATOR = (
    "estimators/nearest.py",
    '''"""The nearest face."""

from featurekit.estimators import classifier


@classifier(
    "newcomer",
    about="what the nearest face is",
    trusted_types=(
        "featurekit.estimators._given.Given",
        "sklearn.neighbors._classification.KNeighborsClassifier",
        "sklearn.neighbors._regression.KNeighborsRegressor",
    ),
)
def make_newcomer(target, random_state, n_jobs):
    """Return an estimator that looks for the nearest face."""
    from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

    from featurekit.estimators._given import Given

    nearest = KNeighborsRegressor if target.is_regression else KNeighborsClassifier
    return Given(model=nearest(n_neighbors=1), random_state=random_state, n_jobs=n_jobs)
''',
)

FITTED_FEATURE = (
    "estimators/fitted_features/standardized.py",
    '''"""Grey pixels that are standardized by the training faces."""

from featurekit.estimators.fitted_features import FITTED_FEATURES, FittedFeature


def make_standardized(seed):
    """Return an unfitted transformer."""
    from sklearn.preprocessing import StandardScaler

    made = StandardScaler()
    made.note_ = "each pixel is standardized."
    return made


FITTED_FEATURES.add(
    FittedFeature(
        name="newcomer_per_fold",
        about="standardized pixels",
        reads="flattened_pixels:grey",
        length=1024,
        make=make_standardized,
        trusted_types=("sklearn.preprocessing._data.StandardScaler",),
    )
)
''',
)

CHECK = (
    "checks/newcomer.py",
    '''"""Rows that nobody can use."""

from featurekit.checks.base import CHECKS, Check
from featurekit.findings import Finding


def look(given):
    """Count the rows that cannot be used."""
    usable = given.manifest.usable
    n = int((~usable).sum())
    severity = "note" if n else "ok"
    return Finding(name="newcomer", severity=severity, count=n, of=len(usable), what=f"{n} rows.")


CHECKS.add(Check("newcomer", "rows that nobody can use", "note", 95, look))
''',
)

MEMBERS = {
    "backbone": (BACKBONE, "backbones", "tests/contracts/test_backbones.py"),
    "estimator": (ESTIMATOR, "models", "tests/contracts/test_estimators.py"),
    "data set": (DATASET, "datasets", "tests/contracts/test_datasets.py"),
    "detector": (DETECTOR, "detectors", "tests/contracts/test_detectors.py"),
    "feature fitted per fold": (
        FITTED_FEATURE,
        "fitted_features",
        "tests/contracts/test_fitted_features.py",
    ),
    "check": (CHECK, None, "tests/contracts/test_checks.py"),
}


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """A copy of the package and of what its contract tests need, with one file more for each member."""
    folder = tmp_path_factory.mktemp("copy")
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "featurekit", folder / "featurekit", ignore=ignored)
    shutil.copytree(ROOT / "tests", folder / "tests", ignore=ignored)
    shutil.copytree(ROOT / "reports" / "utkface-builtin", folder / "reports" / "utkface-builtin")
    for name in ("cli.py", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
    for (path, text), _, _ in MEMBERS.values():
        file = folder / "featurekit" / path
        assert not file.exists()
        file.write_text(text, encoding="utf-8")
    return folder


def run(folder, *words):
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    environment.pop("PYTEST_ADDOPTS", None)
    done = subprocess.run(
        [sys.executable, *map(str, words)],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def tried(copy):
    """The names in each list, and what the contract tests of all kinds print, in one process each."""
    contracts = [contract for _, _, contract in MEMBERS.values()]
    options = ("-q", "-rp", "-p", "no:cacheprovider", "-n", "0", "-k", "newcomer")
    names, title = {}, ""
    for line in run(copy, "cli.py", "list").splitlines():
        name, *columns = line.split("\t")
        title = title if columns else name
        names.setdefault(title, set()).add(name)
    return names, run(copy, "-m", "pytest", *options, *contracts)


@pytest.mark.slow
@pytest.mark.parametrize("kind", MEMBERS)
def test_a_member_is_one_file_and_keeps_the_contract_of_its_kind(tried, kind):
    names, output = tried
    _, title, contract = MEMBERS[kind]
    assert title is None or {"newcomer", "newcomer_per_fold"} & names[title]
    assert f"PASSED {contract}" in output
    assert "failed" not in output
