"""Networks in int8: the same bits whatever the batch, and no other network than the one of the hash."""

import json
import sys
from functools import cache
from hashlib import sha256

import numpy as np
import pytest

from featurekit.errors import EngineError
from featurekit.networks import quantized, weights
from featurekit.networks.backbones import Backbone
from featurekit.networks.engines import Network, Normalization, open_session
from featurekit.networks.engines.openvino import import_openvino, packed, quantized_path
from featurekit.networks.quantized import quantize, quantized_once

SIDE = 16


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("FEATUREKIT_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture(scope="module")
def crops():
    return np.random.default_rng(1).integers(0, 256, (24, SIDE, SIDE, 3), dtype=np.uint8)


def a_network(quantized=""):
    return Network(
        name="tiny",
        onnx=b"not read",
        outputs=("vector",),
        normalization=Normalization((100.0, 110.0, 120.0), (50.0, 60.0, 70.0)),
        input_size=SIDE,
        quantized=quantized,
    )


@cache
def by_hand(is_quantized=True):
    """Return a file with two convolutions and a mean, whose values have the levels that int8 has."""
    openvino = import_openvino()
    ops = openvino.opset13
    rng = np.random.default_rng(0)

    def ranged(values, low, high, levels):
        if not is_quantized:
            return values
        ends = ops.constant(np.float32(low)), ops.constant(np.float32(high))
        return ops.fake_quantize(values, *ends, *ends, levels)

    maps = pixels = ops.parameter([1, 3, SIDE, SIDE], np.float32)
    for n_in, low in ((3, -3 * 128 / 127), (8, 0)):
        kernel = ops.constant(rng.normal(size=(8, n_in, 3, 3)).astype(np.float32))
        maps, kernel = ranged(maps, low, 3, 256), ranged(kernel, -3, 3, 255)
        maps = ops.relu(ops.convolution(maps, kernel, [1, 1], [1, 1], [1, 1], [1, 1]))
    vector = ops.result(ops.reduce_mean(maps, ops.constant([2, 3])))
    vector.set_friendly_name("vector")
    return packed(openvino, openvino.Model([vector], [pixels], "tiny"))


def kept(data):
    """Put a quantized network where it belongs and return its hash."""
    digest = sha256(data).hexdigest()
    path = quantized_path("tiny", digest)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    return digest


def opened(digest, threads=1):
    return open_session(a_network(digest), device="cpu", precision="int8", threads=threads)


@pytest.mark.parametrize("batch_size", [1, 5, 24])
def test_in_int8_neither_batch_nor_order_nor_threads_change_a_bit(home, crops, batch_size):
    digest = kept(by_hand())
    (expected,) = opened(digest)(crops)
    order = np.random.default_rng(2).permutation(len(crops))
    session = opened(digest, threads=2)
    parts = [session(crops[order[start : start + batch_size]])[0] for start in range(0, 24, batch_size)]
    np.testing.assert_array_equal(np.concatenate(parts), expected[order])
    assert session.achieved.precision == "int8"


def test_a_network_that_does_not_run_in_int8_is_not_called_so(home):
    with pytest.raises(EngineError, match=r"cannot run tiny in int8: OpenVINO chose fp32"):
        opened(kept(by_hand(is_quantized=False)))


def test_a_quantized_network_with_another_hash_is_refused(home):
    digest = kept(by_hand())
    path = quantized_path("tiny", digest)
    path.write_bytes(path.read_bytes()[:-1] + b"\0" if path.read_bytes()[-1] else b"\1")
    with pytest.raises(EngineError, match=rf"tiny with the hash {digest[:8]} is damaged"):
        opened(digest)
    path.unlink()
    with pytest.raises(EngineError, match=r"is not on this machine: .* Copy the file"):
        opened(digest)


def test_int8_needs_a_quantized_network_and_a_quantized_network_needs_int8(home):
    with pytest.raises(EngineError, match="tiny has not been quantized to int8"):
        open_session(a_network(), device="cpu", precision="int8")
    with pytest.raises(EngineError, match="tiny is quantized to int8 and runs in no other precision"):
        open_session(a_network("ab" * 32), device="cpu", precision="fp32")


@pytest.fixture
def backbone(home, monkeypatch, crops):
    """A backbone whose quantization is a file made by hand; .times counts how often it is made."""
    times = []

    def made(network, names, crops):
        times.append(names)
        return by_hand()

    monkeypatch.setattr(quantized, "quantize", made)
    monkeypatch.setattr(Backbone, "code", "")
    monkeypatch.setattr(weights, "sha256_of", lambda name: "ab" * 32)
    monkeypatch.setattr(weights, "read", lambda name: b"weights")
    found = Backbone(
        name="tiny",
        about="",
        layers={"vector": 8},
        input_size=SIDE,
        template="dlib",
        weights="tiny",
        load=lambda data, layers: a_network(),
    )
    return found, times


def test_a_network_is_quantized_once_for_the_same_crops_and_a_note_says_so(home, backbone, crops, caplog):
    found, times = backbone
    digest = quantized_once(found, "these", lambda: crops)
    (said,) = caplog.records
    assert said.getMessage().startswith("tiny is being quantized to int8, once on this machine.")
    caplog.clear()
    assert quantized_once(found, "these", lambda: pytest.fail("drawn again")) == digest
    assert times == [["vector"]]
    assert not caplog.records
    quantized_once(found, "other ones", lambda: crops)
    assert len(times) == 2
    session = found.open(b"", ["vector"], device="cpu", precision="int8", quantized=digest)
    assert session(crops)[0].shape == (24, 8)
    notes = [json.loads(path.read_text()) for path in (home / "networks").glob("*.json")]
    assert {note["calibrated_on"] for note in notes} == {"these", "other ones"}
    assert {note["sha256"] for note in notes} == {digest}


@pytest.mark.parametrize("ending", ["json", "safetensors"])
def test_a_damaged_quantization_is_made_again(home, backbone, crops, ending):
    found, times = backbone
    digest = quantized_once(found, "these", lambda: crops)
    (path,) = (home / "networks").glob(f"*.{ending}")
    path.write_bytes(b"[]")
    assert quantized_once(found, "these", lambda: crops) == digest
    assert len(times) == 2
    assert opened(digest).achieved.precision == "int8"


def test_without_nncf_the_message_says_how_to_get_it(monkeypatch, crops):
    monkeypatch.setitem(sys.modules, "nncf", None)
    with pytest.raises(EngineError, match=r"NNCF, which is not installed: pip install 'featurekit\[int8\]'"):
        quantized._import_nncf()


@pytest.mark.slow
def test_nncf_makes_the_same_bytes_whatever_was_made_before(crops, capfd):
    pytest.importorskip("nncf")
    network = _random_network()
    first = quantize(network, ["vector"], crops)
    assert quantize(network, ["vector"], crops) == first
    assert quantize(network, ["vector"], crops // 2) != first
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
def test_a_quantized_network_is_near_the_network(home, crops):
    pytest.importorskip("nncf")
    network = _random_network()
    (expected,) = open_session(network, device="cpu", precision="fp32")(crops)
    (got,) = opened(kept(quantize(network, ["vector"], crops)))(crops)
    assert 0 < np.abs(got - expected).max() < 0.05 * np.abs(expected).max()


def _random_network():
    import onnx
    from onnx import TensorProto, helper

    rng = np.random.default_rng(0)
    kernels = {f"kernel{k}": rng.normal(size=(8, n, 3, 3)).astype(np.float32) for k, n in enumerate((3, 8))}
    nodes = [
        helper.make_node("Conv", ["picture", "kernel0"], ["maps"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["maps"], ["positive"]),
        helper.make_node("Conv", ["positive", "kernel1"], ["more"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["more"], ["most"]),
        helper.make_node("GlobalAveragePool", ["most"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["vector"]),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("picture", TensorProto.FLOAT, ["n", 3, "h", "w"])],
        [helper.make_tensor_value_info("vector", TensorProto.FLOAT, None)],
        [onnx.numpy_helper.from_array(kernel, name) for name, kernel in kernels.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    plain = a_network()
    return Network(
        name="tiny",
        onnx=model.SerializeToString(),
        outputs=("vector",),
        normalization=plain.normalization,
        input_size=SIDE,
    )
