"""Members of installed packages and of notebooks, tried on a registry of tools that is made up for the test.

The packages are folders on the search path that look as pip leaves them; a real one is installed in
test_plugins.py.
"""

import importlib
import logging
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from featurekit import registry as machinery
from featurekit.errors import RegistrationError, UnknownNameError
from featurekit.registry import BUILTIN, SESSION, Package, Registry, problems

GROUP = "featurekit.backbones"


@dataclass(frozen=True)
class Tool:
    """What the registry holds."""

    name: str
    about: str = "a tool"


Install = Callable[..., Package]


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry[Tool]]:
    """A registry with one member of its own, hammer, which no plug-in has been read for."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(machinery, "_problems", {})
    folder = tmp_path / "toolbox"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "hammer.py").write_text("from the_tools import TOOLS, Tool\nTOOLS.add(Tool('hammer'))\n")
    shared: Any = ModuleType("the_tools")
    shared.TOOLS, shared.Tool = Registry("tool", "toolbox", Tool, GROUP), Tool
    monkeypatch.setitem(sys.modules, "the_tools", shared)
    importlib.invalidate_caches()
    yield shared.TOOLS
    for name in set(sys.modules) - before:
        if name.startswith(("toolbox", "plug_")):
            del sys.modules[name]


@pytest.fixture
def install(tmp_path: Path, tools: Registry[Tool]) -> Install:
    """Put a package on the search path: its module, and the entry points that name it."""

    def put(
        name: str, source: str, names: str | None = None, version: str = "1.0", group: str = GROUP
    ) -> Package:
        (tmp_path / f"{name}.py").write_text(f"from the_tools import TOOLS, Tool\n{source}\n")
        about = tmp_path / f"{name}-{version}.dist-info"
        about.mkdir(exist_ok=True)
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        points = "\n".join(f"point{i} = {one}" for i, one in enumerate((names or name).split()))
        (about / "entry_points.txt").write_text(f"[{group}]\n{points}\n")
        importlib.invalidate_caches()
        return Package(name, version)

    return put


def test_a_package_adds_members_by_an_entry_point(tools, install):
    package = install("plug_saw", "TOOLS.add(Tool('saw'))")
    assert tools.names() == ["hammer", "saw"]
    assert tools.package_of("saw") == package
    assert tools.package_of("hammer") == BUILTIN
    assert not problems()


def test_an_entry_point_can_name_a_member_instead_of_its_module(tools, install):
    install("plug_saw", "saw = Tool('saw')", "plug_saw:saw")
    install("plug_file", "file = TOOLS.add(Tool('file'))", "plug_file:file")
    assert tools.names() == ["file", "hammer", "saw"]


def test_no_package_is_imported_for_a_name_that_featurekit_has(tools, install):
    install("plug_saw", "TOOLS.add(Tool('saw'))")
    assert tools["hammer"].name == "hammer"
    assert "plug_saw" not in sys.modules
    assert tools["saw"].name == "saw"


BROKEN = {
    "cannot be imported": ("import no_such_module", "No module named 'no_such_module'"),
    "raises": ("TOOLS.add(Tool('saw'))\n1 / 0", "ZeroDivisionError: division by zero"),
    "ends the program": ("raise SystemExit('bye')", "SystemExit: bye"),
    "takes a name of featurekit's": (
        "TOOLS.add(Tool('saw'))\nTOOLS.add(Tool('hammer'))",
        "'hammer' is taken",
    ),
    "registers two of one name": ("TOOLS.add(Tool('saw'))\nTOOLS.add(Tool('saw'))", "'saw' is taken"),
    "registers something else": ("TOOLS.add(3)", "an object of type int cannot be registered as a tool"),
    "registers no name": ("TOOLS.add(Tool('a saw'))", "'a saw' cannot be the name of a tool"),
    "registers nothing": ("", "does not register a tool"),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_package_is_one_line_that_names_it_and_stops_nothing_else(tools, install, caplog, how):
    source, reason = BROKEN[how]
    install("plug_broken", source)
    install("plug_other", "TOOLS.add(Tool('file'))")
    with caplog.at_level(logging.WARNING):
        assert tools.names() == ["file", "hammer"]
        assert tools.names() == ["file", "hammer"]
    (record,) = caplog.records
    line = record.getMessage()
    assert line.startswith("The plug-in plug_broken 1.0 is not used, because ")
    assert reason in line
    assert "\n" not in line
    assert [problem.package for problem in problems()] == [Package("plug_broken", "1.0")]


def test_an_entry_point_that_names_neither_a_module_nor_a_member_is_left_out(tools, install):
    install("plug_wrong", "def saw(): ...", "plug_wrong:saw")
    assert tools.names() == ["hammer"]
    assert "points to a function, which is neither a module nor a Tool" in str(problems()[0])


def test_another_entry_point_of_a_package_stands_where_one_is_broken(tools, install, tmp_path):
    (tmp_path / "plug_bad.py").write_text("import no_such_module")
    install("plug_saw", "TOOLS.add(Tool('saw'))", "plug_bad plug_saw")
    assert tools.names() == ["hammer", "saw"]
    assert len(problems()) == 1


def test_of_two_packages_with_one_name_the_first_one_has_it(tools, install):
    first = install("plug_a", "TOOLS.add(Tool('saw', 'first'))")
    install("plug_b", "TOOLS.add(Tool('saw', 'second'))")
    assert tools["saw"].about == "first"
    assert f"'saw' is taken by a tool of {first}" in str(problems()[0])


def test_a_module_of_a_package_that_is_imported_by_hand_registers_for_the_package(tools, install):
    package = install("plug_saw", "TOOLS.add(Tool('saw'))")
    importlib.import_module("plug_saw")
    assert tools.package_of("saw") == package
    assert tools.names() == ["hammer", "saw"]
    assert not problems()


def test_a_module_of_a_package_can_be_loaded_again(tools, install):
    install("plug_saw", "TOOLS.add(Tool('saw', 'first'))")
    assert tools["saw"].about == "first"
    install("plug_saw", "TOOLS.add(Tool('saw', 'second and longer'))")
    importlib.reload(sys.modules["plug_saw"])
    assert tools["saw"].about == "second and longer"


def test_a_notebook_replaces_its_own_members_and_no_others(tools, install):
    install("plug_saw", "TOOLS.add(Tool('saw'))")
    tools.add(Tool("mine", "first"))
    tools.add(Tool("mine", "second"))
    assert tools["mine"].about == "second"
    assert tools.package_of("mine") == SESSION
    for name in ("hammer", "saw"):
        with pytest.raises(RegistrationError, match=f"The name '{name}' is taken by a tool of "):
            tools.add(Tool(name))


def test_what_is_no_member_is_refused_in_a_notebook_too(tools):
    with pytest.raises(
        RegistrationError, match="An object of type str cannot be registered as a tool: it must be a Tool"
    ):
        tools.add("saw")
    with pytest.raises(RegistrationError, match="must be one line"):
        tools.add(Tool("saw", "two\nlines"))


def test_two_of_one_name_in_featurekit_itself_are_a_programming_error(tools, tmp_path):
    (tmp_path / "toolbox" / "other.py").write_text("from the_tools import *\nTOOLS.add(Tool('hammer'))\n")
    with pytest.raises(ValueError, match="Two tools are called hammer"):
        tools.names()


def test_a_name_that_nobody_has_is_refused_with_those_of_packages(tools, install):
    install("plug_saw", "TOOLS.add(Tool('saw'))")
    with pytest.raises(UnknownNameError, match=r"Did you mean 'saw'\? Known: hammer, saw"):
        tools["saww"]
