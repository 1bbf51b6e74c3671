"""What a terminal is shown: aligned tables, colors where it has them, and progress from the first second."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from featurekit.cli._terminal import Cell, Layout, width_of

ROOT = Path(__file__).parents[2]
STYLED = re.compile(r"\x1b\[[\d;]*m")
URL = "https://example.org/" + "a" * 60 + ".onnx"
# Prints a table, an error and a warning, as a command does.
PRINTS = f"""
import sys
from featurekit.cli._output import print_message, print_table
from featurekit.cli._terminal import Cell
print_table(
    ["name", "rows", "finding", "file"],
    [
        ["年齢", 7, "one two three four five six seven eight nine ten", Cell(None, "{URL}")],
        ["svm", 1234, "fine", Cell("", "my photos/a.jpg", "red")],
    ],
    title="models",
)
print_message("error: wrong")
print_message("warning: look")
print_message("note: as an error: it is none")
"""


def on_terminal(*command, columns=80, **environment):
    """Run a command on a pseudo-terminal, and return what it shows."""
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    kept = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS")}
    surroundings = kept | {"TERM": "xterm-256color", "PYTHONPATH": str(ROOT)} | environment
    with subprocess.Popen(command, stdin=its, stdout=its, stderr=its, env=surroundings):
        os.close(its)
        shown = b""
        while True:
            try:
                read = os.read(ours, 65_536)
            except OSError:  # which is the end of a terminal
                break
            if not read:
                break
            shown += read
    os.close(ours)
    return shown.decode().replace("\r\n", "\n")


def table_on_terminal(**environment):
    return on_terminal(sys.executable, "-c", PRINTS, **environment).splitlines()


def test_a_table_has_aligned_columns_and_whole_words():
    lines = table_on_terminal()
    title, head, *rows = (STYLED.sub("", line) for line in lines)
    assert title == "models"
    at = {name: width_of(head[: head.index(name)]) for name in ("name", "rows", "finding", "file")}
    assert rows[0].startswith("年齢      7  one two")
    assert rows[0].endswith(URL)
    sentence = [row for row in rows if row.startswith(" " * at["finding"])]
    assert len(sentence) > 1  # 80 columns are too few
    said = " ".join([rows[0][: -len(URL)], *sentence])
    assert "one two three four five six seven eight nine ten" in " ".join(said.split())
    last = rows[1 + len(sentence)]
    assert last[at["rows"] - 1 :].startswith("1,234  fine")
    assert last.index("my photos/a.jpg") == at["file"]


SCORES = """
from featurekit.cli._output import Cell, print_table
head = ["features", "model", *(Cell(name, f"{name} score, %", is_prose=True) for name in "abcdefg")]
print_table(head, [["dlib_age", "svm", *["90.0 ± 10.0"] * 7]], n_always=3)
"""


@pytest.mark.parametrize(("columns", "n_shown"), [(106, 7), (105, 6), (80, 5), (20, 1)])
def test_scores_that_a_narrow_terminal_has_no_room_for_are_named_below_the_table(columns, n_shown):
    head, row, *last = on_terminal(sys.executable, "-c", SCORES, columns=columns, NO_COLOR="1").splitlines()
    assert columns == 20 or max(map(width_of, (head, row))) <= columns
    assert row.count("90.0 ± 10.0") == n_shown
    left = [f"{name} score, %" for name in "abcdefg"[n_shown:]]
    what = "1 more column needs" if len(left) == 1 else f"{len(left)} more columns need"
    assert last == ([f"{what} a wider terminal: {'; '.join(left)}"] if left else [])


def test_the_head_is_bold_and_errors_are_colored():
    shown = "\n".join(table_on_terminal())
    assert "\x1b[1mname\x1b[0m" in shown
    assert "\x1b[31mmy photos/a.jpg\x1b[0m" in shown
    assert "\x1b[31m\x1b[1merror:\x1b[0m wrong" in shown
    assert "\x1b[33m\x1b[1mwarning:\x1b[0m look" in shown
    assert shown.endswith("\nnote: as an error: it is none")


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_a_terminal_without_colors_gets_the_same_text(environment):
    lines = table_on_terminal(**environment)
    assert "\x1b" not in "".join(lines)
    assert lines == [STYLED.sub("", line) for line in table_on_terminal(NO_COLOR="")]


def test_a_pipe_gets_lines_with_tabs():
    printed = subprocess.run(
        [sys.executable, "-c", PRINTS], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert printed.stdout.splitlines()[:2] == ["models", "name\trows\tfinding\tfile"]
    assert printed.stdout.splitlines()[3] == "svm\t1,234\tfine\tmy photos/a.jpg"
    assert printed.stderr.splitlines()[0] == "error: wrong"


def test_what_a_cell_holds_cannot_steer_the_terminal():
    layout = Layout.of(["a"], [["x\x1b[2Jy"]], is_colored=True)
    assert list(layout.lines(["x\x1b[2Jy"])) == ["x\\x1b[2Jy"]


def test_a_cell_of_several_lines_stays_in_its_column():
    cell = Cell({}, "code: MIT\nweights: MIT")
    layout = Layout.of(["a", "licences", "b"], [["x", cell, "y"]], is_colored=False)
    assert list(layout.lines(["x", cell, "y"])) == ["x  code: MIT     y", "   weights: MIT"]


def test_doctor_prints_each_finding_when_it_is_known():
    """A finding is on the terminal before the next one is looked for."""
    program = """
