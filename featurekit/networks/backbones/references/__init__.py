"""Networks by reference: any network of timm, torchvision, an ONNX file or a folder of Hugging Face.

    timm:NAME[@LAYER][+POOL]         an architecture of timm
    torchvision:NAME[@LAYER][+POOL]  an architecture of torchvision
    hf:NAME[@LAYER][+POOL]           a folder with config.json and model.safetensors, of timm or transformers
    onnx:NAME[@TENSOR][+POOL]        an ONNX file

Each file in this folder registers a scheme, which is the word before the colon. A network can be used after
it has been added: its weight file is copied into featurekit's folder, and a record beside it contains
everything else that decides the numbers, such as the preprocessing. Nothing is downloaded, no code of a
folder is run, and a network whose preprocessing is not known is refused.

    FEATUREKIT_HOME/networks/added/timm-resnet18.json   the record, an AddedNetwork
    FEATUREKIT_HOME/weights/own-<sha256>                the weight file
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from hashlib import sha256
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Interval

from featurekit.errors import FeaturekitError, UnknownNameError, WeightsError
from featurekit.files import read_plain, write_text
from featurekit.networks import weights
from featurekit.networks.backbones import BACKBONES, Backbone
from featurekit.networks.engines import Network, Normalization
from featurekit.networks.feature_names import POOLS
from featurekit.records import FileName, Hash, Line, Word, read_record
from featurekit.registry import Registry, unknown

Side = Annotated[int, Interval(ge=1, le=4096)]
Triple = tuple[float, float, float]

NOT_STATED = "not stated"
# Raise if records of an older version can no longer be used; such networks have to be added again.
_RECORD_VERSION = 1


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
    record_version: int = _RECORD_VERSION

    @property
    def square(self) -> int:
        """Side of the aligned face in pixels, of which the centre is the input of the network."""
        assert self.preprocessing.input_size is not None
        return max(self.preprocessing.resize or 0, self.preprocessing.input_size)


@dataclass(frozen=True, kw_only=True)
class Given:
    """What a scheme has found in the file or folder that a user gives.

    Attributes:
        weights: path of the weight file.
        config: what is needed to build the network.
        preprocessing: how the publisher prepares its input.
        licence: the licence that the publisher states.
    """

    weights: Path
    config: Mapping[str, Any] = field(default_factory=dict)
    preprocessing: Preprocessing = Preprocessing()
    licence: str = NOT_STATED


@dataclass(frozen=True, kw_only=True)
class Scheme:
    """One kind of reference.

    Attributes:
        name: the word before the colon.
        about: description in one line.
        needs: the packages that networks of this kind need, whose versions are part of a recipe. A network
            may need another one, which its config names as "library".
        read: function of (name, file or folder) that returns what is given.
        load: function of (network, bytes of the weight file, layers) that returns the network.
        probe: function of (network, bytes of the weight file) that returns all layers, the default one first.
        where: function of the name that says where its weights can be had.
    """

    name: str
    about: str
    needs: tuple[str, ...]
    read: Callable[[str, Path], Given]
    load: Callable[[AddedNetwork, bytes, Sequence[str]], Network]
    probe: Callable[[AddedNetwork, bytes], Mapping[str, Layer]]
    where: Callable[[str], str]

    def libraries(self, config: Mapping[str, Any]) -> list[str]:
        """Return the packages that a network with this config needs."""
        return [*self.needs, *([str(config["library"])] if "library" in config else [])]


def check_installed(packages: Sequence[str], name: str) -> None:
    """Raise WeightsError if a package that a network needs is not installed."""
    if missing := [package for package in packages if find_spec(package) is None]:
        extra = {"transformers": "hf"}.get(missing[0], missing[0])
        raise WeightsError(f"{name} needs {missing[0]}. Install it: pip install 'featurekit[{extra}]'")


SCHEMES: Registry[Scheme] = Registry("kind of reference", "featurekit.networks.backbones.references", Scheme)


def add(reference: str, path: Path, stated: Preprocessing | None = None) -> AddedNetwork:
    """Add a network: copy its weight file, and record what decides its numbers.

    The network is built and run once, so that a file that does not fit is refused now.

    Args:
        reference: e.g. "timm:resnet18".
        path: the weight file, or the folder with the network.
        stated: the preprocessing, where the file does not state it or states it wrongly.

    Raises:
        UnknownNameError: there is no such scheme or architecture.
        WeightsError: the file cannot be read or does not fit, the preprocessing is not known, or a package
            is not installed.
    """
    scheme, name = _scheme_of(reference)
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]{0,99}", name):
        raise WeightsError(
            f"'{name}' cannot be the name of a network: use letters, digits, dots, _ and -, as in"
            f" {scheme.name}:my_network."
        )
    check_installed(scheme.needs, reference)
    given = scheme.read(name, path)
    check_installed(scheme.libraries(given.config), reference)
    preprocessing = given.preprocessing.updated(stated or Preprocessing())
    if missing := preprocessing.missing:
        options = " ".join(_EXAMPLES[option] for option in missing)
        raise WeightsError(
            f"The preprocessing of {reference} is not stated in {path.name}, and is never guessed. State it:"
            f" featurekit weights add {reference} {path.name} {options}"
        )
    data = bytes_of(given.weights)
    network = AddedNetwork(
        name=reference,
        given=path.name,
        file_name=weights.adopted_name(digest := sha256(data).hexdigest()),
        sha256=digest,
        size=len(data),
        preprocessing=preprocessing,
        licence=given.licence,
        config=given.config,
        layers={},
    )
    network = replace(network, layers=dict(scheme.probe(network, data)))
    if weights.adopt(given.weights) != digest:
        raise WeightsError(f"{given.weights} has changed while it was added. Add it again.")
    write_text(_record_path(reference), json.dumps(asdict(network), indent=1) + "\n")
    return _read(_record_path(reference))


_KINDS = {"vector": "vector", "map": "feature map", "map_last": "feature map", "tokens": "tokens"}
_EXAMPLES = {
    "--input-size": "--input-size 224",
    "--mean": "--mean 0.485,0.456,0.406",
    "--std": "--std 0.229,0.224,0.225",
}


def added() -> list[Backbone]:
    """Return all networks that the user has added as backbones, in alphabetical order."""
    folder = weights.home() / "networks" / "added"
    return [_backbone_of(_read(path)) for path in sorted(folder.glob("*.json"))]


def find(reference: str) -> AddedNetwork:
    """Return a network that has been added.

    A folder or an ONNX file may be named by its path. If it states its preprocessing, it is added now.

    Raises:
        UnknownNameError: there is no such scheme, or no such architecture.
        WeightsError: the network has not been added; the message says how to add it.
    """
    scheme, name = _scheme_of(reference)
    if scheme.name in ("onnx", "hf") and Path(name).expanduser().exists():
        return _named_by_path(scheme, Path(name).expanduser())
    path = _record_path(reference)
    if not path.is_file():
        raise WeightsError(f"{reference} has not been added. {scheme.where(name)}")
    return _read(path)


def _named_by_path(scheme: Scheme, path: Path) -> AddedNetwork:
    """Return the network that a path names, which is added if it has not been."""
    name = re.sub(r"[^\w.-]+", "-", path.resolve().name.removesuffix(f".{scheme.name}")).strip("-.")
    reference = f"{scheme.name}:{name}"
    if not _record_path(reference).is_file():
        return add(reference, path)
    known = _read(_record_path(reference))
    if sha256(bytes_of(scheme.read(name, path).weights)).hexdigest() != known.sha256:
        raise WeightsError(
            f"{path.name} is not the network that was added as {reference}: its sha256 has changed. Add it"
            f" again: featurekit weights add {reference} {path.name}"
        )
    return known


def backbone(reference: str) -> Backbone:
    """Return a network that has been added as a backbone.

    Raises:
        UnknownNameError: there is no such scheme, or no such architecture.
        WeightsError: the network has not been added; the message says how to add it.
    """
    return _backbone_of(find(reference))


# The backbones that have been looked up, so that a network is the same object until another one is added.
_backbones: dict[str, tuple[AddedNetwork, Backbone]] = {}
_records: dict[Path, tuple[tuple[int, int], AddedNetwork]] = {}


def _backbone_of(network: AddedNetwork) -> Backbone:
    if _backbones.get(network.name, (None,))[0] is not network:
        _backbones[network.name] = network, _made(network)
    return _backbones[network.name][1]


def _made(network: AddedNetwork) -> Backbone:
    scheme, _ = _scheme_of(network.name)
    shown = network.preprocessing
    assert shown.mean is not None
    assert shown.std is not None
    return Backbone(
        name=network.name,
        group="by reference",
        about=f"{network.given}, added by the user; licence: {network.licence}",
        layers=ReadableLayers(network),
        input_size=network.square,
        template=shown.template or "imagenet",
        normalization=Normalization(_times_255(shown.mean), _times_255(shown.std), shown.bgr),
        weights=network.name,
        load=partial(_load, network, scheme),
        is_fixed_size=True,
        kinds_of_layers={name: _KINDS[layer.kind] for name, layer in network.layers.items()},
        facts=partial(_facts, network, scheme),
    )


def _times_255(values: Triple) -> Triple:
    return (255 * values[0], 255 * values[1], 255 * values[2])


def _load(network: AddedNetwork, scheme: Scheme, data: bytes, layers: Sequence[str]) -> Network:
    """Return the network with the given layers as its outputs, if what it needs is installed."""
    check_installed(scheme.libraries(network.config), network.name)
    return scheme.load(network, data, layers)


def _facts(network: AddedNetwork, scheme: Scheme) -> dict[str, Any]:
    """Return what decides the numbers beside the weights and the normalization, for a recipe."""
    libraries = scheme.libraries(network.config)
    check_installed(libraries, network.name)
    config = json.dumps(network.config, sort_keys=True)
    return {
        "network": {
            "config_sha256": sha256(config.encode()).hexdigest(),
            "input_size": network.preprocessing.input_size,
            "resize": network.square,
            "interpolation": network.preprocessing.interpolation,
            "libraries": {name: metadata.version(name) for name in libraries},
        }
    }


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


def _entry_of(network: AddedNetwork) -> weights.WeightsEntry:
    """Return what weights.toml says of other weight files, for the weight file of an added network."""
    return weights.WeightsEntry(
        name=network.name,
        file_name=network.file_name,
        sha256=network.sha256,
        size=network.size,
        about=f"{network.given}, added by the user",
        licences=weights.Licences(NOT_STATED, network.licence, NOT_STATED),
        page="the user",
        add_as=network.name,
    )


def _scheme_of(reference: str) -> tuple[Scheme, str]:
    scheme, _, name = reference.partition(":")
    return SCHEMES[scheme], name


def _record_path(reference: str) -> Path:
    name = re.sub(r"[^\w.-]", "-", reference.replace(":", "-", 1))
    return weights.home() / "networks" / "added" / f"{name}.json"


def _read(path: Path) -> AddedNetwork:
    try:
        facts = path.stat()
        when = facts.st_mtime_ns, facts.st_size
        if _records.get(path, (None,))[0] == when:
            return _records[path][1]
        network = read_record(path, AddedNetwork)
        if network.record_version != _RECORD_VERSION:
            raise ValueError(f"version {network.record_version} instead of {_RECORD_VERSION}")
    except (OSError, ValueError) as error:
        raise WeightsError(
            f"{path} is damaged, or was written by another version of featurekit ({error}). Delete it, and"
            " add the network again: featurekit weights add"
        ) from error
    weights.ADDED[network.name] = _entry_of(network)
    _records[path] = when, network
    return network


def bytes_of(path: Path) -> bytes:
    """Return the bytes of a weight file.

    Raises:
        WeightsError: it cannot be read.
    """
    try:
        return read_plain(path, weights.MAX_BYTES)
    except OSError as error:
        raise WeightsError(f"Cannot read {path}: {error.strerror}.") from error


def unknown_architecture(scheme: str, name: str, known: Sequence[str]) -> FeaturekitError:
    """Return the error for an architecture that a library does not have."""
    return UnknownNameError(unknown(f"network of {scheme}", name, list(known)))


BACKBONES.by_reference, BACKBONES.added = backbone, added
