"""Write README's results, the figures of docs/ and docs/glossary.md from what is stored.

No figure there is typed, and no term is explained in two places.

    python benchmarks/kept_figures.py            # write them all
    python benchmarks/kept_figures.py --check    # exit code 1 if one of them is not up to date

tests/report/test_kept_report.py runs the check.
"""

import csv
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from featurekit.api.results import load_results
from featurekit.checks.audit import Audit
from featurekit.estimators.fitted_features import FITTED_FEATURES, is_fitted
from featurekit.evaluation.data_curve import DataCurve, load_curves
from featurekit.evaluation.evidence import Evidence, TargetEvidence
from featurekit.evaluation.results import Run, load_runs
from featurekit.evaluation.scores import score_kind, score_word, signed
from featurekit.networks.backbones import BACKBONES
from featurekit.report.cells import amount, p_value
from featurekit.report.glossary import glossary_page
from featurekit.report.sections.made_by import made_by
from featurekit.report.sections.verdict import answer
from featurekit.report.select import Ranked, best_first

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "reports" / "utkface-builtin"
CLASSIC = ROOT / "reports" / "utkface-classic"
CLUSTER = ROOT / "benchmarks" / "results" / "cluster" / "kill_workers.json"
CLUSTER_PREDICT = CLUSTER.with_name("kill_workers_of_predict.json")
CLUSTER_PAGE = ROOT / "docs" / "cluster.md"
RESULTS_PAGE = ROOT / "docs" / "results" / "utkface.md"
README = ROOT / "README.md"
CLUSTER_BEGIN, CLUSTER_END = "<!-- cluster: python benchmarks/kept_figures.py -->", "<!-- end of cluster -->"
PREDICT_BEGIN, PREDICT_END = "<!-- predict: python benchmarks/kept_figures.py -->", "<!-- end of predict -->"
BEGIN, END = "<!-- results: python benchmarks/kept_figures.py -->", "<!-- end of results -->"
PRINTED_BEGIN = "<!-- printed: python benchmarks/kept_figures.py -->"
PRINTED_END = "<!-- end of printed -->"
SIX = "dlib_age+dlib_age:middle+dlib_gender+mobilenet_v2+mobilenet_v2:middle+dlib_face"
FIVE = SIX.removesuffix("+dlib_face")
THREE = "dlib_age+dlib_gender+dlib_face"
BUILTIN = "dlib_age+dlib_gender+mobilenet_v2"
# Short names of feature sets.
NAMES = {SIX: "all six", FIVE: "the five builtin ones", THREE: "dlib's three", BUILTIN: "three builtin ones"}
COLUMNS = (
    ("age_group", "accuracy"),
    ("age_group", "within_one_group"),
    ("gender", "accuracy"),
    ("age", "mae_years"),
)
TARGETS = {"age_group": "age groups", "gender": "gender", "age": "age"}
# What README shows: six models of the comparison, and the models that its lines of Python fit.
SHORT = (
    (SIX, "weighted ensemble of svm and multitask_cnn (epochs 6)"),
    (SIX, "svm"),
    (FIVE, "svm"),
    ("dlib_age", "multitask_cnn (epochs 6)"),
    ("off-the-shelf networks", "off_the_shelf"),
    ("none", "majority"),
)
PRINTED = ("svm", "xgboost", "logistic_regression", "off_the_shelf", "majority")
# The estimators of the comparison of hand-crafted features, and its features that are networks.
ESTIMATORS = ("svm", "random_forest")
NETWORKS = ("dlib_age", "dlib_face")
PAIRS = (
    ("hog", "flattened_pixels"),
    ("eigenfaces", "flattened_pixels"),
    ("bif", "hog"),
    ("lbp", "hog"),
    ("landmarks_68", "landmarks"),
    ("landmarks_68:geometry", "landmarks_68"),
    ("dlib_face", "hog"),
)


