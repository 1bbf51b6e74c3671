"""A person who is to be forgotten is gone from the whole workspace, and nobody else is touched."""

import errno
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pandas as pd
import pytest

from featurekit.cache.file_index import FileIndex
from featurekit.cache.store import Store
from featurekit.checks.audit import Audit
from featurekit.data.manifest import Manifest
from featurekit.data.marks import Mark, read_marks, write_marks
from featurekit.embeddings.extractor import extract
from featurekit.embeddings.index import Ledger
from featurekit.embeddings.recipe import make_recipes, row_keys
from featurekit.embeddings.vectors import load_embeddings
from featurekit.errors import ManifestError, StoreError, UnknownNameError, WorkspaceError
from featurekit.files import write_text
from featurekit.findings import Finding
from featurekit.ops import places
from featurekit.ops.purge import look, purge
from featurekit.ops.traces import find_traces
from featurekit.project import ProjectFolder
from tests.ops.made_up import everything_in

FIT = ("fit", "--model", "logistic_regression", "--target", "gender", "--folds", "4", "--no-models")
MINE = [f"s3_{picture}.png" for picture in range(3)]


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """Where the workspace is kept that every test takes a copy of."""
    return tmp_path_factory.mktemp("kept") / "work"


@pytest.fixture
def workspace(kept, featurekit, request, tmp_path, monkeypatch):
    """Eight made-up people whose faces, vectors and crops are remembered, and one comparison."""
    if kept.exists():
        shutil.copytree(kept, tmp_path / "work")
        return ProjectFolder(tmp_path / "work")
    monkeypatch.setattr(FileIndex, "PEACE", 0)  # the photographs are new
    request.getfixturevalue("prepare_table")()
    for backbone in ("mean_color", "pixels"):
        code, _, errors = featurekit("extract", "--backbone", backbone, "--detector", "whole_image")
        assert code == 0, errors
    code, _, errors = featurekit(*FIT)
    assert code == 0, errors
    folder = tmp_path / "work"
    write_text(
        folder / "reports" / "table" / "audit_rows.csv",
        "finding,face_id\nlabel_suspects,s3_1.png\nlabel_suspects,s4_0.png\n",
    )
    shutil.copytree(folder, kept)
    return ProjectFolder(folder)


def photographs_of(workspace):
    return Manifest.load(workspace.manifest).root


def vectors_of(workspace):
    """Return face_id → feature → the bytes of its vector."""
    manifest = Manifest.load(workspace.manifest)
    ledger = Ledger.load(workspace.cache / "extracted.json")
    found = {}
    for feature, recipe in ledger.recipes.items():
        embeddings = load_embeddings(manifest, [recipe], ledger.settings, Store(workspace.cache))
        for face_id, vector in zip(embeddings.face_ids, embeddings.vectors, strict=True):
            found.setdefault(str(face_id), {})[feature] = vector.tobytes()
    return found


def key_of(workspace, face_id):
    table = Manifest.load(workspace.manifest).table
    return bytes.fromhex(table.set_index("face_id")["content"][face_id])


def predictions_of(workspace):
    return {path.name: pd.read_parquet(path) for path in workspace.report("table").glob("predictions/*")}


# ---------------------------------------------------------------- what goes, what stays


def test_no_byte_of_a_persons_vectors_or_keys_is_left_and_others_are_equal_to_the_last_bit(
    featurekit, workspace
):
    before = vectors_of(workspace)
    needles = {face_id: [*before[face_id].values(), key_of(workspace, face_id)] for face_id in before}
    for face_id in needles:
        needles[face_id].append(needles[face_id][-1].hex().encode())
    files = everything_in(workspace.cache).values()
    assert all(any(needle in data for data in files) for own in needles.values() for needle in own)
    photographs = everything_in(photographs_of(workspace))
    code, output, errors = featurekit("cache", "purge", "--subject", "s3")
    assert code == 0, errors
    assert "Nothing of subject s3 is left in the cache, the manifest" in output
    files = everything_in(workspace.root).values()
    assert not [own for own in MINE for needle in needles[own] if any(needle in data for data in files)]
    after = vectors_of(workspace)
    assert after == {face_id: vectors for face_id, vectors in before.items() if face_id not in MINE}
    assert everything_in(photographs_of(workspace)) == photographs
    assert "image files themselves are not deleted" in output


