"""Measure two or more ways of doing one job, side by side.

Each *side* is a process of its own, in a virtual environment of its own, on the same files, the same
cores and the same number of threads. The sides take turns, A B A B …, so that what else the machine does
falls on all of them; what counts is the median, and the range is shown beside it. A side says how long the
work took without imports and without opening its networks, unless its comparison says otherwise.

A side is a script that is given a JSON file (the *job*) and prints one line of JSON (the *answer*):

    {"seconds": 1.25, "n": 100, "versions": {"numpy": "2.4.6"}, "scores": {...}, "details": {...}}

or {"skipped": "why this machine cannot"}. Whatever else it prints is shown only if it fails.

    python benchmarks/_side_by_side.py --readme     # write "The last run" of benchmarks/README.md anew
"""

import argparse
import html
import json
import os
import platform
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

BENCHMARKS = Path(__file__).resolve().parent
CHECKOUT = BENCHMARKS.parent
RESULTS = BENCHMARKS / "results"
ENVIRONMENTS = BENCHMARKS / ".rivals"
README = BENCHMARKS / "README.md"

# What decides how fast a processor multiplies.
FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8")
# Cores that other programs may use while a side runs. Beyond, a ratio says little: threads that wait for each
# other by spinning have been seen to take ten times as long beside a busy neighbour.
DISTURBANCE = 0.15
# Fewer rounds give no median worth the name.
ROUNDS = 3
TAIL = 2500  # characters of a failed side's output that are kept

_NAME = re.compile(r"(\d{1,3})_([01])_[0-4]_\d{8,}\.jpg\.chip\.jpg")


@dataclass(frozen=True)
class Environment:
    """A virtual environment of a rival, made on first use.

    Attributes:
        name: its folder below benchmarks/.rivals.
        requirements: what pip installs, each pinned.
    """

    name: str
    requirements: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Side:
    """One way of doing the job.

    Attributes:
        name: short, for tables and plots.
        about: what it does, in a line.
        script: what is run; with "--worker" before the job where it is featurekit's own.
        job: what it is told, as plain JSON values; "threads", "scratch" and "round", from 0, are added.
        environment: where it runs; None for featurekit's, the interpreter that runs the benchmark.
    """

    name: str
    about: str
    script: Path
    job: Mapping[str, Any]
    environment: Environment | None = None