def results(folder: Path = FOLDER) -> str:
    """Return the results of a kept comparison as Markdown: table, summary, differences, commands."""
    runs, evidence = load_runs(folder), Evidence.load(folder)
    assert evidence is not None
    lines = [
        _intro(runs),
        "",
        *_table(runs),
        "",
        *_first_screen(runs, evidence),
        "",
        *_differences(runs, evidence),
    ]
    commands = made_by(runs, runs, folder.name, Audit.load(folder))
    return "\n".join([*lines, "", *_hardware(runs), "", *(f"    {line}" for line in commands)])


def _intro(runs: Sequence[Run]) -> str:
    dataset = runs[0].dataset
    n_used = dataset["n_rows"] - sum(dataset["tally"].values())
    tested = {run.target: run.n_tested for run in runs}
    n_folds, used = runs[0].folds["number"], {run.features for run in runs}
    return (
        f"The data are {dataset['n_rows']:,} face images of UTKFace (half of the data set as published,"
        " including duplicates, contradictory labels and malformed file names). The features are those of"
        f" the builtin networks and of `dlib_face`, for each face and its mirror image. There are {n_folds}"
        f" folds (seed {runs[0].seed}); scores are mean ± standard deviation over the folds. {n_used:,} rows"
        f" are usable, a face was found in {max(tested.values()):,} of them, and {tested['age_group']:,} of"
        " these have an age inside one of Adience's eight age groups. "
        + "; ".join(f"*{name}*: `{features}`" for features, name in NAMES.items() if features in used)
        + ". The whole report has confidence intervals, tests, confusion matrices, costs and licences:"
        " [reports/utkface-builtin/report.md](../../reports/utkface-builtin/report.md)."
    )


def _features(run: Run) -> str:
    if run.is_baseline and run.classifier == "majority":
        return "none"
    if run.is_baseline:
        return "off-the-shelf networks"
    return NAMES.get(run.features, run.features)


def short_results(folder: Path = FOLDER) -> str:
    """Return the six rows of README, and what they were measured on."""
    runs = load_runs(folder)
    dataset, tested = runs[0].dataset, max(run.n_tested for run in runs)
    lines = [
        f"UTKFace, {tested:,} faces of {dataset['n_rows']:,} images, {runs[0].folds['number']} folds;"
        " mean ± standard deviation over the folds.",
        "",
        *_table(runs, [(NAMES.get(features, features), model) for features, model in SHORT]),
    ]
    return "\n".join(lines)


def printed(folder: Path = FOLDER) -> str:
    """Return what README's lines of Python print, from the same models of the kept comparison."""
    frame = load_results(folder).frame("age_group")
    shown = frame[((frame["features"] == "dlib_age") | (frame["role"] != "")) & frame["model"].isin(PRINTED)]
    columns = ["accuracy", "accuracy_low", "accuracy_high"]
    return f"```text\n{shown.set_index('model')[columns].round(3)}\n```"


def _table(runs: Sequence[Run], only: Sequence[tuple[str, str]] = ()) -> list[str]:
    """Return a row for each model, or only for some of them, the best at age groups first."""
    by_model: dict[tuple[str, str], dict[str, Run]] = {}
    for run in runs:
        by_model.setdefault((_features(run), run.classifier_name), {})[run.target] = run
    first = best_first([run for run in runs if run.target == "age_group"])
    order = [(_features(run), run.classifier_name) for run in first]
    order = [model for model in order if not only or model in only]
    titles = []
    for target, name in COLUMNS:
        kind = score_kind(name)
        what = kind.title.lower() if kind.unit == "%" else kind.title
        titles.append(f"{TARGETS[target]}: {what}, {kind.unit}")
    lines = [f"| features | model | {' | '.join(titles)} |", "| --- " * (2 + len(COLUMNS)) + "|"]
    for model in order:
        cells = []
        for target, name in COLUMNS:
            run, kind = by_model[model].get(target), score_kind(name)
            score = run.scores[name] if run else None
            cells.append(f"{kind.format(score['mean'])} ± {kind.format(score['std'])}" if score else "–")
        lines.append(f"| {model[0]} | {model[1]} | {' | '.join(cells)} |")
    return lines


