"""The wheel and the source distribution: they are built, installed, and used away from this folder."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ALONE = ("--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check", "--quiet")
COMMANDS = (
    ("--help", "Compare"),
    ("prepare synthetic portraits -o n_subjects=16 -o n_pictures=1", "Wrote manifest.csv"),
    ("extract --backbone mean_color --detector whole_image", "Read 16 images"),
    ("fit --model logistic_regression --target gender --no-models", "logistic_regression"),
    ("report", "Wrote"),
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with both distributions."""
    folder = tmp_path_factory.mktemp("built")
    command = [sys.executable, "-m", "hatchling", "build", "-d", folder]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return folder


def installed(distribution: Path, to: Path) -> Path:
    """Install a distribution into a folder, without what it needs, which is installed for the tests."""
    command = [sys.executable, "-m", "pip", "install", *ALONE, "--target", to, distribution]
    subprocess.run(command, check=True, capture_output=True)
    return to


def files_in(folder: Path) -> dict[str, bytes]:
    package = folder / "featurekit"
    return {
        str(path.relative_to(package)): path.read_bytes()
        for path in package.rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }


def test_both_install_the_same_files_which_are_all_of_the_package(built, tmp_path):
    (wheel,), (source,) = built.glob("*.whl"), built.glob("*.tar.gz")
    from_wheel = files_in(installed(wheel, tmp_path / "wheel"))
    assert from_wheel == files_in(installed(source, tmp_path / "source"))
    assert from_wheel == files_in(ROOT)
    assert source.stat().st_size < 2_000_000


def test_the_wheel_does_the_whole_job_in_an_empty_folder(built, tmp_path):
    (wheel,) = built.glob("*.whl")
    place = installed(wheel, tmp_path / "wheel")
    (tmp_path / "empty").mkdir()
    program = f"import featurekit.cli.app as app; assert app.__file__.startswith({str(place)!r}); app.main()"
    for command, said in COMMANDS:
        done = subprocess.run(
            [sys.executable, "-P", "-c", program, *command.split()],
            cwd=tmp_path / "empty",
            env={**os.environ, "PYTHONPATH": str(place)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert said in done.stdout
    page = (tmp_path / "empty" / "reports" / "synthetic" / "report.html").read_text(encoding="utf-8")
    assert "<style>" in page
    assert "<script>" in page
