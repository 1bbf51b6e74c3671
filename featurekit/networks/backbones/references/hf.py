"""hf:FOLDER: a folder as Hugging Face has it, with the config.json of timm or transformers, and safetensors.

Code in the folder is never run, and weights in other formats than safetensors are not read.
"""

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featurekit.errors import WeightsError
from featurekit.files import read_plain
from featurekit.networks.backbones.references import SCHEMES, Given, check_installed, timm, torch_scheme
from featurekit.networks.backbones.references._added import NOT_STATED, AddedNetwork, Preprocessing
from featurekit.text import described

if TYPE_CHECKING:
    import torch

    from featurekit.networks.backbones.references._reading import Readable

_WEIGHTS = "model.safetensors"
_MAX_BYTES = 2**22  # of a configuration


def read(name: str, path: Path) -> Given:
    """Return what the files of a folder state.

    Raises:
        WeightsError: a file is missing or cannot be read, or the network is defined by code in the folder.
    """
    if not path.is_dir():
        raise WeightsError(f"{path} is not a folder. Give the folder that has config.json and {_WEIGHTS}.")
    config = _json_of(path, "config.json")
    if config is None:
        raise WeightsError(f"{path} has no config.json, which says what network it is.")
    if "auto_map" in config:
        raise WeightsError(
            f"The network in {path} is defined by code in that folder, which featurekit never runs. Export it"
            f" to an ONNX file, and add that: featurekit weights add onnx:{path.name} FILE"
        )
    if "quantization_config" in config:
        raise WeightsError(f"The network in {path} is quantized. Give the one in full precision.")
    if not (path / _WEIGHTS).is_file():
        others = sorted(one.name for one in path.glob("*.bin"))
        found = f" It has {others[0]}, which is a pickle and is not read." if others else ""
        raise WeightsError(
            f"{path} has no {_WEIGHTS}.{found} Save the network with save_pretrained(), which writes it."
        )
    try:
        return _given(name, path, config)
    except (TypeError, ValueError, KeyError, IndexError, AttributeError, ArithmeticError) as error:
        raise WeightsError(f"The configuration in {path} cannot be used: {described(error)}") from error


def _given(name: str, path: Path, config: Mapping[str, Any]) -> Given:
    """Return what a folder states whose config.json has been read."""
    if "architecture" in config:
        stated = config.get("pretrained_cfg") or config
        check_installed("timm", f"hf:{name}")
        return Given(
            weights=path / _WEIGHTS,
            config={
                "library": "timm",
                "architecture": str(config["architecture"]).partition(".")[0],
                "classifier": timm.listed(stated.get("classifier")),
                "options": config.get("model_args") or {},
            },
            preprocessing=timm.preprocessing_of(stated),
            licence=str(stated.get("license") or NOT_STATED),
        )
    if "model_type" not in config:
        raise WeightsError(f"{path / 'config.json'} is neither one of timm nor of transformers.")
    return Given(
        weights=path / _WEIGHTS,
        config={"library": "transformers", "config": config},
        preprocessing=_preprocessing(_json_of(path, "preprocessor_config.json") or {}),
        licence=str(config.get("license") or NOT_STATED),
    )


