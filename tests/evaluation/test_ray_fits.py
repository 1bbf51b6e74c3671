"""Fits with Ray are those of this process to the last bit, and a killed worker costs one task."""

import os
import signal
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import featurekit as fk
from featurekit import cluster as ray_cluster
from featurekit.errors import EstimatorError, FeaturekitError, WorkspaceError


@pytest.fixture(scope="module")
def connected_to_ray():
    """A local cluster with two cores, which every call of this module uses."""
    if find_spec("ray") is None:
        pytest.skip("Ray is not installed")
    before = dict(os.environ)
    with ray_cluster.connected("local") as cluster:
        yield cluster
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def embedded(portraits, tmp_path):
    """A data set of portraits and its vectors, in a project of its own."""
    columns = {"image_path": "file", "subject_id": "person", "age": "years", "gender": "sex"}
    data = fk.load_dataset("table", portraits / "people.csv", root=portraits / "photos", columns=columns)
    X = fk.embed(data, "hog+lbp", detector="whole_image", project=tmp_path / "work", progress=False)
    return data, X, tmp_path / "work"


def evaluated(embedded, models, name, **options):
    data, X, project = embedded
    return fk.evaluate(
        data, X, models, target="gender", folds=3, name=name, project=project, progress=False, **options
    )


def predictions(results):
    folder = Path(results.folder) / "predictions"
    return {path.name: pd.read_parquet(path) for path in sorted(folder.glob("*.parquet"))}


@pytest.mark.slow
def test_fits_saved_models_and_searches_are_those_of_this_process(connected_to_ray, embedded):
    from sklearn.linear_model import LogisticRegression

    models = ["svm", LogisticRegression(max_iter=50)]
    here = evaluated(embedded, models, "here", tune=True)
    away = evaluated(embedded, models, "away", tune=True, executor="ray")
    assert set(predictions(here)) == set(predictions(away))
    for name, table in predictions(here).items():
        pd.testing.assert_frame_equal(table, predictions(away)[name], check_exact=True)
    for one, other in zip(here.runs, away.runs, strict=True):
        assert (one.name, one.scores, one.search) == (other.name, other.scores, other.search)
        assert other.peak_bytes is None  # of this process, which fitted nothing


@pytest.mark.slow
def test_a_model_that_a_worker_has_fitted_is_saved_and_predicts_the_same(connected_to_ray, embedded):
    photos = sorted(embedded[0].root.iterdir())[:3]
    said = []
    for name, executor in (("here", "local"), ("away", "ray")):
        results = evaluated(embedded, ["svm"], name, save_models=True, executor=executor)
        model = fk.load_model(embedded[2] / "models" / results.runs[0].name)
        said.append(model.predict(photos, probabilities=True, cache=False, progress=False))
    pd.testing.assert_frame_equal(*said, check_exact=True)


@pytest.mark.slow
def test_the_error_of_a_users_own_estimator_names_the_fold_and_its_cause(connected_to_ray, embedded):
    from sklearn.linear_model import LogisticRegression

    class Refuses(LogisticRegression):
        """An estimator of a user that fails."""

        def fit(self, X, y):
            raise ArithmeticError("the numbers do not add up")

    with pytest.raises(EstimatorError, match=r"gender on hog\+lbp, fold \d: .*the numbers do not add up"):
        evaluated(embedded, Refuses(), "away", executor="ray")


@pytest.mark.slow
def test_a_killed_worker_costs_one_task(connected_to_ray, tmp_path):
    log = tmp_path / "starts"

    marker = tmp_path / "killed"
    made = connected_to_ray.call(kill_once, str(log), str(marker), 7)
    assert made == 49
    assert len(log.read_text().split()) == 2  # once by the worker that died, once by the other


def kill_once(log, marker, number):
    """Return the square of a number; the first process that is asked dies."""
    with Path(log).open("a") as file:
        file.write(f"{os.getpid()}\n")
    if not Path(marker).exists():
        Path(marker).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number**2


@pytest.mark.slow
def test_arrays_that_were_put_are_shared_and_cannot_be_written(connected_to_ray):
    sent = connected_to_ray.put(np.arange(5))
    assert connected_to_ray.call(is_writable, sent) is False


def is_writable(array):
    return bool(array.flags.writeable)


def test_a_learning_curve_is_refused_with_a_cluster(embedded):
    with pytest.raises(WorkspaceError, match=r"learning.curve is fitted on this machine"):
        evaluated(embedded, ["svm"], "away", executor="ray", learning_curve=True)


def test_threads_have_no_effect_with_a_cluster(embedded):
    with pytest.raises(FeaturekitError, match=r"(n_jobs|threads) is the number of threads of this machine"):
        evaluated(embedded, ["svm"], "away", executor="ray", n_jobs=2)


def test_an_executor_that_is_none_is_named(embedded):
    with pytest.raises(ValueError, match="executor 'slurm'"):
        evaluated(embedded, ["svm"], "away", executor="slurm")
