"""Photographs and the cache in a bucket, through the command line and the functions."""

import io
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import featurekit as fk
from featurekit.cache.store import Store
from featurekit.data.manifest import Manifest
from featurekit.errors import EngineError, ManifestError, ModelError, WorkspaceError
from featurekit.files import read_file
from featurekit.inference.table import TableFile
from featurekit.urls import Bucket, UrlPath, place_of

SECRET = re.compile("hunter2", re.IGNORECASE)
EXTRACT = ("extract", "--backbone", "mean_color", "--detector", "whole_image")
TABLE = ("--column", "image_path=file", "--column", "subject_id=person", "--column", "age=years")
PLACES = ["in_memory", pytest.param("s3", marks=pytest.mark.slow)]


@pytest.fixture(params=PLACES)
def bucket(request):
    return request.getfixturevalue(request.param)


def upload(folder, to):
    for path in sorted(folder.iterdir()):
        Bucket(to.scheme).create(to / path.name, path.read_bytes())


@pytest.fixture
def run(featurekit):
    """Run a command that must succeed, and see that it shows no secret."""

    def done(*arguments, code=0):
        found, output, errors = featurekit(*arguments)
        assert found == code, output + errors
        assert not SECRET.search(output + errors)
        assert "Traceback" not in errors
        return output + errors

    return done


@pytest.fixture
def only_in_the_bucket(bucket, portraits):
    """The table of the made-up pictures; the pictures themselves are in a bucket alone."""
    upload(portraits / "photos", bucket / "photos")
    shutil.rmtree(portraits / "photos")
    return portraits / "people.csv"


def vectors_of(workspace):
    project = fk.Project(workspace)
    return fk.embed(
        fk.Dataset.load(project.folder.manifest),
        "mean_color",
        detector="whole_image",
        project=project,
        progress=False,
    ).vectors


def assert_no_secret_below(folder):
    for path in folder.rglob("*"):
        if path.is_file():
            assert not SECRET.search(path.read_bytes().decode(errors="replace")), path


# ---------------------------------------------------------------- the cache


def test_a_cache_in_a_bucket_is_named_once_and_has_the_bits_of_a_local_one(run, prepared, bucket, tmp_path):
    run("--cache", bucket / "cache", *EXTRACT)
    work = tmp_path / "work"
    assert json.loads((work / "cache.json").read_text()) == {"cache": str(bucket / "cache")}
    assert not list((work / "cache").rglob("*.safetensors"))
    assert "24" in run("cache", "ls")
    assert "2 cache files" in run("cache", "verify")
    run("cache", "gc")
    assert_no_secret_below(work)
    theirs = vectors_of(work)
    shutil.copytree(work, tmp_path / "local")
    (tmp_path / "local" / "cache.json").unlink()
    assert theirs.tobytes() == vectors_of(tmp_path / "local").tobytes()
    in_bucket, local = (
        {path.name: data for path, data in shards_of(place)}
        for place in (bucket / "cache", tmp_path / "local" / "cache")
    )
    assert in_bucket == local


def shards_of(place):
    storage = Store(place)._storage
    return [(path, storage.read(path)) for path in storage.files(place) if path.suffix == ".safetensors"]


def test_a_second_extraction_and_another_workspace_read_no_image(run, prepared, bucket, tmp_path):
    run("--cache", bucket / "cache", *EXTRACT)
    shutil.copytree(tmp_path / "work", tmp_path / "other", ignore=shutil.ignore_patterns("cache*"))
    shutil.rmtree(prepared / "photos")
    run(*EXTRACT)
    other = fk.Project(tmp_path / "other", cache=str(bucket / "cache"))
    data = fk.Dataset.load(other.folder.manifest)
    X = fk.embed(data, "mean_color", detector="whole_image", project=other, progress=False)
    assert X.extraction.n_read == 0
    assert len(X.vectors) == 24


def test_models_are_compared_on_a_cache_in_a_bucket(run, prepared, bucket, tmp_path):
    run("--cache", bucket / "cache", *EXTRACT)
    how = ("--model", "logistic_regression", "--features", "mean_color", "--folds", "2", "--target", "gender")
    run("fit", *how, "--name", "faces")
    run("report", "--name", "faces")
    text = (tmp_path / "work" / "reports" / "faces" / "report.md").read_text()
    assert "logistic_regression" in text
    assert str(bucket) not in text
    assert_no_secret_below(tmp_path / "work")


