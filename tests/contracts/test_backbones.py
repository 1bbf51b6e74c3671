"""What every backbone promises; a new one is tested by existing.

Where the official weight file is not here, the test writes a file of the same
tensors, filled by chance, and registers it as the user would register the real
one: it is the loader that is tested, not the network's knowledge.
"""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Event

import numpy as np
import pytest

from featurekit.errors import EngineError, UnknownNameError, WeightsError
from featurekit.faces.align import LANDMARKS, TEMPLATES
from featurekit.networks import weights, weights_fetching
from featurekit.networks.backbones import BACKBONES, GROUPS, split_feature

# Large ones, which are loaded as others are.
LARGE = {
    *("resnet18", "resnet50", "vgg16", "vgg19", "inception_v3", "resnet34", "resnet101", "resnet152"),
    *("facenet", "facenet_casia", "vgg_face"),
}
NAMES = [pytest.param(name, marks=pytest.mark.slow) if name in LARGE else name for name in BACKBONES.names()]


@pytest.fixture(autouse=True)
def keep_no_made_up_network(monkeypatch):
    """Leave nothing of the large networks that are filled by chance here in the user's home."""
    monkeypatch.setattr("featurekit.networks.engines.openvino._KEPT_BYTES", 20 * 2**20)


def architecture(name):
    """Return a network of torchvision's, or of a module of featurekit's own."""
    import torchvision

    if name.startswith("facenet"):
        from featurekit.networks.backbones._facenet_module import InceptionResnet

        return InceptionResnet(["embedding"])
    if name == "vgg_face":
        from featurekit.networks.backbones._vgg_face_module import VggFace

        return VggFace(["fc7"])
    options = {"init_weights": False} if name == "inception_v3" else {}
    return getattr(torchvision.models, name)(weights=None, **options)


def state_file(name, path):
    """Write a state dictionary like the official one of this network."""
    import torch

    with torch.device("meta"):
        network = architecture(name)
    network.to_empty(device="cpu")
    generator = torch.Generator().manual_seed(0)
    state = network.state_dict()
    for key, tensor in state.items():
        if tensor.dim() > 1:  # as large as keeps a signal alive through many layers
            tensor.normal_(0.0, (2 / tensor[0].numel()) ** 0.5, generator=generator)
        elif key.endswith(("running_var", "weight")):
            tensor.fill_(1)
        else:
            tensor.zero_()
    torch.save(state, path)


def onnx_file(path):
    """Write a small recognition network of ArcFace's shape: 112×112 in, 512 numbers out."""
    import onnx
    from onnx import TensorProto, helper

    kernel = np.random.default_rng(0).normal(size=(512, 3, 16, 16)).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["input.1", "kernel"], ["maps"], strides=[16, 16]),
            helper.make_node("GlobalAveragePool", ["maps"], ["pooled"]),
            helper.make_node("Flatten", ["pooled"], ["683"]),
        ],
        "arcface",
        [helper.make_tensor_value_info("input.1", TensorProto.FLOAT, [None, 3, 112, 112])],
        [helper.make_tensor_value_info("683", TensorProto.FLOAT, [1, 512])],
        [onnx.numpy_helper.from_array(kernel, "kernel")],
    )
    opset = [helper.make_opsetid("", 13)]
    path.write_bytes(helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString())


def inputs(backbone, n, seed):
    """Return random crops for a backbone, or random landmarks if it reads those."""
    rng = np.random.default_rng(seed)
    if backbone.reads == "landmarks":
        return (TEMPLATES["dlib"] * 100 + rng.normal(0, 3, (n, 5, 2))).astype(np.float32)
    side = backbone.input_size
    return rng.integers(0, 256, (n, side, side, 3), dtype=np.uint8)


def register(name, path, monkeypatch):
    """Make path the file that the table of weights names, and add it as a user would."""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    entry = replace(weights.WEIGHTS[name], sha256=digest, size=path.stat().st_size)
    monkeypatch.setitem(weights.WEIGHTS, name, entry)
    weights_fetching.add(path, name)