import sys
from featurekit.cli import app
from featurekit.findings import Finding
from featurekit.ops import doctor

def slowly(workspace):
    for name, kind, severity in (
        ("numpy", Finding, "ok"), ("threads", Finding, "warning"), ("cv2", doctor.Missing, "error"),
        ("torch", Finding, "error"),
    ):
        yield kind(name=name, severity=severity, count=0, of=0, what="it is so", advice="do this")
        print("<after", name, end=">", flush=True)

doctor.findings_one_by_one = slowly
sys.argv = ["featurekit", "doctor"]
app.main()
"""
    head, *lines = on_terminal(sys.executable, "-c", program).splitlines()
    assert STYLED.sub("", head).split() == ["topic", "status", "finding"]
    colors = [("numpy", "32mok"), ("threads", "33mwarning"), ("cv2", "33mmissing"), ("torch", "31mwrong")]
    for line, before, (name, status) in zip(lines, ["", *(name for name, _ in colors)], colors, strict=False):
        assert line.startswith(f"<after {before}>{name} " if before else f"{name} ")
        assert f"\x1b[{status}\x1b[0m" in line
    assert lines[4].startswith("<after torch>")
    assert [line.split(">")[-1] for line in lines[4:]] == [
        "threads: do this",
        "cv2: do this",
        "torch: do this",
    ]


# Counts as an extraction does: the networks are loaded before the first image is done.
COUNTS = """
import sys, time
from featurekit.api.telling import shown
with shown(True, "extracting", "images") as progress:
    progress(0, 1000)
    time.sleep(float(sys.argv[1]))
    for done in (1, 2, 3):
        progress(done, 1000)
        time.sleep(0.15)
"""


def states_of_a_bar(seconds, **environment):
    shown = on_terminal(sys.executable, "-c", COUNTS, seconds, columns=100, **environment)
    return [STYLED.sub("", state) for state in re.split(r"[\r\n]", shown)]


def test_a_bar_has_count_and_time_while_networks_load():
    states = states_of_a_bar("1.2")
    assert any(re.search(r"extracting ━+ 0/1,000 0:00:00\s*$", state) for state in states)
    assert any(re.search(r" 0/1,000 0:00:01\s*$", state) for state in states)  # nothing was counted since
    assert any(re.search(r" 3/1,000 0:00:01 [\d.,]+ images/s 0:0\d:\d\d left", state) for state in states)


def test_a_terminal_that_cannot_draw_gets_no_bar():
    assert "━" not in "".join(states_of_a_bar("0.2", TERM="dumb"))


def test_a_bar_without_colors_is_drawn_without_them():
    shown = on_terminal(sys.executable, "-c", COUNTS, "0.2", columns=100, NO_COLOR="1")
    assert "0/1,000" in shown
    assert not re.search(r"\x1b\[(3|9)\dm", shown)