def test_a_subject_is_purged_from_a_bucket(run, prepared, bucket, tmp_path):
    run("--cache", bucket / "cache", *EXTRACT)
    manifest = Manifest.load(tmp_path / "work" / "manifest.csv")
    theirs = manifest.table["content"][manifest.table["subject_id"] == "s3"]
    output = run("cache", "purge", "--subject", "s3")
    assert "Nothing of subject s3 is left" in output
    storage = Store(bucket / "cache")._storage
    for path in storage.files(bucket):
        data = storage.read(path)
        assert not any(bytes.fromhex(content) in data or content.encode() in data for content in theirs), path
    assert {shelf.rows for shelf in Store(bucket / "cache").shelves()} == {21}


def test_a_damaged_file_in_a_bucket_is_moved_aside_and_computed_again(run, prepared, bucket, tmp_path):
    run("--cache", bucket / "cache", *EXTRACT)
    before = vectors_of(tmp_path / "work")
    (path, data), *_ = shards_of(bucket / "cache" / "embeddings")
    Bucket(bucket.scheme)._files.pipe_file(str(path), data[:-1] + bytes([data[-1] ^ 1]))
    assert "It was moved aside" in run("cache", "verify", code=1)
    run(*EXTRACT)
    assert vectors_of(tmp_path / "work").tobytes() == before.tobytes()


def test_another_place_is_refused_while_rows_would_stay_behind(run, prepared, in_memory, tmp_path):
    run(*EXTRACT)
    with pytest.raises(WorkspaceError, match="a purge would not find what is left there"):
        fk.Project(tmp_path / "work", cache=str(in_memory / "cache"))
    assert not (tmp_path / "work" / "cache.json").exists()
    one = fk.Project(tmp_path / "two", cache=str(in_memory / "cache"))
    Bucket("memory").create(in_memory / "cache" / "faces" / "0" / "x", b"")
    with pytest.raises(WorkspaceError, match=r"is in memory://bucket/cache"):
        fk.Project(tmp_path / "two", cache=str(in_memory / "elsewhere"))
    assert fk.Project(tmp_path / "two").folder.cache == one.folder.cache == in_memory / "cache"


@pytest.mark.parametrize("mistake", ["--help", "--bogus", "no manifest"])
def test_a_mistyped_place_that_nothing_was_stored_in_is_replaced(featurekit, run, bucket, mistake, tmp_path):
    wrong = bucket.parent / "tpyo" / "cache"
    record = tmp_path / "work" / "cache.json"
    featurekit("--cache", wrong, "extract", *([mistake] if mistake != "no manifest" else []))
    assert record.exists() == (mistake == "no manifest")
    run("--cache", bucket / "cache", "cache", "ls")
    assert json.loads(record.read_text()) == {"cache": str(bucket / "cache")}


def test_a_place_that_cannot_be_read_is_not_replaced(run, in_memory, tmp_path, monkeypatch):
    """It may have rows."""

    def denied(*_):
        raise PermissionError(13, "access is denied", "x")

    fk.Project(tmp_path / "work", cache=in_memory / "cache")
    monkeypatch.setattr(Bucket, "listed", denied)
    said = run("--cache", in_memory / "elsewhere", "cache", "ls", code=1)
    assert "The cache of this workspace is in memory://bucket/cache" in said


def test_leftovers_in_a_bucket_are_purged(run, prepared, in_memory, tmp_path):
    run("--cache", in_memory / "cache", *EXTRACT)
    manifest = Manifest.load(tmp_path / "work" / "manifest.csv")
    content = manifest.table["content"][manifest.table["subject_id"] == "s3"].iloc[0]
    left = in_memory / "cache" / "faces" / ".x.safetensors.999999999-1.tmp"
    Bucket("memory").create(left, bytes.fromhex(content))
    assert "unfinished files" in run("cache", "purge", "--subject", "s3")
    with pytest.raises(FileNotFoundError):
        Bucket("memory").signature(left)


