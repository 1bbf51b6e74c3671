"""The order of the training faces and their changes; the same for the same seed and any number of threads."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from featurekit.estimators._networks.augmentation import (
    NOTHING,
    Augmentation,
    Change,
    changed,
    changed_together,
)
from featurekit.estimators._networks.schedule import Schedule

AHEAD = 3  # number of batches that are prepared during a training step


@dataclass(frozen=True, kw_only=True)
class Faces:
    """Faces for training or evaluation.

    Attributes:
        crops: uint8, shape (n_crops, s, s, 3); a tensor if they are on a GPU.
        rows: row numbers of the selected crops, shape (n,); the crops are not copied, because they are large.
        labels: target → class numbers, -1 for no label, or years, NaN for no label; each of shape (n,).
    """

    crops: NDArray[np.uint8] | torch.Tensor
    rows: NDArray[np.intp]
    labels: Mapping[str, NDArray[Any]]

    def __len__(self) -> int:
        return len(self.rows)

    def some(self, which: NDArray[np.intp]) -> "Faces":
        """Return some of the faces."""
        return replace(
            self,
            rows=self.rows[which],
            labels={name: values[which] for name, values in self.labels.items()},
        )

    def on_gpu(self) -> "Faces":
        """Return the same faces on the GPU, or unchanged if they need more than half of its free memory."""
        side = self.crops.shape[1]
        if len(self) * side * side * 3 > torch.cuda.mem_get_info()[0] / 2:
            return self
        there = torch.empty((len(self), side, side, 3), dtype=torch.uint8, device="cuda")
        for start in range(0, len(self), 1024):
            there[start : start + 1024] = torch.from_numpy(self.crops[self.rows[start : start + 1024]])
        return Faces(crops=there, rows=np.arange(len(self)), labels=self.labels)


def epoch_order(
    faces: Faces, schedule: Schedule, rng: np.random.Generator, *, balanced_by: str
) -> NDArray[np.intp]:
    """Return the row numbers of an epoch, in the order of the training."""
    n = len(faces)
    if schedule.balance != "sampler":
        order = rng.permutation(n)
    else:
        labels = faces.labels[balanced_by]
        known = np.isfinite(labels) if labels.dtype.kind == "f" else labels >= 0
        if labels.dtype.kind == "f":
            labels = np.digitize(np.where(known, labels, 0), np.arange(0, 81, 10))
        _, codes, counts = np.unique(labels, return_inverse=True, return_counts=True)
        shares = 1 / counts[codes]
        # A face without a label has the mean probability.
        shares[~known] = shares[known].mean() if known.any() else 1.0
        order = rng.choice(n, n, p=shares / shares.sum())
    # Batch normalization needs more than one face.
    return order[:-1] if n > 1 and n % schedule.batch_size == 1 else order


def batches(
    faces: Faces,
    order: NDArray[np.intp],
    size: int,
    augmentation: Augmentation | None,
    side: int,
    seed: Sequence[int],
    pool: ThreadPoolExecutor,
    mixup: float,
    device: str,
    view: int | None = None,
    read: Callable[[int, NDArray[np.intp]], tuple[torch.Tensor, ...]] | None = None,
) -> Iterator[
    tuple[tuple[torch.Tensor, ...], dict[str, torch.Tensor], tuple[float, NDArray[np.intp]] | None]
]:
    """Yield inputs, labels and their mixture; the next batches are being prepared.

    The inputs are pixels of shape (n, 3, side, side), or what `read` returns.

    Args:
        faces: the faces.
        order: numbers of the faces, in the order of the training.
        size: number of faces of a batch.
        augmentation: random changes of the faces; None for none.
        side: side of the network's input, in pixels.
        seed: seed of the training, and the number of the epoch.
        pool: threads that prepare batches.
        mixup: see Schedule.
        device: "cpu" or "cuda".
        view: number of the view of each face; None for new changes in each step.
        read: function of the view and the numbers of some faces that returns the inputs; None for pixels.
    """

    def prepare(step: int) -> tuple[NDArray[np.intp], list[Change], tuple[torch.Tensor, ...] | None]:
        rows = order[step * size : (step + 1) * size]
        if read is not None and view is not None:
            return rows, [], read(view, rows)
        changes = _changes_of(augmentation, [*seed, step, 1], view, rows)
        if device == "cuda":  # only one thread may use the GPU
            return rows, changes, None
        return rows, changes, (as_given(faces.crops, faces.rows[rows], changes, side, device),)

    n_steps = -(-len(order) // size)
    waiting: deque[Future[Any]] = deque(pool.submit(prepare, step) for step in range(min(AHEAD, n_steps)))
    for step in range(n_steps):
        rows, changes, inputs = waiting.popleft().result()
        if step + AHEAD < n_steps:
            waiting.append(pool.submit(prepare, step + AHEAD))
        if inputs is None:
            inputs = (as_given(faces.crops, faces.rows[rows], changes, side, device),)
        labels = {name: torch.tensor(values[rows]) for name, values in faces.labels.items()}
        mixed = None
        if mixup and len(rows) > 1:
            rng = np.random.default_rng([*seed, step, 2])
            mixed = float(rng.beta(mixup, mixup)), rng.permutation(len(rows))
        yield inputs, labels, mixed


def _changes_of(
    augmentation: Augmentation | None, seed: Sequence[int], view: int | None, rows: NDArray[np.intp]
) -> list[Change]:
    """Return the changes of the faces of a batch."""
    if view is not None:
        return [change_of(augmentation, seed[0], view, row) for row in rows]
    rng = np.random.default_rng(seed)
    return [augmentation.draw(rng) if augmentation else NOTHING for _ in rows]


def change_of(augmentation: Augmentation | None, seed: int, view: int, row: int) -> Change:
    """Return the changes of a face in a view, the same in each epoch that has this view."""
    return augmentation.draw(np.random.default_rng([seed, view, row, 3])) if augmentation else NOTHING


def as_given(
    crops: NDArray[np.uint8] | torch.Tensor,
    rows: NDArray[np.intp],
    changes: Sequence[Change],
    side: int,
    device: str,
) -> torch.Tensor:
    """Return faces as the input of a network, shape (n, 3, side, side): bytes, or whole numbers on a GPU."""
    if isinstance(crops, torch.Tensor):
        return changed_together(
            crops[torch.from_numpy(rows).to(crops.device, non_blocking=True)], changes, side
        )
    if device == "cuda":
        return changed_together(torch.from_numpy(crops[rows]).to(device, non_blocking=True), changes, side)
    faces = np.stack([changed(crops[row], one, side) for row, one in zip(rows, changes, strict=True)])
    return torch.from_numpy(faces).permute(0, 3, 1, 2)


def on_device(inputs: torch.Tensor, device: str) -> torch.Tensor:
    """Return pixels or feature maps as float32 with the channels last, which is faster, on a device."""
    inputs = inputs.to(device).float()
    return inputs.contiguous(memory_format=torch.channels_last) if inputs.dim() == 4 else inputs
