"""Give a network the tensors of a file of torch or safetensors, without running code of the file."""

import io
import pickle  # nosec B403  # for the error that torch raises
import struct
import warnings
from collections.abc import MutableMapping, Sequence
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

from featurekit.errors import WeightsError

if TYPE_CHECKING:
    import torch

_LONGEST_REASON = 200  # characters; a file of another network lacks hundreds of tensors
# Programs that train networks store their tensors under one of these names.
_INSIDE = ("state_dict_ema", "model_ema", "state_dict", "model")
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
        weights: bytes of a safetensors file, or of a state dictionary as torch.save() writes it.
        ignored: names of tensors, or of parts of the network such as its classifier, that the file may have
            and that the network does not use. All other tensors of the file must be those of the network.

    Raises:
        WeightsError: the file is not a state dictionary, or its tensors are not those of this network.
    """
    import torch

    state = _read(name, weights)
    for key in [key for key in state if any(f"{key}.".startswith(f"{part}.") for part in ignored)]:
        del state[key]
    # The number of batches seen is used in training alone, and some files lack it.
    for key, tensor in network.state_dict().items():
        if key.endswith("num_batches_tracked"):
            state.setdefault(key, torch.zeros_like(tensor, device="cpu"))
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
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        with warnings.catch_warnings():  # torch warns of a file that is no pickle, and then refuses it
            warnings.simplefilter("ignore", UserWarning)
            if weights[8:9] == b"{":  # a safetensors file: the length of its header, and the header, JSON
                state: Any = load(weights)
            else:
                state = torch.load(io.BytesIO(weights), map_location="cpu", weights_only=True)
    except (SafetensorError, *_UNREADABLE) as error:
        raise WeightsError(
            f"The weight file of {name} cannot be read: it is damaged, or neither a safetensors file nor a"
            " dictionary of tensors as torch.save() writes it. Other pickled objects are never loaded."
        ) from error
    for inside in _INSIDE:
        if isinstance(state, dict) and isinstance(state.get(inside), dict):
            state = state[inside]
    if not isinstance(state, dict) or not all(
        isinstance(key, str) and isinstance(value, torch.Tensor) for key, value in state.items()
    ):
        raise WeightsError(f"The weight file of {name} cannot be read: it is not a dictionary of tensors.")
    # A network that was trained on several GPUs is called "module".
    return {
        key.removeprefix("module."): value.float() if value.is_floating_point() else value
        for key, value in state.items()
    }
