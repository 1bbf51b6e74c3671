"""What of a network learns when, and how fast."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    import torch

# Parts that a pretrained network's weights are counted in, from the pixels to the features; each has a
# learning rate of its own.
PARTS = 4


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """How a network is trained.

    Attributes:
        epochs: passes over the faces at most.
        batch_size: faces that a step learns from.
        learning_rate: of the heads, at its highest; it rises over warm_up and falls along a cosine.
        decay: factor from each of the PARTS of the network to the one below it; 1 for one rate.
        weight_decay: AdamW's, of the weights that are matrices.
        warm_up: share of all steps in which the rate rises.
        head_epochs: epochs in which only the heads learn.
        last_epochs: epochs after those in which the last two of the PARTS learn too; then all does.
        smoothing: share of the truth that is spread over all classes.
        mixup: parameter of the beta distribution that two faces are mixed by; 0 for no mixing.
        balance: "none", "loss" (rare classes weigh more) or "sampler" (they come more often).
        patience: epochs without a better held-out loss after which it stops.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    decay: float
    weight_decay: float
    warm_up: float
    head_epochs: int
    last_epochs: int
    smoothing: float
    mixup: float
    balance: Literal["none", "loss", "sampler"]
    patience: int

    def stage(self, epoch: int) -> Literal["heads", "last", "all"]:
        """Return what learns in an epoch, counted from 0."""
        if epoch < self.head_epochs:
            return "heads"
        return "last" if epoch < self.head_epochs + self.last_epochs else "all"


def rate_at(schedule: Schedule, step: int, n_steps: int) -> float:
    """Return the learning rate of the heads at a step: up a straight line, down a cosine."""
    rising = max(round(schedule.warm_up * n_steps), 1)
    if step < rising:
        return schedule.learning_rate * (step + 1) / rising
    along = (step - rising) / max(n_steps - rising, 1)
    return schedule.learning_rate * 0.5 * (1 + float(np.cos(np.pi * along)))


def parts_of(body: "torch.nn.Module") -> "list[list[torch.nn.Parameter]]":
    """Return the weights of a network in PARTS parts of about as many tensors, those near the pixels first.

    A network that joins several, in its attribute `bodies`, has the parts of each side by side.
    """
    parts: list[list[torch.nn.Parameter]] = [[] for _ in range(PARTS)]
    for one in getattr(body, "bodies", [body]):
        own = list(one.parameters())
        for number, weight in enumerate(own):
            parts[number * PARTS // len(own)].append(weight)
    return parts


def make_optimizer(
    network: "torch.nn.Module", schedule: Schedule, device: str = "cpu"
) -> "torch.optim.Optimizer":
    """Return AdamW with a group for each part and kind of weight."""
    import torch

    groups: list[dict[str, Any]] = []
    factors = [schedule.decay ** (PARTS - number) for number in range(PARTS)]
    sets = [*zip(parts_of(network.body), factors, strict=True), (list(network.heads.parameters()), 1.0)]  # type: ignore[arg-type,union-attr]
    for weights, factor in sets:
        for is_matrix in (True, False):
            # Offsets and the scales of normalizations are not pulled to zero.
            own = [weight for weight in weights if (weight.squeeze().dim() > 1) == is_matrix]
            if own:
                decay = schedule.weight_decay if is_matrix else 0.0
                groups.append({"params": own, "factor": factor, "weight_decay": decay})
    return torch.optim.AdamW(groups, lr=schedule.learning_rate, fused=device == "cuda")


def set_stage(network: "torch.nn.Module", stage: str) -> None:
    """Let only some of the network learn: the heads, also the last half of the body, or all."""
    network.train()
    body: Any = network.body
    parts = parts_of(body)
    for number, weights in enumerate(parts):
        for weight in weights:
            weight.requires_grad_(stage == "all" or (stage == "last" and number >= PARTS // 2))
    if stage != "all":
        body.eval()  # its statistics stay those of what it was trained on
