"""Inputs that analysts really have, tried as a newcomer would: what is printed helps, and nothing is lost.

Exports of spreadsheets and statistics programs, folders of phones and network drives, codes and words of
other countries. Each input is unlike the others; the test holds the line that it prints.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

Run = Callable[..., tuple[int | str, str, str]]

COLUMNS = ("--column", "image_path=file", "--column", "subject_id=person")


def photograph(path: Path, seed: int) -> None:
    """Write a made-up photograph of its own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (24, 20, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def table(featurekit: Run, tmp_path: Path) -> Callable[..., tuple[int | str, str]]:
    """Prepare people.csv beside photos/0.png to photos/7.png, and return (exit code, all that was printed)."""
    for number in range(8):
        photograph(tmp_path / "photos" / f"{number}.png", number)

    def prepare(lines: list[str], *more: str, name: str = "people.csv") -> tuple[int | str, str]:
        (tmp_path / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
        where = (tmp_path / name, "--root", tmp_path / "photos")
        code, output, errors = featurekit("prepare", "table", *where, *COLUMNS, *more)
        return code, output + errors

    return prepare


@pytest.fixture
def folder(featurekit: Run, tmp_path: Path) -> Callable[..., tuple[int | str, str]]:
    """Prepare a folder with photographs at these places, and return (exit code, all that was printed)."""

    def prepare(*places: str, options: tuple[str, ...] = ()) -> tuple[int | str, str]:
        for number, place in enumerate(places):
            photograph(tmp_path / "faces" / place, number)
        code, output, errors = featurekit("prepare", "image_folder", tmp_path / "faces", *options)
        return code, output + errors

    return prepare


@pytest.fixture
def manifest(tmp_path: Path) -> Callable[[], pd.DataFrame]:
    """Read the manifest as text."""
    path = tmp_path / "work" / "manifest.csv"
    return lambda: pd.read_csv(path, dtype=str, keep_default_na=False)


# ---------------------------------------------------------------- who is on a photograph


@pytest.mark.parametrize(
    ("first", "second"),
    [("17", "17.0"), ("Anna Berg", "anna  berg"), ("P04", "p04 ")],
    ids=["a pandas float", "typed twice by hand", "another rater's capitals"],
)
def test_a_person_written_in_two_ways_is_one_person_aloud(table, manifest, first, second):
    people = [first, second, first, "zoe", "zoe", "007", "7", "18"]
    code, said = table(["file,person,age", *(f"{n}.png,{who},3{n}" for n, who in enumerate(people))])
    assert code == 0
    assert "are one person: row 2 is the person of row 1." in said
    assert "person: subjects spelled otherwise\t1" in said
    assert manifest()["subject_id"].tolist() == [first, first, first, "zoe", "zoe", "007", "7", "18"]


def test_a_person_in_a_merged_cell_is_asked_about(table):
    people = ["anna", "", "", "bob", "", "carla", "", ""]
    code, said = table(["file,person,age", *(f"{n}.png,{who},3{n}" for n, who in enumerate(people))])
    assert code == 0
    assert "person: 5 rows without a subject stand below one that has a subject" in said
    assert "write that subject into every row" in said


def test_a_whole_number_with_and_without_a_point_is_one_label_aloud(table, manifest):
    stages = ["1", "1.0", "1", "2", "2.0", "2", "2.5", "2.5"]
    lines = ["file,person,stage", *(f"{n}.png,s{n},{stage}" for n, stage in enumerate(stages))]
    code, said = table(lines, "-o", "labels=stage")
    assert code == 0
    assert "stage: '1.0' (1) is taken as '1', '2.0' (1) is taken as '2'." in said
    assert manifest()["stage"].tolist() == ["1", "1", "1", "2", "2", "2", "2.5", "2.5"]