def _json_of(folder: Path, name: str) -> dict[str, Any] | None:
    """Return the content of a JSON file; None if there is none."""
    if not (folder / name).is_file():
        return None
    try:
        content = json.loads(read_plain(folder / name, _MAX_BYTES))
    except (OSError, ValueError, RecursionError) as error:
        raise WeightsError(f"{folder / name} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise WeightsError(f"{folder / name} cannot be read: it holds no names with values.")
    return content


def _preprocessing(stated: Mapping[str, Any]) -> Preprocessing:
    """Return the preprocessing of a file preprocessor_config.json of transformers."""
    resized = _side(stated.get("size"))
    cut = _side(stated.get("crop_size")) if stated.get("do_center_crop") else None
    if stated.get("crop_pct") and resized and resized < 384:  # as ConvNeXT's image processor does
        cut, resized = resized, int(resized / stated["crop_pct"])
    size = cut or resized
    # Pixels times this factor are normalized; the mean and the deviation here are for pixels from 0 to 1.
    factor = 255 * (stated.get("rescale_factor", 1 / 255) if stated.get("do_rescale", True) else 1.0)
    mean, std = stated.get("image_mean"), stated.get("image_std")
    if not stated.get("do_normalize", False):
        mean, std = [0.0] * 3, [1.0] * 3
    if not size or not mean or not std:
        return Preprocessing()
    return Preprocessing(
        input_size=size,
        resize=max(size, resized or size),
        mean=(mean[0] / factor, mean[1] / factor, mean[2] / factor),
        std=(std[0] / factor, std[1] / factor, std[2] / factor),
        interpolation=str(stated.get("resample", "")),
    )


def _side(size: Any) -> int | None:
    """Return the side of a square; None if a size is not one."""
    if isinstance(size, int):
        return size
    sides = {size[name] for name in ("height", "width", "shortest_edge") if name in size} if size else set()
    return sides.pop() if len(sides) == 1 else None


def where(name: str) -> str:
    """Return how a folder is added."""
    return f"Add the folder that has its config.json and {_WEIGHTS}: featurekit weights add hf:{name} FOLDER"


def _build(added: AddedNetwork, data: bytes) -> "Readable":
    return timm.build(added, data) if added.config["library"] == "timm" else _of_transformers(added, data)


def _of_transformers(added: AddedNetwork, data: bytes) -> "Readable":
    """Return a network of transformers with the tensors of a weight file.

    Raises:
        WeightsError: the file does not fit the configuration, or the network takes no images.
    """
    import transformers
    from transformers import AutoModel

    from featurekit.networks.backbones.references._reading import Readable

    transformers.utils.logging.set_verbosity_error()
    with tempfile.TemporaryDirectory(prefix="featurekit-") as folder:
        # transformers renames tensors of older versions only while it reads a folder.
        (Path(folder) / "config.json").write_text(json.dumps(added.config["config"]), encoding="utf-8")
        (Path(folder) / _WEIGHTS).write_bytes(data)
        try:
            network, info = AutoModel.from_pretrained(  # nosec B615  # a folder on this machine
                folder,
                local_files_only=True,
                trust_remote_code=False,
                use_safetensors=True,
                attn_implementation="eager",  # others may be programs from Hugging Face
                output_loading_info=True,
            )
        except (OSError, ValueError, RuntimeError, KeyError) as error:
            raise WeightsError(f"{added.name} cannot be loaded: {str(error).splitlines()[0]}") from error
    if network.main_input_name != "pixel_values":
        raise WeightsError(f"{added.name} takes no images as its input, but {network.main_input_name}.")
    missing = [key for key in info["missing_keys"] if not key.startswith("pooler.")]
    if missing or info["mismatched_keys"]:
        raise WeightsError(
            f"The weight file does not fit {added.name}: it has no"
            f" {sorted(map(str, missing or info['mismatched_keys']))[0]}."
        )
    if len(missing) < len(info["missing_keys"]):
        network.pooler = None
    return Readable(network.float().eval(), _forward).eval()


def _forward(readable: "Readable", pixels: "torch.Tensor") -> "torch.Tensor":
    """Return what the network itself calls pooled, else its class token, else the mean of its tokens."""
    import torch

    output: Any = readable.network(pixel_values=pixels)
    last = readable.features(output.last_hidden_state)
    if getattr(output, "pooler_output", None) is not None:
        return torch.flatten(output.pooler_output, 1)
    if last.dim() == 4:
        return torch.mean(last, dim=(2, 3))
    has_class = any(name.endswith("cls_token") for name, _ in readable.network.named_parameters())
    found: torch.Tensor = last[:, 0] if has_class else last.mean(dim=1)
    return found


SCHEMES.add(
    torch_scheme(
        name="hf",
        about="a folder with config.json and model.safetensors, of timm or transformers",
        library="",
        read=read,
        build=_build,
        where=where,
    )
)
