"""The reports on UTKFace that are kept in reports/: all they say comes out again from their outcomes."""

import html
import re
import shutil
from dataclasses import asdict
from functools import lru_cache
from importlib.util import module_from_spec, spec_from_file_location
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from featurekit.checks.audit import Audit
from featurekit.data.datasets import DATASETS
from featurekit.evaluation.comparable import set_apart
from featurekit.evaluation.data_curve import load_curves
from featurekit.evaluation.evidence import Evidence
from featurekit.evaluation.results import load_runs
from featurekit.networks.weights import WEIGHTS
from featurekit.report.html import render_html
from featurekit.report.markdown import render_markdown
from featurekit.report.page import compose
from featurekit.report.sections.verdict import answer
from featurekit.report.select import best_first, ranked_targets
from featurekit.uncertainty.conformal import MISSED, cross_fitted_ranges

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "reports" / "utkface-builtin"
CLASSIC = ROOT / "reports" / "utkface-classic"
of_each_report = pytest.mark.parametrize("folder", [FOLDER, CLASSIC], ids=lambda folder: folder.name)


@pytest.fixture(scope="module")
def runs():
    return load_runs(FOLDER)


@pytest.fixture(scope="module")
def figures():
    spec = spec_from_file_location("kept_figures", ROOT / "benchmarks" / "kept_figures.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def plain(page):
    """Markdown without what keeps signs from being markup."""
    return html.unescape(page).replace("\\", "")


def test_readme_says_what_is_stored(figures):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert figures.BEGIN in readme
    assert figures.PRINTED_BEGIN in readme
    assert figures.with_short_results(readme) == readme, "Next: python benchmarks/kept_figures.py"


def test_the_page_of_results_says_what_is_stored(figures):
    page = (ROOT / "docs" / "results" / "utkface.md").read_text(encoding="utf-8")
    assert figures.BEGIN in page
    assert figures.with_results(page) == page, "Next: python benchmarks/kept_figures.py"


def test_a_number_that_is_changed_by_hand_is_found(figures):
    for path, written in (
        (figures.README, figures.with_short_results),
        (figures.RESULTS_PAGE, figures.with_results),
    ):
        text = path.read_text(encoding="utf-8")
        changed = text.replace("76.7 ± 0.5", "77.7 ± 0.5")
        assert changed != text
        assert written(changed) == text
    readme = figures.README.read_text(encoding="utf-8")
    assert (
        figures.with_short_results(readme.replace("0.710", "0.810"))
        == readme
        != readme.replace("0.710", "0.810")
    )


def test_the_page_on_clusters_says_what_is_stored(figures):
    page = figures.CLUSTER_PAGE.read_text(encoding="utf-8")
    assert figures.CLUSTER_BEGIN in page
    assert figures.PREDICT_BEGIN in page
    assert figures.with_cluster(page) == page, "Next: python benchmarks/kept_figures.py"


def test_the_history_says_what_is_stored(figures):
    page = (ROOT / "docs" / "results" / "history.md").read_text(encoding="utf-8")
    assert page == figures.history(), "Next: python benchmarks/kept_figures.py"


@of_each_report
def test_the_kept_pages_say_what_is_stored(folder):
    runs = load_runs(folder)
    page = compose(
        runs,
        folder.name,
        Evidence.load(folder),
        Audit.load(folder),
        data_curves=load_curves(folder, runs),
    )
    assert render_markdown(page) == (folder / "report.md").read_text(encoding="utf-8")
    assert render_html(page) == (folder / "report.html").read_text(encoding="utf-8")


def nearly(stored, found):
    """Whether values are equal but for the last digits, and p-values but for a flip or two."""
    if isinstance(stored, dict):
        assert stored.keys() == found.keys()
        return all(nearly(value, found[name]) for name, value in stored.items())
    if isinstance(stored, list | tuple):
        return len(stored) == len(found) and all(map(nearly, stored, found))
    if isinstance(stored, float) and isinstance(found, float):
        return found == pytest.approx(stored, rel=1e-3, abs=5e-4)
    return stored == found


@pytest.mark.slow
def test_its_evidence_comes_out_again_from_the_outcomes_alone(featurekit, tmp_path):
    copy = tmp_path / "reports" / FOLDER.name
    shutil.copytree(FOLDER, copy)
    for name in ("evidence.json", "report.md", "report.html"):
        (copy / name).unlink()
    code, _, errors = featurekit("--workspace", str(tmp_path), "report", "--name", FOLDER.name)
    assert code == 0, errors
    stored, found = (asdict(Evidence.load(folder)) for folder in (FOLDER, copy))
    assert nearly(stored, found)


@of_each_report
def test_every_run_that_stands_there_can_be_tested(folder):
    runs, evidence = load_runs(folder), Evidence.load(folder)
    assert {name for of in evidence.targets.values() for name in of.estimates} == {run.name for run in runs}
    assert set_apart(runs) == {}


def test_every_kind_of_model_stands_there(runs):
    kinds = {run.classifier for run in runs}
    wanted = {"svm", "random_forest", "xgboost", "logistic_regression", "mlp", "majority", "off_the_shelf"}
    assert wanted <= kinds
    assert any(run.training for run in runs)
    assert any("members" in run.parameters for run in runs)


@of_each_report
def test_outcomes_are_small_and_name_nobody(folder):
    files = sorted((folder / "outcomes").iterdir())
    assert {path.stem for path in files} == {"faces", *(run.name for run in load_runs(folder))}
    for path in files:
        assert path.stat().st_size < 2_000_000, path.name
        assert b".jpg" not in path.read_bytes(), path.name
        columns = pd.read_parquet(path).columns
        known = {"row", "subject", "fold", "true", "predicted", "age", "age_group", "gender"}
        assert all(name in known or name.startswith("p_") for name in columns)


# ---------------------------------------------------------------- hand-crafted features


def test_the_page_on_hand_crafted_features_says_what_is_stored(figures):
    page = (ROOT / "docs" / "results" / "hand_crafted.md").read_text(encoding="utf-8")
    assert page == figures.hand_crafted(), "Next: python benchmarks/kept_figures.py"


def test_every_hand_crafted_feature_is_compared_on_the_faces_of_readme(runs):
    classic = load_runs(CLASSIC)
    features = {"hog", "lbp", "bif", "eigenfaces", "flattened_pixels", "landmarks", "landmarks_68"}
    features |= {"landmarks_68:geometry", "dlib_age", "dlib_face"}
    found = {(run.features, run.classifier, run.target) for run in classic if not run.is_baseline}
    wanted = set(product(features, ("svm", "random_forest"), ("gender", "age_group", "age")))
    assert found == wanted
    assert {run.folds["number"] for run in classic} == {5}
    assert {run.scored_on["rows"] for run in classic} == {run.scored_on["rows"] for run in runs}
    with_curve = load_curves(CLASSIC, classic)
    assert {run.features for run in classic if run.name in with_curve} == {"hog", "dlib_face"}
    assert {len(curve.points) for curve in with_curve.values()} == {5}


def test_hand_crafted_features_are_worth_what_the_literature_lets_expect():
    svm = {(run.features, run.target): run.name for run in load_runs(CLASSIC) if run.classifier == "svm"}
    of = Evidence.load(CLASSIC).targets
    assert of["gender"].estimates[svm["hog", "gender"]]["accuracy"].value >= 0.8
    assert of["age"].estimates[svm["bif", "age"]]["mae_years"].value <= 8.5
    for target in ("gender", "age"):
        found = of[target].between(svm["hog", target], svm["flattened_pixels", target])
        assert found.gain > 0
        assert found.is_shown


def test_no_p_value_of_a_page_is_the_resolution_of_its_test(runs):
    for of in Evidence.load(FOLDER).targets.values():
        assert all(one.limit <= 1e-4 for one in of.differences)
        assert any(one.adjusted <= one.limit for one in of.differences)
    assert "p < 0.0001" in plain((FOLDER / "report.md").read_text(encoding="utf-8"))
    assert "p 0.014" not in (ROOT / "docs" / "results" / "utkface.md").read_text(encoding="utf-8")


# ---------------------------------------------------------------- ranges of years


def as_before(years, true, folds):
    """Ranges around the reading as they were: as wide as the errors at such readings are on average."""
    ranges = np.empty((len(years), 2))
    for fold in np.unique(folds):
        here, others = folds == fold, folds != fold
        errors, said = np.abs(true - years)[others], years[others]
        edges = np.quantile(said, np.linspace(0, 1, 11)[1:-1])
        bins = np.searchsorted(edges, said)
        counts = np.bincount(bins)
        means, scale = (np.bincount(bins, weights=values) / counts for values in (said, errors))
        strange = np.sort(errors / np.interp(said, means, scale))
        threshold = strange[int(np.ceil((1 - MISSED) * (len(strange) + 1))) - 1]
        half = threshold * np.interp(years[here], means, scale)
        ranges[here] = np.stack([np.maximum(years[here] - half, 0), years[here] + half], axis=1)
    return ranges


@lru_cache  # several tests look at the same ranges, and both kinds take long
def ranges_of(name):
    """The true ages of a run of age, the ranges around what it read, and those that were drawn before."""
    table = pd.read_parquet(FOLDER / "outcomes" / f"{name}.parquet")
    years, true = (table[column].to_numpy(float) for column in ("predicted", "true"))
    folds, subjects = table["fold"].to_numpy(np.intp), table["subject"].to_numpy()
    ranges = cross_fitted_ranges(years, true, folds, subjects, alpha=MISSED)
    found = true, ranges, as_before(years, true, folds)
    for one in found:
        one.flags.writeable = False
    return found


BANDS = {
    "age groups and what lies between": (3, 4, 7, 8, 13, 15, 21, 25, 33, 38, 44, 48, 54, 60, 70, 80),
    "decades": tuple(range(10, 120, 10)),
    "five years": tuple(range(5, 120, 5)),
}


@pytest.mark.slow
@pytest.mark.parametrize("bands", BANDS)
def test_ranges_hold_people_of_every_age_and_are_hardly_wider_than_before(runs, bands):
    best = best_first([run for run in runs if run.target == "age" and run.classifier == "svm"])[0]
    true, ranges, before = ranges_of(best.name)
    band = np.digitize(true, BANDS[bands])
    below = []
    for each in (ranges, before):
        held = (each[:, 0] <= true) & (true <= each[:, 1])
        assert held.mean() == pytest.approx(1 - MISSED, abs=0.01)
        large = [number for number in np.unique(band) if (band == number).sum() >= 100]
        below.append(sum(held[band == number].mean() < 0.85 for number in large))
    assert below[0] <= 1 < below[1]
    assert np.ptp(ranges, axis=1).mean() < 1.1 * np.ptp(before, axis=1).mean()


@pytest.mark.slow
def test_ranges_hold_people_of_every_age_for_every_model(runs):
    trained = [run for run in runs if run.target == "age" and not run.is_baseline]
    assert len(trained) > 10
    for run in trained:
        true, ranges, before = ranges_of(run.name)
        held = (ranges[:, 0] <= true) & (true <= ranges[:, 1])
        band = np.digitize(true, BANDS["age groups and what lies between"])
        large = [number for number in np.unique(band) if (band == number).sum() >= 100]
        below = [number for number in large if held[band == number].mean() < 0.85]
        assert len(below) <= 1, (run.name, below)
        width = np.ptp(ranges, axis=1).mean() / np.ptp(before, axis=1).mean()
        assert width < 1.1, (run.name, width)


# ---------------------------------------------------------------- the first screen


@pytest.mark.parametrize("target", ["age_group", "gender", "age"])
def test_the_kept_page_shows_what_the_evidence_answers(runs, target):
    page = (FOLDER / "report.md").read_text(encoding="utf-8")
    verdict = plain(page.split("## Summary")[1].split("\n## ")[0])
    of = next(one for one in ranked_targets(runs, Evidence.load(FOLDER)) if one.name == target)
    answered = answer(of, Audit.load(FOLDER))
    assert f"{answered.model}: **{answered.score}** {answered.between}" in verdict
    for word, sentence in answered.lines:
        assert f"{word}: {sentence}" in verdict


def test_the_answers_are_on_the_first_screen(browser):
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.goto((FOLDER / "report.html").as_uri())
    for word in ("How sure", "Baselines", "Cost", "Worst slice", "Low coverage", "Data"):
        box = page.get_by_text(f"{word}:", exact=True).first.bounding_box()
        assert box is not None
        assert box["y"] + box["height"] < 800, word
    page.close()


def test_the_kept_page_is_short_and_small(browser):
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.goto((FOLDER / "report.html").as_uri())
    assert page.evaluate("document.documentElement.scrollHeight") / 800 < 22
    assert (FOLDER / "report.html").stat().st_size < 1.9e6
    page.close()


def cells_of(line):
    return [cell.strip().replace("\\", "") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


@pytest.mark.parametrize("page", sorted(ROOT.glob("reports/*/report.md")), ids=lambda page: page.parent.name)
def test_every_kept_page_has_the_terms_of_the_tables(page):
    """Terms that were corrected in the table are corrected in every page: one source for both."""
    text = page.read_text(encoding="utf-8")
    lines = text.split("Weight files and their licences**\n\n")[1].split("\n\n")[0].splitlines()
    names = cells_of(lines[0])
    rows = [dict(zip(names, cells_of(line), strict=True)) for line in lines[2:]]
    assert rows
    for row in rows:
        licences = WEIGHTS[row["Weights"]].licences
        shown = [row[f"Licence of the {part}"] for part in ("code", "weights")]
        shown.append(row["Terms of the training data"])
        assert shown == [licences.code, licences.weights, licences.training_data], row["Weights"]
    known = {one.name: one.licence for one in DATASETS}
    for name, terms in re.findall(
        r"^(\w+) has [\d,]+ rows, .* Terms of the data set: (.*)\.$", text, re.MULTILINE
    ):
        assert terms == known[name]
