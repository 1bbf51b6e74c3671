"""How a network is trained: the targets together, the parts in each epoch, and the learning rate."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from featurekit.data.targets import AGE, AGE_GROUP, GENDER, Target

if TYPE_CHECKING:
    import torch

# Number of parts of a pretrained network, from the pixels to the features; each has its own learning rate.
PARTS = 4
# Number of views of each face, unless another number is given, while a part of the network is frozen.
FROZEN_VIEWS = 6
# Targets that one network learns together, because each helps to learn the others.
TOGETHER = (AGE.name, AGE_GROUP.name, GENDER.name)


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """How a network is trained.

    Attributes:
        epochs: the greatest number of passes over the faces.
        batch_size: number of faces of a step.
        learning_rate: the greatest rate of the heads; it rises during warm_up and falls along a cosine.
        decay: factor of the rate from each of the PARTS of the network to the one below; 1 for equal rates.
        weight_decay: AdamW's weight decay of the weights that are matrices.
        warm_up: share of all steps in which the rate rises.
        head_epochs: number of epochs in which only the heads are trained.
        last_epochs: number of epochs after these in which the last two of the PARTS are trained too; later
            the whole network is trained.
        frozen_views: number of augmented views of each face, on which the epochs of head_epochs and
            last_epochs train by turns. What the frozen part of the network computes from a view is kept, so
            that later epochs take less time. 0 for a new view in each epoch.
        smoothing: share of the true label that is distributed over all classes.
        mixup: parameter of the beta distribution by which two faces are mixed; 0 for no mixing.
        balance: "none", "loss" (rare classes have a higher weight) or "sampler" (they are drawn more often).
        patience: number of epochs without a better held-out loss after which the training stops.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    decay: float
    weight_decay: float
    warm_up: float
    head_epochs: int
    last_epochs: int
    frozen_views: int
    smoothing: float
    mixup: float
    balance: Literal["none", "loss", "sampler"]
    patience: int

    def stage(self, epoch: int) -> Literal["heads", "last", "all"]:
        """Return which parts are trained in an epoch, counted from 0."""
        if epoch < self.head_epochs:
            return "heads"
        return "last" if epoch < self.head_epochs + self.last_epochs else "all"

    @property
    def n_frozen(self) -> int:
        """Number of epochs with a frozen part; 0 if faces are mixed, because that makes new images."""
        return 0 if self.mixup else min(self.head_epochs + self.last_epochs, self.epochs)

    @property
    def n_views(self) -> int:
        """Number of different views in these epochs."""
        return min(self.frozen_views or self.n_frozen, self.n_frozen)

    def view(self, epoch: int) -> int | None:
        """Return the number of the view of each face that an epoch trains; None if each step has new ones."""
        return epoch % self.n_views if epoch < self.n_frozen else None


def rate_at(schedule: Schedule, step: int, n_steps: int) -> float:
    """Return the learning rate of the heads at a step: it rises along a line and falls along a cosine."""
    rising = max(round(schedule.warm_up * n_steps), 1)
    if step < rising:
        return schedule.learning_rate * (step + 1) / rising
    angle = np.pi * ((step - rising) / max(n_steps - rising, 1))
    return schedule.learning_rate * 0.5 * (1 + float(np.cos(angle)))


def parts_of(body: "torch.nn.Module") -> "list[list[torch.nn.Parameter]]":
    """Return the weights of a network in PARTS parts with about as many tensors, those near the pixels first.

    If a network joins several networks, in its attribute `bodies`, a part contains that part of each.
    """
    parts: list[list[torch.nn.Parameter]] = [[] for _ in range(PARTS)]
    for one in getattr(body, "bodies", [body]):
        own = list(one.parameters())
        for number, weight in enumerate(own):
            parts[number * PARTS // len(own)].append(weight)
    return parts


def make_optimizer(network: "torch.nn.Module", schedule: Schedule) -> "torch.optim.Optimizer":
    """Return AdamW with a group for each part and kind of weight."""
    import torch

    factors = [schedule.decay ** (PARTS - number) for number in range(PARTS)]
    sets = [*zip(parts_of(network.body), factors, strict=True), (list(network.heads.parameters()), 1.0)]  # type: ignore[arg-type,union-attr]
    groups = [
        {
            "params": [weight for weight in weights if (weight.squeeze().dim() > 1) == is_matrix],
            "factor": factor,
            # Offsets and the scales of normalizations are not pulled to zero.
            "weight_decay": schedule.weight_decay if is_matrix else 0.0,
        }
        for weights, factor in sets
        for is_matrix in (True, False)
    ]
    # One step over all weights of a group takes a quarter of the time on a CPU, too.
    return torch.optim.AdamW(
        [group for group in groups if group["params"]], lr=schedule.learning_rate, fused=True
    )


def set_stage(network: "torch.nn.Module", stage: str) -> None:
    """Let only some of the network be trained: the heads, also the last half of the body, or everything."""
    network.train()
    body: Any = network.body
    for number, weights in enumerate(parts_of(body)):
        for weight in weights:
            weight.requires_grad_(stage == "all" or (stage == "last" and number >= PARTS // 2))
    if stage != "all":
        body.eval()  # so that its statistics stay those of its own training


def together(target: Target) -> Sequence[str]:
    """Return the names of the targets that a network learns together with a target."""
    return [name for name in TOGETHER if name != target.name] if target.name in TOGETHER else []
