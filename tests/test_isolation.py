"""What the command line leaves alone: the network, and every place that it was not told to write to.

Each command is run by itself, in a home where nothing is yet, with a proxy at which nobody answers. There
are two witnesses: Python's audit events, of every Python process that is started, which are always at hand;
and strace, which also hears compiled libraries. Both listen to the same run.
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from PIL import Image

from featurekit.cli.app import app
from featurekit.networks import weights

ROOT = Path(__file__).parents[1]
CACHE = Path("home", ".cache", "featurekit")
# Where a command may write, below the folder that it is run in; what is in tmp must be gone afterwards.
ITS_OWN = (CACHE, Path("work"), Path("out"), Path("tmp"))
# They are no places on a disk.
NO_DISK = ("/dev/null", "/dev/shm/", "/dev/tty", "/proc/")
# They look up what this machine is, its libraries and its fonts; only strace hears what a program does.
HARMLESS_PROGRAMS = {"uname", "ldconfig", "fc-list"}

LINEAR, CNN = (
    "work/models/gender--mean_color--logistic_regression",
    "work/models/gender--dlib_gender--multitask_cnn--epochs-1",
)
FACES = "out/faces/faces/synthetic0000"

WITHOUT_WEIGHTS = (
    "list",
    "doctor",
    "weights list",
    "weights verify",
    "prepare synthetic out/faces -o n_subjects=16 -o n_pictures=1",
    "extract --backbone mean_color --detector whole_image",
    "fit --model logistic_regression --target gender",
    "ensemble *--logistic_regression *--majority",
    "audit",
    "report --xlsx --model-card --faces thumb --output out/report.html",
    "fit --model logistic_regression --target gender --name later --no-models",
    "report --compare synthetic later",
    "verify-run --n 4",
    "log-mlflow --to sqlite:///out/runs.db",
    f"predict {FACES} --model {LINEAR} --output out/answers.csv --draw out/drawn",
    "embeddings describe",
    "embeddings map --output out/map.png",
    "cache ls",
    "cache verify",
    "cache gc",
    "-w out/part prepare synthetic out/faces -o n_subjects=16 -o n_pictures=1",
    "-w out/part extract --backbone mean_color --detector whole_image --shard 1/2",
    "cache merge out/part",
    "cache export mean_color out/vectors.parquet",
    "cache export mean_color out/faces.parquet --for embedding-atlas",
    "cache export mean_color out/fiftyone --for fiftyone",
    "explore --output out/marks.csv",
    "cache purge --subject 1",
)
WITH_WEIGHTS = (
    "weights verify",
    f"weights add {CACHE}/weights/gender-v1.onnx",
    "prepare table people.csv --root photos --column image_path=file --column subject_id=person"
    " --column gender=sex",
    "extract --backbone dlib_gender --backbone mobilenet_v2 --backbone pixels --detector whole_image",
    "fit --model multitask_cnn --features dlib_gender --epochs 1 --target gender --folds 2 --threads 1",
    "predict --sample-portrait --draw out/drawn",
    f"explain {CNN} photos/s0_0.png --output out/maps",
    f"export {CNN} out/network.onnx",
)


class Heard(NamedTuple):
    """What a command did: the addresses it asked for, the places it changed, the programs it started."""

    reached: list[str]
    changed: list[str]
    started: list[str]


# sitecustomize.py, which every Python imports before all else.
HOOK = """
import json, os, sys

