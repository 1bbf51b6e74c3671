"""What a notebook registers is used by its name, as what comes with featurekit is."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin  # noqa: TID253  # what users bring is scikit-learn's
from sklearn.linear_model import LogisticRegression, Ridge  # noqa: TID253

import featurekit as fk
from featurekit.checks.base import CHECKS
from featurekit.data.datasets import DATASETS
from featurekit.data.targets import AGE, GENDER
from featurekit.embeddings.recipe import make_recipes
from featurekit.errors import EmbeddingError, ModelError, RegistrationError
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
    with pytest.raises(ModelError, match=r"is a model of 'my_lr', which no installed package has\. Install"):
        TrainedModel.load(saved)


def test_vectors_of_an_edited_backbone_are_computed_again(embedded):
    register_left(0.9)
    register_brightness(of=1.0)
    first = embedded()[1].vectors
    register_brightness(of=255.0)
    np.testing.assert_allclose(embedded()[1].vectors * 255, first, rtol=1e-5)
    register_brightness(of=1.0)
    np.testing.assert_array_equal(embedded()[1].vectors, first)


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
    with pytest.raises(EmbeddingError, match=r"shape \(1,\) for 1 crops, but it must be \(1, 2\)"):
        embedded(detector="whole_image")


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
        (lambda: fk.register_backbone("b", about="", dim=1, input_size=32)(len), "Name a version"),
        (lambda: fk.register_detector("d", about="")(np.sin), "Name a version, and change it"),
        (lambda: fk.register_check("c", title="", severity="fatal")(len), "Unknown severity 'fatal'"),
        (lambda: fk.register_estimator("a.b", LogisticRegression()), "'a.b' cannot be the name of a class"),
        (lambda: fk.register_estimator("s", "svm"), "is neither a classifier nor a regressor"),
        (lambda: fk.register_estimator("n", Needy), "cannot be made with its default parameters"),
    ],
)
def test_what_cannot_be_used_is_refused_when_it_is_registered(register, message):
    with pytest.raises((RegistrationError, ModelError), match=message):
        register()


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


def test_an_object_cannot_be_called_as_what_is_registered():
    fk.register_estimator("my_lr", LogisticRegression())
    with pytest.raises(ModelError, match="that is the name of a model of this session"):
        kind_of(Ridge(), "my_lr")


def test_a_data_set_of_a_notebook_has_the_options_of_its_function():
    register_portraits()
    assert DATASETS["mine"].options == ("of", "missing")


@pytest.mark.parametrize("registry", [BACKBONES, CLASSIFIERS, DATASETS, DETECTORS, CHECKS])
def test_what_another_test_registered_is_gone(registry):
    assert not [name for name in registry.names() if registry.package_of(name) == SESSION]
