"""An old comparison can be tried again: what is not as it was is said, and hides nothing else."""

import json
import shutil
from dataclasses import asdict

import numpy as np
import pytest
from PIL import Image

from featurekit.cache.store import Store
from featurekit.data.manifest import Manifest
from featurekit.embeddings.index import Ledger
from featurekit.embeddings.recipe import Recipe, row_keys
from featurekit.embeddings.worker import EmbeddedFace, Looker
from featurekit.errors import WeightsError, WorkspaceError
from featurekit.evaluation.provenance import versions
from featurekit.faces.face import Face
from featurekit.networks.backbones import BACKBONES, Backbone
from featurekit.ops import verify as verification
from featurekit.ops.verify import verify_run
from featurekit.project import ProjectFolder
from tests.ops.made_up import everything_in

FIT = ("fit", "--model", "logistic_regression", "--target", "gender", "--folds", "4", "--no-models")
EXTRACT = ("extract", "--backbone", "mean_color", "--detector", "whole_image")


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """Where the project is kept that every test takes a copy of."""
    return tmp_path_factory.mktemp("kept") / "project"


@pytest.fixture
def workspace(kept, featurekit, request, tmp_path):
    """Eight made-up people and one comparison; its photographs are the test's own."""
    if not kept.exists():
        request.getfixturevalue("prepare_table")()
        for command in (EXTRACT, FIT):
            code, _, errors = featurekit(*command)
            assert code == 0, errors
        kept.mkdir()
        for folder in ("work", "photos"):
            shutil.copytree(tmp_path / folder, kept / folder)
    else:
        shutil.copytree(kept, tmp_path, dirs_exist_ok=True)
        beside = tmp_path / "work" / "manifest.json"
        content = json.loads(beside.read_text())
        beside.write_text(json.dumps(content | {"root": str(tmp_path / "photos")}))
    return ProjectFolder(tmp_path / "work")


def verified(workspace, **options):
    manifest = Manifest.load(workspace.manifest)
    return verify_run(workspace.report("table"), manifest, workspace.cache, **options)


def flip_a_pixel(path):
    with Image.open(path) as picture:
        pixels = np.array(picture)
    pixels[5, 5, 0] ^= 1
    Image.fromarray(pixels).save(path)


def change_runs(workspace, change):
    for path in workspace.report("table").glob("runs/*.json"):
        content = json.loads(path.read_text())
        change(content)
        path.write_text(json.dumps(content))


def rewrite_shelf(workspace, change):
    """Put other vectors in the place of those remembered, in shards that are whole and rightly named."""
    ledger = Ledger.load(workspace.cache / "extracted.json")
    recipe = asdict(ledger.recipes["mean_color:mean"])
    shelf = Store(workspace.cache).shelf("embeddings", recipe)
    keys, columns = shelf.rows(), shelf.read(shelf.rows())
    shutil.rmtree(shelf.folder)
    columns["vectors"] = change(keys, columns["vectors"].copy())
    Store(workspace.cache).shelf("embeddings", recipe).append(keys, columns)


def key_of(workspace, face_id):
    manifest = Manifest.load(workspace.manifest)
    row = list(manifest.table["face_id"]).index(face_id)
    return row_keys(manifest, Ledger.load(workspace.cache / "extracted.json").settings)[row]


# ---------------------------------------------------------------- nothing has changed


def test_vectors_that_are_computed_again_are_equal_to_the_last_bit_and_nothing_is_written(
    featurekit, workspace
):
    before = everything_in(workspace.root)
    code, output, errors = featurekit("verify-run")
    assert code == 0, errors
    assert output.splitlines() == [
        "mean_color:mean: 16 of 16 faces have exactly the same vector as before.",
        "Images, recipes, weights, versions and hardware are the same as when the runs were made.",
    ]
    assert everything_in(workspace.root) == before


def test_the_seed_decides_which_faces_and_no_more_are_taken_than_there_are(workspace, monkeypatch):
    def looked_at(**options):
        seen = []
        look = Looker.__call__
        with monkeypatch.context() as patched:
            patched.setattr(
                Looker, "__call__", lambda looker, task: seen.append(task.row) or look(looker, task)
            )
            verified(workspace, **options)
        return seen

    assert looked_at(n=5, seed=1) == looked_at(n=5, seed=1)
    assert len(looked_at(n=5, seed=1)) == 5
    assert looked_at(n=5, seed=1) != looked_at(n=5, seed=2)
    assert looked_at(n=500) == list(range(24))


# ---------------------------------------------------------------- photographs


def test_a_photograph_with_one_other_pixel_is_named_and_hides_nothing(featurekit, workspace, tmp_path):
    flip_a_pixel(tmp_path / "photos" / "s2_1.png")
    code, output, _ = featurekit("verify-run", "--n", "24")
    assert code == 1
    assert "image of s2_1.png: changed since `featurekit prepare`" in output
    assert "mean_color:mean: 23 of 23 faces have exactly the same vector as before." in output


