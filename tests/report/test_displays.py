"""Displays draw the numbers that they return, which are the report's, and change nothing else."""

import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from featurekit.embeddings.plane import Plane
from featurekit.errors import ModelError, TargetError, UnknownNameError
from featurekit.evaluation.ages import AgeDensity
from featurekit.evaluation.estimates import Estimate
from featurekit.evaluation.evidence import Evidence
from featurekit.evaluation.results import load_runs
from featurekit.evaluation.slices import AgeError
from featurekit.report.density_plot import density_plot
from featurekit.report.displays.accuracy import AccuracyDisplay
from featurekit.report.displays.age_density import AgeDensityDisplay
from featurekit.report.displays.age_error import AgeErrorDisplay
from featurekit.report.displays.calibration import CalibrationDisplay
from featurekit.report.displays.confusion import ConfusionDisplay
from featurekit.report.displays.confusion_difference import ConfusionDifferenceDisplay
from featurekit.report.displays.cost import CostDisplay
from featurekit.report.displays.curves import PrecisionRecallDisplay, RocDisplay
from featurekit.report.displays.data_curve import DataCurveDisplay
from featurekit.report.displays.folds import FoldsDisplay
from featurekit.report.displays.learning_curves import LearningCurvesDisplay
from featurekit.report.displays.risk_coverage import RiskCoverageDisplay
from featurekit.report.displays.slices import SlicesDisplay
from featurekit.report.displays.vector_map import VectorMapDisplay
from featurekit.report.frames import ranking_frame, slices_frame
from featurekit.report.sections import slices
from featurekit.report.sections.calibration import confidence_table
from featurekit.report.sections.classes import confusion_table
from featurekit.report.sections.cost import front_table
from featurekit.report.sections.ranking import scores_table
from featurekit.report.select import Ranked, best_first
from tests.report.made_up import AGES, HOSTILE, make_evidence, make_run, priced, score, trained_run
from tests.report.sections.test_learning import make_curve

KEPT = Path(__file__).parents[2] / "reports" / "utkface-builtin"
BANDS = (
    AgeError(band="0-2", n_faces=90, n_subjects=90, error=Estimate(1.2, 1.0, 1.5), bias=0.9),
    AgeError(band="3", n_faces=3, n_subjects=3, error=None, bias=None),
    AgeError(band="80 and older", n_faces=40, n_subjects=39, error=Estimate(9.5, 8, 11), bias=-8.5),
)


# No label has half a letter: what is read from a file, or kept in one, cannot.
UGLY = HOSTILE.replace("\ud800", "")


def new_figure(**options):
    from matplotlib.figure import Figure

    return Figure(**options)


def ranked(runs, target="gender", **changes):
    own = best_first([run for run in runs if run.target == target])
    known = make_evidence(own, **changes).targets[target]
    slices = tuple(
        replace(one, labels=tuple(UGLY if label == HOSTILE else label for label in one.labels))
        for one in known.slices
    )
    return Ranked(target, own, replace(known, slices=slices))


def make_map(**changes):
    """Return a map of 60 faces at random places, with ten classes that have long names."""
    rng = np.random.default_rng(0)
    classes = tuple(f"{UGLY} {number}" for number in range(9))
    table = pd.DataFrame(
        {
            "face_id": [f"f{number}" for number in range(60)],
            "image_path": [f"f{number}.jpg" for number in range(60)],
            "x": rng.normal(size=60),
            "y": rng.normal(size=60) * 3,
            "label": rng.choice([*classes, ""], 60),
            "error": rng.choice(["right", "wrong", ""], 60),
        }
    )
    plane = Plane(
        method="pca",
        rows=np.arange(60),
        places=table[["x", "y"]].to_numpy(),
        shares=(0.1, 0.05),
        n_fitted=40,
        n_all=60,
        length=512,
        is_random=True,
    )
    facts = {"target": "Own", "features": "a+b", "plane": plane, "table": table, "label": "own"}
    facts |= {"classes": classes, "is_ordered": False, **changes}
    return VectorMapDisplay(**facts)


