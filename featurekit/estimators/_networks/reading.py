"""Predictions of a network, without training it, and its loss and scores."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from featurekit.estimators._networks.augmentation import NOTHING
from featurekit.estimators._networks.heads import Head
from featurekit.estimators._networks.sampler import Faces, as_given, on_device
from featurekit.networks.engines import Achieved

EVALUATED_AT_ONCE = {"cpu": 64, "cuda": 512}


def evaluate(
    network: torch.nn.Module,
    crops: NDArray[np.uint8] | torch.Tensor,
    rows: NDArray[np.intp],
    side: int,
    device: str,
    precision: str,
    views: Sequence[Any] = (NOTHING,),
) -> Iterator[tuple[int, Mapping[str, torch.Tensor]]]:
    """Yield the number of the first face of a batch, and the outputs of the network, view by view.

    Args:
        network: as in train().
        crops: uint8, shape (n_crops, s, s, 3); a tensor if they are on a GPU.
        rows: row numbers of the selected crops, shape (n,).
        side: side of the network's input, in pixels.
        device: "cpu" or "cuda".
        precision: "fp32" or "bf16".
        views: changes of each face, see VIEWS.
    """
    network.eval()
    n_at_once = EVALUATED_AT_ONCE[device]
    with torch.inference_mode():
        for start in range(0, len(rows), n_at_once):
            some = rows[start : start + n_at_once]
            for view in views:
                pixels = on_device(as_given(crops, some, [view] * len(some), side, device), device)
                with torch.autocast(device, torch.bfloat16, enabled=precision == "bf16"):
                    outputs = network(pixels)
                yield start, {name: values.float() for name, values in outputs.items()}


def _evaluate_rest(
    rest: torch.nn.Module,
    n_faces: int,
    read: Callable[[NDArray[np.intp]], tuple[torch.Tensor, ...]],
    precision: str,
) -> Iterator[tuple[int, Mapping[str, torch.Tensor]]]:
    """Yield what evaluate() yields, by the rest of a network that follows its frozen half, on a CPU."""
    rest.eval()
    n_at_once = EVALUATED_AT_ONCE["cpu"]
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
        for start in range(0, n_faces, n_at_once):
            inputs = read(np.arange(start, min(start + n_at_once, n_faces)))
            outputs = rest(*(on_device(one, "cpu") for one in inputs))
            yield start, {name: values.float() for name, values in outputs.items()}


def measure(
    network: torch.nn.Module,
    heads: Sequence[Head],
    faces: Faces,
    side: int,
    device: str,
    precision: str,
    read: Callable[[NDArray[np.intp]], tuple[torch.Tensor, ...]] | None = None,
) -> tuple[float, dict[str, float]]:
    """Return the mean loss on unchanged faces, and the scores.

    Args:
        network: as in train(), or the rest of it that follows its frozen half.
        heads: the heads of the network.
        faces: the faces.
        side: side of the network's input, in pixels.
        device: "cpu" or "cuda".
        precision: "fp32" or "bf16".
        read: function of the numbers of some faces that returns what the frozen half of the network computes
            from them; None to give the pixels to the network.
    """
    tally, totals = Tally(heads), {head.target.name: 0.0 for head in heads}
    given = (
        evaluate(network, faces.crops, faces.rows, side, device, precision)
        if read is None
        else _evaluate_rest(network, len(faces), read, precision)
    )
    for start, outputs in given:
        rows = slice(start, start + len(outputs[heads[0].target.name]))
        labels = {name: torch.tensor(values[rows]) for name, values in faces.labels.items()}
        for head in heads:
            name = head.target.name
            n_known = int(head.is_known(labels[name]).sum())
            totals[name] += float(head.loss(outputs[name], labels[name])) * n_known
        tally.add(outputs, labels)
    return sum(tally.means(totals).values()), tally.means()


class Tally:
    """Adds up the correct predictions, or the errors in years, of each head."""

    def __init__(self, heads: Sequence[Head]) -> None:
        self._heads = heads
        self._sums: dict[str, Any] = {head.target.name: 0.0 for head in heads}
        self._counts = {head.target.name: 0 for head in heads}

    def add(self, outputs: Mapping[str, torch.Tensor], labels: Mapping[str, torch.Tensor]) -> None:
        for head in self._heads:
            name = head.target.name
            known = head.is_known(labels[name])
            said = head.answer(outputs[name])
            true = labels[name].to(said.device, non_blocking=True)
            each = (said - true).abs() if head.kind == "years" else said.argmax(dim=1) == true
            rows = known.nonzero().flatten().to(said.device, non_blocking=True)
            self._sums[name] = self._sums[name] + each[rows].sum().double()
            self._counts[name] += int(known.sum())

    def means(self, sums: Mapping[str, float] | None = None) -> dict[str, float]:
        """Return sums divided by the number of labels of each target.

        Args:
            sums: target → sum; None for the accuracy, or the mean absolute error in years.
        """
        return {
            name: float(total) / max(self._counts[name], 1) for name, total in (sums or self._sums).items()
        }


@contextmanager
def torch_threads(threads: int) -> Iterator[None]:
    """Let torch use this number of threads within the context, if called from this thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(max(threads, 1))
    try:
        yield
    finally:
        torch.set_num_threads(before)


def achieved(network: torch.nn.Module, precision: str) -> Achieved:
    """Return the engine, device and precision of a network; the device is the one of its weights."""
    device = next(network.parameters()).device
    name = f"cuda: {torch.cuda.get_device_name(device)}" if device.type == "cuda" else device.type
    return Achieved(f"torch {torch.__version__}", name, precision)
