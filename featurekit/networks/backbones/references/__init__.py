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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache, partial
from hashlib import sha256
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featurekit.errors import EngineError, FeaturekitError, UnknownNameError, WeightsError
from featurekit.files import read_plain, write_text
from featurekit.networks import weights
from featurekit.networks.backbones import BACKBONES, Backbone
from featurekit.networks.backbones.references._added import (
    NOT_STATED,
    RECORD_VERSION,
    AddedNetwork,
    Layer,
    Preprocessing,
    ReadableLayers,
    Triple,
)
from featurekit.networks.engines import Network, Normalization
from featurekit.records import read_record, record
from featurekit.registry import Registry, unknown

if TYPE_CHECKING:
    import torch

    from featurekit.networks.backbones.references._reading import Readable


@dataclass(frozen=True, kw_only=True)
class Given:
    """What a scheme has found in the file or folder that a user gives.

    Attributes:
        weights: path of the weight file.
        config: what is needed to build the network.
        preprocessing: how the publisher prepares its input.
        licence: the licence that the publisher states.
        is_size_fixed: whether the network takes no other size than the one in preprocessing.
    """

    weights: Path
    config: Mapping[str, Any] = field(default_factory=dict)
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    licence: str = NOT_STATED
    is_size_fixed: bool = False


@dataclass(frozen=True, kw_only=True)
class Scheme:
    """One kind of reference.

    Attributes:
        name: the word before the colon.
        about: description in one line.
        library: the package that networks of this kind need, whose version is part of a recipe; "" if there
            is none, or if the config of a network names it as "library".
        read: function of (name, file or folder) that returns what is given.
        load: function of (network, bytes of the weight file, layers) that returns the network.
        probe: function of (network, bytes of the weight file) that returns all layers, the default one first.
        where: function of the name that says where its weights can be had.
    """

    name: str
    about: str
    library: str
    read: Callable[[str, Path], Given]
    load: Callable[[AddedNetwork, bytes, Sequence[str]], Network]
    probe: Callable[[AddedNetwork, bytes], Mapping[str, Layer]]
    where: Callable[[str], str]

    def library_of(self, config: Mapping[str, Any]) -> str:
        """Return the package that a network with this config needs; "" if it needs none."""
        return str(config.get("library", self.library))


def torch_scheme(
    *,
    name: str,
    about: str,
    library: str,
    read: Callable[[str, Path], Given],
    build: "Callable[[AddedNetwork, bytes], Readable]",
    where: Callable[[str], str],
) -> Scheme:
    """Return a scheme whose networks are torch modules.

    Its arguments are those of Scheme. Instead of load and probe, it has build, a function of (network, bytes
    of the weight file) that returns the module.
    """

    def load(added: AddedNetwork, data: bytes, layers: Sequence[str]) -> Network:
        def module() -> "torch.nn.Module":
            from featurekit.networks.backbones.references._reading import Reader

            return Reader(build(added, data), added, layers).eval()

        return Network(name=added.name, module=module, outputs=tuple(layers))

    def probe(added: AddedNetwork, data: bytes) -> Mapping[str, Layer]:
        from featurekit.networks.backbones.references._reading import layers_of

        assert added.preprocessing.input_size is not None
        return layers_of(build(added, data), added.preprocessing.input_size, added.name)

    return Scheme(name=name, about=about, library=library, read=read, load=load, probe=probe, where=where)


def check_installed(library: str, name: str) -> None:
    """Raise EngineError if the package that a network needs is not installed.

    Args:
        library: name of the package; "" for none.
        name: name of the network, for the message.
    """
    if library and find_spec(library) is None:
        raise EngineError(
            f"{name} needs {library}, which is not installed: pip install 'featurekit[{_extra(library)}]'."
        )


def _extra(library: str) -> str:
    """Return the extra of featurekit that installs a package."""
    return {"transformers": "hf"}.get(library, library)


SCHEMES: Registry[Scheme] = Registry("kind of reference", "featurekit.networks.backbones.references", Scheme)


def add(
    reference: str, path: Path, stated: Preprocessing | None = None, *, replaces: bool = False
) -> AddedNetwork:
    """Add a network: copy its weight file, and record what decides its numbers.

    The network is built and run once, so that a file that does not fit is refused now.

    Args:
        reference: e.g. "timm:resnet18".
        path: the weight file, or the folder with the network.
        stated: the preprocessing, where the file does not state it or states it wrongly.
        replaces: whether another network that was added under this name before is replaced.

    Raises:
        UnknownNameError: there is no such scheme or architecture.
        WeightsError: the file cannot be read or does not fit, the preprocessing is not known, a package is
            not installed, or another network was added under this name before.
    """
    scheme, name = _scheme_of(reference)
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]{0,99}", name):
        raise WeightsError(
            f"'{name}' cannot be the name of a network: use letters, digits, dots, _ and -, as in"
            f" {scheme.name}:my_network."
        )
    check_installed(scheme.library, reference)
    given = scheme.read(name, path)
    check_installed(scheme.library_of(given.config), reference)
    preprocessing = _preprocessing_of(given, stated or Preprocessing(), reference, path.name)
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
    try:
        record(AddedNetwork, json.loads(json.dumps(asdict(network))))
    except ValueError as error:
        raise WeightsError(f"What {path.name} states of {reference} cannot be used: {error}") from error
    if not replaces:
        _check_free(network)
    if weights.adopt(given.weights) != digest:
        raise WeightsError(f"{given.weights} has changed while it was added. Add it again.")
    write_text(_record_path(reference), json.dumps(asdict(network), indent=1) + "\n")
    return _read(_record_path(reference))