def test_a_cache_may_be_another_folder_of_this_machine(run, prepared, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run("--cache", "shared", *EXTRACT)
    monkeypatch.chdir("/")
    assert list((tmp_path / "shared").rglob("*.safetensors"))
    assert "24" in run("cache", "ls")
    assert "Nothing of subject s3 is left" in run("cache", "purge", "--subject", "s3")
    assert {shelf.rows for shelf in Store(tmp_path / "shared").shelves()} == {21}


@pytest.mark.parametrize("text", ["{", "[]", '{"cache": 3}', '{"cache": "ftp://host/x"}'])
def test_a_damaged_record_of_the_place_is_one_line(run, tmp_path, text):
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "cache.json").write_text(text)
    assert "cache.json is damaged" in run("cache", "ls", code=1)


# ---------------------------------------------------------------- photographs


def test_photographs_in_a_bucket_give_the_bits_of_those_in_a_folder(
    run, prepare_table, portraits, bucket, tmp_path
):
    prepare_table()
    run(*EXTRACT)
    upload(portraits / "photos", bucket / "photos")
    shutil.move(tmp_path / "work", tmp_path / "local")
    local = vectors_of(tmp_path / "local")
    shutil.rmtree(portraits / "photos")
    run("prepare", "table", portraits / "people.csv", "--root", bucket / "photos", *TABLE)
    table = Manifest.load(tmp_path / "work" / "manifest.csv")
    assert table.root == bucket / "photos"
    assert table.table["content"].equals(Manifest.load(tmp_path / "local" / "manifest.csv").table["content"])
    run("--cache", bucket / "cache", *EXTRACT)
    assert vectors_of(tmp_path / "work").tobytes() == local.tobytes()
    assert_no_secret_below(tmp_path / "work")


def test_a_second_preparation_reads_only_what_has_changed(
    run, only_in_the_bucket, bucket, monkeypatch, tmp_path
):
    prepare = ("prepare", "table", only_in_the_bucket, "--root", bucket / "photos", *TABLE)
    run(*prepare)
    read, real = [], Bucket.read
    monkeypatch.setattr(
        Bucket, "read", lambda self, path, *more: read.append(path) or real(self, path, *more)
    )
    run(*prepare)
    assert read == []
    changed = bucket / "photos" / "s0_0.png"
    Bucket(bucket.scheme)._files.pipe_file(
        str(changed), real(Bucket(bucket.scheme), bucket / "photos/s0_1.png")
    )
    output = run(*prepare)
    assert read == [changed]
    assert "duplicate" in output


def test_a_photograph_that_has_changed_since_is_not_used(run, only_in_the_bucket, bucket):
    run("prepare", "table", only_in_the_bucket, "--root", bucket / "photos", *TABLE)
    files = Bucket(bucket.scheme)
    files._files.pipe_file(str(bucket / "photos" / "s0_0.png"), files.read(bucket / "photos" / "s0_1.png"))
    files.delete(bucket / "photos" / "s7_2.png")
    output = run("--cache", bucket / "cache", *EXTRACT, code=1)
    assert "s0_0.png was not read: changed since `featurekit prepare`" in output
    assert "s7_2.png was not read: No such file or directory" in output


def test_rows_of_missing_files_and_of_files_outside_have_their_reasons(only_in_the_bucket, bucket, tmp_path):
    Bucket(bucket.scheme).create(bucket / "secret.png", b"hunter2")
    frame = pd.DataFrame(
        {
            "file": [
                "s0_0.png",
                "nothing.png",
                "../secret.png",
                "/etc/passwd",
                "",
                str(bucket / "photos/s1_0.png"),
            ],
            "sex": ["female"] * 6,
        }
    )
    data = fk.Dataset.from_frame(
        frame,
        images="file",
        labels={"gender": "sex"},
        root=str(bucket / "photos"),
        project=tmp_path / "work",
        progress=False,
    )
    reasons = ["", "missing_file", "outside_root", "outside_root", "no_path", ""]
    assert data.table["reason"].to_list() == reasons
    assert data.table["image_path"].iloc[5] == "s1_0.png"


