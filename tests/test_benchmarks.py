"""The arithmetic and the words of the side-by-side benchmarks; no rival and no network is needed."""

import json
import sys
from dataclasses import asdict
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

from featurekit.networks import precisions
from featurekit.networks.engines.openvino import import_openvino

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def harness(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = spec_from_file_location("_side_by_side", BENCHMARKS / "_side_by_side.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "_side_by_side", module)
    spec.loader.exec_module(module)
    return module


def measured(harness, name, seconds, n=8, others=0.0):
    answers = [{"seconds": each, "n": n} for each in seconds]
    return harness.Measured(name, "", name == "featurekit", answers, [others] * len(answers))


def result_of(harness, sides, verdicts, *, complete=True):
    return {
        "name": "made_up",
        "title": "Made up",
        "created": "2026-01-01T00:00:00+00:00",
        "command": "python benchmarks/made_up.py",
        "complete": complete,
        "rounds": 3,
        "hardware": {
            "processor": "A processor",
            "flags": ["avx2"],
            "cores": 2,
            "cores_used": 2,
            "threads": 2,
            "memory_gb": 8,
            "load_before": 0.0,
        },
        "cases": [
            {
                "title": "A <job>",
                "unit": "pictures",
                "sides": [side.to_json() for side in sides],
                "verdicts": [asdict(verdict) for verdict in verdicts],
            }
        ],
    }


def test_a_ratio_is_of_medians_and_of_equal_pieces_of_work(harness):
    ours, rival = (
        measured(harness, "featurekit", [1.0, 9.0, 2.0]),
        measured(harness, "rival", [8.0, 4.0, 6.0], n=5),
    )
    assert harness.ratio(rival, ours) == pytest.approx((6.0 / 5) / (2.0 / 8))


@pytest.mark.parametrize(("factor", "reached"), [(3.0, True), (3.01, False)])
def test_a_ratio_is_reached_at_the_very_factor(harness, factor, reached):
    sides = {
        "featurekit": measured(harness, "featurekit", [1.0] * 3),
        "rival": measured(harness, "rival", [3.0] * 3),
    }
    (verdict,) = harness.at_least(sides, "featurekit", "rival", factor)
    assert verdict.reached is reached
    assert verdict.got == "3.0× (rounds 3.0 to 3.0)"


def test_no_ratio_is_told_of_a_side_without_an_answer(harness):
    sides = {"featurekit": measured(harness, "featurekit", [1.0])}
    assert harness.at_least(sides, "featurekit", "rival", 2.0) == []


def test_sides_take_turns_and_an_error_is_reported_with_its_output(harness, tmp_path, capfd):
    order = tmp_path / "order.txt"
    works, breaks = tmp_path / "works.py", tmp_path / "breaks.py"
    works.write_text(
        "import json, sys\n"
        "job = json.load(open(sys.argv[-1]))\n"
        "print(job['name'], file=open(job['order'], 'a'))\n"
        "print('a library says hello')\n"
        "print(json.dumps({'seconds': 1.5, 'n': 3}))\n"
        "print('{and goodbye')\n"
    )
    breaks.write_text(f"raise ValueError('no such face in {harness.CHECKOUT}')\n")
    sides = [
        harness.Side(name=name, about="", script=script, job={"name": name, "order": str(order)})
        for name, script in (("A", works), ("B", works), ("broken", breaks))
    ]
    case = harness.Case(title="a case", unit="", sides=sides, judge=lambda _: [])
    first, second, broken = harness.run_case(case, rounds=2, threads=1)
    assert order.read_text().split() == ["A", "B", "A", "B"]
    assert first.seconds == second.seconds == [1.5, 1.5]
    assert "ValueError: no such face in …" in broken.failed
    assert str(harness.CHECKOUT) not in broken.failed
    assert broken.answers == []
    assert "no such face" in capfd.readouterr().out


def test_a_side_that_this_machine_cannot_run_is_no_error(harness, tmp_path):
    script = tmp_path / "skips.py"
    script.write_text('print(\'{"skipped": "no bf16"}\')\n')
    side = harness.Side(name="A", about="", script=script, job={})
    answers = harness.Measured("A", "", True)
    harness.take_turn(side, Path(sys.executable), 1, answers)
    assert (answers.skipped, answers.failed) == ("no bf16", "")


def test_the_readme_tells_complete_results_and_leaves_the_rest_of_itself(harness):
    ours, rival = measured(harness, "featurekit", [1.0, 2.0, 4.0]), measured(harness, "rival", [10.0] * 3)
    verdicts = harness.at_least({"featurekit": ours, "rival": rival}, "featurekit", "rival", 8.0)
    readme = f"before\n{harness.START}\nold\n{harness.END}\nafter\n"
    told = harness.with_last_run(readme, harness.last_run([result_of(harness, [ours, rival], verdicts)]))
    assert told.startswith("before\n")
    assert told.endswith(f"{harness.END}\nafter\n")
    assert "old" not in told
    assert "| featurekit | 4.0 pictures/s (2.0 to 8.0) |" in told
    assert "| featurekit against rival | ≥ 8× | 5.0× (rounds 2.5 to 10.0) | NOT REACHED |" in told
    trial = result_of(harness, [ours, rival], verdicts, complete=False)
    assert harness.last_run([trial]) == "Nothing has been run in full yet.\n"


def test_the_readme_says_whether_there_was_a_gpu(harness):
    result = result_of(harness, [measured(harness, "featurekit", [1.0] * 3)], [])
    assert "This was not run on a GPU yet." in harness.last_run([result])
    on_gpu = result | {"name": "gpu", "left_out": ["openvino, which is not installed."]}
    on_gpu["hardware"] = result["hardware"] | {"gpu": "A GPU"}
    told = harness.last_run([result, on_gpu])
    assert "not run on a GPU" not in told
    assert "A GPU beside A processor (avx2)" in told
    assert "- Left out: openvino, which is not installed." in told
    assert "not run on a GPU" in harness.last_run([result, on_gpu | {"complete": False}])


def test_a_ratio_beside_a_busy_neighbour_says_so(harness):
    ours, rival = measured(harness, "featurekit", [1.0]), measured(harness, "rival", [9.0], others=1.2)
    verdicts = harness.at_least({"featurekit": ours, "rival": rival}, "featurekit", "rival", 8.0)
    result = result_of(harness, [ours, rival], verdicts)
    assert "reached, but disturbed" in harness.last_run([result])
    assert "1.2 cores" in harness.disturbance(result)


def test_a_plot_is_well_formed_and_escapes_words(harness):
    from xml.etree import ElementTree

    ours, lost = measured(harness, "featurekit", [1.0, 2.0]), harness.Measured("rival", "", False, failed="x")
    picture = harness.plot(result_of(harness, [ours, lost], []))
    words = [element.text for element in ElementTree.fromstring(picture).iter() if element.text]
    assert "A <job>" in words
    assert "failed" in words


def test_the_readme_in_the_checkout_is_what_the_results_say(harness):
    results = [json.loads(path.read_text()) for path in sorted(harness.RESULTS.glob("*.json"))]
    readme = harness.README.read_text()
    assert harness.with_last_run(readme, harness.last_run(results)) == readme


@pytest.fixture
def precision(harness, monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return import_module("precision")


def test_a_loss_of_balanced_accuracy_is_paired_and_weighs_classes_alike(precision):
    truth = ["a"] * 6 + ["b"] * 2
    table = pd.DataFrame({"face_id": range(8), "subject": range(8), "true": truth, "predicted": truth})
    worse = table.assign(predicted=["b", *truth[1:7], "a"])
    loss, low, high = precision.paired_loss("gender", [table, worse.iloc[::-1]])
    assert loss == pytest.approx((1 / 6 + 1 / 2) / 2)
    assert low <= loss <= high
    assert precision.paired_loss("gender", [table, table]) == (0, 0, 0)


def test_the_operations_of_a_network_are_those_of_its_convolutions_and_products(harness, monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    openvino = import_openvino()
    ops, at = openvino.opset13, ([1, 1], [0, 0], [0, 0], [1, 1])

    def weights(*shape):
        return ops.constant(np.zeros(shape, np.float32))

    pixels = ops.parameter([1, 4, 8, 8], np.float32)
    maps = ops.convolution(pixels, weights(6, 4, 3, 3), *at)  # to 6 × 6
    maps = ops.group_convolution(ops.relu(maps), weights(6, 1, 1, 3, 3), *at)  # to 4 × 4
    maps = ops.convolution_backprop_data(maps, weights(6, 2, 2, 2), [2, 2])  # to 2 × 8 × 8
    vector = ops.matmul(ops.reshape(maps, [1, 128], False), weights(128, 5), False, False)
    model = openvino.Model([ops.result(vector)], [pixels], "tiny")
    expected = 6 * 36 * 4 * 9 + 6 * 16 * 9 + 6 * 16 * 2 * 4 + 128 * 5
    assert import_module("peak").operations(model) == 2 * expected


def test_what_is_only_told_is_not_called_reached(harness):
    told = {"what": "tiny", "wanted": "-", "got": "fp32 1.00", "reached": True, "timed": True}
    assert harness.case_in_words({"sides": [], "verdicts": [told]}) == "  tiny: fp32 1.00\n"


def test_a_run_keeps_what_another_processor_measured_in_a_precision_that_it_has_not(precision, tmp_path):
    row = {"backbone": "tiny", "target": "gender", "n": 9, "fp32": 0.9, "score": 0.9, "loss": 0.001}
    row |= {"interval": None, "emulated": False, "measured": "Made Up 9000, 2026-01-01"}
    assert precision.rows_of_others(tmp_path, ["fp32", "int8"]) == []
    rows = [{**row, "precision": one} for one in ("bf16", "int8")]
    (tmp_path / "precision.json").write_text(json.dumps({"rows": rows}))
    assert precision.rows_of_others(tmp_path, ["fp32", "int8"]) == rows[:1]
    other = precision.verdict_on(rows[0], "Old 1, 2026-02-02")
    assert (other.got, other.reached) == ("0.9000; loses +0.10 points; Made Up 9000, 2026-01-01", True)
    own = precision.verdict_on({**rows[1], "interval": [-0.001, 0.011]}, "Made Up 9000, 2026-01-01")
    assert (own.got, own.reached) == ("0.9000; loses +0.10 points (-0.10 to +1.10)", False)


def test_the_lines_for_the_tables_are_python_that_says_what_was_measured(precision):
    rows = [
        {"backbone": "tiny", "target": target, "precision": "int8", "loss": loss, "interval": [0, 2 * loss]}
        for target, loss in (("age_group", 0.001), ("gender", 0.0025))
    ]
    (line,) = precision.lines_for_int8(rows)
    assert line == '    "tiny": {"age_group": Loss(0.10, 0.20), "gender": Loss(0.25, 0.50)},'
    zen = precisions.Processor("Made Up 9000", "AuthenticAMD", frozenset({"avx512_bf16"}))
    speeds = {"tiny": {"fp32": 2.0, "bf16": 1.0}, "small": {"fp32": 3.0, "bf16": 2.0}}
    entry = eval(precision.line_for_fastest(zen, speeds).strip(" ,"), {"Fastest": precisions.Fastest})
    assert (entry.precision, entry.needs) == ("bf16", "avx512_bf16")
    assert "1.5 to 2.0 times as fast as fp32 on a Made Up 9000" in entry.measured
    old = precisions.Processor("old", "", frozenset())
    assert precision.line_for_fastest(old, {"tiny": {"fp32": 2.0}}) == "not run: old has no bf16"
