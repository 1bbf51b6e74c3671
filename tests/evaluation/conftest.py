"""Portraits that have been extracted, and a classifier that reads crops."""

import numpy as np
import pytest

from featurekit.cache.store import Store
from featurekit.data.prepare import prepare
from featurekit.embeddings.extractor import extract
from featurekit.embeddings.index import record_of
from featurekit.embeddings.recipe import make_recipes
from featurekit.estimators import CLASSIFIERS, ClassifierKind
from featurekit.estimators._estimator import Estimator
from featurekit.evaluation.comparison import Comparison
from featurekit.evaluation.planning import plan
from featurekit.faces.settings import default_settings

COLUMNS = {"image_path": "file", "subject_id": "person", "age": "years", "gender": "sex"}


@pytest.fixture
def world(portraits):
    """Manifest, ledger and store of 24 extracted portraits."""
    manifest = prepare("table", portraits / "people.csv", root=portraits / "photos", columns=COLUMNS)
    settings = default_settings("whole_image")
    store = Store(portraits / "cache")
    recipes = make_recipes(["mean_color"], settings, device="cpu")
    extraction = extract(manifest, recipes, settings, store)
    return manifest, record_of(extraction, settings, {"device": "cpu", "precision": "auto"}), store


@pytest.fixture
def compare():
    """Fit some models in a folder and return their runs."""

    def run(world, folder, models=("logistic_regression",), targets=("gender",), n_folds=4, **options):
        manifest, ledger, store = world
        comparison = Comparison.open(folder, manifest, n_folds=n_folds, **options)
        plans = plan(manifest, ledger, models=models, targets=targets)
        return comparison.run(plans, ledger, store, models_folder=None, threads=1)

    return run


class Crops(Estimator):
    """A classifier of faces that only remembers what it was given."""

    seen: list = []  # noqa: RUF012  # shared on purpose: the test reads what every fold was given

    def __init__(self, target):
        self.summary_ = {"notes": ["only remembers"]}
        self.target, self.epochs = target, 1

    def get_params(self, deep=True):
        return {"epochs": self.epochs}

    def shown_parameters(self):
        return self.get_params()

    def use(self, resources):
        self.resources = resources
        return self

    def set_params(self, **parameters):
        vars(self).update(parameters)
        return self

    def fit(self, X, y, groups=None, *, also=None):
        assert X.pixels.dtype == np.uint8
        self.seconds_ = 12.5
        self.training_ = {
            "epochs": self.epochs,
            "seconds": self.seconds_,
            "also": sorted(target.name for target in also),
            "history": [],
            "engine": "none",
            "device": "cpu",
            "precision": "fp32",
        }
        Crops.seen.append((self, X, y.copy()))
        self.resources.progress("epoch 1 of 1", 0.5)
        self.classes_ = np.arange(len(self.target.classes))
        return self

    def predict(self, X):
        return np.full(len(X), 30.0)

    def predict_proba(self, X):
        return np.full((len(X), len(self.classes_)), 1 / len(self.classes_))


@pytest.fixture
def crops(monkeypatch):
    """A registered classifier that reads crops and learns age group, gender and age together."""
    kind = ClassifierKind(
        "crops",
        "a test's own",
        lambda target, seed, threads: Crops(target),
        reads="crops",
        also=lambda target: [name for name in ("age", "age_group", "gender") if name != target.name],
    )
    CLASSIFIERS.names()
    monkeypatch.setitem(CLASSIFIERS._members, "crops", kind)
    return kind


@pytest.fixture
def seen():
    """What the classifier that reads crops was given in each fold."""
    Crops.seen.clear()
    return Crops.seen


@pytest.fixture
def pictures(portraits):
    """Manifest, ledger and store of 24 portraits whose faces are kept; three of them fit no age group."""
    manifest = prepare("table", portraits / "people.csv", root=portraits / "photos", columns=COLUMNS)
    manifest.table.loc[:2, "age"] = 3.0
    manifest.table.loc[:2, "age_group"] = ""
    settings = default_settings("whole_image")
    store = Store(portraits / "cache")
    recipes = make_recipes(["mean_color", "pixels"], settings, device="cpu", mirrored=True)
    extraction = extract(manifest, recipes, settings, store)
    return manifest, record_of(extraction, settings, {"device": "cpu", "precision": "auto"}), store


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """Where the tests of a file keep a workspace that is made once."""
    return tmp_path_factory.mktemp("kept") / "work"
