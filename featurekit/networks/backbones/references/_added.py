"""What is recorded of a network by reference that the user has added."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

from annotated_types import Interval

from featurekit.networks.feature_names import POOLS
from featurekit.records import FileName, Hash, Line, Word

Side = Annotated[int, Interval(ge=1, le=4096)]
Triple = tuple[float, float, float]

NOT_STATED = "not stated"
# Raise if records of an older version can no longer be used; such networks have to be added again.
RECORD_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """How the pixels of an aligned face become the input of a network; None for what is not known.

    Attributes:
        input_size: side of the network's square input, in pixels.
        resize: side of the square of which the centre is the input; None if it is the whole square.
        mean: value to subtract from red, green and blue, for pixels from 0 to 1.
        std: value to divide red, green and blue by.
        bgr: whether the network takes the channels in the order blue, green, red.
        interpolation: how the publisher resizes images, e.g. "bicubic"; for information.
        template: name of the template that says where the landmarks are in the square.
    """

    input_size: Side | None = None
    resize: Side | None = None
    mean: Triple | None = None
    std: Triple | None = None
    bgr: bool = False
    interpolation: Line = ""
    template: Word = ""

    def updated(self, stated: "Preprocessing") -> "Preprocessing":
        """Return this preprocessing with what the user states instead."""
        said = {name: value for name, value in vars(stated).items() if value not in (None, "", False)}
        if stated.input_size and not stated.resize:
            said["resize"] = stated.input_size
        return replace(self, **said)

    @property
    def missing(self) -> list[str]:
        """The options that state what is not known."""
        needed = {"--input-size": self.input_size, "--mean": self.mean, "--std": self.std}
        return [option for option, value in needed.items() if value is None]


@dataclass(frozen=True)
class Layer:
    """A layer that can be read.

    Attributes:
        kind: "vector"; "map" for a feature map whose first axis is the channels, "map_last" if the last is;
            or "tokens" for the tokens of a transformer.
        length: length of the vector, or number of channels.
        n_prefix: number of tokens before those of the patches, such as the class token.
        source: name of the layer in the network, if it is another one.
    """

    kind: Word
    length: Annotated[int, Interval(ge=1, le=10**8)]
    n_prefix: Annotated[int, Interval(ge=0, le=10**4)] = 0
    source: Line = ""

    @classmethod
    def of_shape(cls, shape: Sequence[int], n_prefix: int | None = None) -> "Layer | None":
        """Return the layer that returns an array of this shape for one image; None if it cannot be read.

        Args:
            shape: shape of the array.
            n_prefix: number of tokens before those of the patches; None if not known.
        """
        if len(shape) not in (2, 3, 4) or shape[0] != 1:
            return None
        if len(shape) == 2:
            return cls("vector", shape[1])
        if len(shape) == 3:
            # The patches of a square image fill a square.
            before = shape[1] - int(shape[1] ** 0.5) ** 2 if n_prefix is None else n_prefix
            return cls("tokens", shape[2], before) if before < shape[1] else None
        # An image is square, and so are its feature maps.
        if shape[2] == shape[3]:
            return cls("map", shape[1])
        return cls("map_last", shape[3]) if shape[1] == shape[2] else None

    def pooled_length(self, pools: Sequence[str]) -> int | None:
        """Return the length of the vector after pooling; None if the layer cannot be pooled in this way."""
        is_possible = {
            "vector": not pools,
            "tokens": "cls" not in pools or self.n_prefix > 0,
        }.get(self.kind, "cls" not in pools)
        return self.length * max(len(pools), 1) if is_possible and len(set(pools)) == len(pools) else None


@dataclass(frozen=True, kw_only=True)
class AddedNetwork:
    """A network that the user has added, and everything that decides its numbers.

    Attributes:
        name: the reference, e.g. "timm:resnet18".
        given: name of the file or folder that the user gave.
        file_name: name of the weight file in the folder of the weights.
        sha256: hash of the weight file.
        size: size of the weight file in bytes.
        preprocessing: how the pixels of a face become its input.
        licence: the licence that its configuration states, or NOT_STATED.
        config: what its scheme needs to build it, such as the architecture.
        layers: name of a layer → what it is; the first layer is the default.
        record_version: version of this record.
    """

    name: Word
    given: Line
    file_name: FileName
    sha256: Hash
    size: int
    preprocessing: Preprocessing
    licence: Line
    config: Mapping[str, Any]
    layers: Mapping[str, Layer]
    record_version: int = RECORD_VERSION

    @property
    def square(self) -> int:
        """Side of the aligned face in pixels, of which the centre is the input of the network."""
        assert self.preprocessing.input_size is not None
        return max(self.preprocessing.resize or 0, self.preprocessing.input_size)


class ReadableLayers(Mapping[str, int]):
    """Name of a layer → length of its vector, also with pools, as in "blocks.8+cls+mean".

    Args:
        network: the network.
    """

    def __init__(self, network: AddedNetwork) -> None:
        self._network = network

    def __getitem__(self, layer: str) -> int:
        known, pools = parsed(self._network, layer)
        if known is None or (length := known.pooled_length(pools)) is None:
            raise KeyError(layer)
        return length

    def __iter__(self) -> Iterator[str]:
        return iter(self._network.layers)

    def __len__(self) -> int:
        return len(self._network.layers)


def parsed(network: AddedNetwork, layer: str) -> tuple[Layer | None, list[str]]:
    """Return the layer that a text such as "blocks.8+cls" names, None if there is none, and its pools."""
    name, *pools = layer.split("+")
    if not set(pools) <= set(POOLS):
        return None, pools
    return network.layers.get(name or "features"), pools
