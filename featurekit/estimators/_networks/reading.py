"""Faces read by a network as it is, and how often, or how far, it is right."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from featurekit.estimators._networks.augmentation import NOTHING, Change
from featurekit.estimators._networks.heads import Head
from featurekit.estimators._networks.sampler import Faces, as_given, on_device
from featurekit.networks.engines import Achieved

if TYPE_CHECKING:
    import torch

EVALUATED_AT_ONCE = {"cpu": 64, "cuda": 512}

# Ten views: four corners and the middle of a part of the crop, and their mirror images.
_TEN_SIDE = 0.875
VIEWS: Mapping[int, Sequence[Change]] = {
    1: (NOTHING,),
    2: (NOTHING, NOTHING._replace(is_flipped=True)),
    10: tuple(
        NOTHING._replace(is_flipped=is_flipped, box=(top, left, _TEN_SIDE, _TEN_SIDE))
        for is_flipped in (False, True)
        for top, left in ((0.0, 0.0), (0.0, 0.125), (0.125, 0.0), (0.125, 0.125), (0.0625, 0.0625))
    ),
}


def evaluate(
    network: "torch.nn.Module",
    crops: "NDArray[np.uint8] | torch.Tensor",
    rows: NDArray[np.intp],
    side: int,
    device: str,
    precision: str,
    views: Sequence[Any] = (NOTHING,),
) -> "Iterator[tuple[int, Mapping[str, torch.Tensor]]]":
    """Yield the number of the first face of a batch, and the network's outputs, view after view.

    Args:
        network: as in train().
        crops: uint8, shape (n_crops, s, s, 3); a tensor where they lie on a GPU.
        rows: numbers of those that are meant, shape (n,).
        side: of the pictures it is given.
        device: "cpu" or "cuda".
        precision: "fp32" or "bf16".
        views: what is done to each face.
    """
    import torch

    network.eval()
    n_at_once = EVALUATED_AT_ONCE[device]
    with torch.inference_mode():
        for start in range(0, len(rows), n_at_once):
            some = rows[start : start + n_at_once]
            for view in views:
                pixels = as_given(crops, some, [view] * len(some), side, device)
                with torch.autocast(device, torch.bfloat16, enabled=precision == "bf16"):
                    outputs = network(on_device(pixels, device))
                yield start, {name: values.float() for name, values in outputs.items()}


def measure(
    network: "torch.nn.Module", heads: Sequence[Head], faces: Faces, side: int, device: str, precision: str
) -> tuple[float, dict[str, float]]:
    """Return the mean loss on faces as they are, and the scores."""
    import torch

    tally = Tally(heads)
    totals, counts = {head.target.name: 0.0 for head in heads}, {head.target.name: 0 for head in heads}
    for start, outputs in evaluate(network, faces.crops, faces.rows, side, device, precision):
        rows = slice(start, start + len(outputs[heads[0].target.name]))
        labels = {name: torch.tensor(values[rows]) for name, values in faces.labels.items()}
        for head in heads:
            name = head.target.name
            n_known = int(head.is_known(labels[name]).sum())
            totals[name] += float(head.loss(outputs[name], labels[name])) * n_known
            counts[name] += n_known
        tally.add(outputs, labels)
    return sum(totals[name] / max(counts[name], 1) for name in totals), tally.scores()


class Tally:
    """Counts how often, or how far, each head is right."""

    def __init__(self, heads: Sequence[Head]) -> None:
        self._heads = heads
        self._sums: dict[str, Any] = {head.target.name: 0.0 for head in heads}
        self._counts = {head.target.name: 0 for head in heads}

    def add(self, outputs: "Mapping[str, torch.Tensor]", labels: "Mapping[str, torch.Tensor]") -> None:
        for head in self._heads:
            name = head.target.name
            known = head.is_known(labels[name])
            said = head.answer(outputs[name])
            true = labels[name].to(said.device, non_blocking=True)
            each = (said - true).abs() if head.kind == "years" else said.argmax(dim=1) == true
            rows = known.nonzero().flatten().to(said.device, non_blocking=True)
            self._sums[name] = self._sums[name] + each[rows].sum().double()
            self._counts[name] += int(known.sum())

    def scores(self) -> dict[str, float]:
        """Return the share of right classes, or the mean absolute error in years, of each target."""
        return {name: float(self._sums[name]) / max(self._counts[name], 1) for name in self._sums}


@contextmanager
def torch_threads(threads: int) -> Iterator[None]:
    """Let torch use so many threads in this thread while inside."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(max(threads, 1))
    try:
        yield
    finally:
        torch.set_num_threads(before)


def achieved(network: "torch.nn.Module", precision: str) -> Achieved:
    """Return what a network runs on, read back from where its weights are."""
    import torch

    device = next(network.parameters()).device
    name = f"cuda: {torch.cuda.get_device_name(device)}" if device.type == "cuda" else device.type
    return Achieved(f"torch {torch.__version__}", name, precision)
