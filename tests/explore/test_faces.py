"""What the page shows of the faces: labels, predictions, suspicious labels and neighbours."""

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest

import featurekit as fk
from featurekit.checks.label_suspects import suspected_of
from featurekit.data.manifest import Manifest
from featurekit.data.marks import Mark, read_marks, write_marks
from featurekit.errors import EmbeddingError, ManifestError, UnknownNameError, WorkspaceError
from featurekit.explore import opening
from featurekit.explore.neighbours import Neighbours
from tests.explore.conftest import make_project, open_page

ROOT = Path(__file__).parents[2]


@pytest.fixture
def results(project):
    return fk.load_results(project.folder.report("made-up"))


def column(read, name):
    return next(one for one in read["columns"] if one["name"] == name)


def test_a_face_has_its_labels_and_predictions(page, project, results):
    read = json.loads(page.page)
    table = Manifest.load(project.folder.manifest).table
    assert read["rows"] == list(range(60))
    for name in ("gender", "age_group", "hair"):
        one = column(read, name)
        labels = ["" if value is None else one["classes"][value] for value in one["values"]]
        assert labels == list(table[name])
    assert column(read, "age")["values"] == list(table["age"])
    assert read["labels"] == ["gender", "age_group", "age", "hair"]
    gender = next(one for one in read["targets"] if one["name"] == "gender")
    said = results.predictions("logistic_regression", "gender").set_index("face_id").loc[table["face_id"]]
    assert [column(read, "gender")["classes"][value] for value in gender["predicted"]] == list(
        said["predicted"]
    )
    np.testing.assert_allclose(gender["confidence"], said[["p_female", "p_male"]].max(axis=1), atol=1e-4)
    age = next(one for one in read["targets"] if one["name"] == "age")
    years = results.predictions("logistic_regression", "age").set_index("face_id").loc[table["face_id"]]
    np.testing.assert_allclose(age["predicted"], years["predicted"], atol=1e-4)
    assert set(age["confidence"]) == {None}


def test_suspicious_labels_are_those_of_the_audit(page, project, results):
    read = json.loads(page.page)
    gender = next(one for one in read["targets"] if one["name"] == "gender")
    data = Manifest.load(project.folder.manifest)
    said = results.predictions("logistic_regression", "gender")
    ids = list(data.table["face_id"])
    subjects = data.subjects[[ids.index(face) for face in said["face_id"]]]
    expected = suspected_of(said, data.target("gender"), subjects).rows
    assert expected
    assert [gender["suspicion"][ids.index(face)] for face in expected] == list(range(1, len(expected) + 1))
    assert sum(map(bool, gender["suspicion"])) == len(expected)


def test_the_places_are_those_of_the_map(page, project):
    read = json.loads(page.page)
    data = fk.Dataset.load(project.folder.manifest)
    X = fk.embed(data, "mean_color", detector="whole_image", project=project, progress=False)
    frame = X.map().frame()
    np.testing.assert_allclose(read["x"], frame["x"], atol=1e-3)
    np.testing.assert_allclose(read["y"], frame["y"], atol=1e-3)


def test_neighbours_are_the_same_as_by_comparing_all_pairs():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(50, 7))

    class Reader:
        blocks = (4, 3)

        def read(self, at):
            return vectors[at].copy()

    def unit(part):
        return part / np.linalg.norm(part, axis=1, keepdims=True)

    at = np.arange(0, 50, 2)
    similar = (
        unit(vectors[at, :4]) @ unit(vectors[at, :4]).T + unit(vectors[at, 4:]) @ unit(vectors[at, 4:]).T
    ) / 2
    np.fill_diagonal(similar, -np.inf)
    neighbours = Neighbours(Reader(), at)
    for face in range(len(at)):
        found = neighbours.of(face, 5)
        assert [one for one, _ in found] == list(np.argsort(-similar[face])[:5])
        np.testing.assert_allclose([value for _, value in found], np.sort(similar[face])[::-1][:5], atol=1e-6)


def test_without_models_there_are_no_predictions(tmp_path):
    project = make_project(tmp_path, 12, models=False)
    read = json.loads(open_page(project, tmp_path / "marks.csv").page)
    assert read["targets"] == []
    assert len(read["rows"]) == 12


def test_predictions_for_other_labels_are_left_out_with_a_note(project, tmp_path):
    data = fk.Dataset.load(project.folder.manifest)
    turned = data.table.assign(gender=data.table["gender"].iloc[::-1].to_numpy())
    results = fk.load_results(project.folder.report("made-up"))
    page = opening.explore(
        project.folder, Manifest(turned, data.root, data.info), tmp_path / "marks.csv", results=results
    )
    assert [one["name"] for one in json.loads(page.page)["targets"]] == ["age"]
    assert "not shown (first: gender--mean_color--" in page.notes[0]
    name = results.best("gender").run.name
    with pytest.raises(UnknownNameError, match="is set apart, so it is not shown"):
        opening.explore(
            project.folder,
            Manifest(turned, data.root, data.info),
            tmp_path / "marks.csv",
            results=results,
            model=name,
        )