@pytest.fixture
def weight_bytes(tmp_path, monkeypatch, made_up_dlib_file, made_up_predictor_file):
    """Name → bytes of its weight file: the real one where it is here."""

    def get(name):
        needed = BACKBONES[name].weights
        if BACKBONES[name].needs:
            pytest.importorskip(BACKBONES[name].needs, reason=BACKBONES[name].install)
        if needed is None:
            return b""
        if not weights.present(needed):
            if weights.WEIGHTS[needed].is_builtin:
                pytest.skip(f"the weights of {needed} are absent: featurekit weights fetch builtin")
            monkeypatch.setenv("FEATUREKIT_HOME", str(tmp_path / "home"))
            path = tmp_path / weights.WEIGHTS[needed].file_name
            {
                ".onnx": lambda: onnx_file(path),
                ".pth": lambda: state_file(name, path),
                ".pt": lambda: state_file(name, path),
                ".dat": lambda: path.write_bytes(
                    made_up_predictor_file() if name == "landmarks_68" else made_up_dlib_file()
                ),
            }[path.suffix]()
            register(needed, path, monkeypatch)
            path.unlink()
        return weights.read(needed)

    return get


@pytest.mark.parametrize("name", NAMES)
def test_every_layer_keeps_its_promise(name, weight_bytes):
    """The promised length and dtype, and a vector of its own for every picture."""
    backbone = BACKBONES[name]
    data = weight_bytes(name)
    crops = inputs(backbone, 3, seed=3)
    layers = list(backbone.layers)
    session = backbone.open(data, layers, device="cpu", precision="fp32", threads=2)
    together = session(crops)
    assert len(together) == len(layers)
    for layer, vectors in zip(layers, together, strict=True):
        assert vectors.shape == (3, backbone.layers[layer]), layer
        assert vectors.dtype == (np.uint8 if backbone.is_picture else np.float32)
        assert np.isfinite(vectors).all()
        assert len(np.unique(vectors, axis=0)) == 3, f"{layer} does not tell pictures apart"
    alone = [session(crops[i : i + 1]) for i in range(3)]
    backward = session(crops[::-1].copy())
    for number in range(len(layers)):
        np.testing.assert_array_equal(np.concatenate([one[number] for one in alone]), together[number])
        np.testing.assert_array_equal(backward[number][::-1], together[number])
    assert session.achieved.device == "cpu"


@pytest.mark.parametrize("name", BACKBONES.names())
def test_what_is_said_of_a_backbone_can_be_looked_up(name):
    backbone = BACKBONES[name]
    assert backbone.template in TEMPLATES or (backbone.template, backbone.input_size) == LANDMARKS
    assert backbone.group in GROUPS
    assert [backbone.load, backbone.compute, backbone.prepare].count(None) == 2
    assert bool(backbone.needs) == bool(backbone.extra)
    assert backbone.weights is None or backbone.weights in weights.WEIGHTS
    assert set(backbone.heads) <= set(backbone.layers)
    assert backbone.default_layer not in backbone.heads
    with pytest.raises(UnknownNameError, match=f"Unknown layer of {name} 'pooling'"):
        split_feature(f"{name}:pooling")


# Backbones without weights, and how many faces they are quick enough to be tried on.
HAND_CRAFTED = {"hog": 10, "lbp": 10, "bif": 5, "landmarks": 40, "sharpness": 40}


@pytest.mark.parametrize("name", ["dlib_age", "dlib_gender", "mobilenet_v2", "mean_color", *HAND_CRAFTED])
def test_vectors_are_bit_equal_for_any_batch_and_order(name, weight_bytes):
    backbone = BACKBONES[name]
    crops = inputs(backbone, HAND_CRAFTED.get(name, 40), seed=4)
    order = np.random.default_rng(5).permutation(len(crops))
    layers = [backbone.default_layer]
    data = weight_bytes(name)
    one = backbone.open(data, layers, device="cpu", precision="fp32", threads=1)
    two = backbone.open(data, layers, device="cpu", precision="fp32", threads=2)
    shuffled = crops[order]
    expected = one(crops)[0][order]
    for batch_size in (1, 7, 32):
        parts = [two(shuffled[i : i + batch_size])[0] for i in range(0, len(crops), batch_size)]
        np.testing.assert_array_equal(np.concatenate(parts), expected)


def test_a_file_of_another_network_is_refused(tmp_path):
    path = tmp_path / "resnet18.pth"
    state_file("resnet18", path)
    with pytest.raises(WeightsError, match=r"does not fit resnet34: Missing key"):
        BACKBONES["resnet34"].open(path.read_bytes(), ["pooled"], device="cpu", precision="fp32")


def test_a_weight_file_that_is_a_pickle_is_not_run(tmp_path):
    import pickle

    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "pwned"), "w"))

    with pytest.raises(WeightsError, match="cannot be read"):
        BACKBONES["resnet18"].open(pickle.dumps(Evil()), ["pooled"], device="cpu", precision="fp32")
    assert not (tmp_path / "pwned").exists()


