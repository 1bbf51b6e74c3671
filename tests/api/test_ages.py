"""results.ages: predicted ages as they are judged."""

import shutil
from pathlib import Path

import pytest

import featurekit as fk
from featurekit.api.ages import Ages
from featurekit.errors import ArgumentError, ModelError, TargetError, UnknownNameError, WorkspaceError

KEPT = Path(__file__).parents[2] / "reports" / "utkface-builtin"


@pytest.fixture(scope="module")
def kept():
    return fk.load_results(KEPT)


def test_a_check_is_of_the_best_model_and_of_all_faces_first(kept):
    found = kept.ages.checks(18, 25)
    best = kept.best("age").run
    assert set(found["model"]) == {f"{best.classifier_name} · {best.features}"}
    assert found["slice"][0] == ""
    assert {"gender female", "gender male", "age 17", "age 18"} <= set(found["slice"])
    everybody = found.iloc[0]
    assert everybody["n_under"] + everybody["n_over"] == best.n_tested
    genders = found[found["slice"].str.startswith("gender")]
    assert genders["n_under"].sum() == everybody["n_under"]
    ages = found[found["slice"].str.startswith("age")]
    assert ages["n_under"].sum() == everybody["n_under"]
    assert ((found["passing_low"] <= found["passing"]) | found["passing"].isna()).all()


def test_without_a_threshold_it_is_the_legal_age(kept):
    plain = kept.ages.checks(18).iloc[0]
    assert plain["threshold"] == 18
    stored = kept.evidence.targets["age"]
    known = next(one for one in stored.legal_ages if one.plain.legal_age == 18)
    assert plain["passing"] == pytest.approx(known.plain.passing.share.value, abs=1e-5)
    challenge = stored.challenge[0]
    assert challenge.passing.share.value < plain["passing"]
    assert challenge.stopped.share.value > plain["stopped"]


def test_the_lowest_threshold_keeps_its_promise(kept):
    (row,) = kept.ages.thresholds([18], most_passing=0.05).itertuples()
    assert row.passing_high <= 0.05
    assert kept.ages.checks(18, int(row.threshold) - 1)["passing_high"][0] > 0.05
    unreached = kept.ages.thresholds([18], most_passing=1e-6)
    assert unreached["threshold"].isna().all()
    assert list(unreached["legal_age"]) == [18]


def test_errors_are_listed_for_every_age_and_gender(kept):
    found = kept.ages.errors(ages=range(18, 31))
    assert len(found) == 13 * 3
    assert list(found["gender"][:3]) == ["", "female", "male"]
    enough = found[found["n_subjects"] >= 30]
    assert enough["mean_absolute_error"].notna().all()
    assert (enough["within_1"] <= enough["within_3"]).all()
    assert found[found["n_subjects"] < 30]["mean_absolute_error"].isna().all()


def test_errors_on_all_faces_are_those_of_the_ranking(kept):
    found = kept.ages.overall()
    assert list(found["gender"]) == ["", "female", "male"]
    estimate = kept.evidence.targets["age"].estimates[kept.best("age").name]["mae_years"]
    everybody = found.iloc[0]
    for column, value in (("", estimate.value), ("_low", estimate.low), ("_high", estimate.high)):
        assert everybody[f"mean_absolute_error{column}"] == pytest.approx(value, rel=1e-5)
    assert found["n_faces"][1:].sum() == everybody["n_faces"]
    table = kept.predictions(kept.best("age").name, "age")
    off = table["predicted"] - table["true"]
    assert everybody["mean_error"] == pytest.approx(off.mean())
    assert everybody["root_mean_square_error"] == pytest.approx((off**2).mean() ** 0.5)
    assert everybody["within_3"] == pytest.approx((off.abs() <= 3).mean())


def test_bands_and_cells_count_each_face_once(kept):
    n_faces = kept.best("age").run.n_tested
    bands = kept.ages.bands((13, 17))
    assert list(bands["predicted_band"][:3]) == ["under 13", "13-16", "17 and older"]
    assert bands["n_predicted"].sum() == n_faces
    assert bands.groupby("true_band")["share"].sum().tolist() == pytest.approx([1, 1, 1])
    assert kept.plot.age_density(years=5).frame()["n_faces"].sum() == n_faces
    with pytest.raises(ModelError, match=r"The first ages of bands must increase\. Got 17, 13"):
        kept.ages.bands((17, 13))


def test_what_was_not_measured_has_no_result(kept, tmp_path):
    found = kept.ages.assurance()
    assert {"Accuracy", "Robustness"} <= set(found["part"])
    assert set(found.set_index("part")["result"]["Robustness":"Robustness"]) == {"not measured"}
    with pytest.raises(UnknownNameError, match=r"Unknown profile of a report 'ages'\. Known: age-assurance"):
        kept.report(tmp_path / "r.html", profile="ages")


@pytest.mark.slow
def test_the_page_has_the_legal_ages_that_were_asked_for(kept, tmp_path):
    page = kept.report(tmp_path / "r.html", profile="age-assurance", legal_ages=[18, 16, 18], progress=False)
    rows = page.with_suffix(".md").read_text().split("## Age assurance")[1].split("\n## ")[0]
    under = [line for line in rows.splitlines() if "False positive rate under" in line]
    assert [line.split("under ")[1][:2] for line in under] == ["16", "18"]


def test_what_cannot_be_answered_is_one_line(kept, tmp_path):
    with pytest.raises(ModelError, match="A threshold must not be lower than the legal age"):
        kept.ages.checks(18, 17)
    with pytest.raises(ModelError, match="most_passing must be between 0 and 1"):
        kept.ages.thresholds(most_passing=1)
    for wrong in ([0], [], 121):
        with pytest.raises(ModelError, match="A legal age must be a whole number of years from 1 to 120"):
            kept.ages.thresholds(wrong)
    for wrong in (["18"], 18.5):
        with pytest.raises(ArgumentError, match="legal_ages must be a whole number or a list of whole numb"):
            kept.ages.thresholds(wrong)
    with pytest.raises(ModelError, match=r"from 1 to 120\. Got 501"):
        kept.ages.checks(18, 501)
    with pytest.raises(ModelError, match=r"An age must be .* from 0 to 120\. Got -1"):
        kept.ages.errors(ages=[-1])
    with pytest.raises(UnknownNameError, match="Unknown model of these results 'svmm'"):
        kept.ages.errors("svmm")
    with pytest.raises(TargetError, match="predicts classes, not age in years"):
        kept.ages.errors("gender--dlib_age--svm")
    genders = Ages([run for run in kept.runs if run.target == "gender"], None, KEPT)
    with pytest.raises(TargetError, match="No model of these results predicts age in years"):
        genders.checks(18)
    shutil.copytree(KEPT / "runs", tmp_path / "alone" / "runs")
    with pytest.raises(WorkspaceError, match=r"are not in .*outcomes"):
        fk.load_results(tmp_path / "alone").ages.checks(18)