def test_an_empty_file_of_a_bucket_is_an_empty_image(run, only_in_the_bucket, bucket):
    files = Bucket(bucket.scheme)
    files._files.pipe_file(str(bucket / "photos" / "s0_0.png"), b"")
    run("prepare", "table", only_in_the_bucket, "--root", bucket / "photos", *TABLE)
    assert "'s0_0.png' is empty" in run("--cache", bucket / "cache", *EXTRACT)
    with pytest.raises(OSError, match="has more than 10 bytes"):
        read_file(bucket / "photos" / "s0_1.png", 10)


@pytest.mark.parametrize("given", ["path", "url"])
def test_an_image_is_purged_by_its_path_or_its_url(run, only_in_the_bucket, bucket, tmp_path, given):
    run("prepare", "table", only_in_the_bucket, "--root", bucket / "photos", *TABLE)
    output = run("--cache", bucket / "cache", *EXTRACT)
    assert f"note: Faces and vectors are stored in {bucket}/cache." in output
    index = (tmp_path / "work" / "cache" / "files.sqlite").read_bytes()
    content = Manifest.load(tmp_path / "work" / "manifest.csv").table["content"].iloc[3]
    assert content.encode() in index
    image = "s1_0.png" if given == "path" else bucket / "photos" / "s1_0.png"
    output = run("cache", "purge", "--image", image)
    assert f"Nobody else may run cache gc or cache purge on {bucket}/cache" in output
    assert "Nothing of image" in output
    index = (tmp_path / "work" / "cache" / "files.sqlite").read_bytes()
    assert content.encode() not in index
    assert b"s1_0.png" not in index
    assert {shelf.rows for shelf in Store(bucket / "cache").shelves()} == {23}
    assert Bucket(bucket.scheme).signature(bucket / "photos" / "s1_0.png")  # the file itself stays


def test_a_folder_of_a_bucket_without_files_is_one_line(run, only_in_the_bucket, bucket):
    said = run("prepare", "table", only_in_the_bucket, "--root", bucket / "nowhere", *TABLE, code=1)
    assert f"error: There are no files in {bucket}/nowhere" in said


@pytest.mark.slow
def test_a_bucket_that_is_not_there_is_one_line(run, portraits, s3):
    said = run("prepare", "table", portraits / "people.csv", "--root", "s3://nobodys/photos", *TABLE, code=1)
    assert said == "error: Cannot read s3://nobodys/photos: there is no such bucket.\n"


def test_a_server_that_stops_answering_makes_no_row_unusable(
    only_in_the_bucket, bucket, tmp_path, monkeypatch
):
    def gone(*_):
        raise TimeoutError(110, "the server cannot be reached, or stopped answering", "x")

    monkeypatch.setattr(Bucket, "read", gone)
    with pytest.raises(ManifestError, match="the server cannot be reached"):
        fk.load_dataset(
            "table",
            only_in_the_bucket,
            root=str(bucket / "photos"),
            columns={"image_path": "file", "age": "years"},
            project=tmp_path / "work",
            progress=False,
        )
    assert not (tmp_path / "work" / "manifest.csv").exists()


def test_an_audit_finds_nearly_identical_images_of_a_bucket(run, portraits, in_memory, tmp_path):
    for path in sorted((portraits / "photos").iterdir())[:2]:
        Image.open(path).resize((48, 48)).save(path.with_stem(f"{path.stem}_small"))
    upload(portraits / "photos", in_memory / "photos")
    run("prepare", "image_folder", portraits, "--option", "target=place")
    here = near_duplicates(run, tmp_path)
    run("prepare", "image_folder", in_memory, "--option", "target=place")
    assert near_duplicates(run, tmp_path) == here


def near_duplicates(run, tmp_path):
    run("audit")
    (path,) = (tmp_path / "work").rglob("audit.json")
    findings = json.loads(path.read_text())["findings"]
    (found,) = [one for one in findings if one["name"] == "near_duplicates"]
    assert found["details"]["pairs"]["compared"] > 0
    return found