@pytest.mark.slow
def test_resnet_and_vgg_equal_torchvision_without_its_last_layer(tmp_path):
    import torch
    import torchvision

    path = tmp_path / "weights.pth"
    crops = np.random.default_rng(6).integers(0, 256, (2, 224, 224, 3), dtype=np.uint8)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    batch = ((torch.tensor(crops).float() / 255 - mean) / std).permute(0, 3, 1, 2)
    for name, layer, cut in (
        ("resnet18", "pooled", lambda network: setattr(network, "fc", torch.nn.Identity())),
        ("vgg16", "fc7", lambda network: setattr(network, "classifier", network.classifier[:5])),
    ):
        state_file(name, path)
        network = getattr(torchvision.models, name)(weights=None)
        network.load_state_dict(torch.load(path, weights_only=True))
        cut(network)
        with torch.inference_mode():
            expected = network.eval()(batch).numpy()
        session = BACKBONES[name].open(path.read_bytes(), [layer], device="cpu", precision="fp32")
        np.testing.assert_allclose(session(crops)[0], expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("name", ["dlib_age", "dlib_gender", "mobilenet_v2", "lbp", "bif"])
def test_a_layer_gives_the_same_bits_whichever_others_are_read(name, weight_bytes):
    backbone, data = BACKBONES[name], weight_bytes(name)
    side = backbone.input_size
    crops = np.random.default_rng(6).integers(0, 256, (4, side, side, 3), dtype=np.uint8)
    layers = list(backbone.layers)
    together = backbone.open(data, layers, device="cpu", precision="fp32", threads=1)(crops)
    for number, layer in enumerate(layers):
        (alone,) = backbone.open(data, [layer], device="cpu", precision="fp32", threads=1)(crops)
        np.testing.assert_array_equal(alone, together[number], err_msg=layer)


@pytest.mark.weights
@pytest.mark.parametrize("name", ["dlib_age", "dlib_gender", "mobilenet_v2"])
def test_a_builtin_network_to_be_trained_further_starts_with_the_vectors_that_are_extracted(
    name, weight_bytes
):
    import torch

    backbone, data = BACKBONES[name], weight_bytes(name)
    side, shift = backbone.input_size, backbone.normalization
    crops = np.random.default_rng(6).integers(0, 256, (3, side, side, 3), dtype=np.uint8)
    expected = backbone.open(data, [backbone.default_layer], device="cpu", precision="fp32")(crops)[0]
    network = backbone.trainable(data).eval()
    pixels = (torch.tensor(crops).float() - torch.tensor(shift.mean)) / torch.tensor(shift.scale)
    found = network(pixels.permute(0, 3, 1, 2))[0]
    np.testing.assert_allclose(found.detach().numpy(), expected, atol=1e-4)
    found.sum().backward()
    # All that was learned can be learned further.
    assert all(weight.grad is not None for weight in network.parameters())


def test_a_network_is_made_while_another_thread_uses_one(weight_bytes):
    import torch

    backbone, data = BACKBONES["mobilenet_v2"], weight_bytes("mobilenet_v2")
    used, stop, began = backbone.trainable(data), Event(), Event()

    def use():
        while not stop.is_set():
            used(torch.zeros(1, 3, 32, 32))
            began.set()

    with ThreadPoolExecutor(1) as pool:
        using = pool.submit(use)
        assert began.wait(30)
        other = [backbone.trainable(data) for _ in range(3)][-1]
        stop.set()
        using.result()
    with torch.inference_mode():
        torch.testing.assert_close(
            other.eval()(torch.ones(1, 3, 32, 32)), used.eval()(torch.ones(1, 3, 32, 32))
        )
    parts = {id(part) for part in used.modules()}
    assert not parts & {id(part) for part in other.modules()}


def test_a_backbone_without_weights_cannot_be_trained():
    with pytest.raises(EngineError, match="mean_color has no weights to train"):
        BACKBONES["mean_color"].trainable(b"")


@pytest.mark.parametrize("name", BACKBONES.names())
def test_what_tells_people_apart_is_a_layer_of_the_network(name):
    one = BACKBONES[name]
    assert set(one.recognizes) <= set(one.layers)
    # Whoever adds a network that is described so has to declare it, or the audit passes over it.
    assert bool(one.recognizes) == ("tell people apart" in one.about or "ArcFace" in one.about)
