"""The examples in the help: each can be typed, and each does its work on a data set."""

import inspect
import re
import shlex
import shutil
from pathlib import Path

import pandas as pd
import pytest
import typer

from featurekit.cli.app import app
from featurekit.data.marks import Mark, write_marks
from featurekit.networks import weights

# Examples that are parsed only, and why they are not run.
NOT_RUN = {
    "featurekit extract --detector insightface_scrfd --detector-weights scrfd_10g.onnx": "a file to download",
    "featurekit fit --model multitask_cnn --features mobilenet_v2 --epochs 6,12": "minutes of training",
    'featurekit ensemble "*--dlib_age--svm" "*--multitask_cnn" --weighted': "needs the run above",
    "featurekit explain models/gender--finetuned_cnn photo.jpg --output maps": "minutes of training",
    "featurekit export models/gender--finetuned_cnn gender.onnx": "minutes of training",
    "featurekit explain models/gender--dlib_age--svm photos/ --average --output maps": (
        "a minute of maps; tests/inference/test_explain.py runs it on fewer faces"
    ),
    "featurekit embeddings map --features dlib_age --method umap --label age_group --output umap.png": (
        "half a minute, in which UMAP is compiled"
    ),
    "featurekit prepare table people.csv --root s3://bucket/photos": "tests/cli/test_buckets.py has a bucket",
    "featurekit predict s3://bucket/photos --output s3://bucket/ages.parquet": "a bucket, as above",
    "featurekit report --output s3://bucket/utkface.html --xlsx": "a bucket, as above",
    "featurekit extract --executor ray --address local": "Ray starts; tests/embeddings/test_ray.py runs it",
    "featurekit fit --model svm --model random_forest --executor ray --address local": (
        "Ray starts; tests/evaluation/test_ray_fits.py runs it"
    ),
    "featurekit predict photos/ --executor ray --address local --output predictions/": (
        "Ray starts; tests/cli/test_cluster.py runs it"
    ),
    "featurekit explore": "serves a page until it is stopped; tests/explore runs it",
    "featurekit explore --features dlib_age --model svm --output marks.csv": (
        "serves a page until it is stopped; tests/explore runs it"
    ),
    "featurekit report --pdf": "needs a browser; tests/cli/test_report.py runs it with a made-up one",
    "featurekit weights fetch builtin": "uses the network",
    "featurekit weights add ~/Downloads/resnet50-0676ba61.pth": "a file to download",
    "featurekit weights add timm:resnet18 resnet18.safetensors": "a file to download",
    "featurekit weights add onnx:mine mine.onnx --input-size 112 --mean 0.5 --std 0.5 --template arcface": (
        "a file of the user's own"
    ),
    "featurekit weights verify": "hashes every weight file of this machine",
    "featurekit doctor": "its exit code depends on this machine",
}
# What a user has done before the command of an example.
BEFORE = {
    "audit": ["featurekit extract --backbone dlib_age --backbone mobilenet_v2"],
    "embeddings": ["featurekit extract --backbone dlib_age --backbone mobilenet_v2"],
    "ensemble": ["featurekit fit --model xgboost --features dlib_age --target gender --target age"],
    "report": [
        f"featurekit fit --name {name} --target gender --target age --features dlib_age"
        " --model logistic_regression"
        for name in ("utkface-june", "utkface-july")
    ],
    "explain": [
        "featurekit extract --backbone dlib_age --backbone pixels",
        "featurekit fit --name utkface-july --target gender --features dlib_age --model logistic_regression",
    ],
    "log-mlflow": ["featurekit fit --name utkface --model majority --target gender --no-models"],
}


def _commands(of: typer.Typer, *path: str):
    for command in of.registered_commands:
        yield (*path, command.name), inspect.getdoc(command.callback)
    for group in of.registered_groups:
        yield from _commands(group.typer_instance, *path, group.name)


def examples():
    """Every example, in the order of the commands in the help."""
    return [
        line.removeprefix("Example:").strip()
        for path, text in _commands(app)
        for line in text.splitlines()
        if re.match(rf"(Example:|  ) ?featurekit {' '.join(path)}(?= |$)", line.rstrip())
    ]


