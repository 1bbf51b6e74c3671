"""How far a training has come, written so that a killed one goes on from there."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featurekit.files import whole_file

if TYPE_CHECKING:
    import torch


@dataclass
class Progress:
    """How far a training has come; what a checkpoint holds beside tensors.

    Attributes:
        epoch: epochs that are done.
        best_epoch: the one whose weights are kept, counted from 1; 0 before the first.
        best_loss: its held-out loss.
        seconds: that the training took, over all its sittings.
        history: of each epoch: "loss", "held_out_loss", of each target "<target>" and
            "held_out_<target>" (share of right classes, or mean absolute error in years), "rate" (faces
            a second), "learning_rate", "stage".
        finished: whether there is nothing left to do.
    """

    epoch: int = 0
    best_epoch: int = 0
    best_loss: float = float("inf")
    seconds: float = 0.0
    history: list[dict[str, Any]] = field(default_factory=list)
    finished: bool = False


class ForeignError(Exception):
    """A file is no checkpoint of this training; the message says why."""


def save(
    path: Path,
    at: Progress,
    network: "torch.nn.Module",
    optimizer: "torch.optim.Optimizer",
    best: Mapping[str, "torch.Tensor"],
) -> None:
    """Write a checkpoint whole; of a training that is finished only what is kept."""
    from safetensors import torch as safetensors

    tensors = {f"best.{name}": tensor for name, tensor in best.items()}
    if not at.finished:
        tensors |= {f"network.{name}": tensor for name, tensor in network.state_dict().items()}
        for number, state in optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{number}.{name}": tensor for name, tensor in state.items()}
    # Copies, plain in memory: safetensors refuses tensors that share it, or are ordered otherwise.
    plain = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}
    content = json.dumps(vars(at) | {"best_loss": at.best_loss if at.best_epoch else None})
    with whole_file(path) as file:
        file.write(safetensors.save(plain, {"progress": content}))


def resume(
    path: Path, network: "torch.nn.Module", optimizer: "torch.optim.Optimizer"
) -> "tuple[Progress, dict[str, torch.Tensor]]":
    """Bring network and optimizer to where the checkpoint was written; return how far that is.

    Raises:
        ForeignError: the file is cut off, or was written by something else; network and optimizer may have
            changed.
    """
    import torch
    from safetensors import SafetensorError, safe_open

    groups: dict[str, dict[str, torch.Tensor]] = {"best": {}, "network": {}, "optimizer": {}}
    try:
        with safe_open(path, "pt") as file:
            content = json.loads((file.metadata() or {})["progress"])
            for name in file.keys():  # noqa: SIM118  # it is no dictionary
                group, _, own = name.partition(".")
                groups[group][own] = file.get_tensor(name)
        if content["best_loss"] is None:
            content["best_loss"] = float("inf")
        at = Progress(**content)
        network.load_state_dict(groups["best"])
        if at.finished:
            return at, groups["best"]
        network.load_state_dict(groups["network"])
        state: dict[int, dict[str, torch.Tensor]] = {}
        weights = [weight for group in optimizer.param_groups for weight in group["params"]]
        for name, tensor in groups["optimizer"].items():
            number, _, own = name.partition(".")
            if tensor.dim():
                # In the order in memory that its weights have: one step over all needs that.
                tensor = torch.empty_like(weights[int(number)]).copy_(tensor)
            state.setdefault(int(number), {})[own] = tensor
        optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
    except SafetensorError as error:
        raise ForeignError("is incomplete, or is not a checkpoint") from error
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ForeignError("belongs to another training") from error
    return at, groups["best"]