@pytest.fixture(scope="module")
def displays(runs):
    """A display of each kind, made of invented numbers."""
    of = ranked(runs, "age_group")
    network = trained_run()
    return {
        "accuracy": AccuracyDisplay.of(of),
        "age_density": AgeDensityDisplay(run="r", model="svm", target="Age", density=AGES.density),
        "age_error": AgeErrorDisplay(run="r", model="svm · dlib_age", target="Age", bands=BANDS),
        "calibration": CalibrationDisplay.find(of),
        "confusion": ConfusionDisplay.of(of.runs[0]),
        "confusion_difference": ConfusionDifferenceDisplay.find(of),
        "cost": CostDisplay.of(of),
        "data_curve": DataCurveDisplay.of(of.runs[0], make_curve(of.runs[0])),
        "folds": FoldsDisplay.of(of),
        "learning_curves": LearningCurvesDisplay.of(network),
        "precision_recall": PrecisionRecallDisplay.find(of),
        "risk_coverage": RiskCoverageDisplay.find(of),
        "roc": RocDisplay.find(of),
        "slices": SlicesDisplay.find(of),
        "vector_map": make_map(),
    }


NAMES = [
    *("accuracy", "age_density", "age_error", "calibration", "confusion", "confusion_difference", "cost"),
    *("data_curve", "folds", "learning_curves", "precision_recall", "risk_coverage", "roc", "slices"),
    "vector_map",
]


def drawn_numbers(ax):
    """Every number of the lines, dots, bars and images in some axes."""
    arrays = [line.get_xydata() for line in ax.lines]
    arrays += [path.vertices for one in ax.collections for path in one.get_paths()]
    arrays += [one.get_offsets() for one in ax.collections]  # of dots; the paths are their shape
    arrays += [image.get_array().filled(np.nan) for image in ax.images]
    return np.concatenate([np.asarray(array, float).ravel() for array in arrays])


# What each display draws of its frame; of a confusion matrix the counts are written, not drawn.
DRAWN = {
    "accuracy": ["value", "low", "high"],
    "age_density": ["n_faces"],
    "age_error": ["mean_absolute_error", "low", "high", "mean_error"],
    "calibration": ["confidence", "accuracy"],
    "confusion": ["share"],
    "confusion_difference": ["difference"],
    "folds": ["value", "mean"],
    "cost": ["seconds_per_1000_faces", "value"],
    "data_curve": ["n_faces", "value", "low", "high"],
    "learning_curves": ["epoch", "value"],
    "precision_recall": ["recall", "precision"],
    "risk_coverage": ["coverage", "risk"],
    "roc": ["false_positive_rate", "true_positive_rate"],
    "slices": ["value", "low", "high"],
    "vector_map": ["x", "y"],
}


@pytest.mark.parametrize("name", NAMES)
def test_the_frame_has_exactly_the_numbers_that_are_drawn(displays, name):
    ax = displays[name].plot(ax=new_figure().subplots())
    drawn, frame = drawn_numbers(ax), displays[name].frame()
    for column in DRAWN[name]:
        for value in frame[column].dropna():
            assert (drawn == value).any(), (column, value)


@pytest.mark.parametrize("name", NAMES)
def test_given_axes_are_returned_and_pyplot_stays_as_it_is(displays, name):
    import matplotlib as mpl
    from matplotlib import pyplot

    own, before, settings = new_figure().subplots(), pyplot.get_fignums(), dict(mpl.rcParams)
    figure_color = own.get_figure().get_facecolor()
    assert displays[name].plot(ax=own) is own
    assert own.get_title(loc="left")
    assert pyplot.get_fignums() == before
    assert dict(mpl.rcParams) == settings
    assert own.get_figure().get_facecolor() == figure_color


