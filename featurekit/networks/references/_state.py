"""Read the tensors of a weight file, and load them into a torch module, so that none is left to chance."""

import io
import pickle  # nosec B403  # for the error that torch raises
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from featurekit.errors import WeightsError
from featurekit.text import first_line

if TYPE_CHECKING:
    import torch

# Programs that train networks store their tensors under one of these names.
_INSIDE = ("state_dict_ema", "model_ema", "state_dict", "model")


def state_of(data: bytes, name: str) -> "dict[str, torch.Tensor]":
    """Return the tensors of a safetensors file, or of a file of torch, which may hold nothing but tensors.

    Args:
        data: the bytes of the file.
        name: name of the network, for messages.

    Raises:
        WeightsError: the file is damaged, or holds other Python objects than tensors. They are not loaded.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        # A safetensors file starts with the length of its header, which is JSON.
        if data[8:9] == b"{":
            state: Any = load(data)
        else:
            state = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        raise WeightsError(f"The weight file of {name} cannot be read: {first_line(error)}") from error
    for inside in _INSIDE:
        if isinstance(state, dict) and isinstance(state.get(inside), dict):
            state = state[inside]
    if not isinstance(state, dict) or not all(isinstance(one, torch.Tensor) for one in state.values()):
        raise WeightsError(
            f"The weight file of {name} holds no table of tensors. Save it as a state dictionary, or better"
            " as a safetensors file."
        )
    return {key.removeprefix("module."): tensor for key, tensor in state.items()}


def load_state(
    module: "torch.nn.Module", state: "dict[str, torch.Tensor]", name: str, ignored: Sequence[str] = ()
) -> None:
    """Load tensors into a module, every one of whose tensors must be in the file.

    Args:
        module: the network.
        state: the tensors of the weight file.
        name: name of the network, for messages.
        ignored: names of the parts of the file that the module does not have, such as the classifier.

    Raises:
        WeightsError: a tensor is missing, is not one of the network's, or has another shape.
    """
    own = {
        key: tensor
        for key, tensor in state.items()
        if not any(key.startswith(f"{part}.") or key == part for part in ignored)
    }
    try:
        missing, strange = module.load_state_dict(own, strict=False)
    except RuntimeError as error:
        reason = str(error).splitlines()[1].strip() if "\n" in str(error) else str(error)
        raise WeightsError(f"The weight file does not fit {name}: {reason}") from error
    # The number of batches seen is used in training alone, and older files lack it.
    missing = [key for key in missing if not key.endswith("num_batches_tracked")]
    if missing or strange:
        what = f"it has no {missing[0]}" if missing else f"the network has no {strange[0]}"
        raise WeightsError(
            f"The weight file does not fit {name}: {what}"
            f" ({len(missing)} tensors are missing, {len(strange)} are too many)."
        )
