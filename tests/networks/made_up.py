"""A made-up weight file and its entry in the table."""

import hashlib

from featurekit.networks.weights import Licences, WeightsEntry

TINY = b"a tiny network" * 1000

LICENCES = Licences("MIT", "CC0-1.0", "made up")


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def make_entry(name, data, **facts):
    facts = {"file_name": f"{name}.onnx", "sha256": sha256(data), "size": len(data), **facts}
    return WeightsEntry(name=name, about="made up", licences=LICENCES, **facts)


def facenet_state(n_people=3):
    """Return untrained tensors of a fixed seed, named as facenet-pytorch's, and a small classifier."""
    import numpy as np
    import torch

    from featurekit.networks.backbones._facenet_module import InceptionResnet

    with torch.device("meta"):
        state = InceptionResnet(["embedding"]).state_dict()
    rng = np.random.default_rng(0)
    for name, tensor in sorted(state.items()):
        part, shape = name.rpartition(".")[2], tuple(tensor.shape)
        if part == "num_batches_tracked":
            state[name] = torch.tensor(0)
            continue
        if part == "running_var" or (part == "weight" and len(shape) == 1):
            numbers = rng.uniform(0.5, 1.5, shape)
        else:
            spread = (2 / np.prod(shape[1:])) ** 0.5 if len(shape) > 1 else 0.1
            numbers = rng.standard_normal(shape, np.float32) * np.float32(spread)
        state[name] = torch.tensor(numbers, dtype=torch.float32)
    state["logits.weight"], state["logits.bias"] = torch.ones(n_people, 512), torch.ones(n_people)
    return state


def empty(state):
    """Return tensors of zeros with the names and shapes of others, which need no space in a file."""
    import torch

    return {name: torch.zeros((), dtype=one.dtype).expand(one.shape) for name, one in state.items()}


def saved(state, **options):
    """Return the bytes of the file that torch.save() writes."""
    import io

    import torch

    file = io.BytesIO()
    torch.save(state, file, **options)
    return file.getvalue()