@pytest.mark.parametrize("name", NAMES)
def test_a_display_says_what_it_is_and_how_to_read_it(displays, name):
    display = displays[name]
    text = display.help()
    assert text.endswith(".")
    assert len(text) > 100
    assert "None" not in text
    assert "nan" not in text
    assert type(display).__name__ in repr(display)
    assert len(display.frame())


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_shows_a_picture_in_which_no_text_is_cut_off(displays, name, monkeypatch):
    from matplotlib.figure import Figure

    seen = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, file, **_: seen.append(figure))
    _, shown = displays[name]._repr_png_()
    figure = seen[0]
    assert shown["width"] == round(100 * figure.get_figwidth())
    assert figure.get_facecolor() == (1, 1, 1, 1)
    figure.draw_without_rendering()
    frame, (ax,) = figure.bbox, figure.axes
    box = ax.get_tightbbox()
    assert frame.x0 - 1 <= box.x0
    assert box.x1 <= frame.x1 + 1
    assert frame.y0 - 1 <= box.y0
    assert box.y1 <= frame.y1 + 1
    for axis in (ax.xaxis, ax.yaxis):
        labels = [one.get_window_extent() for one in axis.get_ticklabels() if one.get_text()]
        upright = bool(labels) and axis.get_ticklabels()[0].get_rotation() == 0
        pairs = pairwise(labels)
        assert not upright or not any(one.overlaps(other) for one, other in pairs)


def test_a_picture_is_a_png_of_the_size_that_is_told(displays):
    content, shown = displays["risk_coverage"]._repr_png_()
    assert content.startswith(b"\x89PNG")
    assert int.from_bytes(content[16:20]) == 2 * shown["width"]


def test_without_axes_a_new_figure_is_made_that_is_white_in_any_style(displays):
    import matplotlib as mpl
    from matplotlib import pyplot

    with pyplot.style.context("dark_background"):
        settings = dict(mpl.rcParams)
        ax = displays["risk_coverage"].plot()
        assert dict(mpl.rcParams) == settings
    try:
        assert ax.get_figure().number in pyplot.get_fignums()
        assert ax.get_figure().get_facecolor() == (1, 1, 1, 1)
        inks = [ax.xaxis.label, ax.title, *ax.get_xticklabels(), *ax.texts]
        assert all(max(mpl.colors.to_rgb(text.get_color())) < 0.5 for text in inks)
    finally:
        pyplot.close(ax.get_figure())


def test_in_dark_axes_of_the_user_the_text_is_light(displays):
    from matplotlib import rc_context

    with rc_context({"text.color": "white", "xtick.color": "white", "axes.labelcolor": "white"}):
        ax = displays["slices"].plot(ax=new_figure(facecolor="black").subplots())
        assert {text.get_color() for text in (*ax.texts, ax.xaxis.label)} == {"white"}


def test_slices_with_a_gap_have_another_mark_than_those_without():
    runs = [make_run()]
    worse = next(one for one in make_evidence(runs).targets["gender"].slices if one.is_worse)
    own = tuple(
        replace(worse, labels=("male", str(number)), gap=gap, gap_p=p)
        for number, (gap, p) in enumerate(((-0.2, 0.01), (0.2, 0.01), (-0.2, 0.06)))
    )
    ax = SlicesDisplay.find(ranked(runs, slices=own)).plot(ax=new_figure().subplots())
    marks = {line.get_label(): (line.get_marker(), line.get_markerfacecolor()) for line in ax.lines[1:]}
    assert [marker for marker, _ in marks.values()] == ["D", "D", "o"]
    assert marks["Significantly better"][1] == "none"
    assert marks["Significantly worse than all other faces"][1] != "none"


def test_an_option_that_a_display_does_not_have_is_an_error(displays):
    ax = new_figure().subplots()
    with pytest.raises(
        UnknownNameError, match=r"option of AccuracyDisplay.plot\(\) 'colour'. Did you mean 'c"
    ):
        displays["accuracy"].plot(ax=ax, colour="red")
    displays["accuracy"].plot(ax=ax, color="#123456", values=False)
    assert not ax.texts
    assert any(line.get_color() == "#123456" for line in ax.lines)


def test_labels_of_others_are_drawn_as_they_are():
    """A dollar sign starts no formula, and signs that cannot be drawn are written out."""
    label = "$\\frac{1}$ " + UGLY
    run = make_run(classes=(label, "b"), features="$x^2$", classifier=HOSTILE, confusion=((5, 1), (0, 4)))
    figure = new_figure()
    ConfusionDisplay.of(run).plot(ax=figure.subplots())
    figure.draw_without_rendering()
    figure = new_figure()
    AccuracyDisplay.of(ranked([run, make_run()])).plot(ax=figure.subplots())
    figure.draw_without_rendering()


# ---------------------------------------------------------------- the report has the same numbers


