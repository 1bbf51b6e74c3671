"""The code of README and of the page on Python runs, word for word, with synthetic portraits."""

import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import featurekit as fk
from featurekit.data.targets import AGE_GROUP

ROOT = Path(__file__).parents[2]


def first_block(page):
    return re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL)[0]


BLOCK, README_BLOCK = first_block("docs/how_to/python.md"), first_block("README.md")


@pytest.fixture(scope="module")
def portraits(tmp_path_factory):
    """Synthetic portraits under the names that UTKFace gives its files, and their labels."""
    folder = tmp_path_factory.mktemp("portraits")
    drawn = fk.load_dataset(
        "synthetic", folder / "drawn", n_subjects=40, n_pictures=2, project=folder, progress=False
    )
    (folder / "UTKFace").mkdir()
    rows = []
    years = dict(zip(AGE_GROUP.classes, AGE_GROUP.years, strict=True))
    for number, row in enumerate(drawn.table.itertuples()):
        name = f"{years[row.age_group][0] + 1}_{int(row.gender == 'female')}_0_{10**10 + number}.jpg.chip.jpg"
        shutil.copyfile(drawn.root / row.image_path, folder / "UTKFace" / name)
        rows.append((str(folder / "UTKFace" / name), row.gender, row.subject_id))
    return folder, pd.DataFrame(rows, columns=["path", "gender", "subject"])


@pytest.fixture
def here(portraits, tmp_path, monkeypatch):
    """A folder as the block expects it: UTKFace, a photo, a folder of photos, and a kept comparison."""
    folder, table = portraits
    shutil.copytree(folder / "UTKFace", tmp_path / "UTKFace")
    shutil.copyfile(table["path"][0], tmp_path / "photo.jpg")
    (tmp_path / "folder").mkdir()
    shutil.copyfile(table["path"][1], tmp_path / "folder" / "another.jpg")
    shutil.copytree(ROOT / "reports" / "utkface-builtin", tmp_path / "reports" / "utkface-builtin")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FEATUREKIT_WORKSPACE", raising=False)
    return tmp_path, table


def run(block, table):
    """Run the block as a notebook's cell would, and return what it defined."""
    names = {
        "paths": table["path"].to_list(),
        "labels": table["gender"].to_numpy(),
        "people": table["subject"].to_numpy(),
    }
    exec(compile(block, "the block", "exec"), names)
    return names


@pytest.mark.slow
@pytest.mark.weights
def test_the_lines_of_readme_print_a_table_like_the_one_below_them(here, capsys):
    _, table = here
    names = run(README_BLOCK, table)
    shown = re.findall(r"```text\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)[0]
    printed = capsys.readouterr().out
    assert printed.splitlines()[0].split() == shown.splitlines()[0].split()
    models = [sorted(line.split()[0] for line in text.splitlines()) for text in (printed, shown)]
    assert models[0] == models[1]
    assert names["model"].predict(["photo.jpg"])["status"].tolist() == ["ok"]


@pytest.mark.slow
@pytest.mark.weights
def test_the_block_runs_word_for_word(here):
    """Without the weights of dlib_face, a smaller network is in its place."""
    from featurekit.networks import weights

    folder, table = here
    names = run(BLOCK if weights.present("dlib_face") else BLOCK.replace("dlib_face", "dlib_gender"), table)
    frame = names["results"].frame()
    assert {"svm", "xgboost", "LogisticRegression", "majority"} <= set(frame["model"])
    assert np.isfinite(frame["accuracy"]).all()
    assert (folder / "report.html").is_file()
    assert (folder / "models" / "gender" / "model.json").is_file()
    assert names["X"].vectors.shape[0] == len(names["data"])
    answers = fk.load_model("models/gender").predict(["photo.jpg", "folder/"])
    assert answers["status"].tolist() == ["ok", "ok"]
    assert set(answers["gender"]) <= {"female", "male"}
