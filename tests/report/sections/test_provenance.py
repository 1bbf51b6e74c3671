"""How the models were evaluated, and by which commands."""

import re
from dataclasses import replace

from tests.report.made_up import Reader, make_audit, make_run, markdown_of


def test_what_differs_between_runs_is_named(runs):
    other = make_run(classifier="mlp", versions={**make_run().versions, "numpy": "2.5.0"})
    other = replace(other, hardware={"got": {"arcface": {"device": "cpu"}}})
    text = markdown_of([make_run(), other], "t")
    assert "| got · arcface · device | cpu |" in text
    assert "| got · dlib_age · device | cpu |" in text
    assert "| numpy | 2.5.0 (gender--dlib_age--mlp); 2.4.6 (gender--dlib_age--svm) |" in text
    assert "| python | 3.11.7 |" in text


def test_how_it_was_measured_is_complete(page):
    text = " ".join(Reader(page).text["main"])
    for fact in (
        "featurekit fit --model svm",
        "4f9f0075200bd8ea6cd65ae6e6893cf820c513169382c08e82e533158358ed1c",
        "CC0-1.0",
        "no terms published",
        "openvino 2026.4",
        "asked · device",
        "Example 3000",
        "gamma=scale",
        "Class weights are balanced.",
        "centerface",
        "subject",
        "surveillance",
        "confidence interval",
    ):
        assert fact in text, fact


def test_folds_are_told_as_they_are_stored():
    dealt = make_run(folds={"number": 3, "kind": "made", "seed": 7, "sha256": "ab"})
    assert "The 3 folds were made by featurekit (seed 7)." in markdown_of([dealt], "t")
    given = make_run(folds={"number": 5, "kind": "official", "seed": 0, "sha256": "ab"})
    text = markdown_of([given], "t")
    assert "The 5 folds are the official folds of the data set." in text
    assert "made by featurekit" not in text


def made_by_of(text: str) -> list[str]:
    part = re.split(r"These commands made the results \(PATH is .*\):", text)[1].split("\n\n")[1]
    return [line.strip() for line in part.splitlines()]


def test_made_by_lists_each_command_once_in_an_order_that_runs():
    """The ensemble was made before a member was fitted anew, and stands after it all the same."""
    first = make_run(command="featurekit fit --model svm", created="2026-01-05T00:00:00Z")
    second = make_run(classifier="mlp", command="featurekit fit --model mlp", created="2026-01-01T00:00:00Z")
    also = make_run("age", command="featurekit fit --model svm", created="2026-01-06T00:00:00Z")
    both = make_run(
        classifier="ensemble of svm and mlp",
        parameters={"members": [first.name, second.name], "weights": "equal"},
        command="featurekit ensemble '*--svm' '*--mlp'",
        created="2026-01-03T00:00:00Z",
    )
    lines = made_by_of(markdown_of([both, also, first, second], "utkface", None, make_audit(), apart={}))
    assert lines == [
        "featurekit prepare utkface PATH",
        "featurekit extract --backbone dlib_age:pooled",
        "featurekit fit --model mlp",
        "featurekit fit --model svm",
        "featurekit ensemble '*--svm' '*--mlp'",
        "featurekit audit --features dlib_age",
        "featurekit report",
    ]


def test_made_by_lists_what_made_the_runs_that_stand_there_and_their_members():
    """A run that is set apart made nothing on the page, unless it is a member of an ensemble there."""
    member = make_run(command="featurekit fit --model svm")
    unused = make_run(classifier="knn", command="featurekit fit --model knn")
    both = make_run(
        classifier="ensemble of svm and mlp",
        parameters={"members": [member.name, "gender--gone--mlp"], "weights": "equal"},
        command="featurekit ensemble a b",
    )
    apart = {member.name: "its predictions are missing", unused.name: "its predictions are missing"}
    lines = made_by_of(markdown_of([both, member, unused], "of june", None, apart=apart))
    assert lines[2:] == [
        "featurekit fit --model svm",
        "featurekit ensemble a b",
        "featurekit report --name 'of june'",
    ]


def test_made_by_tells_how_it_was_prepared_and_extracted():
    run = make_run(
        dataset={**make_run().dataset, "name": "table", "options": {"columns": {"age": "years of age"}}},
        hardware={"asked": {"device": "cuda", "precision": "bf16"}, "processor": "Example 3000"},
    )
    mirrored = {**run.recipes[0], "backbone": "mobilenet_v2", "mirrored": True}
    lines = made_by_of(markdown_of([replace(run, recipes=(run.recipes[0], mirrored))], "table"))
    assert lines[:3] == [
        "featurekit prepare table PATH --root FOLDER --column 'age=years of age'",
        "featurekit extract --backbone dlib_age:pooled --device cuda --precision bf16",
        "featurekit extract --backbone mobilenet_v2:pooled --device cuda --precision bf16 --mirror",
    ]


def test_made_by_names_a_layer_of_a_network_by_reference_and_how_the_network_is_added():
    run = make_run()
    recipe = {**run.recipes[0], "backbone": "timm:resnet18", "layer": "layer2+max"}
    lines = made_by_of(markdown_of([replace(run, recipes=(recipe, run.recipes[0]))], "utkface"))
    assert lines[1:3] == [
        "featurekit weights add timm:resnet18 FILE",
        "featurekit extract --backbone dlib_age:pooled --backbone timm:resnet18@layer2+max",
    ]


def test_terms_are_those_of_the_table_also_for_a_run_that_kept_older_words():
    text = markdown_of([make_run()], "t")
    assert "| private, about 110,000 faces; no terms published |" in text
    assert "| BSL-1.0 (dlib) |" in text
    # A file of that name with other bytes is another file.
    other = ({**make_run().weights[0], "sha256": "ab" * 32},)
    assert "| BSL-1.0 | CC0-1.0 | no terms published |" in markdown_of([make_run(weights=other)], "t")
    # What no table knows keeps its own words.
    own = {**make_run().dataset, "name": "selfies", "licence": "mine."}
    assert "Terms of the data set: mine.\n" in markdown_of([make_run(dataset=own)], "t")