@dataclass
class Measured:
    """What one side answered, round by round.

    Attributes:
        name, about: the side's.
        is_ours: whether it is featurekit.
        answers: one a round.
        others: cores that other programs used meanwhile, one number a round; empty where nobody can say.
        failed: why it gave none, with the end of its output.
        skipped: why this machine cannot run it.
    """

    name: str
    about: str
    is_ours: bool
    answers: list[dict[str, Any]] = field(default_factory=list)
    others: list[float] = field(default_factory=list)
    failed: str = ""
    skipped: str = ""

    @property
    def seconds(self) -> list[float]:
        """Of each round."""
        return [float(answer["seconds"]) for answer in self.answers]

    @property
    def n(self) -> int:
        """Pieces of work in a round."""
        return int(self.answers[-1].get("n", 1)) if self.answers else 0

    @property
    def last(self) -> dict[str, Any]:
        """The last answer; scores and details are the same in every round, but where chance takes part."""
        return self.answers[-1] if self.answers else {}

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON values, without what only verdicts need."""
        content: dict[str, Any] = {"name": self.name, "about": self.about, "is_ours": self.is_ours}
        if self.failed or self.skipped:
            return {**content, "failed": self.failed, "skipped": self.skipped}
        middle, low, high = spread(self.seconds)
        return {
            **content,
            "n": self.n,
            "seconds": [round(seconds, 4) for seconds in self.seconds],
            "median": round(middle, 4),
            "range": [round(low, 4), round(high, 4)],
            "cores_used_by_others": [round(cores, 2) for cores in self.others],
            "scores": self.last.get("scores", {}),
            "notes": self.last.get("notes", []),
            "versions": self.last.get("versions", {}),
        }


@dataclass(frozen=True)
class Verdict:
    """One thing that was wanted, and whether it was reached.

    Attributes:
        what: in words.
        wanted: in words.
        got: as measured.
        reached: whether it was.
        timed: whether it is about time, so that a busy neighbour can turn it.
    """

    what: str
    wanted: str
    got: str
    reached: bool
    timed: bool = False


Judge = Callable[[Mapping[str, Measured]], list[Verdict]]


@dataclass(frozen=True, kw_only=True)
class Case:
    """Sides that take turns on one job.

    Attributes:
        title: what the job is.
        unit: what is counted, e.g. "pictures": shown a second; "" where only the seconds count.
        sides: in the order in which they take turns.
        judge: (name → measured) → verdicts; only called with sides that answered.
        files: read once before, so that no side waits for the disk.
    """

    title: str
    unit: str
    sides: Sequence[Side]
    judge: Judge
    files: Sequence[Path] = ()


# ---------------------------------------------------------------- arithmetic


def spread(numbers: Sequence[float]) -> tuple[float, float, float]:
    """Return the median, the least and the greatest.

    >>> spread([3.0, 1.0, 10.0])
    (3.0, 1.0, 10.0)
    """
    return statistics.median(numbers), min(numbers), max(numbers)


def ratio(slower: Measured, faster: Measured) -> float:
    """Return how many times as long the one takes for a piece of work as the other, by medians."""
    each = [spread(side.seconds)[0] / max(1, side.n) for side in (slower, faster)]
    return each[0] / each[1]


def at_least(sides: Mapping[str, Measured], ours: str, rival: str, factor: float) -> list[Verdict]:
    """Judge whether one side is so many times as fast as another; nothing where one gave no answer."""
    if ours not in sides or rival not in sides:
        return []
    got = ratio(sides[rival], sides[ours])
    pairs = [
        (theirs / max(1, sides[rival].n)) / (own / max(1, sides[ours].n))
        for theirs, own in zip(sides[rival].seconds, sides[ours].seconds, strict=False)
    ]
    digits = 1 if factor > 1 else 2
    text = f"{got:.{digits}f}× (rounds {min(pairs):.{digits}f} to {max(pairs):.{digits}f})"
    return [Verdict(f"{ours} against {rival}", f"≥ {factor:g}×", text, got >= factor, timed=True)]


# ---------------------------------------------------------------- running


def options_for(description: str | None, *, limit: int | None = None) -> argparse.ArgumentParser:
    """Return a parser with the options that every comparison has.

    Args:
        description: the script's docstring.
        limit: how many pictures by default; None where it reads none.
    """
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="how often each side has its turn")
    parser.add_argument("--threads", type=int, default=2, help="of every side, and cores it may use")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder for the JSON file and the plot")
    if limit is not None:
        data = Path(os.environ.get("FEATUREKIT_TEST_DATA", CHECKOUT.parent / "shared" / "data"))
        parser.add_argument("--data", type=Path, default=data / "utkface", help="folder of UTKFace")
        parser.add_argument("--limit", type=int, default=limit, help="so many pictures, spread over the set")
    return parser


def compare(
    name: str, title: str, cases: Sequence[Case], options: argparse.Namespace, *, complete: bool
) -> int:
    """Run all cases, print what came out, write it as JSON and as a plot.

    Args:
        name: what the files are called.
        title: what is compared, in a line.
        cases: run one after the other.
        options: from options_for().
        complete: whether this is the comparison in its full size; a trial stands in no README.

    Returns:
        The exit code: 1 where a side failed, whatever the others gave.
    """
    cores = keep_to_cores(options.threads)
    result: dict[str, Any] = {
        "name": name,
        "title": title,
        "created": now(),
        "command": command_line(sys.argv),
        "complete": complete and options.rounds >= ROUNDS,
        "rounds": options.rounds,
        "hardware": {**hardware(), "threads": options.threads, "cores_used": cores},
        "cases": [],
    }
    print(f"{title}\n{in_words(result['hardware'])}\n", flush=True)
    failed = False
    for case in cases:
        measured = run_case(case, options.rounds, options.threads)
        failed |= any(side.failed for side in measured)
        answered = {side.name: side for side in measured if side.answers and not side.failed}
        verdicts = case.judge(answered)
        content = {
            "title": case.title,
            "unit": case.unit,
            "sides": [side.to_json() for side in measured],
            "verdicts": [asdict(verdict) for verdict in verdicts],
        }
        result["cases"].append(content)
        print(case_in_words(content), flush=True)
    if disturbance(result):
        print(disturbance(result) + "\n", flush=True)
    write_result(result, options.results)
    return 1 if failed else 0


def write_result(result: Mapping[str, Any], folder: Path) -> None:
    """Write a result as JSON and, where it has sides, as a plot."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(result, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    (folder / f"{result['name']}.json").write_text(text)
    if any(case["sides"] for case in result["cases"]):
        (folder / f"{result['name']}.svg").write_text(plot(result))
    print(f"Wrote {result['name']}.json" + ("" if result["complete"] else "; this was a trial."))


