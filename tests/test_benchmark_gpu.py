"""What benchmarks/gpu.py does with its time, with what is not installed and with what it measures."""

import itertools
import json
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from functools import partial
from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The script as a module; what it imports from its own folder is gone after the test."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    yield import_module("gpu")
    for name in set(sys.modules) - before:
        if BENCHMARKS in Path(getattr(sys.modules[name], "__file__", None) or "/").parents:
            del sys.modules[name]


@pytest.fixture
def clock(gpu):
    return SimpleNamespace(now=0.0)


@pytest.fixture
def budget(gpu, clock):
    return gpu.Budget(100 + import_module("_in_turn").RESERVE, now=lambda: clock.now)


def side(gpu, name, seconds, n=8, details=None):
    answers = [{"seconds": each, "n": n, "details": details or {}} for each in seconds]
    return gpu.harness.Measured(name, "", name == gpu.OURS, answers)


def result_of(gpu, *, rounds=3, parts=("vgg16 on chips", "resnet50 on chips", "dlib_face on chips")):
    sides = [{"name": gpu.OURS, "seconds": [1.0] * rounds}, {"name": gpu.LOOP, "seconds": [1.0] * rounds}]
    return {"cases": [{"part": part, "sides": sides} for part in parts]}


# ---------------------------------------------------------------- time


def test_what_does_not_fit_into_the_time_is_left_out_aloud(budget, clock, capsys):
    assert budget.allows("the first", 99)
    clock.now = 60
    assert not budget.allows("the second", 50)
    assert not budget.allows("a further round", 30, 20)
    clock.now = 120
    assert not budget.allows("the third", 0)
    assert budget.left_out == [
        "the second: it takes about 50 s, and 40 s are left.",
        "a further round: it takes about 30 s, and 40 s are left, of which later parts need 20 s.",
        "the third: it takes about 0 s, and no time is left.",
    ]
    assert capsys.readouterr().out.splitlines() == [f"Left out: {line}" for line in budget.left_out]


def test_sides_take_turns_and_a_failing_one_has_no_further_turn(gpu, budget, capsys):
    order = []

    def works(name):
        order.append(name)
        return {"seconds": 1.0, "n": 2}

    def breaks():
        order.append("broken")
        raise ValueError(f"no face in {gpu.harness.CHECKOUT}")

    turns = [gpu.Turn(name, "", lambda name=name: works(name)) for name in ("A", "B")]
    measured = gpu.take_turns("a case", [*turns, gpu.Turn("broken", "", breaks)], 2, budget)
    assert order == ["A", "B", "broken", "A", "B"]
    assert [one.seconds for one in measured] == [[1.0, 1.0], [1.0, 1.0], []]
    assert measured[2].failed == "ValueError: no face in …"


def test_a_further_round_leaves_later_parts_their_time(gpu, budget, clock, monkeypatch):
    def takes_thirty_seconds():
        clock.now += 30
        return {"seconds": 1.0, "n": 1}

    budget.reserved = 30.0
    turn = gpu.Turn("A", "", takes_thirty_seconds)
    # 70 s are left after the first round and 40 s after the second, which is no longer enough.
    monkeypatch.setattr("_in_turn.time", SimpleNamespace(monotonic=lambda: clock.now))
    (measured,) = gpu.take_turns("a case", [turn], 3, budget)
    assert len(measured.answers) == 2
    assert budget.left_out == [
        "round 3 of a case: it takes about 30 s, and 40 s are left, of which later parts need 30 s."
    ]


def test_a_side_is_stopped_when_the_time_is_up_and_what_was_measured_stays(gpu, budget, clock):
    def quick():
        return {"seconds": 1.0, "n": 1}

    def never_ends():
        for clock.now in budget.watched(itertools.count()):
            pass

    turns = [gpu.Turn("quick", "", quick), gpu.Turn("slow", "", never_ends)]
    first, second = gpu.take_turns("a case", turns, 3, budget)
    assert len(first.answers) == 1
    assert clock.now == 100
    assert second.skipped == "there was no time"
    assert budget.left_out == ["the rest of a case: the time is up."]


def test_an_error_in_one_part_leaves_the_others(budget):
    def breaks():
        raise RuntimeError("out of memory\nand more")

    assert budget.attempt("vgg16 alone", breaks) is None
    assert budget.attempt("resnet50 alone", lambda: "fast") == "fast"
    assert budget.failed
    assert budget.left_out == ["vgg16 alone: RuntimeError: out of memory"]


# ---------------------------------------------------------------- what is measured


