"""The progress of a training, written to a file so that an interrupted training can continue."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors import torch as safetensors

from featurekit.files import whole_file


@dataclass
class Progress:
    """The progress of a training: what a checkpoint contains beside tensors.

    Attributes:
        epoch: number of finished epochs.
        best_epoch: number of the epoch whose weights are kept, counted from 1; 0 before the first.
        best_loss: held-out loss of that epoch.
        seconds: duration of the training, without interruptions.
        history: for each epoch "loss", "held_out_loss", for each target "<target>" and
            "held_out_<target>" (accuracy, or mean absolute error in years), "rate" (faces per second),
            "learning_rate", "stage".
        finished: whether the training is finished.
        frozen_engine: name and version of the engine that computed the frozen half of the network; "" if it
            was the one that trains the rest.
        frozen_failed: why no other engine could compute it; "" if one could, or none was asked.
    """

    epoch: int = 0
    best_epoch: int = 0
    best_loss: float = float("inf")
    seconds: float = 0.0
    history: list[dict[str, Any]] = field(default_factory=list)
    finished: bool = False
    frozen_engine: str = ""
    frozen_failed: str = ""


class ForeignError(Exception):
    """A file is not a checkpoint of this training; the message says why."""


def save(
    path: Path,
    at: Progress,
    network: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    best: Mapping[str, torch.Tensor],
) -> None:
    """Write a checkpoint; of a finished training only the best weights."""
    tensors = {f"best.{name}": tensor for name, tensor in best.items()}
    if not at.finished:
        tensors |= {f"network.{name}": tensor for name, tensor in network.state_dict().items()}
        for number, state in optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{number}.{name}": tensor for name, tensor in state.items()}
    # Contiguous copies, because safetensors refuses tensors that share memory or have another order in it.
    plain = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}
    content = json.dumps(vars(at) | {"best_loss": at.best_loss if at.best_epoch else None})
    with whole_file(path) as file:
        file.write(safetensors.save(plain, {"progress": content}))


def resume(
    path: Path, network: torch.nn.Module, optimizer: torch.optim.Optimizer
) -> tuple[Progress, dict[str, torch.Tensor]]:
    """Set network and optimizer to the state of a checkpoint; return the progress and the best weights.

    Raises:
        ForeignError: the file is incomplete, or belongs to something else; network and optimizer may have
            changed.
    """
    groups: dict[str, dict[str, torch.Tensor]] = {"best": {}, "network": {}, "optimizer": {}}
    try:
        with safe_open(path, "pt") as file:
            content = json.loads((file.metadata() or {})["progress"])
            for name in file.keys():  # noqa: SIM118  # it is not a dictionary
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
                # The same order in memory as the weights, which a step over all weights at once needs.
                tensor = torch.empty_like(weights[int(number)]).copy_(tensor)
            state.setdefault(int(number), {})[own] = tensor
        optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
    except SafetensorError as error:
        raise ForeignError("is incomplete, or is not a checkpoint") from error
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ForeignError("belongs to another training") from error
    return at, groups["best"]
