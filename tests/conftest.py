"""What tests share: where the evaluation photographs and the builtin weights are."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from featurekit import weights

if TYPE_CHECKING:
    from featurekit.embeddings import Recipe
    from featurekit.faces import FaceSettings
    from featurekit.manifest import Manifest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def real_data() -> Path:
    """Folder of the evaluation photographs; the test is skipped where it is absent."""
    folder = Path(os.environ.get("FEATUREKIT_TEST_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no evaluation photographs at {folder} (FEATUREKIT_TEST_DATA)")
    return folder


@pytest.fixture
def builtin_weights() -> None:
    """The test is skipped where the builtin weights have not been fetched."""
    absent = [entry.name for entry in weights.WEIGHTS.values() if entry.is_builtin]
    absent = [name for name in absent if not weights.present(name)]
    if absent:
        pytest.skip(f"the weights of {', '.join(absent)} are absent: featurekit weights fetch builtin")


@pytest.fixture(autouse=True)
def _needs(request: pytest.FixtureRequest) -> None:
    """A marker alone is enough to skip a test where what it needs is absent."""
    for marker, fixture in (("weights", "builtin_weights"), ("real_data", "real_data")):
        if request.node.get_closest_marker(marker):
            request.getfixturevalue(fixture)


@pytest.fixture
def featurekit(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int | str, str, str]]:
    """Run a command in the workspace tmp_path/work and return (exit code, output, errors)."""
    from featurekit import commands

    def run(*arguments: object) -> tuple[int | str, str, str]:
        monkeypatch.setattr(sys, "argv", ["featurekit", "-w", str(tmp_path / "work"), *map(str, arguments)])
        capfd.readouterr()
        code: int | str = 0
        try:
            commands.main()
        except SystemExit as stop:
            code = stop.code or 0
        captured = capfd.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture
def portraits(tmp_path: Path) -> Path:
    """A table of 24 made-up pictures of 8 subjects: people.csv and photos/; women are reddish, men bluish."""
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)
    lines = ["file,person,years,sex"]
    (tmp_path / "photos").mkdir()
    for subject in range(8):
        gender = "female" if subject % 2 else "male"
        tone = np.array([150, 90, 60] if gender == "female" else [60, 90, 150])
        for picture in range(3):
            pixels = np.clip(tone + rng.normal(0, 25, (48, 40, 3)), 0, 255).astype(np.uint8)
            name = f"s{subject}_{picture}.png"
            Image.fromarray(pixels).save(tmp_path / "photos" / name)
            lines.append(f"{name},s{subject},{(28, 28, 5, 5)[subject % 4]},{gender}")
    (tmp_path / "people.csv").write_text("\n".join(lines) + "\n")
    return tmp_path


@pytest.fixture
def prepare_table(
    featurekit: Callable[..., tuple[int | str, str, str]], portraits: Path
) -> Callable[[], None]:
    """Prepare the made-up pictures, as they are now, in the workspace of featurekit()."""

    def prepare() -> None:
        columns = ("image_path=file", "subject_id=person", "age=years", "gender=sex")
        named = [word for column in columns for word in ("--column", column)]
        where = (portraits / "people.csv", "--root", portraits / "photos")
        code, output, errors = featurekit("prepare", "table", *where, *named)
        assert code == 0, output + errors

    return prepare


@pytest.fixture
def prepared(prepare_table: Callable[[], None], portraits: Path) -> Path:
    """The made-up pictures, prepared."""
    prepare_table()
    return portraits


@pytest.fixture
def manifest(portraits: Path) -> "Manifest":
    """The made-up pictures' manifest."""
    from featurekit.datasets import prepare

    columns = {"image_path": "file", "subject_id": "person", "age": "years", "gender": "sex"}
    return prepare("table", portraits / "people.csv", root=portraits / "photos", columns=columns)


@pytest.fixture
def settings() -> "FaceSettings":
    """The made-up pictures are faces as they are."""
    from featurekit.faces import default_settings

    return default_settings("whole_image")


@pytest.fixture
def recipes(settings: "FaceSettings") -> "dict[str, Recipe]":
    """What the simplest backbone makes of them."""
    from featurekit.embeddings import make_recipes

    return make_recipes(["mean_color"], settings, device="cpu")
