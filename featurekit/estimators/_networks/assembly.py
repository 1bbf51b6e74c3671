"""Body and heads as one network, with random number generators of its own."""

from collections.abc import Callable, Mapping, Sequence
from threading import Lock
from typing import Any

import torch

from featurekit.estimators._networks.heads import Head, heads_module

_drawing = Lock()


def assembled(
    make_body: Callable[[], torch.nn.Module],
    heads: Sequence[Head],
    *,
    seed: int,
    dropout: float,
    gender_to_age: bool,
) -> torch.nn.Module:
    """Return an untrained network, the same for the same seed.

    Args:
        make_body: returns the network up to its features.
        heads: heads on the features.
        seed: seed of the first weights.
        dropout: see heads_module().
        gender_to_age: see heads_module().
    """
    # torch draws the first weights from a generator that all threads share.
    with _drawing, torch.random.fork_rng():
        torch.manual_seed(seed)
        body: Any = make_body()
        read = heads_module(body.dim, heads, dropout=dropout, gender_to_age=gender_to_age)

    class Network(torch.nn.Module):
        """Pixels → name of the target → outputs."""

        def __init__(self) -> None:
            super().__init__()
            self.body, self.heads = body, read

        def forward(self, pixels: torch.Tensor) -> Mapping[str, torch.Tensor]:
            found: Mapping[str, torch.Tensor] = self.heads(self.body(pixels))
            return found

    return with_own_dropout(Network())


class _Dropout(torch.nn.Module):
    """Leaves out a share of the numbers at random during training, and scales up the others."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share, self.seed, self.n_calls = share, 0, 0

    def reseed(self, seed: int) -> None:
        self.seed, self.n_calls = seed, 0

    def forward(self, numbers: torch.Tensor) -> torch.Tensor:
        if not self.training or not self.share:
            return numbers
        generator = torch.Generator(numbers.device).manual_seed(self.seed + self.n_calls)
        self.n_calls += 1
        drawn = torch.rand(numbers.shape, generator=generator, device=numbers.device)
        return numbers * (drawn >= self.share) / (1 - self.share)


def with_own_dropout(network: torch.nn.Module) -> torch.nn.Module:
    """Return the network with dropout layers that have random number generators of their own.

    torch's dropout draws from a generator that simultaneous trainings, in threads, would share. The method
    reseed() of a new layer sets its seed.
    """
    for parent in network.modules():
        for name, child in parent.named_children():
            if type(child) is torch.nn.Dropout:
                setattr(parent, name, _Dropout(child.p))
    return network