@pytest.fixture(scope="module", params=["age_group", "gender", "age"])
def kept(request):
    """A target of the comparison on UTKFace that is kept in reports/."""
    runs = best_first([run for run in load_runs(KEPT) if run.target == request.param])
    return Ranked(request.param, runs, Evidence.load(KEPT).targets[request.param])


def values_of(table, heading, others=0):
    """The numbers of a column of a report's table, as they are copied."""
    place = [column.title for column in table.columns].index(heading)
    cells = [row[place] for row in table.rows]
    return [(cell.value, *cell.others[:others]) for cell in cells]


def test_accuracies_are_those_of_the_reports_table_and_of_the_results_frame(kept):
    display = AccuracyDisplay.of(kept)
    scale, frame = display.kind.scale, display.frame()
    table = scores_table(kept, "")
    mine = [
        tuple(scale * frame[name].to_numpy()[i] for name in ("value", "low", "high")) for i in frame.index
    ]
    assert np.round(mine, 6) == pytest.approx(np.array(values_of(table, display.kind.title, 2)))
    column = frame["score"].iloc[0]
    other = ranking_frame(kept.runs, Evidence(of={}, seed=0, targets={kept.name: kept.evidence}))
    assert list(frame["run"]) == list(other["run"])
    for own, name in (("value", column), ("low", f"{column}_low"), ("high", f"{column}_high")):
        assert list(frame[own]) == list(other[name])
    assert list(frame["role"]) == list(other["role"])


def test_costs_are_those_of_the_reports_table(kept):
    frame = CostDisplay.of(kept).frame()
    front = frame[frame["is_on_front"]]
    assert front["seconds_per_1000_faces"].is_monotonic_increasing
    table = front_table(kept, "")
    # Milliseconds per face, which are as many seconds for 1,000 faces.
    shown = [time for (time,) in values_of(table, "Time per face")]
    assert list(front["seconds_per_1000_faces"].round(6)) == shown


def test_slices_are_those_of_the_reports_table_and_of_the_results_frame(kept):
    display = SlicesDisplay.find(kept, most=1000)
    frame, scale = display.frame(), display.kind.scale
    _, table, _ = slices.blocks(kept)
    mine = [
        tuple(scale * frame[name].to_numpy()[i] for name in ("value", "low", "high")) for i in frame.index
    ]
    shown = values_of(table, display.kind.title, 2)
    known = [values for values in shown if len(values) == 3]
    assert np.round(mine, 6) == pytest.approx(np.array(known))
    other = slices_frame(kept.runs, Evidence(of={}, seed=0, targets={kept.name: kept.evidence}))
    assert other["model"].nunique() == 1 + len(kept.evidence.beside)
    other = other[other["model"] == other["model"].iloc[0]]
    same = list(frame.columns)
    pd.testing.assert_frame_equal(frame, other.dropna(subset="value")[same].reset_index(drop=True))


def test_counts_are_those_of_the_reports_matrix(runs):
    run = next(run for run in runs if run.target == "age_group")
    frame, table = ConfusionDisplay.of(run).frame(), confusion_table(run, "")
    cells = [cell for row in table.rows for cell in row[1:-1]]
    assert [
        (share, n) for share, n in zip((100 * frame["share"]).round(6), frame["n_faces"], strict=True)
    ] == [(cell.value, cell.others[0]) for cell in cells]


def test_confidence_is_that_of_the_reports_table(runs):
    of = ranked(runs)
    risks = RiskCoverageDisplay.find(of).frame().set_index("coverage")["risk"]
    table = confidence_table({"": of.evidence.confidence}, "")
    shown = [row[1].value for row in table.rows[3:]]
    assert shown == [round(100 * risks[share], 6) for share in (1.0, 0.9, 0.8, 0.5)]
    assert table.rows[0][1].text in CalibrationDisplay.find(of).help().replace(" (7.0–9.0)", "")


def test_learning_curves_are_means_over_the_folds_as_far_as_all_go():
    run = trained_run()
    longer = {**trained_run(n_epochs=5).training[0]}
    longer["history"] = [{**line, "gender": line["gender"] - 0.2} for line in longer["history"]]
    frame = LearningCurvesDisplay.of(replace(run, training=(run.training[0], longer))).frame()
    means = frame[(frame["fold"] == "mean") & (frame["part"] == "training")]
    assert list(means["value"]) == pytest.approx([0.6, 0.7, 0.8])
    assert list(frame[(frame["fold"] == "1") & (frame["part"] == "validation")]["epoch"]) == [1, 2, 3, 4, 5]
    assert set(LearningCurvesDisplay.of(run, measure="loss").frame()["measure"]) == {"loss"}