def test_of_many_faces_some_are_shown_those_with_marks_and_suspicious_labels_first(
    project, tmp_path, monkeypatch
):
    monkeypatch.setattr(opening, "MOST_FACES", 10)
    whole = json.loads(open_page(project, tmp_path / "none.csv", features="mean_color").page)
    suspicious = [
        row
        for row, at in zip(
            whole["rows"],
            next(one for one in whole["targets"] if one["name"] == "gender")["suspicion"],
            strict=True,
        )
        if at
    ]
    data = Manifest.load(project.folder.manifest)
    face = data.table.iloc[59]
    write_marks(tmp_path / "marks.csv", [Mark(face["face_id"], face["image_path"], "exclude")])
    page = open_page(project, tmp_path / "marks.csv")
    read = json.loads(page.page)
    assert len(read["rows"]) == 10
    assert read["n_all"] == 60
    assert read["rows"] == sorted(read["rows"])
    assert {59, *suspicious[:9]} <= set(read["rows"])
    assert "shows 10 faces, drawn at random" in page.notes[0]
    other = next(row for row in range(60) if row not in read["rows"])
    assert page.thumbnail(other) is None
    assert page.neighbours(other) is None
    others = open_page(project, tmp_path / "marks.csv", seed=1)  # are drawn with another seed
    assert json.loads(others.page)["rows"] != read["rows"]


def test_an_excluded_face_is_shown_while_it_has_its_mark(project, tmp_path):
    data = fk.Dataset.load(project.folder.manifest)
    face = data.table.iloc[7]
    table = data.table.assign(reason=data.table["reason"].where(data.table.index != 7, "excluded"))
    left = Manifest(table, data.root, data.info)
    rows = json.loads(opening.explore(project.folder, left, tmp_path / "marks.csv").page)["rows"]
    assert 7 not in rows
    write_marks(tmp_path / "marks.csv", [Mark(face["face_id"], face["image_path"], "exclude")])
    rows = json.loads(opening.explore(project.folder, left, tmp_path / "marks.csv").page)["rows"]
    assert 7 in rows


def test_the_page_knows_the_features_of_each_model_and_whether_it_was_asked_for(project, tmp_path):
    read = json.loads(open_page(project, tmp_path / "marks.csv").page)
    assert [one["features"] for one in read["targets"]] == [read["features"]] * 2
    assert read["asked"] is False
    asked = open_page(project, tmp_path / "marks.csv", model="logistic_regression")
    assert json.loads(asked.page)["asked"] is True


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"features": "vgg61"}, UnknownNameError, "Unknown backbone 'vgg61'"),
        (
            {"features": "vgg16"},
            WorkspaceError,
            "vgg16:.* has not been extracted|vgg16 has not been extracted",
        ),
        ({"method": "tsne"}, UnknownNameError, "Unknown method 'tsne'"),
        (
            {"seed": 0},
            WorkspaceError,
            "seed 0 has no effect: .* draws no random numbers for these 60",
        ),
        ({"model": "svn"}, UnknownNameError, "Unknown model of these results 'svn'"),
    ],
)
def test_what_is_asked_wrongly_is_one_line(project, tmp_path, options, error, said):
    with pytest.raises(error, match=said):
        open_page(project, tmp_path / "marks.csv", **options)


def test_a_file_that_cannot_have_marks_is_refused_at_once(project, tmp_path):
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(ManifestError, match="is not a table of marks"):
        open_page(project, tmp_path / "other.csv")
    with pytest.raises(WorkspaceError, match="is a folder"):
        open_page(project, tmp_path / "folder.csv")
    with pytest.raises(WorkspaceError, match=r"written to a \.csv file"):
        open_page(project, tmp_path / "marks.txt")


def test_without_usable_faces_there_is_no_page(project, tmp_path):
    data = fk.Dataset.load(project.folder.manifest)
    none = Manifest(data.table.assign(reason="no_label"), data.root, data.info)
    with pytest.raises(EmbeddingError, match="None of the 60 faces that were found is used"):
        opening.explore(project.folder, none, tmp_path / "marks.csv")


def test_the_command_says_what_is_missing(featurekit, prepared, one_line_error):
    one_line_error(featurekit("explore"), "No extraction has been completed", "featurekit extract")
    one_line_error(featurekit("explore", "--name", "gone"), "gone")


@pytest.fixture
def one_line_error():
    def check(result, *parts):
        code, _, errors = result
        assert code == 1
        assert errors.count("\n") == 1
        assert errors.startswith("error: ")
        assert all(part in errors for part in parts)

    return check


def test_the_command_ends_well_with_ctrl_c_and_says_where_the_marks_are(project, tmp_path):
    words = ("-w", str(project.folder.root), "explore", "--output", str(tmp_path / "marks.csv"))
    command = subprocess.Popen(
        [sys.executable, str(ROOT / "cli.py"), *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert command.stdout is not None
    first = command.stdout.readline()
    assert first.startswith("60 faces are shown at http://127.0.0.1:")
    address = first.split()[-1]
    with urllib.request.urlopen(address, timeout=20) as answer:
        assert b"<title>Faces</title>" in answer.read()
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(address.rsplit("/", 2)[0] + "/", timeout=20)
    body = json.dumps({"version": "", "marks": [{"row": 0, "mark": "exclude"}]}).encode()
    sent = urllib.request.Request(address + "marks.json", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(sent, timeout=20) as answer:
        assert json.load(answer)["marks"] == 1
    command.send_signal(signal.SIGINT)
    output, errors = command.communicate(timeout=20)
    assert command.returncode == 0, errors
    assert f"Ended. 1 mark is in {tmp_path / 'marks.csv'}" in output
    assert "prepare DATASET PATH --marks" in output
    assert errors == ""
    assert len(read_marks(tmp_path / "marks.csv")) == 1
