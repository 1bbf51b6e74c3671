"""X.map(): where each face is, its label, and whether a model is wrong about it."""

import numpy as np
import pandas as pd
import pytest

import featurekit as fk
from featurekit.errors import ModelError, TargetError, UnknownNameError, WorkspaceError
from featurekit.evaluation.outcomes import collect


def test_a_map_has_the_place_the_label_and_the_error_of_each_face(data, X, how):
    from sklearn.decomposition import PCA
    from sklearn.preprocessing import StandardScaler

    results = fk.evaluate(data, X, ["logistic_regression", "majority"], target="gender", **how)
    shown = X.map(label="gender", results=results)
    table = shown.frame()
    places = PCA(2, svd_solver="full").fit_transform(StandardScaler().fit_transform(X.vectors.astype(float)))
    for name, expected in zip("xy", places.T, strict=True):
        sign = np.sign((table[name] * expected).sum())
        np.testing.assert_allclose(sign * table[name], expected, atol=1e-6)
    assert list(table["face_id"]) == list(X.face_ids)
    assert list(table["label"]) == list(X.labels("gender"))
    for model in ("logistic_regression", "majority"):  # which is wrong about every other face
        errors = X.map(label="gender", results=results, model=model).frame().set_index("face_id")["error"]
        said = results.predictions(model, "gender").set_index("face_id").loc[errors.index]
        assert list(errors == "wrong") == list(said["true"] != said["predicted"])
    assert set(errors) == {"right", "wrong"}
    assert "logistic_regression · mean_color" in shown.help()
    assert f"{100 * sum(shown.plane.shares):.1f} % of the variance" in shown.help()


@pytest.mark.slow
def test_errors_are_in_years_and_come_from_outcomes_where_there_are_no_predictions(data, X, how, tmp_path):
    results = fk.evaluate(data, X, ["logistic_regression"], target=["gender", "age"], **how)
    table = X.map(label="age", results=results).frame()
    said = results.predictions("logistic_regression", "age").set_index("face_id").loc[table["face_id"]]
    np.testing.assert_allclose(table["error"], said["predicted"] - said["true"])
    # A comparison that came with its outcomes alone.
    before = X.map(label="gender", results=results).frame()
    collect(results.folder, [run.name for run in results.runs], data)
    (results.folder / "predictions").rename(tmp_path / "elsewhere")
    kept = fk.load_results(results.folder)
    assert X.map(label="gender", results=kept).frame().equals(before)
    turned = data.table.assign(gender=data.table["gender"].iloc[::-1].to_numpy())
    other = fk.embed(
        fk.Dataset(turned, data.info), "mean_color", detector="whole_image", project=how["project"]
    )
    with pytest.raises(UnknownNameError, match="is set apart, so it is not shown"):
        other.map(results=kept, label="gender", model=results.best("gender").run.name)


def test_a_map_is_drawn_and_saved(X, tmp_path):
    shown = X.map()
    image, table = shown.save(tmp_path / "map.png")
    assert image.read_bytes().startswith(b"\x89PNG")
    assert list(pd.read_csv(table)) == ["face_id", "image_path", "x", "y", "label", "error"]
    assert shown.title == "Gender: PCA map of 24 faces"
    from matplotlib.figure import Figure

    ax = Figure().subplots()
    shown.plot(ax)
    counts = shown.frame()["label"].value_counts()
    assert {text.get_text() for text in ax.get_legend().get_texts()} == {
        f"{label} ({n})" for label, n in counts.items()
    }
    with pytest.raises(ModelError, match="No model was given"):
        shown.plot(ax, by="error")
    with pytest.raises(UnknownNameError, match="Unknown coloring 'labels'"):
        shown.plot(ax, by="labels")


def test_what_is_asked_wrongly_is_one_line(X):
    with pytest.raises(WorkspaceError, match="A model is named, but no results"):
        X.map(model="svm")
    with pytest.raises(UnknownNameError, match="Unknown method 'tsne'"):
        X.map("tsne")
    with pytest.raises(WorkspaceError, match=r"^seed=7 has no effect: method='pca' draws no random numbers"):
        X.map(seed=7)
    with pytest.raises(TargetError, match="height"):
        X.map(label="height")


def test_a_run_that_is_set_apart_shows_no_errors_and_is_not_the_best(data, X, how):
    results = fk.evaluate(data, X, ["logistic_regression", "majority"], target="gender", **how)
    run = results["logistic_regression"].run
    turned = data.table.assign(gender=data.table["gender"].iloc[::-1].to_numpy())
    other = fk.embed(
        fk.Dataset(turned, data.info), "mean_color", detector="whole_image", project=how["project"]
    )
    with pytest.raises(UnknownNameError, match=f"{run.name} is set apart, so it is not shown: "):
        other.map(label="gender", results=results, model=run.name)
    with pytest.raises(WorkspaceError, match="No run can be compared with other runs"):
        other.map(label="gender", results=results)