# ---------------------------------------------------------------- what each one shows and refuses


def test_many_models_are_cut_to_the_best_and_the_baselines():
    runs = [make_run(features=f"f{i}", scores={"accuracy": score(0.9 - i / 100)}) for i in range(30)]
    runs.append(make_run(classifier="majority", scores={"accuracy": score(0.1)}))
    display = AccuracyDisplay.of(Ranked("gender", best_first(runs), None))
    assert len(display.frame()) == 25
    assert display.frame()["role"].iloc[-1] == "baseline"
    assert "25 of 31 models" in display.title
    assert "standard deviations over the folds" in display.help()


def test_two_models_whose_long_names_differ_in_the_middle_stay_two(displays):
    long = "dlib_age+" * 6
    runs = [make_run(features=f"{long}{part}+{long}") for part in ("a", "b")]
    ax = AccuracyDisplay.of(ranked(runs)).plot(ax=new_figure().subplots())
    assert len({label.get_text() for label in ax.get_yticklabels()}) == 2


def test_models_that_were_timed_elsewhere_are_left_out_and_that_is_said():
    runs = [priced("svm", 0.9, 20.0), priced("mlp", 0.8, 5.0)]
    runs.append(replace(priced("xgboost", 0.85, 1.0), hardware={"processor": "another"}))
    display = CostDisplay.of(Ranked("gender", best_first(runs), None))
    assert list(display.frame()["model"]) == ["mlp", "svm"]
    assert "1 model that was timed on another machine" in display.help()
    legend = display.plot(ax=new_figure().subplots()).get_legend()
    assert any("another machine" in text.get_text() for text in legend.get_texts())


def test_numbers_of_models_that_are_equally_quick_and_good_do_not_cover_each_other():
    runs = [priced("svm", 0.741, 13.0), priced("mlp", 0.742, 13.05), priced("knn", 0.8, 90.0)]
    figure = new_figure(figsize=(8, 5))
    ax = CostDisplay.of(Ranked("gender", best_first(runs), None)).plot(ax=figure.subplots())
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in ax.texts]
    assert len(boxes) == 3
    assert not any(one.overlaps(other) for i, one in enumerate(boxes) for other in boxes[:i])


def test_a_large_matrix_is_drawn_without_numbers():
    classes = tuple(f"class {i}" for i in range(30))
    counts = tuple(tuple(int(i == j) for j in range(30)) for i in range(30))
    display = ConfusionDisplay.of(make_run(classes=classes, confusion=counts))
    figure = new_figure()
    assert len(display.plot(ax=figure.subplots()).texts) == 1  # the model's name
    assert len(figure.axes) == 2  # with a scale of colours
    assert len(display.frame()) == 900


def test_a_class_without_faces_has_no_shares():
    display = ConfusionDisplay.of(make_run(confusion=((0, 0), (1, 3))))
    assert display.frame()["share"].isna().tolist() == [True, True, False, False]
    assert display.frame()["share"].tolist()[2:] == [0.25, 0.75]


def test_bands_and_slices_of_too_few_subjects_are_told_and_not_drawn(displays):
    assert "3." in displays["age_error"].help()
    assert displays["age_error"].frame()["mean_absolute_error"].isna().tolist() == [False, True, False]
    assert "not drawn: 1 of 3 slices" in displays["slices"].help()
    assert "hat yes" not in set(displays["slices"].frame()["slice"])


