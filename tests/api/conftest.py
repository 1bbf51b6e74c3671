"""What tests of the front door share: made-up images of a table, embedded and evaluated in a project."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import featurekit as fk


@pytest.fixture
def people(portraits: Path) -> pd.DataFrame:
    """The table of 24 made-up images of 8 subjects."""
    return pd.read_csv(portraits / "people.csv")


@pytest.fixture
def project(tmp_path: Path) -> fk.Project:
    """A project of its own; the one that the command line's fixture uses, too."""
    return fk.Project(tmp_path / "work")


@pytest.fixture
def data(people: pd.DataFrame, portraits: Path, project: fk.Project) -> fk.Dataset:
    """The made-up images as a data set."""
    labels = {"age": "years", "gender": "sex"}
    return fk.Dataset.from_frame(
        people, images="file", labels=labels, subject="person", root=portraits / "photos", project=project
    )


@pytest.fixture
def X(data: fk.Dataset, project: fk.Project) -> fk.Embeddings:
    """Their vectors, by the simplest network."""
    return fk.embed(data, "mean_color", detector="whole_image", project=project)


@pytest.fixture
def how(project: fk.Project) -> dict[str, Any]:
    """How they are evaluated: in the project, on two splits."""
    return {"project": project, "folds": 2}
