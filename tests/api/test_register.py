"""What a notebook registers is used by its name, as what comes with featurekit is."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin  # noqa: TID253  # what users bring is scikit-learn's
from sklearn.linear_model import LogisticRegression, Ridge  # noqa: TID253
from sklearn.tree import DecisionTreeClassifier  # noqa: TID253

import featurekit as fk
from featurekit.checks.base import CHECKS
from featurekit.data.datasets import DATASETS
from featurekit.data.targets import AGE, GENDER, Target
from featurekit.embeddings.recipe import make_recipes
from featurekit.errors import EmbeddingError, ManifestError, ModelError, RegistrationError, WorkspaceError
from featurekit.estimators import CLASSIFIERS, Resources
from featurekit.estimators.given import kind_of
from featurekit.faces.detectors import DETECTORS, Detection
from featurekit.faces.settings import default_settings
from featurekit.findings import Finding
from featurekit.inference.model import TrainedModel
from featurekit.networks.backbones import BACKBONES
from featurekit.registry import SESSION


def register_brightness(of=1.0, **more):
    @fk.register_backbone("brightness", about="mean", dim=1, input_size=32, **more)
    def brightness(crops, of=of):
        return crops.mean(axis=(1, 2, 3))[:, None] / of

    return brightness


def register_left(part):
    @fk.register_detector("left", about="the left part of the picture")
    def left(pixels, size, part=part):
        height, width = pixels.shape[:2]
        box = np.array([0, 0, width * part, height], np.float32)
        return [Detection(box, np.full((5, 2), np.nan, np.float32), 1.0)]


def register_portraits():
    @fk.register_dataset("mine", about="my portraits", licence="mine")
    def mine(path, *, of=""):
        names = [photograph.name for photograph in sorted(path.glob(f"{of}*.png"))]
        table = pd.DataFrame({"image_path": names})
        table["subject_id"] = table["image_path"].str.split("_").str[0]
        table["gender"] = ["female" if int(person[1:]) % 2 else "male" for person in table["subject_id"]]
        return table


@pytest.fixture
def embedded(portraits):
    """Read the portraits with members of this notebook."""
    register_portraits()
    data = fk.load_dataset("mine", portraits / "photos", project=portraits / "work", progress=False)

    def embed(features="brightness", detector="left"):
        work = portraits / "work"
        return data, fk.embed(data, features, detector=detector, n_jobs=1, project=work, progress=False)

    return embed


def made_with_c(target, random_state, n_jobs):
    return LogisticRegression(C=2)


@pytest.mark.parametrize("estimator", [LogisticRegression(C=10), made_with_c])
def test_a_registered_estimator_with_a_grid_can_be_pickled(estimator):
    fk.register_estimator("my_lr", estimator, about="linear", grid={"C": [1, 2]})
    again = pickle.loads(pickle.dumps(CLASSIFIERS["my_lr"]))
    target = Target("smile", ("no", "yes"))
    assert again.make(target, 0, 1).model.C == CLASSIFIERS["my_lr"].make(target, 0, 1).model.C
    assert again.grid(target) == {"C": [1, 2]}


def test_a_notebook_brings_a_member_of_each_kind_and_uses_them_by_name(portraits, embedded):
    register_brightness()
    register_left(0.9)
    fk.register_estimator("my_lr", LogisticRegression(C=10))

    @fk.register_check("few", title="too few people")
    def few(given):
        n = len(set(given.manifest.subjects))
        return Finding(
            name="few", severity="warning", count=0, of=n, what=f"{n} people.", advice="Find more."
        )

    data, X = embedded()
    assert X.vectors.shape == (24, 1)
    work = portraits / "work"
    results = fk.evaluate(
        data, X, "my_lr", target="gender", folds=2, save_models=True, n_jobs=1, project=work, progress=False
    )
    run = next(run for run in results.runs if run.classifier == "my_lr")
    assert {name for name, package in run.versions.items() if package == str(SESSION)} == {
        "backbone brightness",
        "classifier my_lr",
        "data set mine",
        "detector left",
    }
    found = fk.audit(data, name="mine", images=False, project=work, progress=False)
    assert found["few"].what == "8 people."
    saved = work / "models" / run.name
    model = TrainedModel.load(saved)
    assert model.predict(X.vectors[:1], model.recipes).shape == (1, 2)
    del CLASSIFIERS._members["my_lr"], CLASSIFIERS._origins["my_lr"]
    with pytest.raises(
        ModelError, match=r"is a model of 'my_lr', which no installed package has\. .* If it was regist"
    ):
        TrainedModel.load(saved)


def test_vectors_of_an_edited_backbone_are_computed_again(embedded):
    register_left(0.9)
    register_brightness(of=1.0)
    first = embedded()[1].vectors
    register_brightness(of=255.0)
    np.testing.assert_allclose(embedded()[1].vectors * 255, first, rtol=1e-5)
    register_brightness(of=1.0)
    np.testing.assert_array_equal(embedded()[1].vectors, first)


def test_a_fit_by_name_refuses_the_vectors_of_a_backbone_that_was_edited_since(embedded, portraits):
    register_left(0.9)
    register_brightness(of=1.0)
    data, X = embedded()
    where = {"project": portraits / "work", "progress": False}
    register_brightness(of=255.0)
    with pytest.raises(WorkspaceError, match=r"brightness:\w+ were computed with another version of"):
        fk.evaluate(data, "brightness", "svm", target="gender", folds=2, **where)
    # Vectors that are given are those that somebody wants to be used.
    fk.evaluate(data, X, "svm", target="gender", folds=2, **where)


def test_faces_of_an_edited_detector_are_looked_for_again_and_not_joined_with_older_ones(embedded):
    register_brightness()
    register_left(0.9)
    first = embedded("brightness")[1].vectors
    register_left(0.5)
    embedded("mean_color")
    assert not np.array_equal(embedded("brightness")[1].vectors, first)


def test_a_backbone_that_gives_other_vectors_than_it_says_is_refused_with_both_shapes(embedded):
    fk.register_backbone("brightness", about="mean", dim=2, input_size=32)(
        lambda crops: crops.mean(axis=(1, 2, 3))
    )
    with pytest.raises(EmbeddingError, match=r"shape \(1,\) for 1 crops, but the shape must be \(1, 2\)"):
        embedded(detector="whole_image")


@pytest.mark.parametrize(
    ("compute", "message"),
    [
        (
            lambda crops: 1 / 0,
            r"^The backbone brightness could not read 1 crops: ZeroDivisionError: division",
        ),
        (
            lambda crops: "dark",
            r"^The backbone brightness returned str, which is not an array of numbers: ValueError: ",
        ),
        (
            lambda crops: [[np.nan]],
            r"^The backbone brightness returned NaN or infinite numbers for 1 of 1 crops",
        ),
    ],
)
def test_a_backbone_that_fails_is_one_error_with_its_name(embedded, compute, message):
    fk.register_backbone("brightness", about="mean", dim=1, input_size=32)(compute)
    with pytest.raises(EmbeddingError, match=message) as caught:
        embedded(detector="whole_image")
    assert (caught.value.__cause__ is None) == ("NaN" in message)


NO_POINTS = np.full((5, 2), np.nan, np.float32)


@pytest.mark.parametrize(
    ("find", "message"),
    [
        (lambda pixels, size: {}["a"], r"^The detector left failed: KeyError: 'a'\.$"),
        (lambda pixels, size: None, r"^The detector left returned None, but it must return a list of Det"),
        (lambda pixels, size: [(0, 0, 9, 9)], r"^The detector left returned a list of tuple, but it must"),
        (lambda pixels, size: [Detection([0, 0, 9, np.nan], NO_POINTS, 1)], r"with the box \[0\.0, .*nan\];"),
        (
            lambda pixels, size: [Detection([0, 0, 9, 9], np.zeros((4, 2)), 1)],
            r"landmarks of shape \(4, 2\);",
        ),
        (lambda pixels, size: [Detection([0, 0, 9, 9], NO_POINTS, np.nan)], r"with the confidence nan; it"),
        (
            lambda pixels, size: [Detection("box", NO_POINTS, 1)],
            r"left returned a Detection whose values are not num",
        ),
    ],
)
def test_a_detector_that_fails_is_one_error_with_its_name(embedded, find, message):
    register_brightness()
    fk.register_detector("left", about="the left part of the picture")(find)
    with pytest.raises(RegistrationError, match=message) as caught:
        embedded()
    assert (caught.value.__cause__ is None) == ("failed" not in message and "not num" not in message)


def test_a_detector_may_give_plain_lists(embedded):
    register_brightness()
    fk.register_detector("left", about="the left part of the picture")(
        lambda pixels, size: (Detection([0, 0, pixels.shape[1], pixels.shape[0]], NO_POINTS.tolist(), 1),)
    )
    assert embedded()[1].vectors.shape == (24, 1)


def test_a_check_that_fails_does_not_end_the_audit(portraits, embedded):
    register_portraits()
    data = fk.load_dataset("mine", portraits / "photos", project=portraits / "work", progress=False)
    wrong = {"name": "other", "severity": "warning", "count": 0, "of": 0, "what": "", "advice": ""}
    for name, look in {
        "raises": lambda given: 1 / 0,
        "returns": lambda given: 3,
        "renames": lambda given: Finding(**wrong),
        "invents": lambda given: Finding(**{**wrong, "name": "invents", "severity": "fatal"}),
    }.items():
        fk.register_check(name, title="a check that fails", order=1)(look)
    found = fk.audit(data, images=False, project=portraits / "work", progress=False)
    assert {found[name].severity for name in ("raises", "returns", "renames", "invents")} == {"warning"}
    assert found["raises"].what == "The check raises failed: ZeroDivisionError: division by zero."
    assert found["raises"].advice == "Correct the check, which is from this session."
    assert found["returns"].what == "The check returns returned int instead of a Finding."
    assert "named 'other'" in found["renames"].what
    assert "the severity 'fatal'" in found["invents"].what
    assert found["exact_duplicates"].of == 24


def recipe(**more):
    settings = default_settings("whole_image")
    return make_recipes(["brightness"], settings, device="cpu", **more)["brightness:vectors"]


def test_the_recipe_of_a_backbone_holds_the_version_that_it_names():
    keys = set()
    for version in ("1", "2", "1"):
        register_brightness(version=version)
        keys.add(recipe().key)
        assert recipe().normalization["code"] == version
    assert len(keys) == 2


def test_the_version_of_a_function_is_the_same_wherever_its_code_is():
    versions = []
    for lines_before in (0, 7):
        source = (
            "\n" * lines_before
            + "def f(crops):\n    return len({'a', 'b', 'c'} & set('abc')) if (lambda: 1)() else 2"
        )
        space = {}
        exec(compile(source, "cell", "exec"), space)
        fk.register_backbone("f", about="f", dim=1, input_size=32)(space["f"])
        versions.append(BACKBONES["f"].version)
    assert versions[0] == versions[1] != ""


def test_recipes_of_featurekits_own_members_say_nothing_of_code():
    made = make_recipes(["mean_color"], default_settings("whole_image"), device="cpu")["mean_color:mean"]
    assert "code" not in made.normalization
    assert "code" not in made.faces["detector_settings"]


def test_a_cell_that_is_run_again_replaces_its_member():
    for strength in (1, 10):
        fk.register_estimator("my_lr", LogisticRegression(C=strength))
    assert CLASSIFIERS["my_lr"].make(GENDER, 0, 1).model.C == 10


@pytest.mark.parametrize(
    "register",
    [
        lambda: fk.register_backbone("vgg16", about="", dim=1, input_size=32)(lambda crops: crops),
        lambda: fk.register_estimator("svm", LogisticRegression()),
        lambda: fk.register_estimator("multitask_cnn", LogisticRegression()),
        lambda: fk.register_dataset("utkface", about="", licence="")(lambda path: None),
        lambda: fk.register_detector("centerface", about="")(lambda pixels, size: []),
        lambda: fk.register_check("inflation", title="")(lambda given: None),
    ],
)
def test_a_name_of_featurekits_cannot_be_taken(register):
    with pytest.raises(RegistrationError, match=r"The name '\w+' is taken by a .* of featurekit "):
        register()


@pytest.mark.parametrize(
    ("register", "message"),
    [
        (lambda: register_brightness(template="dlob"), "Unknown template 'dlob'. Did you mean 'dlib'"),
        (lambda: fk.register_backbone("b", about="", dim=1, input_size=32)(len), "Give a version"),
        (lambda: fk.register_detector("d", about="")(np.sin), "Give a version, and change it"),
        (lambda: fk.register_check("c", title="", severity="fatal")(len), "Unknown severity 'fatal'"),
        (lambda: fk.register_estimator("a.b", LogisticRegression()), "'a.b' cannot be the name of a model"),
        (lambda: fk.register_estimator("s", "svm"), "is neither a classifier nor a regressor"),
        (
            lambda: fk.register_estimator("f")(make_lr),
            "is made by a function. Describe the estimator in one line",
        ),
        (
            lambda: fk.register_estimator("g", Ridge(), grid=[1]),
            "The grid of g is of type list: it must be a",
        ),
        (lambda: fk.register_estimator("g", Ridge(), grid={"alpha": 1}), "The grid of g has 1 for alpha: it"),
        (lambda: fk.register_estimator("g", Ridge(), grid={"solver": "svd"}), "has 'svd' for solver: it"),
        (lambda: fk.register_estimator("n", Needy), "cannot be made with its default parameters"),
    ],
)
def test_what_cannot_be_used_is_refused_when_it_is_registered(register, message):
    with pytest.raises((RegistrationError, ModelError), match=message):
        register()


def make_lr(target, random_state, n_jobs):
    return LogisticRegression(C=10)


class Needy(ClassifierMixin, BaseEstimator):
    """Cannot be made without being told something."""

    def __init__(self, n):
        self.n = n


def test_a_class_and_a_function_are_estimators_too():
    @fk.register_estimator("first_class", about="a class")
    class First(ClassifierMixin, BaseEstimator):
        def fit(self, X, y):
            self.classes_ = np.unique(y)
            return self

        def predict(self, X):
            return np.full(len(X), self.classes_[0])

    @fk.register_estimator("by_target", about="a function", trusted_types=("sklearn.linear_model.Ridge",))
    def make(target, random_state, n_jobs):
        return Ridge() if target.is_regression else LogisticRegression()

    assert CLASSIFIERS["first_class"].reads_target(GENDER)
    assert not CLASSIFIERS["first_class"].reads_target(AGE)
    assert First().get_params() == {}
    for target, model in ((GENDER, LogisticRegression), (AGE, Ridge)):
        made = CLASSIFIERS["by_target"].make(target, 0, 1).use(Resources(threads=2))
        made.validate()
        assert isinstance(made.model, model)
    assert CLASSIFIERS["by_target"].trusted_types[-1] == "sklearn.linear_model.Ridge"


def test_a_grid_is_a_mapping_or_a_function_of_the_target():
    for grid in ({"C": np.array([0.5, 2.0])}, lambda target: {"C": [0.5, 2.0]}):
        fk.register_estimator("my_lr", LogisticRegression(), grid=grid)
        assert {name: list(values) for name, values in CLASSIFIERS["my_lr"].grid(GENDER).items()} == {
            "C": [0.5, 2.0]
        }


def test_what_a_function_returns_is_saved_as_the_object_is_and_told_how_where_it_is_not(portraits, embedded):
    register_brightness()
    register_left(0.9)
    fk.register_estimator("by_function", about="linear")(make_lr)
    fk.register_estimator("tree", DecisionTreeClassifier())
    fk.register_estimator("made_tree", about="a tree")(lambda target, *_: DecisionTreeClassifier())
    data, X = embedded()
    names = ["by_function", "tree", "made_tree"]
    work = portraits / "work"
    results = fk.evaluate(
        data, X, names, target="gender", folds=2, save_models=True, n_jobs=1, project=work, progress=False
    )
    runs = {run.classifier: run for run in results.runs}
    assert TrainedModel.load(work / "models" / runs["by_function"].name).classifier == "by_function"
    (note,) = (note for note in runs["tree"].notes if "not saved" in note)
    assert "could not be loaded safely. To save the model, register the" in note
    assert "trusted_types=" in note
    (note,) = (note for note in runs["made_tree"].notes if "not saved" in note)
    assert "contains types that cannot be loaded again safely: sklearn.tree." in note
    assert "trusted_types=" in note


def test_an_object_cannot_be_called_as_what_is_registered():
    fk.register_estimator("my_lr", LogisticRegression())
    with pytest.raises(ModelError, match="that is the name of a model of this session"):
        kind_of(Ridge(), "my_lr")


def test_a_data_set_of_a_notebook_has_the_options_of_its_function():
    register_portraits()
    assert DATASETS["mine"].options == ("of", "missing")


def load_own(folder, returned, labels=("age", "age_group", "gender"), **options):
    fk.register_dataset("mydata", about="mine", licence="mine", labels=labels)(lambda path: returned)
    return fk.load_dataset("mydata", folder / "photos", project=folder / "work", progress=False, **options)


def two_portraits(folder, **columns):
    names = sorted(photograph.name for photograph in (folder / "photos").glob("*.png"))[:2]
    return pd.DataFrame({"image_path": names, **columns}, index=[7, 7])


def test_the_data_frame_of_a_registered_data_set_is_read_as_any_other(portraits):
    frame = two_portraits(portraits, Gender=["f", "m"], age=["31", "n/a"], mood=["glad", "sad"])
    data = load_own(portraits, frame)
    assert data.table["gender"].tolist() == ["female", "male"]
    np.testing.assert_array_equal(data.table["age"], [31, np.nan])
    assert set(data.targets) == {"age", "age_group", "gender", "mood"}
    frame = two_portraits(portraits, gender=["f", "x"], age=[31, 40])
    (cell,) = load_own(portraits, frame).info["bad_cells"]
    assert (cell["value"], cell["problem"]) == ("x", "is not female or male (or f, m, woman, man, ...)")
    frame["gender"] = ["f", "nobody"]
    assert load_own(portraits, frame, missing="nobody").table["gender"].tolist() == ["female", ""]


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (3, r"^The data set 'mydata' returned int; its function must return a DataFrame with the column im"),
        (None, r"^The data set 'mydata' returned None; "),
        (
            pd.DataFrame({"file": ["a.png"], "age": [3]}),
            r"^The data set 'mydata' returned a DataFrame without the column 'image_path'\. It has: file",
        ),
        (
            pd.DataFrame({"image_path": ["a.png"], "age": ["old"]}),
            r"^The data set 'mydata' returned a DataFrame that cannot be read: Column 'age' of the DataFrame"
            r" cannot be read as age: 'old' [^-]*$",
        ),
        (
            pd.DataFrame({"image_path": ["a.png"], "gender": ["x"]}),
            r"^The data set 'mydata' returned .*: 'x' is not female or male \(or f, m, woman, man, ...\)\.$",
        ),
        (pd.DataFrame({"image_path": []}), r"'mydata' .* cannot be read: the DataFrame has no rows\.$"),
    ],
    ids=str,
)
def test_what_is_no_data_set_is_one_error_that_names_it(portraits, returned, message):
    with pytest.raises(ManifestError, match=message):
        load_own(portraits, returned)


def test_a_label_that_is_registered_and_not_there_is_refused(portraits):
    frame = two_portraits(portraits, gender=["f", "m"])
    with pytest.raises(ManifestError, match=r"'mydata' returned a DataFrame without the column 'mood'\."):
        load_own(portraits, frame, labels="mood")


@pytest.mark.parametrize("registry", [BACKBONES, CLASSIFIERS, DATASETS, DETECTORS, CHECKS])
def test_what_another_test_registered_is_gone(registry):
    assert not [name for name in registry.names() if registry.package_of(name) == SESSION]