def test_a_photograph_that_is_gone_is_named_and_hides_nothing(workspace, tmp_path):
    (tmp_path / "photos" / "s2_1.png").unlink()
    (tmp_path / "photos" / "s6_0.png").unlink()
    found = verified(workspace, n=24)
    assert [face_id for face_id, _ in found.photographs] == ["s2_1.png", "s6_0.png"]
    assert "No such file" in found.photographs[0][1]
    assert (found.checked[0].n_faces, found.checked[0].differing) == (22, ())
    assert not found.is_equal


def test_a_changed_photograph_that_was_prepared_anew_has_no_vector_to_be_compared_with(
    featurekit, workspace, prepare_table_here, tmp_path
):
    flip_a_pixel(tmp_path / "photos" / "s2_1.png")
    prepare_table_here()
    (differing,) = verified(workspace, n=24).checked[0].differing
    assert differing.face_id == "s2_1.png"
    assert "its image has changed" in differing.why


@pytest.fixture
def prepare_table_here(featurekit, workspace, tmp_path):
    """Prepare the copied photographs again."""

    def prepare():
        table = Manifest.load(workspace.manifest).table
        lines = [
            f"{row.image_path},{row.subject_id},{row.age:.0f},{row.gender}" for row in table.itertuples()
        ]
        (tmp_path / "people.csv").write_text("\n".join(["file,person,years,sex", *lines]) + "\n")
        columns = ("image_path=file", "subject_id=person", "age=years", "gender=sex")
        named = [word for column in columns for word in ("--column", column)]
        where = (tmp_path / "people.csv", "--root", tmp_path / "photos")
        assert featurekit("prepare", "table", *where, *named)[0] == 0

    return prepare


def test_a_face_that_the_manifest_has_no_more_is_named(workspace):
    manifest = Manifest.load(workspace.manifest)
    without = Manifest(manifest.table[1:], manifest.root, manifest.info)
    found = verify_run(workspace.report("table"), without, workspace.cache, n=24)
    assert found.photographs == (("s0_0.png", "the face is no longer in the manifest"),)
    assert found.checked[0].n_faces == 23


# ---------------------------------------------------------------- vectors


def test_a_vector_that_was_changed_in_the_cache_is_found_with_how_far_it_is_off(featurekit, workspace):
    key = key_of(workspace, "s4_2.png")

    def change(keys, vectors):
        vectors[(keys == key).all(axis=1).argmax(), 0] += np.float32(0.25)
        return vectors

    rewrite_shelf(workspace, change)
    assert featurekit("cache", "verify")[0] == 0  # by its hash nothing is wrong
    (differing,) = verified(workspace, n=24).checked[0].differing
    assert differing.face_id == "s4_2.png"
    assert differing.largest == pytest.approx(0.25, rel=1e-3)
    code, output, _ = featurekit("verify-run", "--n", "24")
    assert code == 1
    assert "mean_color:mean: 23 of 24 faces have exactly the same vector as before." in output
    assert "mean_color:mean of s4_2.png: the vector differs by up to 0.25, " in output


def test_a_difference_of_the_last_bit_is_one(workspace):
    rewrite_shelf(workspace, lambda keys, vectors: np.nextafter(vectors, np.float32(1e9)))
    assert len(verified(workspace).checked[0].differing) == 16


def test_a_damaged_shard_is_said_and_stays_where_it_is(featurekit, workspace):
    shard = next((workspace.cache / "embeddings").glob("*/*.safetensors"))
    data = bytearray(shard.read_bytes())
    data[-1] ^= 1
    shard.write_bytes(data)
    before = everything_in(workspace.root)
    code, output, _ = featurekit("verify-run")
    assert code == 1
    assert "its hash differs from its name" in output
    assert everything_in(workspace.root) == before


def test_a_face_that_is_not_found_any_more_is_named(workspace, monkeypatch):
    look = Looker.__call__

    def blind(looker, task):
        looked = look(looker, task)
        looked.faces = [EmbeddedFace(Face("no_face"))]
        return looked

    monkeypatch.setattr(Looker, "__call__", blind)
    differing = verified(workspace).checked[0].differing
    assert {one.why for one in differing} == {"no face is found in the image now (no_face)"}


# ---------------------------------------------------------------- recipes, versions, hardware


def test_another_recipe_is_named_part_by_part(featurekit, workspace):
    def older(content):
        for recipe in content["recipes"]:
            recipe["extraction_version"] = 1
            recipe["faces"]["decoding"]["version"] = 1

    change_runs(workspace, older)
    code, output, _ = featurekit("verify-run")
    assert code == 1
    assert f"mean_color:mean, recipe: extraction_version: 1 → {Recipe.extraction_version}" in output
    assert "mean_color:mean, recipe: faces decoding version: 1 → " in output
    assert " and 13 more: the cache has no vector of this face" in output