def test_what_went_is_counted_place_by_place(featurekit, workspace):
    output = featurekit("cache", "purge", "--subject", "s3")[1]
    lines = [line.split("\t") for line in output.splitlines()]
    counts = {line[0].partition(" (")[0].rpartition("/")[0] or line[0]: line[1:] for line in lines[1:]}
    assert counts["manifest.csv"] == ["3", "rows"]
    assert counts["cache/faces"] == ["3", "rows"]
    assert [line[1] for line in lines if line[0].startswith("cache/embeddings/")] == ["3", "3"]
    assert ["cache/files.sqlite", "3", "files"] in lines
    assert ["reports/table/folds.json", "3", "rows"] in lines
    assert ["reports/table/predictions", "6", "rows"] in lines  # of the model and of the floor
    assert ["reports/table/audit_rows.csv", "1", "rows"] in lines


def test_a_later_extract_and_fit_work_and_do_not_bring_the_person_back(featurekit, workspace):
    key = key_of(workspace, MINE[0])
    assert featurekit("cache", "purge", "--subject", "s3")[0] == 0
    assert featurekit("extract", "--detector", "whole_image", "--backbone", "mean_color")[0] == 0
    code, _, errors = featurekit(*FIT)  # in the same comparison, on folds that are otherwise what they were
    assert code == 0, errors
    assert not any(key in data for data in everything_in(workspace.cache).values())
    assert not set(MINE) & {face for table in predictions_of(workspace).values() for face in table["face_id"]}
    assert featurekit("report")[0] == 0
    assert featurekit("cache", "verify")[0] == 0


def test_predictions_folds_and_audit_keep_everybody_else_as_they_were(featurekit, workspace):
    folder = workspace.report("table")
    before, folds = predictions_of(workspace), json.loads((folder / "folds.json").read_text())
    assert featurekit("cache", "purge", "--subject", "s3")[0] == 0
    for name, table in predictions_of(workspace).items():
        others = before[name][~before[name]["face_id"].isin(MINE)].reset_index(drop=True)
        pd.testing.assert_frame_equal(table, others)
    after = json.loads((folder / "folds.json").read_text())
    fold_of = dict(zip(folds["face_ids"], folds["numbers"], strict=True))
    assert after["face_ids"] == [face_id for face_id in folds["face_ids"] if face_id not in MINE]
    assert after["numbers"] == [fold_of[face_id] for face_id in after["face_ids"]]
    assert (folder / "audit_rows.csv").read_text() == "finding,face_id\nlabel_suspects,s4_0.png\n"


def test_the_marks_of_a_subject_go_too(featurekit, workspace):
    marks = [Mark(name, name, "exclude", note="s3") for name in ("s3_1.png", "s4_0.png")]
    write_marks(workspace.marks, marks)
    assert featurekit("cache", "purge", "--subject", "s3")[0] == 0
    assert read_marks(workspace.marks) == marks[1:]


def test_a_photograph_goes_alone_however_its_path_is_written(featurekit, workspace, monkeypatch):
    folder = photographs_of(workspace)
    monkeypatch.chdir(folder.parent)
    for image in ("s3_0.png", folder / "s3_1.png", f"{folder.name}/s3_2.png"):
        assert featurekit("cache", "purge", "--image", image)[0] == 0
    left = set(vectors_of(workspace))
    assert len(left) == 21
    assert not left & set(MINE)


def test_several_persons_and_photographs_go_at_once(featurekit, workspace):
    named = ("--subject", "s3", "--subject", "s4", "--image", "s5_0.png")
    code, output, _ = featurekit("cache", "purge", *named)
    assert code == 0
    assert "Nothing of subject s3, subject s4, image s5_0.png is left" in output
    assert len(vectors_of(workspace)) == 24 - 7


