"""Engines: the same numbers whatever the batch, and the truth about what ran."""

import ctypes
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from featurekit.errors import EngineError
from featurekit.networks.engines import (
    ENGINES,
    Network,
    Normalization,
    cuda_is_usable,
    open_session,
    resolve,
)

NORMALIZATION = Normalization((100.0, 110.0, 120.0), (50.0, 60.0, 70.0))


@pytest.fixture(scope="module")
def onnx_network():
    """A convolution and a mean, as an ONNX file that also lists its weights among the inputs."""
    import onnx
    from onnx import TensorProto, helper

    rng = np.random.default_rng(0)
    kernel = rng.normal(size=(4, 3, 3, 3)).astype(np.float32)
    nodes = [
        helper.make_node("Conv", ["picture", "kernel"], ["maps"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["maps"], ["positive"]),
        helper.make_node("GlobalAveragePool", ["positive"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["vector"]),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [
            helper.make_tensor_value_info("picture", TensorProto.FLOAT, ["n", 3, "h", "w"]),
            helper.make_tensor_value_info("kernel", TensorProto.FLOAT, [4, 3, 3, 3]),
        ],
        # Declared with a wrong shape on purpose: such files exist.
        [helper.make_tensor_value_info("vector", TensorProto.FLOAT, [10, 7])],
        [onnx.numpy_helper.from_array(kernel, "kernel")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    return Network(
        name="tiny",
        onnx=model.SerializeToString(),
        outputs=("vector", "pooled"),
        normalization=NORMALIZATION,
        input_size=16,
    )


@pytest.fixture(scope="module")
def torch_network():
    """The same kind of network as a torch module, with dropout that evaluation mode must switch off."""

    def build():
        import torch

        torch.manual_seed(0)

        class Tiny(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.body = torch.nn.Sequential(
                    torch.nn.Conv2d(3, 4, 3, padding=1),
                    torch.nn.BatchNorm2d(4),
                    torch.nn.ReLU(),
                    torch.nn.Dropout(0.5),
                )

            def forward(self, pixels):
                return (self.body(pixels).mean(dim=(2, 3)),)

        return Tiny().eval()

    return Network(name="tiny", module=build, outputs=("pooled",), normalization=NORMALIZATION, input_size=16)


@pytest.fixture
def pixels():
    return np.random.default_rng(1).integers(0, 256, (33, 16, 16, 3), dtype=np.uint8)


def networks_of(engine, onnx_network, torch_network):
    return {
        "openvino": [onnx_network, torch_network],
        "onnxruntime": [onnx_network],
        "torch": [torch_network],
    }[engine]


@pytest.mark.parametrize("engine", ENGINES.names())
@pytest.mark.parametrize("batch_size", [1, 7, 32])
def test_neither_batch_nor_order_nor_threads_change_a_bit(
    engine, batch_size, pixels, onnx_network, torch_network
):
    order = np.random.default_rng(2).permutation(len(pixels))
    for network in networks_of(engine, onnx_network, torch_network):
        expected = open_session(network, device="cpu", engine=engine, threads=1)(pixels)
        session = open_session(network, device="cpu", engine=engine, threads=2)
        parts = [
            session(pixels[order[start : start + batch_size]]) for start in range(0, len(pixels), batch_size)
        ]
        for number, wanted in enumerate(expected):
            got = np.concatenate([part[number] for part in parts])
            np.testing.assert_array_equal(got, wanted[order])


def test_the_engines_agree(pixels, onnx_network, torch_network):
    for network, other in ((onnx_network, "onnxruntime"), (torch_network, "torch")):
        first = open_session(network, device="cpu", engine="openvino")(pixels)
        second = open_session(network, device="cpu", engine=other)(pixels)
        for one, two in zip(first, second, strict=True):
            np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("engine", ENGINES.names())
def test_blue_first_means_the_same_as_swapped_pixels(engine, pixels, onnx_network, torch_network):
    for network in networks_of(engine, onnx_network, torch_network):
        plain = replace(network, normalization=Normalization())
        blue_first = replace(network, normalization=Normalization(bgr=True))
        swapped = open_session(plain, device="cpu", engine=engine)(pixels[:, :, :, ::-1].copy())
        got = open_session(blue_first, device="cpu", engine=engine)(pixels)
        np.testing.assert_allclose(got[0], swapped[0], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("engine", ENGINES.names())
def test_normalization_is_per_channel_in_the_order_of_the_pixels(engine, pixels, onnx_network, torch_network):
    for network in networks_of(engine, onnx_network, torch_network):
        raw = replace(network, normalization=Normalization((0, 0, 0), (2.0, 4.0, 8.0), bgr=True))
        halved = open_session(raw, device="cpu", engine=engine)((pixels // 8) * 8)
        by_hand = ((pixels // 8) * 8) // np.array([2, 4, 8], np.uint8)
        plain = replace(network, normalization=Normalization(bgr=True))
        np.testing.assert_allclose(
            halved[0], open_session(plain, device="cpu", engine=engine)(by_hand)[0], rtol=1e-5, atol=1e-5
        )


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_weights_too_near_to_0_for_a_processor_to_multiply_quickly_count_as_0(engine):
    """Their products may be numbers like any other, but take ten times as long."""
    import onnx
    from onnx import TensorProto, helper

    kernel = np.full((4, 3, 3, 3), 1e-39, np.float32)
    graph = helper.make_graph(
        [helper.make_node("Conv", ["picture", "kernel"], ["maps"], pads=[1, 1, 1, 1])],
        "tiny",
        [helper.make_tensor_value_info("picture", TensorProto.FLOAT, ["n", 3, 16, 16])],
        [helper.make_tensor_value_info("maps", TensorProto.FLOAT, ["n", 4, 16, 16])],
        [onnx.numpy_helper.from_array(kernel, "kernel")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    network = Network(name="tiny", onnx=model.SerializeToString(), outputs=("maps",), input_size=16)
    bright = np.full((1, 16, 16, 3), 255, np.uint8)
    assert 255 * kernel.sum() > 1e-38
    (maps,) = open_session(network, device="cpu", engine=engine)(bright)
    assert (maps == 0).all()
    assert np.float32(1e-40) * np.float32(2) > 0  # and nobody else's numbers are touched


def test_a_converted_network_is_kept_and_gives_the_same_bits(torch_network, pixels, tmp_path, monkeypatch):
    monkeypatch.setenv("FEATUREKIT_HOME", str(tmp_path))
    named = replace(torch_network, identity="tiny, first weights")
    (expected,) = open_session(named, device="cpu")(pixels)
    (kept,) = (tmp_path / "networks").iterdir()

    def never():
        raise AssertionError

    unbuilt = replace(named, module=never)
    (again,) = open_session(unbuilt, device="cpu")(pixels)
    np.testing.assert_array_equal(again, expected)
    with pytest.raises(AssertionError):  # other weights are another network
        open_session(replace(unbuilt, identity="tiny, second weights"), device="cpu")

    data = bytearray(kept.read_bytes())
    data[len(data) // 2] ^= 1
    kept.write_bytes(data)
    (anew,) = open_session(named, device="cpu")(pixels)
    np.testing.assert_array_equal(anew, expected)
    assert kept.read_bytes() != bytes(data)


def test_a_home_that_cannot_be_written_only_costs_the_conversion(
    torch_network, pixels, tmp_path, monkeypatch
):
    (tmp_path / "file").touch()
    monkeypatch.setenv("FEATUREKIT_HOME", str(tmp_path / "file"))
    assert len(open_session(replace(torch_network, identity="tiny"), device="cpu")(pixels)[0]) == len(pixels)


def test_a_batch_that_does_not_fit_into_the_memory_is_halved_for_good(torch_network, pixels):
    import torch

    class Small(torch.nn.Module):
        """A network in a memory that holds so many pictures."""

        def __init__(self, room):
            super().__init__()
            self.body, self.room, self.batches = torch_network.module(), room, []

        def forward(self, values):
            self.batches.append(len(values))
            if len(values) > self.room:
                raise torch.OutOfMemoryError
            return self.body(values)

    expected = open_session(torch_network, device="cpu", engine="torch")(pixels)
    small = Small(5)
    session = open_session(replace(torch_network, module=lambda: small), device="cpu", engine="torch")
    session.batch = 16  # as on a GPU
    np.testing.assert_allclose(session(pixels)[0], expected[0], rtol=1e-5)
    assert small.batches == [16, 8, *[4] * 8, 1]
    assert session.batch == 4
    tiny = open_session(replace(torch_network, module=lambda: Small(0)), device="cpu", engine="torch")
    with pytest.raises(EngineError, match="tiny does not fit into the memory of the GPU"):
        tiny(pixels)


@pytest.mark.parametrize("engine", ENGINES.names())
def test_a_session_says_what_it_runs_on(engine, onnx_network, torch_network):
    for network in networks_of(engine, onnx_network, torch_network):
        achieved = open_session(network, device="cpu", engine=engine).achieved
        assert achieved.device == "cpu"
        assert achieved.precision == "fp32"
        assert achieved.engine.startswith(engine)


@pytest.mark.skipif(cuda_is_usable(), reason="there is a GPU here")
def test_asking_for_a_gpu_and_not_getting_it_is_an_error(onnx_network, torch_network):
    for network in (onnx_network, torch_network):
        with pytest.raises(EngineError, match=r"cuda was requested.*--device cpu"):
            open_session(network, device="cuda")


def test_a_precision_that_an_engine_lacks_is_an_error(onnx_network):
    with pytest.raises(EngineError, match="computes in fp32"):
        open_session(onnx_network, device="cpu", precision="bf16", engine="onnxruntime")


@pytest.mark.parametrize("precision", ["bf16", "fp32"])
def test_a_cpu_runs_by_itself_in_the_precision_that_was_measured_to_be_faster(monkeypatch, precision):
    monkeypatch.setattr("featurekit.networks.engines.fastest_precision", lambda: precision)
    assert resolve("cpu", "auto") == ("cpu", precision)
    assert resolve("cpu", "fp32") == ("cpu", "fp32")


def test_an_unknown_device_is_refused():
    with pytest.raises(EngineError, match=r"device must be one of auto, cpu, cuda\. Got 'gpu' instead"):
        resolve("gpu", "auto")


def test_an_engine_refuses_a_network_it_cannot_run(onnx_network, torch_network):
    with pytest.raises(EngineError, match="runs torch modules, but tiny is an ONNX file"):
        open_session(onnx_network, device="cpu", engine="torch")
    with pytest.raises(EngineError, match="runs ONNX files, but tiny is a torch module"):
        open_session(torch_network, device="cpu", engine="onnxruntime")


def test_a_layer_that_is_not_there_is_named(onnx_network):
    with pytest.raises(EngineError, match="has no tensor 'fc7'"):
        open_session(replace(onnx_network, outputs=("fc7",)), device="cpu")


def test_a_picture_of_another_size_is_compiled_for_itself(onnx_network, pixels):
    session = open_session(replace(onnx_network, input_size=None), device="cpu")
    assert session(np.zeros((2, 32, 64, 3), np.uint8))[1].shape == (2, 4, 1, 1)
    np.testing.assert_array_equal(session(pixels)[0], open_session(onnx_network, device="cpu")(pixels)[0])


def test_importing_openvino_opens_no_socket_and_writes_nothing_below_home(tmp_path):
    script = """
import socket, sys
def refuse(*a, **k): raise SystemExit("a socket was opened")
socket.socket.connect = refuse
socket.create_connection = refuse
from featurekit.networks.engines.openvino import import_openvino
import_openvino().Core()
assert sys.modules["openvino_telemetry"] is None
"""
    environment = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "mallopt"), reason="glibc")
@pytest.mark.parametrize(
    "where",
    [
        pytest.param("run()", marks=pytest.mark.slow),
        "thread = threading.Thread(target=run); thread.start(); thread.join()",
    ],
)
def test_memory_that_is_freed_is_used_again_without_asking_the_kernel(where):
    code = f"""
import resource, threading
import torch
from featurekit.networks.engines.torch import keep_memory
keep_memory()
def run():
    fresh = lambda: [torch.zeros(12_000_000), torch.zeros(3_000_000)]
    for _ in range(8):  # until the heap has grown
        fresh()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        fresh()
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
{where}
"""
    asked = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert int(asked) < 1000  # of the 146,484 pages that the arrays have


@pytest.mark.skipif(sys.platform != "linux", reason="Linux keeps the highest count")
def test_the_most_memory_is_that_since_one_began_to_watch():
    # In a process of its own, whose heap has no room left over.
    code = """
import numpy as np
from featurekit.networks.engines import watch_memory
before = np.ones(40_000_000)  # 320 MB
del before
most = watch_memory()
at_first = most()
now = np.ones(15_000_000)
del now
print(most() - at_first)
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert 100e6 < int(said) < 200e6
