"""Body and heads as one network, whose chance is its own."""

from collections.abc import Callable, Mapping, Sequence
from threading import Lock
from typing import TYPE_CHECKING, Any

from featurekit.estimators._networks.heads import Head, heads_module

if TYPE_CHECKING:
    import torch

_drawing = Lock()


def assembled(
    make_body: "Callable[[], torch.nn.Module]",
    heads: Sequence[Head],
    *,
    seed: int,
    dropout: float,
    gender_to_age: bool,
) -> "torch.nn.Module":
    """Return a network before it has learned anything, the same for the same seed.

    Args:
        make_body: → the network up to its features.
        heads: what is read from them.
        seed: what its first weights are drawn from.
        dropout: see heads_module().
        gender_to_age: see heads_module().
    """
    import torch

    # torch draws the first weights from a generator that threads share.
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

    return with_own_chance(Network())


def with_own_chance(network: "torch.nn.Module") -> "torch.nn.Module":
    """Return the network with dropout whose chance is its own, in the place of torch's.

    torch's draws from a generator that trainings side by side, in threads, would share. The method reseed()
    of one that stands here begins it anew.
    """
    import torch

    class Dropout(torch.nn.Module):
        """Leaves out a share of the numbers at random while it learns, and scales up the rest."""

        def __init__(self, share: float) -> None:
            super().__init__()
            self.share, self.seed, self.n_calls = share, 0, 0

        def reseed(self, seed: int) -> None:
            self.seed, self.n_calls = seed, 0

        def forward(self, numbers: torch.Tensor) -> torch.Tensor:
            if not self.training or not self.share:
                return numbers
            chance = torch.Generator(numbers.device).manual_seed(self.seed + self.n_calls)
            self.n_calls += 1
            drawn = torch.rand(numbers.shape, generator=chance, device=numbers.device)
            return numbers * (drawn >= self.share) / (1 - self.share)

    for parent in network.modules():
        for name, child in parent.named_children():
            if type(child) is torch.nn.Dropout:
                setattr(parent, name, Dropout(child.p))
    return network