def test_what_another_row_needs_stays_and_is_said(featurekit, workspace):
    """Two people on one photograph: the rows have the same file."""
    manifest = Manifest.load(workspace.manifest)
    row = manifest.table.iloc[[9]].assign(face_id="also", subject_id="s9")
    replace(manifest, table=pd.concat([manifest.table, row], ignore_index=True)).save(workspace.manifest)
    assert manifest.table["subject_id"].iloc[9] == "s3"
    shutil.rmtree(workspace.root / "reports")
    before, key = vectors_of(workspace), key_of(workspace, "also")
    code, output, _ = featurekit("cache", "purge", "--subject", "s3")
    assert code == 0
    assert "The cached data of s3_0.png are kept" in output
    assert vectors_of(workspace)["also"] == before["also"]
    photograph = photographs_of(workspace) / "s3_0.png"
    with FileIndex(workspace.cache / "files.sqlite") as index:
        assert index.named([photograph], []) == 1
    assert any(key in data for data in everything_in(workspace.cache / "faces").values())
    code, output, _ = featurekit("cache", "purge", "--subject", "s9")
    assert code == 0
    assert "stays" not in output
    with FileIndex(workspace.cache / "files.sqlite") as index:
        assert index.named([photograph], []) == 0
    assert not any(key in data for data in everything_in(workspace.cache).values())


def test_a_face_in_a_box_is_found_by_the_key_that_it_has_there(workspace, manifest, settings):
    """Where a box says which face is meant, a face is not remembered by the photograph alone."""
    boxed = replace(settings, choose="box")
    table = manifest.table.assign(box="0 0 40 48")
    manifest = replace(manifest, table=table)
    manifest.save(workspace.manifest)
    recipes = make_recipes(["mean_color"], boxed, device="cpu")
    extract(manifest, recipes, boxed, Store(workspace.cache))
    mine = row_keys(manifest, boxed)[table["subject_id"] == "s3"]
    shelf = Store(workspace.cache).shelf("faces", boxed.recipe())
    assert len(shelf.missing(mine)) == 0
    purge(workspace, find_traces(workspace, ["s3"], []))
    shelf.refresh()
    assert len(shelf.missing(mine)) == 3
    assert len(shelf) == 21


def test_a_page_that_shows_faces_is_deleted_and_one_that_shows_nobody_stays(featurekit, workspace):
    (workspace.report("shown")).mkdir()
    (workspace.report("shown") / "report.html").write_text("<p><img src='data:'></p>")
    (workspace.report("table") / "report.html").write_text("<p><svg></svg></p>")
    output = featurekit("cache", "purge", "--subject", "s3")[1]
    assert "reports/shown/*.html\t1\treport pages that show faces" in output
    assert not (workspace.report("shown") / "report.html").exists()
    assert (workspace.report("table") / "report.html").exists()


def test_what_has_learned_is_named_and_not_called_clean(featurekit, workspace):
    write_text(workspace.models / "gender--svm" / "model.json", "{}")
    write_text(workspace.cache / "training" / "0123.safetensors", "")
    output = featurekit("cache", "purge", "--subject", "s3")[1]
    assert "models (1), training checkpoints (1), runs (2). A fitted model cannot forget" in output
    assert "fit again" in output


def test_damaged_and_unfinished_files_go_too_since_they_may_hold_anybody(featurekit, workspace):
    shard = next((workspace.cache / "embeddings").glob("*/*.safetensors"))
    left = shard.with_name(f".{shard.name}.999999999.tmp")
    left.write_bytes(shard.read_bytes())
    data = bytearray(shard.read_bytes())
    data[-1] ^= 1
    shard.write_bytes(data)
    output = featurekit("cache", "purge", "--subject", "s3")[1]
    assert "cache\t1\tdamaged shards" in output
    assert "all folders\t1\tunfinished files" in output
    assert not left.exists()
    assert not list(workspace.cache.rglob("quarantine/*"))


