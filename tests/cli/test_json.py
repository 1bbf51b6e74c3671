"""--json: each command that prints a table prints the same rows as one JSON document, and nothing else."""

import ast
import inspect
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from featurekit.cli import _output
from featurekit.cli._terminal import Cell
from featurekit.cli.app import app

ROOT = Path(__file__).parents[2]
MODEL = "gender--mean_color--logistic_regression"
FIT = "fit --model logistic_regression --target gender --folds 4"
# Every command with a table, in an order in which each has what it needs, and the keys of its first row.
TABLES = {
    "prepare table PEOPLE --root PHOTOS --column image_path=file --column subject_id=person"
    " --column age=years --column gender=sex": "what rows",
    "extract --backbone mean_color --backbone pixels --detector whole_image": "status rows meaning",
    FIT: "target synthetic features model accuracy",
    "ensemble *--logistic_regression *--majority": "target synthetic features model accuracy",
    "report": "target synthetic features model accuracy",
    "audit --no-images": "severity check count finding what to do",
    "predict PHOTOS/s0_0.png --model models/MODEL": "photograph face status",
    "explain models/MODEL PHOTOS/s0_0.png --output maps": "image face prediction method file",
    "list": "list name group what it is weights package",
    "doctor": "topic status finding",
    "weights list": "name here what it is licences file and source",
    "embeddings describe": "table Features Faces Length",
    "cache ls": "kind what key rows bytes damaged",
    "cache merge OTHER": "kind what key rows added files bytes",
    "cache purge --subject s0 --dry-run": "where would be removed of",
}


def commands(of: typer.Typer, *path: str):
    for command in of.registered_commands:
        yield " ".join((*path, command.name)), command.callback
    for group in of.registered_groups:
        yield from commands(group.typer_instance, *path, group.name)


def test_only_commands_with_a_table_have_the_option():
    with_option = {
        name for name, callback in commands(app) if "json" in inspect.signature(callback).parameters
    }
    assert with_option == {
        name for name, _ in commands(app) if any(f"{line} ".startswith(f"{name} ") for line in TABLES)
    }


def test_every_module_that_prints_a_table_has_the_option():
    """A new table without --json is found, wherever it is printed."""
    printing = ("print_table", "print_runs")
    for path in sorted((ROOT / "featurekit" / "cli").glob("[!_]*.py")):
        names = {node.id for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Name)}
        assert not names & set(printing) or "Json" in names, path.name


def plain(cell):
    """Return a text without what differs between a table and its values: case, lines and underscores."""
    return " / ".join(str(cell).splitlines()).casefold().replace("_", " ").strip()


def check_same_rows(text, document, command):
    lines = [list(map(plain, line.split("\t"))) for line in text.splitlines() if "\t" in line]
    tables = {(row.get("target"), row.get("list"), row.get("table")) for row in document}
    assert len(lines) == len(document) + len(tables), command
    rest = iter(lines)
    for row in document:
        said = {
            plain(value)
            for key, value in row.items()
            if isinstance(value, str) and key not in ("target", "list", "table")
        }
        # PROBLEM in a pipe, and a time that has passed
        said -= {"missing", "wrong", "error"}
        assert any(said <= set(line) for line in rest), (command, row)


def test_the_document_has_the_rows_of_the_table(featurekit, portraits, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("featurekit.ops.doctor.LIBRARIES", {"numpy": "numpy", "no_such": "no-such"})
    (tmp_path / "other").mkdir()
    places = {"PEOPLE": "people.csv", "PHOTOS": "photos", "MODEL": MODEL, "OTHER": "other"}
    found = {}
    for command, keys in TABLES.items():
        words = command
        for word, path in places.items():
            words = words.replace(word, path)
        if command.startswith("cache merge"):
            shutil.copytree(tmp_path / "work" / "cache", tmp_path / "other" / "cache")
        _, text, _ = featurekit(*words.split())
        code, output, errors = featurekit(*words.split(), "--json")
        assert code == 0 or command == "doctor", errors
        document = json.loads(output)
        assert " ".join(document[0]).startswith(keys), command
        check_same_rows(text, document, command)
        found[command.split(" --")[0]] = document
    assert found["extract"] == [{"status": "ok", "rows": 24, "meaning": "a face was found"}]
    assert {row["accuracy"]["mean"] for row in found["fit"]} == {1.0, 0.25}
    assert found["predict PHOTOS/s0_0.png"][0]["gender"] == "male"
    assert found["predict PHOTOS/s0_0.png"][0]["message"] is None
    assert [row["status"] for row in found["doctor"] if row["topic"] == "no_such"] == ["missing"]
    assert {row["list"] for row in found["list"]} == {
        *("backbones", "fitted_features", "models", "detectors", "datasets", "checks")
    }


def test_notes_and_the_next_command_go_to_the_other_stream(featurekit, extracted):
    _, output, errors = featurekit(*FIT.split(), "--json")
    assert json.loads(output)
    assert "Next: featurekit" in errors


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("fit --json", 1),
        ("report --compare a b --json", 1),
        ("list nothing --json", 1),
        ("list --jsn", 2),
        ("cache verify --json", 2),
    ],
)
def test_a_command_that_fails_before_its_table_prints_none(featurekit, prepared, command, code):
    ended, output, errors = featurekit(*command.split())
    assert (ended, output) == (code, "")
    assert errors


def test_the_profile_is_beside_the_document(featurekit, prepared):
    asked = ("extract", "--backbone", "mean_color", "--detector", "whole_image", "--profile", "--json")
    _, output, errors = featurekit(*asked)
    assert [row["status"] for row in json.loads(output)] == ["ok"]
    assert "share of the threads' time" in errors


def test_an_image_that_cannot_be_read_is_a_row_and_an_error(featurekit, extracted, tmp_path):
    featurekit(*FIT.split())
    (tmp_path / "broken.jpg").write_bytes(b"nonsense")
    code, output, errors = featurekit(
        "predict", tmp_path / "broken.jpg", "--model", f"models/{MODEL}", "--json"
    )
    (row,) = json.loads(output)
    assert code == 1
    assert (row["status"], row["gender"], row["gender_probability"]) == ("undecodable", None, None)
    assert "error: " in errors


def test_a_value_is_what_json_can_hold():
    import numpy as np

    values = [
        Cell(np.int64(3), "3"),
        Cell(np.float32("nan"), ""),
        float("inf"),
        "",
        None,
        Path("a/b"),
        "é\udce9",
    ]
    kept = [_output._value_of(value) for value in values]
    assert kept[:5] == [3, None, None, None, None]
    assert json.loads(json.dumps(kept, default=str))[5:] == ["a/b", "é\udce9"]


def test_a_reader_that_has_read_enough_gets_no_traceback():
    command = [sys.executable, ROOT / "cli.py", "weights", "list", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        process.stdout.close()
        (line,) = process.stderr.read().splitlines()
    assert line.startswith("Weight files are kept in ")
