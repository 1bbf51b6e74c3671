"""results.disparities: how much a model's scores differ between groups of faces."""

import numpy as np
import pytest

from featurekit.api.disparities import DisparitiesOf
from featurekit.errors import ModelError, UnknownNameError, WorkspaceError
from featurekit.evaluation.outcomes import read_outcomes
from featurekit.project import ComparisonFolder
from tests.api.test_plots import write_answers
from tests.report.made_up import make_evidence, make_run

COLUMNS = [
    *("model", "column", "measure", "group", "reference", "predicted"),
    *("value", "low", "high", "n_faces", "n_subjects"),
]


RUN = make_run("age", "dlib_age", "svm")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("comparison")
    write_answers(folder, [RUN])
    return folder


@pytest.fixture
def kept(folder):
    return DisparitiesOf([RUN], None, folder)


def test_a_model_is_compared_between_the_groups_of_a_column(kept, folder):
    found = kept.frame("svm", "gender", "female", None)
    assert list(found) == COLUMNS
    assert set(found["reference"]) == {"female"}
    files = ComparisonFolder(folder)
    table, labels = read_outcomes(files.outcome(RUN.name)), read_outcomes(files.faces).set_index("row")
    off = (table["true"] - table["predicted"]).abs()
    means = off.groupby(labels["gender"].loc[table["row"]].to_numpy()).mean()
    own = found.set_index(["measure", "group"])["value"]
    assert own["mae_years", "female"] == pytest.approx(means["female"])
    assert own["gap_to_reference", "male"] == pytest.approx(means["female"] - means["male"])
    assert own["ratio_to_reference", "male"] == pytest.approx(means["male"] / means["female"])
    assert own["difference", ""] == pytest.approx(abs(means["female"] - means["male"]))
    assert ((found["low"] <= found["value"]) & (found["value"] <= found["high"])).all()
    whole = found[found["group"] == ""]
    assert set(whole["n_faces"]) == {len(table)}


def test_of_the_best_model_the_numbers_are_those_of_the_report(folder):
    """With all columns and the usual reference groups, nothing is computed again."""
    evidence = make_evidence([RUN])
    found = DisparitiesOf([RUN], evidence, folder).frame(None, None, None, None)
    known = evidence.targets["age"].disparities[0]
    own = found.set_index(["measure", "group"])["value"]
    assert own["gap_to_reference", "female"] == known.groups[0].gap.value
    assert np.isnan(own["mae_years", "other"])
    assert list(found) == COLUMNS


def test_what_is_not_there_is_named(kept, tmp_path):
    with pytest.raises(UnknownNameError, match="Unknown column of labels 'sex'"):
        kept.frame("svm", "sex", None, None)
    with pytest.raises(ModelError, match="Name the column"):
        kept.frame("svm", None, "male", None)
    with pytest.raises(WorkspaceError, match="predictions of age--dlib_age--svm are not in"):
        DisparitiesOf([RUN], None, tmp_path).frame("svm", None, None, None)