def test_a_network_counts_once_however_many_parts_it_has(gpu):
    import torch

    class Slow(torch.nn.Module):
        def forward(self, x):
            time.sleep(0.02)
            return x

    network = torch.nn.Sequential(Slow(), torch.nn.Sequential(Slow()))
    with gpu.Meter("cpu") as meter:
        network(torch.zeros(1))
        time.sleep(0.05)
        network(torch.zeros(1))
    network(torch.zeros(1))
    assert meter.seconds >= 0.08
    assert len(meter._marks) == 4


def test_on_a_gpu_its_own_events_count(gpu, monkeypatch):
    import torch

    class Event:
        """Each comes a quarter of a second after the one before."""

        count = 0

        def __init__(self, *, enable_timing):
            assert enable_timing

        def record(self):
            Event.count += 1
            self.milliseconds = 250.0 * Event.count

        def elapsed_time(self, end):
            return end.milliseconds - self.milliseconds

    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    with gpu.Meter("cuda") as meter:
        for _ in range(3):
            torch.nn.ReLU()(torch.zeros(1))
    assert meter.seconds == pytest.approx(0.75)


def test_samples_of_nvidia_smi_count_from_when_the_network_was_open(gpu):
    lines = [
        "2026/11/28 23:10:45.900, 0",
        "2026/11/28 23:10:46.100, 40",
        "2026/11/28 23:10:46.200, 80",
        "2026/11/28 23:10:46.3",
        "2026/11/28 23:10:47.900, 0",
    ]
    since, until = (datetime(2026, 11, 28, 23, 10, second) for second in (46, 47))
    assert gpu.sampled_share(lines, since, until) == 0.6
    assert gpu.sampled_share([], since, until) is None


@pytest.mark.parametrize(
    ("parts", "busy", "limit"),
    [
        ({"vgg16": 3.9}, 0.9, "the GPU, which was 90% busy"),
        (
            {"decode": 1.0, "detect": 6.0, "vgg16": 1.0},
            0.2,
            "detect on the CPU (6.00 ms a picture; 2 workers were 88% busy)",
        ),
        (
            {"decode": 1.0, "vgg16": 3.0, "write": 0.4},
            0.2,
            "the thread that feeds the GPU (copying crops and vectors 55%, computing 20%, writing 10% of the"
            " time)",
        ),
    ],
)
def test_the_limit_is_what_has_the_least_time_to_spare(gpu, parts, busy, limit):
    assert gpu.limit_of(parts, "vgg16", 2, 4.0, busy, 1000) == limit


def test_a_missed_goal_says_what_the_limit_is(gpu):
    ours = side(gpu, gpu.OURS, [1.0] * 3, details={"busy": 0.5, "limit": "detect on the CPU"})
    rivals = [side(gpu, gpu.LOOP, [30.0] * 3), side(gpu, gpu.LOADER, [2.0] * 3)]
    verdicts = gpu.judge([ours, *rivals], wants_busy=True)
    assert [(verdict.reached, verdict.wanted) for verdict in verdicts] == [
        (True, "≥ 20×"),
        (False, "≥ 3×"),
        (False, "≥ 70%"),
    ]
    assert verdicts[0].got == "30.0× (rounds 30.0 to 30.0)"
    assert verdicts[1].got == "2.0× (rounds 2.0 to 2.0); the limit is detect on the CPU"
    assert verdicts[2].got == "50% (rounds 50% to 50%); the limit is detect on the CPU"
    assert len(gpu.judge([ours, *rivals], wants_busy=False)) == 2
    assert gpu.judge(rivals, wants_busy=True) == []


def test_only_a_full_run_on_a_gpu_is_complete(gpu):
    assert gpu.is_complete(result_of(gpu))
    assert not gpu.is_complete(result_of(gpu) | {"stand_in": "a tiny size"})
    assert not gpu.is_complete(result_of(gpu, rounds=2))
    assert not gpu.is_complete(result_of(gpu, parts=("vgg16 on chips", "vgg16 on photographs")))


# ---------------------------------------------------------------- what is there


