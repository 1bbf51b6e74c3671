"""What a notebook is shown while something is done."""

import sys
import time
from types import ModuleType, SimpleNamespace

import pytest

from featurekit.api import telling


class Cell:
    """The output area of a notebook's cell: each display, in its last state."""

    def __init__(self):
        self.outputs = []

    def display(self, data, *, raw, display_id):
        assert raw
        assert display_id
        self.outputs.append(data)
        number = len(self.outputs) - 1

        def update(data, *, raw):
            assert raw
            self.outputs[number] = data

        return SimpleNamespace(update=update)


@pytest.fixture
def cell(monkeypatch):
    """The process looks like the kernel of a notebook, and every count is drawn."""
    found = Cell()
    shell = type("ZMQInteractiveShell", (), {})()
    ipython, display = ModuleType("IPython"), ModuleType("IPython.display")
    ipython.get_ipython = lambda: shell
    display.display = found.display
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    monkeypatch.setattr(telling, "_REDRAW", 0)
    return found


def test_a_notebook_has_one_bar_that_is_drawn_anew_and_empty_in_the_end(cell):
    with telling.shown(True, "reading", "files") as told:
        for done in range(5):
            told(done, 4)
            assert len(cell.outputs) == 1
            assert f"{done}/4" in cell.outputs[0]["text/html"]
    assert cell.outputs == [{"text/html": "", "text/plain": ""}]


def test_what_is_done_in_a_moment_shows_no_bar(cell, monkeypatch):
    monkeypatch.setattr(telling, "_REDRAW", 60)
    with telling.shown(True, "reading", "files") as told:
        told(1, 1)
    assert cell.outputs == []


def test_a_bar_is_taken_away_when_something_fails(cell):
    def fail():
        with telling.shown(True, "reading", "files") as told:
            told(1, 2)
            raise ValueError("oops")

    with pytest.raises(ValueError, match="oops"):
        fail()
    assert cell.outputs[0]["text/html"] == ""


def test_what_others_wrote_is_no_html(cell):
    with telling.shown(True, "fitting", "fits") as told:
        told.tell("<script>")
        told(1, 2)
        assert "<script>" not in cell.outputs[0]["text/html"]


def test_the_end_is_said_once_however_often_it_is_told(monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    with telling._lines("reading", "files") as progress:
        for now[0], done in ((0.0, 1), (12.0, 20), (14.0, 30), (14.5, 30), (15.0, 30)):
            progress(done, 30)
        first = capsys.readouterr().err.splitlines()
        for now[0], done in ((16.0, 1), (20.0, 30)):  # another stage
            progress(done, 30)
    assert [line.partition(" files")[0] for line in first] == ["reading: 20 of 30", "reading: 30 of 30"]
    assert capsys.readouterr().err.startswith("reading: 30 of 30 files")


def test_a_notebook_sees_the_time_pass_before_anything_is_counted(cell, monkeypatch):
    monkeypatch.setattr(telling, "_TICK", 0.01)
    with telling.shown(True, "reading", "files"):
        for _ in range(500):
            if cell.outputs:
                break
            time.sleep(0.01)
        assert cell.outputs[0]["text/plain"] == "reading: 0:00:00"
    assert cell.outputs == [{"text/html": "", "text/plain": ""}]
