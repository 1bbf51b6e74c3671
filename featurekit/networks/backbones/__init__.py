"""Networks whose classifier layers are removed, and what else turns a face into a vector.

A backbone is one file here: facts in the decorator, the network in the function.
Its vectors are named ``backbone`` (its default layer) or ``backbone:layer``.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from featurekit.errors import EngineError, UnknownNameError
from featurekit.networks.engines import AS_IT_IS, Achieved, Network, Normalization, Session, open_session
from featurekit.registry import Registry, unknown

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, kw_only=True)
class Backbone:
    """One way to turn a face into vectors.

    Attributes:
        name: what users call it.
        about: one line for `featurekit list backbones`.
        layers: layer → length of its vector; the first is the default.
        heads: further layers that every extraction keeps because they cost nothing, e.g. the
            network's own probabilities.
        input_size: side of the square crop it wants, in pixels.
        template: where it wants the landmarks; a name of featurekit.faces.align.TEMPLATES.
        normalization: what it wants done to the pixels first.
        weights: its entry in the table of weights; None if it has nothing to learn.
        load: (weights file's bytes, layers) → network, whose input size and normalization are
            those above; or None, and
        compute: crops (n, s, s, 3) → vectors of the default layer.
        is_picture: whether its vector is the crop itself, as bytes, which classifiers of crops read.
        recognizes: layers that were trained to tell people apart, the best one first; with these the audit
            looks for the same subject on both sides of a split.
        version: version of the code that computes its vectors, for a backbone that is not featurekit's own;
            another version is another recipe. "" for the version of its package.
    """

    name: str
    about: str
    layers: Mapping[str, int]
    input_size: int
    template: str
    normalization: Normalization = AS_IT_IS
    weights: str | None = None
    heads: tuple[str, ...] = ()
    load: Callable[[bytes, Sequence[str]], Network] | None = None
    compute: Callable[[NDArray[np.uint8]], NDArray[Any]] | None = None
    is_picture: bool = False
    recognizes: tuple[str, ...] = ()
    version: str = ""

    @property
    def default_layer(self) -> str:
        """The layer that the backbone's own name stands for."""
        return next(iter(self.layers))

    @property
    def code(self) -> str:
        """The version of its code, as recipes hold it; "" for one of featurekit's own."""
        return BACKBONES.code_of(self.name, self.version)

    def open(
        self, weights: bytes, layers: Sequence[str], *, device: str, precision: str, threads: int = 0
    ) -> Session:
        """Make the backbone ready to run: crops in, one array of vectors a layer out.

        Raises:
            EngineError: the device or the precision is not available.
        """
        if self.load is None:
            assert self.compute is not None
            return _Computed(self.compute)
        network = replace(
            self.load(weights, layers),
            input_size=self.input_size,
            normalization=self.normalization,
            identity=" ".join(
                filter(None, (self.name, self.code, sha256(weights).hexdigest(), *layers)),
            ),
        )
        return open_session(network, device=device, precision=precision, threads=threads)

    def trainable(self, weights: bytes) -> "torch.nn.Module":
        """Return the network up to its default layer as a torch module that can be trained further.

        It takes pixels as `normalization` leaves them, (n, 3, s, s), and returns a tuple with one tensor,
        (n, length of the layer).

        Raises:
            EngineError: it has nothing to learn, or is made of what cannot be trained.
        """
        if self.load is None:
            raise EngineError(f"{self.name} has no weights to train, so it cannot be fine-tuned.")
        network = self.load(weights, [self.default_layer])
        if network.module is not None:
            return network.module()
        from featurekit.networks.engines._onnx_module import torch_module

        assert network.onnx is not None
        return torch_module(network.onnx, network.outputs)


@dataclass
class _Computed:
    """A backbone that is a plain function of the pixels."""

    compute: Callable[[NDArray[np.uint8]], NDArray[Any]]
    achieved = Achieved("numpy", "cpu", "fp32")
    batch = 1

    def __call__(self, pixels: NDArray[np.uint8]) -> list[NDArray[Any]]:
        return [self.compute(pixels)]


BACKBONES: Registry[Backbone] = Registry(
    "backbone", "featurekit.networks.backbones", Backbone, "featurekit.backbones"
)


def backbone(name: str, **facts: Any) -> Callable[[Callable[[bytes, Sequence[str]], Network]], Backbone]:
    """Register the decorated function, (weights file's bytes, layers) → network, as a backbone."""

    def register(load: Callable[[bytes, Sequence[str]], Network]) -> Backbone:
        return BACKBONES.add(Backbone(name=name, load=load, **facts))

    return register


def here(features: Iterable[str]) -> list[str]:
    """Return the features whose backbone is registered; its package may have been removed.

    >>> here(["mean_color:mean", "gone:layer"])
    ['mean_color:mean']
    """
    found = []
    for feature in features:
        with suppress(UnknownNameError):
            split_feature(feature)
            found.append(feature)
    return found


def split_feature(feature: str) -> tuple[Backbone, str]:
    """Return the backbone and the layer that a feature name stands for.

    >>> backbone, layer = split_feature("mean_color")
    >>> backbone.name, layer
    ('mean_color', 'mean')

    Raises:
        UnknownNameError: nobody registered the backbone, or it has no such layer.
    """
    name, _, layer = feature.partition(":")
    found = BACKBONES[name]
    layer = layer or found.default_layer
    if layer not in found.layers:
        raise UnknownNameError(unknown(f"layer of {name}", layer, list(found.layers)))
    return found, layer
