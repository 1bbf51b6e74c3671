"""Backbones turn a face into a vector; most of them are pretrained networks without their classifier.

Each file in this folder registers a backbone or several: facts about it, and a function that returns the
network. A backbone may also be a function of the face crop, such as a histogram of its gradients, or of the
face's landmarks. Its embeddings are called ``backbone`` (the default layer) or ``backbone:layer``.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from hashlib import sha256
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal

from numpy.typing import NDArray

from featurekit.errors import EngineError, UnknownNameError, WeightsError
from featurekit.networks.engines import AS_IT_IS, Achieved, Network, Normalization, Session, open_session
from featurekit.networks.feature_names import backbone_and_layer, feature_name, is_reference
from featurekit.registry import BUILTIN, Registry, unknown

if TYPE_CHECKING:
    import torch

# The groups of backbones in the order in which they are listed; backbones of other packages come last.
GROUPS = ("faces", "ImageNet", "hand-crafted", "by reference", "other", "plug-ins")

# A backbone that takes landmarks instead of crops has this template; featurekit.faces.align.LANDMARKS.
_LANDMARKS = "landmarks"


@dataclass(frozen=True, kw_only=True)
class Backbone:
    """One way to compute embeddings of a face, usually with a pretrained network.

    Attributes:
        name: name of the backbone for users, e.g. "vgg16".
        about: description in one line for `featurekit list backbones`.
        layers: name of a layer → length of its vector; the first layer is the default.
        heads: names of further layers that are always stored because they cost nothing, e.g. the class
            probabilities of the network's own classifier.
        input_size: side of the square face crop that the network takes as input, in pixels; 5 for landmarks.
        template: position of the landmarks in the crop; a name in featurekit.faces.align.TEMPLATES. With
            "landmarks" the backbone takes the five landmarks of the face instead of a crop.
        group: the kind of backbone, under which it is listed: "faces" for networks trained on faces,
            "ImageNet" for networks trained on ImageNet, "hand-crafted" for functions without training, or
            "other".
        normalization: normalization of the pixels before the first layer.
        weights: name of the weight file in weights.toml; None if the backbone has no weights.
        load: function of the weight file's bytes and the names of layers that returns the network; None if
            compute or prepare is given.
        compute: function of crops, shape (n, s, s, 3), or of landmarks, shape (n, 5, 2), that returns the
            vectors of the default layer; None if load or prepare is given.
        prepare: function of the weight file's bytes and the names of layers that returns a function like
            compute, which returns one array for each layer; for backbones with weights or with several
            layers that are not networks. None if load or compute is given.
        is_picture: whether the vector is the face crop itself, as bytes, for networks that are trained end to
            end.
        is_measure: whether the vector measures the image of the face, such as its sharpness, by which a
            report groups the faces. Models are fitted on it only if it is named.
        recognizes: layers that were trained to recognize people, the best one first. `featurekit audit` uses
            them to search for the same person in the training and the test part of a split.
        is_fixed_size: whether the network takes no other size of image than input_size. Networks with the
            template "imagenet" may otherwise be trained on smaller images.
        kinds_of_layers: layer → "feature map" or "tokens" for the layers whose vector is pooled from one.
        facts: function that returns what decides the vectors beside the attributes above, for the recipe;
            None if there is nothing more.
        version: version of the code that computes the vectors, if the backbone is not featurekit's own;
            embeddings of another version are not reused. "" for the version of the backbone's package.
        needs: module of a further package that the backbone needs, e.g. "dlib"; "" if it needs none.
        extra: name of the extra of featurekit that installs this package.
    """

    name: str
    about: str
    layers: Mapping[str, int]
    input_size: int
    template: str
    group: str = "other"
    normalization: Normalization = AS_IT_IS
    weights: str | None = None
    heads: tuple[str, ...] = ()
    load: Callable[[bytes, Sequence[str]], Network] | None = None
    compute: Callable[[NDArray[Any]], NDArray[Any]] | None = None
    prepare: Callable[[bytes, Sequence[str]], Callable[[NDArray[Any]], Sequence[NDArray[Any]]]] | None = None
    is_picture: bool = False
    is_measure: bool = False
    recognizes: tuple[str, ...] = ()
    is_fixed_size: bool = False
    kinds_of_layers: Mapping[str, str] = field(default_factory=dict)
    facts: Callable[[], Mapping[str, Any]] | None = None
    version: str = ""
    needs: str = ""
    extra: str = ""

    @property
    def default_layer(self) -> str:
        """The layer that is used if only the name of the backbone is given."""
        return next(iter(self.layers))

    @property
    def code(self) -> str:
        """The version of the backbone's code, which is part of a recipe; "" for backbones of featurekit."""
        return BACKBONES.code_of(self.name, self.version)

    @property
    def reads(self) -> Literal["crop", "landmarks"]:
        """What the backbone takes as input: the crop of a face, or its five landmarks."""
        return "landmarks" if self.template == _LANDMARKS else "crop"

    @property
    def is_network(self) -> bool:
        """Whether it is a network with weights, which an engine runs on a device in a precision."""
        return self.load is not None and self.weights is not None

    @property
    def is_installed(self) -> bool:
        """Whether the package that the backbone needs is installed."""
        return not self.needs or find_spec(self.needs) is not None

    @property
    def install(self) -> str:
        """The command that installs the package that the backbone needs."""
        return f"pip install 'featurekit[{self.extra}]'"

    def check_installed(self) -> None:
        """Raise EngineError if the backbone needs a package that is not installed."""
        if not self.is_installed:
            raise EngineError(f"{self.name} needs {self.needs}, which is not installed: {self.install}.")

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

        If the backbone reads landmarks, the session is a function of landmarks, shape (n, 5, 2).

        Args:
            weights: content of the weight file; b"" if there is none.
            layers: names of the layers.
            device: "auto", "cpu" or "cuda".
            precision: "auto", "fp32", "bf16" or "int8".
            threads: number of threads; 0 for one per core.
            quantized: for int8, the sha256 of the quantized network, which is read from the folder of the
                weights.

        Raises:
            EngineError: the device or the precision is not available, or a package is not installed.
        """
        self.check_installed()
        if self.prepare is not None:
            return _Computed(self.prepare(weights, layers))
        if self.load is None:
            compute = self.compute
            assert compute is not None
            return _Computed(lambda faces: [compute(faces)])
        network = self.network(weights, layers)
        if quantized:
            network = replace(network, name=self.name, outputs=tuple(layers), quantized=quantized)
        return open_session(network, device=device, precision=precision, threads=threads)

    def network(self, weights: bytes, layers: Sequence[str]) -> Network:
        """Return the network with its layers as outputs, before an engine opens it."""
        assert self.load is not None
        facts = json.dumps(self.facts(), sort_keys=True) if self.facts else ""
        return replace(
            self.load(weights, layers),
            input_size=self.input_size,
            normalization=self.normalization,
            identity=" ".join(
                filter(None, (self.name, self.code, facts, sha256(weights).hexdigest(), *layers)),
            ),
        )

    def trainable(self, weights: bytes) -> "torch.nn.Module":
        """Return the network up to its default layer as a torch module that can be trained further.

        The module takes normalized pixels of shape (n, 3, s, s), and returns a tuple with one tensor of shape
        (n, length of the layer).

        Raises:
            EngineError: the backbone has no weights, has operations that cannot be trained, or needs a
                package that is not installed.
        """
        self.check_installed()
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
    """A backbone that is a plain function of the pixels, or of the landmarks."""

    compute: Callable[[NDArray[Any]], Sequence[NDArray[Any]]]
    achieved = Achieved("numpy", "cpu", "fp32")
    batch = 1

    def __call__(self, pixels: NDArray[Any]) -> list[NDArray[Any]]:
        return list(self.compute(pixels))


class _Backbones(Registry[Backbone]):
    """All registered backbones. A network by reference that has been added can be looked up too.

    Attributes:
        by_reference: function of a reference that returns the backbone; the folder references sets it.
        added: function that returns all networks by reference that have been added.
    """

    by_reference: Callable[[str], Backbone]
    added: Callable[[], list[Backbone]]

    def references(self) -> list[Backbone]:
        """Return all networks by reference that have been added, in alphabetical order."""
        self._scan_builtin()
        return self.added()

    def __getitem__(self, name: str) -> Backbone:
        if is_reference(name):
            self._scan_builtin()
            return self.by_reference(name)
        return super().__getitem__(name)


BACKBONES = _Backbones("backbone", "featurekit.networks.backbones", Backbone, "featurekit.backbones")


def group_of(backbone: Backbone) -> str:
    """Return the group under which a backbone is listed; "plug-ins" if it does not come with featurekit.

    >>> group_of(BACKBONES["mean_color"])
    'hand-crafted'
    """
    return backbone.group if BACKBONES.package_of(backbone.name) == BUILTIN else "plug-ins"


def in_groups() -> list[Backbone]:
    """Return all backbones in the order of their groups, and in alphabetical order inside a group.

    Networks by reference that have been added are among them.
    """
    order = {group: number for number, group in enumerate(GROUPS)}
    return sorted(
        [*BACKBONES, *BACKBONES.references()],
        key=lambda one: (order.get(group_of(one), len(order)), one.name),
    )


def here(features: Iterable[str]) -> list[str]:
    """Return those features (backbone:layer) whose backbone is installed, or has been added if by reference.

    >>> here(["mean_color:mean", "gone:layer"])
    ['mean_color:mean']
    """
    found = []
    for feature in features:
        with suppress(UnknownNameError, WeightsError):
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
        plain, *pools = layer.split("+")
        if pools and plain in found.layers:
            kind = found.kinds_of_layers.get(plain, "vector")
            raise UnknownNameError(
                f"The layer {plain} of {name} cannot be pooled by +{'+'.join(pools)}: it is a {kind}"
                f"{' without a class token' if 'cls' in pools and kind != 'vector' else ''}."
            )
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
