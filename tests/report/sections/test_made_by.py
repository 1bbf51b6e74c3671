"""The last command of a page writes it again: it has every option that is needed, and no other."""

import shlex
from dataclasses import replace

import pytest
import typer

from featurekit.cli.app import app
from featurekit.evaluation.ages import LEGAL_AGES
from featurekit.evaluation.evidence import MARGIN_POINTS, MARGIN_YEARS
from featurekit.report.page import PROFILES
from featurekit.report.sections.made_by import introduction, made_by, report_command
from tests.report.made_up import html_of, make_audit, make_errors, make_evidence, make_run, markdown_of
from tests.report.test_model_card import card_of

RUNS = {target: [make_run(target), make_run(target, classifier="mlp")] for target in ("gender", "age")}


def known_of(target="gender", legal_ages=LEGAL_AGES, **changes):
    """Evidence on a target; what is not given is as a report without options has it."""
    known = make_evidence(RUNS[target], **changes).targets[target]
    usual = known.legal_ages[:1]
    ages = [replace(one, plain=replace(one.plain, legal_age=age)) for one in usual for age in legal_ages]
    return replace(known, legal_ages=tuple(ages))


def options_of(command):
    """What featurekit's own command line understands of a command, beside the defaults of its options."""
    program, name, *arguments = shlex.split(command)
    assert (program, name) == ("featurekit", "report")
    of = typer.main.get_command(app).commands["report"]
    usual = of.make_context("report", []).params
    asked = of.make_context("report", arguments).params
    return {key: value for key, value in asked.items() if value != usual[key]}


def command_of(*evidence, title="utkface", **options):
    return report_command(title, RUNS["gender"], evidence, **options)


def test_a_report_as_it_usually_is_needs_no_option():
    assert command_of() == "featurekit report"
    assert command_of(known_of(), known_of("age")) == "featurekit report"
    usual = (known_of(margin=MARGIN_POINTS / 100), known_of("age", margin=MARGIN_YEARS))
    assert command_of(*usual) == "featurekit report"
    # Margins are stored as shares, in which one percent is no round number.
    assert command_of(known_of(margin=0.1 + 0.01 - 0.1)) == "featurekit report"


@pytest.mark.parametrize(
    ("changes", "options"),
    [
        ({"margin": 0.005}, "--margin-points 0.5"),
        ({"margin": 0.07}, "--margin-points 7"),
        ({"target": "age", "margin": 0.25}, "--margin-years 0.25"),
        ({"target": "age", "legal_ages": (16, 18)}, "--legal-age 16 --legal-age 18"),
        (
            {"target": "age", "legal_ages": LEGAL_AGES[::-1]},
            " ".join(f"--legal-age {n}" for n in (25, 21, 18, 16, 13)),
        ),
    ],
)
def test_the_command_has_each_margin_and_the_legal_ages_that_are_not_the_usual_ones(changes, options):
    assert command_of(known_of(**changes)) == f"featurekit report {options}"


def test_the_command_is_one_that_the_command_line_understands_as_it_was_meant():
    command = command_of(
        known_of(margin=0.0025),
        known_of("age", margin=0.5, legal_ages=(15, 18)),
        title="of june; rm -r *",
        profile=PROFILES[0],
        has_card=True,
    )
    asked = options_of(command)
    assert asked == {
        "name": "of june; rm -r *",
        "profile": PROFILES[0],
        "margin_points": 0.25,
        "margin_years": 0.5,
        "legal_age": [15, 18],
        "model_card": True,
    }


def test_an_option_of_two_targets_stands_there_once():
    assert command_of(known_of(margin=0.02), known_of(margin=0.02)) == "featurekit report --margin-points 2"


def test_a_name_is_given_unless_it_is_that_of_the_data_set_and_is_quoted():
    assert command_of(title="june") == "featurekit report --name june"
    assert command_of(title="of june's faces") == """featurekit report --name 'of june'"'"'s faces'"""
    elsewhere = make_run(dataset={**make_run().dataset, "name": "adience"})
    both = report_command("utkface", [*RUNS["gender"], elsewhere])
    assert both == "featurekit report --name utkface"
    lines = made_by(RUNS["gender"], RUNS["gender"], "of june", make_audit())
    assert lines[-2:] == (
        "featurekit audit --name 'of june' --features dlib_age",
        "featurekit report --name 'of june'",
    )


def test_a_page_gives_the_command_with_its_profile_and_its_margin_at_its_top_and_at_its_end():
    runs = RUNS["age"]
    evidence = make_evidence(runs, margin=0.3)
    text = markdown_of(runs, "of june", evidence, profile="age-assurance").replace("\\_", "_")
    command = "featurekit report --name 'of june' --profile age-assurance --margin-years 0.3 --legal-age 18"
    top, *sections = text.split("\n## ")
    assert command in top
    assert [one.split("\n")[0] for one in sections if command in one] == [
        "Appendix: how the models were evaluated"
    ]
    assert text.count("featurekit report --") == text.count(command) == 2
    plain = markdown_of(runs, "of june", replace(evidence, targets={"age": known_of("age")}))
    assert "--profile" not in plain
    assert "--margin" not in plain
    assert "--model-card" not in text


def test_the_command_of_a_page_with_faces_shows_nobody():
    """Whoever repeats it has to ask for the faces."""
    runs = RUNS["gender"]
    page = html_of(runs, "t", make_evidence(runs), errors={"gender": make_errors(runs[0])})
    assert "data:image/jpeg" in page
    assert "featurekit report --name t" in page
    assert "--faces" not in page


def test_a_model_card_gives_the_command_that_writes_a_card_too():
    card = card_of(RUNS["gender"][:1], title="of june")
    assert "    featurekit report --name 'of june' --model-card\n" in f"{card}\n"
    assert "--legal-age 18 --model-card\n" in card_of(RUNS["age"][:1])


def test_the_commands_of_a_table_name_the_folder_of_its_images():
    dataset = {"name": "table", "options": {"columns": {"age": "years"}, "labels": "beard"}}
    [run] = [make_run(dataset={**make_run().dataset, **dataset})]
    commands = made_by([run], [run], "table", None)
    options = "--column age=years --option labels=beard"
    assert commands[0] == f"featurekit prepare table PATH --root FOLDER {options}"
    assert "(PATH is the table of the data set, FOLDER the folder of its images)" in introduction(commands)
    assert "(PATH is the folder of the data set)" in introduction(["featurekit prepare utkface PATH"])