def _first_screen(runs: Sequence[Run], evidence: Evidence) -> list[str]:
    lines = ["For age groups, the summary of the report says:", ""]
    of_target = best_first([run for run in runs if run.target == "age_group"])
    answered = answer(Ranked("age_group", of_target, evidence.targets["age_group"]), Audit.load(FOLDER))
    for what, said in (("Best model", answered.best), *answered.lines):
        for features, name in NAMES.items():
            said = said.replace(f"on {features}", f"on {name}").replace(f" · {features}", f" on {name}")
        lines.append(f"- **{what}.** {said}")
    return lines


def _differences(runs: Sequence[Run], evidence: Evidence) -> list[str]:
    """Return the differences between some pairs of models, each with its interval and its p-value."""
    cnn = "multitask_cnn (epochs 6)"
    lines = [
        "These are some differences between models, each with its 95 % confidence interval over subjects"
        " and a p-value adjusted for all pairs of models of its target. Above 0 the first model is better;"
        " for age, it has the smaller error:",
        "",
    ]
    for what, first, second in (
        ("the SVM with `dlib_face` added to the five builtin feature sets", (SIX, "svm"), (FIVE, "svm")),
        ("the SVM against XGBoost, both on `dlib_age`", ("dlib_age", "svm"), ("dlib_age", "xgboost")),
        (
            "the network `dlib_age` fine-tuned end to end against the SVM on its embeddings",
            ("dlib_age", cnn),
            ("dlib_age", "svm"),
        ),
        (
            "the ensemble of the SVM on all six and this network against the SVM alone",
            (SIX, "ensemble"),
            (SIX, "svm"),
        ),
    ):
        lines.append(f"- {what[0].upper()}{what[1:]}: {_gains(runs, evidence, first, second)}.")
    return lines


def _gains(runs: Sequence[Run], evidence: Evidence, first: tuple[str, str], second: tuple[str, str]) -> str:
    """Return by how much the first pair of features and model is better than the second, for each target."""
    parts = []
    for target, of in evidence.targets.items():
        found = of.between(_name(runs, target, *first), _name(runs, target, *second))
        assert found is not None
        kind = score_kind(of.score)
        gain, low, high = (signed(kind, value) for value in (found.gain, found.low, found.high))
        unit = "points" if kind.unit == "%" else "years"
        parts.append(
            f"{TARGETS[target]} {gain} {unit} ({low} to {high}; {p_value(found.adjusted, found.limit)})"
        )
    return ", ".join(parts)


def _name(runs: Sequence[Run], target: str, features: str, classifier: str) -> str:
    """Return the name of the one run that is meant; an ensemble is meant by what its name begins with."""
    named = [
        run.name
        for run in runs
        if run.target == target
        and run.features == features
        and (run.classifier_name == classifier or run.classifier_name.startswith(f"{classifier} of"))
    ]
    assert len(named) == 1, (target, features, classifier, named)
    return named[0]


def _hardware(runs: Sequence[Run]) -> list[str]:
    machines = {f"{run.hardware['cores']} cores of an {run.hardware['processor']}" for run in runs}
    memory = {run.hardware["memory_gb"] for run in runs}
    days = sorted({run.created[:10] for run in runs})
    precisions = {one["precision"] for run in runs for one in run.hardware["got"].values()}
    return [
        f"The runs were made on {' to '.join(dict.fromkeys((days[0], days[-1])))} on"
        f" {' and '.join(sorted(machines))}, {' or '.join(map(str, sorted(memory)))} GB, without a GPU, in"
        f" {' and '.join(sorted(precisions))}, with these commands:"
    ]