def test_folders_and_file_names_are_labels_in_a_bucket_too(run, portraits, in_memory, tmp_path):
    files = sorted((portraits / "photos").iterdir())
    for number, path in enumerate(files[:6]):
        data, label = path.read_bytes(), ("female", "male")[number % 2]
        name = f"{20 + number}_{number % 2}_0_2017010917421{number:04}.jpg.chip.jpg"
        Bucket(in_memory.scheme).create(in_memory / "folders" / label / path.name, data)
        Bucket(in_memory.scheme).create(in_memory / "utkface" / "UTKFace" / name, data)
    for name in (".hidden.png", "notes.txt", "raw.cr2"):
        Bucket(in_memory.scheme).create(in_memory / "folders" / name, b"x")
    said = run("prepare", "image_folder", in_memory / "folders")
    assert "not images: 1 (1 .txt, for example 'notes.txt')" in said
    assert "raw camera files, which have to be exported as JPEG: 1" in said
    assert "hidden files and folders: 1" in said
    manifest = Manifest.load(tmp_path / "work" / "manifest.csv")
    assert manifest.table["gender"].tolist() == ["female"] * 3 + ["male"] * 3
    run("prepare", "utkface", in_memory / "utkface")
    manifest = Manifest.load(tmp_path / "work" / "manifest.csv")
    assert manifest.table["age"].tolist() == [20, 21, 22, 23, 24, 25]
    assert manifest.usable.all()
    run(*EXTRACT)


def test_adience_in_a_bucket_is_read_as_in_a_folder(run, in_memory, tmp_path):
    folder = tmp_path / "adience"
    header = "user_id\toriginal_image\tface_id\tage\tgender\n"
    for fold in range(5):
        row = f"u{fold}\tphoto{fold}.jpg\t{fold}\t(25, 32)\tf\n"
        image = folder / f"faces/u{fold}/coarse_tilt_aligned_face.{fold}.photo{fold}.jpg"
        image.parent.mkdir(parents=True)
        Image.new("RGB", (16, 16), (fold, 0, 0)).save(image)
        (folder / f"fold_{fold}_data.txt").write_text(header + row)
    run("prepare", "adience", folder)
    here = Manifest.load(tmp_path / "work" / "manifest.csv")
    for path in sorted(folder.rglob("*.*")):
        if path.is_file():
            Bucket(in_memory.scheme).create(in_memory / path.relative_to(folder), path.read_bytes())
    run("prepare", "adience", in_memory)
    pd.testing.assert_frame_equal(Manifest.load(tmp_path / "work" / "manifest.csv").table, here.table)


def test_made_up_portraits_are_written_to_this_machine_only(run, in_memory):
    said = run("prepare", "synthetic", "memory://bucket/photos", code=1)
    assert said == (
        "error: memory://bucket/photos is in a bucket, and this can only use files and folders of this"
        " machine. Copy the files to a folder of this machine first.\n"
    )


def test_a_table_in_a_bucket_is_read_with_the_images_beside_it(run, portraits, bucket, tmp_path):
    upload(portraits / "photos", bucket)
    Bucket(bucket.scheme).create(bucket / "people.csv", (portraits / "people.csv").read_bytes())
    (portraits / "people.csv").unlink()
    run("prepare", "table", bucket / "people.csv", *TABLE)
    manifest = Manifest.load(tmp_path / "work" / "manifest.csv")
    assert manifest.root == bucket
    assert manifest.usable.all()
    said = run("prepare", "table", bucket / "nobody.csv", *TABLE, code=1)
    assert said == f"error: {bucket}/nobody.csv cannot be read as a table: No such file or directory\n"


# ---------------------------------------------------------------- models and outputs


def test_a_model_in_a_bucket_predicts_as_the_one_in_a_folder_does(run, prepared, bucket, tmp_path):
    run(*EXTRACT)
    model = ("--model", "logistic_regression", "--features", "mean_color", "--folds", "2")
    run("fit", *model, "--target", "gender")
    (folder,) = (tmp_path / "work" / "models").glob("*logistic_regression*")
    upload(folder, bucket / "models" / folder.name)
    url = bucket / "models" / folder.name
    image = prepared / "photos" / "s0_0.png"
    assert (
        run("predict", image, "--model", url).splitlines()[-1]
        == (run("predict", image, "--model", folder).splitlines()[-1])
    )
    theirs, ours = fk.load_model(str(url)), fk.load_model(folder)
    pd.testing.assert_frame_equal(theirs.predict([image]), ours.predict([image]))
    files = Bucket(bucket.scheme)
    files._files.pipe_file(str(url / "README.md"), b"edited")
    assert "was edited" in run("predict", image, "--model", url, code=1)
    assert "is not a saved model" in run("predict", image, "--model", bucket / "nothing", code=1)