def test_nothing_is_removed_while_somebody_writes(featurekit, workspace):
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as writer:
        (workspace.cache / f".extracted.json.{writer.pid}-1.tmp").touch()
        before = vectors_of(workspace)
        code, _, errors = featurekit("cache", "purge", "--subject", "s3")
        writer.communicate(b"\n")
    assert code == 1
    assert f"Process {writer.pid} is writing" in errors
    assert vectors_of(workspace) == before
    assert featurekit("cache", "purge", "--subject", "s3")[0] == 0


def test_faces_of_an_earlier_manifest_are_counted_since_nobody_knows_whose_they_are(featurekit, workspace):
    manifest = Manifest.load(workspace.manifest)
    replace(manifest, table=manifest.table[:-2]).save(workspace.manifest)
    assert (
        "holds 2 faces that belong to no row of the manifest"
        in featurekit("cache", "purge", "--subject", "s3")[1]
    )


def test_persons_whom_an_identical_file_has_joined_are_pointed_out(featurekit, prepare_table, portraits):
    (portraits / "photos" / "s5_0.png").write_bytes((portraits / "photos" / "s4_0.png").read_bytes())
    prepare_table()
    assert "that share an identical file" in featurekit("cache", "purge", "--subject", "s4", "--dry-run")[1]
    assert "that share an identical" not in featurekit("cache", "purge", "--subject", "s3", "--dry-run")[1]


# ---------------------------------------------------------------- what is refused


def test_a_dry_run_says_what_would_go_and_changes_nothing(featurekit, workspace):
    before = everything_in(workspace.root)
    code, output, _ = featurekit("cache", "purge", "--subject", "s3", "--dry-run")
    assert code == 0
    assert everything_in(workspace.root) == before
    assert "manifest.csv\t3\trows" in output
    assert f"image: {photographs_of(workspace) / 's3_0.png'}" in output
    assert "Nothing of" not in output
    wet = featurekit("cache", "purge", "--subject", "s3")[1]
    assert [line for line in wet.splitlines() if "\t" in line][1:] == [
        line for line in output.splitlines() if "\t" in line
    ][1:]


@pytest.mark.parametrize(
    ("named", "message"),
    [
        (("--subject", "s33"), "Unknown subject 's33'. Did you mean 's3'? Known: s0, s1,"),
        (("--image", "s3_9.png"), "Unknown image 's3_9.png'. Did you mean 's3_"),
        ((), "No subject and no image is given."),
    ],
)
def test_somebody_unknown_is_one_line_and_nothing_goes(featurekit, workspace, named, message):
    before = everything_in(workspace.root)
    code, _, errors = featurekit("cache", "purge", *named)
    assert code == 1
    assert message in errors
    assert len(errors.splitlines()) == 1
    assert everything_in(workspace.root) == before


def test_of_many_subjects_a_message_lists_a_few(workspace):
    manifest = Manifest.load(workspace.manifest)
    many = pd.concat([manifest.table.assign(face_id=f"{i}" + manifest.table["face_id"]) for i in range(9)])
    many["subject_id"] = [f"p{number}" for number in range(len(many))]
    replace(manifest, table=many).save(workspace.manifest)
    with pytest.raises(UnknownNameError, match=r"Did you mean 'p26'\? Known: p0, p1, .* and 211 more\.$"):
        find_traces(workspace, ["p216"], [])


def test_where_nobody_is_named_a_photograph_must_be(workspace):
    manifest = Manifest.load(workspace.manifest)
    replace(manifest, table=manifest.table.assign(subject_id="")).save(workspace.manifest)
    with pytest.raises(UnknownNameError, match=r"has no subjects\. Name images with --image"):
        find_traces(workspace, ["s3"], [])


def test_the_last_person_is_not_purged_but_the_folder_deleted(workspace):
    named = [f"s{number}" for number in range(8)]
    with pytest.raises(ManifestError, match="Delete the whole folder"):
        find_traces(workspace, named, [])


