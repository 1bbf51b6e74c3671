"""Give a network the tensors of a file that torch.save() has written, without running code of the file."""

import io
import pickle  # nosec B403  # for the error that torch raises
import struct
import warnings
from collections.abc import MutableMapping, Sequence
from typing import TYPE_CHECKING
from zipfile import BadZipFile

from featurekit.errors import WeightsError
from featurekit.text import first_line

if TYPE_CHECKING:
    import torch

_LONGEST_REASON = 200  # characters; a file of another network lacks hundreds of tensors
# What torch raises for files that are damaged, were cut, or contain something else.
_UNREADABLE = (
    *(pickle.UnpicklingError, BadZipFile, EOFError, struct.error, AssertionError, RuntimeError),
    *(ArithmeticError, AttributeError, LookupError, TypeError, ValueError),
)


def load_state(network: "torch.nn.Module", name: str, weights: bytes, ignored: Sequence[str] = ()) -> None:
    """Copy the tensors of a state dictionary into a network.

    Args:
        network: the network. If it is on torch's meta device, where tensors have no values, it gets the
            tensors of the file themselves, so that none of its tensors was ever random.
        name: name of the network, for messages.
        weights: bytes of a state dictionary, as torch.save() writes it.
        ignored: names of tensors that the file may have and that the network does not use. All other tensors
            of the file must be those of the network.

    Raises:
        WeightsError: the file is not a state dictionary, or its tensors are not those of this network.
    """
    state = _read(name, weights)
    for tensor in ignored:
        state.pop(tensor, None)
    try:
        network.load_state_dict(state, assign=next(network.parameters()).is_meta)
    except RuntimeError as error:
        reason = str(error).splitlines()[1].strip() if "\n" in str(error) else str(error)
        if len(reason) > _LONGEST_REASON:
            reason = f"{reason[:_LONGEST_REASON]}…"
        raise WeightsError(f"The weight file does not fit {name}: {reason}") from error


def _read(name: str, weights: bytes) -> "MutableMapping[str, torch.Tensor]":
    """Return the state dictionary in a file, with all numbers in single precision."""
    import torch

    try:
        with warnings.catch_warnings():  # torch warns of a file that is no pickle, and then refuses it
            warnings.simplefilter("ignore", UserWarning)
            state = torch.load(io.BytesIO(weights), map_location="cpu", weights_only=True)
    except _UNREADABLE as error:
        raise WeightsError(f"The weight file of {name} cannot be read: {first_line(error)}") from error
    if not isinstance(state, dict) or not all(
        isinstance(key, str) and isinstance(value, torch.Tensor) for key, value in state.items()
    ):
        raise WeightsError(f"The weight file of {name} cannot be read: it is not a dictionary of tensors.")
    for key, value in state.items():
        if value.is_floating_point():
            state[key] = value.float()
    return state