log = os.open(os.environ["HEARD"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
# Where among what an event gives a path stands, and the folder that it is relative to.
CHANGES = {
    "os.mkdir": ((0, 2),), "os.rmdir": ((0, 1),), "os.remove": ((0, 1),), "os.rename": ((0, 2), (1, 3)),
    "os.link": ((1, 3),), "os.symlink": ((1, 2),), "os.chmod": ((0, 2),), "os.utime": ((0, 3),),
    "os.truncate": ((0, None),), "sqlite3.connect": ((0, None),),
}
ASKED = ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr", "socket.getnameinfo")
STARTS = ("subprocess.Popen", "os.exec", "os.posix_spawn")

def note(kind, what):
    os.write(log, (json.dumps([kind, what]) + "\\n").encode())

def changed(path, folder):
    if isinstance(path, (str, bytes, os.PathLike)):
        inside = "" if folder in (None, -1) else os.readlink(f"/proc/self/fd/{folder}")
        note("changed", os.path.abspath(os.path.join(inside, os.fsdecode(path))))

def hear(event, given):
    if event == "open":
        if given[2] & WRITES:
            changed(given[0], None)
    elif event in CHANGES:
        for path, folder in CHANGES[event]:
            changed(given[path], None if folder is None else given[folder])
    elif event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        if isinstance(given[1], tuple):  # a name is a socket on this machine's disk
            note("reached", str(given[1]))
    elif event in ASKED:
        note("reached", str(given[:2]))
    elif event in STARTS:
        note("started", os.path.basename(os.fsdecode(given[0])))
    elif event == "os.system":
        note("started", os.fsdecode(given[0]))

sys.addaudithook(hear)
"""


class AuditEvents:
    """Python's own account of itself."""

    command = ()

    def __init__(self, folder: Path) -> None:
        self.file = folder / "heard"
        (folder / "sitecustomize.py").write_text(HOOK)
        self.surroundings = {"PYTHONPATH": f"{folder}{os.pathsep}{ROOT}", "HEARD": str(self.file)}

    def heard(self) -> Heard:
        """Return what was heard since the last time."""
        notes = [json.loads(line) for line in self.file.read_text().splitlines()]
        self.file.unlink()
        return Heard(*([what for kind, what in notes if kind == name] for name in Heard._fields))


class Strace:
    """What the kernel was asked for."""

    _CHANGES = (
        "creat,mkdir,mkdirat,rename,renameat,renameat2,link,linkat,symlink,symlinkat,unlink,unlinkat,rmdir"
    )
    _MORE = "truncate,chmod,fchmodat,utimensat,mknod,mknodat"
    _SENDS = "connect,sendto,sendmsg,sendmmsg"
    _OPENS = "open,openat"
    _STARTS = "execve"

    @staticmethod
    def what_is_missing() -> str:
        """Return why strace cannot listen; "" if it can."""
        if shutil.which("strace") is None:
            return "strace is not installed: apt-get install strace"
        tried = subprocess.run(["strace", "-o", os.devnull, "true"], capture_output=True, check=False)
        return "strace may not trace here" if tried.returncode else ""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        calls = ",".join((self._CHANGES, self._MORE, self._SENDS, self._OPENS, self._STARTS))
        # A file a process (-ff), so that no line is cut in two by another's; folders by name (-y).
        self.command = (
            "strace",
            "-ff",
            "-y",
            "-qq",
            "--seccomp-bpf",
            "-e",
            f"trace=?{calls.replace(',', ',?')}",
        )
        self.command += ("-o", str(folder / "trace"))

    def heard(self) -> Heard:
        """Return what was heard since the last time."""
        heard = Heard([], [], [])
        for trace in self._folder.glob("trace.*"):
            for line in trace.read_text(errors="replace").splitlines():
                self._listen(line, heard)
            trace.unlink()
        return heard

    def _listen(self, line: str, heard: Heard) -> None:
        call, _, given = line.partition("(")
        if call in self._SENDS.split(","):
            if re.search(r"sa_family=AF_(?!UNIX|NETLINK|UNSPEC)", given):
                heard.reached.append(line)
            return
        if call == self._STARTS:
            program = Path(given.split('"')[1]).name
            if given.endswith(" = 0") and program == Path(sys.executable).name:  # it hears what others do
                heard.started.append(program)
            return
        is_change = call not in self._OPENS.split(",") or re.search("O_(WRONLY|RDWR|CREAT|TRUNC)", given)
        if not is_change or " = -1 " in given:
            return
        paths = re.findall(r'(?:<([^<>"]*)>, )?"((?:[^"\\]|\\.)*)"', given)
        for folder, path in paths if call.startswith("rename") else paths[-1:]:
            heard.changed.append(str(Path(folder, path)))


class Witnesses:
    """Both at once, or Python's audit events alone where strace cannot be had."""

    def __init__(self, folder: Path) -> None:
        self._audit = AuditEvents(folder)
        self._strace = None if Strace.what_is_missing() else Strace(folder)
        self.command = self._strace.command if self._strace else ()
        self.surroundings = self._audit.surroundings

    def heard(self) -> list[Heard]:
        """Return what each has heard since the last time."""
        found = [self._audit.heard()]
        if self._strace:
            heard = self._strace.heard()
            # The other witness writes down what it hears.
            own = [name for name in heard.changed if name != str(self._audit.file)]
            found.append(heard._replace(changed=own))
        return found


@pytest.fixture
def witness(tmp_path_factory: pytest.TempPathFactory) -> Witnesses:
    return Witnesses(tmp_path_factory.mktemp("witness"))


@pytest.fixture
def dead_proxy() -> Iterator[str]:
    """The address of a proxy at which nobody answers."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


Run = Callable[[str, AuditEvents | Witnesses], subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path, dead_proxy: str) -> Run:
    """Run a command in tmp_path, before a witness; CI's own variables would silence what is to be heard."""
    surroundings = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path / "home"),
        "TMPDIR": str(tmp_path / "tmp"),
        "HTTPS_PROXY": dead_proxy,
        "HTTP_PROXY": dead_proxy,
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_RETRIES": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        **{name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ},
    }
    for folder in ("home", "tmp"):
        (tmp_path / folder).mkdir()

    def start(command: str, witness: AuditEvents | Witnesses) -> subprocess.CompletedProcess[str]:
        words = [*witness.command, sys.executable, ROOT / "cli.py", "-w", "work", *command.split()]
        how: Any = {"cwd": tmp_path, "env": surroundings | witness.surroundings, "text": True}
        if command.startswith("explore"):
            return looked_at(words, **how)
        return subprocess.run(words, **how, capture_output=True, check=False)

    return start


