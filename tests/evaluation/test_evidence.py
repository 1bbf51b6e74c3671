"""What predictions say beyond the scores: who is better, how sure that is, and for whom it fails."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from featurekit.data.manifest import COLUMNS, Manifest
from featurekit.data.targets import AGE_GROUP, GENDER, TARGETS, Target
from featurekit.errors import ModelError, WorkspaceError
from featurekit.evaluation import evidence
from featurekit.evaluation.changes import compare_runs
from featurekit.evaluation.estimates import Estimate
from featurekit.evaluation.evidence import Evidence, gather
from featurekit.evaluation.outcomes import Outcomes
from featurekit.evaluation.rivals import rivals_of
from featurekit.evaluation.scores import score
from featurekit.evaluation.slices import slices_of, worst_of, worst_slice
from featurekit.uncertainty.resampling import FEWEST

N = 400  # faces, two of each subject
GROUPS = ("0-2", "25-32", "60-100")


@pytest.fixture
def manifest(tmp_path):
    """Faces of 200 subjects, of whom the last twenty wear a hat."""
    numbers = np.arange(N)
    table = pd.DataFrame(dict.fromkeys(COLUMNS, [""] * N))
    table["face_id"] = [f"f{number:03}" for number in numbers]
    table["subject_id"] = [f"s{number // 2:03}" for number in numbers]
    table["gender"] = np.where(numbers // 2 % 2, "female", "male")
    table["age_group"] = np.array(GROUPS)[numbers // 4 % 3]
    table["age"] = np.array([1.0, 17.0, 70.0])[numbers // 4 % 3]
    table["hat"] = np.where(numbers >= N - 40, "yes", "no")
    table["official_fold"] = -1
    return Manifest(table, tmp_path)


def a_run(name, target, *, is_baseline=False, milliseconds=20.0, processor="one", mean=None):
    """A run that takes so long for each face."""
    return SimpleNamespace(
        name=name,
        target=target,
        classes=TARGETS[target].classes,
        classifier="majority" if is_baseline else "svm",
        is_baseline=is_baseline,
        dataset={"n_rows": N},
        n_tested=N,
        seconds={"extract": N * milliseconds / 1000, "predict": 0.0} if milliseconds else {},
        hardware={"processor": processor},
        scores={} if mean is None else {"mae_years" if target == "age" else "accuracy": {"mean": mean}},
        recipes=(),
    )


def write(folder, name, manifest, target, said, *, rows=None, proba=None):
    """Write predictions as a run does."""
    table = manifest.table
    rows = np.arange(N) if rows is None else rows
    columns = {
        "face_id": table["face_id"].to_numpy()[rows],
        "subject": (np.arange(N) // 2)[rows],
        "fold": (np.arange(N) // 2 % 5)[rows],
        "true": table[target.name].to_numpy()[rows],
        "predicted": np.asarray(said)[rows],
    }
    if target.classes:
        proba = np.full((N, len(target.classes)), 1 / len(target.classes)) if proba is None else proba
        columns |= {f"p_{label}": proba[rows, i] for i, label in enumerate(target.classes)}
    (folder / "predictions").mkdir(parents=True, exist_ok=True)
    pd.DataFrame(columns).to_parquet(folder / "predictions" / f"{name}.parquet", index=False)


def misread(labels, wrong):
    """The labels, another where it is wrong."""
    return np.where(wrong, np.where(labels == "male", "female", "male"), labels)


@pytest.fixture
def folder(tmp_path, manifest):
    """Three models of gender: good, its twin, and one that is wrong about every fifth subject more."""
    gender = manifest.table["gender"].to_numpy()
    subject = np.arange(N) // 2
    folder = tmp_path / "report"
    write(folder, "good", manifest, GENDER, misread(gender, subject % 10 == 0))
    write(folder, "twin", manifest, GENDER, misread(gender, subject % 10 == 0))
    write(folder, "bad", manifest, GENDER, misread(gender, subject % 10 < 3))
    return folder


RUNS = (
    a_run("good", "gender", mean=0.9),
    a_run("twin", "gender", mean=0.9),
    a_run("bad", "gender", mean=0.7),
)


def test_a_worse_model_is_shown_to_be_worse_from_either_side(folder, manifest):
    found = gather(folder, RUNS, manifest).targets["gender"]
    better = found.between("good", "bad")
    assert better.gain == pytest.approx(0.2)
    assert 0.1 < better.low < 0.2 < better.high < 0.3
    assert better.is_shown
    assert better.adjusted >= better.p_value
    worse = found.between("bad", "good")
    assert (worse.gain, worse.low, worse.high) == (-better.gain, -better.high, -better.low)
    assert worse.p_value == better.p_value
    assert found.between("good", "good") is None


def test_the_best_model_is_compared_in_detail_with_one_that_is_not_level(folder, manifest):
    found = gather(folder, RUNS, manifest).targets["gender"]
    assert list(found.curves) == ["good", "bad"]
    assert found.curves["good"][0].roc_auc == Estimate(0.5, 0.5, 0.5)  # all probabilities are the same
    difference = found.confusion_difference
    assert (difference.first, difference.second) == ("good", "bad")
    assert sum(difference.counts_first[i][i] - difference.counts_second[i][i] for i in (0, 1)) == 0.2 * N


def test_of_equal_models_there_is_no_evidence_of_a_difference(folder, manifest):
    twins = gather(folder, RUNS, manifest).targets["gender"].between("good", "twin")
    assert (twins.gain, twins.low, twins.high, twins.p_value, twins.by_folds) == (0, 0, 0, 1, 1)
    assert not twins.is_shown


def test_estimates_are_the_scores_of_all_faces_together(folder, manifest):
    rng = np.random.default_rng(0)
    groups = manifest.table["age_group"].to_numpy()
    proba = rng.dirichlet(np.ones(8), N)
    said = np.array(AGE_GROUP.classes)[proba.argmax(axis=1)]
    write(folder, "ages", manifest, AGE_GROUP, said, proba=proba)
    found = gather(folder, [a_run("ages", "age_group")], manifest).targets["age_group"].estimates["ages"]
    whole = score(AGE_GROUP, AGE_GROUP.encode(list(groups)), proba.argmax(axis=1), proba)
    whole.pop("roc_auc")  # no sum decides it
    assert {name: one.value for name, one in found.items()} == pytest.approx(whole, rel=1e-5)
    for one in found.values():
        assert one.low < one.value < one.high


def test_subjects_are_counted_not_faces(folder, manifest):
    found = gather(folder, RUNS, manifest).targets["gender"]
    assert (found.n_faces, found.n_subjects, found.effective_subjects) == (400, 200, 200)
    # The interval of 200 subjects, who are read alike on both of their faces.
    half = 1.96 * np.sqrt(0.3 * 0.7 / 200)
    estimate = found.estimates["bad"]["accuracy"]
    assert estimate == Estimate(
        pytest.approx(0.7), pytest.approx(0.7 - half, abs=0.012), pytest.approx(0.7 + half, abs=0.012)
    )


def test_the_labels_that_are_read_worst_come_first(folder, manifest):
    gender, group = manifest.table["gender"].to_numpy(), manifest.table["age_group"].to_numpy()
    write(folder, "blind", manifest, GENDER, misread(gender, (gender == "female") & (group == "0-2")))
    found = gather(folder, [a_run("blind", "gender")], manifest).targets["gender"]
    worst = found.slices[0]
    assert (worst.columns, worst.labels) == (("gender", "age_group"), ("female", "0-2"))
    assert worst.estimate == Estimate(0.0, 0.0, 0.0)
    assert worst.n_subjects == 34
    names = {one.columns for one in found.slices}
    own = {("gender", "hat"), ("age_group", "hat")}
    assert names == {("gender",), ("age_group",), ("hat",), ("gender", "age_group"), *own}


def test_the_gap_of_a_slice_to_all_other_faces_is_tested(folder, manifest):
    gender, group = manifest.table["gender"].to_numpy(), manifest.table["age_group"].to_numpy()
    write(folder, "blind", manifest, GENDER, misread(gender, (gender == "female") & (group == "0-2")))
    of = {
        one.labels: one
        for one in gather(folder, [a_run("blind", "gender")], manifest).targets["gender"].slices
    }
    assert of["female", "0-2"].gap == pytest.approx(-1.0)
    assert of["female", "0-2"].gap_p < 1e-4
    assert of["female", "0-2"].is_worse
    assert of["male",].gap == pytest.approx(0.34)
    assert not of["male",].is_worse  # but better
    assert of["25-32",].gap == pytest.approx(34 / 134, rel=1e-4)
    # Twenty hats are too few to be set against the rest, and so are the rest to be set against nobody.
    assert (of["yes",].gap, of["no",].gap_p) == (None, None)


def test_where_chance_deals_the_mistakes_no_slice_is_shown_to_be_worse(folder, manifest):
    gender = manifest.table["gender"].to_numpy()
    wrong = np.random.default_rng(5).random(N // 2) < 0.2
    write(folder, "fair", manifest, GENDER, misread(gender, np.repeat(wrong, 2)))
    slices = gather(folder, [a_run("fair", "gender")], manifest).targets["gender"].slices
    assert sum(one.gap_p is not None for one in slices) > 8
    assert not any(one.is_worse for one in slices)


def test_own_columns_are_combined_with_gender_and_age_group_where_thirty_subjects_are(folder, manifest):
    manifest.table["same"] = np.where(manifest.table["gender"] == "male", "m", "f")
    manifest.table["glasses"] = np.where(np.arange(N) // 2 % 3 == 0, "yes", "no")
    manifest.table["camera"] = np.array([f"c{n}" for n in range(20)])[np.arange(N) // 2 % 20]
    slices = gather(folder, RUNS, manifest).targets["gender"].slices
    combined = {one.columns for one in slices if len(one.columns) == 2}
    assert ("gender", "same") not in combined  # it says what gender says
    assert ("gender", "glasses") in combined
    assert ("age_group", "glasses") in combined
    assert ("gender", "camera") not in combined  # of many labels
    own = [one for one in slices if len(one.columns) == 2 and "age_group" not in one.columns[0:1]]
    assert all(one.n_subjects >= FEWEST for one in own if one.columns != ("gender", "age_group"))


def test_the_best_model_is_the_best_by_the_mean_over_the_folds(folder, manifest):
    """Folds differ in size, so that the mean over all faces may order two models the other way."""
    runs = [
        a_run("good", "gender", mean=0.895),
        a_run("bad", "gender", mean=0.7),
        a_run("twin", "gender", mean=0.899),
    ]
    assert gather(folder, runs, manifest).targets["gender"].sliced == "twin"
    # One without a score comes last.
    runs = [a_run("bad", "gender", mean=0.7), a_run("good", "gender", mean=float("nan"))]
    assert gather(folder, runs, manifest).targets["gender"].sliced == "bad"


def test_of_few_subjects_no_number_is_given(folder, manifest):
    slices = gather(folder, RUNS, manifest).targets["gender"].slices
    hats = next(one for one in slices if one.labels == ("yes",))
    assert hats.n_subjects == 20 < FEWEST
    assert hats.estimate is None
    assert slices[-1] is hats  # after all that can be said


def test_slices_are_those_of_the_best_trained_model(folder, manifest):
    gender = manifest.table["gender"].to_numpy()
    write(folder, "floor", manifest, GENDER, gender)  # a baseline that is always right
    runs = [*RUNS, a_run("floor", "gender", is_baseline=True)]
    assert gather(folder, runs, manifest).targets["gender"].sliced == "good"


def test_checks_of_a_legal_age_are_counted_from_both_sides(folder, manifest):
    target = manifest.target("age")
    years = manifest.table["age"].to_numpy()
    write(folder, "years", manifest, target, np.where(years == 17, 18.0, years + 2.0))  # 18 is the older side
    found = gather(folder, [a_run("years", "age")], manifest).targets["age"]
    assert found.score == "mae_years"
    assert found.estimates["years"]["mae_years"].value == pytest.approx(
        np.where(years == 17, 1, 2).mean(), rel=1e-5
    )
    adult = next(one for one in found.legal_ages if one.plain.legal_age == 18).plain
    # Those of 1 and 17 years are younger; all of 17 were called 18.
    assert adult.passing.n_faces + adult.stopped.n_faces == N
    assert adult.passing.share.value == pytest.approx((years == 17).sum() / (years < 18).sum(), rel=1e-5)
    assert adult.stopped.share.value == 0.0
    assert {(one.legal_age, one.threshold) for one in found.challenge} == {(18, 25)}


def sure_of(manifest, said, confidence):
    """Probabilities of two classes, so much of what was said."""
    proba = np.zeros((N, 2))
    answer = np.where(said == "female", 0, 1)
    proba[np.arange(N), answer] = confidence
    proba[np.arange(N), 1 - answer] = 1 - confidence
    return proba


def test_a_model_that_is_surer_than_it_is_right_is_found_out(folder, manifest):
    gender, rng = manifest.table["gender"].to_numpy(), np.random.default_rng(0)
    said = misread(gender, rng.random(N) < 0.3)
    write(folder, "boaster", manifest, GENDER, said, proba=sure_of(manifest, said, 0.99))
    found = gather(folder, [a_run("boaster", "gender")], manifest).targets["gender"].confidence
    assert found.temperature > 2
    assert found.before.value == pytest.approx(0.29, abs=0.05)
    assert found.after.value < 0.1
    assert found.risks[-1] == pytest.approx(float((said != gender).mean()))


def test_answers_that_leave_room_hold_the_truth_as_often_as_they_should(folder, manifest):
    gender, rng = manifest.table["gender"].to_numpy(), np.random.default_rng(1)
    confidence = rng.uniform(0.5, 1.0, N)
    said = misread(gender, rng.random(N) > confidence)
    write(folder, "honest", manifest, GENDER, said, proba=sure_of(manifest, said, confidence))
    found = gather(folder, [a_run("honest", "gender")], manifest).targets["gender"]
    everyone = found.coverage[0][1]
    assert found.coverage[0][0] == ""
    assert 0.85 <= everyone.value <= 0.97
    assert 1 < everyone.size < 2
    bands = [one.label for column, one in found.coverage if column == "age_band"]
    assert bands == ["0-2", "15-20", "70-79"]  # in their order; of the true ages, without a gap
    assert next(one for _, one in found.coverage if one.label == "yes").value is None  # twenty hats


def test_where_a_fold_has_nobody_else_nothing_is_said_of_confidence(folder, manifest):
    path = folder / "predictions" / "good.parquet"
    table = pd.read_parquet(path)
    table["fold"] = np.arange(N) % 2  # everybody is in both
    table.to_parquet(path)
    found = gather(folder, [a_run("good", "gender")], manifest).targets["gender"]
    assert found.confidence is None
    assert found.coverage == ()
    assert found.estimates["good"]["accuracy"].value == pytest.approx(0.9)


def test_ranges_of_years_are_as_wide_as_the_errors(folder, manifest):
    target, rng = manifest.target("age"), np.random.default_rng(2)
    years = manifest.table["age"].to_numpy()
    write(folder, "years", manifest, target, years + rng.normal(0, 1 + years / 10, N))
    found = gather(folder, [a_run("years", "age")], manifest).targets["age"]
    assert found.confidence is None
    of = {one.label: one for column, one in found.coverage if column in ("", "age_band")}
    assert 0.85 <= of["all faces"].value <= 0.97
    assert of["0-2"].size < of["70-79"].size
    assert found.broken == ()


def test_models_are_compared_on_the_faces_that_both_have_read(folder, manifest):
    gender = manifest.table["gender"].to_numpy()
    rows = np.arange(N)[::-1][: N // 2]  # half of them, in another order
    write(folder, "half", manifest, GENDER, misread(gender, np.arange(N) < 0), rows=rows)
    found = gather(folder, [*RUNS, a_run("half", "gender")], manifest).targets["gender"]
    assert found.n_faces == N // 2
    assert found.between("half", "good").gain == pytest.approx(0.1)
    assert found.estimates["good"]["accuracy"].value == pytest.approx(0.9)  # of all that it has read


# ---------------------------------------------------------------- two comparisons


def test_a_later_run_is_compared_with_the_earlier_one_of_its_name(tmp_path, folder, manifest):
    gender, subject = manifest.table["gender"].to_numpy(), np.arange(N) // 2
    later = tmp_path / "later"
    write(later, "bad", manifest, GENDER, misread(gender, subject % 10 == 0))  # it has learned
    write(later, "twin", manifest, GENDER, misread(gender, subject % 10 == 0), rows=np.arange(N)[::-1])
    runs = dict.fromkeys(("bad", "twin", "good"), GENDER)
    found = compare_runs(folder, later, runs)
    assert set(found) == {"bad", "twin"}  # nobody fitted good again
    assert found["bad"].gain == pytest.approx(0.2)
    assert found["bad"].is_shown
    # Of the twin nothing has changed, whatever the signs are: testing it too costs nothing.
    assert found["bad"].adjusted == found["bad"].p_value
    assert found["bad"].limit <= 0.0001
    assert (found["twin"].gain, found["twin"].adjusted) == (0.0, 1.0)
    assert compare_runs(later, folder, runs)["bad"].gain == pytest.approx(-0.2)


def test_runs_of_two_comparisons_that_share_no_subject_are_adjusted_together(tmp_path, manifest):
    """What differs on one half each is paid for twice, and the subjects' numbers do not matter."""
    gender, before, after = manifest.table["gender"].to_numpy(), tmp_path / "before", tmp_path / "after"
    halves = {"first": np.arange(N // 2), "second": np.arange(N // 2, N)}
    for name, rows in halves.items():
        write(before, name, manifest, GENDER, misread(gender, np.arange(N) // 2 % 20 == 0), rows=rows)
        write(after, name, manifest, GENDER, misread(gender, np.arange(N) % 2 < 0), rows=rows)
    found = compare_runs(before, after, dict.fromkeys(halves, GENDER))
    p = found["first"].p_value
    assert p == pytest.approx(2 / 2**5, abs=0.005)  # five subjects have changed in each half
    for one in found.values():
        assert one.adjusted == pytest.approx(1 - (1 - p) ** 2, abs=0.01)
    for folder in (before, after):  # another manifest had numbered them alike
        path = folder / "predictions" / "second.parquet"
        table = pd.read_parquet(path)
        table["subject"] -= table["subject"].min()
        table.to_parquet(path)
    assert compare_runs(before, after, dict.fromkeys(halves, GENDER)) == found


def test_two_comparisons_without_a_common_run_are_compared_in_nothing(tmp_path):
    assert compare_runs(tmp_path, tmp_path, {}) == {}


# ---------------------------------------------------------------- what a cheaper model would cost


def trades(folder, manifest, *runs, **margins):
    return gather(folder, runs, manifest, **margins).targets["gender"].trades


GOOD, TWIN, BAD = (
    a_run("good", "gender", mean=0.9, milliseconds=20.0),
    a_run("twin", "gender", mean=0.9, milliseconds=10.0),
    a_run("bad", "gender", mean=0.7, milliseconds=5.0),
)


def test_a_cheaper_model_is_within_the_margin_where_its_loss_is_shown_to_be_smaller(folder, manifest):
    bad, twin = trades(folder, manifest, GOOD, TWIN, BAD)  # the cheapest first
    assert (bad.name, bad.milliseconds, bad.best_milliseconds) == ("bad", 5.0, 20.0)
    assert bad.loss == pytest.approx(0.2)
    assert 0.1 < bad.low < 0.2 < bad.high < 0.3
    assert bad.p_value > 0.99
    assert not bad.is_within
    assert (twin.name, twin.loss, twin.low, twin.high) == ("twin", 0.0, 0.0, 0.0)
    assert twin.p_value == twin.limit <= 0.0001
    assert twin.is_within


def test_no_evidence_of_a_difference_is_no_reason_to_recommend_a_model(folder, manifest):
    """Three of a hundred subjects more are misread, p 0.03 for the pair: it may lose five points as well."""
    gender, subject = manifest.table["gender"].to_numpy(), np.arange(N) // 2
    write(folder, "near", manifest, GENDER, misread(gender, (subject % 10 == 0) | (subject % 50 == 1)))
    near = a_run("near", "gender", mean=0.88, milliseconds=5.0)
    found = gather(folder, [GOOD, near], manifest).targets["gender"]
    assert not found.between("good", "near").is_shown
    [trade] = found.trades
    assert trade.loss == pytest.approx(0.02)
    assert not trade.is_within
    [trade] = trades(folder, manifest, GOOD, near, margin_points=10)
    assert trade.is_within


@pytest.mark.parametrize(
    "other",
    [
        a_run("twin", "gender", mean=0.9, milliseconds=17.0),  # a busy machine makes as much of one time
        a_run("twin", "gender", mean=0.9, milliseconds=10.0, processor="another"),
        a_run("twin", "gender", mean=0.9, milliseconds=None),
        a_run("twin", "gender", mean=0.9, milliseconds=10.0, is_baseline=True),
    ],
)
def test_what_is_not_clearly_cheaper_on_the_same_machine_is_no_trade(folder, manifest, other):
    assert trades(folder, manifest, GOOD, other) == ()


def test_years_have_a_margin_of_their_own(folder, manifest):
    target, years = manifest.target("age"), manifest.table["age"].to_numpy()
    noise = np.random.default_rng(0).normal(0, 0.2, N)
    write(folder, "slow", manifest, target, years + 5)
    write(folder, "quick", manifest, target, years + 5.1 + noise)
    runs = a_run("slow", "age", mean=5.0), a_run("quick", "age", mean=5.1, milliseconds=5.0)
    for margin, is_within in ((0.1, False), (0.2, True)):
        found = gather(folder, runs, manifest, margin_years=margin).targets["age"]
        assert found.margin == margin
        [trade] = found.trades
        assert trade.loss == pytest.approx(0.1 + noise.mean(), abs=1e-4)
        assert trade.is_within == is_within


@pytest.mark.parametrize("margin", [0.0, -1.0, float("nan"), float("inf")])
def test_a_margin_is_a_number_above_0(folder, manifest, margin):
    with pytest.raises(WorkspaceError, match=r"margin must be a number above 0. Got .* points instead"):
        gather(folder, RUNS, manifest, margin_points=margin)
    with pytest.raises(WorkspaceError, match=r"margin must be a number above 0. Got .* years instead"):
        gather(folder, RUNS, manifest, margin_years=margin)


def test_a_margin_of_all_points_is_none(folder, manifest):
    with pytest.raises(WorkspaceError, match=r"below 100 points. Got 150 points instead"):
        gather(folder, RUNS, manifest, margin_points=150)


def test_what_was_kept_with_another_margin_is_found_anew(folder, manifest):
    first = gather(folder, RUNS, manifest)
    assert first.targets["gender"].margin == 0.01
    other = gather(folder, RUNS, manifest, margin_points=3, margin_years=5)
    assert other.targets["gender"].margin == 0.03
    assert gather(folder, RUNS, manifest, margin_points=1, margin_years=5) == first  # it has no years


# ---------------------------------------------------------------- kept


def test_only_the_checks_of_other_legal_ages_are_found_anew(folder, manifest, monkeypatch):
    """The others are kept, and the file is the same as if all had been found again."""
    runs = [a_run("years", "age")]
    write(folder, "years", manifest, TARGETS["age"], manifest.table["age"] + np.arange(N) % 7 - 3.0)
    first = gather(folder, runs, manifest)
    file = (folder / "evidence.json").read_bytes()
    monkeypatch.setattr(evidence, "_of_targets", lambda *_: pytest.fail("all statistics were found again"))
    other = gather(folder, runs, manifest, legal_ages=[20, 30])
    assert [one.plain.legal_age for one in other.targets["age"].legal_ages] == [20, 30]
    assert other.targets["age"].years == first.targets["age"].years
    assert gather(folder, runs, manifest, legal_ages=[20, 30]) == gather(
        folder, runs, manifest, any_margin=True
    )
    assert gather(folder, runs, manifest) == first
    assert (folder / "evidence.json").read_bytes() == file
    with pytest.raises(ModelError, match="A check of the legal age 120 cannot be judged"):
        gather(folder, runs, manifest, legal_ages=[20, 120])


def test_what_was_found_is_kept_and_not_found_again(folder, manifest, monkeypatch):
    first = gather(folder, RUNS, manifest)
    monkeypatch.setattr(evidence, "_of_target", lambda *_: pytest.fail("was found again"))
    assert gather(folder, RUNS, manifest) == first


def test_what_was_kept_under_the_old_names_of_scores_is_not_found_again(folder, manifest, monkeypatch):
    first = gather(folder, RUNS, manifest)
    kept = folder / "evidence.json"
    kept.write_text(kept.read_text().replace('"accuracy"', '"exact"'))
    assert '"exact"' in kept.read_text()
    monkeypatch.setattr(evidence, "_of_target", lambda *_: pytest.fail("was found again"))
    assert gather(folder, RUNS, manifest) == first


def test_other_predictions_are_looked_at_anew(folder, manifest):
    gender = manifest.table["gender"].to_numpy()
    assert not gather(folder, RUNS, manifest).targets["gender"].between("good", "twin").is_shown
    write(folder, "twin", manifest, GENDER, misread(gender, np.arange(N) % 2 == 0))
    assert gather(folder, RUNS, manifest).targets["gender"].between("good", "twin").is_shown


def test_without_predictions_what_was_kept_of_the_same_runs_holds(folder, manifest):
    first = gather(folder, RUNS, manifest)
    (folder / "predictions" / "bad.parquet").unlink()
    assert gather(folder, RUNS, manifest) == first


def test_outcomes_alone_give_the_same_evidence(folder, manifest):
    """A comparison from elsewhere comes without predictions and manifest, as does what is copied into it."""
    first = gather(folder, RUNS, manifest)
    for path in (folder / "predictions").iterdir():
        path.unlink()
    (folder / "evidence.json").unlink()
    assert gather(folder, [*RUNS, a_run("later", "gender")]) == first
    # What is no run of it any more is no part of its evidence.
    assert set(gather(folder, RUNS[:2]).targets["gender"].estimates) == {"good", "twin"}
    assert {path.stem for path in (folder / "outcomes").iterdir()} == {"faces", "good", "twin"}


def test_outcomes_name_nobody(folder, manifest):
    gather(folder, RUNS, manifest)
    for path in (folder / "outcomes").iterdir():
        table = pd.read_parquet(path)
        assert not {"face_id", "subject_id", "image_path", "content"} & set(table)
        assert b"f001" not in path.read_bytes()


def test_outcomes_follow_the_predictions_and_the_labels(folder, manifest):
    gather(folder, RUNS, manifest)
    gender, before = manifest.table["gender"].to_numpy(), (folder / "outcomes" / "twin.parquet").read_bytes()
    write(folder, "twin", manifest, GENDER, misread(gender, np.arange(N) % 7 == 0))
    manifest.table["hat"] = "no"
    gather(folder, RUNS, manifest)
    assert (folder / "outcomes" / "twin.parquet").read_bytes() != before
    assert "hat" not in pd.read_parquet(folder / "outcomes" / "faces.parquet")


def test_predictions_of_faces_that_the_manifest_lacks_are_no_evidence(folder, manifest):
    other = Manifest(manifest.table.iloc[1:].reset_index(drop=True), manifest.root)
    assert gather(folder, RUNS, other) is None


def test_runs_without_predictions_are_left_out(folder, manifest):
    (folder / "predictions" / "bad.parquet").unlink()
    found = gather(folder, RUNS, manifest)
    assert set(found.targets["gender"].estimates) == {"good", "twin"}


def test_predictions_that_do_not_say_who_is_who_are_no_evidence(folder, manifest):
    for path in (folder / "predictions").iterdir():
        pd.read_parquet(path).drop(columns="subject").to_parquet(path)
    assert gather(folder, RUNS, manifest) is None


def test_the_same_predictions_give_the_same_file(folder, manifest, tmp_path):
    gather(folder, RUNS, manifest)
    first = (folder / "evidence.json").read_bytes()
    (folder / "evidence.json").unlink()
    gather(folder, RUNS, manifest)
    assert (folder / "evidence.json").read_bytes() == first
    assert str(tmp_path).encode() not in first


def test_a_damaged_file_is_named(folder, manifest):
    (folder / "evidence.json").write_text("{")
    with pytest.raises(WorkspaceError, match=r"evidence\.json is damaged.*Delete it"):
        Evidence.load(folder)


def test_progress_reaches_its_end(folder, manifest):
    told = []
    gather(folder, RUNS, manifest, progress=lambda done, total: told.append((done, total)))
    # Three runs, each of which is looked at in detail, their differences, and the rest.
    assert told == [(done, 8) for done in range(1, 9)]


def test_the_last_step_is_told_when_nothing_is_left_to_do(folder, manifest, monkeypatch):
    told, last = [], []
    for name in ("confidence_of", "slices_of", "coverage_of", "disparities_of", "curves_of"):
        real = getattr(evidence, name)

        def watched(*of, real=real, **options):
            last.append(len(told))
            return real(*of, **options)

        monkeypatch.setattr(evidence, name, watched)
    gather(folder, RUNS, manifest, progress=lambda done, total: told.append(done))
    assert max(last) == len(told) - 1


@pytest.mark.parametrize("target", [GENDER, TARGETS["age"]], ids=["classes", "years"])
def test_the_worst_of_all_slices_is_the_slice_that_is_found_without_them(target):
    """To the last bit and in its order among equals: the slices of some models are not computed twice."""
    rng = np.random.default_rng(0)
    for n in (20, 97, 300):
        table = pd.DataFrame({"row": np.arange(n), "subject": np.arange(n) // 2})
        if target.is_regression:
            table["true"] = rng.integers(20, 30, n).astype(float)
            table["predicted"] = table["true"] + rng.normal(size=n)
        else:
            table["true"] = rng.choice(target.classes, n)
            table["predicted"] = rng.choice(target.classes, n)
        # Two columns whose labels are the other way round, so that two slices are equally bad.
        half = np.where(np.arange(n) % 2, "b", "a")
        labels = pd.DataFrame({"y": rng.choice([*"abc", ""], n), "gender": half, "x": half[::-1]})
        labels["z"] = np.where(half == "a", "b", "a")
        outcomes = Outcomes(labels=labels.rename_axis("row"), tables={"r": table})
        found = worst_slice(outcomes, target, table, seed=0)
        assert worst_of(slices_of(outcomes, target, table, seed=0)) == found
        assert (found is None) == (n == 20)


def test_a_column_that_says_what_another_one_says_makes_no_slices_of_its_own(folder, manifest):
    """Adience's gender3 is its gender wherever nobody is undefined; twice the rows would be tested twice."""
    doubled = replace(manifest, table=manifest.table.assign(gender3=manifest.table["gender"]))
    columns = {name for one in gather(folder, RUNS, doubled).targets["gender"].slices for name in one.columns}
    assert "gender" in columns
    assert "gender3" not in columns


def test_the_worst_slice_of_a_model_is_the_label_with_most_errors_that_has_enough_subjects():
    """By hand: 40 faces of each of two hats, and 5 of a third one, on which everything is wrong."""
    n, target = 85, Target("hat", ("a", "b"))
    hats = np.array(["red"] * 40 + ["blue"] * 40 + ["rare"] * 5)
    is_wrong = np.r_[np.arange(40) < 4, np.arange(40) < 10, np.ones(5, bool)]
    table = pd.DataFrame(
        {
            "row": np.arange(n),
            "subject": [f"s{number}" for number in range(n)],
            "true": "a",
            "predicted": np.where(is_wrong, "b", "a"),
        }
    )
    labels = pd.DataFrame({"colour": hats}, index=pd.Index(np.arange(n), name="row"))
    found = worst_slice(Outcomes(labels=labels, tables={"r": table}), target, table, seed=0)
    assert (found.columns, found.labels, found.n_faces) == (("colour",), ("blue",), 40)
    assert found.estimate.value == 0.75
    assert found.estimate.low < 0.75 < found.estimate.high
    few = table[hats == "rare"]
    assert worst_slice(Outcomes(labels=labels, tables={"r": few}), target, few, seed=0) is None


def test_the_next_models_are_looked_at_beside_the_best_one_with_their_own_predictions(folder, manifest):
    gender, subject = manifest.table["gender"].to_numpy(), np.arange(N) // 2
    means = {"m0": 0.9, "m1": 0.8, "m2": 0.7, "m3": 0.6, "shelf": 0.95}
    runs = [a_run(name, "gender", mean=mean, is_baseline=name == "shelf") for name, mean in means.items()]
    runs[-1].classifier = "a network"
    # Model 0 is wrong about a tenth of the subjects, model 1 about a fifth, and so on.
    wrong = {run.name: subject % 10 <= number for number, run in enumerate(runs)}
    for name, of_model in wrong.items():
        write(folder, name, manifest, GENDER, misread(gender, of_model))
    known = gather(folder, runs, manifest).targets["gender"]
    assert list(known.slices_of_runs) == ["m0", "m1", "m2", "shelf"]
    for name, slices in known.slices_of_runs.items():
        female = next(one for one in slices if one.labels == ("female",))
        assert female.estimate.value == pytest.approx(1 - wrong[name][gender == "female"].mean())
    assert all(one.confidence is not None for one in known.beside.values())


def test_an_off_the_shelf_network_that_is_the_best_is_not_its_own_rival():
    shelf, constant = (
        SimpleNamespace(name=name, is_baseline=True, classifier=name, scores={"accuracy": {"mean": mean}})
        for name, mean in (("off_the_shelf", 0.9), ("majority", 0.5))
    )
    assert rivals_of([shelf, constant], "off_the_shelf", ()) == []
    assert rivals_of([shelf, constant], "svm", ()) == ["off_the_shelf"]