def test_what_could_not_be_removed_is_said_and_is_an_error(featurekit, workspace, monkeypatch):
    monkeypatch.setattr(Store, "forget", lambda self, shelf, keys: None)
    code, output, errors = featurekit("cache", "purge", "--subject", "s3")
    assert code == 1
    assert "Some data of subject s3 could not be removed: 3 rows in cache/embeddings/" in errors
    assert "Nothing of" not in output
    monkeypatch.undo()
    purge(workspace, find_traces(workspace, ["s3"], []))  # known although the manifest has them no more


def test_a_hash_in_a_file_of_unknown_format_is_found_by_its_bytes(workspace):
    (workspace.cache / "faces" / "notes").write_bytes(b"--" + key_of(workspace, "s3_1.png") + b"--")
    with pytest.raises(WorkspaceError, match=r"a hash in .*notes"):
        purge(workspace, find_traces(workspace, ["s3"], []))


@pytest.mark.parametrize("closed", ["cache/faces", "cache/embeddings", "reports", "models"])
def test_a_folder_that_may_not_be_looked_into_is_refused_before_anything_goes(
    featurekit, workspace, monkeypatch, closed
):
    """Whoever is in there would not be forgotten."""
    (workspace.root / "models").mkdir(exist_ok=True)
    before, scan = everything_in(workspace.root), os.scandir

    def scandir(path="."):
        if str(path).endswith(closed):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", scandir)
    code, _, errors = featurekit("cache", "purge", "--subject", "s3")
    monkeypatch.undo()
    assert code == 1
    assert "Permission denied" in errors
    assert errors.count("\n") == 1
    assert everything_in(workspace.root) == before


def test_a_damaged_comparison_is_refused_before_anything_goes(featurekit, workspace):
    next(workspace.report("table").glob("predictions/*")).write_bytes(b"no table")
    before = everything_in(workspace.root)
    code, _, errors = featurekit("cache", "purge", "--subject", "s3")
    assert code == 1
    assert "contains no predictions" in errors
    assert everything_in(workspace.root) == before


def test_the_index_keeps_no_byte_of_what_a_file_was_called_or_held_before(tmp_path, monkeypatch):
    monkeypatch.setattr(FileIndex, "PEACE", 0)
    open_index = FileIndex._open

    def careless(self):  # as SQLite comes, but on some systems
        database = open_index(self)
        database.execute("PRAGMA secure_delete = OFF")
        return database

    monkeypatch.setattr(FileIndex, "_open", careless)
    photo, earlier = tmp_path / "photo_of_s3.png", tmp_path / "photo_of_s3_too.png"
    others = [tmp_path / f"{number}.png" for number in range(50)]
    path = tmp_path / "files.sqlite"
    for picture in (photo, earlier, *others):
        picture.write_bytes(picture.name.encode())
    with FileIndex(path) as index:
        hashes = [index.content_of(picture) for picture in (photo, earlier, *others)]
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA secure_delete = OFF")
        database.execute("DELETE FROM files_1 WHERE sha256 = ?", (hashes[1],))
    database.close()
    mine = [one.encode() for one in (*hashes[:2], "photo_of_s3")]
    assert all(one in path.read_bytes() for one in mine)
    with FileIndex(path) as index:
        assert index.named([photo], []) == index.named([], [hashes[0]]) == 1
        index.forget([photo], [])
        assert index.known(photo) is None
        assert [index.known(other) for other in others] == hashes[2:]
    assert not [one for one in mine if one in path.read_bytes()]


def test_an_index_that_another_process_holds_is_refused(workspace):
    with FileIndex(workspace.cache / "files.sqlite") as index:
        FileIndex.PATIENCE, before = 0.1, FileIndex.PATIENCE
        try:
            with FileIndex(workspace.cache / "files.sqlite") as other:
                holder = sqlite3.connect(workspace.cache / "files.sqlite")
                holder.execute("BEGIN EXCLUSIVE")
                with pytest.raises(StoreError, match="Stop all other programs"):
                    other.forget([Path("a")], [])
                holder.close()
        finally:
            FileIndex.PATIENCE = before
        assert index.named([], []) == 0