def test_a_project_is_a_folder_of_this_machine(in_memory):
    with pytest.raises(WorkspaceError, match="A project must be a folder of this machine, not s3://b/work"):
        fk.Project("s3://b/work")


PREDICT = ("predict", "--faces", "center", "--model")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """The folder of a model that needs no weights."""
    root = tmp_path_factory.mktemp("fitted")
    for number in range(12):
        Image.new("RGB", (16, 16), (255 * (number % 2), 10 * number, 0)).save(root / f"{number}.png")
    files = [f"{number}.png" for number in range(12)]
    table = pd.DataFrame({"file": files, "gender": ["female", "male"] * 6})
    how = {"project": root / "work", "progress": False}
    data = fk.Dataset.from_frame(table, images="file", subject="file", labels=["gender"], root=root, **how)
    X = fk.embed(data, "mean_color", detector="whole_image", **how)
    fk.evaluate(data, X, "logistic_regression", target="gender", folds=2, save_models=True, **how)
    (folder,) = (root / "work" / "models").glob("*logistic_regression*")
    return folder


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_images_and_predictions_may_be_in_a_bucket(run, prepared, model, bucket, tmp_path, ending):
    photos = prepared / "photos"
    run(*PREDICT, model, photos, "--output", tmp_path / f"here{ending}")
    upload(photos, bucket / "photos")
    output = bucket / "out" / f"ages{ending}"
    assert f"Wrote {output}" in run(*PREDICT, model, bucket / "photos", "--output", output)
    theirs, here = read_file(output, 2**20), (tmp_path / f"here{ending}").read_bytes()
    if ending == ".parquet":
        theirs, here = (pd.read_parquet(io.BytesIO(data)) for data in (theirs, here))
        theirs["photograph"] = [name.removeprefix(f"{bucket}/") for name in theirs["photograph"]]
        here["photograph"] = [name.removeprefix(f"{prepared}/") for name in here["photograph"]]
        pd.testing.assert_frame_equal(theirs, here)
    else:
        assert theirs.replace(str(bucket).encode(), b"") == here.replace(str(prepared).encode(), b"")
    assert [path.name for path in files_in(bucket / "out")] == [output.name]
    run(*PREDICT, model, bucket / "photos" / "s0_0.png", "--output", output)  # replaces it
    Bucket(bucket.scheme).replace(output, b"somebody's letter")
    said = run(*PREDICT, model, bucket / "photos", "--output", output, code=1)
    assert "exists and is not a table of predictions" in said
    assert read_file(output, 100) == b"somebody's letter"


@pytest.mark.parametrize("ending", [".csv", ".json", ".parquet"])
def test_a_table_that_is_not_finished_is_kept_under_another_name(bucket, ending):
    table = TableFile(bucket / f"ages{ending}")
    table.append(pd.DataFrame({"photograph": ["a.jpg"], "age": [3.0]}))
    table.append(pd.DataFrame({"photograph": ["b.jpg"], "age": [4.0]}))
    assert table.end() == bucket / f"ages{ending}.partial"
    assert [path.name for path in files_in(bucket)] == [f"ages{ending}.partial"]
    data = io.BytesIO(read_file(bucket / f"ages{ending}.partial", 2**20))
    read = {".csv": pd.read_csv, ".json": pd.read_json, ".parquet": pd.read_parquet}[ending]
    assert read(data)["age"].tolist() == [3.0, 4.0]


def files_in(folder):
    return Store(folder)._storage.files(folder)


