"""What a program reads where the command line reads options; featurekit.naming has examples."""

import ast
import re
from pathlib import Path

import pandas as pd
import pytest

import featurekit as fk
from featurekit.naming import Caller, as_arguments

PACKAGE = Path(__file__).parents[1] / "featurekit"
# These messages are read in the command line alone, or are commands that messages and reports quote.
ONLY_COMMANDS = ("cli/", "naming.py", "report/sections/made_by.py", "networks/weights_fetching.py")


def messages():
    """Every text of the package that is raised, with x in the place of what is filled in."""
    for path in sorted(PACKAGE.rglob("*.py")):
        place = str(path.relative_to(PACKAGE))
        if place.startswith(ONLY_COMMANDS):
            continue
        for raised in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(raised, ast.Raise) and isinstance(raised.exc, ast.Call):
                for text in raised.exc.args:
                    if isinstance(text, ast.JoinedStr):
                        parts = [one.value if isinstance(one, ast.Constant) else "x" for one in text.values]  # noqa: PD011 — no DataFrame
                        yield place, "".join(map(str, parts))
                    elif isinstance(text, ast.Constant):
                        yield place, str(text.value)


def test_a_program_reads_no_options():
    with_options = [one for one in messages() if re.search(r"(?<!\S)-[-o]", one[1])]
    commands = r"featurekit \w[^.;]*"
    assert len(with_options) > 50
    left = [
        (place, text)
        for place, text in with_options
        if re.search(r"(?<!\S)--?[a-z]", re.sub(commands, "", as_arguments(text)))
    ]
    assert left == []


def test_a_table_of_a_program_is_answered_with_its_own_arguments(tmp_path, monkeypatch):
    monkeypatch.setattr(Caller, "is_command_line", False)
    (tmp_path / "a.png").write_bytes(b"")
    table = pd.DataFrame({"file": ["a.png"], "sex": ["x"]})
    with pytest.raises(fk.FeaturekitError, match=r"labels=\{'NAME': 'sex'\}\. .*use labels without gender"):
        fk.Dataset.from_frame(table, images="file", labels={"gender": "sex"}, root=tmp_path, project=tmp_path)