def test_what_a_display_cannot_show_is_one_error_that_says_why(runs):
    years = make_run("age")
    with pytest.raises(TargetError, match="predicts age in years, so it has no confusion matrix"):
        ConfusionDisplay.of(years)
    with pytest.raises(TargetError, match="predicts age in years, so it has no probabilities"):
        CalibrationDisplay.of(years, pd.DataFrame(), 0)
    with pytest.raises(TargetError, match="predicts classes, so it has no errors in years"):
        AgeErrorDisplay.of(make_run(), None, 0)
    with pytest.raises(ModelError, match="have no probabilities"):
        RiskCoverageDisplay.of(make_run(), pd.DataFrame({"true": ["male"]}))
    with pytest.raises(ModelError, match="has no training history: only networks"):
        LearningCurvesDisplay.of(make_run())
    with pytest.raises(UnknownNameError, match="measure 'acuracy'"):
        LearningCurvesDisplay.of(trained_run(), measure="acuracy")
    empty = Ranked("gender", [make_run(scores={"accuracy": score(None)})], None)
    with pytest.raises(ModelError, match="No run of gender has a score"):
        AccuracyDisplay.of(empty)
    with pytest.raises(ModelError, match="No trained model of gender has both a score and a time"):
        CostDisplay.of(empty)
    assert SlicesDisplay.find(ranked(runs, slices=())) is None


def test_cells_of_ages_are_those_of_the_predictions():
    table = pd.DataFrame({"true": [20.0, 21.5, 25.0], "predicted": [24.9, 24.0, 31.0]})
    run = make_run("age")
    found = AgeDensityDisplay.of(run, table, years=5).frame()
    assert found.to_numpy().tolist() == [[20, 25, 20, 25, 2, 1.0], [25, 30, 30, 35, 1, 1.0]]
    for years in (0, 21, 2.5):
        with pytest.raises(ModelError, match="years must be a whole number from 1 to 20"):
            AgeDensityDisplay.of(run, table, years=years)
    with pytest.raises(TargetError, match="predicts classes, so it has no predicted ages"):
        AgeDensityDisplay.of(make_run(), None)


@pytest.mark.parametrize("is_narrow", [False, True])
@pytest.mark.parametrize("counts", [((7, 1), (0, 120)), ((0,),), ((9_000,),)])
def test_a_drawn_density_stays_inside_its_frame(counts, is_narrow):
    drawn = str(density_plot(AgeDensity(cell=2, counts=counts), is_narrow=is_narrow, summary="s"))
    width, height = map(float, re.search(r'viewBox="0 0 (\S+) (\S+)"', drawn).groups())
    places = re.findall(r"M([\d.]+) ([\d.]+)h([\d.]+)v([\d.]+)", drawn)
    assert places
    for x, y, across, down in (map(float, one) for one in places):
        assert 0 <= x <= x + across <= width
        assert 0 <= y <= y + down <= height


@pytest.mark.parametrize("is_in_years", [False, True])
def test_the_image_of_a_map_has_the_labels_on_the_left_and_the_errors_on_the_right(monkeypatch, is_in_years):
    from matplotlib.figure import Figure

    table = make_map().table
    if is_in_years:
        errors = np.random.default_rng(0).normal(size=60)
        table = table.assign(label=np.where(errors > 1, np.nan, errors), error=errors)
    classes = {"classes": ()} if is_in_years else {}
    display = make_map(table=table, model="svm · a+b", error_of="Gender", **classes)
    seen = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, file, **_: seen.append(figure))
    display._repr_png_()
    seen[0].draw_without_rendering()
    left, right, *bars = seen[0].axes
    assert [ax.get_title(loc="left") for ax in (left, right)] == [
        "Own: PCA map of 60 faces",
        "Gender: error of the model",
    ]
    assert len(bars) == 2 * is_in_years
    for ax in seen[0].axes:
        box = ax.get_tightbbox()
        assert seen[0].bbox.x0 - 1 <= box.x0
        assert box.x1 <= seen[0].bbox.x1 + 1
        assert seen[0].bbox.y0 - 1 <= box.y0
        assert box.y1 <= seen[0].bbox.y1 + 1
    assert np.ptp(left.get_xlim()) == pytest.approx(np.ptp(left.get_ylim()))
    legend = [text.get_text() for text in (right if not is_in_years else left).get_legend().get_texts()]
    if is_in_years:
        assert legend == [f"no label, or not used ({int(table['label'].isna().sum())})"]
        largest = max(right.collections, key=lambda one: len(one.get_offsets())).get_array()
        assert (np.diff(largest) >= 0).all()  # the largest errors are above the others
    else:
        counts = table["error"].value_counts()
        assert legend == [f"Right ({counts['right']})", f"Wrong ({counts['wrong']})"]