def _preprocessing_of(given: Given, stated: Preprocessing, reference: str, file_name: str) -> Preprocessing:
    """Return how the input of a network is prepared, as its file states it or else the user.

    Raises:
        WeightsError: neither states it, or the user states a size that the network cannot have.
    """
    preprocessing = given.preprocessing.updated(stated)
    if given.is_size_fixed and preprocessing.input_size != given.preprocessing.input_size:
        raise WeightsError(
            f"--input-size {preprocessing.input_size} does not fit {file_name}, whose input is"
            f" {given.preprocessing.input_size} × {given.preprocessing.input_size} pixels. Leave it out."
        )
    if missing := preprocessing.missing:
        options = " ".join(_EXAMPLES[option] for option in missing)
        raise WeightsError(
            f"The preprocessing of {reference} is not stated in {file_name}, and is never guessed. State it,"
            " with the numbers that it was trained with, for pixels from 0 to 1: featurekit weights add"
            f" {reference} {file_name} {options}"
        )
    return preprocessing


def _check_free(network: AddedNetwork) -> None:
    """Raise WeightsError if another network was added under the same name before; the same one may be."""
    try:
        before = _read(_record_path(network.name))
    except WeightsError:  # none was added, or its record cannot be used
        return
    now = record(AddedNetwork, json.loads(json.dumps(asdict(network))))
    parts = {"weight file": "sha256", "preprocessing": "preprocessing", "configuration": "config"}
    differs = [what for what, part in parts.items() if getattr(before, part) != getattr(now, part)]
    if differs:
        what = " and another ".join(differs)
        raise WeightsError(
            f"{network.name} was added before, from {before.given}, with another {what}. To replace it, use"
            " --replace: its vectors are then computed again, and a model that was fitted on them can no"
            " longer predict."
        )


_KINDS = {"vector": "vector", "map": "feature map", "map_last": "feature map", "tokens": "tokens"}
_EXAMPLES = {
    "--input-size": "--input-size SIDE",
    "--mean": "--mean RED,GREEN,BLUE",
    "--std": "--std RED,GREEN,BLUE",
}


def added() -> list[Backbone]:
    """Return all networks that the user has added as backbones, in alphabetical order."""
    folder = weights.home() / "networks" / "added"
    return [_backbone_of(_read(path)) for path in sorted(folder.glob("*.json"))]


def find(reference: str) -> AddedNetwork:
    """Return a network that has been added.

    A folder or an ONNX file may be named by its path: with a slash, with the ending .onnx, or if no network
    of this name has been added. If it states its preprocessing, it is added now.

    Raises:
        UnknownNameError: there is no such scheme, or no such architecture.
        WeightsError: the network has not been added; the message says how to add it.
    """
    scheme, name = _scheme_of(reference)
    before, _, layer = name.partition(":")
    if layer and scheme.name not in ("onnx", "hf"):  # in a path a colon is a letter like others
        raise UnknownNameError(
            f"'{reference}' has two colons. The layer of a network by reference follows @:"
            f" {scheme.name}:{before}@{layer}"
        )
    path, given = _record_path(reference), Path(name).expanduser()
    is_path = "/" in name or name.endswith(".onnx") or not path.is_file()
    if scheme.name in ("onnx", "hf") and is_path and given.exists():
        return _named_by_path(scheme, given)
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
    file = scheme.read(name, path).weights
    if _hash_of(file, file.stat().st_mtime_ns, file.stat().st_size) != known.sha256:
        raise WeightsError(
            f"{path.name} is not the network that was added as {reference}: its sha256 has changed."
            f" Replace it: featurekit weights add {reference} {path.name} --replace"
        )
    return known


@lru_cache(maxsize=16)
def _hash_of(file: Path, changed: int, size: int) -> str:
    """Return the sha256 of a file, which is computed again only if the file has changed."""
    return sha256(bytes_of(file)).hexdigest()


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
    library = scheme.library_of(network.config)
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
        load=partial(scheme.load, network),
        is_fixed_size=True,
        kinds_of_layers={name: _KINDS[layer.kind] for name, layer in network.layers.items()},
        facts=partial(_facts, network, library),
        needs=library,
        extra=_extra(library),
    )


def _times_255(values: Triple) -> Triple:
    return (255 * values[0], 255 * values[1], 255 * values[2])


def _facts(network: AddedNetwork, library: str) -> dict[str, Any]:
    """Return what decides the numbers beside the weights and the normalization, for a recipe."""
    config = json.dumps(network.config, sort_keys=True)
    return {
        "network": {
            "config_sha256": sha256(config.encode()).hexdigest(),
            "input_size": network.preprocessing.input_size,
            "resize": network.square,
            "interpolation": network.preprocessing.interpolation,
            "library": f"{library} {metadata.version(library)}" if library else "",
        }
    }


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
        if network.record_version != RECORD_VERSION:
            raise ValueError(f"version {network.record_version} instead of {RECORD_VERSION}")
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