def test_a_listing_in_a_bucket_names_images_anywhere(run, prepared, model, bucket):
    upload(prepared / "photos", bucket / "photos")
    lines = [str(bucket / "photos" / "s0_0.png"), str(prepared / "photos" / "s1_0.png")]
    lines += [str(bucket / "photos" / "gone.png")]
    Bucket(bucket.scheme).create(bucket / "list.txt", "\n".join(lines).encode())
    said = run(*PREDICT, model, "--listing", bucket / "list.txt", code=1)
    assert all(line in said for line in lines)
    assert "missing_file" in said
    assert "Cannot read the listing" in run(*PREDICT, model, "--listing", bucket / "none.txt", code=1)


def test_a_manifest_is_saved_to_a_bucket_and_lists_its_images(run, prepared, model, bucket, tmp_path):
    upload(prepared / "photos", bucket / "photos")
    run("prepare", "table", prepared / "people.csv", "--root", bucket / "photos", *TABLE)
    dataset = fk.Dataset.load(tmp_path / "work" / "manifest.csv")
    dataset.save(bucket / "manifest.csv")
    again = fk.Dataset.load(f"{bucket}/manifest.csv")
    pd.testing.assert_frame_equal(again.table, dataset.table)
    assert again.root == bucket / "photos"
    assert "s7_1.png" in run(*PREDICT, model, "--listing", bucket / "manifest.csv")
    with pytest.raises(ManifestError, match=f"There is no manifest at {bucket}/other.csv"):
        fk.Dataset.load(bucket / "other.csv")


def test_a_model_is_saved_to_a_bucket_and_replaced_there(prepared, model, bucket):
    ours, url = fk.load_model(model), bucket / "models" / model.name
    assert ours.save(str(url)) == url
    assert {path.name for path in files_in(url)} == {path.name for path in model.iterdir()}
    images = sorted((prepared / "photos").iterdir())
    pd.testing.assert_frame_equal(fk.load_model(str(url)).predict(images), ours.predict(images))
    ours.save(url)
    Bucket(bucket.scheme).create(bucket / "letters" / "a.txt", b"x")
    with pytest.raises(ModelError, match="letters contains other files"):
        ours.save(bucket / "letters")


def test_vectors_and_reports_are_written_to_a_bucket(run, prepared, in_memory, tmp_path):
    run(*EXTRACT)
    how = ("--model", "logistic_regression", "--features", "mean_color", "--folds", "2")
    run("fit", *how, "--target", "gender")
    run("cache", "export", "mean_color", in_memory / "vectors.npy")
    vectors = np.load(io.BytesIO(read_file(in_memory / "vectors.npy", 2**20)))
    assert vectors.tobytes() == vectors_of(tmp_path / "work").tobytes()
    run("report", "--output", in_memory / "report.html", "--model-card")
    run("report")
    here = next((tmp_path / "work" / "reports").rglob("report.html"))
    for name in ("report.html", "report.md"):
        assert read_file(in_memory / name, 2**24) == (here.parent / name).read_bytes()
    assert b"model-index" in read_file(in_memory / "model_card.md", 2**20)


@pytest.mark.slow
def test_an_output_that_cannot_be_written_is_one_line_before_an_image_is_read(run, prepared, model, s3):
    for output in ("s3://nowhere/out.csv", "s3://nowhere/out.parquet"):
        said = run(*PREDICT, model, prepared / "photos", "--output", output, code=1)
        assert said == f"error: Cannot read {output}: there is no such bucket.\n"
    assert "must end in" in run(*PREDICT, model, prepared / "photos", "--output", s3 / "out.xml", code=1)


# ---------------------------------------------------------------- workers


def test_workers_of_a_cluster_are_told_the_url_and_open_it(
    in_memory, settings, recipes, monkeypatch, tmp_path
):
    from featurekit.embeddings.executors import ray as library
    from featurekit.embeddings.job import Images, Job

    root = place_of("s3://bucket/photos")
    nothing = Images(np.zeros((0, 32), np.uint8), (), (), (), root)
    job = Job.of(nothing, recipes, settings, Store(in_memory / "cache"))
    with pytest.raises(EngineError, match="memory:// is the memory of one process"):
        library._said(job, threads=1)
    monkeypatch.setattr(library, "is_in_memory", lambda place: False)
    said = json.loads(json.dumps(library._said(job, threads=1)))
    assert (said["root"], said["cache"]) == ("s3://bucket/photos", "memory://bucket/cache")
    worker = library._RayWorker(said)
    assert worker._job.cache == in_memory / "cache"
    assert isinstance(worker._root, UrlPath)
    receipt = library.Receipt(
        rows=[0], unread=[], files=["faces/x.y"], n_detected=0, parts={}, achieved={}, machine="node-7"
    )
    monkeypatch.setattr(library, "_LATE", 0.0)
    with pytest.raises(
        WorkspaceError, match=r"node-7 has written faces/x.y, which is not in memory://bucket/cache"
    ):
        receipt.check(job, np.array([0]))
    Bucket("memory").create(in_memory / "cache" / "faces" / "x.y", b"")
    receipt.check(job, np.array([0]))


