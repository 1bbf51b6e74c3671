"""What the shell completes: names in the registries, words of options, comparisons; nothing heavy."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from featurekit.cli import _completion as complete
from featurekit.cli.app import app
from featurekit.data.datasets import DATASETS
from featurekit.estimators import CLASSIFIERS
from featurekit.faces.detectors import DETECTORS
from featurekit.networks.backbones import BACKBONES

ROOT = Path(__file__).parents[2]
HEAVY = (
    "torch",
    "torchvision",
    "sklearn",
    "cv2",
    "onnxruntime",
    "openvino",
    "xgboost",
    "scipy",
    "PIL",
    "matplotlib",
)
# Runs the command as the shell's script does, and says which libraries were imported for it.
PROGRAM = f"""
import sys
from featurekit.cli.app import main
sys.argv = ["featurekit", *sys.argv[1:]]
try:
    main()
finally:
    sys.stderr.write(" ".join(name for name in {HEAVY} if name in sys.modules))
"""


def surroundings(**more):
    return os.environ | {"PYTHONPATH": str(ROOT)} | more


def completed(line):
    """Return what is offered for the last word of a line."""
    asked = {"COMP_WORDS": line, "COMP_CWORD": str(line.count(" ")), "_FEATUREKIT_COMPLETE": "complete_bash"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=surroundings(**asked), capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    return done.stdout.split()


def test_models_and_joined_backbones_are_completed_without_anything_heavy():
    assert completed("featurekit fit --model s") == [
        name for name in CLASSIFIERS.names() if name.startswith("s")
    ]
    vggs = [f"dlib_age+{name}" for name in BACKBONES.names() if name.startswith("vgg")]
    assert completed("featurekit extract --backbone dlib_age+vgg") == vggs


@pytest.mark.parametrize(
    ("shell", "shown"), [("zsh", '"{name}":"{about}"'), ("fish", "{name}\t{about}")], ids=["zsh", "fish"]
)
def test_other_shells_show_what_a_name_is(shell, shown):
    asked = {
        "_FEATUREKIT_COMPLETE": f"complete_{shell}",
        "_TYPER_COMPLETE_ARGS": "featurekit fit --model xg",
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=surroundings(**asked), capture_output=True, text=True, check=True
    )
    assert shown.format(name="xgboost", about=CLASSIFIERS["xgboost"].about) in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("function", "registry"),
    [
        (complete.backbones, BACKBONES),
        (complete.models, CLASSIFIERS),
        (complete.detectors, DETECTORS),
        (complete.datasets, DATASETS),
    ],
)
def test_every_member_of_a_registry_is_offered_with_what_it_is(function, registry):
    assert function("") == [(one.name, one.about) for one in registry]
    assert function("no such") == []


def options(command="featurekit", of=None):
    """Yield each command with each of its options and arguments."""
    of = of or typer.main.get_command(app)
    for parameter in of.params:
        yield command, parameter
    for name, sub in getattr(of, "commands", {}).items():
        yield from options(f"{command} {name}", sub)


def test_what_has_a_name_is_completed_in_every_command():
    named = {
        "--device",
        "--precision",
        "--executor",
        "--faces",
        "--name",
        "--target",
        "--features",
        "--detector",
    }
    for command, parameter in options():
        if named & set(parameter.opts):
            assert parameter._custom_shell_complete is not None, (command, parameter.opts)


def test_words_that_are_offered_are_those_that_the_help_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where no comparison is
    for command, parameter in options():
        if parameter._custom_shell_complete is None:
            continue
        with typer.Context(typer.main.get_command(app)) as context:
            found = [one.value for one in parameter.shell_complete(context, "")]
        if len(found) < 5 and "--target" not in parameter.opts:
            for word in found:
                assert word in parameter.help or word in DETECTORS.names(), (command, parameter.opts, word)


def test_comparisons_of_the_workspace_are_completed(tmp_path):
    for name in ("june", "july"):
        (tmp_path / "work" / "reports" / name).mkdir(parents=True)
    assert completed(f"featurekit -w {tmp_path}/work report --name ju") == ["july", "june"]
    assert completed(f"featurekit -w {tmp_path}/nowhere report --name ju") == []


def test_a_file_is_left_to_the_shell():
    assert completed("featurekit prepare table peo") == []


def test_a_plug_in_that_is_broken_does_not_disturb_the_typing(tmp_path, monkeypatch):
    about = tmp_path / "broken_plugin-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-plugin\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[featurekit.detectors]\nbroken = no_such_module\n")
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}{os.pathsep}{tmp_path}")
    asked = {"COMP_WORDS": "featurekit extract --detector c", "COMP_CWORD": "3"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=os.environ | asked | {"_FEATUREKIT_COMPLETE": "complete_bash"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout.split(), done.stderr) == (["centerface"], "")


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_bash_completes_with_the_script_that_is_installed(tmp_path):
    script = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=surroundings(_FEATUREKIT_COMPLETE="source_bash"),
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "complete -o default" in script  # so that files are completed as without it
    command = tmp_path / "featurekit"
    command.write_text(f"#!{sys.executable}\nfrom featurekit.cli.app import main\nmain()\n")
    command.chmod(0o755)
    name = re.search(r"(\w+)\(\) \{", script)[1]
    word = f'COMP_WORDS=(featurekit list back); COMP_CWORD=2; {name} featurekit; echo "${{COMPREPLY[@]}}"'
    environment = surroundings(PATH=f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    done = subprocess.run(
        ["bash", "--norc", "-c", script + word], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["backbones"]
