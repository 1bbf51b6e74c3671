"""The heads of a network: predictions from its features, their losses, and body and heads as one network."""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any, Literal

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from featurekit.data.targets import Target

OLDEST = 100  # the last of the one-year classes; the predicted age is the expectation over them
DEVIATION = 2.0  # standard deviation, in years, of the normal distribution around the true age
YEARS_WEIGHT = 0.1  # weight of an error of one year, added to the loss of the one-year classes

_drawing = Lock()  # torch draws first weights from a generator that all threads share

Kind = Literal["classes", "ordered", "years"]


@dataclass(frozen=True)
class Head:
    """The prediction of one target from the features of a network.

    Attributes:
        target: the target.
        kind: "classes" (softmax), "ordered" (CORAL: one direction, and a threshold between each two
            neighbouring classes; Cao, Mirjalili & Raschka 2020), or "years" (the expectation over one-year
            classes, trained on a normal distribution around the true year; Gao et al. 2018, DLDL-v2).
    """

    target: Target
    kind: Kind

    @property
    def n_outputs(self) -> int:
        """Number of outputs of the network for the target."""
        n_classes = len(self.target.classes)
        return {"classes": n_classes, "ordered": n_classes - 1, "years": OLDEST + 1}[self.kind]

    def is_known(self, labels: torch.Tensor) -> torch.Tensor:
        """Return whether each face has a label, shape (n,); -1 and NaN mean that it has none."""
        return labels.isfinite() if self.kind == "years" else labels >= 0

    def probabilities(self, outputs: torch.Tensor) -> torch.Tensor:
        """Return the probability of each class, or of each year, shape (n, n_classes)."""
        if self.kind != "ordered":
            return outputs.float().softmax(dim=1)
        above = outputs.float().sigmoid()
        whole = torch.ones_like(above[:, :1])
        # If thresholds are not in their order, a difference is negative.
        shares = (torch.cat([whole, above], 1) - torch.cat([above, 0 * whole], 1)).clamp(min=0)
        return shares / shares.sum(dim=1, keepdim=True)

    def answer(self, outputs: torch.Tensor) -> torch.Tensor:
        """Return the probabilities of the classes, shape (n, n_classes), or the years, shape (n,)."""
        shares = self.probabilities(outputs)
        return _expectation(shares) if self.kind == "years" else shares

    def loss(
        self,
        outputs: torch.Tensor,
        labels: torch.Tensor,
        *,
        smoothing: float = 0.0,
        weights: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Return the mean loss over the faces that have a label; 0 where none has.

        Args:
            outputs: shape (n, n_outputs).
            labels: class number of each face, -1 if it has none, or years, NaN if it has none, shape (n,);
                on the CPU, which knows which faces have a label without waiting for a GPU.
            smoothing: share of the true label that is distributed over all classes.
            weights: weight of each class.
        """
        outputs = outputs.float()
        known = self.is_known(labels)
        if not bool(known.any()):
            return outputs.sum() * 0
        outputs = outputs[known.nonzero().flatten().to(outputs.device, non_blocking=True)]
        labels = labels[known].to(outputs.device, non_blocking=True)
        if self.kind == "classes":
            return functional.cross_entropy(outputs, labels, weight=weights, label_smoothing=smoothing)
        if self.kind == "ordered":
            is_above = labels[:, None] > torch.arange(self.n_outputs, device=outputs.device)
            wanted = is_above.float() * (1 - smoothing) + smoothing / 2
            each = functional.binary_cross_entropy_with_logits(outputs, wanted, reduction="none").sum(1)
            if weights is not None:
                return (each * weights[labels]).sum() / weights[labels].sum()
            return each.mean()
        years = torch.arange(self.n_outputs, device=outputs.device, dtype=outputs.dtype)
        near = (-((years - labels[:, None].clamp(max=OLDEST)) ** 2) / (2 * DEVIATION**2)).softmax(dim=1)
        errors = (_expectation(outputs.softmax(dim=1)) - labels).abs()
        return functional.cross_entropy(outputs, near) + YEARS_WEIGHT * errors.mean()


def _expectation(shares: torch.Tensor) -> torch.Tensor:
    years = torch.arange(shares.shape[1], device=shares.device, dtype=shares.dtype)
    return (shares * years).sum(dim=1)


class _Ordered(nn.Module):
    """One direction, and a threshold for each class except the first."""

    def __init__(self, n_inputs: int, n_outputs: int) -> None:
        super().__init__()
        self.direction = nn.Linear(n_inputs, 1, bias=False)
        # Evenly spaced, so that the classes start in their order.
        self.thresholds = nn.Parameter(torch.linspace(2.0, -2.0, n_outputs))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return torch.add(self.direction(features), self.thresholds)


def heads_module(dim: int, heads: Sequence[Head], *, dropout: float, gender_to_age: bool) -> torch.nn.Module:
    """Return a module: features (n, dim) → name of the target → outputs (n, n_outputs).

    Args:
        dim: length of the features.
        heads: the heads.
        dropout: share of the features that is left out at random during training.
        gender_to_age: whether the predicted probabilities of the genders are further features of the heads
            of age and age group.
    """
    first = [head for head in heads if head.target.name.startswith("gender")]
    n_more = sum(len(head.target.classes) for head in first) if gender_to_age else 0

    class Heads(nn.Module):
        """All heads on one vector of features."""

        def __init__(self) -> None:
            super().__init__()
            self.dropout = nn.Dropout(dropout)
            self.of = nn.ModuleDict()
            for head in heads:
                n_inputs = dim + (0 if head in first else n_more)
                make = _Ordered if head.kind == "ordered" else nn.Linear
                self.of[_part_name(head.target.name)] = make(n_inputs, head.n_outputs)

        def forward(self, features: torch.Tensor) -> Mapping[str, torch.Tensor]:
            features = self.dropout(features)
            found, joined = {}, features
            for head in sorted(heads, key=lambda head: head not in first):
                name = head.target.name
                found[name] = self.of[_part_name(name)](features if head in first else joined)
                if gender_to_age and head in first:
                    genders = head.probabilities(found[name]).to(features.dtype)
                    joined = torch.cat([joined, genders], dim=1)
            return found

    return Heads()


def _part_name(column: str) -> str:
    """Return a valid name for a part of a module, for any name of the target."""
    is_free = column.isidentifier() and not hasattr(nn.ModuleDict(), column)
    return column if is_free else f"column_{column.encode().hex()}"


def head_for(target: Target, *, ages: Literal["classes", "ordered"] = "classes") -> Head:
    """Return the head for a target; ages is the kind of head for a target with ordered classes."""
    of_classes = ages if target.ordered and len(target.classes) > 2 else "classes"
    return Head(target, "years" if target.is_regression else of_classes)


def class_weights(labels: "np.ndarray[tuple[int], np.dtype[np.intp]]", n_classes: int) -> torch.Tensor:
    """Return weights that balance the classes, with a mean of 1 over the faces; 0 for an empty class."""
    counts = np.bincount(labels[labels >= 0], minlength=n_classes)
    weights = np.zeros(n_classes)
    weights[counts > 0] = counts.sum() / (np.count_nonzero(counts) * counts[counts > 0])
    return torch.tensor(weights, dtype=torch.float32)


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
    with _drawing, torch.random.fork_rng():
        torch.manual_seed(seed)
        body: Any = make_body()
        read = heads_module(body.dim, heads, dropout=dropout, gender_to_age=gender_to_age)
    return with_own_dropout(nn.Sequential(OrderedDict(body=body, heads=read)))


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
