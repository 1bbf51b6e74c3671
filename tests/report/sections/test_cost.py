"""What models cost, on which machine, and who is worth it."""

from dataclasses import replace

from featurekit.evaluation.cost import timed_on
from featurekit.evaluation.provenance import hardware_of_all as _hardware_of_all
from featurekit.report.displays.cost import pareto_front
from featurekit.report.sections.cost import front_table
from featurekit.report.sections.ranking import scores_table
from featurekit.report.select import Ranked, timed_alike
from tests.report.made_up import make_evidence, make_run, markdown_of, priced, rows_of, score, trade


def test_the_table_of_the_front_says_which_models_are_within_the_margin():
    _, middle, quick = runs = [
        priced("a_svm", 0.8, 38.0),
        priced("mlp", 0.79, 30.0),
        priced("knn", 0.7, 1.0),
    ]
    trades = (trade(quick, 0.1, is_within=False, p=1.0), trade(middle, 0.002, is_within=True, p=0.0123))
    found = front_table(Ranked("gender", runs, make_evidence(runs, trades=trades).targets["gender"]), "t")
    assert [column.title for column in found.columns[-2:]] == ["Loss against the best", "Within 1 point"]
    assert [tuple(cell.text for cell in row[-2:]) for row in found.rows] == [
        ("+10.0", "not shown"),
        ("+0.2", "yes"),
        ("—", "—"),
    ]
    assert found.rows[1][-1].count == "p 0.012"
    assert "non-inferiority" in found.note


def test_a_p_value_at_the_limit_of_the_test_of_the_margin_is_said_to_be_below_it():
    _, quick = runs = [priced("a_svm", 0.8, 38.0), priced("knn", 0.799, 1.0)]
    at_limit = replace(trade(quick, 0.001, is_within=True, p=1 / 201), limit=1 / 201)
    found = front_table(
        Ranked("gender", runs, make_evidence(runs, trades=(at_limit,)).targets["gender"]), "t"
    )
    assert found.rows[0][-1].count == "p < 0.005"


GPU = {"multitask_cnn": {"engine": "torch 2.14", "device": "cuda: NVIDIA H100", "precision": "bf16"}}


def test_an_ensemble_was_timed_on_all_the_machines_of_its_members():
    processor = make_run()
    on_gpu = make_run(hardware={**processor.hardware, "got": GPU})
    elsewhere = make_run(hardware={**processor.hardware, "processor": "another"})
    got = {**processor.hardware["got"], "multitask_cnn": {"engine": "torch 2.14", "device": "cpu"}}
    on_cpu = make_run(hardware={**processor.hardware, "got": got})

    def together(*runs):
        return timed_on(replace(runs[0], hardware=_hardware_of_all(runs)))

    assert together(processor, processor) == timed_on(processor)
    for runs in ((on_gpu, on_cpu), (on_cpu, on_gpu)):
        assert together(*runs) == timed_on(on_gpu)
    assert together(processor, elsewhere) == f"{timed_on(processor)} and another"


def test_times_of_another_machine_are_not_compared():
    """A network that was trained on a GPU is not the cheaper model for somebody who has none."""
    quick = {"extract": 1.0, "fit": 1.0, "predict": 0.01}
    best, middle = make_run(), make_run(classifier="mlp", scores={"accuracy": score(0.78)})
    on_gpu = make_run(
        classifier="multitask_cnn",
        scores={"accuracy": score(0.79)},
        seconds=quick,
        hardware={**best.hardware, "got": GPU},
    )
    elsewhere = make_run(
        classifier="xgboost",
        scores={"accuracy": score(0.77)},
        seconds=quick,
        hardware={"processor": "another"},
    )
    runs = [best, on_gpu, middle, elsewhere]
    assert timed_on(on_gpu).endswith(", cuda: NVIDIA H100")
    assert [run.classifier for run in timed_alike(runs)] == ["svm", "mlp"]
    assert {run.classifier for run in pareto_front(runs)} <= {"svm", "mlp"}
    text = markdown_of(runs, "t", make_evidence(runs, p=0.4))
    assert front_table(Ranked("gender", runs, None), "t").note.endswith(
        "Left out: 2 models that were timed on another machine than the best model."
    )
    rows = {cells[1].split(" ")[0]: cells for cells in rows_of(text, "Gender")}
    assert [rows[name][-4:-1] == ["—", "—", "—"] for name in ("svm", "multitask_cnn", "mlp", "xgboost")] == [
        False,
        True,
        False,
        True,
    ]
    assert (
        "Times are blank for 2 runs, which were timed on another machine than the best model (Example 3000)."
        in text
    )
    assert "Left out" not in front_table(Ranked("gender", [best, middle], None), "t").note
    assert "Times are blank" not in markdown_of([best, middle], "t")


def test_the_machine_is_the_best_models_also_where_most_were_timed_on_another():
    best = make_run(scores={"accuracy": score(0.9)}, hardware={"processor": "one of its own"})
    others = [make_run(classifier=name) for name in ("mlp", "knn", "xgboost")]
    assert timed_alike([*others, best]) == [best]
    assert (
        "Times are blank for 3 runs, which were"
        in scores_table(Ranked("gender", [best, *others], None), "t").note
    )


def test_the_front_holds_what_no_other_beats_in_both_score_and_time():
    runs = [
        priced("slow_and_worse", 0.79, 30.0),
        priced("best", 0.8, 20.0),
        priced("quick", 0.7, 1.0),
        priced("as_quick_but_worse", 0.65, 1.0),
        priced("between", 0.75, 5.0),
        priced("majority", 0.9, 0.1),  # a baseline is no choice
        make_run(classifier="untimed", scores={"accuracy": score(0.95)}, seconds={}),
    ]
    assert [run.classifier for run in pareto_front(runs)] == ["quick", "between", "best"]
    text = markdown_of(runs, "t")
    assert "Gender: cost of the models on the Pareto front" in text
    assert "| dlib_age | best | 80.0 | 20 |" in text
    assert "accuracy against time" not in markdown_of(runs[:2], "t")


def test_memory_is_told_where_it_is_known():
    known, unknown = make_run(peak_bytes=1_234_000_000), make_run(classifier="mlp")
    faster = replace(unknown, seconds={**unknown.seconds, "predict": 0.1}, scores={"accuracy": score(0.5)})
    table = front_table(Ranked("gender", [known, faster], None), "t")
    assert [(cells[2].text, cells[-1].text) for cells in table.rows] == [("mlp", "—"), ("svm", "1.2 GB")]
    assert "Memory" not in [
        column.title for column in front_table(Ranked("gender", [faster], None), "t").columns
    ]
