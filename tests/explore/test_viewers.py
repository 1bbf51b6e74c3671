"""Files for other programs: what their documentation asks for, and never over a file of somebody else."""

import csv

import numpy as np
import pandas as pd
import pytest
from pyarrow import parquet

from featurekit.data.manifest import Manifest
from featurekit.explore import viewers
from tests.explore.conftest import HOSTILE


@pytest.fixture
def export(featurekit, project, tmp_path):
    """Export the vectors of the project for a viewer; the name of a file is below tmp_path."""

    def run(path, viewer, features="mean_color"):
        return featurekit(
            *("-w", project.folder.root, "cache", "export", features, tmp_path / path, "--for", viewer)
        )

    return run


def test_a_table_for_embedding_atlas_has_a_map_the_labels_and_the_vectors(export, project, tmp_path):
    code, output, errors = export("faces.parquet", "embedding-atlas")
    assert code == 0, errors
    assert "have the paths of the images" in errors
    assert f"To open: embedding-atlas {tmp_path / 'faces.parquet'} --x x --y y" in output
    table = pd.read_parquet(tmp_path / "faces.parquet")
    expected = ["face_id", "image_path", "age", "age_group", "gender", "hair", "x", "y", "vectors"]
    assert list(table.columns) == expected
    data = Manifest.load(project.folder.manifest)
    assert list(table["face_id"]) == list(data.table["face_id"])
    assert list(table["image_path"]) == [str(data.root / one) for one in data.table["image_path"]]
    assert list(table["gender"]) == list(data.table["gender"])
    assert np.stack(table["vectors"]).shape == (60, 3)
    assert table["x"].dtype == table["y"].dtype == float
    assert not parquet.read_schema(tmp_path / "faces.parquet").metadata
    before = (tmp_path / "faces.parquet").read_bytes()
    assert export("faces.parquet", "embedding-atlas")[0] == 0
    assert (tmp_path / "faces.parquet").read_bytes() == before


def test_a_folder_for_fiftyone_is_read_as_it_reads_it(export, project, tmp_path):
    code, output, errors = export("fiftyone", "fiftyone")
    assert code == 0, errors
    labels_path = str(tmp_path / "fiftyone" / "labels.csv")
    assert f"from_dir({labels_path=}, dataset_type=fiftyone.types.CSVDataset)" in output
    folder = tmp_path / "fiftyone"
    assert sorted(one.name for one in folder.iterdir()) == ["labels.csv", "vectors.npy"]
    # As its importer does: csv.DictReader, and the column filepath with whole paths.
    with (folder / "labels.csv").open() as file:
        rows = list(csv.DictReader(file))
    data = Manifest.load(project.folder.manifest)
    assert [row["filepath"] for row in rows] == [str(data.root / one) for one in data.table["image_path"]]
    assert rows[0]["filepath"].endswith(HOSTILE[0])
    assert all((data.root / row["filepath"]).is_file() for row in rows)
    assert set(rows[0]) == {"filepath", "face_id", "age", "age_group", "gender", "hair", "x", "y"}
    assert np.load(folder / "vectors.npy", allow_pickle=False).shape == (60, 3)
    assert export("fiftyone", "fiftyone")[0] == 0


def test_faces_of_one_image_are_said_to_be_hidden(project):
    data = Manifest.load(project.folder.manifest)
    same = data.table.assign(image_path=["a.png"] * 3 + list(data.table["image_path"][3:]))
    data = Manifest(same, data.root, data.info)
    assert viewers.n_hidden("fiftyone", data, np.arange(60)) == 2
    assert viewers.n_hidden("embedding-atlas", data, np.arange(60)) == 0


@pytest.mark.parametrize(
    ("path", "viewer", "said"),
    [
        ("faces.parquet", "tensorboard", "Unknown viewer 'tensorboard'. Known: embedding-atlas, fiftyone."),
        ("faces.csv", "embedding-atlas", "reads a .parquet file. Got 'faces.csv' instead."),
        ("taken.parquet", "embedding-atlas", "exists and was not written for embedding-atlas"),
        ("folder.parquet", "embedding-atlas", "Got 'folder.parquet' instead."),
        ("taken.parquet", "fiftyone", "need a folder, but"),
        ("taken", "fiftyone", "has other files than those for fiftyone"),
    ],
)
def test_no_file_of_somebody_else_is_lost(export, tmp_path, path, viewer, said):
    (tmp_path / "taken.parquet").write_bytes(b"mine")
    (tmp_path / "folder.parquet").mkdir()
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "labels.csv").write_text("mine\n")
    code, _, errors = export(path, viewer)
    assert code == 1
    assert errors.count("\n") == 1
    assert said in errors
    assert (tmp_path / "taken.parquet").read_bytes() == b"mine"
    assert (tmp_path / "taken" / "labels.csv").read_text() == "mine\n"


def test_vectors_that_are_not_there_are_one_line(export):
    code, _, errors = export("faces.parquet", "embedding-atlas", "vgg16")
    assert code == 1
    assert "has not been extracted" in errors