def test_without_a_gpu_it_says_so_and_measures_nothing(gpu, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr("featurekit.networks.engines.cuda_is_usable", lambda: False)
    assert gpu.main(["--results", str(tmp_path)]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("torch finds no GPU here")
    assert list(tmp_path.iterdir()) == []


def test_what_nothing_runs_without_is_named(gpu, monkeypatch, capsys):
    monkeypatch.setattr(gpu, "NEEDED", {"json": "json", "no_such_module": "no-such-package"})
    assert gpu.main(["--device", "cpu"]) == 1
    assert capsys.readouterr().out == (
        "Nothing can be measured: not installed are no-such-package. pip install no-such-package\n"
    )


@pytest.mark.parametrize(
    ("is_trained", "absent", "detector", "told"),
    [
        ({}, [], "whole_image", "finding faces: CenterFace's weights"),
        ({"centerface": True}, ["openvino"], "centerface_in_onnxruntime", "openvino, which is not installed"),
        ({"centerface": True}, ["openvino", "onnxruntime"], "whole_image", "finding faces: neither openvino"),
        ({"centerface": True}, [], "centerface", ""),
    ],
)
def test_faces_are_found_with_what_is_installed(gpu, budget, monkeypatch, is_trained, absent, detector, told):
    monkeypatch.setattr("_installed.find_spec", lambda name: None if name in absent else object())
    assert gpu.face_settings(is_trained, budget).detector == detector
    assert [line.startswith(told) for line in budget.left_out] == ([True] if told else [])


@pytest.mark.weights
def test_centerface_finds_the_same_face_in_onnxruntime(gpu):
    from skimage import data

    from featurekit.faces.find import find_faces, open_finder
    from featurekit.faces.settings import default_settings

    name = import_module("_installed").centerface_in_onnxruntime()
    one, other = (
        find_faces(data.astronaut(), open_finder(settings), settings)[0]
        for settings in (default_settings("centerface"), default_settings(name))
    )
    np.testing.assert_allclose(one.landmarks, other.landmarks, atol=0.1)


def test_untrained_weights_are_gone_after_the_run(gpu, tmp_path, monkeypatch):
    from featurekit.networks import weights

    monkeypatch.setenv("FEATUREKIT_HOME", str(tmp_path / "own"))
    monkeypatch.setattr(gpu._made, "untrained_weights", lambda network: network.encode())
    monkeypatch.setattr(gpu._made, "untrained_dlib_face", lambda: b"dlib")
    before = dict(weights.WEIGHTS)
    with gpu._made.home_with(tmp_path / "home", ["vgg16"], ["centerface", "dlib_face"]) as is_trained:
        assert is_trained == {"vgg16": False, "dlib_face": False}
        assert (weights.read("vgg16"), weights.read("dlib_face")) == (b"vgg16", b"dlib")
    assert before == weights.WEIGHTS
    assert weights.home() == tmp_path / "own"


def test_made_pictures_are_few_but_of_different_bytes(gpu, tmp_path):
    from PIL import Image

    made = gpu._made.drawn(2, 1)
    assert {gender for _, gender, _ in made} <= {"female", "male"}
    chips = gpu._made.write_chips(tmp_path / "chips", made, 5)
    assert len(chips) == len(set(chips.table["content"])) == 5
    assert chips.subjects.tolist() == ["p0", "p1", "p0", "p1", "p0"]
    photographs = gpu._made.write_photographs(tmp_path / "photographs", made, 2, (64, 48))
    with Image.open(photographs.root / photographs.table["image_path"][1]) as picture:
        assert picture.size == (64, 48)


def results_that_are_kept():
    return {path: path.read_bytes() for path in (BENCHMARKS / "results").rglob("*") if path.is_file()}


@pytest.mark.slow
def test_the_whole_runs_on_a_stand_in_which_is_never_kept(gpu, monkeypatch, tmp_path, capsys, request):
    import torch
    from PIL import Image

    # The script sets the number of threads of this process.
    request.addfinalizer(partial(torch.set_num_threads, torch.get_num_threads()))

    def flat(people, each):
        return [
            (person, ("female", "male")[person % 2], Image.new("RGB", (64, 64), (20 * person,) * 3))
            for person in range(people)
        ]

    kept = results_that_are_kept()
    monkeypatch.setenv("FEATUREKIT_HOME", str(tmp_path / "no weights"))
    monkeypatch.setattr(gpu._made, "drawn", flat)
    words = ["--device", "cpu", "--rounds", "1", "--threads", "1"]
    monkeypatch.setattr(gpu.harness, "keep_to_cores", lambda threads: threads)
    assert gpu.main([*words, "--results", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    result = json.loads((tmp_path / "gpu.json").read_text())
    assert [case["part"] for case in result["cases"]] == [
        "resnet18 on chips",
        "dlib_face on chips",
        "the CNN on five folds",
        "resnet18 on photographs",
        "dlib_face on photographs",
    ]
    sides = [side["name"] for side in result["cases"][0]["sides"]]
    assert sides == [gpu.OURS, gpu.LOOP, gpu.LOADER, gpu.LOADER_BF16]
    assert "tiny size on a CPU" in result["stand_in"]
    assert not result["complete"]
    assert all("UNTRAINED weights" in case["title"] for case in result["cases"])
    assert "NOT REACHED: featurekit against torch loop, fp32" in said
    assert "GPU busy" in said
    assert gpu.main([*words, "--seconds", "8", "--results", str(BENCHMARKS / "results")]) == 0
    assert "Nothing was kept. This was a trial." in capsys.readouterr().out
    assert results_that_are_kept() == kept