# The credentials are in the environment of the program and of its workers, and are not sent to them.
ON_A_CLUSTER = """
import sys
import featurekit as fk
import pandas as pd
table, bucket, folder = sys.argv[1:]
columns = {"image_path": "file", "subject_id": "person", "age": "years", "gender": "sex"}
how = {"project": f"{folder}/work", "progress": False}
data = fk.load_dataset("table", table, root=f"{bucket}/photos", columns=columns, **how)
vectors = []
for name, executor in (("alone", "local"), ("shared", fk.RayExecutor(address="local", workers=2))):
    how["project"] = fk.Project(f"{folder}/{name}", cache=f"{bucket}/{name}")
    X = fk.embed(data, "mean_color", detector="whole_image", executor=executor, **how)
    assert X.extraction.n_read == 24, X.extraction
    vectors.append(X.vectors.tobytes())
assert vectors[0] == vectors[1]
fk.evaluate(data, X, "logistic_regression", target="gender", folds=2, save_models=True, **how)
(model,) = (how["project"].folder.models).glob("*logistic_regression*")
fk.load_model(model).save(f"{bucket}/model")
asked = {"choose": "center", "probabilities": True, "progress": False}
executor = fk.RayExecutor(address="local", workers=1)
for n_read in (24, 0):
    parts = fk.predict_in_parts(
        f"{bucket}/photos", f"{bucket}/parts", f"{bucket}/model", executor=executor, **asked
    )
    assert parts.n_read == n_read, parts
alone = fk.predict(f"{bucket}/photos", f"{bucket}/model", cache=False, **asked)
pd.testing.assert_frame_equal(parts.frame(), alone, check_exact=True)
"""


@pytest.mark.slow
def test_a_cluster_reads_and_writes_a_bucket_and_gives_the_bits_of_one_process(portraits, s3, tmp_path):
    pytest.importorskip("ray")
    upload(portraits / "photos", s3 / "photos")
    command = [sys.executable, "-c", ON_A_CLUSTER, portraits / "people.csv", str(s3), tmp_path]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=200)
    assert ran.returncode == 0, ran.stderr
    assert not SECRET.search(ran.stdout + ran.stderr)
    assert len(shards_of(s3 / "shared")) >= 2


@pytest.mark.slow
def test_helper_processes_read_photographs_of_a_bucket(run, s3, tmp_path, monkeypatch):
    """What a process is not told it finds in its environment, as this one does."""
    from featurekit.embeddings import extractor

    helped = []

    class Pool(extractor.HelperPool):
        def __init__(self, root, *given, **more):
            helped.append(root)
            super().__init__(root, *given, **more)

    monkeypatch.setattr(extractor, "HELPERS_FROM", 8)
    monkeypatch.setattr(extractor, "HelperPool", Pool)
    crowd = tmp_path / "crowd"
    crowd.mkdir()
    for number in range(12):
        Image.new("RGB", (8, 8), (20 * number, 0, 0)).save(crowd / f"{number}.png")
    upload(crowd, s3 / "crowd")
    rows = [f"{number}.png,s{number},female" for number in range(12)]
    Path(tmp_path / "crowd.csv").write_text("\n".join(["image_path,subject_id,gender", *rows]))
    run("prepare", "table", tmp_path / "crowd.csv", "--root", s3 / "crowd")
    run("--cache", s3 / "cache", *EXTRACT, "--threads", "2")
    assert helped == [s3 / "crowd"]
    assert {shelf.rows for shelf in Store(s3 / "cache").shelves()} == {12}
