"""What limits each network: its share of the FLOP/s that the processor reaches in a matrix product.

    python benchmarks/peak.py

For the detector (a frame of 96 × 96), the networks whose weights are here, and resnet50 and vgg16 with
untrained weights: the operations of the convolutions and matrix products, the milliseconds of one picture on
one thread with OpenVINO in fp32, and the FLOP/s that result. They are compared with a matrix product of
torch's on one thread, which is timed between the networks. A network near it can become faster only in
another precision.
"""

import math
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import _ours  # noqa: F401  # so that it runs from a checkout that is not installed
import _side_by_side as harness
import numpy as np
from precision import BACKBONES, PICTURES, ROUNDS
from torch_loop import LAYERS, SIDE, write_untrained

FRAME = 96  # the detector's first frame
MATRIX = 1024


def operations(model: Any) -> float:
    """Return the number of multiplications and additions in an OpenVINO model's convolutions and products.

    _gpu.operations() counts those of a torch module, which the detector is not.
    """
    total = 0.0
    for node in model.get_ops():
        kind = node.get_type_name()
        if kind not in ("Convolution", "GroupConvolution", "ConvolutionBackpropData", "MatMul"):
            continue
        if kind == "MatMul":
            inner = list(node.input(0).get_shape())[-1]
            total += 2 * math.prod(node.output(0).get_shape()) * inner
            continue
        weights = list(node.input(1).get_shape())  # [groups,] out, in, height, width; transposed: in, out, …
        per_output = math.prod(weights[2:] if kind == "GroupConvolution" else weights[1:])
        places = node.input(0) if kind == "ConvolutionBackpropData" else node.output(0)
        total += 2 * math.prod(places.get_shape()) * per_output
    return total


def networks(folder: Path) -> Iterator[tuple[str, Any, int]]:
    """Give each network with a name in words and the side of its pictures."""
    from featurekit.faces.detectors.centerface import _OUTPUTS, any_size
    from featurekit.networks import weights
    from featurekit.networks.backbones import BACKBONES as KNOWN
    from featurekit.networks.engines import Network

    detector = Network(name="centerface", outputs=_OUTPUTS, onnx=any_size(weights.read("centerface")))
    yield f"centerface, {FRAME} × {FRAME}", detector, FRAME
    for name in BACKBONES:
        kind = KNOWN[name]
        yield name, kind.network(weights.read(kind.weights), [kind.default_layer]), kind.input_size
    for name, layer in LAYERS.items():
        path = folder / name
        write_untrained(name, path)
        yield f"{name}, untrained weights", KNOWN[name].network(path.read_bytes(), [layer]), SIDE


def least_seconds(work: Callable[[], object]) -> float:
    """Return the smallest time of a few calls."""
    work()
    times = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times)


def main() -> int:
    """Print the shares and write them as JSON."""
    import torch

    from featurekit.networks.engines import open_session
    from featurekit.networks.engines.openvino import import_openvino, read_model

    options = harness.options_for(__doc__).parse_args()
    cores = harness.keep_to_cores(1)
    machine = {**harness.hardware(), "threads": 1, "cores_used": cores}
    torch.set_num_threads(1)
    square = torch.rand(MATRIX, MATRIX)

    def peak() -> float:
        return 2 * MATRIX**3 / least_seconds(lambda: square @ square)

    rows, peaks = [], [peak()]
    with tempfile.TemporaryDirectory(prefix="featurekit-peak.") as folder:
        for name, network, side in networks(Path(folder)):
            model = read_model(import_openvino(), network)
            model.reshape({model.input(0): [1, 3, side, side]})
            session = open_session(network, device="cpu", precision="fp32", threads=1)
            crops = np.random.default_rng(0).integers(0, 256, (PICTURES, side, side, 3), dtype=np.uint8)
            seconds = least_seconds(lambda: session(crops)) / PICTURES  # noqa: B023  # called at once
            rows.append({"network": name, "gflop": operations(model) / 1e9, "milliseconds": 1000 * seconds})
            peaks.append(peak())
    for row in rows:
        row["share"] = row["gflop"] * 1e12 / row["milliseconds"] / max(peaks)
    product = f"{max(peaks) / 1e9:.0f} GFLOP/s"
    verdicts = [harness.Verdict(f"a matrix product of {MATRIX} × {MATRIX}", "-", product, True)]
    for row in rows:
        said = (
            f"{row['milliseconds']:.2f} ms for {row['gflop']:.3f} GFLOP: {row['share']:.0%} of the product's"
        )
        verdicts.append(harness.Verdict(row["network"], "-", said, True))
    result = {
        "name": "peak",
        "title": "What limits each network: its share of a matrix product's FLOP/s",
        "complete": True,
        "rounds": ROUNDS,
        "hardware": machine,
        "rows": rows,
    }
    harness.write_table(result, "One picture on one thread, fp32", verdicts, options.results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
