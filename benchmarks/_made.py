"""What a comparison needs and cannot bring along: pictures made of made-up portraits, and untrained weights.

Only a few portraits are different; the others are the same pictures in files of other bytes, so that each is
read and computed anew.
"""

import hashlib
import io
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from featurekit.data.manifest import Manifest

CHIP_SIDE = 200  # pixels, as UTKFace's chips
# The part of a photograph's shorter side that the portrait takes, one photograph after the other.
PORTRAITS = (0.9, 0.5, 0.3, 0.7)


def drawn(n_people: int, n_each: int) -> list[tuple[int, str, Any]]:
    """Return person, gender and picture of made-up portraits."""
    from PIL import Image

    from featurekit.data.datasets.synthetic import portraits

    return [
        (one.subject, one.gender, Image.open(io.BytesIO(one.jpeg)).convert("RGB"))
        for one in portraits(n_people, n_each)
    ]


def write_chips(folder: Path, made: Sequence[tuple[int, str, Any]], n: int) -> "Manifest":
    """Write so many face chips and return their table, with gender and person."""
    jpegs = [as_jpeg(picture.resize((CHIP_SIDE, CHIP_SIDE)), 90) for _, _, picture in made]
    return _write(folder, [(person, gender) for person, gender, _ in made], jpegs, n)


def write_photographs(
    folder: Path, made: Sequence[tuple[int, str, Any]], n: int, size: tuple[int, int]
) -> "Manifest":
    """Write so many photographs with a portrait on each, and noise as a camera's; return their table."""
    from PIL import Image

    rng, jpegs = np.random.default_rng(0), []
    for number, part in enumerate(PORTRAITS):
        side = round(part * min(size))
        photograph = Image.new("RGB", size, (120, 130, 140))
        left, top = (size[0] - side) // 2, (size[1] - side) // 2
        photograph.paste(
            made[number % len(made)][2].resize((side, side), Image.Resampling.BICUBIC), (left, top)
        )
        pixels = np.asarray(photograph).astype(np.int16)
        # One tile of noise, repeated, because drawing it for every pixel takes longer than all the rest.
        tile = rng.integers(-6, 7, (256, 256, 1), dtype=np.int16)
        times = (size[1] // 256 + 1, size[0] // 256 + 1, 1)
        pixels += np.tile(tile, times)[: size[1], : size[0]]
        jpegs.append(as_jpeg(Image.fromarray(pixels.clip(0, 255).astype(np.uint8)), 85))
    known = [made[number % len(made)][:2] for number in range(len(PORTRAITS))]
    return _write(folder, known, jpegs, n)


def as_jpeg(picture: Any, quality: int) -> bytes:
    """Return a picture as the bytes of a JPEG file."""
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality)
    return file.getvalue()


def with_comment(jpeg: bytes, comment: str) -> bytes:
    """Return a JPEG with a comment behind its first marker: another content, the same picture."""
    text = comment.encode()
    return jpeg[:2] + b"\xff\xfe" + (len(text) + 2).to_bytes(2, "big") + text + jpeg[2:]


def _write(folder: Path, known: Sequence[tuple[int, str]], jpegs: Sequence[bytes], n: int) -> "Manifest":
    import pandas as pd

    from featurekit.data.prepare import prepare

    folder.mkdir()
    rows = []
    for number in range(n):
        person, gender = known[number % len(known)]
        name = f"{number:05d}.jpg"
        (folder / name).write_bytes(with_comment(jpegs[number % len(jpegs)], str(number)))
        rows.append({"image_path": name, "gender": gender, "subject_id": f"p{person}"})
    pd.DataFrame(rows).to_csv(folder / "rows.csv", index=False)
    return prepare("table", folder / "rows.csv")


@contextmanager
def home_with(folder: Path, untrained: Sequence[str], own: Sequence[str]) -> Iterator[dict[str, bool]]:
    """Use a folder as featurekit's home, with the weights of the user's home and untrained ones.

    Within it, this process's table of weights has the hashes of the untrained files.

    Args:
        folder: a new folder.
        untrained: networks of torchvision's whose weights are made, of a fixed seed.
        own: weights to take from the user's home where they are there; dlib_face's are made otherwise.

    Yields:
        Name → whether its weights are trained; a name without weights is missing.
    """
    from featurekit.networks import weights

    before, home = dict(weights.WEIGHTS), os.environ.get("FEATUREKIT_HOME")
    there = {name: weights.path_of(name) for name in own if weights.present(name)}
    (folder / "weights").mkdir(parents=True)
    is_trained = {}
    try:
        os.environ["FEATUREKIT_HOME"] = str(folder)
        for name, path in there.items():
            shutil.copyfile(path, weights.path_of(name))
            is_trained[name] = True
        for name in [*untrained, *({"dlib_face"} & set(own) - set(there))]:
            data = untrained_dlib_face() if name == "dlib_face" else untrained_weights(name)
            weights.WEIGHTS[name] = replace(
                before[name], sha256=hashlib.sha256(data).hexdigest(), size=len(data), about="untrained"
            )
            weights.path_of(name).write_bytes(data)
            is_trained[name] = False
        yield is_trained
    finally:
        weights.WEIGHTS.update(before)
        if home is None:
            del os.environ["FEATUREKIT_HOME"]
        else:
            os.environ["FEATUREKIT_HOME"] = home


def untrained_weights(network: str) -> bytes:
    """Return weights of a fixed seed as torchvision's own files are."""
    import torch
    import torchvision

    torch.manual_seed(0)
    file = io.BytesIO()
    torch.save(getattr(torchvision.models, network)(weights=None).state_dict(), file)
    return file.getvalue()


def untrained_dlib_face() -> bytes:
    """Return a file as dlib's of its face recognition network, with random weights."""
    from featurekit.networks.backbones._dlib_face_module import BLOCKS

    rng = np.random.default_rng(0)

    def number(value: int) -> bytes:
        n_bytes = max((value.bit_length() + 7) // 8, 1)
        return bytes([n_bytes]) + value.to_bytes(n_bytes, "little")

    def tensor(numbers: Any) -> bytes:
        # The version of the format, four sides, the numbers.
        return b"".join(map(number, (2, len(numbers), 1, 1, 1))) + numbers.astype("<f4").tobytes()

    def step(n_inputs: int, n_outputs: int, size: int) -> bytes:
        n_weights = n_outputs * n_inputs * size**2
        # As in dlib's: small weights, and factors that make up for it.
        weights = rng.normal(0, np.sqrt(2 / (n_inputs * size**2)) / 8, n_weights)
        affine = np.concatenate([rng.uniform(4, 8, n_outputs), np.zeros(n_outputs)])
        return b"con_4" + tensor(np.append(weights, np.zeros(n_outputs))) + b"\x01affine_" + tensor(affine)

    parts, width = [step(3, 32, 7)], 32
    for n_outputs, _ in BLOCKS:
        parts += [step(width, n_outputs, 3), step(n_outputs, n_outputs, 3)]
        width = n_outputs
    last = b"fc_2" + number(128) + number(256) + tensor(rng.normal(0, 0.1, 256 * 128))
    return b"".join([*parts, last])