def write_table(result: Mapping[str, Any], title: str, verdicts: Sequence[Verdict], folder: Path) -> None:
    """Print lines that compare no sides, and write them as JSON.

    Args:
        result: the result but for its cases, the time and the command.
        title: title of the lines.
        verdicts: the lines.
        folder: folder for the JSON file.
    """
    case = {"title": title, "unit": "", "sides": [], "verdicts": [asdict(one) for one in verdicts]}
    print(case_in_words(case))
    made = {"created": now(), "command": command_line(sys.argv), "cases": [case]}
    write_result({**result, **made}, folder)


def now() -> str:
    """Return the time as it stands in results."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def run_case(case: Case, rounds: int, threads: int) -> list[Measured]:
    """Let the sides take turns; one that fails or is skipped has no further turn."""
    measured = [Measured(side.name, side.about, side.environment is None) for side in case.sides]
    pythons = [
        Path(sys.executable) if side.environment is None else interpreter_of(side.environment)
        for side in case.sides
    ]
    for path in case.files:
        path.read_bytes()
    print(case.title, flush=True)
    for number in range(rounds):
        for side, python, answers in zip(case.sides, pythons, measured, strict=True):
            if answers.failed or answers.skipped:
                continue
            take_turn(side, python, threads, answers)
            what = answers.failed or answers.skipped or f"{answers.seconds[-1]:.3f} s"
            if answers.others and answers.others[-1] > DISTURBANCE:
                what += f" (disturbed: others used {answers.others[-1]:.1f} cores)"
            print(f"  round {number + 1}, {side.name}: {what}", flush=True)
    return measured


def take_turn(side: Side, python: Path, threads: int, measured: Measured) -> None:
    """Run one side once and keep its answer, or why there is none."""
    with tempfile.TemporaryDirectory(prefix="featurekit-benchmark.") as scratch:
        job = Path(scratch) / "job.json"
        told = {"threads": threads, "scratch": scratch, "round": len(measured.answers)}
        job.write_text(json.dumps({**side.job, **told}))
        own = ["--worker"] if side.environment is None else []
        busy, used, started = busy_seconds(), seconds_of_children(), time.monotonic()
        ended = subprocess.run(
            [str(python), str(side.script), *own, str(job)],
            env=environment_variables(threads),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
        elapsed, used = time.monotonic() - started, seconds_of_children() - used
        others = max(0.0, busy_seconds() - busy - used) / elapsed
    answer = answer_in(ended.stdout)
    if ended.returncode or answer is None:
        output = without_paths(ended.stdout[-TAIL:].strip())
        measured.failed = f"ended with {ended.returncode} and no answer:\n{output}"
    elif "skipped" in answer:
        measured.skipped = str(answer["skipped"])
    else:
        measured.answers.append(answer)
        measured.others += [others] if busy else []


def answer_in(output: str) -> dict[str, Any] | None:
    """Return the last line that is an answer; libraries print what they like before and after it."""
    for line in reversed(output.splitlines()):
        if line.startswith("{"):
            try:
                answer = json.loads(line)
            except ValueError:
                continue
            if isinstance(answer, dict) and ("seconds" in answer or "skipped" in answer):
                return answer
    return None


def environment_variables(threads: int) -> dict[str, str]:
    """Return the environment of a side: as many threads as allowed, no modules of somebody else."""
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    for name in ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "VECLIB_MAXIMUM"):
        variables[f"{name}_NUM_THREADS"] = str(threads)
    return {**variables, "PYTHONUNBUFFERED": "1"}


def keep_to_cores(threads: int) -> int:
    """Keep this process and all it starts to as many cores as threads; return how many it has got."""
    if not hasattr(os, "sched_setaffinity"):
        return os.cpu_count() or 1
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    return len(os.sched_getaffinity(0))


def interpreter_of(environment: Environment) -> Path:
    """Return an environment's Python; it is made anew where its requirements have changed."""
    folder = ENVIRONMENTS / environment.name
    python, made_of = folder / "bin" / "python", folder / "requirements.txt"
    wanted = "\n".join(environment.requirements) + "\n"
    if python.exists() and made_of.is_file() and made_of.read_text() == wanted:
        return python
    print(f"Making the environment {environment.name}: {', '.join(environment.requirements)}", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    for command in (
        [sys.executable, "-m", "venv", str(folder)],
        [str(python), "-m", "pip", "install", "--quiet", "--no-input", *environment.requirements],
    ):
        ended = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        if ended.returncode:
            sys.exit(f"The environment {environment.name} cannot be made:\n{ended.stdout[-TAIL:]}")
    made_of.write_text(wanted)  # last, so that a broken environment is made again
    return python


# ---------------------------------------------------------------- pictures


@contextmanager
def pictures_of_utkface(data: Path, limit: int) -> Iterator[Path]:
    """Give a folder of copies of UTKFace's pictures: labels in every name, no two of the same bytes.

    Args:
        data: the data set, or the folder above it.
        limit: so many at most, every k-th of those there are.
    """
    folder = data / "UTKFace" if (data / "UTKFace").is_dir() else data
    if not folder.is_dir():
        sys.exit(f"There is no UTKFace at {data}. Say where it is with --data.")
    named = sorted(path for path in folder.iterdir() if labels_of(path))
    with tempfile.TemporaryDirectory(prefix="featurekit-pictures.") as scratch:
        chosen = Path(scratch) / "UTKFace"
        chosen.mkdir()
        seen: set[bytes] = set()
        for path in spread_out(named, limit):
            content = path.read_bytes()
            digest = sha256(content).digest()
            if digest not in seen:
                seen.add(digest)
                (chosen / path.name).write_bytes(content)
        yield chosen


def labels_of(path: Path) -> tuple[float, str] | None:
    """Return age and gender that a file name of UTKFace tells; None where it does not.

    >>> labels_of(Path("61_1_3_20170109150557335.jpg.chip.jpg"))
    (61.0, 'female')
    """
    found = _NAME.fullmatch(path.name)
    return (float(found[1]), ("male", "female")[int(found[2])]) if found else None


def spread_out(things: Sequence[Any], limit: int) -> list[Any]:
    """Return so many at most, at equal distances.

    >>> spread_out("abcdef", 3)
    ['a', 'c', 'e']
    """
    n = min(limit, len(things))
    return [things[i * len(things) // n] for i in range(n)]


# ---------------------------------------------------------------- the machine


def hardware() -> dict[str, Any]:
    """Return what the speeds depend on, before anything has run."""
    try:
        cpuinfo = Path("/proc/cpuinfo").read_text()
    except OSError:
        cpuinfo = ""
    model = re.search(r"^model name\s*:\s*(.+)$", cpuinfo, re.M)
    flags = re.search(r"^flags\s*:\s*(.+)$", cpuinfo, re.M)
    has = set(flags[1].split()) if flags else set()
    return {
        "processor": model[1].strip() if model else platform.processor() or platform.machine(),
        "flags": [flag for flag in FLAGS if flag in has],
        "cores": os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9),
        "system": platform.system(),
        "load_before": round(os.getloadavg()[0], 2),
    }


def busy_seconds() -> float:
    """Return how long the cores that may be used here have been busy, with anybody's work; 0 if unknown."""
    try:
        lines = Path("/proc/stat").read_text().splitlines()
    except OSError:
        return 0.0
    cores = {f"cpu{core}" for core in os.sched_getaffinity(0)}
    ticks = 0
    for name, *fields in (line.split() for line in lines if line.startswith("cpu")):
        if name in cores:
            user, nice, system, _idle, _waiting, interrupts, soft, stolen = map(int, fields[:8])
            ticks += user + nice + system + interrupts + soft + stolen
    return ticks / os.sysconf("SC_CLK_TCK")


def seconds_of_children() -> float:
    """Return the processor time of all sides that have ended, with the processes they waited for."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def disturbance(result: Mapping[str, Any]) -> str:
    """Return a sentence where other programs used the cores in a round; "" where the machine was quiet."""
    sides = [side for case in result["cases"] for side in case["sides"]]
    most = max([cores for side in sides for cores in side.get("cores_used_by_others", [])], default=0.0)
    if most <= DISTURBANCE:
        return ""
    return f"The machine was not quiet: other programs used up to {most:.1f} cores, so that no ratio is sure."


def machine_name(machine: Mapping[str, Any]) -> str:
    """Return the name of the processor, after that of the GPU where one took part."""
    return " beside ".join(filter(None, (machine.get("gpu", ""), machine["processor"])))


def in_words(machine: Mapping[str, Any]) -> str:
    """Return one line about the machine."""
    return (
        f"{machine_name(machine)} ({', '.join(machine['flags']) or 'no vector extension known here'}),"
        f" {machine['cores']} cores of which {machine['cores_used']} are used, {machine['threads']} threads"
        f" a side, {machine['memory_gb']} GB, load {machine['load_before']} before"
    )


def command_line(words: Sequence[str]) -> str:
    """Return the command as typed from a checkout, without folders of this machine.

    >>> command_line(["/x/benchmarks/torch_loop.py", "--data", "/y/utkface"])
    'python benchmarks/torch_loop.py --data …/utkface'
    """
    shown = [f"…/{Path(word).name}" if word.startswith("/") else word for word in words[1:]]
    return " ".join(["python", f"benchmarks/{Path(words[0]).name}", *shown])


def without_paths(text: str) -> str:
    """Return a text without the folders of this machine."""
    for folder in (ENVIRONMENTS, CHECKOUT, Path(sys.prefix), Path(tempfile.gettempdir()), Path.home()):
        if folder != Path("/"):
            text = text.replace(str(folder), "…")
    return text


# ---------------------------------------------------------------- telling


def speed_of(side: Mapping[str, Any], unit: str) -> str:
    """Return a side's median and range in words, as a rate where something is counted."""
    if side.get("failed") or side.get("skipped"):
        return "failed" if side.get("failed") else f"not run: {side['skipped']}"
    low, high = side["range"]
    if not unit:
        return f"{side['median']:.2f} s ({low:.2f} to {high:.2f})"
    rate, slowest, fastest = (side["n"] / seconds for seconds in (side["median"], high, low))
    return f"{rate:,.1f} {unit}/s ({slowest:,.1f} to {fastest:,.1f})"


def case_in_words(case: Mapping[str, Any]) -> str:
    """Return a case as lines of text."""
    lines = []
    for side in case["sides"]:
        lines.append(f"  {side['name']}: {speed_of(side, case['unit'])}")
        versions = ", ".join(f"{name} {number}" for name, number in side.get("versions", {}).items())
        scores = ", ".join(f"{name} {value}" for name, value in side.get("scores", {}).items())
        lines += [f"      {text}" for text in (scores, *side.get("notes", []), versions) if text]
    for verdict in case["verdicts"]:
        said, status = f"{verdict['what']}: {verdict['got']}", status_of(verdict, case)
        lines.append(f"  {status}: {said}, wanted {verdict['wanted']}" if status else f"  {said}")
    return "\n".join(lines) + "\n"


def plot(result: Mapping[str, Any]) -> str:
    """Return the medians as bars with their ranges, as an SVG picture."""
    width, left, right, bar, gap = 900, 270, 250, 22, 12
    room = width - left - right
    top = 64
    parts: list[str] = []

    def text(x: float, y: float, words: str, size: int, extra: str = "") -> None:
        parts.append(f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" {extra}>{html.escape(words)}</text>')

    y = float(top)
    for case in result["cases"]:
        text(24, y + 14, case["title"], 15, 'font-weight="bold"')
        y += 30
        ends = {id(side): _bar_ends(side, case["unit"]) for side in case["sides"]}
        longest = max([end for found in ends.values() if found for end in found] or [1.0])
        for side in case["sides"]:
            text(left - 12, y + bar * 0.7, side["name"], 13, 'text-anchor="end"')
            found = ends[id(side)]
            if found is None:
                text(left, y + bar * 0.7, "failed" if side.get("failed") else "not run here", 13)
            else:
                middle, low, high = (end / longest * room for end in found)
                color = "#1f6f8b" if side["is_ours"] else "#aab4bb"
                parts.append(
                    f'<rect x="{left}" y="{y:.1f}" width="{middle:.1f}" height="{bar}" fill="{color}"/>'
                    f'<path d="M{left + low:.1f} {y + bar / 2:.1f}H{left + high:.1f}'
                    f"M{left + low:.1f} {y + 6:.1f}v{bar - 12}M{left + high:.1f} {y + 6:.1f}v{bar - 12}"
                    '" stroke="#1b1f23" stroke-width="1.5" fill="none"/>'
                )
                text(left + max(middle, high) + 10, y + bar * 0.7, speed_of(side, case["unit"]), 13)
            y += bar + gap
        y += 20
    machine = result["hardware"]
    foot = f"{machine_name(machine)}, {machine['threads']} threads a side; bars are medians of"
    foot += f" {result['rounds']} rounds, lines reach from the least to the greatest"
    text(24, y + 4, foot, 11, 'fill="#57606a"')
    if not result["complete"]:
        text(width - 24, 36, "trial", 15, 'text-anchor="end" fill="#b42318"')
    if disturbance(result):
        y += 18
        text(24, y + 4, disturbance(result), 11, 'fill="#b42318"')
    height = y + 24
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height:.0f}" width="{width}"'
        f' height="{height:.0f}" font-family="DejaVu Sans, Helvetica, Arial, sans-serif" fill="#1b1f23">'
        f'<rect width="{width}" height="{height:.0f}" fill="#ffffff"/>'
        f'<text x="24" y="36" font-size="18" font-weight="bold">{html.escape(result["title"])}</text>'
    )
    return "\n".join([head, *parts, "</svg>"]) + "\n"


def _bar_ends(side: Mapping[str, Any], unit: str) -> tuple[float, float, float] | None:
    """Return median, least and greatest of what a bar shows; None for a side without an answer."""
    if side.get("failed") or side.get("skipped"):
        return None
    seconds = (side["median"], *side["range"])
    if not unit:
        return seconds[0], seconds[1], seconds[2]
    return side["n"] / seconds[0], side["n"] / seconds[2], side["n"] / seconds[1]


def status_of(verdict: Mapping[str, Any], case: Mapping[str, Any]) -> str:
    """Return whether something was reached, "" where nothing was wanted; a disturbed ratio is not sure."""
    if verdict["wanted"] == "-":
        return ""
    status = "reached" if verdict["reached"] else "NOT REACHED"
    most = max([cores for side in case["sides"] for cores in side.get("cores_used_by_others", [])], default=0)
    return f"{status}, but disturbed" if verdict["timed"] and most > DISTURBANCE else status


def last_run(results: Sequence[Mapping[str, Any]]) -> str:
    """Return the section of README that tells the last run of each comparison, from its results."""
    results = [result for result in results if result["complete"]]
    if not results:
        return "Nothing has been run in full yet.\n"
    lines = [line for result in results for line in _told(result)]
    if not any(result["name"] == "gpu" for result in results):
        lines += [
            "### Networks on a GPU",
            "",
            "    python benchmarks/gpu.py",
            "",
            "This was not run on a GPU yet.",
            "",
        ]
    return "\n".join(lines)


def _told(result: Mapping[str, Any]) -> Iterator[str]:
    """Give the lines that tell one comparison."""
    yield from (f"### {result['title']}", "", f"    {result['command']}", "")
    yield from (f"{in_words(result['hardware'])}; {result['rounds']} rounds, {result['created']}.", "")
    if disturbance(result):
        yield from (f"**{disturbance(result)}**", "")
    if left_out := result.get("left_out"):
        yield from (*(f"- Left out: {what}" for what in left_out), "")
    versions: set[str] = set()
    for case in result["cases"]:
        if case["sides"]:
            yield from (f"| {case['title']} | median (range) |", "| --- | --- |")
            yield from (f"| {side['name']} | {speed_of(side, case['unit'])} |" for side in case["sides"])
            yield ""
        if case["verdicts"]:
            yield from ("| what | wanted | measured | |", "| --- | --- | --- | --- |")
            for verdict in case["verdicts"]:
                cells = (verdict["what"], verdict["wanted"], verdict["got"], status_of(verdict, case))
                yield f"| {' | '.join(cells)} |"
            yield ""
        told = False
        for side in case["sides"]:
            facts = [f"{name} {value}" for name, value in side.get("scores", {}).items()]
            facts += side.get("notes", [])
            if facts:
                told = True
                yield f"- {side['name']}: {'; '.join(facts)}"
            versions |= {f"{name} {number}" for name, number in side.get("versions", {}).items()}
        if told:
            yield ""
    if versions:
        yield from (f"Versions: {', '.join(sorted(versions))}.", "")
        yield from (f"![{result['title']}](results/{result['name']}.svg)", "")


START, END = "<!-- the last run: written by _side_by_side.py -->", "<!-- end of the last run -->"


def with_last_run(readme: str, section: str) -> str:
    """Return README's text with the section between its two marks replaced."""
    before, _, rest = readme.partition(START)
    _, _, after = rest.partition(END)
    return f"{before}{START}\n\n{section.strip()}\n\n{END}{after}"


def main() -> None:
    """Write README's section anew."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--readme", action="store_true", required=True, help="write it anew")
    parser.parse_args()
    results = [json.loads(path.read_text()) for path in sorted(RESULTS.glob("*.json"))]
    README.write_text(with_last_run(README.read_text(), last_run(results)))
    print(f"README tells {sum(result['complete'] for result in results)} comparisons.")


if __name__ == "__main__":
    main()