def history() -> str:
    """Return docs/results/history.md: scores of runs without stored predictions, which cannot be tested."""
    with (ROOT / "docs" / "results" / "history.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    lines = [
        "# Earlier scores on UTKFace",
        "",
        "These runs were scored on the same images and folds as the report in reports/utkface-builtin, by"
        " earlier versions of"
        " featurekit, some of them on other machines. Their predictions were not stored, so confidence"
        " intervals and tests cannot be computed for them, and they are in no ranking. Scores are mean ±"
        " standard deviation over five folds. [history.csv](history.csv) has the command, the date and the"
        " hardware of each run.",
        "",
        "| target | features | model | score | mean ± std | device |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        kind = score_kind(row["score"])
        score = (
            f"{kind.format(float(row['mean']))} ± {kind.format(float(row['standard_deviation']))} {kind.unit}"
        )
        features = NAMES.get(row["features"], row["features"])
        name = score_word(kind)
        cells = (row["target"], features, row["classifier"], name, score, row["device"].partition(":")[0])
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", *(f"*{name}*: `{features}`." for features, name in NAMES.items())]
    return "\n".join(lines) + "\n"


def hand_crafted(folder: Path = CLASSIC) -> str:
    """Return docs/results/hand_crafted.md: what hand-crafted features are worth beside two networks."""
    runs, evidence = load_runs(folder), Evidence.load(folder)
    assert evidence is not None
    by_model = {(run.features, run.target, run.classifier): run for run in runs}
    trained = best_first([run for run in runs if run.target == "gender" and run.classifier == "svm"])
    features = [run.features for run in trained]
    dataset, tested = runs[0].dataset, max(run.n_tested for run in runs)
    lines = [
        "# What hand-crafted features are worth",
        "",
        "Hand-crafted features are computed from the pixels, or from landmarks, by a formula of a paper. No"
        " network is trained for them, and only `landmarks_68` needs a download. This page"
        f" compares them with two networks that were trained on faces, on the {dataset['n_rows']:,} images of"
        " UTKFace of [the other comparison](utkface.md)"
        f" ({tested:,} faces that were found, each with its mirror image), on the same"
        f" {runs[0].folds['number']} folds (seed {runs[0].seed}). No published scores of these features on"
        " UTKFace were found, so there is nothing to compare these scores with.",
        "",
        *_feature_table(features, by_model),
        "",
        "Accuracies are in %, errors (MAE) in years; ± is the standard deviation over the folds. Age groups"
        " are Adience's eight.",
        "",
        *(f"- {_described(name)}" for name in features),
        "",
        "## What the report says",
        "",
        *(f"- {_best_without_network(runs, target, evidence.targets[target])}" for target in TARGETS),
        "",
        "These are differences between SVMs, each with its 95 % confidence interval over subjects and a"
        " p-value adjusted for all pairs of models of its target. Above 0 the first feature is better:",
        "",
        *(
            f"- `{first}` against `{second}`: {_gains(runs, evidence, (first, 'svm'), (second, 'svm'))}."
            for first, second in PAIRS
        ),
        "",
        "## Would more faces help?",
        "",
        *_more_faces(runs, load_curves(folder, runs)),
        "",
        "The whole report has confidence intervals, slices and costs:"
        f" [reports/{folder.name}/report.md](../../reports/{folder.name}/report.md).",
        "",
        *_hardware(runs),
        "",
        *(f"    {line}" for line in made_by(runs, runs, folder.name, Audit.load(folder))),
    ]
    return "\n".join(lines) + "\n"


def _more_faces(runs: Sequence[Run], curves: Mapping[str, DataCurve]) -> list[str]:
    """Return what the last doubling of the training subjects changed, for each run that has a curve."""
    with_curve = sorted((run for run in runs if run.name in curves), key=lambda run: run.features)
    features = list(dict.fromkeys(run.features for run in with_curve))
    options = " ".join(f"--features {name}" for name in features)
    lines = [
        "The SVMs on these features were also fitted on parts of the training subjects of each fold, by"
        f" `featurekit fit --learning-curve --name {CLASSIC.name} --no-models --threads 1 --model svm"
        f" {options}`. This is what the last doubling of the training subjects gained, with its 95 %"
        " confidence interval over subjects. Above 0, more faces of the same kind helped:",
        "",
        "| target | feature | training faces | gain |",
        "| --- | --- | --- | --- |",
    ]
    for target, run in ((target, run) for target in TARGETS for run in with_curve if run.target == target):
        before, last = curves[run.name].points[-2:]
        kind = score_kind(curves[run.name].score)
        assert last.gain is not None
        gain, low, high = (signed(kind, value) for value in (last.gain.value, last.gain.low, last.gain.high))
        lines.append(
            f"| {TARGETS[target]} | `{run.features}` | {before.n_faces:,.0f} → {last.n_faces:,.0f} |"
            f" {gain} {kind.unit_of_difference} ({low} to {high}) |"
        )
    return lines


def _feature_table(features: Sequence[str], by_model: Mapping[tuple[str, str, str], Run]) -> list[str]:
    """Return a row for each feature: its length, and its scores with each estimator."""
    columns = (("gender", "accuracy"), ("age_group", "accuracy"), ("age", "mae_years"))
    titles = [f"{TARGETS[target]}: {estimator}" for target, _ in columns for estimator in ESTIMATORS]
    lines = [
        f"| feature | numbers | {' | '.join(titles)} |",
        "| --- " * (2 + len(titles)) + "|",
    ]
    for name in features:
        cells = []
        for target, score in columns:
            kind = score_kind(score)
            for estimator in ESTIMATORS:
                found = by_model[name, target, estimator].scores[score]
                cells.append(f"{kind.format(found['mean'])} ± {kind.format(found['std'])}")
        lines.append(f"| `{name}` | {by_model[name, 'gender', 'svm'].dim:,} | {' | '.join(cells)} |")
    return lines


def _described(feature: str) -> str:
    """Return what a feature is, as `featurekit list` describes it."""
    name = feature.partition(":")[0]
    about = FITTED_FEATURES[name].about if is_fitted(name) else BACKBONES[name].about
    return f"`{feature}`: {about}."


def _best_without_network(runs: Sequence[Run], target: str, evidence: TargetEvidence) -> str:
    """Return the best hand-crafted feature of a target, and how far the best network is from it."""
    ranked = best_first([run for run in runs if run.target == target and not run.is_baseline])
    best = next(run for run in ranked if run.features not in NETWORKS)
    network = next(run for run in ranked if run.features in NETWORKS)
    found, kind = evidence.between(network.name, best.name), score_kind(evidence.score)
    assert found is not None
    estimate = evidence.estimates[best.name][kind.name]
    of_network = evidence.estimates[network.name][kind.name]
    return (
        f"**{TARGETS[target][0].upper()}{TARGETS[target][1:]}.** The best hand-crafted feature is"
        f" `{best.features}` with {best.classifier}: {score_word(kind)} {kind.format(estimate.value)}"
        f" {kind.unit} ({kind.format(estimate.low)} to {kind.format(estimate.high)}). The best network is"
        f" `{network.features}` with {network.classifier}, {kind.format(of_network.value)} {kind.unit}:"
        f" {amount(kind, found.gain)} {'better' if found.gain > 0 else 'worse'}"
        f" ({p_value(found.adjusted, found.limit)})."
    )


def with_results(page: str) -> str:
    """Return the page on UTKFace with the results that are stored now."""
    return _between(page, BEGIN, END, f"\n{results()}\n")


def with_short_results(readme: str) -> str:
    """Return README with six rows of the results, and with what its lines of Python print."""
    readme = _between(readme, BEGIN, END, f"\n{short_results()}\n")
    return _between(readme, PRINTED_BEGIN, PRINTED_END, printed())


def with_cluster(page: str) -> str:
    """Return the page on clusters with what the two benchmarks that kill workers have stored."""
    page = _between(page, CLUSTER_BEGIN, CLUSTER_END, _cluster())
    return _between(page, PREDICT_BEGIN, PREDICT_END, _cluster_predict())


def _between(text: str, begin: str, end: str, new: str) -> str:
    """Return a text with new lines between the first line begin and the line end after it."""
    before, _, rest = text.partition(begin)
    _, _, after = rest.partition(end)
    return f"{before}{begin}\n{new}\n{end}{after}"


def _cluster() -> str:
    """Return a paragraph on what killed workers cost, and on the speed of two workers."""
    stored = json.loads(CLUSTER.read_text(encoding="utf-8"))
    total = {
        what: sum(shelf[what] for shelf in stored["shelves"])
        for what in ("rows", "lost", "added", "doubled", "unequal")
    }
    speed, machine = stored["speed"], stored["hardware"]
    rates = {
        name: ", ".join(f"{rate:.1f}" for rate in found)
        for name, found in speed["pictures_per_second"].items()
    }
    return (
        f"`python benchmarks/kill_workers.py PATH/UTKFace --kills {stored['kills']} --limit"
        f" {stored['limit']} --rounds {len(speed['pictures_per_second']['ray'])}` extracted"
        f" {stored['read']:,} pictures of UTKFace with dlib_age, dlib_gender and mobilenet_v2 on two nodes of"
        f" one machine ({machine['processor']}, {machine['cores']} cores),"
        f" killed {stored['kills']} workers at random moments, and removed {stored['nodes_lost']} of the"
        f" nodes in between. Compared with one process, of {total['rows']:,} rows {total['lost']} were lost,"
        f" {total['added']} were added, {total['doubled']} stood twice, and {total['unequal']} differed in a"
        f" bit. A second run read {stored['read_again']} pictures. Without kills, two workers did"
        f" {speed['ratio']:.2f} times the pictures per second of one process with two threads"
        f" ({rates['ray']} against {rates['local']}, in turns; median, start left out)."
    )


def _cluster_predict() -> str:
    """Return a paragraph on what killed workers cost a table of predictions."""
    stored = json.loads(CLUSTER_PREDICT.read_text(encoding="utf-8"))
    table, machine, whole = stored["table"], stored["hardware"], stored["whole_parts_at_each_kill"]
    return (
        f"`python benchmarks/kill_workers_of_predict.py PATH/UTKFace --kills {stored['kills']} --limit"
        f" {stored['limit']}` predicted gender, age group and age with the off-the-shelf models for"
        f" {stored['read']:,} pictures of UTKFace, in {stored['parts']} parts, on two nodes of one machine"
        f" ({machine['processor']}, {machine['cores']} cores). It killed {stored['kills']} workers at random"
        f" moments, the first when {min(whole)} parts were whole and the last when {max(whole)} were, and"
        f" removed {stored['nodes_lost']} of the nodes in between. Compared with one process, of"
        f" {table['rows']:,} rows {table['lost']} were lost, {table['added']} were added,"
        f" {table['doubled']} stood twice, and {table['unequal']} differed in a bit. Of the parts that were"
        f" whole when a worker was killed, {stored['whole_parts_computed_again']} were computed again. A"
        f" second run read {stored['read_again']} pictures."
    )


def main() -> None:
    """Write README and the pages of docs/ that are derived, or check whether they are up to date."""
    wanted = {
        README: with_short_results(README.read_text(encoding="utf-8")),
        RESULTS_PAGE: with_results(RESULTS_PAGE.read_text(encoding="utf-8")),
        ROOT / "docs" / "results" / "hand_crafted.md": hand_crafted(),
        ROOT / "docs" / "results" / "history.md": history(),
        ROOT / "docs" / "glossary.md": glossary_page(),
        CLUSTER_PAGE: with_cluster(CLUSTER_PAGE.read_text(encoding="utf-8")),
    }
    stale = [path for path, text in wanted.items() if not path.is_file() or path.read_text("utf-8") != text]
    if "--check" in sys.argv[1:]:
        for path in stale:
            print(f"{path.relative_to(ROOT)} is not up to date. Next: python benchmarks/kept_figures.py")
        sys.exit(bool(stale))
    for path in stale:
        path.write_text(wanted[path], encoding="utf-8")
        print(f"Wrote {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