def test_vectors_are_computed_in_the_precision_of_the_run_whatever_is_faster_here(workspace, monkeypatch):
    def in_bf16(content):
        for recipe in content["recipes"]:
            recipe["precision"] = "bf16"

    change_runs(workspace, in_bf16)
    asked, make = [], verification.make_recipes
    monkeypatch.setattr(
        verification,
        "make_recipes",
        lambda *given, **how: asked.append(how["precision"]) or make(*given, **how),
    )
    verified(workspace)
    assert asked == ["bf16"]


def test_of_many_faces_that_differ_ten_are_listed_and_the_others_counted(featurekit, workspace, monkeypatch):
    look = Looker.__call__

    def otherwise(looker, task):
        looked = look(looker, task)
        looked.faces[0].vectors = {name: 2 * vector for name, vector in looked.faces[0].vectors.items()}
        return looked

    monkeypatch.setattr(Looker, "__call__", otherwise)
    code, output, _ = featurekit("verify-run")
    assert code == 1
    assert output.count("the vector differs by up to") == 10
    assert "mean_color:mean: … and the vectors of 6 more faces" in output


def test_another_weight_file_is_named_by_its_hash(workspace):
    def other(content):
        for recipe in content["recipes"]:
            recipe["weights"] = "ab" * 32

    change_runs(workspace, other)
    assert verified(workspace).checked[0].changes == ("weights: abababababab → ",)


def test_a_recipe_of_a_network_that_is_no_more_hides_no_other(workspace):
    def more(content):
        content["recipes"].append({**content["recipes"][0], "backbone": "mean_colour"})
        content["recipes"].append({"backbone": "old"})

    change_runs(workspace, more)
    checked = {one.feature: one for one in verified(workspace).checked}
    assert checked["mean_color:mean"].n_faces == 16
    assert not checked["mean_color:mean"].differing
    assert "Did you mean 'mean_color'?" in checked["mean_colour:mean"].why
    assert "another version of featurekit" in checked["old:None"].why


def test_a_network_that_cannot_be_opened_is_named(featurekit, workspace, monkeypatch):
    def absent(recipes, threads):
        raise WeightsError("The weights are gone.")

    monkeypatch.setattr(verification, "open_networks", absent)
    code, output, _ = featurekit("verify-run")
    assert code == 1
    assert "mean_color:mean could not be computed again: The weights are gone." in output


def test_other_versions_hardware_and_engines_are_named(workspace, monkeypatch):
    def older(content):
        content["versions"]["numpy"] = "1.0"
        content["hardware"]["processor"] = "Example 3000"
        content["hardware"]["got"]["mean_color"]["engine"] = "abacus 1"

    change_runs(workspace, older)
    now = versions()["numpy"]
    found = verified(workspace)
    assert f"numpy: 1.0 → {now}" in found.surroundings
    assert any(line.startswith("processor: Example 3000 → ") for line in found.surroundings)
    assert any(line.startswith("mean_color, engine: abacus 1 → ") for line in found.surroundings)
    assert len(found.surroundings) == 3
    assert not found.is_equal
    assert not found.checked[0].differing


def test_a_comparison_without_runs_or_predictions_is_one_line(featurekit, workspace):
    assert "There are no runs in" in featurekit("verify-run", "--name", "july")[2]
    with pytest.raises(WorkspaceError, match="At least one face"):
        verified(workspace, n=0)
    shutil.rmtree(workspace.report("table") / "predictions")
    code, _, errors = featurekit("verify-run")
    assert code == 1
    assert "it is not known which faces the runs used" in errors


def test_recipes_that_differ_in_the_mirror_image_alone_are_both_looked_at(featurekit, workspace, monkeypatch):
    member = Backbone(
        name="one_pixel",
        about="a test's own: it is another one in a mirror image",
        layers={"color": 3},
        input_size=32,
        template="dlib",
        compute=lambda crops: crops[:, 12, 8].astype(np.float32),
    )
    BACKBONES.names()
    monkeypatch.setitem(BACKBONES._members, member.name, member)
    for target, options in (("age", []), ("gender", ["--mirror"])):
        extract = ("extract", "--backbone", "one_pixel", "--detector", "whole_image", *options)
        assert featurekit(*extract)[0] == 0
        fit = ("fit", "--model", "logistic_regression", "--features", "one_pixel", "--target", target)
        assert featurekit(*fit, "--name", "mirrored", "--folds", "4", "--no-models")[0] == 0
    found = verify_run(workspace.report("mirrored"), Manifest.load(workspace.manifest), workspace.cache)
    mirrored = [one for one in found.checked if one.feature == "one_pixel:color"]
    assert [one.n_faces for one in mirrored] == [16, 16]
    assert found.is_equal