def words_of(example):
    """Return the words of a command as a shell passes them on."""
    words = []
    for typed in re.findall(r'(?:"[^"]*"|\S)+', example)[1:]:
        [word] = shlex.split(typed)
        word = str(Path(word).expanduser()) if word.startswith("~") else word
        is_pattern = '"' not in typed and "*" in typed
        words += (sorted(map(str, Path().glob(word))) or [word]) if is_pattern else [word]
    return words


def test_every_command_has_an_example_and_every_exception_is_one():
    found = examples()
    assert len(found) > 35
    assert all(any(f"{' '.join(path)}" in one for one in found) for path, _ in _commands(app))
    assert set(NOT_RUN) <= set(found)


@pytest.mark.parametrize("example", examples())
def test_every_example_can_be_typed(example):
    command, words = typer.main.get_command(app), words_of(example)
    while hasattr(command, "commands"):
        command = command.commands[words.pop(0)]
    with command.make_context("featurekit", words) as context:  # refuses unknown options and arguments
        assert context.command is command


@pytest.mark.slow
@pytest.mark.weights
@pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")  # MLflow's, not ours
def test_every_example_does_its_work(featurekit, tmp_path, monkeypatch):
    _put_data_sets(tmp_path)
    monkeypatch.setenv("FEATUREKIT_HOME", str(weights.home()))
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    for name in ("photos", "holiday", "photo.jpg", "people.csv", "faces.csv", "marks.csv"):
        (tmp_path / "work" / name).symlink_to(tmp_path / name)
    done = set()
    for example in [one for one in examples() if one not in NOT_RUN]:
        command = example.split()[1]
        for earlier in () if command in done else BEFORE.get(command, ()):
            assert featurekit(*words_of(earlier))[0] == 0, earlier
        done.add(command)
        if example.startswith("featurekit cache merge"):
            for number in (1, 2, 3):  # workspaces in which vectors were extracted, too
                shutil.copytree("cache", f"part{number}/cache", dirs_exist_ok=True)
        code, _, errors = featurekit(*words_of(_with_a_key(example, featurekit)))
        assert code == 0, f"{example}\n{errors}"


def _with_a_key(example, featurekit):
    """Return an example with a key of this cache in the place of a made-up one."""
    if "0123456789abcdef" not in example:
        return example
    lines = [line.split("\t") for line in featurekit("cache", "ls")[1].splitlines()]
    return example.replace("0123456789abcdef", next(line[2] for line in lines if "mobilenet" in line[1]))


def _put_data_sets(folder: Path):
    """Write made-up data sets as the examples name them."""
    from featurekit.data.datasets import DATASETS

    raw = DATASETS["synthetic"].read(folder / "data" / "adience", n_subjects=64, n_pictures=1)
    rows = []
    for name in ("photos", "holiday", "data/UTKFace"):
        (folder / name).mkdir(parents=True)
    for number, row in enumerate(raw.table.itertuples()):
        subject, file = f"s{number}", f"s{number}_0.png"
        years = int(re.match(r"\d+", row.age_group)[0]) + 1
        labels = f"{years}_{int(row.gender == 'female')}_0_{number:08}"
        for copy in (folder / "photos" / file, folder / "data" / "UTKFace" / f"{labels}.jpg"):
            shutil.copy(raw.root / row.image_path, copy)
        beard, hair = ("yes", "no")[number % 2], ("none", "dark", "fair")[number % 3]
        rows.append([file, subject, years, row.gender, beard, hair, "0 0 200 200"])
    columns = ["file", "person", "years", "sex", "beard", "hair", "box"]
    table = pd.DataFrame(rows, columns=columns)
    table.to_csv(folder / "people.csv", index=False)
    table.columns = ["image_path", "subject_id", "age", "gender", *columns[4:]]
    table.to_csv(folder / "faces.csv", index=False)
    write_marks(folder / "marks.csv", [Mark("gone.jpg", "gone.jpg", "exclude")])
    shutil.copy(folder / "photos" / "s0_0.png", folder / "photo.jpg")
    shutil.copy(folder / "photos" / "s1_0.png", folder / "holiday" / "beach.png")
