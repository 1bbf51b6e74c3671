"""A network as two halves: the lower half, whose weights are frozen, and the rest.

The calls of torch's functions are recorded while the network reads one image, as torch.fx does with stand-ins
for tensors. torch.fx cannot be used here: while it follows a network, it follows those of all threads, and
it does not follow a network that looks at the shape of a tensor.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

# Number of matrices of the frozen half of a network that the rest applies again, so that less is kept.
AT_MOST_AGAIN = 2


def split(body: nn.Module, side: int) -> tuple[nn.Module, nn.Module] | None:
    """Return the frozen half of a network and the rest, which use its weights; None if nothing is frozen.

    The frozen half contains everything that depends on the pixels and on no weight that is trained: pixels
    (n, 3, side, side) → a tuple of tensors, which are the arguments of the rest.

    Args:
        body: pixels → features. It is in evaluation mode. Weights that are trained require a gradient.
        side: side of the network's input, in pixels.
    """
    pixels = torch.zeros(1, 3, side, side)
    with torch.no_grad(), _Recorder(pixels) as recorded:
        features = body(pixels)
    calls, last = recorded.calls, recorded.number_of(features)
    if last is None:
        return None
    frozen, trained = {0}, set[int]()
    for call in calls:
        if call.uses_trained or trained.intersection(call.needs):
            trained.update(call.results)
        elif frozen.intersection(call.needs):
            frozen.update(call.results)
    used = {number for call in calls if trained.intersection(call.results) for number in call.needs}
    first = {last} if last in frozen else used & frozen
    at_most = AT_MOST_AGAIN * len(getattr(body, "bodies", [body]))
    crossing = sorted(_smaller(first, recorded, frozen, at_most))
    if not crossing or 0 in crossing:
        return None
    lower = _Lower(_needed(calls, crossing, {0}), [0], crossing)
    return lower, _Upper(_needed(calls, [last], set(crossing)), crossing, [last])


def _smaller(crossing: set[int], recorded: "_Recorder", frozen: set[int], at_most: int) -> set[int]:
    """Return tensors with fewer numbers than those between the halves, from which the rest can be computed.

    The rest then repeats a few calls of the frozen half, with a limited number of matrices. Otherwise a half
    that ends inside a block would return the wide maps there and the shortcut around the block.
    """
    maker = {number: call for call in recorded.calls for number in call.results}
    best, n_matrices = crossing, 0
    while True:
        further = {}
        for call in {id(maker[number]): maker[number] for number in crossing if number in maker}.values():
            after = (crossing - set(call.results)) | frozen.intersection(call.needs)
            if 0 not in after and recorded.size(after) <= recorded.size(crossing):
                further[recorded.size(after), -call.results[0]] = call, after
        if not further:
            return best
        call, crossing = further[min(further)]
        n_matrices += call.uses_matrix
        if n_matrices > at_most:
            return best
        if recorded.size(crossing) < recorded.size(best):
            best = crossing


class _Number(NamedTuple):
    """Stands for a tensor in the arguments of a recorded call."""

    number: int


@dataclass(frozen=True)
class _Call:
    """A call of a function.

    Attributes:
        function: the function.
        args: its arguments; a tensor that another call returned is a _Number.
        kwargs: its named arguments, in the same way.
        needs: numbers of the tensors among its arguments.
        results: numbers of the tensors that it returned, in their order.
        uses_trained: whether an argument is a weight that is trained.
        uses_matrix: whether an argument is a weight that is a matrix, or the weight of a convolution.
    """

    function: Callable[..., Any]
    args: Any
    kwargs: Any
    needs: tuple[int, ...]
    results: tuple[int, ...]
    uses_trained: bool
    uses_matrix: bool


class _Recorder(TorchFunctionMode):
    """Records the calls of torch's functions in this thread."""

    def __init__(self, pixels: torch.Tensor) -> None:
        super().__init__()
        self.calls: list[_Call] = []
        # All tensors are kept, so that no identity is used again.
        self._tensors = [pixels]
        self._numbers = {id(pixels): 0}

    def number_of(self, tensor: Any) -> int | None:
        """Return the number of a tensor; None for a tensor that no call returned, such as a weight."""
        return self._numbers.get(id(tensor))

    def size(self, numbers: set[int]) -> int:
        """Return how many numbers some tensors have together."""
        return sum(self._tensors[number].numel() for number in numbers)

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Call a function, and record the call if it returns a tensor."""
        kwargs = kwargs or {}
        given = list(_tensors((args, kwargs)))
        before = _mapped((args, kwargs), torch.Tensor, self._stand_in)
        result = func(*args, **kwargs)
        if returned := list(_tensors(result)):
            needs = tuple(number for one in given if (number := self.number_of(one)) is not None)
            numbers = range(len(self._tensors), len(self._tensors) + len(returned))
            self._tensors += returned
            self._numbers |= {id(one): number for one, number in zip(returned, numbers, strict=True)}
            weights = [one for one in given if isinstance(one, nn.Parameter)]
            call = _Call(
                function=func,
                args=before[0],
                kwargs=before[1],
                needs=needs,
                results=tuple(numbers),
                uses_trained=any(weight.requires_grad for weight in weights),
                uses_matrix=any(weight.squeeze().dim() > 1 for weight in weights),
            )
            self.calls.append(call)
        return result

    def _stand_in(self, tensor: torch.Tensor) -> Any:
        number = self.number_of(tensor)
        return tensor if number is None else _Number(number)


class _Calls(nn.Module):
    """Recorded calls, which are made again with other tensors."""

    def __init__(self, calls: Sequence[_Call], inputs: Sequence[int], outputs: Sequence[int]) -> None:
        super().__init__()
        self.calls, self.inputs, self.outputs = calls, inputs, outputs

    def results(self, *given: torch.Tensor) -> tuple[torch.Tensor, ...]:
        found = dict(zip(self.inputs, given, strict=True))
        for call in self.calls:
            args, kwargs = _mapped((call.args, call.kwargs), _Number, lambda one: found[one.number])
            result = call.function(*args, **kwargs)
            found.update(zip(call.results, _tensors(result), strict=True))
        return tuple(found[number] for number in self.outputs)


class _Lower(_Calls):
    """The frozen half of a network."""

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return self.results(pixels)


class _Upper(_Calls):
    """The rest of a network."""

    def forward(self, *kept: torch.Tensor) -> torch.Tensor:
        return self.results(*kept)[0]


def _needed(calls: Sequence[_Call], outputs: Sequence[int], given: set[int]) -> list[_Call]:
    """Return the calls on which some tensors depend, in their order."""
    wanted, kept = set(outputs) - given, []
    for call in reversed(calls):
        if wanted.intersection(call.results):
            wanted |= set(call.needs) - given
            kept.append(call)
    return kept[::-1]


def _tensors(value: Any) -> Iterator[torch.Tensor]:
    """Yield the tensors in a value, in their order."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _tensors(one)
    elif isinstance(value, dict):
        yield from _tensors(list(value.values()))


def _mapped(value: Any, kind: type, change: Callable[[Any], Any]) -> Any:
    """Return a value with everything of a kind in it replaced by what a function makes of it."""
    if isinstance(value, kind):
        return change(value)
    if type(value) in (list, tuple):
        return type(value)(_mapped(one, kind, change) for one in value)
    if type(value) is dict:
        return {name: _mapped(one, kind, change) for name, one in value.items()}
    return value