# ---------------------------------------------------------------- a kill


class KilledError(BaseException):
    """The process was killed here."""


class Kill:
    """Lets so many renames and removals happen; from then on nothing does, as after a kill."""

    def __init__(self, monkeypatch, after):
        self.done, self.after = 0, after
        for where, name in ((Path, "replace"), (Path, "unlink"), (shutil, "rmtree")):
            monkeypatch.setattr(where, name, self._counted(getattr(where, name)))

    def _counted(self, change):
        def counted(*arguments, **options):
            if self.done == self.after:
                raise KilledError
            self.done += 1
            return change(*arguments, **options)

        return counted


@pytest.mark.slow
def test_a_purge_that_was_killed_anywhere_loses_nothing_of_others_and_is_run_again(
    workspace, tmp_path, monkeypatch
):
    expected = {face_id: vectors for face_id, vectors in vectors_of(workspace).items() if face_id not in MINE}
    needles = [key_of(workspace, face_id) for face_id in MINE]
    needles += [vector for own in MINE for vector in vectors_of(workspace)[own].values()]
    quarantine = next((workspace.cache / "faces").iterdir()) / "quarantine"
    quarantine.mkdir()
    (quarantine / "damaged").write_bytes(needles[0])
    (workspace.report("table") / "report.html").write_text("<img>")
    killed = 0
    while True:
        copy = ProjectFolder(tmp_path / f"copy{killed}")
        shutil.copytree(workspace.root, copy.root)
        with monkeypatch.context() as patched:
            Kill(patched, after=killed)
            try:
                purge(copy, find_traces(copy, ["s3"], []))
                break
            except KilledError:
                pass
        now = vectors_of(copy)
        assert {face_id: now[face_id] for face_id in expected} == expected
        purge(copy, find_traces(copy, ["s3"], []))
        assert vectors_of(copy) == expected
        left = everything_in(copy.root)
        assert not [path for path, data in left.items() for needle in needles if needle in data]
        assert not (copy.root / "purge.json").exists()
        shutil.rmtree(copy.root)
        killed += 1
    assert killed > 15


def test_a_killed_purge_is_finished_by_the_next_one_of_somebody_else(workspace, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(places, "_write_predictions", lambda path, table: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            purge(workspace, find_traces(workspace, ["s3"], []))
    assert any(set(MINE) & set(table["face_id"]) for table in predictions_of(workspace).values())
    assert purge(workspace, find_traces(workspace, ["s4"], [])).who == "subject s3, subject s4"
    assert not any(set(MINE) & set(table["face_id"]) for table in predictions_of(workspace).values())


def test_the_manifests_rows_go_before_the_vectors(workspace, monkeypatch):
    """An extraction between a kill and the next purge must not bring a person back."""
    with monkeypatch.context() as patched:
        patched.setattr(Store, "forget", lambda self, shelf, keys: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            purge(workspace, find_traces(workspace, ["s3"], []))
    assert "s3" not in set(Manifest.load(workspace.manifest).table["subject_id"])


def test_looking_twice_gives_the_same(workspace):
    traces = find_traces(workspace, ["s3"], [])
    assert asdict(look(workspace, traces)) == asdict(look(workspace, traces))


def test_a_face_id_with_a_carriage_return_leaves_the_audit_too(tmp_path):
    ids = ("a\rb", "=1+1", "c")
    finding = Finding(name="class_balance", severity="note", count=3, of=3, what="Three.", rows=ids)
    Audit(findings=(finding,), folds="", features="", runs=(), seed=0).save(tmp_path)
    assert [n for n, _ in places._in_audit(tmp_path, {"a\rb", "=1+1"})] == [2]
    for _, remove in places._in_audit(tmp_path, {"a\rb"}):
        remove()
    assert [n for n, _ in places._in_audit(tmp_path, {"a\rb"})] == [0]
    assert [n for n, _ in places._in_audit(tmp_path, {"=1+1", "c"})] == [2]
