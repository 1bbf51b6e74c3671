"""Backbones turn a face into a vector; most of them are pretrained networks without their classifier.

Each file in this folder registers a backbone or several: facts about it, and a function that returns the
network. Its embeddings are called ``backbone`` (the default layer) or ``backbone:layer``.
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
from featurekit.networks.feature_names import backbone_and_layer, feature_name, is_reference
from featurekit.registry import Registry, unknown

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, kw_only=True)
class Backbone:
    """One way to compute embeddings of a face, usually with a pretrained network.

    Attributes:
        name: name of the backbone for users, e.g. "vgg16".
        about: description in one line for `featurekit list backbones`.
        layers: name of a layer → length of its vector; the first layer is the default.
        heads: names of further layers that are always stored because they cost nothing, e.g. the class
            probabilities of the network's own classifier.
        input_size: side of the square face crop that the network takes as input, in pixels.
        template: position of the landmarks in the crop; a name in featurekit.faces.align.TEMPLATES.
        normalization: normalization of the pixels before the first layer.
        weights: name of the weight file in weights.toml; None if the backbone has no weights.
        load: function of the weight file's bytes and the names of layers that returns the network; None if
            compute is given.
        compute: function of crops, shape (n, s, s, 3), that returns the vectors of the default layer; None if
            load is given.
        is_picture: whether the vector is the face crop itself, as bytes, for networks that are trained end to
            end.
        recognizes: layers that were trained to recognize people, the best one first. `featurekit audit` uses
            them to search for the same person in the training and the test part of a split.
        is_fixed_size: whether the network takes no other size of image than input_size. Networks with the
            template "imagenet" may otherwise be trained on smaller images.
        facts: function that returns what decides the vectors beside the attributes above, for the recipe;
            None if there is nothing more.
        version: version of the code that computes the vectors, if the backbone is not featurekit's own;
            embeddings of another version are not reused. "" for the version of the backbone's package.
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
    is_fixed_size: bool = False
    facts: Callable[[], Mapping[str, Any]] | None = None
    version: str = ""

    @property
    def default_layer(self) -> str:
        """The layer that is used if only the name of the backbone is given."""
        return next(iter(self.layers))

    @property
    def code(self) -> str:
        """The version of the backbone's code, which is part of a recipe; "" for backbones of featurekit."""
        return BACKBONES.code_of(self.name, self.version)

    def open(
        self,
        weights: bytes,
        layers: Sequence[str],
        *,
        device: str,
        precision: str,
        threads: int = 0,
        quantized: str = "",
    ) -> Session:
        """Return a session, a function of face crops that returns an array of vectors for each layer.

        Args:
            weights: content of the weight file; b"" if there is none.
            layers: names of the layers.
            device: "auto", "cpu" or "cuda".
            precision: "auto", "fp32", "bf16" or "int8".
            threads: number of threads; 0 for one per core.
            quantized: for int8, the sha256 of the quantized network, which is read from the folder of the
                weights.

        Raises:
            EngineError: the device or the precision is not available.
        """
        if self.load is None:
            assert self.compute is not None
            return _Computed(self.compute)
        network = self.network(weights, layers)
        if quantized:
            network = replace(network, name=self.name, outputs=tuple(layers), quantized=quantized)
        return open_session(network, device=device, precision=precision, threads=threads)

    def network(self, weights: bytes, layers: Sequence[str]) -> Network:
        """Return the network with its layers as outputs, before an engine opens it."""
        assert self.load is not None
        return replace(
            self.load(weights, layers),
            input_size=self.input_size,
            normalization=self.normalization,
            identity=" ".join(
                filter(None, (self.name, self.code, sha256(weights).hexdigest(), *layers)),
            ),
        )

    def trainable(self, weights: bytes) -> "torch.nn.Module":
        """Return the network up to its default layer as a torch module that can be trained further.

        The module takes normalized pixels of shape (n, 3, s, s), and returns a tuple with one tensor of shape
        (n, length of the layer).

        Raises:
            EngineError: the backbone has no weights, or has operations that cannot be trained.
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


class _Backbones(Registry[Backbone]):
    """All registered backbones. A network by reference that has been added can be looked up too.

    Attributes:
        by_reference: function of a reference that returns the backbone; the folder references sets it.
    """

    by_reference: Callable[[str], Backbone]

    def __getitem__(self, name: str) -> Backbone:
        if is_reference(name):
            self._scan_builtin()
            return self.by_reference(name)
        return super().__getitem__(name)


BACKBONES = _Backbones("backbone", "featurekit.networks.backbones", Backbone, "featurekit.backbones")


def here(features: Iterable[str]) -> list[str]:
    """Return those features (backbone:layer) whose backbone is installed.

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
    """Return the backbone and the layer of a feature, e.g. "vgg16:fc6".

    >>> backbone, layer = split_feature("mean_color")
    >>> backbone.name, layer
    ('mean_color', 'mean')

    Raises:
        UnknownNameError: the backbone is not registered, or has no layer of this name.
    """
    name, layer = backbone_and_layer(feature)
    found = BACKBONES[name]
    layer = layer or found.default_layer
    if layer not in found.layers:
        raise UnknownNameError(unknown(f"layer of {name}", layer, list(found.layers)))
    return found, layer


def full_name(feature: str) -> str:
    """Return the name of a feature with its layer.

    >>> full_name("dlib_age")
    'dlib_age:pooled'

    Raises:
        UnknownNameError: the backbone is not registered, or has no layer of this name.
    """
    backbone, layer = split_feature(feature)
    return feature_name(backbone.name, layer)