def looked_at(words: list[str | Path], **how: Any) -> subprocess.CompletedProcess[str]:
    """Run a command that serves a page, look at each part of the page, write a mark, and end it by Ctrl-C."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(words, **how, **pipes, start_new_session=True) as served:
        address = served.stdout.readline().split()[-1]
        for place in ("", "page.js", "page.css", "faces.json", "face/0.jpg", "neighbours/0.json"):
            urllib.request.urlopen(address + place, timeout=30).close()
        marks = json.dumps({"version": "", "marks": [{"row": 0, "mark": "exclude"}]}).encode()
        sent = urllib.request.Request(address + "marks.json", marks, {"Content-Type": "application/json"})
        urllib.request.urlopen(sent, timeout=30).close()
        os.killpg(served.pid, signal.SIGINT)
        output, errors = served.communicate(timeout=30)
    return subprocess.CompletedProcess(words, served.returncode, output, errors)


def keeps_to_its_own(
    folder: Path, run: Run, witness: Witnesses, commands: tuple[str, ...]
) -> dict[str, list[Heard]]:
    """Run the commands one after the other, and check after each that it did nothing else."""
    on_the_way = {parent for place in ITS_OWN for parent in (folder / place).parents}

    def is_in(path: Path, places: tuple[Path, ...]) -> bool:
        return any(path.is_relative_to(folder / place) for place in places)

    def is_foreign(name: str) -> bool:
        path = Path(os.path.normpath(folder / name))
        return not (path in on_the_way or is_in(path, ITS_OWN) or str(path).startswith(NO_DISK))

    def others() -> set[Path]:
        """Return what there is, but for what stays after a command."""
        return {path for path in folder.rglob("*") if not is_in(path, (CACHE, Path("work"), Path("out")))}

    before = others() | on_the_way
    everything = {}
    for command in commands:
        done = run(command, witness)
        # A doctor may find something, in which case it has looked all the same.
        assert done.returncode == 0 or command == "doctor", f"{command}\n{done.stderr}"
        everything[command] = witness.heard()
        for heard in everything[command]:
            assert heard.reached == [], command
            assert [name for name in heard.changed if is_foreign(name)] == [], command
            assert set(heard.started) - {Path(sys.executable).name} <= HARMLESS_PROGRAMS, command
        assert others() - before == set(), command
    return everything


@pytest.mark.slow
def test_programs_that_are_not_python_are_heard_too(tmp_path):
    """Where strace cannot be had, this test is skipped and says why; the others then hear Python alone."""
    if missing := Strace.what_is_missing():
        pytest.skip(missing)
    strace = Strace(tmp_path)
    written = tmp_path / "written"
    subprocess.run([*strace.command, "touch", written], check=True)
    assert str(written) in strace.heard().changed


@pytest.mark.slow
def test_no_command_uses_the_network_or_writes_where_it_was_not_told(run, witness, tmp_path):
    keeps_to_its_own(tmp_path, run, witness, WITHOUT_WEIGHTS)


@pytest.mark.slow
def test_nor_do_the_processes_that_help_with_many_pictures(run, witness, tmp_path):
    from featurekit.embeddings.extractor import HELPERS_FROM

    (tmp_path / "crowd").mkdir()
    for number in range(HELPERS_FROM):
        Image.new("RGB", (8, 8), (number % 256, number // 256, 0)).save(tmp_path / "crowd" / f"{number}.png")
    names = [f"{number}.png,s{number},female" for number in range(HELPERS_FROM)]
    (tmp_path / "crowd.csv").write_text("\n".join(["image_path,subject_id,gender", *names]))
    extract = "extract --backbone mean_color --detector whole_image --threads 2"
    heard = keeps_to_its_own(
        tmp_path, run, witness, ("prepare table crowd.csv --root crowd", extract, "cache verify")
    )
    assert all(one.started.count(Path(sys.executable).name) >= 2 for one in heard[extract])


@pytest.mark.slow
@pytest.mark.weights
def test_no_command_that_runs_networks_does_either(run, witness, portraits):
    (portraits / CACHE / "weights").mkdir(parents=True)
    for name, entry in weights.WEIGHTS.items():
        if entry.is_builtin:
            shutil.copy(weights.path_of(name), portraits / CACHE / "weights")
    keeps_to_its_own(portraits, run, witness, WITH_WEIGHTS)


def every_command() -> set[str]:
    import typer

    def walk(command, words):
        below = getattr(command, "commands", {})
        return {" ".join(words)}.union(*(walk(one, (*words, name)) for name, one in below.items()))

    groups = {group.name for group in app.registered_groups}
    return walk(typer.main.get_command(app), ()) - groups - {""}


def test_no_command_is_forgotten_but_the_one_that_downloads():
    tried = (*WITHOUT_WEIGHTS, *WITH_WEIGHTS)
    forgotten = {
        name for name in every_command() if not any(f"{one} ".startswith(f"{name} ") for one in tried)
    }
    assert forgotten == {"weights fetch"}


@pytest.mark.parametrize("name", ["builtin", "resnet18"])
def test_weights_fetch_asks_the_proxy_and_says_in_a_line_that_nobody_answers(
    run, name, dead_proxy, tmp_path_factory
):
    witness = AuditEvents(tmp_path_factory.mktemp("witness"))
    done = run(f"weights fetch {name}", witness)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    reached = witness.heard().reached
    assert reached
    assert all(f"127.0.0.1', {dead_proxy.rpartition(':')[2]}" in address for address in reached)
