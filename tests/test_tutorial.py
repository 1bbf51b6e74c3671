"""docs/tutorial.ipynb is stored clean, runs, and says what the command line says."""

import json
import re

import nbformat
import pandas as pd
import pytest

import featurekit as fk
from tests.conftest import ROOT

NOTEBOOK = ROOT / "docs" / "tutorial.ipynb"
# How many portraits are drawn.
SIZES = ("n_subjects", "n_pictures")
# Of one processor, and no more than that on the clock where two are idle. Those of the clock say how busy the
# machine is with something else.
SECONDS_AT_MOST = 120
# What is kept of a run, to be compared: in a cell of its own, so that what a reader runs is run as it is.
KEEP = """
import json, os
results.frame(long=True).to_parquet("ranking.parquet")
kept = {**leak.mean(), "seconds": sum(os.times()[:4]), "statuses": X.statuses.value_counts().to_dict()}
Path("kept.json").write_text(json.dumps(kept))
"""


def read():
    return nbformat.read(NOTEBOOK, as_version=nbformat.NO_CONVERT)


def code_cells(tag=None):
    cells = [cell for cell in read().cells if cell.cell_type == "code"]
    return [cell for cell in cells if tag is None or tag in cell.metadata.get("tags", ())]


def test_the_notebook_is_valid_and_has_a_format_with_names_of_cells():
    notebook = read()
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) >= (4, 5)
    assert len({cell.id for cell in notebook.cells}) == len(notebook.cells)


def test_the_notebook_is_stored_without_what_a_run_leaves_in_it():
    assert [cell.id for cell in code_cells() if cell.outputs or cell.execution_count is not None] == []
    # Neither times of execution, nor what an editor remembers, nor which Python it was.
    assert [cell.id for cell in read().cells if set(cell.metadata) - {"tags"}] == []
    assert read().metadata == {
        "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }


def test_the_notebook_names_no_place_of_the_machine_that_it_was_written_on():
    text = "\n".join(cell.source for cell in read().cells)
    # A path from the root or a drive, a home, an address.
    found = re.findall(r"(?<![\w.`*)/])/\w+/\S+|\b[A-Z]:\\\S*|~/\S*|\w+://\S+|\blocalhost\b", text)
    assert found == []


def test_the_tutorial_says_that_its_portraits_are_made_up():
    assert "made up" in read().cells[0].source
    assert "nothing about real faces" in read().cells[0].source


def test_the_readme_points_to_the_tutorial():
    assert "(docs/tutorial.ipynb)" in (ROOT / "README.md").read_text()


@pytest.fixture
def executed(tmp_path, monkeypatch):
    """The notebook after a kernel has run it below tmp_path."""
    from nbclient import NotebookClient

    for variable in ("TMPDIR", "IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR", "here"):
        (tmp_path / variable).mkdir()
        monkeypatch.setenv(variable, str(tmp_path / variable))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    notebook = read()
    notebook.cells.append(nbformat.v4.new_code_cell(KEEP))
    NotebookClient(
        notebook,
        timeout=5 * SECONDS_AT_MOST,
        kernel_name="python3",
        resources={"metadata": {"path": str(tmp_path / "here")}},
    ).execute()
    notebook.cells.pop()
    return notebook


def shown_as(cell):
    return {kind for output in cell.outputs for kind in output.get("data", ())}


@pytest.mark.slow
@pytest.mark.weights
def test_the_executed_tutorial_shows_what_the_command_line_computes(executed, tmp_path, featurekit):
    by_id = {cell.id: cell for cell in executed.cells}
    cells = [cell for cell in executed.cells if cell.cell_type == "code"]
    assert [cell.id for cell in cells if any(one.output_type == "error" for one in cell.outputs)] == []
    kept = json.loads((tmp_path / "here" / "kept.json").read_text())
    assert kept["seconds"] < SECONDS_AT_MOST
    assert kept["statuses"].keys() == {"ok", "missing_file", "truncated", "no_face"}
    assert sum(kept["statuses"].values()) - kept["statuses"]["ok"] == 3

    # Objects show themselves as tables, figures as pictures.
    for name in ("damage", "embed", "evaluate", "ranking", "differences", "slices", "fit", "sets"):
        assert "text/html" in shown_as(by_id[name]), name
    for name in ("find", "accuracy", "confusion", "calibration", "coverage", "explain-plot"):
        assert "image/png" in shown_as(by_id[name]), name
    # A cell has its result and no heap of states of a bar, and no warning but the two that are asked for.
    assert [cell.id for cell in cells if len(cell.outputs) > 3] == []
    told = {cell.id for cell in cells if any(one.get("name") == "stderr" for one in cell.outputs)}
    assert told == {"damage", "embed"}

    # The outputs that the documentation shows are of the same cells.
    stored = json.loads((ROOT / "docs" / "tutorial_outputs.json").read_text(encoding="utf-8"))
    shown = {
        cell.id: sum(one.get("data", {}).get("text/html") != "" for one in cell.outputs) for cell in cells
    }
    assert shown == {name: len(one["outputs"]) for name, one in stored.items()}

    # What the text says of the two kinds of split.
    assert kept["random split"] > kept["split by person"]

    (portraits,) = (tmp_path / "TMPDIR").glob("featurekit-tutorial-*/portraits")
    sizes = {}
    exec(code_cells("parameters")[0].source, sizes)
    drawn = [word for name in SIZES for word in ("-o", f"{name}={sizes[name]}")]
    models = ("svm", "logistic_regression", "sklearn.neighbors.KNeighborsClassifier")
    fit = ("fit", "--features", "dlib_age+dlib_gender", "--target", "gender", "--target", "age_group")
    for command in (
        ("prepare", "synthetic", portraits, *drawn),
        ("extract", "--backbone", "dlib_age", "--backbone", "dlib_gender"),
        (*fit, *(word for model in models for word in ("--model", model))),
    ):
        code, output, errors = featurekit(*command)
        assert code == 0, output + errors
    by_command = fk.load_results(tmp_path / "work" / "reports" / "synthetic").frame(long=True)
    in_notebook = pd.read_parquet(tmp_path / "here" / "ranking.parquet")
    assert set(in_notebook["model"]) >= {"svm", "logistic_regression", "KNeighborsClassifier", "majority"}
    order = ["run", "score", "rows"]
    pd.testing.assert_frame_equal(
        *(table.sort_values(order, ignore_index=True) for table in (by_command, in_notebook)),
        check_exact=True,
    )
    # Nothing is left where the notebook was started.
    assert sorted(path.name for path in (tmp_path / "here").iterdir()) == ["kept.json", "ranking.parquet"]
