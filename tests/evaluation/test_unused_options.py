"""An option that has no effect is an error that says what to type; of several models the others are named."""

import json
import shutil

import pytest

from featurekit.evaluation.results import load_runs
from featurekit.project import ProjectFolder
from tests.evaluation.made_up import one_line


@pytest.fixture
def workspace(kept, featurekit, request, tmp_path):
    """Eight made-up people, their colours and pixels, and one comparison on four folds with seed 3."""
    if kept.exists():
        request.getfixturevalue("portraits")
        shutil.copytree(kept, tmp_path / "work")
        return ProjectFolder(tmp_path / "work")
    request.getfixturevalue("prepare_table")()
    extract = ("extract", "--backbone", "mean_color", "--backbone", "pixels", "--detector", "whole_image")
    assert featurekit(*extract)[0] == 0
    fit = ("fit", "--model", "logistic_regression", "--target", "gender", "--folds", "4", "--seed", "3")
    code, _, errors = featurekit(*fit)
    assert code == 0, errors
    shutil.copytree(tmp_path / "work", kept)
    return ProjectFolder(tmp_path / "work")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            ("--folds", "10", "--seed", "7"),
            "with 4 folds and seed 3, so --folds 10 and --seed 7 would have no",
        ),
        (
            ("--folds", "5"),
            "with 4 folds, so --folds 5 would have no effect. Leave it out, compare under another",
        ),
        (("--seed", "0"), "with seed 3, so --seed 0 would have no effect."),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_folds_or_a_seed_that_the_comparison_does_not_have_are_refused(featurekit, workspace, options, said):
    one_line(featurekit("fit", "--target", "gender", *options), said, "--name", "--new-folds")
    one_line(featurekit("fit", "--target", "gender", "--name", "other", "--folds", "100"), "8 subjects")


def test_a_later_fit_takes_the_folds_and_the_seed_that_are_there_and_records_them(featurekit, workspace):
    code, _, errors = featurekit("fit", "--model", "svm", "--target", "gender", "--no-models")
    assert code == 0, errors
    code, _, errors = featurekit(
        *("fit", "--model", "svm", "--target", "gender", "--no-models"),
        *("--folds", "4", "--seed", "3"),  # as they are: no contradiction
    )
    assert code == 0, errors
    runs = load_runs(workspace.report("table"))
    assert {(run.seed, run.folds["seed"], run.folds["number"]) for run in runs} == {(3, 3, 4)}


