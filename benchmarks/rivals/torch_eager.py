"""The plain loop over pictures: open, resize, normalize, one forward in torch's eager mode.

"style" is "plain" for a loop written by hand, or "img2vec" for the package img2vec_pytorch, which gets the
same untrained weights where it would download trained ones.
"""

import importlib.metadata
import json
import platform
import sys
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

if "+cpu" in torch.__version__ and "+" not in importlib.metadata.version("torchvision"):
    # A torchvision made for CUDA beside a torch without: it misses operators that no network here uses.
    for operator in ("nms", "qnms"):
        torch.library.define(
            f"torchvision::{operator}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
        )

import torchvision
from torchvision import transforms


def plain(job):
    """Return a function from a picture's path to its vector."""
    network = getattr(torchvision.models, job["network"])(weights=None)
    network.load_state_dict(torch.load(job["weights"], weights_only=True))
    if job["network"].startswith("resnet"):
        network.fc = torch.nn.Identity()
    else:
        network.classifier = network.classifier[:5]  # up to fc7 with its ReLU
    network.eval()
    transform = transforms.Compose(
        [
            transforms.Resize((224, 224)),
            transforms.ToTensor(),
            transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        ]
    )

    def embed(path):
        with Image.open(path) as picture:
            x = transform(picture.convert("RGB"))
        with torch.inference_mode():
            return network(x[None])[0].numpy()

    return embed


def img2vec(job):
    """Return the same with img2vec_pytorch, whose vgg16 is the one with batch normalization."""
    from img2vec_pytorch import Img2Vec

    name = {"vgg16": "vgg16_bn"}.get(job["network"], job["network"])
    torch.manual_seed(0)
    state = getattr(torchvision.models, name)(weights=None).state_dict()
    torchvision.models._api.load_state_dict_from_url = lambda *args, **options: state
    converter = Img2Vec(cuda=False, model=job["network"], layer_output_size=4096)

    def embed(path):
        with Image.open(path) as picture:
            return converter.get_vec(picture.convert("RGB"))

    return embed


def main():
    """Read the job, time the loop, print the answer."""
    job = json.loads(Path(sys.argv[-1]).read_text())
    torch.set_num_threads(job["threads"])
    embed = {"plain": plain, "img2vec": img2vec}[job["style"]](job)
    files = [str(path) for path in sorted(Path(job["folder"]).iterdir())]
    for path in files[:2]:
        embed(path)
    started = time.perf_counter()
    vectors = np.stack([embed(path) for path in files])
    seconds = time.perf_counter() - started
    if job["vectors"]:
        np.save(job["vectors"], vectors, allow_pickle=False)
    names = ["torch", "torchvision", "pillow", "numpy"]
    names += ["img2vec_pytorch"] if job["style"] == "img2vec" else []
    answer = {
        "seconds": seconds,
        "n": len(files),
        "versions": {
            "python": platform.python_version(),
            **{name: importlib.metadata.version(name) for name in names},
        },
        "notes": ["untrained weights: speed only"],
    }
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