def test_another_number_than_the_data_set_s_own_folds_is_refused(featurekit, workspace):
    text = workspace.manifest.read_text().splitlines()
    column = text[0].split(",").index("official_fold")
    rows = [line.split(",") for line in text[1:]]
    for row in rows:
        row[column] = str(int(row[2][1:]) % 4 // 2)
    workspace.manifest.write_text("\n".join([text[0], *(",".join(row) for row in rows)]) + "\n")
    fit = ("fit", "--target", "gender", "--model", "logistic_regression", "--name", "official", "--no-models")
    one_line(featurekit(*fit, "--folds", "5"), "The data set has 2 folds of its own", "Leave it out")
    one_line(featurekit(*fit, "--folds", "5", "--new-folds"), "The data set has 2 folds of its own")
    assert featurekit(*fit, "--folds", "2")[0] == 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--model", "levi_hassner", "--tune"), "--tune has no effect: none of levi_hassner has parameters"),
        (("--model", "majority", "--tune"), "--tune has no effect: none of majority"),
        (
            ("--model", "levi_hassner", "--learning-curve"),
            "--learning-curve has no effect: none of levi_hassner is a trained model on vectors.",
        ),
        (
            ("--model", "majority", "--features", "mean_color"),
            "--features has no effect: none of majority can use the features of",
        ),
        (("--model", "levi_hassner", "--features", "mean_color"), "--features has no effect: none of levi"),
        (
            ("--join",),
            "--join has no effect: there are no two feature sets to join (there is mean_color)",
        ),
        (("--join", "--features", "mean_color"), "--join has no effect"),
        (("--device", "cuda"), "--device cuda has no effect: none of svm can use a GPU. Leave it out"),
        (("--device", "gpu"), "device must be one of auto, cpu, cuda. Got 'gpu' instead."),
        (("--epochs", "3"), "Unknown parameter of svm 'epochs'"),
        (("--batch-size", "3"), "Unknown parameter of svm 'batch_size'"),
        (
            ("--allow-ethnicity",),
            "--allow-ethnicity has no effect, because no target is named like an ethnicity.",
        ),
        (
            ("--model", "svm", "--model", "levi_hassner", "--set", "C=2", "--epochs", "1"),
            "None of svm, levi_hassner has all of the parameters C, epochs. Fit the models separately",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_an_option_that_concerns_no_model_is_refused(featurekit, workspace, options, said):
    one_line(featurekit("fit", "--target", "gender", *options), said)


def test_an_option_that_concerns_some_models_is_used_for_them_and_the_others_are_named(featurekit, workspace):
    code, _, errors = featurekit(
        *("fit", "--target", "gender", "--model", "logistic_regression", "--model", "majority"),
        *("--tune", "--features", "mean_color", "--set", "penalty=0.4", "--device", "cpu", "--no-models"),
    )
    assert code == 0, errors
    assert "note: --features does not apply to majority" in errors
    assert "note: --tune does not apply to majority" in errors
    once = "note: majority is fitted once, with its default parameters: it has no parameter penalty."
    assert once in errors
    assert "note: --device cpu has no effect" in errors


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (("extract", "--layer", "fc7"), "Unknown layer of mean_color 'fc7'"),
        (("extract", "--layer", "mean", "--backbone", "mean_color:mean"), "cannot be combined with a layer"),
        (
            ("extract", "--detector-weights", "scrfd_10g"),
            "The detector whole_image does not use weights, so none can be chosen.",
        ),
        (("extract", "--choose", "largest"), "--choose largest has no effect with --detector whole_image"),
        (("extract", "--precision", "bf16"), "--precision bf16 has no effect: none of mean_color is"),
        (("extract", "--device", "cuda"), "--device cuda has no effect: none of mean_color is a network"),
        (("report", "--compare", "a", "b", "--name", "c"), "--name has no effect with --compare"),
        (("report", "--compare", "a", "b", "--faces", "thumb"), "--faces has no effect with --compare"),
        (("audit", "--no-images", "--threads", "2"), "--threads has no effect with --no-images"),
        (("verify-run", "--n", "24", "--seed", "1"), "--seed has no effect, because all 24 faces are used."),
        (("cache", "gc", "--drop", "nothing"), "The cache has no key nothing."),
        (
            ("prepare", "utkface", "photos", "--column", "age=a"),
            "--column has no effect on utkface: this option is for tables",
        ),
        (("prepare", "image_folder", "photos", "--root", "x"), "--root has no effect on image_folder"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_an_option_of_another_command_that_has_no_effect_is_refused(featurekit, workspace, command, said):
    if command[0] == "extract":
        named = () if "--backbone" in command else ("--backbone", "mean_color")
        command = (*command, "--detector", "whole_image", *named)
    one_line(featurekit(*command), said)


def test_mirror_images_of_pixels_are_refused_or_noted(featurekit, workspace):
    extract = ("extract", "--detector", "whole_image", "--mirror", "--backbone", "pixels")
    one_line(featurekit(*extract), "--mirror has no effect: none of pixels can use mirror images")
    code, _, errors = featurekit(*extract, "--backbone", "mean_color")
    assert code == 0
    assert "note: --mirror does not apply to pixels" in errors


def test_a_seed_for_an_audit_that_draws_nothing_is_refused(featurekit, workspace):
    shutil.rmtree(workspace.cache / "extracted")
    one_line(featurekit("audit", "--no-images", "--seed", "3"), "--seed has no effect")


def test_prediction_sets_and_abstaining_of_models_that_cannot_do_it_are_refused(
    featurekit, workspace, portraits
):
    fit = ("fit", "--model", "logistic_regression", "--target", "age", "--target", "gender")
    assert featurekit(*fit)[0] == 0
    gender, age = (
        workspace.models / f"{name}--mean_color--logistic_regression" for name in ("gender", "age")
    )
    predict = ("predict", portraits / "photos" / "s1_0.png")
    one_line(
        featurekit(*predict, "--model", age, "--abstain-above", "0.1"),
        "--abstain-above has no effect: age--mean_color--logistic_regression does not predict classes",
    )
    for folder in (gender, age):
        path = folder / "model.json"
        content = json.loads(path.read_text())
        content["calibration"] = None
        path.write_text(json.dumps(content))
    from hashlib import sha256

    for folder in (gender, age):
        names = [path for path in sorted(folder.iterdir()) if path.name != "SHA256SUMS"]
        lines = [f"{sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in names]
        (folder / "SHA256SUMS").write_text("".join(lines))
    one_line(featurekit(*predict, "--model", gender, "--model", age, "--sets"), "--sets has no effect")


def test_every_network_that_a_gpu_could_run_may_be_asked_for_it():
    from featurekit.evaluation.unused_options import unused_of_extract

    notes = unused_of_extract(
        ["mobilenet_v2", "mean_color"],
        "whole_image",
        choose="center",
        device="cuda",
        precision="auto",
        mirrored=False,
    )
    assert notes == ["--device cuda does not apply to mean_color."]
